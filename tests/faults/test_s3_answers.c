/* SPDX-License-Identifier: Apache-2.0 */
/* What S3 servers answer that is not what was asked for, and may be had all the same. */
#include "s3_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/digest.h"
#include "path_ops.h"
#include "tmpdir.h"
#include "tree.h"

/* ---- what may pass ---- */

static void slow_down_is_waited_for_and_told_when_it_goes_on(void **state)
{
    fault_file_text(s3_server, "/b/f", "x");
    s3_answer("GET", "/b/f", 3, 503, NULL, ERROR("SlowDown"));
    struct larder_bytes bytes;
    assert_ok(larder_cat_file(s3_fs, "f", NULL, &bytes));
    larder_bytes_free(&bytes);
    assert_int_equal(fault_count(s3_server, "GET", "/b/f"), 4);
    s3_answer("GET", "/b/f", 0, 503, "Retry-After: 1\r\n", ERROR("SlowDown"));
    fault_forget(s3_server);
    assert_status(-EBUSY, larder_cat_file(s3_fs, "f", NULL, &bytes));
    assert_non_null(strstr(larder_error(), "SlowDown"));
    assert_int_equal(fault_count(s3_server, "GET", "/b/f"), 5);
}

static void what_arrived_damaged_is_sent_again(void **state)
{
    s3_answer("PUT", "/b/f", 1, 400, NULL, ERROR("BadDigest"));
    s3_answer("PUT", "/b/f", 1, 400, NULL, ERROR("XAmzContentSHA256Mismatch"));
    assert_ok(s3_put("f", 0));
    assert_int_equal(fault_count(s3_server, "PUT", "/b/f"), 3);
    unsigned char hash[DIGEST_SIZE_MAX];
    char hex[HEX_SIZE(SHA256_SIZE)];
    assert_ok(digest_of(DIGEST_SHA256, "text", 4, hash));
    hex_format(hash, SHA256_SIZE, hex);
    assert_string_equal(s3_sent_header(0, "x-amz-content-sha256"), hex);
}

/* ---- elsewhere ---- */

static void a_temporary_redirect_is_followed_signed_for_where_it_leads(void **state)
{
    char location[256];
    snprintf(location, sizeof location, "Location: %s/b/f\r\n", fault_server_url(s3_other));
    s3_answer("PUT", "/b/f", 1, 307, location, ERROR("TemporaryRedirect"));
    assert_ok(s3_put("f", 0));
    assert_int_equal(fault_count(s3_other, "PUT", "/b/f"), 1);
    const struct fault_request *request = fault_request(s3_other, 0);
    assert_int_equal(request->body_size, 4);
    assert_string_equal(fault_request_header(request, "Host"), strstr(fault_server_url(s3_other), "127"));
    assert_non_null(fault_request_header(request, "Authorization"));
    assert_string_not_equal(fault_request_header(request, "Authorization"),
                            s3_sent_header(0, "Authorization"));
    assert_ok(s3_put("f", 0)); /* that was for once */
    assert_int_equal(fault_count(s3_other, NULL, NULL), 1);
}

/* Of another host nobody knows that it is the same people's. What was asked goes there as the answer says, and nothing of the keys. */
static void a_redirect_to_a_foreign_host_takes_no_keys_along(void **state)
{
    static const char *const options[] = {"session_token=TOKEN", NULL};
    struct larder_fs *store = s3_open_store(options);
    struct larder_bytes bytes;
    char location[256];
    snprintf(location, sizeof location, "Location: http://localhost:%u/elsewhere/f?Signature=abc\r\n",
             fault_server_port(s3_other));
    s3_answer("GET", "/b/f", 1, 307, location, ERROR("TemporaryRedirect"));
    fault_file_text(s3_other, "/elsewhere/f", "foreign");
    assert_ok(larder_cat_file(store, "f", NULL, &bytes));
    assert_int_equal(bytes.size, 7);
    larder_bytes_free(&bytes);
    assert_non_null(s3_sent_header(0, "x-amz-security-token"));
    const struct fault_request *request = fault_request(s3_other, 0);
    assert_string_equal(request->target, "/elsewhere/f?Signature=abc");
    assert_null(fault_request_header(request, "Authorization"));
    assert_null(fault_request_header(request, "x-amz-security-token"));
    larder_fs_free(store);
}

