/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loop and its turn. One turn of uv:
 *
 *     uv_timer   due deadlines and sleeps          queue tasks
 *     uv_idle    is active while there is work     so that poll does not block
 *     poll       sockets; uv_async: the inbox      queue tasks
 *     uv_check   loop_later, then the run queue    the only place that resumes a task; then letters
 */
#include "task/loop.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "base/seams.h"
#include "task/internal.h"
#include "task/process.h"

#define RESUMES_PER_TURN 256

bool loop_here(const struct larder_loop *loop)
{
    return pthread_equal(loop->thread, pthread_self()) && here()->loops > 0 &&
           loop->generation == process_generation();
}

bool loop_is_busy(const struct larder_loop *loop)
{
    return !list_empty(&loop->ready);
}

struct uv_loop_s *loop_uv(struct larder_loop *loop)
{
    return loop->uv;
}

/* ---- tasks and turns ---- */

static void on_idle(uv_idle_t *idle)
{
}

void loop_wake(struct larder_loop *loop)
{
    if (!loop->awake)
        uv_idle_start(&loop->idle, on_idle);
    loop->awake = true;
}

void loop_count_task(struct larder_loop *loop, struct larder_task *task, bool began)
{
    if (began) {
        if (loop->live++ == 0 && loop->attached)
            uv_ref((uv_handle_t *)&loop->async);
        list_push(&loop->tasks, &task->all);
        return;
    }
    list_remove(&task->all);
    if (--loop->live == 0 && loop->attached)
        uv_unref((uv_handle_t *)&loop->async);
}

void loop_cancel_tasks(struct larder_loop *loop, bool all)
{
    list_for_each (node, &loop->tasks) {
        struct larder_task *task = container_of(node, struct larder_task, all);
        if (all || loop_cancels(loop, task))
            task_cancel(task);
    }
    list_for_each (node, &loop->pending) {
        struct larder_task *task = container_of(node, struct larder_task, node);
        if (all || loop_cancels(loop, task))
            task_cancel(task);
    }
}

static void run_posts(struct post *post)
{
    for (struct post *next; post != NULL; post = next) {
        next = post->next;
        post->run(post);
    }
}

static struct post *take_inbox(struct larder_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    struct post *posts = loop->inbox;
    loop->inbox = NULL;
    loop->inbox_last = &loop->inbox;
    pthread_mutex_unlock(&loop->lock);
    return posts;
}

/* exit() could not wait for a task: sleep until the process is gone, rather than run inside libraries that are being
 * taken down. */
static void park(struct larder_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->has_parked = true;
    pthread_cond_broadcast(&loop->gone);
    pthread_mutex_unlock(&loop->lock);
    for (;;)
        pause();
}

static void on_async(uv_async_t *async)
{
    struct larder_loop *loop = async->data;
    if (atomic_load(&loop->parked))
        park(loop);
    run_posts(take_inbox(loop));
    unsigned cancels = atomic_load(&loop->cancels);
    if (cancels != loop->cancels_done) {
        loop->cancels_done = cancels;
        loop_cancel_tasks(loop, false);
    }
    if (atomic_load(&loop->closing))
        loop_wake(loop);
}

static void on_check(uv_check_t *check)
{
    struct larder_loop *loop = check->data;
    struct post *later = loop->later;
    loop->later = NULL;
    loop->later_last = &loop->later;
    run_posts(later);
    for (unsigned i = 0; i < RESUMES_PER_TURN; i++) {
        struct list *node = list_pop(&loop->ready);
        if (node == NULL)
            break;
        if (atomic_load_explicit(&loop->parked, memory_order_relaxed))
            park(loop);
        task_resume(container_of(node, struct larder_task, node));
    }
    edge_hand_over(loop);
    if (atomic_load_explicit(&loop->closing, memory_order_relaxed))
        loop_advance_end(loop);
    if (loop->awake && list_empty(&loop->ready) && loop->later == NULL) {
        uv_idle_stop(&loop->idle);
        loop->awake = false;
    }
}

/* ---- the inbox ---- */

