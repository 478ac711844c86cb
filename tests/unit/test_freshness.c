/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 9111, case by case; sections are its own unless another is named. */
#include "test.h"

#include <stdbool.h>

#include "base/text.h"
#include "net/freshness.h"

#define NOW      "Sun, 22 Nov 2026 22:20:00 GMT"
#define BEFORE   "Sun, 22 Nov 2026 22:19:30 GMT" /* 30 s */
#define LATER    "Sun, 22 Nov 2026 23:20:00 GMT" /* an hour */
#define DAYS_AGO "Thu, 12 Nov 2026 22:20:00 GMT" /* ten */
#define DAY      86400000
#define UNTOLD   (-1)
#define STORED   0
#define NO_STORE 1
#define MUST_ASK 2
#define LIFETIME 0, UNTOLD, STORED /* no delay, nothing of errors, no flags */

static const struct freshness_case {
    const char *why;
    struct freshness_headers headers;
    int64_t fresh_ms;
    int64_t delay_ms;
    int64_t stale_if_error_ms;
    unsigned flags;
    int64_t guess_max_ms;
} cases[] = {
    /* ---- how long ---- */
    {"nothing is said: no guess is made", {0}, UNTOLD, LIFETIME},
    {"nor from Last-Modified, unasked", {.date = NOW, .last_modified = DAYS_AGO}, UNTOLD, LIFETIME},
    {"an empty header says nothing", {.cache_control = ""}, UNTOLD, LIFETIME},
    {"max-age (§5.2.2.1)", {.cache_control = "max-age=60", .date = NOW}, 60000, LIFETIME},
    {"in any case, with spaces", {.cache_control = " ,, Max-Age = 60 ,", .date = NOW}, 60000, LIFETIME},
    {"as a quoted string too (§5.2)", {.cache_control = "max-age=\"60\""}, 60000, LIFETIME},
    {"s-maxage is for shared caches (§5.2.2.10)", {.cache_control = "s-maxage=5"}, UNTOLD, LIFETIME},
    {"also beside max-age", {.cache_control = "s-maxage=5, max-age=60"}, 60000, LIFETIME},
    {"Expires counts from Date (§5.3)", {.expires = LATER, .date = BEFORE}, 3600000, LIFETIME},
    {"from now without it (RFC 9110 §6.6.1)", {.expires = LATER}, 3600000, LIFETIME},
    {"from now when it is broken", {.expires = LATER, .date = "yesterday"}, 3600000, LIFETIME},
    {"max-age counts more than Expires (§5.3)",
     {.cache_control = "max-age=7", .expires = LATER},
     7000,
     LIFETIME},
    {"an Expires that is past", {.expires = BEFORE, .date = NOW}, 0, LIFETIME},
    {"or equal", {.expires = NOW, .date = NOW}, 0, LIFETIME},
    {"an invalid one is past (§5.3)", {.expires = "0", .date = NOW}, 0, LIFETIME},
    {"so is one of two lines", {.expires = LATER ", " LATER, .date = NOW}, 0, LIFETIME},
    {"an invalid one beside max-age does not matter",
     {.cache_control = "max-age=7", .expires = "0"},
     7000,
     LIFETIME},

    /* ---- a guess, where it is asked for (§4.2.2) ---- */
    {"a tenth of the time since", {.date = NOW, .last_modified = DAYS_AGO}, DAY, LIFETIME, 2 * DAY},
    {"by our clock without Date", {.last_modified = DAYS_AGO}, DAY, LIFETIME, 2 * DAY},
    {"within the bound", {.date = NOW, .last_modified = DAYS_AGO}, 60000, LIFETIME, 60000},
    {"however old", {.date = NOW, .last_modified = "Thu, 01 Jan 1970 00:00:00 GMT"}, DAY, LIFETIME, DAY},
    {"Age counts", {.date = NOW, .last_modified = DAYS_AGO, .age = "20"}, 40000, LIFETIME, 60000},
    {"without Last-Modified there is nothing to guess by", {.date = NOW}, UNTOLD, LIFETIME, DAY},
    {"nor with a broken one", {.date = NOW, .last_modified = "yesterday"}, UNTOLD, LIFETIME, DAY},
    {"nor with one that is to come", {.date = NOW, .last_modified = LATER}, UNTOLD, LIFETIME, DAY},
    {"what was modified just now is not believed",
     {.date = NOW, .last_modified = NOW},
     UNTOLD,
     LIFETIME,
     DAY},
    {"max-age counts more",
     {.cache_control = "max-age=7", .date = NOW, .last_modified = DAYS_AGO},
     7000,
     LIFETIME,
     DAY},
    {"and Expires", {.expires = LATER, .date = NOW, .last_modified = DAYS_AGO}, 3600000, LIFETIME, DAY},
    {"an invalid one too", {.expires = "0", .date = NOW, .last_modified = DAYS_AGO}, 0, LIFETIME, DAY},
    {"no-cache",
     {.cache_control = "no-cache", .date = NOW, .last_modified = DAYS_AGO},
     0,
     0,
     UNTOLD,
     MUST_ASK,
     DAY},
    {"no-store",
     {.cache_control = "no-store", .date = NOW, .last_modified = DAYS_AGO},
     0,
     0,
     UNTOLD,
     NO_STORE,
     DAY},
    {"must-revalidate speaks of what is stale",
     {.cache_control = "must-revalidate", .date = NOW, .last_modified = DAYS_AGO},
     DAY,
     0,
     UNTOLD,
     MUST_ASK,
     DAY},

    /* ---- contradictions, and what is invalid (§4.2.1) ---- */
    {"of two the stricter", {.cache_control = "max-age=60, max-age=5"}, 5000, LIFETIME},
    {"whichever comes first", {.cache_control = "max-age=5, max-age=60"}, 5000, LIFETIME},
    {"no number is stale", {.cache_control = "max-age"}, 0, LIFETIME},
    {"an empty one too", {.cache_control = "max-age=", .expires = LATER}, 0, LIFETIME},
    {"a negative one", {.cache_control = "max-age=-1"}, 0, LIFETIME},
    {"a fraction", {.cache_control = "max-age=1.5"}, 0, LIFETIME},
    {"an invalid one beside a valid one", {.cache_control = "max-age=60, max-age=x"}, 0, LIFETIME},
    {"2^31 and more count as that (§1.2.2)",
     {.cache_control = "max-age=99999999999999999999"},
     2147483648000,
     LIFETIME},
    {"the oldest Date and the latest Expires do not wrap",
     {.expires = "Fri, 31 Dec 9999 23:59:59 GMT", .date = "Sat, 01 Jan 1600 00:00:00 GMT"},
     INT64_MAX / 1000000 - 1795386000000,
     LIFETIME},

    /* ---- how old it is already (§4.2.3) ---- */
    {"Age", {.cache_control = "max-age=60", .date = NOW, .age = "20"}, 40000, LIFETIME},
    {"and the delay", {.cache_control = "max-age=60", .date = NOW, .age = "20"}, 38500, 1500, UNTOLD, STORED},
    {"an Age that is more", {.cache_control = "max-age=60", .age = "100"}, 0, LIFETIME},
    {"the apparent age, by Date", {.cache_control = "max-age=60", .date = BEFORE}, 30000, LIFETIME},
    {"the greater of the two", {.cache_control = "max-age=60", .date = BEFORE, .age = "45"}, 15000, LIFETIME},
    {"the delay counts with Age, not with Date",
     {.cache_control = "max-age=60", .date = BEFORE},
     30000,
     1500,
     UNTOLD,
     STORED},
    {"a Date ahead of our clock", {.cache_control = "max-age=60", .date = LATER}, 60000, LIFETIME},
    {"Expires too is shortened", {.expires = LATER, .date = NOW, .age = "600"}, 3000000, LIFETIME},
    {"of several Ages the first (§5.1)", {.cache_control = "max-age=60", .age = "20, 5"}, 40000, LIFETIME},
    {"an invalid one is none (§5.1)", {.cache_control = "max-age=60", .age = "-20"}, 60000, LIFETIME},
    {"a Date before all time",
     {.cache_control = "max-age=60", .date = "Sat, 01 Jan 1600 00:00:00 GMT"},
     0,
     LIFETIME},

    /* ---- what is forbidden ---- */
    {"no-store (§5.2.2.5)", {.cache_control = "max-age=60, No-Store"}, 0, 0, UNTOLD, NO_STORE},
    {"also with must-understand (§5.2.2.3)",
     {.cache_control = "must-understand, no-store"},
     0,
     0,
     UNTOLD,
     NO_STORE},
    {"not inside a value", {.cache_control = "ext=\"no-store, x\", max-age=60"}, 60000, LIFETIME},
    {"nor as part of a word", {.cache_control = "no-storex, xno-store, max-age=60"}, 60000, LIFETIME},
    {"no-cache: asked each time (§5.2.2.4)",
     {.cache_control = "no-cache, max-age=60"},
     0,
     0,
     UNTOLD,
     MUST_ASK},
    {"without a lifetime too", {.cache_control = "no-cache"}, 0, 0, UNTOLD, MUST_ASK},
    {"no-cache of a field: no field is kept apart",
     {.cache_control = "no-cache=\"set-cookie, x\", max-age=60"},
     0,
     0,
     UNTOLD,
     MUST_ASK},
    {"must-revalidate (§5.2.2.2)",
     {.cache_control = "max-age=60, must-revalidate"},
     60000,
     0,
     UNTOLD,
     MUST_ASK},
    {"proxy-revalidate is for shared caches (§5.2.2.8)",
     {.cache_control = "max-age=60, proxy-revalidate"},
     60000,
     LIFETIME},
    {"private is for shared caches (§5.2.2.7)", {.cache_control = "private, max-age=60"}, 60000, LIFETIME},
    {"public says nothing to a private one (§5.2.2.9)", {.cache_control = "public"}, UNTOLD, LIFETIME},
    {"immutable adds no lifetime (RFC 8246)", {.cache_control = "immutable"}, UNTOLD, LIFETIME},
    {"and takes none", {.cache_control = "max-age=60, immutable"}, 60000, LIFETIME},

    /* ---- when stale (RFC 5861) ---- */
    {"stale-if-error (§4)", {.cache_control = "max-age=60, stale-if-error=600"}, 60000, 0, 600000, STORED},
    {"of two the stricter",
     {.cache_control = "stale-if-error=600, stale-if-error=6"},
     UNTOLD,
     0,
     6000,
     STORED},
    {"a broken one is none", {.cache_control = "stale-if-error=x"}, UNTOLD, 0, 0, STORED},
    {"must-revalidate forbids it",
     {.cache_control = "stale-if-error=600, must-revalidate"},
     UNTOLD,
     0,
     600000,
     MUST_ASK},
    {"stale-while-revalidate is never done (§3)",
     {.cache_control = "max-age=60, stale-while-revalidate=600"},
     60000,
     LIFETIME},

    /* ---- Vary (§4.1) ---- */
    {"what we send is always the same",
     {.cache_control = "max-age=60", .vary = "Accept-Encoding, User-Agent"},
     60000,
     LIFETIME},
    {"* matches nothing", {.cache_control = "max-age=60", .vary = "*"}, 0, 0, UNTOLD, NO_STORE},
    {"also among others", {.vary = "Accept, *"}, 0, 0, UNTOLD, NO_STORE},
};

