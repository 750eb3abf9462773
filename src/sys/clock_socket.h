/* Test builds only: a local socket that turns the virtual clock, one line a command, one line back.
 *
 *   advance 300s   turns to each timer's due time in between, so that nothing is skipped, and lets
 * the workers finish before the next; answers `ok <wall ms>` jump -90s      moves wall time alone
 *   stall 6s       holds the loop up, as a hung call would
 *   now */
#ifndef SYS_CLOCK_SOCKET_H
#define SYS_CLOCK_SOCKET_H

#ifdef BACKLINE_TEST_HOOKS

#include "sys/loop.h"

struct clock_socket;

enum rc clock_socket_open(struct cx *cx, struct loop *loop, const char *path,
			  struct clock_socket **out) NODISCARD;
void clock_socket_close(struct clock_socket **socket);

#endif

#endif
