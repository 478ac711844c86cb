/* SPDX-License-Identifier: Apache-2.0 */
/* Open files that are written: whole at the close, or not at all. */
#include "task_test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder.h"

#include "alloc_fault.h"
#include "backends/backends.h"
#include "fake_place.h"
#include "fs/fs.h"
#include "tmpdir.h"

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SMALL        OPTIONS("part_size=1000")
#define SIZE         ((size_t)12345)

static char *tmp, data[SIZE];
static struct larder_fs *memory, *local, *staging, *plain;
static struct larder_fs *all[4];
#define ALL 4

static struct larder_file *open_file(struct larder_fs *fs, const char *path, const char *mode,
                                     const char *const options[])
{
    struct larder_file *file = NULL;
    assert_ok(larder_file_open(fs, path, mode, options, &file));
    return file;
}

static void assert_content(struct larder_fs *fs, const char *path, const void *content, size_t size)
{
    struct larder_bytes bytes;
    assert_ok(larder_cat_file(fs, path, NULL, &bytes));
    assert_int_equal(bytes.size, size);
    assert_memory_equal(bytes.data, content, size);
    larder_bytes_free(&bytes);
}

static void write_pieces(struct larder_file *file, size_t size, size_t piece)
{
    for (size_t at = 0; at < size; at += piece) {
        assert_int_equal(larder_file_tell(file), at);
        assert_ok(larder_file_write(file, data + at, size - at < piece ? size - at : piece));
    }
    assert_int_equal(larder_file_tell(file), size);
    assert_int_equal(larder_file_size(file), size);
}

static void remove_file(struct larder_fs *fs, const char *path)
{
    int rc = larder_rm_file(fs, path);
    assert_true(rc == 0 || rc == -ENOENT);
}

/* ---- when it shows ---- */

static void what_is_written_shows_at_the_close(void **state)
{
    static const size_t sizes[] = {0, 1, 1000, 1001, SIZE};
    for (size_t f = 0; f < ALL; f++)
        for (size_t s = 0; s < 5; s++) {
            remove_file(all[f], "shows");
            struct larder_file *file = open_file(all[f], "shows", "w", SMALL);
            write_pieces(file, sizes[s], 777);
            assert_status(0, larder_exists(all[f], "shows"));
            assert_ok(larder_file_close(file));
            assert_content(all[f], "shows", data, sizes[s]);
        }
    assert_int_equal(fake.staged, 0);
}

static void what_is_written_replaces_all_that_was_there(void **state)
{
    for (size_t f = 0; f < ALL; f++) {
        assert_ok(larder_pipe_file(all[f], "there", data, SIZE, 0));
        struct larder_file *file = open_file(all[f], "there", "wb", SMALL);
        write_pieces(file, 2500, 2500);
        assert_content(all[f], "there", data, SIZE);
        assert_ok(larder_file_close(file));
        assert_content(all[f], "there", data, 2500);
    }
}

static void what_is_discarded_never_was(void **state)
{
    for (size_t f = 0; f < ALL; f++)
        for (size_t size = 500; size < 9000; size += 8000) {
            assert_ok(larder_pipe_file(all[f], "kept", "old", 3, 0));
            struct larder_file *file = open_file(all[f], "kept", "w", SMALL);
            write_pieces(file, size, 100);
            larder_file_discard(file);
            assert_content(all[f], "kept", "old", 3);
        }
    assert_int_equal(fake.staged, 0);
}

static void a_flush_brings_it_to_the_place_and_shows_nothing(void **state)
{
    fake.parts = fake.writes = 0;
    remove_file(staging, "flushed");
    struct larder_file *file = open_file(staging, "flushed", "w", SMALL);
    assert_ok(larder_file_write(file, data, 10));
    assert_int_equal(fake.parts, 0);
    assert_ok(larder_file_flush(file));
    assert_int_equal(fake.parts, 1);
    assert_ok(larder_file_write(file, data + 10, 2000));
    assert_ok(larder_file_flush(file));
    assert_status(0, larder_exists(staging, "flushed"));
    assert_ok(larder_file_write(file, data + 2010, 100));
    assert_ok(larder_file_close(file));
    assert_content(staging, "flushed", data, 2110);
    assert_int_equal(fake.writes, 0);
    for (size_t f = 0; f < ALL; f++) {
        file = open_file(all[f], "flushed", "w", SMALL);
        for (size_t at = 0; at < 5000; at += 250) {
            assert_ok(larder_file_write(file, data + at, 250));
            assert_ok(larder_file_flush(file));
        }
        assert_ok(larder_file_close(file));
        assert_content(all[f], "flushed", data, 5000);
    }
}

