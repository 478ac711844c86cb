/* SPDX-License-Identifier: Apache-2.0 */
/* Files copied from, to and within every place: the rules of fsspec's copying.rst, where Larder keeps them. */
#include "scenario.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "copy_rows.h"
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

/* ---- many files ---- */

/* The notorious surprise of fsspec's rules, and how a slash avoids it. */
static int a_tree_got_twice_is_nested(struct scenario_run *run)
{
    struct larder_copy_options options = {.size = sizeof options, .recursive = true};
    const char *tree = "s", *contents = "s/";
    char target[1024];
    REQUIRE_IS(0, put_text(run, "s/d/f", "1"));
    snprintf(target, sizeof target, "%s/a", run->scratch);
    REQUIRE_IS(0, larder_get(run->fs, &tree, 1, target, &options));
    REQUIRE(tree_has(run->scratch, "a/d/f") && !tree_has(run->scratch, "a/s"));
    REQUIRE_IS(0, larder_get(run->fs, &tree, 1, target, &options));
    REQUIRE(tree_has(run->scratch, "a/d/f") && tree_has(run->scratch, "a/s/d/f"));
    snprintf(target, sizeof target, "%s/b", run->scratch);
    REQUIRE_IS(0, larder_get(run->fs, &contents, 1, target, &options));
    REQUIRE_IS(0, larder_get(run->fs, &contents, 1, target, &options));
    REQUIRE(tree_has(run->scratch, "b/d/f") && !tree_has(run->scratch, "b/s"));
    return 0;
}

#define PAIRS 10
static int pairs_keep_to_each_other(struct scenario_run *run)
{
    struct larder_copy_pair pairs[PAIRS];
    char from[PAIRS][32], to[PAIRS][32];
    struct larder_fs *disk;
    for (unsigned i = 0; i < PAIRS; i++) {
        snprintf(from[i], 32, "s/%08x", i * 2654435761u);
        snprintf(to[i], 32, "t/%08x", (PAIRS - i) * 2246822519u);
        pairs[i] = (struct larder_copy_pair){from[i], to[i], 1};
        REQUIRE_IS(0, put_text(run, from[i], from[i]));
    }
    REQUIRE_IS(0, larder_open(NULL, run->scratch, NULL, &disk, NULL));
    int rc = larder_copy_pairs(run->fs, disk, pairs, PAIRS, NULL);
    larder_fs_free(disk);
    REQUIRE_IS(0, rc);
    for (unsigned i = 0; i < PAIRS; i++) {
        size_t size;
        char *text = tree_read(run->scratch, to[i], &size);
        bool same = text && strcmp(text, from[i]) == 0;
        free(text);
        REQUIRE(same && pairs[i].status == 0);
    }
    return 0;
}

static int mv_moves_files_and_trees(struct scenario_run *run)
{
    const char *f = "f", *d = "d", *none = "none";
    struct larder_bytes bytes;
    REQUIRE_IS(0, put_text(run, "f", "f"));
    REQUIRE_IS(0, put_text(run, "d/e/g", "g"));
    REQUIRE_IS(0, put_text(run, "t/x", "x"));
    REQUIRE_IS(0, larder_mv(run->fs, &f, 1, run->fs, "t", NULL));
    REQUIRE_IS(0, larder_exists(run->fs, "f"));
    REQUIRE_IS(0, larder_cat_file(run->fs, "t/f", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "f"));
    REQUIRE_IS(0, larder_mv(run->fs, &d, 1, run->fs, "new", NULL));
    REQUIRE_IS(0, larder_exists(run->fs, "d/e/g"));
    REQUIRE_IS(0, larder_cat_file(run->fs, "new/e/g", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "g"));
    REQUIRE_IS(-ENOENT, larder_mv(run->fs, &none, 1, run->fs, "t", NULL));
    REQUIRE_IS(0, larder_mv(run->fs, (const char *[]){"t/f"}, 1, run->fs, "t/f", NULL));
    REQUIRE_IS(1, larder_isfile(run->fs, "t/f"));
    REQUIRE_IS(-EINVAL, larder_mv(run->fs, (const char *[]){"new"}, 1, run->fs, "new/e", NULL));
    REQUIRE_IS(1, larder_isfile(run->fs, "new/e/g"));
    return 0;
}

