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
    MDB_txn *txn;
    unsigned removed;
    bool sweep; /* some version is dead */
};

/* Apply and commit `ops`, in one transaction if none says EDIT_AGAIN. `*sweep`: there are dead versions, to
 * be removed; out: there still are. When it fails, what was not committed is as before. */
int batch_run(struct store *store, struct packer *packer, struct op *ops, bool *sweep);

int batch_get(struct batch *batch, const struct key *key, MDB_val *value); /* LMDB's status */
int batch_put(struct batch *batch, const struct key *key, const void *data, size_t size);
/* Room for a value, to be filled before anything else is done. */
int batch_room(struct batch *batch, const struct key *key, size_t size, void **out);
int batch_remove(struct batch *batch, const struct key *key); /* not there: 0 */
int batch_put_number(struct batch *batch, const struct key *key, uint64_t number);
uint64_t batch_get_number(struct batch *batch, const struct key *key); /* not there: 0 */

/* No record names the version any more (or none will). What is too much for a transaction is swept later.
 * 0: there is none. */
int batch_drop_version(struct batch *batch, uint64_t version);
/* 0; -ENOENT (a damaged one is removed); -EEXIST: another path's, with the same key. */
int batch_find(struct batch *batch, const struct key *key, const struct place *place, const char *path,
               struct record *out);
int batch_write(struct batch *batch, const struct key *key, const struct place *place, const char *path,
                const struct record *record);
uint64_t batch_epoch(struct batch *batch);

#endif
