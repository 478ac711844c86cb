/* SPDX-License-Identifier: Apache-2.0 */
/*
 * larder_ranges URL NAME COUNT SIZE GAP FILE_SIZE [OPTION]...: ranges of one file, at random, by one larder_cat_ranges; a
 * GAP of 0 asks for each by itself. "bytes" is how many requests they should make: the union of the ranges, where
 * neighbours at most GAP apart are one, in blocks of up to 16 MiB.
 */
#include <stdlib.h>

#include "larder.h"

#include "bench.h"

#define BLOCK_MAX ((int64_t)16 << 20)

static int by_start(const void *a, const void *b)
{
    const struct larder_range *left = a, *right = b;
    return (left->start > right->start) - (left->start < right->start);
}

/* Of ranges of one size. */
static uint64_t requests_implied(const struct larder_range *ranges, size_t count, int64_t gap_max)
{
    struct larder_range *sorted = bench_alloc(count * sizeof *sorted);
    uint64_t requests = 0;
    int64_t start = 0, end = -1;
    for (size_t i = 0; i < count; i++)
        sorted[i] = ranges[i];
    qsort(sorted, count, sizeof *sorted, by_start);
    for (size_t i = 0; i < count; i++) {
        bool joins = end >= 0 && sorted[i].start - end <= gap_max && sorted[i].end - start <= BLOCK_MAX;
        start = joins ? start : sorted[i].start;
        end = sorted[i].end;
        requests += !joins;
    }
    free(sorted);
    return requests;
}

int main(int argc, char **argv)
{
    if (argc < 7)
        bench_die("usage: larder_ranges URL NAME COUNT SIZE GAP FILE_SIZE [OPTION]...");
    size_t count = bench_count(argv[3]);
    int64_t size = (int64_t)bench_count(argv[4]), gap = strtoll(argv[5], NULL, 10);
    struct larder_batch batch = {.size = sizeof batch, .gap_max = gap > 0 ? gap : -1};
    struct larder_range *ranges = bench_alloc(count * sizeof *ranges);
    struct larder_item *items = bench_alloc(count * sizeof *items);
    struct larder_fs *fs;
    uint64_t room = bench_count(argv[6]) - (uint64_t)size, state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        int64_t start = (int64_t)((state >> 20) % room);
        ranges[i] = (struct larder_range){start, start + size};
        items[i] = (struct larder_item){.path = argv[2], .range = &ranges[i]};
    }
    if (larder_open(NULL, argv[1], (const char *const *)argv + 7, &fs, NULL) < 0)
        bench_die("%s", larder_error());
    double start = bench_now();
    if (larder_cat_ranges(fs, items, count, &batch) < 0)
        bench_die("%s", larder_error());
    double seconds = bench_now() - start;
    for (size_t i = 0; i < count; i++) {
        if (items[i].bytes.size != (size_t)size)
            bench_die("a range of %zu bytes", items[i].bytes.size);
        larder_bytes_free(&items[i].bytes);
    }
    bench_figure(seconds, count, gap > 0 ? requests_implied(ranges, count, gap) : count);
    larder_fs_free(fs);
    free(ranges);
    free(items);
    return 0;
}
