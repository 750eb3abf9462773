/* The scanner under the parser. Private to promql/. */
#ifndef PROMQL_PARSE_SCAN_H
#define PROMQL_PARSE_SCAN_H

#include "promql/parse/ast.h"

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_NUMBER, TOKEN_DURATION, TOKEN_STRING, TOKEN_SIGN };

struct token {
	enum token_kind kind;
	struct str text;
	size_t at;
};

struct parser {
	struct cx *cx;
	struct str text;
	size_t at;
	struct token token;
	int depth;
	int operators;
	size_t selectors;
	struct promql_expr *owned;
};

/* RC_INVALID as Prometheus words it: LINE:COLUMN: parse error: ... */
enum rc promql_fail_at(struct parser *p, size_t at, const char *format, ...) PRINTF_LIKE(3, 4);
/* The next token into p->token. */
enum rc promql_scan(struct parser *p) NODISCARD;
char promql_peek_byte(const struct parser *p, size_t ahead); /* NUL at the end */
void promql_skip_blanks(struct parser *p);                   /* and comments */
bool promql_is_alpha(char c);
bool promql_is_digit(char c);

#endif
