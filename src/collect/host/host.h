/* What the collectors of this host share: reading /proc and /sys, writing the text format. Private
 * to collect/host/.
 *
 * A file that is not there (an old kernel, a container, a switched-off feature) is no failure: its
 * families are absent. Texts live in the arena of `cx`. */
#ifndef COLLECT_HOST_HOST_H
#define COLLECT_HOST_HOST_H

#include "collect/target.h"

#define HOST_COUNT(table) (sizeof(table) / sizeof((table)[0]))

struct host {
	struct cx *cx;
	const struct collect_host_paths *paths;
	struct buf *out;
};

/* A whole file below /proc or /sys; .p NULL when it cannot be read. */
struct str collect_host_proc(struct host *h, const char *name);
struct str collect_host_sys(struct host *h, const char *name);

/* The next word of a line, and the line behind it; "" and 0 when there is none. */
struct str collect_host_field(struct str *rest);
double collect_host_number(struct str *rest);
uint64_t collect_host_hex(struct str digits); /* without 0x; 0 on junk */

/* One sample. A name that could not be composed (NULL) is dropped: the arena is exhausted. */
void collect_host_put(struct host *h, const char *name, const struct label *labels, size_t count,
		      double value);
void collect_host_plain(struct host *h, const char *name, double value);
void collect_host_device(struct host *h, const char *name, struct str device, double value);
/* The first number of a file below /proc, when that can be read. */
void collect_host_file(struct host *h, const char *name, const char *path);

/* The collectors, by file. */
void collect_host_processors(struct host *h); /* kernel.c: cpu, stat, load, pressure */
void collect_host_memory(struct host *h);     /* kernel.c: meminfo, vmstat */
void collect_host_limits(struct host *h);     /* kernel.c: filefd, entropy */
void collect_host_identity(struct host *h);   /* time.c: uname, time, timex */
void collect_host_storage(struct host *h);    /* storage.c: diskstats, filesystem */
void collect_host_devices(struct host *h);    /* network.c: netdev, netclass, arp */
void collect_host_sockets(struct host *h);    /* sockets.c: sockstat, netstat, softnet, conntrack */

#endif
