/* SPDX-License-Identifier: Apache-2.0 */
/* A large file in several requests at once: in order, of one version, within what was allowed. */
#include "test.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "base/seams.h"
#include "fault_server.h"
#include "jump_clock.h"
#include "read_content.h"
#include "tmpdir.h"
#include "tree.h"

#define PART 65536
#define SIZE (PART * 16 + 1000)
#define OLD  1
#define NEW  2

static struct fault_server *server;
static struct larder_fs *fs;

static struct larder_fs *open_with(const char *a, const char *b)
{
    const char *options[] = {"part_size=64K", a, b, NULL};
    struct larder_fs *opened;
    assert_ok(larder_open(NULL, fault_server_url(server), options, &opened, NULL));
    return opened;
}

static int setup(void **state)
{
    server = fault_server_start();
    fault_file_content(server, "/f", SIZE, OLD, "\"v1\"");
    fs = open_with("parts=4", NULL);
    return 0;
}

static int teardown(void **state)
{
    larder_fs_free(fs);
    fault_server_stop(server);
    return 0;
}

static int read_range(struct larder_fs *from, int64_t start, int64_t end, uint64_t seed)
{
    return read_content(from, &(struct larder_range){start, end}, seed, (size_t)start, (size_t)(end - start));
}

static int read_whole(struct larder_fs *from, uint64_t seed)
{
    return read_content(from, NULL, seed, 0, SIZE);
}

static void assert_asked(size_t count)
{
    assert_int_equal(fault_count(server, NULL, NULL), count);
    fault_forget(server);
}

/* ---- what is split ---- */

static void a_large_file_comes_in_parts_that_are_held_to_the_first_version(void **state)
{
    assert_ok(read_whole(fs, OLD));
    assert_null(fault_request_header(fault_request(server, 0), "Range"));
    for (size_t i = 1; i < 17; i++) {
        const struct fault_request *request = fault_request(server, i);
        assert_string_equal(fault_request_header(request, "If-Match"), "\"v1\"");
        assert_non_null(fault_request_header(request, "Range"));
    }
    assert_asked(17);
    assert_ok(read_range(fs, 1000, SIZE - 1000, OLD));
    assert_string_equal(fault_request_header(fault_request(server, 0), "Range"), "bytes=1000-1048575");
    assert_asked(16);
}

static void what_fits_into_a_part_is_one_request(void **state)
{
    fault_file_content(server, "/f", PART, OLD, "\"v1\"");
    assert_ok(read_range(fs, 0, PART, OLD));
    assert_asked(1);
    fault_file_content(server, "/f", SIZE, OLD, "\"v1\"");
    assert_ok(read_range(fs, 1000, 1000 + PART, OLD));
    assert_asked(1);
}

static void what_cannot_be_put_together_is_not_split(void **state)
{
    struct larder_fs *one = open_with("parts=1", NULL);
    assert_ok(read_whole(one, OLD));
    assert_asked(1);
    larder_fs_free(one);
    fault_file_content(server, "/f", SIZE, OLD, "W/\"v1\"");
    assert_ok(read_whole(fs, OLD));
    assert_asked(1);
    fault_file_content(server, "/f", SIZE, OLD, "\"v1\"");
    fault_on(server, (struct fault_match){0}, (struct fault){.flags = FAULT_NO_RANGES});
    assert_ok(read_whole(fs, OLD));
    assert_asked(1);
    fault_clear(server);
    fault_on(server, (struct fault_match){0}, (struct fault){.flags = FAULT_CHUNKED});
    assert_ok(read_whole(fs, OLD));
    assert_asked(1);
}

static void unasked_only_a_slow_connection_is_split(void **state)
{
    struct larder_fs *automatic = open_with("stall_timeout=60", NULL);
    fault_on(server, (struct fault_match){0}, (struct fault){.trickle_size = 8192, .trickle_ms = 2});
    assert_ok(read_whole(automatic, OLD));
    assert_string_equal(fault_request_header(fault_request(server, 1), "If-Match"), "\"v1\"");
    assert_asked(1 + 15); /* of the first answer two parts are taken */
    larder_fs_free(automatic);
}

