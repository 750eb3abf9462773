/* The compiler: TuneTON's manual as it stands, a second one, and what is wrong with bad ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "manual/manual.h"
#include "sys/file.h"

static struct arena arena;
static struct cx cx;
static struct diagnostics diagnostics;

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 256 << 20);
	cx_init(&cx, &arena, clock_real());
	diagnostics = (struct diagnostics){0};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_release(&arena);
	return 0;
}

static struct plan *compile(struct str document, const char *site)
{
	struct manual_input input = {.document_path = "manual.md", .document = document};
	struct plan *plan;
	diagnostics = (struct diagnostics){0};
	if (site != NULL) {
		input.site_path = "site.yaml";
		input.site = str_of(site);
		input.require_site = true;
	}
	enum rc rc = manual_compile(&cx, &input, &diagnostics, &plan);
	assert_true(rc == RC_OK || rc == RC_INVALID);
	assert_true((rc == RC_OK) == (plan != NULL));
	return plan;
}

static struct str read_document(const char *path)
{
	struct str text;
	assert_int_equal(file_read(&cx, path, 1 << 20, &text), RC_OK);
	return text;
}

#define TUNETON "manuals/tuneton/operations-manual.md"

static void tuneton_compiles_with_every_promise(void **state)
{
	(void)state;
	static const size_t expected[PROMISE_KINDS] = {
		[PROMISE_THRESHOLD] = 26, [PROMISE_CHANNEL] = 4,      [PROMISE_ESCALATION] = 1,
		[PROMISE_SEVERITY] = 4,   [PROMISE_ROLE] = 3,         [PROMISE_WORKFLOW] = 2,
		[PROMISE_TEMPLATE] = 1,   [PROMISE_BACKUP] = 3,       [PROMISE_OBJECTIVE] = 6,
		[PROMISE_WINDOW] = 3,     [PROMISE_VERIFICATION] = 8, [PROMISE_DUTY] = 12,
		[PROMISE_CHANGE] = 3,     [PROMISE_TOOL] = 4,         [PROMISE_PANEL] = 10,
	};
	struct plan *plan = compile(read_document(TUNETON), NULL);
	assert_non_null(plan);
	size_t counts[PROMISE_KINDS] = {0};
	for (size_t i = 0; i < plan->promise_count; i++)
		counts[plan->promises[i].kind]++;
	for (int k = 0; k < PROMISE_KINDS; k++)
		if (expected[k] > 0)
			assert_int_equal(counts[k], expected[k]);
	assert_int_equal(plan->threshold_count, 13);
	assert_int_equal(plan->escalations[PRIORITY_CRITICAL].step_count, 3);
	assert_int_equal(plan->escalations[PRIORITY_CRITICAL].steps[1].after.ms, 5 * 60000);
	assert_int_equal(plan->escalations[PRIORITY_CRITICAL].steps[2].after.ms, 15 * 60000);
	assert_string_equal(plan->escalations[PRIORITY_CRITICAL].steps[2].contact->name, "Manager");
	assert_int_equal(plan->escalations[PRIORITY_HIGH].steps[1].wait, WAIT_RESOLVED);
	assert_int_equal(plan->escalations[PRIORITY_HIGH].steps[1].after.ms, 30 * 60000);
	assert_int_equal(plan->channels[PRIORITY_CRITICAL].channel_count, 3);
	assert_string_equal(plan->channels[PRIORITY_CRITICAL].channels[2].target,
			    "#critical-alerts");
	assert_int_equal(plan->windows[0].weekday, 6);
	assert_int_equal(plan->windows[0].from_min, 120);
	plan_unref(&plan);
}

/* Every list item and table row of the document stands in the list, by its line. */
static void no_line_that_promises_is_missing(void **state)
{
	(void)state;
	struct str text = read_document(TUNETON), line;
	struct plan *plan = compile(text, NULL);
	bool fenced = false, in_table = false;
	assert_non_null(plan);
	for (int number = 1; str_split(&text, '\n', &line); number++) {
		struct str bare = str_trim(line);
		if (str_starts(bare, STR("```")))
			fenced = !fenced;
		bool row = str_starts(bare, STR("|")) && in_table && str_find(bare, STR("---")) < 0;
		in_table = str_starts(bare, STR("|"));
		bool item = str_starts(bare, STR("- ")) || (bare.n > 2 && bare.p[0] >= '0' &&
							    bare.p[0] <= '9' && bare.p[1] == '.');
		if (fenced || !(item || row))
			continue;
		bool found = false;
		for (size_t i = 0; i < plan->promise_count; i++)
			found = found || plan->promises[i].place.line == number;
		/* who has a role, and what is its secondary, is one promise */
		if (!found)
			print_error("line %d is no promise: " STR_FMT "\n", number, STR_ARG(bare));
		assert_true(found);
	}
	plan_unref(&plan);
}

