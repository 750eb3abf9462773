/* What the compiler's parts share: the document cut into marks, the plan under construction, the
 * diagnostics. Private to manual/. */
#ifndef MANUAL_COMPILER_H
#define MANUAL_COMPILER_H

#include "base/map.h"
#include "kinds/kinds.h"
#include "manual/manual.h"

#define HEADING_DEPTH 6
#define COMPILER_CONTACTS_LIMIT 256
#define COMPILER_COMPONENTS_LIMIT 1024
#define COMPILER_PEOPLE_LIMIT 1024
#define COMPILER_ONCALLS_LIMIT 64

enum mark_kind { MARK_ITEM, MARK_TABLE, MARK_CODE };

/* A thing of the document that may promise something, with the headings it stands under. */
struct mark {
	enum mark_kind kind;
	int line, column;
	const char
		*path[HEADING_DEPTH]; /* headings, outermost first, without the document's title */
	size_t depth;
	/* MARK_ITEM */
	struct str key, text; /* "**Key**: text"; key empty when there is none */
	bool is_task, is_numbered, has_children;
	int parent; /* index of the mark whose list this is in, -1 */
	int number; /* in its list, from 1 */
	/* MARK_TABLE: rows[0] is the header */
	struct str **rows;
	int *row_lines;
	size_t row_count, column_count;
	/* MARK_CODE */
	struct str info, literal;
	bool taken; /* some form has made promises of it */
};

struct marks {
	VEC(struct mark) list;
};

struct compiler {
	struct cx *cx;     /* the caller's: errors, diagnostics */
	struct cx plan_cx; /* the plan's own arena */
	struct plan *plan;
	const struct manual_input *input;
	struct diagnostics *diagnostics;
	struct marks marks;
	VEC(struct promise) promises;
	struct map promise_ids; /* each with the highest number that stands behind it */
	VEC(struct threshold) thresholds;
	VEC(struct severity) severities;
	VEC(struct role) roles;
	VEC(struct workflow) workflows;
	VEC(struct backup_policy) backups;
	VEC(struct objective) objectives;
	VEC(struct window) windows;
	VEC(struct duty_plan) duties;
	VEC(struct checklist) checklists;
	VEC(struct change_category) changes;
	/* pointed to while they still grow, so these stand in place: see COMPILER_*_LIMIT */
	bool site_unreadable; /* told; names that it binds are unknown, not missing */
	struct dur scrape_interval, evaluate_interval;
	unsigned flap_limit;
	struct dur flap_quiet;
	struct dur
		repage_after; /* as the policy says; -1: as it is read where the manual is silent */
};

/* Deep in the plan's arena; aborts never, returns "" when the budget is out (the compile then
 * fails). */
const char *compiler_text(struct compiler *c, struct str s);
const char *compiler_format(struct compiler *c, const char *format, ...) PRINTF_LIKE(2, 3);

/* The contact of that name, made when it is new; unbound until the site file binds it. */
struct contact *compiler_contact(struct compiler *c, struct str name);

/* Diagnostics. Quotes the line of the file. */
void compiler_error(struct compiler *c, struct place place, const char *hint, const char *format,
		    ...) PRINTF_LIKE(4, 5);
void compiler_warn(struct compiler *c, struct place place, const char *hint, const char *format,
		   ...) PRINTF_LIKE(4, 5);
struct place compiler_at(const struct mark *mark);

/* Index of the new promise in c->promises. key is the last part of the id; text as shown. The
 * promise's proof is PROOF_NONE until the caller sets it. */
size_t compiler_promise(struct compiler *c, enum promise_kind kind, const struct mark *mark,
			int line, struct str key, const char *text);
/* Kept in a plan's `promise` fields until the list is complete and sorted. */
#define COMPILER_REFERENCE(index) ((const struct promise *)(uintptr_t)((index) + 1))
/* A heading of the mark's path has one of the words (lower case, '|' between). */
bool compiler_under(const struct mark *mark, const char *words);
bool compiler_has_word(struct str text, const char *words);
const char *compiler_heading(const struct mark *mark); /* innermost, "" without */

/* document.c: Markdown to marks. */
enum rc compiler_read_document(struct compiler *c);

/* One file a form group; each takes the marks it knows. */
void form_thresholds(struct compiler *c);
void form_severities(struct compiler *c);
void form_channels(struct compiler *c);
void form_diagrams(struct compiler *c);
void form_roles(struct compiler *c);
void form_backups(struct compiler *c);
void form_calendar(struct compiler *c); /* windows, duties, verification */
void form_scripts(struct compiler *c);
void form_items(struct compiler *c); /* components, tools, panels, checklists, changes, prose */

/* A limit of the manual set to another value; NULL, or what is wrong with the text. */
const char *form_limit(struct compiler *c, struct threshold *threshold, enum limit_level level,
		       struct str text);

/* policy.c: the keys that a fenced `backline` block and the site file share. */
struct conf_node;
void form_policy(struct compiler *c);
/* The nodes under these keys; NULL where absent. The block's first line is line_offset + 1. */
struct policy {
	const struct conf_node *hold, *clear_after, *flapping, *limits, *repage_after;
};
void compiler_policy(struct compiler *c, enum manual_file file, int line_offset,
		     const struct policy *policy);

/* site.c: YAML to components, people, providers. */
enum rc compiler_read_site(struct compiler *c);
/* bind.c: what needs both: jobs, rules, channels to people, what is missing. */
void compiler_bind(struct compiler *c);

/* Cadence that a text names: "Weekly restore tests" -> CADENCE_WEEKLY; false without one. */
bool form_cadence(struct str text, enum cadence *out);
/* A duration in words: "Weekly", "Every 15 minutes", "4 weeks", "< 15 min". */
bool form_duration(struct str text, struct dur *out);

#endif
