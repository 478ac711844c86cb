/* SPDX-License-Identifier: Apache-2.0 */
/* Mirrors of some of a tree, and what of it is seen offline. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mirror_case.h"

static const char *const none[] = {NULL};

/* ---- some of it ---- */

static void patterns_and_depth_choose(void **state)
{
    static const struct {
        const char *include, *exclude;
        unsigned maxdepth;
        const char *fetched;
    } cases[] = {
        {NULL, NULL, 1, "a.json b.bin "},
        {NULL, NULL, 2, "a.json b.bin c/a.json c/1 tmp/x "},
        {"*.json", NULL, 0, "a.json c/a.json c/d/a.json "},
        {"c/", NULL, 0, "c/a.json c/1 c/d/a.json c/d/2 tmp/c/3 "},
        {"/c/?", NULL, 0, "c/1 c/d/a.json c/d/2 "},
        {"*.json", "d/", 0, "a.json c/a.json "},
        {NULL, "*.json", 0, "b.bin c/1 c/d/2 tmp/x tmp/c/3 "},
        {NULL, "tmp/", 0, "a.json b.bin c/a.json c/1 c/d/a.json c/d/2 "},
        {NULL, "/c", 2, "a.json b.bin tmp/x "},
    };
    static const char *const files[] = {"a.json",     "b.bin", "c/a.json", "c/1",
                                        "c/d/a.json", "c/d/2", "tmp/x",    "tmp/c/3"};
    for (size_t i = 0; i < 8; i++) {
        char path[32];
        snprintf(path, sizeof path, "t/%s", files[i]);
        fake_put(path, 100, (unsigned)i);
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct told told;
        struct larder_mirror_options options = telling(&told);
        const char *include[] = {cases[i].include, NULL}, *exclude[] = {cases[i].exclude, NULL};
        options.include = include;
        options.exclude = exclude;
        options.maxdepth = cases[i].maxdepth;
        options.jobs_max = 1;
        size_t expected = 0;
        for (const char *at = cases[i].fetched; (at = strchr(at, ' ')); at++)
            expected++;
        uint64_t found = mirror("t", &options).files;
        if (found != expected)
            fail_msg("case %zu: %d files: \"%s\"", i, (int)found, told.names);
        for (size_t j = 0; j < 8; j++) {
            char word[32], told_word[1100], fetched[1100];
            snprintf(word, sizeof word, " %s ", files[j]);
            snprintf(told_word, sizeof told_word, " %s", told.names);
            snprintf(fetched, sizeof fetched, " %s", cases[i].fetched);
            if (!strstr(told_word, word) != !strstr(fetched, word))
                fail_msg("case %zu: %s: \"%s\", not \"%s\"", i, files[j], told.names, cases[i].fetched);
        }
    }
    struct larder_mirror_options options = {.size = sizeof options,
                                            .include = (const char *const[]){"a**", NULL}};
    assert_status(-EINVAL, larder_mirror(fs, "t", &options, NULL));
}

static void names_need_no_listing(void **state)
{
    static const char *const names[] = {"d0/f1", "d3/f22", "d9/none", "../secret", "d0"};
    struct told told;
    struct larder_mirror_options options = telling(&told);
    struct larder_mirror_stats stats = {.size = sizeof stats};
    struct larder_fs *offline = open_with("mode=offline");
    put_tree();
    options.names = names;
    options.name_count = 5;
    assert_int_equal(larder_mirror(fs, "t", &options, &stats), 3);
    assert_int_equal(fake.lists, 0);
    assert_int_equal(stats.failed, 3);
    assert_int_equal(told.count, 5);
    assert_ok(read_all(offline, path_of(1), size_of(1), 1));
    assert_ok(read_all(offline, path_of(22), size_of(22), 22));
    assert_status(-ENONET, read_all(offline, path_of(3), 0, 0));
    options.names = none;
    options.name_count = 0;
    assert_ok(larder_mirror(fs, "t", &options, &stats));
    assert_int_equal(stats.files, 0);
    larder_fs_free(offline);
}

