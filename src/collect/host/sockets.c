/* The network stack: sockets, protocols' counters, packet queues, tracked connections. proc(5), and
 * the kernel's networking/proc_net_tcp and snmp_counter documents. */
#include <stdio.h>
#include <unistd.h>

#include "collect/host/host.h"

#define CPUS_LIMIT 4096 /* rows of a table by CPU; above the kernel's own limit on our machines */

/* "TCP: inuse 13 mem 69" is node_sockstat_TCP_inuse and so on; memory is counted in pages. */
static void put_sockstat(struct host *h, const char *path)
{
	struct str text = collect_host_proc(h, path), line, name;
	while (str_split(&text, '\n', &line)) {
		struct str protocol = collect_host_field(&line);
		if (protocol.n < 2)
			continue;
		protocol.n--; /* the colon */
		while (name = collect_host_field(&line), name.n > 0) {
			char *metric = cx_printf(h->cx, "node_sockstat_" STR_FMT "_" STR_FMT,
						 STR_ARG(protocol), STR_ARG(name));
			double value = collect_host_number(&line);
			collect_host_plain(h, metric, value);
			if (str_is(name, "mem") && metric != NULL)
				collect_host_plain(h, cx_printf(h->cx, "%s_bytes", metric),
						   value * (double)sysconf(_SC_PAGESIZE));
		}
	}
}

/* ---- protocols ---- */

/* node_exporter 1.5's default fields; "*" stands for any text at the end it is on. */
static bool netstat_wanted(struct str name)
{
	static const char *const wanted[] = {
		"*_InErrors",         "*_InErrs",           "Ip_Forwarding",
		"Ip6_InOctets",       "Ip6_OutOctets",      "IpExt_InOctets",
		"IpExt_OutOctets",    "Icmp_InMsgs",        "Icmp_OutMsgs",
		"Icmp6_InMsgs",       "Icmp6_OutMsgs",      "TcpExt_Listen*",
		"TcpExt_Syncookies*", "TcpExt_TCPTimeouts", "TcpExt_TCPSynRetrans",
		"Tcp_ActiveOpens",    "Tcp_PassiveOpens",   "Tcp_CurrEstab",
		"Tcp_InSegs",         "Tcp_OutSegs",        "Tcp_OutRsts",
		"Tcp_RetransSegs",    "Udp_InDatagrams",    "Udp_OutDatagrams",
		"Udp_NoPorts",        "Udp_RcvbufErrors",   "Udp_SndbufErrors",
		"Udp6_InDatagrams",   "Udp6_OutDatagrams",  "Udp6_NoPorts",
		"Udp6_RcvbufErrors",  "Udp6_SndbufErrors"};
	for (size_t i = 0; i < HOST_COUNT(wanted); i++) {
		struct str pattern = str_of(wanted[i]);
		if (pattern.p[0] == '*' ? str_ends(name, str_skip(pattern, 1))
		    : pattern.p[pattern.n - 1] == '*'
			    ? str_starts(name, str_make(pattern.p, pattern.n - 1))
			    : str_eq(name, pattern))
			return true;
	}
	return false;
}

static void put_counter(struct host *h, struct str protocol, struct str name, double value)
{
	char *whole = cx_printf(h->cx, STR_FMT "_" STR_FMT, STR_ARG(protocol), STR_ARG(name));
	if (whole != NULL && netstat_wanted(str_of(whole)))
		collect_host_plain(h, cx_printf(h->cx, "node_netstat_%s", whole), value);
}

/* Pairs of lines, "Tcp: NAME ..." and "Tcp: VALUE ...". */
static void put_pairs(struct host *h, const char *path)
{
	struct str text = collect_host_proc(h, path), names, values, name;
	while (str_split(&text, '\n', &names) && str_split(&text, '\n', &values)) {
		struct str protocol = collect_host_field(&names);
		if (protocol.n < 2 || !str_eq(protocol, collect_host_field(&values)))
			return;
		protocol.n--; /* the colon */
		while (name = collect_host_field(&names), name.n > 0)
			put_counter(h, protocol, name, collect_host_number(&values));
	}
}

