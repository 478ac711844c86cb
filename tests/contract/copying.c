/* SPDX-License-Identifier: Apache-2.0 */
/* Files copied from, to and within every place: the rules of fsspec's copying.rst, where Larder keeps them. */
#include "scenario.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree.h"

/* ---- one file ---- */

static void count_progress(void *arg, int64_t done, int64_t total)
{
    int64_t *last = arg;
    *last = done >= *last && total == (5 << 20) ? done : INT64_MIN;
}

static int get_one_file(struct scenario_run *run)
{
    char local[512], nowhere[512];
    size_t size = 5 << 20, got;
    char *data = content_make(size, 9);
    int64_t last = 0;
    REQUIRE_IS(0, put_file(run, "big", data, size));
    free(data);
    snprintf(local, sizeof local, "%s/got", run->scratch);
    snprintf(nowhere, sizeof nowhere, "%s/none/got", run->scratch);
    tree_write(run->scratch, "got", "old", 3);
    REQUIRE_IS(0, larder_get_file(run->fs, "big", local, 0, count_progress, &last));
    REQUIRE(last == 5 << 20);
    data = tree_read(run->scratch, "got", &got);
    REQUIRE(data && got == size && content_matches(data, size, 9, 0));
    free(data);
    REQUIRE_IS(-ENOENT, larder_get_file(run->fs, "none", local, 0, NULL, NULL));
    data = tree_read(run->scratch, "got", &got);
    REQUIRE(data && got == size); /* a failure leaves what was there */
    free(data);
    REQUIRE_IS(-ENOENT, larder_get_file(run->fs, "big", nowhere, 0, NULL, NULL));
    REQUIRE_IS(-EISDIR, larder_get_file(run->fs, "big", run->scratch, 0, NULL, NULL));
    return 0;
}

/* There and back: to the disk, to this place, and within it. */
static int copy_one_file(struct scenario_run *run)
{
    char local[512];
    size_t size = (2 << 20) + 12345;
    char *data = content_make(size, 3);
    struct larder_bytes bytes;
    snprintf(local, sizeof local, "%s/given", run->scratch);
    tree_write(run->scratch, "given", data, size);
    free(data);
    REQUIRE_IS(0, larder_put_file(local, run->fs, "a/b/put", LARDER_PARENTS, NULL, NULL));
    REQUIRE_IS(0, larder_cp_file(run->fs, "a/b/put", run->fs, "copy", 0, NULL, NULL));
    REQUIRE_IS(0, larder_cat_file(run->fs, "copy", NULL, &bytes));
    bool same = bytes.size == size && content_matches(bytes.data, size, 3, 0);
    larder_bytes_free(&bytes);
    REQUIRE(same);
    REQUIRE_IS(-EEXIST, larder_cp_file(run->fs, "a/b/put", run->fs, "copy", LARDER_CREATE, NULL, NULL));
    REQUIRE_IS(-EEXIST, larder_put_file(local, run->fs, "copy", LARDER_CREATE, NULL, NULL));
    REQUIRE_IS(-EISDIR, larder_cp_file(run->fs, "a", run->fs, "copy", 0, NULL, NULL));
    REQUIRE_IS(-ENOENT, larder_cp_file(run->fs, "none", run->fs, "copy", LARDER_PARENTS, NULL, NULL));
    REQUIRE_IS(0, larder_cp_file(run->fs, "copy", run->fs, "copy", 0, NULL, NULL));
    REQUIRE_IS(1, larder_isfile(run->fs, "copy"));
    REQUIRE_IS(-ENOENT, larder_put_file("/nowhere/at all", run->fs, "x", 0, NULL, NULL));
    REQUIRE_IS(0, larder_exists(run->fs, "x"));
    return 0;
}

static int touch_makes_and_renews(struct scenario_run *run)
{
    struct larder_bytes bytes;
    struct larder_info before, after;
    REQUIRE_IS(0, larder_touch(run->fs, "new", false));
    REQUIRE_IS(0, larder_cat_file(run->fs, "new", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, ""));
    REQUIRE_IS(0, put_text(run, "full", "12345"));
    REQUIRE_IS(0, larder_info(run->fs, "full", &before));
    bool touches = larder_fs_capabilities(run->fs)->touch;
    REQUIRE_IS(touches ? 0 : -ENOTSUP, larder_touch(run->fs, "full", false));
    REQUIRE_IS(0, larder_info(run->fs, "full", &after));
    REQUIRE(after.size == 5 && after.mtime_ns >= before.mtime_ns);
    larder_info_free(&before);
    larder_info_free(&after);
    REQUIRE_IS(0, larder_touch(run->fs, "full", true));
    REQUIRE_IS(0, larder_cat_file(run->fs, "full", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, ""));
    if (larder_fs_capabilities(run->fs)->parents_required)
        REQUIRE_IS(-ENOENT, larder_touch(run->fs, "no/dir", false));
    return 0;
}

