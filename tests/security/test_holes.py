#!/usr/bin/python3
"""test_holes.py BUILD_DIR [NUMBER...]: holes that the earlier project had, each closed here. They are known by their numbers."""

import base64
import concurrent.futures
import hashlib
import hmac
import json
import os
import re
import socket
import stat
import sys
import time
import uuid

import seclib
from seclib import CHEAP, Closed, HandshakeError, WsClient, ask, friends, history, join, leave, new_group, pair, pim, put_friend

TESTS = []


def hole(number, about):
    def keep(test):
        TESTS.append((number, about, test))
        return test
    return keep


def text_to(user, text, **more):
    return {"type_id": 0, "receiver_id": user.id, "content_type": 0, "content": text, **more}


def text_to_group(group, text):
    return {"type_id": 1, "receiver_id": group, "content_type": 0, "content": text}


def send(ws, message):
    """The result of one message."""
    ws.send_json(message)
    return ws.recv_op("result")


def connect(user, **how):
    ws = user.ws(**how)
    ws.recv_op("hello")
    return ws


def refused(port, **how):
    """The status that an upgrade is refused with; 101 if it is not."""
    try:
        WsClient("127.0.0.1", port, **how).abort()
        return 101
    except HandshakeError as exc:
        return exc.status


def three(server, prefix):
    return [server.sign_up(prefix + name) for name in ("A", "B", "C")]


@hole(1, "a user's number is no token")
def number_as_token(tap, server):
    user = server.sign_up("One")
    for token in ("42", str(user.id), "0", "user", "null"):
        got = [refused(server.port, token=token), refused(server.port, headers=[("Auth-Token", token)]),
               refused(server.port, path="/?authToken=" + token, protocols=()),
               refused(server.port, protocols=("privateim.v1", "privateim.token." + token)),
               ask(server.port, "GET", "/info/profile", token=token).status]
        tap.ok(got == [401] * 5, "token %r: 401 everywhere" % token, got)
    tap.ok(refused(server.port) == 401, "no token: 401")


@hole(2, "the secret is random, one's own and nobody else's to read")
def own_secret(tap, server):
    user = server.sign_up("Two")
    with pim.Server(server.build_dir, args=CHEAP) as other:
        stranger = other.sign_up("Two")
        keys = []
        for one in (server, other):
            path = os.path.join(one.data, "token.key")
            with open(path, "rb") as file:
                keys.append(file.read())
            tap.ok(stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0, "only the server's user reads the key")
        tap.ok(keys[0] != keys[1] and min(map(len, keys)) >= 32, "two installations, two keys of 32 bytes and more")
        tap.ok(ask(other.port, "GET", "/info/profile", token=user.token).status == 401 and
               ask(server.port, "GET", "/info/profile", token=stranger.token).status == 401, "a token is good where it was made")


@hole(5, "a group message does not end the server")
def group_message(tap, server):
    a, b, c = three(server, "Five")
    group = new_group(a, "five")
    join(b, group)
    join(c, group)
    with connect(a) as first, connect(b) as second, connect(c) as third:
        for i in range(20):
            tap.ok(send(first, text_to_group(group, "hello %d" % i))["code"] == 200, "group message %d" % i)
        for ws in second, third:
            got = [ws.recv_until(lambda obj: obj.get("op") == "message")[0]["content"] for _ in range(20)]
            tap.ok(got == ["hello %d" % i for i in range(20)], "a member has them all", got)
        for type_id in (2, 3, 4, -1, 10 ** 12):
            tap.ok(send(first, {"type_id": type_id, "receiver_id": group, "content_type": 0, "content": "x"})["code"] == 400,
                   "type %d is answered 400" % type_id)
    tap.ok(server.process.poll() is None, "the server lives")


