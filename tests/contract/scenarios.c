/* SPDX-License-Identifier: Apache-2.0 */
/* What every place shows alike: fsspec's semantics (reference: fsspec's abstract suites), where Larder keeps them. */
#include "scenario.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree.h"

/* ---- helpers ---- */

static int put_tree(struct scenario_run *run)
{
    static const char *const files[] = {"f1", "f2", "d/g1", "d/e/h1", "d/e/h2", "dd/x"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        REQUIRE_IS(0, put_text(run, files[i], files[i]));
    return 0;
}

/* ---- reading ---- */

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

/* ---- listings ---- */

static int ls_lists_one_directory(struct scenario_run *run)
{
    struct larder_entries entries;
    REQUIRE_IS(0, put_tree(run));
    REQUIRE_IS(0, put_dir(run, "empty"));
    REQUIRE_IS(0, larder_ls(run->fs, "", &entries));
    REQUIRE(names_are(&entries, "d/ dd/ empty/ f1 f2"));
    REQUIRE_IS(0, larder_ls(run->fs, "d/e", &entries));
    REQUIRE(entries.count == 2);
    bool sizes = !(run->place->gaps & (GAP_FACTS | GAP_SIZES)), times = !(run->place->gaps & GAP_FACTS);
    REQUIRE(entries.info[0].size == (sizes ? 6 : LARDER_SIZE_UNKNOWN));
    REQUIRE((entries.info[0].mtime_ns > 0) == times);
    REQUIRE(names_are(&entries, "h1 h2"));
    REQUIRE_IS(0, larder_ls(run->fs, "f1", &entries));
    REQUIRE(entries.count == 1 && entries.info[0].size == 2);
    REQUIRE(names_are(&entries, "f1"));
    REQUIRE_IS(0, larder_ls(run->fs, "empty", &entries));
    REQUIRE(names_are(&entries, ""));
    REQUIRE_IS(-ENOENT, larder_ls(run->fs, "none", &entries));
    return 0;
}

static int find_collects_a_tree(struct scenario_run *run)
{
    struct larder_find_options options = {.size = sizeof options};
    struct larder_entries entries;
    REQUIRE_IS(0, put_tree(run));
    REQUIRE_IS(0, larder_find(run->fs, "", NULL, &entries));
    REQUIRE(names_are(&entries, "d/e/h1 d/e/h2 d/g1 dd/x f1 f2"));
    REQUIRE_IS(0, larder_find(run->fs, "d", NULL, &entries));
    REQUIRE(names_are(&entries, "e/h1 e/h2 g1"));
    options.maxdepth = 2;
    REQUIRE_IS(0, larder_find(run->fs, "", &options, &entries));
    REQUIRE(names_are(&entries, "d/g1 dd/x f1 f2"));
    options.dirs = true;
    REQUIRE_IS(0, larder_find(run->fs, "", &options, &entries));
    REQUIRE(names_are(&entries, "d/ d/e/ d/g1 dd/ dd/x f1 f2"));
    REQUIRE_IS(0, larder_find(run->fs, "none", NULL, &entries));
    REQUIRE(names_are(&entries, ""));
    REQUIRE_IS(0, larder_find(run->fs, "f1", NULL, &entries));
    REQUIRE(entries.count == 1 && entries.info[0].size == 2);
    REQUIRE(names_are(&entries, ""));
    return 0;
}

static int walk_streams_and_prunes(struct scenario_run *run)
{
    struct larder_find_options options = {.size = sizeof options, .dirs = true};
    const struct larder_info *entry;
    struct larder_walk *walk;
    const char *dir;
    int files = 0, rc;
    REQUIRE_IS(0, put_tree(run));
    REQUIRE_IS(0, larder_walk_open(run->fs, "", &options, &walk));
    while ((rc = larder_walk_next(walk, &dir, &entry)) > 0) {
        REQUIRE(strncmp(dir, "d/", 2) != 0 && strcmp(dir, "d") != 0);
        if (strcmp(entry->name, "d") == 0)
            larder_walk_prune(walk);
        files += entry->type == LARDER_FILE;
    }
    REQUIRE_IS(0, rc);
    REQUIRE_IS(0, larder_walk_next(walk, &dir, &entry));
    REQUIRE(files == 3);
    larder_walk_free(walk);
    REQUIRE_IS(0, larder_walk_open(run->fs, "", NULL, &walk));
    REQUIRE_IS(1, larder_walk_next(walk, &dir, &entry));
    larder_walk_free(walk); /* abandoned */
    return 0;
}

/* Empty files many/0000, many/0001, …: all at once where they go through Larder. */
static int put_entries(struct scenario_run *run, size_t count)
{
    struct larder_item *items = calloc(count, sizeof *items);
    char(*paths)[16] = calloc(count, sizeof *paths);
    int rc = 0;
    for (size_t i = 0; i < count; i++) {
        snprintf(paths[i], sizeof paths[i], "many/%04zu", i);
        items[i] = (struct larder_item){.path = paths[i]};
        if (run->place->disk)
            put_text(run, paths[i], "");
    }
    if (!run->place->disk)
        rc = larder_pipe(run->fs, items, count, LARDER_PARENTS, NULL);
    free(items);
    free(paths);
    return rc;
}

static int many_entries_in_one_directory(struct scenario_run *run)
{
    struct larder_entries entries;
    char name[32];
    REQUIRE_IS(0, put_entries(run, 1234));
    REQUIRE_IS(0, larder_ls(run->fs, "many", &entries));
    REQUIRE(entries.count == 1234);
    for (int i = 0; i < 1234; i++) {
        snprintf(name, sizeof name, "%04d", i);
        REQUIRE(strcmp(entries.info[i].name, name) == 0);
    }
    larder_entries_free(&entries);
    return 0;
}

/* ---- many at once ---- */

#define COUNT 200
struct told {
    int calls, stop_at;
    bool wrong;
};

static int told(void *arg, struct larder_item *item)
{
    struct told *seen = arg;
    seen->calls++;
    if (item->status == -ENOENT && !strstr(larder_error(), item->path))
        seen->wrong = true;
    if (item->status == 0 && item->bytes.size != strlen(item->path))
        seen->wrong = true;
    larder_bytes_free(&item->bytes);
    return seen->calls == seen->stop_at ? 4711 : 0;
}

static int put_many(struct scenario_run *run, struct larder_item *items, char paths[][16])
{
    for (int i = 0; i < COUNT; i++) {
        snprintf(paths[i], 16, "m%d/k%03d", i % 5, i);
        REQUIRE_IS(0, put_text(run, paths[i], paths[i]));
        items[i] = (struct larder_item){.path = paths[i]};
    }
    return 0;
}

static int cat_many_with(struct scenario_run *run, struct larder_item *items, char paths[][16])
{
    struct larder_batch batch = {.size = sizeof batch};
    REQUIRE_IS(0, put_many(run, items, paths));
    REQUIRE_IS(0, larder_cat(run->fs, items, COUNT, NULL));
    for (int i = 0; i < COUNT; i++)
        REQUIRE(items[i].status == 0 && bytes_are(&items[i].bytes, paths[i]));
    items[50].path = "missing50";
    items[60].path = "m0";
    batch.on_error = LARDER_RETURN;
    REQUIRE_IS(2, larder_cat(run->fs, items, COUNT, &batch));
    REQUIRE(items[50].status == -ENOENT && items[60].status == -EISDIR);
    for (int i = 0; i < COUNT; i++)
        REQUIRE(i == 50 || i == 60 || (items[i].status == 0 && bytes_are(&items[i].bytes, paths[i])));
    batch.on_error = LARDER_OMIT;
    REQUIRE_IS(-EISDIR, larder_cat(run->fs, items, COUNT, &batch));
    REQUIRE(*larder_error());
    for (int i = 0; i < COUNT; i++)
        larder_bytes_free(&items[i].bytes);
    items[60].path = paths[60];
    REQUIRE_IS(0, larder_cat(run->fs, items, COUNT, &batch));
    REQUIRE(items[50].status == -ENOENT);
    for (int i = 0; i < COUNT; i++)
        larder_bytes_free(&items[i].bytes);
    batch.on_error = LARDER_RAISE;
    REQUIRE_IS(-ENOENT, larder_cat(run->fs, items, COUNT, &batch));
    REQUIRE(strstr(larder_error(), "missing50"));
    for (int i = 0; i < COUNT; i++)
        larder_bytes_free(&items[i].bytes);
    return 0;
}

static int cat_many(struct scenario_run *run)
{
    struct larder_item *items = calloc(COUNT, sizeof *items);
    char(*paths)[16] = calloc(COUNT, 16);
    int rc = cat_many_with(run, items, paths);
    free(items);
    free(paths);
    return rc;
}

static int cat_many_told_with(struct scenario_run *run, struct larder_item *items, char paths[][16])
{
    struct told seen = {0}, stopper = {.stop_at = 7};
    struct larder_batch batch = {.size = sizeof batch,
                                 .on_error = LARDER_RETURN,
                                 .completed = told,
                                 .arg = &seen};
    REQUIRE_IS(0, put_many(run, items, paths));
    items[3].path = "missing3";
    REQUIRE_IS(1, larder_cat(run->fs, items, COUNT, &batch));
    REQUIRE(seen.calls == COUNT && !seen.wrong);
    batch.bytes_max = 1; /* one at a time on its way, and still all of them */
    seen = (struct told){0};
    REQUIRE_IS(1, larder_cat(run->fs, items, COUNT, &batch));
    REQUIRE(seen.calls == COUNT && !seen.wrong);
    batch.bytes_max = 0;
    batch.jobs_max = 3;
    batch.arg = &stopper;
    REQUIRE_IS(4711, larder_cat(run->fs, items, COUNT, &batch));
    REQUIRE(stopper.calls == 7);
    for (int i = 0; i < COUNT; i++)
        larder_bytes_free(&items[i].bytes);
    REQUIRE_IS(0, larder_cat(run->fs, items, 0, &batch));
    return 0;
}

static int cat_many_told(struct scenario_run *run)
{
    struct larder_item *items = calloc(COUNT, sizeof *items);
    char(*paths)[16] = calloc(COUNT, 16);
    int rc = cat_many_told_with(run, items, paths);
    free(items);
    free(paths);
    return rc;
}

/* "data0" .. of 3000 bytes, each in 60 ranges that come in no order, some of them twice or beyond the end. */
static int cat_ranges_with(struct scenario_run *run, struct larder_item *items, struct larder_range *ranges)
{
    static const char *const names[] = {"r/data0", "r/data1", "r/data2"};
    struct larder_batch batch = {.size = sizeof batch, .gap_max = 20, .block_max = 500};
    char data[3000];
    for (int i = 0; i < 3; i++) {
        for (size_t j = 0; j < sizeof data; j++)
            data[j] = (char)('a' + (j / 7 + (size_t)i) % 26);
        REQUIRE_IS(0, put_file(run, names[i], data, sizeof data));
    }
    for (int i = 0; i < COUNT; i++) {
        int64_t start = i * 7919 % 3100;
        ranges[i] = (struct larder_range){start, start + i % 40};
        items[i] = (struct larder_item){.path = names[i % 3], .range = &ranges[i]};
    }
    ranges[10] = (struct larder_range){-100, LARDER_TO_END};
    ranges[11] = (struct larder_range){-100, -50};
    ranges[12] = ranges[9];
    REQUIRE_IS(0, larder_cat_ranges(run->fs, items, COUNT, &batch));
    for (int i = 0; i < COUNT; i++) {
        struct larder_bytes alone;
        REQUIRE_IS(0, larder_cat_file(run->fs, items[i].path, &ranges[i], &alone));
        bool same =
            alone.size == items[i].bytes.size && memcmp(alone.data, items[i].bytes.data, alone.size) == 0;
        larder_bytes_free(&alone);
        larder_bytes_free(&items[i].bytes);
        if (!same)
            return scenario_failed(run, __LINE__, "range", i);
    }
    items[20].path = items[23].path = "none";
    batch.on_error = LARDER_RETURN;
    REQUIRE_IS(2, larder_cat_ranges(run->fs, items, COUNT, &batch));
    REQUIRE(items[20].status == -ENOENT && items[23].status == -ENOENT && items[26].status == 0);
    for (int i = 0; i < COUNT; i++)
        larder_bytes_free(&items[i].bytes);
    batch.on_error = LARDER_OMIT;
    REQUIRE_IS(0, larder_cat_ranges(run->fs, items, COUNT, &batch));
    for (int i = 0; i < COUNT; i++)
        larder_bytes_free(&items[i].bytes);
    REQUIRE_IS(-ENOENT, larder_cat_ranges(run->fs, items, COUNT, NULL));
    REQUIRE(strstr(larder_error(), "none"));
    for (int i = 0; i < COUNT; i++)
        larder_bytes_free(&items[i].bytes);
    return 0;
}

static int cat_ranges(struct scenario_run *run)
{
    struct larder_item *items = calloc(COUNT, sizeof *items);
    struct larder_range *ranges = calloc(COUNT, sizeof *ranges);
    int rc = cat_ranges_with(run, items, ranges);
    free(items);
    free(ranges);
    return rc;
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

static int sizes_are_told(struct scenario_run *run)
{
    struct larder_item items[] = {{.path = "f1"}, {.path = "d"}, {.path = "none"}, {.path = "d/e/h1"}};
    struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_RETURN};
    int64_t size = 7, sizes[4];
    REQUIRE_IS(0, put_tree(run));
    REQUIRE_IS(0, larder_size(run->fs, "d/e/h1", &size));
    REQUIRE(size == 6);
    REQUIRE_IS(-ENOENT, larder_size(run->fs, "none", &size));
    REQUIRE(size == 6 && strstr(larder_error(), "none"));
    REQUIRE_IS(1, larder_sizes(run->fs, items, 4, sizes, &batch));
    REQUIRE(sizes[0] == 2 && sizes[1] == 0 && sizes[2] == LARDER_SIZE_UNKNOWN && sizes[3] == 6);
    REQUIRE(items[2].status == -ENOENT && items[3].status == 0);
    return 0;
}

static int du_adds_up(struct scenario_run *run)
{
    struct larder_find_options options = {.size = sizeof options, .maxdepth = 2, .dirs = true};
    REQUIRE_IS(0, put_tree(run));
    REQUIRE_IS(24, larder_du(run->fs, "", NULL));
    REQUIRE_IS(16, larder_du(run->fs, "d", NULL));
    REQUIRE_IS(12, larder_du(run->fs, "", &options));
    REQUIRE_IS(2, larder_du(run->fs, "f1", NULL));
    REQUIRE_IS(0, larder_du(run->fs, "none", NULL));
    REQUIRE_IS(-EINVAL, larder_du(run->fs, "..", NULL));
    return 0;
}

/* ---- writing ---- */

static int pipe_replaces_whole(struct scenario_run *run)
{
    struct larder_bytes bytes;
    REQUIRE_IS(0, larder_pipe_file(run->fs, "f", "long old value", 14, 0));
    REQUIRE_IS(0, larder_cat_file(run->fs, "f", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "long old value"));
    REQUIRE_IS(0, larder_pipe_file(run->fs, "f", "new", 3, 0));
    REQUIRE_IS(0, larder_cat_file(run->fs, "f", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "new"));
    REQUIRE_IS(0, larder_pipe_file(run->fs, "f", NULL, 0, 0));
    REQUIRE_IS(0, larder_cat_file(run->fs, "f", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, ""));
    REQUIRE_IS(0, larder_pipe_file(run->fs, "n/m/o", "x", 1, LARDER_PARENTS));
    REQUIRE_IS(1, larder_isfile(run->fs, "n/m/o"));
    REQUIRE_IS(-EINVAL, larder_pipe_file(run->fs, "f", "x", 1, 1u << 30));
    if (!larder_fs_capabilities(run->fs)->real_directories)
        return 0; /* a name may be a file's and a directory's */
    REQUIRE_IS(0, larder_mkdir(run->fs, "d", false));
    REQUIRE_IS(-EISDIR, larder_pipe_file(run->fs, "d", "x", 1, 0));
    REQUIRE_IS(-ENOTDIR, larder_pipe_file(run->fs, "f/below", "x", 1, LARDER_PARENTS));
    if (larder_fs_capabilities(run->fs)->parents_required)
        REQUIRE_IS(-ENOENT, larder_pipe_file(run->fs, "p/q", "x", 1, 0));
    return 0;
}

static int create_refuses_what_exists(struct scenario_run *run)
{
    struct larder_bytes bytes;
    REQUIRE_IS(0, larder_pipe_file(run->fs, "f", "first", 5, LARDER_CREATE));
    REQUIRE_IS(-EEXIST, larder_pipe_file(run->fs, "f", "second", 6, LARDER_CREATE));
    REQUIRE_IS(0, larder_cat_file(run->fs, "f", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "first"));
    if (!larder_fs_capabilities(run->fs)->real_directories)
        return 0;
    REQUIRE_IS(0, larder_mkdir(run->fs, "d", false));
    REQUIRE_IS(-EEXIST, larder_pipe_file(run->fs, "d", "x", 1, LARDER_CREATE));
    return 0;
}

static int replace_spares_another_version(struct scenario_run *run)
{
    struct larder_bytes bytes;
    struct larder_info info;
    REQUIRE_IS(0, larder_pipe_file(run->fs, "f", "first", 5, 0));
    REQUIRE_IS(0, grow_old(run, "f"));
    REQUIRE_IS(0, larder_info(run->fs, "f", &info));
    REQUIRE(info.version);
    REQUIRE_IS(0, larder_replace_file(run->fs, "f", "second one", 10, info.version, 0));
    REQUIRE_IS(-ESTALE, larder_replace_file(run->fs, "f", "third", 5, info.version, 0));
    REQUIRE(strstr(larder_error(), "f"));
    REQUIRE_IS(0, larder_cat_file(run->fs, "f", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "second one"));
    REQUIRE_IS(0, larder_rm_file(run->fs, "f"));
    REQUIRE_IS(-ESTALE, larder_replace_file(run->fs, "f", "fourth", 6, info.version, 0));
    REQUIRE_IS(0, larder_exists(run->fs, "f"));
    REQUIRE_IS(-EINVAL, larder_replace_file(run->fs, "f", "x", 1, NULL, 0));
    larder_info_free(&info);
    return 0;
}

static int written_is_read_at_once(struct scenario_run *run)
{
    struct larder_entries entries;
    struct larder_bytes bytes;
    char text[32];
    for (int i = 0; i < 50; i++) {
        snprintf(text, sizeof text, "value %d", i);
        REQUIRE_IS(0, larder_pipe_file(run->fs, "f", text, strlen(text), 0));
        REQUIRE_IS(0, larder_cat_file(run->fs, "f", NULL, &bytes));
        REQUIRE(bytes_are(&bytes, text));
    }
    REQUIRE_IS(0, larder_ls(run->fs, "", &entries));
    REQUIRE(names_are(&entries, "f"));
    REQUIRE_IS(0, larder_exists(run->fs, "g"));
    REQUIRE_IS(0, larder_pipe_file(run->fs, "g", "x", 1, 0));
    REQUIRE_IS(1, larder_exists(run->fs, "g"));
    REQUIRE_IS(0, larder_ls(run->fs, "", &entries));
    REQUIRE(names_are(&entries, "f g"));
    REQUIRE_IS(0, larder_rm_file(run->fs, "f"));
    REQUIRE_IS(0, larder_exists(run->fs, "f"));
    REQUIRE_IS(-ENOENT, larder_cat_file(run->fs, "f", NULL, &bytes));
    REQUIRE_IS(0, larder_ls(run->fs, "", &entries));
    REQUIRE(names_are(&entries, "g"));
    return 0;
}

static int pipe_many_with(struct scenario_run *run, struct larder_item *items, char paths[][16])
{
    struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_RETURN};
    for (int i = 0; i < COUNT; i++) {
        snprintf(paths[i], 16, "w%d/v%d/k%03d", i % 5, i % 3, i);
        items[i] =
            (struct larder_item){.path = paths[i], .bytes = {.data = paths[i], .size = strlen(paths[i])}};
    }
    REQUIRE_IS(0, larder_pipe(run->fs, items, COUNT, LARDER_PARENTS, NULL));
    for (int i = 0; i < COUNT; i++)
        REQUIRE(items[i].status == 0);
    REQUIRE_IS(COUNT, larder_pipe(run->fs, items, COUNT, LARDER_CREATE, &batch));
    for (int i = 0; i < COUNT; i++)
        REQUIRE(items[i].status == -EEXIST);
    REQUIRE_IS(0, larder_cat(run->fs, items, COUNT, NULL));
    for (int i = 0; i < COUNT; i++)
        REQUIRE(bytes_are(&items[i].bytes, paths[i]));
    REQUIRE_IS(0, larder_rm_files(run->fs, items, COUNT, NULL));
    /* Who removes many in one request may not say which were missing: then all count as removed. */
    int missing = larder_rm_files(run->fs, items, COUNT, &batch);
    REQUIRE(missing == COUNT || (missing == 0 && larder_fs_capabilities(run->fs)->remove_count_max > 1));
    for (int i = 0; i < COUNT; i++)
        REQUIRE(items[i].status == (missing ? -ENOENT : 0));
    return 0;
}

