/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_PROGRESS_H
#define FS_PROGRESS_H
/* News of how far a call is, told on its caller's side: one letter at a time, which has the latest. */
#include <stdatomic.h>

#include "larder/fs.h"

#include "task/loop.h"

struct progress {
    /* the caller's; `fn` NULL: nobody wants to know */
    larder_progress_fn *fn;
    void *arg;
    /* progress.c's */
    struct edge_mail mail;
    struct group group;
    struct letter letter;
    atomic_bool posted;
    _Atomic int64_t done, total;
};
/* Run fn(arg) in the calling task or, if somebody wants to know, as a child of it, while its letters are opened. */
int CO_FN progress_run(struct progress *progress, larder_task_fn *fn, void *arg);
/* Within fn, in any task of the loop. */
void progress_tell(struct progress *progress, int64_t done, int64_t total);

#endif
