/* SPDX-License-Identifier: Apache-2.0 */
#include "task_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static int zero(void *arg)
{
    return 0;
}

static CO_EDGE int sleeps(void *arg)
{
    return task_sleep(60000);
}

/* ---- who may call what ---- */

/* Each way to call, on `loop`, with the status that comes back. */
struct calls {
    struct larder_loop *loop;
    struct larder_task *task; /* of `loop`, to be joined */
    enum edge where;
    int sync, join, spawn;
};

static void make_calls(struct calls *calls)
{
    calls->where = edge_where(calls->loop);
    calls->sync = larder_sync(calls->loop, zero, NULL, 0);
    calls->join = larder_join(calls->task);
    calls->spawn = larder_spawn(calls->loop, zero, NULL, NULL, NULL, NULL);
}

static int calls_in_task(void *arg)
{
    make_calls(arg);
    return 0;
}

struct callback {
    struct post post;
    struct calls *calls;
};

static void calls_in_callback(struct post *post)
{
    make_calls(container_of(post, struct callback, post)->calls);
}

static struct calls calls_of(struct larder_loop *loop)
{
    struct calls calls = {.loop = loop};
    assert_ok(larder_spawn(loop, zero, NULL, NULL, NULL, &calls.task));
    return calls;
}

static void a_thread_may_call_everything(void **state)
{
    struct calls calls = calls_of(larder_loop_default());
    make_calls(&calls);
    assert_int_equal(calls.where, EDGE_THREAD);
    assert_ok(calls.sync);
    assert_ok(calls.join);
    assert_ok(calls.spawn);
}

static void a_task_of_the_loop_may_call_everything(void **state)
{
    struct calls calls = calls_of(larder_loop_default());
    assert_ok(larder_sync(NULL, calls_in_task, &calls, 0));
    assert_int_equal(calls.where, EDGE_TASK);
    assert_ok(calls.sync);
    assert_ok(calls.join);
    assert_ok(calls.spawn);
}

static void a_task_of_another_loop_may_not_wait(void **state)
{
    struct larder_loop *other = NULL;
    assert_ok(larder_loop_new(&other));
    struct calls calls = calls_of(larder_loop_default());
    assert_ok(larder_sync(other, calls_in_task, &calls, 0));
    assert_int_equal(calls.where, EDGE_FOREIGN);
    assert_int_equal(calls.sync, -EDEADLK);
    assert_int_equal(calls.join, -EDEADLK);
    assert_ok(calls.spawn);
    assert_ok(larder_join(calls.task)); /* the refused join left it */
    assert_ok(larder_loop_close(other, NULL, NULL));
}

static void a_loops_thread_outside_a_task_may_not_wait(void **state)
{
    struct larder_loop *own = larder_loop_default(), *other = NULL;
    assert_ok(larder_loop_new(&other));
    for (int i = 0; i < 2; i++) { /* its own loop, another */
        struct calls calls = calls_of(own);
        struct callback callback = {.post.run = calls_in_callback, .calls = &calls};
        struct larder_loop *here = i == 0 ? own : other;
        assert_ok(loop_post(here, &callback.post));
        assert_ok(larder_sync(here, zero, NULL, 0));
        assert_int_equal(calls.where, EDGE_CALLBACK);
        assert_int_equal(calls.sync, -EDEADLK);
        assert_int_equal(calls.join, -EDEADLK);
        assert_ok(calls.spawn);
        assert_ok(larder_join(calls.task));
    }
    assert_ok(larder_loop_close(other, NULL, NULL));
}

static void a_refusal_says_why(void **state)
{
    assert_int_equal(edge_refuse(EDGE_FOREIGN, "larder_cat"), -EDEADLK);
    assert_string_equal(larder_error(), "larder_cat: called by a task of another loop");
    assert_int_equal(edge_refuse(EDGE_CALLBACK, "larder_cat"), -EDEADLK);
    assert_string_equal(larder_error(), "larder_cat: called on a loop's thread outside a task");
}

/* ---- sync ---- */

static int fails(void *arg)
{
    return fail(-ENOENT, "a/b: no such file");
}

