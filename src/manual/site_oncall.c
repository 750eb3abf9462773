/* site.yaml: who is on call, in layers of turns.
 *
 *     oncall:
 *       ops:
 *         timezone: Europe/Berlin
 *         layers:
 *           - { people: [ann, bob], rotate: weekly, handover: "mon 09:00", start: 2026-11-23 }
 *           - { people: [cid], only: ["mon-fri 09:00-17:00", "fri 22:00 - mon 06:00"] }
 */
#include <stddef.h>

#include "base/units.h"
#include "manual/site.h"

#define NOTICE_MS (3600 * 1000LL) /* where the schedule says nothing */
#define LONGEST_NOTICE_MS (14LL * CIVIL_DAY_S * 1000)
#define EVERY_DAY 0x7fU

/* ---- time zones ---- */

/* What is wrong is told; UTC stands in. */
enum rc site_read_zone(struct site_reader *r, const struct conf_node *node, const struct zone **out)
{
	struct cx *cx = &r->c->plan_cx;
	const struct plan *plan = r->c->plan;
	for (size_t i = 0; i < plan->oncall_count; i++) {
		const struct zone *known = plan->oncalls[i].schedule.zone;
		if (known != NULL && str_eq(node->text, str_of(zone_name(known)))) {
			*out = known;
			return RC_OK;
		}
	}
	enum rc rc = zone_load(cx, node->text, out);
	if (rc == RC_OK)
		return RC_OK;
	if (rc == RC_LIMIT)
		return cx_fail(r->c->cx, RC_LIMIT, "the time zones need too much memory");
	compiler_error(r->c, site_node_place(node), compiler_format(r->c, "%s", cx->err.hint), "%s",
		       cx->err.message);
	cx_clear(cx);
	*out = zone_utc();
	return RC_OK;
}

static bool is_absent(const struct conf_node *node)
{
	return node == NULL || (node->kind == CONF_SCALAR && node->text.n == 0);
}

enum rc site_read_timezone(struct site_reader *r, const struct conf_node *node)
{
	return is_absent(node) ? RC_OK : site_read_zone(r, node, &r->c->plan->zone);
}

/* ---- times of day and week ---- */

/* "09:00", and "24:00" where a day may end */
static bool read_minute(struct str text, int *out)
{
	struct str rest = str_trim(text), hour, minute;
	int64_t h, m;
	if (!str_split(&rest, ':', &hour) || !str_split(&rest, ':', &minute) || rest.p != NULL ||
	    hour.n < 1 || hour.n > 2 || minute.n != 2 || !str_to_i64(hour, &h) ||
	    !str_to_i64(minute, &m) || h < 0 || m < 0 || m > 59 || h * 60 + m > 1440)
		return false;
	*out = (int)(h * 60 + m);
	return true;
}

/* "sun,tue-thu" to bits; 0: no days */
static unsigned read_days(struct str text)
{
	struct str rest = str_trim(text), piece;
	unsigned days = 0;
	if (str_eq_nocase(rest, STR("daily")))
		return EVERY_DAY;
	while (str_split(&rest, ',', &piece)) {
		struct str first = STR(""), last;
		piece = str_trim(piece);
		(void)str_split(&piece, '-', &first);
		last = piece.p != NULL ? piece : first;
		int from = civil_weekday_named(str_trim(first));
		int to = civil_weekday_named(str_trim(last));
		if (from < 0 || to < 0)
			return 0;
		for (int day = from;; day = (day + 1) % 7) {
			days |= 1U << day;
			if (day == to)
				break;
		}
	}
	return days;
}

/* Cuts at the last blank: "mon-fri 09:00" to "mon-fri" and "09:00". */
static void cut_time(struct str text, struct str *days, struct str *time)
{
	size_t at = text.n;
	while (at > 0 && text.p[at - 1] != ' ')
		at--;
	*days = str_trim(str_make(text.p, at));
	*time = str_skip(text, at);
}

