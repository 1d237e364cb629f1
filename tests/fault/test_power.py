#!/usr/bin/python3
"""test_power.py BUILD_DIR: the power goes under load; whatever part of the unsynced writes the disk kept, nothing acknowledged before is
lost, doubled or out of order.

kill -9 does not test syncing, since the kernel keeps what was written. Here the server runs with powerloss.so, which writes its
file changes down; then images are built of what a disk may hold (power.py), the server is started on each and read back.
PIM_FAULT_IMAGES: how many (60). At the end the test is tested: with syncing switched off it must go red.
"""

import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time

from faultlib import CHEAP_HASHES, Load, pim
from judge import judge, read_logs
from power import Journal, image

IMAGES = int(os.environ.get("PIM_FAULT_IMAGES", "60"))
LOAD_S = 3


def record(load, build_dir, data, env):
    """Run a load; the journal of what was written."""
    log = os.path.join(load.dir, "journal")
    load.server.env = {**env, "LD_PRELOAD": os.path.join(os.path.abspath(build_dir), "tests/fault/.libs/powerloss.so"),
                       "PIM_POWER_DIR": data, "PIM_POWER_LOG": log}
    load.server.start()
    load.prepare()
    begin_us = time.monotonic_ns() // 1000
    load.start()
    time.sleep(LOAD_S)
    load.finish()
    load.server.stop()
    return Journal(log), begin_us


def integrity(path):
    """SQLite's own opinion of the file, on a copy: looking at it would repair it."""
    with tempfile.TemporaryDirectory() as copy:
        for suffix in "", "-wal":
            if os.path.exists(path + suffix):
                shutil.copy(path + suffix, os.path.join(copy, "db" + suffix))
        db = sqlite3.connect(os.path.join(copy, "db"))
        try:
            return db.execute("PRAGMA integrity_check").fetchone()[0]
        except sqlite3.DatabaseError as exc:
            return str(exc)
        finally:
            db.close()


def try_image(load, build_dir, journal, cut, rng, clients):
    """Start on one image. A list of findings."""
    with tempfile.TemporaryDirectory(prefix="pim-image-") as data:
        os.chmod(data, 0o700)
        image(journal, cut, rng, data)
        verdict = integrity(os.path.join(data, "privateim.db"))
        if verdict != "ok":
            return ["integrity: " + verdict]
        server = pim.Server(build_dir, args=CHEAP_HASHES, data=data)
        try:
            server.start()
            return judge(clients, load.stored(server), until_us=journal.changes[cut].time_us)
        except RuntimeError as exc:
            return ["it does not start or cannot be read: %s" % exc]
        finally:
            server.stop()


def run(tap, build_dir, images, env, seed):
    """Findings of all images, and what was looked at."""
    rng = random.Random(seed)
    data = tempfile.mkdtemp(prefix="pim-power-")
    findings, kept = [], 0
    try:
        load = Load(build_dir, pairs=2, server=pim.Server(build_dir, args=CHEAP_HASHES, data=data))
        try:
            journal, begin_us = record(load, build_dir, data, env)
            clients = read_logs(load.logs)
            first = next(n for n, change in enumerate(journal.changes) if change.time_us > begin_us)
            for _ in range(images):
                cut = rng.randrange(first, len(journal.changes))
                found = try_image(load, build_dir, journal, cut, rng, clients)
                kept += sum(ack[0] <= journal.changes[cut].time_us for c in clients for ack in c.acked.values())
                findings += ["cut before change %d: %s" % (cut, line) for line in found]
        finally:
            shutil.rmtree(load.dir, ignore_errors=True)
    finally:
        shutil.rmtree(data, ignore_errors=True)
    return findings, kept, journal


def main():
    tap, seed = pim.Tap(), random.randrange(1 << 32)
    print("# seed %d" % seed)
    findings, kept, journal = run(tap, sys.argv[1], IMAGES, {}, seed)
    tap.ok(journal.syncs() > 50, "the journal holds syncs", "%d in %d changes" % (journal.syncs(), len(journal.changes)))
    tap.ok(kept > 10 * IMAGES, "messages were acknowledged before the cuts", kept)
    tap.ok(findings == [], "%d images, %d acknowledged messages in them: none lost, doubled, out of order" % (IMAGES, kept),
           "\n".join(findings[:20]))
    findings, _, journal = run(tap, sys.argv[1], 8, {"PIM_FAULT_NO_FSYNC": "1"}, seed)
    tap.ok(findings != [], "without syncing it is found out: %d findings" % len(findings))
    tap.done()


if __name__ == "__main__":
    main()
