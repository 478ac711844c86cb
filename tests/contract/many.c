/* SPDX-License-Identifier: Apache-2.0 */
/* Many files in one call. */
#include "scenario.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static int sizes_are_told(struct scenario_run *run)
{
    struct larder_item items[] = {{.path = "f1"},     {.path = "d"},  {.path = "none"},
                                  {.path = "d/e/h1"}, {.path = "d/"}, {.path = "f1/"}};
    struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_RETURN};
    int64_t size = 7, sizes[6];
    REQUIRE_IS(0, put_tree(run));
    REQUIRE_IS(0, larder_size(run->fs, "d/e/h1", &size));
    REQUIRE(size == 6);
    REQUIRE_IS(-ENOENT, larder_size(run->fs, "none", &size));
    REQUIRE(size == 6 && strstr(larder_error(), "none"));
    REQUIRE_IS(1, larder_sizes(run->fs, items, 6, sizes, &batch));
    REQUIRE(sizes[0] == 2 && sizes[1] == 0 && sizes[2] == LARDER_SIZE_UNKNOWN && sizes[3] == 6);
    REQUIRE(sizes[4] == 0 && sizes[5] == 2);
    REQUIRE(items[2].status == -ENOENT && items[3].status == 0);
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

const struct scenario many_scenarios[] = {
    {"cat many", 0, cat_many},
    {"cat many, told one by one", 0, cat_many_told},
    {"cat ranges", 0, cat_ranges},
    {"sizes", 0, sizes_are_told},
    {"pipe many", NEED_WRITE | NEED_CREATE, pipe_many},
    {0},
};
