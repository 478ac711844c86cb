/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_CAP_H
#define CACHE_CAP_H
/*
 * The cap: how much lies in the store, which is counted in the pages that it takes there. It is the store's, so
 * that all processes agree. Every transaction ends within it: what was used last the longest ago goes first
 * (unit.h), pinned trees never. What does not fit beside what is pinned is not kept.
 *
 * The disk has a say, too: while less of it is free than `free_min`, so much less may lie in the store. Pages are freed
 * within its file, which does not become shorter; how long it becomes, length.h says.
 */
#include "cache/store.h"

#define CAP_SIZE_DEFAULT (10ULL << 30)
#define CAP_SIZE_MIN     (1ULL << 20)
#define FREE_MIN_DEFAULT UINT64_MAX /* as the disk is: a twentieth of it, at most 1 GiB */
#define LIMITS_DEFAULT   ((struct limits){CAP_SIZE_DEFAULT, FREE_MIN_DEFAULT})

struct cap {
    uint64_t used, pinned;       /* bytes of pages */
    uint64_t size_max, free_min; /* as the store has them */
};
/* -EAGAIN: the store cannot be read now. */
int cap_read(struct store *store, struct cap *out);
/* Would `more` bytes fit beside what is pinned, when all else goes? */
static inline bool cap_fits(const struct cap *cap, uint64_t more)
{
    return cap->pinned <= cap->size_max && more <= cap->size_max - cap->pinned;
}
/* The same with what the latest batch of this process knew: for what is asked often. */
bool cap_may_fit(const struct store *store, uint64_t more);

/* What of the limit the disk and the map allow now. */
uint64_t cap_effective(const struct store *store, const struct limits *limits);
/* How much to put at a time: whole blocks. */
uint64_t cap_piece(uint64_t size_max);

/* For every process, from now on; -1: as it was. Queued; nothing is written if it is so already. */
int cap_change(struct store *store, int64_t size_max, int64_t free_min);
/* Once: evict until no more than so much is used, and give the space back to the disk. Queued. */
int cap_prune(struct store *store, uint64_t size_max);

#endif
