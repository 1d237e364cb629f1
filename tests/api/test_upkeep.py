#!/usr/bin/python3
"""test_upkeep.py BUILD_DIR: the server lets its stores do what they want done now and then: a checkpoint that no commit asks
for, and retention by age, for one store of both roles and for two. And a session that ends leaves nothing behind.
"""

import os
import sqlite3
import sys
import tempfile
import time

import pim

DAY_MS = 86400000


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def say(server, users, count):
    with pim.WsClient("127.0.0.1", server.port, token=users[0].token) as ws:
        ws.recv_op("hello")
        for n in range(count):
            ws.send_json({"type_id": 0, "receiver_id": users[1].id, "content_type": 0, "content": "number %d" % n})
        codes = {ws.recv_op("result")["code"] for _ in range(count)}
    assert codes == {200}, codes


def check(tap, build_dir, what, args, data):
    messages = os.path.join(data, "m.db")
    with pim.Server(build_dir, args=args, data=data) as server:
        users = [server.sign_up("Ann"), server.sign_up("Ben")]
        server.befriend(*users)
        say(server, users, 100)
        size = os.stat(messages).st_size
        tap.ok(wait_for(lambda: os.stat(messages).st_size > size), what + ": the log is copied into the database, though no commit was due to")
    # a month goes by
    with sqlite3.connect(messages) as db:
        for table, column in (("msg", "created_ms"), ("skip", "created_ms"), ("head", "last_ms")):
            db.execute("UPDATE %s SET %s = %s - ?" % (table, column, column), (30 * DAY_MS,))
    db.close()
    with pim.Server(build_dir, args=[arg.replace("retain_days=0", "retain_days=7") for arg in args], data=data) as server:
        name = "u:%d:%d" % tuple(sorted(user.id for user in users))

        def rows():
            status, answer = server.request("GET", "/messages?conversation=%s&limit=100" % name, token=users[0].token)
            assert status == 200, (status, answer)
            return [row["seq"] for row in answer["messages"]], answer["floor"]

        tap.ok(rows() == (list(range(100, 0, -1)), 0), what + ": all are there after a month", rows())
        tap.ok(wait_for(lambda: rows() == ([100], 99)), what + ": those older than retain_days go, the newest stays", rows())
        say(server, users, 1)
        tap.ok(rows()[0][0] == 101, what + ": numbers go on", rows())


def ended_session(tap, build_dir):
    with pim.Server(build_dir) as server:
        users = [server.sign_up("Cat"), server.sign_up("Dan")]
        server.befriend(*users)
        say(server, users, 1)
        status, other = server.request("POST", "/auth/profile", {"email": users[1].email, "password": pim.PASSWORD})
        assert status == 200, other

        def devices():
            with sqlite3.connect(os.path.join(server.data, "privateim.db")) as db:
                found = db.execute("SELECT device FROM rec_position WHERE user_id = ?", (users[1].id,)).fetchall()
            db.close()
            return sorted({device for device, in found})

        name = "u:%d:%d" % tuple(sorted(user.id for user in users))
        for token in users[1].token, other["auth_token"]:
            with pim.WsClient("127.0.0.1", server.port, token=token) as ws:
                ws.recv_op("hello")
                ws.send_json({"op": "ack", "conversation": name, "seq": 1})
                ws.send_json({"op": "read", "conversation": name, "seq": 1})
                ws.send_json({"op": "ping"})
                ws.recv_op("pong")
        tap.ok(wait_for(lambda: len(devices()) == 3), "two devices and the user have marks", devices())
        assert server.request("DELETE", "/auth/session", token=other["auth_token"])[0] == 200
        tap.ok(wait_for(lambda: len(devices()) == 2 and "" in devices()), "the marks of a session go with it", devices())


def main():
    tap = pim.Tap()
    ended_session(tap, sys.argv[1])
    for what in "one store", "two stores":
        with tempfile.TemporaryDirectory() as data:
            options = "?checkpoint_pages=1000000&retain_days=0"
            records = os.path.join(data, "m.db" if what == "one store" else "r.db")
            args = ["--set", "storage.records=sqlite:%s%s" % (records, options),
                    "--set", "storage.messages=sqlite:%s%s" % (os.path.join(data, "m.db"), options)]
            os.chmod(data, 0o700)
            check(tap, sys.argv[1], what, args, data)
    tap.done()


main()
