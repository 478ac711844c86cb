/* SPDX-License-Identifier: Apache-2.0 */
#include "task_test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "task/internal.h"

static CO_EDGE int sleeps(void *arg)
{
    return task_sleep(60000);
}

static CO_EDGE int naps(void *arg)
{
    return task_sleep(2);
}

static void count_call(void *arg, int status)
{
    ++*(int *)arg;
}

/* ---- the default loop ---- */

static void the_default_loop_is_one_and_is_not_closed(void **state)
{
    struct larder_loop *loop = larder_loop_default();
    assert_non_null(loop);
    assert_ptr_equal(loop, larder_loop_default());
    assert_int_equal(larder_loop_close(loop, NULL, NULL), -EINVAL);
    assert_ok(larder_loop_close(NULL, NULL, NULL));
}

/* ---- own loops ---- */

static void closing_cancels_joins_and_calls_back_once(void **state)
{
    for (int i = 0; i < 50; i++) {
        struct larder_loop *loop = NULL;
        int ended = 0, closed = 0;
        assert_ok(larder_loop_new(&loop));
        for (int t = 0; t < 10; t++)
            assert_ok(larder_spawn(loop, t % 2 ? sleeps : naps, NULL, count_call, &ended, NULL));
        assert_ok(larder_loop_close(loop, count_call, &closed));
        assert_int_equal(ended, 10);
        assert_int_equal(closed, 1);
    }
}

static int close_it(void *arg)
{
    return larder_loop_close(arg, NULL, NULL);
}

static void an_own_loop_is_not_closed_on_a_loops_thread(void **state)
{
    struct larder_loop *loop = NULL;
    assert_ok(larder_loop_new(&loop));
    assert_int_equal(larder_sync(loop, close_it, loop, 0), -EDEADLK);
    assert_int_equal(larder_sync(NULL, close_it, loop, 0), -EDEADLK);
    assert_ok(larder_loop_close(loop, NULL, NULL));
}

struct late {
    struct larder_loop *loop;
    int spawn, sync;
};

static CO_EDGE int linger(void *arg)
{
    struct late *late = arg;
    if (task_sleep(60000) == -ECANCELED) {
        late->spawn = larder_spawn(late->loop, naps, NULL, NULL, NULL, NULL);
        late->sync = larder_sync(late->loop, naps, NULL, 0);
    }
    return 0;
}

static void a_closing_loop_takes_no_more_tasks(void **state)
{
    struct late late = {.spawn = 1};
    assert_ok(larder_loop_new(&late.loop));
    struct larder_loop *kept = loop_ref(late.loop);
    assert_ok(larder_spawn(late.loop, linger, &late, NULL, NULL, NULL));
    assert_ok(larder_sync(late.loop, naps, NULL, 0));
    assert_ok(larder_loop_close(late.loop, NULL, NULL));
    assert_int_equal(late.spawn, -ECANCELED);
    assert_int_equal(late.sync, -ECANCELED); /* in a task of that loop: the task's own cancel */
    assert_int_equal(larder_sync(kept, naps, NULL, 0), -EBADF);
    assert_int_equal(larder_spawn(kept, naps, NULL, NULL, NULL, NULL), -ECANCELED);
    loop_unref(kept);
    loop_unref(NULL);
}

static void a_handle_outlives_its_loop(void **state)
{
    struct larder_loop *loop = NULL;
    struct larder_task *joined = NULL, *freed = NULL;
    assert_ok(larder_loop_new(&loop));
    assert_ok(larder_spawn(loop, sleeps, NULL, NULL, NULL, &joined));
    assert_ok(larder_spawn(loop, sleeps, NULL, NULL, NULL, &freed));
    assert_ok(larder_loop_close(loop, NULL, NULL));
    larder_cancel(freed);
    larder_task_free(freed);
    assert_int_equal(larder_join(joined), -ECANCELED);
}

struct blocked {
    struct larder_loop *loop;
    atomic_bool begun; /* its task has */
    int rc;
};

static CO_EDGE int begin_and_sleep(void *arg)
{
    struct blocked *blocked = arg;
    blocked->begun = true;
    return task_sleep(60000);
}

static void *block(void *arg)
{
    struct blocked *blocked = arg;
    blocked->rc = larder_sync(blocked->loop, begin_and_sleep, blocked, 0);
    return NULL;
}

static void closing_ends_the_calls_of_other_threads(void **state)
{
    for (int i = 0; i < 50; i++) {
        struct blocked blocked = {.rc = 1};
        pthread_t thread;
        assert_ok(larder_loop_new(&blocked.loop));
        struct larder_loop *kept = loop_ref(blocked.loop);
        assert_int_equal(pthread_create(&thread, NULL, block, &blocked), 0);
        usleep(i * 20);
        assert_ok(larder_loop_close(kept, NULL, NULL));
        pthread_join(thread, NULL);
        assert_true(blocked.rc == -ECANCELED || blocked.rc == -EBADF);
        loop_unref(kept);
    }
}

