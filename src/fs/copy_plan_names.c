/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/glob.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/copy_plan_parts.h"

int plan_match(struct copy_plan *plan, const char *pattern, struct larder_entries *out)
{
    struct larder_glob_options options = {.size = sizeof options, .maxdepth = plan->options.maxdepth};
    return larder_glob(plan->from, pattern, &options, out);
}

static int know_name(struct copy_plan *plan, const char *path)
{
    autofree char *to = path_join(plan->target, path_name(path));
    return to ? copy_names_take(&plan->names, path, to) : fail_memory();
}

/* Of directories those that are gone into; a move takes along what is in one. */
static int know_matches(struct copy_plan *plan, struct larder_entries *matches)
{
    const struct larder_copy_options *options = &plan->options;
    bool whole = plan->mode == PLAN_WHOLE, into = whole || (options->recursive && options->maxdepth != 1);
    const char *along = NULL;
    int rc = 0;
    if (whole)
        entries_sort_by_path(matches);
    for (size_t i = 0; rc == 0 && i < matches->count; i++) {
        const struct larder_info *match = &matches->info[i];
        bool directory = match->type == LARDER_DIRECTORY;
        if ((directory && !into) || (along && path_within(along, match->name)))
            continue;
        rc = know_name(plan, match->name);
        along = whole && directory ? match->name : along;
    }
    return rc;
}

/* A failure to find out is told when it is the source's turn. The contents of a directory have their own names, which
 * are known when they come. */
static int know_names(struct copy_plan *plan, const char *source, struct larder_entries *expanded)
{
    autofree char *clean = NULL;
    bool slash;
    int rc = path_resolve("", source, &clean, &slash);
    if (rc < 0 || !*clean)
        return error_finish(0, NULL);
    if (!plan->options.glob || !glob_has_magic(clean)) {
        bool contents = slash && plan->mode == PLAN_COPY;
        plan->merges = plan->merges || (contents && plan->count > 1);
        return contents ? 0 : know_name(plan, clean);
    }
    rc = plan_match(plan, source, expanded);
    if (rc < 0)
        return rc == -ECANCELED ? rc : error_finish(0, NULL);
    return know_matches(plan, expanded);
}

int plan_know_names(struct copy_plan *plan)
{
    int rc = 0;
    plan->names_known = true;
    if (!plan->each_by_name)
        return 0;
    plan->expanded = mem_array(plan->count ? plan->count : 1, sizeof *plan->expanded);
    if (!plan->expanded)
        return fail_memory();
    for (size_t i = 0; rc == 0 && i < plan->count; i++)
        rc = know_names(plan, plan->sources[i], &plan->expanded[i]);
    return rc;
}

int plan_check_merged(struct copy_plan *plan, struct copy_step *out)
{
    if (!plan->merges || !out->to || out->type == LARDER_DIRECTORY)
        return 1;
    int rc = copy_names_take(&plan->names, out->from, out->to);
    *out = rc < 0 ? (struct copy_step){.from = out->from, .size = LARDER_SIZE_UNKNOWN} : *out;
    return rc < 0 ? rc : 1;
}
