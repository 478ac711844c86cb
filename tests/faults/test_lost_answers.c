/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that change something and whose answer, or who themselves, are lost on the way: nginx behind a proxy that loses
 * them. What was done counts as done, what was not is done, and what nobody can find out is said to be so.
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "drop_proxy.h"
#include "server.h"
#include "tree.h"

static struct server *nginx;
static struct drop_proxy *proxy;
static struct larder_fs *dav, *plain;

static struct larder_fs *open_at(const char *scheme, const char *dir, const char *option)
{
    const char *const options[] = {option, NULL};
    struct larder_fs *fs;
    char url[128];
    snprintf(url, sizeof url, "%s%s/%s", scheme, drop_proxy_url(proxy) + strlen("http"), dir);
    assert_ok(larder_open(NULL, url, options, &fs, NULL));
    return fs;
}

static int setup(void **state)
{
    nginx = server_start("nginx", NULL);
    if (!nginx)
        return 0;
    tree_write(server_dir(nginx), "put/old", "old", 3);
    proxy = drop_proxy_start(server_url(nginx));
    dav = open_at("webdav", "dav", NULL);
    plain = open_at("http", "put", "http.write=true");
    return 0;
}

static int teardown(void **state)
{
    larder_fs_free(dav);
    larder_fs_free(plain);
    drop_proxy_stop(proxy);
    server_stop(nginx);
    return 0;
}

static void begin(const char *method, enum drop drop, unsigned count, void (*hook)(void))
{
    if (!nginx)
        skip();
    drop_proxy_lose(proxy, method, drop, count, hook);
}

static void assert_holds(const char *root, const char *path, const char *text)
{
    size_t size;
    char *data = tree_read(root, path, &size);
    assert_non_null(data);
    assert_string_equal(data, text);
    free(data);
}

/* ---- WebDAV ---- */

static void a_create_whose_move_was_not_answered_is_ours(void **state)
{
    begin("MOVE", DROP_ANSWER, 1, NULL);
    assert_ok(larder_pipe_file(dav, "ours", "bytes", 5, LARDER_CREATE));
    assert_int_equal(drop_proxy_count(proxy, "MOVE"), 1);
    assert_holds(server_dav_root(nginx), "ours", "bytes");
    assert_status(-EEXIST, larder_pipe_file(dav, "ours", "other", 5, LARDER_CREATE));
}

static void a_create_whose_move_never_came_is_moved_again(void **state)
{
    begin("MOVE", DROP_REQUEST, 1, NULL);
    assert_ok(larder_pipe_file(dav, "again", "bytes", 5, LARDER_CREATE));
    assert_int_equal(drop_proxy_count(proxy, "MOVE"), 2);
    assert_holds(server_dav_root(nginx), "again", "bytes");
}

static void put_another(void)
{
    tree_write(server_dav_root(nginx), "raced", "theirs", 6);
}

static void a_create_that_another_was_quicker_than_exists(void **state)
{
    begin("MOVE", DROP_REQUEST, 1, put_another);
    assert_status(-EEXIST, larder_pipe_file(dav, "raced", "ours", 4, LARDER_CREATE));
    assert_holds(server_dav_root(nginx), "raced", "theirs");
    struct larder_entries entries;
    assert_ok(larder_ls(dav, "", &entries));
    larder_entries_free(&entries);
}

static void a_put_without_an_answer_is_sent_again(void **state)
{
    begin("PUT", DROP_ANSWER, 1, NULL);
    assert_ok(larder_pipe_file(dav, "f", "bytes", 5, 0));
    assert_int_equal(drop_proxy_count(proxy, "PUT"), 2);
    assert_holds(server_dav_root(nginx), "f", "bytes");
}

static void a_removal_without_an_answer_is_done(void **state)
{
    begin("DELETE", DROP_ANSWER, 1, NULL);
    tree_write(server_dav_root(nginx), "gone", "x", 1);
    assert_ok(larder_rm_file(dav, "gone"));
    assert_false(tree_has(server_dav_root(nginx), "gone"));
    assert_int_equal(drop_proxy_count(proxy, "DELETE"), 1);
    drop_proxy_lose(proxy, "DELETE", DROP_REQUEST, 1, NULL);
    tree_write(server_dav_root(nginx), "gone", "x", 1);
    assert_ok(larder_rm_file(dav, "gone"));
    assert_false(tree_has(server_dav_root(nginx), "gone"));
    assert_int_equal(drop_proxy_count(proxy, "DELETE"), 2);
}

