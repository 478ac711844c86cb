/* SPDX-License-Identifier: Apache-2.0 */
/* What is free goes back to the disk, and nothing else does, whoever reads and writes meanwhile. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/seams.h"
#include "cache/cap.h"
#include "cache/compact.h"
#include "child.h"
#include "store_case.h"
#include "tmpdir.h"

#define MIB   (1U << 20)
#define FILES 40
#define SIZE  (MIB / 2 + 100) /* each: 20 MiB in all */

#define PRUNES 20 /* at least, beside others */

static const char *path_of(unsigned i)
{
    static _Thread_local char path[32];
    snprintf(path, sizeof path, "d/f%02u", i);
    return path;
}

/* As it is, so that it takes what it should. */
static void put_file(unsigned i, unsigned seed)
{
    struct put *put = make_put(path_of(i), "v1", SIZE, seed + i);
    put->packing.level = 0;
    assert_ok(writer_add(store, &put->op));
}

static void fill(unsigned seed)
{
    for (unsigned i = 0; i < FILES; i++)
        put_file(i, seed);
    flush();
}

static unsigned count_there(unsigned seed)
{
    unsigned count = 0;
    for (unsigned i = 0; i < FILES; i++) {
        int rc = check(path_of(i), SIZE, seed + i);
        assert_true(rc == 0 || rc == -ENOENT);
        count += rc == 0;
    }
    return count;
}

static void prune(uint64_t size)
{
    assert_ok(cap_prune(store, size));
    flush();
    assert_ok(store_compact(store));
}

static void pruning_gives_the_disk_back_what_is_free(void **state)
{
    fill(0);
    uint64_t full = store_disk_size(store);
    assert_true(full >= FILES * (uint64_t)SIZE);
    assert_ok(store_compact(store));
    assert_true(store_disk_size(store) >= FILES * (uint64_t)SIZE);
    prune(6 * MIB);
    assert_true(store_disk_size(store) < 7 * MIB);
    assert_in_range(count_there(0), 8, 12);
    prune(0);
    assert_true(store_disk_size(store) < MIB);
    assert_int_equal(count_there(0), 0);
    fill(100); /* holes are written like any other page */
    assert_int_equal(count_there(100), FILES);
    reopen();
    assert_int_equal(count_there(100), FILES);
}

/* Of the snapshot that somebody reads every page stays, and goes once he has ended. */
static void what_is_being_read_stays(void **state)
{
    fill(0);
    struct reader *reader = reader_begin(store);
    assert_non_null(reader);
    prune(0);
    assert_true(store_disk_size(store) >= FILES * (uint64_t)SIZE);
    for (unsigned i = 0; i < FILES; i++) {
        struct key key;
        struct record record;
        struct block_head head;
        const void *data, *payload;
        size_t size;
        key_path(&key, KEY_RECORD, &place, path_of(i));
        assert_ok(reader_get(store, reader, &key, &data, &size));
        assert_ok(record_read(&key, &place, path_of(i), data, size, &record));
        for (uint64_t block = 0; block < (uint64_t)block_count(SIZE); block++) {
            key_block(&key, record.head.version, block);
            assert_ok(reader_get(store, reader, &key, &data, &size));
            assert_ok(block_read(&key, data, size, &head, &payload)); /* with its checksum */
        }
    }
    reader_end(store, reader);
    assert_ok(store_compact(store));
    assert_true(store_disk_size(store) < MIB);
}

/* Of the two processes: how many files each has found so far, and whether they are to end, or one did. */
static struct shared_count {
    atomic_uint found[2];
    atomic_bool over;
} *shared_count;

/* Another process reads, and yet another writes: each byte is right. */
static int use_it(bool writes)
{
    alarm(60);
    int wrong = store_open(case_dir, &store) < 0; /* what is open is the parent's */
    while (!shared_count->over && !wrong) {
        for (unsigned i = 0; i < FILES; i += 3) {
            if (writes)
                put_file(i, 0);
            int rc = check(path_of(i), SIZE, i);
            wrong += rc != 0 && rc != -ENOENT;
            shared_count->found[writes] += rc == 0;
        }
        if (writes)
            flush();
    }
    shared_count->over = true;
    return wrong;
}

static void others_go_on_meanwhile(void **state)
{
    pid_t children[2];
    int status[2];
    shared_count =
        mmap(NULL, sizeof *shared_count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared_count, MAP_FAILED);
    fill(0);
    for (int i = 0; i < 2; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            child_end(use_it(i == 1));
    }
    for (unsigned i = 0;
         !shared_count->over && (i < PRUNES || !shared_count->found[0] || !shared_count->found[1]); i++)
        prune(i % 2 ? 0 : 5 * MIB);
    shared_count->over = true;
    for (int i = 0; i < 2; i++)
        assert_int_equal(waitpid(children[i], &status[i], 0), children[i]);
    assert_int_equal(status[0], 0);
    assert_int_equal(status[1], 0);
    munmap(shared_count, sizeof *shared_count);
    count_there(0);
    reopen();
    count_there(0);
    assert_int_equal(warnings, 0);
}

static rlim_t address_space(void)
{
    unsigned long pages;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* LMDB's map leaves room for our own, by which pages are looked at. */
static void where_address_space_is_short_it_does_the_same(void **state)
{
    struct rlimit before, limit;
    char *dir = tmpdir_path(case_scratch, "short");
    struct store *first = store;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    limit = before;
    limit.rlim_cur = address_space() + lmdb_map_size + lmdb_map_size / 2;
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    assert_ok(store_open(dir, &store));
    fill(0);
    prune(0);
    assert_true(store_disk_size(store) < MIB);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    store_unref(store);
    store = first;
    free(dir);
}

static int no_holes(int fd, int mode, off_t offset, off_t size)
{
    errno = EOPNOTSUPP;
    return -1;
}

static void a_file_system_without_holes_says_so(void **state)
{
    int (*real)(int, int, off_t, off_t) = file_seam.fallocate;
    fill(0);
    assert_ok(cap_prune(store, 0));
    flush();
    file_seam.fallocate = no_holes;
    assert_status(-ENOTSUP, store_compact(store));
    file_seam.fallocate = real;
    assert_int_equal(count_there(0), 0);
    fill(7);
    assert_int_equal(count_there(7), FILES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(pruning_gives_the_disk_back_what_is_free),
        CASE(what_is_being_read_stays),
        CASE(others_go_on_meanwhile),
        CASE(where_address_space_is_short_it_does_the_same),
        CASE(a_file_system_without_holes_says_so),
    };
    case_init();
    return cmocka_run_group_tests_name("compact", tests, NULL, NULL);
}
