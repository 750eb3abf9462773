/* Plain tables for people: columns as wide as their cells, the last one cut to the terminal. */
#ifndef APP_TABLE_H
#define APP_TABLE_H

#include "base/cx.h"

#include <cjson/cJSON.h>

struct table_column {
	const char *title;
	const char *key; /* of the JSON object of a row; dots go down: "component.id" */
};

/* One row per object of the array; strings are shown without control characters. `empty` is said
 * when there is none. */
enum rc table_print(struct cx *cx, struct buf *out, const cJSON *rows,
		    const struct table_column *columns, size_t column_count, int width,
		    const char *empty) NODISCARD;

#endif
