/* Which machine this is and how well it knows the time. adjtimex(2). */
#include <stdio.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>

#include "collect/host/host.h"

static void put_uname(struct host *h)
{
	struct utsname name;
	if (uname(&name) != 0)
		return;
	struct label labels[] = {{STR("domainname"), str_of(name.domainname)},
				 {STR("machine"), str_of(name.machine)},
				 {STR("nodename"), str_of(name.nodename)},
				 {STR("release"), str_of(name.release)},
				 {STR("sysname"), str_of(name.sysname)},
				 {STR("version"), str_of(name.version)}};
	collect_host_put(h, "node_uname_info", labels, HOST_COUNT(labels), 1);
}

static void put_clock_source(struct host *h, const char *directory, const char *device)
{
	struct str sources =
		collect_host_sys(h, cx_printf(h->cx, "%s/available_clocksource", directory));
	struct str current = str_trim(
		collect_host_sys(h, cx_printf(h->cx, "%s/current_clocksource", directory)));
	struct str source;
	struct label labels[] = {{STR("clocksource"), current}, {STR("device"), str_of(device)}};
	if (current.n > 0)
		collect_host_put(h, "node_time_clocksource_current_info", labels, 2, 1);
	while (source = collect_host_field(&sources), source.n > 0) {
		labels[0].value = source;
		collect_host_put(h, "node_time_clocksource_available_info", labels, 2, 1);
	}
}

static void put_time(struct host *h)
{
	struct wall now = cx_wall(h->cx);
	time_t seconds = (time_t)(now.ms / 1000);
	struct tm local;
	collect_host_plain(h, "node_time_seconds", (double)now.ms / 1000);
	if (localtime_r(&seconds, &local) != NULL) {
		struct label zone = {STR("time_zone"), str_of(local.tm_zone)};
		collect_host_put(h, "node_time_zone_offset_seconds", &zone, 1,
				 (double)local.tm_gmtoff);
	}
	/* Linux has exactly one */
	put_clock_source(h, "devices/system/clocksource/clocksource0", "0");
}

static void put_discipline(struct host *h)
{
	const double micro = 1e6, scaled_ppm = 1e6 * 65536;
	struct timex t = {.modes = 0}; /* only read */
	int state = adjtimex(&t);
	if (state < 0)
		return;
	double unit = (t.status & STA_NANO) != 0 ? 1e9 : 1e6;
	const struct {
		const char *name;
		double value;
	} values[] = {{"node_timex_sync_status", state != TIME_ERROR},
		      {"node_timex_offset_seconds", (double)t.offset / unit},
		      {"node_timex_frequency_adjustment_ratio", 1 + (double)t.freq / scaled_ppm},
		      {"node_timex_maxerror_seconds", (double)t.maxerror / micro},
		      {"node_timex_estimated_error_seconds", (double)t.esterror / micro},
		      {"node_timex_status", t.status},
		      {"node_timex_loop_time_constant", (double)t.constant},
		      {"node_timex_tick_seconds", (double)t.tick / micro},
		      {"node_timex_pps_frequency_hertz", (double)t.ppsfreq / scaled_ppm},
		      {"node_timex_pps_jitter_seconds", (double)t.jitter / unit},
		      {"node_timex_pps_shift_seconds", t.shift},
		      {"node_timex_pps_stability_hertz", (double)t.stabil / scaled_ppm},
		      {"node_timex_pps_jitter_total", (double)t.jitcnt},
		      {"node_timex_pps_calibration_total", (double)t.calcnt},
		      {"node_timex_pps_error_total", (double)t.errcnt},
		      {"node_timex_pps_stability_exceeded_total", (double)t.stbcnt},
		      {"node_timex_tai_offset_seconds", t.tai}};
	for (size_t i = 0; i < HOST_COUNT(values); i++)
		collect_host_plain(h, values[i].name, values[i].value);
}

void collect_host_identity(struct host *h)
{
	put_uname(h);
	put_time(h);
	put_discipline(h);
}
