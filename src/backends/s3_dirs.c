/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets, which are made and removed, and directories in them, which keys imply. */
#include <errno.h>
#include <string.h>

#include "backends/s3_parts.h"
#include "base/error.h"
#include "base/seams.h"

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
int CO_FN s3_mkdir(struct instance *instance, const char *path, unsigned flags)
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
        return key ? s3_delete(s3, key) : fail_memory();
    }
    if (rc == 0)
        rc = http_info(instance, path, &TERMS_NONE, &answer);
    answer_free(&answer);
    return rc == 0 ? fail(-ENOTDIR, "s3://%s: not a directory", path) : rc;
}

/* Markers are removed without looking for them: a thousand a request, and of what is not there S3 says nothing. */
int CO_FN s3_unmark(struct instance *instance, const char *const paths[], size_t count)
{
    char **markers = mem_array(count, sizeof *markers);
    int *status = mem_array(count, sizeof *status);
    int rc = count == 0 || (markers && status) ? 0 : fail_memory();
    size_t made = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (!*s3_name_of(paths[i]).key)
            continue; /* a bucket */
        markers[made] = mem_format("%s/", paths[i]);
        rc = markers[made++] ? 0 : fail_memory();
    }
    if (rc == 0 && made == 1)
        rc = s3_delete(s3_of(instance), markers[0]);
    else if (rc == 0)
        rc = s3_remove(instance, (const char *const *)markers, made, status);
    for (size_t i = 0; i < made; i++) {
        rc = rc == 0 ? status[i] : rc;
        mem_free(markers[i]);
    }
    mem_free(markers);
    mem_free(status);
    return rc;
}
