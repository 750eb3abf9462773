/* YAML to a plain tree with places, and declared keys to read maps by: type, help, nearest key for
 * a typing error, all from one table. Duplicate keys are refused; aliases too, but in files that
 * were written for another program. */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "base/cx.h"

enum conf_kind { CONF_SCALAR, CONF_MAP, CONF_LIST };

struct conf_node;

struct conf_entry {
	struct str key;
	int line, column; /* of the key, from 1 */
	struct conf_node *value;
};

struct conf_node {
	enum conf_kind kind;
	int line, column;
	struct str text; /* scalar; "" for null */
	bool is_null;    /* nothing, ~ or null, not in quotes */
	struct conf_entry *entries;
	size_t entry_count;
	struct conf_node **items;
	size_t item_count;
};

struct conf_problem {
	int line, column;
	const char *message, *hint;
};

/* Where problems go: all of them in one go. */
struct conf_report {
	void (*tell)(void *context, const struct conf_problem *problem);
	void *context;
	size_t count;
	uint64_t secrets; /* hash of all that references brought in; never shown */
};

/* *out is NULL when nothing could be read (then told) or the text is empty. In cx->arena. */
enum rc conf_parse(struct cx *cx, struct str text, struct conf_report *report,
		   struct conf_node **out) NODISCARD;

/* As conf_parse, for files written for another program: anchors, aliases and merge keys are taken
 * (what they stand for counts against the limits each time), and twenty times as much. */
enum rc conf_parse_foreign(struct cx *cx, struct str text, struct conf_report *report,
			   struct conf_node **out) NODISCARD;

enum conf_type {
	CONF_TEXT,     /* const char * */
	CONF_SECRET,   /* const char *: ${env:NAME}, ${file:PATH}, or parts of a text */
	CONF_STRING,   /* const char *, also empty; null sets nothing */
	CONF_DURATION, /* struct dur */
	CONF_SPAN,     /* struct dur, strictly as Prometheus writes it: "1h30m", "0" */
	CONF_SIZE,     /* size_t, bytes */
	CONF_INTEGER,  /* int */
	CONF_COUNT,    /* uint64_t */
	CONF_BOOL,     /* bool */
	CONF_NODE      /* const struct conf_node *: read by whoever asked */
};

struct conf_key {
	const char *name;
	enum conf_type type;
	size_t offset; /* in the target */
	const char *help;
	bool required;
};

/* Reads a map into `target` by its keys; tells unknown keys (nearest suggested), wrong types and
 * missing required ones. A map that is NULL sets nothing. */
enum rc conf_read(struct cx *cx, const struct conf_node *map, const char *what,
		  const struct conf_key *keys, size_t key_count, void *target,
		  struct conf_report *report) NODISCARD;

/* The value of an entry whose key nobody declares, as CONF_SECRET; NULL when it has none. */
const char *conf_read_secret(struct cx *cx, const struct conf_entry *entry,
			     struct conf_report *report);

/* What stands between single quotes at [from, to) of a YAML text, in cx->arena, where a quote is
 * among it; else *out stays. libfyaml 0.7.12 loses bytes where two quotes that are meant follow
 * each other. */
void conf_quoted(struct cx *cx, struct str text, size_t from, size_t to, struct str *out);

void conf_tell(struct cx *cx, struct conf_report *report, int line, int column, const char *hint,
	       const char *format, ...) PRINTF_LIKE(6, 7);

#endif
