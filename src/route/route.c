/* The store of alerts: merged, ended, judged by the silences, told on in pieces. */
#include "route/route.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "route/inside.h"

#define PIECE 200       /* alerts told or judged in one turn of the loop: a millisecond or two */
#define NEXT_PIECE_MS 0 /* the next turn: sockets come between */
#define LOOK_EVERY_MS 1000

struct route_held {
	struct route_alert alert; /* slices point into the block */
	char *block;
	size_t index;   /* in route->held */
	bool told;      /* that it fires, and not yet that it is over */
	uint64_t muted; /* hash of why, as it was told; 0: it was not */
	bool is_news;   /* stands in route->news */
};

struct wall route_now(const struct route *route)
{
	return clock_wall(loop_clock(route->options.loop));
}

static uint64_t fingerprint(const struct labels *labels)
{
	uint64_t hash = 0xcbf29ce484222325U;
	for (size_t i = 0; i < labels->n; i++) {
		struct str parts[] = {labels->v[i].name, labels->v[i].value};
		for (int p = 0; p < 2; p++) {
			for (size_t k = 0; k < parts[p].n; k++)
				hash = (hash ^ (uint8_t)parts[p].p[k]) * 0x100000001b3U;
			hash = (hash ^ 0xff) * 0x100000001b3U;
		}
	}
	return hash;
}

static struct str key_of(const uint64_t *fingerprint)
{
	return str_make((const char *)fingerprint, sizeof(*fingerprint));
}

/* ---- one alert, in one block ---- */

static size_t bytes_of(const struct labels *labels)
{
	size_t bytes = labels->n * sizeof(struct label);
	for (size_t i = 0; i < labels->n; i++)
		bytes += labels->v[i].name.n + labels->v[i].value.n;
	return bytes;
}

static struct str put_text(char **at, struct str text)
{
	struct str out = str_make(*at, text.n);
	if (text.n > 0)
		memcpy(*at, text.p, text.n);
	*at += text.n;
	return out;
}

static void put_labels(struct label **labels, char **text, const struct labels *from,
		       struct labels *out)
{
	for (size_t i = 0; i < from->n; i++) {
		(*labels)[i].name = put_text(text, from->v[i].name);
		(*labels)[i].value = put_text(text, from->v[i].value);
	}
	*out = (struct labels){*labels, from->n};
	*labels += from->n;
}

static void set_alert(struct route_held *held, const struct route_alert *from)
{
	size_t arrays = (from->labels.n + from->annotations.n) * sizeof(struct label);
	size_t bytes = bytes_of(&from->labels) + bytes_of(&from->annotations) +
		       from->generator_url.n + from->rule_id.n;
	char *block = heap_alloc(bytes + 1), *text = block + arrays;
	struct label *labels = (struct label *)(void *)block;
	struct route_alert alert = *from;
	put_labels(&labels, &text, &from->labels, &alert.labels);
	put_labels(&labels, &text, &from->annotations, &alert.annotations);
	alert.generator_url = put_text(&text, from->generator_url);
	alert.rule_id = put_text(&text, from->rule_id);
	free(held->block); /* `from` may point into it until here */
	held->block = block;
	held->alert = alert;
}

static struct route_held *find_held(const struct route *route, uint64_t of)
{
	return map_get(&route->alerts, key_of(&of));
}

static struct route_held *add_held(struct route *route, const struct route_alert *alert)
{
	struct route_held *held = heap_alloc(sizeof(*held));
	set_alert(held, alert);
	held->index = route->held.n;
	*vec_heap_add(&route->held) = held;
	map_put(&route->alerts, key_of(&alert->fingerprint), held);
	return held;
}

static void drop_held(struct route *route, struct route_held *held)
{
	struct route_held *last = route->held.v[route->held.n - 1];
	(void)map_remove(&route->alerts, key_of(&held->alert.fingerprint));
	route->held.v[held->index] = last;
	last->index = held->index;
	route->held.n--;
	free(held->block);
	free(held);
}

static bool is_over(const struct route_held *held, struct wall now)
{
	return !held->alert.own && held->alert.ends.ms <= now.ms;
}

/* ---- telling on ---- */

/* Over, muted, or neither; only what is news of it when `anew` is false. */
static void tell(struct route *route, struct route_held *held, bool anew)
{
	struct buf muted = BUF_INIT;
	bool over = is_over(held, route_now(route));
	if (!over)
		route_put_muted(route, &held->alert.labels, &muted);
	uint64_t why = muted.length == 0 ? 0 : str_hash(buf_str(&muted));
	if (over ? held->told : anew || !held->told || why != held->muted) {
		held->told = !over;
		held->muted = why;
		route->options.told(route->options.context, &held->alert, buf_str(&muted), over);
	}
	buf_release(&muted);
}

