/* SPDX-License-Identifier: Apache-2.0 */
/* Reading is one GET, with a Range where a part is wanted. What comes is believed when it is what was asked for. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/http_parts.h"
#include "base/error.h"
#include "base/seams.h"

#define ROOM_UNKNOWN    ((size_t)256 << 10) /* asked of a sink for a body of unknown size */
#define DISCARD_SIZE    ((size_t)64 << 10)
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

/* 200: the whole body, of which `range` is a part. Without a size it does not count from the end. */
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
    out->skip = range->start;
    out->size = range->end == LARDER_TO_END ? -1 : range->end - range->start;
    out->cut = out->size >= 0;
    return 0;
}

/* The count of bytes up to the end of the body, or `size` (-1: all) of them. */
static int64_t CO_FN discard(struct http_transfer *transfer, int64_t size)
{
    int64_t count = 1, done = 0;
    autofree char *buffer = mem_alloc(DISCARD_SIZE);
    if (!buffer)
        return fail_memory();
    while (count > 0 && done != size) {
        int64_t left = size < 0 ? INT64_MAX : size - done;
        count = http_read(transfer, buffer, left < (int64_t)DISCARD_SIZE ? (size_t)left : DISCARD_SIZE);
        done += count > 0 ? count : 0;
    }
    return count < 0 ? count : done;
}

/* Move the part out of the body. Of a body of unknown size the part may be shorter than thought. */
static int CO_FN pour(struct http_transfer *transfer, struct part part, bool size_known, struct sink *sink)
{
    int64_t left = part.size;
    int64_t skipped = part.skip > 0 ? discard(transfer, part.skip) : 0;
    if (skipped < part.skip)
        return skipped < 0 ? (int)skipped : 0;
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
    if (rc < 0)
        return rc;
    if (rc == 0 && answer.info.size >= 0)
        range_resolve(range, answer.info.size, &start, &count);
    if (rc == 0 && answer.info.type == LARDER_DIRECTORY)
        rc = fail(-EISDIR, "%s/%s: a directory", http->origin, path);
    else if (count > 0)
        rc = fail(-EPROTO, "GET %s/%s: 416 Range Not Satisfiable, of bytes that HEAD says are there",
                  http->origin, path);
    if (rc == 0)
        rc = sink_begin(sink, &answer, 0);
    if (rc >= 0 && out)
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
        return http_not_modified(asked, terms, out);
    if (response->status != 200 && response->status != 203 && response->status != 206)
        return http_fail_status(asked->transfer);
    if (http_is_encoded(response))
        return http_fail(asked->transfer, -EPROTO, "the body is encoded (%.40s), which nobody asked for",
                         response->header[HTTP_CONTENT_ENCODING]);
    if (response->status == 206 && !range)
        return http_fail(asked->transfer, -EPROTO, "206 Partial Content, unasked");
    struct answer answer = http_answer_of(asked);
    int rc = http_check_match(asked, terms);
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
                            const struct terms *terms, struct sink *sink, struct answer *out);

/* A server that knows neither ranges nor the size: it is read to its end to learn the size, and then once more. */
static int CO_FN read_measured(struct http_instance *http, const char *path, const struct larder_range *range,
                               const struct terms *terms, struct sink *sink, struct answer *out)
{
    struct http_request request = {.method = HTTP_GET};
    struct asked asked;
    struct larder_range resolved;
    int64_t start, count;
    int rc = http_ask(http, path, false, terms, &request, &asked);
    if (rc < 0)
        return rc;
    int64_t size =
        asked.response->status == 200 ? discard(asked.transfer, -1) : http_fail_status(asked.transfer);
    http_close(asked.transfer);
    if (size < 0)
        return (int)size;
    range_resolve(range, size, &start, &count);
    resolved = (struct larder_range){start, start + count};
    return count > 0 ? read_range(http, path, &resolved, terms, sink, out)
                     : read_nothing(http, path, &resolved, terms, sink, out);
}

static int CO_FN read_range(struct http_instance *http, const char *path, const struct larder_range *range,
                            const struct terms *terms, struct sink *sink, struct answer *out)
{
    char text[RANGE_TEXT_SIZE];
    struct asked asked;
    format_range(range, text);
    struct http_request request = {.method = HTTP_GET, .range = text[0] ? text : NULL};
    int rc = http_ask(http, path, false, terms, &request, &asked);
    if (rc < 0)
        return rc;
    const struct http_response *response = asked.response;
    bool nothing = response->status == 416 && request.range && !response->slash_added;
    bool measured = response->status == 200 && response->content_length < 0 && range && range->start < 0 &&
                    !response->slash_added;
    if (!nothing && !measured)
        rc = read_answered(&asked, request.range ? range : NULL, terms, sink, out);
    http_close(asked.transfer);
    if (nothing)
        return read_nothing(http, path, range, terms, sink, out);
    return measured ? read_measured(http, path, range, terms, sink, out) : rc;
}

static struct answer take_answer(struct answer *answer)
{
    struct answer taken = *answer;
    *answer = (struct answer){0};
    return taken;
}

/* Both bounds count from the end: ask for the size, then for the bytes of that version. */
static int CO_FN read_from_end(struct http_instance *http, const char *path, const struct larder_range *range,
                               const struct terms *terms, struct sink *sink, struct answer *out)
{
    struct answer seen = {0}, got = {0};
    struct larder_range resolved;
    struct terms those = *terms;
    int64_t count;
    int rc = http_info(&http->instance, path, terms, &seen);
    if (rc == UNCHANGED)
        got = take_answer(&seen);
    if (rc == 0 && seen.info.type == LARDER_DIRECTORY)
        rc = fail(-EISDIR, "%s/%s: a directory", http->origin, path);
    if (rc == 0 && seen.info.size < 0) {
        rc = read_measured(http, path, range, terms, sink, &got);
    } else if (rc == 0) {
        range_resolve(range, seen.info.size, &resolved.start, &count);
        resolved.end = resolved.start + count;
        those.if_match = seen.info.version ? seen.info.version : terms->if_match;
        rc = count > 0 ? read_range(http, path, &resolved, &those, sink, &got)
                       : read_nothing(http, path, &resolved, &those, sink, &got);
        if (rc == 0 && got.info.size >= 0 && got.info.size != seen.info.size)
            rc = fail(-ESTALE, "%s/%s: its size changed while it was read", http->origin, path);
    }
    if (rc >= 0 && out)
        *out = take_answer(&got);
    answer_free(&got);
    answer_free(&seen);
    return rc;
}

int CO_FN http_read_file(struct instance *instance, const char *path, const struct larder_range *range,
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
