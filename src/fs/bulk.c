/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many at once: cat, pipe and rm over lists of items.
 *
 * On a thread, what is answered without waiting (a cached or an in-memory file) is answered there first; the rest
 * becomes up to jobs_max tasks, each of which takes the next item when it is done with one. A tried item is *settled*:
 * it has its status, and with a `completed` callback a letter carries it to the caller's side, which may stop the
 * batch. An item that was not settled keeps -ECANCELED.
 */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/enter.h"
#include "task/loop.h"

#define JOBS_DEFAULT  64
#define BYTES_DEFAULT ((uint64_t)256 << 20)

struct bulk;

typedef int bulk_fn(struct bulk *bulk, struct larder_item *item, const char *path);

struct bulk {
    /* const */
    struct larder_fs *fs;
    struct larder_item *items;
    size_t count;
    struct larder_batch batch;
    bulk_fn *perform; /* CO_FN */
    bool looks;       /* items may be answered by a look */
    unsigned flags;

    /* the caller's side */
    int stop; /* what `completed` returned */

    /* the calling thread before the tasks begin, then the loop's */
    size_t *todo; /* indices of the items that the looks left */
    size_t todo_count, next;
    struct group group;
    struct edge_mail mail;
    size_t failed;
    int status; /* of the first failure that counts */
    char *text; /* its words; mem */

    /* both */
    atomic_bool stopped;
    _Atomic uint64_t held; /* bytes on their way to `completed` */
    atomic_uint waiting;   /* tasks for which they are too many */
    struct waiters room;   /* loop */
    struct larder_loop *loop;
    struct post wake; /* from the caller's side to the tasks */
    atomic_bool wake_posted;
};

/* ---- settling ---- */

static bool counts(const struct bulk *bulk, int status)
{
    return status < 0 && !(status == -ENOENT && bulk->batch.on_error == LARDER_OMIT);
}

/* Takes note of what an item met. Its words are the current error text. */
static void note(struct bulk *bulk, struct larder_item *item, int status)
{
    item->status = status;
    if (!counts(bulk, status))
        return;
    bulk->failed++;
    if (bulk->status == 0) {
        bulk->status = status;
        bulk->text = mem_dup(error_text());
    }
}

static bool must_stop(const struct bulk *bulk)
{
    return atomic_load(&bulk->stopped) || (bulk->status < 0 && bulk->batch.on_error != LARDER_RETURN);
}

static void tell(struct bulk *bulk, struct larder_item *item)
{
    int rc = bulk->batch.completed(bulk->batch.arg, item);
    if (rc != 0 && bulk->stop == 0)
        bulk->stop = rc;
    if (rc != 0)
        atomic_store(&bulk->stopped, true);
}

/* ---- letters to the caller's side ---- */

struct delivery {
    struct letter letter;
    struct bulk *bulk;
    struct larder_item *item;
    size_t bytes;
    char *text; /* mem; NULL: "" */
};

static void wake_workers(struct post *post)
{
    struct bulk *bulk = container_of(post, struct bulk, wake);
    atomic_store(&bulk->wake_posted, false);
    if (atomic_load(&bulk->stopped))
        group_cancel(&bulk->group);
    waiters_wake(&bulk->room);
}

/* A reply that cannot be sent is not missed: the loop is ending its tasks itself. */
static void wake(struct bulk *bulk)
{
    if (!atomic_exchange(&bulk->wake_posted, true))
        edge_mail_reply(&bulk->mail, bulk->loop, &bulk->wake);
}

static void delivery_open(struct letter *letter)
{
    struct delivery *delivery = container_of(letter, struct delivery, letter);
    struct bulk *bulk = delivery->bulk;
    if (!atomic_load(&bulk->stopped)) {
        error_set_text(delivery->text);
        tell(bulk, delivery->item);
    }
    atomic_fetch_sub(&bulk->held, delivery->bytes);
    if (atomic_load(&bulk->waiting) > 0 || atomic_load(&bulk->stopped))
        wake(bulk);
    mem_free(delivery->text);
    mem_free(delivery);
}

