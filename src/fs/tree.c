/* SPDX-License-Identifier: Apache-2.0 */
/* Whole trees away. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/glob.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/bulk.h"
#include "fs/enter.h"
#include "fs/tree.h"
#include "fs/walk.h"

/* ---- removing what was found ---- */

struct removing {
    struct larder_fs *fs;
    struct larder_rm_options options;
    bool unchanged;               /* files go only as they were found */
    int failures;                 /* with LARDER_RETURN */
    struct entries_builder named; /* paths that nobody looked at */
    struct entries_builder found; /* links to directories are LARDER_OTHER, and go as files do */
};

/* What a failure of one path, or of many, does to all. */
static int judge(struct removing *removing, int rc)
{
    enum larder_on_error mode = removing->options.on_error;
    bool forgiven = mode == LARDER_OMIT && rc == -ENOENT, cut_off = rc == -ECANCELED || rc == -ENOMEM;
    if (rc == 0 || cut_off || (mode != LARDER_RETURN && !forgiven))
        return rc;
    if (mode == LARDER_RETURN)
        removing->failures += rc > 0 ? rc : 1;
    return error_finish(0, NULL);
}

static int remove_files(struct removing *removing, const struct larder_entries *entries,
                        enum larder_on_error on_error)
{
    struct larder_batch batch = {.size = sizeof batch,
                                 .on_error = on_error,
                                 .jobs_max = removing->options.jobs_max};
    size_t most = entries->count ? entries->count : 1, count = 0;
    struct larder_item *items = mem_array(most, sizeof *items);
    const struct larder_info **infos = mem_array(most, sizeof *infos);
    int rc = items && infos ? 0 : fail_memory();
    for (size_t i = 0; rc == 0 && i < entries->count; i++) {
        if (entries->info[i].type == LARDER_DIRECTORY)
            continue;
        infos[count] = &entries->info[i];
        items[count++].path = entries->info[i].name;
    }
    if (rc == 0 && count > 0)
        rc = bulk_remove(removing->fs, items, count, removing->unchanged ? infos : NULL, &batch);
    mem_free(items);
    mem_free(infos);
    return judge(removing, rc);
}

/* -ENOENT: it was implied by what it held, or another removed it. Below `maxdepth` there may be more. */
static int remove_directory(struct removing *removing, const char *path)
{
    int rc = larder_rmdir(removing->fs, path);
    if (rc == -ENOENT || (rc == -ENOTEMPTY && removing->options.maxdepth))
        return error_finish(0, NULL);
    return judge(removing, rc);
}

/* Sorted, so that from the end children come before their parents. */
static int remove_directories(struct removing *removing, const struct larder_entries *entries)
{
    int rc = 0;
    for (size_t i = entries->count; rc == 0 && i > 0; i--)
        if (entries->info[i - 1].type == LARDER_DIRECTORY)
            rc = remove_directory(removing, entries->info[i - 1].name);
    return rc;
}

/* They went with what they held, but for what another tool may have marked them with. */
static int unmark_directories(struct removing *removing, const struct larder_entries *entries)
{
    struct layer_call call = {LAYER_UNMARK};
    char **paths = mem_array(entries->count, sizeof *paths);
    int rc = entries->count == 0 || paths ? 0 : fail_memory();
    for (size_t i = 0; rc == 0 && i < entries->count; i++) {
        const struct larder_info *entry = &entries->info[i];
        if (entry->type != LARDER_DIRECTORY)
            continue;
        paths[call.count] = path_join(removing->fs->root, entry->name);
        rc = paths[call.count++] ? 0 : fail_memory();
    }
    call.paths = (const char *const *)paths;
    if (rc == 0 && call.count > 0)
        rc = enter_call_full(removing->fs, paths[0], &call);
    for (size_t i = 0; i < call.count; i++)
        mem_free(paths[i]);
    mem_free(paths);
    return judge(removing, rc);
}

static int remove_found(struct removing *removing, const struct larder_entries *entries)
{
    enum larder_on_error mode = removing->options.on_error;
    int rc = remove_files(removing, entries, mode == LARDER_RAISE ? LARDER_OMIT : mode);
    if (rc < 0)
        return rc;
    if (larder_fs_capabilities(removing->fs)->real_directories)
        return remove_directories(removing, entries);
    return layer_has(removing->fs->instance, LAYER_UNMARK) ? unmark_directories(removing, entries) : 0;
}

int tree_remove_unchanged(struct larder_fs *fs, const struct larder_entries *found)
{
    struct removing removing = {.fs = fs, .unchanged = true};
    return remove_found(&removing, found);
}

/* ---- finding ---- */

int tree_is_link(struct larder_fs *fs, const char *path)
{
    struct terms terms = fs->terms;
    struct answer answer = {0};
    struct layer_call call = {LAYER_INFO, .terms = &terms, .out = &answer};
    if (!larder_fs_capabilities(fs)->links)
        return 0;
    terms.no_follow = true;
    int rc = enter_call(fs, path, &call);
    if (rc == 0)
        rc = answer.info.type != LARDER_DIRECTORY;
    answer_free(&answer);
    return rc;
}

