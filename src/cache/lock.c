/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/lock.h"

#include <errno.h>

#include "base/hash.h"
#include "base/seams.h"
#include "cache/shared.h"

#define BEAT_NS     200000000ULL
#define STALLED_NS  1000000000ULL /* without a beat: whoever has it is stopped */
#define POLL_MS_MAX 25

/* ---- locks ---- */

void lock_init(struct lock *lock, enum key_type type, const struct place *place, const char *path)
{
    struct key key;
    key_path(&key, type, place, path);
    *lock = (struct lock){0};
    lock->hash = hash_bytes(key.data, key.size);
}

/* What of the file it is. */
static uint64_t range_of(uint64_t hash, uint64_t first, uint64_t *count)
{
    uint64_t end = first + *count < LOCK_BLOCKS ? first + *count : LOCK_BLOCKS;
    if (first >= LOCK_BLOCKS)
        first = LOCK_BLOCKS - 1;
    *count = end > first ? end - first : 1;
    return (hash >> 24) * LOCK_BLOCKS + first;
}

/* -EAGAIN: somebody has some of it; else a failure to lock anything. */
static int lock_take(struct lock *lock, const struct store *store, uint64_t first, uint64_t count)
{
    uint64_t start = range_of(lock->hash, first, &count);
    int rc = range_lock_open(&lock->range, store->lock_path);
    if (rc < 0)
        return rc;
    rc = range_lock_add(&lock->range, start, count);
    lock->held = rc == 0;
    if (rc < 0)
        range_lock_close(&lock->range);
    return rc;
}

static void lock_drop(struct lock *lock)
{
    range_lock_close(&lock->range);
    lock->held = false;
}

void lock_move(struct lock *to, struct lock *from)
{
    *to = (struct lock){.held = from->held, .hash = from->hash};
    from->held = false;
    if (to->held)
        range_lock_move(&to->range, &from->range);
}

/* ---- who stages ---- */

void lock_own(struct store *store)
{
    struct lock *lock = mem_zero(sizeof *lock);
    if (!lock)
        return;
    lock->hash = store_number();
    if (lock_take(lock, store, 0, 1) < 0) {
        mem_free(lock);
        return;
    }
    store->owner = lock->hash;
    store->owner_lock = lock;
}

void lock_disown(struct store *store)
{
    if (store->owner_lock)
        lock_drop(store->owner_lock);
    mem_free(store->owner_lock);
    store->owner_lock = NULL;
}

/* When it cannot be told it does. */
bool lock_owner_lives(const struct store *store, uint64_t owner)
{
    uint64_t count = 1, start = range_of(owner, 0, &count);
    if (owner == 0 || owner == store->owner)
        return true;
    return range_is_free(store->lock_path, start, count) <= 0;
}

/* ---- what is told beside them ---- */

static uint64_t told(const struct lock *lock, const atomic_uint_least64_t slots[])
{
    return atomic_load_explicit(&slots[lock->hash % LOCK_SLOTS], memory_order_acquire);
}

static void tell(const struct lock *lock, atomic_uint_least64_t slots[])
{
    atomic_store_explicit(&slots[lock->hash % LOCK_SLOTS], now_ns(), memory_order_release);
}

static void beat(struct loop_timer *timer)
{
    struct lock_beat *beating = container_of(timer, struct lock_beat, timer);
    if (!beating->lock->held)
        return;
    tell(beating->lock, beating->store->shared->alive);
    loop_timer_start(beating->loop, timer, now_ns() + BEAT_NS, beat);
}

void lock_beat_start(struct lock_beat *beating, struct larder_loop *loop, struct lock *lock,
                     struct store *store)
{
    *beating = (struct lock_beat){.loop = loop, .lock = lock, .store = store};
    beat(&beating->timer);
}

void lock_beat_stop(struct lock_beat *beating)
{
    if (beating->loop)
        loop_timer_stop(beating->loop, &beating->timer);
}

void lock_end(struct lock *lock, struct store *store, bool kept)
{
    if (!lock->held)
        return;
    if (!kept)
        tell(lock, store->shared->alone);
    lock_drop(lock);
}

/* ---- waiting ---- */

static bool is_worth_waiting(const struct lock *lock, const struct store *store, uint64_t since,
                             uint64_t patience_ms)
{
    uint64_t alive = told(lock, store->shared->alive), now = now_ns();
    uint64_t last = alive > since && alive <= now ? alive : since;
    return now - last < STALLED_NS && (now - since) / 1000000 < patience_ms;
}

int lock_wait(struct lock *lock, struct store *store, uint64_t first, uint64_t count, uint64_t patience_ms)
{
    uint64_t since = now_ns(), pause_ms = 1;
    int rc;
    while ((rc = lock_take(lock, store, first, count)) == -EAGAIN &&
           is_worth_waiting(lock, store, since, patience_ms)) {
        rc = task_sleep(pause_ms);
        if (rc < 0)
            return rc;
        pause_ms = pause_ms * 2 < POLL_MS_MAX ? pause_ms * 2 : POLL_MS_MAX;
    }
    if (rc == 0 && told(lock, store->shared->alone) >= since)
        lock_drop(lock);
    return 0;
}
