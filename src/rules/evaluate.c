/* Evaluation of one rule, as Prometheus 2.42 has it. */
#include "rules/evaluate.h"

#include "rules/template/template.h"

#define ALERT_SERIES_PENDING 0
#define ALERT_SERIES_FIRING 1
#define ALERT_SERIES_FOR 2

struct evaluating {
	struct cx *cx, *keeping;
	const struct evaluator *evaluator;
	struct rule_state *state;
	const struct rules_rule *rule;
	int64_t limit;
	struct wall at;
	struct sample_batch *batch; /* begun with the first sample */
	enum rc first_refusal;
	const char *refusal;
};

/* ---- samples ---- */

/* What the store refuses makes the rule unhealthy; the others are written. */
static void note_refusal(struct evaluating *e, enum rc rc)
{
	if (rc == RC_OK)
		return;
	if (e->first_refusal == RC_OK) {
		e->first_refusal = rc;
		e->refusal = cx_printf(e->keeping, "%s", cx_message(e->cx));
	}
	cx_clear(e->cx);
}

static enum rc append(struct evaluating *e, const struct labels *labels, uint64_t *ref,
		      double value)
{
	const struct sample_sink *sink = &e->evaluator->samples;
	if (e->batch == NULL)
		e->batch = sink->begin(sink->self);
	return sink->append(e->batch, e->cx, labels, ref, e->at.ms, value);
}

static void commit(struct evaluating *e)
{
	const struct sample_sink *sink = &e->evaluator->samples;
	if (e->batch != NULL)
		note_refusal(e, sink->commit(&e->batch, e->cx));
}

/* ---- the query ---- */

/* A vector; a scalar is one element without labels. */
static enum rc query(struct cx *cx, const struct promql_source *source,
		     const struct promql_expr *expr, int64_t at_ms, struct promql_result *out)
{
	TRY(promql_instant(cx, source, expr, at_ms, out));
	if (out->type == PROMQL_VECTOR)
		return RC_OK;
	if (out->type != PROMQL_SCALAR)
		return cx_fail(cx, RC_INVALID, "rule result is not a vector or scalar");
	struct promql_series *series = cx_alloc(cx, sizeof(*series));
	double *value = cx_alloc(cx, sizeof(*value));
	if (series == NULL || value == NULL)
		return RC_LIMIT;
	*value = out->scalar;
	*series = (struct promql_series){.values = value, .n = 1};
	*out = (struct promql_result){
		.type = PROMQL_VECTOR, .start_ms = at_ms, .series = series, .series_count = 1};
	return RC_OK;
}

static enum rc query_of_template(void *context, struct cx *cx, struct str text, int64_t at_ms,
				 struct promql_result *out)
{
	const struct evaluating *e = context;
	struct promql_expr *expr;
	TRY(promql_parse(cx, text, &expr));
	enum rc rc = query(cx, &e->evaluator->source, expr, at_ms, out);
	promql_release(expr);
	return rc;
}

/* ---- recording ---- */

/* The labels of `series` with those of `over` set: both sorted. An empty value takes one away. */
static enum rc merge(struct cx *cx, const struct labels *series, const struct label *over,
		     size_t over_count, struct labels *out)
{
	struct label *list = cx_alloc(cx, (series->n + over_count + 1) * sizeof(*list));
	size_t n = 0, s = 0, o = 0;
	if (list == NULL)
		return RC_LIMIT;
	while (s < series->n || o < over_count) {
		int order = s == series->n    ? 1
			    : o == over_count ? -1
					      : str_compare(series->v[s].name, over[o].name);
		const struct label *taken = order < 0 ? &series->v[s] : &over[o];
		s += order <= 0;
		o += order >= 0;
		if (taken->value.n > 0)
			list[n++] = *taken;
	}
	*out = (struct labels){list, n};
	return RC_OK;
}

static void end_recorded(void *context, struct recorded *recorded)
{
	struct evaluating *e = context;
	if (recorded->ref == 0) /* never written: its evaluation failed */
		return;
	/* a conflict: another rule writes it now */
	enum rc rc = append(e, &recorded->labels, &recorded->ref, sample_stale());
	if (rc == RC_CONFLICT)
		cx_clear(e->cx);
	else
		note_refusal(e, rc);
}

