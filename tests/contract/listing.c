/* SPDX-License-Identifier: Apache-2.0 */
/* Listings and trees. */
#include "scenario.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int ls_lists_one_directory(struct scenario_run *run)
{
    struct larder_entries entries;
    REQUIRE_IS(0, put_tree(run));
    REQUIRE_IS(0, put_dir(run, "empty"));
    REQUIRE_IS(0, larder_ls(run->fs, "", &entries));
    REQUIRE(names_are(&entries, "d/ dd/ empty/ f1 f2"));
    REQUIRE_IS(0, larder_ls(run->fs, "d/e", &entries));
    REQUIRE(entries.count == 2);
    bool sizes = !(run->place->gaps & (GAP_FACTS | GAP_SIZES)), times = !(run->place->gaps & GAP_FACTS);
    REQUIRE(entries.info[0].size == (sizes ? 6 : LARDER_SIZE_UNKNOWN));
    REQUIRE((entries.info[0].mtime_ns > 0) == times);
    REQUIRE(names_are(&entries, "h1 h2"));
    REQUIRE_IS(0, larder_ls(run->fs, "f1", &entries));
    REQUIRE(entries.count == 1 && entries.info[0].size == 2);
    REQUIRE(names_are(&entries, "f1"));
    REQUIRE_IS(0, larder_ls(run->fs, "empty", &entries));
    REQUIRE(names_are(&entries, ""));
    REQUIRE_IS(-ENOENT, larder_ls(run->fs, "none", &entries));
    return 0;
}

static int find_collects_a_tree(struct scenario_run *run)
{
    struct larder_find_options options = {.size = sizeof options};
    struct larder_entries entries;
    REQUIRE_IS(0, put_tree(run));
    REQUIRE_IS(0, larder_find(run->fs, "", NULL, &entries));
    REQUIRE(names_are(&entries, "d/e/h1 d/e/h2 d/g1 dd/x f1 f2"));
    REQUIRE_IS(0, larder_find(run->fs, "d", NULL, &entries));
    REQUIRE(names_are(&entries, "e/h1 e/h2 g1"));
    options.maxdepth = 2;
    REQUIRE_IS(0, larder_find(run->fs, "", &options, &entries));
    REQUIRE(names_are(&entries, "d/g1 dd/x f1 f2"));
    options.dirs = true;
    REQUIRE_IS(0, larder_find(run->fs, "", &options, &entries));
    REQUIRE(names_are(&entries, "d/ d/e/ d/g1 dd/ dd/x f1 f2"));
    REQUIRE_IS(0, larder_find(run->fs, "none", NULL, &entries));
    REQUIRE(names_are(&entries, ""));
    REQUIRE_IS(0, larder_find(run->fs, "f1", NULL, &entries));
    REQUIRE(entries.count == 1 && entries.info[0].size == 2);
    REQUIRE(names_are(&entries, ""));
    return 0;
}

static int walk_streams_and_prunes(struct scenario_run *run)
{
    struct larder_find_options options = {.size = sizeof options, .dirs = true};
    const struct larder_info *entry;
    struct larder_walk *walk;
    const char *dir;
    int files = 0, rc;
    REQUIRE_IS(0, put_tree(run));
    REQUIRE_IS(0, larder_walk_open(run->fs, "", &options, &walk));
    while ((rc = larder_walk_next(walk, &dir, &entry)) > 0) {
        REQUIRE(strncmp(dir, "d/", 2) != 0 && strcmp(dir, "d") != 0);
        if (strcmp(entry->name, "d") == 0)
            larder_walk_prune(walk);
        files += entry->type == LARDER_FILE;
    }
    REQUIRE_IS(0, rc);
    REQUIRE_IS(0, larder_walk_next(walk, &dir, &entry));
    REQUIRE(files == 3);
    larder_walk_free(walk);
    REQUIRE_IS(0, larder_walk_open(run->fs, "", NULL, &walk));
    REQUIRE_IS(1, larder_walk_next(walk, &dir, &entry));
    larder_walk_free(walk); /* abandoned */
    return 0;
}

/* Empty files many/0000, many/0001, …: all at once where they go through Larder. */
static int put_entries(struct scenario_run *run, size_t count)
{
    struct larder_item *items = calloc(count, sizeof *items);
    char(*paths)[16] = calloc(count, sizeof *paths);
    int rc = 0;
    for (size_t i = 0; i < count; i++) {
        snprintf(paths[i], sizeof paths[i], "many/%04zu", i);
        items[i] = (struct larder_item){.path = paths[i]};
        if (run->place->disk)
            put_text(run, paths[i], "");
    }
    if (!run->place->disk)
        rc = larder_pipe(run->fs, items, count, LARDER_PARENTS, NULL);
    free(items);
    free(paths);
    return rc;
}

static int many_entries_in_one_directory(struct scenario_run *run)
{
    struct larder_entries entries;
    char name[32];
    REQUIRE_IS(0, put_entries(run, 1234));
    REQUIRE_IS(0, larder_ls(run->fs, "many", &entries));
    REQUIRE(entries.count == 1234);
    for (int i = 0; i < 1234; i++) {
        snprintf(name, sizeof name, "%04d", i);
        REQUIRE(strcmp(entries.info[i].name, name) == 0);
    }
    larder_entries_free(&entries);
    return 0;
}

static int du_adds_up(struct scenario_run *run)
{
    struct larder_find_options options = {.size = sizeof options, .maxdepth = 2, .dirs = true};
    REQUIRE_IS(0, put_tree(run));
    REQUIRE_IS(24, larder_du(run->fs, "", NULL));
    REQUIRE_IS(16, larder_du(run->fs, "d", NULL));
    REQUIRE_IS(12, larder_du(run->fs, "", &options));
    REQUIRE_IS(2, larder_du(run->fs, "f1", NULL));
    REQUIRE_IS(0, larder_du(run->fs, "none", NULL));
    REQUIRE_IS(-EINVAL, larder_du(run->fs, "..", NULL));
    return 0;
}

const struct scenario list_scenarios[] = {
    {"ls lists one directory", NEED_LIST | NEED_REAL_DIRECTORIES, ls_lists_one_directory},
    {"find collects a tree", NEED_LIST, find_collects_a_tree},
    {"walk streams and prunes", NEED_LIST, walk_streams_and_prunes},
    {"many entries in one directory", NEED_LIST, many_entries_in_one_directory},
    {"du", NEED_LIST, du_adds_up},
    {0},
};
