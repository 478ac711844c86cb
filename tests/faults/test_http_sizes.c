/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that do not say how much they send, or send something else than was asked for. */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "fault_server.h"
#include "jump_clock.h"
#include "read_content.h"

#define SEED 3
#define SIZE 100000

static struct fault_server *server;
static struct larder_fs *fs;

static int setup(void **state)
{
    server = fault_server_start();
    fault_file_content(server, "/f", SIZE, SEED, "\"v1\"");
    fault_file_text(server, "/empty", "");
    return larder_open(NULL, fault_server_url(server), NULL, &fs, NULL);
}

static int teardown(void **state)
{
    larder_fs_free(fs);
    fault_server_stop(server);
    return 0;
}

/* What Python slices, of a server that behaves so. */
static void assert_slice(int64_t start, int64_t end, size_t first, size_t count)
{
    assert_ok(read_content(fs, &(struct larder_range){start, end}, SEED, first, count));
}

static void a_range_is_right_even_without_ranges_and_sizes(void **state)
{
    static const unsigned flags[] = {
        0,
        FAULT_CHUNKED,
        FAULT_NO_RANGES,
        FAULT_NO_RANGES | FAULT_CHUNKED,
        FAULT_NO_RANGES | FAULT_UNTIL_CLOSE,
        FAULT_NO_RANGES | FAULT_HTTP_1_0,
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        struct larder_bytes bytes = {0};
        fault_clear(server);
        fault_on(server, (struct fault_match){0}, (struct fault){.flags = flags[i]});
        assert_slice(0, LARDER_TO_END, 0, SIZE);
        assert_slice(0, 1, 0, 1);
        assert_slice(70000, 80000, 70000, 10000);
        assert_slice(99990, LARDER_TO_END, 99990, 10);
        assert_slice(99990, 200000, 99990, 10);
        assert_slice(-10, LARDER_TO_END, 99990, 10);
        assert_slice(-200000, LARDER_TO_END, 0, SIZE);
        assert_slice(-20, -10, 99980, 10);
        assert_slice(99980, -10, 99980, 10);
        assert_slice(200000, 300000, 0, 0);
        assert_slice(-10, -20, 0, 0);
        assert_ok(larder_cat_file(fs, "empty", &(struct larder_range){-5, LARDER_TO_END}, &bytes));
        assert_int_equal(bytes.size, 0);
        larder_bytes_free(&bytes);
    }
}

static void assert_answer_fails(int status, struct fault fault, const char *text)
{
    struct larder_bytes bytes = {0};
    fault_clear(server);
    fault_on(server, (struct fault_match){.method = "GET"}, fault);
    assert_status(status, larder_cat_file(fs, "f", &(struct larder_range){100, 200}, &bytes));
    assert_non_null(strstr(larder_error(), text));
    assert_non_null(strstr(larder_error(), "/f bytes 100-199: "));
    assert_null(bytes.data);
}

static void a_206_with_other_bytes_is_refused(void **state)
{
    static const char *const ranges[] = {
        "Content-Range: bytes 0-99/100000\r\n",
        "Content-Range: bytes 100-198/100000\r\n",
        "Content-Range: bytes 101-199/100000\r\n",
        "Content-Range: bytes 100-200/100000\r\n",
        "Content-Range: bytes 199-100/100000\r\n",
        "Content-Range: bytes */100000\r\n",
        "Content-Range: bytes 100-199/150\r\n",
        "Content-Range: lines 100-199/100000\r\n",
        "Content-Range: bytes 100-\r\n",
        "Content-Range: bytes 100-199\r\n",
        "Content-Range:\r\n",
        "Content-Range: bytes 18446744073709551716-1/2\r\n",
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        assert_answer_fails(-EPROTO, (struct fault){.headers = ranges[i]}, "206");
    assert_answer_fails(
        -EPROTO,
        (struct fault){.headers = "Content-Type: multipart/byteranges; boundary=x\r\nContent-Range:\r\n",
                       .flags = 0},
        "206");
}

static void a_206_of_another_length_is_refused(void **state)
{
    assert_answer_fails(-EPROTO, (struct fault){.headers = "Content-Length: 50\r\n"}, "50 bytes");
}

static void a_cut_range_is_refused_whoever_announced_it(void **state)
{
    assert_answer_fails(-ECONNRESET, (struct fault){.end = FAULT_CLOSE, .at = 0}, "cut");
    assert_answer_fails(-ECONNRESET, (struct fault){.end = FAULT_CLOSE, .at = 0, .flags = FAULT_UNTIL_CLOSE},
                        "cut");
    assert_answer_fails(-ECONNRESET, (struct fault){.end = FAULT_CLOSE, .at = 0, .flags = FAULT_CHUNKED},
                        "cut");
}

static void an_answer_that_was_not_asked_for_is_refused(void **state)
{
    struct larder_bytes bytes = {0};
    static const int answers[] = {204, 206, 304, 300, 299, 600};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        fault_clear(server);
        fault_on(server, (struct fault_match){.path = "/f"}, (struct fault){.status = answers[i]});
        assert_status(-EPROTO, larder_cat_file(fs, "f", NULL, &bytes));
    }
    fault_clear(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_is_right_even_without_ranges_and_sizes),
        cmocka_unit_test(a_206_with_other_bytes_is_refused),
        cmocka_unit_test(a_206_of_another_length_is_refused),
        cmocka_unit_test(a_cut_range_is_refused_whoever_announced_it),
        cmocka_unit_test(an_answer_that_was_not_asked_for_is_refused),
    };
    jump_clock_start();
    return cmocka_run_group_tests(tests, setup, teardown);
}
