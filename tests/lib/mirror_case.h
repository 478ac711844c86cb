/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_MIRROR_CASE_H
#define TESTS_MIRROR_CASE_H
/* What tests of mirrors have in common: a tree at the fake place (cached_place.h), and what a mirror tells of it. */
#include "cached_place.h"

/* ---- what a test mirrors, and what it is told ---- */
struct told {
    unsigned count, failed, stop_after; /* after so many, 77 ends the mirror; 0: never */
    char names[1024];                   /* each with a space behind */
};
/* Options of a mirror that goes on after failures, and tells `told`. */
struct larder_mirror_options telling(struct told *told);
/* Of `fs`; it must succeed. */
struct larder_mirror_stats mirror(const char *path, const struct larder_mirror_options *options);

/* ---- the tree: files of 0, 9000, 18000 … bytes below "t", seven in a directory ---- */
#define FILES 40
const char *path_of(unsigned index); /* until the next call */
size_t size_of(unsigned index);
void put_tree(void);
void read_tree(struct larder_fs *from); /* all of it must be there */

size_t count_below(struct larder_fs *from, const char *path);
bool is_pinned(const char *path);

#endif
