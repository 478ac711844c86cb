/* SPDX-License-Identifier: Apache-2.0 */
/* The public calls that copy many files. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "base/seams.h"
#include "fs/copy_plan.h"
#include "fs/local_side.h"

/* ---- by the rules ---- */

struct planned {
    struct copy_job job;
    struct copy_plan *plan;
};

static int next_planned(struct copy_job *job, struct copy_step *out)
{
    return copy_plan_next(container_of(job, struct planned, job)->plan, out);
}

int larder_copy(struct larder_fs *from, const char *const sources[], size_t count, struct larder_fs *to,
                const char *target, const struct larder_copy_options *options)
{
    struct planned planned = {.job = {.from = from, .to = to, .next = next_planned}};
    struct larder_copy_options *taken = &planned.job.options;
    error_clear();
    int rc = tuning_take(taken, sizeof *taken, options);
    if (rc == 0)
        rc = copy_plan_open(from, sources, count, to, target, taken, PLAN_COPY, &planned.plan);
    if (rc < 0)
        return rc;
    rc = copy_run(&planned.job, target);
    copy_plan_free(planned.plan);
    return rc;
}

/* ---- with a local side ---- */

/* How much of the path was put in front of what was typed: the working directory, or one above. */
static size_t size_before(const char *typed, const char *path)
{
    for (bool more = true; more;) {
        size_t dots = strncmp(typed, "../", 3) == 0 ? 2 : strncmp(typed, "./", 2) == 0;
        typed += dots;
        more = dots > 0;
        while (dots > 0 && *typed == '/')
            typed++;
    }
    size_t size = strlen(typed), whole = strlen(path);
    while (size > 0 && typed[size - 1] == '/')
        size--;
    return size <= whole && strncmp(path + whole - size, typed, size) == 0 ? whole - size : 0;
}

/* Of a pattern only what was typed is one. */
static int escape_before(const char *typed, char **path)
{
    char *escaped;
    size_t before = *typed == '/' ? 0 : size_before(typed, *path);
    autofree char *dir = mem_dup_n(*path, before);
    int rc = dir ? larder_glob_escape(dir, &escaped) : fail_memory();
    if (rc < 0)
        return rc;
    char *whole = mem_format("%s%s", escaped, *path + before);
    larder_free(escaped);
    if (!whole)
        return fail_memory();
    mem_free(*path);
    *path = whole;
    return 0;
}

/* What was typed, on the disk, with its slash behind it. mem. */
static int local_path(const char *typed, bool glob, struct larder_fs **fs, char **out)
{
    autofree char *path = NULL;
    int rc = local_side_open(typed, fs, &path);
    if (rc < 0)
        return rc;
    rc = glob ? escape_before(typed, &path) : 0;
    *out = rc == 0 ? mem_format("%s%s", path, typed[strlen(typed) - 1] == '/' ? "/" : "") : NULL;
    if (*out)
        return 0;
    larder_fs_free(*fs);
    return fail_memory();
}

/* What is told of the local side: names as this machine has them. */
struct local_told {
    struct larder_copy_options options;
    larder_copy_fn *told;
    void *arg;
    bool from;
};

static int tell_with_slash(void *arg, const struct larder_copy_news *news)
{
    const struct local_told *local = arg;
    struct larder_copy_news shown = *news;
    const char **name = local->from ? &shown.from : &shown.to;
    autofree char *full = *name ? mem_format("/%s", *name) : NULL;
    if (*name && !full)
        return fail_memory();
    *name = full;
    return local->told(local->arg, &shown);
}

static int take_options(struct local_told *local, const struct larder_copy_options *options)
{
    int rc = tuning_take(&local->options, sizeof local->options, options);
    local->options.size = sizeof local->options;
    local->told = local->options.told;
    local->arg = local->options.arg;
    local->options.told = local->told ? tell_with_slash : NULL;
    local->options.arg = local;
    return rc;
}

int larder_get(struct larder_fs *from, const char *const sources[], size_t count, const char *local_target,
               const struct larder_copy_options *options)
{
    struct local_told told = {0};
    autofree char *target = NULL;
    struct larder_fs *local;
    error_clear();
    int rc = take_options(&told, options);
    if (rc == 0)
        rc = local_path(local_target, false, &local, &target);
    if (rc < 0)
        return rc;
    rc = larder_copy(from, sources, count, local, target, &told.options);
    larder_fs_free(local);
    return rc;
}

/* All of them are of one filesystem, the disk; *fs is a handle on it. */
static int local_paths(const char *const typed[], size_t count, bool glob, struct larder_fs **fs, char **out)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        larder_fs_free(take(*fs));
        rc = local_path(typed[i], glob, fs, &out[i]);
    }
    return rc;
}

int larder_put(const char *const local_sources[], size_t count, struct larder_fs *to, const char *target,
               const struct larder_copy_options *options)
{
    struct local_told told = {.from = true};
    struct larder_fs *local = NULL;
    error_clear();
    int rc = take_options(&told, options);
    if (rc < 0)
        return rc;
    char **sources = mem_array(count + 1, sizeof *sources);
    rc = sources ? local_paths(local_sources, count, told.options.glob, &local, sources) : fail_memory();
    if (rc == 0 && count > 0)
        rc = larder_copy(local, (const char *const *)sources, count, to, target, &told.options);
    for (size_t i = 0; sources && i < count; i++)
        mem_free(sources[i]);
    mem_free(sources);
    larder_fs_free(local);
    return rc;
}

/* ---- pair by pair ---- */

struct paired {
    struct copy_job job;
    struct larder_copy_pair *pairs;
    size_t count, next;
};

static int next_pair(struct copy_job *job, struct copy_step *out)
{
    struct paired *paired = container_of(job, struct paired, job);
    if (paired->next == paired->count)
        return 0;
    struct larder_copy_pair *pair = &paired->pairs[paired->next++];
    *out = (struct copy_step){.from = pair->from, .to = pair->to, .size = LARDER_SIZE_UNKNOWN, .owner = pair};
    return pair->from && pair->to ? 1 : fail(-EINVAL, "no path");
}

static void pair_ended(struct copy_job *job, const struct copy_step *step, int status,
                       const struct larder_info *copied)
{
    ((struct larder_copy_pair *)step->owner)->status = status;
}

int copy_pairs_run(struct copy_job *job, struct larder_copy_pair *pairs, size_t count)
{
    struct paired paired = {.job = *job, .pairs = pairs, .count = count};
    paired.job.next = next_pair;
    paired.job.ended = pair_ended;
    for (size_t i = 0; i < count; i++)
        pairs[i].status = -ECANCELED;
    return copy_run(&paired.job, "a copy");
}

int larder_copy_pairs(struct larder_fs *from, struct larder_fs *to, struct larder_copy_pair *pairs,
                      size_t count, const struct larder_copy_options *options)
{
    struct copy_job job = {.from = from, .to = to, .makes_dirs = true};
    error_clear();
    int rc = tuning_take(&job.options, sizeof job.options, options);
    if (rc < 0)
        return rc;
    if (job.options.glob || job.options.recursive || job.options.maxdepth || job.options.into)
        return fail(-EINVAL, "pairs are copied as they are: not with glob, recursive, maxdepth or into");
    return copy_pairs_run(&job, pairs, count);
}
