/* site.yaml: who is who, who is on call, and whom the document means by its names. */
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

const struct person *site_person_named(const struct plan *plan, struct str id)
{
	for (size_t i = 0; i < plan->person_count; i++)
		if (str_eq(id, str_of(plan->people[i].id)))
			return &plan->people[i];
	return NULL;
}

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

/* ---- on call ---- */

struct layer_text {
	const struct conf_node *people;
	const char *rotate, *handover;
};

static const struct conf_key layer_keys[] = {
	{"people", CONF_NODE, offsetof(struct layer_text, people), "a list, in turn", true},
	{"rotate", CONF_TEXT, offsetof(struct layer_text, rotate), "daily, weekly or a time; never",
	 false},
	{"handover", CONF_TEXT, offsetof(struct layer_text, handover), "for example mon 09:00",
	 false},
};

/* The first hand-over at or after the epoch week: Thursday 1970-01-01 is day 4. */
static bool read_handover(const char *text, struct wall *out)
{
	static const char *const days[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
	struct str rest = str_of(text == NULL ? "mon 09:00" : text), word, hour, minute;
	int64_t h, m;
	int day = 1;
	if (str_find(rest, STR(" ")) > 0 && str_split(&rest, ' ', &word)) {
		for (day = 0; day < 7; day++)
			if (word.n >= 3 && str_eq_nocase(str_make(word.p, 3), str_of(days[day])))
				break;
	}
	if (day == 7 || !str_split(&rest, ':', &hour) || !str_split(&rest, ':', &minute) ||
	    !str_to_i64(str_trim(hour), &h) || !str_to_i64(str_trim(minute), &m) || h > 23 ||
	    m > 59)
		return false;
	out->ms = (((day - 4 + 7) % 7) * 1440 + h * 60 + m) * 60000;
	return true;
}

static enum rc read_layer(struct site_reader *r, const struct conf_node *node,
			  struct oncall_layer *layer)
{
	struct compiler *c = r->c;
	struct layer_text text = {0};
	TRY(SITE_READ(r, node, "a layer", layer_keys, &text));
	if (text.people == NULL || text.people->kind != CONF_LIST || text.people->item_count == 0) {
		compiler_error(c, site_node_place(node), "people: [name, name]",
			       "a layer needs a list of people");
		return RC_OK;
	}
	layer->people = cx_array(&c->plan_cx, text.people->item_count, sizeof(*layer->people));
	if (layer->people == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < text.people->item_count; i++) {
		const struct conf_node *item = text.people->items[i];
		const struct person *person = site_person_named(c->plan, item->text);
		if (person == NULL)
			compiler_error(c, site_node_place(item), "Name somebody of `people`.",
				       "nobody is called '" STR_FMT "'", STR_ARG(item->text));
		else
			layer->people[layer->people_count++] = person;
	}
	if (text.rotate != NULL && !form_duration(str_of(text.rotate), &layer->rotate))
		compiler_error(c, site_node_place(node),
			       "Write daily, weekly or for example '12h'.", "'%s' is not a turn",
			       text.rotate);
	if (!read_handover(text.handover, &layer->start))
		compiler_error(c, site_node_place(node), "Write for example 'mon 09:00'.",
			       "'%s' is not a hand-over", text.handover);
	return RC_OK;
}

enum rc site_read_oncall(struct site_reader *r, const struct conf_node *node)
{
	struct plan *plan = r->c->plan;
	for (size_t i = 0; site_is_map(r, node, "oncall") && i < node->entry_count; i++) {
		const struct conf_entry *entry = &node->entries[i];
		const struct conf_node *layers = NULL;
		const struct conf_key key = {"layers", CONF_NODE, 0, "a list of layers", true};
		if (plan->oncall_count == COMPILER_ONCALLS_LIMIT)
			return cx_fail(r->c->cx, RC_LIMIT, "more than %d schedules",
				       COMPILER_ONCALLS_LIMIT);
		struct oncall *oncall = &plan->oncalls[plan->oncall_count++];
		oncall->id = compiler_text(r->c, entry->key);
		TRY(conf_read(&r->c->plan_cx, entry->value, "a schedule", &key, 1, &layers,
			      &r->report));
		if (layers == NULL || layers->kind != CONF_LIST)
			continue;
		oncall->layers =
			cx_array(&r->c->plan_cx, layers->item_count, sizeof(*oncall->layers));
		for (size_t l = 0; oncall->layers != NULL && l < layers->item_count; l++)
			TRY(read_layer(r, layers->items[l],
				       &oncall->layers[oncall->layer_count++]));
	}
	return RC_OK;
}

void site_read_contacts(struct site_reader *r, const struct conf_node *node)
{
	struct compiler *c = r->c;
	for (size_t i = 0; site_is_map(r, node, "contacts") && i < node->entry_count; i++) {
		const struct conf_entry *entry = &node->entries[i];
		struct contact *contact = compiler_contact(c, entry->key);
		struct str target = entry->value == NULL ? STR("") : entry->value->text;
		if (str_starts(target, STR("oncall."))) {
			struct str id = str_skip(target, 7);
			for (size_t o = 0; o < c->plan->oncall_count; o++)
				if (str_eq(id, str_of(c->plan->oncalls[o].id)))
					contact->oncall = &c->plan->oncalls[o];
		} else if (memchr(target.p, '@', target.n) != NULL) {
			contact->mail_group = compiler_text(c, target);
			if (!site_mail_valid(contact->mail_group))
				compiler_error(c, site_entry_place(entry), "Write name@host.",
					       "contact '%s' has a bad address '%s'", contact->name,
					       contact->mail_group);
		} else {
			contact->person = site_person_named(c->plan, target);
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
