/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TASK_TASK_H
#define TASK_TASK_H
/*
 * Tasks: stackful coroutines on a loop. A task runs until it waits; while it waits, the loop runs others. It never
 * moves to another thread.
 *
 *            task_start            the loop's run queue             returns
 *   (new) ───────────────▶ READY ───────────────────▶ RUNNING ────────────────▶ ENDED
 *                            ▲                            │ wait_on
 *                            │ wait_done                  ▼
 *                            └──────────────────────── WAITING
 *
 * Invariants
 *   T1  Only the loop's thread touches a task, but for `task_cancel_from_anywhere` and the loop's inbox.
 *   T2  A callback (uv, curl, another task) calls wait_done, which queues the task. Nothing resumes a task but the
 *       loop's run queue, drained from one place, outside every callback.
 *   T3  A wait that has begun ends only when its owner calls wait_done. A cancel asks the owner to hurry, and waits.
 *       So what a suspended frame lends out (buffers, requests) stays valid.
 *   T4  No lock, LMDB transaction or curl callback is open across a wait: task_no_suspend asserts it.
 *   T5  After every wait, what was assumed before it is checked again.
 */
#include <stdbool.h>
#include <stdint.h>

#include "larder/loop.h"

#include "base/heap.h"
#include "base/list.h"

/*
 * CO_FN marks what may suspend: it is called by CO_FN only, which clang checks (-Wthread-safety; gcc ignores it). A
 * pointer to a CO_FN loses the mark: the only callers through pointers are the task's trampoline, group_add, and one
 * wrapper for each operation of a backend's table (fs/layer.c). CO_EDGE is for the places that have found out by
 * themselves that they run in a task.
 */
#if defined(__clang__)
#define CO_FN   __attribute__((requires_capability(larder_in_task)))
#define CO_EDGE __attribute__((no_thread_safety_analysis))
#ifndef LARDER_BUILDING
#error "the build defines LARDER_BUILDING"
#endif
#else
#define CO_FN
#define CO_EDGE
#endif

/* The running task; NULL on a thread, and on a loop's thread outside any task. */
struct larder_task *task_current(void);
struct larder_loop *task_loop(struct larder_task *task);
/* 0, or -ECANCELED once the running task was cancelled. What computes for long asks now and then. */
int CO_FN task_check(void);
/* Let every other ready task run first. */
void CO_FN task_yield(void);
/* 0, -ECANCELED or -ETIMEDOUT (a deadline came first). */
int CO_FN task_sleep(uint64_t ms);
/* Between these a wait is an assertion failure. They nest; fine on threads too. */
void task_no_suspend_begin(void);
void task_no_suspend_end(void);

/* ---- waiting for a callback ---- */
struct wait {
    struct larder_task *task; /* NULL until wait_on */
    int status;
    bool done;
};
#define WAIT_INIT ((struct wait){0})
/* The owner's way to hurry a wait: called at most once, on the loop's thread, in the waiting task. It may call
 * wait_done itself. It must not wait. */
typedef void wait_cancel_fn(struct wait *wait);
/*
 * Wait until wait_done was called; returns at once if it was. When the task is cancelled or a deadline passes,
 * `cancel` (may be NULL: cannot be hurried) is called, and the wait goes on to its end. Returns -ECANCELED or
 * -ETIMEDOUT then (cancel outranks; both with text), else the wait's status; wait->status has the owner's word in any
 * case. A task that is cancelled already calls `cancel` at once.
 */
int CO_FN wait_on(struct wait *wait, wait_cancel_fn *cancel);
/* The same, deaf to cancel and deadline: for what must be finished (closing, rolling back). */
int CO_FN wait_on_deaf(struct wait *wait);
/* Loop's thread, in a callback or a task. Once for each wait. */
void wait_done(struct wait *wait, int status);

/* ---- deadlines ---- */
/* Fires once, on the loop's thread, outside any task. `at` in ns of the monotonic clock. */
struct loop_timer {
    struct heap_node node;
    void (*fire)(struct loop_timer *timer);
};
void loop_timer_start(struct larder_loop *loop, struct loop_timer *timer, uint64_t at,
                      void (*fire)(struct loop_timer *timer));
void loop_timer_stop(struct larder_loop *loop, struct loop_timer *timer); /* not started, or fired: nothing */
/*
 * From begin to end, waits of this task (and the joins that its groups make: their children are then cancelled) end
 * with -ETIMEDOUT after `timeout_ms`; 0 means none. Scopes nest; the earliest counts. Lives on the task's stack.
 */
