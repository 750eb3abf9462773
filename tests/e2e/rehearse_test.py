#!/usr/bin/env python3
"""Rehearsals: TuneTON's escalation, expected from the document's own text; night shifts, days that the clocks change."""
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(__file__))
from harness import PROGRAM, ROOT, main, scratch

TUNETON = ROOT / "manuals/tuneton/operations-manual.md"
# each contact of the document is a person of its own, so that who is reached names the contact
CONTACTS = {"Ops Team": "ops", "Secondary Contact": "second", "Manager": "boss", "Team Lead": "lead", "Dev Team": "dev"}

SITE = """site: TuneTON
timezone: Europe/Berlin
people:
%s
contacts: { %s }
components:
  api: { kind: http-api, url: "http://127.0.0.1:1/health", tier: critical }
providers:
  smtp: { url: "smtp://127.0.0.1:1", from: ops@example.org, insecure_tls: true }
  slack: { token: xoxb-test, api_url: "http://127.0.0.1:1/api" }
  twilio: { account: AC1, token: secret, from: "+10000000000", api_url: "http://127.0.0.1:1" }
""" % ("\n".join('  %s: { email: %s@example.org, phone: "+1000000000%d", slack: U%d }' % (who, who, n, n)
                 for n, who in enumerate(CONTACTS.values(), 1)),
       ", ".join("%s: %s" % pair for pair in CONTACTS.items()))


