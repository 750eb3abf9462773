"""Real servers for the end-to-end tests, each on loopback, in a scratch directory, ended by pid."""
import glob
import json
import os
import pwd
import shutil
import subprocess
import sys
import urllib.parse

from harness import ROOT, Process, Skip, free_port, request, wait_until

STANDINS = ROOT / "tests/e2e/standins"


def program(name, *places):
    found = shutil.which(name) or next((p for pattern in places for p in sorted(glob.glob(pattern), reverse=True)
                                        if os.access(p, os.X_OK)), None)
    if found is None:
        raise Skip("%s is not installed" % name)
    return found


class Nginx:
    """nginx in front of an upstream; start() and stop() at will on the same port."""

    CONF = """daemon off; pid %(where)s/nginx.pid; error_log %(where)s/nginx.err; worker_processes 1;
events { worker_connections 64; }
http {
  access_log off; client_body_temp_path %(where)s/body; proxy_temp_path %(where)s/proxy;
  fastcgi_temp_path %(where)s/fastcgi; uwsgi_temp_path %(where)s/uwsgi; scgi_temp_path %(where)s/scgi;
  server { listen 127.0.0.1:%(port)d; location / { proxy_pass %(upstream)s; } }
}
"""

    def __init__(self, where, upstream):
        self.where = where / "nginx"
        self.where.mkdir()
        self.port = free_port()
        self.base = "http://127.0.0.1:%d" % self.port
        (self.where / "nginx.conf").write_text(self.CONF % {"where": self.where, "port": self.port, "upstream": upstream})
        self.process = None

    def start(self):
        self.process = Process([program("nginx", "/usr/sbin/nginx"), "-c", str(self.where / "nginx.conf"), "-p", str(self.where)],
                               log=str(self.where / "log"))
        wait_until(lambda: request(self.base + "/")[0] > 0, "nginx answers")

    def stop(self):
        if self.process is not None:
            self.process.end()
            self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()


class Postgres:
    """A fresh cluster with its exporter; initdb refuses root, so root becomes the user postgres."""

    def __init__(self, where):
        self.where = where / "pg"
        self.port, self.exporter_port = free_port(), free_port()
        self.dsn = "postgresql://postgres@127.0.0.1:%d/postgres?sslmode=disable" % self.port

    def __enter__(self):
        self.where.mkdir()
        self.user = None
        if os.getuid() == 0:
            self.user = "postgres"
            os.chmod(self.where.parent, 0o755)
            shutil.chown(self.where, self.user, pwd.getpwnam(self.user).pw_gid)
        initdb = program("initdb", "/usr/lib/postgresql/*/bin/initdb")
        subprocess.run([initdb, "-D", str(self.where / "data"), "-A", "trust", "-U", "postgres", "--no-sync"],
                       check=True, capture_output=True, user=self.user, cwd="/", env={"PATH": os.environ["PATH"], "LANG": "C"})
        self.server = Process([os.path.join(os.path.dirname(initdb), "postgres"), "-D", str(self.where / "data"), "-p", str(self.port),
                               "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="], user=self.user, cwd="/",
                              log=str(self.where.parent / "pg.log"))
        self.exporter = Process([program("prometheus-postgres-exporter"), "--web.listen-address=127.0.0.1:%d" % self.exporter_port],
                                env={"DATA_SOURCE_NAME": self.dsn}, log=str(self.where.parent / "pg-exporter.log"))
        wait_until(lambda: "pg_up 1" in request("http://127.0.0.1:%d/metrics" % self.exporter_port)[1], "PostgreSQL is up")
        return self

    def __exit__(self, *_):
        self.exporter.end()
        self.server.end()


class Standin:
    """A stand-in or small server that prints its port and appends JSON lines to a file."""

    def __init__(self, where, script, *arguments, python=sys.executable):
        name = script.removesuffix(".py")
        self.out = where / (name + ".jsonl")
        self.command = [python, str(STANDINS / script), str(self.out), *arguments]
        self.log = str(where / (name + ".log"))

    def __enter__(self):
        self.process = Process(self.command, log=self.log)
        self.port = wait_until(lambda: int(self.process.output().split()[0]), self.command[1])
        return self

    def __exit__(self, *_):
        self.process.end()

    def lines(self):
        return [json.loads(line) for line in self.out.read_text().splitlines()] if self.out.exists() else []


def mail_server(where, *arguments):
    return Standin(where, "smtp_server.py", *arguments, python="/usr/bin/python3")


def link_in(text):
    """The acknowledging link's path in a message's text, quoted-printable or not."""
    flat = text.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=")
    at = flat.index("/a/")
    end = at + 3
    while end < len(flat) and (flat[end].isalnum() or flat[end] in "-_"):
        end += 1
    return urllib.parse.quote(flat[at:end])
