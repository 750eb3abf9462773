#!/usr/bin/env python3
"""The real binary: it serves, signs in, reloads, refuses, and survives."""
import http.client
import json
import os
import re
import signal
import socket
import stat
import sys
import urllib.parse

sys.path.insert(0, os.path.dirname(__file__))
from harness import ROOT, Backline, Process, main, request, scratch, wait_until
from standins.targets import Targets, raw

MANUAL = """# Shop

## Limits

| Metric | Warning | Critical | Type |
| --- | --- | --- | --- |
| Probe response time | > 2s | > 5s | Performance |
| Memory usage | > 98% | > 99% | Resource |

## Alert channels

- **Critical alerts**: Log
"""

SITE = """site: Shop
intervals: { scrape: 200ms, evaluate: 200ms }
components:
  shop: { kind: web, url: "%s/", metrics: "%s/metrics" }
  server: { kind: host, agent: local }
"""


def write(where, targets, manual=MANUAL):
    (where / "manual.md").write_text(manual)
    (where / "site.yaml").write_text(SITE % (targets.base, targets.base))
    return {"manual": where / "manual.md", "site": where / "site.yaml"}


def test_embedded_manual_watches_this_host():
    with scratch() as where, Backline(where) as b:
        wait_until(lambda: b.query("node_memory_MemTotal_bytes"), "the host's memory is stored")
        promises = b.get("/api/ops/v1/promises")["data"]["promises"]
        assert any(p["kind"] == "threshold" for p in promises)
        wait_until(lambda: [p for p in b.get("/api/ops/v1/promises")["data"]["promises"]
                            if p["id"].endswith("memory-usage-critical")][0]["state"] == "kept",
                   "the memory's promise is kept")
        metrics = request(b.base + "/metrics")[1]
        assert "backline_head_series" in metrics and "# TYPE" in metrics
        for path in ("/", "/promises"):
            status, page = request(b.base + path)
            assert status == 200 and "<script" not in page and "</html>" in page, path
        assert "kept" in b.cli("promises").stdout
        assert json.loads(b.cli("status", "--json").stdout)["ingestion"] == "running"
        assert "=>" in b.cli("query", "node_load1").stdout


def test_scrapes_and_probes_a_target_until_it_vanishes():
    with scratch() as where, Targets() as targets:
        targets.page = '# TYPE hits counter\nhits{path="/a"} {n}\n'
        with Backline(where, **write(where, targets)) as b:
            result = wait_until(lambda: b.query('hits{component="shop",kind="web"}'), "hits are stored")
            assert result[0]["metric"]["job"] == "shop" and result[0]["metric"]["path"] == "/a"
            assert wait_until(lambda: b.query('probe_success{component="shop"}'), "probed")[0]["value"][1] == "1"
            rate = wait_until(lambda: b.query("rate(hits[1m])"), "a rate")
            assert float(rate[0]["value"][1]) > 0
            targets.page = "other 1\n"
            wait_until(lambda: not b.query("hits"), "hits are stale")
            targets.status = 503
            wait_until(lambda: b.query("probe_success")[0]["value"][1] == "0", "the probe fails")
            wait_until(lambda: b.query("probe_http_status_code")[0]["value"][1] == "503", "with its status")


def test_hostile_targets_are_failed_scrapes_and_nothing_more():
    with scratch() as where, Targets() as targets:
        paths = ["hang", "lies", "huge", "garbage"]
        site = "intervals: { scrape: 300ms }\ncomponents:\n" + "".join(
            "  %s: { kind: exporter, metrics: '%s/%s' }\n" % (p, targets.base, p) for p in paths)
        (where / "manual.md").write_text(MANUAL)
        (where / "site.yaml").write_text(site)
        with Backline(where, manual=where / "manual.md", site=where / "site.yaml") as b:
            for path in paths:
                wait_until(lambda: b.query('up{component="%s"}' % path)[0]["value"][1] == "0", path + " is down")
            health = {t["labels"]["component"]: t for t in b.get("/api/v1/targets")["data"]["activeTargets"]}
            assert all(health[p]["lastError"] for p in paths), health
            assert not b.query("a")


