/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks and threads that wait for what is not Larder's. */
#include "task_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include <uv.h>

static int wait_for(void *arg)
{
    return larder_event_wait(arg);
}

static void *set_later(void *arg)
{
    usleep(1000);
    larder_event_set(arg, 7);
    return NULL;
}

static void a_thread_tells_a_task_and_a_thread(void **state)
{
    for (int i = 0; i < 200; i++) {
        struct larder_event *event = NULL;
        pthread_t thread;
        assert_ok(larder_event_new(&event));
        assert_int_equal(pthread_create(&thread, NULL, set_later, event), 0);
        if (i % 2)
            assert_status(7, larder_event_wait(event));
        else
            assert_status(7, larder_sync(NULL, wait_for, event, 0));
        larder_event_free(event); /* though it may still be in larder_event_set */
        pthread_join(thread, NULL);
    }
    larder_event_free(NULL);
}

static void what_was_set_before_is_not_waited_for(void **state)
{
    struct larder_event *event = NULL;
    assert_ok(larder_event_new(&event));
    larder_event_set(event, -EPERM);
    larder_event_set(event, 5); /* the first one counts */
    assert_status(-EPERM, larder_event_wait(event));
    assert_true(*larder_error());
    assert_status(-EPERM, larder_sync(NULL, wait_for, event, 0));
    larder_event_free(event);
}

static void many_wait_on_many_loops(void **state)
{
    struct larder_event *event = NULL;
    struct larder_loop *loop = NULL;
    struct larder_task *tasks[100];
    assert_ok(larder_event_new(&event));
    assert_ok(larder_loop_new(&loop));
    for (int i = 0; i < 100; i++)
        assert_ok(larder_spawn(i % 2 ? loop : NULL, wait_for, event, NULL, NULL, &tasks[i]));
    larder_event_set(event, 0);
    for (int i = 0; i < 100; i++)
        assert_ok(larder_join(tasks[i]));
    larder_event_free(event);
    assert_ok(larder_loop_close(loop, NULL, NULL));
}

/* A cancel, a deadline and the news itself, in whatever order. */
static void a_wait_ends_by_cancel_and_by_deadline(void **state)
{
    for (int i = 0; i < 300; i++) {
        struct larder_event *event = NULL;
        struct larder_task *task = NULL;
        pthread_t thread;
        assert_ok(larder_event_new(&event));
        assert_int_equal(pthread_create(&thread, NULL, set_later, event), 0);
        assert_ok(larder_spawn(NULL, wait_for, event, NULL, NULL, &task));
        usleep((useconds_t)(i * 10));
        larder_cancel(task);
        int rc = larder_join(task);
        if (rc != -ECANCELED && rc != 7)
            fail_msg("%d", rc);
        pthread_join(thread, NULL);
        larder_event_free(event);
    }
    struct larder_event *event = NULL;
    assert_ok(larder_event_new(&event));
    assert_status(-ETIMEDOUT, larder_sync(NULL, wait_for, event, 5));
    larder_event_free(event);
}

static struct larder_event *callbacks;
static int refused;

static void on_timer(uv_timer_t *timer)
{
    refused = larder_event_wait(callbacks);
    larder_event_set(callbacks, 3);
    uv_close((uv_handle_t *)timer, NULL);
}

/* What a program on a loop of its own does: a callback tells a task. */
static void a_callback_tells_a_task_of_its_loop(void **state)
{
    uv_loop_t uv;
    uv_timer_t timer;
    struct larder_loop *loop = NULL;
    struct larder_task *task = NULL;
    assert_int_equal(uv_loop_init(&uv), 0);
    assert_ok(larder_loop_attach(&uv, &loop));
    assert_ok(larder_event_new(&callbacks));
    uv_timer_init(&uv, &timer);
    uv_timer_start(&timer, on_timer, 1, 0);
    assert_ok(larder_spawn(loop, wait_for, callbacks, NULL, NULL, &task));
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
    assert_status(-EDEADLK, refused);
    assert_ok(larder_loop_close(loop, NULL, NULL));
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
    assert_status(3, larder_join(task));
    assert_int_equal(uv_loop_close(&uv), 0);
    larder_event_free(callbacks);
}

static void closing_a_loop_ends_its_waits(void **state)
{
    struct larder_event *event = NULL;
    struct larder_loop *loop = NULL;
    struct larder_task *task = NULL;
    assert_ok(larder_event_new(&event));
    assert_ok(larder_loop_new(&loop));
    assert_ok(larder_spawn(loop, wait_for, event, NULL, NULL, &task));
    assert_ok(larder_loop_close(loop, NULL, NULL));
    larder_event_set(event, 0);
    assert_status(-ECANCELED, larder_join(task));
    larder_event_free(event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_tells_a_task_and_a_thread),
        cmocka_unit_test(what_was_set_before_is_not_waited_for),
        cmocka_unit_test(many_wait_on_many_loops),
        cmocka_unit_test(a_wait_ends_by_cancel_and_by_deadline),
        cmocka_unit_test(a_callback_tells_a_task_of_its_loop),
        cmocka_unit_test(closing_a_loop_ends_its_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
