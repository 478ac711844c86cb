/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions from outside: what is visible, to whom, and when. */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "larder.h"

#include "tmpdir.h"
#include "tree.h"
#include "txn_case.h"

/* ---- what appears ---- */

static void all_of_it_appears_with_the_commit(void **state)
{
    struct larder_fs *places[] = {local, memory};
    for (int i = 0; i < 2; i++) {
        struct larder_fs *fs = places[i];
        assert_ok(pipe_text(fs, "old", "1", LARDER_PARENTS));
        assert_ok(pipe_text(fs, "gone", "2", 0));
        start(fs);
        assert_ok(pipe_text(view, "new/deep/file", "3", LARDER_PARENTS));
        assert_ok(pipe_text(view, "old", "4", 0));
        assert_ok(larder_rm_file(view, "gone"));
        assert_text(view, "new/deep/file", "3");
        assert_text(view, "gone", NULL);
        assert_text(fs, "new/deep/file", NULL);
        assert_text(fs, "old", "1");
        assert_text(fs, "gone", "2");
        assert_ok(commit());
        assert_text(fs, "new/deep/file", "3");
        assert_text(fs, "old", "4");
        assert_text(fs, "gone", NULL);
        assert_status(-EBADF, larder_exists(view, "old"));
        larder_fs_free(view);
        view = NULL;
    }
    assert_clean(2);
}

static void nothing_of_it_appears_with_a_rollback(void **state)
{
    char *large = content_make(3 << 20, 1);
    assert_ok(pipe_text(local, "old", "1", 0));
    start(local);
    assert_ok(pipe_text(view, "old", "2", 0));
    assert_ok(pipe_text(view, "dir/new", "3", LARDER_PARENTS));
    assert_ok(larder_pipe_file(view, "large", large, 3 << 20, 0));
    assert_ok(larder_txn_rollback(txn));
    txn = NULL;
    assert_text(local, "old", "1");
    assert_clean(1);
    free(large);
}

static void several_places_change_together(void **state)
{
    struct larder_fs *other;
    start(local);
    assert_ok(larder_txn_fs(txn, memory, &other));
    assert_ok(pipe_text(view, "a", "1", 0));
    assert_ok(pipe_text(other, "b", "2", LARDER_PARENTS));
    assert_text(memory, "b", NULL);
    assert_ok(commit());
    assert_text(local, "a", "1");
    assert_text(memory, "b", "2");
    larder_fs_free(other);
    assert_clean(1);
}

/* Beside the journal, then in a temporary file of the place; and one that an open file wrote in parts. */
static void large_files_appear_whole(void **state)
{
    size_t size = (9 << 20) + 17;
    char *large = content_make(size, 1);
    struct larder_bytes bytes;
    struct larder_file *file;
    start(local);
    assert_ok(larder_pipe_file(view, "one", large, size, 0));
    assert_ok(larder_file_open(view, "two", "w", NULL, &file));
    assert_ok(larder_file_write(file, large, size));
    assert_ok(larder_file_close(file));
    assert_ok(larder_cat_file(view, "two", NULL, &bytes));
    assert_true(content_matches(bytes.data, bytes.size, 1, 0));
    larder_bytes_free(&bytes);
    assert_ok(commit());
    for (int i = 0; i < 2; i++) {
        assert_ok(larder_cat_file(local, i ? "two" : "one", NULL, &bytes));
        assert_int_equal(bytes.size, size);
        assert_true(content_matches(bytes.data, bytes.size, 1, 0));
        larder_bytes_free(&bytes);
    }
    assert_clean(2);
    free(large);
}

/* More than is kept in memory: what is replaced meanwhile leaves nothing in the journal. */
static void pipe_large(const char *path, uint64_t seed)
{
    size_t size = 3000000;
    char *data = content_make(size, seed);
    assert_ok(larder_pipe_file(view, path, data, size, 0));
    free(data);
}

