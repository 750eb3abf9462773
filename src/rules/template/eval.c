/* Expanding templates: nodes walked over values, with limits on steps, depth, text and time. */
#include <stdio.h>

#include "base/check.h"
#include "rules/template/inside.h"

#define ARGUMENTS_LIMIT 64
#define STEPS_PER_CLOCK 1024 /* the deadline is looked at so often */

enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE, FLOW_FAILED };

static const struct value_vector empty_vector;
static const struct template_value nothing = {.kind = VALUE_NONE};

/* ---- failing ---- */

static void put_place(struct execution *x, struct buf *out)
{
	const struct template *t = x->template;
	size_t line = 1, column = x->node->at;
	for (size_t i = 0; i < x->node->at && i < t->text.n; i++)
		if (t->text.p[i] == '\n') {
			line++;
			column = x->node->at - i - 1;
		}
	buf_printf(out, "template: " STR_FMT ":%zu:%zu: executing \"" STR_FMT "\" at <",
		   STR_ARG(t->name), line, column, STR_ARG(x->running));
	rules_template_print(out, x->node);
	buf_puts(out, ">: ");
}

static bool refuse(struct execution *x, const char *format, ...) PRINTF_LIKE(2, 3);
static bool refuse(struct execution *x, const char *format, ...)
{
	char text[800];
	va_list args;
	if (x->failed)
		return false;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	x->failed = true;
	put_place(x, &x->message);
	buf_puts(&x->message, text);
	return false;
}

/* "<.Labels>: ..." with a node in the words */
static bool refuse_node(struct execution *x, const char *before, const struct template_node *node,
			const char *after)
{
	struct buf text = BUF_INIT;
	rules_template_print(&text, node);
	(void)refuse(x, "%s%s%s", before, buf_str(&text).p, after);
	buf_release(&text);
	return false;
}

static bool step(struct execution *x, const struct template_node *node)
{
	x->node = node;
	if (++x->steps > TEMPLATE_STEPS_LIMIT)
		return refuse(x, "more than %d steps", TEMPLATE_STEPS_LIMIT);
	if (x->out->overflowed)
		return refuse(x, "more than %d bytes", TEMPLATE_OUTPUT_LIMIT_BYTES);
	if (x->cx->arena->exhausted)
		return refuse(x, "too much memory is needed");
	if (x->steps % STEPS_PER_CLOCK == 0 && cx_in_time(x->cx) != RC_OK)
		return refuse(x, "the time is over");
	return true;
}

/* ---- variables ---- */

static bool push(struct execution *x, struct str name, struct template_value value)
{
	struct template_variable *variable = vec_add(x->cx, &x->variables);
	if (variable == NULL)
		return refuse(x, "too much memory is needed");
	*variable = (struct template_variable){name, value};
	return true;
}

static struct template_variable *find(struct execution *x, struct str name)
{
	for (size_t i = x->variables.n; i > x->base; i--)
		if (str_eq(x->variables.v[i - 1].name, name))
			return &x->variables.v[i - 1];
	return NULL;
}

static bool assign(struct execution *x, struct str name, struct template_value value)
{
	struct template_variable *variable = find(x, name);
	if (variable == NULL)
		return refuse(x, "undefined variable: " STR_FMT, STR_ARG(name));
	variable->value = value;
	return true;
}

/* ---- expressions ---- */

static bool eval_pipe(struct execution *x, const struct template_value *dot,
		      const struct template_node *pipe, struct template_value *out);
static bool eval_argument(struct execution *x, const struct template_value *dot,
			  enum parameter_type type, const struct template_node *node,
			  struct template_value *out);

/* What follows a word: its arguments (words[1..]) and the value of the pipe before it. */
struct words {
	struct template_node *const *v;
	size_t n;
	const struct template_value *final; /* NULL: the first of its pipe */
	const struct template_node *command;
};

static bool takes_no_arguments(struct execution *x, const struct words *words)
{
	if (words->n <= 1 && words->final == NULL)
		return true;
	return refuse_node(x, "can't give argument to non-function ", words->v[0], "");
}

static const char *parameter_name(enum parameter_type type)
{
	static const char *const names[] = {"interface {}", "string", "*template.sample",
					    "template.queryResult"};
	return names[type];
}

