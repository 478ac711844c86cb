/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_RANGE_LOCK_H
#define CACHE_RANGE_LOCK_H
/*
 * The kernel's locks on ranges of a file's bytes (open file description locks), which end with their owner, however that
 * dies. The locks of one open file do not meet, so each struct has an open file of its own. A fork's child closes its
 * copies at once: else a lock of a dead parent would live on in it.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct range_lock {
    int fd;           /* when open; its locks go with it */
    struct list node; /* of the process's; likewise */
};
/* Open `path`, made when it is missing, with nothing locked. 0 or -errno, without text. */
int range_lock_open(struct range_lock *lock, const char *path);
/* Lock more of it. -EAGAIN: somebody else has some of it; else a failure to lock anything. No text. */
int range_lock_add(struct range_lock *lock, uint64_t start, uint64_t count);
void range_lock_remove(struct range_lock *lock, uint64_t start, uint64_t count);
/* Of one that is open: all is unlocked. Any thread. */
void range_lock_close(struct range_lock *lock);
void range_lock_move(struct range_lock *to, struct range_lock *from);

/* Where somebody has a lock in this range: called for the first byte of each. A failure ends it and is returned. */
typedef int range_held_fn(void *arg, uint64_t start);
int range_each_held(const char *path, uint64_t start, uint64_t end, range_held_fn *fn, void *arg);
/* Does nobody have a lock in this range? -errno: it cannot be told; a file that is missing has none. */
int range_is_free(const char *path, uint64_t start, uint64_t count);

#endif
