/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller may get wrong, in calls of every header: it is refused, with words, and nothing is lost by it. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "cached_memory.h"

static void fill_cache(void)
{
    const char *const paths[] = {"d/f", "g"};
    for (size_t i = 0; i < 2; i++) {
        struct larder_bytes bytes;
        assert_ok(larder_cat_file(cached, paths[i], NULL, &bytes));
        larder_bytes_free(&bytes);
    }
    assert_ok(larder_cache_flush(cache));
}

/* ---- a path, and of what ---- */

static unsigned cached_files(const char *path)
{
    unsigned count = 0;
    assert_ok(larder_cache_list(cache, NULL, path, count_file, &count));
    return count;
}

static void a_path_of_no_filesystem_is_not_everything(void **state)
{
    unsigned count = 0;
    fill_cache();
    assert_status(-EINVAL, larder_cache_clear(cache, NULL, "d"));
    assert_non_null(strstr(larder_error(), "d"));
    assert_status(-EINVAL, larder_cache_list(cache, NULL, "d", count_file, &count));
    assert_status(-EINVAL, larder_cache_pin(cache, NULL, "d"));
    assert_status(-EINVAL, larder_cache_pin(cache, NULL, ""));
    assert_status(-EINVAL, larder_cache_unpin(cache, NULL, ""));
    assert_int_equal(count, 0);
    assert_int_equal(cached_files(NULL), 2);
    assert_ok(larder_cache_clear(cache, NULL, NULL));
    assert_int_equal(cached_files(""), 0);
}

static void a_path_that_is_null_is_refused(void **state)
{
    struct larder_item items[] = {{.path = NULL}};
    struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_RETURN};
    struct larder_map *map;
    struct larder_entries entries;
    struct larder_bytes bytes;
    struct larder_info info;
    struct larder_walk *walk;
    struct larder_file *file;
    char *text;
    assert_ok(larder_map_new(memory, "", 0, &map));
    assert_status(-EINVAL, larder_info(memory, NULL, &info));
    assert_status(-EINVAL, larder_exists(memory, NULL));
    assert_status(-EINVAL, larder_cat_file(memory, NULL, NULL, &bytes));
    assert_status(-EINVAL, larder_pipe_file(memory, NULL, "x", 1, 0));
    assert_status(-EINVAL, larder_rm_file(memory, NULL));
    assert_status(-EINVAL, larder_rm(memory, NULL, true));
    assert_status(-EINVAL, larder_mkdir(memory, NULL, true));
    assert_status(-EINVAL, larder_cp_file(memory, NULL, memory, "h", 0, NULL, NULL));
    assert_status(-EINVAL, larder_ls(memory, NULL, &entries));
    assert_status(-EINVAL, larder_find(memory, NULL, NULL, &entries));
    assert_status(-EINVAL, larder_walk_open(memory, NULL, NULL, &walk));
    assert_status(-EINVAL, larder_glob(memory, NULL, NULL, &entries));
    assert_status(-EINVAL, larder_glob_escape(NULL, &text));
    assert_status(-EINVAL, larder_file_open(memory, NULL, "r", NULL, &file));
    assert_int_equal(larder_cat(memory, items, 1, &batch), 1);
    assert_status(-EINVAL, items[0].status);
    assert_int_equal(larder_map_get_many(map, items, 1, &batch), 1);
    assert_status(-EINVAL, items[0].status);
    assert_status(-EINVAL, larder_map_set(map, NULL, "x", 1));
    larder_map_free(map);
}

/* ---- structs for results ---- */

static int drop(void *arg, const void *data, size_t size)
{
    return *(int *)arg;
}

static int64_t give_nothing(void *arg, void *buffer, size_t size)
{
    return 0;
}

static void a_struct_for_results_says_its_size(void **state)
{
    struct larder_cache_stats stats = {.dir = "untouched"};
    struct larder_cache_entry entry = {.url = "untouched"};
    struct larder_mirror_stats mirrored = {.files = 77};
    struct larder_archive_stats archived = {.files = 77};
    struct larder_cache_verified verified = {.records = 77};
    struct larder_option option = {.name = "untouched"};
    int go_on = 0;
    assert_status(-EINVAL, larder_cache_stats(cache, &stats));
    assert_status(-EINVAL, larder_cache_why(cached, "g", &entry));
    assert_status(-EINVAL, larder_mirror(cached, "", NULL, &mirrored));
    assert_status(-EINVAL, larder_cache_export(cache, NULL, 0, drop, &go_on, &archived));
    assert_status(-EINVAL, larder_cache_import(cache, give_nothing, NULL, &archived));
    assert_status(-EINVAL, larder_cache_verify(cache, &verified));
    assert_status(-EINVAL, larder_option_at(0, &option));
    assert_string_equal(stats.dir, "untouched");
    assert_string_equal(entry.url, "untouched");
    assert_int_equal(mirrored.files + archived.files + verified.records, 3 * 77);
    assert_string_equal(option.name, "untouched");
    entry.size = offsetof(struct larder_cache_entry, owner); /* then nobody could free it */
    assert_status(-EINVAL, larder_cache_why(cached, "g", &entry));
    mirrored.size =
        offsetof(struct larder_mirror_stats, bytes_fetched); /* a caller of before there was more */
    assert_ok(larder_mirror(cached, "", NULL, &mirrored));
    assert_int_equal(mirrored.files, 2);
    assert_int_equal(mirrored.size, offsetof(struct larder_mirror_stats, bytes_fetched));
}

