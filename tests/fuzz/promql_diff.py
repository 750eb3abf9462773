#!/usr/bin/env python3
"""Random data and random queries, asked of Backline and of a real Prometheus side by side.

  promql_diff.py [--seconds N] [--seed N] [--program build/test/src/app/backline] [--prometheus prometheus]

Both are started here, on free ports and empty directories. Answers must be equal: status, error type and
text, label sets, times, and values to the last digit, but for the functions of APPROXIMATE, whose last digits
differ between mathematics libraries, and for sums over what Prometheus hands on in random order. Ends with
`N passed, M failed`; a failure prints the query, the two answers and the seed."""
import argparse
import http.client
import json
import math
import os
import pathlib
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
APPROXIMATE = re.compile(r"\b(exp|ln|log2|log10|a?(sin|cos|tan)h?|deg|rad|atan2|sqrt)\b|\^")
TOLERANCE = 1e-6  # the last digit of a large argument is many of its sine


# ---- servers ----

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, command, directory, ready):
        self.port = free_port()
        self.command = [word.format(port=self.port, dir=directory) for word in command]
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True)
        end = time.monotonic() + 60
        while True:
            try:
                if self.request("GET", ready)[0] == 200:
                    return
            except OSError:
                pass
            if time.monotonic() > end or self.process.poll() is not None:
                raise SystemExit("did not start: " + " ".join(self.command))
            os.sched_yield()

    def request(self, method, path, body=None, headers={}):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def query(self, path, **parameters):
        status, body = self.request("POST", "/api/v1/" + path, urllib.parse.urlencode(parameters),
                                    {"Content-Type": "application/x-www-form-urlencoded"})
        try:
            answer = json.loads(body)
        except ValueError:
            return status, {"error": repr(body)}
        if "error" in answer:  # the sign's number in Prometheus' grammar
            answer["error"] = answer["error"].replace('"<Item 57385>" <op:@>', "<op:@>")
        return status, answer

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


# ---- remote write: snappy with literals only around a hand-made protobuf ----

def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def write_request(series):
    out = b""
    for labels, samples in series:
        one = b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(labels.items()))
        one += b"".join(field(2, b"\x09" + struct.pack("<d", v) + b"\x10" + varint(t & (1 << 64) - 1))
                        for t, v in samples)
        out += field(1, one)
    packed = varint(len(out))
    for at in range(0, len(out), 60000):
        piece = out[at:at + 60000]
        packed += b"\xf4" + struct.pack("<H", len(piece) - 1) + piece
    return packed


# ---- data ----

def make_data(rnd, end):
    """Series of one hour that end at `end` ms: gauges, counters, histograms; gaps, markers, odd values."""
    out = []
    start = end - 3600_000

    def times(interval, jitter):
        t = start + rnd.randrange(interval)
        while t <= end:
            yield t + (rnd.randrange(jitter) if jitter else 0)
            t += interval

    def series(name, labels, value, interval=15000, jitter=0, holes=0.0):
        state = [0.0]
        samples = []
        for t in times(interval, jitter):
            v = value(state)
            if rnd.random() < holes:
                if rnd.random() < 0.3:
                    samples.append((t, STALE))
                continue
            samples.append((t, v))
        if samples:
            out.append((dict(labels, __name__=name), samples))

    def walk(state):
        state[0] += rnd.gauss(0, 3)
        return round(state[0], rnd.choice([0, 1, 3, 12]))

    def counter(state):
        state[0] = 0.0 if rnd.random() < 0.01 else state[0] + rnd.randrange(20) * rnd.choice([1, 0.37])
        return state[0]

    def odd(state):
        return rnd.choice([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e300, -1e300, 1e-300, 1.0, 2.0, 1e21, 1e-7])

    for job in "abc":
        for instance in range(4):
            labels = {"job": job, "instance": str(instance)}
            series("gauge", labels, walk, jitter=rnd.choice([0, 0, 900]), holes=rnd.choice([0, 0, 0.05]))
            series("hits_total", dict(labels, code=rnd.choice(["200", "500"])), counter)
            if instance < 2:
                series("other", labels, walk, interval=60000)
                series("steps", labels, lambda s: float(rnd.randrange(4)), holes=0.1)
        series("odd", {"job": job}, odd, interval=30000)
        for le in ["0.1", "0.5", "1", "+Inf"] + (["2.0", "2"] if job == "c" else []):
            series("wait_bucket", {"job": job, "le": le}, counter)
        series("info", {"job": job, "version": rnd.choice(["1", "2"])}, lambda s: 1.0, interval=60000)
    return out


