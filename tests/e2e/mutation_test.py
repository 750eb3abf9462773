#!/usr/bin/env python3
"""A changed number of the manual changes what happens: each limit, channel line, wait and clock of TuneTON's
document, changed in a copy and saved under the running Backline."""
import contextlib
import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
from harness import ROOT, Backline, main, scratch, wait_until
from servers import Standin, mail_server
from standins.targets import Targets

DOCUMENT = (ROOT / "manuals/tuneton/operations-manual.md").read_text()

# metric, level -> what is measured, and the limit that no longer catches it
LIMITS = {
    ("Page Load Time", "warning"): (4, "> 3s", "> 4500ms"),
    ("Page Load Time", "critical"): (6, "> 5s", "> 7s"),
    ("JavaScript Error Rate", "warning"): (.02, "> 1%", "> 3%"),
    ("JavaScript Error Rate", "critical"): (.08, "> 5%", "> 9%"),
    ("API Error Rate", "warning"): (.05, "> 2%", "> 6%"),
    ("API Error Rate", "critical"): (.2, "> 10%", "> 30%"),
    ("CDN Availability", "warning"): (.992, "< 99.5%", "< 99.1%"),
    ("CDN Availability", "critical"): (.98, "< 99%", "< 97%"),
    ("API Response Time", "warning"): (.7, "> 500ms", "> 800ms"),
    ("API Response Time", "critical"): (2, "> 1s", "> 3s"),
    ("Database Query Time", "warning"): (.3, "> 200ms", "> 400ms"),
    ("Database Query Time", "critical"): (.7, "> 500ms", "> 900ms"),
    ("Error Rate", "warning"): (.08, "> 5%", "> 9%"),
    ("Error Rate", "critical"): (.2, "> 15%", "> 30%"),
    ("CPU Usage", "warning"): (.8, "> 70%", "> 85%"),
    ("CPU Usage", "critical"): (.95, "> 90%", "> 97%"),
    ("Memory Usage", "warning"): (.8, "> 75%", "> 85%"),
    ("Memory Usage", "critical"): (.97, "> 95%", "> 98%"),
    ("Server Availability", "warning"): (.997, "< 99.9%", "< 99.6%"),
    ("Server Availability", "critical"): (.99, "< 99.5%", "< 98%"),
    ("Disk Space", "warning"): (.15, "< 20% free", "< 12% free"),
    ("Disk Space", "critical"): (.05, "< 10% free", "< 4% free"),
    ("Network Latency", "warning"): (.3, "> 100ms", "> 400ms"),
    ("Network Latency", "critical"): (.7, "> 500ms", "> 900ms"),
    ("CDN Response Time", "warning"): (.3, "> 200ms", "> 400ms"),
    ("CDN Response Time", "critical"): (.7, "> 500ms", "> 900ms"),
}
METRICS = sorted({metric for metric, _ in LIMITS})


def histogram(name, value, count):
    """All observations in one narrow bucket around the value."""
    return "".join('%s_bucket{le="%s"} %d\n' % (name, le, n) for le, n in
                   (("%.4f" % (value * .999), 0), ("%.4f" % (value * 1.001), count), ("+Inf", count))) + \
        "%s_count %d\n%s_sum %f\n" % (name, count, name, count * value)