static void ids_are_unique_and_survive_other_numbers(void **state)
{
	(void)state;
	struct str text = read_document(TUNETON);
	struct plan *plan = compile(text, NULL);
	assert_non_null(plan);
	for (size_t i = 0; i < plan->promise_count; i++)
		for (size_t j = i + 1; j < plan->promise_count; j++)
			assert_string_not_equal(plan->promises[i].id, plan->promises[j].id);
	ptrdiff_t at = str_find(text, STR("> 500ms "));
	assert_true(at > 0);
	((char *)(uintptr_t)text.p)[at + 2] = '6';
	struct plan *changed = compile(text, NULL);
	struct plan_change *changes;
	size_t count;
	assert_int_equal(manual_compare(&cx, plan, changed, &changes, &count), RC_OK);
	assert_int_equal(count, 1);
	assert_int_equal(changes[0].kind, PLAN_WEAKENED);
	plan_unref(&changed);
	plan_unref(&plan);
}

/* Everything observable of a plan in one text. */
static void describe(struct buf *out, const struct plan *plan)
{
	manual_rules_yaml(out, plan);
	for (int p = 0; p < PRIORITIES; p++) {
		for (size_t i = 0; i < plan->channels[p].channel_count; i++)
			buf_printf(out, "%d %d %s\n", p, plan->channels[p].channels[i].kind,
				   plan->channels[p].channels[i].target == NULL
					   ? "-"
					   : plan->channels[p].channels[i].target);
		for (size_t i = 0; i < plan->escalations[p].step_count; i++)
			buf_printf(out, "%d %lld %s\n", p,
				   (long long)plan->escalations[p].steps[i].after.ms,
				   plan->escalations[p].steps[i].text);
	}
	for (size_t i = 0; i < plan->severity_count; i++)
		buf_printf(out, "%s %lld\n", plan->severities[i].name,
			   (long long)plan->severities[i].response.ms);
}

static void mutate(struct str text, struct str original, const char *what, size_t nth, char to)
{
	size_t from = 0;
	ptrdiff_t at = -1;
	for (size_t i = 0; i <= nth; i++) {
		at = str_find(str_skip(text, from), str_of(what));
		assert_true(at >= 0);
		at += (ptrdiff_t)from;
		from = (size_t)at + 1;
	}
	size_t digit = (size_t)at;
	while (text.p[digit] < '0' || text.p[digit] > '9')
		digit++;
	char *bytes = str_dup(&arena, text);
	bytes[digit] = bytes[digit] == to ? '8' : to;
	struct plan *before = compile(original, NULL),
		    *after = compile(str_make(bytes, text.n), NULL);
	assert_non_null(before);
	struct buf a = BUF_INIT, b = BUF_INIT;
	describe(&a, before);
	if (after != NULL) /* a warning beyond critical does not compile: that is observable, too */
		describe(&b, after);
	assert_false(str_eq(buf_str(&a), buf_str(&b)));
	buf_release(&a);
	buf_release(&b);
	plan_unref(&before);
	if (after != NULL)
		plan_unref(&after);
}

/* Each of the 26 limits, 3 waits and 4 clocks. */
static void a_changed_number_changes_the_plan(void **state)
{
	(void)state;
	struct str text = read_document(TUNETON);
	ptrdiff_t tables = str_find(text, STR("##### Frontend Alerts"));
	ptrdiff_t channels = str_find(text, STR("#### Alert Channels"));
	assert_true(tables > 0 && channels > tables);
	size_t mutated = 0;
	for (ptrdiff_t i = tables; i < channels; i++) {
		if (text.p[i] != '>' && text.p[i] != '<')
			continue;
		char *bytes = str_dup(&arena, text);
		char *digit = bytes + i;
		while (*digit < '0' || *digit > '9')
			digit++;
		*digit = *digit == '4' ? '6' : '4';
		struct plan *before = compile(text, NULL),
			    *after = compile(str_make(bytes, text.n), NULL);
		struct buf a = BUF_INIT, b = BUF_INIT;
		describe(&a, before);
		if (after != NULL)
			describe(&b, after);
		assert_false(str_eq(buf_str(&a), buf_str(&b)));
		buf_release(&a);
		buf_release(&b);
		plan_unref(&before);
		if (after != NULL)
			plan_unref(&after);
		mutated++;
		arena_reset(&arena);
		text = read_document(TUNETON);
	}
	assert_int_equal(mutated, 26);
	static const char *const waits[] = {"No - 5 min", "No - 15 min", "No - 30 min", "< 15 min",
					    "< 1 hour",   "< 4 hours",   "< 24 hours"};
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		arena_reset(&arena);
		text = read_document(TUNETON);
		mutate(text, text, waits[i], 0, '7');
	}
}