static void redirects_without_an_end_are_told(void **state)
{
    char location[256];
    snprintf(location, sizeof location, "Location: %s/b/f\r\n", fault_server_url(s3_server));
    s3_answer("PUT", "/b/f", 0, 307, location, ERROR("TemporaryRedirect"));
    assert_status(-ELOOP, s3_put("f", 0));
    assert_true(fault_count(s3_server, "PUT", "/b/f") < 10);
}

static void a_bucket_in_another_region_is_found_and_remembered(void **state)
{
    struct larder_bytes bytes;
    fault_file_text(s3_server, "/b/f", "x");
    s3_answer("GET", "/b/f", 1, 301, "x-amz-bucket-region: eu-west-9\r\n", ERROR("PermanentRedirect"));
    assert_ok(larder_cat_file(s3_fs, "f", NULL, &bytes));
    larder_bytes_free(&bytes);
    assert_non_null(strstr(s3_sent_header(0, "Authorization"), "/us-east-1/s3/"));
    assert_non_null(strstr(s3_sent_header(1, "Authorization"), "/eu-west-9/s3/"));
    assert_ok(larder_cat_file(s3_fs, "f", NULL, &bytes));
    larder_bytes_free(&bytes);
    assert_non_null(strstr(s3_sent_header(2, "Authorization"), "/eu-west-9/s3/"));
    assert_null(fault_request(s3_server, 3));
}

/* A region is part of a host: one that is none is not believed. */
static void a_region_that_cannot_be_one_is_not_taken(void **state)
{
    struct larder_bytes bytes;
    s3_answer("GET", "/b/f", 0, 301, "x-amz-bucket-region: x.example/\r\n", ERROR("PermanentRedirect"));
    assert_true(larder_cat_file(s3_fs, "f", NULL, &bytes) < 0);
    assert_non_null(strstr(larder_error(), "PermanentRedirect"));
    assert_int_equal(fault_count(s3_server, NULL, NULL), 1);
}

/* The answer to a HEAD has no document: a GET of the first byte is refused for the same reason. */
static void a_head_that_is_refused_without_a_word_is_explained_by_a_get(void **state)
{
    struct larder_info info;
    fault_file_text(s3_server, "/b/f", "xyz");
    s3_answer("HEAD", "/b/f", 1, 400, NULL, NULL);
    s3_answer("GET", "/b/f", 1, 400, NULL,
              XML("Error", "<Code>AuthorizationHeaderMalformed</Code><Region>ap-south-7</Region>"));
    assert_ok(larder_info(s3_fs, "f", &info));
    assert_int_equal(info.size, 3);
    larder_info_free(&info);
    assert_int_equal(fault_count(s3_server, NULL, NULL), 3);
    assert_non_null(strstr(s3_sent_header(2, "Authorization"), "/ap-south-7/s3/"));
    s3_answer("HEAD", "/b/g", 0, 400, NULL, NULL);
    s3_answer("GET", "/b/g", 0, 400, NULL, ERROR("InvalidArgument"));
    assert_true(larder_info(s3_fs, "g", &info) < 0);
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
    const char *date = s3_sent_header(index, "x-amz-date");
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
    fault_file_text(s3_server, "/b/f", "x");
    s3_answer("GET", "/b/f", 1, 403, date, ERROR("RequestTimeTooSkewed"));
    assert_ok(larder_cat_file(s3_fs, "f", NULL, &bytes));
    larder_bytes_free(&bytes);
    assert_int_equal(fault_count(s3_server, NULL, NULL), 2);
    assert_ahead(1);
    s3_answer("GET", "/b/f", 0, 403, date, ERROR("RequestTimeTooSkewed")); /* that was no reason, then */
    assert_status(-EACCES, larder_cat_file(s3_fs, "f", NULL, &bytes));
    assert_int_equal(fault_count(s3_server, NULL, NULL), 3);
}

