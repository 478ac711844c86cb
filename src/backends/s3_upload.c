/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large objects: multipart uploads. A token is WRITE-ID:UPLOAD-ID; what was uploaded is the server's to know, so that
 * another process can go on where this one ended. The write id becomes part of the object (s3_labels.h). So when
 * completing it fails in any way, or there is no such upload any more, the object tells whether it was completed
 * all the same: by a request whose answer was lost, in this process or in another.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/s3_labels.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "base/text.h"

#define BODY_SIZE_MAX ((size_t)4 << 20) /* of what completes 10,000 parts */

/* ---- tokens ---- */

struct upload {
    const char *path, *id;
    char write_id[S3_WRITE_ID_SIZE];
};

static int parse_token(const char *path, const struct token *token, struct upload *out)
{
    const char *colon = strchr(token->text, ':');
    if (!colon || colon - token->text != S3_WRITE_ID_SIZE - 1)
        return fail(-EINVAL, "s3://%s: no token of an upload", path);
    *out = (struct upload){.path = path, .id = colon + 1};
    memcpy(out->write_id, token->text, S3_WRITE_ID_SIZE - 1);
    return 0;
}

/* ---- stage ---- */

static int CO_FN begin_upload(struct s3_instance *s3, const char *path, struct s3_headers *headers,
                              struct token *out)
{
    char write_id[S3_WRITE_ID_SIZE];
    struct xml *xml;
    bool failed = false;
    s3_write_id_make(write_id);
    int rc = s3_headers_set(headers, HTTP_WRITE_ID, write_id);
    if (rc < 0)
        return rc;
    const struct s3_request request = {.path = path,
                                       .query = {{"uploads", ""}},
                                       .more = headers->pair,
                                       .http = {.method = HTTP_POST, .again = true}};
    rc = s3_ask_result(s3, &request, "InitiateMultipartUploadResult", &xml);
    if (rc < 0)
        return rc;
    autofree char *id = xml_text(xml_child(xml_root(xml), "UploadId"), &failed);
    xml_free(xml);
    if (!id)
        return failed ? fail_memory() : fail(-EPROTO, "s3://%s: an upload without an id", path);
    out->text = mem_format("%s:%s", write_id, id);
    return out->text ? 0 : fail_memory();
}

int CO_FN s3_stage_with(struct s3_instance *s3, const char *path, const char *as, const struct labels *labels,
                        struct token *out)
{
    struct s3_headers headers = {0};
    int rc = *s3_name_of(path).key ? 0 : fail(-EISDIR, "s3://%s: a bucket", path);
    if (rc == 0 && as)
        rc = s3_headers_of(s3, as, &headers);
    if (rc == 0)
        rc = s3_headers_say(&headers, labels, path);
    if (rc == 0)
        rc = begin_upload(s3, path, &headers, out);
    s3_headers_fini(&headers);
    return rc;
}

int CO_FN s3_stage(struct instance *instance, const char *path, const struct labels *labels, uint64_t id,
                   struct token *out)
{
    return s3_stage_with(s3_of(instance), path, NULL, labels, out);
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
    struct upload upload;
    int rc = parse_token(path, token, &upload);
    if (rc == 0 && part >= S3_PARTS_MAX)
        rc = fail(-EFBIG, "s3://%s: more than %d parts", path, S3_PARTS_MAX);
    return rc < 0 ? rc : put_part(s3_of(instance), path, upload.id, part + 1, data ? data : "", size);
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
    if (!number_text || parse_i64(number_text, &number) < 0 || number < 1 || number > S3_PARTS_MAX ||
        !size_text || parse_i64(size_text, &size) < 0 || size < 0 || !etag || parts->count == S3_PARTS_MAX)
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
    *parts = (struct parts){.part = mem_array(S3_PARTS_MAX, sizeof(struct part))};
    int rc = parts->part ? 0 : fail_memory();
    do
        rc = rc == 0 ? list_some(s3, path, upload, &marker, parts) : rc;
    while (rc == 0 && marker);
    mem_free(marker);
    if (rc < 0)
        parts_free(parts);
    return rc;
}

int CO_FN s3_upload_has_part(struct s3_instance *s3, const char *path, const char *upload)
{
    const struct s3_request request = {.path = path,
                                       .query = {{"max-parts", "1"}, {"uploadId", upload}},
                                       .http = {.method = HTTP_GET}};
    struct xml *xml = NULL;
    int rc = s3_ask_xml(s3, &request, &xml);
    bool gone = rc == -ENOENT || rc == -ESTALE, some = rc == 0 && xml && xml_child(xml_root(xml), "Part");
    xml_free(xml);
    if (gone)
        error_clear();
    return rc < 0 && !gone ? rc : some;
}

/* ---- abort ---- */

#define ABORTS_MAX    6
#define ABORT_WAIT_MS 100   /* before the second, and twice as long before each one more: 3.1 s */
#define CLEANING_MS   20000 /* for what is done after a failure, or a cancel */

