#!/usr/bin/env python3
"""A rate of a few is no rate: each limit of TuneTON's manual that is one holds from its least denominator on, not
below. Said by `rules test` and by promtool, of what `rules print` prints."""
import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(__file__))
from harness import PROGRAM, ROOT, Skip, main, scratch

TUNETON = ROOT / "manuals/tuneton/operations-manual.md"
WEB, API = 'kind="web",component="web"', 'kind="http-api",component="api"'

# alert -> least number in the window, its minutes, series that all rise together (the value is bad in each)
RATES = {
    "PageLoadTimeCritical": (50, 15, ["backline_page_load_seconds_count{%s}" % WEB] +
                             ['backline_page_load_seconds_bucket{%s,le="%s"}' % (WEB, le) for le in ("10", "+Inf")]),
    "JavaScriptErrorRateCritical": (100, 15, ["backline_page_error_views_total{%s}" % WEB,
                                              "backline_page_views_total{%s}" % WEB]),
    "APIErrorRateCritical": (20, 15, ["backline_page_call_failures_total{%s}" % WEB,
                                      "backline_page_calls_total{%s}" % WEB]),
    "APIResponseTimeCritical": (20, 5, ['http_request_duration_seconds_count{%s,path="/"}' % API] +
                                ['http_request_duration_seconds_bucket{%s,path="/",le="%s"}' % (API, le)
                                 for le in ("10", "+Inf")]),
    "ErrorRateCritical": (20, 5, ['http_requests_total{%s,code="500"}' % API]),
}
IDLE = {"PageLoadTimeCritical": 'backline_page_load_seconds_bucket{%s,le="6"}' % WEB,
        "APIResponseTimeCritical": 'http_request_duration_seconds_bucket{%s,path="/",le="2"}' % API}


def expressions():
    printed = subprocess.run([PROGRAM, "rules", "print", str(TUNETON)], capture_output=True, text=True, check=True).stdout
    return {name: json.loads('"%s"' % expr) for name, expr in
            re.findall(r'alert: "([^"]+)"\n +expr: "((?:[^"\\]|\\.)*)"', printed)}


def unit_tests(expressions):
    """One case below the least number and one above it, for each rate."""
    out = "evaluation_interval: 15s\ntests:\n"
    for name, (least, minutes, series) in RATES.items():
        for number, holds in ((least - 1, False), (least + 1, True)):
            step = number / (minutes * 4)
            out += "  - interval: 15s\n    input_series:\n"
            for one in series:
                out += "      - series: '%s'\n        values: '0+%.6fx160'\n" % (one, step)
            if name in IDLE:
                out += "      - series: '%s'\n        values: '0+0x160'\n" % IDLE[name]
            out += "    promql_expr_test:\n      - expr: %s\n        eval_time: 30m\n" % json.dumps("count(%s)" % expressions[name])
            out += "        exp_samples: %s\n" % ("[{labels: '{}', value: 1}]" if holds else "[]")
    return out


def test_a_rate_needs_its_least_denominator():
    if shutil.which("promtool") is None:
        raise Skip("promtool is not here")
    with scratch() as where:
        tests = unit_tests(expressions())
        (where / "t.yml").write_text(tests)
        for command in ([PROGRAM, "rules", "test"], ["promtool", "test", "rules"]):
            done = subprocess.run(command + [str(where / "t.yml")], capture_output=True, text=True)
            assert done.returncode == 0, (command, done.stdout, done.stderr)
        # the test can fail: without the denominator the low cases hold too
        loose = tests.replace(">= 20)", ">= 0)").replace(">= 50)", ">= 0)").replace(">= 100)", ">= 0)")
        (where / "loose.yml").write_text(loose)
        done = subprocess.run([PROGRAM, "rules", "test", str(where / "loose.yml")], capture_output=True, text=True)
        assert done.returncode == 1, done


if __name__ == "__main__":
    main(globals())
