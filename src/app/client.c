/* The verbs that ask the running Backline, by the socket in its data directory. */
#include "app/client.h"

#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "sys/http_client.h"

#define ANSWER_LIMIT_BYTES (64 << 20)

enum rc client_call(struct invocation *invocation, const char *method, const char *path,
		    struct str body, cJSON **out)
{
	struct cx *cx = &invocation->cx;
	char *socket_path = cx_printf(cx, "%s/backline.sock", invocation_data(invocation));
	char *url = cx_printf(cx, "http://localhost%s", path);
	if (socket_path == NULL || url == NULL)
		return RC_LIMIT;
	struct http_header json = {"Content-Type", "application/json"};
	struct http_call request = {.method = method,
				    .url = url,
				    .body = body,
				    .headers = &json,
				    .header_count = body.n > 0,
				    .timeout = {60000},
				    .response_limit_bytes = ANSWER_LIMIT_BYTES};
	struct http_answer answer;
	*out = NULL;
	enum rc rc = http_client_once(cx, socket_path, &request, &answer);
	if (rc != RC_OK) {
		cx_context(cx, "could not reach Backline by '%s'", socket_path);
		cx_hint(cx, "Is `backline serve` running with this data directory? --data names "
			    "another.");
		return rc;
	}
	cJSON *parsed = cJSON_ParseWithLength(answer.body.p, answer.body.n);
	if (answer.status < 300 && (parsed != NULL || answer.body.n == 0)) {
		*out = parsed; /* NULL: nothing is said */
		return RC_OK;
	}
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(parsed, "error");
	error = cJSON_IsString(parsed) ? parsed : error; /* Alertmanager's way */
	rc = cx_fail(cx, answer.status == 404 ? RC_NOT_FOUND : RC_INVALID, "%s",
		     cJSON_IsString(error)
			     ? error->valuestring
			     : cx_printf(cx, "the answer was status %d", answer.status));
	const cJSON *hint = cJSON_GetObjectItemCaseSensitive(parsed, "hint");
	if (cJSON_IsString(hint))
		cx_hint(cx, "%s", hint->valuestring);
	cJSON_Delete(parsed);
	return rc;
}

int client_print_json(const cJSON *value)
{
	char *text = cJSON_Print(value);
	int status = invocation_print(str_of(text == NULL ? "" : text));
	cJSON_free(text);
	return status == EXIT_FINE ? invocation_print(STR("\n")) : status;
}

const cJSON *client_rows(const cJSON *answer, const char *key)
{
	const cJSON *data = cJSON_GetObjectItemCaseSensitive(answer, "data");
	const cJSON *rows = data == NULL ? answer : data;
	const cJSON *inner = key == NULL ? NULL : cJSON_GetObjectItemCaseSensitive(rows, key);
	return inner == NULL ? rows : inner;
}

int client_list(struct invocation *invocation, const char *path, const char *key,
		const struct table_column *columns, size_t column_count, const char *empty)
{
	cJSON *answer;
	if (client_call(invocation, "GET", path, STR(""), &answer) != RC_OK)
		return invocation_failed(invocation);
	const cJSON *rows = client_rows(answer, key);
	int status;
	if (invocation_option(invocation, "json") != NULL) {
		status = client_print_json(rows);
	} else {
		struct buf out = BUF_INIT;
		status = table_print(&invocation->cx, &out, rows, columns, column_count,
				     invocation->columns, empty) == RC_OK
				 ? invocation_print(buf_str(&out))
				 : invocation_failed(invocation);
		buf_release(&out);
	}
	cJSON_Delete(answer);
	return status;
}

int app_promises(struct invocation *invocation)
{
	static const struct table_column columns[] = {
		{"STATE", "state"}, {"KIND", "kind"}, {"LINE", "line"},
		{"SINCE", "since"}, {"ID", "id"},     {"EVIDENCE", "evidence"},
	};
	return CLIENT_LIST(invocation, "/api/ops/v1/promises", "promises", columns,
			   "no promises: the manual makes none");
}

int app_alerts(struct invocation *invocation)
{
	static const struct table_column columns[] = {
		{"STATE", "state"},
		{"SEVERITY", "labels.severity"},
		{"COMPONENT", "labels.component"},
		{"SINCE", "activeAt"},
		{"WHAT", "annotations.summary"},
	};
	return CLIENT_LIST(invocation, "/api/ops/v1/alerts", "alerts", columns, "nothing fires");
}

/* The options that are given, as parameters of the address. */
static void put_params(struct buf *path, const struct invocation *invocation,
		       const char *const *names, size_t count)
{
	char separator = '?';
	for (size_t i = 0; i < count; i++) {
		const char *value = invocation_option(invocation, names[i]);
		if (value == NULL)
			continue;
		buf_printf(path, "%c%s=", separator, names[i]);
		buf_put_url(path, str_of(value));
		separator = '&';
	}
}

