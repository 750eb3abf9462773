/* Series: shards by hash, slots by reference, the order by labels, and dropping those that ended.
 */
#include <stdlib.h>

#include "base/check.h"
#include "tsdb/head/head.h"

#define SEGMENT 8192 /* slots */
#define GENERATION_SHIFT 32

struct head_bucket {
	uint64_t hash;
	struct head_series *series; /* NULL: empty */
};

void tsdb_head_init(struct head *head, struct dur out_of_order)
{
	*head = (struct head){.min_ms = INT64_MAX,
			      .max_ms = INT64_MIN,
			      .newest_ms = INT64_MIN,
			      .out_of_order_ms = out_of_order.ms};
	for (size_t i = 0; i < HEAD_SHARDS; i++)
		pthread_mutex_init(&head->shards[i].lock, NULL);
	pthread_rwlock_init(&head->index_lock, NULL);
	pthread_mutex_init(&head->slots_lock, NULL);
	pthread_mutex_init(&head->order_lock, NULL);
	tsdb_postings_init(&head->index);
	tsdb_reclaim_init(&head->reclaim);
}

static void free_series(struct head_series *series)
{
	while (series->sealed != NULL) {
		struct head_chunk *older = series->sealed->older;
		free(series->sealed);
		series->sealed = older;
	}
	free(series->open);
	free(series);
}

void tsdb_head_release(struct head *head)
{
	for (uint32_t slot = 0; slot < head->slot_count; slot++) {
		struct head_series *series = head->slots[slot / SEGMENT][slot % SEGMENT];
		if (series != NULL)
			free_series(series);
	}
	for (size_t i = 0; i * SEGMENT < head->slot_count; i++)
		free(head->slots[i]);
	for (size_t i = 0; i < HEAD_SHARDS; i++) {
		free(head->shards[i].buckets);
		pthread_mutex_destroy(&head->shards[i].lock);
	}
	vec_heap_release(&head->free_slots);
	vec_heap_release(&head->ranked);
	vec_heap_release(&head->unranked);
	tsdb_postings_release(&head->index);
	tsdb_reclaim_release(&head->reclaim);
	pthread_rwlock_destroy(&head->index_lock);
	pthread_mutex_destroy(&head->slots_lock);
	pthread_mutex_destroy(&head->order_lock);
}

/* ---- slots ---- */

static struct head_series *const *slot_of(const struct head *head, uint64_t ref)
{
	uint64_t slot = (ref & 0xffffffffU) - 1;
	if (ref == 0 || slot >= __atomic_load_n(&head->slot_count, __ATOMIC_ACQUIRE))
		return NULL;
	return &head->slots[slot / SEGMENT][slot % SEGMENT];
}

struct head_series *tsdb_head_by_ref(const struct head *head, uint64_t ref)
{
	struct head_series *const *slot = slot_of(head, ref);
	struct head_series *series = slot == NULL ? NULL : __atomic_load_n(slot, __ATOMIC_ACQUIRE);
	return series != NULL && series->ref == ref ? series : NULL;
}

struct head_series *tsdb_head_in_slot(const struct head *head, uint32_t slot)
{
	return slot == 0 ? NULL
			 : __atomic_load_n(&head->slots[(slot - 1) / SEGMENT][(slot - 1) % SEGMENT],
					   __ATOMIC_ACQUIRE);
}

bool tsdb_head_slot_is_free(const struct head *head, uint64_t ref)
{
	struct head_series *const *slot = slot_of(head, ref);
	return slot == NULL || *slot == NULL;
}

void tsdb_head_reserve_refs(struct head *head, uint64_t ref)
{
	if (ref >> GENERATION_SHIFT >= head->generation)
		head->generation = (ref >> GENERATION_SHIFT) + 1;
}

void tsdb_head_find_free_slots(struct head *head)
{
	for (uint32_t slot = 1; slot <= head->slot_count; slot++)
		if (tsdb_head_in_slot(head, slot) == NULL)
			*vec_heap_add(&head->free_slots) = slot;
}

static bool grow_slots(struct head *head, uint32_t count)
{
	if (count > SEGMENT * (sizeof(head->slots) / sizeof(*head->slots)))
		return false;
	for (uint32_t at = head->slot_count; at < count; at++)
		if (head->slots[at / SEGMENT] == NULL)
			head->slots[at / SEGMENT] = heap_alloc(SEGMENT * sizeof(**head->slots));
	__atomic_store_n(&head->slot_count, count, __ATOMIC_RELEASE);
	return true;
}

static void fill_slot(struct head *head, uint64_t ref, struct head_series *series)
{
	size_t slot = (uint32_t)ref - 1;
	__atomic_store_n(&head->slots[slot / SEGMENT][slot % SEGMENT], series, __ATOMIC_RELEASE);
}

