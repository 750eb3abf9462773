/* Markdown to marks: cmark's tree is walked once; lists, tables and code blocks become marks that
 * know the headings they stand under. */
#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm.h>

#include "manual/compiler.h"

#define MARKS_LIMIT 20000

struct walk {
	struct compiler *c;
	const char *headings[7]; /* by level */
	int title_level;         /* the first heading's, when it is alone at the top */
	bool failed;
};

/* The text below a node, soft breaks as spaces, without markup. */
static void put_text(struct buf *out, cmark_node *node)
{
	for (cmark_node *child = cmark_node_first_child(node); child != NULL;
	     child = cmark_node_next(child)) {
		cmark_node_type type = cmark_node_get_type(child);
		if (type == CMARK_NODE_TEXT || type == CMARK_NODE_CODE)
			buf_puts(out, cmark_node_get_literal(child));
		else if (type == CMARK_NODE_SOFTBREAK || type == CMARK_NODE_LINEBREAK)
			buf_putc(out, ' ');
		else
			put_text(out, child);
	}
}

static const char *text_of(struct walk *walk, cmark_node *node)
{
	struct buf text = BUF_INIT;
	put_text(&text, node);
	const char *kept = compiler_text(walk->c, str_trim(buf_str(&text)));
	buf_release(&text);
	return kept;
}

static struct mark *add_mark(struct walk *walk, enum mark_kind kind, cmark_node *node)
{
	struct marks *marks = &walk->c->marks;
	if (marks->list.n >= MARKS_LIMIT) {
		walk->failed = true;
		return NULL;
	}
	struct mark *mark = vec_add(walk->c->cx, &marks->list);
	if (mark == NULL) {
		walk->failed = true;
		return NULL;
	}
	mark->kind = kind;
	mark->line = cmark_node_get_start_line(node);
	mark->column = cmark_node_get_start_column(node);
	mark->parent = -1;
	for (int level = 1; level <= 6; level++)
		if (walk->headings[level] != NULL && level != walk->title_level)
			mark->path[mark->depth++] = walk->headings[level];
	return mark;
}

static void take_heading(struct walk *walk, cmark_node *node)
{
	int level = cmark_node_get_heading_level(node);
	walk->headings[level] = text_of(walk, node);
	if (walk->title_level == 0)
		walk->title_level = level == 1 ? 1 : -1;
	for (int deeper = level + 1; deeper <= 6; deeper++)
		walk->headings[deeper] = NULL;
}

/* "**Key**: text", "**Key** text", "Key: text" without bold is text alone. */
static void split_key(struct walk *walk, struct mark *mark, cmark_node *paragraph)
{
	struct str all = str_of(text_of(walk, paragraph));
	cmark_node *first = cmark_node_first_child(paragraph);
	mark->text = all;
	if (first == NULL || cmark_node_get_type(first) != CMARK_NODE_STRONG)
		return;
	struct str key = str_of(text_of(walk, first));
	if (!str_starts(all, key))
		return;
	struct str rest = str_trim(str_skip(all, key.n));
	if (rest.n > 0 && rest.p[0] == ':')
		rest = str_trim(str_skip(rest, 1));
	else if (rest.n > 0 && !str_ends(key, STR(":")))
		return; /* a bold word in a sentence */
	if (str_ends(key, STR(":")))
		key.n--;
	mark->key = str_trim(key);
	mark->text = rest;
}

static size_t count_children(cmark_node *node)
{
	size_t count = 0;
	for (cmark_node *child = cmark_node_first_child(node); child != NULL;
	     child = cmark_node_next(child))
		count++;
	return count;
}

static void take_table(struct walk *walk, cmark_node *table)
{
	struct mark *mark = add_mark(walk, MARK_TABLE, table);
	if (mark == NULL)
		return;
	struct cx *cx = walk->c->cx;
	size_t rows = count_children(table);
	mark->column_count = cmark_gfm_extensions_get_table_columns(table);
	mark->rows = cx_array(cx, rows, sizeof(*mark->rows));
	mark->row_lines = cx_array(cx, rows, sizeof(*mark->row_lines));
	if (mark->rows == NULL || mark->row_lines == NULL) {
		walk->failed = true;
		return;
	}
	for (cmark_node *row = cmark_node_first_child(table); row != NULL;
	     row = cmark_node_next(row)) {
		struct str *cells = cx_array(cx, mark->column_count + 1, sizeof(*cells));
		if (cells == NULL) {
			walk->failed = true;
			return;
		}
		size_t at = 0;
		for (cmark_node *cell = cmark_node_first_child(row);
		     cell != NULL && at < mark->column_count; cell = cmark_node_next(cell))
			cells[at++] = str_of(text_of(walk, cell));
		mark->row_lines[mark->row_count] = cmark_node_get_start_line(row);
		mark->rows[mark->row_count++] = cells;
	}
}

