/* SPDX-License-Identifier: Apache-2.0 */
/* larder_peak URL NAME LOCAL_PATH: one file to the disk. "bytes" is by how much the process's memory rose meanwhile. */
#include "larder.h"

#include "bench.h"

int main(int argc, char **argv)
{
    if (argc != 4)
        bench_die("usage: larder_peak URL NAME LOCAL_PATH");
    struct larder_fs *fs;
    if (larder_open(NULL, argv[1], NULL, &fs, NULL) < 0)
        bench_die("%s", larder_error());
    uint64_t before = bench_peak();
    double start = bench_now();
    if (larder_get_file(fs, argv[2], argv[3], 0, NULL, NULL) < 0)
        bench_die("%s", larder_error());
    bench_figure(bench_now() - start, 1, bench_peak() - before);
    larder_fs_free(fs);
    return 0;
}
