/* Streams: reading them by all hands, and those that are put over others. See stream.h. */
#include "promql/eval/stream.h"

#include "promql/eval/labels.h"
#include "promql/func/func.h"

void promql_stream_init(struct stream *stream, struct evaluation *e, struct grid grid)
{
	stream->e = e;
	stream->grid = grid;
	stream->next = e->streams;
	e->streams = stream;
}

void promql_streams_close(struct evaluation *e)
{
	for (struct stream *stream = e->streams; stream != NULL; stream = stream->next)
		if (stream->close != NULL)
			stream->close(stream);
	e->streams = NULL;
}

void promql_stream_rest(struct stream *stream)
{
	if (stream->rest != NULL)
		stream->rest(stream);
}

/* ---- reading ---- */

struct batch {
	struct stream *stream;
	size_t from;
	double **columns;
	size_t *present;
	bool failed; /* atomic: whoever sees it stops */
};

static enum rc read_some(struct batch *b, struct hand *hand, unsigned number, size_t from,
			 size_t to)
{
	for (size_t i = from; i < to; i++) {
		if (__atomic_load_n(&b->failed, __ATOMIC_RELAXED))
			return RC_OK;
		TRY(cx_in_time(hand->cx));
		TRY(b->stream->read(hand->cx, b->stream, number, b->from + i, b->columns[i],
				    &b->present[i]));
	}
	return RC_OK;
}

static void read_piece(void *context, unsigned number, size_t from, size_t to)
{
	struct batch *b = context;
	struct hand *hand = &b->stream->e->hands[number];
	enum rc rc = read_some(b, hand, number, from, to);
	if (rc == RC_OK)
		return;
	hand->failed = rc;
	__atomic_store_n(&b->failed, true, __ATOMIC_RELAXED);
}

static size_t grain_of(const struct stream *stream)
{
	size_t grain = 16384 / (stream->grid.steps + 64);
	return grain < 1 ? 1 : grain > 64 ? 64 : grain;
}

size_t promql_stream_batch(const struct stream *stream)
{
	size_t batch = grain_of(stream) * 8;
	return batch < stream->count ? batch : stream->count;
}

enum rc promql_stream_read(struct cx *cx, struct stream *stream, size_t from, size_t to,
			   double **columns, size_t *present)
{
	struct batch b = {stream, from, columns, present, false};
	struct evaluation *e = stream->e;
	loop_share(e->source->loop, to - from, grain_of(stream), read_piece, &b);
	for (unsigned i = 0; b.failed && i < LOOP_HANDS; i++) {
		if (e->hands[i].failed == RC_OK)
			continue;
		cx->err = e->hands[i].cx->err;
		return e->hands[i].failed;
	}
	return RC_OK;
}

enum rc promql_stream_rows(struct cx *cx, struct stream *stream, struct rows *out)
{
	size_t most = promql_stream_batch(stream), steps = stream->grid.steps;
	double **columns = cx_array(cx, most, sizeof(double *));
	size_t *present = cx_array(cx, most, sizeof(*present));
	*out = (struct rows){.v = cx_array(cx, stream->count, sizeof(*out->v)),
			     .cap = stream->count};
	if (columns == NULL || present == NULL || out->v == NULL)
		return RC_LIMIT;
	for (size_t from = 0; from < stream->count; from += most) {
		size_t n = stream->count - from < most ? stream->count - from : most;
		for (size_t i = 0; i < n; i++)
			if (columns[i] == NULL && (columns[i] = promql_column(cx, steps)) == NULL)
				return RC_LIMIT;
		TRY(promql_stream_read(cx, stream, from, from + n, columns, present));
		for (size_t i = 0; i < n; i++) {
			if (present[i] == 0)
				continue;
			out->v[out->n++] =
				(struct row){stream->labels[from + i], columns[i], present[i]};
			columns[i] = NULL;
		}
	}
	promql_stream_rest(stream);
	return stream->distinct ? RC_OK : promql_merge(cx, out, steps, stream->strict);
}

