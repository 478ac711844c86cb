/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_EDIT_H
#define CACHE_EDIT_H
/*
 * What may be done to the store: operations for the writer's queue. Memory that an operation points to stays
 * as it is until its `done`.
 */
#include "cache/store.h"

struct ZSTD_CCtx_s;

/*
 * How hard to try: zstd's level, 0: not at all; and of a hundred bytes, how many must be saved. What did not shrink costs
 * little: files of a place whose paths differ only in their numbers are of one kind, and the more blocks of a kind did
 * not shrink, one after the other, the fewer are tried: at last one in 64.
 */
struct packing {
    int level, gain_percent;
    uint64_t kind;
};
struct packing packing_of(struct packing packing, const struct place *place, const char *path);
/* The writer's way to pack blocks; zero to begin. */
#define PACKED_KINDS 256 /* that a packer remembers, each in its slot */
struct packer {
    struct ZSTD_CCtx_s *context;
    unsigned char *scratch;
    struct packed_kind *kinds;
};
struct packed_kind {
    uint64_t number;
    unsigned failures, pass; /* in a row; how many are not tried now */
};
void packer_fini(struct packer *packer);
/*
 * Pack `size` bytes where that saves a page and what `packing` says; else they are left as they are. Returns
 * how, and *out: the packed bytes, until the next call. Less than 8 KiB are never packed: a hit must cost
 * microseconds.
 */
enum codec pack(struct packer *packer, struct packing packing, const void *data, size_t size,
                const void **out, size_t *out_size);

/* From apply: commit what there is, and call it again. */
#define EDIT_AGAIN 1
/* From what makes room: there is none, whatever else goes. */
#define EDIT_FULL 2

/* A change is known to have been for so long, whatever is evicted; and no read that took longer is kept where nothing
 * is known. */
#define TOMBSTONE_NS (24 * 3600 * 1000000000LL)

/* Keep what a place said of a path, and bytes of it. */
struct put {
    struct op op;
    enum key_type type;
    struct place place;
    const char *path;
    struct seen seen;
    bool old;             /* what the place said some time ago: `seen` is of now all the same */
    struct record record; /* head.state, the answer, answered_ns; size is known if there are bytes */
    /* Bytes [start, start + size) of the file; start at a block, the end at a block or the file's. */
    const void *data;
    int64_t start;
    size_t size;
    bool whole;      /* they, and what is staged, are the whole file */
    uint64_t staged; /* a version that has the blocks before `start`; 0: none */
    struct packing packing;
};
int edit_put(struct op *op, struct batch *batch);

/* Blocks of a version that no record names yet: a `put` with this `staged` follows, or a drop. */
struct stage {
    struct op op;
    uint64_t version;
    const void *data;
    int64_t start;
    size_t size; /* whole blocks */
    struct packing packing;
};
int edit_stage(struct op *op, struct batch *batch);
/* Queue the removal of a staged version. */
void edit_drop(struct store *store, uint64_t version);

/* The place said that the record `id` is still right. */
struct freshen {
    struct op op;
    enum key_type type;
    struct place place;
    const char *path;
    uint64_t id;
    int64_t answered_ns, fresh_ms, stale_if_error_ms;
};
int edit_freshen(struct op *op, struct batch *batch);

/* change.c */
struct change {
    struct op op;
    struct store *store;
    struct place place; /* identity NULL: all */
    uint64_t id;
    bool tree, all_parents;
    struct list node; /* of a tree: in writer.trees */
    char *path;
    char *parent; /* room for the paths above it */
    char text[];  /* the identity, the path, the room */
};
int edit_change(struct op *op, struct batch *batch);
void changes_fini(struct writer *writer);

/* repair.c: look at what stands at the key again, and put right what is wrong: what is damaged goes, and with it what
 * belongs to it; units and their order follow what they are of. Queued; without memory it stays, and is found again. */
void edit_repair(struct store *store, const struct key *key);
/* The same for the sums of `clock`. */
void edit_recount(struct store *store);
/* A page is damaged, as a reader has found: the writer sets the store aside (damage.h). */
void edit_condemn(struct store *store);

#endif
