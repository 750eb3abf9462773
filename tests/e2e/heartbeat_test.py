#!/usr/bin/env python3
"""Jobs that must report, watchers that are told, two Backlines that watch each other."""
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(__file__))
from harness import Backline, main, request, scratch, wait_until
from servers import Standin

MANUAL = """# Shop

## Alert channels

- **Critical alerts**: Webhook hook
- **High alerts**: Webhook hook
"""

SITE = """site: {name}
components: {{ shop: {{ kind: exporter, metrics: "http://127.0.0.1:1/metrics" }} }}
providers: {{ webhooks: {{ hook: {{ url: "http://127.0.0.1:{hook}/" }} }} }}
"""


def told(hook, name, status="firing"):
    return [h["body"] for h in hook.lines() if h["body"]["status"] == status and
            any(a["labels"]["alertname"] == name for a in h["body"]["alerts"])]


def backline(where, hook, extra, **more):
    where.mkdir(exist_ok=True)
    (where / "manual.md").write_text(MANUAL)
    (where / "site.yaml").write_text(SITE.format(name=where.name, hook=hook.port) + extra)
    return Backline(where, manual=where / "manual.md", site=where / "site.yaml", **more)


def journal(b):
    return [e["summary"] for e in b.get("/api/ops/v1/journal?kind=heartbeat&limit=100")["data"]["entries"]]


def heartbeat(b, name):
    return next(h for h in b.get("/api/ops/v1/heartbeats")["data"]["heartbeats"] if h["name"] == name)


def test_a_job_that_does_not_report_pages_and_one_that_does_resolves():
    with scratch() as where, Standin(where, "webhook_server.py") as hook:
        extra = "heartbeats: { backup: { every: 1h, grace: 10m, owner: ann, priority: critical, component: shop } }\n"
        with backline(where / "a", hook, extra, clock=True) as b:
            address = b.cli("heartbeat", "address", "backup").stdout.strip()
            assert address.startswith(b.base + "/ingest/heartbeat/"), address
            # as a crontab calls it
            done = subprocess.run(["curl", "-fsS", "-m", "10", "--retry", "2", address], capture_output=True, text=True)
            assert done.stdout == "OK\n", done
            assert heartbeat(b, "backup")["state"] == "up"
            b.advance(65 * 60)
            assert heartbeat(b, "backup")["state"] == "late" and not told(hook, "HeartbeatMissed")
            b.advance(5 * 60)
            page = wait_until(lambda: told(hook, "HeartbeatMissed"), "the page for what did not report")[0]
            alert = page["alerts"][0]
            assert alert["labels"]["component"] == "shop" and alert["labels"]["priority"] == "critical", alert
            assert "backup did not report in time (every 1h)" in alert["annotations"]["summary"], alert
            assert "owner ann" in alert["annotations"]["summary"], alert
            open_page = next(p for p in b.get("/api/ops/v1/pages")["data"]["pages"] if p["name"] == "HeartbeatMissed")
            b.cli("ack", open_page["id"])
            # it begins, takes a while, and says how it ended
            assert request(address + "/start")[0] == 200
            b.advance(90)
            assert request(address + "/0", b"rows: 17", "POST")[0] == 200
            wait_until(lambda: told(hook, "HeartbeatMissed", "resolved"), "it is over")
            held = heartbeat(b, "backup")
            assert held["took_seconds"] == 90 and held["message"] == "rows: 17" and held["due"], held
            # it fails
            assert request(address + "/1", "no space left ü".encode(), "POST")[0] == 200
            failed = wait_until(lambda: told(hook, "HeartbeatFailed"), "the page for the failure")[0]
            assert "no space left ü" in failed["alerts"][0]["annotations"]["summary"], failed
            assert 'backline_heartbeat_up{heartbeat="backup"} 0' in request(b.base + "/metrics")[1]
            assert "reported" in b.cli("heartbeat", "ping", "backup", "--message", "by hand").stdout
            wait_until(lambda: told(hook, "HeartbeatFailed", "resolved"), "it is over")
            assert [s.split(":")[0] for s in journal(b)] == ["up", "failed", "up", "missed"], journal(b)
            # what fired is kept: when, for how long, who had it
            past = json.loads(b.cli("alerts", "history", "--json").stdout)
            assert [h["name"] for h in past] == ["HeartbeatFailed", "HeartbeatMissed"], past
            assert past[1]["seconds"] == 90 and past[1]["acknowledged_by"] == "command line", past
            assert past[1]["component"] == "shop" and past[1]["state"] == "resolved" and past[0]["acknowledged"] is None, past
            first = b.get("/api/ops/v1/alerts/history?limit=1")["data"]
            assert [h["name"] for h in first["history"]] == ["HeartbeatFailed"] and first["next"], first
            rest = b.get("/api/ops/v1/alerts/history?limit=1&before=%d" % first["next"])["data"]
            assert [h["name"] for h in rest["history"]] == ["HeartbeatMissed"] and rest["next"] is None, rest
            def narrowed(query):
                return len(b.get("/api/ops/v1/alerts/history?" + query)["data"]["history"])
            assert narrowed("name=HeartbeatFailed") == 1 and narrowed("component=shop") == 2
            assert narrowed("component=other") == 0
            b.advance(120)
            assert narrowed("since=1m") == 0 and narrowed("since=1h") == 2
            assert request(b.base + "/api/ops/v1/alerts/history?since=never")[0] == 400
            assert "HeartbeatMissed" in b.cli("alerts", "history", "--component", "shop").stdout
            # refused
            assert request(address + "/stop")[0] == 404 and request(address[:-1])[0] == 404
            assert request(address, b"x" * 100000, "POST")[0] == 413
            assert b.cli("heartbeat", "ping", "nothing", check=False).returncode == 1
            # a new address revokes the old one; it stands nowhere but where it is asked for
            new = b.cli("heartbeat", "address", "backup", "--new").stdout.strip()
            assert new != address and request(address)[0] == 404 and request(new)[0] == 200
            secret = new.rsplit("/", 1)[1]
            assert "a new address" in journal(b)[0]
            for text in (b.cli("heartbeat", "list", "--json").stdout, b.cli("journal", "list", "--json").stdout,
                         request(b.base + "/metrics")[1], b.process.output(), str(hook.lines())):
                assert secret not in text and address.rsplit("/", 1)[1] not in text
            # over a restart
            b.stop()
            b.start()
            assert request(new)[0] == 200 and heartbeat(b, "backup")["state"] == "up"
            # taken out of the site file while its alert fires
            request(new + "/fail")
            wait_until(lambda: len(told(hook, "HeartbeatFailed")) == 2, "it failed again")
            site = where / "a/site.yaml"
            site.write_text(site.read_text().replace(extra, ""))
            wait_until(lambda: b.advance(1) and not b.get("/api/ops/v1/heartbeats")["data"]["heartbeats"], "it is gone")
            wait_until(lambda: len(told(hook, "HeartbeatFailed", "resolved")) == 2, "nobody is called for it any more")


