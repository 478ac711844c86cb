/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges through the cache: what is behind a bound that counts from the end is what the bytes' own answer says, and a
 * reader's failure is no reason to give it something else. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "fault_server.h"
#include "tmpdir.h"
#include "tree.h"

#define SEED       3
#define SMALL_SIZE INT64_C(200000)
#define LARGE_SIZE (INT64_C(30) << 20)

static struct fault_server *server;
static struct larder_fs *remote, *fs;
static struct larder_cache *cache;
static char *dir;

static int setup(void **state)
{
    char *option = NULL;
    dir = tmpdir_make();
    server = fault_server_start();
    fault_file_content(server, "/small", SMALL_SIZE, SEED, "\"v1\"");
    fault_file_content(server, "/large", LARGE_SIZE, SEED, "\"v1\"");
    assert_true(asprintf(&option, "dir=%s/cache", dir) > 0);
    assert_ok(larder_cache_open((const char *const[]){option, NULL}, &cache));
    assert_ok(larder_open(NULL, fault_server_url(server), (const char *const[]){"http.max_tries=1", NULL},
                          &remote, NULL));
    const char *const options[] = {"ttl=0", "mode=stale-if-error", NULL};
    assert_ok(larder_cache_fs(cache, remote, options, &fs));
    free(option);
    return 0;
}

static int teardown(void **state)
{
    larder_fs_free(fs);
    larder_fs_free(remote);
    larder_cache_free(cache);
    fault_server_stop(server);
    tmpdir_remove(dir);
    return 0;
}

/* What Python slices, when nothing of it is known and when all of it is. */
static void assert_slice(const char *path, int64_t start, int64_t end, int64_t first, int64_t count)
{
    assert_ok(larder_cache_clear(cache, NULL, ""));
    for (int again = 0; again < 2; again++) {
        struct larder_bytes bytes = {0};
        assert_ok(larder_cat_file(fs, path, &(struct larder_range){start, end}, &bytes));
        assert_int_equal(bytes.size, count);
        assert_true(content_matches(bytes.data, (size_t)count, SEED, (uint64_t)first));
        larder_bytes_free(&bytes);
        assert_ok(larder_cache_flush(cache));
    }
}

static void assert_slices(const char *path, int64_t size)
{
    assert_slice(path, -100, LARDER_TO_END, size - 100, 100);
    assert_slice(path, -100, -20, size - 100, 80);
    assert_slice(path, -100, size - 50, size - 100, 50);
    assert_slice(path, size - 100, -20, size - 100, 80);
    assert_slice(path, -size - 5, 7, 0, 7);
    assert_slice(path, 5, -size + 20, 5, 15);
    assert_slice(path, -size / 2, -size / 4, size / 2, size / 4);
}

static void a_head_that_lies_decides_nothing(void **state)
{
    static const char *const lies[] = {"Content-Length: 60\r\n", "Content-Length: 99999999\r\n",
                                       "Content-Length:\r\n"};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        fault_clear(server);
        fault_on(server, (struct fault_match){.method = "HEAD"}, (struct fault){.headers = lies[i]});
        assert_slices("small", SMALL_SIZE);
        assert_slices("large", LARGE_SIZE);
        assert_int_equal(fault_count(server, "HEAD", NULL), 0); /* nobody asks */
    }
}

static void bounds_from_the_end_are_right_without_ranges_and_sizes(void **state)
{
    static const unsigned flags[] = {FAULT_CHUNKED, FAULT_NO_RANGES, FAULT_NO_RANGES | FAULT_CHUNKED};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        fault_clear(server);
        fault_on(server, (struct fault_match){0}, (struct fault){.flags = flags[i]});
        assert_slices("small", SMALL_SIZE);
    }
}

static void bounds_from_the_end_need_no_strong_version(void **state)
{
    for (int weak = 0; weak < 2; weak++) {
        void *data = content_make(SMALL_SIZE, SEED);
        fault_file_set(server, "/small",
                       &(struct fault_file){.data = data, .size = SMALL_SIZE, .etag = weak ? "W/\"1\"" : ""});
        free(data);
        assert_slices("small", SMALL_SIZE);
    }
}

static void an_empty_file_has_no_last_bytes(void **state)
{
    struct larder_bytes bytes = {.size = 7};
    fault_file_text(server, "/empty", "");
    assert_ok(larder_cat_file(fs, "empty", &(struct larder_range){-100, -20}, &bytes));
    assert_int_equal(bytes.size, 0);
    larder_bytes_free(&bytes);
}

/* A buffer that is too small for what is there now: the smaller file of before would fit, and is not what was asked. */
static void a_readers_own_failure_is_no_reason_to_give_what_is_stale(void **state)
{
    static const struct larder_range ranges[] = {{0, 80}, {5, -2}, {-90, LARDER_TO_END}, {0, LARDER_TO_END}};
    static const unsigned flags[] = {0, FAULT_CHUNKED | FAULT_NO_RANGES};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        for (size_t j = 0; j < sizeof flags / sizeof flags[0]; j++) {
            char buffer[50], more[200];
            struct larder_bytes bytes;
            memset(more, 'x', sizeof more);
            fault_clear(server);
            fault_file_set(server, "/grows",
                           &(struct fault_file){.data = "ten bytes.", .size = 10, .etag = "W/\"1\""});
            assert_ok(larder_cat_file(fs, "grows", NULL, &bytes));
            larder_bytes_free(&bytes);
            assert_ok(larder_cache_flush(cache));
            fault_file_set(server, "/grows",
                           &(struct fault_file){.data = more, .size = sizeof more, .etag = "W/\"2\""});
            fault_on(server, (struct fault_match){0}, (struct fault){.flags = flags[j]});
            assert_status(-ENOSPC, (int)larder_cat_into(fs, "grows", &ranges[i], buffer, sizeof buffer));
        }
    /* But the place's failure is one. */
    struct larder_bytes bytes;
    fault_clear(server);
    assert_ok(larder_cat_file(fs, "small", NULL, &bytes));
    larder_bytes_free(&bytes);
    assert_ok(larder_cache_flush(cache));
    fault_on(server, (struct fault_match){0}, (struct fault){.status = 500});
    assert_ok(larder_cat_file(fs, "small", &(struct larder_range){-10, -5}, &bytes));
    assert_true(content_matches(bytes.data, 5, SEED, SMALL_SIZE - 10));
    larder_bytes_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_head_that_lies_decides_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(bounds_from_the_end_are_right_without_ranges_and_sizes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(bounds_from_the_end_need_no_strong_version, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_file_has_no_last_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_readers_own_failure_is_no_reason_to_give_what_is_stale, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
