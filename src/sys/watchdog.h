/* A thread that notices a loop that does not turn: each second it asks the loop for an answer.
 *
 * It can touch nothing of the loop's; it logs that the loop hangs, while it does, and measures for
 * how long. What the loop sends by itself (the calls of watchers) ends meanwhile: who waits for
 * them outside notices. Real time, also on a virtual clock: what hangs is the process. */
#ifndef SYS_WATCHDOG_H
#define SYS_WATCHDOG_H

#include "sys/loop.h"

struct watchdog;

/* Logged when an answer takes so long. */
#define WATCHDOG_PATIENCE_MS 5000

enum rc watchdog_open(struct cx *cx, struct loop *loop, struct watchdog **out) NODISCARD;
/* Before the loop is closed, on its thread. */
void watchdog_close(struct watchdog **watchdog);
/* The longest that an answer took since the last call of this. Any thread. */
struct dur watchdog_take_longest(struct watchdog *watchdog);

#endif
