/* Prometheus' functions of templates. */
#include <arpa/inet.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <wctype.h>

#include "base/regex.h"
#include "rules/duration.h"
#include "rules/template/inside.h"

static struct str text_of(const struct template_call *call, size_t i)
{
	return call->arguments[i].string;
}

static bool give(struct template_call *call, struct str text)
{
	*call->out = rules_value_string(text);
	return text.p != NULL || text.n == 0 || rules_template_refuse(call, "out of memory");
}

static bool give_buf(struct template_call *call, struct buf *text)
{
	struct str kept = cx_str(call->x->cx, buf_str(text));
	bool fits = kept.p != NULL && !text->overflowed;
	*call->out = rules_value_string(kept);
	buf_release(text);
	return fits || rules_template_refuse(call, "the text is too long");
}

static struct buf limited(void)
{
	return (struct buf){.limit_bytes = TEMPLATE_OUTPUT_LIMIT_BYTES};
}

/* ---- numbers for people ---- */

static bool to_float(struct template_call *call, size_t at, double *out)
{
	const struct template_value *v = &call->arguments[at];
	struct buf quoted = BUF_INIT;
	if (v->kind == VALUE_FLOAT) {
		*out = v->real;
		return true;
	}
	if (v->kind == VALUE_INT) {
		*out = (double)v->integer;
		return true;
	}
	if (v->kind != VALUE_STRING)
		return rules_template_refuse(call, "can't convert %s to float",
					     rules_value_type(v));
	if (str_to_double(v->string, out) && str_trim(v->string).n == v->string.n) {
		bool said = str_find_nocase(v->string, STR("inf")) >= 0;
		bool hex = str_find_nocase(v->string, STR("0x")) >= 0;
		if ((!isinf(*out) || said) && (!hex || str_find_nocase(v->string, STR("p")) >= 0))
			return true;
	}
	rules_value_put_quoted(&quoted, v->string);
	(void)rules_template_refuse(call, "strconv.ParseFloat: parsing %s: %s", buf_str(&quoted).p,
				    isinf(*out) ? "value out of range" : "invalid syntax");
	buf_release(&quoted);
	return false;
}

static void put_four(struct buf *out, double value)
{
	rules_value_put_float(out, value, 'g', 4);
}

static const char *make_small(double *value)
{
	static const char *const prefixes[] = {"m", "u", "n", "p", "f", "a", "z", "y"};
	const char *prefix = "";
	for (int i = 0; i < 8 && fabs(*value) < 1; i++) {
		prefix = prefixes[i];
		*value *= 1000;
	}
	return prefix;
}

static const char *make_large(double *value, double base, const char *const prefixes[8])
{
	const char *prefix = "";
	for (int i = 0; i < 8 && fabs(*value) >= base; i++) {
		prefix = prefixes[i];
		*value /= base;
	}
	return prefix;
}

static bool call_humanize(struct template_call *call)
{
	static const char *const large[8] = {"k", "M", "G", "T", "P", "E", "Z", "Y"};
	struct buf out = limited();
	double value;
	const char *prefix = "";
	if (!to_float(call, 0, &value))
		return false;
	if (value != 0 && isfinite(value))
		prefix = fabs(value) >= 1 ? make_large(&value, 1000, large) : make_small(&value);
	put_four(&out, value);
	buf_puts(&out, prefix);
	return give_buf(call, &out);
}

static bool call_humanize1024(struct template_call *call)
{
	static const char *const large[8] = {"ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"};
	struct buf out = limited();
	double value;
	const char *prefix = "";
	if (!to_float(call, 0, &value))
		return false;
	if (fabs(value) > 1 && isfinite(value))
		prefix = make_large(&value, 1024, large);
	put_four(&out, value);
	buf_puts(&out, prefix);
	return give_buf(call, &out);
}

