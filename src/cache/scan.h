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

#endif
