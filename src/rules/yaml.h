/* YAML to a tree with places and kinds of scalars, for files of Prometheus' making: anchors,
 * aliases and merges are taken, duplicate keys are not. Only the first document is read. Private to
 * rules/.
 */
#ifndef RULES_YAML_H
#define RULES_YAML_H

#include "manual/manual.h"

enum yaml_kind { YAML_SCALAR, YAML_MAP, YAML_LIST };

struct yaml_node;
struct yaml_entry {
	struct str key;
	int line, column;
	struct yaml_node *value; /* never NULL */
};

struct yaml_node {
	enum yaml_kind kind;
	bool plain, block; /* of scalars: neither quoted nor a block; `|` or `>` */
	int line, column;
	struct str text;
	struct yaml_entry *entries; /* without those that a merge brings and that are there */
	size_t entry_count;
	struct yaml_node **items;
	size_t item_count;
};

/* What is read, and where problems go. */
struct yaml_file {
	struct cx *cx;
	const char *path;
	struct str text;
	struct diagnostics *diagnostics;
};

/* *out is NULL when the text is empty or could not be read (then told). */
enum rc rules_yaml_parse(struct yaml_file *file, struct yaml_node **out) NODISCARD;
void rules_yaml_tell(struct yaml_file *file, int line, int column, const char *hint,
		     const char *format, ...) PRINTF_LIKE(5, 6);
void rules_yaml_warn(struct yaml_file *file, int line, int column, const char *hint,
		     const char *format, ...) PRINTF_LIKE(5, 6);

bool rules_yaml_is_null(const struct yaml_node *node);
/* Told and false when it is another kind; null is true and reads as nothing. */
bool rules_yaml_text(struct yaml_file *file, const struct yaml_node *node, struct str *out);
bool rules_yaml_integer(struct yaml_file *file, const struct yaml_node *node, int64_t *out);
bool rules_yaml_float(struct yaml_file *file, const struct yaml_node *node, double *out);
bool rules_yaml_duration(struct yaml_file *file, const struct yaml_node *node, struct dur *out);
/* A map of texts, sorted by name. */
bool rules_yaml_labels(struct yaml_file *file, const struct yaml_node *node, struct labels *out);
bool rules_yaml_is(struct yaml_file *file, const struct yaml_node *node, enum yaml_kind kind);

/* Fields of a map by name; keys that are none of them are told, the nearest suggested. */
struct yaml_field {
	const char *name;
	const struct yaml_node **value; /* left NULL when absent */
};
bool rules_yaml_fields(struct yaml_file *file, const struct yaml_node *map, const char *what,
		       const struct yaml_field *fields, size_t count);

#endif
