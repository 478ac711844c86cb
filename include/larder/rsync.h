/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LARDER_RSYNC_H
#define LARDER_RSYNC_H
/*
 * One tree made like another: between any two places, sending only what differs.
 *
 * Both trees are listed, directory by directory, and compared by the name of each entry. What is the same stays, what
 * differs or is missing is copied as larder_copy copies (one version, which appears at one moment, or not at all), and
 * what only the target has is removed if that is asked for. How much memory it takes depends on the largest directory,
 * not on the tree.
 */
#include "larder/copy.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * When are two files the same?
 *
 *   SIZE_AND_TIME   their sizes are, and their times. A target that can be told when a file was changed (capability
 *                   touch: memory, local disks) is told the source's time, and then both have to be equal, as exactly as
 *                   the coarser of them is. Any other says when it was written: its copy must not be older than the source
 *   CHECKSUM        their sizes are, and the SHA-256 of all their bytes, which are read on both sides
 *   SIZE            their sizes are, which misses changes that keep the size
 *
 * Where one of the two has no time, sizes alone decide; where one has no size, times alone. Listings over http are no more
 * than a hint: unless they agree with the target in all, the server is asked for each file.
 */
enum larder_compare { LARDER_SIZE_AND_TIME = 0, LARDER_CHECKSUM = 1, LARDER_SIZE = 2 };

struct larder_rsync_options {
    size_t size;
    enum larder_compare compare;
    bool remove_extra; /* what the source has not, is removed from the target */
    bool dry_run;      /* nothing is changed; what would be is told, as if it had been done */
    bool sync;         /* on the disk before a file counts as done (local targets) */
    /* NULL-ended lists of patterns of paths below the trees, as those of a mirror (cache.h); NULL: none. What they leave
     * out is left alone on both sides. */
    const char *const *include, *const *exclude;
    enum larder_on_error on_error;
    unsigned jobs_max;  /* files under way at once; 0: 64 */
    uint64_t bytes_max; /* of memory for all that are under way; 0: 64 MiB */
    larder_copy_fn
        *told; /* may be NULL. Files that are the same are LARDER_COPY_SAME, what is removed _REMOVED */
    void *arg;
};

/*
 * Make the directory `target` like the directory `source`; the target is made if it is missing. -ENOENT, -ENOTDIR: the
 * source is no directory, and nothing was changed. -EINVAL: one of the two lies in the other; a tree onto itself is 0.
 *
 * Directories are made, empty ones too where the target has real directories, but with `include` only for files. Links
 * of the source are followed; devices, and links that lead nowhere or back up, are told as skipped, and what the target
 * has in their place stays. Links to directories in the target are followed, but nothing behind them is removed: of a
 * link that is extra only itself.
 *
 * A file where the source has a directory is replaced. A directory where the source has a file is removed with all below it
 * only with `remove_extra` and without patterns, else that file fails with -EISDIR. All else that is extra is removed when
 * everything was copied (where it is very much, in several goes before that), and once anything has failed nothing more
 * is.
 *
 * A failure is of one file or directory, and does what on_error says; what went away meanwhile is missing. With
 * LARDER_RETURN the count of those that failed is returned. (fsspec: generic.rsync)
 */
LARDER_API LARDER_WAITS int larder_rsync(struct larder_fs *from, const char *source, struct larder_fs *to,
                                         const char *target, const struct larder_rsync_options *options);

#ifdef __cplusplus
}
#endif
#endif
