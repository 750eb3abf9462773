#!/usr/bin/env python3
"""The fault table from outside: files damaged, clocks turned, disks filled, syncs failed, floods. Each row says
what was done and what came of it; what a test asserts is what its row says."""
import json
import os
import pathlib
import random
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from disk_test import fill, free_bytes, small_disk
from harness import Backline, main, request, scratch, wait_until
from standins.targets import Targets
from store_test import NOW_MS, SUM, admin, ask, push, some_series, started, tsdb_verb, value_of, varint, write_request

DAY_MS = 86400000


def row(fault, outcome):
    print("    | %s | %s |" % (fault, outcome), flush=True)


def send(b, series):
    """(status, text) of a remote write that may be refused."""
    return request(b.base + "/api/v1/write", write_request(series), "POST",
                   {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"})


def form_query(b, query, path="query", **more):
    body = urllib.parse.urlencode({"query": query, **more}).encode()
    status, text = request(b.base + "/api/v1/" + path, body, "POST",
                           {"Content-Type": "application/x-www-form-urlencoded"}, timeout_s=60)
    return status, json.loads(text)


def metric(b, name):
    return next(float(line.split()[1]) for line in request(b.base + "/metrics")[1].splitlines()
                if line.startswith(name + " "))


def resident_mb(b):
    return metric(b, "process_resident_memory_bytes") / 1e6


def synced(b):
    """All that was pushed before is on the disk: the second group sync from now has begun after it."""
    before = metric(b, "backline_wal_syncs_total")
    push(b, {(("__name__", "tick"),): [(int(time.time() * 1000), 1.0)]})
    wait_until(lambda: metric(b, "backline_wal_syncs_total") > before, "a group sync")


def one(b, query, at_ms):
    answer = b.get("/api/v1/query?query=%s&time=%f" % (urllib.parse.quote(query), at_ms / 1000))
    result = answer["data"]["result"]
    return float(result[0]["value"][1]) if result else None


def change(path, at, bits=0x40):
    data = bytearray(path.read_bytes())
    data[at] ^= bits
    path.write_bytes(data)


def newest_segment(b):
    return max((b.data / "metrics/wal").iterdir(), key=lambda p: (p.stat().st_size > 8, p.name))


def warnings(b, path="query", query="up"):
    return form_query(b, query, path)[1].get("warnings")


# ---- damaged files ----


def test_a_torn_log():
    with scratch() as where:
        b = started(where)
        push(b, some_series())
        synced(b)
        b.kill()
        with open(newest_segment(b), "ab") as log:
            log.write(random.Random(1).randbytes(333))
        code, files = tsdb_verb("verify", "--data", str(b.data))
        assert code == 1 and any(f["kind"] == "log" and "333 bytes" in (f["problem"] or "") for f in files), files
        b.start()
        assert value_of(b, "sum(count_over_time(m[15m]))") == 50 * 600
        assert "no whole record" in b.process.output() and warnings(b) is None
        b.stop()
        row("the log ends in 333 bytes of garbage", "all 30,000 samples are there; a log line and `tsdb verify` tell of it")


def test_a_damaged_log():
    with scratch() as where:
        b = started(where)
        for part in range(4):
            push(b, {labels: samples[part * 150:(part + 1) * 150] for labels, samples in some_series().items()})
        synced(b)
        b.kill()
        segment = newest_segment(b)
        change(segment, segment.stat().st_size * 2 // 3)  # in the third of four
        b.start()
        kept = value_of(b, "sum(count_over_time(m[15m]))")
        assert kept == 50 * 300, kept
        told = warnings(b)
        assert told and "may lack samples" in told[0], told
        assert metric(b, "backline_logs_damaged") == 1
        b.stop()
        row("a byte of the log is changed, good records behind it",
            "what stands before is there; every answer carries a warning, backline_logs_damaged is 1")


def test_a_missing_series_file():
    with scratch() as where:
        b = started(where)
        push(b, some_series())
        synced(b)
        b.kill()
        for path in (b.data / "metrics").glob("series-*"):
            path.unlink()
        b.start()
        assert value_of(b, "count(m)") is None and warnings(b) and metric(b, "backline_logs_damaged") == 1
        push(b, {(("__name__", "other"),): [(NOW_MS, 7.0)]})
        synced(b)
        b.kill()
        b.start()
        assert value_of(b, "sum_over_time(other[15m])") == 7, "samples without labels went to another series"
        b.stop()
        row("the series file (the log's index) is gone",
            "no sample goes to another series, after another restart either; every answer carries a warning")


def test_a_damaged_chunk():
    with scratch() as where:
        b = started(where)
        push(b, some_series())
        assert admin(b, "compact")[0] == 204
        b.stop()
        block = next((b.data / "metrics").glob("block-*"))
        change(block, 200)  # in the first chunk: of h0
        b.start()
        status, answer = ask(b, SUM)
        assert status >= 422 and "damaged" in answer["error"], (status, answer)
        assert ask(b, "m%7Bhost=%22h7%22%7D")[0] == 200
        b.stop()
        row("a chunk of a block is damaged", "a query that reads it fails: 'a chunk of block ... is damaged, at byte N'; others answer")


def damaged_block(what, damage):
    with scratch() as where:
        b = started(where)
        push(b, some_series())
        assert admin(b, "compact")[0] == 204
        push(b, {(("__name__", "later"),): [(NOW_MS + 600000, 3.0)]})
        b.stop()
        damage(next((b.data / "metrics").glob("block-*")))
        b.start()
        for path, query in (("query", "m"), ("query", "later")):
            told = warnings(b, path, query)
            assert told and "damaged" in told[0], (path, told)
        for path in ("series?match[]=m", "labels", "label/host/values"):
            assert "damaged" in b.get("/api/v1/" + path)["warnings"][0], path
        assert metric(b, "backline_blocks_damaged") == 1 and one(b, "later", NOW_MS + 600000) == 3
        b.stop()
        code, files = tsdb_verb("repair", "--data", str(b.data))
        assert code == 0 and list((b.data / "metrics").glob("damaged-block-*")), files
        b.start()
        assert warnings(b) is None and one(b, "later", NOW_MS + 600000) == 3
        b.stop()
        row(what, "the store starts without it; every answer carries a warning until `tsdb repair` set it aside")


def test_a_damaged_index():
    damaged_block("the index of a block is damaged", lambda path: change(path, path.stat().st_size - 400))


def test_a_cut_block():
    damaged_block("a block is cut to half its length", lambda path: os.truncate(path, path.stat().st_size // 2))


def test_an_empty_block():
    damaged_block("a block is empty", lambda path: os.truncate(path, 0))


def test_a_block_of_a_later_version():
    with scratch() as where:
        b = started(where)
        push(b, some_series(2, 3))
        assert admin(b, "compact")[0] == 204
        b.stop()
        block = next((b.data / "metrics").glob("block-*"))
        data = bytearray(block.read_bytes())
        data[7] = 9
        block.write_bytes(data)
        try:
            b.start()
            raise SystemExit("it started")
        except AssertionError as ended:
            assert "version 9" in str(ended) and "Another version" in str(ended), ended
        row("a block of a later version of the format", "it does not start: 'version 9 of block ... is not known', with what to do")


# ---- time ----


def test_a_sample_from_next_year():
    with scratch() as where:
        b = started(where)
        far = int(time.time() * 1000) + 365 * DAY_MS
        push(b, some_series())
        push(b, {(("__name__", "far"),): [(far, 5.0)]})
        assert admin(b, "compact")[0] == 204
        push(b, {(("__name__", "after"),): [(NOW_MS, 1.0)]})
        for _ in range(2):
            assert admin(b, "compact")[0] == 204
            assert value_of(b, "sum(count_over_time(m[15m]))") == 50 * 600 and one(b, "after", NOW_MS) == 1
            assert value_of(b, "far") is None and one(b, "far", far) == 5
            b.kill()
            b.start()
        # its series goes on at the present
        now = int(time.time() * 1000)
        push(b, {(("__name__", "far"),): [(now, 6.0)]})
        assert one(b, "far", now) == 6 and one(b, "far", far) == 5
        b.stop()
        row("a block with a sample dated next year",
            "it is kept and answered at its time; nothing else is dropped for it, its series goes on at the present")


def test_the_clock_jumps_both_ways():
    with scratch() as where, Targets() as target:
        target.page = "steady 7\n"
        (where / "p.yml").write_text("global: {scrape_interval: 10s}\nscrape_configs: [{job_name: a, static_configs: "
                                     "[{targets: ['%s']}]}]\n" % target.base.split("//")[1])
        b = Backline(where, clock=True, arguments=["--prometheus-config", str(where / "p.yml")])
        b.start()
        now = lambda: int(b.turn("now").split()[1])
        begun = now()
        b.advance(120)
        before = one(b, "count_over_time(steady[10m])", now())
        assert before >= 10, before
        assert admin(b, "compact")[0] == 204
        b.turn("jump 31536000s")
        for _ in range(3):
            b.advance(7300)  # blocks are made, and what is too old would go
        assert one(b, "steady", now()) == 7 and metric(b, "backline_blocks") > 0
        assert one(b, "count_over_time(steady[10m])", begun + 120000) == before, "history went with the clock"
        b.turn("jump -31536000s")
        b.advance(120)
        assert one(b, "steady", now()) == 7 and one(b, "count_over_time(steady[2m])", now()) >= 10
        assert admin(b, "compact")[0] == 204
        assert one(b, "count_over_time(steady[10m])", begun + 120000) == before
        b.turn("jump -86400s")
        b.advance(120)
        back = one(b, "steady", now())
        b.turn("jump 86400s")
        b.advance(120)
        assert one(b, "steady", now()) == 7
        b.kill()
        b.start()
        assert one(b, "count_over_time(steady[10m])", begun + 120000) == before
        b.stop()
        row("the clock jumps a year ahead for six hours, and back", "nothing that is kept is dropped; after the jump back series go on")
        assert back == 7
        row("the clock jumps a day back, and ahead again", "series go on by the clock, in both directions")


# ---- the disk ----


def test_the_disk_is_full_in_the_middle_of_a_compaction():
    with scratch() as where:
        (where / "data").mkdir()
        (where / "data").rmdir()
        with small_disk(where / "data", 160):
            b = started(where)
            for part in range(4):
                push(b, {(("__name__", "m"), ("host", "h%d" % i)): [(NOW_MS + (part * 150 + s) * 1000, random.random())
                                                                   for s in range(150)] for i in range(400)})
                assert admin(b, "compact" if part == 3 else "snapshot", "PUT" if part < 3 else "POST")[0] < 300
            push(b, {(("__name__", "m"), ("host", "late")): [(NOW_MS + 600000, 1.0)]})
            wanted = value_of(b, SUM)
            fill(where / "data", 1 << 20)  # the block has 2 MB
            status, text = admin(b, "compact")
            assert status == 507 or "space" in text, (status, text)
            wait_until(lambda: metric(b, "backline_ingestion_stopped") == 1, "ingestion is stopped")
            status, text = send(b, {(("__name__", "n"),): [(NOW_MS, 1.0)]})
            assert status == 503, (status, text)
            assert value_of(b, SUM) == wanted
            b.kill()
            for filler in (where / "data").glob("fill-*"):
                filler.unlink()
            b.start()
            assert value_of(b, SUM) == wanted and not list((b.data / "metrics").glob("*.new"))
            assert admin(b, "compact")[0] == 204 and value_of(b, SUM) == wanted
            push(b, {(("__name__", "n"),): [(NOW_MS, 1.0)]})
            b.stop()
        row("the disk is full in the middle of a compaction",
            "it says so and leaves nothing; answers stay, writes get 503, to be sent again; with room it compacts")


def faulty(where):
    b = Backline(where, arguments=["--prometheus-config", "/dev/null"], env={"BACKLINE_FAULT": str(where / "faults")})
    b.start()
    return b


def test_a_sync_fails():
    with scratch() as where:
        b = faulty(where)
        push(b, some_series())
        synced(b)
        (where / "faults").write_text("sync EIO /metrics/\nsync_dir EIO /metrics\n")
        push(b, {(("__name__", "unsure"),): [(NOW_MS, 2.0)]})
        wait_until(lambda: metric(b, "backline_ingestion_stopped") == 1, "ingestion is stopped")
        status, text = send(b, {(("__name__", "refused"),): [(NOW_MS, 1.0)]})
        assert status == 503 and "ingestion is stopped" in text, (status, text)
        assert "could not sync" in b.process.output()
        assert value_of(b, "sum(count_over_time(m[15m]))") == 50 * 600
        (where / "faults").unlink()
        wait_until(lambda: metric(b, "backline_ingestion_stopped") == 0, "ingestion goes on", 120)
        # what the failed sync left unsure is in a block now, not in the log that was
        assert metric(b, "backline_blocks") >= 1
        push(b, {(("__name__", "later"),): [(NOW_MS, 3.0)]})
        synced(b)
        b.kill()
        b.start()
        assert value_of(b, "sum(count_over_time(m[15m]))") == 50 * 600
        assert one(b, "unsure", NOW_MS) == 2 and one(b, "later", NOW_MS) == 3 and one(b, "refused", NOW_MS) is None
        b.stop()
        row("fsync fails", "ingestion stops, says so, writes get 503, to be sent again; what was unsure becomes a block before it goes on")


def test_the_log_cannot_be_written():
    with scratch() as where:
        b = faulty(where)
        push(b, some_series())
        (where / "faults").write_text("write ENOSPC /metrics/wal/\n")
        status, text = send(b, {(("__name__", "refused"),): [(NOW_MS, 1.0)]})
        assert status == 503 and metric(b, "backline_ingestion_stopped") == 1, (status, text)
        assert one(b, "refused", NOW_MS) is None
        (where / "faults").unlink()
        wait_until(lambda: metric(b, "backline_ingestion_stopped") == 0, "ingestion goes on", 120)
        push(b, {(("__name__", "refused"),): [(NOW_MS, 1.0)]})
        b.kill()
        b.start()
        assert value_of(b, "sum(count_over_time(m[15m]))") == 50 * 600 and one(b, "refused", NOW_MS) == 1
        b.stop()
        row("a write to the log fails (ENOSPC)", "the batch is refused whole with 503, and taken when it comes again")


# ---- floods ----


def test_cardinality_explodes():
    with scratch() as where, Targets() as target:
        (where / "manual.md").write_text("# Shop\n")
        (where / "site.yaml").write_text(
            "site: Shop\nmetrics: {series_limit: 3000, job_series_limit: 500}\nintervals: {scrape: 200ms}\n"
            'components: {shop: {kind: exporter, metrics: "%s/metrics"}}\n' % target.base)
        target.page = "".join('m{i="%d"} 1\n' % i for i in range(2000))
        b = Backline(where, manual=where / "manual.md", site=where / "site.yaml")
        b.start()
        wait_until(lambda: b.query('up{job="shop"} == 0'), "up is told, and 0")
        told = b.get("/api/v1/targets")["data"]["activeTargets"][0]["lastError"]
        assert "limit for one job" in told, told
        assert not b.query("m") and metric(b, "backline_series_refused_total") > 0
        begun_mb, refused = resident_mb(b), 0
        for part in range(20):
            status, text = send(b, {(("__name__", "x"), ("i", "%d-%d" % (part, i))): [(int(time.time() * 1000), 1.0)]
                                    for i in range(5000)})
            assert status == 422 and "3000 series, its limit" in text and "status/tsdb" in text, (status, text)
            refused += 1
        # what such a request holds of known series is kept
        known = next(iter(b.query("x")))["metric"]["i"]
        now_ms = int(time.time() * 1000)
        status, text = send(b, {(("__name__", "x"), ("i", "one more")): [(now_ms, 1.0)],
                                (("__name__", "x"), ("i", known)): [(now_ms, 7.0)]})
        assert status == 422 and "1 samples are refused" in text, (status, text)
        assert b.query('x{i="%s"}' % known)[0]["value"][1] == "7"
        assert metric(b, "backline_head_series") <= 3000 and resident_mb(b) < begun_mb + 60, (begun_mb, resident_mb(b))
        assert b.query('up{job="backline"}') and b.get("/api/v1/status/tsdb")["data"]["seriesCountByMetricName"]
        b.stop()
        row("a job exposes 2,000 series with a limit of 500", "the scrape fails: '%s'; up is 0" % told)
        row("100,000 new series with a limit of 3,000", "refused with 422 and where to look; %d in memory, memory flat" % 3000)


def test_a_label_value_of_a_megabyte():
    big = "x" * 1000000
    with scratch() as where, Targets() as target:
        target.page = 'big{v="%s"} 1\nsmall 2\n' % big
        scrape = "{job_name: %s, %sstatic_configs: [{targets: ['%s']}]}"
        at = target.base.split("//")[1]
        (where / "p.yml").write_text("global: {scrape_interval: 200ms}\nscrape_configs: [%s, %s]\n" % (
            scrape % ("free", "", at), scrape % ("limited", "label_value_length_limit: 1000, ", at)))
        b = Backline(where, arguments=["--prometheus-config", str(where / "p.yml")])
        b.start()
        wait_until(lambda: b.query('small{job="free"}') and b.query('up{job="limited"}'), "both are scraped")
        assert b.query('big{job="free"}')[0]["metric"]["v"] == big
        assert b.query('up{job="limited"}')[0]["value"][1] == "0" and not b.query('big{job="limited"}')
        status, text = send(b, {(("__name__", "pushed"), ("v", big)): [(NOW_MS, 1.0)]})
        assert status in (200, 204), (status, text)
        assert admin(b, "compact")[0] == 204
        b.kill()
        b.start()
        assert one(b, "pushed", NOW_MS) == 1
        status, answer = form_query(b, 'pushed{v="%s"}' % big, time=NOW_MS / 1000)
        assert status == 400 and "too long" in answer["error"], (status, str(answer)[:200])
        b.stop()
        row("a label value of 1 MB, scraped and by remote write", "kept whole, as Prometheus does, also through block and restart")
        row("the same with label_value_length_limit", "the scrape fails, up is 0")


def test_queries_that_are_too_much():
    with scratch() as where:
        b = started(where)
        push(b, some_series(200))
        before_mb = resident_mb(b)
        for query in ("1" + "+1" * 500000, "(" * 500000 + "1" + ")" * 500000, 'm{host="%s"}' % ("y" * 1000000)):
            status, answer = form_query(b, query)
            assert status == 400 and "query is too long" in answer["error"], (status, str(answer)[:200])
        row("a query of 1 MB (sum, parentheses, matcher)", "400: '%s'" % answer["error"].split("parse error: ")[1])
        status, answer = form_query(b, '{__name__=~".*"}[10y:1s]')
        assert status == 400 and "non-empty matcher" in answer["error"], (status, answer)
        row('`{__name__=~".*"}[10y:1s]`', "400, as Prometheus: '%s'" % answer["error"].split("parse error: ")[1])
        for query in ('{__name__=~".+"}[10y:1s]', 'count_over_time({__name__=~".+"}[10y:1s])'):
            status, answer = form_query(b, query)
            assert status == 422 and "too many samples" in answer["error"], (status, answer)
            status, answer = form_query(b, query.strip("[10y:1s]") if query[0] == "{" else query, "query_range",
                                        start=NOW_MS / 1000 - 86400, end=NOW_MS / 1000, step=1)
            assert status in (400, 422), (status, str(answer)[:200])
        assert resident_mb(b) < before_mb + 100, (before_mb, resident_mb(b))
        assert value_of(b, "count(m)") == 200
        b.stop()
        row('`{__name__=~".+"}[10y:1s]`, alone and in count_over_time()', "422: 'query processing would load too many samples', memory flat")


def test_a_snappy_bomb():
    with scratch() as where:
        b = started(where)
        before_mb = resident_mb(b)
        zeros = varint(60 << 20) + b"\0\0" + (b"\xfe\x01\0" * (((60 << 20) - 1) // 64)) + bytes([(63 - 1) << 2 | 2, 1, 0])
        rows = []
        for what, body in (("claims 4 GB in 25 bytes", varint(0xffffffff) + b"\0\0" * 10),
                           ("claims 100 MB", varint(100 << 20) + b"\0\0" * 10), ("unpacks 3 MB to 60 MB of zeros", zeros)):
            status, text = request(b.base + "/api/v1/write", body, "POST",
                                   {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"})
            assert status == 400, (what, status, text)
            rows.append((what, json.loads(text)["error"]))
        assert resident_mb(b) < before_mb + 400 and request(b.base + "/readyz")[0] == 200
        b.stop()
        for what, error in rows:
            row("remote write that " + what, "400: '%s'" % error)


if __name__ == "__main__":
    main(globals())
