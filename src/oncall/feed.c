/* Calendars by secret addresses: made, listed, revoked, answered. */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/json.h"
#include "base/json_read.h"
#include "base/log.h"
#include "oncall/inside.h"

#define FEED_RECORD STR("oncall-feed")
#define FEEDS_LIMIT 1000
#define TOKEN_RANDOM_BYTES 20 /* 160 bits, 40 letters */
/* A calendar begins on a grid: what its beginning cuts in two is the same event for four weeks. */
#define GRID_MS (28LL * CIVIL_DAY_S * 1000)
#define AHEAD_MS (183LL * CIVIL_DAY_S * 1000)

static void digest_of(struct str token, char out[ONCALL_DIGEST_BYTES])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	CHECK(EVP_Digest(token.p, token.n, digest, &length, EVP_sha256(), NULL) == 1);
	for (int i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

void oncall_feed_free(struct held_feed *held)
{
	const char *all[] = {held->feed.id, held->feed.schedule, held->feed.person, held->feed.by};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		free((void *)(uintptr_t)all[i]);
	free(held);
}

static const char *own(struct str text)
{
	return text.n == 0 ? NULL : heap_copy(text.p, text.n);
}

static struct held_feed *new_feed(struct str id, struct str schedule, struct str person,
				  struct str by, struct wall made)
{
	struct held_feed *held = heap_alloc(sizeof(*held));
	held->feed = (struct oncall_feed){own(id), own(schedule), own(person),
					  by.n == 0 ? heap_copy("", 0) : own(by), made};
	held->number = oncall_number(id, 'C');
	return held;
}

static int by_number(const void *a, const void *b)
{
	const struct held_feed *left = *(struct held_feed *const *)a,
			       *right = *(struct held_feed *const *)b;
	return left->number < right->number ? -1 : left->number > right->number;
}

enum rc oncall_feeds_restore(struct cx *cx, struct oncalls *oncalls)
{
	struct ledger_record *records;
	size_t count;
	TRY(ledger_records(cx, oncalls->options.ledger, FEED_RECORD, &records, &count));
	for (size_t i = 0; i < count; i++) {
		cJSON *object = cJSON_ParseWithLength(records[i].value.p, records[i].value.n);
		struct str digest = json_str_in(object, "digest");
		if (digest.n == ONCALL_DIGEST_BYTES - 1 && oncall_number(records[i].key, 'C') > 0) {
			struct held_feed *held =
				new_feed(records[i].key, json_str_in(object, "schedule"),
					 json_str_in(object, "person"), json_str_in(object, "by"),
					 (struct wall){json_int_in(object, "made_ms")});
			memcpy(held->digest, digest.p, digest.n);
			*vec_heap_add(&oncalls->feeds) = held;
		} else {
			log_error("a calendar of the ledger is left out",
				  F_STR("calendar", records[i].key));
		}
		cJSON_Delete(object);
	}
	if (oncalls->feeds.n > 1)
		qsort(oncalls->feeds.v, oncalls->feeds.n, sizeof(*oncalls->feeds.v), by_number);
	return RC_OK;
}

static struct ledger_record record_of(struct cx *cx, const struct held_feed *held)
{
	struct buf value = BUF_INIT;
	struct json json;
	json_init(&json, &value);
	json_object(&json);
	json_put_text(&json, "schedule", held->feed.schedule);
	json_put_text(&json, "person", held->feed.person);
	json_put_text(&json, "by", held->feed.by);
	json_put_int(&json, "made_ms", held->feed.made.ms);
	json_put_text(&json, "digest", held->digest);
	json_end_object(&json);
	struct ledger_record record = {FEED_RECORD, str_of(held->feed.id),
				       cx_str(cx, buf_str(&value))};
	buf_release(&value);
	return record;
}

static enum rc check_request(struct cx *cx, const struct oncalls *oncalls, struct str schedule,
			     struct str person)
{
	enum rc rc = RC_OK;
	if ((schedule.n == 0) == (person.n == 0)) {
		rc = cx_fail(cx, RC_INVALID, "a calendar is of a schedule or of a person");
		cx_hint(cx, "Name one of the two.");
	} else if (schedule.n > 0 && plan_oncall(oncalls->plan, schedule) == NULL) {
		rc = cx_fail(cx, RC_NOT_FOUND, "there is no schedule '" STR_FMT "'",
			     STR_ARG(schedule));
		cx_hint(cx, "`backline oncall now` lists them.");
	} else if (person.n > 0 && plan_person(oncalls->plan, person) == NULL) {
		rc = cx_fail(cx, RC_NOT_FOUND, "nobody is called '" STR_FMT "'", STR_ARG(person));
		cx_hint(cx, "Name somebody of `people` in the site file.");
	} else if (oncalls->feeds.n >= FEEDS_LIMIT) {
		rc = cx_fail(cx, RC_LIMIT, "there are %d calendar addresses already", FEEDS_LIMIT);
		cx_hint(cx, "`backline oncall ical revoke` ends some.");
	}
	return rc;
}

enum rc oncall_feed_add(struct cx *cx, struct oncalls *oncalls, struct str schedule,
			struct str person, struct str actor,
			void (*done)(void *context, enum rc rc), void *context,
			char token[ONCALL_TOKEN_BYTES])
{
	unsigned char random[TOKEN_RANDOM_BYTES];
	TRY(check_request(cx, oncalls, schedule, person));
	CHECK(RAND_bytes(random, sizeof(random)) == 1);
	for (int i = 0; i < TOKEN_RANDOM_BYTES; i++)
		snprintf(token + 2 * i, 3, "%02x", random[i]);
	const char *id = cx_printf(cx, "C-%llu", (unsigned long long)++oncalls->last_number);
	const char *summary = cx_printf(cx, "calendar address made for %s '" STR_FMT "'",
					schedule.n > 0 ? "schedule" : "person",
					STR_ARG(schedule.n > 0 ? schedule : person));
	if (id == NULL || summary == NULL)
		return RC_LIMIT;
	struct held_feed *held = new_feed(str_of(id), schedule, person, actor, oncall_now(oncalls));
	digest_of(str_of(token), held->digest);
	struct ledger_record records[] = {record_of(cx, held), oncall_number_record(cx, oncalls)};
	struct ledger_entry entry = {STR("oncall"), actor, str_of(id), str_of(summary), STR("")};
	enum rc rc = records[0].value.p == NULL || records[1].value.p == NULL
			     ? RC_LIMIT
			     : ledger_commit(cx, oncalls->options.ledger, &entry, records, 2, done,
					     context);
	if (rc == RC_OK)
		*vec_heap_add(&oncalls->feeds) = held;
	else
		oncall_feed_free(held);
	return rc;
}

enum rc oncall_feed_remove(struct cx *cx, struct oncalls *oncalls, struct str id, struct str actor,
			   void (*done)(void *context, enum rc rc), void *context)
{
	size_t at = 0;
	while (at < oncalls->feeds.n && !str_eq(id, str_of(oncalls->feeds.v[at]->feed.id)))
		at++;
	if (at == oncalls->feeds.n) {
		enum rc rc = cx_fail(cx, RC_NOT_FOUND, "there is no calendar '" STR_FMT "'",
				     STR_ARG(id));
		cx_hint(cx, "`backline oncall ical list` shows them.");
		return rc;
	}
	struct ledger_record gone = {FEED_RECORD, id, {0}};
	struct ledger_entry entry = {STR("oncall"), actor, id, STR("calendar address revoked"),
				     STR("")};
	TRY(ledger_commit(cx, oncalls->options.ledger, &entry, &gone, 1, done, context));
	oncall_feed_free(oncalls->feeds.v[at]);
	memmove(&oncalls->feeds.v[at], &oncalls->feeds.v[at + 1],
		(--oncalls->feeds.n - at) * sizeof(*oncalls->feeds.v));
	return RC_OK;
}

void oncall_each_feed(const struct oncalls *oncalls,
		      void (*each)(void *context, const struct oncall_feed *feed), void *context)
{
	for (size_t i = 0; i < oncalls->feeds.n; i++)
		each(context, &oncalls->feeds.v[i]->feed);
}

/* ---- the calendar ---- */

/* By digests: how long a comparison takes tells nothing of a token. */
static const struct oncall_feed *feed_of(const struct oncalls *oncalls, struct str token)
{
	char digest[ONCALL_DIGEST_BYTES];
	digest_of(token, digest);
	for (size_t i = 0; i < oncalls->feeds.n; i++)
		if (strcmp(oncalls->feeds.v[i]->digest, digest) == 0)
			return &oncalls->feeds.v[i]->feed;
	return NULL;
}

static enum rc put_schedule(struct cx *cx, const struct oncalls *oncalls,
			    const struct calendar *calendar, const struct schedule *schedule,
			    const char *person)
{
	struct schedule_segment *shifts;
	size_t count;
	TRY(schedule_segments(cx, schedule, &oncalls->view,
			      (struct wall){(calendar->now.ms / GRID_MS - 1) * GRID_MS},
			      (struct wall){calendar->now.ms + AHEAD_MS}, &shifts, &count));
	for (size_t i = 0; i < count; i++)
		if (shifts[i].person != NULL &&
		    (person == NULL || strcmp(person, shifts[i].person) == 0))
			oncall_calendar_event(calendar, schedule, &shifts[i]);
	return RC_OK;
}

enum rc oncall_calendar(struct cx *cx, const struct oncalls *oncalls, struct str token,
			struct buf *out)
{
	const struct oncall_feed *feed = feed_of(oncalls, token);
	if (feed == NULL)
		return cx_fail(cx, RC_NOT_FOUND, "there is no such calendar");
	struct calendar calendar = {
		.out = out,
		.name = cx_printf(cx, "On call: %s",
				  feed->schedule != NULL ? feed->schedule : feed->person),
		.now = oncall_now(oncalls),
		.of_person = feed->person != NULL};
	if (calendar.name == NULL)
		return RC_LIMIT;
	oncall_calendar_begin(&calendar);
	for (size_t i = 0; i < oncalls->plan->oncall_count; i++) {
		const struct schedule *schedule = &oncalls->plan->oncalls[i].schedule;
		if (feed->schedule == NULL || strcmp(feed->schedule, schedule->id) == 0)
			TRY(put_schedule(cx, oncalls, &calendar, schedule, feed->person));
	}
	oncall_calendar_end(&calendar);
	return RC_OK;
}
