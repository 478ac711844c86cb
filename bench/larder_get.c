/* SPDX-License-Identifier: Apache-2.0 */
/* larder_get URL FILES COUNT thread|task: one file after the other, by larder_cat_file. */
#include <stdbool.h>

#include "larder.h"

#include "bench.h"

struct job {
    struct larder_fs *fs;
    char **names;
    size_t files, count;
    uint64_t bytes;
    double seconds;
};

static int run(void *arg)
{
    struct job *job = arg;
    double start = bench_now();
    for (size_t i = 0; i < job->count; i++) {
        struct larder_bytes bytes;
        int rc = larder_cat_file(job->fs, job->names[i % job->files], NULL, &bytes);
        if (rc < 0)
            return rc;
        job->bytes += bytes.size;
        larder_bytes_free(&bytes);
    }
    job->seconds = bench_now() - start;
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 5)
        bench_die("usage: larder_get URL FILES COUNT thread|task");
    struct job job = {.files = bench_count(argv[2]), .count = bench_count(argv[3])};
    bool task = bench_word(argv[4], (const char *const[]){"thread", "task", NULL});
    job.names = bench_names("", job.files);
    int rc = larder_open(NULL, argv[1], NULL, &job.fs, NULL);
    if (rc == 0)
        rc = task ? larder_sync(NULL, run, &job, 0) : run(&job);
    if (rc < 0)
        bench_die("%s", larder_error());
    bench_figure(job.seconds, job.count, job.bytes);
    larder_fs_free(job.fs);
    return 0;
}
