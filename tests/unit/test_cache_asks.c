/* SPDX-License-Identifier: Apache-2.0 */
/* The caching view over a place that counts what it is asked: who asks, and what is not kept. */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder/cache.h"
#include "larder/copy.h"

#include "backends/backends.h"
#include "cache/cache.h"
#include "cache/store.h"
#include "cached_place.h"
#include "child.h"
#include "fs/fs.h"
#include "tmpdir.h"

#define MIB (1 << 20)

/* ---- one request ---- */

struct reader_arg {
    pthread_t thread;
    struct larder_fs *fs;
    const char *path; /* NULL: "f" */
    size_t size;
    int status;
};

static void *reader_thread(void *arg)
{
    struct reader_arg *reader = arg;
    reader->status = read_all(reader->fs, reader->path ? reader->path : "f", reader->size, 8);
    return NULL;
}

static void wait_until(atomic_uint *count, unsigned value)
{
    while (*count < value)
        usleep(1000);
}

static void many_readers_ask_once(void **state)
{
    static const size_t sizes[] = {4096, 200000, 9 * MIB};
    struct reader_arg readers[16];
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        fake_put("f", sizes[s], 8);
        assert_ok(larder_cache_clear(cache, NULL, ""));
        fake.reads = 0;
        fake.hold = true;
        for (size_t i = 0; i < 16; i++) {
            readers[i] = (struct reader_arg){.fs = fs, .size = sizes[s]};
            assert_int_equal(pthread_create(&readers[i].thread, NULL, reader_thread, &readers[i]), 0);
        }
        wait_until(&fake.reads, 1);
        usleep(20000); /* so that the others wait, as a rule; the count is right in any case */
        fake.hold = false;
        for (size_t i = 0; i < 16; i++) {
            pthread_join(readers[i].thread, NULL);
            assert_ok(readers[i].status);
        }
        assert_int_equal(fake.reads, 1);
    }
}

/* Open files of this process whose name ends so. */
static unsigned count_open(const char *end)
{
    DIR *fds = opendir("/proc/self/fd");
    struct dirent *entry;
    unsigned count = 0;
    char name[512];
    assert_non_null(fds);
    while ((entry = readdir(fds))) {
        ssize_t size = readlinkat(dirfd(fds), entry->d_name, name, sizeof name);
        size_t length = strlen(end);
        count += size > (ssize_t)length && memcmp(name + size - length, end, length) == 0;
    }
    closedir(fds);
    return count;
}

static void many_locks_are_one_open_file(void **state)
{
    struct reader_arg readers[16];
    char paths[16][8];
    fake.reads = 0;
    fake.hold = true;
    for (size_t i = 0; i < 16; i++) {
        snprintf(paths[i], sizeof paths[i], "f%zu", i);
        fake_put(paths[i], 4096, 8);
        readers[i] = (struct reader_arg){.fs = fs, .path = paths[i], .size = 4096};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, reader_thread, &readers[i]), 0);
    }
    wait_until(&fake.reads, 16);
    assert_int_equal(count_open("cache-1.flights"), 1);
    fake.hold = false;
    for (size_t i = 0; i < 16; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_ok(readers[i].status);
    }
}

static int read_task(void *arg)
{
    struct reader_arg *reader = arg;
    return reader->status = read_all(reader->fs, "f", reader->size, 8);
}

static int read_range_task(void *arg)
{
    struct reader_arg *reader = arg;
    return reader->status = read_part(reader->fs, "f", 5, (int64_t)reader->size - 5, reader->size, 8);
}