def test_a_saved_manual_is_live_and_a_bad_one_changes_nothing():
    with scratch() as where, Targets() as targets, Backline(where, **write(where, targets)) as b:
        def limit():
            return [p["text"] for p in b.get("/api/ops/v1/promises")["data"]["promises"]
                    if p["id"] == "limits/probe-response-time-warning"]
        assert limit() == ["Probe response time: warning > 2s"]
        new = where / "new.md"
        new.write_text(MANUAL.replace("> 2s", "> 1500ms"))
        os.rename(new, where / "manual.md")
        wait_until(lambda: limit() == ["Probe response time: warning > 1500ms"], "the new limit is live", 5)
        (where / "manual.md").write_text(MANUAL.replace("> 2s", "> 9s"))
        failed = wait_until(lambda: "does not compile" in b.process.output(), "the bad file is told")
        assert failed and limit() == ["Probe response time: warning > 1500ms"]
        status, text = request(b.base + "/api/ops/v1/reload", {}, "POST")
        assert status == 400 and "warning is beyond critical" in text, text
        # an enforced promise may not vanish by half a file
        wait_until(lambda: b.query("probe_success"), "probed")
        (where / "manual.md").write_text("# Shop\n")
        wait_until(lambda: "would vanish" in b.process.output(), "the loss is told")
        assert limit() == ["Probe response time: warning > 1500ms"]
        b.cli("reload", "--accept")
        assert limit() == []


def test_strangers_leave_descriptors_for_what_is_watched():
    with scratch() as where, Targets() as targets:
        b = Backline(where, **write(where, targets))
        with Process(["prlimit", "--nofile=64:64", "--"] + b.command(), log=str(where / "backline.log")):
            wait_until(lambda: b.query("probe_success"), "it watches")
            held = [socket.create_connection(("127.0.0.1", b.port)) for _ in range(60)]
            asked = targets.asked
            wait_until(lambda: targets.asked >= asked + 20, "it watches on")
            worst = b.cli("query", "min(min_over_time(probe_success[10s]))").stdout
            assert worst == "{} => 1\n", worst
            for stranger in held:
                stranger.close()


def test_a_storm_of_signals_stops_nothing():
    with scratch() as where, Targets() as targets, Backline(where, **write(where, targets)) as b:
        for _ in range(3000):
            os.kill(b.process.pid, signal.SIGHUP)
        assert request(b.base + "/healthz", timeout_s=2)[0] == 200


def test_a_new_public_address_is_taken_with_the_reload():
    with scratch() as where, Targets() as targets, Backline(where, **write(where, targets)) as b:
        def status():
            return request(b.base + "/healthz", headers={"Host": "ops.example.org"})[0]
        assert status() == 421
        site = where / "site.yaml"
        site.write_text("public_url: https://ops.example.org/\n" + site.read_text())
        wait_until(lambda: status() == 200, "links with the new address are answered", 5)


def test_a_sample_that_was_synced_survives_kill_9():
    rounds = 60 if "--long" in sys.argv else 6
    with scratch() as where, Targets() as targets:
        targets.page = "tick {n}\n"
        b = Backline(where, **write(where, targets))
        for _ in range(rounds):
            b.start()
            seen = wait_until(lambda: b.query("tick"), "ticks are stored")
            synced = float(b.query("max_over_time(backline_wal_syncs_total[1m])")[0]["value"][1]) \
                if b.query("backline_wal_syncs_total") else 0
            value = seen[0]["value"][1]
            def synced_again():
                syncs = re.search(r"^backline_wal_syncs_total (\d+)", request(b.base + "/metrics")[1], re.M)
                return int(syncs.group(1)) >= synced + 2
            wait_until(synced_again, "the group sync came twice")
            b.kill()
            b.start()
            kept = b.query("max_over_time(tick[1h])")
            assert kept and float(kept[0]["value"][1]) >= float(value), (kept, value)
            b.kill()
        b.start()
        assert b.stop() == 0


