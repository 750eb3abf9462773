/* The overview and the promises, rendered here: no script, everything escaped, state as shape,
 * colour and word. */
#include <math.h>
#include <stdio.h>

#include "base/units.h"
#include "web/inside.h"

/* ---- assets ---- */

#define EMBED(symbol, path)                                                                        \
	__asm__(".section .rodata\n"                                                               \
		".global " #symbol "\n" #symbol ":\n"                                              \
		".incbin \"" path "\"\n"                                                           \
		".global " #symbol "_end\n" #symbol "_end:\n"                                      \
		".byte 0\n"                                                                        \
		".previous\n");                                                                    \
	extern const char symbol[], symbol##_end[]

#define ASSETS BACKLINE_SOURCE_ROOT "/src/web/assets/"
EMBED(web_tokens, ASSETS "tokens.css");
EMBED(web_style, ASSETS "backline.css");
EMBED(web_font, ASSETS "instrument-sans-latin-wght-normal.woff2");
EMBED(web_icon, ASSETS "favicon.svg");

void web_asset(struct http_request *request, void *context)
{
	static const struct {
		const char *name, *type, *from, *end;
	} assets[] = {
		{"tokens.css", "text/css; charset=utf-8", web_tokens, web_tokens_end},
		{"backline.css", "text/css; charset=utf-8", web_style, web_style_end},
		{"font.woff2", "font/woff2", web_font, web_font_end},
		{"favicon.svg", "image/svg+xml", web_icon, web_icon_end},
	};
	(void)context;
	struct str name = http_request_part(request, "name");
	for (size_t i = 0; i < sizeof(assets) / sizeof(assets[0]); i++) {
		if (!str_eq(name, str_of(assets[i].name)))
			continue;
		http_reply_header(request, "Cache-Control", "max-age=3600");
		http_reply(request, 200, assets[i].type,
			   str_make(assets[i].from, (size_t)(assets[i].end - assets[i].from)));
		return;
	}
	http_reply(request, 404, "text/plain", STR("no such asset\n"));
}

/* ---- the frame ---- */

static void put_text(struct buf *out, const char *text)
{
	buf_put_html(out, str_of(text));
}

static void begin_page(struct buf *out, const struct plan *plan, const char *title,
		       const char *here)
{
	static const char *const pages[][2] = {{"/", "Overview"}, {"/promises", "Promises"}};
	buf_puts(out, "<!doctype html><html lang=en><meta charset=utf-8>"
		      "<meta name=viewport content='width=device-width, initial-scale=1'>"
		      "<meta http-equiv=refresh content=30><title>");
	put_text(out, title);
	buf_puts(out, " \xc2\xb7 Backline</title><link rel=icon href=/assets/favicon.svg>"
		      "<link rel=stylesheet href=/assets/tokens.css>"
		      "<link rel=stylesheet href=/assets/backline.css>"
		      "<nav class=rail><div class=brand><img src=/assets/favicon.svg "
		      "alt=''>backline</div>"
		      "<span class=tape>");
	put_text(out, plan->site_name);
	buf_puts(out, "</span>");
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		buf_printf(out, "<a href='%s'%s>%s</a>", pages[i][0],
			   strcmp(here, pages[i][0]) == 0 ? " aria-current=page" : "", pages[i][1]);
	buf_puts(out, "</nav><main><h1>");
	put_text(out, title);
	buf_puts(out, "</h1>");
}

