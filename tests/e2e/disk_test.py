#!/usr/bin/env python3
"""A disk that fills: ingestion stops with a page, pages are still recorded, then at least sent; it goes on."""
import contextlib
import datetime
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, os.path.dirname(__file__))
from harness import Backline, Skip, main, request, scratch, wait_until
from servers import Standin
from standins.targets import Targets

MANUAL = """# Shop

## Limits

| Metric | Warning | Critical | Type |
| --- | --- | --- | --- |
| Memory usage | > 70% | > 90% | Resource |

## Alert channels

- **Critical alerts**: Webhook hook
- **Medium alerts**: Webhook hook
"""

SITE = """site: Shop
hold: 0s
intervals: {{ scrape: 200ms, evaluate: 200ms }}
components: {{ shop: {{ kind: exporter, metrics: "{target}/metrics" }} }}
watchers: {{ outside: {{ url: "{target}/metrics", every: 1s }} }}
providers: {{ webhooks: {{ hook: {{ url: "http://127.0.0.1:{hook}/" }} }} }}
"""


@contextlib.contextmanager
def small_disk(path, mebibytes):
    if os.getuid() != 0:
        raise Skip("a small file system needs root")
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm,mode=0700" % mebibytes, "backline-test", str(path)],
                             capture_output=True, text=True)
    if mounted.returncode != 0:
        raise Skip("mount is refused: " + mounted.stderr.strip())
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def free_bytes(path):
    space = os.statvfs(path)
    return space.f_bavail * space.f_frsize


def fill(path, leave_bytes=0):
    """One more file, until so much is free."""
    name = path / ("fill-%d" % len(list(path.glob("fill-*"))))
    with open(name, "wb", buffering=0) as out:
        with contextlib.suppress(OSError):
            while free_bytes(path) > leave_bytes:
                out.write(b"\0" * min(1 << 20, max(4096, free_bytes(path) - leave_bytes)))


def soon(seconds):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_full_disk_stops_ingestion_not_pages():
    with scratch() as where, Targets() as target, Standin(where, "webhook_server.py") as hook:
        target.page = "tick {n}\nnode_memory_MemTotal_bytes 100\nnode_memory_MemAvailable_bytes 50\n"
        (where / "manual.md").write_text(MANUAL)
        (where / "site.yaml").write_text(SITE.format(target=target.base, hook=hook.port))
        data = pathlib.Path(where / "data")

        def hooks(name, status="firing"):
            return [h["body"] for h in hook.lines() if h["body"]["status"] == status and
                    any(a["labels"]["alertname"] == name for a in h["body"]["alerts"])]

        with small_disk(data, 160):
            b = Backline(where, manual=where / "manual.md", site=where / "site.yaml")
            with b:
                metric = lambda name: float(next(line.split()[1] for line in request(b.base + "/metrics")[1].splitlines()
                                                 if line.startswith(name + " ")))
                wait_until(lambda: b.query("tick"), "ticks are stored")
                wait_until(lambda: b.get("/api/ops/v1/watchers")["data"]["watchers"][0]["state"] == "told", "the watcher is called")
                # less than the headroom: ingestion stops, with a page; questions are still answered
                fill(data, 50 << 20)
                wait_until(lambda: hooks("IngestionStopped"), "the page for it")
                assert "space" in b.get("/api/ops/v1/status")["data"]["ingestion"]
                assert request(b.base + "/readyz")[0] == 200 and b.query("max_over_time(tick[5m])")
                assert metric("backline_ingestion_stopped") == 1

                # nothing is free: the ledger takes its reserve
                fill(data)
                for n in range(5000):
                    if metric("backline_ledger_reserve_used") == 1:
                        break
                    b.post("/api/ops/v1/duties", {"title": "filler %d " % n + "x" * 280, "due": "2099-01-01T00:00:00Z"})
                assert metric("backline_ledger_reserve_used") == 1 and metric("backline_journal_failures_total") == 0
                b.post("/api/ops/v1/duties", {"title": "first", "due": soon(2)})
                wait_until(lambda: [h for h in hooks("DutyOverdue") if "first" in str(h)], "a page from the reserve")
                assert "backline_not_recorded" not in str(hooks("DutyOverdue"))

                # not even that: it is sent, and says so
                fill(data)
                for n in range(5000):
                    fill(data)
                    status, _ = request(b.base + "/api/ops/v1/duties", {"title": "more %d " % n + "y" * 280, "due": "2099-01-01T00:00:00Z"})
                    if status >= 500:
                        break
                assert status >= 500 and metric("backline_journal_failures_total") > 0
                request(b.base + "/api/ops/v1/duties", {"title": "second", "due": soon(2)})
                told = wait_until(lambda: [h for h in hooks("DutyOverdue") if "second" in str(h)], "a page without a record")
                assert told[0]["commonAnnotations"]["backline_not_recorded"] == "true", told[0]
                # that is a page of its own, and nobody outside is told any more that all is well
                wait_until(lambda: hooks("LedgerFailing"), "the page for the ledger")
                wait_until(lambda: b.get("/api/ops/v1/watchers")["data"]["watchers"][0]["state"] == "withheld", "the watcher is not called")

                # space again: all goes on
                before = metric("backline_samples_appended_total")
                for filler in data.glob("fill-*"):
                    filler.unlink()
                wait_until(lambda: hooks("IngestionStopped", "resolved"), "ingestion goes on")
                wait_until(lambda: metric("backline_samples_appended_total") > before, "samples are stored")
                target.page = "tick {n}\nnode_memory_MemTotal_bytes 100\nnode_memory_MemAvailable_bytes 1\n"
                wait_until(lambda: [h for h in hooks("MemoryUsageCritical") if h["alerts"][0]["labels"]["component"] == "shop"], "an ordinary page")
                b.post("/api/ops/v1/deploys", {"what": "after the flood"})
            assert "whole" in b.cli("journal", "verify").stdout
            with b:
                assert b.query("max_over_time(tick[1h])")
                assert [e for e in b.get("/api/ops/v1/journal?kind=deploy")["data"]["entries"] if e["summary"] == "after the flood"]
                # the reserve is made again at a start, or 30 s after a commit that found room
                assert (data / "ledger.db.reserve").stat().st_size == 32 << 20


if __name__ == "__main__":
    main(globals())
