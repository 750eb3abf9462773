#!/usr/bin/env python3
"""A stand-in for Slack: slack_server.py OUT [--token T] [--unlimited]

Prints its port, then writes each message it was sent to OUT as a JSON line {"path", "accepted", "body"}.
POST /api/chat.postMessage wants the bearer token and JSON with channel and text or blocks, takes one
message a second for a channel (429 with Retry-After beyond), and knows no channel whose name starts
with '#missing'. POST /services/ANY is an incoming webhook."""
import argparse
import http.server
import json
import sys
import threading
import time

options = argparse.ArgumentParser()
options.add_argument("out")
options.add_argument("--token", default="xoxb-test")
options.add_argument("--unlimited", action="store_true")
args = options.parse_args()
lock = threading.Lock()
last = {}
sent = 0


class Slack(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, text, head=()):
        body = (text if isinstance(text, str) else json.dumps(text)).encode()
        self.send_response(status)
        for name, value in head:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def judge(self, body):
        """(status, answer, headers) for a chat.postMessage."""
        if self.headers.get("Authorization") != "Bearer " + args.token:
            return 200, {"ok": False, "error": "invalid_auth"}, ()
        if not self.headers.get("Content-Type", "").startswith("application/json"):
            return 200, {"ok": False, "error": "invalid_arguments"}, ()
        channel = body.get("channel")
        if not channel or channel.startswith("#missing"):
            return 200, {"ok": False, "error": "channel_not_found"}, ()
        if not body.get("text") and not body.get("blocks"):
            return 200, {"ok": False, "error": "no_text"}, ()
        if not args.unlimited and time.monotonic() - last.get(channel, -9) < 0.9:
            return 429, {"ok": False, "error": "ratelimited"}, (("Retry-After", "1"),)
        last[channel] = time.monotonic()
        return 200, {"ok": True, "channel": channel, "ts": "%d.%06d" % (time.time(), sent)}, ()

    def do_POST(self):
        global sent
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with lock:
            sent += 1
            try:
                body = json.loads(raw)
                if self.path.startswith("/services/"):
                    status, answer, head = (200, "ok", ()) if body.get("text") else (400, "no_text", ())
                elif self.path == "/api/chat.postMessage":
                    status, answer, head = self.judge(body)
                else:
                    status, answer, head = 404, "no such method", ()
            except (ValueError, AttributeError):
                body, status, answer, head = raw.decode(errors="replace"), 400, "invalid_payload", ()
            accepted = status == 200 and (answer == "ok" or (isinstance(answer, dict) and answer["ok"]))
            with open(args.out, "a") as out:
                out.write(json.dumps({"path": self.path, "accepted": accepted, "answer": answer, "body": body}) + "\n")
        self.answer(status, answer, head)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slack)
print(server.server_port, flush=True)
sys.stdout.close()
server.serve_forever()
