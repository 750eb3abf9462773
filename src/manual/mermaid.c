/* The flow chart part of Mermaid: `graph TD`, nodes in [], {}, () and their doubles, edges `-->`,
 * `-->|label|`, `-- label -->`, chains, comments. Styles and subgraphs are passed over. */
#include "manual/mermaid.h"

struct reader {
	struct mermaid *m;
	struct str rest; /* of the line */
	int line;
};

static bool word_byte(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
	       ch == '_' || (ch & 0x80) != 0;
}

static enum rc wrong(struct cx *cx, struct reader *r, const char *what)
{
	r->m->wrong = what;
	r->m->wrong_line = r->line;
	return cx_fail(cx, RC_INVALID, "%s", what);
}

static void skip_space(struct reader *r)
{
	while (r->rest.n > 0 && (r->rest.p[0] == ' ' || r->rest.p[0] == '\t'))
		r->rest = str_skip(r->rest, 1);
}

static enum rc node_by_key(struct cx *cx, struct reader *r, struct str key, size_t *out)
{
	struct mermaid *m = r->m;
	for (*out = 0; *out < m->node_count; (*out)++)
		if (str_eq(m->nodes[*out].key, key))
			return RC_OK;
	if (m->node_count == MERMAID_NODES_LIMIT)
		return wrong(cx, r, "the diagram has more than 200 steps");
	m->nodes[m->node_count++] = (struct mermaid_node){.key = key, .text = key, .line = r->line};
	return RC_OK;
}

static const struct {
	const char *open, *close;
	bool is_decision;
} shapes[] = {{"((", "))", false}, {"([", "])", false}, {"[[", "]]", false}, {"[(", ")]", false},
	      {"{{", "}}", false}, {"[/", "/]", false}, {"[", "]", false},   {"{", "}", true},
	      {"(", ")", false},   {">", "]", false}};

/* KEY, KEY[text], KEY{text} ... */
static enum rc read_node(struct cx *cx, struct reader *r, size_t *out)
{
	skip_space(r);
	size_t n = 0;
	while (n < r->rest.n && word_byte(r->rest.p[n]))
		n++;
	if (n == 0)
		return wrong(cx, r, "a step's name is missing");
	TRY(node_by_key(cx, r, str_make(r->rest.p, n), out));
	r->rest = str_skip(r->rest, n);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		if (!str_starts(r->rest, str_of(shapes[i].open)))
			continue;
		struct str inside = str_skip(r->rest, strlen(shapes[i].open));
		ptrdiff_t end = str_find(inside, str_of(shapes[i].close));
		if (end < 0)
			return wrong(cx, r, "a step's bracket is not closed");
		struct str text = str_trim(str_make(inside.p, (size_t)end));
		if (text.n >= 2 && text.p[0] == '"' && text.p[text.n - 1] == '"')
			text = str_make(text.p + 1, text.n - 2);
		struct mermaid_node *node = &r->m->nodes[*out];
		if (!str_eq(node->text, node->key) && !str_eq(node->text, text))
			return wrong(cx, r, "a step has two different texts");
		node->text = text;
		node->is_decision = shapes[i].is_decision;
		node->line = r->line;
		r->rest = str_skip(inside, (size_t)end + strlen(shapes[i].close));
		break;
	}
	return RC_OK;
}

static size_t arrow_length(struct str s)
{
	static const char *const arrows[] = {"-.->", "--->", "==>", "-->", "---"};
	for (size_t i = 0; i < sizeof(arrows) / sizeof(arrows[0]); i++)
		if (str_starts(s, str_of(arrows[i])))
			return strlen(arrows[i]);
	return 0;
}

/* `-->`, `-->|label|`, `-- label -->` */
static enum rc read_arrow(struct cx *cx, struct reader *r, struct str *label)
{
	*label = STR("");
	skip_space(r);
	size_t length = arrow_length(r->rest);
	if (length == 0 && str_starts(r->rest, STR("--"))) {
		ptrdiff_t end = str_find(str_skip(r->rest, 2), STR("-->"));
		if (end < 0)
			return wrong(cx, r, "an arrow is not finished");
		*label = str_trim(str_make(r->rest.p + 2, (size_t)end));
		r->rest = str_skip(r->rest, (size_t)end + 5);
		return RC_OK;
	}
	if (length == 0)
		return wrong(cx, r, "an arrow is missing");
	r->rest = str_skip(r->rest, length);
	skip_space(r);
	if (!str_starts(r->rest, STR("|")))
		return RC_OK;
	ptrdiff_t end = str_find(str_skip(r->rest, 1), STR("|"));
	if (end < 0)
		return wrong(cx, r, "an arrow's label is not closed");
	*label = str_trim(str_make(r->rest.p + 1, (size_t)end));
	r->rest = str_skip(r->rest, (size_t)end + 2);
	return RC_OK;
}

/* A whole word: a step may be called as it begins. */
static bool passed_over(struct str line)
{
	static const char *const words[] = {"style",     "classDef", "class", "click",
					    "linkStyle", "subgraph", "end",   "direction"};
	size_t n = 0;
	while (n < line.n && word_byte(line.p[n]))
		n++;
	bool alone = n == line.n || line.p[n] == ' ' || line.p[n] == '\t' || line.p[n] == ';';
	struct str after = str_trim(str_skip(line, n));
	for (size_t i = 0; alone && i < sizeof(words) / sizeof(words[0]); i++)
		if (str_eq(str_make(line.p, n), str_of(words[i])))
			return arrow_length(after) == 0;
	return line.n == 0 || str_starts(line, STR("%%"));
}

static enum rc read_line(struct cx *cx, struct reader *r)
{
	size_t from, to;
	TRY(read_node(cx, r, &from));
	for (skip_space(r); r->rest.n > 0 && !str_is(r->rest, ";"); skip_space(r)) {
		struct str label;
		TRY(read_arrow(cx, r, &label));
		TRY(read_node(cx, r, &to));
		if (r->m->edge_count == MERMAID_EDGES_LIMIT)
			return wrong(cx, r, "the diagram has more than 600 arrows");
		r->m->edges[r->m->edge_count++] = (struct mermaid_edge){from, to, label, r->line};
		r->m->nodes[to].incoming++;
		from = to;
	}
	return RC_OK;
}

enum rc mermaid_read(struct cx *cx, struct str text, struct mermaid *out)
{
	*out = (struct mermaid){0};
	struct reader r = {.m = out};
	struct str line;
	bool started = false;
	for (; str_split(&text, '\n', &line); r.line++) {
		line = str_trim(line);
		if (!started) {
			if (passed_over(line))
				continue;
			if (!str_starts(line, STR("graph")) && !str_starts(line, STR("flowchart")))
				return cx_fail(cx, RC_UNSUPPORTED, "not a flow chart");
			started = true;
			continue;
		}
		if (passed_over(line))
			continue;
		r.rest = line;
		TRY(read_line(cx, &r));
	}
	return RC_OK;
}
