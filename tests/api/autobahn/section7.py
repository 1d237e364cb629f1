"""7 Closing: the handshake, what may stand in a close frame, which codes are allowed on the wire."""

from .case import CLOSE, CONT, PING, PROTOCOL, TEXT, Case, close_frame, fragments, frame, whole

HELLO = b"Hello World!"
BIG = b"BAsd7&jh23" * 26215
NORMAL = (1000,)
VALID = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
INVALID = (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999)


def cases():
    yield Case("7.1.1", "message, its echo, then close", [frame(TEXT, HELLO)], [(TEXT, HELLO)])
    yield Case("7.1.2", "two close frames", whole([close_frame(1000)] * 2), close=NORMAL)
    yield Case("7.1.3", "ping after close", whole([close_frame(1000), frame(PING)]), close=NORMAL)
    yield Case("7.1.4", "text after close", whole([close_frame(1000), frame(TEXT, HELLO)]), close=NORMAL)
    first = fragments(TEXT, [b"fragment1", b"fragment2"])[0]
    yield Case("7.1.5", "close between two fragments", whole([first, close_frame(1000), frame(CONT, b"fragment2")]),
               close=NORMAL)
    yield Case("7.1.6", "256 KiB, text, close, ping",
               [frame(TEXT, BIG), frame(TEXT, HELLO), close_frame(1000), frame(PING)], info=True)
    yield Case("7.3.1", "close without payload", [frame(CLOSE)], close=(1000, 1005))
    yield Case("7.3.2", "close with one byte", [frame(CLOSE, b"a")], close=PROTOCOL)
    yield Case("7.3.3", "close with a code", [close_frame(1000)], close=NORMAL)
    yield Case("7.3.4", "close with a code and a reason", [close_frame(1000, b"Hello World!")], close=NORMAL)
    yield Case("7.3.5", "close with the longest reason", [close_frame(1000, b"*" * 123)], close=NORMAL)
    yield Case("7.3.6", "close with a reason too long", [close_frame(1000, b"*" * 124)], close=PROTOCOL)
    yield Case("7.5.1", "close with a reason that is not UTF-8", [close_frame(1000, b"\xce\xba\xed\xa0\x80edited")],
               close=(1007, 1002))
    for i, code in enumerate(VALID, 1):
        yield Case("7.7.%d" % i, "close with %d" % code, [close_frame(code)], close=(code, 1000))
    for i, code in enumerate(INVALID, 1):
        yield Case("7.9.%d" % i, "close with %d, which is not allowed" % code, [close_frame(code)], close=PROTOCOL)
    for i, code in enumerate((5000, 65535), 1):
        yield Case("7.13.%d" % i, "close with %d, which has no meaning" % code, [close_frame(code)], info=True)
