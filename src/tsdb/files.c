/* Files of blocks: finished, and removed for good.
 *
 * One that could not be removed would come back with the next start. It is tried again before
 * anything is merged or erased: otherwise what is erased later would come back with it. */
#include <stdlib.h>

#include "base/log.h"
#include "sys/file.h"
#include "tsdb/store.h"

void tsdb_remove_block(struct tsdb *tsdb, const char *path)
{
	struct arena arena;
	struct cx cx;
	arena_init(&arena, 4096);
	cx_init(&cx, &arena, clock_real());
	if (file_unlink(&cx, path) != RC_OK) {
		log_failure(&cx, "a block that is not needed any more stays; it is tried again");
		*vec_heap_add(&tsdb->leftovers) = heap_copy(path, strlen(path));
	}
	arena_release(&arena);
}

enum rc tsdb_remove_leftovers(struct cx *cx, struct tsdb *tsdb)
{
	while (tsdb->leftovers.n > 0) {
		char *path = tsdb->leftovers.v[tsdb->leftovers.n - 1];
		enum rc rc = file_unlink(cx, path);
		if (rc != RC_OK && rc != RC_NOT_FOUND)
			return rc;
		cx_clear(cx);
		free(path);
		tsdb->leftovers.n--;
	}
	return RC_OK;
}

enum rc tsdb_finish_block(struct cx *cx, struct tsdb *tsdb, struct block_writer **writer,
			  uint64_t order, uint64_t level, struct block **out)
{
	const char *path;
	*out = NULL;
	enum rc rc = tsdb_block_writer_finish(cx, writer, order, level, &path);
	if (rc == RC_OK && path != NULL)
		rc = tsdb_block_open(cx, path, out);
	if (rc != RC_OK && path != NULL)
		tsdb_remove_block(tsdb, path);
	return rc;
}
