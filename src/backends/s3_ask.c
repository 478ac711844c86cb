/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request becomes a URL and headers with a signature in them; an answer that refuses becomes the failure that its
 * error document names. Two refusals are corrected, and asked again: the bucket is in another region, the clocks differ.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/s3_parts.h"
#include "base/buffer.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "base/text.h"

#define CORRECTIONS_MAX  3                  /* of region and clock, in a row */
#define ERROR_SIZE_MAX   ((size_t)64 << 10) /* of an error document */
#define HERE_SIZE_MAX    ((size_t)64 << 10) /* up to that a body is hashed, and XML parsed, in the task itself */
#define HEADER_LINES_MAX 24
#define EMPTY_SHA256     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct s3_name s3_name_of(const char *path)
{
    size_t size = strcspn(path, "/");
    return (struct s3_name){size, path[size] ? path + size + 1 : path + size};
}

/* ---- regions ---- */

struct s3_region {
    struct list node;
    char *bucket, *region; /* mem */
};

static struct s3_region *find_region(struct s3_instance *s3, const char *bucket, size_t size)
{
    list_for_each (node, &s3->regions) {
        struct s3_region *at = container_of(node, struct s3_region, node);
        if (strlen(at->bucket) == size && memcmp(at->bucket, bucket, size) == 0)
            return at;
    }
    return NULL;
}

static const char *region_of(struct s3_instance *s3, const char *path)
{
    struct s3_region *found = find_region(s3, path, s3_name_of(path).bucket_size);
    return found ? found->region : s3->region;
}

static void region_free(struct s3_region *region)
{
    mem_free(region->bucket);
    mem_free(region->region);
    mem_free(region);
}

/* 1: it is another than was thought; 0: it is that one. */
static int learn_region(struct s3_instance *s3, const char *path, const char *region)
{
    size_t size = s3_name_of(path).bucket_size;
    if (size == 0 || strcmp(region_of(s3, path), region) == 0)
        return 0;
    struct s3_region *known = find_region(s3, path, size);
    struct s3_region *made = known ? known : mem_zero(sizeof *made);
    char *copy = mem_dup(region);
    if (made && !known)
        made->bucket = mem_dup_n(path, size);
    if (!made || !copy || !made->bucket) {
        mem_free(copy);
        if (made && !known)
            region_free(made);
        return fail_memory();
    }
    mem_free(made->region);
    made->region = copy;
    if (!known)
        list_push(&s3->regions, &made->node);
    return 1;
}

/* ---- a request ---- */

struct prepared {
    char *url;           /* mem */
    struct buffer lines; /* of the headers, each ended by NUL */
    const char *headers[HEADER_LINES_MAX + 1];
};

static void prepared_fini(struct prepared *prepared)
{
    mem_free(prepared->url);
    buffer_free(&prepared->lines);
}

static size_t count_pairs(const struct sigv4_pair pairs[S3_PAIRS_MAX])
{
    size_t count = 0;
    while (count < S3_PAIRS_MAX && pairs[count].name)
        count++;
    return count;
}

/* A bucket with dots is in front of the path: no certificate is for two levels below a name. */
static bool is_by_host(const struct s3_instance *s3, const char *path, size_t bucket_size)
{
    return s3->by_host && bucket_size > 0 && !memchr(path, '.', bucket_size);
}

/* "bucket.s3.eu-west-1.amazonaws.com" for the bucket of `path`; mem. */
static char *make_host(struct s3_instance *s3, const char *path)
{
    size_t size = s3_name_of(path).bucket_size;
    autofree char *host =
        s3->host ? mem_dup(s3->host) : mem_format("s3.%s.amazonaws.com", region_of(s3, path));
    if (!host || !is_by_host(s3, path, size))
        return take(host);
    return mem_format("%.*s.%s", (int)size, path, host);
}

/* From the "/" on, encoded as it is signed; mem. */
static char *make_path(const struct s3_instance *s3, const char *path)
{
    struct buffer out = BUFFER((size_t)1 << 16);
    struct s3_name name = s3_name_of(path);
    buffer_add(&out, "/", 1);
    if (is_by_host(s3, path, name.bucket_size))
        sigv4_encode(&out, name.key, true);
    else
        sigv4_encode(&out, path, true);
    return buffer_take_text(&out);
}

