/* `metrics.remote` of the site file. It is put in the words of a prometheus.yml (JSON is YAML), so
 * that one reader fills in what is not said. */
#include "base/json.h"
#include "remote/inside.h"

static void put_credentials(struct json *json, const struct remote_target *to)
{
	if (to->bearer != NULL) {
		json_key(json, "authorization");
		json_object(json);
		json_put_text(json, "credentials", to->bearer);
		json_end_object(json);
	}
	if (to->user != NULL && to->password != NULL) {
		json_key(json, "basic_auth");
		json_object(json);
		json_put_text(json, "username", to->user);
		json_put_text(json, "password", to->password);
		json_end_object(json);
	}
}

static void put_remote(struct json *json, const struct remote_target *to)
{
	json_object(json);
	json_put_text(json, "url", to->url);
	json_put_text(json, "name", to->name);
	put_credentials(json, to);
	json_key(json, "tls_config");
	json_object(json);
	if (to->ca_file != NULL)
		json_put_text(json, "ca_file", to->ca_file);
	json_put_bool(json, "insecure_skip_verify", to->insecure_tls);
	json_end_object(json);
	json_key(json, "headers");
	json_object(json);
	for (size_t i = 0; i < to->header_count; i++)
		json_put_text(json, to->headers[i].name, to->headers[i].value);
	json_end_object(json);
	json_end_object(json);
}

static void put_external(struct json *json, const struct metrics_plan *metrics)
{
	json_key(json, "global");
	json_object(json);
	json_key(json, "external_labels");
	json_object(json);
	for (size_t i = 0; i < metrics->external_count; i++)
		json_put_text(json, metrics->external[i].name, metrics->external[i].value);
	json_end_object(json);
	json_end_object(json);
}

enum rc remote_of_plan(struct cx *cx, const struct plan *plan, struct prometheus **out)
{
	const struct metrics_plan *metrics = &plan->metrics;
	struct buf text = BUF_INIT;
	struct json json;
	*out = NULL;
	if (metrics->remote_count == 0)
		return RC_OK;
	json_init(&json, &text);
	json_object(&json);
	put_external(&json, metrics);
	json_key(&json, "remote_write");
	json_array(&json);
	for (size_t i = 0; i < metrics->remote_count; i++)
		put_remote(&json, &metrics->remotes[i]);
	json_end_array(&json);
	json_end_object(&json);
	/* relative names of files begin where the site file stands */
	enum rc rc = prometheus_parse(cx, plan->site_path, buf_str(&text), NULL, out);
	buf_release(&text);
	return rc;
}
