/* SPDX-License-Identifier: Apache-2.0 */
/* How long what is stored is believed: ttl, its rules, lifetimes of listings and absences, the greatest age. */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "cached_place.h"

/* Was the place asked by the read that follows? */
#define assert_asks(expected, call)                                                           \
    do {                                                                                      \
        unsigned before_ = fake_asked();                                                      \
        call;                                                                                 \
        flush_cache();                                                                        \
        if ((fake_asked() > before_) != (expected))                                           \
            fail_msg("line %d: %s: asked %u times", __LINE__, #call, fake_asked() - before_); \
    } while (0)

static struct larder_fs *at(struct larder_fs *from, const char *option)
{
    const char *options[] = {option, NULL};
    struct larder_fs *out;
    assert_ok(larder_fs_at(from, NULL, options, &out));
    return out;
}

static void list(struct larder_fs *from, const char *path, size_t count)
{
    struct larder_entries entries;
    assert_ok(larder_ls(from, path, &entries));
    assert_int_equal(entries.count, count);
    larder_entries_free(&entries);
}

static void a_rule_decides_by_the_path(void **state)
{
    const char *options[] = {"ttl=60", "ttl_rules=*.json=5,/d/raw/**=1,c/*=forever", NULL};
    static const struct {
        const char *path;
        int64_t lifetime_s;
    } cases[] = {
        {"d/zarr.json", 5}, {"zarr.json", 5},    {"d/c/zarr.json", 5},
        {"d/raw/a/b/f", 1}, {"e/d/raw/a/f", 60}, {"d/c/0", INT32_MAX},
        {"c/1", INT32_MAX}, {"d/c/0/1", 60},     {"d/other", 60},
    };
    struct larder_fs *ruled = open_mode(options);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *path = cases[i].path;
        fake_put(path, 100, 1)->fresh_ms = 3000;
        clock_ahead_ms = 0;
        assert_asks(true, assert_ok(read_all(ruled, path, 100, 1)));
        clock_ahead_ms = cases[i].lifetime_s * 1000 - 500;
        assert_asks(false, assert_ok(read_all(ruled, path, 100, 1)));
        assert_asks(false, assert_int_equal(larder_exists(ruled, path), 1));
        clock_ahead_ms = cases[i].lifetime_s * 1000 + 500;
        bool forever = cases[i].lifetime_s == INT32_MAX;
        assert_asks(!forever, assert_ok(read_all(ruled, path, 100, 1)));
    }
    larder_fs_free(ruled);
}

static void wrong_rules_are_refused_in_words(void **state)
{
    static const struct {
        const char *option, *words;
    } cases[] = {
        {"ttl_rules=*.json", "\"*.json\" is not of the form PATTERN=TIME"},
        {"ttl_rules==5", "\"=5\" is not of the form"},
        {"ttl_rules=*.json=5,", "\"\" is not of the form"},
        {"ttl_rules=*.json=soon", "\"soon\" is not a time"},
        {"ttl_rules=a**=5", "\"**\" is a whole component"},
        {"ttl_rules=a//b=5", "\"a//b\" is no pattern"},
        {"ttl_rules=../b=5", "\"../b\" is no pattern"},
        {"ttl_rules=/=5", "\"/\" is no pattern"},
        {"ttl=never", "a time, such as 5, 0.5, 10m or forever"},
        {"max_age=-1", "a time"},
    };
    struct larder_cache *opened;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *options[] = {cases[i].option, NULL};
        assert_status(-EINVAL, larder_cache_open(options, &opened));
        if (!strstr(larder_error(), cases[i].words) || !strstr(larder_error(), "option cache."))
            fail_msg("%s: %s", cases[i].option, larder_error());
    }
}

static void an_equals_sign_may_be_in_a_pattern(void **state)
{
    struct larder_fs *ruled = open_with("ttl_rules=year=2024/*=forever");
    fake_put("t/year=2024/f", 10, 1);
    assert_asks(true, assert_ok(read_all(ruled, "t/year=2024/f", 10, 1)));
    assert_asks(false, assert_ok(read_all(ruled, "t/year=2024/f", 10, 1)));
    larder_fs_free(ruled);
}

