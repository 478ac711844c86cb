/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_WALK_PAGE_H
#define FS_WALK_PAGE_H
/*
 * What a listing told, one entry after the other, each with the directory that it is in. The names of a list are single
 * segments, those of a list_tree paths: then directories that only their content implies come as entries too, each once and
 * before what is below it.
 *
 *     a/x   b   c/d/y  c/e        is told as    a  a/x  b  c  c/d  c/d/y  c/e
 */
#include "fs/backend.h"

#include "base/buffer.h"
#include "fs/fs.h"

struct walk_page {
    const char *top; /* the directory that was listed; borrowed */
    struct larder_entries entries;
    size_t next;
    bool shallow; /* a directory below which nothing is told must be listed by itself */
    /* Relative to the top, over the pages of one listing: the directory shown last, or the one of what was. */
    struct buffer reached;
    bool passed; /* nothing below `reached` is wanted */
    /* What is shown; the strings are the page's. `moved`: it may be in another directory than the one before. */
    bool moved;
    const char *dir; /* as `top` is; at the top, `top` itself */
    char *below;     /* the same, elsewhere; mem */
    struct larder_info entry;
};
void walk_page_init(struct walk_page *page, const char *top);
void walk_page_fini(struct walk_page *page);

/* The next that is not below a directory that was passed: 1, and `dir` and `entry`; 0: the page is at its end. */
int walk_page_next(struct walk_page *page);
/* Of a directory that was just shown: pass over what is below it; does something below it come next? */
void walk_page_pass(struct walk_page *page);
bool walk_page_goes_in(const struct walk_page *page);
/* How many levels below the top the entry shown last is: 1 in the top itself. */
unsigned walk_page_level(const struct walk_page *page);

/* The next page of a listing of `path`; of a file, itself under `name` (NULL: -ENOTDIR). `*shallow` false: by list_tree; it becomes true
 * where the answer says so. */
int CO_FN walk_page_list(struct larder_fs *fs, const char *path, const char *name, const struct terms *terms,
                         struct cursor *cursor, struct larder_entries *page, bool *shallow);

#endif
