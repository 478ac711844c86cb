/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects made, copied and removed, in one request each; and buckets. What a condition (If-None-Match, If-Match) promises
 * is the server's to keep. After an answer that was lost, the object is looked at: is it the one that was sent?
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/s3_labels.h"
#include "base/buffer.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"

#define WRITE_SIZE_MAX ((int64_t)64 << 20) /* of one PUT */

int s3_answer_of_write(const char *etag, int64_t size, struct answer *out)
{
    const struct answer answer = {.info = {.type = LARDER_FILE, .size = size, .version = etag},
                                  .validator = etag,
                                  .fresh_ms = -1,
                                  .stale_if_error_ms = -1};
    return etag && out ? answer_copy(out, &answer) : 0;
}

/* A file has a bucket and a key. */
static int check_file(const char *path)
{
    return *s3_name_of(path).key ? 0 : fail(-EISDIR, "s3://%s: a bucket", path);
}

/* ---- write ---- */

struct put {
    const char *path;
    const struct source *source;
    const struct s3_headers *headers;
    bool *maybe_done;
};

/* Under a condition it may be sent again, too: it then meets what it made itself, which its write id tells. */
static int CO_FN put_object(struct s3_instance *s3, const struct put *put, const char *if_match,
                            const char *if_none_match, struct answer *out)
{
    autofree char *etag = NULL;
    const struct s3_request request = {.path = put->path,
                                       .more = put->headers->pair,
                                       .data = put->source->data,
                                       .size = (size_t)put->source->size,
                                       .http = {.method = HTTP_PUT,
                                                .if_match = if_match,
                                                .if_none_match = if_none_match,
                                                .again = true,
                                                .maybe_done = put->maybe_done}};
    int rc = s3_do(s3, &request, &etag);
    return rc == 0 ? s3_answer_of_write(etag, put->source->size, out) : rc;
}

/* "\"abc\"" without its quotes, into `out`; mem. */
static char *unquoted(const char *etag)
{
    size_t size = strlen(etag);
    return size >= 2 && etag[0] == '"' ? mem_dup_n(etag + 1, size - 2) : mem_dup(etag);
}

/*
 * In place of one version only. Ceph's gateway compares an If-Match of a PUT with the quotes on (seen: 16.2.15), so that
 * none ever matches: when the version is there all the same, it is asked without them, and so from then on.
 */
static int CO_FN replace_object(struct s3_instance *s3, const struct put *put, const char *if_match,
                                struct answer *out)
{
    autofree char *bare = unquoted(if_match);
    struct answer answer = {0};
    if (!bare)
        return fail_memory();
    int rc = put_object(s3, put, s3->unquoted_match ? bare : if_match, NULL, out);
    if (rc != -ESTALE || s3->unquoted_match)
        return rc;
    rc = http_info(&s3->http.instance, put->path, &TERMS_NONE, &answer);
    bool same = rc == 0 && answer.info.version && strcmp(answer.info.version, if_match) == 0;
    answer_free(&answer);
    if (rc == -ENOENT || (rc == 0 && !same))
        return fail(-ESTALE, "s3://%s: it changed", put->path);
    if (rc < 0)
        return rc;
    rc = put_object(s3, put, bare, NULL, out);
    s3->unquoted_match = rc == 0;
    return rc;
}

/* Servers without conditions: what can be seen beforehand. */
int CO_FN s3_check_before(struct s3_instance *s3, const char *path, unsigned flags, const char *if_match)
{
    struct answer answer = {0};
    int rc = http_info(&s3->http.instance, path, &TERMS_NONE, &answer);
    bool same = rc == 0 && if_match && answer.info.version && strcmp(answer.info.version, if_match) == 0;
    answer_free(&answer);
    if (rc < 0 && rc != -ENOENT)
        return rc;
    if (if_match && !same)
        return fail(-ESTALE, "s3://%s: it changed", path);
    return rc == 0 && (flags & LARDER_CREATE) ? fail(-EEXIST, "s3://%s: it exists", path) : 0;
}

int CO_FN s3_refuse_create(struct s3_instance *s3, const char *path, int rc)
{
    struct error_slot words = *error_slot();
    if (s3_check_before(s3, path, LARDER_CREATE, NULL) == -EEXIST)
        return -EEXIST;
    *error_slot() = words;
    return rc;
}

static int CO_FN write_object(struct s3_instance *s3, const struct put *put, unsigned flags,
                              const char *if_match, struct answer *out)
{
    bool create = flags & LARDER_CREATE;
    if (if_match && s3->conditional)
        return replace_object(s3, put, if_match, out);
    return put_object(s3, put, NULL, create && s3->conditional ? "*" : NULL, out);
}

