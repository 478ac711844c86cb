/* SPDX-License-Identifier: Apache-2.0 */
/* Trees at servers of WebDAV: how many requests they take, and that tasks which need one directory do not meet. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "larder.h"

#include "dav_servers.h"
#include "tmpdir.h"
#include "tree.h"

/* ---- trees ---- */

static void make_deep_tree(struct larder_fs *fs)
{
    static const char *const files[] = {"t/f", "t/a/f", "t/a/b/c/f", "t/a b/f", "t/z"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        assert_ok(larder_pipe_file(fs, files[i], "12345", 5, LARDER_PARENTS));
    assert_ok(larder_mkdir(fs, "t/empty", false));
}

static void assert_deep_tree(struct larder_fs *fs)
{
    static const char *const all[] = {"a",       "a b", "a b/f", "a/b", "a/b/c",
                                      "a/b/c/f", "a/f", "empty", "f",   "z"};
    struct larder_find_options options = {.size = sizeof options, .dirs = true};
    struct larder_entries entries;
    assert_ok(larder_find(fs, "t", &options, &entries));
    assert_int_equal(entries.count, sizeof all / sizeof *all);
    for (size_t i = 0; i < entries.count; i++)
        assert_string_equal(entries.info[i].name, all[i]);
    larder_entries_free(&entries);
    assert_int_equal(larder_du(fs, "t", NULL), 25);
    assert_ok(larder_glob(fs, "t/**/f", NULL, &entries));
    assert_int_equal(entries.count, 4);
    larder_entries_free(&entries);
}

static void trees_are_the_same_at_any_depth(void **state)
{
    each_place(i)
    {
        make_deep_tree(dav_places[i]);
        assert_deep_tree(dav_places[i]);
        assert_ok(larder_rm(dav_places[i], "t", true));
    }
}

/* Of an empty directory nobody knows whether the server looked into it. That another place of the server refuses such
 * requests, as /dav does here, says nothing of this one. */
static void a_tree_is_one_request_where_the_server_tells_it(void **state)
{
    struct larder_entries entries;
    if (!dav_servers[DAV_APACHE])
        skip();
    struct larder_fs *deep = dav_open("webdav", server_url(dav_servers[DAV_APACHE]), "dav-deep", NULL);
    make_deep_tree(dav_places[DAV_APACHE]);
    assert_deep_tree(dav_places[DAV_APACHE]);
    assert_deep_tree(deep);
    assert_ok(larder_rmdir(dav_places[DAV_APACHE], "t/empty"));
    server_log_clear(dav_servers[DAV_APACHE]);
    assert_ok(larder_find(deep, "t", NULL, &entries));
    assert_int_equal(entries.count, 5);
    larder_entries_free(&entries);
    assert_requests(dav_servers[DAV_APACHE], 1, (const char *const[]){"PROPFIND", NULL});
    assert_int_equal(larder_du(deep, "t/f", NULL), 5);
    assert_int_equal(larder_du(deep, "none", NULL), 0);
    larder_fs_free(deep);
    assert_ok(larder_rm(dav_places[DAV_APACHE], "t", true));
}

static struct larder_fs *open_cached(struct larder_cache *cache, struct larder_fs *fs, const char *option)
{
    const char *const options[] = {option, NULL};
    struct larder_fs *cached;
    assert_ok(larder_cache_fs(cache, fs, options, &cached));
    return cached;
}

/* Five files in five directories: so many requests, no more, and offline each directory is listed. */
static void mirror_counted(struct server *server, struct larder_fs *fs, size_t requests)
{
    static const char *const dirs[] = {"t", "t/a", "t/a/b", "t/a/b/c", "t/a b"};
    static const size_t counts[] = {4, 2, 1, 1, 1};
    char *dir = tmpdir_make();
    char *option = NULL;
    struct larder_cache *cache;
    struct larder_entries entries;
    struct larder_mirror_stats stats = {.size = sizeof stats};
    assert_true(asprintf(&option, "dir=%s/cache", dir) > 0);
    assert_ok(larder_cache_open((const char *const[]){option, NULL}, &cache));
    struct larder_fs *cached = open_cached(cache, fs, NULL),
                     *offline = open_cached(cache, fs, "mode=offline");
    server_log_clear(server);
    assert_ok(larder_mirror(cached, "t", NULL, &stats));
    assert_int_equal(stats.files, 5);
    assert_true(server_log_connections(server, requests) > 0);
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        assert_ok(larder_ls(offline, dirs[i], &entries));
        assert_int_equal(entries.count, counts[i]);
        larder_entries_free(&entries);
    }
    assert_file(offline, "t/a/b/c/f", "12345");
    larder_fs_free(cached);
    larder_fs_free(offline);
    larder_cache_free(cache);
    free(option);
    tmpdir_remove(dir);
}

static void a_mirror_asks_once_for_each_file_and_as_often_as_it_must_for_the_tree(void **state)
{
    if (!dav_servers[DAV_APACHE] || !dav_servers[DAV_LIGHTTPD])
        skip();
    for (size_t i = 1; i < 3; i++) {
        make_deep_tree(dav_places[i]);
        assert_ok(larder_rmdir(dav_places[i], "t/empty"));
    }
    struct larder_fs *deep = dav_open("webdav", server_url(dav_servers[DAV_APACHE]), "dav-deep", NULL);
    struct larder_fs *flat =
        dav_open("webdav", server_url(dav_servers[DAV_LIGHTTPD]), "dav", "webdav.user_agent=mirror");
    mirror_counted(dav_servers[DAV_APACHE], deep, 5 + 1);
    mirror_counted(dav_servers[DAV_LIGHTTPD], flat,
                   5 + 5 + 1); /* it was asked whether it tells all at once */
    larder_fs_free(deep);
    larder_fs_free(flat);
    assert_ok(larder_rm(dav_places[DAV_APACHE], "t", true));
    assert_ok(larder_rm(dav_places[DAV_LIGHTTPD], "t", true));
}