static void take_code(struct walk *walk, cmark_node *node)
{
	struct mark *mark = add_mark(walk, MARK_CODE, node);
	if (mark == NULL)
		return;
	mark->info = str_of(compiler_text(walk->c, str_of(cmark_node_get_fence_info(node))));
	mark->literal = str_of(compiler_text(walk->c, str_of(cmark_node_get_literal(node))));
}

static void take_list(struct walk *walk, cmark_node *list, int parent, int depth);

/* What stands below the words of an item. */
static void take_inside(struct walk *walk, cmark_node *child, int index, int depth)
{
	if (cmark_node_get_type(child) == CMARK_NODE_LIST && depth < 16) {
		walk->c->marks.list.v[index].has_children = true;
		take_list(walk, child, index, depth + 1);
	} else if (cmark_node_get_type(child) == CMARK_NODE_CODE_BLOCK) {
		take_code(walk, child);
	} else if (strcmp(cmark_node_get_type_string(child), "table") == 0) {
		take_table(walk, child);
	}
}

static void take_list(struct walk *walk, cmark_node *list, int parent, int depth)
{
	int number = 0;
	for (cmark_node *item = cmark_node_first_child(list); item != NULL && !walk->failed;
	     item = cmark_node_next(item)) {
		struct mark *mark = add_mark(walk, MARK_ITEM, item);
		if (mark == NULL)
			return;
		int index = (int)(mark - walk->c->marks.list.v);
		mark->parent = parent;
		mark->number = ++number;
		mark->is_numbered = cmark_node_get_list_type(list) == CMARK_ORDERED_LIST;
		mark->is_task = strcmp(cmark_node_get_type_string(item), "tasklist") == 0;
		cmark_node *child = cmark_node_first_child(item);
		if (child != NULL && cmark_node_get_type(child) == CMARK_NODE_PARAGRAPH)
			split_key(walk, mark, child);
		for (; child != NULL && !walk->failed; child = cmark_node_next(child))
			take_inside(walk, child, index, depth);
	}
}

static void take_blocks(struct walk *walk, cmark_node *parent, int depth)
{
	for (cmark_node *node = cmark_node_first_child(parent); node != NULL && !walk->failed;
	     node = cmark_node_next(node)) {
		cmark_node_type type = cmark_node_get_type(node);
		if (type == CMARK_NODE_HEADING)
			take_heading(walk, node);
		else if (type == CMARK_NODE_LIST)
			take_list(walk, node, -1, 0);
		else if (type == CMARK_NODE_CODE_BLOCK)
			take_code(walk, node);
		else if (strcmp(cmark_node_get_type_string(node), "table") == 0)
			take_table(walk, node);
		else if (type == CMARK_NODE_BLOCK_QUOTE && depth < 8)
			take_blocks(walk, node, depth + 1);
	}
}

enum rc compiler_read_document(struct compiler *c)
{
	cmark_gfm_core_extensions_ensure_registered();
	cmark_parser *parser = cmark_parser_new(CMARK_OPT_VALIDATE_UTF8);
	static const char *const extensions[] = {"table", "tasklist"};
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++)
		cmark_parser_attach_syntax_extension(parser,
						     cmark_find_syntax_extension(extensions[i]));
	cmark_parser_feed(parser, c->input->document.p, c->input->document.n);
	cmark_node *document = cmark_parser_finish(parser);
	struct walk walk = {.c = c};
	take_blocks(&walk, document, 0);
	cmark_node_free(document);
	cmark_parser_free(parser);
	if (walk.failed)
		return cx_fail(c->cx, RC_LIMIT, "'%s' is too large to compile",
			       c->input->document_path);
	return RC_OK;
}
