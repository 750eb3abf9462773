/* The verbs of who is on call: now, over a range, overrides, calendars. */
#include "app/client.h"

/* "&NAME=VALUE" for an option that was given. */
static void put_query(struct invocation *invocation, struct buf *path, const char *option,
		      const char *name)
{
	const char *value = invocation_option(invocation, option);
	if (value == NULL)
		return;
	buf_putc(path, memchr(path->data, '?', path->length) == NULL ? '?' : '&');
	buf_printf(path, "%s=", name);
	buf_put_url(path, str_of(value));
}

int app_oncall_now(struct invocation *invocation)
{
	static const struct table_column columns[] = {
		{"SCHEDULE", "id"},       {"ON CALL", "person"}, {"WHY", "why"},
		{"UNTIL", "until_local"}, {"NEXT", "next"},      {"NEXT AT", "next_local"},
	};
	struct buf path = BUF_INIT;
	buf_puts(&path, "/api/ops/v1/oncall");
	put_query(invocation, &path, "at", "at");
	int status = CLIENT_LIST(invocation, path.data, "schedules", columns,
				 "no schedules: the site file has no `oncall`");
	buf_release(&path);
	return status;
}

int app_oncall_show(struct invocation *invocation)
{
	static const struct table_column columns[] = {
		{"FROM", "from_local"}, {"UNTIL", "until_local"},    {"ON CALL", "person"},
		{"WHY", "why"},         {"OVERRIDE", "override.id"},
	};
	struct buf path = BUF_INIT;
	buf_puts(&path, "/api/ops/v1/oncall/segments?schedule=");
	buf_put_url(&path, str_of(invocation->arguments[0]));
	put_query(invocation, &path, "at", "from");
	put_query(invocation, &path, "until", "until");
	int status = CLIENT_LIST(invocation, path.data, "segments", columns, "nothing");
	buf_release(&path);
	return status;
}

int app_oncall_override_list(struct invocation *invocation)
{
	static const struct table_column columns[] = {
		{"ID", "id"},     {"SCHEDULE", "schedule"}, {"PERSON", "person"},
		{"FROM", "from"}, {"UNTIL", "until"},       {"BY", "by"},
		{"WHY", "why"},
	};
	return CLIENT_LIST(invocation,
			   invocation_option(invocation, "all") == NULL
				   ? "/api/ops/v1/oncall/overrides"
				   : "/api/ops/v1/oncall/overrides?all=1",
			   "overrides", columns, "no overrides: the schedules alone decide");
}

/* Posts {names[i]: values[i]} and prints the answer's `field`. */
static int post_for(struct invocation *invocation, const char *path, const char *const *names,
		    const char *const *values, size_t count, const char *field)
{
	cJSON *answer;
	if (client_post(invocation, path, names, values, count, &answer) != RC_OK)
		return invocation_failed(invocation);
	const cJSON *data = client_rows(answer, NULL);
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(data, field);
	int status;
	if (invocation_option(invocation, "json") != NULL) {
		status = client_print_json(data);
	} else {
		char *line = cx_printf(&invocation->cx, "%s\n",
				       cJSON_IsString(value) ? value->valuestring : "");
		status = line == NULL ? invocation_failed(invocation)
				      : invocation_print(str_of(line));
	}
	cJSON_Delete(answer);
	return status;
}

int app_oncall_override_add(struct invocation *invocation)
{
	static const char *const names[] = {"schedule", "person", "from", "until", "why"};
	const char *const values[] = {invocation->arguments[0], invocation->arguments[1],
				      invocation_option(invocation, "from"),
				      invocation_option(invocation, "until"),
				      invocation_option(invocation, "why")};
	return post_for(invocation, "/api/ops/v1/oncall/overrides", names, values, 5, "id");
}

/* DELETE below `path`, of what the argument names. */
static int remove_named(struct invocation *invocation, const char *path, struct str told)
{
	struct buf whole = BUF_INIT;
	cJSON *answer;
	buf_puts(&whole, path);
	buf_put_url(&whole, str_of(invocation->arguments[0]));
	enum rc rc = client_call(invocation, "DELETE", whole.data, STR(""), &answer);
	buf_release(&whole);
	if (rc != RC_OK)
		return invocation_failed(invocation);
	cJSON_Delete(answer);
	return invocation_print(told);
}

int app_oncall_override_remove(struct invocation *invocation)
{
	return remove_named(invocation, "/api/ops/v1/oncall/overrides/", STR("removed\n"));
}

int app_oncall_ical_add(struct invocation *invocation)
{
	static const char *const names[] = {"schedule", "person"};
	const char *const values[] = {invocation_option(invocation, "schedule"),
				      invocation_option(invocation, "person")};
	return post_for(invocation, "/api/ops/v1/oncall/calendars", names, values, 2, "address");
}

int app_oncall_ical_list(struct invocation *invocation)
{
	static const struct table_column columns[] = {
		{"ID", "id"}, {"SCHEDULE", "schedule"}, {"PERSON", "person"}, {"MADE", "made"},
		{"BY", "by"},
	};
	return CLIENT_LIST(invocation, "/api/ops/v1/oncall/calendars", "calendars", columns,
			   "no calendar addresses");
}

int app_oncall_ical_revoke(struct invocation *invocation)
{
	return remove_named(invocation, "/api/ops/v1/oncall/calendars/", STR("revoked\n"));
}
