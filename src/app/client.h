/* Asking the running Backline by the socket in its data directory, for the verbs. */
#ifndef APP_CLIENT_H
#define APP_CLIENT_H

#include <cjson/cJSON.h>

#include "app/command.h"
#include "app/table.h"

/* One call; the answer's JSON in *out (cJSON_Delete it), NULL of an empty one. An error status is
 * told with its own words. A body is sent as JSON. */
enum rc client_call(struct invocation *invocation, const char *method, const char *path,
		    struct str body, cJSON **out) NODISCARD;
/* POSTs an object of texts; those that are NULL are null in it. */
enum rc client_post(struct invocation *invocation, const char *path, const char *const *names,
		    const char *const *values, size_t count, cJSON **out) NODISCARD;
int client_print_json(const cJSON *value);
/* The rows of an answer stand in "data", or the answer is the array itself. */
const cJSON *client_rows(const cJSON *answer, const char *key);
/* GETs the path and prints the rows: a table, or JSON with --json. */
int client_list(struct invocation *invocation, const char *path, const char *key,
		const struct table_column *columns, size_t column_count, const char *empty);

#define CLIENT_LIST(invocation, path, key, columns, empty)                                         \
	client_list((invocation), (path), (key), (columns),                                        \
		    sizeof(columns) / sizeof((columns)[0]), (empty))

#endif