/* A new one gets a reference; one that was read back keeps its own. */
static bool take_slot(struct head *head, struct head_series *series, uint64_t ref)
{
	bool taken = true;
	pthread_mutex_lock(&head->slots_lock);
	if (ref != 0) {
		uint32_t slot = (uint32_t)ref;
		if (slot > head->slot_count)
			taken = grow_slots(head, slot);
	} else if (head->free_slots.n > 0) {
		uint32_t slot = head->free_slots.v[--head->free_slots.n];
		ref = head->generation << GENERATION_SHIFT | slot;
	} else {
		taken = grow_slots(head, head->slot_count + 1);
		ref = head->generation << GENERATION_SHIFT | head->slot_count;
	}
	if (taken) {
		series->ref = ref;
		fill_slot(head, ref, series);
	}
	pthread_mutex_unlock(&head->slots_lock);
	return taken;
}

/* ---- shards ---- */

static struct head_shard *shard_of(struct head *head, uint64_t hash)
{
	return &head->shards[hash >> 59];
}

static struct head_bucket *bucket_of(const struct head_shard *shard, uint64_t hash,
				     struct str labels)
{
	size_t mask = shard->capacity - 1, at = hash & mask;
	for (;; at = (at + 1) & mask) {
		struct head_bucket *bucket = &shard->buckets[at];
		if (bucket->series == NULL ||
		    (bucket->hash == hash && str_eq(head_series_labels(bucket->series), labels)))
			return bucket;
	}
}

static void grow_shard(struct head_shard *shard)
{
	struct head_shard larger = *shard;
	if ((shard->count + 1) * 10 < shard->capacity * 7)
		return;
	larger.capacity = shard->capacity == 0 ? 16 : shard->capacity * 2;
	larger.buckets = heap_alloc(larger.capacity * sizeof(*larger.buckets));
	for (size_t i = 0; i < shard->capacity; i++) {
		struct head_bucket *from = &shard->buckets[i];
		if (from->series != NULL)
			*bucket_of(&larger, from->hash, head_series_labels(from->series)) = *from;
	}
	free(shard->buckets);
	shard->buckets = larger.buckets;
	shard->capacity = larger.capacity;
}

/* Linear probing: what follows moves up into the gap. */
static void empty_bucket(struct head_shard *shard, struct head_bucket *bucket)
{
	size_t mask = shard->capacity - 1, gap = (size_t)(bucket - shard->buckets);
	for (size_t at = (gap + 1) & mask; shard->buckets[at].series != NULL;
	     at = (at + 1) & mask) {
		size_t home = shard->buckets[at].hash & mask;
		if (((at - home) & mask) < ((at - gap) & mask))
			continue;
		shard->buckets[gap] = shard->buckets[at];
		gap = at;
	}
	shard->buckets[gap] = (struct head_bucket){0};
	shard->count--;
}

static void pin(struct head_series *series)
{
	__atomic_add_fetch(&series->pins, 1, __ATOMIC_SEQ_CST);
}

void tsdb_head_unpin(struct head_series *series)
{
	__atomic_sub_fetch(&series->pins, 1, __ATOMIC_SEQ_CST);
}

/* Whoever drops a series says so first and looks at the pins then; here it is the other way
 * round: one of both sees the other. */
struct head_series *tsdb_head_pin_by_ref(struct head *head, uint64_t ref)
{
	struct head_series *series = tsdb_head_by_ref(head, ref);
	if (series == NULL)
		return NULL;
	pin(series);
	if (!__atomic_load_n(&series->dead, __ATOMIC_SEQ_CST))
		return series;
	tsdb_head_unpin(series);
	return NULL;
}

static struct head_series *find_in(struct head_shard *shard, const struct labels_key *key)
{
	struct head_series *series =
		shard->capacity == 0 ? NULL : bucket_of(shard, key->hash, key->bytes)->series;
	if (series != NULL)
		pin(series);
	return series;
}

struct head_series *tsdb_head_pin_by_labels(struct head *head, const struct labels_key *key)
{
	struct head_shard *shard = shard_of(head, key->hash);
	pthread_mutex_lock(&shard->lock);
	struct head_series *series = find_in(shard, key);
	pthread_mutex_unlock(&shard->lock);
	return series;
}

/* ---- adding ---- */

/* What a scrape tells of itself: with a job at its limit that is what must not be missing. */
static bool is_report(const struct labels *labels)
{
	struct str name = labels_get(labels, LABELS_NAME);
	return str_is(name, "up") || str_starts(name, STR("scrape_"));
}