static void a_clock_is_corrected_by_what_refuses_a_head(void **state)
{
    char date[64];
    struct larder_info info;
    date_ahead(date);
    fault_file_text(s3_server, "/b/f", "x");
    s3_answer("HEAD", "/b/f", 1, 403, NULL, NULL);
    s3_answer("GET", "/b/f", 1, 403, date, ERROR("RequestTimeTooSkewed"));
    assert_ok(larder_info(s3_fs, "f", &info));
    larder_info_free(&info);
    assert_int_equal(fault_count(s3_server, NULL, NULL), 3);
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
    snprintf(endpoint, sizeof endpoint, "endpoint=%s", fault_server_url(s3_server));
    snprintf(keys, sizeof keys, "%s/keys", fault_server_url(s3_server));
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", keys, 1);
    assert_ok(larder_open(NULL, "s3://b", options, &store, NULL));
    fault_file_text(s3_server, "/b/f", "x");
    s3_answer("GET", "/keys", 1, 200, NULL, first);
    s3_answer("GET", "/keys", 0, 200, NULL, second);
    s3_answer("GET", "/b/f", 1, 400, NULL, ERROR("ExpiredToken"));
    assert_ok(larder_cat_file(store, "f", NULL, &bytes));
    larder_bytes_free(&bytes);
    assert_int_equal(fault_count(s3_server, "GET", "/keys"), 2);
    assert_string_equal(s3_sent_header(1, "x-amz-security-token"), "T1");
    assert_string_equal(s3_sent_header(3, "x-amz-security-token"), "T2");
    /* And where that does not help, it is not done again and again. */
    s3_answer("GET", "/b/f", 0, 400, NULL, ERROR("ExpiredToken"));
    assert_status(-EACCES, larder_cat_file(store, "f", NULL, &bytes));
    assert_int_equal(fault_count(s3_server, "GET", "/keys"), 3);
    larder_fs_free(store);
    fault_forget(s3_server);
    assert_status(-EACCES, larder_cat_file(s3_fs, "f", NULL, &bytes)); /* given keys are all there are */
    assert_int_equal(fault_count(s3_server, NULL, NULL), 1);
    unsetenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
}

/* ---- listings ---- */

#define LISTING(more) XML("ListBucketResult", more)
#define ENTRY(key)    "<Contents><Key>" key "</Key><Size>1</Size></Contents>"

static int list(struct larder_entries *entries)
{
    fault_forget(s3_server);
    return larder_ls(s3_fs, "d", entries);
}

static void tokens_are_opaque_and_keys_are_decoded(void **state)
{
    struct larder_entries entries;
    s3_answer("GET", "/b", 1, 200, NULL,
              LISTING("<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
                      "<NextContinuationToken>a+b/=&amp;%41 &#233;</NextContinuationToken>" ENTRY(
                          "d/%01%0A%25+%2B") ENTRY("d/") ENTRY("d/..")));
    s3_answer("GET", "/b", 1, 200, NULL,
              LISTING("<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"
                      "<CommonPrefixes><Prefix>d/sub%C3%A9/</Prefix></CommonPrefixes>" ENTRY("d/plain")));
    assert_ok(list(&entries));
    assert_int_equal(entries.count, 3);
    assert_string_equal(entries.info[0].name, "\001\n% +");
    assert_string_equal(entries.info[1].name, "plain");
    assert_string_equal(entries.info[2].name, "sub\xc3\xa9");
    assert_int_equal(entries.info[2].type, LARDER_DIRECTORY);
    larder_entries_free(&entries);
    assert_int_equal(s3_count_targets("continuation-token=a%2Bb%2F%3D%26%2541%20%C3%A9"), 1);
}

