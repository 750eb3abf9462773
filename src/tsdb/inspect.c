/* Looking at a store's files from outside, verifying every checksum, and saving what can be read of
 * damaged blocks. The store must not run while it is repaired. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sys/file.h"
#include "tsdb/chunk/chunk.h"
#include "tsdb/store.h"

struct inspection {
	struct cx *cx;
	const char *directory;
	bool verify;
	VEC(struct tsdb_file) files;
};

static struct tsdb_file *add_file(struct inspection *in, const char *kind, const char *name)
{
	struct tsdb_file *file = vec_add(in->cx, &in->files);
	if (file != NULL) {
		file->kind = kind;
		file->name = cx_printf(in->cx, "%s", name);
	}
	return file;
}

static void note_problem(struct cx *cx, struct tsdb_file *file)
{
	if (file->problem == NULL)
		file->problem = cx_printf(cx, "%s", cx_message(cx));
	cx_clear(cx);
}

/* ---- blocks ---- */

/* Calls for every chunk that verifies; what does not is counted and the first told. */
static enum rc each_chunk(struct cx *cx, struct block *block, struct block_series *series,
			  struct tsdb_file *file, struct tsdb_columns *columns)
{
	struct block_chunk chunk;
	while (tsdb_block_next_chunk(cx, block, series, &chunk)) {
		size_t n;
		tsdb_columns_reserve(columns, CHUNK_SAMPLES);
		if (tsdb_block_read_chunk(cx, block, &chunk, columns->t_ms + columns->n,
					  columns->values + columns->n, &n) == RC_OK) {
			columns->n += n;
			continue;
		}
		file->damaged_chunks++;
		note_problem(cx, file);
	}
	if (cx->err.code == RC_OK)
		return RC_OK;
	file->damaged_chunks++;
	note_problem(cx, file);
	return cx_in_time(cx);
}

static enum rc verify_block(struct cx *cx, struct block *block, struct tsdb_file *file)
{
	struct label pairs[LABELS_LIMIT];
	struct tsdb_columns columns = {0};
	uint64_t samples = 0;
	for (uint32_t id = 0; id < block->footer.series_count; id++) {
		struct block_series series;
		columns.n = 0;
		if (tsdb_block_series_at(cx, block, id, pairs, &series) != RC_OK) {
			file->damaged_chunks++;
			note_problem(cx, file);
			continue;
		}
		TRY(each_chunk(cx, block, &series, file, &columns));
		samples += columns.n;
	}
	tsdb_columns_release(&columns);
	if (file->problem == NULL && samples != block->footer.sample_count)
		file->problem = cx_printf(cx, "holds %llu samples where %llu were written",
					  (unsigned long long)samples,
					  (unsigned long long)block->footer.sample_count);
	return RC_OK;
}

static enum rc inspect_block(struct inspection *in, const char *name)
{
	struct cx *cx = in->cx;
	struct block *block;
	char *path = file_join(cx, in->directory, name);
	struct tsdb_file *file = add_file(in, "block", name);
	if (path == NULL || file == NULL)
		return RC_LIMIT;
	if (tsdb_block_open(cx, path, &block) != RC_OK) {
		note_problem(cx, file);
		return RC_OK;
	}
	file->bytes = block->length;
	file->series = block->footer.series_count;
	file->samples = block->footer.sample_count;
	file->min_ms = block->footer.min_ms;
	file->max_ms = block->footer.max_ms;
	file->level = block->footer.level;
	enum rc rc = in->verify ? verify_block(cx, block, file) : RC_OK;
	tsdb_block_unref(&block);
	return rc;
}

/* ---- the log and the series file ---- */

static bool count_series(void *context, uint64_t ref, struct str labels)
{
	struct tsdb_file *file = context;
	(void)ref, (void)labels;
	file->series++;
	return true;
}

static bool any_previous(void *context, uint64_t ref, double *value)
{
	(void)context, (void)ref;
	*value = 0;
	return true;
}

static bool count_sample(void *context, uint64_t ref, int64_t t_ms, double value)
{
	struct tsdb_file *file = context;
	(void)ref, (void)value;
	if (file->samples++ == 0 || t_ms < file->min_ms)
		file->min_ms = t_ms;
	if (file->samples == 1 || t_ms > file->max_ms)
		file->max_ms = t_ms;
	return true;
}

#define LOG_LIMIT_BYTES ((size_t)1 << 30)

static enum rc inspect_log(struct inspection *in, const char *kind, const char *directory,
			   const char *name)
{
	struct cx *cx = in->cx;
	struct arena_mark mark = arena_mark(cx->arena);
	struct tsdb_file counted = {0};
	struct series_reader series = {count_series, &counted};
	struct sample_reader log = {any_previous, count_sample, &counted};
	struct str bytes;
	char *path = file_join(cx, directory, name);
	if (path == NULL)
		return RC_LIMIT;
	enum rc rc = file_read(cx, path, LOG_LIMIT_BYTES, &bytes);
	if (rc != RC_OK)
		return rc;
	size_t good = str_is(str_of(kind), "log") ? tsdb_wal_read(bytes, &log)
						  : tsdb_series_read(bytes, &series);
	size_t length = bytes.n;
	arena_rewind(cx->arena, mark);
	struct tsdb_file *file = add_file(in, kind, name);
	if (file == NULL)
		return RC_LIMIT;
	counted.kind = file->kind;
	counted.name = file->name;
	*file = counted;
	file->bytes = length;
	if (good < length)
		file->problem =
			cx_printf(cx, "the last %zu bytes are no whole record", length - good);
	return RC_OK;
}

/* ---- all of it ---- */

