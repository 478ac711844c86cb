/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_HANDLE_H
#define CACHE_HANDLE_H
/* The public handle on a store, for the files that look after it. */
#include "larder/cache.h"

#include "cache/edit.h"
#include "cache/hold.h"
#include "cache/lifetime.h"

struct larder_cache { /* const after open */
    char *dir;
    char **options;             /* "cache.key=value", NULL-ended: what every view of it is opened with */
    struct lifetimes lifetimes; /* out of them, as is … */
    struct packing packing;     /* … how what is imported is packed */
    struct hold hold;
};

/* Work that blocks: on the calling thread, from a task on a worker. The public edge: clears the error text, and makes
 * sure of it. `what` is for texts. */
int cache_blocking(work_fn *fn, void *arg, const char *what);
/* The store, to be read or (write) to be written; else -EROFS, with text. */
int cache_store(struct larder_cache *cache, bool write, struct store **out);

/* What a call is about: a path of a place, or everything. */
struct target {
    const struct larder_fs *fs; /* entered until target_end; NULL: none */
    struct place where;
    const struct place *place; /* NULL: of every place */
    char *path;                /* full; mem */
};
/* `fs` NULL: everything. `subject` is for texts. */
int target_begin(struct target *target, struct larder_fs *fs, const char *path, const char *subject);
void target_end(struct target *target); /* zero is fine */

#endif
