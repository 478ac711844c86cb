/* SPDX-License-Identifier: Apache-2.0 */
/* A body that is cut goes on where it was, with bytes of the same version only; else the read begins anew. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "fault_server.h"
#include "jump_clock.h"
#include "read_content.h"
#include "tree.h"

#define SIZE     300000
#define BIG_SIZE (5 << 20)
#define OLD      1
#define NEW      2

static struct fault_server *server;
static struct larder_fs *fs;

static void put(const char *path, size_t size, uint64_t seed, const char *etag)
{
    fault_file_content(server, path, size, seed, etag);
}

static int setup(void **state)
{
    server = fault_server_start();
    put("/f", SIZE, OLD, "\"v1\"");
    assert_ok(larder_open(NULL, fault_server_url(server), NULL, &fs, NULL));
    return 0;
}

static int teardown(void **state)
{
    larder_fs_free(fs);
    fault_server_stop(server);
    return 0;
}

/* The next GETs of /f meet these, one each. */
static void script(size_t count, const struct fault faults[])
{
    fault_clear(server);
    fault_forget(server);
    for (size_t i = 0; i < count; i++)
        fault_on(server, (struct fault_match){.method = "GET", .path = "/f", .count = 1}, faults[i]);
}

static int read_range(int64_t start, int64_t end, uint64_t seed)
{
    return read_content(fs, &(struct larder_range){start, end}, seed, (size_t)start, (size_t)(end - start));
}

static void assert_header(size_t request, const char *name, const char *value)
{
    const struct fault_request *asked = fault_request(server, request);
    assert_non_null(asked);
    const char *sent = fault_request_header(asked, name);
    if (value && (!sent || strcmp(sent, value) != 0))
        fail_msg("%s: %s, not %s", name, sent ? sent : "nothing", value);
    if (!value && sent)
        fail_msg("%s: %s", name, sent);
}

/* ---- going on ---- */

static void a_cut_body_goes_on_where_it_was(void **state)
{
    static const unsigned flags[] = {0, FAULT_CHUNKED};
    for (size_t i = 0; i < 2; i++) {
        for (enum fault_end end = FAULT_CLOSE; end <= FAULT_RESET; end++) {
            size_t at = end == FAULT_CLOSE ? 200000 : 250000;
            script(1, &(struct fault){.end = end, .at = at, .flags = flags[i]});
            assert_ok(read_range(0, SIZE, OLD));
            assert_int_equal(fault_count(server, NULL, NULL), 2);
            if (end == FAULT_RESET) /* the client may have lost what was sent before */
                continue;
            assert_header(1, "Range", "bytes=200000-299999");
            assert_header(1, "If-Range", "\"v1\"");
        }
    }
    script(1, &(struct fault){.end = FAULT_CLOSE, .at = 100000});
    assert_ok(read_range(50000, 250000, OLD));
    assert_header(0, "Range", "bytes=50000-249999");
    assert_header(1, "Range", "bytes=150000-249999");
    assert_header(1, "If-Range", "\"v1\"");
}

static void a_body_of_unknown_length_goes_on_too(void **state)
{
    struct larder_bytes bytes = {0};
    script(1, &(struct fault){.end = FAULT_CLOSE, .at = 200000, .flags = FAULT_CHUNKED});
    assert_ok(larder_cat_file(fs, "f", NULL, &bytes));
    assert_int_equal(bytes.size, SIZE);
    assert_true(content_matches(bytes.data, SIZE, OLD, 0));
    assert_header(1, "Range", "bytes=200000-");
    assert_header(1, "If-Range", "\"v1\"");
    larder_bytes_free(&bytes);
}

static void a_stall_is_gone_around(void **state)
{
    static const size_t stalls[] = {0, SIZE / 2, SIZE / 100 * 99}; /* 0: after the headers */
    struct larder_fs *wary;
    assert_ok(larder_open(NULL, fault_server_url(server), (const char *const[]){"stall_timeout=0.3", NULL},
                          &wary, NULL));
    for (size_t i = 0; i < sizeof stalls / sizeof stalls[0]; i++) {
        struct larder_bytes bytes = {0};
        char range[32];
        script(1, &(struct fault){.end = FAULT_STALL, .at = stalls[i]});
        assert_ok(larder_cat_file(wary, "f", NULL, &bytes));
        assert_int_equal(bytes.size, SIZE);
        assert_true(content_matches(bytes.data, SIZE, OLD, 0));
        larder_bytes_free(&bytes);
        snprintf(range, sizeof range, "bytes=%zu-299999", stalls[i]);
        assert_header(1, "Range", range);
    }
    larder_fs_free(wary);
}

/* No average of some seconds: one byte in time is enough. */
static void a_byte_now_and_then_is_no_stall(void **state)
{
    struct larder_fs *wary;
    struct larder_bytes bytes = {0};
    fault_file_text(server, "/drip", "12345678");
    assert_ok(larder_open(NULL, fault_server_url(server), (const char *const[]){"stall_timeout=1", NULL},
                          &wary, NULL));
    fault_on(server, (struct fault_match){.path = "/drip"},
             (struct fault){.trickle_size = 1, .trickle_ms = 250});
    assert_ok(larder_cat_file(wary, "drip", NULL, &bytes));
    assert_string_equal(bytes.data, "12345678");
    larder_bytes_free(&bytes);
    assert_int_equal(fault_count(server, NULL, NULL), 1);
    larder_fs_free(wary);
}

