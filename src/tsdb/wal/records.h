/* Numbered files of checksummed records, as the log and the series file are. A record is u32
 * length, u32 XXH32 of what follows, payload. Private to tsdb/wal. */
#ifndef TSDB_WAL_RECORDS_H
#define TSDB_WAL_RECORDS_H

#include "base/bytes.h"
#include "base/cx.h"

#define RECORDS_MAGIC_BYTES 8
#define RECORD_HEAD_BYTES 8
#define RECORD_LIMIT_BYTES (64 << 20)

size_t tsdb_record_begin(struct buf *out);
void tsdb_record_end(struct buf *out, size_t began_at);
/* Calls for each payload until one is damaged or refused; the offset behind the last good one. */
size_t tsdb_records_read(struct str bytes, const char *magic,
			 bool (*take)(void *context, struct str payload), void *context);

/* PREFIXnnnnnnnn of a directory, in order, in cx->arena. */
enum rc tsdb_records_list(struct cx *cx, const char *directory, const char *prefix, uint64_t **out,
			  size_t *count) NODISCARD;
char *tsdb_records_path(struct cx *cx, const char *directory, const char *prefix, uint64_t number);
/* A new file with its magic, its name synced. */
enum rc tsdb_records_create(struct cx *cx, const char *directory, const char *prefix,
			    const char *magic, uint64_t number, int *fd) NODISCARD;
/* To append to. */
enum rc tsdb_records_reopen(struct cx *cx, const char *directory, const char *prefix,
			    uint64_t number, int *fd) NODISCARD;
/* Appends; on failure the file is cut back to *bytes. */
enum rc tsdb_records_append(struct cx *cx, int fd, uint64_t *bytes, struct str records) NODISCARD;
/* Maps the file and reads it; RC_UNSUPPORTED for another version. *good is behind the last good
 * record; *whole: nothing follows it. What does is logged. */
enum rc tsdb_records_replay(struct cx *cx, const char *path, const char *magic,
			    bool (*take)(void *context, struct str payload), void *context,
			    size_t *good, bool *whole) NODISCARD;
enum rc tsdb_records_drop_before(struct cx *cx, const char *directory, const char *prefix,
				 uint64_t number) NODISCARD;

#endif
