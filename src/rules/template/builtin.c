/* Go's own functions of templates. `and` and `or` stop early and are the evaluator's. */
#include <stdio.h>

#include "rules/template/inside.h"

bool rules_template_refuse(struct template_call *call, const char *format, ...)
{
	char text[600];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	buf_clear(&call->why);
	buf_puts(&call->why, text);
	return false;
}

static bool give_buf(struct template_call *call, struct buf *text)
{
	struct str kept = cx_str(call->x->cx, buf_str(text));
	bool fits = kept.p != NULL && !text->overflowed;
	*call->out = rules_value_string(kept);
	buf_release(text);
	return fits || rules_template_refuse(call, "the text is too long");
}

static bool give_truth(struct template_call *call, bool truth)
{
	*call->out = (struct template_value){.kind = VALUE_BOOL, .truth = truth};
	return true;
}

static bool give_integer(struct template_call *call, int64_t integer)
{
	*call->out = (struct template_value){.kind = VALUE_INT, .integer = integer};
	return true;
}

/* ---- comparing ---- */

enum basic {
	BASIC_NOTHING,
	BASIC_OTHER,
	BASIC_BOOL,
	BASIC_COMPLEX,
	BASIC_FLOAT,
	BASIC_INT,
	BASIC_STRING
};

static enum basic basic_of(const struct template_value *v)
{
	switch (v->kind) {
	case VALUE_NONE:
	case VALUE_NIL:
		return BASIC_NOTHING;
	case VALUE_BOOL:
		return BASIC_BOOL;
	case VALUE_COMPLEX:
		return BASIC_COMPLEX;
	case VALUE_FLOAT:
		return BASIC_FLOAT;
	case VALUE_INT:
	case VALUE_MONTH:
	case VALUE_WEEKDAY:
		return BASIC_INT;
	case VALUE_STRING:
	case VALUE_HTML:
		return BASIC_STRING;
	default:
		return BASIC_OTHER;
	}
}

static bool refuse_uncomparable(struct template_call *call, const struct template_value *v)
{
	struct buf text = BUF_INIT;
	rules_value_print(&text, v);
	(void)rules_template_refuse(call, "non-comparable type %s: %s", buf_str(&text).p,
				    rules_value_type(v));
	buf_release(&text);
	return false;
}

static bool equal(struct template_call *call, const struct template_value *a,
		  const struct template_value *b, bool *out)
{
	enum basic left = basic_of(a), right = basic_of(b);
	*out = false;
	if (left == BASIC_NOTHING || right == BASIC_NOTHING) {
		*out = left == right;
		return true;
	}
	if (left != right)
		return rules_template_refuse(call, "incompatible types for comparison");
	switch (left) {
	case BASIC_BOOL:
		*out = a->truth == b->truth;
		return true;
	case BASIC_COMPLEX:
		*out = a->real == b->real && a->imaginary == b->imaginary;
		return true;
	case BASIC_FLOAT:
		*out = a->real == b->real;
		return true;
	case BASIC_INT:
		*out = a->integer == b->integer;
		return true;
	case BASIC_STRING:
		*out = str_eq(a->string, b->string);
		return true;
	default:
		if (a->kind == VALUE_SAMPLE && b->kind == VALUE_SAMPLE) {
			*out = a->sample == b->sample;
			return true;
		}
		return refuse_uncomparable(call, a);
	}
}

static bool less(struct template_call *call, bool *out)
{
	const struct template_value *a = &call->arguments[0], *b = &call->arguments[1];
	enum basic kind = basic_of(a);
	if (kind < BASIC_BOOL || basic_of(b) < BASIC_BOOL)
		return rules_template_refuse(call, "invalid type for comparison");
	if (kind != basic_of(b))
		return rules_template_refuse(call, "incompatible types for comparison");
	if (kind == BASIC_BOOL || kind == BASIC_COMPLEX)
		return rules_template_refuse(call, "invalid type for comparison");
	*out = kind == BASIC_FLOAT ? a->real < b->real
	       : kind == BASIC_INT ? a->integer < b->integer
				   : str_compare(a->string, b->string) < 0;
	return true;
}

static bool call_eq(struct template_call *call)
{
	bool truth = false;
	if (call->count < 2)
		return rules_template_refuse(call, "missing argument for comparison");
	for (size_t i = 1; i < call->count && !truth; i++)
		if (!equal(call, &call->arguments[0], &call->arguments[i], &truth))
			return false;
	return give_truth(call, truth);
}

static bool call_ne(struct template_call *call)
{
	bool truth;
	return equal(call, &call->arguments[0], &call->arguments[1], &truth) &&
	       give_truth(call, !truth);
}

static bool call_lt(struct template_call *call)
{
	bool truth;
	return less(call, &truth) && give_truth(call, truth);
}

static bool call_ge(struct template_call *call)
{
	bool truth;
	return less(call, &truth) && give_truth(call, !truth);
}

