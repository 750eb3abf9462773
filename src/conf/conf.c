/* YAML by libfyaml, keys by tables. */
#include "conf/conf.h"

#include <errno.h>
#include <libfyaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <fcntl.h>

#include "base/units.h"

#define NODES_LIMIT 50000
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

struct builder {
	struct cx *cx;
	struct conf_report *report;
	size_t nodes;
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

static void build_map(struct builder *b, struct fy_node *from, struct conf_node *node, int depth)
{
	int count = fy_node_mapping_item_count(from);
	node->entries = cx_array(b->cx, (size_t)(count < 0 ? 0 : count), sizeof(*node->entries));
	void *state = NULL;
	struct fy_node_pair *pair;
	while (node->entries != NULL && (pair = fy_node_mapping_iterate(from, &state)) != NULL) {
		struct fy_node *key = fy_node_pair_key(pair);
		size_t length = 0;
		const char *text = key == NULL ? NULL : fy_node_get_scalar(key, &length);
		struct conf_entry entry = {.line = node->line, .column = node->column};
		if (key != NULL)
			place_of(key, &entry.line, &entry.column);
		if (text == NULL) {
			conf_tell(b->cx, b->report, entry.line, entry.column, NULL,
				  "a key is not a word");
			continue;
		}
		entry.key = cx_str(b->cx, str_make(text, length));
		entry.value =
			build(b, fy_node_pair_value(pair), entry.line, entry.column, depth + 1);
		node->entries[node->entry_count++] = entry;
	}
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
	if (from == NULL)
		return node;
	place_of(from, &node->line, &node->column);
	if (++b->nodes > NODES_LIMIT || depth > DEPTH_LIMIT) {
		if (b->nodes <= NODES_LIMIT + 1)
			conf_tell(b->cx, b->report, node->line, node->column, NULL,
				  "the file is too large or too deep");
		return node;
	}
	if (fy_node_is_alias(from)) {
		conf_tell(b->cx, b->report, node->line, node->column, "Write the value out.",
			  "aliases are not taken");
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
			node->text = cx_str(b->cx, str_make(text, length));
		if (str_is(node->text, "~") || str_is(node->text, "null"))
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

enum rc conf_parse(struct cx *cx, struct str text, struct conf_report *report,
		   struct conf_node **out)
{
	*out = NULL;
	if (text.n == 0 || str_trim(text).n == 0)
		return RC_OK;
	if (!str_utf8_valid(text) || memchr(text.p, '\0', text.n) != NULL) {
		conf_tell(cx, report, 1, 1, "Save the file as UTF-8.",
			  "the file is not UTF-8 text");
		return RC_OK;
	}
	struct fy_diag_cfg diag_config;
	fy_diag_cfg_default(&diag_config);
	diag_config.fp = NULL;
	struct fy_diag *diag = fy_diag_create(&diag_config);
	if (diag == NULL)
		return cx_fail(cx, RC_INTERNAL, "could not start the YAML reader");
	fy_diag_set_collect_errors(diag, true);
	struct fy_parse_cfg config = {
		.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_DEFAULT_PARSE, .diag = diag};
	struct fy_document *document = fy_document_build_from_string(&config, text.p, text.n);
	if (document == NULL) {
		tell_syntax(cx, diag, report);
	} else {
		struct builder b = {.cx = cx, .report = report};
		*out = build(&b, fy_document_root(document), 1, 1, 0);
		fy_document_destroy(document);
	}
	fy_diag_destroy(diag);
	return cx->arena->exhausted ? cx_fail(cx, RC_LIMIT, "the file needs too much memory")
				    : RC_OK;
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
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char bytes[4096];
	ssize_t got = -1;
	if (fd >= 0) {
		while ((got = read(fd, bytes, sizeof(bytes))) > 0 &&
		       out->length < SECRET_LIMIT_BYTES)
			buf_put(out, bytes, (size_t)got);
		close(fd);
	}
	if (got < 0) {
		char *what = cx_printf(r->cx, "names a secret that cannot be read: '%s': %s", path,
				       strerror(errno));
		wrong(r, "The file must be readable by the user Backline runs as.",
		      what == NULL ? "names a secret that cannot be read" : what);
		return false;
	}
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
	buf_release(&out);
	return kept == NULL ? "" : kept;
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
		if (!str_is(text, "true") && !str_is(text, "false"))
			wrong(r, "Write true or false.", "is neither true nor false");
		else
			*(bool *)(void *)field = str_is(text, "true");
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
	else if (value->text.n > 0)
		read_scalar(r, key, value->text, field);
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
