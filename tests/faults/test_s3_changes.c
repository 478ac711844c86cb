/* SPDX-License-Identifier: Apache-2.0 */
/* What S3 servers make of changes: half an answer, one that is lost, or an error with a 200. */
#include "s3_store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "tree.h"

#define LARGE ((size_t)3 << 20) /* more than is read into memory first */

/* ---- copies ---- */

static void a_200_with_an_error_in_it_is_that_error(void **state)
{
    fault_file_text(s3_server, "/b/from", "x");
    s3_answer("PUT", "/b/to", 2, 200, NULL, ERROR("InternalError"));
    s3_answer("PUT", "/b/to", 1, 200, NULL, XML("CopyObjectResult", "<ETag>\"e\"</ETag>"));
    assert_ok(larder_cp_file(s3_fs, "from", s3_fs, "to", 0, NULL, NULL));
    assert_int_equal(fault_count(s3_server, "PUT", "/b/to"), 3);

    s3_answer("PUT", "/b/to2", 0, 200, NULL, ERROR("AccessDenied"));
    assert_status(-EACCES, larder_cp_file(s3_fs, "from", s3_fs, "to2", 0, NULL, NULL));
    assert_non_null(strstr(larder_error(), "AccessDenied: because"));
    assert_int_equal(fault_count(s3_server, "PUT", "/b/to2"), 1); /* it will be so again */

    s3_answer("PUT", "/b/to3", 0, 200, NULL, "");
    assert_status(-EPROTO, larder_cp_file(s3_fs, "from", s3_fs, "to3", 0, NULL, NULL));
}

static void replace_source(void *arg, const struct fault_request *request)
{
    fault_file_text(s3_server, "/b/from", "9876543210");
}

/* As Swift: of what was uploaded in parts it compares another ETag than the one that it tells. */
static void compare_another_etag(fault_hook_fn *hook)
{
    fault_on(s3_server, (struct fault_match){.method = "PUT", .header = "x-amz-copy-source-if-match"},
             (struct fault){.status = 412,
                            .hook = hook,
                            .body = ERROR("PreconditionFailed"),
                            .body_size = strlen(ERROR("PreconditionFailed"))});
    s3_answer("PUT", NULL, 0, 200, NULL, XML("CopyObjectResult", "<ETag>\"e\"</ETag>"));
}

static void a_copys_condition_that_fails_of_what_is_unchanged_is_left_out(void **state)
{
    fault_file_text(s3_server, "/b/from", "0123456789");
    compare_another_etag(NULL);
    assert_ok(larder_cp_file(s3_fs, "from", s3_fs, "to", 0, NULL, NULL));
    assert_int_equal(fault_count(s3_server, "PUT", "/b/to"), 2);
    assert_int_equal(fault_count(s3_server, "GET", NULL), 0);

    fault_clear(s3_server);
    compare_another_etag(replace_source);
    assert_status(-ESTALE, larder_cp_file(s3_fs, "from", s3_fs, "to2", 0, NULL, NULL));
    assert_int_equal(fault_count(s3_server, "PUT", "/b/to2"), 1);
}

static void refuse_copies(int status, const char *body)
{
    fault_on(s3_server, (struct fault_match){.method = "PUT", .header = "x-amz-copy-source"},
             (struct fault){.status = status, .body = body, .body_size = body ? strlen(body) : 0});
}

static size_t count_copies(void)
{
    const struct fault_request *request;
    size_t count = 0;
    for (size_t i = 0; (request = fault_request(s3_server, i)); i++)
        count += fault_request_header(request, "x-amz-copy-source") != NULL;
    return count;
}

static void assert_text(struct larder_fs *store, const char *path, const char *text)
{
    struct larder_bytes bytes;
    assert_ok(larder_cat_file(store, path, NULL, &bytes));
    assert_int_equal(bytes.size, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.size);
    larder_bytes_free(&bytes);
}

