#!/usr/bin/python3
"""test_sync.py BUILD_DIR: coming back: the hello, sync from what a device has, unread counts, marks that last, and what
a restart of the server does to clients and to messages under way."""

import sys
import threading
import time

import pim
from chatlib import Closed, New, Old, another_session, conv, friends, group, settings, text


def seqs(part):
    return [m["seq"] for m in part["messages"]]


def only(client, known, **more):
    parts = client.sync([known], only=True, **more)["conversations"]
    return parts[0] if parts else None


def hello(tap, server):
    ann = server.sign_up("Ann")
    before = time.time() * 1000
    client = New(ann)
    h = client.hello
    tap.ok(sorted(h) == ["epochs", "heartbeat", "limits", "op", "resend_window", "server_time", "session", "user_id", "version"],
           "the hello has its fields", h)
    tap.ok((h["version"], h["user_id"], h["heartbeat"], h["resend_window"]) == ("privateim.v1", ann.id, 60, 604800) and
           sorted(h["epochs"]) == ["messages", "records"] and h["session"], "and their values", h)
    tap.ok(h["limits"] == {"frame_bytes": 65536, "in_flight": 256, "connections": 3, "sync_rows": 100}, "and limits", h)
    tap.ok(before - 60000 < h["server_time"] < time.time() * 1000 + 60000, "server_time is in milliseconds")
    tap.ok(client.subprotocol == "privateim.v1", "the subprotocol is selected")
    browser = pim.WsClient("127.0.0.1", server.port, protocols=("privateim.v1", "privateim.token." + ann.token))
    tap.ok(browser.recv_json()["op"] == "hello" and browser.subprotocol == "privateim.v1" and
           ann.token not in str(browser.headers), "a browser's token comes in the list and is not sent back", browser.headers)


def paging(tap, server):
    ann, bob = friends(server, "Ann", "Bob")
    name = conv(ann, bob)
    a = New(ann)
    for i in range(250):
        a.send_json(text(bob, str(i + 1)))
    results = [a.recv_op("result") for _ in range(250)]
    b = New(bob)
    part = [p for p in b.sync()["conversations"] if p["conversation"] == name][0]
    tap.ok((part["head"], part["head_ord"], part["head_id"], part["floor"], part["peer_id"], part["reset"]) ==
           (250, 250, results[-1]["id"], 0, ann.id, False), "a part says where the conversation stands", part["head"])
    tap.ok(seqs(part) == list(range(151, 251)) and part["from"] == 151 and not part["more"],
           "of a conversation that is not named the newest rows come", seqs(part)[:3])
    tap.ok((part["unread"], part["read"], part["read_ord"], part["delivered"]) == (250, 0, 0, 0), "all is unread")
    part = only(b, [name, 0, "0"])
    tap.ok(seqs(part) == list(range(1, 101)) and part["more"], "from nothing it begins with the first row")
    got, have = list(part["messages"]), part["messages"][-1]
    while part["more"]:
        part = only(b, [name, have["seq"], have["id"]], limit=70)
        tap.ok(part["from"] == have["seq"] + 1 and len(part["messages"]) <= 70, "the next page begins behind the last row")
        got += part["messages"]
        have = got[-1]
    tap.ok([(m["seq"], m["id"], m["content"]) for m in got] ==
           [(r["seq"], r["id"], str(r["seq"])) for r in results], "the pages are the conversation, without a hole")
    tap.ok(only(b, [name, 250, have["id"]]) is None, "nothing new: left out")
    live = a.ask(text(bob, "live"))
    frame = b.recv_op("message")
    tap.ok(only(b, [name, 250, have["id"]])["messages"] == [frame] and frame["seq"] == live["seq"],
           "a row by sync is the same object as live")
    part = only(b, [name, 250, "123456"])
    tap.ok(part["reset"] and seqs(part) == list(range(152, 252)), "a wrong id: reset, and the newest come", part["from"])
    part = only(b, [name, 9999, have["id"]])
    tap.ok(part["reset"] and part["head"] == 251, "a number above the head: reset")
    part = only(b, [name, 249, results[248]["id"]], limit=1)
    tap.ok(seqs(part) == [250] and part["more"], "limit holds")
    tap.ok(len(only(b, [name, 0, "0"], limit=100000)["messages"]) == 100, "and is never above sync_rows")
    eve = New(server.sign_up("Eve"))
    tap.ok(only(eve, [name, 0, "0"]) is None, "a conversation of others has no answer")
    answer = b.sync([[name, 0, "0"], ["u:1:2", 5, "5"], ["g:77", 1, "1"]], only=True)
    tap.ok([p["conversation"] for p in answer["conversations"]] == [name], "not even beside one's own")


