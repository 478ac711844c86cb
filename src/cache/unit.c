/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/unit.h"

#include <errno.h>
#include <string.h>

/* ---- the two entries ---- */

static int put_unit(struct batch *batch, const struct unit *unit)
{
    struct unit_head head = {.bytes = unit->bytes, .tick = unit->tick};
    struct key key;
    void *room;
    key_unit(&key, unit->number);
    int rc = batch_room(batch, &key, sizeof head + unit->of.size, &room);
    if (rc == 0)
        memcpy(mempcpy(room, &head, sizeof head), unit->of.data, unit->of.size);
    return rc;
}

int unit_put_order(struct batch *batch, const struct unit *unit)
{
    struct key key;
    key_order(&key, unit->tick, unit->number);
    return batch_put(batch, &key, "", 0);
}

static int remove_order(struct batch *batch, uint32_t tick, uint64_t number)
{
    struct key key;
    key_order(&key, tick, number);
    return batch_remove(batch, &key);
}

int unit_read(struct batch *batch, uint64_t number, struct unit *out)
{
    struct unit_head head;
    struct key key;
    MDB_val value;
    key_unit(&key, number);
    int rc = lmdb_status(batch_get(batch, &key, &value));
    if (rc < 0)
        return rc;
    if (value.mv_size < sizeof head || value.mv_size > sizeof head + KEY_SIZE_MAX)
        return -EBADMSG;
    memcpy(&head, value.mv_data, sizeof head);
    *out = (struct unit){.number = number, .bytes = head.bytes, .tick = head.tick};
    out->of.size = value.mv_size - sizeof head;
    memcpy(out->of.data, (const char *)value.mv_data + sizeof head, out->of.size);
    return 0;
}

/* ---- time, and what is counted ---- */

static void count(struct batch *batch, uint32_t tick, int64_t by)
{
    if (tick == TICK_PINNED)
        batch->clock.pinned += (uint64_t)by;
}

static void count_put(struct batch *batch, int64_t bytes)
{
    struct clock *clock = &batch->clock;
    if (bytes > 0)
        clock->put += (uint64_t)bytes;
    if (clock->put < batch->limits.size_max / TICKS_A_CAP || clock->tick >= TICK_PINNED - 1)
        return;
    clock->put = 0;
    clock->tick++;
}

/* ---- what is done with them ---- */

int unit_add(struct batch *batch, const struct key *of, uint64_t bytes, bool pinned, uint64_t *number)
{
    struct unit unit = {.number = batch->clock.number++, .bytes = bytes, .of = *of};
    unit.tick = pinned ? TICK_PINNED : batch->clock.tick;
    int rc = put_unit(batch, &unit);
    if (rc == 0)
        rc = unit_put_order(batch, &unit);
    if (rc < 0)
        return rc;
    count(batch, unit.tick, (int64_t)bytes);
    count_put(batch, (int64_t)bytes);
    *number = unit.number;
    return 0;
}

int unit_first(struct batch *batch, struct unit *out)
{
    struct key prefix = {.size = 1, .data = {KEY_ORDER}}, at = prefix;
    MDB_val value;
    int rc;
    while ((rc = batch_next(batch, &at, &prefix, &value)) == 0) {
        uint32_t tick = key_order_tick(&at);
        uint64_t number = key_number(at.data + 5);
        if (tick == TICK_PINNED)
            return -ENOENT;
        rc = unit_read(batch, number, out);
        if (rc == 0 && out->tick == tick)
            return 0;
        if (rc < 0 && rc != -ENOENT && rc != -EBADMSG)
            return rc;
        rc = batch_remove(batch, &at); /* of no unit: U1 was damaged */
        if (rc < 0)
            return rc;
    }
    return rc;
}

/* Apart, as pin_segment. 1: it is. */
static __attribute__((noinline)) int is_unit_of(struct batch *batch, uint64_t number, const struct key *key)
{
    struct unit unit;
    int rc = unit_read(batch, number, &unit);
    if (rc < 0)
        return rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
    return key_equals(&unit.of, key);
}

int unit_find_pinned(struct batch *batch, const struct key *key, uint64_t *number)
{
    struct key prefix, at;
    MDB_val value;
    int rc;
    *number = 0;
    key_order(&prefix, TICK_PINNED, 0);
    prefix.size -= sizeof *number;
    for (at = prefix; (rc = batch_next(batch, &at, &prefix, &value)) == 0; key_step(&at)) {
        rc = is_unit_of(batch, key_number(at.data + 5), key);
        if (rc == 1)
            *number = key_number(at.data + 5);
        if (rc != 0)
            return rc < 0 ? rc : 0;
    }
    return rc == -ENOENT ? 0 : rc;
}

int unit_move(struct batch *batch, struct unit *unit, uint32_t tick)
{
    if (unit->tick == tick)
        return 0;
    int rc = remove_order(batch, unit->tick, unit->number);
    if (rc < 0)
        return rc;
    count(batch, unit->tick, -(int64_t)unit->bytes);
    unit->tick = tick;
    count(batch, tick, (int64_t)unit->bytes);
    rc = unit_put_order(batch, unit);
    return rc < 0 ? rc : put_unit(batch, unit);
}

int unit_grow(struct batch *batch, uint64_t number, int64_t by)
{
    struct unit unit;
    int rc = by ? unit_read(batch, number, &unit) : -ENOENT;
    if (rc < 0)
        return rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
    unit.bytes += (uint64_t)by;
    count(batch, unit.tick, by);
    count_put(batch, by);
    return put_unit(batch, &unit);
}

int unit_remove(struct batch *batch, uint64_t number)
{
    struct unit unit;
    struct key key;
    int rc = number ? unit_read(batch, number, &unit) : -ENOENT;
    if (rc < 0)
        return rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
    count(batch, unit.tick, -(int64_t)unit.bytes);
    rc = remove_order(batch, unit.tick, number);
    key_unit(&key, number);
    return rc < 0 ? rc : batch_remove(batch, &key);
}

/* As LMDB lays out nodes: what is more than half a page has pages of its own. */
uint64_t unit_cost(struct batch *batch, const struct key *key, size_t size)
{
    size_t page = batch->page_size;
    return batch_has_own_pages(batch, key, size) ? (size + 15) / page * page + page
                                                 : 8 + key->size + size + 2;
}

/* Apart, for the room that keys take on a stack. */
static __attribute__((noinline)) int pin_segment(struct batch *batch, uint64_t number, bool pinned)
{
    struct unit unit;
    int rc = unit_read(batch, number, &unit);
    if (rc == 0)
        rc = unit_move(batch, &unit, pinned ? TICK_PINNED : batch->clock.tick);
    return rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
}

int unit_pin_version(struct batch *batch, uint64_t version, bool pinned)
{
    struct key prefix, at;
    MDB_val value;
    int rc;
    if (version == 0)
        return 0;
    key_version(&prefix, version);
    at = prefix;
    while ((rc = batch_next(batch, &at, &prefix, &value)) == 0) {
        rc = key_is_segment(&at) ? pin_segment(batch, value_number(&value), pinned) : 0;
        if (rc < 0)
            return rc;
        key_segment(&at, version, key_segment_number(&at) + 1);
    }
    return rc == -ENOENT ? 0 : rc;
}