@hole(9, "what is said to one who is away, and history, are kept")
def kept(tap, server):
    a, b, _ = three(server, "Nine")
    friends(a, b)
    with connect(a) as ws:
        result = send(ws, text_to(b, "for later"))
    server.kill9()
    server.start()
    rows = [row for row in history(b, pair(a, b))[1] if row.get("content") == "for later"]
    tap.ok(len(rows) == 1 and rows[0]["seq"] == result["seq"] and rows[0]["id"] == result["id"], "it is in the history", rows)
    with WsClient("127.0.0.1", server.port, token=b.token, protocols=()) as old:
        got, _ = old.recv_until(lambda obj: obj.get("type_id") == 0)
        tap.ok(got["content"] == "for later", "an old client gets it on connecting", got)


@hole(10, "200 means stored, whatever comes right after it")
def stored_or_not(tap, server):
    a, b, _ = three(server, "Ten")
    friends(a, b)
    ws, results = connect(a), []
    for i in range(100):
        ws.send_json(text_to(b, "%d" % i))
    for i in range(40):
        results.append(ws.recv_op("result"))
    server.kill9()
    try:
        while True:
            frame = ws.recv_json()
            if frame.get("op") == "result":
                results.append(frame)
    except (Closed, OSError):
        ws.abort()
    server.start()
    stored = {row["seq"]: row["id"] for row in history(a, pair(a, b))[1]}
    gone = [one for one in results if one["code"] == 200 and stored.get(one["seq"]) != one["id"]]
    tap.ok(gone == [], "none of %d is lost by a kill" % len(results), gone)
    tap.ok(put_friend(b, a, 3, black=True)[0] == 200, "then blocked")
    head = len(history(b, pair(a, b))[1])
    with connect(a) as ws:
        tap.ok(send(ws, text_to(b, "after"))["code"] == 403, "what is not stored is not 200")
    tap.ok(len(history(b, pair(a, b))[1]) == head, "and is not there")


@hole(11, "the queue for one who is away is the disk, and no sender waits for it")
def long_queue(tap, server):
    a, b, _ = three(server, "Eleven")
    friends(a, b)
    cids = [str(uuid.UUID(int=(int(time.time() * 1000) << 80) | 7 << 76 | 2 << 62 | i)) for i in range(600)]
    with connect(a) as ws:
        for start in range(0, 600, 200):
            for cid in cids[start:start + 200]:
                ws.send_json(text_to(b, "x" * 500, client_id=cid))
            codes = {ws.recv_op("result")["code"] for _ in range(200)}
            tap.ok(codes == {200}, "200 messages to one who is away", codes)
    server.kill9()
    server.start()
    with connect(b) as ws:
        have, seq, row_id = 0, 0, "0"
        for _ in range(20):
            ws.send_json({"op": "sync", "ref": "x", "only": True, "conversations": [[pair(a, b), seq, row_id]]})
            pages = ws.recv_op("sync")["conversations"]
            rows = pages[0]["messages"] if pages else []
            if not rows:
                break
            have += sum(row.get("client_id") in cids for row in rows)
            seq, row_id = rows[-1]["seq"], rows[-1]["id"]
        tap.ok(have == 600, "all of them come after a kill", have)


@hole(12, "what is delivered stays, for each device")
def each_device(tap, server):
    a, b, _ = three(server, "Twelve")
    friends(a, b)
    with connect(a) as ws:
        send(ws, text_to(b, "twice"))
    for turn in ("first", "second"):  # it never acknowledges: it gets it again
        with WsClient("127.0.0.1", server.port, token=b.token, protocols=()) as old:
            got, _ = old.recv_until(lambda obj: obj.get("type_id") == 0)
            tap.ok(got["content"] == "twice", "a device that did not acknowledge, %s time" % turn, got)
    with connect(b) as one, connect(b) as two:
        for ws in one, two:
            ws.send_json({"op": "sync", "ref": "x", "only": True, "conversations": [[pair(a, b), 0, "0"]]})
            rows = ws.recv_op("sync")["conversations"][0]["messages"]
            tap.ok(any(row.get("content") == "twice" for row in rows), "each device has it", rows)
            ws.send_json({"op": "ack", "conversation": pair(a, b), "seq": rows[-1]["seq"]})


