#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The export list, the public headers and the library agree on what is exported.

    check-exports.py MAP INCLUDE [LIBRARY]   exit 1 and a line for each name that they do not agree on
    check-exports.py --write MAP INCLUDE     make MAP from the headers
"""
import pathlib
import re
import subprocess
import sys

VERSION = 'LARDER_0'
COMMENT = re.compile(r'/\*.*?\*/', re.S)
# The first name before a parenthesis that follows the mark, whatever other marks and types stand between.
MARKED = re.compile(r'\bLARDER_API\b(?!\s*__attribute__)([^;{]*?)\b(larder_\w+)\s*\(')


def in_headers(include):
    names = {}
    for header in sorted(pathlib.Path(include).rglob('*.h')):
        text = COMMENT.sub('', header.read_text())
        text = re.sub(r'^\s*#.*$', '', text, flags=re.M)
        for match in MARKED.finditer(text):
            names[match[2]] = header.name
    return names


def in_map(path):
    text = COMMENT.sub('', pathlib.Path(path).read_text())
    return set(re.findall(r'\b(larder_\w+);', text))


def in_library(path):
    out = subprocess.run(['nm', '-D', '--defined-only', path], check=True, capture_output=True, text=True).stdout
    names = {line.split()[-1].split('@')[0] for line in out.splitlines()}
    return names - {VERSION}


def write_map(path, names):
    lines = ['/* SPDX-License-Identifier: Apache-2.0 */',
             '/* What the library exports: every function marked LARDER_API (tools/check-exports.py --write). */',
             VERSION + ' {', '    global:']
    lines += [f'        {name};' for name in sorted(names)]
    lines += ['    local:', '        *;', '};', '']
    pathlib.Path(path).write_text('\n'.join(lines))


def compare(what, names, expected, other):
    for name in sorted(names - expected):
        print(f'{name}: {what}, and not {other}')
    return not names - expected


def main(args):
    if args[:1] == ['--write']:
        write_map(args[1], in_headers(args[2]))
        return 0
    headers, listed = set(in_headers(args[1])), in_map(args[0])
    ok = compare('marked LARDER_API', headers, listed, 'in the export list')
    ok &= compare('in the export list', listed, headers, 'marked LARDER_API')
    if len(args) > 2:
        exported = in_library(args[2])
        ok &= compare('exported by the library', exported, listed, 'in the export list')
        ok &= compare('in the export list', listed, exported, 'exported by the library')
    return 0 if ok else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