static bool call_le(struct template_call *call)
{
	bool truth, same;
	return less(call, &truth) && equal(call, &call->arguments[0], &call->arguments[1], &same) &&
	       give_truth(call, truth || same);
}

static bool call_gt(struct template_call *call)
{
	bool truth, same;
	return less(call, &truth) && equal(call, &call->arguments[0], &call->arguments[1], &same) &&
	       give_truth(call, !truth && !same);
}

static bool call_not(struct template_call *call)
{
	return give_truth(call, !rules_value_truth(&call->arguments[0]));
}

/* ---- parts of values ---- */

static bool call_len(struct template_call *call)
{
	const struct template_value *v = &call->arguments[0];
	switch (v->kind) {
	case VALUE_STRING:
	case VALUE_HTML:
		return give_integer(call, (int64_t)v->string.n);
	case VALUE_MAP:
		return give_integer(call, (int64_t)v->map->n);
	case VALUE_ARGS:
		return give_integer(call, (int64_t)v->args->n);
	case VALUE_VECTOR:
		return give_integer(call, (int64_t)v->vector->n);
	case VALUE_NONE:
	case VALUE_NIL:
		return rules_template_refuse(call,
					     "reflect: call of reflect.Value.Type on zero Value");
	default:
		return rules_template_refuse(call, "len of type %s", rules_value_type(v));
	}
}

static bool index_number(struct template_call *call, const struct template_value *index,
			 size_t length, size_t *out)
{
	if (index->kind == VALUE_NONE || index->kind == VALUE_NIL)
		return rules_template_refuse(call, "cannot index slice/array with nil");
	if (index->kind != VALUE_INT)
		return rules_template_refuse(call, "cannot index slice/array with type %s",
					     rules_value_type(index));
	if (index->integer < 0 || (uint64_t)index->integer > length)
		return rules_template_refuse(call, "index out of range: %lld",
					     (long long)index->integer);
	*out = (size_t)index->integer;
	return true;
}

static bool index_map(struct template_call *call, struct template_value *item,
		      const struct template_value *key)
{
	struct template_value found = {.kind = VALUE_NONE};
	if (key->kind == VALUE_NONE || key->kind == VALUE_NIL)
		return rules_template_refuse(call, "value is nil; should be of type string");
	if (key->kind != VALUE_STRING)
		return rules_template_refuse(call, "value has type %s; should be string",
					     rules_value_type(key));
	if (item->kind == VALUE_MAP)
		found = rules_value_string(labels_get(item->map, key->string));
	else
		(void)rules_value_argument(item->args, key->string, &found);
	*item = found;
	return true;
}

static bool call_index(struct template_call *call)
{
	struct template_value item = call->arguments[0];
	for (size_t i = 1; i < call->count; i++) {
		const struct template_value *index = &call->arguments[i];
		bool is_vector = item.kind == VALUE_VECTOR;
		size_t at;
		if (item.kind == VALUE_NONE || item.kind == VALUE_NIL)
			return rules_template_refuse(call, i == 1 ? "index of untyped nil"
								  : "index of nil pointer");
		if (item.kind == VALUE_MAP || item.kind == VALUE_ARGS) {
			if (!index_map(call, &item, index))
				return false;
			continue;
		}
		if (!is_vector && item.kind != VALUE_STRING && item.kind != VALUE_HTML)
			return rules_template_refuse(call, "can't index item of type %s",
						     rules_value_type(&item));
		size_t length = is_vector ? item.vector->n : item.string.n;
		if (!index_number(call, index, length, &at))
			return false;
		if (at == length)
			return rules_template_refuse(call, "reflect: %s index out of range",
						     is_vector ? "slice" : "string");
		if (is_vector)
			item = (struct template_value){.kind = VALUE_SAMPLE,
						       .sample = item.vector->v[at]};
		else
			item = (struct template_value){.kind = VALUE_INT,
						       .integer = (unsigned char)item.string.p[at]};
	}
	*call->out = item;
	return true;
}

static bool slice_vector(struct template_call *call, const struct value_vector *from, size_t first,
			 size_t end)
{
	struct value_vector *vector = cx_alloc(call->x->cx, sizeof(*vector));
	if (vector == NULL)
		return rules_template_refuse(call, "out of memory");
	*vector = (struct value_vector){from->v + first, end - first};
	*call->out = (struct template_value){.kind = VALUE_VECTOR, .vector = vector};
	return true;
}