def rehearse(where, *words, site=SITE, manual=TUNETON, check=True):
    (where / "site.yaml").write_text(site)
    done = subprocess.run([PROGRAM, "rehearse", "--manual", str(manual), "--site", str(where / "site.yaml"), "--json", *words],
                          capture_output=True, text=True, timeout=120)
    if not check:
        return done
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def reached(result):
    """{(minute, channel, target or None, person or None)} of what was delivered, but for the news that it is over."""
    seen = set()
    for row in result["rows"]:
        found = re.match(r"delivered: (\w+)(?: (\S+))?(?: \((?!rehearsed)(\w+)\))? \(rehearsed\)$", row["summary"])
        if found:
            kind, target, person = found.groups()
            seen.add((row["after_ms"] // 60000, kind, None if person else target, person))
    return seen


class Document:
    """The alerting chapter read again, by other means than the compiler's."""

    def __init__(self, text):
        chapter = text[text.index("#### Alert Channels"):text.index("### Dashboard Configuration")]
        self.channels = {level.lower(): [words.strip() for words in line.split(",")]
                         for level, line in re.findall(r"\*\*(\w+) (?:Alerts|Priority)\*\*: (.*)", chapter)}
        nodes = dict(re.findall(r"(\w+)[\[{]([^\]}]+)[\]}]", chapter))
        edges = re.findall(r"(\w+)(?:\[[^\]]*\]|\{[^}]*\})? -->(?:\|([^|]*)\|)? ?(\w+)", chapter)
        self.first, self.later = {}, {}
        for source, label, to in edges:
            if label.lower() in self.channels:
                self.first[label.lower()] = (to, nodes[to])
        for level, (node, _) in self.first.items():
            asked = [to for source, label, to in edges if source == node]
            self.later[level] = [(int(re.search(r"(\d+) min", label).group(1)), nodes[to])
                                 for source, label, to in edges if source in asked]

    @staticmethod
    def who(text):
        return next((person for name, person in CONTACTS.items() if text.startswith(name)), None)

    def ways(self, level, minute, person, places):
        for words in self.channels[level]:
            place = re.search(r"#\S+", words)
            if place and places:
                yield minute, "slack", place.group(0), None
            kind = {"sms": "sms", "phone call": "call", "email": "email"}.get(words.lower())
            if kind and person:
                yield minute, kind, None, person

    def expected(self, level, phones):
        """phones: this build sends SMS and calls; else whoever has nothing but them is mailed."""
        said = self.expected_by_the_text(level)
        return said if phones else {(minute, "email" if kind in ("sms", "call") else kind, *rest) for minute, kind, *rest in said}

    def expected_by_the_text(self, level):
        person = self.who(self.first[level][1])
        all_of_it = set(self.ways(level, 0, person, True))
        for minute, text in self.later[level]:
            all_of_it |= set(self.ways(level, minute, self.who(text), False))
        return all_of_it


def test_tuneton_reaches_exactly_the_people_of_the_document_at_its_minutes():
    document = Document(TUNETON.read_text())
    assert sorted(document.channels) == sorted(document.first) == ["critical", "high", "low", "medium"], vars(document)
    with scratch() as where:
        for level in document.channels:
            result = rehearse(where, "--alert", "API down", "--component", "api", "--priority", level, "--for", "40m")
            expected = document.expected(level, "not built yet" not in json.dumps(result))
            assert reached(result) == expected, (level, reached(result), expected)
            assert result["priority"] == level and not result["answered"]
        # the test itself: the document's numbers stand in it
        assert {minute for minute, *_ in document.expected("critical", True)} == {0, 5, 15}
        assert (30, "email", None, "lead") in document.expected("high", True)


def test_an_answer_ends_what_waits_for_it():
    with scratch() as where:
        result = rehearse(where, "--alert", "API down", "--ack-after", "7m", "--for", "30m")
        assert {minute for minute, *_ in reached(result)} == {0, 5}, reached(result)
        assert result["answered"] and [r for r in result["rows"] if r["summary"].startswith("acknowledged") and r["actor"] == "rehearsal"]
        # acknowledged and forgotten: called again half an hour later
        result = rehearse(where, "--alert", "API down", "--ack-after", "7m")
        assert 37 in {minute for minute, *_ in reached(result)}, reached(result)
        # High waits for its resolution, whoever acknowledged
        result = rehearse(where, "--alert", "API down", "--priority", "high", "--ack-after", "1m")
        assert (30, "email", None, "lead") in reached(result), reached(result)
        result = rehearse(where, "--alert", "API down", "--priority", "high", "--resolve-after", "20m")
        assert (30, "email", None, "lead") not in reached(result), reached(result)


def test_shifts_and_the_night_in_which_an_hour_is_twice():
    shifts = SITE.replace("Ops Team: ops", "Ops Team: oncall.ops").replace("components:", """oncall:
  ops: { layers: [ { people: [ops, lead], rotate: weekly, handover: "sun 02:30" } ] }
components:""")
    with scratch() as where:
        def first(at):
            return {person for minute, kind, _, person in reached(rehearse(where, "--alert", "API down", "--at", at, "--for", "1m", site=shifts))
                    if person}
        # 25 October 2026: 02:30 is twice in Berlin; the hand-over is at the first
        before, after = first("2026-10-25T00:29:00Z"), first("2026-10-25T00:30:00Z")
        assert len(before) == len(after) == 1 and before != after, (before, after)
        assert first("2026-10-25T01:30:00Z") == first("2026-11-01 02:29") == after
        assert first("2026-11-01 02:30") == before
        result = rehearse(where, "--alert", "API down", "--at", "2026-10-25 02:30", site=shifts)
        assert result["at"] == "2026-10-25T00:30:00.000Z", result["at"]


def test_contact_rules_are_followed_until_somebody_answers():
    rules = SITE.replace("slack: U1 }", "slack: U1, contact: [slack, email after 2m] }")
    with scratch() as where:
        assert {w for w in reached(rehearse(where, "--alert", "API down", "--for", "4m", site=rules)) if w[3]} == \
            {(0, "slack", None, "ops"), (2, "email", None, "ops")}
        assert {w for w in reached(rehearse(where, "--alert", "API down", "--for", "4m", "--ack-after", "1m", site=rules)) if w[3]} == \
            {(0, "slack", None, "ops")}


def test_what_is_asked_wrongly_is_told():
    with scratch() as where:
        for words, problem in ((["--alert", "x", "--at", "noon"], "'noon' is no time"), ([], "no alert is named"),
                               (["--alert", "x", "--component", "y"], "no component 'y'"),
                               (["--alert", "x", "--ack-after", "soon"], "--ack-after takes a time"),
                               (["--alert", "x", "--for", "400d"], "up to 31 days")):
            done = rehearse(where, *words, check=False)
            assert done.returncode == 1 and problem in done.stderr, (words, done.stderr)


if __name__ == "__main__":
    main(globals())
