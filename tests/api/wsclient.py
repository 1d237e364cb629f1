"""A small RFC 6455 client on plain sockets, for tests: it can also send what a good client never would.

    ws = WsClient("127.0.0.1", 8080, token=token)       # privateim.v1 with a bearer token
    hello = ws.recv_json()
    ws.send_json({"op": "ping"})
    ws.send_frame(OP_TEXT, b"x", rsv=4, mask=None)       # broken on purpose

Every wait has a deadline (timeout seconds); running out raises TimeoutError. One object belongs to one thread.
"""

import base64
import hashlib
import json
import os
import socket
import ssl
import struct

OP_CONT, OP_TEXT, OP_BINARY, OP_CLOSE, OP_PING, OP_PONG = 0, 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class HandshakeError(Exception):
    """The server answered the upgrade with something other than 101."""

    def __init__(self, status, headers, body):
        super().__init__("upgrade refused with %s: %s" % (status, body[:200]))
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Closed(Exception):
    """The connection is over: code None is an end without a close frame, 1005 a close frame without a code."""

    def __init__(self, code, reason=""):
        super().__init__("closed with %s %s" % (code, reason))
        self.code, self.reason = code, reason


def mask_bytes(data, key):
    """XOR with a repeated 4-byte key, in one big-integer operation: 16 MiB take some tens of milliseconds."""
    n = len(data)
    if n == 0 or key == b"\0\0\0\0":
        return bytes(data)
    pad = (key * (n // 4 + 1))[:n]
    return (int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")).to_bytes(n, "little")


def frame(opcode, payload=b"", fin=True, rsv=0, mask=True, length=None, length_form=None, mask_bit=None):
    """The bytes of one frame.

    mask: True a random key, bytes that key, None no masking. length: the length claimed, if not the real one.
    length_form: 7, 16 or 64 forces the wire form (a longer one than needed is a protocol break).
    """
    n = len(payload) if length is None else length
    form = length_form or (7 if n < 126 else 16 if n < 65536 else 64)
    key = os.urandom(4) if mask is True else mask
    bit = 0x80 if (key is not None if mask_bit is None else mask_bit) else 0
    out = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if form == 7:
        out += bytes([bit | n])
    elif form == 16:
        out += bytes([bit | 126]) + struct.pack(">H", n)
    else:
        out += bytes([bit | 127]) + struct.pack(">Q", n)
    if key is None:
        return out + bytes(payload)
    return out + key + mask_bytes(payload, key)


class WsClient:
    def __init__(self, host, port, path="/", token=None, protocols=("privateim.v1",), headers=(), tls=None,
                 timeout=10.0, early=b"", connect=True):
        """token goes in Authorization. tls: an ssl.SSLContext, or True for one that trusts anything.
        early: bytes sent in the same write as the upgrade request. connect=False leaves the upgrade to upgrade()."""
        self.host, self.port, self.path, self.timeout = host, port, path, timeout
        self.buf = bytearray()
        self.headers, self.subprotocol, self.close_sent = {}, None, False
        self.sock = socket.create_connection((host, port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            if tls is True:
                tls = ssl.create_default_context()
                tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
            self.sock = tls.wrap_socket(self.sock, server_hostname=host)
        if connect:
            try:
                self.upgrade(token, protocols, headers, early)
            except BaseException:
                self.sock.close()
                raise

    # --- opening ---
    def upgrade(self, token=None, protocols=(), headers=(), early=b""):
        key = base64.b64encode(os.urandom(16))
        lines = ["GET %s HTTP/1.1" % self.path, "Host: %s:%d" % (self.host, self.port), "Upgrade: websocket",
                 "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + key.decode()]
        if protocols:
            lines.append("Sec-WebSocket-Protocol: " + ", ".join(protocols))
        if token:
            lines.append("Authorization: Bearer " + token)
        lines += ["%s: %s" % pair for pair in headers]
        self.send_raw("\r\n".join(lines).encode() + b"\r\n\r\n" + early)
        status, self.headers = self.recv_head()
        if status != 101:
            raise HandshakeError(status, self.headers, self.recv_body())
        want = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        if self.headers.get("sec-websocket-accept") != want:
            raise HandshakeError(status, self.headers, b"wrong Sec-WebSocket-Accept")
        self.subprotocol = self.headers.get("sec-websocket-protocol")

    def recv_head(self):
        """Status and headers (names in lower case) of an HTTP answer."""
        while (end := self.buf.find(b"\r\n\r\n")) < 0:
            self.fill()
        lines = bytes(self.buf[:end]).decode("latin-1").split("\r\n")
        del self.buf[:end + 4]
        pairs = (line.partition(":") for line in lines[1:])
        return int(lines[0].split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}

    def recv_body(self):
        want = self.headers.get("content-length")
        try:
            while want is None or len(self.buf) < int(want):
                self.fill()
        except (Closed, TimeoutError):
            pass
        return bytes(self.buf[:int(want)] if want else self.buf)

    # --- sending ---
    def send_raw(self, data, piece=None):
        """piece: write so many bytes at a time, each in its own segment."""
        if piece is None:
            self.sock.sendall(data)
            return
        for i in range(0, len(data), piece):
            self.sock.sendall(data[i:i + piece])

    def send_frame(self, opcode, payload=b"", piece=None, **how):
        self.send_raw(frame(opcode, payload, **how), piece)

    def send_fragments(self, opcode, parts, **how):
        for i, part in enumerate(parts):
            self.send_frame(OP_CONT if i else opcode, part, fin=i == len(parts) - 1, **how)

    def send_text(self, text):
        self.send_frame(OP_TEXT, text.encode() if isinstance(text, str) else text)

    def send_json(self, obj):
        self.send_text(json.dumps(obj, ensure_ascii=False))

    def ping(self, payload=b""):
        self.send_frame(OP_PING, payload)

    def send_close(self, code=1000, reason=""):
        self.close_sent = True
        self.send_frame(OP_CLOSE, b"" if code is None else struct.pack(">H", code) + reason.encode())

    # --- receiving ---
    def fill(self):
        try:
            data = self.sock.recv(262144)
        except (ConnectionError, ssl.SSLError) as exc:
            raise Closed(None, str(exc)) from None
        if not data:
            raise Closed(None, "end of stream")
        self.buf += data

    def take(self, n):
        while len(self.buf) < n:
            self.fill()
        out = bytes(self.buf[:n])
        del self.buf[:n]
        return out

    def recv_frame(self):
        """(fin, rsv, opcode, payload) of the next frame as it is; a masked one is a fault of the server."""
        first, second = self.take(2)
        n = second & 127
        if n == 126:
            n = struct.unpack(">H", self.take(2))[0]
        elif n == 127:
            n = struct.unpack(">Q", self.take(8))[0]
        if second & 0x80:
            raise AssertionError("the server masked a frame")
        return bool(first & 0x80), first >> 4 & 7, first & 15, self.take(n)

    def recv_message(self):
        """(opcode, payload) of the next whole message; answers pings, drops pongs, raises Closed at a close frame."""
        opcode, parts = None, []
        while True:
            fin, _, op, payload = self.recv_frame()
            if op == OP_PING:
                self.send_frame(OP_PONG, payload)
            elif op == OP_CLOSE:
                self.answer_close(payload)
            elif op != OP_PONG:
                opcode = op if opcode is None else opcode
                parts.append(payload)
                if fin:
                    return opcode, b"".join(parts)

    def answer_close(self, payload):
        if not self.close_sent:
            self.close_sent = True
            try:
                self.send_frame(OP_CLOSE, payload[:2])
            except OSError:
                pass
        if len(payload) < 2:
            raise Closed(1005)
        raise Closed(struct.unpack(">H", payload[:2])[0], payload[2:].decode())

    def recv_json(self):
        return json.loads(self.recv_message()[1])

    def recv_until(self, want):
        """The first JSON frame for which want(frame) holds, after those that came before it: (frame, others)."""
        others = []
        while not want(obj := self.recv_json()):
            others.append(obj)
        return obj, others

    def recv_op(self, op):
        return self.recv_until(lambda obj: obj.get("op") == op)[0]

    def expect_close(self):
        """Reads to the close frame and returns its code; None if the stream ended without one."""
        try:
            while True:
                self.recv_message()
        except Closed as exc:
            return exc.code

    def expect_eof(self):
        """True when the server ends the TCP stream before the deadline, whatever it sends first."""
        try:
            while True:
                self.fill()
        except Closed:
            return True
        except TimeoutError:
            return False

    # --- ending ---
    def close(self, code=1000):
        """A polite end: close handshake, then the socket. Never raises."""
        try:
            if not self.close_sent:
                self.send_close(code)
            self.expect_close()
        except (OSError, AssertionError):
            pass
        self.abort()

    def abort(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.abort()
