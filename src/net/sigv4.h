/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_SIGV4_H
#define NET_SIGV4_H
/*
 * AWS Signature Version 4: of a request's headers, or of a URL's query for whoever has no keys. What is signed is made
 * here from decoded names and values, since a signature fails on any other way to write the same thing.
 * (docs.aws.amazon.com: "Create a signed AWS API request")
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

struct sigv4_signer {
    const char *access_key, *secret_key;
    const char *session_token; /* NULL: the keys are for ever */
    const char *region, *service;
};
struct sigv4_pair {
    const char *name, *value;
};
struct sigv4_request {
    const char *method;
    const char *host;               /* as the Host header says it */
    const char *path;               /* as the URL has it: written by sigv4_encode, from the "/" on */
    const struct sigv4_pair *query; /* decoded, in any order */
    size_t query_count;
    const struct sigv4_pair
        *headers; /* that are signed beside host and those made here; names in lower case */
    size_t header_count;
    const char *payload; /* SHA-256 of the body in hexadecimal, or SIGV4_UNSIGNED */
    bool payload_header; /* S3 wants it in x-amz-content-sha256 */
    int64_t time_ns;
};
#define SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"

/* RFC 3986, as this signature wants it: all but letters, digits and "-_.~" (and "/", if kept) as %XX, in upper case. */
int sigv4_encode(struct buffer *out, const char *text, bool keep_slash);
/* The query that is sent: encoded and sorted, without a "?". */
int sigv4_query(struct buffer *out, const struct sigv4_pair *pairs, size_t count);
/* Adds the lines "name: value\n" of the headers that sign the request. */
int sigv4_sign(const struct sigv4_signer *signer, const struct sigv4_request *request,
               struct buffer *headers);
/* Adds the whole query, with the signature in it. It holds for `expires_s` seconds from request->time_ns on. */
int sigv4_presign(const struct sigv4_signer *signer, const struct sigv4_request *request, uint32_t expires_s,
                  struct buffer *query);

#endif
