/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies by the server: one request, or of what is larger than that may be, an upload whose parts are copied. What is said
 * of the source goes along, but for what the labels say. A server that has no copying says so (-ENOTSUP), and is not asked
 * again: then bytes pass through here (fs/transfer.c).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/s3_labels.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/seams.h"

#define PARTS_MAX      10000
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
    const char *source; /* `from` as a header says it */
    unsigned flags;
    const struct labels *labels;
};

static int CO_FN ask_for_copy(struct s3_instance *s3, const struct s3_request *request, const char *root)
{
    int rc = s3_do_for(s3, request, root);
    s3->no_copy |= rc == -ENOTSUP;
    return rc;
}

struct copy_parts {
    struct s3_instance *s3;
    const char *source, *to, *upload, *etag;
    int64_t size, part_size;
};

static int CO_FN copy_part(const struct copy_parts *copy, size_t index)
{
    char number[24], range[64];
    int64_t first = (int64_t)index * copy->part_size;
    int64_t last = first + copy->part_size < copy->size ? first + copy->part_size : copy->size;
    snprintf(number, sizeof number, "%zu", index + 1);
    snprintf(range, sizeof range, "bytes=%lld-%lld", (long long)first, (long long)last - 1);
    const struct s3_request request = {.path = copy->to,
                                       .query = {{"partNumber", number}, {"uploadId", copy->upload}},
                                       .headers = {{"x-amz-copy-source", copy->source},
                                                   {"x-amz-copy-source-range", range},
                                                   {"x-amz-copy-source-if-match", copy->etag}},
                                       .http = {.method = HTTP_PUT}};
    return ask_for_copy(copy->s3, &request, "CopyPartResult");
}

static int CO_EDGE copy_part_each(void *arg, size_t index)
{
    return copy_part(arg, index);
}

static int CO_FN copy_parts(struct copy_parts *copy, const struct token *token, unsigned flags)
{
    size_t count = (size_t)((copy->size + copy->part_size - 1) / copy->part_size);
    int rc = group_each(count, COPIES_AT_ONCE, GROUP_FIRST, copy_part_each, copy);
    return rc < 0 ? rc : s3_publish(&copy->s3->http.instance, copy->to, token, copy->size, flags, NULL, NULL);
}

static int CO_FN copy_large(struct s3_instance *s3, const struct copying *copying, const struct answer *from)
{
    struct token token = {0};
    struct copy_parts copy = {.s3 = s3,
                              .source = copying->source,
                              .to = copying->to,
                              .etag = from->info.version,
                              .size = from->info.size,
                              .part_size = s3->copy_part_size};
    if (!copy.etag)
        return fail(-ENOTSUP, "s3://%s: without an ETag its parts could be of several versions",
                    copying->from);
    while ((copy.size + copy.part_size - 1) / copy.part_size > PARTS_MAX)
        copy.part_size *= 2;
    int rc = s3_stage_with(s3, copying->to, copying->from, copying->labels, &token);
    if (rc < 0)
        return rc;
    copy.upload = strchr(token.text, ':') + 1;
    rc = copy_parts(&copy, &token, copying->flags);
    if (rc < 0) {
        struct error_slot words = *error_slot();
        s3_discard(&s3->http.instance, copying->to, &token);
        *error_slot() = words;
    }
    mem_free(token.text);
    return rc;
}

/* Where something is said of the copy, the server is told all of it: what it takes along by itself is all or nothing. */
static int CO_FN copy_object(struct s3_instance *s3, const struct copying *copying, const struct answer *from)
{
    struct s3_headers headers = {0}, said = {0};
    struct s3_request request = {.path = copying->to,
                                 .headers = {{"x-amz-copy-source", copying->source}},
                                 .http = {.method = HTTP_PUT}};
    if (from->info.version)
        request.headers[1] = (struct sigv4_pair){"x-amz-copy-source-if-match", from->info.version};
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
        rc = ask_for_copy(s3, &request, "CopyObjectResult");
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
    const struct copying copying = {from, to, source, flags, labels};
    if (rc == 0 && strcmp(from, to) != 0)
        rc = answer.info.size > s3->copy_size_max ? copy_large(s3, &copying, &answer)
                                                  : copy_object(s3, &copying, &answer);
    answer_free(&answer);
    return rc;
}