/* "fri 22:00 - mon 06:00": one span over several days */
static bool read_span(struct str from, struct str to, struct schedule_window *out)
{
	struct str from_day, from_time, to_day, to_time;
	cut_time(str_trim(from), &from_day, &from_time);
	cut_time(str_trim(to), &to_day, &to_time);
	int first = civil_weekday_named(from_day), last = civil_weekday_named(to_day), minute;
	if (first < 0 || last < 0 || !read_minute(from_time, &out->from_min) ||
	    !read_minute(to_time, &minute) || out->from_min == 1440)
		return false;
	out->days = 1U << first;
	out->to_min = (last - first + 7) % 7 * 1440 + minute;
	if (out->to_min <= out->from_min)
		out->to_min += SCHEDULE_WEEK_MIN;
	return true;
}

/* "mon-fri 09:00-17:00", "sat,sun", "22:00-06:00": on each of these days, maybe past midnight */
static bool read_daily(struct str text, struct schedule_window *out)
{
	struct str days, times, from;
	cut_time(text, &days, &times);
	if (memchr(times.p, ':', times.n) == NULL) { /* days alone */
		days = text;
		times = STR("00:00-24:00");
	}
	out->days = days.n == 0 ? EVERY_DAY : read_days(days);
	if (out->days == 0 || !str_split(&times, '-', &from) || times.p == NULL ||
	    !read_minute(from, &out->from_min) || !read_minute(times, &out->to_min) ||
	    out->from_min == 1440)
		return false;
	if (out->to_min <= out->from_min)
		out->to_min += 1440;
	return true;
}

static bool read_window(struct str text, struct schedule_window *out)
{
	text = str_trim(text);
	ptrdiff_t dash = str_find(text, STR(" - "));
	if (text.n == 0)
		return false;
	return dash < 0 ? read_daily(text, out)
			: read_span(str_make(text.p, (size_t)dash),
				    str_skip(text, (size_t)dash + 3), out);
}

/* ---- a layer ---- */

struct layer_text {
	const struct conf_node *people, *rotate, *handover, *start, *until, *only;
};

static const struct conf_key layer_keys[] = {
	{"people", CONF_NODE, offsetof(struct layer_text, people), "a list, in turn", true},
	{"rotate", CONF_NODE, offsetof(struct layer_text, rotate),
	 "daily, weekly or a time such as 12h; never", false},
	{"handover", CONF_NODE, offsetof(struct layer_text, handover), "for example mon 09:00",
	 false},
	{"start", CONF_NODE, offsetof(struct layer_text, start),
	 "a date: the first hand-over, to the first of the people", false},
	{"until", CONF_NODE, offsetof(struct layer_text, until), "a date: the layer ends", false},
	{"only", CONF_NODE, offsetof(struct layer_text, only),
	 "a list of times: mon-fri 09:00-17:00", false},
};

static enum rc read_layer_people(struct site_reader *r, const struct conf_node *node,
				 const struct conf_node *list, struct schedule_layer *layer)
{
	struct compiler *c = r->c;
	if (is_absent(list) || list->kind != CONF_LIST || list->item_count == 0 ||
	    list->item_count > SCHEDULE_PEOPLE_LIMIT) {
		compiler_error(c, site_node_place(node), "people: [name, name]",
			       "a layer needs a list of 1 to %d people", SCHEDULE_PEOPLE_LIMIT);
		return RC_OK;
	}
	layer->people = cx_array(&c->plan_cx, list->item_count, sizeof(*layer->people));
	if (layer->people == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < list->item_count; i++) {
		const struct conf_node *item = list->items[i];
		const struct person *person = plan_person(c->plan, item->text);
		if (person == NULL)
			compiler_error(c, site_node_place(item), "Name somebody of `people`.",
				       "nobody is called '" STR_FMT "'", STR_ARG(item->text));
		else
			layer->people[layer->people_count++] = person->id;
	}
	return RC_OK;
}

