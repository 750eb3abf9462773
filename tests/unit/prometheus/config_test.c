/* The configuration file: what is taken and refused (each case as promtool 2.42 judges it), the
 * defaults, where problems stand, and relabelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "prometheus/prometheus.h"

static struct arena arena;
static struct cx cx;

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 16 << 20);
	cx_init(&cx, &arena, clock_real());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_release(&arena);
	return 0;
}

static struct prometheus *parse(const char *text)
{
	struct prometheus *made = NULL;
	struct buf told = BUF_INIT;
	enum rc rc = prometheus_parse(&cx, "/etc/p/prometheus.yml", str_of(text), &told, &made);
	assert_true((rc == RC_OK) == (told.length == 0));
	assert_true((rc == RC_OK) == (made != NULL));
	buf_release(&told);
	return made;
}

#define JOB(inside) "scrape_configs: [{job_name: a, " inside "}]"
#define RULE(inside) JOB("relabel_configs: [{" inside "}]")

static const char *const good[] = {
	"",
	"# nothing\n",
	"global: {scrape_interval: 5s}",
	"global: {external_labels: {a: 1}}",
	"scrape_configs: [&a {job_name: a, params: {a: [b]}}, {<<: *a, job_name: b}]",
	"rule_files: ['a*', b.yml]",
	"storage: {tsdb: {out_of_order_time_window: 30m}, exemplars: {max_exemplars: 1}}",
	JOB("label_limit: 1, sample_limit: 2, target_limit: 3"),
	JOB("body_size_limit: 10MB"),
	JOB("bearer_token: x"),
	JOB("enable_http2: false, follow_redirects: no"),
	JOB("scrape_interval: 0"),
	JOB("scrape_interval: 1h30m"),
	JOB("metrics_path: 1"),
	JOB("tls_config: {min_version: TLS12}"),
	JOB("http_sd_configs: [{url: 'http://x', refresh_interval: 5s}]"),
	JOB("dns_sd_configs: [{names: [q]}]"),
	JOB("static_configs: [{targets: ['http://x/y']}], relabel_configs: [{target_label: x}]"),
	"remote_write: [{url: 'http://a', headers: {a: b}, name: x, send_exemplars: true}]",
	"remote_read: [{url: 'http://a', required_matchers: {a: b}, read_recent: true}]",
	"alerting: {alertmanagers: [{api_version: v1, static_configs: [{targets: [a]}]}]}",
	RULE("action: hashmod, modulus: 3, target_label: a"),
	RULE("action: labelmap, regex: a, replacement: \"${1}\""),
	RULE("action: labelkeep, regex: b"),
	RULE("action: keepequal, source_labels: [a], target_label: b"),
	RULE("action: Lowercase, source_labels: [a], target_label: b"),
	RULE("source_labels: [a], target_label: \"a_${1}\""),
	RULE("target_label: \"$1\""),
	RULE("regex: 5, target_label: x, separator: 1"),
	RULE("replacement: null, target_label: x"),
};

static const char *const bad[] = {
	"a: 1",
	"scrape_configs: x",
	"global: {body_size_limit: 1}",
	"global: {external_labels: {a-b: x}}",
	"global: {scrape_timeout: 5m}",
	"scrape_configs: [{job_name: 12}, {job_name: 12}]",
	"scrape_configs: [{job_name: ''}]",
	"rule_files: ['a/*/b']",
	"rule_files: x",
	"storage: {tsdb: {out_of_order_time_window: -30m}}",
	JOB("native_histogram_bucket_limit: 1"),
	JOB("body_size_limit: 10"),
	JOB("sample_limit: -1"),
	JOB("scrape_interval: 5"),
	JOB("scrape_interval: 5 s"),
	JOB("scrape_timeout: 2m"),
	JOB("params: x"),
	JOB("tls_config: {ca: x}"),
	JOB("tls_config: {min_version: SSL3}"),
	JOB("basic_auth: {username: x, password: a, password_file: x}"),
	JOB("basic_auth: {username: x}, bearer_token: q"),
	JOB("authorization: {type: basic, credentials: q}"),
	JOB("oauth2: {client_id: x}"),
	JOB("static_configs: [{targets: ['http://x/y']}]"),
	JOB("static_configs: [{targets: ['x'], labels: {'a-b': x}}]"),
	JOB("static_configs: [{targets: ['x'], source: q}]"),
	JOB("dns_sd_configs: [{names: [q], type: A}]"),
	JOB("dns_sd_configs: [{names: []}]"),
	JOB("file_sd_configs: [{files: ['a.txt']}]"),
	JOB("http_sd_configs: [{url: 'ftp://x'}]"),
	JOB("consul_sd_configs: [{server: x}]"),
	"remote_write: [{url: ''}]",
	"remote_write: [{url: 'http://a', headers: {authorization: b}}]",
	"remote_write: [{url: 'http://a', name: x}, {url: 'http://b', name: x}]",
	"remote_write: [{url: 'http://a', queue_config: {sample_age_limit: 1m}}]",
	"remote_read: [{url: 'http://a', required_matchers: {a-: b}}]",
	"alerting: {alertmanagers: [{api_version: v3}]}",
	RULE("action: replace"),
	RULE("action: replacex"),
	RULE("action: hashmod"),
	RULE("action: hashmod, modulus: 3, target_label: \"$1\""),
	RULE("action: labelmap, replacement: \"a-\""),
	RULE("action: labeldrop, source_labels: [a]"),
	RULE("action: keepequal"),
	RULE("action: dropequal, source_labels: [a], target_label: b, regex: x"),
	RULE("action: lowercase, source_labels: [a], target_label: b, replacement: x"),
	RULE("source_labels: [a], target_label: \"a-\""),
	RULE("source_labels: [a], target_label: \"${1}_x-\""),
	RULE("source_labels: [a-b], target_label: x"),
	RULE("regex: \"(\", target_label: x"),
	RULE("source_labels: a, target_label: b"),
	RULE("foo: 1"),
	/* what would grow without end */
	"a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
	"d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\n"
	"f: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g]\n",
	"a: &a {b: *a}",
};

