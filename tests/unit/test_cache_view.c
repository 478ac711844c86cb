/* SPDX-License-Identifier: Apache-2.0 */
/* The caching view over a place that counts what it is asked: what is kept, and how long it is believed. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "larder/cache.h"

#include "cache/cache.h"
#include "cached_place.h"
#include "fs/fs.h"

#define MIB (1 << 20)

/* ---- hits ---- */

static void a_second_read_asks_nobody(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 32768, 32769, 65504, 65505, 300000, 5 * MIB};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        fake_put("f", sizes[i], 7);
        assert_ok(larder_cache_clear(cache, NULL, ""));
        unsigned before = fake_asked();
        assert_ok(read_all(fs, "f", sizes[i], 7));
        assert_ok(read_all(fs, "f", sizes[i], 7)); /* perhaps out of the flight's memory */
        flush_cache();
        assert_ok(read_all(fs, "f", sizes[i], 7));
        assert_ok(read_part(fs, "f", 10, 200000, sizes[i], 7));
        assert_ok(read_part(fs, "f", -10, LARDER_TO_END, sizes[i], 7));
        assert_ok(read_part(fs, "f", -50, -20, sizes[i], 7));
        assert_int_equal(larder_exists(fs, "f"), 1);
        if (fake_asked() - before != 1)
            fail_msg("%zu bytes: asked %u times", sizes[i], fake_asked() - before);
    }
}

/* The second read begins while the first one's bytes are on their way from memory to the disk. */
static void a_read_that_meets_the_commit_asks_nobody(void **state)
{
    for (unsigned i = 0; i < 300; i++) {
        fake_put("f", 1, i);
        assert_ok(larder_cache_clear(cache, NULL, ""));
        unsigned before = fake_asked();
        assert_ok(read_all(fs, "f", 1, i));
        usleep(i * 2);
        for (int again = 0; again < 20; again++)
            assert_ok(read_all(fs, "f", 1, i));
        assert_int_equal(fake_asked() - before, 1);
    }
}

static void what_was_fetched_is_there_after_reopening(void **state)
{
    char option[256];
    const char *options[] = {option, NULL};
    snprintf(option, sizeof option, "dir=%s/cache", dir);
    fake_put("a/f", 100000, 3);
    assert_ok(read_all(fs, "a/f", 100000, 3));
    larder_fs_free(fs);
    larder_cache_free(cache); /* not flushed: it is written all the same */
    assert_ok(larder_cache_open(options, &cache));
    fs = open_with("ttl=60");
    assert_ok(read_all(fs, "a/f", 100000, 3));
    flush_cache();
    assert_ok(read_all(fs, "a/f", 100000, 3));
    assert_int_equal(fake.reads, 1);
}

static void parts_are_kept_block_by_block(void **state)
{
    size_t size = 1000000;
    fake_put("f", size, 5);
    assert_ok(read_part(fs, "f", 100000, 100010, size, 5));
    flush_cache();
    assert_true(fake.bytes <= 2 * 65504);
    assert_ok(read_part(fs, "f", 70000, 130000, size, 5)); /* the same block */
    assert_int_equal(fake.reads, 1);
    assert_ok(read_part(fs, "f", 0, 400000, size, 5)); /* what lies on either side */
    assert_int_equal(fake.reads, 3);
    flush_cache();
    assert_ok(read_part(fs, "f", 0, 390000, size, 5));
    assert_int_equal(fake.reads, 3);
    assert_ok(read_all(fs, "f", size, 5));
    flush_cache();
    unsigned before = fake_asked();
    assert_ok(read_all(fs, "f", size, 5));
    assert_int_equal(fake_asked(), before);
    assert_true(fake.bytes < size + 3 * 65504);
}

static void bounds_from_the_end_are_kept_too(void **state)
{
    size_t size = 500000;
    fake_put("f", size, 5);
    assert_ok(read_part(fs, "f", -100, LARDER_TO_END, size, 5));
    assert_int_equal(fake_asked(), 1);
    flush_cache();
    assert_ok(read_part(fs, "f", -100, LARDER_TO_END, size, 5));
    assert_ok(read_part(fs, "f", -50, -20, size, 5));
    assert_ok(read_part(fs, "f", (int64_t)size - 60, -1, size, 5));
    assert_int_equal(fake_asked(), 1);
    fake_put("g", size, 6);
    assert_ok(read_part(fs, "g", -1000, -900, size, 6)); /* the answer says the size */
    assert_int_equal(fake_asked(), 2);
    assert_ok(read_part(fs, "g", 5, 5, size, 6));
    assert_int_equal(read_part(fs, "missing", 5, 5, size, 6), -ENOENT);
}

