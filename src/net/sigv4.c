/* SPDX-License-Identifier: Apache-2.0 */
#include "net/sigv4.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/seams.h"

#define TEXT_SIZE_MAX ((size_t)1 << 20)

/* ---- writing ---- */

int sigv4_encode(struct buffer *out, const char *text, bool keep_slash)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        bool bare = isalnum(*at) || strchr("-_.~", *at) || (keep_slash && *at == '/');
        if (bare)
            buffer_add(out, at, 1);
        else
            buffer_format(out, "%%%02X", *at);
    }
    return out->status;
}

/* Values are trimmed, and runs of spaces in them are one. */
static void add_value(struct buffer *out, const char *value)
{
    bool gap = false, begun = false;
    for (; *value; value++) {
        bool space = *value == ' ' || *value == '\t';
        gap |= space && begun;
        if (space)
            continue;
        if (gap)
            buffer_add(out, " ", 1);
        buffer_add(out, value, 1);
        gap = false;
        begun = true;
    }
}

/* ---- sorting ---- */

static int by_name(const void *a, const void *b)
{
    const struct sigv4_pair *first = a, *second = b;
    return strcmp(first->name, second->name);
}

static int by_name_and_value(const void *a, const void *b)
{
    const struct sigv4_pair *first = a, *second = b;
    int order = strcmp(first->name, second->name);
    return order ? order : strcmp(first->value, second->value);
}

static char *encoded(const char *text)
{
    struct buffer buffer = BUFFER(TEXT_SIZE_MAX);
    buffer_add(&buffer, "", 0);
    sigv4_encode(&buffer, text, false);
    return buffer_take_text(&buffer);
}

static void free_pairs(struct sigv4_pair *pairs, size_t count)
{
    for (size_t i = 0; pairs && i < count; i++) {
        mem_free((char *)pairs[i].name);
        mem_free((char *)pairs[i].value);
    }
    mem_free(pairs);
}

int sigv4_query(struct buffer *out, const struct sigv4_pair *pairs, size_t count)
{
    struct sigv4_pair *sorted = mem_array(count + 1, sizeof *sorted);
    bool whole = sorted;
    for (size_t i = 0; whole && i < count; i++) {
        sorted[i] = (struct sigv4_pair){encoded(pairs[i].name), encoded(pairs[i].value)};
        whole = sorted[i].name && sorted[i].value;
    }
    if (whole) {
        qsort(sorted, count, sizeof *sorted, by_name_and_value);
        for (size_t i = 0; i < count; i++)
            buffer_format(out, "%s%s=%s", i ? "&" : "", sorted[i].name, sorted[i].value);
    }
    free_pairs(sorted, count);
    return whole ? out->status : fail_memory();
}

/* ---- what is signed ---- */

struct canonical {
    struct sigv4_pair
        *headers; /* sorted; those of one name in the order given. mem; the texts are borrowed */
    size_t count;
    struct buffer signed_headers; /* "host;x-amz-date" */
};

static int canonical_init(struct canonical *canonical, const struct sigv4_request *request,
                          const struct sigv4_pair *made, size_t made_count)
{
    size_t count = 0;
    *canonical = (struct canonical){.signed_headers = BUFFER(TEXT_SIZE_MAX)};
    canonical->headers = mem_array(1 + request->header_count + made_count, sizeof *canonical->headers);
    if (!canonical->headers)
        return fail_memory();
    canonical->headers[count++] = (struct sigv4_pair){"host", request->host};
    for (size_t i = 0; i < request->header_count; i++)
        canonical->headers[count++] = request->headers[i];
    for (size_t i = 0; i < made_count; i++)
        canonical->headers[count++] = made[i];
    canonical->count = count;
    /* Few, and the order of equals counts: by insertion. */
    for (size_t i = 1; i < count; i++) {
        struct sigv4_pair pair = canonical->headers[i];
        size_t at = i;
        for (; at > 0 && by_name(&canonical->headers[at - 1], &pair) > 0; at--)
            canonical->headers[at] = canonical->headers[at - 1];
        canonical->headers[at] = pair;
    }
    for (size_t i = 0; i < count; i++)
        if (i == 0 || by_name(&canonical->headers[i - 1], &canonical->headers[i]) != 0)
            buffer_format(&canonical->signed_headers, "%s%s", i ? ";" : "", canonical->headers[i].name);
    return canonical->signed_headers.status;
}

