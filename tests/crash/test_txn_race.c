/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that race on one file, each with a transaction that replaces the version it has seen: a counter. Of those
 * that saw one version exactly one commits, so each number is written once, by one of them, and none is lost. Some are
 * killed on the way; what they decided counts.
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

#include "tmpdir.h"
#include "tree.h"

#define RACERS    4
#define COUNT_MAX 100000

static struct shared {
    atomic_uint winners[COUNT_MAX]; /* who were told that they wrote this number */
    atomic_uint won, lost;
} *shared;
static char *scratch, *tree, *journal;
static unsigned target;

/* 1: the number is high enough; else the status of a try. */
static int try_once(struct larder_fs *fs, const char *const options[])
{
    struct larder_bytes bytes = {0};
    struct larder_info info;
    struct larder_txn *txn;
    struct larder_fs *view;
    char text[32];
    int rc = larder_info(fs, "counter", &info);
    if (rc == 0)
        rc = larder_cat_file(fs, "counter", NULL, &bytes);
    if (rc < 0)
        return rc;
    unsigned number = (unsigned)strtoul(bytes.data, NULL, 10) + 1;
    larder_bytes_free(&bytes);
    if (number > target) {
        larder_info_free(&info);
        return 1;
    }
    snprintf(text, sizeof text, "%u", number);
    rc = larder_txn_begin(options, &txn);
    if (rc == 0 && (rc = larder_txn_fs(txn, fs, &view)) == 0) {
        rc = larder_replace_file(view, "counter", text, strlen(text), info.version, 0);
        larder_fs_free(view);
        if (rc == 0)
            rc = larder_txn_commit(txn, NULL);
    }
    if (rc == 0)
        shared->winners[number]++;
    else
        larder_txn_rollback(txn);
    larder_info_free(&info);
    return rc;
}

static int race(void)
{
    char option[300];
    snprintf(option, sizeof option, "journal=%s", journal);
    const char *const options[] = {option, NULL};
    struct larder_fs *fs;
    if (larder_open(NULL, tree, NULL, &fs, NULL) < 0)
        return 1;
    for (;;) {
        int rc = try_once(fs, options);
        if (rc == 1)
            break;
        if (rc < 0 && rc != -ESTALE) {
            print_error("%s\n", larder_error());
            return 1;
        }
        *(rc == 0 ? &shared->won : &shared->lost) += 1;
    }
    larder_fs_free(fs);
    return 0;
}

static pid_t start(void)
{
    pid_t child = fork();
    if (child == 0) {
        alarm(300);
        _exit(race());
    }
    return child;
}

static unsigned number_there(void)
{
    size_t size;
    char *data = tree_read(tree, "counter", &size);
    assert_non_null(data);
    unsigned number = (unsigned)strtoul(data, NULL, 10);
    free(data);
    return number;
}

/* While it counts, one after the other of them is killed, and another takes its place. */
static unsigned kill_some(pid_t racers[])
{
    unsigned killed = 0;
    while (number_there() < target) {
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        pid_t *victim = &racers[killed++ % RACERS];
        kill(*victim, SIGKILL);
        waitpid(*victim, NULL, 0);
        *victim = start();
    }
    return killed;
}

static void each_number_is_written_once(void **state)
{
    const char *count = getenv("LARDER_RACE_COUNT");
    pid_t racers[RACERS];
    int status;
    target = count ? (unsigned)strtoul(count, NULL, 10) : 150;
    assert_true(target < COUNT_MAX);
    tree_write(tree, "counter", "0", 1);
    for (int i = 0; i < RACERS; i++)
        racers[i] = start();
    unsigned killed = kill_some(racers), untold = 0;
    for (int i = 0; i < RACERS; i++) {
        assert_int_equal(waitpid(racers[i], &status, 0), racers[i]);
        assert_int_equal(status, 0);
    }
    assert_status(0, larder_txn_recover(journal, NULL, NULL));
    assert_int_equal(number_there(), target);
    for (unsigned i = 1; i <= target; i++) {
        assert_true(shared->winners[i] <= 1);
        untold += shared->winners[i] == 0; /* it was killed between the write and the word */
    }
    print_message("%u numbers, %u lost races, %u killed, %u of them after they had decided\n", target,
                  (unsigned)shared->lost, killed, untold);
    assert_true(untold <= killed);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_number_is_written_once)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
