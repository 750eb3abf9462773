/* site.yaml: runbooks, each an address or a Markdown file beside the manual. */
#include "manual/site.h"
#include "sys/file.h"

#define RUNBOOKS_LIMIT 1000
#define RUNBOOK_LIMIT_BYTES (1 << 20)

/* A file below the manual's folder, and Markdown: a name is no way to show any other file. */
static bool is_beside(struct str name)
{
	struct str rest = name, part;
	if (name.n == 0 || name.p[0] == '/' || !str_ends(name, STR(".md")))
		return false;
	while (str_split(&rest, '/', &part))
		if (part.n == 0 || part.p[0] == '.')
			return false;
	return true;
}

static struct str folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash == NULL ? STR(".") : str_make(path, (size_t)(slash - path));
}

static enum rc read_file(struct site_reader *r, const struct conf_entry *entry, struct runbook *out)
{
	struct compiler *c = r->c;
	struct str folder = folder_of(c->input->document_path), text;
	struct str name = entry->value->text;
	const char *path = compiler_format(c, STR_FMT "/" STR_FMT, STR_ARG(folder), STR_ARG(name));
	if (!is_beside(name)) {
		compiler_error(c, site_node_place(entry->value),
			       "Write https://... or a path from the manual's folder on: "
			       "runbooks/api.md.",
			       "the runbook of '%s' is neither an address nor a Markdown file",
			       out->name);
		return RC_OK;
	}
	enum rc rc = file_read_regular(&c->plan_cx, path, RUNBOOK_LIMIT_BYTES, &text);
	if (rc == RC_OK) {
		out->text = compiler_text(c, text);
		/* another text is another plan, though the site file is the same */
		r->report.secrets = r->report.secrets * 31 + str_hash(text);
		return RC_OK;
	}
	if (rc == RC_LIMIT && c->plan_cx.arena->exhausted)
		return cx_fail(c->cx, RC_LIMIT, "the runbooks need too much memory");
	compiler_warn(c, site_node_place(entry->value),
		      "Whoever is paged for it will find no runbook.",
		      "the runbook of '%s' is missing: %s", out->name, c->plan_cx.err.message);
	cx_clear(&c->plan_cx);
	return RC_OK;
}

static enum rc read_runbook(struct site_reader *r, const struct conf_entry *entry)
{
	struct plan *plan = r->c->plan;
	struct runbook *out = &plan->runbooks[plan->runbook_count++];
	struct str slug = str_slug(r->c->plan_cx.arena, entry->key);
	out->name = compiler_text(r->c, entry->key);
	out->slug = compiler_text(r->c, slug);
	if (slug.n == 0 || plan_runbook_slug(plan, slug) != out)
		compiler_error(r->c, site_entry_place(entry), "Name a metric, alert or component.",
			       "the runbook '%s' has no name of its own", out->name);
	if (entry->value == NULL || entry->value->kind != CONF_SCALAR) {
		compiler_error(r->c, site_entry_place(entry), "API Response Time: runbooks/api.md",
			       "the runbook of '%s' is no text", out->name);
		return RC_OK;
	}
	const char *url = compiler_text(r->c, entry->value->text);
	if (site_address_valid(url)) {
		out->url = url;
		return RC_OK;
	}
	return read_file(r, entry, out);
}

enum rc site_read_runbooks(struct site_reader *r, const struct conf_node *node)
{
	struct plan *plan = r->c->plan;
	if (!site_is_map(r, node, "runbooks"))
		return RC_OK;
	if (node->entry_count > RUNBOOKS_LIMIT)
		return cx_fail(r->c->cx, RC_LIMIT, "more than %d runbooks", RUNBOOKS_LIMIT);
	plan->runbooks = cx_array(&r->c->plan_cx, node->entry_count + 1, sizeof(*plan->runbooks));
	if (plan->runbooks == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < node->entry_count; i++)
		TRY(read_runbook(r, &node->entries[i]));
	return RC_OK;
}
