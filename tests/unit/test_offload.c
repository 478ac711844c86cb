/* SPDX-License-Identifier: Apache-2.0 */
#include "task_test.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>

#define WORKERS 64 /* more than libuv may have been told to have */

struct job {
    pthread_t thread;
    int status;
    atomic_bool ran;
    sem_t *begun, *go;
};

static int do_job(void *arg)
{
    struct job *job = arg;
    job->thread = pthread_self();
    if (job->begun != NULL)
        sem_post(job->begun);
    if (job->go != NULL)
        sem_wait(job->go);
    atomic_store(&job->ran, true);
    return job->status < 0 ? fail(job->status, "block %d", 3) : job->status;
}

static CO_EDGE int other_thread(void *arg)
{
    struct job job = {.status = 4};
    CHECK(offload(do_job, &job) == 4);
    CHECK(job.ran && !pthread_equal(job.thread, pthread_self()));
    return 0;
}

static void work_is_done_on_another_thread(void **state)
{
    assert_task(other_thread, NULL);
}

static CO_EDGE int text_back(void *arg)
{
    struct job job = {.status = -EBADMSG};
    CHECK(offload(do_job, &job) == -EBADMSG);
    CHECK(strcmp(larder_error(), "block 3") == 0);
    struct work *work = NULL;
    CHECK(work_start(do_job, &job, &work) == 0);
    error_clear();
    CHECK(work_finish(work) == -EBADMSG);
    CHECK(strcmp(larder_error(), "block 3") == 0);
    CHECK(work_finish(NULL) == 0);
    return 0;
}

static void status_and_text_come_back(void **state)
{
    assert_task(text_back, NULL);
}

struct offloader {
    struct larder_task *task;
    struct job job;
    int rc;
};

static CO_EDGE int run_offload(void *arg)
{
    struct offloader *offloader = arg;
    offloader->task = task_current();
    offloader->rc = offload(do_job, &offloader->job);
    return 0;
}

/* Every worker is held by a job, so that the next one stays on the queue. */
static CO_EDGE int cancel_queued(void *arg)
{
    sem_t go;
    sem_init(&go, 0, 0);
    static struct job holding[WORKERS];
    static struct work *works[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        holding[i] = (struct job){.go = &go};
        CHECK(work_start(do_job, &holding[i], &works[i]) == 0);
    }
    struct offloader offloader = {.rc = 1};
    struct group group;
    group_init(&group, GROUP_ALL, 0);
    CHECK(group_add(&group, run_offload, &offloader) == 0);
    task_yield();
    larder_cancel(offloader.task);
    CHECK(group_join(&group) == 0);
    CHECK(offloader.rc == -ECANCELED && !offloader.job.ran);
    for (int i = 0; i < WORKERS; i++)
        sem_post(&go);
    for (int i = 0; i < WORKERS; i++)
        CHECK(work_finish(works[i]) == 0 && holding[i].ran);
    sem_destroy(&go);
    return 0;
}

static void a_cancel_takes_work_off_the_queue(void **state)
{
    assert_task(cancel_queued, NULL);
}

static CO_EDGE int cancel_running(void *arg)
{
    sem_t begun, go;
    sem_init(&begun, 0, 0);
    sem_init(&go, 0, 0);
    struct offloader offloader = {.rc = 1, .job = {.begun = &begun, .go = &go}};
    struct group group;
    group_init(&group, GROUP_ALL, 0);
    CHECK(group_add(&group, run_offload, &offloader) == 0);
    while (sem_trywait(&begun) != 0)
        CHECK(task_sleep(1) == 0);
    larder_cancel(offloader.task);
    CHECK(task_sleep(2) == 0);
    CHECK(offloader.rc == 1);
    sem_post(&go);
    CHECK(group_join(&group) == 0);
    CHECK(offloader.rc == -ECANCELED && offloader.job.ran);
    sem_destroy(&go);
    sem_destroy(&begun);
    return 0;
}

static void a_cancel_waits_for_work_that_has_begun(void **state)
{
    assert_task(cancel_running, NULL);
}

/* Without end, unless it is told to stop. */
static int work_for_ever(void *arg)
{
    sem_post(arg);
    int rc;
    while ((rc = work_check()) == 0)
        sched_yield();
    return rc;
}

struct long_work {
    sem_t begun;
    int rc;
};

static CO_EDGE int offload_for_ever(void *arg)
{
    struct long_work *work = arg;
    work->rc = offload(work_for_ever, &work->begun);
    return 0;
}

static CO_EDGE int cancel_long(void *arg)
{
    struct long_work work = {.rc = 1};
    sem_init(&work.begun, 0, 0);
    struct group group;
    group_init(&group, GROUP_ALL, 0);
    CHECK(group_add(&group, offload_for_ever, &work) == 0);
    while (sem_trywait(&work.begun) != 0)
        CHECK(task_sleep(1) == 0);
    group_cancel(&group);
    group_join(&group);
    CHECK(work.rc == -ECANCELED);
    sem_destroy(&work.begun);
    return 0;
}

static void long_work_hears_of_a_cancel(void **state)
{
    assert_task(cancel_long, NULL);
}

