/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions and those who look on. In memory all of one appears at one moment: whoever reads the files in any order
 * never meets an older one after a newer. On the disk each file appears whole. Many at once, over several places, from
 * threads and tasks, lose nothing.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder.h"

#include "child.h"
#include "task_test.h"
#include "tmpdir.h"

#define FILES   24
#define ROUNDS  40
#define READERS 3
#define THREADS 4
#define TURNS   12

static struct larder_fs *memory, *local;
static char *dir, journal_option[600];
static const char *options[2];

static struct larder_txn *begin(void)
{
    struct larder_txn *txn;
    assert_ok(larder_txn_begin(options, &txn));
    return txn;
}

static struct larder_fs *see(struct larder_txn *txn, struct larder_fs *fs)
{
    struct larder_fs *view;
    assert_ok(larder_txn_fs(txn, fs, &view));
    return view;
}

static int put(struct larder_fs *fs, const char *path, const char *text)
{
    return larder_pipe_file(fs, path, text, strlen(text), LARDER_PARENTS);
}

static int read_number(struct larder_fs *fs, const char *path)
{
    struct larder_bytes bytes;
    int rc = larder_cat_file(fs, path, NULL, &bytes);
    if (rc < 0)
        return rc;
    int number = atoi(bytes.data);
    larder_bytes_free(&bytes);
    return number;
}

/* ---- whoever looks on ---- */

static atomic_bool stop;
static atomic_uint wrong, looks;

/* Each transaction writes its number into every file, and moves the directory that has its number in its name. */
static void write_round(struct larder_fs *fs, int round)
{
    char path[64], text[200] = "";
    struct larder_txn *txn = begin();
    struct larder_fs *view = see(txn, fs);
    while (strlen(text) + 8 < sizeof text)
        snprintf(text + strlen(text), 8, "%06d ", round);
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "seen/f%02d", i);
        assert_ok(put(view, path, text));
        snprintf(path, sizeof path, "names/%04d-%02d", round, i);
        assert_ok(put(view, path, text));
        snprintf(path, sizeof path, "names/%04d-%02d", round - 1, i);
        if (round > 1)
            assert_ok(larder_rm_file(view, path));
    }
    assert_ok(larder_txn_commit(txn, NULL));
    larder_fs_free(view);
}

static void *look_at_numbers(void *arg)
{
    bool backwards = arg;
    char path[64];
    for (int newest = 1; !stop; looks++)
        for (int i = 0; i < FILES; i++) {
            snprintf(path, sizeof path, "seen/f%02d", backwards ? FILES - 1 - i : i);
            int number = read_number(memory, path);
            wrong += number < newest;
            newest = number > newest ? number : newest;
        }
    return NULL;
}

static void *look_at_names(void *arg)
{
    for (; !stop; looks++) {
        struct larder_entries entries;
        if (larder_ls(memory, "names", &entries) < 0) {
            wrong++;
            continue;
        }
        wrong += entries.count != FILES;
        for (size_t i = 1; i < entries.count; i++)
            wrong += strncmp(entries.info[i].name, entries.info[0].name, 4) != 0;
        larder_entries_free(&entries);
    }
    return NULL;
}

static void *look_at_files(void *arg)
{
    char path[64];
    for (int turn = 0; !stop; turn++, looks++) {
        struct larder_bytes bytes;
        snprintf(path, sizeof path, "seen/f%02d", turn % FILES);
        if (larder_cat_file(local, path, NULL, &bytes) < 0) {
            wrong++;
            continue;
        }
        const char *text = bytes.data;
        for (size_t i = 7; i < bytes.size; i++) /* of one transaction, whole */
            wrong += text[i] != text[i - 7];
        larder_bytes_free(&bytes);
    }
    return NULL;
}

static void write_before(struct larder_fs *fs, void *(*const look[READERS])(void *))
{
    pthread_t readers[READERS];
    stop = false;
    wrong = looks = 0;
    write_round(fs, 1);
    for (long i = 0; i < READERS; i++)
        pthread_create(&readers[i], NULL, look[i], i == 1 ? (void *)1 : NULL);
    for (int round = 2; round < ROUNDS; round++)
        write_round(fs, round);
    while (looks < READERS)
        usleep(1000);
    stop = true;
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(wrong, 0);
    assert_ok(larder_rm(fs, "seen", true));
    assert_ok(larder_rm(fs, "names", true));
}

static void memory_shows_a_transaction_at_one_moment(void **state)
{
    write_before(memory, (void *(*const[])(void *)){look_at_numbers, look_at_numbers, look_at_names});
}

static void the_disk_shows_each_file_whole(void **state)
{
    write_before(local, (void *(*const[])(void *)){look_at_files, look_at_files, look_at_files});
}

/* ---- many at once ---- */