static int make_url(const struct s3_instance *s3, const char *host, const char *path,
                    const struct buffer *query, char **out)
{
    bool any = query->size > 0;
    *out = mem_format("%s://%s%s%s%s", s3->scheme, host, path, any ? "?" : "", any ? query->data : "");
    return *out ? 0 : fail_memory();
}

/* "\n" becomes the end of a text, and the texts a list. */
static int list_lines(struct prepared *prepared)
{
    size_t count = 0;
    char *line = prepared->lines.data;
    for (char *end; line && *line && count < HEADER_LINES_MAX; line = end + 1) {
        end = strchr(line, '\n');
        *end = 0;
        prepared->headers[count++] = line;
    }
    prepared->headers[count] = NULL;
    return line && *line ? fail(-E2BIG, "more than %d headers", HEADER_LINES_MAX) : 0;
}

struct hash_call {
    const void *data;
    size_t size;
    unsigned char hash[DIGEST_SIZE_MAX];
};

static int hash_body(void *arg)
{
    struct hash_call *call = arg;
    return digest_of(DIGEST_SHA256, call->data, call->size, call->hash);
}

static int CO_FN payload_of(const struct s3_request *request, char out[HEX_SIZE(SHA256_SIZE)])
{
    struct hash_call call = {request->data, request->size, {0}};
    if (!request->data) {
        strcpy(out, EMPTY_SHA256);
        return 0;
    }
    int rc = request->size > HERE_SIZE_MAX ? offload(hash_body, &call) : hash_body(&call);
    if (rc == 0)
        hex_format(call.hash, SHA256_SIZE, out);
    return rc;
}

/* `payload`: the body's hash, which does not change from try to try. */
static int CO_FN prepare(struct s3_instance *s3, const struct s3_request *request, const char *payload,
                         struct prepared *out)
{
    const struct aws_keys *keys;
    struct buffer query = BUFFER((size_t)1 << 20);
    *out = (struct prepared){.lines = BUFFER((size_t)1 << 20)};
    int rc = aws_provider_keys(s3->provider, &keys);
    if (rc < 0)
        return rc;
    size_t header_count = count_pairs(request->headers);
    autofree char *host = make_host(s3, request->path), *path = make_path(s3, request->path);
    rc = host && path ? sigv4_query(&query, request->query, count_pairs(request->query)) : fail_memory();
    if (rc == 0)
        rc = make_url(s3, host, path, &query, &out->url);
    for (size_t i = 0; rc == 0 && i < header_count; i++)
        rc = buffer_format(&out->lines, "%s: %s\n", request->headers[i].name, request->headers[i].value);
    const struct sigv4_signer signer = {keys->access_key, keys->secret_key, keys->session_token,
                                        region_of(s3, request->path), "s3"};
    const struct sigv4_request to_sign = {.method = http_method_name(request->http.method),
                                          .host = host,
                                          .path = path,
                                          .query = request->query,
                                          .query_count = count_pairs(request->query),
                                          .headers = request->headers,
                                          .header_count = header_count,
                                          .payload = payload,
                                          .payload_header = true,
                                          .time_ns = wall_ns() + s3->skew_ns};
    if (rc == 0 && keys->access_key)
        rc = sigv4_sign(&signer, &to_sign, &out->lines);
    if (rc == 0)
        rc = list_lines(out);
    buffer_free(&query);
    if (rc < 0)
        prepared_fini(out);
    return rc;
}

/* ---- refusals ---- */