static enum rc check_limits(struct cx *cx, struct head *head, const struct labels *labels,
			    size_t series_limit, size_t job_limit)
{
	struct str job = labels_get(labels, STR("job"));
	if (__atomic_load_n(&head->series_count, __ATOMIC_RELAXED) >= series_limit) {
		enum rc rc = cx_fail(cx, RC_LIMIT, "the store holds %zu series, its limit",
				     series_limit);
		cx_hint(cx, "Find what makes them at /api/v1/status/tsdb, or raise the limit.");
		return rc;
	}
	if (job_limit == 0 || job.n == 0 || is_report(labels))
		return RC_OK;
	pthread_rwlock_rdlock(&head->index_lock);
	size_t held = tsdb_postings_count(&head->index, STR("job"), job);
	pthread_rwlock_unlock(&head->index_lock);
	if (held < job_limit)
		return RC_OK;
	return cx_fail(cx, RC_LIMIT, "job '" STR_FMT "' has %zu series, the limit for one job",
		       STR_ARG(job), job_limit);
}

static struct head_series *make_series(const struct labels_key *key)
{
	struct head_series *series = heap_alloc(sizeof(*series) + key->bytes.n);
	series->hash = key->hash;
	series->newest_ms = INT64_MIN;
	series->labels_length = (uint32_t)key->bytes.n;
	memcpy(series->labels, key->bytes.p, key->bytes.n);
	return series;
}

static void put_in_index(struct head *head, struct head_series *series,
			 const struct labels_key *key)
{
	pthread_rwlock_wrlock(&head->index_lock);
	tsdb_postings_put(&head->index, key->labels, (uint32_t)series->ref);
	pthread_rwlock_unlock(&head->index_lock);
	pthread_mutex_lock(&head->order_lock);
	*vec_heap_add(&head->unranked) = series;
	pthread_mutex_unlock(&head->order_lock);
	__atomic_add_fetch(&head->series_count, 1, __ATOMIC_RELAXED);
}

enum rc tsdb_head_pin_or_add(struct cx *cx, struct head *head, const struct labels_key *key,
			     uint64_t ref, size_t series_limit, size_t job_limit,
			     struct head_series **out)
{
	struct head_shard *shard = shard_of(head, key->hash);
	enum rc rc = RC_OK;
	pthread_mutex_lock(&shard->lock);
	struct head_series *series = find_in(shard, key);
	if (series == NULL)
		rc = check_limits(cx, head, key->labels, series_limit, job_limit);
	if (rc != RC_OK)
		__atomic_add_fetch(&head->series_refused, 1, __ATOMIC_RELAXED);
	if (series == NULL && rc == RC_OK) {
		series = make_series(key);
		if (take_slot(head, series, ref)) {
			grow_shard(shard);
			*bucket_of(shard, key->hash, key->bytes) =
				(struct head_bucket){key->hash, series};
			shard->count++;
			pin(series);
			put_in_index(head, series, key);
		} else {
			free_series(series);
			series = NULL;
			rc = cx_fail(cx, RC_LIMIT, "the store has no room for more series");
		}
	}
	pthread_mutex_unlock(&shard->lock);
	*out = series;
	return rc;
}

/* ---- the order by labels ---- */

static int by_labels(const void *a, const void *b)
{
	const struct head_series *const *left = a, *const *right = b;
	return tsdb_labels_order(head_series_labels(*left), head_series_labels(*right));
}

/* Few are new at a time: they are sorted alone, then merged from behind. */
static void rank_new(struct head *head)
{
	size_t added = head->unranked.n, left = head->ranked.n;
	if (added == 0)
		return;
	qsort(head->unranked.v, added, sizeof(*head->unranked.v), by_labels);
	for (size_t i = 0; i < added; i++)
		*vec_heap_add(&head->ranked) = NULL;
	struct head_series **all = head->ranked.v;
	for (size_t at = head->ranked.n; added > 0; at--) {
		bool from_old =
			left > 0 && by_labels(&all[left - 1], &head->unranked.v[added - 1]) > 0;
		all[at - 1] = from_old ? all[--left] : head->unranked.v[--added];
	}
	head->unranked.n = 0;
	for (size_t i = 0; i < head->ranked.n; i++)
		all[i]->rank = (uint32_t)i;
}

struct head_series **tsdb_head_sorted(struct head *head, size_t *count)
{
	pthread_mutex_lock(&head->order_lock);
	rank_new(head);
	*count = head->ranked.n;
	struct head_series **sorted = heap_alloc((*count + 1) * sizeof(*sorted));
	if (*count > 0)
		memcpy(sorted, head->ranked.v, *count * sizeof(*sorted));
	pthread_mutex_unlock(&head->order_lock);
	return sorted;
}

struct ranked {
	uint32_t rank;
	struct head_series *series;
};