static void one_connection_is_enough_to_come_to_an_end(void **state)
{
    struct larder_fs *narrow = open_with("parts=4", "max_connections=1");
    assert_ok(read_whole(narrow, OLD));
    assert_asked(17);
    larder_fs_free(narrow);
}

static void many_large_files_at_once_share_what_is_allowed(void **state)
{
    struct larder_item items[12];
    for (int i = 0; i < 12; i++)
        items[i] = (struct larder_item){.path = "f"};
    assert_ok(larder_cat(fs, items, 12, NULL));
    for (int i = 0; i < 12; i++) {
        assert_int_equal(items[i].bytes.size, SIZE);
        assert_true(content_matches(items[i].bytes.data, SIZE, OLD, 0));
        larder_bytes_free(&items[i].bytes);
    }
}

static atomic_uint buffers;

static void *count_buffers(void *memory, size_t size)
{
    buffers += size == PART;
    return realloc(memory, size);
}

/* They wait in memory of their own only for a reader who takes them piece by piece. */
static void parts_come_straight_into_memory_that_is_there(void **state)
{
    struct memory_seam whole = memory_seam;
    char *data = calloc(1, SIZE);
    assert_non_null(data);
    memory_seam.resize = count_buffers;
    assert_int_equal(larder_cat_into(fs, "f", NULL, data, SIZE), SIZE);
    assert_ok(read_whole(fs, OLD));
    assert_ok(read_range(fs, 1000, SIZE - 1000, OLD));
    memory_seam = whole;
    assert_int_equal(buffers, 0);
    assert_true(content_matches(data, SIZE, OLD, 0));
    assert_asked(17 + 17 + 16);
    free(data);
}

/* ---- versions ---- */

static void replace_file(void *arg, const struct fault_request *request)
{
    fault_file_content(server, "/f", SIZE, NEW, "\"v2\"");
}

static void a_file_that_changes_between_two_parts_is_read_anew(void **state)
{
    static const unsigned flags[] = {0, FAULT_NO_CONDITIONS};
    for (size_t i = 0; i < 2; i++) {
        for (unsigned at = 1; at < 17; at += 5) {
            fault_file_content(server, "/f", SIZE, OLD, "\"v1\"");
            fault_clear(server);
            fault_on(server, (struct fault_match){.skip = at, .count = 1},
                     (struct fault){.hook = replace_file, .flags = flags[i]});
            fault_on(server, (struct fault_match){0}, (struct fault){.flags = flags[i]});
            assert_ok(read_whole(fs, NEW));
        }
    }
}

struct taken {
    size_t size, most;
    bool right;
};

static int take_piece(void *arg, const void *data, size_t size)
{
    struct taken *taken = arg;
    taken->right = taken->right && content_matches(data, size, OLD, taken->size);
    taken->size += size;
    return taken->size > taken->most ? -EIO : 0;
}

/* Its reader has begun: there is no way back. */
static void a_stream_is_in_order_and_of_one_version(void **state)
{
    struct taken taken = {.right = true, .most = SIZE_MAX};
    fault_file_content(server, "/f", SIZE * 4, OLD, "\"v1\"");
    assert_true(larder_cat_to(fs, "f", NULL, take_piece, &taken) == SIZE * 4);
    assert_true(taken.right && taken.size == SIZE * 4);
    taken = (struct taken){.right = true, .most = SIZE_MAX};
    fault_on(server, (struct fault_match){.skip = 40, .count = 1}, (struct fault){.hook = replace_file});
    assert_status(-ESTALE, (int)larder_cat_to(fs, "f", NULL, take_piece, &taken));
    assert_true(taken.right && taken.size < SIZE * 4);
}

/* ---- what goes wrong ---- */

static void a_part_that_fails_is_tried_again(void **state)
{
    static const struct fault faults[] = {
        {.status = 503},
        {.end = FAULT_RESET, .at = 20000},
        {.headers = "Content-Range: bytes 0-65535/1049576\r\n"},
        {.flags = FAULT_GZIP},
        {.flags = FAULT_NO_RANGES},
        {.flags = FAULT_NO_ANSWER, .end = FAULT_CLOSE},
        {.headers = "ETag:\r\n", .status = 503},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        fault_clear(server);
        fault_on(server, (struct fault_match){.header = "Range", .skip = 3, .count = 2}, faults[i]);
        assert_ok(read_whole(fs, OLD));
    }
}

