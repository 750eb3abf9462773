/* Open addressing by the labels' hash. */
#include "rules/recorded.h"

#include <stdlib.h>

static struct recorded *make(const struct labels *labels, uint64_t hash)
{
	size_t bytes = sizeof(struct recorded) + labels->n * sizeof(struct label);
	for (size_t i = 0; i < labels->n; i++)
		bytes += labels->v[i].name.n + labels->v[i].value.n;
	struct recorded *made = heap_alloc(bytes);
	struct label *list = (struct label *)(made + 1);
	char *at = (char *)(list + labels->n);
	for (size_t i = 0; i < labels->n; i++) {
		const struct label *from = &labels->v[i];
		memcpy(at, from->name.p, from->name.n);
		list[i].name = str_make(at, from->name.n);
		at += from->name.n;
		memcpy(at, from->value.p, from->value.n);
		list[i].value = str_make(at, from->value.n);
		at += from->value.n;
	}
	made->labels = (struct labels){list, labels->n};
	made->hash = hash;
	return made;
}

static void place(struct recorded_set *set, struct recorded *recorded)
{
	size_t mask = set->slot_count - 1, at = recorded->hash & mask;
	while (set->slots[at] != NULL)
		at = (at + 1) & mask;
	set->slots[at] = recorded;
}

static void resize(struct recorded_set *set, size_t slot_count)
{
	struct recorded **old = set->slots;
	size_t old_count = set->slot_count;
	set->slots = heap_alloc(slot_count * sizeof(struct recorded *));
	set->slot_count = slot_count;
	for (size_t i = 0; i < old_count; i++)
		if (old[i] != NULL)
			place(set, old[i]);
	free(old);
}

struct recorded *rules_recorded_at(struct recorded_set *set, const struct labels *labels,
				   uint64_t hash)
{
	size_t mask = set->slot_count - 1;
	for (size_t at = hash & mask; set->slot_count > 0 && set->slots[at] != NULL;
	     at = (at + 1) & mask)
		if (set->slots[at]->hash == hash && labels_equal(&set->slots[at]->labels, labels))
			return set->slots[at];
	if ((set->count + 1) * 2 > set->slot_count)
		resize(set, set->slot_count == 0 ? 16 : set->slot_count * 2);
	struct recorded *made = make(labels, hash);
	place(set, made);
	set->count++;
	return made;
}

void rules_recorded_sweep(struct recorded_set *set,
			  void (*gone)(void *context, struct recorded *recorded), void *context)
{
	size_t left = 0;
	for (size_t i = 0; i < set->slot_count; i++) {
		struct recorded *recorded = set->slots[i];
		if (recorded == NULL)
			continue;
		if (recorded->round == set->round) {
			left++;
			continue;
		}
		gone(context, recorded);
		free(recorded);
		set->slots[i] = NULL;
	}
	if (left == set->count)
		return;
	set->count = left; /* holes would end searches early: all are placed anew */
	resize(set, set->slot_count);
}

void rules_recorded_release(struct recorded_set *set)
{
	for (size_t i = 0; i < set->slot_count; i++)
		free(set->slots[i]);
	free(set->slots);
	*set = (struct recorded_set){0};
}
