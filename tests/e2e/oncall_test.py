#!/usr/bin/env python3
"""Who is on call, by the real binary: check's gaps, who and until when, overrides, hand-overs, calendars."""
import datetime
import json
import os
import subprocess
import sys
import zoneinfo

sys.path.insert(0, os.path.dirname(__file__))
from harness import PROGRAM, ROOT, Backline, free_port, main, request, scratch, wait_until
from servers import mail_server

TUNETON = ROOT / "manuals/tuneton/operations-manual.md"
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")

SITE = """site: TuneTON
timezone: Europe/Berlin
public_url: https://ops.example.org
people:
  ann: {{ email: ann@example.org }}
  bob: {{ email: bob@example.org }}
  cid: {{ email: cid@example.org }}
oncall:
  ops: {{ layers: [ {{ people: [ann, bob], rotate: daily, handover: "09:00", start: 2026-01-05 }} ] }}
  night: {{ notice: 0s, layers: [ {{ people: [cid] }}, {{ people: [bob], only: ["22:00-06:00"] }} ] }}
contacts: {{ Ops Team: oncall.ops, Secondary Contact: cid, Manager: cid, Team Lead: cid, Dev Team: cid }}
components:
  api: {{ kind: http-api, url: "http://127.0.0.1:{api}/health", tier: critical }}
providers:
  smtp: {{ url: "smtp://127.0.0.1:{smtp}", from: ops@example.org, insecure_tls: true }}
"""

# What stands in the calendar, as an independent reader of RFC 5545 has it.
READ_CALENDAR = """
import icalendar, json, sys
calendar = icalendar.Calendar.from_ical(sys.stdin.buffer.read())
print(json.dumps([{"uid": str(e["uid"]), "from": e["dtstart"].dt.isoformat(), "until": e["dtend"].dt.isoformat(),
                   "summary": str(e["summary"]), "description": str(e["description"])}
                  for e in calendar.walk("vevent")]))
"""


def expected(at):
    """Whose day it is: 09:00 by Berlin's clock, from 2026-01-05 on."""
    local = at.astimezone(BERLIN)
    days = (local.date() - datetime.date(2026, 1, 5)).days - (local.hour < 9)
    return "ann" if days % 2 == 0 else "bob"


