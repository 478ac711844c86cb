/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_SHARED_H
#define CACHE_SHARED_H
/*
 * What the processes of a store tell each other outside its transactions: a small file beside it, mapped by all,
 * which may be lost, wrong or old without a wrong byte ever coming of it.
 *
 *   used   when something was last read, in the store's ticks (unit.h): a slot by its id. A hit looks at one
 *          word, and writes it once a tick. Two ids in one slot are both taken for as young as the younger one
 *   alive  until when whoever has a lock (lock.h) is taken to run: who waits for a stopped one sees that
 *   writing  who is in the middle of a transaction: if he dies there, its pages are looked at (damage.h)
 *   alone  when somebody asked for what will not be in the store: whoever waited for it asks, too
 *
 * Where the file cannot be had, the memory is this process's alone: then the order in which things go is as good
 * as what this process knows.
 */
#include <stdatomic.h>
#include <stdint.h>

#define USED_SLOTS (1U << 20)
#define LOCK_SLOTS 1024U

struct shared {
    uint64_t mark;
    atomic_uint_least32_t tick;
    uint32_t unused;
    atomic_uint_least64_t writing; /* the owner (lock.h) that is in the middle of a transaction; 0: none is */
    uint64_t unused_too[5];
    atomic_uint_least64_t alive[LOCK_SLOTS], alone[LOCK_SLOTS]; /* ns of the monotonic clock, the machine's */
    atomic_uint_least32_t used[USED_SLOTS];
};

/* Under the directory's lock. NULL: no memory. */
struct shared *shared_open(const char *dir);
void shared_close(struct shared *shared); /* NULL is fine */
void shared_remove(const char *dir);

/* `id` is random in its low bits. */
static inline void shared_touch(struct shared *shared, uint64_t id)
{
    atomic_uint_least32_t *slot = &shared->used[id % USED_SLOTS];
    uint32_t tick = atomic_load_explicit(&shared->tick, memory_order_relaxed);
    if (atomic_load_explicit(slot, memory_order_relaxed) != tick)
        atomic_store_explicit(slot, tick, memory_order_relaxed);
}
static inline uint32_t shared_used(struct shared *shared, uint64_t id)
{
    return atomic_load_explicit(&shared->used[id % USED_SLOTS], memory_order_relaxed);
}
static inline uint64_t segment_id(uint64_t version, uint64_t segment)
{
    return version + segment * 0x9e3779b97f4a7c15U;
}

#endif
