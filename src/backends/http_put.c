/* SPDX-License-Identifier: Apache-2.0 */
/* PUT: what a source has becomes a request's body; and whether it arrived, where the answer was lost. */
#include <errno.h>
#include <string.h>

#include "backends/http_parts.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "net/http_status.h"

#define MD5_HERE_MAX   ((int64_t)256 << 10) /* longer ones on a worker: half a millisecond */
#define MD5_STREAM_MAX ((int64_t)64 << 20)  /* what is read twice for it: still in the page cache */
#define PIECE_SIZE     ((size_t)64 << 10)

/* ---- bodies ---- */

struct source_body {
    struct http_body body;
    struct source *source;
};

static int64_t CO_EDGE body_read(struct http_body *body, void *buffer, size_t size)
{
    return source_read(((struct source_body *)body)->source, buffer, size);
}

static int CO_EDGE body_rewind(struct http_body *body)
{
    return source_rewind(((struct source_body *)body)->source);
}

static bool can_rewind(const struct source *source)
{
    return source->data || source->rewind;
}

/* ---- Content-MD5 ---- */

struct md5_work {
    const struct source *source;
    unsigned char digest[DIGEST_SIZE_MAX];
};

static int md5_of(void *arg)
{
    struct md5_work *work = arg;
    return digest_of(DIGEST_MD5, work->source->data, (size_t)work->source->size, work->digest);
}

static int CO_FN md5_of_stream(struct source *source, unsigned char digest[DIGEST_SIZE_MAX])
{
    struct digest state = {0};
    autofree char *piece = mem_alloc(PIECE_SIZE);
    int rc = piece ? digest_begin(&state, DIGEST_MD5) : fail_memory();
    int64_t count = 1;
    source->looks = true;
    while (rc == 0 && count > 0) {
        count = source_read(source, piece, PIECE_SIZE);
        rc = count < 0 ? (int)count : digest_add(&state, piece, (size_t)count);
    }
    if (rc == 0)
        rc = digest_end(&state, digest);
    digest_fini(&state);
    if (rc == 0)
        rc = source_rewind(source);
    source->looks = false;
    return rc;
}

#define MD5_LINE_SIZE (sizeof "Content-MD5: " + BASE64_SIZE(16))
/* "" where there is none to be had. */
static int CO_FN make_md5_line(const struct http_instance *http, struct source *source,
                               char line[MD5_LINE_SIZE])
{
    struct md5_work work = {.source = source};
    int rc;
    line[0] = 0;
    if (!option_bool(&http->instance, "content_md5"))
        return 0;
    if (source->data)
        rc = source->size <= MD5_HERE_MAX ? md5_of(&work) : offload(md5_of, &work);
    else if (source->rewind && source->size >= 0 && source->size <= MD5_STREAM_MAX)
        rc = md5_of_stream(source, work.digest);
    else
        return 0;
    if (rc < 0)
        return rc;
    strcpy(line, "Content-MD5: ");
    base64_format(work.digest, digest_size(DIGEST_MD5), line + strlen(line));
    return 0;
}

/* ---- did it arrive? ---- */

/* What the server sends, against what was to be written. */
struct compare {
    struct sink sink;
    struct source *source;
    int64_t at;
    bool same;
    char *got, *own; /* PIECE_SIZE each; mem */
};

static int CO_FN compare_begin_in(struct compare *compare)
{
    compare->at = 0;
    compare->same = true;
    return source_rewind(compare->source);
}

static int CO_EDGE compare_begin(struct sink *sink, const struct answer *answer, int64_t size)
{
    return compare_begin_in((struct compare *)sink);
}

static int compare_room(struct sink *sink, size_t want, void **out, size_t *size)
{
    struct compare *compare = (struct compare *)sink;
    *out = compare->got;
    *size = PIECE_SIZE;
    return 0;
}

