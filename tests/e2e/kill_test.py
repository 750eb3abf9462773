#!/usr/bin/env python3
"""kill -9 at random moments, during load and paging; what was promised is checked after each.

What pages is a limit crossed, or a storm: hundreds of alerts of a rule file at once.

Short: 12 rounds. Long: 500. The seed is printed; KILL_SEED=N runs one again."""
import email
import json
import os
import random
import re
import sys
import threading

sys.path.insert(0, os.path.dirname(__file__))
from harness import LONG, Backline, main, request, scratch, wait_until
from servers import mail_server
from standins.targets import Targets

MANUAL = """# Shop

## Limits

| Metric | Warning | Critical | Type |
| --- | --- | --- | --- |
| Memory usage | > 70% | > 90% | Resource |

## Alert channels

- **Critical alerts**: Email
- **Medium alerts**: Email

## Escalation

```mermaid
graph TD
 A[Alert] --> B{Level}
 B -->|Critical| C[Ops Team Email]
 B -->|Medium| E[Ops Team Email]
 C --> G{Acknowledged?}
 G -->|No - 2 s| H[Second]
```
"""

SITE = """site: Shop
hold: 0s
intervals: {{ scrape: 100ms, evaluate: 100ms }}
people: {{ anna: {{ email: anna@example.org }}, ben: {{ email: ben@example.org }} }}
contacts: {{ Ops Team: anna, Second: ben }}
components:
  shop: {{ kind: exporter, metrics: "{target}/metrics" }}
  more: {{ kind: exporter, metrics: "{target}/metrics" }}
rule_files: [ storm.yml ]
providers:
  smtp: {{ url: "smtp://127.0.0.1:{smtp}", from: ops@example.org, insecure_tls: true }}
"""

STORM_RULES = """groups:
- name: storm
  interval: 100ms
  rules:
  - alert: Storm
    expr: storm > 0
    labels: { priority: critical }
    annotations: { summary: "storm {{ $labels.i }}" }
"""
STORM = "".join('storm{i="%d"} {on}\n' % i for i in range(300))
LOAD = "".join('load{i="%d"} {n}\n' % i for i in range(200))


def text_of(mail):
    message = email.message_from_string(mail["message"])
    parts = [p.get_payload(decode=True).decode() for p in message.walk() if p.get_content_type() == "text/plain"]
    return message["Message-ID"], message["Subject"], " ".join(" ".join(parts).split())


class Watch:
    """What the outside saw: the least value that must survive, the pages that exist."""

    def __init__(self, b):
        self.b = b
        self.seen = []  # (value, syncs then)
        self.must_survive = 0
        self.pages = {}

    def look(self):
        syncs = int(re.search(r"^backline_wal_syncs_total (\d+)", request(self.b.base + "/metrics")[1], re.M).group(1))
        ticks = self.b.query("max(tick)")
        for page in self.b.get("/api/ops/v1/pages")["data"]["pages"]:
            # until its commit a delivery is not sent either: what a kill takes then is begun anew
            page["deliveries"] = [d for d in page["deliveries"] if d["recorded"]]
            if page["deliveries"]:
                self.pages[page["id"]] = page
        # a value that a query showed is committed; the second group sync after it has covered it
        self.must_survive = max([self.must_survive] + [value for value, then in self.seen if syncs >= then + 2])
        if ticks:
            self.seen.append((float(ticks[0]["value"][1]), syncs))

    def check_after_restart(self):
        self.seen.clear()
        if self.must_survive:
            kept = self.b.query("max(max_over_time(tick[1h]))")
            assert kept and float(kept[0]["value"][1]) >= self.must_survive, (kept, self.must_survive)
        now = {p["id"]: p for p in self.b.get("/api/ops/v1/pages")["data"]["pages"]}
        newest = sorted(self.pages, key=lambda id: int(id[2:]))[-20:]
        for id in newest:
            assert id in now, "page %s is lost; there are %s" % (id, sorted(now))
            before = {n: d for n, d in enumerate(self.pages[id]["deliveries"])}
            for n, delivery in before.items():
                assert n < len(now[id]["deliveries"]), "a delivery of %s is lost" % id
                if delivery["state"] == "delivered":
                    assert now[id]["deliveries"][n]["state"] == "delivered", (id, n, delivery, now[id]["deliveries"][n])


