#!/usr/bin/env python3
"""Limits that loopback is exempt from by default: sign-ups and failed tries by address; guesses sent at once.

    test_http_limits.py BUILD_DIR
"""

import concurrent.futures
import http.client
import json
import sys

import pim

tap = pim.Tap()


def post(server, path, body):
    """(status, Retry-After)"""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("Retry-After")
    finally:
        connection.close()


def sign_in(server, email, password):
    return post(server, "/auth/profile", {"email": email, "password": password})


def by_address(build):
    with pim.Server(build, ["--set", "http.limit_loopback=yes", "--set", "auth.sign_ups_per_hour_per_address=3"]) as server:
        users = [server.sign_up("Ann") for _ in range(3)]
        got = post(server, "/auth/user", {"name": "Ann", "email": "x@example.org", "password": pim.PASSWORD,
                                          "confirm_password": pim.PASSWORD})
        tap.ok(got[0] == 429 and 3000 < int(got[1]) <= 3600, "a fourth sign-up in an hour waits", got)
        got = [sign_in(server, "nobody%d@example.org" % i, "wrong one") for i in range(6)]
        tap.ok([status for status, _ in got] == [401] * 5 + [429] and int(got[5][1]) >= 1,
               "five failed tries on any account, then the address waits", got)
        got = sign_in(server, users[0].email, pim.PASSWORD)
        tap.ok(got[0] == 429, "also with the right password", got)
        tap.ok(users[0].request("GET", "/info/profile")[0] == 200, "who is signed in is not disturbed")


def at_once(build):
    with pim.Server(build) as server:
        user = server.sign_up("Ben")
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            got = list(pool.map(lambda i: sign_in(server, user.email, "wrong %d wrong" % i)[0], range(32)))
        tap.ok(set(got) <= {401, 429} and got.count(401) <= 5 + 4, "32 guesses at once: few are looked at", sorted(got))
        got = [sign_in(server, user.email, "wrong one")[0] for _ in range(6)]
        tap.ok(got[-1] == 429, "then the account waits", got)


def kept_over_a_restart(build):
    with pim.Server(build, ["--set", "auth.sign_in_free_tries=1000", "--set", "auth.sign_in_hard_stop=10"]) as server:
        got = [sign_in(server, "nobody@example.org", "wrong one") for _ in range(11)]
        tap.ok([status for status, _ in got] == [401] * 10 + [429] and int(got[10][1]) > 80000, "a hard stop lasts a day", got)
        server.kill9()
        server.start()
        got = sign_in(server, "nobody@example.org", "wrong one")
        tap.ok(got[0] == 429 and int(got[1]) > 80000, "failed tries are counted in the records", got)
        tap.ok(sign_in(server, "somebody@example.org", "wrong one")[0] == 401, "other accounts do not wait")


def sessions_are_bounded(build):
    with pim.Server(build) as server:
        user = server.sign_up("Cat")
        tokens = [user.token]
        for _ in range(50):
            status, answer = server.request("POST", "/auth/profile", {"email": user.email, "password": pim.PASSWORD})
            assert status == 200, (status, answer)
            tokens.append(answer["auth_token"])
        tap.ok(server.request("GET", "/info/profile", token=tokens[0])[0] == 401, "the 51st session ends the oldest")
        status, answer = server.request("GET", "/auth/sessions", token=tokens[-1])
        tap.ok(status == 200 and len(answer["sessions"]) == 50, "fifty are left", len(answer.get("sessions", [])))


def main():
    build = sys.argv[1]
    by_address(build)
    at_once(build)
    kept_over_a_restart(build)
    sessions_are_bounded(build)
    tap.done()


main()