static void test_takes_and_refuses_as_promtool(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct prometheus *made = parse(good[i]);
		if (made == NULL)
			fail_msg("refused: %s: %s", good[i], cx.err.message);
		prometheus_unref(&made);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct prometheus *made = parse(bad[i]);
		if (made != NULL)
			fail_msg("taken: %s", bad[i]);
	}
}

static void test_fills_in_defaults(void **state)
{
	(void)state;
	struct prometheus *p =
		parse("global: {scrape_interval: 4s, external_labels: {z: 1, a: ''}}\n"
		      "rule_files: [r/*.yml, /abs.yml]\n"
		      "scrape_configs:\n"
		      "- job_name: a\n"
		      "  params: {q: [x, y]}\n"
		      "  body_size_limit: 1KB\n"
		      "  basic_auth: {username: me, password_file: secret}\n"
		      "  static_configs: [{targets: [h:1, 'h2'], labels: {b: c}}]\n"
		      "- job_name: b\n"
		      "  scrape_interval: 1m\n"
		      "  honor_timestamps: false\n"
		      "  bearer_token_file: /t\n"
		      "  relabel_configs: [{source_labels: [x], separator: '', replacement: '',"
		      " target_label: y}]\n"
		      "remote_write: [{url: http://w/}]\n"
		      "alerting: {alertmanagers: [{static_configs: [{targets: [am]}]}]}\n");
	assert_non_null(p);
	const struct prometheus_scrape *a = &p->scrapes[0], *b = &p->scrapes[1];
	assert_int_equal(a->interval.ms, 4000);
	assert_int_equal(a->timeout.ms, 4000);
	assert_int_equal(b->timeout.ms, 4000);
	assert_int_equal(p->evaluation_interval.ms, 60000);
	assert_true(a->honor_timestamps && !b->honor_timestamps && !a->honor_labels);
	assert_string_equal(a->metrics_path, "/metrics");
	assert_int_equal(a->body_size_limit_bytes, 1024);
	assert_string_equal(a->http.password_file, "/etc/p/secret");
	assert_true(a->http.follow_redirects);
	assert_string_equal(b->http.authorization_type, "Bearer");
	assert_string_equal(b->http.credentials_file, "/t");
	assert_int_equal(a->discovery.groups.v[0].target_count, 2);
	assert_int_equal(a->params[0].value_count, 2);
	assert_int_equal(b->relabels.v[0].replacement.n, 0);
	assert_int_equal(b->relabels.v[0].separator.n, 0);
	assert_string_equal(p->rule_files[0], "/etc/p/r/*.yml");
	assert_string_equal(p->rule_files[1], "/abs.yml");
	assert_int_equal(p->external_labels.n, 1);
	assert_int_equal(p->writes[0].queue.capacity, 2500);
	assert_true(p->writes[0].metadata.send);
	assert_string_equal(p->alertmanagers[0].api_version, "v2");
	prometheus_unref(&p);
}