int app_alerts_history(struct invocation *invocation)
{
	static const struct table_column columns[] = {
		{"SEQ", "seq"},
		{"STATE", "state"},
		{"FIRED", "fired"},
		{"SECONDS", "seconds"},
		{"NAME", "name"},
		{"COMPONENT", "component"},
		{"WHO HAD IT", "acknowledged_by"},
		{"WHAT", "summary"},
	};
	static const char *const names[] = {"since", "component", "name", "limit", "before"};
	struct buf path = BUF_INIT;
	buf_puts(&path, "/api/ops/v1/alerts/history");
	put_params(&path, invocation, names, sizeof(names) / sizeof(names[0]));
	int status = CLIENT_LIST(invocation, path.data, "history", columns, "nothing fired");
	buf_release(&path);
	return status;
}

int app_pages(struct invocation *invocation)
{
	static const struct table_column columns[] = {
		{"PAGE", "id"},
		{"STATE", "state"},
		{"PRIORITY", "priority"},
		{"WHAT", "name"},
		{"COMPONENT", "component"},
		{"OPENED", "opened"},
		{"WHO HAS IT", "acknowledged_by"},
		{"NEXT", "next"},
		{"NEXT AT", "next_at"},
	};
	return CLIENT_LIST(invocation, "/api/ops/v1/pages", "pages", columns,
			   "no pages: nobody was called");
}

static int answer_page(struct invocation *invocation, const char *act, struct str body,
		       const char *done)
{
	cJSON *answer;
	struct buf path = BUF_INIT, told = BUF_INIT;
	buf_puts(&path, "/api/ops/v1/pages/");
	buf_put_url(&path, str_of(invocation->arguments[0]));
	buf_printf(&path, "/%s", act);
	enum rc rc = client_call(invocation, "POST", path.data, body, &answer);
	buf_release(&path);
	if (rc != RC_OK)
		return invocation_failed(invocation);
	cJSON_Delete(answer);
	buf_printf(&told, "%s %s\n", invocation->arguments[0], done);
	int status = invocation_print(buf_str(&told));
	buf_release(&told);
	return status;
}

int app_acknowledge(struct invocation *invocation)
{
	return answer_page(invocation, "acknowledge", STR(""),
			   "is yours: nobody else is called for it");
}

int app_escalate(struct invocation *invocation)
{
	return answer_page(invocation, "escalate", STR(""), "goes on to the next");
}

int app_hand_over(struct invocation *invocation)
{
	struct buf body = BUF_INIT;
	struct json json;
	json_init(&json, &body);
	json_object(&json);
	json_put_text(&json, "person", invocation->arguments[1]);
	json_end_object(&json);
	int status = answer_page(invocation, "hand-over", buf_str(&body), "is handed over");
	buf_release(&body);
	return status;
}

int app_resolve(struct invocation *invocation)
{
	return answer_page(invocation, "resolve", STR(""), "is resolved");
}

int app_channels(struct invocation *invocation)
{
	static const struct table_column columns[] = {
		{"PRIORITY", "priority"},   {"CHANNEL", "channel"}, {"TARGET", "target"},
		{"DELIVERED", "delivered"}, {"MISSING", "missing"},
	};
	return CLIENT_LIST(invocation, "/api/ops/v1/channels", "channels", columns,
			   "no channels: the manual names none, nobody is told of anything");
}

int app_channels_test(struct invocation *invocation)
{
	cJSON *answer;
	if (client_call(invocation, "POST", "/api/ops/v1/channels/drill", STR(""), &answer) !=
	    RC_OK)
		return invocation_failed(invocation);
	cJSON_Delete(answer);
	return invocation_print(STR("the drill is on its way: `backline channels` shows what was "
				    "delivered, `backline journal list` what was not and why\n"));
}

int app_duty_list(struct invocation *invocation)
{
	static const struct table_column columns[] = {
		{"STATE", "state"}, {"DUE", "due"}, {"CADENCE", "cadence"}, {"OWNER", "owner"},
		{"DONE", "done"},   {"ID", "id"},   {"WHAT", "title"},
	};
	return CLIENT_LIST(invocation, "/api/ops/v1/duties", "duties", columns,
			   "no duties: the manual has no recurring tasks");
}

enum rc client_post(struct invocation *invocation, const char *path, const char *const *names,
		    const char *const *values, size_t count, cJSON **out)
{
	struct buf body = BUF_INIT;
	struct json json;
	json_init(&json, &body);
	json_object(&json);
	for (size_t i = 0; i < count; i++)
		json_put_text(&json, names[i], values[i]);
	json_end_object(&json);
	enum rc rc = client_call(invocation, "POST", path, buf_str(&body), out);
	buf_release(&body);
	return rc;
}

