/* Rules: Prometheus' rule files and the manual's thresholds, checked once, evaluated on their
 * groups' intervals, tested without a server. Semantics are Prometheus 2.42's.
 *
 * A set of rules is counted (rules_set_ref/_unref), complete before it is used, and read by any
 * thread. Reload makes a new one and swaps. */
#ifndef RULES_RULES_H
#define RULES_RULES_H

#include "manual/manual.h"
#include "model/verdict.h"
#include "promql/promql.h"
#include "sys/loop.h"

/* ---- sets of rules ---- */

struct rules_set;
struct template;

struct rules_rule {
	struct str id; /* stable: the plan's, or FILE;GROUP/NAME/N */
	enum rule_kind kind;
	struct str name, expr; /* expr in Prometheus' canonical words */
	struct dur hold, keep_firing;
	struct labels labels, annotations; /* as written: templates; sorted by name */
	const struct rule *of_plan;        /* NULL: of a rule file */
	int line, column;                  /* of its name in the file */
	/* compiled */
	struct promql_expr *query;
	struct template **label_templates, **annotation_templates; /* as labels and annotations */
	bool labels_constant;                                      /* no template among them */
	/* the annotations follow from the series' labels alone; from those and the value */
	bool annotations_of_labels, annotations_of_value;
};

struct rules_group {
	struct str file, name;
	struct dur interval;
	int64_t limit; /* 0: none */
	struct rules_rule *rules;
	size_t rule_count;
};

struct rules_set_options {
	struct dur interval;           /* of groups that name none */
	struct labels external_labels; /* copied */
	struct dur subquery_step;      /* where a subquery names none; 0: promql's */
	const char *external_url;      /* for templates; NULL: none */
};

enum rc rules_set_new(struct cx *cx, const struct rules_set_options *options,
		      struct rules_set **out) NODISCARD;
/* The plan's own groups; the set keeps the plan. */
enum rc rules_set_add_plan(struct cx *cx, struct rules_set *set, struct plan *plan) NODISCARD;
/* A rule file's groups. RC_INVALID with errors in `diagnostics` (in cx->arena) when promtool 2.42
 * would refuse it; the set is then good for nothing but rules_set_unref(). */
enum rc rules_set_add_file(struct cx *cx, struct rules_set *set, const char *path, struct str text,
			   struct diagnostics *diagnostics) NODISCARD;
/* All files that match the globs, relative ones from `base` (NULL: the working directory).
 * RC_INVALID also for a file that cannot be read. */
enum rc rules_set_add_globs(struct cx *cx, struct rules_set *set, const char *base,
			    const char *const *globs, size_t count,
			    struct diagnostics *diagnostics) NODISCARD;
struct rules_set *rules_set_ref(struct rules_set *set); /* any thread */
void rules_set_unref(struct rules_set **set);

const struct rules_group *rules_set_groups(const struct rules_set *set, size_t *count);
struct plan *rules_set_plan(const struct rules_set *set); /* NULL: none was added */
/* Changes with anything that a rule file of it says. */
uint64_t rules_set_digest(const struct rules_set *set);
size_t rules_set_rule_count(const struct rules_set *set);
/* Prometheus' lint: rules of one name and the same labels, told as warnings. Returns how many. */
size_t rules_set_duplicates(struct cx *cx, const struct rules_set *set,
			    struct diagnostics *diagnostics);

/* ---- evaluation ---- */

struct rules;

struct rules_options {
	struct loop *loop;
	struct promql_source source;
	struct sample_sink samples; /* recorded series and the series of alerts */
	struct verdict_sink verdicts;
};

enum rc rules_open(struct cx *cx, const struct rules_options *options,
		   struct rules **out) NODISCARD;
/* Evaluates these from now on. Evaluations under way end first; what the groups and rules of both
 * sets know of themselves (series written, alerts, health) is kept. Alerts of rules that are gone
 * are resolved, their series end. Loop. */
void rules_use(struct rules *rules, struct rules_set *set);
void rules_close(struct rules **rules);

/* Those evaluated at present: views are good until the loop turns. */
const struct rules_set *rules_present(const struct rules *rules);
enum rules_health { RULES_UNKNOWN, RULES_OK, RULES_ERROR };
struct rules_group_view {
	const struct rules_group *group;
	double duration_s;
	struct wall last; /* 0: never evaluated */
};
struct rules_rule_view {
	const struct rules_rule *rule;
	enum rules_health health;
	const char *last_error; /* "": none */
	double duration_s;
	struct wall last;
};
size_t rules_group_count(const struct rules *rules);
struct rules_group_view rules_group_at(const struct rules *rules, size_t group);
struct rules_rule_view rules_rule_at(const struct rules *rules, size_t group, size_t rule);

struct rules_stats {
	uint64_t evaluations, failures, skipped;
	double last_duration_s;
};
void rules_stats(const struct rules *rules, struct rules_stats *out);

/* ---- tests of rule files ---- */

struct rules_test_options {
	/* Opens a keeper of alerts for one group of tests, and closes it. */
	struct verdict_sink (*open)(void *context);
	void (*close)(void *context, struct verdict_sink *sink);
	void *context;
};
/* What `promtool test rules` does with a test file. What fails is told in `out`; RC_OK: all passes,
 * RC_CONFLICT: something differs, RC_INVALID: the file or its rules are wrong (diagnostics). */
enum rc rules_test_file(struct cx *cx, const struct rules_test_options *options, const char *path,
			struct diagnostics *diagnostics, struct buf *out) NODISCARD;

#endif
