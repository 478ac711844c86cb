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

#ifdef __cplusplus
}
#endif
#endif
