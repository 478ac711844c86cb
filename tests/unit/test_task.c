/* SPDX-License-Identifier: Apache-2.0 */
#include "task_test.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A task that waits, and a wait whose owner is the test. */
struct victim {
    struct larder_task *task;
    struct wait wait;
    struct post post;
    int hurried, rc;
    bool ends_when_hurried, returned;
};

static void hurry(struct wait *wait)
{
    struct victim *victim = container_of(wait, struct victim, wait);
    victim->hurried++;
    if (victim->ends_when_hurried)
        wait_done(wait, -EINTR);
}

static CO_EDGE int victim_waits(void *arg)
{
    struct victim *victim = arg;
    victim->task = task_current();
    victim->rc = wait_on(&victim->wait, hurry);
    victim->returned = true;
    return 0;
}

static CO_EDGE int victim_waits_deaf(void *arg)
{
    struct victim *victim = arg;
    victim->task = task_current();
    victim->rc = wait_on_deaf(&victim->wait);
    victim->returned = true;
    return 0;
}

static CO_FN void start(struct group *group, larder_task_fn *fn, void *arg)
{
    group_init(group, GROUP_ALL, 0);
    int rc = group_add(group, fn, arg);
    assert(rc == 0);
    task_yield(); /* it waits now */
}

/* ---- waiting ---- */

static CO_EDGE int wait_done_first(void *arg)
{
    struct wait wait = WAIT_INIT;
    wait_done(&wait, -EIO);
    CHECK(wait_on(&wait, NULL) == -EIO);
    return 0;
}

static void a_wait_that_is_done_already_returns_its_status_at_once(void **state)
{
    assert_task(wait_done_first, NULL);
}

static void end_from_callback(struct post *post)
{
    struct victim *victim = container_of(post, struct victim, post);
    wait_done(&victim->wait, 7);
    victim->hurried = victim->returned; /* did it run in here? */
}

static CO_EDGE int see_who_resumes(void *arg)
{
    struct victim victim = {.post.run = end_from_callback};
    struct group group;
    start(&group, victim_waits, &victim);
    loop_later(task_loop(task_current()), &victim.post);
    CHECK(!victim.returned);
    CHECK(group_join(&group) == 0);
    CHECK(victim.returned && victim.rc == 7 && victim.hurried == 0);
    return 0;
}

static void a_callback_queues_the_task_and_does_not_resume_it(void **state)
{
    assert_task(see_who_resumes, NULL);
}

/* ---- cancel ---- */

static CO_EDGE int cancelled_before(void *arg)
{
    struct victim victim = {.ends_when_hurried = true};
    larder_cancel(task_current());
    CHECK(task_check() == -ECANCELED);
    CHECK(wait_on(&victim.wait, hurry) == -ECANCELED);
    CHECK(victim.hurried == 1 && victim.wait.status == -EINTR);
    CHECK(strcmp(larder_error(), "cancelled") == 0);
    return 0;
}

static void a_cancel_before_the_wait_hurries_it_at_once(void **state)
{
    assert_task(cancelled_before, NULL);
}

static CO_EDGE int cancelled_while(void *arg)
{
    struct victim victim = {.hurried = 0};
    struct group group;
    start(&group, victim_waits, &victim);
    larder_cancel(victim.task);
    CHECK(victim.hurried == 0); /* in the waiting task, not here */
    larder_cancel(victim.task);
    for (int i = 0; i < 3; i++) {
        task_yield();
        CHECK(victim.hurried == 1 && !victim.returned);
    }
    wait_done(&victim.wait, 3);
    CHECK(group_join(&group) == 0);
    CHECK(victim.rc == -ECANCELED && victim.wait.status == 3 && victim.hurried == 1);
    return 0;
}

static void a_cancel_hurries_the_wait_once_and_waits_for_its_end(void **state)
{
    assert_task(cancelled_while, NULL);
}

