/* Pages of a target: what is read, what is refused and leaves nothing, what ends; numbers; limits;
 * what hostile servers send. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "collect/scrape/scrape.h"
#include "unit/collect/memory.h"

static struct arena arena;
static struct cx cx;
static struct memory memory;
static struct scrape_cache cache;
static struct scrape_report report;
static struct scrape_rules rules;
static struct scrape_outcome outcome;
static const struct label own[] = {{{"instance", 8}, {"a:1", 3}}, {{"job", 3}, {"api", 3}}};
static int64_t now_ms;

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena, 64 << 20);
	cx_init(&cx, &arena, clock_real());
	memset(&memory, 0, sizeof(memory));
	rules = (struct scrape_rules){.labels = {own, 2}, .honor_timestamps = true};
	collect_cache_init(&cache);
	collect_report_init(&report, &rules.labels);
	now_ms = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	collect_report_release(&report);
	collect_cache_release(&cache);
	arena_release(&arena);
	return 0;
}

static enum rc read_as(const char *type, struct str text)
{
	struct sample_sink sink = memory_sink(&memory);
	struct scrape_page page = {.body = text,
				   .content_type = str_of(type),
				   .at = {now_ms += 1000},
				   .started = clock_mono(clock_real())};
	cx_clear(&cx);
	enum rc rc = collect_store_page(&cx, &cache, &rules, &report, &sink, &page, &outcome);
	assert_true(outcome.stored);
	return rc;
}

static enum rc read_text(const char *text)
{
	return read_as("text/plain; version=0.0.4", str_of(text));
}

static enum rc read_open(const char *text)
{
	return read_as("application/openmetrics-text; version=1.0.0", str_of(text));
}

/* What the last page left of a series: its value, NAN when it ended, -1 when there was none. */
static double last(const char *series)
{
	const struct remembered *found = memory_last(&memory, series);
	if (found == NULL)
		return -1;
	return sample_is_stale(found->value) ? (double)NAN : found->value;
}

#define SERIES(name) name "{instance=\"a:1\", job=\"api\"}"
#define assert_value(series, wanted) assert_true(last(series) == (wanted))
#define assert_ended(series) assert_true(isnan(last(series)))

/* ---- numbers ---- */

static void numbers_are_read_as_go_reads_them(void **state)
{
	static const struct {
		const char *text;
		double value;
	} good[] = {{"0", 0},
		    {"-0", 0},
		    {"1", 1},
		    {"+1.5", 1.5},
		    {"1.", 1},
		    {".5", 0.5},
		    {"1e3", 1000},
		    {"1E-3", 0.001},
		    {"12345678901234567890", 12345678901234567890.0},
		    {"0.1", 0.1},
		    {"0.30000000000000004", 0.30000000000000004},
		    {"9007199254740993", 9007199254740992.0},
		    {"1e-400", 0},
		    {"4.9e-324", 4.9e-324},
		    {"1.7976931348623157e308", 1.7976931348623157e308},
		    {"123456789.123456789", 123456789.123456789},
		    {"+Inf", HUGE_VAL},
		    {"-infinity", -HUGE_VAL},
		    {"iNf", HUGE_VAL}};
	static const char *const bad[] = {"",      "+",      "-",    ".",    "e5",
					  "1e",    "0x1p3",  "0x10", "1_0",  "1 ",
					  "1e400", "-1e999", "+NaN", "nan1", "1.2.3",
					  "--1",   "Info",   "١",    "1e+",  "infinit"};
	double value;
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char line[64];
		snprintf(line, sizeof(line), "%s\n", good[i].text);
		assert_true(collect_number(str_of(good[i].text), &value));
		assert_true(value == good[i].value);
		assert_ptr_equal(collect_value(line, line + strlen(line), &value),
				 line + strlen(line) - 1);
		assert_true(value == good[i].value);
	}
	assert_true(collect_number(STR("-0"), &value) && signbit(value));
	assert_true(collect_number(STR("NaN"), &value) && isnan(value));
	assert_false(sample_is_stale(value));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (collect_number(str_of(bad[i]), &value))
			fail_msg("taken: '%s'", bad[i]);
}

