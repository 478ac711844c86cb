#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What fsspec's AsyncFileSystem answers to random calls over a tree, as fsspec_rows.inc for test_fsspec.c. Needs fsspec.

    fsspec_rows.py >fsspec_rows.inc

A row where Larder answers otherwise on purpose says so: `why` begins the row of docs/from-fsspec.md that has the reason.
"""
import os
import random
import shutil
import tempfile

import fsspec
from fsspec.implementations.local import LocalFileSystem

from fsspec_tree import COUNT, EVERY, STATUS, TREE, Model, content, mask, pattern, quote

SLASH = 'a pattern with a slash behind it'
NOTHING = 'a pattern of several that matches nothing'
BELOW = 'below a file'
MISSING = 'a source of several that is not there'
DIRECTORIES = 'a list with directories'
ONE_NAME = 'two sources of a list with one name'
FILE_SLASH = '`file/` to a directory'
ONE_FILE = '`recursive` with `maxdepth`, one file in all'
FILES = [index for index, path in enumerate(EVERY) if not TREE[path]]


def ask(call, *arguments, **options):
    """(status, answer)"""
    try:
        return '0', call(*arguments, **options)
    except tuple(STATUS) as error:
        return STATUS[type(error)], None


def indices(paths, root):
    return [EVERY.index(path[len(root) + 1:]) for path in paths if path != root]


def is_directory(path):
    return path == '' or TREE.get(path, False)


def below_file(path):
    return any(path.startswith(EVERY[index] + '/') for index in FILES)


def some_path(rng):
    """Mostly of the tree; also its root, what is missing, and what is below a file. A slash may be behind."""
    roll = rng.random()
    path = '' if roll < .1 else rng.choice(EVERY)
    if roll > .85:
        path += rng.choice(['x', '/x', '/x/y'])
    return path + '/' * (bool(path) and rng.random() < .15)


def row(*fields):
    print('    {%s},' % ', '.join(str(field) for field in fields))


def table(name, fields, comment=''):
    print('/* %s */' % comment if comment else '', end='\n' if comment else '')
    print('static const struct %s_row {\n%s} %s_rows[] = {' % (
        name, ''.join('    %s;\n' % field for field in fields), name))


def distinct(count, make):
    seen = {}
    while len(seen) < count:
        made = make()
        seen.setdefault(str(made), made)
    return seen.values()


def has_magic(path):
    return bool(set(path) & set('*?['))


def loses_slash(fs, path):
    """fsspec's expand_path forgets that a pattern means only directories."""
    return has_magic(path) and path.endswith('/') and ask(fs.glob, path)[1] != ask(fs.glob, path.rstrip('/'))[1]


def matches_nothing(fs, paths, maxdepth):
    return len(paths) > 1 and any(has_magic(path) and not ask(fs.glob, path, maxdepth=maxdepth or None)[1]
                                  for path in paths)


def why(**reasons):
    return next((quote(globals()[name]) for name, holds in reasons.items() if holds), 'NULL')


def boolean(value):
    return str(bool(value)).lower()


# ---- what is there ----

def stats(fs, rng):
    table('stat', ['const char *path', 'int status', 'bool exists, isfile, isdir', 'uint64_t listed', 'const char *why'])
    for path in distinct(60, lambda: some_path(rng)):
        full = '/' + path
        status, found = ask(fs.info, full)
        listed = ask(fs.ls, full, detail=False)[1] or []
        row(quote(path), status, boolean(fs.exists(full)), boolean(fs.isfile(full)), boolean(fs.isdir(full)),
            mask(indices(listed, '')), why(BELOW=below_file(path)))
    print('};')


def finds(fs, rng):
    table('find', ['const char *path', 'unsigned maxdepth', 'bool dirs', 'uint64_t found', 'int64_t used'],
          'find, which with `dirs` also has its root in fsspec, and du.')
    for path, maxdepth, dirs in distinct(120, lambda: (some_path(rng), rng.choice([0, 0, 1, 2, 3]),
                                                       rng.random() < .5)):
        full, depth = '/' + path, maxdepth or None
        found = fs.find(full, maxdepth=depth, withdirs=dirs)
        if dirs and full != '/' and is_directory(path.rstrip('/')):
            found.remove(full.rstrip('/'))
        each = fs.du(full, total=False, maxdepth=depth)
        assert sum(each.values()) == fs.du(full, maxdepth=depth)

        row(quote(path), maxdepth, boolean(dirs), mask(indices(found, '')), sum(each.values()))
    print('};')


