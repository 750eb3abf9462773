/* The metrics store's files: inspect, verify, repair. They read the files themselves. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "app/command.h"
#include "app/table.h"
#include "base/json.h"
#include "sys/file.h"
#include "tsdb/tsdb.h"

static const char *store_path(struct invocation *invocation)
{
	return invocation->argument_count > 0
		       ? invocation->arguments[0]
		       : file_join(&invocation->cx, invocation_data(invocation), "metrics");
}

static void put_file(struct json *json, const struct tsdb_file *file)
{
	json_object(json);
	json_put_text(json, "kind", file->kind);
	json_put_text(json, "name", file->name);
	json_put_int(json, "bytes", (int64_t)file->bytes);
	json_put_int(json, "series", (int64_t)file->series);
	json_put_int(json, "samples", (int64_t)file->samples);
	if (file->samples > 0) {
		json_put_time(json, "from", (struct wall){file->min_ms});
		json_put_time(json, "to", (struct wall){file->max_ms});
		json_put_double(
			json, "bytes_per_sample",
			(double)(int64_t)((double)file->bytes * 1000 / (double)file->samples) /
				1000);
	}
	json_put_int(json, "level", (int64_t)file->level);
	json_put_int(json, "damaged_chunks", (int64_t)file->damaged_chunks);
	json_put_text(json, "problem", file->problem);
	json_put_bool(json, "repaired", file->repaired);
	json_end_object(json);
}

static int print_table(struct invocation *invocation, struct str json)
{
	static const struct table_column columns[] = {
		{"KIND", "kind"},     {"NAME", "name"},       {"BYTES", "bytes"},
		{"SERIES", "series"}, {"SAMPLES", "samples"}, {"FROM", "from"},
		{"TO", "to"},         {"PROBLEM", "problem"},
	};
	struct buf out = BUF_INIT;
	cJSON *rows = cJSON_ParseWithLength(json.p, json.n);
	enum rc rc = table_print(&invocation->cx, &out, rows, columns,
				 sizeof(columns) / sizeof(columns[0]), invocation->columns,
				 "the store is empty");
	int status = rc == RC_OK ? invocation_print(buf_str(&out)) : invocation_failed(invocation);
	cJSON_Delete(rows);
	buf_release(&out);
	return status;
}

static int show(struct invocation *invocation, const struct tsdb_file *files, size_t count)
{
	struct buf out = BUF_INIT;
	struct json json;
	json_init(&json, &out);
	json_array(&json);
	for (size_t i = 0; i < count; i++)
		put_file(&json, &files[i]);
	json_end_array(&json);
	int status;
	if (invocation_option(invocation, "json") != NULL) {
		buf_putc(&out, '\n');
		status = invocation_print(buf_str(&out));
	} else {
		status = print_table(invocation, buf_str(&out));
	}
	buf_release(&out);
	for (size_t i = 0; i < count && status == EXIT_FINE; i++)
		if (files[i].problem != NULL && !files[i].repaired)
			status = EXIT_FAILED;
	return status;
}

static int look(struct invocation *invocation, bool verify)
{
	struct tsdb_file *files;
	size_t count;
	if (tsdb_inspect(&invocation->cx, store_path(invocation), verify, &files, &count) != RC_OK)
		return invocation_failed(invocation);
	return show(invocation, files, count);
}

int app_tsdb_inspect(struct invocation *invocation)
{
	return look(invocation, false);
}

int app_tsdb_verify(struct invocation *invocation)
{
	return look(invocation, true);
}

/* Whoever serves this store holds the lock beside it. */
static enum rc check_stopped(struct cx *cx, const char *store)
{
	char *path = cx_printf(cx, "%s/../lock", store);
	if (path == NULL)
		return RC_LIMIT;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return RC_OK; /* a copy, or a snapshot */
	bool stopped = lockf(fd, F_TEST, 0) == 0;
	close(fd);
	if (stopped)
		return RC_OK;
	enum rc rc = cx_fail(cx, RC_CONFLICT, "Backline runs on '%s'", store);
	cx_hint(cx, "Stop it first: what it has open must not change under it.");
	return rc;
}

int app_tsdb_repair(struct invocation *invocation)
{
	struct tsdb_file *files;
	size_t count;
	if (check_stopped(&invocation->cx, store_path(invocation)) != RC_OK ||
	    tsdb_repair(&invocation->cx, store_path(invocation), &files, &count) != RC_OK)
		return invocation_failed(invocation);
	return show(invocation, files, count);
}
