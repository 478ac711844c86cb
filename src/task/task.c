/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a task, and how it waits. The invariants T1 to T5 are in task.h. */
#include "task/task.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "task/internal.h"

#define TIMED_OUT "timed out"
#define STALL_NS \
    100000000U /* 100 ms without a wait, be it that others had the processor: who looks for it finds a line in the log */

/* ---- this thread ---- */

/* Not inlined, and opaque: a compiler that keeps the address of a thread's variable in a register over a switch is
 * right to do so, as it knows nothing of switches. */
__attribute__((noinline)) struct here *here(void)
{
    static _Thread_local struct here state;
    struct here *now = &state;
    __asm__ volatile("" : "+r"(now));
    if (now->generation != process_generation())
        *now = (struct here){.generation = process_generation()};
    return now;
}

struct larder_task *task_current(void)
{
    return here()->task;
}

struct larder_loop *task_loop(struct larder_task *task)
{
    return task->loop;
}

void task_no_suspend_begin(void)
{
    here()->no_suspend++;
}

void task_no_suspend_end(void)
{
    assert(here()->no_suspend > 0);
    here()->no_suspend--;
}

/* ---- states ---- */

static void set_state(struct larder_task *task, enum task_state to)
{
    static const enum task_state from[][2] = {
        [TASK_READY] = {TASK_NEW, TASK_WAITING},
        [TASK_RUNNING] = {TASK_READY, TASK_READY},
        [TASK_WAITING] = {TASK_RUNNING, TASK_RUNNING},
        [TASK_ENDED] = {TASK_RUNNING, TASK_NEW}, /* NEW: there was no stack for it */
    };
    assert(to != TASK_NEW && (task->state == from[to][0] || task->state == from[to][1]));
    task->state = to;
}

static void make_ready(struct larder_task *task)
{
    assert(loop_here(task->loop));
    set_state(task, TASK_READY);
    list_push(&task->loop->ready, &task->node);
    loop_wake(task->loop);
}

/* The first function on a task's stack. */
static CO_EDGE void run_task(void *arg)
{
    struct larder_task *task = arg;
    task->status = task->fn(task->arg);
    assert(task->deadline == NULL);
    set_state(task, TASK_ENDED);
}

_Static_assert(sizeof(struct error_slot) <= FIBER_SPACE, "the slot is above the stack");

struct larder_task *task_new(struct larder_loop *loop, larder_task_fn *fn, void *arg,
                             void (*ended)(struct larder_task *task))
{
    struct larder_task *task = mem_zero(sizeof(*task));
    if (task == NULL)
        return NULL;
    task->loop = loop;
    task->fn = fn;
    task->arg = arg;
    task->ended = ended;
    list_init(&task->node);
    list_init(&task->all);
    list_init(&task->sibling);
    return task;
}

int task_start(struct larder_task *task)
{
    struct larder_loop *loop = task->loop;
    assert(loop_here(loop));
    struct fiber *fiber = fiber_get(&loop->fibers);
    if (fiber == NULL)
        return -ENOMEM;
    /* The error text lives at the top of the stack, where memory is in use anyway. */
    fiber_start(fiber, run_task, task);
    task->fiber = fiber;
    task->slot = fiber_space(fiber);
    task->slot->text[0] = '\0';
    loop_count_task(loop, task, true);
    make_ready(task);
    return 0;
}

void task_never_ran(struct larder_task *task, int status)
{
    task->status = status;
    set_state(task, TASK_ENDED);
    task->ended(task);
}

static void finish(struct larder_task *task)
{
    struct larder_loop *loop = task->loop;
    struct fiber *fiber = task->fiber;
    loop_count_task(loop, task, false);
    loop_unref(take(task->used));
    task->ended(task);
    fiber_put(&loop->fibers, fiber);
    loop_start_pending(loop);
}

void task_resume(struct larder_task *task)
{
    struct here *now = here();
    assert(now->task == NULL && now->no_suspend == 0);
    set_state(task, TASK_RUNNING);
    bool watched = log_wanted(LARDER_LOG_DEBUG);
    uint64_t begin = watched ? now_ns() : 0;
    now->task = task;
    struct error_slot *before = error_slot_use(task->slot);
    fiber_resume(task->fiber, &task->loop->host);
    error_slot_use(before);
    now->task = NULL;
    if (watched && now_ns() - begin > STALL_NS)
        log_line(LARDER_LOG_DEBUG, "task %p kept its loop for %u ms", (void *)(uintptr_t)task->fn,
                 (unsigned)((now_ns() - begin) / 1000000));
    if (task->state == TASK_ENDED)
        finish(task);
}

static void suspend(struct larder_task *task)
{
    fiber_suspend(task->fiber);
    assert(task->state == TASK_RUNNING);
}

/* ---- interruptions: cancel and deadlines ---- */

static void interrupt(struct larder_task *task)
{
    if (task->state == TASK_WAITING && !task->deaf)
        make_ready(task);
}

void task_cancel(struct larder_task *task)
{
    assert(loop_here(task->loop));
    if (task->cancelled || task->state == TASK_ENDED)
        return;
    task->cancelled = true;
    interrupt(task);
}

int task_interrupted(struct larder_task *task)
{
    bool passed = false, shielded = false;
    for (struct deadline *d = task->deadline; d != NULL && !shielded; d = d->outer) {
        passed = passed || d->passed;
        shielded = d->shield;
    }
    if (task->cancelled && !shielded)
        return fail(-ECANCELED, ERROR_CANCELLED);
    return passed ? fail(-ETIMEDOUT, TIMED_OUT) : 0;
}

int task_check(void)
{
    struct larder_task *task = task_current();
    return task->cancelled ? task_interrupted(task) : 0;
}