static CO_EDGE int cancelled_after(void *arg)
{
    struct victim victim = {.hurried = 0};
    struct group group;
    start(&group, victim_waits, &victim);
    wait_done(&victim.wait, 0);
    larder_cancel(victim.task);
    CHECK(group_join(&group) == 0);
    CHECK(victim.rc == -ECANCELED && victim.hurried == 0 && victim.wait.status == 0);
    return 0;
}

static void a_cancel_between_the_end_of_a_wait_and_its_return_is_told(void **state)
{
    assert_task(cancelled_after, NULL);
}

static CO_EDGE int sticky(void *arg)
{
    larder_cancel(task_current());
    CHECK(task_sleep(10000) == -ECANCELED);
    CHECK(task_sleep(10000) == -ECANCELED);
    struct waiters waiters;
    waiters_init(&waiters);
    CHECK(waiters_wait(&waiters) == -ECANCELED);
    CHECK(list_empty(&waiters.list));
    return task_check();
}

static void a_cancel_sticks(void **state)
{
    assert_status(-ECANCELED, edge_run(larder_loop_default(), sticky, NULL));
}

static CO_EDGE int deaf(void *arg)
{
    struct victim victim = {.hurried = 0};
    struct group group;
    start(&group, victim_waits_deaf, &victim);
    larder_cancel(victim.task);
    task_yield();
    CHECK(!victim.returned);
    wait_done(&victim.wait, 4);
    CHECK(group_join(&group) == 0);
    CHECK(victim.rc == 4);
    return 0;
}

static void a_deaf_wait_does_not_hear_a_cancel(void **state)
{
    assert_task(deaf, NULL);
}

/* ---- deadlines ---- */

static CO_EDGE int timed_out(void *arg)
{
    struct deadline deadline;
    deadline_begin(&deadline, 5);
    int rc = task_sleep(60000);
    CHECK(rc == -ETIMEDOUT);
    CHECK(task_sleep(60000) == -ETIMEDOUT); /* as long as the scope is open */
    rc = deadline_end(&deadline, rc, "GET https://h/x");
    CHECK(rc == -ETIMEDOUT);
    CHECK(strcmp(larder_error(), "GET https://h/x: not done within 0.005 s") == 0);
    CHECK(task_sleep(1) == 0);
    return 0;
}

static void a_deadline_ends_waits_and_says_whose_it_was(void **state)
{
    assert_task(timed_out, NULL);
}

static CO_EDGE int nested(void *arg)
{
    struct deadline outer, inner;
    deadline_begin(&outer, 60000);
    deadline_begin(&inner, 5);
    int rc = deadline_end(&inner, task_sleep(60000), "inner");
    CHECK(rc == -ETIMEDOUT && strstr(larder_error(), "inner") != NULL);
    CHECK(task_sleep(1) == 0);
    CHECK(deadline_end(&outer, 0, "outer") == 0);

    deadline_begin(&outer, 5);
    deadline_begin(&inner, 60000);
    rc = deadline_end(&inner, task_sleep(60000), "inner");
    CHECK(rc == -ETIMEDOUT && strstr(larder_error(), "inner") == NULL);
    rc = deadline_end(&outer, rc, "outer");
    CHECK(rc == -ETIMEDOUT && strstr(larder_error(), "outer") != NULL);
    return 0;
}

static void of_nested_deadlines_the_earliest_counts_and_is_named(void **state)
{
    assert_task(nested, NULL);
}

static CO_EDGE int timeout_then_cancel(void *arg)
{
    struct victim *victim = arg;
    victim->task = task_current();
    struct deadline deadline;
    deadline_begin(&deadline, 1);
    victim->rc = deadline_end(&deadline, wait_on(&victim->wait, hurry), "it");
    return 0;
}

static CO_EDGE int cancel_outranks(void *arg)
{
    struct victim victim = {.hurried = 0};
    struct group group;
    start(&group, timeout_then_cancel, &victim);
    while (victim.hurried == 0)
        CHECK(task_sleep(1) == 0);
    larder_cancel(victim.task);
    task_yield();
    CHECK(victim.hurried == 1);
    wait_done(&victim.wait, 0);
    CHECK(group_join(&group) == 0);
    CHECK(victim.rc == -ECANCELED);
    return 0;
}

