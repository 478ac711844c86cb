/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer: what is to be stored is queued, and one thread a store puts it there, a synced transaction for
 * all that came while the last one was being written. Nobody waits for it, but who asks to (flush, mirror).
 */
#include "cache/store.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/seams.h"
#include "cache/batch.h"

unsigned writer_retry_ms = 30000; /* after a failure, before writing is tried again */

/* A task that waits for room, or for what was queued to be on the disk. */
struct writer_wait {
    struct wait wait;
    struct post post;
    struct writer *writer;
    struct larder_loop *loop;
    struct list node;  /* under the lock; in no list: it is on its way back */
    size_t room;       /* to be reserved; 0: until … */
    uint64_t finished; /* … so many ops are finished */
    int status;
};

int writer_init(struct writer *writer)
{
    pthread_condattr_t clock;
    pthread_mutex_init(&writer->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&writer->wake, &clock);
    pthread_cond_init(&writer->changed, &clock);
    pthread_condattr_destroy(&clock);
    writer->last = &writer->first;
    list_init(&writer->waits);
    list_init(&writer->trees);
    return 0;
}

void writer_fini(struct writer *writer)
{
    changes_fini(writer);
    pthread_cond_destroy(&writer->changed);
    pthread_cond_destroy(&writer->wake);
    pthread_mutex_destroy(&writer->lock);
}

/* ---- waits ---- */

/* 1: it has what it waits for; 0: not yet; negative: it will not. */
static int is_served(struct writer *writer, const struct writer_wait *wait)
{
    if (writer->status < 0)
        return writer->status;
    if (!wait->room)
        return writer->finished >= wait->finished;
    return writer->used == 0 || writer->used + wait->room <= BUDGET_SIZE;
}

static void return_wait(struct post *post)
{
    struct writer_wait *wait = container_of(post, struct writer_wait, post);
    wait_done(&wait->wait, wait->status);
}

/* Whatever changed under the lock may have served somebody. */
static void serve_waits(struct writer *writer)
{
    bool full = false; /* who waits for much is not overtaken by those who want little */
    pthread_cond_broadcast(&writer->changed);
    list_for_each_safe (node, &writer->waits) {
        struct writer_wait *wait = container_of(node, struct writer_wait, node);
        int rc = full && wait->room ? 0 : is_served(writer, wait);
        full = full || (rc == 0 && wait->room);
        if (rc == 0)
            continue;
        if (rc > 0)
            writer->used += wait->room;
        wait->status = rc < 0 ? rc : 0;
        list_remove(&wait->node);
        loop_post(wait->loop, &wait->post); /* its task waits, so the loop is alive */
    }
}

static void cancel_wait(struct wait *base)
{
    struct writer_wait *wait = container_of(base, struct writer_wait, wait);
    pthread_mutex_lock(&wait->writer->lock);
    bool waiting = !list_empty(&wait->node);
    list_remove(&wait->node);
    pthread_mutex_unlock(&wait->writer->lock);
    if (waiting)
        wait_done(base, -ECANCELED);
}

static int refuse(struct store *store, int status)
{
    return fail_errno(-status, "cache %s: it cannot be written", store->dir);
}

static int CO_FN wait_for(struct store *store, size_t room, uint64_t finished)
{
    struct writer *writer = &store->writer;
    struct writer_wait wait = {.wait = WAIT_INIT, .post = {.run = return_wait}, .writer = writer};
    wait.loop = task_loop(task_current());
    wait.room = room;
    wait.finished = finished;
    pthread_mutex_lock(&writer->lock);
    int rc = is_served(writer, &wait);
    if (rc > 0)
        writer->used += room;
    else if (rc == 0)
        list_push(&writer->waits, &wait.node);
    pthread_mutex_unlock(&writer->lock);
    if (rc == 0)
        rc = wait_on(&wait.wait, cancel_wait);
    if (rc < 0 && wait.wait.done && wait.wait.status == 0)
        writer_release(store, room); /* it came at the last moment, too late */
    return rc >= 0 ? 0 : rc == -ECANCELED || rc == -ETIMEDOUT ? rc : refuse(store, rc);
}

int writer_reserve_wait(struct store *store, size_t size)
{
    return wait_for(store, size, 0);
}

/* ---- the budget ---- */