static void read_turn(struct site_reader *r, const struct conf_node *node, int64_t *turn_s)
{
	struct dur turn;
	*turn_s = 0;
	if (is_absent(node) || str_eq_nocase(node->text, STR("never")))
		return;
	if (form_duration(node->text, &turn) && turn.ms % 60000 == 0 &&
	    turn.ms >= SCHEDULE_LEAST_TURN_S * 1000 && turn.ms <= SCHEDULE_MOST_TURN_S * 1000)
		*turn_s = turn.ms / 1000;
	else
		compiler_error(
			r->c, site_node_place(node),
			"Write hourly, daily, weekly or for example '12h'; an hour at least.",
			"'" STR_FMT "' is not a turn", STR_ARG(node->text));
}

/* "mon 09:00", "09:00": the first from `after` on. Without a day, Monday where nothing says when
 * the layer starts. */
static bool read_hand_over(struct str text, const struct civil *after, struct civil *out)
{
	struct str day, time;
	int minute, weekday = -1;
	int64_t first = after == NULL ? 0 : civil_floor_days(after->s);
	cut_time(str_trim(text), &day, &time);
	if (!read_minute(time, &minute) || minute == 1440)
		return false;
	if (day.n > 0 && (weekday = civil_weekday_named(day)) < 0)
		return false;
	if (weekday < 0 && after == NULL)
		weekday = 1;
	if (weekday >= 0)
		first += (weekday - civil_weekday(first) + 7) % 7;
	out->s = first * CIVIL_DAY_S + minute * 60LL;
	if (after != NULL && out->s < after->s)
		out->s += (weekday < 0 ? 1 : 7) * (int64_t)CIVIL_DAY_S;
	return true;
}

static bool read_date(struct site_reader *r, const struct conf_node *node, struct civil *out)
{
	if (is_absent(node))
		return false;
	if (civil_parse(node->text, out))
		return true;
	compiler_error(r->c, site_node_place(node), "Write 2026-11-23 or '2026-11-23 09:00'.",
		       "'" STR_FMT "' is not a date", STR_ARG(node->text));
	return false;
}

static enum rc read_windows(struct site_reader *r, const struct conf_node *list,
			    struct schedule_layer *layer)
{
	if (is_absent(list))
		return RC_OK;
	if (list->kind != CONF_LIST || list->item_count > SCHEDULE_WINDOWS_LIMIT) {
		compiler_error(r->c, site_node_place(list), "only: [\"mon-fri 09:00-17:00\"]",
			       "'only' must be a list of at most %d times", SCHEDULE_WINDOWS_LIMIT);
		return RC_OK;
	}
	layer->windows = cx_array(&r->c->plan_cx, list->item_count, sizeof(*layer->windows));
	if (layer->windows == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < list->item_count; i++) {
		const struct conf_node *item = list->items[i];
		if (read_window(item->text, &layer->windows[layer->window_count]))
			layer->window_count++;
		else
			compiler_error(r->c, site_node_place(item),
				       "Write 'mon-fri 09:00-17:00', 'sat,sun', '22:00-06:00' or "
				       "'fri 22:00 - mon 06:00'.",
				       "'" STR_FMT "' is no time of the week", STR_ARG(item->text));
	}
	return RC_OK;
}

