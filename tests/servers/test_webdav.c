/* SPDX-License-Identifier: Apache-2.0 */
/* What servers of WebDAV differ in, beside the contract: each quirk of docs/http.md that could cost data. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "server.h"
#include "tmpdir.h"
#include "tree.h"

#define COUNT 4
static const char *const names[COUNT] = {"nginx", "apache", "lighttpd", "rclone-webdav"};
static struct server *servers[COUNT];
static struct larder_fs *places[COUNT];

static struct larder_fs *open_at(const char *scheme, const char *base, const char *dir, const char *option)
{
    const char *const options[] = {option, NULL};
    struct larder_fs *fs;
    char url[128];
    snprintf(url, sizeof url, "%s%s/%s", scheme, strchr(base, ':'), dir);
    assert_ok(larder_open(NULL, url, options, &fs, NULL));
    return fs;
}

static int setup(void **state)
{
    for (size_t i = 0; i < COUNT; i++) {
        servers[i] = server_start(names[i], NULL);
        if (servers[i])
            places[i] = open_at("webdav", server_url(servers[i]), "dav", NULL);
    }
    return 0;
}

static int teardown(void **state)
{
    for (size_t i = 0; i < COUNT; i++) {
        larder_fs_free(places[i]);
        server_stop(servers[i]);
    }
    return 0;
}

#define each_place(i)                  \
    for (size_t i = 0; i < COUNT; i++) \
        if (places[i])

static void assert_file(struct larder_fs *fs, const char *path, const char *text)
{
    struct larder_bytes bytes;
    assert_ok(larder_cat_file(fs, path, NULL, &bytes));
    assert_int_equal(bytes.size, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.size);
    larder_bytes_free(&bytes);
}

/* Apache looks and then renames: docs/http.md. */
static void of_many_creators_one_wins(void **state)
{
    enum { WRITERS = 16 };
    char texts[WRITERS][8];
    each_place(i)
    {
        struct larder_item items[WRITERS];
        struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_RETURN};
        size_t winner = WRITERS;
        for (size_t w = 0; w < WRITERS; w++) {
            snprintf(texts[w], sizeof texts[w], "by %zu", w);
            items[w] =
                (struct larder_item){.path = "won", .bytes = {.data = texts[w], .size = strlen(texts[w])}};
        }
        int lost = larder_pipe(places[i], items, WRITERS, LARDER_CREATE, &batch);
        for (size_t w = 0; w < WRITERS; w++) {
            assert_true(items[w].status == 0 || items[w].status == -EEXIST);
            winner = items[w].status == 0 ? w : winner;
        }
        assert_true(winner < WRITERS);
        if (strcmp(names[i], "apache") == 0)
            continue;
        assert_int_equal(lost, WRITERS - 1);
        assert_file(places[i], "won", texts[winner]);
    }
}

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
                assert_ok(larder_pipe_file(places[i], paths[0][p], "x", 1, LARDER_PARENTS));
                pairs[p] = (struct larder_copy_pair){.from = paths[0][p], .to = paths[1][p]};
            }
            assert_ok(larder_copy_pairs(places[i], places[i], pairs, PAIRS, &options));
            for (unsigned p = 0; p < PAIRS; p++)
                assert_file(places[i], paths[1][p], "x");
        }
    }
}

/* lighttpd and rclone take the tree at a DELETE of its name. */
static void rm_file_of_a_directory_leaves_the_tree(void **state)
{
    each_place(i)
    {
        assert_ok(larder_pipe_file(places[i], "tree/a/b", "x", 1, LARDER_PARENTS));
        assert_status(-EISDIR, larder_rm_file(places[i], "tree"));
        assert_status(-ENOTEMPTY, larder_rmdir(places[i], "tree"));
        assert_file(places[i], "tree/a/b", "x");
    }
}

