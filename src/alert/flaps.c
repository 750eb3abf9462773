/* Flap damping: what begins to fire again and again stays firing, and says so. */
#include "alert/inside.h"
#include "base/units.h"

#define HOUR_MS 3600000

static struct flaps *find(const struct verdict_rule *rule, uint64_t hash)
{
	for (size_t i = 0; i < rule->flaps.n; i++)
		if (rule->flaps.v[i].hash == hash)
			return &rule->flaps.v[i];
	return NULL;
}

/* Those of which nothing began within the hour. */
static void forget_old(struct verdict_rule *rule, struct wall now)
{
	size_t kept = 0;
	for (size_t i = 0; i < rule->flaps.n; i++) {
		const struct flaps *flaps = &rule->flaps.v[i];
		struct wall last =
			flaps->begun[(flaps->at + ALERT_FLAPS_MOST - 1) % ALERT_FLAPS_MOST];
		if (now.ms - last.ms < HOUR_MS)
			rule->flaps.v[kept++] = *flaps;
	}
	rule->flaps.n = kept;
}

void alert_note_begun(struct verdict_rule *rule, uint64_t hash, struct wall at)
{
	if (rule->flap_limit == 0)
		return;
	struct flaps *flaps = find(rule, hash);
	if (flaps == NULL) {
		forget_old(rule, at);
		flaps = vec_heap_add(&rule->flaps);
		*flaps = (struct flaps){.hash = hash};
	}
	flaps->begun[flaps->at] = at;
	flaps->at = (flaps->at + 1) % ALERT_FLAPS_MOST;
	flaps->count += flaps->count < ALERT_FLAPS_MOST;
}

bool alert_flaps(const struct verdict_rule *rule, const struct held *held, struct wall now)
{
	unsigned recent = 0;
	if (rule->flap_limit == 0 || held->known.state != VERDICT_FIRING)
		return false;
	if (labels_get(&held->known.annotations, ALERT_FLAPPING).n > 0)
		return true;
	const struct flaps *flaps = find(rule, held->known.hash);
	for (unsigned i = 0; flaps != NULL && i < flaps->count; i++)
		recent += now.ms - flaps->begun[i].ms < HOUR_MS;
	return recent >= rule->flap_limit;
}

enum rc alert_say_flapping(struct cx *cx, const struct verdict_rule *rule,
			   struct labels *annotations)
{
	char quiet[UNITS_TEXT_BYTES];
	if (labels_get(annotations, ALERT_FLAPPING).n > 0)
		return RC_OK;
	struct label *pairs = cx_array(cx, annotations->n + 1, sizeof(*pairs));
	if (pairs == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < annotations->n; i++)
		pairs[i] = annotations->v[i];
	units_format_duration_people(rule->flap_quiet, quiet);
	const char *words = cx_printf(cx,
				      "it fired %u times within an hour; it is over once it was "
				      "quiet for %s",
				      rule->flap_limit, quiet);
	if (words == NULL)
		return RC_LIMIT;
	pairs[annotations->n] = (struct label){ALERT_FLAPPING, str_of(words)};
	return labels_make(cx, pairs, annotations->n + 1, annotations);
}
