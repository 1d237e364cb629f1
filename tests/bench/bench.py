#!/usr/bin/python3
"""bench.py BUILD_DIR [--quick] [--json FILE]: what the server does beside the raw limit of the same machine in the same minutes.

Sends: load.c against the server and against bare.c (one epoll thread, one SQLite thread, no rules), in turns, the median of the
rounds of each; group: against bare.c's fan-out (no storage, a writev a connection and turn). A server's CPU seconds are those of
its process. The ratio is what counts: absolute numbers move with whatever else the machine does.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_kib(pid):
    with open("/proc/%d/status" % pid) as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def wait_for_port(port, process, path=None):
    """Seconds until it answers: a connection, or an HTTP answer at path."""
    begin = time.monotonic()
    while time.monotonic() - begin < 60:
        if process.poll() is not None:
            raise RuntimeError("it ended with %d" % process.returncode)
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as sock:
                if path:
                    sock.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path.encode())
                    if not sock.recv(100).startswith(b"HTTP/1.1 200"):
                        raise OSError("no answer")
                return time.monotonic() - begin
        except OSError:
            time.sleep(0.001)
    raise RuntimeError("nothing listens")


class Bench:
    def __init__(self, build, quick):
        self.build, self.quick = os.path.abspath(build), quick
        self.seconds, self.rounds = (2, 1) if quick else (4, 3)
        self.dir = tempfile.mkdtemp(prefix="pim-bench-")
        self.results = {}

    def tool(self, name):
        return os.path.join(self.build, "tests/bench", name)

    def seed(self, *args, data=None):
        data = data or tempfile.mkdtemp(dir=self.dir)
        tokens = data + ".tokens"
        with open(tokens, "ab") as out:
            subprocess.run([self.tool("seed"), self.build, data, *map(str, args)], check=True, stdout=out)
        return data, tokens

    def server(self, data, *args):
        port = free_port()
        command = [os.path.join(self.build, "privateimd"), "--listen", "127.0.0.1:%d" % port, "--data", data, "--log-level",
                   "warning", "--set", "server.metrics_listen=", "--set", "ws.messages_per_s=0", *args]
        return Running(command, port)

    def bare(self, *args):
        port = free_port()
        return Running([self.tool("bare"), str(port), *args], port)

    def load(self, running, mode, tokens, *args, env=None):
        """The client's report, and the server's CPU seconds while it measured."""
        process = subprocess.Popen([self.tool("load"), str(running.port), mode, tokens, *map(str, args)],
                                   stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})
        if process.stdout.readline() != "measuring\n":
            raise RuntimeError("load failed: %s" % process.wait())
        begin = cpu_seconds(running.process.pid)
        report = json.loads(process.stdout.readline())
        report["cpu_s"] = cpu_seconds(running.process.pid) - begin
        process.wait()
        if report["bad"]:
            raise RuntimeError("%d messages were refused" % report["bad"])
        return report

    def bare_tokens(self, n):
        path = os.path.join(self.dir, "bare%d.tokens" % n)
        with open(path, "w") as file:
            for i in range(n):
                file.write("%d %d\n" % (1000 + i, 1000 + i))
        return path

    def rounds_of(self, *runs):
        """Each run in turn, several times: the medians."""
        reports = [[] for _ in runs]
        for _ in range(self.rounds):
            for reports_of_one, run in zip(reports, runs):
                reports_of_one.append(run())
        return [{key: statistics.median(r[key] for r in of_one) for key in of_one[0]} for of_one in reports]

    def pair(self, name, mode, window, ours, tokens, bare, bare_tokens, *args):
        """One line of the table: the server beside the bare program."""
        mine, raw = self.rounds_of(lambda: self.load(ours, mode, tokens, window, self.seconds, *args),
                                   lambda: self.load(bare, mode, bare_tokens, window, self.seconds, *args))
        self.results[name] = {"server": mine, "bare": raw}
        return mine, raw

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


class Running:
    def __init__(self, command, port):
        self.port = port
        self.process = subprocess.Popen(command)

    def __enter__(self):
        self.start_s = wait_for_port(self.port, self.process)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def sends(bench, title, data, tokens):
    print("\n### %s\n" % title)
    row("in flight", "acked/s", "p50 ms", "p99 ms", "bare acked/s", "p50", "p99", "ratio")
    row(*["---"] * 8)
    bare_db = os.path.join(tempfile.mkdtemp(dir=bench.dir), "bare.db")
    lone = os.path.join(bench.dir, "lone.tokens")
    with open(tokens) as file, open(lone, "w") as out:
        out.writelines(file.readlines()[:2])
    with bench.server(data) as ours, bench.bare("send", bare_db) as bare:
        for window in 1, 8, 64:
            mine, raw = bench.pair("%s, %d in flight" % (title, window), "pairs", window, ours, tokens, bare,
                                   bench.bare_tokens(100))
            row("50 x %d" % window, "%.0f" % mine["acked_per_s"], "%.2f" % mine["p50_ms"], "%.2f" % mine["p99_ms"],
                "%.0f" % raw["acked_per_s"], "%.2f" % raw["p50_ms"], "%.2f" % raw["p99_ms"],
                "%.2f" % (mine["acked_per_s"] / raw["acked_per_s"]))
        mine, raw = bench.pair("%s, lone" % title, "lone", 1, ours, lone, bare, bench.bare_tokens(2))
        row("lone sender", "%.0f" % mine["acked_per_s"], "%.2f" % mine["p50_ms"], "%.2f" % mine["p99_ms"],
            "%.0f" % raw["acked_per_s"], "%.2f" % raw["p50_ms"], "%.2f" % raw["p99_ms"],
            "p50 x %.2f" % (mine["p50_ms"] / raw["p50_ms"]))


def fan_out(bench):
    print("\n### A group of 1,000 online members, one sender\n")
    row("in flight", "deliveries/s", "per server CPU-second", "p99 ms", "bare deliveries/s", "per CPU-second", "ratio per CPU-second")
    row(*["---"] * 7)
    data, tokens = bench.seed("group", 1001, 77)
    with bench.server(data) as ours, bench.bare("fanout") as bare:
        for window in 1, 8, 64:
            mine, raw = bench.pair("group, %d in flight" % window, "group", window, ours, tokens, bare,
                                   bench.bare_tokens(1001), 77)
            mine_cpu, raw_cpu = mine["rows"] / mine["cpu_s"], raw["rows"] / raw["cpu_s"]
            row(window, "%.0f" % mine["rows_per_s"], "%.0f" % mine_cpu, "%.1f" % mine["p99_ms"], "%.0f" % raw["rows_per_s"],
                "%.0f" % raw_cpu, "%.2f" % (mine_cpu / raw_cpu))


def certificate(directory):
    cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-keyout", key, "-out", cert], check=True, stderr=subprocess.DEVNULL)
    os.chmod(key, 0o600)
    return cert, key


def idle(bench, connections):
    print("\n### Idle connections with a token\n")
    row("", "connections", "connected in s", "RSS before KiB", "after KiB", "bytes a connection")
    row(*["---"] * 6)
    cert, key = certificate(bench.dir)
    for name, args, env in ("plain", (), {}), ("TLS", ("--tls-cert", cert, "--tls-key", key), {"PIM_LOAD_TLS": "1"}):
        data, tokens = bench.seed("users", connections)
        with bench.server(data, *args) as ours:
            time.sleep(0.5)
            before = rss_kib(ours.process.pid)
            client = subprocess.Popen([bench.tool("load"), str(ours.port), "idle", tokens], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True, env={**os.environ, **env})
            report = json.loads(client.stdout.readline())
            time.sleep(1)
            after = rss_kib(ours.process.pid)
            client.communicate("")
        each = (after - before) * 1024 / connections
        bench.results["idle " + name] = {**report, "before_kib": before, "after_kib": after, "bytes_each": each}
        row(name, connections, "%.2f" % report["connect_s"], before, after, "%.0f" % each)


def start(bench):
    times, rss = [], 0
    data, _ = bench.seed("users", 2)
    for _ in range(5):
        port = free_port()
        begin = time.monotonic()
        process = subprocess.Popen([os.path.join(bench.build, "privateimd"), "--listen", "127.0.0.1:%d" % port, "--data", data,
                                    "--log-level", "warning", "--set", "server.metrics_listen="])
        wait_for_port(port, process, "/healthz")
        times.append(time.monotonic() - begin)
        time.sleep(0.3)
        rss = rss_kib(process.pid)
        process.terminate()
        process.wait()
    bench.results["start"] = {"median_ms": statistics.median(times) * 1000, "rss_kib": rss}
    print("\nStart to first answer: %.0f ms (median of 5). RSS when idle: %.1f MB.\n" %
          (statistics.median(times) * 1000, rss / 1024))


def get_cost(bench):
    report = json.loads(subprocess.run([bench.tool("get"), bench.build, tempfile.mkdtemp(dir=bench.dir)], check=True,
                                       capture_output=True, text=True).stdout)
    bench.results["get"] = report
    print("A get by key through the ABI: %.2f us; a hand-written prepared statement: %.2f us; ratio %.2f.\n" %
          (report["abi_us"], report["bare_us"], report["abi_us"] / report["bare_us"]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--quick", action="store_true", help="short rounds, 100,000 stored messages, 1,000 connections")
    parser.add_argument("--json", help="also write everything that was measured to this file")
    options = parser.parse_args()
    bench = Bench(options.build, options.quick)
    try:
        data, tokens = bench.seed("users", 100)
        sends(bench, "Durable 1:1 sends", data, tokens)
        convs, each = (10000, 10) if options.quick else (100000, 40)
        data, tokens = bench.seed("users", 100)
        bench.seed("messages", convs, each, data=data)
        sends(bench, "The same with %s messages of %s conversations stored" % (format(convs * each, ","), format(convs, ",")),
              data, tokens)
        fan_out(bench)
        idle(bench, 1000 if options.quick else 9900)
        start(bench)
        get_cost(bench)
    finally:
        bench.close()
    if options.json:
        with open(options.json, "w") as file:
            json.dump(bench.results, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
