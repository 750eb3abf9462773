/* Relabelling rules, with what each action demands. */
#include <stddef.h>
#include <strings.h>

#include "prometheus/inside.h"

static const char *const action_names[] = {"replace",   "keep",      "drop",     "keepequal",
					   "dropequal", "hashmod",   "labelmap", "labeldrop",
					   "labelkeep", "lowercase", "uppercase"};
#define ACTIONS (sizeof(action_names) / sizeof(action_names[0]))

struct given {
	const struct conf_node *source_labels;
	const char *separator, *target_label, *regex, *replacement, *action;
	uint64_t modulus;
};

static const struct conf_key keys[] = {
	{"source_labels", CONF_NODE, offsetof(struct given, source_labels), "a list", false},
	{"separator", CONF_STRING, offsetof(struct given, separator), "", false},
	{"target_label", CONF_STRING, offsetof(struct given, target_label), "", false},
	{"regex", CONF_STRING, offsetof(struct given, regex), "", false},
	{"modulus", CONF_COUNT, offsetof(struct given, modulus), "", false},
	{"replacement", CONF_STRING, offsetof(struct given, replacement), "", false},
	{"action", CONF_STRING, offsetof(struct given, action), "", false},
};

/* Names with $1 or ${name} in them; not beginning with a digit. */
static bool is_target(struct str text)
{
	bool first = true;
	while (text.n > 0) {
		char c = text.p[0];
		size_t n = 1;
		bool word = c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (!first && c >= '0' && c <= '9');
		if (c == '$') {
			bool braces = text.n > 1 && text.p[1] == '{';
			size_t start = braces ? 2 : 1;
			n = start;
			while (n < text.n &&
			       (text.p[n] == '_' || (text.p[n] >= '0' && text.p[n] <= '9') ||
				(text.p[n] >= 'a' && text.p[n] <= 'z') ||
				(text.p[n] >= 'A' && text.p[n] <= 'Z')))
				n++;
			word = n > start && (!braces || (n < text.n && text.p[n] == '}'));
			n += braces;
		}
		if (!word)
			return false;
		first = false;
		text = str_skip(text, n);
	}
	return !first;
}

