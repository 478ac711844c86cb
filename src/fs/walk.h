/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_WALK_H
#define FS_WALK_H
/* The inside of a walk, for what looks through a tree for something. */
#include "fs/fs.h"

/* All entries of the directory at the full path, in no order. A file is listed as itself under `name`; NULL: -ENOTDIR. */
int CO_FN list_whole(struct larder_fs *fs, const char *path, const char *name, const struct terms *terms,
                     struct larder_entries *out);

/* What of a tree a walk shows, and where it goes. */
struct walk_filter {
    /* The entries asked for next are of this directory. */
    void (*enter)(struct walk_filter *filter, const char *dir);
    /* Is the entry to be shown? `*deeper`: is it a directory below which something could be? Then, and before the first,
     * `all` tells whether anything could, however deep, so that all of it may be listed at once. */
    bool all;
    /* Else this: what the names begin with that it could want right below; NULL: anything. Lives as long as the filter. */
    const char *stem;
    bool (*wants)(struct walk_filter *filter, const struct larder_info *entry, bool *deeper);
    void (*free)(struct walk_filter *filter);
};
/* Is what the walk begins at an entry as well, the first? A directory then; or it alone, whatever it is. */
enum walk_self { WALK_BELOW, WALK_SELF_AND_BELOW, WALK_SELF };

/*
 * As larder_walk_open, but it begins at `top`, a clean path below the handle's root, and tells of everything relative to
 * that root. With a filter (taken over, also on failure; may be NULL) files are shown as it says.
 */
int walk_begin(struct larder_fs *fs, const char *top, enum walk_self self,
               const struct larder_find_options *options, struct walk_filter *filter,
               struct larder_walk **out);
/* larder_walk_open, for who asks walk_leave_out about each failure. */
int walk_open(struct larder_fs *fs, const char *path, const struct larder_find_options *options,
              struct larder_walk **out);
/* What becomes of a walk that met this status, by the `failed` of its options: 0, the directory is left out. */
int walk_leave_out(const struct larder_walk *walk, int status);
/* The directory that larder_walk_next has just failed to list; NULL: it was another failure. Borrowed until the next
 * call. */
const char *walk_failed(const struct larder_walk *walk);
/* All that is left of a walk, sorted. Consumes the walk, also on failure. */
int walk_collect(struct larder_walk *walk, struct larder_entries *out);

#endif
