/* The frame of a page: no script, everything escaped. */
#include "web/render.h"

/* ---- the frame ---- */

void web_put_text(struct buf *out, const char *text)
{
	buf_put_html(out, str_of(text));
}

void web_begin_page(struct buf *out, const struct plan *plan, const char *title, const char *here)
{
	static const char *const pages[][2] = {{"/", "Overview"}, {"/promises", "Promises"}};
	buf_puts(out, "<!doctype html><html lang=en><meta charset=utf-8>"
		      "<meta name=viewport content='width=device-width, initial-scale=1'>"
		      "<meta http-equiv=refresh content=30><title>");
	web_put_text(out, title);
	buf_puts(out, " \xc2\xb7 Backline</title><link rel=icon href=/assets/favicon.svg>"
		      "<link rel=stylesheet href=/assets/tokens.css>"
		      "<link rel=stylesheet href=/assets/backline.css>"
		      "<nav class=rail><div class=brand><img src=/assets/favicon.svg "
		      "alt=''>backline</div>"
		      "<span class=tape>");
	web_put_text(out, plan->site_name);
	buf_puts(out, "</span>");
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		buf_printf(out, "<a href='%s'%s>%s</a>", pages[i][0],
			   strcmp(here, pages[i][0]) == 0 ? " aria-current=page" : "", pages[i][1]);
	buf_puts(out, "</nav><main><h1>");
	web_put_text(out, title);
	buf_puts(out, "</h1>");
}

void web_end_page(struct http_request *request, struct buf *out)
{
	char at[CLOCK_TEXT_BYTES];
	clock_format(cx_wall(http_request_cx(request)), at);
	buf_printf(out,
		   "<p class=meta>As of %s. This page renews itself every 30 s.</p></main></html>",
		   at);
	http_reply_header(request, "Content-Security-Policy",
			  "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self'; "
			  "form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
	http_reply_header(request, "Referrer-Policy", "same-origin");
	http_reply_header(request, "Cache-Control", "no-store");
	http_reply_buf(request, 200, "text/html; charset=utf-8", out);
}

/* ---- state: shape, colour, word ---- */

void web_put_state(struct buf *out, struct web_shown shown)
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

struct web_shown web_shown_verdict(const struct promise_verdict *verdict)
{
	if (verdict == NULL || verdict->state == PROMISE_UNPROVEN)
		return (struct web_shown){"unproven", "Unproven"};
	return verdict->state == PROMISE_KEPT ? (struct web_shown){"kept", "Kept"}
					      : (struct web_shown){"broken", "Broken"};
}

static void count_states(const struct web *web, const struct plan *plan, size_t counts[3])
{
	for (size_t i = 0; i < plan->promise_count; i++) {
		const struct promise_verdict *v =
			promise_verdict(web->options.promises, &plan->promises[i]);
		counts[v == NULL ? PROMISE_UNPROVEN : v->state]++;
	}
}

void web_put_totals(struct buf *out, const struct web *web, const struct plan *plan)
{
	size_t counts[3] = {0};
	count_states(web, plan, counts);
	buf_printf(out,
		   "<section class=card><div class=row><h2>Is the manual true?</h2>"
		   "<span class=meta>%zu promises</span></div><div class=totals>",
		   plan->promise_count);
	static const struct web_shown shown[] = {
		{"kept", "Kept"}, {"broken", "Broken"}, {"unproven", "Unproven"}};
	static const enum promise_state states[] = {PROMISE_KEPT, PROMISE_BROKEN, PROMISE_UNPROVEN};
	for (int i = 0; i < 3; i++) {
		buf_printf(out, "<div><b>%zu</b>", counts[states[i]]);
		web_put_state(out, shown[i]);
		buf_puts(out, "</div>");
	}
	buf_puts(out, "</div><p class=meta>A promise is a line of the manual. It is unproven while "
		      "nobody "
		      "knows whether it is true. <a href=/promises>All promises</a></p></section>");
}
