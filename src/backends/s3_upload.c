/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large objects: multipart uploads. A token is the upload's id; what was uploaded is the server's to know, so that another
 * process can go on where this one ended. Completing is asked twice at most: an upload that is gone then may have been
 * completed by the first, which the object's ETag tells.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/s3_parts.h"
#include "base/buffer.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "base/text.h"

#define PARTS_MAX      10000
#define BODY_SIZE_MAX  ((size_t)4 << 20)  /* of what completes 10,000 parts */
#define COPY_SIZE_MAX  (INT64_C(5) << 30) /* of one CopyObject */
#define COPY_PART_SIZE (INT64_C(512) << 20)
#define COPIES_AT_ONCE 8

/* ---- stage ---- */

int CO_FN s3_stage(struct instance *instance, const char *path, struct token *out)
{
    struct s3_instance *s3 = s3_of(instance);
    const struct s3_request request = {.path = path,
                                       .query = {{"uploads", ""}},
                                       .http = {.method = HTTP_POST, .again = true}};
    struct xml *xml;
    bool failed = false;
    if (!*s3_name_of(path).key)
        return fail(-EISDIR, "s3://%s: a bucket", path);
    int rc = s3_ask_xml(s3, &request, &xml);
    if (rc < 0)
        return rc;
    char *id = xml ? xml_text(xml_child(xml_root(xml), "UploadId"), &failed) : NULL;
    xml_free(xml);
    if (!id)
        return failed ? fail_memory() : fail(-EPROTO, "s3://%s: an upload without an id", path);
    out->text = id;
    return 0;
}

static int CO_FN put_part(struct s3_instance *s3, const char *path, const char *upload, unsigned number,
                          const void *data, size_t size)
{
    char text[12];
    snprintf(text, sizeof text, "%u", number);
    const struct s3_request request = {.path = path,
                                       .query = {{"partNumber", text}, {"uploadId", upload}},
                                       .data = data,
                                       .size = size,
                                       .http = {.method = HTTP_PUT}};
    return s3_do(s3, &request, NULL);
}

int CO_FN s3_stage_part(struct instance *instance, const char *path, const struct token *token, uint32_t part,
                        int64_t offset, const void *data, size_t size)
{
    if (part >= PARTS_MAX)
        return fail(-EFBIG, "s3://%s: more than %d parts", path, PARTS_MAX);
    return put_part(s3_of(instance), path, token->text, part + 1, data ? data : "", size);
}

int CO_FN s3_abort(struct s3_instance *s3, const char *path, const char *upload)
{
    const struct s3_request request = {.path = path,
                                       .query = {{"uploadId", upload}},
                                       .http = {.method = HTTP_DELETE}};
    int rc = s3_do(s3, &request, NULL);
    if (rc != -ENOENT)
        return rc;
    error_clear();
    return 0;
}

int CO_FN s3_discard(struct instance *instance, const char *path, const struct token *token)
{
    return s3_abort(s3_of(instance), path, token->text);
}

/* ---- which parts there are ---- */

struct part {
    unsigned number;
    int64_t size;
    char *etag; /* mem */
};
struct parts {
    struct part *part; /* mem */
    size_t count;
    int64_t size; /* of all */
};

static void parts_free(struct parts *parts)
{
    for (size_t i = 0; i < parts->count; i++)
        mem_free(parts->part[i].etag);
    mem_free(parts->part);
}

static int add_part(struct parts *parts, const struct xml_node *node)
{
    bool failed = false;
    int64_t number, size;
    autofree char *number_text = xml_text(xml_child(node, "PartNumber"), &failed);
    autofree char *size_text = xml_text(xml_child(node, "Size"), &failed);
    autofree char *etag = xml_text(xml_child(node, "ETag"), &failed);
    if (failed)
        return fail_memory();
    if (!number_text || parse_i64(number_text, &number) < 0 || number < 1 || number > PARTS_MAX ||
        !size_text || parse_i64(size_text, &size) < 0 || size < 0 || !etag || parts->count == PARTS_MAX)
        return fail(-EPROTO, "a list of parts that cannot be");
    parts->part[parts->count++] = (struct part){(unsigned)number, size, take(etag)};
    parts->size += size;
    return 0;
}

