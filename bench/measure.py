# SPDX-License-Identifier: Apache-2.0
"""What the rows of the table are made of: sizes, servers, the wire, figures."""

import itertools
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time

SMALL = 4 << 10
MIDDLE = 64 << 10
BIG = 1 << 20
AT_ONCE = 32  # connections of HTTP/1.1: Larder's default
STREAMS = 64  # requests over HTTP/2: the default of a batch
WIRE_MS = 20
MORTAL = ["setpriv", "--pdeathsig", "TERM"]  # ends with this script, however that ends


class Sizes:
    def __init__(self, quick):
        self.runs = 3 if quick else 11
        self.counts = 1 if quick else 3  # of instructions: what arrives together differs from run to run
        self.files = 300 if quick else 10000
        self.mirror_files = self.files
        self.wire_files = 100 if quick else 2000
        self.large_count = 2 if quick else 8
        self.large = (1 << 20) if quick else (64 << 20)
        self.peak = (8 << 20) if quick else 300 * 1000 * 1000
        self.one = (8 << 20) if quick else (512 << 20)
        self.ranges = 200 if quick else 10000
        self.ranged = (1 << 20) if quick else (16 << 20)
        self.s3_files = 40 if quick else 2000
        self.s3_large_count = 2 if quick else 4
        self.s3_large = (32 << 20) if quick else (256 << 20)
        self.s3_keys = 2000 if quick else 20000
        self.walked_dirs = 10 if quick else 1000  # of as many files
        self.single_files = 100 if quick else 1000
        self.singles = 200 if quick else 5000
        self.hits = 2000 if quick else 300000
        self.middle_files = 20 if quick else 1000
        self.middle_hits = 200 if quick else 20000
        self.big_files = 2 if quick else 64
        self.big_hits = 20 if quick else 2000
        self.python_hits = 100 if quick else 1000
        self.fill_files = 1 if quick else 8
        self.entries = 2000 if quick else 1000000
        self.hops = 500 if quick else 20000
        self.tasks = 5000 if quick else 2000000
        self.counted = (20, 60) if quick else (1000, 4000)
        self.counted_hits = (300, 900) if quick else (10000, 40000)
        self.counted_middle = (30, 90) if quick else (1000, 4000)
        self.counted_fills = (2, 6) if quick else (4, 12)
        self.counted_size = (1 << 20) if quick else (16 << 20)


# ---- the server ----

