#!/usr/bin/python3
"""test_chat_rules.py BUILD_DIR: who may say what to whom, and the sentence for each refusal, for new and old clients;
three places; ended sessions; groups; rights that are lost; what the other side must not see."""

import json
import sys
import time

import pim
from chatlib import (Closed, New, Old, another_session, conv, crash, friend_action, friends, group, join, leave, old_text,
                     settings, text, unfriend, uuid7)

NO_TYPE = "not have 'type_id' field in the json string message"
BAD_TYPE = "the value of 'type_id' is not support"
FORGED = "the sender id is not identical, don't disguise other to send message"
BAD_CONTENT = "the message content type is not support"
NO_RESOURCE, NO_PREVIEW = "the media resource url is empty", "the media preview picture url is empty"


def without(frame, *names):
    return {key: value for key, value in frame.items() if key not in names}


def refusals(tap, server):
    ann, bob, eve = [server.sign_up(name) for name in ("Ann", "Bob", "Eve")]
    server.befriend(ann, bob)
    gid = group(bob, name="Not Ann's")
    base = {"type_id": 0, "receiver_id": bob.id, "sender_id": ann.id, "content_type": 0, "content": "x"}
    table = (
        (base, 200, "the message send ok"),
        (without(base, "type_id"), 400, NO_TYPE),
        ({**base, "type_id": 2}, 400, BAD_TYPE), ({**base, "type_id": 3}, 400, BAD_TYPE),
        ({**base, "type_id": -1}, 400, BAD_TYPE), ({**base, "type_id": 99}, 400, BAD_TYPE),
        ({**base, "type_id": "0"}, 400, None), ({**base, "type_id": None}, 400, None), ({**base, "type_id": 0.5}, 400, None),
        ({**base, "sender_id": bob.id}, 400, FORGED), ({**base, "sender_id": 0}, 400, FORGED),
        ({**base, "sender_id": str(ann.id)}, 400, None),
        (without(base, "receiver_id"), 400, None), ({**base, "receiver_id": 0}, 400, None),
        ({**base, "receiver_id": -5}, 400, None), ({**base, "receiver_id": str(bob.id)}, 400, None),
        ({**base, "content_type": 4}, 400, BAD_CONTENT), ({**base, "content_type": -1}, 400, BAD_CONTENT),
        ({**base, "content_type": "0"}, 400, None),
        ({**base, "content": ""}, 400, "the text content is empty"),
        (without(base, "content"), 400, "the text content is empty"),
        ({**base, "content": 5}, 400, None), ({**base, "content": None}, 400, None),
        ({**base, "content_type": 1}, 400, NO_PREVIEW),
        ({**base, "content_type": 1, "preview_pic": "p"}, 400, NO_RESOURCE),
        ({**base, "content_type": 1, "resource_url": "r"}, 400, NO_PREVIEW),
        ({**base, "content_type": 1, "preview_pic": "p", "resource_url": "r"}, 200, None),
        ({**base, "content_type": 2}, 400, NO_RESOURCE), ({**base, "content_type": 2, "resource_url": "r"}, 200, None),
        ({**base, "content_type": 3}, 400, NO_RESOURCE), ({**base, "content_type": 3, "resource_url": "r"}, 200, None),
        ({**base, "delivery_time": -1}, 400, "invalid delivery time"),
        ({**base, "delivery_time": int(time.time()) + 1000}, 400, "timed messages are not supported yet"),
        ({**base, "delivery_time": 0}, 200, None),
        ({**base, "receiver_id": 123456789}, 404, "the receiver is not existed"),
        ({**base, "receiver_id": eve.id}, 403, "your are not friend still"),
        ({**base, "receiver_id": ann.id}, 200, None),
        ({**base, "type_id": 1, "receiver_id": 123456789}, 404, None),
        ({**base, "type_id": 1, "receiver_id": gid}, 403, None),
        ({**base, "unknown": {"a": [1, None]}}, 200, None),
    )
    for kind in (New, Old):
        client = kind(ann)
        for frame, code, sentence in table:
            cid = uuid7()
            result = client.ask({**frame, "client_id": cid} if kind is New else frame)
            good = result["code"] == code and (sentence is None or result["error"] == sentence) and result["error"]
            shown = {key: value for key, value in frame.items() if base.get(key) != value} or "base"
            if kind is New and code == 200:
                good = good and result["client_id"] == cid and result["seq"] > 0 and result["id"].isdigit()
            if kind is Old:
                good = good and (result["type_id"], result["sender_id"], result["receiver_id"]) == (3, 1024, ann.id)
            tap.ok(good, "%s: %d %s" % (kind.__name__, code, json.dumps(shown)[:90]), result)
        for raw in ("", "x", "[]", "{", "{}}", '{"type_id":0,"type_id":0}', "5", '{"content":"\\u0000"}'):
            client.send_text(raw)
            result = client.recv_until(lambda f: f.get("code"))[0]
            tap.ok(result["code"] == 400, "%s: 400 %s" % (kind.__name__, raw), result)
        crash(client)
    client = New(ann)
    for cid in ("", "x", 5, "019378a0-5c3e-4b1a-8000-3f0e5d1c2b4a"):
        result = client.ask({**base, "client_id": cid})
        tap.ok(result["code"] == 400 and "client_id" not in result, "400: client_id %r" % (cid,), result)
    result = client.ask(without(base, "sender_id"))
    tap.ok(result["code"] == 200 and "client_id" not in result, "neither sender_id nor client_id is needed", result)


