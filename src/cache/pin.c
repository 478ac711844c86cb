/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/pin.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "cache/batch.h"

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
    const char *path;
    char text[]; /* the identity, the path */
};

static int apply(struct op *op, struct batch *batch)
{
    struct pin *pin = container_of(op, struct pin, op);
    struct record record = {
        .head = {.state = RECORD_KNOWN, .id = store_number(), .answered_ns = wall_ns(), .size = -1}};
    struct key key;
    key_path(&key, KEY_PIN, &pin->place, pin->path);
    return pin->pinned ? batch_write(batch, &key, &pin->place, pin->path, &record)
                       : batch_remove(batch, &key);
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