/* ---- larder_loop_use ---- */

static int which(void *arg)
{
    __atomic_store_n((struct larder_loop **)arg, task_loop(task_current()), __ATOMIC_RELEASE);
    return 0;
}

static struct larder_loop *loop_of_null(void)
{
    struct larder_loop *loop = NULL;
    assert_ok(larder_sync(NULL, which, &loop, 0));
    return loop;
}

static void a_thread_uses_a_loop_until_it_says_otherwise(void **state)
{
    struct larder_loop *one = NULL, *two = NULL;
    assert_ok(larder_loop_new(&one));
    assert_ok(larder_loop_new(&two));
    assert_null(larder_loop_use(one));
    assert_ptr_equal(loop_of_null(), one);
    assert_ptr_equal(larder_loop_use(two), one);
    assert_ptr_equal(loop_of_null(), two);
    assert_ptr_equal(larder_loop_use(one), two);
    assert_ptr_equal(larder_loop_use(NULL), one);
    assert_ptr_equal(loop_of_null(), larder_loop_default());
    assert_null(larder_loop_use(NULL));
    assert_ok(larder_loop_close(one, NULL, NULL));
    assert_ok(larder_loop_close(two, NULL, NULL));
}

static void *use_one_and_end(void *arg)
{
    struct larder_loop *loop = NULL;
    larder_loop_use(arg);
    larder_sync(NULL, which, &loop, 0);
    return loop;
}

static void what_a_thread_uses_is_its_own_and_ends_with_it(void **state)
{
    struct larder_loop *loop = NULL;
    pthread_t thread;
    void *was = NULL;
    assert_ok(larder_loop_new(&loop));
    struct larder_loop *kept = loop_ref(loop);
    assert_int_equal(pthread_create(&thread, NULL, use_one_and_end, loop), 0);
    pthread_join(thread, &was);
    assert_ptr_equal(was, loop);
    assert_ptr_equal(loop_of_null(), larder_loop_default());
    assert_ok(larder_loop_close(loop, NULL, NULL));
    assert_int_equal(atomic_load(&kept->refs), 1);
    loop_unref(kept);
}

struct users {
    struct larder_loop *own, *other, *before;
};

static int use_in_task(void *arg)
{
    struct users *users = arg;
    struct larder_task *task = NULL;
    struct larder_loop *spawned = NULL, *meant = NULL;
    CHECK(loop_meant(NULL) == users->own);
    CHECK(larder_sync(NULL, which, &meant, 0) == 0 && meant == users->own);
    users->before = larder_loop_use(users->other);
    CHECK(loop_meant(NULL) == users->other);
    CHECK(larder_spawn(NULL, which, &spawned, NULL, NULL, &task) == 0);
    while (__atomic_load_n(&spawned, __ATOMIC_ACQUIRE) == NULL)
        usleep(100); /* a task of another loop is not joined */
    larder_task_free(task);
    CHECK(spawned == users->other);
    return 0;
}

static int use_nothing_in_task(void *arg)
{
    struct users *users = arg;
    CHECK(loop_meant(NULL) == users->own);
    return 0;
}

static void a_task_uses_its_own_loop_or_another_for_itself_alone(void **state)
{
    struct users users = {0};
    assert_ok(larder_loop_new(&users.own));
    assert_ok(larder_loop_new(&users.other));
    larder_loop_use(users.other); /* of this thread, and so of none of its tasks */
    assert_ok(larder_sync(users.own, use_in_task, &users, 0));
    assert_null(users.before);
    assert_ok(larder_sync(users.own, use_nothing_in_task, &users, 0));
    assert_ptr_equal(larder_loop_use(NULL), users.other);
    assert_ok(larder_loop_close(users.own, NULL, NULL));
    struct larder_loop *kept = loop_ref(users.other);
    assert_ok(larder_loop_close(users.other, NULL, NULL));
    assert_int_equal(atomic_load(&kept->refs), 1);
    loop_unref(kept);
}

static void a_loop_that_was_closed_while_in_use_says_so(void **state)
{
    struct larder_loop *loop = NULL;
    assert_ok(larder_loop_new(&loop));
    larder_loop_use(loop);
    assert_ok(larder_loop_close(loop, NULL, NULL));
    assert_status(-EBADF, larder_sync(NULL, naps, NULL, 0));
    assert_status(-ECANCELED, larder_spawn(NULL, naps, NULL, NULL, NULL, NULL));
    larder_loop_use(NULL);
    assert_ok(larder_sync(NULL, naps, NULL, 0));
}

