/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading is one GET, with a Range where a part is wanted. What comes is believed when it is what was asked for: status,
 * Content-Range, count of bytes, validator. A range that counts from the end needs no look at the size beforehand:
 *
 *     wanted       asked for    then
 *     [-9, end)    -9
 *     [-9, -2)     -9           the last two are left out
 *     [-9, 100)    -9           up to byte 100, since the answer says where it starts
 *     [5, -2)      5-           the last two are left out
 *
 * What cannot be right is asked for again, on another connection; and what cannot go on where it was cut (net/body.c)
 * begins anew, for the sink too. What is large may become several requests at once (http_split.h).
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/http_split.h"
#include "base/error.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "base/text.h"

#define ROOM_UNKNOWN    ((size_t)256 << 10) /* asked of a sink for a body of unknown size */
#define DISCARD_SIZE    ((size_t)64 << 10)
#define RANGE_TEXT_SIZE 48

struct read { /* one call */
    struct http_instance *http;
    const char *path;
    const struct larder_range *range; /* NULL: all */
    const struct terms *terms;
    struct sink *sink;
    struct answer *out; /* may be NULL */
    struct http_tries tries;
    bool measure; /* the size must be known, and no answer tells it */
};

/* The range as a Range header says it; "" when that is everything. */
static void format_range(const struct larder_range *range, char out[RANGE_TEXT_SIZE])
{
    out[0] = 0;
    if (!range || (range->start == 0 && (range->end < 0 || range->end == LARDER_TO_END)))
        return;
    if (range->start < 0)
        snprintf(out, RANGE_TEXT_SIZE, "%lld", (long long)range->start);
    else if (range->end < 0 || range->end == LARDER_TO_END)
        snprintf(out, RANGE_TEXT_SIZE, "%lld-", (long long)range->start);
    else
        snprintf(out, RANGE_TEXT_SIZE, "%lld-%lld", (long long)range->start, (long long)range->end - 1);
}

/* ---- what an answer's body is ---- */

struct body { /* bytes of the file */
    int64_t first;
    int64_t size;  /* -1: not known */
    int64_t total; /* of the file; -1: not known */
};

/* 206: exactly the bytes that were asked for, as far as there are any. */
static int judge_part(const struct asked *asked, const struct larder_range *range, struct body *out)
{
    const char *text = asked->response->header[HTTP_CONTENT_RANGE];
    struct content_range got;
    if (!text || content_range_parse(text, &got) < 0 || got.first < 0)
        return http_doubt(asked->transfer, -EPROTO, "206 without a Content-Range: %.80s",
                          text ? text : "none");
    bool last = got.total >= 0 && got.last == got.total - 1;
    int64_t size = got.last - got.first + 1;
    bool right;
    if (range->start < 0) /* the last -start bytes; all, when there are fewer */
        right = last && (size == -range->start || (got.first == 0 && size < -range->start));
    else if (range->end < 0 || range->end == LARDER_TO_END)
        right = got.first == range->start && (last || got.total < 0);
    else
        right =
            got.first == range->start && (got.last == range->end - 1 || (got.last < range->end - 1 && last));
    if (!right)
        return http_doubt(asked->transfer, -EPROTO, "206 with other bytes: %.80s", text);
    if (asked->response->content_length >= 0 && asked->response->content_length != size)
        return http_doubt(asked->transfer, -EPROTO, "206 of %.80s with a body of %lld bytes", text,
                          (long long)asked->response->content_length);
    *out = (struct body){got.first, size, got.total};
    return 0;
}

static int judge_body(const struct asked *asked, const struct larder_range *range, struct body *out)
{
    const struct http_response *response = asked->response;
    if (http_is_encoded(response))
        return http_doubt(asked->transfer, -EPROTO, "the body is encoded (%.40s), which nobody asked for",
                          response->header[HTTP_CONTENT_ENCODING]);
    if (response->status == 206)
        return range ? judge_part(asked, range, out)
                     : http_doubt(asked->transfer, -EPROTO, "206 Partial Content, unasked");
    *out = (struct body){0, response->content_length, response->content_length};
    return 0;
}

/* What of the body is wanted. */
struct part {
    int64_t start; /* of the file */
    int64_t skip;
    int64_t size; /* -1: all that follows */
    bool exact;   /* `size` is no more than there is */
    bool cut;     /* more follows that is not wanted */
};

/* False: that depends on the size, which is not known. */
static bool select_part(const struct larder_range *range, const struct body *body, struct part *out)
{
    *out = (struct part){.start = body->first, .size = body->size, .exact = body->size >= 0};
    if (!range)
        return true;
    if (body->total >= 0) {
        range_resolve(range, body->total, &out->start, &out->size);
        out->skip = out->size > 0 ? out->start - body->first : 0;
        out->cut = out->skip + out->size < body->size;
        return true;
    }
    if (range->start < 0 || range->end < 0)
        return false;
    if (body->size < 0) { /* 200 */
        out->skip = range->start;
        out->size = range->end == LARDER_TO_END ? -1 : range->end - range->start;
        out->cut = out->size >= 0;
    }
    return true;
}

