/* Tokens, nodes and values of templates. Private to rules/template/. */
#ifndef RULES_TEMPLATE_INSIDE_H
#define RULES_TEMPLATE_INSIDE_H

#include "rules/template/template.h"

/* ---- limits: a template comes from a file, its data from anywhere ---- */

#define TEMPLATE_TEXT_LIMIT_BYTES (256 << 10)
#define TEMPLATE_TOKENS_LIMIT 65536
#define TEMPLATE_PARSE_DEPTH_LIMIT 100
#define TEMPLATE_CALL_DEPTH_LIMIT 100
#define TEMPLATE_OUTPUT_LIMIT_BYTES (1 << 20)
#define TEMPLATE_STEPS_LIMIT 1000000 /* nodes walked; a second or so */

/* ---- tokens ---- */

enum lexeme_kind {
	LEXEME_ERROR, /* text is the message */
	LEXEME_END,
	LEXEME_TEXT,
	LEXEME_LEFT,  /* {{ */
	LEXEME_RIGHT, /* }} */
	LEXEME_SPACE,
	LEXEME_PIPE,
	LEXEME_OPEN,
	LEXEME_CLOSE,
	LEXEME_ASSIGN,  /* = */
	LEXEME_DECLARE, /* := */
	LEXEME_CHAR,    /* a comma; anything else printable */
	LEXEME_NUMBER,
	LEXEME_RUNE,
	LEXEME_STRING,
	LEXEME_RAW_STRING,
	LEXEME_VARIABLE,
	LEXEME_FIELD,
	LEXEME_DOT,
	LEXEME_IDENTIFIER,
	LEXEME_BOOL,
	LEXEME_KEYWORDS, /* those after it are */
	LEXEME_NIL,
	LEXEME_BLOCK,
	LEXEME_BREAK,
	LEXEME_CONTINUE,
	LEXEME_DEFINE,
	LEXEME_ELSE,
	LEXEME_END_WORD,
	LEXEME_IF,
	LEXEME_RANGE,
	LEXEME_TEMPLATE,
	LEXEME_WITH
};

struct lexeme {
	enum lexeme_kind kind;
	struct str text;
	size_t at;
	int line;
};

struct lexemes {
	struct lexeme *v;
	size_t n, cap;
};

/* All of the text; the last one is LEXEME_END or LEXEME_ERROR. RC_LIMIT. */
enum rc rules_template_scan(struct cx *cx, struct str text, struct lexemes *out) NODISCARD;

/* ---- values ---- */

enum value_kind {
	VALUE_NONE, /* no value: a missing argument */
	VALUE_NIL,
	VALUE_BOOL,
	VALUE_INT,
	VALUE_FLOAT,
	VALUE_COMPLEX,
	VALUE_STRING,
	VALUE_HTML,
	VALUE_MAP,  /* map[string]string */
	VALUE_ARGS, /* map[string]interface {}: what args() made */
	VALUE_SAMPLE,
	VALUE_VECTOR,
	VALUE_DATA, /* the alert itself */
	VALUE_TIME,
	VALUE_MONTH,
	VALUE_WEEKDAY
};

struct template_value;
struct value_vector {
	const struct promql_series **v;
	size_t n;
};
struct value_args {
	struct template_value *v;
	size_t n;
};

struct template_value {
	enum value_kind kind;
	union {
		bool truth;
		int64_t integer;
		double real;
		struct str string;
		const struct labels *map;
		const struct value_args *args;
		const struct promql_series *sample;
		const struct value_vector *vector;
		const struct template_data *data;
		struct {
			int64_t seconds;
			int32_t nanoseconds;
		} time;
	};
	double imaginary;
};

/* ---- nodes ---- */

enum template_node_kind {
	NODE_LIST,
	NODE_TEXT,
	NODE_ACTION,
	NODE_IF,
	NODE_RANGE,
	NODE_WITH,
	NODE_TEMPLATE,
	NODE_BREAK,
	NODE_CONTINUE,
	NODE_END, /* only while parsing */
	NODE_ELSE,
	/* of expressions */
	NODE_PIPE,
	NODE_COMMAND,
	NODE_FIELD,
	NODE_VARIABLE,
	NODE_CHAIN,
	NODE_FUNCTION,
	NODE_DOT,
	NODE_NIL,
	NODE_BOOL,
	NODE_NUMBER,
	NODE_STRING
};