struct deadline {
    struct loop_timer timer;
    struct larder_task *task;
    struct deadline *outer;
    uint64_t timeout_ms;
    bool passed, shield;
};
void CO_FN deadline_begin(struct deadline *deadline, uint64_t timeout_ms);
/* The same for what has to be cleaned up, also by a task that was cancelled: until its end the task hears of no cancel
 * and of no outer deadline, which count again from then on. */
void CO_FN deadline_begin_shielded(struct deadline *deadline, uint64_t timeout_ms);
/* Returns `status`, but -ETIMEDOUT with a text that names `what` if this deadline passed and status is -ETIMEDOUT. */
int CO_FN deadline_end(struct deadline *deadline, int status, const char *what);

/* ---- waiting for each other, on one loop ---- */
/* Tasks that wait until somebody says so: a condition without a lock, since tasks of a loop do not race. */
struct waiters {
    struct list list;
};
void waiters_init(struct waiters *waiters);
/* 0, -ECANCELED or -ETIMEDOUT; the caller then looks at its condition again (T5). */
int CO_FN waiters_wait(struct waiters *waiters);
void waiters_wake(struct waiters *waiters); /* all of them; loop's thread */
void waiters_wake_one(struct waiters *waiters);

/* ---- blocking work on a worker thread ---- */
typedef int work_fn(void *arg);
struct work;
/*
 * Run fn(arg) on a worker thread and wait. Its status and its error text come back. A cancel takes it off the queue if
 * it has not begun (-ECANCELED, fn did not run), else waits for it; then the status is -ECANCELED all the same, and
 * what fn did is in *arg. fn must not call CO_FN or public functions.
 */
int CO_FN offload(work_fn *fn, void *arg);
/* The same in two steps, so that the task can go on meanwhile. `work` stays until work_finish, which must be called. */
int CO_FN work_start(work_fn *fn, void *arg, struct work **out);
int CO_FN work_finish(struct work *work); /* deaf to cancel; frees `work`; NULL: 0 */
/* The same on this thread, which is no task's. larder_loop_cancel of the loop in use stops it. */
int work_here(work_fn *fn, void *arg);
/* For long work, between its pieces: -ECANCELED when nobody waits for its results any more; what else it did is to be
 * undone. 0 where nobody can stop it. */
int work_check(void);

/* ---- groups: tasks that end before their frame does ---- */
enum group_mode {
    GROUP_ALL,   /* all are run; the status is the first failure's */
    GROUP_FIRST, /* the first failure cancels the others, and is the status */
};
/*
 * A group lives in a frame (or in an object whose close joins it); group_join must be called before that ends. A
 * cancel or deadline of the joining task cancels the children. Live tasks of a loop are capped (4,096): at the cap a
 * child runs in the calling task, since waiting for a place would deadlock nested groups.
 */
struct group {
    enum group_mode mode;
    unsigned live, live_max;
    int status;
    char *text; /* of the failure that `status` is; mem */
    struct list children;
    struct waiters changed;
    bool cancelled;
};
void group_init(struct group *group, enum group_mode mode, unsigned live_max /* 0: no bound */);
/* Start fn(arg) as a child; when live_max are alive, wait for one to end first. The group's status once the group is
 * cancelled or the caller is: then fn is not run. A child's own failure is told by group_join only. */
int CO_FN group_add(struct group *group, larder_task_fn *fn, void *arg);
/*
 * The same for a child that the caller waits for while the child waits for the caller: it counts with its parent, not
 * against the cap, and never runs in the calling task. One for each task. -ENOMEM: there is no stack for it.
 */
int CO_FN group_add_partner(struct group *group, larder_task_fn *fn, void *arg);
void group_cancel(struct group *group); /* loop's thread */
int CO_FN group_join(struct group *group);

/*
 * for each i in [0, count): fn(arg, i), at most `jobs_max` at once, each in the order of i. With GROUP_FIRST the first
 * failure stops it, and is returned with its text. The cheapest way to do many like things: min(jobs_max, count) tasks
 * in all, and none for a count of 1.
 */
typedef int each_fn(void *arg, size_t index);
int CO_FN group_each(size_t count, unsigned jobs_max, enum group_mode mode, each_fn *fn, void *arg);

#endif