static int CO_FN list_some(struct s3_instance *s3, const char *path, const char *upload, char **marker,
                           struct parts *parts)
{
    struct s3_request request = {.path = path, .query = {{"uploadId", upload}}, .http = {.method = HTTP_GET}};
    struct xml *xml;
    bool failed = false, more = false;
    if (*marker)
        request.query[1] = (struct sigv4_pair){"part-number-marker", *marker};
    int rc = s3_ask_xml(s3, &request, &xml);
    if (rc < 0)
        return rc;
    const struct xml_node *root = xml ? xml_root(xml) : NULL;
    for (const struct xml_node *node = xml_child(root, "Part"); rc == 0 && node;
         node = xml_next(node, "Part"))
        rc = add_part(parts, node);
    autofree char *truncated = xml_text(xml_child(root, "IsTruncated"), &failed);
    if (rc == 0 && truncated && parse_bool(truncated, &more) < 0)
        rc = fail(-EPROTO, "a list of parts that does not say whether it goes on");
    mem_free(*marker);
    *marker = more ? xml_text(xml_child(root, "NextPartNumberMarker"), &failed) : NULL;
    xml_free(xml);
    if (rc == 0 && (failed || (more && !*marker)))
        rc = failed ? fail_memory() : fail(-EPROTO, "a list of parts that does not say where it goes on");
    return rc;
}

static int CO_FN list_parts(struct s3_instance *s3, const char *path, const char *upload, struct parts *parts)
{
    char *marker = NULL;
    *parts = (struct parts){.part = mem_array(PARTS_MAX, sizeof(struct part))};
    int rc = parts->part ? 0 : fail_memory();
    do
        rc = rc == 0 ? list_some(s3, path, upload, &marker, parts) : rc;
    while (rc == 0 && marker);
    mem_free(marker);
    if (rc < 0)
        parts_free(parts);
    return rc;
}

/* ---- publish ---- */

static int unhex(const char *hex, unsigned char *out)
{
    for (size_t i = 0; i < 16; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i] ? hex[2 * i + 1] : 0, 0};
        unsigned value;
        if (!digits[1] || parse_hex(digits, &value) < 0)
            return -EINVAL;
        out[i] = (unsigned char)value;
    }
    return 0;
}

/* The ETag that S3 gives an object of these parts: the MD5 of their MD5s, and how many; false: it cannot be told. */
static bool etag_of_parts(const struct parts *parts, char out[96])
{
    struct digest digest = {0};
    unsigned char hash[DIGEST_SIZE_MAX];
    char hex[HEX_SIZE(DIGEST_SIZE_MAX)];
    bool told = digest_begin(&digest, DIGEST_MD5) == 0;
    for (size_t i = 0; told && i < parts->count; i++) {
        const char *etag = parts->part[i].etag + (parts->part[i].etag[0] == '"');
        told = unhex(etag, hash) == 0 && digest_add(&digest, hash, 16) == 0;
    }
    told = told && digest_end(&digest, hash) == 0;
    digest_fini(&digest);
    if (!told) {
        error_clear();
        return false;
    }
    hex_format(hash, 16, hex);
    snprintf(out, 96, "\"%s-%zu\"", hex, parts->count);
    return true;
}

