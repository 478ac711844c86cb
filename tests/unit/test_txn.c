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

static char *scratch, *tree, *journal;
static struct larder_fs *local, *memory, *view;
static struct larder_txn *txn;

static int begin(void **state)
{
    scratch = tmpdir_make();
    tree = tmpdir_path(scratch, "tree");
    journal = tmpdir_path(scratch, "journal");
    if (mkdir(tree, 0700) < 0 || larder_open(NULL, tree, NULL, &local, NULL) < 0)
        return -1;
    return larder_open(NULL, "memory://test_txn", NULL, &memory, NULL);
}

static int end(void **state)
{
    larder_fs_free(view);
    larder_txn_rollback(txn);
    larder_rm(memory, "", true);
    larder_fs_free(local);
    larder_fs_free(memory);
    view = NULL;
    txn = NULL;
    free(journal);
    free(tree);
    tmpdir_remove(scratch);
    return 0;
}

static void start(struct larder_fs *fs)
{
    char option[300];
    snprintf(option, sizeof option, "journal=%s", journal);
    const char *const options[] = {option, "note=a test", NULL};
    assert_ok(larder_txn_begin(options, &txn));
    assert_ok(larder_txn_fs(txn, fs, &view));
}

static int commit(void)
{
    int rc = larder_txn_commit(txn, NULL);
    if (rc == 0 || rc == -EINPROGRESS)
        txn = NULL;
    return rc;
}

static void assert_text(struct larder_fs *fs, const char *path, const char *expected)
{
    struct larder_bytes bytes = {0};
    int rc = larder_cat_file(fs, path, NULL, &bytes);
    if (!expected) {
        assert_status(-ENOENT, rc);
        return;
    }
    assert_ok(rc);
    assert_int_equal(bytes.size, strlen(expected));
    assert_memory_equal(bytes.data, expected, bytes.size);
    larder_bytes_free(&bytes);
}

static int count_one(void *arg, const struct larder_txn_info *info)
{
    ++*(int *)arg;
    return 0;
}

static int listed(void)
{
    int count = 0;
    assert_ok(larder_txn_list(journal, count_one, &count));
    return count;
}

static int count_files(const char *dir)
{
    DIR *all = opendir(dir);
    int count = 0;
    assert_non_null(all);
    while (readdir(all))
        count++;
    closedir(all);
    return count - 2;
}

/* Nothing of it in the journal, nor beside it, nor a temporary file. */
static void assert_clean(int files)
{
    char *payload = tmpdir_path(journal, "payload");
    assert_int_equal(listed(), 0);
    assert_int_equal(count_files(payload), 0);
    assert_int_equal(count_files(tree), files);
    free(payload);
}

static int pipe_text(struct larder_fs *fs, const char *path, const char *text, unsigned flags)
{
    return larder_pipe_file(fs, path, text, strlen(text), flags);
}

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
    assert_int_equal(count_files(tree), 2);
    assert_int_equal(count_files(payload), 0);
    assert_ok(larder_cat_file(view, "a", &(struct larder_range){1000000, 2500000}, &bytes));
    assert_true(bytes.size == 1500000 && content_matches(bytes.data, bytes.size, 1, 1000000));
    larder_bytes_free(&bytes);
    assert_status(-ENOENT, larder_cat_file(local, "a", NULL, &bytes));
    pipe_large("a", 3); /* what it was to be before goes at once */
    assert_int_equal(count_files(tree), 2);
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
    assert_true(count_files(tree) > 1);
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

/* ---- conditions ---- */