static void keys_of_a_server_that_does_not_encode_are_as_they_are(void **state)
{
    struct larder_entries entries;
    s3_answer("GET", "/b", 1, 200, NULL,
              LISTING("<IsTruncated>false</IsTruncated>" ENTRY("d/a%20b+c") ENTRY("d/&amp;&#9;")));
    assert_ok(list(&entries));
    assert_int_equal(entries.count, 2);
    assert_string_equal(entries.info[0].name, "&\t");
    assert_string_equal(entries.info[1].name, "a%20b+c");
    larder_entries_free(&entries);
}

static void a_listing_that_cannot_be_is_none(void **state)
{
    static const char *const bodies[] = {
        LISTING("<IsTruncated>true</IsTruncated>"),
        LISTING("<IsTruncated>perhaps</IsTruncated>"),
        LISTING(""),
        LISTING("<IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken>"),
        LISTING("<IsTruncated>false</IsTruncated><Contents><Size>1</Size></Contents>"),
        LISTING("<IsTruncated>false</IsTruncated>" ENTRY("other/a")),
        "<html><body>Welcome</body></html>",
        "<ListBucketResult><IsTruncated>false</IsTruncated>",
        "not XML",
        "",
    };
    struct larder_entries entries;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        fault_clear(s3_server);
        s3_answer("GET", "/b", 0, 200, NULL, bodies[i]);
        assert_status(-EPROTO, list(&entries));
    }
}

/* Entities of a document's own are not looked up: no file of ours, no memory without end. */
static void entities_bring_nothing_in(void **state)
{
    static const char *const bodies[] = {
        "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>" LISTING(
            "<IsTruncated>false</IsTruncated><Contents><Key>d/a&e;</Key><Size>1</Size></Contents>"),
        "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\">"
        "<!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">"
        "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;\">"
        "<!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;\">"
        "<!ENTITY e \"&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;\">]>" LISTING(
            "<IsTruncated>false</IsTruncated><Contents><Key>d/a&e;</Key><Size>1</Size></Contents>"),
    };
    for (size_t i = 0; i < 2; i++) {
        struct larder_entries entries = {0};
        fault_clear(s3_server);
        s3_answer("GET", "/b", 0, 200, NULL, bodies[i]);
        assert_status(-EPROTO, list(&entries));
    }
}

/* ---- reading ---- */

static void a_body_that_is_cut_goes_on_only_in_the_same_version(void **state)
{
    struct larder_bytes bytes;
    fault_file_content(s3_server, "/b/f", 100000, 1, "\"v1\"");
    fault_on(s3_server, (struct fault_match){.method = "GET", .path = "/b/f", .count = 1},
             (struct fault){.end = FAULT_RESET, .at = 50000});
    assert_ok(larder_cat_file(s3_fs, "f", NULL, &bytes));
    assert_int_equal(bytes.size, 100000);
    assert_true(content_matches(bytes.data, bytes.size, 1, 0));
    larder_bytes_free(&bytes);
    assert_string_equal(s3_sent_header(1, "If-Range"), "\"v1\"");
    /* A server that knows no If-Range and sends the rest of another version. */
    fault_forget(s3_server);
    fault_on(s3_server, (struct fault_match){.method = "GET", .path = "/b/f", .count = 1},
             (struct fault){.end = FAULT_RESET, .at = 50000});
    fault_on(s3_server, (struct fault_match){.method = "GET", .path = "/b/f", .count = 1},
             (struct fault){.headers = "ETag: \"v2\"\r\n", .flags = FAULT_NO_CONDITIONS});
    assert_ok(larder_cat_file(s3_fs, "f", NULL, &bytes));
    assert_true(content_matches(bytes.data, bytes.size, 1, 0));
    larder_bytes_free(&bytes);
    assert_int_equal(fault_count(s3_server, "GET", "/b/f"), 3);
}

