/* What heartbeat's files share. Private to heartbeat/. */
#ifndef HEARTBEAT_INSIDE_H
#define HEARTBEAT_INSIDE_H

#include "heartbeat/heartbeat.h"

#define HEARTBEATS_MAGIC 0x4ea47001U
#define HEARTBEAT_RECORD STR("heartbeat")
#define HEARTBEAT_WORK_BYTES (1 << 20)
#define HEARTBEAT_MESSAGE_LIMIT_BYTES 4096

struct held {
	struct heartbeats *owner;
	struct heartbeat heartbeat;
	char *name, *message;
	struct mono base;       /* `every` counts from here: the last report, or since when known */
	struct mono started_at; /* as heartbeat.started */
	bool in_plan;
};

struct held_watcher; /* watcher.c */

struct heartbeats {
	unsigned magic;
	struct heartbeat_options options;
	struct plan *plan;
	struct mono opened;
	const struct heartbeat_pulse *pulse; /* NULL: none */
	VEC(struct held *) list;
	VEC(struct held_watcher *) watchers;
	struct loop_timer timer;
};

/* store.c */
enum rc heartbeat_restore(struct cx *cx, struct heartbeats *heartbeats) NODISCARD;
/* The record, and the entry unless NULL. */
enum rc heartbeat_save(struct cx *cx, const struct held *held, const struct ledger_entry *entry,
		       void (*done)(void *context, enum rc rc), void *context) NODISCARD;
struct held *heartbeat_add(struct heartbeats *heartbeats, struct str name);
void heartbeat_set_message(struct held *held, struct str message);

void heartbeat_make_token(char out[HEARTBEAT_TOKEN_BYTES]);

/* judge.c: pure. The state now, and after how long it must be judged again. */
struct heartbeat_times {
	struct wall wall;
	struct mono mono;
	struct mono opened; /* what was due while we were down has its grace from here on */
};
enum heartbeat_state heartbeat_judge(struct held *held, struct heartbeat_times now,
				     struct dur *again);

/* watcher.c */
void heartbeat_set_watchers(struct heartbeats *heartbeats, const struct plan *plan);
void heartbeat_close_watchers(struct heartbeats *heartbeats);

#endif