static void put_long_duration(struct buf *out, double value)
{
	const char *sign = value < 0 ? "-" : "";
	/* beyond 64 bits it is the least integer, as Go's conversion has it */
	long long all = fabs(value) < 9223372036854775807.0 ? (long long)fabs(value) : INT64_MIN;
	long long seconds = all % 60, minutes = all / 60 % 60, hours = all / 3600 % 24;
	long long days = all / 86400;
	if (days != 0) {
		buf_printf(out, "%s%lldd %lldh %lldm %llds", sign, days, hours, minutes, seconds);
	} else if (hours != 0) {
		buf_printf(out, "%s%lldh %lldm %llds", sign, hours, minutes, seconds);
	} else if (minutes != 0) {
		buf_printf(out, "%s%lldm %llds", sign, minutes, seconds);
	} else {
		buf_puts(out, sign);
		put_four(out, fabs(value));
		buf_putc(out, 's');
	}
}

static bool call_humanize_duration(struct template_call *call)
{
	struct buf out = limited();
	double value;
	if (!to_float(call, 0, &value))
		return false;
	if (!isfinite(value)) {
		put_four(&out, value);
	} else if (fabs(value) >= 1) {
		put_long_duration(&out, value);
	} else {
		const char *prefix = value == 0 ? "" : make_small(&value);
		put_four(&out, value);
		buf_printf(&out, "%ss", prefix);
	}
	return give_buf(call, &out);
}

static bool call_humanize_percentage(struct template_call *call)
{
	struct buf out = limited();
	double value;
	if (!to_float(call, 0, &value))
		return false;
	put_four(&out, value * 100);
	buf_putc(&out, '%');
	return give_buf(call, &out);
}

static bool to_time(struct template_call *call, double value, struct template_value *out)
{
	struct buf shown = BUF_INIT;
	double nanoseconds = value * 1e9;
	if (!isfinite(value))
		return rules_template_refuse(call, "value is NaN or Inf");
	if (nanoseconds > 9223372036854775807.0 || nanoseconds < -9223372036854775808.0) {
		rules_value_put_float(&shown, value, 'g', -1);
		(void)rules_template_refuse(call,
					    "%s cannot be represented as a nanoseconds timestamp "
					    "since it overflows int64",
					    buf_str(&shown).p);
		buf_release(&shown);
		return false;
	}
	/* 2^63 itself becomes the least, as Go's conversion has it */
	int64_t ns = nanoseconds >= 9223372036854775807.0 ? INT64_MIN : (int64_t)nanoseconds;
	int64_t ms = ns / 1000000, seconds = ms / 1000, rest = ms % 1000;
	seconds -= rest < 0;
	rest += rest < 0 ? 1000 : 0;
	*out = (struct template_value){.kind = VALUE_TIME};
	out->time.seconds = seconds;
	out->time.nanoseconds = (int32_t)rest * 1000000;
	return true;
}

static bool call_humanize_timestamp(struct template_call *call)
{
	struct buf out = limited();
	struct template_value time;
	double value;
	if (!to_float(call, 0, &value))
		return false;
	if (!isfinite(value)) {
		put_four(&out, value);
		return give_buf(call, &out);
	}
	if (!to_time(call, value, &time))
		return false;
	rules_time_print(&out, time.time.seconds, time.time.nanoseconds);
	return give_buf(call, &out);
}

static bool call_to_time(struct template_call *call)
{
	double value;
	return to_float(call, 0, &value) && to_time(call, value, call->out);
}

static bool call_parse_duration(struct template_call *call)
{
	struct cx *cx = call->x->cx;
	struct dur found;
	if (rules_duration_parse(cx, text_of(call, 0), &found) != RC_OK) {
		(void)rules_template_refuse(call, "%s", cx_message(cx));
		cx_clear(cx);
		return false;
	}
	*call->out = (struct template_value){.kind = VALUE_FLOAT, .real = (double)found.ms / 1000};
	return true;
}

/* ---- words ---- */

static locale_t unicode;
static void open_unicode(void)
{
	unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static uint32_t change_case(uint32_t rune, bool upper)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	(void)pthread_once(&once, open_unicode);
	if (unicode == (locale_t)0)
		return rune;
	return (uint32_t)(upper ? towupper_l((wint_t)rune, unicode)
				: towlower_l((wint_t)rune, unicode));
}

static bool is_separator(uint32_t rune)
{
	if (rune < 0x80)
		return !(rune == '_' || (rune >= '0' && rune <= '9') ||
			 ((rune | 0x20) >= 'a' && (rune | 0x20) <= 'z'));
	return unicode != (locale_t)0 && iswspace_l((wint_t)rune, unicode);
}

