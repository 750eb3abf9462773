/* This host from /proc and /sys, under node_exporter's names and labels. Runs on a worker (statvfs
 * may hang) and writes the text format, which the scrape's parser reads: one path for all samples.
 */
#include <mntent.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "collect/batch.h"
#include "sys/file.h"

#define FILE_LIMIT_BYTES (1 << 20)

struct host {
	struct cx *cx;
	const struct collect_host_paths *paths;
	struct buf *out;
};

/* A file of /proc that is not there (an old kernel, a container) is no failure: its families are
 * absent. */
static struct str read_proc(struct host *h, const char *name)
{
	struct str text;
	char *path = file_join(h->cx, h->paths->proc, name);
	if (path == NULL || file_read(h->cx, path, FILE_LIMIT_BYTES, &text) != RC_OK)
		return str_make(NULL, 0);
	return text;
}

static struct str cut_field(struct str *rest)
{
	size_t n = 0;
	while (rest->n > 0 && (rest->p[0] == ' ' || rest->p[0] == '\t'))
		*rest = str_skip(*rest, 1);
	while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
		n++;
	struct str field = str_make(rest->p, n);
	*rest = str_skip(*rest, n);
	return field;
}

static double cut_number(struct str *rest)
{
	double value = 0;
	return str_to_double(cut_field(rest), &value) ? value : 0;
}

static void put_label_value(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_putc(out, '\\');
		if (s.p[i] == '\n')
			buf_puts(out, "\\n");
		else
			buf_putc(out, s.p[i]);
	}
}

static void put_value(struct buf *out, double value)
{
	buf_putc(out, ' ');
	buf_put_double(out, value);
	buf_putc(out, '\n');
}

static void put_plain(struct host *h, const char *name, double value)
{
	buf_puts(h->out, name);
	put_value(h->out, value);
}

static void put_labelled(struct host *h, const char *name, const char *label, struct str text,
			 double value)
{
	buf_printf(h->out, "%s{%s=\"", name, label);
	put_label_value(h->out, text);
	buf_puts(h->out, "\"}");
	put_value(h->out, value);
}

/* ---- /proc/stat ---- */

static void put_cpu(struct host *h, struct str cpu, struct str rest)
{
	static const char *const modes[] = {"user",   "nice", "system",  "idle",
					    "iowait", "irq",  "softirq", "steal"};
	double per_second = (double)sysconf(_SC_CLK_TCK), values[10] = {0};
	for (int i = 0; i < 10; i++)
		values[i] = cut_number(&rest) / per_second;
	for (int i = 0; i < 8; i++) {
		buf_printf(h->out, "node_cpu_seconds_total{cpu=\"" STR_FMT "\",mode=\"%s\"}",
			   STR_ARG(cpu), modes[i]);
		put_value(h->out, values[i]);
	}
	for (int i = 8; i < 10; i++) {
		buf_printf(h->out, "node_cpu_guest_seconds_total{cpu=\"" STR_FMT "\",mode=\"%s\"}",
			   STR_ARG(cpu), i == 8 ? "user" : "nice");
		put_value(h->out, values[i]);
	}
}

static void collect_stat(struct host *h)
{
	static const struct {
		const char *field, *name;
	} plain[] = {
		{"ctxt", "node_context_switches_total"}, {"btime", "node_boot_time_seconds"},
		{"processes", "node_forks_total"},       {"intr", "node_intr_total"},
		{"procs_running", "node_procs_running"}, {"procs_blocked", "node_procs_blocked"}};
	struct str text = read_proc(h, "stat"), line;
	while (str_split(&text, '\n', &line)) {
		struct str field = cut_field(&line);
		if (str_starts(field, STR("cpu")) && field.n > 3)
			put_cpu(h, str_skip(field, 3), line);
		for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
			if (str_eq(field, str_of(plain[i].field)))
				put_plain(h, plain[i].name, cut_number(&line));
	}
}

static void collect_memory(struct host *h)
{
	struct str text = read_proc(h, "meminfo"), line;
	while (str_split(&text, '\n', &line)) {
		struct str name = cut_field(&line);
		if (name.n < 2)
			continue;
		name.n--; /* the colon */
		double value = cut_number(&line);
		bool kilobytes = str_is(cut_field(&line), "kB");
		buf_puts(h->out, "node_memory_");
		for (size_t i = 0; i < name.n; i++)
			if (name.p[i] != ')')
				buf_putc(h->out, name.p[i] == '(' ? '_' : name.p[i]);
		buf_puts(h->out, kilobytes ? "_bytes" : "");
		put_value(h->out, kilobytes ? value * 1024 : value);
	}
}

