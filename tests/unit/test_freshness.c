/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <stdbool.h>

#include "base/text.h"
#include "net/freshness.h"

#define DATE "Sun, 22 Nov 2026 22:20:00 GMT"

static int64_t now_ns;

static int setup(void **state)
{
    return parse_http_date(DATE, &now_ns);
}

static struct freshness of(struct freshness_headers headers)
{
    return freshness_of(&headers, now_ns, 0);
}

static struct freshness of_cache_control(const char *text)
{
    return of((struct freshness_headers){.cache_control = text, .date = DATE});
}

static void nothing_said_is_not_zero(void **state)
{
    assert_int_equal(of((struct freshness_headers){0}).fresh_ms, -1);
    assert_int_equal(of_cache_control("").fresh_ms, -1);
    assert_int_equal(of_cache_control("public").fresh_ms, -1);
    assert_int_equal(of_cache_control("public").stale_if_error_ms, -1);
}

static void max_age_counts_and_what_is_for_shared_caches_does_not(void **state)
{
    assert_int_equal(of_cache_control("max-age=60").fresh_ms, 60000);
    assert_int_equal(of_cache_control("Max-Age = 60 , public").fresh_ms, 60000);
    assert_int_equal(of_cache_control("max-age=\"60\"").fresh_ms, 60000);
    assert_int_equal(of_cache_control("s-maxage=5, max-age=60").fresh_ms, 60000);
    assert_int_equal(of_cache_control("s-maxage=5").fresh_ms, -1);
    assert_false(of_cache_control("proxy-revalidate, private").must_revalidate);
    assert_false(of_cache_control("private").no_store);
}

static void of_contradictions_the_stricter_holds(void **state)
{
    assert_int_equal(of_cache_control("max-age=60, max-age=5").fresh_ms, 5000);
    assert_int_equal(of_cache_control("max-age=5, max-age=60").fresh_ms, 5000);
    assert_int_equal(of_cache_control("no-cache, max-age=60").fresh_ms, 0);
}

static void broken_numbers_are_stale_and_huge_ones_do_not_wrap(void **state)
{
    assert_int_equal(of_cache_control("max-age=").fresh_ms, 0);
    assert_int_equal(of_cache_control("max-age").fresh_ms, 0);
    assert_int_equal(of_cache_control("max-age=-1").fresh_ms, 0);
    assert_int_equal(of_cache_control("max-age=1e3").fresh_ms, 0);
    assert_int_equal(of_cache_control("max-age=99999999999999999999999").fresh_ms, 2147483648000);
}

static void the_words_that_forbid_are_heard(void **state)
{
    assert_true(of_cache_control("no-store").no_store);
    assert_true(of_cache_control("foo=\"no-store, x\", NO-STORE").no_store);
    assert_false(of_cache_control("foo=\"no-store, x\"").no_store);
    assert_true(of_cache_control("must-revalidate, max-age=1").must_revalidate);
    assert_true(of_cache_control("no-cache").must_revalidate);
    assert_true(of_cache_control("no-cache=\"Set-Cookie\", max-age=9").must_revalidate);
    assert_int_equal(of_cache_control("max-age=60, stale-if-error=3600").stale_if_error_ms, 3600000);
}

static void expires_counts_from_date_unless_max_age_is_there(void **state)
{
    const char *hour_later = "Sun, 22 Nov 2026 23:20:00 GMT";
    assert_int_equal(of((struct freshness_headers){.expires = hour_later, .date = DATE}).fresh_ms, 3600000);
    assert_int_equal(of((struct freshness_headers){.expires = hour_later}).fresh_ms, 3600000);
    assert_int_equal(of((struct freshness_headers){.expires = DATE, .date = DATE}).fresh_ms, 0);
    assert_int_equal(of((struct freshness_headers){.expires = "0", .date = DATE}).fresh_ms, 0);
    assert_int_equal(of((struct freshness_headers){.expires = "-1", .cache_control = "max-age=7"}).fresh_ms,
                     7000);
}

static void age_is_taken_off(void **state)
{
    struct freshness_headers headers = {.cache_control = "max-age=60", .date = DATE, .age = "20"};
    assert_int_equal(freshness_of(&headers, now_ns, 0).fresh_ms, 40000);
    assert_int_equal(freshness_of(&headers, now_ns, 1500).fresh_ms, 38500);
    headers.age = "100";
    assert_int_equal(freshness_of(&headers, now_ns, 0).fresh_ms, 0);
    headers.age = NULL;
    assert_int_equal(freshness_of(&headers, now_ns + 30000000000, 0).fresh_ms, 30000);
    headers.age = "45";
    assert_int_equal(freshness_of(&headers, now_ns + 30000000000, 0).fresh_ms, 15000);
    /* A server whose clock is ahead. */
    headers.age = NULL;
    assert_int_equal(freshness_of(&headers, now_ns - 30000000000, 0).fresh_ms, 60000);
}

static void a_vary_that_nothing_matches_is_stale(void **state)
{
    struct freshness f = of((struct freshness_headers){.cache_control = "max-age=60", .vary = "Accept, *"});
    assert_int_equal(f.fresh_ms, 0);
    assert_true(f.must_revalidate);
    f = of((struct freshness_headers){.cache_control = "max-age=60", .vary = "Accept-Encoding"});
    assert_int_equal(f.fresh_ms, 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_said_is_not_zero),
        cmocka_unit_test(max_age_counts_and_what_is_for_shared_caches_does_not),
        cmocka_unit_test(of_contradictions_the_stricter_holds),
        cmocka_unit_test(broken_numbers_are_stale_and_huge_ones_do_not_wrap),
        cmocka_unit_test(the_words_that_forbid_are_heard),
        cmocka_unit_test(expires_counts_from_date_unless_max_age_is_there),
        cmocka_unit_test(age_is_taken_off),
        cmocka_unit_test(a_vary_that_nothing_matches_is_stale),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
