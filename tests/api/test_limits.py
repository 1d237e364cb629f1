#!/usr/bin/python3
"""test_limits.py BUILD_DIR: what the server does with clients that are too slow, too large, too loud or silent."""

import json
import sys
import time

import pim
from chatlib import (OP_PING, Closed, New, Old, another_session, conv, crash, friends, group, old_text, settings, text)
from wsclient import OP_BINARY, OP_CONT, OP_TEXT, frame

BIG = "x" * 8000


def small_receive_buffer(user, kind=New):
    """A connection whose kernel takes little, so that what is not read waits in the server."""
    client = kind(user)
    client.sock.setsockopt(pim.socket.SOL_SOCKET, pim.socket.SO_RCVBUF, 65536)
    return client


def end_of(client):
    """Read all that is left of a slow connection; the code it was closed with."""
    return client.closed()[0]


def send_many(client, to, n, content=BIG, after=lambda: None):
    """So many messages, 20 at a time; after() follows each 20."""
    codes = set()
    for start in range(0, n, 20):
        for i in range(start, min(start + 20, n)):
            client.send_json(text(to, "%d %s" % (i, content)))
        codes |= {client.recv_op("result")["code"] for _ in range(start, min(start + 20, n))}
        after()
    assert codes == {200}, codes


def first_words(messages):
    return [int(m["content"].split()[0]) for m in messages if m["op"] == "message"]


def sync_all(client, name):
    """All rows of a conversation by sync, page by page."""
    have, have_id, rows = 0, "0", []
    while True:
        parts = client.sync([[name, have, have_id]], only=True)["conversations"]
        if not parts:
            return rows
        rows += parts[0]["messages"]
        have, have_id = rows[-1]["seq"], rows[-1]["id"]
        if not parts[0]["more"]:
            return rows


def read_old(user, client, n):
    """What an old client still lacks of 0 .. n - 1 after reading on, over new connections where it must."""
    got = set()
    for _ in range(20):
        try:
            while len(got) < n:
                got.add(int(client.chats(1)[0].split()[0]))
            break
        except Closed:
            client = Old(user)
    crash(client)
    return sorted(set(range(n)) - got)


def slow_readers(tap, server):
    ann, bob, cat = friends(server, "Ann", "Bob", "Cat")
    a, slow, fast = New(ann), small_receive_buffer(bob), New(another_session(bob))
    got = []
    send_many(a, bob, 900, after=lambda: got.extend(int(c.split()[0]) for c in fast.messages(20)))
    tap.ok(got == list(range(900)), "the fast device gets it all meanwhile")
    code = end_of(slow)
    tap.ok(code in (1013, None), "the slow one is closed with 1013", code)
    b = New(bob)
    tap.ok(first_words(sync_all(b, conv(ann, bob))) == list(range(900)), "and catches up by sync, nothing missing")
    metrics_alive(tap, a, bob, "one to one")


def metrics_alive(tap, client, to, name):
    tap.ok(client.ask(text(to, "still there"))["code"] == 200, "the server goes on: " + name)


def slow_readers_in_a_group(tap, server):
    """Several members stop to read at once; the others must not lose a frame by it."""
    names = ["Slow%d" % i for i in range(6)] + ["Fast%d" % i for i in range(3)]
    users = [server.sign_up(name) for name in names]
    ann = server.sign_up("Ann")
    gid = group(ann, *users)
    clients = [small_receive_buffer(user, Old if i % 3 == 2 else New) if i < 6 else New(user)
               for i, user in enumerate(users)]
    a = New(ann)
    got = [[] for _ in users]
    for start in range(0, 900, 20):
        for i in range(start, start + 20):
            a.send_json(text(gid, "%d %s" % (i, BIG)))
        codes = {a.recv_op("result")["code"] for _ in range(20)}
        assert codes == {200}, codes
        for i in range(6, 9):
            got[i] += [int(c.split()[0]) for c in clients[i].messages(20)]
    tap.ok(all(numbers == list(range(900)) for numbers in got[6:]), "each fast member gets each frame live, in order")
    ends = [end_of(client) for client in clients[:6] if not isinstance(client, Old)]
    tap.ok(all(code in (1013, None) for code in ends), "the slow ones are closed", ends)
    for i in (2, 5):
        missed = read_old(users[i], clients[i], 900)
        tap.ok(missed == [], "slow old member %d has read everything in the end" % i, missed)
    a.ask(text(gid, "900 last"))
    tap.ok(all(client.messages(1) == ["900 last"] for client in clients[6:]), "and it goes on")
    for i in (0, 1):
        b = New(users[i])
        tap.ok(first_words(sync_all(b, "g:%d" % gid)) == list(range(901)), "slow member %d catches up" % i)
    for client in clients[6:]:
        crash(client)
    # alone in the group on its worker: the last member goes while the row is handed out
    lone = server.sign_up("Lone")
    gid = group(lone)
    for kind in (New, Old):
        one, two = small_receive_buffer(lone, kind), New(another_session(lone))
        send_many(two, gid, 900)
        if kind is New:
            tap.ok(end_of(one) in (1013, None), "the only listener goes")
        metrics_alive(tap, two, gid, "after the only listener went")
        crash(one)
        crash(two)