def walks(fs, rng):
    table('walk', ['const char *path', 'unsigned maxdepth', 'const char *prune', 'uint64_t walked'],
          'walk, whose caller takes the directories of one name out.')
    for path, maxdepth, pruned in distinct(80, lambda: (some_path(rng), rng.choice([0, 0, 1, 2, 3]),
                                                        rng.choice([None, EVERY.index(rng.choice(EVERY))]))):
        prune = pruned is not None and TREE[EVERY[pruned]] and EVERY[pruned].split('/')[-1]
        walked = set()
        for top, dirs, files in fs.walk('/' + path, maxdepth=maxdepth or None):
            walked |= {(top + '/' + name).rstrip('/') for name in dirs + files}
            if prune in dirs:
                dirs.remove(prune)
        if not prune:  # the other way round finds the same, children first
            order = [top for top, _, _ in fs.walk('/' + path, maxdepth=maxdepth or None, topdown=False)]
            assert all(not later.startswith(top + '/') for at, top in enumerate(order) for later in order[at:])
        row(quote(path), maxdepth, quote(prune) if prune else 'NULL', mask(indices(walked, '')))
    print('};')


def expansions(fs, rng):
    table('expand', ['const char *paths[3]', 'bool glob, recursive', 'unsigned maxdepth', 'int status',
                     'uint64_t found', 'const char *also[3]', 'const char *why'], '`also`: what is not in the tree.')

    def make():
        glob = rng.random() < .6
        paths = [pattern(rng) if glob and rng.random() < .7 else some_path(rng) for _ in range(rng.choice([1, 1, 2, 3]))]
        return paths, glob, rng.random() < .5, rng.choice([0, 0, 1, 2])
    for paths, glob, recursive, maxdepth in distinct(160, make):
        status, found = ask(fs.expand_path, ['/' + path for path in paths], recursive=recursive,
                            maxdepth=maxdepth or None, **({} if glob else {'assume_literal': True}))
        known = [path for path in found or [] if path[1:] in TREE]
        also = [path[1:] for path in found or [] if path[1:] not in TREE]
        row('{%s}' % ', '.join(map(quote, paths)), boolean(glob), boolean(recursive), maxdepth, status,
            mask(indices(known, '')), '{%s}' % ', '.join(map(quote, also)) if also else '{0}',
            why(SLASH=glob and any(loses_slash(fs, '/' + path) for path in paths),
                NOTHING=glob and recursive and matches_nothing(fs, ['/' + path for path in paths], maxdepth)))
    print('};')


# ---- bytes ----

def bound(value, none):
    return none if value is None else value


def ranges(fs, rng):
    table('range', ['unsigned file', 'int64_t start, end', 'size_t from, count'],
          'cat_file, cat_ranges: content[from:][:count].')

    def make():
        file = rng.choice(FILES)
        size = len(content(file))
        edges = [None, 0, 1, -1, size, -size, size - 1, size + 1, -size - 1, 10 ** 6, -10 ** 6]
        start, end = (rng.choice(edges) if rng.random() < .5 else rng.randint(-size - 3, size + 3) for _ in range(2))
        return file, start, end
    cases = list(distinct(150, make))
    answers = fs.cat_ranges(*([case[at] if at else '/' + EVERY[case[0]] for case in cases] for at in range(3)))
    for (file, start, end), answer in zip(cases, answers):
        assert answer == fs.cat_file('/' + EVERY[file], start, end) == content(file)[start:end]
        row(file, bound(start, 0), bound(end, 'END'), slice(start, end).indices(len(content(file)))[0],
            len(answer))
    print('};')


def ends(fs, rng):
    table('end', ['unsigned file', 'size_t size, head, tail'], 'head and tail: how many bytes they give.')
    for file, size in distinct(50, lambda: (rng.choice(FILES), rng.choice([0, 1, 2, 50, 199, 1000]))):
        path, whole = '/' + EVERY[file], content(file)
        head, tail = fs.head(path, size), fs.tail(path, size)
        assert whole.startswith(head) and whole.endswith(tail)
        row(file, size, len(head), len(tail))
    print('};')


def blocks(fs, rng):
    table('block', ['unsigned file', 'int64_t offset, length', 'const char *delimiter', 'size_t from, count'],
          'read_block: content[from:][:count].')

    def make():
        file = rng.choice(FILES)
        whole = content(file)
        at = rng.randrange(len(whole) + 1)
        delimiter = rng.choice([b'\n', b'\n', b'\n', b'', b'none', whole[at:at + rng.randint(1, 3)]])
        return file, rng.randint(0, len(whole) + 5), rng.choice([None, rng.randint(0, len(whole) + 20)]), delimiter
    for file, offset, length, delimiter in distinct(150, make):
        whole = content(file)
        answer = fs.read_block('/' + EVERY[file], offset, length, delimiter or None)
        start = offset
        if delimiter and offset:
            found = whole.find(delimiter, offset)
            start = len(whole) if found < 0 else found + len(delimiter)
        assert whole[min(start, len(whole)):][:len(answer)] == answer
        row(file, offset, bound(length, 'END'), quote(delimiter.decode()), min(start, len(whole)),
            len(answer))
    print('};')


# ---- copies ----

TARGETS = ['t', 't/', 't/x', 't/x/', 'new', 'new/', 'new/x', 'new/x/']
WAYS = ['cp', 'get', 'put']


