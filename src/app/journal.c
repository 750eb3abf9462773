/* The journal's verbs: list and verify read the file itself, deploy asks the running Backline. */
#include <stdio.h>

#include <cjson/cJSON.h>

#include "app/command.h"
#include "app/table.h"
#include "base/json.h"
#include "ledger/ledger.h"
#include "sys/file.h"

static const char *ledger_path(struct invocation *invocation)
{
	return file_join(&invocation->cx, invocation_data(invocation), "ledger.db");
}

static void put_rows(struct buf *out, const struct ledger_row *rows, size_t count)
{
	struct json json;
	json_init(&json, out);
	json_array(&json);
	for (size_t i = 0; i < count; i++) {
		json_object(&json);
		json_put_int(&json, "seq", rows[i].seq);
		json_put_time(&json, "at", rows[i].at);
		json_put_str(&json, "kind", rows[i].kind);
		json_put_str(&json, "actor", rows[i].actor);
		json_put_str(&json, "subject", rows[i].subject);
		json_put_str(&json, "summary", rows[i].erased ? STR("(erased)") : rows[i].summary);
		json_put_str(&json, "details", rows[i].details);
		json_end_object(&json);
	}
	json_end_array(&json);
}

static int print_rows(struct invocation *invocation, struct str json)
{
	static const struct table_column columns[] = {
		{"SEQ", "seq"},     {"AT", "at"},        {"KIND", "kind"},
		{"ACTOR", "actor"}, {"WHAT", "summary"},
	};
	struct buf out = BUF_INIT;
	cJSON *rows = cJSON_ParseWithLength(json.p, json.n);
	enum rc rc = table_print(&invocation->cx, &out, rows, columns,
				 sizeof(columns) / sizeof(columns[0]), invocation->columns,
				 "the journal is empty");
	int status = rc == RC_OK ? invocation_print(buf_str(&out)) : invocation_failed(invocation);
	cJSON_Delete(rows);
	buf_release(&out);
	return status;
}

int app_journal_list(struct invocation *invocation)
{
	struct cx *cx = &invocation->cx;
	const char *limit = invocation_option(invocation, "limit");
	struct ledger_row *rows;
	size_t found;
	int64_t count = 50;
	if (limit != NULL && (!str_to_i64(str_of(limit), &count) || count < 1 || count > 100000)) {
		(void)cx_fail(cx, RC_INVALID, "bad --limit '%s'", limit);
		cx_hint(cx, "Give a number from 1 to 100000.");
		return invocation_failed(invocation);
	}
	struct ledger_filter filter = {.kind = invocation_option(invocation, "kind"),
				       .limit = (size_t)count};
	if (ledger_read(cx, ledger_path(invocation), &filter, &rows, &found) != RC_OK)
		return invocation_failed(invocation);
	struct buf out = BUF_INIT;
	put_rows(&out, rows, found);
	int status;
	if (invocation_option(invocation, "json") != NULL) {
		buf_putc(&out, '\n');
		status = invocation_print(buf_str(&out));
	} else {
		status = print_rows(invocation, buf_str(&out));
	}
	buf_release(&out);
	return status;
}

int app_journal_verify(struct invocation *invocation)
{
	struct ledger_report report;
	struct buf out = BUF_INIT;
	if (ledger_verify(&invocation->cx, ledger_path(invocation), &report) != RC_OK)
		return invocation_failed(invocation);
	if (invocation_option(invocation, "json") != NULL) {
		struct json json;
		json_init(&json, &out);
		json_object(&json);
		json_put_bool(&json, "whole", report.bad_seq == 0);
		json_put_int(&json, "entries", report.entries);
		json_put_int(&json, "erased", report.erased);
		json_put_int(&json, "bad_seq", report.bad_seq);
		json_put_text(&json, "problem", report.problem);
		json_end_object(&json);
		buf_putc(&out, '\n');
	} else if (report.bad_seq == 0) {
		buf_printf(&out, "whole: %lld entries, %lld payloads erased\n",
			   (long long)report.entries, (long long)report.erased);
	} else {
		buf_printf(&out, "BROKEN at entry %lld: %s; %lld entries before it are whole\n",
			   (long long)report.bad_seq, report.problem,
			   (long long)(report.bad_seq - 1));
	}
	int status = invocation_print(buf_str(&out));
	buf_release(&out);
	return report.bad_seq == 0 ? status : EXIT_FAILED;
}