static int lexists_asks_for_a_name(struct scenario_run *run)
{
    REQUIRE_IS(0, put_text(run, "d/f", "x"));
    REQUIRE_IS(1, larder_lexists(run->fs, "d"));
    REQUIRE_IS(1, larder_lexists(run->fs, "d/f"));
    REQUIRE_IS(0, larder_lexists(run->fs, "d/g"));
    REQUIRE_IS(0, larder_lexists(run->fs, "d/f/g"));
    return 0;
}

/* ---- expand_path ---- */

static int expand_path_finds_all_that_is_meant(struct scenario_run *run)
{
    static const struct {
        const char *paths[3], *found;
        struct larder_expand_options options;
    } cases[] = {
        {{"f1"}, "f1", {0}},
        {{"none", "d"}, "d none", {0}},
        {{"/d/", "d"}, "d", {0}},
        {{"f*"}, "f*", {0}},
        {{"f*"}, "f1 f2", {.glob = true}},
        {{"f*", "d", "f1"}, "d f1 f2", {.glob = true}},
        {{"d"}, "d/ d/e/ d/e/h1 d/e/h2 d/g1", {.recursive = true}},
        {{"d/"}, "d/ d/e/ d/g1", {.recursive = true, .maxdepth = 1}},
        {{"f1", "none"}, "f1", {.recursive = true}},
        {{"d", "d/e"}, "d/ d/e/ d/e/h1 d/e/h2 d/g1", {.recursive = true}},
        {{"d*"}, "d/ dd/", {.glob = true}},
        {{"d*"}, "d/ d/e/ d/e/h1 d/e/h2 d/g1 dd/ dd/x", {.glob = true, .recursive = true}},
        {{"d*"}, "d/ dd/", {.glob = true, .recursive = true, .maxdepth = 1}},
        {{"d*"}, "d/ d/e/ d/g1 dd/ dd/x", {.glob = true, .recursive = true, .maxdepth = 2}},
        {{"**"}, "d/ d/e/ d/e/h1 d/e/h2 d/g1 dd/ dd/x f1 f2", {.glob = true, .recursive = true}},
        {{"nope*", "f2"}, "f2", {.glob = true}},
    };
    static const char *const files[] = {"f1", "f2", "d/g1", "d/e/h1", "d/e/h2", "dd/x"};
    struct larder_expand_options glob = {.size = sizeof glob, .glob = true},
                                 below = {.size = sizeof below, .recursive = true};
    struct larder_entries entries;
    for (size_t i = 0; i < 6; i++)
        REQUIRE_IS(0, put_text(run, files[i], "x"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct larder_expand_options options = cases[i].options;
        size_t count = 0;
        while (count < sizeof cases[i].paths / sizeof cases[i].paths[0] && cases[i].paths[count])
            count++;
        options.size = sizeof options;
        REQUIRE_IS(0, larder_expand_path(run->fs, cases[i].paths, count, &options, &entries));
        if (!names_are(&entries, cases[i].found))
            return scenario_failed(run, __LINE__, cases[i].paths[0], (long long)i);
    }
    REQUIRE_IS(-ENOENT, larder_expand_path(run->fs, NULL, 0, NULL, &entries));
    REQUIRE_IS(-ENOENT, larder_expand_path(run->fs, (const char *[]){"nope*"}, 1, &glob, &entries));
    REQUIRE_IS(-ENOENT, larder_expand_path(run->fs, (const char *[]){"nope"}, 1, &below, &entries));
    REQUIRE_IS(-EINVAL, larder_expand_path(run->fs, (const char *[]){"f1", "../x"}, 2, NULL, &entries));
    return 0;
}

const struct scenario copy_scenarios[] = {
    {"get one file", 0, get_one_file},
    {"copy one file", NEED_WRITE | NEED_CREATE, copy_one_file},
    {"touch", NEED_WRITE, touch_makes_and_renews},
    {"lexists", 0, lexists_asks_for_a_name},
    {"expand_path", NEED_LIST, expand_path_finds_all_that_is_meant},
    {0},
};
