/* One page of a target: read in place, its series found by their text. Private to collect/.
 *
 * Per target a cache leads from a line's text before the value to the sink's reference. Pages
 * hardly change: line i of this page is nearly always the next one of the last page, so that one
 * comparison of bytes finds it; otherwise a table is asked. Only what is new has its labels taken
 * apart. A cache belongs to who runs its target; only its metadata may be read by others. */
#ifndef COLLECT_SCRAPE_SCRAPE_H
#define COLLECT_SCRAPE_SCRAPE_H

#include <pthread.h>

#include "base/map.h"
#include "model/sample.h"
#include "prometheus/prometheus.h"

/* ---- numbers ---- */

/* The whole word as Prometheus reads it; false when it is no number or too large. */
bool collect_number(struct str word, double *out);
/* The number that begins at p and ends before a blank or a line's end, which must come before
 * `end`. Returns its end, NULL when it is none. */
const char *collect_value(const char *p, const char *end, double *out);

/* ---- lines ---- */

enum scrape_kind {
	SCRAPE_SAMPLE,
	SCRAPE_DROPPED,  /* by relabelling */
	SCRAPE_METADATA, /* TYPE, HELP, UNIT, with the line's end */
	SCRAPE_COMMENT,
	SCRAPE_EOF /* OpenMetrics: nothing follows */
};

struct scrape_labels {
	struct label pairs[LABELS_LIMIT];
	size_t count;
};

struct scrape_exemplar {
	struct scrape_labels labels;
	double value;
	int64_t t_ms;
	bool given, has_t;
};

/* A timestamp that no store can have: its sample is refused, the page is not. */
#define SCRAPE_NO_TIME INT64_MIN

/* What stands behind a series. */
struct scrape_tail {
	double value;
	int64_t t_ms;
	bool has_t;
};

struct scrape_comment {
	enum scrape_kind kind;
	char what; /* 'T', 'H', 'U' of metadata */
	struct str metric, text;
};

/* A format: each function starts at p, returns where it ended, NULL with the problem in cx.
 * Pages end with a line's end at end[-1]. */
struct scrape_format {
	/* A series: names and values as they stand, values unescaped in cx->arena where needed. The
	 * first pair is the name. */
	const char *(*head)(struct cx *cx, const char *p, const char *end,
			    struct scrape_labels *out);
	/* What stands behind `series`: value, timestamp, exemplar, line's end. */
	const char *(*tail)(struct cx *cx, struct str series, const char *p, const char *end,
			    struct scrape_tail *out, struct scrape_exemplar *exemplar);
	const char *(*comment)(struct cx *cx, const char *p, const char *end,
			       struct scrape_comment *out);
	bool needs_eof, skips_blanks;
};

extern const struct scrape_format collect_text_format, collect_open_format;

/* Lexing both formats share. */
const char *collect_skip_name(const char *p, const char *end, bool metric);
/* A quoted value beginning at p's '"'; false when it does not end or is not UTF-8. */
const char *collect_quoted(struct cx *cx, const char *p, const char *end, bool newlines,
			   struct str *out);

/* ---- the cache ---- */

struct scrape_metadata {
	struct str metric; /* the map's key is a copy */
	const char *type;  /* static */
	char *help, *unit; /* owned; NULL: none */
	size_t lines;      /* of the present page that tell it */
	uint64_t gone;     /* generation in which the last of them went */
};

#define SCRAPE_NEW UINT32_MAX

struct scrape_entry {
	uint64_t hash, ref;
	uint64_t tracked; /* generation of its last sample without a timestamp; 0: none, or ended */
	uint64_t before;  /* `tracked` before the present page */
	uint64_t seen;
	uint32_t position; /* in the order of the last page; SCRAPE_NEW before its first end */
	uint32_t raw_bytes;
	enum scrape_kind kind;
	struct scrape_metadata *metadata;
	char raw[];
};

struct scrape_cache {
	struct scrape_entry **table; /* open addressing; capacity a power of two or 0 */
	size_t count, capacity;
	VEC(struct scrape_entry *) order, next_order;
	uint64_t generation, finished; /* present page, last page that was stored */
	pthread_mutex_t lock;          /* guards `metadata` while a page is read */
	struct map metadata;           /* metric -> scrape_metadata */
};

void collect_cache_init(struct scrape_cache *cache);
void collect_cache_release(struct scrape_cache *cache);
struct scrape_entry *collect_cache_find(const struct scrape_cache *cache, uint64_t hash,
					struct str raw);
struct scrape_entry *collect_cache_add(struct scrape_cache *cache, uint64_t hash, struct str raw);
/* Takes out what the present page did not show, or, when that failed, what it showed first. */
void collect_cache_flush(struct scrape_cache *cache, bool failed);
/* Notes what a line of metadata told, for `entry`. */
void collect_cache_tell(struct scrape_cache *cache, struct scrape_entry *entry,
			const struct scrape_comment *comment);

/* ---- the page ---- */

struct scrape_rules {
	struct labels labels; /* the target's */
	bool honor_labels, honor_timestamps;
	const struct prometheus_relabels *relabels;                              /* NULL: none */
	uint64_t sample_limit, label_limit, name_limit_bytes, value_limit_bytes; /* 0: none */
};

struct scrape_page {
	struct str body; /* ends with '\n' in the text format; see collect_page_end */
	struct str content_type;
	struct wall at;
	struct mono started;
	const char *error; /* the scrape failed: body counts for nothing but `keep` */
	bool keep;         /* an error that leaves the body standing: a probe's */
};

struct scrape_report {
	struct labels labels[5]; /* of up and its sisters, made once per target */
	uint64_t refs[5];
};

struct scrape_outcome {
	size_t scraped, kept, added, refused;
	double duration_s;
	bool stored;
};

/* The five series about the scrape itself, on the heap: free with collect_report_release. */
void collect_report_init(struct scrape_report *report, const struct labels *target);
void collect_report_release(struct scrape_report *report);
/* Labels of a new series: the page's, the target's, relabelled. *keep false: dropped. */
enum rc collect_series_labels(struct cx *cx, const struct scrape_rules *rules,
			      const struct scrape_labels *given, struct labels *out,
			      bool *keep) NODISCARD;
/* Stores the page and its report, or, when the page is bad, the report and the end of every series
 * it had. The page's error is in cx; RC_OK without one. out->stored is false when nothing could be
 * stored. Any thread, one at a time for a cache. */
enum rc collect_store_page(struct cx *cx, struct scrape_cache *cache,
			   const struct scrape_rules *rules, struct scrape_report *report,
			   const struct sample_sink *sink, const struct scrape_page *page,
			   struct scrape_outcome *out) NODISCARD;
/* Stale markers for all a target had: it is gone. */
enum rc collect_store_end(struct cx *cx, struct scrape_cache *cache, struct scrape_report *report,
			  const struct sample_sink *sink, struct wall at) NODISCARD;

#endif
