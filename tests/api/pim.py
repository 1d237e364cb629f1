"""Starts the server for a test and talks HTTP to it.

    with pim.Server(build_dir) as server:
        ann = server.sign_up("Ann")
        status, answer = server.request("GET", "/info/profile", token=ann.token)

Each Server has a free port on loopback and a data directory of its own; kill9() then start() comes back on the
same port with the same data. Tap counts and prints TAP.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from wsclient import WsClient

PASSWORD = "correct horse 9"


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class User:
    def __init__(self, server, token, user, email):
        self.server, self.token, self.id, self.name, self.email = server, token, user["id"], user["name"], email

    def request(self, method, path, body=None):
        return self.server.request(method, path, body, self.token)

    def ws(self, **how):
        return WsClient("127.0.0.1", self.server.port, token=self.token, **how)


class Server:
    def __init__(self, build_dir, args=(), env=None, data=None):
        """args: further options of the daemon. env: further environment. data: a directory to use and keep."""
        self.build_dir, self.args, self.env = os.path.abspath(build_dir), list(args), env or {}
        self.port, self.process, self.own_data = free_port(), None, data is None
        self.data = data or tempfile.mkdtemp(prefix="pim-test-")
        self.url = "http://127.0.0.1:%d" % self.port
        self.log_path = os.path.join(self.data, "test.log")
        self.sign_ups = 0

    def start(self):
        command = [os.path.join(self.build_dir, "privateimd"), "--listen", "127.0.0.1:%d" % self.port,
                   "--data", self.data, "--set", "server.metrics_listen="]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command + self.args, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            env={**os.environ, **self.env})
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError("the server ended with %d:\n%s" % (self.process.returncode, self.log()))
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("the server does not listen:\n" + self.log())

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()[-8000:]

    def stop(self):
        """SIGTERM; the exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.process = None
        return status

    def kill9(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is not None:
            print("# server log:\n# " + self.log().replace("\n", "\n# "), file=sys.stderr)
        status = self.stop()
        if kind is None and status not in (None, 0):
            raise AssertionError("the server ended with %d:\n%s" % (status, self.log()))
        if self.own_data:
            shutil.rmtree(self.data, ignore_errors=True)

    def request(self, method, path, body=None, token=None, headers=None):
        """(status, answer); the answer is parsed if it is JSON, else bytes."""
        send = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            send["Authorization"] = "Bearer " + token
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {**send, **(headers or {})})
            answer = connection.getresponse()
            data = answer.read()
            is_json = answer.getheader("Content-Type", "").startswith("application/json")
            return answer.status, json.loads(data) if is_json and data else data
        finally:
            connection.close()

    def sign_up(self, name, email=None, password=PASSWORD):
        self.sign_ups += 1
        email = email or "%s%d@example.org" % (name.lower(), self.sign_ups)
        status, answer = self.request("POST", "/auth/user", {"name": name, "email": email, "password": password,
                                                             "confirm_password": password})
        assert status == 201, (status, answer)
        return User(self, answer["auth_token"], answer["user"], email)

    def befriend(self, asker, answerer):
        status, answer = asker.request("POST", "/relation/friend", {"dst_id": answerer.id, "note": "hi"})
        assert status == 200, (status, answer)
        status, answer = answerer.request("PUT", "/relation/friend", {
            "action": 2, "dst_id": asker.id, "note": "", "is_accept": True, "is_black": False})
        assert status == 200, (status, answer)


class Tap:
    """ok(condition, name) prints a line; done() prints the plan and exits."""

    def __init__(self):
        self.count = self.failed = 0

    def ok(self, condition, name, why=""):
        self.count += 1
        self.failed += not condition
        print("%sok %d - %s" % ("" if condition else "not ", self.count, name), flush=True)
        if not condition and why:
            print("# " + str(why).replace("\n", "\n# "), flush=True)
        return bool(condition)

    def done(self):
        print("1..%d" % self.count, flush=True)
        sys.exit(1 if self.failed else 0)
