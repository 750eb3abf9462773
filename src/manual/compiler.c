/* The parts' common tools, and the order in which the compiler runs them. */
#include "manual/compiler.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

#define PLAN_MAGIC 0x91a40001U
#define PLAN_BUDGET_BYTES (64 << 20)
#define QUOTED_BYTES 160
#define TOLD_LIMIT 1000 /* nobody reads more; each costs a look for its line */

struct counted_plan {
	struct plan plan; /* first: a plan's address is its own */
	struct arena arena;
	int references;
};

const char *compiler_text(struct compiler *c, struct str s)
{
	char *copy = str_dup(c->plan_cx.arena, s);
	return copy == NULL ? "" : copy;
}

const char *compiler_format(struct compiler *c, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = arena_vprintf(c->plan_cx.arena, format, args);
	va_end(args);
	return text == NULL ? "" : text;
}

struct contact *compiler_contact(struct compiler *c, struct str name)
{
	struct plan *plan = c->plan;
	for (size_t i = 0; i < plan->contact_count; i++)
		if (str_eq_nocase(name, str_of(plan->contacts[i].name)))
			return &plan->contacts[i];
	if (plan->contact_count == COMPILER_CONTACTS_LIMIT) {
		compiler_error(c, (struct place){MANUAL_SITE, 1, 1}, "Name fewer.",
			       "there are more than %d contacts", COMPILER_CONTACTS_LIMIT);
		return &plan->contacts[0];
	}
	struct contact *contact = &plan->contacts[plan->contact_count++];
	contact->name = compiler_text(c, name);
	return contact;
}

static struct str line_of(struct str file, int wanted)
{
	struct str line;
	for (int number = 1; str_split(&file, '\n', &line); number++)
		if (number == wanted)
			return line;
	return str_make(NULL, 0);
}

/* The length of a YAML value that ends at a comma, a bracket or the line's end. */
static size_t value_length(const char *p)
{
	char quote = *p == '"' || *p == '\'' ? *p : '\0';
	size_t n = quote != '\0';
	if (quote != '\0')
		return n + strcspn(p + 1, quote == '"' ? "\"" : "'") + (p[1] != '\0');
	n = strcspn(p, ",}\r");
	while (n > 0 && p[n - 1] == ' ')
		n--;
	return n;
}

/* Secrets that were written out are not quoted; their length stays, so that the caret fits. */
static void hide_secrets(char *line)
{
	static const char *const keys[] = {
		"token:", "password:", "secret:", "bearer:", "dsn:", "webhook_url:", "account:"};
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		for (char *at = line; (at = strstr(at, keys[i])) != NULL;) {
			at += strlen(keys[i]);
			at += strspn(at, " \t");
			size_t n = value_length(at);
			bool reference = n > 2 && (strncmp(at, "${", 2) == 0 ||
						   strncmp(at + 1, "${", 2) == 0);
			if (!reference && n > 0 && *at != '{' && *at != '[')
				memset(at, '*', n);
		}
}

/* YAML's columns count characters, Markdown's count bytes. */
static size_t byte_of(struct str line, struct place place)
{
	size_t wanted = place.column < 1 ? 0 : (size_t)place.column - 1, at = 0;
	if (place.file == MANUAL_DOCUMENT)
		return wanted < line.n ? wanted : line.n;
	for (size_t i = 0; i < wanted && at < line.n; i++)
		do
			at++;
		while (at < line.n && (line.p[at] & 0xc0) == 0x80);
	return at;
}

/* A line may be megabytes, or hold what moves a terminal's cursor. */
static void quote(struct compiler *c, struct str line, struct diagnostic *d)
{
	struct buf text = BUF_INIT;
	size_t at = byte_of(line, d->place),
	       from = at > QUOTED_BYTES / 2 ? at - QUOTED_BYTES / 2 : 0;
	while (from > 0 && (line.p[from] & 0xc0) == 0x80)
		from--;
	buf_puts(&text, from > 0 ? "..." : "");
	d->caret = text.length + at - from;
	struct str rest = str_skip(line, from);
	while (rest.n > 0 && text.length < QUOTED_BYTES) {
		size_t length = str_utf8_sequence(rest);
		bool shown = length > 1 || (length == 1 && (rest.p[0] >= ' ' || rest.p[0] == '	'));
		if (shown && rest.p[0] != '')
			buf_put(&text, rest.p, length);
		else
			buf_putc(&text, '?');
		rest = str_skip(rest, length == 0 ? 1 : length);
	}
	buf_puts(&text, rest.n > 0 ? "..." : "");
	d->quoted = str_dup(c->cx->arena, buf_str(&text));
	buf_release(&text);
}

