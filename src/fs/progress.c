/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/progress.h"

#include "base/list.h"

static void open_letter(struct letter *letter)
{
    struct progress *progress = container_of(letter, struct progress, letter);
    atomic_store(&progress->posted, false);
    progress->fn(progress->arg, atomic_load(&progress->done), atomic_load(&progress->total));
}

void progress_tell(struct progress *progress, int64_t done, int64_t total)
{
    if (!progress->fn)
        return;
    atomic_store(&progress->done, done);
    atomic_store(&progress->total, total);
    if (!atomic_exchange(&progress->posted, true))
        edge_mail_send(&progress->mail, &progress->letter);
}

/* A child, so that the calling task can open its letters. */
static int CO_FN run_child(struct progress *progress, larder_task_fn *fn, void *arg)
{
    edge_mail_open(&progress->mail);
    progress->letter.open = open_letter;
    group_init(&progress->group, GROUP_FIRST, 0);
    int rc = group_add(&progress->group, fn, arg);
    int served = edge_mail_serve(&progress->mail, &progress->group);
    return served < 0 ? served : rc;
}

/* fn is a task's function, of which the mark is lost. */
int CO_FN progress_run(struct progress *progress, larder_task_fn *fn, void *arg)
{
    return progress->fn ? run_child(progress, fn, arg) : fn(arg);
}
