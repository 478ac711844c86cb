/* SPDX-License-Identifier: Apache-2.0 */
/* What the HTTP backend reads, looks at and lists, against a real nginx. */
#include "nginx_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "fs/fs.h"
#include "fs/layer.h"
#include "jump_clock.h"
#include "task_test.h"

static const char ODD_NAME[] = "a b%20#?[é]&+;=.txt";

/* ---- reading ---- */

static void ranges_are_python_slices_whether_or_not_the_server_knows_them(void **state)
{
    static const char *const places[] = {"", "/norange", "/gzip", "/noetag", "/lastmod", "/weak"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct larder_fs *fs = open_plain(places[i]);
        assert_ranges(fs, "file.bin");
        larder_fs_free(fs);
    }
}

static void an_empty_file_has_no_bytes_in_any_range(void **state)
{
    struct larder_fs *fs = open_plain("");
    struct larder_info info;
    assert_range(fs, "empty", 0, LARDER_TO_END, 0, 0);
    assert_range(fs, "empty", -5, LARDER_TO_END, 0, 0);
    assert_range(fs, "empty", 1, 2, 0, 0);
    assert_range(fs, "empty", -5, -2, 0, 0);
    assert_ok(larder_info(fs, "empty", &info));
    assert_int_equal(info.size, 0);
    larder_info_free(&info);
    larder_fs_free(fs);
}

static void even_an_empty_range_tells_missing_from_there(void **state)
{
    struct larder_fs *fs = open_plain("");
    struct larder_bytes bytes = {0};
    struct larder_range range = {3, 3};
    assert_status(-ENOENT, larder_cat_file(fs, "nothing", &range, &bytes));
    assert_status(-EISDIR, larder_cat_file(fs, "dir", &range, &bytes));
    larder_fs_free(fs);
}

static void a_directory_is_no_file(void **state)
{
    struct larder_fs *fs = open_plain("");
    assert_fails(-EISDIR, fs, "dir", "/dir");
    assert_fails(-EISDIR, fs, "", "/");
    larder_fs_free(fs);
}

static void an_encoded_body_is_not_taken_for_the_file(void **state)
{
    struct larder_fs *fs = open_plain("/encoded");
    struct larder_info info;
    assert_fails(-EPROTO, fs, "file.bin", "encoded (gzip)");
    assert_ok(larder_info(fs, "file.bin", &info));
    assert_int_equal(info.size, LARDER_SIZE_UNKNOWN);
    larder_info_free(&info);
    larder_fs_free(fs);
}

static void a_status_is_an_errno(void **state)
{
    static const struct {
        const char *path;
        int status;
        const char *text;
    } answers[] = {
        {"404", -ENOENT, "/status/404: 404 Not Found"},
        {"410", -ENOENT, "410 Gone"},
        {"401", -EACCES, "401 Unauthorized"},
        {"403", -EACCES, "403 Forbidden"},
        {"400", -EINVAL, "400"},
        {"412", -ESTALE, "412"},
        {"416", -EIO, "416"},
        {"429", -EBUSY, "429 Too Many Requests"},
        {"500", -EIO, "500 Internal Server Error"},
        {"501", -ENOTSUP, "501"},
        {"502", -EIO, "502"},
        {"503", -EBUSY, "503 Service Unavailable"},
        {"504", -ETIMEDOUT, "504"},
    };
    struct larder_fs *fs = open_plain("/status");
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        assert_fails(answers[i].status, fs, answers[i].path, answers[i].text);
    larder_fs_free(fs);
}

/* ---- info ---- */

