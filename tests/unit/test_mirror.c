/* SPDX-License-Identifier: Apache-2.0 */
/* Whole trees into the cache, and again when they have changed. */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "base/seams.h"
#include "cache/throttle.h"
#include "mirror_case.h"

/* ---- once ---- */

static void a_mirror_works_offline(void **state)
{
    struct larder_fs *offline = open_with("mode=offline");
    struct told told;
    struct larder_mirror_options options = telling(&told);
    put_tree();
    struct larder_mirror_stats stats = mirror("t", &options);
    assert_int_equal(stats.files, FILES);
    assert_int_equal(told.count, FILES);
    assert_int_equal(stats.failed, 0);
    assert_int_equal(stats.bytes_fetched, 9000 * (FILES - 1) * FILES / 2);
    assert_int_equal(stats.bytes_present, 0);
    fake.fail = -EIO;
    read_tree(offline);
    assert_int_equal(count_below(offline, "t"), FILES);
    assert_int_equal(larder_exists(offline, "t/d0/none"), 0);
    larder_fs_free(offline);
}

static void it_asks_once_for_each_file_and_directory(void **state)
{
    put_tree();
    mirror("t", NULL);
    assert_int_equal(fake.lists, 1 + (FILES + 6) / 7);
    assert_int_equal(fake.reads, FILES);
    assert_int_equal(fake.infos, 0);
    fake_put("alone", 100, 1);
    unsigned before = fake_asked();
    assert_int_equal(mirror("alone", NULL).files, 1);
    assert_true(fake_asked() - before <= 3);
}

static void what_could_not_be_kept_is_said(void **state)
{
    struct told told;
    struct larder_mirror_options options = telling(&told);
    struct larder_mirror_stats stats = {.size = sizeof stats};
    fake_put("t/a", 100, 1);
    fake_put("t/b", 100, 2)->flags = ANSWER_NO_STORE;
    fake_put("t/c", 100, 3);
    assert_int_equal(larder_mirror(fs, "t", &options, &stats), 1);
    assert_int_equal(stats.failed, 1);
    assert_int_equal(stats.files, 3);
    assert_int_equal(told.failed, 1);
    assert_true(larder_mirror(fs, "t", NULL, &stats) < 0);
    assert_status(-ENOENT, larder_mirror(fs, "missing", NULL, &stats));
    options.on_error = LARDER_OMIT;
    assert_ok(larder_mirror(fs, "missing", &options, &stats));
}

/* ---- again ---- */

static void an_interrupted_mirror_goes_on(void **state)
{
    struct told told;
    struct larder_mirror_options options = telling(&told);
    struct larder_mirror_stats stats = {.size = sizeof stats};
    put_tree();
    told.stop_after = 15;
    options.jobs_max = 4;
    assert_int_equal(larder_mirror(fs, "t", &options, &stats), 77);
    mirror("t", NULL);
    assert_in_range(fake.reads, FILES, FILES + 4); /* again only what was under way */
    struct larder_fs *offline = open_with("mode=offline");
    read_tree(offline);
    larder_fs_free(offline);
}

static void a_failure_stops_it_unless_all_are_tried(void **state)
{
    struct larder_mirror_options options = {.size = sizeof options, .jobs_max = 1};
    struct larder_mirror_stats stats = {.size = sizeof stats};
    put_tree();
    fake_put(path_of(20), size_of(20), 20)->flags = ANSWER_NO_STORE;
    assert_status(-EIO, larder_mirror(fs, "t", &options, &stats));
    assert_non_null(strstr(larder_error(), "could not be kept"));
    unsigned before = fake.reads;
    assert_in_range(before, 1, FILES - 1);
    fake_put(path_of(20), size_of(20), 20)->flags = 0;
    assert_ok(larder_mirror(fs, "t", &options, &stats));
    assert_int_equal(fake.reads, FILES + 1);
    assert_int_equal(stats.files, FILES);
}

static void what_is_named_or_fresh_is_not_fetched_again(void **state)
{
    put_tree();
    for (unsigned i = 0; i < FILES; i += 2)
        fake_put(path_of(i), size_of(i), i)->no_validator = true; /* only its lifetime speaks for it */
    mirror("t", NULL);
    unsigned before = fake.reads;
    struct larder_mirror_stats stats = mirror("t", NULL);
    assert_int_equal(fake.reads, before);
    assert_int_equal(stats.bytes_fetched, 0);
    assert_int_equal(stats.bytes_present, 9000 * (FILES - 1) * FILES / 2);
    clock_ahead_ms = 100000;
    mirror("t", NULL);
    assert_int_equal(fake.reads, before + FILES / 2);
}