# ---- queries ----

class Queries:
    def __init__(self, rnd, end):
        self.rnd, self.end = rnd, end

    def duration(self):
        return self.rnd.choice(["1m", "5m", "30s", "90s", "10m", "1m30s", "7m", "1h", "15s", "61s"])

    def modifiers(self):
        out = ""
        if self.rnd.random() < 0.1:
            out += " @ " + self.rnd.choice(["start()", "end()", "%.3f" % (self.end / 1000 - self.rnd.randrange(3600))])
        if self.rnd.random() < 0.15:
            out += " offset " + self.rnd.choice(["", "-"]) + self.duration()
        return out

    def selector(self):
        name = self.rnd.choice(["gauge", "hits_total", "other", "steps", "odd", "wait_bucket", "info", "gauge", "missing"])
        matcher = self.rnd.choice(["", "", '{job="a"}', '{job=~"a|b"}', '{job!="c"}', '{instance!~"1|2"}', '{code=""}',
                                   '{job="a",job!="b"}', '{job=~".+",instance="1"}'])
        if self.rnd.random() < 0.05:
            return self.rnd.choice(['{job="a"}', '{__name__=~"gauge|other"}', '{__name__=~".+",job="b"}'])
        return name + matcher

    def instant(self):
        return self.selector() + self.modifiers()

    def range(self, depth):
        if depth > 0 and self.rnd.random() < 0.25:
            step = self.rnd.choice(["", "30s", "1m", "10s", "17s"])
            return "(%s)[%s:%s]%s" % (self.vector(depth - 1), self.duration(), step, self.modifiers())
        return "%s[%s]%s" % (self.selector(), self.duration(), self.modifiers())

    def labels(self):
        names = ["job", "instance", "code", "le", "version", "__name__", "nothing"]
        return ", ".join(self.rnd.sample(names, self.rnd.randrange(4)))

    def number(self):
        return self.rnd.choice(["0", "1", "2", "-1", "0.5", "3", "Inf", "NaN", "1e3", "0.99", "-0.5", "5"])

    def scalar(self, depth):
        r = self.rnd.random()
        if depth > 0 and r < 0.2:
            return "scalar(%s)" % self.vector(depth - 1)
        if depth > 0 and r < 0.35:
            return "(%s %s %s)" % (self.scalar(depth - 1), self.operator(True), self.scalar(depth - 1))
        return self.rnd.choice([self.number(), self.number(), "time()", "pi()", "-" + self.number()])

    def operator(self, scalars=False):
        compare = self.rnd.choice(["==", "!=", "<", ">", "<=", ">="])
        arithmetic = self.rnd.choice(["+", "-", "*", "/", "%", "^", "atan2"])
        if self.rnd.random() < 0.6:
            return arithmetic
        return compare + (" bool" if scalars or self.rnd.random() < 0.3 else "")

    def aggregate(self, depth):
        op = self.rnd.choice(["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "topk", "bottomk",
                              "quantile", "count_values"])
        parameter = {"topk": self.rnd.choice(["1", "2", "3", "0", "10", "-1", "NaN", "1e20", "scalar(info{job=\"a\"})"]),
                     "quantile": self.rnd.choice(["0.5", "0.9", "0", "1", "-1", "2", "NaN"]),
                     "count_values": self.rnd.choice(['"v"', '"job"', '"0bad"'])}
        parameter["bottomk"] = parameter["topk"]
        grouping = self.rnd.choice(["", " by (%s) " % self.labels(), " without (%s) " % self.labels()])
        first = parameter[op] + ", " if op in parameter else ""
        return "%s%s(%s%s)" % (op, grouping, first, self.vector(depth - 1))

    def binary(self, depth):
        r = self.rnd.random()
        if r < 0.2:
            return "(%s) %s %s" % (self.vector(depth - 1), self.operator(), self.scalar(depth - 1))
        if r < 0.35:
            return "%s %s (%s)" % (self.scalar(depth - 1), self.operator(), self.vector(depth - 1))
        matching = self.rnd.choice(["", "", "on (%s) " % self.labels(), "ignoring (%s) " % self.labels()])
        if r < 0.55:
            return "(%s) %s %s(%s)" % (self.vector(depth - 1), self.rnd.choice(["and", "or", "unless"]), matching,
                                       self.vector(depth - 1))
        if matching and self.rnd.random() < 0.5:
            matching += "%s(%s) " % (self.rnd.choice(["group_left", "group_right"]),
                                     self.rnd.choice(["", "version", "code", "nothing"]))
        return "(%s) %s %s(%s)" % (self.vector(depth - 1), self.operator(), matching, self.vector(depth - 1))

    def call(self, depth):
        over = ["rate", "increase", "delta", "irate", "idelta", "sum_over_time", "avg_over_time", "min_over_time",
                "max_over_time", "count_over_time", "last_over_time", "present_over_time", "stddev_over_time",
                "stdvar_over_time", "changes", "resets", "deriv", "absent_over_time"]
        each = ["abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sgn", "sin", "cos", "tan", "asin", "acos",
                "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "deg", "rad", "minute", "hour", "day_of_week",
                "day_of_month", "day_of_year", "days_in_month", "month", "year", "round", "timestamp", "sort",
                "sort_desc", "absent"]
        vector, number = lambda: self.vector(depth - 1), lambda: self.scalar(depth - 1)
        forms = [lambda: "%s(%s)" % (self.rnd.choice(over), self.range(depth))] * 6 + [
            lambda: "%s(%s)" % (self.rnd.choice(each), vector()),
            lambda: "%s(%s)" % (self.rnd.choice(each), self.instant()),
            lambda: "quantile_over_time(%s, %s)" % (number(), self.range(depth)),
            lambda: "predict_linear(%s, %s)" % (self.range(depth), number()),
            lambda: "holt_winters(%s, %s, %s)" % (self.range(depth), self.rnd.choice(["0.5", "0.1", number()]),
                                                  self.rnd.choice(["0.5", "0.9", number()])),
            lambda: "clamp(%s, %s, %s)" % (vector(), number(), number()),
            lambda: "clamp_%s(%s, %s)" % (self.rnd.choice(["min", "max"]), vector(), number()),
            lambda: "round(%s, %s)" % (vector(), number()),
            lambda: "histogram_quantile(%s, %s)" % (number(), self.rnd.choice(
                ["wait_bucket", "rate(wait_bucket[5m])", "sum by (le) (rate(wait_bucket[5m]))", vector()])),
            lambda: 'label_replace(%s, "%s", "%s", "%s", "%s")' % (
                vector(), self.rnd.choice(["job", "new", "__name__", "bad-name"]),
                self.rnd.choice(["x$1", "$1", "", "${1}y$2", "$$"]), self.rnd.choice(["job", "instance", "nothing"]),
                self.rnd.choice(["(.*)", "(a|b)", "x", "(.)(.*)", "("])),
            lambda: 'label_join(%s, "%s", "-", "job", "%s")' % (
                vector(), self.rnd.choice(["new", "job", "bad-name"]), self.rnd.choice(["instance", "nothing", "bad-name"])),
            lambda: "vector(%s)" % number(),
            lambda: self.rnd.choice(["minute()", "hour()", "day_of_week()", "month()", "year()", "days_in_month()"]),
        ]
        return self.rnd.choice(forms)()

    def vector(self, depth):
        r = self.rnd.random()
        if depth <= 0 or r < 0.2:
            return self.instant()
        if r < 0.4:
            return self.aggregate(depth)
        if r < 0.6:
            return self.binary(depth)
        if r < 0.65:
            return "-(%s)" % self.vector(depth - 1)
        return self.call(depth)

    def any(self):
        r = self.rnd.random()
        if r < 0.03:
            return self.range(2)
        if r < 0.06:
            return self.scalar(2)
        return self.vector(self.rnd.choice([1, 2, 2, 3]))