static void a_dry_run_asks_for_listings_only(void **state)
{
    struct told told;
    struct larder_mirror_options options = telling(&told);
    put_tree();
    assert_ok(read_all(fs, path_of(5), size_of(5), 5));
    unsigned before = fake.reads + fake.infos;
    options.dry_run = true;
    struct larder_mirror_stats stats = mirror("t", &options);
    assert_int_equal(fake.reads + fake.infos, before);
    assert_int_equal(told.count, FILES - 1);
    assert_int_equal(stats.files, FILES);
    assert_int_equal(stats.bytes_present, size_of(5));
    assert_int_equal(stats.bytes_fetched, 9000 * (FILES - 1) * FILES / 2 - size_of(5));
    assert_false(is_pinned("t"));
}

static void what_was_fetched_is_pinned(void **state)
{
    struct larder_mirror_options options = {.size = sizeof options, .maxdepth = 1};
    put_tree();
    fake_put("t/top", 10, 1);
    mirror("t", &options);
    assert_true(is_pinned("t/top"));
    assert_false(is_pinned(path_of(1)));
    mirror("t", NULL);
    assert_true(is_pinned(path_of(1)));
    assert_false(is_pinned("u"));
}

/* ---- what is seen of part of a tree ---- */

struct left_out {
    unsigned count, stop_after;
    char dirs[128];
};

static int note_left_out(void *arg, const char *where, int status)
{
    struct left_out *left_out = arg;
    assert_status(-ENONET, status);
    assert_non_null(strstr(larder_error(), where));
    strcat(strcat(left_out->dirs, where), " ");
    return ++left_out->count == left_out->stop_after ? 77 : 0;
}

static void put_parts(void)
{
    fake_put("t/a", 100, 1);
    fake_put("t/c/b", 100, 2);
    fake_put("t/c/d/e", 100, 3);
    fake_put("t/c/d/f/g", 100, 4);
    fake_put("t/x/y/z", 100, 5);
}

/* What was listed whole is answered, and nothing else is called missing. */
static void offline_what_was_not_mirrored_is_not_missing(void **state)
{
    struct larder_mirror_options options = {.size = sizeof options, .maxdepth = 2};
    struct larder_fs *offline = open_with("mode=offline");
    struct larder_entries entries;
    struct larder_info info;
    put_parts();
    mirror("t", &options);
    assert_ok(larder_ls(offline, "t/c", &entries));
    assert_int_equal(entries.count, 2);
    larder_entries_free(&entries);
    assert_ok(larder_info(offline, "t/c/d", &info));
    assert_int_equal(info.type, LARDER_DIRECTORY);
    larder_info_free(&info);
    assert_status(-ENONET, larder_ls(offline, "t/c/d", &entries));
    assert_status(-ENONET, larder_ls(offline, "t/c/d/f", &entries));
    assert_status(-ENONET, read_all(offline, "t/c/d/e", 100, 3));
    assert_status(-ENONET, larder_exists(offline, "t/c/d/e"));
    assert_status(-ENONET, larder_exists(offline, "t/c/d/none"));
    assert_status(-ENOENT, larder_ls(offline, "t/c/none", &entries));
    assert_int_equal(larder_exists(offline, "t/c/none/x"), 0);
    assert_status(-ENOENT, read_all(offline, "t/none", 0, 0));
    larder_fs_free(offline);
}

/* What a filter left out is in the listings: with its size, and without bytes. */
static void offline_what_a_filter_left_out_is_listed(void **state)
{
    struct larder_mirror_options options = {.size = sizeof options,
                                            .include = (const char *const[]){"e", NULL},
                                            .exclude = (const char *const[]){"/x", NULL}};
    struct larder_fs *offline = open_with("mode=offline");
    struct larder_entries entries;
    struct larder_info info;
    put_parts();
    mirror("t", &options);
    assert_ok(read_all(offline, "t/c/d/e", 100, 3));
    assert_ok(larder_info(offline, "t/c/b", &info));
    assert_int_equal(info.size, 100);
    larder_info_free(&info);
    assert_status(-ENONET, read_all(offline, "t/c/b", 100, 2));
    assert_int_equal(larder_exists(offline, "t/x"), 1);
    assert_status(-ENONET, larder_ls(offline, "t/x", &entries));
    assert_status(-ENONET, larder_exists(offline, "t/x/y"));
    larder_fs_free(offline);
}

