/* SPDX-License-Identifier: Apache-2.0 */
#include "txn/pending.h"

#include <errno.h>

#include "base/error.h"
#include "base/seams.h"
#include "txn/plan.h"

#define PENDING_MAX  ((size_t)8 << 20)
#define PENDING_COST 512 /* of a change's own memory */

static size_t cost_of(const struct change *change)
{
    return change->payload.bytes.size + PENDING_COST;
}

static struct change *change_at(struct list *node)
{
    return container_of(node, struct change, payload.node);
}

/* ---- under the lock ---- */

static void enqueue(struct larder_txn *txn, struct change *change)
{
    change->payload.phase = PHASE_PENDING;
    list_push(&txn->pending, &change->payload.node);
    txn->pending_size += cost_of(change);
}

/* Without memory to note it, it stays in the journal until the transaction is forgotten. */
static void note_dropped(struct larder_txn *txn, uint64_t id)
{
    if (txn->dropped_count == txn->dropped_capacity) {
        size_t capacity = txn->dropped_capacity ? txn->dropped_capacity * 2 : 16;
        uint64_t *longer = mem_resize(txn->dropped, capacity * sizeof *longer);
        if (!longer)
            return;
        txn->dropped = longer;
        txn->dropped_capacity = capacity;
    }
    txn->dropped[txn->dropped_count++] = id;
}

static void free_bytes(struct change *change)
{
    larder_bytes_free(&change->payload.bytes);
    change->payload.bytes = (struct larder_bytes){0};
}

/* ---- adding and dropping ---- */

void pending_note_written(struct larder_txn *txn)
{
    pthread_mutex_lock(&txn->lock);
    txn->written = true;
    pthread_mutex_unlock(&txn->lock);
}

/* An OPEN transaction's head goes along, so that what is written is somebody's; if it is being committed meanwhile, it has
 * one already. */
int pending_write(struct larder_txn *txn)
{
    struct pending_batch batch;
    autorecords struct records head;
    int rc = records_init(&head, txn->id, 1);
    if (rc == 0)
        rc = txn_add_head(txn, &head);
    if (rc == 0)
        rc = pending_take(txn, &batch);
    if (rc < 0)
        return rc;
    bool any = batch.count > 0;
    if (any)
        batch.edits[batch.count++] = head.edits[0];
    rc = journal_write(txn->journal, batch.edits, batch.count);
    if (rc == 0 && any)
        pending_note_written(txn);
    pending_settle(txn, &batch, rc, false);
    CRASH_POINT("txn.flushed");
    return rc;
}

static int write_on_worker(void *arg)
{
    return pending_write(arg);
}

static bool is_full(struct larder_txn *txn, const struct change *change)
{
    pthread_mutex_lock(&txn->lock);
    bool full = txn->pending_size + cost_of(change) > PENDING_MAX && txn->pending_size > 0;
    pthread_mutex_unlock(&txn->lock);
    return full;
}

/* Where others write all that there is, this waits for them: the journal lets one write at a time. */
int CO_FN pending_add(struct larder_txn *txn, struct change *change)
{
    int rc = 0;
    while (rc == 0 && is_full(txn, change))
        rc = offload(write_on_worker, txn);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&txn->lock);
    change_ref(change);
    enqueue(txn, change);
    pthread_mutex_unlock(&txn->lock);
    return 0;
}

void pending_drop(struct larder_txn *txn, struct change *change)
{
    struct payload *payload = &change->payload;
    bool taken = false;
    pthread_mutex_lock(&txn->lock);
    payload->dropped = true;
    if (payload->phase == PHASE_PENDING) {
        list_remove(&payload->node);
        txn->pending_size -= cost_of(change);
        free_bytes(change);
        payload->phase = PHASE_NONE;
        taken = true;
    } else if (payload->phase == PHASE_WRITTEN) {
        note_dropped(txn, change->id);
    }
    pthread_mutex_unlock(&txn->lock);
    if (taken)
        change_unref(change);
}

int pending_copy(struct larder_txn *txn, const struct change *change, struct larder_bytes *out)
{
    const struct payload *payload = &change->payload;
    int rc = -ENOENT;
    pthread_mutex_lock(&txn->lock);
    if (payload->phase == PHASE_PENDING || payload->phase == PHASE_WRITING) {
        char *copy =
            mem_dup_n(payload->bytes.data ? (const char *)payload->bytes.data : "", payload->bytes.size);
        rc = copy ? 0 : fail_memory();
        if (copy)
            *out = bytes_own(copy, payload->bytes.size);
    }
    pthread_mutex_unlock(&txn->lock);
    return rc;
}

void pending_forget(struct larder_txn *txn)
{
    for (;;) {
        pthread_mutex_lock(&txn->lock);
        struct list *node = list_pop(&txn->pending);
        pthread_mutex_unlock(&txn->lock);
        if (!node)
            return;
        change_unref(change_at(node));
    }
}

/* ---- batches ---- */

/* The node of a change that is being written is the batch's; nothing but pending_settle moves it. */
static void collect(struct larder_txn *txn, struct pending_batch *batch)
{
    for (struct list *node; (node = list_pop(&txn->pending));) {
        struct change *change = change_at(node);
        change->payload.phase = PHASE_WRITING;
        list_push(&batch->changes, node);
        batch->edits[batch->count++] =
            (struct edit){EDIT_PUT, journal_key(txn->id, RECORD_PAYLOAD, change->id),
                          change->payload.bytes.data, change->payload.bytes.size};
    }
    for (size_t i = 0; i < txn->dropped_count; i++)
        batch->edits[batch->count++] =
            (struct edit){EDIT_DELETE, journal_key(txn->id, RECORD_PAYLOAD, txn->dropped[i]), NULL, 0};
    txn->dropped_count = 0;
}

static size_t count_pending(const struct larder_txn *txn)
{
    size_t count = txn->dropped_count;
    list_for_each (node, &txn->pending)
        count++;
    return count;
}

int pending_take(struct larder_txn *txn, struct pending_batch *batch)
{
    *batch = (struct pending_batch){0};
    list_init(&batch->changes);
    pthread_mutex_lock(&txn->lock);
    batch->edits = mem_array(count_pending(txn) + 1, sizeof *batch->edits);
    if (batch->edits)
        collect(txn, batch);
    pthread_mutex_unlock(&txn->lock);
    return batch->edits ? 0 : fail_memory();
}

/* True: the batch's reference is to be given back. */
static bool settle(struct larder_txn *txn, struct change *change, int status, bool keep)
{
    txn->pending_size -= cost_of(change);
    if (status < 0 && !change->payload.dropped) {
        enqueue(txn, change);
        return false;
    }
    change->payload.phase = PHASE_WRITTEN;
    change->payload.kept = keep;
    if (!keep)
        free_bytes(change);
    if (change->payload.dropped)
        note_dropped(txn, change->id);
    return true;
}

void pending_settle(struct larder_txn *txn, struct pending_batch *batch, int status, bool keep)
{
    for (struct list *node; (node = list_pop(&batch->changes));) {
        struct change *change = change_at(node);
        pthread_mutex_lock(&txn->lock);
        bool done = settle(txn, change, status, keep);
        pthread_mutex_unlock(&txn->lock);
        if (done)
            change_unref(change);
    }
    mem_free(batch->edits);
    batch->edits = NULL;
}
