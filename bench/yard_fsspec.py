# SPDX-License-Identifier: Apache-2.0
"""yard_fsspec.py KIND SOURCE FILES COUNT CACHE: values of a map over one of fsspec's caches, all of them there, COUNT times."""

import json
import sys
import time

import fsspec
from fsspec.mapping import FSMap

kind, source, files, count, cache = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
fs = fsspec.filesystem(kind, target_protocol="file", cache_storage=cache)
values = FSMap(source, fs)
names = [f"{i:05}" for i in range(files)]
for name in names:
    values[name]
size = 0
start = time.perf_counter()
for i in range(count):
    size += len(values[names[i * 7919 % files]])
print(json.dumps({"seconds": time.perf_counter() - start, "count": count, "bytes": size}))
