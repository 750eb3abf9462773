/* The overview: what needs a person, every limit with its last hour, components. The history comes
 * from queries on a worker; the rest is known on the loop. */
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/units.h"
#include "sys/file.h"
#include "web/chart.h"

#define OVERVIEW_BUDGET_BYTES (64 << 20)
#define MARKS_LIMIT 20

struct overview {
	struct loop_job job;
	struct http_request *request;
	struct web *web;
	struct plan *plan;
	char *ledger_path;
	struct wall now;
	struct web_history *histories; /* by threshold; in the job's arena, as marks are */
	struct web_mark marks[MARKS_LIMIT];
	size_t mark_count;
};

/* ---- on a worker ---- */

static void take_worst(const struct promql_result *result, bool above, struct web_history *out)
{
	for (size_t s = 0; s < result->series_count; s++)
		for (size_t p = 0; p < result->series[s].n && p < WEB_POINTS; p++) {
			double value = result->series[s].values[p], *kept = &out->values[p];
			if (isnan(value)) /* as where there is none */
				continue;
			if (isnan(*kept) || (above ? value > *kept : value < *kept))
				*kept = value;
		}
}

static enum rc read_history(struct cx *cx, struct overview *o, size_t index)
{
	const struct threshold *threshold = &o->plan->thresholds[index];
	struct promql_source source = promql_source_of(o->web->options.tsdb, o->web->options.loop);
	struct promql_result result;
	struct promql_expr *expr;
	int64_t step_ms = WEB_SPAN_MS / (WEB_POINTS - 1), start_ms = o->now.ms - WEB_SPAN_MS;
	for (size_t i = 0; i < WEB_POINTS; i++)
		o->histories[index].values[i] = (double)NAN;
	if (threshold->value_expr == NULL || threshold->limit_count == 0)
		return RC_OK;
	TRY(promql_parse(cx, str_of(threshold->value_expr), &expr));
	enum rc rc = promql_range(cx, &source, expr, start_ms,
				  start_ms + step_ms * (WEB_POINTS - 1), step_ms, &result);
	promql_release(expr);
	TRY(rc);
	take_worst(&result, threshold->limits[0].above, &o->histories[index]);
	return RC_OK;
}

static enum rc read_marks(struct cx *cx, struct overview *o)
{
	struct ledger_filter filter = {
		.kind = "deploy", .since = {o->now.ms - WEB_SPAN_MS}, .limit = MARKS_LIMIT};
	struct ledger_row *rows;
	TRY(ledger_read(cx, o->ledger_path, &filter, &rows, &o->mark_count));
	for (size_t i = 0; i < o->mark_count; i++)
		o->marks[i] = (struct web_mark){rows[i].at, rows[i].summary};
	return RC_OK;
}

static enum rc overview_run(struct cx *cx, struct loop_job *job)
{
	struct overview *o = (struct overview *)job;
	o->histories = cx_array(cx, o->plan->threshold_count + 1, sizeof(*o->histories));
	if (o->histories == NULL)
		return RC_LIMIT;
	/* a measure that cannot be drawn is a gap: who is woken needs the rest of the page */
	for (size_t i = 0; i < o->plan->threshold_count; i++) {
		struct arena_mark mark = arena_mark(cx->arena);
		if (read_history(cx, o, i) != RC_OK)
			log_failure(cx, "a measure's last hour cannot be read");
		cx_clear(cx);
		arena_rewind(cx->arena, mark);
	}
	if (read_marks(cx, o) != RC_OK) {
		log_failure(cx, "deploys cannot be read");
		cx_clear(cx);
		o->mark_count = 0;
	}
	return RC_OK;
}

/* ---- thresholds ---- */

/* Worst first. */
static int need_of(const struct web *web, const struct threshold *threshold)
{
	double value = promise_value_of(web->options.promises, threshold).value;
	if (isnan(value))
		return 0;
	if (web_is_beyond(web_limit_of(threshold, LIMIT_CRITICAL), value))
		return 3;
	return web_is_beyond(web_limit_of(threshold, LIMIT_WARNING), value) ? 2 : 1;
}

static void put_foot(struct buf *out, const struct threshold *threshold, const char *component)
{
	const struct threshold_limit *warn = web_limit_of(threshold, LIMIT_WARNING);
	const struct threshold_limit *crit = web_limit_of(threshold, LIMIT_CRITICAL);
	const struct promise *promise = crit != NULL   ? crit->promise
					: warn != NULL ? warn->promise
						       : NULL;
	buf_puts(out, "<p class=meta>");
	if (warn != NULL)
		buf_puts(out, "warn "), web_put_text(out, warn->text);
	if (crit != NULL)
		buf_puts(out, " \xc2\xb7 crit "), web_put_text(out, crit->text);
	buf_printf(out, "<br>manual, line %d", threshold->place.line);
	if (component[0] != '\0')
		buf_puts(out, " \xc2\xb7 "), web_put_text(out, component);
	else if (promise != NULL && promise->missing != NULL)
		buf_puts(out, " \xc2\xb7 "), web_put_text(out, promise->missing);
	buf_puts(out, "</p>");
}