/* Against strtod, on many shapes; the seed is the index. */
static void every_decimal_is_the_nearest_double(void **state)
{
	uint64_t seed = 88172645463325252ULL;
	(void)state;
	for (int i = 0; i < 200000; i++) {
		char text[64];
		double value;
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		int n = snprintf(text, sizeof(text), "%s%llu.%0*llu", seed & 1 ? "-" : "",
				 (unsigned long long)(seed >> (seed % 60)), (int)(seed % 18) + 1,
				 (unsigned long long)(seed % 997));
		text[n] = '\n';
		assert_ptr_equal(collect_value(text, text + n + 1, &value), text + n);
		text[n] = '\0';
		if (value != strtod(text, NULL))
			fail_msg("%d: %s is not %.17g", i, text, value);
	}
}

/* ---- pages ---- */

static void a_page_that_breaks_off_leaves_nothing(void **state)
{
	(void)state;
	assert_int_equal(read_text("good 1\nbad{ 2\n"), RC_INVALID);
	assert_string_equal(cx_message(&cx), "line 2: expected label name");
	assert_value(SERIES("good"), -1);
	assert_value(SERIES("up"), 0);
	assert_int_equal(cache.count, 0);
}

static void a_bad_page_ends_every_series(void **state)
{
	(void)state;
	assert_int_equal(read_text("good 1\nother 2\n"), RC_OK);
	assert_value(SERIES("scrape_series_added"), 2);
	assert_int_equal(read_text("good 2\nnew 1\nbad{ 2\n"), RC_INVALID);
	assert_ended(SERIES("good"));
	assert_ended(SERIES("other"));
	assert_value(SERIES("new"), -1);
	assert_int_equal(read_text("good 3\nother 2\n"), RC_OK);
	assert_value(SERIES("good"), 3);
	assert_value(SERIES("up"), 1);
	assert_value(SERIES("scrape_series_added"), 0); /* they were known, as with Prometheus */
}

static void what_vanishes_ends_once(void **state)
{
	(void)state;
	assert_int_equal(read_text("# TYPE a counter\na 1\nb 2\nc 3\n"), RC_OK);
	assert_int_equal(read_text("# TYPE a counter\na 1\nc 4\n"), RC_OK);
	assert_ended(SERIES("b"));
	assert_value(SERIES("c"), 4);
	size_t before = memory.count;
	assert_int_equal(read_text("# TYPE a counter\na 1\nc 4\n"), RC_OK);
	assert_int_equal(memory.count - before, 2 + 5);
	assert_int_equal(read_text("# TYPE a counter\n"), RC_OK); /* the last lines */
	assert_ended(SERIES("a"));
	assert_ended(SERIES("c"));
	assert_int_equal(cache.count, 1);
}

static void order_does_not_matter(void **state)
{
	(void)state;
	assert_int_equal(read_text("a 1\nb 2\nc 3\nd 4\n"), RC_OK);
	assert_int_equal(read_text("d 5\nb 6\nx 9\nc 7\na 8\n"), RC_OK);
	assert_value(SERIES("a"), 8);
	assert_value(SERIES("b"), 6);
	assert_value(SERIES("c"), 7);
	assert_value(SERIES("d"), 5);
	assert_value(SERIES("x"), 9);
	assert_value(SERIES("scrape_series_added"), 1);
	assert_int_equal(read_text("d 5\nb 6\nx 9\nc 7\na 8\n"), RC_OK);
	assert_value(SERIES("scrape_series_added"), 0);
}

static void a_line_that_stands_twice_counts_once(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(read_text("a 1\na 2\nb 1\n"), RC_OK);
		assert_value(SERIES("a"), 1);
	}
	assert_int_equal(read_text("b 1\n"), RC_OK);
	assert_ended(SERIES("a"));
	assert_int_equal(cache.count, 1);
}

