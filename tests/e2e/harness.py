"""What the end-to-end tests share: processes that always end, conditions that are awaited, the binary.

A test script is a list of functions named test_*; harness.main() runs them, writes a line for each and
ends with `N passed, N failed`."""
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SHARED = ROOT.parent / "shared"
PROGRAM = os.environ.get("BACKLINE", str(ROOT / "build/test/src/app/backline"))
LONG = "--long" in sys.argv


class Skip(Exception):
    """Raised by a test that cannot run here; says why."""


def wait_until(condition, what, timeout_s=30):
    """Polls until condition() is true and returns its value; fails with what was awaited."""
    end = time.monotonic() + timeout_s
    problem = None
    while time.monotonic() < end:
        try:
            value = condition()
            if value:
                return value
        except (OSError, http.client.HTTPException, ValueError, KeyError, IndexError) as error:
            problem = error
        time.sleep(0.02)
    raise AssertionError("not within %d s: %s%s" % (timeout_s, what, " (%r)" % problem if problem else ""))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Process:
    """A child in its own group; ended by pid when the block ends. Output goes to a file."""

    def __init__(self, command, env=None, cwd=None, log=None, user=None):
        self.log = log or tempfile.NamedTemporaryFile(prefix="process-", suffix=".log", delete=False).name
        self.own_log = log is None
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd,
                                          env={**os.environ, **(env or {})}, start_new_session=True, user=user)

    @property
    def pid(self):
        return self.child.pid

    def output(self):
        return pathlib.Path(self.log).read_text(errors="replace")

    def alive(self):
        return self.child.poll() is None

    def end(self, how=signal.SIGTERM, timeout_s=20):
        if self.alive():
            os.killpg(self.child.pid, how)
            try:
                self.child.wait(timeout_s)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait()
        return self.child.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
        if self.own_log:
            os.unlink(self.log)


@contextlib.contextmanager
def scratch():
    where = tempfile.mkdtemp(prefix="backline-test-")
    try:
        yield pathlib.Path(where)
    finally:
        shutil.rmtree(where, ignore_errors=True)


def request(url, body=None, method=None, headers=None, timeout_s=20):
    """(status, text) of one request; an error status is an answer too. dicts are sent as JSON."""
    head = dict(headers or {})
    if isinstance(body, dict):
        body = json.dumps(body).encode()
        head["Content-Type"] = "application/json"
    asked = urllib.request.Request(url, data=body, method=method, headers=head)
    try:
        with urllib.request.urlopen(asked, timeout=timeout_s) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


class Backline:
    """The real binary on a free port, `--auth off` unless told otherwise; with clock=True a virtual clock
    stands still until advance()."""

    def __init__(self, where, manual=None, site=None, clock=False, auth_off=True, arguments=(), env=None):
        self.where = pathlib.Path(where)
        self.data = self.where / "data"
        self.port = free_port()
        self.base = "http://127.0.0.1:%d" % self.port
        self.manual, self.site, self.env = manual, site, env
        self.clock = str(self.where / "clock.sock") if clock else None
        self.auth_off, self.arguments = auth_off, list(arguments)
        self.process = None

    def command(self):
        command = [PROGRAM, "serve", "--data", str(self.data), "--listen", "127.0.0.1:%d" % self.port]
        for name, value in (("manual", self.manual), ("site", self.site), ("clock-socket", self.clock)):
            if value:
                command += ["--" + name, str(value)]
        return command + (["--auth", "off"] if self.auth_off else []) + self.arguments

    def start(self, timeout_s=60):
        self.process = Process(self.command(), env=self.env, log=str(self.where / "backline.log"))
        def ready():
            if not self.process.alive():
                raise AssertionError("backline ended:\n" + self.process.output()[-4000:])
            return request(self.base + "/readyz")[0] == 200
        wait_until(ready, "/readyz answers 200", timeout_s)
        return self

    def kill(self):
        return self.process.end(signal.SIGKILL)

    def stop(self):
        return self.process.end(signal.SIGTERM)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if self.process is not None:
            code = self.stop()
            if kind is not None:
                print("    backline's log ends:\n" + self.process.output()[-3000:])
            elif code not in (0, -signal.SIGKILL):
                raise AssertionError("backline ended with %s:\n%s" % (code, self.process.output()[-4000:]))

    def get(self, path):
        status, text = request(self.base + path)
        assert status == 200, "GET %s: %d %s" % (path, status, text[:500])
        return json.loads(text)

    def post(self, path, body=None):
        status, text = request(self.base + path, body or {}, "POST")
        assert status < 300, "POST %s: %d %s" % (path, status, text[:500])
        return json.loads(text) if text else None

    def query(self, expression):
        return self.get("/api/v1/query?query=" + urllib.parse.quote(expression))["data"]["result"]

    def cli(self, *words, check=True):
        done = subprocess.run([PROGRAM, *words, "--data", str(self.data)], capture_output=True, text=True, timeout=120)
        if check:
            assert done.returncode == 0, "%s: %s%s" % (words, done.stdout, done.stderr)
        return done

    def turn(self, line):
        """One line to the clock's socket ("advance 300s"), its answer back."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(self.clock)
            s.sendall(line.encode() + b"\n")
            answer = s.makefile().readline().strip()
        assert answer.startswith("ok"), "%s: %s" % (line, answer)
        return answer

    def advance(self, seconds):
        return self.turn("advance %ds" % seconds)


def main(namespace):
    wanted = [word for word in sys.argv[1:] if not word.startswith("--")]
    passed = failed = 0
    for name, function in list(namespace.items()):
        if not name.startswith("test_") or (wanted and name not in wanted):
            continue
        try:
            function()
            print("ok   " + name, flush=True)
            passed += 1
        except Skip as why:
            print("skip %s: %s" % (name, why), flush=True)
        except Exception:  # a test may fail in any way; all of them are told
            traceback.print_exc(file=sys.stdout)
            print("FAIL " + name, flush=True)
            failed += 1
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)
