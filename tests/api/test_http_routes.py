#!/usr/bin/env python3
"""The HTTP routes of docs/http.md: sign-up, sign-in, sessions, profile, password, friends, groups, search, history.

    test_http_routes.py BUILD_DIR
"""

import json
import sys
import urllib.parse

import pim

tap = pim.Tap()


def is_error(answer):
    return isinstance(answer, dict) and list(answer) == ["error"] and isinstance(answer["error"], str) and answer["error"]


def wants(got, status, name):
    """An error answer of that status?"""
    return tap.ok(got[0] == status and is_error(got[1]), name, got)


def good(got, name, status=200):
    tap.ok(got[0] == status and isinstance(got[1], dict) and "error" not in got[1], name, got)
    return got[1]


def events(user, name=None):
    """The rows of the user's own events, oldest first."""
    answer = good(user.request("GET", "/messages?conversation=%s&limit=100" % (name or "e:%d" % user.id)), "read the events")
    return [row for row in reversed(answer["messages"])]


def sign_up(server):
    whole = {"name": "Ann", "email": "Ann.X@Example.ORG", "password": pim.PASSWORD, "confirm_password": pim.PASSWORD}
    answer = good(server.request("POST", "/auth/user", whole), "sign up", 201)
    user = answer["user"]
    tap.ok(set(user) == {"id", "email", "name", "mobile", "gender", "avatar", "qr_code", "is_delete", "create_time"},
           "a user has these fields and no password", user)
    tap.ok(user["email"] == "ann.x@example.org" and user["gender"] == 0 and user["is_delete"] is False
           and user["create_time"].endswith("Z") and 0 < user["id"] < 2 ** 53, "and these values", user)
    wants(server.request("POST", "/auth/user", whole), 409, "the same address again")
    wants(server.request("POST", "/auth/user", {**whole, "email": "ANN.x@example.org"}), 409, "in other letters")
    for what, change in (
            ("no name", {"name": ""}), ("a blank name", {"name": "   "}), ("a long name", {"name": "a" * 11}),
            ("a name with a line end", {"name": "a\nb"}), ("a name that shows backwards", {"name": "a\u202eb"}),
            ("a name that is a number", {"name": 5}), ("an address without @", {"email": "ann"}),
            ("an address with two @", {"email": "a@b@c"}), ("an address with a space", {"email": "a b@c.de"}),
            ("an address outside ASCII", {"email": "\u00e4@c.de"}), ("an address with a bad host", {"email": "a@-c.de"}),
            ("a long address", {"email": "a" * 60 + "@" + "b" * 50 + ".de"}), ("an address with dots", {"email": "a..b@c.de"}),
            ("another confirmation", {"confirm_password": "x"}), ("null", {"email": None}), ("a list", {"password": []}),
            ("NUL in the name", {"name": "a\x00b"})):
        body = {**whole, "email": "other@example.org", **change}
        wants(server.request("POST", "/auth/user", body), 400, "sign up with " + what)
    for password in ("short 7", "x" * 129):
        body = {**whole, "email": "other@example.org", "password": password, "confirm_password": password}
        wants(server.request("POST", "/auth/user", body), 400, "a password of %d characters" % len(password))
    for missing in whole:
        got = server.request("POST", "/auth/user", {k: v for k, v in whole.items() if k != missing})
        tap.ok(got[0] == 400 and missing in got[1]["error"], "without %s" % missing, got)
    body = {**whole, "name": "\u5f20" * 10, "email": "zh@example.org", "password": "\u5bc6\u7801" * 4, "confirm_password": "\u5bc6\u7801" * 4}
    good(server.request("POST", "/auth/user", body), "ten Chinese characters are a name, eight a password", 201)
    for what, raw, status in (
            ("no JSON", b"{", 400), ("nothing", b"", 400), ("a list", b"[]", 400), ("a key twice", b'{"name":"a","name":"b"}', 400),
            ("deep nesting", b'{"a":' + b"[" * 20 + b"]" * 20 + b"}", 400), ("bad UTF-8", b'{"name":"\xff"}', 400),
            ("text after it", b"{} x", 400)):
        got = raw_request(server, "POST", "/auth/user", raw, {"Content-Type": "application/json"})
        wants(got, status, "a body that is " + what)
    for kind in (None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"):
        got = raw_request(server, "POST", "/auth/user", b"{}", {"Content-Type": kind} if kind else {})
        wants(got, 415, "content type %s" % kind)
    return answer["auth_token"]


def raw_request(server, method, path, body, headers):
    import http.client
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.putrequest(method, path)
        connection.putheader("Content-Length", str(len(body)))
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(body)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def sign_in(server):
    user = server.sign_up("Ben", "ben@example.org")
    answer = good(server.request("POST", "/auth/profile", {"email": "BEN@example.org", "password": pim.PASSWORD}), "sign in")
    tap.ok(answer["user"]["id"] == user.id and answer["auth_token"] != user.token, "it is the same user, another session")
    unknown = server.request("POST", "/auth/profile", {"email": "nobody@example.org", "password": pim.PASSWORD})
    wrong = server.request("POST", "/auth/profile", {"email": "ben@example.org", "password": "wrong password"})
    tap.ok(unknown == wrong and unknown[0] == 401, "a wrong address and a wrong password look the same", (unknown, wrong))

    mine = good(user.request("GET", "/auth/sessions"), "list sessions")["sessions"]
    tap.ok(len(mine) == 2 and [s["current"] for s in mine] == [True, False], "there are two", mine)
    tap.ok(set(mine[0]) == {"id", "current", "create_time", "seen_time", "expire_time", "agent", "address"}
           and mine[0]["address"] == "127.0.0.1", "with these fields", mine[0])
    wants(user.request("DELETE", "/auth/sessions/none"), 404, "end a session that is none")
    other = server.sign_up("Cat")
    wants(other.request("DELETE", "/auth/sessions/" + mine[1]["id"]), 404, "end somebody else's session")
    tap.ok(server.request("GET", "/info/profile", token=answer["auth_token"])[0] == 200, "the other session is good")
    good(user.request("DELETE", "/auth/sessions/" + mine[1]["id"]), "end it")
    wants(server.request("GET", "/info/profile", token=answer["auth_token"]), 401, "its token is bad at once")
    renewed = good(user.request("PUT", "/auth/session"), "renew a session")
    tap.ok(server.request("GET", "/info/profile", token=renewed["auth_token"])[0] == 200, "the new token is good")
    good(user.request("DELETE", "/auth/session"), "sign out")
    wants(user.request("GET", "/info/profile"), 401, "the old token is bad")
    wants(server.request("GET", "/info/profile", token=renewed["auth_token"]), 401, "the renewed one too: it is one session")
    for token in (None, "", "x", "a.b.c", user.token[:-2] + "AA", "x" * 5000):
        wants(server.request("GET", "/info/profile", token=token), 401, "token %r" % (token and token[:12]))
    tap.ok(server.request("GET", "/info/profile", headers={"Auth-Token": other.token})[0] == 200, "Auth-Token works")


def profile(server):
    user = server.sign_up("Dan")
    answer = good(user.request("PUT", "/info/profile", {"name": "Daniel", "mobile": "13800138000", "gender": 2}), "put the profile")
    tap.ok(answer["name"] == "Daniel" and answer["mobile"] == "13800138000" and answer["gender"] == 2, "it says so", answer)
    tap.ok(good(user.request("GET", "/info/profile"), "get it") == answer, "and keeps it")
    for what, body in (("no mobile", {"name": "D", "gender": 1}), ("a short mobile", {"name": "D", "mobile": "1", "gender": 1}),
                       ("letters as mobile", {"name": "D", "mobile": "1380013800a", "gender": 1}),
                       ("gender 3", {"name": "D", "mobile": "", "gender": 3}), ("gender 1.0", {"name": "D", "mobile": "", "gender": 1.0}),
                       ("gender as text", {"name": "D", "mobile": "", "gender": "1"}), ("no name", {"name": "", "mobile": "", "gender": 1})):
        wants(user.request("PUT", "/info/profile", body), 400, "a profile with " + what)
    second = server.request("POST", "/auth/profile", {"email": user.email, "password": pim.PASSWORD})[1]["auth_token"]
    new = "another horse 10"
    body = {"old_password": "wrong", "password": new, "confirm_password": new}
    wants(user.request("PUT", "/info/password", body), 403, "change the password with a wrong old one")
    wants(user.request("PUT", "/info/password", {**body, "confirm_password": "x"}), 400, "with another confirmation")
    wants(user.request("PUT", "/info/password", {**body, "old_password": pim.PASSWORD, "password": "x", "confirm_password": "x"}), 400, "to a short one")
    good(user.request("PUT", "/info/password", {**body, "old_password": pim.PASSWORD}), "change the password")
    thief = server.sign_up("Eli")
    tries = [thief.request("PUT", "/info/password", body)[0] for _ in range(6)]
    tap.ok(tries == [403] * 5 + [429], "a token does not help to guess the password", tries)
    tap.ok(user.request("GET", "/info/profile")[0] == 200, "this session lives")
    wants(server.request("GET", "/info/profile", token=second), 401, "the others end")
    wants(server.request("POST", "/auth/profile", {"email": user.email, "password": pim.PASSWORD}), 401, "the old password is out")
    good(server.request("POST", "/auth/profile", {"email": user.email, "password": new}), "the new one is in")

    for path in ("/search/users", "/relation/users"):
        answer = good(user.request("GET", path + "?" + urllib.parse.urlencode({"kw": user.email.upper()})), "find by address: " + path)
        hits = answer["hits"]
        tap.ok(set(answer) == {"took", "timed_out", "hits"} and hits["total"]["value"] == 1 and hits["hits"][0]["_id"] == str(user.id)
               and hits["hits"][0]["_source"]["name"] == "Daniel" and "mobile" not in hits["hits"][0]["_source"], "the envelope", answer)
    answer = good(user.request("GET", "/search/users", {"kw": "nobody@example.org", "page": 1, "size": 10}), "in a body, nobody")
    tap.ok(answer["hits"]["total"]["value"] == 0 and answer["hits"]["hits"] == [] and answer["hits"]["max_score"] is None, "no hits")
    tap.ok(user.request("GET", "/search/users?kw=%25")[1]["hits"]["total"]["value"] == 0, "no pattern finds anybody")
    wants(user.request("GET", "/search/users"), 400, "without kw")
    wants(user.request("GET", "/search/users?kw=a&size=51"), 400, "a page that is too large")
    wants(user.request("GET", "/search/users?kw=a&page=x"), 400, "a page that is no number")


def friend(user, peer):
    for entry in good(user.request("GET", "/relation/friends"), "list friends")["friends"]:
        if entry["id"] == peer.id:
            return entry
    return None


def ask(user, peer, note="hi"):
    return user.request("POST", "/relation/friend", {"dst_id": peer.id, "note": note})


def put(user, peer, action, accept=False, black=False, note=""):
    return user.request("PUT", "/relation/friend", {"action": action, "dst_id": peer.id, "note": note, "is_accept": accept, "is_black": black})


def friends(server):
    a, b, c = (server.sign_up(name) for name in ("Eve", "Flo", "Gus"))
    wants(ask(a, a), 400, "ask oneself")
    wants(a.request("POST", "/relation/friend", {"dst_id": 12345, "note": ""}), 404, "ask nobody")
    for dst in ("5", 1.5, 0, -1, None, 2 ** 70):
        wants(a.request("POST", "/relation/friend", {"dst_id": dst, "note": ""}), 400, "dst_id %r" % dst)
    wants(ask(a, b, "a" * 11), 400, "a long note")
    good(ask(a, b), "ask")
    mine, theirs = friend(a, b), friend(b, a)
    tap.ok(set(mine) >= {"id", "note", "email", "name", "mobile", "gender", "avatar", "is_accept", "is_black", "is_delete"},
           "a friend has these fields", mine)
    tap.ok(not mine["is_accept"] and not theirs["is_accept"] and mine["asked"] and not theirs["asked"], "both see the request")
    tap.ok(mine["email"] == "" and theirs["email"] == "", "the address is not shown before the answer")
    rows = events(b)
    tap.ok(rows[-1]["event"] == "friend_request" and rows[-1]["user_id"] == a.id and rows[-1]["name"] == "Eve" and rows[-1]["note"] == "hi",
           "the one who is asked is told", rows)
    good(ask(a, b), "ask again")
    tap.ok(len(events(b)) == len(rows), "that tells nobody anew")
    wants(put(a, b, 2, True), 404, "one cannot accept one's own request")
    wants(put(c, a, 2, True), 404, "nor one that was never made")
    good(put(b, a, 2, True), "accept")
    mine, theirs = friend(a, b), friend(b, a)
    tap.ok(mine["is_accept"] and theirs["is_accept"] and mine["email"] == b.email, "they are friends")
    tap.ok(events(a)[-1]["event"] == "friend_accepted" and events(a)[-1]["user_id"] == b.id, "the asker is told")
    wants(ask(a, b), 409, "ask a friend")
    good(put(a, b, 1, note="mate"), "put a note")
    tap.ok(friend(a, b)["note"] == "mate" and friend(b, a)["note"] != "mate", "it is one's own")
    wants(put(a, c, 1, note="x"), 404, "a note for a stranger")
    wants(put(a, b, 4), 400, "action 4")
    wants(a.request("PUT", "/relation/friend", {"action": 2, "dst_id": b.id, "note": ""}), 400, "accept without is_accept")

    good(put(b, a, 3, black=True), "blacklist a friend")
    conv = "u:%d:%d" % (min(a.id, b.id), max(a.id, b.id))
    tap.ok(events(b, conv)[-1]["event"] == "blocked" and events(a, conv)[-1]["event"] == "hidden", "a row says so, hidden from the other side")
    tap.ok(friend(b, a)["is_black"] and not friend(a, b)["is_black"], "the list says so")
    good(put(b, a, 3, black=False), "take him off")
    tap.ok(friend(b, a)["is_accept"] and friend(a, b)["is_accept"], "they are friends as before")

    good(a.request("DELETE", "/relation/friend", {"dst_id": b.id}), "unfriend")
    tap.ok(friend(a, b) is None and friend(b, a) is not None, "gone from one's own list, the friend is not told")
    tap.ok(events(a, conv)[-1]["event"] == "unfriended" and events(b, conv)[-1]["event"] == "hidden", "a hidden row ends the right")
    wants(a.request("DELETE", "/relation/friend", {"dst_id": b.id}), 404, "unfriend again")
    good(ask(a, b), "ask anew")
    tap.ok(not friend(b, a)["is_accept"], "a new request needs a new answer")
    good(put(b, a, 2, False), "refuse")
    tap.ok(friend(a, b) is None and friend(b, a)["is_black"], "refused: gone, and blacklisted")
    tap.ok(events(a)[-1]["event"] == "friend_refused", "the asker is told")
    wants(ask(a, b), 403, "a request past the blacklist")
    wants(ask(b, a), 409, "ask somebody on one's own blacklist")

    # predecessor's holes 37 to 39
    good(put(c, a, 3, black=True), "blacklist a stranger")
    tap.ok(friend(a, c) is None and len([r for r in events(a) if r.get("user_id") == c.id]) == 0, "he hears nothing, no request")
    wants(ask(a, c), 403, "and cannot ask")
    good(put(c, a, 3, black=False), "take him off")
    tap.ok(friend(c, a) is None and friend(a, c) is None, "that makes no friendship and no request")
    wants(put(c, a, 2, True), 404, "which could be accepted")
    wants(put(a, server.sign_up("Hal"), 3, black=False), 404, "take a stranger off")
    good(ask(a, c), "ask")
    good(put(c, a, 3, black=True), "blacklist one who asked")
    good(put(c, a, 3, black=False), "take him off")
    wants(put(c, a, 2, True), 404, "the request has fallen away")
    good(ask(a, c), "he may ask again")
    good(ask(c, a), "two who ask each other")
    tap.ok(friend(a, c)["is_accept"] and friend(c, a)["is_accept"], "are friends")

    many = server.sign_up("Ivy")
    status = [ask(many, server.sign_up("P"), "")[0] for _ in range(31)]
    tap.ok(status == [200] * 30 + [429], "30 requests a day", status)


def groups(server):
    boss, one, two = (server.sign_up(name) for name in ("Jan", "Kim", "Leo"))
    group = good(boss.request("POST", "/group_chat/instance", {"name": "tea"}), "make a group", 201)["group_chat"]
    gid = group["id"]
    tap.ok(group["name"] == "tea" and group["manager_id"] == boss.id, "it is the maker's", group)
    wants(boss.request("POST", "/group_chat/instance", {"name": "tea"}), 409, "the same name again")
    good(one.request("POST", "/group_chat/instance", {"name": "tea"}), "by another manager", 201)
    wants(boss.request("POST", "/group_chat/instance", {"name": "a" * 11}), 400, "a long name")
    tap.ok(good(one.request("GET", "/group_chat/instance?group_id=%d" % gid), "get it")["group_chat"] == group, "the same")
    wants(one.request("GET", "/group_chat/instance?group_id=12345"), 404, "get none")
    for query in ("", "?group_id=", "?group_id=x", "?group_id=-1"):
        wants(one.request("GET", "/group_chat/instance" + query), 400, "get %r" % query)
    wants(one.request("GET", "/group_chat/users?group_id=%d" % gid), 403, "its members, asked by a stranger")
    good(one.request("POST", "/group_chat/user", {"group_id": gid, "note": ""}), "join")
    wants(one.request("POST", "/group_chat/user", {"group_id": gid, "note": ""}), 409, "join again")
    wants(one.request("POST", "/group_chat/user", {"group_id": 12345, "note": ""}), 404, "join none")
    own = events(one)[-1]
    tap.ok(own["event"] == "group_joined" and own["group_id"] == gid and own["name"] == "tea" and own["joined_seq"] == 0, "one is told", own)
    rows = events(boss, "g:%d" % gid)
    tap.ok(rows[-1]["event"] == "member_joined" and rows[-1]["user_id"] == one.id and rows[-1]["name"] == "Kim", "the group is told", rows)
    users = good(boss.request("GET", "/group_chat/users?group_id=%d" % gid), "its members")["users"]
    tap.ok({u["id"] for u in users} == {boss.id, one.id} and all("password" not in u for u in users), "are two", users)
    first = boss.request("GET", "/group_chat/users?group_id=%d&limit=1" % gid)[1]["users"]
    second = boss.request("GET", "/group_chat/users?group_id=%d&limit=1&after=%d" % (gid, first[0]["id"]))[1]["users"]
    tap.ok(first + second == users, "page by page they are the same", (first, second))
    good(one.request("PUT", "/group_chat/user", {"group_id": gid, "note": "me"}), "put a note")
    wants(two.request("PUT", "/group_chat/user", {"group_id": gid, "note": "me"}), 403, "by a stranger")
    joined = good(one.request("GET", "/relation/group_chats"), "list groups")["group_chat_list"]
    tap.ok({g["group_name"] for g in joined} == {"tea"} and len(joined) == 2 and all(g["user_id"] == one.id for g in joined)
           and set(joined[0]) >= {"user_id", "group_id", "group_name", "group_avatar", "group_qr_code"}, "with these fields", joined)
    good(two.request("POST", "/group_chat/user", {"group_id": gid}), "another joins")
    tap.ok(events(two)[-1]["joined_seq"] == 1, "from the newest row on", events(two)[-1])
    wants(boss.request("DELETE", "/group_chat/user", {"group_id": gid}), 403, "the manager cannot quit")
    good(one.request("DELETE", "/group_chat/user", {"group_id": gid}), "quit")
    wants(one.request("DELETE", "/group_chat/user", {"group_id": gid}), 403, "quit again")
    wants(one.request("GET", "/group_chat/users?group_id=%d" % gid), 403, "one who left sees no members")
    tap.ok(events(one)[-1]["event"] == "group_left", "one is told")
    rows = events(boss, "g:%d" % gid)
    tap.ok(rows[-1]["event"] == "member_left" and rows[-1]["user_id"] == one.id, "the group is told")
    tap.ok(all(g["group_id"] != gid for g in one.request("GET", "/relation/group_chats")[1]["group_chat_list"]), "it is off the list")
    good(one.request("POST", "/group_chat/user", {"group_id": gid}), "come back")
    wants(two.request("GET", "/messages?conversation=g:12345"), 403, "history of a group one is not in")


def many(server):
    boss = server.sign_up("Quy")
    gid = boss.request("POST", "/group_chat/instance", {"name": "big"})[1]["group_chat"]["id"]
    people = [server.sign_up("Q") for _ in range(70)]
    for one in people:
        assert one.request("POST", "/group_chat/user", {"group_id": gid})[0] == 200
        assert ask(one, boss)[0] == 200
    users = good(boss.request("GET", "/group_chat/users?group_id=%d" % gid), "a group of 71")["users"]
    tap.ok([u["id"] for u in users] == sorted([boss.id] + [p.id for p in people]), "all are listed, by id")
    entries = good(boss.request("GET", "/relation/friends"), "70 requests")["friends"]
    tap.ok([e["id"] for e in entries] == sorted(p.id for p in people), "all are listed")


def history(server):
    a, b, c = (server.sign_up(name) for name in ("Max", "Ned", "Oda"))
    server.befriend(a, b)
    conv = "u:%d:%d" % (min(a.id, b.id), max(a.id, b.id))
    wants(c.request("GET", "/messages?conversation=" + conv), 403, "somebody else's chat")
    wants(c.request("GET", "/messages?conversation=e:%d" % a.id), 403, "somebody else's events")
    for query in ("", "?conversation=", "?conversation=x", "?conversation=u:5:3", "?conversation=%s&limit=x" % conv,
                  "?conversation=%s&before=-1" % conv):
        wants(a.request("GET", "/messages" + query), 400, "messages %r" % query)
    answer = good(a.request("GET", "/messages?conversation=" + conv), "an empty chat")
    tap.ok(answer["conversation"] == conv and answer["messages"] == [] and answer["more"] is False and answer["floor"] == 0, "is empty", answer)


def everything_needs_a_token(server):
    for method, path in (("GET", "/info/profile"), ("PUT", "/info/profile"), ("PUT", "/info/password"), ("POST", "/relation/friend"),
                         ("PUT", "/relation/friend"), ("DELETE", "/relation/friend"), ("GET", "/relation/friends"),
                         ("GET", "/relation/group_chats"), ("GET", "/relation/users"), ("GET", "/search/users"),
                         ("POST", "/group_chat/instance"), ("GET", "/group_chat/instance"), ("POST", "/group_chat/user"),
                         ("PUT", "/group_chat/user"), ("DELETE", "/group_chat/user"), ("GET", "/group_chat/users"), ("GET", "/messages"),
                         ("GET", "/auth/sessions"), ("DELETE", "/auth/sessions/x"), ("PUT", "/auth/session"), ("DELETE", "/auth/session")):
        wants(server.request(method, path), 401, "%s %s without a token" % (method, path))
        wants(server.request(method, path, token="bad"), 401, "%s %s with a bad one" % (method, path))
        wants(server.request("PATCH", path), 405, "PATCH %s" % path)


def throttle(server):
    user = server.sign_up("Pia")
    tries = [server.request("POST", "/auth/profile", {"email": user.email, "password": "wrong one"})[0] for _ in range(6)]
    tap.ok(tries == [401] * 5 + [429], "the sixth try has to wait", tries)
    tries = [server.request("POST", "/auth/profile", {"email": "no%s" % user.email, "password": "wrong one"})[0] for _ in range(6)]
    tap.ok(tries == [401] * 5 + [429], "an unknown address looks the same", tries)
    server.stop()
    server.start()
    good(user.request("GET", "/info/profile"), "a session outlives a restart")


def main():
    with pim.Server(sys.argv[1], ["--set", "im.friend_requests_per_day=30"]) as server:
        sign_up(server)
        sign_in(server)
        profile(server)
        friends(server)
        groups(server)
        many(server)
        history(server)
        everything_needs_a_token(server)
        throttle(server)
        tap.ok(server.stop() == 0, "a clean stop")
    tap.done()


main()