static void a_cancel_outranks_a_timeout(void **state)
{
    assert_task(cancel_outranks, NULL);
}

static CO_EDGE int sleep_a_little(void *arg, size_t index)
{
    return task_sleep(1);
}

/* Cancelled, and late: both are heard of again behind the shield only. */
static CO_EDGE int clean_up(void *arg)
{
    struct deadline outer, shield;
    deadline_begin(&outer, 1);
    while (task_sleep(50) == 0)
        ;
    larder_cancel(task_current());
    CHECK(task_sleep(1) == -ECANCELED);
    deadline_begin_shielded(&shield, 60000);
    CHECK(task_check() == 0 && task_sleep(1) == 0);
    CHECK(group_each(3, 2, GROUP_FIRST, sleep_a_little, NULL) == 0);
    CHECK(deadline_end(&shield, 0, "cleaning") == 0);
    CHECK(task_check() == -ECANCELED && task_sleep(1) == -ECANCELED);
    deadline_begin_shielded(&shield, 1);
    CHECK(deadline_end(&shield, task_sleep(60000), "cleaning") == -ETIMEDOUT);
    CHECK(deadline_end(&outer, -EIO, "outer") == -EIO);
    return 0;
}

static void behind_a_shield_only_its_own_deadline_counts(void **state)
{
    assert_task(clean_up, NULL);
}

static CO_EDGE int no_deadline(void *arg)
{
    struct deadline none, huge;
    deadline_begin(&none, 0);
    deadline_begin(&huge, UINT64_MAX);
    CHECK(task_sleep(3) == 0);
    CHECK(deadline_end(&huge, -ETIMEDOUT, "huge") == -ETIMEDOUT); /* another's: passed on */
    CHECK(!huge.passed && !none.passed);
    CHECK(deadline_end(&none, 5, "none") == 5);
    return 0;
}

static void a_deadline_of_zero_or_of_ages_does_not_pass(void **state)
{
    assert_task(no_deadline, NULL);
}

/* ---- sleeping and yielding ---- */

struct order {
    unsigned count;
    unsigned ms[8], woke[8];
};
struct sleeper {
    struct order *order;
    unsigned ms;
};

static CO_EDGE int sleep_and_tell(void *arg)
{
    struct sleeper *sleeper = arg;
    uint64_t begin = now_ns();
    int rc = task_sleep(sleeper->ms);
    CHECK(rc == 0 && now_ns() - begin >= sleeper->ms * 1000000ull);
    sleeper->order->woke[sleeper->order->count++] = sleeper->ms;
    return 0;
}

static CO_EDGE int sleepers(void *arg)
{
    struct order order = {.count = 0};
    struct sleeper all[] = {{&order, 40}, {&order, 1}, {&order, 80}, {&order, 20}};
    struct group group;
    group_init(&group, GROUP_ALL, 0);
    for (int i = 0; i < 4; i++)
        CHECK(group_add(&group, sleep_and_tell, &all[i]) == 0);
    int rc = group_join(&group);
    if (rc < 0)
        return rc;
    CHECK(order.woke[0] == 1 && order.woke[1] == 20 && order.woke[2] == 40 && order.woke[3] == 80);
    return 0;
}

static void sleepers_wake_in_the_order_of_their_times_and_not_before(void **state)
{
    assert_task(sleepers, NULL);
}

struct taker {
    char *trace;
    char name;
};

static CO_EDGE int take_turns(void *arg)
{
    struct taker *taker = arg;
    for (int i = 0; i < 3; i++) {
        taker->trace[strlen(taker->trace)] = taker->name;
        task_yield();
    }
    return 0;
}

