/* YAML by libfyaml. */
#include "rules/yaml.h"

#include <libfyaml.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "conf/conf.h"
#include "rules/duration.h"

#define NODES_LIMIT 2000000
#define DEPTH_LIMIT 64
#define FIELDS_LIMIT 24
#define QUOTED_LIMIT_BYTES 400

/* ---- telling ---- */

/* The line, unless it is long, without what moves a terminal's cursor; and the byte of the column,
 * which counts characters. */
static const char *line_at(struct yaml_file *file, const struct place *place, size_t *caret)
{
	struct str rest = file->text, found = {0};
	for (int i = 0; i < place->line; i++)
		if (!str_split(&rest, '\n', &found))
			return NULL;
	while (found.n > 0 && found.p[found.n - 1] == '\r')
		found.n--;
	char *line = found.n > QUOTED_LIMIT_BYTES ? NULL : str_dup(file->cx->arena, found);
	*caret = 0;
	for (int i = 1; line != NULL && i < place->column && *caret < found.n; i++)
		do
			++*caret;
		while ((line[*caret] & 0xc0) == 0x80);
	for (char *c = line; c != NULL && *c != '\0'; c++)
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
			*c = ' ';
	return line;
}

static void tell(struct yaml_file *file, bool is_error, int line, int column, const char *hint,
		 const char *format, va_list args) PRINTF_LIKE(6, 0);
static void tell(struct yaml_file *file, bool is_error, int line, int column, const char *hint,
		 const char *format, va_list args)
{
	struct diagnostic *d = vec_add(file->cx, &file->diagnostics->list);
	file->diagnostics->errors += is_error;
	if (d == NULL)
		return;
	*d = (struct diagnostic){.is_error = is_error,
				 .place = {MANUAL_SITE, line, column},
				 .path = file->path,
				 .message = arena_vprintf(file->cx->arena, format, args),
				 .hint = hint};
	if (line > 0)
		d->quoted = line_at(file, &d->place, &d->caret);
	if (d->message == NULL)
		d->message = "out of memory";
}

void rules_yaml_tell(struct yaml_file *file, int line, int column, const char *hint,
		     const char *format, ...)
{
	va_list args;
	va_start(args, format);
	tell(file, true, line, column, hint, format, args);
	va_end(args);
}

void rules_yaml_warn(struct yaml_file *file, int line, int column, const char *hint,
		     const char *format, ...)
{
	va_list args;
	va_start(args, format);
	tell(file, false, line, column, hint, format, args);
	va_end(args);
}

/* ---- the tree ---- */

struct builder {
	struct yaml_file *file;
	struct map built; /* anchors' nodes, by address */
	size_t nodes;
};

static struct yaml_node under_way; /* what an alias inside its own anchor finds */

static struct yaml_node *build(struct builder *b, struct fy_node *from, int line, int column,
			       int depth);

static void place_of(struct fy_node *node, int *line, int *column)
{
	struct fy_token *token = fy_node_get_scalar_token(node);
	const struct fy_mark *mark = token == NULL ? NULL : fy_token_start_mark(token);
	if (mark != NULL) {
		*line = mark->line + 1;
		*column = mark->column + 1;
	}
}

static bool has_key(const struct yaml_node *node, struct str key)
{
	for (size_t i = 0; i < node->entry_count; i++)
		if (str_eq(node->entries[i].key, key))
			return true;
	return false;
}

static struct yaml_entry *add_entry(struct builder *b, struct yaml_node *node, size_t *capacity)
{
	if (node->entry_count == *capacity) {
		size_t grown = *capacity == 0 ? 8 : *capacity * 2;
		struct yaml_entry *entries = cx_array(b->file->cx, grown, sizeof(*entries));
		if (entries == NULL)
			return NULL;
		if (node->entry_count > 0)
			memcpy(entries, node->entries, node->entry_count * sizeof(*entries));
		node->entries = entries;
		*capacity = grown;
	}
	return &node->entries[node->entry_count++];
}

