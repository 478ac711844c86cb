#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""10,000 files of 4 KiB in 20 directories on a real nginx: map them, mirror them, stop the server, read them all."""
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

from server import Server

LARDER = os.environ["LARDER_COMMAND"]
DIRS, FILES, SIZE = 20, 500, 4096


def content(key):
    seed = hashlib.sha256(key.encode()).digest()
    return (seed * (SIZE // len(seed)))[:SIZE]


class Check:
    def __init__(self, state):
        self.cache = os.path.join(state, "cache")

    def run(self, *args, stdin=b"", expect=0):
        done = subprocess.run([LARDER, "--cache", self.cache, *args], input=stdin, capture_output=True, timeout=110)
        if done.returncode != expect:
            sys.exit(f"larder {' '.join(args)}: exit {done.returncode}, not {expect}: {done.stderr.decode()[:500]}")
        return done


def main():
    state = tempfile.mkdtemp(prefix="larder-test-")
    server = Server("nginx")
    keys = [f"d{d:02}/f{f:03}" for d in range(DIRS) for f in range(FILES)]
    for d in range(DIRS):
        os.makedirs(f"{server.www}/tree/d{d:02}")
    for key in keys:
        with open(f"{server.www}/tree/{key}", "wb") as f:
            f.write(content(key))
    whole = b"".join(content(key) for key in keys)
    names = "".join(key + "\n" for key in keys).encode()
    check = Check(state)
    url = f"{server.url}/tree"
    server.start()
    try:
        listed = check.run("map", "keys", url).stdout
        assert sorted(listed.decode().split()) == keys, "map keys"
        assert check.run("map", "get", url, "-", stdin=names).stdout == whole, "map get of all keys"
        check.run("map", "get", url, "d00/none", expect=3)
        check.run("mirror", url)
        again = json.loads(check.run("--json", "mirror", url).stdout)
        assert again["files"] == len(keys) and again["bytes_fetched"] == 0, again
        find = check.run("find", url).stdout
        ls = check.run("ls", "-l", url + "/d07").stdout
    finally:
        server.stop()
    got = check.run("--offline", "map", "get", url, "-", stdin=names).stdout
    assert got == whole, "offline map get of all keys"
    assert check.run("--offline", "find", url).stdout == find, "offline find"
    assert check.run("--offline", "ls", "-l", url + "/d07").stdout == ls, "offline ls"
    check.run("--offline", "map", "get", url, "d00/none", expect=3)
    check.run("--offline", "cat", f"{server.url}/other/key", expect=4)
    failed = check.run("cat", f"{server.url}/other/key", expect=1)
    assert b"larder: " in failed.stderr and b"connect" in failed.stderr.lower(), failed.stderr
    server.remove()
    shutil.rmtree(state)
    print(f"{len(keys)} keys read, mirrored, and read offline")


if __name__ == "__main__":
    main()