static void a_changed_channel_changes_the_plan(void **state)
{
	(void)state;
	static const char *const lines[] = {"SMS, Phone call, Slack #critical", "Email, Slack #ops",
					    "Slack #dev", "Slack #notif"};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct str text = read_document(TUNETON);
		struct plan *before = compile(text, NULL);
		ptrdiff_t at = str_find(text, str_of(lines[i]));
		assert_true(at > 0);
		((char *)(uintptr_t)text.p)[at + (ptrdiff_t)strlen(lines[i])] = 'X';
		struct plan *after = compile(text, NULL);
		struct buf a = BUF_INIT, b = BUF_INIT;
		describe(&a, before);
		describe(&b, after);
		assert_false(str_eq(buf_str(&a), buf_str(&b)));
		buf_release(&a);
		buf_release(&b);
		plan_unref(&before);
		plan_unref(&after);
	}
}

/* Another company, other numbers, order, headings and units. */
static void a_second_manual_compiles(void **state)
{
	(void)state;
	struct plan *plan = compile(read_document("tests/golden/manual/bakery.md"), NULL);
	assert_non_null(plan);
	assert_int_equal(plan->threshold_count, 4);
	assert_float_equal(plan->thresholds[0].limits[0].value, 1.5, 1e-9);
	assert_float_equal(plan->thresholds[0].limits[1].value, 2, 1e-9);
	assert_float_equal(plan->thresholds[1].limits[0].value, 0.005, 1e-9);
	assert_null(plan->thresholds[3].measure);
	assert_int_equal(plan->escalations[PRIORITY_CRITICAL].step_count, 2);
	assert_int_equal(plan->escalations[PRIORITY_CRITICAL].steps[1].after.ms, 7 * 60000);
	assert_string_equal(plan->escalations[PRIORITY_CRITICAL].steps[1].contact->name,
			    "Head Baker");
	assert_int_equal(plan->severity_count, 2);
	assert_int_equal(plan->severities[0].response.ms, 10 * 60000);
	assert_int_equal(plan->windows[0].weekday, 3);
	assert_int_equal(plan->windows[0].from_min, 14 * 60 + 30);
	assert_int_equal(plan->workflow_count, 1);
	plan_unref(&plan);
}

struct bad {
	const char *document, *site, *message;
};

#define TABLE "# M\n\n## A\n\n| Metric | Warning | Critical | Type |\n|---|---|---|---|\n"

