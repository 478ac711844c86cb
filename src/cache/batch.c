/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/batch.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "cache/damage.h"
#include "cache/length.h"
#include "cache/lock.h"
#include "cache/shared.h"
#include "cache/unit.h"

#define STAGED_TIME_NS \
    (24 * 3600 * 1000000000LL) /* after which what was staged, and not touched since, is dead in any case */

/* ---- one value ---- */

int batch_get(struct batch *batch, const struct key *key, MDB_val *value)
{
    MDB_val name = {key->size, (void *)key->data};
    return damage_get(batch->txn, batch->store->dbi, &name, value);
}

int batch_room(struct batch *batch, const struct key *key, size_t size, void **out)
{
    MDB_val name = {key->size, (void *)key->data}, value = {.mv_size = size};
    int rc = pages_are_sound(&batch->store->pages, key) ? 0 : -EBADMSG; /* before it is changed */
    if (rc == 0)
        rc = lmdb_status(mdb_put(batch->txn, batch->store->dbi, &name, &value, MDB_RESERVE));
    batch->wrote = true;
    if (rc == 0 && batch_has_own_pages(batch, key, size))
        rc = length_check(batch, value.mv_data);
    *out = value.mv_data;
    return rc;
}

bool batch_has_own_pages(const struct batch *batch, const struct key *key, size_t size)
{
    size_t node_max = (batch->page_size - 16) / 2 - 2; /* two fit on a page */
    return 8 + key->size + size > node_max;
}

int batch_put(struct batch *batch, const struct key *key, const void *data, size_t size)
{
    void *room;
    int rc = batch_room(batch, key, size, &room);
    if (rc == 0)
        memcpy(room, data, size);
    return rc;
}

int batch_remove(struct batch *batch, const struct key *key)
{
    MDB_val name = {key->size, (void *)key->data};
    int rc = pages_beside_are_sound(&batch->store->pages, key) ? 0 : -EBADMSG;
    if (rc == 0)
        rc = lmdb_status(mdb_del(batch->txn, batch->store->dbi, &name, NULL));
    batch->wrote |= rc == 0;
    return rc == -ENOENT ? 0 : rc;
}

int batch_put_number(struct batch *batch, const struct key *key, uint64_t number)
{
    return batch_put(batch, key, &number, sizeof number);
}

uint64_t value_number(const MDB_val *value)
{
    uint64_t number = 0;
    if (value->mv_size == sizeof number)
        memcpy(&number, value->mv_data, sizeof number);
    return number;
}

uint64_t batch_get_number(struct batch *batch, const struct key *key)
{
    MDB_val value;
    return batch_get(batch, key, &value) == 0 ? value_number(&value) : 0;
}

void batch_get_struct(struct batch *batch, const char *name, void *out, size_t size)
{
    struct key key;
    MDB_val value;
    key_meta(&key, name);
    if (batch_get(batch, &key, &value) == 0 && value.mv_size == size)
        memcpy(out, value.mv_data, size);
}

int batch_next(struct batch *batch, struct key *from, const struct key *prefix, MDB_val *value)
{
    MDB_cursor *cursor;
    MDB_val name = {from->size, from->data};
    int rc = mdb_cursor_open(batch->txn, batch->store->dbi, &cursor);
    if (rc != 0)
        return lmdb_status(rc);
    rc = lmdb_status(mdb_cursor_get(cursor, &name, value, MDB_SET_RANGE));
    if (rc == 0 && !key_begins(name.mv_data, name.mv_size, prefix))
        rc = -ENOENT;
    if (rc == 0) {
        from->size = name.mv_size;
        memcpy(from->data, name.mv_data, name.mv_size);
    }
    mdb_cursor_close(cursor);
    return rc;
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
    struct key prefix, at;
    MDB_val value;
    int rc;
    key_version(&prefix, version);
    at = prefix;
    while ((rc = batch_next(batch, &at, &prefix, &value)) == 0) {
        uint64_t unit = 0;
        if (batch->removed >= REMOVE_COUNT_MAX)
            return EDIT_AGAIN;
        batch->removed++;
        if (key_is_segment(&at))
            unit = value_number(&value);
        rc = batch_remove(batch, &at);
        if (rc == 0)
            rc = unit_remove(batch, unit);
        if (rc < 0)
            return rc;
    }
    return rc == -ENOENT ? 0 : rc;
}

