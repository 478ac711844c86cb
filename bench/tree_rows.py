# SPDX-License-Identifier: Apache-2.0
"""The rows of this disk: trees that are walked and copied."""

import os

from measure import MILLISECONDS, PEAK, Row, fresh, program


def make_wide_tree(root, dirs, files):
    """`dirs` directories of `files` empty files each."""
    for i in range(dirs):
        (root / f"d{i:04}").mkdir(parents=True)
        for j in range(files):
            os.close(os.open(root / f"d{i:04}" / f"f{j:04}", os.O_CREAT | os.O_WRONLY))


def make_tree_rows(build, scratch, sizes):
    wide, small, dirs = scratch / "wide", scratch / "www" / "small", sizes.walked_dirs
    once = {"count": 1}

    def walk(how):
        return lambda some: program(build, "larder_walk", wide, how)

    def find(*action):
        return lambda some: ["find", str(wide), "-type", "f", *action]

    def make():
        if not wide.exists():
            make_wide_tree(wide, dirs, dirs)

    def copies(name, *command):
        return fresh(scratch, name, lambda target, some: [*map(str, command), str(small), str(target)], keep=True)

    what = f"walk of {dirs * dirs:,} files in {dirs:,} directories"
    return [
        Row(what + ", names only", MILLISECONDS, walk("names"), find("-fprint", "/dev/null"), "find, whole process", 2,
            True, once, prepare=make),
        Row(what + ", names only, memory above start", PEAK, walk("names"), None, "", 50, prepare=make),
        Row(what + ", with sizes and times", MILLISECONDS, walk("details"),
            find("-fprintf", "/dev/null", "%s %T@ %p\\n"), "find -printf, whole process", 2, True, once, prepare=make),
        Row(f"copy of {sizes.files:,} local files of 4 KiB", MILLISECONDS,
            copies("copied", build / "tools" / "larder", "-q", "cp", "-r"), copies("cp-copied", "cp", "-r"), "cp -r", 1.5,
            True, once, why="Each file of Larder's appears whole, by a rename, which cp does without."),
    ]