static void where_a_server_does_not_copy_bytes_pass_through_here(void **state)
{
    static const struct {
        int status;
        const char *body;
    } refusals[] = {{501, ERROR("NotImplemented")},
                    {405, ERROR("MethodNotAllowed")},
                    {405, NULL},
                    {501, NULL}};
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        static const char *const options[] = {"skip_instance_cache=true", NULL};
        struct larder_fs *store = s3_open_store(options);
        fault_clear(s3_server);
        fault_forget(s3_server);
        fault_file_text(s3_server, "/b/from", "the bytes");
        fault_file_text(s3_server, "/b/to", "before");
        fault_file_remove(s3_server, "/b/to2");
        refuse_copies(refusals[i].status, refusals[i].body);
        assert_ok(larder_cp_file(store, "from", store, "to", 0, NULL, NULL));
        assert_text(store, "to", "the bytes");
        assert_ok(larder_cp_file(store, "from", store, "to2", LARDER_CREATE, NULL, NULL));
        assert_text(store, "to2", "the bytes");
        assert_status(-EEXIST, larder_cp_file(store, "from", store, "to2", LARDER_CREATE, NULL, NULL));
        assert_int_equal(count_copies(), 1); /* which is remembered */
        larder_fs_free(store);
    }
}

/* Each holds the connection that it reads by; the other would wait for it with its write. */
static void copies_that_pass_through_here_need_one_connection(void **state)
{
    static const char *const options[] = {"max_connections=1", NULL};
    struct larder_fs *store = s3_open_store(options);
    struct larder_copy_pair pairs[] = {{"a", "to/a"}, {"to/b", "b"}, {"c", "to/c"}, {"to/d", "d"}};
    refuse_copies(501, ERROR("NotImplemented"));
    fault_file_content(s3_server, "/b/a", LARGE, 1, NULL);
    fault_file_content(s3_server, "/b/to/b", LARGE, 2, NULL);
    fault_file_content(s3_server, "/b/c", LARGE, 3, NULL);
    fault_file_content(s3_server, "/b/to/d", LARGE, 4, NULL);
    assert_ok(larder_copy_pairs(store, store, pairs, 4, NULL));
    for (uint64_t i = 0; i < 4; i++) {
        struct larder_bytes bytes;
        assert_ok(larder_cat_file(store, pairs[i].to, NULL, &bytes));
        assert_int_equal(bytes.size, LARGE);
        assert_true(content_matches(bytes.data, bytes.size, i + 1, 0));
        larder_bytes_free(&bytes);
    }
    larder_fs_free(store);
}

/* ---- answers that are lost ---- */

/* The request is carried out, as the tree does not: with its metadata. */
static void carry_out(void *arg, const struct fault_request *request)
{
    char headers[128];
    const char *id = fault_request_header(request, "x-amz-meta-larder-write");
    snprintf(headers, sizeof headers, "x-amz-meta-larder-write: %s\r\n", id ? id : "");
    fault_file_set(s3_server, request->path,
                   &(struct fault_file){.data = request->body,
                                        .size = request->body_size,
                                        .etag = "\"made\"",
                                        .headers = headers});
}

static void lose_put(const char *path)
{
    fault_on(s3_server, (struct fault_match){.method = "PUT", .path = path, .count = 1},
             (struct fault){.end = FAULT_RESET, .flags = FAULT_NO_ANSWER, .hook = carry_out});
}

static void what_a_lost_put_made_is_ones_own(void **state)
{
    struct larder_info info;
    lose_put("/b/plain");
    assert_ok(s3_put("plain", 0));
    assert_null(s3_sent_header(0, "x-amz-meta-larder-write"));
    assert_int_equal(fault_count(s3_server, "PUT", "/b/plain"), 2);

    lose_put("/b/new");
    assert_ok(s3_put("new", LARDER_CREATE));
    assert_int_equal(fault_count(s3_server, "PUT", "/b/new"), 2);
    assert_status(-EEXIST, s3_put("new", LARDER_CREATE));

    fault_file_set(s3_server, "/b/old", &(struct fault_file){.data = "old", .size = 3, .etag = "\"one\""});
    assert_ok(larder_info(s3_fs, "old", &info));
    lose_put("/b/old");
    assert_ok(larder_replace_file(s3_fs, "old", "new", 3, info.version, 0));
    assert_status(-ESTALE, larder_replace_file(s3_fs, "old", "new", 3, info.version, 0));
    larder_info_free(&info);
}

/* The try that was lost was not carried out; another was quicker, with the very same bytes. */
static void be_quicker(void *arg, const struct fault_request *request)
{
    fault_file_set(s3_server, request->path,
                   &(struct fault_file){.data = request->body, .size = request->body_size});
}