/* `<<: *defaults` or a list of them: what is not there already. */
static void merge(struct builder *b, struct yaml_node *node, const struct yaml_node *from,
		  size_t *capacity)
{
	for (size_t i = 0; from->kind == YAML_LIST && i < from->item_count; i++)
		merge(b, node, from->items[i], capacity);
	if (from->kind == YAML_SCALAR)
		rules_yaml_tell(b->file, from->line, from->column, NULL,
				"map merge requires map or sequence of maps as the value");
	for (size_t i = 0; from->kind == YAML_MAP && i < from->entry_count; i++) {
		if (has_key(node, from->entries[i].key))
			continue;
		struct yaml_entry *entry = add_entry(b, node, capacity);
		if (entry != NULL)
			*entry = from->entries[i];
	}
}

static void build_map(struct builder *b, struct fy_node *from, struct yaml_node *node, int depth)
{
	struct yaml_node *merges[16];
	size_t capacity = 0, merge_count = 0;
	void *state = NULL;
	struct fy_node_pair *pair;
	while ((pair = fy_node_mapping_iterate(from, &state)) != NULL) {
		struct fy_node *key = fy_node_pair_key(pair);
		int line = node->line, column = node->column;
		if (key != NULL)
			place_of(key, &line, &column);
		struct yaml_node *name = build(b, key, line, column, depth + 1);
		struct yaml_node *value =
			build(b, fy_node_pair_value(pair), line, column, depth + 1);
		if (name == NULL || value == NULL)
			return;
		if (name->kind != YAML_SCALAR) {
			rules_yaml_tell(b->file, line, column, NULL, "a key is not a word");
			continue;
		}
		if (name->plain && str_is(name->text, "<<") && merge_count < 16) {
			merges[merge_count++] = value;
			continue;
		}
		struct yaml_entry *entry = add_entry(b, node, &capacity);
		if (entry == NULL)
			return;
		*entry = (struct yaml_entry){name->text, line, column, value};
	}
	for (size_t i = 0; i < merge_count; i++)
		merge(b, node, merges[i], &capacity);
	if (node->entry_count > 0) {
		node->line = node->entries[0].line;
		node->column = node->entries[0].column;
	}
}

static void build_list(struct builder *b, struct fy_node *from, struct yaml_node *node, int depth)
{
	int count = fy_node_sequence_item_count(from);
	void *state = NULL;
	struct fy_node *item;
	node->items = cx_array(b->file->cx, (size_t)(count < 0 ? 0 : count), sizeof(*node->items));
	while (node->items != NULL && (item = fy_node_sequence_iterate(from, &state)) != NULL) {
		struct yaml_node *built = build(b, item, node->line, node->column, depth + 1);
		if (built != NULL)
			node->items[node->item_count++] = built;
	}
	if (node->item_count > 0) {
		node->line = node->items[0]->line;
		node->column = node->items[0]->column;
	}
}

static void build_scalar(struct builder *b, struct fy_node *from, struct yaml_node *node)
{
	size_t length = 0;
	const char *text = fy_node_get_scalar(from, &length);
	struct fy_token *token = fy_node_get_scalar_token(from);
	enum fy_scalar_style style = token == NULL ? FYSS_PLAIN : fy_token_scalar_style(token);
	node->plain = style == FYSS_PLAIN || style == FYSS_ANY;
	node->block = style == FYSS_LITERAL || style == FYSS_FOLDED;
	if (text != NULL)
		node->text = cx_str(b->file->cx, str_make(text, length));
	const struct fy_mark *start = token == NULL ? NULL : fy_token_start_mark(token);
	const struct fy_mark *end = token == NULL ? NULL : fy_token_end_mark(token);
	if (style == FYSS_SINGLE_QUOTED && start != NULL && end != NULL)
		conf_quoted(b->file->cx, b->file->text, start->input_pos, end->input_pos,
			    &node->text);
	const char *tag = fy_node_get_tag(from, &length);
	if (tag != NULL && str_ends(str_make(tag, length), STR("str")))
		node->plain = false;
}

