#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check-readme.py ROOT: what the documentation refers to is there.

The program in README.md is examples/map.c, which the tests build and run; the tests that docs/http.md names exist.
"""
import os
import re
import sys

root = sys.argv[1]
with open(root + "/README.md", encoding="utf-8") as f:
    shown = re.search(r"^```c\n(.*?)^```$", f.read(), re.S | re.M)
with open(root + "/examples/map.c", encoding="utf-8") as f:
    built = f.read().split("\n", 1)[1]
if not shown or shown.group(1) != built:
    sys.exit("README.md shows another program than examples/map.c")

with open(root + "/docs/http.md", encoding="utf-8") as f:
    named = re.findall(r"`([a-z_]+): ([a-z]\w{9,})`", f.read())
for file, test in named:
    path = f"{root}/tests/faults/test_{file}.c"
    if not os.path.exists(path) or f"void {test}(" not in open(path, encoding="utf-8").read():
        sys.exit(f"docs/http.md names a test that is not there: {file}: {test}")
if not named:
    sys.exit("docs/http.md names no tests")
