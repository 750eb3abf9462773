/* The remaining lines: components, tools, panels, checklists, change categories, bound items,
 * prose. Nothing that promises is dropped: what no form knows becomes a prose promise. */
#include "manual/compiler.h"

/* Items bound by the words of their heading path and key: one table. */
static const struct binding {
	const char *headings, *keys; /* words, '|' between; NULL: any */
	enum promise_proof proof;
	int64_t valid_days;
	const char *proved_by, *missing;
} bindings[] = {
	{"monitoring", "page load|web vitals|javascript|interaction", PROOF_MEASURED, 0,
	 "fresh data of the browser beacon", "needs the browser beacon"},
	{"monitoring", "response time|error rate", PROOF_MEASURED, 0, "fresh series of the API",
	 NULL},
	{"monitoring", "database", PROOF_MEASURED, 0, "fresh series of the database",
	 "needs the collector for PostgreSQL"},
	{"monitoring", "resource|server health|network|container", PROOF_MEASURED, 0,
	 "fresh series of the hosts", NULL},
	{"monitoring", "cdn", PROOF_MEASURED, 0, "fresh probes of the CDN", NULL},
	{"cpu|memory|storage", "current usage", PROOF_MEASURED, 0, "fresh series of the hosts",
	 NULL},
	{"access", "log", PROOF_MEASURED, 0, "the journal, whose chain is verified", NULL},
	{"roles|responsib|commander|lead", NULL, PROOF_RECORD, 91,
	 "who took the role in each incident", NULL},
	{"retrospective|post-incident|blameless", NULL, PROOF_RECORD, 91,
	 "the review of each incident", NULL},
	{"rollback", NULL, PROOF_DRILL, 91, "each rollback, or a drill", NULL},
	{"audit|gdpr|ccpa|compliance", NULL, PROOF_RECORD, 91, "a record, attested each quarter",
	 NULL},
	{"access|authentication|security|threat", NULL, PROOF_RECORD, 91,
	 "a record, attested each quarter", NULL},
	{"performance tuning|optimi", NULL, PROOF_RECORD, 91, "a record, attested each quarter",
	 NULL},
	{"capacity|utilization|utilisation", NULL, PROOF_RECORD, 91, "the capacity review", NULL},
};

static void bind_by_words(struct promise *promise, const struct mark *mark, struct str key)
{
	if (mark->has_children && mark->text.n == 0) {
		promise->proof = PROOF_MEASURED;
		promise->proved_by = "its parts below";
		return;
	}
	for (size_t i = 0; i < sizeof(bindings) / sizeof(bindings[0]); i++) {
		const struct binding *b = &bindings[i];
		if (!compiler_under(mark, b->headings) ||
		    (b->keys != NULL && !compiler_has_word(key, b->keys)))
			continue;
		promise->proof = b->proof;
		promise->proof_valid = (struct dur){b->valid_days * 86400000};
		promise->proved_by = b->proved_by;
		promise->missing = b->missing;
		return;
	}
	promise->missing = "bind it to a duty or a measure, or say that it is not a promise";
}

static const char *item_text(struct compiler *c, const struct mark *mark)
{
	if (mark->key.n == 0)
		return compiler_text(c, mark->text);
	return compiler_format(c, STR_FMT "%s" STR_FMT, STR_ARG(mark->key),
			       mark->text.n > 0 ? ": " : "", STR_ARG(mark->text));
}

static enum promise_kind kind_of(const struct mark *mark)
{
	struct str heading = str_of(compiler_heading(mark));
	if (mark->is_task)
		return PROMISE_CHECKLIST;
	if (compiler_has_word(heading, "dependencies|components"))
		return PROMISE_COMPONENT;
	if (compiler_has_word(heading, "tools"))
		return PROMISE_TOOL;
	if (compiler_under(mark, "dashboard"))
		return PROMISE_PANEL;
	if (compiler_has_word(heading, "categor") && compiler_has_word(mark->key, "change"))
		return PROMISE_CHANGE;
	if (compiler_has_word(heading, "checklist"))
		return PROMISE_CHECKLIST;
	return PROMISE_PROSE;
}

static void take_change(struct compiler *c, const struct mark *mark)
{
	struct change_category *change = vec_add(c->cx, &c->changes);
	if (change == NULL)
		return;
	change->name = compiler_text(c, mark->key);
	change->text = compiler_text(c, mark->text);
	change->needs_approval = compiler_has_word(mark->text, "approval");
	change->expedited = compiler_has_word(mark->text, "expedit|urgent|emergency");
}

