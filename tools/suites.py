#!/usr/bin/env python3
"""Runs the test suites: builds what each needs, shows a line per suite, ends with the sum.

A suite is a function that returns its cases as a list of (name, passed, output). Output is shown for
failures only."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
JOBS = str(os.cpu_count() or 2)
SHARED = ROOT.parent / "shared"
SUITES = {}
LONG = False
CASE_TIMEOUT_S = 900

SANITIZER_ENV = {
    "ASAN_OPTIONS": "handle_segv=2:detect_leaks=1:abort_on_error=0",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1:suppressions=" + str(ROOT / "tools/tsan.supp"),
    "LSAN_OPTIONS": "suppressions=" + str(ROOT / "tools/lsan.supp"),
}


def suite(function):
    SUITES[function.__name__] = function
    return function


def run(command, timeout=CASE_TIMEOUT_S, env=None, cwd=ROOT):
    """Runs a command in a process group of its own; returns (exit code, output)."""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd,
                                   env={**os.environ, **SANITIZER_ENV, **(env or {})},
                                   start_new_session=True)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = "no end after %d s" % timeout
        out.seek(0)
        return code, out.read().decode("utf-8", "replace")


def build(name, *options, env=None, targets=()):
    """Configures once, then builds build/NAME; a failure ends the suite with its output."""
    where = ROOT / "build" / name
    if not (where / "build.ninja").exists():
        shutil.rmtree(where, ignore_errors=True)
        code, output = run(["meson", "setup", str(where), *options], env=env)
        if code != 0:
            raise BuildFailed(output)
    code, output = run(["ninja", "-C", str(where), "-j", JOBS, *targets], timeout=1800)
    if code != 0:
        raise BuildFailed(output)
    return where


class BuildFailed(Exception):
    pass


def tap_cases(program, code, output):
    """Cases of a cmocka program that writes TAP."""
    cases = []
    for line in output.splitlines():
        match = re.match(r"(not )?ok \d+ - (.*)", line)
        if match:
            cases.append((program + ": " + match.group(2), match.group(1) is None, output))
    if code != 0 and all(passed for _, passed, _ in cases):
        cases.append((program + ": exit " + str(code), False, output))
    return cases


def unit_programs(where, wanted=lambda name: True):
    listed = json.loads(subprocess.check_output(["meson", "introspect", "--tests", str(where)]))
    return [(t["name"], t["cmd"]) for t in listed if wanted(t["name"])]


def run_units(where, wanted=lambda name: True):
    def one(program):
        name, command = program
        code, output = run(command, env={"CMOCKA_MESSAGE_OUTPUT": "TAP", **({"BACKLINE_LONG": "1"} if LONG else {})})
        return tap_cases(name, code, output)
    with concurrent.futures.ThreadPoolExecutor(int(JOBS)) as pool:
        return [case for cases in pool.map(one, unit_programs(where, wanted)) for case in cases]


def test_build():
    return build("test", "-Db_sanitize=address,undefined", "-Dtest_hooks=true", "--werror")


@suite
def lint():
    """the rules of the house: layers, headers, names, sizes, format"""
    where = test_build()
    code, output = run([sys.executable, "tools/lint", "--objects", str(where)])
    cases = [(line[5:], True, "") for line in output.splitlines() if line.startswith("pass ")]
    cases += [(line[5:], False, output) for line in output.splitlines() if line.startswith("FAIL ")]
    cases += script_cases(where, ROOT / "tests/lint/lint_test.py")
    return cases


@suite
def unit():
    """unit, golden and property tests, under address and undefined-behaviour sanitizers"""
    return run_units(test_build())


@suite
def thread():
    """the threaded parts under the thread sanitizer"""
    where = build("thread", "-Db_sanitize=thread", "-Dtest_hooks=true")
    return run_units(where, lambda name: name.split("_")[0] in ("sys", "tsdb", "ledger", "collect", "remote", "promql"))


@suite
def clang():
    """the whole tree compiles with clang, without a warning"""
    clang_build()
    return [("clang -Werror", True, "")]


def clang_build():
    return build("clang", "-Db_sanitize=address,undefined", "-Dfuzzers=true", "-Dtest_hooks=true",
                 "-Db_lundef=false", "--werror", env={"CC": "clang", "CXX": "clang++"})


@suite
def fuzz():
    """each fuzz target on its seeds, then a few seconds of new input"""
    where = clang_build() / "tests"
    seconds = 120 if LONG else 5
    cases = []
    for target in sorted(where.glob("fuzz_*")):
        if not os.access(target, os.X_OK) or target.is_dir():
            continue
        name = target.name[len("fuzz_"):]
        with tempfile.TemporaryDirectory() as scratch:
            seeds = ROOT / "tests/fuzz/seeds" / name
            arguments = [str(target), "-max_total_time=%d" % seconds, "-timeout=10", "-rss_limit_mb=2048",
                         "-max_len=65536", "-print_final_stats=0", "-verbosity=0",
                         "-artifact_prefix=" + scratch + "/", scratch]
            code, output = run(arguments + ([str(seeds)] if seeds.is_dir() else []), timeout=seconds + 300)
            for crash in pathlib.Path(scratch).glob("*-*"):
                if crash.name.startswith(("crash-", "timeout-", "oom-", "leak-")):
                    output += "\ninput: %r" % crash.read_bytes()[:2000]
            cases.append((name, code == 0, output))
    return cases


@suite
def e2e():
    """the real binary against real servers"""
    where = test_build()
    return [case for path in sorted((ROOT / "tests/e2e").glob("*_test.py")) for case in script_cases(where, path)]


@suite
def fault():
    """every step of the store killed or failed, its files damaged, floods: ends with the fault table"""
    where = test_build()
    command = [str(where / "tests/store_fault_test")] + (["--long"] if LONG else [])
    code, output = run(command, timeout=14400 if LONG else 1800)
    print("\n".join("    " + line for line in re.findall(r"^(?:not )?ok \d+ - (.*)", output, re.M)), flush=True)
    cases = tap_cases("store_fault", code, output)
    for path in sorted((ROOT / "tests/fault").glob("*_test.py")):
        cases += script_cases(where, path, told=r"^    \| .*")
    return cases


# Words that are replaced: URL (a Backline listens there, unless the runner starts one by SERVE), PROGRAM, PORT.
CONFORMANCE = [("promql", ["promql/promqltest.py", "URL", "promql/given"]), ("parser", ["promql/parsetest.py", "URL"]),
               ("compliance", ["promql/compliancetest.py", "URL"]),
               ("remote write and API", ["remotewrite/rwtest.py", "URL"]),
               ("exposition", ["exposition/scrapetest.py", "run", "URL", "--port", "PORT", "--wait", "12",
                               "--start", "SERVE --prometheus-config {config}"]),
               ("rule files and their tests", ["rules/rulescheck.py", "--check", "PROGRAM rules check {file}",
                                               "--test", "PROGRAM rules test {file}"]),
               ("Alertmanager's API", ["alertmanager/amtest.py", "URL"]),
               ("rules live", ["rules/rulesdiff.py", "URL", "--start", "SERVE --prometheus-config {config}"])]


@suite
def conformance():
    """upstream's own cases, from ../shared, against the real binary"""
    if not SHARED.is_dir():
        print("    skip conformance: ../shared is not here")
        return []
    program = test_build() / "src/app/backline"
    return [case for name, words in CONFORMANCE for case in counted_cases(name, *conformance_run(program, words))]


