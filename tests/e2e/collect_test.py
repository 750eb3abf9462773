#!/usr/bin/env python3
"""What Backline collects by itself, beside the programs whose names it uses: Debian's node_exporter and
blackbox_exporter look at the same host and the same servers."""
import os
import re
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
from harness import Backline, Process, free_port, main, request, scratch, wait_until
from servers import program

OURS = {"__name__", "job", "instance", "component", "kind"}  # what every sample of ours carries besides
SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

# Families of node_exporter that Backline does not collect, by expression, each with its reason.
LEFT_OUT = {
    r"(go|process|promhttp)_.*": "the exporter's own process, not the host",
    r"node_exporter_build_info|node_scrape_collector_.*": "the exporter's own workings; ours are backline_* and up",
    r"node_textfile_.*": "files of metrics are the exporter's own interface",
    r"node_os_(info|version)|node_dmi_info|node_selinux_.*": "facts that never change while running; node_uname_info names the host",
    r"node_disk_(info|device_mapper_info|filesystem_info|ata_.*)": "properties from udev's database: facts, not measures",
    r"node_cpu_(frequency|scaling_frequency|core_throttles|package_throttles)_.*|node_schedstat_.*":
        "no measure of a manual asks for it; node_cpu_seconds_total and pressure tell the load",
    r"node_(hwmon|thermal_zone|cooling_device|power_supply|rapl|edac)_.*": "sensors of bare machines: a manual of a web product names none",
    r"node_(md|bcache|btrfs|xfs|zfs|nvme|tape|bonding|infiniband|fibrechannel|ipvs|nfs|nfsd)_.*": "hardware and file systems of a kind: the host's exporter is scraped where one is used",
    r"node_systemd_.*": "needs the message bus; services are probed from outside",
}

# Gauges that stand still between two readings.
STABLE = re.compile("|".join((
    r"node_memory_(MemTotal|SwapTotal|VmallocTotal|Hugepagesize|CommitLimit)_bytes", r"node_memory_HugePages_Total",
    r"node_filesystem_(size_bytes|files|readonly|device_error)", r"node_boot_time_seconds", r"node_uname_info",
    r"node_network_(up|info|carrier|mtu_bytes|speed_bytes|flags|iface_\w+|device_id|dormant|protocol_type|net_dev_group)",
    r"node_network_(address_assign_type|name_assign_type|transmit_queue_length)", r"node_filefd_maximum",
    r"node_entropy_pool_size_bits", r"node_nf_conntrack_entries_limit", r"node_time_(zone_offset_seconds|clocksource_\w+)",
    r"node_timex_(sync_status|status|tick_seconds|tai_offset_seconds|loop_time_constant|frequency_adjustment_ratio)",
    r"node_netstat_Ip_Forwarding")))