# ---- comparison ----

def close(a, b, exact, signless=False):
    if a == b or signless and {a, b} == {"0", "-0"}:
        return True
    x, y = float(a), float(b)
    if math.isnan(x) and math.isnan(y):
        return True
    if not exact and max(abs(x), abs(y)) == math.inf:
        return min(abs(x), abs(y)) > 1e307 and (x > 0) == (y > 0)
    if exact or math.isnan(x) or math.isnan(y):
        return False
    return abs(x - y) <= TOLERANCE * max(abs(x), abs(y), 1)


def difference(query, ours, theirs, exact, signless=False):
    """exact: to the last digit; signless: 0 is -0."""
    if ours[0] != theirs[0]:
        return "status"
    a, b = ours[1], theirs[1]
    if ours[0] != 200:
        if a.get("errorType") == b.get("errorType") == "execution" and a.get("error") != b.get("error"):
            return "another error"
        return None if all(a.get(k) == b.get(k) for k in ("status", "errorType", "error")) else "error"
    a, b = a["data"], b["data"]
    if isinstance(a, str):
        return None if a == b else "format"
    if a["resultType"] != b["resultType"]:
        return "type"
    if a["resultType"] in ("scalar", "string"):
        return None if a["result"][0] == b["result"][0] and close(a["result"][1], b["result"][1], exact) else "value"
    if a["resultType"] == "vector" and re.match(r"(sort|topk|bottomk)", query):
        if len(a["result"]) == len(b["result"]) and "nan" not in json.dumps(a).lower() and not all(
                close(p["value"][1], q["value"][1], exact) for p, q in zip(a["result"], b["result"])):
            return "order"
    key = lambda r: json.dumps(r["metric"], sort_keys=True)
    left, right = ({key(r): r.get("values", [r.get("value")]) for r in d["result"]} for d in (a, b))
    if left.keys() != right.keys():
        return "labels"
    for name in left:
        if [p[0] for p in left[name]] != [p[0] for p in right[name]]:
            return "times"
        for p, q in zip(left[name], right[name]):
            if not close(p[1], q[1], exact, signless):
                return "value"
    return None


