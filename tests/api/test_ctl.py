#!/usr/bin/python3
"""test_ctl.py BUILD_DIR: privateimctl against a running server: users, sessions, the storage check, metrics and health."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

import pim
from wsclient import Closed

NEW_PASSWORD = "another horse 7"


class Ctl:
    def __init__(self, build_dir, server):
        self.command = [os.path.join(build_dir, "privateimctl"), "--socket", os.path.join(server.data, "run/control"), "--json"]

    def __call__(self, *args, secret=None):
        """(exit status, answer)"""
        done = subprocess.run([*self.command, *map(str, args)], input=secret, capture_output=True, text=True)
        try:
            return done.returncode, json.loads(done.stdout)
        except ValueError:
            return done.returncode, done.stdout + done.stderr


def sign_in(server, email, password):
    return server.request("POST", "/auth/profile", {"email": email, "password": password})[0]


def users(tap, server, ctl):
    ann, bob = server.sign_up("Ann"), server.sign_up("Bob")
    status, answer = ctl("user", "list")
    listed = {user["email"]: user for user in answer["users"]}
    tap.ok(status == 0 and set(listed) == {ann.email, bob.email}, "user list names everybody", answer)
    status, answer = ctl("user", "list", bob.email)
    tap.ok(status == 0 and [user["id"] for user in answer["users"]] == [bob.id], "or one", answer)
    status, answer = ctl("user", "list", "nobody@example.org")
    tap.ok(status != 0, "an unknown one is an error", answer)

    ws = ann.ws()
    ws.recv_json()
    status, answer = ctl("sessions")
    tap.ok([c["user"] for c in answer["connections"]] == [ann.id], "sessions names who is connected", answer)
    status, answer = ctl("sessions", ann.id)
    tap.ok(status == 0 and len(answer["sessions"]) == 1, "or the sessions of one", answer)
    status, answer = ctl("user", "disable", ann.email)
    tap.ok(status == 0 and answer["disabled"] is True, "an account is shut", answer)
    try:
        while True:
            ws.recv_json()
    except Closed as exc:
        tap.ok(exc.code == 4001, "its connection ends with 4001", exc.code)
    tap.ok(ann.request("GET", "/info/profile")[0] == 401, "its token is worth nothing")
    tap.ok(sign_in(server, ann.email, pim.PASSWORD) in (401, 403), "it cannot sign in")
    status, answer = ctl("user", "enable", ann.id)
    tap.ok(status == 0 and sign_in(server, ann.email, pim.PASSWORD) == 200, "opened again it can", answer)

    status, answer = ctl("user", "password", bob.id, secret="short\n")
    tap.ok(status != 0, "a bad password is refused", answer)
    status, answer = ctl("user", "password", bob.id, secret=NEW_PASSWORD + "\n")
    tap.ok(status == 0 and sign_in(server, bob.email, NEW_PASSWORD) == 200, "a password is set", answer)
    tap.ok(sign_in(server, bob.email, pim.PASSWORD) == 401, "the old one is over")
    tap.ok(bob.request("GET", "/info/profile")[0] == 401, "and so are the sessions")


def storage(tap, server, ctl):
    cat, dan = server.sign_up("Cat"), server.sign_up("Dan")
    server.befriend(cat, dan)
    ws = cat.ws()
    ws.recv_json()
    for n in range(200):
        ws.send_json({"type_id": 0, "receiver_id": dan.id, "content_type": 0, "content": "message %d" % n})
    codes = []
    while len(codes) < 200:
        frame = ws.recv_json()
        if frame["op"] == "result":
            codes.append(frame["code"])
    tap.ok(set(codes) == {200}, "messages are stored", set(codes))
    status, answer = ctl("storage", "check")
    tap.ok(status == 0 and answer["faults"] == 0 and answer["rows"] >= 202, "the storage check walks all rows", answer)
    status, answer = ctl("status")
    tap.ok(status == 0 and answer["messages_stored"] >= 202, "status counts", answer)


def reload(tap, build_dir):
    with tempfile.TemporaryDirectory() as data:
        os.chmod(data, 0o700)
        path = os.path.join(data, "pim.conf")
        with open(path, "w") as conf:
            conf.write("[im]\nname_chars = 10\n")
        os.chmod(path, 0o600)
        with pim.Server(build_dir, args=["--config", path], data=data) as server:
            ctl = Ctl(build_dir, server)
            body = {"name": "a name of twenty ch.", "email": "x@example.org", "password": pim.PASSWORD,
                    "confirm_password": pim.PASSWORD}
            tap.ok(server.request("POST", "/auth/user", body)[0] == 400, "a name of 20 characters is too long")
            with open(path, "w") as conf:
                conf.write("[im]\nname_chars = 20\n")
            tap.ok(ctl("reload")[0] == 0, "reload is taken")
            deadline = time.monotonic() + 10
            status = 0
            while status != 201 and time.monotonic() < deadline:
                status = server.request("POST", "/auth/user", body)[0]
            tap.ok(status == 201, "after the reload it is not", status)
            with open(path, "w") as conf:
                conf.write("[im]\nname_chars = many\n")
            ctl("reload")
            deadline = time.monotonic() + 10
            while "stays as it was" not in server.log() and time.monotonic() < deadline:
                time.sleep(0.05)
            tap.ok("stays as it was" in server.log() and "name_chars" in server.log(), "a bad file changes nothing and is told")
            tap.ok(server.request("GET", "/healthz")[0] == 200, "the server goes on")


def mistakes(tap, build_dir):
    """A mistake in the configuration has its sentence and the exit status on which the unit does not restart."""
    daemon = os.path.join(build_dir, "privateimd")
    for what, options, sentence in (
            ("an unknown option", ["--set", "im.shoe_size=9"], "shoe_size"),
            ("a bad value", ["--set", "ws.in_flight=many"], "in_flight"),
            ("plain HTTP for everybody", ["--listen", "0.0.0.0:%d" % pim.free_port()], "insecure_listen")):
        for check in [], ["--check-config"]:
            with tempfile.TemporaryDirectory() as data:
                done = subprocess.run([daemon, "--data", data, *options, *check], capture_output=True, text=True, timeout=30)
            tap.ok(done.returncode == 78 and sentence in done.stderr + done.stdout, "%s %s" % (what, " ".join(check)),
                   (done.returncode, done.stderr))


def main():
    build_dir = os.path.abspath(sys.argv[1])
    tap, metrics = pim.Tap(), pim.free_port()
    with pim.Server(build_dir, args=["--set", "server.metrics_listen=127.0.0.1:%d" % metrics]) as server:
        ctl = Ctl(build_dir, server)
        users(tap, server, ctl)
        storage(tap, server, ctl)
        with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % metrics) as answer:
            text = answer.read().decode()
        tap.ok("privateim_log_stored_total 2" in text and "privateim_ws_connections" in text, "metrics are served", text[:300])
        tap.ok(server.request("GET", "/metrics")[0] == 404, "but not to the public")
        tap.ok(server.request("GET", "/readyz")[0] == 200 and server.request("GET", "/healthz")[0] == 200, "health is good")
    reload(tap, build_dir)
    mistakes(tap, build_dir)
    tap.done()


if __name__ == "__main__":
    main()