static CO_EDGE int two_takers(void *arg)
{
    char trace[16] = "";
    struct taker a = {trace, 'a'}, b = {trace, 'b'};
    struct group group;
    group_init(&group, GROUP_ALL, 0);
    CHECK(group_add(&group, take_turns, &a) == 0 && group_add(&group, take_turns, &b) == 0);
    CHECK(group_join(&group) == 0);
    CHECK(strcmp(trace, "ababab") == 0);
    return 0;
}

static void tasks_that_yield_take_turns(void **state)
{
    assert_task(two_takers, NULL);
}

/* ---- waiting for each other ---- */

struct room {
    struct waiters waiters;
    unsigned woken, cancelled;
    struct larder_task *last;
};

static CO_EDGE int wait_in_room(void *arg)
{
    struct room *room = arg;
    room->last = task_current();
    if (waiters_wait(&room->waiters) < 0)
        room->cancelled++;
    else
        room->woken++;
    return 0;
}

static CO_EDGE int wake_all_and_one(void *arg)
{
    struct room room = {.woken = 0};
    struct group group;
    waiters_init(&room.waiters);
    group_init(&group, GROUP_ALL, 0);
    for (int i = 0; i < 5; i++)
        CHECK(group_add(&group, wait_in_room, &room) == 0);
    task_yield();
    waiters_wake_one(&room.waiters);
    task_yield();
    CHECK(room.woken == 1);
    waiters_wake(&room.waiters);
    waiters_wake(&room.waiters); /* nobody: nothing */
    CHECK(group_join(&group) == 0);
    CHECK(room.woken == 5);
    return 0;
}

static void one_waiter_is_woken_or_all_are(void **state)
{
    assert_task(wake_all_and_one, NULL);
}

static CO_EDGE int pass_it_on(void *arg)
{
    struct room room = {.woken = 0};
    struct group group;
    waiters_init(&room.waiters);
    start(&group, wait_in_room, &room);
    struct larder_task *first = room.last;
    CHECK(group_add(&group, wait_in_room, &room) == 0);
    task_yield();
    waiters_wake_one(&room.waiters);
    larder_cancel(first); /* woken, but it does not take what it was woken for */
    CHECK(group_join(&group) == 0);
    CHECK(room.cancelled == 1 && room.woken == 1);
    return 0;
}

static void a_cancelled_waiter_leaves_its_wake_to_the_next(void **state)
{
    assert_task(pass_it_on, NULL);
}

/* ---- errors ---- */

static CO_EDGE int keep_text(void *arg)
{
    char want[32];
    snprintf(want, sizeof(want), "failure %s", (const char *)arg);
    fail(-EIO, "failure %s", (const char *)arg);
    for (int i = 0; i < 4; i++) {
        task_yield();
        CHECK(strcmp(larder_error(), want) == 0);
    }
    return 0;
}

static CO_EDGE int two_texts(void *arg)
{
    struct group group;
    group_init(&group, GROUP_ALL, 0);
    char a[] = "a", b[] = "b";
    fail(-EIO, "mine");
    CHECK(group_add(&group, keep_text, a) == 0 && group_add(&group, keep_text, b) == 0);
    task_yield();
    CHECK(strcmp(larder_error(), "mine") == 0);
    return group_join(&group);
}

static void each_task_has_its_own_error_text(void **state)
{
    fail(-EIO, "the thread's");
    assert_task(two_texts, NULL);
    assert_string_equal(larder_error(), "the thread's");
}

static CO_EDGE int fails(void *arg)
{
    return fail(-EBADMSG, "block 3 is damaged");
}

static void the_text_of_a_failure_crosses_to_the_thread(void **state)
{
    assert_status(-EBADMSG, edge_run(larder_loop_default(), fails, NULL));
    assert_string_equal(larder_error(), "block 3 is damaged");
}

/* ---- no waits here ---- */

static CO_EDGE int wait_where_none_may(void *arg)
{
    task_no_suspend_begin();
    task_no_suspend_begin();
    task_no_suspend_end();
    return task_sleep(1);
}