static void a_changed_tree_is_followed(void **state)
{
    struct larder_fs *offline = open_with("mode=offline");
    struct larder_entries entries;
    put_tree();
    fake_put("t/hidden", 50, 9)->hidden = true;
    fake_put("other/f", 50, 9);
    mirror("t", NULL);
    assert_ok(read_all(fs, "t/hidden", 50, 9));
    assert_ok(read_all(fs, "other/f", 50, 9));
    unsigned before = fake_asked();
    fake_put(path_of(1), 77, 100); /* another size and version */
    fake_remove(path_of(2));
    for (unsigned i = 7; i < 14; i++) /* a directory */
        fake_remove(path_of(i));
    fake_put("t/d1", 60, 101); /* of which becomes a file */
    for (unsigned i = 14; i < 21; i++)
        fake_remove(path_of(i));
    fake_put("t/new/f", 70, 102);
    struct larder_mirror_stats stats = mirror("t", NULL);
    assert_int_equal(stats.bytes_fetched, 77 + 60 + 70);
    assert_int_equal(stats.vanished, 1 + 7 + 7);
    /* listings, changed files, the file and the directory that are gone, the hidden one */
    assert_in_range(fake_asked() - before, 1, 6 + 3 + 2 + 1);
    fake.fail = -EIO;
    assert_ok(read_all(offline, path_of(1), 77, 100));
    assert_ok(read_all(offline, "t/d1", 60, 101));
    assert_ok(read_all(offline, "t/new/f", 70, 102));
    assert_ok(read_all(offline, "t/hidden", 50, 9));
    assert_ok(read_all(offline, "other/f", 50, 9));
    assert_status(-ENOENT, read_all(offline, path_of(2), 0, 0));
    assert_status(-ENOENT, read_all(offline, path_of(14), 0, 0));
    assert_status(-ENOENT, larder_ls(offline, "t/d2", &entries));
    assert_int_equal(larder_exists(offline, "t/d2"), 0);
    assert_int_equal(larder_exists(offline, path_of(8)), 0);
    assert_int_equal(count_below(offline, "t"), FILES - 15 + 2);
    larder_fs_free(offline);
}

static void what_cannot_be_asked_for_is_not_forgotten(void **state)
{
    struct told told;
    struct larder_mirror_options options = telling(&told);
    struct larder_mirror_stats stats = {.size = sizeof stats};
    struct larder_fs *offline = open_with("mode=offline");
    put_tree();
    mirror("t", NULL);
    fake.fail = -ECONNREFUSED;
    assert_int_equal(larder_mirror(fs, "t", &options, &stats), 1);
    assert_int_equal(stats.vanished, 0);
    read_tree(offline);
    larder_fs_free(offline);
}

/* ---- the cap ---- */

static void a_tree_that_does_not_fit_is_refused_first(void **state)
{
    struct larder_mirror_stats stats = {.size = sizeof stats};
    struct larder_fs *small = open_with("max_size=4M"), *offline = open_with("mode=offline");
    put_tree();
    assert_status(-ENOSPC, larder_mirror(small, "t", NULL, &stats));
    assert_non_null(strstr(larder_error(), "40 files take up to 7"));
    assert_non_null(strstr(larder_error(), "room for 4194304 "));
    assert_non_null(strstr(larder_error(), "raise cache.max_size"));
    assert_int_equal(fake.reads, 0);
    assert_false(is_pinned("t"));
    larder_fs_free(small);
    small = open_with("max_size=9M");
    assert_ok(larder_mirror(small, "t", NULL, &stats));
    assert_ok(larder_mirror(small, "t", NULL, &stats)); /* what is there takes no more room */
    for (unsigned i = 0; i < 10; i++) {                 /* and stays, whatever else comes */
        fake_put("other", 1000000, i);
        assert_ok(read_all(small, "other", 1000000, i));
        clock_ahead_ms += 100000;
    }
    flush_cache();
    fake.fail = -EIO;
    read_tree(offline);
    larder_fs_free(offline);
    larder_fs_free(small);
}

