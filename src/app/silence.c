/* `silence`: what mutes alerts, by the running Backline's API. */
#include <stdlib.h>

#include "app/client.h"
#include "base/json.h"
#include "base/json_read.h"
#include "base/units.h"
#include "route/route.h"

static void put_matcher(struct json *json, const struct matcher *matcher)
{
	json_object(json);
	json_put_str(json, "name", matcher->name);
	json_put_str(json, "value", matcher->value);
	json_put_bool(json, "isRegex", matcher->regex != NULL);
	json_put_bool(json, "isEqual", matcher->op == MATCH_EQUAL || matcher->op == MATCH_REGEX);
	json_end_object(json);
}

static enum rc put_matchers(struct invocation *invocation, struct json *json)
{
	json_array(json);
	for (int i = 0; i < invocation->argument_count; i++) {
		struct matcher matcher;
		TRY(route_matcher_parse(&invocation->cx, str_of(invocation->arguments[i]),
					&matcher));
		put_matcher(json, &matcher);
		route_matchers_release(&matcher, 1);
	}
	json_end_array(json);
	return RC_OK;
}

/* When it ends: --for from its start on, or --until. */
static enum rc read_end(struct invocation *invocation, struct wall starts, struct wall *out)
{
	struct cx *cx = &invocation->cx;
	const char *span = invocation_option(invocation, "for");
	const char *until = invocation_option(invocation, "until");
	struct dur length;
	if ((span == NULL) == (until == NULL)) {
		enum rc rc = cx_fail(cx, RC_INVALID, "a silence has an end");
		cx_hint(cx, "Give --for 2h, or --until 2027-01-31T12:00:00Z.");
		return rc;
	}
	if (until != NULL && !clock_parse(until, strlen(until), out))
		return cx_fail(cx, RC_INVALID, "--until takes an RFC 3339 time, not '%s'", until);
	if (span != NULL && !units_parse_duration(str_of(span), &length))
		return cx_fail(cx, RC_INVALID, "--for takes a duration such as 2h, not '%s'", span);
	if (span != NULL)
		out->ms = starts.ms + length.ms;
	return RC_OK;
}

static enum rc read_start(struct invocation *invocation, struct wall *out)
{
	const char *start = invocation_option(invocation, "start");
	*out = cx_wall(&invocation->cx);
	if (start != NULL && !clock_parse(start, strlen(start), out))
		return cx_fail(&invocation->cx, RC_INVALID,
			       "--start takes an RFC 3339 time, not '%s'", start);
	return RC_OK;
}

static const char *author_of(const struct invocation *invocation)
{
	const char *author = invocation_option(invocation, "author");
	author = author == NULL ? getenv("USER") : author;
	return author == NULL || author[0] == '\0' ? "command line" : author;
}

/* Sends it and prints its id. */
static int set(struct invocation *invocation, struct str body)
{
	cJSON *answer;
	if (client_call(invocation, "POST", "/api/v2/silences", body, &answer) != RC_OK)
		return invocation_failed(invocation);
	struct buf out = BUF_INIT;
	int status = EXIT_FINE;
	if (invocation_option(invocation, "json") != NULL) {
		status = client_print_json(answer);
	} else {
		buf_put_str(&out, json_str_in(answer, "silenceID"));
		buf_putc(&out, '\n');
		status = invocation_print(buf_str(&out));
	}
	buf_release(&out);
	cJSON_Delete(answer);
	return status;
}

static enum rc put_new(struct invocation *invocation, struct buf *out)
{
	const char *reason = invocation_option(invocation, "reason");
	struct wall starts, ends;
	struct json json;
	if (reason == NULL || reason[0] == '\0') {
		enum rc rc = cx_fail(&invocation->cx, RC_INVALID, "a silence says why");
		cx_hint(&invocation->cx, "Give --reason 'planned restart'.");
		return rc;
	}
	TRY(read_start(invocation, &starts));
	TRY(read_end(invocation, starts, &ends));
	json_init(&json, out);
	json_object(&json);
	json_key(&json, "matchers");
	TRY(put_matchers(invocation, &json));
	json_put_time(&json, "startsAt", starts);
	json_put_time(&json, "endsAt", ends);
	json_put_text(&json, "createdBy", author_of(invocation));
	json_put_text(&json, "comment", reason);
	json_end_object(&json);
	return RC_OK;
}

int app_silence_add(struct invocation *invocation)
{
	struct buf body = BUF_INIT;
	enum rc rc = put_new(invocation, &body);
	int status = rc == RC_OK ? set(invocation, buf_str(&body)) : invocation_failed(invocation);
	buf_release(&body);
	return status;
}

static enum rc get_one(struct invocation *invocation, const char *method, cJSON **out)
{
	struct buf path = BUF_INIT;
	buf_puts(&path, "/api/v2/silence/");
	buf_put_url(&path, str_of(invocation->arguments[0]));
	enum rc rc = client_call(invocation, method, buf_str(&path).p, STR(""), out);
	buf_release(&path);
	return rc;
}

/* The old one with another end, or another reason. */
static enum rc put_changed(struct invocation *invocation, cJSON *silence, struct buf *out)
{
	const char *reason = invocation_option(invocation, "reason");
	struct str starts_text = json_str_in(silence, "startsAt");
	char text[CLOCK_TEXT_BYTES];
	struct wall starts, ends, now = cx_wall(&invocation->cx);
	if (!clock_parse(starts_text.p, starts_text.n, &starts))
		return cx_fail(&invocation->cx, RC_PROTOCOL, "the answer has no start");
	if (invocation_option(invocation, "for") != NULL ||
	    invocation_option(invocation, "until") != NULL) {
		TRY(read_end(invocation, starts.ms > now.ms ? starts : now, &ends));
		clock_format(ends, text);
		cJSON_ReplaceItemInObjectCaseSensitive(silence, "endsAt", cJSON_CreateString(text));
	}
	if (reason != NULL)
		cJSON_ReplaceItemInObjectCaseSensitive(silence, "comment",
						       cJSON_CreateString(reason));
	char *printed = cJSON_PrintUnformatted(silence);
	buf_puts(out, printed == NULL ? "" : printed);
	cJSON_free(printed);
	return RC_OK;
}

int app_silence_edit(struct invocation *invocation)
{
	struct buf body = BUF_INIT;
	cJSON *silence = NULL;
	enum rc rc = get_one(invocation, "GET", &silence);
	if (rc == RC_OK)
		rc = put_changed(invocation, silence, &body);
	int status = rc == RC_OK ? set(invocation, buf_str(&body)) : invocation_failed(invocation);
	cJSON_Delete(silence);
	buf_release(&body);
	return status;
}

int app_silence_show(struct invocation *invocation)
{
	cJSON *silence;
	if (get_one(invocation, "GET", &silence) != RC_OK)
		return invocation_failed(invocation);
	int status = client_print_json(silence);
	cJSON_Delete(silence);
	return status;
}

int app_silence_expire(struct invocation *invocation)
{
	cJSON *answer;
	if (get_one(invocation, "DELETE", &answer) != RC_OK)
		return invocation_failed(invocation);
	cJSON_Delete(answer);
	return invocation_print(STR("ended\n"));
}

int app_silence_list(struct invocation *invocation)
{
	static const struct table_column columns[] = {
		{"ID", "id"},        {"STATE", "status.state"}, {"UNTIL", "endsAt"},
		{"BY", "createdBy"}, {"WHY", "comment"},
	};
	return CLIENT_LIST(invocation, "/api/v2/silences", NULL, columns, "no silences");
}
