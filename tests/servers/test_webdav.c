/* SPDX-License-Identifier: Apache-2.0 */
/* What servers of WebDAV differ in, beside the contract: each quirk of docs/http.md that could cost data. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "dav_servers.h"

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
        int lost = larder_pipe(dav_places[i], items, WRITERS, LARDER_CREATE, &batch);
        for (size_t w = 0; w < WRITERS; w++) {
            assert_true(items[w].status == 0 || items[w].status == -EEXIST);
            winner = items[w].status == 0 ? w : winner;
        }
        assert_true(winner < WRITERS);
        if (strcmp(dav_names[i], "apache") == 0)
            continue;
        assert_int_equal(lost, WRITERS - 1);
        assert_file(dav_places[i], "won", texts[winner]);
    }
}

/* lighttpd and rclone take the tree at a DELETE of its name. */
static void rm_file_of_a_directory_leaves_the_tree(void **state)
{
    each_place(i)
    {
        assert_ok(larder_pipe_file(dav_places[i], "tree/a/b", "x", 1, LARDER_PARENTS));
        assert_status(-EISDIR, larder_rm_file(dav_places[i], "tree"));
        assert_status(-ENOTEMPTY, larder_rmdir(dav_places[i], "tree"));
        assert_file(dav_places[i], "tree/a/b", "x");
    }
}

/* rclone and Apache remove what is at the target of a MOVE; lighttpd moves into it. */
static void nothing_takes_the_place_of_a_directory(void **state)
{
    each_place(i)
    {
        struct larder_fs *moving =
            dav_open("webdav", server_url(dav_servers[i]), "dav", "webdav.replace=move");
        assert_ok(larder_pipe_file(dav_places[i], "dir/kept", "x", 1, LARDER_PARENTS));
        assert_ok(larder_pipe_file(moving, "file", "one", 3, 0));
        assert_ok(larder_pipe_file(moving, "file", "two", 3, 0));
        assert_file(dav_places[i], "file", "two");
        assert_status(-EISDIR, larder_pipe_file(moving, "dir", "x", 1, 0));
        assert_status(-EISDIR, larder_cp_file(dav_places[i], "file", dav_places[i], "dir", 0, NULL, NULL));
        assert_status(-EEXIST, larder_pipe_file(dav_places[i], "dir", "x", 1, LARDER_CREATE));
        assert_file(dav_places[i], "dir/kept", "x");
        larder_fs_free(moving);
    }
}

static void what_is_being_written_is_hidden_and_goes_with_its_directory(void **state)
{
    each_place(i)
    {
        struct larder_entries entries;
        assert_ok(larder_mkdir(dav_places[i], "half", false));
        assert_ok(larder_pipe_file(dav_places[i], "half/.larder-0123456789abcdef", "x", 1, 0));
        assert_ok(larder_ls(dav_places[i], "half", &entries));
        assert_int_equal(entries.count, 0);
        larder_entries_free(&entries);
        assert_ok(larder_rmdir(dav_places[i], "half"));
        assert_status(0, larder_exists(dav_places[i], "half"));
    }
}

static void names_below_a_file_are_missing(void **state)
{
    each_place(i)
    {
        assert_ok(larder_pipe_file(dav_places[i], "flat", "x", 1, 0));
        assert_status(0, larder_exists(dav_places[i], "flat/a"));
        assert_status(0, larder_exists(dav_places[i], "flat/a/b/c"));
        assert_status(-ENOTDIR, larder_pipe_file(dav_places[i], "flat/a", "x", 1, LARDER_PARENTS));
    }
}

/* The command says the URL in front, but where the text has it already. */
static void a_refusal_names_the_place_as_it_was_opened(void **state)
{
    each_place(i)
    {
        assert_ok(larder_makedirs(dav_places[i], "named/a b", true));
        assert_status(-EEXIST, larder_mkdir(dav_places[i], "named/a b", false));
        assert_true(strncmp(larder_error(), "webdav://", 9) == 0 &&
                    strstr(larder_error(), "/named/a%20b: it exists"));
        assert_status(-ENOENT, larder_pipe_file(dav_places[i], "named/none/f", "x", 1, 0));
        assert_true(strncmp(larder_error(), "webdav://", 9) == 0 &&
                    strstr(larder_error(), "/named/none/f: there is no"));
    }
}

/* ---- requests ---- */

