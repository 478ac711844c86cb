/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks that are full, or cannot be written, and processes that a store cannot tell apart: every read succeeds, with the
 * right bytes, and what is the matter is said once. The disks are file systems in memory, mounted by the test: where it
 * may not, it skips.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#undef BLOCK_SIZE /* the kernel's, of no disk any more */

#include "base/seams.h"
#include "cache/store.h"
#include "cached_place.h"
#include "disk.h"
#include "task_test.h"
#include "tmpdir.h"

#define KIB 1024UL
#define MIB (1024 * KIB)

static char *disk; /* mounted there; NULL: nothing is */
static atomic_uint warnings;

static void count_warning(void *arg, enum larder_log_level level, const char *message)
{
    warnings += strstr(message, "cache") != NULL; /* not of a machine that is slow */
}

/* ---- disks ---- */

static int setup(void **state)
{
    fake_reset();
    clock_ahead_ms = 0;
    warnings = 0;
    dir = tmpdir_make();
    return 0;
}

static int teardown(void **state)
{
    larder_fs_free(fs);
    larder_cache_free(cache);
    fs = NULL;
    cache = NULL;
    disk_unmount(disk);
    disk = NULL;
    tmpdir_remove(dir);
    return 0;
}

/* Where the cache will be. */
static void mount_disk(size_t size)
{
    disk = disk_mount(dir, "cache", size);
}

static uint64_t free_bytes(void)
{
    struct statvfs status;
    assert_int_equal(statvfs(disk, &status), 0);
    return (uint64_t)status.f_bavail * status.f_frsize;
}

/* Something else takes all but `left` bytes. */
static void fill_disk(uint64_t left)
{
    char *path = tmpdir_path(disk, "filler");
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(posix_fallocate(fd, 0, (off_t)(free_bytes() - left)), 0);
    close(fd);
    free(path);
}

static void empty_disk(void)
{
    char *path = tmpdir_path(disk, "filler");
    assert_int_equal(unlink(path), 0);
    free(path);
}

static void begin(void)
{
    cache = open_cache();
    fs = open_with("ttl=60");
}

/* Ten files of some size, twice over. */
static void read_files(size_t size)
{
    char path[16];
    for (unsigned i = 0; i < 20; i++) {
        snprintf(path, sizeof path, "f%u", i % 10);
        if (i < 10)
            fake_put(path, size, i);
        assert_ok(read_all(fs, path, size, i % 10));
        larder_cache_flush(cache); /* may say that it cannot */
    }
}

/* ---- the tests ---- */

static void a_disk_that_gets_full_costs_only_the_cache(void **state)
{
    mount_disk(16 * MIB);
    begin();
    assert_ok(larder_cache_clear(cache, NULL, ""));
    fill_disk(100 * KIB);
    read_files(500 * KIB);
    assert_int_equal(warnings, 1);
    empty_disk();
    read_files(500 * KIB);
    unsigned before = fake.reads;
    read_files(500 * KIB);
    assert_int_equal(fake.reads, before); /* it is stored again */
}

/* When nothing is to stay free, or somebody takes it in the middle of a write. */
static void a_write_to_a_full_disk_fails_alone(void **state)
{
    mount_disk(16 * MIB);
    begin();
    larder_fs_free(fs);
    fs = open_mode((const char *const[]){"ttl=60", "min_free=0", NULL});
    flush_cache();
    fill_disk(100 * KIB);
    writer_retry_ms = 20;
    read_files(500 * KIB);
    assert_int_equal(warnings, 1);
    empty_disk();
    while (larder_cache_flush(cache) < 0) /* it is told of the last failure until the writer tries again */
        usleep(1000);
    read_files(500 * KIB);
    unsigned before = fake.reads;
    read_files(500 * KIB);
    assert_int_equal(fake.reads, before); /* it is stored again */
    writer_retry_ms = 30000;
}

static void a_disk_that_is_full_from_the_start_costs_only_the_cache(void **state)
{
    static const uint64_t left[] = {0, 64 * KIB, 300 * KIB, 4 * MIB};
    for (unsigned i = 0; i < 4; i++) {
        mount_disk(8 * MIB);
        fill_disk(left[i]);
        begin();
        read_files(100 * KIB);
        assert_true(warnings <= 1);
        teardown(state);
        setup(state);
    }
}

