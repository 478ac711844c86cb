/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/enter.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/gate.h"
#include "task/loop.h"

static bool is_async(const struct larder_fs *fs)
{
    return fs->instance->backend->kind == ASYNC;
}

static int check_caller(const struct larder_fs *fs, const char *subject)
{
    enum edge where = edge_where(fs->instance->loop);
    bool allowed = where == EDGE_THREAD || where == EDGE_TASK || (where == EDGE_FOREIGN && !is_async(fs));
    return allowed ? 0 : edge_refuse(where, subject);
}

int enter_begin(const struct larder_fs *fs, const char *subject)
{
    int rc = check_caller(fs, subject);
    return rc < 0 ? rc : gate_enter(fs->instance);
}

void enter_end(const struct larder_fs *fs)
{
    gate_leave(fs->instance);
}

int enter_check(const struct larder_fs *fs, const char *subject)
{
    int rc = enter_begin(fs, subject);
    if (rc == 0)
        enter_end(fs);
    return rc;
}

int enter_begin_two(struct larder_fs *a, struct larder_fs *b, const char *subject, struct larder_fs **carrier)
{
    int rc = check_caller(a, subject);
    if (rc == 0)
        rc = check_caller(b, subject);
    if (rc == 0 && is_async(a) && is_async(b) && !loop_is_same(a->instance->loop, b->instance->loop))
        rc = fail(-EXDEV, "%s: from and to a place of another loop", subject);
    if (rc == 0)
        rc = gate_enter(a->instance);
    if (rc < 0)
        return rc;
    rc = gate_enter(b->instance);
    if (rc < 0)
        gate_leave(a->instance);
    *carrier = is_async(a) ? a : b;
    return rc;
}

void enter_end_two(struct larder_fs *a, struct larder_fs *b)
{
    enter_end(a);
    enter_end(b);
}

int tuning_take(void *out, size_t out_size, const void *given)
{
    size_t size = given ? *(const size_t *)given : 0;
    if (given && size < sizeof size)
        return fail(-EINVAL, "a struct of options whose size is not set");
    if (given)
        memcpy(out, given, size < out_size ? size : out_size);
    return 0;
}

int tuning_check(const void *out)
{
    bool sized = !out || *(const size_t *)out >= sizeof(size_t);
    return sized ? 0 : fail(-EINVAL, "a struct for results whose size is not set");
}

void tuning_give(void *out, void *made, size_t made_size)
{
    if (!out)
        return;
    size_t size = *(const size_t *)out;
    *(size_t *)made = size;
    memcpy(out, made, size < made_size ? size : made_size);
}

/* ---- in a task, under the timeout ---- */

struct timed {
    struct larder_fs *fs;
    int64_t timeout_ms;
    const char *subject;
    larder_task_fn *fn;
    void *arg;
};

static int CO_FN run_timed(struct timed *timed)
{
    struct deadline deadline;
    int rc;
    if (timed->timeout_ms <= 0)
        return timed->fn(timed->arg);
    deadline_begin(&deadline, (uint64_t)timed->timeout_ms);
    rc = timed->fn(timed->arg);
    return deadline_end(&deadline, rc, timed->subject);
}

static int CO_EDGE timed_task(void *arg)
{
    return run_timed(arg);
}

/* The caller was found to be a task that may do this. */
static int CO_EDGE in_this_task(struct timed *timed)
{
    return run_timed(timed);
}

int enter_loop(const struct larder_fs *fs, struct larder_loop **out)
{
    struct larder_loop *loop = fs->instance->loop;
    if (!loop && !is_async(fs))
        return loop_choose(NULL, out);
    if (!loop)
        loop = larder_loop_default();
    *out = loop ? loop_ref(loop) : NULL;
    return loop ? 0 : fail(-ENOMEM, "no loop could be made");
}

/* A thread's or a task's; the error text is not touched. */
static int run(struct timed *timed)
{
    struct larder_loop *loop;
    if (edge_where(timed->fs->instance->loop) != EDGE_THREAD)
        return in_this_task(timed);
    int rc = enter_loop(timed->fs, &loop);
    if (rc < 0)
        return rc;
    rc = edge_run(loop, timed_task, timed);
    loop_unref(loop);
    return rc;
}

