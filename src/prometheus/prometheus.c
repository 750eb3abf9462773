/* The whole file, and its life. */
#include "prometheus/prometheus.h"

#include <glob.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/check.h"
#include "prometheus/inside.h"

#define PROMETHEUS_MAGIC 0x940e7c05U
#define BUDGET_BYTES (256 << 20)
#define RULE_PATHS_LIMIT 10000

struct counted {
	struct prometheus prometheus; /* first: its address is the whole's */
	unsigned magic;
	int references;
	struct arena arena;
	struct prometheus_reader reader; /* owns the regexes */
};

struct sections {
	const struct conf_node *global, *alerting, *rule_files, *scrapes, *storage, *tracing,
		*writes, *reads;
};

#define AT(field) offsetof(struct sections, field)
static const struct conf_key section_keys[] = {
	{"global", CONF_NODE, AT(global), "a map", false},
	{"alerting", CONF_NODE, AT(alerting), "a map", false},
	{"rule_files", CONF_NODE, AT(rule_files), "a list", false},
	{"scrape_configs", CONF_NODE, AT(scrapes), "a list", false},
	{"storage", CONF_NODE, AT(storage), "a map", false},
	{"tracing", CONF_NODE, AT(tracing), "a map", false},
	{"remote_write", CONF_NODE, AT(writes), "a list", false},
	{"remote_read", CONF_NODE, AT(reads), "a list", false},
};
#undef AT

static enum rc read_global(struct prometheus_reader *r, const struct conf_node *node,
			   struct prometheus *out)
{
	struct given {
		struct prometheus to;
		const struct conf_node *labels;
	} given = {0};
#define AT(field) offsetof(struct given, to.field)
	static const struct conf_key keys[] = {
		{"scrape_interval", CONF_SPAN, AT(scrape_interval), "", false},
		{"scrape_timeout", CONF_SPAN, AT(scrape_timeout), "", false},
		{"evaluation_interval", CONF_SPAN, AT(evaluation_interval), "", false},
		{"query_log_file", CONF_TEXT, AT(query_log_file), "", false},
		{"external_labels", CONF_NODE, offsetof(struct given, labels), "a map", false},
	};
#undef AT
	TRY(PROMETHEUS_READ(r, node, "global", keys, &given));
	out->scrape_interval =
		given.to.scrape_interval.ms == 0 ? (struct dur){60000} : given.to.scrape_interval;
	out->scrape_timeout = given.to.scrape_timeout;
	if (out->scrape_timeout.ms > out->scrape_interval.ms)
		prometheus_tell(r, node, NULL,
				"global scrape timeout greater than scrape interval");
	if (out->scrape_timeout.ms == 0)
		out->scrape_timeout = out->scrape_interval.ms < 10000 ? out->scrape_interval
								      : (struct dur){10000};
	out->evaluation_interval = given.to.evaluation_interval.ms == 0
					   ? (struct dur){60000}
					   : given.to.evaluation_interval;
	out->query_log_file = prometheus_join(r, given.to.query_log_file);
	return prometheus_read_labels(r, given.labels, "external_labels", &out->external_labels);
}

/* A pattern may hold one '*', in the last part. */
static bool is_rule_pattern(struct str path)
{
	const char *star = memchr(path.p, '*', path.n);
	struct str behind = star == NULL ? STR("") : str_skip(path, (size_t)(star - path.p) + 1);
	return memchr(behind.p, '*', behind.n) == NULL && memchr(behind.p, '/', behind.n) == NULL;
}

static enum rc read_rule_files(struct prometheus_reader *r, const struct conf_node *node,
			       struct prometheus *out)
{
	struct str *names;
	size_t count;
	TRY(prometheus_read_words(r, node, "rule_files", &names, &count));
	out->rule_files = cx_array(r->cx, count + 1, sizeof(*out->rule_files));
	if (out->rule_files == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < count; i++) {
		const char *path = str_dup(r->cx->arena, names[i]);
		if (path == NULL)
			return RC_LIMIT;
		if (!is_rule_pattern(names[i]))
			prometheus_tell(r, node, "One '*' may stand in the last part.",
					"invalid rule file path '%s'", path);
		out->rule_files[out->rule_file_count++] = prometheus_join(r, path);
	}
	return RC_OK;
}