static bool fits(struct execution *x, enum parameter_type type, struct template_value *value)
{
	static const enum value_kind kinds[] = {VALUE_NONE, VALUE_STRING, VALUE_SAMPLE,
						VALUE_VECTOR};
	if (type == TAKES_ANY || value->kind == kinds[type])
		return true;
	if (value->kind != VALUE_NONE && value->kind != VALUE_NIL)
		return refuse(x, "wrong type for value; expected %s; got %s", parameter_name(type),
			      rules_value_type(value));
	if (type == TAKES_VECTOR) {
		*value = (struct template_value){.kind = VALUE_VECTOR, .vector = &empty_vector};
		return true;
	}
	return type == TAKES_SAMPLE || /* the call fails */
	       refuse(x, "invalid value; expected %s", parameter_name(type));
}

static enum parameter_type parameter_of(const struct template_function *f, size_t at)
{
	size_t last = f->variadic ? (size_t)f->least : (size_t)f->least - 1;
	at = at > last ? last : at;
	return f->parameters[at];
}

static bool count_fits(struct execution *x, const struct template_function *f, size_t given,
		       size_t written)
{
	if (given > ARGUMENTS_LIMIT)
		return refuse(x, "more than %d arguments for %s", ARGUMENTS_LIMIT, f->name);
	if (f->variadic && given < (size_t)f->least)
		return refuse(x, "wrong number of args for %s: want at least %d got %zu", f->name,
			      f->least, written);
	if (!f->variadic && given != (size_t)f->least)
		return refuse(x, "wrong number of args for %s: want %d got %zu", f->name, f->least,
			      given);
	return true;
}

/* and, or: what comes after the answer is known is not evaluated */
static bool eval_logic(struct execution *x, const struct template_value *dot,
		       const struct words *words, bool is_or, struct template_value *out)
{
	*out = nothing;
	for (size_t i = 1; i < words->n; i++) {
		if (!eval_argument(x, dot, TAKES_ANY, words->v[i], out))
			return false;
		if (rules_value_truth(out) == is_or)
			return true;
	}
	if (words->final != NULL)
		*out = *words->final;
	return true;
}

static bool eval_function(struct execution *x, const struct template_value *dot,
			  const struct words *words, struct template_value *out)
{
	const struct template_node *node = words->v[0];
	const struct template_function *f = node->function;
	struct template_value arguments[ARGUMENTS_LIMIT];
	size_t count = words->n - 1 + (words->final != NULL);
	struct template_call call = {x, f->name, arguments, count, out, BUF_INIT};
	if (!step(x, node) || !count_fits(x, f, count, words->n - 1))
		return false;
	if (f->call == NULL)
		return eval_logic(x, dot, words, f->name[0] == 'o', out);
	for (size_t i = 1; i < words->n; i++)
		if (!eval_argument(x, dot, parameter_of(f, i - 1), words->v[i], &arguments[i - 1]))
			return false;
	if (words->final != NULL) {
		arguments[count - 1] = *words->final;
		if (!fits(x, parameter_of(f, count - 1), &arguments[count - 1]))
			return false;
	}
	bool good = true;
	for (size_t i = 0; i < count && good; i++)
		good = parameter_of(f, i) != TAKES_SAMPLE || arguments[i].kind == VALUE_SAMPLE;
	good = good ? f->call(&call)
		    : rules_template_refuse(&call, "runtime error: invalid memory address or nil "
						   "pointer dereference");
	if (!good) {
		x->node = words->command;
		(void)refuse(x, "error calling %s: %s", f->name, buf_str(&call.why).p);
	}
	buf_release(&call.why);
	return good;
}

static bool data_field(const struct template_data *data, struct str name,
		       struct template_value *out)
{
	if (str_is(name, "Labels"))
		*out = (struct template_value){.kind = VALUE_MAP, .map = data->labels};
	else if (str_is(name, "ExternalLabels"))
		*out = (struct template_value){.kind = VALUE_MAP, .map = data->external_labels};
	else if (str_is(name, "ExternalURL"))
		*out = rules_value_string(data->external_url);
	else if (str_is(name, "Value"))
		*out = (struct template_value){.kind = VALUE_FLOAT, .real = data->value};
	else
		return false;
	return true;
}

static bool sample_field(const struct promql_series *sample, struct str name,
			 struct template_value *out)
{
	if (str_is(name, "Labels"))
		*out = (struct template_value){.kind = VALUE_MAP, .map = &sample->labels};
	else if (str_is(name, "Value"))
		*out = (struct template_value){.kind = VALUE_FLOAT, .real = sample->values[0]};
	else
		return false;
	return true;
}