static CO_EDGE int wait_where_one_may(void *arg)
{
    task_no_suspend_begin();
    task_no_suspend_begin();
    task_no_suspend_end();
    task_no_suspend_end();
    return task_sleep(1);
}

static void a_wait_under_no_suspend_is_an_assertion_failure(void **state)
{
    assert_task(wait_where_one_may, NULL);
    if (UNDER_TSAN)
        skip();
    pid_t child = fork();
    if (child == 0) {
        fclose(stderr);
        signal(SIGABRT, SIG_DFL);
        edge_run(larder_loop_default(), wait_where_none_may, NULL);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* ---- stacks ---- */

static __attribute__((noinline)) unsigned dig(unsigned depth)
{
    volatile char frame[1024];
    frame[0] = (char)depth;
    return depth == 0 ? 0 : (unsigned)(frame[0] == (char)depth) + dig(depth - 1);
}

static CO_EDGE int use_stack(void *arg)
{
    CHECK(dig(200) == 200);
    task_yield();
    CHECK(dig(200) == 200);
    return 0;
}

static CO_EDGE int use_many_stacks(void *arg)
{
    struct group group;
    for (int round = 0; round < 3; round++) {
        group_init(&group, GROUP_ALL, 0);
        for (int i = 0; i < 400; i++) /* more than are kept warm */
            CHECK(group_add(&group, use_stack, NULL) == 0);
        CHECK(group_join(&group) == 0);
    }
    return 0;
}

static void two_hundred_kilobytes_of_stack_can_be_used_again_and_again(void **state)
{
    assert_task(use_many_stacks, NULL);
}

static __attribute__((noinline)) char overrun(char *above, unsigned depth)
{
    volatile char frame[1024];
    frame[0] = *above;
    return depth == 0 ? frame[0] : (char)(overrun((char *)frame, depth - 1) + frame[0]);
}

static CO_EDGE int overflow(void *arg)
{
    char top = 1;
    return overrun(&top, 1u << 20);
}

static void an_overrun_stack_meets_its_guard(void **state)
{
    if (UNDER_TSAN || UNDER_ASAN)
        skip();
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        edge_run(larder_loop_default(), overflow, NULL);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wait_that_is_done_already_returns_its_status_at_once),
        cmocka_unit_test(a_callback_queues_the_task_and_does_not_resume_it),
        cmocka_unit_test(a_cancel_before_the_wait_hurries_it_at_once),
        cmocka_unit_test(a_cancel_hurries_the_wait_once_and_waits_for_its_end),
        cmocka_unit_test(a_cancel_between_the_end_of_a_wait_and_its_return_is_told),
        cmocka_unit_test(a_cancel_sticks),
        cmocka_unit_test(a_deaf_wait_does_not_hear_a_cancel),
        cmocka_unit_test(a_deadline_ends_waits_and_says_whose_it_was),
        cmocka_unit_test(of_nested_deadlines_the_earliest_counts_and_is_named),
        cmocka_unit_test(a_cancel_outranks_a_timeout),
        cmocka_unit_test(behind_a_shield_only_its_own_deadline_counts),
        cmocka_unit_test(a_deadline_of_zero_or_of_ages_does_not_pass),
        cmocka_unit_test(sleepers_wake_in_the_order_of_their_times_and_not_before),
        cmocka_unit_test(tasks_that_yield_take_turns),
        cmocka_unit_test(one_waiter_is_woken_or_all_are),
        cmocka_unit_test(a_cancelled_waiter_leaves_its_wake_to_the_next),
        cmocka_unit_test(each_task_has_its_own_error_text),
        cmocka_unit_test(the_text_of_a_failure_crosses_to_the_thread),
        cmocka_unit_test(a_wait_under_no_suspend_is_an_assertion_failure),
        cmocka_unit_test(two_hundred_kilobytes_of_stack_can_be_used_again_and_again),
        cmocka_unit_test(an_overrun_stack_meets_its_guard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
