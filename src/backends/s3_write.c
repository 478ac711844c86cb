/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects made in one request each. What a condition (If-None-Match, If-Match) promises is the server's to keep. After
 * an answer that was lost, the object is looked at: is it what this write made?
 */
#include <errno.h>
#include <string.h>

#include "backends/s3_labels.h"
#include "base/error.h"
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

int CO_FN s3_has_bucket(struct s3_instance *s3, const char *path)
{
    struct answer answer = {0};
    autofree char *bucket = mem_dup_n(path, s3_name_of(path).bucket_size);
    int rc = bucket ? s3_info(&s3->http.instance, bucket, &TERMS_NONE, &answer) : fail_memory();
    answer_free(&answer);
    return rc == -ENOENT ? 0 : rc < 0 ? rc : 1;
}

/* Of a version that is gone AWS says that there is no such key, where others say that the condition fails. */
static int CO_FN explain_gone(struct s3_instance *s3, const char *path, int rc)
{
    struct error_slot words = *error_slot();
    if (s3_has_bucket(s3, path) == 1)
        return fail(-ESTALE, "s3://%s: it is gone", path);
    *error_slot() = words;
    return rc;
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
    if (rc == -ENOENT)
        return explain_gone(s3, put->path, rc);
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
