/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LARDER_FACTS_H
#define LARDER_FACTS_H
/* What else can be known of a path, and what a cache may forget of it. */
#include "larder/fs.h"

#ifdef __cplusplus
extern "C" {
#endif

/* When the file or directory at `path` was made, or last changed: ns since 1970. -ENODATA: its place does not say.
 * (fsspec: created, modified) */
LARDER_API LARDER_WAITS int larder_created(struct larder_fs *fs, const char *path, int64_t *time_ns);
LARDER_API LARDER_WAITS int larder_modified(struct larder_fs *fs, const char *path, int64_t *time_ns);

/*
 * A text that is another one when the bytes are: the version that a larder_info has. Freed with larder_free. -ENODATA:
 * the place cannot promise that (fsspec's ukey and checksum are made of whatever info says, changed bytes or not).
 */
LARDER_API LARDER_WAITS int larder_ukey(struct larder_fs *fs, const char *path, char **out);

/*
 * The digest of a file's bytes, which are all read, as a stream of one version: "sha256:" or "md5:" and hexadecimal
 * digits. `algorithm` is "sha256" (NULL: that) or "md5". Freed with larder_free. Expect what larder_cat_to does.
 */
LARDER_API LARDER_WAITS int larder_checksum(struct larder_fs *fs, const char *path, const char *algorithm,
                                            char **out);

/*
 * What the place keeps with a file beside its bytes, sorted by name, in the names of HTTP: "content-type",
 * "cache-control", "content-disposition", "content-encoding", "content-language", "expires"; and "metadata.NAME" for what
 * users of an object store put down. The place is asked, never a cache. -ENOTSUP: it keeps no such things (memory, local
 * disks); -EISDIR: a directory. (s3fs: metadata)
 *
 * Files that are written get what the handle says, by its options content_type ("auto": by the name's ending), cache_control
 * and metadata (lines "name: value"; s3), which larder_fs_at sets for one file or for many. Over http and webdav only the
 * type is told, which few servers keep. A copy within the place takes along what its source has, but for what the
 * target's handle says; one from elsewhere has what that says.
 */
struct larder_property {
    const char *name, *value;
};
struct larder_properties {
    struct larder_property *property;
    size_t count;
    void *owner;
};
LARDER_API LARDER_WAITS int larder_properties(struct larder_fs *fs, const char *path,
                                              struct larder_properties *out);
LARDER_API void larder_properties_free(struct larder_properties *properties);

/* A URL that works without credentials for so long, at least a second. Freed with larder_free. -ENOTSUP: the place has no
 * such thing (capability sign). (fsspec: sign) */
LARDER_API LARDER_WAITS int larder_sign(struct larder_fs *fs, const char *path, uint32_t expires_s,
                                        char **url);

/*
 * The caches that `fs` is seen through forget what they know of `path`: it, all below it, and of every directory above
 * it the listing and what it is. NULL or "": everything below the root of `fs`. What is forgotten is asked for again.
 * Without a cache nothing is done. To give back room, larder_cache_clear. (fsspec: invalidate_cache)
 */
LARDER_API LARDER_WAITS int larder_invalidate_cache(struct larder_fs *fs, const char *path);

#ifdef __cplusplus
}
#endif
#endif