/* A method of an instant, with the arguments that stand behind it. */
static bool eval_method(struct execution *x, const struct template_value *dot, struct str name,
			const struct words *words, struct template_value *value, bool *known)
{
	struct template_value arguments[ARGUMENTS_LIMIT];
	size_t count = 0;
	const char *why = NULL;
	enum parameter_type takes = str_is(name, "Format") ? TAKES_STRING : TAKES_ANY;
	for (size_t i = 1; words != NULL && i < words->n && count + 1 < ARGUMENTS_LIMIT; i++)
		if (!eval_argument(x, dot, takes, words->v[i], &arguments[count++]))
			return false;
	if (words != NULL && words->final != NULL)
		arguments[count++] = *words->final;
	struct template_value found;
	*known = rules_time_method(x->cx, value, name, arguments, count, &found, &why);
	if (*known)
		*value = found;
	return why == NULL || refuse(x, "error calling " STR_FMT ": %s", STR_ARG(name), why);
}

/* value.name; words are given for the last field only: they may hold arguments. of_args: the value
 * is of type interface {}. */
static bool eval_field(struct execution *x, const struct template_value *dot, struct str name,
		       const struct words *words, bool of_args, struct template_value *value)
{
	bool has_arguments = words != NULL && (words->n > 1 || words->final != NULL);
	bool known = false;
	const char *type = of_args ? "interface {}" : rules_value_type(value);
	switch (value->kind) {
	case VALUE_NONE:
		return true; /* nothing of nothing */
	case VALUE_MAP:
	case VALUE_ARGS:
		if (has_arguments)
			return refuse(x, STR_FMT " is not a method but has arguments",
				      STR_ARG(name));
		if (value->kind == VALUE_MAP)
			*value = rules_value_string(labels_get(value->map, name));
		else if (!rules_value_argument(value->args, name, value))
			*value = nothing;
		return true;
	case VALUE_DATA:
		known = data_field(value->data, name, value);
		break;
	case VALUE_SAMPLE:
		known = sample_field(value->sample, name, value);
		break;
	case VALUE_TIME:
		if (!eval_method(x, dot, name, words, value, &known))
			return false;
		has_arguments = false;
		break;
	default:
		break;
	}
	if (!known)
		return refuse(x, "can't evaluate field " STR_FMT " in type %s", STR_ARG(name),
			      type);
	if (has_arguments)
		return refuse(x, STR_FMT " has arguments but cannot be invoked as function",
			      STR_ARG(name));
	return true;
}

static bool eval_fields(struct execution *x, const struct template_value *dot,
			const struct template_node *node, const struct words *words,
			struct template_value *value)
{
	bool of_args = false; /* what args() holds has no type of its own */
	for (size_t i = 0; i < node->field_count; i++) {
		bool next_of_args = value->kind == VALUE_ARGS;
		if (!eval_field(x, dot, node->fields[i], i + 1 == node->field_count ? words : NULL,
				of_args, value))
			return false;
		of_args = next_of_args;
	}
	return true;
}

static bool eval_variable(struct execution *x, const struct template_value *dot,
			  const struct words *words, struct template_value *out)
{
	const struct template_node *node = words->v[0];
	const struct template_variable *variable = find(x, node->text);
	if (!step(x, node))
		return false;
	if (variable == NULL)
		return refuse(x, "undefined variable: " STR_FMT, STR_ARG(node->text));
	*out = variable->value;
	if (node->field_count == 0)
		return takes_no_arguments(x, words);
	return eval_fields(x, dot, node, words, out);
}

static bool eval_chain(struct execution *x, const struct template_value *dot,
		       const struct words *words, struct template_value *out)
{
	const struct template_node *node = words->v[0];
	return step(x, node) && eval_argument(x, dot, TAKES_ANY, node->kids[0], out) &&
	       eval_fields(x, dot, node, words, out);
}

/* The first word of a command, or a word of its own. */
static bool eval_words(struct execution *x, const struct template_value *dot,
		       const struct words *words, struct template_value *out)
{
	const struct template_node *first = words->v[0];
	switch (first->kind) {
	case NODE_FIELD:
		*out = *dot;
		return step(x, first) && eval_fields(x, dot, first, words, out);
	case NODE_CHAIN:
		return eval_chain(x, dot, words, out);
	case NODE_FUNCTION:
		return eval_function(x, dot, words, out);
	case NODE_VARIABLE:
		return eval_variable(x, dot, words, out);
	case NODE_PIPE:
		return takes_no_arguments(x, words) && eval_pipe(x, dot, first, out);
	default:
		break;
	}
	if (!step(x, first) || !takes_no_arguments(x, words))
		return false;
	*out = first->kind == NODE_DOT ? *dot : first->value;
	if (first->kind == NODE_NUMBER && out->kind == VALUE_NIL)
		return refuse(x, STR_FMT " overflows int", STR_ARG(first->text));
	return true;
}

