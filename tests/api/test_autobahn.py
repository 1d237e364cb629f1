#!/usr/bin/python3
"""test_autobahn.py BUILD_DIR [CASE...]: 301 cases of the Autobahn suite against /echo.

The build needs --enable-test-echo. CASE is a number or the beginning of one, such as 6.4. With PIM_ECHO_PORT set, the
server that listens there is tested instead: so the cases themselves were tried, against a library that is not ours.
"""

import os
import sys
import time

import pim
from autobahn import all_cases
from autobahn.case import run
from wsclient import HandshakeError, WsClient


def wanted(number, patterns):
    return not patterns or any(number == p or number.startswith(p.rstrip(".") + ".") for p in patterns)


def run_all(tap, port, patterns):
    counts, started = {}, time.monotonic()
    for case in all_cases():
        if wanted(case.number, patterns):
            verdict, why = run(case, port)
            counts[verdict] = counts.get(verdict, 0) + 1
            note = "" if verdict == "OK" else " # %s %s" % (verdict, why if verdict != "FAILED" else "")
            tap.ok(verdict != "FAILED", "%s %s%s" % (case.number, case.what.replace("#", ""), note), why)
    print("# %s in %.1f s" % (", ".join("%d %s" % (n, v) for v, n in sorted(counts.items())),
                              time.monotonic() - started))


def main():
    tap, patterns = pim.Tap(), sys.argv[2:]
    if os.environ.get("PIM_ECHO_PORT"):
        run_all(tap, int(os.environ["PIM_ECHO_PORT"]), patterns)
        tap.done()
    with pim.Server(sys.argv[1]) as server:
        try:
            WsClient("127.0.0.1", server.port, "/echo", protocols=()).abort()
        except HandshakeError as exc:
            sys.exit("no echo at /echo (%s): configure with --enable-test-echo" % exc.status)
        run_all(tap, server.port, patterns)
    tap.done()


if __name__ == "__main__":
    main()
