/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TXN_PENDING_H
#define TXN_PENDING_H
/*
 * Small payloads on their way into the journal: kept in memory and written many at a time. What is pending at the commit
 * goes with its record, so that a transaction of small writes is one synced write.
 *
 *   PENDING ──▶ WRITING ──▶ WRITTEN        pending_take, pending_settle; a failure: back to PENDING
 */
#include "base/buffer.h"
#include "txn/journal.h"
#include "txn/member.h"

/* Write all that is pending. May block on a disk. */
int pending_write(struct larder_txn *txn);
/* Add a change whose payload is in its `bytes`, which from here on are the lock's. While there are too many, pending or
 * being written, the lot is written first: its failure is this one's, which is then not pending. */
int CO_FN pending_add(struct larder_txn *txn, struct change *change);
/* It is to be in the journal no more. Any thread. */
void pending_drop(struct larder_txn *txn, struct change *change);
/* A copy, while it is not written. -ENOENT: it is, or was dropped; without text. Any thread. */
int pending_copy(struct larder_txn *txn, const struct change *change, struct larder_bytes *out);

/* The journal has something of it, which is to be forgotten with it. */
void pending_note_written(struct larder_txn *txn);
/* All of it, when the transaction ends. */
void pending_forget(struct larder_txn *txn);

/* Edits that write all that is pending, and delete what was dropped since. */
struct pending_batch {
    struct list changes;
    struct edit *edits; /* mem */
    size_t count;
};
int pending_take(struct larder_txn *txn, struct pending_batch *batch);
/* The batch's edits are written (status 0), or not. Frees its memory; with `keep` the bytes stay with their changes. */
void pending_settle(struct larder_txn *txn, struct pending_batch *batch, int status, bool keep);

#endif