static void a_directory_without_an_answer_is_made(void **state)
{
    begin("MKCOL", DROP_ANSWER, 1, NULL);
    assert_ok(larder_mkdir(dav, "d1", false));
    assert_int_equal(drop_proxy_count(proxy, "MKCOL"), 1);
    drop_proxy_lose(proxy, "MKCOL", DROP_REQUEST, 1, NULL);
    assert_ok(larder_mkdir(dav, "d2", false));
    assert_int_equal(drop_proxy_count(proxy, "MKCOL"), 2);
    assert_true(tree_has(server_dav_root(nginx), "d2"));
}

static void lose_all(void)
{
    drop_proxy_lose(proxy, "PROPFIND", DROP_REQUEST, 1000, NULL);
}

static void what_nobody_can_find_out_is_not_known(void **state)
{
    begin("MOVE", DROP_ANSWER, 1, lose_all);
    assert_status(-ECONNRESET, larder_pipe_file(dav, "unknown", "x", 1, LARDER_CREATE));
    assert_non_null(strstr(larder_error(), "it is not known whether it was done"));
}

/* ---- plain HTTP ---- */

static void a_conditional_put_without_an_answer_is_ours_if_its_bytes_are_there(void **state)
{
    begin("PUT", DROP_ANSWER, 1, NULL);
    assert_ok(larder_pipe_file(plain, "new", "bytes", 5, LARDER_CREATE));
    assert_int_equal(drop_proxy_count(proxy, "PUT"), 1);
    drop_proxy_lose(proxy, "PUT", DROP_REQUEST, 1, NULL);
    assert_ok(larder_pipe_file(plain, "newer", "bytes", 5, LARDER_CREATE));
    assert_int_equal(drop_proxy_count(proxy, "PUT"), 2);
}

static void put_other_bytes(void)
{
    tree_write(server_dir(nginx), "put/contested", "theirs", 6);
}

static void a_conditional_put_is_not_ours_if_other_bytes_are_there(void **state)
{
    begin("PUT", DROP_REQUEST, 1, put_other_bytes);
    assert_status(-EEXIST, larder_pipe_file(plain, "contested", "ours", 4, LARDER_CREATE));
    assert_holds(server_dir(nginx), "put/contested", "theirs");
}

static void put_over(void)
{
    tree_write(server_dir(nginx), "put/old", "of another", 10);
}

static void a_replacement_without_an_answer_is_ours_or_stale(void **state)
{
    struct larder_info info;
    begin("PUT", DROP_ANSWER, 1, NULL);
    assert_ok(larder_info(plain, "old", &info));
    assert_ok(larder_replace_file(plain, "old", "of ours", 7, info.version, 0));
    assert_int_equal(drop_proxy_count(proxy, "PUT"), 1);
    larder_info_free(&info);
    assert_ok(larder_info(plain, "old", &info));
    drop_proxy_lose(proxy, "PUT", DROP_REQUEST, 1, put_over);
    assert_status(-ESTALE, larder_replace_file(plain, "old", "once more", 9, info.version, 0));
    assert_holds(server_dir(nginx), "put/old", "of another");
    larder_info_free(&info);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_create_whose_move_was_not_answered_is_ours),
        cmocka_unit_test(a_create_whose_move_never_came_is_moved_again),
        cmocka_unit_test(a_create_that_another_was_quicker_than_exists),
        cmocka_unit_test(a_put_without_an_answer_is_sent_again),
        cmocka_unit_test(a_removal_without_an_answer_is_done),
        cmocka_unit_test(a_directory_without_an_answer_is_made),
        cmocka_unit_test(what_nobody_can_find_out_is_not_known),
        cmocka_unit_test(a_conditional_put_without_an_answer_is_ours_if_its_bytes_are_there),
        cmocka_unit_test(a_conditional_put_is_not_ours_if_other_bytes_are_there),
        cmocka_unit_test(a_replacement_without_an_answer_is_ours_or_stale),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
