/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_SCAN_H
#define CACHE_SCAN_H
/* Every record of a kind below a path, in the order of their keys, without holding a snapshot for long. */
#include "cache/store.h"

struct stored { /* valid during the call */
    const struct record *record;
    const char *path;     /* ended by NUL, unlike the record's */
    const char *identity; /* of its place; ended by NUL */
    uint64_t bytes;       /* that it takes in the store, with its blocks */
};
/* Negative, or anything but 0: the scan ends, and returns it. Nothing here may wait. */
typedef int scan_fn(void *arg, const struct stored *stored);

/*
 * Files (KEY_RECORD), listings or pins, of the path and below it; `place` NULL: everywhere, and `path` does not
 * matter. Damaged ones are passed over (and removed). What comes and goes meanwhile is seen or not. -EAGAIN: the
 * store cannot be read now.
 */
int scan_records(struct store *store, enum key_type type, const struct place *place, const char *path,
                 scan_fn *fn, void *arg);

/* The same piece by piece, each in a transaction of its own; `place` and `path` stay until the end. */
struct scan {
    struct store *store;
    enum key_type type;
    const struct place *place;
    const char *root;
    struct key from, prefix;
    bool
        one; /* nothing but what stands at `prefix` itself: the path's own record, if it is not among those below */
    bool end;
    char *text; /* room for a path and an identity */
    size_t text_size;
};
void scan_begin(struct scan *scan, struct store *store, enum key_type type, const struct place *place,
                const char *path);
/* Of up to `count` records. The next call goes on behind the last one that `fn` was told of; scan->end: there is none. */
int scan_some(struct scan *scan, unsigned count, scan_fn *fn, void *arg);
void scan_fini(struct scan *scan);

#endif
