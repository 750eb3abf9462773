/* Relabelling: a small set of labels, changed in place by one rule after the other. */
#include <locale.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>
#include <wctype.h>

#include "prometheus/prometheus.h"

/* More labels than a series may have: rules add some that later ones take away. */
#define WORKING_LIMIT 512

struct working {
	struct cx *cx;
	struct label labels[WORKING_LIMIT]; /* an empty value: taken away */
	size_t n;
};

static struct str get(const struct working *w, struct str name)
{
	for (size_t i = 0; i < w->n; i++)
		if (str_eq(w->labels[i].name, name))
			return w->labels[i].value;
	return STR("");
}

static enum rc set(struct working *w, struct str name, struct str value)
{
	for (size_t i = 0; i < w->n; i++) {
		if (!str_eq(w->labels[i].name, name))
			continue;
		w->labels[i].value = value;
		return RC_OK;
	}
	if (value.n == 0)
		return RC_OK;
	if (w->n == WORKING_LIMIT)
		return cx_fail(w->cx, RC_LIMIT, "relabelling made more than %d labels",
			       WORKING_LIMIT);
	w->labels[w->n++] = (struct label){name, value};
	return RC_OK;
}

static enum rc joined(struct working *w, const struct prometheus_relabel *rule, struct str *out)
{
	if (rule->source_count == 1) {
		*out = get(w, rule->source_labels[0]);
		return RC_OK;
	}
	struct buf text = BUF_INIT;
	for (size_t i = 0; i < rule->source_count; i++) {
		if (i > 0)
			buf_put_str(&text, rule->separator);
		buf_put_str(&text, get(w, rule->source_labels[i]));
	}
	*out = cx_str(w->cx, buf_str(&text));
	buf_release(&text);
	return out->p == NULL ? RC_LIMIT : RC_OK;
}

/* false: no match. */
static bool expand(struct working *w, const struct prometheus_relabel *rule, struct str text,
		   struct str template, struct str *out)
{
	struct buf made = BUF_INIT;
	bool matches = regex_expand(rule->regex, text, template, &made);
	*out = matches ? cx_str(w->cx, buf_str(&made)) : STR("");
	buf_release(&made);
	return matches && out->p != NULL;
}

static enum rc replace(struct working *w, const struct prometheus_relabel *rule, struct str value)
{
	struct str target, made;
	if (!expand(w, rule, value, rule->target_label, &target))
		return RC_OK;
	if (!labels_name_valid(target) || !expand(w, rule, value, rule->replacement, &made) ||
	    made.n == 0)
		return set(w, rule->target_label, STR(""));
	return set(w, target, made);
}

static enum rc hashmod(struct working *w, const struct prometheus_relabel *rule, struct str value)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	uint64_t sum = 0;
	if (EVP_Digest(value.p, value.n, digest, NULL, EVP_md5(), NULL) != 1)
		return cx_fail(w->cx, RC_INTERNAL, "could not hash a label");
	for (int i = 8; i < 16; i++)
		sum = sum << 8 | digest[i];
	char *text = cx_printf(w->cx, "%llu", (unsigned long long)(sum % rule->modulus));
	return text == NULL ? RC_LIMIT : set(w, rule->target_label, str_of(text));
}

static enum rc labelmap(struct working *w, const struct prometheus_relabel *rule)
{
	size_t n = w->n;
	struct label *before = cx_array(w->cx, n, sizeof(*before));
	if (before == NULL)
		return RC_LIMIT;
	memcpy(before, w->labels, n * sizeof(*before));
	for (size_t i = 0; i < n; i++) {
		struct str name;
		if (before[i].value.n > 0 &&
		    expand(w, rule, before[i].name, rule->replacement, &name))
			TRY(set(w, name, before[i].value));
	}
	return RC_OK;
}

static void choose_names(struct working *w, const struct prometheus_relabel *rule, bool keep)
{
	for (size_t i = 0; i < w->n; i++)
		if (regex_match(rule->regex, w->labels[i].name) != keep)
			w->labels[i].value = STR("");
}

