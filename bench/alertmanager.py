#!/usr/bin/env python3
"""Alerts and silences through API v2, on Backline and on Debian's Alertmanager in one run:
bench/alertmanager.py [ALERTS [SILENCES]]. Alerts go in bodies of 1,000, silences one by one over 64
connections; then every one of both is listed once. `./run --build` first."""
import concurrent.futures
import datetime
import http.client
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
ALERTS = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
SILENCES = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
CONNECTIONS = 64


def instant(seconds):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def call(connection, method, path, body=None):
    connection.request(method, "/api/v2" + path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    data = answer.read()
    assert answer.status == 200, (method, path, answer.status, data[:200])
    return data


def connect(port):
    return http.client.HTTPConnection("127.0.0.1", port, timeout=300)


def post_alerts(port):
    connection = connect(port)
    for start in range(0, ALERTS, 1000):
        call(connection, "POST", "/alerts", json.dumps([
            {"labels": {"alertname": "Bench", "instance": "host-%d" % i, "job": "bench", "severity": "info"},
             "annotations": {"summary": "alert %d" % i}, "endsAt": instant(3600)}
            for i in range(start, min(start + 1000, ALERTS))]))


def post_silences(port):
    def some(first):
        connection = connect(port)
        for i in range(first, SILENCES, CONNECTIONS):
            call(connection, "POST", "/silences", json.dumps({
                "matchers": [{"name": "instance", "value": "other-%d" % i, "isRegex": False, "isEqual": True}],
                "startsAt": instant(0), "endsAt": instant(3600), "createdBy": "bench", "comment": "planned"}))
    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(some, range(CONNECTIONS)))


def list_all(port):
    connection = connect(port)
    assert len(json.loads(call(connection, "GET", "/alerts?filter=job%3D%22bench%22"))) == ALERTS
    assert len(json.loads(call(connection, "GET", "/silences"))) == SILENCES


def resident_mib(pid):
    pages = int(pathlib.Path("/proc/%d/statm" % pid).read_text().split()[1])
    return pages * 4096 / 2**20


def await_port(port):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            call(connect(port), "GET", "/status")
            return
        except (OSError, http.client.HTTPException, AssertionError):
            time.sleep(0.05)
    raise SystemExit("no answer at port %d" % port)


def measure(name, command, port):
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await_port(port)
        times = []
        for step in (post_alerts, post_silences, list_all):
            begin = time.monotonic()
            step(port)
            times.append(time.monotonic() - begin)
        print("%-14s alerts %7.2f s   silences %7.2f s   lists %6.2f s   resident %6.0f MiB"
              % (name, *times, resident_mib(process.pid)), flush=True)
    finally:
        process.terminate()
        process.wait(60)


def main():
    with tempfile.TemporaryDirectory() as where:
        port = free_port()
        measure("backline", [str(ROOT / "build/backline"), "serve", "--auth", "off", "--data", where + "/data",
                             "--listen", "127.0.0.1:%d" % port, "--prometheus-config", "/dev/null"], port)
        port = free_port()
        config = pathlib.Path(where, "alertmanager.yml")
        config.write_text("route: { receiver: none }\nreceivers: [ { name: none } ]\n")
        measure("alertmanager", ["prometheus-alertmanager", "--config.file", str(config), "--storage.path", where + "/am",
                                 "--web.listen-address", "127.0.0.1:%d" % port, "--cluster.listen-address="], port)


main()
