/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that race on one file, each with a transaction that replaces the version it has seen: a counter. Of those
 * that saw one version exactly one commits, so each number is written once, by one of them, and none is lost. Each
 * writes its name for the number as well, so whoever has the number has the name. Some are killed on the way; what they
 * decided counts. Where versions are slow to come (Apache gives a file none in its first second) they race to create files.
 *
 * LARDER_RACE_COUNT makes it longer.
 */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "larder.h"

#include "server.h"
#include "tmpdir.h"
#include "tree.h"

#define RACERS    4
#define COUNT_MAX 100000

static struct shared {
    atomic_uint winners[COUNT_MAX]; /* how many were told that they wrote this number */
    atomic_uint names[COUNT_MAX];   /* and who was the last */
    atomic_uint won, lost, last_name;
    atomic_uint made; /* the last number whose file somebody was seen to have created */
} *shared;
static char *scratch, *tree, *journal;
static const char *place; /* the URL that they race at */
static unsigned target;

static void name_path(unsigned number, char out[32])
{
    snprintf(out, 32, "names/%u", number);
}

/* What the counter says, and which version of it that is. */
static int see(struct larder_fs *fs, unsigned *number, struct larder_info *info)
{
    struct larder_bytes bytes = {0};
    int rc = larder_info(fs, "counter", info);
    if (rc == 0 && (rc = larder_cat_file(fs, "counter", NULL, &bytes)) < 0)
        larder_info_free(info);
    if (rc == 0)
        *number = (unsigned)strtoul(bytes.data, NULL, 10);
    larder_bytes_free(&bytes);
    return rc;
}

/* The next number in place of what was seen, and who wrote it. */
static int count_up(struct larder_fs *view, unsigned seen, const char *version, unsigned name)
{
    char path[32], text[32];
    name_path(seen + 1, path);
    snprintf(text, sizeof text, "%u", name);
    int rc = larder_pipe_file(view, path, text, strlen(text), LARDER_PARENTS);
    snprintf(text, sizeof text, "%u", seen + 1);
    return rc == 0 ? larder_replace_file(view, "counter", text, strlen(text), version, 0) : rc;
}

static int begin(struct larder_txn **txn)
{
    char option[300];
    snprintf(option, sizeof option, "journal=%s", journal);
    const char *const options[] = {option, NULL};
    return larder_txn_begin(options, txn);
}

/* 1: the number is high enough; else the status of a try. */
static int try_once(struct larder_fs *fs)
{
    unsigned number, name = ++shared->last_name;
    struct larder_info info;
    struct larder_txn *txn;
    struct larder_fs *view;
    int rc = see(fs, &number, &info);
    if (rc == 0 && number >= target) {
        larder_info_free(&info);
        return 1;
    }
    if (rc < 0 || (rc = begin(&txn)) < 0)
        return rc;
    rc = larder_txn_fs(txn, fs, &view);
    if (rc == 0) {
        rc = count_up(view, number, info.version, name);
        larder_fs_free(view);
    }
    if (rc == 0)
        rc = larder_txn_commit(txn, NULL);
    if (rc == 0) {
        shared->names[number + 1] = name; /* first: it may be killed between the two */
        shared->winners[number + 1]++;
    } else {
        larder_txn_rollback(txn);
    }
    larder_info_free(&info);
    return rc;
}

/* `once` again and again, until it says that it is over; what it says when another was first is `lost`. */
static int race_by(int (*once)(struct larder_fs *fs), int lost)
{
    struct larder_fs *fs;
    if (larder_open(NULL, place, NULL, &fs, NULL) < 0)
        return 1;
    for (;;) {
        int rc = once(fs);
        if (rc == 1)
            break;
        if (rc < 0 && rc != lost) {
            print_error("%s\n", larder_error());
            return 1;
        }
        *(rc == 0 ? &shared->won : &shared->lost) += 1;
    }
    larder_fs_free(fs);
    return 0;
}

