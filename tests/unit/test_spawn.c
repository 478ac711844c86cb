/* SPDX-License-Identifier: Apache-2.0 */
#include "task_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char a_name[] = "a", b_name[] = "b", c_name[] = "c";

static int succeeds(void *arg)
{
    return 7;
}

static int fails(void *arg)
{
    return fail(-EIO, "disk %s", (const char *)arg);
}

static CO_EDGE int sleeps(void *arg)
{
    return task_sleep(60000);
}

struct done {
    struct larder_loop *loop;
    atomic_int count;
    int status;
    bool in_task, on_loop;
    char text[64];
};

static void note_done(void *arg, int status)
{
    struct done *done = arg;
    done->status = status;
    done->in_task = task_current() != NULL;
    done->on_loop = loop_here(done->loop);
    snprintf(done->text, sizeof(done->text), "%s", larder_error());
    atomic_fetch_add(&done->count, 1);
}

/* ---- join ---- */

static void join_takes_the_status_and_the_text(void **state)
{
    struct larder_task *task = NULL;
    assert_ok(larder_spawn(NULL, succeeds, NULL, NULL, NULL, &task));
    assert_int_equal(larder_join(task), 7);
    assert_string_equal(larder_error(), "");
    assert_ok(larder_spawn(NULL, fails, a_name, NULL, NULL, &task));
    assert_int_equal(larder_join(task), -EIO);
    assert_string_equal(larder_error(), "disk a");
}

static int join_in_task(void *arg)
{
    struct larder_task *good = NULL, *bad = NULL, *self = task_current();
    CHECK(larder_spawn(NULL, succeeds, NULL, NULL, NULL, &good) == 0);
    CHECK(larder_spawn(NULL, fails, b_name, NULL, NULL, &bad) == 0);
    CHECK(larder_join(bad) == -EIO && strcmp(larder_error(), "disk b") == 0);
    CHECK(larder_join(good) == 7);
    CHECK(larder_join(self) == -EDEADLK);
    return 0;
}

static void a_task_joins_another_but_not_itself(void **state)
{
    assert_ok(larder_sync(NULL, join_in_task, NULL, 0));
}

static CO_EDGE int cancelled_join(void *arg)
{
    struct larder_task *task = NULL;
    CHECK(larder_spawn(arg, sleeps, NULL, NULL, NULL, &task) == 0);
    larder_cancel(task_current());
    CHECK(larder_join(task) == -ECANCELED); /* the handle is given back; the task runs on, for its loop */
    return 0;
}

static void a_cancelled_join_lets_the_task_go(void **state)
{
    struct larder_loop *loop = NULL;
    assert_ok(larder_loop_new(&loop));
    assert_ok(larder_sync(loop, cancelled_join, loop, 0));
    assert_ok(larder_loop_close(loop, NULL, NULL));
}

struct joiner {
    struct larder_task *task;
    int rc;
};

static void *join_thread(void *arg)
{
    struct joiner *joiner = arg;
    joiner->rc = larder_join(joiner->task);
    return NULL;
}

static void a_cancel_from_another_thread_ends_the_task_and_its_join(void **state)
{
    for (int i = 0; i < 200; i++) {
        struct joiner joiner = {.rc = 1};
        pthread_t thread;
        struct larder_task *task = NULL;
        assert_ok(larder_spawn(NULL, sleeps, NULL, NULL, NULL, &task));
        joiner.task = task;
        assert_int_equal(pthread_create(&thread, NULL, join_thread, &joiner), 0);
        /* The joiner's reference is its own: cancel by the loop, not by a handle that may be gone. */
        if (i % 2 == 0)
            usleep(50);
        larder_loop_cancel(larder_loop_default());
        pthread_join(thread, NULL);
        assert_int_equal(joiner.rc, -ECANCELED);
    }
}

static void larder_cancel_may_come_at_any_time(void **state)
{
    for (int i = 0; i < 500; i++) {
        struct larder_task *task = NULL;
        assert_ok(larder_spawn(NULL, i % 2 ? sleeps : succeeds, NULL, NULL, NULL, &task));
        if (i % 3 == 0)
            usleep(20);
        larder_cancel(task);
        larder_cancel(task);
        int rc = larder_join(task);
        assert_true(i % 2 ? rc == -ECANCELED : rc == 7);
    }
}

/* ---- done and detached ---- */

static void done_runs_on_the_loop_outside_any_task_and_speaks_of_its_item(void **state)
{
    struct done done = {.loop = larder_loop_default()};
    struct larder_task *task = NULL;
    assert_ok(larder_spawn(NULL, fails, c_name, note_done, &done, &task));
    assert_int_equal(larder_join(task), -EIO);
    assert_ok(larder_sync(NULL, succeeds, NULL, 0) == 7 ? 0 : -1);
    assert_int_equal(done.count, 1);
    assert_int_equal(done.status, -EIO);
    assert_true(done.on_loop && !done.in_task);
    assert_string_equal(done.text, "disk c");
}

struct self_free {
    struct larder_task *task;
    atomic_bool done;
};

static void free_own_handle(void *arg, int status)
{
    struct self_free *own = arg;
    larder_task_free(own->task);
    atomic_store(&own->done, true);
}

