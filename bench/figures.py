#!/usr/bin/env python3
"""The figures of the program itself, each beside its limit: size, start, memory, CPU.

Runs the release binary with the embedded manual on a port of its own, for SECONDS (default 300)."""
import argparse
import http.server
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build/backline"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(where, port, *arguments):
    began = time.monotonic()
    process = subprocess.Popen([PROGRAM, "serve", "--auth", "off", "--data", where, "--listen", "127.0.0.1:%d" % port, *arguments],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            urllib.request.urlopen("http://127.0.0.1:%d/readyz" % port, timeout=1).read()
            return process, (time.monotonic() - began) * 1000
        except OSError:
            if process.poll() is not None or time.monotonic() - began > 30:
                sys.exit("backline does not start")
            time.sleep(0.001)


def end(process):
    process.send_signal(signal.SIGTERM)
    process.wait(30)


def cpu_seconds(pid):
    fields = pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid):
    for line in pathlib.Path("/proc/%d/status" % pid).read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def show(what, value, unit, limit):
    print("%-40s %8.2f %-6s limit %6.1f  ratio %.2f" % (what, value, unit, limit, value / limit))


MANUAL = """# B
## Limits
| Metric | Warning | Critical | Type |
| --- | --- | --- | --- |
| Memory usage | > 70% | > 90% | Resource |

## Channels
- **Critical alerts**: Webhook hook
"""
SITE = """hold: 0s
intervals: {{ scrape: 1s, evaluate: 1s }}
components: {{ t: {{ kind: exporter, metrics: "http://127.0.0.1:{target}/metrics" }} }}
providers: {{ webhooks: {{ hook: {{ url: "http://127.0.0.1:{hook}/" }} }} }}
"""


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body=b""):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def latencies(rounds):
    """Seconds from a value crossing its limit at the target to the webhook that says so."""
    state = {"used": 10, "heard": threading.Event(), "want": "firing"}

    class Target(Quiet):
        def do_GET(self):
            self.answer(b"node_memory_MemTotal_bytes 100\nnode_memory_MemAvailable_bytes %d\n" % (100 - state["used"]))

    class Hook(Quiet):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer()
            if body["status"] == state["want"]:
                state["heard"].set()
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) for handler in (Target, Hook)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    took = []
    with tempfile.TemporaryDirectory() as where:
        manual, site = os.path.join(where, "m.md"), os.path.join(where, "s.yaml")
        pathlib.Path(manual).write_text(MANUAL)
        pathlib.Path(site).write_text(SITE.format(target=servers[0].server_port, hook=servers[1].server_port))
        process, _ = start(os.path.join(where, "data"), free_port(), "--manual", manual, "--site", site)
        for n in range(rounds):
            time.sleep(3 + n * 0.137 % 1)  # no round begins at the same moment of the intervals
            for used, want in ((95, "firing"), (10, "resolved")):
                state.update(want=want)
                state["heard"].clear()
                state["used"], began = used, time.monotonic()
                if not state["heard"].wait(30):
                    sys.exit("no webhook within 30 s")
                if want == "firing":
                    took.append(time.monotonic() - began)
        end(process)
    for server in servers:
        server.shutdown()
    return took


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", nargs="?", type=int, default=300)
    seconds = parser.parse_args().seconds
    show("release binary", PROGRAM.stat().st_size / 2 ** 20, "MiB", 10)
    took = latencies(11)
    show("limit crossed to webhook, median of 11", statistics.median(took), "s", 2)
    show("limit crossed to webhook, slowest", max(took), "s", 2)
    starts = []
    with tempfile.TemporaryDirectory() as where:
        for _ in range(5):
            process, took_ms = start(where, free_port())
            starts.append(took_ms)
            end(process)
        show("serve to /readyz, median of 5", statistics.median(starts), "ms", 300)
        process, _ = start(where, free_port())
        time.sleep(10)  # the start is measured above
        before, began = cpu_seconds(process.pid), time.monotonic()
        time.sleep(seconds)
        used = (cpu_seconds(process.pid) - before) / (time.monotonic() - began) * 100
        show("CPU, of one core, over %d s" % seconds, used, "%", 0.5)
        show("resident memory", resident_mib(process.pid), "MiB", 32)
        end(process)


if __name__ == "__main__":
    main()
