/* Child processes: argument lists (never a shell), a clean environment, limits, time-outs. */
#ifndef SYS_PROCESS_H
#define SYS_PROCESS_H

#include "sys/loop.h"

struct process_options {
	const char *const *argv;     /* NULL-terminated; argv[0] is a path */
	const char *const *env;      /* NULL-terminated "K=V"; NULL: PATH and LANG only */
	const char *directory;       /* NULL: / */
	struct str input;            /* copied, written to its standard input */
	size_t output_limit_bytes;   /* of stdout and stderr each; more is cut and said */
	struct dur timeout;          /* then SIGTERM, 5 s later SIGKILL, to the whole group */
	uint64_t memory_limit_bytes; /* RLIMIT_AS, set once it runs; 0 none */
	uid_t uid;                   /* 0: as we are */
	gid_t gid;
};

struct process_result {
	int exit_code; /* -1 when ended by a signal */
	int signal;
	bool timed_out, output_cut;
	struct dur took;
	struct str output, errors; /* valid during the call-back */
};

/* `done` runs exactly once on the loop, after the child and all that is left of its group ended;
 * never when this fails (RC_NOT_FOUND, RC_DENIED, RC_IO). All of options is copied. Loop thread. */
enum rc process_run(struct cx *cx, struct loop *loop, const struct process_options *options,
		    void (*done)(const struct process_result *result, void *context),
		    void *context) NODISCARD;

/* To the hard limit: each connection and each target takes one; the usual soft limit is from the
 * days of select(). */
void process_raise_open_files(void);

#endif