enum rc promql_stream_fail(struct cx *cx, struct stream *stream, enum rc rc)
{
	struct err kept = cx->err;
	struct rows rows;
	stream->distinct = true;
	TRY(promql_stream_rows(cx, stream, &rows));
	cx->err = kept;
	return rc;
}

/* ---- labels ---- */

enum rc promql_stream_drop_names(struct cx *cx, struct stream *stream)
{
	for (size_t i = 0; i < stream->count; i++)
		TRY(promql_drop_name(cx, &stream->labels[i], &stream->labels[i]));
	if (!stream->one_name)
		TRY(promql_stream_find_equal(cx, stream));
	stream->one_name = true;
	return RC_OK;
}

enum rc promql_stream_find_equal(struct cx *cx, struct stream *stream)
{
	struct labels_index index;
	bool added = true;
	TRY(promql_index_init(cx, &index, (struct projection){.whole = true}, stream->count));
	for (size_t i = 0; added && i < stream->count; i++)
		(void)promql_index_add(&index, &stream->labels[i], &added);
	stream->distinct = added;
	return RC_OK;
}

/* ---- rows that are there already ---- */

struct rows_stream {
	struct stream base;
	struct rows rows;
};

static enum rc read_row(struct cx *cx, struct stream *stream, unsigned hand, size_t index,
			double *out, size_t *present)
{
	const struct rows_stream *self = (const struct rows_stream *)stream;
	const struct row *row = &self->rows.v[index];
	(void)cx, (void)hand;
	memcpy(out, row->values, stream->grid.steps * sizeof(*out));
	*present = row->present;
	return RC_OK;
}

enum rc promql_stream_of_rows(struct cx *cx, struct evaluation *e, const struct rows *rows,
			      struct grid grid, struct stream **out)
{
	struct rows_stream *self = cx_alloc(cx, sizeof(*self));
	if (self == NULL)
		return RC_LIMIT;
	promql_stream_init(&self->base, e, grid);
	self->rows = *rows;
	self->base.read = read_row;
	self->base.count = rows->n;
	self->base.distinct = true;
	self->base.labels = cx_array(cx, rows->n, sizeof(*self->base.labels));
	if (self->base.labels == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < rows->n; i++)
		self->base.labels[i] = rows->v[i].labels;
	*out = &self->base;
	return RC_OK;
}

/* ---- over another stream ---- */

enum over_kind { OVER_REPEAT, OVER_NEGATE, OVER_EACH, OVER_SCALAR, OVER_TIME };

struct over_stream {
	struct stream base;
	struct stream *inner;
	enum over_kind kind;
	const struct promql_expr *node;
	const double *parameters[4];
	bool scalar_left;
};

static void repeat(double value, double *out, size_t steps)
{
	for (size_t i = 0; i < steps; i++)
		out[i] = value;
}

static size_t apply_each(const struct over_stream *self, double *out, size_t steps)
{
	const struct promql_function *f = self->node->function;
	size_t present = 0, count = self->node->argument_count;
	double p[4] = {1}; /* what round() rounds to when it is not said */
	for (size_t k = 0; k < steps; k++) {
		if (promql_absent(out[k]))
			continue;
		for (size_t i = 1; i < count; i++)
			p[i - 1] = self->parameters[i - 1][k];
		if (f->bounds && p[1] < p[0]) {
			out[k] = promql_no_value();
			continue;
		}
		out[k] = f->each(out[k], p);
		present++;
	}
	return present;
}