static void canonical_fini(struct canonical *canonical)
{
    mem_free(canonical->headers);
    buffer_free(&canonical->signed_headers);
}

static int hash_request(const struct sigv4_request *request, const struct canonical *canonical,
                        const char *query, char out[HEX_SIZE(SHA256_SIZE)])
{
    struct buffer text = BUFFER(4 * TEXT_SIZE_MAX);
    unsigned char hash[DIGEST_SIZE_MAX];
    buffer_format(&text, "%s\n%s\n%s\n", request->method, request->path, query);
    for (size_t i = 0; i < canonical->count; i++) {
        const struct sigv4_pair *header = &canonical->headers[i];
        bool more = i > 0 && by_name(header - 1, header) == 0;
        bool last = i + 1 == canonical->count || by_name(header, header + 1) != 0;
        buffer_format(&text, "%s%s", more ? "" : header->name, more ? "," : ":");
        add_value(&text, header->value);
        buffer_add_text(&text, last ? "\n" : "");
    }
    buffer_format(&text, "\n%s\n%s", canonical->signed_headers.data, request->payload);
    int rc = text.status;
    if (rc == 0)
        rc = digest_of(DIGEST_SHA256, text.data, text.size, hash);
    if (rc == 0)
        hex_format(hash, SHA256_SIZE, out);
    buffer_free(&text);
    return rc;
}

/* ---- the signature ---- */

#define DATE_SIZE sizeof "20150830T123600Z"
#define DAY_SIZE  8

