"""What a case is, and how one is run. The numbers are those of the public Autobahn suite; the tables are our own.

A case writes its pieces one by one (each in a segment of its own) and says which frames must come back:

    expect   the messages and pongs in order, as (opcode, payload)
    loose    another list that passes as non-strict, if not None
    close    None: the client closes with 1000 and the server answers so; else the codes with which the server must end
    early    the server must have ended after so many pieces; ending only after all of them is non-strict
    info     whatever comes is right, as long as the connection ends
"""

import os
import sys
from dataclasses import dataclass

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from wsclient import OP_CLOSE, Closed, WsClient, frame  # noqa: E402

TEXT, BINARY, PING, PONG, CONT, CLOSE = 1, 2, 9, 10, 0, 8
PROTOCOL, UTF8 = (1002,), (1007,)
WAIT_S = 30
EARLY_S = 2


@dataclass
class Case:
    number: str
    what: str
    send: object  # list of pieces, or a function that makes it (large ones are not kept)
    expect: object = ()
    loose: object = None
    close: object = None
    early: int = 0
    info: bool = False
    rounds: int = 0  # send the same piece so many times, each after the echo of the last


def whole(frames):
    return [b"".join(frames)]


def octets(frames):
    return chop(b"".join(frames), 1)


def chop(data, size):
    return [data[i:i + size] for i in range(0, len(data), size)]


def fragments(opcode, parts):
    return [frame(CONT if i else opcode, part, fin=i == len(parts) - 1) for i, part in enumerate(parts)]


def close_frame(code, reason=b""):
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


class Peer:
    """One connection; collects what comes until it has enough or the end is there."""

    def __init__(self, port, path):
        self.ws = WsClient("127.0.0.1", port, path, protocols=(), timeout=WAIT_S)
        self.events, self.parts, self.opcode, self.code, self.ended = [], [], None, None, False

    def write(self, piece):
        try:
            self.ws.sock.sendall(piece)
        except ConnectionError:
            pass  # the server has ended already: what it said is still to be read

    def step(self):
        """Reads one frame; False at the end."""
        try:
            fin, rsv, opcode, payload = self.ws.recv_frame()
        except Closed:
            self.ended = True
            return False
        if rsv:
            raise AssertionError("the server set a reserved bit")
        if opcode == OP_CLOSE:
            self.code, self.ended = int.from_bytes(payload[:2], "big") if payload else 1005, True
            return False
        if opcode == PONG:
            self.events.append((PONG, payload))
        elif opcode != PING:
            self.opcode = self.opcode or opcode
            self.parts.append(payload)
            if fin:
                self.events.append((self.opcode, b"".join(self.parts)))
                self.parts, self.opcode = [], None
        return True

    def read(self, count=None):
        while not self.ended and (count is None or len(self.events) < count):
            self.step()

    def ends_early(self):
        self.ws.sock.settimeout(EARLY_S)
        try:
            self.read()
            return True
        except TimeoutError:
            return False
        finally:
            self.ws.sock.settimeout(WAIT_S)


def run(case, port, path="/echo"):
    """("OK" | "NON-STRICT" | "INFO" | "FAILED", why)."""
    send = case.send() if callable(case.send) else case.send
    expect = list(case.expect() if callable(case.expect) else case.expect)
    peer = Peer(port, path)
    try:
        return judge(case, peer, send, expect)
    except (TimeoutError, AssertionError, ConnectionError) as exc:
        return "FAILED", "%s; came: %s" % (exc or type(exc).__name__, brief(peer.events))
    finally:
        peer.ws.abort()


def judge(case, peer, send, expect):
    late = False
    for i, piece in enumerate(send):
        if case.early and i == case.early and not late:
            if peer.ends_early():
                break
            late = True
        peer.write(piece)
    for _ in range(case.rounds - 1):
        peer.read(len(peer.events) + 1)
        peer.write(send[-1])
    if case.rounds:
        expect = expect * case.rounds
    if case.close is None and not case.info:
        peer.read(len(expect))
        peer.write(close_frame(1000))
    peer.read()
    if case.info:
        return "INFO", "came: %s, close %s" % (brief(peer.events), peer.code)
    wanted = case.close or (1000,)
    matches = peer.events == expect
    if not matches and (case.loose is None or peer.events != list(case.loose)):
        return "FAILED", "came: %s, wanted: %s" % (brief(peer.events), brief(expect))
    if peer.code is None and case.close is not None and case.close != (1000,):
        return "NON-STRICT", "ended without a close frame"
    if peer.code not in wanted:
        return "FAILED", "close %s, wanted %s" % (peer.code, wanted)
    if late:
        return "NON-STRICT", "failed only after the whole message"
    return ("OK", "") if matches else ("NON-STRICT", "came: %s" % brief(peer.events))


def brief(events):
    return "[%s]" % ", ".join("%d:%s%s" % (op, data[:20], "" if len(data) <= 20 else "...%d" % len(data))
                              for op, data in events[:6]) + ("" if len(events) <= 6 else " of %d" % len(events))
