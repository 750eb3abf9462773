/* Drawings in SVG, rendered here. */
#include "web/chart.h"

#include <math.h>

#include "base/units.h"

const struct threshold_limit *web_limit_of(const struct threshold *threshold,
					   enum limit_level level)
{
	for (size_t i = 0; i < threshold->limit_count; i++)
		if (threshold->limits[i].level == level)
			return &threshold->limits[i];
	return NULL;
}

bool web_is_beyond(const struct threshold_limit *limit, double value)
{
	return limit != NULL && (limit->above ? value > limit->value : value < limit->value);
}

void web_put_figure(struct buf *out, const struct threshold *threshold, double value)
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
void web_put_ladder(struct buf *out, const struct threshold *threshold, double value)
{
	const struct threshold_limit *warn = web_limit_of(threshold, LIMIT_WARNING);
	const struct threshold_limit *crit = web_limit_of(threshold, LIMIT_CRITICAL);
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

/* ---- lines over time ---- */

struct frame {
	double width, height, low, high;
};

static double x_of(const struct frame *frame, size_t point)
{
	return (double)point * frame->width / (WEB_POINTS - 1);
}

static double y_of(const struct frame *frame, double value)
{
	double span = frame->high - frame->low;
	return frame->height * (1 - (span > 0 ? (value - frame->low) / span : 0.5));
}

/* Pieces between gaps. */
static void put_path(struct buf *out, const struct frame *frame, const struct web_history *history)
{
	bool pen_down = false;
	buf_puts(out, "<path d='");
	for (size_t i = 0; i < WEB_POINTS; i++) {
		double value = history->values[i];
		if (isnan(value)) {
			pen_down = false;
			continue;
		}
		buf_printf(out, "%c%.1f %.1f", pen_down ? 'L' : 'M', x_of(frame, i),
			   y_of(frame, value));
		pen_down = true;
	}
	buf_puts(out, "'/>");
}

static bool fit(struct frame *frame, const struct web_history *history)
{
	bool any = false;
	for (size_t i = 0; i < WEB_POINTS; i++) {
		double value = history->values[i];
		if (!isfinite(value))
			continue;
		frame->low = any ? fmin(frame->low, value) : value;
		frame->high = any ? fmax(frame->high, value) : value;
		any = true;
	}
	return any;
}

void web_put_sparkline(struct buf *out, const struct web_history *history)
{
	struct frame frame = {.width = 100, .height = 24};
	if (!fit(&frame, history))
		return;
	buf_puts(out, "<svg class=spark viewBox='-1 -2 102 28' preserveAspectRatio=none "
		      "aria-hidden=true>");
	put_path(out, &frame, history);
	buf_puts(out, "</svg>");
}

static void put_limit(struct buf *out, const struct frame *frame,
		      const struct threshold_limit *limit)
{
	if (limit == NULL)
		return;
	const char *name = limit->level == LIMIT_CRITICAL ? "crit" : "warn";
	double y = y_of(frame, limit->value);
	/* the words stand on the outer side of each line, so that near lines keep theirs apart */
	bool over = (limit->level == LIMIT_CRITICAL) == limit->above;
	buf_printf(out, "<line class=%s x1=0 x2=%.0f y1=%.1f y2=%.1f /><text class=%s x=4 y=%.1f>",
		   name, frame->width, y, y, name, over ? y - 4 : y + 12);
	buf_puts(out, limit->level == LIMIT_CRITICAL ? "Critical " : "Warning ");
	web_put_text(out, limit->text);
	buf_puts(out, "</text>");
}

static void put_mark(struct buf *out, const struct frame *frame, const struct web_mark *mark,
		     struct wall now)
{
	double x = frame->width * (1 - (double)(now.ms - mark->at.ms) / (double)WEB_SPAN_MS);
	if (x < 0 || x > frame->width)
		return;
	buf_printf(out,
		   "<line class=mark x1=%.1f x2=%.1f y1=0 y2=%.0f /><text class=mark "
		   "text-anchor=%s x=%.1f y=-4>",
		   x, x, frame->height, x > frame->width * 0.8 ? "end" : "start", x);
	buf_put_html(out, mark->text);
	buf_puts(out, "</text>");
}

static void put_times(struct buf *out, const struct frame *frame, struct wall now)
{
	for (int i = 0; i <= 4; i++) {
		char at[CLOCK_TEXT_BYTES];
		clock_format((struct wall){now.ms - WEB_SPAN_MS + i * WEB_SPAN_MS / 4}, at);
		buf_printf(out, "<text x=%.0f y=%.0f text-anchor=%s>%.5s</text>",
			   frame->width * i / 4, frame->height + 16,
			   i == 0   ? "start"
			   : i == 4 ? "end"
				    : "middle",
			   at + 11);
	}
}

void web_put_chart(struct buf *out, const struct threshold *threshold,
		   const struct web_history *history, struct wall now, const struct web_mark *marks,
		   size_t mark_count)
{
	struct frame frame = {.width = 720, .height = 180};
	const struct threshold_limit *warn = web_limit_of(threshold, LIMIT_WARNING);
	const struct threshold_limit *crit = web_limit_of(threshold, LIMIT_CRITICAL);
	if (!fit(&frame, history)) {
		buf_puts(out, "<p class=meta>No value in the last hour.</p>");
		return;
	}
	for (int i = 0; i < 2; i++) {
		const struct threshold_limit *limit = i == 0 ? warn : crit;
		frame.low = limit == NULL ? frame.low : fmin(frame.low, limit->value);
		frame.high = limit == NULL ? frame.high : fmax(frame.high, limit->value);
	}
	if (warn != NULL && warn->above)
		frame.low = 0;
	frame.high += (frame.high - frame.low) * 0.05;
	buf_printf(out, "<svg class=chart viewBox='0 -18 720 218' role=img aria-label='");
	web_put_text(out, threshold->metric);
	buf_puts(out, " in the last hour'>");
	put_limit(out, &frame, warn);
	put_limit(out, &frame, crit);
	put_path(out, &frame, history);
	for (size_t i = 0; i < mark_count; i++)
		put_mark(out, &frame, &marks[i], now);
	put_times(out, &frame, now);
	buf_puts(out, "</svg>");
}
