/* What every reader of a part needs: telling problems with their place, lists, maps, paths. */

#include "prometheus/inside.h"

static struct str line_of(struct str file, int wanted)
{
	struct str line;
	for (int number = 1; str_split(&file, '\n', &line); number++)
		if (number == wanted)
			return line;
	return STR("");
}

/* Long lines are shown around the column. */
static void show_line(struct buf *out, struct str line, int column)
{
	size_t at = column < 1 ? 0 : (size_t)column - 1;
	size_t from = line.n > 160 && at > 80 ? at - 80 : 0;
	if (at > line.n)
		at = line.n;
	if (from > line.n)
		from = line.n;
	struct str shown = str_skip(line, from);
	if (shown.n > 160)
		shown.n = 160;
	buf_printf(out, "    " STR_FMT "\n    ", STR_ARG(shown));
	for (size_t i = 0; i < at - from; i++)
		buf_putc(out, i < shown.n && shown.p[i] == '\t' ? '\t' : ' ');
	buf_puts(out, "^\n");
}

static void tell(void *context, const struct conf_problem *problem)
{
	struct prometheus_reader *r = context;
	if (r->rc == RC_OK) {
		r->rc = cx_fail(r->cx, RC_INVALID, "%s:%d:%d: %s", r->path, problem->line,
				problem->column, problem->message);
		if (problem->hint != NULL)
			cx_hint(r->cx, "%s", problem->hint);
	}
	if (r->told == NULL)
		return;
	buf_printf(r->told, "%s:%d:%d: error: %s\n", r->path, problem->line, problem->column,
		   problem->message);
	show_line(r->told, line_of(r->text, problem->line), problem->column);
	if (problem->hint != NULL && problem->hint[0] != '\0')
		buf_printf(r->told, "    hint: %s\n", problem->hint);
}

void prometheus_reader_init(struct prometheus_reader *r, struct cx *cx, const char *path,
			    struct str text, struct buf *told)
{
	const char *slash = strrchr(path, '/');
	*r = (struct prometheus_reader){
		.cx = cx,
		.report = {tell, r, 0},
		.path = path,
		.text = text,
		.told = told,
		.dir = slash == NULL ? STR("") : str_make(path, (size_t)(slash - path) + 1)};
}

void prometheus_reader_release(struct prometheus_reader *r)
{
	for (size_t i = 0; i < r->regexes.n; i++)
		regex_free(r->regexes.v[i]);
	vec_heap_release(&r->regexes);
}

void prometheus_tell(struct prometheus_reader *r, const struct conf_node *node, const char *hint,
		     const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *message = arena_vprintf(r->cx->arena, format, args);
	va_end(args);
	conf_tell(r->cx, &r->report, node == NULL ? 1 : node->line, node == NULL ? 1 : node->column,
		  hint, "%s", message == NULL ? "out of memory" : message);
}

enum rc prometheus_read_map(struct prometheus_reader *r, const struct conf_node *node,
			    const char *what, const struct conf_key *keys, size_t count,
			    void *target)
{
	if (node == NULL || node->is_null)
		return RC_OK;
	return conf_read(r->cx, node, what, keys, count, target, &r->report);
}

const struct conf_node *prometheus_child(const struct conf_node *map, const char *key)
{
	for (size_t i = 0; map != NULL && map->kind == CONF_MAP && i < map->entry_count; i++)
		if (str_eq(map->entries[i].key, str_of(key)))
			return map->entries[i].value;
	return NULL;
}

bool prometheus_is_list(struct prometheus_reader *r, const struct conf_node *node, const char *what)
{
	if (node == NULL || node->is_null)
		return false;
	if (node->kind != CONF_LIST)
		prometheus_tell(r, node, "Begin each entry with '- '.", "'%s' must be a list",
				what);
	return node->kind == CONF_LIST;
}

bool prometheus_is_map(struct prometheus_reader *r, const struct conf_node *node, const char *what)
{
	if (node == NULL || node->is_null)
		return false;
	if (node->kind != CONF_MAP)
		prometheus_tell(r, node, "Write `key: value` pairs.", "'%s' must be a map", what);
	return node->kind == CONF_MAP;
}

enum rc prometheus_read_words(struct prometheus_reader *r, const struct conf_node *node,
			      const char *what, struct str **out, size_t *count)
{
	*out = NULL;
	*count = 0;
	if (!prometheus_is_list(r, node, what))
		return RC_OK;
	struct str *words = cx_array(r->cx, node->item_count, sizeof(*words));
	if (words == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < node->item_count; i++) {
		if (node->items[i]->kind != CONF_SCALAR)
			prometheus_tell(r, node->items[i], NULL, "'%s' is a list of single values",
					what);
		else
			words[(*count)++] = node->items[i]->text;
	}
	*out = words;
	return RC_OK;
}

enum rc prometheus_read_labels(struct prometheus_reader *r, const struct conf_node *node,
			       const char *what, struct labels *out)
{
	*out = (struct labels){0};
	if (!prometheus_is_map(r, node, what))
		return RC_OK;
	struct label *pairs = cx_array(r->cx, node->entry_count, sizeof(*pairs));
	size_t n = 0;
	if (pairs == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < node->entry_count; i++) {
		const struct conf_entry *entry = &node->entries[i];
		if (entry->value->kind != CONF_SCALAR)
			prometheus_tell(r, entry->value, NULL,
					"a label's value must be a single value");
		else if (!labels_name_valid(entry->key))
			conf_tell(r->cx, &r->report, entry->line, entry->column,
				  "Letters, digits and '_', not beginning with a digit.",
				  "'" STR_FMT "' is not a valid label name", STR_ARG(entry->key));
		else
			pairs[n++] = (struct label){entry->key, entry->value->text};
	}
	return labels_make(r->cx, pairs, n, out);
}

const char *prometheus_join(struct prometheus_reader *r, const char *path)
{
	if (path == NULL || path[0] == '/' || path[0] == '\0' || r->dir.n == 0)
		return path;
	return cx_printf(r->cx, STR_FMT "%s", STR_ARG(r->dir), path);
}

bool prometheus_url_valid(struct str url)
{
	struct str rest = str_starts(url, STR("http://"))    ? str_skip(url, 7)
			  : str_starts(url, STR("https://")) ? str_skip(url, 8)
							     : STR("");
	return rest.n > 0 && rest.p[0] != '/';
}

bool prometheus_address_valid(struct str address)
{
	return memchr(address.p, '/', address.n) == NULL;
}