/* ---- trees: the rows of copying.rst ---- */

/* Where a copy goes: a new directory of a place. */
struct end {
    struct larder_fs *fs;
    char dir[64];
};

static struct end new_end(struct larder_fs *fs)
{
    static atomic_uint count;
    struct end end = {.fs = fs};
    snprintf(end.dir, sizeof end.dir, "end%u", ++count);
    return end;
}

/* A directory that is there; where only files are, one that has a file. */
#define KEEP ".keep"
static int make_there(struct larder_fs *fs, const char *dir)
{
    char path[1100];
    if (larder_fs_capabilities(fs)->real_directories)
        return larder_makedirs(fs, dir, true);
    snprintf(path, sizeof path, "%s/" KEEP, dir);
    return larder_touch(fs, path, true);
}

static bool ends_with(const struct larder_bytes *bytes, const char *tail)
{
    size_t size = strlen(tail);
    return bytes->size >= size && memcmp((const char *)bytes->data + bytes->size - size, tail, size) == 0;
}

/* The content of each file is the path that it was copied from. */
static int check_content(struct scenario_run *run, const struct copy_row *row, const struct end *end,
                         const char *path)
{
    const char *slash = strrchr(path, '/');
    struct larder_bytes bytes;
    REQUIRE_IS(0, larder_cat_file(end->fs, path, NULL, &bytes));
    bool right = ends_with(&bytes, slash) || ends_with(&bytes, row->sources[0]);
    larder_bytes_free(&bytes);
    REQUIRE(right);
    return 0;
}

static int check_found(struct scenario_run *run, const struct copy_row *row, const struct end *end,
                       const char *target)
{
    struct larder_entries entries;
    char top[1024], path[2048];
    snprintf(top, sizeof top, "%s/%.*s", end->dir, (int)strcspn(target, "/"), target);
    REQUIRE_IS(0, larder_find(end->fs, top, NULL, &entries));
    size_t count = entries.count, kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(entries.info[i].name, KEEP) == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", top, entries.info[i].name);
        entries.info[kept++] = entries.info[i];
        int rc = check_content(run, row, end, path);
        if (rc < 0)
            return rc;
    }
    entries.count = kept;
    if (!names_are(&entries, row->found))
        return scenario_failed(run, __LINE__, target, 0);
    return 0;
}

/* What a row is copied by. */
struct ways {
    struct larder_fs *from, *put;   /* the tree, in this place; what it is put by */
    struct larder_fs *disk, *other; /* the local side, and a place that is not this one */
    bool writes;                    /* this one */
};
enum way { WAY_GET, WAY_COPY_FAR, WAY_COPY_NEAR, WAY_PUT, WAYS };

