#!/usr/bin/env python3
"""Prometheus rule files run by the real binary: recorded, alerted, paged, reloaded, restarted, told of."""
import os
import sys
import urllib.parse

sys.path.insert(0, os.path.dirname(__file__))
from harness import Backline, main, request, scratch, wait_until

MANUAL = """# Shop

## Alert channels

- **Critical alerts**: Log
"""
SITE = """site: Shop
intervals: { scrape: 200ms, evaluate: 200ms }
components: { server: { kind: host, agent: local } }
rule_files: [rules/*.yml]
"""
RULES = """groups:
- name: shop
  rules:
  - record: shop:one
    expr: vector(1)
  - alert: Always
    expr: shop:one > 0
    labels: { severity: critical }
    annotations: { summary: 'it is {{ $value | humanize }}' }
  - alert: Held
    expr: vector(2)
    for: 1h
- name: broken
  rules:
  - record: shop:bad
    expr: '"a text"'
"""


def write(where, rules=RULES):
    (where / "rules").mkdir(exist_ok=True)
    (where / "manual.md").write_text(MANUAL)
    (where / "site.yaml").write_text(SITE)
    (where / "rules" / "shop.yml").write_text(rules)
    return {"manual": where / "manual.md", "site": where / "site.yaml"}


def rules_of(b, **filters):
    wanted = urllib.parse.urlencode([(k + "[]", v) for k, v in filters.items()])
    groups = b.get("/api/v1/rules?" + wanted)["data"]["groups"]
    return {r["name"]: r for g in groups for r in g["rules"] if g["file"].endswith("shop.yml")}


def alerts_of(b, path="/api/v1/alerts"):
    return {a["labels"]["alertname"]: a for a in b.get(path)["data"]["alerts"]}


def test_rule_files_record_alert_and_page():
    with scratch() as where, Backline(where, **write(where)) as b:
        wait_until(lambda: b.query("shop:one"), "the rule is recorded")
        wait_until(lambda: alerts_of(b).get("Always", {}).get("state") == "firing", "its alert fires")
        alert = alerts_of(b)["Always"]
        assert alert["annotations"]["summary"] == "it is 1" and alert["value"] == "1e+00", alert
        assert alerts_of(b)["Held"]["state"] == "pending"
        assert "ALERTS" in b.query('ALERTS{alertname="Always",alertstate="firing"}')[0]["metric"]["__name__"]
        pages = lambda: b.get("/api/ops/v1/pages")["data"]["pages"]
        page = wait_until(lambda: [p for p in pages() if p["name"] == "Always"], "it pages")[0]
        assert page["priority"] == "critical", page


def test_a_rule_that_fails_is_told_and_is_no_alert_of_a_rule():
    with scratch() as where, Backline(where, **write(where)) as b:
        bad = wait_until(lambda: [r for r in [rules_of(b)["shop:bad"]] if r["health"] == "err"], "it fails")[0]
        assert "not a vector or scalar" in bad["lastError"], bad
        wait_until(lambda: "RuleFailed" in alerts_of(b, "/api/ops/v1/alerts"), "people are told")
        assert "RuleFailed" not in alerts_of(b)


def test_rules_are_told_by_name_and_group():
    with scratch() as where, Backline(where, **write(where)) as b:
        assert set(rules_of(b)) == {"shop:one", "Always", "Held", "shop:bad"}
        assert set(rules_of(b, rule_name="Held")) == {"Held"}
        assert set(rules_of(b, rule_group="broken")) == {"shop:bad"}
        assert not rules_of(b, file="nowhere.yml")
        records = b.get("/api/v1/rules?type=record")["data"]["groups"]
        assert {r["type"] for g in records for r in g["rules"]} == {"recording"}
        status, text = request(b.base + "/api/v1/rules?type=other")
        assert status == 400 and "not supported value" in text, text


def test_a_bad_rule_file_changes_nothing_and_says_why():
    with scratch() as where, Backline(where, **write(where)) as b:
        wait_until(lambda: alerts_of(b).get("Always", {}).get("state") == "firing", "its alert fires")
        write(where, RULES.replace("vector(2)", "vector(2"))
        status, text = request(b.base + "/api/ops/v1/reload", {}, "POST")
        assert status == 400 and "could not parse expression" in text and "shop.yml:11:" in text, text
        assert "Always" in rules_of(b)
        write(where, RULES.replace("Always", "Other"))
        b.post("/api/ops/v1/reload")
        wait_until(lambda: alerts_of(b).get("Other", {}).get("state") == "firing", "the new rule fires")
        assert "Always" not in alerts_of(b)
        wait_until(lambda: not b.query('ALERTS{alertname="Always"}'), "the series of the old one end")
        assert b.query("shop:one"), "what both files record goes on"


def test_a_rule_file_that_is_saved_is_read():
    with scratch() as where, Backline(where, **write(where)) as b:
        wait_until(lambda: alerts_of(b).get("Always", {}).get("state") == "firing", "its alert fires")
        write(where, RULES.replace("Always", "Saved"))
        wait_until(lambda: alerts_of(b).get("Saved", {}).get("state") == "firing", "what was saved runs")
        (where / "rules" / "more.yml").write_text("groups: [{name: more, rules: [{alert: More, expr: vector(1)}]}]")
        wait_until(lambda: "More" in alerts_of(b), "a file that came is read")
        (where / "rules" / "more.yml").unlink()
        wait_until(lambda: "More" not in alerts_of(b), "a file that went is forgotten")


def test_a_hold_goes_on_over_a_restart():
    with scratch() as where:
        with Backline(where, **write(where)) as b:
            wait_until(lambda: alerts_of(b).get("Held", {}).get("state") == "pending", "it is held")
            fired = wait_until(lambda: alerts_of(b).get("Always", {}).get("state") == "firing" and
                               alerts_of(b)["Always"]["activeAt"], "its alert fires")
        with Backline(where, manual=where / "manual.md", site=where / "site.yaml") as b:
            assert alerts_of(b)["Always"]["state"] == "firing" and alerts_of(b)["Always"]["activeAt"] == fired
            assert alerts_of(b)["Held"]["state"] == "pending"


if __name__ == "__main__":
    main(globals())
