"""9 Limits and speed: large messages, many fragments, small pieces, many messages."""

from .case import BINARY, TEXT, Case, chop, fragments, frame

KIB, MIB = 1 << 10, 1 << 20
KINDS = ((TEXT, b"*", "text"), (BINARY, b"\xfe", "binary"))


def large(number, what, opcode, payload_of, pieces_of):
    """Payloads are made when the case runs: all at once would be half a gigabyte."""
    return Case(number, what, lambda: pieces_of(payload_of()), lambda: [(opcode, payload_of())])


def cases():
    for i, (opcode, byte, name) in enumerate(KINDS):
        for j, size in enumerate((64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB), 1):
            yield large("9.%d.%d" % (1 + i, j), "%s of %d KiB" % (name, size // KIB), opcode,
                        lambda b=byte, n=size: b * n, lambda data, op=opcode: [frame(op, data)])
    for i, (opcode, byte, name) in enumerate(KINDS):
        for j, size in enumerate((64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB), 1):
            yield large("9.%d.%d" % (3 + i, j), "%s of 4 MiB in fragments of %d bytes" % (name, size), opcode,
                        lambda b=byte: b * 4 * MIB,
                        lambda data, op=opcode, n=size: chop(b"".join(fragments(op, chop(data, n))), 256 * KIB))
    for i, (opcode, byte, name) in enumerate(KINDS):
        for j, size in enumerate((64, 128, 256, 512, KIB, 2 * KIB), 1):
            yield large("9.%d.%d" % (5 + i, j), "%s of 1 MiB in pieces of %d bytes" % (name, size), opcode,
                        lambda b=byte: b * MIB, lambda data, op=opcode, n=size: chop(frame(op, data), n))
    for i, (opcode, byte, name) in enumerate(KINDS):
        for j, size in enumerate((0, 16, 64, 256, KIB, 4 * KIB), 1):
            yield Case("9.%d.%d" % (7 + i, j), "1000 times %s of %d bytes, there and back" % (name, size),
                       [frame(opcode, byte * size)], [(opcode, byte * size)], rounds=1000)
