/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FSSPEC_TREE_H
#define TESTS_FSSPEC_TREE_H
/*
 * The tree that fsspec was asked about: 64 files and directories of awkward names, from one seed. unit/fsspec_tree.py
 * makes the same, so that a table of its answers says only which entries are meant, by a bit each.
 */
#include <stdbool.h>
#include <stdint.h>

#include "larder.h"

#define FSSPEC_TREE_COUNT 64

/* A long name, or most of one. */
#define N60  "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
#define N240 N60 N60 N60 N60

struct fsspec_entry {
    char path[1100];
    bool directory;
    char content[200]; /* each file has a size of its own */
    size_t size;
};
/* Sorted by path. */
const struct fsspec_entry *fsspec_tree(void);

/* Make it below `dir` of a place: 0, or what a call returned. */
int fsspec_tree_plant(struct larder_fs *fs, const char *dir);

/* The bits of what a listing names, below `dir` (its name "": `dir` itself). False, and told on stderr: something is not
 * in the tree, is not what it is there, or not in its order. */
bool fsspec_tree_bits(const struct larder_entries *found, const char *dir, uint64_t *bits);
bool fsspec_tree_bit(const struct larder_info *info, const char *dir, uint64_t *bits);
/* Say on stderr what of `got` is not in `expected`, with a plus, and the other way, with a minus. */
void fsspec_tree_tell(uint64_t got, uint64_t expected);

#endif
