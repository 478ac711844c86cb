/* SPDX-License-Identifier: Apache-2.0 */
/* A process that is killed while it writes a local file: the target is the old file or the new one, never a part. */
#include "test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder.h"

#include "backends/backends.h"
#include "fs/fs.h"
#include "tmpdir.h"
#include "tree.h"

#define SIZE 300000
#define OLD  1
#define NEW  2

static char *dir;

/* In parts or, with `small`, in one. `stop` before the close: killed there. */
static int write_file(bool small, bool stop)
{
    const char *const options[] = {small ? "part_size=1M" : "part_size=10K", NULL};
    struct larder_file *file = NULL;
    struct larder_fs *fs;
    char *data = content_make(SIZE, NEW);
    if (fs_open(NULL, dir, NULL, &fs, NULL) < 0 || larder_file_open(fs, "f", "w", options, &file) < 0 ||
        larder_file_write(file, data, SIZE) < 0)
        return 1;
    if (stop)
        kill(getpid(), SIGKILL);
    return larder_file_close(file) < 0;
}

static int get_tree(void)
{
    struct larder_copy_options options = {.size = sizeof options, .recursive = true};
    struct larder_fs *fs = NULL;
    char *data = content_make(SIZE, NEW), *target = tmpdir_path(dir, "t");
    if (fs_open(NULL, "memory://", NULL, &fs, NULL) < 0 ||
        larder_pipe_file(fs, "s/f", data, SIZE, LARDER_PARENTS) < 0 ||
        larder_pipe_file(fs, "s/g", data, 5, 0) < 0)
        return 1;
    return larder_get(fs, (const char *[]){"s/"}, 1, target, &options) < 0;
}

enum { WRITE_PARTS, WRITE_SMALL, GET_TREE };

static int run(int how, bool stop, const char *crash_at)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        if (crash_at)
            setenv("LARDER_CRASH_AT", crash_at, 1);
        _exit(how == GET_TREE ? get_tree() : write_file(how == WRITE_SMALL, stop));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void assert_content(uint64_t seed)
{
    size_t size;
    char *data = tree_read(dir, "f", &size);
    assert_non_null(data);
    assert_int_equal(size, SIZE);
    assert_true(content_matches(data, size, seed, 0));
    free(data);
}

static void a_writer_that_is_killed_leaves_the_target_as_it_was(void **state)
{
    struct larder_entries entries;
    struct larder_fs *fs;
    for (int small = 0; small < 2; small++)
        for (int stop = 0; stop < 2; stop++) {
            tree_write_content(dir, "f", SIZE, OLD);
            int status = run(small ? WRITE_SMALL : WRITE_PARTS, stop, stop ? NULL : "local.before_rename");
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
            assert_content(OLD);
        }
    assert_true(tmpdir_count(dir) > 1); /* what they left is nobody's file */
    assert_ok(fs_open(NULL, dir, NULL, &fs, NULL));
    assert_ok(larder_ls(fs, "", &entries));
    assert_int_equal(entries.count, 1);
    larder_entries_free(&entries);
    assert_int_equal(run(WRITE_PARTS, false, NULL), 0);
    assert_content(NEW);
    assert_ok(larder_rm(fs, "f", false));
    larder_fs_free(fs);
}

/* The names that are left are those that path_is_temporary knows: no listing shows them, and rmdir takes them along. */
static void a_get_that_is_killed_leaves_no_part_and_the_next_one_is_whole(void **state)
{
    struct larder_entries entries;
    struct larder_fs *fs;
    int status = run(GET_TREE, false, "local.before_rename");
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_ok(fs_open(NULL, dir, NULL, &fs, NULL));
    assert_ok(larder_find(fs, "", NULL, &entries));
    assert_int_equal(entries.count, 0);
    larder_entries_free(&entries);
    assert_true(tmpdir_count(dir) > 0);
    assert_int_equal(run(GET_TREE, false, NULL), 0);
    assert_ok(larder_find(fs, "t", NULL, &entries));
    assert_int_equal(entries.count, 2);
    assert_true(entries.info[0].size == SIZE && entries.info[1].size == 5);
    larder_entries_free(&entries);
    assert_ok(larder_rm(fs, "t", true));
    assert_status(0, larder_exists(fs, "t"));
    larder_fs_free(fs);
}

static int setup(void **state)
{
    dir = tmpdir_make();
    backend_register(&memory_backend);
    return backend_register(&local_backend);
}

static int teardown(void **state)
{
    tmpdir_remove(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_writer_that_is_killed_leaves_the_target_as_it_was),
        cmocka_unit_test(a_get_that_is_killed_leaves_no_part_and_the_next_one_is_whole),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
