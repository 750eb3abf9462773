/* Mermaid diagrams: one whose root is an alert is the escalation, every other is a workflow. */
#include "manual/compiler.h"
#include "manual/mermaid.h"

#define ESCALATION_STEPS_LIMIT 32

struct drawing {
	struct compiler *c;
	struct mark *mark;
	const struct mermaid *m;
	size_t promise;
};

static struct place place_of(const struct drawing *d, int line)
{
	return (struct place){MANUAL_DOCUMENT, d->mark->line + 1 + line, 1};
}

static size_t root_of(const struct mermaid *m)
{
	for (size_t i = 0; i < m->node_count; i++)
		if (m->nodes[i].incoming == 0)
			return i;
	return 0;
}

/* ---- what is wrong with any diagram ---- */

static void reach(const struct mermaid *m, size_t from, bool *seen)
{
	if (seen[from])
		return;
	seen[from] = true;
	for (size_t e = 0; e < m->edge_count; e++)
		if (m->edges[e].from == from)
			reach(m, m->edges[e].to, seen);
}

static size_t exits_of(const struct mermaid *m, size_t node)
{
	size_t count = 0;
	for (size_t e = 0; e < m->edge_count; e++)
		count += m->edges[e].from == node;
	return count;
}

static bool can_end(const struct mermaid *m, size_t from)
{
	bool seen[MERMAID_NODES_LIMIT] = {false};
	reach(m, from, seen);
	for (size_t i = 0; i < m->node_count; i++)
		if (seen[i] && exits_of(m, i) == 0)
			return true;
	return false;
}

static void check_graph(const struct drawing *d)
{
	const struct mermaid *m = d->m;
	bool seen[MERMAID_NODES_LIMIT] = {false};
	reach(m, root_of(m), seen);
	bool endless = false;
	for (size_t i = 0; i < m->node_count; i++) {
		if (!seen[i])
			compiler_error(d->c, place_of(d, m->nodes[i].line),
				       "Draw an arrow to it, or take it out.",
				       "step '" STR_FMT "' is never reached",
				       STR_ARG(m->nodes[i].text));
		else if (!endless && !can_end(m, i)) {
			endless = true;
			compiler_error(
				d->c, place_of(d, m->nodes[i].line),
				"Give the loop a way out: a decision with an answer that ends.",
				"the loop at '" STR_FMT "' has no exit", STR_ARG(m->nodes[i].text));
		}
	}
}

static void check_labels(const struct drawing *d)
{
	for (size_t e = 0; e < d->m->edge_count; e++) {
		const struct mermaid_edge *edge = &d->m->edges[e];
		const struct mermaid_node *from = &d->m->nodes[edge->from];
		if (from->is_decision && edge->label.n == 0)
			compiler_error(d->c, place_of(d, edge->line),
				       "Write the answer on the arrow: -->|Yes|.",
				       "a way on from decision '" STR_FMT "' has no answer",
				       STR_ARG(from->text));
	}
}

/* ---- workflow ---- */

static void take_workflow(const struct drawing *d)
{
	struct compiler *c = d->c;
	const struct mermaid *m = d->m;
	check_labels(d);
	struct workflow *workflow = vec_add(c->cx, &c->workflows);
	struct workflow_node *nodes = cx_array(&c->plan_cx, m->node_count, sizeof(*nodes));
	if (workflow == NULL || nodes == NULL)
		return;
	/* the start comes first: swap it with whatever was written first */
	size_t root = root_of(m), place_in[MERMAID_NODES_LIMIT];
	for (size_t i = 0; i < m->node_count; i++)
		place_in[i] = i == root ? 0 : i < root ? i + 1 : i;
	for (size_t i = 0; i < m->node_count; i++) {
		struct workflow_node *node = &nodes[place_in[i]];
		node->key = compiler_text(c, m->nodes[i].key);
		node->text = compiler_text(c, m->nodes[i].text);
		node->is_decision = m->nodes[i].is_decision;
		node->place = place_of(d, m->nodes[i].line);
		node->edges = cx_array(&c->plan_cx, exits_of(m, i), sizeof(*node->edges));
		if (node->edges == NULL)
			return;
		for (size_t e = 0; e < m->edge_count; e++)
			if (m->edges[e].from == i)
				node->edges[node->edge_count++] = (struct workflow_edge){
					place_in[m->edges[e].to],
					m->edges[e].label.n == 0
						? NULL
						: compiler_text(c, m->edges[e].label)};
	}
	*workflow = (struct workflow){
		.id = compiler_text(c, str_slug(c->cx->arena, str_of(compiler_heading(d->mark)))),
		.title = compiler_heading(d->mark),
		.nodes = nodes,
		.node_count = m->node_count};
	c->promises.v[d->promise].proof = PROOF_RECORD;
	c->promises.v[d->promise].proved_by = "each run of it, step by step, on the journal";
}

