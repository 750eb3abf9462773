/* Tells when a file was closed after writing or renamed into place. Loop thread. */
#ifndef SYS_WATCH_H
#define SYS_WATCH_H

#include "sys/loop.h"

struct watch;

/* `changed` runs on the loop, at most once per burst (100 ms). Watches the directory, so that a
 * rename into place is seen; what changes behind a symbolic link is seen within half a
 * second. The path's last part may be a pattern. */
enum rc watch_open(struct cx *cx, struct loop *loop, const char *path,
		   void (*changed)(void *context), void *context, struct watch **out) NODISCARD;
void watch_close(struct watch **watch);

#endif