NGINX = """
{user}
daemon off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    keepalive_timeout 300;
    http2_max_concurrent_streams 128;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {{
        listen {address}:{port};
        listen {address}:{tls_port} ssl http2;
        ssl_certificate {dir}/cert.pem;
        ssl_certificate_key {dir}/key.pem;
        root {www};
        autoindex on;
        location /logged/ {{
            alias {www}/large/;
            access_log {dir}/logged.log;
        }}
    }}
}}
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def make_tree(www, sizes):
    block = os.urandom(1 << 20)
    for where, count, size in (("small", sizes.files, SMALL), ("middle", sizes.middle_files, MIDDLE),
                               ("big", sizes.big_files, BIG)):
        (www / where).mkdir(parents=True)
        for i in range(count):
            start = i * 64 % len(block)
            (www / where / f"{i:05}").write_bytes((block[start:] + block[:start])[:size])
    (www / "large").mkdir()
    (www / "one").mkdir()
    large = [(f"large/{i:05}", sizes.large) for i in range(sizes.large_count)]
    for name, size in [*large, ("large/peak", sizes.peak), ("large/ranges", sizes.ranged), ("one/00000", sizes.one)]:
        with open(www / name, "wb") as file:
            for at in range(0, size, len(block)):
                file.write(block[:size - at])


class Server:
    """Of the tree in `www`; `prefix` runs a command where `address` is."""

    def __init__(self, directory, www, address="127.0.0.1", prefix=()):
        self.dir, self.www, self.address, self.prefix = directory, www, address, list(prefix)
        self.port, self.tls_port = free_port(), free_port()
        self.http = f"http://{address}:{self.port}"
        self.https = f"https://{address}:{self.tls_port}"

    def answers(self):
        asked = [*self.prefix, "curl", "--silent", "--output", "/dev/null", "--max-time", "1", self.http]
        return subprocess.run(asked).returncode == 0

    def __enter__(self):
        self.dir.mkdir(exist_ok=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bench",
                        "-addext", f"subjectAltName=IP:{self.address}", "-keyout", self.dir / "key.pem",
                        "-out", self.dir / "cert.pem"], check=True, capture_output=True)
        config = NGINX.format(dir=self.dir, www=self.www, address=self.address, port=self.port, tls_port=self.tls_port,
                              user="user root;" if os.geteuid() == 0 else "")
        (self.dir / "nginx.conf").write_text(config)
        self.process = subprocess.Popen([*self.prefix, *MORTAL, "nginx", "-p", self.dir, "-e", self.dir / "error.log",
                                         "-c", self.dir / "nginx.conf"])
        for _ in range(100):
            if self.answers():
                return self
            time.sleep(0.05)
        self.__exit__()
        sys.exit("bench: nginx does not answer: " + (self.dir / "error.log").read_text())

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


class Wire:
    """Two network namespaces, WIRE_MS there and back from each other (bench/wire.c); `near` and `far` run commands in
    them. `there` is false where the machine does not give them to us."""

    def __init__(self, build):
        self.program = str(build / "bench" / "wire")
        self.there = os.geteuid() == 0 and os.path.exists("/dev/net/tun")
        if not self.there:
            print("bench: without root and /dev/net/tun there is no wire", file=sys.stderr)

    def __enter__(self):
        if self.there:
            self.process = subprocess.Popen([self.program, str(WIRE_MS)], stdout=subprocess.PIPE, text=True)
            spaces = self.process.stdout.readline().split()
            self.near, self.far = ([self.program, "in", space] for space in spaces)
        return self

    def __exit__(self, *_):
        if self.there:
            self.process.kill()
            self.process.wait()


# ---- figures ----

def run(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise RuntimeError(str(failure)) from failure
    if done.returncode != 0:
        name = pathlib.Path(command[0]).name
        raise RuntimeError(f"{name}: status {done.returncode} {done.stderr.strip()[-500:]}")
    return done


def run_figure(command, whole):
    """One run's figure. `whole`: its seconds are the process's, from start to end; else what the program measured."""
    start = time.monotonic()
    done = run(command)
    seconds = time.monotonic() - start
    figure = json.loads(done.stdout) if done.stdout.startswith("{") else {}
    if whole:
        figure["seconds"] = seconds
    return figure


def count_instructions(command, scratch):
    done = run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={scratch / 'callgrind'}", *command])
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


class Unit:
    """What a figure is given in. A rate grows as things get better, anything else shrinks."""

    def __init__(self, name, rate, of):
        self.name, self.rate, self.of = name, rate, of

    def best(self, values):
        return max(values) if self.rate else min(values)


REQUESTS = Unit("requests/s", True, lambda figure: figure["count"] / figure["seconds"])
PROCESSOR = Unit("requests/s of processor", True, lambda figure: figure["count"] / figure["processor"])
MEGABYTES = Unit("MB/s", True, lambda figure: figure["bytes"] / 1e6 / figure["seconds"])
MICROSECONDS = Unit("µs", False, lambda figure: figure["seconds"] / figure["count"] * 1e6)
NANOSECONDS = Unit("ns", False, lambda figure: figure["seconds"] / figure["count"] * 1e9)
PEAK = Unit("MB", False, lambda figure: figure["bytes"] / (1 << 20))
MILLISECONDS = Unit("ms", False, lambda figure: figure["seconds"] / figure["count"] * 1e3)
INSTRUCTIONS = Unit("instructions", False, None)


class Row:
    """A measured thing. `larder` and `yard` give a command for a count; `aim` is of the ratio, or of the figure itself
    where there is no yardstick. `whole`: what is timed are whole processes, which did `totals`. Instructions are
    counted between the two counts of `totals`. `why`: what is known of the reason when the aim is missed. A yardstick
    may also be a figure, which is computed. `prepare` is called before the first run; there are at most `runs`."""

    def __init__(self, what, unit, larder, yard=None, against="", aim=None, whole=False, totals=None, why="",
                 prepare=None, runs=None):
        self.what, self.unit, self.larder, self.yard = what, unit, larder, yard
        self.against, self.aim, self.whole, self.totals, self.why = against, aim, whole, totals, why
        self.prepare, self.runs = prepare, runs
        self.failure = None

    def measure(self, sizes, scratch):
        commands = [command for command in (self.larder, self.yard) if command]
        if self.prepare:
            self.prepare()
        values = [[] for _ in commands]
        if self.unit is INSTRUCTIONS:
            for command in commands:
                run(command(self.totals[0]))  # fills what stores there are
            for _ in range(sizes.counts):
                for command, into in zip(commands, values):
                    into.append(self.count(command, scratch))
        else:
            for turn in range(-1, min(sizes.runs, self.runs or sizes.runs)):  # the first turn warms up
                for command, into in zip(commands, values):
                    figure = self.figure(command)
                    if turn >= 0:
                        into.append(self.unit.of(figure))
        self.figures = [(statistics.median(all), self.unit.best(all)) for all in values]

    def figure(self, command):
        if isinstance(command, dict):
            return command
        return run_figure(command(None), self.whole) | (self.totals or {})

    def count(self, command, scratch):
        """Of one more request: the program's start and end are in both counts."""
        few, many = self.totals
        return (count_instructions(command(many), scratch) - count_instructions(command(few), scratch)) / (many - few)

    def ratio(self, which):
        return self.figures[0][which] / self.figures[1][which] if self.yard else self.figures[0][which]

    def met(self):
        if self.aim is None or self.failure:
            return None
        return self.ratio(0) >= self.aim if self.unit.rate else self.ratio(0) <= self.aim

    def cells(self):
        if self.failure:
            return [self.what, self.unit.name, "", "", self.against, "", "", "", "failed: " + self.failure]
        given = [f"{number(median)} ({number(best)})" for median, best in self.figures]
        ratio = [f"{self.ratio(which):.2f}" for which in (0, 1)] if self.yard else ["", ""]
        aim = "" if self.aim is None else ("≥ " if self.unit.rate else "≤ ") + f"{self.aim:g}"
        return [self.what, self.unit.name, given[0], given[1] if self.yard else "", self.against, ratio[0],
                ratio[1], aim, {None: "", True: "met", False: "**missed**"}[self.met()]]


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def program(build, name, *arguments):
    return [str(build / "bench" / name), *map(str, arguments)]


def fresh(scratch, name, command, keep=False):
    """A command that gets a directory of its own each time; the one before last is removed, so that no row pays for it.

    `keep`: it stays. ext4 gives no inode again that was freed within some minutes, and looks long for another.
    """
    turns = itertools.count()

    def make(some):
        turn = next(turns)
        if not keep:
            shutil.rmtree(scratch / f"{name}-{turn - 2}", ignore_errors=True)
        return command(scratch / f"{name}-{turn}", some)
    return make
