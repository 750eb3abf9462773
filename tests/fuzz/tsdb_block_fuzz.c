/* Reaches: a block's footer, index and chunks, with sums put right so that what lies behind them is
 * reached as well. */
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <stdlib.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "tsdb/block/block.h"
#include "tsdb/chunk/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mend_sums(char *bytes, size_t size)
{
	struct block_footer footer;
	if (size < sizeof(footer) + 8)
		return;
	char *at = bytes + size - sizeof(footer);
	memcpy(bytes, "BLBLK\0\0\2", 8);
	memcpy(&footer, at, sizeof(footer));
	memcpy(footer.magic, "BLBLK\0\0\2", 8);
	if (footer.symbols_at <= footer.index_end && footer.index_end <= size)
		footer.index_sum = XXH3_64bits(bytes + footer.symbols_at,
					       footer.index_end - footer.symbols_at);
	footer.footer_sum = XXH3_64bits(&footer, offsetof(struct block_footer, footer_sum));
	memcpy(at, &footer, sizeof(footer));
}

static void read_all(struct cx *cx, struct block *block)
{
	struct label pairs[LABELS_LIMIT];
	struct block_series series;
	struct block_chunk chunk;
	int64_t t_ms[CHUNK_SAMPLES];
	double values[CHUNK_SAMPLES];
	size_t n;
	for (uint32_t id = 0; id < block->footer.series_count && id < 100; id++) {
		if (tsdb_block_series_at(cx, block, id, pairs, &series) != RC_OK)
			continue;
		for (int i = 0; i < 100 && tsdb_block_next_chunk(cx, block, &series, &chunk); i++)
			if (tsdb_block_read_chunk(cx, block, &chunk, t_ms, values, &n) != RC_OK)
				break;
	}
	for (size_t i = 0; i < block->footer.name_count && i < 100; i++) {
		struct postings_source source = tsdb_block_postings(block);
		roaring_bitmap_free(source.equal(source.self, tsdb_block_name(block, i), STR("a")));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct cx cx;
	struct block *block;
	char path[32];
	if (size > 65536)
		return 0;
	int fd = memfd_create("block", 0);
	char *copy = heap_alloc(size);
	memcpy(copy, data, size);
	mend_sums(copy, size);
	if (fd < 0 || write(fd, copy, size) != (ssize_t)size)
		__builtin_trap();
	free(copy);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	arena_init(&arena, 1 << 20);
	cx_init(&cx, &arena, clock_real());
	if (tsdb_block_open(&cx, path, &block) == RC_OK) {
		read_all(&cx, block);
		tsdb_block_unref(&block);
	}
	arena_release(&arena);
	close(fd);
	return 0;
}
