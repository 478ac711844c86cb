/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LARDER_MAP_H
#define LARDER_MAP_H
/*
 * A directory as a map from keys to bytes.
 *
 * A key is the path of a file below the directory: "a/b", one or more segments. Keys are literal: nothing in them is a
 * pattern, and a key can never name something outside the map: "", "/a", "a/", "a//b", "." and ".." are -EINVAL.
 * A directory is no key: it is -ENOENT to get and 0 to has. A missing key is -ENOENT, and every other failure is
 * itself, so that a server that cannot be reached never looks like an empty map. Setting a key makes what directories
 * it needs. Any number of threads and tasks may use one map at once, but one at a time a stream of keys. (fsspec: FSMap, with its literal-key, parents and error rules put right)
 */
#include "larder/fs.h"

#ifdef __cplusplus
extern "C" {
#endif

struct larder_map;
enum larder_map_flags {
    LARDER_MAP_CREATE = 1, /* make the directory if it is missing */
    LARDER_MAP_CHECK =
        2, /* -ENOENT or -ENOTDIR unless it is a directory (a place without real directories: unless
                              it can be asked); leaves no trace */
};

/* Open `url` as a map; `loop` and `options` as in larder_open. Without flags nothing is asked and nothing waits. */
LARDER_API LARDER_WAITS int larder_get_mapper(struct larder_loop *loop, const char *url,
                                              const char *const options[], unsigned flags,
                                              struct larder_map **out);
/* The same of a filesystem and a root below its own; the map holds its own reference. */
LARDER_API LARDER_WAITS int larder_map_new(struct larder_fs *fs, const char *root, unsigned flags,
                                           struct larder_map **out);
LARDER_API void larder_map_free(struct larder_map *map);
/* The handle whose root is the map's directory: for what maps lack. Borrowed. */
LARDER_API struct larder_fs *larder_map_fs(struct larder_map *map);

/* The value of a key, or a range of it (a suffix, {-n, LARDER_TO_END}, is one request). */
LARDER_API LARDER_WAITS int larder_map_get(struct larder_map *map, const char *key,
                                           const struct larder_range *range, struct larder_bytes *out);
/* The same into the caller's memory: the count of bytes, or -ENOSPC. */
LARDER_API LARDER_WAITS int64_t larder_map_get_into(struct larder_map *map, const char *key,
                                                    const struct larder_range *range, void *buffer,
                                                    size_t size);
/* Many (key, range) pairs, concurrently: see larder_cat. An item with a wrong key has the status -EINVAL. */
LARDER_API LARDER_WAITS int larder_map_get_many(struct larder_map *map, struct larder_item *items,
                                                size_t count, const struct larder_batch *batch);

LARDER_API LARDER_WAITS int larder_map_set(struct larder_map *map, const char *key, const void *data,
                                           size_t size);
/* Only if there is no such key: else -EEXIST; -EISDIR: a directory is there. */
LARDER_API LARDER_WAITS int larder_map_set_if_absent(struct larder_map *map, const char *key,
                                                     const void *data, size_t size);
LARDER_API LARDER_WAITS int larder_map_set_many(struct larder_map *map, struct larder_item *items,
                                                size_t count, const struct larder_batch *batch);

/* -ENOENT when missing. */
LARDER_API LARDER_WAITS int larder_map_delete(struct larder_map *map, const char *key);
LARDER_API LARDER_WAITS int larder_map_delete_many(struct larder_map *map, struct larder_item *items,
                                                   size_t count, const struct larder_batch *batch);
/* Every key at or below the directory `prefix` ("foo" never touches "foo-bar"). Nothing there: 0. -EINVAL: the prefix
 * is NULL, "" or "/", which would be all of them: that is larder_map_clear. */
LARDER_API LARDER_WAITS int larder_map_delete_prefix(struct larder_map *map, const char *prefix);
/* The value, then delete. Not atomic. */
LARDER_API LARDER_WAITS int larder_map_pop(struct larder_map *map, const char *key, struct larder_bytes *out);
/* Every key; the directory itself stays. */
LARDER_API LARDER_WAITS int larder_map_clear(struct larder_map *map);

/* 1, 0, or a failure to find out. */
LARDER_API LARDER_WAITS int larder_map_has(struct larder_map *map, const char *key);
/* The size of a value; LARDER_SIZE_UNKNOWN is possible (-1, which is no errno that this call returns). */
LARDER_API LARDER_WAITS int larder_map_size(struct larder_map *map, const char *key, int64_t *out);
/* How many keys: reads every listing. */
LARDER_API LARDER_WAITS int64_t larder_map_len(struct larder_map *map);

/* The keys at or below the directory `prefix` (NULL: all), as a stream in no order; a missing directory has none. */
struct larder_keys;
LARDER_API int larder_map_keys(struct larder_map *map, const char *prefix, struct larder_keys **out);
/* 1 and the next key, borrowed until the next call, with what of it came along (`info` may be NULL): its
 * size may be unknown. 0 at the end. */
LARDER_API LARDER_WAITS int larder_keys_next(struct larder_keys *keys, const char **key,
                                             const struct larder_info **info);
LARDER_API void larder_keys_free(struct larder_keys *keys);
/* One level: the keys and the directories right below `prefix` (NULL: the top), sorted; none where that is missing. */
LARDER_API LARDER_WAITS int larder_map_list(struct larder_map *map, const char *prefix,
                                            struct larder_entries *out);

#ifdef __cplusplus
}
#endif
#endif
