/* Runbooks: Markdown beside the manual as a page, and on the page of whoever is paged. */
#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm.h>
#include <stdlib.h>

#include "web/inside.h"

/* Raw HTML and dangerous addresses are left out: CMARK_OPT_UNSAFE is not given. */
#define RENDER_OPTIONS (CMARK_OPT_VALIDATE_UTF8 | CMARK_OPT_FOOTNOTES)

static void render(struct buf *out, const char *markdown)
{
	cmark_gfm_core_extensions_ensure_registered();
	cmark_parser *parser = cmark_parser_new(RENDER_OPTIONS);
	static const char *const names[] = {"table", "strikethrough", "tasklist", "autolink"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		cmark_syntax_extension *extension = cmark_find_syntax_extension(names[i]);
		if (extension != NULL)
			cmark_parser_attach_syntax_extension(parser, extension);
	}
	cmark_parser_feed(parser, markdown, strlen(markdown));
	cmark_node *document = cmark_parser_finish(parser);
	char *html = cmark_render_html(document, RENDER_OPTIONS,
				       cmark_parser_get_syntax_extensions(parser));
	buf_puts(out, html);
	free(html);
	cmark_node_free(document);
	cmark_parser_free(parser);
}

void web_put_runbook(struct buf *out, const struct plan *plan, struct str name,
		     struct str component)
{
	const struct runbook *runbook = plan_runbook(plan, name, component);
	if (runbook == NULL)
		return;
	buf_puts(out, "<article class=runbook><h2>Runbook: ");
	buf_put_html(out, str_of(runbook->name));
	buf_puts(out, "</h2>");
	if (runbook->url != NULL) {
		buf_puts(out, "<p><a rel=noreferrer href=\"");
		buf_put_html(out, str_of(runbook->url));
		buf_puts(out, "\">");
		buf_put_html(out, str_of(runbook->url));
		buf_puts(out, "</a></p>");
	} else if (runbook->text != NULL) {
		render(out, runbook->text);
	} else {
		buf_puts(out, "<p>Its file is missing.</p>");
	}
	buf_puts(out, "</article>");
}

void web_runbook(struct http_request *request, void *context)
{
	const struct web *web = context;
	const struct plan *plan = web->options.plan(web->options.context);
	struct cx *cx = http_request_cx(request);
	const struct runbook *runbook = plan_runbook_slug(plan, http_request_part(request, "name"));
	struct buf out = BUF_INIT;
	if (runbook == NULL) {
		(void)cx_fail(cx, RC_NOT_FOUND, "there is no such runbook");
		http_reply_error(request, cx);
		return;
	}
	web_begin_narrow(&out);
	web_put_runbook(&out, plan, str_of(runbook->name), STR(""));
	web_end_narrow(request, 200, &out);
}
