#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What fsspec's glob finds for random patterns over a tree, as glob_fsspec.inc for test_glob.c. Needs fsspec.

    glob_fsspec.py >glob_fsspec.inc
"""
import random

import fsspec

TREE = '''
.h .h/.i a a/.b a/1 a/a a/a/a a/a/a/b a/b a/b/a1 a/b/ab a/é a[1] a[1]/x a1 a-b a* a?b aab ab ab/a ab/b ab/b/a ab/b/a/b
ab/c b b/[] b/] b/^ b/! b/a b/a/a b/a/b b/a/b/a b/abab c d d/e d/e/f d/e/f/g d/e/f/g/a1 é é/éé éa {a} \\ ~
'''.split()
EMPTY = ['a/a/a/empty', 'c', 'void']  # directories; those that hold something are as well
EVERY = sorted(set(TREE + EMPTY), key=lambda path: path.encode())


def is_directory(path):
    return path in EMPTY or any(other.startswith(path + '/') for other in EVERY)


def component(rng):
    name = rng.choice(rng.choice(EVERY).split('/'))
    roll = rng.random()
    if roll < .25:
        return name
    if roll < .40:
        return '*'
    if roll < .55:
        return '**'
    out = []
    for character in name:
        roll = rng.random()
        if roll < .45:
            out.append(character)
        elif roll < .60:
            out.append('*')
        elif roll < .75:
            out.append('?')
        else:
            out.append(rng.choice(['[ab]', '[!a]', '[a-c]', '[!a-b]', '[^a]', '[]', '[!]', '[]a]', '[!]a]', '[b-a]',
                                   '[!b-a]', '[a-]', '[-a]', '[a-b-c]', '[', ']', '[é]', '[a-é]', '[[]', '[*]', '[?]',
                                   '[\\]', '[!-0]', '[1-9]', '**', '*?', '{a,b}', '[&&~||]', '[.]', '[--b]']))
    return ''.join(out)


def patterns(rng, count):
    seen = {'*', '**', '*/', '**/', '**/*', '**/*/', '*/**', '**/**', '*/**/', '**/a', '**/a/**', 'a/**', 'a/**/',
            'a/**/**', 'a1/**', 'a/*/**', '**/*/**', 'a', 'a/', 'a1/', 'void/**', 'void/*', 'nope*', 'nope/*',
            'nope/**', 'a/*/../*', 'a***', '***'} - {'a/*/../*'}
    while len(seen) < count:
        depth = rng.choice([1, 1, 2, 2, 2, 3, 3, 4])
        pattern = '/'.join(component(rng) for _ in range(depth)) + rng.choice(['', '', '', '/'])
        seen.add(pattern)
    return sorted(seen)


def quote(text):
    return '"' + text.replace('\\', '\\\\').replace('"', '\\"').replace('??', '?\\?') + '"'


def main():
    fs = fsspec.filesystem('memory', skip_instance_cache=True)
    for path in EVERY:
        if is_directory(path):
            fs.makedirs('/' + path, exist_ok=True)
        else:
            fs.pipe_file('/' + path, b'')
    rng = random.Random(1)
    print('/* SPDX-License-Identifier: Apache-2.0 */')
    print('/* Made by glob_fsspec.py with fsspec %s. */' % fsspec.__version__)
    print('static const char *const tree[] = { /* directories have a slash */')
    for path in EVERY:
        print('    %s,' % quote(path + '/' * is_directory(path)))
    print('};')
    print('/* Bit i of `found`: tree[i] is found. */')
    print('static const struct row {\n    const char *pattern;\n    unsigned maxdepth;\n    bool files_only;\n'
          '    int status;\n    uint64_t found;\n} rows[] = {')
    for pattern in patterns(rng, 480):
        maxdepth, files_only = rng.choice([0, 0, 0, 1, 2, 3]), rng.random() < .2
        if not set(pattern) & set('*?['):
            files_only = False  # it means nothing to fsspec then
        status, found = '0', []
        try:
            found = fs.glob('/' + pattern, maxdepth=maxdepth or None, withdirs=not files_only)
        except ValueError:
            status = '-EINVAL'
        except KeyError:  # "FILE/**": its find gives the file without an info
            pass
        mask = sum(1 << EVERY.index(path.lstrip('/')) for path in found)
        print('    {%s, %d, %s, %s, %#x},' % (quote(pattern), maxdepth, str(files_only).lower(), status, mask))
    print('};')


main()
