/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories with their parents. Of the tasks of a loop that want the same one at once, one makes it, and it is over for
 * all of them together: each asking is a request, and a server that is asked by several refuses some (nginx: 409). All but
 * the last directory of larder_makedirs: who asks for that one hears whether it is his.
 *
 *     dirs_make     nobody makes it ──▶ it is in the list while this task does ──▶ its status is that of all who wait
 *                   somebody does   ──▶ wait; if he was cancelled, begin again: the first makes it. If he had no more
 *                                       time, each for himself: one after the other would wait for all before him
 *     dirs_await    what goes below a directory that is being made had better wait than be refused
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "fs/enter.h"
#include "task/loop.h"

/* ---- those in the making ---- */

struct making { /* held by who makes it, and by each who waits */
    struct list node;
    struct instance *instance;
    unsigned flags, references;
    bool ended;
    int status;
    char *text; /* of a failure; mem */
    struct waiters changed;
    char path[];
};
struct makings { /* of a loop */
    struct loop_part part;
    struct list list;
};

static const char makings_kind; /* its address */

static void close_makings(struct loop_part *part)
{
    mem_free(container_of(part, struct makings, part));
}

static struct makings *makings_of(struct larder_loop *loop)
{
    struct loop_part *part = loop_part_find(loop, &makings_kind);
    if (part)
        return container_of(part, struct makings, part);
    struct makings *makings = mem_zero(sizeof *makings);
    if (makings) {
        list_init(&makings->list);
        loop_part_add(loop, &makings->part, &makings_kind, close_makings);
    }
    return makings;
}

static void leave(struct making *making)
{
    if (--making->references > 0)
        return;
    mem_free(making->text);
    mem_free(making);
}

/* 0 when it has ended, however; its status and words are the caller's to take before he leaves. */
static int CO_FN wait_for(struct making *making)
{
    int rc = 0;
    making->references++;
    while (rc == 0 && !making->ended)
        rc = waiters_wait(&making->changed);
    return rc;
}

/* One that `path` is below. */
static struct making *find_above(const struct makings *makings, const struct instance *instance,
                                 const char *path)
{
    list_for_each (node, &makings->list) {
        struct making *making = container_of(node, struct making, node);
        bool above = path_within(making->path, path) && strcmp(making->path, path) != 0;
        if (making->instance == instance && above)
            return making;
    }
    return NULL;
}

int CO_FN dirs_await(struct instance *instance, const char *path)
{
    const struct makings *makings = makings_of(task_loop(task_current()));
    struct making *making;
    int rc = makings ? 0 : fail_memory();
    while (rc == 0 && (making = find_above(makings, instance, path))) {
        rc = wait_for(making);
        leave(making);
    }
    return rc;
}

/* ---- making ---- */

/* mkdir said that something is at `path`: a directory is what was wanted, else `status`. */
static int CO_FN must_be_directory(struct instance *instance, const char *path, int status)
{
    struct answer answer = {0};
    struct terms terms = TERMS_NONE;
    int rc = layer_info(instance, path, &terms, &answer);
    if (rc == 0 && answer.info.type != LARDER_DIRECTORY)
        rc = fail_at(instance, path, status, "a file is in the way");
    answer_free(&answer);
    return rc;
}

/* -EEXIST: something is there. */
static int CO_FN make_with_parents(struct instance *instance, const char *path, unsigned flags)
{
    unsigned table_flags = flags & LARDER_SYNC;
    if (!*path)
        return fail(-EEXIST, "the root: it exists");
    int rc = layer_mkdir(instance, path, table_flags);
    if (rc != -ENOENT)
        return rc;
    rc = dirs_make_parents(instance, path, flags);
    return rc < 0 ? rc : layer_mkdir(instance, path, table_flags);
}

static int CO_FN make_or_find(struct instance *instance, const char *path, unsigned flags)
{
    int rc = make_with_parents(instance, path, flags);
    return rc == -EEXIST ? must_be_directory(instance, path, -ENOTDIR) : rc;
}

/* Others find it in `makings` meanwhile. */
static int CO_FN make_here(struct makings *makings, struct instance *instance, const char *path,
                           unsigned flags)
{
    size_t size = strlen(path) + 1;
    struct making *making = mem_zero(sizeof *making + size);
    if (!making)
        return fail_memory();
    making->instance = instance;
    making->flags = flags;
    making->references = 1;
    memcpy(making->path, path, size);
    waiters_init(&making->changed);
    list_push(&makings->list, &making->node);
    int rc = dirs_await(instance, path); /* what goes below waits for this one from now on */
    if (rc == 0)
        rc = make_or_find(instance, path, flags);
    list_remove(&making->node);
    making->ended = true;
    making->status = rc;
    making->text = rc < 0 ? mem_dup(error_text()) : NULL;
    waiters_wake(&making->changed);
    leave(making);
    return rc;
}

static struct making *find(const struct makings *makings, const struct instance *instance, const char *path,
                           unsigned flags)
{
    list_for_each (node, &makings->list) {
        struct making *making = container_of(node, struct making, node);
        if (making->instance == instance && making->flags == flags && strcmp(making->path, path) == 0)
            return making;
    }
    return NULL;
}

int CO_FN dirs_make(struct instance *instance, const char *path, unsigned flags)
{
    struct makings *makings = makings_of(task_loop(task_current()));
    if (!*path)
        return 0;
    if (!makings)
        return fail_memory();
    flags &= LARDER_SYNC;
    for (struct making *making; (making = find(makings, instance, path, flags));) {
        int rc = wait_for(making), status = making->status;
        if (rc == 0)
            error_set_text(making->text);
        leave(making);
        if (rc < 0)
            return rc;
        if (status != -ECANCELED)
            return status == -ETIMEDOUT ? make_or_find(instance, path, flags) : status;
    }
    return make_here(makings, instance, path, flags);
}

int CO_FN dirs_make_parents(struct instance *instance, const char *path, unsigned flags)
{
    autofree char *parent = mem_dup_n(path, path_parent_size(path));
    return parent ? dirs_make(instance, parent, flags) : fail_memory();
}

/* ---- the call ---- */

struct make_call {
    struct larder_fs *fs;
    const char *path;
    bool exist_ok;
    unsigned flags;
};

static int CO_FN make(struct make_call *call)
{
    struct instance *instance = call->fs->instance;
    int rc = make_with_parents(instance, call->path, call->flags);
    return rc == -EEXIST && call->exist_ok ? must_be_directory(instance, call->path, -EEXIST) : rc;
}

static int CO_EDGE make_task(void *arg)
{
    return make(arg);
}

int enter_makedirs(struct larder_fs *fs, const char *path, bool exist_ok, unsigned flags)
{
    autofree char *full = NULL;
    int rc = path_resolve(fs->root, path, &full, NULL);
    if (rc < 0)
        return rc;
    struct make_call call = {fs, full, exist_ok, flags};
    return enter_task(fs, path, make_task, &call);
}

int larder_makedirs(struct larder_fs *fs, const char *path, bool exist_ok)
{
    return enter_makedirs(fs, path, exist_ok, 0);
}