static void a_file_of_one_part_is_one_write(void **state)
{
    struct larder_fs *places[] = {staging, plain};
    for (int i = 0; i < 2; i++) {
        fake.writes = fake.parts = fake.publishes = fake.infos = 0;
        struct larder_file *file = open_file(places[i], "one", "w", NULL);
        write_pieces(file, SIZE, 100);
        assert_ok(larder_file_close(file));
        assert_int_equal(fake.writes, 1);
        assert_int_equal(fake.parts + fake.publishes + fake.infos, 0);
        assert_content(places[i], "one", data, SIZE);
    }
}

static void the_writer_does_not_wait_for_parts_on_their_way(void **state)
{
    struct larder_file *file = open_file(staging, "flying", "w", OPTIONS("part_size=1000", "parts_max=3"));
    fake.parts = fake.parts_at_once = 0;
    fake.hold = true;
    assert_ok(larder_file_write(file, data, 4000)); /* would hang */
    fake.hold = false;
    assert_ok(larder_file_write(file, data + 4000, 3000));
    assert_ok(larder_file_close(file));
    assert_int_equal(fake.parts_at_once, 3);
    assert_content(staging, "flying", data, 7000);
}

/* ---- x ---- */

static void x_makes_what_was_not_there(void **state)
{
    for (size_t f = 0; f < ALL; f++)
        for (size_t size = 10; size < 5000; size += 4000) {
            struct larder_file *file = NULL;
            assert_ok(larder_pipe_file(all[f], "x", "old", 3, 0));
            assert_status(-EEXIST, larder_file_open(all[f], "x", "xb", NULL, &file));
            assert_ok(larder_rm_file(all[f], "x"));
            file = open_file(all[f], "x", "xb", SMALL);
            write_pieces(file, size, 1500);
            assert_ok(larder_pipe_file(all[f], "x", "meanwhile", 9, 0));
            assert_status(-EEXIST, larder_file_close(file));
            assert_content(all[f], "x", "meanwhile", 9);
            assert_ok(larder_rm_file(all[f], "x"));
            file = open_file(all[f], "x", "x", SMALL);
            write_pieces(file, size, 1500);
            assert_ok(larder_file_close(file));
            assert_content(all[f], "x", data, size);
        }
    assert_int_equal(fake.staged, 0);
}

/* ---- a ---- */

static void append(struct larder_fs *fs, const char *path, size_t from, size_t size, int status)
{
    struct larder_file *file = open_file(fs, path, "a", SMALL);
    assert_int_equal(larder_file_tell(file), from);
    assert_ok(larder_file_write(file, data + from, size));
    assert_int_equal(larder_file_tell(file), from + size);
    assert_status(status, larder_file_close(file));
}

static void a_writes_behind_what_is_there(void **state)
{
    for (size_t f = 0; f < ALL; f++) {
        remove_file(all[f], "a");
        append(all[f], "a", 0, 10, 0);
        append(all[f], "a", 10, 500, 0);
        append(all[f], "a", 510, 5000, 0);
        append(all[f], "a", 5510, 1, 0);
        assert_content(all[f], "a", data, 5511);
        fake.writes = fake.publishes = fake.reads = 0;
        struct larder_file *file = open_file(all[f], "a", "a", SMALL);
        assert_ok(larder_file_close(file)); /* nothing was written: nothing is done */
        assert_int_equal(fake.writes + fake.publishes + fake.reads, 0);
        file = open_file(all[f], "a", "a", SMALL);
        larder_file_discard(file);
        assert_content(all[f], "a", data, 5511);
    }
}

static void an_append_loses_nobodys_change(void **state)
{
    for (size_t f = 0; f < ALL; f++)
        for (size_t size = 10; size < 5000; size += 4000) {
            assert_ok(larder_pipe_file(all[f], "shared", data, size, 0));
            struct larder_file *early = open_file(all[f], "shared", "a", SMALL);
            struct larder_file *late = open_file(all[f], "shared", "a", SMALL);
            assert_ok(larder_file_write(late, "x", 1));
            assert_ok(larder_pipe_file(all[f], "shared", "other", 5, 0));
            assert_status(-ESTALE, larder_file_write(early, "x", 1));
            assert_status(-ESTALE, larder_file_close(early));
            assert_status(-ESTALE, larder_file_close(late));
            assert_content(all[f], "shared", "other", 5);

            remove_file(all[f], "new");
            early = open_file(all[f], "new", "a", SMALL);
            assert_ok(larder_file_write(early, data, size));
            assert_ok(larder_pipe_file(all[f], "new", "other", 5, 0));
            assert_status(-ESTALE, larder_file_close(early));
            assert_content(all[f], "new", "other", 5);
        }
    assert_int_equal(fake.staged, 0);
}

