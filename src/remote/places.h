/* How far a remote has come, in a file that any stop leaves readable: four slots, each with a
 * number and a sum, the highest number counts. Two are written in turn at each step, which a kill
 * survives, two in turn by each sync, which a power cut survives. Layout in
 * docs/formats/remote-queue.md. Private to remote/. */
#ifndef REMOTE_PLACES_H
#define REMOTE_PLACES_H

#include "base/cx.h"

#define REMOTE_SHARDS_MOST 64

/* In the queue: `index` samples of the record at `offset` are done. */
struct remote_place {
	uint64_t segment, offset;
	uint32_t index;
};

static inline int remote_place_compare(const struct remote_place *a, const struct remote_place *b)
{
	if (a->segment != b->segment)
		return a->segment < b->segment ? -1 : 1;
	if (a->offset != b->offset)
		return a->offset < b->offset ? -1 : 1;
	return (a->index > b->index) - (a->index < b->index);
}

/* Each shard's: all of its samples before are acknowledged. */
struct remote_places {
	uint64_t number; /* of the step */
	size_t n;        /* 0: nothing is known */
	struct remote_place v[REMOTE_SHARDS_MOST];
};

/* The file at `path`, made when there is none; what it says goes to *out. Blocking. */
enum rc remote_places_open(struct cx *cx, const char *path, int *fd,
			   struct remote_places *out) NODISCARD;
/* Gives the step its number, and writes it to the page cache. */
enum rc remote_places_write(struct cx *cx, int fd, struct remote_places *places) NODISCARD;
/* Writes it and syncs; `turn` differs by one from call to call. Worker; beside
 * remote_places_write(), one at a time. */
enum rc remote_places_sync(struct cx *cx, int fd, const struct remote_places *places,
			   unsigned turn) NODISCARD;
/* What the bytes of a file say. */
void remote_places_read(struct str bytes, struct remote_places *out);

#endif
