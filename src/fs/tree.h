/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_TREE_H
#define FS_TREE_H
#include "larder/fs.h"

/*
 * Remove what was found, sorted by name: files first, then directories from the deepest up. A file goes only if it is still
 * what it was found to be, else -ESTALE: of its version if both are known, else of its size and time as far as they are.
 * What is gone already is passed over; a directory that is not empty by then is a failure.
 */
int tree_remove_unchanged(struct larder_fs *fs, const struct larder_entries *found);

/* What is listed as a directory: is it a link to one? 1, 0, or a failure to find out. */
int tree_is_link(struct larder_fs *fs, const char *path);

#endif