static void what_another_made_of_the_same_bytes_is_not(void **state)
{
    fault_on(s3_server, (struct fault_match){.method = "PUT", .path = "/b/f", .count = 1},
             (struct fault){.end = FAULT_RESET, .flags = FAULT_NO_ANSWER, .hook = be_quicker});
    assert_status(-EEXIST, s3_put("f", LARDER_CREATE));
}

/* The try that was done, and lost, was two before the one that met it: in between the server asked for the bytes again. */
static void what_an_earlier_try_made_is_ones_own_after_other_answers_too(void **state)
{
    lose_put("/b/f");
    s3_answer("PUT", "/b/f", 1, 400, NULL, ERROR("BadDigest"));
    assert_ok(s3_put("f", LARDER_CREATE));
    assert_int_equal(fault_count(s3_server, "PUT", "/b/f"), 3);
}

static void what_a_lost_delete_removed_is_removed(void **state)
{
    fault_file_text(s3_server, "/b/f", "x");
    fault_on(s3_server, (struct fault_match){.method = "DELETE", .count = 1},
             (struct fault){.end = FAULT_RESET, .flags = FAULT_UNANSWERED});
    s3_answer("DELETE", "/b/f", 0, 204, NULL, NULL);
    assert_ok(larder_rm_file(s3_fs, "f"));
    assert_int_equal(fault_count(s3_server, "DELETE", "/b/f"), 2);
}

/* A quoted If-Match, as the standard has it, is one request. */
static void a_version_is_replaced_by_its_quoted_etag(void **state)
{
    struct larder_info info;
    fault_file_text(s3_server, "/b/f", "x");
    assert_ok(larder_info(s3_fs, "f", &info));
    fault_forget(s3_server);
    assert_ok(larder_replace_file(s3_fs, "f", "new", 3, info.version, 0));
    assert_int_equal(fault_count(s3_server, NULL, NULL), 1);
    assert_string_equal(s3_sent_header(0, "If-Match"), info.version);
    larder_info_free(&info);
}

/* AWS: 404 of a PUT with If-Match whose key is gone. */
static void a_version_that_is_gone_is_not_replaced(void **state)
{
    struct larder_info info;
    fault_file_text(s3_server, "/b/f", "x");
    assert_ok(larder_info(s3_fs, "f", &info));
    s3_answer("PUT", "/b/f", 1, 404, NULL, ERROR("NoSuchKey"));
    s3_answer("HEAD", "/b", 1, 200, NULL, NULL);
    assert_status(-ESTALE, larder_replace_file(s3_fs, "f", "new", 3, info.version, 0));
    s3_answer("PUT", "/b/f", 1, 404, NULL, ERROR("NoSuchBucket"));
    s3_answer("HEAD", "/b", 1, 404, NULL, NULL);
    assert_status(-ENOENT, larder_replace_file(s3_fs, "f", "new", 3, info.version, 0));
    assert_non_null(strstr(larder_error(), "NoSuchBucket"));
    larder_info_free(&info);
}

/* ---- many deletions ---- */

#define MANY 1001
static void make_many(struct larder_item items[MANY])
{
    static char names[MANY][16];
    for (size_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "k%04zu", i);
        items[i] = (struct larder_item){.path = names[i]};
    }
}

/* What failed of a batch is asked for once more, alone; what is forbidden stays so. */
static void keys_that_a_batch_failed_at_are_removed_one_by_one(void **state)
{
    struct larder_item items[3] = {{.path = "good"}, {.path = "slow & <low>"}, {.path = "secret"}};
    const struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_RETURN};
    s3_answer("POST", "/b", 1, 200, NULL,
              XML("DeleteResult", "<Error><Key>slow &amp; &lt;low&gt;</Key><Code>InternalError</Code></Error>"
                                  "<Error><Key>secret</Key><Code>AccessDenied</Code></Error>"));
    s3_answer("DELETE", NULL, 0, 204, NULL, NULL);
    assert_int_equal(larder_rm_files(s3_fs, items, 3, &batch), 1);
    assert_ok(items[0].status);
    assert_ok(items[1].status);
    assert_status(-EACCES, items[2].status);
    assert_int_equal(fault_count(s3_server, "DELETE", "/b/slow & <low>"), 1);
    assert_int_equal(fault_count(s3_server, "DELETE", NULL), 1);
}

