/* The scanner under the parser. Private to promql/.
 *
 * It knows as much of the grammar as Prometheus' does, so that mistakes have the same words at the
 * same place: whether it stands in braces or brackets, and how many parentheses are open. */
#ifndef PROMQL_PARSE_SCAN_H
#define PROMQL_PARSE_SCAN_H

#include "promql/parse/ast.h"

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_NUMBER, TOKEN_DURATION, TOKEN_STRING, TOKEN_SIGN };

/* What a word is outside of braces. */
enum word_kind {
	WORD_IDENTIFIER,
	WORD_METRIC,    /* has a colon */
	WORD_AGGREGATE, /* sum */
	WORD_OPERATOR,  /* and */
	WORD_KEYWORD,   /* by */
	WORD_EDGE       /* start, end */
};

struct token {
	enum token_kind kind;
	enum word_kind word;
	struct str text;  /* as it stands in the query */
	struct str value; /* of a string, without quotes and escapes */
	size_t at;
};

struct parser {
	struct cx *cx;
	struct str text;
	size_t at;
	bool in_braces, in_brackets, colon_seen;
	int parentheses;
	struct token token;
	const char *context; /* what an unexpected token is in; NULL: nothing that is told */
	int depth;
	int operators;
	size_t selectors;
	struct promql_expr *owned;
};

/* RC_INVALID as Prometheus words it: LINE:COLUMN: parse error: ... */
enum rc promql_fail_at(struct parser *p, size_t at, const char *format, ...) PRINTF_LIKE(3, 4);
/* The next token into p->token. */
enum rc promql_scan(struct parser *p) NODISCARD;
/* How a message names the token: identifier "x", <op:+>, end of input. */
void promql_describe(struct buf *out, const struct token *token);
/* check.c: types and what else only shows in the whole. */
enum rc promql_check(struct parser *p, const struct promql_expr *node) NODISCARD;
bool promql_is_alpha(char c);
bool promql_is_digit(char c);

#endif