/* A key may be a directory's path as well: a slash behind it says which is meant. */
static void a_slash_behind_a_key_means_the_directory(void **state)
{
    static const char *const reads[] = {"cat_file", "cat",        "cat_into",    "cat_to",
                                        "open r",   "read_block", "cp_file from"};
    struct larder_item item = {.path = "t/"};
    int64_t size;
    fault_file_text(s3_server, "/b/t", "a key");
    fault_file_text(s3_server, "/b/f", "a key");
    s3_answer("GET", "/b", 2, 200, NULL, LISTING(""));
    assert_int_equal(larder_isfile(s3_fs, "f/"), 1);
    assert_int_equal(larder_exists(s3_fs, "none/"), 0);
    s3_answer("GET", "/b", 0, 200, NULL, LISTING(ENTRY("t/x")));
    assert_int_equal(larder_isfile(s3_fs, "t"), 1);
    assert_int_equal(larder_isdir(s3_fs, "t/"), 1);
    assert_ok(larder_sizes(s3_fs, &item, 1, &size, NULL));
    assert_int_equal(size, 0);
    for (size_t i = 0; i < sizeof reads / sizeof reads[0]; i++) {
        const struct path_op *op = path_op_find(reads[i]);
        assert_ok(op->call(s3_fs, "t", "/"));
        assert_status(-EISDIR, op->call(s3_fs, "t/", "/"));
        assert_string_equal(larder_error(), "s3://b/t: a directory");
    }
    assert_status(-EISDIR, larder_rm_file(s3_fs, "t/"));
}

static void no_removal_of_a_directory_takes_its_key(void **state)
{
    static const char *const path = "t/";
    const struct larder_rm_options one = {.size = sizeof one};
    const struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_RETURN};
    struct larder_item items[] = {{.path = path}, {.path = "f"}};
    fault_file_text(s3_server, "/b/t", "a key");
    fault_file_text(s3_server, "/b/f", "a key");
    s3_answer("GET", "/b", 0, 200, NULL, LISTING(ENTRY("t/x")));
    s3_answer("POST", "/b", 0, 200, NULL, XML("DeleteResult", ""));
    assert_int_equal(larder_rm_files(s3_fs, items, 2, &batch), 1);
    assert_int_equal(items[0].status, -EISDIR);
    assert_int_equal(items[1].status, 0);
    assert_status(-EISDIR, larder_rm_files(s3_fs, items, 1, NULL));
    assert_status(-EISDIR, larder_rm_paths(s3_fs, &path, 1, &one));
    const struct fault_request *request;
    for (size_t i = 0; (request = fault_request(s3_server, i)); i++)
        assert_false(request->body_size > 0 && memmem(request->body, request->body_size, "<Key>t<", 7));
    assert_int_equal(fault_count(s3_server, "DELETE", "/b/t"), 0);
}

static void what_nobody_knows_to_be_a_file_is_not_removed(void **state)
{
    struct larder_item item = {.path = "t/"};
    struct larder_bytes bytes;
    fault_file_text(s3_server, "/b/t", "a key");
    s3_answer("GET", "/b", 0, 403, NULL, ERROR("AccessDenied"));
    s3_answer("POST", "/b", 0, 200, NULL, XML("DeleteResult", ""));
    assert_status(-EACCES, larder_rm_file(s3_fs, "t/"));
    assert_status(-EACCES, larder_rm_files(s3_fs, &item, 1, NULL));
    assert_int_equal(fault_count(s3_server, "DELETE", NULL) + fault_count(s3_server, "POST", NULL), 0);
    assert_ok(larder_cat_file(s3_fs, "t/", NULL, &bytes));
    larder_bytes_free(&bytes);
}