static void info_tells_files_from_directories(void **state)
{
    struct larder_fs *fs = open_plain("");
    struct larder_info info;
    assert_ok(larder_info(fs, "file.bin", &info));
    assert_int_equal(info.type, LARDER_FILE);
    assert_int_equal(info.size, SIZE);
    assert_true(info.mtime_ns > 1700000000000000000);
    assert_int_equal(info.version[0], '"');
    larder_info_free(&info);
    static const char *const dirs[] = {"", "dir", "dir/sub", "dir/"};
    for (size_t i = 0; i < 4; i++) {
        assert_ok(larder_info(fs, dirs[i], &info));
        assert_int_equal(info.type, LARDER_DIRECTORY);
        assert_null(info.version);
        larder_info_free(&info);
    }
    assert_status(-ENOENT, larder_info(fs, "nothing", &info));
    assert_int_equal(larder_exists(fs, "nothing"), 0);
    assert_int_equal(larder_isdir(fs, "dir"), 1);
    larder_fs_free(fs);
}

static void a_server_that_refuses_head_is_asked_for_a_byte(void **state)
{
    struct larder_fs *fs = open_plain("/nohead");
    struct larder_info info;
    assert_ok(larder_info(fs, "file.bin", &info));
    assert_int_equal(info.size, SIZE);
    larder_info_free(&info);
    assert_ok(larder_info(fs, "empty", &info));
    assert_int_equal(info.size, 0);
    larder_info_free(&info);
    assert_ok(larder_info(fs, "dir", &info));
    assert_int_equal(info.type, LARDER_DIRECTORY);
    larder_info_free(&info);
    larder_fs_free(fs);
}

/* ---- listings ---- */

