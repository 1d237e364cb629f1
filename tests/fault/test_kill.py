#!/usr/bin/python3
"""test_kill.py BUILD_DIR: the server is killed under load, at random moments and at each failpoint; nothing acknowledged is lost,
doubled or out of order.

PIM_FAULT_ROUNDS: how many random moments (20). The build needs --enable-failpoints. At the end the test is tested: with
acknowledgement moved before the commit it must go red.
"""

import os
import random
import re
import subprocess
import sys
import time

from faultlib import CHEAP_HASHES, Load, pim

ROUNDS = int(os.environ.get("PIM_FAULT_ROUNDS", "20"))
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def failpoints():
    """Every failpoint that there is in the tree."""
    names = set()
    for folder in "core", "plugins":
        for where, _, files in os.walk(os.path.join(SOURCE, folder)):
            for file in files:
                if file.endswith(".c"):
                    with open(os.path.join(where, file), encoding="utf-8") as text:
                        names.update(re.findall(r'(?:pim|sqlite)_failpoint\("([a-z-]+)"\)', text.read()))
    return sorted(name for name in names if not name.startswith("owed-"))  # those are test_change.py's


def restart(load, env=None):
    load.server.env = env or {}
    try:
        load.server.start()
    except RuntimeError:
        if "PIM_FAILPOINT" not in load.server.env:
            raise  # else it has met its failpoint already


def random_rounds(tap, build_dir):
    with Load(build_dir) as load:
        load.prepare()
        load.start()
        stops = []
        for n in range(ROUNDS):
            time.sleep(random.uniform(0.1, 0.9))
            load.server.kill9()
            restart(load)
            if n % 5 == 4:  # and now and then it is asked politely
                time.sleep(0.3)
                stops.append(load.server.stop())
                restart(load)
        tap.ok(set(stops) == {0}, "SIGTERM under load ends it well", stops)
        time.sleep(0.5)
        tap.ok(load.finish(), "%d kills: every client comes to its end" % ROUNDS)
        verdict = load.verdict()
        tap.ok(verdict == [], "%d kills: none of %d lost, doubled, out of order" % (ROUNDS, load.acked()),
               "\n".join(verdict[:20]))
        tap.ok(load.acked() > 100 * ROUNDS, "there was load", load.acked())


def failpoint_rounds(tap, build_dir):
    names = failpoints()
    tap.ok(len(names) >= 6, "the tree has failpoints", names)
    with Load(build_dir) as load:
        load.prepare()
        load.start()
        for name in names:
            time.sleep(0.2)
            load.server.kill9()
            restart(load, {"PIM_FAILPOINT": "%s=kill@%d" % (name, random.randint(2, 40))})
            try:
                load.server.process.wait(15)
                died = True
            except subprocess.TimeoutExpired:
                died = False
                load.server.kill9()
            tap.ok(died, "the server dies at " + name)
            load.server.process = None
            restart(load)
        tap.ok(load.finish(), "failpoints: every client comes to its end")
        verdict = load.verdict()
        tap.ok(verdict == [], "failpoints: none of %d lost, doubled, out of order" % load.acked(), "\n".join(verdict[:20]))


def planted(tap, build_dir):
    """The test of the test: acknowledged before the commit, and killed between the two."""
    with Load(build_dir) as load:
        load.prepare()
        load.start()
        for _ in range(3):
            time.sleep(0.3)
            load.server.kill9()
            restart(load, {"PIM_FAULT_ACK_EARLY": "1", "PIM_FAILPOINT": "sqlite-before-commit=kill@60"})
            load.server.process.wait(30)
            load.server.process = None
            restart(load)
        load.finish()
        found = [line for line in load.verdict() if line.startswith("lost")]
        tap.ok(found, "acknowledging before the commit is found out: %d lost" % len(found))


def main():
    tap = pim.Tap()
    if sys.argv[2:]:
        globals()[sys.argv[2]](tap, sys.argv[1])
        tap.done()
    random_rounds(tap, sys.argv[1])
    failpoint_rounds(tap, sys.argv[1])
    planted(tap, sys.argv[1])
    tap.done()


if __name__ == "__main__":
    main()