static void diagnose(struct compiler *c, bool is_error, struct place place, const char *hint,
		     const char *format, va_list args) PRINTF_LIKE(5, 0);

static void diagnose(struct compiler *c, bool is_error, struct place place, const char *hint,
		     const char *format, va_list args)
{
	c->diagnostics->errors += is_error;
	if (c->diagnostics->list.n == TOLD_LIMIT)
		return;
	struct diagnostic *d = vec_add(c->cx, &c->diagnostics->list);
	if (d == NULL)
		return; /* the budget's error is the compile's */
	bool in_document = place.file == MANUAL_DOCUMENT;
	struct str line = line_of(in_document ? c->input->document : c->input->site, place.line);
	*d = (struct diagnostic){.is_error = is_error, .place = place};
	/* a failed compile takes the plan's arena with it, diagnostics stay */
	d->hint = hint == NULL ? NULL : str_dup(c->cx->arena, str_of(hint));
	d->path = in_document ? c->input->document_path : c->input->site_path;
	d->message = arena_vprintf(c->cx->arena, format, args);
	char *copy = line.p == NULL || in_document ? NULL : str_dup(c->cx->arena, line);
	if (copy != NULL) {
		hide_secrets(copy);
		line.p = copy;
	}
	if (line.p != NULL)
		quote(c, line, d);
	if (d->path == NULL)
		d->path = "(none)";
	if (d->message == NULL)
		d->message = "out of memory";
}

void compiler_error(struct compiler *c, struct place place, const char *hint, const char *format,
		    ...)
{
	va_list args;
	va_start(args, format);
	diagnose(c, true, place, hint, format, args);
	va_end(args);
}

void compiler_warn(struct compiler *c, struct place place, const char *hint, const char *format,
		   ...)
{
	va_list args;
	va_start(args, format);
	diagnose(c, false, place, hint, format, args);
	va_end(args);
}

struct place compiler_at(const struct mark *mark)
{
	return (struct place){MANUAL_DOCUMENT, mark->line, mark->column};
}

const char *compiler_heading(const struct mark *mark)
{
	return mark->depth == 0 ? "" : mark->path[mark->depth - 1];
}

bool compiler_has_word(struct str text, const char *words)
{
	struct str rest = str_of(words), word;
	while (str_split(&rest, '|', &word))
		if (str_find_nocase(text, word) >= 0)
			return true;
	return false;
}

bool compiler_under(const struct mark *mark, const char *words)
{
	for (size_t i = 0; i < mark->depth; i++)
		if (compiler_has_word(str_of(mark->path[i]), words))
			return true;
	return false;
}

/* Slugs of the heading path, of the list items around, and of the key. */
static const char *promise_id(struct compiler *c, const struct mark *mark, struct str key)
{
	struct buf id = BUF_INIT;
	for (size_t i = 0; i < mark->depth; i++) {
		buf_put_str(&id, str_slug(c->cx->arena, str_of(mark->path[i])));
		buf_putc(&id, '/');
	}
	if (mark->parent >= 0) {
		const struct mark *parent = &c->marks.list.v[mark->parent];
		buf_put_str(&id,
			    str_slug(c->cx->arena, parent->key.n > 0 ? parent->key : parent->text));
		buf_putc(&id, '/');
	}
	buf_put_str(&id, str_slug(c->cx->arena, key));
	const char *made = compiler_text(c, buf_str(&id));
	while (map_get(&c->promise_ids, str_of(made)) != NULL) {
		uintptr_t again = (uintptr_t)map_get(&c->promise_ids, buf_str(&id)) + 1;
		map_put(&c->promise_ids, buf_str(&id), (void *)again);
		made = compiler_format(c, STR_FMT "-%d", STR_ARG(buf_str(&id)), (int)again);
	}
	if (made[0] != '\0') /* the budget is out: the compile fails */
		map_put(&c->promise_ids, str_of(made), (void *)1);
	buf_release(&id);
	return made;
}

size_t compiler_promise(struct compiler *c, enum promise_kind kind, const struct mark *mark,
			int line, struct str key, const char *text)
{
	size_t index = c->promises.n;
	struct promise *promise = vec_add(c->cx, &c->promises);
	if (promise == NULL)
		return index == 0 ? 0 : index - 1; /* told as the compile's error */
	struct buf heading = BUF_INIT;
	for (size_t i = 0; i < mark->depth; i++)
		buf_printf(&heading, "%s%s", i == 0 ? "" : " / ", mark->path[i]);
	*promise = (struct promise){
		.id = "",
		.kind = kind,
		.place = {MANUAL_DOCUMENT, line, mark->column},
		.heading = compiler_text(c, buf_str(&heading)),
		.chapter = mark->depth == 0 ? "" : mark->path[0],
		.text = text,
		.proof = PROOF_NONE,
		.proved_by = "",
		.index = index,
	};
	buf_release(&heading);
	promise->id = promise_id(c, mark, key);
	return index;
}