def next_and_after(tap, server):
    """More conversations than one answer holds."""
    ann = server.sign_up("Ann")
    bob = server.sign_up("Bob")
    gids = [group(bob, name="G%d" % i) for i in range(25)]
    b = New(bob)
    for gid in gids:
        for i in range(3):
            b.send_json(text(gid, "%d %s" % (i, "x" * 3500)))
    codes = {b.recv_op("result")["code"] for _ in range(75)}
    assert codes == {200}, codes
    seen, after, answers = {}, {}, 0
    while True:
        answer = b.sync(**after)
        answers += 1
        for part in answer["conversations"]:
            assert part["conversation"] not in seen, part
            seen[part["conversation"]] = [m["content"][0] for m in part["messages"] if m["op"] == "message"]
        if "next" not in answer:
            break
        after = {"after": answer["next"]}
    tap.ok(answers > 1, "260 KB do not fit into one answer", answers)
    tap.ok([seen.get("g:%d" % gid) for gid in gids] == [["0", "1", "2"]] * 25, "each conversation comes once over all of them")
    tap.ok(list(seen) == sorted(seen, key=lambda n: (n[0], [int(x) for x in n[2:].split(":")])), "in order")
    tap.ok(not any(n.startswith("u:%d" % ann.id) for n in seen), "none of others")


def marks(tap, server):
    ann, bob = friends(server, "Ann", "Bob")
    name = conv(ann, bob)
    a, b1, b2 = New(ann), New(bob), New(another_session(bob))
    ids = [a.ask(text(bob, str(i)))["id"] for i in range(10)]
    b1.messages(10), b2.messages(10)
    b1.send_json({"op": "read", "conversation": name, "seq": 4})
    got = b2.recv_op("read")
    tap.ok(got == {"op": "read", "conversation": name, "seq": 4, "read_ord": 4}, "read reaches the other device", got)
    tap.ok(not [f for f in b1.quiet() if f["op"] == "read"], "not the one that said it")
    tap.ok(not [f for f in a.quiet() if f["op"] == "read"], "and not the sender")
    for client in (b1, b2):
        part = only(client, [name, 0, "0"])
        tap.ok((part["unread"], part["read"], part["read_ord"]) == (6, 4, 4), "both devices count the same unread", part["unread"])
    b2.send_json({"op": "read", "conversation": name, "seq": 2})
    b2.quiet()
    tap.ok(only(b1, [name, 0, "0"])["read"] == 4, "marks only rise")
    b2.send_json({"op": "read", "conversation": name, "seq": 5000})
    b2.quiet()
    tap.ok(only(b1, [name, 0, "0"])["read"] == 4, "a number above the head counts for nothing")
    b1.send_json({"op": "ack", "conversation": name, "seq": 7})
    b1.quiet()
    tap.ok(only(b1, [name, 0, "0"])["delivered"] == 7, "an ack moves this device's delivered mark")
    tap.ok(only(b2, [name, 0, "0"])["delivered"] == 0, "and not the other's")
    eve = New(server.sign_up("Eve"))
    for op in ("ack", "read"):
        eve.send_json({"op": op, "conversation": name, "seq": 1})
        tap.ok(eve.recv_op("result")["code"] == 403, op + " for a conversation of others is 403")
        eve.send_json({"op": op, "conversation": "e:%d" % ann.id, "seq": 1})
        tap.ok(eve.recv_op("result")["code"] == 403, op + " for events of others too")
    tap.ok(only(b1, [name, 0, "0"])["read"] == 4, "and moves nothing")
    b1.send_json({"op": "read", "conversation": name, "seq": 9})
    b2.recv_op("read")
    tap.ok(server.stop() == 0, "SIGTERM ends the server in order")
    server.start()
    b1, b2 = New(bob), New(another_session(bob))
    part = only(b1, [name, 0, "0"])
    tap.ok((part["read"], part["read_ord"], part["unread"], part["delivered"]) == (9, 9, 1, 7), "marks survive SIGTERM", part["read"])
    tap.ok(only(b2, [name, 0, "0"])["read"] == 9, "on every device")
    tap.ok(seqs(only(b1, [name, 9, ids[8]])) == [10], "and sync goes on where it was")


