/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking. What an answer shows to be wrong with the request is corrected, and asked again: the bucket is in another
 * region, the clocks differ.
 */
#include <errno.h>
#include <string.h>

#include "backends/s3_ask.h"
#include "base/error.h"
#include "base/seams.h"
#include "base/text.h"

#define CORRECTIONS_MAX 3 /* in a row */

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
    struct s3_refusal refusal = {0};
    if (response->status < 300 || response->status == 304 || response->status == 416)
        return 0;
    int rc = s3_read_refusal(asked, &refusal);
    const char *region = response->header[HTTP_BUCKET_REGION];
    const char *code = refusal.code ? refusal.code : "";
    if (!region)
        region = refusal.region;
    if (rc == 0 && region)
        rc = s3_learn_region(s3, path, region);
    if (rc == 0 && strcmp(code, "RequestTimeTooSkewed") == 0)
        rc = learn_skew(s3, asked);
    if (rc == 0 && (strcmp(code, "ExpiredToken") == 0 || strcmp(code, "InvalidToken") == 0))
        aws_provider_refused(s3->provider);
    if (rc == 0 && *code) {
        rc = s3_fail_refusal(asked, &refusal);
    } else if (rc == 0) {
        rc = http_fail_status(asked->transfer);
    }
    s3_refusal_fini(&refusal);
    return rc;
}

/* ---- asking ---- */

static int CO_FN ask_once(struct s3_instance *s3, const struct s3_request *request, const char *payload,
                          struct asked *asked)
{
    struct s3_prepared prepared;
    int rc = s3_prepare(s3, request, payload, &prepared);
    if (rc < 0)
        return rc;
    struct http_body body = {.size = (int64_t)request->size, .data = request->data ? request->data : ""};
    struct http_request sent = request->http;
    sent.url = prepared.url;
    sent.headers = prepared.headers;
    /* Some servers insist on a length, be it 0 (Ceph's gateway of a part that is copied). */
    bool bodied = request->data || sent.method == HTTP_PUT || sent.method == HTTP_POST;
    sent.body = bodied ? &body : NULL;
    sent.stay = true;
    rc = http_open(s3->http.site, &sent, &asked->transfer);
    s3_prepared_fini(&prepared);
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
    int rc = s3_hash_payload(request, payload);
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

/* ---- whole answers ---- */

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
        rc = s3_read_xml(&asked, &xml);
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