def seconds(duration):
    return sum(int(n) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}[unit]
               for n, unit in re.findall(r"(\d+)(ms|[smhdwy])", duration))


def has_empty_subquery(query):
    """One whose range may have no step in it: the step is 1 minute unless it is given."""
    return any(seconds(length) < (seconds(step) or 60) for length, step in
               re.findall(r"\[\s*([\da-z]+)\s*:\s*([\da-z]*)\s*\]", query))


def by_chance(query, instant, why, answers):
    """What docs/promql.md lists: which of several errors is met first, and over a range which of equal values
    topk() takes and which series a message names, Prometheus leaves to the order of a hash table; sorts of many
    are not stable; and it has mistakes of its own."""
    steps = not instant or "[" in query  # a subquery has steps too
    if why == "another error":
        ours, theirs = (re.sub(r" group .*|got: .*", "", body["error"]) for _, body in answers)
        return ours != theirs or "duplicate series" in ours or APPROXIMATE.search(query)
    if why in ("labels", "times") and re.search(r"\b(top|bottom)k\b", query):
        return steps or APPROXIMATE.search(query) or re.search(r"histogram_quantile|\b(sort|sort_desc)\b", query)
    if why == "value" and "quantile" in query and all_zeros_apart(answers):
        return True
    if why != "status" and steps and re.search(r"count_values\s*by\s*\(([^,)]*,){2}[^,)]*\)", query):
        return True  # the third label is lost from the second step on: a list is shared by mistake
    if steps and re.search(r"(predict_linear|quantile_over_time|holt_winters)\(.*\] @", query):
        return True  # in 2.42 a window with an @ moves with the steps when the other arguments do: a mistake
    if re.search(r"timestamp\(.*@.*offset|timestamp\(.*offset.*@", query):
        return True  # the offset is forgotten where the time is taken: a mistake
    if why in ("labels", "status", "times") and has_empty_subquery(query):
        return True
    if why == "order":  # of what a subquery or histogram_quantile() gave: that of a hash table
        return "[" in query or "histogram_quantile" in query
    if "@" in query and re.search(r"\[(\w+):\w*\] offset -\1", query):
        return True  # in 2.42 an @ within is lost when the first step falls on the query's start: a mistake
    if why == "status" and steps and re.search(r"label_(replace|join)\(.*\b(top|bottom)k\b", query):
        return True  # others of equal elements were taken: their labels are equal now, or are not
    inexact = APPROXIMATE.search(query) or steps and re.search(r"\b(sum|avg|stddev|stdvar)\b", query)
    if why == "labels" and "count_values" in query:
        return inexact
    if why == "value" and steps and re.search(r"\b(sum|avg|stddev|stdvar)\b.*\bodd\b", query):
        return True  # of 1e300, -1e300 and 1 the order leaves 1 or 0
    # a comparison holds, or holds not, by the last digit
    return why in ("labels", "times") and inexact and re.search(r"[<>=!]=? ", query)


