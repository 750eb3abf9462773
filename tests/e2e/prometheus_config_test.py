#!/usr/bin/env python3
"""A prometheus.yml run as it is: discovery by files and by a server, reloads, secrets in files, targets that
misbehave, and the import into a site file."""
import base64
import gzip
import http.server
import json
import os
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(__file__))
from harness import PROGRAM, Backline, main, request, scratch, wait_until
from standins.targets import Targets


class Server:
    """Answers by a function of the request: (status, headers, body)."""

    def __init__(self, answer):
        self.answer = answer
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                status, headers, body = outer.answer(self)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = "127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def page(body, **headers):
    return lambda handler: (200, {"Content-Type": "text/plain", **{k.replace("_", "-"): v for k, v in headers.items()}}, body)


class Prometheus(Backline):
    """Backline with a configuration alone; `config` is its text."""

    def __init__(self, where, config):
        self.file = where / "prometheus.yml"
        self.file.write_text(config)
        super().__init__(where, arguments=["--prometheus-config", str(self.file)])

    def values(self, expression):
        return {sample["metric"].get("instance"): float(sample["value"][1]) for sample in self.query(expression)}

    def save(self, config):
        fresh = self.where / "fresh"
        fresh.write_text(config)
        os.replace(fresh, self.file)


GLOBAL = "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nscrape_configs:\n"


def test_files_that_change_change_the_targets():
    with scratch() as where, Server(page(b"a 1\n")) as one, Server(page(b"a 2\n")) as two:
        (where / "sd").mkdir()
        (where / "sd/x.yml").write_text("- {targets: ['%s'], labels: {color: red}}\n" % one.address)
        with Prometheus(where, GLOBAL + "- {job_name: f, file_sd_configs: [{files: ['sd/*.yml']}]}\n") as backline:
            wait_until(lambda: backline.values("a{color='red'}") == {one.address: 1}, "the first file's target")
            (where / "sd/y.json.tmp").write_text('[{"targets": ["%s"]}]' % two.address)
            os.replace(where / "sd/y.json.tmp", where / "sd/y.yml")
            wait_until(lambda: backline.values("a") == {one.address: 1, two.address: 2}, "the second file's target")
            (where / "sd/x.yml").write_text("- {targets: [1, 2\n")  # half a file leaves what was
            (where / "sd/z.yml").write_text("- {targets: ['127.0.0.1:1']}\n")
            wait_until(lambda: backline.values("up").get("127.0.0.1:1") == 0, "the third file's target")
            assert backline.values("a") == {one.address: 1, two.address: 2}
            found = backline.get("/api/v1/targets")["data"]["activeTargets"]
            assert {t["discoveredLabels"]["__meta_filepath"] for t in found} == {
                str(where / "sd" / name) for name in ("x.yml", "y.yml", "z.yml")}
            os.unlink(where / "sd/x.yml")
            wait_until(lambda: backline.values("a") == {two.address: 2}, "the end of the first file's series")
            assert backline.values("up{color='red'}") == {}


def test_the_evaluation_interval_is_the_step_of_subqueries_and_the_rules_own():
    with scratch() as where:
        (where / "r.yml").write_text("groups: [{name: g, rules: [{record: n, expr: 'count_over_time(vector(1)[1m:])'}]}]")
        config = "global: {evaluation_interval: %%s, external_labels: {a: %%s}}\nrule_files: ['%s']\n" % (where / "r.yml")
        with Prometheus(where, config % ("10s", "x")) as backline:
            count = lambda: float(backline.query("count_over_time(vector(1)[1m:])")[0]["value"][1])
            interval = lambda: backline.get("/api/v1/rules")["data"]["groups"][0]["interval"]
            assert 6 <= count() <= 7 and interval() == 10
            backline.save(config % ("1s", "x"))
            wait_until(lambda: interval() == 1, "the rules take the new interval")
            assert 60 <= count() <= 61
            wait_until(lambda: [n for n in backline.query("n") if 60 <= float(n["value"][1]) <= 61], "rules take the step")