static void a_large_range_is_fetched_in_several_places_at_once(void **state)
{
    struct reader_arg arg = {.fs = fs, .size = 60 * MIB};
    struct larder_task *task;
    struct larder_info info;
    fake_put("f", arg.size, 8);
    assert_ok(larder_info(fs, "f", &info)); /* so that the version is known */
    larder_info_free(&info);
    flush_cache();
    fake.hold = true;
    assert_ok(larder_spawn(NULL, read_range_task, &arg, NULL, NULL, &task));
    wait_until(&fake.reads, 4);
    fake.hold = false;
    assert_ok(larder_join(task));
    assert_in_range(fake.bytes, arg.size - 10, arg.size);
    flush_cache();
    unsigned before = fake.reads;
    assert_ok(read_part(fs, "f", 5, (int64_t)arg.size - 5, arg.size, 8));
    assert_int_equal(fake.reads, before);
}

static void a_cancelled_large_range_leaves_nothing_running(void **state)
{
    struct reader_arg arg = {.fs = fs, .size = 60 * MIB};
    struct larder_task *task;
    struct larder_info info;
    fake_put("f", arg.size, 8);
    assert_ok(larder_info(fs, "f", &info));
    larder_info_free(&info);
    flush_cache();
    fake.hold = true;
    assert_ok(larder_spawn(NULL, read_range_task, &arg, NULL, NULL, &task));
    wait_until(&fake.reads, 4);
    larder_cancel(task);
    assert_int_equal(larder_join(task), -ECANCELED);
    fake.hold = false;
    assert_ok(read_part(fs, "f", 5, (int64_t)arg.size - 5, arg.size, 8));
}

static void a_cancelled_reader_hands_over(void **state)
{
    struct reader_arg args[4];
    struct larder_task *tasks[4];
    fake_put("f", 100000, 8);
    fake.hold = true;
    for (int i = 0; i < 4; i++) {
        args[i] = (struct reader_arg){.fs = fs, .size = 100000};
        assert_ok(larder_spawn(NULL, read_task, &args[i], NULL, NULL, &tasks[i]));
        wait_until(&fake.reads, 1);
    }
    larder_cancel(tasks[0]);
    assert_int_equal(larder_join(tasks[0]), -ECANCELED);
    wait_until(&fake.reads, 2);
    fake.hold = false;
    for (int i = 1; i < 4; i++)
        assert_ok(larder_join(tasks[i]));
    assert_int_equal(fake.reads, 2);
}

static void a_failure_is_shared_and_not_remembered(void **state)
{
    struct reader_arg args[4];
    struct larder_task *tasks[4];
    fake_put("f", 100, 8);
    fake.hold = true;
    fake.fail = -EIO;
    for (int i = 0; i < 4; i++) {
        args[i] = (struct reader_arg){.fs = fs, .size = 100};
        assert_ok(larder_spawn(NULL, read_task, &args[i], NULL, NULL, &tasks[i]));
        wait_until(&fake.reads, 1);
    }
    usleep(20000);
    fake.hold = false;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(larder_join(tasks[i]), -EIO);
        assert_non_null(strstr(larder_error(), "refused"));
    }
    fake.fail = 0;
    assert_ok(read_all(fs, "f", 100, 8));
}

/* ---- only what is right ---- */

/* The directory that is missing is the reader's. */
static void what_the_reader_cannot_take_says_nothing_of_the_place(void **state)
{
    char target[256];
    fake_put("f", 3 * MIB, 7);
    snprintf(target, sizeof target, "%s/missing/f", dir);
    struct larder_fs *offline = open_with("mode=offline");
    for (int again = 0; again < 2; again++) {
        assert_status(-ENOENT, larder_get_file(fs, "f", target, 0, NULL, NULL));
        assert_non_null(strstr(larder_error(), "missing"));
        flush_cache();
        assert_status(-ENONET, read_all(offline, "f", 3 * MIB, 7));
        assert_int_equal(larder_exists(fs, "f"), 1);
        assert_ok(larder_cache_clear(cache, NULL, ""));
    }
    larder_fs_free(offline);
    assert_ok(read_all(fs, "f", 3 * MIB, 7));
}