def killed_while_much_waits(tap, server):
    """Clients that stop to read and then vanish with a reset, while rows for them are handed out."""
    ann, bob = friends(server, "Ann", "Bob")
    a = New(ann)
    for kind in (Old, New, Old):
        slow = small_receive_buffer(bob, kind)
        for start in range(0, 600, 20):
            for i in range(start, start + 20):
                a.send_json(text(bob, "%d %s" % (i, BIG)))
            if start == 300:
                crash(slow)
            for _ in range(20):
                a.recv_op("result")
        metrics_alive(tap, a, bob, "after a reset")


def gone_before_the_backlog(tap, server):
    """Old clients that reset the connection while pages of a large backlog are on their way to them."""
    ann, bob = friends(server, "Ann", "Bob")
    a = New(ann)
    send_many(a, bob, 100)
    for i in range(150):
        client = Old(bob)
        if i % 3:
            client.send_raw(b"".join(frame(OP_TEXT, b"{}") for _ in range(i)))
        if i % 2:
            client.recv_frame()
        crash(client)
    metrics_alive(tap, a, bob, "after many resets")


def an_old_client_follows_at_its_own_pace(tap, server):
    """Its backlog waits in the store and not in the server's memory: 8 MB with one page on the way at a time."""
    ann, bob = friends(server, "Ann", "Bob")
    a = New(ann)
    send_many(a, bob, 600)
    slow = Old(bob)
    got = []
    while len(got) < 600:
        got += [int(c.split()[0]) for c in slow.chats(1)]
        if len(got) % 100 == 0:
            time.sleep(0.05)
    tap.ok(got == list(range(600)), "a backlog far above output_bytes reaches a client that reads")


def sizes(tap, server):
    ann, bob = friends(server, "Ann", "Bob")
    cases = (
        ("a frame above frame_bytes", lambda c: c.send_frame(OP_TEXT, b"x" * 65537), 1009),
        ("a frame that claims to be huge", lambda c: c.send_raw(frame(OP_TEXT, b"", length=1 << 40)), 1009),
        ("fragments above message_bytes together",
         lambda c: c.send_fragments(OP_TEXT, [b"x" * 40000, b"x" * 40000]), 1009),
        ("a binary message", lambda c: c.send_frame(OP_BINARY, b"{}"), 1008),
        ("no mask", lambda c: c.send_frame(OP_TEXT, b"{}", mask=None), 1002),
        ("a continuation of nothing", lambda c: c.send_frame(OP_CONT, b"x"), 1002),
        ("no UTF-8", lambda c: c.send_frame(OP_TEXT, b"\"\xff\""), 1007),
    )
    for name, act, code in cases:
        client = New(ann)
        act(client)
        end = client.closed()
        tap.ok(end[0] == code, "%s is closed with %d" % (name, code), end)
    client = New(ann)
    body = text(bob, "")
    room = 65536 - len(json.dumps(body))
    body["content"] = "y" * room
    result = client.ask(body)
    tap.ok(result["code"] in (200, 413), "a frame of exactly frame_bytes is answered", result)
    body = text(bob, "z" * 30000)
    tap.ok(client.ask(body)["code"] == 200, "30 KB are stored")
    parts = json.dumps(text(bob, "in pieces")).encode()
    client.send_fragments(OP_TEXT, [parts[:10], b"", parts[10:11], parts[11:]])
    tap.ok(client.recv_op("result")["code"] == 200, "a message in fragments is one message")


