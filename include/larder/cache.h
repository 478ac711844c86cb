/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LARDER_CACHE_H
#define LARDER_CACHE_H
/*
 * The persistent cache: a directory that keeps blocks of files, what is known of them, listings and absences.
 *
 * A filesystem opened through it (cache::URL, or larder_cache_fs) reads what is there, asks the place behind it for
 * what is not or is no longer fresh, and keeps the answer. Any number of threads, tasks and processes may use one
 * directory at once, and of threads and tasks one handle. What is damaged is fetched again, never returned. A directory that cannot be used - no disk left,
 * read-only, a network file system - is logged once, and reads go on without it.
 *
 * How long an answer is fresh, the nearest word counts:
 *
 *     of a file       the ttl that larder_fs_at was given; the first of ttl_rules that matches its path; ttl; what the
 *                     place said (HTTP: Cache-Control, Expires)
 *     of a listing    the same, with listing_ttl in place of the rules; and of what else is known of a directory
 *     of an absence   the same, with absent_ttl; of a place's failure nothing is remembered
 *
 * When nobody says anything it is asked for again at each read. What is fresh no longer is asked for with its validator,
 * and one small answer makes the whole file fresh. What was changed through Larder is forgotten at once, whatever its
 * lifetime, with the listings and absences above it. A time is "5" (seconds), "10m", "2h", "7d" or "forever".
 *
 *     option of the layer "cache"     meaning
 *     dir                             the directory
 *     ttl                             how long an answer is fresh; 0: it is asked for at each read; per handle
 *     ttl_rules                       PATTERN=TIME,PATTERN=TIME: the same for files that match, such as
 *                                     "*.json=60,c/[0-9]*=forever". A pattern of a name, or of several with slashes
 *                                     between, may stand anywhere in the tree; with a slash in front it begins at the
 *                                     root of the place. As of larder_glob, but without a comma (a "?" matches one)
 *     listing_ttl, absent_ttl         the same for listings, and for what is missing
 *     max_age                         no answer older than this is given, in whatever mode; 0: the place is asked; per
 *                                     handle. Where ttl says how long nobody need ask, this says what may not be used
 *                                     even if nobody can: -ENONET, or why the place could not be asked
 *     mode                            online; stale-if-error: a stale answer when the place cannot be asked, but no
 *                                     absence, which is believed for its absent_ttl alone;
 *                                     offline: nothing is ever asked or changed: -ENONET but for what
 *                                   is there
 *     max_size                        how much the cache may hold, "10G" at first. Kept in the cache, so that all that
 *                                     use it agree: who gives the option sets it. At least "1M"
 *     min_free                        how much of the disk the cache leaves free: kept likewise; at first a twentieth
 *                                     of the disk, but no more than 1G
 *     compress                        the zstd level for blocks that shrink; 0: none
 *     compress_gain                   of a hundred bytes, how many a block must shrink by to be kept so. Where files
 *                                     whose paths differ only in their numbers did not shrink, few of their blocks are
 *                                     tried: at last one in 64
 *
 * When the cache is full, what was used last the longest ago makes room: small files whole, larger ones in pieces of some
 * 4 MiB. What is pinned stays, and counts; what does not fit beside it is not kept.
 */
#include "larder/fs.h"

#ifdef __cplusplus
extern "C" {
#endif

struct larder_cache;

/*
 * Open a cache directory, and make it (mode 0700) if missing. `options` as above, without a layer; NULL: the user's
 * cache, $LARDER_CACHE_DIR, else $XDG_CACHE_HOME/larder, else ~/.cache/larder. Handles of one directory share one store.
 * A max_size or min_free that is given holds when this returns, unless the cache cannot be written, or another process is in
 * the middle of that for more than 10 seconds: then it holds as soon as it can. A directory that cannot be used is no failure here.
 */
LARDER_API LARDER_WAITS int larder_cache_open(const char *const options[], struct larder_cache **out);
/* Does not wait: what was fetched is still stored, as long as the process lives; larder_cache_flush makes sure. exit()
 * waits up to 10 seconds for what is queued. */
LARDER_API void larder_cache_free(struct larder_cache *cache);

/* `next` seen through the cache: what cache:: makes. -EINVAL: `next` has a cache already, or an option is wrong; one is a
 * `dir` that is not this cache's. */
LARDER_API int larder_cache_fs(struct larder_cache *cache, struct larder_fs *next,
                               const char *const options[], struct larder_fs **out);

/* Return when everything that was fetched so far is in the store, and on the disk. -EROFS: the directory cannot be used. */
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
    uint64_t size_max, pinned_bytes; /* the cap; what of it is never evicted */
    uint64_t evictions, evicted_bytes;
    uint64_t refused; /* files or parts that were not kept, for want of room beside what is pinned */
    uint64_t damaged; /* blocks and records that were found damaged, and removed */
    uint64_t stale;   /* answers that were given though they were, since the place could not be asked */
    uint64_t
        disk_bytes; /* what its file takes of the disk: pages that are free, too, until they are pruned */
};
/* -EROFS: the directory cannot be used (the log says why). */
LARDER_API LARDER_WAITS int larder_cache_stats(struct larder_cache *cache, struct larder_cache_stats *out);