static int enter(struct timed *timed)
{
    error_clear();
    int rc = enter_begin(timed->fs, timed->subject);
    if (rc < 0)
        return rc;
    rc = run(timed);
    enter_end(timed->fs);
    return error_finish(rc, timed->subject);
}

int enter_task(struct larder_fs *fs, const char *subject, larder_task_fn *fn, void *arg)
{
    struct timed timed = {fs, fs->timeout_ms, subject, fn, arg};
    return enter(&timed);
}

int enter_task_untimed(struct larder_fs *fs, const char *subject, larder_task_fn *fn, void *arg)
{
    struct timed timed = {fs, 0, subject, fn, arg};
    return enter(&timed);
}

int enter_inside(struct larder_fs *fs, const char *subject, larder_task_fn *fn, void *arg)
{
    struct timed timed = {fs, 0, subject, fn, arg};
    error_clear();
    int rc = check_caller(fs, subject);
    return rc < 0 ? rc : error_finish(run(&timed), subject);
}

int enter_spawn(struct larder_fs *fs, const char *subject, larder_task_fn *fn, void *arg,
                struct larder_task **out)
{
    int rc = enter_begin(fs, subject);
    if (rc < 0)
        return rc;
    struct larder_loop *loop = NULL;
    rc = enter_loop(fs, &loop);
    if (rc == 0)
        rc = larder_spawn(loop, fn, arg, NULL, NULL, out);
    loop_unref(loop);
    if (rc < 0)
        enter_end(fs);
    return rc;
}

bool enter_is_direct(const struct larder_fs *fs)
{
    return !is_async(fs) && edge_where(NULL) == EDGE_THREAD;
}

static int CO_EDGE work_in_task(work_fn *fn, void *arg)
{
    return offload(fn, arg);
}

int enter_work(work_fn *fn, void *arg)
{
    return edge_where(NULL) == EDGE_THREAD ? fn(arg) : work_in_task(fn, arg);
}

/* ---- one call ---- */

static int CO_EDGE call_task(void *arg)
{
    return layer_call(arg);
}

static int look(struct layer_call *call)
{
    if (call->operation == LAYER_INFO)
        return layer_look_info(call->instance, call->path, call->terms, call->out);
    if (call->operation == LAYER_READ)
        return layer_look_read(call->instance, call->path, call->range, call->terms, call->sink, call->out);
    return -EAGAIN;
}

static int call_now(void *call)
{
    return layer_now(call);
}

static int call_from_here(struct larder_fs *fs, struct layer_call *call)
{
    struct timed timed = {fs, fs->timeout_ms, call->path, call_task, call};
    if (edge_where(fs->instance->loop) != EDGE_THREAD)
        return in_this_task(&timed);
    if (!is_async(fs))
        return work_here(call_now, call);
    int rc = look(call);
    return rc == -EAGAIN ? run(&timed) : rc;
}

int enter_call_full(struct larder_fs *fs, const char *full, struct layer_call *call)
{
    error_clear();
    call->instance = fs->instance;
    call->path = full;
    if (!call->terms)
        call->terms = &fs->terms;
    int rc = enter_begin(fs, full);
    if (rc < 0)
        return rc;
    rc = call_from_here(fs, call);
    enter_end(fs);
    return error_finish(rc, full);
}

/* Is it a directory that `path` means, which is `full`? */
static bool means_directory(const struct larder_fs *fs, const char *path, const char *full)
{
    size_t size = strlen(path);
    bool slash = *full && size > 0 && path[size - 1] == '/';
    return slash || (fs->directory && strcmp(full, fs->directory) == 0);
}

int enter_resolve(const struct larder_fs *fs, const char *path, char **full, struct terms *terms)
{
    int rc = path_resolve(fs->root, path, full, NULL);
    if (rc < 0)
        return rc;
    *terms = fs->terms;
    terms->directory = means_directory(fs, path, *full);
    return 0;
}

int enter_call(struct larder_fs *fs, const char *path, struct layer_call *call)
{
    autofree char *full = NULL;
    const struct terms *given = call->terms;
    struct terms terms;
    error_clear();
    int rc = enter_resolve(fs, path, &full, &terms);
    if (rc < 0)
        return rc;
    bool directory = terms.directory;
    if (given)
        terms = *given;
    terms.directory = directory;
    call->terms = &terms;
    rc = enter_call_full(fs, full, call);
    call->terms = given;
    return rc;
}
