/* YAML by libfyaml, keys by tables. */
#include "conf/conf.h"

#include <libfyaml.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/units.h"
#include "sys/file.h"

#define NODES_LIMIT 50000
#define NODES_LIMIT_FOREIGN 1000000
#define MERGES_LIMIT 16
#define DEPTH_LIMIT 24
#define SECRET_LIMIT_BYTES 65536

void conf_tell(struct cx *cx, struct conf_report *report, int line, int column, const char *hint,
	       const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *message = arena_vprintf(cx->arena, format, args);
	va_end(args);
	struct conf_problem problem = {line, column, message == NULL ? "out of memory" : message,
				       hint};
	report->count++;
	report->tell(report->context, &problem);
}

/* ---- the tree ---- */

/* A line break and the blanks around it: one is a blank, more are one line break less. */
static size_t fold(struct str raw, size_t at, struct buf *out)
{
	size_t breaks = 0;
	while (out->length > 0 &&
	       (out->data[out->length - 1] == ' ' || out->data[out->length - 1] == '\t'))
		out->data[--out->length] = '\0';
	for (; at < raw.n && strchr(" \t\r\n", raw.p[at]) != NULL; at++)
		breaks += raw.p[at] == '\n';
	for (size_t i = 1; i < breaks; i++)
		buf_putc(out, '\n');
	if (breaks == 1)
		buf_putc(out, ' ');
	return at;
}

void conf_quoted(struct cx *cx, struct str text, size_t from, size_t to, struct str *out)
{
	struct buf read = BUF_INIT;
	if (to > text.n || from >= to)
		return;
	size_t start = from, end = to; /* the library's marks may be at the quotes, or within */
	start += text.p[start] == '\'' &&
		 (start == 0 || text.p[start - 1] != '\'' || end == start + 2);
	end -= end > start && text.p[end - 1] == '\'' && (end >= text.n || text.p[end] != '\'');
	struct str raw = str_make(text.p + start, end - start);
	if (str_find(raw, STR("'")) < 0)
		return;
	for (size_t i = 0; i < raw.n;) {
		char c = raw.p[i];
		if (c == '\r' || c == '\n') {
			i = fold(raw, i, &read);
			continue;
		}
		buf_putc(&read, c);
		i += c == '\'' ? 2 : 1;
	}
	*out = cx_str(cx, buf_str(&read));
	buf_release(&read);
}

struct builder {
	struct cx *cx;
	struct conf_report *report;
	struct str text;
	size_t nodes, limit;
	bool aliases;
};

static void place_of(struct fy_node *node, int *line, int *column)
{
	struct fy_token *token = fy_node_get_scalar_token(node);
	const struct fy_mark *mark = token == NULL ? NULL : fy_token_start_mark(token);
	if (mark != NULL) {
		*line = mark->line + 1;
		*column = mark->column + 1;
	}
}

static struct conf_node *build(struct builder *b, struct fy_node *from, int line, int column,
			       int depth);

/* As the library read it, but for what stands in single quotes. */
static struct str scalar_text(struct builder *b, struct fy_node *node, struct str text)
{
	struct fy_token *token = fy_node_get_scalar_token(node);
	const struct fy_mark *start = token == NULL ? NULL : fy_token_start_mark(token);
	const struct fy_mark *end = token == NULL ? NULL : fy_token_end_mark(token);
	struct str kept = cx_str(b->cx, text);
	if (start != NULL && end != NULL && fy_token_scalar_style(token) == FYSS_SINGLE_QUOTED)
		conf_quoted(b->cx, b->text, start->input_pos, end->input_pos, &kept);
	return kept;
}

static struct str key_of(struct builder *b, const struct conf_node *map, struct fy_node *key,
			 int *line, int *column)
{
	size_t length = 0;
	const char *text = key == NULL ? NULL : fy_node_get_scalar(key, &length);
	*line = map->line;
	*column = map->column;
	if (key != NULL)
		place_of(key, line, column);
	if (text != NULL)
		return scalar_text(b, key, str_make(text, length));
	conf_tell(b->cx, b->report, *line, *column, NULL, "a key is not a word");
	return str_make(NULL, 0);
}

/* What `<<` brings in: a map or a list of maps. What stands in the map itself wins, then the first.
 */
