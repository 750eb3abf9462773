/* Minutes in which nobody is on call, told as mistakes of the site file. */
#include "manual/manual.h"

#define TOLD_LIMIT 50 /* of one schedule; the rest is counted */

static const char *text_of(struct cx *cx, const struct zone *zone,
			   const struct schedule_segment *gap)
{
	char local[2][ZONE_TEXT_BYTES], utc[2][CLOCK_TEXT_BYTES];
	zone_format(zone, gap->from, local[0]);
	zone_format(zone, gap->until, local[1]);
	clock_format(gap->from, utc[0]);
	clock_format(gap->until, utc[1]);
	return cx_printf(cx, "%s to %s (%.16sZ to %.16sZ)", local[0], local[1], utc[0], utc[1]);
}

static enum rc tell(struct cx *cx, const struct plan *plan, const struct oncall *oncall,
		    struct diagnostics *diagnostics, const char *message)
{
	struct diagnostic *told = vec_add(cx, &diagnostics->list);
	if (told == NULL || message == NULL)
		return RC_LIMIT;
	*told = (struct diagnostic){
		.is_error = true,
		.place = oncall->place,
		.path = plan->site_path,
		.message = message,
		.hint = "Add somebody to a layer, or a layer below that always covers."};
	diagnostics->errors++;
	return RC_OK;
}

enum rc manual_uncovered(struct cx *cx, const struct plan *plan,
			 const struct schedule_overrides *overrides, struct wall from,
			 struct dur within, struct diagnostics *diagnostics)
{
	for (size_t i = 0; i < plan->oncall_count; i++) {
		const struct oncall *oncall = &plan->oncalls[i];
		const struct schedule *schedule = &oncall->schedule;
		struct schedule_segment *gaps;
		size_t count;
		int64_t untold_ms = 0;
		TRY(schedule_gaps(cx, schedule, overrides, from, (struct wall){from.ms + within.ms},
				  &gaps, &count));
		for (size_t g = 0; g < count && g < TOLD_LIMIT; g++)
			TRY(tell(cx, plan, oncall, diagnostics,
				 cx_printf(cx, "nobody is on call in '%s' from %s", schedule->id,
					   text_of(cx, schedule->zone, &gaps[g]))));
		for (size_t g = TOLD_LIMIT; g < count; g++)
			untold_ms += gaps[g].until.ms - gaps[g].from.ms;
		if (count > TOLD_LIMIT)
			TRY(tell(cx, plan, oncall, diagnostics,
				 cx_printf(cx,
					   "nobody is on call in '%s' at %zu more times either, "
					   "%lld minutes in all",
					   schedule->id, count - TOLD_LIMIT,
					   (long long)(untold_ms / 60000))));
	}
	return RC_OK;
}
