/* Nodes of templates as Go prints them in messages, and what a template depends on. */
#include "rules/template/inside.h"

static void put_list(struct buf *out, const struct template_node *list)
{
	for (size_t i = 0; list != NULL && i < list->kid_count; i++)
		rules_template_print(out, list->kids[i]);
}

static void put_fields(struct buf *out, const struct template_node *node)
{
	for (size_t i = 0; i < node->field_count; i++)
		buf_printf(out, "." STR_FMT, STR_ARG(node->fields[i]));
}

static void put_pipe(struct buf *out, const struct template_node *pipe)
{
	for (size_t i = 0; i < pipe->declared_count; i++)
		buf_printf(out, "%s" STR_FMT, i == 0 ? "" : ", ", STR_ARG(pipe->declared[i]));
	if (pipe->declared_count > 0)
		buf_puts(out, pipe->assigns ? " = " : " := ");
	for (size_t i = 0; i < pipe->kid_count; i++) {
		buf_puts(out, i == 0 ? "" : " | ");
		rules_template_print(out, pipe->kids[i]);
	}
}

static void put_word(struct buf *out, const struct template_node *word)
{
	bool nested = word->kind == NODE_PIPE;
	buf_puts(out, nested ? "(" : "");
	rules_template_print(out, word);
	buf_puts(out, nested ? ")" : "");
}

static void put_branches(struct buf *out, const struct template_node *node, const char *word)
{
	buf_printf(out, "{{%s ", word);
	put_pipe(out, node->pipe);
	buf_puts(out, "}}");
	put_list(out, node->body);
	if (node->otherwise != NULL) {
		buf_puts(out, "{{else}}");
		put_list(out, node->otherwise);
	}
	buf_puts(out, "{{end}}");
}

void rules_template_print(struct buf *out, const struct template_node *node)
{
	switch (node->kind) {
	case NODE_LIST:
		put_list(out, node);
		break;
	case NODE_ACTION:
		buf_puts(out, "{{");
		put_pipe(out, node->pipe);
		buf_puts(out, "}}");
		break;
	case NODE_IF:
		put_branches(out, node, "if");
		break;
	case NODE_RANGE:
		put_branches(out, node, "range");
		break;
	case NODE_WITH:
		put_branches(out, node, "with");
		break;
	case NODE_TEMPLATE:
		buf_puts(out, "{{template ");
		rules_value_put_quoted(out, node->text);
		if (node->pipe != NULL) {
			buf_putc(out, ' ');
			put_pipe(out, node->pipe);
		}
		buf_puts(out, "}}");
		break;
	case NODE_PIPE:
		put_pipe(out, node);
		break;
	case NODE_COMMAND:
		for (size_t i = 0; i < node->kid_count; i++) {
			buf_puts(out, i == 0 ? "" : " ");
			put_word(out, node->kids[i]);
		}
		break;
	case NODE_FIELD:
		put_fields(out, node);
		break;
	case NODE_VARIABLE:
		buf_put_str(out, node->text);
		put_fields(out, node);
		break;
	case NODE_CHAIN:
		put_word(out, node->kids[0]);
		put_fields(out, node);
		break;
	case NODE_BREAK:
	case NODE_CONTINUE:
		buf_printf(out, "{{" STR_FMT "}}", STR_ARG(node->text));
		break;
	default:
		buf_put_str(out, node->text);
	}
}

/* ---- what it depends on ---- */

static bool is_of_labels(struct str field)
{
	return str_is(field, "Labels") || str_is(field, "ExternalLabels") ||
	       str_is(field, "ExternalURL");
}

enum dependence { OF_LABELS, OF_VALUE, OF_ANYTHING };

static enum dependence dependence_of(const struct template_node *node)
{
	enum dependence worst = OF_LABELS, one;
	if (node == NULL)
		return OF_LABELS;
	switch (node->kind) {
	case NODE_DOT:
		return OF_VALUE;
	case NODE_TEMPLATE: /* its definition is not looked at */
		return OF_ANYTHING;
	case NODE_FIELD:
		return is_of_labels(node->fields[0]) ? OF_LABELS : OF_VALUE;
	case NODE_VARIABLE:
		if (str_is(node->text, "$"))
			return node->field_count > 0 && is_of_labels(node->fields[0]) ? OF_LABELS
										      : OF_VALUE;
		return str_is(node->text, "$value") ? OF_VALUE : OF_LABELS;
	case NODE_FUNCTION:
		return node->function->volatile_answer ? OF_ANYTHING : OF_LABELS;
	default:
		break;
	}
	const struct template_node *parts[] = {node->pipe, node->body, node->otherwise};
	for (size_t i = 0; i < node->kid_count; i++) {
		one = dependence_of(node->kids[i]);
		worst = one > worst ? one : worst;
	}
	for (int i = 0; i < 3; i++) {
		one = dependence_of(parts[i]);
		worst = one > worst ? one : worst;
	}
	return worst;
}

#define PREAMBLE_ACTIONS 4

void rules_template_judge(struct template *template)
{
	const struct template_node *body = template->body;
	size_t preamble = sizeof(TEMPLATE_PREAMBLE) - 1;
	template->constant = template->definition_count == 0;
	template->of_labels = template->of_value = true;
	for (size_t i = 0; i < body->kid_count; i++) {
		const struct template_node *item = body->kids[i];
		enum dependence dependence = dependence_of(item);
		if (item->at < preamble)
			continue;
		/* one text that is all there is: comments and trimmed blanks are not */
		template->constant &= item->kind == NODE_TEXT && item->at == preamble &&
				      item->text.n == template->text.n - preamble;
		template->of_labels &= dependence == OF_LABELS;
		template->of_value &= dependence <= OF_VALUE;
	}
	if (body->kid_count == PREAMBLE_ACTIONS && template->text.n > preamble)
		template->constant = false; /* nothing but comments */
}

bool rules_template_is_constant(const struct template *template)
{
	return template->constant;
}

bool rules_template_of_labels(const struct template *template)
{
	return template->of_labels;
}

bool rules_template_of_value(const struct template *template)
{
	return template->of_value;
}
