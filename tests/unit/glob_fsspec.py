#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What fsspec's glob finds for random patterns over a tree, as glob_fsspec.inc for test_glob.c. Needs fsspec.

    glob_fsspec.py >glob_fsspec.inc
"""
import random

import fsspec

from fsspec_tree import EVERY, STATUS, Model, mask, pattern, quote


def patterns(rng, count):
    seen = {'*', '**', '*/', '**/', '**/*', '**/*/', '*/**', '**/**', '*/**/', '**/a', '**/a/**', 'a/**', 'a/**/',
            'a/**/**', 'a1/**', 'a/*/**', '**/*/**', 'a', 'a/', 'a1/', 'void/**', 'void/*', 'nope*', 'nope/*',
            'nope/**', 'a/*/../*', 'a***', '***'} - {'a/*/../*'}
    while len(seen) < count:
        seen.add(pattern(rng))
    return sorted(seen)


def main():
    fs, rng = Model(''), random.Random(1)
    print('/* SPDX-License-Identifier: Apache-2.0 */')
    print('/* Made by glob_fsspec.py with fsspec %s. */' % fsspec.__version__)
    print('/* Bit i of `found`: entry i of lib/fsspec_tree.h is found. */')
    print('static const struct row {\n    const char *pattern;\n    unsigned maxdepth;\n    bool files_only;\n'
          '    int status;\n    uint64_t found;\n} rows[] = {')
    for text in patterns(rng, 480):
        maxdepth, files_only = rng.choice([0, 0, 0, 1, 2, 3]), rng.random() < .2
        if not set(text) & set('*?['):
            files_only = False  # it means nothing to fsspec then
        status, found = '0', []
        try:
            found = fs.glob('/' + text, maxdepth=maxdepth or None, withdirs=not files_only)
        except ValueError as error:
            status = STATUS[type(error)]
        except KeyError:  # "FILE/**": its find gives the file without an info
            pass
        print('    {%s, %d, %s, %s, %s},' % (quote(text), maxdepth, str(files_only).lower(), status,
                                            mask(EVERY.index(path.lstrip('/')) for path in found)))
    print('};')


main()