/* ---- larder_loop_cancel ---- */

static void loop_cancel_ends_what_was_asked_for_before_and_nothing_later(void **state)
{
    struct larder_loop *loop = NULL;
    assert_ok(larder_loop_new(&loop));
    for (int i = 0; i < 300; i++) {
        struct larder_task *before = NULL;
        assert_ok(larder_spawn(loop, sleeps, NULL, NULL, NULL, &before));
        larder_loop_cancel(loop);
        assert_ok(larder_sync(loop, naps, NULL, 0));
        assert_int_equal(larder_join(before), -ECANCELED);
    }
    assert_ok(larder_loop_close(loop, NULL, NULL));
    larder_loop_cancel(NULL);
}

static struct larder_loop *signalled;

static void on_signal(int number)
{
    larder_loop_cancel(signalled);
}

static void loop_cancel_from_a_signal_handler_ends_the_call_that_it_interrupts(void **state)
{
    signalled = larder_loop_default();
    struct sigaction action = {.sa_handler = on_signal}, before;
    sigaction(SIGALRM, &action, &before);
    for (int i = 0; i < 20; i++) {
        ualarm(1000,
               1000); /* the first may come before the call has begun, and is none of its business then */
        assert_int_equal(larder_sync(NULL, sleeps, NULL, 0), -ECANCELED);
    }
    ualarm(0, 0);
    sigaction(SIGALRM, &before, NULL);
}

static void loop_cancel_ends_a_call_of_another_thread(void **state)
{
    struct blocked blocked = {.rc = 1};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, block, &blocked), 0);
    while (!blocked.begun)
        usleep(100);
    larder_loop_cancel(larder_loop_default());
    pthread_join(thread, NULL);
    assert_int_equal(blocked.rc, -ECANCELED);
}

/* ---- the inbox ---- */

struct mark {
    struct post post;
    int *order, *next, number;
};

static void mark(struct post *post)
{
    struct mark *mark = container_of(post, struct mark, post);
    mark->order[(*mark->next)++] = mark->number;
}

static void posts_run_in_order_on_the_loop(void **state)
{
    int order[100], next = 0;
    static struct mark marks[100];
    struct larder_loop *loop = NULL;
    assert_ok(larder_loop_new(&loop));
    for (int i = 0; i < 100; i++) {
        marks[i] = (struct mark){{.run = mark}, order, &next, i};
        assert_ok(loop_post(loop, &marks[i].post));
    }
    assert_ok(larder_sync(loop, naps, NULL, 0));
    assert_int_equal(next, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(order[i], i);
    struct larder_loop *kept = loop_ref(loop);
    assert_ok(larder_loop_close(loop, NULL, NULL));
    assert_int_equal(loop_post(kept, &marks[0].post), -ECANCELED);
    loop_unref(kept);
}

/* ---- parts ---- */

struct part {
    struct loop_part part;
    struct larder_loop *loop;
    uv_timer_t timer;
    int *closed, tasks_at_close;
    int *ended;
};
static const char part_kind;

static void part_gone(uv_handle_t *handle)
{
    struct part *part = handle->data;
    ++*part->closed;
    loop_drop(part->loop);
    mem_free(part);
}

static void part_close(struct loop_part *loop_part)
{
    struct part *part = container_of(loop_part, struct part, part);
    part->tasks_at_close = *part->ended;
    loop_hold(part->loop);
    uv_close((uv_handle_t *)&part->timer, part_gone);
}

struct parted {
    struct larder_loop *loop;
    int closed, ended;
};

static int add_part(void *arg)
{
    struct parted *parted = arg;
    CHECK(loop_part_find(parted->loop, &part_kind) == NULL);
    struct part *part = mem_zero(sizeof(*part));
    part->loop = parted->loop;
    part->closed = &parted->closed;
    part->ended = &parted->ended;
    part->timer.data = part;
    uv_timer_init(loop_uv(parted->loop), &part->timer);
    loop_part_add(parted->loop, &part->part, &part_kind, part_close);
    CHECK(loop_part_find(parted->loop, &part_kind) == &part->part);
    return 0;
}

static void parts_close_after_the_tasks_and_before_the_loop(void **state)
{
    struct parted parted = {.closed = 0};
    assert_ok(larder_loop_new(&parted.loop));
    assert_ok(larder_sync(parted.loop, add_part, &parted, 0));
    assert_ok(larder_spawn(parted.loop, sleeps, NULL, count_call, &parted.ended, NULL));
    assert_ok(larder_loop_close(parted.loop, NULL, NULL));
    assert_int_equal(parted.closed, 1);
    assert_int_equal(parted.ended, 1);
}

/* ---- attached loops ---- */

static void an_idle_attached_loop_lets_uv_run_return(void **state)
{
    uv_loop_t uv;
    struct larder_loop *loop = NULL, *second = NULL;
    int ended = 0, closed = 0;
    assert_int_equal(uv_loop_init(&uv), 0);
    assert_ok(larder_loop_attach(&uv, &loop));
    assert_int_equal(larder_loop_attach(&uv, &second), -EBUSY);
    assert_null(second);
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);

    /* With a live task it runs until that has ended. */
    assert_ok(larder_spawn(loop, naps, NULL, count_call, &ended, NULL));
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
    assert_int_equal(ended, 1);

    assert_ok(larder_spawn(loop, sleeps, NULL, count_call, &ended, NULL));
    uv_run(&uv, UV_RUN_NOWAIT);
    assert_ok(larder_loop_close(loop, count_call, &closed));
    assert_int_equal(larder_loop_close(loop, count_call, &closed), -EINVAL);
    assert_int_equal(closed, 0);
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
    assert_int_equal(closed, 1);
    assert_int_equal(ended, 2);
    assert_int_equal(uv_loop_close(&uv), 0);
}

