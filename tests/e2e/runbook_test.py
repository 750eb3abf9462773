#!/usr/bin/env python3
"""Runbooks: in every message, on the page of whoever is paged, missing ones told by check."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(__file__))
from harness import PROGRAM, Backline, main, request, scratch, wait_until
from servers import Standin, link_in, mail_server

MANUAL = """# Shop

## Alert channels

- **High alerts**: Email, Webhook hook

## Escalation

```mermaid
graph TD
    A[Alert] --> B{Level}
    B -->|High| C[Ops Team Email]
```
"""

SITE = """site: Shop
people: {{ ann: {{ email: ann@example.org }} }}
contacts: {{ Ops Team: ann }}
components: {{ shop: {{ kind: exporter, metrics: "http://127.0.0.1:1/metrics" }} }}
heartbeats:
  backup: {{ every: 1h, component: shop }}
  other:  {{ every: 1h }}
runbooks:
  shop: runbooks/shop.md
  WatcherUnreachable: https://wiki.example.org/watcher
  HeartbeatMissed: runbooks/missing.md
providers:
  smtp: {{ url: "smtp://127.0.0.1:{smtp}", from: ops@example.org, insecure_tls: true }}
  webhooks: {{ hook: {{ url: "http://127.0.0.1:{hook}/" }} }}
"""

RUNBOOK = """# Start the backup again

1. Look at `journalctl -u backup`
2. Run it: **now**

<script>alert(1)</script>

[bad](javascript:alert(1))
"""


def test_whoever_is_paged_finds_the_runbook():
    with scratch() as where, scratch() as other, Standin(where, "webhook_server.py") as hook, mail_server(other) as smtp:
        (where / "runbooks").mkdir()
        (where / "runbooks/shop.md").write_text(RUNBOOK)
        (where / "manual.md").write_text(MANUAL)
        (where / "site.yaml").write_text(SITE.format(smtp=smtp.port, hook=hook.port))
        checked = subprocess.run([PROGRAM, "check", where / "manual.md", "--site", where / "site.yaml"], capture_output=True, text=True)
        assert checked.returncode == 0, checked
        assert "the runbook of 'HeartbeatMissed' is missing" in checked.stderr and "missing.md" in checked.stderr, checked.stderr
        with Backline(where, manual=where / "manual.md", site=where / "site.yaml") as b:
            b.cli("heartbeat", "ping", "backup", "--act", "fail")
            mail = wait_until(lambda: smtp.lines(), "the mail")[0]["message"]
            address = b.base + "/runbooks/shop"
            assert address in mail.replace("=\r\n", "").replace("=\n", ""), mail
            posted = wait_until(lambda: hook.lines(), "the webhook")[0]["body"]
            assert posted["commonAnnotations"]["runbook_url"] == address, posted
            for url in (address, b.base + link_in(mail)):
                status, page = request(url)
                assert status == 200 and "<h1>Start the backup again</h1>" in page, page
                assert "<strong>now</strong>" in page and "<script>" not in page and "javascript:" not in page, page
            assert request(b.base + "/runbooks/nothing")[0] == 404
            # one without: no address that leads nowhere
            b.cli("heartbeat", "ping", "other", "--act", "fail")
            second = wait_until(lambda: hook.lines()[1:], "the webhook")[0]["body"]
            assert "runbook_url" not in second["commonAnnotations"], second
            # a new text is taken by a reload
            (where / "runbooks/shop.md").write_text("# Call ann\n")
            b.cli("reload")
            wait_until(lambda: "Call ann" in request(address)[1], "the new text")


def test_a_runbook_is_a_file_beside_the_manual():
    with scratch() as where:
        (where / "manual.md").write_text("# Shop\n")
        for bad in ("/etc/hostname", "../secret.md", "runbooks/.hidden.md", "notes.txt", "ftp://x/y.md", "{ a: b }"):
            (where / "site.yaml").write_text("site: Shop\nrunbooks: { shop: %s }\n" % bad)
            checked = subprocess.run([PROGRAM, "check", where / "manual.md", "--site", where / "site.yaml"], capture_output=True, text=True)
            assert checked.returncode == 1 and "site.yaml:2:" in checked.stderr, (bad, checked)


if __name__ == "__main__":
    main(globals())
