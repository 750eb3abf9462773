#include "life.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "sys/file.h"

#define BEGAN_MS 1700000000000
#define HEALED_AFTER_ACTS 5
#define TICKS_TO_GO_ON 150

struct life {
	struct life_record *record;
	struct life_options options;
	struct arena arena;
	struct cx cx;
	struct clock clock;
	struct loop *loop;
	struct tsdb *tsdb; /* NULL: closed, or could not be opened */
	int64_t now_ms;
};

static void problem(struct life *life, const char *format, ...) PRINTF_LIKE(2, 3);
static void problem(struct life *life, const char *format, ...)
{
	va_list arguments;
	char *out = life->record->problem;
	if (out[0] != '\0')
		return;
	int n = snprintf(out, 64, "act %u: ", life->record->act);
	va_start(arguments, format);
	vsnprintf(out + n, sizeof(life->record->problem) - (size_t)n, format, arguments);
	va_end(arguments);
}

/* ---- series and values ---- */

#define MAIN 0, 8
#define NEW 8, 12
#define GONE 12, 14
#define CHURN 100, 1300
#define AGAIN 100, 105

static struct labels labels_of_series(struct life *life, uint32_t series)
{
	struct labels labels;
	char *number = cx_printf(&life->cx, "%u", series);
	char *check = cx_printf(&life->cx, "c%u", series * 2654435761U);
	CHECK(number != NULL && check != NULL);
	CHECK(labels_of(&life->cx, &labels, "__name__",
			series < 12    ? "main"
			: series < 100 ? "gone"
				       : "churn",
			"check", check, "i", number, NULL) == RC_OK);
	return labels;
}

static uint64_t bits_of(uint32_t series, int64_t t_ms)
{
	uint64_t mixed = (uint64_t)t_ms * 0x9e3779b97f4a7c15U + series * 0xc2b2ae3d27d4eb4fU;
	double value = (double)((t_ms - BEGAN_MS) / 1000 * (series + 1));
	uint64_t bits;
	mixed ^= mixed >> 29;
	if (series % 4 == 1)
		value /= 8;
	memcpy(&bits, &value, sizeof(bits));
	if (series % 4 == 2) /* true floats, NaN with payloads, infinities */
		return mixed;
	if (series % 4 == 3 && t_ms / 1000 % 7 == 0)
		return mixed % 2 == 0 ? SAMPLE_STALE_BITS : 0x8000000000000000U;
	return bits;
}

/* ---- the model ---- */

static uint32_t *place_of(struct life_record *record, uint32_t series, int64_t t_ms)
{
	size_t most = sizeof(record->places) / sizeof(*record->places);
	size_t at = ((uint64_t)t_ms * 0x9e3779b97f4a7c15U + series * 0xc2b2ae3d27d4eb4fU) >> 20;
	for (at %= most; record->places[at] != 0; at = (at + 1) % most) {
		const struct life_sample *sample = &record->samples[record->places[at] - 1];
		if (sample->series == series && sample->t_ms == t_ms)
			break;
	}
	return &record->places[at];
}

/* Before it is appended: from then on it may be there. */
static void may_be_there(struct life_record *record, uint32_t series, int64_t t_ms)
{
	uint32_t *place = place_of(record, series, t_ms);
	CHECK(*place == 0 && record->count < LIFE_SAMPLES);
	record->samples[record->count] = (struct life_sample){
		.series = series, .may = 1, .t_ms = t_ms, .bits = bits_of(series, t_ms)};
	*place = (uint32_t)++record->count;
}

static void acknowledged(struct life_record *record, size_t first, enum life_must must)
{
	for (size_t i = first; i < record->count; i++)
		record->samples[i].must = (uint8_t)must;
}

static void all_durable(struct life_record *record)
{
	for (size_t i = 0; i < record->count; i++)
		if (record->samples[i].must == LIFE_WRITTEN)
			record->samples[i].must = LIFE_DURABLE;
}

/* ---- comparing ---- */

static bool series_of_labels(struct life *life, const struct labels *labels, uint32_t *series)
{
	int64_t number;
	if (!str_to_i64(labels_get(labels, STR("i")), &number) || number < 0 || number > 2000)
		return false;
	struct labels wanted = labels_of_series(life, (uint32_t)number);
	*series = (uint32_t)number;
	return labels_equal(labels, &wanted);
}

