/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with each of many items: cat, pipe, rm, sizes. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/bulk.h"
#include "fs/enter.h"

/* ---- cat ---- */

/*
 * A batch's sink counts what it takes as held, and waits before it begins while that would be too much; one alone may
 * be larger than bytes_max.
 */
struct held_sink {
    struct bytes_sink bytes;
    struct job *job;
    int (*begin)(struct sink *sink, const struct answer *answer, int64_t size);
    int (*fill)(struct sink *sink, size_t size);
};

static int CO_FN wait_and_begin(struct held_sink *sink, const struct answer *answer, int64_t size)
{
    int rc = job_wait_and_hold(sink->job, size > 0 ? (uint64_t)size : 0);
    return rc < 0 ? rc : sink->begin(&sink->bytes.sink, answer, size);
}

static int CO_EDGE held_begin(struct sink *sink, const struct answer *answer, int64_t size)
{
    return wait_and_begin((struct held_sink *)sink, answer, size);
}

/* What was not announced is counted as it comes. */
static int held_fill(struct sink *sink, size_t size)
{
    struct held_sink *into = (struct held_sink *)sink;
    int rc = into->fill(sink, size);
    if (rc == 0 && into->bytes.size > into->job->held)
        job_hold(into->job, into->bytes.size);
    return rc;
}

static void held_sink_init(struct held_sink *sink, struct job *job)
{
    *sink = (struct held_sink){.job = job};
    bytes_sink_init(&sink->bytes);
    if (!job->bulk->batch.completed)
        return;
    struct sink *base = &sink->bytes.sink;
    sink->begin = base->begin;
    sink->fill = base->fill;
    base->begin = held_begin;
    base->fill = held_fill;
    base->instant = false;
}

static int CO_FN cat_job(struct job *job, const char *path, const struct terms *terms)
{
    bool several = job->count > 1;
    struct larder_bytes *bytes = several ? &job->block : &job->items[0]->bytes;
    const struct larder_range *range = several ? &job->range : job->items[0]->range;
    struct held_sink sink;
    held_sink_init(&sink, job);
    int rc = layer_read(job->bulk->fs->instance, path, range, terms, &sink.bytes.sink, NULL);
    if (rc == 0)
        *bytes = bytes_sink_take(&sink.bytes);
    else
        bytes_sink_fini(&sink.bytes);
    if (job->bulk->batch.completed) /* what was really received */
        job_hold(job, rc == 0 ? bytes->size : 0);
    return rc;
}

static int cat_look(struct bulk *bulk, struct larder_item *item, const char *path, const struct terms *terms)
{
    struct bytes_sink sink;
    bytes_sink_init(&sink);
    int rc = layer_look_read(bulk->fs->instance, path, item->range, terms, &sink.sink, NULL);
    if (rc == 0)
        item->bytes = bytes_sink_take(&sink);
    bytes_sink_fini(&sink);
    return rc;
}

static int cat(struct larder_fs *fs, struct larder_item *items, size_t count, bool joins,
               const struct larder_batch *batch)
{
    struct bulk bulk = {.fs = fs, .items = items, .count = count, .perform = cat_job, .joins = joins};
    /* In a task the reads themselves look first, and leave large ones to a worker. */
    bulk.look = edge_where(fs->instance->loop) == EDGE_THREAD ? cat_look : NULL;
    for (size_t i = 0; i < count; i++)
        items[i].bytes = (struct larder_bytes){0};
    return bulk_run(&bulk, batch);
}

int larder_cat(struct larder_fs *fs, struct larder_item *items, size_t count,
               const struct larder_batch *batch)
{
    return cat(fs, items, count, false, batch);
}

int larder_cat_ranges(struct larder_fs *fs, struct larder_item *items, size_t count,
                      const struct larder_batch *batch)
{
    return cat(fs, items, count, true, batch);
}

/* ---- pipe ---- */

