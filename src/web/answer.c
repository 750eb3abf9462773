/* Results of queries as Prometheus writes them. */
#include "model/labels_json.h"
#include "web/query.h"

static void put_whole(struct buf *out, uint64_t value, int width)
{
	char text[24], *end = text + sizeof(text), *p = end;
	do
		*--p = (char)('0' + value % 10);
	while ((value /= 10) > 0 || end - p < width);
	buf_put(out, p, (size_t)(end - p));
}

/* Seconds; with a fraction, always of three digits. */
static void put_time(struct buf *out, int64_t t_ms)
{
	uint64_t ms = t_ms < 0 ? 0 - (uint64_t)t_ms : (uint64_t)t_ms;
	if (t_ms < 0)
		buf_putc(out, '-');
	put_whole(out, ms / 1000, 1);
	if (ms % 1000 == 0)
		return;
	buf_putc(out, '.');
	put_whole(out, ms % 1000, 3);
}

static void put_points(struct buf *out, const struct promql_result *result,
		       const struct promql_series *series)
{
	bool first = true;
	for (size_t i = 0; i < series->n; i++) {
		if (promql_absent(series->values[i]))
			continue;
		buf_put(out, first ? "[" : ",[", first ? 1 : 2);
		first = false;
		put_time(out, series->t_ms != NULL
				      ? series->t_ms[i]
				      : result->start_ms + (int64_t)i * result->step_ms);
		buf_put(out, ",\"", 2);
		buf_put_double(out, series->values[i]);
		buf_put(out, "\"]", 2);
	}
}

static void put_series(struct json *json, const struct promql_result *result,
		       const struct promql_series *series)
{
	bool matrix = result->type == PROMQL_MATRIX;
	json_object(json);
	json_key(json, "metric");
	labels_put_json(json, &series->labels);
	json_key(json, matrix ? "values" : "value");
	if (matrix)
		buf_putc(json->out, '[');
	put_points(json->out, result, series);
	if (matrix)
		buf_putc(json->out, ']');
	json->need_comma = true;
	json_end_object(json);
}

/* Of scalars and strings the numbers take other ways in Prometheus: 1.5 s is 1.5, and no value has
 * an exponent. */
static void put_single(struct json *json, const struct promql_result *result)
{
	struct buf text = BUF_INIT;
	json_double(json, (double)result->start_ms / 1000);
	if (result->type == PROMQL_SCALAR)
		buf_put_double_plain(&text, result->scalar);
	json_string(json, result->type == PROMQL_SCALAR ? buf_str(&text) : result->string);
	buf_release(&text);
}

enum rc web_put_result(struct cx *cx, struct json *json, const struct promql_result *result)
{
	json_put_text(json, "resultType", promql_type_name(result->type));
	json_key(json, "result");
	json_array(json);
	if (result->type == PROMQL_SCALAR || result->type == PROMQL_STRING)
		put_single(json, result);
	for (size_t i = 0; i < result->series_count; i++) {
		put_series(json, result, &result->series[i]);
		TRY(cx_in_time(cx));
		if (json->out->length > ANSWER_LIMIT_BYTES)
			return cx_fail(cx, RC_LIMIT,
				       "query processing would load too many samples into memory "
				       "in query execution");
	}
	json_end_array(json);
	return RC_OK;
}