def pages(value_of):
    """What each component's /metrics says on its n-th scrape, given the value of each metric."""
    def web(n):
        views = 1000 * n
        return histogram("backline_page_load_seconds", value_of("Page Load Time"), views) + \
            "backline_page_views_total %d\nbackline_page_error_views_total %f\n" % (views, views * value_of("JavaScript Error Rate")) + \
            "backline_page_calls_total %d\nbackline_page_call_failures_total %f\n" % (views, views * value_of("API Error Rate"))

    def cdn(_):
        return "probe_success %f\n" % value_of("CDN Availability") + \
            'probe_http_duration_seconds{phase="processing"} %f\n' % value_of("CDN Response Time") + \
            'probe_http_duration_seconds{phase="connect"} 0.001\n'

    def api(n):
        asked = 1000 * n
        return histogram("http_request_duration_seconds", value_of("API Response Time"), asked) + \
            'http_requests_total{code="200"} %f\nhttp_requests_total{code="500"} %f\n' % (
                asked * (1 - value_of("Error Rate")), asked * value_of("Error Rate")) + \
            "probe_success %f\n" % value_of("Server Availability") + \
            'probe_http_duration_seconds{phase="connect"} %f\n' % value_of("Network Latency")

    def database(n):
        return histogram("backline_pg_statement_seconds", value_of("Database Query Time"), 1000 * n)

    def server(n):
        free = 1000 * value_of("Disk Space")
        return 'node_cpu_seconds_total{cpu="0",mode="idle"} %f\n' % (60 * n * (1 - value_of("CPU Usage"))) + \
            "node_memory_MemTotal_bytes 1000\nnode_memory_MemAvailable_bytes %f\n" % (1000 * (1 - value_of("Memory Usage"))) + \
            'node_filesystem_size_bytes{fstype="ext4"} 1000\nnode_filesystem_avail_bytes{fstype="ext4"} %f\n' % free
    return {"web": web, "cdn": cdn, "http-api": api, "postgres": database, "exporter": server}


def save(b, where, text):
    """Saves the document as an editor does; it is live a second of our clock after its change is seen."""
    was = b.get("/api/ops/v1/status")["data"]["generation"]
    (where / "new.md").write_text(text)
    os.rename(where / "new.md", where / "manual.md")
    wait_until(lambda: b.advance(1) and b.get("/api/ops/v1/status")["data"]["generation"] > was, "the document is live")


def change(old, new, within):
    """The document with `old` replaced once, in the first line that has `within`."""
    lines = DOCUMENT.splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if within in line and old in line)
    lines[at] = lines[at].replace(old, new, 1)
    changed = "".join(lines)
    assert changed != DOCUMENT
    return changed


def firing(b):
    """{(threshold, severity)} that fire; 'vanished' ones apart."""
    return {(a["labels"].get("threshold"), a["labels"]["severity"]) for a in b.get("/api/v1/alerts")["data"]["alerts"]
            if a["state"] == "firing" and a["labels"]["severity"] in ("warning", "critical")}


def test_each_limit_decides_what_fires():
    assert len(LIMITS) == 26
    slug = lambda metric: metric.lower().replace(" ", "-")
    for level in ("warning", "critical"):
        values = {metric: LIMITS[metric, level][0] for metric in METRICS}
        with scratch() as where, contextlib.ExitStack() as stack:
            site = "site: T\nhold: 0s\nintervals: { scrape: 60s, evaluate: 60s }\ncomponents:\n"
            for kind, page in pages(values.get).items():
                target = stack.enter_context(Targets())
                target.page = page
                site += "  %s: { kind: %s, metrics: '%s/metrics' }\n" % (kind, kind, target.base)
            site += "contacts: { Ops Team: a, Secondary Contact: a, Manager: a, Team Lead: a, Dev Team: a }\npeople: { a: { email: a@example.org } }\n"
            (where / "manual.md").write_text(DOCUMENT)
            (where / "site.yaml").write_text(site)
            with Backline(where, manual=where / "manual.md", site=where / "site.yaml", clock=True) as b:
                b.advance(10 * 60)
                expected = {(slug(metric), l) for metric in METRICS for l in ("warning", "critical")[:1 if level == "warning" else 2]}
                wait_until(lambda: firing(b) == expected, "all that should fires: %s" % (firing(b) ^ expected), 5)
                for metric in METRICS:
                    _, old, new = LIMITS[metric, level]
                    save(b, where, change("| " + old, "| " + new, "| " + metric))
                    b.advance(61)
                    gone = expected - firing(b)
                    assert gone == {(slug(metric), level)}, "%s %s to %s: %s" % (metric, old, new, gone)
                save(b, where, DOCUMENT)
                b.advance(61)
                assert firing(b) == expected


