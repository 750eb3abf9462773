#!/usr/bin/env python3
"""TuneTON's manual watches real servers: the right people at the right minutes, answers, the journal."""
import datetime
import json
import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
from harness import ROOT, Backline, main, request, scratch, wait_until
from servers import Nginx, Postgres, Standin, link_in, mail_server
from standins.targets import Targets

TUNETON = ROOT / "manuals/tuneton/operations-manual.md"

SITE = """site: TuneTON
intervals: {{ scrape: 15s, evaluate: 15s }}
people:
  ops1: {{ email: ops1@example.org, phone: "+10000000001" }}
  ops2: {{ email: ops2@example.org }}
  boss: {{ email: boss@example.org }}
  lead: {{ email: lead@example.org }}
contacts: {{ Ops Team: ops1, Secondary Contact: ops2, Manager: boss, Team Lead: lead, Dev Team: ops2 }}
components:
  api: {{ kind: http-api, url: "{nginx}/health", tier: critical }}
  edge: {{ kind: cdn, url: "{nginx}/", tier: major }}
  database: {{ kind: postgres, metrics: "http://127.0.0.1:{exporter}/metrics", tier: critical }}
providers:
  smtp: {{ url: "smtp://127.0.0.1:{smtp}", from: ops@example.org, insecure_tls: true }}
  slack: {{ token: xoxb-test, api_url: "http://127.0.0.1:{slack}/api" }}
"""


def at_of(entry):
    return datetime.datetime.fromisoformat(entry["at"].replace("Z", "+00:00")).timestamp()


class Scene:
    """nginx before a web server, PostgreSQL with its exporter, mail, Slack, and Backline on a virtual clock."""

    def __init__(self, where):
        self.where = where

    def __enter__(self):
        self.parts = []
        self.upstream = self.add(Targets())
        self.nginx = self.add(Nginx(self.where, self.upstream.base))
        self.postgres = self.add(Postgres(self.where))
        self.smtp = self.add(mail_server(self.where))
        self.slack = self.add(Standin(self.where, "slack_server.py", "--unlimited"))
        site = self.where / "site.yaml"
        site.write_text(SITE.format(nginx=self.nginx.base, exporter=self.postgres.exporter_port, smtp=self.smtp.port,
                                    slack=self.slack.port))
        self.b = self.add(Backline(self.where, manual=TUNETON, site=site, clock=True))
        return self

    def add(self, part):
        part.__enter__()
        self.parts.append(part)
        return part

    def __exit__(self, *error):
        for part in reversed(self.parts):
            part.__exit__(*error)

    def mails(self, person):
        return [m["message"] for m in self.smtp.lines() if m["to"] == [person + "@example.org"]]

    def said(self, channel):
        return [m["body"] for m in self.slack.lines() if m["accepted"] and m["body"]["channel"] == channel]

    def pages(self):
        return {(p["name"], p["component"]): p for p in self.b.get("/api/ops/v1/pages")["data"]["pages"]}

    def journal(self, page):
        entries = self.b.get("/api/ops/v1/journal?limit=1000")["data"]["entries"]
        return [e for e in reversed(entries) if e["subject"] == page]


