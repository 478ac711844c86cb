/* SPDX-License-Identifier: Apache-2.0 */
/* What a transaction's view shows and refuses; that the place behind it sees nothing. Memory, and local files. */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder.h"

#include "fs/fs.h"
#include "task_test.h"
#include "tmpdir.h"
#include "txn/member.h"
#include "txn/view.h"

static struct larder_fs *origins[2];
static struct larder_fs *origin, *view; /* of this run */
static struct larder_txn *txn;
static char *dir;

static struct larder_txn *begin_another(void)
{
    char journal[600];
    struct larder_txn *made;
    snprintf(journal, sizeof journal, "journal=%s/journal", dir);
    assert_ok(larder_txn_begin((const char *const[]){journal, NULL}, &made));
    return made;
}

static struct larder_fs *view_of_fs(struct larder_txn *of, struct larder_fs *fs)
{
    struct larder_fs *made;
    assert_ok(larder_txn_fs(of, fs, &made));
    return made;
}

static void begin(size_t which)
{
    origin = origins[which];
    larder_rm(origin, "t", true);
    assert_ok(larder_makedirs(origin, "t", true));
    txn = begin_another();
    view = view_of_fs(txn, origin);
}

static void end(void)
{
    assert_ok(larder_txn_rollback(txn));
    larder_fs_free(view);
    assert_ok(larder_rm(origin, "t", true));
}

static void put(struct larder_fs *fs, const char *path, const char *text)
{
    assert_ok(larder_pipe_file(fs, path, text, strlen(text), LARDER_PARENTS));
}

static void expect(struct larder_fs *fs, const char *path, const char *text)
{
    struct larder_bytes bytes;
    assert_ok(larder_cat_file(fs, path, NULL, &bytes));
    assert_string_equal(bytes.data, text);
    larder_bytes_free(&bytes);
}

/* "a b/": every file below t, directories with a slash. */
static void expect_all(struct larder_fs *fs, const char *names)
{
    struct larder_entries entries;
    char text[1000] = "";
    assert_ok(larder_find(fs, "t",
                          &(struct larder_find_options){sizeof(struct larder_find_options), .dirs = true},
                          &entries));
    for (size_t i = 0; i < entries.count; i++) {
        bool directory = entries.info[i].type == LARDER_DIRECTORY;
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s%s", *text ? " " : "",
                 entries.info[i].name, directory ? "/" : "");
    }
    larder_entries_free(&entries);
    assert_string_equal(text, names);
}

static const struct change *change_at(const char *path)
{
    struct member *member = txn_member_of(view);
    char full[600];
    snprintf(full, sizeof full, "%s%s%s", view->root, *view->root ? "/" : "", path);
    return overlay_at(&member->overlay, full);
}

/* ---- one transaction's own changes ---- */

static void changes_show_inside_and_nowhere_else(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        begin(i);
        put(origin, "t/old", "old");
        put(origin, "t/d/x", "x");
        put(view, "t/new", "new");
        put(view, "t/old", "newer");
        put(view, "t/e/f/g", "deep");
        assert_ok(larder_rm(view, "t/d", true));
        expect_all(view, "e/ e/f/ e/f/g new old");
        expect(view, "t/old", "newer");
        expect(view, "t/e/f/g", "deep");
        assert_int_equal(larder_exists(view, "t/d/x"), 0);
        assert_int_equal(larder_exists(view, "t/d"), 0);
        expect_all(origin, "d/ d/x old");
        expect(origin, "t/old", "old");
        end();
    }
}

