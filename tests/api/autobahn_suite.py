#!/usr/bin/python3
"""autobahn_suite.py BUILD_DIR: the Autobahn suite itself (fuzzingclient) against /echo, all cases but compression.

It needs a Python 2.7, in the path or among pyenv's; the suite is installed beside the build, in BUILD_DIR/autobahn. The
build needs --enable-test-echo. Exit status 77: NOT RUN, and why. Each case is a line of TAP; as the suite judges:
OK, NON-STRICT and INFORMATIONAL pass, FAILED and UNIMPLEMENTED do not.
"""

import glob
import json
import os
import shutil
import subprocess
import sys

import pim

SUITE = "autobahntestsuite==0.8.2"
PASS = ("OK", "NON-STRICT", "INFORMATIONAL")


def not_run(why):
    print("NOT RUN: %s" % why, flush=True)
    sys.exit(77)


def is_python27(path):
    try:
        done = subprocess.run([path, "-c", "import sys; sys.exit(sys.version_info[:2] != (2, 7))"], capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def find_python27():
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    places = [shutil.which("python2.7"), shutil.which("python2")] + glob.glob(os.path.join(pyenv, "versions/2.7*/bin/python2.7"))
    return next((path for path in places if path and is_python27(path)), None)


def suite_install(folder):
    """The path of wstest, installed if it is not there."""
    wstest = os.path.join(folder, "venv", "bin", "wstest")
    if os.path.exists(wstest):
        return wstest
    python = find_python27()
    if python is None:
        not_run("no Python 2.7")
    os.makedirs(folder, exist_ok=True)
    tool = os.path.join(folder, "tool")
    for command in ([python, "-m", "pip", "install", "-q", "--target", tool, "virtualenv<20.22"],
                    [python, "-m", "virtualenv", "-q", os.path.join(folder, "venv")],
                    [os.path.join(folder, "venv/bin/pip"), "install", "-q", SUITE]):
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": tool if "virtualenv" in command else ""},
                              capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            print(done.stdout[-2000:] + done.stderr[-2000:])
            not_run("Python 2.7 is here, %s cannot be installed" % SUITE)
    return wstest


def run_suite(wstest, folder, port):
    """{case: behaviour} as the suite's index.json has it."""
    reports, spec = os.path.join(folder, "reports"), os.path.join(folder, "spec.json")
    shutil.rmtree(reports, ignore_errors=True)
    with open(spec, "w", encoding="utf-8") as out:
        json.dump({"outdir": reports, "cases": ["*"], "exclude-cases": ["12.*", "13.*"], "exclude-agent-cases": {},
                   "servers": [{"agent": "privateimd", "url": "ws://127.0.0.1:%d/echo" % port}]}, out)
    with open(os.path.join(folder, "wstest.log"), "w", encoding="utf-8") as log:
        subprocess.run([wstest, "-m", "fuzzingclient", "-s", spec], cwd=folder, stdout=log, stderr=log, timeout=3000, check=True)
    with open(os.path.join(reports, "index.json"), encoding="utf-8") as index:
        return next(iter(json.load(index).values()))


def main():
    folder = os.path.join(os.path.abspath(sys.argv[1]), "autobahn")
    wstest, tap = suite_install(folder), pim.Tap()
    with pim.Server(sys.argv[1]) as server:
        cases = run_suite(wstest, folder, server.port)
    for case in sorted(cases, key=lambda name: [int(part) for part in name.split(".")]):
        behaviour, at_close = cases[case]["behavior"], cases[case]["behaviorClose"]
        tap.ok(behaviour in PASS and at_close in PASS, "%s %s, close %s" % (case, behaviour, at_close))
    tap.ok(len(cases) > 290, "all cases were run", len(cases))
    counts = {}
    for result in cases.values():
        counts[result["behavior"]] = counts.get(result["behavior"], 0) + 1
    print("# " + ", ".join("%d %s" % (counts[name], name) for name in sorted(counts)))
    tap.done()


main()