static int copy_row(struct scenario_run *run, const struct ways *ways, enum way way, const char *target)
{
    const struct copy_row *row = run->scenario->arg;
    struct larder_copy_options options = {.size = sizeof options,
                                          .glob = row->glob,
                                          .recursive = row->recursive,
                                          .maxdepth = row->maxdepth,
                                          .into = row->into,
                                          /* nginx answers 500 to two COPYs that make one directory at once */
                                          .jobs_max = strstr(run->place->name, "webdav") ? 1 : 0};
    struct end to = new_end(way == WAY_GET ? ways->disk : way == WAY_COPY_FAR ? ways->other : run->fs);
    char sources[4][1024], whole[1024];
    const char *paths[4];
    size_t count = 0;
    for (; row->sources[count]; count++) {
        bool put = way == WAY_PUT;
        snprintf(sources[count], 1024, "%s%s%s", put ? run->scratch : "", put ? "/" : "",
                 row->sources[count]);
        paths[count] = sources[count];
    }
    snprintf(whole, sizeof whole, "%s/t", to.dir);
    REQUIRE_IS(0, make_there(to.fs, whole));
    snprintf(whole, sizeof whole, "%s%s%s/%s", way == WAY_GET ? run->scratch : "", way == WAY_GET ? "/" : "",
             to.dir, target);
    if (way == WAY_GET)
        REQUIRE_IS(0, larder_get(ways->from, paths, count, whole, &options));
    else if (way == WAY_PUT)
        REQUIRE_IS(0, larder_put(paths, count, to.fs, whole, &options));
    else
        REQUIRE_IS(0, larder_copy(ways->from, paths, count, to.fs, whole, &options));
    return check_found(run, row, &to, target);
}

/* Copies take their time there: a row goes one way from a thread, and another from a task. */
static bool is_slow(const struct place *place)
{
    return place->options[0] || place->gaps || strstr(place->url, "s3:");
}

/* The first target every way, the others in turn; what each target means the plan's own test knows. */
static int copy_row_each_way(struct scenario_run *run, const struct ways *ways)
{
    const struct copy_row *row = run->scenario->arg;
    bool slow = is_slow(run->place);
    int way_count = ways->writes ? WAYS : WAY_COPY_NEAR, rc = 0;
    size_t turn = (size_t)(row - copy_rows);
    for (size_t i = 0; rc == 0 && row->targets[i] && !(slow && i > 0); i++)
        for (int way = 0; rc == 0 && way < way_count; way++)
            if ((i == 0 && !slow) || way == (int)((turn + run->task + i) % (size_t)way_count))
                rc = copy_row(run, ways, way, row->targets[i]);
    return rc;
}

/* The tree that a row is of: once in each place, and in a directory of the row's own on the disk. */
static int make_trees(struct scenario_run *run, struct ways *ways)
{
    const struct copy_row *row = run->scenario->arg;
    const char *const *tree = copy_row_tree(row);
    struct scenario_run shared = {.place = run->place, .dir = row->two ? "tree-two" : "tree-one"};
    for (size_t i = 0; tree[i]; i++)
        tree_write(run->scratch, tree[i], tree[i], strlen(tree[i]));
    REQUIRE_IS(0, larder_fs_at(run->put_top, shared.dir, NULL, &shared.put));
    ways->put = shared.put;
    REQUIRE_IS(0, larder_fs_at(run->top, shared.dir, NULL, &shared.fs));
    ways->from = shared.fs;
    int there = larder_exists(shared.fs, tree[0]);
    for (size_t i = 0; there == 0 && tree[i]; i++)
        REQUIRE_IS(0, put_text(&shared, tree[i], tree[i]));
    REQUIRE(there >= 0);
    return 0;
}

static int row_goes_where_it_should(struct scenario_run *run)
{
    struct ways ways = {.writes = larder_fs_capabilities(run->fs)->write};
    bool memory = strstr(run->place->url, "memory:");
    int rc = make_trees(run, &ways);
    if (rc == 0)
        rc = larder_open(NULL, run->scratch, NULL, &ways.disk, NULL);
    if (rc == 0)
        rc = larder_open(NULL, memory ? run->scratch : "memory://far", NULL, &ways.other, NULL);
    if (rc == 0)
        rc = copy_row_each_way(run, &ways);
    larder_fs_free(ways.from);
    larder_fs_free(ways.put);
    larder_fs_free(ways.disk);
    larder_fs_free(ways.other);
    return rc;
}

/* ---- rsync ---- */

struct sync_count {
    int copied, same, removed, failed;
};

