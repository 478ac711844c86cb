/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of servers that lie, refuse, or send something else than the file: what a careful reader makes of them. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer_case.h"
#include "jump_clock.h"
#include "tmpdir.h"
#include "tree.h"

/* ---- how many requests ---- */

static void everything_costs_one_request(void **state)
{
    struct larder_info info;
    struct larder_entries entries;
    char *local = tmpdir_path(scratch, "copy");
    assert_ok(read_whole(fs));
    assert_asked(1);
    assert_ok(read_whole(cached));
    assert_asked(1);
    assert_ok(larder_info(fs, "f", &info));
    larder_info_free(&info);
    assert_asked(1);
    assert_int_equal(larder_isdir(fs, "f"), 0);
    assert_int_equal(fault_count(server, "HEAD", "/f"), 1); /* and not a byte of it */
    assert_asked(1);
    assert_ok(larder_ls(fs, "d/", &entries));
    larder_entries_free(&entries);
    assert_asked(1);
    assert_ok(larder_get_file(fs, "f", local, 0, NULL, NULL));
    assert_asked(1);
    static const int64_t slices[][4] = {
        {0, 10, 0, 10},
        {-10, LARDER_TO_END, SIZE - 10, 10},
        {-20, -10, SIZE - 20, 10},
        {10, -10, 10, SIZE - 20},
        {-SIZE, 5, 0, 5},
        {0, -1, 0, SIZE - 1},
        {-200000, LARDER_TO_END, 0, SIZE},
        {SIZE, LARDER_TO_END, 0, 0},
        {200000, 300000, 0, 0},
        {60000, -50000, 0, 0},
    };
    for (size_t i = 0; i < sizeof slices / sizeof slices[0]; i++) {
        assert_ok(read_slice(fs, slices[i][0], slices[i][1], (size_t)slices[i][2], (size_t)slices[i][3]));
        assert_asked(1);
    }
    free(local);
}

/* ---- the size, and who tells it ---- */

static void a_head_that_lies_cuts_and_pads_no_read(void **state)
{
    static const char *const lies[] = {"Content-Length: 5\r\n", "Content-Length: 300000\r\n",
                                       "Content-Length: 0\r\n", "Content-Length:\r\n",
                                       "Content-Encoding: gzip\r\n"};
    struct larder_info info;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        fault_next(0, "HEAD", (struct fault){.headers = lies[i]});
        for (int c = 0; c < 2; c++) {
            struct larder_fs *from = c ? cached : fs;
            if (larder_info(from, "f", &info) == 0)
                larder_info_free(&info);
            assert_ok(read_slice(from, 40000, 60000, 40000, 20000));
            if (!c) { /* the cache asks for the size first, of such ranges */
                assert_ok(read_slice(from, -20, -10, SIZE - 20, 10));
                assert_ok(read_slice(from, 90000, -10, 90000, 9990));
            }
            assert_ok(read_slice(from, 99990, 200000, 99990, 10));
            assert_ok(read_whole(from));
        }
    }
}

static void a_head_that_is_refused_or_says_no_length_costs_a_byte(void **state)
{
    static const struct fault refusals[] = {{.status = 403},
                                            {.status = 405},
                                            {.status = 400},
                                            {.status = 501},
                                            {.headers = "Content-Length:\r\n"}};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct larder_info info;
        fault_next(0, "HEAD", refusals[i]);
        assert_ok(larder_info(fs, "f", &info));
        assert_int_equal(info.size, SIZE);
        assert_string_equal(info.version, "\"v1\"");
        larder_info_free(&info);
        assert_string_equal(fault_request_header(fault_request(server, 1), "Range"), "bytes=0-0");
        assert_asked(2);
        assert_ok(read_whole(fs)); /* which asks no HEAD at all */
        assert_asked(1);
    }
}

static void past_the_end_there_is_nothing_and_inside_416_is_a_failure(void **state)
{
    assert_ok(read_slice(fs, 200000, 200010, 0, 0));
    assert_int_equal(fault_count(server, NULL, NULL), 1);
    /* It may say nothing, or nothing of the version: then that is asked for. */
    fault_next(1, "GET", (struct fault){.headers = "Content-Range:\r\n"});
    assert_ok(read_slice(fs, 200000, 200010, 0, 0));
    /* A HEAD that lies does not make the 416 true. */
    fault_next(1, "GET", (struct fault){.status = 416});
    fault_on(server, (struct fault_match){.method = "HEAD"},
             (struct fault){.headers = "Content-Length: 5\r\n"});
    assert_ok(read_slice(fs, 100, 200, 100, 100));
    fault_next(1, "GET", (struct fault){.headers = "ETag:\r\nLast-Modified:\r\n"});
    assert_ok(read_slice(fs, 200000, 200010, 0, 0));
    assert_asked(3);
    /* A cache that has a shorter version, or none: never an empty read. */
    static const char *const inside[] = {"Content-Range: bytes */100000\r\n", ""};
    for (size_t i = 0; i < 2; i++) {
        struct fault fault = {.status = 416, .headers = inside[i]};
        fault_next(1, "GET", fault);
        assert_ok(read_slice(fs, 100, 200, 100, 100));
        fault_next(0, "GET", fault);
        assert_status(i ? -EIO : -EPROTO, read_slice(fs, 100, 200, 100, 100));
        assert_text("416 Range Not Satisfiable");
        assert_true(fault_count(server, "GET", NULL) >= 5);
    }
}

