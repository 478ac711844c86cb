#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check-readme.py ROOT: the program in README.md is examples/map.c, which the tests build and run."""
import re
import sys

root = sys.argv[1]
with open(root + "/README.md", encoding="utf-8") as f:
    shown = re.search(r"^```c\n(.*?)^```$", f.read(), re.S | re.M)
with open(root + "/examples/map.c", encoding="utf-8") as f:
    built = f.read().split("\n", 1)[1]
if not shown or shown.group(1) != built:
    sys.exit("README.md shows another program than examples/map.c")
