"""1 Framing: messages of every length form."""

from .case import BINARY, TEXT, Case, chop, frame

SIZES = (0, 125, 126, 127, 128, 65535, 65536)


def cases():
    for group, opcode, byte, name in ((1, TEXT, b"*", "text"), (2, BINARY, b"\xfe", "binary")):
        for i, size in enumerate(SIZES, 1):
            yield Case("1.%d.%d" % (group, i), "%s of %d bytes" % (name, size), [frame(opcode, byte * size)],
                       [(opcode, byte * size)])
        yield Case("1.%d.8" % group, "%s of 65536 bytes in pieces of 997" % name,
                   chop(frame(opcode, byte * 65536), 997), [(opcode, byte * 65536)])