/* A counter that each adds to once a turn; who finds it changed begins again. */
static int add_one(struct larder_fs *fs, int mine, int turn, int *conflicts)
{
    for (;;) {
        struct larder_info info;
        char path[64], text[16];
        struct larder_txn *txn = begin();
        struct larder_fs *view = see(txn, fs);
        int rc = larder_info(view, "counter", &info);
        int number = rc == 0 ? read_number(view, "counter") : rc;
        snprintf(text, sizeof text, "%d", number + 1);
        if (rc == 0)
            rc = larder_replace_file(view, "counter", text, strlen(text), info.version, 0);
        if (rc == 0) {
            snprintf(path, sizeof path, "own/%d-%d", mine, turn);
            rc = put(view, path, "x");
        }
        larder_info_free(&info);
        if (rc == 0)
            rc = larder_txn_commit(txn, NULL);
        if (rc < 0)
            larder_txn_rollback(txn);
        larder_fs_free(view);
        if (rc != -ESTALE)
            return rc;
        ++*conflicts;
    }
}

struct adder {
    struct larder_fs *fs;
    int mine, failed, conflicts;
};

static int add_turns(void *arg)
{
    struct adder *adder = arg;
    for (int turn = 0; turn < TURNS; turn++)
        adder->failed += add_one(adder->fs, adder->mine, turn, &adder->conflicts) < 0;
    return 0;
}

static void *add_on_thread(void *arg)
{
    add_turns(arg);
    return NULL;
}

