/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes in order become parts, and parts a file: what is sent, how much at once, and what is left when it fails. */
#include "task_test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "larder.h"

#include "alloc_fault.h"
#include "backends/backends.h"
#include "base/path.h"
#include "fake_place.h"
#include "fs/fs.h"
#include "fs/stager.h"
#include "tmpdir.h"

#define PART ((size_t)1000)

static char *tmp;
static struct larder_fs *memory, *local, *fake_fs;

/* ---- the ways of a file ---- */

struct writing {
    struct larder_fs *fs;
    const char *path;
    size_t size, piece;
    unsigned flight_max, flags;
    bool restart; /* at half of it, … */
    bool longer;  /* … or after twice as much */
};

static char content(size_t at)
{
    return (char)(at * 2654435761u >> 11);
}

static int CO_FN write_pieces(struct stager *stager, size_t from, size_t to, size_t piece_size)
{
    char piece[5000];
    int rc = 0;
    for (size_t at = from; rc == 0 && at < to; at += piece_size) {
        size_t size = to - at < piece_size ? to - at : piece_size;
        for (size_t i = 0; i < size; i++)
            piece[i] = content(at + i);
        rc = stager_write(stager, piece, size);
    }
    return rc;
}

static int CO_FN write_file(const struct writing *writing)
{
    struct stager stager;
    autofree char *full = path_join(writing->fs->root, writing->path);
    if (!full)
        return fail_memory();
    stager_init(&stager, writing->fs->instance, full, PART, writing->flight_max);
    int rc = 0;
    if (writing->restart) {
        rc = stager_write(&stager, tmp, 3);
        if (rc == 0)
            rc = write_pieces(&stager, 0, writing->longer ? writing->size * 2 : writing->size / 2,
                              writing->piece);
        if (rc == 0)
            rc = sink_begin(&stager.sink, NULL, (int64_t)writing->size);
    }
    if (rc == 0)
        rc = write_pieces(&stager, 0, writing->size, writing->piece);
    if (rc == 0 && stager_size(&stager) != (int64_t)writing->size)
        rc = fail(-EPROTO, "not its size");
    if (rc == 0)
        rc = stager_publish(&stager, writing->flags, NULL, NULL);
    stager_fini(&stager);
    return rc;
}

static int CO_EDGE write_task(void *arg)
{
    return write_file(arg);
}

static void assert_content(struct larder_fs *fs, const char *path, size_t size)
{
    struct larder_bytes bytes;
    assert_ok(larder_cat_file(fs, path, NULL, &bytes));
    assert_int_equal(bytes.size, size);
    for (size_t i = 0; i < size; i++)
        if (((const char *)bytes.data)[i] != content(i))
            fail_msg("%s: another byte at %zu of %zu", path, i, size);
    larder_bytes_free(&bytes);
}

static void assert_writes(struct writing writing)
{
    assert_task(write_task, &writing);
    assert_content(writing.fs, writing.path, writing.size);
}

static void what_comes_in_pieces_is_one_file(void **state)
{
    static const size_t sizes[] = {0, 1, 999, 1000, 1001, 2000, 12345};
    static const size_t pieces[] = {7, 1000, 4999};
    struct larder_fs *all[] = {memory, local, fake_fs};
    for (size_t f = 0; f < 3; f++)
        for (size_t s = 0; s < 7; s++)
            for (size_t p = 0; p < 3; p++)
                for (unsigned flight = 0; flight < 4; flight += 3)
                    assert_writes((struct writing){all[f], "file", sizes[s], pieces[p], flight, 0, false});
    assert_int_equal(fake.staged, 0);
}

static void a_read_that_begins_again_starts_over(void **state)
{
    struct larder_fs *all[] = {memory, local, fake_fs};
    for (size_t f = 0; f < 3; f++) {
        assert_writes((struct writing){all[f], "again", 12345, 700, 3, 0, true});
        assert_writes((struct writing){all[f], "again", 12345, 700, 0, 0, true});
        assert_writes((struct writing){all[f], "again", 500, 100, 0, 0, true});
        assert_writes((struct writing){all[f], "again", 12345, 700, 3, 0, true, true});
        assert_writes((struct writing){all[f], "again", 900, 100, 0, 0, true, true});
    }
}

static void what_fits_into_a_part_is_one_write(void **state)
{
    fake.writes = fake.parts = fake.publishes = 0;
    assert_writes((struct writing){fake_fs, "small", PART, 100, 3, 0, false});
    assert_int_equal(fake.writes, 1);
    assert_int_equal(fake.parts + fake.publishes, 0);
    assert_writes((struct writing){fake_fs, "large", PART + 1, 100, 3, 0, false});
    assert_int_equal(fake.writes, 1);
    assert_int_equal(fake.parts, 2);
    assert_int_equal(fake.publishes, 1);
}