struct template_node {
	enum template_node_kind kind;
	size_t at;       /* byte of the text */
	struct str text; /* of the text, or as it was written */
	struct template_value value;
	struct template_node **kids; /* of a list, the commands of a pipe, the words of a command */
	size_t kid_count;
	struct str *fields; /* of a field, a variable or a chain (its subject is kids[0]) */
	size_t field_count;
	struct template_node *pipe, *body, *otherwise;
	struct str *declared; /* variables of a pipe */
	size_t declared_count;
	bool assigns;
	const struct template_function *function;
};

struct template_definition {
	struct str name;
	struct template_node *body;
};

struct template
{
	struct str name, text;
	struct template_node *body;
	struct template_definition *definitions;
	size_t definition_count;
	bool constant, of_labels, of_value;
};

/* As Go prints a node: in messages. */
void rules_template_print(struct buf *out, const struct template_node *node);
/* Sets what it depends on. */
void rules_template_judge(struct template *template);

/* Stands before every text, as in Prometheus: its columns count in messages. */
#define TEMPLATE_PREAMBLE                                                                          \
	"{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}"                             \
	"{{$externalURL := .ExternalURL}}{{$value := .Value}}"

/* ---- functions ---- */

struct template_variable {
	struct str name;
	struct template_value value;
};

struct execution {
	struct cx *cx;
	const struct template *template;
	const struct template_data *data;
	struct buf *out;
	struct str running;               /* the template's or the definition's name */
	const struct template_node *node; /* where a failure is told to be */
	int depth;
	uint64_t steps;
	VEC(struct template_variable) variables;
	size_t base;        /* of the variables of the definition that runs */
	struct buf message; /* of the failure, in Go's words */
	bool failed;
};

struct template_call {
	struct execution *x;
	const char *name; /* of the function */
	const struct template_value *arguments;
	size_t count;
	struct template_value *out;
	struct buf why; /* set on failure */
};

#define TEMPLATE_PARAMETERS_LIMIT 4
enum parameter_type { TAKES_ANY, TAKES_STRING, TAKES_SAMPLE, TAKES_VECTOR };
struct template_function {
	const char *name;
	enum parameter_type parameters[TEMPLATE_PARAMETERS_LIMIT];
	int least;
	bool variadic;        /* the last parameter repeats, also not at all */
	bool volatile_answer; /* not by its arguments alone */
	bool (*call)(struct template_call *call);
};
/* NULL: no such function. `and` and `or` are the evaluator's: their call is NULL. */
const struct template_function *rules_template_function(struct str name);
extern const struct template_function rules_template_builtins[];
extern const size_t rules_template_builtin_count;

/* Formats the failure into call->why; false. */
bool rules_template_refuse(struct template_call *call, const char *format, ...) PRINTF_LIKE(2, 3);

/* ---- values, in value.c ---- */

const char *rules_value_type(const struct template_value *value); /* "map[string]string" */
void rules_value_print(struct buf *out, const struct template_value *value); /* as %v */
bool rules_value_truth(const struct template_value *value);
void rules_value_put_float(struct buf *out, double value, char verb, int precision);
void rules_value_put_quoted(struct buf *out, struct str text);
/* The inside of "", '' or ``; in cx->arena. False for what Go refuses. */
bool rules_value_unquote(struct cx *cx, struct str quoted, struct str *out);
void rules_value_put_rune(struct buf *out, uint32_t rune);
/* Bytes of the first rune of text; 0: it is none, or text is empty. */
size_t rules_value_read_rune(struct str text, uint32_t *out);
struct template_value rules_value_string(struct str text);
/* name[0..]: the value of arg%d; false when there is none */
bool rules_value_argument(const struct value_args *args, struct str name,
			  struct template_value *out);

/* fmt.Sprintf and fmt.Sprint of values, in format.c. */
void rules_format(struct buf *out, struct str format, const struct template_value *values,
		  size_t count);
void rules_format_all(struct buf *out, const struct template_value *values, size_t count,
		      bool line);

/* Instants, in time.c. */
void rules_time_print(struct buf *out, int64_t seconds, int32_t nanoseconds);
/* false: no such method, or other arguments; then *why may say more */
bool rules_time_method(struct cx *cx, const struct template_value *time, struct str method,
		       const struct template_value *arguments, size_t count,
		       struct template_value *out, const char **why);
const char *rules_time_month(int64_t month); /* "January" for 1 */
const char *rules_time_weekday(int64_t day); /* "Sunday" for 0 */

#endif
