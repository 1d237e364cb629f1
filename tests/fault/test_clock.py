#!/usr/bin/python3
"""test_clock.py BUILD_DIR: the wall clock jumps under load (libfaketime moves it, and nothing else).

A jump: no message is numbered until the clock is right again, readiness says so, nothing acknowledged is lost. A start with a
clock behind the newest message is refused, unless the operator allows it. Steps back of a few seconds harm nothing.
"""

import glob
import os
import sys
import time

from faultlib import Load
from test_disk import acked, wait_for
import pim
from judge import read_logs


def fake(load, offset="+0"):
    """Environment in which the clock is moved by what stands in a file."""
    libraries = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    assert libraries, "libfaketime is not installed"
    move(load, offset)
    return {"LD_PRELOAD": libraries[0], "FAKETIME_TIMESTAMP_FILE": load.dir + "/clock", "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def move(load, offset):
    with open(load.dir + "/clock.new", "w") as clock:
        clock.write(offset + "\n")
    os.rename(load.dir + "/clock.new", load.dir + "/clock")


def jump(tap, build_dir):
    with Load(build_dir, pairs=2) as load:
        load.server.stop()
        load.server.env = fake(load)
        load.server.start()
        load.prepare()
        load.start()
        tap.ok(wait_for(lambda: acked(load) > 200), "messages flow")
        move(load, "+3600")
        tap.ok(wait_for(lambda: all(c.delayed for c in read_logs(load.logs))), "an hour ahead: every sender is told to wait")
        time.sleep(0.3)
        before = acked(load)
        time.sleep(0.5)
        tap.ok(acked(load) == before, "an hour ahead: nothing is acknowledged", "%d, then %d" % (before, acked(load)))
        status, answer = load.server.request("GET", "/readyz")
        tap.ok(status == 503 and "clock" in answer["error"], "readiness names the clock", (status, answer))
        move(load, "+0")
        tap.ok(wait_for(lambda: acked(load) > before + 200), "right again: messages flow")
        for offset in "-5", "+5", "-10", "+0":
            move(load, offset)
            before = acked(load)
            tap.ok(wait_for(lambda: acked(load) > before + 100), "a step of %s s: messages flow" % offset)
        tap.ok(load.finish(), "every client comes to its end")
        verdict = load.verdict()
        tap.ok(verdict == [], "none of %d lost, doubled, out of order" % acked(load), "\n".join(verdict[:20]))
        load.server.stop()

        load.server.env = fake(load, "-600")
        try:
            load.server.start()
            refused = ""
        except RuntimeError as exc:
            refused = str(exc)
        load.server.process = None
        tap.ok("behind the newest message" in refused and "allow_clock_behind" in refused,
               "a start ten minutes behind is refused with a sentence", refused)
        load.server.args += ["--set", "storage.allow_clock_behind=yes"]
        load.server.start()
        tap.ok(load.server.request("GET", "/healthz")[0] == 200, "the operator can allow it")


def main():
    tap = pim.Tap()
    jump(tap, sys.argv[1])
    tap.done()


if __name__ == "__main__":
    main()