/* ---- one item, in a task ---- */

/*
 * A batch's sink counts what it takes as held, and waits before it begins while that would be too much; one alone may
 * be larger than bytes_max. Who holds something does not wait, so that it comes to an end and lets the others go on.
 */
struct held_sink {
    struct bytes_sink bytes;
    struct bulk *bulk;
    uint64_t held;
    int (*begin)(struct sink *sink, const struct answer *answer, int64_t size);
    int (*fill)(struct sink *sink, size_t size);
};

/* Loop's thread. */
static void let_go(struct held_sink *sink)
{
    if (sink->held == 0)
        return;
    atomic_fetch_sub(&sink->bulk->held, sink->held);
    sink->held = 0;
    waiters_wake(&sink->bulk->room);
}

static void hold_more(struct held_sink *sink, uint64_t size)
{
    atomic_fetch_add(&sink->bulk->held, size);
    sink->held += size;
}

static bool is_too_much(struct bulk *bulk, uint64_t more)
{
    uint64_t held = atomic_load(&bulk->held);
    return held > 0 && (held > bulk->batch.bytes_max || more > bulk->batch.bytes_max - held);
}

/* `waiting` is raised before the look at `held`: a letter that is opened in between lowers `held`, then sees it. */
static int CO_FN hold(struct held_sink *sink, const struct answer *answer, int64_t size)
{
    struct bulk *bulk = sink->bulk;
    uint64_t more = size > 0 ? (uint64_t)size : 0;
    int rc = 0;
    let_go(sink);
    atomic_fetch_add(&bulk->waiting, 1);
    while (rc == 0 && is_too_much(bulk, more))
        rc = edge_mail_wait(&bulk->mail, &bulk->room);
    atomic_fetch_sub(&bulk->waiting, 1);
    if (rc < 0)
        return rc;
    hold_more(sink, more);
    return sink->begin(&sink->bytes.sink, answer, size);
}

static int CO_EDGE held_begin(struct sink *sink, const struct answer *answer, int64_t size)
{
    return hold((struct held_sink *)sink, answer, size);
}

/* What was not announced is counted as it comes. */
static int held_fill(struct sink *sink, size_t size)
{
    struct held_sink *into = (struct held_sink *)sink;
    int rc = into->fill(sink, size);
    if (rc == 0 && into->bytes.size > into->held)
        hold_more(into, into->bytes.size - into->held);
    return rc;
}

static void held_sink_init(struct held_sink *sink, struct bulk *bulk)
{
    *sink = (struct held_sink){.bulk = bulk};
    bytes_sink_init(&sink->bytes);
    if (!bulk->batch.completed)
        return;
    struct sink *base = &sink->bytes.sink;
    sink->begin = base->begin;
    sink->fill = base->fill;
    base->begin = held_begin;
    base->fill = held_fill;
    base->instant = false;
}

static int CO_FN cat_item(struct bulk *bulk, struct larder_item *item, const char *path)
{
    struct held_sink sink;
    held_sink_init(&sink, bulk);
    int rc = layer_read(bulk->fs->instance, path, item->range, &bulk->fs->terms, &sink.bytes.sink, NULL);
    if (rc == 0)
        item->bytes = bytes_sink_take(&sink.bytes);
    else
        bytes_sink_fini(&sink.bytes);
    if (rc == 0 && bulk->batch.completed)
        sink.held -= item->bytes.size; /* which the letter holds from here on */
    let_go(&sink);
    return rc;
}

