/* SPDX-License-Identifier: Apache-2.0 */
/* Writing, removing, directories. */
#include "scenario.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int pipe_replaces_whole(struct scenario_run *run)
{
    struct larder_bytes bytes;
    REQUIRE_IS(0, larder_pipe_file(run->fs, "f", "long old value", 14, 0));
    REQUIRE_IS(0, larder_cat_file(run->fs, "f", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "long old value"));
    REQUIRE_IS(0, larder_pipe_file(run->fs, "f", "new", 3, 0));
    REQUIRE_IS(0, larder_cat_file(run->fs, "f", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "new"));
    REQUIRE_IS(0, larder_pipe_file(run->fs, "f", NULL, 0, 0));
    REQUIRE_IS(0, larder_cat_file(run->fs, "f", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, ""));
    REQUIRE_IS(0, larder_pipe_file(run->fs, "n/m/o", "x", 1, LARDER_PARENTS));
    REQUIRE_IS(1, larder_isfile(run->fs, "n/m/o"));
    REQUIRE_IS(-EINVAL, larder_pipe_file(run->fs, "f", "x", 1, 1u << 30));
    if (!larder_fs_capabilities(run->fs)->real_directories)
        return 0; /* a name may be a file's and a directory's */
    REQUIRE_IS(0, larder_mkdir(run->fs, "d", false));
    REQUIRE_IS(-EISDIR, larder_pipe_file(run->fs, "d", "x", 1, 0));
    REQUIRE_IS(-ENOTDIR, larder_pipe_file(run->fs, "f/below", "x", 1, LARDER_PARENTS));
    if (larder_fs_capabilities(run->fs)->parents_required)
        REQUIRE_IS(-ENOENT, larder_pipe_file(run->fs, "p/q", "x", 1, 0));
    return 0;
}

static int create_refuses_what_exists(struct scenario_run *run)
{
    struct larder_bytes bytes;
    REQUIRE_IS(0, larder_pipe_file(run->fs, "f", "first", 5, LARDER_CREATE));
    REQUIRE_IS(-EEXIST, larder_pipe_file(run->fs, "f", "second", 6, LARDER_CREATE));
    REQUIRE_IS(0, larder_cat_file(run->fs, "f", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "first"));
    if (!larder_fs_capabilities(run->fs)->real_directories)
        return 0;
    REQUIRE_IS(0, larder_mkdir(run->fs, "d", false));
    REQUIRE_IS(-EEXIST, larder_pipe_file(run->fs, "d", "x", 1, LARDER_CREATE));
    return 0;
}

static int replace_spares_another_version(struct scenario_run *run)
{
    struct larder_bytes bytes;
    struct larder_info info;
    REQUIRE_IS(0, larder_pipe_file(run->fs, "f", "first", 5, 0));
    REQUIRE_IS(0, grow_old(run, "f"));
    REQUIRE_IS(0, larder_info(run->fs, "f", &info));
    REQUIRE(info.version);
    REQUIRE_IS(0, larder_replace_file(run->fs, "f", "second one", 10, info.version, 0));
    REQUIRE_IS(-ESTALE, larder_replace_file(run->fs, "f", "third", 5, info.version, 0));
    REQUIRE(strstr(larder_error(), "f"));
    REQUIRE_IS(0, larder_cat_file(run->fs, "f", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "second one"));
    REQUIRE_IS(0, larder_rm_file(run->fs, "f"));
    REQUIRE_IS(-ESTALE, larder_replace_file(run->fs, "f", "fourth", 6, info.version, 0));
    REQUIRE_IS(0, larder_exists(run->fs, "f"));
    REQUIRE_IS(-EINVAL, larder_replace_file(run->fs, "f", "x", 1, NULL, 0));
    larder_info_free(&info);
    return 0;
}

static int written_is_read_at_once(struct scenario_run *run)
{
    struct larder_entries entries;
    struct larder_bytes bytes;
    char text[32];
    for (int i = 0; i < 50; i++) {
        snprintf(text, sizeof text, "value %d", i);
        REQUIRE_IS(0, larder_pipe_file(run->fs, "f", text, strlen(text), 0));
        REQUIRE_IS(0, larder_cat_file(run->fs, "f", NULL, &bytes));
        REQUIRE(bytes_are(&bytes, text));
    }
    REQUIRE_IS(0, larder_ls(run->fs, "", &entries));
    REQUIRE(names_are(&entries, "f"));
    REQUIRE_IS(0, larder_exists(run->fs, "g"));
    REQUIRE_IS(0, larder_pipe_file(run->fs, "g", "x", 1, 0));
    REQUIRE_IS(1, larder_exists(run->fs, "g"));
    REQUIRE_IS(0, larder_ls(run->fs, "", &entries));
    REQUIRE(names_are(&entries, "f g"));
    REQUIRE_IS(0, larder_rm_file(run->fs, "f"));
    REQUIRE_IS(0, larder_exists(run->fs, "f"));
    REQUIRE_IS(-ENOENT, larder_cat_file(run->fs, "f", NULL, &bytes));
    REQUIRE_IS(0, larder_ls(run->fs, "", &entries));
    REQUIRE(names_are(&entries, "g"));
    return 0;
}

