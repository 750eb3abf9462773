/* The ledger: what happened, append-only, each entry hashing the one before it; and records, the
 * present state of what outlives the process.
 *
 * An entry hashes a salted digest of its payload, and the payload stands in a row of its own that
 * may be erased (privacy, retention) without breaking the chain. A change of state and the entry
 * that says why are one transaction. Writes are grouped: what queued while a commit ran is
 * committed at once, durably and in order, on a worker that waits for no reader. 32 MiB of the disk
 * are held in reserve, given up when it is full, so that pages are still recorded. Format:
 * docs/formats/ledger.md. */
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include "base/cx.h"
#include "sys/loop.h"

struct ledger;

struct ledger_entry {
	struct str kind;    /* "reload", "deploy", "promise", "start", "stop", "sign-in" */
	struct str actor;   /* who: a person, or "backline" */
	struct str subject; /* what it is about: a promise's id, a component */
	struct str summary; /* one line for people */
	struct str details; /* JSON, or "" */
};

/* The present state of one thing, JSON as its owner writes it: ("page", "P-17", {...}). */
struct ledger_record {
	struct str kind, key;
	struct str value; /* .p NULL: the record is removed */
};

/* Opens or makes the file; blocking, at start. A path of NULL: in memory, gone when it is closed.
 */
enum rc ledger_open(struct cx *cx, struct loop *loop, const char *path,
		    struct ledger **out) NODISCARD;
/* Commits what is queued, then closes. */
void ledger_close(struct ledger **ledger);

/* Queues an entry, stamped with the present time; everything is copied. `done` (may be NULL) runs
 * on the loop once it is durable, or with the failure. RC_BUSY when too many wait. Loop thread. */
enum rc ledger_append(struct cx *cx, struct ledger *ledger, const struct ledger_entry *entry,
		      void (*done)(void *context, enum rc rc), void *context) NODISCARD;

/* The same with records that change in the same transaction; entry may be NULL where the change is
 * no act of anybody. Commits end in the order they were asked for. */
enum rc ledger_commit(struct cx *cx, struct ledger *ledger, const struct ledger_entry *entry,
		      const struct ledger_record *records, size_t record_count,
		      void (*done)(void *context, enum rc rc), void *context) NODISCARD;
/* All records of a kind by their keys' order, as they are committed. Blocking: at start. */
enum rc ledger_records(struct cx *cx, struct ledger *ledger, struct str kind,
		       struct ledger_record **out, size_t *count) NODISCARD;

/* The same one by one: what `each` is given and what it takes of cx lasts for that call alone, so
 * that together they may be larger than the budget. */
enum rc ledger_each_record(struct cx *cx, struct ledger *ledger, struct str kind,
			   void (*each)(struct cx *cx, void *context,
					const struct ledger_record *record),
			   void *context) NODISCARD;

struct ledger_row {
	int64_t seq;
	struct wall at;
	struct str kind, actor, subject, summary, details; /* the last two "" when erased */
	bool erased;
};

struct ledger_filter {
	int64_t before;    /* seq below this; 0: all */
	const char *kind;  /* NULL: all */
	struct wall since; /* not older; 0: all */
	size_t limit;
};
/* The newest entries that pass, newest first, in cx->arena. Blocking: on a worker or at the command
 * line; opens the file for itself, read only. */
enum rc ledger_read(struct cx *cx, const char *path, const struct ledger_filter *filter,
		    struct ledger_row **out, size_t *count) NODISCARD;

/* The same of a ledger of this process, in memory too, while nothing waits to be written. */
enum rc ledger_read_open(struct cx *cx, const struct ledger *ledger,
			 const struct ledger_filter *filter, struct ledger_row **out,
			 size_t *count) NODISCARD;

struct ledger_report {
	int64_t entries, erased;
	int64_t bad_seq;   /* 0 when whole */
	char problem[200]; /* "" when whole */
};
/* Walks the chain from its first entry. RC_OK with the report also when something is wrong.
 * Blocking. */
enum rc ledger_verify(struct cx *cx, const char *path, struct ledger_report *out) NODISCARD;

struct ledger_stats {
	uint64_t entries, commits, failures;
	size_t waiting;
	bool reserve_used; /* the disk was full, and has not had room for the reserve since */
};
void ledger_stats(const struct ledger *ledger, struct ledger_stats *out);

#endif
