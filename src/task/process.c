/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process: its default loop, the loops to be ended at exit, and what a fork leaves of them. A fork's child keeps
 * the parent's loops in memory untouched (they are reachable, and their threads are not there), and makes its own.
 */
#include "task/process.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/seams.h"
#include "task/internal.h"

#define EXIT_WAIT_NS 2000000000U /* how long exit() waits for tasks that were cancelled */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct larder_loop *_Atomic default_loop;
/* under `lock` */
static struct list kept = {&kept, &kept}; /* also where tools/gdb finds the loops */
static void (*before_threads[8])(void);
static unsigned before_count;
static bool armed;

void process_before_threads(void (*fn)(void))
{
    assert(before_count < sizeof(before_threads) / sizeof(before_threads[0]) && !armed);
    before_threads[before_count++] = fn;
}

/* ---- exit ---- */

static struct larder_loop *next_kept(void)
{
    struct larder_loop *found = NULL;
    pthread_mutex_lock(&lock);
    list_for_each (node, &kept) {
        struct larder_loop *loop = container_of(node, struct larder_loop, node);
        /* exit() on a loop's own thread: that thread is not inside any library now. */
        if (loop->generation == process_generation() && !loop->attached && !loop_here(loop)) {
            found = loop;
            list_remove(node);
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    return found;
}

/* Ends the threads, but frees nothing: others may still hold the loops, and a signal handler cancel them. */
static void end_loops(void)
{
    uint64_t until = now_ns() + EXIT_WAIT_NS;
    edge_abandon_calls();
    for (struct larder_loop *loop; (loop = next_kept()) != NULL;)
        loop_end(loop, until);
    workers_before_exit();
}

static void lock_for_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void unlock_after_fork(void)
{
    pthread_mutex_unlock(&lock);
}

static void arm_locked(void)
{
    if (armed)
        return;
    armed = true;
    for (unsigned i = 0; i < before_count; i++)
        before_threads[i]();
    pthread_atfork(lock_for_fork, unlock_after_fork, unlock_after_fork);
    atexit(end_loops);
}

void process_exit_arm(void)
{
    pthread_mutex_lock(&lock);
    arm_locked();
    pthread_mutex_unlock(&lock);
}

void process_loop_keep(struct larder_loop *loop)
{
    pthread_mutex_lock(&lock);
    list_push(&kept, &loop->node);
    pthread_mutex_unlock(&lock);
}

bool process_loop_forget(struct larder_loop *loop)
{
    pthread_mutex_lock(&lock);
    bool ours = !list_empty(&loop->node);
    list_remove(&loop->node);
    pthread_mutex_unlock(&lock);
    return ours;
}

/* ---- what a process has of a kind ---- */

static struct process_list *list_new(void)
{
    struct process_list *list = mem_zero(sizeof *list);
    if (!list)
        return NULL;
    list->generation = process_generation();
    list_init(&list->list);
    pthread_mutex_init(&list->lock, NULL);
    return list;
}

struct process_list *process_list_get(struct process_list *_Atomic *current)
{
    struct process_list *before = atomic_load_explicit(current, memory_order_acquire);
    if (before && before->generation == process_generation())
        return before;
    struct process_list *list = list_new();
    if (!list || atomic_compare_exchange_strong(current, &before, list))
        return list;
    mem_free(list);
    return before;
}

/* ---- the default loop ---- */

struct larder_loop *loop_default_made(void)
{
    struct larder_loop *loop = atomic_load_explicit(&default_loop, memory_order_acquire);
    return loop != NULL && loop->generation == process_generation() ? loop : NULL;
}

struct larder_loop *larder_loop_default(void)
{
    struct larder_loop *loop = loop_default_made();
    if (loop != NULL)
        return loop;
    pthread_mutex_lock(&lock);
    loop = loop_default_made();
    if (loop == NULL) {
        arm_locked();
        if (loop_new(true, &loop) == 0) {
            list_push(&kept, &loop->node);
            atomic_store_explicit(&default_loop, loop, memory_order_release);
        }
    }
    pthread_mutex_unlock(&lock);
    return loop;
}

bool loop_is_same(const struct larder_loop *a, const struct larder_loop *b)
{
    return a == b || (a ? !b && a->is_default : b->is_default);
}