int loop_post(struct larder_loop *loop, struct post *post)
{
    if (loop->generation != process_generation())
        return -ECHILD;
    post->next = NULL;
    /* The signal is sent under the lock, since the handle is open only as long as the inbox is. */
    pthread_mutex_lock(&loop->lock);
    bool shut = loop->shut;
    if (!shut) {
        bool first = loop->inbox == NULL;
        *loop->inbox_last = post;
        loop->inbox_last = &post->next;
        if (first)
            uv_async_send(&loop->async);
    }
    pthread_mutex_unlock(&loop->lock);
    return shut ? -ECANCELED : 0;
}

void loop_later(struct larder_loop *loop, struct post *post)
{
    assert(loop_here(loop));
    post->next = NULL;
    *loop->later_last = post;
    loop->later_last = &post->next;
    loop_wake(loop);
}

/* Two steps, both async-signal-safe. Who asked for something before sees a smaller count than the one made here. */
void larder_loop_cancel(struct larder_loop *loop)
{
    if (loop == NULL || loop->generation != process_generation())
        return;
    atomic_fetch_add(&loop->cancels, 1);
    uv_async_send(&loop->async);
}

/* ---- timers ---- */

static void on_timer(uv_timer_t *timer);

static void arm_timer(struct larder_loop *loop)
{
    struct heap_node *first = heap_first(&loop->timers);
    if (first == NULL)
        return;
    /* Rounded up; uv counts from the start of its turn, so it may still be early, and is armed again. */
    uint64_t now = now_ns();
    uint64_t ms = first->at > now ? (first->at - now) / 1000000 + 1 : 0;
    uv_timer_start(&loop->timer, on_timer, ms, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct larder_loop *loop = timer->data;
    uint64_t now = now_ns();
    for (struct heap_node *node; (node = heap_first(&loop->timers)) != NULL && node->at <= now;) {
        struct loop_timer *due = container_of(node, struct loop_timer, node);
        heap_remove(&loop->timers, node);
        due->fire(due);
    }
    arm_timer(loop);
}

void loop_timer_start(struct larder_loop *loop, struct loop_timer *timer, uint64_t at,
                      void (*fire)(struct loop_timer *timer))
{
    assert(loop_here(loop) && !timer->node.in);
    timer->fire = fire;
    heap_add(&loop->timers, &timer->node, at);
    if (heap_first(&loop->timers) == &timer->node)
        arm_timer(loop);
}

void loop_timer_stop(struct larder_loop *loop, struct loop_timer *timer)
{
    /* uv's timer stays: firing for nothing is cheaper than arming it for each call. */
    heap_remove(&loop->timers, &timer->node);
}

/* ---- parts ---- */

struct loop_part *loop_part_find(struct larder_loop *loop, const void *kind)
{
    assert(loop_here(loop));
    list_for_each (node, &loop->parts) {
        struct loop_part *part = container_of(node, struct loop_part, node);
        if (part->kind == kind)
            return part;
    }
    return NULL;
}

void loop_part_add(struct larder_loop *loop, struct loop_part *part, const void *kind,
                   void (*close)(struct loop_part *))
{
    assert(loop_here(loop) && !loop->tasks_over);
    part->kind = kind;
    part->close = close;
    list_push(&loop->parts, &part->node);
}

void loop_hold(struct larder_loop *loop)
{
    loop->holds++;
}

void loop_drop(struct larder_loop *loop)
{
    assert(loop->holds > 0);
    if (--loop->holds == 0)
        loop_wake(loop);
}

/* ---- making one ---- */

struct larder_loop *loop_ref(struct larder_loop *loop)
{
    atomic_fetch_add_explicit(&loop->refs, 1, memory_order_relaxed);
    return loop;
}

void loop_unref(struct larder_loop *loop)
{
    /* A fork's child leaves the parent's loops alone. */
    if (loop == NULL || loop->generation != process_generation() ||
        atomic_fetch_sub_explicit(&loop->refs, 1, memory_order_acq_rel) != 1)
        return;
    works_fini(loop);
    pthread_cond_destroy(&loop->gone);
    pthread_mutex_destroy(&loop->lock);
    mem_free(loop);
}

static struct larder_loop *loop_alloc(void)
{
    struct larder_loop *loop = mem_zero(sizeof(*loop));
    if (loop == NULL)
        return NULL;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&loop->gone, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&loop->lock, NULL);
    works_init(loop);
    loop->generation = process_generation();
    atomic_init(&loop->refs, 1);
    loop->inbox_last = &loop->inbox;
    loop->later_last = &loop->later;
    loop->holds = 1; /* the tasks' */
    list_init(&loop->tasks);
    list_init(&loop->ready);
    list_init(&loop->pending);
    list_init(&loop->letters);
    list_init(&loop->parts);
    list_init(&loop->node);
    return loop;
}