static void a_cut_transfer_leaves_nothing_in_the_cache(void **state)
{
    static const size_t sizes[] = {100000, 12 * MIB};
    struct larder_fs *offline = open_with("mode=offline");
    for (size_t i = 0; i < 2; i++) {
        fake_put("f", sizes[i], 2);
        fake.cut_at = (long long)sizes[i] - 10000;
        assert_int_equal(read_all(fs, "f", sizes[i], 2), -EPROTO);
        assert_int_equal(read_part(fs, "f", (int64_t)sizes[i] - 20000, LARDER_TO_END, sizes[i], 2), -EPROTO);
        flush_cache();
        assert_int_equal(read_part(offline, "f", 0, 10, sizes[i], 2), -ENONET);
        fake.cut_at = -1;
        assert_ok(read_all(fs, "f", sizes[i], 2));
        flush_cache();
        assert_ok(read_all(offline, "f", sizes[i], 2));
        assert_ok(larder_cache_clear(cache, fs, ""));
    }
    larder_fs_free(offline);
}

static void a_weak_version_is_kept_only_whole(void **state)
{
    size_t size = 300000;
    fake_put("f", size, 2)->flags = ANSWER_WEAK;
    struct larder_fs *offline = open_with("mode=offline");
    assert_ok(read_part(fs, "f", 0, 100, size, 2));
    assert_ok(read_part(fs, "f", 100000, 100100, size, 2));
    flush_cache();
    assert_int_equal(read_part(offline, "f", 0, 100, size, 2), -ENONET);
    assert_ok(read_all(fs, "f", size, 2));
    flush_cache();
    unsigned before = fake_asked();
    assert_ok(read_part(fs, "f", 100000, 100100, size, 2));
    assert_ok(read_all(fs, "f", size, 2));
    assert_int_equal(fake_asked(), before);
    clock_ahead_ms = 100000;
    assert_ok(read_all(fs, "f", size, 2)); /* weak is enough to ask whether it is the same */
    assert_int_equal(fake_asked(), before + 1);
    assert_int_equal(fake.unchanged, 1);
    larder_fs_free(offline);
}

static void what_must_not_be_stored_is_not(void **state)
{
    fake_put("f", 1000, 2)->flags = ANSWER_NO_STORE;
    struct larder_fs *offline = open_with("mode=offline");
    assert_ok(read_all(fs, "f", 1000, 2));
    assert_ok(read_part(fs, "f", 10, 20, 1000, 2));
    assert_int_equal(larder_exists(fs, "f"), 1);
    flush_cache();
    assert_int_equal(read_all(offline, "f", 1000, 2), -ENONET);
    larder_fs_free(offline);
}

static void two_versions_never_mix(void **state)
{
    size_t size = 20 * MIB;
    fake_put("f", size, 2);
    fake.change_after = 1; /* every request but the first finds another version */
    assert_int_equal(read_part(fs, "f", 5, 19 * MIB, size, 2), -ESTALE);
    fake.change_after = 0;
    assert_ok(read_part(fs, "f", 5, 19 * MIB, size, 2));
    flush_cache();
    fake_put("f", size, 3);
    clock_ahead_ms = 100000;
    assert_ok(read_part(fs, "f", 5, 19 * MIB, size, 3));
    flush_cache();
    /* Some of the old in the store, which is still fresh; the rest is only there in the new version. */
    fake_put("g", 400000, 4);
    assert_ok(read_part(fs, "g", 0, 60000, 400000, 4));
    flush_cache();
    fake_put("g", 400000, 5);
    assert_ok(read_part(fs, "g", 0, 300000, 400000, 5));
    flush_cache();
    assert_ok(read_all(fs, "g", 400000, 5));
}