static void assert_lists(struct larder_fs *fs, const char *path, size_t count, const char *const names[])
{
    struct larder_entries entries;
    assert_ok(larder_ls(fs, path, &entries));
    assert_int_equal(entries.count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(entries.info[i].name, names[i]);
    larder_entries_free(&entries);
}

static void all_kinds_of_index_list_the_same(void **state)
{
    static const char *const places[] = {"", "/json", "/xml", "/gzip"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct larder_fs *fs = open_plain(places[i]);
        struct larder_entries entries;
        assert_lists(fs, "dir", 3, (const char *const[]){"odd", "one", "sub"});
        assert_lists(fs, "dir/odd/", 1, (const char *const[]){ODD_NAME});
        assert_ok(larder_ls(fs, "dir", &entries));
        assert_int_equal(entries.info[0].type, LARDER_DIRECTORY);
        assert_int_equal(entries.info[1].type, LARDER_FILE);
        assert_int_equal(entries.info[1].size, 1);
        assert_true(entries.info[1].mtime_ns > 1700000000000000000);
        larder_entries_free(&entries);
        larder_fs_free(fs);
    }
}

static void listing_what_is_no_directory_says_what_it_is(void **state)
{
    struct larder_fs *fs = open_plain("");
    struct larder_entries entries;
    assert_status(-ENOENT, larder_ls(fs, "nothing", &entries));
    assert_lists(fs, "file.bin", 1, (const char *const[]){"file.bin"});
    larder_fs_free(fs);
    fs = open_plain("/text");
    assert_status(-ENOTSUP, larder_ls(fs, "dir", &entries));
    assert_non_null(strstr(larder_error(), "text/plain"));
    larder_fs_free(fs);
}

static void odd_names_are_read_as_they_are_listed(void **state)
{
    struct larder_fs *fs = open_plain("/dir/odd");
    struct larder_bytes bytes = {0};
    char *url;
    assert_ok(larder_cat_file(fs, ODD_NAME, NULL, &bytes));
    assert_memory_equal(bytes.data, "odd", 3);
    larder_bytes_free(&bytes);
    assert_ok(larder_fs_url(fs, ODD_NAME, &url));
    larder_fs_free(fs);
    fs = open_url(url, "", NULL);
    larder_free(url);
    assert_ok(larder_cat_file(fs, "", NULL, &bytes));
    assert_memory_equal(bytes.data, "odd", 3);
    larder_bytes_free(&bytes);
    larder_fs_free(fs);
}

static void a_whole_tree_is_found(void **state)
{
    struct larder_fs *fs = open_plain("");
    struct larder_entries entries;
    assert_ok(larder_find(fs, "dir", NULL, &entries));
    assert_int_equal(entries.count, 3);
    assert_string_equal(entries.info[1].name, "one");
    assert_string_equal(entries.info[2].name, "sub/two");
    larder_entries_free(&entries);
    larder_fs_free(fs);
}

/* ---- terms and answers ---- */

struct conditional {
    struct larder_fs *fs;
    struct terms terms;
    unsigned flags;
    int64_t fresh_ms;
    bool version;
};

/* Some of it may have passed already. */
static bool is_fresh_for(const struct answer *answer, int64_t ms)
{
    return ms < 0 ? answer->fresh_ms == ms : answer->fresh_ms > 0 && answer->fresh_ms <= ms;
}

static int CO_EDGE read_twice(void *arg)
{
    struct conditional *c = arg;
    struct instance *instance = c->fs->instance;
    struct answer first = {0}, second = {0};
    struct bytes_sink sink;
    char *path = path_join(c->fs->root, "file.bin");
    bytes_sink_init(&sink);
    CHECK(layer_read(instance, path, NULL, &TERMS_NONE, &sink.sink, &first) == 0);
    CHECK(first.info.size == SIZE && first.validator && first.flags == c->flags);
    CHECK(is_fresh_for(&first, c->fresh_ms));
    CHECK(c->version == (first.info.version != NULL));
    CHECK(!c->version || strcmp(first.info.version, first.validator) == 0);
    bytes_sink_fini(&sink);
    struct terms terms = TERMS_NONE;
    terms.if_none_match = first.validator;
    bytes_sink_init(&sink);
    CHECK(layer_read(instance, path, NULL, &terms, &sink.sink, &second) == UNCHANGED);
    CHECK(sink.size == 0 && second.validator && is_fresh_for(&second, c->fresh_ms));
    answer_free(&second);
    CHECK(layer_info(instance, path, &terms, &second) == UNCHANGED);
    terms = (struct terms){.if_match = "\"other\"", .ttl_ms = -1, .age_max_ms = -1};
    CHECK(layer_read(instance, path, NULL, &terms, &sink.sink, NULL) == -ESTALE);
    CHECK(layer_info(instance, path, &terms, &second) == -ESTALE);
    if (c->version) {
        terms.if_match = first.info.version;
        CHECK(layer_read(instance, path, &(struct larder_range){1, 2}, &terms, &sink.sink, NULL) == 0);
    }
    bytes_sink_fini(&sink);
    answer_free(&first);
    answer_free(&second);
    mem_free(path);
    return 0;
}

static void what_is_unchanged_is_not_sent_again(void **state)
{
    static const struct {
        const char *place;
        unsigned flags;
        int64_t fresh_ms;
        bool version;
    } places[] = {{"", 0, -1, true}, {"/lastmod", ANSWER_WEAK, -1, false}, {"/cached", 0, 60000, true}};
    for (size_t i = 0; i < 3; i++) {
        struct conditional c = {.fs = open_plain(places[i].place),
                                .flags = places[i].flags,
                                .fresh_ms = places[i].fresh_ms,
                                .version = places[i].version};
        assert_task(read_twice, &c);
        larder_fs_free(c.fs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_python_slices_whether_or_not_the_server_knows_them),
        cmocka_unit_test(an_empty_file_has_no_bytes_in_any_range),
        cmocka_unit_test(even_an_empty_range_tells_missing_from_there),
        cmocka_unit_test(a_directory_is_no_file),
        cmocka_unit_test(an_encoded_body_is_not_taken_for_the_file),
        cmocka_unit_test(a_status_is_an_errno),
        cmocka_unit_test(info_tells_files_from_directories),
        cmocka_unit_test(a_server_that_refuses_head_is_asked_for_a_byte),
        cmocka_unit_test(all_kinds_of_index_list_the_same),
        cmocka_unit_test(listing_what_is_no_directory_says_what_it_is),
        cmocka_unit_test(odd_names_are_read_as_they_are_listed),
        cmocka_unit_test(a_whole_tree_is_found),
        cmocka_unit_test(what_is_unchanged_is_not_sent_again),
    };
    jump_clock_start();
    return cmocka_run_group_tests(tests, nginx_files_setup, nginx_files_teardown);
}