enum casing { CASE_UPPER, CASE_LOWER, CASE_TITLE };
static bool recase(struct template_call *call, enum casing casing)
{
	struct str text = text_of(call, 0);
	struct buf out = limited();
	bool at_word = true;
	for (size_t i = 0; i < text.n;) {
		uint32_t rune;
		size_t n = rules_value_read_rune(str_skip(text, i), &rune);
		if (n == 0) {
			buf_puts(&out, "\xef\xbf\xbd");
			i++;
			continue;
		}
		if (casing != CASE_TITLE)
			rules_value_put_rune(&out, change_case(rune, casing == CASE_UPPER));
		else
			rules_value_put_rune(&out, at_word ? change_case(rune, true) : rune);
		at_word = is_separator(rune);
		i += n;
	}
	return give_buf(call, &out);
}

static bool call_title(struct template_call *call)
{
	return recase(call, CASE_TITLE);
}
static bool call_to_upper(struct template_call *call)
{
	return recase(call, CASE_UPPER);
}
static bool call_to_lower(struct template_call *call)
{
	return recase(call, CASE_LOWER);
}

/* panics: as Go's MustCompile tells of it. */
static bool compile(struct template_call *call, bool panics, struct regex **out)
{
	struct cx *cx = call->x->cx;
	struct str pattern = text_of(call, 0);
	struct buf why = BUF_INIT;
	if (regex_compile(cx, pattern, false, out) == RC_OK)
		return true;
	cx_clear(cx);
	if (panics)
		buf_printf(&why, "regexp: Compile(`" STR_FMT "`): ", STR_ARG(pattern));
	regex_explain(pattern, false, &why);
	(void)rules_template_refuse(call, "%s", why.data);
	buf_release(&why);
	return false;
}

static bool call_match(struct template_call *call)
{
	struct regex *regex;
	if (!compile(call, false, &regex))
		return false;
	*call->out = (struct template_value){.kind = VALUE_BOOL,
					     .truth = regex_match(regex, text_of(call, 1))};
	regex_free(regex);
	return true;
}

static bool call_replace(struct template_call *call)
{
	struct regex *regex;
	struct buf out = limited();
	if (!compile(call, true, &regex))
		return false;
	regex_replace_all(regex, text_of(call, 2), text_of(call, 1), &out);
	regex_free(regex);
	return give_buf(call, &out);
}

static bool call_safe_html(struct template_call *call)
{
	*call->out = call->arguments[0];
	call->out->kind = VALUE_HTML;
	return true;
}

/* ---- addresses ---- */

/* host:port, [host]:port; false when it is neither, as net.SplitHostPort has it */
static bool split_port(struct str text, struct str *host, struct str *port)
{
	size_t colon = text.n, colons = 0;
	for (size_t i = 0; i < text.n; i++) {
		colons += text.p[i] == ':';
		colon = text.p[i] == ':' ? i : colon;
	}
	if (colons == 0)
		return false;
	*port = str_skip(text, colon + 1);
	*host = str_make(text.p, colon);
	if (text.p[0] == '[') {
		if (host->n < 2 || host->p[host->n - 1] != ']')
			return false;
		*host = str_make(host->p + 1, host->n - 2);
	} else if (colons > 1) {
		return false;
	}
	return memchr(host->p, '[', host->n) == NULL && memchr(host->p, ']', host->n) == NULL &&
	       memchr(port->p, ']', port->n) == NULL && memchr(port->p, '[', port->n) == NULL;
}

static bool call_strip_port(struct template_call *call)
{
	struct str host, port;
	return give(call, split_port(text_of(call, 0), &host, &port) ? host : text_of(call, 0));
}

static bool is_address(struct str text)
{
	char copy[64];
	struct in6_addr six;
	struct in_addr four;
	if (text.n == 0 || text.n >= sizeof(copy))
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	return inet_pton(AF_INET, copy, &four) == 1 || inet_pton(AF_INET6, copy, &six) == 1;
}