static void turn_soon(struct route *route)
{
	if (route->turn.heap_at == 0)
		loop_timer_after(route->options.loop, &route->turn, (struct dur){NEXT_PIECE_MS});
}

static void add_news(struct route *route, struct route_held *held)
{
	if (held->is_news)
		return;
	held->is_news = true;
	*vec_heap_add(&route->news) = held->alert.fingerprint;
	turn_soon(route);
}

/* The round begins where the last one is: silences that come without end starve none. */
void route_judge_all(struct route *route)
{
	route->judge_left = route->held.n;
	turn_soon(route);
}

static void judge_piece(struct route *route)
{
	if (route->judge_left > route->held.n)
		route->judge_left = route->held.n;
	for (int i = 0; i < PIECE && route->judge_left > 0; i++, route->judge_left--) {
		if (route->judge_at >= route->held.n)
			route->judge_at = 0;
		tell(route, route->held.v[route->judge_at++], false);
	}
}

/* The one that takes its place may be behind the round already. */
static void end_held(struct route *route, struct route_held *held)
{
	size_t at = held->index;
	drop_held(route, held);
	if (route->judge_left > 0 && at < route->held.n)
		tell(route, route->held.v[at], false);
}

static void take_turn(struct loop_timer *timer, void *owner)
{
	struct route *route = owner;
	(void)timer;
	for (int i = 0; i < PIECE && route->news_told < route->news.n; i++) {
		struct route_held *held = find_held(route, route->news.v[route->news_told++]);
		if (held == NULL)
			continue;
		held->is_news = false;
		tell(route, held, true);
		if (is_over(held, route_now(route)))
			end_held(route, held);
	}
	if (route->news_told == route->news.n)
		route->news.n = route->news_told = 0;
	judge_piece(route);
	if (route->judge_left > 0 || route->news.n > 0)
		turn_soon(route);
}

/* What the clock alone changes: ends of alerts, starts and ends of silences. */
static void look(struct loop_timer *timer, void *owner)
{
	struct route *route = owner;
	struct wall now = route_now(route);
	(void)timer;
	if (route_silences_look(route))
		route_judge_all(route);
	for (size_t i = 0; i < route->held.n; i++)
		if (is_over(route->held.v[i], now))
			add_news(route, route->held.v[i]);
	loop_timer_after(route->options.loop, &route->look, (struct dur){LOOK_EVERY_MS});
}

/* ---- alerts of others ---- */

static enum rc check_annotations(struct cx *cx, const struct labels *annotations)
{
	for (size_t i = 0; i < annotations->n; i++)
		if (!labels_name_valid(annotations->v[i].name))
			return cx_fail(cx, RC_INVALID,
				       "invalid annotation set: invalid name '" STR_FMT "'",
				       STR_ARG(annotations->v[i].name));
	return RC_OK;
}

static enum rc check(struct cx *cx, const struct route_alert *alert)
{
	if (alert->labels.n == 0)
		return cx_fail(cx, RC_INVALID, "at least one label pair required");
	for (size_t i = 0; i < alert->labels.n; i++)
		if (!labels_name_valid(alert->labels.v[i].name))
			return cx_fail(cx, RC_INVALID,
				       "invalid label set: invalid name '" STR_FMT "'",
				       STR_ARG(alert->labels.v[i].name));
	if (alert->ends.ms < alert->starts.ms)
		return cx_fail(cx, RC_INVALID, "start time must be before end time");
	return check_annotations(cx, &alert->annotations);
}

/* `alert` is the newer one. As Alertmanager's types.Alert.Merge. */
static void merge(const struct route_alert *old, struct route_alert *alert, struct wall now)
{
	bool overlaps = (alert->ends.ms > old->starts.ms && alert->ends.ms < old->ends.ms) ||
			(alert->starts.ms > old->starts.ms && alert->starts.ms < old->ends.ms);
	if (!overlaps)
		return;
	if (old->starts.ms < alert->starts.ms)
		alert->starts = old->starts;
	bool resolved = alert->ends.ms <= now.ms;
	if (resolved ? old->ends.ms <= now.ms && old->ends.ms > alert->ends.ms
		     : old->ends.ms > alert->ends.ms && !old->timeout)
		alert->ends = old->ends;
}

