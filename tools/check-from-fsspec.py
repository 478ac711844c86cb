#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check-from-fsspec.py ROOT: docs/from-fsspec.md speaks of everything that fsspec has, and of nothing that Larder lacks.

    every larder_… in it is a name of the headers
    every name of tests/unit/fsspec_names.txt is in it, between backquotes
    every function that is called as one of those, or whose contract names its origin, "(fsspec: …)", is in it, and
    every alias
    every reason of tests/unit/fsspec_rows.inc begins a row of a table
"""
import pathlib
import re
import sys

ORIGIN = re.compile(r'\(fsspec:[\s*]*([^)]*?)[\s*]*\)[^/]*?\*/\s*(LARDER_API[^;]*?\b(larder_\w+)\s*\()?', re.S)


def main(root):
    page = (root / 'docs/from-fsspec.md').read_text()
    headers = '\n'.join(path.read_text() for path in sorted((root / 'include').rglob('*.h')))
    quoted = set(re.findall(r'\w+', ' '.join(re.findall(r'`([^`\n]*)`', page))))
    wrong = []

    for name in sorted(set(re.findall(r'\blarder_[a-z]\w*', page))):
        if not re.search(r'\b%s\b' % name, headers):
            wrong.append('%s: is in no header' % name)
    theirs = (root / 'tests/unit/fsspec_names.txt').read_text().splitlines()[1:]
    for name in theirs:
        if name not in quoted:
            wrong.append('%s: of fsspec, is not told' % name)
    for name in re.findall(r'\blarder_(\w+)\s*\(', headers):
        if name in theirs and 'larder_' + name not in quoted:
            wrong.append('larder_%s: comes from fsspec, and is not told' % name)
    for origin, _, function in ORIGIN.findall(headers):
        if function and function not in quoted:
            wrong.append('%s: comes from %s of fsspec, and is not told' % (function, origin))
    for alias in re.findall(r'^#define larder_(\w+) +larder_', headers, re.M):
        if alias not in quoted:
            wrong.append('larder_%s: an alias, is not told' % alias)
    rows = (root / 'tests/unit/fsspec_rows.inc').read_text()
    for reason in sorted(set(re.findall(r', "([^"]*)"},$', rows, re.M))):
        if '\n| ' + reason not in page:
            wrong.append('%s: a reason without its row' % reason)

    if wrong:
        sys.exit('docs/from-fsspec.md\n    ' + '\n    '.join(wrong))


main(pathlib.Path(sys.argv[1]))
