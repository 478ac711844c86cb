/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/bulk.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/list.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/enter.h"
#include "fs/ranges.h"

#define JOBS_DEFAULT  64
#define BYTES_DEFAULT ((uint64_t)256 << 20)
#define BLOCK_DEFAULT ((int64_t)16 << 20) /* bytes_max has room for many of them */

/* ---- settling ---- */

/* Takes note of what an item met. Its words are the current error text. Below a file is nothing, which is missing like
 * other things, but where something was to be put. */
static void note(struct bulk *bulk, struct larder_item *item, int status)
{
    bool passed_over = status == -ENOTDIR && !bulk->writes && bulk->batch.on_error == LARDER_OMIT;
    item->status = status;
    crew_note(&bulk->crew, passed_over ? 0 : status);
}

static void tell(struct bulk *bulk, struct larder_item *item)
{
    crew_stop(&bulk->crew, bulk->batch.completed(bulk->batch.arg, item));
}

/* ---- a job ---- */

/* The next one of what is to do. */
static struct job *job_new(struct bulk *bulk)
{
    struct larder_item **items = bulk->todo + bulk->next;
    size_t count = 1, left = bulk->todo_count - bulk->next;
    struct larder_range range = {0};
    if (bulk->items_max > 0)
        count = left < bulk->items_max ? left : bulk->items_max;
    else if (bulk->joins)
        count = ranges_join(items, left, bulk->batch.gap_max, bulk->batch.block_max, &range);
    size_t letters = bulk->batch.completed ? count : 0;
    struct job *job = mem_zero(sizeof *job + letters * sizeof job->deliveries[0]);
    if (!job)
        return NULL;
    job->bulk = bulk;
    job->items = items;
    job->count = count;
    job->range = range;
    job->untold = letters;
    return job;
}

static void job_free(struct job *job)
{
    larder_bytes_free(&job->block);
    mem_free(job);
}

static bool gets_part(const struct job *job)
{
    return job->count > 1 && job->bulk->items_max == 0;
}

/* One of several items gets its part of the block, which a file's end may have cut. */
static int give_part(const struct job *job, struct larder_item *item)
{
    const struct larder_range *range = item->range;
    size_t from = (size_t)(range->start - job->range.start);
    size_t size = range->end > range->start ? (size_t)(range->end - range->start) : 0;
    if (from > job->block.size)
        from = job->block.size;
    if (size > job->block.size - from)
        size = job->block.size - from;
    char *copy = mem_dup_n((const char *)job->block.data + from, size);
    if (!copy)
        return fail_memory();
    item->bytes = bytes_own(copy, size);
    return 0;
}

/* ---- bytes on their way ---- */

void job_hold(struct job *job, uint64_t size)
{
    crew_hold(&job->bulk->crew, &job->held, size);
}

int CO_FN job_wait_and_hold(struct job *job, uint64_t size)
{
    return crew_wait_and_hold(&job->bulk->crew, &job->held, size);
}

/* ---- letters to the caller's side ---- */

/* Parts are copied only now, so that what waits to be told is no more than what was received. */
static void give(struct job *job, struct larder_item *item, const char *text)
{
    struct bulk *bulk = job->bulk;
    bool part = item->status == 0 && gets_part(job), stopped = atomic_load(&bulk->crew.stopped);
    error_set_text(text);
    if (part)
        item->status = stopped ? -ECANCELED : give_part(job, item);
    bool lost = part && item->status == -ENOMEM;
    if (!stopped)
        tell(bulk, item);
    if (lost) {
        bulk->lost = true;
        atomic_store(&bulk->crew.stopped, true);
    }
}

static void delivery_open(struct letter *letter)
{
    struct delivery *delivery = container_of(letter, struct delivery, letter);
    struct job *job = delivery->job;
    struct bulk *bulk = job->bulk;
    give(job, job->items[delivery - job->deliveries], delivery->text);
    mem_free(delivery->text);
    bool last = --job->untold == 0;
    uint64_t held = last ? job->held : 0;
    if (last)
        job_free(job);
    crew_give_back(&bulk->crew, held);
}

/* ---- one job, in a task ---- */

static int CO_FN perform(struct job *job)
{
    struct larder_fs *fs = job->bulk->fs;
    const char *path = job->items[0]->path;
    struct deadline deadline;
    struct terms terms;
    autofree char *full = NULL;
    error_clear();
    int rc = job->bulk->items_max > 0 ? 0 : enter_resolve(fs, path, &full, &terms);
    if (rc < 0)
        return rc;
    deadline_begin(&deadline, fs->timeout_ms > 0 ? (uint64_t)fs->timeout_ms : 0);
    rc = job->bulk->perform(job, full, full ? &terms : NULL);
    rc = deadline_end(&deadline, rc, path);
    return error_finish(rc, path);
}