static void end_page(struct http_request *request, struct buf *out)
{
	char at[CLOCK_TEXT_BYTES];
	clock_format(cx_wall(http_request_cx(request)), at);
	buf_printf(out,
		   "<p class=meta>As of %s. This page renews itself every 30 s.</p></main></html>",
		   at);
	http_reply_header(request, "Content-Security-Policy",
			  "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self'; "
			  "form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
	http_reply_header(request, "Referrer-Policy", "no-referrer");
	http_reply_header(request, "Cache-Control", "no-store");
	http_reply_buf(request, 200, "text/html; charset=utf-8", out);
}

/* ---- state: shape, colour, word ---- */

struct shown {
	const char *class, *word;
};

static void put_state(struct buf *out, struct shown shown)
{
	const char *shape = "<circle cx=8 cy=8 r=6 fill=none stroke=currentColor stroke-width=2 "
			    "stroke-dasharray='2.5 2'/>";
	if (strcmp(shown.class, "kept") == 0)
		shape = "<circle cx=8 cy=8 r=7 fill=currentColor /><path d='M4.5 8.2l2.4 2.4 "
			"4.6-5' fill=none "
			"stroke=white stroke-width=1.8 />";
	else if (strcmp(shown.class, "broken") == 0)
		shape = "<path d='M8 0l8 8-8 8-8-8z' fill=currentColor />";
	else if (strcmp(shown.class, "warning") == 0)
		shape = "<path d='M8 1l7.5 14H.5z' fill=currentColor />";
	buf_printf(out,
		   "<span class='state %s'><svg viewBox='0 0 16 16' "
		   "aria-hidden=true>%s</svg>%s</span>",
		   shown.class, shape, shown.word);
}

static struct shown shown_verdict(const struct promise_verdict *verdict)
{
	if (verdict == NULL || verdict->state == PROMISE_UNPROVEN)
		return (struct shown){"unproven", "Unproven"};
	return verdict->state == PROMISE_KEPT ? (struct shown){"kept", "Kept"}
					      : (struct shown){"broken", "Broken"};
}

/* ---- the overview ---- */

static const struct threshold_limit *limit_of(const struct threshold *threshold,
					      enum limit_level level)
{
	for (size_t i = 0; i < threshold->limit_count; i++)
		if (threshold->limits[i].level == level)
			return &threshold->limits[i];
	return NULL;
}

static bool is_beyond(const struct threshold_limit *limit, double value)
{
	return limit != NULL && (limit->above ? value > limit->value : value < limit->value);
}

static void put_figure(struct buf *out, const struct threshold *threshold, double value)
{
	char number[UNITS_TEXT_BYTES];
	bool share = strcmp(threshold->unit, "ratio") == 0, small = !share && fabs(value) < 1;
	if (isnan(value)) {
		buf_puts(out, "<p class=figure>\xe2\x80\x94</p>");
		return;
	}
	units_format_number(share ? value * 100 : small ? value * 1000 : value, number);
	buf_printf(out, "<p class=figure>%s <small>%s</small></p>", number,
		   share   ? "%"
		   : small ? "ms"
			   : "s");
}

/* From 0 to a little beyond critical, or for limits below, from full down. */
static void put_ladder(struct buf *out, const struct threshold *threshold, double value)
{
	const struct threshold_limit *warn = limit_of(threshold, LIMIT_WARNING);
	const struct threshold_limit *crit = limit_of(threshold, LIMIT_CRITICAL);
	if (warn == NULL || crit == NULL || isnan(value))
		return;
	bool share = strcmp(threshold->unit, "ratio") == 0, above = warn->above;
	double top = share && above ? 1 : above ? crit->value * 1.5 : 1;
	double low = above ? 0 : fmin(crit->value, value) - (top - crit->value) * 0.5;
	if (low < 0)
		low = 0;
#define AT(v) (fmax(0, fmin(1, ((v)-low) / (top - low))) * 100)
	double a = AT(above ? warn->value : crit->value), b = AT(above ? crit->value : warn->value);
	buf_printf(
		out,
		"<svg class=ladder viewBox='0 0 100 10' preserveAspectRatio=none aria-hidden=true>"
		"<rect class=%s x=0 y=3 width=%.1f height=4 /><rect class=warn x=%.1f y=3 "
		"width=%.1f height=4 />"
		"<rect class=%s x=%.1f y=3 width=%.1f height=4 /><rect class=now x=%.1f y=0 "
		"width=1.2 height=10 />"
		"</svg>",
		above ? "fine" : "crit", a, a, b - a, above ? "crit" : "fine", b, 100 - b,
		fmin(98.8, AT(value)));
#undef AT
}

static void put_threshold(struct buf *out, const struct web *web, const struct threshold *threshold)
{
	struct promise_value now = promise_value_of(web->options.promises, threshold);
	const struct threshold_limit *warn = limit_of(threshold, LIMIT_WARNING);
	const struct threshold_limit *crit = limit_of(threshold, LIMIT_CRITICAL);
	struct shown shown = {"kept", "Within"};
	if (isnan(now.value))
		shown = (struct shown){"unproven", "Unproven"};
	else if (is_beyond(crit, now.value))
		shown = (struct shown){"broken", "Critical"};
	else if (is_beyond(warn, now.value))
		shown = (struct shown){"warning", "Warning"};
	buf_printf(out, "<section class='card %s'><div class=row><h2>", shown.class);
	put_text(out, threshold->metric);
	buf_puts(out, "</h2>");
	put_state(out, shown);
	buf_puts(out, "</div>");
	put_figure(out, threshold, now.value);
	put_ladder(out, threshold, now.value);
	buf_puts(out, "<p class=meta>");
	if (warn != NULL)
		buf_puts(out, "warn "), put_text(out, warn->text);
	if (crit != NULL)
		buf_puts(out, " \xc2\xb7 crit "), put_text(out, crit->text);
	buf_printf(out, "<br>manual, line %d", threshold->place.line);
	const struct promise *promise = crit != NULL   ? crit->promise
					: warn != NULL ? warn->promise
						       : NULL;
	if (now.component[0] != '\0')
		buf_puts(out, " \xc2\xb7 "), put_text(out, now.component);
	else if (promise != NULL && promise->missing != NULL)
		buf_puts(out, " \xc2\xb7 "), put_text(out, promise->missing);
	buf_puts(out, "</p></section>");
}

/* Worst first. */
static int need_of(const struct web *web, const struct threshold *threshold)
{
	double value = promise_value_of(web->options.promises, threshold).value;
	if (isnan(value))
		return 0;
	if (is_beyond(limit_of(threshold, LIMIT_CRITICAL), value))
		return 3;
	return is_beyond(limit_of(threshold, LIMIT_WARNING), value) ? 2 : 1;
}

static void count_states(const struct web *web, const struct plan *plan, size_t counts[3])
{
	for (size_t i = 0; i < plan->promise_count; i++) {
		const struct promise_verdict *v =
			promise_verdict(web->options.promises, &plan->promises[i]);
		counts[v == NULL ? PROMISE_UNPROVEN : v->state]++;
	}
}

static void put_totals(struct buf *out, const struct web *web, const struct plan *plan)
{
	size_t counts[3] = {0};
	count_states(web, plan, counts);
	buf_printf(out,
		   "<section class=card><div class=row><h2>Is the manual true?</h2>"
		   "<span class=meta>%zu promises</span></div><div class=totals>",
		   plan->promise_count);
	static const struct shown shown[] = {
		{"kept", "Kept"}, {"broken", "Broken"}, {"unproven", "Unproven"}};
	static const enum promise_state states[] = {PROMISE_KEPT, PROMISE_BROKEN, PROMISE_UNPROVEN};
	for (int i = 0; i < 3; i++) {
		buf_printf(out, "<div><b>%zu</b>", counts[states[i]]);
		put_state(out, shown[i]);
		buf_puts(out, "</div>");
	}
	buf_puts(out, "</div><p class=meta>A promise is a line of the manual. It is unproven while "
		      "nobody "
		      "knows whether it is true. <a href=/promises>All promises</a></p></section>");
}

static void put_target(void *context, const struct collect_target *target)
{
	struct buf *out = context;
	static const char *const kinds[] = {"host", "scrape", "probe"};
	buf_puts(out, "<tr><td>");
	put_text(out, target->job->component == NULL ? target->job->name
						     : target->job->component->title);
	buf_printf(out, "</td><td class=wide>%s</td><td>", kinds[target->job->kind]);
	put_state(out, target->last.ms == 0 ? (struct shown){"unproven", "Not yet"}
		       : target->healthy    ? (struct shown){"kept", "Up"}
					    : (struct shown){"broken", "Down"});
	buf_puts(out, "</td><td>");
	put_text(out, target->error);
	buf_puts(out, "</td></tr>");
}

static void put_alert(void *context, const struct alert *alert)
{
	struct buf *out = context;
	char since[CLOCK_TEXT_BYTES];
	bool vanished = str_is(labels_get(&alert->labels, STR("severity")), "vanished");
	bool critical = str_is(labels_get(&alert->labels, STR("severity")), "critical");
	clock_format(alert->active_since, since);
	buf_puts(out, "<tr><td>");
	put_state(out, alert->state == ALERT_PENDING ? (struct shown){"unproven", "Pending"}
		       : vanished                    ? (struct shown){"unproven", "Vanished"}
		       : critical                    ? (struct shown){"broken", "Critical"}
						     : (struct shown){"warning", "Warning"});
	buf_puts(out, "</td><td>");
	buf_put_html(out, labels_get(&alert->annotations, STR("summary")));
	buf_printf(out, "<br><span class=meta>since %s</span></td></tr>", since);
}

void web_overview(struct http_request *request, void *context)
{
	struct web *web = context;
	const struct plan *plan = web->options.plan(web->options.context);
	struct buf out = BUF_INIT, targets = BUF_INIT, alerts = BUF_INIT;
	begin_page(&out, plan, "Overview", "/");
	alert_each(web->options.alerts, put_alert, &alerts);
	if (alerts.length > 0)
		buf_printf(&out,
			   "<section class='card fires'><h2>What "
			   "fires</h2><table>%s</table></section>",
			   alerts.data);
	buf_release(&alerts);
	buf_puts(&out, "<div class=grid>");
	for (int need = 3; need >= 0; need--)
		for (size_t i = 0; i < plan->threshold_count; i++)
			if (need_of(web, &plan->thresholds[i]) == need)
				put_threshold(&out, web, &plan->thresholds[i]);
	buf_puts(&out, "</div><div class=split>");
	put_totals(&out, web, plan);
	buf_puts(&out, "<section class=card><h2>Components</h2>");
	collect_each_target(web->options.collect, put_target, &targets);
	if (targets.length == 0)
		buf_puts(&out,
			 "<p class=meta>No component is watched: name some in the site file.</p>");
	else
		buf_printf(&out,
			   "<table><tr><th>Component<th class=wide>Watched "
			   "by<th>State<th>Reason</tr>%s</table>",
			   targets.data);
	buf_puts(&out, "</section></div>");
	buf_release(&targets);
	end_page(request, &out);
}

/* ---- promises ---- */

static void put_chapters(struct buf *out, const struct web *web, const struct plan *plan)
{
	buf_puts(out, "<section class=card><div class=row><h2>By chapter</h2>"
		      "<span class=meta>one square, one promise</span></div>");
	for (size_t i = 0; i < plan->promise_count;) {
		const char *chapter = plan->promises[i].chapter;
		size_t kept = 0, first = i;
		buf_puts(out, "<div class=chapter><span>");
		put_text(out, chapter);
		buf_puts(out, "</span><span class=tiles>");
		for (; i < plan->promise_count && strcmp(plan->promises[i].chapter, chapter) == 0;
		     i++) {
			const struct promise_verdict *v =
				promise_verdict(web->options.promises, &plan->promises[i]);
			kept += v != NULL && v->state == PROMISE_KEPT;
			buf_printf(out, "<i class='tile %s'></i>", shown_verdict(v).class);
		}
		buf_printf(out, "</span><span class=meta>%zu of %zu</span></div>", kept, i - first);
	}
	buf_puts(out, "</section>");
}

static void put_promise(struct buf *out, const struct promise *promise,
			const struct promise_verdict *verdict)
{
	buf_puts(out, "<tr><td>");
	put_text(out, promise->text);
	buf_printf(out, "<br><span class=meta>line %d \xc2\xb7 ", promise->place.line);
	put_text(out, promise->heading);
	buf_printf(out, "</span></td><td class=wide>%s</td><td class=wide>",
		   promise_proof_name(promise->proof));
	put_text(out, verdict != NULL            ? verdict->evidence
		      : promise->missing != NULL ? promise->missing
						 : promise->proved_by);
	buf_puts(out, "</td><td>");
	put_state(out, shown_verdict(verdict));
	buf_puts(out, "</td></tr>");
}

void web_promises_page(struct http_request *request, void *context)
{
	static const enum promise_state order[] = {PROMISE_BROKEN, PROMISE_UNPROVEN, PROMISE_KEPT};
	struct web *web = context;
	const struct plan *plan = web->options.plan(web->options.context);
	struct buf out = BUF_INIT;
	begin_page(&out, plan, "Promises", "/promises");
	buf_puts(&out, "<div class=split>");
	put_totals(&out, web, plan);
	put_chapters(&out, web, plan);
	buf_puts(&out, "</div><section class=card><h2>All promises, worst first</h2><table>"
		       "<tr><th>Promise<th class=wide>Proof<th class=wide>Last proof, or what is "
		       "missing<th>State</tr>");
	for (int s = 0; s < 3; s++)
		for (size_t i = 0; i < plan->promise_count; i++) {
			const struct promise_verdict *v =
				promise_verdict(web->options.promises, &plan->promises[i]);
			if ((v == NULL ? PROMISE_UNPROVEN : v->state) == order[s])
				put_promise(&out, &plan->promises[i], v);
		}
	buf_puts(&out, "</table></section>");
	end_page(request, &out);
}