/* Many threads take slots of readers, whose pages must be there by then. */
static void readers_on_a_full_disk_are_not_killed(void **state)
{
    struct reader *readers[500];
    struct store *store;
    mount_disk(16 * MIB);
    begin();
    fill_disk(0);
    assert_ok(store_open(disk, &store));
    for (unsigned i = 0; i < 500; i++)
        assert_non_null(readers[i] = reader_begin(store));
    for (unsigned i = 0; i < 500; i++)
        reader_end(store, readers[i]);
    store_unref(store);
}

/* Although nobody said how much the cache may hold. */
static void the_cache_does_not_fill_the_disk(void **state)
{
    char path[16];
    mount_disk(64 * MIB);
    begin();
    for (unsigned i = 0; i < 40; i++) {
        snprintf(path, sizeof path, "f%u", i);
        fake_put(path, 4 * MIB, i);
        assert_ok(read_all(fs, path, 4 * MIB, i));
        fake_remove(path);
        flush_cache();
    }
    assert_int_equal(warnings, 0);
    assert_true(free_bytes() > 0);
    struct larder_cache_stats stats = {.size = sizeof stats};
    assert_ok(larder_cache_stats(cache, &stats));
    assert_true(stats.bytes > 30 * MIB);
    assert_true(stats.evictions > 0);
}

static void a_disk_that_can_only_be_read_is_read(void **state)
{
    mount_disk(16 * MIB);
    begin();
    fake_put("known", 100 * KIB, 1);
    assert_ok(read_all(fs, "known", 100 * KIB, 1));
    flush_cache();
    larder_fs_free(fs);
    larder_cache_free(cache);
    fs = NULL;
    cache = NULL;
    disk_make_read_only(disk);
    warnings = 0;
    begin();
    unsigned before = fake.reads;
    assert_ok(read_all(fs, "known", 100 * KIB, 1));
    assert_int_equal(fake.reads, before);
    fake_put("new", 100 * KIB, 2);
    assert_ok(read_all(fs, "new", 100 * KIB, 2));
    assert_ok(read_all(fs, "new", 100 * KIB, 2));
    assert_int_equal(fake.reads, before + 2);
    assert_int_equal(warnings, 1);
}

/* ---- two processes of one number ---- */

static int read_there(void)
{
    begin();
    for (unsigned i = 0; i < 3; i++)
        if (read_all(fs, "f", 1000, 1) < 0)
            return 4;
    return warnings > 1 ? 5 : 0;
}

/* In a namespace of its own this is process 1. It goes on until it is killed if it is to stay. */
static pid_t spawn_as_1(bool stay, int told[2])
{
    pid_t child = fork();
    if (child != 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (unshare(CLONE_NEWPID) < 0)
        _exit(77);
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int status = getpid() == 1 ? read_there() : 6;
        if (write(told[1], "", 1) != 1 || stay)
            pause();
        _exit(status);
    }
    int status;
    waitpid(child, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 7);
}

static void equal_numbers_in_two_containers_cost_only_the_cache(void **state)
{
    int told[2], status;
    char byte;
    fake_put("f", 1000, 1);
    assert_int_equal(pipe(told), 0);
    pid_t first = spawn_as_1(true, told);
    close(told[1]);
    if (read(told[0], &byte, 1) != 1) {
        waitpid(first, &status, 0);
        print_message("skipped: no namespace may be made here\n");
        skip();
    }
    assert_int_equal(pipe(told), 0);
    pid_t second = spawn_as_1(false, told);
    assert_int_equal(waitpid(second, &status, 0), second);
    assert_int_equal(status, 0);
    kill(first, SIGKILL);
    waitpid(first, &status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_numbers_in_two_containers_cost_only_the_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(a_disk_that_gets_full_costs_only_the_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(a_write_to_a_full_disk_fails_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_disk_that_is_full_from_the_start_costs_only_the_cache, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(readers_on_a_full_disk_are_not_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(the_cache_does_not_fill_the_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(a_disk_that_can_only_be_read_is_read, setup, teardown),
    };
    cached_place_know();
    larder_log_to(count_warning, NULL, LARDER_LOG_WARNING);
    return cmocka_run_group_tests_name("disk", tests, NULL, NULL);
}
