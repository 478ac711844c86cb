/* SPDX-License-Identifier: Apache-2.0 */
/* Open files on servers that change, cut, or know no ranges: right bytes of one version, or an error. */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "fault_server.h"
#include "jump_clock.h"
#include "tree.h"

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SIZE         ((size_t)3 << 20)
#define OLD          1
#define NEW          2

static struct fault_server *server;
static struct larder_fs *fs;

static struct larder_file *open_file(const char *const options[])
{
    struct larder_file *file = NULL;
    fault_forget(server);
    assert_ok(larder_file_open(fs, "f", "r", options, &file));
    return file;
}

static void read_all(struct larder_file *file, size_t from, size_t step)
{
    char *buffer = malloc(step);
    for (size_t at = from; at < SIZE; at += step) {
        size_t count = SIZE - at < step ? SIZE - at : step;
        int64_t got = larder_file_read(file, buffer, step);
        if (got != (int64_t)count)
            fail_msg("%lld bytes at %zu: %s", (long long)got, at, larder_error());
        assert_true(content_matches(buffer, count, OLD, at));
    }
    assert_int_equal(larder_file_read(file, buffer, step), 0);
    free(buffer);
}

static void a_small_file_is_one_request(void **state)
{
    char buffer[100];
    fault_file_content(server, "/f", 100, OLD, "\"v1\"");
    struct larder_file *file = open_file(NULL);
    assert_int_equal(larder_file_size(file), 100);
    assert_int_equal(larder_file_read(file, buffer, 100), 100);
    assert_int_equal(larder_file_read(file, buffer, 100), 0);
    assert_int_equal(fault_count(server, NULL, NULL), 1);
    larder_file_close(file);
}

static void a_server_that_changes_the_file_is_noticed(void **state)
{
    static const char *const strategies[] = {"strategy=readahead", "strategy=block", "strategy=none"};
    char buffer[1000];
    for (size_t i = 0; i < 3; i++) {
        fault_file_content(server, "/f", SIZE, OLD, "\"v1\"");
        struct larder_file *file = open_file(OPTIONS(strategies[i], "block_size=64K"));
        assert_int_equal(larder_file_read(file, buffer, 1000), 1000);
        fault_file_content(server, "/f", SIZE, NEW, "\"v2\"");
        assert_int_equal(larder_file_seek(file, 2 << 20, SEEK_SET), 2 << 20);
        assert_status(-ESTALE, (int)larder_file_read(file, buffer, 1000));
        assert_int_equal(larder_file_tell(file), 2 << 20);
        larder_file_close(file);
    }
}

static void what_was_fetched_ahead_of_a_change_is_not_mixed_with_it(void **state)
{
    char *buffer = malloc(SIZE);
    fault_file_content(server, "/f", SIZE, OLD, "\"v1\"");
    struct larder_file *file = open_file(OPTIONS("block_size=64K", "prefetch=2"));
    size_t at = 0;
    int64_t got = larder_file_read(file, buffer, 50000); /* now the next windows are on their way */
    fault_file_content(server, "/f", SIZE, NEW, "\"v2\"");
    while (got > 0) {
        assert_true(content_matches(buffer, (size_t)got, OLD, at));
        at += (size_t)got;
        got = larder_file_read(file, buffer, 50000);
    }
    assert_status(-ESTALE, (int)got);
    larder_file_close(file);
    free(buffer);
}

static void a_fetch_ahead_that_is_cut_costs_nothing_but_a_request(void **state)
{
    fault_file_content(server, "/f", SIZE, OLD, "\"v1\"");
    struct larder_file *file = open_file(OPTIONS("block_size=64K", "window_max=256K"));
    fault_on(server, (struct fault_match){.method = "GET", .path = "/f", .count = 40},
             (struct fault){.end = FAULT_CLOSE, .flags = FAULT_NO_ANSWER});
    char buffer[50000];
    assert_int_equal(larder_file_read(file, buffer, 50000), 50000);
    int64_t got = larder_file_read(file, buffer, 50000);
    fault_clear(server);
    if (got < 0) { /* his own tries were cut as well, and nothing is lost */
        assert_int_equal(larder_file_tell(file), 50000);
        got = larder_file_read(file, buffer, 50000);
    }
    assert_int_equal(got, 50000);
    assert_true(content_matches(buffer, 50000, OLD, 50000));
    read_all(file, 100000, 33333);
    larder_file_close(file);
}

static void a_server_without_ranges_is_asked_for_all_of_it_once_more(void **state)
{
    static const unsigned flags[] = {FAULT_NO_RANGES, FAULT_NO_RANGES | FAULT_CHUNKED};
    for (size_t i = 0; i < 2; i++) {
        fault_file_content(server, "/f", SIZE, OLD, "\"v1\"");
        fault_on(server, (struct fault_match){.path = "/f"}, (struct fault){.flags = flags[i]});
        struct larder_file *file = open_file(NULL);
        read_all(file, 0, 10000);
        assert_int_equal(fault_count(server, NULL, NULL), 2); /* the first bytes, and the stream */
        assert_int_equal(larder_file_size(file), SIZE);
        assert_int_equal(larder_file_seek(file, 1000000, SEEK_SET), 1000000);
        read_all(file, 1000000, 100000);
        assert_int_equal(fault_count(server, NULL, NULL), 3);
        larder_file_close(file);
        fault_clear(server);
    }
}

static int setup(void **state)
{
    server = fault_server_start();
    jump_clock_start();
    return larder_open(NULL, fault_server_url(server), NULL, &fs, NULL);
}

static int teardown(void **state)
{
    larder_fs_free(fs);
    fault_server_stop(server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_file_is_one_request),
        cmocka_unit_test(a_server_that_changes_the_file_is_noticed),
        cmocka_unit_test(what_was_fetched_ahead_of_a_change_is_not_mixed_with_it),
        cmocka_unit_test(a_fetch_ahead_that_is_cut_costs_nothing_but_a_request),
        cmocka_unit_test(a_server_without_ranges_is_asked_for_all_of_it_once_more),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
