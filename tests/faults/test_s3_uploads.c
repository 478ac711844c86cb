/* SPDX-License-Identifier: Apache-2.0 */
/* What S3 servers make of uploads: of files, and of copies that are uploads of parts. */
#include "s3_store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "larder/s3.h"

#include "jump_clock.h"

/* ---- uploads ---- */

static char written_id[64];

static void note_write_id(void *arg, const struct fault_request *request)
{
    const char *id = fault_request_header(request, "x-amz-meta-larder-write");
    snprintf(written_id, sizeof written_id, "%s", id ? id : "none");
}

/* The upload is completed: of which the object's headers tell, if it keeps the write id. */
static void complete(void *arg, const struct fault_request *request)
{
    char headers[128];
    snprintf(headers, sizeof headers, "x-amz-meta-larder-write: %s\r\n",
             arg ? (const char *)arg : written_id);
    fault_file_set(s3_server, request->path,
                   &(struct fault_file){.data = "xx", .size = 2, .etag = "\"up-1\"", .headers = headers});
}

#define PART_SIZE ((size_t)5 << 20)
/* A list of the parts that write_upload sends, once the object is read for what it is no more. */
static void begin_upload(void)
{
    static char parts[512];
    snprintf(parts, sizeof parts,
             XML("ListPartsResult",
                 "<IsTruncated>false</IsTruncated>"
                 "<Part><PartNumber>1</PartNumber><Size>%zu</Size><ETag>\"p1\"</ETag></Part>"
                 "<Part><PartNumber>2</PartNumber><Size>10</Size><ETag>&quot;p2&quot;</ETag></Part>"),
             PART_SIZE);
    fault_on(s3_server, (struct fault_match){.method = "POST", .path = "/b/f", .count = 1},
             (struct fault){.status = 200,
                            .hook = note_write_id,
                            .body = XML("InitiateMultipartUploadResult", "<UploadId>id+/=</UploadId>"),
                            .body_size =
                                strlen(XML("InitiateMultipartUploadResult", "<UploadId>id+/=</UploadId>"))});
    s3_answer("PUT", "/b/f", 0, 200, "ETag: \"p\"\r\n", NULL);
    s3_answer("GET", "/b/f", 1, 200, NULL, parts);
    s3_answer("GET", "/b/f", 0, 404, NULL, ERROR("NoSuchUpload"));
    s3_answer("DELETE", "/b/f", 0, 204, NULL, NULL);
}

#define COMPLETED XML("CompleteMultipartUploadResult", "<ETag>\"up-1\"</ETag>")

static int write_upload(const char *mode)
{
    static const char *const options[] = {"part_size=5M", NULL};
    static char data[(5 << 20) + 10];
    struct larder_file *file;
    int rc = larder_file_open(s3_fs, "f", mode, options, &file);
    if (rc < 0)
        return rc;
    rc = larder_file_write(file, data, sizeof data);
    if (rc < 0) {
        larder_file_discard(file);
        return rc;
    }
    return larder_file_close(file);
}

static void an_error_behind_the_200_of_a_completion_is_tried_again(void **state)
{
    begin_upload();
    s3_answer("POST", "/b/f", 2, 200, NULL, ERROR("InternalError"));
    s3_answer("POST", "/b/f", 1, 200, NULL, COMPLETED);
    assert_ok(write_upload("w"));
    assert_int_equal(fault_count(s3_server, "POST", "/b/f"), 4);
    assert_int_equal(s3_count_targets("uploadId=id%2B%2F%3D"),
                     6); /* two parts, their list, three completions */
}

static void an_error_that_stays_drops_the_upload(void **state)
{
    begin_upload();
    s3_answer("HEAD", "/b/f", 0, 404, NULL, NULL);
    s3_answer("POST", "/b/f", 0, 200, NULL, ERROR("EntityTooSmall"));
    assert_status(-EIO, write_upload("w"));
    assert_non_null(strstr(larder_error(), "EntityTooSmall"));
    assert_int_equal(fault_count(s3_server, "DELETE", "/b/f"), 1);
}

static void no_such_upload_after_success_is_success(void **state)
{
    begin_upload();
    fault_on(s3_server, (struct fault_match){.method = "POST", .path = "/b/f", .count = 1},
             (struct fault){.end = FAULT_RESET, .flags = FAULT_NO_ANSWER, .hook = complete});
    s3_answer("POST", "/b/f", 0, 404, NULL, ERROR("NoSuchUpload"));
    assert_ok(write_upload("w"));
    assert_int_equal(fault_count(s3_server, "POST", "/b/f"), 3);
}

static void no_such_upload_without_success_is_a_failure(void **state)
{
    static char foreign_id[] = "00000000000000000000000000000000";
    begin_upload();
    fault_on(
        s3_server, (struct fault_match){.method = "POST", .path = "/b/f", .count = 1},
        (struct fault){.end = FAULT_RESET, .flags = FAULT_NO_ANSWER, .hook = complete, .arg = foreign_id});
    s3_answer("POST", "/b/f", 0, 404, NULL, ERROR("NoSuchUpload"));
    assert_status(-ESTALE, write_upload("w"));
}

