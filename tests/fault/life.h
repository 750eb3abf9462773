/* The life of a store, the same each time: opened, written, flushed, merged, erased from, copied,
 * closed and opened again; and what a naive model says it must hold. */
#ifndef FAULT_LIFE_H
#define FAULT_LIFE_H

#include "tsdb/tsdb.h"

#define LIFE_SAMPLES 8192

/* How safe a sample is. */
enum life_must {
	LIFE_FREE,    /* it may be lost: not acknowledged, or being erased */
	LIFE_WRITTEN, /* acknowledged: only a power loss may take it */
	LIFE_DURABLE, /* acknowledged and synced */
};

struct life_sample {
	uint32_t series;
	uint8_t may; /* it may be there */
	uint8_t must;
	uint8_t snapshot_may, snapshot_must; /* in the snapshot */
	uint8_t seen;
	int64_t t_ms;
	uint64_t bits;
};

/* Shared with the parent process: what is left when this one is ended. */
struct life_record {
	size_t count;
	struct life_sample samples[LIFE_SAMPLES];
	uint32_t places[LIFE_SAMPLES * 4]; /* by series and time */
	bool snapshot_begun, snapshot_made;
	unsigned act;      /* under way, from 1 */
	unsigned refused;  /* acts that failed, and said so */
	bool stopped;      /* ingestion was, at some time */
	char problem[512]; /* "" as long as all is well */
};

struct life_options {
	const char *directory;
	bool sync_each; /* each commit, else by the group */
	bool lose_power;
	/* Called when the cause of failures is to go. */
	void (*heal)(void);
	void (*power_loss)(void); /* does not return */
};

/* From the first act to the last; problems are in the record. */
void life_run(struct life_record *record, const struct life_options *options);
/* The store opened again, twice, then used on. least: what must be there. */
void life_check(struct life_record *record, const struct life_options *options,
		enum life_must least);

#endif