static void collect_load(struct host *h)
{
	struct str text = read_proc(h, "loadavg");
	static const char *const names[] = {"node_load1", "node_load5", "node_load15"};
	for (int i = 0; text.n > 0 && i < 3; i++)
		put_plain(h, names[i], cut_number(&text));
}

/* ---- disks, networks ---- */

/* node_exporter leaves these out: ram, loop, partitions. */
static bool disk_ignored(struct str name)
{
	bool digit = name.n > 0 && name.p[name.n - 1] >= '0' && name.p[name.n - 1] <= '9';
	if (str_starts(name, STR("ram")) || str_starts(name, STR("loop")) ||
	    str_starts(name, STR("fd")))
		return true;
	if (str_starts(name, STR("nvme")))
		return memchr(name.p, 'p', name.n) != NULL;
	return digit && (str_starts(name, STR("sd")) || str_starts(name, STR("vd")) ||
			 str_starts(name, STR("hd")) || str_starts(name, STR("xvd")));
}

static void collect_disks(struct host *h)
{
	static const struct {
		const char *name;
		double factor;
	} fields[] = {{"reads_completed_total", 1},
		      {"reads_merged_total", 1},
		      {"read_bytes_total", 512},
		      {"read_time_seconds_total", 0.001},
		      {"writes_completed_total", 1},
		      {"writes_merged_total", 1},
		      {"written_bytes_total", 512},
		      {"write_time_seconds_total", 0.001},
		      {"io_now", 1},
		      {"io_time_seconds_total", 0.001},
		      {"io_time_weighted_seconds_total", 0.001},
		      {"discards_completed_total", 1},
		      {"discards_merged_total", 1},
		      {"discarded_sectors_total", 1},
		      {"discard_time_seconds_total", 0.001},
		      {"flush_requests_total", 1},
		      {"flush_requests_time_seconds_total", 0.001}};
	struct str text = read_proc(h, "diskstats"), line;
	while (str_split(&text, '\n', &line)) {
		(void)cut_number(&line); /* major, minor */
		(void)cut_number(&line);
		struct str device = cut_field(&line);
		if (device.n == 0 || disk_ignored(device))
			continue;
		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]) && str_trim(line).n > 0;
		     i++) {
			char name[80];
			snprintf(name, sizeof(name), "node_disk_%s", fields[i].name);
			put_labelled(h, name, "device", device,
				     cut_number(&line) * fields[i].factor);
		}
	}
}

static void collect_networks(struct host *h)
{
	static const char *const names[] = {
		"receive_bytes",  "receive_packets",  "receive_errs",       "receive_drop",
		"receive_fifo",   "receive_frame",    "receive_compressed", "receive_multicast",
		"transmit_bytes", "transmit_packets", "transmit_errs",      "transmit_drop",
		"transmit_fifo",  "transmit_colls",   "transmit_carrier",   "transmit_compressed"};
	struct str text = read_proc(h, "net/dev"), line;
	while (str_split(&text, '\n', &line)) {
		ptrdiff_t colon = str_find(line, STR(":"));
		if (colon < 0)
			continue;
		struct str device = str_trim(str_make(line.p, (size_t)colon));
		struct str rest = str_skip(line, (size_t)colon + 1);
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			char name[80];
			snprintf(name, sizeof(name), "node_network_%s_total", names[i]);
			put_labelled(h, name, "device", device, cut_number(&rest));
		}
	}
}

/* ---- pressure, descriptors, time ---- */

static void collect_pressure(struct host *h)
{
	static const char *const resources[] = {"cpu", "io", "memory"};
	for (int i = 0; i < 3; i++) {
		char name[64];
		snprintf(name, sizeof(name), "pressure/%s", resources[i]);
		struct str text = read_proc(h, name), line;
		while (str_split(&text, '\n', &line)) {
			ptrdiff_t total = str_find(line, STR("total="));
			bool some = str_starts(line, STR("some")),
			     full = str_starts(line, STR("full"));
			if (total < 0 || (full && i == 0) || !(some || full))
				continue;
			struct str rest = str_skip(line, (size_t)total + 6);
			const char *kind = some ? "waiting" : "stalled";
			snprintf(name, sizeof(name), "node_pressure_%s_%s_seconds_total",
				 resources[i], kind);
			put_plain(h, name, cut_number(&rest) / 1e6);
		}
	}
}

static void collect_descriptors(struct host *h)
{
	struct str text = read_proc(h, "sys/fs/file-nr");
	if (text.n == 0)
		return;
	put_plain(h, "node_filefd_allocated", cut_number(&text));
	(void)cut_number(&text);
	text = str_trim(text);
	put_plain(h, "node_filefd_maximum", cut_number(&text));
}