static int CO_FN pipe_item(struct bulk *bulk, struct larder_item *item, const char *path)
{
    struct source source;
    int rc = source_of(&source, path, item->bytes.data, item->bytes.size);
    if (rc < 0)
        return rc;
    unsigned flags = bulk->flags & LARDER_CREATE;
    rc = layer_write(bulk->fs->instance, path, &source, flags, NULL);
    if (rc != -ENOENT || !(bulk->flags & LARDER_PARENTS))
        return rc;
    rc = dirs_make_parents(bulk->fs->instance, path);
    return rc < 0 ? rc : layer_write(bulk->fs->instance, path, &source, flags, NULL);
}

static int CO_FN rm_item(struct bulk *bulk, struct larder_item *item, const char *path)
{
    int status = 0;
    int rc = layer_remove(bulk->fs->instance, &path, 1, &status);
    return rc < 0 ? rc : status;
}

static int CO_FN perform_item(struct bulk *bulk, struct larder_item *item)
{
    struct deadline deadline;
    autofree char *full = NULL;
    int rc = path_resolve(bulk->fs->root, item->path, &full, NULL);
    if (rc < 0)
        return rc;
    deadline_begin(&deadline, bulk->fs->timeout_ms > 0 ? (uint64_t)bulk->fs->timeout_ms : 0);
    rc = bulk->perform(bulk, item, full);
    rc = deadline_end(&deadline, rc, item->path);
    return error_finish(rc, item->path);
}

/* The letter is made first: once an item was tried, nothing can keep its news from the caller. */
static int CO_FN settle_next(struct bulk *bulk, struct larder_item *item)
{
    struct delivery *delivery = NULL;
    if (bulk->batch.completed && !(delivery = mem_zero(sizeof *delivery)))
        return fail_memory();
    error_clear();
    int rc = perform_item(bulk, item);
    if (rc == -ECANCELED && task_check() < 0) {
        mem_free(delivery);
        return rc;
    }
    note(bulk, item, rc);
    if (delivery) {
        *delivery = (struct delivery){.letter = {.open = delivery_open}, .bulk = bulk, .item = item};
        delivery->bytes = bulk->perform == cat_item ? item->bytes.size : 0;
        delivery->text = rc < 0 ? mem_dup(error_text()) : NULL;
        edge_mail_send(&bulk->mail, &delivery->letter);
    }
    return 0;
}

static int CO_FN work(struct bulk *bulk)
{
    int rc = task_check();
    while (rc == 0 && bulk->next < bulk->todo_count && !must_stop(bulk))
        rc = settle_next(bulk, &bulk->items[bulk->todo[bulk->next++]]);
    if (must_stop(bulk))
        group_cancel(&bulk->group);
    return rc;
}

static int CO_EDGE work_task(void *arg)
{
    return work(arg);
}

static int CO_FN run_todo(struct bulk *bulk)
{
    size_t jobs = bulk->batch.jobs_max < bulk->todo_count ? bulk->batch.jobs_max : bulk->todo_count;
    int rc = 0;
    bulk->loop = task_loop(task_current());
    bulk->wake.run = wake_workers;
    edge_mail_open(&bulk->mail);
    group_init(&bulk->group, GROUP_FIRST, 0);
    waiters_init(&bulk->room);
    for (size_t i = 0; rc == 0 && i < jobs; i++)
        rc = group_add(&bulk->group, work_task, bulk);
    int served = edge_mail_serve(&bulk->mail, &bulk->group);
    int joined = group_join(&bulk->group);
    if (must_stop(bulk))
        return 0; /* the batch's own status says why */
    return rc < 0 ? rc : served < 0 ? served : joined;
}

static int CO_EDGE todo_task(void *arg)
{
    return run_todo(arg);
}

/* ---- the caller's side ---- */

