/* SPDX-License-Identifier: Apache-2.0 */
/* A glob is a walk that goes only where its pattern could match. */
#include "fs/walk.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/glob.h"
#include "base/list.h"
#include "base/path.h"
#include "base/seams.h"

struct glob_filter {
    struct walk_filter base;
    struct glob *glob;
};

static struct glob_filter *filter_of(struct walk_filter *filter)
{
    return container_of(filter, struct glob_filter, base);
}

/* What could match below the directory at hand? */
static void look_below(struct glob_filter *filter)
{
    filter->base.all = glob_wants_all(filter->glob);
    filter->base.stem = glob_stem(filter->glob);
}

static void filter_enter(struct walk_filter *filter, const char *dir)
{
    glob_enter(filter_of(filter)->glob, dir);
}

/* A stem that is a file lists itself, under no name. */
static bool filter_wants(struct walk_filter *filter, const struct larder_info *entry, bool *deeper)
{
    *deeper = false;
    if (!*entry->name)
        return false;
    struct glob *glob = filter_of(filter)->glob;
    bool matches = glob_match_name(glob, entry->name, entry->type == LARDER_DIRECTORY, deeper);
    look_below(filter_of(filter));
    return matches;
}

static void filter_free(struct walk_filter *filter)
{
    glob_free(filter_of(filter)->glob);
    mem_free(filter_of(filter));
}

static int filter_new(const char *pattern, bool directories, struct glob_filter **out)
{
    struct glob_filter *filter = mem_zero(sizeof *filter);
    if (!filter)
        return fail_memory();
    filter->base = (struct walk_filter){.enter = filter_enter, .wants = filter_wants, .free = filter_free};
    int rc = glob_new(pattern, directories, &filter->glob);
    if (rc < 0) {
        mem_free(filter);
        return rc;
    }
    look_below(filter);
    *out = filter;
    return 0;
}

int larder_glob_open(struct larder_fs *fs, const char *pattern, const struct larder_glob_options *options,
                     struct larder_walk **out)
{
    struct larder_glob_options given = {0};
    autofree char *clean = NULL, *stem = NULL;
    struct glob_filter *filter = NULL;
    bool directories;
    error_clear();
    int rc = path_resolve("", pattern, &clean, &directories);
    if (rc == 0)
        rc = tuning_take(&given, sizeof given, options);
    if (rc < 0)
        return rc;
    struct larder_find_options walk = {.size = sizeof walk,
                                       .dirs = !given.files_only,
                                       .jobs_max = given.jobs_max,
                                       .names_only = given.names_only};
    if (!glob_has_magic(clean))
        return walk_begin(fs, clean, WALK_SELF, &walk, NULL, out);
    rc = filter_new(clean, directories, &filter);
    if (rc < 0)
        return rc;
    stem = mem_dup_n(clean, glob_stem_size(filter->glob));
    if (!stem) {
        filter_free(&filter->base);
        return fail_memory();
    }
    walk.maxdepth = glob_depth(filter->glob, given.maxdepth);
    enum walk_self self = glob_takes_stem(filter->glob) ? WALK_SELF_AND_BELOW : WALK_BELOW;
    return walk_begin(fs, stem, self, &walk, &filter->base, out);
}

int larder_glob(struct larder_fs *fs, const char *pattern, const struct larder_glob_options *options,
                struct larder_entries *out)
{
    struct larder_walk *walk;
    int rc = larder_glob_open(fs, pattern, options, &walk);
    return rc < 0 ? rc : walk_collect(walk, out);
}

int larder_glob_escape(const char *name, char **pattern)
{
    error_clear();
    if (!name)
        return fail(-EINVAL, "no path");
    char *escaped = glob_escape(name);
    if (!escaped)
        return fail_memory();
    *pattern = escaped;
    return 0;
}
