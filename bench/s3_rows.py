# SPDX-License-Identifier: Apache-2.0
"""The rows of object stores: the command beside rclone, both whole processes, on one gateway of Ceph's."""

import itertools
import os
import pathlib
import shutil
import subprocess
import sys
import time

from measure import AT_ONCE, MEGABYTES, MORTAL, PEAK, REQUESTS, Row, free_port

KEYS = ("testkey", "testsecret")
SMALL = 16 << 10
PEAK_MAX = 128  # MB: three parts of 8 MiB for each of four files, and the program

# The most memory that a command had, as a figure.
PEAK_OF = ("import json, resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
           "print(json.dumps({'bytes': resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024}))")


def make_files(directory, count, size):
    directory.mkdir()
    block = os.urandom(1 << 20)
    for i in range(count):
        with open(directory / f"{i:05}", "wb") as file:
            for at in range(0, size, len(block)):
                start = i * 64 % len(block)
                file.write((block[start:] + block[:start])[:size - at])


class Gateway:
    """Started, and filled, when a row needs it first. `there` is false where something is not installed."""

    def __init__(self, build, scratch, sizes):
        self.build, self.scratch, self.sizes = build, scratch, sizes
        self.dir, self.process, self.filled = scratch / "gateway", None, False
        self.turns = itertools.count()
        self.there = bool(shutil.which("radosgw") and shutil.which("rclone"))
        if not self.there:
            print("bench: without radosgw and rclone there are no rows of object stores", file=sys.stderr)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.stdin.close()
            self.process.wait()

    def start(self):
        if self.process:
            return
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        script = pathlib.Path(__file__).parents[1] / "tests/servers/rgw-up.sh"
        self.process = subprocess.Popen([*MORTAL, script, self.dir, str(port), str(free_port())], stdin=subprocess.PIPE,
                                        start_new_session=True)
        while not (self.dir / "up").exists():
            if self.process.poll() is not None:
                raise RuntimeError("the gateway does not start")
            time.sleep(0.05)
        subprocess.run(self.larder("mkdir", "s3://bench"), check=True)

    def prepare(self):
        self.start()
        if self.filled:
            return
        self.filled = True
        sizes, scratch = self.sizes, self.scratch
        make_files(scratch / "s3-small", sizes.s3_files, SMALL)
        make_files(scratch / "s3-large", sizes.s3_large_count, sizes.s3_large)
        for i in range(sizes.s3_keys):
            directory = scratch / "s3-keys" / f"{i // 1000:03}"
            directory.mkdir(parents=True, exist_ok=True)
            (directory / f"{i:06}").touch()
        for name in ("small", "large", "keys"):
            subprocess.run(self.larder("put", "-r", f"{scratch}/s3-{name}/", f"s3://bench/{name}/"), check=True)

    def led(self, *command):
        """With the environment that leads to it."""
        return ["env", f"AWS_ENDPOINT_URL_S3={self.url}", f"AWS_ACCESS_KEY_ID={KEYS[0]}",
                f"AWS_SECRET_ACCESS_KEY={KEYS[1]}", *command]

    def larder(self, *arguments):
        return self.led(str(self.build / "tools" / "larder"), "-q", *arguments)

    def rclone(self, *arguments):
        return ["env", "-u", "AWS_CA_BUNDLE",  # with which rclone 1.60 speaks no S3
                "rclone", *arguments, "--config=", "--s3-provider=Ceph", f"--s3-endpoint={self.url}",
                f"--s3-access-key-id={KEYS[0]}", f"--s3-secret-access-key={KEYS[1]}", f"--transfers={AT_ONCE}",
                f"--checkers={AT_ONCE}"]

    def forget(self):
        """It keeps all in memory, and what was removed until it is told to let it go."""
        subprocess.run(["radosgw-admin", "-n", "client.rgw", "gc", "process", "--include-all"], check=True,
                       capture_output=True, env=os.environ | {"CEPH_CONF": str(self.dir / "ceph.conf")})

    def up(self, name, command):
        """Uploads to a new place each time; what was uploaded before is removed first."""
        def make(some):
            turn = next(self.turns)
            subprocess.run(self.larder("rm", "-r", f"s3://bench/up-{turn - 1}"), capture_output=True)
            self.forget()
            return command(f"{self.scratch}/s3-{name}", f"bench/up-{turn}")
        return make

    def down(self, name, command):
        def make(some):
            shutil.rmtree(self.scratch / "s3-down", ignore_errors=True)
            return command(f"bench/{name}", f"{self.scratch}/s3-down")
        return make

    def larder_up(self, source, target):
        return self.larder("put", "-r", source + "/", f"s3://{target}/")

    def rclone_up(self, source, target):
        return self.rclone("copy", source, ":s3:" + target)

    def larder_down(self, source, target):
        return self.larder("get", "-r", f"s3://{source}/", target + "/")

    def rclone_down(self, source, target):
        return self.rclone("copy", ":s3:" + source, target)

    def larder_list(self, some):
        return self.larder("find", "s3://bench/keys")

    def rclone_list(self, some):
        return self.rclone("lsf", "-R", "--files-only", "--fast-list", ":s3:bench/keys")


def make_rows(gateway, sizes):
    ways = {"upload": (gateway.up, gateway.larder_up, gateway.rclone_up),
            "download": (gateway.down, gateway.larder_down, gateway.rclone_down)}

    def beside_rclone(what, unit, larder, rclone, totals):
        return Row(f"s3: {what}", unit, larder, rclone, "rclone, whole process", 0.95, True, totals,
                   prepare=gateway.prepare)

    def moved(way, name, count, size, unit):
        make, larder, rclone = ways[way]
        text = f"{size >> 20} MiB" if size >> 20 else f"{size >> 10} KiB"
        return beside_rclone(f"{way} of {count:,} × {text}", unit, make(name, larder), make(name, rclone),
                             {"count": count, "bytes": count * size})

    def peak(way):
        make, larder, _ = ways[way]
        command = make("large", larder)
        return Row(f"s3: {way} of {sizes.s3_large_count} × {sizes.s3_large >> 20} MiB, memory", PEAK,
                   lambda some: [sys.executable, "-c", PEAK_OF, *command(some)], None, "", PEAK_MAX,
                   prepare=gateway.prepare, runs=5)

    if not gateway.there:
        return []
    return [*(moved(way, "small", sizes.s3_files, SMALL, REQUESTS) for way in ways),
            *(moved(way, "large", sizes.s3_large_count, sizes.s3_large, MEGABYTES) for way in ways),
            beside_rclone(f"listing of {sizes.s3_keys:,} keys", REQUESTS, gateway.larder_list, gateway.rclone_list,
                          {"count": sizes.s3_keys}),
            *(peak(way) for way in ways)]
