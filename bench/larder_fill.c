/* SPDX-License-Identifier: Apache-2.0 */
/*
 * larder_fill FILES SIZE CACHE_DIR [OPTION]: a mirror of files that lie in memory, until all of it is on the disk: what the cache
 * itself takes, with no network before it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "bench.h"

static void must(int rc)
{
    if (rc < 0)
        bench_die("%s", larder_error());
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 5)
        bench_die("usage: larder_fill FILES SIZE CACHE_DIR [OPTION]");
    size_t files = bench_count(argv[1]), size = bench_count(argv[2]);
    char **names = bench_names("", files), *option = bench_alloc(strlen(argv[3]) + sizeof "dir=");
    struct larder_mirror_stats stats = {.size = sizeof stats};
    struct larder_fs *memory, *fs;
    struct larder_cache *cache;
    strcpy(stpcpy(option, "dir="), argv[3]);
    must(larder_open(NULL, "memory://fill", NULL, &memory, NULL));
    must(larder_cache_open((const char *const[]){option, argv[4], NULL}, &cache));
    must(larder_cache_fs(cache, memory, NULL, &fs));
    void *data = bench_noise(size, 1);
    for (size_t i = 0; i < files; i++)
        must(larder_pipe_file(memory, names[i], data, size, LARDER_PARENTS));
    free(data);

    double start = bench_now();
    must(larder_mirror(fs, "", NULL, &stats));
    double seconds = bench_now() - start;
    if (stats.bytes_fetched != files * size)
        bench_die("only %llu bytes came", (unsigned long long)stats.bytes_fetched);
    bench_figure(seconds, files, stats.bytes_fetched);
    larder_fs_free(fs);
    larder_cache_free(cache);
    larder_fs_free(memory);
    free(option);
    return 0;
}
