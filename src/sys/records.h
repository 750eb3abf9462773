/* Numbered files of checksummed records, as the store's log, its series file and the queue of
 * remote write are. A file begins with eight bytes, the last of which is its version; a record is
 * u32 length, u32 XXH32 of what follows, payload. Blocking: workers, or at start. */
#ifndef SYS_RECORDS_H
#define SYS_RECORDS_H

#include "base/bytes.h"
#include "base/cx.h"

#define RECORDS_MAGIC_BYTES 8
#define RECORD_HEAD_BYTES 8
#define RECORD_LIMIT_BYTES (64 << 20)

size_t record_begin(struct buf *out);
void record_end(struct buf *out, size_t began_at);
/* Cuts the first record from *rest; false when there is none, or not all of it, or a damaged one.
 */
bool record_cut(struct str *rest, struct str *payload);
/* Calls for each payload until one is damaged or refused; the offset behind the last good one. */
size_t records_read(struct str bytes, const char *magic,
		    bool (*take)(void *context, struct str payload), void *context);

/* PREFIXnnnnnnnn of a directory, in order, in cx->arena. */
enum rc records_list(struct cx *cx, const char *directory, const char *prefix, uint64_t **out,
		     size_t *count) NODISCARD;
char *records_path(struct cx *cx, const char *directory, const char *prefix, uint64_t number);
/* A new file with its magic, its name synced. */
enum rc records_create(struct cx *cx, const char *directory, const char *prefix, const char *magic,
		       uint64_t number, int *fd) NODISCARD;
/* To append to. */
enum rc records_reopen(struct cx *cx, const char *directory, const char *prefix, uint64_t number,
		       int *fd) NODISCARD;
/* Appends; on failure the file is cut back to *bytes. RC_IO, and not RC_NO_SPACE, when it may hold
 * half a record. */
enum rc records_append(struct cx *cx, int fd, uint64_t *bytes, struct str records) NODISCARD;
/* How a file ends. */
struct records_end {
	size_t good_bytes; /* behind the last good record */
	bool whole;        /* nothing follows it */
	bool damaged; /* a record follows that is no good one, and behind it one that is: not torn
		       */
};
/* Maps the file and reads it; RC_UNSUPPORTED for another version. What follows the last good record
 * is logged. */
enum rc records_replay(struct cx *cx, const char *path, const char *magic,
		       bool (*take)(void *context, struct str payload), void *context,
		       struct records_end *end) NODISCARD;
enum rc records_drop_before(struct cx *cx, const char *directory, const char *prefix,
			    uint64_t number) NODISCARD;

#endif