static void put_threshold(struct buf *out, const struct web *web, const struct threshold *threshold,
			  const struct web_history *history)
{
	static const struct web_shown shown[] = {{"unproven", "Unproven"},
						 {"kept", "Within"},
						 {"warning", "Warning"},
						 {"broken", "Critical"}};
	struct promise_value now = promise_value_of(web->options.promises, threshold);
	int need = need_of(web, threshold);
	buf_printf(out, "<section class='card %s'><div class=row><h2>", shown[need].class);
	web_put_text(out, threshold->metric);
	buf_puts(out, "</h2>");
	web_put_state(out, shown[need]);
	buf_puts(out, "</div><div class=now>");
	web_put_figure(out, threshold, now.value);
	web_put_sparkline(out, history);
	buf_puts(out, "</div>");
	web_put_ladder(out, threshold, now.value);
	put_foot(out, threshold, now.component);
	buf_puts(out, "</section>");
}

static void put_worst_chart(struct buf *out, const struct overview *o)
{
	const struct plan *plan = o->plan;
	size_t worst = plan->threshold_count;
	for (int need = 3; need > 0 && worst == plan->threshold_count; need--)
		for (size_t i = 0; i < plan->threshold_count && worst == plan->threshold_count; i++)
			if (need_of(o->web, &plan->thresholds[i]) == need)
				worst = i;
	if (worst == plan->threshold_count)
		return;
	buf_puts(out, "<section class=card><div class=row><h2>");
	web_put_text(out, plan->thresholds[worst].metric);
	buf_puts(out, "</h2><span class=meta>last hour, UTC, with deploys</span></div>");
	web_put_chart(out, &plan->thresholds[worst], &o->histories[worst], o->now, o->marks,
		      o->mark_count);
	buf_puts(out, "</section>");
}

/* ---- what needs a person ---- */

struct needs {
	struct buf *out;
	struct wall now;
	size_t count;
};

static void put_ago(struct buf *out, struct wall at, struct wall now)
{
	char span[UNITS_TEXT_BYTES];
	units_format_duration_people((struct dur){llabs(now.ms - at.ms) / 60000 * 60000}, span);
	buf_printf(out, at.ms > now.ms ? "in %s" : "%s", span);
}

static void begin_need(struct needs *needs, struct web_shown shown, const char *what,
		       const char *where, struct wall at)
{
	needs->count++;
	buf_puts(needs->out, "<tr><td>");
	web_put_state(needs->out, shown);
	buf_puts(needs->out, "</td><td><b>");
	web_put_text(needs->out, what);
	if (where[0] != '\0')
		buf_puts(needs->out, " at "), web_put_text(needs->out, where);
	buf_puts(needs->out, "</b><span class=ago>");
	put_ago(needs->out, at, needs->now);
	buf_puts(needs->out, "</span><br><span class=meta>");
}

static void put_page(void *context, const struct notify_page_view *page)
{
	static const struct web_shown levels[] = {{"warning", "Low"},
						  {"warning", "Medium"},
						  {"broken", "High"},
						  {"broken", "Critical"}};
	struct needs *needs = context;
	if (strcmp(page->state, "resolved") == 0)
		return;
	begin_need(needs, levels[page->priority], page->name, page->component, page->opened);
	buf_put_html(needs->out, page->summary);
	buf_printf(needs->out, "<br>%s: ", page->id);
	if (page->acknowledged_by != NULL) {
		buf_puts(needs->out, "has it: ");
		web_put_text(needs->out, page->acknowledged_by);
	} else {
		buf_puts(needs->out, "nobody has it yet");
	}
	if (page->next != NULL) {
		buf_puts(needs->out, "; next: ");
		web_put_text(needs->out, page->next);
		buf_putc(needs->out, ' ');
		put_ago(needs->out, page->next_at, needs->now);
	}
	buf_puts(needs->out, "</span></td></tr>");
}

static void put_duty(void *context, const struct duty *duty)
{
	struct needs *needs = context;
	if (duty->state != DUTY_OVERDUE && duty->state != DUTY_DUE_SOON)
		return;
	bool overdue = duty->state == DUTY_OVERDUE;
	begin_need(needs,
		   overdue ? (struct web_shown){"warning", "Overdue"}
			   : (struct web_shown){"unproven", "Due soon"},
		   duty->title, "", duty->due);
	buf_printf(needs->out, "%s duty", duty_cadence_name(duty->cadence));
	if (duty->owner != NULL)
		buf_puts(needs->out, ", owner "), web_put_text(needs->out, duty->owner);
	buf_puts(needs->out, "</span></td></tr>");
}

