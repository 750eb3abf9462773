/* Labels as bytes. */
#include "tsdb/index/labels_bytes.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t tsdb_labels_hash(struct str bytes)
{
	return XXH3_64bits(bytes.p, bytes.n);
}

void tsdb_labels_key(const struct labels *labels, struct buf *out, struct labels_key *key)
{
	buf_clear(out);
	for (size_t i = 0; i < labels->n; i++) {
		bytes_put_str(out, labels->v[i].name);
		bytes_put_str(out, labels->v[i].value);
	}
	key->bytes = buf_str(out);
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
