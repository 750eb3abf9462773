/* Fenced `bash` blocks: shown, never run. Their assignments, addresses, paths and units are numbers
 * and places that somebody promised; each is listed. Fenced `markdown` under a template: the
 * report. */
#include "manual/compiler.h"

static bool name_byte(char ch)
{
	return (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '_';
}

/* NAME=value with a literal value; $1 and $(...) promise nothing. */
static bool is_assignment(struct str line, struct str *name)
{
	size_t n = 0;
	while (n < line.n && name_byte(line.p[n]))
		n++;
	if (n == 0 || n >= line.n || line.p[n] != '=')
		return false;
	*name = str_make(line.p, n);
	struct str value = str_skip(line, n + 1);
	return value.n > 0 && !str_starts(value, STR("$"));
}

/* What of a line somebody relies on; "" when nothing. */
static struct str promised_part(struct str line)
{
	struct str name;
	static const char *const words[] = {"aws s3 cp ", "systemctl ", "curl ",    "tar ",
					    "find ",      "gpg ",       "pg_dump ", "psql "};
	if (is_assignment(line, &name))
		return name;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_starts(line, str_of(words[i])))
			return line;
	return STR("");
}

static void take_script(struct compiler *c, struct mark *mark)
{
	struct str rest = mark->literal, line;
	mark->taken = true;
	for (int number = 1; str_split(&rest, '\n', &line); number++) {
		line = str_trim(line);
		struct str part = promised_part(line);
		if (part.n == 0 || str_starts(line, STR("#")))
			continue;
		size_t promise = compiler_promise(c, PROMISE_SCRIPT, mark, mark->line + number,
						  part, compiler_text(c, line));
		c->promises.v[promise].proved_by = "shown as reference, never run";
		c->promises.v[promise].missing =
			"bind it to a duty or say that it is not a promise";
	}
}

static void take_template(struct compiler *c, struct mark *mark)
{
	mark->taken = true;
	if (c->plan->report_template != NULL) {
		compiler_warn(c, compiler_at(mark), "Keep one.",
			      "a second report template is not used");
		return;
	}
	c->plan->report_template = compiler_text(c, mark->literal);
	size_t promise = compiler_promise(c, PROMISE_TEMPLATE, mark, mark->line, STR("template"),
					  compiler_heading(mark));
	c->promises.v[promise].proof = PROOF_RECORD;
	c->promises.v[promise].proved_by = "the report of each incident";
	c->promises.v[promise].missing = "incidents are not built yet";
}

void form_scripts(struct compiler *c)
{
	for (size_t i = 0; i < c->marks.list.n; i++) {
		struct mark *mark = &c->marks.list.v[i];
		if (mark->kind != MARK_CODE || mark->taken)
			continue;
		if (str_is(mark->info, "bash") || str_is(mark->info, "sh") ||
		    str_is(mark->info, "shell"))
			take_script(c, mark);
		else if (str_is(mark->info, "markdown") && compiler_under(mark, "template"))
			take_template(c, mark);
	}
}
