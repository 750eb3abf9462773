/* Silences: set, ended, kept in the ledger, found for an alert by one of their equal matchers. */
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/json.h"
#include "base/json_read.h"
#include "base/log.h"
#include "route/inside.h"

#define EXPIRED_KEPT_MS (120 * 3600000LL) /* as Alertmanager does */

enum route_silence_state route_silence_state(const struct route_silence *silence, struct wall now)
{
	if (now.ms < silence->starts.ms)
		return now.ms < silence->ends.ms ? ROUTE_PENDING : ROUTE_EXPIRED;
	return now.ms < silence->ends.ms ? ROUTE_ACTIVE : ROUTE_EXPIRED;
}

/* ---- one silence ---- */

static char *own_text(char **at, struct str text, const char **out)
{
	*out = *at;
	if (text.n > 0)
		memcpy(*at, text.p, text.n);
	*at += text.n + 1; /* the block is zeroed */
	return *at;
}

static struct route_kept *new_kept(struct cx *cx, const struct route_silence_request *request)
{
	struct route_kept *kept = heap_alloc(sizeof(*kept));
	size_t bytes = request->author.n + request->comment.n + 2;
	for (size_t i = 0; i < request->matcher_count; i++)
		bytes += request->matchers[i].name.n + request->matchers[i].value.n + 2;
	char *at = kept->texts = heap_alloc(bytes);
	own_text(&at, request->author, &kept->shown.author);
	own_text(&at, request->comment, &kept->shown.comment);
	kept->matchers = heap_alloc((request->matcher_count + 1) * sizeof(*kept->matchers));
	for (size_t i = 0; i < request->matcher_count; i++) {
		const struct matcher *from = &request->matchers[i];
		const char *name, *value;
		own_text(&at, from->name, &name);
		own_text(&at, from->value, &value);
		/* it compiled before */
		CHECK(route_matcher_make(cx, from->op, str_make(name, from->name.n),
					 str_make(value, from->value.n),
					 &kept->matchers[i]) == RC_OK);
	}
	kept->shown.id = kept->id;
	kept->shown.matchers = kept->matchers;
	kept->shown.matcher_count = request->matcher_count;
	kept->shown.starts = request->starts;
	kept->shown.ends = request->ends;
	return kept;
}

static void free_kept(struct route_kept *kept)
{
	route_matchers_release(kept->matchers, kept->shown.matcher_count);
	free(kept->matchers);
	free(kept->texts);
	free(kept);
}

/* ---- the index: by the first equal matcher with a value ---- */

static void put_key(struct buf *out, struct str name, struct str value)
{
	buf_clear(out);
	buf_put_str(out, name);
	buf_putc(out, '\xff');
	buf_put_str(out, value);
}

static struct route_bucket *bucket_of(struct route *route, const struct route_kept *kept)
{
	for (size_t i = 0; i < kept->shown.matcher_count; i++) {
		const struct matcher *matcher = &kept->matchers[i];
		struct buf key = BUF_INIT;
		if (matcher->op != MATCH_EQUAL || matcher->value.n == 0)
			continue;
		put_key(&key, matcher->name, matcher->value);
		struct route_bucket *bucket = map_get(&route->buckets, buf_str(&key));
		if (bucket == NULL) {
			bucket = heap_alloc(sizeof(*bucket));
			map_put(&route->buckets, buf_str(&key), bucket);
		}
		buf_release(&key);
		return bucket;
	}
	return &route->others;
}

static void add_kept(struct route *route, struct route_kept *kept)
{
	map_put(&route->silences, str_of(kept->id), kept);
	*vec_heap_add(&bucket_of(route, kept)->list) = kept;
}

static void drop_kept(struct route *route, struct route_kept *kept)
{
	struct route_bucket *bucket = bucket_of(route, kept);
	size_t n = 0;
	for (size_t i = 0; i < bucket->list.n; i++)
		if (bucket->list.v[i] != kept)
			bucket->list.v[n++] = bucket->list.v[i];
	bucket->list.n = n;
	(void)map_remove(&route->silences, str_of(kept->id));
	free_kept(kept);
}

/* ---- who is silenced ---- */

