/* What fired, folded from the journal on a worker: when, for how long, who had it. */
#include <stdlib.h>

#include "base/json_read.h"
#include "base/map.h"
#include "base/units.h"
#include "model/labels_json.h"
#include "web/inside.h"

#define HISTORY_BUDGET_BYTES (128 << 20)
#define ENTRIES_LIMIT 50000 /* of the journal, in one look */
#define ROWS_MOST 1000
#define DEFAULT_SINCE_MS (7LL * 86400 * 1000)

struct history_job {
	struct loop_job job;
	struct http_request *request;
	char *path, *component, *name; /* the last two NULL: all */
	struct wall since;
	int64_t before, limit;
	struct buf answer;
};

struct firing {
	int64_t seq; /* of the entry that says so; of its end where that is older than asked for */
	struct str rule, summary, group, acknowledged_by;
	struct labels labels;
	struct wall fired, acknowledged, resolved; /* 0 not */
};

struct fold {
	struct cx *cx;
	VEC(struct firing) list;
	struct map open; /* rule and labels -> index + 1 in the list */
	const struct ledger_row *pages;
	size_t page_count;
};

/* ---- one entry of an alert ---- */

static struct str group_of(struct cx *cx, const struct firing *firing)
{
	struct str threshold = labels_get(&firing->labels, STR("threshold"));
	struct str component = labels_get(&firing->labels, STR("component"));
	struct str first = threshold.n > 0 ? threshold : firing->rule;
	return str_of(cx_printf(cx, STR_FMT "/" STR_FMT, STR_ARG(first), STR_ARG(component)));
}

static enum rc read_firing(struct cx *cx, const struct ledger_row *row, struct firing *out)
{
	cJSON *details = cJSON_ParseWithLength(row->details.p, row->details.n);
	ptrdiff_t colon = str_find(row->summary, STR(": "));
	*out = (struct firing){.seq = row->seq, .rule = row->subject};
	out->summary = colon < 0 ? row->summary : str_skip(row->summary, (size_t)colon + 2);
	out->fired.ms = json_int_in(details, "fired_at_ms");
	const cJSON *labels = cJSON_GetObjectItemCaseSensitive(details, "labels");
	enum rc rc = labels == NULL ? RC_NOT_FOUND : labels_read_json(cx, labels, &out->labels);
	cJSON_Delete(details);
	if (rc == RC_OK)
		out->group = group_of(cx, out);
	return rc;
}

/* The same alert has the same key, whatever its words are. */
static struct str key_of(const struct firing *firing, struct buf *key)
{
	buf_clear(key);
	buf_put_str(key, firing->rule);
	labels_print(key, &firing->labels);
	return buf_str(key);
}

static enum rc fold_one(struct fold *fold, const struct ledger_row *row, struct buf *key)
{
	struct firing read, *kept;
	bool ends = str_starts(row->summary, STR("resolved: "));
	/* entries of earlier builds, and erased ones, do not say which alert */
	if (row->erased || read_firing(fold->cx, row, &read) != RC_OK)
		return RC_OK;
	size_t index = (size_t)(uintptr_t)map_get(&fold->open, key_of(&read, key));
	if (ends && index > 0) {
		fold->list.v[index - 1].resolved = row->at;
		(void)map_remove(&fold->open, buf_str(key));
		return RC_OK;
	}
	kept = vec_add(fold->cx, &fold->list);
	if (kept == NULL)
		return RC_LIMIT;
	*kept = read;
	if (ends)
		kept->resolved = row->at;
	else
		map_put(&fold->open, buf_str(key), (void *)(uintptr_t)fold->list.n);
	return RC_OK;
}

/* Whoever had the page of its group first, while it fired. */
static void find_acknowledgement(const struct fold *fold, struct firing *firing)
{
	for (size_t i = fold->page_count; i > 0; i--) {
		const struct ledger_row *row = &fold->pages[i - 1];
		if (row->at.ms < firing->fired.ms ||
		    (firing->resolved.ms != 0 && row->at.ms > firing->resolved.ms) ||
		    !str_starts(row->summary, STR("acknowledged")))
			continue;
		cJSON *details = cJSON_ParseWithLength(row->details.p, row->details.n);
		bool is_it = str_eq(json_str_in(details, "group"), firing->group);
		cJSON_Delete(details);
		if (!is_it)
			continue;
		firing->acknowledged = row->at;
		firing->acknowledged_by = row->actor;
		return;
	}
}

/* ---- the answer ---- */

static bool is_wanted(const struct history_job *h, const struct firing *firing)
{
	struct str component = labels_get(&firing->labels, STR("component"));
	struct str name = labels_get(&firing->labels, STR("alertname"));
	if (h->before > 0 && firing->seq >= h->before)
		return false;
	if (h->component != NULL && !str_eq(component, str_of(h->component)))
		return false;
	return h->name == NULL || str_eq(name, str_of(h->name)) ||
	       str_eq(firing->rule, str_of(h->name));
}

