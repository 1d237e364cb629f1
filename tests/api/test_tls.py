#!/usr/bin/python3
"""test_tls.py BUILD_DIR: HTTP and chat over TLS on one port, with the certificate of an operator."""

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile

import pim
from wsclient import OP_TEXT, WsClient, frame


class TlsServer(pim.Server):
    """As pim.Server, but every request goes over TLS."""

    def __init__(self, build_dir, directory):
        self.cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out",
                        self.cert], check=True, stderr=subprocess.DEVNULL)
        os.chmod(key, 0o600)
        super().__init__(build_dir, args=["--tls-cert", self.cert, "--tls-key", key])
        self.context = ssl.create_default_context(cafile=self.cert)

    def request(self, method, path, body=None, token=None, headers=None):
        send = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            send["Authorization"] = "Bearer " + token
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.context)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {**send, **(headers or {})})
            answer = connection.getresponse()
            self.last_headers = {name.lower(): value for name, value in answer.getheaders()}
            data = answer.read()
            return answer.status, json.loads(data) if data and data[:1] == b"{" else data
        finally:
            connection.close()

    def ws(self, user, **how):
        return WsClient("127.0.0.1", self.port, token=user.token, tls=self.context, **how)


def chat(tap, server):
    ann, bob = server.sign_up("Ann"), server.sign_up("Bob")
    server.befriend(ann, bob)
    a, b = server.ws(ann), server.ws(bob)
    a.recv_op("hello"), b.recv_op("hello")
    contents = ["x" * n for n in (1, 100, 16000, 16400, 40000, 60000)] + ["small %d" % n for n in range(100)]
    for content in contents:
        a.send_json({"type_id": 0, "receiver_id": bob.id, "content_type": 0, "content": content})
    results = [a.recv_op("result") for _ in contents]
    tap.ok({r["code"] for r in results} == {200}, "messages of all sizes are stored", {r["code"] for r in results})
    got = [b.recv_op("message")["content"] for _ in contents]
    tap.ok(got == contents, "and arrive in order", [len(c) for c in got])
    b.send_json({"op": "sync", "conversations": [], "limit": 100})
    answer = b.recv_op("sync")
    tap.ok(sum(len(part["messages"]) for part in answer["conversations"]) > 50, "a large sync answer comes whole")


def refusals(tap, server):
    with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.settimeout(10)
        try:
            answer = sock.recv(1000)
        except ConnectionError:
            answer = b""
        tap.ok(not answer.startswith(b"HTTP/1.1 200"), "plain HTTP gets nothing on that port", answer[:60])
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    try:
        with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
            old.wrap_socket(sock).close()
        refused = False
    except (ssl.SSLError, ConnectionError):
        refused = True
    tap.ok(refused, "TLS 1.1 is refused")
    status, _ = server.request("GET", "/healthz")
    tap.ok(status == 200 and "max-age" in server.last_headers.get("strict-transport-security", ""), "HSTS is sent",
           server.last_headers)


def early_frame(tap, server):
    """The first frame comes in the same TLS record as the handshake."""
    user = server.sign_up("Eve")
    sock = server.context.wrap_socket(socket.create_connection(("127.0.0.1", server.port), 10), server_hostname="127.0.0.1")
    sock.sendall(("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                  "Sec-WebSocket-Protocol: privateim.v1\r\nAuthorization: Bearer %s\r\n\r\n" % user.token).encode() +
                 frame(OP_TEXT, b'{"op":"ping"}'))
    data = b""
    while b'"pong"' not in data:
        more = sock.recv(65536)
        if not more:
            break
        data += more
    tap.ok(data.startswith(b"HTTP/1.1 101") and b'"hello"' in data and b'"pong"' in data,
           "a frame in the record of the handshake is answered", data[:200])
    sock.close()


def main():
    tap = pim.Tap()
    with tempfile.TemporaryDirectory() as directory:
        with TlsServer(os.path.abspath(sys.argv[1]), directory) as server:
            chat(tap, server)
            early_frame(tap, server)
            refusals(tap, server)
    tap.done()


if __name__ == "__main__":
    main()
