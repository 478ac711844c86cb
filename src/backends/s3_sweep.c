/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uploads that nobody knows: whoever began one died before the answer came, or before he wrote it down. An upload has no
 * name of the caller's choice, so they are those of the key that began since, and that no part was ever sent to: whoever
 * has noted an upload sends its parts at once.
 */
#include <errno.h>
#include <string.h>

#include "backends/s3_parts.h"
#include "base/error.h"
#include "larder/s3.h"

/* The server's clock may be so much behind. */
#define SLACK_NS (INT64_C(60) * 1000000000)

static int CO_FN abort_if_empty(struct s3_instance *s3, const char *path, const char *upload)
{
    int rc = s3_upload_has_part(s3, path, upload);
    return rc == 0 ? s3_abort(s3, path, upload) : rc < 0 ? rc : 0;
}

int CO_FN s3_sweep(struct instance *instance, const char *path, uint64_t id, int64_t since_ns)
{
    struct s3_instance *s3 = s3_of(instance);
    struct larder_s3_uploads uploads = {0};
    int64_t since = since_ns + s3->skew_ns - SLACK_NS;
    int rc = s3_find_uploads(s3, path, &uploads);
    for (size_t i = 0; rc == 0 && i < uploads.count; i++)
        if (strcmp(uploads.upload[i].path, path) == 0 && uploads.upload[i].begun_ns >= since)
            rc = abort_if_empty(s3, path, uploads.upload[i].id);
    larder_s3_uploads_free(&uploads);
    if (rc != -ENOENT)
        return rc;
    error_clear(); /* the bucket is gone, and all with it */
    return 0;
}
