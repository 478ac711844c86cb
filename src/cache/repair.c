/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repairs: what somebody found wrong, a reader or a verification, is looked at again in a transaction of the writer's,
 * since it may have been replaced by now, and put right. S5, and U1 to U4 of unit.h.
 */
#include <errno.h>
#include <string.h>

#include "base/seams.h"
#include "cache/unit.h"

struct repair {
    struct op op;
    struct key key;
};

/* ---- units ---- */

static bool is_of(struct batch *batch, const struct unit *unit)
{
    struct record_head head;
    MDB_val value;
    if (batch_get(batch, &unit->of, &value) != 0)
        return false;
    if (key_is_segment(&unit->of))
        return value_number(&value) == unit->number;
    if (value.mv_size < sizeof head)
        return false;
    memcpy(&head, value.mv_data, sizeof head);
    return head.unit == unit->number;
}

/* A unit of nothing goes; one that is not in the order comes there. */
static int repair_unit(struct batch *batch, const struct key *key, const MDB_val *value)
{
    struct unit unit;
    int rc = unit_read(batch, key_number(key->data + 1), &unit);
    if (rc == -EBADMSG)
        return batch_remove(batch, key);
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    return is_of(batch, &unit) ? unit_put_order(batch, &unit) : unit_remove(batch, unit.number);
}

static int repair_order(struct batch *batch, const struct key *key, const MDB_val *value)
{
    struct unit unit;
    int rc = unit_read(batch, key_number(key->data + 5), &unit);
    if (rc == 0 && unit.tick == key_order_tick(key))
        return 0;
    return rc == 0 || rc == -ENOENT || rc == -EBADMSG ? batch_remove(batch, key) : rc;
}

/* Does what stands at `key` have the unit of this number, in the place where it belongs? */
static int follow_unit(struct batch *batch, const struct key *key, uint64_t number, bool pinned)
{
    struct unit unit;
    int rc = unit_read(batch, number, &unit);
    if (rc == -ENOENT || rc == -EBADMSG || (rc == 0 && !key_equals(&unit.of, key)))
        return -ENOENT;
    if (rc == 0 && (unit.tick == TICK_PINNED) != pinned)
        rc = unit_move(batch, &unit, pinned ? TICK_PINNED : batch->clock.tick);
    return rc < 0 ? rc : unit_put_order(batch, &unit);
}

/* ---- what they are of ---- */

static int repair_record(struct batch *batch, const struct key *key, const MDB_val *value)
{
    struct record record;
    bool pinned;
    if (record_read_any(key, value->mv_data, value->mv_size, &record) < 0)
        return batch_remove_damaged(batch, key, value);
    struct record_head head = record.head;
    int rc = batch_record_is_pinned(batch, &record, &pinned);
    if (rc == 0)
        rc = follow_unit(batch, key, head.unit, pinned);
    if (rc == 0)
        rc = unit_pin_version(batch, head.version, pinned);
    return rc == -ENOENT ? batch_remove_record(batch, key, &head) : rc;
}

static int repair_pin(struct batch *batch, const struct key *key, const MDB_val *value)
{
    struct record record;
    if (record_read_any(key, value->mv_data, value->mv_size, &record) == 0)
        return 0;
    batch->clock.pins--;
    return batch_remove(batch, key);
}

/* Without a unit its blocks would stay for ever. */
static int repair_segment(struct batch *batch, const struct key *key, const MDB_val *value)
{
    struct unit unit;
    struct key at = *key;
    MDB_val gone;
    int rc = unit_read(batch, value_number(value), &unit);
    if (rc == 0 && key_equals(&unit.of, key))
        return unit_put_order(batch, &unit);
    if (rc < 0 && rc != -ENOENT && rc != -EBADMSG)
        return rc;
    while ((rc = batch_next(batch, &at, key, &gone)) == 0 && (rc = batch_remove(batch, &at)) == 0)
        ;
    return rc == -ENOENT ? 0 : rc;
}

static int repair_block(struct batch *batch, const struct key *key, const MDB_val *value)
{
    struct block_head head;
    struct key segment;
    const void *payload;
    key_segment(&segment, key_number(key->data + 1), key_segment_number(key));
    uint64_t unit = batch_get_number(batch, &segment);
    if (unit && block_read(key, value->mv_data, value->mv_size, &head, &payload) == 0)
        return 0;
    int64_t bytes = (int64_t)unit_cost(batch, key, value->mv_size);
    int rc = batch_remove(batch, key);
    return rc < 0 ? rc : unit_grow(batch, unit, -bytes);
}

static int repair_blocks(struct batch *batch, const struct key *key, const MDB_val *value)
{
    return key_is_segment(key) ? repair_segment(batch, key, value) : repair_block(batch, key, value);
}

static int apply(struct op *op, struct batch *batch)
{
    static const struct {
        enum key_type type;
        int (*repair)(struct batch *batch, const struct key *key, const MDB_val *value);
    } kinds[] = {{KEY_RECORD, repair_record}, {KEY_LISTING, repair_record}, {KEY_PIN, repair_pin},
                 {KEY_BLOCK, repair_blocks},  {KEY_UNIT, repair_unit},      {KEY_ORDER, repair_order}};
    const struct key *key = &container_of(op, struct repair, op)->key;
    MDB_val value;
    if (batch_get(batch, key, &value) != 0)
        return 0;
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (key->data[0] == kinds[i].type)
            return kinds[i].repair(batch, key, &value);
    return 0;
}

/* ---- sums ---- */

static int count_pinned(struct op *op, struct batch *batch)
{
    struct key prefix, at;
    struct unit unit;
    MDB_val value;
    int rc;
    key_order(&prefix, TICK_PINNED, 0);
    prefix.size -= sizeof unit.number;
    at = prefix;
    batch->clock.pinned = 0;
    for (; (rc = batch_next(batch, &at, &prefix, &value)) == 0; key_step(&at))
        if (unit_read(batch, key_number(at.data + 5), &unit) == 0)
            batch->clock.pinned += unit.bytes;
    return rc == -ENOENT ? 0 : rc;
}

static int count_pins(struct op *op, struct batch *batch)
{
    struct key prefix = {.size = 1, .data = {KEY_PIN}}, at = prefix;
    MDB_val value;
    int rc;
    batch->clock.pins = 0;
    for (; (rc = batch_next(batch, &at, &prefix, &value)) == 0; key_step(&at))
        batch->clock.pins++;
    return rc == -ENOENT ? 0 : rc;
}

/* ---- queued ---- */

static void done(struct op *op, int status)
{
    mem_free(container_of(op, struct repair, op));
}

static void add(struct store *store, const struct key *key, int (*how)(struct op *op, struct batch *batch))
{
    struct repair *repair = mem_zero(sizeof *repair);
    if (!repair)
        return;
    repair->op = (struct op){.apply = how, .done = done};
    repair->key = *key;
    if (writer_add(store, &repair->op) < 0)
        mem_free(repair);
}

void edit_repair(struct store *store, const struct key *key)
{
    add(store, key, apply);
}

void edit_recount(struct store *store)
{
    static const struct key none;
    add(store, &none, count_pins);
    add(store, &none, count_pinned);
}

static int refuse(struct op *op, struct batch *batch)
{
    return -EBADMSG;
}

void edit_condemn(struct store *store)
{
    static const struct key none;
    if (!(atomic_load_explicit(&store->said, memory_order_relaxed) & SAID_PAGES))
        add(store, &none, refuse);
    store_say(store, SAID_PAGES, "a page is damaged: what cannot be read is fetched again");
}
