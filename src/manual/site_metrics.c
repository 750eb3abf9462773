/* site.yaml: how the metrics are kept. */
#include <stddef.h>

#include "manual/site.h"

enum rc site_read_metrics(struct site_reader *r, const struct conf_node *node)
{
	struct metrics_plan *metrics = &r->c->plan->metrics;
#define METRIC(name, type, field, help)                                                            \
	{                                                                                          \
		name, type, offsetof(struct metrics_plan, field), help, false                      \
	}
	const struct conf_key keys[] = {
		METRIC("retention", CONF_DURATION, retention, "30d"),
		METRIC("retention_size", CONF_SIZE, retention_bytes,
		       "of blocks; no limit by default"),
		METRIC("out_of_order", CONF_DURATION, out_of_order, "10m"),
		METRIC("sync_every", CONF_DURATION, sync_every, "1s; 0s: each batch"),
		METRIC("series_limit", CONF_COUNT, series_limit, "1000000, in memory"),
		METRIC("job_series_limit", CONF_COUNT, job_series_limit, "no limit"),
	};
#undef METRIC
	TRY(SITE_READ(r, node, "metrics", keys, metrics));
	if (metrics->retention.ms != 0 && metrics->retention.ms < 3600000)
		compiler_error(r->c, site_node_place(node), "The least is 1h.",
			       "the metrics' retention is too short");
	if (metrics->sync_every.ms > 60000)
		compiler_error(r->c, site_node_place(node),
			       "So much is lost when the machine fails: 60s at most.",
			       "the metrics' sync_every is too long");
	return RC_OK;
}