def a_gap(tap, server):
    """What a client missed while it was away, and events as rows among messages."""
    ann, bob = friends(server, "Ann", "Bob")
    name = conv(ann, bob)
    a, b = New(ann), New(bob)
    a.ask(text(bob, "1"))
    have = b.recv_op("message")
    b.sock.close()
    for i in range(2, 5):
        a.ask(text(bob, str(i)))
    b = New(bob)
    answer = b.sync([[name, have["seq"], have["id"]]])
    part = [p for p in answer["conversations"] if p["conversation"] == name][0]
    tap.ok([m["content"] for m in part["messages"]] == ["2", "3", "4"], "the gap is filled", part)
    events = [p for p in answer["conversations"] if p["conversation"] == "e:%d" % bob.id][0]
    tap.ok(events["unread"] == 0 and "friend_request" in [m.get("event") for m in events["messages"]] and
           all(m["ord"] == 0 for m in events["messages"]), "events have numbers and are never unread", events)
    tap.ok(seqs(events) == list(range(1, events["head"] + 1)), "without a hole")


def restart(tap, server):
    """SIGTERM while many messages are under way: each is answered or, sent again, stored once."""
    ann, bob = friends(server, "Ann", "Bob")
    name = conv(ann, bob)
    a, idle, old = New(ann), New(bob), Old(bob)
    frames = [text(bob, str(i)) for i in range(3000)]
    answered, ends = {}, []

    def read():
        try:
            while True:
                frame = a.recv_json()
                if frame["op"] == "result" and frame["code"] == 200:
                    answered[frame["client_id"]] = frame
        except Closed as exc:
            ends.append((exc.code, exc.reason))
        except (OSError, TimeoutError) as exc:
            ends.append((None, str(exc)))

    reader = threading.Thread(target=read)
    reader.start()
    stopper = None
    try:
        for i, frame in enumerate(frames):
            a.send_json(frame)
            if i == 500:
                stopper = threading.Thread(target=server.stop)
                stopper.start()
            if i % 20 == 0:
                time.sleep(0.001)
    except OSError:
        pass
    reader.join(20)
    code, reason = idle.closed()
    tap.ok(code == 1012 and 0 <= float(reason) <= 3, "an idle client gets 1012 with seconds to wait", (code, reason))
    tap.ok(old.closed()[0] == 1012, "an old one too")
    tap.ok(ends and ends[0][0] in (1012, None), "the busy one is closed too", ends)
    stopper.join(20)
    server.start()
    known = dict(answered)
    tap.ok(0 < len(known) < len(frames), "the server went in the middle", len(known))
    a, b = New(ann), New(bob)
    again = {}
    for start in range(0, 3000, 200):
        for frame in frames[start:start + 200]:
            a.send_json(frame)
        for _ in range(200):
            result = a.recv_op("result")
            again[result["client_id"]] = result
    tap.ok({r["code"] for r in again.values()} == {200}, "all sent again: all stored")
    wrong = [cid for cid, r in known.items() if again[cid]["id"] != r["id"] or again[cid]["seq"] != r["seq"]]
    tap.ok(not wrong, "what had its 200 kept number and id", len(wrong))
    rows, have, have_id = [], 0, "0"
    while part := only(b, [name, have, have_id]):
        rows += part["messages"]
        have, have_id = rows[-1]["seq"], rows[-1]["id"]
        if not part["more"]:
            break
    tap.ok(sorted(m["client_id"] for m in rows) == sorted(f["client_id"] for f in frames), "each is there exactly once", len(rows))
    tap.ok([m["seq"] for m in rows] == list(range(1, 3001)), "without a hole")
    numbers = [int(m["content"]) for m in rows]
    first = [n for n in numbers if frames[n]["client_id"] in known]
    tap.ok(first == sorted(first), "in sending order")


def main():
    tap = pim.Tap()
    with pim.Server(sys.argv[1]) as server:
        for test in (hello, paging, next_and_after, marks, a_gap):
            try:
                test(tap, server)
            except (TimeoutError, Closed, AssertionError, KeyError, IndexError, TypeError) as exc:
                tap.ok(False, test.__name__, repr(exc))
    with pim.Server(sys.argv[1], args=settings("ws.in_flight=10000", "ws.messages_per_s=100000", "ws.messages_burst=100000")) as server:
        try:
            restart(tap, server)
        except (TimeoutError, Closed, AssertionError, KeyError, IndexError, TypeError) as exc:
            tap.ok(False, "restart", repr(exc))
    tap.done()


if __name__ == "__main__":
    main()
