/* SPDX-License-Identifier: Apache-2.0 */
/* A batch as a whole: its transactions, one after the other, until all of its ops are done. */
#include "cache/batch.h"

#include <errno.h>
#include <string.h>

#include "base/seams.h"
#include "cache/damage.h"
#include "cache/length.h"
#include "cache/shared.h"

#define DEAD_CHECK_NS (60 * 1000000000ULL)

/* ---- a transaction ---- */

static int save_counters(struct batch *batch, uint64_t now[COUNTERS])
{
    struct store *store = batch->store;
    struct key key;
    uint64_t sums[COUNTERS] = {0}, added = 0;
    batch_get_struct(batch, "counters", sums, sizeof sums);
    for (unsigned i = 0; i < COUNTERS; i++) {
        now[i] = store_counted(store, i);
        uint64_t more = now[i] - atomic_load_explicit(&store->saved[i], memory_order_relaxed);
        sums[i] += more;
        added += more;
    }
    key_meta(&key, "counters");
    return added ? batch_put(batch, &key, sums, sizeof sums) : 0;
}

static int save_clock(struct batch *batch)
{
    struct key key;
    key_meta(&key, "clock");
    return batch_put(batch, &key, &batch->clock, sizeof batch->clock);
}

static int save_clock_if_changed(struct batch *batch)
{
    struct clock before = {0};
    batch_get_struct(batch, "clock", &before, sizeof before);
    return memcmp(&before, &batch->clock, sizeof before) == 0 ? 0 : save_clock(batch);
}

static int begin(struct batch *batch)
{
    struct store *store = batch->store;
    batch->removed = 0;
    batch->wrote = false;
    batch->evicted = batch->evicted_bytes = batch->refused = 0;
    int rc = mdb_txn_begin(store->env, NULL, 0, &batch->txn);
    if (rc != 0)
        return lmdb_status(rc);
    atomic_store(&store->shared->writing, store->owner);
    pages_begin(&store->pages);
    batch->clock = (struct clock){.number = 1, .tick = 1};
    batch_get_struct(batch, "clock", &batch->clock, sizeof batch->clock);
    return batch_read_limits(batch);
}

static void give_up(struct batch *batch)
{
    if (batch->txn)
        damage_abort(batch->txn, batch->store->dbi);
    batch->txn = NULL;
}

/* What the transaction did, which is of no account before it is on the disk. */
static void count(struct batch *batch, bool undo)
{
    store_count(batch->store, COUNT_EVICTED, undo ? -batch->evicted : batch->evicted);
    store_count(batch->store, COUNT_EVICTED_BYTES, undo ? -batch->evicted_bytes : batch->evicted_bytes);
    store_count(batch->store, COUNT_REFUSED, undo ? -batch->refused : batch->refused);
}

static int commit(struct batch *batch)
{
    struct store *store = batch->store;
    uint64_t counted[COUNTERS];
    count(batch, false);
    if (batch->refusing && !batch->wrote) {
        give_up(batch); /* what only counts can wait */
        return 0;
    }
    int rc = save_counters(batch, counted);
    if (rc == 0)
        rc = save_clock_if_changed(batch);
    CRASH_POINT("cache.before_commit");
    if (rc == 0) { /* what jumps out of it leaves the transaction to be aborted */
        rc = lmdb_status(mdb_txn_commit(batch->txn));
        batch->txn = NULL;
    }
    if (rc < 0) {
        count(batch, true);
        return rc;
    }
    for (unsigned i = 0; i < COUNTERS; i++)
        atomic_store_explicit(&store->saved[i], counted[i], memory_order_relaxed);
    store_note(store, batch->size_max, &batch->clock);
    return 0;
}

/* Again and again while `rc` says so, a transaction each time. */
static int again(struct batch *batch)
{
    int rc = commit(batch);
    return rc < 0 ? rc : begin(batch);
}

/* ---- what is to be done ---- */

static int shrink(struct batch *batch)
{
    int rc;
    while ((rc = batch_make_room(batch, 0)) == EDIT_AGAIN && (rc = again(batch)) == 0)
        ;
    return rc < 0 ? rc : 0; /* EDIT_FULL: all that is left is pinned */
}

/* From the first op that is not on the disk yet. */
static int apply(struct batch *batch)
{
    int rc = 0;
    for (struct op *op = batch->todo; rc == 0 && op; op = op->next) {
        rc = length_probe(batch);
        while (rc == 0 && (rc = op->apply(op, batch)) == EDIT_AGAIN && (rc = again(batch)) == 0)
            batch->todo = op;
        if (rc == 0 && batch->tries > 0 && (rc = again(batch)) == 0)
            batch->todo = op->next; /* in small steps: what the one frees the next but one may use */
    }
    if (rc == 0 && batch->sweep)
        rc = batch_sweep_one(batch);
    batch->sweep = rc == EDIT_AGAIN;
    if (rc >= 0)
        rc = shrink(batch);
    return rc < 0 ? rc : commit(batch);
}

/* More room than there has to be, and a transaction for it to be of use. */
static int make_spare(struct batch *batch)
{
    int rc = begin(batch);
    if (rc == 0)
        rc = shrink(batch);
    if (rc == 0)
        rc = again(batch);
    if (rc == 0)
        rc = save_clock(batch); /* so that it is one */
    return rc < 0 ? rc : commit(batch);
}

static int run(struct batch *batch)
{
    int rc = damage_may_write(batch->store) ? begin(batch) : -EBADMSG;
    if (rc == 0)
        rc = apply(batch);
    while (rc == -EFBIG) {
        give_up(batch);
        rc = length_regain(batch) == REGAIN_EVICT ? make_spare(batch) : 0;
        if (rc == 0)
            rc = begin(batch);
        if (rc == 0)
            rc = apply(batch);
    }
    if (rc == 0)
        length_settle(batch);
    return rc;
}

static int run_guarded(void *arg)
{
    return run(arg);
}

/* What a process left that was killed: the snapshot of a read, which holds every page freed since; and what it staged. */
static void look_for_the_dead(struct batch *batch)
{
    struct store *store = batch->store;
    uint64_t now = now_ns();
    int dead;
    if (now - store->writer.checked_ns < DEAD_CHECK_NS)
        return;
    store->writer.checked_ns = now;
    batch->sweep = true;
    mdb_reader_check(store->env, &dead);
}

int batch_run(struct store *store, struct packer *packer, struct op *ops, bool *sweep)
{
    struct batch batch = {.store = store, .packer = packer, .todo = ops, .sweep = *sweep};
    uint64_t owner = store->owner;
    if (!store_is_in_place(store))
        return -ESTALE;
    look_for_the_dead(&batch);
    int rc = damage_guard(run_guarded, &batch);
    give_up(&batch);
    atomic_compare_exchange_strong(&store->shared->writing, &owner, 0);
    *sweep = rc >= 0 && batch.sweep;
    return rc;
}
