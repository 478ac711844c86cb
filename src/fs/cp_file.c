/* SPDX-License-Identifier: Apache-2.0 */
/* One file, from a place to a place. */
#include "larder/copy.h"

#include <errno.h>

#include "base/error.h"
#include "base/list.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/enter.h"
#include "fs/local_side.h"
#include "fs/transfer.h"
#include "task/loop.h"

struct copy_call {
    struct transfer transfer;
    larder_progress_fn *progress;
    void *arg;
    struct edge_mail mail;
    struct group group;
    /* news on their way to the caller's side; one letter at a time, which has the latest */
    struct letter letter;
    atomic_bool posted;
    _Atomic int64_t done, total;
};

/* ---- progress ---- */

static void progress_open(struct letter *letter)
{
    struct copy_call *call = container_of(letter, struct copy_call, letter);
    atomic_store(&call->posted, false);
    call->progress(call->arg, atomic_load(&call->done), atomic_load(&call->total));
}

static void moved(struct transfer *transfer)
{
    struct copy_call *call = container_of(transfer, struct copy_call, transfer);
    atomic_store(&call->done, transfer->done);
    atomic_store(&call->total, transfer->total);
    if (!atomic_exchange(&call->posted, true))
        edge_mail_send(&call->mail, &call->letter);
}

static int CO_FN copy(struct copy_call *call)
{
    return transfer_file(&call->transfer);
}

static int CO_EDGE copy_task(void *arg)
{
    return copy(arg);
}

/* The copy is a child, so that this task can open its letters. */
static int CO_FN copy_with_mail(struct copy_call *call)
{
    edge_mail_open(&call->mail);
    call->letter.open = progress_open;
    call->transfer.moved = moved;
    group_init(&call->group, GROUP_FIRST, 0);
    int rc = group_add(&call->group, copy_task, call);
    int served = edge_mail_serve(&call->mail, &call->group);
    return served < 0 ? served : rc;
}

static int CO_EDGE copy_with_mail_task(void *arg)
{
    return copy_with_mail(arg);
}

/* ---- the call ---- */

/* Where no byte passes through here it is one call of the table. -ENOTSUP: it is not so simple. */
static int copy_at_once(struct larder_fs *from, const char *path, struct larder_fs *to, const char *target,
                        unsigned flags)
{
    struct layer_call call = {LAYER_COPY, .to = target, .flags = flags & ~(unsigned)LARDER_PARENTS,
                              .labels = &to->labels};
    if (!layer_same_place(from->instance, to->instance) || !layer_has(to->instance, LAYER_COPY))
        return -ENOTSUP;
    int rc = enter_call_full(to, path, &call);
    return rc == -EXDEV || (rc == -ENOENT && (flags & LARDER_PARENTS)) ? -ENOTSUP : rc;
}

static int copy_streamed(struct larder_fs *carrier, struct copy_call *call, const char *subject)
{
    larder_task_fn *fn = call->progress ? copy_with_mail_task : copy_task;
    return enter_inside(carrier, subject, fn, call);
}

int larder_cp_file(struct larder_fs *from, const char *path, struct larder_fs *to, const char *target,
                   unsigned flags, larder_progress_fn *progress, void *arg)
{
    autofree char *full = NULL, *full_target = NULL;
    struct larder_fs *carrier;
    error_clear();
    int rc = flags & ~(unsigned)WRITE_FLAGS ? fail(-EINVAL, "%s: unknown flags", path) : 0;
    if (rc == 0)
        rc = path_resolve(from->root, path, &full, NULL);
    if (rc == 0)
        rc = path_resolve(to->root, target, &full_target, NULL);
    if (rc == 0)
        rc = enter_begin_two(from, to, path, &carrier);
    if (rc < 0)
        return rc;
    struct copy_call call = {.progress = progress, .arg = arg};
    call.transfer = (struct transfer){.from = from->instance,
                                      .to = to->instance,
                                      .path = full,
                                      .target = full_target,
                                      .terms = &from->terms,
                                      .flags = flags,
                                      .labels = &to->labels,
                                      .total = LARDER_SIZE_UNKNOWN};
    rc = progress ? -ENOTSUP : copy_at_once(from, full, to, full_target, flags);
    if (rc == -ENOTSUP)
        rc = copy_streamed(carrier, &call, path);
    enter_end_two(from, to);
    if (rc == 0 && progress)
        progress(arg, call.transfer.done, call.transfer.done);
    return rc;
}

/* One side of a get or a put. */
static int with_local_side(const char *local_path, struct larder_fs *other, const char *path, bool get,
                           unsigned flags, larder_progress_fn *progress, void *arg)
{
    autofree char *full = NULL;
    struct larder_fs *local;
    error_clear();
    int rc = local_side_open(local_path, &local, &full);
    if (rc < 0)
        return rc;
    rc = get ? larder_cp_file(other, path, local, full, flags, progress, arg)
             : larder_cp_file(local, full, other, path, flags, progress, arg);
    larder_fs_free(local);
    return rc;
}

int larder_get_file(struct larder_fs *from, const char *path, const char *local_path, unsigned flags,
                    larder_progress_fn *progress, void *arg)
{
    return with_local_side(local_path, from, path, true, flags, progress, arg);
}

int larder_put_file(const char *local_path, struct larder_fs *to, const char *target, unsigned flags,
                    larder_progress_fn *progress, void *arg)
{
    return with_local_side(local_path, to, target, false, flags, progress, arg);
}
