/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_FILE_READ_H
#define FS_FILE_READ_H
/*
 * The bytes of one file for an open one: at any offset, out of a buffer as far as they are there.
 *
 * All of this is on the caller's side: a request is one call of the table (fs/enter.h), so that what is cached or in
 * memory is read where the caller is. Only what is fetched ahead of him runs in a task of its own.
 *
 * What is asked for and kept is a *strategy's* business:
 *
 *   whole, none   file_read.c
 *   readahead     file_window.c   windows: the current one, and those ahead
 *   block         file_block.c    the last used of the file's blocks
 *   stream        file_stream.c   of a place that cannot send ranges: instead of all others but `whole`
 *
 * A get is *alone* (read), or one of several that run at once (pread): those change nothing but under `lock`.
 *
 * The first answer *pins* the file: its version, else its validator and size. A later one that differs is -ESTALE; with
 * `follow` it is the new pin, `epoch` moves on, and what was kept of an older epoch counts no more.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "fs/fs.h"

struct file_options;
struct file_reader;

struct get {
    char *buffer;
    size_t size;
    int64_t offset;
    bool alone;
    bool missed; /* out: the buffer alone did not do */
};

struct strategy {
    const char *name;
    int (*open)(struct file_reader *reader); /* the first answer */
    /* Some of the bytes, at least one but at the end: how many. */
    int64_t (*get)(struct file_reader *reader, struct get *get);
    /* Free what is kept. In a fork's child nothing is waited for, and of a `torn` buffer, at which another thread was
     * when it forked, nothing is touched. */
    void (*close)(struct file_reader *reader, bool torn);
};
extern const struct strategy strategy_readahead, strategy_block, strategy_whole, strategy_none,
    strategy_stream;

struct file_reader {
    /* const */
    struct larder_fs *fs; /* borrowed, as the paths are */
    const char *path;     /* as the user gave it */
    const char *full;
    const struct file_options *options;

    const struct strategy *strategy; /* a get that is alone may change it */
    void *state;                     /* the strategy's; mem */

    pthread_mutex_t lock; /* never held over a wait */
    bool pinned; /* under it, as what follows; `version` of a pinned reader that does not follow is const */
    char *version, *validator; /* mem */
    _Atomic int64_t size;      /* LARDER_SIZE_UNKNOWN */
    atomic_uint epoch;
    atomic_bool unranged; /* the place cannot send parts */

    _Atomic uint64_t hits, misses, requests, requested_bytes;
};

int file_read_open(struct file_reader *reader, struct larder_fs *fs, const char *path, const char *full,
                   const struct file_options *options);
void file_read_close(struct file_reader *reader);
/* In a fork's child, before its first use there. `torn`: another thread was using it. */
void file_read_after_fork(struct file_reader *reader, bool torn);

/* Up to `size` bytes: fewer at the end only. */
int64_t file_read_get(struct file_reader *reader, void *buffer, size_t size, int64_t offset, bool alone);
/* LARDER_SIZE_UNKNOWN where the place does not tell. */
int file_read_size(struct file_reader *reader, int64_t *size);

/* ---- for strategies ---- */

/* One request, of [start, end) as far as there is that much; *epoch (may be NULL) is what it is of. */
int file_read_fetch(struct file_reader *reader, int64_t start, int64_t end, struct sink *sink,
                    unsigned *epoch);
/* Turn to strategy_stream, for good. Alone. */
int64_t file_read_stream(struct file_reader *reader, struct get *get);
/* Straight into the caller's memory. */
int64_t file_read_direct(struct file_reader *reader, struct get *get);
/* offset + size, or the largest there is. */
int64_t file_read_add(int64_t offset, size_t size);
/* How far a request for [start, end) goes, where the size is known: nothing is asked for beyond. With `follow` more
 * may have come. */
int64_t file_read_end(const struct file_reader *reader, int64_t end);
/* What a request for [start, end) brought: `got` bytes, fewer than asked for at the end of the file only. */
int file_read_check_count(struct file_reader *reader, int64_t start, int64_t end, size_t got);
void file_read_count_request(struct file_reader *reader, int64_t start, int64_t end);
/* What file_read_fetch does around the call of the table: the terms to ask under, and what is learned of an answer. */
struct terms file_read_terms(const struct file_reader *reader);
int file_read_learn(struct file_reader *reader, const struct answer *answer, unsigned *epoch);

#endif
