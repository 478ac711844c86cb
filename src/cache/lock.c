/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/seams.h"
#include "cache/shared.h"
#include "task/process.h"

#define BEAT_NS     200000000ULL
#define STALLED_NS  1000000000ULL /* without a beat: whoever has it is stopped */
#define POLL_MS_MAX 25

/* ---- the process's ---- */

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list all = {&all, &all}; /* held ones; under all_lock */

static void before_fork(void)
{
    pthread_mutex_lock(&all_lock);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&all_lock);
}

/* The structs stay the parent's; only what the kernel knows of them ends here. */
static void after_fork_in_child(void)
{
    list_for_each (node, &all)
        close(container_of(node, struct lock, node)->fd);
    list_init(&all);
    pthread_mutex_unlock(&all_lock);
}

static void arm(void)
{
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

__attribute__((constructor)) static void before_threads(void)
{
    process_before_threads(arm);
}

/* ---- locks ---- */

void lock_init(struct lock *lock, enum key_type type, const struct place *place, const char *path)
{
    struct key key;
    key_path(&key, type, place, path);
    *lock = (struct lock){0};
    lock->hash = hash_bytes(key.data, key.size);
}

static struct flock range_of(uint64_t hash, uint64_t first, uint64_t count)
{
    uint64_t end = first + count < LOCK_BLOCKS ? first + count : LOCK_BLOCKS;
    if (first >= LOCK_BLOCKS)
        first = LOCK_BLOCKS - 1;
    return (struct flock){.l_type = F_WRLCK,
                          .l_whence = SEEK_SET,
                          .l_start = (off_t)((hash >> 24) * LOCK_BLOCKS + first),
                          .l_len = (off_t)(end > first ? end - first : 1)};
}

/* -EAGAIN: somebody has some of it; else a failure to lock anything. */
static int lock_take(struct lock *lock, const struct store *store, uint64_t first, uint64_t count)
{
    struct flock range = range_of(lock->hash, first, count);
    pthread_mutex_lock(&all_lock);
    int fd = file_seam.open(store->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int rc = fd < 0 || fcntl(fd, F_OFD_SETLK, &range) < 0 ? -errno : 0;
    if (rc == 0) {
        lock->fd = fd;
        lock->held = true;
        list_push(&all, &lock->node);
    } else if (fd >= 0) {
        file_seam.close(fd);
    }
    pthread_mutex_unlock(&all_lock);
    return rc == -EACCES && fd >= 0 ? -EAGAIN : rc;
}

static void lock_drop(struct lock *lock)
{
    pthread_mutex_lock(&all_lock);
    list_remove(&lock->node);
    file_seam.close(lock->fd);
    lock->held = false;
    pthread_mutex_unlock(&all_lock);
}

void lock_move(struct lock *to, struct lock *from)
{
    pthread_mutex_lock(&all_lock);
    *to = *from;
    from->held = false;
    if (to->held) {
        list_remove(&from->node);
        list_push(&all, &to->node);
    }
    pthread_mutex_unlock(&all_lock);
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
    struct flock range = range_of(owner, 0, 1);
    if (owner == 0 || owner == store->owner)
        return true;
    int fd = file_seam.open(store->lock_path, O_RDWR | O_CLOEXEC, 0600);
    bool lives = fd < 0 || fcntl(fd, F_OFD_GETLK, &range) < 0 || range.l_type != F_UNLCK;
    if (fd >= 0)
        file_seam.close(fd);
    return lives;
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