static void sync_brings_status_and_text(void **state)
{
    assert_int_equal(larder_sync(NULL, fails, NULL, 0), -ENOENT);
    assert_string_equal(larder_error(), "a/b: no such file");
    assert_ok(larder_sync(NULL, zero, NULL, 0));
    assert_string_equal(larder_error(), "");
    assert_int_equal(larder_sync(NULL, NULL, NULL, 0), -EINVAL);
}

static CO_EDGE int slow_to_stop(void *arg)
{
    task_sleep(60000);
    *(bool *)arg = true;
    return 0;
}

static int sync_in_task(void *arg)
{
    return larder_sync(NULL, slow_to_stop, arg, 3);
}

static void sync_times_out_when_the_function_has_ended(void **state)
{
    bool ended = false;
    assert_int_equal(larder_sync(NULL, slow_to_stop, &ended, 3), -ETIMEDOUT);
    assert_true(ended);
    ended = false;
    assert_int_equal(larder_sync(NULL, sync_in_task, &ended, 0), -ETIMEDOUT);
    assert_true(ended);
}

static void *sync_from_thread(void *arg)
{
    for (int i = 0; i < 300; i++)
        if (larder_sync(NULL, zero, NULL, 0) != 0 || larder_sync(NULL, fails, NULL, 0) != -ENOENT)
            atomic_fetch_add((atomic_int *)arg, 1);
    return NULL;
}

static void many_threads_call_one_loop(void **state)
{
    pthread_t threads[8];
    atomic_int wrong = 0;
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sync_from_thread, &wrong), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(wrong, 0);
}

/* ---- mail ---- */

struct note {
    struct letter letter;
    struct post reply;
    struct box *box;
    int number;
};
struct box {
    struct edge_mail mail;
    struct larder_loop *loop;
    struct waiters room;
    pthread_t opener;
    struct larder_task *opening_task;
    int opened, replied, next, out_of_order, calls_failed, unreplied_most;
    bool replies, calls_back, done_after_all;
    atomic_bool begun;
    struct note notes[400];
};

static void note_replied(struct post *post)
{
    struct box *box = container_of(post, struct note, reply)->box;
    box->replied++;
    waiters_wake(&box->room);
}

static void note_open(struct letter *letter)
{
    struct note *note = container_of(letter, struct note, letter);
    struct box *box = note->box;
    box->opener = pthread_self();
    box->opening_task = task_current();
    box->out_of_order += note->number != box->opened;
    box->opened++;
    if (box->calls_back && note->number % 50 == 0)
        box->calls_failed += larder_sync(box->loop, zero, NULL, 0) != 0;
    if (box->replies) {
        note->reply.run = note_replied;
        edge_mail_reply(&box->mail, box->loop, &note->reply);
    }
}

static CO_EDGE int send_notes(void *arg)
{
    struct box *box = arg;
    for (int i = 0; i < 100; i++) {
        struct note *note = &box->notes[box->next];
        note->number = box->next++;
        note->box = box;
        note->letter.open = note_open;
        edge_mail_send(&box->mail, &note->letter);
        int unreplied = box->next - box->replied;
        if (unreplied > box->unreplied_most)
            box->unreplied_most = unreplied;
        while (box->replies && box->next - box->replied > 20) /* back-pressure */
            if (waiters_wait(&box->room) < 0)
                return -ECANCELED;
        if (i % 7 == 0)
            task_yield();
    }
    return 0;
}

static CO_EDGE int send_and_serve(void *arg)
{
    struct box *box = arg;
    struct group group;
    waiters_init(&box->room);
    edge_mail_open(&box->mail);
    group_init(&group, GROUP_ALL, 0);
    for (int i = 0; i < 4; i++)
        CHECK(group_add(&group, send_notes, box) == 0);
    int rc = edge_mail_serve(&box->mail, &group);
    box->done_after_all = box->opened == 400 && (!box->replies || box->replied == 400);
    return rc;
}

static void check_box(const struct box *box)
{
    assert_int_equal(box->opened, 400);
    assert_int_equal(box->out_of_order, 0);
    assert_int_equal(box->calls_failed, 0);
    assert_true(box->done_after_all);
    assert_true(!box->replies || box->unreplied_most <= 24);
}

