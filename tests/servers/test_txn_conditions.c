/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditions in transactions at each kind of place: one that does not hold, of any way to change something, publishes
 * nothing, names the file and what was found, and may be mended.
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "larder.h"

#include "server.h"
#include "tmpdir.h"
#include "tree.h"
#include "txn_places.h"

#define NAME_SIZE 600

/* ---- a version ---- */

/* Apache gives no version to what was written within the last second: it is older then. */
static void make_old(const char *path)
{
    const struct timeval times[2] = {{.tv_sec = time(NULL) - 10}, {.tv_sec = time(NULL) - 10}};
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s/%u/%s", server_dav_root(server_of(place)), turn, path);
    assert_int_equal(utimes(name, times), 0);
}

static char *version_of(struct larder_fs *from, const char *path)
{
    struct larder_info info;
    if (place->server && strcmp(place->server, "apache") == 0)
        make_old(path);
    assert_ok(larder_info(from, path, &info));
    assert_non_null(info.version);
    char *version = strdup(info.version);
    larder_info_free(&info);
    return version;
}

static int by_pipe(const char *path)
{
    return larder_pipe_file(view, path, "ours", 4, 0);
}

static int by_map(const char *path)
{
    struct larder_map *map;
    assert_ok(larder_map_new(view, "", 0, &map));
    int rc = larder_map_set(map, path, "ours", 4);
    larder_map_free(map);
    return rc;
}

static int by_put(const char *path)
{
    char *local = tmpdir_path(scratch, "ours");
    tree_write(scratch, "ours", "ours", 4);
    int rc = larder_put_file(local, view, path, 0, NULL, NULL);
    free(local);
    return rc;
}

static int by_file(const char *path)
{
    struct larder_file *file;
    assert_ok(larder_file_open(view, path, "w", NULL, &file));
    assert_ok(larder_file_write(file, "ours", 4));
    return larder_file_close(file);
}

static int by_copy(const char *path)
{
    return larder_cp_file(view, "source", view, path, 0, NULL, NULL);
}

static int by_rm(const char *path)
{
    return larder_rm_file(view, path);
}

static int by_move(const char *path)
{
    return larder_mv(view, &path, 1, view, "moved-away", NULL);
}

static int by_nothing(const char *path)
{
    return 0;
}

static const struct {
    const char *path, *after; /* what is there when it is committed */
    int (*change)(const char *path);
} ways[] = {{"c/pipe", "ours", by_pipe}, {"c/map", "ours", by_map},       {"c/put", "ours", by_put},
            {"c/file", "ours", by_file}, {"c/copy", "ours", by_copy},     {"c/rm", NULL, by_rm},
            {"c/mv", NULL, by_move},     {"c/none", "theirs", by_nothing}};
enum { WAYS = sizeof ways / sizeof ways[0] };

/* The whole of its name, and what was found. */
static void assert_told(const char *path, const char *found)
{
    char name[64];
    snprintf(name, sizeof name, "/%u/%s: ", turn, path);
    if (!strstr(larder_error(), name) || !strstr(larder_error(), found))
        print_error("%s\n", larder_error());
    assert_non_null(strstr(larder_error(), name));
    assert_non_null(strstr(larder_error(), found));
}

/* The condition is said before the change, or after it. */
static void one_way_under_a_condition(size_t way, bool before)
{
    const char *path = ways[way].path;
    char *version = version_of(other, path), *theirs;
    begin();
    put(view, "beside", "ours");
    if (before)
        assert_ok(larder_txn_if_match(view, path, version));
    assert_ok(ways[way].change(path));
    if (!before)
        assert_ok(larder_txn_if_match(view, path, version));
    put(other, path, "theirs");
    assert_status(-ESTALE, commit());
    assert_told(path, version);
    assert_text(other, path, "theirs");
    assert_text(other, "beside", NULL);
    assert_status(-ESTALE, larder_txn_if_match(view, path, version));
    theirs = version_of(other, path);
    assert_ok(larder_txn_if_match(view, path, theirs)); /* now it may be */
    assert_ok(commit());
    assert_text(other, path, ways[way].after);
    assert_text(other, "beside", "ours");
    assert_ok(larder_rm_file(other, "beside"));
    larder_fs_free(view);
    view = NULL;
    free(version);
    free(theirs);
}

static void a_version_that_must_be_there(void)
{
    put(other, "source", "ours");
    for (size_t i = 0; i < WAYS; i++)
        put(other, ways[i].path, "first version");
    assert_text(fs, ways[0].path, "first version");
    for (size_t i = 0; i < WAYS; i++)
        one_way_under_a_condition(i, i % 2);
    assert_nothing_pending();
}

/* ---- nothing ---- */

static int create_by_pipe(const char *path)
{
    return larder_pipe_file(view, path, "ours", 4, LARDER_CREATE);
}

static int create_by_map(const char *path)
{
    struct larder_map *map;
    assert_ok(larder_map_new(view, "", 0, &map));
    int rc = larder_map_set_if_absent(map, path, "ours", 4);
    larder_map_free(map);
    return rc;
}

static int create_by_put(const char *path)
{
    char *local = tmpdir_path(scratch, "ours");
    tree_write(scratch, "ours", "ours", 4);
    int rc = larder_put_file(local, view, path, LARDER_CREATE, NULL, NULL);
    free(local);
    return rc;
}

