/* Tables of JSON rows. */
#include "app/table.h"

#define COLUMNS_LIMIT 12
#define LAST_COLUMN_LEAST 20

/* Terminals count columns: one per code point is near enough for our texts. */
static size_t width_of(struct str s)
{
	size_t width = 0;
	for (size_t i = 0; i < s.n; i++)
		width += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return width;
}

static struct str cut_to(struct str s, size_t width)
{
	size_t seen = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (((unsigned char)s.p[i] & 0xc0) == 0x80)
			continue;
		if (seen++ == width)
			return str_make(s.p, i);
	}
	return s;
}

static const cJSON *find(const cJSON *row, const char *key)
{
	struct str rest = str_of(key), piece;
	while (row != NULL && str_split(&rest, '.', &piece)) {
		char name[64];
		if (piece.n >= sizeof(name))
			return NULL;
		memcpy(name, piece.p, piece.n);
		name[piece.n] = '\0';
		row = cJSON_GetObjectItemCaseSensitive(row, name);
	}
	return row;
}

static struct str cell_text(struct cx *cx, const cJSON *value)
{
	if (value == NULL || cJSON_IsNull(value))
		return STR("-");
	if (cJSON_IsBool(value))
		return cJSON_IsTrue(value) ? STR("yes") : STR("no");
	if (cJSON_IsNumber(value)) {
		char *text = cx_printf(cx, "%.15g", value->valuedouble);
		return text == NULL ? STR("") : str_of(text);
	}
	if (!cJSON_IsString(value))
		return STR("...");
	char *copy = str_dup(cx->arena, str_of(value->valuestring));
	if (copy == NULL)
		return STR("");
	/* what came from outside must not steer the terminal */
	for (char *c = copy; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	return copy[0] == '\0' ? STR("-") : str_of(copy);
}

static void put_padded(struct buf *out, struct str text, size_t width, bool last)
{
	struct str shown = width_of(text) > width ? cut_to(text, width == 0 ? 0 : width - 1) : text;
	buf_put_str(out, shown);
	size_t used = width_of(shown);
	if (shown.n < text.n) {
		buf_puts(out, "\xe2\x80\xa6"); /* ellipsis */
		used++;
	}
	for (; !last && used < width + 2; used++)
		buf_putc(out, ' ');
}

static void fit_last(size_t *widths, size_t count, int width)
{
	size_t before = 0;
	for (size_t i = 0; i + 1 < count; i++)
		before += widths[i] + 2;
	size_t room = (size_t)width > before + LAST_COLUMN_LEAST ? (size_t)width - before
								 : LAST_COLUMN_LEAST;
	if (widths[count - 1] > room)
		widths[count - 1] = room;
}

enum rc table_print(struct cx *cx, struct buf *out, const cJSON *rows,
		    const struct table_column *columns, size_t column_count, int width,
		    const char *empty)
{
	size_t row_count = (size_t)cJSON_GetArraySize(rows);
	if (row_count == 0) {
		buf_printf(out, "%s\n", empty);
		return RC_OK;
	}
	size_t widths[COLUMNS_LIMIT];
	struct str *cells = cx_array(cx, row_count * column_count, sizeof(*cells));
	if (cells == NULL)
		return RC_LIMIT;
	for (size_t c = 0; c < column_count; c++)
		widths[c] = strlen(columns[c].title);
	size_t at = 0;
	const cJSON *row;
	cJSON_ArrayForEach(row, rows)
	{
		for (size_t c = 0; c < column_count; c++, at++) {
			cells[at] = cell_text(cx, find(row, columns[c].key));
			size_t wide = width_of(cells[at]);
			widths[c] = wide > widths[c] ? wide : widths[c];
		}
	}
	fit_last(widths, column_count, width);
	for (size_t c = 0; c < column_count; c++)
		put_padded(out, str_of(columns[c].title), widths[c], c + 1 == column_count);
	for (size_t i = 0; i < at; i++) {
		if (i % column_count == 0)
			buf_putc(out, '\n');
		put_padded(out, cells[i], widths[i % column_count], (i + 1) % column_count == 0);
	}
	buf_putc(out, '\n');
	return RC_OK;
}
