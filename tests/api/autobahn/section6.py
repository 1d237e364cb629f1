"""6 UTF-8: valid text comes back, invalid text ends the connection with 1007, at the first byte that shows it."""

from .case import TEXT, UTF8, Case, chop, fragments, frame

HELLO = "Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!".encode()
KOSME = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"
SURROGATE = KOSME + b"\xed\xa0\x80" + b"edited"
TOO_HIGH, TAIL = b"\xf4\x90\x80\x80", b"edited"


def hexes(text):
    return [bytes.fromhex(part) for part in text.split()]


# Section, what, sequences in hex, valid ones (None: all, (): none, else their 1-based places).
SEQUENCES = (
    (5, "some valid sequences", "68656c6c6f24776f726c64 68656c6c6fc2a2776f726c64 68656c6c6fe282ac776f726c64"
     " 68656c6c6ff0a4ada2776f726c64 " + KOSME.hex(), None),
    (6, "prefixes of a valid text", " ".join(KOSME[:i].hex() for i in range(1, 12)), (2, 5, 7, 9, 11)),
    (7, "first sequence of each length", "00 c280 e0a080 f0908080", None),
    (8, "first sequence of 5 and 6 bytes", "f888808080 fc8480808080", ()),
    (9, "last sequence of each length", "7f dfbf efbfbf f48fbfbf", None),
    (10, "last sequence of 4, 5 and 6 bytes", "f7bfbfbf fbbfbfbfbf fdbfbfbfbfbf", ()),
    (11, "other boundaries", "ed9fbf ee8080 efbfbd f48fbfbf f4908080", (1, 2, 3, 4)),
    (12, "continuation bytes without a start", "80 bf 80bf 80bf80 80bf80bf 80bf80bf80 80bf80bf80bf "
     + bytes(range(0x80, 0xc0)).hex(), ()),
    (13, "start bytes alone", " ".join("".join("%02x20" % byte for byte in range(low, high + 1)) for low, high in (
        (0xc0, 0xdf), (0xe0, 0xef), (0xf0, 0xf7), (0xf8, 0xfb), (0xfc, 0xfd))), ()),
    (14, "last continuation byte missing", "c0 e080 f08080 f8808080 fc80808080 df efbf f7bfbf fbbfbfbf fdbfbfbfbf", ()),
    (15, "incomplete sequences in a row", "c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf", ()),
    (16, "impossible bytes", "fe ff fefeffff", ()),
    (17, "overlong slash", "c0af e080af f08080af f8808080af fc80808080af", ()),
    (18, "highest overlong sequences", "c1bf e09fbf f08fbfbf f887bfbfbf fc83bfbfbfbf", ()),
    (19, "overlong zero", "c080 e08080 f0808080 f880808080 fc8080808080", ()),
    (20, "single surrogates", "eda080 edadbf edae80 edafbf edb080 edbe80 edbfbf", ()),
    (21, "paired surrogates", "eda080edb080 eda080edbfbf edadbfedb080 edadbfedbfbf edae80edb080 edae80edbfbf"
     " edafbfedb080 edafbfedbfbf", ()),
    (22, "code points that are no characters", " ".join(
        chr(plane << 16 | low).encode().hex() for plane in range(17) for low in (0xfffe, 0xffff)), None),
    (23, "specials", " ".join(chr(code).encode().hex() for code in range(0xfff9, 0x10000)), None),
)


def cases():
    yield Case("6.1.1", "empty text", [frame(TEXT)], [(TEXT, b"")])
    yield Case("6.1.2", "three empty fragments", fragments(TEXT, [b"", b"", b""]), [(TEXT, b"")])
    yield Case("6.1.3", "three fragments, first and last empty", fragments(TEXT, [b"", b"middle frame payload", b""]),
               [(TEXT, b"middle frame payload")])
    yield Case("6.2.1", "valid text in one frame", [frame(TEXT, HELLO)], [(TEXT, HELLO)])
    yield Case("6.2.2", "valid text, cut between characters", fragments(TEXT, [HELLO[:8], HELLO[8:]]), [(TEXT, HELLO)])
    yield Case("6.2.3", "valid text, one byte each fragment", fragments(TEXT, chop(HELLO, 1)), [(TEXT, HELLO)])
    yield Case("6.2.4", "Greek text, one byte each fragment", fragments(TEXT, chop(KOSME, 1)), [(TEXT, KOSME)])
    yield Case("6.3.1", "invalid text in one frame", [frame(TEXT, SURROGATE)], close=UTF8)
    yield Case("6.3.2", "invalid text, one byte each fragment", fragments(TEXT, chop(SURROGATE, 1)), close=UTF8)
    cuts = ([KOSME, TOO_HIGH, TAIL], [KOSME + TOO_HIGH[:1], TOO_HIGH[1:2], TOO_HIGH[2:] + TAIL])
    for i, parts in enumerate(cuts, 1):
        yield Case("6.4.%d" % i, "invalid text ends at the fragment that shows it", fragments(TEXT, parts), close=UTF8,
                   early=2)
    for i, parts in enumerate(cuts, 3):
        data = frame(TEXT, b"".join(parts))
        first = len(data) - len(parts[1]) - len(parts[2])
        second = len(data) - len(parts[2])
        yield Case("6.4.%d" % i, "invalid text in one frame ends at the piece that shows it",
                   [data[:first], data[first:second], data[second:]], close=UTF8, early=2)
    for section, what, text, valid in SEQUENCES:
        for i, data in enumerate(hexes(text), 1):
            good = valid is None or i in valid
            shown = data.hex() if len(data) <= 12 else data[:12].hex() + "..."
            yield Case("6.%d.%d" % (section, i), "%s: %s %s" % (what, shown, "valid" if good else "invalid"),
                       [frame(TEXT, data)], [(TEXT, data)] if good else [], close=None if good else UTF8)