/* rclone and Apache remove what is at the target of a MOVE; lighttpd moves into it. */
static void nothing_takes_the_place_of_a_directory(void **state)
{
    each_place(i)
    {
        struct larder_fs *moving = open_at("webdav", server_url(servers[i]), "dav", "webdav.replace=move");
        assert_ok(larder_pipe_file(places[i], "dir/kept", "x", 1, LARDER_PARENTS));
        assert_ok(larder_pipe_file(moving, "file", "one", 3, 0));
        assert_ok(larder_pipe_file(moving, "file", "two", 3, 0));
        assert_file(places[i], "file", "two");
        assert_status(-EISDIR, larder_pipe_file(moving, "dir", "x", 1, 0));
        assert_status(-EISDIR, larder_cp_file(places[i], "file", places[i], "dir", 0, NULL, NULL));
        assert_status(-EEXIST, larder_pipe_file(places[i], "dir", "x", 1, LARDER_CREATE));
        assert_file(places[i], "dir/kept", "x");
        larder_fs_free(moving);
    }
}

static void what_is_being_written_is_hidden_and_goes_with_its_directory(void **state)
{
    each_place(i)
    {
        struct larder_entries entries;
        assert_ok(larder_mkdir(places[i], "half", false));
        assert_ok(larder_pipe_file(places[i], "half/.larder-0123456789abcdef", "x", 1, 0));
        assert_ok(larder_ls(places[i], "half", &entries));
        assert_int_equal(entries.count, 0);
        larder_entries_free(&entries);
        assert_ok(larder_rmdir(places[i], "half"));
        assert_status(0, larder_exists(places[i], "half"));
    }
}

static void names_below_a_file_are_missing(void **state)
{
    each_place(i)
    {
        assert_ok(larder_pipe_file(places[i], "flat", "x", 1, 0));
        assert_status(0, larder_exists(places[i], "flat/a"));
        assert_status(0, larder_exists(places[i], "flat/a/b/c"));
        assert_status(-ENOTDIR, larder_pipe_file(places[i], "flat/a", "x", 1, LARDER_PARENTS));
    }
}

/* ---- requests ---- */

static size_t count_method(const char *log, const char *method)
{
    char word[16];
    size_t count = 0;
    snprintf(word, sizeof word, " %s ", method);
    for (const char *at = log; (at = strstr(at, word)); at++)
        count++;
    return count;
}

static void assert_requests(struct server *server, size_t requests, const char *const methods[])
{
    assert_true(server_log_connections(server, requests) > 0);
    char *log = server_log_text(server);
    for (size_t i = 0; methods[i]; i++)
        assert_int_equal(count_method(log, methods[i]), 1);
    free(log);
    server_log_clear(server);
}

static void operations_take_the_requests_that_are_documented(void **state)
{
    struct server *server = servers[2];
    struct larder_fs *fs = places[2];
    struct larder_entries entries;
    struct larder_info info;
    if (!server)
        skip();
    assert_ok(larder_mkdir(fs, "few", false));
    server_log_clear(server);
    assert_ok(larder_pipe_file(fs, "few/f", "bytes", 5, 0));
    assert_requests(server, 1, (const char *const[]){"PUT", NULL});
    assert_ok(larder_info(fs, "few/f", &info));
    larder_info_free(&info);
    assert_requests(server, 1, (const char *const[]){"PROPFIND", NULL});
    assert_file(fs, "few/f", "bytes");
    assert_requests(server, 1, (const char *const[]){"GET", NULL});
    assert_ok(larder_ls(fs, "few", &entries));
    larder_entries_free(&entries);
    assert_requests(server, 1, (const char *const[]){"PROPFIND", NULL});
    assert_ok(larder_pipe_file(fs, "few/g", "bytes", 5, LARDER_CREATE));
    assert_requests(server, 3, (const char *const[]){"PROPFIND", "PUT", "MOVE", NULL});
    assert_ok(larder_rm_file(fs, "few/g"));
    assert_requests(server, 2, (const char *const[]){"PROPFIND", "DELETE", NULL});
}

static void nginx_tells_versions_by_head(void **state)
{
    struct larder_info info;
    if (!servers[0])
        skip();
    assert_ok(larder_pipe_file(places[0], "versioned", "x", 1, 0));
    for (int i = 0; i < 2; i++) {
        assert_ok(larder_info(places[0], "versioned", &info));
        assert_non_null(info.version);
        larder_info_free(&info);
        server_log_clear(servers[0]);
    }
    assert_ok(larder_info(places[0], "versioned", &info));
    larder_info_free(&info);
    assert_requests(servers[0], 1, (const char *const[]){"HEAD", NULL});
}

