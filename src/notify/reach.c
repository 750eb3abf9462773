/* Ways to people and places. */
#include "notify/reach.h"

#include <stdio.h>

#define AT_ONCE ((struct dur){0})

static bool is_place(const struct channel *channel)
{
	return channel->target != NULL || channel->kind == CHANNEL_WEBHOOK ||
	       channel->kind == CHANNEL_LOG;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void add(struct reach *reach, enum channel_kind kind, const char *target,
		const struct person *person, struct dur after)
{
	for (size_t i = 0; i < reach->count; i++)
		if (reach->ways[i].kind == kind && same_text(reach->ways[i].target, target) &&
		    reach->ways[i].after.ms == after.ms)
			return;
	if (reach->count < REACH_LIMIT)
		reach->ways[reach->count++] =
			(struct reach_way){kind, target, person == NULL ? NULL : person->id, after};
}

/* Each once: the person's rules and the priority's channels may lack the same. */
static void lack(struct reach *reach, enum channel_kind kind, const char *why)
{
	char words[sizeof(reach->lacks)];
	size_t used = strlen(reach->lacks);
	snprintf(words, sizeof(words), "%s: %s", channel_kind_name(kind), why);
	if (strstr(reach->lacks, words) == NULL)
		snprintf(reach->lacks + used, sizeof(reach->lacks) - used, "%s%s",
			 used == 0 ? "" : ", ", words);
}

static const struct contact *contact_of(const struct plan *plan, enum priority priority,
					size_t step)
{
	const struct escalation *escalation = &plan->escalations[priority];
	return step < escalation->step_count ? escalation->steps[step].contact : NULL;
}

static const char *address_by(enum channel_kind kind, const struct contact *contact,
			      const struct person *person)
{
	if (kind == CHANNEL_EMAIL && contact != NULL && contact->mail_group != NULL)
		return contact->mail_group;
	return person == NULL ? NULL : person_address(person, kind);
}

static const struct person *person_of(const struct reach_scene *scene,
				      const struct contact *contact)
{
	return contact == NULL ? NULL
			       : contact_person(scene->plan, contact, scene->overrides, scene->at);
}

/* As the person wants it. Returns whether one of the ways can be used. */
static bool add_by_rules(const struct plan *plan, const struct contact_rules *rules,
			 const struct person *person, struct reach *out)
{
	size_t before = out->count;
	for (size_t i = 0; i < rules->rule_count; i++) {
		const struct contact_rule *rule = &rules->rules[i];
		const struct channel channel = {.kind = rule->kind};
		const char *address = person_address(person, rule->kind);
		const char *lacks = channel_lacks(plan, &channel);
		if (lacks != NULL || address == NULL)
			lack(out, rule->kind, lacks != NULL ? lacks : "no address");
		else
			add(out, rule->kind, address, person, rule->after);
	}
	return out->count > before;
}

/* A person's own channels of the priority. Returns whether there were any, usable or not. */
static bool add_person(const struct reach_scene *scene, const struct priority_channels *list,
		       const struct contact *contact, struct reach *out)
{
	const struct plan *plan = scene->plan;
	const struct person *person = person_of(scene, contact);
	size_t before = out->count;
	bool asked = false;
	if (person != NULL &&
	    add_by_rules(plan, &person->contact[list - plan->channels], person, out))
		return false;
	for (size_t i = 0; i < list->channel_count; i++) {
		const struct channel *channel = &list->channels[i];
		if (is_place(channel))
			continue;
		const char *address = address_by(channel->kind, contact, person);
		const char *lacks = channel_lacks(plan, channel);
		asked = true;
		if (lacks != NULL || address == NULL)
			lack(out, channel->kind, lacks != NULL ? lacks : "no address");
		else
			add(out, channel->kind, address, person, AT_ONCE);
	}
	return asked && out->count == before;
}

static void add_mail(const struct reach_scene *scene, const struct contact *contact,
		     struct reach *out)
{
	const struct person *person = person_of(scene, contact);
	const char *address = address_by(CHANNEL_EMAIL, contact, person);
	if (address != NULL && scene->plan->providers.smtp.url != NULL)
		add(out, CHANNEL_EMAIL, address, person, AT_ONCE);
}

void notify_reach(const struct reach_scene *scene, enum priority priority, size_t step,
		  struct reach *out)
{
	const struct plan *plan = scene->plan;
	const struct priority_channels *list = &plan->channels[priority];
	const struct contact *contact = contact_of(plan, priority, step);
	*out = (struct reach){0};
	bool unusable = add_person(scene, list, contact, out);
	bool is_last = step > 0 || list->channel_count == 0; /* nothing comes below */
	if (unusable || (is_last && out->count == 0))
		add_mail(scene, contact, out);
	for (size_t i = 0; step == 0 && i < list->channel_count; i++) {
		const struct channel *channel = &list->channels[i];
		if (!is_place(channel))
			continue;
		const char *lacks = channel_lacks(plan, channel);
		if (lacks != NULL)
			lack(out, channel->kind, lacks);
		else
			add(out, channel->kind, channel->target, NULL, AT_ONCE);
	}
}

void notify_reach_person(const struct plan *plan, enum priority priority,
			 const struct person *person, struct reach *out)
{
	const struct contact contact = {.name = person->id, .person = person};
	const struct reach_scene scene = {.plan = plan};
	*out = (struct reach){0};
	(void)add_person(&scene, &plan->channels[priority], &contact, out);
	if (out->count == 0)
		add_mail(&scene, &contact, out);
}

bool notify_reach_instead(const struct reach_scene *scene, enum priority priority, size_t step,
			  const struct reach_way *used, size_t used_count, struct reach_way *out)
{
	const struct plan *plan = scene->plan;
	struct reach all = {0};
	add_mail(scene, contact_of(plan, priority, step), &all);
	for (int p = PRIORITIES - 1; p >= 0; p--) {
		const struct priority_channels *list = &plan->channels[p];
		for (size_t i = 0; i < list->channel_count; i++)
			if (is_place(&list->channels[i]) &&
			    channel_lacks(plan, &list->channels[i]) == NULL)
				add(&all, list->channels[i].kind, list->channels[i].target, NULL,
				    AT_ONCE);
	}
	for (size_t i = 0; i < all.count; i++) {
		bool tried = all.ways[i].kind == used[used_count - 1].kind;
		for (size_t u = 0; u < used_count; u++)
			tried = tried || (used[u].kind == all.ways[i].kind &&
					  same_text(used[u].target, all.ways[i].target));
		if (tried)
			continue;
		*out = all.ways[i];
		return true;
	}
	return false;
}
