/* SPDX-License-Identifier: Apache-2.0 */
/* larder_walk TREE names|details: every file below a directory. "bytes" is by how much the process's memory rose. */
#include "larder.h"

#include "bench.h"

int main(int argc, char **argv)
{
    if (argc != 3)
        bench_die("usage: larder_walk TREE names|details");
    struct larder_find_options options = {.size = sizeof options};
    options.names_only = bench_word(argv[2], (const char *const[]){"details", "names", NULL});
    const struct larder_info *entry;
    struct larder_walk *walk;
    struct larder_fs *fs;
    const char *dir;
    uint64_t count = 0;
    int rc;
    if (larder_open(NULL, argv[1], NULL, &fs, NULL) < 0)
        bench_die("%s", larder_error());
    uint64_t before = bench_peak();
    double start = bench_now();
    if (larder_walk_open(fs, "", &options, &walk) < 0)
        bench_die("%s", larder_error());
    while ((rc = larder_walk_next(walk, &dir, &entry)) > 0)
        count++;
    if (rc < 0)
        bench_die("%s", larder_error());
    bench_figure(bench_now() - start, count, bench_peak() - before);
    larder_walk_free(walk);
    larder_fs_free(fs);
    return 0;
}
