#!/usr/bin/env python3
"""Remote write out, to the real things: Debian's Prometheus and VictoriaMetrics. What Backline holds,
they hold: over failing receivers, kills of Backline and restarts of both, each sample once."""
import atexit
import http.client
import http.server
import json
import os
import random
import signal
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(__file__))
from harness import LONG, Backline, Process, free_port, main, request, scratch, wait_until
from servers import program
from store_test import push

SERIES = 60
ROUNDS = 400 if LONG else 60
SEED = int(os.environ.get("KILL_SEED", random.randrange(1 << 32)))


class Receiver:
    """A server that remembers over stop() and start()."""

    def __init__(self, where):
        self.where, self.port = where, free_port()
        self.base = "http://127.0.0.1:%d" % self.port
        where.mkdir()
        self.process = None

    def start(self):
        self.process = Process(self.command(), log=str(self.where / "log"))
        wait_until(lambda: request(self.base + self.READY)[0] == 200, "%s answers" % type(self).__name__)
        return self

    def stop(self, how=signal.SIGTERM):
        self.process.end(how)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop(signal.SIGKILL)


class Prometheus(Receiver):
    READY = "/-/ready"

    def command(self):
        (self.where / "prometheus.yml").write_text("")
        return [program("prometheus"), "--config.file", str(self.where / "prometheus.yml"),
                "--storage.tsdb.path", str(self.where / "data"), "--web.enable-remote-write-receiver",
                "--web.listen-address", "127.0.0.1:%d" % self.port]

    def samples(self, at_s):
        return raw_samples(self.base, at_s)


class VictoriaMetrics(Receiver):
    READY = "/health"

    def command(self):
        return [program("victoria-metrics"), "-storageDataPath", str(self.where / "data"),
                "-httpListenAddr", "127.0.0.1:%d" % self.port, "-retentionPeriod", "100y"]

    def samples(self, at_s):
        """As raw_samples(), but a sample that came twice is kept twice there."""
        status, text = request("%s/api/v1/export?match[]=m&start=%d&end=%d" % (self.base, at_s - 7200, at_s + 7200))
        assert status == 200, text
        found = {}
        for line in text.splitlines():
            series = json.loads(line)
            key = tuple(sorted(series["metric"].items()))
            found[key] = sorted(set(zip(series["timestamps"], map(float, series["values"]))))
        return found


def raw_samples(base, at_s):
    """{labels: [(t_ms, value)]} of m, by Prometheus' API."""
    status, text = request("%s/api/v1/query?query=m[2h]&time=%d" % (base, at_s))
    assert status == 200, text[:300]
    return {tuple(sorted(series["metric"].items())): [(round(t * 1000), float(v)) for t, v in series["values"]]
            for series in json.loads(text)["data"]["result"]}


class Flaky:
    """In front of a receiver: fails in each way that is to be tried again."""

    def __init__(self, upstream):
        flaky = self
        self.count, self.failed = 0, {}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                flaky.count += 1
                way = {3: 500, 5: 503, 6: 429, 8: "lost", 9: "cut"}.get(flaky.count % 10)
                flaky.failed[way] = flaky.failed.get(way, 0) + 1
                if way == "cut":
                    self.close_connection = True
                    return
                if isinstance(way, int):
                    self.answer(way)
                    return
                asked = urllib.request.Request(upstream + self.path, body, dict(self.headers), method="POST")
                try:
                    with urllib.request.urlopen(asked, timeout=20) as answer:
                        status = answer.status
                except urllib.error.HTTPError as error:
                    status = error.code
                if way == "lost":
                    self.close_connection = True
                    return
                self.answer(status)

            def answer(self, status):
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", "1")
                self.send_header("Content-Length", "0")
                if status == 204:
                    del self._headers_buffer[-1:]
                self.end_headers()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def remote(url, more=""):
    return ("- url: %s/api/v1/write\n  queue_config: {max_samples_per_send: 100, batch_send_deadline: 200ms, "
            "min_backoff: 10ms, max_backoff: 100ms%s}\n" % (url, more))


def started(where, *remotes):
    config = where / "prometheus.yml"
    config.write_text("remote_write:\n" + "".join(remotes))
    return begun(where, config)


def begun(where, config):
    b = Backline(where, arguments=["--prometheus-config", str(config)])
    b.start()
    atexit.register(lambda: b.kill())  # a test that fails leaves it running
    return b