static struct yaml_node *resolve(struct builder *b, struct fy_node *alias, int line, int column,
				 int depth)
{
	struct fy_node *target = fy_node_resolve_alias(alias);
	struct str key = str_make((const char *)&target, sizeof(target));
	if (target == NULL) {
		rules_yaml_tell(b->file, line, column, "Anchors are written &NAME, before.",
				"unknown anchor");
		return NULL;
	}
	struct yaml_node *known = map_get(&b->built, key);
	if (known == &under_way) {
		rules_yaml_tell(b->file, line, column, NULL, "an anchor's value contains itself");
		return NULL;
	}
	if (known == NULL) {
		map_put(&b->built, key, &under_way);
		known = build(b, target, line, column, depth + 1);
		if (known == NULL)
			return NULL;
		map_put(&b->built, key, known);
	}
	return known;
}

/* NULL only when memory is out or it was told why. */
static struct yaml_node *build(struct builder *b, struct fy_node *from, int line, int column,
			       int depth)
{
	struct yaml_node *node = cx_alloc(b->file->cx, sizeof(*node));
	if (node == NULL)
		return NULL;
	*node = (struct yaml_node){.line = line, .column = column, .plain = true, .text = STR("")};
	if (from == NULL)
		return node;
	place_of(from, &node->line, &node->column);
	if (++b->nodes > NODES_LIMIT || depth > DEPTH_LIMIT) {
		if (b->nodes <= NODES_LIMIT + 1)
			rules_yaml_tell(b->file, node->line, node->column, NULL,
					"the file is too large or too deep");
		return NULL;
	}
	if (fy_node_is_alias(from))
		return resolve(b, from, node->line, node->column, depth);
	if (fy_node_is_mapping(from)) {
		node->kind = YAML_MAP;
		build_map(b, from, node, depth);
	} else if (fy_node_is_sequence(from)) {
		node->kind = YAML_LIST;
		build_list(b, from, node, depth);
	} else {
		build_scalar(b, from, node);
	}
	return node;
}

static void tell_syntax(struct yaml_file *file, struct fy_diag *diag)
{
	void *state = NULL;
	struct fy_diag_error *error;
	size_t before = file->diagnostics->errors;
	while ((error = fy_diag_errors_iterate(diag, &state)) != NULL)
		rules_yaml_tell(file, error->line < 1 ? 1 : error->line,
				error->column < 1 ? 1 : error->column, NULL, "%s", error->msg);
	if (file->diagnostics->errors == before)
		rules_yaml_tell(file, 1, 1, NULL, "not YAML");
}

static bool has_content(struct str text)
{
	struct str line;
	while (str_split(&text, '\n', &line)) {
		line = str_trim(line);
		if (line.n > 0 && line.p[0] != '#')
			return true;
	}
	return false;
}

static void read_document(struct yaml_file *file, struct fy_diag *diag, struct yaml_node **out)
{
	struct fy_parse_cfg config = {
		.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_DEFAULT_PARSE, .diag = diag};
	struct fy_parser *parser = fy_parser_create(&config);
	struct fy_document *document = NULL;
	if (parser != NULL && fy_parser_set_string(parser, file->text.p, file->text.n) == 0)
		document = fy_parse_load_document(parser);
	if (document == NULL) {
		if (fy_diag_got_error(diag))
			tell_syntax(file, diag);
	} else {
		struct builder b = {.file = file};
		size_t before = file->diagnostics->errors;
		*out = build(&b, fy_document_root(document), 1, 1, 0);
		if (file->diagnostics->errors > before)
			*out = NULL;
		map_release(&b.built);
		fy_parse_document_destroy(parser, document);
	}
	if (parser != NULL)
		fy_parser_destroy(parser);
}