int s3_fail_code(const char *code, const char *message, int status)
{
    static const struct {
        const char *code;
        int status;
    } codes[] = {
        {"NoSuchKey", -ENOENT},
        {"NoSuchBucket", -ENOENT},
        {"NoSuchUpload", -ENOENT},
        {"NoSuchVersion", -ENOENT},
        {"NotFound", -ENOENT},
        {"AccessDenied", -EACCES},
        {"AllAccessDisabled", -EACCES},
        {"AccountProblem", -EACCES},
        {"ExpiredToken", -EACCES},
        {"InvalidAccessKeyId", -EACCES},
        {"InvalidToken", -EACCES},
        {"RequestTimeTooSkewed", -EACCES},
        {"SignatureDoesNotMatch", -EACCES},
        {"BucketAlreadyExists", -EEXIST},
        {"BucketAlreadyOwnedByYou", -EEXIST},
        {"BucketNotEmpty", -ENOTEMPTY},
        {"PreconditionFailed", -ESTALE},
        {"ConditionalRequestConflict", -EBUSY},
        {"OperationAborted", -EBUSY},
        {"SlowDown", -EBUSY},
        {"ServiceUnavailable", -EBUSY},
        {"InternalError", -EIO},
        {"RequestTimeout", -ETIMEDOUT},
        {"BadDigest", -EBADMSG},
        {"XAmzContentSHA256Mismatch", -EBADMSG},
        {"EntityTooLarge", -EFBIG},
        {"InvalidBucketName", -EINVAL},
        {"KeyTooLongError", -ENAMETOOLONG},
        {"QuotaExceeded", -EDQUOT},
        {"InvalidObjectState", -ENOTSUP},
        {"NotImplemented", -ENOTSUP},
        {"MethodNotAllowed", -ENOTSUP},
    };
    int rc = status == 404 ? -ENOENT : status == 403 || status == 401 ? -EACCES : -EIO;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(code, codes[i].code) == 0)
            rc = codes[i].status;
    return fail(rc, "%s%s%s", code, message && *message ? ": " : "", message ? message : "");
}

static bool may_pass(const char *code)
{
    static const char *const codes[] = {"SlowDown",       "ServiceUnavailable", "InternalError",
                                        "RequestTimeout", "OperationAborted",   "ConditionalRequestConflict"};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(code, codes[i]) == 0)
            return true;
    return false;
}

/* What an error document says; mem, NULL where it does not. */
struct refusal {
    char *code, *message, *region;
};

static void refusal_fini(struct refusal *refusal)
{
    mem_free(refusal->code);
    mem_free(refusal->message);
    mem_free(refusal->region);
}

static int refusal_parse(const struct xml_node *error, struct refusal *out)
{
    bool failed = false;
    *out = (struct refusal){.code = xml_text(xml_child(error, "Code"), &failed),
                            .message = xml_text(xml_child(error, "Message"), &failed),
                            .region = xml_text(xml_child(error, "Region"), &failed)};
    if (failed)
        refusal_fini(out);
    return failed ? fail_memory() : 0;
}

/* A document that cannot be read says nothing, which is no failure of its own: the status stands. */
static int CO_FN read_refusal(const struct asked *asked, struct refusal *out)
{
    autofree char *body = mem_alloc(ERROR_SIZE_MAX);
    struct xml *xml = NULL;
    int rc = 0;
    if (!body)
        return fail_memory();
    int64_t size = http_read(asked->transfer, body, ERROR_SIZE_MAX);
    if (size == -ECANCELED)
        return -ECANCELED;
    if (size > 0 && xml_parse(body, (size_t)size, &xml) == 0 && xml_is(xml_root(xml), "Error"))
        rc = refusal_parse(xml_root(xml), out);
    else
        error_clear();
    xml_free(xml);
    return rc;
}

/* 1: the server's clock was looked at, and is another. */
static int learn_skew(struct s3_instance *s3, const struct asked *asked)
{
    const char *date = asked->response->header[HTTP_DATE];
    int64_t server_ns;
    if (!date || parse_http_date(date, &server_ns) < 0)
        return 0;
    s3->skew_ns = server_ns - wall_ns();
    log_at(LARDER_LOG_INFO, "the clock of %s is %lld s ahead", s3->http.origin,
           (long long)(s3->skew_ns / 1000000000));
    return 1;
}

