/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LARDER_S3_H
#define LARDER_S3_H
/*
 * What only object stores have that speak S3. Each call is -ENOTSUP of a filesystem whose place, behind all views, is
 * none.
 */
#include "larder/fs.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A large file is uploaded in parts, which do not show, and are completed at the end. Of a writer that was killed before,
 * or lost its network, the parts stay with the server, are listed nowhere else, and are paid for until somebody aborts
 * them. One that is going on looks the same: how old it is, is all there is to tell them apart.
 */
struct larder_s3_upload {
    const char
        *path; /* what it is to become, relative to the handle's root; as the server has it: "a//b" can be */
    const char *id;
    int64_t begun_ns; /* since 1970; 0: not said */
};
struct larder_s3_uploads {
    struct larder_s3_upload *upload;
    size_t count;
    void *owner;
};
LARDER_API void larder_s3_uploads_free(struct larder_s3_uploads *uploads);

/* The unfinished uploads of `path` and of all below it, sorted by path; of all buckets where it is the root of the
 * account. -ENOENT: there is no such bucket. (s3fs: list_multipart_uploads) */
LARDER_API LARDER_WAITS int larder_s3_uploads(struct larder_fs *fs, const char *path,
                                              struct larder_s3_uploads *out);
/* Drop its parts. Of one that is gone already: 0. Who is still uploading will fail. A part that was on its way may arrive
 * later: as long as there are any, they are dropped again, with waits of up to 3.1 s together; then -EBUSY: some are left.
 * (s3fs: clear_multipart_uploads) */
LARDER_API LARDER_WAITS int larder_s3_abort(struct larder_fs *fs, const struct larder_s3_upload *upload);

#ifdef __cplusplus
}
#endif
#endif
