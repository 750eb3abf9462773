/* What Backline knows by name: component kinds, and the measures a manual may set limits on.
 *
 * A measure is PromQL over the ecosystem's metric names. collect/ puts `component` and `kind` on
 * every sample of a component, and every measure keeps `component`, so that one rule serves all
 * components. */
#ifndef KINDS_KINDS_H
#define KINDS_KINDS_H

#include "base/str.h"

enum kinds_unit { KINDS_SECONDS, KINDS_RATIO };

struct kinds_measure {
	const char *id;       /* "api-response-time" */
	const char *names[8]; /* as manuals write it, lower case; ends with NULL */
	enum kinds_unit unit;
	const char *kinds;    /* component kinds it is measured at, "http-api|web" */
	const char *value;    /* PromQL of the value, by component */
	const char *enough;   /* PromQL, non-empty while there is enough data to judge; NULL: any */
	const char *also;     /* ` and on (component) ...` a limit also needs; NULL nothing */
	const char *presence; /* selector of the series that must not vanish */
	const char *note;     /* how it is measured, for people */
	const char *not_yet;  /* why nothing measures it yet; NULL: it is measured */
};

/* The measure known by a name of the manual, in any case; NULL when none is. */
const struct kinds_measure *kinds_measure_named(struct str name);
/* The measure's names nearest to an unknown one, for a hint; NULL. */
const char *kinds_nearest_measure(struct str name);

/* Backline's own equivalent of a tool or a panel that a manual names: it has data while `selector`
 * has samples. */
struct kinds_equivalent {
	const char *words;    /* any of them in the manual's text, lower case, "uptime|pingdom" */
	const char *selector; /* PromQL; NULL: nothing of the kind is built yet */
	const char *name;     /* for people: "probes" */
};
extern const struct kinds_equivalent kinds_equivalents[];
extern const size_t kinds_equivalent_count;
/* The one for a text; NULL when none is known. */
const struct kinds_equivalent *kinds_equivalent_of(struct str text);

/* All kinds a site file may name; the order is enum component_kind's. */
extern const char *const kinds_components[];
extern const size_t kinds_component_count;

/* Words by which a manual's component matches a kind: "Database Services" -> postgres. -1: none. */
int kinds_component_by_words(struct str text);

#endif
