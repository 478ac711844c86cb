/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_FRESHNESS_H
#define NET_FRESHNESS_H
/*
 * How long an answer may be believed: RFC 9111, as a private cache reads it that promises no stale bytes.
 *
 *   s-maxage, private, public, proxy-revalidate   speak to shared caches
 *   immutable                                     says not to ask while it is fresh, which nobody does
 *   stale-while-revalidate                        allows what is never done: to answer first and ask then
 *   must-understand                               no-store holds with it as without it
 *   nothing at all                                is no lifetime, unless a guess is asked for: a tenth of the time
 *                                                 since it was last modified (§4.2.2), within a bound. A guess is wrong
 *                                                 just when a file has changed, so nobody makes it unasked
 *
 * Vary names headers of the request. Those that Larder sends are the same in every request for a path by one identity
 * (fs/backend.h), so there is nothing to compare; but "*" means that something else decides, and is not kept.
 */
#include <stdbool.h>
#include <stdint.h>

struct freshness_headers { /* NULL: missing */
    const char *cache_control, *expires, *date, *age, *vary,
        *last_modified; /* lines of one name are joined by ", " */
};
struct freshness {
    int64_t fresh_ms;          /* from now; 0: stale already; -1: nothing is said */
    int64_t stale_if_error_ms; /* beyond fresh_ms; -1: nothing is said (RFC 5861 §4) */
    bool no_store;             /* or a Vary that nothing matches */
    bool must_revalidate;      /* or no-cache */
};
/* The answer came at `now_ns` (since 1970), `delay_ms` after it was asked for. A guess is at most `guess_max_ms`, 0: none. */
struct freshness freshness_of(const struct freshness_headers *headers, int64_t now_ns, int64_t delay_ms,
                              int64_t guess_max_ms);

#endif
