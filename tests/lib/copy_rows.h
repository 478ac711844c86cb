/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_COPY_ROWS_H
#define TESTS_COPY_ROWS_H
/*
 * What goes where: the scenarios of fsspec's copying.rst, by their numbers, and the table of patterns that its suite
 * asserts. Each row is of one of two trees:
 *
 *     source/{file1,file2,subdir.txt,subdir/{subfile1,subfile2,nesteddir/nestedfile}}
 *     source/{file1,file2,{subdir0,subdir1}/{subfile1,subfile2,nesteddir/nestedfile}}
 *
 * The directory "t" exists and is empty; "new" does not exist.
 */
#include <stdbool.h>

struct copy_row {
    const char *name;
    const char *sources[4]; /* NULL-ended */
    const char *targets[5]; /* NULL-ended; each by itself */
    const char *found;      /* the files below the target's first segment, sorted */
    unsigned maxdepth;
    bool two, glob, recursive, into; /* two: of the second tree */
};
extern const struct copy_row copy_rows[]; /* ended by a NULL name */

/* The files of the tree that a row is of, NULL-ended. */
const char *const *copy_row_tree(const struct copy_row *row);

#endif