def test_tuneton_pages_the_right_people_at_the_right_minutes():
    with scratch() as where, Scene(where) as s:
        b = s.b
        b.advance(90)
        wait_until(lambda: b.query('pg_up{component="database"}')[0]["value"][1] == "1", "PostgreSQL is watched")
        assert not s.pages() and not s.smtp.lines() and not s.slack.lines()

        # nginx stops: the first person is mailed (there is no SMS here), the critical channel written to
        s.nginx.stop()
        b.advance(45)
        page = wait_until(lambda: s.pages().get(("Server Availability", "api")), "a page for the API")
        assert page["priority"] == "critical" and page["state"] == "open" and page["next"] == "Secondary Contact", page
        mail = wait_until(lambda: [m for m in s.mails("ops1") if "Server Availability" in m], "the mail")[0]
        assert "CRITICAL" in mail and "Secondary Contact" in mail, mail
        wait_until(lambda: [m for m in s.said("#critical-alerts") if "Server Availability" in json.dumps(m)], "Slack")
        # the edge is of tier major: its critical limit has High priority, by mail and #ops-alerts
        edge = wait_until(lambda: s.pages().get(("CDN Availability", "edge")), "a page for the edge")
        assert edge["priority"] == "high", edge
        wait_until(lambda: s.said("#ops-alerts"), "the other channel")

        # a look at the link acknowledges nothing
        link = b.base + link_in(mail)
        status, shown = request(link)
        assert status == 200 and "acknowledge" in shown and "ops1" in shown, shown
        assert s.pages()[("Server Availability", "api")]["state"] == "open"
        assert not s.mails("ops2")

        # nobody answers: 5 minutes, 15 minutes from the first send
        b.advance(4 * 60)
        assert not [m for m in s.mails("ops2") if "Server Availability" in m]
        b.advance(60)
        wait_until(lambda: [m for m in s.mails("ops2") if "Server Availability" in m], "the second contact after 5 minutes")
        b.advance(9 * 60)
        assert not s.mails("boss")
        b.advance(60)
        wait_until(lambda: s.mails("boss"), "the manager after 15 minutes")
        entries = s.journal(page["id"])
        climbed = [at_of(e) for e in entries if e["summary"].startswith(("opened", "escalated"))]
        assert [round(t - climbed[0]) for t in climbed] == [0, 300, 900], entries
        assert "not by sms: providers.twilio is not set" in entries[0]["summary"], entries[0]

        # an acknowledgement by the link: whose, and that it stays one page again in 30 minutes
        status, _ = request(link, b"", "POST")
        assert status == 200  # redirected to the look
        held = s.pages()[("Server Availability", "api")]
        assert held["state"] == "acknowledged" and held["acknowledged_by"] == "ops1, by link", held
        before = len(s.mails("ops1"))
        b.advance(29 * 60)
        assert len([m for m in s.mails("ops1")]) == before
        # High waits for resolution, whoever acknowledged: the team lead after 30 minutes
        wait_until(lambda: [m for m in s.mails("lead") if "CDN Availability" in m], "the team lead")
        b.advance(2 * 60)
        wait_until(lambda: len(s.mails("ops1")) > before, "acknowledged and forgotten: paged again")
        assert [e for e in s.journal(page["id"]) if e["summary"].startswith("paged again")]

        # an acknowledgement stops what waits for one
        assert "yours" in b.cli("ack", page["id"]).stdout
        seen = len(s.mails("ops2"))
        b.advance(16 * 60)
        assert len(s.mails("ops2")) == seen

        # nginx is back: all are told, in the same thread of Slack
        s.nginx.start()
        b.advance(7 * 60)
        wait_until(lambda: s.pages()[("Server Availability", "api")]["state"] == "resolved", "resolved")
        wait_until(lambda: [m for m in s.mails("boss") if "RESOLVED" in m], "the manager is told")
        told = wait_until(lambda: [m for m in s.said("#critical-alerts") if "RESOLVED" in json.dumps(m)], "Slack is told")
        assert told[0].get("thread_ts"), told
        assert b.cli("ack", page["id"], check=False).returncode == 1

        # nginx is slow: its own page, after its hold
        s.upstream.delay_s = 0.6
        b.advance(3 * 60)
        assert ("CDN Response Time", "edge") not in s.pages()
        b.advance(8 * 60)
        slow = wait_until(lambda: s.pages().get(("CDN Response Time", "edge")), "a page for slowness")
        assert slow["priority"] == "high", slow
        wait_until(lambda: [m for m in s.mails("ops1") if "CDN Response Time" in m], "and its mail")

        ledger = where / "data/ledger.db"
        b.stop()
        assert "whole" in b.cli("journal", "verify").stdout
        data = ledger.read_bytes()
        at = data.index(b"ops1, by link")
        ledger.write_bytes(data[:at] + b"boss" + data[at + 4:])
        verdict = b.cli("journal", "verify", check=False)
        assert verdict.returncode == 1 and "BROKEN" in verdict.stdout, verdict.stdout