/* Once: where it is to be, and not beside the journal. */
static void a_large_local_file_is_written_once(void **state)
{
    char *payload = tmpdir_path(journal, "payload");
    struct larder_bytes bytes = {0};
    start(local);
    pipe_large("a", 1);
    pipe_large("b", 2);
    assert_int_equal(tmpdir_count(tree), 2);
    assert_int_equal(tmpdir_count(payload), 0);
    assert_ok(larder_cat_file(view, "a", &(struct larder_range){1000000, 2500000}, &bytes));
    assert_true(bytes.size == 1500000 && content_matches(bytes.data, bytes.size, 1, 1000000));
    larder_bytes_free(&bytes);
    assert_status(-ENOENT, larder_cat_file(local, "a", NULL, &bytes));
    pipe_large("a", 3); /* what it was to be before goes at once */
    assert_int_equal(tmpdir_count(tree), 2);
    assert_ok(commit());
    assert_ok(larder_cat_file(local, "a", NULL, &bytes));
    assert_true(bytes.size == 3000000 && content_matches(bytes.data, bytes.size, 3, 0));
    larder_bytes_free(&bytes);
    assert_clean(2);
    free(payload);
}

static void nothing_of_large_files_is_left_after_a_rollback(void **state)
{
    struct larder_file *file;
    char *data = content_make(1 << 20, 1);
    start(local);
    pipe_large("a", 1);
    assert_ok(larder_file_open(view, "b", "w", NULL, &file));
    for (unsigned i = 0; i < 40; i++)
        assert_true(larder_file_write(file, data, 1 << 20) == 0);
    assert_true(tmpdir_count(tree) > 1);
    assert_ok(larder_txn_rollback(txn));
    txn = NULL;
    assert_status(-EBADF, larder_file_close(file));
    assert_clean(0);
    free(data);
}

/* The bytes of both stay where they are. */
static void a_commit_that_failed_can_be_tried_again_with_its_large_files(void **state)
{
    start(local);
    pipe_large("a", 1);
    assert_ok(pipe_text(view, "b", "ours", LARDER_CREATE));
    tree_write(tree, "b", "theirs", 6);
    assert_status(-EEXIST, commit());
    assert_ok(larder_rm_file(local, "b"));
    assert_ok(commit());
    assert_text(local, "b", "ours");
    assert_clean(2);
}

static void expect_tree(struct larder_fs *fs, const char *path, size_t files)
{
    struct larder_entries entries;
    assert_ok(larder_find(fs, path, NULL, &entries));
    assert_int_equal(entries.count, files);
    larder_entries_free(&entries);
}

static void trees_are_put_and_made_alike_inside(void **state)
{
    char *source = tmpdir_path(scratch, "source");
    const char *const sources[] = {source};
    const struct larder_copy_options all = {.size = sizeof all, .recursive = true};
    const struct larder_rsync_options alike = {.size = sizeof alike, .remove_extra = true};
    struct larder_fs *disk;
    assert_int_equal(mkdir(source, 0700), 0);
    assert_int_equal(tree_make(source, 2, 3, 4, 70000), 16); /* staged with their place */
    tree_write(tree, "to/extra", "extra", 5);
    start(local);
    assert_ok(larder_put(sources, 1, view, "put", &all));
    expect_tree(view, "put", 16);
    assert_ok(larder_open(NULL, source, NULL, &disk, NULL));
    assert_ok(larder_rsync(disk, "", view, "to", &alike));
    expect_tree(view, "to", 16);
    expect_tree(local, "to", 1);
    assert_ok(commit());
    expect_tree(local, "put", 16);
    expect_tree(local, "to", 16);
    assert_true(tree_has(tree, "to/d1/f3") && tree_has(tree, "put/d2/f0") && !tree_has(tree, "to/extra"));
    assert_clean(2);
    larder_fs_free(disk);
    free(source);
}

static void many_small_writes_go_through_the_journal(void **state)
{
    char *text = content_make(60000, 5), path[32];
    struct larder_bytes bytes;
    start(local);
    for (int i = 0; i < 400; i++) {
        snprintf(path, sizeof path, "f%d", i % 200);
        text[0] = (char)i;
        assert_ok(larder_pipe_file(view, path, text, 60000, 0));
    }
    assert_int_equal(listed(), 1);
    for (int i = 0; i < 200; i += 50) {
        snprintf(path, sizeof path, "f%d", i);
        assert_ok(larder_cat_file(view, path, NULL, &bytes));
        assert_int_equal(((const char *)bytes.data)[0], (char)(i + 200));
        larder_bytes_free(&bytes);
    }
    assert_ok(commit());
    for (int i = 0; i < 200; i++) {
        snprintf(path, sizeof path, "f%d", i);
        assert_ok(larder_cat_file(local, path, NULL, &bytes));
        assert_int_equal(bytes.size, 60000);
        assert_int_equal(((const char *)bytes.data)[0], (char)(i + 200));
        larder_bytes_free(&bytes);
    }
    assert_clean(200);
    free(text);
}

