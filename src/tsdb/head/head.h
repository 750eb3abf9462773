/* The head: series of the last hours in memory. Appends on the loop thread, reads on any: one
 * reader-writer lock. Private to tsdb/. */
#ifndef TSDB_HEAD_HEAD_H
#define TSDB_HEAD_HEAD_H

#include <pthread.h>

#include "base/map.h"
#include "tsdb/tsdb.h"

struct head_chunk {
	int64_t min_ms, max_ms;
	char *bytes;
	size_t length;
};

struct head_series {
	uint64_t ref;
	struct labels labels; /* owned */
	VEC(struct head_chunk) sealed;
	int64_t *t_ms; /* open samples, in order */
	double *values;
	uint16_t open, capacity;
	bool logged;      /* stands in the write-ahead log */
	bool has_pending; /* the batch under way holds samples; its newest: */
	int64_t pending_ms;
	double pending_value;
};

struct head {
	pthread_rwlock_t lock;
	struct map by_labels;             /* encoded labels -> head_series */
	VEC(struct head_series *) by_ref; /* ref - 1; NULL when dropped */
	size_t series_count;
	int64_t min_ms, max_ms; /* of all samples; min > max when empty */
	int64_t floor_ms;       /* older samples stand in blocks */
	int64_t refuse_ms;      /* older samples are refused: the floor, or what is being cut */
	struct dur out_of_order;
};

void tsdb_head_init(struct head *head, struct dur out_of_order);
void tsdb_head_release(struct head *head);
struct head_series *tsdb_head_by_ref(struct head *head, uint64_t ref);
struct head_series *tsdb_head_find(struct head *head, const struct labels *labels);
/* ref 0 takes the next one. Takes the write lock. */
struct head_series *tsdb_head_add_series(struct head *head, const struct labels *labels,
					 uint64_t ref);

enum head_verdict { HEAD_TAKEN, HEAD_SAME, HEAD_DUPLICATE, HEAD_OUT_OF_ORDER };
/* Whether a sample would be taken. No lock: the loop thread is the only writer. */
enum head_verdict tsdb_head_judge(const struct head *head, const struct head_series *series,
				  int64_t t_ms, double value);
/* The caller holds the write lock. */
void tsdb_head_append(struct head *head, struct head_series *series, int64_t t_ms, double value);
/* Adds the series' samples of [from, to] to the two growing columns. The caller holds a lock. */
enum rc tsdb_head_read(struct cx *cx, const struct head_series *series, int64_t from_ms,
		       int64_t to_ms, struct buf *t_ms, struct buf *values) NODISCARD;
/* Drops what is older than floor_ms, and series that have nothing left. Takes the write lock. */
void tsdb_head_truncate(struct head *head, int64_t floor_ms);

#endif
