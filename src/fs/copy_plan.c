/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/copy_plan.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/glob.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "fs/copy_plan_parts.h"
#include "fs/layer.h"
#include "fs/walk.h"

/* ---- steps ---- */

static const char *below(const char *path, size_t cut)
{
    path += cut;
    return *path == '/' ? path + 1 : path;
}

/* Takes over `from` and `to`, which may be NULL: out of memory. */
static int step(struct copy_plan *plan, char *from, char *to, const struct larder_info *info, bool listed,
                struct copy_step *out)
{
    mem_free(plan->from_path);
    mem_free(plan->to_path);
    plan->from_path = from;
    plan->to_path = to;
    if (!from || !to)
        return fail_memory();
    *out = (struct copy_step){.from = from,
                              .to = to,
                              .type = info->type,
                              .size = info->size,
                              .mtime_ns = info->mtime_ns,
                              .listed = listed};
    return 1;
}

/* Of a path that was found: it goes below the base. */
static int step_below(struct copy_plan *plan, char *from, const struct larder_info *info,
                      struct copy_step *out)
{
    return step(plan, from, from ? path_join(plan->base, below(from, plan->cut)) : NULL, info, true, out);
}

/* A directory that was named, of a copy that goes into none. */
static int left_out(struct copy_plan *plan, const char *path, const struct larder_info *info,
                    struct copy_step *out)
{
    int rc = step(plan, mem_dup(path), mem_dup(""), info, false, out);
    out->to = NULL;
    return rc;
}

static int failed(struct copy_plan *plan, const char *from, int status, struct copy_step *out)
{
    mem_free(plan->from_path);
    plan->from_path = mem_dup(from);
    *out = (struct copy_step){.from = plan->from_path, .size = LARDER_SIZE_UNKNOWN};
    return status;
}

static int set_base(struct copy_plan *plan, char *base, size_t cut)
{
    mem_free(plan->base);
    plan->base = base;
    plan->cut = cut;
    return base ? 0 : fail_memory();
}

/* ---- a tree ---- */

/* A directory goes to plan->base. 0: its entries are to come; 1: there is nothing to do. */
static int begin_tree(struct copy_plan *plan, const char *dir, unsigned maxdepth)
{
    struct larder_find_options options = {.size = sizeof options, .maxdepth = maxdepth, .dirs = true};
    autofree char *full = path_join(plan->from->root, dir), *base = path_join(plan->to->root, plan->base);
    if (!full || !base)
        return fail_memory();
    if (layer_same_place(plan->from->instance, plan->to->instance) && path_within(full, base))
        return strcmp(full, base) == 0
                   ? 1
                   : fail_at(plan->from->instance, full, -EINVAL, "it cannot be copied into itself");
    return walk_begin(plan->from, dir, WALK_BELOW, &options, NULL, &plan->walk);
}

/* Is an entry of a tree a step? */
static bool is_step(const struct copy_plan *plan, const struct larder_info *entry)
{
    return *entry->name && (plan->dirs || entry->type != LARDER_DIRECTORY);
}

/* The walk has ended, or cannot go on. */
static void end_walk(struct copy_plan *plan)
{
    larder_walk_free(plan->walk);
    plan->walk = NULL;
}

/* A directory that cannot be listed is a failure, behind which the walk goes on. */
static int fail_walk(struct copy_plan *plan, int status, struct copy_step *out)
{
    const char *dir = walk_failed(plan->walk);
    failed(plan, dir ? dir : "", status, out);
    if (!dir) {
        end_walk(plan);
        out->from = NULL;
    }
    return status;
}

/* 1: a step; 0: there are no more. */
static int walk_step(struct copy_plan *plan, struct copy_step *out)
{
    const struct larder_info *entry;
    const char *dir;
    int rc;
    while ((rc = larder_walk_next(plan->walk, &dir, &entry)) > 0) {
        if (!is_step(plan, entry))
            continue;
        if (!plan->collects)
            return step_below(plan, path_join(dir, entry->name), entry, out);
        rc = entries_add_below(&plan->collected, dir, entry);
        if (rc < 0)
            return failed(plan, dir, rc, out);
    }
    if (rc < 0)
        return fail_walk(plan, rc, out);
    end_walk(plan);
    if (plan->collected.count > 0)
        entries_finish(&plan->collected, &plan->tree);
    return 0;
}

static int tree_step(struct copy_plan *plan, struct copy_step *out)
{
    if (plan->at == plan->tree.count) {
        larder_entries_free(&plan->tree);
        plan->at = 0;
        return 0;
    }
    const struct larder_info *entry = &plan->tree.info[plan->at++];
    return step_below(plan, mem_dup(entry->name), entry, out);
}

/* ---- a source ---- */

static int ask_target(struct copy_plan *plan)
{
    if (plan->target_is_dir < 0)
        plan->target_is_dir = plan->target_slash ? 1 : larder_isdir(plan->to, plan->target);
    return plan->target_is_dir;
}