static int pipe_many(struct scenario_run *run)
{
    struct larder_item *items = calloc(COUNT, sizeof *items);
    char(*paths)[16] = calloc(COUNT, 16);
    int rc = pipe_many_with(run, items, paths);
    free(items);
    free(paths);
    return rc;
}

static int rm_removes(struct scenario_run *run)
{
    REQUIRE_IS(0, put_tree(run));
    REQUIRE_IS(-ENOENT, larder_rm_file(run->fs, "none"));
    REQUIRE_IS(-EISDIR, larder_rm_file(run->fs, "d"));
    REQUIRE_IS(0, larder_rm_file(run->fs, "f1"));
    REQUIRE_IS(0, larder_exists(run->fs, "f1"));
    REQUIRE_IS(-EISDIR, larder_rm(run->fs, "d", false));
    REQUIRE_IS(0, larder_rm(run->fs, "d", true));
    REQUIRE_IS(0, larder_exists(run->fs, "d/e/h1"));
    REQUIRE_IS(1, larder_isfile(run->fs, "dd/x")); /* "d" is no prefix of "dd" */
    if (!(run->place->gaps & GAP_DIRECTORIES)) {
        REQUIRE_IS(0, larder_exists(run->fs, "d"));
        REQUIRE_IS(-ENOENT, larder_rm(run->fs, "d", true));
    }
    REQUIRE_IS(0, larder_rm(run->fs, "f2", true));
    REQUIRE_IS(0, larder_pipe_file(run->fs, "x[1]", "", 0, 0));
    REQUIRE_IS(0, larder_pipe_file(run->fs, "x1", "", 0, 0));
    REQUIRE_IS(0, larder_rm(run->fs, "x[1]", false));
    REQUIRE_IS(1, larder_exists(run->fs, "x1"));
    return 0;
}