struct finding {
	struct wall now;
	const struct labels *labels;
	struct cx *cx; /* NULL: the one with the latest end is enough */
	VEC(const struct route_silence *) list;
	const struct route_silence *latest;
};

static void look_in(struct finding *f, const struct route_bucket *bucket)
{
	for (size_t i = 0; bucket != NULL && i < bucket->list.n; i++) {
		const struct route_silence *silence = &bucket->list.v[i]->shown;
		if (route_silence_state(silence, f->now) != ROUTE_ACTIVE ||
		    !matchers_match(silence->matchers, silence->matcher_count, f->labels))
			continue;
		if (f->latest == NULL || silence->ends.ms > f->latest->ends.ms)
			f->latest = silence;
		const struct route_silence **slot = f->cx == NULL ? NULL : vec_add(f->cx, &f->list);
		if (slot != NULL)
			*slot = silence;
	}
}

static void find(const struct route *route, struct finding *f)
{
	struct buf key = BUF_INIT;
	look_in(f, &route->others);
	for (size_t i = 0; i < f->labels->n && route->buckets.count > 0; i++) {
		put_key(&key, f->labels->v[i].name, f->labels->v[i].value);
		look_in(f, map_get(&route->buckets, buf_str(&key)));
	}
	buf_release(&key);
}

void route_put_muted(const struct route *route, const struct labels *labels, struct buf *out)
{
	struct finding f = {.now = route_now(route), .labels = labels};
	char until[CLOCK_TEXT_BYTES];
	find(route, &f);
	if (f.latest == NULL)
		return;
	clock_format(f.latest->ends, until);
	buf_printf(out, "silence %s by %s until %.16sZ: %s", f.latest->id, f.latest->author, until,
		   f.latest->comment);
}

enum rc route_silenced_by(struct cx *cx, const struct route *route, const struct labels *labels,
			  const struct route_silence ***out, size_t *count)
{
	struct finding f = {.now = route_now(route), .labels = labels, .cx = cx};
	find(route, &f);
	*out = f.list.v;
	*count = f.list.n;
	return cx->arena->exhausted ? RC_LIMIT : RC_OK;
}

/* ---- the record ---- */

static const char *const op_names[] = {"=", "!=", "=~", "!~"};

static void put_record(struct buf *out, const struct route_silence *silence)
{
	struct json json;
	json_init(&json, out);
	json_object(&json);
	json_put_text(&json, "author", silence->author);
	json_put_text(&json, "comment", silence->comment);
	json_put_int(&json, "starts_ms", silence->starts.ms);
	json_put_int(&json, "ends_ms", silence->ends.ms);
	json_put_int(&json, "updated_ms", silence->updated.ms);
	json_key(&json, "matchers");
	json_array(&json);
	for (size_t i = 0; i < silence->matcher_count; i++) {
		json_object(&json);
		json_put_text(&json, "op", op_names[silence->matchers[i].op]);
		json_put_str(&json, "name", silence->matchers[i].name);
		json_put_str(&json, "value", silence->matchers[i].value);
		json_end_object(&json);
	}
	json_end_array(&json);
	json_end_object(&json);
}

static enum rc save(struct cx *cx, struct route *route, const struct route_kept *kept,
		    struct str actor, const char *what, void (*done)(void *context, enum rc rc),
		    void *context)
{
	struct buf value = BUF_INIT, summary = BUF_INIT;
	char until[CLOCK_TEXT_BYTES];
	const struct route_silence *silence = &kept->shown;
	if (route->options.ledger == NULL)
		return RC_OK;
	put_record(&value, silence);
	clock_format(silence->ends, until);
	buf_printf(&summary, "silence %s by %s until %s: %s; mutes ", what, silence->author, until,
		   silence->comment);
	for (size_t i = 0; i < silence->matcher_count; i++) {
		buf_puts(&summary, i == 0 ? "" : ", ");
		matcher_print(&summary, &silence->matchers[i]);
	}
	struct ledger_record record = {ROUTE_SILENCE_RECORD, str_of(kept->id), buf_str(&value)};
	struct ledger_entry entry = {STR("silence"), actor, str_of(kept->id), buf_str(&summary),
				     buf_str(&value)};
	enum rc rc = ledger_commit(cx, route->options.ledger, &entry, &record, 1, done, context);
	buf_release(&value);
	buf_release(&summary);
	return rc;
}