static void compare_sample(struct life *life, bool snapshot, uint32_t series, int64_t t_ms,
			   double value)
{
	uint32_t place = *place_of(life->record, series, t_ms);
	struct life_sample *sample = place == 0 ? NULL : &life->record->samples[place - 1];
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	if (sample == NULL)
		problem(life, "series %u has a sample at %lld that was never appended", series,
			(long long)(t_ms - BEGAN_MS));
	else if (sample->bits != bits)
		problem(life, "series %u has another value at %lld", series,
			(long long)(t_ms - BEGAN_MS));
	else if (!(snapshot ? sample->snapshot_may : sample->may))
		problem(life, "series %u has a sample at %lld that was erased", series,
			(long long)(t_ms - BEGAN_MS));
	if (sample != NULL)
		sample->seen = 1;
}

static void compare_series(struct life *life, bool snapshot, const struct tsdb_query *query,
			   size_t index, struct tsdb_columns *columns)
{
	uint32_t series;
	if (!series_of_labels(life, tsdb_query_labels(query, index), &series)) {
		problem(life, "a series has other labels than any that was appended");
		return;
	}
	if (tsdb_query_read(&life->cx, query, index, columns) != RC_OK) {
		problem(life, "series %u cannot be read: %s", series, cx_message(&life->cx));
		return;
	}
	for (size_t i = 0; i < columns->n; i++) {
		if (i > 0 && columns->t_ms[i] <= columns->t_ms[i - 1])
			problem(life, "series %u is not in order", series);
		compare_sample(life, snapshot, series, columns->t_ms[i], columns->values[i]);
	}
}

static void count_missing(struct life *life, bool snapshot, enum life_must least)
{
	struct life_record *record = life->record;
	size_t missing = 0, first = 0;
	for (size_t i = record->count; i-- > 0;) {
		const struct life_sample *s = &record->samples[i];
		if (s->seen || (snapshot ? s->snapshot_must : s->must) < (uint8_t)least)
			continue;
		missing++;
		first = i;
	}
	if (missing > 0)
		problem(life,
			"%zu acknowledged samples are missing%s, the first of series %u at %lld",
			missing, snapshot ? " of the snapshot" : "", record->samples[first].series,
			(long long)(record->samples[first].t_ms - BEGAN_MS));
}

static void compare(struct life *life, struct tsdb *tsdb, bool snapshot, enum life_must least)
{
	static const struct matcher all = {MATCH_NOT_EQUAL, {"__name__", 8}, {"", 0}, NULL};
	struct life_record *record = life->record;
	struct tsdb_columns columns = {0};
	struct tsdb_query *query;
	struct arena_mark mark = arena_mark(&life->arena);
	for (size_t i = 0; i < record->count; i++)
		record->samples[i].seen = 0;
	if (tsdb_query_open(&life->cx, tsdb, &all, 1, INT64_MIN, INT64_MAX, &query) != RC_OK) {
		problem(life, "the store cannot be read: %s", cx_message(&life->cx));
		return;
	}
	for (size_t i = 0; i < tsdb_query_count(query); i++) {
		if (i > 0 && labels_compare(tsdb_query_labels(query, i - 1),
					    tsdb_query_labels(query, i)) >= 0)
			problem(life, "series are not in order, or there twice");
		compare_series(life, snapshot, query, i, &columns);
	}
	count_missing(life, snapshot, least);
	tsdb_columns_release(&columns);
	tsdb_query_close(&query);
	arena_rewind(&life->arena, mark);
}

/* ---- acts ---- */

static enum rc open_store(struct life *life, const char *directory, struct tsdb **out)
{
	struct tsdb_options options = {.directory = directory,
				       .loop = life->loop,
				       .sync_every = {life->options.sync_each ? 0 : 1000},
				       .space_reserve_bytes = 1};
	return tsdb_open(&life->cx, &options, out);
}

static enum rc act_open(struct life *life, uint32_t from, uint32_t to, unsigned count)
{
	(void)from, (void)to, (void)count;
	return life->tsdb != NULL ? RC_OK : open_store(life, life->options.directory, &life->tsdb);
}

static enum rc put_batch(struct life *life, uint32_t from, uint32_t to, const int64_t *times,
			 unsigned count)
{
	struct sample_sink sink = tsdb_sink(life->tsdb);
	struct sample_batch *batch = sink.begin(sink.self);
	size_t first = life->record->count;
	enum rc rc = RC_OK;
	for (uint32_t series = from; series < to; series++) {
		struct labels labels = labels_of_series(life, series);
		uint64_t ref = 0;
		for (unsigned i = 0; rc == RC_OK && i < count; i++) {
			uint64_t bits = bits_of(series, times[i]);
			double value;
			memcpy(&value, &bits, sizeof(value));
			may_be_there(life->record, series, times[i]);
			rc = sink.append(batch, &life->cx, &labels, &ref, times[i], value);
		}
	}
	if (rc != RC_OK) {
		sink.drop(&batch);
		for (size_t i = first; i < life->record->count; i++)
			life->record->samples[i].may = 0;
		return rc;
	}
	TRY(sink.commit(&batch, &life->cx));
	acknowledged(life->record, first, life->options.sync_each ? LIFE_DURABLE : LIFE_WRITTEN);
	return RC_OK;
}

