/* SPDX-License-Identifier: Apache-2.0 */
/* A request becomes a URL and headers with a signature in them: of the bucket's region, by the server's clock. */
#include "backends/s3_ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "net/uri.h"

#define HERE_SIZE_MAX   ((size_t)64 << 10) /* up to that a body is hashed in the task itself */
#define REGION_SIZE_MAX 63
#define EMPTY_SHA256    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

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

/* It becomes part of a host: nothing that an answer says may make that somebody else's. */
static bool is_region(const char *text)
{
    size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    return size > 0 && size <= REGION_SIZE_MAX && !text[size];
}

int s3_learn_region(struct s3_instance *s3, const char *path, const char *region)
{
    size_t size = s3_name_of(path).bucket_size;
    if (size == 0 || !is_region(region) || strcmp(region_of(s3, path), region) == 0)
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

void s3_regions_free(struct s3_instance *s3)
{
    for (struct list *node; (node = list_pop(&s3->regions));)
        region_free(container_of(node, struct s3_region, node));
}

/* ---- a request ---- */

void s3_prepared_fini(struct s3_prepared *prepared)
{
    mem_free(prepared->url);
    buffer_free(&prepared->lines);
    mem_free(prepared->headers);
}

static size_t count_pairs(const struct sigv4_pair pairs[S3_PAIRS_MAX])
{
    size_t count = 0;
    while (count < S3_PAIRS_MAX && pairs[count].name)
        count++;
    return count;
}

/* All headers that are to be signed; mem. The texts are the request's. */
static int join_headers(const struct s3_request *request, struct sigv4_pair **out, size_t *count)
{
    size_t own = count_pairs(request->headers), more = 0;
    while (request->more && request->more[more].name)
        more++;
    struct sigv4_pair *joined = mem_array(own + more + 1, sizeof *joined);
    if (!joined)
        return fail_memory();
    if (own > 0)
        memcpy(joined, request->headers, own * sizeof *joined);
    if (more > 0)
        memcpy(joined + own, request->more, more * sizeof *joined);
    *out = joined;
    *count = own + more;
    return 0;
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
    const char *region = region_of(s3, path);
    autofree char *host =
        s3->host ? mem_dup(s3->host)
                 : mem_format("s3.%s.amazonaws.com%s", region, strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
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

/* What a request is sent to; mem. */
struct target {
    char *origin, *host, *path; /* the path as it is signed */
    char *url;                  /* all of it, where nothing may be signed; else NULL */
};

static void target_fini(struct target *target)
{
    mem_free(target->origin);
    mem_free(target->host);
    mem_free(target->path);
    mem_free(target->url);
}

static int make_target(struct s3_instance *s3, const char *path, struct target *out)
{
    *out = (struct target){.host = make_host(s3, path), .path = make_path(s3, path)};
    out->origin = out->host ? mem_format("%s://%s", s3->scheme, out->host) : NULL;
    return out->origin && out->path ? 0 : fail_memory();
}

/* Is it `owner` itself, or a name below it? */
static bool host_is_of(struct slice host, struct slice owner)
{
    const struct slice end = {host.text + host.size - owner.size, owner.size};
    if (host.size < owner.size || strncasecmp(end.text, owner.text, owner.size) != 0)
        return false;
    return host.size == owner.size || host.text[host.size - owner.size - 1] == '.';
}

static bool is_own_host(const struct s3_instance *s3, struct slice host)
{
    static const struct slice aws = {"amazonaws.com", 13}, aws_china = {"amazonaws.com.cn", 16};
    struct uri endpoint;
    if (!s3->host)
        return host_is_of(host, aws) || host_is_of(host, aws_china);
    uri_split(s3->origin, &endpoint);
    return host_is_of(host, endpoint.host);
}

/* Servers sign the path as sigv4_encode writes it, however their Location does. */
static int encode_again(struct slice path, char **out)
{
    struct buffer encoded = BUFFER((size_t)1 << 16);
    autofree char *decoded = NULL;
    int rc = url_decode_path(path.text, path.size, &decoded);
    if (rc < 0)
        return rc;
    sigv4_encode(&encoded, *decoded ? decoded : "/", true);
    *out = buffer_take_text(&encoded);
    return *out ? 0 : fail_memory();
}

static int take_target(const struct s3_instance *s3, const char *url, struct target *out)
{
    struct uri uri;
    int rc = uri_split_http(url, &uri);
    if (rc == 0)
        rc = encode_again(uri.path, &out->path);
    if (rc < 0)
        return rc;
    out->origin = uri_origin(&uri);
    out->host = out->origin ? mem_dup(strstr(out->origin, "://") + 3) : NULL;
    bool own = is_own_host(s3, uri.host);
    out->url = own ? NULL : mem_dup(url);
    return out->host && (own || out->url) ? 0 : fail_memory();
}

static int make_url(const struct target *target, const struct buffer *query, char **out)
{
    bool any = query->size > 0;
    *out = target->url
               ? mem_dup(target->url)
               : mem_format("%s%s%s%s", target->origin, target->path, any ? "?" : "", any ? query->data : "");
    return *out ? 0 : fail_memory();
}

/* Of each pair a line, and of those that sign: "\n" becomes the end of a text, and the texts a list. */
static int list_lines(struct s3_prepared *prepared)
{
    size_t count = 0;
    for (const char *at = prepared->lines.data; at && (at = strchr(at, '\n')); at++)
        count++;
    prepared->headers = mem_array(count + 1, sizeof *prepared->headers);
    if (!prepared->headers)
        return fail_memory();
    char *line = prepared->lines.data;
    for (size_t i = 0; i < count; i++) {
        char *end = strchr(line, '\n');
        *end = 0;
        prepared->headers[i] = line;
        line = end + 1;
    }
    return 0;
}

/* What has no value is how curl is told to send it at all. */
static int add_line(struct buffer *lines, const struct sigv4_pair *header)
{
    return *header->value ? buffer_format(lines, "%s: %s\n", header->name, header->value)
                          : buffer_format(lines, "%s;\n", header->name);
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

int CO_FN s3_hash_payload(const struct s3_request *request, char out[HEX_SIZE(SHA256_SIZE)])
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

static int add_headers(struct s3_instance *s3, const struct s3_request *request, const struct target *target,
                       const struct aws_keys *keys, const char *payload, struct s3_prepared *out)
{
    struct sigv4_pair *headers = NULL;
    size_t count = 0;
    int rc = join_headers(request, &headers, &count);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = add_line(&out->lines, &headers[i]);
    const struct sigv4_signer signer = {keys->access_key, keys->secret_key, keys->session_token,
                                        region_of(s3, request->path), "s3"};
    const struct sigv4_request to_sign = {.method = http_method_name(request->http.method),
                                          .host = target->host,
                                          .path = target->path,
                                          .query = request->query,
                                          .query_count = count_pairs(request->query),
                                          .headers = headers,
                                          .header_count = count,
                                          .payload = payload,
                                          .payload_header = true,
                                          .time_ns = wall_ns() + s3->skew_ns};
    if (rc == 0 && keys->access_key && !target->url)
        rc = sigv4_sign(&signer, &to_sign, &out->lines);
    mem_free(headers);
    return rc < 0 ? rc : list_lines(out);
}

int CO_FN s3_prepare(struct s3_instance *s3, const struct s3_request *request, const char *payload,
                     const char *elsewhere, struct s3_prepared *out)
{
    const struct aws_keys *keys;
    struct buffer query = BUFFER((size_t)1 << 20);
    struct target target = {0};
    *out = (struct s3_prepared){.lines = BUFFER((size_t)1 << 20)};
    int rc = aws_provider_keys(s3->provider, &keys);
    if (rc < 0)
        return rc;
    out->keys_serial = keys->serial;
    rc = elsewhere ? take_target(s3, elsewhere, &target) : make_target(s3, request->path, &target);
    if (rc == 0)
        rc = sigv4_query(&query, request->query, count_pairs(request->query));
    if (rc == 0)
        rc = make_url(&target, &query, &out->url);
    if (rc == 0)
        rc = add_headers(s3, request, &target, keys, payload, out);
    buffer_free(&query);
    target_fini(&target);
    if (rc < 0)
        s3_prepared_fini(out);
    return rc;
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
    struct target target;
    rc = make_target(s3, path, &target);
    const struct sigv4_signer signer = {keys->access_key, keys->secret_key, keys->session_token,
                                        region_of(s3, path), "s3"};
    const struct sigv4_request request = {.method = "GET",
                                          .host = target.host,
                                          .path = target.path,
                                          .payload = SIGV4_UNSIGNED,
                                          .time_ns = wall_ns() + s3->skew_ns};
    if (rc == 0)
        rc = sigv4_presign(&signer, &request, expires_s, &query);
    if (rc == 0)
        rc = make_url(&target, &query, url);
    target_fini(&target);
    buffer_free(&query);
    return rc;
}
