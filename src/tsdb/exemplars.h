/* Exemplars: the newest of all series, in a ring, in memory. Private to tsdb/. */
#ifndef TSDB_EXEMPLARS_H
#define TSDB_EXEMPLARS_H

#include <pthread.h>

#include "base/map.h"
#include "tsdb/tsdb.h"

#define EXEMPLARS_LABELS_MOST 128 /* characters of an exemplar's labels, as OpenMetrics has it */

struct pending_exemplar {
	char *bytes; /* the series' labels, then the exemplar's; owned */
	uint32_t series_length, labels_length;
	int64_t t_ms;
	double value;
};

struct exemplars {
	pthread_mutex_t lock;
	struct pending_exemplar *ring;
	size_t capacity, count, next;
	struct map newest; /* series' labels -> place of its newest in the ring + 1 */
};

void tsdb_exemplars_init(struct exemplars *exemplars, size_t capacity);
void tsdb_exemplars_release(struct exemplars *exemplars);
/* RC_INVALID when its labels are too long. */
enum rc tsdb_exemplar_make(struct cx *cx, struct str series, const struct exemplar *exemplar,
			   struct pending_exemplar *out) NODISCARD;
void tsdb_exemplar_free(struct pending_exemplar *exemplar);
/* Takes it; the oldest goes when the ring is full. */
void tsdb_exemplars_put(struct exemplars *exemplars, struct pending_exemplar *exemplar);

#endif
