#!/usr/bin/env python3
"""The figures of the program itself, each beside its limit: size, start, memory, CPU.

Runs the release binary with the embedded manual on a port of its own, for SECONDS (default 300)."""
import argparse
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build/backline"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(where, port):
    began = time.monotonic()
    process = subprocess.Popen([PROGRAM, "serve", "--auth", "off", "--data", where, "--listen", "127.0.0.1:%d" % port],
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
    print("%-34s %8.2f %-6s limit %6.1f  ratio %.2f" % (what, value, unit, limit, value / limit))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", nargs="?", type=int, default=300)
    seconds = parser.parse_args().seconds
    show("release binary", PROGRAM.stat().st_size / 2 ** 20, "MiB", 10)
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
