/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking work on libuv's worker threads. */
#include <assert.h>
#include <errno.h>
#include <signal.h>

#include "base/error.h"
#include "base/seams.h"
#include "task/internal.h"

struct work {
    uv_work_t request;
    struct wait wait;
    work_fn *fn;
    void *arg;
    int status; /* the worker's, until `done_work` */
    char *text;
};

void signals_block(sigset_t *before)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t all;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_SETMASK, &all, before);
}

void signals_restore(const sigset_t *before)
{
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

static void do_work(uv_work_t *request)
{
    struct work *work = container_of(request, struct work, request);
    error_clear();
    work->status = work->fn(work->arg);
    if (work->status < 0)
        work->text = mem_dup(error_text());
}

static void done_work(uv_work_t *request, int status)
{
    struct work *work = container_of(request, struct work, request);
    wait_done(&work->wait, status < 0 ? status : work->status);
}

static void cancel_work(struct wait *wait)
{
    /* Fails when the work has begun; then there is nothing to do but wait for it. */
    uv_cancel((uv_req_t *)&container_of(wait, struct work, wait)->request);
}

/* A process's worker threads are all born with its first request, and inherit the mask of that thread, which may be
 * the caller's. */
static atomic_uint workers_born; /* in which generation of the process, plus one */

static void queue(struct larder_loop *loop, struct work *work)
{
    sigset_t before;
    unsigned generation = process_generation() + 1;
    bool first = atomic_load_explicit(&workers_born, memory_order_relaxed) != generation;
    if (first) {
        atomic_store(&workers_born, generation);
        signals_block(&before);
    }
    int rc = uv_queue_work(loop->uv, &work->request, do_work, done_work);
    assert(rc == 0); /* it fails for a missing function only */
    if (first)
        signals_restore(&before);
}

static void no_work(uv_work_t *request)
{
}

static void after_no_work(uv_work_t *request, int status)
{
}

void workers_before_exit(void)
{
    unsigned generation = atomic_load(&workers_born);
    uv_loop_t uv;
    uv_work_t request;
    if (generation == 0 || generation == process_generation() + 1 || uv_loop_init(&uv) < 0)
        return;
    uv_queue_work(&uv, &request, no_work, after_no_work);
    uv_run(&uv, UV_RUN_DEFAULT);
    uv_loop_close(&uv);
}

int offload(work_fn *fn, void *arg)
{
    struct work work = {.fn = fn, .arg = arg};
    struct larder_task *task = task_current();
    int rc = task_interrupted(task);
    if (rc < 0)
        return rc;
    queue(task->loop, &work);
    rc = wait_on(&work.wait, cancel_work);
    if (rc == work.status && work.text != NULL)
        error_set_text(work.text);
    mem_free(work.text);
    return rc;
}

int work_start(work_fn *fn, void *arg, struct work **out)
{
    struct work *work = mem_zero(sizeof(*work));
    if (work == NULL)
        return fail_memory();
    work->fn = fn;
    work->arg = arg;
    queue(task_current()->loop, work);
    *out = work;
    return 0;
}

int work_finish(struct work *work)
{
    if (work == NULL)
        return 0;
    int rc = wait_on_deaf(&work->wait);
    if (work->text != NULL)
        error_set_text(work->text);
    mem_free(work->text);
    mem_free(work);
    return rc;
}