static int race(void)
{
    return race_by(try_once, -ESTALE);
}

static pid_t start(int (*fn)(void), const char *crash_at)
{
    pid_t child = fork();
    if (child == 0) {
        alarm(300);
        if (crash_at)
            setenv("LARDER_CRASH_AT", crash_at, 1);
        _exit(fn());
    }
    return child;
}

static int wait_for(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static unsigned number_in(struct larder_fs *fs, const char *path)
{
    struct larder_bytes bytes;
    assert_ok(larder_cat_file(fs, path, NULL, &bytes));
    unsigned number = (unsigned)strtoul(bytes.data, NULL, 10);
    larder_bytes_free(&bytes);
    return number;
}

/* Soon; and another takes its place. */
static void kill_one(pid_t *victim, int (*fn)(void))
{
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    kill(*victim, SIGKILL);
    wait_for(*victim);
    *victim = start(fn, NULL);
}

/* And what the dead left is recovered. */
static void join_all(const pid_t racers[RACERS])
{
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(wait_for(racers[i]), 0);
    assert_status(0, larder_txn_recover(journal, NULL, NULL));
}

/* As the environment says, else `fewest`. */
static unsigned count_asked_for(unsigned fewest)
{
    const char *text = getenv("LARDER_RACE_COUNT");
    unsigned count = text ? (unsigned)strtoul(text, NULL, 10) : fewest;
    assert_true(count < COUNT_MAX);
    return count;
}

/* `untold`: killed between the write and the word. */
static void print_result(unsigned killed, unsigned untold)
{
    print_message("%s: %u numbers, %u lost races, %u killed, %u of them after they had decided\n", place,
                  target, (unsigned)shared->lost, killed, untold);
    assert_true(untold <= killed);
}

/* At `place`. While they count, one after the other of them is killed. */
static void race_for_each_number(unsigned fewest)
{
    struct larder_fs *fs;
    pid_t racers[RACERS];
    unsigned killed = 0, untold = 0;
    target = count_asked_for(fewest);
    assert_ok(larder_open(NULL, place, NULL, &fs, NULL));
    assert_ok(larder_pipe_file(fs, "counter", "0", 1, 0));
    for (int i = 0; i < RACERS; i++)
        racers[i] = start(race, NULL);
    while (number_in(fs, "counter") < target)
        kill_one(&racers[killed++ % RACERS], race);
    join_all(racers);
    assert_int_equal(number_in(fs, "counter"), target);
    for (unsigned i = 1; i <= target; i++) {
        char path[32];
        name_path(i, path);
        assert_true(shared->winners[i] <= 1);
        assert_true(shared->winners[i] == 0 || number_in(fs, path) == shared->names[i]);
        untold += shared->winners[i] == 0;
    }
    print_result(killed, untold);
    larder_fs_free(fs);
}

static void each_number_is_written_once(void **state)
{
    place = tree;
    race_for_each_number(150);
}

static void each_number_is_written_once_to_s3(void **state)
{
    struct larder_fs *account;
    struct server *gateway = server_start("rgw", NULL);
    if (!gateway)
        skip();
    setenv("AWS_ENDPOINT_URL_S3", server_url(gateway), 1);
    setenv("AWS_ACCESS_KEY_ID", "testkey", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "testsecret", 1);
    assert_ok(larder_open(NULL, "s3://", NULL, &account, NULL));
    assert_ok(larder_mkdir(account, "race", false));
    larder_fs_free(account);
    place = "s3://race";
    race_for_each_number(50);
    server_stop(gateway);
}

/* ---- creating ---- */

static int create(struct larder_fs *view, unsigned number, unsigned name)
{
    char path[32], text[32];
    snprintf(text, sizeof text, "%u", name);
    name_path(number, path);
    int rc = larder_pipe_file(view, path, text, strlen(text), LARDER_PARENTS);
    snprintf(path, sizeof path, "made/%u", number);
    return rc == 0 ? larder_pipe_file(view, path, text, strlen(text), LARDER_PARENTS | LARDER_CREATE) : rc;
}

/* As try_once, for the next number. */
static int create_once(struct larder_fs *fs)
{
    unsigned number = shared->made + 1, name = ++shared->last_name;
    struct larder_txn *txn;
    struct larder_fs *view;
    if (number > target)
        return 1;
    int rc = begin(&txn);
    if (rc < 0)
        return rc;
    rc = larder_txn_fs(txn, fs, &view);
    if (rc == 0) {
        rc = create(view, number, name);
        larder_fs_free(view);
    }
    if (rc == 0)
        rc = larder_txn_commit(txn, NULL);
    if (rc == 0) {
        shared->names[number] = name;
        shared->winners[number]++;
    } else {
        larder_txn_rollback(txn);
    }
    if (rc == 0 || rc == -EEXIST)
        atomic_compare_exchange_strong(&shared->made, &(unsigned){number - 1}, number);
    return rc;
}

static int race_creating(void)
{
    return race_by(create_once, -EEXIST);
}

/* Each number's file has the name of whoever created it, and so has what he wrote with it. */
static void race_to_create(unsigned fewest)
{
    struct larder_fs *fs;
    pid_t racers[RACERS];
    unsigned killed = 0, untold = 0;
    target = count_asked_for(fewest);
    assert_ok(larder_open(NULL, place, NULL, &fs, NULL));
    for (int i = 0; i < RACERS; i++)
        racers[i] = start(race_creating, NULL);
    while (shared->made < target)
        kill_one(&racers[killed++ % RACERS], race_creating);
    join_all(racers);
    for (unsigned i = 1; i <= target; i++) {
        char made[32], name[32];
        snprintf(made, sizeof made, "made/%u", i);
        name_path(i, name);
        assert_true(shared->winners[i] <= 1);
        assert_int_equal(number_in(fs, made), number_in(fs, name));
        assert_true(shared->winners[i] == 0 || number_in(fs, name) == shared->names[i]);
        untold += shared->winners[i] == 0;
    }
    print_result(killed, untold);
    larder_fs_free(fs);
}

static void each_file_is_created_once_over_webdav(void **state)
{
    struct server *server = server_start("apache", NULL);
    char url[300];
    if (!server)
        skip();
    snprintf(url, sizeof url, "webdav%s/dav/race", server_url(server) + 4);
    char *dir = tmpdir_path(server_dav_root(server), "race");
    assert_int_equal(mkdir(dir, 0777), 0);
    place = url;
    race_to_create(60);
    server_stop(server);
    free(dir);
}

/* ---- one dies, and another has begun already ---- */

static int go_on[2]; /* a pipe */

static int write_and_die(void)
{
    struct larder_fs *fs;
    return larder_open(NULL, tree, NULL, &fs, NULL) < 0 || try_once(fs) < 0;
}

/* Its view is there before the other dies, so that what that one left is not recovered with it. */
static int come_second(void)
{
    unsigned number;
    struct larder_info info;
    struct larder_fs *fs, *view;
    struct larder_txn *txn;
    char word;
    if (larder_open(NULL, tree, NULL, &fs, NULL) < 0 || begin(&txn) < 0 || larder_txn_fs(txn, fs, &view) < 0)
        return 1;
    shared->won = 1;
    if (read(go_on[0], &word, 1) != 1 || see(fs, &number, &info) < 0)
        return 1;
    shared->lost = number;
    int rc = count_up(view, number, info.version, 77);
    if (rc == 0)
        rc = larder_txn_commit(txn, NULL);
    if (rc < 0)
        print_error("%s\n", larder_error());
    larder_info_free(&info);
    return rc < 0;
}

static int recover_all(void)
{
    return larder_txn_recover(journal, NULL, NULL) != 0;
}

/* `seen`: the number that is there when the first is dead. */
static void play_two(const char *crash_at, unsigned seen)
{
    struct larder_fs *fs;
    target = 1;
    assert_ok(larder_open(NULL, tree, NULL, &fs, NULL));
    tree_write(tree, "counter", "0", 1);
    shared->won = 0;
    assert_int_equal(pipe(go_on), 0);
    pid_t second = start(come_second, NULL);
    while (shared->won == 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(WTERMSIG(wait_for(start(write_and_die, crash_at))), SIGKILL);
    assert_int_equal(write(go_on[1], "", 1), 1);
    assert_int_equal(wait_for(second), 0);
    assert_int_equal(shared->lost, seen);
    assert_int_equal(wait_for(start(recover_all, NULL)), 0);
    assert_int_equal(number_in(fs, "counter"), seen + 1);
    for (unsigned i = 1; i <= seen + 1; i++) {
        char path[32];
        name_path(i, path);
        assert_int_equal(number_in(fs, path), i == seen + 1 ? 77 : shared->last_name);
    }
    larder_fs_free(fs);
    close(go_on[0]);
    close(go_on[1]);
}

static void who_was_killed_after_it_wrote_has_won_before_another_does(void **state)
{
    play_two("txn.condition_written", 1);
}

static void who_was_killed_before_it_wrote_has_lost_to_another(void **state)
{
    play_two("txn.deciding", 0);
}

/* ---- after the commit, before anybody has looked ---- */

static int write_large_and_die(void)
{
    static char data[200000];
    struct larder_fs *fs, *view;
    struct larder_txn *txn;
    return larder_open(NULL, tree, NULL, &fs, NULL) < 0 || begin(&txn) < 0 ||
           larder_txn_fs(txn, fs, &view) < 0 || larder_pipe_file(view, "large", data, sizeof data, 0) < 0 ||
           larder_txn_commit(txn, NULL) < 0;
}

static int recover_to_theirs(void)
{
    const struct larder_txn_recover_options how = {.size = sizeof how, .way = LARDER_TXN_THEIRS};
    return larder_txn_recover(journal, NULL, &how);
}

/* It was published, and what is there now came after it; or it never was, and is lost. Nobody can tell. */
static void what_took_the_place_of_a_published_file_is_a_conflict(void **state)
{
    assert_int_equal(WTERMSIG(wait_for(start(write_large_and_die, "txn.written"))), SIGKILL);
    tree_write(tree, "new", "theirs", 6);
    char *from = tmpdir_path(tree, "new"), *to = tmpdir_path(tree, "large");
    assert_int_equal(rename(from, to), 0);
    assert_int_not_equal(wait_for(start(recover_all, NULL)), 0);
    assert_int_equal(wait_for(start(recover_to_theirs, NULL)), 0);
    assert_int_equal(wait_for(start(recover_all, NULL)), 0);
    size_t size;
    char *data = tree_read(tree, "large", &size);
    assert_string_equal(data, "theirs");
    free(data);
    free(from);
    free(to);
}

static int setup(void **state)
{
    scratch = tmpdir_make();
    tree = tmpdir_path(scratch, "tree");
    journal = tmpdir_path(scratch, "journal");
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return mkdir(tree, 0700) < 0 || shared == MAP_FAILED;
}

static int teardown(void **state)
{
    munmap(shared, sizeof *shared);
    free(journal);
    free(tree);
    tmpdir_remove(scratch);
    return 0;
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(each_number_is_written_once),
        CASE(each_number_is_written_once_to_s3),
        CASE(each_file_is_created_once_over_webdav),
        CASE(who_was_killed_after_it_wrote_has_won_before_another_does),
        CASE(who_was_killed_before_it_wrote_has_lost_to_another),
        CASE(what_took_the_place_of_a_published_file_is_a_conflict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