/* nginx's "location /dav/" is nothing without its slash, before and after HEAD has told a version. */
static void what_is_opened_is_a_directory_with_or_without_its_slash(void **state)
{
    struct larder_info info;
    each_place(i)
    {
        struct larder_fs *root = open_at("webdav", server_url(servers[i]), "", "skip_instance_cache=true");
        for (int round = 0; round < 2; round++) {
            assert_int_equal(larder_isdir(root, "dav"), 1);
            assert_ok(larder_info(root, "dav/", &info));
            assert_int_equal(info.type, LARDER_DIRECTORY);
            larder_info_free(&info);
            assert_ok(larder_pipe_file(root, "dav/versioned", "x", 1, 0));
            assert_ok(larder_info(root, "dav/versioned", &info));
            larder_info_free(&info);
            assert_int_equal(larder_exists(root, "dav/none"), 0);
        }
        assert_true(larder_exists(root, "no-dav-here") <= 0);
        larder_fs_free(root);
    }
}

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
        make_deep_tree(places[i]);
        assert_deep_tree(places[i]);
        assert_ok(larder_rm(places[i], "t", true));
    }
}

/* Of an empty directory nobody knows whether the server looked into it. That another place of the server refuses such
 * requests, as /dav does here, says nothing of this one. */
static void a_tree_is_one_request_where_the_server_tells_it(void **state)
{
    struct larder_entries entries;
    if (!servers[1])
        skip();
    struct larder_fs *deep = open_at("webdav", server_url(servers[1]), "dav-deep", NULL);
    make_deep_tree(places[1]);
    assert_deep_tree(places[1]);
    assert_deep_tree(deep);
    assert_ok(larder_rmdir(places[1], "t/empty"));
    server_log_clear(servers[1]);
    assert_ok(larder_find(deep, "t", NULL, &entries));
    assert_int_equal(entries.count, 5);
    larder_entries_free(&entries);
    assert_requests(servers[1], 1, (const char *const[]){"PROPFIND", NULL});
    assert_int_equal(larder_du(deep, "t/f", NULL), 5);
    assert_int_equal(larder_du(deep, "none", NULL), 0);
    larder_fs_free(deep);
    assert_ok(larder_rm(places[1], "t", true));
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
    if (!servers[1] || !servers[2])
        skip();
    for (size_t i = 1; i < 3; i++) {
        make_deep_tree(places[i]);
        assert_ok(larder_rmdir(places[i], "t/empty"));
    }
    struct larder_fs *deep = open_at("webdav", server_url(servers[1]), "dav-deep", NULL);
    struct larder_fs *flat = open_at("webdav", server_url(servers[2]), "dav", "webdav.user_agent=mirror");
    mirror_counted(servers[1], deep, 5 + 1);
    mirror_counted(servers[2], flat, 5 + 5 + 1); /* it was asked whether it tells all at once */
    larder_fs_free(deep);
    larder_fs_free(flat);
    assert_ok(larder_rm(places[1], "t", true));
    assert_ok(larder_rm(places[2], "t", true));
}

static void a_refused_depth_is_asked_for_once(void **state)
{
    struct server *server = servers[2];
    if (!server)
        skip();
    struct larder_fs *fs = open_at("webdav", server_url(server), "dav", "webdav.user_agent=once");
    make_deep_tree(fs);
    server_log_clear(server);
    for (size_t walk = 0; walk < 3; walk++) {
        assert_int_equal(larder_du(fs, "t", NULL), 25);
        char *log = server_log_text(server);
        assert_int_equal(count_method(log, "PROPFIND"), walk == 0 ? 7 : 6); /* of six directories */
        free(log);
        server_log_clear(server);
    }
    assert_ok(larder_rm(fs, "t", true));
    larder_fs_free(fs);
}

/* ---- options, and TLS ---- */

