/* Quantities as people and configurations write them. One parser for all of them. */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include "base/clock.h"
#include "base/str.h"

/* "5m", "1h30m", "500ms", "2 s", "15 minutes", "1 hour", "30 days", "4 weeks"; false on junk,
 * a bare number, a negative or more than 100 years. A year is 365 days; months are refused. */
bool units_parse_duration(struct str text, struct dur *out);
/* As Prometheus has it, and nothing else: "1h30m", units from years to milliseconds, each once, the
 * greatest first; "0". Up to the 292 years of Go's durations. */
bool units_parse_span(struct str text, struct dur *out);
/* "512", "10 MiB", "1GB", "64k" (k, M, G, T decimal with B; Ki, Mi, Gi, Ti binary). */
bool units_parse_size(struct str text, uint64_t *out_bytes);

#define UNITS_TEXT_BYTES 48
/* Prometheus' form, exact: "1h30m", "500ms", "0s". */
void units_format_duration(struct dur value, char out[UNITS_TEXT_BYTES]);
/* For people, two parts at most: "1 h 30 min", "42 s", "580 ms". */
void units_format_duration_people(struct dur value, char out[UNITS_TEXT_BYTES]);
void units_format_bytes_binary(double bytes, char out[UNITS_TEXT_BYTES]); /* "1.2 GiB" */
/* At most three significant digits: "1.38", "588", "0.021". */
void units_format_number(double value, char out[UNITS_TEXT_BYTES]);

#endif