static void done_may_give_the_handle_back(void **state)
{
    for (int i = 0; i < 100; i++) {
        struct self_free own = {.done = false};
        assert_ok(larder_spawn(NULL, succeeds, NULL, free_own_handle, &own, &own.task));
        while (!atomic_load(&own.done))
            usleep(10);
    }
}

static void a_task_that_nobody_joins_is_done_all_the_same(void **state)
{
    struct done done = {.loop = larder_loop_default()};
    struct larder_task *task = NULL;
    assert_ok(larder_spawn(NULL, succeeds, NULL, note_done, &done, NULL));
    assert_ok(larder_spawn(NULL, succeeds, NULL, note_done, &done, &task));
    larder_task_free(task);
    larder_task_free(NULL);
    larder_cancel(NULL);
    while (atomic_load(&done.count) < 2)
        usleep(100);
    assert_int_equal(done.status, 7);
}

static void wrong_arguments_are_refused(void **state)
{
    struct larder_task *task = (struct larder_task *)&task;
    assert_int_equal(larder_spawn(NULL, NULL, NULL, NULL, NULL, &task), -EINVAL);
    assert_ptr_equal(task, &task);
    assert_int_equal(larder_join(NULL), -EINVAL);
}

/* ---- many ---- */

struct pile {
    struct larder_loop *loop;
    unsigned count, ended;
    bool gate;
};

static CO_EDGE int wait_for_gate(void *arg)
{
    struct pile *pile = arg;
    while (!pile->gate)
        task_yield();
    return 0;
}

static void count_ended(void *arg, int status)
{
    ((struct pile *)arg)->ended++;
}

/* More than may live at once: the rest is pending, takes no stack, and is run when its turn comes. */
static CO_EDGE int spawn_a_pile(void *arg)
{
    struct pile *pile = arg;
    for (unsigned i = 0; i < pile->count; i++)
        CHECK(larder_spawn(pile->loop, wait_for_gate, pile, count_ended, pile, NULL) == 0);
    for (int i = 0; i < 3; i++)
        task_yield();
    CHECK(pile->ended == 0);
    pile->gate = true;
    while (pile->ended < pile->count)
        task_yield();
    return 0;
}

static void tasks_beyond_the_cap_wait_for_their_turn(void **state)
{
    struct pile pile = {.loop = larder_loop_default(), .count = UNDER_TSAN ? 200 : 20000};
    assert_task(spawn_a_pile, &pile);
    assert_int_equal(pile.ended, pile.count);
}

/* Each joins one that is pending behind all of them: with no place kept for those, nobody would go on. */
static int join_one_more(void *arg)
{
    struct larder_task *task = NULL;
    int rc = larder_spawn(arg, succeeds, NULL, NULL, NULL, &task);
    return rc < 0 ? rc : larder_join(task) == 7 ? 0 : -EPROTO;
}

static CO_EDGE int join_pending(void *arg)
{
    struct larder_loop *loop = arg;
    enum { COUNT = UNDER_TSAN ? 100 : 6000 };
    static struct larder_task *tasks[COUNT];
    for (int i = 0; i < COUNT; i++)
        CHECK(larder_spawn(loop, join_one_more, loop, NULL, NULL, &tasks[i]) == 0);
    for (int i = COUNT - 1; i >= 0; i--)
        CHECK(larder_join(tasks[i]) == 0);
    return 0;
}

static void joining_a_pending_task_starts_it(void **state)
{
    assert_task(join_pending, larder_loop_default());
}

static size_t resident_kib(void)
{
    unsigned long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &size, &resident), 2);
    fclose(file);
    return resident * 4;
}

static void a_hundred_thousand_spawns_keep_memory_flat(void **state)
{
    enum { ROUND = 1000 };
    const int rounds = UNDER_TSAN || UNDER_ASAN ? 10 : 100;
    size_t before = 0;
    for (int round = 0; round < rounds; round++) {
        struct larder_task *last = NULL;
        for (int i = 0; i < ROUND; i++)
            assert_ok(larder_spawn(NULL, succeeds, NULL, NULL, NULL, i + 1 == ROUND ? &last : NULL));
        assert_int_equal(larder_join(last), 7);
        if (round == rounds / 10)
            before = resident_kib();
    }
    if (!UNDER_TSAN && !UNDER_ASAN) /* a page of stack each would be 350 MiB */
        assert_true(resident_kib() < before + 65536);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(join_takes_the_status_and_the_text),
        cmocka_unit_test(a_task_joins_another_but_not_itself),
        cmocka_unit_test(a_cancelled_join_lets_the_task_go),
        cmocka_unit_test(a_cancel_from_another_thread_ends_the_task_and_its_join),
        cmocka_unit_test(larder_cancel_may_come_at_any_time),
        cmocka_unit_test(done_runs_on_the_loop_outside_any_task_and_speaks_of_its_item),
        cmocka_unit_test(done_may_give_the_handle_back),
        cmocka_unit_test(a_task_that_nobody_joins_is_done_all_the_same),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(tasks_beyond_the_cap_wait_for_their_turn),
        cmocka_unit_test(joining_a_pending_task_starts_it),
        cmocka_unit_test(a_hundred_thousand_spawns_keep_memory_flat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
