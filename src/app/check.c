/* `check` and `rules print`: the manual compiled, shown, and nothing else. */
#include <stdio.h>
#include <unistd.h>

#include "app/command.h"
#include "manual/manual.h"
#include "sys/file.h"

#define INPUT_LIMIT_BYTES (8 << 20)

static void print_diagnostics(const struct diagnostics *diagnostics, bool as_json)
{
	bool colour = isatty(STDERR_FILENO);
	struct buf out = BUF_INIT;
	for (size_t i = 0; i < diagnostics->list.n; i++) {
		const struct diagnostic *d = &diagnostics->list.v[i];
		if (as_json)
			manual_diagnostic_json(&out, d);
		else
			manual_print_diagnostic(&out, d, colour);
	}
	fputs(buf_str(&out).p, stderr);
	buf_release(&out);
}

/* Compiles what the command line names; the diagnostics are printed already. */
static enum rc compile(struct invocation *invocation, bool json, struct plan **out)
{
	struct cx *cx = &invocation->cx;
	const char *site = invocation_option(invocation, "site");
	struct manual_input input = {.document_path = invocation->arguments[0],
				     .site_path = site,
				     .require_site = site != NULL};
	*out = NULL;
	TRY(file_read(cx, input.document_path, INPUT_LIMIT_BYTES, &input.document));
	if (site != NULL)
		TRY(file_read(cx, site, INPUT_LIMIT_BYTES, &input.site));
	struct diagnostics diagnostics = {0};
	enum rc rc = manual_compile(cx, &input, &diagnostics, out);
	print_diagnostics(&diagnostics, json);
	return rc;
}

/* A restart must not fail because time went by: this stands here and not in the compiler. */
static enum rc check_coverage(struct invocation *invocation, const struct plan *plan, bool json)
{
	struct cx *cx = &invocation->cx;
	struct diagnostics diagnostics = {0};
	struct dur within = {MANUAL_COVERED_DAYS * CIVIL_DAY_S * 1000LL};
	/* the minute has begun already */
	struct wall now = {cx_wall(cx).ms / 60000 * 60000};
	TRY(manual_uncovered(cx, plan, NULL, now, within, &diagnostics));
	print_diagnostics(&diagnostics, json);
	if (diagnostics.errors == 0)
		return RC_OK;
	return cx_fail(cx, RC_INVALID, "within %d days there are minutes with nobody on call",
		       MANUAL_COVERED_DAYS);
}

int app_check(struct invocation *invocation)
{
	bool json = invocation_option(invocation, "json") != NULL;
	struct plan *plan;
	if (compile(invocation, json, &plan) != RC_OK)
		return invocation_failed(invocation);
	enum rc covered = check_coverage(invocation, plan, json);
	struct buf out = BUF_INIT;
	if (json)
		manual_promises_json(&out, plan);
	else
		manual_promises_text(&out, plan, invocation->colour, invocation->columns);
	int status = invocation_print(buf_str(&out));
	buf_release(&out);
	plan_unref(&plan);
	return covered == RC_OK ? status : invocation_failed(invocation);
}

int app_rules_print(struct invocation *invocation)
{
	struct plan *plan;
	if (compile(invocation, false, &plan) != RC_OK)
		return invocation_failed(invocation);
	struct buf out = BUF_INIT;
	manual_rules_yaml(&out, plan);
	int status = invocation_print(buf_str(&out));
	buf_release(&out);
	plan_unref(&plan);
	return status;
}
