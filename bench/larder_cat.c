/* SPDX-License-Identifier: Apache-2.0 */
/*
 * larder_cat URL COUNT AT_ONCE keep|drop|stream [OPTION]...: the files of a directory, in one call of larder_cat; or
 * each as a stream by larder_cat_to, from a task of its own.
 */
#include <stdlib.h>

#include "larder.h"

#include "bench.h"

enum sink { DROP, KEEP, STREAM };

struct job {
    struct larder_fs *fs;
    struct larder_item *items;
    size_t count;
    struct larder_batch batch;
    uint64_t bytes;
};

static int drop(void *arg, struct larder_item *item)
{
    struct job *job = arg;
    job->bytes += item->bytes.size;
    larder_bytes_free(&item->bytes);
    return 0;
}

struct stream {
    struct larder_fs *fs;
    const char *path;
    struct larder_task *task;
    uint64_t bytes;
};

static int drop_piece(void *arg, const void *data, size_t size)
{
    struct stream *stream = arg;
    stream->bytes += size;
    return 0;
}

static int run_stream(void *arg)
{
    struct stream *stream = arg;
    int64_t rc = larder_cat_to(stream->fs, stream->path, NULL, drop_piece, stream);
    return rc < 0 ? (int)rc : 0;
}

static int stream_all(struct job *job)
{
    int rc = 0;
    struct stream *streams = bench_alloc(job->count * sizeof *streams);
    for (size_t i = 0; rc == 0 && i < job->count; i++) {
        streams[i] = (struct stream){.fs = job->fs, .path = job->items[i].path};
        rc = larder_spawn(NULL, run_stream, &streams[i], NULL, NULL, &streams[i].task);
    }
    for (size_t i = 0; rc == 0 && i < job->count; i++) {
        rc = larder_join(streams[i].task);
        job->bytes += streams[i].bytes;
    }
    free(streams);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc < 5)
        bench_die("usage: larder_cat URL COUNT AT_ONCE keep|drop|stream [OPTION]...");
    struct job job = {.count = bench_count(argv[2]), .batch = {.size = sizeof job.batch, .arg = &job}};
    enum sink sink = bench_word(argv[4], (const char *const[]){"drop", "keep", "stream", NULL});
    job.batch.jobs_max = (unsigned)bench_count(argv[3]);
    job.batch.completed = sink == DROP ? drop : NULL;
    char **names = bench_names("", job.count);
    job.items = calloc(job.count, sizeof *job.items);
    for (size_t i = 0; job.items && i < job.count; i++)
        job.items[i].path = names[i];
    if (!job.items || larder_open(NULL, argv[1], (const char *const *)argv + 5, &job.fs, NULL) < 0)
        bench_die("%s", larder_error());

    double start = bench_now();
    int rc = sink == STREAM ? stream_all(&job) : larder_cat(job.fs, job.items, job.count, &job.batch);
    double seconds = bench_now() - start;
    if (rc < 0)
        bench_die("%s", larder_error());

    for (size_t i = 0; i < job.count; i++) {
        job.bytes += job.items[i].bytes.size;
        larder_bytes_free(&job.items[i].bytes);
    }
    bench_figure(seconds, job.count, job.bytes);
    larder_fs_free(job.fs);
    free(job.items);
    return 0;
}