def check_mails(smtp):
    """One delivery that went out twice says so."""
    first = set()
    for mail in smtp.lines():
        id, subject, text = text_of(mail)
        assert id not in first or "possible repeat" in text, "sent twice, not marked: %s %s" % (id, subject)
        first.add(id)


def check_every_page_was_told(b, smtp):
    """Each page of the journal reached its first person, or was over before it went out."""
    entries = json.loads(b.cli("journal", "list", "--json", "--limit", "100000").stdout)
    opened = {e["subject"] for e in entries if e["kind"] == "page" and e["summary"].startswith("opened")}
    told = {re.search(r"Page:? (P-\d+)", text_of(m)[2]).group(1) for m in smtp.lines() if m["to"] == ["anna@example.org"]}
    pages = {p["id"]: p for p in json.loads(b.cli("pages", "--json").stdout)}
    for id in opened - told:
        states = [d["detail"] for d in pages[id]["deliveries"]] if id in pages else []
        assert states and all(s and "before it went out" in s for s in states), "%s was told to nobody: %s" % (id, states)
    return len(opened)


def test_random_kills_during_load_and_paging():
    rounds = 500 if LONG else 12
    seed = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(1 << 30)))
    print("    seed %d, %d rounds" % (seed, rounds))
    dice = random.Random(seed)
    pause = threading.Event()
    with scratch() as where, Targets() as target, mail_server(where, "--delay", "0.6") as smtp:
        def memory(used, storm=False):
            # calm is a value, not silence: what vanishes while we are down counts until the look-back is over
            target.page = STORM.replace("{on}", str(int(storm))) + ("tick {n}\nnode_memory_MemTotal_bytes 100\nnode_memory_MemAvailable_bytes %d\n" % (100 - used)) + LOAD
        (where / "manual.md").write_text(MANUAL)
        (where / "storm.yml").write_text(STORM_RULES)
        (where / "site.yaml").write_text(SITE.format(target=target.base, smtp=smtp.port))
        b = Backline(where, manual=where / "manual.md", site=where / "site.yaml")
        watch = Watch(b)
        try:
            for _ in range(rounds):
                b.start()
                watch.check_after_restart()
                used = dice.choice([10, 80, 95, 95])
                memory(used, storm=dice.random() < 0.4)
                if used != 10 and dice.random() < 0.3:
                    wait_until(lambda: [p for p in b.get("/api/ops/v1/pages")["data"]["pages"] if p["firing"]], "a page is open")
                left = dice.uniform(0, 2.5)
                while left > 0:
                    watch.look()
                    open_pages = [id for id, p in watch.pages.items() if p["state"] == "open"]
                    if open_pages and dice.random() < 0.05:
                        b.cli("ack", dice.choice(open_pages), check=False)
                    step = min(left, dice.uniform(0.02, 0.2))
                    pause.wait(step)
                    left -= step
                b.kill()
                assert "whole" in b.cli("journal", "verify").stdout
                check_mails(smtp)
            # left alone at last: what is open climbs, and once all is well everybody is told
            b.start()
            watch.check_after_restart()
            pages = lambda: b.get("/api/ops/v1/pages")["data"]["pages"]
            calm = lambda: not [p for p in pages() if p["state"] != "resolved" or p["firing"]]
            memory(10)
            wait_until(calm, "the old ones are resolved")
            memory(95)
            page = wait_until(lambda: [p for p in pages() if p["firing"] and p["priority"] == "critical"], "a new page")[0]
            wait_until(lambda: [m for m in smtp.lines() if m["to"] == ["ben@example.org"] and page["id"] in text_of(m)[2]],
                       "the second person")
            memory(10)
            wait_until(calm, "all is resolved")
            wait_until(lambda: not [d for p in pages() for d in p["deliveries"] if d["state"] == "waiting"], "the outbox is empty")
            told = [text_of(m)[1] for m in smtp.lines() if m["to"] == ["ben@example.org"]]
            assert "RESOLVED" in told[-1], told
            check_mails(smtp)
            mails = [text_of(m)[0] for m in smtp.lines()]
            print("    %d pages, %d mails, %d of them repeats" % (check_every_page_was_told(b, smtp), len(mails), len(mails) - len(set(mails))))
        except BaseException:
            print(b.process.output()[-3000:])
            raise
        finally:
            b.stop()
        assert "whole" in b.cli("journal", "verify").stdout


if __name__ == "__main__":
    main(globals())
