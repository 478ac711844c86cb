/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies by the server: one request, or of what is larger than that may be, an upload whose parts are copied. What is said
 * of the source goes along, but for what the labels say. A server that has no copying says so (-ENOTSUP), and is not asked
 * again: then bytes pass through here (fs/transfer.c).
 *
 * A copy is of one version, and of the one that was looked at first where the server looks at x-amz-copy-source-if-match.
 * Ceph's gateway does not, so that parts could be of two versions: the source is looked at again before they become the
 * target. Swift compares it with another ETag than the one that it tells of what was uploaded in parts: then it is looked
 * at again, and the server asked without. A copy in one request is there, on both, of what the source is at that moment.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/s3_labels.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/seams.h"

#define COPIES_AT_ONCE 8

/* "/bucket/key", encoded, as x-amz-copy-source wants it; mem. */
static char *copy_source(const char *path)
{
    struct buffer out = BUFFER((size_t)1 << 16);
    buffer_add(&out, "/", 1);
    sigv4_encode(&out, path, true);
    return buffer_take_text(&out);
}

struct copying {
    const char *from, *to;
    const char *source;             /* `from` as a header says it */
    const struct larder_info *seen; /* what it was when it was looked at first */
    unsigned flags;
    const struct labels *labels;
};

/* 1; 0: there is another version by now. The time tells, too, of one that was put back meanwhile. */
static int CO_FN is_still(struct s3_instance *s3, const char *path, const struct larder_info *seen)
{
    struct answer answer = {0};
    int rc = s3_info(&s3->http.instance, path, &TERMS_NONE, &answer);
    if (rc == 0)
        rc = answer.info.version && strcmp(answer.info.version, seen->version) == 0 &&
             answer.info.mtime_ns == seen->mtime_ns;
    answer_free(&answer);
    return rc;
}

/* `request` is without a condition, and has a free place for it. */
static int CO_FN ask_for_copy(struct s3_instance *s3, const struct copying *copying,
                              struct s3_request *request, const char *root)
{
    struct sigv4_pair *condition = request->headers;
    while (condition->name)
        condition++;
    if (copying->seen->version)
        *condition = (struct sigv4_pair){"x-amz-copy-source-if-match", copying->seen->version};
    int rc = s3_do_for(s3, request, root);
    if (rc == -ESTALE && copying->seen->version) {
        struct error_slot words = *error_slot();
        *condition = (struct sigv4_pair){0};
        if (is_still(s3, copying->from, copying->seen) == 1)
            rc = s3_do_for(s3, request, root);
        else
            *error_slot() = words;
    }
    s3->no_copy |= rc == -ENOTSUP;
    return rc;
}

struct copy_parts {
    struct s3_instance *s3;
    const struct copying *copying;
    const char *upload;
    int64_t part_size;
};

static int CO_FN copy_part(const struct copy_parts *copy, size_t index)
{
    char number[24], range[64];
    int64_t first = (int64_t)index * copy->part_size;
    int64_t size = copy->copying->seen->size;
    int64_t last = first + copy->part_size < size ? first + copy->part_size : size;
    snprintf(number, sizeof number, "%zu", index + 1);
    snprintf(range, sizeof range, "bytes=%lld-%lld", (long long)first, (long long)last - 1);
    struct s3_request request = {.path = copy->copying->to,
                                 .query = {{"partNumber", number}, {"uploadId", copy->upload}},
                                 .headers = {{"x-amz-copy-source", copy->copying->source},
                                             {"x-amz-copy-source-range", range}},
                                 .http = {.method = HTTP_PUT}};
    return ask_for_copy(copy->s3, copy->copying, &request, "CopyPartResult");
}

static int CO_EDGE copy_part_each(void *arg, size_t index)
{
    return copy_part(arg, index);
}

static int CO_FN copy_parts(struct copy_parts *copy, const struct token *token)
{
    const struct copying *copying = copy->copying;
    int64_t size = copying->seen->size;
    int rc = group_each((size_t)((size + copy->part_size - 1) / copy->part_size), COPIES_AT_ONCE, GROUP_FIRST,
                        copy_part_each, copy);
    if (rc == 0)
        rc = is_still(copy->s3, copying->from, copying->seen);
    if (rc == 0)
        rc = fail(-ESTALE, "s3://%s: it changed while it was copied", copying->from);
    return rc < 0
               ? rc
               : s3_publish(&copy->s3->http.instance, copying->to, token, size, copying->flags, NULL, NULL);
}

static int CO_FN copy_large(struct s3_instance *s3, const struct copying *copying)
{
    struct token token = {0};
    struct copy_parts copy = {s3, copying, .part_size = s3->copy_part_size};
    if (!copying->seen->version)
        return fail(-ENOTSUP, "s3://%s: without an ETag its parts could be of several versions",
                    copying->from);
    while ((copying->seen->size + copy.part_size - 1) / copy.part_size > S3_PARTS_MAX)
        copy.part_size *= 2;
    int rc = s3_stage_with(s3, copying->to, copying->from, copying->labels, &token);
    if (rc < 0)
        return rc;
    copy.upload = strchr(token.text, ':') + 1;
    rc = copy_parts(&copy, &token);
    if (rc < 0)
        rc = s3_give_up(s3, copying->to, &token, rc);
    mem_free(token.text);
    return rc;
}

/* Where something is said of the copy, the server is told all of it: what it takes along by itself is all or nothing. */
static int CO_FN copy_object(struct s3_instance *s3, const struct copying *copying)
{
    struct s3_headers headers = {0}, said = {0};
    struct s3_request request = {.path = copying->to,
                                 .headers = {{"x-amz-copy-source", copying->source}},
                                 .http = {.method = HTTP_PUT}};
    int rc = s3_headers_say(&said, copying->labels, copying->to);
    if (rc == 0 && said.count > 0) {
        rc = s3_headers_of(s3, copying->from, &headers);
        if (rc == 0)
            rc = s3_headers_say(&headers, copying->labels, copying->to);
        if (rc == 0)
            rc = s3_headers_set(&headers, "x-amz-metadata-directive", "REPLACE");
        request.more = headers.pair;
    }
    if (rc == 0)
        rc = ask_for_copy(s3, copying, &request, "CopyObjectResult");
    s3_headers_fini(&said);
    s3_headers_fini(&headers);
    return rc;
}

int CO_FN s3_copy(struct instance *instance, const char *from, const char *to, unsigned flags,
                  const struct labels *labels)
{
    struct s3_instance *s3 = s3_of(instance);
    struct answer answer = {0};
    if (s3->no_copy)
        return fail(-ENOTSUP, "%s: it does not copy", s3->http.origin);
    int rc = s3_info(instance, from, &TERMS_NONE, &answer);
    if (rc == 0 && answer.info.type != LARDER_FILE)
        rc = fail(-EISDIR, "s3://%s: a directory", from);
    if (rc == 0 && !*s3_name_of(to).key)
        rc = fail(-EISDIR, "s3://%s: a bucket", to);
    if (rc == 0 && (flags & LARDER_CREATE))
        rc = s3_check_before(s3, to, flags, NULL);
    autofree char *source = rc == 0 ? copy_source(from) : NULL;
    if (rc == 0 && !source)
        rc = fail_memory();
    const struct copying copying = {from, to, source, &answer.info, flags, labels};
    if (rc == 0 && strcmp(from, to) != 0)
        rc = answer.info.size > s3->copy_size_max ? copy_large(s3, &copying) : copy_object(s3, &copying);
    answer_free(&answer);
    return rc;
}
