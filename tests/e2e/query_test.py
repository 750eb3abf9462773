#!/usr/bin/env python3
"""Queries as clients send them: those that would take all there is, clients that go, odd parameters."""
import json
import os
import socket
import sys
import urllib.parse

sys.path.insert(0, os.path.dirname(__file__))
from harness import Backline, main, request, scratch, wait_until

HOURS_OF_WORK = "quantile_over_time(0.5, (vector(1) * time() % 977)[20d:1s])"


class Bare(Backline):
    """It watches nothing."""

    def __init__(self, where):
        super().__init__(where, arguments=["--prometheus-config", "/dev/null"])

    def ask(self, path, **parameters):
        status, text = request(self.base + "/api/v1/" + path + "?" + urllib.parse.urlencode(parameters))
        return status, json.loads(text)


def send(backline, query):
    """A query over 10,001 steps whose answer is not waited for."""
    host, port = backline.base.split("//")[1].split(":")
    body = urllib.parse.urlencode({"query": query, "start": 0, "end": 10000, "step": 1})
    connection = socket.create_connection((host, int(port)))
    connection.sendall(("POST /api/v1/query_range HTTP/1.1\r\nHost: %s:%s\r\nContent-Length: %d\r\n"
                        "Content-Type: application/x-www-form-urlencoded\r\n\r\n%s" %
                        (host, port, len(body), body)).encode())
    return connection


def resident_mib(backline):
    status = open("/proc/%d/status" % backline.process.pid).read()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def test_a_deadline_holds_within_one_series():
    with scratch() as where, Bare(where) as b:
        status, body = b.ask("query_range", query=HOURS_OF_WORK, start=0, end=10000, step=1, timeout="1s")
        assert status == 503 and body["error"] == "query timed out in expression evaluation", body


def test_a_query_whose_client_went_is_given_up():
    with scratch() as where, Bare(where) as b:
        for connection in [send(b, HOURS_OF_WORK) for _ in range(4)]:  # more than there are workers
            connection.close()
        status, body = b.ask("query", query="1", timeout="20s")
        assert status == 200 and body["data"]["result"][1] == "1", body


def test_the_server_stops_in_the_middle_of_a_query():
    with scratch() as where, Bare(where) as b:
        connection = send(b, HOURS_OF_WORK)
        wait_until(lambda: "backline_http_connections 2" in request(b.base + "/metrics")[1], "the query is there")
        b.process.child.terminate()
        assert b.process.child.wait(20) == 0
        connection.close()


def test_answers_nobody_takes_do_not_fill_the_memory():
    with scratch() as where, Bare(where) as b:
        before = resident_mib(b)
        query = " or ".join('label_replace(vector(time()), "i", "%d", "", "")' % i for i in range(400))
        waiting = [send(b, query) for _ in range(6)]  # each of 70 MiB
        wait_until(lambda: any(c.recv(12, socket.MSG_DONTWAIT | socket.MSG_PEEK).endswith(b"503")
                               for c in waiting if readable(c)), "some are refused", 90)
        assert resident_mib(b) - before < 1500
        for connection in waiting:
            connection.close()
        assert b.ask("query", query="1")[0] == 200


def readable(connection):
    try:
        return connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
    except BlockingIOError:
        return b""


def test_numbers_and_times_are_read_as_go_reads_them():
    with scratch() as where, Bare(where) as b:
        for step, times in (("1.0006", [0, 1, 2]), ("1s", [0, 1, 2]), ("1500ms", [0, 1.5])):
            body = b.ask("query_range", query="1", start="0.0004", end="2.0006", step=step)[1]
            assert [t for t, _ in body["data"]["result"][0]["values"]] == times, (step, body)
        for step in ("5M", "1.5m", "1h1h", "5 m", "0x10", "1e400"):
            status, body = b.ask("query_range", query="1", start=0, end=2, step=step)
            assert status == 400 and "cannot parse \"%s\" to a valid duration" % step in body["error"], body
        for time in ("0x10", "1e400", "abc"):
            assert b.ask("query", query="1", time=time)[0] == 400, time
        body = b.ask("query_range", query="1", start=0, end=2, step="0.0001")[1]
        assert body["error"].startswith("exceeded maximum resolution of 11,000 points"), body
        assert b.ask("rules", type="x")[1]["error"] == 'invalid parameter "type": not supported value "x"'
        assert b.ask("status/walreplay")[1]["data"] == {"min": 0, "max": 0, "current": 0}


if __name__ == "__main__":
    main(globals())
