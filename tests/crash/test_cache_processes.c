/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several processes on one cache directory, killed at any moment: what they read is always right.
 *
 * The place is the same for all: the versions of its files are in shared memory. Before each read a process
 * takes over the version that is current; with ttl=0 the cache must then give exactly that one.
 */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder/cache.h"

#include "base/seams.h"
#include "cache/cache.h"
#include "fake_place.h"
#include "fs/fs.h"
#include "tmpdir.h"

#define FILES     24
#define PROCESSES 4
#define KILLS     40

static char *dir;
static struct shared {
    atomic_uint version[FILES];
    atomic_ulong reads;
} *shared;

static size_t size_of(unsigned index)
{
    return index % 3 == 0 ? index * 700 : index * 30011;
}

static struct larder_fs *open_cache(const char *ttl)
{
    char option[512];
    const char *options[] = {option, NULL}, *per_handle[] = {ttl, NULL};
    struct larder_cache *cache;
    struct larder_fs *plain, *fs;
    snprintf(option, sizeof option, "dir=%s/cache", dir);
    if (larder_cache_open(options, &cache) < 0 || fs_open(NULL, "fake://", NULL, &plain, NULL) < 0 ||
        larder_cache_fs(cache, plain, per_handle, &fs) < 0)
        _exit(2);
    larder_fs_free(plain);
    larder_cache_free(cache);
    return fs;
}

static unsigned take_version(unsigned index, const char *path)
{
    unsigned version = shared->version[index];
    fake_put(path, size_of(index), version * FILES + index)->version = version;
    return version;
}

/* One step of a process: a read, whole or in part; now and then the file changes first. */
static void step(struct larder_fs *fs)
{
    unsigned index = (unsigned)(random_u64() % FILES);
    char path[32];
    struct larder_bytes bytes;
    int64_t size = (int64_t)size_of(index), start = 0, count = size;
    snprintf(path, sizeof path, "d%u/f%u", index % 5, index);
    if (random_u64() % 20 == 0)
        shared->version[index]++;
    unsigned version = take_version(index, path);
    struct larder_range range = {(int64_t)(random_u64() % (uint64_t)(size + 1)), LARDER_TO_END};
    range.end = range.start + (int64_t)(random_u64() % 100000);
    bool part = random_u64() % 2;
    int rc = larder_cat_file(fs, path, part ? &range : NULL, &bytes);
    if (part)
        range_resolve(&range, size, &start, &count);
    if (rc < 0 || (int64_t)bytes.size != count ||
        !fake_is(bytes.data, bytes.size, version * FILES + index, (size_t)start)) {
        fprintf(stderr, "%s version %u: %d %s\n", path, version, rc, larder_error());
        _exit(3);
    }
    larder_bytes_free(&bytes);
    shared->reads++;
}

static pid_t spawn(void)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    struct larder_fs *fs = open_cache("ttl=0");
    while (true)
        step(fs);
}

static void kill_one(pid_t *child)
{
    int status;
    kill(*child, SIGKILL);
    assert_int_equal(waitpid(*child, &status, 0), *child);
    assert_true(WIFSIGNALED(status)); /* else it found something wrong and ended by itself */
    *child = 0;
}

static void killed_processes_leave_only_what_is_right(void **state)
{
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++)
        children[i] = spawn();
    for (int i = 0; i < KILLS; i++) {
        usleep((useconds_t)(random() % 120000));
        kill_one(&children[i % PROCESSES]);
        children[i % PROCESSES] = spawn();
    }
    for (int i = 0; i < PROCESSES; i++)
        kill_one(&children[i]);
    assert_true(shared->reads > 100);
}

/* Whatever the killed ones left, the next process reads, fills and uses the store. */
static void the_next_process_goes_on(void **state)
{
    pid_t child = fork();
    int status;
    if (child == 0) {
        struct larder_fs *fs = open_cache("ttl=0");
        for (int i = 0; i < 2000; i++)
            step(fs);
        larder_fs_free(fs);
        exit(0); /* with everything that is queued */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    child = fork();
    if (child == 0) {
        struct larder_fs *fs = open_cache("ttl=0");
        char path[32];
        for (unsigned i = 0; i < FILES; i++) {
            struct larder_bytes bytes;
            snprintf(path, sizeof path, "d%u/f%u", i % 5, i);
            take_version(i, path);
            if (larder_cat_file(fs, path, NULL, &bytes) < 0)
                _exit(4);
            larder_bytes_free(&bytes);
        }
        unsigned long long before = fake.bytes;
        for (unsigned i = 0; i < FILES * 20; i++)
            step(fs);
        larder_fs_free(fs);
        exit(fake.unchanged > 0 && fake.bytes >= before ? 0 : 5);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    /* No death made the store look damaged. */
    char *aside = tmpdir_path(dir, "cache/cache-1.mdb.damaged");
    assert_int_equal(access(aside, F_OK), -1);
    free(aside);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_processes_leave_only_what_is_right),
        cmocka_unit_test(the_next_process_goes_on),
    };
    backend_register(&fake_backend);
    backend_register(&cache_backend);
    dir = tmpdir_make();
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    for (unsigned i = 0; i < FILES; i++)
        shared->version[i] = 1;
    int failed = cmocka_run_group_tests_name("cache_processes", tests, NULL, NULL);
    tmpdir_remove(dir);
    return failed;
}