def client_ids(tap, server):
    ann, bob, cat = friends(server, "Ann", "Bob", "Cat")
    a, b = New(ann), New(bob)
    frame = text(bob, "once")
    first = a.ask(frame)
    again = a.ask(frame)
    tap.ok(first["code"] == again["code"] == 200 and all(first[k] == again[k] for k in
                                                         ("seq", "ord", "id", "create_time", "conversation")),
           "a resend gets the first one's numbers", (first, again))
    result = a.ask({**frame, "content": "another"})
    tap.ok(result["code"] == 409, "another text under a used id is 409", result)
    tap.ok(a.ask({**frame, "receiver_id": cat.id})["code"] in (200, 409), "an id elsewhere has an answer")
    tap.ok(b.messages(1) == ["once"] and not [f for f in b.quiet() if f.get("op") == "message"], "the receiver got it once")
    tap.ok(b.ask({**text(ann, "mine"), "client_id": frame["client_id"]})["code"] == 200, "ids belong to their sender")
    tap.ok(a.ask({**text(bob, "x"), "client_id": uuid7(int(time.time() * 1000) + 3600000)})["code"] == 400,
           "an id from the future is 400")
    result = a.ask({**text(bob, "x"), "client_id": uuid7(int(time.time() * 1000) - 3600000)})
    tap.ok(result["code"] == 410, "one older than the resend window is 410", result)
    tap.ok(a.ask({**text(bob, "x"), "client_id": uuid7(int(time.time() * 1000) - 30000)})["code"] == 200,
           "one from within it is taken")
    server.kill9()
    server.start()
    a = New(ann)
    again = a.ask(frame)
    tap.ok(again["code"] == 200 and again["id"] == first["id"], "a resend is known after kill -9", again)
    tap.ok(a.ask({**frame, "content": "another"})["code"] == 409, "and so is a conflict")


def places(tap, server):
    ann, bob = friends(server, "Ann", "Bob")
    clients = [New(ann), New(another_session(ann)), New(ann)]
    fourth = New(ann)
    tap.ok(clients[0].closed() == (4003, "replaced by a newer connection"), "the fourth closes the oldest with 4003")
    clients[2].send_close()
    clients[2].closed()
    fifth = New(ann)
    tap.ok(not [f for f in clients[1].quiet() if "code" in f], "one that left makes room: nobody is pushed out")
    sixth = New(ann)
    tap.ok(clients[1].closed()[0] == 4003, "then it is the turn of the oldest again")
    b = New(bob)
    b.ask(text(ann, "all"))
    tap.ok([c.messages(1) for c in (fourth, fifth, sixth)] == [["all"]] * 3, "the three that stand get what comes")
    fourth.ask(text(bob, "mine"))
    tap.ok(fifth.messages(1) == ["mine"] and sixth.messages(1) == ["mine"], "the sender's other devices get what he sent")
    tap.ok(not [f for f in fourth.quiet() if f.get("op") == "message"], "the sending connection gets the result alone")