static int CO_FN pipe_job(struct job *job, const char *path, const struct terms *terms)
{
    struct instance *instance = job->bulk->fs->instance;
    const struct larder_bytes *bytes = &job->items[0]->bytes;
    struct source source;
    int rc = source_of(&source, path, bytes->data, bytes->size);
    if (rc < 0)
        return rc;
    source.labels = &job->bulk->fs->labels;
    unsigned flags = job->bulk->flags & ~(unsigned)LARDER_PARENTS;
    rc = dirs_await(instance, path);
    if (rc < 0)
        return rc;
    rc = layer_write(instance, path, &source, flags, NULL, NULL);
    if (!dirs_are_missing(instance, rc, job->bulk->flags))
        return rc;
    rc = dirs_make_parents(instance, path, flags);
    return rc < 0 ? rc : layer_write(instance, path, &source, flags, NULL, NULL);
}

int larder_pipe(struct larder_fs *fs, struct larder_item *items, size_t count, unsigned flags,
                const struct larder_batch *batch)
{
    struct bulk bulk = {
        .fs = fs, .items = items, .count = count, .perform = pipe_job, .writes = true, .flags = flags};
    if (flags & ~(unsigned)WRITE_FLAGS)
        return fail(-EINVAL, "unknown flags");
    return bulk_run(&bulk, batch);
}

/* ---- rm ---- */

struct removal {
    char **full; /* those that are paths */
    size_t *of;  /* the item's index */
    int *status;
    size_t count;
};

static void removal_fini(struct removal *removal)
{
    for (size_t i = 0; removal->full && i < removal->count; i++)
        mem_free(removal->full[i]);
    mem_free(removal->full);
    mem_free(removal->of);
    mem_free(removal->status);
}

static int CO_FN removal_init(struct removal *removal, const struct job *job)
{
    struct larder_fs *fs = job->bulk->fs;
    *removal = (struct removal){.full = mem_array(job->count, sizeof *removal->full),
                                .of = mem_array(job->count, sizeof *removal->of),
                                .status = mem_array(job->count, sizeof *removal->status)};
    if (!removal->full || !removal->of || !removal->status)
        return fail_memory();
    for (size_t i = 0; i < job->count; i++) {
        struct larder_item *item = job->items[i];
        autofree char *full = NULL;
        struct terms terms;
        int rc = enter_resolve(fs, item->path, &full, &terms);
        if (rc == 0)
            rc = layer_refuse_directory(fs->instance, full, &terms, true);
        item->status = rc < 0 ? rc : -ECANCELED;
        if (rc == -ECANCELED || rc == -ETIMEDOUT)
            return rc; /* the job's */
        if (rc < 0)
            continue;
        removal->full[removal->count] = take(full);
        removal->of[removal->count++] = i;
    }
    return 0;
}

static int CO_FN remove_all(const struct removal *removal, struct job *job)
{
    const char *const *paths = (const char *const *)removal->full;
    if (removal->count == 0)
        return 0;
    int rc = layer_remove(job->bulk->fs->instance, paths, removal->count, removal->status);
    for (size_t i = 0; rc == 0 && i < removal->count; i++)
        job->items[removal->of[i]]->status = removal->status[i];
    return rc;
}

static bool is_still(const struct larder_info *was, const struct larder_info *is)
{
    if (was->version && is->version)
        return strcmp(was->version, is->version) == 0;
    bool sizes = was->size >= 0 && is->size >= 0, times = was->mtime_ns != 0 && is->mtime_ns != 0;
    return !(sizes && was->size != is->size) && !(times && was->mtime_ns != is->mtime_ns);
}

/* Where the place does so at one moment. */
static int CO_FN remove_version(const struct removal *removal, struct job *job, const char *version)
{
    struct apply_item item = {.kind = CHANGE_REMOVE, .path = removal->full[0], .if_match = version};
    size_t failed;
    int rc = layer_apply(job->bulk->fs->instance, &item, 1, &failed);
    answer_free(&item.answer);
    if (rc == 0)
        job->items[removal->of[0]]->status = 0;
    return rc < 0 ? rc : 1;
}