static void a_body_may_be_cut_often_when_it_gets_on(void **state)
{
    struct larder_bytes bytes = {0};
    put("/f", BIG_SIZE, OLD, "\"v1\"");
    fault_on(server, (struct fault_match){.method = "GET"}, (struct fault){.end = FAULT_CLOSE, .at = 300000});
    assert_ok(larder_cat_file(fs, "f", NULL, &bytes));
    assert_int_equal(bytes.size, BIG_SIZE);
    assert_true(content_matches(bytes.data, bytes.size, OLD, 0));
    larder_bytes_free(&bytes);
    fault_clear(server);
    fault_forget(server);
    fault_on(server, (struct fault_match){.method = "GET"}, (struct fault){.end = FAULT_CLOSE, .at = 1000});
    assert_status(-ECONNRESET, larder_cat_file(fs, "f", NULL, &bytes));
    assert_text("the body was cut after 5000 of 5242880 bytes, 5 tries in ");
    assert_int_equal(fault_count(server, NULL, NULL), 5);
}

static void the_rest_may_fail_and_be_asked_for_again(void **state)
{
    static const struct fault faults[] = {
        {.end = FAULT_CLOSE, .at = 200000},
        {.status = 503},
        {.flags = FAULT_NO_ANSWER, .end = FAULT_RESET},
        {.end = FAULT_CLOSE, .at = 50},
    };
    script(4, faults);
    assert_ok(read_range(0, SIZE, OLD));
    assert_int_equal(fault_count(server, NULL, NULL), 5);
}

static void a_redirect_in_the_middle_is_followed(void **state)
{
    const struct fault faults[] = {
        {.end = FAULT_CLOSE, .at = 200000},
        {.status = 302, .headers = "Location: /elsewhere/f\r\n"},
    };
    put("/elsewhere/f", SIZE, OLD, "\"v1\"");
    script(2, faults);
    assert_ok(read_range(0, SIZE, OLD));
    assert_int_equal(fault_count(server, "GET", "/elsewhere/f"), 1);
    assert_header(2, "Range", "bytes=200000-299999");
}

/* ---- beginning anew ---- */

static void without_a_strong_etag_a_cut_body_begins_anew(void **state)
{
    static const char *const etags[] = {"W/\"v1\"", ""};
    for (size_t i = 0; i < 2; i++) {
        put("/f", SIZE, OLD, etags[i]);
        script(2,
               (const struct fault[]){{.end = FAULT_CLOSE, .at = 200000}, {.end = FAULT_RESET, .at = 100}});
        assert_ok(read_range(0, SIZE, OLD));
        assert_int_equal(fault_count(server, NULL, NULL), 3);
        assert_header(1, "Range", "bytes=0-299999");
        assert_header(2, "Range", "bytes=0-299999");
    }
}

static void a_server_without_ranges_sends_all_of_it_again(void **state)
{
    script(2, (const struct fault[]){{.end = FAULT_CLOSE, .at = 200000, .flags = FAULT_NO_RANGES},
                                     {.flags = FAULT_NO_RANGES}});
    assert_ok(read_range(0, SIZE, OLD));
    assert_header(1, "Range", "bytes=200000-299999");
}

static void replace_file(void *arg, const struct fault_request *request)
{
    put("/f", SIZE, NEW, "\"v2\"");
}

static void a_file_that_changed_meanwhile_is_read_anew_and_never_mixed(void **state)
{
    static const unsigned flags[] = {0, FAULT_NO_CONDITIONS, FAULT_NO_RANGES, FAULT_CHUNKED};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        put("/f", SIZE, OLD, "\"v1\"");
        script(2, (const struct fault[]){{.end = FAULT_CLOSE, .at = 200000},
                                         {.hook = replace_file, .flags = flags[i]}});
        assert_ok(read_range(0, SIZE, NEW));
        assert_int_equal(fault_count(server, NULL, NULL), 3);
        put("/f", SIZE, OLD, "\"v1\"");
        script(2, (const struct fault[]){{.end = FAULT_CLOSE, .at = 50000},
                                         {.hook = replace_file, .flags = flags[i]}});
        assert_ok(read_range(100000, 250000, NEW));
    }
}

/* Of the same length and, for whoever does not look, in the right place. */
static void an_error_page_is_never_part_of_the_file(void **state)
{
    static char page[100000];
    memset(page, 'e', sizeof page);
    const struct fault faults[] = {
        {.end = FAULT_CLOSE, .at = 200000},
        {.status = 200, .headers = "Content-Type: text/html\r\n", .body = page, .body_size = sizeof page},
    };
    script(2, faults);
    assert_ok(read_range(0, SIZE, OLD));
    const struct fault part[] = {
        faults[0],
        {.status = 206,
         .headers = "Content-Range: bytes 200000-299999/300000\r\n",
         .body = page,
         .body_size = sizeof page},
    };
    script(2, part);
    assert_ok(read_range(0, SIZE, OLD));
}