static int by_name(const void *a, const void *b)
{
	const struct tsdb_file *left = a, *right = b;
	int order = strcmp(left->kind, right->kind);
	return order != 0 ? order : strcmp(left->name, right->name);
}

static enum rc inspect_entry(struct inspection *in, const char *name)
{
	struct str text = str_of(name);
	if (str_starts(text, STR("block-")))
		return inspect_block(in, name);
	if (str_starts(text, STR("series-")))
		return inspect_log(in, "series", in->directory, name);
	return RC_OK;
}

static enum rc each_entry(struct inspection *in, const char *directory,
			  enum rc (*each)(struct inspection *in, const char *name))
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	enum rc rc = RC_OK;
	if (dir == NULL)
		return cx_fail_os(in->cx, RC_NOT_FOUND, "could not open '%s'", directory);
	while (rc == RC_OK && (entry = readdir(dir)) != NULL)
		rc = each(in, entry->d_name);
	closedir(dir);
	return rc;
}

static enum rc inspect_segment(struct inspection *in, const char *name)
{
	int64_t number;
	char *directory = file_join(in->cx, in->directory, "wal");
	if (directory == NULL)
		return RC_LIMIT;
	return str_to_i64(str_of(name), &number) ? inspect_log(in, "log", directory, name) : RC_OK;
}

enum rc tsdb_inspect(struct cx *cx, const char *directory, bool verify, struct tsdb_file **out,
		     size_t *count)
{
	struct inspection in = {.cx = cx, .directory = directory, .verify = verify};
	char *log = file_join(cx, directory, "wal");
	if (log == NULL)
		return RC_LIMIT;
	TRY(each_entry(&in, directory, inspect_entry));
	enum rc rc = each_entry(&in, log, inspect_segment);
	if (rc == RC_NOT_FOUND) { /* a snapshot has none */
		cx_clear(cx);
		rc = RC_OK;
	}
	if (in.files.n > 1)
		qsort(in.files.v, in.files.n, sizeof(*in.files.v), by_name);
	*out = in.files.v;
	*count = in.files.n;
	return rc;
}

/* ---- repair ---- */

static enum rc save_readable(struct cx *cx, struct block *block, struct block_writer *writer,
			     struct tsdb_file *file)
{
	struct label pairs[LABELS_LIMIT];
	struct tsdb_columns columns = {0};
	enum rc rc = RC_OK;
	for (uint32_t id = 0; rc == RC_OK && id < block->footer.series_count; id++) {
		struct block_series series;
		columns.n = 0;
		if (tsdb_block_series_at(cx, block, id, pairs, &series) != RC_OK) {
			cx_clear(cx);
			continue;
		}
		rc = each_chunk(cx, block, &series, file, &columns);
		if (rc != RC_OK || columns.n == 0)
			continue;
		tsdb_block_writer_series(writer, &series.labels, series.hash);
		rc = tsdb_block_writer_samples(cx, writer, columns.t_ms, columns.values, columns.n);
	}
	tsdb_columns_release(&columns);
	return rc;
}

/* A name that is free: what an earlier repair kept stays. */
static char *name_aside(struct cx *cx, const char *directory, const char *name)
{
	char *path = cx_printf(cx, "%s/damaged-%s", directory, name);
	for (int again = 2; path != NULL && access(path, F_OK) == 0; again++)
		path = cx_printf(cx, "%s/damaged-%s.%d", directory, name, again);
	return path;
}

/* In the place of the damaged one once all of it is durable: a repair that fails or is ended half
 * way leaves what there was. */
static enum rc write_anew(struct cx *cx, const char *directory, const char *path,
			  struct block *block, struct tsdb_file *file)
{
	struct block_writer *writer;
	const char *written = NULL;
	TRY(tsdb_block_writer_open(cx, directory, block->number, &writer));
	for (size_t i = 0; i < block->footer.source_count; i++)
		tsdb_block_writer_source(writer, tsdb_block_source(block, i));
	enum rc rc = save_readable(cx, block, writer, file);
	if (rc != RC_OK) {
		tsdb_block_writer_drop(&writer);
		return rc;
	}
	TRY(tsdb_block_writer_finish(cx, &writer, block->footer.order, block->footer.level,
				     &written));
	return written == NULL ? file_unlink(cx, path) : RC_OK;
}

/* The block is written anew under its own number, from what verifies; the damaged one is kept
 * beside it. */
static enum rc rewrite(struct cx *cx, const char *directory, struct tsdb_file *file)
{
	struct block *block;
	char *path = file_join(cx, directory, file->name);
	char *aside = name_aside(cx, directory, file->name);
	if (path == NULL || aside == NULL)
		return RC_LIMIT;
	if (tsdb_block_open(cx, path, &block) != RC_OK) {
		cx_clear(cx); /* without its index nothing tells whose a chunk is */
		TRY(file_rename(cx, path, aside));
		return file_sync_dir(cx, directory);
	}
	enum rc rc = file_link(cx, path, aside);
	if (rc == RC_OK) {
		rc = write_anew(cx, directory, path, block, file);
		if (rc != RC_OK)
			file_discard(aside);
	}
	tsdb_block_unref(&block);
	return rc == RC_OK ? file_sync_dir(cx, directory) : rc;
}

enum rc tsdb_repair(struct cx *cx, const char *directory, struct tsdb_file **out, size_t *count)
{
	TRY(tsdb_inspect(cx, directory, true, out, count));
	for (size_t i = 0; i < *count; i++) {
		struct tsdb_file *file = &(*out)[i];
		if (file->problem == NULL || strcmp(file->kind, "block") != 0)
			continue;
		file->damaged_chunks = 0;
		TRY(rewrite(cx, directory, file));
		file->repaired = true;
	}
	return RC_OK;
}