static void what_is_moved_can_be_moved_on(void **state)
{
    const char *one = "t/one", *two = "t/two", *aside = "t/aside", *tree = "t/d";
    for (size_t i = 0; i < 2; i++) {
        begin(i);
        put(origin, one, "1");
        put(origin, two, "2");
        put(origin, "t/d/x/y", "y");
        assert_ok(larder_mv(view, &one, 1, view, aside, NULL));
        assert_ok(larder_mv(view, &two, 1, view, one, NULL));
        assert_ok(larder_mv(view, &aside, 1, view, two, NULL));
        assert_ok(larder_mv(view, &tree, 1, view, "t/moved", NULL));
        expect(view, one, "2");
        expect(view, two, "1");
        expect(view, "t/moved/x/y", "y");
        expect_all(view, "moved/ moved/x/ moved/x/y one two");
        expect_all(origin, "d/ d/x/ d/x/y one two");
        expect(origin, one, "1");
        end();
    }
}

static void a_file_takes_a_directorys_place_and_back(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        begin(i);
        put(origin, "t/a/x", "x");
        put(origin, "t/b", "b");
        assert_int_equal(larder_pipe_file(view, "t/a", "a", 1, 0), -EISDIR);
        assert_ok(larder_rm(view, "t/a", true));
        put(view, "t/a", "file");
        assert_int_equal(change_at("t/a")->before, BEFORE_DIRECTORY);
        assert_int_equal(larder_pipe_file(view, "t/a/y", "y", 1, LARDER_PARENTS), -ENOTDIR);
        assert_ok(larder_rm_file(view, "t/b"));
        put(view, "t/b/c", "c");
        assert_int_equal(change_at("t/b")->kind, CHANGE_MKDIR);
        assert_int_equal(change_at("t/b")->before, BEFORE_FILE);
        expect_all(view, "a b/ b/c");
        assert_ok(larder_rm(view, "t/b", true));
        assert_int_equal(change_at("t/b")->kind, CHANGE_REMOVE); /* what the place has there is a file */
        assert_ok(larder_rm_file(view, "t/a"));
        assert_int_equal(change_at("t/a")->kind, CHANGE_RMDIR);
        expect_all(view, "");
        end();
    }
}

static void what_comes_and_goes_leaves_no_change(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        begin(i);
        put(view, "t/f", "f");
        assert_ok(larder_rm_file(view, "t/f"));
        assert_ok(larder_mkdir(view, "t/d", false));
        assert_int_equal(larder_mkdir(view, "t/d", false), -EEXIST);
        put(view, "t/d/f", "f");
        assert_int_equal(larder_rmdir(view, "t/d"), -ENOTEMPTY);
        assert_ok(larder_rm(view, "t/d", true));
        assert_int_equal(larder_rmdir(view, "t/d"), -ENOENT);
        assert_int_equal(txn_member_of(view)->overlay.count, 0);
        assert_int_equal(larder_rm_file(view, "t/f"), -ENOENT);
        assert_int_equal(larder_rm_file(view, "t"), -EISDIR);
        end();
    }
}

/* ---- conditions ---- */

static char *version_of(struct larder_fs *fs, const char *path)
{
    struct larder_info info;
    assert_ok(larder_info(fs, path, &info));
    char *version = strdup(info.version);
    larder_info_free(&info);
    return version;
}

static void the_first_changes_conditions_are_the_places(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        begin(i);
        put(origin, "t/old", "old");
        char *old = version_of(view, "t/old");
        assert_int_equal(larder_replace_file(view, "t/old", "x", 1, "another", 0), -ESTALE);
        assert_int_equal(larder_replace_file(view, "t/none", "x", 1, old, 0), -ESTALE);
        assert_ok(larder_replace_file(view, "t/old", "one", 3, old, 0));
        assert_int_equal(larder_replace_file(view, "t/old", "x", 1, old, 0), -ESTALE);
        char *own = version_of(view, "t/old");
        assert_ok(larder_replace_file(view, "t/old", "two", 3, own, 0));
        assert_string_equal(change_at("t/old")->if_match, old);
        assert_ok(larder_rm_file(view, "t/old"));
        assert_string_equal(change_at("t/old")->if_match, old);
        assert_ok(larder_pipe_file(view, "t/old", "three", 5, LARDER_CREATE)); /* it is free: we removed it */
        assert_false(change_at("t/old")->create);
        assert_string_equal(change_at("t/old")->if_match, old);

        assert_ok(larder_pipe_file(view, "t/new", "1", 1, LARDER_CREATE));
        assert_int_equal(larder_pipe_file(view, "t/new", "2", 1, LARDER_CREATE), -EEXIST);
        put(view, "t/new", "2");
        assert_true(change_at("t/new")->create);
        assert_int_equal(larder_pipe_file(view, "t/old", "2", 1, LARDER_CREATE), -EEXIST);
        free(old);
        free(own);
        end();
    }
}