static bool call_slice(struct template_call *call)
{
	const struct template_value *item = &call->arguments[0];
	bool is_text = item->kind == VALUE_STRING || item->kind == VALUE_HTML;
	size_t bounds[3] = {0};
	if (item->kind == VALUE_NONE || item->kind == VALUE_NIL)
		return rules_template_refuse(call, "slice of untyped nil");
	if (call->count > 4)
		return rules_template_refuse(call, "too many slice indexes: %zu", call->count - 1);
	if (is_text && call->count == 4)
		return rules_template_refuse(call, "cannot 3-index slice a string");
	if (!is_text && item->kind != VALUE_VECTOR)
		return rules_template_refuse(call, "can't slice item of type %s",
					     rules_value_type(item));
	bounds[1] = is_text ? item->string.n : item->vector->n;
	size_t length = bounds[1];
	for (size_t i = 1; i < call->count; i++)
		if (!index_number(call, &call->arguments[i], length, &bounds[i - 1]))
			return false;
	if (bounds[0] > bounds[1])
		return rules_template_refuse(call, "invalid slice index: %zu > %zu", bounds[0],
					     bounds[1]);
	if (!is_text)
		return slice_vector(call, item->vector, bounds[0], bounds[1]);
	*call->out = *item;
	call->out->string = str_make(item->string.p + bounds[0], bounds[1] - bounds[0]);
	return true;
}

static bool call_call(struct template_call *call)
{
	const struct template_value *v = &call->arguments[0];
	if (v->kind == VALUE_NONE || v->kind == VALUE_NIL)
		return rules_template_refuse(call, "call of nil");
	return rules_template_refuse(call, "non-function of type %s", rules_value_type(v));
}

/* ---- printing ---- */

static struct buf limited(void)
{
	return (struct buf){.limit_bytes = TEMPLATE_OUTPUT_LIMIT_BYTES};
}

static bool call_print(struct template_call *call)
{
	struct buf text = limited();
	rules_format_all(&text, call->arguments, call->count, false);
	return give_buf(call, &text);
}

static bool call_println(struct template_call *call)
{
	struct buf text = limited();
	rules_format_all(&text, call->arguments, call->count, true);
	return give_buf(call, &text);
}

static bool call_printf(struct template_call *call)
{
	struct buf text = limited();
	rules_format(&text, call->arguments[0].string, call->arguments + 1, call->count - 1);
	return give_buf(call, &text);
}

/* What an escaper takes: one string as it is, else all of them printed. */
static struct str escapee(struct template_call *call)
{
	struct buf text = limited();
	if (call->count == 1 && call->arguments[0].kind == VALUE_STRING)
		return call->arguments[0].string;
	rules_format_all(&text, call->arguments, call->count, false);
	struct str kept = cx_str(call->x->cx, buf_str(&text));
	buf_release(&text);
	return kept.p == NULL ? STR("") : kept;
}

static bool call_html(struct template_call *call)
{
	struct str text = escapee(call);
	struct buf out = limited();
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (c == '"')
			buf_puts(&out, "&#34;");
		else if (c == '\'')
			buf_puts(&out, "&#39;");
		else if (c == '\0')
			buf_puts(&out, "\xef\xbf\xbd");
		else
			buf_put_html(&out, str_make(&text.p[i], 1));
	}
	return give_buf(call, &out);
}

static bool call_js(struct template_call *call)
{
	struct str text = escapee(call);
	struct buf out = limited();
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c == '\\' || c == '\'' || c == '"')
			buf_printf(&out, "\\%c", c);
		else if (c == '<' || c == '>' || c == '&' || c == '=' || c < ' ')
			buf_printf(&out, "\\u%04X", c);
		else
			buf_putc(&out, (char)c);
	}
	return give_buf(call, &out);
}

static bool call_urlquery(struct template_call *call)
{
	struct str text = escapee(call);
	struct buf out = limited();
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == ' ')
			buf_putc(&out, '+');
		else
			buf_put_url(&out, str_make(&text.p[i], 1));
	return give_buf(call, &out);
}

const struct template_function rules_template_builtins[] = {
	{.name = "and", .least = 1, .variadic = true},
	{.name = "or", .least = 1, .variadic = true},
	{.name = "call", .least = 1, .variadic = true, .call = call_call},
	{.name = "eq", .least = 1, .variadic = true, .call = call_eq},
	{.name = "ge", .least = 2, .call = call_ge},
	{.name = "gt", .least = 2, .call = call_gt},
	{.name = "html", .variadic = true, .call = call_html},
	{.name = "index", .least = 1, .variadic = true, .call = call_index},
	{.name = "js", .variadic = true, .call = call_js},
	{.name = "le", .least = 2, .call = call_le},
	{.name = "len", .least = 1, .call = call_len},
	{.name = "lt", .least = 2, .call = call_lt},
	{.name = "ne", .least = 2, .call = call_ne},
	{.name = "not", .least = 1, .call = call_not},
	{.name = "print", .variadic = true, .call = call_print},
	{.name = "printf",
	 .parameters = {TAKES_STRING},
	 .least = 1,
	 .variadic = true,
	 .call = call_printf},
	{.name = "println", .variadic = true, .call = call_println},
	{.name = "slice", .least = 1, .variadic = true, .call = call_slice},
	{.name = "urlquery", .variadic = true, .call = call_urlquery},
};
const size_t rules_template_builtin_count =
	sizeof(rules_template_builtins) / sizeof(rules_template_builtins[0]);
