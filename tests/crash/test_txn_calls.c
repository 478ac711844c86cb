/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small transaction killed at its first system call, at its second, and so on, until several came to their end
 * (txn_rounds.h). The writer is traced with ptrace, which counts the calls of all its threads. Over a network a
 * transaction has many more of them: there some are taken by chance.
 *
 * LARDER_KILL_SEED is another run of transactions; LARDER_KILL_ALL leaves no call out, which takes long.
 */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder.h"

#include "server.h"
#include "tmpdir.h"
#include "txn_rounds.h"

#define CALLS_MAX    20000
#define CANNOT_TRACE 77
#define ENDS         10 /* transactions that had fewer calls: few have more than the last of them */
#define ENDS_SOME    2  /* where only some are taken */

static char *scratch, *journal, *tree;

static int be_traced(void)
{
    raise(SIGSTOP); /* until the options are set */
    return rounds_write();
}

/* A thread stopped: at a system call, for a signal of its own, or because it is new. */
static void go_on(pid_t thread, int status)
{
    int signal = WSTOPSIG(status);
    bool own = signal != (SIGTRAP | 0x80) && signal != SIGTRAP && signal != SIGSTOP;
    ptrace(PTRACE_SYSCALL, thread, 0, own ? signal : 0);
}

static bool enters_call(pid_t thread)
{
    struct __ptrace_syscall_info info;
    long size = ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info);
    return size > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY;
}

static int kill_traced(pid_t child)
{
    pid_t thread;
    int status;
    kill(child, SIGKILL);
    do {
        thread = waitpid(-1, &status, __WALL);
        assert_true(thread > 0);
    } while (thread != child || WIFSTOPPED(status));
    return status;
}

/* Run a writer that is killed before its `count`th system call begins (0: never). Its wait status; *calls: how many
 * began. */
static int run_to_call(unsigned count, unsigned *calls)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        _exit(ptrace(PTRACE_TRACEME, 0, 0, 0) < 0 ? CANNOT_TRACE : be_traced());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status))
        return status;
    assert_int_equal(ptrace(PTRACE_SETOPTIONS, child, 0,
                            PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL),
                     0);
    ptrace(PTRACE_SYSCALL, child, 0, 0);
    for (*calls = 0;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        assert_true(thread > 0);
        if (!WIFSTOPPED(status)) {
            if (thread == child)
                return status;
            continue;
        }
        bool call = WSTOPSIG(status) == (SIGTRAP | 0x80) && enters_call(thread);
        if (call && ++*calls == count)
            return kill_traced(child);
        go_on(thread, status);
    }
}

/* The next transaction, which is another: what is there before it differs. Was it killed? */
static bool play_to_call(unsigned count, unsigned *calls)
{
    rounds_next();
    int status = run_to_call(count, calls);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_TRACE)
        skip();
    return rounds_end(status);
}

/* Before each system call; or before about `some` of them, by chance. */
static void play_all(struct rounds_place place, unsigned some)
{
    const char *seed = getenv("LARDER_KILL_SEED");
    bool all = some == 0 || getenv("LARDER_KILL_ALL");
    unsigned calls = 0, step = 1, count = 1, ended = 0, ends = all ? ENDS : ENDS_SOME;
    place.journal = journal;
    place.changes_max = 6;
    rounds_begin(&place, seed ? (unsigned)strtoul(seed, NULL, 10) : 1);
    if (!all) {
        play_to_call(0, &calls);
        step = 2 * calls / some + 1;
    }
    for (; ended < ends && count < CALLS_MAX; count += step == 1 ? 1 : 1 + rounds_draw(step))
        ended += !play_to_call(count, &calls);
    print_message("killed before %s system calls up to %u\n", all ? "all" : "some", count - 1);
    rounds_print();
    assert_true(ended == ends && rounds_counts()->there > ends);
}

static void on_a_local_disk_a_transaction_is_all_or_nothing(void **state)
{
    assert_int_equal(mkdir(tree, 0700), 0);
    play_all((struct rounds_place){.name = "local", .url = tree, .tree = tree}, 0);
}

static void over_webdav_a_transaction_is_all_or_nothing(void **state)
{
    struct server *server = server_start("nginx", NULL);
    char url[300];
    if (!server)
        skip();
    char *dir = tmpdir_path(server_dav_root(server), "kill");
    assert_int_equal(mkdir(dir, 0700), 0);
    snprintf(url, sizeof url, "webdav%s/dav/kill", server_url(server) + 4);
    play_all((struct rounds_place){.name = "webdav (nginx)", .url = url, .tree = dir}, 40);
    server_stop(server);
    free(dir);
}

static void on_s3_a_transaction_is_all_or_nothing(void **state)
{
    struct server *server = server_start("rgw", NULL);
    if (!server)
        skip();
    rounds_use_gateway(server_url(server));
    play_all((struct rounds_place){.name = "s3 (RGW)",
                                   .url = "s3://kill/tree",
                                   .uploads = true,
                                   .huge = (size_t)9 << 20},
             40);
    server_stop(server);
}

static int setup(void **state)
{
    scratch = tmpdir_make();
    journal = tmpdir_path(scratch, "journal");
    tree = tmpdir_path(scratch, "tree");
    return 0;
}

static int teardown(void **state)
{
    free(tree);
    free(journal);
    tmpdir_remove(scratch);
    return 0;
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(on_a_local_disk_a_transaction_is_all_or_nothing),
        CASE(over_webdav_a_transaction_is_all_or_nothing),
        CASE(on_s3_a_transaction_is_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
