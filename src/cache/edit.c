/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edits: what is kept of what a place said. Here S3 and S4 of store.h are kept: every function leaves, with
 * the rest of its transaction, a store in which they hold.
 */
#include "cache/edit.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/seams.h"
#include "cache/unit.h"

/* ---- blocks ---- */

/* `*bytes` grows by what it takes more. One that is there already is of the same version: if sound, the same. */
static int put_block(struct batch *batch, const struct key *key, const void *data, size_t size,
                     struct packing packing, int64_t *bytes)
{
    const void *packed;
    size_t packed_size;
    struct block_head head;
    MDB_val there;
    void *room;
    if (batch_get(batch, key, &there) == 0) {
        if (block_read(key, there.mv_data, there.mv_size, &head, &packed) == 0)
            return 0;
        *bytes -= (int64_t)unit_cost(batch, key, there.mv_size);
    }
    enum codec codec = pack(batch->packer, packing, data, size, &packed, &packed_size);
    int rc = batch_room(batch, key, sizeof(struct block_head) + packed_size, &room);
    if (rc == 0)
        block_write(key, codec, (uint32_t)size, packed, packed_size, room);
    *bytes += (int64_t)unit_cost(batch, key, sizeof(struct block_head) + packed_size);
    return rc;
}

/* Its blocks are in: its unit. */
static int put_segment(struct batch *batch, const struct key *key, int64_t bytes, bool pinned)
{
    struct unit unit;
    uint64_t number = batch_get_number(batch, key);
    int rc = number ? unit_read(batch, number, &unit) : -ENOENT;
    if (rc == 0) {
        rc = unit_move(batch, &unit, pinned ? TICK_PINNED : batch->clock.tick);
        return rc < 0 ? rc : unit_grow(batch, number, bytes);
    }
    if (rc != -ENOENT && rc != -EBADMSG)
        return rc;
    rc = unit_add(batch, key, (uint64_t)bytes, pinned, &number);
    return rc < 0 ? rc : batch_put_number(batch, key, number);
}

static int put_blocks(struct batch *batch, uint64_t version, int64_t start, const char *data, size_t size,
                      struct packing packing, bool pinned)
{
    uint64_t number = (uint64_t)(start / BLOCK_SIZE);
    int64_t bytes = 0;
    struct key key;
    int rc = 0;
    assert(start % BLOCK_SIZE == 0);
    while (rc == 0 && size > 0) {
        size_t piece = size < (size_t)BLOCK_SIZE ? size : (size_t)BLOCK_SIZE;
        key_block(&key, version, number);
        rc = put_block(batch, &key, data, piece, packing, &bytes);
        data += piece;
        size -= piece;
        number++;
        if (rc < 0 || (size > 0 && number % SEGMENT_BLOCKS != 0))
            continue;
        key_segment(&key, version, (number - 1) / SEGMENT_BLOCKS);
        rc = put_segment(batch, &key, bytes, pinned);
        bytes = 0;
    }
    return rc;
}

static bool is_swept(struct batch *batch, uint64_t staged)
{
    struct key note;
    MDB_val value;
    key_staged(&note, staged);
    return batch_get(batch, &note, &value) != 0;
}

/* Room for what is about to be put, with what goes around it. 0: there is; EDIT_FULL: it is not kept. */
static int make_room(struct batch *batch, size_t size)
{
    size_t with = size + size / 64 + 4 * batch->page_size;
    int rc = batch->refusing ? EDIT_FULL : batch_make_room(batch, with);
    if (rc != EDIT_FULL)
        return rc;
    batch->refused++;
    if (!batch->refusing && batch->size_max < batch->limits.size_max)
        store_say(batch->store, SAID_DISK, "too little of the disk is free: less is stored, or nothing");
    return rc;
}

int edit_stage(struct op *op, struct batch *batch)
{
    struct stage *stage = container_of(op, struct stage, op);
    assert(stage->size % (size_t)BLOCK_SIZE == 0);
    int rc = make_room(batch, stage->size);
    if (rc == EDIT_FULL)
        return batch_drop_version(batch, stage->version);
    if (rc == 0 && stage->start > 0 && is_swept(batch, stage->version))
        return 0; /* what came before is gone: the rest is of no use */
    if (rc == 0)
        rc = batch_note_staged(batch, stage->version);
    return rc != 0 ? rc
                   : put_blocks(batch, stage->version, stage->start, stage->data, stage->size, stage->packing,
                                false);
}

/* ---- records ---- */

static bool same_version(const struct record *a, const struct record *b)
{
    return a->head.state == RECORD_KNOWN && b->head.state == RECORD_KNOWN && record_is_strong(a) &&
           record_is_strong(b) && a->head.type == b->head.type && a->head.size == b->head.size &&
           strcmp(a->version, b->version) == 0;
}

/* Is what is there (`found`) what the read began with? Of what is not there any more that is known for a day. */
static bool is_seen(struct batch *batch, const struct put *op, const struct record *found)
{
    if (found)
        return found->head.id == op->seen.id;
    bool recent = op->old || wall_ns() - op->record.head.answered_ns < TOMBSTONE_NS;
    return op->seen.id == 0 && op->seen.epoch == batch_epoch(batch) && recent;
}

