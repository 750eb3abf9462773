/* Write-ahead log: segments of checksummed records; layout in docs/formats/wal.md. Private to
 * tsdb/. */
#ifndef TSDB_WAL_WAL_H
#define TSDB_WAL_WAL_H

#include "model/sample.h"

enum wal_record { WAL_SERIES = 1, WAL_SAMPLES = 2 };

struct wal {
	char *directory;
	int fd;
	uint64_t segment;
	uint64_t bytes, synced_bytes; /* of the segment: good so far, and safe so far */
};

struct wal_reader {
	/* Each returns false to stop at a damaged record. */
	bool (*series)(void *context, uint64_t ref, const struct labels *labels);
	bool (*sample)(void *context, uint64_t ref, int64_t t_ms, double value);
	void *context;
};

/* Replays every segment in order, then opens a new one. A torn tail of the last one is cut, with a
 * log line; damage elsewhere ends the replay of that segment, with a log line. */
enum rc tsdb_wal_open(struct cx *cx, const char *directory, const struct wal_reader *reader,
		      struct wal *out) NODISCARD;
void tsdb_wal_close(struct wal *wal);

void tsdb_wal_put_series(struct buf *out, uint64_t ref, const struct labels *labels);
/* One record for a whole batch: begin, samples, end. */
size_t tsdb_wal_begin_samples(struct buf *out);
void tsdb_wal_put_sample(struct buf *out, uint64_t ref, int64_t t_ms, double value);
void tsdb_wal_end_samples(struct buf *out, size_t began_at);

/* Whole records; on failure the segment is cut back to what it was. */
enum rc tsdb_wal_write(struct cx *cx, struct wal *wal, struct str records) NODISCARD;
/* Starts the next segment. The old ones go by tsdb_wal_drop_before() once they are not needed. */
enum rc tsdb_wal_next_segment(struct cx *cx, struct wal *wal) NODISCARD;
enum rc tsdb_wal_drop_before(struct cx *cx, const struct wal *wal, uint64_t segment) NODISCARD;

/* Reads records of one segment's bytes; the offset behind the last good one. For replay and
 * fuzzing. */
size_t tsdb_wal_read(struct cx *cx, struct str bytes, const struct wal_reader *reader);

#endif