static void a_file_of_known_size_has_no_more_parts_than_the_place_takes(void **state)
{
    fake.parts = 0;
    assert_writes((struct writing){fake_fs, "wide", 60 * PART, 1000, 3, 0, true});
    assert_int_equal(fake.parts, 30 + 50); /* half of it before it began again, with the size */
    struct writing writing = {fake_fs, "wide", 60 * PART, 1000, 3, 0, false};
    assert_status(-EFBIG, edge_run(larder_loop_default(), write_task, &writing));
    assert_int_equal(fake.staged, 0);
}

/* ---- in flight ---- */

static int CO_FN watch_flight(struct stager *stager)
{
    char part[PART] = {0};
    fake.hold = true;
    for (int i = 0; i < 3; i++)
        CHECK(stager_write(stager, part, PART) == 0);
    size_t taken;
    CHECK(stager_turn(stager) == 0); /* the third: nobody waits for the network */
    CHECK(stager_put(stager, part, PART, &taken) == 0 && taken == PART);
    task_sleep(5);
    CHECK(fake.parts == 3);
    fake.hold = false;
    CHECK(stager_turn(stager) == 0);
    CHECK(stager_publish(stager, 0, NULL, NULL) == 0);
    CHECK(fake.parts == 4 && fake.parts_at_once == 3);
    return 0;
}

static int CO_FN with_stager(unsigned flight_max, const char *path, int (*fn)(struct stager *stager))
{
    struct stager stager;
    stager_init(&stager, fake_fs->instance, path, PART, flight_max);
    fake.parts = fake.parts_at_once = fake.writes = fake.publishes = 0;
    int rc = fn(&stager);
    fake.hold = false;
    stager_fini(&stager);
    return rc;
}

static int CO_EDGE in_flight_task(void *arg)
{
    return with_stager(3, "flight", watch_flight);
}

static void so_many_parts_are_on_their_way_and_no_more(void **state)
{
    assert_task(in_flight_task, NULL);
}

/* ---- failures ---- */

static int CO_FN watch_failure(struct stager *stager)
{
    char part[PART] = {0};
    int rc = 0;
    fake.fail_part = 2;
    for (int i = 0; rc == 0 && i < 20; i++)
        rc = stager_write(stager, part, PART);
    fake.fail_part = 0;
    CHECK(rc == -EIO);
    CHECK(strstr(error_text(), "part 1 is refused"));
    error_clear();
    CHECK(stager_write(stager, part, PART) == -EIO);
    CHECK(strstr(error_text(), "part 1 is refused"));
    CHECK(stager_flush(stager) == -EIO);
    CHECK(stager_publish(stager, 0, NULL, NULL) == -EIO);
    CHECK(sink_begin(&stager->sink, NULL, 5) == -EIO);
    CHECK(fake.publishes == 0 && fake.writes == 0 && fake.staged == 1);
    return 0;
}

static int CO_EDGE failing_task(void *arg)
{
    int rc = with_stager(3, "failing", watch_failure);
    return rc < 0 ? rc : with_stager(0, "failing", watch_failure);
}

static void a_part_that_fails_fails_everything_after_it(void **state)
{
    assert_task(failing_task, NULL);
    assert_status(0, larder_exists(fake_fs, "failing"));
    assert_int_equal(fake.staged, 0);
}

/* A part, not a directory. */
static void what_is_missing_of_the_parts_is_not_published(void **state)
{
    struct writing writing = {fake_fs, "hole", 1500, 100, 3, LARDER_PARENTS, false};
    fake.parts = 0;
    fake.fail_part = 2;
    fake.fail_part_as = -ENOENT;
    int rc = edge_run(larder_loop_default(), write_task, &writing);
    fake.fail_part = 0;
    fake.fail_part_as = 0;
    assert_int_equal(rc, -ENOENT);
    assert_non_null(strstr(larder_error(), "is refused"));
    assert_status(0, larder_exists(fake_fs, "hole"));
    assert_int_equal(fake.staged, 0);
}

static int CO_FN watch_cancel(struct stager *stager)
{
    char part[PART] = {0};
    CHECK(stager_write(stager, part, PART) == 0);
    CHECK(stager_turn(stager) == 0);
    fake.hold = true;
    int rc = 0;
    while (rc == 0)
        rc = stager_write(stager, part, PART);
    return rc;
}

static int CO_EDGE cancelled_task(void *arg)
{
    return with_stager(2, "cancelled", watch_cancel);
}

static void a_writer_that_is_cancelled_leaves_nothing(void **state)
{
    struct larder_task *task;
    fake.parts = 0;
    assert_ok(larder_spawn(NULL, cancelled_task, NULL, NULL, NULL, &task));
    while (fake.parts < 2)
        usleep(1000);
    larder_cancel(task);
    assert_int_equal(larder_join(task), -ECANCELED);
    for (int i = 0; i < 5000 && fake.staged > 0; i++)
        usleep(1000);
    assert_int_equal(fake.staged, 0); /* by a task of its own */
    assert_status(0, larder_exists(fake_fs, "cancelled"));
}