static void merge(struct builder *b, struct conf_node *node, const struct conf_node *from)
{
	if (from->kind != CONF_MAP) {
		conf_tell(b->cx, b->report, from->line, from->column, NULL,
			  "'<<' takes a map or a list of maps");
		return;
	}
	struct conf_entry *all =
		cx_array(b->cx, node->entry_count + from->entry_count + 1, sizeof(*all));
	size_t n = node->entry_count;
	if (all == NULL)
		return;
	if (n > 0)
		memcpy(all, node->entries, n * sizeof(*all));
	for (size_t i = 0; i < from->entry_count; i++) {
		bool given = false;
		for (size_t j = 0; j < n; j++)
			given = given || str_eq(all[j].key, from->entries[i].key);
		if (!given)
			all[n++] = from->entries[i];
	}
	node->entries = all;
	node->entry_count = n;
}

static void build_map(struct builder *b, struct fy_node *from, struct conf_node *node, int depth)
{
	int count = fy_node_mapping_item_count(from);
	struct conf_node *merges[MERGES_LIMIT];
	size_t merge_count = 0;
	node->entries = cx_array(b->cx, (size_t)(count < 0 ? 0 : count), sizeof(*node->entries));
	void *state = NULL;
	struct fy_node_pair *pair;
	struct map seen = MAP_INIT; /* libfyaml would compare each key with all before it */
	while (node->entries != NULL && (pair = fy_node_mapping_iterate(from, &state)) != NULL) {
		struct conf_entry entry;
		entry.key = key_of(b, node, fy_node_pair_key(pair), &entry.line, &entry.column);
		if (entry.key.p == NULL)
			continue;
		if (map_put(&seen, entry.key, node) != NULL)
			conf_tell(b->cx, b->report, entry.line, entry.column, NULL,
				  "duplicate key");
		entry.value =
			build(b, fy_node_pair_value(pair), entry.line, entry.column, depth + 1);
		if (!b->aliases || !str_is(entry.key, "<<"))
			node->entries[node->entry_count++] = entry;
		else if (entry.value != NULL && merge_count < MERGES_LIMIT)
			merges[merge_count++] = entry.value;
	}
	if (node->entry_count > 0) { /* a map stands where its first key does */
		node->line = node->entries[0].line;
		node->column = node->entries[0].column;
	}
	for (size_t i = 0; i < merge_count; i++) {
		const struct conf_node *list = merges[i];
		if (list->kind != CONF_LIST)
			merge(b, node, list);
		for (size_t k = 0; list->kind == CONF_LIST && k < list->item_count; k++)
			merge(b, node, list->items[k]);
	}
	map_release(&seen);
}

static void build_list(struct builder *b, struct fy_node *from, struct conf_node *node, int depth)
{
	int count = fy_node_sequence_item_count(from);
	node->items = cx_array(b->cx, (size_t)(count < 0 ? 0 : count), sizeof(*node->items));
	void *state = NULL;
	struct fy_node *item;
	while (node->items != NULL && (item = fy_node_sequence_iterate(from, &state)) != NULL) {
		struct conf_node *built = build(b, item, node->line, node->column, depth + 1);
		if (built != NULL)
			node->items[node->item_count++] = built;
	}
}

/* Never NULL for a value while memory lasts: null is an empty scalar. */
static struct conf_node *build(struct builder *b, struct fy_node *from, int line, int column,
			       int depth)
{
	struct conf_node *node = cx_alloc(b->cx, sizeof(*node));
	if (node == NULL)
		return NULL;
	node->line = line;
	node->column = column;
	node->text = STR("");
	node->is_null = from == NULL;
	if (from == NULL)
		return node;
	place_of(from, &node->line, &node->column);
	if (b->aliases && fy_node_is_alias(from)) {
		struct fy_node *target = fy_node_resolve_alias(from);
		if (target != NULL)
			return build(b, target, node->line, node->column, depth + 1);
	}
	if (++b->nodes > b->limit || depth > DEPTH_LIMIT) {
		if (b->nodes <= b->limit + 1)
			conf_tell(b->cx, b->report, node->line, node->column, NULL,
				  "the file is too large or too deep");
		return node;
	}
	if (fy_node_is_alias(from)) {
		conf_tell(b->cx, b->report, node->line, node->column, "Write the value out.",
			  b->aliases ? "the alias stands for nothing" : "aliases are not taken");
	} else if (fy_node_is_mapping(from)) {
		node->kind = CONF_MAP;
		build_map(b, from, node, depth);
	} else if (fy_node_is_sequence(from)) {
		node->kind = CONF_LIST;
		build_list(b, from, node, depth);
	} else {
		size_t length = 0;
		const char *text = fy_node_get_scalar(from, &length);
		if (text != NULL)
			node->text = scalar_text(b, from, str_make(text, length));
		node->is_null = fy_node_get_style(from) == FYNS_PLAIN &&
				(node->text.n == 0 || str_is(node->text, "~") ||
				 str_is(node->text, "null"));
		if (node->is_null)
			node->text = STR("");
	}
	return node;
}

