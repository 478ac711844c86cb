/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LARDER_COPY_H
#define LARDER_COPY_H
/*
 * Files from place to place: within one, between any two, to and from local disks.
 *
 * Within a place that copies by itself (capability `copy`) no byte passes through this machine; else files are streamed,
 * never whole in memory. What is copied is one version of its file (-ESTALE: it changed meanwhile), and its target is
 * replaced at one moment, or not at all: a copy that fails, or is cancelled, leaves nothing behind. A file onto itself
 * stays as it is.
 *
 * Two filesystems that both work on a loop (larder_fs_is_async) must share it, else -EXDEV. The handles' timeouts do not
 * count: what goes on takes as long as it takes, and what stands still is ended by its place.
 */
#include "larder/fs.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- one file ---- */

/*
 * Copy one file; `flags` as for larder_pipe_file, `progress` may be NULL. -ENOENT: there is no such file, or the target's
 * directory is missing and LARDER_PARENTS was not given; -EISDIR: one of them is a directory. (fsspec: cp_file)
 */
LARDER_API LARDER_WAITS int larder_cp_file(struct larder_fs *from, const char *path, struct larder_fs *to,
                                           const char *target, unsigned flags, larder_progress_fn *progress,
                                           void *arg);
/* The same with a local file, by its path on this machine. (fsspec: get_file, put_file) */
LARDER_API LARDER_WAITS int larder_get_file(struct larder_fs *from, const char *path, const char *local_path,
                                            unsigned flags, larder_progress_fn *progress, void *arg);
LARDER_API LARDER_WAITS int larder_put_file(const char *local_path, struct larder_fs *to, const char *target,
                                            unsigned flags, larder_progress_fn *progress, void *arg);

/* ---- many files ---- */

/* What a copy tells of, in this order for each file: begun, moved …, done. */
enum larder_copy_event {
    LARDER_COPY_PLANNED = 1, /* more is known of what there is to do: the totals grew */
    LARDER_COPY_BEGUN,
    LARDER_COPY_MOVED, /* bytes of it came */
    LARDER_COPY_DONE,  /* with its status */
    LARDER_COPY_SKIPPED, /* what is no file: a device, a link that leads nowhere or back up; `status` says which */
    LARDER_COPY_SAME,    /* larder_rsync: it needs no copying */
    LARDER_COPY_REMOVED, /* larder_rsync: the target had it, and the source had not; `from` is NULL */
};
struct larder_copy_news {
    enum larder_copy_event event;
    /* of one file, or a directory that is made; not of PLANNED */
    const char *from, *to; /* relative to their handles, but a local file's whole name with larder_get
                            * and larder_put; borrowed. `to` is NULL where nobody knows: of a source that
                            * could not be looked at */
    enum larder_type type;
    int64_t done, size; /* bytes; -1: not known (yet) */
    int status;
    /* of the whole call */
    uint64_t files_planned, files_done,
        files_failed;                   /* directories count as files do; done: with any status */
    int64_t bytes_planned, bytes_done;  /* as far as listings tell sizes */
    bool planned;                       /* all of it: the planned ones will not grow */
    uint64_t files_same, files_removed; /* of larder_rsync */
};
/*
 * Called on the caller's side, as a batch's callback is: it may take its time and call any function of Larder, and
 * non-zero stops the copy, which then returns that value. larder_error() speaks of the status.
 */
typedef int larder_copy_fn(void *arg, const struct larder_copy_news *news);

struct larder_copy_options {
    size_t size;
    bool glob;      /* sources are patterns, as of larder_glob */
    bool recursive; /* directories too, with all below them; else they are left out */
    unsigned
        maxdepth; /* 1: a directory's own files; what a pattern matched counts as one level; 0: no limit */
    bool into;   /* the target is a directory, into which each source goes under its last segment; so it is in
                          any case where there are several sources */
    bool create; /* never overwrite: -EEXIST */
    bool sync;   /* on the disk before a file counts as done (local targets) */
    enum larder_on_error on_error;
    unsigned jobs_max;    /* files under way at once; 0: 64 */
    uint64_t bytes_max;   /* of memory for all that are under way; 0: 64 MiB */
    larder_copy_fn *told; /* may be NULL */
    void *arg;
};

