/* SPDX-License-Identifier: Apache-2.0 */
/* One file from place to place, in every way that places have. */
#include "task_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder/copy.h"

#include "alloc_fault.h"
#include "backends/backends.h"
#include "base/path.h"
#include "fs/fs.h"
#include "fs/layer.h"
#include "odd_place.h"
#include "tmpdir.h"
#include "tree.h"

#define MIB (1 << 20)

static char *scratch;
enum { MEMORY, LOCAL, PIPED, SPOOLED, COUNTED, PLACES };
static const char *const urls[PLACES] = {"memory://transfer", NULL, "piped://transfer", "spooled://transfer",
                                         "counted://transfer"};
static struct larder_fs *fs[PLACES];

static int setup(void **state)
{
    backend_register(&memory_backend);
    backend_register(&local_backend);
    odd_register();
    scratch = tmpdir_make();
    for (int i = 0; i < PLACES; i++) {
        assert_ok(fs_open(NULL, urls[i] ? urls[i] : scratch, NULL, &fs[i], NULL));
        assert_ok(larder_makedirs(fs[i], "", true));
    }
    return 0;
}

static int teardown(void **state)
{
    for (int i = 0; i < PLACES; i++)
        larder_fs_free(fs[i]);
    tmpdir_remove(scratch);
    return 0;
}

static int before_each(void **state)
{
    odd_reset();
    return 0;
}

/* Files whose bytes a test can tell again; the five places are two trees: memory's and the disk's. */
static void put(int place, const char *path, size_t size, uint64_t seed)
{
    void *data = content_make(size, seed);
    assert_ok(larder_pipe_file(fs[place == LOCAL ? LOCAL : MEMORY], path, data, size, LARDER_PARENTS));
    free(data);
}

static void assert_content(int place, const char *path, size_t size, uint64_t seed)
{
    struct larder_bytes bytes;
    assert_ok(larder_cat_file(fs[place == LOCAL ? LOCAL : MEMORY], path, NULL, &bytes));
    assert_int_equal(bytes.size, size);
    assert_true(content_matches(bytes.data, size, seed, 0));
    larder_bytes_free(&bytes);
}

static void assert_missing(int place, const char *path)
{
    assert_status(0, larder_exists(fs[place == LOCAL ? LOCAL : MEMORY], path));
}

/* ---- all of it ---- */

static void a_file_of_any_size_comes_whole_in_every_way(void **state)
{
    static const size_t sizes[] = {0, 1, 65536, MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 1, 3 * MIB + 12345};
    for (int from = 0; from < PLACES; from++)
        for (int to = 0; to < PLACES; to++)
            for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
                put(from, "from", sizes[i], i + 1);
                put(to, "to", 100, 99);
                assert_ok(larder_cp_file(fs[from], "from", fs[to], "to", 0, NULL, NULL));
                assert_content(to, "to", sizes[i], i + 1);
            }
    assert_int_equal(tmpdir_count_temporaries(scratch), 0);
}

struct seen {
    int calls;
    int64_t done, total;
};

static void see(void *arg, int64_t done, int64_t total)
{
    struct seen *seen = arg;
    assert_true(done >= seen->done);
    *seen = (struct seen){seen->calls + 1, done, total};
}

static void progress_ends_with_the_size(void **state)
{
    for (int from = 0; from < PLACES; from++)
        for (int to = 0; to < PLACES; to++) {
            struct seen seen = {0};
            put(from, "from", 3 * MIB, 5);
            assert_ok(larder_cp_file(fs[from], "from", fs[to], "to", 0, see, &seen));
            assert_true(seen.calls > 0 && seen.done == 3 * MIB && seen.total == 3 * MIB);
        }
}

static int copy_in_task(void *arg)
{
    for (int to = 0; to < PLACES; to++) {
        struct seen seen = {0};
        CHECK(larder_cp_file(fs[COUNTED], "from", fs[to], "to", 0, see, &seen) == 0);
        CHECK(seen.done == 2 * MIB + 7);
    }
    return 0;
}

static void a_task_copies_as_well(void **state)
{
    put(COUNTED, "from", 2 * MIB + 7, 6);
    assert_ok(larder_sync(NULL, copy_in_task, NULL, 0));
    assert_content(LOCAL, "to", 2 * MIB + 7, 6);
    assert_content(PIPED, "to", 2 * MIB + 7, 6);
}