/* Least significant digit first: ranks are dense, so two or three rounds do. */
static struct ranked *sort_ranks(struct ranked *from, struct ranked *to, size_t n, uint32_t most)
{
	for (unsigned shift = 0; shift < 32 && most >> shift != 0; shift += 11) {
		size_t starts[2048] = {0}, at = 0;
		for (size_t i = 0; i < n; i++)
			starts[from[i].rank >> shift & 2047]++;
		for (size_t digit = 0; digit < 2048; digit++) {
			size_t count = starts[digit];
			starts[digit] = at;
			at += count;
		}
		for (size_t i = 0; i < n; i++)
			to[starts[from[i].rank >> shift & 2047]++] = from[i];
		struct ranked *swapped = from;
		from = to;
		to = swapped;
	}
	return from;
}

void tsdb_head_sort(struct head *head, struct head_series **series, size_t *count)
{
	struct ranked *room = heap_alloc((*count * 2 + 1) * sizeof(*room));
	size_t n = 0;
	pthread_mutex_lock(&head->order_lock);
	rank_new(head);
	uint32_t most = (uint32_t)head->ranked.n;
	for (size_t i = 0; i < *count; i++)
		if (series[i] != NULL && !__atomic_load_n(&series[i]->dead, __ATOMIC_SEQ_CST))
			room[n++] = (struct ranked){series[i]->rank, series[i]};
	pthread_mutex_unlock(&head->order_lock);
	const struct ranked *sorted = sort_ranks(room, room + n, n, most);
	for (size_t i = 0; i < n; i++)
		series[i] = sorted[i].series;
	*count = n;
	free(room);
}

/* ---- dropping ---- */

static bool may_go(struct head_series *series, int64_t quiet_ms)
{
	if (series->open != NULL || series->sealed != NULL || series->newest_ms > quiet_ms)
		return false;
	__atomic_store_n(&series->dead, true, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&series->pins, __ATOMIC_SEQ_CST) == 0)
		return true;
	__atomic_store_n(&series->dead, false, __ATOMIC_SEQ_CST);
	return false;
}

static void drop(struct head *head, struct head_series *series)
{
	struct label pairs[LABELS_LIMIT];
	struct labels labels;
	bool fine = tsdb_labels_read(head_series_labels(series), pairs, &labels);
	CHECK(fine);
	pthread_rwlock_wrlock(&head->index_lock);
	tsdb_postings_remove(&head->index, &labels, (uint32_t)series->ref);
	pthread_rwlock_unlock(&head->index_lock);
	pthread_mutex_lock(&head->slots_lock);
	fill_slot(head, series->ref, NULL);
	pthread_mutex_unlock(&head->slots_lock);
	__atomic_sub_fetch(&head->series_count, 1, __ATOMIC_RELAXED);
}

/* No commit meanwhile: what is found without samples stays so, and whoever pins it afterwards sees
 * that it is dead. */
static void drop_from_shard(struct head *head, struct head_shard *shard, int64_t quiet_ms,
			    pthread_rwlock_t *commit_lock)
{
	pthread_rwlock_rdlock(commit_lock);
	pthread_mutex_lock(&shard->lock);
	for (size_t i = 0; i < shard->capacity; i++) {
		struct head_bucket *bucket = &shard->buckets[i];
		/* another one may move into the gap */
		while (bucket->series != NULL && may_go(bucket->series, quiet_ms)) {
			drop(head, bucket->series);
			empty_bucket(shard, bucket);
		}
	}
	pthread_mutex_unlock(&shard->lock);
	pthread_rwlock_unlock(commit_lock);
}

size_t tsdb_head_drop_quiet(struct head *head, int64_t quiet_ms, pthread_rwlock_t *commit_lock)
{
	size_t kept = 0, dropped = 0;
	for (size_t i = 0; i < HEAD_SHARDS; i++)
		drop_from_shard(head, &head->shards[i], quiet_ms, commit_lock);
	pthread_mutex_lock(&head->order_lock);
	rank_new(head);
	pthread_mutex_lock(&head->slots_lock);
	/* a slot is free only now: whoever takes it again gets another reference, for senders
	 * remember those of series that ended */
	head->generation++;
	for (size_t i = 0; i < head->ranked.n; i++) {
		struct head_series *series = head->ranked.v[i];
		if (__atomic_load_n(&series->dead, __ATOMIC_SEQ_CST)) {
			*vec_heap_add(&head->free_slots) = (uint32_t)series->ref;
			tsdb_reclaim_retire(&head->reclaim, series);
			dropped++;
			continue;
		}
		series->rank = (uint32_t)kept;
		head->ranked.v[kept++] = series;
	}
	head->ranked.n = kept;
	pthread_mutex_unlock(&head->slots_lock);
	pthread_mutex_unlock(&head->order_lock);
	return dropped;
}