/*
 * Look at everything that is stored, in a child process, since a damaged page of the store may kill whoever reads it.
 * What is damaged is removed, and fetched again when it is wanted; a store whose pages are damaged is set aside and begun
 * anew. Others may use the cache meanwhile. It takes as long as the disk takes to read it all.
 *   -EROFS    the directory cannot be used
 *   -EBADMSG  it is damaged, and can only be read
 *   -EINTR    somebody ended the child
 * `out` may be NULL.
 */
struct larder_cache_verified {
    size_t size; /* in: the sizeof that the caller knows */
    uint64_t records,
        blocks;        /* that were looked at: of files, directories, listings and absences; of file data */
    uint64_t damaged;  /* of them; now removed */
    uint64_t repaired; /* of the store's own notes: they did not fit together, and do now */
    bool set_aside;    /* all of it was; the counts are as far as it went */
};
LARDER_API LARDER_WAITS int larder_cache_verify(struct larder_cache *cache,
                                                struct larder_cache_verified *out);

/* Forget what is stored of `path` and everything below it. `fs` is any handle on the place; NULL, with a path that is
 * NULL or "": all of every place. -EINVAL: a path without an `fs`. -EROFS: the directory cannot be used, or only read. */
LARDER_API LARDER_WAITS int larder_cache_clear(struct larder_cache *cache, struct larder_fs *fs,
                                               const char *path);

/* ---- one by one ---- */

enum larder_cache_kind {
    LARDER_CACHE_NOTHING = 0, /* nothing is known */
    LARDER_CACHE_FILE,        /* a file, with all, some or none of its bytes */
    LARDER_CACHE_DIRECTORY,   /* known to be one */
    LARDER_CACHE_LISTING,     /* a directory, with all its names */
    LARDER_CACHE_ABSENCE,     /* the place said that nothing is there */
};
struct larder_cache_entry {
    size_t size; /* in: the sizeof that the caller knows */
    enum larder_cache_kind kind;
    const char *url;   /* without secrets, and so the same for whatever user */
    const char *place; /* whose: the host, and a digest of what else decides which bytes come */
    const char *path;  /* below the root of the place */
    int64_t file_size; /* LARDER_SIZE_UNKNOWN; 0 for what is no file */
    int64_t mtime_ns;
    int64_t bytes_there;           /* of the file's */
    uint64_t blocks, blocks_there; /* of the file; 0 and 0: it lies in its record */
    uint64_t bytes_stored;         /* that all of it takes in the cache */
    const char *validator;         /* what a conditional read asks with; NULL: it cannot */
    bool strong;                   /* equal validators promise equal bytes */
    int64_t fetched_ns;  /* since 1970: when the place last sent it, or said that it has not changed */
    int64_t lifetime_ms; /* from then on it is fresh so long; INT64_MAX: for ever; -1: nobody says */
    const char
        *lifetime_by; /* who says so: "handle" (larder_fs_at), an option such as "ttl", "answer"; NULL */
    const char *rule; /* the pattern, where "ttl_rules" does */
    bool fresh;       /* a read would not ask the place */
    bool pinned;      /* by itself, or by a directory above */
    void *owner;
};
LARDER_API void larder_cache_entry_free(struct larder_cache_entry *entry);

/*
 * Why a read of `path` is answered as it is: what is known of it. `fs` is a handle through a cache, whose options and
 * ttl count, else -EINVAL. A directory is told of with its listing if there is one. Nothing known: LARDER_CACHE_NOTHING,
 * with what would hold for it. The entry is the caller's, for larder_cache_entry_free.
 */
LARDER_API LARDER_WAITS int larder_cache_why(struct larder_fs *fs, const char *path,
                                             struct larder_cache_entry *out);

/*
 * The same for all that is cached of `path` and below it, files first, then listings, each in the order of their paths;
 * `fs` is any handle on the place; NULL, as of larder_cache_clear: all of every place. Memory is that of some hundred entries. `fn` is called on the
 * caller's side with a borrowed entry; it may call any function of Larder; anything but 0 ends it, and is returned.
 */
typedef int larder_cache_entry_fn(void *arg, const struct larder_cache_entry *entry);
LARDER_API LARDER_WAITS int larder_cache_list(struct larder_cache *cache, struct larder_fs *fs,
                                              const char *path, larder_cache_entry_fn *fn, void *arg);

/*
 * Pin `path` and everything below it, whether it is stored already or will be: it is never evicted. It counts for the
 * cap all the same: what is pinned leaves so much less room for the rest. `fs` is any handle on the place, never NULL.
 */
LARDER_API LARDER_WAITS int larder_cache_pin(struct larder_cache *cache, struct larder_fs *fs,
                                             const char *path);
/* Take back the pins of `path` and of everything below it: how many there were. It stays pinned if a directory above is. */
LARDER_API LARDER_WAITS int larder_cache_unpin(struct larder_cache *cache, struct larder_fs *fs,
                                               const char *path);