static enum rc act_put(struct life *life, uint32_t from, uint32_t to, unsigned count)
{
	int64_t times[64];
	for (unsigned i = 0; i < count; i++)
		times[i] = life->now_ms += 1000;
	return put_batch(life, from, to, times, count);
}

/* Between those that are there. */
static enum rc act_late(struct life *life, uint32_t from, uint32_t to, unsigned count)
{
	int64_t times[64];
	for (unsigned i = 0; i < count; i++)
		times[i] = life->now_ms - 20500 + 1000 * i;
	return put_batch(life, from, to, times, count);
}

static void run_jobs(struct life *life)
{
	do {
		uv_run(loop_uv(life->loop), UV_RUN_NOWAIT);
		if (loop_jobs_pending(life->loop))
			uv_run(loop_uv(life->loop), UV_RUN_ONCE);
	} while (loop_jobs_pending(life->loop));
}

/* A second passes: the group sync, and upkeep when it is due. */
static enum rc act_tick(struct life *life, uint32_t from, uint32_t to, unsigned count)
{
	struct tsdb_stats before, stats;
	(void)from, (void)to, (void)count;
	tsdb_stats(life->tsdb, &before);
	clock_virtual_advance(&life->clock, (struct dur){1000});
	loop_clock_turned(life->loop);
	run_jobs(life);
	tsdb_stats(life->tsdb, &stats);
	if (stats.state != RC_OK)
		return stats.state;
	if (stats.wal_syncs > before.wal_syncs)
		all_durable(life->record);
	return RC_OK;
}

static enum rc act_sync(struct life *life, uint32_t from, uint32_t to, unsigned count)
{
	(void)from, (void)to, (void)count;
	TRY(tsdb_sync(&life->cx, life->tsdb));
	all_durable(life->record);
	return RC_OK;
}

static enum rc act_flush(struct life *life, uint32_t from, uint32_t to, unsigned count)
{
	(void)from, (void)to, (void)count;
	TRY(tsdb_flush(&life->cx, life->tsdb));
	all_durable(life->record);
	return RC_OK;
}

static enum rc act_compact(struct life *life, uint32_t from, uint32_t to, unsigned count)
{
	(void)from, (void)to, (void)count;
	TRY(tsdb_compact(&life->cx, life->tsdb));
	all_durable(life->record);
	return RC_OK;
}

static enum rc act_erase(struct life *life, uint32_t from, uint32_t to, unsigned count)
{
	struct life_record *record = life->record;
	int64_t last_ms = count == 0 ? INT64_MAX : BEGAN_MS + count * 1000LL;
	char *number = cx_printf(&life->cx, "%u", from);
	CHECK(number != NULL && to == from + 1);
	struct matcher matcher = {MATCH_EQUAL, STR("i"), str_of(number), NULL};
	for (size_t i = 0; i < record->count; i++)
		if (record->samples[i].series == from && record->samples[i].t_ms <= last_ms)
			record->samples[i].must = LIFE_FREE;
	TRY(tsdb_delete(&life->cx, life->tsdb, &matcher, 1, INT64_MIN, last_ms));
	for (size_t i = 0; i < record->count; i++)
		if (record->samples[i].series == from && record->samples[i].t_ms <= last_ms)
			record->samples[i].may = 0;
	all_durable(record);
	return RC_OK;
}

static enum rc act_snapshot(struct life *life, uint32_t from, uint32_t to, unsigned count)
{
	const char *name;
	struct life_record *record = life->record;
	(void)from, (void)to, (void)count;
	record->snapshot_begun = true;
	for (size_t i = 0; i < record->count; i++) {
		record->samples[i].snapshot_may = record->samples[i].may;
		record->samples[i].snapshot_must =
			record->samples[i].must == LIFE_FREE ? LIFE_FREE : LIFE_DURABLE;
	}
	TRY(tsdb_snapshot(&life->cx, life->tsdb, &name));
	record->snapshot_made = true;
	all_durable(record);
	return RC_OK;
}

static enum rc act_close(struct life *life, uint32_t from, uint32_t to, unsigned count)
{
	(void)from, (void)to, (void)count;
	tsdb_close(&life->tsdb);
	return RC_OK;
}