/* ---- bytes that are not the file's ---- */

static void a_206_of_other_bytes_is_asked_for_again_on_another_connection(void **state)
{
    static const char *const ranges[] = {"Content-Range: bytes 0-99/100000\r\n",
                                         "Content-Range: bytes 100-198/100000\r\n",
                                         "Content-Range: bytes 101-199/100000\r\n",
                                         "Content-Range: bytes 100-199/150\r\n",
                                         "Content-Range: bytes */100000\r\n",
                                         "Content-Range:\r\n",
                                         "Content-Length: 50\r\n"};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        fault_next(1, "GET", (struct fault){.headers = ranges[i]});
        assert_ok(read_slice(fs, 100, 200, 100, 100));
        assert_int_not_equal(fault_request(server, 0)->connection, fault_request(server, 1)->connection);
        assert_asked(2);
    }
}

static void what_comes_too_much_is_cut_and_ends_the_connection(void **state)
{
    static const unsigned flags[] = {0, FAULT_CHUNKED};
    for (size_t i = 0; i < 2; i++) {
        fault_next(0, "GET", (struct fault){.extra = 1000, .flags = flags[i]});
        assert_ok(read_slice(fs, 100, 200, 100, 100));
        assert_ok(read_slice(fs, -100, LARDER_TO_END, SIZE - 100, 100));
    }
    fault_next(0, "GET", (struct fault){.extra = 70000});
    assert_ok(read_whole(fs));
    assert_ok(read_whole(cached));
    fault_clear(server);
    assert_ok(read_whole(fs));
}

static void what_is_compressed_unasked_is_not_the_file(void **state)
{
    fault_next(1, "GET", (struct fault){.flags = FAULT_GZIP});
    assert_ok(read_slice(fs, 100, 200, 100, 100));
    fault_next(1, "GET", (struct fault){.flags = FAULT_GZIP});
    assert_ok(read_whole(cached));
    fault_next(0, "GET", (struct fault){.flags = FAULT_GZIP});
    assert_status(-EPROTO, read_slice(fs, 100, 200, 100, 100));
    assert_text("encoded (gzip)");
    assert_status(-EPROTO, read_whole(fs));
}

/* It says 200, and is as long as what was asked for. Of a file that is known it is not believed. */
static void an_error_page_with_200_is_no_part_of_a_known_file(void **state)
{
    static char page[SIZE];
    struct larder_fs *fresh;
    memset(page, 'e', sizeof page);
    assert_ok(larder_fs_at(cached, NULL, (const char *const[]){"cache.ttl=3600", NULL}, &fresh));
    assert_ok(read_slice(fresh, 0, 70000, 0, 70000));
    for (unsigned range = 0; range < 2; range++) {
        fault_next(1, "GET",
                   (struct fault){.status = range ? 206 : 200,
                                  .headers = range ? "Content-Range: bytes 65536-99999/100000\r\n" : "",
                                  .body = page,
                                  .body_size = range ? SIZE - 65536 : SIZE});
        int rc = read_slice(fresh, 80000, 90000, 80000, 10000);
        assert_true(rc == 0 || rc == -ESTALE);
    }
    fault_clear(server);
    assert_ok(read_whole(fresh));
    larder_fs_free(fresh);
}

static void rename_version(void *arg, const struct fault_request *request)
{
    char etag[16];
    snprintf(etag, sizeof etag, "\"v%u\"", ++*(unsigned *)arg);
    fault_file_content(server, "/f", SIZE, SEED, etag);
}

/* A farm whose servers make their tags each by itself: the bytes may be equal, but nobody says so. */
static void a_version_that_changes_with_each_answer_is_never_put_together(void **state)
{
    unsigned version = 1;
    fault_on(server, (struct fault_match){.method = "GET"},
             (struct fault){.hook = rename_version, .arg = &version});
    assert_ok(read_slice(cached, 0, 1000, 0, 1000));
    assert_ok(read_slice(cached, 90000, 91000, 90000, 1000));
    assert_ok(read_whole(cached));
    assert_ok(read_whole(fs));
}

static void a_304_that_says_nothing_of_the_file_confirms_what_is_known(void **state)
{
    assert_ok(read_whole(cached));
    for (int i = 0; i < 3; i++) {
        fault_clear(server);
        fault_forget(server);
        fault_on(server, (struct fault_match){.header = "If-None-Match"}, (struct fault){.status = 304});
        assert_ok(read_whole(cached));
        assert_string_equal(fault_request_header(fault_request(server, 0), "If-None-Match"), "\"v1\"");
        assert_asked(1);
    }
}

