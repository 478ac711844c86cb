/* SPDX-License-Identifier: Apache-2.0 */
#include "alloc_fault.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/seams.h"

#define PASSES_MAX 100000

/* Put under the library once, and left there: other threads may be allocating when a run begins or ends. */
static struct memory_seam real;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_long allocation_count, live_count;
static atomic_long fail_first = LONG_MAX, fail_last = LONG_MAX;

static void *counted_resize(void *memory, size_t size)
{
    long number = atomic_fetch_add(&allocation_count, 1) + 1;
    if (number >= atomic_load(&fail_first) && number <= atomic_load(&fail_last))
        return NULL;
    void *result = real.resize(memory, size);
    if (!memory && result)
        atomic_fetch_add(&live_count, 1);
    return result;
}

static void counted_release(void *memory)
{
    atomic_fetch_sub(&live_count, 1);
    real.release(memory);
}

static void put_under(void)
{
    real = memory_seam;
    memory_seam = (struct memory_seam){.resize = counted_resize, .release = counted_release};
}

/* One pass in which the allocations [first, last] fail. Did it meet any? */
static bool pass(alloc_fault_body *body, void *arg, long first, long last)
{
    long live_before = atomic_load(&live_count);
    atomic_store(&allocation_count, 0);
    atomic_store(&fail_first, first);
    atomic_store(&fail_last, last);
    int status = body(arg);
    bool met = atomic_load(&allocation_count) >= first;
    atomic_store(&fail_first, LONG_MAX);
    atomic_store(&fail_last, LONG_MAX);

    const char *which = last > first ? " and all behind it" : "";
    if (status != 0 && !(met && status == -ENOMEM))
        fail_msg("allocation %ld%s fails: status %d %s (%s)", met ? first : 0, which, status,
                 larder_status_name(status), larder_error());
    long leaked = atomic_load(&live_count) - live_before;
    if (leaked != 0)
        fail_msg("allocation %ld%s fails: %ld blocks leak", met ? first : 0, which, leaked);
    return met;
}

long alloc_fault_run(alloc_fault_body *body, void *arg)
{
    pthread_once(&once, put_under);
    int status = body(arg);
    if (status != 0)
        fail_msg("nothing fails: status %d %s (%s)", status, larder_status_name(status), larder_error());
    for (long first = 1; first <= PASSES_MAX; first++) {
        bool met = pass(body, arg, first, first);
        met |= pass(body, arg, first, LONG_MAX - 1);
        if (!met)
            return first - 1;
    }
    fail_msg("still allocating after %d passes", PASSES_MAX);
    return -1;
}
