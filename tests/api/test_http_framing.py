#!/usr/bin/env python3
"""Malformed HTTP/1 gets 400 (or the status that says more) and the end of the connection, and is never two requests.

    test_http_framing.py BUILD_DIR
"""

import socket
import sys

import pim

tap = pim.Tap()
HOST = b"Host: a\r\n"
GET = b"GET /healthz HTTP/1.1\r\n"
POST = b"POST /auth/profile HTTP/1.1\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

# what, the statuses that are right, bytes
PROBES = [
    ("Content-Length and Transfer-Encoding", (400,), POST + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("Transfer-Encoding and Content-Length", (400,), POST + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    ("two Content-Lengths", (400,), POST + HOST + b"Content-Length: 0\r\nContent-Length: 36\r\n\r\n"),
    ("two equal Content-Lengths", (400,), POST + HOST + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n"),
    ("a list as Content-Length", (400,), POST + HOST + b"Content-Length: 0, 0\r\n\r\n"),
    ("Content-Length with a plus", (400,), POST + HOST + b"Content-Length: +5\r\n\r\n12345"),
    ("Content-Length with a minus", (400,), POST + HOST + b"Content-Length: -5\r\n\r\n"),
    ("Content-Length in hexadecimal", (400,), POST + HOST + b"Content-Length: 0x5\r\n\r\n12345"),
    ("Content-Length without a value", (400,), POST + HOST + b"Content-Length:\r\n\r\n"),
    ("Content-Length beyond 64 bits", (400,), POST + HOST + b"Content-Length: 18446744073709551621\r\n\r\n12345"),
    ("Transfer-Encoding: xchunked", (400,), POST + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ("Transfer-Encoding: gzip, chunked", (400,), POST + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("Transfer-Encoding twice", (400,), POST + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n"),
    ("a space before the colon of Transfer-Encoding", (400,), POST + HOST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    ("a vertical tab in Transfer-Encoding", (400,), POST + HOST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    ("Transfer-Encoding in HTTP/1.0", (400,), b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("a chunked body", (411,), POST + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"),
    ("a chunk size that wraps", (411,), POST + HOST + b"Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nabcde\r\n0\r\n\r\n"),
    ("a negative chunk size", (411,), POST + HOST + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n"),
    ("trailers", (411,), POST + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n"),
    ("NUL in a value", (400,), GET + b"Host: a\x00b\r\n\r\n"),
    ("NUL in a name", (400,), GET + HOST + b"X\x00: y\r\n\r\n"),
    ("NUL in the path", (400,), b"GET /healthz\x00x HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("an encoded NUL in the path", (400,), b"GET /healthz%00 HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("a bad escape in the path", (400,), b"GET /%zz HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("10,000 headers", (431,), GET + HOST + b"X: y\r\n" * 10000 + b"\r\n"),
    ("64 KiB of header", (431,), GET + HOST + b"X: " + b"y" * 65536 + b"\r\n\r\n"),
    ("a path of 10 KiB", (414,), b"GET /" + b"a" * 10240 + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("HTTP/9.9", (400, 505), b"GET / HTTP/9.9\r\n" + HOST + b"\r\n"),
    ("HTTP/1.1 with a space after it", (400,), b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n"),
    ("no version", (400,), b"GET /\r\n" + HOST + b"\r\n"),
    ("no Host", (400,), GET + b"\r\n"),
    ("two Hosts", (400,), GET + HOST + b"Host: b\r\n\r\n"),
    ("a Host with a slash", (400,), GET + b"Host: a/b\r\n\r\n"),
    ("an empty name", (400,), GET + HOST + b": y\r\n\r\n"),
    ("a space in a name", (400,), GET + HOST + b"X Y: z\r\n\r\n"),
    ("a space before the colon", (400,), GET + HOST + b"X : y\r\n\r\n"),
    ("no colon", (400,), GET + HOST + b"X\r\n\r\n"),
    ("an obsolete fold", (400,), GET + HOST + b"X: y\r\n z\r\n\r\n"),
    ("a bare LF", (400,), b"GET /healthz HTTP/1.1\nHost: a\n\n"),
    ("a bare CR in a value", (400,), GET + HOST + b"X: y\rContent-Length: 5\r\n\r\n"),
    ("a control character in a value", (400,), GET + HOST + b"X: \x07\r\n\r\n"),
    ("two spaces in the request line", (400,), b"GET  /healthz HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("a target without a slash", (400,), b"GET healthz HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("an unknown method", (501,), b"BREW /healthz HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("TRACE", (405, 501), b"TRACE /healthz HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("CONNECT", (405, 501), b"CONNECT a:1 HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("a large body", (413,), POST + HOST + b"Content-Length: 100000000\r\n\r\n"),
    ("bytes that are no HTTP", (400,), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
]


def replies(port, data):
    """The statuses of all replies until the server closes, None if it does not close."""
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        try:
            sock.sendall(data)
        except OSError:
            pass
        got = b""
        try:
            while True:
                piece = sock.recv(65536)
                if not piece:
                    break
                got += piece
        except TimeoutError:
            return None
        except OSError:
            pass
    return [int(line.split()[1]) for line in got.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")] or [
        int(part.split()[0]) for part in got.split(b"HTTP/1.1 ")[1:]]


def main():
    with pim.Server(sys.argv[1]) as server:
        for what, right, data in PROBES:
            got = replies(server.port, data + SMUGGLED)
            # a bad escape is a good request for a bad path: the connection may go on
            alone = got is not None and len(got) == 1 and got[0] in right
            followed = got is None or got == [400, 404]
            tap.ok(alone or (what.startswith(("an encoded", "a bad escape")) and followed), "%s: %s and the end" % (
                what, " or ".join(map(str, right))), got)
        for _ in range(3):
            tap.ok(server.request("GET", "/healthz")[0] == 200, "the server is well")
    tap.done()


main()