static int directories(struct scenario_run *run)
{
    REQUIRE_IS(0, larder_mkdir(run->fs, "a", false));
    REQUIRE_IS(1, larder_isdir(run->fs, "a"));
    REQUIRE_IS(-EEXIST, larder_mkdir(run->fs, "a", false));
    REQUIRE_IS(-EEXIST, larder_mkdir(run->fs, "a", true));
    if (larder_fs_capabilities(run->fs)->parents_required)
        REQUIRE_IS(-ENOENT, larder_mkdir(run->fs, "b/c/d", false));
    REQUIRE_IS(0, larder_mkdir(run->fs, "b/c/d", true));
    REQUIRE_IS(0, larder_makedirs(run->fs, "b/c/d", true));
    REQUIRE_IS(-EEXIST, larder_makedirs(run->fs, "b/c/d", false));
    REQUIRE_IS(0, larder_makedirs(run->fs, "e/f", false));
    REQUIRE_IS(-ENOTEMPTY, larder_rmdir(run->fs, "b/c"));
    REQUIRE_IS(0, larder_rmdir(run->fs, "b/c/d"));
    REQUIRE_IS(0, larder_rmdir(run->fs, "b/c"));
    REQUIRE_IS(-ENOENT, larder_rmdir(run->fs, "b/c"));
    REQUIRE_IS(0, larder_pipe_file(run->fs, "file", "x", 1, 0));
    REQUIRE_IS(-ENOTDIR, larder_rmdir(run->fs, "file"));
    REQUIRE_IS(-EEXIST, larder_mkdir(run->fs, "file", false));
    REQUIRE_IS(-ENOTDIR, larder_makedirs(run->fs, "file/x", true));
    return 0;
}