static void a_loop_can_be_attached_again_after_it_was_closed(void **state)
{
    uv_loop_t uv;
    assert_int_equal(uv_loop_init(&uv), 0);
    for (int i = 0; i < 3; i++) {
        struct larder_loop *loop = NULL;
        int closed = 0;
        assert_ok(larder_loop_attach(&uv, &loop));
        assert_ok(larder_loop_close(loop, count_call, &closed));
        assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
        assert_int_equal(closed, 1);
        assert_int_equal(edge_where(larder_loop_default()), EDGE_THREAD);
    }
    assert_int_equal(uv_loop_close(&uv), 0);
    struct larder_loop *loop = NULL;
    assert_int_equal(larder_loop_attach(NULL, &loop), -EINVAL);
}

struct visitor {
    struct larder_loop *loop;
    uv_async_t *stop;
    int rc, close_rc;
};

static void *visit(void *arg)
{
    struct visitor *visitor = arg;
    visitor->close_rc = larder_loop_close(visitor->loop, NULL, NULL);
    visitor->rc = larder_sync(visitor->loop, naps, NULL, 0);
    uv_async_send(visitor->stop);
    return NULL;
}

static void close_handle(uv_async_t *async)
{
    uv_close((uv_handle_t *)async, NULL);
}

static void other_threads_call_while_the_owner_runs_the_loop(void **state)
{
    uv_loop_t uv;
    uv_async_t stop;
    struct visitor visitor = {.stop = &stop, .rc = 1};
    pthread_t thread;
    assert_int_equal(uv_loop_init(&uv), 0);
    assert_ok(larder_loop_attach(&uv, &visitor.loop));
    uv_async_init(&uv, &stop, close_handle);
    assert_int_equal(pthread_create(&thread, NULL, visit, &visitor), 0);
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
    pthread_join(thread, NULL);
    assert_ok(visitor.rc);
    assert_int_equal(visitor.close_rc, -EINVAL); /* on its own thread only */
    assert_ok(larder_loop_close(visitor.loop, NULL, NULL));
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&uv), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_loop_is_one_and_is_not_closed),
        cmocka_unit_test(closing_cancels_joins_and_calls_back_once),
        cmocka_unit_test(an_own_loop_is_not_closed_on_a_loops_thread),
        cmocka_unit_test(a_closing_loop_takes_no_more_tasks),
        cmocka_unit_test(a_handle_outlives_its_loop),
        cmocka_unit_test(closing_ends_the_calls_of_other_threads),
        cmocka_unit_test(a_thread_uses_a_loop_until_it_says_otherwise),
        cmocka_unit_test(what_a_thread_uses_is_its_own_and_ends_with_it),
        cmocka_unit_test(a_task_uses_its_own_loop_or_another_for_itself_alone),
        cmocka_unit_test(a_loop_that_was_closed_while_in_use_says_so),
        cmocka_unit_test(loop_cancel_ends_what_was_asked_for_before_and_nothing_later),
        cmocka_unit_test(loop_cancel_from_a_signal_handler_ends_the_call_that_it_interrupts),
        cmocka_unit_test(loop_cancel_ends_a_call_of_another_thread),
        cmocka_unit_test(posts_run_in_order_on_the_loop),
        cmocka_unit_test(parts_close_after_the_tasks_and_before_the_loop),
        cmocka_unit_test(an_idle_attached_loop_lets_uv_run_return),
        cmocka_unit_test(a_loop_can_be_attached_again_after_it_was_closed),
        cmocka_unit_test(other_threads_call_while_the_owner_runs_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
