/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TASK_SWITCH_H
#define TASK_SWITCH_H
/*
 * Stacks, and the switch between them. Knows nothing of tasks.
 *
 * A fiber is a stack and the place where it goes on. Stacks are cut from slabs, each above a guard that no frame can
 * step over, and pooled last in, first out: the one used last is warm in the caches. Past FIBERS_WARM idle ones the
 * pages of a stack go back to the system. A pool, its fibers and their host belong to one thread.
 *
 *            fiber_start            fiber_resume               `run` returns
 *   (idle) ─────────────▶ suspended ────────────▶ running ────────────────────▶ ended ── fiber_put ──▶ (idle)
 *                             ▲                      │
 *                             └──── fiber_suspend ───┘
 */
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>

#define FIBERS_WARM 256
#define FIBER_SPACE 1024 /* bytes above the stack, for its user */

typedef void fiber_fn(void *arg);

struct fiber {
    sigjmp_buf place; /* valid when `born` */
    void *frame;      /* the innermost frame while suspended: the head of a chain that tools/gdb walks */
    char *low;        /* of the stack; `low + size` is the space */
    size_t size;
    bool born; /* has been on its stack since its pages were last given back */
    fiber_fn *run;
    void *arg;
    struct fiber *host; /* the thread's own stack, from which it was resumed */
    struct fiber *next; /* in the pool */
    void *fake_stack;   /* ASan's */
    void *tsan;
    unsigned valgrind;
};

struct fiber_pool {
    struct fiber_slab *slabs;
    unsigned cut; /* stacks of the newest slab that have been used */
    struct fiber *warm, *cold;
    unsigned warm_count;
};

static inline void *fiber_space(struct fiber *fiber)
{
    return fiber->low + fiber->size;
}

/* NULL: no memory. */
struct fiber *fiber_get(struct fiber_pool *pool);
void fiber_put(struct fiber_pool *pool, struct fiber *fiber);
/* Every fiber must have been put back. Zero is an empty pool. */
void fiber_pool_fini(struct fiber_pool *pool);

/* The first fiber_resume calls run(arg) on the fiber's stack. */
void fiber_start(struct fiber *fiber, fiber_fn *run, void *arg);
/* From the thread's own stack, for which `host` stands: run `fiber` until it suspends or ends. */
void fiber_resume(struct fiber *fiber, struct fiber *host);
/* In the running fiber: back to its host. */
void fiber_suspend(struct fiber *fiber);

#endif