bool writer_reserve(struct store *store, size_t size)
{
    struct writer *writer = &store->writer;
    if (store->read_only || !store_is_ours(store))
        return false;
    pthread_mutex_lock(&writer->lock);
    bool fits = writer->status == 0 && (writer->used == 0 || writer->used + size <= BUDGET_SIZE);
    if (fits)
        writer->used += size;
    pthread_mutex_unlock(&writer->lock);
    return fits;
}

void writer_release(struct store *store, size_t size)
{
    struct writer *writer = &store->writer;
    if (size == 0 || !store_is_ours(store))
        return;
    pthread_mutex_lock(&writer->lock);
    writer->used -= size;
    serve_waits(writer);
    pthread_mutex_unlock(&writer->lock);
}

/* ---- the thread ---- */

static void finish(struct store *store, struct op *op, int status)
{
    struct writer *writer = &store->writer;
    size_t cost = op->cost;
    op->done(op, status);
    pthread_mutex_lock(&writer->lock);
    writer->used -= cost;
    writer->finished++;
    pthread_mutex_unlock(&writer->lock);
}

static struct op *take_batch(struct store *store)
{
    struct writer *writer = &store->writer;
    struct op *first = writer->first, **end = &writer->first;
    size_t size = 0, size_max = (size_t)store_piece_max(store) * BATCH_PIECES;
    for (unsigned count = 0; *end && count < BATCH_COUNT && size < size_max; count++) {
        size += (*end)->cost;
        end = &(*end)->next;
    }
    if (!*end)
        writer->last = &writer->first;
    struct op *rest = *end;
    *end = NULL;
    writer->first = rest;
    return first;
}

/* What must not be lost goes back to the front of the queue, in its order. */
static void put_back(struct writer *writer, struct op *first, struct op **end)
{
    *end = writer->first;
    if (!writer->first)
        writer->last = end;
    writer->first = first;
}

static void batch_ended(struct store *store, struct op *op, int status)
{
    struct writer *writer = &store->writer;
    struct op *kept = NULL, **kept_end = &kept;
    while (op) {
        struct op *next = op->next;
        op->next = NULL;
        if (status < 0 && op->keep && !writer->dropping) {
            *kept_end = op;
            kept_end = &op->next;
        } else {
            finish(store, op, status);
        }
        op = next;
    }
    pthread_mutex_lock(&writer->lock);
    if (kept)
        put_back(writer, kept, kept_end);
    writer->status = status;
    writer->retry_at_ns = status < 0 ? now_ns() + writer_retry_ms * 1000000ULL : 0;
    serve_waits(writer);
    pthread_mutex_unlock(&writer->lock);
    if (status < 0)
        store_say(store, SAID_WRITING, "writing: %s; for now nothing is stored", strerror(-status));
}

static bool has_work(const struct writer *writer)
{
    return writer->first || writer->sweep || writer->save;
}

/* Returns with the lock: there is a batch to be written, or nothing will come any more. */
static bool wait_for_work(struct writer *writer)
{
    while (true) {
        bool failing = writer->status < 0 && now_ns() < writer->retry_at_ns;
        if (writer->closing)
            return has_work(writer);
        if (!failing && has_work(writer))
            return true;
        if (writer->status < 0 && !failing && !writer->first)
            writer->status = 0; /* what comes next will try */
        if (!failing) {
            pthread_cond_wait(&writer->wake, &writer->lock);
            continue;
        }
        struct timespec at = {.tv_sec = (time_t)(writer->retry_at_ns / 1000000000),
                              .tv_nsec = (long)(writer->retry_at_ns % 1000000000)};
        pthread_cond_timedwait(&writer->wake, &writer->lock, &at);
    }
}

static void *run(void *arg)
{
    struct store *store = arg;
    struct writer *writer = &store->writer;
    struct packer packer = {0};
    while (true) {
        pthread_mutex_lock(&writer->lock);
        bool work = wait_for_work(writer);
        writer->dropping = writer->closing;
        writer->save = false;
        struct op *batch = take_batch(store);
        bool sweep = writer->sweep;
        writer->sweep = false;
        pthread_mutex_unlock(&writer->lock);
        if (!work && store_close_now(store))
            break;
        if (!work)
            continue;
        int rc = batch_run(store, &packer, batch, &sweep);
        if (rc == -EBADMSG && store_set_aside(store, "its pages are damaged") < 0)
            error_clear();
        pthread_mutex_lock(&writer->lock);
        writer->sweep |= sweep && rc == 0 && !writer->closing;
        pthread_mutex_unlock(&writer->lock);
        batch_ended(store, batch, rc);
    }
    packer_fini(&packer);
    return NULL;
}