static void a_part_that_never_comes_fails_the_read(void **state)
{
    fault_on(server, (struct fault_match){.header = "Range", .skip = 5}, (struct fault){.status = 500});
    assert_status(-EIO, read_whole(fs, OLD));
    assert_non_null(strstr(larder_error(), "500 Internal Server Error, 5 tries in "));
    fault_clear(server);
    fault_on(server, (struct fault_match){.header = "Range", .skip = 5}, (struct fault){.status = 404});
    assert_status(-ENOENT, read_whole(fs, OLD));
}

static void a_reader_that_stops_stops_the_parts(void **state)
{
    struct taken taken = {.right = true, .most = (2 << 20)};
    fault_file_content(server, "/f", SIZE * 8, OLD, "\"v1\"");
    assert_status(-EIO, (int)larder_cat_to(fs, "f", NULL, take_piece, &taken));
    assert_true(fault_count(server, NULL, NULL) < 16 * 8);
}

static int read_task(void *arg)
{
    return read_whole(arg, OLD);
}

static void a_cancel_ends_all_parts(void **state)
{
    struct larder_task *task;
    fault_on(server, (struct fault_match){.header = "Range"}, (struct fault){.end = FAULT_STALL, .at = 1000});
    assert_ok(larder_spawn(NULL, read_task, fs, NULL, NULL, &task));
    fault_wait_stalled(server, 4);
    larder_cancel(task);
    assert_status(-ECANCELED, larder_join(task));
    fault_wait_stalled(server, 0);
}

static void parts_go_through_the_cache_and_to_the_disk(void **state)
{
    char *scratch = tmpdir_make(), *local = tmpdir_path(scratch, "copy"), url[128], dir[512];
    const char *options[] = {"http.part_size=64K", "http.parts=4", dir, NULL};
    struct larder_fs *cached;
    size_t size;
    assert_ok(larder_get_file(fs, "f", local, 0, NULL, NULL));
    char *data = tree_read(scratch, "copy", &size);
    assert_int_equal(size, SIZE);
    assert_true(content_matches(data, size, OLD, 0));
    free(data);
    snprintf(url, sizeof url, "cache::%s", fault_server_url(server));
    snprintf(dir, sizeof dir, "cache.dir=%s/cache", scratch);
    assert_ok(larder_open(NULL, url, options, &cached, NULL));
    fault_forget(server);
    assert_ok(read_whole(cached, OLD));
    assert_asked(17);
    larder_fs_free(cached);
    free(local);
    tmpdir_remove(scratch);
}

/* A read that holds the only connection while it waits for the write would wait for ever. */
static void a_copy_within_a_place_needs_one_connection(void **state)
{
    size_t size = 3 << 20;
    fault_file_content(server, "/large", size, OLD, "\"v1\"");
    fault_writable(server);
    struct larder_fs *narrow = open_with("write=true", "max_connections=1");
    assert_ok(larder_cp_file(narrow, "large", narrow, "copy", 0, NULL, NULL));
    struct larder_bytes bytes;
    assert_ok(larder_cat_file(narrow, "copy", NULL, &bytes));
    assert_int_equal(bytes.size, size);
    assert_true(content_matches(bytes.data, size, OLD, 0));
    larder_bytes_free(&bytes);
    larder_fs_free(narrow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_large_file_comes_in_parts_that_are_held_to_the_first_version),
        TEST(what_fits_into_a_part_is_one_request),
        TEST(what_cannot_be_put_together_is_not_split),
        TEST(unasked_only_a_slow_connection_is_split),
        TEST(one_connection_is_enough_to_come_to_an_end),
        TEST(many_large_files_at_once_share_what_is_allowed),
        TEST(parts_come_straight_into_memory_that_is_there),
        TEST(a_file_that_changes_between_two_parts_is_read_anew),
        TEST(a_stream_is_in_order_and_of_one_version),
        TEST(a_part_that_fails_is_tried_again),
        TEST(a_part_that_never_comes_fails_the_read),
        TEST(a_reader_that_stops_stops_the_parts),
        TEST(a_cancel_ends_all_parts),
        TEST(parts_go_through_the_cache_and_to_the_disk),
        TEST(a_copy_within_a_place_needs_one_connection),
    };
    jump_clock_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