enum rc rules_yaml_parse(struct yaml_file *file, struct yaml_node **out)
{
	*out = NULL;
	if (!has_content(file->text))
		return RC_OK;
	if (!str_utf8_valid(file->text) || memchr(file->text.p, '\0', file->text.n) != NULL) {
		rules_yaml_tell(file, 1, 1, "Save the file as UTF-8.",
				"the file is not UTF-8 text");
		return RC_OK;
	}
	struct fy_diag_cfg diag_config;
	fy_diag_cfg_default(&diag_config);
	diag_config.fp = NULL;
	struct fy_diag *diag = fy_diag_create(&diag_config);
	if (diag == NULL)
		return cx_fail(file->cx, RC_INTERNAL, "could not start the YAML reader");
	fy_diag_set_collect_errors(diag, true);
	read_document(file, diag, out);
	fy_diag_destroy(diag);
	return file->cx->arena->exhausted
		       ? cx_fail(file->cx, RC_LIMIT, "the file needs too much memory")
		       : RC_OK;
}

/* ---- reading values ---- */

bool rules_yaml_is_null(const struct yaml_node *node)
{
	return node->kind == YAML_SCALAR && node->plain &&
	       (node->text.n == 0 || str_is(node->text, "~") || str_is(node->text, "null") ||
		str_is(node->text, "Null") || str_is(node->text, "NULL"));
}

bool rules_yaml_is(struct yaml_file *file, const struct yaml_node *node, enum yaml_kind kind)
{
	static const char *const names[] = {"a single value", "a map", "a list"};
	static const char *const hints[] = {NULL, "Write `name: value` lines.",
					    "Begin each item with `- `."};
	if (node->kind == kind)
		return true;
	rules_yaml_tell(file, node->line, node->column, hints[kind], "%s where %s belongs",
			names[node->kind], names[kind]);
	return false;
}

bool rules_yaml_text(struct yaml_file *file, const struct yaml_node *node, struct str *out)
{
	*out = STR("");
	if (!rules_yaml_is(file, node, YAML_SCALAR))
		return false;
	if (!rules_yaml_is_null(node))
		*out = node->text;
	return true;
}

static bool read_number(const struct yaml_node *node, double *out)
{
	char text[64];
	size_t n = 0;
	struct str s = node->text;
	if (!node->plain || s.n == 0 || s.n >= sizeof(text))
		return false;
	bool negative = s.p[0] == '-', is_signed = negative || s.p[0] == '+';
	struct str rest = str_skip(s, is_signed);
	if (str_is(rest, ".inf") || str_is(rest, ".Inf") || str_is(rest, ".INF")) {
		*out = negative ? -(double)INFINITY : (double)INFINITY;
		return true;
	}
	if (str_is(s, ".nan") || str_is(s, ".NaN") || str_is(s, ".NAN")) {
		*out = (double)NAN;
		return true;
	}
	if (str_starts(rest, STR("0b")) || str_starts(rest, STR("0o"))) {
		char *end;
		memcpy(text, rest.p + 2, rest.n - 2);
		text[rest.n - 2] = '\0';
		long long value = strtoll(text, &end, rest.p[1] == 'b' ? 2 : 8);
		*out = (double)(negative ? -value : value);
		return *end == '\0' && end > text;
	}
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '_')
			text[n++] = s.p[i];
	bool is_hex = str_starts(rest, STR("0x"));
	for (size_t i = 0; i < n; i++)
		if (strchr(is_hex ? "0123456789abcdefABCDEFx+-" : "0123456789.eE+-", text[i]) ==
		    NULL)
			return false;
	return str_to_double(str_make(text, n), out);
}

bool rules_yaml_float(struct yaml_file *file, const struct yaml_node *node, double *out)
{
	*out = 0;
	if (!rules_yaml_is(file, node, YAML_SCALAR))
		return false;
	if (rules_yaml_is_null(node) || read_number(node, out))
		return true;
	rules_yaml_tell(file, node->line, node->column,
			"Write a number without quotes; .nan, .inf and -.inf are numbers too.",
			"'" STR_FMT "' is not a number", STR_ARG(node->text));
	return false;
}