/* 1: answered; 0: somebody has to wait for it. */
static int look_at(struct bulk *bulk, struct larder_item *item)
{
    struct bytes_sink sink;
    autofree char *full = NULL;
    bytes_sink_init(&sink);
    error_clear();
    int rc = path_resolve(bulk->fs->root, item->path, &full, NULL);
    if (rc == 0)
        rc = layer_look_read(bulk->fs->instance, full, item->range, &bulk->fs->terms, &sink.sink, NULL);
    if (rc == -EAGAIN) {
        bytes_sink_fini(&sink);
        return 0;
    }
    if (rc == 0)
        item->bytes = bytes_sink_take(&sink);
    bytes_sink_fini(&sink);
    note(bulk, item, error_finish(rc, item->path));
    if (bulk->batch.completed)
        tell(bulk, item);
    return 1;
}

/* Fills `todo` with what was not answered. */
static int look_first(struct bulk *bulk)
{
    bulk->todo = mem_array(bulk->count ? bulk->count : 1, sizeof *bulk->todo);
    if (!bulk->todo)
        return fail_memory();
    for (size_t i = 0; i < bulk->count && !must_stop(bulk); i++)
        if (!bulk->looks || !look_at(bulk, &bulk->items[i]))
            bulk->todo[bulk->todo_count++] = i;
    return 0;
}

static int result(struct bulk *bulk, int rc)
{
    if (bulk->stop < 0)
        return fail(bulk->stop, "a batch: stopped by its callback");
    if (bulk->stop > 0)
        return error_finish(bulk->stop, NULL);
    if (rc < 0)
        return rc;
    if (bulk->batch.on_error == LARDER_RETURN)
        return bulk->failed > INT32_MAX ? INT32_MAX : (int)bulk->failed;
    if (bulk->status < 0)
        error_set_text(bulk->text);
    return bulk->status;
}

static int bulk_run(struct bulk *bulk, const struct larder_batch *batch)
{
    int rc = tuning_take(&bulk->batch, sizeof bulk->batch, batch);
    if (rc < 0)
        return rc;
    if (!bulk->batch.jobs_max)
        bulk->batch.jobs_max = JOBS_DEFAULT;
    if (!bulk->batch.bytes_max)
        bulk->batch.bytes_max = BYTES_DEFAULT;
    if (bulk->batch.on_error > LARDER_RETURN)
        return fail(-EINVAL, "on_error %d: not RAISE, OMIT or RETURN", (int)bulk->batch.on_error);
    error_clear();
    for (size_t i = 0; i < bulk->count; i++)
        bulk->items[i].status = -ECANCELED;
    rc = enter_check(bulk->fs, "a batch");
    if (rc == 0)
        rc = look_first(bulk);
    if (rc == 0 && bulk->todo_count > 0 && !must_stop(bulk))
        rc = enter_task_untimed(bulk->fs, "a batch", todo_task, bulk);
    rc = result(bulk, rc);
    mem_free(bulk->todo);
    mem_free(bulk->text);
    return rc;
}

int larder_cat(struct larder_fs *fs, struct larder_item *items, size_t count,
               const struct larder_batch *batch)
{
    struct bulk bulk = {.fs = fs, .items = items, .count = count, .perform = cat_item};
    /* In a task the reads themselves look first, and leave large ones to a worker. */
    bulk.looks = edge_where(fs->instance->loop) == EDGE_THREAD;
    for (size_t i = 0; i < count; i++)
        items[i].bytes = (struct larder_bytes){0};
    return bulk_run(&bulk, batch);
}

int larder_pipe(struct larder_fs *fs, struct larder_item *items, size_t count, unsigned flags,
                const struct larder_batch *batch)
{
    struct bulk bulk = {.fs = fs, .items = items, .count = count, .perform = pipe_item, .flags = flags};
    if (flags & ~(unsigned)(LARDER_CREATE | LARDER_PARENTS))
        return fail(-EINVAL, "unknown flags");
    return bulk_run(&bulk, batch);
}

int larder_rm_files(struct larder_fs *fs, struct larder_item *items, size_t count,
                    const struct larder_batch *batch)
{
    struct bulk bulk = {.fs = fs, .items = items, .count = count, .perform = rm_item};
    return bulk_run(&bulk, batch);
}
