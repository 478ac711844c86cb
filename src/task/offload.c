/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocking work on libuv's worker threads.
 *
 * Each loop has a queue of its own, from which drainers, which are what libuv runs, take one work after the other. Waking
 * a thread costs as much as a small work does, so it is done for several at once:
 *
 * - Quick works are one drainer's: several would only wait for each other, and for the kernel's lock of the directory that
 *   all write to. Whether works are quick is measured where one does them; it is found stuck in one by a tick, which
 *   looks each millisecond while works wait. If not, all drainers take the next ones, and then it is measured anew.
 * - What one drainer has done is told when few works are left for it, or by the tick.
 *
 *     offload ──▶ queued ──▶ a drainer runs it ──▶ done ──▶ tick, post, or the drainer's end ──▶ wait_done
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

#define TURN_NS \
    1000000 /* then a drainer goes to the end of libuv's queue, for other loops to have their turn */
#define TICK_NS    1000000
#define QUICK_NS   50000 /* a work that takes less is quick */
#define SLOW_NS    (4 * QUICK_NS)
#define FEW        4   /* works, during which the loop can bring more */
#define BY_ALL_MAX 256 /* works, before it is measured anew whether they are quick */

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

/* The next one; there is one. */
static struct work *take_work(struct works *works)
{
    struct work *work = container_of(list_pop(&works->queued), struct work, node);
    work->queued = false;
    works->waiting--;
    works->taken++;
    if (works->by_all > 0)
        works->by_all--;
    return work;
}

static void go_all(struct works *works)
{
    works->by_all = BY_ALL_MAX;
    works->mean_ns = 0;
}

/* `work` took so long. The mean is of the last few, and one that had to wait for something once does not make them slow. */
static void put_done(struct works *works, struct work *work, uint64_t ns)
{
    list_push(&works->done, &work->node);
    if (works->by_all > 0 || works->busy > 1)
        return;
    works->mean_ns += (ns < SLOW_NS ? ns : SLOW_NS) / 8 - works->mean_ns / 8;
    if (works->mean_ns >= QUICK_NS)
        go_all(works);
}

/* Of what is done when nothing waits the drainer's own end tells. */
static bool must_tell(const struct works *works)
{
    return !works->posted && works->waiting > 0 &&
           (!works->ticks || works->by_all > 0 || works->waiting <= FEW);
}

static void drain(uv_work_t *request)
{
    struct larder_loop *loop = container_of(request, struct drainer, request)->loop;
    struct works *works = &loop->works;
    uint64_t begun = now_ns(), now = begun;
    pthread_mutex_lock(&works->lock);
    while (works->waiting > 0 && now - begun < TURN_NS) {
        struct work *work = take_work(works);
        pthread_mutex_unlock(&works->lock);
        do_work(work);
        uint64_t before = now;
        now = now_ns();
        pthread_mutex_lock(&works->lock);
        put_done(works, work, now - before);
        if (!must_tell(works))
            continue;
        works->posted = true;
        pthread_mutex_unlock(&works->lock);
        loop_post(loop, &works->post); /* it is open: tasks wait */
        pthread_mutex_lock(&works->lock);
    }
    pthread_mutex_unlock(&works->lock);
}

/* ---- the loop's side ---- */

static void cancel_work(struct wait *wait)
{
    struct work *work = container_of(wait, struct work, wait);
    struct works *works = &work->wait.task->loop->works;
    pthread_mutex_lock(&works->lock);
    bool queued = work->queued;
    if (queued) {
        list_remove(&work->node);
        works->waiting--;
    }
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

static void done_posted(struct post *post);

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

/* A process's worker threads are all born with its first request, and inherit the mask of that thread, which may be
 * the caller's. */
static atomic_uint workers_born; /* in which generation of the process, plus one */

static void count_busy(struct drainer *drainer, bool busy)
{
    struct works *works = &drainer->loop->works;
    drainer->busy = busy;
    pthread_mutex_lock(&works->lock);
    works->busy += busy ? 1 : -1;
    pthread_mutex_unlock(&works->lock);
}

static void drained(uv_work_t *request, int status);

static void start(struct drainer *drainer)
{
    sigset_t before;
    unsigned generation = process_generation() + 1;
    bool first = atomic_load_explicit(&workers_born, memory_order_relaxed) != generation;
    if (first) {
        atomic_store(&workers_born, generation);
        signals_block(&before);
    }
    count_busy(drainer, true);
    loop_hold(drainer->loop);
    int rc = uv_queue_work(drainer->loop->uv, &drainer->request, drain, drained);
    assert(rc == 0); /* it fails for a missing function only */
    if (first)
        signals_restore(&before);
}

/* As many as are idle, at most. */
static void start_some(struct works *works, unsigned count)
{
    for (unsigned i = 0; count > 0 && i < works->drainer_count; i++)
        if (!works->drainers[i].busy) {
            start(&works->drainers[i]);
            count--;
        }
}

static void take_done(struct works *works)
{
    for (struct list *node; (node = list_pop(&works->done)) != NULL;) {
        struct work *work = container_of(node, struct work, node);
        wait_done(&work->wait, work->status);
    }
}

static void tick(struct loop_timer *timer);

/* Something was queued, is done, or a drainer has ended. What is done is taken where it is decided who will take the rest;
 * works behind one that may last are looked after by the tick. */
static void look_after(struct larder_loop *loop)
{
    struct works *works = &loop->works;
    pthread_mutex_lock(&works->lock);
    take_done(works);
    bool all = works->by_all > 0, idle = works->busy == 0;
    unsigned more = all ? works->waiting : works->waiting > 0 && idle;
    bool ticks = works->ticks = !all && works->waiting > idle;
    if (ticks && !works->tick.node.in)
        works->taken_seen = works->taken + idle;
    pthread_mutex_unlock(&works->lock);
    if (ticks && !works->tick.node.in)
        loop_timer_start(loop, &works->tick, now_ns() + TICK_NS, tick);
    if (!ticks)
        loop_timer_stop(loop, &works->tick);
    start_some(works, more);
}

/* Nothing was taken since the last one: what the drainer is at is not quick. */
static void tick(struct loop_timer *timer)
{
    struct works *works = container_of(timer, struct works, tick);
    pthread_mutex_lock(&works->lock);
    if (works->waiting > 0 && works->taken == works->taken_seen)
        go_all(works);
    works->taken_seen = works->taken;
    pthread_mutex_unlock(&works->lock);
    look_after(works->drainers[0].loop);
}

static void done_posted(struct post *post)
{
    struct works *works = container_of(post, struct works, post);
    pthread_mutex_lock(&works->lock);
    works->posted = false;
    pthread_mutex_unlock(&works->lock);
    look_after(works->drainers[0].loop);
}

static void drained(uv_work_t *request, int status)
{
    struct drainer *drainer = container_of(request, struct drainer, request);
    count_busy(drainer, false);
    look_after(drainer->loop);
    loop_drop(drainer->loop);
}

static void queue(struct larder_loop *loop, struct work *work)
{
    struct works *works = &loop->works;
    pthread_mutex_lock(&works->lock);
    work->queued = true;
    works->waiting++;
    list_push(&works->queued, &work->node);
    pthread_mutex_unlock(&works->lock);
    look_after(loop);
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