static void writing_is_off_where_it_should_be(void **state)
{
    if (!servers[0])
        skip();
    struct larder_fs *plain = open_at("http", server_url(servers[0]), "put", NULL);
    struct larder_fs *reading = open_at("webdav", server_url(servers[0]), "dav", "webdav.write=false");
    assert_false(larder_fs_capabilities(plain)->write || larder_fs_capabilities(reading)->write);
    server_log_clear(servers[0]);
    assert_status(-ENOTSUP, larder_pipe_file(plain, "f", "x", 1, 0));
    assert_non_null(strstr(larder_error(), "http.write"));
    assert_status(-ENOTSUP, larder_rm_file(plain, "f"));
    assert_status(-EROFS, larder_pipe_file(reading, "f", "x", 1, 0));
    assert_status(-EROFS, larder_mkdir(reading, "d", false));
    char *log = server_log_text(servers[0]);
    assert_string_equal(log, "");
    free(log);
    larder_fs_free(plain);
    larder_fs_free(reading);
    /* A server that takes no PUT says so itself. */
    plain = open_at("http", server_url(servers[0]), "", "http.write=true");
    assert_status(-ENOTSUP, larder_pipe_file(plain, "f", "x", 1, 0));
    assert_non_null(strstr(larder_error(), "405"));
    larder_fs_free(plain);
}

/* A PUT is all that plain HTTP has: what makes directories is the server, or nobody. */
static void parents_over_plain_http_are_the_servers(void **state)
{
    if (!servers[0])
        skip();
    const char *const options[] = {"http.write=true", "http.max_tries=1", NULL};
    struct larder_fs *place;
    assert_ok(larder_open(NULL, server_url(servers[0]), options, &place, NULL));
    assert_false(larder_fs_capabilities(place)->parents_required);
    assert_ok(larder_pipe_file(place, "put/made/by/f", "x", 1, 0));
    assert_ok(larder_pipe_file(place, "flat/made/by/g", "x", 1, LARDER_PARENTS));
    assert_status(-EIO, larder_pipe_file(place, "flat/none/f", "x", 1, LARDER_PARENTS));
    assert_non_null(strstr(larder_error(), "500"));
    larder_fs_free(place);
}

static void webdavs_is_webdav_over_https(void **state)
{
    char option[512];
    if (!servers[0])
        skip();
    snprintf(option, sizeof option, "webdav.ca_file=%s", server_certificate(servers[0]));
    struct larder_fs *fs = open_at("webdavs", server_tls_url(servers[0]), "dav", option);
    char *url;
    assert_ok(larder_pipe_file(fs, "by tls", "secret", 6, LARDER_CREATE));
    assert_file(fs, "by tls", "secret");
    assert_ok(larder_fs_url(fs, "by tls", &url));
    assert_true(strncmp(url, "webdavs://127.0.0.1:", 20) == 0 && strstr(url, "/dav/by%20tls"));
    larder_free(url);
    larder_fs_free(fs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_many_creators_one_wins),
        cmocka_unit_test(copies_that_make_one_directory_do_not_meet),
        cmocka_unit_test(rm_file_of_a_directory_leaves_the_tree),
        cmocka_unit_test(nothing_takes_the_place_of_a_directory),
        cmocka_unit_test(what_is_being_written_is_hidden_and_goes_with_its_directory),
        cmocka_unit_test(names_below_a_file_are_missing),
        cmocka_unit_test(operations_take_the_requests_that_are_documented),
        cmocka_unit_test(nginx_tells_versions_by_head),
        cmocka_unit_test(what_is_opened_is_a_directory_with_or_without_its_slash),
        cmocka_unit_test(trees_are_the_same_at_any_depth),
        cmocka_unit_test(a_tree_is_one_request_where_the_server_tells_it),
        cmocka_unit_test(a_mirror_asks_once_for_each_file_and_as_often_as_it_must_for_the_tree),
        cmocka_unit_test(a_refused_depth_is_asked_for_once),
        cmocka_unit_test(writing_is_off_where_it_should_be),
        cmocka_unit_test(parents_over_plain_http_are_the_servers),
        cmocka_unit_test(webdavs_is_webdav_over_https),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
