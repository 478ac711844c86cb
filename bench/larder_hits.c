/* SPDX-License-Identifier: Apache-2.0 */
/*
 * larder_hits URL FILES COUNT CACHE_DIR get|batch THREADS: values of a map that are all in the cache, COUNT times by each
 * thread: one after the other, or all files in one call again and again. What is not yet in the cache is put there first.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "bench.h"

struct job {
    struct larder_map *map;
    char **names;
    uint32_t *order;
    size_t files, count;
    bool batch;
    atomic_uint_least64_t bytes;
};

static void get(struct job *job, size_t count)
{
    uint64_t size = 0;
    for (size_t i = 0; i < count; i++) {
        struct larder_bytes bytes;
        if (larder_map_get(job->map, job->names[job->order[i % job->files]], NULL, &bytes) < 0)
            bench_die("%s", larder_error());
        size += bytes.size;
        larder_bytes_free(&bytes);
    }
    job->bytes += size;
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
    struct larder_item *items = bench_alloc(job->files * sizeof *items);
    for (size_t done = 0, some; done < count; done += some) {
        some = count - done < job->files ? count - done : job->files;
        for (size_t i = 0; i < some; i++)
            items[i] = (struct larder_item){.path = job->names[job->order[i]]};
        if (larder_map_get_many(job->map, items, some, &batch) < 0)
            bench_die("%s", larder_error());
    }
    free(items);
}

static void run(void *arg, size_t index)
{
    struct job *job = arg;
    (job->batch ? get_many : get)(job, job->count);
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
    if (argc != 7)
        bench_die("usage: larder_hits URL FILES COUNT CACHE_DIR get|batch THREADS");
    size_t threads = bench_count(argv[6]);
    struct job job = {.files = bench_count(argv[2]), .count = bench_count(argv[3])};
    job.batch = bench_word(argv[5], (const char *const[]){"get", "batch", NULL});
    struct larder_fs *remote, *fs;
    struct larder_cache *cache;
    const char *dir = argv[4];
    char *option = bench_alloc(strlen(dir) + sizeof "dir=");
    strcpy(stpcpy(option, "dir="), dir);
    job.names = bench_names("", job.files);
    job.order = bench_shuffle(job.files);
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
    struct bench_time time;
    bench_threads(threads, run, &job, &time);
    if (hits(cache) - before < threads * job.count)
        bench_die("not all was in the cache");
    bench_figure_of_threads(&time, threads * job.count, job.bytes);
    larder_map_free(job.map);
    larder_fs_free(fs);
    larder_fs_free(remote);
    larder_cache_free(cache);
    free(option);
    return 0;
}