static int create_by_file(const char *path)
{
    struct larder_file *file;
    assert_ok(larder_file_open(view, path, "x", NULL, &file));
    assert_ok(larder_file_write(file, "ours", 4));
    return larder_file_close(file);
}

static int create_later(const char *path)
{
    assert_ok(by_pipe(path));
    return larder_txn_if_absent(view, path);
}

static void nothing_that_must_be_there(void)
{
    static int (*const creations[])(const char *path) = {create_by_pipe, create_by_map, create_by_put,
                                                         create_by_file, create_later};
    for (size_t i = 0; i < sizeof creations / sizeof creations[0]; i++) {
        char path[32];
        snprintf(path, sizeof path, "made-%zu", i);
        begin();
        put(view, "beside", "ours");
        assert_ok(creations[i](path));
        put(other, path, "theirs");
        assert_status(-EEXIST, commit());
        assert_told(path, "6 bytes");
        assert_text(other, path, "theirs");
        assert_text(other, "beside", NULL);
        assert_ok(larder_rm_file(other, path));
        assert_ok(commit());
        assert_text(other, path, "ours");
        assert_ok(larder_rm_file(other, "beside"));
        larder_fs_free(view);
        view = NULL;
    }
    assert_nothing_pending();
}

static void a_condition_is_of_a_view(void)
{
    put(other, "a", "a");
    assert_status(-EINVAL, larder_txn_if_absent(fs, "a"));
    begin();
    assert_status(-EINVAL,
                  larder_txn_if_match(view, "a", NULL)); /* a version that nobody knows is no absence */
    assert_status(-EEXIST, larder_txn_if_absent(view, "a"));
    assert_told("a", "1 bytes");
    assert_status(-ESTALE, larder_txn_if_match(view, "a", "another"));
    assert_status(-ESTALE, larder_txn_if_match(view, "none", "another"));
    assert_ok(larder_txn_if_absent(view, "none"));
    assert_ok(commit()); /* of nothing but conditions */
    assert_text(other, "a", "a");
}

/* ---- more than one word ---- */

/* Somebody else writes, or removes with `text` NULL, what was to be as it was; the version there then, freed with free. */
static char *others_change(const char *path, const char *text)
{
    if (!text) {
        assert_ok(larder_rm_file(other, path));
        return NULL;
    }
    put(other, path, text);
    return version_of(other, path);
}

/* What was said first is not dropped in silence by what a write says. */
static void a_write_that_says_otherwise(void)
{
    put(other, "a", "first version");
    put(other, "b", "first version");
    char *first = version_of(other, "a"), *second = version_of(other, "b");
    begin();
    put(view, "beside", "ours");
    assert_ok(larder_txn_if_match(view, "a", first));
    assert_ok(larder_txn_if_match(view, "b", second));
    assert_ok(larder_txn_if_absent(view, "none"));
    char *theirs = others_change("a", "theirs"), *made = others_change("none", "theirs");
    others_change("b", NULL);
    assert_status(-ESTALE, larder_replace_file(view, "a", "ours", 4, theirs, 0));
    assert_told("a", first);
    assert_status(-ESTALE, larder_pipe_file(view, "b", "ours", 4, LARDER_CREATE));
    assert_told("b", "gone");
    assert_status(-EEXIST, larder_replace_file(view, "none", "ours", 4, made, 0));
    assert_told("none", made);
    int rc = commit(); /* what is said still counts; which of them is found first is open */
    assert_true(rc == -ESTALE || rc == -EEXIST);
    assert_ok(larder_txn_if_match(view, "a", theirs));
    assert_ok(larder_txn_if_absent(view, "b"));
    assert_ok(larder_txn_if_match(view, "none", made));
    assert_ok(larder_replace_file(view, "a", "ours", 4, theirs, 0));
    assert_ok(larder_pipe_file(view, "b", "ours", 4, LARDER_CREATE));
    assert_ok(larder_replace_file(view, "none", "ours", 4, made, 0));
    assert_ok(commit());
    for (int i = 0; i < 3; i++)
        assert_text(other, (const char *[]){"a", "b", "none"}[i], "ours");
    free(first);
    free(second);
    free(theirs);
    free(made);
}

/* A touch is no word of what is there. */
static void a_condition_after_a_touch(void)
{
    if (!larder_fs_capabilities(fs)->touch)
        return;
    put(other, "a", "first version");
    begin();
    assert_ok(larder_touch(view, "a", false));
    char *version = version_of(view, "a");
    assert_ok(larder_replace_file(view, "a", "ours", 4, version, 0));
    put(other, "a", "theirs");
    assert_status(-ESTALE, commit());
    assert_text(other, "a", "theirs");
    free(version);
}

int main(void)
{
    static const struct places_scenario scenarios[] = {
        {"a version that must be there", a_version_that_must_be_there},
        {"nothing that must be there", nothing_that_must_be_there},
        {"a condition is of a view", a_condition_is_of_a_view},
        {"a write that says otherwise", a_write_that_says_otherwise},
        {"a condition after a touch", a_condition_after_a_touch},
    };
    return places_run(scenarios, sizeof scenarios / sizeof scenarios[0]);
}