static void offline_a_tree_is_found_as_far_as_it_is_known(void **state)
{
    struct left_out left_out = {0};
    struct larder_mirror_options options = {.size = sizeof options, .maxdepth = 2};
    struct larder_find_options find = {.size = sizeof find, .failed = note_left_out, .arg = &left_out};
    struct larder_fs *offline = open_with("mode=offline");
    struct larder_entries entries;
    put_parts();
    mirror("t", &options);
    assert_status(-ENONET, larder_find(offline, "t", NULL, &entries));
    assert_ok(larder_find(offline, "t", &find, &entries));
    assert_int_equal(entries.count, 2);
    assert_string_equal(entries.info[0].name, "a");
    assert_string_equal(entries.info[1].name, "c/b");
    assert_int_equal(left_out.count, 2);
    assert_non_null(strstr(left_out.dirs, "c/d "));
    assert_non_null(strstr(left_out.dirs, "x/y "));
    larder_entries_free(&entries);
    left_out = (struct left_out){.stop_after = 1};
    assert_int_equal(larder_find(offline, "t", &find, &entries), 77);
    assert_int_equal(left_out.count, 1);
    left_out = (struct left_out){0};
    assert_status(-ENONET, larder_du(offline, "t", NULL));
    assert_int_equal(larder_du(offline, "t", &find), 200);
    assert_int_equal(left_out.count, 2);
    left_out = (struct left_out){.stop_after = 1};
    assert_int_equal(larder_du(offline, "t", &find), 77);
    struct larder_walk *walk; /* tells of each itself */
    assert_status(-EINVAL, larder_walk_open(offline, "t", &find, &walk));
    larder_fs_free(offline);
}

/* As when a mirror was stopped before it had listed all. */
static void offline_a_tree_that_was_listed_in_part_is_not_empty(void **state)
{
    struct left_out left_out = {0};
    struct larder_find_options find = {.size = sizeof find, .failed = note_left_out, .arg = &left_out};
    struct larder_fs *offline = open_with("mode=offline");
    struct larder_entries entries;
    put_parts();
    assert_ok(larder_find(offline, "t", &find, &entries)); /* the root itself */
    assert_int_equal(entries.count, 0);
    assert_string_equal(left_out.dirs, " ");
    assert_ok(read_all(fs, "t/a", 100, 1));
    flush_cache();
    assert_status(-ENONET, larder_ls(offline, "t", &entries)); /* one file is known, not all of them */
    assert_int_equal(larder_exists(offline, "t"), 1);
    assert_ok(larder_ls(fs, "t", &entries));
    larder_entries_free(&entries);
    flush_cache();
    left_out = (struct left_out){0};
    assert_ok(larder_find(offline, "t", &find, &entries));
    assert_int_equal(entries.count, 1);
    assert_int_equal(left_out.count, 2);
    larder_entries_free(&entries);
    larder_fs_free(offline);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cached_place_begin, cached_place_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(patterns_and_depth_choose),
        TEST(names_need_no_listing),
        TEST(a_dry_run_asks_for_listings_only),
        TEST(what_was_fetched_is_pinned),
        TEST(offline_what_was_not_mirrored_is_not_missing),
        TEST(offline_what_a_filter_left_out_is_listed),
        TEST(offline_a_tree_is_found_as_far_as_it_is_known),
        TEST(offline_a_tree_that_was_listed_in_part_is_not_empty),
    };
    cached_place_know();
    return cmocka_run_group_tests_name("mirror_part", tests, NULL, NULL);
}