static void tell_syntax(struct cx *cx, struct fy_diag *diag, struct conf_report *report)
{
	void *state = NULL;
	struct fy_diag_error *error;
	size_t before = report->count;
	while ((error = fy_diag_errors_iterate(diag, &state)) != NULL)
		conf_tell(cx, report, error->line < 1 ? 1 : error->line,
			  error->column < 1 ? 1 : error->column, NULL, "%s", error->msg);
	if (report->count == before)
		conf_tell(cx, report, 1, 1, NULL, "not YAML");
}

/* Nothing but comments: no document, which the library does not tell from a bad one. */
static bool is_blank(struct str text)
{
	struct str line;
	while (str_split(&text, '\n', &line)) {
		line = str_trim(line);
		if (line.n > 0 && line.p[0] != '#' && !str_is(line, "---"))
			return false;
	}
	return true;
}

static bool is_text(struct cx *cx, struct conf_report *report, struct str text)
{
	size_t fine = str_utf8_prefix(text);
	const char *nul = memchr(text.p, '\0', text.n);
	int line, column;
	if (nul != NULL && (size_t)(nul - text.p) < fine)
		fine = (size_t)(nul - text.p);
	if (fine == text.n)
		return true;
	str_place(text, fine, &line, &column);
	conf_tell(cx, report, line, column, "Save the file as UTF-8.",
		  "the file is not UTF-8 text");
	return false;
}

/* What stands behind a second `---` would otherwise be left out without a word. */
static void read_documents(struct builder *b, struct fy_parser *parser, struct fy_diag *diag,
			   struct conf_node **out)
{
	struct fy_document *first = fy_parse_load_document(parser), *second = NULL;
	if (first != NULL) {
		*out = build(b, fy_document_root(first), 1, 1, 0);
		second = fy_parse_load_document(parser);
	}
	if (second != NULL) {
		int line = 1, column = 1;
		if (fy_document_root(second) != NULL)
			place_of(fy_document_root(second), &line, &column);
		conf_tell(b->cx, b->report, line, column, "Take the line `---` out.",
			  "a second document begins here");
	} else if (first == NULL || fy_diag_got_error(diag)) {
		tell_syntax(b->cx, diag, b->report);
		*out = NULL;
	}
	if (second != NULL)
		fy_parse_document_destroy(parser, second);
	if (first != NULL)
		fy_parse_document_destroy(parser, first);
}

static enum rc parse(struct cx *cx, struct str text, struct conf_report *report, bool foreign,
		     struct conf_node **out)
{
	*out = NULL;
	if (is_blank(text))
		return RC_OK;
	if (!is_text(cx, report, text))
		return RC_OK;
	struct fy_diag_cfg diag_config;
	fy_diag_cfg_default(&diag_config);
	diag_config.fp = NULL;
	struct fy_diag *diag = fy_diag_create(&diag_config);
	if (diag == NULL)
		return cx_fail(cx, RC_INTERNAL, "could not start the YAML reader");
	fy_diag_set_collect_errors(diag, true);
	struct fy_parse_cfg config = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG |
					       FYPCF_DEFAULT_PARSE | FYPCF_ALLOW_DUPLICATE_KEYS,
				      .diag = diag};
	struct builder b = {.cx = cx,
			    .report = report,
			    .text = text,
			    .limit = foreign ? NODES_LIMIT_FOREIGN : NODES_LIMIT,
			    .aliases = foreign};
	struct fy_parser *parser = fy_parser_create(&config);
	if (parser != NULL && fy_parser_set_string(parser, text.p, text.n) == 0)
		read_documents(&b, parser, diag, out);
	else
		tell_syntax(cx, diag, report);
	fy_parser_destroy(parser);
	fy_diag_destroy(diag);
	return cx->arena->exhausted ? cx_fail(cx, RC_LIMIT, "the file needs too much memory")
				    : RC_OK;
}

enum rc conf_parse(struct cx *cx, struct str text, struct conf_report *report,
		   struct conf_node **out)
{
	return parse(cx, text, report, false, out);
}