static void known_lines_are_appended_by_reference(void **state)
{
	(void)state;
	assert_int_equal(read_text("a{x=\"1\"} 1\nb 2\n"), RC_OK);
	size_t with_labels = memory.with_labels;
	assert_int_equal(read_text("a{x=\"1\"} 2\nb 3\n"), RC_OK);
	assert_int_equal(memory.with_labels, with_labels);
	memory.forget = true; /* the store let go of them */
	assert_int_equal(read_text("a{x=\"1\"} 3\nb 4\n"), RC_OK);
	memory.forget = false;
	assert_int_equal(read_text("a{x=\"1\"} 4\nb 5\n"), RC_OK);
	assert_value("a{instance=\"a:1\", job=\"api\", x=\"1\"}", 4);
}

static void a_name_with_blanks_before_its_labels_is_another(void **state)
{
	(void)state;
	assert_int_equal(read_text("a 1\n"), RC_OK);
	assert_int_equal(read_text("a {x=\"1\"} 2\n"), RC_OK);
	assert_ended(SERIES("a"));
	assert_value("a{instance=\"a:1\", job=\"api\", x=\"1\"}", 2);
}

static void samples_with_a_time_do_not_end(void **state)
{
	(void)state;
	assert_int_equal(read_text("a 1 500\nb 2 900000000000\n"), RC_OK);
	assert_int_equal(memory_last(&memory, SERIES("a"))->t_ms, 500);
	assert_value(SERIES("b"), -1); /* too far ahead */
	assert_value(SERIES("scrape_samples_post_metric_relabeling"), 2);
	assert_int_equal(read_text(""), RC_OK);
	assert_value(SERIES("a"), 1);
	rules.honor_timestamps = false;
	assert_int_equal(read_text("a 3 500\n"), RC_OK);
	assert_int_equal(memory_last(&memory, SERIES("a"))->t_ms, now_ms);
	assert_int_equal(read_text(""), RC_OK);
	assert_ended(SERIES("a"));
}

static void a_refused_sample_does_not_spoil_the_page(void **state)
{
	(void)state;
	memory.refused = SERIES("a");
	memory.refuse = RC_CONFLICT;
	assert_int_equal(read_text("a 1\nb 2\n"), RC_OK);
	assert_int_equal(outcome.refused, 1);
	assert_value(SERIES("b"), 2);
	memory.refuse = RC_LIMIT;
	assert_int_equal(read_text("b 3\na 1\n"), RC_LIMIT);
	assert_ended(SERIES("b"));
	assert_value(SERIES("up"), 0);
}

static void failures_of_the_call_end_every_series(void **state)
{
	struct sample_sink sink = memory_sink(&memory);
	struct scrape_page page = {.at = {5000}, .error = "connection refused", .body = STR("")};
	(void)state;
	assert_int_equal(read_text("a 1\n"), RC_OK);
	assert_int_equal(collect_store_page(&cx, &cache, &rules, &report, &sink, &page, &outcome),
			 RC_NETWORK);
	assert_string_equal(cx.err.message, "connection refused");
	assert_ended(SERIES("a"));
	assert_value(SERIES("up"), 0);
	assert_int_equal(collect_store_end(&cx, &cache, &report, &sink, (struct wall){6000}),
			 RC_OK);
	assert_ended(SERIES("up"));
}

/* ---- labels ---- */

static void the_target_wins_and_the_page_is_exported(void **state)
{
	(void)state;
	assert_int_equal(
		read_text("m{job=\"own\"} 3\nn{job=\"own\",exported_job=\"x\",instance=\"\"} 4\n"),
		RC_OK);
	assert_value("m{exported_job=\"own\", instance=\"a:1\", job=\"api\"}", 3);
	assert_value("n{exported_exported_job=\"own\", exported_job=\"x\", instance=\"a:1\", "
		     "job=\"api\"}",
		     4);
}

static void honoured_labels_win(void **state)
{
	(void)state;
	rules.honor_labels = true;
	assert_int_equal(read_text("m{job=\"own\"} 3\nn{instance=\"\"} 4\n"), RC_OK);
	assert_value("m{instance=\"a:1\", job=\"own\"}", 3);
	assert_value("n{job=\"api\"}", 4);
}

static void escapes_are_undone(void **state)
{
	(void)state;
	assert_int_equal(read_text("m{a=\"x\\\\y\\\"z\\n\\q\"} +Inf\n"), RC_OK);
	assert_value("m{a=\"x\\\\y\\\"z\\n\\\\q\", instance=\"a:1\", job=\"api\"}", HUGE_VAL);
}

