#!/usr/bin/env python3
"""Fast churn: SERIES active series, one sample each 15 s, every one of them replaced after 5 minutes.

Pushes to the release binary by remote write for MINUTES (default 30), as fast as time goes, or with --speed N so
many times faster. A line for each minute: resident memory, series in memory, bytes on the disk, bytes a sample.
What it shows: memory and size per sample stay steady however many series came and went."""
import argparse
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import tempfile
import time
import http.client

ROOT = pathlib.Path(__file__).resolve().parent.parent
STEP_S, LIFE_STEPS, REQUEST_SERIES = 15, 20, 2000


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def labels_of(slot, life):
    pairs = (("__name__", "churn_metric_%d" % (slot % 20)), ("container", "c-%d-%d" % (slot, life)),
             ("job", "churn"), ("namespace", "n%d" % (slot % 50)), ("pod", "p-%d-%d" % (slot // 20, life)))
    return b"".join(field(1, field(1, n.encode()) + field(2, v.encode())) for n, v in pairs)


def snappy_literals(raw):
    packed = bytearray(varint(len(raw)))
    for at in range(0, len(raw), 65536):
        piece = raw[at:at + 65536]
        packed += bytes([61 << 2]) + struct.pack("<H", len(piece) - 1) + piece
    return bytes(packed)


class Load:
    """Slots of series; a twentieth of them begins a new life at each step."""

    def __init__(self, count):
        self.labels = [labels_of(slot, 0) for slot in range(count)]

    def requests(self, step, t_ms):
        when = b"\x10" + varint(t_ms)
        for first in range(0, len(self.labels), REQUEST_SERIES):
            raw = bytearray()
            for slot in range(first, min(first + REQUEST_SERIES, len(self.labels))):
                if step and (step + slot) % LIFE_STEPS == 0:
                    self.labels[slot] = labels_of(slot, step)
                value = float(step * (slot % 7) + slot % 1000)
                raw += field(1, self.labels[slot] + field(2, b"\x09" + struct.pack("<d", value) + when))
            yield snappy_literals(bytes(raw))


def disk_bytes(where):
    return sum(os.lstat(os.path.join(root, name)).st_size for root, _, names in os.walk(where) for name in names)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", nargs="?", type=int, default=30)
    parser.add_argument("--series", type=int, default=100000)
    parser.add_argument("--speed", type=float, default=1)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as where, socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
        s.close()
        process = subprocess.Popen([ROOT / "build/backline", "serve", "--auth", "off", "--data", where, "--listen",
                                    "127.0.0.1:%d" % port, "--prometheus-config", "/dev/null"],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            process.stdout.readline()
            run(wanted, pathlib.Path(where), port, process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def metric(connection, name):
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    return float(re.search("^%s ([0-9.e+]+)" % name, text, re.M).group(1))


def run(wanted, where, port, pid):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    load = Load(wanted.series)
    began, start_ms = time.monotonic(), int(time.time()) * 1000 - wanted.minutes * 60000
    print("minute  resident MB  series in memory  disk MB  samples   bytes/sample  CPU s")
    for step in range(wanted.minutes * 60 // STEP_S):
        for body in load.requests(step, start_ms + step * STEP_S * 1000):
            connection.request("POST", "/api/v1/write", body, {"Content-Encoding": "snappy"})
            answer = connection.getresponse()
            if answer.read() or answer.status not in (200, 204):
                raise SystemExit("refused: %d" % answer.status)
        if step % 4 == 3:
            report(connection, where, pid, step // 4 + 1)
        ahead = (step + 1) * STEP_S / wanted.speed - (time.monotonic() - began)
        if ahead > 0:
            time.sleep(ahead)


def report(connection, where, pid, minute):
    status = pathlib.Path("/proc/%d/status" % pid).read_text()
    resident = int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024
    spent = pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
    samples = metric(connection, "backline_samples_appended_total")
    disk = disk_bytes(where / "metrics")
    print("%6d  %11.1f  %16d  %7.1f  %8d  %12.2f  %5.1f" % (
        minute, resident, metric(connection, "backline_head_series"), disk / 1e6, samples, disk / samples,
        (int(spent[11]) + int(spent[12])) / os.sysconf("SC_CLK_TCK")), flush=True)


if __name__ == "__main__":
    main()
