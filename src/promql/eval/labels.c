/* Label sets by hash: grouping, matching, equality. */
#include "promql/eval/labels.h"

#include "promql/parse/runes.h"

enum rc promql_drop_name(struct cx *cx, const struct labels *labels, struct labels *out)
{
	*out = *labels;
	for (size_t i = 0; i < labels->n; i++) {
		if (!str_eq(labels->v[i].name, LABELS_NAME))
			continue;
		if (i > 0) /* a name that begins with a capital sorts before it */
			return labels_with(cx, labels, LABELS_NAME, STR(""), out);
		*out = (struct labels){labels->v + 1, labels->n - 1};
		return RC_OK;
	}
	return RC_OK;
}

static bool takes(const struct projection *p, struct str name)
{
	if (p->whole)
		return true;
	for (size_t i = 0; i < p->count; i++)
		if (str_eq(p->names[i], name))
			return p->keep;
	return !p->keep && !str_eq(name, LABELS_NAME);
}

enum rc promql_project(struct cx *cx, const struct projection *projection,
		       const struct labels *labels, struct labels *out)
{
	struct label *made = cx_array(cx, labels->n, sizeof(*made));
	size_t n = 0;
	if (made == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < labels->n; i++)
		if (takes(projection, labels->v[i].name))
			made[n++] = labels->v[i];
	*out = (struct labels){made, n};
	return RC_OK;
}

static uint64_t hash_of(const struct projection *p, const struct labels *labels)
{
	uint64_t hash = 0x9e3779b97f4a7c15ULL;
	for (size_t i = 0; i < labels->n; i++) {
		if (!takes(p, labels->v[i].name))
			continue;
		hash = (hash ^ str_hash(labels->v[i].name)) * 0xff51afd7ed558ccdULL;
		hash = (hash ^ (hash >> 32) ^ str_hash(labels->v[i].value)) * 0xc4ceb9fe1a85ec53ULL;
	}
	return hash ^ (hash >> 29);
}

/* The first label at or after *at that is taken; NULL at the end. */
static const struct label *next_taken(const struct projection *p, const struct labels *labels,
				      size_t *at)
{
	while (*at < labels->n) {
		const struct label *label = &labels->v[(*at)++];
		if (takes(p, label->name))
			return label;
	}
	return NULL;
}

static bool equal_under(const struct projection *p, const struct labels *a, const struct labels *b)
{
	size_t at_a = 0, at_b = 0;
	for (;;) {
		const struct label *left = next_taken(p, a, &at_a);
		const struct label *right = next_taken(p, b, &at_b);
		if (left == NULL || right == NULL)
			return left == right;
		if (!str_eq(left->value, right->value) || !str_eq(left->name, right->name))
			return false;
	}
}

enum rc promql_index_init(struct cx *cx, struct labels_index *index, struct projection projection,
			  size_t most)
{
	*index = (struct labels_index){.projection = projection, .capacity = 16};
	while (index->capacity < most * 2)
		index->capacity *= 2;
	index->slots = cx_array(cx, index->capacity, sizeof(*index->slots));
	index->sets = cx_array(cx, most, sizeof(struct labels *));
	return index->slots == NULL || index->sets == NULL ? RC_LIMIT : RC_OK;
}

static struct labels_slot *slot_of(const struct labels_index *index, const struct labels *labels,
				   uint64_t hash)
{
	size_t at = hash & (index->capacity - 1);
	for (;; at = (at + 1) & (index->capacity - 1)) {
		struct labels_slot *slot = &index->slots[at];
		if (slot->number == 0 ||
		    (slot->hash == hash &&
		     equal_under(&index->projection, index->sets[slot->number - 1], labels)))
			return slot;
	}
}

size_t promql_index_add(struct labels_index *index, const struct labels *labels, bool *added)
{
	uint64_t hash = hash_of(&index->projection, labels);
	struct labels_slot *slot = slot_of(index, labels, hash);
	*added = slot->number == 0;
	if (*added) {
		index->sets[index->n++] = labels;
		*slot = (struct labels_slot){hash, index->n};
	}
	return slot->number - 1;
}

size_t promql_index_find(const struct labels_index *index, const struct labels *labels)
{
	return slot_of(index, labels, hash_of(&index->projection, labels))->number - 1;
}

void promql_put_labels(struct buf *out, const struct labels *labels)
{
	buf_putc(out, '{');
	for (size_t i = 0; i < labels->n; i++) {
		buf_puts(out, i == 0 ? "" : ", ");
		buf_put_str(out, labels->v[i].name);
		buf_putc(out, '=');
		promql_put_quoted(out, labels->v[i].value, SIZE_MAX);
	}
	buf_putc(out, '}');
}
