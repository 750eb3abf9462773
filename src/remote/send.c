/* Requests on their way: one at a time for each shard, again and again until the remote has it or
 * refuses it for good. As Prometheus: 5xx and failures of the network are tried again, 429 when it
 * may be or says when; all else that is not 2xx is refused. */
#include <ctype.h>
#include <stdlib.h>

#include "base/log.h"
#include "remote/writer.h"

#define CALL_BUDGET_BYTES (256 << 10)
#define SPLIT_BUDGET_BYTES (1 << 20)
#define HEADERS_MOST 64
#define RETRY_AFTER_MOST_S 600 /* who says more means "later" too */
#define REASON_BYTES 160

/* ---- failures ---- */

static void rest_fired(struct loop_timer *timer, void *owner)
{
	struct shard_sender *shard = owner;
	(void)timer;
	shard->is_resting = false;
	shard->writer->stats.retried += shard->waiting.first->samples;
	writer_send(shard);
}

static void try_later(struct shard_sender *shard, int64_t after_ms, const char *reason)
{
	struct writer *writer = shard->writer;
	const struct prometheus_queue *queue = &writer->config->queue;
	int64_t rest_ms = after_ms > 0 ? after_ms : shard->backoff.ms;
	snprintf(writer->problem, sizeof(writer->problem), "%s", reason);
	if (writer_may_say(writer, &writer->said_failing))
		log_warn("a remote does not take samples: trying again",
			 F_TEXT("remote", writer->name), F_TEXT("url", writer->url),
			 F_TEXT("reason", reason));
	shard->backoff.ms =
		rest_ms * 2 > queue->max_backoff.ms ? queue->max_backoff.ms : rest_ms * 2;
	if (writer->is_leaving || writer->is_stopping)
		return;
	shard->is_resting = true;
	shard->rest.fire = rest_fired;
	shard->rest.owner = shard;
	loop_timer_after(writer->options.loop, &shard->rest,
			 (struct dur){rest_ms > 0 ? rest_ms : 1});
}

static void refused(struct shard_sender *shard, int status, const char *reason)
{
	struct writer *writer = shard->writer;
	const struct remote_request *request = shard->waiting.first;
	bool is_repeat = (request->is_doubtful || request->may_have_arrived) && status == 400;
	*(is_repeat ? &writer->stats.repeats_refused : &writer->stats.failed) += request->samples;
	snprintf(writer->problem, sizeof(writer->problem), "%s", reason);
	if (!is_repeat && writer_may_say(writer, &writer->said_refused))
		log_error("a remote refuses samples: they are dropped",
			  F_TEXT("remote", writer->name), F_TEXT("url", writer->url),
			  F_INT("samples", request->samples), F_TEXT("reason", reason));
	writer_finish(shard);
}

/* ---- a refused repeat: what of it is new must arrive all the same ---- */

static enum rc split_run(struct cx *cx, struct loop_job *job)
{
	struct shard_sender *shard =
		(struct shard_sender *)((char *)job - offsetof(struct shard_sender, split));
	const struct remote_request *request = shard->waiting.first;
	return remote_split(cx, str_make(request->body, request->bytes), shard->halves);
}

/* The second half takes the request's place; the first stands before it, and moves no place. */
static void put_halves(struct shard_sender *shard)
{
	struct remote_request *second = shard->waiting.first;
	struct remote_request *first = heap_alloc(sizeof(*first));
	*first = *second;
	first->body = shard->halves[0].body;
	first->bytes = shard->halves[0].bytes;
	first->samples = shard->halves[0].samples;
	first->after = shard->acked;
	first->next = second;
	free(second->body);
	second->body = shard->halves[1].body;
	second->bytes = shard->halves[1].bytes;
	second->samples = shard->halves[1].samples;
	shard->waiting.first = first;
	shard->waiting.n++;
}

static void split_done(struct cx *cx, struct loop_job *job, enum rc result)
{
	struct shard_sender *shard =
		(struct shard_sender *)((char *)job - offsetof(struct shard_sender, split));
	shard->is_splitting = false;
	if (result == RC_OK) {
		put_halves(shard);
	} else if (result != RC_CANCELLED) {
		log_failure(cx, "a request that was refused could not be split");
		refused(shard, 400, "refused");
	}
	writer_go_on(shard->writer);
}

/* false: it cannot be, now. */
static bool split(struct cx *cx, struct shard_sender *shard)
{
	struct writer *writer = shard->writer;
	shard->split.run = split_run;
	shard->split.done = split_done;
	if (writer->splits_left == 0 || writer->is_leaving ||
	    loop_post(cx, writer->options.loop, LOOP_CPU, &shard->split, SPLIT_BUDGET_BYTES,
		      MONO_NEVER) != RC_OK)
		return false;
	writer->splits_left--;
	shard->is_splitting = true;
	return true;
}

/* ---- answers ---- */

static void taken(struct shard_sender *shard)
{
	struct writer *writer = shard->writer;
	const struct remote_request *request = shard->waiting.first;
	writer->stats.samples += request->samples;
	writer->stats.bytes += request->bytes;
	writer->stats.requests++;
	if (request->newest_ms > writer->stats.highest_sent_ms)
		writer->stats.highest_sent_ms = request->newest_ms;
	shard->backoff = writer->config->queue.min_backoff;
	writer->problem[0] = '\0';
	writer_finish(shard);
}