#define LAYER(keys) "people: { a: {} }\noncall: { o: { layers: [ { people: [a], " keys " } ] } }\n"
static const struct bad bads[] = {
	{TABLE "| CPU Usage | > 5s | > 90% | Resource |\n", NULL, "wrong unit: '> 5s'"},
	{TABLE "| CPU Usage | > 95% | > 90% | Resource |\n", NULL,
	 "warning is beyond critical: '> 95%'"},
	{TABLE "| CPU Usage | 70% | > 90% | Resource |\n", NULL,
	 "a limit starts with '>' or '<': '70%'"},
	{TABLE
	 "| CPU Usage | > 70% | > 90% | Resource |\n| CPU Usage | > 71% | > 90% | Resource |\n",
	 NULL, "'CPU Usage' has limits in line 7 already"},
	{TABLE "| CPU Usage | > 7O% | > 90% | Resource |\n", NULL,
	 "the number before '%' is not one: '> 7O%'"},
	{"# M\n\n## W\n\n```mermaid\ngraph TD\n A[Start] --> B{Fine?}\n B --> C[End]\n```\n", NULL,
	 "a way on from decision 'Fine?' has no answer"},
	{"# M\n\n## W\n\n```mermaid\ngraph TD\n A[Start] --> B[x]\n C[y] --> B\n C --> C\n```\n",
	 NULL, "step 'y' is never reached"},
	{"# M\n\n## W\n\n```mermaid\ngraph TD\n A[Start] --> B[x]\n B --> A2[y]\n A2 --> B\n```\n",
	 NULL, "the loop at 'Start' has no exit"},
	{"# M\n\n## Alert channels\n\n- **Critical Alerts**: Pigeon\n", NULL,
	 "unknown channel 'Pigeon'"},
	{"# M\n\n## Windows\n\n- **Primary window**: Funday 25:99\n", NULL,
	 "the day or the times of window 'Primary window' are not understood: 'Funday 25:99'"},
	{"# M\n", "contcts: {}\n", "unknown key 'contcts' in the site file"},
	{"# M\n", "people:\n  a: {}\n  a: {}\n", "duplicate key"},
	{"# M\n", "contacts: { Manager: boss }\n",
	 "contact 'Manager' is bound to 'boss', which is nobody"},
	{"# M\n", "components:\n  a: { kind: web, needs: [b] }\n  b: { kind: web, needs: [a] }\n",
	 "component 'a' needs itself, by way of others"},
	{"# M\n", "components:\n  a: { kind: web, needs: [x] }\n",
	 "'a' needs 'x', which is not there"},
	{"# M\n", "components:\n  a: { kind: wbe }\n", "component 'a' has the unknown kind 'wbe'"},
	{"# M\n", "components:\n  a: { kind: postgres, dsn: '${env:NO_SUCH_VARIABLE}' }\n",
	 "'dsn' names a secret that is not set: $NO_SUCH_VARIABLE"},
	{"# M\n", "components:\n  a: { kind: postgres, dsn: '${file:/no/such}' }\n",
	 "'dsn' names a secret that cannot be read: could not open '/no/such': No such file or "
	 "directory"},
	{"# M\n", "components:\n  a: { kind: postgres, dsn: '${file:/dev/zero}' }\n",
	 "'dsn' names a secret that cannot be read: could not read '/dev/zero': it is not a "
	 "regular "
	 "file"},
	{"# M\n", "components:\n  a: { kind: postgres, dsn: '${env:X' }\n",
	 "'dsn' has a reference without its '}'"},
	{"# M\n", "site: a\n---\nsite: b\n", "a second document begins here"},
	{"# M\n", "site: a\n---\n- [\n", NULL},
	{TABLE "| CPU Usage | > 70% | > 90% | Resource |\n\n```backline\npeople: { a: b }\n```\n",
	 NULL, "unknown key 'people' in a backline block"},
	{TABLE
	 "| CPU Usage | > 70% | > 90% | Resource |\n\n```backline\nlimits: { Disk: {} }\n```\n",
	 NULL, "the manual has no limits for 'Disk'"},
	{TABLE "| CPU Usage | > 70% | > 90% | Resource |\n",
	 "limits: { CPU Usage: { warning: '> 95%' } }\n",
	 "warning of 'CPU Usage': warning is beyond critical: '> 95%'"},
	{"# M\n", "hold: soon\n", "'hold' is not a time"},
	{TABLE "| CPU Usage | > 70% | > 90% | Resource |\n", "hold: { Resuorce: 1m }\n",
	 "the manual has no limits of type 'Resuorce'"},
	{"# M\n", "people: { a: { contact: [sms] } }\n",
	 "'a' is to be reached by sms but has no phone"},
	{"# M\n", "people: { a: { email: a@x.org, contact: [email after tea] } }\n",
	 "'email after tea' is no way to reach 'a'"},
	{"# M\n", "people: { a: { email: a@x.org, contact: [email, email at once] } }\n",
	 "'a' is reached twice by 'email at once'"},
	{"# M\n", "people: { a: { email: a@x.org, contact: email } }\n",
	 "how to reach 'a' must be a list of 1 to 8 ways"},
	{"# M\n", "people: { a: { email: a@x.org, contact: { urgent: [email] } } }\n",
	 "'urgent' is no priority"},
	{"# M\n", "timezone: Europe/Berlyn\n", "no time zone is called 'Europe/Berlyn'"},
	{"# M\n", "timezone: ../../../etc/passwd\n",
	 "no time zone is called '../../../etc/passwd'"},
	{"# M\n", "timezone: zone.tab\n", "no time zone is called 'zone.tab'"},
	{"# M\n", "timezone: leapseconds\n",
	 "the zone file of 'leapseconds' is damaged: it is no zone file of version 2 or later"},
	{"# M\n", LAYER("rotate: 30m"), "'30m' is not a turn"},
	{"# M\n", LAYER("handover: noon"), "'noon' is not a hand-over"},
	{"# M\n", LAYER("handover: 'mon 24:00'"), "'mon 24:00' is not a hand-over"},
	{"# M\n", LAYER("start: 2026-02-31"), "'2026-02-31' is not a date"},
	{"# M\n", LAYER("start: 2026-11-23, until: 2026-11-23"), "the layer ends before it starts"},
	{"# M\n", LAYER("only: [mon-fri 9-17]"), "'mon-fri 9-17' is no time of the week"},
	{"# M\n", LAYER("only: [mom 09:00-17:00]"), "'mom 09:00-17:00' is no time of the week"},
	{"# M\n", LAYER("only: mon"), "'only' must be a list of at most 16 times"},
	{"# M\n", "people: { a: {} }\noncall: { o: { layers: [ { people: [b] } ] } }\n",
	 "nobody is called 'b'"},
	{"# M\n", "oncall: { o: { layers: [] } }\n", "'o' needs a list of 1 to 16 layers"},
	{"# M\n",
	 "people: { a: {} }\noncall: { o: { notice: soon, layers: [ { people: [a] } ] } }\n",
	 "'soon' is not a time of notice"},
	{"# M\n", "public_url: ops.example.org\n",
	 "'ops.example.org' is no address that people can open"},
	{"# M\n", "public_url: 'https://'\n", "'https://' is no address that people can open"},
	{"# M\n", "contacts: { Manager: 'boss@ example.org' }\n",
	 "contact 'Manager' has a bad address 'boss@ example.org'"},
	{"# M\n", "components:\n  a: { kind: web, needs: b }\n  b: { kind: web }\n",
	 "the needs of 'a' must be a list"},
	{"# M\n", "components:\n  a: { kind: host, agent: elsewhere }\n",
	 "component 'a' has the unknown agent 'elsewhere'"},
	{"# M\n", "providers: { smtp: { url: 'mail.example.org:587', from: a@x.org } }\n",
	 "smtp has an address that is not smtp:// or smtps://"},
	{"# M\n", "providers: { smtp: { url: 'smtp://x', from: ops } }\n",
	 "smtp has a bad sender 'ops'"},
	{"# M\n", "providers: { slack: { webhook_url: 'hooks.slack.com/x' } }\n",
	 "slack has an address that is not HTTP"},
	{"# M\n", "providers: { webhooks: { a: { url: 'ftp://x' } } }\n",
	 "webhook 'a' has an address that is not HTTP"},
	{"# M\n\n## E\n\n```mermaid\ngraph TD\n A[Alert] --> B{Level}\n B -->|Critical| C[Ops "
	 "SMS]\n"
	 " B -->|Critical| D[Boss call]\n```\n",
	 NULL, "the escalation of 'critical' is drawn twice"},
	{"# M\n", "intervals: { scrape: fast }\n", "'scrape' is not a time"},
	{"# M\n", "metrics: { retention: 5m }\n", "the metrics' retention is too short"},
	{"# M\n", "metrics: { sync_every: 5m }\n", "the metrics' sync_every is too long"},
	{"# M\n", "metrics: { retention_size: much }\n", "'retention_size' is not a size"},
	{"# M\n", "site: [\n", NULL},
	{"# M\n", "a: &x 1\nb: *x\n", NULL},
};

