/* `rehearse`: the escalation of an alert tried, minute by minute, with nobody being called. */
#include <stdio.h>

#include "app/command.h"
#include "base/json.h"
#include "base/log.h"
#include "base/units.h"
#include "rehearse/rehearse.h"
#include "sys/file.h"

#define INPUT_LIMIT_BYTES (8 << 20)
#define SHOWN_BY_DEFAULT_MS (60 * 60000)

static enum rc compile(struct invocation *invocation, struct plan **out)
{
	struct cx *cx = &invocation->cx;
	struct diagnostics diagnostics = {0};
	struct manual_input input = {.document_path = invocation_option(invocation, "manual"),
				     .site_path = invocation_option(invocation, "site")};
	*out = NULL;
	input.require_site = input.site_path != NULL;
	if (input.document_path == NULL) {
		enum rc rc = cx_fail(cx, RC_INVALID, "no manual is named");
		cx_hint(cx, "Add --manual FILE and --site FILE, as for `backline serve`.");
		return rc;
	}
	TRY(file_read(cx, input.document_path, INPUT_LIMIT_BYTES, &input.document));
	if (input.site_path != NULL)
		TRY(file_read(cx, input.site_path, INPUT_LIMIT_BYTES, &input.site));
	enum rc rc = manual_compile(cx, &input, &diagnostics, out);
	struct buf told = BUF_INIT;
	for (size_t i = 0; rc != RC_OK && i < diagnostics.list.n; i++)
		manual_print_diagnostic(&told, &diagnostics.list.v[i], false);
	fputs(buf_str(&told).p, stderr);
	buf_release(&told);
	return rc;
}

static enum rc read_duration(struct invocation *invocation, const char *option, struct dur *out)
{
	struct cx *cx = &invocation->cx;
	const char *text = invocation_option(invocation, option);
	if (text == NULL || units_parse_duration(str_of(text), out))
		return RC_OK;
	enum rc rc = cx_fail(cx, RC_INVALID, "--%s takes a time, not '%s'", option, text);
	cx_hint(cx, "Write for example 7m or 1h30m.");
	return rc;
}

/* Long enough to see the end that was asked for. */
static enum rc read_times(struct invocation *invocation, struct rehearse_options *options)
{
	const char *at = invocation_option(invocation, "at");
	struct cx *cx = &invocation->cx;
	options->at = cx_wall(cx);
	options->acknowledge_after = options->resolve_after = REHEARSE_NEVER;
	if (at != NULL)
		TRY(rehearse_parse_at(cx, str_of(at), options->plan->zone, cx_wall(cx),
				      &options->at));
	TRY(read_duration(invocation, "ack-after", &options->acknowledge_after));
	TRY(read_duration(invocation, "resolve-after", &options->resolve_after));
	options->within.ms = SHOWN_BY_DEFAULT_MS;
	if (options->resolve_after.ms + 60000 > options->within.ms)
		options->within.ms = options->resolve_after.ms + 60000;
	return read_duration(invocation, "for", &options->within);
}

static enum rc read_options(struct invocation *invocation, struct rehearse_options *options)
{
	struct cx *cx = &invocation->cx;
	const char *alert = invocation_option(invocation, "alert");
	const char *component = invocation_option(invocation, "component");
	const char *priority = invocation_option(invocation, "priority");
	options->alert = str_of(alert);
	if (alert == NULL || alert[0] == '\0') {
		enum rc rc = cx_fail(cx, RC_INVALID, "no alert is named");
		cx_hint(cx, "Add --alert 'API Response Time', or any other name.");
		return rc;
	}
	if (component != NULL) {
		options->component = plan_component(options->plan, str_of(component));
		if (options->component == NULL)
			return cx_fail(cx, RC_NOT_FOUND, "there is no component '%s'", component);
	}
	options->has_priority = priority != NULL;
	if (priority != NULL && !priority_named(str_of(priority), &options->priority))
		return cx_fail(cx, RC_INVALID,
			       "--priority takes critical, high, medium or low, not '%s'",
			       priority);
	return read_times(invocation, options);
}

/* ---- shown ---- */

static void put_text(struct buf *out, const struct rehearse_options *options,
		     const struct rehearse_result *result)
{
	char at[ZONE_TEXT_BYTES], after[UNITS_TEXT_BYTES];
	zone_format(options->plan->zone, options->at, at);
	buf_printf(out, "%s, " STR_FMT "%s%s; %s\n", priority_name(result->priority),
		   STR_ARG(options->alert), result->component == NULL ? "" : " at ",
		   result->component == NULL ? "" : result->component->id, at);
	if (result->threshold == NULL)
		buf_puts(out,
			 "The manual has no threshold of that name: taken as a rule file's.\n");
	for (size_t i = 0; i < result->row_count; i++) {
		const struct rehearse_row *row = &result->rows[i];
		units_format_duration_people((struct dur){row->at.ms - options->at.ms}, after);
		zone_format(options->plan->zone, row->at, at);
		buf_printf(out, "  %-12s %-26s " STR_FMT "\n", after, at, STR_ARG(row->summary));
	}
	units_format_duration_people(options->within, after);
	if (!result->answered)
		buf_printf(out, "After %s nobody has it.\n", after);
}

static void put_row(struct json *json, const struct rehearse_options *options,
		    const struct rehearse_row *row)
{
	json_object(json);
	json_put_time(json, "at", row->at);
	json_put_int(json, "after_ms", row->at.ms - options->at.ms);
	json_put_str(json, "kind", row->kind);
	json_put_str(json, "actor", row->actor);
	json_put_str(json, "page", row->page);
	json_put_str(json, "summary", row->summary);
	json_end_object(json);
}

static void put_json(struct buf *out, const struct rehearse_options *options,
		     const struct rehearse_result *result)
{
	struct json json;
	json_init(&json, out);
	json_object(&json);
	json_put_str(&json, "alert", options->alert);
	json_put_text(&json, "threshold", result->threshold == NULL ? NULL : result->threshold->id);
	json_put_text(&json, "component", result->component == NULL ? NULL : result->component->id);
	json_put_text(&json, "priority", priority_name(result->priority));
	json_put_time(&json, "at", options->at);
	json_put_bool(&json, "answered", result->answered);
	json_key(&json, "rows");
	json_array(&json);
	for (size_t i = 0; i < result->row_count; i++)
		put_row(&json, options, &result->rows[i]);
	json_end_array(&json);
	json_end_object(&json);
	buf_puts(out, "\n");
}

int app_rehearse(struct invocation *invocation)
{
	struct rehearse_options options = {0};
	struct rehearse_result result;
	struct buf out = BUF_INIT;
	int status;
	/* what the engine logs of a page that nobody gets would read as one */
	log_setup(LOG_LOGFMT, LOG_ERROR, NULL);
	if (compile(invocation, &options.plan) != RC_OK)
		return invocation_failed(invocation);
	enum rc rc = read_options(invocation, &options);
	if (rc == RC_OK)
		rc = rehearse_run(&invocation->cx, &options, &result);
	if (rc == RC_OK) {
		if (invocation_option(invocation, "json") != NULL)
			put_json(&out, &options, &result);
		else
			put_text(&out, &options, &result);
		status = invocation_print(buf_str(&out));
	} else {
		status = invocation_failed(invocation);
	}
	buf_release(&out);
	plan_unref(&options.plan);
	return status;
}