/* The next bytes of the source; NULL: so many are not left. */
static const char *CO_FN own_bytes(struct compare *compare, size_t size, int *status)
{
    const struct source *source = compare->source;
    if (source->data)
        return compare->at + (int64_t)size <= source->size ? (const char *)source->data + compare->at : NULL;
    for (size_t done = 0; done < size;) {
        int64_t count = source_read(compare->source, compare->own + done, size - done);
        if (count <= 0) {
            *status = (int)count;
            return NULL;
        }
        done += (size_t)count;
    }
    return compare->own;
}

static int CO_FN compare_fill_in(struct compare *compare, size_t size)
{
    int rc = 0;
    const char *own = compare->same ? own_bytes(compare, size, &rc) : NULL;
    compare->same = own && memcmp(own, compare->got, size) == 0;
    compare->at += (int64_t)size;
    return rc;
}

static int CO_EDGE compare_fill(struct sink *sink, size_t size)
{
    return compare_fill_in((struct compare *)sink, size);
}

static int CO_FN is_at_end(struct compare *compare)
{
    char more;
    if (compare->source->size >= 0)
        return compare->at == compare->source->size;
    int64_t count = source_read(compare->source, &more, 1);
    return count < 0 ? (int)count : count == 0;
}

int CO_FN http_holds(struct http_instance *http, const char *path, struct source *source)
{
    struct compare compare = {.sink = {.begin = compare_begin, .room = compare_room, .fill = compare_fill},
                              .source = source,
                              .got = mem_alloc(PIECE_SIZE),
                              .own = mem_alloc(PIECE_SIZE)};
    struct terms terms = TERMS_NONE;
    source->looks = true;
    int rc = !compare.got || !compare.own ? fail_memory()
             : !can_rewind(source)        ? fail(-ESPIPE, "what was written cannot be read again")
                                   : http_read_file(&http->instance, path, NULL, &terms, &compare.sink, NULL);
    if (rc == 0)
        rc = compare.same ? is_at_end(&compare) : 0;
    else if (rc == -ENOENT)
        rc = 0;
    source->looks = false;
    mem_free(compare.got);
    mem_free(compare.own);
    return rc;
}

/* ---- PUT ---- */

static int answer_put(const struct asked *asked, const struct source *source, struct answer *out)
{
    struct answer answer = http_answer_of(asked);
    answer.info.mtime_ns = 0; /* of the answer, not of the file */
    answer.info.size = source->size >= 0 ? source->size : LARDER_SIZE_UNKNOWN;
    if (!answer.info.version) /* a weak one, or a date: not worth much right after a change */
        answer.validator = NULL;
    answer.flags &= ~(unsigned)ANSWER_WEAK;
    return answer_copy(out, &answer);
}

static int judge_put(const struct asked *asked, const struct http_put *put, struct answer *out)
{
    int status = asked->response->status;
    if (status >= 200 && status <= 299)
        return out ? answer_put(asked, put->source, out) : 0;
    if (status == 412 && put->create)
        return http_fail(asked->transfer, -EEXIST, "it exists");
    if (status == 412 && put->if_match)
        return http_fail(asked->transfer, -ESTALE, "it is another by now");
    if (asked->response->slash_added)
        return http_fail(asked->transfer, -EISDIR, "a directory");
    return http_fail_change(asked);
}

/* It is not there with our bytes: is that what the condition was to find out? Else nothing happened, and `rc` stands. */
static int CO_FN explain_absence(struct http_instance *http, const struct http_put *put, int rc)
{
    autofree char *lost = mem_dup(error_text());
    struct answer answer = {0};
    int looked = http_look(http, put->path, &answer);
    const char *version = answer.info.version ? answer.info.version : "";
    bool moved = put->if_match && (looked == -ENOENT || (looked == 0 && strcmp(version, put->if_match) != 0));
    if (looked == 0 && put->create)
        rc = fail_at(&http->instance, put->path, -EEXIST, "it exists, with other bytes");
    else if (moved)
        rc = fail_at(&http->instance, put->path, -ESTALE, "it is another by now");
    else
        error_set_text(lost);
    answer_free(&answer);
    return rc;
}