static void what_is_wrong_is_said_where_it_stands(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		const struct bad *bad = &bads[i];
		struct plan *plan = compile(str_of(bad->document), bad->site);
		bool found = bad->message == NULL && diagnostics.errors > 0;
		for (size_t d = 0; d < diagnostics.list.n; d++)
			found = found || (diagnostics.list.v[d].is_error && bad->message != NULL &&
					  strcmp(diagnostics.list.v[d].message, bad->message) == 0);
		if (!found) {
			print_error("case %zu wants: %s\n", i,
				    bad->message == NULL ? "(any)" : bad->message);
			for (size_t d = 0; d < diagnostics.list.n; d++)
				print_error("  got: %s\n", diagnostics.list.v[d].message);
		}
		assert_null(plan);
		assert_true(found);
	}
}

/* It is compiled on the loop: what is quadratic in the file's size would stop the paging. */
static const struct diagnostic *only_diagnostic(struct str document, struct str site)
{
	struct plan *plan;
	struct manual_input input = {.document_path = "m",
				     .document = document,
				     .site_path = "s",
				     .site = site,
				     .require_site = true};
	diagnostics = (struct diagnostics){0};
	assert_int_equal(manual_compile(&cx, &input, &diagnostics, &plan), RC_INVALID);
	assert_int_equal(diagnostics.list.n, 1);
	return &diagnostics.list.v[0];
}

static void an_unreadable_file_is_one_error_with_its_place(void **state)
{
	(void)state;
	const struct diagnostic *d = only_diagnostic(STR("# M\n\n\x1b[m \xff x\n"), STR(""));
	assert_int_equal(d->place.line, 3);
	assert_int_equal(d->place.column, 5);
	assert_string_equal(d->quoted, "?[m ? x");
	/* who is bound by a site file that cannot be read is unknown, not missing */
	d = only_diagnostic(read_document(TUNETON), STR("site: x\nb: \xe2\x82\n"));
	assert_int_equal(d->place.line, 2);
	assert_int_equal(d->place.column, 4);
	d = only_diagnostic(read_document(TUNETON), STR("site: [\n"));
	assert_string_equal(d->path, "s");
}

static void a_long_line_is_quoted_around_its_place(void **state)
{
	(void)state;
	struct buf site = BUF_INIT, shown = BUF_INIT;
	buf_puts(&site, "people: { ");
	for (int i = 0; i < 1000; i++)
		buf_printf(&site, "\xc3\xa4%d: {}, ", i);
	buf_puts(&site, "b: { emial: x } }\n");
	const struct diagnostic *d = only_diagnostic(STR("# M\n"), buf_str(&site));
	assert_true(strlen(d->quoted) < 200);
	assert_memory_equal(d->quoted + d->caret, "emial: x", 8);
	manual_print_diagnostic(&shown, d, false);
	assert_non_null(strstr(shown.data, "    ..."));
	buf_release(&site);
	buf_release(&shown);
}