enum rc conf_parse_foreign(struct cx *cx, struct str text, struct conf_report *report,
			   struct conf_node **out)
{
	return parse(cx, text, report, true, out);
}

/* ---- declared keys ---- */

struct reading {
	struct cx *cx;
	struct conf_report *report;
	const struct conf_entry *entry;
};

static void wrong(struct reading *r, const char *hint, const char *what)
{
	const struct conf_node *value = r->entry->value;
	int line = value == NULL ? r->entry->line : value->line;
	int column = value == NULL ? r->entry->column : value->column;
	conf_tell(r->cx, r->report, line, column, hint, "'" STR_FMT "' %s", STR_ARG(r->entry->key),
		  what);
}

static bool read_secret_file(struct reading *r, const char *path, struct buf *out)
{
	struct str text;
	if (file_read_regular(r->cx, path, SECRET_LIMIT_BYTES, &text) != RC_OK) {
		char *what = cx_printf(r->cx, "names a secret that cannot be read: %s",
				       cx_message(r->cx));
		cx_clear(r->cx);
		wrong(r, "The file must be readable by the user Backline runs as.",
		      what == NULL ? "names a secret that cannot be read" : what);
		return false;
	}
	buf_put_str(out, text);
	while (out->length > 0 &&
	       (out->data[out->length - 1] == '\n' || out->data[out->length - 1] == '\r'))
		out->data[--out->length] = '\0';
	return true;
}

/* Replaces ${env:NAME} and ${file:PATH}; everything else stands as it is. */
static const char *read_secret(struct reading *r, struct str text)
{
	struct buf out = BUF_INIT;
	while (text.n > 0) {
		ptrdiff_t at = str_find(text, STR("${")), end = -1;
		if (at >= 0)
			end = str_find(str_skip(text, (size_t)at), STR("}"));
		if (at >= 0 && end < 0)
			wrong(r, "There are ${env:NAME} and ${file:PATH}.",
			      "has a reference without its '}'");
		if (at < 0 || end < 0) {
			buf_put_str(&out, text);
			break;
		}
		buf_put(&out, text.p, (size_t)at);
		struct str inside = str_make(text.p + at + 2, (size_t)end - 2);
		text = str_skip(text, (size_t)(at + end) + 1);
		char *name = cx_printf(r->cx, STR_FMT, STR_ARG(inside));
		if (name == NULL)
			break;
		if (str_starts(inside, STR("env:"))) {
			const char *value = getenv(name + 4);
			char *what =
				cx_printf(r->cx, "names a secret that is not set: $%s", name + 4);
			if (value == NULL)
				wrong(r, "Set the variable in Backline's environment.",
				      what == NULL ? "names a secret that is not set" : what);
			else
				buf_puts(&out, value);
		} else if (str_starts(inside, STR("file:"))) {
			struct buf secret = BUF_INIT;
			if (read_secret_file(r, name + 5, &secret))
				buf_put_str(&out, buf_str(&secret));
			buf_release(&secret);
		} else {
			wrong(r, "There are ${env:NAME} and ${file:PATH}.",
			      "has an unknown reference");
		}
	}
	const char *kept = str_dup(r->cx->arena, buf_str(&out));
	r->report->secrets = r->report->secrets * 31 + str_hash(buf_str(&out));
	buf_release(&out);
	return kept == NULL ? "" : kept;
}

static void read_count(struct reading *r, struct str text, uint64_t *out)
{
	int64_t number;
	if (!str_to_i64(text, &number) || number < 0)
		wrong(r, "Write 0 or a whole number above.", "is not a count");
	else
		*out = (uint64_t)number;
}

static void read_bool(struct reading *r, struct str text, bool *out)
{
	static const char *const words[] = {"true", "false", "True", "False", "TRUE", "FALSE",
					    "yes",  "no",    "Yes",  "No",    "YES",  "NO",
					    "on",   "off",   "On",   "Off",   "ON",   "OFF"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!str_eq(text, str_of(words[i])))
			continue;
		*out = i % 2 == 0;
		return;
	}
	wrong(r, "Write true or false.", "is neither true nor false");
}

