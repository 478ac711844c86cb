#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A hit takes no lock and makes no system call that waits, and a batch of hits never touches the loop: by strace."""
import re
import shutil
import subprocess
import sys
import tempfile

# What malloc does when it asks the kernel for memory or gives it back.
ALLOWED = {"brk", "mmap", "munmap", "mprotect", "madvise", "mremap"}


def main():
    if not shutil.which("strace"):
        print("strace is missing: not checked", file=sys.stderr)
        return 77
    state = tempfile.mkdtemp(prefix="larder-test-")
    trace = state + "/trace"
    done = subprocess.run(["strace", "-f", "-o", trace, sys.argv[1], state], capture_output=True, timeout=110)
    if b"ptrace" in done.stderr:
        print("strace may not trace here: not checked", file=sys.stderr)
        return 77
    assert done.returncode == 0, done.stderr.decode()
    with open(trace, encoding="utf-8", errors="replace") as f:
        lines = f.read().splitlines()
    begin = next(i for i, line in enumerate(lines) if '"BEGIN"' in line)
    end = next(i for i, line in enumerate(lines) if '"END"' in line)
    reader = lines[begin].split()[0]
    # Where a call begins: the mark itself may be seen to end, when another thread came between.
    calls = [re.match(r"(\d+) +(\w+)\(", line) for line in lines[begin + 1 : end]]
    # Of the reading thread alone: others may still end what came before. To wake one takes a call of the reader.
    seen = {call[2] for call in calls if call and call[1] == reader} - ALLOWED
    shutil.rmtree(state)
    assert not seen, f"400 warm reads made the system calls {sorted(seen)}"
    print(f"400 warm reads: {end - begin - 1} system calls, none that waits")
    return 0


if __name__ == "__main__":
    sys.exit(main())