/* Where a source goes. 1: nowhere, it was there before. `contents`: a directory with a slash behind it. */
static int choose_base(struct copy_plan *plan, const char *path, bool contents)
{
    bool named = plan->each_by_name && !contents;
    if (!plan->each_by_name && !contents && plan->mode != PLAN_EXACT) {
        int is_dir = ask_target(plan);
        if (is_dir < 0)
            return is_dir;
        named = is_dir;
    }
    char *base = named ? path_join(plan->target, path_name(path)) : mem_dup(plan->target);
    int rc = set_base(plan, base, strlen(path));
    return rc == 0 && named && plan->each_by_name ? copy_names_use(&plan->names, path, base) : rc;
}

/* 1: the step that makes it; 0: its entries are to come, or nothing. */
static int begin_directory(struct copy_plan *plan, const char *path, const struct larder_info *info,
                           bool matched, struct copy_step *out)
{
    struct larder_info itself = {.name = path, .type = info->type, .mtime_ns = info->mtime_ns};
    int rc = begin_tree(plan, path, plan->options.maxdepth ? plan->options.maxdepth - matched : 0);
    if (rc != 0 || !plan->dirs)
        return rc > 0 ? 0 : rc;
    if (plan->collects)
        return entries_add(&plan->collected, &itself);
    return step(plan, mem_dup(path), mem_dup(plan->base), info, matched, out);
}

/* 1: a step; 0: see what there is now. What is at `path` goes where the rule says; `info` NULL: nobody looked. */
static int begin_source(struct copy_plan *plan, const char *path, bool slash, const struct larder_info *info,
                        struct copy_step *out)
{
    autofree char *typed = slash ? mem_format("%s/", path) : mem_dup(path);
    struct larder_info unknown = {.size = LARDER_SIZE_UNKNOWN}, asked = {0};
    const struct larder_copy_options *options = &plan->options;
    bool matched = info, ask = !info && (options->recursive || !plan->each_by_name);
    int rc = !typed ? fail_memory() : ask ? larder_info(plan->from, typed, &asked) : 0;
    if (rc < 0)
        return rc == -ENOTDIR ? fail(-ENOENT, "%s: below a file there is nothing", path) : rc;
    if (!info)
        info = ask ? &asked : &unknown;
    bool directory = info->type == LARDER_DIRECTORY;
    if (directory && (!options->recursive || (matched && options->maxdepth == 1))) {
        rc = matched ? 0 : left_out(plan, path, info, out);
        larder_info_free(&asked);
        return rc;
    }
    rc = choose_base(plan, path, slash && directory);
    if (rc == 0)
        rc = directory ? begin_directory(plan, path, info, matched, out)
                       : step(plan, mem_dup(path), mem_dup(plan->base), info, matched, out);
    else if (rc > 0)
        rc = 0;
    larder_info_free(&asked);
    return rc;
}

/* What is there, whatever it is, as one step. */
static int whole_source(struct copy_plan *plan, const char *path, const struct larder_info *info,
                        struct copy_step *out)
{
    static const struct larder_info unknown = {.size = LARDER_SIZE_UNKNOWN};
    if (!*path)
        return fail(-EBUSY, "the root of a place cannot be moved");
    int rc = choose_base(plan, path, false);
    if (rc == 0)
        rc = step(plan, mem_dup(path), mem_dup(plan->base), info ? info : &unknown, info, out);
    return rc;
}

/* ---- a pattern ---- */

static void drop_directories(struct larder_entries *entries)
{
    size_t kept = 0;
    for (size_t i = 0; i < entries->count; i++)
        if (entries->info[i].type != LARDER_DIRECTORY)
            entries->info[kept++] = entries->info[i];
    entries->count = kept;
}

/* The one pattern, with all that it stands for: where they go depends on all of them. */
static int begin_pattern(struct copy_plan *plan, const char *pattern)
{
    struct larder_expand_options options = {.size = sizeof options,
                                            .glob = true,
                                            .recursive = plan->options.recursive,
                                            .maxdepth = plan->options.maxdepth};
    int rc = larder_expand_path(plan->from, &pattern, 1, &options, &plan->matches);
    if (rc < 0)
        return rc;
    if (!plan->dirs)
        drop_directories(&plan->matches);
    if (plan->matches.count == 0)
        return 0;
    bool one = plan->matches.count == 1;
    const char *first = plan->matches.info[0].name;
    return set_base(plan, mem_dup(plan->target),
                    one ? path_parent_size(first) : copy_names_common(&plan->matches));
}