def all_zeros_apart(answers):
    """0 and -0 are equal: which of them a sort leaves first is open."""
    left, right = (json.dumps(body["data"], sort_keys=True).replace('"-0"', '"0"') for _, body in answers)
    return left == right


def mutated(rnd, text):
    """With a mistake in it, perhaps."""
    at = rnd.randrange(len(text) + 1)
    piece = rnd.choice(["(", ")", "[", "]", "{", "}", ",", "by", " on ", "bool", "offset", "@", "5m", "1", '"', "'a'", "sum",
                        "rate", ":", "=~", "==", "x", " or ", "group_left", "-", "#", "1e", "$", "5m3h", "0x1", "without(a)"])
    return rnd.choice([text[:at] + piece + text[at:], text[:at] + text[at + 1:], text[:at] + text[at + rnd.randrange(12):],
                       text[:at]])


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--seconds", type=float, default=60)
    a.add_argument("--seed", type=int, default=int(time.time()))
    a.add_argument("--program", default=str(ROOT / "build/test/src/app/backline"))
    a.add_argument("--prometheus", default="prometheus")
    a.add_argument("--mistakes", type=float, default=0.1, help="share of queries with one")
    a.add_argument("--show", type=int, default=3, help="failures of each kind to print")
    wanted = a.parse_args()
    rnd = random.Random(wanted.seed)
    end = int(time.time() * 1000) // 60000 * 60000 - 600_000
    passed, another, failures = 0, 0, {}
    with tempfile.TemporaryDirectory() as ours_dir, tempfile.TemporaryDirectory() as theirs_dir:
        config = pathlib.Path(theirs_dir) / "prometheus.yml"
        config.write_text("global: {}\n")
        theirs = Server([wanted.prometheus, "--config.file", str(config), "--storage.tsdb.path", "{dir}/data",
                         "--web.listen-address", "127.0.0.1:{port}", "--web.enable-remote-write-receiver",
                         "--enable-feature=promql-negative-offset,promql-at-modifier"], theirs_dir, "/-/ready")
        ours = Server([wanted.program, "serve", "--auth", "off", "--data", "{dir}", "--listen", "127.0.0.1:{port}"],
                      ours_dir, "/-/ready")
        try:
            data = write_request(make_data(rnd, end))
            for server in (ours, theirs):
                status, body = server.request("POST", "/api/v1/write", data, {
                    "Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"})
                if status >= 300:
                    raise SystemExit("the data was refused: %d %r" % (status, body))
            queries = Queries(rnd, end)
            until = time.monotonic() + wanted.seconds
            while time.monotonic() < until:
                text = queries.any()
                if rnd.random() < wanted.mistakes:
                    text = mutated(rnd, text)
                instant = rnd.random() < 0.5
                if rnd.random() < 0.05:
                    asked = dict(path="format_query", query=text)
                elif instant:
                    asked = dict(path="query", query=text, time=end / 1000 - rnd.randrange(0, 1800))
                else:
                    step = rnd.choice([15, 60, 37, 300, 7.5])
                    asked = dict(path="query_range", query=text, start=end / 1000 - rnd.randrange(600, 2400),
                                 end=end / 1000, step=step)
                answers = [server.query(**asked) for server in (ours, theirs)]
                # what an inner vector's order is, Prometheus leaves to chance over a range
                steps = not instant or "[" in text
                inexact = APPROXIMATE.search(text) or re.search(
                    r"\b(sum|avg|stddev|stdvar)\b" if steps else r"histogram_quantile.*", text)
                # nor is it said which of 0 and -0 is the least of a vector that came in no order
                why = difference(text, *answers, exact=not inexact,
                                 signless=steps and re.search(r"\b(min|max|quantile)\b", text))
                if why is None:
                    passed += 1
                    continue
                if by_chance(text, instant, why, answers):
                    another += 1
                    continue
                failures[why] = failures.get(why, 0) + 1
                if failures[why] <= wanted.show:
                    print("FAILED (%s): %s\n  %s\n  ours:   %s\n  theirs: %s" % (
                        why, text, {k: v for k, v in asked.items() if k != "query"},
                        *[(s, json.dumps(b)[:700]) for s, b in answers]), flush=True)
        finally:
            ours.stop()
            theirs.stop()
    print("seed %d; %d more differ in what is left to chance" % (wanted.seed, another))
    for why, count in sorted(failures.items()):
        print("%6d %s" % (count, why))
    print("%d passed, %d failed" % (passed, sum(failures.values())))
    return 1 if failures or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
