/* What `check` and `rules print` write. */
#include <stdio.h>

#include "base/json.h"
#include "base/units.h"
#include "manual/manual.h"

static const char *or_empty(bool colour, const char *code)
{
	return colour ? code : "";
}

/* What stands in a file must not steer the terminal. */
static void put_shown(struct buf *out, const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
		buf_putc(out, (unsigned char)*c < ' ' || *c == 0x7f ? ' ' : *c);
}

void manual_print_diagnostic(struct buf *out, const struct diagnostic *d, bool colour)
{
	buf_printf(out, "%s:%d:%d: %s%s:%s ", d->path, d->place.line, d->place.column,
		   or_empty(colour, d->is_error ? "\033[1;31m" : "\033[1;33m"),
		   d->is_error ? "error" : "warning", or_empty(colour, "\033[0m"));
	put_shown(out, d->message);
	buf_putc(out, '\n');
	if (d->quoted != NULL) {
		buf_printf(out, "    %s\n    ", d->quoted);
		/* tabs stay tabs, so that the caret stands below its column */
		for (size_t i = 0; i < d->caret && d->quoted[i] != '\0'; i++)
			if ((d->quoted[i] & 0xc0) != 0x80)
				buf_putc(out, d->quoted[i] == '\t' ? '\t' : ' ');
		buf_printf(out, "%s^%s\n", or_empty(colour, "\033[1;32m"),
			   or_empty(colour, "\033[0m"));
	}
	if (d->hint != NULL)
		buf_printf(out, "    hint: %s\n", d->hint);
}

void manual_diagnostic_json(struct buf *out, const struct diagnostic *d)
{
	struct json json;
	json_init(&json, out);
	json_object(&json);
	json_put_text(&json, "level", d->is_error ? "error" : "warning");
	json_put_text(&json, "file", d->path);
	json_put_int(&json, "line", d->place.line);
	json_put_int(&json, "column", d->place.column);
	json_put_text(&json, "message", d->message);
	json_put_text(&json, "quoted", d->quoted);
	json_put_text(&json, "hint", d->hint);
	json_end_object(&json);
	buf_putc(out, '\n');
}

void manual_promises_json(struct buf *out, const struct plan *plan)
{
	struct json json;
	json_init(&json, out);
	json_array(&json);
	for (size_t i = 0; i < plan->promise_count; i++) {
		const struct promise *p = &plan->promises[i];
		if (i > 0)
			buf_putc(out, '\n');
		json_object(&json);
		json_put_text(&json, "id", p->id);
		json_put_text(&json, "kind", promise_kind_name(p->kind));
		json_put_int(&json, "line", p->place.line);
		json_put_text(&json, "heading", p->heading);
		json_put_text(&json, "text", p->text);
		json_put_text(&json, "proof", promise_proof_name(p->proof));
		json_put_text(&json, "proved_by", p->proved_by);
		json_put_text(&json, "missing", p->missing);
		json_end_object(&json);
	}
	json_end_array(&json);
	buf_putc(out, '\n');
}

static void put_counts(struct buf *out, const struct plan *plan)
{
	size_t counts[PROMISE_KINDS] = {0}, missing = 0;
	for (size_t i = 0; i < plan->promise_count; i++) {
		counts[plan->promises[i].kind]++;
		missing += plan->promises[i].missing != NULL;
	}
	buf_printf(out, "\n%zu promise%s", plan->promise_count,
		   plan->promise_count == 1 ? "" : "s");
	const char *separator = ": ";
	for (int k = 0; k < PROMISE_KINDS; k++) {
		if (counts[k] == 0)
			continue;
		buf_printf(out, "%s%zu %s", separator, counts[k],
			   promise_kind_name((enum promise_kind)k));
		separator = ", ";
	}
	buf_printf(out, "\n%zu of them lack something to be enforced or proved\n", missing);
}

void manual_promises_text(struct buf *out, const struct plan *plan, bool colour, int columns)
{
	const char *heading = "";
	(void)columns;
	for (size_t i = 0; i < plan->promise_count; i++) {
		const struct promise *p = &plan->promises[i];
		if (strcmp(heading, p->heading) != 0) {
			heading = p->heading;
			buf_printf(out, "%s%s", i == 0 ? "" : "\n", or_empty(colour, "\033[1m"));
			put_shown(out, heading);
			buf_printf(out, "%s\n", or_empty(colour, "\033[0m"));
		}
		buf_printf(out, "%6d  %-12s %-8s ", p->place.line, promise_kind_name(p->kind),
			   promise_proof_name(p->proof));
		put_shown(out, p->text);
		buf_putc(out, '\n');
		if (p->missing == NULL)
			continue;
		buf_printf(out, "%*s%smissing: ", 30, "", or_empty(colour, "\033[33m"));
		put_shown(out, p->missing);
		buf_printf(out, "%s\n", or_empty(colour, "\033[0m"));
	}
	put_counts(out, plan);
}

/* A JSON string is a YAML string. */
static void put_yaml(struct buf *out, const char *text)
{
	struct json json;
	json_init(&json, out);
	json_string(&json, str_of(text));
}

static void put_labels(struct buf *out, const char *title, const struct label *labels, size_t count)
{
	if (count == 0)
		return;
	buf_printf(out, "        %s:\n", title);
	for (size_t i = 0; i < count; i++) {
		buf_printf(out, "          " STR_FMT ": ", STR_ARG(labels[i].name));
		struct json json;
		json_init(&json, out);
		json_string(&json, labels[i].value);
		buf_putc(out, '\n');
	}
}

void manual_rules_yaml(struct buf *out, const struct plan *plan)
{
	char text[UNITS_TEXT_BYTES];
	buf_puts(out, "groups:\n");
	for (size_t g = 0; g < plan->rule_group_count; g++) {
		const struct rule_group *group = &plan->rule_groups[g];
		units_format_duration(group->interval, text);
		buf_puts(out, "  - name: ");
		put_yaml(out, group->name);
		buf_printf(out, "\n    interval: %s\n    rules:\n", text);
		for (size_t i = 0; i < group->rule_count; i++) {
			const struct rule *rule = &group->rules[i];
			buf_puts(out, rule->kind == RULE_ALERTING ? "      - alert: "
								  : "      - record: ");
			put_yaml(out, rule->name);
			buf_puts(out, "\n        expr: ");
			put_yaml(out, rule->expr);
			units_format_duration(rule->hold, text);
			buf_putc(out, '\n');
			if (rule->kind == RULE_ALERTING)
				buf_printf(out, "        for: %s\n", text);
			units_format_duration(rule->keep_firing, text);
			if (rule->keep_firing.ms > 0)
				buf_printf(out, "        keep_firing_for: %s\n", text);
			put_labels(out, "labels", rule->labels, rule->label_count);
			put_labels(out, "annotations", rule->annotations, rule->annotation_count);
		}
	}
}
