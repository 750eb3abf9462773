/* Streams from the store: the newest sample at each step, functions over windows of samples; and
 * functions over windows of a subquery, whose inner expression is a stream on a grid of its own. */
#include "promql/eval/stream.h"

#include "promql/func/func.h"

/* What one thread needs while it reads. */
struct reading {
	struct tsdb_columns columns; /* of the store, or made from `inner` */
	double *inner;               /* the column of a subquery's expression; on the heap */
	struct range_scratch scratch;
	size_t taken_bytes; /* of the evaluation's heap */
};

struct select_stream {
	struct stream base;
	void *query;          /* NULL: of a subquery */
	struct stream *inner; /* of a subquery */
	const struct promql_expr *call;
	bool timestamps, counts;
	int64_t looks_at_ms; /* of the first step */
	int64_t moves_ms;    /* from step to step: nothing with an @ */
	struct window_call windows;
	struct reading readings[LOOP_HANDS];
};

static void rest_select(struct stream *stream)
{
	struct select_stream *self = (struct select_stream *)stream;
	for (int i = 0; i < LOOP_HANDS; i++) {
		struct reading *reading = &self->readings[i];
		tsdb_columns_release(&reading->columns);
		promql_scratch_release(&reading->scratch);
		free(reading->inner);
		promql_give_heap(stream->e, reading->taken_bytes);
		*reading = (struct reading){0};
	}
	if (self->inner != NULL)
		promql_stream_rest(self->inner);
}

static void close_select(struct stream *stream)
{
	struct select_stream *self = (struct select_stream *)stream;
	if (self->query != NULL)
		stream->e->source->close(&self->query);
	rest_select(stream);
}

/* What it has come to hold. A series is read before its size is known: one of them may be beyond
 * the bound for a moment. */
static enum rc take_heap(struct cx *cx, struct select_stream *self, struct reading *reading)
{
	const struct range_scratch *scratch = &reading->scratch;
	size_t bytes = reading->columns.capacity * (sizeof(int64_t) + sizeof(double)) +
		       scratch->index_capacity * sizeof(*scratch->indices) +
		       scratch->value_capacity * sizeof(*scratch->values);
	if (reading->inner != NULL)
		bytes += self->inner->grid.steps * sizeof(*reading->inner);
	if (bytes <= reading->taken_bytes)
		return RC_OK;
	TRY(promql_take_heap(cx, self->base.e, bytes - reading->taken_bytes));
	reading->taken_bytes = bytes;
	return RC_OK;
}

static bool names_metric(const struct promql_expr *selector)
{
	for (size_t i = 0; i < selector->matcher_count; i++)
		if (selector->matchers[i].op == MATCH_EQUAL &&
		    str_eq(selector->matchers[i].name, LABELS_NAME))
			return true;
	return false;
}

/* Opens the store for samples in [looks_at - back, the last step's]. */
static enum rc open_store(struct cx *cx, struct select_stream *self,
			  const struct promql_expr *selector, int64_t back_ms)
{
	const struct promql_source *source = self->base.e->source;
	struct grid grid = self->base.grid;
	self->base.distinct = true;
	self->base.one_name = names_metric(selector);
	if (grid.steps == 0)
		return RC_OK;
	int64_t to_ms = self->looks_at_ms + (int64_t)(grid.steps - 1) * self->moves_ms;
	TRY(source->open(source->self, cx, selector->matchers, selector->matcher_count,
			 self->looks_at_ms - back_ms, to_ms, &self->query));
	self->base.count = source->count(self->query);
	self->base.labels = cx_array(cx, self->base.count, sizeof(*self->base.labels));
	if (self->base.labels == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < self->base.count; i++)
		self->base.labels[i] = *source->labels(self->query, i);
	return RC_OK;
}

static void count_samples(const struct select_stream *self, uint64_t samples)
{
	if (self->counts)
		__atomic_fetch_add(self->base.e->source->samples, samples, __ATOMIC_RELAXED);
}

/* ---- instant vectors ---- */

static enum rc read_newest(struct cx *cx, struct stream *stream, unsigned hand, size_t index,
			   double *out, size_t *present)
{
	struct select_stream *self = (struct select_stream *)stream;
	struct tsdb_columns *samples = &self->readings[hand].columns;
	int64_t t_ms = self->looks_at_ms;
	size_t upto = 0, found = 0; /* samples at or before t_ms */
	TRY(stream->e->source->read(cx, self->query, index, samples));
	TRY(take_heap(cx, self, &self->readings[hand]));
	for (size_t k = 0; k < stream->grid.steps; k++, t_ms += self->moves_ms) {
		while (upto < samples->n && samples->t_ms[upto] <= t_ms)
			upto++;
		if (upto == 0 || samples->t_ms[upto - 1] < t_ms - PROMQL_LOOKBACK_MS ||
		    promql_absent(samples->values[upto - 1])) {
			out[k] = promql_no_value();
			continue;
		}
		out[k] = self->timestamps ? (double)samples->t_ms[upto - 1] / 1000
					  : samples->values[upto - 1];
		found++;
	}
	*present = found;
	count_samples(self, found);
	return RC_OK;
}