static bool eval_argument(struct execution *x, const struct template_value *dot,
			  enum parameter_type type, const struct template_node *node,
			  struct template_value *out)
{
	struct template_node *word[] = {(struct template_node *)(uintptr_t)node};
	struct words words = {word, 1, NULL, node};
	bool literal =
		node->kind == NODE_BOOL || node->kind == NODE_NUMBER || node->kind == NODE_STRING;
	if (!step(x, node))
		return false;
	if (node->kind == NODE_NIL && type == TAKES_STRING)
		return refuse(x, "cannot assign nil to string");
	if (literal && type == TAKES_STRING && node->kind != NODE_STRING)
		return refuse_node(x, "expected string; found ", node, "");
	if (literal && type > TAKES_STRING) {
		char after[80];
		snprintf(after, sizeof(after), " for arg of type %s", parameter_name(type));
		return refuse_node(x, "can't handle ", node, after);
	}
	return eval_words(x, dot, &words, out) && fits(x, type, out);
}

static bool eval_pipe(struct execution *x, const struct template_value *dot,
		      const struct template_node *pipe, struct template_value *out)
{
	struct template_value value = nothing;
	if (!step(x, pipe))
		return false;
	for (size_t i = 0; i < pipe->kid_count; i++) {
		const struct template_node *command = pipe->kids[i];
		struct template_value before = value;
		struct words words = {command->kids, command->kid_count, i == 0 ? NULL : &before,
				      command};
		if (command->kids[0]->kind == NODE_NIL) {
			x->node = command->kids[0];
			return refuse(x, "nil is not a command");
		}
		if (!eval_words(x, dot, &words, &value))
			return false;
	}
	for (size_t i = 0; i < pipe->declared_count; i++)
		if (!(pipe->assigns ? assign(x, pipe->declared[i], value)
				    : push(x, pipe->declared[i], value)))
			return false;
	*out = value;
	return true;
}

/* ---- walking ---- */

static enum flow walk(struct execution *x, const struct template_value *dot,
		      const struct template_node *node);

static enum flow walk_list(struct execution *x, const struct template_value *dot,
			   const struct template_node *list)
{
	enum flow flow = FLOW_ON;
	for (size_t i = 0; list != NULL && i < list->kid_count && flow == FLOW_ON; i++)
		flow = walk(x, dot, list->kids[i]);
	return flow;
}

static enum flow walk_if(struct execution *x, const struct template_value *dot,
			 const struct template_node *node)
{
	size_t mark = x->variables.n;
	struct template_value value;
	if (!eval_pipe(x, dot, node->pipe, &value))
		return FLOW_FAILED;
	enum flow flow = rules_value_truth(&value)
				 ? walk_list(x, node->kind == NODE_WITH ? &value : dot, node->body)
				 : walk_list(x, dot, node->otherwise);
	x->variables.n = mark;
	return flow;
}

static size_t length_of(const struct template_value *value)
{
	return value->kind == VALUE_VECTOR ? value->vector->n
	       : value->kind == VALUE_MAP  ? value->map->n
	       : value->kind == VALUE_ARGS ? value->args->n
					   : 0;
}

static void element_of(struct execution *x, const struct template_value *value, size_t at,
		       struct template_value *index, struct template_value *element)
{
	*index = (struct template_value){.kind = VALUE_INT, .integer = (int64_t)at};
	switch (value->kind) {
	case VALUE_VECTOR:
		*element = (struct template_value){.kind = VALUE_SAMPLE,
						   .sample = value->vector->v[at]};
		break;
	case VALUE_MAP:
		*index = rules_value_string(value->map->v[at].name);
		*element = rules_value_string(value->map->v[at].value);
		break;
	default:
		*index = rules_value_string(str_of(cx_printf(x->cx, "arg%zu", at)));
		*element = value->args->v[at];
	}
}

/* Two variables: the index, then the element; one: the element. */
static bool set_range_variables(struct execution *x, const struct template_node *pipe,
				struct template_value index, struct template_value element)
{
	size_t n = pipe->declared_count;
	if (n == 0)
		return true;
	if (n == 1)
		return assign(x, pipe->declared[0], element);
	return assign(x, pipe->declared[0], index) && assign(x, pipe->declared[1], element);
}

