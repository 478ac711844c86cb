# SPDX-License-Identifier: Apache-2.0
"""The rows of the cache: what it answers alone, what it costs who reads first, how fast it is filled and opened."""

import os
import subprocess
import sys

from measure import (BIG, INSTRUCTIONS, MEGABYTES, MICROSECONDS, MIDDLE, MILLISECONDS, PROCESSOR, REQUESTS, SMALL, STREAMS, WIRE_MS, Row,
                     fresh, program)

# ---- warm ----


def make_warm_rows(build, server, scratch, sizes):
    """The map's get of what is there, beside LMDB's own: sizes, threads, batches, and instructions."""
    kinds = {SMALL: ("small", sizes.files, sizes.hits), MIDDLE: ("middle", sizes.middle_files, sizes.middle_hits),
             BIG: ("big", sizes.big_files, sizes.big_hits)}
    bare = "bare LMDB, malloc, copy, checksum"

    def hits(size, how="get", threads=1):
        where, files, count = kinds[size]
        return lambda some: program(build, "larder_hits", f"{server.http}/{where}/", files, some or count,
                                    scratch / f"cache-{where}", how, threads)

    def lmdb(size, threads=1):
        where, files, count = kinds[size]
        return lambda some: program(build, "yard_lmdb", scratch / f"lmdb-{where}", files, some or count, size, threads)

    rows = [
        Row("cached map get of 4 KiB", MICROSECONDS, hits(SMALL), lmdb(SMALL), bare, 2),
        Row("cached map get of 64 KiB", MICROSECONDS, hits(MIDDLE), lmdb(MIDDLE), bare, 1.4),
        Row("cached map get of 1 MiB", MICROSECONDS, hits(BIG), lmdb(BIG), bare, 1.2),
        Row(f"cached batch of {sizes.files:,} × 4 KiB, each", MICROSECONDS, hits(SMALL, "batch"), lmdb(SMALL), bare, 2),
        Row("cached map gets of 4 KiB from 2 threads", REQUESTS, hits(SMALL, threads=2), hits(SMALL), "the same from 1 thread",
            1.8, why="A get costs some 12 % more processor time with two threads; the cause is not found."),
        Row("cached map gets of 4 KiB from 2 threads", PROCESSOR, hits(SMALL, threads=2), hits(SMALL), "the same from 1 thread",
            0.9),
        Row("cached map gets of 4 KiB from 2 threads", REQUESTS, hits(SMALL, threads=2), lmdb(SMALL, 2),
            "bare LMDB, from 2 threads", 0.5),
    ]
    counted = [
        Row("cached map get of 4 KiB", INSTRUCTIONS, hits(SMALL), lmdb(SMALL), bare, 2, totals=sizes.counted_hits),
        Row("cached map get of 64 KiB", INSTRUCTIONS, hits(MIDDLE), lmdb(MIDDLE), bare, 1.4, totals=sizes.counted_middle),
    ]
    return rows, counted


def has_fsspec(python):
    return subprocess.run([python, "-c", "import fsspec"], capture_output=True).returncode == 0


def make_fsspec_rows(build, server, scratch, sizes):
    """Its caches over local files, so that nothing of a network is in them. LARDER_BENCH_PYTHON: a Python that has it."""
    python = os.environ.get("LARDER_BENCH_PYTHON", sys.executable)
    if not has_fsspec(python):
        print(f"bench: {python} has no fsspec: its rows are left out (LARDER_BENCH_PYTHON names another one)", file=sys.stderr)
        return []
    script = os.path.join(os.path.dirname(__file__), "yard_fsspec.py")
    files = min(sizes.files, 1000)

    def theirs(kind):
        return lambda some: [python, script, kind, str(server.www / "small"), str(files), str(some or sizes.python_hits),
                             str(scratch / kind)]

    def ours(some):
        return program(build, "larder_hits", f"{server.http}/small/", files, some or sizes.hits, scratch / "cache-fsspec", "get", 1)

    return [Row("cached map get of 4 KiB", MICROSECONDS, ours, theirs(kind), f"fsspec's {kind}", 1)
            for kind in ("blockcache", "filecache")]


# ---- cold ----


def make_cold_rows(build, server, scratch, sizes, prefix=()):
    """What the first read of anything costs, with the cache and without; `prefix`: where the reader is far away."""

    def plain(where, count, sink):
        return lambda some: [*prefix, *program(build, "larder_cat", server.http + where, some or count, STREAMS, sink)]

    def cold(where, count, sink):
        return fresh(scratch, "cold", lambda cache, some: [
            *prefix, *program(build, "larder_cat", "cache::" + server.http + where, some or count, STREAMS, sink,
                              f"cache.dir={cache}")])

    count = sizes.wire_files if prefix else sizes.files
    away = f"{WIRE_MS} ms away" if prefix else "over loopback"
    why = "Every byte is copied and hashed once more, and packed and written by a thread that wants one of the two cores."
    return [Row(f"first read of {what} through the cache, {away}", unit, cold(where, files, sink), plain(where, files, sink),
                "the same without the cache", 0.91 if prefix else aim, why=why)
            for what, unit, where, files, sink, aim in (
                (f"{count:,} × 4 KiB", REQUESTS, "/small/", count, "drop", 1 / 1.5),
                (f"1 × {sizes.large >> 20} MiB", MEGABYTES, "/large/", 1, "stream", 1 / 2.5))]


# ---- filling and opening ----


def make_store_rows(build, scratch, sizes):
    fill = f"{sizes.fill_files} × {sizes.large >> 20} MiB"

    def fill_ours(directory, some):
        return program(build, "larder_fill", sizes.fill_files, sizes.large, directory)

    def fill_theirs(directory, some):
        return program(build, "yard_fill", sizes.fill_files, sizes.large, directory)

    def fill_counted(*options):
        return lambda directory, some: program(build, "larder_fill", some, sizes.counted_size, directory, *options)

    def opens(some):
        return program(build, "larder_opens", sizes.entries, scratch / "cache-entries")

    rows = [
        Row(f"mirror of {fill} from memory, until it is on the disk", MEGABYTES, fresh(scratch, "fill", fill_ours),
            fresh(scratch, "yard-fill", fill_theirs), "bare LMDB, the same blocks and batches, checksums", 0.6),
        Row(f"opening a cache of {sizes.entries:,} entries, and a hit", MILLISECONDS, opens, None, "", 10),
    ]
    counted = [
        Row(f"mirror of what does not compress, each {sizes.counted_size >> 20} MiB", INSTRUCTIONS,
            fresh(scratch, "packed", fill_counted()), fresh(scratch, "plain", fill_counted("compress=0")),
            "the same with cache.compress=0", 1.02, totals=sizes.counted_fills),
    ]
    return rows, counted