SITE = """site: T
hold: 0s
intervals: {{ scrape: 15s, evaluate: 15s }}
components:
  api: {{ kind: http-api, url: "{target}/", tier: critical }}
  edge: {{ kind: cdn, url: "{target}/", tier: major }}
people: {{ a: {{ email: a@example.org }}, b: {{ email: b@example.org }}, c: {{ email: c@example.org }}, d: {{ email: d@example.org }} }}
contacts: {{ Ops Team: a, Secondary Contact: b, Manager: c, Team Lead: d, Dev Team: a }}
providers:
  smtp: {{ url: "smtp://127.0.0.1:{smtp}", from: ops@example.org, insecure_tls: true }}
  slack: {{ token: xoxb-test, api_url: "http://127.0.0.1:{slack}/api" }}
"""


@contextlib.contextmanager
def running():
    with scratch() as where, Targets() as target, mail_server(where) as smtp, \
            Standin(where, "slack_server.py", "--unlimited") as slack:
        (where / "manual.md").write_text(DOCUMENT)
        (where / "site.yaml").write_text(SITE.format(target=target.base, smtp=smtp.port, slack=slack.port))
        with Backline(where, manual=where / "manual.md", site=where / "site.yaml", clock=True) as b:
            yield b, where, target, smtp, slack


def test_each_channel_line_decides_where_it_is_said():
    with running() as (b, where, _, _, slack):
        for line, channel in (("**Critical Alerts**", "#critical-alerts"), ("**High Priority**", "#ops-alerts"),
                              ("**Medium Priority**", "#dev-alerts"), ("**Low Priority**", "#notifications")):
            def said(name):
                return [m for m in slack.lines() if m["body"]["channel"] == name]
            save(b, where, change(channel, "#elsewhere", line))
            old, new = len(said(channel)), len(said("#elsewhere"))
            b.cli("channels", "test")
            wait_until(lambda: len(said("#elsewhere")) > new, "it is said at the new place")
            wait_until(lambda: not [d for p in b.get("/api/ops/v1/pages")["data"]["pages"] for d in p["deliveries"]
                                    if d["state"] == "waiting"], "the outbox is empty")
            assert len(said(channel)) == old, "%s was told still" % channel


def test_each_wait_decides_when_it_climbs():
    with running() as (b, where, target, smtp, _):
        b.advance(60)
        target.status = 500
        b.advance(30)
        def page(component):
            return next(p for p in b.get("/api/ops/v1/pages")["data"]["pages"] if p["component"] == component and "Avail" in p["name"])
        def mailed(person):
            return len([m for m in smtp.lines() if m["to"] == [person + "@example.org"]])
        wait_until(lambda: page("api") and page("edge"), "pages")
        save(b, where, change("No - 5 min", "No - 7 min", "Secondary Contact"))
        b.advance(6 * 60)
        assert mailed("b") == 0 and page("api")["next"] == "Secondary Contact"
        b.advance(60)
        wait_until(lambda: mailed("b") == 1, "the second contact after 7 minutes")
        save(b, where, change("No - 15 min", "No - 18 min", "Manager"))
        b.advance(9 * 60)
        assert mailed("c") == 0
        b.advance(2 * 60)
        wait_until(lambda: mailed("c") == 1, "the manager after 18 minutes")
        save(b, where, change("No - 30 min", "No - 33 min", "Team Lead"))
        b.advance(13 * 60)
        assert mailed("d") == 0
        b.advance(2 * 60)
        wait_until(lambda: mailed("d") == 1, "the team lead after 33 minutes")


def test_each_response_clock_is_a_promise_that_changes():
    with running() as (b, where, _, _, _):
        for severity, old, new in (("SEV-1", "< 15 min", "< 20 min"), ("SEV-2", "< 1 hour", "< 2 hours"),
                                   ("SEV-3", "< 4 hours", "< 5 hours"), ("SEV-4", "< 24 hours", "< 30 hours")):
            save(b, where, change(old, new, severity))
            promise = next(p for p in b.get("/api/ops/v1/promises")["data"]["promises"]
                           if p["kind"] == "severity" and p["text"].startswith(severity))
            assert new in promise["text"], promise
            entry = b.get("/api/ops/v1/journal?limit=1&kind=reload")["data"]["entries"][0]
            assert "reloaded" in entry["summary"], entry


if __name__ == "__main__":
    main(globals())