static int make_completion(const struct parts *parts, struct buffer *out)
{
    buffer_add_text(out, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (size_t i = 0; i < parts->count; i++)
        buffer_format(out, "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>", parts->part[i].number,
                      parts->part[i].etag);
    return buffer_add_text(out, "</CompleteMultipartUpload>");
}

/* Is the object what this upload was to become? */
static int CO_FN is_completed(struct s3_instance *s3, const char *path, const struct parts *parts,
                              struct answer *out)
{
    struct answer answer = {0};
    char etag[96];
    if (!etag_of_parts(parts, etag))
        return 0;
    int rc = http_info(&s3->http.instance, path, &TERMS_NONE, &answer);
    bool same = rc == 0 && answer.info.version && strcmp(answer.info.version, etag) == 0;
    if (same && out)
        *out = answer;
    else
        answer_free(&answer);
    return rc < 0 && rc != -ENOENT ? rc : same;
}

static int CO_FN complete(struct s3_instance *s3, const char *path, const char *upload,
                          const struct parts *parts, unsigned flags, const char *if_match, struct answer *out)
{
    struct buffer body = BUFFER(BODY_SIZE_MAX);
    struct xml *xml = NULL;
    bool failed = false, maybe_done = false;
    int rc = make_completion(parts, &body);
    const struct s3_request request = {.path = path,
                                       .query = {{"uploadId", upload}},
                                       .data = body.data,
                                       .size = body.size,
                                       .http = {.method = HTTP_POST,
                                                .again = true,
                                                .if_match = if_match,
                                                .if_none_match = flags & LARDER_CREATE ? "*" : NULL,
                                                .maybe_done = &maybe_done}};
    if (rc == 0)
        rc = s3_ask_result(s3, &request, "CompleteMultipartUploadResult", &xml);
    buffer_free(&body);
    autofree char *etag = rc == 0 && xml ? xml_text(xml_child(xml_root(xml), "ETag"), &failed) : NULL;
    xml_free(xml);
    if (rc < 0 && rc != -ECANCELED) {
        struct error_slot words = *error_slot();
        if (is_completed(s3, path, parts, out) == 1)
            return 0;
        *error_slot() = words;
    }
    if (rc == 0)
        rc = s3_answer_of_write(etag, parts->size, out);
    return rc == -ESTALE && (flags & LARDER_CREATE) ? fail(-EEXIST, "s3://%s: it exists", path) : rc;
}

int CO_FN s3_publish(struct instance *instance, const char *path, const struct token *token, int64_t size,
                     unsigned flags, const char *if_match, struct answer *out)
{
    struct s3_instance *s3 = s3_of(instance);
    struct parts parts;
    int rc = list_parts(s3, path, token->text, &parts); /* first: what was completed is not in its own way */
    if (rc == -ENOENT)
        return fail(rc, "s3://%s: the upload is gone: completed before, or discarded", path);
    if (rc < 0)
        return rc;
    if (parts.count == 0 && size == 0) { /* an upload has a part, be it empty */
        parts_free(&parts);
        rc = put_part(s3, path, token->text, 1, "", 0);
        if (rc == 0)
            rc = list_parts(s3, path, token->text, &parts);
        if (rc < 0)
            return rc;
    }
    if ((flags & LARDER_CREATE) || if_match)
        rc = s3_check_before(s3, path, flags, if_match);
    if (rc == 0 && parts.size != size)
        rc = fail(-EIO, "s3://%s: %lld bytes were uploaded, not %lld", path, (long long)parts.size,
                  (long long)size);
    if (rc == 0)
        rc = complete(s3, path, token->text, &parts, flags, if_match, out);
    parts_free(&parts);
    return rc;
}

/* ---- copy ---- */

/* "/bucket/key", encoded, as x-amz-copy-source wants it; mem. */
static char *copy_source(const char *path)
{
    struct buffer out = BUFFER((size_t)1 << 16);
    buffer_add(&out, "/", 1);
    sigv4_encode(&out, path, true);
    return buffer_take_text(&out);
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
    return s3_do_for(copy->s3, &request, "CopyPartResult");
}

static int CO_EDGE copy_part_each(void *arg, size_t index)
{
    return copy_part(arg, index);
}

static int CO_FN copy_large(struct s3_instance *s3, const struct answer *from, const char *source,
                            const char *to, unsigned flags)
{
    struct instance *instance = &s3->http.instance;
    struct token token = {0};
    struct copy_parts copy = {.s3 = s3,
                              .source = source,
                              .to = to,
                              .etag = from->info.version,
                              .size = from->info.size,
                              .part_size = COPY_PART_SIZE};
    if (!copy.etag)
        return fail(-ENOTSUP, "s3://%s: without an ETag its parts could be of several versions", to);
    while ((copy.size + copy.part_size - 1) / copy.part_size > PARTS_MAX)
        copy.part_size *= 2;
    int rc = s3_stage(instance, to, &token);
    if (rc < 0)
        return rc;
    copy.upload = token.text;
    rc = group_each((size_t)((copy.size + copy.part_size - 1) / copy.part_size), COPIES_AT_ONCE, GROUP_FIRST,
                    copy_part_each, &copy);
    if (rc == 0)
        rc = s3_publish(instance, to, &token, copy.size, flags, NULL, NULL);
    if (rc < 0) {
        struct error_slot words = *error_slot();
        s3_discard(instance, to, &token);
        *error_slot() = words;
    }
    mem_free(token.text);
    return rc;
}

static int CO_FN copy_object(struct s3_instance *s3, const struct answer *from, const char *source,
                             const char *to)
{
    struct s3_request request = {.path = to,
                                 .headers = {{"x-amz-copy-source", source}},
                                 .http = {.method = HTTP_PUT}};
    if (from->info.version)
        request.headers[1] = (struct sigv4_pair){"x-amz-copy-source-if-match", from->info.version};
    return s3_do_for(s3, &request, "CopyObjectResult");
}

int CO_FN s3_copy(struct instance *instance, const char *from, const char *to, unsigned flags)
{
    struct s3_instance *s3 = s3_of(instance);
    struct answer answer = {0};
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
    if (rc == 0 && strcmp(from, to) != 0)
        rc = answer.info.size > COPY_SIZE_MAX ? copy_large(s3, &answer, source, to, flags)
                                              : copy_object(s3, &answer, source, to);
    answer_free(&answer);
    return rc;
}