/* uv_async_init is the only one that can fail. No handle keeps an attached loop from returning. */
static int open_handles(struct larder_loop *loop)
{
    int rc = uv_async_init(loop->uv, &loop->async, on_async);
    if (rc < 0)
        return fail_errno(-rc, "loop");
    uv_check_init(loop->uv, &loop->check);
    uv_idle_init(loop->uv, &loop->idle);
    uv_timer_init(loop->uv, &loop->timer);
    loop->async.data = loop->check.data = loop->idle.data = loop->timer.data = loop;
    loop->handles = 4;
    uv_check_start(&loop->check, on_check);
    uv_unref((uv_handle_t *)&loop->check);
    uv_unref((uv_handle_t *)&loop->timer);
    if (loop->attached)
        uv_unref((uv_handle_t *)&loop->async);
    return 0;
}

static void find_ours(uv_handle_t *handle, void *arg)
{
    if (handle->type == UV_ASYNC && ((uv_async_t *)handle)->async_cb == on_async)
        *(bool *)arg = true;
}

int larder_loop_attach(struct uv_loop_s *uv, struct larder_loop **out)
{
    error_clear();
    if (uv == NULL || out == NULL)
        return fail(-EINVAL, "larder_loop_attach: no loop given");
    bool taken = false;
    uv_walk(uv, find_ours, &taken);
    if (taken)
        return fail(-EBUSY, "this uv loop carries a Larder loop already");
    process_exit_arm();
    struct larder_loop *loop = loop_alloc();
    if (loop == NULL)
        return fail_memory();
    loop->uv = uv;
    loop->attached = true;
    loop->thread = pthread_self();
    int rc = open_handles(loop);
    if (rc < 0) {
        loop_unref(loop);
        return rc;
    }
    here()->loops++;
    process_loop_keep(loop);
    *out = loop;
    return 0;
}

static void *run_thread(void *arg)
{
    struct larder_loop *loop = arg;
    pthread_mutex_lock(&loop->lock); /* `thread` is set */
    pthread_mutex_unlock(&loop->lock);
    here()->loops++;
    uv_run(loop->uv, UV_RUN_DEFAULT);
    assert(loop->handles == 0);
    pthread_mutex_lock(&loop->lock);
    loop->ended = true;
    pthread_cond_broadcast(&loop->gone);
    pthread_mutex_unlock(&loop->lock);
    return NULL;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    uv_close(handle, NULL);
}

int loop_new(bool is_default, struct larder_loop **out)
{
    struct larder_loop *loop = loop_alloc();
    if (loop == NULL)
        return fail_memory();
    loop->is_default = is_default;
    loop->uv = &loop->own;
    int rc = uv_loop_init(loop->uv);
    if (rc < 0) {
        loop_unref(loop);
        return fail_errno(-rc, "loop");
    }
    rc = open_handles(loop);
    if (rc == 0) {
        sigset_t before;
        signals_block(&before);
        pthread_mutex_lock(&loop->lock);
        int error = pthread_create(&loop->thread, NULL, run_thread, loop);
        pthread_mutex_unlock(&loop->lock);
        signals_restore(&before);
        if (error == 0) {
            pthread_setname_np(loop->thread, "larder-loop");
            *out = loop;
            return 0;
        }
        rc = fail_errno(error, "loop: thread");
        uv_walk(loop->uv, close_handle, NULL);
        uv_run(loop->uv, UV_RUN_DEFAULT);
    }
    uv_loop_close(loop->uv);
    loop_unref(loop);
    return rc;
}

int larder_loop_new(struct larder_loop **out)
{
    error_clear();
    if (out == NULL)
        return fail(-EINVAL, "larder_loop_new: no place for the loop");
    process_exit_arm();
    struct larder_loop *loop = NULL;
    int rc = loop_new(false, &loop);
    if (rc < 0)
        return rc;
    process_loop_keep(loop);
    *out = loop;
    return 0;
}