static void the_handle_s_own_ttl_outranks_the_rules(void **state)
{
    struct larder_fs *ruled = open_with("ttl_rules=f=forever"), *asking = at(ruled, "cache.ttl=0");
    struct larder_fs *short_ttl = at(asking, "cache.ttl=5");
    fake_put("f", 10, 1);
    assert_ok(read_all(ruled, "f", 10, 1));
    assert_asks(false, assert_ok(read_all(ruled, "f", 10, 1)));
    assert_asks(true, assert_ok(read_all(asking, "f", 10, 1)));
    assert_asks(false, assert_ok(read_all(short_ttl, "f", 10, 1)));
    clock_ahead_ms = 6000;
    assert_asks(true, assert_ok(read_all(short_ttl, "f", 10, 1)));
    larder_fs_free(short_ttl);
    larder_fs_free(asking);
    larder_fs_free(ruled);
}

static void listings_and_absences_have_lifetimes_of_their_own(void **state)
{
    const char *options[] = {"ttl=100", "listing_ttl=10", "absent_ttl=3", "ttl_rules=**=1000", NULL};
    struct larder_fs *own = open_mode(options);
    fake_put("d/f", 10, 1);
    assert_asks(true, list(own, "d", 1));
    assert_asks(true, assert_int_equal(larder_isdir(own, "d"), 1));
    assert_asks(true, assert_int_equal(larder_exists(own, "d/none"), 0));
    assert_asks(true, assert_ok(read_all(own, "d/f", 10, 1)));
    clock_ahead_ms = 2500;
    assert_asks(false, assert_int_equal(larder_exists(own, "d/none"), 0));
    assert_asks(false, list(own, "d", 1));
    clock_ahead_ms = 3500;
    assert_asks(true, assert_int_equal(larder_exists(own, "d/none"), 0));
    clock_ahead_ms = 9000;
    assert_asks(false, list(own, "d", 1));
    assert_asks(false, assert_int_equal(larder_isdir(own, "d"), 1));
    clock_ahead_ms = 10500;
    assert_asks(true, list(own, "d", 1));
    assert_asks(true, assert_int_equal(larder_isdir(own, "d"), 1));
    clock_ahead_ms = 990000;
    assert_asks(false, assert_ok(read_all(own, "d/f", 10, 1)));
    larder_fs_free(own);
}

/* A listing that came later shows what was missing: that is the younger word. */
static void what_a_later_listing_shows_is_not_missing(void **state)
{
    const char *options[] = {"ttl=forever", "listing_ttl=10", NULL};
    struct larder_fs *own = open_mode(options);
    fake_put("d/f", 10, 1);
    list(own, "d", 1);
    assert_status(-ENOENT, read_all(own, "d/late", 10, 2));
    assert_int_equal(larder_exists(own, "d/later"), 0);
    fake_put("d/late", 10, 2);
    clock_ahead_ms = 1000;
    assert_asks(false, assert_status(-ENOENT, read_all(own, "d/late", 10, 2)));
    clock_ahead_ms = 11000;
    assert_asks(true, list(own, "d", 2));
    assert_int_equal(larder_exists(own, "d/late"), 1);
    assert_ok(read_all(own, "d/late", 10, 2));
    assert_asks(false, assert_int_equal(larder_exists(own, "d/later"), 0)); /* which is not shown */
    larder_fs_free(own);
}