static void a_large_file_is_kept_in_one_request(void **state)
{
    size_t size = 30 * MIB + 77;
    fake_put("f", size, 9);
    assert_ok(read_all(fs, "f", size, 9));
    assert_int_equal(fake.reads, 1);
    flush_cache();
    assert_ok(read_all(fs, "f", size, 9));
    assert_ok(read_part(fs, "f", 9 * MIB, 9 * MIB + 5, size, 9));
    assert_int_equal(fake.reads, 1);
}

static void a_large_range_comes_in_several_requests_of_one_version(void **state)
{
    size_t size = 20 * MIB;
    fake_put("f", size, 9);
    assert_ok(read_part(fs, "f", 5, 19 * MIB, size, 9));
    unsigned before = fake.reads;
    assert_in_range(before, 2, 5);
    flush_cache();
    assert_ok(read_part(fs, "f", 5, 19 * MIB, size, 9));
    assert_int_equal(fake.reads, before);
}

static void an_unknown_size_is_learned_from_the_bytes(void **state)
{
    fake_put("f", 200000, 4)->size_unknown = true;
    assert_ok(read_all(fs, "f", 200000, 4));
    flush_cache();
    assert_ok(read_part(fs, "f", -5, LARDER_TO_END, 200000, 4));
    assert_int_equal(fake.reads, 1);
}

/* ---- freshness ---- */

static void an_answer_says_itself_how_long_it_is_fresh(void **state)
{
    struct larder_fs *plain = open_mode(NULL);
    fake_put("f", 1000, 2)->fresh_ms = 5000;
    fake_put("g", 1000, 3);
    assert_ok(read_all(plain, "f", 1000, 2));
    assert_ok(read_all(plain, "g", 1000, 3));
    flush_cache();
    assert_ok(read_all(plain, "f", 1000, 2));
    assert_int_equal(fake.reads, 2);
    assert_ok(read_all(plain, "g", 1000, 3)); /* nothing was said: asked again */
    assert_int_equal(fake.reads, 3);
    assert_int_equal(fake.unchanged, 1);
    clock_ahead_ms = 6000;
    assert_ok(read_all(plain, "f", 1000, 2));
    assert_int_equal(fake.unchanged, 2);
    flush_cache();
    assert_ok(read_all(plain, "f", 1000, 2));
    assert_int_equal(fake.reads, 4);
    clock_ahead_ms = -1000000; /* set back: nothing is known of its age */
    assert_ok(read_all(plain, "f", 1000, 2));
    assert_int_equal(fake.unchanged, 3);
    larder_fs_free(plain);
}

static void unchanged_freshens_every_block_with_one_request(void **state)
{
    size_t size = 1000000;
    fake_put("f", size, 2);
    assert_ok(read_all(fs, "f", size, 2));
    flush_cache();
    clock_ahead_ms = 100000;
    unsigned long long before = fake.bytes;
    assert_ok(read_part(fs, "f", 10, 20, size, 2));
    assert_int_equal(fake.reads, 2);
    flush_cache();
    for (int64_t at = 0; at + 50 < (int64_t)size; at += 60000)
        assert_ok(read_part(fs, "f", at, at + 50, size, 2));
    assert_ok(read_all(fs, "f", size, 2));
    assert_int_equal(fake.reads, 2);
    assert_int_equal(fake.bytes, before);
}

static void ttl_0_asks_every_time(void **state)
{
    struct larder_fs *asking = open_with("ttl=0");
    fake_put("f", 1000, 2)->fresh_ms = 1000000;
    for (int i = 0; i < 3; i++) {
        assert_ok(read_all(asking, "f", 1000, 2));
        flush_cache();
    }
    assert_int_equal(fake.reads, 3);
    assert_int_equal(fake.unchanged, 2);
    fake_put("f", 1000, 3);
    assert_ok(read_all(asking, "f", 1000, 3));
    larder_fs_free(asking);
}

static void missing_is_remembered_for_the_ttl_and_failures_never(void **state)
{
    fake.fail = -EIO;
    assert_int_equal(read_all(fs, "f", 0, 0), -EIO);
    assert_int_equal(larder_exists(fs, "f"), -EIO);
    fake.fail = 0;
    assert_int_equal(read_all(fs, "f", 0, 0), -ENOENT);
    flush_cache();
    unsigned before = fake_asked();
    assert_int_equal(read_all(fs, "f", 0, 0), -ENOENT);
    assert_int_equal(larder_exists(fs, "f"), 0);
    assert_int_equal(fake_asked(), before);
    fake_put("f", 10, 1);
    clock_ahead_ms = 100000;
    assert_ok(read_all(fs, "f", 10, 1));
    struct larder_fs *plain = open_mode(NULL);
    assert_int_equal(larder_exists(plain, "g"), 0);
    flush_cache();
    fake_put("g", 10, 1);
    assert_ok(read_all(plain, "g", 10, 1)); /* without a ttl it is asked each time */
    larder_fs_free(plain);
}