def utc(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def rfc3339(at):
    return at.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Scene:
    def __init__(self, where, auth_off=True):
        self.where = where
        self.smtp = mail_server(where)
        self.auth_off = auth_off

    def __enter__(self):
        self.smtp.__enter__()
        site = self.where / "site.yaml"
        site.write_text(SITE.format(api=free_port(), smtp=self.smtp.port))
        self.b = Backline(self.where, manual=TUNETON, site=site, clock=True, auth_off=self.auth_off)
        self.b.start()
        return self

    def __exit__(self, *error):
        self.b.__exit__(*error)
        self.smtp.__exit__()

    def now(self):
        return datetime.datetime.fromtimestamp(int(self.b.turn("now").split()[1]) / 1000, datetime.timezone.utc)

    def go_to(self, at):
        """Wall time alone, in one jump."""
        self.b.turn("jump %ds" % (at - self.now()).total_seconds())

    def mails(self, person):
        return [m["message"] for m in self.smtp.lines() if m["to"] == [person + "@example.org"]]

    def journal(self, kind):
        return self.b.get("/api/ops/v1/journal?limit=1000&kind=" + kind)["data"]["entries"]


def test_check_fails_on_any_minute_that_nobody_covers():
    with scratch() as where:
        (where / "m.md").write_text("# M\n")
        site = where / "site.yaml"
        def check(layer):
            site.write_text("timezone: America/New_York\npeople: { a: {}, b: {} }\noncall:\n  ops: { layers: [ " + layer + " ] }\n")
            return subprocess.run([PROGRAM, "check", str(where / "m.md"), "--site", str(site), "--json"], capture_output=True,
                                  text=True, timeout=60)
        fine = check('{ people: [a, b], rotate: weekly }')
        assert fine.returncode == 0 and not fine.stderr, fine
        hole = check('{ people: [a] , only: ["mon-sat", "sun 00:00-23:59"] }')
        told = [json.loads(line) for line in hole.stderr.splitlines() if line.startswith("{")]
        assert hole.returncode == 1 and len(told) in (12, 13), hole.stderr
        assert all("nobody is on call in 'ops' from Sun 20" in t["message"] for t in told), told[0]
        assert all(" 23:59 E" in t["message"] and " 00:00 E" in t["message"] for t in told), told[0]
        assert "Z to 20" in told[0]["message"] and told[0]["line"] == 4, told[0]
        # the night on which New York's clocks change lies within 90 days in some weeks only: both offsets are right
        for t in told:
            local = datetime.datetime.strptime(t["message"].split(" from Sun ")[1][:16], "%Y-%m-%d %H:%M")
            begun = local.replace(tzinfo=zoneinfo.ZoneInfo("America/New_York")).astimezone(datetime.timezone.utc)
            assert begun.strftime("(%Y-%m-%dT%H:%MZ to") in t["message"], t


def test_the_day_on_call_has_23_hours_when_the_clocks_go_ahead():
    with scratch() as where, Scene(where) as s:
        s.go_to(utc("2027-03-27T12:00:00Z"))
        rows = {r["id"]: r for r in s.b.get("/api/ops/v1/oncall")["data"]["schedules"]}
        assert rows["ops"]["person"] == expected(s.now()) and rows["ops"]["timezone"] == "Europe/Berlin", rows
        assert utc(rows["ops"]["until"]) == utc("2027-03-28T07:00:00Z"), rows
        segments = s.b.get("/api/ops/v1/oncall/segments?schedule=ops&from=2027-03-27T08:00:00Z&until=2027-03-29T07:00:00Z")
        spans = [(utc(x["until"]) - utc(x["from"])).total_seconds() / 3600 for x in segments["data"]["segments"]]
        assert spans == [23, 24], segments
        # the command line tells the same, also of another time
        row = json.loads(s.b.cli("oncall", "now", "--at", "2027-03-28T07:00:00Z", "--json").stdout)[0]
        assert row["person"] == expected(utc("2027-03-28T07:00:00Z")) and row["person"] != rows["ops"]["person"], row
        assert row["until_local"] == "Mon 2027-03-29 09:00 CEST", row
        text = s.b.cli("oncall", "now").stdout
        assert "SCHEDULE" in text and "night" in text and "Sun 2027-03-28 09:00 CEST" in text, text
        night = [x["person"] for x in json.loads(s.b.cli("oncall", "show", "night", "--at", "2027-03-27T12:00:00Z", "--until",
                                                         "2027-03-28T12:00:00Z", "--json").stdout)]
        assert night == ["cid", "bob", "cid"], night
        assert s.b.cli("oncall", "show", "nights", check=False).returncode == 1


def test_an_override_is_who_is_paged_and_stands_on_the_journal():
    with scratch() as where, Scene(where) as s:
        until = s.now() + datetime.timedelta(hours=2)
        refused = s.b.cli("oncall", "override", "add", "ops", "cid", "--until", rfc3339(until), check=False)
        assert refused.returncode == 1 and "needs a reason" in refused.stderr, refused.stderr
        for bad, why in ((("opps", "cid"), "no schedule 'opps'"), (("ops", "dee"), "nobody is called 'dee'")):
            done = s.b.cli("oncall", "override", "add", *bad, "--until", rfc3339(until), "--why", "x", check=False)
            assert done.returncode == 1 and why in done.stderr, done.stderr
        local = until.astimezone(BERLIN).strftime("%Y-%m-%d %H:%M")
        made = s.b.cli("oncall", "override", "add", "ops", "cid", "--until", local, "--why", "Ann is ill").stdout.strip()
        assert made == "O-1", made
        row = json.loads(s.b.cli("oncall", "now", "--json").stdout)[0]
        assert row["person"] == "cid" and row["why"] == "override" and row["override"]["why"] == "Ann is ill", row
        assert utc(row["until"]) == until.replace(second=0, microsecond=0), row
        entries = [e for e in s.journal("oncall") if e["subject"] == "O-1"]
        assert len(entries) == 1 and "override added: cid on call in 'ops'" in entries[0]["summary"], entries

        # who stands in is told, and is paged
        wait_until(lambda: [m for m in s.mails("cid") if "You come on call for ops" in m], "the notice")
        s.b.advance(90)
        wait_until(lambda: [m for m in s.mails("cid") if "CRITICAL" in m], "the page to who stands in")
        assert not [m for who in ("ann", "bob") for m in s.mails(who) if "CRITICAL" in m]

        # it outlives a kill, and ends when it is removed
        s.b.kill()
        s.b.start()
        assert [o["id"] for o in s.b.get("/api/ops/v1/oncall/overrides")["data"]["overrides"]] == ["O-1"]
        s.b.cli("oncall", "override", "remove", "O-1")
        assert json.loads(s.b.cli("oncall", "now", "--json").stdout)[0]["person"] == expected(s.now())
        assert s.b.cli("oncall", "override", "remove", "O-1", check=False).returncode == 1
        assert s.b.cli("oncall", "override", "list").stdout.startswith("no overrides")
        # an id is never used again
        again = s.b.cli("oncall", "override", "add", "ops", "cid", "--until", rfc3339(until), "--why", "swap").stdout.strip()
        assert again == "O-2", again
        s.b.cli("journal", "verify")


def test_who_comes_on_call_is_told_an_hour_before_and_once():
    with scratch() as where, Scene(where) as s:
        told = lambda: {who: len([m for m in s.mails(who) if "You come on call" in m]) for who in ("ann", "bob", "cid")}
        # to an hour and two minutes before the next hand-over
        local = s.now().astimezone(BERLIN)
        handover = (local + datetime.timedelta(days=2)).replace(hour=9, minute=0, second=0, microsecond=0)
        s.go_to(handover - datetime.timedelta(minutes=62))
        comes = expected(handover)
        s.b.advance(30)
        before = told()
        s.b.advance(60)
        assert told() == before, "too early"
        s.b.advance(60)
        wait_until(lambda: told()[comes] == before[comes] + 1, "the notice an hour before")
        mail = [m for m in s.mails(comes) if "You come on call for ops" in m][-1]
        assert handover.strftime("%Y-%m-%d 09:00") in mail.replace("=\r\n", "").replace("=\n", ""), mail
        ends = (handover + datetime.timedelta(days=1)).strftime("until %a %Y-%m-%d 09:00")
        assert ends in mail.replace("=\r\n", "").replace("=\n", ""), mail
        wait_until(lambda: [e for e in s.journal("delivery") if e["subject"] == "ops"], "the outcome on the journal")
        assert [e for e in s.journal("oncall") if "hand-over: %s comes on call in 'ops'" % comes in e["summary"]]
        s.b.advance(3600)
        assert told()[comes] == before[comes] + 1, "told twice"


def test_nobody_on_call_is_a_page():
    with scratch() as where, Scene(where) as s:
        site = s.where / "site.yaml"
        today = s.now().astimezone(BERLIN).date()
        site.write_text(site.read_text().replace("start: 2026-01-05", "start: 2026-01-05, until: %s" % today))
        fired = lambda: [a for a in s.b.get("/api/ops/v1/alerts")["data"]["alerts"] if a["labels"].get("alertname") == "NobodyOnCall"]
        s.b.cli("reload", "--accept")
        alert = wait_until(fired, "the alert")[0]
        assert "nobody is on call in 'ops'" in alert["annotations"]["summary"], alert
        s.b.cli("oncall", "override", "add", "ops", "cid", "--until", rfc3339(s.now() + datetime.timedelta(days=30)), "--why", "gap")
        wait_until(lambda: not fired(), "somebody is on call again")


def read_calendar(text):
    done = subprocess.run(["/usr/bin/python3", "-c", READ_CALENDAR], input=text.encode(), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_a_calendar_opens_by_its_secret_address_until_it_is_revoked():
    with scratch() as where, Scene(where, auth_off=False) as s:
        assert request(s.b.base + "/api/ops/v1/oncall")[0] == 401
        assert request(s.b.base + "/api/ops/v1/oncall/overrides", {"schedule": "ops"}, "POST")[0] == 401
        assert request(s.b.base + "/api/ops/v1/oncall/calendars/C-1", method="DELETE")[0] == 401
        from_ = s.now() + datetime.timedelta(days=3)
        why = "Größe; wichtig, \\ und sehr lang: " + "läuft über den Rand " * 9
        s.b.cli("oncall", "override", "add", "ops", "cid", "--from", rfc3339(from_), "--until",
                rfc3339(from_ + datetime.timedelta(hours=5)), "--why", why)
        address = s.b.cli("oncall", "ical", "add", "--schedule", "ops").stdout.strip()
        assert address.startswith("https://ops.example.org/calendar/") and address.endswith(".ics"), address
        path = address.removeprefix("https://ops.example.org")
        status, text = request(s.b.base + path)
        assert status == 200, text
        lines = text.encode().split(b"\r\n")
        assert all(len(line) <= 75 for line in lines) and not lines[-1] and b"\n" not in b"".join(lines)
        for line in lines:
            line.decode()  # no character is cut in two
        events = read_calendar(text)
        assert len(events) > 150 and len({e["uid"] for e in events}) == len(events)
        for event in events:
            begins = utc(event["from"])
            if "override" not in event["description"]:
                assert event["summary"] == expected(begins) + " on call", event
        swap = [e for e in events if "override" in e["description"]]
        assert len(swap) == 1 and swap[0]["summary"] == "cid on call" and why.strip() in swap[0]["description"], swap
        # the same events by the same names at another time
        s.b.advance(3600)
        assert {e["uid"] for e in read_calendar(request(s.b.base + path)[1])} >= {e["uid"] for e in events}

        of_cid = s.b.cli("oncall", "ical", "add", "--person", "cid").stdout.strip().removeprefix("https://ops.example.org")
        mine = read_calendar(request(s.b.base + of_cid)[1])
        assert {e["summary"] for e in mine} == {"On call: ops", "On call: night"}, mine

        # nobody else's address opens, the ledger holds no secret, revoking ends it
        token = path.split("/")[-1].removesuffix(".ics")
        assert request(s.b.base + "/calendar/" + "0" * 40 + ".ics")[0] == 404
        listed = s.b.cli("oncall", "ical", "list", "--json").stdout
        assert token not in listed and [c["schedule"] for c in json.loads(listed)] == ["ops", None], listed
        s.b.cli("oncall", "ical", "revoke", json.loads(listed)[0]["id"])
        assert request(s.b.base + path)[0] == 404 and request(s.b.base + of_cid)[0] == 200
        s.b.stop()
        kept = b"".join(f.read_bytes() for f in s.b.data.glob("ledger.db*"))
        assert token.encode() not in kept and token not in s.b.process.output()
        s.b.start()
        assert request(s.b.base + path)[0] == 404 and request(s.b.base + of_cid)[0] == 200


if __name__ == "__main__":
    main(globals())
