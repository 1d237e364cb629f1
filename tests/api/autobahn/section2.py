"""2 Pings and pongs."""

from .case import PING, PONG, PROTOCOL, Case, frame, octets, whole

TEN = [b"payload-%d" % i for i in range(10)]


def cases():
    for number, what, payload in (("2.1", "ping without payload", b""), ("2.2", "ping with text", b"Hello, world!"),
                                  ("2.3", "ping with bytes", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"),
                                  ("2.4", "ping of 125 bytes", b"\xfe" * 125)):
        yield Case(number, what, [frame(PING, payload)], [(PONG, payload)])
    yield Case("2.5", "ping of 126 bytes", [frame(PING, b"\xfe" * 126)], close=PROTOCOL)
    yield Case("2.6", "ping of 125 bytes, byte by byte", octets([frame(PING, b"\xfe" * 125)]), [(PONG, b"\xfe" * 125)])
    yield Case("2.7", "unasked pong without payload", [frame(PONG)])
    yield Case("2.8", "unasked pong with payload", [frame(PONG, b"unsolicited pong payload")])
    yield Case("2.9", "unasked pong, then a ping", [frame(PONG, b"unsolicited"), frame(PING, b"ping payload")],
               [(PONG, b"ping payload")])
    pings, pongs = [frame(PING, payload) for payload in TEN], [(PONG, payload) for payload in TEN]
    yield Case("2.10", "ten pings at once", whole(pings), pongs)
    yield Case("2.11", "ten pings, byte by byte", octets(pings), pongs)