def test_a_jump_of_the_clock_is_recorded_and_moves_no_deadline():
    with scratch() as where, Scene(where) as s:
        b = s.b
        b.advance(60)
        s.nginx.stop()
        b.advance(45)
        wait_until(lambda: s.pages().get(("Server Availability", "api")), "a page")
        b.turn("jump 3h")
        b.advance(4 * 60)
        assert not s.mails("ops2"), "the escalation goes by elapsed time, not by the wall clock"
        b.advance(60)
        wait_until(lambda: [m for m in s.mails("ops2") if "Server Availability" in m], "the second contact")
        entries = b.get("/api/ops/v1/journal?kind=clock")["data"]["entries"]
        assert len(entries) == 1 and "forward by 3 h" in entries[0]["summary"], entries


def test_failed_ways_are_tried_again_then_another_is_taken():
    with scratch() as where, Scene(where) as s:
        b = s.b
        b.advance(60)
        s.smtp.process.end()
        s.nginx.stop()
        b.advance(45)
        page = wait_until(lambda: s.pages().get(("Server Availability", "api")), "a page")
        b.advance(4 * 60)
        def journal(word):
            return [e["summary"] for e in s.journal(page["id"]) if word in e["summary"]]
        wait_until(lambda: journal("not delivered: email ops1@example.org"), "the mail is given up")
        assert len(journal("will be tried again: email ops1@example.org")) == 5, journal("email")
        # Slack told the place already; the escalation goes on to the next person at its minute
        assert journal("delivered: slack #critical-alerts")
        b.advance(60)
        wait_until(lambda: journal("escalated: critical"), "the next step")


def test_what_vanishes_pages_and_what_was_taken_out_does_not():
    with scratch() as where, Scene(where) as s:
        b = s.b
        s.upstream.page = "node_memory_MemTotal_bytes 100\nnode_memory_MemAvailable_bytes 50\n"
        site = (where / "site.yaml").read_text()
        with_server = site.replace("components:", "components:\n  server: { kind: exporter, metrics: '%s/metrics' }" % s.upstream.base)
        (where / "site.yaml").write_text(with_server)
        components = lambda: len(b.get("/api/ops/v1/components")["data"]["components"])
        wait_until(lambda: b.advance(1) and components() == 4, "the server is watched")
        b.advance(60)
        s.upstream.page = "other 1\n"
        b.advance(90)
        page = wait_until(lambda: s.pages().get(("Memory Usage", "server")), "a page for what is measured no more")
        assert "measured no more" in page["summary"], page
        (where / "site.yaml").write_text(site)
        wait_until(lambda: b.advance(1) and components() == 3, "the server is taken out")
        b.advance(60)
        wait_until(lambda: s.pages()[("Memory Usage", "server")]["state"] == "resolved", "nobody is called for it any more")


def test_something_due_is_done_with_a_note():
    with scratch() as where, Scene(where) as s:
        b = s.b
        b.cli("duty", "add", "Renew the certificate", "--due", "2099-01-01T00:00:00Z", "--owner", "ops1")
        due = b.get("/api/ops/v1/duties")["data"]["duties"]
        assert [d for d in due if d["id"] == "once/renew-the-certificate" and d["owner"] == "ops1"], due
        assert b.cli("duty", "done", "once/renew-the-certificate", check=False).returncode == 1  # no note
        b.cli("duty", "done", "once/renew-the-certificate", "--note", "new one until 2100")
        entry = b.get("/api/ops/v1/journal?kind=duty&limit=1")["data"]["entries"][0]
        assert "done: Renew the certificate; new one until 2100" in entry["summary"], entry


if __name__ == "__main__":
    main(globals())
