/* Backup policies (`**Frequency**`, `**Retention**`, `**Storage**`, `**Verification**` under a
 * heading) and recovery objectives (lists under RPO and RTO headings). */
#include "manual/compiler.h"

static bool same_section(const struct mark *a, const struct mark *b)
{
	return a->depth == b->depth && a->depth > 0 &&
	       a->path[a->depth - 1] == b->path[b->depth - 1];
}

static struct mark *sibling(struct compiler *c, const struct mark *mark, const char *key)
{
	for (size_t i = 0; i < c->marks.list.n; i++) {
		struct mark *other = &c->marks.list.v[i];
		if (other->kind == MARK_ITEM && same_section(mark, other) &&
		    str_eq_nocase(other->key, str_of(key)))
			return other;
	}
	return NULL;
}

static const char *text_or_null(struct compiler *c, const struct mark *mark)
{
	return mark == NULL ? NULL : compiler_text(c, mark->text);
}

/* Storage and Verification of a policy: lines of their own, proved with the policy. */
static void bound_line(struct compiler *c, struct mark *mark, const char *policy)
{
	if (mark == NULL || mark->taken)
		return;
	mark->taken = true;
	size_t promise = compiler_promise(
		c, PROMISE_PROSE, mark, mark->line, mark->key,
		compiler_format(c, STR_FMT ": " STR_FMT, STR_ARG(mark->key), STR_ARG(mark->text)));
	c->promises.v[promise].proof = PROOF_RECORD;
	c->promises.v[promise].proved_by = compiler_format(c, "the runs of policy '%s'", policy);
	c->promises.v[promise].missing = "the backups' runner is not built yet";
}

static void take_policy(struct compiler *c, struct mark *frequency)
{
	struct mark *retention = sibling(c, frequency, "Retention");
	if (retention == NULL)
		return;
	struct backup_policy *policy = vec_add(c->cx, &c->backups);
	if (policy == NULL)
		return;
	frequency->taken = true;
	policy->title = compiler_heading(frequency);
	policy->id = compiler_text(c, str_slug(c->cx->arena, str_of(policy->title)));
	policy->storage = text_or_null(c, sibling(c, frequency, "Storage"));
	policy->verification = text_or_null(c, sibling(c, frequency, "Verification"));
	if (!form_duration(frequency->text, &policy->every))
		compiler_error(c, compiler_at(frequency),
			       "Write for example 'Daily' or 'Every 15 minutes'.",
			       "the frequency of '%s' is not a time: '" STR_FMT "'", policy->title,
			       STR_ARG(frequency->text));
	if (!form_duration(retention->text, &policy->keep))
		compiler_error(c, compiler_at(retention), "Write for example '30 days'.",
			       "the retention of '%s' is not a time: '" STR_FMT "'", policy->title,
			       STR_ARG(retention->text));
	size_t promise = compiler_promise(
		c, PROMISE_BACKUP, frequency, frequency->line, STR("policy"),
		compiler_format(c, "%s: " STR_FMT ", kept " STR_FMT, policy->title,
				STR_ARG(frequency->text), STR_ARG(retention->text)));
	c->promises.v[promise].proof = PROOF_RECORD;
	c->promises.v[promise].proved_by = "each backup that was made and can be read";
	c->promises.v[promise].missing = "the backups' runner is not built yet";
	bound_line(c, retention, policy->title);
	bound_line(c, sibling(c, frequency, "Storage"), policy->title);
	bound_line(c, sibling(c, frequency, "Verification"), policy->title);
}

static void take_objective(struct compiler *c, struct mark *mark, bool is_rpo)
{
	struct objective *objective = vec_add(c->cx, &c->objectives);
	if (objective == NULL)
		return;
	mark->taken = true;
	objective->name = compiler_text(c, mark->key);
	objective->is_rpo = is_rpo;
	if (!form_duration(mark->text, &objective->within))
		compiler_error(c, compiler_at(mark), "Write for example '15 minutes' or '2 hours'.",
			       "the objective of '%s' is not a time: '" STR_FMT "'",
			       objective->name, STR_ARG(mark->text));
	size_t promise =
		compiler_promise(c, PROMISE_OBJECTIVE, mark, mark->line, mark->key,
				 compiler_format(c, "%s of " STR_FMT ": " STR_FMT,
						 is_rpo ? "Recovery point" : "Recovery time",
						 STR_ARG(mark->key), STR_ARG(mark->text)));
	c->promises.v[promise].proof = is_rpo ? PROOF_MEASURED : PROOF_DRILL;
	c->promises.v[promise].proof_valid = (struct dur){is_rpo ? 0 : 91LL * 86400000};
	c->promises.v[promise].proved_by = is_rpo ? "the age of the newest archived change"
						  : "the time each restore drill took";
	c->promises.v[promise].missing = "the backups' runner is not built yet";
}

void form_backups(struct compiler *c)
{
	for (size_t i = 0; i < c->marks.list.n; i++) {
		struct mark *mark = &c->marks.list.v[i];
		if (mark->kind != MARK_ITEM || mark->key.n == 0)
			continue;
		struct str heading = str_of(compiler_heading(mark));
		bool is_rpo = compiler_has_word(heading, "recovery point|RPO");
		bool is_rto = compiler_has_word(heading, "recovery time|RTO");
		if (str_eq_nocase(mark->key, STR("Frequency")))
			take_policy(c, mark);
		else if (is_rpo || is_rto)
			take_objective(c, mark, is_rpo);
	}
}