def test_only_who_may_write_sees_an_address():
    with scratch() as where, Standin(where, "webhook_server.py") as hook:
        extra = "heartbeats: { backup: { cron: '0 3 * * *', timezone: Europe/Berlin } }\n"
        with backline(where / "a", hook, extra, auth_off=False) as b:
            for path in ("", "/backup"):
                assert request(b.base + "/api/ops/v1/heartbeats" + path)[0] == 401
            assert request(b.base + "/api/ops/v1/heartbeats/backup/ping", b"", "POST")[0] == 401
            # the job needs no sign-in: its address is the secret
            assert request(b.cli("heartbeat", "address", "backup").stdout.strip())[0] == 200
            assert "up" in b.cli("heartbeat", "show", "backup").stdout


def test_a_watcher_that_cannot_be_told_is_a_page():
    failures = ["--status", "500"] * 5
    with scratch() as where, scratch() as other, Standin(where, "webhook_server.py") as hook, \
            Standin(other, "webhook_server.py", *failures) as outside:
        extra = "watchers: { outside: { url: 'http://127.0.0.1:%d/secret', method: POST, every: 1m, patience: 2m } }\n" % outside.port
        with backline(where / "a", hook, extra, clock=True) as b:
            b.advance(60)
            assert not told(hook, "WatcherUnreachable")
            b.advance(120)
            page = wait_until(lambda: told(hook, "WatcherUnreachable"), "the page for the watcher")[0]
            assert "status 500" in str(page) and "secret" not in str(page), page
            b.advance(180)
            wait_until(lambda: told(hook, "WatcherUnreachable", "resolved"), "it is told again")
            watcher = b.get("/api/ops/v1/watchers")["data"]["watchers"][0]
            assert watcher["state"] == "told" and watcher["failures"] == 5, watcher
            assert "outside" in b.cli("watchers").stdout


def test_two_backlines_watch_each_other():
    """Each reports to the other. One is killed, or hangs: the other pages. It is back: resolved."""
    with scratch() as where, Standin(where, "webhook_server.py") as hook:
        extra = "heartbeats: { peer: { every: 1s, grace: 4s } }\n"
        with backline(where / "a", hook, extra) as a, backline(where / "b", hook, extra) as b:
            for me, other in ((a, b), (b, a)):
                address = other.cli("heartbeat", "address", "peer").stdout.strip()
                site = me.where / "site.yaml"
                site.write_text(site.read_text() + "watchers: { peer: { url: '%s', every: 1s } }\n" % address)
            for each in (a, b):
                wait_until(lambda: heartbeat(each, "peer")["state"] == "up", "both report")
            before = len(told(hook, "HeartbeatMissed"))
            # killed
            b.kill()
            wait_until(lambda: heartbeat(a, "peer")["state"] == "missed", "it is missed")
            wait_until(lambda: len(told(hook, "HeartbeatMissed")) > before, "the other one pages")
            b.start()
            wait_until(lambda: heartbeat(a, "peer")["state"] == "up", "it is back")
            wait_until(lambda: told(hook, "HeartbeatMissed", "resolved"), "the page is over")
            # stopped where it stands: nobody in it could notice that
            before = len(told(hook, "HeartbeatMissed"))
            os.kill(b.process.pid, signal.SIGSTOP)
            try:
                wait_until(lambda: len(told(hook, "HeartbeatMissed")) > before, "the other one pages")
            finally:
                os.kill(b.process.pid, signal.SIGCONT)
            wait_until(lambda: heartbeat(a, "peer")["state"] == "up", "it goes on")


if __name__ == "__main__":
    main(globals())