static void sizes_that_nobody_tells_end_at_the_cap(void **state)
{
    struct told told;
    struct larder_mirror_options options = telling(&told);
    struct larder_mirror_stats stats = {.size = sizeof stats};
    struct larder_fs *small = open_with("max_size=4M"), *offline = open_with("mode=offline");
    unsigned there = 0;
    for (unsigned i = 0; i < FILES; i++)
        fake_put(path_of(i), 200000, i)->size_unknown = true;
    int failed = larder_mirror(small, "t", &options, &stats);
    assert_in_range(failed, 15, 30);
    assert_in_range(told.count, FILES, FILES + told.failed); /* what was fetched, and then not kept, twice */
    assert_int_equal(told.failed, failed);
    for (unsigned i = 0; i < FILES; i++)
        there += read_all(offline, path_of(i), 200000, i) == 0;
    assert_int_equal(there, FILES - (unsigned)failed);
    larder_fs_free(offline);
    larder_fs_free(small);
}

/* ---- odd trees ---- */

static void a_link_that_leads_up_is_left_out(void **state)
{
    static const char *const targets[] = {"t", "t/a", "t/a/b"};
    for (size_t i = 0; i < 3; i++) {
        struct told told;
        struct larder_mirror_options options = telling(&told);
        fake_put("t/f", 10, 1);
        fake_put("t/a/g", 20, 2);
        fake_put("t/a/b/h", 30, 3);
        strcpy(fake.link, "t/a/b/up");
        strcpy(fake.target, targets[i]);
        assert_int_equal(mirror("t", &options).files, 3);
        assert_int_equal(told.count, 3);
        assert_true(fake.lists <= 4 * (i + 1));
    }
}

static void directories_that_look_alike_are_no_links(void **state)
{
    fake_put("t/x/x/x/x/f", 10, 1); /* one in another, of one name */
    fake_put("t/a/f", 10, 2);
    fake_put("t/a/a/f", 10, 3); /* another version, and so another time */
    assert_int_equal(mirror("t", NULL).files, 3);
}

/* ---- the rate ---- */

static int CO_FN take_pieces(struct throttle *throttle, uint64_t count)
{
    for (uint64_t left = count; left > 0;) {
        size_t size = left < 5000 ? (size_t)left : 5000, used;
        int rc = throttle_take(throttle, &size);
        if (rc < 0)
            return rc;
        used = size > 10 ? size - 10 : size;
        throttle_give_back(throttle, size - used);
        left -= used;
    }
    return 0;
}

static uint64_t fake_now_ns; /* time stands still: a task that must wait long would not return */
static uint64_t standing_ns(void)
{
    return fake_now_ns;
}

static int CO_EDGE count_what_it_costs(void *arg)
{
    struct throttle throttle = {.rate = 10000000};
    uint64_t (*real_ns)(void) = world_seam.monotonic_ns;
    fake_now_ns = real_ns();
    world_seam.monotonic_ns = standing_ns;
    int rc = take_pieces(&throttle, 100000);
    world_seam.monotonic_ns = real_ns;
    *(uint64_t *)arg = throttle.paid_ns - fake_now_ns;
    return rc;
}

/* 100,000 bytes at 10 MB/s: 10 ms, but for what an idle time gave. */
static void bytes_cost_what_the_rate_says(void **state)
{
    uint64_t cost_ns = 0;
    assert_ok(larder_sync(NULL, count_what_it_costs, &cost_ns, -1));
    assert_in_range(cost_ns + 50000000, 9990000, 10010000);
}

static void a_rate_holds_over_all_files(void **state)
{
    struct larder_mirror_options options = {.size = sizeof options, .rate_max = 20000000};
    put_tree();
    uint64_t begun = now_ns();
    struct larder_mirror_stats stats = mirror("t", &options);
    /* No machine is so slow that it is faster. */
    assert_true(now_ns() - begun >= (stats.bytes_fetched - 20000000 / 10) * 50);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cached_place_begin, cached_place_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_mirror_works_offline),
        TEST(it_asks_once_for_each_file_and_directory),
        TEST(what_could_not_be_kept_is_said),
        TEST(an_interrupted_mirror_goes_on),
        TEST(a_failure_stops_it_unless_all_are_tried),
        TEST(what_is_named_or_fresh_is_not_fetched_again),
        TEST(a_changed_tree_is_followed),
        TEST(what_cannot_be_asked_for_is_not_forgotten),
        TEST(a_tree_that_does_not_fit_is_refused_first),
        TEST(sizes_that_nobody_tells_end_at_the_cap),
        TEST(a_link_that_leads_up_is_left_out),
        TEST(directories_that_look_alike_are_no_links),
        TEST(bytes_cost_what_the_rate_says),
        TEST(a_rate_holds_over_all_files),
    };
    cached_place_know();
    return cmocka_run_group_tests_name("mirror", tests, NULL, NULL);
}
