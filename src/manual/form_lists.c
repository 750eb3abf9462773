/* Severities, channels, roles: forms that are a table or a list of keys. */
#include "manual/compiler.h"

/* ---- severities: `Severity | Impact | Response Time | Communication` ---- */

static int column_named(const struct mark *table, const char *words)
{
	for (size_t i = 0; i < table->column_count; i++)
		if (compiler_has_word(table->rows[0][i], words))
			return (int)i;
	return -1;
}

static struct str cell(const struct mark *table, size_t row, int column)
{
	return column < 0 ? STR("") : table->rows[row][column];
}

static void take_severity(struct compiler *c, const struct mark *table, size_t row, int name_column,
			  int clock_column)
{
	struct str name = cell(table, row, name_column), clock = cell(table, row, clock_column);
	struct severity *severity = vec_add(c->cx, &c->severities);
	if (severity == NULL)
		return;
	ptrdiff_t bracket = str_find(name, STR("("));
	struct str short_name = bracket < 0 ? name : str_trim(str_make(name.p, (size_t)bracket));
	struct str title = bracket < 0 ? name : str_skip(name, (size_t)bracket + 1);
	if (str_ends(title, STR(")")))
		title.n--;
	severity->name = compiler_text(c, short_name);
	severity->title = compiler_text(c, title);
	severity->impact = compiler_text(c, cell(table, row, column_named(table, "impact")));
	severity->communication =
		compiler_text(c, cell(table, row, column_named(table, "communic")));
	if (!form_duration(clock, &severity->response))
		compiler_error(c, (struct place){MANUAL_DOCUMENT, table->row_lines[row], 1},
			       "Write for example '< 15 min' or '4 hours'.",
			       "the response time of '%s' is not a time: '" STR_FMT "'",
			       severity->name, STR_ARG(clock));
	size_t promise = compiler_promise(
		c, PROMISE_SEVERITY, table, table->row_lines[row], short_name,
		compiler_format(c, STR_FMT ": %s; response " STR_FMT "; %s", STR_ARG(name),
				severity->impact, STR_ARG(clock), severity->communication));
	c->promises.v[promise].proof = PROOF_RECORD;
	c->promises.v[promise].proved_by = "the response clock of each incident";
	severity->promise = COMPILER_REFERENCE(promise);
}

void form_severities(struct compiler *c)
{
	for (size_t i = 0; i < c->marks.list.n; i++) {
		struct mark *mark = &c->marks.list.v[i];
		if (mark->kind != MARK_TABLE || mark->taken || mark->row_count == 0)
			continue;
		int name = column_named(mark, "severity|level"),
		    clock = column_named(mark, "response|clock");
		if (name < 0 || clock < 0)
			continue;
		mark->taken = true;
		for (size_t row = 1; row < mark->row_count; row++)
			take_severity(c, mark, row, name, clock);
	}
}

/* ---- channels: `**Critical Alerts**: SMS, Phone call, Slack #critical-alerts` ---- */

static bool priority_of(struct str key, enum priority *out)
{
	static const struct {
		const char *words;
		enum priority priority;
	} names[] = {{"critical|p1", PRIORITY_CRITICAL},
		     {"high|p2", PRIORITY_HIGH},
		     {"medium|p3", PRIORITY_MEDIUM},
		     {"low|p4", PRIORITY_LOW}};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!compiler_has_word(key, names[i].words))
			continue;
		*out = names[i].priority;
		return true;
	}
	return false;
}

static bool channel_of(struct compiler *c, struct str text, struct channel *out)
{
	static const struct {
		const char *words;
		enum channel_kind kind;
	} names[] = {{"slack", CHANNEL_SLACK},
		     {"sms|text message", CHANNEL_SMS},
		     {"phone|call|voice", CHANNEL_CALL},
		     {"mail", CHANNEL_EMAIL},
		     {"telegram", CHANNEL_TELEGRAM},
		     {"webhook", CHANNEL_WEBHOOK},
		     {"log", CHANNEL_LOG}};
	*out = (struct channel){0};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!compiler_has_word(text, names[i].words))
			continue;
		out->kind = names[i].kind;
		ptrdiff_t hash = str_find(text, STR("#"));
		if (hash >= 0)
			out->target = compiler_text(c, str_trim(str_skip(text, (size_t)hash)));
		else if (out->kind == CHANNEL_WEBHOOK && str_find(text, STR(" ")) > 0)
			out->target = compiler_text(
				c, str_trim(str_skip(text, (size_t)str_find(text, STR(" ")))));
		return true;
	}
	return false;
}

