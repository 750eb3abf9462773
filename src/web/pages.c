/* The promises' page, and the files that pages need. */
#include "web/render.h"

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

/* ---- promises ---- */

static void put_chapters(struct buf *out, const struct web *web, const struct plan *plan)
{
	buf_puts(out, "<section class=card><div class=row><h2>By chapter</h2>"
		      "<span class=meta>one square, one promise</span></div>");
	for (size_t i = 0; i < plan->promise_count;) {
		const char *chapter = plan->promises[i].chapter;
		size_t kept = 0, first = i;
		buf_puts(out, "<div class=chapter><span>");
		web_put_text(out, chapter);
		buf_puts(out, "</span><span class=tiles>");
		for (; i < plan->promise_count && strcmp(plan->promises[i].chapter, chapter) == 0;
		     i++) {
			const struct promise_verdict *v =
				promise_verdict(web->options.promises, &plan->promises[i]);
			kept += v != NULL && v->state == PROMISE_KEPT;
			buf_printf(out, "<i class='tile %s'></i>", web_shown_verdict(v).class);
		}
		buf_printf(out, "</span><span class=meta>%zu of %zu</span></div>", kept, i - first);
	}
	buf_puts(out, "</section>");
}

static void put_promise(struct buf *out, const struct promise *promise,
			const struct promise_verdict *verdict)
{
	buf_puts(out, "<tr><td>");
	web_put_text(out, promise->text);
	buf_printf(out, "<br><span class=meta>line %d \xc2\xb7 ", promise->place.line);
	web_put_text(out, promise->heading);
	buf_printf(out, "</span></td><td class=wide>%s</td><td class=wide>",
		   promise_proof_name(promise->proof));
	web_put_text(out, verdict != NULL            ? verdict->evidence
			  : promise->missing != NULL ? promise->missing
						     : promise->proved_by);
	buf_puts(out, "</td><td>");
	web_put_state(out, web_shown_verdict(verdict));
	buf_puts(out, "</td></tr>");
}

void web_promises_page(struct http_request *request, void *context)
{
	static const enum promise_state order[] = {PROMISE_BROKEN, PROMISE_UNPROVEN, PROMISE_KEPT};
	struct web *web = context;
	const struct plan *plan = web->options.plan(web->options.context);
	struct buf out = BUF_INIT;
	web_begin_page(&out, plan, "Promises", "/promises");
	buf_puts(&out, "<div class=split>");
	web_put_totals(&out, web, plan);
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
	web_end_page(request, &out);
}