def sessions(tap, server):
    ann = server.sign_up("Ann")
    second = another_session(ann)
    a, b = New(ann), New(second)
    status, answer = second.request("DELETE", "/auth/session")
    tap.ok(status == 200 and b.closed()[0] == 4001, "signing out closes that session's connections", (status, answer))
    a.send_json({"op": "ping"})
    tap.ok(a.recv_op("pong") == {"op": "pong"}, "and no other")
    third = another_session(ann)
    c = New(third)
    status, answer = ann.request("GET", "/auth/sessions")
    other = [s["id"] for s in answer["sessions"] if not s["current"]]
    status, _ = ann.request("DELETE", "/auth/sessions/" + other[0])
    tap.ok(status == 200 and c.closed()[0] == 4001, "ending another device closes it", status)
    d = New(another_session(ann))
    status, answer = ann.request("PUT", "/info/password", {"old_password": pim.PASSWORD, "new_password": "battery staple 7",
                                                           "confirm_password": "battery staple 7",
                                                           "password": "battery staple 7"})
    if tap.ok(status == 200, "a new password", (status, answer)):
        tap.ok(d.closed()[0] == 4001, "ends the other sessions")


def rights(tap, server):
    ann, bob = friends(server, "Ann", "Bob")
    a, b = New(ann), New(bob)
    name = conv(ann, bob)
    a.ask(text(bob, "1"))
    friend_action(bob, 3, ann, is_black=True)
    result = a.ask(text(bob, "2"))
    tap.ok((result["code"], result["error"]) == (403, "the receiver refuse receive the message"), "blacklisted bites at once",
           result)
    hidden = a.sync([[name, 1, "0"]], only=True)["conversations"]
    rows = [m for part in hidden for m in part["messages"]]
    mine = [m for m in rows if m.get("event")]
    tap.ok(mine and all(m["event"] == "hidden" and "user_id" not in m and "sender_id" not in m for m in mine),
           "the other side sees a placeholder", rows)
    seen = [m for part in b.sync([[name, 0, "0"]], only=True)["conversations"] for m in part["messages"]]
    tap.ok([m.get("event") for m in seen] == [None, "blocked"] and [m["seq"] for m in seen] == [1, 2],
           "the one who did it sees what he did", seen)
    result = New(bob).ask(text(ann, "3"))
    tap.ok(result["code"] == 200, "he may still write himself", result)
    friend_action(bob, 3, ann, is_black=False)
    tap.ok(a.ask(text(bob, "4"))["code"] == 200, "unblocked, it passes again")
    unfriend(bob, ann)
    result = a.ask(text(bob, "5"))
    tap.ok((result["code"], result["error"]) == (403, "your are not friend still"), "unfriended bites at once", result)
    result = b.ask(text(ann, "6"))
    tap.ok(result["code"] == 403, "in both directions", result)
    status, answer = ann.request("GET", "/messages?conversation=%s&limit=100" % name)
    tap.ok(status == 200 and [m["seq"] for m in answer["messages"]] == list(range(len(answer["messages"]), 0, -1)) and
           {m["event"] for m in answer["messages"] if "event" in m} == {"hidden"}, "history hides it too", answer)
    # pipelined behind: once a refusal has come, no later one of the pipe passes
    cat, dan = friends(server, "Cat", "Dan")
    c = New(cat)
    for i in range(200):
        c.send_json(text(dan, str(i)))
        if i == 100:
            unfriend(dan, cat)
    codes = [c.recv_op("result")["code"] for _ in range(200)]
    first = codes.index(403) if 403 in codes else 200
    tap.ok(codes == [200] * first + [403] * (200 - first) and first <= 101,
           "what was pipelined behind the loss is refused, all of it", (first, codes))