static void a_copy_asks_once_what_a_slash_means(void **state)
{
    char *to = tmpdir_make(), *target = tmpdir_path(to, "f");
    fault_file_text(s3_server, "/b/f", "a key");
    s3_answer("GET", "/b", 0, 200, NULL, LISTING(""));
    assert_ok(larder_get_file(s3_fs, "f/", target, 0, NULL, NULL));
    assert_int_equal(fault_count(s3_server, "GET", "/b"), 1);
    assert_int_equal(fault_count(s3_server, "GET", "/b/f"), 1);
    free(target);
    tmpdir_remove(to);
}

static void assert_cat(struct larder_fs *fs, const char *path)
{
    struct larder_bytes bytes;
    assert_ok(larder_cat_file(fs, path, NULL, &bytes));
    assert_int_equal(bytes.size, 5);
    larder_bytes_free(&bytes);
}

static void a_cached_key_stays_when_its_directory_is_asked_about(void **state)
{
    static const char *const ttl[] = {"ttl=60", NULL}, *const offline[] = {"mode=offline", NULL};
    char *place = tmpdir_make(), option[128];
    struct larder_cache *cache;
    struct larder_fs *fs, *kept;
    struct larder_bytes bytes;
    snprintf(option, sizeof option, "dir=%s/cache", place);
    assert_ok(larder_cache_open((const char *const[]){option, NULL}, &cache));
    assert_ok(larder_cache_fs(cache, s3_fs, ttl, &fs));
    assert_ok(larder_cache_fs(cache, s3_fs, offline, &kept));
    fault_file_text(s3_server, "/b/t", "a key");
    s3_answer("GET", "/b", 0, 200, NULL, LISTING(ENTRY("t/x")));
    assert_cat(fs, "t");
    assert_ok(larder_cache_flush(cache));
    assert_int_equal(larder_isdir(fs, "t/"), 1);
    assert_status(-EISDIR, larder_cat_file(fs, "t/", NULL, &bytes));
    assert_ok(larder_cache_flush(cache));
    assert_cat(fs, "t");
    assert_cat(kept, "t");
    assert_int_equal(fault_count(s3_server, "GET", "/b/t"), 1);
    larder_fs_free(kept);
    larder_fs_free(fs);
    larder_cache_free(cache);
    tmpdir_remove(place);
}

static void a_key_is_left_when_a_transaction_removed_all_below_it(void **state)
{
    char *journal = tmpdir_make(), option[128];
    struct larder_txn *txn;
    struct larder_fs *view;
    snprintf(option, sizeof option, "journal=%s", journal);
    assert_ok(larder_txn_begin((const char *const[]){option, NULL}, &txn));
    assert_ok(larder_txn_fs(txn, s3_fs, &view));
    fault_file_text(s3_server, "/b/t", "a key");
    fault_file_text(s3_server, "/b/t/x", "1");
    s3_answer("GET", "/b", 0, 200, NULL, LISTING("<IsTruncated>false</IsTruncated>" ENTRY("t/x")));
    assert_int_equal(larder_isdir(view, "t/"), 1);
    assert_ok(larder_rm_file(view, "t/x"));
    assert_int_equal(larder_isfile(view, "t"), 1);
    assert_int_equal(larder_isfile(view, "t/"), 1);
    assert_cat(view, "t/");
    larder_fs_free(view);
    larder_txn_rollback(txn);
    tmpdir_remove(journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, s3_setup, s3_teardown)
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
        TEST(tokens_are_opaque_and_keys_are_decoded),
        TEST(keys_of_a_server_that_does_not_encode_are_as_they_are),
        TEST(a_listing_that_cannot_be_is_none),
        TEST(entities_bring_nothing_in),
        TEST(a_body_that_is_cut_goes_on_only_in_the_same_version),
        TEST(a_slash_behind_a_key_means_the_directory),
        TEST(no_removal_of_a_directory_takes_its_key),
        TEST(what_nobody_knows_to_be_a_file_is_not_removed),
        TEST(a_copy_asks_once_what_a_slash_means),
        TEST(a_cached_key_stays_when_its_directory_is_asked_about),
        TEST(a_key_is_left_when_a_transaction_removed_all_below_it),
    };
    s3_prepare_tests();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