enum rc route_post(struct cx *cx, struct route *route, const struct route_alert *posted)
{
	struct wall now = route_now(route);
	struct route_alert alert = *posted;
	CHECK_MAGIC(route, ROUTE_MAGIC);
	alert.updated = now;
	alert.own = false;
	if (alert.starts.ms == 0)
		alert.starts = alert.ends.ms == 0 ? now : alert.ends;
	alert.timeout = alert.ends.ms == 0;
	if (alert.timeout)
		alert.ends.ms = now.ms + ROUTE_RESOLVE_TIMEOUT_MS;
	TRY(check(cx, &alert));
	alert.fingerprint = fingerprint(&alert.labels);
	char *rule = cx_printf(cx, STR_FMT STR_FMT, STR_ARG(ROUTE_POSTED),
			       STR_ARG(labels_get(&alert.labels, STR("alertname"))));
	if (rule == NULL)
		return RC_LIMIT;
	alert.rule_id = str_of(rule);
	struct route_held *held = find_held(route, alert.fingerprint);
	if (held == NULL && alert.ends.ms <= now.ms)
		return RC_OK; /* over before we knew it */
	if (held == NULL && route->held.n >= ROUTE_ALERTS_LIMIT)
		return cx_fail(cx, RC_LIMIT, "there are %d alerts, more are not kept",
			       ROUTE_ALERTS_LIMIT);
	if (held != NULL && held->alert.own)
		return RC_OK; /* what we measure ourselves we believe */
	if (held != NULL) {
		merge(&held->alert, &alert, now);
		set_alert(held, &alert);
	} else {
		held = add_held(route, &alert);
	}
	add_news(route, held);
	return RC_OK;
}

/* ---- alerts of our own ---- */

void route_take(struct route *route, const struct route_alert *taken, bool resolved)
{
	struct route_alert alert = *taken;
	CHECK_MAGIC(route, ROUTE_MAGIC);
	alert.own = true;
	alert.updated = route_now(route);
	alert.ends.ms = alert.updated.ms + ROUTE_RESOLVE_TIMEOUT_MS;
	alert.fingerprint = fingerprint(&alert.labels);
	struct route_held *held = find_held(route, alert.fingerprint);
	if (!resolved && held != NULL)
		set_alert(held, &alert);
	else if (!resolved)
		held = add_held(route, &alert);
	if (!resolved) {
		tell(route, held, true);
		return;
	}
	/* a page that a restart took up is told its end, too: it was told before our time */
	route->options.told(route->options.context, &alert, STR(""), true);
	if (held != NULL)
		end_held(route, held);
}

/* ---- looking ---- */

static int by_fingerprint(const void *a, const void *b)
{
	const struct route_alert *left = *(const struct route_alert *const *)a;
	const struct route_alert *right = *(const struct route_alert *const *)b;
	return left->fingerprint < right->fingerprint ? -1 : left->fingerprint > right->fingerprint;
}

enum rc route_alerts(struct cx *cx, const struct route *route, const struct route_alert ***out,
		     size_t *count)
{
	struct wall now = route_now(route);
	const struct route_alert **list = cx_array(cx, route->held.n + 1, sizeof(*list));
	*out = list;
	*count = 0;
	if (list == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < route->held.n; i++)
		if (!is_over(route->held.v[i], now))
			list[(*count)++] = &route->held.v[i]->alert;
	if (*count > 1)
		qsort(list, *count, sizeof(*list), by_fingerprint);
	return RC_OK;
}

/* ---- life ---- */

enum rc route_open(struct cx *cx, const struct route_options *options, struct route **out)
{
	struct route *route = heap_alloc(sizeof(*route));
	*out = NULL;
	route->magic = ROUTE_MAGIC;
	route->options = *options;
	route->turn.fire = take_turn;
	route->look.fire = look;
	route->turn.owner = route->look.owner = route;
	enum rc rc = route_silences_open(cx, route);
	if (rc != RC_OK) {
		route_close(&route);
		return rc;
	}
	loop_timer_after(options->loop, &route->look, (struct dur){LOOK_EVERY_MS});
	*out = route;
	return RC_OK;
}

void route_close(struct route **handle)
{
	struct route *route = *handle;
	CHECK_MAGIC(route, ROUTE_MAGIC);
	*handle = NULL;
	loop_timer_cancel(route->options.loop, &route->turn);
	loop_timer_cancel(route->options.loop, &route->look);
	while (route->held.n > 0)
		drop_held(route, route->held.v[route->held.n - 1]);
	vec_heap_release(&route->held);
	vec_heap_release(&route->news);
	map_release(&route->alerts);
	route_silences_close(route);
	route->magic = 0;
	free(route);
}
