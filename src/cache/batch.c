/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/batch.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"

#define READERS_CHECK_NS (60 * 1000000000ULL)
#define STAGED_TIME_NS \
    (24 * 3600 * 1000000000LL) /* after which what was staged, and not touched since, is dead */

/* ---- one value ---- */

int batch_get(struct batch *batch, const struct key *key, MDB_val *value)
{
    MDB_val name = {key->size, (void *)key->data};
    return mdb_get(batch->txn, batch->store->dbi, &name, value);
}

int batch_put(struct batch *batch, const struct key *key, const void *data, size_t size)
{
    MDB_val name = {key->size, (void *)key->data}, value = {size, (void *)data};
    return store_status(mdb_put(batch->txn, batch->store->dbi, &name, &value, 0));
}

/* Room for a value, to be filled before anything else is done with the transaction. */
int batch_room(struct batch *batch, const struct key *key, size_t size, void **out)
{
    MDB_val name = {key->size, (void *)key->data}, value = {.mv_size = size};
    int rc = mdb_put(batch->txn, batch->store->dbi, &name, &value, MDB_RESERVE);
    *out = value.mv_data;
    return store_status(rc);
}

int batch_remove(struct batch *batch, const struct key *key)
{
    MDB_val name = {key->size, (void *)key->data};
    int rc = mdb_del(batch->txn, batch->store->dbi, &name, NULL);
    return rc == MDB_NOTFOUND ? 0 : store_status(rc);
}

int batch_put_number(struct batch *batch, const struct key *key, uint64_t number)
{
    return batch_put(batch, key, &number, sizeof number);
}

uint64_t batch_get_number(struct batch *batch, const struct key *key)
{
    MDB_val value;
    uint64_t number = 0;
    if (batch_get(batch, key, &value) == 0 && value.mv_size == sizeof number)
        memcpy(&number, value.mv_data, sizeof number);
    return number;
}

uint64_t store_number(void)
{
    uint64_t number;
    do
        number = random_u64();
    while (number == 0);
    return number;
}

/* ---- versions ---- */

/* Up to the transaction's bound. 0: all are gone; EDIT_AGAIN: not yet. */
static int remove_blocks(struct batch *batch, uint64_t version)
{
    struct key from;
    MDB_cursor *cursor;
    MDB_val name, value;
    key_block(&from, version, 0);
    int rc = mdb_cursor_open(batch->txn, batch->store->dbi, &cursor);
    if (rc != 0)
        return store_status(rc);
    name = (MDB_val){from.size, from.data};
    rc = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE);
    while (rc == 0 && name.mv_size == from.size && memcmp(name.mv_data, from.data, 9) == 0) {
        if (batch->removed >= REMOVE_COUNT_MAX) {
            mdb_cursor_close(cursor);
            return EDIT_AGAIN;
        }
        batch->removed++;
        rc = mdb_cursor_del(cursor, 0);
        name = (MDB_val){from.size, from.data};
        if (rc == 0)
            rc = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : store_status(rc);
}

/* No record names it any more (or none will). What does not fit into this transaction is swept later. */
int batch_drop_version(struct batch *batch, uint64_t version)
{
    struct key note;
    if (version == 0)
        return 0;
    key_staged(&note, version);
    int rc = remove_blocks(batch, version);
    if (rc == 0)
        return batch_remove(batch, &note);
    if (rc != EDIT_AGAIN)
        return rc;
    batch->sweep = true;
    return batch_put_number(batch, &note, 0);
}

/* Remove one dead version, as far as the bound goes. EDIT_AGAIN: there may be more. */
static int sweep_one(struct batch *batch)
{
    struct key from;
    MDB_cursor *cursor;
    MDB_val name, value;
    uint64_t version = 0;
    int64_t dead = wall_ns() - STAGED_TIME_NS;
    key_staged(&from, 0);
    int rc = mdb_cursor_open(batch->txn, batch->store->dbi, &cursor);
    if (rc != 0)
        return store_status(rc);
    name = (MDB_val){from.size, from.data};
    rc = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE);
    for (; rc == 0 && name.mv_size == from.size && *(unsigned char *)name.mv_data == KEY_STAGED;
         rc = mdb_cursor_get(cursor, &name, &value, MDB_NEXT)) {
        int64_t touched = 0;
        if (value.mv_size == sizeof touched)
            memcpy(&touched, value.mv_data, sizeof touched);
        if (touched < dead) {
            version = key_number((char *)name.mv_data + 1);
            break;
        }
    }
    mdb_cursor_close(cursor);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return store_status(rc);
    if (version == 0)
        return 0;
    rc = batch_drop_version(batch, version);
    return rc < 0 ? rc : EDIT_AGAIN;
}