static enum rc read_layer(struct site_reader *r, const struct conf_node *node,
			  struct schedule_layer *layer)
{
	struct layer_text text = {0};
	TRY(SITE_READ(r, node, "a layer", layer_keys, &text));
	TRY(read_layer_people(r, node, text.people, layer));
	read_turn(r, text.rotate, &layer->turn_s);
	layer->has_start = read_date(r, text.start, &layer->start);
	layer->has_end = read_date(r, text.until, &layer->end);
	struct str hand_over = is_absent(text.handover) ? STR("") : text.handover->text;
	if (hand_over.n == 0 && layer->has_start)
		layer->hand_over = layer->start;
	else if (!read_hand_over(hand_over.n == 0 ? STR("mon 09:00") : hand_over,
				 layer->has_start ? &layer->start : NULL, &layer->hand_over))
		compiler_error(r->c, site_node_place(text.handover),
			       "Write for example 'mon 09:00'.", "'" STR_FMT "' is not a hand-over",
			       STR_ARG(hand_over));
	if (layer->has_start)
		layer->start = layer->hand_over; /* nobody's turn ends there */
	if (layer->has_start && layer->has_end && layer->end.s <= layer->start.s)
		compiler_error(r->c, site_node_place(text.until), "Let it end after its start.",
			       "the layer ends before it starts");
	return read_windows(r, text.only, layer);
}

/* ---- a schedule ---- */

struct oncall_text {
	const struct conf_node *layers, *timezone, *notice;
};

static const struct conf_key oncall_keys[] = {
	{"layers", CONF_NODE, offsetof(struct oncall_text, layers), "a list of layers", true},
	{"timezone", CONF_NODE, offsetof(struct oncall_text, timezone),
	 "such as Europe/Berlin; the site's by default", false},
	{"notice", CONF_NODE, offsetof(struct oncall_text, notice),
	 "who comes on call is told so long before; 1h by default, 0s not at all", false},
};

static void read_notice(struct site_reader *r, const struct conf_node *node, struct dur *out)
{
	out->ms = NOTICE_MS;
	if (is_absent(node))
		return;
	if (!units_parse_duration(node->text, out) || out->ms > LONGEST_NOTICE_MS)
		compiler_error(r->c, site_node_place(node),
			       "Write 1h, or 0s for none; 14d at most.",
			       "'" STR_FMT "' is not a time of notice", STR_ARG(node->text));
}

static enum rc read_schedule(struct site_reader *r, const struct conf_entry *entry,
			     struct oncall *oncall)
{
	struct schedule *schedule = &oncall->schedule;
	struct oncall_text text = {0};
	schedule->id = compiler_text(r->c, entry->key);
	schedule->zone = r->c->plan->zone;
	oncall->place = site_entry_place(entry);
	TRY(SITE_READ(r, entry->value, "a schedule", oncall_keys, &text));
	read_notice(r, text.notice, &oncall->notice);
	if (!is_absent(text.timezone))
		TRY(site_read_zone(r, text.timezone, &schedule->zone));
	if (text.layers == NULL)
		return RC_OK;
	if (text.layers->kind != CONF_LIST || text.layers->item_count == 0 ||
	    text.layers->item_count > SCHEDULE_LAYERS_LIMIT) {
		compiler_error(r->c, site_node_place(text.layers), "layers: [ { people: [name] } ]",
			       "'%s' needs a list of 1 to %d layers", schedule->id,
			       SCHEDULE_LAYERS_LIMIT);
		return RC_OK;
	}
	schedule->layers =
		cx_array(&r->c->plan_cx, text.layers->item_count, sizeof(*schedule->layers));
	if (schedule->layers == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < text.layers->item_count; i++)
		TRY(read_layer(r, text.layers->items[i],
			       &schedule->layers[schedule->layer_count++]));
	return RC_OK;
}

enum rc site_read_oncall(struct site_reader *r, const struct conf_node *node)
{
	struct plan *plan = r->c->plan;
	for (size_t i = 0; site_is_map(r, node, "oncall") && i < node->entry_count; i++) {
		if (plan->oncall_count == COMPILER_ONCALLS_LIMIT)
			return cx_fail(r->c->cx, RC_LIMIT, "more than %d schedules",
				       COMPILER_ONCALLS_LIMIT);
		TRY(read_schedule(r, &node->entries[i], &plan->oncalls[plan->oncall_count++]));
	}
	return RC_OK;
}
