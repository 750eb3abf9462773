/* site.yaml: how a person wants to be reached, in general or by priority:
 *
 *     contact: [sms, call after 2m]
 *     contact: { critical: [sms, call after 2m], default: [email] }
 */
#include "base/units.h"
#include "manual/site.h"

#define RULES_LIMIT 8
#define LONGEST_AFTER_MS (24 * 3600000LL)

static const struct {
	const char *name; /* NULL: goes to no person */
	const char *lacks;
} kinds[] = {
	[CHANNEL_EMAIL] = {"email", "email"},
	[CHANNEL_SLACK] = {"slack", "slack"},
	[CHANNEL_SMS] = {"sms", "phone"},
	[CHANNEL_CALL] = {"call", "phone"},
	[CHANNEL_TELEGRAM] = {"telegram", "telegram"},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* "sms", "sms at once", "call after 2m" */
static bool read_rule(struct str text, struct contact_rule *out)
{
	struct str rest = str_trim(text), word;
	size_t kind = 0;
	if (!str_split(&rest, ' ', &word))
		return false;
	while (kind < KINDS && !str_eq_nocase(word, str_of(kinds[kind].name)))
		kind++;
	out->kind = (enum channel_kind)kind;
	out->after.ms = 0;
	rest = rest.p == NULL ? STR("") : str_trim(rest);
	if (kind == KINDS)
		return false;
	if (rest.n == 0 || str_eq_nocase(rest, STR("at once")))
		return true;
	return str_starts(rest, STR("after ")) &&
	       units_parse_duration(str_trim(str_skip(rest, 6)), &out->after) &&
	       out->after.ms <= LONGEST_AFTER_MS;
}

/* What is written later of two that are due together stays later. */
static void sort(struct contact_rules *rules)
{
	for (size_t i = 1; i < rules->rule_count; i++)
		for (size_t k = i; k > 0 && rules->rules[k].after.ms < rules->rules[k - 1].after.ms;
		     k--) {
			struct contact_rule rule = rules->rules[k];
			rules->rules[k] = rules->rules[k - 1];
			rules->rules[k - 1] = rule;
		}
}

static void add_rule(struct site_reader *r, const struct conf_node *node,
		     const struct person *person, struct contact_rules *rules)
{
	struct contact_rule *rule = &rules->rules[rules->rule_count];
	if (node->kind != CONF_SCALAR || !read_rule(node->text, rule)) {
		compiler_error(r->c, site_node_place(node),
			       "Write email, slack, sms, call or telegram, then 'after 2m' or "
			       "nothing.",
			       "'" STR_FMT "' is no way to reach '%s'", STR_ARG(node->text),
			       person->id);
		return;
	}
	for (size_t i = 0; i < rules->rule_count; i++)
		if (rules->rules[i].kind == rule->kind &&
		    rules->rules[i].after.ms == rule->after.ms) {
			compiler_error(r->c, site_node_place(node), "Leave one of them away.",
				       "'%s' is reached twice by '" STR_FMT "'", person->id,
				       STR_ARG(node->text));
			return;
		}
	rules->rule_count++;
	if (person_address(person, rule->kind) == NULL)
		compiler_error(
			r->c, site_node_place(node),
			compiler_format(r->c, "Add `%s` to the person.", kinds[rule->kind].lacks),
			"'%s' is to be reached by %s but has no %s", person->id,
			kinds[rule->kind].name, kinds[rule->kind].lacks);
}

static enum rc read_rules(struct site_reader *r, const struct conf_node *node,
			  const struct person *person, struct contact_rules *out)
{
	*out = (struct contact_rules){0};
	if (node->kind != CONF_LIST || node->item_count == 0 || node->item_count > RULES_LIMIT) {
		compiler_error(r->c, site_node_place(node), "contact: [sms, call after 2m]",
			       "how to reach '%s' must be a list of 1 to %d ways", person->id,
			       RULES_LIMIT);
		return RC_OK;
	}
	out->rules = cx_array(&r->c->plan_cx, node->item_count, sizeof(*out->rules));
	if (out->rules == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < node->item_count; i++)
		add_rule(r, node->items[i], person, out);
	sort(out);
	return RC_OK;
}

enum rc site_read_contact_rules(struct site_reader *r, const struct conf_node *node,
				struct person *person)
{
	struct contact_rules all = {0};
	bool set[PRIORITIES] = {0};
	if (node == NULL || (node->kind == CONF_SCALAR && node->text.n == 0))
		return RC_OK;
	if (node->kind != CONF_MAP)
		TRY(read_rules(r, node, person, &all));
	for (size_t i = 0; node->kind == CONF_MAP && i < node->entry_count; i++) {
		const struct conf_entry *entry = &node->entries[i];
		enum priority priority;
		if (str_is(entry->key, "default")) {
			TRY(read_rules(r, entry->value, person, &all));
		} else if (priority_named(entry->key, &priority)) {
			TRY(read_rules(r, entry->value, person, &person->contact[priority]));
			set[priority] = true;
		} else {
			compiler_error(r->c, site_entry_place(entry),
				       "There are critical, high, medium, low and default.",
				       "'" STR_FMT "' is no priority", STR_ARG(entry->key));
		}
	}
	for (int p = 0; p < PRIORITIES; p++)
		if (!set[p])
			person->contact[p] = all;
	return RC_OK;
}