class Load(threading.Thread):
    """Pushes round after round; what is not acknowledged is pushed again, as any sender would."""

    def __init__(self, b, rounds=ROUNDS):
        super().__init__()
        self.b, self.rounds, self.done = b, rounds, 0
        self.began_ms = int(time.time()) * 1000 - rounds * 3000
        self.at_s = self.began_ms // 1000 + rounds * 3 + 1
        self.problem = None

    def batch(self, number):
        return {(("__name__", "m"), ("host", "h%d" % i)):
                [(self.began_ms + (number * 3 + s) * 1000, float(i * number + s)) for s in range(3)]
                for i in range(SERIES)}

    def run(self):
        for number in range(self.rounds):
            while self.problem is None:
                try:
                    push(self.b, self.batch(number))
                    break
                except (OSError, http.client.HTTPException):  # it is being killed, or starts
                    wait_until(lambda: request(self.b.base + "/readyz")[0] == 200, "it is there again", 60)
                except AssertionError as problem:
                    self.problem = problem
            self.done = number + 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.rounds = 0
        self.join()

    def finish(self):
        self.join()
        assert self.problem is None, self.problem

    def reached(self, part):
        wait_until(lambda: self.done >= self.rounds * part, "%d %% of the load" % (part * 100), 120)


def metrics(b, name):
    """The values of one family, by the number in the remote's address."""
    return {line.split('url="')[1].split('"')[0] if "{" in line else "": float(line.split()[-1])
            for line in request(b.base + "/metrics")[1].splitlines() if line.split("{")[0].split(" ")[0] == name}


