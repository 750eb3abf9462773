/* A block's postings as a source to select from: names sorted, under each its values sorted. */
#include "base/check.h"
#include "tsdb/block/block.h"

struct value_range {
	size_t first, end;
};

static const char *name_at(const struct block *block, size_t index)
{
	return block->map + block->footer.names_at + index * 8;
}

static const char *value_at(const struct block *block, size_t index)
{
	return block->map + block->footer.values_at + index * 8;
}

struct str tsdb_block_name(const struct block *block, size_t index)
{
	return tsdb_block_symbol(block, bytes_u32(name_at(block, index)));
}

static struct str value_text(const struct block *block, size_t index)
{
	return tsdb_block_symbol(block, bytes_u32(value_at(block, index)));
}

static struct value_range values_of(const struct block *block, struct str name)
{
	size_t low = 0, high = (size_t)block->footer.name_count;
	size_t all = (size_t)block->footer.value_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = str_compare(tsdb_block_name(block, middle), name);
		if (order == 0) {
			size_t first = bytes_u32(name_at(block, middle) + 4);
			size_t end = middle + 1 < block->footer.name_count
					     ? bytes_u32(name_at(block, middle + 1) + 4)
					     : all;
			return first <= end && end <= all ? (struct value_range){first, end}
							  : (struct value_range){0, 0};
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return (struct value_range){0, 0};
}

/* Adds the set that stands at a value's place. */
static void add_set(const struct block *block, size_t index, roaring_bitmap_t *set)
{
	const struct block_footer *f = &block->footer;
	uint64_t at = bytes_u32(value_at(block, index) + 4), count, only;
	size_t length = (size_t)(f->names_at - f->postings_at);
	struct str bytes;
	if (at > length)
		return;
	struct str rest = str_make(block->map + f->postings_at + at, length - (size_t)at);
	if (!bytes_cut_varint(&rest, &count))
		return;
	if (count == 1) {
		if (bytes_cut_varint(&rest, &only))
			roaring_bitmap_add(set, (uint32_t)only);
		return;
	}
	if (!bytes_cut_str(&rest, &bytes))
		return;
	roaring_bitmap_t *stored = roaring_bitmap_portable_deserialize_safe(bytes.p, bytes.n);
	if (stored == NULL)
		return;
	roaring_bitmap_or_inplace(set, stored);
	roaring_bitmap_free(stored);
}

static bool find_value(const struct block *block, struct str name, struct str value, size_t *out)
{
	struct value_range range = values_of(block, name);
	while (range.first < range.end) {
		size_t middle = range.first + (range.end - range.first) / 2;
		int order = str_compare(value_text(block, middle), value);
		if (order == 0) {
			*out = middle;
			return true;
		}
		if (order < 0)
			range.first = middle + 1;
		else
			range.end = middle;
	}
	return false;
}

static roaring_bitmap_t *source_all(const void *self)
{
	const struct block *block = self;
	return roaring_bitmap_from_range(0, block->footer.series_count, 1);
}

static void source_add(const void *self, struct str name, struct str value, roaring_bitmap_t *set)
{
	size_t index;
	if (find_value(self, name, value, &index))
		add_set(self, index, set);
}

static roaring_bitmap_t *source_equal(const void *self, struct str name, struct str value)
{
	roaring_bitmap_t *set = roaring_bitmap_create();
	source_add(self, name, value, set);
	return set;
}

static void source_values(const void *self, struct str name,
			  bool (*each)(void *context, struct str value), void *context)
{
	struct value_range range = values_of(self, name);
	for (size_t i = range.first; i < range.end; i++)
		if (!each(context, value_text(self, i)))
			return;
}

struct postings_source tsdb_block_postings(const struct block *block)
{
	return (struct postings_source){block, source_all, source_equal, source_values, source_add};
}
