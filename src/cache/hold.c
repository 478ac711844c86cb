/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/hold.h"

#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/seams.h"
#include "cache/cap.h"

#define AGAIN_NS 30000000000ULL

/* One thread at a time, now and then; at once in a new process, or when what there was has just been lost. */
static bool may_try(struct hold *hold, struct store *before)
{
    uint_least32_t generation = process_generation() + 1;
    uint64_t now = now_ns(), again = atomic_load(&hold->again_ns);
    bool first = atomic_exchange(&hold->tried, generation) != generation;
    first |= atomic_exchange(&hold->tried_for, before) != before;
    if (!first && now < again)
        return false;
    return atomic_compare_exchange_strong(&hold->again_ns, &again, now + AGAIN_NS);
}

/* Once, whoever in this process finds the same. */
static void say_unusable(const char *why)
{
    static atomic_uint_least64_t said;
    uint64_t hash = hash_bytes(why, strlen(why));
    if (atomic_exchange(&said, hash) != hash)
        log_at(LARDER_LOG_WARNING, "the cache cannot be used: %s", why);
}

struct store *hold_store(struct hold *hold)
{
    struct store *before = atomic_load_explicit(&hold->store, memory_order_acquire), *store;
    if (before && store_is_ours(before))
        return before;
    if (!may_try(hold, before))
        return NULL;
    if (store_open(hold->dir, &store) < 0) {
        say_unusable(error_text());
        error_clear();
        return NULL;
    }
    if (hold->size_max >= 0 || hold->free_min >= 0)
        cap_change(store, hold->size_max, hold->free_min); /* one that cannot be written is used as it is */
    if (atomic_compare_exchange_strong(&hold->store, &before, store))
        return store; /* others may be in the middle of using what was there: it stays open */
    store_unref(store);
    return before;
}

void hold_fini(struct hold *hold)
{
    store_unref(atomic_load(&hold->store));
}