static void parts_are_as_large_as_their_number_demands(void **state)
{
    put(LOCAL, "from", 3999999, 8);
    assert_ok(larder_cp_file(fs[LOCAL], "from", fs[COUNTED], "to", 0, NULL, NULL));
    assert_content(COUNTED, "to", 3999999, 8);
    assert_int_equal(odd.parts, 4);
    put(LOCAL, "from", 4000001, 8);
    assert_status(-EFBIG, larder_cp_file(fs[LOCAL], "from", fs[COUNTED], "to", 0, NULL, NULL));
    assert_content(COUNTED, "to", 3999999, 8);
    assert_int_equal(odd.discards, 1);
}

/* ---- what goes wrong ---- */

static void what_is_missing_or_a_directory_is_said(void **state)
{
    for (int from = 0; from < PLACES; from++)
        for (int to = 0; to < PLACES; to++) {
            put(from, "dir/file", 10, 1);
            put(to, "other/file", 10, 1);
            put(to, "to", 10, 2);
            assert_status(-ENOENT, larder_cp_file(fs[from], "none", fs[to], "to", 0, NULL, NULL));
            assert_status(-ENOENT,
                          larder_cp_file(fs[from], "none", fs[to], "nodir/to", LARDER_PARENTS, NULL, NULL));
            assert_missing(to, "nodir");
            assert_status(-EISDIR, larder_cp_file(fs[from], "dir", fs[to], "to", 0, NULL, NULL));
            assert_status(-EISDIR, larder_cp_file(fs[from], "dir/file", fs[to], "other", 0, NULL, NULL));
            assert_content(to, "to", 10, 2);
        }
    assert_status(-EINVAL, larder_cp_file(fs[0], "../x", fs[1], "y", 0, NULL, NULL));
    assert_status(-EINVAL, larder_cp_file(fs[0], "x", fs[1], "y/../z", 0, NULL, NULL));
    assert_status(-EINVAL, larder_cp_file(fs[0], "x", fs[1], "y", 1u << 20, NULL, NULL));
}

static void parents_are_made_on_request(void **state)
{
    static const size_t sizes[] = {10, 2 * MIB};
    for (size_t i = 0; i < 2; i++) {
        put(MEMORY, "from", sizes[i], 1);
        put(LOCAL, "from", sizes[i], 1);
        for (int from = MEMORY; from <= LOCAL; from++) {
            assert_status(-ENOENT, larder_cp_file(fs[from], "from", fs[LOCAL], "n/m/to", 0, NULL, NULL));
            assert_missing(LOCAL, "n");
            assert_ok(larder_cp_file(fs[from], "from", fs[LOCAL], "n/m/to", LARDER_PARENTS, NULL, NULL));
            assert_content(LOCAL, "n/m/to", sizes[i], 1);
            assert_ok(larder_rm(fs[LOCAL], "n", true));
        }
    }
}

static void what_exists_is_spared_before_a_byte_moves(void **state)
{
    for (int from = 0; from < PLACES; from++)
        for (int to = 0; to < PLACES; to++) {
            put(from, "from", 3 * MIB, 1);
            put(to, "to", 10, 2);
            odd.parts = 0;
            assert_status(-EEXIST, larder_cp_file(fs[from], "from", fs[to], "to", LARDER_CREATE, NULL, NULL));
            assert_content(to, "to", 10, 2);
            assert_int_equal(odd.parts, 0);
            assert_ok(larder_rm_file(fs[to], "to"));
            assert_ok(larder_cp_file(fs[from], "from", fs[to], "to", LARDER_CREATE, NULL, NULL));
            assert_content(to, "to", 3 * MIB, 1);
        }
}

static void a_file_onto_itself_stays(void **state)
{
    for (int place = 0; place < PLACES; place++) {
        put(place, "same", 3 * MIB, 1);
        assert_ok(larder_cp_file(fs[place], "same", fs[place], "same", 0, NULL, NULL));
        assert_content(place, "same", 3 * MIB, 1);
        assert_status(-EEXIST,
                      larder_cp_file(fs[place], "same", fs[place], "same", LARDER_CREATE, NULL, NULL));
        assert_status(-ENOENT, larder_cp_file(fs[place], "none", fs[place], "none", 0, NULL, NULL));
    }
}

static void a_read_that_starts_over_starts_the_upload_over(void **state)
{
    for (int to = 0; to < PLACES; to++)
        for (int again = 0; again < 2; again++) {
            put(PIPED, "from", 3 * MIB + 5, 7);
            put(to, "to", 10, 2);
            odd.restart_at = 2 * MIB + 1000;
            odd.restart_new = again;
            int rc = larder_cp_file(fs[PIPED], "from", fs[to], "to", 0, NULL, NULL);
            if (to == PIPED)
                continue; /* onto the same place: no upload's own source */
            assert_int_equal(rc, 0);
            assert_content(to, "to", 3 * MIB + 5, 7);
        }
    assert_int_equal(tmpdir_count_temporaries(scratch), 0);
}