/* ---- moving it ---- */

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

/* The count of the next `size` bytes (-1: all) that went to the sink; `*waited_ns` grows by the time they took to come. */
static int64_t CO_FN move(struct http_transfer *transfer, int64_t size, struct sink *sink,
                          uint64_t *waited_ns)
{
    int64_t moved = 0;
    while (moved != size) {
        void *room;
        size_t room_size, want = size < 0 ? ROOM_UNKNOWN : (size_t)(size - moved);
        int rc = sink_room(sink, want, &room, &room_size);
        if (rc < 0)
            return rc;
        uint64_t begun = waited_ns ? now_ns() : 0;
        int64_t count = http_read(transfer, room, room_size < want ? room_size : want);
        if (waited_ns)
            *waited_ns += now_ns() - begun;
        if (count <= 0)
            return count < 0 ? count : moved;
        rc = sink_fill(sink, (size_t)count);
        if (rc < 0)
            return rc;
        moved += count;
    }
    return moved;
}

static int CO_FN move_exactly(struct http_transfer *transfer, int64_t size, struct sink *sink,
                              uint64_t *waited_ns)
{
    int64_t moved = move(transfer, size, sink, waited_ns);
    if (moved < 0 || moved == size)
        return moved < 0 ? (int)moved : 0;
    return http_doubt(transfer, -ECONNRESET, "the body was cut, with %lld of %lld bytes missing",
                      (long long)(size - moved), (long long)size);
}

/* Move the part out of the body; one that is not exact may be shorter than thought. */
static int CO_FN pour(struct http_transfer *transfer, const struct part *part, struct sink *sink)
{
    int64_t skipped = part->skip > 0 ? discard(transfer, part->skip) : 0;
    if (skipped < part->skip)
        return skipped < 0 ? (int)skipped : 0;
    if (part->exact) {
        int rc = move_exactly(transfer, part->size, sink, NULL);
        if (rc < 0)
            return rc;
    } else {
        int64_t moved = move(transfer, part->size, sink, NULL);
        if (moved < part->size || moved < 0)
            return moved < 0 ? (int)moved : 0;
    }
    /* Only the end says that nothing was wrong. What is left over is none of the file's, and ends the connection. */
    char more;
    int64_t count = part->cut ? 0 : http_read(transfer, &more, 1);
    return count < 0 ? (int)count : 0;
}

/* ---- in several requests ---- */

#define FAST_BYTES_PER_S (INT64_C(100) << 20) /* of one connection: more of them would not be faster */

/* May it be split? It is large, its version is strong, and there are ranges, but not of an HTTP/2 connection. */
static bool is_large(const struct read *read, const struct asked *asked, const struct answer *answer,
                     const struct part *part)
{
    const char *accepts = asked->response->header[HTTP_ACCEPT_RANGES];
    return part->size > read->http->part_size && part->exact && answer->info.version &&
           read->http->parts != 1 &&
           (asked->response->status == 206 || (accepts && text_equal(accepts, "bytes")));
}

/* Where a steady sink will have the part, of which nothing was filled yet; else NULL. */
static int CO_FN find_place(struct sink *sink, const struct part *part, char **out)
{
    void *room = NULL;
    size_t size;
    int rc = sink->steady ? sink_room(sink, (size_t)part->size, &room, &size) : 0;
    assert(rc < 0 || !room || size >= (size_t)part->size);
    *out = room;
    return rc;
}

/* One piece from the answer that is there, and those behind it from answers of their own. Ends the former. */
static int CO_FN split(struct read *read, struct asked *asked, const struct answer *answer,
                       const struct part *part, unsigned count)
{
    struct http_instance *http = read->http;
    struct split *split = NULL;
    char *place;
    int rc = find_place(read->sink, part, &place);
    const struct split_of of = {http,
                                read->path,
                                answer->info.version,
                                part->start + http->part_size,
                                part->start + part->size,
                                http->part_size,
                                place ? place + http->part_size : NULL};
    if (rc == 0)
        rc = split_begin(&of, count, &split);
    if (rc == 0)
        rc = move_exactly(asked->transfer, http->part_size, read->sink, NULL);
    http_close(take(asked->transfer));
    if (split)
        rc = split_end(split, rc, read->sink);
    /* It changed between two pieces: from the start, unless this version and no other was wanted. */
    read->tries.again |= rc == -ESTALE && !read->terms->if_match;
    return rc;
}