static void results_that_nobody_wants_need_no_struct(void **state)
{
    int go_on = 0;
    fill_cache();
    assert_ok(larder_cache_verify(cache, NULL));
    assert_ok(larder_mirror(cached, "", NULL, NULL));
    assert_ok(larder_cache_export(cache, NULL, 0, drop, &go_on, NULL));
    assert_status(-EINVAL, larder_cache_stats(cache, NULL));
    assert_status(-EINVAL, larder_cache_why(cached, "g", NULL));
}

/* ---- callbacks ---- */

static void whatever_a_taker_says_stops_and_is_returned(void **state)
{
    int says[] = {3, -EPIPE};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(larder_cat_to(memory, "g", NULL, drop, &says[i]), says[i]);
        assert_int_equal(larder_cat_to(cached, "g", NULL, drop, &says[i]), says[i]);
        assert_int_equal(larder_cache_export(cache, NULL, 0, drop, &says[i], NULL), says[i]);
    }
}

/* ---- which cache ---- */

static void a_cap_that_is_given_holds_when_the_cache_is_open(void **state)
{
    struct larder_cache_stats stats = {.size = sizeof stats};
    for (uint64_t mib = 20; mib < 30; mib++) {
        char option[32];
        snprintf(option, sizeof option, "max_size=%uM", (unsigned)mib);
        struct larder_cache *capped = open_cache(option);
        assert_ok(larder_cache_stats(capped, &stats));
        assert_int_equal(stats.size_max, mib << 20);
        larder_cache_free(capped);
    }
}

static void a_view_of_a_cache_is_of_no_other(void **state)
{
    struct larder_fs *view = NULL;
    assert_status(-EINVAL,
                  larder_cache_fs(cache, memory, (const char *const[]){"dir=/elsewhere", NULL}, &view));
    assert_non_null(strstr(larder_error(), dir_option + 4));
    assert_status(-EINVAL,
                  larder_cache_fs(cache, memory, (const char *const[]){"cache.dir=/elsewhere", NULL}, &view));
    assert_null(view);
    assert_ok(larder_cache_fs(cache, memory, (const char *const[]){dir_option, NULL}, &view));
    larder_fs_free(view);
}

static void a_cache_is_the_same_by_another_name(void **state)
{
    struct larder_fs *view = NULL, *other = NULL;
    char option[600];
    snprintf(option, sizeof option, "%s/../%s/", dir_option, strrchr(dir_option, '/') + 1);
    assert_ok(larder_cache_fs(cache, memory, NULL, &view));
    assert_ok(larder_cache_fs(cache, memory, (const char *const[]){option, NULL}, &other));
    assert_true(larder_fs_is_same(view, other));
    larder_fs_free(other);
    larder_fs_free(view);
}

/* ---- options ---- */

static void an_option_is_looked_at_whatever_layer_it_is_of(void **state)
{
    static const char *const wrong[] = {"s3.nope=1",           "cache.tll=60", "cache.ttl=soon",  "fs.nope=1",
                                        "http.max_tries=many", "nobody.key=1", "local.sync=maybe"};
    struct larder_fs *fs = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *const options[] = {wrong[i], NULL};
        assert_status(-EINVAL, larder_open(NULL, "memory://", options, &fs, NULL));
        assert_non_null(strstr(larder_error(), "option"));
        assert_status(-EINVAL, larder_fs_at(memory, "d", options, &fs));
        assert_status(-EINVAL, larder_cache_fs(cache, memory, options, &fs));
    }
    assert_null(fs);
    const char *const right[] = {"s3.region=here", "cache.ttl=60", "http.timeout=5", NULL};
    assert_ok(larder_open(NULL, "memory://", right, &fs, NULL));
    larder_fs_free(fs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_of_no_filesystem_is_not_everything),
        cmocka_unit_test(a_path_that_is_null_is_refused),
        cmocka_unit_test(a_struct_for_results_says_its_size),
        cmocka_unit_test(results_that_nobody_wants_need_no_struct),
        cmocka_unit_test(whatever_a_taker_says_stops_and_is_returned),
        cmocka_unit_test(a_cap_that_is_given_holds_when_the_cache_is_open),
        cmocka_unit_test(a_view_of_a_cache_is_of_no_other),
        cmocka_unit_test(a_cache_is_the_same_by_another_name),
        cmocka_unit_test(an_option_is_looked_at_whatever_layer_it_is_of),
    };
    return cmocka_run_group_tests(tests, cached_memory_begin, cached_memory_end);
}
