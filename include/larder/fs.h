/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LARDER_FS_H
#define LARDER_FS_H
/*
 * Filesystems: every place that files live in, with one set of operations.
 *
 * A handle (struct larder_fs) is an instance - connections, credentials, perhaps a cache in front - and a root that no
 * path leaves. Handles are cheap, and safe from any thread. The names are fsspec's: who knows cat_file, pipe and find
 * there knows them here.
 *
 *     URL                          a place
 *     memory://tree                this process's memory
 *     /data/tree, file:///data     local files
 *     https://host/tree            HTTP: reads, lists what servers index, and writes with the option http.write
 *     webdavs://host/tree          WebDAV over https; webdav:// over http
 *     cache::https://host/tree     the same through the persistent cache (cache.h)
 *     dir::URL                     URL as the root of the handle
 *
 * A URL of http or webdav is percent-decoded; file:// and s3:// are followed by the path as it is, "%20" and all.
 *
 * Paths are relative to the root, decoded ("a b", never "a%20b"), with "/" between their segments; slashes at either end
 * are allowed. At the front they mean nothing, and at the end that a directory is meant, where a place may have both
 * a file and a directory of one path (HTTP, S3), and as the rules of copies say: what is read or removed as a file by such a
 * path is -EISDIR then. "" is the root. An empty segment, "." and
 * ".." are -EINVAL. Nothing is a pattern, but for larder_glob.
 *
 * Options are a NULL-ended list of "key=value": "http.timeout=5" speaks to one layer of a chain, a bare "timeout=5" to
 * the innermost. An unknown layer or key, or a value of another type, is -EINVAL; what is said to a layer that the chain
 * lacks does nothing. `larder help options` prints all of them. NULL is none. What is not given there may come from the environment, LARDER_HTTP_TIMEOUT,
 * else from the user's configuration, $XDG_CONFIG_HOME/larder/config.json (else ~/.config/larder/config.json), which is
 * read once a process:
 *
 *     {"http": {"timeout": "30s", "max_connections": 8}, "cache": {"dir": "/var/cache/larder"}}
 *
 * A time is "5" or "0.5" (seconds), "200ms", "10m", "2h", "7d"; a size is "512" (bytes), "64K", "10M", "2G", by 1024.
 * A configuration that cannot be read, or says something that cannot be, fails larder_open. (fsspec: config.conf)
 *
 * A struct that tunes a call starts with `size`, which the caller sets to its sizeof; zero fields mean the default;
 * a NULL pointer to it means all defaults.
 */
#include <stdbool.h>
#include <stdint.h>

#include "larder/bytes.h"
#include "larder/loop.h"

