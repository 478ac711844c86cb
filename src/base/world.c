/* SPDX-License-Identifier: Apache-2.0 */
#include "base/seams.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static int64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static uint64_t monotonic_clock_ns(void)
{
    return (uint64_t)clock_ns(CLOCK_MONOTONIC);
}

static int64_t wall_clock_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

static void kernel_random(void *out, size_t size)
{
    char *at = out;
    while (size > 0) {
        ssize_t count = getrandom(at, size, 0);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            abort(); /* a kernel without getrandom; a guess in its place would not be noticed */
        at += count;
        size -= (size_t)count;
    }
}

static uint64_t all_of_it_ms(uint64_t ms)
{
    return ms;
}

struct world_seam world_seam = {
    .monotonic_ns = monotonic_clock_ns,
    .wall_ns = wall_clock_ns,
    .random = kernel_random,
    .sleep_ms = all_of_it_ms,
};

uint64_t now_ns(void)
{
    return world_seam.monotonic_ns();
}

int64_t wall_ns(void)
{
    return world_seam.wall_ns();
}

/* Written only in a child that has just been forked, where there is one thread. */
static atomic_uint_least32_t generation;

static void count_fork(void)
{
    atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
}

__attribute__((constructor)) static void watch_forks(void)
{
    /* Unwatched, a child would share its parent's connections and stores without a word. */
    if (pthread_atfork(NULL, NULL, count_fork) != 0)
        abort();
}

uint32_t process_generation(void)
{
    return atomic_load_explicit(&generation, memory_order_relaxed);
}

/*
 * Random numbers are drawn many at a time, each thread its own. What is left over is worthless in a forked
 * child, whose parent will use the same numbers, and after a test has changed the source.
 */
struct random_pool {
    uint64_t numbers[32];
    unsigned left;
    uint32_t generation;
    void (*source)(void *out, size_t size);
};
static _Thread_local struct random_pool random_pool;

uint64_t random_u64(void)
{
    struct random_pool *pool = &random_pool;
    if (pool->left == 0 || pool->generation != process_generation() || pool->source != world_seam.random) {
        pool->generation = process_generation();
        pool->source = world_seam.random;
        pool->source(pool->numbers, sizeof(pool->numbers));
        pool->left = sizeof(pool->numbers) / sizeof(pool->numbers[0]);
    }
    return pool->numbers[--pool->left];
}