/* What is set over the labels of a recording rule's series: its name among its labels. */
static struct label *recorded_labels(struct evaluating *e, size_t *count)
{
	const struct labels *own = &e->rule->labels;
	struct label *over = cx_array(e->cx, own->n + 1, sizeof(*over));
	bool placed = false;
	*count = 0;
	for (size_t i = 0; over != NULL && i < own->n; i++) {
		if (!placed && str_compare(LABELS_NAME, own->v[i].name) < 0) {
			over[(*count)++] = (struct label){LABELS_NAME, e->rule->name};
			placed = true;
		}
		over[(*count)++] = own->v[i];
	}
	if (over != NULL && !placed)
		over[(*count)++] = (struct label){LABELS_NAME, e->rule->name};
	return over;
}

static enum rc record_series(struct evaluating *e, const struct promql_result *result)
{
	struct recorded_set *set = &e->state->recorded;
	size_t over_count;
	struct label *over = recorded_labels(e, &over_count);
	struct recorded **all = cx_array(e->cx, result->series_count, sizeof(struct recorded *));
	if (over == NULL || all == NULL)
		return RC_LIMIT;
	set->round++;
	for (size_t i = 0; i < result->series_count; i++) {
		struct labels labels;
		TRY(merge(e->cx, &result->series[i].labels, over, over_count, &labels));
		all[i] = rules_recorded_at(set, &labels, labels_hash(&labels));
		if (all[i]->round == set->round)
			return cx_fail(e->cx, RC_INVALID,
				       "vector contains metrics with the same labelset after "
				       "applying rule labels");
		all[i]->round = set->round;
	}
	for (size_t i = 0; i < result->series_count; i++)
		note_refusal(e,
			     append(e, &all[i]->labels, &all[i]->ref, result->series[i].values[0]));
	rules_recorded_sweep(set, end_recorded, e);
	return RC_OK;
}

static enum rc record(struct evaluating *e, const struct promql_result *result)
{
	if (e->limit > 0 && result->series_count > (size_t)e->limit)
		return cx_fail(e->cx, RC_LIMIT, "exceeded limit of %lld with %zu series",
			       (long long)e->limit, result->series_count);
	return record_series(e, result);
}

/* ---- alerting ---- */

static struct str expand(struct evaluating *e, const struct template *template,
			 const struct template_data *data)
{
	struct buf text = BUF_INIT;
	rules_template_expand(e->cx, template, data, &text);
	struct str kept = cx_str(e->cx, buf_str(&text));
	buf_release(&text);
	return kept;
}

static void put_sorted(struct label *list, size_t *count, struct label label)
{
	size_t at = (*count)++;
	for (; at > 0 && str_compare(list[at - 1].name, label.name) > 0; at--)
		list[at] = list[at - 1];
	list[at] = label;
}

/* What is set over the series' labels: the rule's own, expanded, alertname, and no metric's name.
 */
static enum rc label_values(struct evaluating *e, const struct template_data *data,
			    struct label *over, size_t *count)
{
	const struct labels *own = &e->rule->labels;
	*count = 0;
	put_sorted(over, count, (struct label){LABELS_NAME, STR("")});
	put_sorted(over, count, (struct label){STR("alertname"), e->rule->name});
	for (size_t i = 0; i < own->n; i++) {
		const struct template *template = e->rule->label_templates[i];
		if (str_is(own->v[i].name, "alertname"))
			continue;
		bool constant = rules_template_is_constant(template);
		put_sorted(over, count,
			   (struct label){own->v[i].name,
					  constant ? own->v[i].value : expand(e, template, data)});
	}
	return e->cx->arena->exhausted ? RC_LIMIT : RC_OK;
}

/* One rule of the manual serves all components of a kind; the priority is each one's own, by its
 * tier. */
static enum rc set_priority(struct evaluating *e, struct labels *labels)
{
	const struct rule *rule = e->rule->of_plan;
	const struct threshold *threshold = rule == NULL ? NULL : rule->threshold;
	if (threshold == NULL || threshold->limit_count == 0)
		return RC_OK;
	const struct component *component =
		plan_component(e->evaluator->plan, labels_get(labels, STR("component")));
	if (component == NULL)
		return RC_OK;
	/* what is measured no more is as urgent as its first limit */
	const struct threshold_limit *limit =
		rule->limit != NULL ? rule->limit : &threshold->limits[0];
	const char *name = priority_name(priority_of_limit(threshold, limit, component));
	return labels_with(e->cx, labels, STR("priority"), str_of(name), labels);
}