int batch_note_staged(struct batch *batch, uint64_t version)
{
    struct staged note = {.touched_ns = wall_ns(), .owner = batch->store->owner};
    struct key key;
    key_staged(&key, version);
    return batch_put(batch, &key, &note, sizeof note);
}

/* It is on its way in, and somebody alive is about it. */
static bool is_staged(struct batch *batch, const MDB_val *value)
{
    struct staged note = {0};
    if (value->mv_size == sizeof note)
        memcpy(&note, value->mv_data, sizeof note);
    return note.touched_ns > wall_ns() - STAGED_TIME_NS && lock_owner_lives(batch->store, note.owner);
}

bool batch_is_staged(struct batch *batch, uint64_t version)
{
    struct key key;
    MDB_val value;
    key_staged(&key, version);
    return batch_get(batch, &key, &value) == 0 && is_staged(batch, &value);
}

/* No record names it any more (or none will). What does not fit into this transaction is swept later. */
int batch_drop_version(struct batch *batch, uint64_t version)
{
    static const struct staged dead;
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
    return batch_put(batch, &note, &dead, sizeof dead);
}

int batch_sweep_one(struct batch *batch)
{
    struct key prefix = {.size = 1, .data = {KEY_STAGED}}, at = prefix;
    MDB_val value;
    int rc;
    while ((rc = batch_next(batch, &at, &prefix, &value)) == 0) {
        if (!is_staged(batch, &value)) {
            rc = batch_drop_version(batch, key_number(at.data + 1));
            return rc < 0 ? rc : EDIT_AGAIN;
        }
        key_step(&at);
    }
    return rc == -ENOENT ? 0 : rc;
}

/* ---- records ---- */

int batch_find(struct batch *batch, const struct key *key, const struct place *place, const char *path,
               struct record *out)
{
    MDB_val value;
    int rc = batch_get(batch, key, &value);
    if (rc != 0)
        return lmdb_status(rc);
    rc = record_read(key, place, path, value.mv_data, value.mv_size, out);
    if (rc == -ENOENT)
        return -EEXIST;
    if (rc == -EBADMSG) {
        rc = batch_remove_damaged(batch, key, &value);
        return rc < 0 ? rc : -ENOENT;
    }
    return rc;
}

/*
 * The unit goes with it, and what it says are its blocks: a number that is damaged is nobody's. If the unit's is, a unit
 * that is not pinned is of nothing now, and goes when it is first; one that is would stay, and is looked for.
 */
int batch_remove_damaged(struct batch *batch, const struct key *key, const MDB_val *value)
{
    struct record_head head = {0};
    struct unit unit;
    if (value->mv_size >= sizeof head)
        memcpy(&head, value->mv_data, sizeof head);
    int rc = head.unit ? unit_read(batch, head.unit, &unit) : -ENOENT;
    if (rc == -ENOENT || rc == -EBADMSG || (rc == 0 && !key_equals(&unit.of, key)))
        rc = unit_find_pinned(batch, key, &head.unit);
    return rc < 0 ? rc : batch_remove_record(batch, key, &head);
}

/* The unit of what is written at `key`: the one that was there, used now; or a new one. */
static int give_unit(struct batch *batch, const struct key *key, uint64_t bytes, bool pinned,
                     uint64_t *number)
{
    struct unit unit;
    int rc = *number ? unit_read(batch, *number, &unit) : -ENOENT;
    if (rc == -ENOENT || rc == -EBADMSG || (rc == 0 && !key_equals(&unit.of, key)))
        return unit_add(batch, key, bytes, pinned, number);
    if (rc == 0)
        rc = unit_move(batch, &unit, pinned ? TICK_PINNED : batch->clock.tick);
    return rc < 0 ? rc : unit_grow(batch, *number, (int64_t)(bytes - unit.bytes));
}

