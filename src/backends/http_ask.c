/* SPDX-License-Identifier: Apache-2.0 */
/* Terms become a request's headers, an answer's headers become an answer. */
#include <errno.h>
#include <string.h>

#include "backends/http_parts.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "base/text.h"
#include "net/freshness.h"

char *http_make_url(const struct http_instance *http, const char *path, bool slash)
{
    bool as_written = http->written && !slash && strcmp(path, http->written_path) == 0;
    autofree char *encoded =
        as_written ? mem_dup(http->written + (*http->written == '/')) : url_encode_path(path);
    if (!encoded)
        return NULL;
    return mem_format("%s/%s%s%s%s", http->origin, encoded, slash && path[0] ? "/" : "",
                      http->query ? "?" : "", http->query ? http->query : "");
}

static bool is_date(const char *validator)
{
    int64_t time_ns;
    return parse_http_date(validator, &time_ns) == 0;
}

int CO_FN http_ask(struct http_instance *http, const char *path, bool slash, const struct terms *terms,
                   struct http_request *request, struct asked *out)
{
    autofree char *url = NULL;
    request->if_match = terms->if_match;
    if (terms->if_none_match && is_date(terms->if_none_match))
        request->if_modified_since = terms->if_none_match;
    else
        request->if_none_match = terms->if_none_match;
    if (http->ask)
        return http->ask(http, path, request, out);
    struct asked asked = {.guess_max_ms = http->guess_max_ms};
    request->url = url = http_make_url(http, path, slash);
    if (!url)
        return fail_memory();
    int rc = http_open(http->site, request, &asked.transfer);
    request->url = NULL;
    if (rc < 0)
        return rc;
    asked.response = http_response(asked.transfer);
    *out = asked;
    return 0;
}

/* ---- answers ---- */

struct answer http_answer_of(const struct asked *asked)
{
    const char *const *header = asked->response->header;
    const struct freshness_headers headers = {
        .cache_control = header[HTTP_CACHE_CONTROL],
        .expires = header[HTTP_EXPIRES],
        .date = header[HTTP_DATE],
        .age = header[HTTP_AGE],
        .vary = header[HTTP_VARY],
        .last_modified = header[HTTP_LAST_MODIFIED],
    };
    int64_t delay_ms = (int64_t)(now_ns() - asked->response->asked_ns) / 1000000;
    struct freshness freshness = freshness_of(&headers, wall_ns(), delay_ms, asked->guess_max_ms);
    const char *etag = header[HTTP_ETAG];
    struct answer answer = {
        .info = {.type = LARDER_FILE, .size = LARDER_SIZE_UNKNOWN},
        .validator = etag && *etag ? etag : header[HTTP_LAST_MODIFIED],
        .fresh_ms = freshness.fresh_ms,
        .stale_if_error_ms = freshness.stale_if_error_ms,
        .flags = (freshness.no_store ? ANSWER_NO_STORE : 0) |
                 (freshness.must_revalidate ? ANSWER_MUST_REVALIDATE : 0),
    };
    if (etag && etag_is_strong(etag))
        answer.info.version = etag;
    else if (answer.validator && (etag || is_date(answer.validator)))
        answer.flags |= ANSWER_WEAK;
    else
        answer.validator = NULL;
    if (header[HTTP_LAST_MODIFIED] && parse_http_date(header[HTTP_LAST_MODIFIED], &answer.info.mtime_ns) < 0)
        answer.info.mtime_ns = 0;
    return answer;
}

int http_not_modified(const struct asked *asked, const struct terms *terms, struct answer *out)
{
    if (!terms->if_none_match)
        return http_doubt(asked->transfer, -EPROTO, "304 Not Modified, unasked");
    if (!out)
        return UNCHANGED;
    struct answer answer = http_answer_of(asked);
    if (!answer.validator) /* §4.3.4 of RFC 9111: it is what was asked about */
        answer.validator = terms->if_none_match;
    int rc = answer_copy(out, &answer);
    return rc < 0 ? rc : UNCHANGED;
}

int http_check_match(const struct asked *asked, const struct terms *terms)
{
    const char *etag = asked->response->header[HTTP_ETAG];
    if (!terms->if_match || (etag && strcmp(etag, terms->if_match) == 0))
        return 0;
    return http_fail(asked->transfer, -ESTALE, "it has changed: %s, not %s", etag ? etag : "no ETag",
                     terms->if_match);
}