/* ---- several at once ---- */

#define THREADS 8

static void *create(void *arg)
{
    int *created = arg;
    for (int i = 0; i < 50; i++) {
        char path[32];
        snprintf(path, sizeof path, "t/%d", i);
        *created += larder_pipe_file(view, path, "x", 1, LARDER_CREATE) == 0;
    }
    return NULL;
}

static void of_many_creations_of_a_name_one_wins(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        pthread_t threads[THREADS];
        int created[THREADS] = {0}, all = 0;
        begin(i);
        for (int t = 0; t < THREADS; t++)
            pthread_create(&threads[t], NULL, create, &created[t]);
        for (int t = 0; t < THREADS; t++) {
            pthread_join(threads[t], NULL);
            all += created[t];
        }
        assert_int_equal(all, 50);
        end();
    }
}

static void transactions_do_not_see_each_other(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        begin(i);
        struct larder_txn *other = begin_another();
        struct larder_fs *seen = view_of_fs(other, origin);
        put(view, "t/f", "one");
        assert_int_equal(larder_exists(seen, "t/f"), 0);
        put(seen, "t/f", "two");
        expect(view, "t/f", "one");
        expect(seen, "t/f", "two");
        assert_ok(larder_txn_rollback(other));
        larder_fs_free(seen);
        end();
    }
}

static void *write_more(void *arg)
{
    for (int i = 0; i < 200; i++) {
        char path[32];
        snprintf(path, sizeof path, "t/%04d", i * 7 % 3000);
        assert_ok(larder_pipe_file(view, path, "changed", 7, 0));
    }
    return NULL;
}

static void a_listing_names_each_once_whatever_is_written(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        struct larder_entries entries;
        pthread_t writer;
        char path[32];
        begin(i);
        for (int f = 0; f < 3000; f++) {
            snprintf(path, sizeof path, "t/%04d", f);
            assert_ok(larder_pipe_file(f % 2 ? origin : view, path, "x", 1, 0));
        }
        pthread_create(&writer, NULL, write_more, NULL);
        for (int round = 0; round < 10; round++) {
            assert_ok(larder_ls(view, "t", &entries));
            assert_int_equal(entries.count, 3000);
            for (size_t f = 0; f < entries.count; f++) {
                snprintf(path, sizeof path, "%04zu", f);
                assert_string_equal(entries.info[f].name, path);
            }
            larder_entries_free(&entries);
        }
        pthread_join(writer, NULL);
        end();
    }
}

/* ---- handles ---- */

static void a_view_keeps_its_root_and_has_no_view(void **state)
{
    struct larder_fs *rooted, *inner, *none;
    begin(0);
    assert_ok(larder_fs_at(origin, "t", NULL, &rooted));
    inner = view_of_fs(txn, rooted);
    assert_ok(larder_pipe_file(inner, "f", "x", 1, 0));
    expect(view, "t/f", "x");
    assert_int_equal(larder_exists(inner, "t"), 0);
    assert_true(larder_fs_is_same(inner, view)); /* one member, whatever the root */
    assert_int_equal(larder_txn_fs(txn, view, &none), -EINVAL);
    assert_non_null(strstr(larder_error(), "view"));
    larder_fs_free(inner);
    larder_fs_free(rooted);
    end();
}

