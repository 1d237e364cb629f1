#!/usr/bin/python3
"""test_clients.py BUILD_DIR: the sample clients in pairs against the server, which is killed in the middle.

Each pair: both write LINES lines to each other; once both are well under way the server is killed with SIGKILL and
started again on the same port and data. Each must get every line of the other once and in order,
and a 200 for each of its own.
"""

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time

import pim

LINES = 300
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples")


class Client:
    def __init__(self, command, server, user, peer):
        self.user_id, self.frames, self.lines = user.id, [], queue.Queue()
        self.process = subprocess.Popen([*command, server.url, user.email, pim.PASSWORD, str(peer)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
        threading.Thread(target=self.read, daemon=True).start()
        threading.Thread(target=self.write, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.frames.append(json.loads(line))

    def write(self):
        try:
            while (line := self.lines.get()) is not None:
                self.process.stdin.write(line + "\n")
                self.process.stdin.flush()
            self.process.stdin.close()
        except OSError:
            pass

    def got(self):
        """What the other wrote; our own rows come too when a sync brings them."""
        return [f["content"] for f in list(self.frames) if f["op"] == "message" and f["sender_id"] != self.user_id]

    def sent(self):
        return [(f["code"], f["content"]) for f in list(self.frames) if f["op"] == "result"]

    def stop(self):
        self.process.kill()
        self.process.wait()


def wait_for(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.02)


def run_pair(tap, server, commands, kinds):
    name = "%s and %s" % kinds
    users = [server.sign_up(kind[:10]) for kind in kinds]
    server.befriend(*users)
    clients = [Client(commands[kinds[i]], server, users[i], users[1 - i].id) for i in (0, 1)]
    lines = [["%s %d \u2014 \u4f60\u597d \"\\" % (i, n) for n in range(LINES)] for i in (0, 1)]
    try:
        for i in (0, 1):
            clients[i].lines.put(lines[i][0])
        # one that comes late is given the newest rows only: both must be there before much is said
        wait_for(lambda: all(c.got() for c in clients), "both are there")
        for i in (0, 1):
            for line in lines[i][1:LINES // 2]:
                clients[i].lines.put(line)
        wait_for(lambda: all(len(c.sent()) >= 10 and len(c.got()) >= 10 for c in clients), "both are under way")
        for i in (0, 1):
            for line in lines[i][LINES // 2:]:
                clients[i].lines.put(line)
        server.kill9()
        at_kill = [len(c.sent()) for c in clients]
        server.start()
        wait_for(lambda: all(len(c.sent()) >= LINES and len(c.got()) >= LINES for c in clients), "all is through")
    except TimeoutError as exc:
        missing = [[n for n, line in enumerate(lines[i]) if line not in clients[1 - i].got()] for i in (0, 1)]
        tap.ok(False, name, "%s: sent %s, got %s, missing %s\n%s" %
               (exc, [len(c.sent()) for c in clients], [len(c.got()) for c in clients], missing,
                "\n".join(json.dumps(f)[:200] for c in clients for f in c.frames[-3:])))
        return
    finally:
        time.sleep(0.3)  # time for what must not come: a second copy
        for client in clients:
            client.stop()
    tap.ok(all(n < LINES for n in at_kill), name + ": the server died in the middle", at_kill)
    for i in (0, 1):
        tap.ok(clients[1 - i].got() == lines[i], "%s: all of %s's lines arrive once, in order" % (name, kinds[i]))
        tap.ok(clients[i].sent() == [(200, line) for line in lines[i]], "%s: each of %s's lines has one 200" %
               (name, kinds[i]))
    # What the server keeps is the same: both sides' lines, numbers without a hole.
    path = "/messages?conversation=u:%d:%d&limit=100" % tuple(sorted(u.id for u in users))
    status, answer = users[0].request("GET", path)
    rows = []
    while status == 200 and answer["messages"]:
        rows += answer["messages"]
        status, answer = users[0].request("GET", path + "&before=%d" % rows[-1]["seq"])
    tap.ok(sorted(r["content"] for r in rows if r["op"] == "message") == sorted(lines[0] + lines[1]),
           name + ": the history holds each line once", "%s, %d rows" % (status, len(rows)))


def main():
    build_dir = sys.argv[1]
    binary = os.path.join(os.environ.get("PIM_CLIENT_DIR", os.path.join(build_dir, "examples")), "client")
    node = shutil.which("node") or shutil.which("nodejs")
    if not os.path.exists(binary) or node is None:
        sys.exit("needs %s (make examples/client) and node" % binary)
    commands = {"c": [binary], "python": ["/usr/bin/python3", os.path.join(SOURCE, "client.py")],
                "node": [node, os.path.join(SOURCE, "client.mjs")]}
    tap = pim.Tap()
    with pim.Server(build_dir) as server:
        for kinds in ("c", "python"), ("python", "node"), ("node", "c"), ("c", "c"):
            run_pair(tap, server, commands, kinds)
    tap.done()


if __name__ == "__main__":
    main()