static pthread_once_t unicode_once = PTHREAD_ONCE_INIT;
static locale_t unicode;

static void make_unicode(void)
{
	unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static enum rc change_case(struct working *w, const struct prometheus_relabel *rule,
			   struct str value)
{
	(void)pthread_once(&unicode_once, make_unicode);
	if (unicode == (locale_t)0)
		return cx_fail(w->cx, RC_INTERNAL, "the locale C.UTF-8 is not there");
	struct buf out = BUF_INIT;
	locale_t former = uselocale(unicode);
	for (struct str rest = value; rest.n > 0;) {
		mbstate_t state = {0};
		wchar_t c;
		char bytes[16];
		size_t length = mbrtowc(&c, rest.p, rest.n, &state);
		if (length == 0 || length > rest.n) {
			buf_putc(&out, rest.p[0]);
			rest = str_skip(rest, 1);
			continue;
		}
		wint_t changed = rule->action == RELABEL_LOWERCASE ? towlower((wint_t)c)
								   : towupper((wint_t)c);
		mbstate_t fresh = {0};
		size_t made = wcrtomb(bytes, (wchar_t)changed, &fresh);
		buf_put(&out, made == (size_t)-1 ? rest.p : bytes,
			made == (size_t)-1 ? length : made);
		rest = str_skip(rest, length);
	}
	uselocale(former);
	struct str made = cx_str(w->cx, buf_str(&out));
	buf_release(&out);
	return made.p == NULL ? RC_LIMIT : set(w, rule->target_label, made);
}

static enum rc apply(struct working *w, const struct prometheus_relabel *rule, bool *keep)
{
	struct str value;
	TRY(joined(w, rule, &value));
	switch (rule->action) {
	case RELABEL_DROP:
		*keep = !regex_match(rule->regex, value);
		return RC_OK;
	case RELABEL_KEEP:
		*keep = regex_match(rule->regex, value);
		return RC_OK;
	case RELABEL_DROP_EQUAL:
		*keep = !str_eq(get(w, rule->target_label), value);
		return RC_OK;
	case RELABEL_KEEP_EQUAL:
		*keep = str_eq(get(w, rule->target_label), value);
		return RC_OK;
	case RELABEL_REPLACE:
		return replace(w, rule, value);
	case RELABEL_HASHMOD:
		return hashmod(w, rule, value);
	case RELABEL_LABELMAP:
		return labelmap(w, rule);
	case RELABEL_LABELDROP:
	case RELABEL_LABELKEEP:
		choose_names(w, rule, rule->action == RELABEL_LABELKEEP);
		return RC_OK;
	case RELABEL_LOWERCASE:
	case RELABEL_UPPERCASE:
		return change_case(w, rule, value);
	}
	return RC_OK;
}

static int by_name(const void *a, const void *b)
{
	const struct label *left = a, *right = b;
	return str_compare(left->name, right->name);
}

enum rc prometheus_relabel(struct cx *cx, const struct prometheus_relabels *relabels,
			   const struct labels *labels, struct labels *out, bool *keep)
{
	struct working w;
	w.cx = cx; /* the labels are set as they are needed */
	w.n = 0;
	*keep = true;
	for (size_t i = 0; i < labels->n; i++)
		TRY(set(&w, labels->v[i].name, labels->v[i].value));
	for (size_t i = 0; i < relabels->n; i++) {
		TRY(apply(&w, &relabels->v[i], keep));
		if (!*keep)
			return RC_OK;
	}
	struct label *sorted = cx_array(cx, w.n, sizeof(*sorted));
	size_t n = 0;
	if (sorted == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < w.n; i++)
		if (w.labels[i].value.n > 0)
			sorted[n++] = w.labels[i];
	if (n > 1)
		qsort(sorted, n, sizeof(*sorted), by_name);
	*out = (struct labels){sorted, n};
	return RC_OK;
}