/* ---- the map ---- */

static int map_reads(struct scenario_run *run)
{
    static const char *const wrong[] = {"", "/a", "a/", "a//b", "..", "../x", "a/..", "."};
    struct larder_map *map;
    struct larder_bytes bytes;
    struct larder_range suffix = {-2, LARDER_TO_END};
    char buffer[8];
    int64_t size;
    REQUIRE_IS(0, put_text(run, "m/k", "value"));
    REQUIRE_IS(0, put_text(run, "m/x[1]*", "literal"));
    REQUIRE_IS(0, larder_map_new(run->fs, "m", 0, &map));
    REQUIRE_IS(0, larder_map_get(map, "k", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "value"));
    REQUIRE_IS(0, larder_map_get(map, "k", &suffix, &bytes));
    REQUIRE(bytes_are(&bytes, "ue"));
    REQUIRE_IS(0, larder_map_get(map, "x[1]*", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "literal"));
    REQUIRE_IS(5, larder_map_get_into(map, "k", NULL, buffer, sizeof buffer));
    REQUIRE_IS(-ENOENT, larder_map_get(map, "none", NULL, &bytes));
    REQUIRE_IS(-ENOENT, larder_map_get(map, "k/below", NULL, &bytes));
    REQUIRE_IS(1, larder_map_has(map, "k"));
    REQUIRE_IS(0, larder_map_has(map, "none"));
    REQUIRE_IS(0, larder_map_size(map, "k", &size));
    REQUIRE(size == 5);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        REQUIRE_IS(-EINVAL, larder_map_get(map, wrong[i], NULL, &bytes));
        REQUIRE_IS(-EINVAL, larder_map_has(map, wrong[i]));
    }
    larder_map_free(map);
    REQUIRE_IS(0, larder_map_new(run->fs, "", 0, &map));
    REQUIRE_IS(-ENOENT, larder_map_get(map, "m", NULL, &bytes)); /* a directory is no key */
    REQUIRE_IS(0, larder_map_has(map, "m"));
    larder_map_free(map);
    return 0;
}