static void prove(struct compiler *c, size_t index, const struct mark *mark, enum promise_kind kind)
{
	struct promise *promise = &c->promises.v[index];
	switch (kind) {
	case PROMISE_TOOL:
	case PROMISE_PANEL:
		promise->proof = PROOF_MEASURED;
		promise->proved_by = "fresh data of Backline's own equivalent";
		break;
	case PROMISE_COMPONENT:
		promise->proof = PROOF_MEASURED;
		promise->proved_by = "fresh data of the component";
		break;
	case PROMISE_CHECKLIST:
		promise->proof = PROOF_RECORD;
		promise->proof_valid = (struct dur){91LL * 86400000};
		promise->proved_by = "each time the list was gone through";
		break;
	case PROMISE_CHANGE:
		promise->proof = PROOF_RECORD;
		promise->proof_valid = (struct dur){91LL * 86400000};
		promise->proved_by = "each change of the category, with its approval";
		take_change(c, mark);
		break;
	default:
		bind_by_words(promise, mark, mark->key.n > 0 ? mark->key : mark->text);
	}
}

static void take_item(struct compiler *c, struct mark *mark)
{
	enum promise_kind kind = kind_of(mark);
	if (kind == PROMISE_PROSE && mark->is_numbered)
		kind = PROMISE_CHECKLIST; /* a numbered procedure */
	if (kind == PROMISE_PROSE && mark->parent >= 0 && c->marks.list.v[mark->parent].is_numbered)
		kind = PROMISE_CHECKLIST; /* its steps */
	mark->taken = true;
	struct str key = mark->key.n > 0 ? mark->key : mark->text;
	size_t promise = compiler_promise(c, kind, mark, mark->line, key, item_text(c, mark));
	prove(c, promise, mark, kind);
}

/* ---- checklists: runs of tasks or of numbered steps under one heading ---- */

static bool is_step(const struct compiler *c, const struct mark *mark)
{
	return mark->kind == MARK_ITEM &&
	       (mark->is_task || (mark->is_numbered && mark->parent < 0) ||
		(mark->parent >= 0 && c->marks.list.v[mark->parent].is_numbered)) &&
	       kind_of(mark) != PROMISE_COMPONENT;
}

static void gather_checklists(struct compiler *c)
{
	for (size_t i = 0; i < c->marks.list.n;) {
		const struct mark *first = &c->marks.list.v[i];
		if (!is_step(c, first)) {
			i++;
			continue;
		}
		VEC(const char *) items = {0};
		const char *title = compiler_heading(first);
		for (; i < c->marks.list.n && is_step(c, &c->marks.list.v[i]) &&
		       compiler_heading(&c->marks.list.v[i]) == title;
		     i++) {
			const char **item = vec_add(&c->plan_cx, &items);
			if (item != NULL)
				*item = item_text(c, &c->marks.list.v[i]);
		}
		struct checklist *list = vec_add(c->cx, &c->checklists);
		if (list == NULL)
			return;
		*list = (struct checklist){compiler_text(c, str_slug(c->cx->arena, str_of(title))),
					   title, items.v, items.n};
	}
}

/* ---- tables and code blocks that no form knew ---- */

static void take_table(struct compiler *c, struct mark *mark)
{
	mark->taken = true;
	for (size_t row = 1; row < mark->row_count; row++) {
		struct buf text = BUF_INIT;
		for (size_t i = 0; i < mark->column_count; i++)
			buf_printf(&text, "%s" STR_FMT, i == 0 ? "" : " | ",
				   STR_ARG(mark->rows[row][i]));
		size_t promise =
			compiler_promise(c, PROMISE_PROSE, mark, mark->row_lines[row],
					 mark->rows[row][0], compiler_text(c, buf_str(&text)));
		bind_by_words(&c->promises.v[promise], mark, mark->rows[row][0]);
		buf_release(&text);
	}
}

static void take_code(struct compiler *c, struct mark *mark)
{
	mark->taken = true;
	bool is_drawing = mark->info.n == 0 && compiler_under(mark, "component|architecture");
	enum promise_kind kind = is_drawing ? PROMISE_COMPONENT : PROMISE_PROSE;
	size_t promise = compiler_promise(
		c, kind, mark, mark->line, STR("drawing"),
		is_drawing ? "the drawing of the components"
			   : compiler_format(c, "a block of '" STR_FMT "'", STR_ARG(mark->info)));
	if (is_drawing) {
		c->promises.v[promise].proof = PROOF_MEASURED;
		c->promises.v[promise].proved_by = "compared with `needs` of the site file";
	} else {
		c->promises.v[promise].missing =
			"bind it to a duty or say that it is not a promise";
	}
}

void form_items(struct compiler *c)
{
	gather_checklists(c);
	for (size_t i = 0; i < c->marks.list.n; i++) {
		struct mark *mark = &c->marks.list.v[i];
		if (mark->taken)
			continue;
		if (mark->kind == MARK_TABLE)
			take_table(c, mark);
		else if (mark->kind == MARK_CODE && !str_is(mark->info, "backline"))
			take_code(c, mark);
		else if (mark->kind == MARK_ITEM && mark->key.n + mark->text.n > 0)
			take_item(c, mark);
	}
}
