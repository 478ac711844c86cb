/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_LOCK_H
#define CACHE_LOCK_H
/*
 * Who asks for what, among the processes of a store and the loops and tasks of each: a lock of the kernel's on a range of a
 * file's bytes, which ends with its owner, however that dies.
 *
 * A path has 2^23 bytes of the lock file, one a block (or for all those beyond the last), from where its hash says. Two
 * paths of one hash wait for each other, and get on all the same: a lock only saves requests.
 *
 * A store has the file open once, however much of it is locked; what is locked is noted here, since the kernel's locks of
 * one open file do not meet.
 */
#include <pthread.h>

#include "cache/format.h"
#include "cache/range_lock.h"
#include "task/loop.h"

#define LOCK_BLOCKS  (1U << 23)
#define LOCK_BUCKETS 256U

struct store;

struct locks { /* a store's */
    pthread_mutex_t mutex;
    struct range_lock file; /* open, if … */
    bool open;
    struct list held[LOCK_BUCKETS]; /* by what they are about */
};
void locks_init(struct locks *locks);
void locks_fini(struct locks *locks);

struct lock {
    struct store *store;
    uint64_t hash;         /* of what it is about */
    bool held;             /* zero: it is not, and need not be ended */
    struct list node;      /* when held, … */
    uint64_t start, count; /* … bytes of the file */
};
void lock_init(struct lock *lock, struct store *store, enum key_type type, const struct place *place,
               const char *path);
/*
 * Wait for it, up to `patience_ms`, and no longer than whoever has it lives and runs. Then what there was to wait for is
 * in the store, or nobody brings it. Held or not, one goes on: it is not held when that took too
 * long, when there are no locks here, or when its owner could not keep what it got, since all who waited would ask one
 * after the other. A failure is the task's own: cancelled, timed out.
 */
int CO_FN lock_wait(struct lock *lock, uint64_t first, uint64_t count, uint64_t patience_ms);
/* Any thread. Not held: nothing; nor in a fork's child, whose parent goes on to hold it. `kept`: what it was for is in the store, or failed to come for our own reasons. */
void lock_end(struct lock *lock, bool kept);
void lock_move(struct lock *to, struct lock *from);
/* The writer has what it is for, and nothing beats any more: it is waited for, for ten seconds at most. */
void lock_last(const struct lock *lock);

/*
 * A process that stages what no record names yet has a lock of its own as long as it lives, under a random number that
 * stands beside what it staged.
 */
void lock_own(struct store *store); /* sets store->owner; 0: there are no locks here */
bool lock_owner_lives(const struct store *store, uint64_t owner);

/* While the loop that has it runs, those who wait are told so (shared.h). The loop's thread. */
struct lock_beat {
    struct loop_timer timer;
    struct larder_loop *loop;
    struct lock *lock;
};
void lock_beat_start(struct lock_beat *beat, struct larder_loop *loop, struct lock *lock);
void lock_beat_stop(struct lock_beat *beat); /* not started: nothing */

#endif
