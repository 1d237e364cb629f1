"""4 Reserved opcodes."""

from .case import PING, PROTOCOL, TEXT, Case, frame, octets, whole

HELLO = b"Hello, world!"
ECHO = [(TEXT, HELLO)]


def cases():
    for group, first, kind in ((1, 3, "data"), (2, 11, "control")):
        for i in range(5):
            opcode, what = first + i, "reserved %s opcode %d" % (kind, first + i)
            payload = HELLO if i else b""
            number = "4.%d.%d" % (group, i + 1)
            if i < 2:
                yield Case(number, what, [frame(opcode, payload)], close=PROTOCOL)
                continue
            frames = [frame(TEXT, HELLO), frame(opcode, payload if i > 2 else b""), frame(PING)]
            pieces = (whole, list, octets)[i - 2](frames)
            yield Case(number, "text, %s, ping" % what, pieces, ECHO, [], PROTOCOL)
