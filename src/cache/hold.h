/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_HOLD_H
#define CACHE_HOLD_H
/*
 * A directory, and the store in it as this process has it: opened when it is first wanted, and anew when that one is of
 * use no more, because it is a fork's parent's, or was set aside, or its directory went. What cannot be opened is said
 * once, and tried again now and then.
 */
#include "cache/store.h"

struct hold {
    /* const */
    const char *dir;
    int64_t size_max, free_min; /* what the store is to be told (cap.h); -1: as it has them */
    /* any thread */
    struct store *_Atomic store;
    atomic_uint_least32_t tried;     /* in this generation, plus one, … */
    struct store *_Atomic tried_for; /* … in place of this one, … */
    atomic_uint_least64_t again_ns;  /* … and not again before this, as now_ns */
};

/* NULL: there is none now. Blocks when it opens one. */
struct store *hold_store(struct hold *hold);
void hold_fini(struct hold *hold);

#endif
