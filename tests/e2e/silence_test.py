#!/usr/bin/env python3
"""Alerts that other programs post, and silences: what is muted opens no page, and is not lost."""
import datetime
import json
import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
from harness import Backline, main, request, scratch, wait_until


def post_alert(b, name, **more):
    body = json.dumps([{"labels": {"alertname": name, "severity": "critical"}, **more}]).encode()
    status, text = request(b.base + "/api/v2/alerts", body, "POST", {"Content-Type": "application/json"})
    assert status == 200, text


def alert(b, name):
    return [a for a in b.get("/api/v2/alerts") if a["labels"]["alertname"] == name]


def pages(b, name):
    return [p for p in b.get("/api/ops/v1/pages")["data"]["pages"] if p["name"] == name]


def turned(b, seconds, condition, what):
    """Turns the clock until the condition holds; each turn a second, at most so many."""
    for _ in range(seconds):
        b.advance(1)
        if condition():
            return
    raise AssertionError("not within %d s of the clock: %s" % (seconds, what))


def test_an_alert_of_others_pages_and_its_end_ends_the_page():
    with scratch() as where, Backline(where, clock=True) as b:
        post_alert(b, "Posted")
        wait_until(lambda: pages(b, "Posted"), "the alert opens a page")
        assert pages(b, "Posted")[0]["priority"] == "critical"
        past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=1)
        post_alert(b, "Posted", startsAt="2020-01-01T00:00:00Z", endsAt=past.isoformat())
        wait_until(lambda: pages(b, "Posted")[0]["state"] == "resolved", "the page is resolved with its alert")


def test_an_alert_that_nobody_sends_again_ends_by_itself():
    with scratch() as where, Backline(where, clock=True) as b:
        post_alert(b, "Forgotten")
        wait_until(lambda: pages(b, "Forgotten"), "the alert opens a page")
        b.advance(299)
        assert alert(b, "Forgotten"), "it holds for five minutes"
        turned(b, 5, lambda: not alert(b, "Forgotten"), "the alert is over")
        wait_until(lambda: pages(b, "Forgotten")[0]["state"] == "resolved", "the page is resolved")


def test_a_silence_keeps_a_page_from_opening_and_lets_it_open_at_its_end():
    with scratch() as where, Backline(where, clock=True) as b:
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=3)
        sid = b.cli("silence", "add", "alertname=Muted", "--for", "1h", "--reason", "planned", "--author", "ann").stdout.strip()
        b.advance(10)  # the command line has the real clock, which went on meanwhile
        post_alert(b, "Muted", endsAt=end.isoformat())
        post_alert(b, "Heard", endsAt=end.isoformat())
        wait_until(lambda: pages(b, "Heard"), "what is not muted opens a page")
        assert not pages(b, "Muted"), "a muted alert opened a page"
        shown = alert(b, "Muted")[0]["status"]
        assert shown["state"] == "suppressed" and shown["silencedBy"] == [sid], shown
        b.advance(3570)
        assert not pages(b, "Muted"), "the silence ended early"
        turned(b, 60, lambda: pages(b, "Muted"), "the page opens once the silence is over")
        assert alert(b, "Muted")[0]["status"]["state"] == "active"


def test_a_silence_ended_by_hand_lets_the_page_open_at_once():
    with scratch() as where, Backline(where, clock=True) as b:
        sid = b.cli("silence", "add", "alertname=~Mut.*", "--for", "1h", "--reason", "planned").stdout.strip()
        b.advance(10)
        post_alert(b, "Muted")
        post_alert(b, "Heard")
        wait_until(lambda: pages(b, "Heard"), "what is not muted opens a page")
        assert not pages(b, "Muted"), "a muted alert opened a page"
        b.cli("silence", "expire", sid)
        wait_until(lambda: pages(b, "Muted"), "the page opens")
        again = b.cli("silence", "expire", sid, check=False)
        assert again.returncode == 1 and "already expired" in again.stderr, again