/* A directory itself. 1: it is to be gone into; 0: it is a link, which goes alone. */
static int add_directory(struct removing *removing, const char *path)
{
    struct larder_info info = {.name = path, .type = LARDER_DIRECTORY};
    int link = tree_is_link(removing->fs, path);
    if (link < 0)
        return link;
    if (link)
        info.type = LARDER_OTHER;
    int rc = entries_add(&removing->found, &info);
    return rc < 0 ? rc : !link;
}

static int add_entry(struct removing *removing, struct larder_walk *walk, const char *dir,
                     const struct larder_info *entry)
{
    if (entry->type != LARDER_DIRECTORY)
        return entries_add_below(&removing->found, dir, entry);
    autofree char *path = path_join(dir, entry->name);
    int rc = path ? add_directory(removing, path) : fail_memory();
    if (rc == 0)
        larder_walk_prune(walk);
    return rc < 0 ? rc : 0;
}

/* All that is below the directory, which is no link. */
static int add_below(struct removing *removing, const char *path, unsigned maxdepth)
{
    struct larder_find_options options = {.size = sizeof options,
                                          .dirs = true,
                                          .names_only = true,
                                          .maxdepth = maxdepth};
    const struct larder_info *entry;
    struct larder_walk *walk;
    const char *dir;
    int rc = walk_begin(removing->fs, path, WALK_BELOW, &options, NULL, &walk);
    if (rc < 0)
        return rc;
    while ((rc = larder_walk_next(walk, &dir, &entry)) > 0 &&
           (rc = add_entry(removing, walk, dir, entry)) == 0)
        ;
    larder_walk_free(walk);
    return rc;
}

/* The root itself stays. */
static int add_tree(struct removing *removing, const char *path, unsigned levels_used)
{
    unsigned maxdepth = removing->options.maxdepth;
    int rc = *path ? add_directory(removing, path) : 1;
    if (rc <= 0 || (maxdepth > 0 && maxdepth == levels_used))
        return rc < 0 ? rc : 0;
    return add_below(removing, path, maxdepth ? maxdepth - levels_used : 0);
}

static int add_path(struct removing *removing, const char *typed, const char *path)
{
    bool recursive = removing->options.recursive;
    struct larder_info unknown = {.name = recursive ? path : typed + strspn(typed, "/")};
    int is_dir = recursive ? larder_isdir(removing->fs, typed) : 0;
    if (is_dir < 0)
        return is_dir;
    return is_dir ? add_tree(removing, path, 0) : entries_add(&removing->named, &unknown);
}

static int add_matches(struct removing *removing, const char *pattern)
{
    struct larder_glob_options options = {.size = sizeof options,
                                          .maxdepth = removing->options.maxdepth,
                                          .files_only = !removing->options.recursive,
                                          .names_only = true};
    struct larder_entries matches;
    int rc = larder_glob(removing->fs, pattern, &options, &matches);
    if (rc < 0)
        return rc;
    if (matches.count == 0)
        rc = fail(-ENOENT, "%s: nothing matches", pattern);
    for (size_t i = 0; rc == 0 && i < matches.count; i++) {
        const struct larder_info *match = &matches.info[i];
        rc = match->type == LARDER_DIRECTORY ? add_tree(removing, match->name, 1)
                                             : entries_add(&removing->found, match);
    }
    larder_entries_free(&matches);
    return rc;
}

static int add_one(struct removing *removing, const char *path)
{
    autofree char *clean = NULL;
    int rc = path_resolve("", path, &clean, NULL);
    if (rc < 0)
        return rc;
    return removing->options.glob && glob_has_magic(clean) ? add_matches(removing, path)
                                                           : add_path(removing, path, clean);
}

/* ---- the calls ---- */

/* Sorted; what several paths stand for goes once. */
static void finish(struct entries_builder *builder, struct larder_entries *out)
{
    size_t kept = 0;
    entries_finish(builder, out);
    entries_sort(out);
    for (size_t i = 0; i < out->count; i++)
        if (kept == 0 || strcmp(out->info[kept - 1].name, out->info[i].name) != 0)
            out->info[kept++] = out->info[i];
    out->count = kept;
}

int larder_rm_paths(struct larder_fs *fs, const char *const paths[], size_t count,
                    const struct larder_rm_options *options)
{
    struct removing removing = {.fs = fs};
    struct larder_entries named = {0}, found = {0};
    error_clear();
    int rc = tuning_take(&removing.options, sizeof removing.options, options);
    if (rc == 0 && removing.options.on_error > LARDER_RETURN)
        rc = fail(-EINVAL, "on_error %d: not RAISE, OMIT or RETURN", (int)removing.options.on_error);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = judge(&removing, add_one(&removing, paths[i]));
    finish(&removing.named, &named);
    finish(&removing.found, &found);
    if (rc == 0)
        rc = remove_files(&removing, &named, removing.options.on_error);
    if (rc == 0)
        rc = remove_found(&removing, &found);
    larder_entries_free(&named);
    larder_entries_free(&found);
    return rc < 0 ? rc : removing.failures;
}

int larder_rm(struct larder_fs *fs, const char *path, bool recursive)
{
    struct larder_rm_options options = {.size = sizeof options, .recursive = true};
    return recursive ? larder_rm_paths(fs, &path, 1, &options) : larder_rm_file(fs, path);
}
