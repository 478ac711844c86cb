#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What each floor of src/ may include and call. Usage: check-floors.py [ROOT]; a line for each fault, exit 1.

A file includes only from its own floor and the floors below it, and the public headers. Libraries that shape a whole
program (uv, curl, lmdb) stay on the floors that own them. Memory, clock and randomness go through base/seams.h.
"""
import pathlib
import re
import sys

FLOORS = ['base', 'task', 'net', 'fs', 'backends', 'cache', 'txn', 'map', 'larder.c']
LIBRARIES = {  # the beginning of a system include: the floors that may have it
    'uv': ['task', 'net'],
    'curl/': ['net'],
    'libxml/': ['net', 'backends'],
    'lmdb.h': ['cache', 'txn'],
    # net: index pages. fs: the configuration, and filesystems written down, which txn keeps as texts.
    'jansson': ['net', 'fs', 'tools'],
    'openssl/': ['base'],
}
CALLS = {  # functions behind a seam: the one file that may call them
    'base/alloc.c': 'malloc calloc realloc reallocarray free strdup strndup asprintf vasprintf posix_memalign '
                    'aligned_alloc',
    'base/world.c': 'clock_gettime gettimeofday getrandom random rand',
}
# Comments and literals, which are blanked; an include's name is read before.
NOT_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def blank(match):
    return re.sub(r'[^\n]', ' ', match[0])


def line_of(text, position):
    return text.count('\n', 0, position) + 1


def uses(code, names):
    """Calls of a function, and its name passed or stored; never a field or a longer name."""
    pattern = r'(?<![\w.])(?<!->)(%s)(?=\s*\()|(?<=[=,(])\s*&?(%s)(?=\s*[,);])' % ((names.replace(' ', '|'),) * 2)
    return re.finditer(pattern, code)


def check_include(bracket, name, floor, path, root):
    if bracket == '<':
        for library, owners in LIBRARIES.items():
            if (name == library or name == library + '.h' or name.startswith(library)) and floor not in owners:
                return f'<{name}> belongs to {" and ".join(owners)}'
        return None
    if name == 'larder.h' or name.startswith('larder/'):
        return None
    if '/' not in name:
        return None if (path.parent / name).exists() else f'"{name}" is not beside this file: say its floor'
    target = name.split('/')[0]
    if floor == 'tools':
        return None if (root / 'tools' / name).exists() else f'"{name}": the tools know the public headers alone'
    if target not in FLOORS or not (root / 'src' / name).exists():
        return f'"{name}" is nowhere in src/'
    if FLOORS.index(target) > FLOORS.index(floor):
        return f'"{name}" is on a floor above {floor}'
    return None


def check_file(path, floor, root):
    text = path.read_text()
    if not text.startswith('/* SPDX-License-Identifier: Apache-2.0 */\n'):
        yield 1, 'does not begin with its SPDX line'
    no_comments = re.sub(r'/\*.*?\*/', blank, text, flags=re.S)
    for match in INCLUDE.finditer(no_comments):
        fault = check_include(match[1], match[2], floor, path, root)
        if fault:
            yield line_of(text, match.start(1)), fault
    if floor == 'tools':
        return
    code = NOT_CODE.sub(blank, text)
    for owner, names in CALLS.items():
        if path != root / 'src' / owner:
            for match in uses(code, names):
                yield line_of(text, match.end()), f'{(match[1] or match[2])}: only {owner} may, see base/seams.h'


def sources(root):
    for top in ('src', 'tools'):
        for path in sorted((root / top).rglob('*.[ch]')):
            yield path, 'tools' if top == 'tools' else path.relative_to(root / 'src').parts[0]


def main(args):
    root = pathlib.Path(args[0] if args else pathlib.Path(__file__).parent.parent).resolve()
    faults = 0
    for path, floor in sources(root):
        where = path.relative_to(root)
        if floor not in FLOORS + ['tools']:
            print(f'{where}: src/ has no floor {floor}')
            faults += 1
            continue
        for line, fault in check_file(path, floor, root):
            print(f'{where}:{line}: {fault}')
            faults += 1
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