static bool call_strip_domain(struct template_call *call)
{
	struct str host = text_of(call, 0), port = {0}, first;
	struct buf out = limited();
	if (!split_port(text_of(call, 0), &host, &port)) {
		host = text_of(call, 0);
		port = STR("");
	}
	if (is_address(host))
		return give(call, text_of(call, 0));
	first = host;
	for (size_t i = 0; i < host.n && first.n == host.n; i++)
		if (host.p[i] == '.')
			first.n = i;
	bool brackets = port.n > 0 && memchr(first.p, ':', first.n) != NULL;
	buf_printf(&out, "%s" STR_FMT "%s", brackets ? "[" : "", STR_ARG(first),
		   brackets ? "]" : "");
	if (port.n > 0)
		buf_printf(&out, ":" STR_FMT, STR_ARG(port));
	return give_buf(call, &out);
}

static bool give_link(struct template_call *call, int tab)
{
	struct str expr = text_of(call, 0);
	struct buf out = limited();
	buf_puts(&out, "/graph?g0.expr=");
	for (size_t i = 0; i < expr.n; i++)
		if (expr.p[i] == ' ')
			buf_putc(&out, '+');
		else
			buf_put_url(&out, str_make(&expr.p[i], 1));
	buf_printf(&out, "&g0.tab=%d", tab);
	return give_buf(call, &out);
}

static bool call_graph_link(struct template_call *call)
{
	return give_link(call, 0);
}
static bool call_table_link(struct template_call *call)
{
	return give_link(call, 1);
}

static bool call_external_url(struct template_call *call)
{
	return give(call, call->x->data->external_url);
}

/* The path of the address: what stands behind the host. */
static bool call_path_prefix(struct template_call *call)
{
	struct str url = call->x->data->external_url;
	ptrdiff_t scheme = str_find(url, STR("://"));
	url = str_skip(url, scheme < 0 ? 0 : (size_t)scheme + 3);
	size_t from = scheme < 0 ? 0 : url.n, to = url.n;
	for (size_t i = url.n; scheme >= 0 && i > 0; i--)
		from = url.p[i - 1] == '/' ? i - 1 : from;
	for (size_t i = url.n; i > from; i--)
		to = url.p[i - 1] == '?' || url.p[i - 1] == '#' ? i - 1 : to;
	return give(call, str_make(url.p + from, to - from));
}

/* ---- what the store says ---- */

static bool call_query(struct template_call *call)
{
	struct execution *x = call->x;
	struct promql_result result = {0};
	if (x->data->query == NULL)
		return rules_template_refuse(call, "there is nothing to query");
	if (x->data->query(x->data->context, x->cx, text_of(call, 0), x->data->at_ms, &result) !=
	    RC_OK) {
		(void)rules_template_refuse(call, "%s", cx_message(x->cx));
		cx_clear(x->cx);
		return false;
	}
	struct value_vector *vector = cx_alloc(x->cx, sizeof(*vector));
	const struct promql_series **list = cx_array(x->cx, result.series_count, sizeof(*list));
	if (vector == NULL || list == NULL)
		return rules_template_refuse(call, "out of memory");
	for (size_t i = 0; i < result.series_count; i++)
		list[i] = &result.series[i];
	*vector = (struct value_vector){list, result.series_count};
	*call->out = (struct template_value){.kind = VALUE_VECTOR, .vector = vector};
	return true;
}

static bool call_first(struct template_call *call)
{
	const struct value_vector *vector = call->arguments[0].vector;
	if (vector->n == 0)
		return rules_template_refuse(call, "first() called on vector with no elements");
	*call->out = (struct template_value){.kind = VALUE_SAMPLE, .sample = vector->v[0]};
	return true;
}

static bool call_label(struct template_call *call)
{
	return give(call, labels_get(&call->arguments[1].sample->labels, text_of(call, 0)));
}

static bool call_value(struct template_call *call)
{
	*call->out = (struct template_value){.kind = VALUE_FLOAT,
					     .real = call->arguments[0].sample->values[0]};
	return true;
}

static bool call_strvalue(struct template_call *call)
{
	return give(call, labels_get(&call->arguments[0].sample->labels, STR("__value__")));
}

struct sorted {
	const struct promql_series *sample;
	struct str by;
	size_t at;
};

static int by_label(const void *a, const void *b)
{
	const struct sorted *left = a, *right = b;
	int order = str_compare(left->by, right->by);
	return order != 0 ? order : left->at < right->at ? -1 : 1;
}