/* "Ip6InOctets 536": the protocol ends with its 6. */
static void put_version_6(struct host *h)
{
	struct str text = collect_host_proc(h, "net/snmp6"), line;
	while (str_split(&text, '\n', &line)) {
		struct str field = collect_host_field(&line);
		ptrdiff_t six = str_find(field, STR("6"));
		if (six > 0)
			put_counter(h, str_make(field.p, (size_t)six + 1),
				    str_skip(field, (size_t)six + 1), collect_host_number(&line));
	}
}

/* ---- queues ---- */

static void put_packets(struct host *h)
{
	static const char *const names[] = {"node_softnet_processed_total",
					    "node_softnet_dropped_total",
					    "node_softnet_times_squeezed_total"};
	struct str text = collect_host_proc(h, "net/softnet_stat"), line;
	for (int row = 0; row < CPUS_LIMIT && str_split(&text, '\n', &line); row++) {
		struct str fields[13] = {{0}};
		for (size_t i = 0; i < HOST_COUNT(fields); i++)
			fields[i] = collect_host_field(&line);
		/* kernels before 5.10 do not tell the CPU: rows are in order, then */
		int cpu = fields[12].n > 0 ? (int)collect_host_hex(fields[12]) : row;
		char number[16];
		snprintf(number, sizeof(number), "%d", cpu);
		struct label label = {STR("cpu"), str_of(number)};
		for (size_t i = 0; i < HOST_COUNT(names) && fields[0].n > 0; i++)
			collect_host_put(h, names[i], &label, 1,
					 (double)collect_host_hex(fields[i]));
	}
}

/* Bytes waiting in all UDP sockets; column 5 is TX:RX. */
static void put_datagrams(struct host *h, const char *path, const char *version)
{
	struct str text = collect_host_proc(h, path), line, sent;
	double waiting[2] = {0};
	if (!str_split(&text, '\n', &line)) /* the head */
		return;
	while (str_split(&text, '\n', &line)) {
		for (int i = 0; i < 4; i++)
			(void)collect_host_field(&line);
		struct str queues = collect_host_field(&line);
		if (str_split(&queues, ':', &sent)) {
			waiting[0] += (double)collect_host_hex(sent);
			waiting[1] += (double)collect_host_hex(queues);
		}
	}
	for (int i = 0; i < 2; i++) {
		struct label labels[] = {{STR("ip"), str_of(version)},
					 {STR("queue"), i == 0 ? STR("tx") : STR("rx")}};
		collect_host_put(h, "node_udp_queues", labels, 2, waiting[i]);
	}
}

/* ---- tracked connections ---- */

/* A table by CPU in hexadecimal, its head naming the columns; told as sums. */
static void put_tracking(struct host *h)
{
	static const char *const columns[] = {"found",      "invalid",       "ignore",
					      "insert",     "insert_failed", "drop",
					      "early_drop", "search_restart"};
	double sums[HOST_COUNT(columns)] = {0};
	struct str text = collect_host_proc(h, "net/stat/nf_conntrack"), head, line, name;
	collect_host_file(h, "node_nf_conntrack_entries", "sys/net/netfilter/nf_conntrack_count");
	collect_host_file(h, "node_nf_conntrack_entries_limit",
			  "sys/net/netfilter/nf_conntrack_max");
	if (!str_split(&text, '\n', &head))
		return;
	while (str_split(&text, '\n', &line)) {
		struct str names = head;
		while (name = collect_host_field(&names), name.n > 0) {
			struct str value = collect_host_field(&line);
			for (size_t i = 0; i < HOST_COUNT(columns); i++)
				if (str_eq(name, str_of(columns[i])))
					sums[i] += (double)collect_host_hex(value);
		}
	}
	for (size_t i = 0; i < HOST_COUNT(columns); i++)
		collect_host_plain(h, cx_printf(h->cx, "node_nf_conntrack_stat_%s", columns[i]),
				   sums[i]);
}

void collect_host_sockets(struct host *h)
{
	put_sockstat(h, "net/sockstat");
	put_sockstat(h, "net/sockstat6");
	put_pairs(h, "net/netstat");
	put_pairs(h, "net/snmp");
	put_version_6(h);
	put_packets(h);
	put_datagrams(h, "net/udp", "v4");
	put_datagrams(h, "net/udp6", "v6");
	put_tracking(h);
}