static void a_file_takes_a_directorys_place_and_the_reverse(void **state)
{
    assert_ok(pipe_text(local, "d/e/f", "1", LARDER_PARENTS));
    assert_ok(pipe_text(local, "g", "2", 0));
    start(local);
    assert_ok(larder_rm(view, "d", true));
    assert_ok(pipe_text(view, "d", "file", 0));
    assert_ok(larder_rm_file(view, "g"));
    assert_ok(pipe_text(view, "g/h", "below", LARDER_PARENTS));
    assert_ok(commit());
    assert_text(local, "d", "file");
    assert_text(local, "g/h", "below");
    assert_clean(2);
}

static void move(const char *from, const char *to)
{
    assert_ok(larder_mv(view, &from, 1, view, to, NULL));
}

static void moves_and_maps_work_inside(void **state)
{
    struct larder_map *map;
    assert_ok(pipe_text(local, "a", "A", 0));
    assert_ok(pipe_text(local, "b", "B", 0));
    start(local);
    move("a", "tmp");
    move("b", "a");
    move("tmp", "b");
    assert_ok(larder_map_new(view, "", 0, &map));
    assert_ok(larder_map_set(map, "k/y", "v", 1));
    larder_map_free(map);
    assert_ok(commit());
    assert_text(local, "a", "B");
    assert_text(local, "b", "A");
    assert_text(local, "k/y", "v");
    assert_clean(3);
}

/* ---- an end that is refused ---- */

static void end_it_too(void *arg, const struct larder_txn_result *result)
{
    int *status = arg;
    status[0] = larder_end_transaction(txn, true);
    status[1] = larder_txn_rollback(txn);
}

static void who_ends_it_while_it_is_committed_is_refused(void **state)
{
    int status[2] = {0, 0};
    const struct larder_txn_commit_options how = {.size = sizeof how, .published = end_it_too, .arg = status};
    start(local);
    assert_ok(pipe_text(view, "a", "1", 0));
    assert_ok(larder_txn_commit(txn, &how));
    txn = NULL;
    assert_status(-EBUSY, status[0]);
    assert_status(-EBUSY, status[1]);
    assert_text(local, "a", "1");
    assert_clean(1);
}

static int do_nothing(void *arg)
{
    return 0;
}

static void end_on_the_loop(void *arg, int status)
{
    *(int *)arg = larder_end_transaction(txn, true);
}

static void an_end_that_is_refused_loses_nothing(void **state)
{
    struct larder_task *task;
    int status = 0;
    start(local);
    assert_ok(pipe_text(view, "a", "1", 0));
    assert_ok(larder_spawn(NULL, do_nothing, NULL, end_on_the_loop, &status, &task));
    assert_ok(larder_join(task));
    assert_status(-EDEADLK, status);
    assert_ok(larder_end_transaction(txn, true));
    txn = NULL;
    assert_text(local, "a", "1");
    assert_clean(1);
}

static struct larder_task *ending;

static int end_when_cancelled(void *arg)
{
    larder_cancel(ending);
    return larder_end_transaction(txn, true);
}

static void a_cancelled_end_leaves_nothing_behind(void **state)
{
    start(local);
    assert_ok(pipe_text(view, "small", "1", 0));
    pipe_large("large", 1);
    assert_ok(larder_txn_barrier(txn));
    assert_ok(larder_spawn(NULL, end_when_cancelled, NULL, NULL, NULL, &ending));
    assert_status(-ECANCELED, larder_join(ending));
    txn = NULL;
    assert_clean(0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(all_of_it_appears_with_the_commit),
        CASE(nothing_of_it_appears_with_a_rollback),
        CASE(several_places_change_together),
        CASE(large_files_appear_whole),
        CASE(a_large_local_file_is_written_once),
        CASE(nothing_of_large_files_is_left_after_a_rollback),
        CASE(a_commit_that_failed_can_be_tried_again_with_its_large_files),
        CASE(trees_are_put_and_made_alike_inside),
        CASE(many_small_writes_go_through_the_journal),
        CASE(a_file_takes_a_directorys_place_and_the_reverse),
        CASE(moves_and_maps_work_inside),
        CASE(who_ends_it_while_it_is_committed_is_refused),
        CASE(an_end_that_is_refused_loses_nothing),
        CASE(a_cancelled_end_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
