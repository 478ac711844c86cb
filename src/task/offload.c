/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocking work on libuv's worker threads.
 *
 * Each loop has a queue of its own, from which drainers, which are what libuv runs, take one work after the other; and
 * what is done while the loop is busy is told to it together. Handing libuv each work by itself costs a wake-up of a
 * worker and one of the loop: of 10,000 copies of small files, half of the time.
 *
 *     offload ──▶ queued ──▶ a drainer runs it ──▶ done ──▶ post, or the drainer's end ──▶ wait_done
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/seams.h"
#include "task/internal.h"

struct work {
    struct list node; /* in one of the loop's lists, under their lock */
    bool queued;      /* under the lock */
    struct wait wait;
    atomic_uint cancels;
    work_fn *fn;
    void *arg;
    int status; /* the worker's, until it is done */
    char *text;
};

#define WORKS_A_TURN \
    16 /* then a drainer goes to the end of libuv's queue, for other loops to have their turn */

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

/* ---- work that can be stopped ---- */

static int run_until_stopped(const struct stop *stop, work_fn *fn, void *arg)
{
    struct here *now = here();
    const struct stop *outer = now->stop;
    now->stop = stop;
    int rc = fn(arg);
    now->stop = outer;
    return rc;
}

int work_here(work_fn *fn, void *arg)
{
    struct larder_loop *loop = loop_meant(NULL);
    if (loop == NULL)
        loop = loop_default_made();
    if (loop == NULL) /* then nobody has one to cancel */
        return fn(arg);
    struct stop stop = {&loop->cancels, atomic_load(&loop->cancels)};
    return run_until_stopped(&stop, fn, arg);
}

int work_check(void)
{
    const struct stop *stop = here()->stop;
    return stop != NULL && atomic_load(stop->asked) != stop->before ? fail(-ECANCELED, ERROR_CANCELLED) : 0;
}

/* ---- a worker's side ---- */

static void do_work(struct work *work)
{
    struct stop stop = {&work->cancels, 0};
    error_clear();
    work->status = run_until_stopped(&stop, work->fn, work->arg);
    if (work->status < 0)
        work->text = mem_dup(error_text());
}

/* What is done is told at once if this drainer goes on; else its own end tells. */
static void drain(uv_work_t *request)
{
    struct larder_loop *loop = container_of(request, struct drainer, request)->loop;
    struct works *works = &loop->works;
    struct list *node;
    pthread_mutex_lock(&works->lock);
    for (int i = 0; i < WORKS_A_TURN && (node = list_pop(&works->queued)) != NULL; i++) {
        struct work *work = container_of(node, struct work, node);
        work->queued = false;
        pthread_mutex_unlock(&works->lock);
        do_work(work);
        pthread_mutex_lock(&works->lock);
        list_push(&works->done, &work->node);
        if (works->posted || list_empty(&works->queued))
            continue;
        works->posted = true;
        pthread_mutex_unlock(&works->lock);
        loop_post(loop, &works->post); /* it is open: tasks wait */
        pthread_mutex_lock(&works->lock);
    }
    pthread_mutex_unlock(&works->lock);
}

/* ---- the loop's side ---- */

/* Is there more to do? */
static bool take_done(struct works *works)
{
    struct list *node;
    pthread_mutex_lock(&works->lock);
    while ((node = list_pop(&works->done)) != NULL) {
        struct work *work = container_of(node, struct work, node);
        wait_done(&work->wait, work->status);
    }
    bool more = !list_empty(&works->queued);
    pthread_mutex_unlock(&works->lock);
    return more;
}

static void done_posted(struct post *post)
{
    struct works *works = container_of(post, struct works, post);
    pthread_mutex_lock(&works->lock);
    works->posted = false;
    pthread_mutex_unlock(&works->lock);
    take_done(works);
}

static void cancel_work(struct wait *wait)
{
    struct work *work = container_of(wait, struct work, wait);
    struct works *works = &work->wait.task->loop->works;
    pthread_mutex_lock(&works->lock);
    bool queued = work->queued;
    if (queued)
        list_remove(&work->node);
    pthread_mutex_unlock(&works->lock);
    if (queued)
        wait_done(wait, -ECANCELED);
    else
        atomic_store(&work->cancels, 1); /* and wait for it */
}

/* How many threads libuv has. */
static unsigned worker_count(void)
{
    const char *said = getenv("UV_THREADPOOL_SIZE");
    long count = said != NULL ? strtol(said, NULL, 10) : 4;
    return count < 1 ? 1 : count > DRAINERS_MAX ? DRAINERS_MAX : (unsigned)count;
}

void works_init(struct larder_loop *loop)
{
    struct works *works = &loop->works;
    pthread_mutex_init(&works->lock, NULL);
    list_init(&works->queued);
    list_init(&works->done);
    works->post.run = done_posted;
    works->drainer_count = worker_count();
    for (unsigned i = 0; i < works->drainer_count; i++)
        works->drainers[i].loop = loop;
}

void works_fini(struct larder_loop *loop)
{
    pthread_mutex_destroy(&loop->works.lock);
}

static void start(struct drainer *drainer);

static void drained(uv_work_t *request, int status)
{
    struct drainer *drainer = container_of(request, struct drainer, request);
    drainer->busy = false;
    if (take_done(&drainer->loop->works))
        start(drainer);
    loop_drop(drainer->loop);
}

/* A process's worker threads are all born with its first request, and inherit the mask of that thread, which may be
 * the caller's. */
static atomic_uint workers_born; /* in which generation of the process, plus one */

static void start(struct drainer *drainer)
{
    sigset_t before;
    unsigned generation = process_generation() + 1;
    bool first = atomic_load_explicit(&workers_born, memory_order_relaxed) != generation;
    if (first) {
        atomic_store(&workers_born, generation);
        signals_block(&before);
    }
    drainer->busy = true;
    loop_hold(drainer->loop);
    int rc = uv_queue_work(drainer->loop->uv, &drainer->request, drain, drained);
    assert(rc == 0); /* it fails for a missing function only */
    if (first)
        signals_restore(&before);
}

/* A drainer that is busy looks for more before it ends, or when it has ended. */
static void queue(struct larder_loop *loop, struct work *work)
{
    struct works *works = &loop->works;
    pthread_mutex_lock(&works->lock);
    work->queued = true;
    list_push(&works->queued, &work->node);
    pthread_mutex_unlock(&works->lock);
    for (unsigned i = 0; i < works->drainer_count; i++)
        if (!works->drainers[i].busy) {
            start(&works->drainers[i]);
            return;
        }
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
