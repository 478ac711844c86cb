/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_LIST_KEEP_H
#define CACHE_LIST_KEEP_H
/* Listings on their way into the store. */
#include "cache/listing.h"
#include "cache/lock.h"
#include "cache/view.h"

/* One that comes, page by page, until it is whole. Zero to begin. */
struct coming {
    struct listing pages;
    struct answer answer; /* of the first of them */
    int64_t answered_ns;
    struct seen seen;
    size_t cost;      /* reserved of the writer's budget */
    struct lock lock; /* nobody else asks for this listing until it is in the store; not held: others may */
};
/* It will not be kept. The answer stays. */
void coming_drop(struct coming *coming, struct store *store);
/* Room in the writer's budget for what has come. -EAGAIN: there is none, and it is not waited for. */
int CO_FN coming_reserve(struct coming *coming, struct store *store, bool wait);
/* It is whole: queue it. What it had is gone from it then, also where it could not be queued. */
void coming_keep(struct coming *coming, struct view *view, struct store *store, const char *path);

/* The place said that the stored listing `id` is still right, for as long as `answer` says. */
void listing_keep_fresh(struct view *view, struct store *store, const char *path, uint64_t id,
                        const struct answer *answer);

#endif