def groups(tap, server):
    ann, bob, cat, dan = [server.sign_up(name) for name in ("Ann", "Bob", "Cat", "Dan")]
    gid = group(ann, bob)
    name = "g:%d" % gid
    a, a2, b, d = New(ann), New(another_session(ann)), New(bob), New(dan)
    result = a.ask(text(gid, "1"))
    tap.ok(result["code"] == 200 and result["conversation"] == name, "a member sends", result)
    got = b.recv_op("message")
    tap.ok((got["content"], got["type_id"], got["receiver_id"], got["sender_id"]) == ("1", 1, gid, ann.id), "members get it", got)
    tap.ok(a2.messages(1) == ["1"], "the sender's own other device too")
    tap.ok(not [f for f in a.quiet() if f.get("op") == "message"], "the sending connection not")
    tap.ok(not [f for f in d.quiet() if f.get("op") == "message"], "who is no member not")
    result = d.ask(text(gid, "intruder"))
    tap.ok(result["code"] == 403, "nor may he send", result)
    c = New(cat)
    join(gid, cat)
    event = c.recv_until(lambda f: f.get("event") == "group_joined")[0]
    tap.ok(event["group_id"] == gid and event["joined_seq"] >= got["seq"], "who joins is told from where he may read", event)
    result = a.ask(text(gid, "2"))
    row = c.recv_op("message")
    tap.ok(row["content"] == "2" and row["seq"] == result["seq"], "and gets what is said from then on, connected already", row)
    part = [p for p in c.sync([[name, 0, "0"]], only=True)["conversations"]][0]
    tap.ok(part["from"] == event["joined_seq"] + 1 and "1" not in [m.get("content") for m in part["messages"]],
           "the past stays hidden from sync", part)
    tap.ok(part["unread"] == 1, "and was never unread", part)
    status, answer = cat.request("GET", "/messages?conversation=" + name)
    tap.ok(status == 200 and "1" not in [m.get("content") for m in answer["messages"]], "and from history", answer)
    leave(gid, cat)
    b.ask(text(gid, "3"))
    tap.ok(not [f for f in c.quiet() if f.get("op") == "message"], "one who left gets nothing more")
    tap.ok(c.ask(text(gid, "4"))["code"] == 403, "and sends nothing more")
    part = [p for p in c.sync([[name, 0, "0"]], only=True)["conversations"]][0]
    said = [m.get("content") for m in part["messages"] if m["op"] == "message"]
    tap.ok(said == ["2"] and part["messages"][-1].get("event") == "member_left", "he sees what was said up to his leaving", part)
    status, answer = cat.request("GET", "/messages?conversation=" + name)
    tap.ok([m["content"] for m in answer["messages"] if m["op"] == "message"] == ["2"], "in history too", answer)
    status, answer = dan.request("GET", "/messages?conversation=" + name)
    tap.ok(status == 403, "who never was a member sees none", answer)
    join(gid, cat)
    result = a.ask(text(gid, "5"))
    tap.ok(c.recv_op("message")["content"] == "5", "one who comes back hears again", result)
    fresh = New(cat)
    part = [p for p in fresh.sync([], only=False)["conversations"] if p["conversation"] == name][0]
    tap.ok("3" not in [m.get("content") for m in part["messages"]], "but not what was said meanwhile", part)


def order(tap, server):
    """Results come in sending order, before any later row of the conversation."""
    ann, bob = friends(server, "Ann", "Bob")
    a, b = New(ann), New(bob)
    a_frames, b_frames = [text(bob, "a%d" % i) for i in range(200)], [text(ann, "b%d" % i) for i in range(200)]
    for x, y in zip(a_frames, b_frames):
        a.send_json(x)
        b.send_json(y)
    for client, mine, theirs in ((a, a_frames, "b"), (b, b_frames, "a")):
        frames, last, sent, got, good = 0, 0, [], [], True
        while frames < 400:
            frame = client.recv_json()
            if frame.get("op") not in ("result", "message"):
                continue
            frames += 1
            good = good and frame["seq"] == last + 1
            last = frame["seq"]
            sent += [frame["client_id"]] if frame["op"] == "result" else []
            got += [frame["content"]] if frame["op"] == "message" else []
        tap.ok(good, "%s sees each number once, in order, results among rows" % client.user.name)
        tap.ok(sent == [f["client_id"] for f in mine], "results come in sending order")
        tap.ok(got == ["%s%d" % (theirs, i) for i in range(200)], "and rows in theirs")


def main():
    tap = pim.Tap()
    with pim.Server(sys.argv[1], args=settings("storage.resend_window=1m", "ws.in_flight=1000")) as server:
        for test in (refusals, client_ids, places, sessions, rights, groups, order):
            try:
                test(tap, server)
            except (TimeoutError, Closed, AssertionError, KeyError, IndexError) as exc:
                tap.ok(False, test.__name__, repr(exc))
    tap.done()


if __name__ == "__main__":
    main()