/* ---- escalation ---- */

static bool find_priority(struct str text, enum priority *out)
{
	for (int p = 0; p < PRIORITIES; p++) {
		if (str_find_nocase(text, str_of(priority_name((enum priority)p))) < 0)
			continue;
		*out = (enum priority)p;
		return true;
	}
	return false;
}

/* "Ops Team SMS" -> "Ops Team"; "Manager Notification" -> "Manager"; "Notification Channel" -> "".
 */
static struct str contact_name(struct compiler *c, struct str text)
{
	static const char *const ways[] = {"sms",          "email",   "e-mail", "mail",    "slack",
					   "notification", "call",    "phone",  "channel", "page",
					   "telegram",     "webhook", "notify"};
	struct buf kept = BUF_INIT;
	struct str word;
	while (str_split(&text, ' ', &word)) {
		bool is_way = word.n == 0;
		for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
			is_way = is_way || str_eq_nocase(word, str_of(ways[i]));
		if (!is_way)
			buf_printf(&kept, "%s" STR_FMT, kept.length == 0 ? "" : " ", STR_ARG(word));
	}
	struct str name = str_of(compiler_text(c, buf_str(&kept)));
	buf_release(&kept);
	return name;
}

struct steps {
	const struct drawing *d;
	struct escalation_step list[ESCALATION_STEPS_LIMIT];
	size_t count;
};

static void add_step(struct steps *steps, size_t node, enum escalation_wait wait, struct dur after)
{
	struct compiler *c = steps->d->c;
	const struct mermaid_node *drawn = &steps->d->m->nodes[node];
	struct str name = contact_name(c, drawn->text);
	if (steps->count == ESCALATION_STEPS_LIMIT) {
		compiler_error(c, place_of(steps->d, drawn->line), "Draw fewer.",
			       "an escalation has more than %d steps", ESCALATION_STEPS_LIMIT);
		return;
	}
	if (name.n == 0 && wait != WAIT_NONE)
		compiler_error(c, place_of(steps->d, drawn->line),
			       "Name a contact: 'Manager Notification'.",
			       "the escalation goes to nobody: '" STR_FMT "'",
			       STR_ARG(drawn->text));
	steps->list[steps->count++] =
		(struct escalation_step){.wait = wait,
					 .after = after,
					 .text = compiler_text(c, drawn->text),
					 .contact = name.n == 0 ? NULL : compiler_contact(c, name),
					 .promise = COMPILER_REFERENCE(steps->d->promise)};
}

static void follow(struct steps *steps, size_t node, struct dur base, int depth);

/* From a decision: "No - 5 min" leads to the next one; "Yes" ends the run. */
static void follow_decision(struct steps *steps, size_t decision, struct dur base, int depth)
{
	const struct mermaid *m = steps->d->m;
	struct str question = m->nodes[decision].text;
	bool acknowledged = compiler_has_word(question, "ack");
	if (!acknowledged && !compiler_has_word(question, "resolv")) {
		compiler_error(steps->d->c, place_of(steps->d, m->nodes[decision].line),
			       "Ask 'Acknowledged?' or 'Resolved?'.",
			       "an escalation cannot wait for '" STR_FMT "'", STR_ARG(question));
		return;
	}
	for (size_t e = 0; e < m->edge_count; e++) {
		const struct mermaid_edge *edge = &m->edges[e];
		struct dur wait;
		if (edge->from != decision || str_starts(edge->label, STR("Yes")) ||
		    str_starts(edge->label, STR("yes")))
			continue;
		if (!form_duration(edge->label, &wait)) {
			compiler_error(steps->d->c, place_of(steps->d, edge->line),
				       "Write for example -->|No - 5 min|.",
				       "the wait '" STR_FMT "' is not a time",
				       STR_ARG(edge->label));
			continue;
		}
		struct dur after = {base.ms + wait.ms};
		add_step(steps, edge->to, acknowledged ? WAIT_ACKNOWLEDGED : WAIT_RESOLVED, after);
		follow(steps, edge->to, after, depth + 1);
	}
}

/* What is drawn behind a step without a question between is done with it. */
static void follow(struct steps *steps, size_t node, struct dur base, int depth)
{
	const struct mermaid *m = steps->d->m;
	enum escalation_wait wait = steps->list[steps->count - 1].wait;
	for (size_t e = 0; e < m->edge_count && depth < 16; e++) {
		if (m->edges[e].from != node)
			continue;
		if (m->nodes[m->edges[e].to].is_decision) {
			follow_decision(steps, m->edges[e].to, base, depth);
		} else {
			add_step(steps, m->edges[e].to, wait, base);
			follow(steps, m->edges[e].to, base, depth + 1);
		}
	}
}