int batch_write(struct batch *batch, const struct key *key, const struct place *place, const char *path,
                const struct record *record, const struct record_head *before)
{
    struct record copy = *record;
    size_t size = record_size(place, path, record);
    void *room;
    copy.head.unit = before ? before->unit : 0;
    bool pinned = batch_is_pinned(batch, place, path);
    int rc = give_unit(batch, key, unit_cost(batch, key, size), pinned, &copy.head.unit);
    if (rc == 0)
        rc = batch_room(batch, key, size, &room);
    if (rc == 0)
        record_write(key, place, path, &copy, room);
    return rc;
}

int batch_remove_record(struct batch *batch, const struct key *key, const struct record_head *head)
{
    uint64_t unit = head->unit;
    int rc = batch_drop_version(batch, head->version);
    if (rc == 0)
        rc = unit_remove(batch, unit);
    return rc < 0 ? rc : batch_remove(batch, key);
}

uint64_t batch_epoch(struct batch *batch)
{
    struct key key;
    key_meta(&key, "epoch");
    return batch_get_number(batch, &key);
}

int batch_count_epoch(struct batch *batch)
{
    struct key key;
    key_meta(&key, "epoch");
    return batch_put_number(batch, &key, batch_epoch(batch) + 1);
}

bool batch_is_pinned(struct batch *batch, const struct place *place, const char *path)
{
    autofree char *above = batch->clock.pins && place->identity ? mem_dup(path) : NULL;
    struct record record;
    struct key key;
    MDB_val value;
    while (above) {
        key_path(&key, KEY_PIN, place, above);
        if (batch_get(batch, &key, &value) == 0 &&
            record_read(&key, place, above, value.mv_data, value.mv_size, &record) == 0)
            return true;
        if (!*above)
            return false;
        above[path_parent_size(above)] = 0;
    }
    return false;
}

int batch_record_is_pinned(struct batch *batch, const struct record *record, bool *out)
{
    size_t identity_size = record->head.identity_size;
    autofree char *identity = mem_dup_n(record->path - identity_size, identity_size);
    autofree char *path = mem_dup_n(record->path, record->head.path_size);
    if (!identity || !path)
        return -ENOMEM;
    struct place place = place_of(identity);
    *out = batch_is_pinned(batch, &place, path);
    return 0;
}

/* ---- trees ---- */

void below_begin(struct below *below, enum key_type type, const struct place *place, const char *path)
{
    *below = (struct below){.type = type, .path = path};
    key_below(&below->prefix, type, place, path, &below->exact);
    below->self = below->exact && *path;
    if (below->self)
        key_path(&below->from, type, place, path);
    else
        below->from = below->prefix;
}

static bool is_below(const char *path, const struct record *record)
{
    size_t size = strlen(path), there = record->head.path_size;
    return there >= size && memcmp(record->path, path, size) == 0 &&
           (size == 0 || there == size || record->path[size] == '/');
}

int below_next(struct batch *batch, struct below *below, struct record *out)
{
    MDB_val value;
    while (true) {
        struct key self = below->from;
        int rc = batch_next(batch, &below->from, below->self ? &self : &below->prefix, &value);
        bool found = rc == 0 && (!below->self || below->from.size == self.size);
        if (rc < 0 && rc != -ENOENT)
            return rc;
        if (!found && !below->self)
            return -ENOENT;
        if (found && record_read_any(&below->from, value.mv_data, value.mv_size, out) < 0)
            *out = (struct record){0};
        if (found && (below->exact || out->head.id == 0 || is_below(below->path, out)))
            return 0;
        below_step(below);
    }
}

void below_step(struct below *below)
{
    if (below->self)
        below->from = below->prefix;
    else
        key_step(&below->from);
    below->self = false;
}