#ifdef __cplusplus
extern "C" {
#endif

struct larder_fs;

/* ---- handles ---- */

/*
 * Open a URL or a chain; `loop` NULL is the one in use (loop.h). No server is asked.
 *   path not NULL   `*fs` is the whole place (the host, the disk), `*path` is what the URL names in it, freed with
 *                   larder_free (fsspec: url_to_fs)
 *   path NULL       the root of `*fs` is what the URL names
 * -EINVAL: not a URL, or an option is wrong; -ENOTSUP: nobody knows the protocol.
 */
LARDER_API int larder_open(struct larder_loop *loop, const char *url, const char *const options[],
                           struct larder_fs **fs, char **path);

/* The same instance under another root, relative to this one, with other defaults: options marked "per handle", such
 * as timeout and ttl, for one call or many. `root` NULL: the same. A timeout is of each file, and each listing, of a call,
 * however many it has; what bounds a call as a whole is larder_sync. */
LARDER_API int larder_fs_at(struct larder_fs *fs, const char *root, const char *const options[],
                            struct larder_fs **out);
LARDER_API struct larder_fs *larder_fs_ref(struct larder_fs *fs);
/* The last free of the last handle closes the instance. NULL is fine. Does not wait. */
LARDER_API void larder_fs_free(struct larder_fs *fs);

/*
 * What is opened alike is one instance, with one pool of connections, as long as there is a handle on it: alike are the
 * layers, the place (https://host and http://host are two), every option, whoever gave it, and the loop. With the option
 * skip_instance_cache=true a handle has an instance that no other is given. (fsspec: the instance cache, which keeps
 * what nobody holds any more)
 */
LARDER_API bool larder_fs_is_same(const struct larder_fs *one, const struct larder_fs *other);
/* A handle on the whole place of the instance that was opened last for a protocol, or view ("cache"), of all that are
 * still open. -ENOENT: none is. (fsspec: current) */
LARDER_API int larder_fs_current(const char *protocol, struct larder_fs **out);
/* What is opened from now on is not the same as anything that was opened before. (fsspec: clear_instance_cache) */
LARDER_API void larder_clear_instance_cache(void);

/*
 * With the option asynchronous=true larder_open starts nothing and opens nothing: the filesystem is open from a connect
 * to a disconnect, as a program says, and its connections are shared with no other. Until then every call on it is
 * -ENOTCONN, and its capabilities are none; larder_fs_at and larder_fs_url work. For any other filesystem both do nothing.
 *   connect      -EBUSY: it is being disconnected; else what opening it met. Does not wait for a server
 *   disconnect   calls are refused from now on; those under way are waited for; then everything is closed, sockets too,
 *                and this returns. Not to be called inside such a call (in a callback): it would wait for itself.
 *                -ENOTCONN: it is not connected. When it is cancelled, it is open again
 * Where several have connected one instance, the last disconnect counts. A filesystem that is freed is closed as well,
 * but nobody waits for that. In a fork's child it is -ECHILD. (fsspec: asynchronous=True, set_session, session.close)
 */
LARDER_API int larder_fs_connect(struct larder_fs *fs);
LARDER_API LARDER_WAITS int larder_fs_disconnect(struct larder_fs *fs);

/* Do this filesystem's operations run on a loop (http, every view), or where the caller is (memory, local)? */
LARDER_API bool larder_fs_is_async(const struct larder_fs *fs);
/* The URL of `path` under this handle, with no secret in it. Freed with larder_free. */
LARDER_API int larder_fs_url(const struct larder_fs *fs, const char *path, char **url);

/*
 * Write a handle down: its chain and place, its root, the options of all layers, whoever gave them, and what holds for
 * its calls. One line, with keys in order: the same for the same handle. `*text` is freed with larder_free.
 *
 *     {"handle":{"timeout":5000},"larder":1,"left_out":["http.password"],"options":{"http":{"timeout":"5",
 *     "user":"u"}},"root":"tree","url":"https://host/"}
 *
 * `secrets` false leaves out what is marked so: passwords, tokens, headers, and the query of a URL, in which a signature
 * may be. from_json opens what a text says, on `loop` as larder_open; `options` count more than the text, and have to
 * give the secrets that it left out, if neither the environment nor the configuration does. In one process, that is the
 * same instance again. (fsspec: to_json, from_json)
 *   -EINVAL   it is no such text
 *   -EACCES   a secret that it leaves out is missing
 *   -ENOTSUP  of another version, or of a protocol that nobody knows
 */
LARDER_API int larder_fs_to_json(const struct larder_fs *fs, bool secrets, char **text);
LARDER_API int larder_fs_from_json(struct larder_loop *loop, const char *text, const char *const options[],
                                   struct larder_fs **out);

/* One option that a layer knows. All of it is static. */
struct larder_option {
    size_t size;
    const char *layer, *name;
    const char *fallback; /* NULL: unset */
    const char *help;
    bool secret;        /* never in a text, a log, a URL */
    bool per_handle;    /* larder_fs_at may change it */
    const char *origin; /* who gives it a value now: "the environment", a file's name; NULL: nobody */
};
/* The options of everything that is built in, one for each index from 0 on; -ENOENT: no more. */
LARDER_API int larder_option_at(size_t index, struct larder_option *out);

/* What an instance can do. A false says that the operations it concerns are -ENOTSUP, or behave as described. */
struct larder_capabilities {
    bool list;                 /* directories can be listed (http: where the server makes an index) */
    bool write;                /* pipe, rm, mkdir */
    bool create_only;          /* LARDER_CREATE is decided by the place, not by a look beforehand */
    bool if_match;             /* larder_replace_file is, likewise */
    bool real_directories;     /* an empty directory exists; else directories are implied by what they hold */
    bool parents_required;     /* writing needs the parent directory; else it is made or implied */
    bool persistent;           /* what is written outlives the process */
    uint32_t remove_count_max; /* files that one request may remove */
    bool links; /* what is listed as a directory may be a link to one, which rm does not follow */
    bool copy;  /* files are copied within the place, without their bytes passing through this machine */
    bool stage; /* large files are written in parts, of these sizes and so many (0: no limit); else spooled */
    bool sign;  /* larder_sign */
    bool touch; /* larder_touch of what is there, with its content left alone */
    uint64_t part_size_min, part_size_max;
    uint32_t part_count_max;
};
/* Borrowed from `fs`. */
LARDER_API const struct larder_capabilities *larder_fs_capabilities(const struct larder_fs *fs);

/* ---- what a path is ---- */

enum larder_type { LARDER_FILE = 1, LARDER_DIRECTORY = 2, LARDER_OTHER = 3 };
#define LARDER_SIZE_UNKNOWN (-1)
struct larder_info {
    const char
        *name; /* one segment in a listing; the path as asked from larder_info; below the root in a find */
    enum larder_type type;
    int64_t size; /* bytes, or LARDER_SIZE_UNKNOWN; 0 for a directory */
    /* Since 1970, as exactly as the place says; 0: unknown. A listing over http may have no more than a minute and no
     * time zone, read as UTC: larder_info asks for the file's own. */
    int64_t mtime_ns;
    int64_t created_ns; /* the same */
    const char
        *version; /* an opaque strong validator: equal versions of a path are equal bytes. NULL: none known */
    void *owner;  /* what larder_info_free frees; NULL in a listing, whose own free does it */
};
LARDER_API void larder_info_free(struct larder_info *info);

/* What is at `path`. -ENOENT: nothing; -ENOTDIR: nothing either, since it would be below a file, where the place tells
 * that. Every other error is a failure to find out. (fsspec: info) */
LARDER_API LARDER_WAITS int larder_info(struct larder_fs *fs, const char *path, struct larder_info *out);
/* 1, 0, or a negative failure to find out: a server that answers 503 does not say "no". */
LARDER_API LARDER_WAITS int larder_exists(struct larder_fs *fs, const char *path);
LARDER_API LARDER_WAITS int larder_isfile(struct larder_fs *fs, const char *path);
LARDER_API LARDER_WAITS int larder_isdir(struct larder_fs *fs, const char *path);

/* Is there anything of this name, also a link that leads nowhere? As larder_exists. (fsspec: lexists) */
LARDER_API LARDER_WAITS int larder_lexists(struct larder_fs *fs, const char *path);

/* The bytes of a file, LARDER_SIZE_UNKNOWN where the place does not tell without reading it; 0 for a directory. (fsspec:
 * size) */
LARDER_API LARDER_WAITS int larder_size(struct larder_fs *fs, const char *path, int64_t *size);

/* ---- listings ---- */

struct larder_entries {
    struct larder_info *info;
    size_t count;
    void *owner;
};
LARDER_API void larder_entries_free(struct larder_entries *entries);

/* The entries of a directory, sorted by name in byte order; a file is listed as itself. -ENOENT: missing. */
LARDER_API LARDER_WAITS int larder_ls(struct larder_fs *fs, const char *path, struct larder_entries *out);

struct larder_find_options {
    size_t size;
    unsigned maxdepth; /* 1: the entries of the directory itself; 0: no limit */
    bool dirs;         /* directories too, but not the root itself */
    unsigned jobs_max; /* listings under way at once; 0: 16 */
    /* Only names and types are wanted. What else a place would have to ask for is unknown then: size
     * LARDER_SIZE_UNKNOWN, times 0, version NULL. On a local disk this saves a system call an entry. */
    bool names_only;
    /* Of larder_find and larder_du: told of each directory that cannot be listed (`dir` as of a walk; larder_error() says
     * why), which is then left out. Anything but 0 ends the call, which returns it. NULL: such a directory fails the call.
     * Of larder_walk_open it is -EINVAL: larder_walk_next tells of each itself. */
    int (*failed)(void *arg, const char *dir, int status);
    void *arg;
};
/*
 * Every file below `path`, sorted by path; names are relative to `path`. A file is found as "" below itself. A missing
 * directory has nothing below it: 0 entries, as in fsspec; a directory that cannot be listed is a failure, unless
 * `failed` takes it. Offline that is one whose listing is not in the cache (-ENONET), as after a mirror of some levels.
 * A link that leads nowhere, or to a directory on its own path, is LARDER_OTHER, and nobody goes into it; more than 512
 * levels are -ELOOP.
 */
LARDER_API LARDER_WAITS int larder_find(struct larder_fs *fs, const char *path,
                                        const struct larder_find_options *options,
                                        struct larder_entries *out);

/*
 * The streaming form of ls and find: memory is the listings at hand and the directories still to do, whatever the size
 * of the tree. A walk is data, not a task: between calls nothing runs, and an abandoned one costs its memory. One call
 * at a time. What is below a directory comes after it. Nothing is sorted; a place that can tell a whole tree at once
 * (WebDAV's Depth: infinity) tells directories in between their parents' entries.
 */
struct larder_walk;
LARDER_API int larder_walk_open(struct larder_fs *fs, const char *path,
                                const struct larder_find_options *options, struct larder_walk **out);
/* 1 and the next entry: its directory relative to the walk's root ("" at the top), and what it is; both borrowed until
 * the next call. 0 at the end. On failure the walk may go on: the directory that failed is left out. */
LARDER_API LARDER_WAITS int larder_walk_next(struct larder_walk *walk, const char **dir,
                                             const struct larder_info **entry);
/* Do not go into the directory just returned. */
LARDER_API void larder_walk_prune(struct larder_walk *walk);
LARDER_API void larder_walk_free(struct larder_walk *walk);

/*
 * The bytes of all files that larder_find finds below `path`; a file's own. Sizes that listings leave out are asked for,
 * concurrently; one that nobody knows is -ENODATA. In bounded memory, whatever the size of the tree. Missing: 0.
 * (fsspec: du)
 */
LARDER_API LARDER_WAITS int64_t larder_du(struct larder_fs *fs, const char *path,
                                          const struct larder_find_options *options);

/*
 * What comes of paths that are patterns, or directories to go into: names are whole paths, relative to the handle's
 * root, sorted, each once. A path that is none of both stands for itself, and nobody is asked whether it exists: its
 * `type` is 0. -ENOENT: nothing at all. (fsspec: expand_path)
 */
struct larder_expand_options {
    size_t size;
    bool glob;      /* the paths are patterns, as of larder_glob */
    bool recursive; /* directories, with all below them; then what does not exist is left out */
    unsigned
        maxdepth; /* 1: a directory's own entries; what a pattern matched counts as one level; 0: no limit */
    unsigned jobs_max; /* listings under way at once; 0: 16 */
};
LARDER_API LARDER_WAITS int larder_expand_path(struct larder_fs *fs, const char *const paths[], size_t count,
                                               const struct larder_expand_options *options,
                                               struct larder_entries *out);

struct larder_glob_options {
    size_t size;
    unsigned maxdepth; /* how many levels the first "**" and what is behind it may take; 0: no limit */
    bool files_only;   /* else directories that match are returned too */
    unsigned jobs_max; /* listings under way at once; 0: 16 */
    bool names_only;   /* as of larder_find_options */
};
/*
 * What a pattern matches, sorted; names are whole paths, relative to the handle's root.
 *   *   any name, hidden ones too; within a name any part of it     [a-z] [!a-z]   one character that is, is not, in a set
 *   ?   one character                                               **   between slashes: any number of directories
 * A "/" behind the pattern: only directories, which are returned without it. A last "**" behind a
 * slash matches the directory in front of that as well. A pattern without * ? [ is a path, and matches if that exists.
 * What does not exist does not match: 0 entries; what cannot be found out is a failure. Only directories that could
 * lead to a match are listed. -EINVAL: a "**" is part of a name, or it is no path ("a//b", ".."). (fsspec: glob)
 */
LARDER_API LARDER_WAITS int larder_glob(struct larder_fs *fs, const char *pattern,
                                        const struct larder_glob_options *options,
                                        struct larder_entries *out);
/* The streaming form, for larder_walk_next, whose directories are then relative to the handle's root. */
LARDER_API int larder_glob_open(struct larder_fs *fs, const char *pattern,
                                const struct larder_glob_options *options, struct larder_walk **out);
/* The pattern that matches only this path. Freed with larder_free. (Python: glob.escape) */
LARDER_API int larder_glob_escape(const char *path, char **pattern);

/* ---- whole files ---- */

/*
 * Read a range of the file at `path`; all of it when `range` is NULL. `*out` is owned by the caller
 * (larder_bytes_free). -ENOENT: missing; -EISDIR: a directory; -ESTALE: it changed while it was read.
 * (fsspec: cat_file, read_bytes)
 */
LARDER_API LARDER_WAITS int larder_cat_file(struct larder_fs *fs, const char *path,
                                            const struct larder_range *range, struct larder_bytes *out);
/* The first, or the last, `size` bytes of a file; all of one that is shorter. (fsspec: head, tail) */
LARDER_API LARDER_WAITS int larder_head(struct larder_fs *fs, const char *path, size_t size,
                                        struct larder_bytes *out);
LARDER_API LARDER_WAITS int larder_tail(struct larder_fs *fs, const char *path, size_t size,
                                        struct larder_bytes *out);
/* A range into the caller's memory, and without allocation when it is cached. Returns the count of bytes; -ENOSPC:
 * `size` is too small, and `buffer` holds nothing of meaning. */
LARDER_API LARDER_WAITS int64_t larder_cat_into(struct larder_fs *fs, const char *path,
                                                const struct larder_range *range, void *buffer, size_t size);
/*
 * The same as a stream: hand the bytes to `take` in order, a piece (borrowed, up to 1 MiB) at a time, while the next one
 * is fetched; never whole in memory. `take` is called on the caller's side, may be slow, and may call any function of
 * Larder; anything but 0 stops the reading, and is returned. All pieces are of one version (else -ESTALE), but together
 * they are the range only when the count of bytes is returned. The handle's timeout does not count.
 */
typedef int larder_take_fn(void *arg, const void *data, size_t size);
LARDER_API LARDER_WAITS int64_t larder_cat_to(struct larder_fs *fs, const char *path,
                                              const struct larder_range *range, larder_take_fn *take,
                                              void *arg);
/*
 * The records that begin in [offset, offset + length): from behind the first delimiter at or after `offset` (0: from the
 * start) to behind the first one at or after offset + length, or to the file's end. So blocks that follow each other
 * have each record once. Without a delimiter (size 0), the range itself. (fsspec: read_block)
 */
LARDER_API LARDER_WAITS int larder_read_block(struct larder_fs *fs, const char *path, int64_t offset,
                                              int64_t length, const void *delimiter, size_t delimiter_size,
                                              struct larder_bytes *out);
/* How far it is: bytes so far, and the size (-1: not known). On the caller's side, now and then, and at the end. */
typedef void larder_progress_fn(void *arg, int64_t done, int64_t total);

enum larder_write_flags {
    LARDER_CREATE = 1, /* -EEXIST when there is something already */
    LARDER_PARENTS =
        2, /* make missing parent directories; plain HTTP leaves that to the server, without it as well,
                         * and -EIO is what one says that makes none (nginx without create_full_put_path) */
    LARDER_SYNC =
        4, /* on the disk when the call returns: fsync of file and directory (local), and of those in
                         * which LARDER_PARENTS made others */
};
/* Make a file of these bytes, replacing what was there at one moment. -ENOENT: no parent (capability
 * parents_required); -EISDIR: a directory is there. (fsspec: pipe_file, write_bytes) */
LARDER_API LARDER_WAITS int larder_pipe_file(struct larder_fs *fs, const char *path, const void *data,
                                             size_t size, unsigned flags);
/* The same, only in place of the version that a larder_info has: -ESTALE when it is another by now, or gone. */
LARDER_API LARDER_WAITS int larder_replace_file(struct larder_fs *fs, const char *path, const void *data,
                                                size_t size, const char *version, unsigned flags);
/*
 * Make an empty file, or one that is there empty; without `truncate` its bytes stay, and its modification time becomes
 * now (-ENOTSUP where the place has no way to say so). (fsspec: touch)
 */
LARDER_API LARDER_WAITS int larder_touch(struct larder_fs *fs, const char *path, bool truncate);
/* Remove a file: -ENOENT when missing, -EISDIR for a directory. */
LARDER_API LARDER_WAITS int larder_rm_file(struct larder_fs *fs, const char *path);

/* ---- directories ---- */

/* -EEXIST when something is there; -ENOENT when a parent is missing and `parents` is false. */
LARDER_API LARDER_WAITS int larder_mkdir(struct larder_fs *fs, const char *path, bool parents);
/* With its parents; -EEXIST when it is there and `exist_ok` is false, or when a file is in the way. */
LARDER_API LARDER_WAITS int larder_makedirs(struct larder_fs *fs, const char *path, bool exist_ok);
/* Only an empty one: -ENOTEMPTY; -ENOTDIR: a file. */
LARDER_API LARDER_WAITS int larder_rmdir(struct larder_fs *fs, const char *path);

/* ---- many at once ---- */

struct larder_item {
    const char *path;                 /* in */
    const struct larder_range *range; /* in; NULL: everything */
    struct larder_bytes bytes;        /* cat: out, owned by the caller; pipe: in, borrowed */
    int status;                       /* out: 0, -ENOENT, …; -ECANCELED if it was never tried */
};
/* What a failing item does to the call. In every mode each item has its own status. */
enum larder_on_error {
    LARDER_RAISE = 0,  /* the first that fails, or is missing, stops the others and is the call's status */
    LARDER_OMIT = 1,   /* the same, but what is only missing (also -ENOTDIR: below a file) is passed over */
    LARDER_RETURN = 2, /* all are tried; the call returns how many did not succeed */
};
/*
 * Called for every item that was tried, in the order of completion, on the caller's side: in the calling task, or on
 * the calling thread while it waits. It may take item->bytes (and zero them), and call any function of Larder.
 * Anything but 0 stops the batch, which returns it; no item is told after that. Then, as at any end, the bytes of all
 * items whose status is 0 are the caller's to free. larder_error() speaks of this item.
 */
typedef int larder_item_fn(void *arg, struct larder_item *item);
struct larder_batch {
    size_t size;
    enum larder_on_error on_error;
    unsigned jobs_max;  /* requests under way at once; 0: 64 */
    uint64_t bytes_max; /* with `completed`: bytes received that it has not been given yet; 0: 256 MiB */
    larder_item_fn *completed; /* may be NULL: then all results are held until the call returns */
    void *arg;
    /* larder_cat_ranges */
    int64_t gap_max;   /* merge ranges of a path with at most so many bytes between them; <0: never merge */
    int64_t block_max; /* a merged request is no larger, unless one range alone is; 0: 16 MiB */
};
/*
 * Read many files, or ranges of files, concurrently. All items get a status; those that succeeded have their bytes.
 * 0, or as on_error says. Items whose bytes are in the cache are answered on the calling thread before any other is
 * asked for. (fsspec: cat)
 */
LARDER_API LARDER_WAITS int larder_cat(struct larder_fs *fs, struct larder_item *items, size_t count,
                                       const struct larder_batch *batch);
/*
 * The same with fewer requests: ranges of one path that touch or overlap, or lie at most gap_max apart, become one
 * request of up to block_max bytes, in whatever order they are and however often they repeat. Each item gets its own
 * bytes. Paths are one when they are spelled alike. A range that counts from the end or goes on to it (a bound is
 * negative or LARDER_TO_END) and a whole file are requests of their own. Looks come first: only what is not cached is
 * merged.
 *
 * A merged request succeeds or fails as one: all its items get its status, and the handle's timeout is the request's.
 * With `completed`, bytes_max counts what was received, gaps and all. on_error is LARDER_RAISE by default, as in every
 * batch; fsspec's is LARDER_RETURN. (fsspec: cat_ranges, merge_offset_ranges)
 */
LARDER_API LARDER_WAITS int larder_cat_ranges(struct larder_fs *fs, struct larder_item *items, size_t count,
                                              const struct larder_batch *batch);
/* The size of each path, as larder_size: sizes[i] of items[i], LARDER_SIZE_UNKNOWN also where that failed. Of items,
 * only path and status count. (fsspec: sizes) */
LARDER_API LARDER_WAITS int larder_sizes(struct larder_fs *fs, struct larder_item *items, size_t count,
                                         int64_t sizes[], const struct larder_batch *batch);
/* Write many files concurrently; `flags` as for larder_pipe_file, and LARDER_PARENTS makes each directory once. What
 * was written before a failure stays. (fsspec: pipe) */
LARDER_API LARDER_WAITS int larder_pipe(struct larder_fs *fs, struct larder_item *items, size_t count,
                                        unsigned flags, const struct larder_batch *batch);
/* Remove many files (of items, only path and status count), as many at a time as the place takes in one request
 * (capability remove_count_max): S3 does not say which of a thousand were missing, and they count as removed. */
LARDER_API LARDER_WAITS int larder_rm_files(struct larder_fs *fs, struct larder_item *items, size_t count,
                                            const struct larder_batch *batch);
struct larder_rm_options {
    size_t size;
    bool glob;      /* the paths are patterns, as of larder_glob; directories match with `recursive` alone */
    bool recursive; /* directories, with all that is below them */
    unsigned
        maxdepth; /* 1: a directory's own entries; what a pattern matched counts as one level; 0: no limit */
    enum larder_on_error on_error;
    unsigned jobs_max; /* requests under way at once; 0: 64 */
};
/*
 * Remove files, and with `recursive` directories; of a link only itself. Nothing is removed before all is found. With a
 * maxdepth, directories that hold more stay; the root of the handle stays in any case. -ENOENT: a path is missing, or a
 * pattern matches nothing; -EISDIR: a directory was named without `recursive`. (fsspec: rm)
 */
LARDER_API LARDER_WAITS int larder_rm_paths(struct larder_fs *fs, const char *const paths[], size_t count,
                                            const struct larder_rm_options *options);
/* Remove a file, or with `recursive` a directory and all below it; of a link only itself. -ENOENT: missing. (fsspec: rm)
 */
LARDER_API LARDER_WAITS int larder_rm(struct larder_fs *fs, const char *path, bool recursive);

#ifdef __cplusplus
}
#endif
#endif
