/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_BATCH_H
#define CACHE_BATCH_H
/*
 * One of the writer's transactions, and what all edits are made of. Failures are statuses without a text, and
 * the store's: they end the batch. What was found is valid until the next thing is put or removed.
 */
#include "cache/edit.h"

#define REMOVE_COUNT_MAX 20000 /* blocks or records a transaction; LMDB bounds the pages that one may touch */

struct batch {
    struct store *store;
    struct packer *packer;
    struct op *todo; /* the first that is not on the disk */
    MDB_txn *txn;
    unsigned removed;
    bool wrote; /* something was put or removed */
    bool sweep; /* some version is dead */
    /* the file's length (length.h) */
    bool refusing;     /* nothing is kept; changes are noted */
    bool is_long;      /* as long as it may be: only free pages are used */
    uint64_t page_max; /* the last page that it may have */
    unsigned probed, tries;
    /* as the transaction has them; the clock is written back with it */
    struct limits limits;
    struct clock clock;
    uint64_t page_size;
    uint64_t size_max;                        /* what of the limit the disk allows now */
    uint64_t evicted, evicted_bytes, refused; /* by the transaction */
};

/* batch_run.c. Apply and commit `ops`, in one transaction if none says EDIT_AGAIN. `*sweep`: there are dead versions, to
 * be removed; out: there still are. When it fails, what was not committed is as before. */
int batch_run(struct store *store, struct packer *packer, struct op *ops, bool *sweep);

int batch_get(struct batch *batch, const struct key *key, MDB_val *value); /* LMDB's status */
/* Not of what lies in the store. -EFBIG, here and below: the file would become too long (length.h). */
int batch_put(struct batch *batch, const struct key *key, const void *data, size_t size);
/* Room for a value, to be filled before anything else is done. */
int batch_room(struct batch *batch, const struct key *key, size_t size, void **out);
/* Does a value have pages of its own, or does it lie in the tree's? */
bool batch_has_own_pages(const struct batch *batch, const struct key *key, size_t size);
int batch_remove(struct batch *batch, const struct key *key); /* not there: 0 */
int batch_put_number(struct batch *batch, const struct key *key, uint64_t number);
uint64_t batch_get_number(struct batch *batch, const struct key *key); /* not there: 0 */
uint64_t value_number(const MDB_val *value);                           /* no number: 0 */
/* A value of a struct's size; of another, or not there: it is left as it is. */
void batch_get_struct(struct batch *batch, const char *name, void *out, size_t size);
/* The first key at or behind *from that begins as `prefix`: *from is set to it. -ENOENT. */
int batch_next(struct batch *batch, struct key *from, const struct key *prefix, MDB_val *value);

/* Blocks of the version are put that no record names yet. */
int batch_note_staged(struct batch *batch, uint64_t version);
bool batch_is_staged(struct batch *batch, uint64_t version);
/* No record names the version any more (or none will). What is too much for a transaction is swept later.
 * 0: there is none. */
int batch_drop_version(struct batch *batch, uint64_t version);
/* One dead version, as far as the bound goes. EDIT_AGAIN: there may be more. */
int batch_sweep_one(struct batch *batch);
/* 0; -ENOENT (a damaged one is removed); -EEXIST: another path's, with the same key. */
int batch_find(struct batch *batch, const struct key *key, const struct place *place, const char *path,
               struct record *out);
/* In place of `before` (a copy of its head; NULL: nothing), whose unit it takes over. */
int batch_write(struct batch *batch, const struct key *key, const struct place *place, const char *path,
                const struct record *record, const struct record_head *before);
/* A record that cannot be read, with its unit and its blocks if they can be told. */
int batch_remove_damaged(struct batch *batch, const struct key *key, const MDB_val *value);
/* A record with its unit and its blocks. */
int batch_remove_record(struct batch *batch, const struct key *key, const struct record_head *head);
uint64_t batch_epoch(struct batch *batch);
int batch_count_epoch(struct batch *batch);
bool batch_is_pinned(struct batch *batch, const struct place *place, const char *path);
int batch_record_is_pinned(struct batch *batch, const struct record *record, bool *out); /* -ENOMEM */

/* Every record of a kind at or below a path, while they are changed or removed. */
struct below {
    enum key_type type;
    const char *path;
    struct key from, prefix;
    bool exact; /* everything that begins as `prefix` is below */
    bool self;  /* the path's own record is still to come */
};
void below_begin(struct below *below, enum key_type type, const struct place *place, const char *path);
/* -ENOENT: no more. A damaged one has id 0. */
int below_next(struct batch *batch, struct below *below, struct record *out);
/* To the next one, so that below_next does not tell of the same again. */
void below_step(struct below *below);

/* ---- cap.c ---- */
/* Evict until `more` bytes fit as well. -ENOSPC: they cannot; EDIT_AGAIN: that is too much for one transaction. */
int batch_make_room(struct batch *batch, uint64_t more);
int batch_read_limits(struct batch *batch);

#endif