static enum rc read_storage(struct prometheus_reader *r, const struct conf_node *node,
			    struct prometheus *out)
{
	struct given {
		const struct conf_node *tsdb, *exemplars;
	} given = {0};
	static const struct conf_key keys[] = {
		{"tsdb", CONF_NODE, offsetof(struct given, tsdb), "a map", false},
		{"exemplars", CONF_NODE, offsetof(struct given, exemplars), "a map", false},
	};
	static const struct conf_key tsdb_keys[] = {
		{"out_of_order_time_window", CONF_SPAN,
		 offsetof(struct prometheus, out_of_order_time_window), "", false},
	};
	static const struct conf_key exemplar_keys[] = {
		{"max_exemplars", CONF_COUNT, offsetof(struct prometheus, max_exemplars), "",
		 false},
	};
	TRY(PROMETHEUS_READ(r, node, "storage", keys, &given));
	TRY(PROMETHEUS_READ(r, given.tsdb, "tsdb", tsdb_keys, out));
	return PROMETHEUS_READ(r, given.exemplars, "exemplars", exemplar_keys, out);
}

static enum rc read_all(struct prometheus_reader *r, struct prometheus *out)
{
	struct sections sections = {0};
	struct conf_node *root;
	TRY(conf_parse_foreign(r->cx, r->text, &r->report, &root));
	if (r->rc != RC_OK)
		return r->rc;
	TRY(PROMETHEUS_READ(r, root, "the configuration", section_keys, &sections));
	TRY(read_global(r, sections.global, out));
	TRY(prometheus_read_alerting(r, sections.alerting, out));
	TRY(read_rule_files(r, sections.rule_files, out));
	TRY(prometheus_read_scrapes(r, sections.scrapes, out));
	TRY(read_storage(r, sections.storage, out));
	if (sections.tracing != NULL && !sections.tracing->is_null)
		prometheus_tell(r, sections.tracing, "Take the section out.",
				"tracing is not supported");
	TRY(prometheus_read_writes(r, sections.writes, out));
	return prometheus_read_reads(r, sections.reads, out);
}

enum rc prometheus_parse(struct cx *cx, const char *path, struct str text, struct buf *told,
			 struct prometheus **out)
{
	struct counted *counted = heap_alloc(sizeof(*counted));
	struct prometheus *made = &counted->prometheus;
	struct cx own;
	*out = NULL;
	counted->magic = PROMETHEUS_MAGIC;
	counted->references = 1;
	arena_init(&counted->arena, BUDGET_BYTES);
	cx_init(&own, &counted->arena, cx->clock);
	made->path = str_dup(&counted->arena, str_of(path));
	made->text = str_copy(&counted->arena, text);
	made->max_exemplars = PROMETHEUS_EXEMPLARS;
	enum rc rc = made->path == NULL || made->text.p == NULL
			     ? cx_fail(&own, RC_LIMIT, "'%s' needs too much memory", path)
			     : RC_OK;
	if (rc == RC_OK) {
		prometheus_reader_init(&counted->reader, &own, made->path, made->text, told);
		rc = read_all(&counted->reader, made);
		if (rc == RC_OK)
			rc = counted->reader.rc;
		counted->reader.cx = NULL; /* only its regexes live on */
	}
	if (rc == RC_OK) {
		*out = made;
		return RC_OK;
	}
	cx->err = own.err;
	prometheus_unref(&made);
	return rc;
}

struct prometheus *prometheus_ref(struct prometheus *prometheus)
{
	struct counted *counted = (struct counted *)prometheus;
	CHECK_MAGIC(counted, PROMETHEUS_MAGIC);
	__atomic_add_fetch(&counted->references, 1, __ATOMIC_RELAXED);
	return prometheus;
}

void prometheus_unref(struct prometheus **handle)
{
	struct counted *counted = (struct counted *)*handle;
	*handle = NULL;
	CHECK_MAGIC(counted, PROMETHEUS_MAGIC);
	if (__atomic_sub_fetch(&counted->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	prometheus_reader_release(&counted->reader);
	arena_release(&counted->arena);
	counted->magic = 0;
	free(counted);
}

enum rc prometheus_rule_paths(struct cx *cx, const struct prometheus *prometheus, const char ***out,
			      size_t *count)
{
	VEC(const char *) paths = {0};
	for (size_t i = 0; i < prometheus->rule_file_count; i++) {
		glob_t found = {0};
		int result = glob(prometheus->rule_files[i], 0, NULL, &found);
		enum rc rc = result == 0 || result == GLOB_NOMATCH
				     ? RC_OK
				     : cx_fail(cx, RC_IO, "could not look for '%s'",
					       prometheus->rule_files[i]);
		for (size_t k = 0; rc == RC_OK && result == 0 && k < found.gl_pathc; k++) {
			const char **slot =
				paths.n == RULE_PATHS_LIMIT ? NULL : vec_add(cx, &paths);
			if (slot == NULL)
				rc = cx_fail(cx, RC_LIMIT, "'%s' names too many files",
					     prometheus->rule_files[i]);
			else
				*slot = cx_printf(cx, "%s", found.gl_pathv[k]);
		}
		globfree(&found);
		TRY(rc);
	}
	*out = paths.v;
	*count = paths.n;
	return RC_OK;
}
