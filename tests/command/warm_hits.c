/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Warm reads between two marks, for warm_hits.py to look at with strace. Counts the locks that the calling thread
 * takes meanwhile, and fails if there is one.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "larder.h"

#define COUNT 100

static _Thread_local bool counting;
static int locks;

/* In place of libc's, for every library of this process. */
int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    static int (*real)(pthread_mutex_t *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_mutex_lock");
    locks += counting;
    return real(mutex);
}

static void check(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "%s: %s\n", what, larder_error());
    exit(1);
}

/* A call that does nothing, and that strace shows. */
static void mark(const char *text)
{
    ssize_t done = write(-1, text, strlen(text));
    (void)done;
}

static void read_all(struct larder_fs *fs, struct larder_item *items, char *buffer)
{
    struct larder_bytes bytes;
    for (int i = 0; i < COUNT; i++) {
        check(larder_cat_file(fs, items[i].path, NULL, &bytes) == 0 && bytes.size == 4096, "cat_file");
        larder_bytes_free(&bytes);
        check(larder_cat_into(fs, items[i].path, NULL, buffer, 4096) == 4096, "cat_into");
        check(larder_isfile(fs, items[i].path) == 1, "isfile");
    }
    check(larder_cat(fs, items, COUNT, NULL) == 0, "cat");
    for (int i = 0; i < COUNT; i++)
        larder_bytes_free(&items[i].bytes);
}

int main(int argc, char **argv)
{
    static char paths[COUNT][8], buffer[4096];
    static struct larder_item items[COUNT];
    char url[512], dir[512], tree[512];
    const char *options[] = {dir, "cache.ttl=1h", NULL}, *cache_options[] = {dir + strlen("cache."), NULL};
    struct larder_fs *plain, *fs;
    struct larder_cache *cache;
    check(argc == 2, "usage: warm_hits DIRECTORY");
    snprintf(tree, sizeof tree, "%s/tree", argv[1]);
    snprintf(url, sizeof url, "cache::%s/tree", argv[1]);
    snprintf(dir, sizeof dir, "cache.dir=%s/cache", argv[1]);
    check(larder_open(NULL, tree, NULL, &plain, NULL) == 0, "open");
    check(larder_open(NULL, url, options, &fs, NULL) == 0, "open");
    check(larder_cache_open(cache_options, &cache) == 0, "cache_open");
    for (int i = 0; i < COUNT; i++) {
        snprintf(paths[i], sizeof paths[i], "k%d", i);
        items[i].path = paths[i];
        check(larder_pipe_file(plain, paths[i], buffer, sizeof buffer, LARDER_PARENTS) == 0, "pipe_file");
    }
    read_all(fs, items, buffer);
    check(larder_cache_flush(cache) == 0, "flush");
    read_all(fs, items, buffer);

    mark("BEGIN");
    counting = true;
    read_all(fs, items, buffer);
    counting = false;
    mark("END");

    larder_fs_free(fs);
    larder_fs_free(plain);
    larder_cache_free(cache);
    if (locks)
        fprintf(stderr, "%d locks were taken by %d warm reads\n", locks, 4 * COUNT);
    return locks != 0;
}