static void put_firing(struct json *json, const struct firing *firing, struct wall now)
{
	struct wall end = firing->resolved.ms > 0 ? firing->resolved : now;
	json_object(json);
	json_put_int(json, "seq", firing->seq);
	json_put_str(json, "rule", firing->rule);
	json_put_str(json, "name", labels_get(&firing->labels, STR("alertname")));
	json_put_str(json, "component", labels_get(&firing->labels, STR("component")));
	json_put_str(json, "priority", labels_get(&firing->labels, STR("priority")));
	json_put_text(json, "state", firing->resolved.ms > 0 ? "resolved" : "firing");
	json_put_str(json, "summary", firing->summary);
	json_put_time(json, "fired", firing->fired);
	web_put_instant(json, "acknowledged", firing->acknowledged);
	if (firing->acknowledged_by.n > 0)
		json_put_str(json, "acknowledged_by", firing->acknowledged_by);
	else
		json_put_text(json, "acknowledged_by", NULL);
	web_put_instant(json, "resolved", firing->resolved);
	json_put_double(json, "seconds", (double)(end.ms - firing->fired.ms) / 1000);
	json_key(json, "labels");
	labels_put_json(json, &firing->labels);
	json_end_object(json);
}

static void put_answer(struct history_job *h, struct fold *fold, bool is_cut)
{
	struct json json;
	int64_t shown = 0, next = 0;
	struct wall now = cx_wall(fold->cx);
	web_begin_list(&json, &h->answer, "history");
	for (size_t i = fold->list.n; i > 0; i--) {
		struct firing *firing = &fold->list.v[i - 1];
		if (!is_wanted(h, firing))
			continue;
		if (shown == h->limit) {
			next = fold->list.v[i].seq;
			break;
		}
		find_acknowledgement(fold, firing);
		put_firing(&json, firing, now);
		shown++;
	}
	json_end_array(&json);
	json_key(&json, "next"); /* as `before`, for those that follow; null: none */
	if (next > 0)
		json_int(&json, next);
	else
		json_null(&json);
	json_put_bool(&json, "cut", is_cut); /* the journal has more than was read */
	json_end_object(&json);
	json_end_object(&json);
}

static enum rc history_run(struct cx *cx, struct loop_job *job)
{
	struct history_job *h = (struct history_job *)job;
	struct fold fold = {.cx = cx};
	struct buf key = BUF_INIT;
	struct ledger_row *rows, *pages;
	size_t count;
	struct ledger_filter filter = {.kind = "page", .since = h->since, .limit = ENTRIES_LIMIT};
	TRY(ledger_read(cx, h->path, &filter, &pages, &fold.page_count));
	fold.pages = pages;
	filter.kind = "alert";
	TRY(ledger_read(cx, h->path, &filter, &rows, &count));
	enum rc rc = RC_OK;
	for (size_t i = count; i > 0 && rc == RC_OK; i--) /* oldest first */
		rc = fold_one(&fold, &rows[i - 1], &key);
	if (rc == RC_OK)
		put_answer(h, &fold, count == ENTRIES_LIMIT);
	map_release(&fold.open);
	buf_release(&key);
	return rc;
}

static void free_job(struct history_job *h)
{
	buf_release(&h->answer);
	free(h->path);
	free(h->component);
	free(h->name);
	free(h);
}

static void history_done(struct cx *cx, struct loop_job *job, enum rc result)
{
	struct history_job *h = (struct history_job *)job;
	if (result == RC_OK)
		http_reply_buf(h->request, 200, "application/json", &h->answer);
	else
		http_reply_error(h->request, cx);
	free_job(h);
}

/* ---- the question ---- */

/* "24h" back from now, or an instant. */
static bool read_since(struct cx *cx, struct str text, struct wall *out)
{
	struct dur back;
	out->ms = cx_wall(cx).ms - DEFAULT_SINCE_MS;
	if (text.n == 0 || clock_parse(text.p, text.n, out))
		return true;
	if (!units_parse_duration(text, &back))
		return false;
	out->ms = cx_wall(cx).ms - back.ms;
	return true;
}

static bool read_number(struct http_request *request, const char *name, int64_t most, int64_t *out)
{
	struct str text = http_request_param(request, name, 0);
	return text.n == 0 || (str_to_i64(text, out) && *out >= 1 && *out <= most);
}

static char *own(struct str text)
{
	return text.n == 0 ? NULL : heap_copy(text.p, text.n);
}

void web_alert_history(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	struct history_job *h = heap_alloc(sizeof(*h));
	*h = (struct history_job){.job = {.run = history_run, .done = history_done},
				  .request = request,
				  .limit = 100,
				  .path = heap_printf("%s/ledger.db", web->data_path),
				  .component = own(http_request_param(request, "component", 0)),
				  .name = own(http_request_param(request, "name", 0))};
	enum rc rc = RC_OK;
	if (!read_since(cx, http_request_param(request, "since", 0), &h->since)) {
		rc = cx_fail(cx, RC_INVALID, "bad since");
		cx_hint(cx, "Write how far back, such as 24h, or a time: 2026-11-25T00:00:00Z.");
	} else if (!read_number(request, "limit", ROWS_MOST, &h->limit) ||
		   !read_number(request, "before", INT64_MAX, &h->before)) {
		rc = cx_fail(cx, RC_INVALID, "limit is 1 to %d, before what `next` was", ROWS_MOST);
	}
	if (rc == RC_OK)
		rc = loop_post(cx, web->options.loop, LOOP_IO, &h->job, HISTORY_BUDGET_BYTES,
			       MONO_NEVER);
	if (rc == RC_OK)
		return;
	http_reply_error(request, cx);
	free_job(h);
}