/* Whose condition was not met may have met itself, in a try whose answer was lost. */
static int CO_FN write_conditional(struct s3_instance *s3, const struct put *put, const char *write_id,
                                   unsigned flags, const char *if_match, struct answer *out)
{
    int rc = s3->conditional ? 0 : s3_check_before(s3, put->path, flags, if_match);
    if (rc == 0)
        rc = write_object(s3, put, flags, if_match, out);
    if (rc < 0 && rc != -ECANCELED && *put->maybe_done) {
        int written = s3_is_written(s3, put->path, write_id, out);
        if (written == 1)
            error_clear();
        else if (written < 0)
            return fail_more(rc, "it is not known whether it was written");
        rc = written == 1 ? 0 : rc;
    }
    return rc == -ESTALE && (flags & LARDER_CREATE) ? fail(-EEXIST, "s3://%s: it exists", put->path) : rc;
}

int CO_FN s3_write(struct instance *instance, const char *path, struct source *source, unsigned flags,
                   const char *if_match, struct answer *out)
{
    struct s3_instance *s3 = s3_of(instance);
    struct s3_headers headers = {0};
    bool maybe_done = false, conditional = (flags & LARDER_CREATE) || if_match;
    const struct put put = {path, source, &headers, &maybe_done};
    char write_id[S3_WRITE_ID_SIZE];
    int rc = check_file(path);
    if (rc == 0 && (!source->data || source->size > WRITE_SIZE_MAX))
        return s3_write_in_parts(s3, path, source, flags, if_match, out);
    if (rc == 0)
        rc = s3_headers_say(&headers, source->labels, path);
    if (rc == 0 && conditional) {
        s3_write_id_make(write_id);
        rc = s3_headers_set(&headers, HTTP_WRITE_ID, write_id);
    }
    if (rc == 0)
        rc = conditional ? write_conditional(s3, &put, write_id, flags, if_match, out)
                         : write_object(s3, &put, flags, NULL, out);
    s3_headers_fini(&headers);
    return rc;
}

/* ---- remove ---- */

#define BATCH_COUNT_MAX 1000

static void add_xml_text(struct buffer *out, const char *text)
{
    for (const char *at = text; *at; at++) {
        switch (*at) {
        case '<':
            buffer_add_text(out, "&lt;");
            break;
        case '>':
            buffer_add_text(out, "&gt;");
            break;
        case '&':
            buffer_add_text(out, "&amp;");
            break;
        default:
            buffer_add(out, at, 1);
        }
    }
}

/* Characters that XML 1.0 has no way to say. */
static bool fits_xml(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++)
        if (*at < 0x20)
            return false;
    return true;
}

static int CO_FN delete_one(struct s3_instance *s3, const char *path)
{
    const struct s3_request request = {.path = path, .http = {.method = HTTP_DELETE}};
    return s3_do(s3, &request, NULL);
}

/* S3 says 204 of what was never there as well. */
static int CO_FN remove_one(struct s3_instance *s3, const char *path)
{
    struct answer answer = {0};
    int rc = check_file(path);
    if (rc == 0)
        rc = http_info(&s3->http.instance, path, &TERMS_NONE, &answer);
    answer_free(&answer);
    if (rc == -ENOENT) {
        struct error_slot words = *error_slot();
        int below = s3_has_below(s3, path, NULL);
        if (below > 0)
            return fail(-EISDIR, "s3://%s: a directory", path);
        *error_slot() = words;
    }
    return rc < 0 ? rc : delete_one(s3, path);
}

struct batch {
    struct s3_instance *s3;
    const char *const *paths;
    size_t count;
    int *status;
};