static void an_append_without_a_version_is_refused(void **state)
{
    struct larder_file *file = NULL;
    fake_put("weak", 20, 3)->flags = ANSWER_WEAK;
    assert_status(-ENOTSUP, larder_file_open(staging, "weak", "a", NULL, &file));
    assert_status(-EISDIR, larder_file_open(memory, "", "a", NULL, &file));
    assert_null(file);
}

/* ---- failures ---- */

static void the_first_failure_is_that_of_all_that_follows(void **state)
{
    struct larder_file *file = open_file(staging, "fails", "w", OPTIONS("part_size=1000", "parts_max=0"));
    fake.parts = 0;
    fake.fail_part = 2;
    assert_ok(larder_file_write(file, data, 2000));
    assert_status(-EIO, larder_file_write(file, data, 500));
    fake.fail_part = 0;
    assert_status(-EIO, larder_file_write(file, data, 1));
    assert_status(-EIO, larder_file_flush(file));
    assert_non_null(strstr(larder_error(), "part 1 is refused"));
    assert_status(-EIO, larder_file_close(file));
    assert_non_null(strstr(larder_error(), "part 1 is refused"));
    assert_status(0, larder_exists(staging, "fails"));
    assert_int_equal(fake.staged, 0);
}

static void a_close_that_fails_shows_nothing_and_frees_the_file(void **state)
{
    struct larder_file *file = open_file(local, "no/parent", "w", NULL);
    assert_ok(larder_file_write(file, "x", 1));
    assert_status(-ENOENT, larder_file_close(file));
    file = open_file(local, "no/parent", "w", SMALL);
    assert_ok(larder_file_write(file, data, SIZE));
    assert_status(-ENOENT, larder_file_close(file));
    assert_status(0, larder_exists(local, "no"));
    file = open_file(local, "no/parent", "w", OPTIONS("part_size=1000", "parents=true", "sync=true"));
    assert_ok(larder_file_write(file, data, SIZE));
    assert_ok(larder_file_close(file));
    assert_content(local, "no/parent", data, SIZE);
    for (size_t f = 0; f < 2; f++) {
        assert_ok(larder_mkdir(all[f], "isdir", true));
        file = open_file(all[f], "isdir", "w", NULL);
        assert_status(-EISDIR, larder_file_close(file));
    }
}

static void a_writer_moves_nowhere(void **state)
{
    struct larder_file *file = open_file(memory, "moves", "w", NULL);
    char byte;
    assert_ok(larder_file_write(file, data, 10));
    assert_int_equal(larder_file_seek(file, 0, SEEK_CUR), 10);
    assert_int_equal(larder_file_seek(file, 0, SEEK_END), 10);
    assert_int_equal(larder_file_seek(file, 10, SEEK_SET), 10);
    assert_int_equal(larder_file_seek(file, 9, SEEK_SET), -ESPIPE);
    assert_int_equal(larder_file_read(file, &byte, 1), -EBADF);
    assert_int_equal(larder_file_pread(file, &byte, 1, 0), -EBADF);
    assert_status(-EINVAL, larder_file_write(file, NULL, 5));
    assert_ok(larder_file_write(file, NULL, 0));
    assert_ok(larder_file_close(file));
    assert_content(memory, "moves", data, 10);
}

/* ---- tasks, threads, forks ---- */

static int write_in_a_task(void *arg)
{
    CHECK(larder_file_write(arg, data + 1000, 4000) == 0);
    CHECK(larder_file_flush(arg) == 0);
    return 0;
}

static int close_in_a_task(void *arg)
{
    return larder_file_close(arg);
}