static enum rc read_over(struct cx *cx, struct stream *stream, unsigned hand, size_t index,
			 double *out, size_t *present)
{
	struct over_stream *self = (struct over_stream *)stream;
	const struct grid *grid = &stream->grid;
	const double *scalar = self->parameters[0];
	TRY(self->inner->read(cx, self->inner, hand, index, out, present));
	switch (self->kind) {
	case OVER_REPEAT:
		repeat(out[0], out, grid->steps);
		*present *= grid->steps;
		break;
	case OVER_NEGATE:
		for (size_t k = 0; k < grid->steps; k++)
			out[k] = promql_absent(out[k]) ? out[k] : -out[k];
		break;
	case OVER_EACH:
		*present = apply_each(self, out, grid->steps);
		break;
	case OVER_SCALAR:
		*present = promql_operate(self->node->op, self->node->return_bool,
					  self->scalar_left ? scalar : out,
					  self->scalar_left ? out : scalar, out, out, grid->steps);
		break;
	case OVER_TIME:
		for (size_t k = 0; k < grid->steps; k++)
			if (!promql_absent(out[k]))
				out[k] = (double)(grid->start_ms + (int64_t)k * grid->step_ms) /
					 1000;
		break;
	}
	return RC_OK;
}

static void rest_over(struct stream *stream)
{
	promql_stream_rest(((struct over_stream *)stream)->inner);
}

static enum rc open_over(struct cx *cx, struct evaluation *e, struct stream *inner,
			 enum over_kind kind, struct grid grid, struct over_stream **out)
{
	if (!inner->distinct) { /* what is equal is merged before anything is done to it */
		struct rows rows;
		TRY(promql_stream_rows(cx, inner, &rows));
		TRY(promql_stream_of_rows(cx, e, &rows, inner->grid, &inner));
	}
	struct over_stream *self = cx_alloc(cx, sizeof(*self));
	if (self == NULL)
		return RC_LIMIT;
	promql_stream_init(&self->base, e, grid);
	self->inner = inner;
	self->kind = kind;
	self->base.read = read_over;
	self->base.rest = rest_over;
	self->base.count = inner->count;
	self->base.labels = inner->labels;
	self->base.distinct = inner->distinct;
	self->base.one_name = inner->one_name;
	*out = self;
	return RC_OK;
}

/* ---- by node ---- */

static enum rc open_repeat(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			   struct grid grid, struct stream **out)
{
	struct grid once = {grid.start_ms, grid.step_ms, 1};
	struct over_stream *self;
	struct stream *inner;
	TRY(promql_stream_open(cx, e, node, once, &inner));
	TRY(open_over(cx, e, inner, OVER_REPEAT, grid, &self));
	*out = &self->base;
	return RC_OK;
}

static enum rc open_negated(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			    struct grid grid, struct stream **out)
{
	struct over_stream *self;
	struct stream *inner;
	TRY(promql_stream_open(cx, e, node->left, grid, &inner));
	if (!node->minus) {
		*out = inner;
		return RC_OK;
	}
	TRY(open_over(cx, e, inner, OVER_NEGATE, grid, &self));
	self->base.strict = true;
	*out = &self->base;
	return promql_stream_drop_names(cx, *out);
}

static enum rc open_with_scalar(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
				struct grid grid, struct stream **out)
{
	struct over_stream *self;
	struct stream *inner;
	double *scalar;
	bool scalar_left = node->left->type == PROMQL_SCALAR;
	if (scalar_left)
		TRY(promql_eval_scalar(cx, e, node->left, grid, &scalar));
	TRY(promql_stream_open(cx, e, scalar_left ? node->right : node->left, grid, &inner));
	if (!scalar_left) {
		enum rc rc = promql_eval_scalar(cx, e, node->right, grid, &scalar);
		if (rc != RC_OK)
			return promql_stream_fail(cx, inner, rc);
	}
	TRY(open_over(cx, e, inner, OVER_SCALAR, grid, &self));
	self->node = node;
	self->scalar_left = scalar_left;
	self->parameters[0] = scalar;
	*out = &self->base;
	return promql_keeps_name(node) ? RC_OK : promql_stream_drop_names(cx, *out);
}