@hole(13, "who does not read holds up nobody")
def slow_reader(tap, server):
    a, b, c = three(server, "Slow")
    group = new_group(a, "slow")
    join(b, group)
    join(c, group)
    with connect(a) as first, connect(b) as deaf, connect(c) as third:
        deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 262144)
        sent = 0
        while sent < 3000:
            for _ in range(100):
                first.send_json(text_to_group(group, "y" * 3500))
            codes = {first.recv_op("result")["code"] for _ in range(100)}
            if codes != {200}:
                tap.ok(False, "the sender's results", codes)
                break
            sent += 100
            got = [third.recv_op("message")["seq"] for _ in range(100)]
            if got != list(range(got[0], got[0] + 100)):
                tap.ok(False, "the other member has them", got)
                break
        tap.ok(sent == 3000, "sender and the other member go on", sent)
        tap.ok(deaf.expect_close() in (1013, None), "the one who does not read is closed")


@hole(14, "no conversation grows until it can take no more; no text is larger than the limit")
def bounded_texts(tap, server):
    a, b, _ = three(server, "Grow")
    friends(a, b)
    with connect(a) as ws:
        tap.ok(send(ws, text_to(b, "z" * 60000))["code"] == 200, "a text under the limit goes")
        ws.send_text(b"[" + b" " * 70000)
        tap.ok(ws.expect_close() == 1009, "a frame over the limit: 1009")