/* The one item of a job; 1: it is removed. What a cache believes of it decides nothing. Where a place removes no certain
 * version, another may still write between this look and the removal, as short as that is. */
static int CO_FN check_unchanged(const struct removal *removal, struct job *job)
{
    const struct bulk *bulk = job->bulk;
    const struct larder_info *was = bulk->unchanged ? bulk->unchanged[job->items[0] - bulk->items] : NULL;
    struct terms terms = bulk->fs->terms;
    struct answer answer = {0};
    if (!was || was->type != LARDER_FILE || removal->count == 0)
        return 0;
    terms.age_max_ms = 0;
    int rc = layer_info(bulk->fs->instance, removal->full[0], &terms, &answer);
    if (rc == 0 && !is_still(was, &answer.info))
        rc = fail(-ESTALE, "%s: it changed after it was copied, and stays", was->name);
    if (rc == 0 && answer.info.version && layer_has(bulk->fs->instance, LAYER_APPLY))
        rc = remove_version(removal, job, answer.info.version);
    answer_free(&answer);
    return rc;
}

static int CO_FN rm_job(struct job *job, const char *path, const struct terms *terms)
{
    struct removal removal;
    int rc = removal_init(&removal, job);
    if (rc == 0)
        rc = check_unchanged(&removal, job);
    if (rc == 0)
        rc = remove_all(&removal, job);
    removal_fini(&removal);
    rc = rc > 0 ? 0 : rc;
    /* One item's failure is the job's, with its words. */
    return rc == 0 && job->count == 1 ? error_finish(job->items[0]->status, path) : rc;
}

int bulk_remove(struct larder_fs *fs, struct larder_item *items, size_t count,
                const struct larder_info *const unchanged[], const struct larder_batch *batch)
{
    uint32_t most = larder_fs_capabilities(fs)->remove_count_max;
    struct bulk bulk = {.fs = fs,
                        .items = items,
                        .count = count,
                        .perform = rm_job,
                        .items_max = most > 0 && !unchanged ? most : 1,
                        .unchanged = unchanged};
    return bulk_run(&bulk, batch);
}

int larder_rm_files(struct larder_fs *fs, struct larder_item *items, size_t count,
                    const struct larder_batch *batch)
{
    return bulk_remove(fs, items, count, NULL, batch);
}

/* ---- sizes ---- */

static void take_size(struct bulk *bulk, const struct larder_item *item, struct answer *answer)
{
    bulk->sizes[item - bulk->items] = answer->info.size;
    answer_free(answer);
}

static int CO_FN size_job(struct job *job, const char *path, const struct terms *terms)
{
    struct answer answer = {0};
    int rc = layer_info(job->bulk->fs->instance, path, terms, &answer);
    if (rc == 0)
        take_size(job->bulk, job->items[0], &answer);
    return rc;
}

static int size_look(struct bulk *bulk, struct larder_item *item, const char *path, const struct terms *terms)
{
    struct answer answer = {0};
    int rc = layer_look_info(bulk->fs->instance, path, terms, &answer);
    if (rc == 0)
        take_size(bulk, item, &answer);
    return rc;
}

int larder_sizes(struct larder_fs *fs, struct larder_item *items, size_t count, int64_t sizes[],
                 const struct larder_batch *batch)
{
    struct bulk bulk = {.fs = fs, .items = items, .count = count, .perform = size_job, .sizes = sizes};
    bulk.look = edge_where(fs->instance->loop) == EDGE_THREAD ? size_look : NULL;
    for (size_t i = 0; i < count; i++)
        sizes[i] = LARDER_SIZE_UNKNOWN;
    return bulk_run(&bulk, batch);
}
