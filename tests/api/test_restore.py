#!/usr/bin/python3
"""test_restore.py BUILD_DIR: the messages alone are restored from a backup (storage-abi 3.8).

Marks of the records stand above heads that have gone back: they are lowered, so that what is said next under the old numbers is
delivered and unread; clients are told to begin anew by the epoch and by the id of the row they name.
"""

import os
import shutil
import sqlite3
import sys
import tempfile
import time

import pim


def say(user, peer, first, n):
    with user.ws() as ws:
        ws.recv_op("hello")
        for i in range(first, first + n):
            ws.send_json({"type_id": 0, "receiver_id": peer.id, "content_type": 0, "content": "m%d" % i})
            assert ws.recv_op("result")["code"] == 200


def old_client_reads(user, want):
    """What an old client is given, until so many chats came; it answers the ping that proves it."""
    got = []
    with user.ws(protocols=()) as ws:
        while len(got) < want:
            frame = ws.recv_json()
            if frame["type_id"] == 0:
                got.append(frame["content"])
        time.sleep(0.3)
        ws.send_json({"type_id": 0})  # reads on: the pong is sent while the refusal is waited for
        while ws.recv_json()["type_id"] != 3:
            pass
        ws.sock.settimeout(0.5)
        try:
            got.append(ws.recv_json())
        except OSError:
            pass
    return got


def sync(user, known=()):
    with user.ws() as ws:
        hello = ws.recv_op("hello")
        ws.send_json({"op": "sync", "conversations": list(known), "limit": 50})
        answer = ws.recv_op("sync")
    return hello, {part["conversation"]: part for part in answer["conversations"]}


def main():
    tap = pim.Tap()
    data = tempfile.mkdtemp(prefix="pim-restore-")
    records, messages = os.path.join(data, "r.db"), os.path.join(data, "m.db")
    server = pim.Server(sys.argv[1], data=data, args=["--records", "sqlite:" + records, "--messages", "sqlite:" + messages])
    try:
        server.start()
        ann, bob = server.sign_up("Ann"), server.sign_up("Bob")
        server.befriend(ann, bob)
        name = "u:%d:%d" % tuple(sorted((ann.id, bob.id)))
        say(ann, bob, 1, 10)
        server.stop()
        shutil.copy(messages, messages + ".bak")
        db = sqlite3.connect(messages + ".bak")
        db.execute("INSERT INTO store(name, value) VALUES('is_backup', 1)")
        db.commit()
        db.close()

        server.start()
        say(ann, bob, 11, 10)
        got = old_client_reads(bob, 20)
        tap.ok(got == ["m%d" % i for i in range(1, 21)], "an old client is given all, once", got)
        with bob.ws() as ws:
            ws.recv_op("hello")
            ws.send_json({"op": "read", "conversation": name, "seq": 20})
            ws.send_json({"op": "ack", "conversation": name, "seq": 20})
            time.sleep(0.6)
        hello, parts = sync(bob)
        tap.ok(parts[name]["read"] == 20 and parts[name]["unread"] == 0, "a new one has read all", parts[name])
        last = parts[name]["head_id"]
        epochs = hello["epochs"]
        server.stop()

        for suffix in "", "-wal", "-shm":
            if os.path.exists(messages + suffix):
                os.unlink(messages + suffix)
        shutil.move(messages + ".bak", messages)
        server.start()
        hello, parts = sync(bob, [[name, 20, last]])
        tap.ok(hello["epochs"]["messages"] > epochs["messages"] and hello["epochs"]["records"] == epochs["records"],
               "the hello says that the messages were restored", (epochs, hello["epochs"]))
        tap.ok(parts[name]["reset"] is True and parts[name]["head"] == 10, "who names a row that is gone begins anew",
               {**parts[name], "messages": len(parts[name]["messages"])})
        tap.ok(parts[name]["read"] == 10 and parts[name]["delivered"] == 10, "marks stand at the head that is there",
               (parts[name]["read"], parts[name]["delivered"]))
        say(ann, bob, 101, 5)
        _, parts = sync(bob)
        tap.ok(parts[name]["head"] == 15 and parts[name]["unread"] == 5, "what is said next is unread", parts[name]["unread"])
        got = old_client_reads(bob, 5)
        tap.ok(got == ["m%d" % i for i in range(101, 106)], "and an old client is given just that", got)
    finally:
        server.stop()
        shutil.rmtree(data, ignore_errors=True)
    tap.done()


if __name__ == "__main__":
    main()
