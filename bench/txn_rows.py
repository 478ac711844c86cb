# SPDX-License-Identifier: Apache-2.0
"""The rows of transactions: what it costs that many files appear together and survive a power cut."""

import itertools

from measure import MICROSECONDS, Row, fresh, program

FILES, SIZE = 1000, 4096


def make_txn_rows(build, scratch):
    def ours(where, some):
        return program(build, "larder_commit", some or FILES, SIZE, where)

    def theirs(how):
        return lambda where, some: program(build, "yard_files", some or FILES, SIZE, where, how)

    what = f"commit of {FILES:,} × 4 KiB local files, each"
    return [
        Row(what, MICROSECONDS, fresh(scratch, "commit", ours, keep=True), fresh(scratch, "fsync", theirs("fsync"), keep=True),
            "the same with an fsync each, 32 threads", 1),
        Row(what, MICROSECONDS, fresh(scratch, "commit-2", ours, keep=True), fresh(scratch, "syncfs", theirs("syncfs"), keep=True),
            "the same with one syncfs, 32 threads", 4,
            why="The bytes are written twice, to the journal and to their files, and synced three times."),
    ]


def make_s3_rows(build, scratch, gateway):
    turns = itertools.count()

    def put(*how):
        return lambda where, some: gateway.led(*program(build, "larder_commit", some or FILES, SIZE, where,
                                                        f"s3://bench/commit-{next(turns)}", *how))

    if not gateway.there:
        return []
    return [Row(f"commit of {FILES:,} × 4 KiB objects of S3, each", MICROSECONDS, fresh(scratch, "s3-commit", put()),
                fresh(scratch, "s3-plain", put("plain")), "plain PUTs of the same", 1.2, prepare=gateway.start)]
