/* Labels as bytes. */
#include "tsdb/index/labels_bytes.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t tsdb_labels_hash(struct str bytes)
{
	return XXH3_64bits(bytes.p, bytes.n);
}

/* Once for every sample that comes without a reference: no call for a byte. */
void tsdb_labels_key(const struct labels *labels, struct labels_room *room, struct labels_key *key)
{
	size_t most = 0;
	for (size_t i = 0; i < labels->n; i++)
		most += labels->v[i].name.n + labels->v[i].value.n + 2 * VARINT_MOST_BYTES;
	if (most > room->capacity) {
		room->capacity = most * 2;
		room->bytes = heap_resize(room->bytes, room->capacity);
	}
	char *at = room->bytes;
	for (size_t i = 0; i < labels->n; i++) {
		const struct label *label = &labels->v[i];
		at = bytes_write_varint(at, label->name.n);
		memcpy(at, label->name.p, label->name.n);
		at = bytes_write_varint(at + label->name.n, label->value.n);
		memcpy(at, label->value.p, label->value.n);
		at += label->value.n;
	}
	key->bytes = str_make(room->bytes, (size_t)(at - room->bytes));
	key->hash = tsdb_labels_hash(key->bytes);
	key->labels = labels;
}

bool tsdb_labels_read(struct str bytes, struct label *pairs, struct labels *out)
{
	size_t n = 0;
	while (bytes.n > 0) {
		if (n == LABELS_LIMIT || !bytes_cut_str(&bytes, &pairs[n].name) ||
		    !bytes_cut_str(&bytes, &pairs[n].value))
			return false;
		n++;
	}
	*out = (struct labels){pairs, n};
	return true;
}

int tsdb_labels_order(struct str a, struct str b)
{
	while (a.n > 0 && b.n > 0) {
		struct str left, right;
		if (!bytes_cut_str(&a, &left) || !bytes_cut_str(&b, &right))
			break;
		int order = str_compare(left, right);
		if (order != 0)
			return order;
	}
	return (a.n > 0) - (b.n > 0);
}