static void a_batch_is_a_thousand_keys_and_says_its_digest(void **state)
{
    static struct larder_item items[MANY];
    make_many(items);
    fault_file_text(s3_server, "/b/k1000", "the last goes alone, and is looked at");
    s3_answer("POST", "/b", 0, 200, NULL, XML("DeleteResult", ""));
    s3_answer("DELETE", NULL, 0, 204, NULL, NULL);
    assert_ok(larder_rm_files(s3_fs, items, MANY, NULL));
    for (size_t i = 0; i < MANY; i++)
        assert_ok(items[i].status);
    assert_int_equal(fault_count(s3_server, "POST", "/b"), 1);
    assert_int_equal(fault_count(s3_server, "DELETE", NULL), 1);
    const struct fault_request *request = NULL;
    for (size_t i = 0; !request; i++)
        if (strcmp(fault_request(s3_server, i)->method, "POST") == 0)
            request = fault_request(s3_server, i);
    unsigned char hash[DIGEST_SIZE_MAX];
    char md5[BASE64_SIZE(DIGEST_SIZE_MAX)];
    assert_ok(digest_of(DIGEST_MD5, request->body, request->body_size, hash));
    base64_format(hash, digest_size(DIGEST_MD5), md5);
    assert_string_equal(fault_request_header(request, "Content-MD5"), md5);
    size_t keys = 0;
    for (const char *at = request->body; (at = strstr(at, "<Key>")); at++)
        keys++;
    assert_int_equal(keys, 1000);
}

/* A whole answer that is an error is none of the keys'; and one that names another key is of all of them. */
static void an_error_in_place_of_a_batchs_result_is_no_success(void **state)
{
    struct larder_item items[2] = {{.path = "a"}, {.path = "b"}};
    const struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_RETURN};
    s3_answer("POST", "/b", 2, 200, NULL, ERROR("InternalError"));
    s3_answer("POST", "/b", 1, 200, NULL, ERROR("AccessDenied"));
    assert_int_equal(larder_rm_files(s3_fs, items, 2, &batch), 2);
    assert_status(-EACCES, items[0].status);
    assert_int_equal(fault_count(s3_server, "POST", "/b"), 3);
    s3_answer("POST", "/b", 1, 200, NULL,
              XML("DeleteResult", "<Error><Key>x</Key><Code>AccessDenied</Code></Error>"));
    assert_int_equal(larder_rm_files(s3_fs, items, 2, &batch), 2);
    assert_status(-EACCES, items[1].status);
    assert_int_equal(fault_count(s3_server, "DELETE", NULL), 0);
}

static void a_server_without_batches_is_asked_for_each_and_a_lost_one_is_not(void **state)
{
    struct larder_item items[3] = {{.path = "a"}, {.path = "b"}, {.path = "c"}};
    const struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_RETURN};
    s3_answer("POST", "/b", 1, 501, NULL, ERROR("NotImplemented"));
    s3_answer("POST", "/b", 1, 403, NULL, ERROR("AccessDenied"));
    s3_answer("DELETE", NULL, 0, 204, NULL, NULL);
    assert_ok(larder_rm_files(s3_fs, items, 3, &batch));
    assert_int_equal(fault_count(s3_server, "DELETE", NULL), 3);
    assert_int_equal(larder_rm_files(s3_fs, items, 3, &batch), 3);
    assert_status(-EACCES, items[0].status);
    assert_int_equal(fault_count(s3_server, "DELETE", NULL), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, s3_setup, s3_teardown)
        TEST(a_200_with_an_error_in_it_is_that_error),
        TEST(a_copys_condition_that_fails_of_what_is_unchanged_is_left_out),
        TEST(where_a_server_does_not_copy_bytes_pass_through_here),
        TEST(copies_that_pass_through_here_need_one_connection),
        TEST(what_a_lost_put_made_is_ones_own),
        TEST(what_another_made_of_the_same_bytes_is_not),
        TEST(what_an_earlier_try_made_is_ones_own_after_other_answers_too),
        TEST(what_a_lost_delete_removed_is_removed),
        TEST(a_version_is_replaced_by_its_quoted_etag),
        TEST(a_version_that_is_gone_is_not_replaced),
        TEST(keys_that_a_batch_failed_at_are_removed_one_by_one),
        TEST(a_batch_is_a_thousand_keys_and_says_its_digest),
        TEST(an_error_in_place_of_a_batchs_result_is_no_success),
        TEST(a_server_without_batches_is_asked_for_each_and_a_lost_one_is_not),
    };
    s3_prepare_tests();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