static void where_nobody_answers_any_more_nothing_is_claimed(void **state)
{
    begin_upload();
    fault_on(s3_server, (struct fault_match){.method = "POST", .path = "/b/f"},
             (struct fault){.end = FAULT_RESET, .flags = FAULT_NO_ANSWER, .hook = complete});
    fault_on(s3_server, (struct fault_match){.method = "HEAD", .path = "/b/f"},
             (struct fault){.end = FAULT_RESET, .flags = FAULT_NO_ANSWER});
    assert_status(-ECONNRESET, write_upload("w"));
    assert_non_null(strstr(larder_error(), "not known whether it was published"));
}

/* ---- what is left of uploads ---- */

#define ONE_PART  XML("ListPartsResult", "<Part><PartNumber>1</PartNumber><Size>8</Size></Part>")
#define NO_PARTS  XML("ListPartsResult", "<IsTruncated>false</IsTruncated>")
#define ALL_TRIES 6

static int abort_upload(void)
{
    return larder_s3_abort(s3_fs, &(struct larder_s3_upload){.path = "f", .id = "id"});
}

/* A part that was on its way arrives when the upload is gone, and stays. */
static void an_abort_is_repeated_until_no_part_is_left(void **state)
{
    s3_answer("DELETE", "/b/f", 0, 204, NULL, NULL);
    s3_answer("GET", "/b/f", 2, 200, NULL, ONE_PART);
    s3_answer("GET", "/b/f", 1, 200, NULL, NO_PARTS);
    assert_ok(abort_upload());
    assert_int_equal(fault_count(s3_server, "DELETE", "/b/f"), 3);
    assert_int_equal(jump_clock_count(), 2); /* a part takes its time */

    s3_answer("GET", "/b/f", 1, 200, NULL, ONE_PART);
    s3_answer("GET", "/b/f", 1, 404, NULL, ERROR("NoSuchUpload"));
    assert_ok(abort_upload());
    assert_int_equal(fault_count(s3_server, "DELETE", "/b/f"), 5);
    assert_string_equal(larder_error(), "");
}

static void an_abort_says_when_parts_stay_and_when_that_is_not_known(void **state)
{
    s3_answer("DELETE", "/b/f", 0, 204, NULL, NULL);
    s3_answer("GET", "/b/f", ALL_TRIES, 200, NULL, ONE_PART);
    assert_status(-EBUSY, abort_upload());
    assert_int_equal(fault_count(s3_server, "DELETE", "/b/f"), ALL_TRIES);

    s3_answer("GET", "/b/f", 1, 403, NULL, ERROR("AccessDenied"));
    assert_ok(abort_upload()); /* who may not look has the server's word */
    s3_answer("GET", "/b/f", 1, 501, NULL, ERROR("NotImplemented"));
    assert_ok(abort_upload());

    s3_answer("GET", "/b/f", 0, 400, NULL, ERROR("InvalidRequest"));
    assert_true(abort_upload() < 0);
    assert_non_null(strstr(larder_error(), "InvalidRequest"));
    assert_non_null(strstr(larder_error(), "aborted; it is not known whether parts came later"));
}

static int write_large(void *arg)
{
    static char data[(64 << 20) + 1];
    return larder_pipe_file(s3_fs, "f", data, sizeof data, 0);
}

static void a_cancelled_write_drops_its_upload(void **state)
{
    struct larder_task *task;
    fault_on(s3_server, (struct fault_match){.method = "PUT", .path = "/b/f"},
             (struct fault){.end = FAULT_STALL, .flags = FAULT_NO_ANSWER});
    begin_upload();
    assert_ok(larder_spawn(NULL, write_large, NULL, NULL, NULL, &task));
    fault_wait_stalled(s3_server, 4);
    larder_cancel(task);
    assert_status(-ECANCELED, larder_join(task));
    assert_int_equal(fault_count(s3_server, "DELETE", "/b/f"), 2); /* a part was there after the first */
}

/* ---- copies in parts ---- */

