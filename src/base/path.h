/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PATH_H
#define BASE_PATH_H
/*
 * Paths inside a filesystem: relative, "/" between segments, decoded, any bytes but NUL. A *clean* path has no "/" at
 * either end, no empty segment, no "." and no ".."; the root is "". Below the public functions every path is clean.
 */
#include <stdbool.h>
#include <stddef.h>

/* Is `path` clean? */
bool path_is_clean(const char *path);
/* Is it a clean path that names something below the root: what a key may be? */
bool path_is_key(const char *path);

/*
 * root/path with the slashes at both ends of `path` taken off. `root` is clean. `*out` is freed with mem_free.
 * -EINVAL (with text): an empty segment, "." or ".." in `path`. A trailing slash is told in `*directory` if not NULL.
 */
int path_resolve(const char *root, const char *path, char **out, bool *directory);
/* a/b, or the other one when one of the two is "". NULL: out of memory. Freed with mem_free. */
char *path_join(const char *a, const char *b);
/* The last segment: a pointer into `path`. "" for the root. */
const char *path_name(const char *path);
/* The size of the parent's part of `path` without its slash: 0 for "a" and for "". */
size_t path_parent_size(const char *path);
/* Is `path` `root` itself or something below it? "" holds everything. */
bool path_within(const char *root, const char *path);
/* `path` relative to `root`, which holds it: a pointer into `path`; "" for the root itself. */
const char *path_below(const char *root, const char *path);
/* Orders paths so that what is below a directory comes right behind it: as strcmp, but "/" is the smallest character. */
int path_compare(const char *a, const char *b);
/* Is `name` one segment that a server may have given us: not empty, ".", "..", no "/"? */
bool path_is_segment(const char *name);

/* What is being written has such a name, in the directory that it will be in: 16 hexadecimal digits behind the prefix.
 * Exactly such names are left out of listings; all others are the user's. */
#define TEMPORARY_PREFIX ".larder-"
bool path_is_temporary(const char *name);

/* RFC 3986: percent-encode all but unreserved characters, "/" and the sub-delims that are safe in a path. */
char *url_encode_path(const char *path);
/* What is written in another way, as url_encode_path writes it; an encoded slash and NUL stay encoded. Of two paths that
 * mean the same both are then the same. NULL: out of memory. */
char *url_normal_path(const char *text, size_t size);
/* Decode `size` bytes at `text`. -EINVAL (with text): a broken %XX, or one of NUL (%00) or of a slash (%2F). */
int url_decode_path(const char *text, size_t size, char **out);

#endif