static void what_stands_in_the_manual_does_not_steer_the_terminal(void **state)
{
	(void)state;
	struct buf shown = BUF_INIT;
	struct plan *plan = compile(STR("# M\n\n## A\x1b]0;x\x07\n\n- **K\x1b[31m**: y\n"), NULL);
	assert_non_null(plan);
	manual_promises_text(&shown, plan, false, 80);
	assert_null(memchr(shown.data, 0x1b, shown.length));
	assert_non_null(strstr(shown.data, "K [31m: y"));
	buf_release(&shown);
	plan_unref(&plan);
}

static void compare(const char *document, const char *site, const char *other_document,
		    const char *other_site, struct plan_change *out)
{
	struct plan *before = compile(str_of(document), site);
	struct plan *after = compile(str_of(other_document), other_site);
	struct plan_change *changes;
	size_t count;
	assert_int_equal(manual_compare(&cx, before, after, &changes, &count), RC_OK);
	assert_int_equal(count, 1);
	*out = changes[0];
	plan_unref(&before);
	plan_unref(&after);
}

static void half_a_file_loses_no_duty_and_no_channel(void **state)
{
	(void)state;
	static const char slack[] = "providers: { slack: { token: x } }\n";
	static const char channel[] =
		"# M\n\n## Alert channels\n\n- **Critical Alerts**: Slack #a\n";
	static const char table[] = TABLE "| CPU Usage | > 70% | - | Resource |\n";
	struct plan_change change;
	compare("# M\n\n## Weekly Tasks\n\n- Look\n- Clean\n", NULL,
		"# M\n\n## Weekly Tasks\n\n- Look\n", NULL, &change);
	assert_true(change.kind == PLAN_REMOVED && change.enforced);
	compare(channel, slack, channel, "site: x\n", &change);
	assert_true(change.kind == PLAN_REMOVED && change.enforced);
	compare(table, "components: { s: { kind: host, agent: local } }\n", table, "site: x\n",
		&change);
	assert_true(change.kind == PLAN_WEAKENED); /* taken out: told, and done */
}

static void a_new_secret_is_a_new_plan(void **state)
{
	(void)state;
	static const char site[] =
		"providers: { slack: { token: '${env:BACKLINE_TEST_SECRET}' } }\n";
	setenv("BACKLINE_TEST_SECRET", "one", 1);
	struct plan *before = compile(STR("# M\n"), site), *same = compile(STR("# M\n"), site);
	setenv("BACKLINE_TEST_SECRET", "two", 1);
	struct plan *after = compile(STR("# M\n"), site);
	unsetenv("BACKLINE_TEST_SECRET");
	assert_string_equal(before->digest, after->digest); /* it is shown: it tells of no secret */
	assert_true(before->secrets == same->secrets);
	assert_true(before->secrets != after->secrets);
	plan_unref(&before);
	plan_unref(&same);
	plan_unref(&after);
}

static void a_large_manual_compiles_in_its_time(void **state)
{
	(void)state;
	struct buf document = BUF_INIT, site = BUF_INIT;
	buf_puts(&document, "# M\n\n## A\n\n```bash\n");
	for (int i = 0; i < 200000; i++)
		buf_puts(&document, "X=1\n");
	buf_puts(&document, "```\n");
	buf_puts(&site, "people:\n");
	for (int i = 0; i < 100000; i++)
		buf_printf(&site, "  p%d: 1\n", i);
	struct mono begun = clock_mono(clock_real());
	struct manual_input input = {.document_path = "manual.md", .document = buf_str(&document)};
	struct plan *plan;
	if (manual_compile(&cx, &input, &diagnostics, &plan) == RC_OK)
		plan_unref(&plan);
	input.document = STR("# M\n");
	input.site_path = "site.yaml";
	input.site = buf_str(&site);
	assert_int_equal(manual_compile(&cx, &input, &diagnostics, &plan), RC_LIMIT);
	assert_true(clock_mono(clock_real()).ns - begun.ns < 20LL * 1000000000);
	buf_release(&document);
	buf_release(&site);
}

static void escalation_to_nobody_is_an_error_with_a_site(void **state)
{
	(void)state;
	assert_null(compile(read_document(TUNETON), "site: x\n"));
	assert_int_equal(diagnostics.errors, 5);
	struct plan *plan = compile(
		read_document(TUNETON),
		"people: { a: { email: a@x.org } }\n"
		"contacts: { Ops Team: a, Secondary Contact: a, Manager: a, Team Lead: a }\n");
	assert_non_null(plan);
	plan_unref(&plan);
}

/* What is drawn behind a step, without a question between, is done with it. */
static void no_step_of_an_escalation_is_left_out(void **state)
{
	(void)state;
	struct plan *plan = compile(
		STR("# M\n\n## E\n\n```mermaid\ngraph TD\n A[Alert] --> B{Level}\n"
		    " B -->|High| C[Ops Email]\n C --> D[Lead Slack]\n D --> E{Acknowledged?}\n"
		    " E -->|No - 5 min| F[Manager Email]\n F --> G[Owner Email]\n```\n"),
		NULL);
	assert_non_null(plan);
	const struct escalation *escalation = &plan->escalations[PRIORITY_HIGH];
	static const char *const texts[] = {"Ops Email", "Lead Slack", "Manager Email",
					    "Owner Email"};
	assert_int_equal(escalation->step_count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(escalation->steps[i].text, texts[i]);
		assert_int_equal(escalation->steps[i].after.ms, i < 2 ? 0 : 300000);
		assert_int_equal(escalation->steps[i].wait, i < 2 ? WAIT_NONE : WAIT_ACKNOWLEDGED);
	}
	plan_unref(&plan);
}

