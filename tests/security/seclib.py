"""What the security tests share: a client that keeps each answer with its headers, and what may never be in one."""

import http.client
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "api"))
import pim  # noqa: E402
from wsclient import Closed, HandshakeError, WsClient  # noqa: E402,F401

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
CHEAP = ["--set", "auth.argon2_memory=8MiB", "--set", "auth.argon2_time=1", "--set", "im.friend_requests_per_day=100000",
         "--set", "log.level=debug"]
# the inside of the server has no place in an answer: SQL, paths, libraries, numbers of errors
INSIDE = re.compile(r"sqlite|SELECT |INSERT |UNIQUE|constraint|errno|/tmp|/var|/usr|\.c:\d|privateim\.db|libjwt|argon2|jansson|"
                    r"PIM_|0x[0-9a-f]{6}", re.I)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body) if self.body else {}


def ask(port, method, path, body=None, token=None, headers=None, raw=None):
    """One request. body: sent as JSON; raw: these bytes instead."""
    send = dict(headers or {})
    data = raw if raw is not None else None if body is None else json.dumps(body).encode()
    if data is not None:
        send.setdefault("Content-Type", "application/json")
    if token is not None:
        send["Authorization"] = "Bearer " + token
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, data, send)
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def header_faults(answer, tls=False):
    """What the answer's headers lack, as a list of sentences."""
    faults, has = [], answer.headers
    for name, value in (("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"),
                        ("cross-origin-resource-policy", "same-origin")):
        if has.get(name) != value:
            faults.append("%s is %r" % (name, has.get(name)))
    policy = has.get("content-security-policy", "")
    for need in ("default-src 'none'", "frame-ancestors 'none'"):
        if need not in policy:
            faults.append("no %s in the policy %r" % (need, policy))
    if re.search(r"\*|unsafe|data:|http:", policy):
        faults.append("the policy is loose: %r" % policy)
    if "no-store" not in has.get("cache-control", "") and not ("no-cache" in has.get("cache-control", "") and "etag" in has):
        faults.append("cache-control is %r" % has.get("cache-control"))
    if answer.body and not re.search(r"charset=utf-8|image/", has.get("content-type", ""), re.I) and \
            "application/json" not in has.get("content-type", ""):
        faults.append("content-type is %r" % has.get("content-type"))
    if tls != ("max-age=31536000" in has.get("strict-transport-security", "")):
        faults.append("strict-transport-security is %r" % has.get("strict-transport-security"))
    if any(name.startswith("access-control-") for name in has):
        faults.append("a CORS header")
    if re.search(r"evhtp|libevent|\d\.\d", has.get("server", "")):
        faults.append("server is %r" % has["server"])
    return faults


def friends(a, b):
    a.server.befriend(a, b)


def new_group(user, name):
    status, answer = user.request("POST", "/group_chat/instance", {"name": name})
    assert status == 201, (status, answer)
    return answer["group_chat"]["id"]


def join(user, group):
    status, answer = user.request("POST", "/group_chat/user", {"group_id": group, "note": ""})
    assert status == 200, (status, answer)


def leave(user, group):
    status, answer = user.request("DELETE", "/group_chat/user", {"group_id": group})
    assert status == 200, (status, answer)


def put_friend(user, peer, action, accept=False, black=False, note=""):
    return user.request("PUT", "/relation/friend", {"action": action, "dst_id": peer.id, "note": note, "is_accept": accept,
                                                   "is_black": black})


def history(user, name):
    status, answer = user.request("GET", "/messages?conversation=%s&limit=100" % name)
    return status, answer.get("messages", [])[::-1]


def pair(a, b):
    return "u:%d:%d" % tuple(sorted((a.id, b.id)))
