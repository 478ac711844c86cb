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
#include "fs/progress.h"
#include "fs/transfer.h"

struct copy_call {
    struct transfer transfer;
    struct progress progress;
};

static void moved(struct transfer *transfer)
{
    struct copy_call *call = container_of(transfer, struct copy_call, transfer);
    progress_tell(&call->progress, transfer->done, transfer->total);
}

static int CO_FN copy(struct copy_call *call)
{
    return transfer_file(&call->transfer);
}

static int CO_EDGE copy_task(void *arg)
{
    return copy(arg);
}

static int CO_FN copy_with_news(struct copy_call *call)
{
    return progress_run(&call->progress, copy_task, call);
}

static int CO_EDGE copy_with_news_task(void *arg)
{
    return copy_with_news(arg);
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
    return rc == -EXDEV || dirs_are_missing(to->instance, rc, flags) ? -ENOTSUP : rc;
}

static int copy_streamed(struct larder_fs *carrier, struct copy_call *call, const char *subject)
{
    return enter_inside(carrier, subject, copy_with_news_task, call);
}

int larder_cp_file(struct larder_fs *from, const char *path, struct larder_fs *to, const char *target,
                   unsigned flags, larder_progress_fn *progress, void *arg)
{
    autofree char *full = NULL, *full_target = NULL;
    struct larder_fs *carrier;
    struct terms terms;
    error_clear();
    int rc = flags & ~(unsigned)WRITE_FLAGS ? fail(-EINVAL, "%s: unknown flags", path) : 0;
    if (rc == 0)
        rc = enter_resolve(from, path, &full, &terms);
    if (rc == 0)
        rc = path_resolve(to->root, target, &full_target, NULL);
    if (rc == 0)
        rc = enter_begin_two(from, to, path, &carrier);
    if (rc < 0)
        return rc;
    struct copy_call call = {.progress = {.fn = progress, .arg = arg}};
    call.transfer = (struct transfer){.from = from->instance,
                                      .to = to->instance,
                                      .path = full,
                                      .target = full_target,
                                      .terms = &terms,
                                      .flags = flags,
                                      .labels = &to->labels,
                                      .moved = progress ? moved : NULL,
                                      .total = LARDER_SIZE_UNKNOWN};
    rc = progress || terms.directory ? -ENOTSUP : copy_at_once(from, full, to, full_target, flags);
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
