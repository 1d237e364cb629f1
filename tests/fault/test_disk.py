#!/usr/bin/python3
"""test_disk.py BUILD_DIR: a full disk and a disk that fails.

Full: senders get 503, nothing acknowledged is lost, the service goes on by itself when there is room. A failed sync: the server stops
at once, acknowledges nothing after it, and the next start has all that was acknowledged. powerloss.so plays the disk.
"""

import os
import random
import sys
import time

from faultlib import Load, pim
from judge import read_logs


def shim(build_dir, load, **more):
    return {"LD_PRELOAD": os.path.join(os.path.abspath(build_dir), "tests/fault/.libs/powerloss.so"),
            "PIM_POWER_DIR": load.server.data, "PIM_POWER_LOG": os.path.join(load.dir, "journal"), **more}


def acked(load):
    return sum(len(client.acked) for client in read_logs(load.logs))


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def full(tap, build_dir):
    with Load(build_dir, pairs=2) as load:
        load.server.stop()
        mark = os.path.join(load.dir, "full")
        load.server.env = shim(build_dir, load, PIM_POWER_FULL=mark)
        load.server.start()
        load.prepare()
        load.start()
        time.sleep(1)
        open(mark, "w").close()
        time.sleep(0.3)
        before = acked(load)
        told = wait_for(lambda: all(client.delayed for client in read_logs(load.logs)))
        tap.ok(told, "disk full: every sender is told to come again")
        tap.ok(acked(load) == before, "disk full: nothing is acknowledged", "%d, then %d" % (before, acked(load)))
        status, answer = load.users[0].request("GET", "/info/profile")
        tap.ok(status == 200, "disk full: reading goes on", (status, answer))
        os.unlink(mark)
        tap.ok(wait_for(lambda: acked(load) > before + 100), "room again: the service goes on by itself")
        tap.ok(load.finish(), "every client comes to its end")
        verdict = load.verdict()
        tap.ok(verdict == [], "disk full: none of %d lost, doubled, out of order" % acked(load), "\n".join(verdict[:20]))


def failed_sync(tap, build_dir):
    with Load(build_dir, pairs=2) as load:
        load.server.stop()
        load.server.env = shim(build_dir, load)
        load.server.start()
        load.prepare()
        load.server.stop()
        load.server.env = shim(build_dir, load, PIM_POWER_SYNC_EIO=str(random.randint(40, 400)))
        load.server.start()
        load.start()
        try:
            status = load.server.process.wait(20)
        except Exception:
            status = None
        tap.ok(status not in (None, 0), "a failed sync ends the server", status)
        load.server.process = None
        load.server.env = {}
        load.server.start()
        time.sleep(0.5)
        tap.ok(load.finish(), "every client comes to its end")
        verdict = load.verdict()
        tap.ok(verdict == [], "a failed sync: none of %d lost, doubled, out of order" % acked(load), "\n".join(verdict[:20]))


def main():
    tap = pim.Tap()
    full(tap, sys.argv[1])
    failed_sync(tap, sys.argv[1])
    tap.done()


if __name__ == "__main__":
    main()
