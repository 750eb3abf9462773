/* The rules that `serve` runs; `rules check` and `rules test`, which do what promtool does with
 * rule files, by its exit codes. */
#include "app/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "alert/alert.h"
#include "app/command.h"
#include "base/log.h"
#include "rules/rules.h"
#include "sys/file.h"

#define FILE_LIMIT_BYTES (64 << 20)
enum { EXIT_LINT = 3 };

static void print_diagnostics(const struct diagnostics *diagnostics)
{
	bool colour = isatty(STDERR_FILENO);
	struct buf out = BUF_INIT;
	for (size_t i = 0; i < diagnostics->list.n; i++)
		manual_print_diagnostic(&out, &diagnostics->list.v[i], colour);
	fputs(buf_str(&out).p, stderr);
	buf_release(&out);
}

/* ---- what serve runs ---- */

/* NULL: the working directory. */
static char *folder_of(struct cx *cx, const char *path)
{
	const char *slash = path == NULL ? NULL : strrchr(path, '/');
	return slash == NULL ? NULL
			     : cx_printf(cx, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static enum rc fill_set(struct cx *cx, struct rules_set *set, struct plan *plan,
			const struct prometheus *prometheus, struct diagnostics *diagnostics)
{
	char *folder = folder_of(cx, plan->site_path);
	TRY(rules_set_add_plan(cx, set, plan));
	TRY(rules_set_add_globs(cx, set, folder, plan->rule_files, plan->rule_file_count,
				diagnostics));
	return prometheus == NULL ? RC_OK
				  : rules_set_add_globs(cx, set, NULL, prometheus->rule_files,
							prometheus->rule_file_count, diagnostics);
}

enum rc app_rules_set(struct cx *cx, struct plan *plan, const struct prometheus *prometheus,
		      const char *listen, struct buf *told, struct rules_set **out)
{
	struct diagnostics diagnostics = {0};
	struct rules_set_options options = {
		.external_url = plan->public_url != NULL ? plan->public_url
							 : cx_printf(cx, "http://%s", listen)};
	if (plan->rule_group_count > 0)
		options.interval = plan->rule_groups[0].interval;
	if (prometheus != NULL) {
		options.interval = options.subquery_step = prometheus->evaluation_interval;
		options.external_labels = prometheus->external_labels;
	}
	TRY(rules_set_new(cx, &options, out));
	enum rc rc = fill_set(cx, *out, plan, prometheus, &diagnostics);
	for (size_t i = 0; i < diagnostics.list.n; i++)
		manual_print_diagnostic(told, &diagnostics.list.v[i], false);
	if (rc != RC_OK)
		rules_set_unref(out);
	return rc;
}

/* ---- the files they stand in ---- */

/* Their patterns, where they are looked for. */
struct patterns {
	VEC(const char *) list;
};

static enum rc add_patterns(struct cx *cx, struct patterns *out, const char *folder,
			    const char *const *globs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char **pattern = vec_add(cx, &out->list);
		if (pattern == NULL)
			return RC_LIMIT;
		*pattern = globs[i][0] == '/' || folder == NULL ? globs[i]
								: file_join(cx, folder, globs[i]);
		if (*pattern == NULL)
			return RC_LIMIT;
	}
	return RC_OK;
}

static enum rc patterns_of(struct cx *cx, const struct plan *plan,
			   const struct prometheus *prometheus, struct patterns *out)
{
	TRY(add_patterns(cx, out, folder_of(cx, plan->site_path), plan->rule_files,
			 plan->rule_file_count));
	return prometheus == NULL ? RC_OK
				  : add_patterns(cx, out, NULL, prometheus->rule_files,
						 prometheus->rule_file_count);
}

static bool are_watched(const struct app_rule_watches *watches, const struct patterns *patterns)
{
	bool same = watches->paths.n == patterns->list.n;
	for (size_t i = 0; same && i < watches->paths.n; i++)
		same = strcmp(watches->paths.v[i], patterns->list.v[i]) == 0;
	return same;
}

void app_rules_unwatch(struct app_rule_watches *watches)
{
	for (size_t i = 0; i < watches->list.n; i++)
		watch_close(&watches->list.v[i]);
	for (size_t i = 0; i < watches->paths.n; i++)
		free(watches->paths.v[i]);
	vec_heap_release(&watches->list);
	vec_heap_release(&watches->paths);
}

void app_rules_watch(struct cx *cx, struct app_rule_watches *watches, const struct plan *plan,
		     const struct prometheus *prometheus)
{
	struct patterns patterns = {0};
	if (patterns_of(cx, plan, prometheus, &patterns) != RC_OK) {
		log_failure(cx, "the rule files are not watched: reload after a change");
		cx_clear(cx);
		return;
	}
	if (are_watched(watches, &patterns))
		return;
	app_rules_unwatch(watches);
	for (size_t i = 0; i < patterns.list.n; i++) {
		const char *path = patterns.list.v[i];
		struct watch *watch;
		*vec_heap_add(&watches->paths) = heap_copy(path, strlen(path));
		if (watch_open(cx, watches->loop, path, watches->changed, watches->context,
			       &watch) == RC_OK) {
			*vec_heap_add(&watches->list) = watch;
			continue;
		}
		log_failure(cx, "a rule file is not watched: reload after a change");
		cx_clear(cx);
	}
}

/* ---- rules check ---- */

static enum rc check_set(struct cx *cx, const char *path, struct rules_set *set, bool lint,
			 size_t *duplicates)
{
	struct diagnostics diagnostics = {0};
	struct str text;
	TRY(file_read(cx, path, FILE_LIMIT_BYTES, &text));
	enum rc rc = rules_set_add_file(cx, set, path, text, &diagnostics);
	*duplicates = rc == RC_OK && lint ? rules_set_duplicates(cx, set, &diagnostics) : 0;
	print_diagnostics(&diagnostics);
	return rc;
}

static enum rc check_file(struct invocation *invocation, const char *path, bool lint,
			  size_t *duplicates)
{
	struct cx *cx = &invocation->cx;
	struct rules_set_options options = {0};
	struct arena_mark mark = arena_mark(cx->arena);
	struct rules_set *set;
	*duplicates = 0;
	printf("Checking %s\n", path);
	fflush(stdout);
	TRY(rules_set_new(cx, &options, &set));
	enum rc rc = check_set(cx, path, set, lint, duplicates);
	size_t count = rules_set_rule_count(set);
	rules_set_unref(&set);
	if (rc == RC_OK)
		printf("  %s: %zu rules found\n", *duplicates == 0 ? "SUCCESS" : "duplicates",
		       count);
	else
		printf("  FAILED\n");
	fflush(stdout);
	arena_rewind(cx->arena, mark);
	return rc;
}

int app_rules_check(struct invocation *invocation)
{
	const char *wanted = invocation_option(invocation, "lint");
	bool fatal = invocation_option(invocation, "lint-fatal") != NULL;
	bool lint = wanted == NULL || strcmp(wanted, "none") != 0;
	size_t all_duplicates = 0, duplicates;
	int failed = 0;
	if (wanted != NULL && lint && strcmp(wanted, "all") != 0 &&
	    strcmp(wanted, "duplicate-rules") != 0) {
		(void)cx_fail(&invocation->cx, RC_INVALID, "there is no lint '%s'", wanted);
		cx_hint(&invocation->cx, "There are all, duplicate-rules and none.");
		return invocation_failed(invocation);
	}
	for (int i = 0; i < invocation->argument_count; i++) {
		if (check_file(invocation, invocation->arguments[i], lint, &duplicates) != RC_OK) {
			failed++;
			(void)invocation_failed(invocation);
			cx_clear(&invocation->cx);
		}
		all_duplicates += duplicates;
	}
	if (failed > 0)
		return EXIT_FAILED;
	return fatal && all_duplicates > 0 ? EXIT_LINT : EXIT_FINE;
}

/* ---- rules test ---- */

static struct verdict_sink open_alerts(void *context)
{
	struct alerts *alerts;
	struct alert_options options = {.clock = clock_real()};
	if (alert_open(context, &options, &alerts) != RC_OK)
		return (struct verdict_sink){0}; /* cannot be: there is no ledger to read */
	return alert_sink(alerts);
}

static void close_alerts(void *context, struct verdict_sink *sink)
{
	struct alerts *alerts = sink->self;
	(void)context;
	alert_close(&alerts);
}

static bool test_file(struct invocation *invocation, const char *path)
{
	struct cx *cx = &invocation->cx;
	struct rules_test_options options = {open_alerts, close_alerts, cx};
	struct arena_mark mark = arena_mark(cx->arena);
	struct diagnostics diagnostics = {0};
	struct buf out = BUF_INIT;
	printf("Testing %s\n", path);
	fflush(stdout);
	enum rc rc = rules_test_file(cx, &options, path, &diagnostics, &out);
	print_diagnostics(&diagnostics);
	fputs(buf_str(&out).p, stdout);
	puts(rc == RC_OK ? "  SUCCESS" : "  FAILED");
	fflush(stdout);
	buf_release(&out);
	if (rc != RC_OK)
		(void)invocation_failed(invocation);
	cx_clear(cx);
	arena_rewind(cx->arena, mark);
	return rc == RC_OK;
}

int app_rules_test(struct invocation *invocation)
{
	bool good = true;
	for (int i = 0; i < invocation->argument_count; i++)
		good = test_file(invocation, invocation->arguments[i]) && good;
	return good ? EXIT_FINE : EXIT_FAILED;
}