def test_a_silence_pauses_a_page_that_is_open():
    with scratch() as where, Backline(where, clock=True) as b:
        post_alert(b, "Muted")
        wait_until(lambda: pages(b, "Muted"), "the alert opens a page")
        sid = b.cli("silence", "add", "alertname=Muted", "--for", "1h", "--reason", "planned", "--author", "ann").stdout.strip()
        b.advance(10)
        said = wait_until(lambda: pages(b, "Muted")[0].get("muted"), "the page says why it is paused")
        assert sid in said and "ann" in said and "planned" in said, said
        b.cli("silence", "expire", sid)
        wait_until(lambda: not pages(b, "Muted")[0].get("muted"), "the page goes on")
        assert len(pages(b, "Muted")) == 1 and pages(b, "Muted")[0]["state"] == "open", pages(b, "Muted")


def test_a_restart_keeps_silences():
    with scratch() as where, Backline(where) as b:
        sid = b.cli("silence", "add", "alertname=Muted", "--for", "1h", "--reason", "planned", "--author", "ann").stdout.strip()
        b.cli("silence", "edit", sid, "--for", "2h", "--reason", "takes longer")
        before = b.get("/api/v2/silence/" + sid)
        b.kill()
        b.start()
        assert b.get("/api/v2/silence/" + sid) == before
        assert before["comment"] == "takes longer" and before["createdBy"] == "ann", before
        post_alert(b, "Muted")
        post_alert(b, "Heard")
        wait_until(lambda: pages(b, "Heard"), "what is not muted opens a page")
        assert not pages(b, "Muted"), "a muted alert opened a page after the restart"
        entries = json.loads(b.cli("journal", "list", "--kind", "silence", "--json").stdout)
        assert [e["subject"] for e in entries] == [sid, sid], entries
        assert "planned" in entries[1]["summary"] and "ann" in entries[1]["summary"], entries


def test_a_restart_ends_no_alert_of_others_before_its_time():
    with scratch() as where, Backline(where, clock=True) as b:
        post_alert(b, "Posted")
        page = wait_until(lambda: pages(b, "Posted"), "the alert opens a page")[0]["id"]
        wait_until(lambda: b.get("/api/ops/v1/journal?kind=page")["data"]["entries"], "it is on the journal")
        b.kill()
        b.start()
        post_alert(b, "Other")
        wait_until(lambda: pages(b, "Other"), "the next one opens a page")
        assert [(p["id"], p["state"]) for p in pages(b, "Posted")] == [(page, "open")], pages(b, "Posted")
        assert alert(b, "Posted")[0]["status"]["state"] == "active"
        post_alert(b, "Posted")  # its sender is still there: the same page
        b.advance(290)
        assert [(p["id"], p["state"]) for p in pages(b, "Posted")] == [(page, "open")], pages(b, "Posted")
        turned(b, 20, lambda: pages(b, "Posted")[0]["state"] == "resolved", "nobody sends it any more: it is over")


def test_a_silence_is_refused_without_an_end_a_reason_or_an_aim():
    with scratch() as where, Backline(where) as b:
        for words, said in [(["a=b", "--reason", "x"], "has an end"), (["a=b", "--for", "1h"], "says why"),
                            (["a=~.*", "--for", "1h", "--reason", "x"], "must not match the empty string"),
                            (["a=~(", "--for", "1h", "--reason", "x"], "regular expression"), (["a", "--for", "1h", "--reason", "x"], "bad matcher")]:
            done = b.cli("silence", "add", *words, check=False)
            assert done.returncode == 1 and said in done.stderr, (words, done)
        assert b.get("/api/v2/silences") == []


def test_the_api_needs_a_credential():
    with scratch() as where, Backline(where, auth_off=False) as b:
        for method, path in [("GET", "/status"), ("GET", "/alerts"), ("POST", "/alerts"), ("GET", "/alerts/groups"), ("GET", "/receivers"),
                             ("GET", "/silences"), ("POST", "/silences"), ("GET", "/silence/x"), ("DELETE", "/silence/x")]:
            status, _ = request(b.base + "/api/v2" + path, b"[]" if method == "POST" else None, method)
            assert status == 401, (method, path, status)


if __name__ == "__main__":
    main(globals())