static void deadline_pass(struct loop_timer *timer)
{
    struct deadline *deadline = container_of(timer, struct deadline, timer);
    deadline->passed = true;
    interrupt(deadline->task);
}

void deadline_begin(struct deadline *deadline, uint64_t timeout_ms)
{
    struct larder_task *task = task_current();
    *deadline = (struct deadline){.task = task, .outer = task->deadline, .timeout_ms = timeout_ms};
    task->deadline = deadline;
    uint64_t now = now_ns();
    if (timeout_ms != 0 && timeout_ms < (UINT64_MAX - now) / 1000000)
        loop_timer_start(task->loop, &deadline->timer, now + timeout_ms * 1000000, deadline_pass);
}

void deadline_begin_shielded(struct deadline *deadline, uint64_t timeout_ms)
{
    deadline_begin(deadline, timeout_ms);
    deadline->shield = true;
}

int deadline_end(struct deadline *deadline, int status, const char *what)
{
    struct larder_task *task = task_current();
    assert(task->deadline == deadline);
    task->deadline = deadline->outer;
    loop_timer_stop(task->loop, &deadline->timer);
    if (!deadline->passed || status != -ETIMEDOUT)
        return status;
    double seconds = (double)deadline->timeout_ms / 1000;
    bool said = strcmp(error_text(), TIMED_OUT) != 0; /* what it was waiting for */
    return said ? fail_more(-ETIMEDOUT, "%s: not done within %.3g s", what, seconds)
                : fail(-ETIMEDOUT, "%s: not done within %.3g s", what, seconds);
}

/* ---- waiting ---- */

static CO_FN void wait_to_end(struct wait *wait, wait_cancel_fn *cancel, bool deaf)
{
    struct here *now = here();
    struct larder_task *task = now->task;
    assert(task != NULL && now->no_suspend == 0);
    wait->task = task;
    task->deaf = deaf;
    while (!wait->done) {
        if (!task->deaf && task_interrupted(task) < 0) {
            task->deaf = true; /* hurried once; from now on only its owner ends it (T3) */
            if (cancel != NULL)
                cancel(wait);
            continue;
        }
        set_state(task, TASK_WAITING);
        suspend(task);
    }
    task->deaf = false;
}

int wait_on(struct wait *wait, wait_cancel_fn *cancel)
{
    wait_to_end(wait, cancel, false);
    int rc = task_interrupted(wait->task);
    return rc < 0 ? rc : wait->status;
}

int wait_on_deaf(struct wait *wait)
{
    wait_to_end(wait, NULL, true);
    return wait->status;
}

void wait_done(struct wait *wait, int status)
{
    assert(!wait->done);
    struct larder_task *task = wait->task;
    wait->status = status;
    wait->done = true;
    if (task != NULL && task->state == TASK_WAITING)
        make_ready(task);
}

void task_yield(void)
{
    struct larder_task *task = task_current();
    assert(here()->no_suspend == 0);
    set_state(task, TASK_WAITING);
    make_ready(task);
    suspend(task);
}

struct sleep {
    struct loop_timer timer;
    struct wait wait;
};

static void sleep_over(struct loop_timer *timer)
{
    wait_done(&container_of(timer, struct sleep, timer)->wait, 0);
}

static void sleep_cancel(struct wait *wait)
{
    struct sleep *sleep = container_of(wait, struct sleep, wait);
    loop_timer_stop(wait->task->loop, &sleep->timer);
    wait_done(wait, -ECANCELED);
}

int task_sleep(uint64_t ms)
{
    struct sleep sleep = {.wait = WAIT_INIT};
    ms = world_seam.sleep_ms(ms);
    uint64_t now = now_ns();
    uint64_t at = ms < (UINT64_MAX - now) / 1000000 ? now + ms * 1000000 : UINT64_MAX;
    loop_timer_start(task_current()->loop, &sleep.timer, at, sleep_over);
    return wait_on(&sleep.wait, sleep_cancel);
}

/* ---- waiting for each other ---- */

struct waiter {
    struct list node;
    struct wait wait;
    bool alone; /* by waiters_wake_one */
};

void waiters_init(struct waiters *waiters)
{
    list_init(&waiters->list);
}

static void waiter_cancel(struct wait *wait)
{
    list_remove(&container_of(wait, struct waiter, wait)->node);
    wait_done(wait, -ECANCELED);
}

int waiters_wait(struct waiters *waiters)
{
    struct waiter waiter = {.wait = WAIT_INIT};
    list_push(&waiters->list, &waiter.node);
    int rc = wait_on(&waiter.wait, waiter_cancel);
    /* Who was woken for one free thing and does not take it leaves it to the next. */
    if (rc < 0 && waiter.alone)
        waiters_wake_one(waiters);
    return rc;
}

int waiters_wait_deaf(struct waiters *waiters)
{
    struct waiter waiter = {.wait = WAIT_INIT};
    list_push(&waiters->list, &waiter.node);
    return wait_on_deaf(&waiter.wait);
}

static bool wake_first(struct waiters *waiters, bool alone)
{
    struct list *node = list_pop(&waiters->list);
    if (node == NULL)
        return false;
    struct waiter *waiter = container_of(node, struct waiter, node);
    waiter->alone = alone;
    wait_done(&waiter->wait, 0);
    return true;
}

/* Woken tasks only queue, so nobody joins the list meanwhile, and `waiters` may be freed right after. */
void waiters_wake(struct waiters *waiters)
{
    while (wake_first(waiters, false))
        ;
}

void waiters_wake_one(struct waiters *waiters)
{
    wake_first(waiters, true);
}
