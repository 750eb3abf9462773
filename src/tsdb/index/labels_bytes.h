/* Labels as bytes: for each, varint length and bytes of the name, then of the value. Compact, and
 * compared and hashed at once. Private to tsdb/. */
#ifndef TSDB_INDEX_LABELS_BYTES_H
#define TSDB_INDEX_LABELS_BYTES_H

#include "base/bytes.h"
#include "model/labels.h"

/* What is looked for. */
struct labels_key {
	struct str bytes;
	uint64_t hash;
	const struct labels *labels;
};

/* Room for a key's bytes, used again and again; free() them at the end. */
struct labels_room {
	char *bytes;
	size_t capacity;
};

/* The key lives as long as labels, and until the room is used again. */
void tsdb_labels_key(const struct labels *labels, struct labels_room *room, struct labels_key *key);
uint64_t tsdb_labels_hash(struct str bytes);
/* Into at most LABELS_LIMIT places; the slices point into bytes. false when they are none. */
bool tsdb_labels_read(struct str bytes, struct label *pairs, struct labels *out);
/* As labels_compare() would, of valid bytes. */
int tsdb_labels_order(struct str a, struct str b);

#endif
