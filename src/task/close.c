/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loop's end, step by step, each from the loop's turn:
 *
 *     closing         set by whoever ends it; every task is cancelled, new calls are refused
 *     tasks_over      none lives and the inbox was empty: it is shut, and the parts close
 *     handles_closing nobody holds the loop: its handles close, and the last one to go says so
 */
#include <assert.h>
#include <errno.h>

#include "base/seams.h"
#include "task/internal.h"
#include "task/process.h"

static void begin_end(struct larder_loop *loop)
{
    atomic_store(&loop->closing, true);
    loop_cancel_tasks(loop, true);
    loop_wake(loop);
}

/* With nothing in it, the inbox is shut for good. */
static bool shut_inbox(struct larder_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->shut = loop->inbox == NULL;
    pthread_mutex_unlock(&loop->lock);
    return loop->shut;
}

static void on_closed(uv_handle_t *handle)
{
    struct larder_loop *loop = handle->data;
    if (--loop->handles > 0)
        return;
    fiber_pool_fini(&loop->fibers);
    if (!loop->attached)
        return; /* the thread ends, and loop_end goes on */
    here()->loops--;
    process_loop_forget(loop);
    if (loop->closed != NULL)
        loop->closed(loop->closed_arg, 0);
    loop_unref(loop);
}

void loop_advance_end(struct larder_loop *loop)
{
    if (loop->handles_closing)
        return;
    if (!loop->tasks_over) {
        if (loop->live > 0 || !list_empty(&loop->pending) || !shut_inbox(loop))
            return;
        loop->tasks_over = true;
        for (struct list *node; (node = list_pop(&loop->parts)) != NULL;) {
            struct loop_part *part = container_of(node, struct loop_part, node);
            part->close(part);
        }
        loop_drop(loop);
    }
    if (loop->holds > 0 || loop->later != NULL)
        return;
    loop->handles_closing = true;
    loop->awake = false;
    uv_close((uv_handle_t *)&loop->async, on_closed);
    uv_close((uv_handle_t *)&loop->check, on_closed);
    uv_close((uv_handle_t *)&loop->idle, on_closed);
    uv_close((uv_handle_t *)&loop->timer, on_closed);
}

static void end_posted(struct post *post)
{
    begin_end(container_of(post, struct larder_loop, close_post));
}

/* Wait until the thread has ended or parked; false at `until_ns`. */
static bool wait_gone(struct larder_loop *loop, uint64_t until_ns)
{
    struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000),
                             .tv_nsec = (long)(until_ns % 1000000000)};
    int rc = 0;
    pthread_mutex_lock(&loop->lock);
    while (!loop->ended && !loop->has_parked && rc == 0)
        rc = until_ns == UINT64_MAX ? pthread_cond_wait(&loop->gone, &loop->lock)
                                    : pthread_cond_timedwait(&loop->gone, &loop->lock, &until);
    bool gone = loop->ended || loop->has_parked;
    pthread_mutex_unlock(&loop->lock);
    return gone;
}

bool loop_end(struct larder_loop *loop, uint64_t until_ns)
{
    loop->close_post.run = end_posted;
    int rc = loop_post(loop, &loop->close_post);
    assert(rc == 0);
    if (!wait_gone(loop, until_ns)) {
        atomic_store(&loop->parked, true);
        uv_async_send(&loop->async);
        wait_gone(loop, until_ns + 100000000); /* unless it computes, it is soon there */
    }
    pthread_mutex_lock(&loop->lock);
    bool ended = loop->ended;
    pthread_mutex_unlock(&loop->lock);
    if (!ended)
        return false;
    pthread_join(loop->thread, NULL);
    return true;
}

static int close_attached(struct larder_loop *loop, larder_done_fn *closed, void *arg)
{
    if (!loop_here(loop))
        return fail(-EINVAL, "an attached loop is closed on its own thread");
    if (atomic_load(&loop->closing))
        return fail(-EINVAL, "the loop is being closed already");
    loop->closed = closed;
    loop->closed_arg = arg;
    begin_end(loop);
    return 0;
}

int larder_loop_close(struct larder_loop *loop, larder_done_fn *closed, void *arg)
{
    error_clear();
    if (loop == NULL)
        return 0;
    if (loop->generation != process_generation())
        return fail(-ECHILD, "this loop stayed with the parent of a fork");
    if (loop->is_default)
        return fail(-EINVAL, "the default loop is not closed by its users");
    if (loop->attached)
        return close_attached(loop, closed, arg);
    enum edge where = edge_where(loop);
    if (where != EDGE_THREAD)
        return fail(-EDEADLK, "larder_loop_close blocks: not on a loop's thread");
    if (!process_loop_forget(loop))
        return fail(-EINVAL, "the loop is being closed already");
    loop_end(loop, UINT64_MAX);
    int rc = uv_loop_close(loop->uv);
    assert(rc == 0); /* else a part left a handle open */
    if (closed != NULL)
        closed(arg, 0);
    loop_unref(loop);
    return 0;
}