def test_a_server_names_the_targets():
    state = {"status": 200, "type": "application/json"}
    with scratch() as where, Server(page(b"a 1\n")) as one:
        def answer(handler):
            state["asked"] = dict(handler.headers)
            return state["status"], {"Content-Type": state["type"]}, json.dumps(
                [{"targets": state.get("targets", [one.address]), "labels": {"color": "blue"}}]).encode()
        with Server(answer) as server:
            config = GLOBAL + "- {job_name: h, http_sd_configs: [{url: 'http://%s/t', refresh_interval: 300ms}]}\n" % server.address
            with Prometheus(where, config) as backline:
                wait_until(lambda: backline.values("a{color='blue'}") == {one.address: 1}, "the server's target")
                assert state["asked"]["X-Prometheus-Refresh-Interval-Seconds"] == "0.3"
                for state["status"], state["type"] in ((500, "application/json"), (200, "text/html")):
                    before = backline.process.output().count("discovery failed")
                    wait_until(lambda: backline.process.output().count("discovery failed") > before, "a failure is told")
                    assert backline.values("up") == {one.address: 1}
                state["type"], state["targets"] = "application/json", []
                wait_until(lambda: backline.values("up") == {}, "the end of the target")
                assert backline.get("/api/v1/targets")["data"]["activeTargets"] == []


def test_targets_that_misbehave_harm_only_themselves():
    bomb = gzip.compress(b"a 1\n" * (4 << 20))
    with scratch() as where, Server(page(b"a 1\n")) as good, Server(page(bomb, Content_Encoding="gzip")) as packed, \
            Server(page(gzip.compress(b"a 7\n"), Content_Encoding="gzip")) as fine, Server(page(b"x", Content_Encoding="gzip")) as cut, \
            Server(page(b'a{x="' + b"v" * (1 << 20) + b'"} 1\n')) as long, Targets() as bad:
        config = GLOBAL + "- {job_name: good, static_configs: [{targets: ['%s', '%s']}]}\n" % (good.address, fine.address)
        config += "- {job_name: packed, body_size_limit: 1MB, static_configs: [{targets: ['%s']}]}\n" % packed.address
        config += "- {job_name: cut, static_configs: [{targets: ['%s']}]}\n" % cut.address
        config += "- {job_name: long, label_value_length_limit: 1000, static_configs: [{targets: ['%s']}]}\n" % long.address
        for path in ("hang", "lies", "huge", "garbage", "hop/3"):
            config += "- {job_name: %s, metrics_path: /%s, body_size_limit: 1MB, static_configs: [{targets: ['127.0.0.1:%d']}]}\n" % (
                path, path, bad.port)
        wanted = {"packed": "body size limit exceeded", "cut": "the body is not gzip, or cut", "hang": "context deadline exceeded",
                  "lies": "", "huge": "body size limit exceeded", "garbage": "line 1", "hop/3": "",
                  "long": "label_value_length_limit exceeded"}
        with Prometheus(where, config) as backline:
            def errors():
                return {t["scrapePool"]: t["lastError"] for t in backline.get("/api/v1/targets")["data"]["activeTargets"]
                        if t["health"] == "down"}
            wait_until(lambda: set(errors()) == set(wanted), "every bad target is down")
            for pool, error in errors().items():
                assert wanted[pool] in error, (pool, error)
            wait_until(lambda: backline.values("a") == {good.address: 1, fine.address: 7}, "the good ones are collected")
            bad.release.set()


def test_a_bad_configuration_changes_nothing():
    with scratch() as where, Server(page(b"a 1\n")) as one:
        good = GLOBAL + "- {job_name: j, static_configs: [{targets: ['%s']}]}\n" % one.address
        with Prometheus(where, good) as backline:
            wait_until(lambda: backline.values("a") == {one.address: 1}, "the target")
            backline.save(good + "- {job_name: k, targets: [a]}\n")
            wait_until(lambda: "unknown key 'targets'" in backline.process.output(), "the reason in the log")
            status, text = request(backline.base + "/-/reload", b"", "POST")
            assert status == 500 and "prometheus.yml:4:17: error: unknown key 'targets'" in text, text
            assert backline.values("up") == {one.address: 1}
            backline.save(good.replace("job_name: j", "job_name: k"))
            wait_until(lambda: backline.query("up{job='k'}") and not backline.query("up{job='j'}"), "the new job alone")
            assert request(backline.base + "/-/reload", b"", "POST") == (200, "")
            os.kill(backline.process.pid, signal.SIGHUP)
            wait_until(lambda: backline.query("up{job='k'}"), "it goes on")
            assert "job_name: k" in backline.get("/api/v1/status/config")["data"]["yaml"]