static void add_from_everywhere(struct larder_fs *fs)
{
    struct adder adders[2 * THREADS];
    pthread_t threads[THREADS];
    struct larder_task *tasks[THREADS];
    struct larder_entries entries;
    int failed = 0;
    assert_ok(put(fs, "counter", "0"));
    for (int i = 0; i < 2 * THREADS; i++)
        adders[i] = (struct adder){fs, i, 0, 0};
    for (int i = 0; i < THREADS; i++) {
        assert_ok(larder_spawn(NULL, add_turns, &adders[i], NULL, NULL, &tasks[i]));
        pthread_create(&threads[i], NULL, add_on_thread, &adders[THREADS + i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_ok(larder_join(tasks[i]));
    }
    for (int i = 0; i < 2 * THREADS; i++)
        failed += adders[i].failed;
    assert_int_equal(failed, 0);
    assert_int_equal(read_number(fs, "counter"), 2 * THREADS * TURNS);
    assert_ok(larder_ls(fs, "own", &entries));
    assert_int_equal(entries.count, 2 * THREADS * TURNS);
    larder_entries_free(&entries);
    assert_ok(larder_rm(fs, "own", true));
}

static void transactions_of_threads_and_tasks_lose_nothing(void **state)
{
    add_from_everywhere(memory);
    add_from_everywhere(local); /* one journal: conditions of one path wait for each other */
}

static void several_places_change_together(void **state)
{
    struct larder_fs *rooted;
    assert_ok(larder_makedirs(local, "below", true));
    assert_ok(larder_fs_at(local, "below", NULL, &rooted));
    for (int commit = 0; commit < 2; commit++) {
        struct larder_txn *txn = begin();
        struct larder_fs *one = see(txn, memory), *two = see(txn, rooted), *three = see(txn, local);
        assert_ok(put(one, "m", "1"));
        assert_ok(put(two, "d/l", "2"));
        assert_int_equal(larder_exists(three, "below/d/l"), 1); /* another root of the same view */
        assert_int_equal(larder_exists(memory, "m"), 0);
        assert_int_equal(larder_exists(rooted, "d/l"), 0);
        assert_ok(commit ? larder_txn_commit(txn, NULL) : larder_txn_rollback(txn));
        assert_int_equal(larder_exists(memory, "m"), commit);
        assert_int_equal(larder_exists(local, "below/d/l"), commit);
        assert_int_equal(larder_exists(one, "m"), -EBADF);
        larder_fs_free(three);
        larder_fs_free(one);
        larder_fs_free(two);
    }
    assert_ok(larder_rm_file(memory, "m"));
    assert_ok(larder_rm(local, "below", true));
    larder_fs_free(rooted);
}

static void what_was_a_directory_is_a_file_and_back(void **state)
{
    struct larder_fs *const places[] = {memory, local};
    for (int i = 0; i < 2; i++) {
        struct larder_fs *fs = places[i];
        struct larder_entries found;
        assert_ok(put(fs, "turn/a/x/y", "y"));
        assert_ok(put(fs, "turn/b", "b"));
        struct larder_txn *txn = begin();
        struct larder_fs *view = see(txn, fs);
        assert_ok(larder_rm(view, "turn/a", true));
        assert_ok(put(view, "turn/a", "1"));
        assert_ok(larder_rm_file(view, "turn/b"));
        assert_ok(put(view, "turn/b/c/d", "2"));
        assert_ok(larder_mkdir(view, "turn/empty", false));
        assert_ok(larder_txn_commit(txn, NULL));
        larder_fs_free(view);
        assert_ok(larder_find(fs, "turn", NULL, &found));
        assert_int_equal(found.count, 2);
        larder_entries_free(&found);
        assert_int_equal(read_number(fs, "turn/a"), 1);
        assert_int_equal(read_number(fs, "turn/b/c/d"), 2);
        assert_int_equal(larder_isdir(fs, "turn/empty"), 1);
        assert_ok(larder_rm(fs, "turn", true));
    }
}

/* ---- what does not go through ---- */

static void a_conflict_shows_nothing_and_may_be_mended(void **state)
{
    struct larder_fs *const places[] = {memory, local};
    for (int i = 0; i < 2; i++) {
        struct larder_fs *fs = places[i];
        struct larder_txn *txn = begin();
        struct larder_fs *view = see(txn, fs);
        assert_ok(put(view, "a", "a"));
        assert_ok(larder_pipe_file(view, "b", "b", 1, LARDER_CREATE));
        assert_ok(put(fs, "b", "of another"));
        assert_int_equal(larder_txn_commit(txn, NULL), -EEXIST);
        assert_non_null(strstr(larder_error(), "b"));
        assert_int_equal(larder_exists(fs, "a"), 0);
        assert_ok(larder_rm_file(fs, "b"));
        assert_ok(larder_txn_commit(txn, NULL)); /* it is free again */
        assert_int_equal(larder_exists(fs, "a"), 1);
        assert_ok(larder_rm_file(fs, "a"));
        assert_ok(larder_rm_file(fs, "b"));
        larder_fs_free(view);
    }
}

static int commit_task(void *arg)
{
    return larder_txn_commit(arg, NULL);
}

/* It is cancelled sooner or later: all of it is there, or nothing, and then it can still be committed. */
static void a_cancelled_commit_is_all_or_nothing(void **state)
{
    for (int late = 0; late < 30; late++) {
        char path[32];
        struct larder_task *task;
        struct larder_txn *txn = begin();
        struct larder_fs *view = see(txn, local);
        for (int i = 0; i < 20; i++) {
            snprintf(path, sizeof path, "c/%d", i);
            assert_ok(put(view, path, "x"));
        }
        assert_ok(larder_spawn(NULL, commit_task, txn, NULL, NULL, &task));
        usleep((unsigned)late * 300);
        larder_cancel(task);
        int rc = larder_join(task);
        if (rc == -EINPROGRESS) {
            assert_ok(larder_txn_recover(dir, NULL, NULL));
            rc = 0;
        }
        int there = larder_exists(local, "c/0");
        for (int i = 1; i < 20; i++) {
            snprintf(path, sizeof path, "c/%d", i);
            assert_int_equal(larder_exists(local, path), there);
        }
        assert_int_equal(there, rc == 0);
        if (rc < 0) {
            assert_int_equal(rc, -ECANCELED);
            assert_ok(larder_txn_rollback(txn));
        }
        larder_fs_free(view);
        assert_true(larder_rm(local, "c", true) == (there ? 0 : -ENOENT));
    }
}

static void a_forks_child_commits_nothing(void **state)
{
    int status;
    if (UNDER_TSAN)
        skip(); /* its child may start no thread */
    struct larder_txn *txn = begin();
    struct larder_fs *view = see(txn, local);
    assert_ok(put(view, "f", "x"));
    pid_t child = fork();
    if (child == 0)
        child_end(larder_txn_commit(txn, NULL) != -ECHILD || put(view, "g", "x") != -ECHILD);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(larder_exists(local, "f"), 0);
    assert_ok(larder_txn_commit(txn, NULL));
    larder_fs_free(view);
    assert_int_equal(larder_exists(local, "f"), 1);
    assert_ok(larder_rm_file(local, "f"));
}

static void fsspecs_words_are_over_the_same(void **state)
{
    struct larder_txn *txn;
    struct larder_fs *view;
    assert_ok(larder_start_transaction(memory, &txn, &view));
    assert_ok(put(view, "s", "x"));
    assert_ok(put(memory, "other", "not in it")); /* the shared handle knows nothing of it */
    assert_int_equal(larder_exists(memory, "s"), 0);
    assert_ok(larder_end_transaction(txn, true));
    larder_fs_free(view);
    assert_int_equal(larder_exists(memory, "s"), 1);
    assert_ok(larder_rm_file(memory, "s"));
    assert_ok(larder_rm_file(memory, "other"));
}

static int setup(void **state)
{
    char *files;
    dir = tmpdir_make();
    files = tmpdir_make();
    snprintf(journal_option, sizeof journal_option, "journal=%s", dir);
    options[0] = journal_option;
    int rc = larder_open(NULL, "memory://test_txn_readers", NULL, &memory, NULL) < 0 ||
             larder_open(NULL, files, NULL, &local, NULL) < 0;
    *state = files;
    return rc;
}

static int teardown(void **state)
{
    larder_fs_free(memory);
    larder_fs_free(local);
    tmpdir_remove(*state);
    tmpdir_remove(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_shows_a_transaction_at_one_moment),
        cmocka_unit_test(the_disk_shows_each_file_whole),
        cmocka_unit_test(transactions_of_threads_and_tasks_lose_nothing),
        cmocka_unit_test(several_places_change_together),
        cmocka_unit_test(what_was_a_directory_is_a_file_and_back),
        cmocka_unit_test(a_conflict_shows_nothing_and_may_be_mended),
        cmocka_unit_test(a_cancelled_commit_is_all_or_nothing),
        cmocka_unit_test(a_forks_child_commits_nothing),
        cmocka_unit_test(fsspecs_words_are_over_the_same),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