static enum rc open_each(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			 struct grid grid, struct stream **out)
{
	struct over_stream *self;
	struct stream *inner;
	TRY(promql_stream_open(cx, e, node->arguments[0], grid, &inner));
	TRY(open_over(cx, e, inner, OVER_EACH, grid, &self));
	self->node = node;
	for (size_t i = 1; i < node->argument_count; i++) {
		double *column;
		enum rc rc = promql_eval_scalar(cx, e, node->arguments[i], grid, &column);
		if (rc != RC_OK)
			return promql_stream_fail(cx, inner, rc);
		self->parameters[i - 1] = column;
	}
	*out = &self->base;
	return promql_stream_drop_names(cx, *out);
}

/* timestamp(): of a selector's samples their own, of what was computed the evaluation's. */
static enum rc open_timestamps(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			       struct grid grid, struct stream **out)
{
	const struct promql_expr *of = promql_unwrapped(node->arguments[0]);
	struct over_stream *self;
	if (of->kind == NODE_VECTOR) {
		TRY(promql_select(cx, e, of, grid, true, out));
	} else {
		TRY(promql_stream_open(cx, e, of, grid, out));
		TRY(open_over(cx, e, *out, OVER_TIME, grid, &self));
		*out = &self->base;
	}
	return promql_stream_drop_names(cx, *out);
}

static enum rc open_relabelled(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			       struct grid grid, struct stream **out)
{
	TRY(promql_stream_open(cx, e, node->arguments[0], grid, out));
	if (!(*out)->distinct) {
		struct rows rows;
		TRY(promql_stream_rows(cx, *out, &rows));
		TRY(promql_stream_of_rows(cx, e, &rows, grid, out));
	}
	(*out)->one_name = (*out)->strict = false;
	if (grid.steps == 0) /* nothing is evaluated: no mistake is found */
		return RC_OK;
	enum rc rc = node->function->relabel(cx, node, (*out)->labels, (*out)->count);
	if (rc != RC_OK)
		return promql_stream_fail(cx, *out, rc);
	return promql_stream_find_equal(cx, *out);
}

static enum rc open_call(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			 struct grid grid, struct stream **out)
{
	const struct promql_function *f = node->function;
	if (f->over_range != NULL)
		return promql_windows(cx, e, node, grid, out);
	if (f->relabel != NULL)
		return open_relabelled(cx, e, node, grid, out);
	if (f->timestamps)
		return open_timestamps(cx, e, node, grid, out);
	return open_each(cx, e, node, grid, out);
}

bool promql_is_stream(const struct promql_expr *node)
{
	switch (node->kind) {
	case NODE_VECTOR:
	case NODE_UNARY:
		return true;
	case NODE_BINARY:
		return node->left->type == PROMQL_SCALAR || node->right->type == PROMQL_SCALAR;
	case NODE_CALL:
		if (node->function->whole != NULL)
			return false;
		return node->function->over_range != NULL || node->function->relabel != NULL ||
		       node->function->timestamps ||
		       (node->function->each != NULL && node->argument_count > 0);
	default:
		return false;
	}
}

enum rc promql_stream_open(struct cx *cx, struct evaluation *e, const struct promql_expr *node,
			   struct grid grid, struct stream **out)
{
	while (node->kind == NODE_PAREN || node->kind == NODE_ROOT)
		node = node->left;
	if (node->invariant && grid.steps > 1)
		return open_repeat(cx, e, node, grid, out);
	if (!promql_is_stream(node)) {
		struct rows rows;
		TRY(promql_eval(cx, e, node, grid, &rows));
		return promql_stream_of_rows(cx, e, &rows, grid, out);
	}
	switch (node->kind) {
	case NODE_VECTOR:
		return promql_select(cx, e, node, grid, false, out);
	case NODE_UNARY:
		return open_negated(cx, e, node, grid, out);
	case NODE_BINARY:
		return open_with_scalar(cx, e, node, grid, out);
	default:
		return open_call(cx, e, node, grid, out);
	}
}