def test_a_reload_does_not_end_the_series_of_a_target_that_is_slow():
    came, goes_on, slow = threading.Event(), threading.Event(), {"now": False}

    def answer(_handler):
        if slow["now"]:
            slow["now"] = False
            came.set()
            goes_on.wait(10)
        return 200, {"Content-Type": "text/plain"}, b"a 1\n"

    with scratch() as where, Server(answer) as one:
        config = "global: {scrape_interval: %s, scrape_timeout: %s}\nscrape_configs:\n" \
                 "- {job_name: j, static_configs: [{targets: ['%s']}]}\n"
        with Prometheus(where, config % ("3s", "3s", one.address)) as backline:
            def values(metric):
                found = backline.query(metric + "[5m]")
                return [float(value) for _, value in found[0]["values"]] if found else []

            wait_until(lambda: values("up"), "the first scrape")
            slow["now"] = True
            assert came.wait(10)
            had = len(values("up"))
            for _ in range(2):
                assert request(backline.base + "/-/reload", b"", "POST") == (200, "")
            goes_on.set()
            wait_until(lambda: len(values("up")) >= had + 2, "two more scrapes", 20)
            # were it another target, its series would have ended and begun anew
            assert sum(value > 0 for value in values("scrape_series_added")) == 1, values("scrape_series_added")
            assert set(values("up")) == {1}


def test_a_secret_in_a_file_is_read_for_each_scrape():
    accepted = {"secret": "one"}

    def answer(handler):
        wanted = "Basic " + base64.b64encode(("me:" + accepted["secret"]).encode()).decode()
        fine = handler.headers.get("Authorization") == wanted
        return (200 if fine else 401), {"Content-Type": "text/plain"}, b"a 1\n"
    with scratch() as where, Server(answer) as one:
        (where / "secret").write_text("one\n")
        config = GLOBAL + ("- {job_name: j, basic_auth: {username: me, password_file: secret},"
                           " static_configs: [{targets: ['%s']}]}\n" % one.address)
        with Prometheus(where, config) as backline:
            wait_until(lambda: backline.values("up") == {one.address: 1}, "the first secret")
            accepted["secret"] = "two"
            wait_until(lambda: backline.values("up") == {one.address: 0}, "the old secret is refused")
            assert "server returned HTTP status 401" in backline.get("/api/v1/targets")["data"]["activeTargets"][0]["lastError"]
            (where / "secret").write_text("two")
            wait_until(lambda: backline.values("up") == {one.address: 1}, "the new secret")


def test_nothing_else_is_watched():
    with scratch() as where, Prometheus(where, "") as backline:
        assert backline.get("/api/v1/targets")["data"] == {"activeTargets": [], "droppedTargets": []}
        assert backline.get("/api/v1/label/__name__/values")["data"] == []


def test_the_import_is_a_site_file_that_checks():
    with scratch() as where:
        (where / "p.yml").write_text("global: {scrape_interval: 5s}\nscrape_configs:\n"
                                     "- {job_name: api, basic_auth: {username: u, password: hidden}, static_configs: [{targets: [a:1, b:2]}]}\n")
        done = subprocess.run([PROGRAM, "import", "prometheus", str(where / "p.yml")], capture_output=True, text=True)
        assert done.returncode == 3 and "hidden" not in done.stdout + done.stderr, done
        assert "the secret is not written" in done.stderr, done.stderr
        (where / "site.yaml").write_text(done.stdout)
        (where / "m.md").write_text("# Manual\n")
        checked = subprocess.run([PROGRAM, "check", str(where / "m.md"), "--site", str(where / "site.yaml")], capture_output=True,
                                 text=True, env={**os.environ, "API_A_1_PASSWORD": "x", "API_B_2_PASSWORD": "y"})
        assert checked.returncode == 0, checked
        (where / "p.yml").write_text("scrape_configs: [{job_name: api, static_configs: [{targets: [a:1]}]}]\n")
        assert subprocess.run([PROGRAM, "import", "prometheus", str(where / "p.yml")], capture_output=True).returncode == 0
        (where / "p.yml").write_text("scrape_config: []\n")
        assert subprocess.run([PROGRAM, "import", "prometheus", str(where / "p.yml")], capture_output=True).returncode == 1


if __name__ == "__main__":
    main(globals())