static void what_exists_is_found_when_it_is_published(void **state)
{
    struct larder_fs *all[] = {memory, local, fake_fs};
    for (size_t f = 0; f < 3; f++)
        for (size_t size = 10; size < 10000; size += 5000) {
            struct writing writing = {all[f], "there", size, 100, 2, LARDER_CREATE, false};
            assert_ok(larder_pipe_file(all[f], "there", "old", 3, 0));
            assert_status(-EEXIST, edge_run(larder_loop_default(), write_task, &writing));
            struct larder_bytes bytes;
            assert_ok(larder_cat_file(all[f], "there", NULL, &bytes));
            assert_string_equal(bytes.data, "old");
            larder_bytes_free(&bytes);
        }
    assert_int_equal(fake.staged, 0);
}

static void parents_are_made_when_they_are_asked_for(void **state)
{
    for (size_t size = 10; size < 10000; size += 5000) {
        struct writing writing = {local, "deep/er/file", size, 100, 2, 0, false};
        assert_status(-ENOENT, edge_run(larder_loop_default(), write_task, &writing));
        assert_status(0, larder_exists(local, "deep"));
        writing.flags = LARDER_PARENTS;
        assert_writes(writing);
        assert_ok(larder_rm(local, "deep", true));
    }
}

static void nothing_is_left_of_a_local_file_that_is_not_published(void **state)
{
    struct writing writing = {local, "none/file", 5000, 100, 2, 0, false};
    unsigned before = tmpdir_count(tmp);
    assert_status(-ENOENT, edge_run(larder_loop_default(), write_task, &writing));
    assert_int_equal(tmpdir_count(tmp), before);
}

/* ---- where there are no parts ---- */

static struct larder_fs *open_without_parts(void)
{
    static const char *const options[] = {"skip_instance_cache=true", NULL};
    struct larder_fs *fs;
    fake.stages = false;
    assert_ok(fs_open(NULL, "fake://", options, &fs, NULL));
    fake.stages = true;
    return fs;
}

static void without_parts_a_large_file_is_spooled_and_one_write(void **state)
{
    struct larder_fs *fs = open_without_parts();
    for (unsigned flight = 0; flight < 4; flight += 3) {
        fake.writes = fake.parts = fake.publishes = 0;
        assert_writes((struct writing){fs, "spooled", 123456, 700, flight, 0, true});
        assert_int_equal(fake.writes, 1);
        assert_int_equal(fake.parts + fake.publishes, 0);
    }
    larder_fs_free(fs);
}

static void a_spool_that_cannot_be_made_is_told(void **state)
{
    struct larder_fs *fs = open_without_parts();
    struct writing writing = {fs, "nospool", 5000, 100, 0, 0, false};
    setenv("TMPDIR", "/proc/nowhere", 1); /* not even root can make it */
    assert_status(-ENOENT, edge_run(larder_loop_default(), write_task, &writing));
    assert_non_null(strstr(larder_error(), "/proc/nowhere"));
    unsetenv("TMPDIR");
    assert_status(0, larder_exists(fs, "nospool"));
    larder_fs_free(fs);
}

/* ---- without memory ---- */

static int CO_EDGE write_twice(void *arg)
{
    struct writing writing = {memory, "starved", 5500, 300, 2, 0, false};
    int rc = write_file(&writing);
    writing.flight_max = 0;
    return rc < 0 ? rc : write_file(&writing);
}

static int starved(void *arg)
{
    return edge_run(larder_loop_default(), write_twice, NULL);
}

static void every_allocation_may_fail(void **state)
{
    alloc_fault_run(starved, NULL);
}

static int setup(void **state)
{
    tmp = tmpdir_make();
    backend_register(&memory_backend);
    backend_register(&local_backend);
    backend_register(&fake_backend);
    fake.stages = fake.verbatim = true;
    assert_ok(fs_open(NULL, "memory://test_stager", NULL, &memory, NULL));
    assert_ok(fs_open(NULL, tmp, NULL, &local, NULL));
    assert_ok(fs_open(NULL, "fake://", NULL, &fake_fs, NULL));
    return 0;
}

static int teardown(void **state)
{
    larder_fs_free(memory);
    larder_fs_free(local);
    larder_fs_free(fake_fs);
    fake_reset();
    tmpdir_remove(tmp);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_in_pieces_is_one_file),
        cmocka_unit_test(a_read_that_begins_again_starts_over),
        cmocka_unit_test(what_fits_into_a_part_is_one_write),
        cmocka_unit_test(a_file_of_known_size_has_no_more_parts_than_the_place_takes),
        cmocka_unit_test(so_many_parts_are_on_their_way_and_no_more),
        cmocka_unit_test(a_part_that_fails_fails_everything_after_it),
        cmocka_unit_test(what_is_missing_of_the_parts_is_not_published),
        cmocka_unit_test(a_writer_that_is_cancelled_leaves_nothing),
        cmocka_unit_test(what_exists_is_found_when_it_is_published),
        cmocka_unit_test(parents_are_made_when_they_are_asked_for),
        cmocka_unit_test(nothing_is_left_of_a_local_file_that_is_not_published),
        cmocka_unit_test(without_parts_a_large_file_is_spooled_and_one_write),
        cmocka_unit_test(a_spool_that_cannot_be_made_is_told),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
