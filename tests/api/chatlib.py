"""What the chat tests share: groups, second devices, messages of both kinds of client, waiting and its deadline.

Every wait ends with TimeoutError; nothing here measures time.
"""

import base64
import json
import os
import threading
import time
import uuid

import pim
from wsclient import OP_PING, OP_PONG, OP_CLOSE, Closed, WsClient  # noqa: F401: for the tests

QUIET_S = 0.4  # how long nothing must come, where nothing must
_last_ms = 0
_lock = threading.Lock()


def uuid7(ms=None):
    """A client id; without ms they rise."""
    global _last_ms
    with _lock:
        if ms is None:
            ms = _last_ms = max(int(time.time() * 1000), _last_ms + 1)
    tail = int.from_bytes(os.urandom(10), "big")
    return str(uuid.UUID(int=ms << 80 | 7 << 76 | (tail >> 68) << 64 | 2 << 62 | tail & (1 << 62) - 1))


def conv(*users):
    return "u:%d:%d" % tuple(sorted(user.id for user in users))


def text(to, content, **fields):
    """A message of a new client to a user, or to a group given by its id."""
    target = {"type_id": 1, "receiver_id": to} if isinstance(to, int) else {"type_id": 0, "receiver_id": to.id}
    return {**target, "client_id": uuid7(), "content_type": 0, "content": content, **fields}


def old_text(sender, to, content, **fields):
    frame = text(to, content, sender_id=sender.id, **fields)
    del frame["client_id"]
    return frame


class New(WsClient):
    """A connection of privateim.v1; the hello is read already."""

    def __init__(self, user, token=None, **how):
        self.user = user
        super().__init__("127.0.0.1", user.server.port, token=token or user.token, **how)
        self.hello = self.recv_op("hello")

    def ask(self, frame):
        """Send a frame and return its result."""
        self.send_json(frame)
        return self.recv_op("result")

    def sync(self, known=(), **more):
        ref = os.urandom(4).hex()
        self.send_json({"op": "sync", "ref": ref, "conversations": [list(k) for k in known], **more})
        return self.recv_until(lambda f: f.get("op") == "sync" and f.get("ref") == ref)[0]

    def messages(self, n):
        """The contents of the next n messages, whatever else comes between."""
        return [self.recv_op("message")["content"] for _ in range(n)]

    def quiet(self):
        """What came in a while, of which there should be nothing: it ends with the answer to a ping."""
        self.send_json({"op": "ping"})
        first = self.recv_until(lambda f: f.get("op") == "pong")[1]
        time.sleep(QUIET_S)
        self.send_json({"op": "ping"})
        return first + self.recv_until(lambda f: f.get("op") == "pong")[1]

    def closed(self):
        """Read on until the server closes; (code, reason)."""
        try:
            while True:
                self.recv_message()
        except Closed as exc:
            return exc.code, exc.reason


class Old(New):
    """A connection without the subprotocol. pongs=False: pings of the server are kept in self.pings unanswered."""

    def __init__(self, user, pongs=True, **how):
        self.user, self.pongs, self.pings = user, pongs, []
        WsClient.__init__(self, "127.0.0.1", user.server.port, token=user.token, protocols=(), **how)

    def recv_message(self):
        while True:
            fin, _, opcode, payload = self.recv_frame()
            assert fin, "the server fragments nothing"
            if opcode == OP_PING:
                self.pings.append(payload)
                if self.pongs:
                    self.send_frame(OP_PONG, payload)
            elif opcode == OP_CLOSE:
                self.answer_close(payload)
            elif opcode != OP_PONG:
                return opcode, payload

    def recv_type(self, type_id):
        return self.recv_until(lambda frame: frame["type_id"] == type_id)[0]

    def ask(self, frame):
        self.send_json(frame)
        return self.recv_type(3)

    def chats(self, n):
        """Contents of the next n chat messages; notices between are dropped."""
        return [self.recv_until(lambda f: f["type_id"] in (0, 1))[0]["content"] for _ in range(n)]

    def quiet(self):
        """What still comes: a ping of ours is answered behind it."""
        frames = []
        for wait in (0, QUIET_S):
            time.sleep(wait)
            mark = os.urandom(6)
            self.send_frame(OP_PING, mark)
            while True:
                _, _, opcode, payload = self.recv_frame()
                if opcode == OP_PONG and payload == mark:
                    break
                if opcode == OP_PING:
                    self.pings.append(payload)
                    if self.pongs:
                        self.send_frame(OP_PONG, payload)
                elif opcode == OP_CLOSE:
                    self.answer_close(payload)
                elif opcode != OP_PONG:
                    frames.append(json.loads(payload))
        return frames


def crash(client):
    """The end of a client that was killed: a reset, no close frame."""
    client.sock.setsockopt(pim.socket.SOL_SOCKET, pim.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.sock.close()


def another_session(user):
    """The same user on another device: a new sign-in."""
    status, answer = user.server.request("POST", "/auth/profile", {"email": user.email, "password": pim.PASSWORD})
    assert status == 200, (status, answer)
    return pim.User(user.server, answer["auth_token"], {"id": user.id, "name": user.name}, user.email)


def friends(server, *names):
    users = [server.sign_up(name) for name in names]
    for i, user in enumerate(users):
        for other in users[i + 1:]:
            server.befriend(user, other)
    return users


def group(manager, *members, name="Tea"):
    """The id of a new group."""
    status, answer = manager.request("POST", "/group_chat/instance", {"name": name})
    assert status in (200, 201), (status, answer)
    group_id = answer.get("group_id") or answer.get("id") or answer["group_chat"]["id"]
    for member in members:
        join(group_id, member)
    return group_id


def join(group_id, user):
    status, answer = user.request("POST", "/group_chat/user", {"group_id": group_id, "note": ""})
    assert status in (200, 201), (status, answer)


def leave(group_id, user):
    status, answer = user.request("DELETE", "/group_chat/user", {"group_id": group_id})
    assert status == 200, (status, answer)


def friend_action(user, action, peer, **fields):
    status, answer = user.request("PUT", "/relation/friend", {
        "action": action, "dst_id": peer.id, "note": "", "is_accept": False, "is_black": False, **fields})
    assert status == 200, (status, answer)


def unfriend(user, peer):
    status, answer = user.request("DELETE", "/relation/friend", {"dst_id": peer.id})
    assert status == 200, (status, answer)


def settings(*pairs):
    """Arguments of the daemon that set these."""
    return [word for pair in pairs for word in ("--set", pair)]


def raw_of(result):
    return base64.b64decode(result["raw_message"], validate=True)
