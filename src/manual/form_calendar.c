/* What has a place in the calendar: maintenance windows, recurring duties, verification. */
#include "base/units.h"
#include "manual/compiler.h"

/* ---- windows: `**Primary Window**: Saturday 2:00 AM - 6:00 AM UTC` ---- */

static int weekday_in(struct str text)
{
	static const char *const days[] = {"sunday",   "monday", "tuesday", "wednesday",
					   "thursday", "friday", "saturday"};
	for (int i = 0; i < 7; i++)
		if (str_find_nocase(text, str_of(days[i])) >= 0)
			return i;
	return -1;
}

/* Cuts "2:00 AM", "14:30", "6 pm" from the front. */
static bool cut_time(struct str *rest, int *out_min)
{
	int64_t hours = 0, minutes = 0;
	size_t n = 0;
	*rest = str_trim(*rest);
	while (n < rest->n && rest->p[n] >= '0' && rest->p[n] <= '9')
		n++;
	if (!str_to_i64(str_make(rest->p, n), &hours))
		return false;
	*rest = str_skip(*rest, n);
	if (rest->n > 2 && rest->p[0] == ':') {
		if (!str_to_i64(str_make(rest->p + 1, 2), &minutes))
			return false;
		*rest = str_skip(*rest, 3);
	}
	*rest = str_trim(*rest);
	bool am = rest->n >= 2 && str_eq_nocase(str_make(rest->p, 2), STR("AM"));
	bool pm = rest->n >= 2 && str_eq_nocase(str_make(rest->p, 2), STR("PM"));
	if (am || pm) {
		if (hours < 1 || hours > 12)
			return false;
		hours = hours % 12 + (pm ? 12 : 0);
		*rest = str_trim(str_skip(*rest, 2));
	}
	*out_min = (int)(hours * 60 + minutes);
	return hours >= 0 && hours <= 24 && minutes >= 0 && minutes < 60 && *out_min <= 24 * 60;
}

static bool read_times(struct str text, struct window *out)
{
	size_t start = 0;
	while (start < text.n && (text.p[start] < '0' || text.p[start] > '9'))
		start++;
	struct str rest = str_skip(text, start);
	if (!cut_time(&rest, &out->from_min))
		return false;
	static const char *const dashes[] = {"-", "\xe2\x80\x93", "\xe2\x80\x94", "to ", "until "};
	for (size_t i = 0; i < sizeof(dashes) / sizeof(dashes[0]); i++) {
		if (!str_starts(rest, str_of(dashes[i])))
			continue;
		rest = str_skip(rest, strlen(dashes[i]));
		return cut_time(&rest, &out->to_min) &&
		       (rest.n == 0 || str_starts(rest, STR("UTC")));
	}
	return false;
}

/* "Funday 25:99": with times in it, it is a day that was meant, not "as needed". */
static bool names_times(struct str text)
{
	for (size_t i = 1; i + 1 < text.n; i++)
		if (text.p[i] == ':' && text.p[i - 1] >= '0' && text.p[i - 1] <= '9' &&
		    text.p[i + 1] >= '0' && text.p[i + 1] <= '9')
			return true;
	return false;
}

static void take_window(struct compiler *c, struct mark *mark)
{
	struct window *window = vec_add(c->cx, &c->windows);
	if (window == NULL)
		return;
	mark->taken = true;
	window->name = compiler_text(c, mark->key);
	window->weekday = weekday_in(mark->text);
	window->recurring = window->weekday >= 0;
	if (window->recurring ? !read_times(mark->text, window) : names_times(mark->text))
		compiler_error(
			c, compiler_at(mark),
			"Write for example 'Saturday 2:00 AM - 6:00 AM UTC'; times are in UTC.",
			"the day or the times of window '%s' are not understood: '" STR_FMT "'",
			window->name, STR_ARG(mark->text));
	size_t promise = compiler_promise(
		c, PROMISE_WINDOW, mark, mark->line, mark->key,
		compiler_format(c, STR_FMT ": " STR_FMT, STR_ARG(mark->key), STR_ARG(mark->text)));
	c->promises.v[promise].proof = PROOF_RECORD;
	c->promises.v[promise].proved_by = "each window that was opened and closed";
}