static void a_view_has_its_places_urls_and_no_record(void **state)
{
    char *url, *text;
    begin(1);
    assert_ok(larder_fs_url(view, "t/f", &url));
    assert_true(strncmp(url, "file://", 7) == 0);
    larder_free(url);
    assert_int_equal(larder_fs_to_json(view, false, &text), -ENOTSUP);
    end();
}

/* As after a crash of the program's own logic: nothing is left, and nothing leaks. */
static void a_writer_may_outlive_its_transaction(void **state)
{
    static char bytes[3 << 20];
    struct larder_file *file;
    for (int closes = 0; closes < 2; closes++) {
        begin(1);
        assert_ok(larder_file_open(view, "t/f", "w", (const char *const[]){"part_size=1M", NULL}, &file));
        assert_ok(larder_file_write(file, bytes, sizeof bytes));
        assert_ok(larder_txn_rollback(txn));
        if (closes)
            assert_int_equal(larder_file_close(file), -EBADF);
        else
            larder_file_discard(file);
        larder_fs_free(view);
        assert_int_equal(larder_exists(origin, "t/f"), 0);
    }
}

static void everything_is_freed_in_any_order(void **state)
{
    struct larder_entries entries;
    struct larder_bytes bytes;
    for (int order = 0; order < 4; order++) {
        begin(order % 2);
        put(view, "t/f", "x");
        if (order < 2)
            larder_fs_free(view);
        assert_ok(larder_txn_rollback(txn));
        if (order < 2)
            continue;
        assert_int_equal(larder_cat_file(view, "t/f", NULL, &bytes), -EBADF);
        assert_int_equal(larder_pipe_file(view, "t/f", "y", 1, 0), -EBADF);
        assert_int_equal(larder_ls(view, "t", &entries), -EBADF);
        assert_int_equal(larder_exists(view, "t/f"), -EBADF);
        assert_int_equal(larder_rm_file(view, "t/f"), -EBADF);
        assert_int_equal(larder_mkdir(view, "t/d", false), -EBADF);
        larder_fs_free(view);
    }
}

static void a_forks_child_is_refused(void **state)
{
    int status;
    if (UNDER_TSAN)
        skip(); /* its child may start no thread */
    begin(0);
    put(view, "t/f", "x");
    pid_t child = fork();
    if (child == 0) {
        struct larder_bytes bytes;
        int right = larder_cat_file(view, "t/f", NULL, &bytes) == -ECHILD &&
                    larder_pipe_file(view, "t/g", "y", 1, 0) == -ECHILD;
        larder_fs_free(view);
        _exit(!right);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    expect(view, "t/f", "x");
    end();
}

static int setup(void **state)
{
    char local[600];
    dir = tmpdir_make();
    snprintf(local, sizeof local, "%s/files", dir);
    return larder_open(NULL, "memory://test_txn_view", NULL, &origins[0], NULL) < 0 ||
           larder_open(NULL, local, NULL, &origins[1], NULL) < 0;
}

static int teardown(void **state)
{
    larder_fs_free(origins[0]);
    larder_fs_free(origins[1]);
    tmpdir_remove(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_show_inside_and_nowhere_else),
        cmocka_unit_test(what_is_moved_can_be_moved_on),
        cmocka_unit_test(a_file_takes_a_directorys_place_and_back),
        cmocka_unit_test(what_comes_and_goes_leaves_no_change),
        cmocka_unit_test(the_first_changes_conditions_are_the_places),
        cmocka_unit_test(of_many_creations_of_a_name_one_wins),
        cmocka_unit_test(transactions_do_not_see_each_other),
        cmocka_unit_test(a_listing_names_each_once_whatever_is_written),
        cmocka_unit_test(a_view_keeps_its_root_and_has_no_view),
        cmocka_unit_test(a_view_has_its_places_urls_and_no_record),
        cmocka_unit_test(a_writer_may_outlive_its_transaction),
        cmocka_unit_test(everything_is_freed_in_any_order),
        cmocka_unit_test(a_forks_child_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