static enum flow walk_range(struct execution *x, const struct template_value *dot,
			    const struct template_node *node)
{
	size_t mark = x->variables.n, inner;
	struct template_value value, index, element;
	enum flow flow = FLOW_ON;
	if (!eval_pipe(x, dot, node->pipe, &value))
		return FLOW_FAILED;
	inner = x->variables.n;
	bool iterable = value.kind == VALUE_VECTOR || value.kind == VALUE_MAP ||
			value.kind == VALUE_ARGS || value.kind == VALUE_NONE;
	if (!iterable) {
		struct buf text = BUF_INIT;
		rules_value_print(&text, &value);
		(void)refuse(x, "range can't iterate over %s", buf_str(&text).p);
		buf_release(&text);
		return FLOW_FAILED;
	}
	size_t n = length_of(&value);
	if (n == 0)
		flow = walk_list(x, dot, node->otherwise);
	for (size_t i = 0; i < n && flow == FLOW_ON; i++) {
		element_of(x, &value, i, &index, &element);
		if (!set_range_variables(x, node->pipe, index, element))
			return FLOW_FAILED;
		flow = walk_list(x, &element, node->body);
		x->variables.n = inner;
		flow = flow == FLOW_CONTINUE ? FLOW_ON : flow;
	}
	x->variables.n = mark;
	return flow == FLOW_BREAK ? FLOW_ON : flow;
}

static const struct template_node *definition(const struct template *template, struct str name)
{
	if (str_eq(name, template->name))
		return template->body;
	for (size_t i = 0; i < template->definition_count; i++)
		if (str_eq(name, template->definitions[i].name))
			return template->definitions[i].body;
	return NULL;
}

static enum flow walk_template(struct execution *x, const struct template_value *dot,
			       const struct template_node *node)
{
	const struct template_node *body = definition(x->template, node->text);
	struct template_value inner = nothing;
	struct str outer = x->running;
	size_t mark = x->variables.n, base = x->base;
	if (body == NULL)
		return refuse(x, "template \"" STR_FMT "\" not defined", STR_ARG(node->text)),
		       FLOW_FAILED;
	if (x->depth >= TEMPLATE_CALL_DEPTH_LIMIT)
		return refuse(x, "exceeded maximum template depth (%d)", TEMPLATE_CALL_DEPTH_LIMIT),
		       FLOW_FAILED;
	if (node->pipe != NULL && !eval_pipe(x, dot, node->pipe, &inner))
		return FLOW_FAILED;
	x->base = x->variables.n;
	if (!push(x, STR("$"), inner))
		return FLOW_FAILED;
	x->running = node->text;
	x->depth++;
	enum flow flow = walk_list(x, &inner, body);
	x->depth--;
	x->running = outer;
	x->base = base;
	x->variables.n = mark;
	return flow;
}

static enum flow walk(struct execution *x, const struct template_value *dot,
		      const struct template_node *node)
{
	struct template_value value;
	if (!step(x, node))
		return FLOW_FAILED;
	switch (node->kind) {
	case NODE_TEXT:
		buf_put_str(x->out, node->text);
		return FLOW_ON;
	case NODE_ACTION:
		if (!eval_pipe(x, dot, node->pipe, &value))
			return FLOW_FAILED;
		if (node->pipe->declared_count == 0)
			rules_value_print(x->out, &value);
		return FLOW_ON;
	case NODE_IF:
	case NODE_WITH:
		return walk_if(x, dot, node);
	case NODE_RANGE:
		return walk_range(x, dot, node);
	case NODE_TEMPLATE:
		return walk_template(x, dot, node);
	case NODE_BREAK:
		return FLOW_BREAK;
	case NODE_CONTINUE:
		return FLOW_CONTINUE;
	default:
		return walk_list(x, dot, node);
	}
}

void rules_template_expand(struct cx *cx, const struct template *template,
			   const struct template_data *data, struct buf *out)
{
	struct arena_mark mark = arena_mark(cx->arena);
	struct buf text = {.limit_bytes = TEMPLATE_OUTPUT_LIMIT_BYTES};
	struct execution x = {.cx = cx,
			      .template = template,
			      .data = data,
			      .out = &text,
			      .running = template->name,
			      .node = template->body};
	struct template_value dot = {.kind = VALUE_DATA, .data = data};
	if (template->constant) {
		buf_put_str(out, str_skip(template->text, sizeof(TEMPLATE_PREAMBLE) - 1));
		return;
	}
	if (push(&x, STR("$"), dot) && walk_list(&x, &dot, template->body) != FLOW_FAILED)
		(void)step(&x, template->body); /* the limits once more */
	if (x.failed)
		buf_printf(out,
			   "<error expanding template: error executing template " STR_FMT ": %s>",
			   STR_ARG(template->name), buf_str(&x.message).p);
	else
		buf_put_str(out, buf_str(&text));
	buf_release(&x.message);
	buf_release(&text);
	arena_rewind(cx->arena, mark);
}