/* ---- records ---- */

/* The record at `key` as far as it matters; pointers are void once the transaction goes on. 0, -ENOENT (a
 * damaged one is removed), -EEXIST: another path's, with the same key. */
int batch_find(struct batch *batch, const struct key *key, const struct place *place, const char *path,
               struct record *out)
{
    MDB_val value;
    int rc = batch_get(batch, key, &value);
    if (rc != 0)
        return store_status(rc);
    rc = record_read(key, place, path, value.mv_data, value.mv_size, out);
    if (rc == -ENOENT)
        return -EEXIST;
    if (rc == -EBADMSG) {
        rc = batch_remove(batch, key);
        return rc < 0 ? rc : -ENOENT;
    }
    return rc;
}

int batch_write(struct batch *batch, const struct key *key, const struct place *place, const char *path,
                const struct record *record)
{
    void *room;
    int rc = batch_room(batch, key, record_size(place, path, record), &room);
    if (rc == 0)
        record_write(key, place, path, record, room);
    return rc;
}

uint64_t batch_epoch(struct batch *batch)
{
    struct key key;
    key_meta(&key, "epoch");
    return batch_get_number(batch, &key);
}

/* ---- the whole ---- */

static int save_counters(struct batch *batch, uint64_t now[COUNTERS])
{
    struct store *store = batch->store;
    struct key key;
    MDB_val value;
    uint64_t sums[COUNTERS] = {0}, added = 0;
    key_meta(&key, "counters");
    if (batch_get(batch, &key, &value) == 0 && value.mv_size == sizeof sums)
        memcpy(sums, value.mv_data, sizeof sums);
    for (unsigned i = 0; i < COUNTERS; i++) {
        now[i] = store_counted(store, i);
        uint64_t more = now[i] - atomic_load_explicit(&store->saved[i], memory_order_relaxed);
        sums[i] += more;
        added += more;
    }
    return added ? batch_put(batch, &key, sums, sizeof sums) : 0;
}

static int begin(struct batch *batch)
{
    batch->removed = 0;
    return store_status(mdb_txn_begin(batch->store->env, NULL, 0, &batch->txn));
}

static int commit(struct batch *batch)
{
    uint64_t counted[COUNTERS];
    int rc = save_counters(batch, counted);
    CRASH_POINT("cache.before_commit");
    if (rc == 0)
        rc = store_status(mdb_txn_commit(take(batch->txn)));
    for (unsigned i = 0; rc == 0 && i < COUNTERS; i++)
        atomic_store_explicit(&batch->store->saved[i], counted[i], memory_order_relaxed);
    return rc;
}

/* Again and again while `rc` says so, a transaction each time. */
static int again(struct batch *batch)
{
    int rc = commit(batch);
    return rc < 0 ? rc : begin(batch);
}

/* A process that was killed in the middle of a read holds a snapshot, and with it every page freed since. */
static void release_dead_readers(struct store *store)
{
    uint64_t now = now_ns();
    int dead;
    if (now - store->writer.checked_ns < READERS_CHECK_NS)
        return;
    store->writer.checked_ns = now;
    mdb_reader_check(store->env, &dead);
}

int batch_run(struct store *store, struct packer *packer, struct op *ops, bool *sweep)
{
    struct batch batch = {.store = store, .packer = packer, .sweep = *sweep};
    release_dead_readers(store);
    int rc = begin(&batch);
    for (struct op *op = ops; rc == 0 && op; op = op->next)
        while ((rc = op->apply(op, &batch)) == EDIT_AGAIN && (rc = again(&batch)) == 0)
            ;
    if (rc == 0 && batch.sweep)
        rc = sweep_one(&batch);
    *sweep = rc == EDIT_AGAIN;
    if (rc >= 0)
        rc = commit(&batch);
    if (batch.txn)
        mdb_txn_abort(batch.txn);
    return rc;
}
