/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP, for reading. An instance is an origin, and the query of the URL that it was opened with: that goes, untouched,
 * with every request. A path is the decoded path of a URL.
 *
 *   info   HEAD; where that is refused or tells no size, GET of the first byte. Redirected to itself with a slash
 *          behind: a directory. So is the root
 *   read   one GET
 *   list   GET of path + "/", and what the page links to (net/index.h)
 *
 * A version is a strong ETag. What only can be revalidated, a weak ETag or a Last-Modified, is the validator of an
 * ANSWER_WEAK. Which of the two a validator is, shows: the latter is a date.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/backends.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/path.h"
#include "base/seams.h"
#include "base/text.h"
#include "net/freshness.h"
#include "net/http.h"
#include "net/index.h"
#include "net/uri.h"

#define ROOM_UNKNOWN ((size_t)256 << 10) /* asked of a sink for a body of unknown size */
#define LIST_ACCEPT  "application/json, text/html;q=0.9, */*;q=0.1"

struct http_instance {
    struct instance instance;
    struct http_site *site;
    char *origin;
    char *query; /* without "?"; NULL: none */
};

static struct http_instance *http_of(struct instance *instance)
{
    return (struct http_instance *)instance;
}

/* ---- requests ---- */

static char *make_url(const struct http_instance *http, const char *path, bool slash)
{
    autofree char *encoded = url_encode_path(path);
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

struct asked {
    struct http_transfer *transfer;
    const struct http_response *response;
    uint64_t at_ns;
};

/* One request of `path`, with what `terms` say. Fails only when there is no answer. */
static int CO_FN ask(struct http_instance *http, const char *path, bool slash, const struct terms *terms,
                     struct http_request *request, struct asked *out)
{
    autofree char *url = make_url(http, path, slash);
    if (!url)
        return fail_memory();
    request->url = url;
    request->if_match = terms->if_match;
    if (terms->if_none_match && is_date(terms->if_none_match))
        request->if_modified_since = terms->if_none_match;
    else
        request->if_none_match = terms->if_none_match;
    struct asked asked = {.at_ns = now_ns()};
    int rc = http_open(http->site, request, &asked.transfer);
    request->url = NULL;
    if (rc < 0)
        return rc;
    asked.response = http_response(asked.transfer);
    *out = asked;
    return 0;
}

/* ---- answers ---- */

static bool is_strong(const char *etag)
{
    return etag[0] && strncmp(etag, "W/", 2) != 0 && !is_date(etag);
}

/* What the headers say of the file; its size is not among it. The strings are the response's. */
static struct answer answer_of(const struct asked *asked)
{
    const char *const *header = asked->response->header;
    const struct freshness_headers headers = {
        .cache_control = header[HTTP_CACHE_CONTROL],
        .expires = header[HTTP_EXPIRES],
        .date = header[HTTP_DATE],
        .age = header[HTTP_AGE],
        .vary = header[HTTP_VARY],
    };
    struct freshness freshness =
        freshness_of(&headers, wall_ns(), (int64_t)(now_ns() - asked->at_ns) / 1000000);
    const char *etag = header[HTTP_ETAG];
    struct answer answer = {
        .info = {.type = LARDER_FILE, .size = LARDER_SIZE_UNKNOWN},
        .validator = etag && *etag ? etag : header[HTTP_LAST_MODIFIED],
        .fresh_ms = freshness.fresh_ms,
        .stale_if_error_ms = freshness.stale_if_error_ms,
        .flags = (freshness.no_store ? ANSWER_NO_STORE : 0) |
                 (freshness.must_revalidate ? ANSWER_MUST_REVALIDATE : 0),
    };
    if (etag && is_strong(etag))
        answer.info.version = etag;
    else if (answer.validator && (etag || is_date(answer.validator)))
        answer.flags |= ANSWER_WEAK;
    else
        answer.validator = NULL;
    if (header[HTTP_LAST_MODIFIED] && parse_http_date(header[HTTP_LAST_MODIFIED], &answer.info.mtime_ns) < 0)
        answer.info.mtime_ns = 0;
    return answer;
}

static struct answer directory_answer(const struct asked *asked)
{
    struct answer answer = answer_of(asked);
    answer.info = (struct larder_info){.type = LARDER_DIRECTORY};
    answer.validator = NULL; /* of a page about it, or of a redirect's target */
    answer.flags &= ~(unsigned)ANSWER_WEAK;
    return answer;
}

static bool is_encoded(const struct http_response *response)
{
    const char *coding = response->header[HTTP_CONTENT_ENCODING];
    return coding && *coding && !text_equal(coding, "identity");
}

/* UNCHANGED, when that was possible. */
static int not_modified(const struct asked *asked, const struct terms *terms, struct answer *out)
{
    if (!terms->if_none_match)
        return http_fail(asked->transfer, -EPROTO, "304 Not Modified, unasked");
    if (!out)
        return UNCHANGED;
    struct answer answer = answer_of(asked);
    if (!answer.validator) /* §4.3.4 of RFC 9111: it is what was asked about */
        answer.validator = terms->if_none_match;
    int rc = answer_copy(out, &answer);
    return rc < 0 ? rc : UNCHANGED;
}

/* A server that knows no If-Match, or whose cache passes it by, still says what it sends. */
static int check_match(const struct asked *asked, const struct terms *terms)
{
    const char *etag = asked->response->header[HTTP_ETAG];
    if (!terms->if_match || (etag && strcmp(etag, terms->if_match) == 0))
        return 0;
    return http_fail(asked->transfer, -ESTALE, "it has changed: %s, not %s", etag ? etag : "no ETag",
                     terms->if_match);
}

/* ---- info ---- */

/* HEAD says too little: GET the first byte, whose Content-Range has the size. */
static int CO_FN probe(struct http_instance *http, const char *path, const struct terms *terms,
                       struct asked *out)
{
    struct http_request request = {.method = HTTP_GET, .range = "0-0"};
    return ask(http, path, false, terms, &request, out);
}

static int size_of(const struct asked *asked, int64_t *out)
{
    const struct http_response *response = asked->response;
    const char *text = response->header[HTTP_CONTENT_RANGE];
    struct content_range range = {-1, -1, -1};
    *out = LARDER_SIZE_UNKNOWN;
    if (is_encoded(response))
        return 0;
    if (response->status == 200 || response->status == 203) {
        *out = response->content_length;
        return 0;
    }
    if (text && content_range_parse(text, &range) < 0)
        return http_fail(asked->transfer, -EPROTO, "a broken Content-Range: %.80s", text);
    *out = range.total;
    return 0;
}

/* Is a HEAD's answer not the last word? 403: presigned URLs are often signed for GET alone. */
static bool should_probe(const struct http_response *response)
{
    switch (response->status) {
    case 200:
    case 203:
        return response->content_length < 0 && !is_encoded(response);
    case 400:
    case 403:
    case 405:
    case 501:
        return true;
    default:
        return false;
    }
}

static int judge_info(const struct asked *asked, const char *path, const struct terms *terms,
                      struct answer *out)
{
    int status = asked->response->status;
    if (status == 304)
        return not_modified(asked, terms, out);
    bool empty = status == 416; /* there is no first byte */
    if (status != 200 && status != 203 && status != 206 && !empty)
        return http_fail_status(asked->transfer);
    struct answer answer;
    if (path[0] == 0 || asked->response->slash_added) {
        answer = directory_answer(asked);
    } else {
        int rc = check_match(asked, terms);
        answer = answer_of(asked);
        if (rc == 0)
            rc = size_of(asked, &answer.info.size);
        if (rc == 0 && empty && answer.info.size != 0)
            return http_fail_status(asked->transfer);
        if (rc < 0)
            return rc;
    }
    return answer_copy(out, &answer);
}

static int CO_FN http_info(struct instance *instance, const char *path, const struct terms *terms,
                           struct answer *out)
{
    struct http_instance *http = http_of(instance);
    struct http_request request = {.method = HTTP_HEAD};
    struct asked asked;
    int rc = ask(http, path, false, terms, &request, &asked);
    if (rc < 0)
        return rc;
    if (path[0] && !asked.response->slash_added && should_probe(asked.response)) {
        http_close(asked.transfer);
        rc = probe(http, path, terms, &asked);
        if (rc < 0)
            return rc;
    }
    rc = judge_info(&asked, path, terms, out);
    http_close(asked.transfer);
    return rc;
}

/* ---- reading ---- */

#define RANGE_TEXT_SIZE 48

/* A range as a Range header says it; "" when that is everything. Not empty, and needs no size. */
static void format_range(const struct larder_range *range, char out[RANGE_TEXT_SIZE])
{
    out[0] = 0;
    if (!range || (range->start == 0 && range->end == LARDER_TO_END))
        return;
    if (range->start < 0)
        snprintf(out, RANGE_TEXT_SIZE, "%lld", (long long)range->start);
    else if (range->end == LARDER_TO_END)
        snprintf(out, RANGE_TEXT_SIZE, "%lld-", (long long)range->start);
    else
        snprintf(out, RANGE_TEXT_SIZE, "%lld-%lld", (long long)range->start, (long long)range->end - 1);
}

/* What of the body that follows is wanted. */
struct part {
    int64_t skip;
    int64_t size; /* -1: all that follows */
    bool cut;     /* more follows that is not wanted */
};

/* 206: exactly the bytes that were asked for, as far as there are any. */
static int judge_part(const struct asked *asked, const struct larder_range *range, struct answer *answer,
                      struct part *out)
{
    const char *text = asked->response->header[HTTP_CONTENT_RANGE];
    struct content_range got;
    if (!text || content_range_parse(text, &got) < 0 || got.first < 0)
        return http_fail(asked->transfer, -EPROTO, "206 without a Content-Range: %.80s",
                         text ? text : "none");
    bool last = got.total >= 0 && got.last == got.total - 1;
    int64_t size = got.last - got.first + 1;
    bool right;
    if (range->start < 0) /* the last -start bytes; all, when there are fewer */
        right = last && (size == -range->start || (got.first == 0 && size < -range->start));
    else if (range->end == LARDER_TO_END)
        right = got.first == range->start && (last || got.total < 0);
    else
        right =
            got.first == range->start && (got.last == range->end - 1 || (got.last < range->end - 1 && last));
    if (!right)
        return http_fail(asked->transfer, -EPROTO, "206 with other bytes: %.80s", text);
    if (asked->response->content_length >= 0 && asked->response->content_length != size)
        return http_fail(asked->transfer, -EPROTO, "206 of %.80s with a body of %lld bytes", text,
                         (long long)asked->response->content_length);
    answer->info.size = got.total;
    *out = (struct part){.size = size};
    return 0;
}

/* 200: the whole body, of which `range` is a part. */
static int judge_whole(const struct asked *asked, const struct larder_range *range, struct answer *answer,
                       struct part *out)
{
    int64_t total = asked->response->content_length;
    answer->info.size = total;
    *out = (struct part){.size = total};
    if (!range)
        return 0;
    if (total >= 0) {
        range_resolve(range, total, &out->skip, &out->size);
        out->cut = out->skip + out->size < total;
        return 0;
    }
    if (range->start < 0)
        return http_fail(asked->transfer, -ENOTSUP, "the server knows neither ranges nor the size");
    out->skip = range->start;
    out->size = range->end == LARDER_TO_END ? -1 : range->end - range->start;
    out->cut = out->size >= 0;
    return 0;
}

/* Move the part out of the body. Of a body of unknown size the part may be shorter than thought. */
static int CO_FN pour(struct http_transfer *transfer, struct part part, bool size_known, struct sink *sink)
{
    int64_t left = part.size;
    char skipped[1024];
    while (part.skip > 0) {
        size_t want = part.skip < (int64_t)sizeof skipped ? (size_t)part.skip : sizeof skipped;
        int64_t count = http_read(transfer, skipped, want);
        if (count < 0)
            return (int)count;
        if (count == 0)
            return 0;
        part.skip -= count;
    }
    while (left != 0) {
        void *room;
        size_t size, want = left > 0 ? (size_t)left : ROOM_UNKNOWN;
        int rc = sink_room(sink, want, &room, &size);
        if (rc < 0)
            return rc;
        int64_t count = http_read(transfer, room, size < want ? size : want);
        if (count < 0)
            return (int)count;
        if (count == 0 && left > 0 && size_known)
            return http_fail(transfer, -ECONNRESET, "the body was cut, with %lld of %lld bytes missing",
                             (long long)left, (long long)part.size);
        if (count == 0)
            return 0;
        rc = sink_fill(sink, (size_t)count);
        if (rc < 0)
            return rc;
        left -= left > 0 ? count : 0;
    }
    /* Only the end says that nothing was wrong, and that nothing is left over. */
    char more;
    int64_t count = part.cut ? 0 : http_read(transfer, &more, 1);
    return count > 0 ? http_fail(transfer, -EPROTO, "more bytes than announced") : (int)count;
}

/* No byte of the range exists, or none is asked for: what is said of the file must be asked for apart. */
static int CO_FN read_nothing(struct http_instance *http, const char *path, const struct larder_range *range,
                              const struct terms *terms, struct sink *sink, struct answer *out)
{
    struct answer answer = {0};
    int64_t start, count = 0;
    int rc = http_info(&http->instance, path, terms, &answer);
    if (rc == UNCHANGED && out)
        *out = answer;
    if (rc != 0)
        return rc;
    if (answer.info.size >= 0)
        range_resolve(range, answer.info.size, &start, &count);
    if (answer.info.type == LARDER_DIRECTORY)
        rc = fail(-EISDIR, "%s/%s: a directory", http->origin, path);
    else if (count > 0)
        rc = fail(-EPROTO, "GET %s/%s: 416 Range Not Satisfiable, of bytes that HEAD says are there",
                  http->origin, path);
    if (rc == 0)
        rc = sink_begin(sink, &answer, 0);
    if (rc == 0 && out)
        *out = answer;
    else
        answer_free(&answer);
    return rc;
}

static int CO_FN read_answered(const struct asked *asked, const struct larder_range *range,
                               const struct terms *terms, struct sink *sink, struct answer *out)
{
    const struct http_response *response = asked->response;
    struct part part;
    if (response->slash_added)
        return http_fail(asked->transfer, -EISDIR, "a directory");
    if (response->status == 304)
        return not_modified(asked, terms, out);
    if (response->status != 200 && response->status != 203 && response->status != 206)
        return http_fail_status(asked->transfer);
    if (is_encoded(response))
        return http_fail(asked->transfer, -EPROTO, "the body is encoded (%.40s), which nobody asked for",
                         response->header[HTTP_CONTENT_ENCODING]);
    if (response->status == 206 && !range)
        return http_fail(asked->transfer, -EPROTO, "206 Partial Content, unasked");
    struct answer answer = answer_of(asked);
    int rc = check_match(asked, terms);
    if (rc == 0)
        rc = response->status == 206 ? judge_part(asked, range, &answer, &part)
                                     : judge_whole(asked, range, &answer, &part);
    bool size_known = response->status == 206 || answer.info.size >= 0;
    if (rc == 0)
        rc = sink_begin(sink, &answer, size_known ? part.size : -1);
    if (rc == 0)
        rc = pour(asked->transfer, part, size_known, sink);
    return rc == 0 && out ? answer_copy(out, &answer) : rc;
}

static int CO_FN read_range(struct http_instance *http, const char *path, const struct larder_range *range,
                            const struct terms *terms, struct sink *sink, struct answer *out)
{
    char text[RANGE_TEXT_SIZE];
    struct asked asked;
    format_range(range, text);
    struct http_request request = {.method = HTTP_GET, .range = text[0] ? text : NULL};
    int rc = ask(http, path, false, terms, &request, &asked);
    if (rc < 0)
        return rc;
    bool nothing = asked.response->status == 416 && request.range && !asked.response->slash_added;
    if (!nothing)
        rc = read_answered(&asked, request.range ? range : NULL, terms, sink, out);
    http_close(asked.transfer);
    return nothing ? read_nothing(http, path, range, terms, sink, out) : rc;
}

/* Both bounds count from the end: ask for the size, then for the bytes of that version. */
static int CO_FN read_from_end(struct http_instance *http, const char *path, const struct larder_range *range,
                               const struct terms *terms, struct sink *sink, struct answer *out)
{
    struct answer seen = {0};
    struct larder_range resolved;
    struct terms those = *terms;
    int64_t count;
    int rc = http_info(&http->instance, path, terms, &seen);
    if (rc == UNCHANGED && out) {
        *out = seen;
        return rc;
    }
    if (rc == 0 && seen.info.type == LARDER_DIRECTORY)
        rc = fail(-EISDIR, "%s/%s: a directory", http->origin, path);
    if (rc == 0 && seen.info.size < 0)
        rc = fail(-ENOTSUP, "%s/%s: the server does not tell the size", http->origin, path);
    if (rc == 0) {
        range_resolve(range, seen.info.size, &resolved.start, &count);
        resolved.end = resolved.start + count;
        those.if_match = seen.info.version ? seen.info.version : terms->if_match;
        rc = count > 0 ? read_range(http, path, &resolved, &those, sink, out)
                       : read_nothing(http, path, &resolved, &those, sink, out);
    }
    answer_free(&seen);
    return rc;
}

static int CO_FN http_read_file(struct instance *instance, const char *path, const struct larder_range *range,
                                const struct terms *terms, struct sink *sink, struct answer *out)
{
    struct http_instance *http = http_of(instance);
    if (path[0] == 0)
        return fail(-EISDIR, "%s/: a directory", http->origin);
    if (range && range_is_empty(range))
        return read_nothing(http, path, range, terms, sink, out);
    if (range && range_needs_size(range))
        return read_from_end(http, path, range, terms, sink, out);
    return read_range(http, path, range, terms, sink, out);
}

/* ---- listing ---- */

static int on_index_entry(void *arg, const struct index_entry *entry)
{
    const struct larder_info info = {.name = entry->name,
                                     .type = entry->type,
                                     .size = entry->size,
                                     .mtime_ns = entry->mtime_ns};
    return entries_add(arg, &info);
}

static int finish_index(void *arg)
{
    return index_finish(arg);
}

static int CO_FN read_index(const struct asked *asked, struct entries_builder *builder)
{
    const struct http_response *response = asked->response;
    struct index *index = NULL;
    if (is_encoded(response))
        return http_fail(asked->transfer, -EPROTO, "the page is encoded (%.40s), which nobody asked for",
                         response->header[HTTP_CONTENT_ENCODING]);
    int64_t count = 1;
    int rc = index_new(response->url, response->header[HTTP_CONTENT_TYPE], on_index_entry, builder, &index);
    char *buffer = mem_alloc(ROOM_UNKNOWN);
    if (rc == 0 && !buffer)
        rc = fail_memory();
    while (rc == 0 && count > 0) {
        count = http_read(asked->transfer, buffer, ROOM_UNKNOWN);
        rc = count < 0 ? (int)count : count > 0 ? index_feed(index, buffer, (size_t)count) : 0;
    }
    mem_free(buffer);
    if (rc == 0) /* a worker: jansson takes long, and recurses deeper than a task's stack is */
        rc = offload(finish_index, index);
    index_free(index);
    return rc == -ENOTSUP ? http_fail(asked->transfer, rc, "%s", error_text()) : rc;
}

/* There is nothing at path/: a file without the slash? */
static int CO_FN explain_missing(struct http_instance *http, const char *path)
{
    struct answer answer = {0};
    int rc = path[0] ? http_info(&http->instance, path, &TERMS_NONE, &answer) : 0;
    if (rc < 0)
        return rc;
    bool file = path[0] && answer.info.type == LARDER_FILE;
    answer_free(&answer);
    return file ? fail(-ENOTDIR, "%s/%s: not a directory", http->origin, path)
                : fail(-ENOENT, "%s/%s: there is no index", http->origin, path);
}

static int CO_FN list_answered(const struct asked *asked, const char *path, const struct terms *terms,
                               struct larder_entries *page, struct answer *out)
{
    const struct http_response *response = asked->response;
    struct entries_builder builder = {0};
    struct uri uri;
    if (response->status == 304)
        return not_modified(asked, terms, out);
    if (response->status != 200 && response->status != 203)
        return http_fail_status(asked->transfer);
    uri_split(response->url, &uri);
    if (path[0] && (uri.path.size == 0 || uri.path.text[uri.path.size - 1] != '/'))
        return http_fail(asked->transfer, -ENOTDIR, "not a directory: there is only one without the slash");
    struct answer answer = answer_of(asked);
    answer.info.type = LARDER_DIRECTORY;
    answer.info.size = 0;
    answer.info.mtime_ns = 0;
    struct answer copy = {0};
    int rc = read_index(asked, &builder);
    if (rc == 0 && out)
        rc = answer_copy(&copy, &answer);
    if (rc < 0) {
        entries_discard(&builder);
        return rc;
    }
    entries_finish(&builder, page);
    if (out)
        *out = copy;
    return 0;
}

static int CO_FN http_list(struct instance *instance, const char *path, const struct terms *terms,
                           struct cursor *cursor, struct larder_entries *page, struct answer *out)
{
    struct http_instance *http = http_of(instance);
    struct http_request request = {.method = HTTP_GET, .accept = LIST_ACCEPT};
    struct asked asked;
    int rc = ask(http, path, true, terms, &request, &asked);
    if (rc < 0)
        return rc;
    rc = list_answered(&asked, path, terms, page, out);
    http_close(asked.transfer);
    if (rc == -ENOENT)
        return explain_missing(http, path);
    cursor->end = rc >= 0;
    return rc;
}

/* ---- the instance ---- */

static const struct option http_options[] = {
    {"timeout", OPTION_DURATION, NULL, OPTION_PER_HANDLE, "for each call as a whole; none by default"},
    {"connect_timeout", OPTION_DURATION, "30s", 0, "for name look-up, TCP and TLS together"},
    {"stall_timeout", OPTION_DURATION, "60s", 0, "without a byte for so long a transfer has failed"},
    {"max_connections", OPTION_COUNT, "32", 0, "at once; requests beyond them wait for their turn"},
    {"http2", OPTION_BOOL, "true", 0, "speak HTTP/2 where the server does, over TLS"},
    {"user", OPTION_TEXT, NULL, OPTION_IDENTITY, "name for basic authentication; else that of the URL"},
    {"password", OPTION_TEXT, NULL, OPTION_SECRET, "its password; else that of the URL"},
    {"bearer", OPTION_TEXT, NULL, OPTION_IDENTITY | OPTION_SECRET, "token for bearer authentication"},
    {"netrc", OPTION_BOOL, "false", 0, "take name and password from ~/.netrc"},
    {"headers", OPTION_TEXT, NULL, OPTION_IDENTITY | OPTION_SECRET,
     "lines \"Name: value\" to send with each request to this origin"},
    {"user_agent", OPTION_TEXT, NULL, 0, "instead of larder/VERSION"},
    {"ca_file", OPTION_TEXT, NULL, 0, "PEM file of the authorities to trust, instead of the system's"},
    {"client_cert", OPTION_TEXT, NULL, OPTION_IDENTITY, "PEM file of the certificate to show"},
    {"client_key", OPTION_TEXT, NULL, 0, "PEM file of its key"},
    {"insecure", OPTION_BOOL, "false", 0, "trust any certificate"},
    {"proxy", OPTION_TEXT, NULL, 0,
     "URL of a proxy, \"\" for none; else as http_proxy, https_proxy, no_proxy say"},
    {"unix_socket", OPTION_TEXT, NULL, OPTION_IDENTITY, "path of a socket to connect to instead of the host"},
    {0},
};

/* The origin, and a digest of what else decides which bytes come. */
static char *make_identity(const struct http_instance *http, const char *user)
{
    static const char *const names[] = {"bearer", "headers", "client_cert", "unix_socket"};
    struct buffer said = BUFFER((size_t)16 << 20);
    const char *texts[2 + sizeof names / sizeof names[0]] = {http->query, user};
    bool any = http->query || user;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        texts[2 + i] = option_text(&http->instance, names[i]);
        any |= texts[2 + i] != NULL;
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        buffer_add(&said, texts[i] ? texts[i] : "", texts[i] ? strlen(texts[i]) + 1 : 1);
    uint64_t digest = said.status == 0 ? hash_bytes(said.data, said.size) : 0;
    char *identity = said.status < 0 ? NULL
                     : any           ? mem_format("%s#%016llx", http->origin, (unsigned long long)digest)
                                     : mem_dup(http->origin);
    buffer_free(&said);
    return identity;
}

/* "user:password" of the URL, decoded; an option that is given counts more. */
static int take_userinfo(const struct uri *uri, char **user, char **password)
{
    if (!uri->userinfo.text)
        return 0;
    const char *text = uri->userinfo.text;
    const char *colon = memchr(text, ':', uri->userinfo.size);
    size_t size = colon ? (size_t)(colon - text) : uri->userinfo.size;
    int rc = url_decode_path(text, size, user);
    if (rc == 0 && colon)
        rc = url_decode_path(colon + 1, uri->userinfo.size - size - 1, password);
    /* The text would show what was in it. */
    return rc == -EINVAL ? fail(rc, "the user or password of a URL: broken percent-encoding") : rc;
}

static int make_site(struct http_instance *http, const char *user, const char *password)
{
    struct instance *instance = &http->instance;
    const char *given_user = option_text(instance, "user"),
               *given_password = option_text(instance, "password");
    const struct http_config config = {
        .connect_timeout_ms = option_number(instance, "connect_timeout"),
        .stall_timeout_ms = option_number(instance, "stall_timeout"),
        .connections_max = (unsigned)option_number(instance, "max_connections"),
        .http1 = !option_bool(instance, "http2"),
        .insecure = option_bool(instance, "insecure"),
        .netrc = option_bool(instance, "netrc"),
        .user = given_user ? given_user : user,
        .password = given_password ? given_password : password,
        .bearer = option_text(instance, "bearer"),
        .headers = option_text(instance, "headers"),
        .ca_file = option_text(instance, "ca_file"),
        .client_cert = option_text(instance, "client_cert"),
        .client_key = option_text(instance, "client_key"),
        .proxy = option_text(instance, "proxy"),
        .unix_socket = option_text(instance, "unix_socket"),
        .user_agent = option_text(instance, "user_agent"),
    };
    if (option_number(instance, "max_connections") < 1 || option_number(instance, "max_connections") > 4096)
        return fail(-EINVAL, "option http.max_connections: from 1 to 4096");
    http->instance.identity = make_identity(http, config.user);
    if (!http->instance.identity)
        return fail_memory();
    return http_site_new(instance->loop, &config, &http->site);
}

static int make_path(const struct uri *uri, char **out)
{
    autofree char *decoded = NULL;
    int rc = url_decode_path(uri->path.text, uri->path.size, &decoded);
    return rc < 0 ? rc : path_resolve("", decoded, out, NULL);
}

static void http_close_instance(struct instance *instance)
{
    struct http_instance *http = http_of(instance);
    http_site_free(http->site);
    mem_free(http->origin);
    mem_free(http->query);
}

static int http_open_instance(struct instance *instance, const char *url, char **path)
{
    struct http_instance *http = http_of(instance);
    struct uri uri;
    autofree char *clean = NULL, *user = NULL, *password = NULL;
    int rc = uri_split_http(url, &uri);
    if (rc == 0)
        rc = make_path(&uri, &clean);
    if (rc == 0)
        rc = take_userinfo(&uri, &user, &password);
    if (rc < 0)
        return rc;
    http->origin = uri_origin(&uri);
    http->query = uri.query.text ? slice_dup(uri.query) : NULL;
    if (!http->origin || (uri.query.text && !http->query))
        rc = fail_memory();
    else
        rc = make_site(http, user, password);
    if (rc < 0) {
        http_close_instance(instance);
        return rc;
    }
    instance->can = (struct larder_capabilities){.list = true, .persistent = true, .remove_count_max = 1};
    *path = take(clean);
    return 0;
}

static char *http_url(struct instance *instance, const char *path)
{
    struct http_instance *http = http_of(instance);
    autofree char *encoded = url_encode_path(path);
    return encoded ? mem_format("%s/%s", http->origin, encoded) : NULL;
}

static const char *const http_protocols[] = {"http", "https", NULL};

const struct backend http_backend = {
    .name = "http",
    .protocols = http_protocols,
    .kind = ASYNC,
    .size = sizeof(struct http_instance),
    .options = http_options,
    .open = http_open_instance,
    .close = http_close_instance,
    .url = http_url,
    .info = http_info,
    .list = http_list,
    .read = http_read_file,
};