static enum rc act_pass(struct life *life, uint32_t from, uint32_t to, unsigned minutes)
{
	(void)from, (void)to;
	life->now_ms += minutes * 60000;
	return RC_OK;
}

struct act {
	enum rc (*run)(struct life *life, uint32_t from, uint32_t to, unsigned count);
	uint32_t from, to;
	unsigned count;
};

static const struct act script[] = {
	{act_open, 0, 0, 0},    {act_put, MAIN, 30},    {act_tick, 0, 0, 0},
	{act_put, CHURN, 1},    {act_put, MAIN, 50}, /* chunks are sealed */
	{act_flush, 0, 0, 0},   {act_put, MAIN, 25},    {act_late, MAIN, 5},
	{act_tick, 0, 0, 0},    {act_pass, 0, 0, 11}, /* those that ended are quiet now */
	{act_put, MAIN, 2},     {act_flush, 0, 0, 0}, /* and the series file is written anew */
	{act_put, AGAIN, 3},                          /* begun anew, in slots of others */
	{act_tick, 0, 0, 0},    {act_put, MAIN, 2},     {act_flush, 0, 0, 0},
	{act_put, MAIN, 2},     {act_erase, 2, 3, 60},  {act_put, GONE, 5},
	{act_flush, 0, 0, 0},   {act_put, MAIN, 3},     {act_snapshot, 0, 0, 0},
	{act_put, NEW, 2},      {act_tick, 0, 0, 0},    {act_erase, 12, 13, 0},
	{act_erase, 13, 14, 0}, /* a block that is empty now */
	{act_put, MAIN, 2},     {act_compact, 0, 0, 0}, {act_put, AGAIN, 2},
	{act_close, 0, 0, 0},   {act_open, 0, 0, 0},    {act_put, MAIN, 3},
	{act_sync, 0, 0, 0},    {act_put, NEW, 3},      {act_flush, 0, 0, 0},
	{act_put, MAIN, 2},     {act_tick, 0, 0, 0},    {act_put, NEW, 2},
};
#define ACTS (sizeof(script) / sizeof(*script))

/* ---- the life ---- */

static void begin(struct life *life)
{
	arena_init(&life->arena, 256 << 20);
	clock_virtual_init(&life->clock, (struct wall){BEGAN_MS});
	cx_init(&life->cx, &life->arena, &life->clock);
	CHECK(loop_open(&life->cx, &life->clock, &life->loop) == RC_OK);
}

static void end(struct life *life)
{
	if (life->tsdb != NULL)
		tsdb_close(&life->tsdb);
	loop_close(&life->loop);
	arena_release(&life->arena);
}

/* A failed act changes no answer: what was acknowledged is read, what was not appended is not. */
static void act(struct life *life, const struct act *act)
{
	bool opens = act->run == act_open;
	if (life->tsdb == NULL && !opens)
		return;
	enum rc rc = act->run(life, act->from, act->to, act->count);
	if (rc == RC_OK)
		return;
	if (rc != RC_IO && rc != RC_NO_SPACE)
		problem(life, "failed by %s: %s", rc_name(rc), cx_message(&life->cx));
	life->record->refused++;
	cx_clear(&life->cx);
	if (life->tsdb != NULL)
		compare(life, life->tsdb, false, LIFE_WRITTEN);
}

static bool is_stopped(struct life *life)
{
	struct tsdb_stats stats;
	if (life->tsdb == NULL)
		return true;
	tsdb_stats(life->tsdb, &stats);
	life->record->stopped = life->record->stopped || stats.state != RC_OK;
	return stats.state != RC_OK;
}

static void go_on(struct life *life)
{
	static const struct act opening = {act_open, 0, 0, 0}, tick = {act_tick, 0, 0, 0};
	life->options.heal();
	act(life, &opening);
	for (int i = 0; i < TICKS_TO_GO_ON && is_stopped(life); i++)
		act(life, &tick);
	if (is_stopped(life))
		problem(life, "ingestion does not go on");
}

/* The group sync does at last what it could not: a sample that waits for it may be lost till then.
 */
static void settle(struct life *life)
{
	if (act_put(life, MAIN, 2) == RC_OK && act_tick(life, 0, 0, 0) == RC_OK)
		return;
	go_on(life); /* it was struck just now */
	if (act_put(life, MAIN, 2) != RC_OK || act_tick(life, 0, 0, 0) != RC_OK)
		problem(life, "nothing is appended afterwards: %s", cx_message(&life->cx));
	compare(life, life->tsdb, false, LIFE_WRITTEN);
}