/* libfyaml 0.7.12 loses bytes of it */
static void test_quotes_within_quotes_are_read(void **state)
{
	(void)state;
	struct prometheus *p = parse("global: {external_labels: {a: '''''''', b: 'it''s', c: '',\n"
				     "  d: 'x ''''\n    y', e: '''x'''}}\n");
	static const char *const wanted[] = {"'''", "it's", "x '' y", "'x'"};
	static const char *const names[] = {"a", "b", "d", "e"};
	assert_non_null(p);
	for (size_t i = 0; i < 4; i++) {
		struct str value = labels_get(&p->external_labels, str_of(names[i]));
		if (!str_eq(value, str_of(wanted[i])))
			fail_msg("%s is read as " STR_FMT, wanted[i], STR_ARG(value));
	}
	prometheus_unref(&p);
}

static void test_problems_have_a_place(void **state)
{
	(void)state;
	struct prometheus *made;
	struct buf told = BUF_INIT;
	const char *text = "scrape_configs:\n- job_name: a\n  metric_path: /x\n";
	assert_int_equal(prometheus_parse(&cx, "p.yml", str_of(text), &told, &made), RC_INVALID);
	assert_string_equal(told.data,
			    "p.yml:3:3: error: unknown key 'metric_path' in scrape_configs\n"
			    "      metric_path: /x\n"
			    "      ^\n"
			    "    hint: Did you mean 'metrics_path'?\n");
	assert_string_equal(cx.err.message,
			    "p.yml:3:3: unknown key 'metric_path' in scrape_configs");
	buf_release(&told);
}

/* Read again, what is shown is shown the same: nothing is lost but secrets. */
static void test_shows_all_but_secrets(void **state)
{
	(void)state;
	struct buf once = BUF_INIT, twice = BUF_INIT;
	struct prometheus *p =
		parse("global: {external_labels: {n: '1', yes: 'no'}, query_log_file: q}\n"
		      "rule_files: ['r: x']\n"
		      "scrape_configs:\n"
		      "- job_name: 'a: b'\n"
		      "  params: {m: [x, 'y z']}\n"
		      "  basic_auth: {username: me, password: hidden}\n"
		      "  proxy_url: http://u:hidden@p:1\n"
		      "  tls_config: {insecure_skip_verify: true, min_version: TLS12}\n"
		      "  body_size_limit: 10MB\n"
		      "  metric_relabel_configs: [{regex: 'x\\d', action: labeldrop}]\n"
		      "  static_configs: [{targets: [a], labels: {b: \"c\\n\"}}]\n"
		      "  file_sd_configs: [{files: [/a.yml]}]\n"
		      "  dns_sd_configs: [{names: [a], type: A, port: 1}]\n"
		      "  http_sd_configs: [{url: http://a, bearer_token: hidden}]\n"
		      "remote_write: [{url: http://a, headers: {A: b}}]\n"
		      "remote_read: [{url: http://a, required_matchers: {a: b}}]\n"
		      "alerting: {alertmanagers: [{path_prefix: /x}]}\n"
		      "storage: {exemplars: {max_exemplars: 1}}\n");
	assert_non_null(p);
	prometheus_print(&once, p);
	assert_null(strstr(once.data, "hidden"));
	prometheus_unref(&p);
	p = parse(once.data);
	assert_non_null(p);
	prometheus_print(&twice, p);
	assert_string_equal(once.data, twice.data);
	prometheus_unref(&p);
	buf_release(&once);
	buf_release(&twice);
}

/* ---- relabelling ---- */