static enum rc new_select(struct cx *cx, struct evaluation *e, const struct promql_expr *looks,
			  struct grid grid, struct select_stream **out)
{
	*out = cx_alloc(cx, sizeof(**out));
	if (*out == NULL)
		return RC_LIMIT;
	promql_stream_init(&(*out)->base, e, grid);
	(*out)->base.close = close_select;
	(*out)->base.rest = rest_select;
	(*out)->looks_at_ms = promql_looks_at(e, looks, grid);
	(*out)->counts = e->source->samples != NULL && e->subqueries == 0;
	(*out)->moves_ms = looks->at == AT_NONE ? grid.step_ms : 0;
	return RC_OK;
}

enum rc promql_select(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
		      struct grid grid, bool timestamps, struct stream **out)
{
	struct select_stream *self;
	TRY(new_select(cx, e, node, grid, &self));
	self->timestamps = timestamps;
	self->base.read = read_newest;
	*out = &self->base;
	return open_store(cx, self, node, PROMQL_LOOKBACK_MS);
}

/* ---- windows ---- */

/* Stale markers are no samples of a window. */
static void drop_stale(struct tsdb_columns *columns)
{
	size_t kept = 0;
	unsigned any = 0;
	for (size_t i = 0; i < columns->n; i++)
		any |= promql_absent(columns->values[i]);
	if (!any)
		return;
	for (size_t i = 0; i < columns->n; i++) {
		if (promql_absent(columns->values[i]))
			continue;
		columns->t_ms[kept] = columns->t_ms[i];
		columns->values[kept++] = columns->values[i];
	}
	columns->n = kept;
}

static enum rc read_inner(struct cx *cx, struct select_stream *self, struct reading *reading,
			  unsigned hand, size_t index)
{
	struct grid grid = self->inner->grid;
	struct tsdb_columns *columns = &reading->columns;
	size_t present;
	if (reading->inner == NULL) {
		/* before it is there: of a subquery the size is known */
		size_t bytes = grid.steps * (sizeof(int64_t) + 2 * sizeof(double));
		TRY(promql_take_heap(cx, self->base.e, bytes));
		reading->taken_bytes = bytes;
		reading->inner = heap_alloc(grid.steps * sizeof(*reading->inner));
		columns->t_ms = heap_alloc(grid.steps * sizeof(*columns->t_ms));
		columns->values = heap_alloc(grid.steps * sizeof(*columns->values));
		columns->capacity = grid.steps;
	}
	TRY(self->inner->read(cx, self->inner, hand, index, reading->inner, &present));
	for (size_t k = 0; k < grid.steps; k++) {
		columns->t_ms[k] = grid.start_ms + (int64_t)k * grid.step_ms;
		columns->values[k] = reading->inner[k];
	}
	columns->n = grid.steps;
	return RC_OK;
}

static enum rc read_windows(struct cx *cx, struct stream *stream, unsigned hand, size_t index,
			    double *out, size_t *present)
{
	struct select_stream *self = (struct select_stream *)stream;
	struct reading *reading = &self->readings[hand];
	if (self->inner != NULL)
		TRY(read_inner(cx, self, reading, hand, index));
	else
		TRY(stream->e->source->read(cx, self->query, index, &reading->columns));
	drop_stale(&reading->columns);
	struct samples samples = {reading->columns.t_ms, reading->columns.values,
				  reading->columns.n};
	if (self->counts)
		count_samples(self, promql_count_in_windows(&self->windows, &samples));
	TRY(self->call->function->over_range(cx, &self->windows, &samples, &reading->scratch, out,
					     present));
	return take_heap(cx, self, reading);
}

static enum rc open_subquery(struct cx *cx, struct select_stream *self,
			     const struct promql_expr *node)
{
	struct grid outer = self->base.grid, inner;
	int64_t last_ms = self->looks_at_ms;
	if (outer.steps > 0)
		last_ms += (int64_t)(outer.steps - 1) * self->moves_ms;
	inner = promql_subquery_grid(self->base.e->source, node, self->looks_at_ms, last_ms);
	if (outer.steps == 0)
		inner.steps = 0;
	/* each thread holds one column of them */
	if (inner.steps > cx->arena->budget_bytes / (8 * LOOP_HANDS * sizeof(double)))
		return cx_fail(cx, RC_LIMIT, "the subquery has too many steps");
	self->base.e->subqueries++;
	TRY(promql_stream_open(cx, self->base.e, node->left, inner, &self->inner));
	self->base.e->subqueries--;
	if (!self->inner->distinct) {
		struct rows rows;
		TRY(promql_stream_rows(cx, self->inner, &rows));
		TRY(promql_stream_of_rows(cx, self->base.e, &rows, inner, &self->inner));
	}
	self->base.count = self->inner->count;
	self->base.labels = self->inner->labels;
	self->base.distinct = true;
	self->base.one_name = self->inner->one_name;
	return RC_OK;
}