/* What a pipe's writer has cannot be taken back. */
static void a_pipe_goes_on_with_the_same_version_only(void **state)
{
    put(COUNTED, "from", 3 * MIB + 5, 7);
    put(PIPED, "to", 10, 2);
    odd.restart_at = 2 * MIB + 1000;
    assert_ok(larder_cp_file(fs[COUNTED], "from", fs[PIPED], "to", 0, NULL, NULL));
    assert_content(PIPED, "to", 3 * MIB + 5, 7);
    put(PIPED, "to", 10, 2);
    odd.restart_new = true;
    assert_status(-ESTALE, larder_cp_file(fs[COUNTED], "from", fs[PIPED], "to", 0, NULL, NULL));
    assert_content(PIPED, "to", 10, 2);
}

static void a_writer_that_tries_again_gets_everything_again(void **state)
{
    static const size_t at[] = {0, 1000, MIB + 1000, 3 * MIB};
    for (size_t i = 0; i < 4; i++)
        for (unsigned rewinds = 1; rewinds <= 3; rewinds++) {
            put(LOCAL, "from", 3 * MIB, 9);
            odd.rewinds = rewinds;
            odd.rewind_at = at[i];
            assert_ok(larder_cp_file(fs[LOCAL], "from", fs[PIPED], "to", 0, NULL, NULL));
            assert_content(PIPED, "to", 3 * MIB, 9);
            assert_int_equal(odd.rewinds, 0);
        }
}

/* The writer waits for what will not come again. */
static void what_cannot_be_read_again_is_the_status(void **state)
{
    put(COUNTED, "from", 3 * MIB, 9);
    put(PIPED, "to", 10, 2);
    for (unsigned reads = 1; reads <= 2; reads++) {
        odd_reset();
        odd.rewinds = 3;
        odd.rewind_at = MIB + 1000;
        odd.reads_max = reads;
        assert_status(-EACCES, larder_cp_file(fs[COUNTED], "from", fs[PIPED], "to", 0, NULL, NULL));
        assert_int_equal(odd.reads, reads + 1);
        assert_content(PIPED, "to", 10, 2);
    }
}

static void a_writer_that_gives_up_early_is_the_status(void **state)
{
    static const size_t at[] = {1, MIB + 1, 3 * MIB - 1};
    put(LOCAL, "from", 3 * MIB, 9);
    put(PIPED, "to", 10, 2);
    for (size_t i = 0; i < 3; i++) {
        odd.fail_at = at[i];
        assert_status(-ENOSPC, larder_cp_file(fs[LOCAL], "from", fs[PIPED], "to", 0, NULL, NULL));
        assert_string_equal(larder_error(), "piped: no space");
    }
    assert_content(PIPED, "to", 10, 2);
}

/* ---- the disk ---- */

static int64_t written, write_max;
static struct file_seam real;

static ssize_t write_until_full(int fd, const void *data, size_t size, off_t offset)
{
    if (offset + (off_t)size > write_max) {
        errno = ENOSPC;
        return -1;
    }
    written += (int64_t)size;
    return real.pwrite(fd, data, size, offset);
}

static void a_full_disk_leaves_the_old_file_and_nothing_else(void **state)
{
    static const int64_t full_at[] = {0, MIB, 2 * MIB + 5};
    put(MEMORY, "from", 3 * MIB, 1);
    put(LOCAL, "to", 10, 2);
    real = file_seam;
    for (size_t i = 0; i < 3; i++) {
        write_max = full_at[i];
        file_seam.pwrite = write_until_full;
        int rc = larder_cp_file(fs[MEMORY], "from", fs[LOCAL], "to", 0, NULL, NULL);
        int spooled = larder_cp_file(fs[MEMORY], "from", fs[SPOOLED], "spooled", 0, NULL, NULL);
        file_seam = real;
        assert_int_equal(rc, -ENOSPC);
        assert_int_equal(spooled, -ENOSPC);
        assert_content(LOCAL, "to", 10, 2);
        assert_int_equal(tmpdir_count_temporaries(scratch), 0);
    }
    assert_missing(SPOOLED, "spooled");
}

static ssize_t read_and_change(int fd, void *buffer, size_t size, off_t offset)
{
    ssize_t got = real.pread(fd, buffer, size, offset);
    if (offset >= MIB && offset < 2 * MIB)
        tree_write(scratch, "from", "another", 7);
    return got;
}