static void operations_take_the_requests_that_are_documented(void **state)
{
    struct server *server = dav_servers[DAV_LIGHTTPD];
    struct larder_fs *fs = dav_places[DAV_LIGHTTPD];
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
    if (!dav_servers[DAV_NGINX])
        skip();
    assert_ok(larder_pipe_file(dav_places[DAV_NGINX], "versioned", "x", 1, 0));
    for (int i = 0; i < 2; i++) {
        assert_ok(larder_info(dav_places[DAV_NGINX], "versioned", &info));
        assert_non_null(info.version);
        larder_info_free(&info);
        server_log_clear(dav_servers[DAV_NGINX]);
    }
    assert_ok(larder_info(dav_places[DAV_NGINX], "versioned", &info));
    larder_info_free(&info);
    assert_requests(dav_servers[DAV_NGINX], 1, (const char *const[]){"HEAD", NULL});
}

/* nginx's "location /dav/" is nothing without its slash, before and after HEAD has told a version. */
static void what_is_opened_is_a_directory_with_or_without_its_slash(void **state)
{
    struct larder_info info;
    each_place(i)
    {
        struct larder_fs *root =
            dav_open("webdav", server_url(dav_servers[i]), "", "skip_instance_cache=true");
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

/* ---- options, and TLS ---- */

static void writing_is_off_where_it_should_be(void **state)
{
    if (!dav_servers[DAV_NGINX])
        skip();
    struct larder_fs *plain = dav_open("http", server_url(dav_servers[DAV_NGINX]), "put", NULL);
    struct larder_fs *reading =
        dav_open("webdav", server_url(dav_servers[DAV_NGINX]), "dav", "webdav.write=false");
    assert_false(larder_fs_capabilities(plain)->write || larder_fs_capabilities(reading)->write);
    server_log_clear(dav_servers[DAV_NGINX]);
    assert_status(-ENOTSUP, larder_pipe_file(plain, "f", "x", 1, 0));
    assert_non_null(strstr(larder_error(), "http.write"));
    assert_status(-ENOTSUP, larder_rm_file(plain, "f"));
    assert_status(-EROFS, larder_pipe_file(reading, "f", "x", 1, 0));
    assert_status(-EROFS, larder_mkdir(reading, "d", false));
    char *log = server_log_text(dav_servers[DAV_NGINX]);
    assert_string_equal(log, "");
    free(log);
    larder_fs_free(plain);
    larder_fs_free(reading);
    /* A server that takes no PUT says so itself. */
    plain = dav_open("http", server_url(dav_servers[DAV_NGINX]), "", "http.write=true");
    assert_status(-ENOTSUP, larder_pipe_file(plain, "f", "x", 1, 0));
    assert_non_null(strstr(larder_error(), "405"));
    larder_fs_free(plain);
}

/* A PUT is all that plain HTTP has: what makes directories is the server, or nobody. */
static void parents_over_plain_http_are_the_servers(void **state)
{
    if (!dav_servers[DAV_NGINX])
        skip();
    const char *const options[] = {"http.write=true", "http.max_tries=1", NULL};
    struct larder_fs *place;
    assert_ok(larder_open(NULL, server_url(dav_servers[DAV_NGINX]), options, &place, NULL));
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
    if (!dav_servers[DAV_NGINX])
        skip();
    snprintf(option, sizeof option, "webdav.ca_file=%s", server_certificate(dav_servers[DAV_NGINX]));
    struct larder_fs *fs = dav_open("webdavs", server_tls_url(dav_servers[DAV_NGINX]), "dav", option);
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
        cmocka_unit_test(rm_file_of_a_directory_leaves_the_tree),
        cmocka_unit_test(nothing_takes_the_place_of_a_directory),
        cmocka_unit_test(what_is_being_written_is_hidden_and_goes_with_its_directory),
        cmocka_unit_test(names_below_a_file_are_missing),
        cmocka_unit_test(a_refusal_names_the_place_as_it_was_opened),
        cmocka_unit_test(operations_take_the_requests_that_are_documented),
        cmocka_unit_test(nginx_tells_versions_by_head),
        cmocka_unit_test(what_is_opened_is_a_directory_with_or_without_its_slash),
        cmocka_unit_test(writing_is_off_where_it_should_be),
        cmocka_unit_test(parents_over_plain_http_are_the_servers),
        cmocka_unit_test(webdavs_is_webdav_over_https),
    };
    return cmocka_run_group_tests(tests, dav_servers_start, dav_servers_stop);
}
