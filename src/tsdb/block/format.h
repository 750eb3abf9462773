/* What writing and reading a block share. Private to tsdb/block. */
#ifndef TSDB_BLOCK_FORMAT_H
#define TSDB_BLOCK_FORMAT_H

#include "base/str.h"

#define BLOCK_MAGIC "BLBLK\0\0\2" /* the last byte is the version */
#define BLOCK_MAGIC_BYTES 8
#define BLOCK_PREFIX "block-"
#define BLOCK_UNFINISHED ".new"

/* XXH32 of the record behind its sum, then, seeded by that, of the times wherever they stand. */
uint32_t tsdb_block_chunk_sum(struct str record, struct str times);

#endif