/* Of a source that is larger than one copy may be: parts are copied, and each answer may be such an error. */
static void a_200_with_an_error_in_it_is_that_error_of_a_part_too(void **state)
{
    static const char *const options[] = {"copy_size_max=8", "copy_part_size=8", NULL};
    static const char begun[] = XML("InitiateMultipartUploadResult", "<UploadId>id</UploadId>");
    static const char parts[] =
        XML("ListPartsResult", "<IsTruncated>false</IsTruncated>"
                               "<Part><PartNumber>1</PartNumber><Size>8</Size><ETag>\"1\"</ETag></Part>"
                               "<Part><PartNumber>2</PartNumber><Size>2</Size><ETag>\"2\"</ETag></Part>");
    static const char copied[] = XML("CopyPartResult", "<ETag>\"e\"</ETag>");
    struct larder_fs *store = s3_open_store(options);
    fault_file_text(s3_server, "/b/from", "0123456789");
    s3_answer("POST", "/b/to", 1, 200, NULL, begun);
    s3_answer("PUT", "/b/to", 1, 200, NULL, ERROR("SlowDown"));
    s3_answer("PUT", "/b/to", 0, 200, NULL, copied);
    s3_answer("GET", "/b/to", 0, 200, NULL, parts);
    s3_answer("POST", "/b/to", 1, 200, NULL, XML("CompleteMultipartUploadResult", "<ETag>\"up-2\"</ETag>"));
    assert_ok(larder_cp_file(store, "from", store, "to", 0, NULL, NULL));
    assert_int_equal(fault_count(s3_server, "PUT", "/b/to"), 3);
    assert_int_equal(fault_count(s3_server, "DELETE", NULL), 0);

    s3_answer("POST", "/b/to2", 1, 200, NULL, begun);
    s3_answer("PUT", "/b/to2", 0, 200, NULL, ERROR("AccessDenied"));
    s3_answer("DELETE", "/b/to2", 0, 204, NULL, NULL);
    assert_status(-EACCES, larder_cp_file(store, "from", store, "to2", 0, NULL, NULL));
    assert_int_equal(fault_count(s3_server, "DELETE", "/b/to2"), 1);
    larder_fs_free(store);
}

/* As Ceph's gateway: the condition of a part's copy is not looked at. */
static void replace_source(void *arg, const struct fault_request *request)
{
    fault_file_text(s3_server, "/b/from", "9876543210");
}

static void a_copy_in_parts_is_of_one_version_whatever_the_server_checks(void **state)
{
    static const char *const options[] = {"copy_size_max=8", "copy_part_size=8", NULL};
    static const char copied[] = XML("CopyPartResult", "<ETag>\"e\"</ETag>");
    struct larder_fs *store = s3_open_store(options);
    fault_file_text(s3_server, "/b/from", "0123456789");
    s3_answer("POST", "/b/to", 1, 200, NULL, XML("InitiateMultipartUploadResult", "<UploadId>id</UploadId>"));
    s3_answer("PUT", "/b/to", 1, 200, NULL, copied);
    fault_on(s3_server, (struct fault_match){.method = "PUT", .path = "/b/to"},
             (struct fault){
                 .status = 200, .hook = replace_source, .body = copied, .body_size = sizeof copied - 1});
    s3_answer("DELETE", "/b/to", 0, 204, NULL, NULL);
    assert_status(-ESTALE, larder_cp_file(store, "from", store, "to", 0, NULL, NULL));
    assert_non_null(strstr(larder_error(), "changed while it was copied"));
    assert_int_equal(fault_count(s3_server, "POST", "/b/to"), 1); /* not completed */
    assert_int_equal(fault_count(s3_server, "DELETE", "/b/to"), 1);
    larder_fs_free(store);
}

/* Parts of one byte would be 10,001. */
static void the_parts_of_a_copy_grow_to_fit_ten_thousand(void **state)
{
    static const char *const options[] = {"copy_size_max=1", "copy_part_size=1", NULL};
    static const char copied[] = XML("CopyPartResult", "<ETag>\"e\"</ETag>");
    enum { SIZE = 10001, PARTS = 5001 };
    const char *last = "";
    struct larder_fs *store = s3_open_store(options);
    fault_file_content(s3_server, "/b/from", SIZE, 1, NULL);
    s3_answer("POST", "/b/to", 1, 200, NULL, XML("InitiateMultipartUploadResult", "<UploadId>id</UploadId>"));
    s3_answer("PUT", "/b/to", 0, 200, NULL, copied);
    s3_answer("GET", "/b/to", 1, 403, NULL, ERROR("AccessDenied")); /* enough was seen */
    s3_answer("DELETE", "/b/to", 0, 204, NULL, NULL);
    assert_status(-EACCES, larder_cp_file(store, "from", store, "to", 0, NULL, NULL));
    assert_int_equal(fault_count(s3_server, "PUT", "/b/to"), PARTS);
    assert_int_equal(s3_count_targets("partNumber=5001"), 1);
    const struct fault_request *request;
    for (size_t i = 0; (request = fault_request(s3_server, i)); i++)
        if (strstr(request->target, "partNumber=5001"))
            last = fault_request_header(request, "x-amz-copy-source-range");
    assert_string_equal(last, "bytes=10000-10000");
    larder_fs_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, s3_setup, s3_teardown)
        TEST(an_error_behind_the_200_of_a_completion_is_tried_again),
        TEST(an_error_that_stays_drops_the_upload),
        TEST(no_such_upload_after_success_is_success),
        TEST(no_such_upload_without_success_is_a_failure),
        TEST(where_nobody_answers_any_more_nothing_is_claimed),
        TEST(an_abort_is_repeated_until_no_part_is_left),
        TEST(an_abort_says_when_parts_stay_and_when_that_is_not_known),
        TEST(a_cancelled_write_drops_its_upload),
        TEST(a_200_with_an_error_in_it_is_that_error_of_a_part_too),
        TEST(a_copy_in_parts_is_of_one_version_whatever_the_server_checks),
        TEST(the_parts_of_a_copy_grow_to_fit_ten_thousand),
    };
    s3_prepare_tests();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
