/* SPDX-License-Identifier: Apache-2.0 */
/*
 * larder_opens ENTRIES CACHE_DIR: a cache of so many small files, made if it is missing, is opened, and asked for one of
 * them.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder.h"

#include "bench.h"

#define FILES_MAX 10000 /* in a directory */

struct job {
    char option[PATH_MAX], tree[PATH_MAX - 32];
    char **names;
};

static void must(int rc)
{
    if (rc < 0)
        bench_die("%s", larder_error());
}

static struct larder_fs *open_cached(const struct job *job, struct larder_cache **cache)
{
    struct larder_fs *below, *fs;
    must(larder_open(NULL, job->tree, NULL, &below, NULL));
    must(larder_cache_open((const char *const[]){job->option, "ttl=forever", NULL}, cache));
    must(larder_cache_fs(*cache, below, NULL, &fs));
    larder_fs_free(below);
    return fs;
}

/* Of one directory under many names: to a cache each is another. */
static void make_tree(const struct job *job, size_t files, size_t dirs)
{
    static char path[PATH_MAX];
    struct larder_fs *tree;
    must(larder_open(NULL, job->tree, NULL, &tree, NULL));
    for (size_t i = 0; i < files; i++) {
        snprintf(path, sizeof path, "00000/%s", job->names[i]);
        must(larder_pipe_file(tree, path, "value", 5, LARDER_PARENTS));
    }
    for (size_t i = 1; i < dirs; i++) {
        snprintf(path, sizeof path, "%s/%05zu", job->tree, i);
        if (symlink("00000", path) < 0 && errno != EEXIST)
            bench_die("symlink %s: %s", path, strerror(errno));
    }
    larder_fs_free(tree);
}

static void read_all(const struct job *job, struct larder_fs *fs, size_t files)
{
    struct larder_batch batch = {.size = sizeof batch};
    struct larder_item *items = bench_alloc(files * sizeof *items);
    for (size_t i = 0; i < files; i++)
        items[i] = (struct larder_item){.path = job->names[i]};
    must(larder_cat(fs, items, files, &batch));
    for (size_t i = 0; i < files; i++)
        larder_bytes_free(&items[i].bytes);
    free(items);
}

static void fill(const struct job *job, struct larder_fs *fs, struct larder_cache *cache, size_t entries)
{
    char dir[32];
    size_t files = entries < FILES_MAX ? entries : FILES_MAX, dirs = entries / files;
    make_tree(job, files, dirs);
    for (size_t i = 0; i < dirs; i++) {
        struct larder_fs *below;
        snprintf(dir, sizeof dir, "%05zu", i);
        must(larder_fs_at(fs, dir, NULL, &below));
        read_all(job, below, files);
        must(larder_cache_flush(cache)); /* what the writer has no room for is not kept */
        larder_fs_free(below);
    }
}

static void make_cache(const struct job *job, size_t entries)
{
    struct larder_cache_stats stats = {.size = sizeof stats};
    struct larder_cache *cache;
    struct larder_fs *fs = open_cached(job, &cache);
    fill(job, fs, cache, entries);
    must(larder_cache_stats(cache, &stats));
    if (stats.files < entries)
        bench_die("only %llu files were kept", (unsigned long long)stats.files);
    larder_fs_free(fs);
    larder_cache_free(cache);
}

/* In a process of its own, so that what is measured is the first that this one does. */
static void make_cache_elsewhere(const struct job *job, const char *dir, size_t entries)
{
    int status;
    if (access(dir, F_OK) == 0)
        return;
    pid_t child = fork();
    if (child == 0) {
        make_cache(job, entries);
        exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
        bench_die("%s: it was not made", dir);
}

int main(int argc, char **argv)
{
    static struct job job;
    if (argc != 3)
        bench_die("usage: larder_opens ENTRIES CACHE_DIR");
    job.names = bench_names("", FILES_MAX);
    snprintf(job.option, sizeof job.option, "dir=%s", argv[2]);
    snprintf(job.tree, sizeof job.tree, "%s.tree", argv[2]);
    make_cache_elsewhere(&job, argv[2], bench_count(argv[1]));

    struct larder_cache *cache;
    struct larder_bytes bytes;
    double start = bench_now();
    struct larder_fs *fs = open_cached(&job, &cache);
    must(larder_cat_file(fs, "00000/00000", NULL, &bytes));
    bench_figure(bench_now() - start, 1, bytes.size);
    larder_bytes_free(&bytes);
    larder_fs_free(fs);
    larder_cache_free(cache);
    return 0;
}
