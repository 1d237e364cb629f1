"""5 Fragmentation: control frames are never fragmented but come between fragments; a continuation needs a beginning."""

from .case import CONT, PING, PONG, PROTOCOL, TEXT, Case, fragments, frame, octets, whole

WAYS = ((whole, "at once"), (list, "frame by frame"), (octets, "byte by byte"))
PARTS = [b"fragment1", b"fragment2"]
JOINED = [(TEXT, b"fragment1fragment2")]


def cases():
    yield Case("5.1", "fragmented ping", fragments(PING, PARTS), close=PROTOCOL)
    yield Case("5.2", "fragmented pong", fragments(PONG, PARTS), close=PROTOCOL)
    for i, (way, name) in enumerate(WAYS):
        yield Case("5.%d" % (3 + i), "text in two fragments, " + name, way(fragments(TEXT, PARTS)), JOINED)
    for i, (way, name) in enumerate(WAYS):
        first, second = fragments(TEXT, PARTS)
        yield Case("5.%d" % (6 + i), "ping between two fragments, " + name, way([first, frame(PING, b"ping"), second]),
                   [(PONG, b"ping")] + JOINED)
    for base, fin in ((9, True), (12, False)):
        for i, (way, name) in enumerate(WAYS):
            yield Case("5.%d" % (base + i), "continuation of nothing, FIN %s, then text, %s" % (fin, name),
                       way([frame(CONT, b"non-continuation payload", fin=fin), frame(TEXT, b"Hello, world!")]),
                       close=PROTOCOL)
    yield Case("5.15", "text in two fragments, then a continuation of nothing, then text",
               whole(fragments(TEXT, PARTS) + [frame(CONT, b"fragment3", fin=False), frame(TEXT, b"fragment4")]),
               JOINED, [], PROTOCOL)
    for number, fin in (("5.16", False), ("5.17", True)):
        yield Case(number, "twice: continuation of nothing, FIN %s, then text" % fin,
                   [frame(CONT, b"fragment1", fin=fin), frame(TEXT, b"fragment2")] * 2, close=PROTOCOL)
    yield Case("5.18", "text fragment, then text again", [frame(TEXT, PARTS[0], fin=False), frame(TEXT, PARTS[1])],
               close=PROTOCOL)
    five = fragments(TEXT, [b"fragment%d" % i for i in range(1, 6)])
    mixed = five[:2] + [frame(PING, b"pongme 1!")] + five[2:4] + [frame(PING, b"pongme 2!")] + five[4:]
    answer = [(PONG, b"pongme 1!"), (PONG, b"pongme 2!"), (TEXT, b"fragment1fragment2fragment3fragment4fragment5")]
    yield Case("5.19", "five fragments with two pings, at once", whole(mixed), answer)
    yield Case("5.20", "five fragments with two pings, frame by frame", mixed, answer)