def test_nobody_without_a_credential():
    with scratch() as where, Backline(where, auth_off=False) as b:
        assert request(b.base + "/healthz")[0] == 200
        for path in ("/", "/metrics", "/api/v1/query?query=1", "/api/ops/v1/promises"):
            status, text = request(b.base + path)
            assert status == 401 and "sign in" in text, (path, status)
        link = (b.data / "first-link").read_text().strip()
        assert stat.S_IMODE(os.stat(b.data / "first-link").st_mode) == 0o600
        assert stat.S_IMODE(os.stat(b.data / "backline.sock").st_mode) == 0o600
        path = urllib.parse.urlparse(link).path
        assert request(b.base + path)[0] == 200  # a look consumes nothing
        assert request(b.base + path)[0] == 200
        connection = http.client.HTTPConnection("127.0.0.1", b.port)
        connection.request("POST", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 303
        cookie = answer.getheader("Set-Cookie")
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
        head = {"Cookie": cookie.split(";")[0]}
        assert request(b.base + "/api/v1/query?query=1", headers=head)[0] == 200
        assert request(b.base + path)[0] == 404 and request(b.base + path, {}, "POST")[0] == 404
        assert request(b.base + "/", headers={"Cookie": "backline_session=" + "0" * 64})[0] == 401
        b.stop()
        b.start()  # the session survives, and there is no second first link
        assert request(b.base + "/api/v1/query?query=1", headers=head)[0] == 200


def test_malformed_requests_shift_nothing():
    with scratch() as where, Backline(where) as b:
        good = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert b"200 OK" in raw(b.port, good)
        for bad in (b"GET /healthz HTTP/1.1\r\n\r\n",
                    b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                    b"GET /healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
                    b"G@T /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    b"GET http://x/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                    b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nquery",
                    b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                    b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n",
                    b"\x00\x01\x02\x03\r\n\r\n"):
            answer = raw(b.port, bad)
            # refused, and the connection is closed: nothing behind it is taken for a request
            assert b"200 OK" not in answer and b"(no end)" not in answer, (bad, answer[:300])
        assert b"200 OK" in raw(b.port, good)


def test_what_happens_stands_on_the_journal():
    with scratch() as where, Targets() as targets:
        with Backline(where, **write(where, targets)) as b:
            b.cli("deploy", "api 2.14.0", "--component", "shop")
            for body in ('{"component": "shop"}', '{"what": "a"} and more', '{"what": "a", "component": "nowhere"}', ""):
                assert request(b.base + "/api/ops/v1/deploys", body.encode(), "POST")[0] == 400, body
            (where / "manual.md").write_text(MANUAL.replace("> 2s", "> 1s"))
            entries = wait_until(lambda: [e for e in b.get("/api/ops/v1/journal?limit=100")["data"]["entries"]
                                          if e["kind"] == "reload"], "the reload is recorded")
            assert "1 changes" in entries[0]["summary"], entries
        kinds = [e["kind"] for e in json.loads(b.cli("journal", "list", "--json").stdout)]
        assert kinds[0] == "stop" and kinds[-1] == "start" and "deploy" in kinds, kinds
        assert "whole" in b.cli("journal", "verify").stdout
        ledger = b.data / "ledger.db"
        data = ledger.read_bytes()
        assert data.count(b"api 2.14.0") >= 1
        ledger.write_bytes(data.replace(b"api 2.14.0", b"api 2.14.1"))
        verdict = b.cli("journal", "verify", check=False)
        assert verdict.returncode == 1 and "BROKEN" in verdict.stdout, verdict.stdout


def test_a_crossed_limit_fires_and_is_resolved():
    manual = MANUAL.replace("| Probe response time | > 2s | > 5s | Performance |",
                            "| Server availability | < 99.9% | < 99.5% | Availability |")
    with scratch() as where, Targets() as targets, Backline(where, **write(where, targets, manual)) as b:
        def states():
            return {a["labels"]["alertname"]: a for a in b.get("/api/v1/alerts")["data"]["alerts"]}
        wait_until(lambda: b.query("probe_success"), "probed")
        assert not states()
        targets.status = 500
        fired = wait_until(lambda: states() if len(states()) == 2 else None, "both limits fire")
        critical = fired["ServerAvailabilityCritical"]
        assert critical["state"] == "firing" and critical["labels"]["component"] == "shop", critical
        assert "limit < 99.5%" in critical["annotations"]["summary"], critical
        page = request(b.base + "/")[1]
        assert "Needs a person" in page and "nobody has it yet" in page, page
        assert "ServerAvailability" not in b.cli("alerts").stdout and "firing" in b.cli("alerts").stdout
        kinds = [e for e in b.get("/api/ops/v1/journal?limit=50")["data"]["entries"] if e["kind"] == "alert"]
        assert len(kinds) == 2 and all(e["summary"].startswith("firing") for e in kinds), kinds


def test_channels_are_told_once_it_is_on_the_journal():
    manual = MANUAL.replace("| Probe response time | > 2s | > 5s | Performance |",
                            "| Server availability | < 99% | < 99% | Availability |").replace(
                            "- **Critical alerts**: Log", "- **Critical alerts**: Webhook hook, Email\n"
                            "- **High alerts**: Webhook hook\n") + (
        "\n## Escalation\n\n```mermaid\ngraph TD\n A[Alert] --> B{Level}\n B -->|Critical| C[Ops Team Email]\n```\n")
    with scratch() as where, Targets() as targets:
        out, mails = where / "hooks", where / "mails"
        standins = ROOT / "tests/e2e/standins"
        with Process([sys.executable, str(standins / "webhook_server.py"), str(out), "--bearer", "secret", "--status", "503"],
                     log=str(where / "hook.log")) as hook, \
             Process(["/usr/bin/python3", str(standins / "smtp_server.py"), str(mails)], log=str(where / "smtp.log")) as smtp:
            hook_port = wait_until(lambda: int(hook.output().split()[0]), "the webhook's port")
            smtp_port = wait_until(lambda: int(smtp.output().split()[0]), "the mail server's port")
            files = write(where, targets, manual)
            with open(files["site"], "a") as site:
                site.write("people: { anna: { email: anna@example.org } }\ncontacts: { Ops Team: anna }\n"
                           "providers:\n  smtp: { url: 'smtp://127.0.0.1:%d', from: ops@example.org, insecure_tls: true }\n"
                           "  webhooks: { hook: { url: 'http://127.0.0.1:%d/in', bearer: secret } }\n" % (smtp_port, hook_port))
            with Backline(where, **files) as b:
                wait_until(lambda: b.query("probe_success"), "probed")
                targets.status = 500
                def hooks():
                    return [json.loads(line) for line in out.read_text().splitlines()]
                good = wait_until(lambda: [h for h in hooks() if h["status"] == 200 and
                                           h["body"]["alerts"][0]["labels"]["severity"] == "critical"], "the webhook", 40)[0]["body"]
                assert good["version"] == "4" and good["status"] == "firing", good
                assert good["alerts"][0]["labels"]["component"] == "shop", good
                mail = wait_until(lambda: [json.loads(line) for line in mails.read_text().splitlines()], "the mail")[0]
                assert "anna@example.org" in json.dumps(mail) and "Server availability" in json.dumps(mail), mail
                def journal():
                    return [e["summary"] for e in b.get("/api/ops/v1/journal?limit=200")["data"]["entries"]
                            if e["kind"] == "delivery"]
                wait_until(lambda: sum(s.startswith("delivered") for s in journal()) >= 2, "deliveries are recorded")
                assert any(s.startswith("will be tried again") for s in journal()), journal()
                assert sum(s.startswith("delivered: email") for s in journal()) == 1, journal()


def test_a_second_backline_is_refused_and_bad_usage_told():
    with scratch() as where, Backline(where) as b:
        again = b.cli("serve", "--listen", "127.0.0.1:0", check=False)
        assert again.returncode == 1 and "another Backline uses" in again.stderr, again.stderr
        assert b.cli("query", "rate(", check=False).returncode == 1
        b.cli("deploy", "x" * 300)
        assert "x" * 300 in b.cli("journal", "list").stdout  # whole: a pipe has no width
    with scratch() as where:
        alone = Backline(where).cli("pages", check=False)
        assert alone.returncode == 1 and "backline.sock': No such file" in alone.stderr, alone.stderr
    with scratch() as where:
        (where / "data").mkdir()
        (where / "data/ledger.db").write_bytes(b"\x55" * 50000)
        other = Backline(where)
        with Process(other.command(), log=str(where / "log")) as p:
            wait_until(lambda: not p.alive(), "it ends")
            assert "ledger.db'" in p.output() and "hint: Restore its backup" in p.output(), p.output()
    with scratch() as where:
        other = Backline(where, arguments=["--listen", "0.0.0.0:0"])
        with Process(other.command(), log=str(where / "log")) as p:
            wait_until(lambda: not p.alive(), "it ends")
            assert p.child.returncode == 1 and "loopback only" in p.output(), p.output()


if __name__ == "__main__":
    main(globals())
