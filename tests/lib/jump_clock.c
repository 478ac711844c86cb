/* SPDX-License-Identifier: Apache-2.0 */
#include "jump_clock.h"

#include <assert.h>
#include <stdatomic.h>

#include "base/seams.h"

#define SLEEPS_MAX 256

static struct world_seam real;
static atomic_uint_fast64_t ahead_ns, sleeps_ms[SLEEPS_MAX], total_ms;
static atomic_size_t count;
static atomic_bool paused;

static uint64_t monotonic(void)
{
    return real.monotonic_ns() + atomic_load(&ahead_ns);
}

static int64_t wall(void)
{
    return real.wall_ns() + (int64_t)atomic_load(&ahead_ns);
}

static uint64_t jump(uint64_t ms)
{
    size_t index = atomic_fetch_add(&count, 1);
    if (index < SLEEPS_MAX)
        atomic_store(&sleeps_ms[index], ms);
    atomic_fetch_add(&total_ms, ms);
    if (atomic_load(&paused))
        return ms;
    atomic_fetch_add(&ahead_ns, ms * 1000000);
    return 0;
}

void jump_clock_start(void)
{
    real = world_seam;
    world_seam.monotonic_ns = monotonic;
    world_seam.wall_ns = wall;
    world_seam.sleep_ms = jump;
    jump_clock_forget();
}

void jump_clock_pause(bool pause)
{
    atomic_store(&paused, pause);
}

void jump_clock_forget(void)
{
    atomic_store(&count, 0);
    atomic_store(&total_ms, 0);
}

size_t jump_clock_count(void)
{
    return atomic_load(&count);
}

uint64_t jump_clock_sleep_ms(size_t index)
{
    assert(index < SLEEPS_MAX && index < jump_clock_count());
    return atomic_load(&sleeps_ms[index]);
}

uint64_t jump_clock_total_ms(void)
{
    return atomic_load(&total_ms);
}
