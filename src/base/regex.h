/* RE2 behind C: the syntax PromQL promises, in linear time. Any thread once compiled. */
#ifndef BASE_REGEX_H
#define BASE_REGEX_H

#include "base/cx.h"

#ifdef __cplusplus
extern "C" {
#endif

struct regex;

/* anchored: the whole text must match (PromQL); else anywhere. *out is on the heap: regex_free. */
enum rc regex_compile(struct cx *cx, struct str pattern, bool anchored,
		      struct regex **out) NODISCARD;
/* Why it does not compile, in the words of Go's regexp; what does compile gives nothing. */
void regex_explain(struct str pattern, bool anchored, struct buf *out);
bool regex_match(const struct regex *regex, struct str text);
/* Groups of the first match; groups[0] is the whole. Unmatched groups have p NULL. */
bool regex_groups(const struct regex *regex, struct str text, struct str *groups, int count);
/* Appends `replacement` with $1 and ${name} expanded from the match, as Go's Expand does. */
bool regex_expand(const struct regex *regex, struct str text, struct str replacement,
		  struct buf *out);
/* Appends `text` with every match replaced, $1 expanded, as Go's ReplaceAllString does. */
void regex_replace_all(const struct regex *regex, struct str text, struct str replacement,
		       struct buf *out);
void regex_free(struct regex *regex);

#ifdef __cplusplus
}
#endif

#endif
