#!/usr/bin/python3
"""test_routes.py BUILD_DIR: every route with every kind of caller, and the code that it must answer with.

A route of the server (the tables in core/http/api_*.c) that is missing here fails the test, and so does one that is here
and not in the server. Each cell has users of its own, so no cell stands on what another left.
"""

import glob
import os
import re
import sys

import seclib
from seclib import CHEAP, SOURCE, ask, friends, header_faults, join, leave, new_group, pim, put_friend

ROLES = ("stranger", "member", "ex-member", "manager", "blocked")
OPEN = "open"  # needs no token: the same for all, with a bad one too


def same(code):
    return dict.fromkeys(ROLES, code)


def codes(*row):
    return dict(zip(ROLES, row))


# method, path, body of (world), code by role; the path may hold {group}, {target}, {pair}, {session}
TABLE = [
    ("POST", "/auth/user", lambda w: {"name": "New", "email": w.fresh_email(), "password": pim.PASSWORD,
                                      "confirm_password": pim.PASSWORD}, OPEN, 201),
    ("POST", "/auth/profile", lambda w: {"email": w.target.email, "password": pim.PASSWORD}, OPEN, 200),
    ("GET", "/healthz", None, OPEN, 200),
    ("GET", "/readyz", None, OPEN, 200),
    ("GET", "/info/profile", None, same(200)),
    ("PUT", "/info/profile", lambda w: {"name": "Other", "mobile": "", "gender": 1}, same(200)),
    ("PUT", "/info/password", lambda w: {"old_password": pim.PASSWORD, "password": "another horse 7",
                                         "confirm_password": "another horse 7"}, same(200)),
    ("GET", "/search/users?kw=nobody@example.org", None, same(200)),
    ("GET", "/relation/users?kw=nobody@example.org", None, same(200)),
    ("GET", "/auth/sessions", None, same(200)),
    ("DELETE", "/auth/sessions/{session}", None, same(404)),  # somebody else's
    ("PUT", "/auth/session", None, same(200)),
    ("DELETE", "/auth/session", None, same(200)),
    ("POST", "/relation/friend", lambda w: {"dst_id": w.target.id, "note": ""}, codes(200, 409, 200, 409, 403)),
    # accepting a request that was never made; friends already stay what they are
    ("PUT", "/relation/friend", lambda w: {"action": 2, "dst_id": w.target.id, "note": "", "is_accept": True,
                                           "is_black": False}, codes(404, 200, 404, 200, 404)),
    ("DELETE", "/relation/friend", lambda w: {"dst_id": w.target.id}, codes(404, 200, 200, 200, 404)),
    ("GET", "/relation/friends", None, same(200)),
    ("POST", "/group_chat/instance", lambda w: {"name": "Mine"}, same(201)),
    ("GET", "/group_chat/instance?group_id={group}", None, same(200)),
    ("POST", "/group_chat/user", lambda w: {"group_id": w.group, "note": ""}, codes(200, 409, 200, 409, 200)),
    ("PUT", "/group_chat/user", lambda w: {"group_id": w.group, "note": "x"}, codes(403, 200, 403, 200, 403)),
    ("DELETE", "/group_chat/user", lambda w: {"group_id": w.group}, codes(403, 200, 403, 403, 403)),
    ("GET", "/group_chat/users?group_id={group}", None, codes(403, 200, 403, 200, 403)),
    ("GET", "/relation/group_chats", None, same(200)),
    # a group's history: who left may read what was said until then
    ("GET", "/messages?conversation=g:{group}", None, codes(403, 200, 200, 200, 403)),
    ("GET", "/messages?conversation=e:{target}", None, same(403)),
    ("GET", "/messages?conversation={foreign}", None, same(403)),
]
STATUS_TABLE = [("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics")]


def routes_of(text):
    """{(method, path): needs no token} of a table in C."""
    found = {}
    for entry in re.findall(r"\{\s*(\.path\s*=\s*\"[^}]*)\}", text):
        path = re.search(r'\.path\s*=\s*"([^"]+)"', entry).group(1)
        for field, method in (("get", "GET"), ("post", "POST"), ("put", "PUT"), ("del", "DELETE")):
            if re.search(r"\.%s\s*=" % field, entry):
                found[method, path] = ".open = true" in entry
    return found


