/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures against the published suite, and against the examples of the S3 documentation. */
#include "test.h"

#include <string.h>

#include "base/text.h"
#include "net/sigv4.h"

static const struct vector {
    const char *name, *method, *path, *host;
    struct sigv4_pair query[8];
    size_t query_count;
    struct sigv4_pair headers[8];
    size_t header_count;
    const char *token;
    bool payload_header;
    const char *payload, *signature, *query_signature;
} suite[] = {
#include "sigv4_suite.inc"
};

static int64_t at(const char *time)
{
    int64_t time_ns;
    assert_ok(parse_rfc3339(time, &time_ns));
    return time_ns;
}

static void has_signature(const struct buffer *text, const char *signature, const char *name)
{
    const char *found = text->data ? strstr(text->data, "Signature=") : NULL;
    if (!found || strncmp(found + strlen("Signature="), signature, strlen(signature)) != 0)
        fail_msg("%s: got %s, not %s", name, text->data, signature);
}

static struct sigv4_request request_of(const struct vector *vector)
{
    return (struct sigv4_request){.method = vector->method,
                                  .host = vector->host,
                                  .path = vector->path,
                                  .query = vector->query,
                                  .query_count = vector->query_count,
                                  .headers = vector->headers,
                                  .header_count = vector->header_count,
                                  .payload = vector->payload,
                                  .payload_header = vector->payload_header,
                                  .time_ns = at("2015-08-30T12:36:00Z")};
}

static void the_published_suite(void **state)
{
    for (size_t i = 0; i < sizeof suite / sizeof suite[0]; i++) {
        struct sigv4_signer signer = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                                      suite[i].token, "us-east-1", "service"};
        struct sigv4_request request = request_of(&suite[i]);
        struct buffer headers = BUFFER(1 << 16), query = BUFFER(1 << 16);
        assert_ok(sigv4_sign(&signer, &request, &headers));
        has_signature(&headers, suite[i].signature, suite[i].name);
        buffer_free(&headers);
        assert_ok(sigv4_presign(&signer, &request, 3600, &query));
        has_signature(&query, suite[i].query_signature, suite[i].name);
        buffer_free(&query);
    }
}

/* docs.aws.amazon.com, "Authenticating Requests (AWS Signature Version 4)": examples of a GET with a range, a PUT, a
 * listing, and a presigned URL. */
static void the_examples_of_the_s3_documentation(void **state)
{
    static const char empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    static const struct sigv4_pair range[] = {{"range", "bytes=0-9"}};
    static const struct sigv4_pair put[] = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                            {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
    static const struct sigv4_pair list[] = {{"prefix", "J"}, {"max-keys", "2"}};
    static const struct sigv4_pair lifecycle[] = {{"lifecycle", ""}};
    const struct sigv4_signer signer = {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                        NULL, "us-east-1", "s3"};
    const struct sigv4_request base = {.method = "GET",
                                       .host = "examplebucket.s3.amazonaws.com",
                                       .path = "/",
                                       .payload = empty,
                                       .payload_header = true,
                                       .time_ns = at("2013-05-24T00:00:00Z")};
    struct sigv4_request requests[4] = {base, base, base, base};
    static const char *const signatures[4] = {
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"};
    requests[0].path = "/test.txt";
    requests[0].headers = range;
    requests[0].header_count = 1;
    requests[1].method = "PUT";
    requests[1].path = "/test%24file.text";
    requests[1].headers = put;
    requests[1].header_count = 2;
    requests[1].payload = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    requests[2].query = lifecycle;
    requests[2].query_count = 1;
    requests[3].query = list;
    requests[3].query_count = 2;
    for (size_t i = 0; i < 4; i++) {
        struct buffer headers = BUFFER(1 << 16);
        assert_ok(sigv4_sign(&signer, &requests[i], &headers));
        has_signature(&headers, signatures[i], requests[i].path);
        buffer_free(&headers);
    }
}

static void names_are_encoded_in_the_one_way_that_is_signed(void **state)
{
    struct buffer out = BUFFER(256);
    assert_ok(sigv4_encode(&out, "/a b/~c*'()!:@,;$&=+\xc3\xa9%2f", true));
    assert_string_equal(out.data, "/a%20b/~c%2A%27%28%29%21%3A%40%2C%3B%24%26%3D%2B%C3%A9%252f");
    out.size = 0;
    assert_ok(sigv4_encode(&out, "a/b", false));
    assert_string_equal(out.data, "a%2Fb");
    buffer_free(&out);
}

static void a_presigned_url_as_documented(void **state)
{
    const struct sigv4_signer signer = {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                        NULL, "us-east-1", "s3"};
    const struct sigv4_request request = {.method = "GET",
                                          .host = "examplebucket.s3.amazonaws.com",
                                          .path = "/test.txt",
                                          .payload = SIGV4_UNSIGNED,
                                          .time_ns = at("2013-05-24T00:00:00Z")};
    struct buffer query = BUFFER(1 << 16);
    assert_ok(sigv4_presign(&signer, &request, 86400, &query));
    assert_string_equal(query.data,
                        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F"
                        "us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"
                        "X-Amz-SignedHeaders=host&X-Amz-Signature="
                        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    buffer_free(&query);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_suite),
        cmocka_unit_test(the_examples_of_the_s3_documentation),
        cmocka_unit_test(names_are_encoded_in_the_one_way_that_is_signed),
        cmocka_unit_test(a_presigned_url_as_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
