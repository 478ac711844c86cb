# SPDX-License-Identifier: Apache-2.0
"""The rows of few and of large requests: ranges that become one, round trips, a large file in parts."""

import time

from measure import MEGABYTES, REQUESTS, STREAMS, WIRE_MS, Row, Unit, program, run_figure

MADE = Unit("requests", False, lambda figure: figure["requests"])
COPIED = ("curl hands its own receive buffer to /dev/null. Larder copies each byte once more, into a piece that the caller "
          "may keep while the next one is filled.")
IN_ORDER = ("curl drops each range as it comes. Larder gives the file in order: what came too early waits in memory, is copied once "
            "more, and a connection whose piece waits asks for no other; each piece costs a round trip.")
GAP = 4096


class MadeRow(Row):
    """How many requests a command makes, by the server's log, beside how many it says that it should ("bytes")."""

    def __init__(self, what, larder, log):
        super().__init__(what, MADE, larder, larder, "as the gap implies", 1)
        self.log = log

    def measure(self, sizes, scratch):
        before = self.logged()
        implied = run_figure(self.larder(None), False)["bytes"]
        until = time.monotonic() + 10  # for the last lines
        while self.logged() - before < implied and time.monotonic() < until:
            time.sleep(0.1)
        made = self.logged() - before
        self.figures = [(made, made), (implied, implied)]

    def logged(self):
        return self.log.read_bytes().count(b"\n") if self.log.exists() else 0


def ranges(build, url, sizes, gap, prefix=()):
    return lambda some: [*prefix, *program(build, "larder_ranges", url, "ranges", sizes.ranges, 64, gap, sizes.ranged)]


def ranges_row(build, server, sizes, aim, away, prefix=()):
    url = server.http + "/large/"
    return Row(f"cat_ranges of {sizes.ranges:,} × 64 bytes of {sizes.ranged >> 20} MiB, gap 4 KiB, {away}", REQUESTS,
               ranges(build, url, sizes, GAP, prefix), ranges(build, url, sizes, 0, prefix), "one request a range", aim,
               runs=5 if prefix else None)


def curl_ranges(config, url, size, count):
    """One file, dropped: `count` requests at once, each for a part of it."""
    part = -(-size // count)
    config.write_text("next\n".join(f'url = "{url}"\noutput = "/dev/null"\nsilent\nfail\n'
                                    f'range = "{at}-{min(size, at + part) - 1}"\n' for at in range(0, size, part)))
    return ["curl", "--parallel", "--parallel-immediate", "--parallel-max", str(count), "--config", str(config)]


def make_one_rows(build, server, sizes, parts, away, prefix=()):
    """One large file, in one request or as many as Larder or http.parts want, beside curl's one or as many."""
    url, rows = server.http + "/one/", []
    for count in parts:
        options = [f"http.parts={count}"] if count else []
        yard = curl_ranges(server.dir / f"ranges-{count}", url + "00000", sizes.one, count) if count > 1 else [
            "curl", "--silent", "--fail", "--output", "/dev/null", url + "00000"]
        rows.append(Row(", ".join([f"one file of {sizes.one >> 20} MiB, dropped", *options, away]), MEGABYTES,
                        lambda some, o=options: [*prefix, *program(build, "larder_cat", url, 1, 1, "stream", *o)],
                        lambda some, y=yard: [*prefix, *y], f"curl, {count} ranges" if count > 1 else "curl", 0.9, True,
                        {"bytes": sizes.one}, why=IN_ORDER if count > 1 else COPIED, runs=5))
    return rows


def make_near_rows(build, server, sizes):
    away = "over loopback"
    return [
        *make_one_rows(build, server, sizes, (0, 4), away),
        ranges_row(build, server, sizes, 4, away),
        MadeRow(f"cat_ranges of {sizes.ranges:,} × 64 bytes of {sizes.ranged >> 20} MiB, gap 4 KiB",
                ranges(build, server.http + "/logged/", sizes, GAP), server.dir / "logged.log"),
    ]


def make_far_rows(build, server, sizes, near):
    """`near` is where the reader is, WIRE_MS away."""
    small, tls, ca = server.http + "/small/", server.https + "/small/", server.dir / "cert.pem"
    count, away, rows = sizes.wire_files, f"{WIRE_MS} ms away", []

    def cat(url, at_once, *options):
        return lambda some: [*near, *program(build, "larder_cat", url, count, at_once, "drop", *options)]

    def multi(url, at_once, *more):
        return lambda some: [*near, *program(build, "yard_multi", url, count, at_once, "drop", *more)]

    for connections in (16, 64):
        ideal = {"count": count, "seconds": count * WIRE_MS / 1000 / connections}
        what = f"cat of {count:,} × 4 KiB over {connections} connections, {away}"
        ours = cat(small, connections, f"http.max_connections={connections}")
        rows.append(Row(what, REQUESTS, ours, ideal, "connections ÷ round trip", 0.83, runs=5,
                        why="The wire is a process, which has to share the two cores; bare curl (the next row) gets as far."))
        rows.append(Row(what, REQUESTS, ours, multi(small, connections), "bare curl multi", 0.95, runs=5))
    rows.append(Row(f"cat of {count:,} × 4 KiB, {STREAMS} streams of HTTP/2 over TLS, {away}", REQUESTS,
                    cat(tls, STREAMS, f"ca_file={ca}"), multi(tls, STREAMS, ca), "bare curl multi", 0.95))
    return [*rows, *make_one_rows(build, server, sizes, (1, 0, 4, 8), away, near),
            ranges_row(build, server, sizes, 8, away, near)]
