#!/usr/bin/env python3
"""Clients that were written for Prometheus: promtool, curl, and the requests of Grafana's data source.

Each is asked of Backline and of a real Prometheus that holds the same samples; the answers must be equal, but for
what tells of the server itself."""
import json
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from harness import Backline, Process, Skip, free_port, main, request, scratch, wait_until
from store_test import write_request

END_S = int(time.time()) // 60 * 60 - 600
START_S = END_S - 3600


def samples():
    series = {}
    for host in range(4):
        for code in ("200", "404", "500"):
            labels = (("__name__", "http_requests_total"), ("code", code), ("host", "h%d" % host), ("job", "api"))
            series[labels] = [(t * 1000, float((t - START_S) * (host + 1) // 3)) for t in range(START_S, END_S + 1, 15)]
        series[(("__name__", "node_load1"), ("host", "h%d" % host), ("job", "node"))] = [
            (t * 1000, round(0.5 + (t * (host + 3) % 977) / 1000, 3)) for t in range(START_S, END_S + 1, 15)]
        series[(("__name__", "up"), ("host", "h%d" % host), ("job", "node"))] = [
            (t * 1000, 1.0) for t in range(START_S, END_S + 1, 15)]
        for le, part in (("0.1", 1), ("0.5", 3), ("1", 4), ("+Inf", 5)):
            labels = (("__name__", "latency_seconds_bucket"), ("host", "h%d" % host), ("job", "api"), ("le", le))
            series[labels] = [(t * 1000, float((t - START_S) * part)) for t in range(START_S, END_S + 1, 15)]
    return series


EXEMPLARS = {(("__name__", "latency_seconds_bucket"), ("host", "h%d" % host), ("job", "api"), ("le", "0.5")): [
    ((END_S - 120) * 1000 + 250, 0.25 + host, "t%d-a" % host), ((END_S - 60) * 1000, 0.5, "t%d-b" % host)]
    for host in range(2)}


class Pair:
    """Backline and Prometheus with the same samples."""

    def __init__(self, where):
        self.where = where
        self.backline = Backline(where, arguments=["--prometheus-config", "/dev/null"])
        self.port = free_port()
        self.prometheus = None

    def __enter__(self):
        if shutil.which("prometheus") is None:
            raise Skip("prometheus is not installed")
        (self.where / "prometheus.yml").write_text("")
        self.prometheus = Process(["prometheus", "--config.file=%s" % (self.where / "prometheus.yml"),
                                   "--storage.tsdb.path=%s" % (self.where / "prometheus"),
                                   "--web.listen-address=127.0.0.1:%d" % self.port,
                                   "--web.enable-remote-write-receiver", "--enable-feature=exemplar-storage",
                                   "--log.level=error"])
        self.backline.start()
        wait_until(lambda: request(self.other + "/-/ready")[0] == 200, "Prometheus is ready")
        body = write_request(samples(), EXEMPLARS)
        for base in (self.ours, self.other):
            status, text = request(base + "/api/v1/write", body, "POST",
                                   {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"})
            assert status in (200, 204), text
        return self

    def __exit__(self, *_):
        self.prometheus.end()
        self.backline.stop()

    @property
    def ours(self):
        return self.backline.base

    @property
    def other(self):
        return "http://127.0.0.1:%d" % self.port


def both(pair, path, form=None, headers=None):
    """The two answers to one request: (status, JSON)."""
    body = urllib.parse.urlencode(form, doseq=True).encode() if form is not None else None
    head = dict(headers or {})
    if body is not None:
        head["Content-Type"] = "application/x-www-form-urlencoded"
    answers = []
    for base in (pair.ours, pair.other):
        status, text = request(base + path, body, "POST" if body is not None else "GET", head)
        answers.append((status, json.loads(text) if text else None))
    return answers


# What Grafana's Prometheus data source (10.x) sends: health check, query editor, explore, dashboards, alert list.
PANELS = ("sum by (code) (rate(http_requests_total[5m]))", "node_load1", "up == 0",
          "histogram_quantile(0.9, sum by (le) (rate(latency_seconds_bucket[5m])))",
          "topk(2, node_load1)", "sum(rate(http_requests_total{code=~\"5..\"}[5m])) / sum(rate(http_requests_total[5m]))",
          "absent(nothing_like_it)", "scalar(sum(up))", "label_replace(up, \"node\", \"$1\", \"host\", \"h(.*)\")")


def test_grafana_asks_and_is_answered_as_by_prometheus():
    with scratch() as where, Pair(where) as pair:
        asked = [("/api/v1/query", {"query": "1+1", "time": "%d" % END_S}),
                 ("/api/v1/query", {"query": "up", "time": "%d.123" % END_S, "timeout": "60s"}),
                 ("/api/v1/labels", {"start": START_S, "end": END_S}),
                 ("/api/v1/labels", {"start": START_S, "end": END_S, "match[]": ['{__name__="node_load1"}', "up"]}),
                 ("/api/v1/series", {"start": START_S, "end": END_S, "match[]": "http_requests_total"}),
                 ("/api/v1/format_query", {"query": "sum by(code)(rate(http_requests_total[5m]))"}),
                 ("/api/v1/query_exemplars", {"query": "1 + 1", "start": START_S, "end": END_S}),
                 ("/api/v1/query_exemplars", {"query": "node_load1", "start": START_S, "end": END_S})]
        asked += [("/api/v1/query_exemplars", {"query": query, "start": START_S, "end": END_S})
                  for query in ("histogram_quantile(0.9, sum by (le) (rate(latency_seconds_bucket[5m])))",
                                'latency_seconds_bucket{host="h1"} / latency_seconds_bucket')]
        asked += [("/api/v1/query_range", {"query": panel, "start": "%d" % START_S, "end": "%d" % END_S, "step": step})
                  for panel in PANELS for step in ("15", "60.000", "1m")]
        asked += [("/api/v1/query", {"query": panel, "time": END_S}) for panel in PANELS]
        for name in ("__name__", "job", "host", "le"):
            asked.append(("/api/v1/label/%s/values?start=%d&end=%d" % (name, START_S, END_S), None))
        asked.append(("/api/v1/label/host/values?match[]=up&start=%d&end=%d" % (START_S, END_S), None))
        asked += [(path, None) for path in ("/api/v1/rules", "/api/v1/alerts", "/api/v1/metadata?limit=10",
                                            "/api/v1/targets?state=active", "/api/v1/alertmanagers")]
        for path, form in asked:
            ours, other = both(pair, path, form)
            assert ours == other, (path, form, ours, other)
        # errors too, with their types and words
        for path, form in (("/api/v1/query", {"query": "sum("}), ("/api/v1/query", {"query": "up[5m] + 1"}),
                           ("/api/v1/query_range", {"query": "up", "start": END_S, "end": START_S, "step": "15"}),
                           ("/api/v1/query_range", {"query": "up", "start": START_S, "end": END_S, "step": "0"}),
                           ("/api/v1/query_range", {"query": "up", "start": START_S, "end": END_S, "step": "0.1"}),
                           ("/api/v1/series", {"start": START_S}), ("/api/v1/query", {"query": "up", "time": "soon"})):
            ours, other = both(pair, path, form)
            assert ours == other, (path, form, ours, other)
        status, text = request(pair.ours + "/api/v1/status/buildinfo")
        assert status == 200 and json.loads(text)["data"]["version"].startswith("2."), text


def promtool(*arguments):
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


def test_promtool_is_answered_as_by_prometheus():
    with scratch() as where, Pair(where) as pair:
        when = ["--start=%d" % START_S, "--end=%d" % END_S]
        for arguments in (["query", "instant", "--time=%d" % END_S, "URL", "sum by (code) (http_requests_total)"],
                          ["query", "instant", "--time=%d" % END_S, "URL", "up[1m]"],
                          ["query", "range", *when, "--step=5m", "URL", "rate(http_requests_total[5m])"],
                          ["query", "series", *when, "--match=node_load1", "URL"],
                          ["query", "labels", *when, "URL", "host"],
                          ["query", "instant", "URL", "sum("]):
            answers = [promtool(*[base if word == "URL" else word for word in arguments])
                       for base in (pair.ours, pair.other)]
            # series of one instant have no order that is promised
            ordered = [(code, sorted(out.splitlines())) for code, out in answers]
            assert ordered[0] == ordered[1], (arguments, answers)


def test_curl_gets_what_it_asks_for():
    with scratch() as where, Pair(where) as pair:
        def curl(*arguments):
            return subprocess.run(["curl", "-sS", *arguments], capture_output=True, text=True, timeout=60).stdout
        url = pair.ours + "/api/v1/query?query=sum(http_requests_total)&time=%d" % END_S
        plain = curl(url)
        assert plain == curl("--compressed", url) == curl("--http1.0", url)
        assert plain == curl("-G", pair.ours + "/api/v1/query", "--data-urlencode", "query=sum(http_requests_total)",
                             "-d", "time=%d" % END_S)
        assert curl("-o", "/dev/null", "-w", "%{http_code}", pair.ours + "/prometheus/api/v1/query?query=1") == "200"
        federated = curl(pair.ours + "/federate?match[]=up")
        assert federated.startswith("# TYPE up") or federated == "", federated


if __name__ == "__main__":
    main(globals())
