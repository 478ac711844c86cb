#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The public names of fsspec that docs/from-fsspec.md has to mention, as fsspec_names.txt. Needs fsspec.

    fsspec_names.py >fsspec_names.txt
"""
import inspect

import fsspec
from fsspec import asyn, callbacks, config, core, mapping, spec, transaction

CLASSES = [spec.AbstractFileSystem, asyn.AsyncFileSystem, spec.AbstractBufferedFile, asyn.AbstractAsyncStreamedFile,
           mapping.FSMap, core.OpenFile, callbacks.Callback, transaction.Transaction]
MODULES = [asyn, core, config, callbacks, transaction, mapping]


def of_class(one):
    bases = [base for base in one.__mro__ if base.__module__.startswith(('fsspec', 'collections'))]
    return {name.lstrip('_') if one is asyn.AsyncFileSystem else name
            for base in bases for name in vars(base) if not name.startswith('__')
            if one is asyn.AsyncFileSystem and inspect.iscoroutinefunction(vars(base)[name]) or name[0] != '_'}


def of_module(one):
    return {name for name, value in vars(one).items() if name[0] != '_' and getattr(value, '__module__', '') == one.__name__}


def main():
    names = set(fsspec.__all__)
    for one in CLASSES:
        names |= of_class(one)
    for one in MODULES:
        names |= of_module(one)
    print('# Made by fsspec_names.py with fsspec %s.' % fsspec.__version__)
    print('\n'.join(sorted(names)))


main()