static int CO_FN pour_large(struct read *read, struct asked *asked, const struct answer *answer,
                            struct part part)
{
    struct http_instance *http = read->http;
    int64_t skipped = part.skip > 0 ? discard(asked->transfer, part.skip) : 0;
    uint64_t waited_ns = 0;
    int rc = skipped < 0 ? (int)skipped : 0;
    part.skip = 0;
    if (rc == 0 && http->parts == 0) {
        rc = move_exactly(asked->transfer, http->part_size, read->sink, &waited_ns);
        part.start += http->part_size;
        part.size -= http->part_size;
    }
    if (rc < 0)
        return rc;
    bool slow = http->parts > 0 || (uint64_t)http->part_size * 1000 / FAST_BYTES_PER_S < waited_ns / 1000000;
    int64_t pieces = (part.size + http->part_size - 1) / http->part_size;
    unsigned most = http->parts ? http->parts : HTTP_PARTS_DEFAULT;
    unsigned wanted = !slow || pieces < 2 ? 0 : pieces < most ? (unsigned)pieces : most;
    unsigned count = http_site_take_parts(http->site, wanted, most);
    if (count < 2)
        rc = pour(asked->transfer, &part, read->sink);
    else
        rc = split(read, asked, answer, &part, count);
    http_site_give_parts(http->site, count);
    return rc;
}

static int CO_FN read_body(struct read *read, struct asked *asked, const struct larder_range *range)
{
    struct answer answer = http_answer_of(asked), kept = {0};
    struct body body = {0, -1, -1};
    struct part part;
    int rc = http_check_match(asked, read->terms);
    if (rc == 0)
        rc = judge_body(asked, range, &body);
    if (rc < 0)
        return rc;
    answer.info.size = body.total;
    if (range && asked->response->status != 206)
        answer.flags |= ANSWER_UNRANGED;
    read->measure = !select_part(read->range, &body, &part);
    if (read->measure)
        return 0;
    rc = sink_begin(read->sink, &answer, part.exact ? part.size : -1);
    if (rc == 0 && !is_large(read, asked, &answer, &part)) {
        rc = pour(asked->transfer, &part, read->sink);
        return rc == 0 && read->out ? answer_copy(read->out, &answer) : rc;
    }
    if (rc == 0) /* which the transfer may not outlive */
        rc = answer_copy(&kept, &answer);
    if (rc == 0)
        rc = pour_large(read, asked, &kept, part);
    if (rc == 0 && read->out)
        *read->out = kept;
    else
        answer_free(&kept);
    return rc;
}

/* ---- no bytes ---- */

/* A HEAD may lie, or the 416 that led to it: the first byte tells. But an empty file has none. */
static int CO_FN ask_again(struct read *read, struct answer *answer)
{
    struct answer seen = {0};
    int rc = http_info_by_byte(read->http, read->path, read->terms, &seen);
    if (rc < 0) {
        read->tries.again = read->tries.fresh = rc == -EIO; /* 416 again, of a byte that HEAD says is there */
        return answer->info.size == 0 ? 0 : rc;
    }
    answer_free(answer);
    *answer = seen;
    return rc;
}

/* None is asked for, or, `doubtful`, none is said to be there: what is said of the file must be asked for apart. */
static int CO_FN read_nothing(struct read *read, bool doubtful)
{
    struct http_instance *http = read->http;
    struct answer answer = {0};
    int64_t start, count = 0;
    int rc = http_info(&http->instance, read->path, read->terms, &answer);
    if (rc == 0 && doubtful && answer.info.type == LARDER_FILE)
        rc = ask_again(read, &answer);
    if (rc == 0 && answer.info.size >= 0)
        range_resolve(read->range, answer.info.size, &start, &count);
    else if (rc == 0 && doubtful && answer.info.type == LARDER_FILE)
        rc = fail(-EPROTO, "GET %s/%s: 416 Range Not Satisfiable, of a file whose size nobody tells",
                  http->origin, read->path);
    if (rc == 0 && answer.info.type == LARDER_DIRECTORY) {
        rc = fail_at(&http->instance, read->path, -EISDIR, "a directory");
    } else if (count > 0) {
        rc = fail(-EPROTO, "GET %s/%s: 416 Range Not Satisfiable, inside a file of %lld bytes", http->origin,
                  read->path, (long long)answer.info.size);
        read->tries.again = read->tries.fresh = true;
    }
    if (rc == 0)
        rc = sink_begin(read->sink, &answer, 0);
    if (rc >= 0 && read->out)
        *read->out = answer;
    else
        answer_free(&answer);
    return rc;
}

/*
 * 416. It may say the size: then it is an empty read, or wrong (CloudFront's, inside the file). Else, or when it says
 * nothing of the file's version, that is asked for.
 */
