/* The verbs of heartbeats and watchers. */
#include "app/client.h"
#include "base/json.h"

#define HEARTBEATS "/api/ops/v1/heartbeats"

int app_heartbeat_list(struct invocation *invocation)
{
	static const struct table_column columns[] = {
		{"STATE", "state"}, {"HEARTBEAT", "name"},  {"SCHEDULE", "schedule"},
		{"LAST", "last"},   {"DUE", "due"},         {"TOOK S", "took_seconds"},
		{"OWNER", "owner"}, {"MESSAGE", "message"},
	};
	return CLIENT_LIST(invocation, HEARTBEATS, "heartbeats", columns,
			   "no heartbeats: `heartbeats` of the site file names none");
}

int app_watchers(struct invocation *invocation)
{
	static const struct table_column columns[] = {
		{"STATE", "state"}, {"WATCHER", "name"},      {"HOST", "host"},
		{"LAST", "last"},   {"FAILURES", "failures"}, {"DETAIL", "detail"},
	};
	return CLIENT_LIST(invocation, "/api/ops/v1/watchers", "watchers", columns,
			   "no watchers: nobody outside notices when Backline stops");
}

/* The path of the heartbeat that is named, with `tail` behind it; buf_release() it. */
static void put_path(struct buf *path, const struct invocation *invocation, const char *tail)
{
	buf_puts(path, HEARTBEATS "/");
	buf_put_url(path, str_of(invocation->arguments[0]));
	buf_puts(path, tail);
}

static enum rc ask(struct invocation *invocation, const char *method, const char *tail,
		   struct str body, cJSON **answer)
{
	struct buf path = BUF_INIT;
	put_path(&path, invocation, tail);
	enum rc rc = client_call(invocation, method, path.data, body, answer);
	buf_release(&path);
	return rc;
}

int app_heartbeat_show(struct invocation *invocation)
{
	cJSON *answer;
	struct buf out = BUF_INIT;
	const cJSON *field;
	if (ask(invocation, "GET", "", STR(""), &answer) != RC_OK)
		return invocation_failed(invocation);
	const cJSON *heartbeat = client_rows(answer, NULL);
	int status;
	if (invocation_option(invocation, "json") != NULL) {
		status = client_print_json(heartbeat);
	} else {
		cJSON_ArrayForEach(field, heartbeat)
		{
			char *value = cJSON_IsString(field) ? NULL : cJSON_PrintUnformatted(field);
			buf_printf(&out, "%-16s %s\n", field->string,
				   cJSON_IsString(field) ? field->valuestring
				   : cJSON_IsNull(field) ? "-"
							 : value);
			cJSON_free(value);
		}
		status = invocation_print(buf_str(&out));
		buf_release(&out);
	}
	cJSON_Delete(answer);
	return status;
}

int app_heartbeat_address(struct invocation *invocation)
{
	cJSON *answer;
	if (invocation_option(invocation, "new") != NULL) {
		if (ask(invocation, "POST", "/address", STR(""), &answer) != RC_OK)
			return invocation_failed(invocation);
		cJSON_Delete(answer);
	}
	if (ask(invocation, "GET", "", STR(""), &answer) != RC_OK)
		return invocation_failed(invocation);
	const cJSON *address =
		cJSON_GetObjectItemCaseSensitive(client_rows(answer, NULL), "address");
	struct buf out = BUF_INIT;
	int status;
	if (invocation_option(invocation, "json") != NULL) {
		status = client_print_json(address);
	} else {
		buf_printf(&out, "%s\n", cJSON_IsString(address) ? address->valuestring : "");
		status = invocation_print(buf_str(&out));
		buf_release(&out);
	}
	cJSON_Delete(answer);
	return status;
}

int app_heartbeat_ping(struct invocation *invocation)
{
	cJSON *answer;
	const char *act = invocation_option(invocation, "act");
	const char *message = invocation_option(invocation, "message");
	struct buf tail = BUF_INIT;
	buf_puts(&tail, "/ping?act=");
	buf_put_url(&tail, str_of(act == NULL ? "" : act));
	enum rc rc =
		ask(invocation, "POST", tail.data, str_of(message == NULL ? "" : message), &answer);
	buf_release(&tail);
	if (rc != RC_OK)
		return invocation_failed(invocation);
	int status = invocation_option(invocation, "json") != NULL
			     ? client_print_json(client_rows(answer, NULL))
			     : invocation_print(STR("reported\n"));
	cJSON_Delete(answer);
	return status;
}