static void a_writer_goes_from_thread_to_task_and_back(void **state)
{
    struct larder_loop *other;
    assert_ok(larder_loop_new(&other));
    for (size_t f = 0; f < ALL; f++) {
        bool async = larder_fs_is_async(all[f]);
        struct larder_file *file = open_file(all[f], "handed", "w", SMALL);
        assert_ok(larder_file_write(file, data, 1000));
        assert_ok(larder_sync(NULL, write_in_a_task, file, 0));
        assert_ok(larder_file_write(file, data + 5000, 3000));
        /* A task of another loop may have what is of no loop. */
        assert_status(async ? -EDEADLK : 0, larder_sync(other, close_in_a_task, file, 0));
        if (async)
            assert_ok(larder_sync(NULL, close_in_a_task, file, 0));
        assert_content(all[f], "handed", data, 8000);
    }
    assert_ok(larder_loop_close(other, NULL, NULL));
}

static int nothing(void *arg)
{
    return 0;
}

static void discard_there(void *arg, int status)
{
    larder_file_discard(arg);
}

static void a_file_is_discarded_on_a_loops_thread_as_well(void **state)
{
    for (size_t f = 0; f < ALL; f++) {
        struct larder_task *task;
        struct larder_file *file = open_file(all[f], "discarded", "w", SMALL);
        assert_ok(larder_file_write(file, data, SIZE));
        assert_ok(larder_spawn(NULL, nothing, NULL, discard_there, file, &task));
        assert_ok(larder_join(task));
        for (int i = 0; i < 5000 && fake.staged > 0; i++)
            usleep(1000);
        assert_int_equal(fake.staged, 0);
        assert_status(0, larder_exists(all[f], "discarded"));
    }
}

/* ---- a cancel ---- */

static size_t written;

static ssize_t write_and_cancel(int fd, const void *bytes, size_t size, off_t offset)
{
    written += size;
    larder_loop_cancel(larder_loop_default());
    return (ssize_t)size;
}

/* A part of the file's own size, and many in one write: neither goes on to its end. */
static void a_cancel_stops_a_thread_that_writes_parts(void **state)
{
    const char *const *const part_sizes[] = {OPTIONS("part_size=40M"), SMALL};
    const size_t size = ((size_t)40 << 20) + 1;
    char *bytes = calloc(1, size);
    assert_non_null(bytes);
    struct file_seam real = file_seam;
    for (size_t i = 0; i < 2; i++) {
        struct larder_file *file = open_file(local, "cancelled", "w", part_sizes[i]);
        written = 0;
        file_seam.pwrite = write_and_cancel;
        int rc = larder_file_write(file, bytes, size);
        file_seam = real;
        assert_int_equal(rc, -ECANCELED);
        assert_status(-ECANCELED, larder_file_close(file));
        assert_true(written < size / 2);
        assert_status(0, larder_exists(local, "cancelled"));
    }
    free(bytes);
}

static int child_of_a_writer(struct larder_file *closed, struct larder_file *discarded)
{
    if (larder_file_write(closed, "x", 1) != -ECHILD || larder_file_flush(closed) != -ECHILD ||
        larder_file_close(closed) != -ECHILD)
        return 1;
    larder_file_discard(discarded);
    return 0;
}

static void a_forks_child_neither_publishes_nor_drops(void **state)
{
    if (UNDER_TSAN)
        skip();
    for (size_t f = 0; f < ALL; f++) {
        struct larder_file *one = open_file(all[f], "one", "w", SMALL);
        struct larder_file *two = open_file(all[f], "two", "w", SMALL);
        assert_ok(larder_file_write(one, data, 5500));
        assert_ok(larder_file_write(two, data, 5500));
        pid_t child = fork();
        if (child == 0)
            _exit(child_of_a_writer(one, two));
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_ok(larder_file_close(one));
        assert_ok(larder_file_close(two));
        assert_content(all[f], "one", data, 5500);
        assert_content(all[f], "two", data, 5500);
    }
}

static void a_loop_that_is_gone_takes_its_files_along(void **state)
{
    struct larder_loop *loop;
    struct larder_fs *fs;
    assert_ok(larder_loop_new(&loop));
    assert_ok(fs_open(loop, "fake://", NULL, &fs, NULL));
    struct larder_file *closed = open_file(fs, "gone", "w", SMALL);
    struct larder_file *discarded = open_file(fs, "gone", "w", SMALL);
    assert_ok(larder_file_write(closed, data, 5500));
    assert_ok(larder_file_write(discarded, data, 5500));
    assert_ok(larder_loop_close(loop, NULL, NULL));
    assert_status(-EBADF, larder_file_close(closed));
    larder_file_discard(discarded);
    larder_fs_free(fs);
    fake_forget_staged();
}