static void collect_name(struct host *h)
{
	struct utsname name;
	if (uname(&name) != 0)
		return;
	buf_printf(
		h->out,
		"node_uname_info{domainname=\"%s\",machine=\"%s\",nodename=\"%s\",release=\"%s\","
		"sysname=\"%s\",version=\"%s\"} 1\n",
		name.domainname, name.machine, name.nodename, name.release, name.sysname,
		name.version);
	put_plain(h, "node_time_seconds", (double)cx_wall(h->cx).ms / 1000);
}

/* ---- file systems ---- */

static bool filesystem_ignored(const struct mntent *entry)
{
	static const char *const types[] = {
		"autofs",     "binfmt_misc", "bpf",       "cgroup",   "cgroup2",   "configfs",
		"debugfs",    "devpts",      "devtmpfs",  "fusectl",  "hugetlbfs", "iso9660",
		"mqueue",     "nsfs",        "overlay",   "proc",     "procfs",    "pstore",
		"rpc_pipefs", "securityfs",  "selinuxfs", "squashfs", "sysfs",     "tracefs"};
	static const char *const below[] = {"/dev",
					    "/proc",
					    "/sys",
					    "/run/credentials",
					    "/var/lib/docker",
					    "/var/lib/containers/storage"};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(entry->mnt_type, types[i]) == 0)
			return true;
	for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
		size_t n = strlen(below[i]);
		if (strncmp(entry->mnt_dir, below[i], n) == 0 &&
		    (entry->mnt_dir[n] == '\0' || entry->mnt_dir[n] == '/'))
			return true;
	}
	return false;
}

static void put_filesystem(struct host *h, const struct mntent *entry, const char *what,
			   double value)
{
	buf_printf(h->out, "node_filesystem_%s{device=\"", what);
	put_label_value(h->out, str_of(entry->mnt_fsname));
	buf_puts(h->out, "\",fstype=\"");
	put_label_value(h->out, str_of(entry->mnt_type));
	buf_puts(h->out, "\",mountpoint=\"");
	put_label_value(h->out, str_of(entry->mnt_dir));
	buf_puts(h->out, "\"}");
	put_value(h->out, value);
}

static bool mounted_before(const struct buf *seen, const char *dir)
{
	struct str rest = buf_str(seen), line;
	while (str_split(&rest, '\n', &line))
		if (str_eq(line, str_of(dir)))
			return true;
	return false;
}

static void collect_filesystems(struct host *h)
{
	char *path = file_join(h->cx, h->paths->proc, "1/mounts");
	FILE *mounts = path == NULL ? NULL : setmntent(path, "r");
	struct buf seen = BUF_INIT;
	struct mntent entry;
	char text[8192];
	if (mounts == NULL && (path = file_join(h->cx, h->paths->proc, "self/mounts")) != NULL)
		mounts = setmntent(path, "r");
	while (mounts != NULL && getmntent_r(mounts, &entry, text, sizeof(text)) != NULL) {
		struct statvfs status;
		if (filesystem_ignored(&entry) || mounted_before(&seen, entry.mnt_dir))
			continue;
		buf_printf(&seen, "%s\n", entry.mnt_dir);
		bool failed = statvfs(entry.mnt_dir, &status) != 0;
		put_filesystem(h, &entry, "device_error", failed);
		if (failed)
			continue;
		double block = (double)status.f_frsize;
		put_filesystem(h, &entry, "size_bytes", (double)status.f_blocks * block);
		put_filesystem(h, &entry, "free_bytes", (double)status.f_bfree * block);
		put_filesystem(h, &entry, "avail_bytes", (double)status.f_bavail * block);
		put_filesystem(h, &entry, "files", (double)status.f_files);
		put_filesystem(h, &entry, "files_free", (double)status.f_ffree);
		put_filesystem(h, &entry, "readonly", hasmntopt(&entry, "ro") != NULL);
	}
	if (mounts != NULL)
		endmntent(mounts);
	buf_release(&seen);
}

enum rc collect_host(struct cx *cx, const struct collect_host_paths *paths, struct buf *out)
{
	struct host h = {cx, paths, out};
	collect_stat(&h);
	collect_memory(&h);
	collect_load(&h);
	collect_disks(&h);
	collect_networks(&h);
	collect_pressure(&h);
	collect_descriptors(&h);
	collect_name(&h);
	collect_filesystems(&h);
	cx_clear(cx); /* files that were not there */
	if (out->length == 0)
		return cx_fail(cx, RC_IO, "nothing can be read below '%s'", paths->proc);
	return RC_OK;
}
