#!/usr/bin/python3
"""test_answers.py BUILD_DIR: what is true of every answer: headers (security headers on errors, files, refused upgrades
and over TLS too), bad JSON, and nothing private in the log after a whole run.
"""

import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time

from seclib import CHEAP, Answer, HandshakeError, WsClient, ask, friends, header_faults, join, new_group, pair, pim

HEAD = b"Host: a\r\nConnection: close\r\n"
RAW = [  # answers that no handler makes
    ("no HTTP at all", b"\x16\x03\x01\x02\r\n\r\n", 400),
    ("two lengths", b"POST /auth/user HTTP/1.1\r\n" + HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    ("no host", b"GET / HTTP/1.1\r\n\r\n", 400),
    ("a long head", b"GET / HTTP/1.1\r\n" + HEAD + b"X: " + b"a" * 20000 + b"\r\n\r\n", 431),
    ("a long path", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n", 414),
    ("a large body", b"POST /auth/user HTTP/1.1\r\n" + HEAD + b"Content-Length: 99999999\r\n\r\n", 413),
    ("a chunked body", b"POST /auth/user HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n", 411),
    ("a new method", b"BREW / HTTP/1.1\r\n" + HEAD + b"\r\n", 501),
    ("HTTP/3.0", b"GET / HTTP/3.0\r\n" + HEAD + b"\r\n", 505),
    ("an expectation", b"POST /auth/user HTTP/1.1\r\n" + HEAD + b"Expect: tea\r\nContent-Length: 0\r\n\r\n", 417),
]


def raw_answer(port, data):
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(data)
        got = b""
        try:
            while piece := sock.recv(65536):
                got += piece
        except OSError:
            pass
    head, _, body = got.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return Answer(int(lines[0].split()[1]), headers, body) if lines[0].startswith("HTTP/1.") else Answer(0, {}, got)


def checked(tap, answer, what, status=None):
    faults = header_faults(answer)
    tap.ok((status is None or answer.status == status) and faults == [], what + ": headers",
           "%s %s\n%s" % (answer.status, answer.body[:200], "\n".join(faults)))


def headers(tap, server):
    user, port = server.sign_up("Ann"), server.port
    for what, data, status in RAW:
        checked(tap, raw_answer(port, data), what, status)
    page = ask(port, "GET", "/")
    checked(tap, page, "the page", 200)
    files = re.findall(r'(?:src|href)="/?(web/[^"]+)"', page.body.decode())
    tap.ok(len(files) >= 2, "the page has files", page.body[:500])
    for name in files:
        answer = ask(port, "GET", "/" + name)
        checked(tap, answer, "/" + name, 200)
        checked(tap, ask(port, "GET", "/" + name, headers={"If-None-Match": answer.headers.get("etag", "")}), name + " known", 304)
        checked(tap, ask(port, "HEAD", "/" + name), "HEAD " + name, 200)
    for what, answer, status in (
            ("nothing there", ask(port, "GET", "/nothing"), 404), ("out of the web folder", ask(port, "GET", "/web/../etc/passwd"), 404),
            ("out of it, encoded", ask(port, "GET", "/web/%2e%2e/api.js"), 404), ("a wrong method", ask(port, "PUT", "/healthz", {}), 405),
            ("OPTIONS", ask(port, "OPTIONS", "/info/profile"), 204), ("no token", ask(port, "GET", "/info/profile"), 401),
            ("no JSON", ask(port, "POST", "/auth/user", raw=b"{"), 400),
            ("another type", ask(port, "POST", "/auth/user", raw=b"a", headers={"Content-Type": "text/plain"}), 415),
            ("another page's preflight", ask(port, "OPTIONS", "/info/profile", headers={
                "Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}), 204),
            ("HEAD", ask(port, "HEAD", "/info/profile", token=user.token), 200)):
        checked(tap, answer, what, status)
    for what, how, status in (("an upgrade without token", {}, 401), ("an upgrade with a bad token", {"token": "x"}, 401),
                              ("an upgrade from another page", {"token": user.token, "headers": [("Origin", "https://evil.example")]}, 403)):
        try:
            WsClient("127.0.0.1", port, **how).abort()
            tap.ok(False, what + " is refused")
        except HandshakeError as refused:
            checked(tap, Answer(refused.status, refused.headers, refused.body), what, status)


def bad_json(tap, server):
    user = server.sign_up("Ben")
    whole = {"name": "Cat", "email": "cat@example.org", "password": pim.PASSWORD, "confirm_password": pim.PASSWORD}
    text = json.dumps(whole)
    for what, raw in (
            ("a key twice", text[:-1] + ',"name":"Dan"}'), ("a key twice, escaped", text[:-1] + ',"n\\u0061me":"Dan"}'),
            ("NUL in a text", text.replace("Cat", "C\\u0000t")), ("a raw NUL", text.replace("Cat", "C\0t")),
            ("16 levels and more", text[:-1] + ',"x":' + "[" * 17 + "]" * 17 + "}"), ("100,000 levels", "[" * 60000),
            ("half a surrogate", text.replace("Cat", "\\ud800")), ("a number beyond 64 bits", '{"dst_id":99999999999999999999,"note":""}'),
            ("infinity", '{"dst_id":1e999,"note":""}'), ("a comment", "/**/" + text), ("a second value", text + "{}"), ("NaN", '{"dst_id":NaN}')):
        for method, path in (("POST", "/auth/user"), ("POST", "/relation/friend"), ("PUT", "/info/profile"), ("POST", "/group_chat/instance")):
            answer = ask(server.port, method, path, raw=raw.encode(), token=user.token)
            if not tap.ok(answer.status == 400, "%s to %s %s: 400" % (what, method, path), (answer.status, answer.body[:200])):
                break
    answer = ask(server.port, "POST", "/auth/user", raw=b"[" * 70000)
    tap.ok(answer.status == 413, "a body over 64 KiB: 413", answer.status)
    tap.ok(ask(server.port, "POST", "/auth/user", whole).status == 201, "the name was not taken by any of these")


def get_changes_nothing(tap, server):
    user = server.sign_up("Dan")
    for path in ("/auth/session", "/relation/friend", "/group_chat/user", "/info/password"):
        tap.ok(ask(server.port, "GET", path, token=user.token).status == 405, "GET %s does nothing" % path)


def whole_run(server):
    """Every kind of secret goes through the server. @return {what: text that no log may have}"""
    ann, ben = server.sign_up("Anneliese", "secret.address@private.example"), server.sign_up("Ben", "ben.private@private.example")
    wrong = "a wrong password 77"
    secrets = {"an address": "secret.address", "another": "private.example", "a password": pim.PASSWORD, "a wrong one": wrong,
               "a token": ann.token.split(".")[2], "a token's claims": ann.token.split(".")[1], "a text": "the rain in Spain",
               "a group text": "falls mainly", "a user's name": "Anneliese"}
    friends(ann, ben)
    group = new_group(ann, "Meadow")
    join(ben, group)
    server.request("POST", "/auth/profile", {"email": ann.email, "password": wrong})
    server.request("POST", "/auth/profile", {"email": "nobody@private.example", "password": wrong})
    server.request("GET", "/search/users?kw=secret.address@private.example", token=ben.token)
    server.request("GET", "/messages?conversation=%s&x=%s" % (pair(ann, ben), ann.token), token=ben.token)
    server.request("GET", "/info/profile", token=ann.token + "x")
    server.request("PUT", "/info/password", {"old_password": wrong, "password": wrong, "confirm_password": wrong}, token=ann.token)
    with ann.ws() as ws:
        ws.recv_op("hello")
        for body in ({"type_id": 0, "receiver_id": ben.id, "content_type": 0, "content": "the rain in Spain"},
                     {"type_id": 1, "receiver_id": group, "content_type": 0, "content": "falls mainly on the plain"},
                     {"type_id": 9, "content": "the rain in Spain"}, {"type_id": 0, "receiver_id": ben.id, "content": 5}):
            ws.send_json(body)
            ws.recv_op("result")
        ws.send_text('{"broken": "the rain in Spain')
        ws.recv_op("result")
    with WsClient("127.0.0.1", server.port, "/?authToken=" + ben.token, protocols=()) as old:
        old.recv_json()
        old.send_frame(3, b"the rain in Spain")
        old.expect_close()
    ask(server.port, "GET", "/%0aforged%20line")
    raw_answer(server.port, b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + ann.token.encode() + b"\r\nBad Header: falls mainly\r\n\r\n")
    server.request("PUT", "/auth/session", token=ann.token)
    server.request("DELETE", "/auth/session", token=ann.token)
    return secrets


def log_is_clean(tap, server):
    secrets = whole_run(server)
    time.sleep(0.3)
    with open(server.log_path, errors="replace") as file:
        log = file.read()
    tap.ok(len(log.splitlines()) > 2, "there is a log", log)
    for what, text in secrets.items():
        tap.ok(text not in log, "the log has not %s" % what, [line for line in log.splitlines() if text in line][:3])
    tap.ok(not re.search(r"^\W*forged line", log, re.M), "nobody writes lines of his own")


def over_tls(tap, build):
    with tempfile.TemporaryDirectory() as folder:
        cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                        "-out", cert, "-days", "2", "-subj", "/CN=localhost"], check=True, capture_output=True)
        os.chmod(key, 0o600)
        with pim.Server(build, args=["--set", "server.tls_cert=" + cert, "--set", "server.tls_key=" + key]) as server:
            trusting = ssl.create_default_context()
            trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
            for path, status in (("/", 200), ("/info/profile", 401), ("/nothing", 404)):
                connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=trusting, timeout=10)
                connection.request("GET", path)
                got = connection.getresponse()
                answer = Answer(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())
                connection.close()
                faults = header_faults(answer, tls=True)
                tap.ok(answer.status == status and faults == [], "over TLS: " + path, (answer.status, faults))
            plain = raw_answer(server.port, b"POST /auth/profile HTTP/1.1\r\n" + HEAD + b"Content-Length: 0\r\n\r\n")
            tap.ok(plain.status in (0, 400), "a plain request to the TLS port is no request", plain.status)
            old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
            old.set_ciphers("ALL:@SECLEVEL=0")
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
            try:
                old.wrap_socket(socket.create_connection(("127.0.0.1", server.port), 10)).close()
                tap.ok(False, "TLS 1.1 is refused")
            except (ssl.SSLError, ConnectionError):
                tap.ok(True, "TLS 1.1 is refused")


def status_listener(tap, build):
    port = pim.free_port()
    with pim.Server(build, args=["--set", "server.metrics_listen=127.0.0.1:%d" % port]):
        for path, status in (("/metrics", 200), ("/healthz", 200), ("/", 404), ("/info/profile", 404), ("/auth/user", 404)):
            checked(tap, ask(port, "GET", path), "status listener " + path, status)


def main():
    tap = pim.Tap()
    with pim.Server(sys.argv[1], args=CHEAP) as server:
        headers(tap, server)
        bad_json(tap, server)
        get_changes_nothing(tap, server)
        log_is_clean(tap, server)
    over_tls(tap, sys.argv[1])
    status_listener(tap, sys.argv[1])
    tap.done()


main()