/* 1; 0: it was gone, with its bucket or without. */
static int CO_FN abort_once(struct s3_instance *s3, const char *path, const char *upload)
{
    const struct s3_request request = {.path = path,
                                       .query = {{"uploadId", upload}},
                                       .http = {.method = HTTP_DELETE}};
    int rc = s3_do(s3, &request, NULL);
    if (rc != -ENOENT && rc != -ESTALE)
        return rc < 0 ? rc : 1;
    error_clear();
    return 0;
}

/* A part may still arrive, of a request that nobody waits for any more, and stay: an upload is gone when it has no parts,
 * and not before. Who may abort but not look, or where there is no looking, has the server's word alone. */
int CO_FN s3_abort(struct s3_instance *s3, const char *path, const char *upload)
{
    int rc = abort_once(s3, path, upload);
    for (unsigned tries = 1; rc > 0; tries++) {
        rc = s3_upload_has_part(s3, path, upload);
        if (rc == -EACCES || rc == -ENOTSUP) {
            error_clear();
            return 0;
        }
        if (rc < 0)
            return fail_more(rc, "aborted; it is not known whether parts came later");
        if (rc > 0 && tries == ABORTS_MAX)
            return fail(-EBUSY, "s3://%s: aborted %u times, its upload still has parts", path, tries);
        if (rc > 0 && (rc = task_sleep((uint64_t)ABORT_WAIT_MS << (tries - 1))) == 0)
            rc = abort_once(s3, path, upload);
    }
    return rc;
}

int CO_FN s3_discard(struct instance *instance, const char *path, const struct token *token)
{
    struct upload upload;
    int rc = parse_token(path, token, &upload);
    return rc < 0 ? rc : s3_abort(s3_of(instance), path, upload.id);
}

int CO_FN s3_give_up(struct s3_instance *s3, const char *path, const struct token *token, int rc)
{
    struct error_slot words = *error_slot();
    struct deadline deadline;
    deadline_begin_shielded(&deadline, CLEANING_MS);
    if (deadline_end(&deadline, s3_discard(&s3->http.instance, path, token), path) < 0)
        log_at(LARDER_LOG_WARNING, "s3://%s: parts of an upload are left behind: %s", path, error_text());
    *error_slot() = words;
    return rc;
}

/* ---- publish ---- */

