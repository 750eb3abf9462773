/* What the kernel counts for the whole machine: processors, memory, pressure, limits. proc(5). */
#include <stdio.h>
#include <unistd.h>

#include "collect/host/host.h"

/* ---- processors ---- */

static void put_cpu(struct host *h, struct str cpu, struct str rest)
{
	static const struct {
		const char *name, *mode;
	} fields[] = {
		{"node_cpu_seconds_total", "user"},       {"node_cpu_seconds_total", "nice"},
		{"node_cpu_seconds_total", "system"},     {"node_cpu_seconds_total", "idle"},
		{"node_cpu_seconds_total", "iowait"},     {"node_cpu_seconds_total", "irq"},
		{"node_cpu_seconds_total", "softirq"},    {"node_cpu_seconds_total", "steal"},
		{"node_cpu_guest_seconds_total", "user"}, {"node_cpu_guest_seconds_total", "nice"}};
	double per_second = (double)sysconf(_SC_CLK_TCK);
	for (size_t i = 0; i < HOST_COUNT(fields); i++) {
		struct label labels[] = {{STR("cpu"), cpu}, {STR("mode"), str_of(fields[i].mode)}};
		collect_host_put(h, fields[i].name, labels, 2,
				 collect_host_number(&rest) / per_second);
	}
}

static void put_stat(struct host *h)
{
	static const struct {
		const char *field, *name;
	} plain[] = {
		{"ctxt", "node_context_switches_total"}, {"btime", "node_boot_time_seconds"},
		{"processes", "node_forks_total"},       {"intr", "node_intr_total"},
		{"procs_running", "node_procs_running"}, {"procs_blocked", "node_procs_blocked"}};
	struct str text = collect_host_proc(h, "stat"), line;
	while (str_split(&text, '\n', &line)) {
		struct str field = collect_host_field(&line);
		if (str_starts(field, STR("cpu")) && field.n > 3)
			put_cpu(h, str_skip(field, 3), line);
		for (size_t i = 0; i < HOST_COUNT(plain); i++)
			if (str_eq(field, str_of(plain[i].field)))
				collect_host_plain(h, plain[i].name, collect_host_number(&line));
	}
}

static void put_load(struct host *h)
{
	static const char *const names[] = {"node_load1", "node_load5", "node_load15"};
	struct str text = collect_host_proc(h, "loadavg");
	for (size_t i = 0; text.n > 0 && i < HOST_COUNT(names); i++)
		collect_host_plain(h, names[i], collect_host_number(&text));
}

/* The whole machine cannot be stalled for processors: node_exporter leaves that line out. */
static void put_pressure(struct host *h)
{
	static const struct {
		const char *path, *line, *name;
	} totals[] = {{"pressure/cpu", "some", "node_pressure_cpu_waiting_seconds_total"},
		      {"pressure/io", "some", "node_pressure_io_waiting_seconds_total"},
		      {"pressure/io", "full", "node_pressure_io_stalled_seconds_total"},
		      {"pressure/memory", "some", "node_pressure_memory_waiting_seconds_total"},
		      {"pressure/memory", "full", "node_pressure_memory_stalled_seconds_total"}};
	for (size_t i = 0; i < HOST_COUNT(totals); i++) {
		struct str text = collect_host_proc(h, totals[i].path), line;
		while (str_split(&text, '\n', &line)) {
			ptrdiff_t total = str_find(line, STR("total="));
			if (total < 0 || !str_starts(line, str_of(totals[i].line)))
				continue;
			struct str rest = str_skip(line, (size_t)total + 6);
			collect_host_plain(h, totals[i].name, collect_host_number(&rest) / 1e6);
		}
	}
}

void collect_host_processors(struct host *h)
{
	put_stat(h);
	put_load(h);
	put_pressure(h);
}

/* ---- memory ---- */

/* "Active(anon):   12 kB" is node_memory_Active_anon_bytes. */
static void put_meminfo(struct host *h)
{
	struct str text = collect_host_proc(h, "meminfo"), line;
	while (str_split(&text, '\n', &line)) {
		struct str field = collect_host_field(&line);
		char name[96];
		size_t n = 0;
		for (size_t i = 0; i + 1 < field.n && n + 1 < sizeof(name); i++) /* no colon */
			if (field.p[i] != ')')
				name[n++] = field.p[i] == '(' ? '_' : field.p[i];
		name[n] = '\0';
		if (n == 0)
			continue;
		double value = collect_host_number(&line);
		bool kilobytes = str_is(collect_host_field(&line), "kB");
		collect_host_plain(
			h, cx_printf(h->cx, "node_memory_%s%s", name, kilobytes ? "_bytes" : ""),
			kilobytes ? value * 1024 : value);
	}
}

/* node_exporter's default: ^(oom_kill|pgpg|pswp|pg.*fault).* */
static bool vmstat_wanted(struct str field)
{
	return str_starts(field, STR("oom_kill")) || str_starts(field, STR("pgpg")) ||
	       str_starts(field, STR("pswp")) ||
	       (str_starts(field, STR("pg")) && str_find(field, STR("fault")) >= 2);
}

void collect_host_memory(struct host *h)
{
	put_meminfo(h);
	struct str text = collect_host_proc(h, "vmstat"), line;
	while (str_split(&text, '\n', &line)) {
		struct str field = collect_host_field(&line);
		if (vmstat_wanted(field))
			collect_host_plain(h,
					   cx_printf(h->cx, "node_vmstat_" STR_FMT, STR_ARG(field)),
					   collect_host_number(&line));
	}
}

/* ---- limits ---- */

void collect_host_limits(struct host *h)
{
	struct str text = collect_host_proc(h, "sys/fs/file-nr");
	if (text.n > 0) {
		collect_host_plain(h, "node_filefd_allocated", collect_host_number(&text));
		(void)collect_host_number(&text); /* free ones: 0 since Linux 2.6 */
		collect_host_plain(h, "node_filefd_maximum", collect_host_number(&text));
	}
	collect_host_file(h, "node_entropy_available_bits", "sys/kernel/random/entropy_avail");
	collect_host_file(h, "node_entropy_pool_size_bits", "sys/kernel/random/poolsize");
}
