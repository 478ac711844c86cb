/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yard_files FILES SIZE DIR fsync|syncfs: the same files, each a temporary file and a rename, by 32 threads: each with an
 * fsync of its own, or with one syncfs at the end.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define THREADS 32

struct job {
    const char *dir;
    char **names;
    const void *data;
    size_t files, size;
    unsigned sync; /* 0: fsync each */
    atomic_size_t next;
};

static void write_one(struct job *job, const char *name)
{
    char path[4200], temporary[4210];
    snprintf(path, sizeof path, "%.4000s/%s", job->dir, name);
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    int fd = open(temporary, O_CREAT | O_WRONLY | O_EXCL, 0644);
    if (fd < 0 || write(fd, job->data, job->size) != (ssize_t)job->size ||
        (job->sync == 0 && fsync(fd) < 0) || close(fd) < 0 || rename(temporary, path) < 0)
        bench_die("%s cannot be written", path);
}

static void write_some(void *arg, size_t index)
{
    struct job *job = arg;
    for (size_t i; (i = job->next++) < job->files;)
        write_one(job, job->names[i]);
}

int main(int argc, char **argv)
{
    static const char *const words[] = {"fsync", "syncfs", NULL};
    struct bench_time time;
    if (argc != 5)
        bench_die("usage: yard_files FILES SIZE DIR fsync|syncfs");
    struct job job = {.dir = argv[3],
                      .files = bench_count(argv[1]),
                      .size = bench_count(argv[2]),
                      .sync = bench_word(argv[4], words)};
    job.names = bench_names("", job.files);
    job.data = bench_noise(job.size, 1);
    mkdir(job.dir, 0700);
    int dir = open(job.dir, O_RDONLY | O_DIRECTORY);
    double start = bench_now();
    bench_threads(THREADS, write_some, &job, &time);
    if (dir < 0 || (job.sync ? syncfs(dir) : fsync(dir)) < 0)
        bench_die("%s cannot be synced", job.dir);
    bench_figure(bench_now() - start, job.files, job.files * job.size);
    return 0;
}
