#!/usr/bin/env python3
"""What people press: the forms of pages in a real browser, which sends the headers that browsers send."""
import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
from browser import Browser
from harness import Backline, main, scratch, wait_until
from servers import Standin
from standins.targets import Targets

MANUAL = """# Shop

## Limits

| Metric | Warning | Critical | Type |
| --- | --- | --- | --- |
| Memory usage | > 70% | > 90% | Availability |

## Alert channels

- **Critical alerts**: Slack #ops
"""

SITE = """site: Shop
intervals: {{ scrape: 200ms, evaluate: 200ms }}
components: {{ shop: {{ kind: exporter, metrics: "{target}/metrics" }} }}
providers: {{ slack: {{ token: xoxb-test, api_url: "http://127.0.0.1:{slack}/api" }} }}
"""


def test_the_one_time_link_signs_a_browser_in():
    with scratch() as where, Backline(where, auth_off=False) as b, Browser() as browser:
        browser.open((b.data / "first-link").read_text().strip())
        browser.click("form button")
        browser.shows("Needs a person")


def test_a_page_is_acknowledged_by_its_link():
    with scratch() as where, Targets() as target, Standin(where, "slack_server.py") as slack, Browser() as browser:
        target.page = "node_memory_MemTotal_bytes 100\nnode_memory_MemAvailable_bytes 5\n"
        (where / "manual.md").write_text(MANUAL)
        (where / "site.yaml").write_text(SITE.format(target=target.base, slack=slack.port))
        with Backline(where, manual=where / "manual.md", site=where / "site.yaml") as b:
            said = wait_until(lambda: [m["body"] for m in slack.lines() if m["accepted"]], "Slack is told")[0]
            browser.open(said["blocks"][-1]["elements"][0]["url"])
            browser.shows("I have it")
            assert [p["state"] for p in b.get("/api/ops/v1/pages")["data"]["pages"]] == ["open"]
            browser.click("form button")
            browser.shows("It is acknowledged")
            assert [p["state"] for p in b.get("/api/ops/v1/pages")["data"]["pages"]] == ["acknowledged"]


if __name__ == "__main__":
    main(globals())
