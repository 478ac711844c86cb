/* SPDX-License-Identifier: Apache-2.0 */
/*
 * larder_spawn: a task that belongs to its loop, and a handle that outlives it. Two references: the loop's until the
 * task is over, and the caller's. A function that was accepted is always run, already cancelled if the loop is being
 * closed: it may own its argument.
 *
 * At the cap a spawned task is pending, without a stack, until a place is free. Who joins it starts it at once, above
 * the cap: so tasks that join what they spawned never wait for each other's places.
 */
#include <assert.h>
#include <errno.h>

#include "base/error.h"
#include "base/seams.h"
#include "task/internal.h"

static void unref(struct larder_task *task)
{
    if (task == NULL || task->loop->generation != process_generation() ||
        atomic_fetch_sub_explicit(&task->refs, 1, memory_order_acq_rel) != 1)
        return;
    loop_unref(task->loop);
    mem_free(task->text);
    mem_free(task);
}

/* It is over: status and text are final. */
static void spawned_ended(struct larder_task *task)
{
    if (task->status < 0)
        task->text = mem_dup(task->slot != NULL ? task->slot->text : "out of memory");
    atomic_store_explicit(&task->over, true, memory_order_release);
    waiters_wake(&task->joined);
    if (task->done != NULL) {
        error_set_text(task->text);
        task->done(task->done_arg, task->status);
    }
    unref(task);
}

/* False: it waits for memory that another task gives back. */
static bool start_now(struct larder_task *task)
{
    struct larder_loop *loop = task->loop;
    list_remove(&task->node);
    if (atomic_load(&loop->closing) || loop_cancels(loop, task))
        task_cancel(task);
    if (task_start(task) == 0)
        return true;
    if (loop->live > 0) {
        list_push(&loop->pending, &task->node);
        return false;
    }
    task_never_ran(task, -ENOMEM);
    return true;
}

static void start_or_queue(struct larder_task *task)
{
    if (task->loop->live < TASKS_MAX && list_empty(&task->loop->pending))
        start_now(task);
    else
        list_push(&task->loop->pending, &task->node);
}

void loop_start_pending(struct larder_loop *loop)
{
    while (loop->live < TASKS_MAX && !list_empty(&loop->pending))
        if (!start_now(container_of(loop->pending.next, struct larder_task, node)))
            break;
}

static void spawn_posted(struct post *post)
{
    start_or_queue(container_of(post, struct larder_task, post));
}

static int submit(struct larder_loop *loop, struct larder_task *task)
{
    if (loop->generation != process_generation())
        return -ECHILD;
    if (atomic_load(&loop->closing))
        return -ECANCELED;
    if (!loop_here(loop))
        return loop_post(loop, &task->post);
    start_or_queue(task);
    return 0;
}

int larder_spawn(struct larder_loop *loop, larder_task_fn *fn, void *arg, larder_done_fn *done,
                 void *done_arg, struct larder_task **out)
{
    error_clear();
    if (fn == NULL)
        return fail(-EINVAL, "larder_spawn: no function");
    int rc = loop_choose(loop, &loop);
    if (rc < 0)
        return rc;
    struct larder_task *task = task_new(loop, fn, arg, spawned_ended);
    if (task == NULL) {
        loop_unref(loop);
        return fail_memory();
    }
    task->epoch = atomic_load(&loop->cancels);
    task->done = done;
    task->done_arg = done_arg;
    task->post.run = spawn_posted;
    waiters_init(&task->joined);
    atomic_init(&task->refs, out != NULL ? 2 : 1);
    /* Before it can run: `done` may give the handle back. */
    struct larder_task *before = out != NULL ? *out : NULL;
    if (out != NULL)
        *out = task;
    rc = submit(loop, task);
    if (rc == 0)
        return 0;
    if (out != NULL)
        *out = before;
    mem_free(task);
    loop_unref(loop);
    return fail(rc,
                rc == -ECHILD ? "this loop stayed with the parent of a fork" : "the loop is being closed");
}

/* ---- joining ---- */

static int take_result(struct larder_task *task)
{
    assert(atomic_load(&task->over));
    int status = task->status;
    if (status < 0)
        error_set_text(task->text);
    return status;
}

static CO_FN int join_here(struct larder_task *task, bool deaf)
{
    if (task->state == TASK_NEW && !list_empty(&task->node)) /* else it is still in the inbox */
        start_now(task);
    while (!task->over) {
        int rc = deaf ? waiters_wait_deaf(&task->joined) : waiters_wait(&task->joined);
        if (rc < 0)
            return rc;
    }
    return take_result(task);
}

/* For a thread: what may cancel this, cancels the joined task as well. */
static CO_EDGE int join_for_thread(void *arg)
{
    return join_here(arg, true);
}

static CO_EDGE int join_as(enum edge where, struct larder_task *task)
{
    if (atomic_load_explicit(&task->over, memory_order_acquire))
        return take_result(task);
    if (where == EDGE_TASK)
        return join_here(task, false);
    int rc = edge_run_always(task->loop, join_for_thread, task);
    /* -EBADF may also say that the loop has ended its tasks; this one is over then. */
    return rc < 0 && atomic_load_explicit(&task->over, memory_order_acquire) ? take_result(task) : rc;
}

int larder_join(struct larder_task *task)
{
    error_clear();
    if (task == NULL)
        return fail(-EINVAL, "larder_join: no task");
    if (task->loop->generation != process_generation())
        return fail(-ECHILD, "this task stayed with the parent of a fork");
    enum edge where = edge_where(task->loop);
    if (where == EDGE_CALLBACK || where == EDGE_FOREIGN)
        return edge_refuse(where, "larder_join");
    if (where == EDGE_TASK && task == task_current())
        return fail(-EDEADLK, "larder_join: a task cannot join itself");
    int rc = join_as(where, task);
    unref(task);
    return error_finish(rc, NULL);
}

/* ---- the handle ---- */

static void cancel_posted(struct post *post)
{
    struct larder_task *task = container_of(post, struct larder_task, cancel_post);
    task_cancel(task);
    unref(task);
}

void larder_cancel(struct larder_task *task)
{
    if (task == NULL || task->loop->generation != process_generation())
        return;
    if (loop_here(task->loop)) {
        task_cancel(task);
        return;
    }
    if (atomic_load(&task->over) || atomic_exchange(&task->cancel_asked, true))
        return;
    atomic_fetch_add_explicit(&task->refs, 1, memory_order_relaxed);
    task->cancel_post.run = cancel_posted;
    if (loop_post(task->loop, &task->cancel_post) < 0)
        unref(task);
}

void larder_task_free(struct larder_task *task)
{
    unref(task);
}