static int make_completion(const struct parts *parts, struct buffer *out)
{
    buffer_add_text(out, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (size_t i = 0; i < parts->count; i++)
        buffer_format(out, "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>", parts->part[i].number,
                      parts->part[i].etag);
    return buffer_add_text(out, "</CompleteMultipartUpload>");
}

static int CO_FN complete(struct s3_instance *s3, const struct upload *upload, const struct parts *parts,
                          unsigned flags, const char *if_match, struct answer *out)
{
    struct buffer body = BUFFER(BODY_SIZE_MAX);
    struct xml *xml = NULL;
    bool failed = false;
    int rc = make_completion(parts, &body);
    const struct s3_request request = {.path = upload->path,
                                       .query = {{"uploadId", upload->id}},
                                       .data = body.data,
                                       .size = body.size,
                                       .http = {.method = HTTP_POST,
                                                .again = true,
                                                .if_match = if_match,
                                                .if_none_match = flags & LARDER_CREATE ? "*" : NULL}};
    if (rc == 0)
        rc = s3_ask_result(s3, &request, "CompleteMultipartUploadResult", &xml);
    buffer_free(&body);
    if (rc < 0)
        return rc;
    autofree char *etag = xml_text(xml_child(xml_root(xml), "ETag"), &failed);
    xml_free(xml);
    return failed ? fail_memory() : s3_answer_of_write(etag, parts->size, out);
}

/* An upload has a part, be it empty. */
static int CO_FN list_any_parts(struct s3_instance *s3, const struct upload *upload, int64_t size,
                                struct parts *parts)
{
    int rc = list_parts(s3, upload->path, upload->id, parts);
    if (rc < 0 || parts->count > 0 || size > 0)
        return rc;
    parts_free(parts);
    rc = put_part(s3, upload->path, upload->id, 1, "", 0);
    return rc < 0 ? rc : list_parts(s3, upload->path, upload->id, parts);
}

/* What a condition asks is looked at, too: servers that do not know it here say nothing. */
static int CO_FN publish(struct s3_instance *s3, const struct upload *upload, int64_t size, unsigned flags,
                         const char *if_match, struct answer *out)
{
    struct parts parts;
    int rc = list_any_parts(s3, upload, size, &parts);
    if (rc < 0)
        return rc;
    if (parts.size != size)
        rc = fail(-EIO, "s3://%s: %lld bytes were uploaded, not %lld", upload->path, (long long)parts.size,
                  (long long)size);
    if (rc == 0 && ((flags & LARDER_CREATE) || if_match))
        rc = s3_check_before(s3, upload->path, flags, if_match);
    if (rc == 0)
        rc = complete(s3, upload, &parts, flags, if_match, out);
    parts_free(&parts);
    return rc;
}

/* What is there is not ours. Servers call an upload that is gone missing, as they do a bucket. */
static int CO_FN explain_unpublished(struct s3_instance *s3, const char *path, unsigned flags, int rc)
{
    if (rc != -ENOENT && rc != -ESTALE)
        return rc;
    struct error_slot words = *error_slot();
    if (rc == -ENOENT && s3_has_bucket(s3, path) == 1) {
        rc = fail(-ESTALE, "s3://%s: its upload is gone: dropped, or completed and replaced since", path);
        words = *error_slot();
    }
    *error_slot() = words;
    return rc == -ESTALE && (flags & LARDER_CREATE) ? s3_refuse_create(s3, path, rc) : rc;
}

int CO_FN s3_publish(struct instance *instance, const char *path, const struct token *token, int64_t size,
                     unsigned flags, const char *if_match, struct answer *out)
{
    struct s3_instance *s3 = s3_of(instance);
    struct upload upload;
    int rc = parse_token(path, token, &upload);
    if (rc < 0)
        return rc;
    rc = publish(s3, &upload, size, flags, if_match, out);
    if (rc == 0 || rc == -ECANCELED)
        return rc;
    int written = s3_is_written(s3, path, upload.write_id, out);
    if (written < 0)
        return fail_more(rc, "it is not known whether it was published");
    if (written == 0)
        return explain_unpublished(s3, path, flags, rc);
    error_clear();
    return 0;
}

/* ---- a write that is one ---- */

#define WRITE_PART_SIZE ((int64_t)16 << 20)
#define PARTS_AT_ONCE   4
#define GROWN_EVERY     1200 /* so that 10,000 parts are 6.2 TiB, and the last ones 4 GiB */

int64_t s3_part_size(int64_t size, unsigned index)
{
    int64_t part = WRITE_PART_SIZE;
    if (size < 0)
        return part << (index / GROWN_EVERY);
    while (size / part >= S3_PARTS_MAX)
        part *= 2;
    return part;
}

struct part_writes {
    struct s3_instance *s3;
    const struct upload *upload;
    const char *data;
    int64_t size, part_size;
};

static int CO_EDGE put_part_each(void *arg, size_t index)
{
    const struct part_writes *writes = arg;
    int64_t start = (int64_t)index * writes->part_size;
    int64_t left = writes->size - start, size = left < writes->part_size ? left : writes->part_size;
    return put_part(writes->s3, writes->upload->path, writes->upload->id, (unsigned)index + 1,
                    writes->data + start, (size_t)size);
}

static int CO_FN write_given(struct s3_instance *s3, const struct upload *upload, const struct source *source)
{
    struct part_writes writes = {s3, upload, source->data, source->size, s3_part_size(source->size, 0)};
    return group_each((size_t)((writes.size + writes.part_size - 1) / writes.part_size), PARTS_AT_ONCE,
                      GROUP_FIRST, put_part_each, &writes);
}

/* As much of the source as a part takes; less at its end. */
static int64_t CO_FN fill_part(struct source *source, char *part, int64_t size)
{
    int64_t filled = 0, count = 1;
    while (filled < size && count > 0) {
        count = source_read(source, part + filled, (size_t)(size - filled));
        filled += count > 0 ? count : 0;
    }
    return count < 0 ? count : filled;
}

/* One part after the other; how much it was. */
static int64_t CO_FN write_read(struct s3_instance *s3, const struct upload *upload, struct source *source)
{
    autofree char *part = NULL;
    int64_t total = 0, count = 0, size = 0;
    for (unsigned index = 0; count == size; index++) {
        if (index == S3_PARTS_MAX)
            return fail(-EFBIG, "s3://%s: more than %d parts", upload->path, S3_PARTS_MAX);
        size = s3_part_size(source->size, index);
        char *room = mem_resize(part, (size_t)size);
        if (!room)
            return fail_memory();
        part = room;
        count = fill_part(source, part, size);
        int rc = count > 0 ? put_part(s3, upload->path, upload->id, index + 1, part, (size_t)count) : 0;
        if (count < 0 || rc < 0)
            return count < 0 ? count : rc;
        total += count;
    }
    return total;
}

static int CO_FN write_upload(struct s3_instance *s3, const struct token *token, const char *path,
                              struct source *source, unsigned flags, const char *if_match, struct answer *out)
{
    struct upload upload;
    int64_t size = source->size;
    int rc = parse_token(path, token, &upload);
    if (rc == 0 && source->data)
        rc = write_given(s3, &upload, source);
    else if (rc == 0)
        size = write_read(s3, &upload, source);
    rc = size < 0 && !source->data ? (int)size : rc;
    return rc < 0 ? rc : s3_publish(&s3->http.instance, path, token, size, flags, if_match, out);
}

int CO_FN s3_write_in_parts(struct s3_instance *s3, const char *path, struct source *source, unsigned flags,
                            const char *if_match, struct answer *out)
{
    struct token token = {0};
    int rc = s3_stage_with(s3, path, NULL, source->labels, &token);
    if (rc < 0)
        return rc;
    rc = write_upload(s3, &token, path, source, flags, if_match, out);
    if (rc < 0)
        rc = s3_give_up(s3, path, &token, rc);
    mem_free(token.text);
    return rc;
}