static void an_address_ends_without_a_slash_and_no_time_is_a_time(void **state)
{
	(void)state;
	struct plan *plan =
		compile(STR("# M\n\n## E\n\n```mermaid\ngraph TD\n A[Alert] --> B{Level}\n"
			    " B -->|Critical| C[Email channel]\n```\n"),
			"public_url: https://ops.example.org/backline/\nrepage_after: 0s\n");
	assert_non_null(plan);
	assert_string_equal(plan->public_url, "https://ops.example.org/backline");
	assert_int_equal(plan->escalations[PRIORITY_CRITICAL].repage_after.ms, 0);
	plan_unref(&plan);
}

static void blocks_inside_a_list_are_read_too(void **state)
{
	(void)state;
	struct plan *plan =
		compile(STR("# M\n\n## Limits\n\n1. What is watched:\n\n"
			    "   | Metric | Warning | Critical | Type |\n   |---|---|---|---|\n"
			    "   | CPU Usage | > 70% | > 90% | Resource |\n\n"
			    "2. How long:\n\n   ```backline\n   hold: { Resource: 1m }\n   ```\n\n"
			    "3. Who:\n\n   ```mermaid\n   graph TD\n    A[Alert] --> B{Level}\n"
			    "    B -->|High| C[Ops Email]\n   ```\n"),
			NULL);
	assert_non_null(plan);
	assert_int_equal(plan->threshold_count, 1);
	assert_int_equal(plan->thresholds[0].place.line, 9);
	assert_int_equal(plan->thresholds[0].hold.ms, 60000);
	assert_int_equal(plan->escalations[PRIORITY_HIGH].step_count, 1);
	plan_unref(&plan);
}

static void a_step_may_be_called_as_a_word_of_the_chart_begins(void **state)
{
	(void)state;
	struct plan *plan = compile(
		STR("# M\n\n## W\n\n```mermaid\ngraph TD\n subgraph one\n start[Begin] --> "
		    "endorse{Approved?}\n end\n endorse -->|Yes| done[Go]\n endorse -->|No| "
		    "stop[Leave]\n```\n"),
		NULL);
	assert_non_null(plan);
	assert_int_equal(plan->workflows[0].node_count, 4);
	plan_unref(&plan);
}