def ops(tap, server):
    ann, bob = friends(server, "Ann", "Bob")
    client = New(ann)
    name = conv(ann, bob)
    client.ask(text(bob, "x"))
    bad = (
        {"op": 5}, {"op": None}, {"op": "dance"}, {"op": ""}, {"op": ["ack"]},
        {"op": "ack"}, {"op": "ack", "conversation": name}, {"op": "ack", "conversation": name, "seq": 0},
        {"op": "ack", "conversation": name, "seq": -1}, {"op": "ack", "conversation": name, "seq": "1"},
        {"op": "ack", "conversation": "u:2:1", "seq": 1}, {"op": "read", "conversation": "x", "seq": 1},
        {"op": "read", "conversation": name, "seq": 1.5}, {"op": "sync", "conversations": 5},
        {"op": "sync", "conversations": [5]}, {"op": "sync", "conversations": [[name]]},
        {"op": "sync", "conversations": [[name, 1, 5]]}, {"op": "sync", "conversations": [[name, -1, "5"]]},
        {"op": "sync", "conversations": [[name, 1, ""]]}, {"op": "sync", "conversations": [[name, 1, "5x"]]},
        {"op": "sync", "conversations": [["x", 1, "5"]]}, {"op": "sync", "limit": 0}, {"op": "sync", "limit": "5"},
        {"op": "sync", "ref": 5}, {"op": "sync", "ref": "r" * 65}, {"op": "sync", "only": 1}, {"op": "sync", "after": 7},
        {"op": "sync", "after": "x"},
    )
    for op in bad:
        client.send_json(op)
        answer = client.recv_json()
        tap.ok(answer.get("op") == "result" and answer["code"] == 400, "400: " + json.dumps(op)[:80], answer)
    client.send_text('{"op":"ping","op":"ping"}')
    tap.ok(client.recv_json()["code"] == 400, "an op twice is a 400")
    client.send_json({"op": "sync", "conversations": [["u:1:%d" % i, 1, "1"] for i in range(2001)]})
    tap.ok(client.recv_op("result")["code"] == 400, "more than 2000 conversations in a sync")
    client.send_json({"op": "sync", "only": True, "conversations": [["g:%d" % i, 1, "1"] for i in range(2, 2000)]})
    tap.ok(client.recv_op("sync")["conversations"] == [], "2000 that are not ours get nothing")
    for i in range(40):
        client.send_json({"op": "sync", "ref": str(i)})
    answers = [client.recv_until(lambda f: f.get("op") in ("sync", "result"))[0] for _ in range(40)]
    codes = [a.get("code", 200) for a in answers]
    tap.ok(set(codes) <= {200, 429} and codes.count(200) >= 4, "many syncs at once: each has an answer", codes)
    tap.ok(all(a.get("retry_after") == 1 for a in answers if a["op"] == "result"), "429 says when")
    for i in range(300):
        client.send_json({"op": "ack", "conversation": "g:%d" % (i + 1), "seq": 1})
    codes = [client.recv_op("result")["code"] for _ in range(300)]
    tap.ok(codes == [403] * 300, "acks of conversations of others")


def storms(tap, server):
    ann, bob = friends(server, "Ann", "Bob")
    client = New(ann)
    garbage = ["{", "[]", "null", "{\"a\":" * 50, "\"", "{}", "{\"type_id\":0}", "{\"type_id\":1e5}", "[" * 5000,
               "{\"type_id\":0,\"type_id\":0}", "{\"content\":\"\\ud800\"}", "\\u0000", "{\"op\":\"" + "x" * 5000 + "\"}"]
    for _ in range(20):
        for text_ in garbage:
            client.send_text(text_)
        answers = [client.recv_json() for _ in garbage]
        if [a["code"] for a in answers] != [400] * len(garbage):
            tap.ok(False, "a storm", answers)
            return
    tap.ok(True, "each of 260 broken frames gets its 400")
    client.send_text("")
    tap.ok(client.recv_json()["code"] == 400, "an empty one too")
    for _ in range(500):
        client.ping(b"flood")
    metrics_alive(tap, client, bob, "after a flood of pings")


def rates(tap, build_dir):
    with pim.Server(build_dir, args=settings("ws.messages_per_s=1", "ws.messages_burst=5")) as server:
        ann, bob = friends(server, "Ann", "Bob")
        for kind in (New, Old):
            client = kind(ann)
            make = (lambda c: text(bob, c)) if kind is New else (lambda c: old_text(ann, bob, c))
            for i in range(30):
                client.send_json(make(str(i)))
            want = (lambda f: f.get("op") == "result") if kind is New else (lambda f: f["type_id"] == 3)
            answers = [client.recv_until(want)[0] for _ in range(30)]
            codes = [a["code"] for a in answers]
            tap.ok(set(codes) == {200, 429} and 5 <= codes.count(200) <= 15, "%s: 429 above the rate" % kind.__name__, codes)
            if kind is New:
                tap.ok(all(a["retry_after"] >= 1 and a["client_id"] for a in answers if a["code"] == 429),
                       "with retry_after and the client id")
                frame_ = text(bob, "again")
                for _ in range(50):
                    result = client.ask(frame_)
                    if result["code"] == 200:
                        break
                    time.sleep(result["retry_after"])
                tap.ok(result["code"] == 200, "the same frame later is stored", result)
    with pim.Server(build_dir, args=settings("ws.in_flight=4", "ws.messages_burst=100000")) as server:
        ann, bob = friends(server, "Ann", "Bob")
        client = New(ann)
        tap.ok(client.hello["limits"]["in_flight"] == 4, "the hello names in_flight")
        frames = [text(bob, str(i)) for i in range(200)]
        client.send_raw(b"".join(frame(OP_TEXT, json.dumps(f).encode()) for f in frames))
        results = [client.recv_op("result") for _ in frames]
        by_id = {r["client_id"]: r["code"] for r in results}
        tap.ok(set(by_id.values()) == {200, 429} and len(by_id) == 200, "above in_flight 429, each with its answer",
               sorted(by_id.values()))
        while left := [f for f in frames if by_id[f["client_id"]] == 429]:
            by_id[left[0]["client_id"]] = client.ask(left[0])["code"]
        rows = [r for r in sync_all(client, conv(ann, bob)) if r["op"] == "message"]
        tap.ok(len(rows) == 200 and len({r["client_id"] for r in rows}) == 200, "sent again one by one: each is there once")