static void a_rest_that_is_not_the_rest_is_refused(void **state)
{
    static const char *const headers[] = {
        "Content-Range: bytes 199999-299998/300000\r\n",
        "Content-Range: bytes 200001-299999/300000\r\n",
        "Content-Range: bytes 200000-299999/300001\r\n",
        "Content-Range: bytes 200000-299998/300000\r\n",
        "Content-Range: bytes */300000\r\n",
        "Content-Range: bytes 200000-299999/*\r\n",
        "Content-Range:\r\n",
        "Content-Length: 99999\r\n",
        "Content-Encoding: gzip\r\n",
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        script(2, (const struct fault[]){{.end = FAULT_CLOSE, .at = 200000}, {.headers = headers[i]}});
        assert_ok(read_range(0, SIZE, OLD));
        assert_int_equal(fault_count(server, NULL, NULL), 3);
        assert_header(2, "Range", "bytes=200000-299999");
        assert_int_not_equal(fault_request(server, 2)->connection, fault_request(server, 1)->connection);
    }
}

static void what_is_gone_meanwhile_is_missing(void **state)
{
    script(2, (const struct fault[]){{.end = FAULT_CLOSE, .at = 200000}, {.status = 404}});
    assert_status(-ENOENT, read_range(0, SIZE, OLD));
    /* A signature may have come to its end: that is not the last word. */
    script(2, (const struct fault[]){{.end = FAULT_CLOSE, .at = 200000}, {.status = 403}});
    assert_ok(read_range(0, SIZE, OLD));
    script(3, (const struct fault[]){{.end = FAULT_CLOSE, .at = 200000}, {.status = 403}, {.status = 403}});
    assert_status(-EACCES, read_range(0, SIZE, OLD));
}

static void next_version(void *arg, const struct fault_request *request)
{
    char etag[16];
    unsigned *version = arg;
    snprintf(etag, sizeof etag, "\"v%u\"", ++*version);
    put("/f", SIZE, *version, etag);
}

static void a_file_that_never_holds_still_is_stale(void **state)
{
    unsigned version = NEW;
    struct larder_fs *even;
    struct larder_bytes bytes = {0};
    assert_ok(
        larder_open(NULL, fault_server_url(server), (const char *const[]){"max_tries=4", NULL}, &even, NULL));
    fault_on(server, (struct fault_match){.method = "GET"},
             (struct fault){.end = FAULT_CLOSE, .at = 200000, .hook = next_version, .arg = &version});
    assert_status(-ESTALE, larder_cat_file(even, "f", NULL, &bytes));
    assert_text("it changed while it was read, 4 tries in ");
    larder_fs_free(even);
}

/* ---- who cannot take back what he has given ---- */

struct taken {
    size_t size;
    bool right;
};

static int take_piece(void *arg, const void *data, size_t size)
{
    struct taken *taken = arg;
    taken->right = taken->right && content_matches(data, size, OLD, taken->size);
    taken->size += size;
    return 0;
}

static void a_stream_goes_on_or_fails_but_never_repeats_nor_mixes(void **state)
{
    const size_t late = (4 << 20) + 1000;
    put("/f", BIG_SIZE, OLD, "\"v1\"");
    for (int i = 0; i < 2; i++) {
        struct taken taken = {.right = true};
        script(2,
               (const struct fault[]){{.end = FAULT_CLOSE, .at = late}, {.flags = i ? FAULT_NO_RANGES : 0}});
        assert_true(larder_cat_to(fs, "f", NULL, take_piece, &taken) == BIG_SIZE);
        assert_true(taken.right && taken.size == BIG_SIZE);
    }
    struct taken taken = {.right = true};
    script(2, (const struct fault[]){{.end = FAULT_CLOSE, .at = late}, {.hook = replace_file}});
    assert_status(-ESTALE, (int)larder_cat_to(fs, "f", NULL, take_piece, &taken));
    assert_true(taken.right && taken.size > 0 && taken.size <= late);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_cut_body_goes_on_where_it_was),
        TEST(a_body_of_unknown_length_goes_on_too),
        TEST(a_stall_is_gone_around),
        TEST(a_byte_now_and_then_is_no_stall),
        TEST(a_body_may_be_cut_often_when_it_gets_on),
        TEST(the_rest_may_fail_and_be_asked_for_again),
        TEST(a_redirect_in_the_middle_is_followed),
        TEST(without_a_strong_etag_a_cut_body_begins_anew),
        TEST(a_server_without_ranges_sends_all_of_it_again),
        TEST(a_file_that_changed_meanwhile_is_read_anew_and_never_mixed),
        TEST(an_error_page_is_never_part_of_the_file),
        TEST(a_rest_that_is_not_the_rest_is_refused),
        TEST(what_is_gone_meanwhile_is_missing),
        TEST(a_file_that_never_holds_still_is_stale),
        TEST(a_stream_goes_on_or_fails_but_never_repeats_nor_mixes),
    };
    jump_clock_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
