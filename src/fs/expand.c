/* SPDX-License-Identifier: Apache-2.0 */
/* Paths that are patterns or directories, and all that they stand for. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/glob.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/walk.h"

struct expansion {
    struct larder_fs *fs;
    struct larder_expand_options options;
    struct entries_builder builder;
};

/* ---- what the paths themselves are ---- */

static int add_path(struct expansion *expansion, const char *typed, const char *path)
{
    struct larder_info info = {.name = path, .size = LARDER_SIZE_UNKNOWN};
    int rc = expansion->options.recursive ? larder_info(expansion->fs, typed, &info) : 0;
    if (rc == -ENOENT || rc == -ENOTDIR)
        return error_finish(0, NULL);
    if (rc < 0)
        return rc;
    info.name = path;
    rc = entries_add(&expansion->builder, &info);
    larder_info_free(&info);
    return rc;
}

static int add_matches(struct expansion *expansion, const char *pattern)
{
    struct larder_glob_options options = {.size = sizeof options,
                                          .maxdepth = expansion->options.maxdepth,
                                          .jobs_max = expansion->options.jobs_max};
    struct larder_entries found;
    int rc = larder_glob(expansion->fs, pattern, &options, &found);
    if (rc < 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < found.count; i++)
        rc = entries_add(&expansion->builder, &found.info[i]);
    larder_entries_free(&found);
    return rc;
}

/* A level is used up by the match itself. */
static bool goes_below(const struct larder_expand_options *options, bool matched)
{
    return options->recursive && !(matched && options->maxdepth == 1);
}

/* ---- what is below them ---- */

static int add_below(struct expansion *expansion, const char *dir, unsigned maxdepth)
{
    struct larder_find_options options = {.size = sizeof options,
                                          .maxdepth = maxdepth,
                                          .dirs = true,
                                          .jobs_max = expansion->options.jobs_max};
    const struct larder_info *entry;
    struct larder_walk *walk;
    const char *above;
    int rc = walk_begin(expansion->fs, dir, WALK_BELOW, &options, NULL, &walk);
    if (rc < 0)
        return rc;
    while ((rc = larder_walk_next(walk, &above, &entry)) > 0) {
        rc = entries_add_below(&expansion->builder, above, entry);
        if (rc < 0)
            break;
    }
    larder_walk_free(walk);
    return rc;
}

/* Each directory of `tops`, which are sorted by path; once, where one is below another and there is no limit. */
static int add_all_below(struct expansion *expansion, const struct larder_entries *tops, unsigned maxdepth)
{
    const char *covered = NULL;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < tops->count; i++) {
        const struct larder_info *top = &tops->info[i];
        if (top->type != LARDER_DIRECTORY || (covered && path_within(covered, top->name)))
            continue;
        rc = add_below(expansion, top->name, maxdepth);
        covered = maxdepth == 0 ? top->name : NULL;
    }
    return rc;
}

static int expand_one(struct expansion *expansion, const char *path)
{
    autofree char *clean = NULL;
    int rc = path_resolve("", path, &clean, NULL);
    if (rc < 0)
        return rc;
    const struct larder_expand_options *options = &expansion->options;
    bool matched = options->glob && glob_has_magic(clean);
    struct expansion tops = {.fs = expansion->fs, .options = expansion->options};
    struct larder_entries found = {0};
    rc = matched ? add_matches(&tops, path) : add_path(&tops, path, clean);
    if (rc == 0 && tops.builder.count > 0) {
        entries_finish(&tops.builder, &found);
        entries_sort_by_path(&found);
    }
    for (size_t i = 0; rc == 0 && i < found.count; i++)
        rc = entries_add(&expansion->builder, &found.info[i]);
    if (rc == 0 && goes_below(options, matched))
        rc = add_all_below(expansion, &found, options->maxdepth ? options->maxdepth - matched : 0);
    entries_discard(&tops.builder);
    larder_entries_free(&found);
    return rc;
}

/* Of those with the same name one that was looked at. */
static void drop_doubles(struct larder_entries *entries)
{
    size_t kept = 0;
    for (size_t i = 0; i < entries->count; i++) {
        struct larder_info *last = kept > 0 ? &entries->info[kept - 1] : NULL;
        if (!last || strcmp(last->name, entries->info[i].name) != 0)
            entries->info[kept++] = entries->info[i];
        else if (last->type == 0)
            *last = entries->info[i];
    }
    entries->count = kept;
}

int larder_expand_path(struct larder_fs *fs, const char *const paths[], size_t count,
                       const struct larder_expand_options *options, struct larder_entries *out)
{
    struct expansion expansion = {.fs = fs};
    struct larder_entries found;
    error_clear();
    int rc = tuning_take(&expansion.options, sizeof expansion.options, options);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = expand_one(&expansion, paths[i]);
    if (rc == 0 && expansion.builder.count == 0)
        rc = fail(-ENOENT, "%s: there is nothing", count == 1 ? paths[0] : "none of the paths");
    if (rc < 0) {
        entries_discard(&expansion.builder);
        return rc;
    }
    entries_finish(&expansion.builder, &found);
    entries_sort(&found);
    drop_doubles(&found);
    *out = found;
    return 0;
}