/*
 * Is it to be looked at whether it was done? After a gateway's answer, or a conflict with what an earlier try may have done.
 * Not after a 500, the server's own word that it failed: that is explained, or sent again, and a conflict behind it is looked
 * at. Also after the last "not now" (423, 425, 429, 503): an earlier try may have been done, or, of a 503, this one.
 */
static bool answer_leaves_open(int answer)
{
    const struct http_status *status = http_status(answer);
    return answer == 412 || ((status->doubtful || status->undone) && answer != 500);
}

/* No answer came, or one that is doubtful. If what was to be written is there, it is taken for ours. */
static int CO_FN settle(struct http_instance *http, const struct http_put *put, struct http_tries *tries,
                        int rc, struct answer *out)
{
    autofree char *lost = mem_dup(error_text());
    struct answer answer = {.info = {.type = LARDER_FILE, .size = put->source->size},
                            .fresh_ms = -1,
                            .stale_if_error_ms = -1};
    int holds = http_holds(http, put->path, put->source);
    if (holds > 0)
        return out ? answer_copy(out, &answer) : 0;
    error_set_text(lost);
    if (holds < 0)
        return fail_more(rc, "it is not known whether it was written");
    int why = explain_absence(http, put, rc);
    tries->again = why == rc && rc != -EEXIST && rc != -ESTALE;
    return why;
}

static int CO_FN put_once(struct http_instance *http, const struct http_put *put, const char *const lines[],
                          struct http_tries *tries, bool *ever_done, struct answer *out)
{
    struct source *source = put->source;
    struct source_body body = {.body = {.size = source->size,
                                        .data = source->data,
                                        .read = body_read,
                                        .rewind = can_rewind(source) ? body_rewind : NULL},
                               .source = source};
    bool maybe_done = false;
    struct http_request request = {.method = HTTP_PUT,
                                   .headers = lines,
                                   .body = &body.body,
                                   .maybe_done = &maybe_done,
                                   .tries = tries,
                                   .error_stands = true};
    struct terms terms = TERMS_NONE;
    struct asked asked;
    terms.if_match = put->if_match;
    terms.if_none_match = put->create ? "*" : NULL;
    int rc = http_ask(http, put->path, false, &terms, &request, &asked);
    *ever_done |= maybe_done;
    if (rc < 0)
        return *ever_done ? settle(http, put, tries, rc, out) : rc;
    rc = judge_put(&asked, put, out);
    int status = asked.response->status;
    bool error = status == 500; /* nginx's word for a missing directory, too */
    http_close(asked.transfer);
    if (rc < 0 && *ever_done && answer_leaves_open(status))
        return settle(http, put, tries, rc, out);
    int why = http_was_refused(rc) ? http_explain(http, put->path, rc) : rc;
    tries->again = error && why == rc && can_rewind(source);
    return why;
}

/* What the last try failed with stays the error. */
static bool CO_FN start_over(struct source *source)
{
    autofree char *failed = mem_dup(error_text());
    int rc = source_rewind(source);
    error_set_text(failed);
    return rc == 0;
}

int CO_FN http_put(struct http_instance *http, const struct http_put *put, struct answer *out)
{
    struct http_tries tries = {.site = http->site};
    char md5_line[MD5_LINE_SIZE];
    const char *lines[3] = {NULL};
    size_t count = 0;
    autofree char *type = put->content_type ? mem_format("Content-Type: %s", put->content_type) : NULL;
    if (put->content_type && !type)
        return fail_memory();
    int rc = make_md5_line(http, put->source, md5_line);
    if (rc < 0)
        return rc;
    if (type)
        lines[count++] = type;
    if (*md5_line)
        lines[count++] = md5_line;
    bool ever_done = false; /* perhaps, by any of the tries */
    do
        rc = put_once(http, put, lines, &tries, &ever_done, out);
    while (http_try_again(&tries, &rc) && start_over(put->source));
    return rc;
}