static void an_info_that_says_less_keeps_the_bytes(void **state)
{
    struct larder_fs *plain = open_mode(NULL);
    struct fake_file *file = fake_put("f", 100000, 2);
    assert_ok(read_all(plain, "f", 100000, 2));
    flush_cache();
    file->no_validator = true;
    assert_int_equal(larder_exists(plain, "f"), 1);
    flush_cache();
    file->no_validator = false;
    unsigned long long before = fake.bytes;
    assert_ok(read_all(plain, "f", 100000, 2));
    assert_int_equal(fake.bytes, before);
    larder_fs_free(plain);
}

/* ---- without the place ---- */

static void offline_answers_from_what_is_there(void **state)
{
    struct larder_fs *offline = open_with("mode=offline");
    struct larder_entries entries;
    struct larder_info info;
    fake_put("a/f", 100, 1);
    fake_put("a/g", 100, 2);
    fake_put("a/b/h", 100, 3);
    fake_put("c/i", 100, 4);
    assert_ok(larder_ls(fs, "a", &entries));
    assert_int_equal(entries.count, 3);
    larder_entries_free(&entries);
    assert_ok(read_all(fs, "a/f", 100, 1));
    assert_ok(read_all(fs, "c/i", 100, 4));
    assert_int_equal(larder_exists(fs, "x"), 0);
    flush_cache();
    clock_ahead_ms = 1000000000;
    fake.fail = -EIO;
    unsigned before = fake_asked();
    assert_ok(larder_ls(offline, "a", &entries));
    assert_int_equal(entries.count, 3);
    assert_string_equal(entries.info[0].name, "b");
    assert_int_equal(entries.info[1].size, 100);
    larder_entries_free(&entries);
    assert_ok(read_all(offline, "a/f", 100, 1));
    assert_int_equal(read_all(offline, "a/g", 100, 2), -ENONET);
    assert_ok(larder_info(offline, "a/g", &info));
    assert_int_equal(info.size, 100);
    larder_info_free(&info);
    assert_int_equal(larder_isdir(offline, "a"), 1);
    assert_int_equal(larder_isdir(offline, "a/b"), 1); /* the listing says so */
    assert_int_equal(larder_isdir(offline, "c"), 1);   /* it holds something */
    assert_int_equal(larder_exists(offline, "a/nothing"), 0);
    assert_int_equal(larder_exists(offline, "a/nothing/below"), 0);
    assert_int_equal(read_all(offline, "a/nothing", 0, 0), -ENOENT);
    assert_int_equal(larder_exists(offline, "x"), 0);
    assert_int_equal(larder_exists(offline, "y"), -ENONET);
    assert_int_equal(larder_exists(offline, "a/b/y"), -ENONET);
    assert_int_equal(larder_ls(offline, "a/b", &entries), -ENONET);
    assert_int_equal(larder_ls(offline, "a/nothing", &entries), -ENOENT);
    assert_int_equal(read_all(offline, "a", 0, 0), -EISDIR);
    assert_int_equal(fake_asked(), before);
    larder_fs_free(offline);
}

static void online_a_listing_does_not_say_what_is_missing(void **state)
{
    struct larder_entries entries;
    fake_put("a/f", 100, 1);
    assert_ok(larder_ls(fs, "a", &entries));
    larder_entries_free(&entries);
    flush_cache();
    fake_put("a/g", 100, 2);
    assert_int_equal(larder_exists(fs, "a/g"), 1);
    assert_ok(larder_ls(fs, "a", &entries));
    assert_int_equal(entries.count, 1); /* fresh for the ttl */
    larder_entries_free(&entries);
    assert_int_equal(fake.lists, 1);
}

static void stale_is_better_than_an_error_if_one_says_so(void **state)
{
    const char *options[] = {"mode=stale-if-error", NULL};
    struct larder_fs *stale = open_mode(options), *plain = open_mode(NULL);
    struct larder_entries entries;
    fake_put("d/f", 100000, 1);
    fake_put("d/strict", 100, 2)->flags = ANSWER_MUST_REVALIDATE;
    assert_ok(read_all(stale, "d/f", 100000, 1));
    assert_ok(read_all(stale, "d/strict", 100, 2));
    assert_ok(larder_ls(stale, "d", &entries));
    larder_entries_free(&entries);
    flush_cache();
    fake.fail = -ECONNREFUSED;
    assert_ok(read_all(stale, "d/f", 100000, 1));
    assert_ok(read_part(stale, "d/f", 5, 10, 100000, 1));
    assert_int_equal(larder_exists(stale, "d/f"), 1);
    assert_ok(larder_ls(stale, "d", &entries));
    assert_int_equal(entries.count, 2);
    larder_entries_free(&entries);
    assert_int_equal(read_all(stale, "d/strict", 100, 2), -ECONNREFUSED);
    assert_non_null(strstr(larder_error(), "refused"));
    assert_int_equal(read_all(plain, "d/f", 100000, 1), -ECONNREFUSED);
    assert_int_equal(read_all(stale, "d/new", 100, 1), -ECONNREFUSED);
    fake.fail = 0;
    fake_remove("d/f");
    assert_int_equal(read_all(stale, "d/f", 100000, 1), -ENOENT); /* that is an answer */
    larder_fs_free(stale);
    larder_fs_free(plain);
}