static bool is_one_of(enum prometheus_action action, const char *actions)
{
	const char *name = action_names[action];
	size_t length = strlen(name);
	for (const char *at = strstr(actions, name); at != NULL; at = strstr(at + 1, name))
		if ((at == actions || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
			return true;
	return false;
}

static void check(struct prometheus_reader *r, const struct conf_node *node,
		  const struct given *given, enum prometheus_action action)
{
	const char *name = action_names[action];
	struct str target = str_of(given->target_label);
	bool plain = strcmp(given->separator, ";") == 0 && strcmp(given->replacement, "$1") == 0 &&
		     given->modulus == 0;
	if (action == RELABEL_HASHMOD && given->modulus == 0)
		prometheus_tell(r, node, NULL,
				"relabel configuration for hashmod requires non-zero modulus");
	if (target.n == 0 &&
	    is_one_of(action, "replace hashmod lowercase uppercase keepequal dropequal"))
		prometheus_tell(r, node, NULL,
				"relabel configuration for %s action requires 'target_label' value",
				name);
	else if (is_one_of(action, "replace lowercase uppercase keepequal dropequal") &&
		 !is_target(target))
		prometheus_tell(r, node, NULL, "'%s' is invalid 'target_label' for %s action",
				given->target_label, name);
	else if (action == RELABEL_HASHMOD && !labels_name_valid(target))
		prometheus_tell(r, node, NULL, "'%s' is invalid 'target_label' for %s action",
				given->target_label, name);
	if (is_one_of(action, "lowercase uppercase keepequal dropequal") &&
	    strcmp(given->replacement, "$1") != 0)
		prometheus_tell(r, node, NULL, "'replacement' can not be set for %s action", name);
	if (action == RELABEL_LABELMAP && !is_target(str_of(given->replacement)))
		prometheus_tell(r, node, NULL, "'%s' is invalid 'replacement' for labelmap action",
				given->replacement);
	if (is_one_of(action, "keepequal dropequal") &&
	    !(plain && strcmp(given->regex, "(.*)") == 0))
		prometheus_tell(r, node, NULL,
				"%s action requires only 'source_labels' and 'target_label', and "
				"no other fields",
				name);
	if (is_one_of(action, "labeldrop labelkeep") &&
	    !(plain && given->source_labels == NULL && target.n == 0))
		prometheus_tell(r, node, NULL,
				"%s action requires only 'regex', and no other fields", name);
}

static enum rc read_regex(struct prometheus_reader *r, const struct conf_node *node,
			  const char *text, struct prometheus_relabel *out)
{
	struct regex *regex;
	/* not as PromQL has it: here '.' stops at a line's end */
	char *whole = cx_printf(r->cx, "^(?:%s)$", text);
	if (whole == NULL)
		return RC_LIMIT;
	out->regex_text = text;
	struct err before = r->cx->err;
	if (regex_compile(r->cx, str_of(whole), false, &regex) != RC_OK) {
		char *why = cx_printf(r->cx, "%s", r->cx->err.message);
		r->cx->err = before;
		prometheus_tell(r, node, "The syntax is RE2's.", "%s",
				why == NULL ? "bad regular expression" : why);
		return RC_OK;
	}
	*vec_heap_add(&r->regexes) = regex;
	out->regex = regex;
	return RC_OK;
}

static enum rc read_rule(struct prometheus_reader *r, const struct conf_node *node,
			 struct prometheus_relabel *out)
{
	struct given given = {.separator = ";",
			      .target_label = "",
			      .regex = "(.*)",
			      .replacement = "$1",
			      .action = "replace"};
	struct str *sources;
	if (node->is_null || node->kind != CONF_MAP) {
		prometheus_tell(r, node, NULL, "empty or null relabeling rule");
		return RC_OK;
	}
	TRY(PROMETHEUS_READ(r, node, "a relabelling rule", keys, &given));
	TRY(prometheus_read_words(r, given.source_labels, "source_labels", &sources,
				  &out->source_count));
	out->source_labels = sources;
	for (size_t i = 0; i < out->source_count; i++)
		if (!labels_name_valid(sources[i]))
			prometheus_tell(r, given.source_labels, NULL,
					"'" STR_FMT "' is not a valid label name",
					STR_ARG(sources[i]));
	size_t action = 0;
	while (action < ACTIONS && strcasecmp(action_names[action], given.action) != 0)
		action++;
	if (action == ACTIONS) {
		prometheus_tell(r, prometheus_child(node, "action"),
				"There are replace, keep, drop, keepequal, dropequal, hashmod, "
				"labelmap, labeldrop, labelkeep, lowercase and uppercase.",
				"unknown relabel action '%s'", given.action);
		return RC_OK;
	}
	out->action = (enum prometheus_action)action;
	out->separator = str_of(given.separator);
	out->target_label = str_of(given.target_label);
	out->replacement = str_of(given.replacement);
	out->modulus = given.modulus;
	check(r, node, &given, out->action);
	return read_regex(r, node, given.regex, out);
}

enum rc prometheus_read_relabels(struct prometheus_reader *r, const struct conf_node *node,
				 struct prometheus_relabels *out)
{
	*out = (struct prometheus_relabels){0};
	if (!prometheus_is_list(r, node, "relabelling rules"))
		return RC_OK;
	struct prometheus_relabel *rules = cx_array(r->cx, node->item_count, sizeof(*rules));
	if (rules == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < node->item_count; i++)
		TRY(read_rule(r, node->items[i], &rules[i]));
	*out = (struct prometheus_relabels){rules, node->item_count};
	return RC_OK;
}
