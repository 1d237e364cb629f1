#!/usr/bin/python3
"""load_run.py BUILD_DIR [SECONDS]: the server under load, with nobody killed (5 s); then judged.

Meant for a build with a sanitizer: a report ends the server with its exit code, which fails this run.
"""

import sys
import time

from faultlib import Load, pim


def main():
    tap, seconds = pim.Tap(), float(sys.argv[2]) if sys.argv[2:] else 5.0
    load = Load(sys.argv[1], window=4, env={"TSAN_OPTIONS": "halt_on_error=1:exitcode=66:second_deadlock_stack=1"})
    try:
        with load:
            load.prepare()
            load.start()
            time.sleep(seconds)
            tap.ok(load.finish(), "every client comes to its end")
            verdict = load.verdict()
            tap.ok(verdict == [], "none of %d lost, doubled, out of order" % load.acked(), "\n".join(verdict[:20]))
            tap.ok(load.acked() > 100, "there was load", load.acked())
        tap.ok(True, "the server ends with status 0")
    except (AssertionError, RuntimeError, OSError, ValueError) as failed:
        tap.ok(False, "the server lives and ends with status 0", "%r\n%s" % (failed, failed))
    tap.done()


main()
