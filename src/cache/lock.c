/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/lock.h"

#include <errno.h>

#include "base/hash.h"
#include "base/seams.h"
#include "cache/shared.h"
#include "cache/store.h"

#define BEAT_NS     200000000ULL
#define STALLED_NS  1000000000ULL  /* without a beat: whoever has it is stopped */
#define LAST_NS     10000000000ULL /* after the last one, while what it got is on its way to the disk */
#define POLL_MS_MAX 25

/* ---- a store's ---- */

void locks_init(struct locks *locks)
{
    pthread_mutex_init(&locks->mutex, NULL);
    locks->open = false;
    for (unsigned i = 0; i < LOCK_BUCKETS; i++)
        list_init(&locks->held[i]);
}

void locks_fini(struct locks *locks)
{
    if (locks->open)
        range_lock_close(&locks->file);
    pthread_mutex_destroy(&locks->mutex);
}

/* All of a path are in one. */
static struct list *bucket_of(struct locks *locks, uint64_t start)
{
    return &locks->held[start / LOCK_BLOCKS % LOCK_BUCKETS];
}

static bool is_held_here(struct locks *locks, uint64_t start, uint64_t count)
{
    struct list *bucket = bucket_of(locks, start);
    list_for_each (node, bucket) {
        const struct lock *lock = container_of(node, struct lock, node);
        if (start < lock->start + lock->count && lock->start < start + count)
            return true;
    }
    return false;
}

/* Under the mutex. */
static int open_locks(struct locks *locks, const char *path)
{
    int rc = locks->open ? 0 : range_lock_open(&locks->file, path);
    locks->open = rc == 0;
    return rc;
}

/* ---- locks ---- */

void lock_init(struct lock *lock, struct store *store, enum key_type type, const struct place *place,
               const char *path)
{
    struct key key;
    key_path(&key, type, place, path);
    *lock = (struct lock){.store = store};
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
static int lock_take(struct lock *lock, uint64_t first, uint64_t count)
{
    struct locks *locks = &lock->store->locks;
    uint64_t start = range_of(lock->hash, first, &count);
    pthread_mutex_lock(&locks->mutex);
    int rc = is_held_here(locks, start, count) ? -EAGAIN : open_locks(locks, lock->store->lock_path);
    if (rc == 0)
        rc = range_lock_add(&locks->file, start, count);
    lock->held = rc == 0;
    if (lock->held) {
        lock->start = start;
        lock->count = count;
        list_push(bucket_of(locks, start), &lock->node);
    }
    pthread_mutex_unlock(&locks->mutex);
    return rc;
}

static void lock_drop(struct lock *lock)
{
    struct locks *locks = &lock->store->locks;
    pthread_mutex_lock(&locks->mutex);
    range_lock_remove(&locks->file, lock->start, lock->count);
    list_remove(&lock->node);
    pthread_mutex_unlock(&locks->mutex);
    lock->held = false;
}

void lock_move(struct lock *to, struct lock *from)
{
    *to = (struct lock){.store = from->store, .hash = from->hash, .start = from->start, .count = from->count};
    if (!from->held)
        return;
    struct locks *locks = &from->store->locks;
    pthread_mutex_lock(&locks->mutex);
    list_remove(&from->node);
    list_push(bucket_of(locks, to->start), &to->node);
    pthread_mutex_unlock(&locks->mutex);
    from->held = false;
    to->held = true;
}

/* ---- who stages ---- */

void lock_own(struct store *store)
{
    struct lock *lock = &store->owner_lock;
    *lock = (struct lock){.store = store, .hash = store_number()};
    if (lock_take(lock, 0, 1) == 0)
        store->owner = lock->hash;
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

static void tell_alone(const struct lock *lock)
{
    atomic_store_explicit(&lock->store->shared->alone[lock->hash % LOCK_SLOTS], now_ns(),
                          memory_order_release);
}

/* Is it a time that somebody may have told? The file may be older than the machine's clock. */
static bool is_told(uint64_t until, uint64_t now)
{
    return until > now && until - now <= LAST_NS;
}

/* For so long from now; longer, if somebody else, of this path or of another in the slot, said so. */
static void tell_alive(const struct lock *lock, uint64_t now, uint64_t for_ns)
{
    atomic_uint_least64_t *slot = &lock->store->shared->alive[lock->hash % LOCK_SLOTS];
    uint_least64_t before = atomic_load_explicit(slot, memory_order_relaxed), until = now + for_ns;
    while ((before < until || !is_told(before, now)) &&
           !atomic_compare_exchange_weak_explicit(slot, &before, until, memory_order_release,
                                                  memory_order_relaxed))
        ;
}

static void beat(struct loop_timer *timer)
{
    struct lock_beat *beating = container_of(timer, struct lock_beat, timer);
    uint64_t now = now_ns();
    if (!beating->lock->held)
        return;
    tell_alive(beating->lock, now, STALLED_NS);
    loop_timer_start(beating->loop, timer, now + BEAT_NS, beat);
}

void lock_beat_start(struct lock_beat *beating, struct larder_loop *loop, struct lock *lock)
{
    *beating = (struct lock_beat){.loop = loop, .lock = lock};
    beat(&beating->timer);
}

void lock_beat_stop(struct lock_beat *beating)
{
    if (beating->loop)
        loop_timer_stop(beating->loop, &beating->timer);
}

void lock_last(const struct lock *lock)
{
    if (lock->held)
        tell_alive(lock, now_ns(), LAST_NS);
}

void lock_end(struct lock *lock, bool kept)
{
    bool ours = lock->held && lock->store->generation == process_generation();
    if (ours && !kept)
        tell_alone(lock);
    if (ours)
        lock_drop(lock);
    lock->held = false; /* a fork's child ends nothing: it is its parent's */
}

/* ---- waiting ---- */

static bool is_worth_waiting(const struct lock *lock, uint64_t since, uint64_t patience_ms)
{
    uint64_t until = told(lock, lock->store->shared->alive), now = now_ns();
    bool alive = now - since < STALLED_NS || is_told(until, now);
    return alive && (now - since) / 1000000 < patience_ms;
}

int lock_wait(struct lock *lock, uint64_t first, uint64_t count, uint64_t patience_ms)
{
    uint64_t since = now_ns(), pause_ms = 1;
    int rc;
    while ((rc = lock_take(lock, first, count)) == -EAGAIN && is_worth_waiting(lock, since, patience_ms)) {
        rc = task_sleep(pause_ms);
        if (rc < 0)
            return rc;
        pause_ms = pause_ms * 2 < POLL_MS_MAX ? pause_ms * 2 : POLL_MS_MAX;
    }
    if (rc == 0 && told(lock, lock->store->shared->alone) >= since)
        lock_drop(lock);
    return 0;
}
