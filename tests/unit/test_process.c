/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process's edges, many times each: a child that exits with work in flight, a fork of a process whose loops are
 * busy, signals. The first tests fork from a process without threads, which is all that TSan allows.
 */
#include "task_test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uv.h>

#define ROUNDS (UNDER_TSAN || UNDER_ASAN ? 40 : 200)

#if UNDER_ASAN
/* A process that exits with work in flight leaks it. */
LARDER_API int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}
#endif

static int nothing(void *arg)
{
    return 0;
}

static CO_EDGE int sleeps(void *arg)
{
    return task_sleep(60000);
}

static int spin_a_little(void *arg)
{
    usleep(300);
    return 0;
}

static CO_EDGE int offloads(void *arg)
{
    int rc = 0;
    while (rc == 0)
        rc = offload(spin_a_little, NULL);
    return rc;
}

static CO_EDGE int yields(void *arg)
{
    while (task_check() == 0)
        task_yield();
    return -ECANCELED;
}

static CO_EDGE int family(void *arg)
{
    struct group group;
    group_init(&group, GROUP_FIRST, 0);
    group_add(&group, sleeps, NULL);
    group_add(&group, offloads, NULL);
    group_add(&group, yields, NULL);
    return group_join(&group);
}

static void *call_for_ever(void *arg)
{
    while (larder_sync(arg, family, NULL, 0) != -EBADF)
        ;
    loop_unref(arg);
    return NULL;
}

static void set_to_work(struct larder_loop *loop)
{
    pthread_t thread;
    for (int i = 0; i < 3; i++)
        if (larder_spawn(loop, family, NULL, NULL, NULL, NULL) < 0)
            _exit(3);
    if (pthread_create(&thread, NULL, call_for_ever, loop_ref(loop)) != 0)
        _exit(4);
    pthread_detach(thread);
}

/* Run `body` in a child and give its wait status. */
static int in_child(void (*body)(int round), int round)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL); /* else cmocka's handler goes on with the tests, in the child */
        signal(SIGABRT, SIG_DFL);
        body(round);
        _exit(99);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void assert_exits_well(void (*body)(int round), int rounds)
{
    for (int round = 0; round < rounds; round++) {
        int status = in_child(body, round);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("round %d: wait status %#x", round, (unsigned)status);
    }
}

/* ---- exit ---- */

static void exit_busy(int round)
{
    static struct larder_loop *own;
    set_to_work(larder_loop_default());
    if (round % 2 && larder_loop_new(&own) == 0)
        set_to_work(own);
    usleep((useconds_t)(round % 10) * 200);
    exit(0);
}

static void exit_ends_the_loops_whatever_they_do(void **state)
{
    assert_exits_well(exit_busy, ROUNDS);
}

static int exit_here(void *arg)
{
    exit(0);
}

static void exit_in_task(int round)
{
    larder_sync(NULL, exit_here, NULL, 0);
}

static void exit_in_post(struct post *post)
{
    exit(0);
}

static void exit_in_callback(int round)
{
    static struct post post = {.run = exit_in_post};
    loop_post(larder_loop_default(), &post);
    larder_sync(NULL, sleeps, NULL, 0);
}

static void exit_may_be_called_on_a_loops_thread(void **state)
{
    assert_exits_well(exit_in_task, 20);
    assert_exits_well(exit_in_callback, 20);
}

struct box {
    struct edge_mail mail;
    struct letter letters[3];
};

static void exit_in_open(struct letter *letter)
{
    exit(0);
}

static CO_EDGE int send_exits(void *arg)
{
    struct box *box = arg;
    struct group group;
    group_init(&group, GROUP_ALL, 0);
    edge_mail_open(&box->mail);
    for (int i = 0; i < 3; i++) {
        box->letters[i].open = exit_in_open;
        edge_mail_send(&box->mail, &box->letters[i]);
    }
    return edge_mail_serve(&box->mail, &group);
}

static void exit_in_letter(int round)
{
    struct box box;
    edge_run(larder_loop_default(), send_exits, &box);
}

static void exit_may_be_called_in_a_callback_on_the_calling_thread(void **state)
{
    assert_exits_well(exit_in_letter, 20);
}

static atomic_bool stuck;

static int never_waits(void *arg)
{
    atomic_store(&stuck, true);
    for (;;)
        usleep(1000);
    return 0;
}

static void exit_with_stuck_task(int round)
{
    if (larder_spawn(NULL, never_waits, NULL, NULL, NULL, NULL) < 0)
        _exit(5);
    while (!atomic_load(&stuck))
        usleep(100);
    exit(0);
}

static void exit_does_not_wait_for_ever_for_a_task_that_never_waits(void **state)
{
    assert_exits_well(exit_with_stuck_task, 1);
}