static void a_disconnect_waits_for_parts_and_writes_nothing(void **state)
{
    struct larder_fs *fs;
    assert_ok(fs_open(NULL, "fake://", OPTIONS("asynchronous=true"), &fs, NULL));
    assert_ok(larder_fs_connect(fs));
    struct larder_file *file = open_file(fs, "gated", "w", SMALL);
    assert_ok(larder_file_write(file, data, 3500));
    assert_ok(larder_fs_disconnect(fs));
    assert_status(-ENOTCONN, larder_file_write(file, data, 3500));
    assert_status(-ENOTCONN, larder_file_close(file));
    larder_fs_free(fs);
    assert_status(0, larder_exists(staging, "gated"));
    fake_forget_staged();
}

/* ---- without memory ---- */

static int write_starved(void *arg)
{
    struct larder_fs *fs = arg;
    struct larder_file *file = NULL;
    int rc = larder_file_open(fs, "starved", "a", SMALL, &file);
    if (rc < 0)
        return rc;
    rc = larder_file_write(file, data, 1500);
    int flushed = larder_file_flush(file), closed = larder_file_close(file);
    if (rc < 0 || flushed < 0 || closed < 0)
        return -ENOMEM;
    return larder_file_open(fs, "starved", "w", SMALL, &file) < 0 ? -ENOMEM : larder_file_close(file);
}

static void every_allocation_may_fail(void **state)
{
    alloc_fault_run(write_starved, memory);
}

static int setup(void **state)
{
    tmp = tmpdir_make();
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i * 2654435761u >> 9);
    backend_register(&memory_backend);
    backend_register(&local_backend);
    backend_register(&fake_backend);
    fake.verbatim = true;
    assert_ok(fs_open(NULL, "memory://test_file_write", NULL, &memory, NULL));
    assert_ok(larder_makedirs(memory, "", true));
    assert_ok(fs_open(NULL, tmp, NULL, &local, NULL));
    assert_ok(fs_open(NULL, "fake://", OPTIONS("skip_instance_cache=true"), &plain, NULL));
    fake.stages = true;
    assert_ok(fs_open(NULL, "fake://", NULL, &staging, NULL));
    memcpy(all, (struct larder_fs *[]){memory, local, staging, plain}, sizeof all);
    return 0;
}

static int teardown(void **state)
{
    for (size_t f = 0; f < ALL; f++)
        larder_fs_free(all[f]);
    fake_reset();
    tmpdir_remove(tmp);
    return 0;
}

static void no_litter_is_left(void **state)
{
    assert_ok(larder_rm(local, "no", true));
    assert_ok(larder_rmdir(local, "isdir"));
    static const char *const names[] = {"shows",  "there", "kept",   "flushed", "x",  "a",
                                        "shared", "new",   "handed", "one",     "two"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        remove_file(local, names[i]);
    assert_int_equal(tmpdir_count(tmp), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_shows_at_the_close),
        cmocka_unit_test(what_is_written_replaces_all_that_was_there),
        cmocka_unit_test(what_is_discarded_never_was),
        cmocka_unit_test(a_flush_brings_it_to_the_place_and_shows_nothing),
        cmocka_unit_test(a_file_of_one_part_is_one_write),
        cmocka_unit_test(the_writer_does_not_wait_for_parts_on_their_way),
        cmocka_unit_test(x_makes_what_was_not_there),
        cmocka_unit_test(a_writes_behind_what_is_there),
        cmocka_unit_test(an_append_loses_nobodys_change),
        cmocka_unit_test(an_append_without_a_version_is_refused),
        cmocka_unit_test(the_first_failure_is_that_of_all_that_follows),
        cmocka_unit_test(a_close_that_fails_shows_nothing_and_frees_the_file),
        cmocka_unit_test(a_writer_moves_nowhere),
        cmocka_unit_test(a_writer_goes_from_thread_to_task_and_back),
        cmocka_unit_test(a_file_is_discarded_on_a_loops_thread_as_well),
        cmocka_unit_test(a_cancel_stops_a_thread_that_writes_parts),
        cmocka_unit_test(a_forks_child_neither_publishes_nor_drops),
        cmocka_unit_test(no_litter_is_left),
        cmocka_unit_test(a_loop_that_is_gone_takes_its_files_along),
        cmocka_unit_test(a_disconnect_waits_for_parts_and_writes_nothing),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
