/* The head: what was appended since the last flush, in memory.
 *
 * Series are spread over shards by the hash of their labels; a reference leads to its series
 * without a lock. Samples are changed by one commit at a time, under the store's commit lock;
 * readers note under that lock which chunks there are, and look at them afterwards without it:
 * a chunk never changes but that a raw one grows behind what the reader noted. What a reader may
 * still look at is given up through `reclaim`.
 *
 * Locks, in this order: commit lock (the store's), shard, index, order, slots. Private to tsdb/. */
#ifndef TSDB_HEAD_HEAD_H
#define TSDB_HEAD_HEAD_H

#include <pthread.h>

#include "model/sample.h"
#include "tsdb/head/reclaim.h"
#include "tsdb/index/labels_bytes.h"
#include "tsdb/index/postings.h"

#define HEAD_SHARDS 32
#define HEAD_RAW_SAMPLES 64 /* encoded at so many; small, for every series keeps one raw */

/* Samples in time order, raw or encoded. A raw one that still grows is `open` of its series. */
struct head_chunk {
	struct head_chunk *older;
	int64_t min_ms, max_ms; /* max of an open one: see head_chunk_time() */
	uint32_t n;
	uint32_t capacity; /* raw: samples; 0 when encoded */
	uint32_t length;   /* bytes when encoded */
	char bytes[] __attribute__((aligned(8)));
};

/* A raw chunk's columns. */
static inline double *head_chunk_values(const struct head_chunk *chunk)
{
	return (double *)(uintptr_t)chunk->bytes;
}
static inline uint32_t *head_chunk_offsets(const struct head_chunk *chunk) /* ms from min_ms */
{
	return (uint32_t *)(uintptr_t)(chunk->bytes + chunk->capacity * sizeof(double));
}
static inline int64_t head_chunk_time(const struct head_chunk *chunk, size_t i)
{
	return chunk->min_ms + head_chunk_offsets(chunk)[i];
}

struct head_series {
	uint64_t ref, hash;
	int64_t newest_ms; /* INT64_MIN: none yet; atomic for whoever holds no lock */
	double newest;
	struct head_chunk *open, *sealed; /* sealed: newest first */
	uint64_t logged_segment;          /* of the log, where `newest` stands whole */
	uint32_t pins;                    /* atomic: batches that hold samples for it */
	uint32_t rank;                    /* by labels, among those that are ranked */
	bool dead;                        /* atomic */
	bool in_series_file;
	uint32_t labels_length;
	char labels[]; /* as bytes */
};

static inline struct str head_series_labels(const struct head_series *series)
{
	return str_make(series->labels, series->labels_length);
}

struct head_shard {
	pthread_mutex_t lock;
	struct head_bucket *buckets;
	size_t count, capacity; /* power of two or 0 */
};

struct head {
	struct head_shard shards[HEAD_SHARDS];
	pthread_rwlock_t index_lock;
	struct postings_index index;
	pthread_mutex_t slots_lock;
	struct head_series **slots[2048]; /* segments of HEAD_SEGMENT, never moved */
	uint32_t slot_count;
	uint64_t generation; /* in the upper half of new references */
	VEC(uint32_t) free_slots;
	pthread_mutex_t order_lock;
	VEC(struct head_series *) ranked, unranked; /* by labels; since the last ranking */
	struct reclaim reclaim;
	size_t series_count;    /* atomic */
	size_t series_refused;  /* atomic: by a limit */
	size_t chunk_count;     /* under the commit lock */
	int64_t min_ms, max_ms; /* of all samples, atomic; min > max when empty */
	int64_t newest_ms;      /* ever appended, atomic; INT64_MIN: none */
	int64_t out_of_order_ms;
};

void tsdb_head_init(struct head *head, struct dur out_of_order);
void tsdb_head_release(struct head *head);

/* ---- series ---- */

/* NULL when the reference does not hold (any more). The caller is inside `reclaim`. Pinned: it
 * cannot be dropped until tsdb_head_unpin(). */
struct head_series *tsdb_head_pin_by_ref(struct head *head, uint64_t ref);
struct head_series *tsdb_head_pin_by_labels(struct head *head, const struct labels_key *key);
/* Finds or adds; *added tells. ref 0 takes the next one. RC_LIMIT beyond series_limit or, for one
 * `job`, beyond job_limit (0: none). */
enum rc tsdb_head_pin_or_add(struct cx *cx, struct head *head, const struct labels_key *key,
			     uint64_t ref, size_t series_limit, size_t job_limit,
			     struct head_series **out) NODISCARD;
void tsdb_head_unpin(struct head_series *series);
struct head_series *tsdb_head_by_ref(const struct head *head, uint64_t ref);
/* References of later series are above all of these. */
void tsdb_head_reserve_refs(struct head *head, uint64_t ref);
/* After series were added with references of their own. */
void tsdb_head_find_free_slots(struct head *head);
bool tsdb_head_slot_is_free(const struct head *head, uint64_t ref);
/* Of a set of the index; the caller holds the index lock. */
struct head_series *tsdb_head_in_slot(const struct head *head, uint32_t slot);
/* Sorts by labels; what is being dropped is left out. */
void tsdb_head_sort(struct head *head, struct head_series **series, size_t *count);
/* Series sorted by labels, as they are now. On the heap: the caller frees. */
struct head_series **tsdb_head_sorted(struct head *head, size_t *count);
/* Drops series that hold no samples and none newer than `quiet_ms`. Returns how many. */
size_t tsdb_head_drop_quiet(struct head *head, int64_t quiet_ms, pthread_rwlock_t *commit_lock);

/* ---- samples; the caller holds the commit lock ---- */

enum head_verdict { HEAD_TAKEN, HEAD_SAME, HEAD_DUPLICATE, HEAD_OUT_OF_ORDER };
/* Late is what is older than the newest sample by more than the window; where that one is of the
 * future, for the clock was wrong when it came, older than now_ms. INT64_MAX: it is not. */
enum head_verdict tsdb_head_judge(const struct head *head, const struct head_series *series,
				  int64_t t_ms, double value, int64_t now_ms);
void tsdb_head_append(struct head *head, struct head_series *series, int64_t t_ms, double value);
/* What is open becomes the newest sealed one, as it is. */
void tsdb_head_close_open(struct head_series *series);
/* Forgets `from` and all that is older. */
void tsdb_head_forget(struct head *head, struct head_series *series, struct head_chunk *from);

/* What is known of the newest sample, when that lies in [from_ms, to_ms] and not in memory. */
void tsdb_head_forget_newest(struct head_series *series, int64_t from_ms, int64_t to_ms);

/* Appends up to n samples of a chunk that was noted with n; columns have room. */
enum rc tsdb_head_decode(struct cx *cx, const struct head_chunk *chunk, size_t n, int64_t *t_ms,
			 double *values) NODISCARD;

#endif