class Page:
    """A page in the text format: types by family, values by family and label set. A label without a value
    is no label, as in Prometheus' data model."""

    def __init__(self, text):
        self.types, self.families = {}, {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ", 3)
                self.types[name] = kind
            elif line and not line.startswith("#"):
                name, labels, value = SAMPLE.match(line).groups()
                pairs = frozenset((k, v) for k, v in LABEL.findall(labels or "") if v)
                self.families.setdefault(name, {})[pairs] = float(value)


def exporter(command, port, where):
    process = Process(command, log=str(where / (os.path.basename(command[0]) + ".log")))
    def answers():
        assert process.alive(), process.output()
        return request("http://127.0.0.1:%d/" % port)[0] == 200
    wait_until(answers, command[0] + " answers")
    return process


def stored(b, selector):
    """What Backline stores, like Page.families."""
    families = {}
    for series in b.query(selector):
        labels = series["metric"]
        pairs = frozenset((k, v) for k, v in labels.items() if k not in OURS)
        families.setdefault(labels["__name__"], {})[pairs] = float(series["value"][1])
    return families


def label_names(series):
    return {frozenset(name for name, _ in pairs) for pairs in series}


# ---- this host ----

HOST_SITE = """intervals: { scrape: 200ms }
components:
  server: { kind: host, agent: local }
"""


class Readings:
    """A collection of ours that began after `before` and ended before `after` was read."""

    def __init__(self, b, base):
        def clock():
            return float(b.query("node_time_seconds")[0]["value"][1])
        self.before = Page(request(base + "/metrics")[1])
        begun = time.time()
        # the second collection that is later than `begun` began later, whole
        first = wait_until(lambda: clock() if clock() > begun else None, "a collection later than the exporter's")
        wait_until(lambda: clock() > first, "one more")
        self.ours = stored(b, '{__name__=~"node_.*"}')
        self.after = Page(request(base + "/metrics")[1])


def host_readings(check):
    with scratch() as where:
        port = free_port()
        (where / "site.yaml").write_text(HOST_SITE)
        command = [program("prometheus-node-exporter"), "--web.listen-address=127.0.0.1:%d" % port,
                   "--collector.textfile.directory=" + str(where)]
        with exporter(command, port, where), Backline(where, site=where / "site.yaml") as b:
            wait_until(lambda: b.query("node_time_seconds"), "the host is collected")
            check(Readings(b, "http://127.0.0.1:%d" % port))


def extra_by_policy(name, pairs):
    """Series that upstream's node_exporter has by default and Debian's has not: its package hides the loopback
    device's traffic and what is mounted below /run, /mnt and /media."""
    labels = dict(pairs)
    if re.fullmatch(r"node_network_(receive|transmit)_\w+_total", name):
        return labels.get("device") == "lo"
    return name.startswith("node_filesystem_") and re.match(r"/(run|mnt|media)(/|$)", labels.get("mountpoint", "")) is not None


def test_host_families_are_those_of_node_exporter():
    def check(readings):
        theirs, ours = readings.after, readings.ours
        unknown = sorted(set(ours) - set(theirs.families))
        assert not unknown, "families that node_exporter has not: %s" % unknown
        missing = sorted(name for name in set(theirs.families) - set(ours)
                         if not any(re.fullmatch(expression, name) for expression in LEFT_OUT))
        assert not missing, "families neither collected nor left out with a reason: %s" % missing
        needless = sorted(name for name in ours if any(re.fullmatch(expression, name) for expression in LEFT_OUT))
        assert not needless, "left out, but collected: %s" % needless
        for name, series in ours.items():
            series = [pairs for pairs in series if not extra_by_policy(name, pairs)]
            assert label_names(series) <= label_names(theirs.families[name]), \
                (name, label_names(series), label_names(theirs.families[name]))
            # Backline keeps no types: PromQL and people take them from the name, so the name must tell the truth
            assert (theirs.types[name] == "counter") == name.endswith("_total"), (name, theirs.types[name])
    host_readings(check)


def test_host_values_are_those_of_node_exporter():
    def check(readings):
        stable = counted = 0
        before, after = readings.before.families, readings.after.families
        for name, series in readings.ours.items():
            series = {pairs: value for pairs, value in series.items() if not extra_by_policy(name, pairs)}
            kind = readings.after.types[name]
            if STABLE.fullmatch(name):
                assert set(series) == set(after[name]), (name, set(series) ^ set(after[name]))
                for pairs, value in series.items():
                    assert value in (before[name].get(pairs), after[name][pairs]), (name, pairs, value, after[name][pairs])
                    stable += 1
            elif kind == "counter" or (kind == "untyped" and name != "node_netstat_Tcp_CurrEstab"):
                for pairs, value in series.items():
                    # the kernel lets a CPU's idle and waiting time step back by a tick
                    slack = 0.05 if name == "node_cpu_seconds_total" else 1e-9
                    low, high = before[name][pairs], after[name][pairs]
                    assert low - slack <= value <= high + slack, (name, pairs, low, value, high)
                    counted += 1
            elif name.startswith("node_memory_"):
                total = after["node_memory_MemTotal_bytes"][frozenset()]
                assert abs(series[frozenset()] - after[name][frozenset()]) < total / 10, (name, series, after[name])
        assert stable > 20 and counted > 60, (stable, counted)
        modes = after["node_cpu_seconds_total"]
        assert set(readings.ours["node_cpu_seconds_total"]) == set(modes), "every CPU in every mode"
        clocks = [page["node_time_seconds"][frozenset()] for page in (before, readings.ours, after)]
        assert clocks == sorted(clocks), clocks
    host_readings(check)


if __name__ == "__main__":
    main(globals())
