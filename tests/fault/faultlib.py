"""A server under load for the fault tests: users and a group made by HTTP, hammer beside it, the store read back in the end."""

import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "api"))
import pim  # noqa: E402
from judge import judge, read_logs  # noqa: E402

CHEAP_HASHES = ["--set", "auth.argon2_memory=8MiB", "--set", "auth.argon2_time=1"]


class Load:
    """PAIRS pairs of friends, all of them in one group."""

    def __init__(self, build_dir, pairs=4, window=8, env=None, server=None):
        self.build_dir, self.pairs, self.window = os.path.abspath(build_dir), pairs, window
        self.dir = tempfile.mkdtemp(prefix="pim-fault-")
        self.server = server or pim.Server(build_dir, args=CHEAP_HASHES, env=env)
        self.users, self.group, self.hammer = [], 0, None
        self.logs = os.path.join(self.dir, "logs")
        os.mkdir(self.logs)

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, kind, *_):
        if self.hammer and self.hammer.poll() is None:
            self.hammer.kill()
            self.hammer.wait()
        self.server.__exit__(kind)
        shutil.rmtree(self.dir, ignore_errors=True)

    def prepare(self):
        for i in range(2 * self.pairs):
            self.users.append(self.server.sign_up("user%d" % i))
        for i in range(0, len(self.users), 2):
            self.server.befriend(self.users[i], self.users[i + 1])
        status, answer = self.users[0].request("POST", "/group_chat/instance", {"name": "all"})
        assert status == 201, (status, answer)
        self.group = answer["group_chat"]["id"]
        for user in self.users[1:]:
            status, answer = user.request("POST", "/group_chat/user", {"group_id": self.group, "note": ""})
            assert status == 200, (status, answer)
        with open(os.path.join(self.dir, "tokens"), "w") as tokens:
            for user in self.users:
                tokens.write("%s %d\n" % (user.token, user.id))

    def start(self):
        self.hammer = subprocess.Popen(
            [os.path.join(self.build_dir, "tests/fault/hammer"), str(self.server.port), os.path.join(self.dir, "tokens"),
             self.logs, str(self.window), str(self.group)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.hammer.stdout.readline() == "started\n"

    def finish(self, timeout=120):
        """No new messages; wait for the last answers. True when all clients came to their end."""
        self.hammer.stdin.write("finish\n")
        self.hammer.stdin.close()
        return self.hammer.wait(timeout) == 0

    def conversations(self):
        for i in range(0, len(self.users), 2):
            yield "u:%d:%d" % tuple(sorted((self.users[i].id, self.users[i + 1].id))), self.users[i]
        yield "g:%d" % self.group, self.users[0]
        for user in self.users:
            yield "e:%d" % user.id, user

    def stored(self, server=None):
        """All conversations as the server has them."""
        return {name: read_back(server or self.server, user.token, name) for name, user in self.conversations()}

    def verdict(self):
        return judge(read_logs(self.logs), self.stored())

    def acked(self):
        return sum(len(client.acked) for client in read_logs(self.logs))


def read_back(server, token, name):
    rows, before = [], 0
    while True:
        status, answer = server.request("GET", "/messages?conversation=%s&limit=100&before=%d" % (name, before), token=token)
        if status != 200:
            raise RuntimeError("history of %s: %s %s" % (name, status, answer))
        if not answer["messages"]:
            return rows[::-1]
        for row in answer["messages"]:
            rows.append((row["seq"], row["id"], row.get("client_id", "0"), row.get("sender_id", 0)))
        before = rows[-1][0]
        if before <= 1:
            return rows[::-1]