static void letters_are_opened_in_order_on_the_calling_thread(void **state)
{
    for (int i = 0; i < 40; i++) {
        static struct box box;
        box = (struct box){.loop = larder_loop_default(), .replies = i & 1, .calls_back = i & 2};
        assert_ok(edge_run(box.loop, send_and_serve, &box));
        check_box(&box);
        assert_true(pthread_equal(box.opener, pthread_self()));
        assert_null(box.opening_task);
    }
}

struct task_box {
    struct box box;
    struct larder_task *caller;
};

static int call_from_task(void *arg)
{
    struct task_box *own = arg;
    own->caller = task_current();
    return send_and_serve(&own->box);
}

static void letters_of_a_tasks_call_are_opened_by_that_task(void **state)
{
    for (int i = 0; i < 4; i++) {
        static struct task_box own;
        own =
            (struct task_box){.box = {.loop = larder_loop_default(), .replies = i & 1, .calls_back = i & 2}};
        assert_ok(larder_sync(NULL, call_from_task, &own, 0));
        check_box(&own.box);
        assert_ptr_equal(own.box.opening_task, own.caller);
    }
}

struct nested {
    struct larder_loop *loop;
    struct letter letter;
    struct edge_mail mail;
    int depth, deepest;
};

static CO_EDGE int send_one(void *arg);

static void open_nested(struct letter *letter)
{
    struct nested *outer = container_of(letter, struct nested, letter);
    if (outer->depth == 5)
        return;
    struct nested inner = {.loop = outer->loop, .depth = outer->depth + 1, .deepest = outer->depth + 1};
    if (edge_run(inner.loop, send_one, &inner) == 0)
        outer->deepest = inner.deepest;
}

static CO_EDGE int send_one(void *arg)
{
    struct nested *nested = arg;
    struct group group;
    group_init(&group, GROUP_ALL, 0);
    edge_mail_open(&nested->mail);
    nested->letter.open = open_nested;
    edge_mail_send(&nested->mail, &nested->letter);
    return edge_mail_serve(&nested->mail, &group);
}

static void a_letter_may_make_calls_whose_letters_do_so_again(void **state)
{
    struct nested nested = {.loop = larder_loop_default()};
    assert_ok(edge_run(nested.loop, send_one, &nested));
    assert_int_equal(nested.deepest, 5);
}

static CO_EDGE int send_then_sleep(void *arg)
{
    struct box *box = arg;
    struct group group;
    waiters_init(&box->room);
    edge_mail_open(&box->mail);
    group_init(&group, GROUP_ALL, 0);
    CHECK(group_add(&group, send_notes, box) == 0);
    CHECK(group_add(&group, sleeps, NULL) == 0);
    atomic_store(&box->begun, true);
    return edge_mail_serve(&box->mail, &group);
}

/* Once some are on their way. */
static void *cancel_soon(void *arg)
{
    struct box *box = arg;
    while (!atomic_load(&box->begun))
        usleep(1000);
    usleep(3000);
    larder_loop_cancel(box->loop);
    return NULL;
}

static void a_cancelled_call_still_opens_what_was_sent(void **state)
{
    for (int i = 0; i < 2; i++) {
        static struct box box;
        box = (struct box){.loop = larder_loop_default()};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &box), 0);
        int rc = i == 0 ? edge_run(box.loop, send_then_sleep, &box)
                        : larder_sync(box.loop, send_then_sleep, &box, 0);
        assert_int_equal(rc, -ECANCELED);
        pthread_join(thread, NULL);
        assert_true(box.next > 0);
        assert_int_equal(box.opened, box.next);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_may_call_everything),
        cmocka_unit_test(a_task_of_the_loop_may_call_everything),
        cmocka_unit_test(a_task_of_another_loop_may_not_wait),
        cmocka_unit_test(a_loops_thread_outside_a_task_may_not_wait),
        cmocka_unit_test(a_refusal_says_why),
        cmocka_unit_test(sync_brings_status_and_text),
        cmocka_unit_test(sync_times_out_when_the_function_has_ended),
        cmocka_unit_test(many_threads_call_one_loop),
        cmocka_unit_test(letters_are_opened_in_order_on_the_calling_thread),
        cmocka_unit_test(letters_of_a_tasks_call_are_opened_by_that_task),
        cmocka_unit_test(a_letter_may_make_calls_whose_letters_do_so_again),
        cmocka_unit_test(a_cancelled_call_still_opens_what_was_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
