/* SPDX-License-Identifier: Apache-2.0 */
/* Reading one file, and looking at it: fsspec's semantics, where Larder keeps them. */
#include "scenario.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree.h"

/* ---- bytes ---- */

static int read_ranges(struct scenario_run *run)
{
    static const struct {
        struct larder_range range;
        const char *expected;
    } cases[] = {
        {{0, LARDER_TO_END}, "0123456789"},
        {{3, 6}, "345"},
        {{3, 3}, ""},
        {{5, 3}, ""},
        {{0, 100}, "0123456789"},
        {{9, 10}, "9"},
        {{10, 20}, ""},
        {{50, 60}, ""},
        {{-3, LARDER_TO_END}, "789"},
        {{-100, LARDER_TO_END}, "0123456789"},
        {{2, -3}, "23456"},
        {{-5, -2}, "567"},
        {{-100, -20}, ""},
        {{-4, 8}, "67"},
        {{0, 0}, ""},
        {{0, INT64_MAX - 1}, "0123456789"},
    };
    struct larder_bytes bytes;
    REQUIRE_IS(0, put_text(run, "ten", "0123456789"));
    REQUIRE_IS(0, larder_cat_file(run->fs, "ten", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "0123456789"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        REQUIRE_IS(0, larder_cat_file(run->fs, "ten", &cases[i].range, &bytes));
        if (!bytes_are(&bytes, cases[i].expected))
            return scenario_failed(run, __LINE__, "range", (long long)i);
    }
    return 0;
}

/* The same when the ranges are what is asked for first, in every order. */
static int read_ranges_of_new_files(struct scenario_run *run)
{
    static const struct larder_range ranges[] = {{-3, LARDER_TO_END}, {50, 60}, {2, 5}, {2, -3}, {3, 3}};
    static const char *const expected[] = {"789", "", "234", "23456", ""};
    for (size_t i = 0; i < 5; i++) {
        struct larder_bytes bytes;
        char name[16];
        snprintf(name, sizeof name, "n%zu", i);
        REQUIRE_IS(0, put_text(run, name, "0123456789"));
        REQUIRE_IS(0, larder_cat_file(run->fs, name, &ranges[i], &bytes));
        REQUIRE(bytes_are(&bytes, expected[i]));
        REQUIRE_IS(0, larder_cat_file(run->fs, name, NULL, &bytes));
        REQUIRE(bytes_are(&bytes, "0123456789"));
        REQUIRE_IS(0, larder_cat_file(run->fs, name, &ranges[i], &bytes));
        REQUIRE(bytes_are(&bytes, expected[i]));
    }
    return 0;
}

static int read_empty_file(struct scenario_run *run)
{
    struct larder_bytes bytes;
    struct larder_info info;
    struct larder_range range = {0, 5}, suffix = {-5, LARDER_TO_END};
    REQUIRE_IS(0, put_text(run, "empty", ""));
    REQUIRE_IS(0, larder_cat_file(run->fs, "empty", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, ""));
    REQUIRE_IS(0, larder_cat_file(run->fs, "empty", &range, &bytes));
    REQUIRE(bytes_are(&bytes, ""));
    REQUIRE_IS(0, larder_cat_file(run->fs, "empty", &suffix, &bytes));
    REQUIRE(bytes_are(&bytes, ""));
    REQUIRE_IS(0, larder_info(run->fs, "empty", &info));
    REQUIRE(info.size == 0 && info.type == LARDER_FILE);
    larder_info_free(&info);
    return 0;
}

static int read_ends(struct scenario_run *run)
{
    struct larder_bytes bytes = {.size = 77};
    REQUIRE_IS(0, put_text(run, "ten", "0123456789"));
    REQUIRE_IS(0, larder_head(run->fs, "ten", 3, &bytes));
    REQUIRE(bytes_are(&bytes, "012"));
    REQUIRE_IS(0, larder_tail(run->fs, "ten", 3, &bytes));
    REQUIRE(bytes_are(&bytes, "789"));
    REQUIRE_IS(0, larder_head(run->fs, "ten", SIZE_MAX, &bytes));
    REQUIRE(bytes_are(&bytes, "0123456789"));
    REQUIRE_IS(0, larder_tail(run->fs, "ten", SIZE_MAX, &bytes));
    REQUIRE(bytes_are(&bytes, "0123456789"));
    REQUIRE_IS(0, larder_tail(run->fs, "ten", 0, &bytes));
    REQUIRE(bytes_are(&bytes, ""));
    REQUIRE_IS(-ENOENT, larder_head(run->fs, "none", 0, &bytes));
    REQUIRE_IS(-ENOENT, larder_tail(run->fs, "none", 3, &bytes));
    return 0;
}

static int read_large_file(struct scenario_run *run)
{
    size_t size = (3 << 20) + 12345;
    char *data = content_make(size, 7);
    struct larder_bytes bytes;
    REQUIRE_IS(0, put_file(run, "large", data, size));
    struct larder_range range = {1 << 20, (1 << 20) + 300000};
    REQUIRE_IS(0, larder_cat_file(run->fs, "large", &range, &bytes));
    REQUIRE(bytes.size == 300000 && content_matches(bytes.data, bytes.size, 7, 1 << 20));
    larder_bytes_free(&bytes);
    REQUIRE_IS(0, larder_cat_file(run->fs, "large", NULL, &bytes));
    REQUIRE(bytes.size == size && memcmp(bytes.data, data, size) == 0);
    larder_bytes_free(&bytes);
    struct larder_range last = {-70000, LARDER_TO_END};
    REQUIRE_IS(0, larder_cat_file(run->fs, "large", &last, &bytes));
    REQUIRE(bytes.size == 70000 && content_matches(bytes.data, bytes.size, 7, size - 70000));
    larder_bytes_free(&bytes);
    free(data);
    return 0;
}

static int read_into_callers_memory(struct scenario_run *run)
{
    char buffer[16] = "untouched";
    struct larder_range range = {2, 4};
    REQUIRE_IS(0, put_text(run, "ten", "0123456789"));
    REQUIRE_IS(10, larder_cat_into(run->fs, "ten", NULL, buffer, sizeof buffer));
    REQUIRE(memcmp(buffer, "0123456789", 10) == 0);
    REQUIRE_IS(10, larder_cat_into(run->fs, "ten", NULL, buffer, 10));
    REQUIRE_IS(2, larder_cat_into(run->fs, "ten", &range, buffer, 2));
    REQUIRE(memcmp(buffer, "23", 2) == 0);
    REQUIRE_IS(-ENOSPC, larder_cat_into(run->fs, "ten", NULL, buffer, 9));
    REQUIRE_IS(-ENOENT, larder_cat_into(run->fs, "none", NULL, buffer, 9));
    return 0;
}

static int read_blocks(struct scenario_run *run)
{
    static const char *const expected[] = {"one\n", "two\n", "", "three\n", "", "", "4"};
    struct larder_bytes bytes;
    REQUIRE_IS(0, put_text(run, "lines", "one\ntwo\nthree\n4"));
    for (int i = 0; i < 7; i++) {
        REQUIRE_IS(0, larder_read_block(run->fs, "lines", i * 2, 2, "\n", 1, &bytes));
        if (!bytes_are(&bytes, expected[i]))
            return scenario_failed(run, __LINE__, "block", i);
    }
    REQUIRE_IS(0, larder_read_block(run->fs, "lines", 1, LARDER_TO_END, "\n", 1, &bytes));
    REQUIRE(bytes_are(&bytes, "two\nthree\n4"));
    REQUIRE_IS(0, larder_read_block(run->fs, "lines", 0, 5, "none", 4, &bytes));
    REQUIRE(bytes_are(&bytes, "one\ntwo\nthree\n4"));
    REQUIRE_IS(0, larder_read_block(run->fs, "lines", 100, 5, "\n", 1, &bytes));
    REQUIRE(bytes_are(&bytes, ""));
    REQUIRE_IS(-ENOENT, larder_read_block(run->fs, "none", 0, 5, "\n", 1, &bytes));
    REQUIRE_IS(-EISDIR, larder_read_block(run->fs, "", 0, 5, "\n", 1, &bytes));
    return 0;
}

static int missing_is_not_failed(struct scenario_run *run)
{
    struct larder_bytes bytes = {.size = 77};
    struct larder_info info = {.size = 77};
    struct larder_range range = {1, 2}, nothing = {3, 3};
    REQUIRE_IS(0, put_text(run, "dir/file", "x"));
    REQUIRE_IS(-ENOENT, larder_cat_file(run->fs, "none", NULL, &bytes));
    REQUIRE(strstr(larder_error(), "none"));
    REQUIRE_IS(-ENOENT, larder_cat_file(run->fs, "none", &range, &bytes));
    REQUIRE_IS(-ENOENT, larder_cat_file(run->fs, "none", &nothing, &bytes));
    REQUIRE_IS(-ENOENT, larder_cat_file(run->fs, "no/such/dir", NULL, &bytes));
    REQUIRE_IS(-EISDIR, larder_cat_file(run->fs, "dir", NULL, &bytes));
    REQUIRE_IS(-EISDIR, larder_cat_file(run->fs, "dir", &range, &bytes));
    REQUIRE_IS(-EISDIR, larder_cat_file(run->fs, "", NULL, &bytes));
    REQUIRE(bytes.size == 77);
    REQUIRE_IS(-ENOENT, larder_info(run->fs, "none", &info));
    REQUIRE(info.size == 77);
    return 0;
}

static int wrong_paths_are_refused(struct scenario_run *run)
{
    static const char *const wrong[] = {"..", "../x", "a/../b", "a//b", ".", "./a", "a/."};
    struct larder_bytes bytes;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        REQUIRE_IS(-EINVAL, larder_cat_file(run->fs, wrong[i], NULL, &bytes));
        REQUIRE_IS(-EINVAL, larder_exists(run->fs, wrong[i]));
    }
    REQUIRE_IS(0, put_text(run, "a/b", "x"));
    REQUIRE_IS(0, larder_cat_file(run->fs, "/a/b", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "x"));
    REQUIRE_IS(1, larder_isdir(run->fs, "a/"));
    return 0;
}