static void put_pending(void *context, const struct alert *alert)
{
	struct needs *needs = context;
	if (alert->state != ALERT_PENDING)
		return;
	begin_need(needs, (struct web_shown){"unproven", "Pending"}, "Soon a page", "",
		   alert->active_since);
	buf_put_html(needs->out, labels_get(&alert->annotations, STR("summary")));
	buf_puts(needs->out, "</span></td></tr>");
}

static void put_needs(struct buf *out, const struct overview *o)
{
	struct buf rows = BUF_INIT;
	struct needs needs = {&rows, o->now, 0};
	notify_each_page(o->web->options.notify, put_page, &needs);
	duty_each(o->web->options.duties, put_duty, &needs);
	alert_each(o->web->options.alerts, put_pending, &needs);
	buf_printf(out,
		   "<section class='card fires'><div class=row><h2>Needs a person</h2>"
		   "<span class=meta>%zu</span></div>",
		   needs.count);
	if (needs.count == 0)
		buf_puts(out, "<p class=meta>Nothing fires, nothing is due.</p>");
	else
		buf_printf(out, "<table>%s</table>", rows.data);
	buf_puts(out, "</section>");
	buf_release(&rows);
}

/* ---- components ---- */

static void put_target(void *context, const struct collect_target *target)
{
	struct buf *out = context;
	static const char *const kinds[] = {"host", "scrape", "probe"};
	const struct collect_job *job = target->job;
	buf_puts(out, "<tr><td>");
	if (job != NULL) {
		web_put_text(out, job->component == NULL ? job->name : job->component->title);
		buf_printf(out, "</td><td class=wide>%s</td><td>", kinds[job->kind]);
	} else {
		struct str instance = labels_get(&target->labels, STR("instance"));
		web_put_text(out, target->pool);
		buf_puts(out, "</td><td class=wide>");
		buf_put_html(out, instance);
		buf_puts(out, "</td><td>");
	}
	web_put_state(out, target->last.ms == 0 ? (struct web_shown){"unproven", "Not yet"}
			   : target->healthy    ? (struct web_shown){"kept", "Up"}
						: (struct web_shown){"broken", "Down"});
	buf_puts(out, "</td><td>");
	web_put_text(out, target->error);
	buf_puts(out, "</td></tr>");
}

static void put_components(struct buf *out, const struct web *web)
{
	struct buf targets = BUF_INIT;
	buf_puts(out, "<section class=card><h2>Components</h2>");
	collect_each_target(web->options.collect, put_target, &targets);
	if (targets.length == 0)
		buf_puts(out,
			 "<p class=meta>No component is watched: name some in the site file.</p>");
	else
		buf_printf(out,
			   "<table><tr><th>Component<th class=wide>Watched "
			   "by<th>State<th>Reason</tr>%s</table>",
			   targets.data);
	buf_puts(out, "</section>");
	buf_release(&targets);
}

/* ---- the page ---- */

static void render(const struct overview *o)
{
	const struct web *web = o->web;
	const struct plan *plan = o->plan;
	struct buf out = BUF_INIT;
	web_begin_page(&out, plan, "Overview", "/");
	put_needs(&out, o);
	buf_puts(&out, "<div class=grid>");
	for (int need = 3; need >= 0; need--)
		for (size_t i = 0; i < plan->threshold_count; i++)
			if (need_of(web, &plan->thresholds[i]) == need)
				put_threshold(&out, web, &plan->thresholds[i], &o->histories[i]);
	buf_puts(&out, "</div><div class=split>");
	put_worst_chart(&out, o);
	web_put_totals(&out, web, plan);
	buf_puts(&out, "</div>");
	put_components(&out, web);
	web_end_page(o->request, &out);
}

static void overview_done(struct cx *cx, struct loop_job *job, enum rc result)
{
	struct overview *o = (struct overview *)job;
	/* a reload meanwhile: thresholds of the old plan have no values any more */
	bool same_plan = o->web->options.plan(o->web->options.context) == o->plan;
	if (result == RC_OK && same_plan) {
		render(o);
	} else {
		if (result == RC_OK)
			(void)cx_fail(cx, RC_BUSY, "the manual was reloaded meanwhile");
		http_reply_error(o->request, cx);
	}
	plan_unref(&o->plan);
	free(o->ledger_path);
	free(o);
}

void web_overview(struct http_request *request, void *context)
{
	struct web *web = context;
	struct cx *cx = http_request_cx(request);
	struct overview *o = heap_alloc(sizeof(*o));
	*o = (struct overview){
		.job = {.run = overview_run, .done = overview_done},
		.request = request,
		.web = web,
		.plan = plan_ref(web->options.plan(web->options.context)),
		.ledger_path = heap_printf("%s/ledger.db", web->data_path),
		.now = cx_wall(cx),
	};
	if (loop_post(cx, web->options.loop, LOOP_CPU, &o->job, OVERVIEW_BUDGET_BYTES,
		      MONO_NEVER) != RC_OK)
		overview_done(cx, &o->job, RC_BUSY);
}