/* How one of the items ended, with its words. */
static int status_of(struct job *job, size_t index, int rc)
{
    struct larder_item *item = job->items[index];
    if (job->bulk->items_max > 0 && rc == 0)
        rc = item->status;
    else if (rc == 0 && gets_part(job) && job->untold == 0)
        return give_part(job, item);
    if (job->count > 1 && job->bulk->items_max > 0) { /* what was said may be of another */
        error_clear();
        error_finish(rc, item->path);
    }
    return rc;
}

/* The letters were made with the job: once an item was tried, nothing can keep its news from the caller. */
static void settle(struct job *job, int rc)
{
    struct bulk *bulk = job->bulk;
    size_t letters = job->untold;
    for (size_t i = 0; i < job->count; i++) {
        int status = status_of(job, i, rc);
        note(bulk, job->items[i], status);
        if (letters > 0)
            job->deliveries[i] =
                (struct delivery){{.open = delivery_open}, job, status < 0 ? mem_dup(error_text()) : NULL};
    }
    if (letters == 0)
        job_free(job);
    for (size_t i = 0; i < letters; i++)
        edge_mail_send(&bulk->crew.mail, &job->deliveries[i].letter);
}

static int CO_FN settle_next(struct bulk *bulk)
{
    struct job *job = bulk->next < bulk->todo_count ? job_new(bulk) : NULL;
    if (!job)
        return bulk->next < bulk->todo_count ? fail_memory() : 0;
    bulk->next += job->count;
    int rc = perform(job);
    if (rc == -ECANCELED && task_check() < 0) {
        job_free(job);
        return rc;
    }
    settle(job, rc);
    return 1;
}

static int CO_EDGE bulk_step(struct crew *crew)
{
    return settle_next(container_of(crew, struct bulk, crew));
}

static int CO_FN run_todo(struct bulk *bulk)
{
    size_t jobs = bulk->batch.jobs_max < bulk->todo_count ? bulk->batch.jobs_max : bulk->todo_count;
    return crew_run(&bulk->crew, jobs);
}

static int CO_EDGE todo_task(void *arg)
{
    return run_todo(arg);
}

/* ---- the caller's side ---- */

/* 1: answered; 0: somebody has to wait for it. */
static int look_at(struct bulk *bulk, struct larder_item *item)
{
    autofree char *full = NULL;
    struct terms terms;
    error_clear();
    int rc = enter_resolve(bulk->fs, item->path, &full, &terms);
    if (rc == 0)
        rc = bulk->look(bulk, item, full, &terms);
    if (rc == -EAGAIN)
        return 0;
    note(bulk, item, error_finish(rc, item->path));
    if (bulk->batch.completed)
        tell(bulk, item);
    return 1;
}

/* Fills `todo` with what was not answered. */
static int look_first(struct bulk *bulk)
{
    bulk->todo = mem_array(bulk->count ? bulk->count : 1, sizeof(struct larder_item *));
    if (!bulk->todo)
        return fail_memory();
    for (size_t i = 0; i < bulk->count && !crew_must_stop(&bulk->crew); i++)
        if ((bulk->items[i].path && !bulk->look) || !look_at(bulk, &bulk->items[i]))
            bulk->todo[bulk->todo_count++] = &bulk->items[i];
    if (bulk->joins)
        ranges_sort(bulk->todo, bulk->todo_count);
    return 0;
}

int bulk_run(struct bulk *bulk, const struct larder_batch *batch)
{
    int rc = tuning_take(&bulk->batch, sizeof bulk->batch, batch);
    if (rc < 0)
        return rc;
    if (!bulk->batch.jobs_max)
        bulk->batch.jobs_max = JOBS_DEFAULT;
    if (!bulk->batch.bytes_max)
        bulk->batch.bytes_max = BYTES_DEFAULT;
    if (bulk->batch.block_max <= 0)
        bulk->batch.block_max = BLOCK_DEFAULT;
    bulk->joins = bulk->joins && bulk->batch.gap_max >= 0;
    rc = crew_init(&bulk->crew, bulk_step, bulk->batch.on_error, bulk->batch.bytes_max);
    if (rc < 0)
        return rc;
    error_clear();
    for (size_t i = 0; i < bulk->count; i++)
        bulk->items[i].status = -ECANCELED;
    rc = enter_begin(bulk->fs, "a batch");
    if (rc < 0)
        return rc;
    rc = look_first(bulk);
    if (rc == 0 && bulk->todo_count > 0 && !crew_must_stop(&bulk->crew))
        rc = enter_inside(bulk->fs, "a batch", todo_task, bulk);
    enter_end(bulk->fs);
    if (rc == 0 && bulk->lost)
        rc = fail_memory();
    rc = crew_result(&bulk->crew, rc);
    mem_free(bulk->todo);
    crew_fini(&bulk->crew);
    return rc;
}
