/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/rsync.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "fs/layer.h"

static void ended(struct copy_job *job, const struct copy_step *step, int status,
                  const struct larder_info *copied)
{
    struct rsync *rsync = container_of(job, struct rsync, job);
    bool gone = status == -ENOENT && job->options.on_error == LARDER_OMIT;
    rsync->failed = rsync->failed || (status < 0 && !gone);
}

static int take_paths(struct rsync *rsync, const char *source, const char *target)
{
    int rc = path_resolve("", source, &rsync->source, NULL);
    if (rc == 0)
        rc = path_resolve("", target, &rsync->target, NULL);
    if (rc < 0)
        return rc;
    rsync->from_root = path_join(rsync->job.from->root, rsync->source);
    rsync->to_root = path_join(rsync->job.to->root, rsync->target);
    return rsync->from_root && rsync->to_root ? 0 : fail_memory();
}

/* 1: there is nothing to do. */
static int check_apart(const struct rsync *rsync)
{
    const char *from = rsync->from_root, *to = rsync->to_root;
    if (!layer_same_place(rsync->job.from->instance, rsync->job.to->instance))
        return 0;
    if (strcmp(from, to) == 0)
        return 1;
    return path_within(from, to) || path_within(to, from)
               ? fail_at(rsync->job.from->instance, from, -EINVAL, "it and its target lie in each other")
               : 0;
}

static int prepare(struct rsync *rsync)
{
    const struct larder_rsync_options *options = &rsync->options;
    struct copy_job *job = &rsync->job;
    if (options->compare > LARDER_SIZE)
        return fail(-EINVAL, "compare %d: not by size and time, checksum or size", (int)options->compare);
    job->options = (struct larder_copy_options){.size = sizeof job->options,
                                                .recursive = true,
                                                .sync = options->sync,
                                                .on_error = options->on_error,
                                                .jobs_max = options->jobs_max,
                                                .bytes_max = options->bytes_max,
                                                .told = options->told,
                                                .arg = options->arg};
    job->next = rsync_next;
    job->differs = rsync_differs;
    job->ended = ended;
    job->keeps_times = larder_fs_capabilities(job->to)->touch;
    job->times_count = options->compare == LARDER_SIZE_AND_TIME;
    job->dry_run = options->dry_run;
    rsync->filtered = (options->include && *options->include) || (options->exclude && *options->exclude);
    rsync->from_terms = job->from->terms;
    rsync->to_terms = job->to->terms;
    rsync->to_terms.age_max_ms = 0; /* what a cache believes of the target decides nothing */
    return filter_init(&rsync->filter, options->include, options->exclude);
}

/* After a copy in which nothing has failed. */
static int remove_extras(struct rsync *rsync)
{
    int rc = extras_remove_files(rsync);
    return rc == 0 && rsync->extras.failures == 0 ? extras_remove_dirs(rsync) : rc;
}

int larder_rsync(struct larder_fs *from, const char *source, struct larder_fs *to, const char *target,
                 const struct larder_rsync_options *options)
{
    struct rsync rsync = {.job = {.from = from, .to = to}, .extras.files = BUFFER(SIZE_MAX)};
    list_init(&rsync.todo);
    list_init(&rsync.listed);
    error_clear();
    int rc = tuning_take(&rsync.options, sizeof rsync.options, options);
    if (rc == 0)
        rc = prepare(&rsync);
    if (rc == 0)
        rc = take_paths(&rsync, source, target);
    if (rc == 0)
        rc = check_apart(&rsync);
    bool nothing = rc > 0;
    if (rc == 0)
        rc = rsync_plan_begin(&rsync);
    if (rc == 0)
        rc = copy_run(&rsync.job, source);
    if (rc == 0 && !rsync.failed && !nothing)
        rc = remove_extras(&rsync);
    if (rc >= 0 && !rsync.job.stopped && rsync.options.on_error == LARDER_RETURN)
        rc += rsync.extras.failures;
    rsync_plan_fini(&rsync);
    extras_fini(&rsync.extras);
    filter_fini(&rsync.filter);
    mem_free(rsync.source);
    mem_free(rsync.target);
    mem_free(rsync.from_root);
    mem_free(rsync.to_root);
    return nothing ? 0 : rc;
}