/* ---- duties ---- */

static const char *const cadence_names[] = {"once",    "daily",     "weekly",
					    "monthly", "quarterly", "yearly"};

static const int64_t cadence_days[] = {0, 1, 7, 31, 92, 366};

static void add_duty(struct compiler *c, struct mark *mark, enum cadence cadence, size_t promise)
{
	struct duty_plan *duty = vec_add(c->cx, &c->duties);
	if (duty == NULL)
		return;
	*duty = (struct duty_plan){
		.id = c->promises.v[promise].id,
		.text = compiler_text(c, mark->text),
		.title = compiler_text(c, mark->key.n > 0 ? mark->key : mark->text),
		.cadence = cadence,
		.promise = COMPILER_REFERENCE(promise)};
	c->promises.v[promise].proof = PROOF_RECORD;
	c->promises.v[promise].proof_valid = (struct dur){cadence_days[cadence] * 86400000};
	c->promises.v[promise].proved_by =
		compiler_format(c, "the %s duty, done with a note", cadence_names[cadence]);
}

static void take_duty(struct compiler *c, struct mark *mark, enum promise_kind kind,
		      bool has_cadence, enum cadence cadence)
{
	mark->taken = true;
	struct str key = mark->key.n > 0 ? mark->key : mark->text;
	const char *text = mark->key.n == 0
				   ? compiler_text(c, mark->text)
				   : compiler_format(c, STR_FMT ": " STR_FMT, STR_ARG(mark->key),
						     STR_ARG(mark->text));
	size_t promise = compiler_promise(c, kind, mark, mark->line, key, text);
	if (has_cadence) {
		add_duty(c, mark, cadence, promise);
		return;
	}
	c->promises.v[promise].proof = PROOF_DRILL;
	c->promises.v[promise].proof_valid = (struct dur){7LL * 86400000};
	c->promises.v[promise].proved_by = "each restore drill";
	c->promises.v[promise].missing = "the backups' runner is not built yet";
}

/* "Weekly Tasks", "Monthly checks": a cadence as the heading's first word. */
static bool cadence_heading(const struct mark *mark, enum cadence *out)
{
	struct str heading = str_of(compiler_heading(mark)), first;
	return str_split(&heading, ' ', &first) && heading.p != NULL && form_cadence(first, out);
}

static bool is_verification(const struct mark *mark)
{
	for (size_t i = 0; i < mark->depth; i++) {
		struct str heading = str_of(mark->path[i]);
		if (compiler_has_word(heading, "verif|restore test") &&
		    (compiler_under(mark, "backup") || compiler_has_word(heading, "restore")))
			return true;
	}
	return false;
}

void form_calendar(struct compiler *c)
{
	for (size_t i = 0; i < c->marks.list.n; i++) {
		struct mark *mark = &c->marks.list.v[i];
		enum cadence cadence = CADENCE_ONCE;
		if (mark->kind != MARK_ITEM || mark->taken || mark->is_task || mark->has_children)
			continue;
		struct str key = mark->key.n > 0 ? mark->key : mark->text;
		if (is_verification(mark)) {
			bool has =
				form_cadence(key, &cadence) || form_cadence(mark->text, &cadence);
			take_duty(c, mark, PROMISE_VERIFICATION, has, cadence);
		} else if (mark->key.n > 0 &&
			   (compiler_has_word(key, "window") ||
			    compiler_has_word(str_of(compiler_heading(mark)), "window"))) {
			take_window(c, mark);
		} else if (cadence_heading(mark, &cadence)) {
			take_duty(c, mark, PROMISE_DUTY, true, cadence);
		} else if (mark->key.n > 0 && form_cadence(mark->text, &cadence) &&
			   !compiler_under(mark, "dashboard")) {
			take_duty(c, mark, PROMISE_PROSE, true, cadence);
		}
	}
}
