/* Slots: magic, version, count of shards, number, places, sum. */
#include "remote/places.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/bytes.h"
#include "sys/file.h"

#define MAGIC "BLRPOS\0\1" /* the last byte is the version */
#define MAGIC_BYTES 8
#define HEAD_BYTES (MAGIC_BYTES + 4 + 8)
#define PLACE_BYTES 20
#define SLOT_BYTES 2048 /* whole sectors: a torn write of one leaves the others */
#define SLOTS 4

_Static_assert(HEAD_BYTES + REMOTE_SHARDS_MOST * PLACE_BYTES + 4 <= SLOT_BYTES, "a slot holds all");

static bool read_slot(struct str slot, struct remote_places *out)
{
	if (slot.n < HEAD_BYTES + 4 || memcmp(slot.p, MAGIC, MAGIC_BYTES) != 0)
		return false;
	uint32_t n = bytes_u32(slot.p + MAGIC_BYTES);
	size_t length = HEAD_BYTES + (size_t)n * PLACE_BYTES;
	if (n == 0 || n > REMOTE_SHARDS_MOST || slot.n < length + 4 ||
	    XXH32(slot.p, length, 0) != bytes_u32(slot.p + length))
		return false;
	out->n = n;
	out->number = bytes_u64(slot.p + MAGIC_BYTES + 4);
	for (uint32_t i = 0; i < n; i++) {
		const char *at = slot.p + HEAD_BYTES + i * PLACE_BYTES;
		out->v[i] =
			(struct remote_place){bytes_u64(at), bytes_u64(at + 8), bytes_u32(at + 16)};
	}
	return true;
}

void remote_places_read(struct str bytes, struct remote_places *out)
{
	out->n = 0;
	out->number = 0;
	for (int i = 0; i < SLOTS && bytes.n > 0; i++) {
		struct remote_places slot;
		struct str piece = str_make(bytes.p, bytes.n < SLOT_BYTES ? bytes.n : SLOT_BYTES);
		if (read_slot(piece, &slot) && (out->n == 0 || slot.number > out->number))
			*out = slot;
		bytes = str_skip(bytes, piece.n);
	}
}

enum rc remote_places_open(struct cx *cx, const char *path, int *fd, struct remote_places *out)
{
	static const char empty[SLOTS * SLOT_BYTES];
	char bytes[SLOTS * SLOT_BYTES];
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*fd < 0)
		return cx_fail_os(cx, errno == ENOSPC ? RC_NO_SPACE : RC_IO, "could not open '%s'",
				  path);
	ssize_t got = pread(*fd, bytes, sizeof(bytes), 0);
	enum rc rc = got < 0 ? cx_fail_os(cx, RC_IO, "could not read '%s'", path) : RC_OK;
	if (rc == RC_OK)
		remote_places_read(str_make(bytes, (size_t)got), out);
	/* all of its space from the start: a full disk must not lose places */
	if (rc == RC_OK && got == 0)
		rc = file_write_all(cx, *fd, empty, sizeof(empty));
	if (rc != RC_OK) {
		close(*fd);
		*fd = -1;
	}
	return rc;
}

static enum rc write_slot(struct cx *cx, int fd, int slot, const struct remote_places *places)
{
	char bytes[SLOT_BYTES] = MAGIC;
	uint32_t n = (uint32_t)places->n;
	size_t at = HEAD_BYTES;
	memcpy(bytes + MAGIC_BYTES, &n, 4);
	memcpy(bytes + MAGIC_BYTES + 4, &places->number, 8);
	for (uint32_t i = 0; i < n; i++, at += PLACE_BYTES) {
		memcpy(bytes + at, &places->v[i].segment, 8);
		memcpy(bytes + at + 8, &places->v[i].offset, 8);
		memcpy(bytes + at + 16, &places->v[i].index, 4);
	}
	uint32_t sum = XXH32(bytes, at, 0);
	memcpy(bytes + at, &sum, 4);
	ssize_t wrote = pwrite(fd, bytes, at + 4, (off_t)slot * SLOT_BYTES);
	if (wrote == (ssize_t)at + 4)
		return RC_OK;
	return cx_fail_os(cx, RC_IO, "could not write how far a remote has come");
}

enum rc remote_places_write(struct cx *cx, int fd, struct remote_places *places)
{
	places->number++;
	return write_slot(cx, fd, (int)(places->number % 2), places);
}

enum rc remote_places_sync(struct cx *cx, int fd, const struct remote_places *places, unsigned turn)
{
	TRY(write_slot(cx, fd, 2 + (int)(turn % 2), places));
	return file_sync(cx, fd);
}
