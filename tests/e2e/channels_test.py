#!/usr/bin/env python3
"""Channels as their servers want them: STARTTLS and a login, Slack's pace and its errors, webhooks' answers."""
import email
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(__file__))
from harness import Backline, main, scratch, wait_until
from servers import Standin, mail_server
from standins.targets import Targets

MANUAL = """# Shop

## Limits

| Metric | Warning | Critical | Type |
| --- | --- | --- | --- |
| Memory usage | > 70% | > 90% | Resource |

## Alert channels

- **Critical alerts**: Email, Slack #ops
- **High alerts**: Slack #missing-room
- **Medium alerts**: Webhook hook

## Escalation

```mermaid
graph TD
 A[Alert] --> B{Level}
 B -->|Critical| C[Ops Team Email]
 B -->|High| D[Ops Team Email]
```
"""

SITE = """site: Shop
hold: 0s
intervals: {{ scrape: 200ms, evaluate: 200ms }}
components: {{ shop: {{ kind: exporter, tier: {tier}, metrics: "{target}/metrics" }} }}
people: {{ anna: {{ email: anna@example.org }} }}
contacts: {{ Ops Team: anna }}
providers:
  smtp: {{ url: "smtp://127.0.0.1:{smtp}", from: ops@example.org, user: me, password: "${{env:MAIL_PASSWORD}}", ca_file: "{cert}" }}
  slack: {{ token: xoxb-test, api_url: "http://127.0.0.1:{slack}/api" }}
  webhooks: {{ hook: {{ url: "http://127.0.0.1:{hook}/in", bearer: secret }} }}
"""


def certificate(where):
    cert, key = where / "cert.pem", where / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


class Parts:
    def __init__(self, where, tier="critical"):
        self.where, self.tier = where, tier

    def __enter__(self):
        cert, key = certificate(self.where)
        self.target = Targets()
        self.target.page = "node_memory_MemTotal_bytes 100\nnode_memory_MemAvailable_bytes 50\n"
        self.smtp = mail_server(self.where, "--cert", str(cert), "--key", str(key), "--auth", "me:hidden-word")
        self.slack = Standin(self.where, "slack_server.py")
        self.hook = Standin(self.where, "webhook_server.py", "--bearer", "secret", "--status", "500")
        self.parts = [self.target, self.smtp, self.slack, self.hook]
        for part in self.parts:
            part.__enter__()
        (self.where / "manual.md").write_text(MANUAL)
        (self.where / "site.yaml").write_text(SITE.format(target=self.target.base, smtp=self.smtp.port, slack=self.slack.port,
                                                          hook=self.hook.port, cert=cert, tier=self.tier))
        self.b = Backline(self.where, manual=self.where / "manual.md", site=self.where / "site.yaml",
                          env={"MAIL_PASSWORD": "hidden-word"})
        self.b.__enter__()
        return self

    def __exit__(self, *error):
        for part in [self.b] + self.parts[::-1]:
            part.__exit__(*error)

    def journal(self, word):
        return [e["summary"] for e in self.b.get("/api/ops/v1/journal?limit=500&kind=delivery")["data"]["entries"] if word in e["summary"]]


def test_a_drill_goes_by_starttls_at_slacks_pace_and_proves_the_channels():
    with scratch() as where, Parts(where) as s:
        for _ in range(3):
            s.b.cli("channels", "test")
        wait_until(lambda: len(s.journal("delivered: slack #ops")) == 3, "Slack took three, a second apart")
        assert all(m["accepted"] for m in s.slack.lines() if m["body"]["channel"] == "#ops"), s.slack.lines()
        wait_until(lambda: len(s.journal("delivered: email")) == 3, "mails")
        mail = s.smtp.lines()[0]
        message = email.message_from_string(mail["message"])
        assert mail["tls"] and mail["to"] == ["anna@example.org"], mail
        assert [p.get_content_type() for p in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
        assert "Drill" in message["Subject"], message["Subject"]
        wait_until(lambda: len(s.journal("delivered: webhook hook")) == 3, "webhooks, after a 500", 60)
        assert s.journal("will be tried again: webhook hook")
        wait_until(lambda: len(s.journal("not delivered: slack #missing-room")) >= 3, "an unknown channel is given up at once")
        # three failures in a row are a page of their own, which that channel does not take either
        wait_until(lambda: [p for p in s.b.get("/api/ops/v1/pages")["data"]["pages"] if p["name"] == "ChannelFailing"], "a page for the channel")
        wait_until(lambda: {p["id"]: p["state"] for p in s.b.get("/api/ops/v1/promises")["data"]["promises"] if p["kind"] == "channel"} ==
                   {"alert-channels/critical-alerts": "kept", "alert-channels/high-alerts": "unproven", "alert-channels/medium-alerts": "kept"},
                   "promises of channels")
        assert "hidden-word" not in s.b.process.output() and "xoxb" not in s.b.process.output()


def test_a_channel_that_is_refused_is_replaced():
    with scratch() as where, Parts(where, tier="major") as s:
        s.target.page = "node_memory_MemTotal_bytes 100\nnode_memory_MemAvailable_bytes 5\n"
        wait_until(lambda: s.journal("not delivered: slack #missing-room"), "Slack refuses")
        wait_until(lambda: s.journal("delivered: email anna@example.org"), "the person is mailed instead")
        entries = s.b.get("/api/ops/v1/journal?kind=page")["data"]["entries"]
        assert [e for e in entries if e["summary"].startswith("instead: email anna@example.org")], entries


if __name__ == "__main__":
    main(globals())
