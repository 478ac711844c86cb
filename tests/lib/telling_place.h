/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TELLING_PLACE_H
#define TESTS_TELLING_PLACE_H
/* telling://: memory:// that tells whole trees at once, in one way or another, and counts what it is asked. */
#include "fs/backend.h"

enum telling {
    IMPLIED,   /* files alone, sorted by bytes, as S3 does */
    LISTED,    /* directories too, as WebDAV */
    ONE_LEVEL, /* as a WebDAV that goes no deeper */
    UNEVEN,    /* as one that looks not into all directories */
};
struct told {
    enum telling telling;
    size_t page_size; /* 0: all in one */
    unsigned lists, trees;
    unsigned flags; /* of each answer, too */
    char last[64];  /* the path of the last list_tree */
};
extern struct told told;
extern struct larder_fs *memory, *telling; /* the same files: "a", "c/d/x" … */

/* For cmocka. */
int telling_begin(void **state);
int telling_end(void **state);

/* From now on, with the counters at 0. */
void ask_for(enum telling way, size_t page_size);
void assert_same(const struct larder_entries *a, const struct larder_entries *b);

#endif