static void no_answer_is_older_than_the_greatest_age(void **state)
{
    const char *options[] = {"ttl=forever", "mode=stale-if-error", NULL};
    struct larder_fs *kept = open_mode(options), *offline = open_with("mode=offline");
    struct larder_fs *bounded = at(kept, "cache.max_age=10"), *now = at(kept, "cache.max_age=0");
    struct larder_fs *bounded_offline = at(offline, "cache.max_age=10");
    struct larder_entries entries;
    fake_put("d/f", 100000, 1);
    assert_ok(read_all(kept, "d/f", 100000, 1));
    list(kept, "d", 1);
    flush_cache();
    clock_ahead_ms = 9000;
    assert_asks(false, assert_ok(read_part(bounded, "d/f", 70000, 70010, 100000, 1)));
    assert_asks(false, list(bounded, "d", 1));
    assert_asks(false, assert_ok(read_all(bounded_offline, "d/f", 100000, 1)));
    assert_asks(false, list(bounded_offline, "d", 1));
    clock_ahead_ms = 11000;
    fake.fail = -ECONNREFUSED; /* a bound holds in every mode */
    assert_asks(false, assert_ok(read_all(kept, "d/f", 100000, 1)));
    assert_asks(true, assert_status(-ECONNREFUSED, read_all(bounded, "d/f", 100000, 1)));
    assert_asks(true, assert_status(-ECONNREFUSED, larder_exists(bounded, "d/f")));
    assert_asks(true, assert_status(-ECONNREFUSED, larder_ls(bounded, "d", &entries)));
    assert_asks(false, assert_status(-ENONET, read_all(bounded_offline, "d/f", 100000, 1)));
    assert_asks(false, assert_status(-ENONET, larder_exists(bounded_offline, "d/f")));
    assert_status(-ENONET, larder_isdir(bounded_offline, "d"));
    assert_non_null(strstr(larder_error(), "older than max_age"));
    assert_asks(false, assert_status(-ENONET, larder_ls(bounded_offline, "d", &entries)));
    assert_asks(false, assert_ok(read_all(offline, "d/f", 100000, 1)));
    fake.fail = 0;
    assert_asks(true, assert_ok(read_all(bounded, "d/f", 100000, 1)));
    assert_int_equal(fake.unchanged, 1); /* a condition is enough */
    assert_asks(false, assert_ok(read_part(bounded, "d/f", 70000, 70010, 100000, 1)));
    assert_asks(true, assert_ok(read_part(now, "d/f", 70000, 70010, 100000, 1)));
    larder_fs_free(bounded_offline);
    larder_fs_free(now);
    larder_fs_free(bounded);
    larder_fs_free(offline);
    larder_fs_free(kept);
}

static void a_change_through_us_is_seen_whatever_the_lifetime(void **state)
{
    struct larder_fs *kept = open_with("ttl=forever");
    fake_put("d/e/f", 100, 1);
    fake_put("g", 100, 1);
    list(kept, "", 2);
    list(kept, "d", 1);
    list(kept, "d/e", 1);
    static const char *const absent[] = {"d/e/new", "h", "h/i", "h/i/j"};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(larder_exists(kept, absent[i]), 0);
    flush_cache();
    assert_ok(larder_pipe_file(kept, "d/e/new", "3", 2, 0));
    assert_ok(read_all(kept, "d/e/new", 100, 3));
    list(kept, "d/e", 2);
    assert_ok(larder_pipe_file(kept, "h/i/j", "4", 2, 0));
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(larder_exists(kept, absent[i]), 1);
    list(kept, "", 3);
    list(kept, "h/i", 1);
    assert_ok(larder_rm_file(kept, "h/i/j"));
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(larder_exists(kept, absent[i]), 0);
    list(kept, "", 2);
    flush_cache();
    assert_int_equal(larder_exists(kept, "h/i/j"), 0);
    larder_fs_free(kept);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cached_place_begin, cached_place_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_rule_decides_by_the_path),
        TEST(wrong_rules_are_refused_in_words),
        TEST(an_equals_sign_may_be_in_a_pattern),
        TEST(the_handle_s_own_ttl_outranks_the_rules),
        TEST(listings_and_absences_have_lifetimes_of_their_own),
        TEST(what_a_later_listing_shows_is_not_missing),
        TEST(no_answer_is_older_than_the_greatest_age),
        TEST(a_change_through_us_is_seen_whatever_the_lifetime),
    };
    cached_place_know();
    return cmocka_run_group_tests_name("cache_lifetime", tests, NULL, NULL);
}