/* Whoever writes a secret out has it neither in the log nor on the terminal. */
static void a_line_that_is_quoted_hides_its_secrets(void **state)
{
	(void)state;
	static const struct {
		const char *site, *quoted;
	} cases[] = {
		{"providers: { slack: { token: xoxb-1, chanel: x } }\n",
		 "providers: { slack: { token: ******, chanel: x } }"},
		{"providers: { smtp: { url: 'smtp://x', password: \"a, b\", form: x } }\n",
		 "providers: { smtp: { url: 'smtp://x', password: ******, form: x } }"},
		{"providers: { slack: { token: '${env:HOME}', chanel: x } }\n",
		 "providers: { slack: { token: '${env:HOME}', chanel: x } }"},
		{"components: { a: { kind: web, dns: y, dsn: postgres://u:p@h } }\n",
		 "components: { a: { kind: web, dns: y, dsn: **************** } }"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_null(compile(STR("# M\n"), cases[i].site));
		assert_string_equal(diagnostics.list.v[0].quoted, cases[i].quoted);
	}
}

static void a_contact_too_many_is_an_error(void **state)
{
	(void)state;
	struct buf site = BUF_INIT;
	buf_puts(&site, "people: { a: { email: a@x.org } }\ncontacts:\n");
	for (int i = 0; i < 2000; i++)
		buf_printf(&site, "  c%d: a\n", i);
	assert_null(compile(STR("# M\n"), site.data));
	buf_release(&site);
}

static void what_is_secret_of_an_address_is_no_label(void **state)
{
	(void)state;
	assert_int_equal(setenv("BACKLINE_TEST_KEY", "abc", 1), 0);
	struct plan *plan =
		compile(STR("# M\n"), "components:\n  a: { kind: web, url: "
				      "'https://me:${env:BACKLINE_TEST_KEY}@x.org/h?key="
				      "${env:BACKLINE_TEST_KEY}', metrics: 'http://y.org/@m' }\n");
	assert_non_null(plan);
	assert_string_equal(plan->jobs[0].url, "https://me:abc@x.org/h?key=abc");
	assert_string_equal(plan->jobs[0].instance, "https://x.org/h");
	assert_string_equal(plan->jobs[1].instance, "http://y.org/@m");
	plan_unref(&plan);
}

static void policy_stands_in_the_document_or_the_site_file(void **state)
{
	(void)state;
	static const char block[] = TABLE "| CPU Usage | > 70% | > 90% | Resource |\n\n"
					  "```backline\nhold: { resource: 1m }\n```\n";
	struct plan *plan = compile(
		str_of(block), "limits: { CPU Usage: { warning: '> 60%' } }\nrepage_after: 45m\n");
	assert_non_null(plan);
	assert_int_equal(plan->thresholds[0].hold.ms, 60000);
	assert_true(plan->thresholds[0].limits[0].value == 0.6);
	assert_true(plan->thresholds[0].limits[1].value == 0.9);
	assert_string_equal(plan->thresholds[0].limits[0].promise->text,
			    "CPU Usage: warning > 70%, set to > 60%");
	plan_unref(&plan);
}

static void the_turn_on_call_follows_the_calendar(void **state)
{
	(void)state;
	struct plan *plan =
		compile(STR("# M\n"), "people: { a: {}, b: {} }\n"
				      "oncall: { ops: { layers: [ { people: [a, b], rotate: "
				      "weekly, handover: 'mon 09:00' } ] } }\n");
	assert_non_null(plan);
	struct wall monday;
	assert_true(clock_parse("2026-11-23T09:00:00Z", 20, &monday));
	const struct schedule *ops = &plan->oncalls[0].schedule;
	const char *now = schedule_at(ops, NULL, monday).person;
	const char *before = schedule_at(ops, NULL, (struct wall){monday.ms - 1}).person;
	const char *next = schedule_at(ops, NULL, (struct wall){monday.ms + 7LL * 86400000}).person;
	assert_string_not_equal(now, before);
	assert_string_equal(next, before);
	plan_unref(&plan);
}

static void a_person_says_how_to_be_reached(void **state)
{
	(void)state;
	struct plan *plan = compile(
		STR("# M\n"),
		"people:\n"
		"  a: { phone: '+4930', email: a@x.org, contact: [call after 2m, sms at once] }\n"
		"  b: { phone: '+4930', email: b@x.org, contact: { critical: [call], default: "
		"[email] } }\n"
		"  c: { email: c@x.org }\n");
	assert_non_null(plan);
	const struct contact_rules *a = plan->people[0].contact, *b = plan->people[1].contact;
	assert_int_equal(a[PRIORITY_LOW].rule_count, 2);
	assert_int_equal(a[PRIORITY_LOW].rules[0].kind, CHANNEL_SMS);
	assert_int_equal(a[PRIORITY_LOW].rules[0].after.ms, 0);
	assert_int_equal(a[PRIORITY_LOW].rules[1].kind, CHANNEL_CALL);
	assert_int_equal(a[PRIORITY_LOW].rules[1].after.ms, 120000);
	assert_int_equal(b[PRIORITY_CRITICAL].rules[0].kind, CHANNEL_CALL);
	assert_int_equal(b[PRIORITY_HIGH].rules[0].kind, CHANNEL_EMAIL);
	assert_int_equal(plan->people[2].contact[PRIORITY_CRITICAL].rule_count, 0);
	plan_unref(&plan);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(tuneton_compiles_with_every_promise),
		CASE(no_line_that_promises_is_missing),
		CASE(ids_are_unique_and_survive_other_numbers),
		CASE(a_changed_number_changes_the_plan),
		CASE(a_changed_channel_changes_the_plan),
		CASE(a_second_manual_compiles),
		CASE(what_is_wrong_is_said_where_it_stands),
		CASE(an_unreadable_file_is_one_error_with_its_place),
		CASE(a_long_line_is_quoted_around_its_place),
		CASE(what_stands_in_the_manual_does_not_steer_the_terminal),
		CASE(half_a_file_loses_no_duty_and_no_channel),
		CASE(a_new_secret_is_a_new_plan),
		CASE(a_large_manual_compiles_in_its_time),
		CASE(escalation_to_nobody_is_an_error_with_a_site),
		CASE(no_step_of_an_escalation_is_left_out),
		CASE(an_address_ends_without_a_slash_and_no_time_is_a_time),
		CASE(what_is_secret_of_an_address_is_no_label),
		CASE(blocks_inside_a_list_are_read_too),
		CASE(a_step_may_be_called_as_a_word_of_the_chart_begins),
		CASE(a_line_that_is_quoted_hides_its_secrets),
		CASE(a_contact_too_many_is_an_error),
		CASE(policy_stands_in_the_document_or_the_site_file),
		CASE(the_turn_on_call_follows_the_calendar),
		CASE(a_person_says_how_to_be_reached),
	};
	return cmocka_run_group_tests_name("manual", tests, NULL, NULL);
}
