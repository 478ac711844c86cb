/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LARDER_CACHE_H
#define LARDER_CACHE_H
/*
 * The persistent cache: a directory that keeps blocks of files, what is known of them, listings and absences.
 *
 * A filesystem opened through it (cache::URL, or larder_cache_fs) reads what is there, asks the place behind it for
 * what is not or is no longer fresh, and keeps the answer. Any number of threads, tasks and processes may use one
 * directory at once. What is damaged is fetched again, never returned. A directory that cannot be used - no disk left,
 * read-only, a network file system - is logged once, and reads go on without it.
 *
 * How long an answer is fresh: `ttl` if given (0 asks again at every read), else what the place said of it (HTTP:
 * Cache-Control, Expires), else until asked again. After that a conditional read makes it fresh with one small request.
 *
 *     option of the layer "cache"     meaning
 *     dir                             the directory
 *     ttl                             how long an answer is fresh; per handle
 *     mode                            online; stale-if-error: a stale answer when the place cannot be asked;
 *                                     offline: nothing is ever asked, what is not there is -ENONET
 *     compress                        the zstd level for blocks that shrink; 0: none
 */
#include "larder/fs.h"

#ifdef __cplusplus
extern "C" {
#endif

struct larder_cache;

/*
 * Open a cache directory, and make it (mode 0700) if missing. `options` as above, without a layer; NULL: the user's
 * cache, $LARDER_CACHE_DIR, else $XDG_CACHE_HOME/larder, else ~/.cache/larder. Handles of one directory share one store.
 */
LARDER_API LARDER_WAITS int larder_cache_open(const char *const options[], struct larder_cache **out);
/* Does not wait: what was fetched is still stored, as long as the process lives; larder_cache_flush makes sure. */
LARDER_API void larder_cache_free(struct larder_cache *cache);

/* `next` seen through the cache: what cache:: makes. -EINVAL: `next` has a cache already. */
LARDER_API int larder_cache_fs(struct larder_cache *cache, struct larder_fs *next,
                               const char *const options[], struct larder_fs **out);

/* Return when everything that was fetched so far is in the store, and on the disk. */
LARDER_API LARDER_WAITS int larder_cache_flush(struct larder_cache *cache);

struct larder_cache_stats {
    size_t size;     /* in: the sizeof that the caller knows */
    const char *dir; /* borrowed from `cache` */
    uint64_t bytes;  /* of the store, in use */
    uint64_t files;  /* known: with their bytes, or with what is known of them only */
    uint64_t blocks; /* of file data, beside what lies in the records of small files */
    uint64_t listings;
    uint64_t hits, misses; /* reads and infos, by every process, since the store was made */
    uint64_t hit_bytes, miss_bytes;
};
/* -EROFS: the directory cannot be used (the log says why). */
LARDER_API LARDER_WAITS int larder_cache_stats(struct larder_cache *cache, struct larder_cache_stats *out);

/* Forget what is stored of `path` and everything below it. `fs` is any handle on the place; NULL: of every place. */
LARDER_API LARDER_WAITS int larder_cache_clear(struct larder_cache *cache, struct larder_fs *fs,
                                               const char *path);

/*
 * Read a whole tree into the cache, so that it works offline: every listing, and every file that is not there fresh
 * already. `fs` is a handle through a cache, else -EINVAL. Goes on where an earlier one ended. on_error and jobs_max of
 * `batch` count; `completed` is called for each file (without bytes), and each directory that failed. On
 * return the store has it all on the disk.
 */
struct larder_mirror_stats {
    size_t size;
    uint64_t files;         /* found in the tree */
    uint64_t bytes_fetched; /* over the network */
    uint64_t bytes_present; /* there before, and fresh */
    uint64_t failed;        /* files and directories */
};
LARDER_API LARDER_WAITS int larder_mirror(struct larder_fs *fs, const char *path,
                                          const struct larder_batch *batch, struct larder_mirror_stats *out);

#ifdef __cplusplus
}
#endif
#endif
