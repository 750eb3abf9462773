#!/usr/bin/env python3
"""Backline watches itself: each fault is provoked, the page for it comes by a way that works."""
import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
from harness import Backline, main, request, scratch, wait_until
from servers import Standin

MANUAL = """# Shop

## Alert channels

- **Critical alerts**: Webhook first, Webhook second
- **High alerts**: Webhook first, Webhook second
- **Medium alerts**: Webhook second
"""

SITE = """site: Shop
providers:
  webhooks:
    first: {{ url: "http://127.0.0.1:{first}/" }}
    second: {{ url: "http://127.0.0.1:{second}/" }}
heartbeats: {{ job: {{ every: 1h, priority: high }} }}
{more}
"""


def told(hook, name, status="firing"):
    return [h["body"] for h in hook.lines() if h["body"]["status"] == status and
            any(a["labels"]["alertname"] == name for a in h["body"]["alerts"])]


def backline(where, first, second, more="", **options):
    (where / "manual.md").write_text(MANUAL)
    (where / "site.yaml").write_text(SITE.format(first=first.port, second=second.port, more=more))
    return Backline(where, manual=where / "manual.md", site=where / "site.yaml", **options)


def test_a_loop_that_hangs_is_logged_while_it_does_and_paged_after():
    with scratch() as where, scratch() as other, Standin(where, "webhook_server.py") as first, \
            Standin(other, "webhook_server.py") as second:
        with backline(where, first, second, clock=True) as b:
            b.turn("stall 8s")
            assert "the loop hangs: nothing is watched" in b.process.output(), "logged while nothing turned"
            wait_until(lambda: "the loop turns again" in b.process.output(), "that it turns again")
            wait_until(lambda: b.advance(5) and told(second, "LoopStalled"), "the page for it")
            assert "nothing was watched" in str(told(second, "LoopStalled")[0])
            b.advance(310)
            wait_until(lambda: told(second, "LoopStalled", "resolved"), "it is over")


def test_a_channel_that_fails_is_told_by_the_next():
    with scratch() as where, scratch() as other, \
            Standin(where, "webhook_server.py", *["--status", "500"] * 12) as first, \
            Standin(other, "webhook_server.py") as second:
        with backline(where, first, second, clock=True) as b:
            b.cli("heartbeat", "ping", "job", "--act", "fail")
            wait_until(lambda: told(second, "HeartbeatFailed"), "the way that works")
            b.advance(60)
            page = wait_until(lambda: told(second, "ChannelFailing"), "the failing channel, by the next")[0]
            assert "channel webhook first fails" in str(page) and "500" in str(page), page
            # it works again once its failures are used up
            for _ in range(6):
                b.advance(120)
                b.cli("heartbeat", "ping", "job")
                b.cli("heartbeat", "ping", "job", "--act", "fail")
            wait_until(lambda: told(second, "ChannelFailing", "resolved"), "it works again")


if __name__ == "__main__":
    main(globals())
