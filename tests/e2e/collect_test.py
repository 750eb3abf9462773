#!/usr/bin/env python3
"""What Backline collects by itself, beside the programs whose names it uses: Debian's node_exporter and
blackbox_exporter look at the same host and the same servers."""
import contextlib
import os
import re
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(__file__))
from harness import Backline, Process, Skip, free_port, main, request, scratch, wait_until
from servers import program
from standins.targets import Targets

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


# ---- probes ----

BLACKBOX = """modules:
  http_2xx:
    prober: http
    http: { preferred_ip_protocol: ip4 }
  http_insecure:
    prober: http
    http: { preferred_ip_protocol: ip4, tls_config: { insecure_skip_verify: true } }
  http_still:
    prober: http
    http: { preferred_ip_protocol: ip4, follow_redirects: false }
  http_nonsense:
    prober: http
    http: { preferred_ip_protocol: ip4, fail_if_body_not_matches_regexp: [ nonsense ] }
"""

# Families of blackbox_exporter's HTTP probes that Backline does not tell, each with its reason.
PROBE_LEFT_OUT = {
    "probe_http_last_modified_timestamp_seconds": "about the document, not whether it is served",
    "probe_ssl_last_chain_expiry_timestamp_seconds": "the earliest expiry of what the server sends is reached first",
    "probe_ssl_last_chain_info": "a new series with every certificate; its expiry is what a manual limits",
}

# Durations differ from probe to probe; all else must be equal.
MEASURED = re.compile(r"probe_(duration_seconds|http_duration_seconds|dns_lookup_time_seconds)")


