/* Characters and strings as Go reads and writes them. Private to promql/. */
#ifndef PROMQL_PARSE_RUNES_H
#define PROMQL_PARSE_RUNES_H

#include "promql/parse/scan.h"

/* The rune at `at` of text; its length in bytes, 0 at the end. What is no UTF-8 is 0xfffd, of
 * length 1. */
size_t promql_rune(struct str text, size_t at, uint32_t *out);
/* As %q writes the rune at `at`: 'a', '\n', '\u00a0'; the end is '\ufffd' as well. */
void promql_put_rune(struct buf *out, struct str text, size_t at);
/* As %q writes a string; of more than `most` runes, these and "...". */
void promql_put_quoted(struct buf *out, struct str text, size_t most);
/* A quoted string at p->at. */
enum rc promql_scan_string(struct parser *p) NODISCARD;

#endif
