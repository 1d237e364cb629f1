"""3 Reserved bits: no extension was agreed, so each is a break of the protocol."""

from .case import BINARY, CLOSE, PING, PROTOCOL, TEXT, Case, frame, octets, whole

HELLO = b"Hello, world!"
ECHO = [(TEXT, HELLO)]


def cases():
    yield Case("3.1", "text with RSV 1", [frame(TEXT, HELLO, rsv=1)], close=PROTOCOL)
    later = [frame(TEXT, HELLO), frame(TEXT, HELLO, rsv=2), frame(PING)]
    yield Case("3.2", "text, text with RSV 2, ping", whole(later), ECHO, [], PROTOCOL)
    later[1] = frame(TEXT, HELLO, rsv=3)
    yield Case("3.3", "text, text with RSV 3, ping, frame by frame", later, ECHO, [], PROTOCOL)
    yield Case("3.4", "text, text with RSV 4, ping, byte by byte",
               octets([frame(TEXT, HELLO), frame(TEXT, HELLO, rsv=4), frame(PING)]), ECHO, [], PROTOCOL)
    yield Case("3.5", "binary with RSV 5", [frame(BINARY, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", rsv=5)], close=PROTOCOL)
    yield Case("3.6", "ping with RSV 6", [frame(PING, HELLO, rsv=6)], close=PROTOCOL)
    yield Case("3.7", "close with RSV 7", [frame(CLOSE, b"\x03\xe8", rsv=7)], close=PROTOCOL)