def counted_cases(name, code, output):
    counted = re.findall(r"^(\d+) passed, (\d+) failed", output, re.M)
    passed, failed = (int(n) for n in counted[-1]) if counted else (0, 1)
    if code != 0 and failed == 0:
        failed = 1
    return [(name, True, "")] * passed + [(name, False, output)] * failed


def conformance_run(program, words):
    def call(url):
        serve = "%s serve --auth off --data {dir}/data --listen %s" % (program, url.removeprefix("http://"))
        for word, meant in (("PROGRAM", str(program)), ("SERVE", serve), ("URL", url), ("PORT", free_address().split(":")[1])):
            arguments[:] = [argument.replace(word, meant) for argument in arguments]
        return run([sys.executable] + arguments, cwd=SHARED / "conformance")
    arguments = list(words)
    needs_none = "URL" not in words or any("SERVE" in word for word in words)
    return call("http://" + free_address()) if needs_none else against_backline(program, call)


def free_address():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % s.getsockname()[1]


def against_backline(program, use):
    """Calls use(URL) while a fresh Backline that watches nothing listens; ends it."""
    address = free_address()
    with tempfile.TemporaryDirectory() as data:
        process = subprocess.Popen([str(program), "serve", "--auth", "off", "--data", data, "--listen", address,
                                    "--prometheus-config", "/dev/null"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   env={**os.environ, **SANITIZER_ENV}, start_new_session=True)
        try:
            process.stdout.readline()  # it says where it listens once it does
            return use("http://" + address)
        finally:
            process.terminate()
            process.wait(60)


def script_cases(where, path, told=None):
    """told: what of the output is shown even when all passed."""
    arguments = [sys.executable, str(path)] + (["--long"] if LONG else [])
    code, output = run(arguments, timeout=7200 if LONG else CASE_TIMEOUT_S,
                       env={"BACKLINE": str(where / "src/app/backline"), "PYTHONDONTWRITEBYTECODE": "1"})
    counted = re.findall(r"^(\d+) passed, (\d+) failed", output, re.M)
    passed, failed = (int(n) for n in counted[-1]) if counted else (0, 0)
    if code != 0 and failed == 0 or not counted:
        failed += 1
    for line in re.findall(r"^(?:skip|SKIP).*", output, re.M):
        print("    %s: %s" % (path.stem, line))
    for line in re.findall(told, output, re.M) if told else []:
        print(line, flush=True)
    return [(path.stem, True, "")] * passed + [(path.stem, False, output)] * failed


@suite
def clients():
    """programs written for Prometheus, beside a real one: promtool, curl, Grafana's requests"""
    return script_cases(test_build(), ROOT / "tests/clients/clients_test.py")


@suite
def docs():
    """generated pages are up to date"""
    where = test_build()
    code, output = run([sys.executable, "tools/docs", "--check"],
                       env={"BACKLINE": str(where / "src/app/backline")})
    return [("tools/docs --check", code == 0, output)]


def report(name, cases, took_s):
    failed = [case for case in cases if not case[1]]
    print("%-8s %4d passed, %d failed  %4.0f s" % (name, len(cases) - len(failed), len(failed), took_s), flush=True)
    shown = set()
    for case, _, output in failed:
        print("    FAILED " + case)
        if output and output not in shown:
            shown.add(output)
            lines = output.splitlines()
            print("\n".join("      | " + line for line in lines[-60:]), flush=True)


def main():
    global LONG
    listing = "\n".join("  %-8s %s" % (name, f.__doc__) for name, f in SUITES.items())
    parser = argparse.ArgumentParser(prog="./test", formatter_class=argparse.RawDescriptionHelpFormatter,
                                     description="Builds and tests Backline. Suites:\n" + listing)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="all by default; e2e/NAME runs one script")
    parser.add_argument("--long", action="store_true", help="the long forms of kill, fuzz and soak tests")
    parser.add_argument("--list", action="store_true", help="list the suites")
    wanted = parser.parse_args()
    if wanted.list:
        print(listing)
        return 0
    LONG = wanted.long
    passed = failed = 0
    if not SHARED.is_dir():
        print("../shared is not here: the suites that need it say that they skip")
    for name in wanted.suites or SUITES:
        started = time.monotonic()
        try:
            if name.startswith("e2e/"):
                cases = script_cases(test_build(), ROOT / "tests/e2e" / (name[4:].removesuffix(".py") + ".py"))
            elif name in SUITES:
                cases = SUITES[name]()
            else:
                parser.error("no suite '%s'; ./test --list shows them" % name)
        except BuildFailed as problem:
            cases = [("build", False, str(problem))]
        report(name, cases, time.monotonic() - started)
        passed += sum(1 for case in cases if case[1])
        failed += sum(1 for case in cases if not case[1])
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
