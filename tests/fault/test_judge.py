#!/usr/bin/python3
"""test_judge.py BUILD_DIR: the judge finds each fault in histories made by hand, and none in a good one."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "api"))
import pim  # noqa: E402
from judge import Client, judge  # noqa: E402

NAME = "u:1:2"


def good():
    """Two clients; 1 sent a, b, c and 2 sent d: stored a b d c."""
    one, two = Client(1), Client(2)
    for number, cid in enumerate("abc"):
        one.tried[cid] = (number, NAME)
    two.tried["d"] = (0, NAME)
    stored = {NAME: [(1, "11", "a", 1), (2, "12", "b", 1), (3, "13", "d", 2), (4, "14", "c", 1)]}
    for seq, row_id, cid, sender in stored[NAME]:
        (one if sender == 1 else two).acked[cid] = (seq * 1000, NAME, seq, row_id)
        for client in one, two:
            client.rows[NAME].append((seq, row_id, cid))
    return [one, two], stored


def lose(clients, stored):
    stored[NAME].pop()
    for client in clients:
        client.rows[NAME].pop()


def move(clients, stored):
    clients[0].acked["c"] = (4000, NAME, 7, "14")


def double(clients, stored):
    stored[NAME].append((5, "15", "a", 1))
    for client in clients:
        client.rows[NAME].append((5, "15", "a"))


def phantom(clients, stored):
    stored[NAME].append((5, "15", "z", 1))
    for client in clients:
        client.rows[NAME].append((5, "15", "z"))


def gap(clients, stored):
    stored[NAME][3] = (5, "14", "c", 1)
    clients[0].acked["c"] = (4000, NAME, 5, "14")
    for client in clients:
        client.rows[NAME][3] = (5, "14", "c")


def invert(clients, stored):
    clients[0].tried["a"], clients[0].tried["b"] = clients[0].tried["b"], clients[0].tried["a"]


def disagree(clients, stored):
    clients[1].rows[NAME][2] = (3, "99", "d")


def behind(clients, stored):
    clients[1].rows[NAME].pop()


def regress(clients, stored):
    clients[1].rows[NAME].insert(3, (2, "12", "b"))


def forget(clients, stored):
    clients[1].resets.append(NAME)


CASES = (("lost", lose), ("lost", move), ("doubled", double), ("phantom", phantom), ("gap", gap), ("inversion", invert),
         ("disagreement", disagree), ("disagreement", behind), ("regress", regress), ("regress", forget))


def main():
    tap = pim.Tap()
    verdict = judge(*good())
    tap.ok(verdict == [], "a good history is good", verdict)
    for word, spoil in CASES:
        clients, stored = good()
        spoil(clients, stored)
        verdict = judge(clients, stored)
        tap.ok(any(line.startswith(word) for line in verdict), "%s: %s" % (spoil.__name__, word), verdict)
    clients, stored = good()
    stored[NAME].pop()
    tap.ok(judge(clients, stored, until_us=3500) == [], "what was acknowledged after the cut need not be there")
    tap.ok(judge(clients, stored, until_us=4500) != [], "what was acknowledged before the cut must be there")
    tap.done()


if __name__ == "__main__":
    main()
