/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/scan.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"

#define COUNT_MAX 1024 /* records a transaction: one that is held for long makes the file grow */

/* Of its blocks and what names their units; their pages are not touched for that. */
static uint64_t blocks_size(struct scan *scan, struct reader *reader, uint64_t version)
{
    struct key key;
    MDB_cursor *cursor;
    MDB_val name, value;
    uint64_t size = 0;
    if (version == 0 || mdb_cursor_open(reader->txn, scan->store->dbi, &cursor) != 0)
        return 0;
    key_version(&key, version);
    name = (MDB_val){key.size, key.data};
    int rc = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE);
    for (; rc == 0 && key_begins(name.mv_data, name.mv_size, &key);
         rc = mdb_cursor_get(cursor, &name, &value, MDB_NEXT))
        size += value.mv_size;
    mdb_cursor_close(cursor);
    return size;
}

static int tell(struct scan *scan, struct reader *reader, const struct record *record, const MDB_val *value,
                scan_fn *fn, void *arg)
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
    return fn(arg, &stored);
}

/* The record at scan->from or behind: LMDB's status, MDB_NOTFOUND also where it is not of the range. */
static int find(struct scan *scan, MDB_cursor *cursor, MDB_val *value)
{
    MDB_val name = {scan->from.size, scan->from.data};
    int rc = mdb_cursor_get(cursor, &name, value, MDB_SET_RANGE);
    if (rc != 0)
        return rc;
    if (!key_begins(name.mv_data, name.mv_size, &scan->prefix) ||
        (scan->one && name.mv_size > scan->prefix.size))
        return MDB_NOTFOUND;
    scan->from.size = name.mv_size;
    memcpy(scan->from.data, name.mv_data, name.mv_size);
    return 0;
}

static int tell_some(struct scan *scan, struct reader *reader, MDB_cursor *cursor, unsigned count,
                     scan_fn *fn, void *arg)
{
    struct record record;
    MDB_val value;
    int rc = 0, status = 0;
    while (status == 0 && count-- > 0 && (rc = find(scan, cursor, &value)) == 0) {
        if (record_read_any(&scan->from, value.mv_data, value.mv_size, &record) < 0)
            reader_found_damage(scan->store, &scan->from);
        else
            status = tell(scan, reader, &record, &value, fn, arg);
        key_step(&scan->from);
    }
    if (rc != 0 && rc != MDB_NOTFOUND)
        return fail_errno(-lmdb_status(rc), "cache %s", scan->store->dir);
    scan->end = rc == MDB_NOTFOUND;
    return status;
}

/* All that is below the path; or everything. */
static void go_below(struct scan *scan)
{
    bool exact;
    scan->one = scan->end = false;
    scan->from = (struct key){.size = 1, .data = {(unsigned char)scan->type}};
    if (scan->place)
        key_below(&scan->from, scan->type, scan->place, scan->root, &exact);
    scan->prefix = scan->from;
}

void scan_begin(struct scan *scan, struct store *store, enum key_type type, const struct place *place,
                const char *path)
{
    bool exact = false;
    *scan = (struct scan){.store = store, .type = type, .place = place, .root = path};
    if (place)
        key_below(&scan->from, type, place, path, &exact);
    if (!exact || !*path) {
        go_below(scan);
        return;
    }
    key_path(&scan->from, type, place, path); /* it does not begin as what is below it does */
    scan->prefix = scan->from;
    scan->one = true;
}

int scan_some(struct scan *scan, unsigned count, scan_fn *fn, void *arg)
{
    MDB_cursor *cursor;
    struct reader *reader = reader_begin(scan->store);
    if (!reader)
        return fail(-EAGAIN, "cache %s: it cannot be read now", scan->store->dir);
    int rc = mdb_cursor_open(reader->txn, scan->store->dbi, &cursor);
    if (rc == 0) {
        rc = tell_some(scan, reader, cursor, count, fn, arg);
        mdb_cursor_close(cursor);
    } else {
        rc = fail_errno(-lmdb_status(rc), "cache %s", scan->store->dir);
    }
    reader_end(scan->store, reader);
    if (rc == 0 && scan->end && scan->one)
        go_below(scan);
    return rc;
}

void scan_fini(struct scan *scan)
{
    mem_free(take(scan->text));
}

int scan_records(struct store *store, enum key_type type, const struct place *place, const char *path,
                 scan_fn *fn, void *arg)
{
    struct scan scan;
    int rc = 0;
    scan_begin(&scan, store, type, place, path);
    while (rc == 0 && !scan.end)
        rc = scan_some(&scan, COUNT_MAX, fn, arg);
    scan_fini(&scan);
    return rc;
}
