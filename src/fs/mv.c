/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving: first whatever the place moves by itself, then the rest one by one, by a copy after which what was copied is
 * removed. What came into the source meanwhile stays there, and is told of by -ENOTEMPTY; so does a file that changed
 * (-ESTALE): each is looked at once more, and must be what was copied.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/copy_plan.h"
#include "fs/enter.h"
#include "fs/tree.h"

struct moving {
    struct copy_job job;
    struct copy_plan *plan;
    struct entries_builder left; /* what the place does not move: from, and its target as the version */
    int status;                  /* that it could not be kept */
};

/* ---- by a copy ---- */

struct copying {
    struct copy_job job;
    struct copy_plan *plan;
    struct entries_builder copied; /* files as they were; links are LARDER_OTHER */
    int status;                    /* that it could not be noted */
};

static int next_copied(struct copy_job *job, struct copy_step *out)
{
    struct copying *copying = container_of(job, struct copying, job);
    int rc = copy_plan_next(copying->plan, out);
    if (rc <= 0)
        return rc;
    if (out->type != LARDER_DIRECTORY) /* noted when it was copied */
        return rc;
    struct larder_info info = {.name = out->from, .type = out->type};
    /* of a link to a directory only the link goes, not what it leads to */
    int link = tree_is_link(job->from, out->from);
    if (link < 0)
        return link;
    if (link)
        info.type = LARDER_OTHER;
    rc = entries_add(&copying->copied, &info);
    return rc < 0 ? rc : 1;
}

static void note_copied(struct copy_job *job, const struct copy_step *step, int status,
                        const struct larder_info *copied)
{
    struct copying *copying = container_of(job, struct copying, job);
    struct larder_info info = *copied;
    info.name = step->from;
    info.type = LARDER_FILE;
    if (status == 0 && step->type != LARDER_DIRECTORY && copying->status == 0)
        copying->status = entries_add(&copying->copied, &info);
}

/* What is behind a link stays. */
static void drop_behind_links(struct larder_entries *found)
{
    const char *link = NULL;
    size_t kept = 0;
    entries_sort_by_path(found);
    for (size_t i = 0; i < found->count; i++) {
        if (link && path_within(link, found->info[i].name))
            continue;
        if (found->info[i].type == LARDER_OTHER)
            link = found->info[i].name;
        found->info[kept++] = found->info[i];
    }
    found->count = kept;
    entries_sort(found);
}

static int remove_copied(struct copying *copying)
{
    struct larder_entries found;
    if (copying->copied.count == 0)
        return 0;
    entries_finish(&copying->copied, &found);
    drop_behind_links(&found);
    int rc = tree_remove_unchanged(copying->job.from, &found);
    larder_entries_free(&found);
    return rc;
}

/* A directory takes no place of anything. */
static int check_free(const struct moving *moving, const char *from, const char *to)
{
    int is_dir = larder_isdir(moving->job.from, from);
    int rc = is_dir > 0 ? larder_lexists(moving->job.to, to) : is_dir;
    return rc > 0 ? fail(-EEXIST, "%s: it exists", to) : rc;
}

static int move_by_copy(struct moving *moving, const char *from, const char *to)
{
    struct copying copying = {.job = moving->job};
    struct larder_copy_options *options = &copying.job.options;
    int rc = check_free(moving, from, to);
    if (rc < 0)
        return rc;
    *options = moving->job.options;
    options->glob = options->into = false;
    options->recursive = true;
    options->on_error = LARDER_RAISE;
    copying.job = (struct copy_job){.from = moving->job.from,
                                    .to = moving->job.to,
                                    .options = *options,
                                    .next = next_copied,
                                    .ended = note_copied,
                                    .wants_copied = true,
                                    .strict = true};
    rc = copy_plan_open(copying.job.from, &from, 1, copying.job.to, to, options, PLAN_EXACT, &copying.plan);
    if (rc < 0)
        return rc;
    rc = copy_run(&copying.job, from);
    copy_plan_free(copying.plan);
    if (rc == 0)
        rc = copying.status < 0 ? fail_memory() : remove_copied(&copying);
    entries_discard(&copying.copied);
    return rc;
}

/* ---- the call ---- */

static int next_moved(struct copy_job *job, struct copy_step *out)
{
    return copy_plan_next(container_of(job, struct moving, job)->plan, out);
}

static void moved(struct copy_job *job, const struct copy_step *step, int status,
                  const struct larder_info *copied)
{
    struct moving *moving = container_of(job, struct moving, job);
    struct larder_info left = {.name = step->from, .version = step->to};
    if (status != -EXDEV && status != -ENOTSUP)
        return;
    int rc = entries_add(&moving->left, &left);
    if (rc < 0)
        moving->status = rc;
}

/* Those that the place left; how many failed, or the first failure. */
static int move_left(struct moving *moving)
{
    const struct larder_copy_options *options = &moving->job.options;
    struct larder_entries left;
    int failures = 0, rc = moving->status < 0 ? fail_memory() : 0;
    entries_finish(&moving->left, &left);
    for (size_t i = 0; rc == 0 && i < left.count; i++) {
        rc = move_by_copy(moving, left.info[i].name, left.info[i].version);
        if (rc == -ECANCELED || rc > 0)
            break;
        failures += rc < 0;
        if (rc < 0 &&
            (options->on_error == LARDER_RETURN || (options->on_error == LARDER_OMIT && rc == -ENOENT)))
            rc = 0;
    }
    larder_entries_free(&left);
    return rc == 0 && options->on_error == LARDER_RETURN ? failures : rc;
}

int larder_mv(struct larder_fs *from, const char *const sources[], size_t count, struct larder_fs *to,
              const char *target, const struct larder_copy_options *options)
{
    struct moving moving = {
        .job = {.from = from, .to = to, .next = next_moved, .ended = moved, .moves = true}};
    struct larder_copy_options *taken = &moving.job.options;
    error_clear();
    int rc = tuning_take(taken, sizeof *taken, options);
    if (rc == 0 && (taken->recursive || taken->maxdepth))
        rc = fail(-EINVAL, "a move is of all that is below: not with recursive or maxdepth");
    if (rc == 0)
        rc = copy_plan_open(from, sources, count, to, target, taken, PLAN_WHOLE, &moving.plan);
    if (rc < 0)
        return rc;
    moving.job.makes_dirs = copy_plan_is_into(moving.plan);
    rc = copy_run(&moving.job, target);
    copy_plan_free(moving.plan);
    if (rc >= 0 && moving.left.count > 0) {
        int left = move_left(&moving);
        rc = left < 0 || taken->on_error != LARDER_RETURN ? left : rc + left;
    }
    entries_discard(&moving.left);
    return rc;
}
