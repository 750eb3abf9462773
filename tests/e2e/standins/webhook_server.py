#!/usr/bin/env python3
"""A receiver of webhooks: webhook_server.py OUT [--bearer T] [--status N]...

Prints its port, then writes each call to OUT as a JSON line {"path", "at", "status", "headers", "body"}.
Each --status answers one call, in order; later ones get 200."""
import argparse
import http.server
import json
import sys
import time

options = argparse.ArgumentParser()
options.add_argument("out")
options.add_argument("--bearer")
options.add_argument("--status", type=int, action="append", default=[])
args = options.parse_args()


class Hook(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        at = time.time()
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status = args.status.pop(0) if args.status else 200
        if args.bearer and self.headers.get("Authorization") != "Bearer " + args.bearer:
            status = 401
        try:
            body = json.loads(raw)
        except ValueError:
            body = raw.decode(errors="replace")
        with open(args.out, "a") as out:
            out.write(json.dumps({"path": self.path, "at": at, "status": status,
                                  "headers": dict(self.headers), "body": body}) + "\n")
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
print(server.server_port, flush=True)
sys.stdout.close()
server.serve_forever()