static void a_refused_depth_is_asked_for_once(void **state)
{
    struct server *server = dav_servers[DAV_LIGHTTPD];
    if (!server)
        skip();
    struct larder_fs *fs = dav_open("webdav", server_url(server), "dav", "webdav.user_agent=once");
    make_deep_tree(fs);
    server_log_clear(server);
    for (size_t walk = 0; walk < 3; walk++) {
        assert_int_equal(larder_du(fs, "t", NULL), 25);
        char *log = server_log_text(server);
        assert_int_equal(dav_log_count(log, "PROPFIND"), walk == 0 ? 7 : 6); /* of six directories */
        free(log);
        server_log_clear(server);
    }
    assert_ok(larder_rm(fs, "t", true));
    larder_fs_free(fs);
}

/* ---- directories that many need ---- */

/* nginx answers 500 to a COPY into a directory that is missing, and 409 to a MKCOL below one. */
static void copies_that_make_one_directory_do_not_meet(void **state)
{
    enum { PAIRS = 16, ROUNDS = 5 };
    static char paths[2][PAIRS][32];
    each_place(i)
    {
        for (unsigned round = 0; round < ROUNDS; round++) {
            struct larder_copy_options options = {.size = sizeof options, .create = round % 2};
            struct larder_copy_pair pairs[PAIRS];
            for (unsigned p = 0; p < PAIRS; p++) {
                snprintf(paths[0][p], sizeof paths[0][p], "met/%u", p);
                snprintf(paths[1][p], sizeof paths[1][p], "new%u/deep/er/%u", round, p);
                assert_ok(larder_pipe_file(dav_places[i], paths[0][p], "x", 1, LARDER_PARENTS));
                pairs[p] = (struct larder_copy_pair){.from = paths[0][p], .to = paths[1][p]};
            }
            assert_ok(larder_copy_pairs(dav_places[i], dav_places[i], pairs, PAIRS, &options));
            for (unsigned p = 0; p < PAIRS; p++)
                assert_file(dav_places[i], paths[1][p], "x");
        }
    }
}

/* Threads of Apache log a request when its answer has left. */
static void assert_logged(struct server *server, const char *method, size_t count)
{
    size_t logged = 0;
    for (int tries = 0; tries < 500 && logged < count; tries++) {
        char *log = server_log_text(server);
        logged = dav_log_count(log, method);
        free(log);
        usleep(logged < count ? 10000 : 0);
    }
    assert_int_equal(logged, count);
}

/* Each directory of a tree is asked for once, by one of the tasks that need it, and no file before it is there. */
static void a_tree_that_is_put_makes_each_directory_once(void **state)
{
    enum { FILES = 40 };
    static const char *const dirs[] = {"", "a/", "a/b/", "a/b/c/", "d e/"};
    const size_t dir_count = sizeof dirs / sizeof *dirs;
    struct larder_copy_options options = {.size = sizeof options, .recursive = true};
    char *dir = tmpdir_make(), *local = tmpdir_path(dir, "t"), path[64];
    const char *const sources[] = {local};
    for (size_t d = 0; d < dir_count; d++)
        for (int f = 0; f < FILES; f++) {
            snprintf(path, sizeof path, "t/%s%d", dirs[d], f);
            tree_write(dir, path, "x", 1);
        }
    for (size_t i = 0; i <= DAV_LIGHTTPD; i++) {
        if (!dav_servers[i])
            continue;
        server_log_clear(dav_servers[i]);
        assert_ok(larder_put(sources, 1, dav_places[i], "once", &options));
        assert_logged(dav_servers[i], "PUT", dir_count * FILES);
        assert_logged(dav_servers[i], "MKCOL", dir_count);
        assert_int_equal(larder_du(dav_places[i], "once", NULL), dir_count * FILES);
    }
    free(local);
    tmpdir_remove(dir);
}

/* Nobody knows beforehand that it is missing: whoever is refused first makes it, and those who were refused with him wait
 * for that. Above a directory that is missing one more asking is in vain. */
static void files_without_their_directory_make_it_once(void **state)
{
    enum { FILES = 48 };
    static char paths[FILES][32];
    struct larder_item items[FILES];
    for (int f = 0; f < FILES; f++) {
        snprintf(paths[f], sizeof paths[f], "gone/deep/%d", f);
        items[f] = (struct larder_item){.path = paths[f], .bytes = {.data = "x", .size = 1}};
    }
    for (size_t i = 0; i <= DAV_LIGHTTPD; i++) {
        if (!dav_servers[i])
            continue;
        server_log_clear(dav_servers[i]);
        assert_ok(larder_pipe(dav_places[i], items, FILES, LARDER_PARENTS, NULL));
        assert_logged(dav_servers[i], "MKCOL", 3);
        assert_int_equal(larder_du(dav_places[i], "gone", NULL), FILES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees_are_the_same_at_any_depth),
        cmocka_unit_test(a_tree_is_one_request_where_the_server_tells_it),
        cmocka_unit_test(a_mirror_asks_once_for_each_file_and_as_often_as_it_must_for_the_tree),
        cmocka_unit_test(a_refused_depth_is_asked_for_once),
        cmocka_unit_test(copies_that_make_one_directory_do_not_meet),
        cmocka_unit_test(a_tree_that_is_put_makes_each_directory_once),
        cmocka_unit_test(files_without_their_directory_make_it_once),
    };
    return cmocka_run_group_tests(tests, dav_servers_start, dav_servers_stop);
}
