/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/scan.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"

#define COUNT_MAX 1024 /* records a transaction: one that is held for long makes the file grow */

struct scan {
    struct store *store;
    const struct place *place;
    const char *root;
    scan_fn *fn;
    void *arg;
    struct key from, prefix;
    bool one;   /* nothing but what stands at `prefix` itself */
    char *text; /* room for a path and an identity */
    size_t text_size;
};

/* Of its blocks; their pages are not touched for that. */
static uint64_t blocks_size(struct scan *scan, struct reader *reader, uint64_t version)
{
    struct key key;
    MDB_cursor *cursor;
    MDB_val name, value;
    uint64_t size = 0;
    if (version == 0 || mdb_cursor_open(reader->txn, scan->store->dbi, &cursor) != 0)
        return 0;
    key_block(&key, version, 0);
    name = (MDB_val){key.size, key.data};
    int rc = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE);
    for (; rc == 0 && name.mv_size == key.size && memcmp(name.mv_data, key.data, KEY_PATH_AT) == 0;
         rc = mdb_cursor_get(cursor, &name, &value, MDB_NEXT))
        size += value.mv_size;
    mdb_cursor_close(cursor);
    return size;
}

static int tell(struct scan *scan, struct reader *reader, const struct record *record, const MDB_val *value)
{
    size_t path_size = record->head.path_size, identity_size = record->head.identity_size;
    if (path_size + identity_size + 2 > scan->text_size) {
        char *text = mem_resize(scan->text, path_size + identity_size + 2);
        if (!text)
            return fail_memory();
        scan->text = text;
        scan->text_size = path_size + identity_size + 2;
    }
    char *path = scan->text, *identity = path + path_size + 1;
    memcpy(path, record->path, path_size);
    path[path_size] = 0;
    memcpy(identity, record->path - identity_size, identity_size);
    identity[identity_size] = 0;
    if (scan->place && (strcmp(identity, scan->place->identity) != 0 || !path_within(scan->root, path)))
        return 0;
    struct stored stored = {.record = record, .path = path, .identity = identity};
    stored.bytes = value->mv_size + blocks_size(scan, reader, record->head.version);
    return scan->fn(scan->arg, &stored);
}

/* 0: there may be more, from scan->from on; MDB_NOTFOUND: that was all. */
static int scan_some(struct scan *scan, struct reader *reader, MDB_cursor *cursor, int *status)
{
    struct record record;
    MDB_val name = {scan->from.size, scan->from.data}, value;
    int rc = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE);
    for (unsigned i = 0; rc == 0; i++, rc = mdb_cursor_get(cursor, &name, &value, MDB_NEXT)) {
        if (name.mv_size < scan->prefix.size || (scan->one && name.mv_size > scan->prefix.size) ||
            memcmp(name.mv_data, scan->prefix.data, scan->prefix.size) != 0)
            return MDB_NOTFOUND;
        scan->from.size = name.mv_size;
        memcpy(scan->from.data, name.mv_data, name.mv_size);
        if (i == COUNT_MAX)
            return 0;
        if (record_read_any(&scan->from, value.mv_data, value.mv_size, &record) < 0) {
            reader_found_damage(scan->store, &scan->from);
            continue;
        }
        *status = tell(scan, reader, &record, &value);
        if (*status != 0)
            return MDB_NOTFOUND;
    }
    return rc;
}

static int scan_range(struct scan *scan)
{
    int status = 0, rc = 0;
    scan->prefix = scan->from;
    while (rc == 0 && status == 0) {
        struct reader *reader = reader_begin(scan->store);
        MDB_cursor *cursor;
        if (!reader)
            return fail(-EAGAIN, "cache %s: it cannot be read now", scan->store->dir);
        rc = mdb_cursor_open(reader->txn, scan->store->dbi, &cursor);
        if (rc == 0) {
            rc = scan_some(scan, reader, cursor, &status);
            mdb_cursor_close(cursor);
        }
        reader_end(scan->store, reader);
    }
    if (status != 0 || rc == MDB_NOTFOUND)
        return status;
    return fail_errno(-store_status(rc), "cache %s", scan->store->dir);
}

int scan_records(struct store *store, enum key_type type, const struct place *place, const char *path,
                 scan_fn *fn, void *arg)
{
    struct scan scan = {.store = store, .place = place, .root = path, .fn = fn, .arg = arg};
    struct key below = {.size = 1, .data = {(unsigned char)type}};
    bool exact = false;
    int rc = 0;
    if (place)
        key_below(&below, type, place, path, &exact);
    if (exact && *path) { /* it does not begin as what is below it does */
        key_path(&scan.from, type, place, path);
        scan.one = true;
        rc = scan_range(&scan);
    }
    scan.from = below;
    scan.one = false;
    if (rc == 0)
        rc = scan_range(&scan);
    mem_free(scan.text);
    return rc;
}