static const struct {
	const char *rules, *after; /* NULL: dropped */
} cases[] = {
	{"", "{a=\"foo\", b=\"bar\", c=\"baz\"}"},
	{"{source_labels: [a], regex: 'f(.*)', target_label: d, replacement: 'ch${1}-ch${1}'}",
	 "{a=\"foo\", b=\"bar\", c=\"baz\", d=\"choo-choo\"}"},
	{"{source_labels: [a, b], target_label: a, replacement: '$1'}",
	 "{a=\"foo;bar\", b=\"bar\", c=\"baz\"}"},
	{"{source_labels: [a], regex: no, target_label: d}", "{a=\"foo\", b=\"bar\", c=\"baz\"}"},
	{"{source_labels: [a], target_label: a, replacement: ''}", "{b=\"bar\", c=\"baz\"}"},
	{"{source_labels: [a], action: drop, regex: '.*o.*'}", NULL},
	{"{source_labels: [a], action: drop, regex: o}", "{a=\"foo\", b=\"bar\", c=\"baz\"}"},
	{"{source_labels: [a], action: keep, regex: no}", NULL},
	{"{source_labels: [a], action: keep, regex: 'f|foo'}", "{a=\"foo\", b=\"bar\", c=\"baz\"}"},
	{"{source_labels: [c], target_label: d, action: hashmod, modulus: 1000}",
	 "{a=\"foo\", b=\"bar\", c=\"baz\", d=\"976\"}"},
	{"{source_labels: [a], target_label: d, action: hashmod, modulus: 1000}",
	 "{a=\"foo\", b=\"bar\", c=\"baz\", d=\"696\"}"},
	{"{regex: '(b.*)', action: labelmap, replacement: 'bar_${1}'}",
	 "{a=\"foo\", b=\"bar\", bar_b=\"bar\", c=\"baz\"}"},
	{"{regex: '[ab]', action: labeldrop}", "{c=\"baz\"}"},
	{"{regex: '[ab]', action: labelkeep}", "{a=\"foo\", b=\"bar\"}"},
	{"{source_labels: [a], target_label: A, action: uppercase}",
	 "{A=\"FOO\", a=\"foo\", b=\"bar\", c=\"baz\"}"},
	{"{target_label: u, replacement: 'ÄÖß'}, "
	 "{source_labels: [u], target_label: u, action: lowercase}",
	 "{a=\"foo\", b=\"bar\", c=\"baz\", u=\"äöß\"}"},
	{"{source_labels: [a], target_label: b, action: keepequal}", NULL},
	{"{source_labels: [a], target_label: b, action: dropequal}",
	 "{a=\"foo\", b=\"bar\", c=\"baz\"}"},
	{"{source_labels: [a], regex: '(.)(.).*', target_label: '${1}x', replacement: '$2$$'}",
	 "{a=\"foo\", b=\"bar\", c=\"baz\", fx=\"o$\"}"},
	{"{source_labels: [a], regex: '(.*)', target_label: 'x${2}', replacement: y}",
	 "{a=\"foo\", b=\"bar\", c=\"baz\", x=\"y\"}"},
};

static void test_relabels_as_prometheus(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct labels labels, out;
		struct buf text = BUF_INIT;
		bool keep;
		buf_printf(&text, "scrape_configs: [{job_name: a, relabel_configs: [%s]}]",
			   cases[i].rules);
		struct prometheus *p = parse(text.data);
		buf_clear(&text);
		assert_non_null(p);
		assert_int_equal(labels_of(&cx, &labels, "a", "foo", "b", "bar", "c", "baz", NULL),
				 RC_OK);
		assert_int_equal(
			prometheus_relabel(&cx, &p->scrapes[0].relabels, &labels, &out, &keep),
			RC_OK);
		assert_int_equal(keep, cases[i].after != NULL);
		if (keep) {
			labels_print(&text, &out);
			assert_string_equal(text.data, cases[i].after);
		}
		buf_release(&text);
		prometheus_unref(&p);
	}
}

static void test_reads_groups_of_yaml_and_json(void **state)
{
	(void)state;
	struct prometheus_groups groups;
	const char *json = "[{\"targets\": [\"a:1\", \"b:2\"],\n\t\"labels\": {\"x\": \"y\"}}]";
	assert_int_equal(prometheus_read_groups(&cx, "f.json", str_of(json), &groups), RC_OK);
	assert_int_equal(groups.n, 1);
	assert_string_equal(groups.v[0].source, "f.json:0");
	assert_int_equal(groups.v[0].target_count, 2);
	assert_int_equal(groups.v[0].labels.n, 1);
	assert_int_equal(prometheus_read_groups(&cx, "f.yml", STR("- targets: [a]\n- targets: [b]"),
						&groups),
			 RC_OK);
	assert_int_equal(groups.n, 2);
	assert_int_equal(prometheus_read_groups(&cx, "f.yml", STR("- target: [a]"), &groups),
			 RC_INVALID);
	assert_string_equal(cx.err.message, "f.yml:1:3: unknown key 'target' in a target group");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_takes_and_refuses_as_promtool, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_fills_in_defaults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_problems_have_a_place, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quotes_within_quotes_are_read, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_shows_all_but_secrets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_relabels_as_prometheus, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reads_groups_of_yaml_and_json, setup,
						teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