bool rules_yaml_integer(struct yaml_file *file, const struct yaml_node *node, int64_t *out)
{
	double value;
	*out = 0;
	if (!rules_yaml_is(file, node, YAML_SCALAR))
		return false;
	if (rules_yaml_is_null(node))
		return true;
	if (read_number(node, &value) && fabs(value) < 9e15) {
		*out = (int64_t)value;
		return true;
	}
	rules_yaml_tell(file, node->line, node->column, "Write a whole number without quotes.",
			"'" STR_FMT "' is not a whole number", STR_ARG(node->text));
	return false;
}

bool rules_yaml_duration(struct yaml_file *file, const struct yaml_node *node, struct dur *out)
{
	*out = (struct dur){0};
	if (!rules_yaml_is(file, node, YAML_SCALAR))
		return false;
	if (rules_yaml_is_null(node) || rules_duration_parse(file->cx, node->text, out) == RC_OK)
		return true;
	rules_yaml_tell(file, node->line, node->column,
			"Write for example 30s, 5m or 1h30m: the greatest unit first, each once.",
			"%s", file->cx->err.message);
	cx_clear(file->cx);
	return false;
}

static int by_name(const void *a, const void *b)
{
	return str_compare(((const struct label *)a)->name, ((const struct label *)b)->name);
}

bool rules_yaml_labels(struct yaml_file *file, const struct yaml_node *node, struct labels *out)
{
	*out = (struct labels){0};
	if (rules_yaml_is_null(node))
		return true;
	if (!rules_yaml_is(file, node, YAML_MAP))
		return false;
	struct label *list = cx_array(file->cx, node->entry_count, sizeof(*list));
	bool good = list != NULL;
	for (size_t i = 0; good && i < node->entry_count; i++) {
		list[i].name = node->entries[i].key;
		good = rules_yaml_text(file, node->entries[i].value, &list[i].value);
	}
	if (!good)
		return false;
	qsort(list, node->entry_count, sizeof(*list), by_name);
	*out = (struct labels){list, node->entry_count};
	return true;
}

static void tell_unknown(struct yaml_file *file, const struct yaml_entry *entry, const char *what,
			 const struct yaml_field *fields, size_t count)
{
	const char *names[FIELDS_LIMIT] = {0};
	for (size_t i = 0; i < count; i++)
		names[i] = fields[i].name;
	const char *nearest = str_nearest(entry->key, names, count), *hint;
	struct buf all = BUF_INIT;
	if (nearest != NULL) {
		hint = cx_printf(file->cx, "Did you mean '%s'?", nearest);
	} else {
		for (size_t i = 0; i < count; i++)
			buf_printf(&all, "%s%s", i == 0 ? "" : ", ", names[i]);
		hint = cx_printf(file->cx, "There are %s.", buf_str(&all).p);
	}
	buf_release(&all);
	rules_yaml_tell(file, entry->line, entry->column, hint, "unknown field '" STR_FMT "' in %s",
			STR_ARG(entry->key), what);
}

bool rules_yaml_fields(struct yaml_file *file, const struct yaml_node *map, const char *what,
		       const struct yaml_field *fields, size_t count)
{
	bool good = true;
	if (rules_yaml_is_null(map))
		return true;
	if (!rules_yaml_is(file, map, YAML_MAP))
		return false;
	for (size_t e = 0; e < map->entry_count; e++) {
		size_t i = 0;
		while (i < count && !str_eq(map->entries[e].key, str_of(fields[i].name)))
			i++;
		if (i < count) {
			*fields[i].value = map->entries[e].value;
		} else {
			tell_unknown(file, &map->entries[e], what, fields, count);
			good = false;
		}
	}
	return good;
}