def certificate(where):
    files = where / "certificate.pem", where / "key.pem"
    subprocess.run([program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(files[1]), "-out", str(files[0]),
                    "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return files


def probing(where, components):
    """Backline probing {name: keys of the site's component}."""
    lines = ["intervals: { scrape: 200ms }", "components:"]
    lines += ["  %s: { kind: web, timeout: 5s, %s }" % (name, keys) for name, keys in components.items()]
    (where / "site.yaml").write_text("\n".join(lines) + "\n")
    (where / "manual.md").write_text("# Shop\n\n## Alert channels\n\n- **Critical alerts**: Log\n")
    return Backline(where, manual=where / "manual.md", site=where / "site.yaml")


def probed(b, component):
    return wait_until(lambda: stored(b, '{__name__=~"probe_.*",component="%s"}' % component), component + " is probed")


def value(families, name):
    return families[name][frozenset()]


def error(b, component):
    return [t["lastError"] for t in b.get("/api/v1/targets")["data"]["activeTargets"] if t["labels"]["component"] == component][0]


def compare_probes(ours, theirs, name):
    left_out = set(theirs.families) - set(ours)
    assert left_out <= set(PROBE_LEFT_OUT), (name, "neither told nor left out with a reason", left_out - set(PROBE_LEFT_OUT))
    assert set(ours) <= set(theirs.families), (name, "blackbox_exporter has not", set(ours) - set(theirs.families))
    for family, series in ours.items():
        assert set(series) == set(theirs.families[family]), (name, family, set(series), set(theirs.families[family]))
        assert theirs.types[family] == "gauge" and not family.endswith("_total"), (name, family)
        for pairs, number in series.items():
            if MEASURED.fullmatch(family):
                assert 0 <= number < 5, (name, family, pairs, number)
            else:
                assert number == theirs.families[family][pairs], (name, family, pairs, number, theirs.families[family][pairs])


def test_probes_tell_what_blackbox_exporter_tells():
    with scratch() as where, Targets() as plain, Targets(certificate(where)) as secure:
        port, dead = free_port(), "http://127.0.0.1:%d/" % free_port()
        (where / "blackbox.yml").write_text(BLACKBOX)
        cases = {  # address, the site's keys besides, blackbox_exporter's module, success
            "plain": (plain.base + "/", "", "http_2xx", 1),
            "stream": (plain.base + "/stream", "", "http_2xx", 1),
            "secure": (secure.base + "/", "insecure_tls: true", "http_insecure", 1),
            "stranger": (secure.base + "/", "", "http_2xx", 0),
            "hops": (plain.base + "/hop/2", "redirects: 10", "http_2xx", 1),
            "still": (plain.base + "/hop/2", "", "http_still", 0),
            "nonsense": (plain.base + "/", "body_regex: nonsense", "http_nonsense", 0),
            "dead": (dead, "", "http_2xx", 0),
        }
        command = [program("prometheus-blackbox-exporter"), "--config.file=%s" % (where / "blackbox.yml"),
                   "--web.listen-address=127.0.0.1:%d" % port]
        components = {name: "url: '%s', %s" % case[:2] for name, case in cases.items()}
        with exporter(command, port, where), probing(where, components) as b:
            for name, (address, _, module, success) in cases.items():
                ours = probed(b, name)
                asked = urllib.parse.urlencode({"target": address, "module": module})
                theirs = Page(request("http://127.0.0.1:%d/probe?%s" % (port, asked))[1])
                assert value(ours, "probe_success") == success, (name, ours)
                compare_probes(ours, theirs, name)
            phases = {dict(pairs)["phase"]: seconds for pairs, seconds in probed(b, "secure")["probe_http_duration_seconds"].items()}
            assert phases["tls"] > 0 and phases["connect"] > 0, phases
            assert sum(phases.values()) <= value(probed(b, "secure"), "probe_duration_seconds") * 2, phases
            assert probed(b, "plain")["probe_http_duration_seconds"][frozenset({("phase", "tls")})] == 0


def test_redirects_are_followed_up_to_the_limit():
    with scratch() as where, Targets() as targets:
        with probing(where, {"within": "url: '%s/hop/3', redirects: 3" % targets.base,
                             "beyond": "url: '%s/hop/4', redirects: 3" % targets.base}) as b:
            within, beyond = probed(b, "within"), probed(b, "beyond")
            assert [value(within, "probe_" + name) for name in ("success", "http_redirects", "http_status_code")] == [1, 3, 200], within
            assert [value(beyond, "probe_" + name) for name in ("success", "http_redirects")] == [0, 3], beyond
            assert "redirects" in error(b, "beyond"), error(b, "beyond")


def test_bodies_are_checked_by_text_expression_and_pointer():
    checks = {  # the server says {"ok": true}
        "text": ("body_contains: '\"ok\"'", None), "other-text": ("body_contains: nonsense", "lacks the expected text"),
        "expression": ("body_regex: 'ok.*(true|yes)'", None), "other-expression": ("body_regex: '^ok'", "does not match"),
        "pointer": ("body_pointer: /ok, body_equals: 'true'", None), "present": ("body_pointer: /ok", None),
        "other-value": ("body_pointer: /ok, body_equals: 'false'", "not the expected one"),
        "absent": ("body_pointer: /no/where", "not the expected one"),
    }
    with scratch() as where, Targets() as targets:
        with probing(where, {name: "url: '%s/', %s" % (targets.base, keys) for name, (keys, _) in checks.items()}) as b:
            for name, (_, problem) in checks.items():
                families = probed(b, name)
                assert value(families, "probe_success") == (problem is None), (name, families)
                assert value(families, "probe_failed_due_to_regex") == (problem is not None), (name, families)
                assert value(families, "probe_http_status_code") == 200, (name, families)
                assert (problem or "") in error(b, name), (name, error(b, name))


def test_a_target_that_speaks_only_tls_1_0_is_a_failed_probe():
    with scratch() as where:
        pem, key = certificate(where)
        ports = {"old": free_port(), "new": free_port()}
        versions = {"old": ["-tls1", "-cipher", "ALL:@SECLEVEL=0"], "new": ["-tls1_2"]}
        with contextlib.ExitStack() as servers:
            for name, port in ports.items():
                server = servers.enter_context(Process([program("openssl"), "s_server", "-accept", "127.0.0.1:%d" % port, "-cert", str(pem),
                                                        "-key", str(key), "-www", *versions[name]], log=str(where / (name + ".log"))))
                def accepts():
                    if not server.alive():
                        raise Skip("openssl's s_server does not start: " + server.output())
                    return "ACCEPT" in server.output()
                wait_until(accepts, "s_server accepts")
            # the old server does speak TLS 1.0 with those who allow it
            client = subprocess.run([program("openssl"), "s_client", "-connect", "127.0.0.1:%d" % ports["old"], "-tls1", "-cipher",
                                     "ALL:@SECLEVEL=0"], input="", capture_output=True, text=True, timeout=30)
            if "Protocol  : TLSv1\n" not in client.stdout:
                raise Skip("this OpenSSL has no TLS 1.0: " + client.stderr[-300:])
            with probing(where, {name: "url: 'https://127.0.0.1:%d/', insecure_tls: true" % port for name, port in ports.items()}) as b:
                old, new = probed(b, "old"), probed(b, "new")
                assert [value(old, "probe_success"), value(old, "probe_http_status_code")] == [0, 0], old
                assert "probe_tls_version_info" not in old and error(b, "old"), old
                assert value(new, "probe_success") == 1 and frozenset({("version", "TLS 1.2")}) in new["probe_tls_version_info"], new


if __name__ == "__main__":
    main(globals())
