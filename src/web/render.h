/* What the pages share: the frame, state as shape, colour and word. Private to web/. */
#ifndef WEB_RENDER_H
#define WEB_RENDER_H

#include "web/inside.h"

struct web_shown {
	const char *class, *word; /* "kept", "broken", "warning", "unproven" */
};

void web_put_text(struct buf *out, const char *text); /* escaped */
void web_begin_page(struct buf *out, const struct plan *plan, const char *title, const char *here);
void web_end_page(struct http_request *request, struct buf *out);
void web_put_state(struct buf *out, struct web_shown shown);
struct web_shown web_shown_verdict(const struct promise_verdict *verdict);
/* How many promises are kept, broken, unproven. */
void web_put_totals(struct buf *out, const struct web *web, const struct plan *plan);

#endif
