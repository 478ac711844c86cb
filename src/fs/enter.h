/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_ENTER_H
#define FS_ENTER_H
/* How a public call gets from where its caller is to where it may run: the table in task/loop.h, for filesystems. */
#include <errno.h>

#include "fs/fs.h"
#include "fs/layer.h"

/*
 * Run one call of the table for the caller. `call` has all but instance and path set; `path` is as the user gave it.
 * The handle's timeout counts, the error text is cleared before and made sure of after.
 */
int enter_call(struct larder_fs *fs, const char *path, struct layer_call *call);
/* The same with a path that is full already, and any others that the call has. */
int enter_call_full(struct larder_fs *fs, const char *full, struct layer_call *call);
/* The full path of what the user gave (mem), and the terms of a read of it: the handle's, and what a slash behind the path,
 * or behind the URL of a handle whose root it names, says. */
int enter_resolve(const struct larder_fs *fs, const char *path, char **full, struct terms *terms);
/* Run fn(arg) as or in a task of the filesystem's loop, under the handle's timeout: what is more than one call.
 * `subject` is for error texts. */
int enter_task(struct larder_fs *fs, const char *subject, larder_task_fn *fn, void *arg);
/* The same without the timeout, for batches, where it is each item's. */
int enter_task_untimed(struct larder_fs *fs, const char *subject, larder_task_fn *fn, void *arg);
/* 0, or a failure with text, for what a caller at this place may not ask of `fs` (-EDEADLK), or while it is not open
 * (-ENOTCONN). From begin to end it stays open: around what of a call is done outside of the functions above. */
int enter_begin(const struct larder_fs *fs, const char *subject);
void enter_end(const struct larder_fs *fs);
/* The same for two filesystems, and which of them is the one whose loop carries what goes on between them: the ASYNC
 * one, or any. -EXDEV: they are bound to different loops. */
int enter_begin_two(struct larder_fs *a, struct larder_fs *b, const char *subject,
                    struct larder_fs **carrier);
void enter_end_two(struct larder_fs *a, struct larder_fs *b);
/* enter_begin and enter_end: to know it before anything is done. */
int enter_check(const struct larder_fs *fs, const char *subject);
/* As enter_task_untimed, by who is inside already, or needs not be. */
int enter_inside(struct larder_fs *fs, const char *subject, larder_task_fn *fn, void *arg);
/* A reference to the loop that does the work on `fs`: its own, or if it has none the one in use. */
int enter_loop(const struct larder_fs *fs, struct larder_loop **out);
/* Start fn(arg) as a task of the filesystem's loop, which is inside until it calls enter_end. Does not wait. */
int enter_spawn(struct larder_fs *fs, const char *subject, larder_task_fn *fn, void *arg,
                struct larder_task **out);
/* May the caller, who has come in, do by himself what blocks: on a thread, at a place that needs no task? */
bool enter_is_direct(const struct larder_fs *fs);
/* fn(arg), which computes for long or blocks, for a caller who may wait: a thread's right there, a task's on a worker. */
int enter_work(work_fn *fn, void *arg);

/* What writing calls take of larder_write_flags. */
#define WRITE_FLAGS (LARDER_CREATE | LARDER_PARENTS | LARDER_SYNC)

/* The directory at the full path and its parents; there already: 0. -ENOTDIR: a file is in the way. Of `flags`
 * LARDER_SYNC: those that are made have their names on the disk. */
int CO_FN dirs_make(struct instance *instance, const char *path, unsigned flags);
/* A write failed with `rc`: may it go with the directories made that LARDER_PARENTS speaks of? Where none is required,
 * what is missing is what a write never makes: a bucket. */
static inline bool dirs_are_missing(const struct instance *instance, int rc, unsigned flags)
{
    return rc == -ENOENT && (flags & LARDER_PARENTS) && instance->can.parents_required;
}
/* dirs_make of the parent. */
int CO_FN dirs_make_parents(struct instance *instance, const char *path, unsigned flags);
/* Before something is put at the full path: while a task of this loop makes a directory above it, wait. */
int CO_FN dirs_await(struct instance *instance, const char *path);

/* larder_makedirs, with LARDER_SYNC or without. */
int enter_makedirs(struct larder_fs *fs, const char *path, bool exist_ok, unsigned flags);

#endif
