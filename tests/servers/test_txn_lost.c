/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that are lost while a transaction is committed, of real servers: each is looked up, so that the commit succeeds,
 * all is there as it was to be, and nothing is left at the place or in the journal.
 */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"
#include "larder/s3.h"

#include "drop_proxy.h"
#include "server.h"
#include "tmpdir.h"
#include "tree.h"

#define LARGE ((size_t)9 << 20) /* an upload of two parts on S3 */

static char *scratch, *large;
static struct server *nginx, *gateway;
static struct drop_proxy *proxy;
static struct larder_fs *fs, *view;
static struct larder_txn *txn;

static int start_servers(void **state)
{
    scratch = tmpdir_make();
    large = content_make(LARGE, 5);
    nginx = server_start("nginx", NULL);
    gateway = server_start("rgw", NULL);
    setenv("AWS_ACCESS_KEY_ID", "testkey", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "testsecret", 1);
    if (nginx)
        tree_write(server_dir(nginx), "put/old", "old", 3);
    return 0;
}

static int stop_servers(void **state)
{
    server_stop(nginx);
    server_stop(gateway);
    free(large);
    tmpdir_remove(scratch);
    return 0;
}

/* What is at the proxy's `path`; `scheme` NULL: S3's bucket of this name. */
static void open_behind_proxy(struct server *server, const char *scheme, const char *path)
{
    static const char *const writing[] = {"http.write=true", NULL};
    char url[300];
    if (!server)
        skip();
    proxy = drop_proxy_start(server_url(server));
    snprintf(url, sizeof url, "s3://%s", path);
    setenv("AWS_ENDPOINT_URL_S3", drop_proxy_url(proxy), 1);
    if (scheme)
        snprintf(url, sizeof url, "%s%s/%s", scheme, drop_proxy_url(proxy) + strlen("http"), path);
    assert_ok(larder_open(NULL, url, scheme && strcmp(scheme, "http") == 0 ? writing : NULL, &fs, NULL));
    if (!scheme)
        assert_ok(larder_makedirs(fs, "", true));
}

static int end(void **state)
{
    larder_fs_free(view);
    larder_txn_rollback(txn);
    larder_fs_free(fs);
    view = fs = NULL;
    txn = NULL;
    if (proxy)
        drop_proxy_stop(proxy);
    proxy = NULL;
    return 0;
}

static int count_one(void *arg, const struct larder_txn_info *info)
{
    ++*(int *)arg;
    return 0;
}

static void begin(void)
{
    char journal[300];
    snprintf(journal, sizeof journal, "journal=%s/journal", scratch);
    assert_ok(larder_txn_begin((const char *const[]){journal, NULL}, &txn));
    assert_ok(larder_txn_fs(txn, fs, &view));
}

static void expect(const char *path, const char *data, size_t size)
{
    struct larder_bytes bytes = {0};
    assert_ok(larder_cat_file(fs, path, NULL, &bytes));
    assert_int_equal(bytes.size, size);
    assert_memory_equal(bytes.data, data, size);
    larder_bytes_free(&bytes);
}

/* A file that is replaced, one that is made under a condition, one that is removed, and a large one under a condition. */
static void commit_while_lost(const char *what, unsigned count)
{
    char journal[300];
    int left = 0;
    assert_ok(larder_pipe_file(fs, "over", "old", 3, 0));
    assert_ok(larder_pipe_file(fs, "gone", "old", 3, 0));
    begin();
    assert_ok(larder_pipe_file(view, "over", "newer", 5, 0));
    assert_ok(larder_pipe_file(view, "made", "made", 4, LARDER_CREATE));
    assert_ok(larder_pipe_file(view, "large", large, LARGE, LARDER_CREATE));
    assert_ok(larder_rm_file(view, "gone"));
    drop_proxy_lose(proxy, what, DROP_ANSWER, count, NULL);
    assert_ok(larder_txn_commit(txn, NULL));
    txn = NULL;
    expect("over", "newer", 5);
    expect("made", "made", 4);
    expect("large", large, LARGE);
    assert_int_equal(larder_exists(fs, "gone"), 0);
    snprintf(journal, sizeof journal, "%s/journal", scratch);
    assert_ok(larder_txn_list(journal, count_one, &left));
    assert_int_equal(left, 0);
}

static void assert_no_temporaries(const char *dir)
{
    struct larder_entries entries;
    struct larder_fs *disk;
    assert_ok(larder_open(NULL, dir, NULL, &disk, NULL));
    assert_ok(larder_ls(disk, "", &entries));
    for (size_t i = 0; i < entries.count; i++)
        assert_null(strstr(entries.info[i].name, ".larder"));
    larder_entries_free(&entries);
    larder_fs_free(disk);
}

/* ---- each that may be lost ---- */

static void moves_over_webdav(void **state)
{
    open_behind_proxy(nginx, "webdav", "dav");
    commit_while_lost("MOVE", 3);
    assert_true(drop_proxy_count(proxy, "MOVE") == 3);
    assert_no_temporaries(server_dav_root(nginx));
}

static void uploads_over_webdav(void **state)
{
    open_behind_proxy(nginx, "webdav", "dav/puts");
    assert_ok(larder_makedirs(fs, "", true));
    commit_while_lost("PUT", 2);
}

static void puts_over_http(void **state)
{
    open_behind_proxy(nginx, "http", "put");
    commit_while_lost("PUT", 3);
}

static void puts_to_s3(void **state)
{
    open_behind_proxy(gateway, NULL, "lost-puts");
    commit_while_lost("PUT", 3);
}

static void the_end_of_an_upload_to_s3(void **state)
{
    struct larder_s3_uploads uploads = {0};
    open_behind_proxy(gateway, NULL, "lost-ends");
    commit_while_lost("POST uploadId=", 1);
    assert_ok(larder_s3_uploads(fs, "", &uploads));
    assert_int_equal(uploads.count, 0);
    larder_s3_uploads_free(&uploads);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_teardown(name, end)
    const struct CMUnitTest tests[] = {
        CASE(moves_over_webdav), CASE(uploads_over_webdav),        CASE(puts_over_http),
        CASE(puts_to_s3),        CASE(the_end_of_an_upload_to_s3),
    };
    return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