static int map_lists(struct scenario_run *run)
{
    struct larder_map *map;
    struct larder_keys *keys;
    struct larder_entries entries;
    const char *key;
    int count = 0, rc;
    REQUIRE_IS(0, put_tree(run));
    REQUIRE_IS(0, larder_map_new(run->fs, "", LARDER_MAP_CHECK, &map));
    REQUIRE_IS(6, larder_map_len(map));
    REQUIRE_IS(0, larder_map_keys(map, "d", &keys));
    while ((rc = larder_keys_next(keys, &key, NULL)) > 0) {
        REQUIRE(strncmp(key, "d/", 2) == 0);
        count++;
    }
    REQUIRE_IS(0, rc);
    REQUIRE(count == 3);
    larder_keys_free(keys);
    REQUIRE_IS(0, larder_map_list(map, "d", &entries));
    REQUIRE(names_are(&entries, "e/ g1"));
    larder_map_free(map);
    return 0;
}

static int map_writes(struct scenario_run *run)
{
    struct larder_map *map;
    struct larder_bytes bytes;
    struct larder_item items[3] = {{.path = "s/1", .bytes = {.data = "1", .size = 1}},
                                   {.path = "/bad", .bytes = {.data = "2", .size = 1}},
                                   {.path = "s/t/3", .bytes = {.data = "3", .size = 1}}};
    struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_RETURN};
    REQUIRE_IS(0, larder_map_new(run->fs, "new/map", LARDER_MAP_CREATE, &map));
    REQUIRE_IS(0, larder_map_set(map, "a/b/c", "v", 1));
    REQUIRE_IS(0, larder_map_get(map, "a/b/c", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "v"));
    REQUIRE_IS(-EEXIST, larder_map_set_if_absent(map, "a/b/c", "w", 1));
    REQUIRE_IS(0, larder_map_set_if_absent(map, "a/b/d", "w", 1));
    REQUIRE_IS(1, larder_map_set_many(map, items, 3, &batch));
    REQUIRE(items[0].status == 0 && items[1].status == -EINVAL && items[2].status == 0);
    REQUIRE_IS(4, larder_map_len(map));
    REQUIRE_IS(0, larder_map_pop(map, "a/b/d", &bytes));
    REQUIRE(bytes_are(&bytes, "w"));
    REQUIRE_IS(0, larder_map_has(map, "a/b/d"));
    REQUIRE_IS(0, larder_map_delete(map, "a/b/c"));
    REQUIRE_IS(-ENOENT, larder_map_delete(map, "a/b/c"));
    REQUIRE_IS(-ENOENT, larder_map_delete(map, "s"));
    REQUIRE_IS(0, larder_map_set(map, "s-t/1", "x", 1));
    REQUIRE_IS(0, larder_map_delete_prefix(map, "s"));
    REQUIRE_IS(0, larder_map_delete_prefix(map, "s"));
    REQUIRE_IS(1, larder_map_len(map));
    REQUIRE_IS(0, larder_map_clear(map));
    REQUIRE_IS(0, larder_map_len(map));
    larder_map_free(map);
    return 0;
}