static enum rc read_matchers(struct cx *cx, const cJSON *list, struct matcher **out, size_t *count)
{
	int n = cJSON_GetArraySize(list);
	struct matcher *matchers = cx_array(cx, (size_t)n + 1, sizeof(*matchers));
	const cJSON *item;
	*out = matchers;
	*count = 0;
	if (matchers == NULL)
		return RC_LIMIT;
	cJSON_ArrayForEach(item, list)
	{
		struct str op = json_str_in(item, "op");
		int o = 0;
		while (o < 4 && !str_eq(op, str_of(op_names[o])))
			o++;
		if (o == 4)
			return cx_fail(cx, RC_CORRUPT, "a matcher of a silence cannot be read");
		TRY(route_matcher_make(cx, (enum matcher_op)o, json_str_in(item, "name"),
				       json_str_in(item, "value"), &matchers[*count]));
		++*count;
	}
	return RC_OK;
}

/* One that cannot be read stops no other; the journal has it. */
static void restore(struct cx *cx, void *context, const struct ledger_record *record)
{
	struct route *route = context;
	struct route_silence_request request = {0};
	struct matcher *matchers = NULL;
	size_t count = 0;
	cJSON *object = cJSON_ParseWithLength(record->value.p, record->value.n);
	enum rc rc = read_matchers(cx, cJSON_GetObjectItemCaseSensitive(object, "matchers"),
				   &matchers, &count);
	if (rc == RC_OK && (object == NULL || record->key.n >= ROUTE_ID_BYTES))
		rc = cx_fail(cx, RC_CORRUPT, "a silence cannot be read");
	if (rc == RC_OK) {
		request =
			(struct route_silence_request){.matchers = matchers,
						       .matcher_count = count,
						       .starts = {json_int_in(object, "starts_ms")},
						       .ends = {json_int_in(object, "ends_ms")},
						       .author = json_str_in(object, "author"),
						       .comment = json_str_in(object, "comment")};
		struct route_kept *kept = new_kept(cx, &request);
		memcpy(kept->id, record->key.p, record->key.n);
		kept->shown.updated.ms = json_int_in(object, "updated_ms");
		kept->state = route_silence_state(&kept->shown, route_now(route));
		add_kept(route, kept);
	} else {
		log_failure(cx, "a silence of the ledger is left out");
		cx_clear(cx);
	}
	route_matchers_release(matchers, count);
	cJSON_Delete(object);
}

enum rc route_silences_open(struct cx *cx, struct route *route)
{
	if (route->options.ledger == NULL)
		return RC_OK;
	return ledger_each_record(cx, route->options.ledger, ROUTE_SILENCE_RECORD, restore, route);
}

void route_silences_close(struct route *route)
{
	struct str key;
	void *value;
	for (size_t at = 0; map_next(&route->silences, &at, &key, &value);)
		free_kept(value);
	for (size_t at = 0; map_next(&route->buckets, &at, &key, &value);) {
		struct route_bucket *bucket = value;
		vec_heap_release(&bucket->list);
		free(bucket);
	}
	vec_heap_release(&route->others.list);
	map_release(&route->silences);
	map_release(&route->buckets);
}

/* ---- people set and end them ---- */

static enum rc check_matchers(struct cx *cx, const struct route_silence_request *request)
{
	bool all_match_empty = true;
	if (request->matcher_count == 0 || request->matcher_count > ROUTE_MATCHERS_LIMIT)
		return cx_fail(cx, RC_INVALID, "silence invalid: it takes 1 to %d matchers",
			       ROUTE_MATCHERS_LIMIT);
	for (size_t i = 0; i < request->matcher_count; i++) {
		const struct matcher *matcher = &request->matchers[i];
		if (!labels_name_valid(matcher->name))
			return cx_fail(cx, RC_INVALID,
				       "silence invalid: invalid label name '" STR_FMT "'",
				       STR_ARG(matcher->name));
		all_match_empty = all_match_empty && matcher_matches(matcher, STR(""));
	}
	if (all_match_empty)
		return cx_fail(cx, RC_INVALID,
			       "silence invalid: at least one matcher must not "
			       "match the empty string");
	return RC_OK;
}