/* ---- what is there ---- */

static int info_tells_what_is_there(struct scenario_run *run)
{
    struct larder_info info;
    REQUIRE_IS(0, put_text(run, "dir/file", "12345"));
    REQUIRE_IS(0, larder_info(run->fs, "dir/file", &info));
    REQUIRE(info.type == LARDER_FILE && info.size == 5 && info.mtime_ns > 1500000000000000000);
    REQUIRE(strcmp(info.name, "dir/file") == 0);
    larder_info_free(&info);
    REQUIRE_IS(0, larder_info(run->fs, "dir", &info));
    REQUIRE(info.type == LARDER_DIRECTORY && info.size == 0);
    larder_info_free(&info);
    REQUIRE_IS(0, larder_info(run->fs, "", &info));
    REQUIRE(info.type == LARDER_DIRECTORY);
    larder_info_free(&info);
    REQUIRE_IS(1, larder_exists(run->fs, "dir/file"));
    REQUIRE_IS(1, larder_exists(run->fs, "dir"));
    REQUIRE_IS(0, larder_exists(run->fs, "dir/none"));
    REQUIRE_IS(0, larder_exists(run->fs, "dir/file/below"));
    REQUIRE_IS(1, larder_isfile(run->fs, "dir/file"));
    REQUIRE_IS(0, larder_isfile(run->fs, "dir"));
    REQUIRE_IS(0, larder_isfile(run->fs, "none"));
    REQUIRE_IS(1, larder_isdir(run->fs, "dir"));
    REQUIRE_IS(0, larder_isdir(run->fs, "dir/file"));
    REQUIRE_IS(0, larder_isdir(run->fs, "none"));
    return 0;
}