/* ---- no connection ---- */

static void a_server_that_resets_what_connects_is_asked_again(void **state)
{
    fault_on(server, (struct fault_match){0}, (struct fault){.flags = FAULT_CLOSE_AFTER});
    fault_refuse(server, 4, 0);
    assert_ok(read_whole(fs));
    fault_refuse(server, 0, 1000);
    int rc = read_whole(fs);
    assert_true(rc < 0 && rc != -ENOENT);
    assert_text(", 5 tries in ");
}

static void a_type_goes_with_what_is_written_and_is_read_back(void **state)
{
    static const char *const options[] = {"http.write=true", "http.content_type=auto", NULL};
    static const char headers[] = "Content-Type: text/html\r\nCache-Control: no-cache\r\nX-Other: x\r\n"
                                  "x-amz-meta-Color: blue\r\n";
    struct larder_properties properties;
    struct larder_fs *writer;
    fault_writable(server);
    assert_ok(larder_open(NULL, fault_server_url(server), options, &writer, NULL));
    fault_next(0, "HEAD", (struct fault){.headers = headers});
    assert_ok(larder_pipe_file(writer, "page.html", "x", 1, 0));
    const struct fault_request *put = fault_request(server, 0);
    assert_string_equal(put->method, "PUT");
    assert_string_equal(fault_request_header(put, "Content-Type"), "text/html");
    assert_ok(larder_properties(writer, "page.html", &properties));
    assert_int_equal(properties.count, 3);
    assert_string_equal(properties.property[0].name, "cache-control");
    assert_string_equal(properties.property[1].value, "text/html");
    assert_string_equal(properties.property[2].name, "metadata.color");
    assert_string_equal(properties.property[2].value, "blue");
    larder_properties_free(&properties);
    assert_status(-ENOENT, larder_properties(writer, "none", &properties));
    assert_status(-EISDIR, larder_properties(writer, "d", &properties));
    larder_fs_free(writer);
}

/* ---- what one answer says nothing of ---- */

/* A validator is of one URL: two files may well share one (size and time, of many servers). */
static void equal_etags_of_two_files_are_no_equal_content(void **state)
{
    static const char *const paths[] = {"twin/a", "twin/b"};
    fault_file_content(server, "/twin/a", SIZE, 21, "\"same\"");
    fault_file_content(server, "/twin/b", SIZE, 22, "\"same\"");
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < 2; i++) {
            struct larder_range range = {round * 1000, SIZE - 1000};
            struct larder_bytes bytes;
            assert_ok(larder_cat_file(cached, paths[i], round ? &range : NULL, &bytes));
            assert_true(content_matches(bytes.data, bytes.size, 21 + i, round * 1000));
            larder_bytes_free(&bytes);
        }
}

/* Else a data set would read fill values where the network failed. */
static void a_key_that_cannot_be_read_is_not_missing(void **state)
{
    static const int failures[] = {400, 401, 403, 405, 408, 416, 418, 429, 500, 502, 503, 504};
    struct larder_fs *once;
    struct larder_map *map;
    struct larder_bytes bytes;
    assert_ok(
        larder_open(NULL, fault_server_url(server), (const char *[]){"http.max_tries=1", NULL}, &once, NULL));
    assert_ok(larder_map_new(once, "d", 0, &map));
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        fault_next(0, NULL, (struct fault){.status = failures[i]});
        int rc = larder_map_get(map, "x", NULL, &bytes);
        assert_true(rc < 0 && rc != -ENOENT);
        rc = larder_map_has(map, "x");
        assert_true(rc < 0 && rc != -ENOENT);
    }
    fault_next(0, NULL, (struct fault){.status = 404});
    assert_status(-ENOENT, larder_map_get(map, "x", NULL, &bytes));
    assert_int_equal(larder_map_has(map, "x"), 0);
    larder_map_free(map);
    larder_fs_free(once);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, answer_case_setup, answer_case_teardown)
        TEST(everything_costs_one_request),
        TEST(a_head_that_lies_cuts_and_pads_no_read),
        TEST(a_head_that_is_refused_or_says_no_length_costs_a_byte),
        TEST(past_the_end_there_is_nothing_and_inside_416_is_a_failure),
        TEST(a_206_of_other_bytes_is_asked_for_again_on_another_connection),
        TEST(what_comes_too_much_is_cut_and_ends_the_connection),
        TEST(what_is_compressed_unasked_is_not_the_file),
        TEST(an_error_page_with_200_is_no_part_of_a_known_file),
        TEST(a_version_that_changes_with_each_answer_is_never_put_together),
        TEST(a_304_that_says_nothing_of_the_file_confirms_what_is_known),
        TEST(a_server_that_resets_what_connects_is_asked_again),
        TEST(equal_etags_of_two_files_are_no_equal_content),
        TEST(a_key_that_cannot_be_read_is_not_missing),
        TEST(a_type_goes_with_what_is_written_and_is_read_back),
    };
    jump_clock_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