static void relabelling_drops_and_renames(void **state)
{
	struct prometheus *config;
	struct buf told = BUF_INIT;
	struct str text = STR("scrape_configs: [{job_name: a, metric_relabel_configs: ["
			      "{source_labels: [__name__], regex: 'go_.*', action: drop},"
			      "{source_labels: [x], target_label: y},"
			      "{regex: x, action: labeldrop}]}]");
	(void)state;
	assert_int_equal(prometheus_parse(&cx, "p.yml", text, &told, &config), RC_OK);
	rules.relabels = &config->scrapes[0].metric_relabels;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(read_text("go_x 1\nm{x=\"1\"} 2\n"), RC_OK);
		assert_int_equal(outcome.scraped, 2);
		assert_int_equal(outcome.kept, 1);
	}
	assert_value(SERIES("go_x"), -1);
	assert_value("m{instance=\"a:1\", job=\"api\", y=\"1\"}", 2);
	prometheus_unref(&config);
}

static void limits_refuse_the_page(void **state)
{
	(void)state;
	rules.sample_limit = 2;
	assert_int_equal(read_text("a 1\nb 2\n"), RC_OK);
	assert_int_equal(read_text("a 1\nb 2\nc 3\n"), RC_LIMIT);
	assert_string_equal(cx.err.message, "sample limit exceeded");
	assert_value(SERIES("scrape_samples_scraped"), 3);
	assert_ended(SERIES("a"));
	rules.sample_limit = 0;
	rules.label_limit = 4;
	assert_int_equal(read_text("d{x=\"1\"} 1\n"), RC_OK);
	assert_int_equal(read_text("d{x=\"1\",y=\"2\"} 1\n"), RC_LIMIT);
	rules.label_limit = 0;
	rules.name_limit_bytes = 8;
	assert_int_equal(read_text("e{long_name=\"1\"} 1\n"), RC_LIMIT);
	rules.name_limit_bytes = 0;
	rules.value_limit_bytes = 3;
	assert_int_equal(read_text("f{x=\"1234\"} 1\n"), RC_LIMIT);
}

static void labels_must_be_unique(void **state)
{
	(void)state;
	assert_int_equal(read_text("a{x=\"1\",x=\"2\"} 1\n"), RC_INVALID);
}

/* ---- OpenMetrics and metadata ---- */

static void exemplars_are_handed_on(void **state)
{
	(void)state;
	assert_int_equal(read_open("# TYPE a counter\na_total 1 # {t=\"x\"} 0.5 1.25\n# EOF\n"),
			 RC_OK);
	assert_string_equal(memory.exemplar, SERIES("a_total") " {t=\"x\"} 0.5 1250");
	assert_int_equal(read_open("# TYPE a counter\na_total 2 0.5 # {} 3\n# EOF"), RC_OK);
	assert_string_equal(memory.exemplar, SERIES("a_total") " {} 3 500");
	assert_int_equal(memory.exemplars, 2);
}

static void open_metrics_is_strict(void **state)
{
	static const char *const bad[] = {"a 1\n",
					  "a  1\n# EOF\n",
					  "a\t1\n# EOF\n",
					  "a 1\n\n# EOF\n",
					  "a{b=\"c\",} 1\n# EOF\n",
					  "a{b=\"c\"d=\"e\"} 1\n# EOF\n",
					  "# TYPE a untyped\n# EOF\n",
					  "# UNIT a seconds\n# EOF\n",
					  "a 1 # {b=\"c\"} 1\n# EOF\n",
					  "a 1 NaN\n# EOF\n",
					  "# EOF\na 1\n",
					  "# comment\n# EOF\n",
					  ""};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (read_open(bad[i]) != RC_INVALID)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(read_open("a 1 99999999999999999999\n# EOF\n"), RC_OK);
	assert_int_equal(outcome.refused, 1);
	assert_int_equal(read_open("# HELP a_seconds b\n# UNIT a_seconds seconds\n# EOF"), RC_OK);
}