/* 1: something was corrected: ask again. 0 is an answer that says nothing wrong; else it is the failure. */
static int CO_FN review(struct s3_instance *s3, const char *path, const struct asked *asked)
{
    const struct http_response *response = asked->response;
    struct refusal refusal = {0};
    if (response->status < 300 || response->status == 304 || response->status == 416)
        return 0;
    int rc = read_refusal(asked, &refusal);
    const char *region = response->header[HTTP_BUCKET_REGION];
    const char *code = refusal.code ? refusal.code : "";
    if (!region)
        region = refusal.region;
    if (rc == 0 && region)
        rc = learn_region(s3, path, region);
    if (rc == 0 && strcmp(code, "RequestTimeTooSkewed") == 0)
        rc = learn_skew(s3, asked);
    if (rc == 0 && (strcmp(code, "ExpiredToken") == 0 || strcmp(code, "InvalidToken") == 0))
        aws_provider_refused(s3->provider);
    if (rc == 0 && *code) {
        rc = s3_fail_code(code, refusal.message, response->status);
        rc = may_pass(code) ? http_doubt(asked->transfer, rc, "%s", error_text())
                            : http_fail(asked->transfer, rc, "%s", error_text());
    } else if (rc == 0) {
        rc = http_fail_status(asked->transfer);
    }
    refusal_fini(&refusal);
    return rc;
}

/* ---- asking ---- */

static int CO_FN ask_once(struct s3_instance *s3, const struct s3_request *request, const char *payload,
                          struct asked *asked)
{
    struct prepared prepared;
    int rc = prepare(s3, request, payload, &prepared);
    if (rc < 0)
        return rc;
    struct http_body body = {.size = (int64_t)request->size, .data = request->data};
    struct http_request sent = request->http;
    sent.url = prepared.url;
    sent.headers = prepared.headers;
    sent.body = request->data ? &body : NULL;
    sent.stay = true;
    rc = http_open(s3->http.site, &sent, &asked->transfer);
    prepared_fini(&prepared);
    if (rc < 0)
        return rc;
    asked->response = http_response(asked->transfer);
    rc = review(s3, request->path, asked);
    if (rc != 0)
        http_close(asked->transfer);
    return rc;
}

int CO_FN s3_ask(struct s3_instance *s3, const struct s3_request *request, struct asked *asked)
{
    char payload[HEX_SIZE(SHA256_SIZE)];
    int rc = payload_of(request, payload);
    if (rc < 0)
        return rc;
    rc = 1;
    for (unsigned i = 0; rc == 1 && i < CORRECTIONS_MAX; i++)
        rc = ask_once(s3, request, payload, asked);
    return rc == 1 ? fail(-EACCES, "%s: the server wants ever another region or clock", request->path) : rc;
}

int CO_FN s3_ask_http(struct http_instance *http, const char *path, struct http_request *request,
                      struct asked *out)
{
    const struct s3_request asking = {.path = path, .http = *request};
    return s3_ask(s3_of(&http->instance), &asking, out);
}

/* ---- answers in XML ---- */

struct parse_call {
    const struct buffer *body;
    struct xml *xml;
};

static int parse_body(void *arg)
{
    struct parse_call *call = arg;
    return xml_parse(call->body->data, call->body->size, &call->xml);
}

static int CO_FN read_body(const struct asked *asked, struct buffer *body)
{
    for (;;) {
        void *room = buffer_room(body, (size_t)32 << 10);
        int64_t count = room ? http_read(asked->transfer, room, (size_t)32 << 10) : body->status;
        if (count <= 0)
            return (int)count;
        buffer_grew(body, (size_t)count);
    }
}

/*
 * Keys are encoded, but servers repeat what they were asked in the same answer as it is (Ceph's gateway: the prefix), also
 * what no XML may hold. Nobody reads that.
 */
static bool is_illegal(unsigned long character)
{
    return character < 0x20 && character != '\t' && character != '\n' && character != '\r';
}

static void blank_controls(char *text)
{
    for (char *at = text; *at; at++) {
        bool reference = at[0] == '&' && at[1] == '#', hex = reference && (at[2] | 0x20) == 'x';
        char *end = at;
        if (is_illegal((unsigned char)*at))
            *at = '?';
        else if (reference && is_illegal(strtoul(at + 2 + hex, &end, hex ? 16 : 10)) && *end == ';')
            memset(at, '?', (size_t)(end - at + 1));
    }
}

