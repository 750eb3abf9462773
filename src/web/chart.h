/* Figures of a threshold as drawings: the ladder of its limits, the sparkline, the chart with
 * marks. Private to web/. */
#ifndef WEB_CHART_H
#define WEB_CHART_H

#include "web/render.h"

#define WEB_POINTS 60 /* over WEB_SPAN_MS */
#define WEB_SPAN_MS 3600000LL

struct web_history {
	double values[WEB_POINTS]; /* the worst component at each instant; NaN: no value */
};

struct web_mark {
	struct wall at;
	struct str text;
};

const struct threshold_limit *web_limit_of(const struct threshold *threshold,
					   enum limit_level level);
bool web_is_beyond(const struct threshold_limit *limit, double value);
void web_put_figure(struct buf *out, const struct threshold *threshold, double value);
void web_put_ladder(struct buf *out, const struct threshold *threshold, double value);
void web_put_sparkline(struct buf *out, const struct web_history *history);
/* With lines at the limits and a mark for each of `marks` within the span before `now`. */
void web_put_chart(struct buf *out, const struct threshold *threshold,
		   const struct web_history *history, struct wall now, const struct web_mark *marks,
		   size_t mark_count);

#endif