class Copier:
    """One copy, of a new tree into a place that has an empty directory "t"."""

    def __init__(self, way, root):
        self.way = way
        self.fs = Model('/s')
        self.local = tempfile.mkdtemp(dir=root)
        os.makedirs(self.local + '/e/t')
        self.fs.memory.makedirs('/e/t')
        if way == 'put':
            for index, path in enumerate(EVERY):
                os.makedirs(os.path.dirname(self.local + '/s/' + path), exist_ok=True)
                if TREE[path]:
                    os.makedirs(self.local + '/s/' + path, exist_ok=True)
                else:
                    with open(self.local + '/s/' + path, 'wb') as file:
                        file.write(content(index))

    def run(self, sources, target, recursive, maxdepth):
        base = (self.local if self.way == 'put' else '') + '/'
        sources = [base + source for source in sources]
        call, options = {'cp': (self.fs.copy, {'on_error': 'raise'}), 'get': (self.fs.get, {}),
                         'put': (self.fs.put, {})}[self.way]
        status, _ = ask(call, sources if len(sources) > 1 else sources[0],
                        (self.local if self.way == 'get' else '') + '/e/' + target, recursive=recursive,
                        maxdepth=maxdepth or None, **options)
        found = self.found()
        shutil.rmtree(self.local)
        return status, found

    def found(self):
        """{path: content, or None of a directory that has nothing}"""
        fs, root = (LocalFileSystem(), self.local + '/e') if self.way == 'get' else (self.fs, '/e')
        found = fs.find(root, withdirs=True, detail=True)
        out = {}
        for path, info in found.items():
            if info['type'] == 'file':
                out[path[len(root) + 1:]] = fs.cat_file(path)
            elif not any(other.startswith(path + '/') for other in found):
                out[path[len(root) + 1:]] = None
        return out


def copy_why(fs, sources, target, recursive, maxdepth):
    sources = ['/' + source for source in sources]
    several = len(sources) > 1
    found = ask(fs.expand_path, sources, recursive=recursive, maxdepth=maxdepth or None)[1] or []
    files = [path for path in found if not fs.isdir(path)]
    names = [path.split('/')[-1] for path in files]
    missing = several and recursive and not all(has_magic(source) or fs.exists(source) for source in sources)
    return why(SLASH=any(loses_slash(fs, source) for source in sources),
               MISSING=missing or matches_nothing(fs, sources, maxdepth),
               DIRECTORIES=several and len(files) < len(found), ONE_NAME=several and len(set(names)) < len(names),
               FILE_SLASH=not several and sources[0].endswith('/') and fs.isfile(sources[0]),
               ONE_FILE=not several and recursive and maxdepth and fs.isdir(sources[0]) and len(files) == 1)


def copies(rng):
    table('copy', ['const char *sources[3]', 'bool recursive', 'unsigned maxdepth', 'const char *target', 'unsigned ways',
                   'int status', 'const char *found', 'const char *why'],
          'copy (1), get (2) and put (4). `found`: files "PATH=entry" and empty directories "PATH/", a NUL behind each. Of what\n * failed it says too little: a copy stops where it is.')
    by_content = {content(index): index for index in FILES}
    root = tempfile.mkdtemp()

    def source(several):
        roll = rng.random()
        path = 's/' + (EVERY[rng.choice(FILES)] if several and roll < .7 else pattern(rng) if roll < .4 else
                       rng.choice(EVERY) + '/' * (rng.random() < .3))
        return path if roll < .95 else 's' + rng.choice(['', '/', '/none', '/none*'])

    fixed = [(['s/a.'], target, True, 1) for target in TARGETS[:4]]
    fixed += [(['s/%a./11/a', 's/%a./1a/a'], 't', False, 0), (['s/none*', 's/a-a'], 't', False, 0),
              (['s/none', 's/a-a'], 't', True, 0)]

    def make():
        count = rng.choice([1, 1, 1, 1, 1, 1, 2, 3])
        return fixed.pop() if fixed else ([source(count > 1) for _ in range(count)],
                                          rng.choice(TARGETS), rng.random() < .6,
                                          rng.choice([0, 0, 0, 1, 2]))
    fs = Model('/s')
    for sources, target, recursive, maxdepth in distinct(150, make):
        answers = {}
        for bit, way in enumerate(WAYS):
            status, found = Copier(way, root).run(sources, target, recursive, maxdepth)
            lines = sorted(path + ('/' if data is None else '=%d' % by_content[data]) for path, data in found.items())
            answers[status, '\0'.join(lines)] = answers.get((status, '\0'.join(lines)), 0) | 1 << bit
        for (status, lines), ways in answers.items():
            row('{%s}' % ', '.join(map(quote, sources)), boolean(recursive), maxdepth, quote(target), ways, status,
                quote(lines + '\0' * bool(lines)), copy_why(fs, sources, target, recursive, maxdepth))
    shutil.rmtree(root)
    print('};')


def main():
    fs = Model('')
    print('/* SPDX-License-Identifier: Apache-2.0 */')
    print('/* Made by fsspec_rows.py with fsspec %s. */' % fsspec.__version__)
    for seed, part in enumerate([stats, finds, walks, expansions, ranges, ends, blocks]):
        part(fs, random.Random(seed))
    copies(random.Random(7))


main()
