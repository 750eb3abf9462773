/* Backline's own pulse: what its parts count is looked at, and what is wrong is told. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/units.h"
#include "heartbeat/heartbeat.h"
#include "sys/watchdog.h"

#define PULSE_MAGIC 0x4ea47002U
#define LOOK_MS 5000
#define OVER_MS 300000    /* what was not seen for so long is over */
#define STILL_MS 120000   /* rules that are not evaluated for so long; eight intervals */
#define OUTBOX_LIMIT 1000 /* deliveries that wait */

enum finding {
	QUEUE_CPU,
	QUEUE_IO,
	QUEUE_OUTSIDE,
	QUEUE_PAGING,
	LEDGER,
	RULES,
	OUTBOX,
	REMOTE,
	LOOP,
	FINDINGS
};

static const struct {
	const char *id, *name, *words;
	enum priority priority;
} findings[FINDINGS] = {
	[QUEUE_CPU] = {"queue-full/cpu", "QueueFull",
		       "the queue of queries and decoding is full: work was refused",
		       PRIORITY_MEDIUM},
	[QUEUE_IO] = {"queue-full/io", "QueueFull",
		      "the queue of file work is full: work was refused", PRIORITY_HIGH},
	[QUEUE_OUTSIDE] = {"queue-full/outside", "QueueFull",
			   "the queue of mail is full: mail was refused", PRIORITY_HIGH},
	[QUEUE_PAGING] =
		{"queue-full/paging", "QueueFull",
		 "the queue of rules and of the ledger is full: what pages wait for was refused",
		 PRIORITY_CRITICAL},
	[LEDGER] = {"ledger-failing", "LedgerFailing",
		    "the ledger cannot be written: what happens is not recorded",
		    PRIORITY_CRITICAL},
	[RULES] = {"rules-still", "RulesNotEvaluated",
		   "no rule was evaluated for two minutes: nothing is watched", PRIORITY_CRITICAL},
	[OUTBOX] = {"outbox-full", "OutboxFull", "more than 1000 messages wait to be sent",
		    PRIORITY_HIGH},
	[REMOTE] = {"remote-behind", "RemoteWriteBehind",
		    "remote write is behind by minutes, or its queue cannot be written",
		    PRIORITY_MEDIUM},
	[LOOP] = {"loop-stalled", "LoopStalled", "the loop hung", PRIORITY_HIGH},
};

struct heartbeat_pulse {
	unsigned magic;
	struct heartbeat_pulse_options options;
	struct loop_timer timer;
	struct heartbeat_vitals before;
	struct mono evaluated;      /* when evaluations last grew, or there were no rules */
	struct mono seen[FINDINGS]; /* last */
	bool holds[FINDINGS];
};

static void note(struct heartbeat_pulse *pulse, enum finding which, bool is_seen, const char *more)
{
	char summary[200];
	struct mono now = clock_mono(loop_clock(pulse->options.loop));
	struct heartbeat_finding finding = {findings[which].id, findings[which].name, summary,
					    findings[which].priority};
	snprintf(summary, sizeof(summary), "%s%s", findings[which].words, more);
	if (is_seen) {
		pulse->seen[which] = now;
		if (!pulse->holds[which])
			pulse->options.found(pulse->options.context, &finding, true);
		pulse->holds[which] = true;
	} else if (pulse->holds[which] && mono_since(now, pulse->seen[which]).ms >= OVER_MS) {
		pulse->holds[which] = false;
		pulse->options.found(pulse->options.context, &finding, false);
	}
}

static void look(struct loop_timer *timer, void *owner)
{
	struct heartbeat_pulse *pulse = owner;
	struct heartbeat_vitals now = {0}, *before = &pulse->before;
	struct mono at = clock_mono(loop_clock(pulse->options.loop));
	char span[UNITS_TEXT_BYTES], stall[96];
	pulse->options.read(pulse->options.context, &now);
	for (int p = 0; p < LOOP_POOLS; p++)
		note(pulse, (enum finding)(QUEUE_CPU + p),
		     now.jobs_refused[p] > before->jobs_refused[p], "");
	note(pulse, LEDGER, now.ledger_failures > before->ledger_failures, "");
	if (now.rules == 0 || now.evaluations != before->evaluations)
		pulse->evaluated = at;
	note(pulse, RULES, mono_since(at, pulse->evaluated).ms >= STILL_MS, "");
	note(pulse, OUTBOX, now.deliveries_waiting > OUTBOX_LIMIT, "");
	note(pulse, REMOTE, now.remotes_behind > 0, "");
	units_format_duration_people(now.longest_stall, span);
	snprintf(stall, sizeof(stall), ": for %s nothing was watched", span);
	note(pulse, LOOP, now.longest_stall.ms >= WATCHDOG_PATIENCE_MS, stall);
	pulse->before = now;
	loop_timer_after(pulse->options.loop, timer, (struct dur){LOOK_MS});
}

struct heartbeat_pulse *heartbeat_pulse_open(const struct heartbeat_pulse_options *options)
{
	struct heartbeat_pulse *pulse = heap_alloc(sizeof(*pulse));
	pulse->magic = PULSE_MAGIC;
	pulse->options = *options;
	pulse->timer = (struct loop_timer){.fire = look, .owner = pulse};
	pulse->evaluated = clock_mono(loop_clock(options->loop));
	options->read(options->context, &pulse->before);
	for (int f = 0; f < FINDINGS; f++) {
		struct heartbeat_finding finding = {findings[f].id, findings[f].name,
						    findings[f].words, findings[f].priority};
		options->found(options->context, &finding, false);
	}
	loop_timer_after(options->loop, &pulse->timer, (struct dur){LOOK_MS});
	return pulse;
}

void heartbeat_pulse_close(struct heartbeat_pulse **handle)
{
	struct heartbeat_pulse *pulse = *handle;
	CHECK_MAGIC(pulse, PULSE_MAGIC);
	*handle = NULL;
	loop_timer_cancel(pulse->options.loop, &pulse->timer);
	pulse->magic = 0;
	free(pulse);
}

const char *heartbeat_pulse_unwell(const struct heartbeat_pulse *pulse)
{
	static const enum finding fatal[] = {RULES, LEDGER, QUEUE_PAGING};
	CHECK_MAGIC(pulse, PULSE_MAGIC);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		if (pulse->holds[fatal[i]])
			return findings[fatal[i]].words;
	return NULL;
}
