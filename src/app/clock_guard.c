/* Wall time beside monotonic time, every ten seconds. */
#include "app/clock_guard.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/units.h"

#define LOOK_MS 10000
#define JUMP_MS 60000

static void tell(const struct clock_guard *guard, int64_t jump_ms)
{
	struct arena arena;
	struct cx cx;
	char span[UNITS_TEXT_BYTES];
	arena_init(&arena, 4096);
	cx_init(&cx, &arena, loop_clock(guard->loop));
	units_format_duration_people((struct dur){llabs(jump_ms)}, span);
	char *summary = cx_printf(&cx, "the wall clock was set %s by %s",
				  jump_ms > 0 ? "forward" : "back", span);
	struct ledger_entry entry = {STR("clock"), STR("backline"), STR(""), str_of(summary),
				     STR("")};
	log_warn("the clock jumped", F_TEXT("what", summary));
	if (ledger_append(&cx, guard->ledger, &entry, NULL, NULL) != RC_OK)
		log_failure(&cx, "a jump of the clock is not recorded");
	arena_release(&arena);
}

static void look(struct loop_timer *timer, void *owner)
{
	struct clock_guard *guard = owner;
	struct clock *clock = loop_clock(guard->loop);
	struct wall wall = clock_wall(clock);
	struct mono mono = clock_mono(clock);
	int64_t jump_ms = wall.ms - guard->wall.ms - mono_since(mono, guard->mono).ms;
	guard->wall = wall;
	guard->mono = mono;
	if (llabs(jump_ms) > JUMP_MS)
		tell(guard, jump_ms);
	loop_timer_after(guard->loop, timer, (struct dur){LOOK_MS});
}

void app_clock_guard_start(struct clock_guard *guard, struct loop *loop, struct ledger *ledger)
{
	struct clock *clock = loop_clock(loop);
	*guard = (struct clock_guard){.loop = loop,
				      .ledger = ledger,
				      .timer = {.fire = look, .owner = guard},
				      .wall = clock_wall(clock),
				      .mono = clock_mono(clock)};
	loop_timer_after(loop, &guard->timer, (struct dur){LOOK_MS});
}

void app_clock_guard_stop(struct clock_guard *guard)
{
	if (guard->loop != NULL)
		loop_timer_cancel(guard->loop, &guard->timer);
	guard->loop = NULL;
}