/* Those of one time stay as they are drawn. */
static void sort_steps(struct steps *steps)
{
	for (size_t i = 1; i < steps->count; i++) {
		struct escalation_step step = steps->list[i];
		size_t at = i;
		for (; at > 0 && steps->list[at - 1].after.ms > step.after.ms; at--)
			steps->list[at] = steps->list[at - 1];
		steps->list[at] = step;
	}
}

static void take_priority(const struct drawing *d, enum priority priority,
			  const struct mermaid_edge *edge)
{
	struct compiler *c = d->c;
	struct steps steps = {.d = d};
	add_step(&steps, edge->to, WAIT_NONE, (struct dur){0});
	follow(&steps, edge->to, (struct dur){0}, 0);
	sort_steps(&steps);
	struct escalation *escalation = &c->plan->escalations[priority];
	if (escalation->step_count > 0) {
		compiler_error(
			c, place_of(d, edge->line),
			"Keep one arrow for each priority; draw what is done with it behind.",
			"the escalation of '%s' is drawn twice", priority_name(priority));
		return;
	}
	escalation->steps = cx_array(&c->plan_cx, steps.count, sizeof(steps.list[0]));
	if (escalation->steps == NULL)
		return;
	memcpy(escalation->steps, steps.list, steps.count * sizeof(steps.list[0]));
	escalation->step_count = steps.count;
	escalation->place = place_of(d, edge->line);
	/* acknowledged and forgotten: read so where the manual is silent */
	if (priority == PRIORITY_CRITICAL)
		escalation->repage_after = (struct dur){30 * 60000};
}

static void take_escalation(const struct drawing *d)
{
	const struct mermaid *m = d->m;
	size_t found = 0;
	for (size_t e = 0; e < m->edge_count; e++) {
		enum priority priority;
		if (!m->nodes[m->edges[e].from].is_decision ||
		    compiler_has_word(m->nodes[m->edges[e].from].text, "ack|resolv") ||
		    !find_priority(m->edges[e].label, &priority))
			continue;
		take_priority(d, priority, &m->edges[e]);
		found++;
	}
	if (found == 0)
		compiler_error(d->c, place_of(d, 0),
			       "Draw a decision with the answers Critical, High, Medium, Low.",
			       "the escalation names no priority");
	d->c->promises.v[d->promise].proof = PROOF_DRILL;
	d->c->promises.v[d->promise].proof_valid = (struct dur){30LL * 86400000};
	d->c->promises.v[d->promise].proved_by = "each page, and a drill each month";
}

/* The diagram's promise in one line: its steps in the order they are written. */
static const char *one_line(struct compiler *c, const struct mermaid *m)
{
	struct buf text = {.limit_bytes = 400};
	for (size_t e = 0; e < m->edge_count && !text.overflowed; e++)
		buf_printf(&text, "%s" STR_FMT " -%s" STR_FMT "-> " STR_FMT, e == 0 ? "" : "; ",
			   STR_ARG(m->nodes[m->edges[e].from].text),
			   m->edges[e].label.n > 0 ? " " : "", STR_ARG(m->edges[e].label),
			   STR_ARG(m->nodes[m->edges[e].to].text));
	const char *kept = compiler_text(c, buf_str(&text));
	buf_release(&text);
	return kept;
}

static void take_diagram(struct compiler *c, struct mark *mark, struct mermaid *m)
{
	enum rc rc = mermaid_read(c->cx, mark->literal, m);
	if (rc == RC_UNSUPPORTED)
		return; /* another kind of chart: the catch-all lists it */
	mark->taken = true;
	struct drawing d = {.c = c, .mark = mark, .m = m};
	if (rc != RC_OK) {
		compiler_error(c, place_of(&d, m->wrong_line),
			       "Steps are A[text], decisions B{text}, arrows A -->|answer| B.",
			       "%s", m->wrong == NULL ? c->cx->err.message : m->wrong);
		return;
	}
	if (m->node_count == 0)
		return;
	bool is_escalation = compiler_has_word(m->nodes[root_of(m)].text, "alert|page ");
	d.promise = compiler_promise(c, is_escalation ? PROMISE_ESCALATION : PROMISE_WORKFLOW, mark,
				     mark->line, STR("diagram"), one_line(c, m));
	check_graph(&d);
	if (is_escalation)
		take_escalation(&d);
	else
		take_workflow(&d);
}

void form_diagrams(struct compiler *c)
{
	struct mermaid *m = cx_alloc(c->cx, sizeof(*m));
	for (size_t i = 0; m != NULL && i < c->marks.list.n; i++) {
		struct mark *mark = &c->marks.list.v[i];
		if (mark->kind == MARK_CODE && str_starts(mark->info, STR("mermaid")))
			take_diagram(c, mark, m);
	}
}