/* Evict what was used last the longest ago, until no more than `size_max` bytes are left, or only what is pinned.
 * UINT64_MAX: what the cap allows. What is free then is given back to the disk, but for what others are just reading;
 * a file system that makes no holes in files keeps it, which is logged. Others may use the cache meanwhile. */
LARDER_API LARDER_WAITS int larder_cache_prune(struct larder_cache *cache, uint64_t size_max);

/* ---- whole trees ---- */

/*
 * Read a whole tree into the cache, so that it works offline: every listing, and every file that is not there fresh
 * already, or as the listing names it. `fs` is a handle through a cache, else -EINVAL. It goes on where an earlier one
 * ended, however that was. What another has changed comes anew; what is in no listing any more is asked for, and
 * forgotten if the place says that it is gone. The tree is pinned: nothing of it is evicted before larder_cache_unpin.
 *
 * All listings come first, then files, so that a tree that the cache has no room for is refused before any of it comes:
 * -ENOSPC, which names the size and the option. `out` is filled also when it fails. A directory that lists to the letter what one above it does is a link
 * back up, and left out. Files are read as streams: the handle's timeout does not count. A tree needs one request a
 * directory, or one in all where the place can tell it at once, and one a file. On return the store has it all on the disk.
 */
struct larder_mirror_options {
    size_t size;
    enum larder_on_error on_error;
    unsigned jobs_max; /* files under way at once; 0: 64 */
    /* Called for each file (without bytes), and each directory that failed, as a batch does; once more, with -ENOSPC, for
     * what was fetched and could not be kept. In a dry run for each file that would be fetched. May be NULL. */
    larder_item_fn *completed;
    /* In between, with the bytes that are there by now, and those of the whole tree (-1: unknown). May be NULL. */
    larder_progress_fn *progress;
    void *arg; /* of both */
    /* Patterns as of the option ttl_rules, below `path`; NULL-ended, or NULL. Only files that match one, or lie in a
     * directory that does; then, but none that match one of the others. Only what was fetched is pinned. */
    const char *const *include, *const *exclude;
    unsigned maxdepth; /* 1: the files of the directory itself; 0: no limit */
    /* These files below `path` instead of what listings name; none is asked for then. NULL: all. */
    const char *const *names;
    size_t name_count;
    uint64_t rate_max; /* bytes of files a second; 0: no limit */
    bool dry_run;      /* ask for listings only, and say what would be fetched */
};
struct larder_mirror_stats {
    size_t size;
    uint64_t files;         /* found in the tree */
    uint64_t bytes_fetched; /* over the network; in a dry run, those that would be, as far as listings tell */
    uint64_t bytes_present; /* there before, and fresh */
    uint64_t failed;        /* files and directories */
    uint64_t vanished;      /* files that the place has no longer */
};
LARDER_API LARDER_WAITS int larder_mirror(struct larder_fs *fs, const char *path,
                                          const struct larder_mirror_options *options,
                                          struct larder_mirror_stats *out);

/* ---- from machine to machine ---- */

/* A tree of a place: any handle on that, and a path. */
struct larder_cache_tree {
    struct larder_fs *fs;
    const char *path;
};
struct larder_archive_stats {
    size_t size;
    uint64_t entries; /* files, listings, and what else is known of a path */
    uint64_t files, listings;
    uint64_t bytes; /* of files */
    uint64_t pins;
    uint64_t known; /* import: entries of which the cache knew as much already, or more */
};
/*
 * Write what the cache has of some trees (`count` 0: all that it has), with their pins, as one archive: a stream of
 * zstd, which any machine can import. `take` is called on the caller's side with piece after piece (borrowed); anything
 * but 0 stops the export, and is returned, as of larder_cat_to. Memory is some MiB. What comes or goes meanwhile is in it,
 * or not. `out` may be NULL, here and below.
 */
LARDER_API LARDER_WAITS int larder_cache_export(struct larder_cache *cache,
                                                const struct larder_cache_tree trees[], size_t count,
                                                larder_take_fn *take, void *arg,
                                                struct larder_archive_stats *out);
/*
 * Take an archive into the cache, so that it can be read offline as where it came from. Nothing in it can damage the
 * cache or reach out of it, but what it says of a place is taken for what that said: import only what you trust so far.
 * What the cache knows of a path that is younger stays. `give` is called on the caller's side for the next bytes of the
 * archive: it returns how many it put at `buffer`, 0 at the end, or a negative status that ends the import and is
 * returned. Expect:
 *   -EBADMSG  it is damaged, cut, or no archive; entries that came before that are kept, and importing it again is fine
 *   -ENOTSUP  it is of a later version of Larder
 *   -ENOSPC   some of it does not fit beside what is pinned; the rest is kept
 * `out` is filled also when it fails, with what came before.
 */
typedef int64_t larder_give_fn(void *arg, void *buffer, size_t size);
LARDER_API LARDER_WAITS int larder_cache_import(struct larder_cache *cache, larder_give_fn *give, void *arg,
                                                struct larder_archive_stats *out);

#ifdef __cplusplus
}
#endif
#endif