static int count_sync(void *arg, const struct larder_copy_news *news)
{
    struct sync_count *count = arg;
    bool file = news->type == LARDER_FILE;
    count->copied += news->event == LARDER_COPY_DONE && file;
    count->same += news->event == LARDER_COPY_SAME;
    count->removed += news->event == LARDER_COPY_REMOVED && file;
    count->failed += news->status < 0;
    return 0;
}

static int sync_is(struct larder_fs *from, const char *source, struct larder_fs *to, const char *target,
                   struct sync_count expected)
{
    struct sync_count count = {0};
    struct larder_rsync_options options = {.size = sizeof options,
                                           .remove_extra = true,
                                           .told = count_sync,
                                           .arg = &count};
    int rc = larder_rsync(from, source, to, target, &options);
    if (rc < 0)
        return rc;
    return memcmp(&count, &expected, sizeof count) == 0 ? 0 : -EPROTO;
}

static int sync_to_place(struct scenario_run *run, struct larder_fs *disk)
{
    struct larder_entries entries;
    struct larder_find_options files = {.size = sizeof files};
    tree_write(run->scratch, "t/x/y", "1234", 4);
    REQUIRE_IS(0, sync_is(disk, "t", run->fs, "u", (struct sync_count){.copied = 4}));
    REQUIRE_IS(0, sync_is(disk, "t", run->fs, "u", (struct sync_count){.same = 4}));
    tree_write(run->scratch, "t/x/y", "12345", 5);
    REQUIRE_IS(0, larder_rm(disk, "t/d", true));
    REQUIRE_IS(0,
               sync_is(disk, "t", run->fs, "u", (struct sync_count){.copied = 1, .same = 1, .removed = 2}));
    REQUIRE_IS(0, larder_find(run->fs, "u", &files, &entries));
    bool same = names_are(&entries, "a x/y");
    larder_entries_free(&entries);
    REQUIRE(same);
    REQUIRE_IS(-ENOENT, sync_is(disk, "none", run->fs, "u", (struct sync_count){0}));
    REQUIRE_IS(1, larder_isfile(run->fs, "u/a"));
    return 0;
}

static int a_tree_becomes_like_another(struct scenario_run *run)
{
    struct larder_fs *disk;
    REQUIRE_IS(0, put_text(run, "s/a", "1"));
    REQUIRE_IS(0, put_text(run, "s/d/b c", "22"));
    REQUIRE_IS(0, put_text(run, "s/d/e/f", "333"));
    REQUIRE_IS(0, larder_open(NULL, run->scratch, NULL, &disk, NULL));
    int rc = sync_is(run->fs, "s", disk, "t", (struct sync_count){.copied = 3});
    if (rc == 0)
        rc = sync_is(run->fs, "s/", disk, "t", (struct sync_count){.same = 3});
    if (rc == 0 && larder_fs_capabilities(run->fs)->write)
        rc = sync_to_place(run, disk);
    larder_fs_free(disk);
    REQUIRE_IS(0, rc);
    return 0;
}

const struct scenario copy_scenarios[] = {
    {"get one file", 0, get_one_file},
    {"copy one file", NEED_WRITE | NEED_CREATE, copy_one_file},
    {"touch", NEED_WRITE, touch_makes_and_renews},
    {"lexists", 0, lexists_asks_for_a_name},
    {"expand_path", NEED_LIST, expand_path_finds_all_that_is_meant},
    {"a tree that is got twice", NEED_LIST, a_tree_got_twice_is_nested},
    {"pairs", 0, pairs_keep_to_each_other},
    {"rsync", NEED_LIST, a_tree_becomes_like_another},
    {"mv", NEED_WRITE | NEED_LIST, mv_moves_files_and_trees},
    {0},
};

const struct scenario *copy_row_scenarios(void)
{
    static struct scenario rows[128];
    for (size_t i = 0; copy_rows[i].name; i++)
        rows[i] = (struct scenario){copy_rows[i].name, NEED_LIST, row_goes_where_it_should, &copy_rows[i]};
    return rows;
}
