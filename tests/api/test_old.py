#!/usr/bin/python3
"""test_old.py BUILD_DIR: old clients, which speak no subprotocol: their four frames, field for field; what came while
they were away comes on connect, in order, once; a pong is the proof that it was read."""

import json
import sys
import time

import pim
from wsclient import HandshakeError
from chatlib import (OP_PONG, Closed, New, Old, crash, friends, group, join, leave, old_text, raw_of,
                     text)

CHAT = ["type_id", "sender_id", "receiver_id", "create_time", "delivery_time", "content_type", "content", "preview_pic",
        "resource_url", "description", "additional"]
NOTICE = ["type_id", "sender_id", "receiver_id", "create_time", "delivery_time", "title", "abstract", "preview_pic",
          "resource_url"]
RESULT = ["type_id", "sender_id", "receiver_id", "create_time", "delivery_time", "code", "error", "raw_message"]


def contents(frames):
    return [frame["content"] for frame in frames if frame["type_id"] in (0, 1)]


def drop_notices(user):
    """Take what the friendships have left for the user, so that a test begins with nothing waiting."""
    client = Old(user)
    client.quiet()
    client.send_close()
    client.closed()


def frames_are_exact(tap, server):
    ann, bob = friends(server, "Ann", "Bob")
    gid = group(ann, bob)
    drop_notices(ann)
    drop_notices(bob)
    a, b = Old(ann), Old(bob)
    frame = old_text(ann, bob, "h\u00e9 \"\\\n", description="d")
    sent = json.dumps(frame)
    now = int(time.time())
    a.send_text(sent)
    result = a.recv_json()
    tap.ok(sorted(result) == sorted(RESULT), "a result has its eight fields", result)
    tap.ok((result["type_id"], result["sender_id"], result["receiver_id"], result["delivery_time"], result["code"],
            result["error"]) == (3, 1024, ann.id, 0, 200, "the message send ok"), "a good result", result)
    tap.ok(raw_of(result) == sent.encode(), "raw_message is what was sent")
    got = b.recv_json()
    tap.ok(sorted(got) == sorted(CHAT), "a chat frame has its eleven fields", got)
    tap.ok({**got, "create_time": 0} == {
        "type_id": 0, "sender_id": ann.id, "receiver_id": bob.id, "create_time": 0, "delivery_time": 0, "content_type": 0,
        "content": "h\u00e9 \"\\\n", "preview_pic": "", "resource_url": "", "description": "d", "additional": ""},
        "every text field is there, empty or not", got)
    tap.ok(abs(got["create_time"] - now) < 60 and got["create_time"] == result["create_time"], "the server set the time")
    result = a.ask(old_text(ann, gid, "to all", content_type=1, preview_pic="p", resource_url="r", additional="x"))
    got = b.recv_type(1)
    tap.ok(result["code"] == 200 and sorted(got) == sorted(CHAT) and got["receiver_id"] == gid and
           (got["content_type"], got["preview_pic"], got["resource_url"], got["additional"]) == (1, "p", "r", "x"),
           "a group frame has the group as its receiver", got)
    carl = server.sign_up("Carl")
    carl.request("POST", "/relation/friend", {"dst_id": bob.id, "note": "hey"})
    got = b.recv_json()
    tap.ok(sorted(got) == sorted(NOTICE) and (got["type_id"], got["sender_id"], got["receiver_id"], got["delivery_time"],
                                              got["preview_pic"], got["resource_url"]) == (2, 1024, bob.id, 0, "", ""),
           "an event is a type 2 frame from 1024", got)
    tap.ok(got["title"] == "Friend request" and got["abstract"] == "Carl wants to be your friend: hey", "and says it", got)
    small, large = json.dumps(old_text(ann, bob, "x" * 3000)), json.dumps(old_text(ann, bob, "x" * 4096))
    a.send_text(small)
    tap.ok(raw_of(a.recv_json()) == small.encode(), "3 KB are given back")
    a.send_text(large)
    tap.ok(a.recv_json()["raw_message"] == "", "more than 4 KiB are not")
    a.send_text("no json \xff")
    result = a.recv_json()
    tap.ok(result["code"] == 400 and raw_of(result) == "no json \xff".encode(), "nor is a refused frame forgotten", result)
    a.send_json({"op": "ping"})
    tap.ok(a.recv_json()["error"] == "not have 'type_id' field in the json string message", "an op means nothing to old ones")
    tap.ok(contents(a.quiet()) == [], "the sender does not hear himself")
    a.send_close()
    b.send_close()


