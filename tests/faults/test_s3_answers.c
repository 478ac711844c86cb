/* SPDX-License-Identifier: Apache-2.0 */
/* S3 by the fault server, which plays what no real server does when it is asked to. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "larder.h"

#include "base/digest.h"
#include "fault_server.h"
#include "jump_clock.h"
#include "tmpdir.h"
#include "tree.h"

static struct fault_server *server, *other;
static struct larder_fs *fs; /* bucket "b" */

static struct larder_fs *open_store(const char *const more[])
{
    char endpoint[128];
    const char *options[8] = {endpoint, "access_key=AK", "secret_key=SK", "region=us-east-1"};
    struct larder_fs *store;
    snprintf(endpoint, sizeof endpoint, "endpoint=%s", fault_server_url(server));
    for (size_t i = 0; more && more[i]; i++)
        options[4 + i] = more[i];
    assert_ok(larder_open(NULL, "s3://b", options, &store, NULL));
    return store;
}

static int setup(void **state)
{
    server = fault_server_start();
    other = fault_server_start();
    fault_writable(server);
    fault_writable(other);
    fs = open_store(NULL);
    jump_clock_forget();
    return 0;
}

static int teardown(void **state)
{
    larder_fs_free(fs);
    fault_server_stop(server);
    fault_server_stop(other);
    return 0;
}

/* The next `count` (0: all) such requests are answered so. */
static void answer(const char *method, const char *path, unsigned count, int status, const char *headers,
                   const char *body)
{
    fault_on(server, (struct fault_match){.method = method, .path = path, .count = count},
             (struct fault){
                 .status = status, .headers = headers, .body = body, .body_size = body ? strlen(body) : 0});
}

#define ERROR(code)     "<?xml version=\"1.0\"?><Error><Code>" code "</Code><Message>because</Message></Error>"
#define XML(name, text) "<?xml version=\"1.0\"?><" name ">" text "</" name ">"

static const char *sent_header(size_t index, const char *name)
{
    const struct fault_request *request = fault_request(server, index);
    assert_non_null(request);
    return fault_request_header(request, name);
}

static int put(const char *path, unsigned flags)
{
    return larder_pipe_file(fs, path, "text", 4, flags);
}

/* ---- what may pass ---- */

static void slow_down_is_waited_for_and_told_when_it_goes_on(void **state)
{
    fault_file_text(server, "/b/f", "x");
    answer("GET", "/b/f", 3, 503, NULL, ERROR("SlowDown"));
    struct larder_bytes bytes;
    assert_ok(larder_cat_file(fs, "f", NULL, &bytes));
    larder_bytes_free(&bytes);
    assert_int_equal(fault_count(server, "GET", "/b/f"), 4);
    answer("GET", "/b/f", 0, 503, "Retry-After: 1\r\n", ERROR("SlowDown"));
    fault_forget(server);
    assert_status(-EBUSY, larder_cat_file(fs, "f", NULL, &bytes));
    assert_non_null(strstr(larder_error(), "SlowDown"));
    assert_int_equal(fault_count(server, "GET", "/b/f"), 5);
}

static void what_arrived_damaged_is_sent_again(void **state)
{
    answer("PUT", "/b/f", 1, 400, NULL, ERROR("BadDigest"));
    answer("PUT", "/b/f", 1, 400, NULL, ERROR("XAmzContentSHA256Mismatch"));
    assert_ok(put("f", 0));
    assert_int_equal(fault_count(server, "PUT", "/b/f"), 3);
    unsigned char hash[DIGEST_SIZE_MAX];
    char hex[HEX_SIZE(SHA256_SIZE)];
    assert_ok(digest_of(DIGEST_SHA256, "text", 4, hash));
    hex_format(hash, SHA256_SIZE, hex);
    assert_string_equal(sent_header(0, "x-amz-content-sha256"), hex);
}

/* ---- elsewhere ---- */

static void a_temporary_redirect_is_followed_signed_for_where_it_leads(void **state)
{
    char location[256];
    snprintf(location, sizeof location, "Location: %s/b/f\r\n", fault_server_url(other));
    answer("PUT", "/b/f", 1, 307, location, ERROR("TemporaryRedirect"));
    assert_ok(put("f", 0));
    assert_int_equal(fault_count(other, "PUT", "/b/f"), 1);
    const struct fault_request *request = fault_request(other, 0);
    assert_int_equal(request->body_size, 4);
    assert_string_equal(fault_request_header(request, "Host"), strstr(fault_server_url(other), "127"));
    assert_non_null(fault_request_header(request, "Authorization"));
    assert_string_not_equal(fault_request_header(request, "Authorization"), sent_header(0, "Authorization"));
    assert_ok(put("f", 0)); /* that was for once */
    assert_int_equal(fault_count(other, NULL, NULL), 1);
}

