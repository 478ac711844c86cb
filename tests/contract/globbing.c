/* SPDX-License-Identifier: Apache-2.0 */
/* What patterns match: the rows that were observed of fsspec, each a scenario, and what Larder has beyond it. */
#include "scenario.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct glob_row {
    const char *pattern, *found;
    unsigned maxdepth;
    bool files_only;
} rows[] = {
    {"s/*", "s/d/ s/empty/ s/f1 s/f2"},
    {"/s/*", "s/d/ s/empty/ s/f1 s/f2"},
    {"s/*/", "s/d/ s/empty/"},
    {"s/**", "s/ s/d/ s/d/e/ s/d/e/h1 s/d/g1 s/empty/ s/f1 s/f2"},
    {"s/**/", "s/ s/d/ s/d/e/ s/empty/"},
    {"s/**/*", "s/d/ s/d/e/ s/d/e/h1 s/d/g1 s/empty/ s/f1 s/f2"},
    {"s/f?", "s/f1 s/f2"},
    {"s/[fd]*", "s/d/ s/f1 s/f2"},
    {"s/*/*", "s/d/e/ s/d/g1"},
    {"s/**/h1", "s/d/e/h1"},
    {"s/d/**", "s/d/ s/d/e/ s/d/e/h1 s/d/g1"},
    {"**", "s/ s/d/ s/d/e/ s/d/e/h1 s/d/g1 s/empty/ s/f1 s/f2 t"},
    {"s/", "s/"},
    {"nope*", ""},
    {"nope/*", ""},
    {"nope/**", ""},
    {"nope", ""},
    {"s/f1/", "s/f1"},
    {"s/f1/*", ""},
    {"s/f1/**", ""},
    {"s/f1/x", ""},
    {"s/**", "s/ s/d/ s/empty/ s/f1 s/f2", .maxdepth = 1},
    {"s/**/*", "s/d/ s/empty/ s/f1 s/f2", .maxdepth = 1},
    {"s/*", "s/f1 s/f2", .files_only = true},
    {"s/**", "s/d/e/h1 s/d/g1 s/f1 s/f2", .files_only = true},
    {"s/*/", "", .files_only = true},
    {"s", "", .files_only = true},
    {"", "/"},
};
#define ROWS (sizeof rows / sizeof rows[0])

static int put_glob_tree(struct scenario_run *run)
{
    static const char *const files[] = {"s/f1", "s/f2", "s/d/g1", "s/d/e/h1", "t"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        REQUIRE_IS(0, put_text(run, files[i], "x"));
    return larder_fs_capabilities(run->fs)->real_directories ? put_dir(run, "s/empty") : 0;
}

/* Where only files are there is no empty directory. */
static void without_empty(char *found)
{
    char *empty = strstr(found, "s/empty/");
    if (!empty)
        return;
    size_t size = strlen("s/empty/");
    bool last = !empty[size];
    if (last && empty > found)
        empty[-1] = '\0';
    else
        memmove(empty, empty + size + !last, strlen(empty + size + !last) + 1);
}

static int row_finds_what_matches(struct scenario_run *run)
{
    const struct glob_row *row = run->scenario->arg;
    struct larder_glob_options options = {.size = sizeof options,
                                          .maxdepth = row->maxdepth,
                                          .files_only = row->files_only};
    struct larder_entries entries;
    char found[256];
    snprintf(found, sizeof found, "%s", row->found);
    if (!larder_fs_capabilities(run->fs)->real_directories)
        without_empty(found);
    REQUIRE_IS(0, put_glob_tree(run));
    REQUIRE_IS(0, larder_glob(run->fs, row->pattern, &options, &entries));
    REQUIRE(names_are(&entries, found));
    return 0;
}

const struct scenario *glob_row_scenarios(void)
{
    static struct scenario made[ROWS + 1];
    static char names[ROWS][64];
    for (size_t i = 0; i < ROWS; i++) {
        char depth[24] = "";
        if (rows[i].maxdepth)
            snprintf(depth, sizeof depth, ", depth %u", rows[i].maxdepth);
        snprintf(names[i], sizeof names[i], "match \"%s\"%s%s", rows[i].pattern, depth,
                 rows[i].files_only ? ", files only" : "");
        made[i] = (struct scenario){names[i], NEED_LIST, row_finds_what_matches, &rows[i]};
    }
    return made;
}

static int glob_streams_and_prunes(struct scenario_run *run)
{
    const struct larder_info *entry;
    struct larder_walk *walk;
    const char *dir;
    int count = 0, rc;
    REQUIRE_IS(0, put_glob_tree(run));
    REQUIRE_IS(0, larder_glob_open(run->fs, "s/d/**", NULL, &walk));
    REQUIRE_IS(1, larder_walk_next(walk, &dir, &entry)); /* the directory itself comes first */
    REQUIRE(strcmp(dir, "s") == 0 && strcmp(entry->name, "d") == 0 && entry->type == LARDER_DIRECTORY);
    while ((rc = larder_walk_next(walk, &dir, &entry)) > 0) {
        REQUIRE(strcmp(dir, "s/d") == 0);
        if (strcmp(entry->name, "e") == 0)
            larder_walk_prune(walk);
        count++;
    }
    REQUIRE_IS(0, rc);
    REQUIRE_IS(0, larder_walk_next(walk, &dir, &entry));
    REQUIRE(count == 2);
    larder_walk_free(walk);
    REQUIRE_IS(0, larder_glob_open(run->fs, "s/*", NULL, &walk));
    REQUIRE_IS(1, larder_walk_next(walk, &dir, &entry));
    larder_walk_free(walk); /* abandoned */
    REQUIRE_IS(-EINVAL, larder_glob_open(run->fs, "s/**x", NULL, &walk));
    REQUIRE_IS(-EINVAL, larder_glob_open(run->fs, "../*", NULL, &walk));
    return 0;
}

static int glob_escape_makes_a_name_literal(struct scenario_run *run)
{
    struct larder_entries entries;
    char *pattern;
    REQUIRE_IS(0, put_text(run, "a[1]", "x"));
    REQUIRE_IS(0, put_text(run, "a1", "x"));
    REQUIRE_IS(0, larder_glob(run->fs, "a[1]", NULL, &entries));
    REQUIRE(names_are(&entries, "a1"));
    REQUIRE_IS(0, larder_glob_escape("a[1]", &pattern));
    REQUIRE_IS(0, larder_glob(run->fs, pattern, NULL, &entries));
    REQUIRE(names_are(&entries, "a[1]"));
    larder_free(pattern);
    return 0;
}

const struct scenario glob_scenarios[] = {
    {"glob streams and prunes", NEED_LIST, glob_streams_and_prunes},
    {"glob escape makes a name literal", NEED_LIST, glob_escape_makes_a_name_literal},
    {0},
};
