/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small transaction on a local disk, killed at its first system call, at its second, and so on, until several came to
 * their end (txn_rounds.h). The writer is traced with ptrace, which counts the calls of all its threads.
 *
 * LARDER_KILL_SEED is another run of transactions.
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

#include "tmpdir.h"
#include "txn_rounds.h"

#define CALLS_MAX    5000
#define CANNOT_TRACE 77
#define ENDS         10 /* transactions that had fewer calls: few have more than the last of them */

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

/* Run a writer that is killed before its `count`th system call begins. Its wait status; *calls: how many began. */
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

/* Each round is another transaction: what is there before it differs. */
static void killed_at_any_system_call_a_transaction_is_all_or_nothing(void **state)
{
    const struct rounds_place place = {
        .name = "local", .url = tree, .journal = journal, .tree = tree, .changes_max = 6};
    const char *seed = getenv("LARDER_KILL_SEED");
    unsigned calls = 0, count = 1, ended = 0;
    rounds_begin(&place, seed ? (unsigned)strtoul(seed, NULL, 10) : 1);
    for (; ended < ENDS && count < CALLS_MAX; count++) {
        rounds_next();
        int status = run_to_call(count, &calls);
        if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_TRACE)
            skip();
        ended += !rounds_end(status);
    }
    print_message("killed before each system call up to %u\n", count - 1);
    rounds_print();
    assert_true(ended == ENDS && rounds_counts()->there > ENDS);
}

static int setup(void **state)
{
    scratch = tmpdir_make();
    journal = tmpdir_path(scratch, "journal");
    tree = tmpdir_path(scratch, "tree");
    return mkdir(tree, 0700);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed_at_any_system_call_a_transaction_is_all_or_nothing, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
