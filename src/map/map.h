/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAP_MAP_H
#define MAP_MAP_H
/*
 * The key/value map: a handle whose root is the map's directory, and the rules of keys on top of it. It has
 * no state and no I/O of its own: every function is a check and one or two of the public file operations.
 * What a place says of a path, a map says of a key like this:
 *
 *     the path is       get, size, delete    has    set
 *     a file            0                    1      0
 *     nothing           -ENOENT              0      0
 *     a directory       -ENOENT              0      -EISDIR
 *     below a file      -ENOENT              0      -ENOTDIR
 */
#include "larder/map.h"

struct larder_map { /* const after it was made */
    struct larder_fs *fs;
};

/* 0, or -EINVAL with a text. */
int key_check(const char *key);
/* Does this status of a path say that there is no such key? */
bool key_is_missing(int status);
/* The status of a call that needs the file of `key`: -ENOENT, and a text with the reason, for what is none. */
int key_status(const struct larder_fs *fs, int status, const char *key);

#endif
