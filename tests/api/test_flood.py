#!/usr/bin/python3
"""test_flood.py BUILD_DIR: who floods is closed with 1008 and disturbs nobody else."""

import sys

import pim
from wsclient import Closed, frame


def flood(user, piece, count=400):
    """Write a frame many times, then read to the end. The close code, or None."""
    ws = user.ws()
    ws.recv_op("hello")
    try:
        ws.sock.sendall(piece * count)
        while True:
            ws.recv_message()
    except Closed as exc:
        return exc.code
    except OSError:
        return None


def main():
    tap = pim.Tap()
    with pim.Server(sys.argv[1], args=["--set", "ws.flood_per_s=50"]) as server:
        ann, bob = server.sign_up("Ann"), server.sign_up("Bob")
        server.befriend(ann, bob)
        calm = ann.ws()
        calm.recv_op("hello")
        for name, piece in (("pings", frame(9, b"x")), ("malformed frames", frame(1, b"{")),
                            ("ping operations", frame(1, b'{"op":"ping"}')),
                            ("unknown operations", frame(1, b'{"op":"dance"}'))):
            code = flood(bob, piece)
            tap.ok(code == 1008, "a flood of %s is closed with 1008" % name, code)
        calm.send_json({"type_id": 0, "receiver_id": bob.id, "content_type": 0, "content": "still here"})
        tap.ok(calm.recv_op("result")["code"] == 200, "the others go on")
        ws = bob.ws()
        for _ in range(5):
            ws.ping(b"calm")
        ws.send_json({"op": "ping"})
        tap.ok(ws.recv_op("pong") is not None, "a few are answered")
    tap.done()


if __name__ == "__main__":
    main()
