/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_LIFETIME_H
#define CACHE_LIFETIME_H
/*
 * How long what is stored is fresh. The nearest word counts:
 *
 *     a file           the handle's ttl, the first rule that matches its path, the cache's ttl, the answer itself
 *     a directory      the handle's ttl, listing_ttl, the cache's ttl, the answer itself
 *     what is missing  the handle's ttl, absent_ttl, the cache's ttl
 *
 * The handle's is what larder_fs_at was given; all others are the cache's options.
 */
#include "fs/backend.h"

struct glob;

struct ttl_rule {
    struct glob *pattern; /* base/pattern.h, of the whole path in its place */
    char *text;           /* of the pattern; mem */
    int64_t ttl_ms;
};
struct lifetimes {
    int64_t ttl_ms, listing_ttl_ms, absent_ttl_ms; /* <0: not said */
    struct ttl_rule *rules;
    size_t rule_count;
};
/* Of an instance of the view. -EINVAL: the rules are wrong. Zeroed by the caller; fini also after a failure. */
int lifetimes_init(struct lifetimes *lifetimes, const struct instance *instance);
void lifetimes_fini(struct lifetimes *lifetimes);

enum fact { FACT_FILE, FACT_DIRECTORY, FACT_ABSENT };
struct lifetime {
    int64_t ms;                  /* from the answer on; <0: nobody says anything */
    const char *by;              /* who does: an option's name, "handle", "answer"; static. NULL: nobody */
    const struct ttl_rule *rule; /* of ttl_rules */
};
/* `said_ms`: what the answer said itself. */
struct lifetime lifetime_find(const struct lifetimes *lifetimes, const struct terms *terms, const char *path,
                              enum fact fact, int64_t said_ms);
static inline int64_t lifetime_of(const struct lifetimes *lifetimes, const struct terms *terms,
                                  const char *path, enum fact fact, int64_t said_ms)
{
    return lifetime_find(lifetimes, terms, path, fact, said_ms).ms;
}

#endif