static int make_deletion(const struct batch *batch, struct buffer *out)
{
    buffer_add_text(out, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
    for (size_t i = 0; i < batch->count; i++) {
        buffer_add_text(out, "<Object><Key>");
        add_xml_text(out, s3_name_of(batch->paths[i]).key);
        buffer_add_text(out, "</Key></Object>");
    }
    return buffer_add_text(out, "</Delete>");
}

/* The <Error>s of an answer: those keys were not removed. One that names none of ours is a failure of all. */
static int take_errors(const struct batch *batch, const struct xml_node *root)
{
    for (const struct xml_node *node = xml_child(root, "Error"); node; node = xml_next(node, "Error")) {
        bool failed = false, known = false;
        autofree char *key = xml_text(xml_child(node, "Key"), &failed);
        autofree char *code = xml_text(xml_child(node, "Code"), &failed);
        autofree char *message = xml_text(xml_child(node, "Message"), &failed);
        if (failed)
            return fail_memory();
        int rc = s3_fail_code(code ? code : "Error", message, 200);
        for (size_t i = 0; key && i < batch->count; i++) {
            if (strcmp(s3_name_of(batch->paths[i]).key, key) != 0)
                continue;
            batch->status[i] = rc == -ENOENT ? 0 : rc;
            known = true;
        }
        if (!known)
            return rc;
    }
    return 0;
}

static int CO_FN delete_batch(const struct batch *batch)
{
    struct buffer body = BUFFER((size_t)16 << 20);
    unsigned char hash[DIGEST_SIZE_MAX];
    char md5[BASE64_SIZE(DIGEST_SIZE_MAX)];
    struct xml *xml = NULL;
    struct s3_name name = s3_name_of(batch->paths[0]);
    autofree char *bucket = mem_dup_n(batch->paths[0], name.bucket_size);
    int rc = bucket ? make_deletion(batch, &body) : fail_memory();
    if (rc == 0)
        rc = digest_of(DIGEST_MD5, body.data, body.size, hash);
    if (rc == 0) {
        base64_format(hash, digest_size(DIGEST_MD5), md5);
        bool maybe_done = false; /* a second deletion does no harm */
        const struct s3_request request = {.path = bucket,
                                           .query = {{"delete", ""}},
                                           .headers = {{"content-md5", md5}},
                                           .data = body.data,
                                           .size = body.size,
                                           .http = {.method = HTTP_POST,
                                                    .maybe_done = &maybe_done,
                                                    .again = true}};
        rc = s3_ask_result(batch->s3, &request, "DeleteResult", &xml);
    }
    if (rc == 0)
        rc = take_errors(batch, xml_root(xml));
    xml_free(xml);
    buffer_free(&body);
    return rc;
}

/* How many of the paths, from the first on, go into one request: those of one bucket, whose keys XML can say. */
static size_t batch_size(const char *const paths[], size_t count)
{
    struct s3_name first = s3_name_of(paths[0]);
    size_t size = 0;
    while (size < count && size < BATCH_COUNT_MAX) {
        struct s3_name name = s3_name_of(paths[size]);
        bool fits = name.bucket_size == first.bucket_size && *name.key && fits_xml(name.key) &&
                    memcmp(paths[size], paths[0], first.bucket_size) == 0;
        if (!fits)
            break;
        size++;
    }
    return size;
}

/* Of one file it is told whether it was there; of many in one request S3 does not say. */
int CO_FN s3_remove(struct instance *instance, const char *const paths[], size_t count, int status[])
{
    struct s3_instance *s3 = s3_of(instance);
    for (size_t i = 0; i < count;) {
        size_t size = count > 1 ? batch_size(paths + i, count - i) : 0;
        if (size <= 1) {
            status[i] =
                count > 1 && *s3_name_of(paths[i]).key ? delete_one(s3, paths[i]) : remove_one(s3, paths[i]);
            i++;
            continue;
        }
        const struct batch batch = {s3, paths + i, size, status + i};
        memset(status + i, 0, size * sizeof *status);
        int rc = delete_batch(&batch);
        for (size_t j = 0; rc < 0 && j < size; j++)
            status[i + j] = rc;
        /* What the server failed at is tried once more, by itself. */
        for (size_t j = 0; j < size; j++)
            if (status[i + j] < 0 && status[i + j] != -ECANCELED)
                status[i + j] = delete_one(s3, paths[i + j]);
        i += size;
    }
    return 0;
}

/* ---- directories ---- */

static int CO_FN make_bucket(struct s3_instance *s3, const char *bucket)
{
    struct answer answer = {0};
    int rc = http_info(&s3->http.instance, bucket, &TERMS_NONE, &answer);
    answer_free(&answer);
    if (rc != -ENOENT)
        return rc < 0 ? rc : fail(-EEXIST, "s3://%s: it exists", bucket);
    bool elsewhere = !s3->host && strcmp(s3->region, "us-east-1") != 0; /* AWS's own wants it said */
    autofree char *body =
        mem_format("<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                   "<LocationConstraint>%s</LocationConstraint></CreateBucketConfiguration>",
                   s3->region);
    if (!body)
        return fail_memory();
    const struct s3_request request = {.path = bucket,
                                       .data = elsewhere ? body : NULL,
                                       .size = elsewhere ? strlen(body) : 0,
                                       .http = {.method = HTTP_PUT}};
    return s3_do(s3, &request, NULL);
}

/* Directories of a bucket are implied by keys: there is nothing to make. */
int CO_FN s3_mkdir(struct instance *instance, const char *path)
{
    struct s3_instance *s3 = s3_of(instance);
    struct answer answer = {0};
    if (!*path)
        return fail(-EEXIST, "s3://: the root");
    if (!*s3_name_of(path).key)
        return make_bucket(s3, path);
    int rc = s3_info(instance, path, &TERMS_NONE, &answer);
    answer_free(&answer);
    return rc == 0 ? fail(-EEXIST, "s3://%s: it exists", path) : rc == -ENOENT ? 0 : rc;
}

int CO_FN s3_rmdir(struct instance *instance, const char *path)
{
    struct s3_instance *s3 = s3_of(instance);
    struct answer answer = {0};
    bool marker = false;
    if (!*path)
        return fail(-EBUSY, "s3://: the root");
    if (!*s3_name_of(path).key) {
        const struct s3_request request = {.path = path, .http = {.method = HTTP_DELETE}};
        return s3_do(s3, &request, NULL);
    }
    int rc = s3_has_below(s3, path, &marker);
    if (rc > 0)
        return fail(-ENOTEMPTY, "s3://%s: not empty", path);
    if (rc == 0 && marker) {
        autofree char *key = mem_format("%s/", path);
        return key ? delete_one(s3, key) : fail_memory();
    }
    if (rc == 0)
        rc = http_info(instance, path, &TERMS_NONE, &answer);
    answer_free(&answer);
    return rc == 0 ? fail(-ENOTDIR, "s3://%s: not a directory", path) : rc;
}
