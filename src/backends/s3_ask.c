/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking. What an answer shows to be wrong with the request is corrected, and asked again: the bucket is in another
 * region, or for now at another server; the clocks differ; the keys have had their time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/s3_ask.h"
#include "base/error.h"
#include "base/seams.h"
#include "base/text.h"
#include "net/uri.h"

#define CORRECTIONS_MAX 5                          /* of one request */
#define SKEW_SEEN_NS    (INT64_C(60) * 1000000000) /* less is no other clock than was thought */

/* One request, as far as it was corrected. */
struct asking {
    struct s3_instance *s3;
    const struct s3_request *request;
    const char *payload;
    char *elsewhere; /* where a redirect leads; mem */
    unsigned keys_serial;
    int status;      /* of the latest answer */
    bool renewed;    /* keys were fetched anew for it */
    bool maybe_done; /* as http_request's, of all tries */
};

/* ---- corrections: 1, ask again; 0, there is nothing to be corrected; or a failure ---- */

static int learn_skew(const struct asking *asking, const struct asked *asked, const char *code)
{
    struct s3_instance *s3 = asking->s3;
    const char *date = asked->response->header[HTTP_DATE];
    int64_t server_ns;
    if (strcmp(code, "RequestTimeTooSkewed") != 0 || !date || parse_http_date(date, &server_ns) < 0)
        return 0;
    int64_t skew_ns = server_ns - wall_ns();
    if (llabs(skew_ns - s3->skew_ns) < SKEW_SEEN_NS)
        return 0;
    s3->skew_ns = skew_ns;
    log_at(LARDER_LOG_INFO, "the clock of %s is %lld s ahead", s3->http.origin,
           (long long)(skew_ns / 1000000000));
    return 1;
}

static int renew_keys(struct asking *asking, const char *code)
{
    bool expired = strcmp(code, "ExpiredToken") == 0 || strcmp(code, "InvalidToken") == 0;
    if (!expired || !aws_provider_refused(asking->s3->provider, asking->keys_serial) || asking->renewed)
        return 0;
    asking->renewed = true;
    return 1;
}

/* For this request alone: a temporary redirect (307) may lead elsewhere soon. */
static int take_redirect(struct asking *asking, const struct asked *asked)
{
    const struct http_response *response = asked->response;
    const char *location = response->header[HTTP_LOCATION];
    struct uri uri;
    if (!location || (response->status != 301 && response->status != 307 && response->status != 308))
        return 0;
    autofree char *url = uri_resolve(response->url, location);
    if (!url)
        return fail_memory();
    if (uri_split_http(url, &uri) < 0)
        return http_fail(asked->transfer, -EPROTO, "a redirect to something that is no http or https URL");
    if (strcmp(asking->s3->scheme, "https") == 0 && !slice_equal(uri.scheme, "https", true))
        return http_fail(asked->transfer, -EACCES, "a redirect away from TLS");
    mem_free(asking->elsewhere);
    asking->elsewhere = take(url);
    return 1;
}

static int correct(struct asking *asking, const struct asked *asked, const struct s3_refusal *refusal)
{
    const char *region = asked->response->header[HTTP_BUCKET_REGION];
    const char *code = refusal->code ? refusal->code : "";
    region = region ? region : refusal->region;
    int rc = region ? s3_learn_region(asking->s3, asking->request->path, region) : 0;
    if (rc == 0)
        rc = learn_skew(asking, asked, code);
    if (rc == 0)
        rc = renew_keys(asking, code);
    if (rc == 0)
        rc = take_redirect(asking, asked);
    return rc;
}

/* 0: an answer that says nothing wrong. 1: asked again, it may be another. Else what it refuses. */
static int CO_FN review(struct asking *asking, const struct asked *asked)
{
    const struct http_response *response = asked->response;
    struct s3_refusal refusal = {0};
    asking->status = response->status;
    if (response->status < 300 || response->status == 304 || response->status == 416)
        return 0;
    int rc = s3_read_refusal(asked, &refusal);
    if (rc == 0)
        rc = correct(asking, asked, &refusal);
    if (rc == 0)
        rc = refusal.code ? s3_fail_refusal(asked, &refusal) : http_fail_status(asked->transfer);
    s3_refusal_fini(&refusal);
    return rc;
}

/* ---- asking ---- */

static int CO_FN ask_once(struct asking *asking, const struct s3_request *request, struct asked *asked)
{
    struct s3_prepared prepared;
    int rc = s3_prepare(asking->s3, request, asking->payload, asking->elsewhere, &prepared);
    if (rc < 0)
        return rc;
    *asked = (struct asked){.guess_max_ms = asking->s3->http.guess_max_ms};
    asking->keys_serial = prepared.keys_serial;
    struct http_body body = {.size = (int64_t)request->size, .data = request->data ? request->data : ""};
    struct http_request sent = request->http;
    bool maybe_done = false;
    sent.url = prepared.url;
    sent.headers = prepared.headers;
    /* Some servers insist on a length, be it 0 (Ceph's gateway of a part that is copied). */
    bool bodied = request->data || sent.method == HTTP_PUT || sent.method == HTTP_POST;
    sent.body = bodied ? &body : NULL;
    sent.stay = true;
    sent.maybe_done = &maybe_done;
    asking->status = 0;
    rc = http_open(asking->s3->http.site, &sent, &asked->transfer);
    asking->maybe_done |= maybe_done;
    s3_prepared_fini(&prepared);
    if (rc < 0)
        return rc;
    asked->response = http_response(asked->transfer);
    rc = review(asking, asked);
    if (rc != 0)
        http_close(asked->transfer);
    return rc;
}

/* The answer to a HEAD has no document that could say why. */
static bool is_unsaid(const struct asking *asking)
{
    int status = asking->status;
    return asking->request->http.method == HTTP_HEAD &&
           (status == 301 || status == 400 || status == 401 || status == 403);
}

/* A HEAD was refused with `rc`: a GET is for the same reason, and tells it. 1: that was corrected. */
static int CO_FN ask_why(struct asking *asking, int rc)
{
    struct s3_request request = *asking->request;
    struct error_slot words = *error_slot();
    struct asked asked;
    int status = asking->status;
    request.http.method = HTTP_GET;
    if (*s3_name_of(request.path).key)
        request.http.range = "0-0";
    else
        request.query[0] = (struct sigv4_pair){"max-keys", "0"};
    int said = ask_once(asking, &request, &asked);
    if (said == 0)
        http_close(asked.transfer);
    if (said == 1 || said == -ECANCELED || (said < 0 && asking->status == status))
        return said;
    *error_slot() = words;
    return rc;
}

static int CO_FN ask_corrected(struct asking *asking, struct asked *asked)
{
    int rc = 1;
    for (unsigned i = 0; rc == 1 && i < CORRECTIONS_MAX; i++) {
        rc = ask_once(asking, asking->request, asked);
        if (rc < 0 && is_unsaid(asking))
            rc = ask_why(asking, rc);
    }
    return rc == 1 ? fail(-ELOOP, "s3://%s: the server wants ever another region, clock or server",
                          asking->request->path)
                   : rc;
}

int CO_FN s3_ask(struct s3_instance *s3, const struct s3_request *request, struct asked *asked)
{
    char payload[HEX_SIZE(SHA256_SIZE)];
    struct asking asking = {.s3 = s3, .request = request, .payload = payload};
    int rc = s3_hash_payload(request, payload);
    if (rc == 0)
        rc = ask_corrected(&asking, asked);
    mem_free(asking.elsewhere);
    if (request->http.maybe_done)
        *request->http.maybe_done |= asking.maybe_done;
    return rc;
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