/* What was taken out of the site file on purpose has not vanished. */
static bool is_operated(const struct evaluating *e, const struct labels *labels)
{
	const struct rule *rule = e->rule->of_plan;
	if (rule == NULL || rule->threshold == NULL)
		return true;
	struct str component = labels_get(labels, STR("component"));
	return component.n == 0 || plan_component(e->evaluator->plan, component) != NULL;
}

static bool keeps_words(const struct evaluating *e, const struct verdict_element *element)
{
	if (element->alert == NULL || !e->state->is_known)
		return false;
	return e->rule->annotations_of_labels ||
	       (e->rule->annotations_of_value &&
		memcmp(&element->value, &element->alert->value, sizeof(double)) == 0);
}

static enum rc set_annotations(struct evaluating *e, const struct template_data *data,
			       struct verdict_element *element)
{
	const struct labels *own = &e->rule->annotations;
	if (keeps_words(e, element)) {
		element->annotations = element->alert->annotations;
		return RC_OK;
	}
	struct label *list = cx_array(e->cx, own->n + 1, sizeof(*list));
	if (list == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < own->n; i++)
		list[i] = (struct label){own->v[i].name,
					 expand(e, e->rule->annotation_templates[i], data)};
	element->annotations = (struct labels){list, own->n};
	return e->cx->arena->exhausted ? RC_LIMIT : RC_OK;
}

struct overlay {
	struct label *v; /* room for all of the rule's labels and two */
	size_t n;        /* kept from element to element where it is constant */
};

static enum rc make_element(struct evaluating *e, const struct promql_series *series,
			    struct overlay *over, struct verdict_element *out)
{
	const struct evaluator *evaluator = e->evaluator;
	struct template_data data = {.labels = &series->labels,
				     .external_labels = &evaluator->external_labels,
				     .external_url = evaluator->external_url,
				     .value = series->values[0],
				     .at_ms = e->at.ms,
				     .query = query_of_template,
				     .context = e};
	if (over->n == 0 || !e->rule->labels_constant)
		TRY(label_values(e, &data, over->v, &over->n));
	TRY(merge(e->cx, &series->labels, over->v, over->n, &out->labels));
	TRY(set_priority(e, &out->labels));
	out->value = data.value;
	out->hash = labels_hash(&out->labels);
	out->alert = evaluator->verdicts.find(e->state->alerts, &out->labels, out->hash);
	return set_annotations(e, &data, out);
}

static enum rc make_elements(struct evaluating *e, const struct promql_result *result,
			     struct verdict *verdict)
{
	struct verdict_element *elements = cx_array(e->cx, result->series_count, sizeof(*elements));
	struct overlay over = {.v = cx_array(e->cx, e->rule->labels.n + 2, sizeof(*over.v))};
	if (elements == NULL || over.v == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < result->series_count; i++)
		if (is_operated(e, &result->series[i].labels))
			TRY(make_element(e, &result->series[i], &over,
					 &elements[verdict->element_count++]));
	verdict->elements = elements;
	return RC_OK;
}

/* Prometheus begins with the rule's labels as they are written: what expands to nothing keeps its
 * template in the series. */
static enum rc alert_series(struct evaluating *e, const struct verdict_next *next, int kind,
			    struct labels *out)
{
	TRY(merge(e->cx, &e->rule->labels, next->labels.v, next->labels.n, out));
	TRY(labels_with(e->cx, out, LABELS_NAME,
			kind == ALERT_SERIES_FOR ? STR("ALERTS_FOR_STATE") : STR("ALERTS"), out));
	if (kind == ALERT_SERIES_FOR)
		return RC_OK;
	return labels_with(e->cx, out, STR("alertstate"),
			   kind == ALERT_SERIES_FIRING ? STR("firing") : STR("pending"), out);
}

static enum rc write_one(struct evaluating *e, const struct verdict_next *next, int kind,
			 double value)
{
	struct labels labels;
	uint64_t *ref = &next->series->refs[kind];
	enum rc rc = *ref == 0 ? RC_NOT_FOUND : append(e, NULL, ref, value);
	if (rc != RC_NOT_FOUND)
		return rc;
	cx_clear(e->cx);
	TRY(alert_series(e, next, kind, &labels));
	return append(e, &labels, ref, value);
}