/* ---- changes ---- */

static void a_write_is_seen_at_once(void **state)
{
    struct larder_entries entries;
    fake_put("d/f", 1000, 1);
    for (unsigned seed = 10; seed < 60; seed++) {
        char text[16];
        assert_int_equal(snprintf(text, sizeof text, "%u", seed), 2);
        assert_ok(larder_pipe_file(fs, "d/f", text, 3, 0));
        assert_ok(read_all(fs, "d/f", 1000, seed));
        if (seed % 3 == 0)
            flush_cache();
        assert_ok(read_all(fs, "d/f", 1000, seed));
    }
    assert_ok(larder_ls(fs, "d", &entries));
    larder_entries_free(&entries);
    assert_int_equal(larder_exists(fs, "d/new"), 0);
    flush_cache();
    assert_ok(larder_pipe_file(fs, "d/new", "5", 2, 0));
    assert_ok(read_all(fs, "d/new", 100, 5));
    assert_ok(larder_ls(fs, "d", &entries));
    assert_int_equal(entries.count, 2);
    larder_entries_free(&entries);
    assert_ok(larder_rm_file(fs, "d/new"));
    assert_int_equal(larder_exists(fs, "d/new"), 0);
    flush_cache();
    assert_int_equal(larder_exists(fs, "d/new"), 0);
    assert_ok(larder_ls(fs, "d", &entries));
    assert_int_equal(entries.count, 1);
    larder_entries_free(&entries);
}

static void clearing_forgets_the_subtree_only(void **state)
{
    struct larder_fs *offline = open_with("mode=offline");
    static const char *const paths[] = {"a", "a/b/f", "a/b/g/h", "a/bc", "a/b-", "z"};
    for (unsigned i = 0; i < 6; i++) {
        fake_put(i == 0 ? "q" : paths[i], 100000, i);
        assert_ok(read_all(fs, i == 0 ? "q" : paths[i], 100000, i));
    }
    assert_ok(larder_cache_clear(cache, fs, "a/b"));
    assert_int_equal(read_all(offline, "a/b/f", 100000, 1), -ENONET);
    assert_int_equal(read_all(offline, "a/b/g/h", 100000, 2), -ENONET);
    assert_ok(read_all(offline, "a/bc", 100000, 3));
    assert_ok(read_all(offline, "a/b-", 100000, 4));
    assert_ok(read_all(offline, "z", 100000, 5));
    struct larder_cache_stats stats = {.size = sizeof stats};
    assert_ok(larder_cache_stats(cache, &stats));
    assert_int_equal(stats.files, 4);
    assert_int_equal(stats.blocks, 8);
    assert_ok(larder_cache_clear(cache, NULL, ""));
    assert_ok(larder_cache_stats(cache, &stats));
    assert_int_equal(stats.files, 0);
    assert_int_equal(stats.blocks, 0);
    larder_fs_free(offline);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cached_place_begin, cached_place_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_second_read_asks_nobody),
        TEST(a_read_that_meets_the_commit_asks_nobody),
        TEST(what_was_fetched_is_there_after_reopening),
        TEST(parts_are_kept_block_by_block),
        TEST(bounds_from_the_end_are_kept_too),
        TEST(a_large_file_is_kept_in_one_request),
        TEST(a_large_range_comes_in_several_requests_of_one_version),
        TEST(an_unknown_size_is_learned_from_the_bytes),
        TEST(an_answer_says_itself_how_long_it_is_fresh),
        TEST(unchanged_freshens_every_block_with_one_request),
        TEST(ttl_0_asks_every_time),
        TEST(missing_is_remembered_for_the_ttl_and_failures_never),
        TEST(an_info_that_says_less_keeps_the_bytes),
        TEST(offline_answers_from_what_is_there),
        TEST(online_a_listing_does_not_say_what_is_missing),
        TEST(stale_is_better_than_an_error_if_one_says_so),
        TEST(a_write_is_seen_at_once),
        TEST(clearing_forgets_the_subtree_only),
    };
    cached_place_know();
    return cmocka_run_group_tests_name("cache_view", tests, NULL, NULL);
}