static int odd_names(struct scenario_run *run)
{
    static const char *const names[] = {"a b",        "100%",  "a#b",     "what?",       "x[1]",
                                        "p*q",        "käse",  "日本",    "a+b&c=d;e",   "q'\"<>",
                                        "~t",         "a%20b", "-dash",   ".hidden",     "a:b",
                                        "@at,comma!", "$(x)",  "(paren)", "back\\slash", "tab\tx"};
    size_t count = sizeof names / sizeof names[0] - (run->place->gaps & GAP_CONTROLS ? 1 : 0);
    struct larder_entries entries;
    struct larder_bytes bytes;
    for (size_t i = 0; i < count; i++) {
        char path[64];
        snprintf(path, sizeof path, "odd %%/%s", names[i]);
        REQUIRE_IS(0, put_text(run, path, names[i]));
    }
    for (size_t i = 0; i < count; i++) {
        char path[64];
        struct larder_info info;
        snprintf(path, sizeof path, "odd %%/%s", names[i]);
        REQUIRE_IS(0, larder_cat_file(run->fs, path, NULL, &bytes));
        REQUIRE(bytes_are(&bytes, names[i]));
        REQUIRE_IS(0, larder_info(run->fs, path, &info));
        REQUIRE(info.size == (int64_t)strlen(names[i]));
        larder_info_free(&info);
    }
    if (!larder_fs_capabilities(run->fs)->list)
        return 0;
    REQUIRE_IS(0, larder_ls(run->fs, "odd %", &entries));
    for (size_t i = 0; i < count; i++) {
        size_t j = 0;
        if ((run->place->gaps & GAP_DOTS) && names[i][0] == '.')
            continue;
        while (j < entries.count && strcmp(entries.info[j].name, names[i]) != 0)
            j++;
        if (j == entries.count)
            return scenario_failed(run, __LINE__, names[i], (long long)entries.count);
    }
    larder_entries_free(&entries);
    return 0;
}

const struct scenario read_scenarios[] = {
    {"read ranges", 0, read_ranges},
    {"read ranges of new files", 0, read_ranges_of_new_files},
    {"read an empty file", 0, read_empty_file},
    {"read head and tail", 0, read_ends},
    {"read a large file", 0, read_large_file},
    {"read into the caller's memory", 0, read_into_callers_memory},
    {"read blocks", 0, read_blocks},
    {"missing is not failed", 0, missing_is_not_failed},
    {"wrong paths are refused", 0, wrong_paths_are_refused},
    {"info tells what is there", 0, info_tells_what_is_there},
    {"odd names", 0, odd_names},
    {0},
};
