/* site.yaml: who is who, and whom the document means by its names. */
#include <stddef.h>
#include <stdio.h>

#include "manual/site.h"

/* ---- people ---- */

struct person_text {
	struct person person;
	const struct conf_node *contact;
};

#define KEY(name, type, field, help)                                                               \
	{                                                                                          \
		name, type, offsetof(struct person_text, field), help, false                       \
	}
static const struct conf_key person_keys[] = {
	KEY("title", CONF_TEXT, person.title, "for example Tech Lead"),
	KEY("email", CONF_TEXT, person.email, "an address"),
	KEY("phone", CONF_TEXT, person.phone, "+ and digits"),
	KEY("slack", CONF_TEXT, person.slack, "the member's id"),
	KEY("telegram", CONF_TEXT, person.telegram, "the chat's id"),
	KEY("contact", CONF_NODE, contact, "how to reach them: [sms, call after 2m]"),
};
#undef KEY

bool site_mail_valid(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || *p == '<' || *p == '>' || *p == ',' || *p == 0x7f)
			return false;
	const char *at = strchr(text, '@');
	return at != NULL && at != text && at[1] != '\0' && strchr(at + 1, '@') == NULL;
}

enum rc site_read_people(struct site_reader *r, const struct conf_node *node)
{
	struct plan *plan = r->c->plan;
	for (size_t i = 0; site_is_map(r, node, "people") && i < node->entry_count; i++) {
		const struct conf_entry *entry = &node->entries[i];
		if (plan->person_count == COMPILER_PEOPLE_LIMIT)
			return cx_fail(r->c->cx, RC_LIMIT, "more than %d people",
				       COMPILER_PEOPLE_LIMIT);
		struct person *person = &plan->people[plan->person_count++];
		person->id = compiler_text(r->c, entry->key);
		person->place = site_entry_place(entry);
		struct person_text text = {.person = *person};
		TRY(SITE_READ(r, entry->value, "a person", person_keys, &text));
		*person = text.person;
		TRY(site_read_contact_rules(r, text.contact, person));
		if (person->email != NULL && !site_mail_valid(person->email))
			compiler_error(r->c, person->place, "Write name@host.",
				       "'%s' has a bad email '%s'", person->id, person->email);
	}
	return RC_OK;
}

/* ---- whom the document means ---- */

void site_read_contacts(struct site_reader *r, const struct conf_node *node)
{
	struct compiler *c = r->c;
	for (size_t i = 0; site_is_map(r, node, "contacts") && i < node->entry_count; i++) {
		const struct conf_entry *entry = &node->entries[i];
		struct contact *contact = compiler_contact(c, entry->key);
		struct str target = entry->value == NULL ? STR("") : entry->value->text;
		if (str_starts(target, STR("oncall."))) {
			contact->oncall = plan_oncall(c->plan, str_skip(target, 7));
		} else if (memchr(target.p, '@', target.n) != NULL) {
			contact->mail_group = compiler_text(c, target);
			if (!site_mail_valid(contact->mail_group))
				compiler_error(c, site_entry_place(entry), "Write name@host.",
					       "contact '%s' has a bad address '%s'", contact->name,
					       contact->mail_group);
		} else {
			contact->person = plan_person(c->plan, target);
		}
		if (contact->oncall == NULL && contact->person == NULL &&
		    contact->mail_group == NULL)
			compiler_error(
				c, site_entry_place(entry),
				"Bind it to somebody of `people`, to oncall.NAME or to an address.",
				"contact '%s' is bound to '" STR_FMT "', which is nobody",
				contact->name, STR_ARG(target));
	}
}