struct grid promql_subquery_grid(const struct promql_source *source, const struct promql_expr *node,
				 int64_t first_ms, int64_t last_ms)
{
	int64_t step_ms = node->step_ms > 0              ? node->step_ms
			  : source->subquery_step_ms > 0 ? source->subquery_step_ms
							 : PROMQL_SUBQUERY_STEP_MS;
	int64_t from_ms = first_ms - node->range_ms;
	int64_t start_ms = from_ms / step_ms * step_ms;
	if (start_ms < from_ms)
		start_ms += step_ms;
	size_t steps = last_ms < start_ms ? 0 : (size_t)((last_ms - start_ms) / step_ms) + 1;
	return (struct grid){start_ms, step_ms, steps};
}

static enum rc open_parameters(struct cx *cx, struct select_stream *self)
{
	const struct promql_expr *call = self->call;
	size_t count = 0;
	for (size_t i = 0; i < call->argument_count; i++) {
		double *column;
		if ((int)i == call->function->range_argument)
			continue;
		TRY(promql_eval_scalar(cx, self->base.e, call->arguments[i], self->base.grid,
				       &column));
		self->windows.parameters[count++] = column;
	}
	return RC_OK;
}

enum rc promql_windows(struct cx *cx, struct evaluation *e, const struct promql_expr *call,
		       struct grid grid, struct stream **out)
{
	const struct promql_function *f = call->function;
	const struct promql_expr *range = promql_unwrapped(call->arguments[f->range_argument]);
	const struct promql_expr *selector = range->kind == NODE_MATRIX ? range->left : range;
	struct select_stream *self;
	TRY(new_select(cx, e, selector, grid, &self));
	self->call = call;
	self->base.read = read_windows;
	self->base.strict = true;
	self->windows = (struct window_call){.grid = grid,
					     .end_ms = self->looks_at_ms,
					     .moves_ms = self->moves_ms,
					     .range_ms = range->range_ms};
	*out = &self->base;
	if (range->kind == NODE_MATRIX)
		TRY(open_store(cx, self, selector, range->range_ms));
	else
		TRY(open_subquery(cx, self, range));
	enum rc rc = open_parameters(cx, self);
	if (rc != RC_OK)
		return self->inner == NULL ? rc : promql_stream_fail(cx, self->inner, rc);
	return f->keeps_name ? RC_OK : promql_stream_drop_names(cx, *out);
}

/* ---- the samples themselves ---- */

static enum rc keep_samples(struct cx *cx, const struct tsdb_columns *columns,
			    const struct labels *labels, int64_t from_ms, int64_t to_ms,
			    struct promql_result *out)
{
	size_t first = 0, n = columns->n;
	while (first < n && columns->t_ms[first] < from_ms)
		first++;
	while (n > first && columns->t_ms[n - 1] > to_ms)
		n--;
	if (first == n)
		return RC_OK;
	n -= first;
	struct str times = cx_str(cx, str_make((const char *)(columns->t_ms + first), n * 8));
	struct str values = cx_str(cx, str_make((const char *)(columns->values + first), n * 8));
	if (times.p == NULL || values.p == NULL)
		return cx_fail(cx, RC_LIMIT, "too many samples");
	out->series[out->series_count++] =
		(struct promql_series){*labels, (const double *)(const void *)values.p,
				       (const int64_t *)(const void *)times.p, n};
	return RC_OK;
}

enum rc promql_select_samples(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			      int64_t at_ms, struct promql_result *out)
{
	struct grid once = {at_ms, 1, 1};
	struct select_stream *self;
	struct tsdb_columns *columns;
	TRY(new_select(cx, e, node->left, once, &self));
	TRY(open_store(cx, self, node->left, node->range_ms));
	out->series = cx_array(cx, self->base.count, sizeof(*out->series));
	if (out->series == NULL)
		return RC_LIMIT;
	columns = &self->readings[0].columns;
	for (size_t i = 0; i < self->base.count; i++) {
		TRY(cx_in_time(cx));
		TRY(e->source->read(cx, self->query, i, columns));
		drop_stale(columns);
		TRY(keep_samples(cx, columns, &self->base.labels[i],
				 self->looks_at_ms - node->range_ms, self->looks_at_ms, out));
		count_samples(self, columns->n);
	}
	return RC_OK;
}
