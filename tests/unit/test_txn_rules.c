/* SPDX-License-Identifier: Apache-2.0 */
/* What transactions keep of times, ask of places, refuse, and tell. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder.h"

#include "alloc_fault.h"
#include "tmpdir.h"
#include "tree.h"
#include "txn/member.h"
#include "txn/view.h"
#include "txn_case.h"

/* ---- times ---- */

static int64_t time_of(struct larder_fs *fs, const char *path)
{
    struct larder_info info;
    assert_ok(larder_info(fs, path, &info));
    int64_t mtime_ns = info.mtime_ns;
    larder_info_free(&info);
    return mtime_ns;
}

static int64_t listed_time_of(struct larder_fs *fs, const char *name)
{
    struct larder_entries entries;
    int64_t mtime_ns = 0;
    assert_ok(larder_ls(fs, "", &entries));
    for (size_t i = 0; i < entries.count; i++)
        if (strcmp(entries.info[i].name, name) == 0)
            mtime_ns = entries.info[i].mtime_ns;
    larder_entries_free(&entries);
    return mtime_ns;
}

static void a_touch_changes_the_time_alone(void **state)
{
    struct larder_fs *places[] = {local, memory};
    for (size_t i = 0; i < 2; i++) {
        assert_ok(pipe_text(places[i], "old", "old", 0));
        assert_ok(pipe_text(places[i], "both", "old", 0));
        int64_t before = time_of(places[i], "old");
        start(places[i]);
        assert_ok(larder_touch(view, "old", false));
        assert_ok(larder_touch(view, "new", false));
        assert_ok(pipe_text(view, "both", "new", 0));
        assert_ok(larder_touch(view, "both", false));
        int64_t touched = time_of(view, "old"), both = time_of(view, "both");
        assert_true(touched > before && both >= touched);
        assert_true(listed_time_of(view, "old") == touched && listed_time_of(view, "both") == both);
        assert_text(view, "old", "old");
        assert_true(time_of(places[i], "old") == before);
        assert_ok(commit());
        assert_text(places[i], "old", "old");
        assert_text(places[i], "new", "");
        assert_text(places[i], "both", "new");
        assert_true(time_of(places[i], "old") == touched && time_of(places[i], "both") == both);
        larder_fs_free(view);
        view = NULL;
    }
    assert_clean(3);
}

static int count_copied(void *arg, const struct larder_copy_news *news)
{
    *(int *)arg += news->event == LARDER_COPY_DONE && news->type == LARDER_FILE;
    return 0;
}

