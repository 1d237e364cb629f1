#!/usr/bin/python3
"""test_change.py BUILD_DIR: the server is killed while people make friends and join and leave groups.

A change and the rows that announce it stand or fall together (storage-abi 3.6): in the end the records and the logs tell the same
story, each announcement once, whatever was killed in between.
"""

import http.client
import os
import random
import sys
import time

from faultlib import CHEAP_HASHES, pim, read_back

ROUNDS = int(os.environ.get("PIM_FAULT_ROUNDS", "20"))
POINTS = ("owed-before-append", "owed-before-close", "sqlite-before-commit", "sqlite-after-commit", "before-append")


def events(server, user, conversation):
    """The events of a conversation as the history serves them, oldest first."""
    rows, before = [], 0
    while True:
        status, answer = server.request("GET", "/messages?conversation=%s&limit=100&before=%d" % (conversation, before),
                                        token=user.token)
        assert status == 200, (status, answer)
        rows += answer["messages"]
        if not answer["messages"] or rows[-1]["seq"] <= 1:
            return rows[::-1]
        before = rows[-1]["seq"]


def is_member(server, user, group):
    status, answer = server.request("GET", "/relation/group_chats", token=user.token)
    assert status == 200, (status, answer)
    return any(one["group_id"] == group for one in answer["group_chat_list"])


def try_change(user, method, path, body):
    """True when it was answered well, None when nobody knows."""
    try:
        status, answer = user.request(method, path, body)
    except (OSError, http.client.HTTPException):
        return None
    return status == 200 or (None if status == 503 else (status, answer))


def main():
    tap = pim.Tap()
    with pim.Server(sys.argv[1], args=CHEAP_HASHES) as server:
        boss, people = server.sign_up("Boss"), [server.sign_up("P%d" % i) for i in range(3)]
        status, answer = boss.request("POST", "/group_chat/instance", {"name": "all"})
        assert status == 201, (status, answer)
        group = answer["group_chat"]["id"]
        odd, answered = [], 0
        for number in range(ROUNDS):
            server.kill9()
            server.env = {"PIM_FAILPOINT": "%s=kill@%d" % (POINTS[number % len(POINTS)], random.randint(1, 6))}
            try:
                server.start()
                for user in people * 3:
                    method = "DELETE" if is_member(server, user, group) else "POST"
                    answer = try_change(user, method, "/group_chat/user", {"group_id": group, "note": ""})
                    answered += answer is True
                    if answer not in (True, None):
                        odd.append(answer)
            except (OSError, http.client.HTTPException, RuntimeError, AssertionError):
                pass  # it has met its failpoint
            if server.process.poll() is None:
                server.process.kill()
            server.process.wait()
            server.env = {}
            server.start()
        tap.ok(answered >= ROUNDS // 4, "changes were made and answered", answered)
        tap.ok(not odd, "no change got another answer than done or away", odd[:5])
        time.sleep(1)  # what a kill left is appended at the start
        for user in people:
            mine = [row["event"] for row in events(server, user, "e:%d" % user.id) if row.get("group_id") == group]
            wrong = [i for i, name in enumerate(mine) if name != ("group_joined", "group_left")[i % 2]]
            tap.ok(mine and not wrong, "joining and leaving take turns in the user's log (%d events)" % len(mine), mine)
            inside = is_member(server, user, group)
            tap.ok(inside == (len(mine) % 2 == 1), "the records say the same", (inside, mine[-3:]))
            theirs = [row["event"] for row in events(server, boss, "g:%d" % group)
                      if row["op"] == "event" and row.get("user_id") == user.id]
            tap.ok(theirs == [name.replace("group", "member") for name in mine], "the group's log says the same",
                   (len(theirs), len(mine)))
        rows = read_back(server, boss.token, "g:%d" % group)
        tap.ok([row[0] for row in rows] == list(range(rows[0][0], rows[0][0] + len(rows))), "the group's log is dense")
    tap.done()


if __name__ == "__main__":
    main()