/* The status counts, also of one who says more than is read. */
static bool has_status(const struct http_answer *answer)
{
	return answer->rc == RC_OK || (answer->rc == RC_TOO_LARGE && answer->status >= 200);
}

/* "server returned HTTP status 400: out of order sample": the first line of what it said. */
static void describe(const struct http_answer *answer, char out[REASON_BYTES])
{
	struct str line = answer->body;
	size_t n = 0;
	if (!has_status(answer)) {
		snprintf(out, REASON_BYTES, "%.150s", answer->error);
		return;
	}
	while (n < line.n && n < 100 && isprint((unsigned char)line.p[n]))
		n++;
	snprintf(out, REASON_BYTES, "server returned HTTP status %d%s" STR_FMT, answer->status,
		 n > 0 ? ": " : "", (int)n, line.p);
}

static int64_t retry_after_ms(const struct http_answer *answer)
{
	int64_t seconds;
	if (!str_to_i64(str_trim(http_answer_header(answer, "Retry-After")), &seconds) ||
	    seconds <= 0)
		return 0;
	return (seconds > RETRY_AFTER_MOST_S ? RETRY_AFTER_MOST_S : seconds) * 1000;
}

static void judge(struct cx *cx, struct shard_sender *shard, const struct http_answer *answer)
{
	const struct writer *writer = shard->writer;
	const struct remote_request *request = shard->waiting.first;
	int64_t after_ms = has_status(answer) ? retry_after_ms(answer) : 0;
	char reason[REASON_BYTES];
	describe(answer, reason);
	if (has_status(answer) && answer->status / 100 == 2)
		taken(shard);
	else if (!has_status(answer) || answer->status / 100 == 5 ||
		 (answer->status == 429 &&
		  (writer->config->queue.retry_on_http_429 || after_ms > 0)))
		try_later(shard, after_ms, reason);
	else if (answer->status != 400 || !request->is_doubtful || request->samples < 2 ||
		 !split(cx, shard))
		refused(shard, answer->status, reason);
}

static void answered(const struct http_answer *answer, void *context)
{
	struct shard_sender *shard = context;
	struct writer *writer = shard->writer;
	struct arena arena;
	struct cx cx;
	shard->is_calling = false;
	shard->waiting.first->may_have_arrived |= !has_status(answer) || answer->repeated;
	writer->busy_ns += clock_mono(loop_clock(writer->options.loop)).ns - shard->call_began.ns;
	if (answer->rc == RC_CANCELLED)
		return; /* the client closes; the request stands in the queue */
	arena_init(&arena, 65536);
	cx_init(&cx, &arena, loop_clock(writer->options.loop));
	judge(&cx, shard, answer);
	arena_release(&arena);
	writer_go_on(writer);
}

/* ---- calls ---- */

static enum rc add_headers(struct cx *cx, const struct writer *writer, struct http_header *headers,
			   size_t *count)
{
	const struct prometheus_write *config = writer->config;
	headers[(*count)++] = (struct http_header){"Content-Type", "application/x-protobuf"};
	headers[(*count)++] = (struct http_header){"Content-Encoding", "snappy"};
	headers[(*count)++] = (struct http_header){"X-Prometheus-Remote-Write-Version", "0.1.0"};
	for (size_t i = 0; i < config->header_count; i++) {
		if (*count == HEADERS_MOST)
			return cx_fail(cx, RC_LIMIT, "more than %d headers", HEADERS_MOST);
		headers[(*count)++] =
			(struct http_header){config->headers[i].name, config->headers[i].value};
	}
	return RC_OK;
}

static enum rc start_call(struct cx *cx, struct shard_sender *shard)
{
	const struct writer *writer = shard->writer;
	const struct remote_request *request = shard->waiting.first;
	struct http_header headers[HEADERS_MOST];
	struct http_call call = {.url = writer->config->url,
				 .headers = headers,
				 .body = str_make(request->body, request->bytes),
				 .timeout = writer->config->timeout,
				 .response_limit_bytes = 65536,
				 .lean = true};
	TRY(prometheus_use_http(cx, &writer->config->http, writer->secret, &call, &headers[0]));
	call.header_count = headers[0].name != NULL;
	TRY(add_headers(cx, writer, headers, &call.header_count));
	return http_client_call(cx, writer->options.client, &call, answered, shard);
}

void writer_send(struct shard_sender *shard)
{
	struct writer *writer = shard->writer;
	struct arena arena;
	struct cx cx;
	if (shard->waiting.first == NULL || shard->is_calling || shard->is_splitting ||
	    shard->is_resting || writer->is_leaving || writer->is_stopping ||
	    (prometheus_secret_file(&writer->config->http) != NULL && writer->secret == NULL))
		return;
	arena_init(&arena, CALL_BUDGET_BYTES);
	cx_init(&cx, &arena, loop_clock(writer->options.loop));
	shard->call_began = clock_mono(loop_clock(writer->options.loop));
	if (start_call(&cx, shard) == RC_OK)
		shard->is_calling = true;
	else
		try_later(shard, 0, cx_message(&cx));
	arena_release(&arena);
}