/* The whole file, small enough to lie in the record. */
static void put_body(struct batch *batch, const struct put *op, struct record *record)
{
    const void *packed;
    size_t packed_size;
    if (!op->whole || op->start != 0 || op->size > BODY_SIZE_MAX)
        return;
    record->head.codec = (uint8_t)pack(batch->packer, op->packing, op->data, op->size, &packed, &packed_size);
    record->head.body_raw = (uint32_t)op->size;
    record->head.body_size = (uint32_t)packed_size;
    record->head.body_there = 1;
    record->body = packed;
}

/* Give `record`, which replaces or goes on with `before` (a copy of the head; NULL: none), its bytes. */
static int put_bytes(struct batch *batch, const struct put *op, const struct record_head *before, bool same,
                     struct record *record)
{
    uint64_t old = before ? before->version : 0, version = same ? old : 0;
    put_body(batch, op, record);
    if (record->head.body_there)
        version = 0;
    else if (op->staged)
        version = op->staged;
    else if (!version && op->size)
        version = store_number();
    int rc = old && old != version ? batch_drop_version(batch, old) : 0;
    if (rc == 0 && op->staged) {
        struct key note;
        key_staged(&note, op->staged);
        rc = batch_remove(batch, &note);
    }
    record->head.version = version;
    bool pinned = batch_is_pinned(batch, &op->place, op->path);
    if (rc == 0 && op->staged && pinned)
        rc = unit_pin_version(batch, version, true);
    if (rc == 0 && version && op->size)
        rc = put_blocks(batch, version, op->start, op->data, op->size, op->packing, pinned);
    return rc;
}

/* Only its freshness is new: the bytes are all there. */
static int rewrite(struct batch *batch, const struct key *key, const MDB_val *value,
                   const struct record_head *head)
{
    autofree void *copy = mem_alloc(value->mv_size);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, value->mv_data, value->mv_size);
    record_patch(key, head, copy, value->mv_size);
    return batch_put(batch, key, copy, value->mv_size);
}

static void take_freshness(struct record_head *to, const struct record_head *from)
{
    to->answered_ns = from->answered_ns;
    to->fresh_ms = from->fresh_ms;
    to->stale_if_error_ms = from->stale_if_error_ms;
    to->flags = from->flags;
}

int edit_put(struct op *base, struct batch *batch)
{
    struct put *op = container_of(base, struct put, op);
    struct record before, record = op->record;
    struct key key;
    int rc = make_room(batch, op->size);
    if (rc == EDIT_FULL)
        return batch_drop_version(batch, op->staged);
    key_path(&key, op->type, &op->place, op->path);
    if (rc == 0)
        rc = batch_find(batch, &key, &op->place, op->path, &before);
    if (rc == EDIT_AGAIN || (rc < 0 && rc != -ENOENT && rc != -EEXIST))
        return rc;
    const struct record *found = rc == 0 ? &before : NULL;
    bool same = found && same_version(found, &record), seen = rc != -EEXIST && is_seen(batch, op, found);
    if ((!same && !seen) || (op->staged && is_swept(batch, op->staged)))
        return batch_drop_version(batch, op->staged);
    struct record_head *head = &record.head;
    head->id = same ? before.head.id : store_number();
    if (same && (!seen || before.head.answered_ns > head->answered_ns))
        take_freshness(head, &before.head);
    if (same && before.head.body_there) {
        MDB_val value;
        rc = batch_drop_version(batch, op->staged);
        take_freshness(&before.head, head);
        if (rc == 0)
            rc = lmdb_status(batch_get(batch, &key, &value));
        return rc < 0 ? rc : rewrite(batch, &key, &value, &before.head);
    }
    struct record_head old = before.head;
    rc = put_bytes(batch, op, found ? &old : NULL, same, &record);
    return rc < 0 ? rc : batch_write(batch, &key, &op->place, op->path, &record, found ? &old : NULL);
}

int edit_freshen(struct op *base, struct batch *batch)
{
    struct freshen *op = container_of(base, struct freshen, op);
    struct record record;
    struct key key;
    MDB_val value;
    if (batch->refusing)
        return 0;
    key_path(&key, op->type, &op->place, op->path);
    int rc = batch_find(batch, &key, &op->place, op->path, &record);
    if (rc == -ENOENT || rc == -EEXIST || (rc == 0 && record.head.id != op->id))
        return 0;
    if (rc == 0)
        rc = lmdb_status(batch_get(batch, &key, &value));
    if (rc < 0)
        return rc;
    record.head.answered_ns = op->answered_ns;
    record.head.fresh_ms = op->fresh_ms;
    record.head.stale_if_error_ms = op->stale_if_error_ms;
    return rewrite(batch, &key, &value, &record.head);
}

/* ---- small ones ---- */

struct drop {
    struct op op;
    uint64_t version;
};

static int apply_drop(struct op *op, struct batch *batch)
{
    return batch_drop_version(batch, container_of(op, struct drop, op)->version);
}

static void free_op(struct op *op, int status)
{
    mem_free(op);
}

void edit_drop(struct store *store, uint64_t version)
{
    struct drop *drop = version ? mem_zero(sizeof *drop) : NULL;
    if (!drop)
        return; /* then it is swept in a day */
    drop->op.apply = apply_drop;
    drop->op.done = free_op;
    drop->version = version;
    if (writer_add(store, &drop->op) < 0)
        mem_free(drop);
}