static void metadata_is_kept_for_a_while(void **state)
{
	const struct scrape_metadata *found;
	(void)state;
	assert_int_equal(read_text("# HELP a what it is\n# TYPE a counter\na 1\n"), RC_OK);
	found = map_get(&cache.metadata, STR("a"));
	assert_string_equal(found->type, "counter");
	assert_string_equal(found->help, "what it is");
	assert_int_equal(read_text("# HELP a another\n# TYPE a gauge\na 1\n"), RC_OK);
	found = map_get(&cache.metadata, STR("a"));
	assert_string_equal(found->type, "gauge");
	assert_string_equal(found->help, "another");
	for (int i = 0; i < 20; i++) {
		assert_non_null(i > 10 ? found : map_get(&cache.metadata, STR("a")));
		assert_int_equal(read_text(i % 2 == 0 ? "b 1\n" : "c 1\n"), RC_OK);
	}
	assert_null(map_get(&cache.metadata, STR("a")));
}

/* ---- hostile pages ---- */

static void a_value_of_a_megabyte_is_one_label(void **state)
{
	struct buf page = BUF_INIT;
	(void)state;
	buf_puts(&page, "a{x=\"");
	for (int i = 0; i < 1 << 20; i++)
		buf_putc(&page, 'v');
	buf_puts(&page, "\"} 1\nb 2\n");
	assert_int_equal(read_as("text/plain", buf_str(&page)), RC_OK);
	assert_value(SERIES("b"), 2);
	assert_int_equal(read_as("text/plain", buf_str(&page)), RC_OK);
	rules.value_limit_bytes = 1000;
	buf_puts(&page, "c{x=\"1\"} 1\n");
	assert_int_equal(read_as("text/plain", buf_str(&page)), RC_OK); /* known already */
	buf_release(&page);
}

static void garbage_is_refused(void **state)
{
	static const char *const bad[] = {"\177ELF\x02\x01\x01",
					  "<html><body>a 1</body>",
					  "{\"a\": 1}",
					  "a{x=\"\xff\"} 1\n",
					  "\x1f\x8b\x08",
					  "a",
					  "a{",
					  "a{x",
					  "a{x=",
					  "a{x=\"",
					  "a{x=\"}",
					  "1 1",
					  "  a 1",
					  "\t# TYPE a x"};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf page = BUF_INIT;
		buf_printf(&page, "good 1\n%s\n", bad[i]);
		if (read_as("text/plain", buf_str(&page)) != RC_INVALID)
			fail_msg("taken: %s", bad[i]);
		buf_release(&page);
	}
	assert_value(SERIES("good"), -1);
}

static void churn_does_not_grow_the_cache(void **state)
{
	(void)state;
	for (int i = 0; i < 500; i++) {
		char page[400];
		snprintf(page, sizeof(page), "a%d 1\na%d 1\nconstant 1\na%d 1\n", i, i + 1, i + 2);
		memory.series_count = memory.count = memory.open = 0;
		memory.forget = true;
		assert_int_equal(read_text(page), RC_OK);
		assert_int_equal(cache.count, 4);
	}
	assert_true(cache.capacity <= 64);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(numbers_are_read_as_go_reads_them),
		TEST(every_decimal_is_the_nearest_double),
		TEST(a_page_that_breaks_off_leaves_nothing),
		TEST(a_bad_page_ends_every_series),
		TEST(what_vanishes_ends_once),
		TEST(order_does_not_matter),
		TEST(a_line_that_stands_twice_counts_once),
		TEST(known_lines_are_appended_by_reference),
		TEST(a_name_with_blanks_before_its_labels_is_another),
		TEST(samples_with_a_time_do_not_end),
		TEST(a_refused_sample_does_not_spoil_the_page),
		TEST(failures_of_the_call_end_every_series),
		TEST(the_target_wins_and_the_page_is_exported),
		TEST(honoured_labels_win),
		TEST(escapes_are_undone),
		TEST(relabelling_drops_and_renames),
		TEST(limits_refuse_the_page),
		TEST(labels_must_be_unique),
		TEST(exemplars_are_handed_on),
		TEST(open_metrics_is_strict),
		TEST(metadata_is_kept_for_a_while),
		TEST(a_value_of_a_megabyte_is_one_label),
		TEST(garbage_is_refused),
		TEST(churn_does_not_grow_the_cache),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