static enum rc check(struct cx *cx, const struct route *route,
		     const struct route_silence_request *request)
{
	if (request->starts.ms >= request->ends.ms)
		return cx_fail(cx, RC_INVALID,
			       "failed to create silence: start time must be before end time");
	if (request->ends.ms < route_now(route).ms)
		return cx_fail(cx, RC_INVALID,
			       "failed to create silence: end time can't be in the past");
	if (request->author.n == 0 || request->comment.n == 0)
		return cx_fail(cx, RC_INVALID, "a silence says who made it and why");
	if (request->author.n > ROUTE_TEXT_LIMIT_BYTES ||
	    request->comment.n > ROUTE_TEXT_LIMIT_BYTES)
		return cx_fail(cx, RC_INVALID, "author or comment is longer than %d bytes",
			       ROUTE_TEXT_LIMIT_BYTES);
	return check_matchers(cx, request);
}

static bool same_matchers(const struct route_silence *a, const struct route_silence_request *b)
{
	bool same = a->matcher_count == b->matcher_count;
	for (size_t i = 0; same && i < a->matcher_count; i++)
		same = a->matchers[i].op == b->matchers[i].op &&
		       str_eq(a->matchers[i].name, b->matchers[i].name) &&
		       str_eq(a->matchers[i].value, b->matchers[i].value);
	return same;
}

/* What has muted something stays as it was, but for its end, author and comment. */
static bool can_change(const struct route *route, const struct route_kept *kept,
		       const struct route_silence_request *request)
{
	struct wall now = route_now(route);
	switch (route_silence_state(&kept->shown, now)) {
	case ROUTE_ACTIVE:
		return same_matchers(&kept->shown, request) &&
		       kept->shown.starts.ms / 1000 == request->starts.ms / 1000;
	case ROUTE_PENDING:
		return same_matchers(&kept->shown, request) && request->starts.ms >= now.ms;
	default:
		return false;
	}
}

