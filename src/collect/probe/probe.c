/* HTTP probes, told by blackbox_exporter's metric names. */
#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <stdio.h>

#include "collect/target.h"

/* NAME{LABEL="VALUE"} value: no value here needs an escape. */
static void put(struct buf *out, const char *name, double value, const char *label,
		const char *label_value)
{
	buf_puts(out, name);
	if (label != NULL)
		buf_printf(out, "{%s=\"%s\"}", label, label_value);
	buf_putc(out, ' ');
	buf_put_double(out, value);
	buf_putc(out, '\n');
}

/* RFC 6901 against a parsed document; NULL when nothing is there. */
static const cJSON *at_pointer(const cJSON *value, struct str pointer)
{
	struct str piece;
	if (pointer.n == 0)
		return value;
	if (pointer.p[0] != '/')
		return NULL;
	pointer = str_skip(pointer, 1);
	while (value != NULL && str_split(&pointer, '/', &piece)) {
		char name[256];
		size_t n = 0;
		for (size_t i = 0; i < piece.n && n + 1 < sizeof(name); i++) {
			char c = piece.p[i];
			if (c == '~' && i + 1 < piece.n)
				c = piece.p[++i] == '1' ? '/' : '~';
			name[n++] = c;
		}
		name[n] = '\0';
		int64_t index;
		if (cJSON_IsArray(value))
			value = str_to_i64(str_make(name, n), &index) && index >= 0 &&
						index < 1000000
					? cJSON_GetArrayItem(value, (int)index)
					: NULL;
		else
			value = cJSON_GetObjectItemCaseSensitive(value, name);
	}
	return value;
}

static bool json_equals(const cJSON *value, const char *wanted)
{
	double number;
	if (value == NULL)
		return false;
	if (wanted == NULL)
		return true;
	if (cJSON_IsString(value))
		return strcmp(value->valuestring, wanted) == 0;
	if (cJSON_IsBool(value))
		return strcmp(wanted, cJSON_IsTrue(value) ? "true" : "false") == 0;
	return cJSON_IsNumber(value) && str_to_double(str_of(wanted), &number) &&
	       number == value->valuedouble;
}

/* NULL when the body is as it should be, else what is wrong. */
static const char *check_body(struct cx *cx, const struct component *component, struct str body)
{
	if (component->body_contains != NULL &&
	    str_find(body, str_of(component->body_contains)) < 0)
		return "the body lacks the expected text";
	if (component->body_regex != NULL) {
		struct regex *regex;
		bool matches =
			regex_compile(cx, str_of(component->body_regex), false, &regex) == RC_OK &&
			regex_match(regex, body);
		regex_free(regex);
		if (!matches)
			return "the body does not match";
	}
	if (component->body_pointer != NULL) {
		cJSON *parsed = cJSON_ParseWithLength(body.p, body.n);
		bool equal = json_equals(at_pointer(parsed, str_of(component->body_pointer)),
					 component->body_equals);
		cJSON_Delete(parsed);
		if (!equal)
			return "the body's value is not the expected one";
	}
	return NULL;
}

static void put_phases(struct buf *b, const struct http_answer *a)
{
	const struct {
		const char *name;
		double seconds;
	} phases[] = {{"resolve", a->resolve_s},
		      {"connect", a->connect_s},
		      {"tls", a->tls_s},
		      {"processing", a->processing_s},
		      {"transfer", a->transfer_s}};
	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++)
		put(b, "probe_http_duration_seconds", phases[i].seconds, "phase", phases[i].name);
	put(b, "probe_dns_lookup_time_seconds", a->resolve_s, NULL, NULL);
	put(b, "probe_duration_seconds", a->total_s, NULL, NULL);
}

/* What the head says of the body: -1 when it says nothing, 0 when there cannot be one (RFC 9110,
 * section 6.4.1). */
static double content_length(const struct http_answer *a)
{
	double length;
	if (a->rc != RC_OK || a->status == 204 || a->status == 304)
		return 0;
	return str_to_double(http_answer_header(a, "Content-Length"), &length) ? length : -1;
}

/* A redirect that is not followed counts, as with blackbox_exporter. */
static unsigned redirects(const struct http_answer *a)
{
	bool one_more =
		a->rc == RC_OK && a->status / 100 == 3 && http_answer_header(a, "Location").n > 0;
	return a->redirects + one_more;
}

/* FNV-1a over the address's bytes, to see that a name leads elsewhere; as blackbox_exporter has it.
 */
static void put_address(struct buf *b, const char *address)
{
	unsigned char bytes[16];
	bool v6 = strchr(address, ':') != NULL;
	uint32_t hash = 2166136261U;
	bool known = inet_pton(v6 ? AF_INET6 : AF_INET, address, bytes) == 1;
	for (int i = 0; i < (v6 ? 16 : 4); i++)
		hash = (hash ^ bytes[i]) * 16777619U;
	put(b, "probe_ip_protocol", !known ? 0 : v6 ? 6 : 4, NULL, NULL);
	put(b, "probe_ip_addr_hash", known ? hash : 0, NULL, NULL);
}

static void put_answer(struct buf *b, const struct http_answer *a)
{
	bool answered = a->rc == RC_OK;
	bool tls = answered && a->final_url != NULL && strncmp(a->final_url, "https:", 6) == 0;
	double version = 0;
	put(b, "probe_http_status_code", answered ? a->status : 0, NULL, NULL);
	put(b, "probe_http_redirects", redirects(a), NULL, NULL);
	put(b, "probe_http_uncompressed_body_length", (double)a->body.n, NULL, NULL);
	put(b, "probe_http_content_length", content_length(a), NULL, NULL);
	put(b, "probe_http_ssl", tls, NULL, NULL);
	put(b, "probe_http_version",
	    answered && str_to_double(str_of(a->http_version), &version) ? version : 0, NULL, NULL);
	put_address(b, a->address);
	if (a->certificate_expires_s > 0)
		put(b, "probe_ssl_earliest_cert_expiry", (double)a->certificate_expires_s, NULL,
		    NULL);
	if (a->tls_version[0] != '\0')
		put(b, "probe_tls_version_info", 1, "version", a->tls_version);
}

bool collect_probe(struct cx *cx, const struct collect_job *job, const struct http_answer *a,
		   struct buf *b, const char **error)
{
	static const struct component plain; /* any 2xx, any body */
	const struct component *component = job->component == NULL ? &plain : job->component;
	const char *body_problem = NULL;
	int status = component->expect_status;
	bool answered = a->rc == RC_OK;
	bool expected = status == 0 ? a->status >= 200 && a->status < 300 : a->status == status;
	*error = NULL;
	if (answered && expected)
		body_problem = check_body(cx, component, a->body);
	bool success = answered && expected && body_problem == NULL;
	if (!success)
		*error = !answered   ? cx_printf(cx, "%s", a->error)
			 : !expected ? cx_printf(cx, "status %d", a->status)
				     : body_problem;
	put_phases(b, a);
	put(b, "probe_success", success, NULL, NULL);
	put(b, "probe_failed_due_to_regex", body_problem != NULL, NULL, NULL);
	put_answer(b, a);
	return success;
}