static void a_source_that_changes_underneath_is_stale(void **state)
{
    real = file_seam;
    for (int to = 0; to < PLACES; to++) {
        if (to == LOCAL)
            continue; /* there the kernel copies */
        put(LOCAL, "from", 5 * MIB, 1);
        put(to, "to", 10, 2);
        file_seam.pread = read_and_change;
        int rc = larder_cp_file(fs[LOCAL], "from", fs[to], "to", 0, NULL, NULL);
        file_seam = real;
        assert_int_equal(rc, -ESTALE);
        assert_content(to, "to", 10, 2);
    }
}

/* ---- cancelled ---- */

struct held {
    int from, to;
    int status;
};

static CO_EDGE int copy_child(void *arg)
{
    struct held *held = arg;
    held->status = larder_cp_file(fs[held->from], "from", fs[held->to], "to", 0, NULL, NULL);
    return 0;
}

static CO_EDGE int cancel_a_copy(void *arg)
{
    struct group group;
    group_init(&group, GROUP_ALL, 0);
    CHECK(group_add(&group, copy_child, arg) == 0);
    while (odd.holding == 0)
        task_sleep(1);
    group_cancel(&group);
    group_join(&group);
    CHECK(odd.holding == 0);
    return 0;
}

/* Where it stands still: the reading, or the writing. */
static void a_cancelled_copy_leaves_nothing(void **state)
{
    static const int pairs[][2] = {{PIPED, MEMORY}, {PIPED, LOCAL}, {LOCAL, PIPED}, {MEMORY, PIPED}};
    for (size_t i = 0; i < 4; i++) {
        struct held held = {.from = pairs[i][0], .to = pairs[i][1]};
        put(held.from, "from", 3 * MIB, 1);
        put(held.to, "to", 10, 2);
        odd.hold = true;
        assert_task(cancel_a_copy, &held);
        odd.hold = false;
        assert_int_equal(held.status, -ECANCELED);
        assert_content(held.to, "to", 10, 2);
    }
    assert_int_equal(tmpdir_count_temporaries(scratch), 0);
}

static CO_EDGE int cancel_amid_parts(void *arg)
{
    struct group group;
    group_init(&group, GROUP_ALL, 0);
    CHECK(group_add(&group, copy_child, arg) == 0);
    while (odd.parts < 2)
        task_yield();
    group_cancel(&group);
    group_join(&group);
    return 0;
}

static void what_was_staged_is_discarded_by_a_cancelled_task(void **state)
{
    struct held held = {.from = LOCAL, .to = COUNTED};
    put(LOCAL, "from", 3 * MIB, 1);
    put(COUNTED, "to", 10, 2);
    assert_task(cancel_amid_parts, &held);
    assert_int_equal(held.status, -ECANCELED);
    assert_int_equal(odd.discards, 1);
    assert_content(COUNTED, "to", 10, 2);
}

/* ---- without memory ---- */

static int copy_pair(void *arg)
{
    const int *pair = arg;
    return larder_cp_file(fs[pair[0]], "from", fs[pair[1]], "to", 0, NULL, NULL);
}

static void a_copy_without_memory_fails_cleanly(void **state)
{
    static int pairs[][2] = {
        {PIPED, LOCAL}, {LOCAL, PIPED}, {LOCAL, SPOOLED}, {LOCAL, LOCAL}, {MEMORY, COUNTED}};
    put(MEMORY, "from", MIB + 1, 1);
    put(LOCAL, "from", MIB + 1, 1);
    for (size_t i = 0; i < 5; i++)
        alloc_fault_run(copy_pair, pairs[i]);
    assert_int_equal(tmpdir_count_temporaries(scratch), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, before_each)
    const struct CMUnitTest tests[] = {
        TEST(a_file_of_any_size_comes_whole_in_every_way),
        TEST(progress_ends_with_the_size),
        TEST(a_task_copies_as_well),
        TEST(parts_are_as_large_as_their_number_demands),
        TEST(what_is_missing_or_a_directory_is_said),
        TEST(parents_are_made_on_request),
        TEST(what_exists_is_spared_before_a_byte_moves),
        TEST(a_file_onto_itself_stays),
        TEST(a_read_that_starts_over_starts_the_upload_over),
        TEST(a_pipe_goes_on_with_the_same_version_only),
        TEST(a_writer_that_tries_again_gets_everything_again),
        TEST(what_cannot_be_read_again_is_the_status),
        TEST(a_writer_that_gives_up_early_is_the_status),
        TEST(a_full_disk_leaves_the_old_file_and_nothing_else),
        TEST(a_source_that_changes_underneath_is_stale),
        TEST(a_cancelled_copy_leaves_nothing),
        TEST(what_was_staged_is_discarded_by_a_cancelled_task),
        TEST(a_copy_without_memory_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