static void make_id(char id[ROUTE_ID_BYTES])
{
	uint8_t b[16];
	CHECK(RAND_bytes(b, sizeof(b)) == 1);
	b[6] = (uint8_t)((b[6] & 15) | 64); /* RFC 4122, version 4 */
	b[8] = (uint8_t)((b[8] & 63) | 128);
	snprintf(id, ROUTE_ID_BYTES,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
}

static void end_now(struct route *route, struct route_kept *kept)
{
	struct wall now = route_now(route);
	if (now.ms < kept->shown.starts.ms)
		kept->shown.starts = now;
	kept->shown.ends = kept->shown.updated = now;
	kept->state = ROUTE_EXPIRED;
}

enum rc route_silence_set(struct cx *cx, struct route *route,
			  const struct route_silence_request *request, struct str actor,
			  void (*done)(void *context, enum rc rc), void *context, const char **id)
{
	struct route_kept *old = map_get(&route->silences, request->id), *kept;
	struct wall now = route_now(route);
	bool changes = false;
	CHECK_MAGIC(route, ROUTE_MAGIC);
	TRY(check(cx, route, request));
	if (request->id.n > 0 && old == NULL)
		return cx_fail(cx, RC_NOT_FOUND, "silence not found");
	if (route->silences.count >= ROUTE_SILENCES_LIMIT)
		return cx_fail(cx, RC_LIMIT, "there are %d silences, more are not kept",
			       ROUTE_SILENCES_LIMIT);
	kept = new_kept(cx, request);
	if (old != NULL)
		changes = can_change(route, old, request);
	if (changes)
		memcpy(kept->id, old->id, ROUTE_ID_BYTES);
	else
		make_id(kept->id);
	if (!changes && kept->shown.starts.ms < now.ms)
		kept->shown.starts = now;
	kept->shown.updated = now;
	kept->state = route_silence_state(&kept->shown, now);
	enum rc rc = RC_OK;
	if (old != NULL && !changes && route_silence_state(&old->shown, now) != ROUTE_EXPIRED) {
		end_now(route, old);
		rc = save(cx, route, old, actor, "replaced", NULL, NULL);
	}
	if (rc == RC_OK)
		rc = save(cx, route, kept, actor, changes ? "changed" : "set", done, context);
	if (rc != RC_OK) {
		free_kept(kept);
		return rc;
	}
	if (changes)
		drop_kept(route, old);
	add_kept(route, kept);
	*id = kept->id;
	route_judge_all(route);
	return RC_OK;
}

enum rc route_silence_expire(struct cx *cx, struct route *route, struct str id, struct str actor,
			     void (*done)(void *context, enum rc rc), void *context)
{
	struct route_kept *kept = map_get(&route->silences, id);
	CHECK_MAGIC(route, ROUTE_MAGIC);
	if (kept == NULL)
		return cx_fail(cx, RC_NOT_FOUND, "silence not found");
	if (route_silence_state(&kept->shown, route_now(route)) == ROUTE_EXPIRED)
		return cx_fail(cx, RC_CONFLICT, "silence " STR_FMT " already expired", STR_ARG(id));
	end_now(route, kept);
	route_judge_all(route);
	return save(cx, route, kept, actor, "ended", done, context);
}

const struct route_silence *route_silence(const struct route *route, struct str id)
{
	const struct route_kept *kept = map_get(&route->silences, id);
	return kept == NULL ? NULL : &kept->shown;
}

static int listed_first(const void *a, const void *b)
{
	const struct route_kept *left = *(const struct route_kept *const *)a;
	const struct route_kept *right = *(const struct route_kept *const *)b;
	static const int rank[] = {[ROUTE_ACTIVE] = 0, [ROUTE_PENDING] = 1, [ROUTE_EXPIRED] = 2};
	if (left->state != right->state)
		return rank[left->state] - rank[right->state];
	int64_t l = left->state == ROUTE_PENDING ? left->shown.starts.ms : left->shown.ends.ms;
	int64_t r = left->state == ROUTE_PENDING ? right->shown.starts.ms : right->shown.ends.ms;
	int by = l < r ? -1 : l > r;
	if (by == 0)
		return strcmp(left->id, right->id);
	return left->state == ROUTE_EXPIRED ? -by : by;
}

enum rc route_silences(struct cx *cx, const struct route *route, const struct route_silence ***out,
		       size_t *count)
{
	struct wall now = route_now(route);
	const struct route_silence **list = cx_array(cx, route->silences.count + 1, sizeof(*list));
	struct str key;
	void *value;
	*out = list;
	*count = 0;
	if (list == NULL)
		return RC_LIMIT;
	for (size_t at = 0; map_next(&route->silences, &at, &key, &value);) {
		struct route_kept *kept = value;
		kept->state = route_silence_state(&kept->shown, now);
		list[(*count)++] = &kept->shown; /* the first of a kept */
	}
	if (*count > 1)
		qsort(list, *count, sizeof(*list), listed_first);
	return RC_OK;
}

/* ---- time goes on ---- */

static void forget(struct route *route, struct route_kept *kept)
{
	struct arena arena;
	struct cx cx;
	struct ledger_record gone = {ROUTE_SILENCE_RECORD, str_of(kept->id), {0}};
	arena_init(&arena, 65536);
	cx_init(&cx, &arena, loop_clock(route->options.loop));
	if (route->options.ledger != NULL &&
	    ledger_commit(&cx, route->options.ledger, NULL, &gone, 1, NULL, NULL) != RC_OK)
		log_failure(&cx, "an old silence stays in the ledger");
	else
		drop_kept(route, kept);
	arena_release(&arena);
}

bool route_silences_look(struct route *route)
{
	struct wall now = route_now(route);
	VEC(struct route_kept *) old = {0};
	struct str key;
	void *value;
	bool changed = false;
	for (size_t at = 0; map_next(&route->silences, &at, &key, &value);) {
		struct route_kept *kept = value;
		enum route_silence_state state = route_silence_state(&kept->shown, now);
		changed = changed || state != kept->state;
		kept->state = state;
		if (now.ms - kept->shown.ends.ms > EXPIRED_KEPT_MS)
			*vec_heap_add(&old) = kept;
	}
	for (size_t i = 0; i < old.n && i < 100; i++) /* more at the next look */
		forget(route, old.v[i]);
	vec_heap_release(&old);
	return changed;
}