/* One of several patterns: each match is a source by itself. */
static int begin_matches(struct copy_plan *plan, const char *pattern, struct larder_entries *expanded)
{
    int rc = 0;
    plan->matches = *expanded;
    *expanded = (struct larder_entries){0};
    if (plan->matches.count == 0)
        rc = plan_match(plan, pattern, &plan->matches);
    if (rc == 0 && plan->matches.count == 0)
        rc = fail(-ENOENT, "%s: nothing matches", pattern);
    plan->matches_are_sources = true;
    if (plan->mode == PLAN_WHOLE)
        entries_sort_by_path(&plan->matches);
    return rc;
}

/* What goes with a directory that matches, too, is no source. */
static int whole_match(struct copy_plan *plan, const struct larder_info *match, struct copy_step *out)
{
    const struct larder_entries *matches = &plan->matches;
    while (match->type == LARDER_DIRECTORY && plan->match < matches->count &&
           path_within(match->name, matches->info[plan->match].name))
        plan->match++;
    return whole_source(plan, match->name, match, out);
}

static int match_step(struct copy_plan *plan, struct copy_step *out)
{
    const struct larder_info *match = &plan->matches.info[plan->match++];
    if (!plan->matches_are_sources)
        return step_below(plan, mem_dup(match->name), match, out);
    int rc = plan->mode == PLAN_WHOLE ? whole_match(plan, match, out)
                                      : begin_source(plan, match->name, false, match, out);
    return rc < 0 ? failed(plan, match->name, rc, out) : rc;
}

/* ---- the plan ---- */

static void forget_expanded(struct copy_plan *plan)
{
    for (size_t i = 0; plan->expanded && i < plan->count; i++)
        larder_entries_free(&plan->expanded[i]);
    mem_free(plan->expanded);
}

static int next_source(struct copy_plan *plan, struct copy_step *out)
{
    const char *source = plan->sources[plan->next++];
    autofree char *clean = NULL;
    bool slash;
    int rc = path_resolve("", source, &clean, &slash);
    if (rc == 0 && plan->options.glob && glob_has_magic(clean))
        rc = plan->each_by_name ? begin_matches(plan, source, &plan->expanded[plan->next - 1])
                                : begin_pattern(plan, source);
    else if (rc == 0 && plan->mode == PLAN_WHOLE)
        rc = whole_source(plan, clean, NULL, out);
    else if (rc == 0)
        rc = begin_source(plan, clean, slash, NULL, out);
    return rc < 0 ? failed(plan, source ? source : "", rc, out) : rc;
}

static void forget_matches(struct copy_plan *plan)
{
    larder_entries_free(&plan->matches);
    plan->match = 0;
    plan->matches_are_sources = false;
}

int copy_plan_next(struct copy_plan *plan, struct copy_step *out)
{
    int rc = 0;
    error_clear();
    if (!plan->names_known) {
        out->from = NULL;
        rc = plan_know_names(plan);
    }
    while (rc == 0) {
        if (plan->walk) {
            rc = walk_step(plan, out);
        } else if (plan->tree.count > 0) {
            rc = tree_step(plan, out);
        } else if (plan->match < plan->matches.count) {
            rc = match_step(plan, out);
        } else if (plan->next < plan->count) {
            forget_matches(plan);
            rc = next_source(plan, out);
        } else {
            return 0;
        }
    }
    return rc > 0 ? plan_check_merged(plan, out) : rc;
}

int copy_plan_open(struct larder_fs *from, const char *const sources[], size_t count, struct larder_fs *to,
                   const char *target, const struct larder_copy_options *options, enum copy_plan_mode mode,
                   struct copy_plan **out)
{
    struct copy_plan *plan = mem_zero(sizeof *plan);
    if (!plan)
        return fail_memory();
    int rc = path_resolve("", target, &plan->target, &plan->target_slash);
    if (rc < 0) {
        mem_free(plan);
        return rc;
    }
    plan->from = larder_fs_ref(from);
    plan->to = larder_fs_ref(to);
    plan->sources = sources;
    plan->count = count;
    plan->options = *options;
    plan->mode = mode;
    bool matches =
        mode == PLAN_WHOLE && count > 0 && options->glob && sources[0] && glob_has_magic(sources[0]);
    plan->each_by_name = options->into || count != 1 || matches;
    plan->dirs = options->recursive && options->maxdepth == 0;
    plan->collects = larder_fs_capabilities(from)->links && layer_same_place(from->instance, to->instance);
    plan->target_is_dir = -1;
    *out = plan;
    return 0;
}

bool copy_plan_is_into(const struct copy_plan *plan)
{
    return plan->each_by_name || plan->target_slash;
}

void copy_plan_free(struct copy_plan *plan)
{
    if (!plan)
        return;
    forget_expanded(plan);
    copy_names_fini(&plan->names);
    end_walk(plan);
    entries_discard(&plan->collected);
    larder_entries_free(&plan->tree);
    larder_entries_free(&plan->matches);
    mem_free(plan->base);
    mem_free(plan->target);
    mem_free(plan->from_path);
    mem_free(plan->to_path);
    larder_fs_free(plan->from);
    larder_fs_free(plan->to);
    mem_free(plan);
}
