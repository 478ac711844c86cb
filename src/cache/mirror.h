/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_MIRROR_H
#define CACHE_MIRROR_H
/*
 * A whole tree into the cache, in passes over its directories:
 *
 *   plan     every listing is asked for, and so stored, all at once if the place can tell a tree; the files in it are
 *            counted, and what of them is there
 *   fetch    the same listings, out of the store; what is not there is read
 *   check    only if something was not kept: what is not there is told of
 *
 * and then a look through the store for what no listing names any more (mirror_gone.c). So a tree that does not fit is
 * refused before a byte of it comes, and the work to do is known. A pass goes in rounds: a page of each of some
 * directories, then all the files of those pages, so that memory is bounded by pages, whatever the tree, and the files
 * of many small directories are fetched at once. Names that are given are one round after the other, without listings.
 *
 *   mirror.c        the call, the passes, the cap
 *   mirror_tree.c   directories: what is wanted of them, links that lead back up
 *   mirror_file.c   files: what is there, what is fetched, telling the caller
 *   mirror_gone.c   what the place has no longer
 */
#include "larder/cache.h"

#include "base/filter.h"
#include "base/table.h"
#include "cache/fetch.h"

struct tally { /* of files */
    uint64_t files, bytes;
    uint64_t takes, took; /* of the cap: all of them once they are there, and what of them is, and pinned */
    bool unknown;         /* some file's size is not */
};
void tally_add(struct tally *tally, const struct tally *more);

struct file {
    struct list node;
    struct mirror *mirror;
    struct letter letter;
    struct larder_item item;
    char *text; /* of a failure; mem */
    /* as the listing has it */
    int64_t size, mtime_ns;
    char *version;
    int64_t done, total; /* of the mirror, as it is told */
    char path[];         /* full */
};

struct mirror {
    /* const */
    struct larder_fs *fs;
    struct view *view;
    struct store *store;
    const char *root;
    struct larder_mirror_options options;
    struct filter filter;
    struct terms terms, list_terms, stored_terms;
    int64_t begun_ns; /* wall clock */
    /* the loop's */
    enum pass { PASS_PLAN, PASS_FETCH, PASS_CHECK } pass;
    bool root_is_file;
    bool listed;  /* what listings there are of since it was begun are its own */
    bool partial; /* only some of the files: each is pinned by itself */
    struct tally plan;
    struct table skipped; /* what failed, and directories that lead back up: not to be done in a later pass */
    struct list dirs, files; /* to do */
    struct list round;       /* directories of this round */
    struct throttle throttle;
    struct larder_mirror_stats stats;
    int status; /* of the first failure that counts */
    char *text;
    struct larder_loop *loop;
    struct edge_mail mail;
    struct group group;
    struct waiters room;
    struct post wake;
    /* both sides */
    atomic_uint letters;
    atomic_bool wake_posted, stopped;
    int stop; /* the caller's: what `completed` returned */
};

bool mirror_must_stop(const struct mirror *mirror);

/* ---- mirror_tree.c ---- */
#define LIST_JOBS 16
int mirror_add_dir(struct mirror *mirror, const char *path);
/* Move some directories into the round: how many. */
size_t mirror_take_round(struct mirror *mirror);
/* A page of one of them; for group_each. */
int CO_EDGE mirror_dir_job(void *arg, size_t index);
void mirror_skip(struct mirror *mirror, const char *path);
bool mirror_is_skipped(const struct mirror *mirror, const char *path);
void mirror_free_dirs(struct mirror *mirror);
void mirror_free_skipped(struct mirror *mirror);

/* ---- mirror_file.c ---- */
/* Of dir/info->name (either may be ""); counted in `tally`, or put on the list of files. */
int mirror_add_file(struct mirror *mirror, const char *dir, const struct larder_info *info,
                    struct tally *tally);
/* One of the files; for group_each. */
int CO_EDGE mirror_file_job(void *arg, size_t index);
/* Something else that failed is told of like a file. The current error text is its. */
int CO_FN mirror_settle_path(struct mirror *mirror, const char *dir, const char *name, int status);
void mirror_wake(struct post *post);
void mirror_free_files(struct mirror *mirror);

/* ---- mirror_gone.c ---- */
/* Ask for what is stored and in no listing any more; forget what the place has not. */
int CO_FN mirror_drop_gone(struct mirror *mirror);

#endif