static int CO_FN read_unsatisfiable(struct read *read, const struct asked *asked, bool *ask)
{
    const struct http_response *response = asked->response;
    const char *text = response->header[HTTP_CONTENT_RANGE];
    struct answer answer = http_answer_of(asked);
    struct content_range range = {-1, -1, -1};
    int64_t start, count;
    if (text && content_range_parse(text, &range) == 0 && range.total >= 0) {
        range_resolve(read->range, range.total, &start, &count);
        if (count > 0)
            return http_doubt(asked->transfer, -EPROTO,
                              "416 Range Not Satisfiable, inside a file of %lld bytes",
                              (long long)range.total);
    }
    *ask = range.total < 0 || !answer.validator;
    if (*ask)
        return 0;
    int rc = http_check_match(asked, read->terms);
    answer.info.size = range.total;
    answer.fresh_ms = answer.stale_if_error_ms = -1;
    if (rc == 0)
        rc = sink_begin(read->sink, &answer, 0);
    return rc == 0 && read->out ? answer_copy(read->out, &answer) : rc;
}

/* ---- one try ---- */

/* `*ask`: whether there is such a file is to be asked for apart. */
static int CO_FN read_answered(struct read *read, struct asked *asked, const struct larder_range *range,
                               bool *ask)
{
    const struct http_response *response = asked->response;
    if (response->slash_added)
        return http_fail(asked->transfer, -EISDIR, "a directory");
    switch (response->status) {
    case 200:
    case 203:
    case 206:
        return read_body(read, asked, range);
    case 304:
        return http_not_modified(asked, read->terms, read->out);
    case 416:
        return range ? read_unsatisfiable(read, asked, ask) : http_fail_status(asked->transfer);
    default:
        return http_fail_status(asked->transfer);
    }
}

static int CO_FN read_once(struct read *read)
{
    char text[RANGE_TEXT_SIZE];
    struct asked asked;
    bool ask = false;
    format_range(read->range, text);
    struct http_request request = {.method = HTTP_GET, .range = text[0] ? text : NULL, .tries = &read->tries};
    int rc = http_ask(read->http, read->path, false, read->terms, &request, &asked);
    if (rc < 0)
        return rc;
    rc = read_answered(read, &asked, request.range ? read->range : NULL, &ask);
    http_close(asked.transfer);
    return rc == 0 && ask ? read_nothing(read, true) : rc;
}

static int CO_FN read_retried(struct read *read)
{
    int rc;
    do
        rc = read_once(read);
    while (http_try_again(&read->tries, &rc));
    return rc;
}

/* Its size, and a copy of its version (mem; NULL: not known). */
static int64_t CO_FN measure(struct read *read, char **version)
{
    struct http_request request = {.method = HTTP_GET, .tries = &read->tries};
    struct asked asked;
    int64_t size;
    int rc = http_ask(read->http, read->path, false, read->terms, &request, &asked);
    if (rc < 0)
        return rc;
    size = asked.response->status == 200 ? discard(asked.transfer, -1) : http_fail_status(asked.transfer);
    struct answer answer = http_answer_of(&asked);
    *version = size >= 0 && answer.info.version ? mem_dup(answer.info.version) : NULL;
    if (size >= 0 && answer.info.version && !*version)
        size = fail_memory();
    http_close(asked.transfer);
    return size;
}

/* A server that knows neither ranges nor the size: the file is read to its end to learn the size, and then once more. */
static int CO_FN read_measured(struct read *read)
{
    autofree char *version = NULL;
    struct larder_range resolved;
    struct terms those = *read->terms;
    int64_t start, count, size;
    int rc;
    do {
        size = measure(read, &version);
        rc = size < 0 ? (int)size : 0;
    } while (http_try_again(&read->tries, &rc));
    if (rc < 0)
        return rc;
    range_resolve(read->range, size, &start, &count);
    resolved = (struct larder_range){start, start + count};
    those.if_match = version ? version : those.if_match;
    read->range = &resolved;
    read->terms = &those;
    return count > 0 ? read_retried(read) : read_nothing(read, false);
}

int CO_FN http_read_file(struct instance *instance, const char *path, const struct larder_range *range,
                         const struct terms *terms, struct sink *sink, struct answer *out)
{
    struct http_instance *http = http_of(instance);
    struct read read = {http, path, range, terms, sink, out, .tries = {.site = http->site}};
    if (path[0] == 0)
        return fail_at(&http->instance, "", -EISDIR, "a directory");
    if (range && range_is_empty(range))
        return read_nothing(&read, false);
    int rc = read_retried(&read);
    if (rc == -EACCES && http_is_plain(http))
        return http_blame_file(http, path, false, rc);
    return rc == 0 && read.measure ? read_measured(&read) : rc;
}