static void take_channels(struct compiler *c, struct mark *mark, enum priority priority)
{
	struct priority_channels *list = &c->plan->channels[priority];
	if (list->channel_count > 0) {
		compiler_error(c, compiler_at(mark), "Keep one line for each priority.",
			       "the channels of '%s' stand in line %d already",
			       priority_name(priority), list->place.line);
		return;
	}
	VEC(struct channel) channels = {0};
	size_t promise = compiler_promise(
		c, PROMISE_CHANNEL, mark, mark->line, mark->key,
		compiler_format(c, STR_FMT ": " STR_FMT, STR_ARG(mark->key), STR_ARG(mark->text)));
	c->promises.v[promise].proof = PROOF_DRILL;
	c->promises.v[promise].proof_valid = (struct dur){30LL * 86400000};
	c->promises.v[promise].proved_by = "each of its channels delivered within 30 days";
	struct str rest = mark->text, piece;
	while (str_split(&rest, ',', &piece)) {
		struct channel channel;
		piece = str_trim(piece);
		if (!channel_of(c, piece, &channel)) {
			compiler_error(c, compiler_at(mark),
				       "There are SMS, Phone call, Email, Slack #channel, "
				       "Telegram, Webhook NAME.",
				       "unknown channel '" STR_FMT "'", STR_ARG(piece));
			continue;
		}
		channel.promise = COMPILER_REFERENCE(promise);
		struct channel *kept = vec_add(&c->plan_cx, &channels);
		if (kept != NULL)
			*kept = channel;
	}
	*list = (struct priority_channels){channels.v, channels.n, compiler_at(mark)};
}

void form_channels(struct compiler *c)
{
	for (size_t i = 0; i < c->marks.list.n; i++) {
		struct mark *mark = &c->marks.list.v[i];
		enum priority priority;
		if (mark->kind != MARK_ITEM || mark->key.n == 0 || mark->text.n == 0 ||
		    !compiler_under(mark, "channel|notification") ||
		    !compiler_has_word(mark->key, "alert|priority|page") ||
		    !priority_of(mark->key, &priority))
			continue;
		mark->taken = true;
		take_channels(c, mark, priority);
	}
}

/* ---- roles: a heading with **Primary** and **Secondary** ---- */

static bool same_section(const struct mark *a, const struct mark *b)
{
	if (a->depth != b->depth)
		return false;
	for (size_t i = 0; i < a->depth; i++)
		if (a->path[i] != b->path[i])
			return false;
	return true;
}

static void add_responsibilities(struct compiler *c, const struct mark *primary, struct role *role)
{
	VEC(const char *) list = {0};
	for (size_t i = 0; i < c->marks.list.n; i++) {
		struct mark *mark = &c->marks.list.v[i];
		if (mark->kind != MARK_ITEM || !same_section(mark, primary))
			continue;
		if (str_eq_nocase(mark->key, STR("Secondary"))) {
			role->secondary = compiler_text(c, mark->text);
			continue;
		}
		if (mark->parent < 0 ||
		    !compiler_has_word(c->marks.list.v[mark->parent].key, "responsib"))
			continue;
		const char **text = vec_add(&c->plan_cx, &list);
		if (text != NULL)
			*text = compiler_text(c, mark->text);
	}
	role->responsibilities = list.v;
	role->responsibility_count = list.n;
}

void form_roles(struct compiler *c)
{
	for (size_t i = 0; i < c->marks.list.n; i++) {
		struct mark *mark = &c->marks.list.v[i];
		if (mark->kind != MARK_ITEM || !str_eq_nocase(mark->key, STR("Primary")))
			continue;
		mark->taken = true;
		struct role *role = vec_add(c->cx, &c->roles);
		if (role == NULL)
			return;
		role->name = compiler_heading(mark);
		role->primary = compiler_text(c, mark->text);
		add_responsibilities(c, mark, role);
		size_t promise = compiler_promise(
			c, PROMISE_ROLE, mark, mark->line, STR("primary"),
			compiler_format(c, "%s: primary %s%s%s", role->name, role->primary,
					role->secondary == NULL ? "" : ", secondary ",
					role->secondary == NULL ? "" : role->secondary));
		c->promises.v[promise].proof = PROOF_RECORD;
		c->promises.v[promise].proved_by = "who took the role in each incident";
	}
}