def offline_delivery(tap, server):
    ann, bob = friends(server, "Ann", "Bob")
    drop_notices(bob)
    a = New(ann)
    a.ask(text(bob, "1"))
    a.ask(text(bob, "2"))
    b = Old(bob, pongs=False)
    tap.ok(b.chats(2) == ["1", "2"], "what came meanwhile comes on connect, in order")
    b.quiet()
    tap.ok(len(b.pings) == 1, "a ping with the position follows", b.pings)
    crash(b)
    b = Old(bob, pongs=False)
    tap.ok(b.chats(2) == ["1", "2"], "no pong: not proven, delivered again")
    while not b.pings:
        b.quiet()
    b.send_frame(OP_PONG, b"87654321")
    b.send_frame(OP_PONG, b"")
    b.quiet()
    crash(b)
    b = Old(bob)
    tap.ok(b.chats(2) == ["1", "2"], "a pong of something else proves nothing")
    b.quiet()
    crash(b)
    b = Old(bob)
    tap.ok(contents(b.quiet()) == [], "after the pong never again")
    a.ask(text(bob, "3"))
    tap.ok(b.chats(1) == ["3"] and contents(b.quiet()) == [], "a live one behind it comes alone")
    crash(b)
    a.ask(text(bob, "4"))
    b = Old(bob)
    tap.ok(b.chats(1) == ["4"] and contents(b.quiet()) == [], "nothing twice over three connections")
    server.kill9()
    server.start()
    b = Old(bob)
    tap.ok(len(contents(b.quiet())) <= 4, "a crash of the server may bring back what was proven in its last second only")
    crash(b)
    time.sleep(2)  # the marks are written once a second
    server.kill9()
    server.start()
    b = Old(bob)
    tap.ok(contents(b.quiet()) == [], "and nothing of what was proven before that")
    b.send_close()


def groups_too(tap, server):
    ann, bob, cat = friends(server, "Ann", "Bob", "Cat")
    gid = group(ann, bob)
    a = New(ann)
    a.ask(text(gid, "before cat"))
    join(gid, cat)
    a.ask(text(gid, "with cat"))
    drop_notices(ann)
    b, c = Old(bob), Old(cat)
    tap.ok(b.chats(2) == ["before cat", "with cat"], "a member gets the group's backlog")
    tap.ok(c.chats(1) == ["with cat"] and contents(c.quiet()) == [], "one who came later, what was said from then on")
    leave(gid, cat)
    a.ask(text(gid, "without cat"))
    tap.ok(b.chats(1) == ["without cat"], "the others go on")
    tap.ok(contents(c.quiet()) == [], "one who left hears nothing more")
    crash(c)
    c = Old(cat)
    tap.ok(contents(c.quiet()) == [], "nor on the next connect")