static int rm_removes(struct scenario_run *run)
{
    REQUIRE_IS(0, put_tree(run));
    REQUIRE_IS(-ENOENT, larder_rm_file(run->fs, "none"));
    REQUIRE_IS(-EISDIR, larder_rm_file(run->fs, "d"));
    REQUIRE_IS(0, larder_rm_file(run->fs, "f1"));
    REQUIRE_IS(0, larder_exists(run->fs, "f1"));
    REQUIRE_IS(-EISDIR, larder_rm(run->fs, "d", false));
    REQUIRE_IS(0, larder_rm(run->fs, "d", true));
    REQUIRE_IS(0, larder_exists(run->fs, "d/e/h1"));
    REQUIRE_IS(1, larder_isfile(run->fs, "dd/x")); /* "d" is no prefix of "dd" */
    if (!(run->place->gaps & GAP_DIRECTORIES)) {
        REQUIRE_IS(0, larder_exists(run->fs, "d"));
        REQUIRE_IS(-ENOENT, larder_rm(run->fs, "d", true));
    }
    REQUIRE_IS(0, larder_rm(run->fs, "f2", true));
    REQUIRE_IS(0, larder_pipe_file(run->fs, "x[1]", "", 0, 0));
    REQUIRE_IS(0, larder_pipe_file(run->fs, "x1", "", 0, 0));
    REQUIRE_IS(0, larder_rm(run->fs, "x[1]", false));
    REQUIRE_IS(1, larder_exists(run->fs, "x1"));
    return 0;
}

static int directories(struct scenario_run *run)
{
    REQUIRE_IS(0, larder_mkdir(run->fs, "a", false));
    REQUIRE_IS(1, larder_isdir(run->fs, "a"));
    REQUIRE_IS(-EEXIST, larder_mkdir(run->fs, "a", false));
    REQUIRE_IS(-EEXIST, larder_mkdir(run->fs, "a", true));
    if (larder_fs_capabilities(run->fs)->parents_required)
        REQUIRE_IS(-ENOENT, larder_mkdir(run->fs, "b/c/d", false));
    REQUIRE_IS(0, larder_mkdir(run->fs, "b/c/d", true));
    REQUIRE_IS(0, larder_makedirs(run->fs, "b/c/d", true));
    REQUIRE_IS(-EEXIST, larder_makedirs(run->fs, "b/c/d", false));
    REQUIRE_IS(0, larder_makedirs(run->fs, "e/f", false));
    REQUIRE_IS(-ENOTEMPTY, larder_rmdir(run->fs, "b/c"));
    REQUIRE_IS(0, larder_rmdir(run->fs, "b/c/d"));
    REQUIRE_IS(0, larder_rmdir(run->fs, "b/c"));
    REQUIRE_IS(-ENOENT, larder_rmdir(run->fs, "b/c"));
    REQUIRE_IS(0, larder_pipe_file(run->fs, "file", "x", 1, 0));
    REQUIRE_IS(-ENOTDIR, larder_rmdir(run->fs, "file"));
    REQUIRE_IS(-EEXIST, larder_mkdir(run->fs, "file", false));
    REQUIRE_IS(-ENOTDIR, larder_makedirs(run->fs, "file/x", true));
    return 0;
}

const struct scenario write_scenarios[] = {
    {"pipe replaces whole", NEED_WRITE, pipe_replaces_whole},
    {"create refuses what exists", NEED_WRITE | NEED_CREATE, create_refuses_what_exists},
    {"replace spares another version", NEED_WRITE, replace_spares_another_version},
    {"what is written is read at once", NEED_WRITE | NEED_LIST, written_is_read_at_once},
    {"rm removes", NEED_WRITE | NEED_LIST, rm_removes},
    {"directories", NEED_WRITE | NEED_REAL_DIRECTORIES, directories},
    {0},
};