def lost_rounds(load, held, there):
    """The rounds of which the receiver lacks something; it must lack all of them, and hold nothing else."""
    lost = {k: set(v) - set(there.get(k, [])) for k, v in held.items()}
    rounds = {(t - load.began_ms) // 3000 for samples in lost.values() for t, _ in samples}
    whole = all(len(samples) == 3 * len(rounds) for samples in lost.values())
    return rounds if whole and all(set(v) <= set(held.get(k, [])) for k, v in there.items()) else None


def same(load, b, receiver, kills=0):
    """Awaits that the receiver holds what Backline holds, and Backline what was pushed. A kill between the store's
    write and the queue's costs the remotes that one commit (ARCHITECTURE.md): a round, each kill at most."""
    held = raw_samples(b.base, load.at_s)
    assert sum(map(len, held.values())) == SERIES * load.done * 3, {k: len(v) for k, v in held.items()}
    def nothing_waits():
        return all(n == 0 for url, n in metrics(b, "prometheus_remote_storage_samples_pending").items()
                   if url.startswith(receiver.base))
    def few_are_lost():
        rounds = lost_rounds(load, held, receiver.samples(load.at_s))
        return rounds is not None and len(rounds) <= kills
    try:
        if kills:
            wait_until(nothing_waits, "nothing waits for the receiver", 60)
        wait_until(few_are_lost, "both ends hold the same", 60)
    except AssertionError as problem:
        there = receiver.samples(load.at_s)
        missing = {dict(k)["host"]: sorted(set(v) - set(there.get(k, []))) for k, v in held.items()}
        told = ["%s: %d from %r" % (host, len(lost), lost[0]) for host, lost in missing.items() if lost]
        raise AssertionError("%s; seed %d; missing of %d series: %s" % (problem, SEED, len(told), told[:5])) from problem


def test_both_hold_what_backline_holds_over_kills_and_receivers_that_stop():
    print("    seed %d" % SEED)
    chance = random.Random(SEED)
    with scratch() as where, Prometheus(where / "p") as p, VictoriaMetrics(where / "v") as v:
        b = started(where, remote(p.base, ", min_shards: 2"), remote(v.base))
        with Load(b) as load:
            load.reached(0.2)
            p.stop()
            load.reached(0.4)
            kills = 8 if LONG else 3
            for _ in range(kills):
                b.kill()
                b.start()
                until = load.done + chance.randrange(1, 6)
                wait_until(lambda: load.done >= min(until, load.rounds), "the load goes on", 60)
            p.start()
            v.stop()  # a kill would cost it what it acknowledged within the last seconds
            v.start()
            b.kill()
            b.start()
            load.finish()
            same(load, b, p, kills + 1)
            b.stop()
            b.start()
            same(load, b, v, kills + 1)
            same(load, b, p, kills + 1)
        assert all(n == 0 for n in metrics(b, "prometheus_remote_storage_samples_failed_total").values())
        wait_until(lambda: all(n == 0 for n in metrics(b, "prometheus_remote_storage_samples_pending").values()),
                   "nothing waits")
        b.stop()


def test_what_waits_outlives_a_stop_without_any_receiver():
    with scratch() as where:
        port = free_port()
        b = started(where, remote("http://user:secret@127.0.0.1:%d" % port))
        with Load(b, 20) as load:
            load.finish()
        address = "http://127.0.0.1:%d/api/v1/write" % port
        assert metrics(b, "prometheus_remote_storage_samples_pending") == {address: SERIES * 60}
        wait_until(lambda: "trying again" in b.process.output(), "the failure is told")
        assert "secret" not in b.process.output()
        b.stop()
        with Prometheus(where / "p") as p:
            (where / "prometheus.yml").write_text("remote_write:\n- url: %s/api/v1/write\n  name: other\n" % p.base)
            b.start()  # another one: it begins now
            assert metrics(b, "prometheus_remote_storage_samples_pending")[p.base + "/api/v1/write"] == 0
            b.stop()
        b = None
        with scratch() as second, Prometheus(second / "p") as p:
            config = second / "prometheus.yml"
            config.write_text("remote_write:\n- name: stays\n  url: http://127.0.0.1:%d/api/v1/write\n" % port)
            b = begun(second, config)
            with Load(b, 20) as load:
                load.finish()
            b.kill()
            config.write_text("remote_write:\n- name: stays\n  url: %s/api/v1/write\n" % p.base)
            b.start()  # the same one, by its name, at another address
            same(load, b, p)
            b.stop()


def test_a_receiver_that_fails_in_every_way_gets_each_sample():
    with scratch() as where, Prometheus(where / "p") as p, Flaky(p.base) as flaky:
        b = started(where, remote(flaky.base, ", min_shards: 3"))
        with Load(b) as load:
            load.finish()
            same(load, b, p)
        assert {500, 503, 429, "lost", "cut"} <= set(flaky.failed), flaky.failed
        assert list(metrics(b, "prometheus_remote_storage_samples_retried_total").values())[0] > 0
        assert list(metrics(b, "prometheus_remote_storage_samples_failed_total").values())[0] == 0
        b.stop()


def test_a_reload_adds_and_removes_receivers_while_samples_flow():
    with scratch() as where, Prometheus(where / "p") as p, Prometheus(where / "q") as q:
        b = started(where, remote(p.base))
        with Load(b, ROUNDS * 5) as load:
            load.reached(0.1)
            (where / "prometheus.yml").write_text("remote_write:\n" + remote(p.base, ", min_shards: 4") + remote(q.base))
            wait_until(lambda: len(metrics(b, "prometheus_remote_storage_shards")) == 2, "two remotes")
            wait_until(lambda: q.samples(load.at_s), "the new one has samples")
            (where / "prometheus.yml").write_text("remote_write:\n" + remote(p.base))
            wait_until(lambda: len(metrics(b, "prometheus_remote_storage_shards")) == 1, "one remote")
            load.finish()
            same(load, b, p)
        there, here = q.samples(load.at_s), raw_samples(b.base, load.at_s)
        assert there and all(set(v) <= set(here[k]) for k, v in there.items())
        b.stop()


class Asked:
    """Notes the headers of what reaches it, takes everything, or answers as it is told."""

    def __init__(self, status=204, body=b""):
        asked = self
        self.headers = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                asked.headers.append(dict(self.headers))
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def test_a_refusal_in_many_words_is_one():
    with scratch() as where, Asked(400, b"no" * 100000) as asked:
        b = started(where, remote(asked.base))
        push(b, {(("__name__", "m"),): [(int(time.time() * 1000), 1.0)]})
        wait_until(lambda: sum(metrics(b, "prometheus_remote_storage_samples_failed_total").values()) >= 1,
                   "what is refused is dropped, not tried again")
        assert sum(metrics(b, "prometheus_remote_storage_samples_retried_total").values()) == 0
        b.stop()


def test_the_site_file_names_remotes_beside_a_prometheus_yml():
    with scratch() as where, Prometheus(where / "p") as p, VictoriaMetrics(where / "v") as v, Asked() as asked:
        site, config = where / "site.yaml", where / "prometheus.yml"
        (where / "token").write_text("t0ken\n")
        config.write_text("remote_write:\n" + remote(p.base))
        site.write_text("site: Here\nmetrics:\n  external_labels: {place: here}\n  remote:\n"
                        "    - url: %s/api/v1/write\n"
                        "    - {name: strict, url: '%s/push', bearer: '${file:%s}', headers: {X-Scope-OrgID: us}}\n"
                        % (v.base, asked.base, where / "token"))
        b = Backline(where, site=site, arguments=["--prometheus-config", str(config)])
        b.start()
        atexit.register(lambda: b.kill())
        with Load(b, 20) as load:
            load.finish()
            same(load, b, p)
            held = {tuple(sorted(k + (("place", "here"),))): s for k, s in raw_samples(b.base, load.at_s).items()}
            wait_until(lambda: v.samples(load.at_s) == held, "VictoriaMetrics holds it, with the label", 60)
        wait_until(lambda: asked.headers, "the third is asked")
        assert asked.headers[0]["Authorization"] == "Bearer t0ken", asked.headers[0]
        assert asked.headers[0]["X-Scope-OrgID"] == "us", asked.headers[0]
        assert "t0ken" not in b.process.output() and "t0ken" not in request(b.base + "/metrics")[1]
        site.write_text("site: Here\n")
        wait_until(lambda: len(metrics(b, "prometheus_remote_storage_shards")) == 1, "the site's are gone")
        b.stop()


if __name__ == "__main__":
    main(globals())
