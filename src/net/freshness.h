/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_FRESHNESS_H
#define NET_FRESHNESS_H
/*
 * How long an answer may be believed: RFC 9111, as a private cache reads it. So s-maxage, private, public and
 * proxy-revalidate, which speak to shared caches, change nothing.
 */
#include <stdbool.h>
#include <stdint.h>

struct freshness_headers { /* NULL: missing */
    const char *cache_control, *expires, *date, *age, *vary;
};
struct freshness {
    int64_t fresh_ms;          /* from now; 0: stale already; -1: nothing is said */
    int64_t stale_if_error_ms; /* beyond fresh_ms; -1: nothing is said (RFC 5861 §4) */
    bool no_store;
    bool must_revalidate; /* must-revalidate, no-cache, or a Vary that nothing matches */
};
/* The answer came at `now_ns` (since 1970), `delay_ms` after it was asked for. */
struct freshness freshness_of(const struct freshness_headers *headers, int64_t now_ns, int64_t delay_ms);

#endif