def a_full_queue(tap, build_dir):
    """More at once than the log's queue takes: 503, and the same frames later are stored, once."""
    args = settings("storage.queue_items=16", "ws.in_flight=10000", "ws.messages_burst=100000")
    with pim.Server(build_dir, args=args) as server:
        ann, bob = friends(server, "Ann", "Bob")
        a, old, reader = New(ann), Old(ann), New(bob)
        frames = [text(bob, "%d all" % i) for i in range(1000)]
        a.send_raw(b"".join(frame(OP_TEXT, json.dumps(f).encode()) for f in frames))
        results = [a.recv_op("result") for _ in frames]
        by_id = {r["client_id"]: r for r in results}
        codes = [r["code"] for r in results]
        tap.ok(set(codes) <= {200, 503} and 503 in codes and len(by_id) == 1000, "a full queue is 503", set(codes))
        tap.ok(all(r["retry_after"] >= 1 for r in results if r["code"] == 503), "with retry_after")
        again = [a.ask(f)["code"] for f in frames if by_id[f["client_id"]]["code"] == 503]
        tap.ok(set(again) == {200}, "one by one they pass", set(again))
        rows = [m for m in sync_all(reader, conv(ann, bob)) if m["op"] == "message"]
        tap.ok(sorted(m["client_id"] for m in rows) == sorted(by_id), "each is there once", len(rows))
        old.send_raw(b"".join(frame(OP_TEXT, json.dumps(old_text(ann, bob, str(i))).encode()) for i in range(1000)))
        codes = [old.recv_type(3)["code"] for _ in range(1000)]
        tap.ok(set(codes) <= {200, 503} and 503 in codes, "old clients are told the same", set(codes))


def silence(tap, build_dir):
    with pim.Server(build_dir, args=settings("ws.heartbeat=5s", "auth.token_life=1m")) as server:
        ann = server.sign_up("Ann")
        life = time.monotonic()
        last, dead = server.sign_up("Bob"), New(ann, timeout=40)
        tap.ok(dead.hello["heartbeat"] == 5, "the hello names the heartbeat")
        fin, _, opcode, payload = dead.recv_frame()
        tap.ok(opcode == OP_PING, "a silent connection is pinged", (opcode, payload))
        try:
            dead.recv_frame()
            tap.ok(False, "and ended when it stays silent")
        except Closed as exc:
            tap.ok(exc.code is None, "and ended when it stays silent", exc)
        # one that answers pings lives until its token ends
        alive = New(another_session(ann), timeout=90)
        end = alive.closed()
        tap.ok(end[0] == 4001, "a token that expires closes with 4001", end)
        tap.ok(time.monotonic() - life > 30, "and not before")
        status, _ = last.request("GET", "/info/profile")
        tap.ok(status == 401, "the token is refused then", status)


def main():
    tap, build_dir = pim.Tap(), sys.argv[1]
    args = settings("ws.output_bytes=128KiB", "ws.messages_burst=100000", "ws.messages_per_s=100000", "server.io_workers=1")
    with pim.Server(build_dir, args=args) as server:
        for test in (slow_readers, slow_readers_in_a_group, killed_while_much_waits, gone_before_the_backlog,
                     an_old_client_follows_at_its_own_pace, sizes, ops, storms):
            try:
                test(tap, server)
            except (TimeoutError, Closed, AssertionError, KeyError, OSError) as exc:
                tap.ok(False, test.__name__, repr(exc))
                if server.process.poll() is not None:
                    print("# " + server.log()[-4000:].replace("\n", "\n# "))
                    server.start()
        tap.ok(server.stop() == 0, "the server ends in order")
    try:
        rates(tap, build_dir)
        a_full_queue(tap, build_dir)
        silence(tap, build_dir)
    except (TimeoutError, Closed, AssertionError, KeyError) as exc:
        tap.ok(False, "rates and silence", repr(exc))
    tap.done()


if __name__ == "__main__":
    main()
