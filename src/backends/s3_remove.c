/* SPDX-License-Identifier: Apache-2.0 */
/* Objects removed: one, whose absence is told, or a thousand in a request. */
#include <errno.h>
#include <string.h>

#include "backends/s3_parts.h"
#include "base/buffer.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/seams.h"

#define BATCH_COUNT_MAX   1000
#define DELETIONS_AT_ONCE 16

/* ---- one ---- */

int CO_FN s3_delete(struct s3_instance *s3, const char *path)
{
    const struct s3_request request = {.path = path, .http = {.method = HTTP_DELETE}};
    return s3_do(s3, &request, NULL);
}

/* S3 says 204 of what was never there as well. */
static int CO_FN remove_one(struct s3_instance *s3, const char *path)
{
    struct answer answer = {0};
    if (!*s3_name_of(path).key)
        return fail(-EISDIR, "s3://%s: a bucket", path);
    int rc = http_info(&s3->http.instance, path, &TERMS_NONE, &answer);
    answer_free(&answer);
    if (rc == -ENOENT) {
        struct error_slot words = *error_slot();
        int below = s3_has_below(s3, path, NULL);
        if (below > 0)
            return fail(-EISDIR, "s3://%s: a directory", path);
        *error_slot() = words;
    }
    return rc < 0 ? rc : s3_delete(s3, path);
}

/* ---- a batch ---- */

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

/* What is forbidden, or was stopped, stays so. */
static int CO_EDGE delete_again(void *arg, size_t index)
{
    const struct batch *batch = arg;
    int *status = &batch->status[index];
    if (*status < 0 && *status != -EACCES && *status != -ECANCELED)
        *status = s3_delete(batch->s3, batch->paths[index]);
    return *status == -ECANCELED ? -ECANCELED : 0;
}

/* Does a batch that failed say something of its keys? Else it was refused as such, or lost more often than is tried. */
static bool is_for_lack_of_batches(int rc)
{
    return rc == -ENOTSUP || rc == -EPROTO || rc == -EINVAL;
}

/* What the server failed at is tried once more, by itself. */
static int CO_FN remove_batch(struct batch *batch)
{
    memset(batch->status, 0, batch->count * sizeof *batch->status);
    int rc = delete_batch(batch);
    for (size_t i = 0; rc < 0 && i < batch->count; i++)
        batch->status[i] = rc;
    if (rc < 0 && !is_for_lack_of_batches(rc))
        return rc;
    return group_each(batch->count, DELETIONS_AT_ONCE, GROUP_FIRST, delete_again, batch);
}

/* Of one file it is told whether it was there; of many in one request S3 does not say. */
static int CO_FN remove_alone(struct s3_instance *s3, const char *path, bool one_of_many)
{
    return one_of_many && *s3_name_of(path).key ? s3_delete(s3, path) : remove_one(s3, path);
}

int CO_FN s3_remove(struct instance *instance, const char *const paths[], size_t count, int status[])
{
    struct s3_instance *s3 = s3_of(instance);
    for (size_t i = 0; i < count;) {
        struct batch batch = {s3, paths + i, batch_size(paths + i, count - i), status + i};
        if (batch.count > 1) {
            remove_batch(&batch);
        } else {
            status[i] = remove_alone(s3, paths[i], count > 1);
            batch.count = 1;
        }
        i += batch.count;
    }
    return 0;
}