static int CO_FN read_xml(const struct asked *asked, struct xml **out)
{
    struct buffer body = BUFFER(XML_SIZE_MAX);
    struct parse_call call = {&body, NULL};
    struct refusal refusal;
    int rc = read_body(asked, &body);
    *out = NULL;
    if (rc == 0 && body.size > 0)
        blank_controls(body.data);
    if (rc == 0 && body.size > 0)
        rc = body.size > HERE_SIZE_MAX ? offload(parse_body, &call) : parse_body(&call);
    if (rc == -EPROTO)
        rc = http_doubt(asked->transfer, rc, "%s", error_text());
    buffer_free(&body);
    if (rc < 0 || !call.xml || !xml_is(xml_root(call.xml), "Error")) {
        *out = call.xml;
        return rc;
    }
    rc = refusal_parse(xml_root(call.xml), &refusal);
    xml_free(call.xml);
    if (rc < 0)
        return rc;
    const char *code = refusal.code ? refusal.code : "Error";
    rc = s3_fail_code(code, refusal.message, asked->response->status);
    rc = may_pass(code) ? http_doubt(asked->transfer, rc, "%s", error_text())
                        : http_fail(asked->transfer, rc, "%s", error_text());
    refusal_fini(&refusal);
    return rc;
}

/* `etag` and `out` may be NULL. */
static int CO_FN ask_whole(struct s3_instance *s3, const struct s3_request *request, struct xml **out,
                           char **etag)
{
    struct http_tries tries = {.site = s3->http.site};
    struct s3_request asking = *request;
    struct asked asked = {0};
    int rc;
    asking.http.tries = &tries;
    do {
        struct xml *xml = NULL;
        rc = s3_ask(s3, &asking, &asked);
        if (rc < 0)
            continue;
        rc = read_xml(&asked, &xml);
        const char *said = rc == 0 && etag ? asked.response->header[HTTP_ETAG] : NULL;
        if (said && !(*etag = mem_dup(said)))
            rc = fail_memory();
        http_close(asked.transfer);
        if (rc == 0 && out)
            *out = xml;
        else
            xml_free(xml);
    } while (http_try_again(&tries, &rc));
    return rc;
}

int CO_FN s3_ask_xml(struct s3_instance *s3, const struct s3_request *request, struct xml **out)
{
    return ask_whole(s3, request, out, NULL);
}

int CO_FN s3_ask_result(struct s3_instance *s3, const struct s3_request *request, const char *root,
                        struct xml **out)
{
    struct xml *xml = NULL;
    int rc = ask_whole(s3, request, &xml, NULL);
    if (rc == 0 && (!xml || !xml_is(xml_root(xml), root))) {
        xml_free(xml);
        return fail(-EPROTO, "s3://%s: the answer is no %s", request->path, root);
    }
    if (rc == 0)
        *out = xml;
    return rc;
}

int CO_FN s3_do_for(struct s3_instance *s3, const struct s3_request *request, const char *root)
{
    struct xml *xml = NULL;
    int rc = s3_ask_result(s3, request, root, &xml);
    xml_free(xml);
    return rc;
}

int CO_FN s3_do(struct s3_instance *s3, const struct s3_request *request, char **etag)
{
    return ask_whole(s3, request, NULL, etag);
}

/* ---- signed URLs ---- */

int CO_FN s3_sign(struct instance *instance, const char *path, uint32_t expires_s, char **url)
{
    struct s3_instance *s3 = s3_of(instance);
    const struct aws_keys *keys;
    struct buffer query = BUFFER((size_t)1 << 20);
    int rc = aws_provider_keys(s3->provider, &keys);
    if (rc < 0)
        return rc;
    if (!keys->access_key)
        return fail(-EACCES, "%s: without keys nothing can be signed", path);
    autofree char *host = make_host(s3, path), *encoded = make_path(s3, path);
    const struct sigv4_signer signer = {keys->access_key, keys->secret_key, keys->session_token,
                                        region_of(s3, path), "s3"};
    const struct sigv4_request request = {.method = "GET",
                                          .host = host,
                                          .path = encoded,
                                          .payload = SIGV4_UNSIGNED,
                                          .time_ns = wall_ns() + s3->skew_ns};
    rc = host && encoded ? sigv4_presign(&signer, &request, expires_s, &query) : fail_memory();
    if (rc == 0)
        rc = make_url(s3, host, encoded, &query, url);
    buffer_free(&query);
    return rc;
}

void s3_regions_free(struct s3_instance *s3)
{
    for (struct list *node; (node = list_pop(&s3->regions));)
        region_free(container_of(node, struct s3_region, node));
}