void life_run(struct life_record *record, const struct life_options *options)
{
	struct life life = {.record = record, .options = *options, .now_ms = BEGAN_MS};
	unsigned failed_at = 0;
	begin(&life);
	for (record->act = 1; record->act <= ACTS; record->act++) {
		act(&life, &script[record->act - 1]);
		(void)is_stopped(&life);
		if (record->refused > 0 && failed_at == 0)
			failed_at = record->act;
		if (failed_at != 0 && record->act == failed_at + HEALED_AFTER_ACTS)
			go_on(&life);
	}
	go_on(&life);
	compare(&life, life.tsdb, false, LIFE_WRITTEN);
	settle(&life);
	if (options->lose_power)
		options->power_loss();
	end(&life);
}

/* ---- afterwards ---- */

static struct tsdb *opened(struct life *life, const char *directory)
{
	struct tsdb *tsdb = NULL;
	if (open_store(life, directory, &tsdb) != RC_OK)
		problem(life, "could not open: %s", cx_message(&life->cx));
	return tsdb;
}

/* What is under a plain name is whole, whether or not its making was told. */
static void check_snapshots(struct life *life)
{
	char *parent = file_join(&life->cx, life->options.directory, "snapshots");
	DIR *dir = opendir(parent);
	struct dirent *entry;
	size_t found = 0;
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.' || str_ends(str_of(entry->d_name), STR(".new")))
			continue;
		struct tsdb *tsdb = opened(life, file_join(&life->cx, parent, entry->d_name));
		if (tsdb == NULL)
			break;
		compare(life, tsdb, true, LIFE_DURABLE);
		tsdb_close(&tsdb);
		found++;
	}
	if (dir != NULL)
		closedir(dir);
	if (life->record->snapshot_made && found == 0)
		problem(life, "the snapshot is gone");
}

/* What may be there or not is decided by now: it stays as it is. */
static void decide(struct life_record *record)
{
	for (size_t i = 0; i < record->count; i++) {
		struct life_sample *sample = &record->samples[i];
		sample->may = sample->seen;
		sample->must = sample->seen ? LIFE_DURABLE : LIFE_FREE;
	}
}

static void use_on(struct life *life)
{
	life->now_ms += 1000000;
	if (act_put(life, MAIN, 3) != RC_OK || act_put(life, NEW, 3) != RC_OK ||
	    act_put(life, AGAIN, 2) != RC_OK || act_flush(life, 0, 0, 0) != RC_OK ||
	    act_put(life, 1300, 1310, 2) != RC_OK || act_tick(life, 0, 0, 0) != RC_OK)
		problem(life, "could not be used on: %s", cx_message(&life->cx));
	compare(life, life->tsdb, false, LIFE_WRITTEN);
	if (act_compact(life, 0, 0, 0) != RC_OK || act_put(life, MAIN, 2) != RC_OK ||
	    act_erase(life, 3, 4, 0) != RC_OK || act_put(life, 1310, 1320, 1) != RC_OK ||
	    act_sync(life, 0, 0, 0) != RC_OK)
		problem(life, "upkeep fails: %s", cx_message(&life->cx));
	compare(life, life->tsdb, false, LIFE_WRITTEN);
}

static void check_again(struct life *life)
{
	if (life->tsdb != NULL)
		tsdb_close(&life->tsdb);
	life->tsdb = opened(life, life->options.directory);
	if (life->tsdb != NULL)
		compare(life, life->tsdb, false, LIFE_DURABLE);
}

void life_check(struct life_record *record, const struct life_options *options,
		enum life_must least)
{
	struct life life = {.record = record, .options = *options};
	struct tsdb_file *files;
	size_t count;
	record->act = 1000;
	begin(&life);
	for (size_t i = 0; i < record->count; i++)
		if (record->samples[i].t_ms > life.now_ms)
			life.now_ms = record->samples[i].t_ms;
	life.tsdb = opened(&life, options->directory);
	if (life.tsdb != NULL)
		compare(&life, life.tsdb, false, least);
	decide(record);
	for (int again = 0; again < 2 && life.tsdb != NULL; again++) {
		record->act++;
		check_again(&life);
	}
	record->act++;
	if (record->problem[0] == '\0')
		use_on(&life);
	record->act++;
	if (record->problem[0] == '\0')
		check_again(&life);
	record->act++;
	check_snapshots(&life);
	if (tsdb_inspect(&life.cx, options->directory, true, &files, &count) != RC_OK)
		problem(&life, "could not be verified: %s", cx_message(&life.cx));
	end(&life);
}
