/* SPDX-License-Identifier: Apache-2.0 */
/* Through the cache, of a server that has a page at /t and a directory at /t/: what is said of the one is not the other's. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "fault_server.h"
#include "tmpdir.h"

static struct fault_server *server;
static struct larder_fs *fs;
static struct larder_cache *cache;
static char *dir;

static int setup(void **state)
{
    const char *const options[] = {"ttl=60", NULL};
    struct larder_fs *remote;
    char *option = NULL;
    dir = tmpdir_make();
    server = fault_server_start();
    fault_file_text(server, "/t", "a page");
    fault_file_text(server, "/t/x", "1");
    assert_true(asprintf(&option, "dir=%s/cache", dir) > 0);
    assert_ok(larder_cache_open((const char *const[]){option, NULL}, &cache));
    assert_ok(larder_open(NULL, fault_server_url(server), NULL, &remote, NULL));
    assert_ok(larder_cache_fs(cache, remote, options, &fs));
    larder_fs_free(remote);
    free(option);
    return 0;
}

static int teardown(void **state)
{
    larder_fs_free(fs);
    larder_cache_free(cache);
    fault_server_stop(server);
    tmpdir_remove(dir);
    return 0;
}

static void assert_is(const char *path, enum larder_type type)
{
    struct larder_info info;
    assert_ok(larder_info(fs, path, &info));
    assert_int_equal(info.type, type);
    larder_info_free(&info);
}

static void assert_page(void)
{
    struct larder_bytes bytes;
    assert_ok(larder_cat_file(fs, "t", NULL, &bytes));
    assert_int_equal(bytes.size, 6);
    larder_bytes_free(&bytes);
}

/* Each is asked for once, whichever comes first; and a directory that was asked about is known. */
static void what_is_kept_of_a_directory_is_not_its_pages(void **state)
{
    assert_is("t/", LARDER_DIRECTORY);
    assert_ok(larder_cache_flush(cache));
    assert_is("t/", LARDER_DIRECTORY);
    assert_int_equal(fault_count(server, "HEAD", NULL), 1);
    assert_is("t", LARDER_FILE);
    assert_ok(larder_cache_flush(cache));
    assert_is("t", LARDER_FILE);
    assert_int_equal(fault_count(server, "HEAD", NULL), 2);
    assert_is("t/", LARDER_DIRECTORY);
    assert_ok(larder_cache_flush(cache));
    assert_page();
    assert_ok(larder_cache_flush(cache));
    assert_is("t/", LARDER_DIRECTORY); /* for which its bytes do not go */
    assert_ok(larder_cache_flush(cache));
    assert_page();
    assert_int_equal(fault_count(server, "GET", "/t"), 1);
}

/* ---- at once ---- */

struct asking {
    const char *path;
    enum larder_type type;
};

static int ask(void *arg)
{
    struct asking *asking = arg;
    struct larder_info info;
    int rc = larder_info(fs, asking->path, &info);
    if (rc < 0)
        return rc;
    asking->type = info.type;
    larder_info_free(&info);
    return 0;
}

static void who_asks_for_the_page_does_not_get_the_directory(void **state)
{
    static const char *const paths[] = {"t/", "t"};
    for (int first = 0; first < 2; first++) {
        struct asking asking[2] = {{.path = paths[first]}, {.path = paths[!first]}};
        struct larder_task *tasks[2];
        assert_ok(larder_cache_clear(cache, NULL, ""));
        fault_clear(server);
        fault_forget(server);
        fault_on(server, (struct fault_match){.count = 1},
                 (struct fault){.end = FAULT_STALL, .flags = FAULT_NO_ANSWER});
        assert_ok(larder_spawn(NULL, ask, &asking[0], NULL, NULL, &tasks[0]));
        fault_wait_stalled(server, 1);
        assert_ok(larder_spawn(NULL, ask, &asking[1], NULL, NULL, &tasks[1]));
        assert_ok(larder_join(tasks[1])); /* for which it need not wait */
        fault_release(server);
        assert_ok(larder_join(tasks[0]));
        assert_int_equal(asking[first].type, LARDER_DIRECTORY);
        assert_int_equal(asking[!first].type, LARDER_FILE);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_kept_of_a_directory_is_not_its_pages),
        TEST(who_asks_for_the_page_does_not_get_the_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
