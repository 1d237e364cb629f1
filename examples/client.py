#!/usr/bin/env python3
"""Sample client: client.py URL EMAIL PASSWORD PEER. Lines from stdin go to PEER (a user id, or g:ID), each thing that
comes is one line of JSON on stdout. The loop is section 8 of docs/protocol.md. Needs python3-websockets."""

import asyncio
import json
import os
import random
import sys
import time
import urllib.request
import uuid

import websockets


def sign_in(url, email, password):
    """The token: of an account that is there, else of a new one."""
    body = {"name": email.split("@")[0][:10], "email": email, "password": password, "confirm_password": password}
    for path, names in ("/auth/profile", ("email", "password")), ("/auth/user", body):
        try:
            with urllib.request.urlopen(urllib.request.Request(
                    url + path, json.dumps({name: body[name] for name in names}).encode(),
                    {"Content-Type": "application/json"}), timeout=30) as answer:
                return json.load(answer)["auth_token"]
        except urllib.request.HTTPError as exc:
            error = exc.read().decode()
    sys.exit("cannot sign in: " + error)


class Client:
    def __init__(self, url, token, peer):
        self.url, self.token = "ws" + url[4:] + "/", token
        self.target = {"type_id": int(peer.startswith("g:")), "receiver_id": int(peer.replace("g:", ""))}
        self.have, self.queue = {}, []  # conversation -> [newest seq without a hole, its id]; messages without answer
        self.syncing = self.missing = False
        self.ws, self.epochs, self.clock_ms, self.last_ms, self.wait = None, None, 0, 0, 1

    def uuid7(self):
        """Time of the server, always rising."""
        self.last_ms = max(int(time.monotonic() * 1000) + self.clock_ms, self.last_ms + 1)
        tail = int.from_bytes(os.urandom(10), "big")
        return str(uuid.UUID(int=self.last_ms << 80 | 7 << 76 | (tail >> 68) << 64 | 2 << 62 | tail & (1 << 62) - 1))

    async def send_json(self, frame):
        try:
            await self.ws.send(json.dumps(frame, ensure_ascii=False))
        except (AttributeError, websockets.WebSocketException):
            pass  # no connection: what is unanswered stays in the queue

    async def send_first(self):
        """One unanswered frame at a time: the order holds even over a 429 or 503."""
        if self.queue:
            await self.send_json(self.queue[0])

    async def ask(self, **after):
        """Sync of all conversations; of those not named the newest rows come."""
        self.syncing, self.missing = True, False
        known = [[name, seq, row_id] for name, (seq, row_id) in self.have.items()]
        await self.send_json({"op": "sync", "limit": 100, "conversations": known, **after})

    async def take(self, row):
        """Section 5: the next number and nothing else; a later one shows that some are missing."""
        name, old = row["conversation"], self.have.get(row["conversation"], [0])[0]
        if row["seq"] == old + 1:
            self.have[name] = [row["seq"], row["id"]]
            if row["op"] != "result" and row.get("event") != "hidden":
                print(json.dumps(row, ensure_ascii=False), flush=True)
            await self.send_json({"op": "ack", "conversation": name, "seq": row["seq"]})
        self.missing |= row["seq"] > old + 1

    async def on_message(self, row):
        await self.take(row)
        if self.missing and not self.syncing:
            await self.ask()

    on_event = on_message

    async def on_sync(self, frame):
        for part in frame["conversations"]:
            name = part["conversation"]
            if part["reset"] or part["from"] > self.have.get(name, [0])[0]:
                self.have[name] = [part["from"] - 1, "0"]
            for row in part["messages"]:
                await self.take({"conversation": name, **row})
            self.missing |= part["more"]
        self.syncing = "next" in frame
        if self.syncing:
            await self.ask(after=frame["next"])
        elif self.missing:
            await self.ask()

    async def on_result(self, frame):
        if not self.queue or frame.get("client_id") != self.queue[0]["client_id"]:
            return
        if frame["code"] not in (429, 503):
            print(json.dumps({**frame, "content": self.queue.pop(0)["content"]}, ensure_ascii=False), flush=True)
            if frame["code"] == 200:
                await self.on_message(frame)  # a row of ours, with a number like any other
            return await self.send_first()
        loop = asyncio.get_running_loop()
        loop.call_later(frame.get("retry_after", 1), lambda: asyncio.ensure_future(self.send_first()))

    async def on_hello(self, frame):
        self.clock_ms = frame["server_time"] - int(time.monotonic() * 1000)
        if self.epochs != frame["epochs"]:
            self.have = {}  # restored from a backup: what we know is of another past
        self.epochs, self.wait = frame["epochs"], 1
        await self.ask()
        await self.send_first()

    async def read_lines(self):
        while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
            while self.epochs is None:  # the first hello tells the server's time, which ids need
                await asyncio.sleep(0.05)
            self.queue.append({**self.target, "client_id": self.uuid7(), "content_type": 0, "content": line[:-1]})
            if len(self.queue) == 1:
                await self.send_first()
        while self.queue:
            await asyncio.sleep(0.05)
        os._exit(0)

    async def stay_connected(self):
        while True:
            try:
                async with websockets.connect(self.url, subprotocols=["privateim.v1", "privateim.token." + self.token],
                                              max_size=None) as self.ws:
                    while frame := json.loads(await self.ws.recv()):
                        if handler := getattr(self, "on_" + frame["op"], None):
                            await handler(frame)
            except (OSError, asyncio.TimeoutError, websockets.WebSocketException) as exc:
                code, reason = getattr(exc, "code", None), getattr(exc, "reason", "")
                if code in (4001, 4003) or getattr(exc, "status_code", None) == 401:
                    print("closed:", exc, file=sys.stderr)
                    os._exit(1)  # a thread may still wait for stdin
            self.ws, pause = None, self.wait * random.uniform(0.5, 1)
            await asyncio.sleep(float(reason) if code == 1012 and reason.isdigit() else pause)
            self.wait = min(self.wait * 2, 30)


async def main(url, email, password, peer):
    client = Client(url, sign_in(url, email, password), peer)
    await asyncio.gather(client.read_lines(), client.stay_connected())


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("usage: client.py URL EMAIL PASSWORD PEER   (PEER: a user id, or g:ID)")
    asyncio.run(main(sys.argv[1].rstrip("/"), *sys.argv[2:]))