/* ---- signals ---- */

static pthread_t main_thread;
static atomic_int here_count, elsewhere_count;

static void on_signal(int number)
{
    atomic_fetch_add(pthread_equal(pthread_self(), main_thread) ? &here_count : &elsewhere_count, 1);
}

/* While the host's thread blocks the signal, any other thread that does not would be given it. */
static void signal_busy_loops(int round)
{
    uv_loop_t uv;
    struct larder_loop *attached = NULL;
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t usr1;
    main_thread = pthread_self();
    sigaction(SIGUSR1, &action, NULL);
    uv_loop_init(&uv);
    if (larder_loop_attach(&uv, &attached) < 0 || larder_spawn(attached, family, NULL, NULL, NULL, NULL) < 0)
        _exit(6);
    for (int i = 0; i < 20; i++) /* libuv's workers are born here */
        uv_run(&uv, UV_RUN_ONCE);
    if (larder_spawn(NULL, family, NULL, NULL, NULL, NULL) < 0)
        _exit(7);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr1, NULL);
    kill(getpid(), SIGUSR1);
    for (int i = 0; i < 20; i++)
        uv_run(&uv, UV_RUN_ONCE);
    if (here_count != 0 || elsewhere_count != 0)
        _exit(8);
    pthread_sigmask(SIG_UNBLOCK, &usr1, NULL);
    for (int i = 0; i < 20; i++)
        kill(getpid(), SIGUSR1);
    exit(here_count > 0 && elsewhere_count == 0 ? 0 : 9);
}

static void signals_reach_the_hosts_threads_only(void **state)
{
    assert_exits_well(signal_busy_loops, ROUNDS / 4);
}

/* ---- fork ---- */

static struct larder_loop *parents;
static struct larder_task *parents_task;

static void use_child(int round)
{
    struct larder_loop *mine = NULL;
    if (larder_sync(parents, nothing, NULL, 0) != -ECHILD ||
        larder_loop_close(parents, NULL, NULL) != -ECHILD ||
        larder_spawn(parents, nothing, NULL, NULL, NULL, NULL) != -ECHILD ||
        larder_join(parents_task) != -ECHILD)
        _exit(10);
    larder_cancel(parents_task);
    larder_task_free(parents_task);
    larder_loop_cancel(parents);
    if (loop_meant(NULL) != NULL || larder_loop_use(parents) != NULL ||
        larder_sync(NULL, nothing, NULL, 0) != -ECHILD || larder_loop_use(NULL) != parents)
        _exit(14);
    if (round % 4 == 0)
        exit(0); /* without a loop of its own */
    if (larder_sync(NULL, nothing, NULL, 0) != 0 || edge_where(parents) != EDGE_THREAD)
        _exit(11);
    set_to_work(larder_loop_default());
    if (larder_loop_new(&mine) < 0 || larder_loop_close(mine, NULL, NULL) < 0)
        _exit(12);
    exit(0);
}

static void a_forked_child_has_loops_of_its_own(void **state)
{
    if (UNDER_TSAN)
        skip();
    assert_ok(larder_loop_new(&parents));
    set_to_work(parents);
    set_to_work(larder_loop_default());
    assert_ok(larder_spawn(parents, sleeps, NULL, NULL, NULL, &parents_task));
    larder_loop_use(parents);
    assert_exits_well(use_child, ROUNDS);
    assert_ptr_equal(larder_loop_use(NULL), parents);
    assert_ok(larder_sync(parents, nothing, NULL, 0));
    assert_ok(larder_sync(NULL, nothing, NULL, 0));
    larder_cancel(parents_task);
    assert_int_equal(larder_join(parents_task), -ECANCELED);
    assert_ok(larder_loop_close(parents, NULL, NULL));
}

static int fork_here(void *arg)
{
    pid_t child = fork();
    if (child == 0)
        _exit(task_current() == NULL && larder_sync(NULL, nothing, NULL, 0) == 0 ? 0 : 13);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return 0;
}

static void a_child_that_is_forked_in_a_task_is_a_thread(void **state)
{
    if (UNDER_TSAN)
        skip();
    for (int i = 0; i < 20; i++)
        assert_ok(larder_sync(NULL, fork_here, NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_ends_the_loops_whatever_they_do),
        cmocka_unit_test(exit_may_be_called_on_a_loops_thread),
        cmocka_unit_test(exit_may_be_called_in_a_callback_on_the_calling_thread),
        cmocka_unit_test(exit_does_not_wait_for_ever_for_a_task_that_never_waits),
        cmocka_unit_test(signals_reach_the_hosts_threads_only),
        cmocka_unit_test(a_forked_child_has_loops_of_its_own),
        cmocka_unit_test(a_child_that_is_forked_in_a_task_is_a_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