static bool call_sort_by_label(struct template_call *call)
{
	const struct value_vector *from = call->arguments[1].vector;
	struct cx *cx = call->x->cx;
	struct sorted *list = cx_array(cx, from->n + 1, sizeof(*list));
	struct value_vector *vector = cx_alloc(cx, sizeof(*vector));
	const struct promql_series **out = cx_array(cx, from->n, sizeof(*out));
	if (list == NULL || vector == NULL || out == NULL)
		return rules_template_refuse(call, "out of memory");
	for (size_t i = 0; i < from->n; i++)
		list[i] = (struct sorted){from->v[i],
					  labels_get(&from->v[i]->labels, text_of(call, 0)), i};
	qsort(list, from->n, sizeof(*list), by_label);
	for (size_t i = 0; i < from->n; i++)
		out[i] = list[i].sample;
	*vector = (struct value_vector){out, from->n};
	*call->out = (struct template_value){.kind = VALUE_VECTOR, .vector = vector};
	return true;
}

static bool call_args(struct template_call *call)
{
	struct value_args *args = cx_alloc(call->x->cx, sizeof(*args));
	struct template_value *list = cx_array(call->x->cx, call->count, sizeof(*list));
	if (args == NULL || list == NULL)
		return rules_template_refuse(call, "out of memory");
	for (size_t i = 0; i < call->count; i++)
		list[i] = call->arguments[i];
	*args = (struct value_args){list, call->count};
	*call->out = (struct template_value){.kind = VALUE_ARGS, .args = args};
	return true;
}

#define ONE_STRING .parameters = {TAKES_STRING}, .least = 1

static const struct template_function functions[] = {
	{.name = "args", .variadic = true, .call = call_args},
	{.name = "externalURL", .call = call_external_url},
	{.name = "first", .parameters = {TAKES_VECTOR}, .least = 1, .call = call_first},
	{.name = "graphLink", ONE_STRING, .call = call_graph_link},
	{.name = "humanize", .least = 1, .call = call_humanize},
	{.name = "humanize1024", .least = 1, .call = call_humanize1024},
	{.name = "humanizeDuration", .least = 1, .call = call_humanize_duration},
	{.name = "humanizePercentage", .least = 1, .call = call_humanize_percentage},
	{.name = "humanizeTimestamp", .least = 1, .call = call_humanize_timestamp},
	{.name = "label",
	 .parameters = {TAKES_STRING, TAKES_SAMPLE},
	 .least = 2,
	 .call = call_label},
	{.name = "match",
	 .parameters = {TAKES_STRING, TAKES_STRING},
	 .least = 2,
	 .call = call_match},
	{.name = "parseDuration", ONE_STRING, .call = call_parse_duration},
	{.name = "pathPrefix", .call = call_path_prefix},
	{.name = "query", ONE_STRING, .volatile_answer = true, .call = call_query},
	{.name = "reReplaceAll",
	 .parameters = {TAKES_STRING, TAKES_STRING, TAKES_STRING},
	 .least = 3,
	 .call = call_replace},
	{.name = "safeHtml", ONE_STRING, .call = call_safe_html},
	{.name = "sortByLabel",
	 .parameters = {TAKES_STRING, TAKES_VECTOR},
	 .least = 2,
	 .call = call_sort_by_label},
	{.name = "stripDomain", ONE_STRING, .call = call_strip_domain},
	{.name = "stripPort", ONE_STRING, .call = call_strip_port},
	{.name = "strvalue", .parameters = {TAKES_SAMPLE}, .least = 1, .call = call_strvalue},
	{.name = "tableLink", ONE_STRING, .call = call_table_link},
	{.name = "title", ONE_STRING, .call = call_title},
	{.name = "toLower", ONE_STRING, .call = call_to_lower},
	{.name = "toTime", .least = 1, .call = call_to_time},
	{.name = "toUpper", ONE_STRING, .call = call_to_upper},
	{.name = "value", .parameters = {TAKES_SAMPLE}, .least = 1, .call = call_value},
};

const struct template_function *rules_template_function(struct str name)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		if (str_eq(name, str_of(functions[i].name)))
			return &functions[i];
	for (size_t i = 0; i < rules_template_builtin_count; i++)
		if (str_eq(name, str_of(rules_template_builtins[i].name)))
			return &rules_template_builtins[i];
	return NULL;
}