static void write_alert(struct evaluating *e, const struct verdict_next *next)
{
	bool wanted[VERDICT_SERIES] = {next->state == VERDICT_PENDING,
				       next->state == VERDICT_FIRING, next->state != VERDICT_GONE};
	for (int kind = 0; kind < VERDICT_SERIES; kind++) {
		if (!wanted[kind] && !next->series->written[kind])
			continue;
		double value = !wanted[kind]              ? sample_stale()
			       : kind != ALERT_SERIES_FOR ? 1
							  : (double)(next->active_since.ms / 1000);
		enum rc rc = write_one(e, next, kind, value);
		if (rc == RC_CONFLICT && !wanted[kind])
			cx_clear(e->cx);
		else
			note_refusal(e, rc);
		next->series->written[kind] = wanted[kind];
	}
}

static enum rc alert(struct evaluating *e, const struct promql_result *result,
		     struct verdict_step *step)
{
	struct verdict verdict = {.at = e->at, .limit = e->limit};
	TRY(make_elements(e, result, &verdict));
	if (e->evaluator->verdicts.step(e->state->alerts, e->keeping, &verdict, step) != RC_OK) {
		enum rc rc = cx_fail(e->cx, e->keeping->err.code, "%s", cx_message(e->keeping));
		cx_clear(e->keeping);
		return rc;
	}
	for (size_t i = 0; i < step->n; i++)
		write_alert(e, &step->v[i]);
	return RC_OK;
}

/* ---- the end ---- */

static void end_alerts(struct evaluating *e)
{
	struct verdict verdict = {.at = e->at};
	struct verdict_step step;
	if (e->evaluator->verdicts.step(e->state->alerts, e->cx, &verdict, &step) != RC_OK) {
		note_refusal(e, e->cx->err.code);
		return;
	}
	for (size_t i = 0; i < step.n; i++) {
		step.v[i].state = VERDICT_GONE;
		write_alert(e, &step.v[i]);
	}
}

enum rc rules_end(struct cx *cx, const struct evaluator *evaluator, struct rule_state *state,
		  struct wall at)
{
	struct evaluating e = {.cx = cx,
			       .keeping = cx,
			       .evaluator = evaluator,
			       .state = state,
			       .rule = state->rule,
			       .at = at};
	if (state->alerts != NULL)
		end_alerts(&e);
	state->recorded.round++;
	rules_recorded_sweep(&state->recorded, end_recorded, &e);
	commit(&e);
	return e.first_refusal == RC_OK
		       ? RC_OK
		       : cx_fail(cx, e.first_refusal, "%s", e.refusal == NULL ? "" : e.refusal);
}

/* ---- all of it ---- */

static void fail(struct evaluating *e, struct rule_outcome *out, const char *message)
{
	out->error = cx_printf(e->keeping, "%s", message);
	if (out->error == NULL)
		out->error = "out of memory";
	if (!out->step.failed) {
		out->step.at = e->at;
		out->step.failed = true;
		out->step.failure = str_of(out->error);
	}
}

void rules_evaluate(struct cx *cx, struct cx *keeping, const struct evaluator *evaluator,
		    struct rule_state *state, int64_t limit, struct wall at,
		    struct rule_outcome *out)
{
	struct evaluating e = {.cx = cx,
			       .keeping = keeping,
			       .evaluator = evaluator,
			       .state = state,
			       .rule = state->rule,
			       .limit = limit,
			       .at = at};
	struct promql_result result;
	*out = (struct rule_outcome){0};
	enum rc rc = query(cx, &evaluator->source, state->rule->query, at.ms, &result);
	if (rc == RC_OK)
		rc = state->rule->kind == RULE_RECORDING ? record(&e, &result)
							 : alert(&e, &result, &out->step);
	commit(&e);
	state->is_known = true;
	if (rc != RC_OK) {
		out->step = (struct verdict_step){0};
		fail(&e, out, cx_message(cx));
		cx_clear(cx);
	} else if (e.first_refusal != RC_OK) {
		fail(&e, out, e.refusal == NULL ? "the store refuses samples" : e.refusal);
	} else if (out->step.failed) {
		fail(&e, out, cx_printf(cx, STR_FMT, STR_ARG(out->step.failure)));
	}
}
