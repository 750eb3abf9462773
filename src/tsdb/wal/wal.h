/* What makes appended samples durable: the write-ahead log, segments of checksummed records, and
 * the series file, where the labels of each series stand once. Layouts in docs/formats/wal.md.
 * Private to tsdb/. */
#ifndef TSDB_WAL_WAL_H
#define TSDB_WAL_WAL_H

#include "base/bytes.h"
#include "base/cx.h"
#include "model/sample_bytes.h"

/* ---- the log ---- */

struct wal {
	char *directory;
	int fd;
	uint64_t segment;
	uint64_t bytes; /* of the segment: good so far */
	bool damaged;   /* when it was opened: good records stood behind one that was not */
};

/* One record under way: samples are put into it. */
struct wal_batch {
	struct sample_bytes samples;
	size_t began;
};

/* Replays every segment in order, then opens a new one. A torn tail of the last one is left, with
 * a log line; damage elsewhere ends the replay of that segment, with a log line. */
enum rc tsdb_wal_open(struct cx *cx, const char *directory, const struct sample_reader *reader,
		      struct wal *out) NODISCARD;
/* The number of the newest segment, 0 without one. */
enum rc tsdb_wal_newest(struct cx *cx, const char *directory, uint64_t *out) NODISCARD;
void tsdb_wal_close(struct wal *wal);

void tsdb_wal_begin(struct wal_batch *batch, struct buf *out);
/* Nothing is left of a record without samples. */
void tsdb_wal_end(struct wal_batch *batch);
/* Whole records; on failure the segment is cut back to what it was. */
enum rc tsdb_wal_write(struct cx *cx, struct wal *wal, struct str records) NODISCARD;
enum rc tsdb_wal_next_segment(struct cx *cx, struct wal *wal) NODISCARD;
enum rc tsdb_wal_drop_before(struct cx *cx, const struct wal *wal, uint64_t segment) NODISCARD;
/* Reads the records of one segment's bytes; the offset behind the last good one. For replay,
 * verification and fuzzing. */
size_t tsdb_wal_read(struct str bytes, const struct sample_reader *reader);

/* ---- the series file ---- */

struct series_file {
	char *directory;
	int fd;
	uint64_t number;
	uint64_t bytes;
	size_t records;
	bool damaged; /* when it was opened, as a log may be */
};

struct series_reader {
	bool (*series)(void *context, uint64_t ref, struct str labels);
	void *context;
};

enum rc tsdb_series_open(struct cx *cx, const char *directory, const struct series_reader *reader,
			 struct series_file *out) NODISCARD;
void tsdb_series_close(struct series_file *file);
void tsdb_series_put(struct buf *out, uint64_t ref, struct str labels);
/* Whole records; on failure the file is cut back to what it was. */
enum rc tsdb_series_write(struct cx *cx, struct series_file *file, struct str records,
			  size_t count) NODISCARD;
/* What follows goes to the next file; the former ones count until they are dropped. */
enum rc tsdb_series_next(struct cx *cx, struct series_file *file) NODISCARD;
/* Syncs this one first. */
enum rc tsdb_series_drop_former(struct cx *cx, struct series_file *file) NODISCARD;
size_t tsdb_series_read(struct str bytes, const struct series_reader *reader);

#endif