/* Under the lock. */
static int start(struct store *store)
{
    struct writer *writer = &store->writer;
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;
    if (writer->running)
        return 0;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, &attributes, run, store);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    writer->running = error == 0;
    writer->sweep = true; /* what others left behind */
    return -error;
}

/* ---- from any thread ---- */

int writer_add(struct store *store, struct op *op)
{
    struct writer *writer = &store->writer;
    if (store->read_only || !store_is_ours(store))
        return -EROFS;
    pthread_mutex_lock(&writer->lock);
    int rc = op->keep ? 0 : writer->status;
    if (rc == 0)
        rc = start(store);
    if (rc == 0) {
        op->next = NULL;
        *writer->last = op;
        writer->last = &op->next;
        writer->added++;
        pthread_cond_signal(&writer->wake);
    }
    pthread_mutex_unlock(&writer->lock);
    return rc;
}

static bool has_counted(struct store *store)
{
    for (unsigned i = 0; i < COUNTERS; i++)
        if (store_counted(store, i) != atomic_load_explicit(&store->saved[i], memory_order_relaxed))
            return true;
    return false;
}

bool writer_close(struct store *store)
{
    struct writer *writer = &store->writer;
    pthread_mutex_lock(&writer->lock);
    writer->closing = true;
    writer->save = !store->read_only && has_counted(store);
    bool begun = writer->running || (writer->save && start(store) == 0);
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->lock);
    return begun;
}

bool writer_is_done(struct store *store)
{
    pthread_mutex_lock(&store->writer.lock);
    bool done = !has_work(&store->writer);
    pthread_mutex_unlock(&store->writer.lock);
    return done;
}

void writer_stay(struct store *store)
{
    pthread_mutex_lock(&store->writer.lock);
    store->writer.closing = false;
    pthread_mutex_unlock(&store->writer.lock);
}

static void flushed(struct op *op, int status)
{
    mem_free(op);
}

static int apply_nothing(struct op *op, struct batch *batch)
{
    return 0;
}

/* A last op of its own: with nothing else queued its batch saves the counters. *target: its number. */
static int add_flush(struct store *store, uint64_t *target)
{
    struct writer *writer = &store->writer;
    *target = 0;
    pthread_mutex_lock(&writer->lock);
    int rc = writer->status;
    bool idle = writer->finished == writer->added;
    pthread_mutex_unlock(&writer->lock);
    if (rc < 0)
        return refuse(store, rc);
    if (store->read_only || (idle && !has_counted(store)))
        return 0;
    struct op *op = mem_zero(sizeof *op);
    if (!op)
        return fail_memory();
    op->apply = apply_nothing;
    op->done = flushed;
    rc = writer_add(store, op);
    if (rc < 0) {
        mem_free(op);
        return refuse(store, rc);
    }
    pthread_mutex_lock(&writer->lock);
    *target = writer->added;
    pthread_mutex_unlock(&writer->lock);
    return 0;
}

int writer_flush(struct store *store, int64_t timeout_ms)
{
    struct writer *writer = &store->writer;
    uint64_t target;
    int rc = add_flush(store, &target);
    if (rc < 0)
        return rc;
    uint64_t until = now_ns() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms) * 1000000;
    struct timespec at = {.tv_sec = (time_t)(until / 1000000000), .tv_nsec = (long)(until % 1000000000)};
    pthread_mutex_lock(&writer->lock);
    while (writer->finished < target && writer->status == 0 && rc == 0) {
        if (timeout_ms < 0)
            pthread_cond_wait(&writer->changed, &writer->lock);
        else
            rc = -pthread_cond_timedwait(&writer->changed, &writer->lock, &at);
    }
    if (rc == 0)
        rc = writer->status;
    pthread_mutex_unlock(&writer->lock);
    return rc < 0 ? refuse(store, rc) : 0;
}

int writer_flush_wait(struct store *store)
{
    uint64_t target;
    int rc = add_flush(store, &target);
    return rc < 0 ? rc : wait_for(store, 0, target);
}
