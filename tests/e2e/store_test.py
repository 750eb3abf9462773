#!/usr/bin/env python3
"""The metrics store from outside: samples pushed by remote write, Prometheus' admin API, the files' verbs,
damage that is told and repaired."""
import json
import os
import pathlib
import struct
import subprocess
import time

from harness import PROGRAM, Backline, main, request, scratch, wait_until


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def write_request(series, exemplars=None):
    """A remote write request of {labels: [(t_ms, value)]}, snappy's literals only; {labels: [(t_ms, value, trace)]}."""
    raw = b""
    for labels, samples in series.items():
        body = b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in labels)
        for t_ms, value in samples:
            body += field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(t_ms))
        for t_ms, value, trace in (exemplars or {}).get(labels, ()):
            body += field(3, field(1, field(1, b"trace_id") + field(2, trace.encode())) + b"\x11" +
                          struct.pack("<d", value) + b"\x18" + varint(t_ms))
        raw += field(1, body)
    packed = varint(len(raw))
    for at in range(0, len(raw), 60):
        piece = raw[at:at + 60]
        packed += bytes([(len(piece) - 1) << 2]) + piece
    return packed


def push(b, series):
    status, text = request(b.base + "/api/v1/write", write_request(series), "POST",
                           {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"})
    assert status in (200, 204), (status, text)


NOW_MS = int(time.time()) * 1000 - 3600000


def some_series(count=50, samples=600):
    return {(("__name__", "m"), ("host", "h%d" % i)): [(NOW_MS + s * 1000, float(i * s % 977))
                                                       for s in range(samples)] for i in range(count)}


def started(where):
    b = Backline(where, arguments=["--prometheus-config", "/dev/null"])
    b.start()
    return b


def ask(b, query):
    status, text = request("%s/api/v1/query?query=%s&time=%d" % (b.base, query, NOW_MS // 1000 + 600))
    return status, json.loads(text)


def value_of(b, query):
    status, answer = ask(b, query)
    assert status == 200, answer
    return float(answer["data"]["result"][0]["value"][1]) if answer["data"]["result"] else None


def admin(b, path, method="POST"):
    return request(b.base + "/api/v1/admin/tsdb/" + path, b"", method)


def tsdb_verb(verb, *arguments):
    done = subprocess.run([PROGRAM, "tsdb", verb, "--json", *arguments], capture_output=True, text=True, timeout=60)
    return done.returncode, json.loads(done.stdout) if done.stdout.strip() else done.stderr


SUM = "sum(sum_over_time(m[15m]))"


def test_flushing_merging_and_restarts_change_no_answer():
    with scratch() as where:
        b = started(where)
        for part in range(4):
            push(b, {labels: samples[part * 150:(part + 1) * 150] for labels, samples in some_series().items()})
            if part % 2 == 0:
                assert admin(b, "compact")[0] == 204
        wanted = value_of(b, SUM)
        assert value_of(b, "sum(count_over_time(m[15m]))") == 50 * 600
        for act in (lambda: admin(b, "compact"), b.kill, b.start, b.stop, b.start):
            act()
            if b.process.alive():
                assert value_of(b, SUM) == wanted
        b.stop()


def test_what_is_erased_is_gone_and_recorded():
    with scratch() as where:
        b = started(where)
        push(b, some_series())
        assert admin(b, "delete_series")[0] == 400
        status, text = admin(b, "delete_series?match[]=rate(m[5m])")
        assert status == 400 and "selector" in text, text
        assert admin(b, "delete_series?match[]=m{host=%22h7%22}")[0] == 204
        assert admin(b, "clean_tombstones")[0] == 204
        assert value_of(b, 'count(m)') == 49 and value_of(b, 'm{host="h7"}'.replace('"', "%22")) is None
        rows = json.loads(subprocess.run([PROGRAM, "journal", "list", "--data", str(b.data), "--json"],
                                         capture_output=True, text=True, timeout=60).stdout)
        assert any(row["kind"] == "erase" and "h7" in row["summary"] for row in rows), rows
        b.stop()


def test_a_snapshot_is_whole_while_writing_goes_on():
    with scratch() as where:
        b = started(where)
        push(b, some_series())
        status, text = admin(b, "snapshot", "PUT")
        assert status == 200, text
        name = json.loads(text)["data"]["name"]
        push(b, {(("__name__", "later"),): [(NOW_MS, 1.0)]})
        code, files = tsdb_verb("verify", str(b.data / "metrics/snapshots" / name))
        assert code == 0 and sum(f["samples"] for f in files) == 50 * 600, files
        b.stop()


def test_what_holds_most_series_is_told():
    with scratch() as where:
        b = started(where)
        push(b, some_series(20, 3))
        status, text = request(b.base + "/api/v1/status/tsdb?limit=2")
        data = json.loads(text)["data"]
        assert data["headStats"]["numSeries"] == 20 and data["headStats"]["maxTime"] == NOW_MS + 2000
        assert data["seriesCountByMetricName"] == [{"name": "m", "value": 20}], data
        assert data["labelValueCountByLabelName"][0] == {"name": "host", "value": 20}
        assert data["seriesCountByLabelValuePair"][0] == {"name": "__name__=m", "value": 20}
        b.stop()


def test_damage_is_told_and_repaired():
    with scratch() as where:
        b = started(where)
        push(b, some_series())
        assert admin(b, "compact")[0] == 204
        code, problem = tsdb_verb("repair", "--data", str(b.data))
        assert code == 1 and "runs on" in problem, problem
        b.stop()
        store = b.data / "metrics"
        code, files = tsdb_verb("verify", "--data", str(b.data))
        assert code == 0 and all(f["problem"] is None for f in files), files
        block = next(store.glob("block-*"))
        damaged = bytearray(block.read_bytes())
        damaged[len(damaged) // 3] ^= 0x40  # in a chunk
        block.write_bytes(damaged)
        code, files = tsdb_verb("verify", "--data", str(b.data))
        assert code == 1 and any(f["damaged_chunks"] == 1 and "byte" in f["problem"] for f in files), files
        b.start()
        status, answer = ask(b, SUM)
        assert status >= 422 and "damaged" in answer["error"], (status, answer)
        b.stop()
        code, files = tsdb_verb("repair", "--data", str(b.data))
        assert code == 0 and any(f["repaired"] for f in files), files
        assert list(store.glob("damaged-block-*"))
        b.start()
        kept = value_of(b, "sum(count_over_time(m[15m]))")
        assert 50 * 600 - 480 <= kept < 50 * 600, kept
        b.stop()


if __name__ == "__main__":
    main(globals())
