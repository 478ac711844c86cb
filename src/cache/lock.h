/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_LOCK_H
#define CACHE_LOCK_H
/*
 * Who asks for what, among the processes of a store and the loops and tasks of each: a lock of the kernel's on a range of a
 * file's bytes, which ends with its owner, however that dies.
 *
 * A path has 2^23 bytes of the lock file, one a block (or for all those beyond the last), from where its hash says. Two
 * paths of one hash wait for each other, and get on all the same: a lock only saves requests.
 */
#include "cache/range_lock.h"
#include "cache/store.h"

#define LOCK_BLOCKS (1U << 23)

struct lock {
    bool held;               /* zero: it is not, and need not be ended */
    struct range_lock range; /* when held */
    uint64_t hash;           /* of what it is about */
};
void lock_init(struct lock *lock, enum key_type type, const struct place *place, const char *path);
/*
 * Wait for it, up to `patience_ms`, and no longer than whoever has it lives and runs. Then what there was to wait for is
 * in the store, or nobody brings it. Held or not, one goes on: it is not held when that took too
 * long, when there are no locks here, or when its owner could not keep what it got, since all who waited would ask one
 * after the other. A failure is the task's own: cancelled, timed out.
 */
int CO_FN lock_wait(struct lock *lock, struct store *store, uint64_t first, uint64_t count,
                    uint64_t patience_ms);
/* Any thread. Not held: nothing. `kept`: what it was for is in the store, or failed to come for our own reasons. */
void lock_end(struct lock *lock, struct store *store, bool kept);
void lock_move(struct lock *to, struct lock *from);

/*
 * A process that stages what no record names yet has a lock of its own as long as it lives, under a random number that
 * stands beside what it staged.
 */
void lock_own(struct store *store); /* sets store->owner; 0: there are no locks here */
void lock_disown(struct store *store);
bool lock_owner_lives(const struct store *store, uint64_t owner);

/* While the loop that has it runs, those who wait are told so (shared.h). The loop's thread. */
struct lock_beat {
    struct loop_timer timer;
    struct larder_loop *loop;
    struct lock *lock;
    struct store *store;
};
void lock_beat_start(struct lock_beat *beat, struct larder_loop *loop, struct lock *lock,
                     struct store *store);
void lock_beat_stop(struct lock_beat *beat); /* not started: nothing */

#endif