/* Of another host nobody knows that it is the same people's. What was asked goes there as the answer says, and nothing of the keys. */
static void a_redirect_to_a_foreign_host_takes_no_keys_along(void **state)
{
    static const char *const options[] = {"session_token=TOKEN", NULL};
    struct larder_fs *store = open_store(options);
    struct larder_bytes bytes;
    char location[256];
    snprintf(location, sizeof location, "Location: http://localhost:%u/elsewhere/f?Signature=abc\r\n",
             fault_server_port(other));
    answer("GET", "/b/f", 1, 307, location, ERROR("TemporaryRedirect"));
    fault_file_text(other, "/elsewhere/f", "foreign");
    assert_ok(larder_cat_file(store, "f", NULL, &bytes));
    assert_int_equal(bytes.size, 7);
    larder_bytes_free(&bytes);
    assert_non_null(sent_header(0, "x-amz-security-token"));
    const struct fault_request *request = fault_request(other, 0);
    assert_string_equal(request->target, "/elsewhere/f?Signature=abc");
    assert_null(fault_request_header(request, "Authorization"));
    assert_null(fault_request_header(request, "x-amz-security-token"));
    larder_fs_free(store);
}

static void redirects_without_an_end_are_told(void **state)
{
    char location[256];
    snprintf(location, sizeof location, "Location: %s/b/f\r\n", fault_server_url(server));
    answer("PUT", "/b/f", 0, 307, location, ERROR("TemporaryRedirect"));
    assert_status(-ELOOP, put("f", 0));
    assert_true(fault_count(server, "PUT", "/b/f") < 10);
}

static void a_bucket_in_another_region_is_found_and_remembered(void **state)
{
    struct larder_bytes bytes;
    fault_file_text(server, "/b/f", "x");
    answer("GET", "/b/f", 1, 301, "x-amz-bucket-region: eu-west-9\r\n", ERROR("PermanentRedirect"));
    assert_ok(larder_cat_file(fs, "f", NULL, &bytes));
    larder_bytes_free(&bytes);
    assert_non_null(strstr(sent_header(0, "Authorization"), "/us-east-1/s3/"));
    assert_non_null(strstr(sent_header(1, "Authorization"), "/eu-west-9/s3/"));
    assert_ok(larder_cat_file(fs, "f", NULL, &bytes));
    larder_bytes_free(&bytes);
    assert_non_null(strstr(sent_header(2, "Authorization"), "/eu-west-9/s3/"));
    assert_null(fault_request(server, 3));
}

/* A region is part of a host: one that is none is not believed. */
static void a_region_that_cannot_be_one_is_not_taken(void **state)
{
    struct larder_bytes bytes;
    answer("GET", "/b/f", 0, 301, "x-amz-bucket-region: x.example/\r\n", ERROR("PermanentRedirect"));
    assert_true(larder_cat_file(fs, "f", NULL, &bytes) < 0);
    assert_non_null(strstr(larder_error(), "PermanentRedirect"));
    assert_int_equal(fault_count(server, NULL, NULL), 1);
}

/* The answer to a HEAD has no document: a GET of the first byte is refused for the same reason. */
static void a_head_that_is_refused_without_a_word_is_explained_by_a_get(void **state)
{
    struct larder_info info;
    fault_file_text(server, "/b/f", "xyz");
    answer("HEAD", "/b/f", 1, 400, NULL, NULL);
    answer("GET", "/b/f", 1, 400, NULL,
           XML("Error", "<Code>AuthorizationHeaderMalformed</Code><Region>ap-south-7</Region>"));
    assert_ok(larder_info(fs, "f", &info));
    assert_int_equal(info.size, 3);
    larder_info_free(&info);
    assert_int_equal(fault_count(server, NULL, NULL), 3);
    assert_non_null(strstr(sent_header(2, "Authorization"), "/ap-south-7/s3/"));
    answer("HEAD", "/b/g", 0, 400, NULL, NULL);
    answer("GET", "/b/g", 0, 400, NULL, ERROR("InvalidArgument"));
    assert_true(larder_info(fs, "g", &info) < 0);
    assert_non_null(strstr(larder_error(), "InvalidArgument"));
}

/* ---- when, and with which keys ---- */