def a_backlog_in_pages(tap, server):
    ann, bob, eve = friends(server, "Ann", "Bob", "Eve")
    drop_notices(bob)
    a, e = New(ann), New(eve)
    count = 2000
    for start in range(0, count, 200):
        for client, name in ((a, "a"), (e, "e")):
            for n in range(start // 2, start // 2 + 100):
                client.send_json(text(bob, "%s%d" % (name, n)))
            codes = {client.recv_op("result")["code"] for _ in range(100)}
            assert codes == {200}, codes
    b = Old(bob, pongs=False)
    got = b.chats(100) if not b.pings else []
    crash(b)
    tap.ok(len(got) == 100, "the backlog begins")
    b = Old(bob)
    got = b.chats(500)
    crash(b)  # in the middle
    b = Old(bob)
    rest = contents(b.quiet())
    while len(rest) < count and (more := contents(b.quiet())):
        rest += more
    last = {"a": -1, "e": -1}
    good = True
    for content in rest:
        good = good and (last[content[0]] == -1 or int(content[1:]) == last[content[0]] + 1)
        last[content[0]] = int(content[1:])
    seen = set(got) | set(rest)
    tap.ok(good and last == {"a": count // 2 - 1, "e": count // 2 - 1}, "each sender's in order up to the last", last)
    tap.ok(len(seen) == count, "none of 2000 is missing over a break", len(seen))
    tap.ok(len(rest) == len(set(rest)), "none comes twice on one connection")
    a.ask(text(bob, "live"))
    tap.ok(b.chats(1) == ["live"] and contents(b.quiet()) == [], "and it goes on live")
    crash(b)
    b = Old(bob)
    tap.ok(contents(b.quiet()) == [], "all of it is proven")


def while_it_catches_up(tap, server):
    """Live rows that come while the backlog is read neither overtake nor are doubled."""
    ann, bob = friends(server, "Ann", "Bob")
    drop_notices(bob)
    a = New(ann)
    for n in range(400):
        a.send_json(text(bob, str(n)))
    for n in range(400):
        a.recv_op("result")
    b = Old(bob)
    for n in range(400, 600):
        a.send_json(text(bob, str(n)))
    got = b.chats(600)
    tap.ok(got == [str(n) for n in range(600)], "backlog and live rows come as one, in order")
    tap.ok(contents(b.quiet()) == [], "and nothing twice")


def old_and_new_of_one_user(tap, server):
    ann, bob = friends(server, "Ann", "Bob")
    drop_notices(bob)
    drop_notices(ann)
    a_old, a_new, b_old, b_new = Old(ann), New(ann), Old(bob), New(bob)
    result = a_old.ask(old_text(ann, bob, "from old"))
    got = a_new.recv_op("message")
    tap.ok(result["code"] == 200 and got["content"] == "from old" and got["sender_id"] == ann.id,
           "the new device sees what the old one sent", got)
    tap.ok(b_old.chats(1) == ["from old"] and b_new.messages(1) == ["from old"], "both devices of the receiver get it")
    tap.ok(a_new.ask(text(bob, "from new"))["code"] == 200, "the new one sends")
    tap.ok(b_old.chats(1) == ["from new"] and b_new.messages(1) == ["from new"], "both get that too")
    tap.ok(contents(a_old.quiet()) == [], "an old client is not sent what its user said elsewhere")
    b_old.ask(old_text(bob, ann, "back"))
    tap.ok(a_old.chats(1) == ["back"] and a_new.messages(1) == ["back"], "and the answer reaches both")
    row = b_new.recv_op("message")
    b_new.send_json({"op": "ack", "conversation": row["conversation"], "seq": row["seq"]})
    crash(b_old)
    a_new.ask(text(bob, "while old is away"))
    b_old = Old(bob)
    tap.ok(b_old.chats(1) == ["while old is away"], "the new device's acks do not move the old one's mark")


def three_places(tap, server):
    ann, bob = friends(server, "Ann", "Bob")
    drop_notices(ann)
    clients = [Old(ann) for _ in range(3)]
    for client in clients:
        client.quiet()
    fourth = Old(ann)
    tap.ok(clients[0].closed() == (4003, "replaced by a newer connection"), "the fourth pushes out the oldest")
    b = New(bob)
    b.ask(text(ann, "x"))
    tap.ok([client.chats(1) for client in (*clients[1:], fourth)] == [["x"]] * 3, "the three others get what comes")


def tokens(tap, server):
    ann = server.sign_up("Ann")
    for name, how in (("in the query", {"path": "/?authToken=" + ann.token}),
                      ("in Auth-Token", {"headers": [("Auth-Token", ann.token)]}),
                      ("in Authorization", {"token": ann.token})):
        client = pim.WsClient("127.0.0.1", server.port, protocols=(), **how)
        client.send_frame(1, b"{}", mask=True)
        tap.ok(client.recv_json()["type_id"] == 3 and client.subprotocol is None, "a token " + name)
        client.sock.close()
    for name, how in (("none", {}), ("a bad one", {"token": ann.token[:-3] + "abc"}),
                      ("a bad one in the query", {"path": "/?authToken=x.y.z"})):
        try:
            pim.WsClient("127.0.0.1", server.port, protocols=(), **how)
            status = 101
        except HandshakeError as exc:
            status = exc.status
        tap.ok(status == 401, "401 before the upgrade: " + name, status)


def main():
    tap = pim.Tap()
    with pim.Server(sys.argv[1], args=("--set", "ws.messages_burst=100000", "--set", "ws.in_flight=1000")) as server:
        for test in (frames_are_exact, offline_delivery, groups_too, a_backlog_in_pages, while_it_catches_up,
                     old_and_new_of_one_user, three_places, tokens):
            try:
                test(tap, server)
            except (TimeoutError, Closed, AssertionError, KeyError) as exc:
                tap.ok(False, test.__name__, repr(exc))
    tap.done()


if __name__ == "__main__":
    main()