static void a_condition_that_does_not_hold_publishes_nothing(void **state)
{
    struct larder_info info;
    assert_ok(pipe_text(local, "mine", "1", 0));
    assert_ok(larder_info(local, "mine", &info));
    start(local);
    assert_ok(pipe_text(view, "other", "2", 0));
    assert_ok(larder_replace_file(view, "mine", "3", 1, info.version, 0));
    assert_ok(pipe_text(view, "made", "4", LARDER_CREATE));
    assert_ok(pipe_text(local, "mine", "elsewhere", 0)); /* by somebody else */
    assert_status(-ESTALE, commit());
    assert_non_null(strstr(larder_error(), "mine"));
    assert_text(local, "mine", "elsewhere");
    assert_text(local, "made", NULL);
    assert_text(local, "other", NULL);
    /* It is open as before. */
    assert_text(view, "mine", "3");
    assert_ok(larder_rm_file(local, "mine"));
    assert_status(-ESTALE, commit());
    assert_ok(larder_txn_rollback(txn));
    txn = NULL;
    assert_clean(0);
    larder_info_free(&info);
}

static void of_two_that_create_one_file_the_second_is_told(void **state)
{
    struct larder_txn *first;
    struct larder_fs *first_view;
    start(local);
    first = txn;
    first_view = view;
    assert_ok(pipe_text(first_view, "one", "first", LARDER_CREATE));
    start(local);
    assert_ok(pipe_text(view, "one", "second", LARDER_CREATE));
    assert_ok(pipe_text(view, "two", "second", 0));
    assert_ok(larder_txn_commit(first, NULL));
    assert_status(-EEXIST, commit());
    assert_ok(larder_txn_rollback(txn));
    txn = NULL;
    assert_text(local, "one", "first");
    assert_text(local, "two", NULL);
    larder_fs_free(first_view);
    assert_clean(1);
}

/* ---- refusals ---- */

static void a_view_of_a_view_is_refused(void **state)
{
    struct larder_fs *again;
    start(local);
    assert_status(-EINVAL, larder_txn_fs(txn, view, &again));
    assert_non_null(strstr(larder_error(), "view"));
}

static void an_unknown_option_is_refused(void **state)
{
    const char *const options[] = {"jurnal=/tmp", NULL};
    assert_status(-EINVAL, larder_txn_begin(options, &txn));
}

/* ---- results ---- */

struct results {
    char text[300];
};

static void add_result(void *arg, const struct larder_txn_result *result)
{
    struct results *results = arg;
    size_t used = strlen(results->text);
    snprintf(results->text + used, sizeof results->text - used, "%s %lld %d\n", strrchr(result->url, '/') + 1,
             (long long)result->bytes, result->version != NULL);
}

static void a_commit_tells_what_it_wrote(void **state)
{
    struct results results = {""};
    const struct larder_txn_commit how = {.size = sizeof how, .published = add_result, .arg = &results};
    assert_ok(pipe_text(local, "gone", "x", 0));
    start(local);
    assert_ok(pipe_text(view, "b", "22", 0));
    assert_ok(pipe_text(view, "a", "1", 0));
    assert_ok(larder_rm_file(view, "gone"));
    assert_ok(larder_txn_commit(txn, &how));
    txn = NULL;
    assert_string_equal(results.text, "a 1 1\nb 2 1\n");
}

static void fsspecs_words_are_the_same(void **state)
{
    setenv("LARDER_STATE_DIR", journal, 1);
    assert_ok(larder_start_transaction(local, &txn, &view));
    assert_ok(pipe_text(view, "a", "1", 0));
    assert_ok(larder_end_transaction(txn, true));
    larder_fs_free(view);
    assert_ok(larder_start_transaction(local, &txn, &view));
    assert_ok(pipe_text(view, "a", "2", 0));
    assert_ok(larder_end_transaction(txn, false));
    txn = NULL;
    assert_text(local, "a", "1");
    assert_clean(1);
    unsetenv("LARDER_STATE_DIR");
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
        CASE(a_condition_that_does_not_hold_publishes_nothing),
        CASE(of_two_that_create_one_file_the_second_is_told),
        CASE(a_view_of_a_view_is_refused),
        CASE(an_unknown_option_is_refused),
        CASE(a_commit_tells_what_it_wrote),
        CASE(fsspecs_words_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