static void digest_input(const struct manual_input *input, char out[65])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	EVP_MD_CTX *sha = EVP_MD_CTX_new();
	CHECK(sha != NULL && EVP_DigestInit_ex(sha, EVP_sha256(), NULL) == 1);
	EVP_DigestUpdate(sha, input->document.p, input->document.n);
	EVP_DigestUpdate(sha, "\0", 1);
	if (input->site.n > 0)
		EVP_DigestUpdate(sha, input->site.p, input->site.n);
	EVP_DigestFinal_ex(sha, digest, &length);
	EVP_MD_CTX_free(sha);
	for (unsigned i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

/* Vectors grew in the caller's arena: the plan keeps copies of its own. */
static void *keep(struct compiler *c, const void *items, size_t count, size_t item_bytes)
{
	void *copy = cx_array(&c->plan_cx, count, item_bytes);
	if (copy != NULL && count > 0)
		memcpy(copy, items, count * item_bytes);
	return copy;
}

static void keep_lists(struct compiler *c)
{
	struct plan *plan = c->plan;
#define KEEP(field, count, list)                                                                   \
	plan->field = keep(c, c->list.v, c->list.n, sizeof(*c->list.v)), plan->count = c->list.n
	KEEP(severities, severity_count, severities);
	KEEP(roles, role_count, roles);
	KEEP(workflows, workflow_count, workflows);
	KEEP(backups, backup_count, backups);
	KEEP(objectives, objective_count, objectives);
	KEEP(windows, window_count, windows);
	KEEP(duties, duty_count, duties);
	KEEP(checklists, checklist_count, checklists);
	KEEP(changes, change_count, changes);
	KEEP(thresholds, threshold_count, thresholds);
#undef KEEP
}

/* References were kept as (index + 1) while the list still grew; now it is sorted by line, and they
 * become pointers. */
struct resolver {
	const struct promise **by_index;
	size_t count;
};

static int by_place(const void *a, const void *b)
{
	const struct promise *left = a, *right = b;
	if (left->place.line != right->place.line)
		return left->place.line < right->place.line ? -1 : 1;
	return (left->index > right->index) - (left->index < right->index);
}

static void resolve(const struct resolver *resolver, const struct promise **reference)
{
	size_t number = (size_t)(uintptr_t)*reference;
	*reference =
		number == 0 || number > resolver->count ? NULL : resolver->by_index[number - 1];
}

static enum rc sort_promises(struct compiler *c, struct resolver *out)
{
	struct plan *plan = c->plan;
	out->count = plan->promise_count;
	out->by_index = cx_array(c->cx, plan->promise_count + 1, sizeof(*out->by_index));
	if (out->by_index == NULL)
		return RC_LIMIT;
	if (plan->promise_count > 1)
		qsort(plan->promises, plan->promise_count, sizeof(*plan->promises), by_place);
	for (size_t i = 0; i < plan->promise_count; i++) {
		out->by_index[plan->promises[i].index] = &plan->promises[i];
		plan->promises[i].index = i;
	}
	return RC_OK;
}

static void point_to_promises(struct plan *plan, const struct resolver *r)
{
	for (size_t t = 0; t < plan->threshold_count; t++)
		for (size_t l = 0; l < plan->thresholds[t].limit_count; l++)
			resolve(r, &plan->thresholds[t].limits[l].promise);
	for (int p = 0; p < PRIORITIES; p++) {
		for (size_t i = 0; i < plan->channels[p].channel_count; i++)
			resolve(r, &plan->channels[p].channels[i].promise);
		for (size_t i = 0; i < plan->escalations[p].step_count; i++)
			resolve(r, &plan->escalations[p].steps[i].promise);
	}
	for (size_t i = 0; i < plan->severity_count; i++)
		resolve(r, &plan->severities[i].promise);
	for (size_t i = 0; i < plan->duty_count; i++)
		resolve(r, &plan->duties[i].promise);
}

static enum rc does_not_compile(struct compiler *c)
{
	size_t errors = c->diagnostics->errors;
	return cx_fail(c->cx, RC_INVALID, "'%s' does not compile: %zu error%s%s",
		       c->input->document_path, errors, errors == 1 ? "" : "s",
		       c->diagnostics->list.n == TOLD_LIMIT ? ", not all are told" : "");
}

static enum rc compile_parts(struct compiler *c)
{
	struct str document = c->input->document;
	size_t valid = str_utf8_prefix(document);
	if (valid < document.n) {
		struct place place = {.file = MANUAL_DOCUMENT};
		str_place(document, valid, &place.line, &place.column);
		compiler_error(c, place, "Save the file as UTF-8.", "the file is not UTF-8 text");
		return does_not_compile(c);
	}
	TRY(compiler_read_document(c));
	form_thresholds(c);
	form_severities(c);
	form_channels(c);
	form_diagrams(c);
	form_roles(c);
	form_backups(c);
	form_calendar(c);
	form_policy(c);
	form_scripts(c);
	form_items(c);
	TRY(compiler_read_site(c));
	if (c->site_unreadable)
		return does_not_compile(c);
	keep_lists(c);
	c->plan->promises = keep(c, c->promises.v, c->promises.n, sizeof(*c->promises.v));
	c->plan->promise_count = c->promises.n;
	if (c->plan_cx.arena->exhausted || c->plan->promises == NULL)
		return cx_fail(c->cx, RC_LIMIT, "the manual needs more than %d bytes",
			       PLAN_BUDGET_BYTES);
	struct resolver resolver;
	TRY(sort_promises(c, &resolver));
	point_to_promises(c->plan, &resolver);
	compiler_bind(c);
	if (c->plan_cx.arena->exhausted || c->cx->arena->exhausted)
		return cx_fail(c->cx, RC_LIMIT, "the manual needs more than %d bytes",
			       PLAN_BUDGET_BYTES);
	return c->diagnostics->errors > 0 ? does_not_compile(c) : RC_OK;
}

enum rc manual_compile(struct cx *cx, const struct manual_input *input,
		       struct diagnostics *diagnostics, struct plan **out)
{
	static uint64_t generations;
	*out = NULL;
	struct counted_plan *made = heap_alloc(sizeof(*made));
	arena_init(&made->arena, PLAN_BUDGET_BYTES);
	made->references = 1;
	struct compiler c = {.cx = cx,
			     .plan = &made->plan,
			     .input = input,
			     .diagnostics = diagnostics,
			     .scrape_interval = {15000},
			     .evaluate_interval = {15000},
			     .repage_after = {-1},
			     .flap_limit = 5,
			     .flap_quiet = {30 * 60000}};
	cx_init(&c.plan_cx, &made->arena, cx->clock);
	struct plan *plan = c.plan;
	plan->magic = PLAN_MAGIC;
	plan->metrics.sync_every.ms = 1000;
	plan->generation = __atomic_add_fetch(&generations, 1, __ATOMIC_SEQ_CST);
	plan->document_path = compiler_text(&c, str_of(input->document_path));
	plan->site_path =
		input->site_path == NULL ? NULL : compiler_text(&c, str_of(input->site_path));
	plan->document = compiler_text(&c, input->document);
	plan->document_length = input->document.n;
	plan->site_name = "Backline";
	plan->zone = zone_utc();
	digest_input(input, plan->digest);
	/* the arena is fresh: these fit its budget */
	plan->contacts = cx_array(&c.plan_cx, COMPILER_CONTACTS_LIMIT, sizeof(*plan->contacts));
	plan->components =
		cx_array(&c.plan_cx, COMPILER_COMPONENTS_LIMIT, sizeof(*plan->components));
	plan->people = cx_array(&c.plan_cx, COMPILER_PEOPLE_LIMIT, sizeof(*plan->people));
	plan->oncalls = cx_array(&c.plan_cx, COMPILER_ONCALLS_LIMIT, sizeof(*plan->oncalls));
	CHECK(plan->contacts != NULL && plan->components != NULL && plan->people != NULL &&
	      plan->oncalls != NULL);
	enum rc rc = compile_parts(&c);
	map_release(&c.promise_ids);
	if (rc != RC_OK) {
		plan_unref(&plan);
		return rc;
	}
	*out = plan;
	return RC_OK;
}

struct plan *plan_ref(struct plan *plan)
{
	CHECK_MAGIC(plan, PLAN_MAGIC);
	__atomic_add_fetch(&((struct counted_plan *)plan)->references, 1, __ATOMIC_SEQ_CST);
	return plan;
}

void plan_unref(struct plan **handle)
{
	struct plan *plan = *handle;
	CHECK_MAGIC(plan, PLAN_MAGIC);
	*handle = NULL;
	struct counted_plan *counted = (struct counted_plan *)plan;
	if (__atomic_sub_fetch(&counted->references, 1, __ATOMIC_SEQ_CST) > 0)
		return;
	arena_release(&counted->arena);
	plan->magic = 0;
	free(counted);
}