/*
 * Copy files and trees from a place to a place. Where they go is fsspec's rule, in which slashes at the end count:
 *
 *     one source, a file     to TARGET/name where TARGET is a directory, or has a slash behind it; else to TARGET
 *     a directory            its contents to TARGET/name where TARGET is a directory and the source has no slash behind
 *                            it; else to TARGET itself
 *     a pattern              what it matches to TARGET: one file under its name, several by what is behind the path
 *                            that all have in common
 *     several, or `into`     each to TARGET/name; the contents of a directory with a slash behind it, to TARGET
 *
 * Directories are made as needed, empty ones where the target has real directories (with a maxdepth: none but for files);
 * links are followed. Two sources that would go to one name are -EEXIST in any mode, before anything is copied; of the
 * contents of several directories, the second file of a name fails by itself, when it is found. A tree is not copied into itself (-EINVAL). A directory
 * without `recursive` is passed over, and so is nothing to do: 0. But a source that is missing is a failure, as on_error
 * says; -ENOENT: a pattern matches nothing. In any mode each file's status is told, and with LARDER_RETURN the count of
 * those that failed is returned. (fsspec: copy)
 */
LARDER_API LARDER_WAITS int larder_copy(struct larder_fs *from, const char *const sources[], size_t count,
                                        struct larder_fs *to, const char *target,
                                        const struct larder_copy_options *options);
/*
 * The same with a local side, whose paths are those of this machine; of a pattern only what is given is one, not the
 * working directory. A process that is killed may leave a file that it was writing, beside the target under a name that
 * no listing of Larder shows: ".larder-" and 16 hexadecimal digits. (fsspec: get, put)
 */
LARDER_API LARDER_WAITS int larder_get(struct larder_fs *from, const char *const sources[], size_t count,
                                       const char *local_target, const struct larder_copy_options *options);
LARDER_API LARDER_WAITS int larder_put(const char *const local_sources[], size_t count, struct larder_fs *to,
                                       const char *target, const struct larder_copy_options *options);

/*
 * Copy each source to its own target, and nothing else: no patterns, no directories to go into; a source that is a
 * directory makes one of its target. Of the options glob, recursive, maxdepth and into must not be set. `status` as for
 * the items of a batch. (fsspec: copy of a list to a list)
 */
struct larder_copy_pair {
    const char *from, *to; /* in */
    int status;            /* out; -ECANCELED if it was never tried */
};
LARDER_API LARDER_WAITS int larder_copy_pairs(struct larder_fs *from, struct larder_fs *to,
                                              struct larder_copy_pair *pairs, size_t count,
                                              const struct larder_copy_options *options);

/*
 * Move files and whole directories: within a place by the place itself, at one moment each; else they are copied, and
 * what was copied is removed once all of it is there (a failure leaves the source as it was). A file that changed after it
 * was copied stays, and is -ESTALE. A source goes to TARGET/name where TARGET is a directory, else to TARGET; slashes
 * behind sources mean nothing; a pattern's matches go to TARGET/name. -EEXIST: a directory is in the way of one, or two
 * would go to one name; -EINVAL: into itself; onto itself is nothing to do. Directories are not made, but for a TARGET
 * with a slash behind it. `recursive` and `maxdepth` must not be set. (fsspec: mv)
 */
LARDER_API LARDER_WAITS int larder_mv(struct larder_fs *from, const char *const sources[], size_t count,
                                      struct larder_fs *to, const char *target,
                                      const struct larder_copy_options *options);

#ifdef __cplusplus
}
#endif
#endif