/* A tree that is made like another has its times, and is like it the next time. */
static void times_are_kept_by_rsync(void **state)
{
    int copied = 0;
    const struct larder_rsync_options options = {.size = sizeof options,
                                                 .compare = LARDER_SIZE_AND_TIME,
                                                 .told = count_copied,
                                                 .arg = &copied};
    assert_ok(pipe_text(memory, "from/a", "1", LARDER_PARENTS));
    int64_t made = time_of(memory, "from/a");
    start(local);
    assert_ok(larder_rsync(memory, "from", view, "to", &options));
    assert_true(time_of(view, "to/a") == made);
    assert_ok(commit());
    assert_true(time_of(local, "to/a") == made);
    assert_ok(larder_rsync(memory, "from", local, "to", &options));
    assert_int_equal(copied, 1);
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

/* Without memory both the path's change and the transaction have it, or neither. */
static int say_condition(void *arg)
{
    struct member *member = txn_member_of(view);
    struct change *change = overlay_next(&member->overlay, "");
    int rc = larder_txn_if_match(view, "a", arg);
    struct change *said = overlay_take(&member->checks, change->path);
    bool taken = change->if_match, noted = said;
    change_unref(said);
    change_set_conditions(change, false, NULL);
    return taken != (rc == 0) || noted != (rc == 0) ? -EPROTO : rc;
}

static void a_condition_that_finds_no_memory_is_not_taken(void **state)
{
    struct larder_info info;
    assert_ok(pipe_text(memory, "a", "1", 0));
    assert_ok(larder_info(memory, "a", &info));
    start(memory);
    assert_ok(pipe_text(view, "a", "2", 0));
    assert_true(alloc_fault_run(say_condition, (void *)info.version) > 3);
    larder_info_free(&info);
}

/* ---- listed ---- */

struct open_ones {
    int count, empty;
};

static int note_open(void *arg, const struct larder_txn_info *info)
{
    struct open_ones *ones = arg;
    assert_string_equal(info->state, "open");
    assert_true(info->alive);
    ones->count++;
    ones->empty += info->began_ns == 0;
    return 0;
}

static struct open_ones list_open(void)
{
    struct open_ones ones = {0};
    assert_ok(larder_txn_list(journal, note_open, &ones));
    return ones;
}

/* Also before the journal has anything of it. */
static void what_is_open_is_listed(void **state)
{
    struct larder_txn *first;
    start(local);
    larder_fs_free(view);
    first = txn;
    start(local);
    assert_ok(pipe_text(view, "a", "1", 0));
    assert_int_equal(list_open().count, 2);
    assert_int_equal(list_open().empty, 2);
    assert_ok(larder_txn_barrier(txn));
    assert_int_equal(list_open().count, 2);
    assert_int_equal(list_open().empty, 1);
    assert_ok(larder_txn_rollback(first));
    assert_ok(commit());
    assert_int_equal(list_open().count, 0);
}

/* ---- beside others ---- */

/* fn in a process of its own, which ends without a word to anybody; its status. */
static int in_child(int (*fn)(void))
{
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(fn());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int die_with_one(void)
{
    char option[300];
    struct larder_fs *fs, *inside;
    struct larder_txn *own;
    snprintf(option, sizeof option, "journal=%s", journal);
    return larder_open(NULL, tree, NULL, &fs, NULL) < 0 ||
           larder_txn_begin((const char *const[]){option, NULL}, &own) < 0 ||
           larder_txn_fs(own, fs, &inside) < 0 || pipe_text(inside, "dead", "dead", 0) < 0 ||
           larder_txn_barrier(own) < 0;
}

static int recover(void)
{
    return larder_txn_recover(journal, NULL, NULL) != 0;
}

static void a_recovery_leaves_those_of_the_living_alone(void **state)
{
    struct larder_file *file;
    char *data = content_make(300000, 3);
    start(local);
    assert_ok(pipe_text(view, "small", "small", 0));
    assert_ok(larder_file_open(view, "large", "w", NULL, &file));
    assert_ok(larder_file_write(file, data, 300000));
    assert_ok(larder_file_close(file));
    assert_ok(larder_txn_barrier(txn));
    assert_int_equal(in_child(die_with_one), 0);
    assert_int_equal(listed(), 2);
    assert_int_equal(in_child(recover), 0);
    assert_int_equal(list_open().count, 1); /* which has all it had */
    assert_ok(commit());
    assert_text(local, "small", "small");
    assert_text(local, "dead", NULL);
    struct larder_bytes bytes;
    assert_ok(larder_cat_file(local, "large", NULL, &bytes));
    assert_true(bytes.size == 300000 && content_matches(bytes.data, bytes.size, 3, 0));
    larder_bytes_free(&bytes);
    free(data);
    assert_clean(2);
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
    const struct larder_txn_commit_options how = {.size = sizeof how,
                                                  .published = add_result,
                                                  .arg = &results};
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
    larder_fs_free(view);
    assert_text(local, "a", "1");
    assert_ok(larder_start_transaction(local, &txn, &view));
    assert_ok(pipe_text(view, "new", "2", LARDER_CREATE));
    assert_ok(pipe_text(local, "new", "theirs", 0));
    assert_status(-EEXIST, larder_end_transaction(txn, true)); /* is an end all the same: `txn` is freed */
    assert_non_null(strstr(larder_error(), "new"));
    txn = NULL;
    assert_text(local, "new", "theirs");
    assert_ok(larder_rm_file(local, "new"));
    assert_clean(1);
    unsetenv("LARDER_STATE_DIR");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(a_touch_changes_the_time_alone),
        CASE(times_are_kept_by_rsync),
        CASE(what_is_open_is_listed),
        CASE(a_recovery_leaves_those_of_the_living_alone),
        CASE(a_condition_that_does_not_hold_publishes_nothing),
        CASE(of_two_that_create_one_file_the_second_is_told),
        CASE(a_condition_that_finds_no_memory_is_not_taken),
        CASE(a_view_of_a_view_is_refused),
        CASE(an_unknown_option_is_refused),
        CASE(a_commit_tells_what_it_wrote),
        CASE(fsspecs_words_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
