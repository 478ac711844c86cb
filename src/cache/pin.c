/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/pin.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "cache/unit.h"

/* ---- looking ---- */

static bool is_set(struct store *store, struct reader *reader, const struct place *place, const char *path)
{
    struct key key;
    struct record record;
    const void *data;
    size_t size;
    key_path(&key, KEY_PIN, place, path);
    return reader_get(store, reader, &key, &data, &size) == 0 &&
           record_read(&key, place, path, data, size, &record) == 0;
}

bool pin_is_set(struct store *store, const struct place *place, const char *path)
{
    struct reader *reader = reader_begin(store);
    bool set = reader && is_set(store, reader, place, path);
    if (reader)
        reader_end(store, reader);
    return set;
}

bool pin_covers(struct store *store, const struct place *place, const char *path)
{
    autofree char *above = mem_dup(path);
    struct reader *reader = above ? reader_begin(store) : NULL;
    if (!reader)
        return false;
    bool set = is_set(store, reader, place, above);
    while (!set && *above) {
        above[path_parent_size(above)] = 0;
        set = is_set(store, reader, place, above);
    }
    reader_end(store, reader);
    return set;
}

/* ---- setting ---- */

struct pin {
    struct op op;
    struct place place;
    bool pinned;
    bool begun;         /* the pin is as it is to be; what lies below follows … */
    bool listings;      /* … files first */
    struct below below; /* goes on where the last transaction ended */
    const char *path;
    char text[]; /* the identity, the path */
};

static int put_pin(struct batch *batch, const struct pin *pin, const struct key *key)
{
    struct record record = {
        .head = {.state = RECORD_KNOWN, .id = store_number(), .answered_ns = wall_ns(), .size = -1}};
    void *room;
    int rc = batch_room(batch, key, record_size(&pin->place, pin->path, &record), &room);
    if (rc == 0)
        record_write(key, &pin->place, pin->path, &record, room);
    return rc;
}

static int change_pin(struct batch *batch, const struct pin *pin)
{
    struct key key;
    MDB_val value;
    key_path(&key, KEY_PIN, &pin->place, pin->path);
    bool there = batch_get(batch, &key, &value) == 0;
    batch->clock.pins += (uint64_t)pin->pinned - (uint64_t)there;
    return pin->pinned ? put_pin(batch, pin, &key) : batch_remove(batch, &key);
}

/* A record is pinned, or not any more; so are its blocks. */
static int follow(struct batch *batch, const struct pin *pin, const struct record *record)
{
    struct record_head head = record->head;
    struct unit unit;
    const struct place *place = &pin->place;
    if (head.identity_size != place->size ||
        memcmp(record->path - head.identity_size, place->identity, place->size) != 0)
        return 0;
    bool pinned = pin->pinned;
    int rc = pinned ? 0 : batch_record_is_pinned(batch, record, &pinned);
    if (rc == 0)
        rc = unit_read(batch, head.unit, &unit);
    if (rc == 0 && (unit.tick == TICK_PINNED) != pinned)
        rc = unit_move(batch, &unit, pinned ? TICK_PINNED : batch->clock.tick);
    if (rc < 0)
        return rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
    return unit_pin_version(batch, head.version, pinned);
}

static int follow_all(struct batch *batch, struct pin *pin)
{
    struct record record;
    int rc;
    while ((rc = below_next(batch, &pin->below, &record)) == 0) {
        if (batch->removed++ >= REMOVE_COUNT_MAX)
            return EDIT_AGAIN;
        rc = record.head.id ? follow(batch, pin, &record) : 0;
        if (rc < 0)
            return rc;
        below_step(&pin->below);
    }
    return rc == -ENOENT ? 0 : rc;
}

static int apply(struct op *op, struct batch *batch)
{
    struct pin *pin = container_of(op, struct pin, op);
    int rc = pin->begun ? 0 : change_pin(batch, pin);
    if (!pin->begun)
        below_begin(&pin->below, KEY_RECORD, &pin->place, pin->path);
    pin->begun = true;
    if (rc == 0 && !pin->listings) {
        rc = follow_all(batch, pin);
        if (rc != 0)
            return rc;
        below_begin(&pin->below, KEY_LISTING, &pin->place, pin->path);
        pin->listings = true;
    }
    return rc < 0 ? rc : follow_all(batch, pin);
}

static void done(struct op *op, int status)
{
    mem_free(container_of(op, struct pin, op));
}

int pin_set(struct store *store, const struct place *place, const char *path, bool pinned)
{
    size_t identity_size = place->size + 1, path_size = strlen(path) + 1;
    struct pin *pin = mem_zero(sizeof *pin + identity_size + path_size);
    if (!pin)
        return fail_memory();
    pin->op = (struct op){.apply = apply, .done = done};
    pin->place = *place;
    pin->place.identity = memcpy(pin->text, place->identity, identity_size);
    pin->path = memcpy(pin->text + identity_size, path, path_size);
    pin->pinned = pinned;
    int rc = writer_add(store, &pin->op);
    if (rc == 0)
        return 0;
    mem_free(pin);
    return fail_errno(-rc, "cache %s: it cannot be written", store->dir);
}
