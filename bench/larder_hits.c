/* SPDX-License-Identifier: Apache-2.0 */
/*
 * larder_hits URL FILES COUNT CACHE_DIR get|batch: values of a map that are all in the cache, COUNT times: one after the
 * other, or all files in one call again and again. What is not yet in the cache is put there first.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "bench.h"

struct job {
    struct larder_map *map;
    char **names;
    uint32_t *order;
    struct larder_item *items;
    size_t files;
    uint64_t bytes;
};

static void get(struct job *job, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct larder_bytes bytes;
        if (larder_map_get(job->map, job->names[job->order[i % job->files]], NULL, &bytes) < 0)
            bench_die("%s", larder_error());
        job->bytes += bytes.size;
        larder_bytes_free(&bytes);
    }
}

static int drop(void *arg, struct larder_item *item)
{
    struct job *job = arg;
    job->bytes += item->bytes.size;
    larder_bytes_free(&item->bytes);
    return 0;
}

static void get_many(struct job *job, size_t count)
{
    struct larder_batch batch = {.size = sizeof batch, .completed = drop, .arg = job};
    for (size_t done = 0, some; done < count; done += some) {
        some = count - done < job->files ? count - done : job->files;
        for (size_t i = 0; i < some; i++)
            job->items[i] = (struct larder_item){.path = job->names[job->order[i]]};
        if (larder_map_get_many(job->map, job->items, some, &batch) < 0)
            bench_die("%s", larder_error());
    }
}

static uint64_t hits(struct larder_cache *cache)
{
    struct larder_cache_stats stats = {.size = sizeof stats};
    if (larder_cache_stats(cache, &stats) < 0)
        bench_die("%s", larder_error());
    return stats.hits;
}

int main(int argc, char **argv)
{
    if (argc != 6)
        bench_die("usage: larder_hits URL FILES COUNT CACHE_DIR get|batch");
    size_t count = bench_count(argv[3]);
    bool batch = bench_word(argv[5], (const char *const[]){"get", "batch", NULL});
    struct job job = {.files = bench_count(argv[2])};
    struct larder_fs *remote, *fs;
    struct larder_cache *cache;
    const char *dir = argv[4];
    char *option = bench_alloc(strlen(dir) + sizeof "dir=");
    strcpy(stpcpy(option, "dir="), dir);
    job.names = bench_names("", job.files);
    job.order = bench_shuffle(job.files);
    job.items = bench_alloc(job.files * sizeof *job.items);
    if (larder_cache_open((const char *const[]){option, NULL}, &cache) < 0 ||
        larder_open(NULL, argv[1], NULL, &remote, NULL) < 0 ||
        larder_cache_fs(cache, remote, (const char *const[]){"ttl=1d", NULL}, &fs) < 0 ||
        larder_map_new(fs, NULL, 0, &job.map) < 0)
        bench_die("%s", larder_error());
    get_many(&job, job.files);
    if (larder_cache_flush(cache) < 0)
        bench_die("%s", larder_error());
    get(&job, job.files);

    uint64_t before = hits(cache);
    job.bytes = 0;
    double start = bench_now();
    (batch ? get_many : get)(&job, count);
    double seconds = bench_now() - start;
    if (hits(cache) - before < count)
        bench_die("not all was in the cache");
    bench_figure(seconds, count, job.bytes);
    larder_map_free(job.map);
    larder_fs_free(fs);
    larder_fs_free(remote);
    larder_cache_free(cache);
    free(option);
    return 0;
}
