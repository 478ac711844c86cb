/* SPDX-License-Identifier: Apache-2.0 */
#include "txn/view.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "fs/gate.h"
#include "fs/instance.h"
#include "fs/option.h"
#include "task/loop.h"
#include "txn/view_parts.h"

/* ---- what it is a view of ---- */

struct member *txn_member_of(const struct larder_fs *fs)
{
    return fs->instance->backend == &txn_backend ? txn_view_of(fs->instance)->member : NULL;
}

bool txn_is_view(const struct larder_fs *fs)
{
    for (const struct instance *layer = fs->instance; layer;
         layer = layer->next ? layer->next->instance : NULL)
        if (layer->backend == &txn_backend)
            return true;
    return false;
}

/* ---- opening ---- */

static int view_open(struct instance *instance)
{
    struct txn_view *view = txn_view_of(instance);
    struct larder_capabilities *can = &instance->can;
    list_init(&view->staged);
    can->copy = false; /* the bytes come through here */
    if (!can->stage) {
        can->stage = true;
        can->part_size_min = 1;
        can->part_size_max = INT64_MAX;
        can->part_count_max = 0;
    }
    return 0;
}

static void view_close(struct instance *instance)
{
    struct txn_view *view = txn_view_of(instance);
    if (!view->member)
        return;
    txn_view_forget_dirs(view);
    txn_view_forget_staged(view);
    if (txn_of(view)->generation == process_generation())
        gate_leave(txn_view_next(view)); /* which stayed open for it */
    txn_unref(txn_of(view));
}

/* Its own, by no protocol: it is nobody's but the transaction's. */
static int open_instance(struct member *member, struct instance **out)
{
    struct instance *next = member->fs->instance;
    struct opening opening = {.backend = &txn_backend,
                              .loop = next->backend->kind == ASYNC ? next->loop : loop_meant(NULL),
                              .next = member->fs,
                              .values = options_new(&txn_backend),
                              .unshared = true};
    return opening.values ? instance_get(&opening, out) : fail_memory();
}

int txn_view_open(struct member *member)
{
    struct instance *instance, *next = member->fs->instance;
    int rc = gate_enter(next);
    if (rc < 0)
        return rc;
    rc = open_instance(member, &instance);
    if (rc < 0) {
        gate_leave(next);
        return rc;
    }
    txn_view_of(instance)->member = member;
    txn_ref(member->txn);
    return fs_new(instance, "", &member->view); /* which takes it over */
}

/* A reference to the view's instance, while there is one. */
static int take_instance(struct member *member, struct instance **out)
{
    int rc = txn_lock(member->txn, true);
    if (rc < 0)
        return rc;
    *out = instance_ref(member->view->instance);
    txn_unlock(member->txn);
    return 0;
}

int txn_view_handle(struct member *member, const struct larder_fs *fs, struct larder_fs **out)
{
    struct instance *instance;
    struct larder_fs *handle;
    int rc = take_instance(member, &instance);
    if (rc == 0)
        rc = fs_new(instance, fs->root, &handle);
    if (rc < 0)
        return rc;
    handle->terms = fs->terms;
    handle->timeout_ms = fs->timeout_ms;
    labels_fini(&handle->labels);
    rc = labels_copy(&handle->labels, &fs->labels);
    if (rc < 0)
        larder_fs_free(handle);
    else
        *out = handle;
    return rc;
}

/* ---- the table ---- */

/* Who is given the URL asks the place, which knows of no change. */
static int CO_FN txn_sign(struct instance *instance, const char *path, uint32_t expires_s, char **url)
{
    struct txn_view *view = txn_view_of(instance);
    autosight struct sight sight = {0};
    struct layer_call call = {LAYER_SIGN, txn_view_next(view), path, .expires_s = expires_s, .url = url};
    int rc = sight_glance(view, path, &sight);
    if (rc == 0 && sight.fate != OVERLAY_UNTOUCHED)
        rc = fail_at(instance, path, -ENOTSUP, "the transaction changes it, and has not committed");
    return rc < 0 ? rc : layer_call(&call);
}

/* Of a file of the place; what will be kept with one of the transaction's, the place says when it is there. */
static int CO_FN txn_properties(struct instance *instance, const char *path, struct larder_properties *out)
{
    struct txn_view *view = txn_view_of(instance);
    autosight struct sight sight = {0};
    int rc = sight_glance(view, path, &sight);
    if (rc == 0 && sight.fate != OVERLAY_UNTOUCHED)
        rc = fail_at(instance, path, -ENOTSUP, "the transaction changes it, and has not committed");
    return rc < 0 ? rc : layer_properties(txn_view_next(view), path, out);
}

static const struct option options[] = {{0}};
static const char *const protocols[] = {NULL};

const struct backend txn_backend = {
    .name = "txn",
    .protocols = protocols,
    .view = true,
    .opaque = true, /* copies and moves go through it, byte by byte (X1) */
    .kind = ASYNC,
    .size = sizeof(struct txn_view),
    .options = options,
    .open = view_open,
    .close = view_close,
    .look_info = txn_look_info,
    .look_read = txn_look_read,
    .info = txn_info,
    .list = txn_list,
    .read = txn_read,
    .write = txn_write,
    .remove = txn_remove,
    .mkdir = txn_mkdir,
    .rmdir = txn_rmdir,
    .touch = txn_touch,
    .sign = txn_sign,
    .properties = txn_properties,
    .stage = txn_stage,
    .stage_part = txn_stage_part,
    .publish = txn_publish,
    .discard = txn_discard,
};