/* An hour ahead of ours. */
static void date_ahead(char out[64])
{
    time_t ahead = time(NULL) + 3600;
    struct tm parts;
    gmtime_r(&ahead, &parts);
    strftime(out, 64, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
}

static void assert_ahead(size_t index)
{
    struct tm parts = {0};
    const char *date = sent_header(index, "x-amz-date");
    assert_int_equal(sscanf(date, "%4d%2d%2dT%2d%2d%2dZ", &parts.tm_year, &parts.tm_mon, &parts.tm_mday,
                            &parts.tm_hour, &parts.tm_min, &parts.tm_sec),
                     6);
    parts.tm_year -= 1900;
    parts.tm_mon--;
    assert_true(timegm(&parts) - time(NULL) > 3000);
}

static void a_clock_is_corrected_by_a_refusal(void **state)
{
    char date[64];
    struct larder_bytes bytes;
    date_ahead(date);
    fault_file_text(server, "/b/f", "x");
    answer("GET", "/b/f", 1, 403, date, ERROR("RequestTimeTooSkewed"));
    assert_ok(larder_cat_file(fs, "f", NULL, &bytes));
    larder_bytes_free(&bytes);
    assert_int_equal(fault_count(server, NULL, NULL), 2);
    assert_ahead(1);
    answer("GET", "/b/f", 0, 403, date, ERROR("RequestTimeTooSkewed")); /* that was no reason, then */
    assert_status(-EACCES, larder_cat_file(fs, "f", NULL, &bytes));
    assert_int_equal(fault_count(server, NULL, NULL), 3);
}

static void a_clock_is_corrected_by_what_refuses_a_head(void **state)
{
    char date[64];
    struct larder_info info;
    date_ahead(date);
    fault_file_text(server, "/b/f", "x");
    answer("HEAD", "/b/f", 1, 403, NULL, NULL);
    answer("GET", "/b/f", 1, 403, date, ERROR("RequestTimeTooSkewed"));
    assert_ok(larder_info(fs, "f", &info));
    larder_info_free(&info);
    assert_int_equal(fault_count(server, NULL, NULL), 3);
    assert_ahead(2);
}

static void keys_that_are_refused_as_expired_are_fetched_anew(void **state)
{
    static const char first[] = "{\"AccessKeyId\":\"A1\",\"SecretAccessKey\":\"S\",\"Token\":\"T1\","
                                "\"Expiration\":\"2099-01-01T00:00:00Z\"}";
    static const char second[] = "{\"AccessKeyId\":\"A2\",\"SecretAccessKey\":\"S\",\"Token\":\"T2\","
                                 "\"Expiration\":\"2099-01-01T00:00:00Z\"}";
    char endpoint[128], keys[160];
    const char *const options[] = {endpoint, NULL};
    struct larder_bytes bytes;
    struct larder_fs *store;
    snprintf(endpoint, sizeof endpoint, "endpoint=%s", fault_server_url(server));
    snprintf(keys, sizeof keys, "%s/keys", fault_server_url(server));
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", keys, 1);
    assert_ok(larder_open(NULL, "s3://b", options, &store, NULL));
    fault_file_text(server, "/b/f", "x");
    answer("GET", "/keys", 1, 200, NULL, first);
    answer("GET", "/keys", 0, 200, NULL, second);
    answer("GET", "/b/f", 1, 400, NULL, ERROR("ExpiredToken"));
    assert_ok(larder_cat_file(store, "f", NULL, &bytes));
    larder_bytes_free(&bytes);
    assert_int_equal(fault_count(server, "GET", "/keys"), 2);
    assert_string_equal(sent_header(1, "x-amz-security-token"), "T1");
    assert_string_equal(sent_header(3, "x-amz-security-token"), "T2");
    /* And where that does not help, it is not done again and again. */
    answer("GET", "/b/f", 0, 400, NULL, ERROR("ExpiredToken"));
    assert_status(-EACCES, larder_cat_file(store, "f", NULL, &bytes));
    assert_int_equal(fault_count(server, "GET", "/keys"), 3);
    larder_fs_free(store);
    fault_forget(server);
    assert_status(-EACCES, larder_cat_file(fs, "f", NULL, &bytes)); /* given keys are all there are */
    assert_int_equal(fault_count(server, NULL, NULL), 1);
    unsetenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(slow_down_is_waited_for_and_told_when_it_goes_on),
        TEST(what_arrived_damaged_is_sent_again),
        TEST(a_temporary_redirect_is_followed_signed_for_where_it_leads),
        TEST(a_redirect_to_a_foreign_host_takes_no_keys_along),
        TEST(redirects_without_an_end_are_told),
        TEST(a_bucket_in_another_region_is_found_and_remembered),
        TEST(a_region_that_cannot_be_one_is_not_taken),
        TEST(a_head_that_is_refused_without_a_word_is_explained_by_a_get),
        TEST(a_clock_is_corrected_by_a_refusal),
        TEST(a_clock_is_corrected_by_what_refuses_a_head),
        TEST(keys_that_are_refused_as_expired_are_fetched_anew),
    };
    unsetenv("AWS_ENDPOINT_URL_S3");
    unsetenv("AWS_ACCESS_KEY_ID");
    setenv("HOME", "/nonexistent", 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    jump_clock_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