const struct scenario scenarios[] = {
    {"read ranges", 0, read_ranges},
    {"read ranges of new files", 0, read_ranges_of_new_files},
    {"read an empty file", 0, read_empty_file},
    {"read head and tail", 0, read_ends},
    {"read a large file", 0, read_large_file},
    {"read into the caller's memory", 0, read_into_callers_memory},
    {"missing is not failed", 0, missing_is_not_failed},
    {"wrong paths are refused", 0, wrong_paths_are_refused},
    {"info tells what is there", 0, info_tells_what_is_there},
    {"odd names", 0, odd_names},
    {"ls lists one directory", NEED_LIST | NEED_REAL_DIRECTORIES, ls_lists_one_directory},
    {"find collects a tree", NEED_LIST, find_collects_a_tree},
    {"walk streams and prunes", NEED_LIST, walk_streams_and_prunes},
    {"many entries in one directory", NEED_LIST, many_entries_in_one_directory},
    {"cat many", 0, cat_many},
    {"cat many, told one by one", 0, cat_many_told},
    {"cat ranges", 0, cat_ranges},
    {"read blocks", 0, read_blocks},
    {"sizes", 0, sizes_are_told},
    {"du", NEED_LIST, du_adds_up},
    {"pipe replaces whole", NEED_WRITE, pipe_replaces_whole},
    {"create refuses what exists", NEED_WRITE | NEED_CREATE, create_refuses_what_exists},
    {"replace spares another version", NEED_WRITE, replace_spares_another_version},
    {"what is written is read at once", NEED_WRITE | NEED_LIST, written_is_read_at_once},
    {"pipe many", NEED_WRITE | NEED_CREATE, pipe_many},
    {"rm removes", NEED_WRITE | NEED_LIST, rm_removes},
    {"directories", NEED_WRITE | NEED_REAL_DIRECTORIES, directories},
    {"map reads", 0, map_reads},
    {"map lists", NEED_LIST, map_lists},
    {"map writes", NEED_WRITE | NEED_LIST, map_writes},
    {0},
};