@hole(15, "time and number of connections have limits")
def limits(tap, server):
    with pim.Server(server.build_dir, args=CHEAP + [
            "--set", "http.header_timeout=1s", "--set", "http.idle_timeout=1s", "--set", "ws.heartbeat=5s",
            "--set", "http.limit_loopback=yes", "--set", "http.connections_per_address=20"]) as small:
        for what, data in (("nothing", b""), ("half a head", b"GET / HTTP/1.1\r\nHost: a\r\nX: "),
                           ("a head and a rest", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")):
            with socket.create_connection(("127.0.0.1", small.port), 10) as sock:
                sock.sendall(data)
                sock.settimeout(8)
                try:
                    while sock.recv(4096):
                        pass
                    ended = True
                except TimeoutError:
                    ended = False
            tap.ok(ended, "a connection that sends %s is ended" % what)
        socks = [socket.create_connection(("127.0.0.1", small.port), 10) for _ in range(30)]
        firsts = []
        for sock in socks:
            sock.settimeout(5)
            try:
                firsts.append(sock.recv(100)[:12])
            except OSError:
                firsts.append(b"")
            sock.close()
        tap.ok(sum(first.startswith(b"HTTP/1.1 503") or first == b"" for first in firsts) >= 10, "an address has a limit", firsts)
        user = small.sign_up("Idle")
        with connect(user) as ws:
            ws.timeout = 20
            ws.sock.settimeout(20)
            began = time.monotonic()
            kinds = []
            try:
                while True:
                    kinds.append(ws.recv_frame()[2])
            except Closed:
                pass
            tap.ok(9 in kinds and time.monotonic() - began < 19, "a client that gives no sign of life is ended", kinds)


@hole(16, "no other page's socket; no token in the address where it is forbidden")
def origins(tap, server):
    user = server.sign_up("Sixteen")
    own = "http://127.0.0.1:%d" % server.port
    for origin, want in (("https://evil.example", 403), ("null", 403), (own + ".evil.example", 403), ("http://127.0.0.1:1", 403),
                         ("https://127.0.0.1:%d@evil.example" % server.port, 403), ("", 403), (own, 101)):
        got = refused(server.port, token=user.token, headers=[("Origin", origin)])
        tap.ok(got == want, "origin %r: %d" % (origin, want), got)
    with pim.Server(server.build_dir, args=CHEAP + ["--set", "ws.query_token=no"]) as strict:
        user = strict.sign_up("Sixteen")
        tap.ok(refused(strict.port, path="/?authToken=" + user.token, protocols=()) == 401, "a token in the address: 401")
        tap.ok(ask(strict.port, "GET", "/info/profile?authToken=" + user.token).status == 401, "nor over HTTP")


@hole(17, "guessing is slowed down")
def guessing(tap, server):
    user = server.sign_up("Seventeen")
    got = [ask(server.port, "POST", "/auth/profile", {"email": user.email, "password": "wrong guess %d" % i}) for i in range(6)]
    tap.ok([answer.status for answer in got] == [401] * 5 + [429], "five tries, then 429", [answer.status for answer in got])
    tap.ok(int(got[-1].headers.get("retry-after", 0)) >= 1, "which says when", got[-1].headers)
    tap.ok(user.request("GET", "/info/profile")[0] == 200, "the owner's session does not mind")


@hole(26, "a type_id that is no number is an answer, not an end")
def odd_types(tap, server):
    a, b, _ = three(server, "Odd")
    friends(a, b)
    with connect(a) as ws:
        for value in ('"0"', "null", "1.5", "[]", "{}", "true", "1e0", "-0.0", "18446744073709551616"):
            ws.send_text('{"type_id":%s,"receiver_id":%d,"content_type":0,"content":"x"}' % (value, b.id))
            tap.ok(ws.recv_op("result")["code"] == 400, "type_id %s: 400" % value)
        for text in ("", "x", "[]", "null", '"a"', "{}", '{"type_id":0,"type_id":1}', '{"op":5}', '{"op":"nothing"}'):
            ws.send_text(text)
            tap.ok(ws.recv_op("result")["code"] == 400, "a frame %r: 400" % text)
        tap.ok(send(ws, text_to(b, "still here"))["code"] == 200, "the connection works on")
    with WsClient("127.0.0.1", server.port, token=b.token, protocols=()) as old:
        old.send_text('{"type_id":"0"}')
        got, _ = old.recv_until(lambda obj: obj.get("type_id") == 3)
        tap.ok(got["code"] == 400, "an old client too", got)


@hole(27, "who is registered cannot be found out by signing in")
def enumeration(tap, server):
    user = server.sign_up("Known")
    known = ask(server.port, "POST", "/auth/profile", {"email": user.email, "password": "a wrong one 1"})
    nobody = ask(server.port, "POST", "/auth/profile", {"email": "nobody.at.all@example.org", "password": "a wrong one 1"})
    tap.ok((known.status, known.body) == (nobody.status, nobody.body), "the same answer", (known.body, nobody.body))
    fixed = {name: value for name, value in known.headers.items() if name != "date"}
    tap.ok(fixed == {name: value for name, value in nobody.headers.items() if name != "date"}, "the same headers", (fixed, nobody.headers))
    for _ in range(6):
        known = ask(server.port, "POST", "/auth/profile", {"email": user.email, "password": "a wrong one 1"})
        nobody = ask(server.port, "POST", "/auth/profile", {"email": "nobody.at.all@example.org", "password": "a wrong one 1"})
    tap.ok(known.status == nobody.status == 429, "slowed down alike", (known.status, nobody.status))
    taken = ask(server.port, "POST", "/auth/user", {"name": "X", "email": user.email, "password": pim.PASSWORD, "confirm_password": pim.PASSWORD})
    tap.ok(taken.status == 409 and not seclib.INSIDE.search(taken.json()["error"]), "no database's words at sign-up", taken.body)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(header, claims, key, digest="sha256"):
    """A token; header and claims are dicts, or text as it stands."""
    parts = [b64((part if isinstance(part, str) else json.dumps(part)).encode()) for part in (header, claims)]
    mac = b64(hmac.new(key, ".".join(parts).encode(), digest).digest()) if key is not None else ""
    return ".".join(parts + [mac])


def claims_of(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


@hole(32, "a token is what we made, to the letter")
def tokens(tap, server):
    user = server.sign_up("Token")
    with open(os.path.join(server.data, "token.key"), "rb") as file:
        raw = file.read()
    head, good = {"alg": "HS256", "typ": "JWT"}, claims_of(user.token)
    # the file may hold the key as it is, or as text
    keys = [raw, raw.strip()] + [decode(raw.strip()) for decode in (base64.b64decode, lambda t: bytes.fromhex(t.decode()))
                                 if re.fullmatch(rb"[0-9a-f]{32,}" if decode is not base64.b64decode else rb"[A-Za-z0-9+/=]{32,}", raw.strip())]
    key = next((one for one in keys if ask(server.port, "GET", "/info/profile", token=forge(head, good, one)).status == 200), None)
    tap.ok(key is not None, "our own forgery with the right key and claims is taken: the others fail for what they are", raw[:4])
    key = key or raw
    now = int(time.time())

    def without(name):
        return {k: v for k, v in good.items() if k != name}

    cases = [("alg none", forge({"alg": "none", "typ": "JWT"}, good, None)), ("alg None", forge({"alg": "None"}, good, None)),
             ("alg none, signed", forge({"alg": "none"}, good, key)), ("no alg", forge({"typ": "JWT"}, good, key)),
             ("HS512", forge({"alg": "HS512", "typ": "JWT"}, good, key, "sha512")), ("HS384", forge({"alg": "HS384"}, good, key, "sha384")),
             ("RS256", forge({"alg": "RS256", "typ": "JWT"}, good, key)), ("alg as a list", forge({"alg": ["HS256"]}, good, key)),
             ("alg twice", forge('{"alg":"none","alg":"HS256","typ":"JWT"}', good, key)),
             ("crit", forge({**head, "crit": ["exp"]}, good, key)), ("kid", forge({**head, "kid": "../../dev/null"}, good, key)),
             ("jku", forge({**head, "jku": "https://evil.example"}, good, key)), ("jwk", forge({**head, "jwk": {}}, good, key)),
             ("x5u", forge({**head, "x5u": "https://evil.example"}, good, key)), ("typ", forge({**head, "typ": "at+jwt"}, good, key)),
             ("an empty key", forge(head, good, b"")), ("a well-known key", forge(head, good, b"secret")), ("a zero key", forge(head, good, bytes(32)))]
    cases += [("no " + name, forge(head, without(name), key)) for name in good]
    cases += [("%s %r" % (name, value), forge(head, {**good, name: value}, key)) for name, value in (
        ("exp", now - 1), ("exp", str(now + 1000)), ("exp", None), ("exp", now + 0.5), ("exp", -1), ("nbf", now + 3600), ("iat", now + 3600),
        ("iss", "other"), ("iss", ["privateim"]), ("aud", "other"), ("aud", ["privateim", "x"]), ("sub", "1"), ("user_id", 1),
        ("user_id", str(user.id)), ("user_id", 0), ("sid", ""), ("sid", "nobody"), ("sid", "../x"), ("sid", good["sid"] + "\x00x"), ("use", "reset"),
        ("use", ""), ("jti", ""))]
    whole = json.dumps(good)
    cases += [("a claim twice", forge(head, whole[:-1] + ',"user_id":1}', key)), ("claims that are a list", forge(head, "[]", key)),
              ("a claim of our own more", forge(head, {**good, "admin": True}, key)), ("a text after the claims", forge(head, whole + " x", key)),
              ("cut", user.token[:-1]), ("padded", user.token + "="), ("a fourth part", user.token + ".x"), ("5 KiB", user.token + "A" * 5000),
              ("no signature", user.token.rsplit(".", 1)[0] + "."), ("two parts", user.token.rsplit(".", 1)[0]), ("dots", "..")]
    wrong = [(what, status) for what, token in cases if (status := ask(server.port, "GET", "/info/profile", token=token).status) != 401]
    tap.ok(wrong == [] and len(cases) >= 40, "%d tokens that are nearly right: 401" % len(cases), wrong)
    tap.ok(ask(server.port, "GET", "/info/profile", token=user.token).status == 200, "the right one: 200")


@hole(33, "a session that was ended is over at once, its sockets too")
def ended(tap, server):
    user = server.sign_up("Ended")
    with connect(user) as ws:
        tap.ok(user.request("DELETE", "/auth/session")[0] == 200, "sign out")
        tap.ok(user.request("GET", "/info/profile")[0] == 401, "the token is bad")
        tap.ok(ws.expect_close() == 4001, "the socket is closed with 4001")
    tap.ok(refused(server.port, token=user.token) == 401, "and does not come back")
    status, first = server.request("POST", "/auth/profile", {"email": user.email, "password": pim.PASSWORD})
    status, second = server.request("POST", "/auth/profile", {"email": user.email, "password": pim.PASSWORD})
    with WsClient("127.0.0.1", server.port, token=first["auth_token"]) as ws:
        ws.recv_op("hello")
        status, answer = server.request("PUT", "/info/password", {"old_password": pim.PASSWORD, "password": "brand new 12",
                                                                  "confirm_password": "brand new 12"}, token=second["auth_token"])
        tap.ok(status == 200, "change the password", answer)
        tap.ok(server.request("GET", "/info/profile", token=first["auth_token"])[0] == 401, "the other session is over")
        tap.ok(ws.expect_close() == 4001, "and its socket")


@hole(37, "who has left a group reads and lists nothing more, also after he came back")
def ex_member(tap, server):
    a, b, _ = three(server, "Left")
    group = new_group(a, "left")
    join(b, group)
    with connect(a) as ws:
        send(ws, text_to_group(group, "while he is there"))
        leave(b, group)
        send(ws, text_to_group(group, "while he is away"))
        tap.ok(b.request("GET", "/group_chat/users?group_id=%d" % group)[0] == 403, "no list of members")
        with connect(b) as his:
            tap.ok(send(his, text_to_group(group, "let me"))["code"] == 403, "no message")
            his.send_json({"op": "sync", "ref": "x", "conversations": []})
            tap.ok("while he is away" not in json.dumps(his.recv_op("sync")), "nothing in the sync")
        texts = [row.get("content") for row in history(b, "g:%d" % group)[1]]
        tap.ok("while he is there" in texts and "while he is away" not in texts, "history up to his leaving", texts)
        join(b, group)
        send(ws, text_to_group(group, "when he is back"))
        with connect(b) as his:
            his.send_json({"op": "sync", "ref": "x", "conversations": []})
            synced = json.dumps(his.recv_op("sync"))
        texts = [row.get("content") for row in history(b, "g:%d" % group)[1]]
        tap.ok("while he is away" not in texts and "while he is away" not in synced, "what was said meanwhile stays unknown", texts)
        tap.ok("when he is back" in texts, "what is said now is there", texts)


@hole(38, "blocking and taking it back makes no friend and no request")
def unblock(tap, server):
    a, b, _ = three(server, "Block")
    for black in (True, False):
        tap.ok(put_friend(a, b, 3, black=black)[0] == 200, "a stranger: is_black %s" % black)
    tap.ok(put_friend(b, a, 2, accept=True)[0] == 404 and put_friend(a, b, 2, accept=True)[0] == 404, "there is no request to accept")
    with connect(a) as mine, connect(b) as his:
        tap.ok(send(mine, text_to(b, "x"))["code"] == 403 and send(his, text_to(a, "x"))["code"] == 403, "nobody can write")
    tap.ok(put_friend(b, a, 3, black=True)[0] == 200, "now he blocks")
    tap.ok(a.request("POST", "/relation/friend", {"dst_id": b.id, "note": ""})[0] == 403, "no request past it")
    tap.ok(put_friend(a, b, 3, black=True)[0] == 200 and put_friend(a, b, 3, black=False)[0] == 200, "blocking back and forth")
    tap.ok(a.request("POST", "/relation/friend", {"dst_id": b.id, "note": ""})[0] == 403, "still none")


@hole(39, "an ended friendship ends for both, at once, on connections that are open")
def unfriend(tap, server):
    a, b, _ = three(server, "Ex")
    friends(a, b)
    with connect(a) as mine, connect(b) as his:
        tap.ok(send(mine, text_to(b, "x"))["code"] == 200 and send(his, text_to(a, "x"))["code"] == 200, "friends write")
        tap.ok(a.request("DELETE", "/relation/friend", {"dst_id": b.id})[0] == 200, "no friends any more")
        tap.ok(send(his, text_to(a, "x"))["code"] == 403, "the other one cannot write")
        tap.ok(send(mine, text_to(b, "x"))["code"] == 403, "nor the one who ended it")
    friends(b, a)
    with connect(a) as mine, connect(b) as his:
        tap.ok(put_friend(a, b, 3, black=True)[0] == 200 and send(his, text_to(a, "x"))["code"] == 403, "blocked at once")


@hole(40, "connecting and leaving at the same moment leaves no one half there")
def many_connects(tap, server):
    a, b, _ = three(server, "Many")
    friends(a, b)

    def come_and_go(_):
        try:
            ws = b.ws()
            ws.abort()
        except (OSError, Closed, HandshakeError):
            pass

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(come_and_go, range(200)))
    with connect(b) as his, connect(a) as mine:
        result = send(mine, text_to(b, "are you there"))
        got = his.recv_op("message")
        tap.ok(got["content"] == "are you there" and got["seq"] == result["seq"], "the last connection is the one that gets it", got)
        sockets = [b.ws() for _ in range(3)]
        tap.ok(his.expect_close() == 4003, "the fourth ends the oldest")
        for ws in sockets:
            ws.abort()


@hole(41, "fields have limits, and an answer is no echo")
def bounded_fields(tap, server):
    a, b, _ = three(server, "Field")
    friends(a, b)
    with connect(a) as ws:
        ws.send_json(text_to(b, "q" * 4000, description="d" * 10))
        _, payload = ws.recv_message()
        result = json.loads(payload)
        tap.ok(result["code"] == 200 and len(payload) < 600 and b"qqq" not in payload, "an answer of %d bytes to 4,000" % len(payload), result)
        with WsClient("127.0.0.1", server.port, token=b.token, protocols=()) as old:
            for length, echoed in ((1000, True), (20000, False)):  # old clients know an answer by the message in it, up to 4 KiB
                text = json.dumps({"type_id": 0, "sender_id": b.id, "receiver_id": a.id, "content_type": 0, "content": "o" * length})
                old.send_text(text)
                while True:
                    opcode, payload = old.recv_message()
                    if json.loads(payload).get("type_id") == 3:
                        break
                tap.ok((len(payload) > length) == echoed and len(payload) < 8192, "old client, %d bytes: %d back" % (length, len(payload)))
        for field in ("content", "description", "additional", "preview_pic", "resource_url"):
            ws.send_json(text_to(b, "x", **{field: "e" * 66000}))
            tap.ok(ws.expect_close() == 1009, "66,000 bytes of %s are no frame" % field)
            ws = connect(a)
        tap.ok(send(ws, text_to(b, "a\x00b"))["code"] == 400, "NUL in a text: refused")


@hole(46, "no error shows the inside")
def errors(tap, server):
    user, errors_seen = server.sign_up("Error"), []
    for method, path, body in (
            ("GET", "/messages?conversation=u:1:2'--", None), ("GET", "/messages?conversation=g:9223372036854775807", None),
            ("GET", "/messages?conversation=g:99999999999999999999", None), ("GET", "/group_chat/instance?group_id=1%20OR%201=1", None),
            ("GET", "/group_chat/instance?group_id=-1", None), ("POST", "/relation/friend", {"dst_id": 2 ** 63 - 1, "note": "'; DROP TABLE"}),
            ("GET", "/search/users?kw=' OR ''='".replace(" ", "%20"), None), ("DELETE", "/auth/sessions/'--", None),
            ("POST", "/group_chat/user", {"group_id": 2 ** 53, "note": ""}), ("PUT", "/info/profile", {"name": "'\"", "mobile": "'", "gender": 1}),
            ("GET", "/%00", None), ("GET", "/%ff", None), ("GET", "/healthz%00", None)):
        answer = ask(server.port, method, path, body, token=user.token)
        tap.ok(answer.status in (200, 400, 403, 404, 409), "%s %s is answered" % (method, path), (answer.status, answer.body))
        errors_seen.append(answer.body.decode())
    with connect(user) as ws:
        for text in ('{"type_id":0', '{"type_id":0,"receiver_id":"\'; DROP"}', '{"op":"sync","conversations":[["u:1:1",0,"\'"]]}'):
            ws.send_text(text)
            errors_seen.append(json.dumps(ws.recv_op("result")))
    inside = [text for text in errors_seen if seclib.INSIDE.search(text.replace("DROP TABLE", ""))]
    tap.ok(inside == [], "none of %d answers tells of SQL, files or libraries" % len(errors_seen), inside)


@hole(48, "addresses are masked in the log")
def log_masks(tap, server):
    user = server.sign_up("Masked", "very.special.person@example.net")
    for _ in range(7):
        ask(server.port, "POST", "/auth/profile", {"email": user.email, "password": "not that one 1"})
    ask(server.port, "GET", "/search/users?kw=very.special.person@example.net", token=user.token)
    time.sleep(0.3)
    with open(server.log_path, errors="replace") as log:
        found = [line for line in log if "very.special" in line or "not that one" in line]
    tap.ok(found == [], "neither address nor password", found)


@hole(51, "nothing but what is asked for: loopback alone by default, no debug pages")
def defaults(tap, server):
    for path in ("/debug/pprof", "/debug", "/metrics", "/status", "/.git/config", "/privateim.conf", "/token.key", "/web/", "/web/../token.key"):
        answer = ask(server.port, "GET", path)
        tap.ok(answer.status == 404 and seclib.header_faults(answer) == [], "%s: 404 with all headers" % path, answer.status)
    with open(os.path.join(seclib.SOURCE, "core/conf/options.c"), encoding="utf-8") as source:
        text = source.read()
    listens = [re.search(r'"%s".*?"(127\.[0-9.]+:\d+)"' % name, text).group(1) for name in ("listen", "metrics_listen")]
    tap.ok(len(set(listens)) == 2, "two addresses of loopback by default", listens)
    status = os.spawnl(os.P_WAIT, os.path.join(server.build_dir, "privateimd"), "privateimd", "--check-config", "--set", "server.listen=0.0.0.0:8080")
    tap.ok(status != 0, "plain to other machines is refused unless it is said in so many words", status)


def main():
    tap, numbers = pim.Tap(), [int(number) for number in sys.argv[2:]]
    with pim.Server(sys.argv[1], args=CHEAP) as server:
        for number, about, test in TESTS:
            if numbers and number not in numbers:
                continue
            before = tap.count
            print("# %d: %s" % (number, about), flush=True)
            try:
                test(tap, server)
            except (OSError, AssertionError, KeyError, IndexError, ValueError, Closed, HandshakeError) as exc:
                tap.ok(False, "%d went to its end" % number, repr(exc))
            tap.ok(tap.count > before, "%d: %s" % (number, about))
            if server.process is None or server.process.poll() is not None:
                tap.ok(False, "%d: the server lives" % number, server.log())
                server.start()
    tap.done()


main()
