#!/usr/bin/env python3
"""The HTTP side by itself: connections, pipelining, timeouts, limits, TLS, upgrades.

    test_http_server.py BUILD_DIR

Runs BUILD_DIR/tests/unit/http/standin, which has no storage behind it and short timeouts (head 1 s, idle 2 s,
64 connections, 32 from one address).
"""

import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import warnings

from pim import Tap

HERE = os.path.dirname(os.path.abspath(__file__))
WEB = os.path.join(HERE, "..", "..", "web")
tap = Tap()


class Standin:
    def __init__(self, build, *args):
        self.process = subprocess.Popen([os.path.join(build, "tests/unit/http/standin"), *args], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.port, self.status_port = map(int, self.process.stdout.readline().split())

    def stop(self):
        self.process.stdin.close()
        return self.process.wait(30)


def connect(port, tls=None):
    sock = socket.create_connection(("127.0.0.1", port), 10)
    return tls.wrap_socket(sock, server_hostname="localhost") if tls else sock


def read_reply(sock, rest=b"", head=False):
    """(status, headers, body, bytes after it), or None at the end."""
    data = rest
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return None
        data += piece
    top, data = data.split(b"\r\n\r\n", 1)
    lines = top.decode().split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, value = line.split(": ", 1)
        assert name.lower() not in headers, line
        headers[name.lower()] = value
    status = int(lines[0].split()[1])
    length = 0 if head or status in (204, 304) or status < 200 else int(headers.get("content-length", 0))
    while len(data) < length:
        piece = sock.recv(65536)
        if not piece:
            return None
        data += piece
    return status, headers, data[:length], data[length:]


def ask(port, text, tls=None, head=False):
    with connect(port, tls) as sock:
        sock.sendall(text if isinstance(text, bytes) else text.encode())
        return read_reply(sock, head=head)


def get(path, more=""):
    return "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n" % (path, more)


def closes(sock):
    """Does the server end the connection?"""
    sock.settimeout(20)
    try:
        return sock.recv(1) == b""
    except (TimeoutError, socket.timeout):
        return False
    except OSError:
        return True


def read_refusal(sock):
    try:
        return not sock.recv(100).startswith(b"HTTP")
    except ConnectionResetError:
        return True


def routes(port, status_port):
    status, headers, body, _ = ask(port, get("/open"))
    tap.ok(status == 200 and json.loads(body)["path"] == "/open", "a GET is answered", (status, body))
    for name, value in (("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"),
                        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
                        ("cross-origin-resource-policy", "same-origin"), ("cache-control", "no-store"),
                        ("content-type", "application/json; charset=utf-8")):
        tap.ok(headers.get(name) == value, "%s is there" % name, headers)
    for path in ("/openx", "/open/", "/ope", "//open", "/open/../open", "/./open", "/%2fopen", "/open%2f", "/OPEN",
                 "/one/", "/one/a/b", "/one%2fa", "/metrics", "/web/", "/web/../web/app.js", "/web/none.js", "/index.html"):
        tap.ok(ask(port, get(path))[0] in (400, 404), "%s is not there" % path)
    for path in ("/up%00load", "/%zz", "/%4", "/%ff", "/a%0ab"):
        tap.ok(ask(port, get(path))[0] == 400, "%s is malformed" % path)
    tap.ok(ask(port, get("/%6fpen?x=%zz"))[0] == 200, "a path is compared decoded")
    tap.ok(json.loads(ask(port, get("/one/a%20b"))[2])["path"] == "/one/a b", "a path may have a parameter")
    tap.ok(ask(port, get("http://a/open"))[0] == 200, "the absolute form is served")
    answer = ask(port, "HEAD /open HTTP/1.1\r\nHost: a\r\n\r\nGET /open HTTP/1.1\r\nHost: a\r\n\r\n", head=True)
    tap.ok(answer[0] == 200 and int(answer[1]["content-length"]) > 10 and answer[3][:8] in (b"", b"HTTP/1.1"),
           "HEAD gets the head and no body", answer)
    status, headers, body, _ = ask(port, "DELETE /open HTTP/1.1\r\nHost: a\r\n\r\n")
    tap.ok(status == 405 and headers["allow"] == "OPTIONS, GET, HEAD, POST, PUT" and "error" in json.loads(body),
           "405 names what is allowed", headers)
    status, headers, _, _ = ask(port, "OPTIONS /open HTTP/1.1\r\nHost: a\r\n\r\n")
    tap.ok(status == 204 and "POST" in headers["allow"] and "access-control-allow-origin" not in headers, "OPTIONS")
    tap.ok(ask(port, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")[0] == 204, "OPTIONS *")
    for more, want in (("", 401), ("Authorization: Bearer good\r\n", 200), ("authorization: bearer  good\r\n", 200),
                       ("Auth-Token: good\r\n", 200), ("Auth-Token: bad\r\n", 401), ("Authorization: Basic good\r\n", 401),
                       ("Authorization: Bearer bad\r\nAuth-Token: good\r\n", 401), ("Authorization:\r\n", 401),
                       ("Authorization: Bearer good\r\nAuthorization: Bearer good\r\n", 401)):
        status, headers, body, _ = ask(port, get("/closed", more))
        tap.ok(status == want and (want == 200 or headers.get("www-authenticate") == "Bearer"),
               "%r gets %d" % (more, want), (status, headers))
    tap.ok(ask(port, get("/healthz"))[0] == 200, "/healthz")
    tap.ok(ask(port, get("/readyz"))[0] == 200, "/readyz")
    status, headers, body, _ = ask(status_port, get("/metrics"))
    tap.ok(status == 200 and b"\nprivateim_http_requests_total " in body, "/metrics on its own listener", body)
    tap.ok(ask(status_port, get("/open"))[0] == 404, "and nothing else there")
    status, headers, body, _ = ask(port, get("/"))
    tap.ok(status == 200 and headers["content-type"] == "text/html; charset=utf-8" and b"/web/app.js" in body, "the page")
    tap.ok("script-src 'self'" in headers["content-security-policy"], "the page has its own policy")
    status, headers, body, _ = ask(port, get("/web/app.js"))
    tap.ok(status == 200 and body == open(os.path.join(WEB, "app.js"), "rb").read(), "a module of the page")
    etag = headers["etag"]
    tap.ok(ask(port, get("/web/app.js", "If-None-Match: %s\r\n" % etag))[0] == 304, "its ETag saves the body")
    tap.ok(ask(port, "POST /web/app.js HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")[0] == 405, "it takes no POST")


def connections(port):
    with connect(port) as sock:
        for _ in range(3):
            sock.sendall(get("/open").encode())
            tap.ok(read_reply(sock)[0] == 200, "the connection is kept")
    with connect(port) as sock:
        sock.sendall((get("/slow") + get("/open") + get("/nothing") + get("/open", "Connection: close\r\n")).encode())
        rest, got = b"", []
        for _ in range(4):
            status, headers, body, rest = read_reply(sock, rest)
            got.append(status)
        tap.ok(got == [200, 200, 404, 200] and headers.get("connection") == "close" and closes(sock),
               "pipelined requests are answered in order, the last one closes", got)
    with connect(port) as sock:
        sock.sendall(("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n\r\n").encode())
        first = read_reply(sock)
        second = read_reply(sock, first[3])
        tap.ok(json.loads(first[2])["body"] == 5 and second[0] == 400 and closes(sock),
               "a bad request behind a good one: the good one is answered first", (first, second))
    with connect(port) as sock:
        for byte in get("/open").encode():
            sock.sendall(bytes([byte]))
        tap.ok(read_reply(sock)[0] == 200, "byte by byte")
    status, headers, _, _ = ask(port, "GET /open HTTP/1.0\r\n\r\n")
    tap.ok(status == 200 and headers["connection"] == "close", "HTTP/1.0 is answered and closed")
    with connect(port) as sock:
        sock.sendall(b"POST /open HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        tap.ok(sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n", "100 Continue")
        sock.sendall(b"abcd")
        tap.ok(json.loads(read_reply(sock)[2])["body"] == 4, "then the body")
    with connect(port) as sock:
        sock.sendall(b"POST /open HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\nExpect: 100-continue\r\n\r\n")
        tap.ok(read_reply(sock)[0] == 413 and closes(sock), "a large body is refused before it is sent")
    with connect(port) as sock:
        sock.sendall(b"POST /open HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 200000)
        tap.ok(read_reply(sock)[0] == 413, "a large body that is sent all the same gets its 413, no reset")
    with connect(port) as sock:
        sock.sendall(get("/slow").encode())
        sock.shutdown(socket.SHUT_WR)
        tap.ok(read_reply(sock)[0] == 200, "a client that half-closed gets its answer")
    with connect(port) as sock:
        sock.sendall(get("/large", "Connection: close\r\n").encode())
        time.sleep(0.3)
        tap.ok(len(read_reply(sock)[2]) == 4000000, "a large reply arrives whole")
    with connect(port) as sock:
        sock.sendall(get("/large").encode() + get("/open").encode())
        first = read_reply(sock)
        tap.ok(len(first[2]) == 4000000 and read_reply(sock, first[3])[0] == 200, "and the next one after it")
    for how in ("fin", "rst"):
        for _ in range(20):
            sock = connect(port)
            sock.sendall(get("/slow").encode())
            if how == "rst":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
    time.sleep(0.5)
    tap.ok(ask(port, get("/open"))[0] == 200, "clients that leave while their request is in hand do no harm")


def timeouts(port):
    with connect(port) as sock:
        tap.ok(closes(sock), "a silent connection is closed")
    with connect(port) as sock:
        sock.settimeout(5)
        sock.sendall(b"GET /open HTTP/1.1\r\n")
        status = None
        try:
            for _ in range(30):
                sock.sendall(b"X: y\r\n")
                time.sleep(0.1)
        except OSError:
            pass
        try:
            status = read_reply(sock)[0]
        except OSError:
            status = 408  # the answer was lost with a reset: it was closed all the same
        tap.ok(status == 408, "a head that trickles in is cut off", status)
    with connect(port) as sock:
        sock.settimeout(30)
        sock.sendall(b"POST /open HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\nx")
        tap.ok(read_reply(sock)[0] == 408, "a body that trickles in is cut off")
    with connect(port) as sock:
        sock.sendall(get("/open").encode())
        read_reply(sock)
        tap.ok(closes(sock), "an idle connection is closed")


def limits(port):
    socks = [connect(port) for _ in range(32)]
    for sock in socks:
        sock.sendall(get("/open").encode())
    tap.ok(all(read_reply(sock)[0] == 200 for sock in socks), "as many connections as one address may have")
    with connect(port) as sock:
        answer = read_reply(sock)
        tap.ok(answer[0] == 503 and "retry-after" in answer[1], "one more is refused with 503", answer)
    for sock in socks:
        sock.close()
    time.sleep(0.2)
    tap.ok(ask(port, get("/open"))[0] == 200, "they come free again")


def upgrades(port, tls):
    what = "TLS" if tls else "plain"
    head = get("/", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n").encode()
    good = 0
    for i in range(50):
        with connect(port, tls) as sock:
            if i % 2:
                sock.sendall(head + b"early%d" % i)
            else:
                sock.sendall(head)
                sock.sendall(b"early%d" % i)
            want = b"HTTP/1.1 101 Switching Protocols\r\n\r\nearly%d" % i
            got = b""
            while len(got) < len(want):
                piece = sock.recv(4096)
                if not piece:
                    break
                got += piece
            sock.sendall(b"more")
            good += got == want and sock.recv(100) == b"more"
    tap.ok(good == 50, "%s: 50 of 50 connections change hands, early bytes kept" % what, good)
    with connect(port, tls) as sock:
        sock.sendall(get("/", "Upgrade: websocket\r\nConnection: Upgrade\r\n").encode())
        answer = read_reply(sock)
        tap.ok(answer[0] == 400 and json.loads(answer[2])["error"] == "there is no key" and closes(sock),
               "%s: a refused upgrade is a JSON error" % what, answer)
    with connect(port, tls) as sock:
        sock.sendall(get("/open").encode() + head)
        first = read_reply(sock)
        rest = first[3]
        while b"\r\n\r\n" not in rest:
            rest += sock.recv(4096)
        tap.ok(first[0] == 200 and rest.startswith(b"HTTP/1.1 101"), "%s: an upgrade behind another request" % what)


def tls_side(build):
    with tempfile.TemporaryDirectory() as where:
        pem = os.path.join(where, "both.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2", "-keyout", pem,
                        "-out", os.path.join(where, "c")], check=True, capture_output=True)
        with open(pem, "a") as out:
            out.write(open(os.path.join(where, "c")).read())
        server = Standin(build, WEB, pem)
        tls = ssl.create_default_context(cafile=os.path.join(where, "c"))
        tls.set_alpn_protocols(["http/1.1"])
        with connect(server.port, tls) as sock:
            tap.ok(sock.version() == "TLSv1.3" and sock.selected_alpn_protocol() == "http/1.1", "TLS 1.3, ALPN")
            for _ in range(3):
                sock.sendall(get("/open").encode())
                answer = read_reply(sock)
                tap.ok(answer[0] == 200 and "max-age" in answer[1]["strict-transport-security"], "a request over TLS")
            sock.sendall((get("/slow") + get("/large") + get("/nothing", "Connection: close\r\n")).encode())
            rest, got = b"", []
            for _ in range(3):
                status, _, body, rest = read_reply(sock, rest)
                got.append((status, len(body) > 1000000))
            tap.ok(got == [(200, False), (200, True), (404, False)], "pipelined over TLS", got)
        tap.ok(ask(server.port, b"GET / HTTP/1.1\r\n\r\n", tls)[0] == 400, "a refusal over TLS")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            old.options |= ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3
        old.set_ciphers("ALL:@SECLEVEL=0")
        try:
            connect(server.port, old)
            tap.ok(False, "TLS 1.1 is refused")
        except OSError:
            tap.ok(True, "TLS 1.1 is refused")
        with connect(server.port) as sock:
            sock.sendall(get("/open").encode())
            tap.ok(read_refusal(sock), "plain HTTP on the TLS port is refused")
        upgrades(server.port, tls)
        for how in ("fin", "rst"):
            for _ in range(20):
                sock = connect(server.port, tls)
                sock.sendall(get("/slow").encode())
                if how == "rst":
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()
        time.sleep(0.5)
        tap.ok(ask(server.port, get("/open"), tls)[0] == 200, "clients that leave over TLS do no harm")
        tap.ok(server.stop() == 0, "the TLS server stops cleanly")


def stopping(build):
    server = Standin(build, WEB)
    idle, busy = connect(server.port), connect(server.port)
    busy.sendall(get("/slow").encode())
    time.sleep(0.1)
    server.process.stdin.close()
    tap.ok(closes(idle), "a stop closes idle connections")
    answer = read_reply(busy)
    tap.ok(answer[0] == 200 and answer[1].get("connection") == "close", "and lets a request finish", answer)
    tap.ok(server.process.wait(10) == 0, "then it ends")


def main():
    build = sys.argv[1]
    server = Standin(build, WEB)
    routes(server.port, server.status_port)
    connections(server.port)
    timeouts(server.port)
    limits(server.port)
    upgrades(server.port, None)
    tap.ok(server.stop() == 0, "the server stops cleanly")
    stopping(build)
    tls_side(build)
    tap.done()


main()