static int post_texts(struct invocation *invocation, const char *path, const char *const *names,
		      const char *const *values, size_t count, struct str told)
{
	cJSON *answer;
	if (client_post(invocation, path, names, values, count, &answer) != RC_OK)
		return invocation_failed(invocation);
	cJSON_Delete(answer);
	return invocation_print(told);
}

int app_duty_done(struct invocation *invocation)
{
	static const char *const names[] = {"id", "note"};
	const char *const values[] = {invocation->arguments[0],
				      invocation_option(invocation, "note")};
	return post_texts(invocation, "/api/ops/v1/duties/done", names, values, 2, STR("done\n"));
}

int app_duty_add(struct invocation *invocation)
{
	static const char *const names[] = {"title", "due", "owner"};
	const char *const values[] = {invocation->arguments[0],
				      invocation_option(invocation, "due"),
				      invocation_option(invocation, "owner")};
	return post_texts(invocation, "/api/ops/v1/duties", names, values, 3, STR("added\n"));
}

int app_deploy(struct invocation *invocation)
{
	static const char *const names[] = {"what", "component"};
	const char *const values[] = {invocation->arguments[0],
				      invocation_option(invocation, "component")};
	return post_texts(invocation, "/api/ops/v1/deploys", names, values, 2, STR("marked\n"));
}

int app_reload(struct invocation *invocation)
{
	bool accept = invocation_option(invocation, "accept") != NULL;
	cJSON *answer;
	if (client_call(invocation, "POST",
			accept ? "/api/ops/v1/reload?accept=1" : "/api/ops/v1/reload", STR(""),
			&answer) != RC_OK)
		return invocation_failed(invocation);
	int status = client_print_json(client_rows(answer, NULL));
	cJSON_Delete(answer);
	return status;
}

int app_status(struct invocation *invocation)
{
	cJSON *answer;
	if (client_call(invocation, "GET", "/api/ops/v1/status", STR(""), &answer) != RC_OK)
		return invocation_failed(invocation);
	const cJSON *status = client_rows(answer, NULL), *field;
	int result = EXIT_FINE;
	if (invocation_option(invocation, "json") != NULL) {
		result = client_print_json(status);
	} else {
		struct buf out = BUF_INIT;
		cJSON_ArrayForEach(field, status)
		{
			char *value = cJSON_IsString(field) ? NULL : cJSON_PrintUnformatted(field);
			buf_printf(&out, "%-24s %s\n", field->string,
				   cJSON_IsString(field) ? field->valuestring : value);
			cJSON_free(value);
		}
		result = invocation_print(buf_str(&out));
		buf_release(&out);
	}
	cJSON_Delete(answer);
	return result;
}

/* {metric} value @ time, as promtool prints an instant vector. */
static void put_element(struct buf *out, const cJSON *element)
{
	const cJSON *metric = cJSON_GetObjectItemCaseSensitive(element, "metric"), *label;
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(element, "value");
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(metric, "__name__");
	if (cJSON_IsString(name))
		buf_puts(out, name->valuestring);
	buf_putc(out, '{');
	bool first = true;
	cJSON_ArrayForEach(label, metric)
	{
		if (strcmp(label->string, "__name__") == 0)
			continue;
		buf_printf(out, "%s%s=\"%s\"", first ? "" : ", ", label->string,
			   cJSON_IsString(label) ? label->valuestring : "");
		first = false;
	}
	const cJSON *number = cJSON_GetArrayItem(value, 1);
	buf_printf(out, "} => %s\n", cJSON_IsString(number) ? number->valuestring : "?");
}

int app_query(struct invocation *invocation)
{
	struct buf path = BUF_INIT;
	buf_puts(&path, "/api/v1/query?query=");
	buf_put_url(&path, str_of(invocation->arguments[0]));
	const char *time = invocation_option(invocation, "time");
	if (time != NULL) {
		buf_puts(&path, "&time=");
		buf_put_url(&path, str_of(time));
	}
	cJSON *answer;
	enum rc rc = client_call(invocation, "GET", buf_str(&path).p, STR(""), &answer);
	buf_release(&path);
	if (rc != RC_OK)
		return invocation_failed(invocation);
	const cJSON *data = cJSON_GetObjectItemCaseSensitive(answer, "data"), *element;
	const cJSON *type = cJSON_GetObjectItemCaseSensitive(data, "resultType");
	const cJSON *result = cJSON_GetObjectItemCaseSensitive(data, "result");
	bool vector = cJSON_IsString(type) && strcmp(type->valuestring, "vector") == 0;
	int status = EXIT_FINE;
	if (invocation_option(invocation, "json") != NULL || !vector) {
		status = client_print_json(data);
	} else {
		struct buf out = BUF_INIT;
		cJSON_ArrayForEach(element, result) put_element(&out, element);
		status = invocation_print(buf_str(&out));
		buf_release(&out);
	}
	cJSON_Delete(answer);
	return status;
}