static int cancel_and_check(void *loop)
{
    int before = work_check();
    larder_loop_cancel(loop);
    return before < 0 ? before : work_check();
}

static int check_only(void *arg)
{
    return work_check();
}

static void a_thread_that_works_itself_is_stopped_by_its_loop(void **state)
{
    struct larder_loop *loop;
    assert_int_equal(larder_loop_new(&loop), 0);
    assert_non_null(larder_loop_default());
    assert_int_equal(work_here(cancel_and_check, larder_loop_default()), -ECANCELED);
    assert_int_equal(work_here(check_only, NULL), 0); /* later work is not touched */
    assert_int_equal(work_here(cancel_and_check, loop), 0);
    struct larder_loop *before = larder_loop_use(loop);
    assert_int_equal(work_here(cancel_and_check, loop), -ECANCELED);
    assert_int_equal(work_here(cancel_and_check, larder_loop_default()), 0);
    larder_loop_use(before);
    assert_int_equal(larder_loop_close(loop, NULL, NULL), 0);
    assert_int_equal(work_check(), 0);
}

static CO_EDGE int already_cancelled(void *arg)
{
    struct job job = {.status = 0};
    struct work *work = NULL;
    CHECK(work_start(do_job, &job, &work) == 0);
    larder_cancel(task_current());
    CHECK(work_finish(work) == 0 && job.ran); /* what was begun is finished */
    job.ran = false;
    CHECK(offload(do_job, &job) == -ECANCELED && !job.ran);
    return 0;
}

static void a_cancelled_task_begins_no_work_and_finishes_what_it_began(void **state)
{
    assert_task(already_cancelled, NULL);
}

static int count_up(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

static CO_EDGE int offload_many(void *arg)
{
    for (int i = 0; i < 50; i++)
        CHECK(offload(count_up, arg) == 0);
    return 0;
}

/* One worker is held all the time, and what the others have done is told without it. */
static CO_EDGE int many_at_once(void *arg)
{
    atomic_int *count = arg;
    sem_t go;
    sem_init(&go, 0, 0);
    struct job holding = {.go = &go};
    struct work *work = NULL;
    CHECK(work_start(do_job, &holding, &work) == 0);
    struct group group;
    group_init(&group, GROUP_FIRST, 0);
    for (int i = 0; i < 100; i++)
        CHECK(group_add(&group, offload_many, count) == 0);
    CHECK(group_join(&group) == 0);
    CHECK(!holding.ran);
    sem_post(&go);
    CHECK(work_finish(work) == 0);
    sem_destroy(&go);
    return 0;
}

static void each_work_is_done_once_and_told_at_once(void **state)
{
    static atomic_int count;
    assert_task(many_at_once, &count);
    assert_int_equal(count, 5000);
}

/* ---- among quick works ---- */

#define AROUND 20 /* works before and behind it, for one worker */

struct quick {
    atomic_int *told;
    sem_t *all_told;
};

static CO_EDGE int offload_quick(void *arg)
{
    struct quick *quick = arg;
    static atomic_int count;
    CHECK(offload(count_up, &count) == 0);
    if (atomic_fetch_add(quick->told, 1) + 1 == 2 * AROUND)
        sem_post(quick->all_told);
    return 0;
}

static CO_EDGE int offload_blocked(void *arg)
{
    struct job *job = arg;
    CHECK(offload(do_job, job) == 0);
    return 0;
}

/* It goes on when all others have been told. */
static CO_EDGE int blocked_among_quick(void *arg)
{
    atomic_int *count = arg;
    sem_t all_told;
    sem_init(&all_told, 0, 0);
    CHECK(offload_many(count) == 0);
    for (int turn = 0; turn < 3; turn++) {
        atomic_int told = 0;
        struct quick quick = {&told, &all_told};
        struct job blocked = {.go = &all_told};
        struct group group;
        group_init(&group, GROUP_FIRST, 0);
        for (int i = 0; i < AROUND; i++)
            CHECK(group_add(&group, offload_quick, &quick) == 0);
        CHECK(group_add(&group, offload_blocked, &blocked) == 0);
        for (int i = 0; i < AROUND; i++)
            CHECK(group_add(&group, offload_quick, &quick) == 0);
        CHECK(group_join(&group) == 0 && blocked.ran);
    }
    sem_destroy(&all_told);
    return 0;
}

static void a_work_that_blocks_among_quick_ones_holds_nobody(void **state)
{
    static atomic_int count;
    assert_task(blocked_among_quick, &count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_is_done_on_another_thread),
        cmocka_unit_test(status_and_text_come_back),
        cmocka_unit_test(each_work_is_done_once_and_told_at_once),
        cmocka_unit_test(a_work_that_blocks_among_quick_ones_holds_nobody),
        cmocka_unit_test(a_cancel_takes_work_off_the_queue),
        cmocka_unit_test(a_cancel_waits_for_work_that_has_begun),
        cmocka_unit_test(long_work_hears_of_a_cancel),
        cmocka_unit_test(a_thread_that_works_itself_is_stopped_by_its_loop),
        cmocka_unit_test(a_cancelled_task_begins_no_work_and_finishes_what_it_began),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