static void a_read_begun_before_a_write_does_not_revive_the_old(void **state)
{
    static const bool stored[] = {false, true}, cleared[] = {false, true};
    for (int i = 0; i < 4; i++) {
        struct reader_arg arg = {.fs = fs, .size = 1000};
        struct larder_task *task;
        struct larder_bytes bytes;
        fake_put("f", 1000, 8);
        assert_ok(larder_cache_clear(cache, fs, ""));
        if (stored[i / 2]) {
            assert_ok(read_all(fs, "f", 1000, 8));
            flush_cache();
            clock_ahead_ms += 100000;
            fake_put("f", 1000, 8); /* another version: the bytes come again */
        }
        fake.reads = 0;
        fake.hold = true;
        assert_ok(larder_spawn(NULL, read_task, &arg, NULL, NULL, &task));
        wait_until(&fake.reads, 1);
        if (cleared[i % 2]) {
            assert_ok(larder_cache_clear(cache, fs, ""));
        } else {
            /* As another would write it, so that the place still sends the old body to the reader. */
            const struct backend *backend = fs->instance->backend;
            backend->changed(fs->instance, "f", false, NULL);
        }
        fake.hold = false;
        assert_ok(larder_join(task));
        fake_put("f", 1000, 9);
        flush_cache();
        assert_ok(larder_cat_file(fs, "f", NULL, &bytes));
        assert_true(fake_is(bytes.data, bytes.size, 9, 0));
        larder_bytes_free(&bytes);
    }
}

static void damage_is_fetched_again(void **state)
{
    char path[512];
    fake_put("small", 3000, 2);
    fake_put("large", 300000, 3);
    assert_ok(read_all(fs, "small", 3000, 2));
    assert_ok(read_all(fs, "large", 300000, 3));
    flush_cache();
    snprintf(path, sizeof path, "%s/cache/cache-1.mdb", dir);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    char *bytes = malloc((size_t)size);
    rewind(file);
    assert_int_equal(fread(bytes, 1, (size_t)size, file), size);
    unsigned damaged = 0;
    for (long at = 0; at + 8 < size; at++) { /* in the middle of what we know to be content */
        for (unsigned seed = 2; seed <= 3; seed++) {
            size_t middle = seed == 2 ? 1500 : 150000;
            if (bytes[at] == 0 || !fake_is(bytes + at, 8, seed, middle))
                continue;
            fseek(file, at, SEEK_SET);
            fputc(bytes[at] ^ 1, file);
            damaged++;
        }
    }
    fclose(file);
    free(bytes);
    assert_true(damaged >= 2);
    unsigned before = fake.reads;
    assert_ok(read_all(fs, "small", 3000, 2));
    assert_ok(read_all(fs, "large", 300000, 3));
    assert_true(fake.reads >= before + 2);
    flush_cache();
    before = fake.reads;
    assert_ok(read_all(fs, "small", 3000, 2));
    assert_ok(read_all(fs, "large", 300000, 3));
    assert_int_equal(fake.reads, before);
}

/* ---- odd circumstances ---- */

static void a_directory_that_cannot_be_used_costs_only_the_cache(void **state)
{
    char option[256];
    const char *options[] = {option, "ttl=60", NULL};
    struct larder_cache *broken;
    struct larder_fs *plain, *cached;
    struct larder_mirror_stats stats = {.size = sizeof stats};
    snprintf(option, sizeof option, "dir=%s/file/cache", dir);
    char *path = tmpdir_path(dir, "file");
    fclose(fopen(path, "w"));
    free(path);
    assert_ok(larder_cache_open(options, &broken));
    assert_ok(fs_open(NULL, "fake://", NULL, &plain, NULL));
    assert_ok(larder_cache_fs(broken, plain, NULL, &cached));
    fake_put("f", 100, 1);
    assert_ok(read_all(cached, "f", 100, 1));
    assert_ok(read_all(cached, "f", 100, 1));
    assert_int_equal(fake.reads, 2);
    assert_status(-EROFS, larder_cache_flush(broken));
    assert_status(-EROFS, larder_cache_clear(broken, NULL, ""));
    assert_int_equal(larder_mirror(cached, "", NULL, &stats), -EROFS);
    assert_int_equal(larder_cache_fs(broken, cached, NULL, &plain), -EINVAL);
    larder_fs_free(cached);
    larder_fs_free(plain);
    larder_cache_free(broken);
}

