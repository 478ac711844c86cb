/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_RSYNC_H
#define FS_RSYNC_H
/*
 * One tree made like another: a copy (fs/copy.h) whose steps come from comparing two trees, and a removal behind it.
 *
 *     rsync.c         the call
 *     rsync_plan.c    the caller's side: pairs of directories are listed, some at once, and merged by name
 *     rsync_check.c   the tasks: what listings leave open
 *     rsync_remove.c  the caller's side: what is extra, collected and removed
 *
 *     todo ──▶ both listed ──▶ merged: same; step; step with `check` ──▶ the crew
 *      ▲                         │└──▶ extra ──▶ removed once the crew has ended, and nothing has failed
 *      └── directories below ◀───┘
 */
#include "larder/rsync.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/filter.h"
#include "base/list.h"
#include "fs/copy.h"
#include "fs/fs.h"

struct pair;

/* What only the target has. Paths are relative to its handle. */
struct extras {
    struct buffer files;    /* names, a NUL behind each */
    size_t count;           /* of them */
    struct arena dirs;      /* struct extra_dir … */
    struct extra_dir *last; /* … the last one first, so that what is in one comes before it */
    int failures;           /* of removals */
};

struct rsync {
    struct copy_job job;
    struct larder_rsync_options options;
    struct filter filter;
    bool filtered;             /* something may be left out */
    char *source, *target;     /* clean, relative to their handles; mem */
    char *from_root, *to_root; /* the same, full; mem */
    struct terms from_terms, to_terms;

    /* the caller's side */
    struct list todo;          /* pairs to be listed, the next ones at the end */
    struct list listed;        /* and to be merged */
    char *from_path, *to_path; /* of the step at hand; mem */
    struct extras extras;
    bool failed; /* something has: nothing is removed any more */
};

/* The first pair: the trees themselves. */
int rsync_plan_begin(struct rsync *rsync);
int rsync_next(struct copy_job *job, struct copy_step *out);
void rsync_plan_fini(struct rsync *rsync);

enum rsync_verdict { RSYNC_SAME, RSYNC_DIFFERS, RSYNC_UNSURE };
/* By what listings say. */
enum rsync_verdict rsync_judge(const struct rsync *rsync, const struct copy_facts *here,
                               const struct copy_facts *there);
/* A copy_job's: asks for what is not known. */
int CO_EDGE rsync_differs(struct copy_job *job, const struct copy_step *step, const char *from,
                          const char *to);

/* Found to be extra: 0, or a failure. `above`: the directory that it is in, if that is extra as well. */
int extras_add_file(struct rsync *rsync, const char *path);
int extras_add_dir(struct rsync *rsync, const char *path, struct extra_dir *above, struct extra_dir **out);
/* Something in it is left alone, so that it stays, and those above. NULL is fine. */
void extras_spare(struct extra_dir *dir);
/* It is time to remove files, since there are so many. */
bool extras_are_many(const struct extras *extras);
/* 0, what the callback returned, or the failure that ends the call. */
int extras_remove_files(struct rsync *rsync);
int extras_remove_dirs(struct rsync *rsync);
void extras_fini(struct extras *extras);

/* What is at `path` in the target is in the way of something, and is removed, whatever it is. Results alike. */
int rsync_make_way(struct rsync *rsync, const char *path, const struct larder_info *info);

#endif