static void answers_are_fresh_for_as_long_as_the_rfc_says(void **state)
{
    int64_t now_ns;
    assert_ok(parse_http_date(NOW, &now_ns));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct freshness_case *c = &cases[i];
        struct freshness got = freshness_of(&c->headers, now_ns, c->delay_ms, c->guess_max_ms);
        unsigned flags = (got.no_store ? NO_STORE : 0) | (got.must_revalidate ? MUST_ASK : 0);
        if (got.fresh_ms != c->fresh_ms || got.stale_if_error_ms != c->stale_if_error_ms || flags != c->flags)
            fail_msg("%s: fresh for %lld ms, on errors for %lld more, flags %u", c->why,
                     (long long)got.fresh_ms, (long long)got.stale_if_error_ms, flags);
    }
}

/* A Date is cut to seconds: an answer of this very second is not a second old. */
static void a_date_of_this_second_is_now(void **state)
{
    int64_t now_ns;
    const struct freshness_headers headers = {.cache_control = "max-age=60", .date = NOW};
    assert_ok(parse_http_date(NOW, &now_ns));
    assert_int_equal(freshness_of(&headers, now_ns + 999000000, 0, 0).fresh_ms, 60000);
    assert_int_equal(freshness_of(&headers, now_ns + 2000000000, 0, 0).fresh_ms, 58000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_fresh_for_as_long_as_the_rfc_says),
        cmocka_unit_test(a_date_of_this_second_is_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