static void read_scalar(struct reading *r, const struct conf_key *key, struct str text, char *field)
{
	int64_t number;
	uint64_t bytes;
	switch (key->type) {
	case CONF_TEXT:
		*(const char **)(void *)field = str_dup(r->cx->arena, text);
		break;
	case CONF_SECRET:
		*(const char **)(void *)field = read_secret(r, text);
		break;
	case CONF_STRING:
		*(const char **)(void *)field = str_dup(r->cx->arena, text);
		break;
	case CONF_SPAN:
		if (!units_parse_span(text, (struct dur *)(void *)field))
			wrong(r, "Write for example '15s', '1h30m' or '0'.", "is not a time");
		break;
	case CONF_COUNT:
		read_count(r, text, (uint64_t *)(void *)field);
		break;
	case CONF_DURATION:
		if (!units_parse_duration(text, (struct dur *)(void *)field))
			wrong(r, "Write for example '15s', '5 min' or '2 h'.", "is not a time");
		break;
	case CONF_SIZE:
		if (!units_parse_size(text, &bytes))
			wrong(r, "Write for example '10 MiB'.", "is not a size");
		else
			*(size_t *)(void *)field = (size_t)bytes;
		break;
	case CONF_INTEGER:
		if (!str_to_i64(text, &number) || number < INT32_MIN || number > INT32_MAX)
			wrong(r, NULL, "is not a whole number");
		else
			*(int *)(void *)field = (int)number;
		break;
	case CONF_BOOL:
		read_bool(r, text, (bool *)(void *)field);
		break;
	case CONF_NODE:
		break;
	}
}

static void read_entry(struct reading *r, const struct conf_key *key, char *field)
{
	const struct conf_node *value = r->entry->value;
	if (key->type == CONF_NODE)
		*(const struct conf_node **)(void *)field = value;
	else if (value == NULL || value->kind != CONF_SCALAR)
		wrong(r, key->help, "must be a single value");
	else if (value->text.n > 0 || (key->type == CONF_STRING && !value->is_null))
		read_scalar(r, key, value->text, field);
}

const char *conf_read_secret(struct cx *cx, const struct conf_entry *entry,
			     struct conf_report *report)
{
	static const struct conf_key key = {"", CONF_SECRET, 0, "Write `name: value`.", false};
	struct reading r = {cx, report, entry};
	const char *value = NULL;
	read_entry(&r, &key, (char *)&value);
	return value;
}

static void unknown_key(struct reading *r, const char *what, const struct conf_key *keys,
			size_t count)
{
	const char *names[64] = {0};
	size_t n = count < 64 ? count : 64;
	for (size_t i = 0; i < n; i++)
		names[i] = keys[i].name;
	const char *nearest = str_nearest(r->entry->key, names, n);
	const char *hint = nearest == NULL ? NULL : cx_printf(r->cx, "Did you mean '%s'?", nearest);
	if (hint == NULL) {
		struct buf all = BUF_INIT;
		buf_printf(&all, "%s takes ", what);
		for (size_t i = 0; i < n; i++)
			buf_printf(&all, "%s%s", i == 0 ? "" : ", ", names[i]);
		buf_putc(&all, '.');
		hint = str_dup(r->cx->arena, buf_str(&all));
		buf_release(&all);
	}
	conf_tell(r->cx, r->report, r->entry->line, r->entry->column, hint,
		  "unknown key '" STR_FMT "' in %s", STR_ARG(r->entry->key), what);
}

enum rc conf_read(struct cx *cx, const struct conf_node *map, const char *what,
		  const struct conf_key *keys, size_t key_count, void *target,
		  struct conf_report *report)
{
	if (map == NULL)
		return RC_OK;
	if (map->kind != CONF_MAP) {
		conf_tell(cx, report, map->line, map->column, "Write `key: value` pairs.",
			  "%s must be a map", what);
		return RC_OK;
	}
	for (size_t e = 0; e < map->entry_count; e++) {
		struct reading r = {cx, report, &map->entries[e]};
		size_t k = 0;
		while (k < key_count && !str_eq(r.entry->key, str_of(keys[k].name)))
			k++;
		if (k == key_count)
			unknown_key(&r, what, keys, key_count);
		else
			read_entry(&r, &keys[k], (char *)target + keys[k].offset);
	}
	for (size_t k = 0; k < key_count; k++) {
		bool given = !keys[k].required;
		for (size_t e = 0; e < map->entry_count; e++)
			given = given || str_eq(map->entries[e].key, str_of(keys[k].name));
		if (!given)
			conf_tell(cx, report, map->line, map->column, keys[k].help, "%s lacks '%s'",
				  what, keys[k].name);
	}
	return cx->arena->exhausted ? cx_fail(cx, RC_LIMIT, "the file needs too much memory")
				    : RC_OK;
}