def server_routes():
    """(public, of the status listener)"""
    public, status = {}, {}
    for name in sorted(glob.glob(os.path.join(SOURCE, "core", "http", "*.c"))):
        with open(name, encoding="utf-8") as source:
            text = source.read()
        for table, body in re.findall(r"struct pim_http_route (\w+)\[\]\s*=\s*\{(.*?)\n\};", text, re.S):
            (status if table == "pim_http_routes_status" else public).update(routes_of(body))
    return public, status


def table_is_whole(tap):
    public, status = server_routes()
    tap.ok(len(public) > 20, "the server's tables were found", public)
    mine = {(row[0], re.sub(r"\{\w+\}$", "", row[1].split("?")[0])): row[3] == OPEN for row in TABLE}
    tap.ok(set(public) <= set(mine), "no route of the server is missing here", sorted(set(public) - set(mine)))
    tap.ok(set(mine) <= set(public), "no route here is missing in the server", sorted(set(mine) - set(public)))
    tap.ok(mine == public, "the same routes are open", [key for key in mine if mine[key] != public.get(key)])
    tap.ok(set(status) == set(STATUS_TABLE), "the status listener has these routes alone", sorted(status))
    documented = set()
    with open(os.path.join(SOURCE, "docs", "http.md"), encoding="utf-8") as doc:
        for method, path in re.findall(r"`(GET|POST|PUT|DELETE) (/[^`]*)`", doc.read()):
            documented.add((method, re.sub(r"(?<=/)[A-Z]+$", "", path.split("?")[0])))
    missing = sorted(set(public) - documented)
    tap.ok(missing == [], "each route stands in docs/http.md", missing)


class World:
    """A target, its group (or the actor's, where he is the manager), and an actor who is something to both."""

    count = 0

    def __init__(self, server, target, foreign, role):
        World.count += 1
        self.server, self.target, self.foreign = server, target, foreign
        self.actor = server.sign_up("Actor", "actor%d@example.org" % World.count)
        friendly = role in ("member", "ex-member", "manager")
        if friendly:
            friends(self.actor, target)
        self.group = new_group(self.actor if role == "manager" else target, "g%d" % World.count)
        if role in ("member", "ex-member"):
            join(self.actor, self.group)
        if role == "ex-member":
            leave(self.actor, self.group)
            status, answer = target.request("DELETE", "/relation/friend", {"dst_id": self.actor.id})
            assert status == 200, (status, answer)
        if role == "blocked":
            status, answer = put_friend(target, self.actor, 3, black=True)
            assert status == 200, (status, answer)

    def fresh_email(self):
        World.count += 1
        return "fresh%d@example.org" % World.count

    def fill(self, path):
        return path.format(group=self.group, target=self.target.id, foreign=self.foreign, session=self.session)

    @property
    def session(self):
        return self.target.request("GET", "/auth/sessions")[1]["sessions"][0]["id"]


def cell(tap, server, world, row, token, want, who):
    method, path, body = row[:3]
    path = world.fill(path)
    answer = ask(server.port, method, path, body and body(world), token)
    faults = header_faults(answer)
    tap.ok(answer.status == want and faults == [], "%s %s, %s: %d" % (method, row[1], who, want),
           "%d %s\n%s" % (answer.status, answer.body[:300], "\n".join(faults)))
    error = answer.json().get("error", "") if answer.status >= 400 else ""
    if answer.status >= 400:
        tap.ok(error and not seclib.INSIDE.search(error), "its error says nothing of the inside", error)


def main():
    tap = pim.Tap()
    table_is_whole(tap)
    with pim.Server(sys.argv[1], args=CHEAP + ["--set", "im.groups_per_user=10000"]) as server:
        target, other = server.sign_up("Target"), server.sign_up("Other")
        friends(target, other)
        foreign = seclib.pair(target, other)
        blank = World(server, target, foreign, "stranger")
        bad = target.token[:-6] + "AAAAAA"
        for row in TABLE:
            if row[3] == OPEN:
                for token, who in ((None, "no token"), (bad, "bad token"), (blank.actor.token, "a user")):
                    cell(tap, server, blank, row, token, row[4], who)
                continue
            cell(tap, server, blank, row, None, 401, "no token")
            cell(tap, server, blank, row, bad, 401, "bad token")
            for role in ROLES:
                world = World(server, target, foreign, role)
                cell(tap, server, world, row, world.actor.token, row[3][role], role)
        for method, path in STATUS_TABLE:
            if path == "/metrics":
                tap.ok(ask(server.port, method, path).status == 404, "no /metrics in public")
        tap.ok(ask(server.port, "GET", "/debug").status == 404, "no /debug")
    tap.done()


main()