/* What is stored anew, below the same handles, after the store went. */
static void is_begun_anew(unsigned before)
{
    assert_ok(read_all(fs, "f", 300000, 2));
    flush_cache();
    assert_ok(read_all(fs, "f", 300000, 2));
    assert_int_equal(fake.reads, before + 1);
}

static void a_store_with_damaged_pages_is_begun_anew_under_its_users(void **state)
{
    char path[512], garbage[4080];
    struct larder_cache_verified verified = {.size = sizeof verified};
    uint16_t head[8];
    fake_put("f", 300000, 2);
    assert_ok(read_all(fs, "f", 300000, 2));
    flush_cache();
    assert_ok(larder_cache_verify(cache, &verified));
    assert_false(verified.set_aside);
    assert_true(verified.records > 0 && verified.blocks == 5);
    assert_int_equal(verified.damaged + verified.repaired, 0);
    snprintf(path, sizeof path, "%s/cache/cache-1.mdb", dir);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    memset(garbage, 0x5a, sizeof garbage);
    for (off_t at = 8192; pread(fd, head, sizeof head, at) == sizeof head; at += 4096)
        if (head[5] == 1 || head[5] == 2) /* LMDB's flags: a branch, a leaf */
            assert_int_equal(pwrite(fd, garbage, sizeof garbage, at + 16), sizeof garbage);
    close(fd);
    assert_ok(larder_cache_verify(cache, &verified));
    assert_true(verified.set_aside);
    is_begun_anew(fake.reads);
    struct larder_cache_stats stats = {.size = sizeof stats};
    assert_ok(larder_cache_stats(cache, &stats));
    assert_int_equal(stats.files, 1);
}

static void a_directory_that_vanishes_is_begun_anew(void **state)
{
    char command[600];
    fake_put("f", 300000, 2);
    fake_put("g", 300000, 3);
    assert_ok(read_all(fs, "f", 300000, 2));
    flush_cache();
    snprintf(command, sizeof command, "rm -r %s/cache", dir);
    assert_int_equal(system(command), 0);
    assert_ok(read_all(fs, "g", 300000, 3)); /* is not stored, which is when it shows */
    larder_cache_flush(cache);
    is_begun_anew(fake.reads);
}

static void a_fork_has_a_store_of_its_own(void **state)
{
    fake_put("f", 100000, 1);
    assert_ok(read_all(fs, "f", 100000, 1));
    flush_cache();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        child_end(read_all(fs, "f", 100000, 1)); /* a look: it needs no loop */
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_ok(read_all(fs, "f", 100000, 1));
    assert_int_equal(fake.reads, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cached_place_begin, cached_place_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(many_readers_ask_once),
        TEST(many_locks_are_one_open_file),
        TEST(a_large_range_is_fetched_in_several_places_at_once),
        TEST(a_cancelled_large_range_leaves_nothing_running),
        TEST(a_cancelled_reader_hands_over),
        TEST(a_failure_is_shared_and_not_remembered),
        TEST(what_the_reader_cannot_take_says_nothing_of_the_place),
        TEST(a_cut_transfer_leaves_nothing_in_the_cache),
        TEST(a_weak_version_is_kept_only_whole),
        TEST(what_must_not_be_stored_is_not),
        TEST(two_versions_never_mix),
        TEST(a_read_begun_before_a_write_does_not_revive_the_old),
        TEST(damage_is_fetched_again),
        TEST(a_directory_that_cannot_be_used_costs_only_the_cache),
        TEST(a_store_with_damaged_pages_is_begun_anew_under_its_users),
        TEST(a_directory_that_vanishes_is_begun_anew),
        TEST(a_fork_has_a_store_of_its_own),
    };
    cached_place_know();
    backend_register(&local_backend);
    return cmocka_run_group_tests_name("cache_asks", tests, NULL, NULL);
}