static void format_date(int64_t time_ns, char out[DATE_SIZE])
{
    time_t seconds = (time_t)(time_ns / 1000000000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(out, DATE_SIZE, "%Y%m%dT%H%M%SZ", &parts);
}

static char *make_scope(const struct sigv4_signer *signer, const char *date)
{
    return mem_format("%.*s/%s/%s/aws4_request", DAY_SIZE, date, signer->region, signer->service);
}

static int derive_key(const struct sigv4_signer *signer, const char *date, unsigned char key[SHA256_SIZE])
{
    const char *const steps[] = {signer->region, signer->service, "aws4_request"};
    autofree char *first = mem_format("AWS4%s", signer->secret_key);
    if (!first)
        return fail_memory();
    int rc = hmac_sha256(first, strlen(first), date, DAY_SIZE, key);
    for (size_t i = 0; rc == 0 && i < 3; i++)
        rc = hmac_sha256(key, SHA256_SIZE, steps[i], strlen(steps[i]), key);
    return rc;
}

static int make_signature(const struct sigv4_signer *signer, const char *date, const char *scope,
                          const char *request_hash, char out[HEX_SIZE(SHA256_SIZE)])
{
    unsigned char key[SHA256_SIZE], signature[SHA256_SIZE];
    autofree char *text = mem_format("AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, request_hash);
    int rc = text ? derive_key(signer, date, key) : fail_memory();
    if (rc == 0)
        rc = hmac_sha256(key, sizeof key, text, strlen(text), signature);
    if (rc == 0)
        hex_format(signature, sizeof signature, out);
    return rc;
}

int sigv4_sign(const struct sigv4_signer *signer, const struct sigv4_request *request, struct buffer *headers)
{
    char date[DATE_SIZE], hash[HEX_SIZE(SHA256_SIZE)], signature[HEX_SIZE(SHA256_SIZE)];
    struct sigv4_pair made[3];
    struct canonical canonical;
    struct buffer query = BUFFER(TEXT_SIZE_MAX);
    size_t count = 0;
    format_date(request->time_ns, date);
    made[count++] = (struct sigv4_pair){"x-amz-date", date};
    if (request->payload_header)
        made[count++] = (struct sigv4_pair){"x-amz-content-sha256", request->payload};
    if (signer->session_token)
        made[count++] = (struct sigv4_pair){"x-amz-security-token", signer->session_token};
    autofree char *scope = make_scope(signer, date);
    buffer_add_text(&query, "");
    int rc = canonical_init(&canonical, request, made, count);
    if (rc == 0)
        rc = scope ? sigv4_query(&query, request->query, request->query_count) : fail_memory();
    if (rc == 0)
        rc = hash_request(request, &canonical, query.data ? query.data : "", hash);
    if (rc == 0)
        rc = make_signature(signer, date, scope, hash, signature);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = buffer_format(headers, "%s: %s\n", made[i].name, made[i].value);
    if (rc == 0)
        rc = buffer_format(
            headers, "authorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s\n",
            signer->access_key, scope, canonical.signed_headers.data, signature);
    canonical_fini(&canonical);
    buffer_free(&query);
    return rc;
}

/* The parameters of the request and those of the signature, in memory of their own; the texts are borrowed. */
static struct sigv4_pair *presigned_pairs(const struct sigv4_signer *signer,
                                          const struct sigv4_request *request, const char *credential,
                                          const char *date, const char *expires, const char *signed_headers,
                                          size_t *count)
{
    struct sigv4_pair *pairs = mem_array(request->query_count + 6, sizeof *pairs);
    if (!pairs)
        return NULL;
    size_t at = request->query_count;
    if (at > 0)
        memcpy(pairs, request->query, at * sizeof *pairs);
    pairs[at++] = (struct sigv4_pair){"X-Amz-Algorithm", "AWS4-HMAC-SHA256"};
    pairs[at++] = (struct sigv4_pair){"X-Amz-Credential", credential};
    pairs[at++] = (struct sigv4_pair){"X-Amz-Date", date};
    pairs[at++] = (struct sigv4_pair){"X-Amz-Expires", expires};
    pairs[at++] = (struct sigv4_pair){"X-Amz-SignedHeaders", signed_headers};
    if (signer->session_token)
        pairs[at++] = (struct sigv4_pair){"X-Amz-Security-Token", signer->session_token};
    *count = at;
    return pairs;
}

int sigv4_presign(const struct sigv4_signer *signer, const struct sigv4_request *request, uint32_t expires_s,
                  struct buffer *out)
{
    char date[DATE_SIZE], expires[12], hash[HEX_SIZE(SHA256_SIZE)], signature[HEX_SIZE(SHA256_SIZE)];
    struct canonical canonical;
    struct buffer query = BUFFER(TEXT_SIZE_MAX);
    struct sigv4_pair *pairs = NULL;
    size_t count;
    format_date(request->time_ns, date);
    snprintf(expires, sizeof expires, "%u", expires_s);
    autofree char *scope = make_scope(signer, date);
    autofree char *credential = scope ? mem_format("%s/%s", signer->access_key, scope) : NULL;
    int rc = canonical_init(&canonical, request, NULL, 0);
    if (rc == 0 && credential)
        pairs = presigned_pairs(signer, request, credential, date, expires, canonical.signed_headers.data,
                                &count);
    if (rc == 0)
        rc = pairs ? sigv4_query(&query, pairs, count) : fail_memory();
    if (rc == 0)
        rc = hash_request(request, &canonical, query.data, hash);
    if (rc == 0)
        rc = make_signature(signer, date, scope, hash, signature);
    if (rc == 0)
        rc = buffer_format(out, "%s&X-Amz-Signature=%s", query.data, signature);
    canonical_fini(&canonical);
    buffer_free(&query);
    mem_free(pairs);
    return rc;
}
