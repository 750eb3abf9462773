/* This host from /proc and /sys, under node_exporter's names and labels. Runs on a worker (statvfs
 * may hang) and writes the text format, which the scrape's parser reads: one path for all samples.
 */
#include "collect/host/host.h"

#include <stdlib.h>

#include "sys/file.h"

#define FILE_LIMIT_BYTES (1 << 20)

static struct str read_below(struct host *h, const char *root, const char *name)
{
	struct str text;
	char *path = name == NULL ? NULL : file_join(h->cx, root, name);
	if (path == NULL || file_read(h->cx, path, FILE_LIMIT_BYTES, &text) != RC_OK)
		return str_make(NULL, 0);
	return text;
}

struct str collect_host_proc(struct host *h, const char *name)
{
	return read_below(h, h->paths->proc, name);
}

struct str collect_host_sys(struct host *h, const char *name)
{
	return read_below(h, h->paths->sys, name);
}

struct str collect_host_field(struct str *rest)
{
	size_t n = 0;
	while (rest->n > 0 && (rest->p[0] == ' ' || rest->p[0] == '\t'))
		*rest = str_skip(*rest, 1);
	while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t' && rest->p[n] != '\n')
		n++;
	struct str field = str_make(rest->p, n);
	*rest = str_skip(*rest, n);
	return field;
}

double collect_host_number(struct str *rest)
{
	double value = 0;
	return str_to_double(collect_host_field(rest), &value) ? value : 0;
}

uint64_t collect_host_hex(struct str digits)
{
	char text[20];
	char *end;
	if (digits.n == 0 || digits.n >= sizeof(text))
		return 0;
	memcpy(text, digits.p, digits.n);
	text[digits.n] = '\0';
	uint64_t value = strtoull(text, &end, 16);
	return *end == '\0' ? value : 0;
}

/* A name that is not UTF-8 (a mount point can be) would cost the whole page. */
static void put_label_value(struct buf *out, struct str s)
{
	bool valid = str_utf8_valid(s);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_putc(out, '\\');
		if (s.p[i] == '\n')
			buf_puts(out, "\\n");
		else
			buf_putc(out, valid || (unsigned char)s.p[i] < 0x80 ? s.p[i] : '?');
	}
}

void collect_host_put(struct host *h, const char *name, const struct label *labels, size_t count,
		      double value)
{
	if (name == NULL)
		return;
	buf_puts(h->out, name);
	for (size_t i = 0; i < count; i++) {
		buf_putc(h->out, i == 0 ? '{' : ',');
		buf_put_str(h->out, labels[i].name);
		buf_puts(h->out, "=\"");
		put_label_value(h->out, labels[i].value);
		buf_putc(h->out, '"');
	}
	buf_puts(h->out, count > 0 ? "} " : " ");
	buf_put_double(h->out, value);
	buf_putc(h->out, '\n');
}

void collect_host_plain(struct host *h, const char *name, double value)
{
	collect_host_put(h, name, NULL, 0, value);
}

void collect_host_device(struct host *h, const char *name, struct str device, double value)
{
	struct label label = {STR("device"), device};
	collect_host_put(h, name, &label, 1, value);
}

void collect_host_file(struct host *h, const char *name, const char *path)
{
	struct str text = collect_host_proc(h, path);
	if (text.n > 0)
		collect_host_plain(h, name, collect_host_number(&text));
}

enum rc collect_host(struct cx *cx, const struct collect_host_paths *paths, struct buf *out)
{
	struct host h = {cx, paths, out};
	collect_host_processors(&h);
	collect_host_memory(&h);
	collect_host_limits(&h);
	collect_host_identity(&h);
	collect_host_storage(&h);
	collect_host_devices(&h);
	collect_host_sockets(&h);
	cx_clear(cx); /* files that were not there */
	if (out->length == 0)
		return cx_fail(cx, RC_IO, "nothing can be read below '%s'", paths->proc);
	return RC_OK;
}
