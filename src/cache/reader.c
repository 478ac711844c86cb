/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the store, on any thread, without a lock or a wait: a hit is a transaction out of the pool, one
 * look-up (and one a block), a checksum and a copy.
 */
#include "cache/store.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "base/error.h"
#include "base/seams.h"
#include "cache/damage.h"
#include "cache/edit.h"
#include "cache/shared.h"

/* ---- the pool ---- */

/* Where this thread looks first, so that threads seldom meet; and whose counters it adds to. */
static unsigned thread_number(void)
{
    static atomic_uint threads;
    static _Thread_local unsigned number;
    if (number == 0)
        number = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) + 1;
    return number;
}

void reader_free(struct reader *reader)
{
    if (!reader)
        return;
    mdb_txn_abort(reader->txn);
    ZSTD_freeDCtx(reader->unpacker);
    mem_free(reader->scratch);
    mem_free(reader);
}

static struct reader *reader_new(struct store *store)
{
    struct reader *reader = mem_zero(sizeof *reader);
    if (!reader)
        return NULL;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &reader->txn);
    if (rc == 0)
        return reader;
    mem_free(reader);
    store_say(store, SAID_READERS, "%s: reads go on without it", mdb_strerror(rc));
    return NULL;
}

struct reader *reader_begin(struct store *store)
{
    if (!store_is_ours(store))
        return NULL;
    unsigned first = thread_number();
    for (unsigned i = 0; i < READERS_POOLED; i++) {
        struct reader *_Atomic *slot = &store->pool[(first + i) % READERS_POOLED];
        if (!atomic_load_explicit(slot, memory_order_relaxed))
            continue;
        struct reader *reader = atomic_exchange_explicit(slot, NULL, memory_order_acquire);
        if (!reader)
            continue;
        if (mdb_txn_renew(reader->txn) == 0)
            return reader;
        reader_free(reader);
        break;
    }
    return reader_new(store);
}

void reader_end(struct store *store, struct reader *reader)
{
    unsigned first = thread_number();
    mdb_txn_reset(reader->txn); /* at once: a snapshot that is held makes the file grow */
    for (unsigned i = 0; i < READERS_POOLED; i++) {
        struct reader *_Atomic *slot = &store->pool[(first + i) % READERS_POOLED], *none = NULL;
        if (atomic_compare_exchange_strong_explicit(slot, &none, reader, memory_order_release,
                                                    memory_order_relaxed))
            return;
    }
    reader_free(reader);
}

void store_count(struct store *store, enum counter counter, uint64_t by)
{
    unsigned part = thread_number() % (sizeof store->counters / sizeof store->counters[0]);
    atomic_fetch_add_explicit(&store->counters[part].count[counter], by, memory_order_relaxed);
}

uint64_t store_counted(struct store *store, enum counter counter)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < sizeof store->counters / sizeof store->counters[0]; i++)
        sum += atomic_load_explicit(&store->counters[i].count[counter], memory_order_relaxed);
    return sum;
}

/* ---- values ---- */

int reader_get(struct store *store, struct reader *reader, const struct key *key, const void **data,
               size_t *size)
{
    MDB_val name = {key->size, (void *)key->data}, value;
    int rc = damage_get(reader->txn, store->dbi, &name, &value);
    if (rc != 0) {
        if (rc != MDB_NOTFOUND)
            edit_condemn(store);
        return -ENOENT;
    }
    *data = value.mv_data;
    *size = value.mv_size;
    return 0;
}

void reader_get_struct(struct store *store, struct reader *reader, const char *name, void *out, size_t size)
{
    struct key key;
    const void *data;
    size_t there;
    key_meta(&key, name);
    if (reader_get(store, reader, &key, &data, &there) == 0 && there == size)
        memcpy(out, data, size);
}

void reader_found_damage(struct store *store, const struct key *key)
{
    store_count(store, COUNT_DAMAGED, 1);
    store_say(store, SAID_DAMAGE, "a value is damaged: it is removed, and fetched again");
    edit_repair(store, key);
}

int reader_find(struct store *store, enum key_type type, const struct place *place, const char *path,
                struct reader **reader, struct record *out)
{
    struct key key;
    const void *data;
    size_t size;
    uint64_t id;
    /* Before the snapshot is taken: what is not known to be changed now, the snapshot has as it is. */
    if (store_is_changed(store, type, place, path, &id))
        return -ENOENT;
    struct reader *begun = reader_begin(store);
    if (!begun)
        return -EAGAIN;
    key_path(&key, type, place, path);
    int rc = reader_get(store, begun, &key, &data, &size);
    if (rc == 0)
        rc = record_read(&key, place, path, data, size, out);
    if (rc == 0) {
        shared_touch(store->shared, out->head.id);
        *reader = begun;
        return 0;
    }
    reader_end(store, begun);
    if (rc == -EBADMSG)
        reader_found_damage(store, &key);
    return -ENOENT;
}

int store_seen(struct store *store, enum key_type type, const struct place *place, const char *path,
               struct seen *out)
{
    struct key key;
    const void *data;
    size_t size;
    struct record record;
    uint64_t id = 0, epoch = 0;
    /* In this order: a tree that is in the store by now is counted twice at worst: nothing is kept. */
    unsigned pending = store_trees_pending(store);
    bool changed = store_is_changed(store, type, place, path, &id);
    struct reader *reader = reader_begin(store);
    if (!reader)
        return -EAGAIN;
    reader_get_struct(store, reader, "epoch", &epoch, sizeof epoch);
    key_path(&key, type, place, path);
    if (!changed && reader_get(store, reader, &key, &data, &size) == 0 &&
        record_read(&key, place, path, data, size, &record) == 0)
        id = record.head.id;
    reader_end(store, reader);
    *out = (struct seen){.id = id, .epoch = epoch + pending};
    return 0;
}

bool reader_has_below(struct store *store, struct reader *reader, const struct key *prefix)
{
    struct key key;
    struct record record = {0};
    MDB_cursor *cursor;
    MDB_val name = {prefix->size, (void *)prefix->data}, value;
    bool found = false;
    if (mdb_cursor_open(reader->txn, store->dbi, &cursor) != 0)
        return false;
    int rc = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE);
    while (rc == 0 && !found && name.mv_size >= prefix->size &&
           memcmp(name.mv_data, prefix->data, prefix->size) == 0) {
        key.size = name.mv_size;
        memcpy(key.data, name.mv_data, name.mv_size);
        found = record_read_any(&key, value.mv_data, value.mv_size, &record) == 0 &&
                record.head.state == RECORD_KNOWN;
        rc = mdb_cursor_get(cursor, &name, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return found;
}

/* ---- bytes ---- */

static int put_packed(struct reader *reader, const void *payload, size_t size, size_t raw_size, size_t from,
                      size_t count, struct sink *sink)
{
    static const ZSTD_customMem memory = {mem_library_alloc, mem_library_free, NULL};
    if (!reader->unpacker)
        reader->unpacker = ZSTD_createDCtx_advanced(memory);
    if (!reader->scratch)
        reader->scratch = mem_alloc((size_t)BLOCK_SIZE);
    if (!reader->unpacker || !reader->scratch)
        return fail_memory();
    size_t got = ZSTD_decompressDCtx(reader->unpacker, reader->scratch, (size_t)BLOCK_SIZE, payload, size);
    if (ZSTD_isError(got) || got != raw_size)
        return -EBADMSG;
    return sink_put(sink, reader->scratch + from, count);
}

static int put_block(struct store *store, struct reader *reader, const struct key *key, size_t expected,
                     size_t from, size_t count, struct sink *sink)
{
    const void *data, *payload;
    size_t size;
    struct block_head head;
    int rc = reader_get(store, reader, key, &data, &size);
    if (rc == 0)
        rc = block_read(key, data, size, &head, &payload);
    if (rc == 0 && head.raw_size != expected)
        rc = -EBADMSG;
    if (rc < 0)
        return -EBADMSG;
    if (head.codec == CODEC_RAW)
        return sink_put(sink, (const char *)payload + from, count);
    return put_packed(reader, payload, size - sizeof head, head.raw_size, from, count, sink);
}

static int put_body(struct reader *reader, const struct record *record, int64_t start, int64_t count,
                    struct sink *sink)
{
    const struct record_head *head = &record->head;
    if (head->body_raw != head->size)
        return -EBADMSG;
    if (head->codec == CODEC_RAW && head->body_size == head->body_raw)
        return sink_put(sink, (const char *)record->body + start, (size_t)count);
    return put_packed(reader, record->body, head->body_size, head->body_raw, (size_t)start, (size_t)count,
                      sink);
}

int64_t reader_extent(struct store *store, struct reader *reader, const struct record *record, int64_t start,
                      int64_t count)
{
    struct key key;
    const void *data;
    size_t size;
    int64_t end = start + count, at = start;
    if (record->head.body_there)
        return count;
    while (record->head.version && at < end) {
        key_block(&key, record->head.version, (uint64_t)(at / BLOCK_SIZE));
        if (reader_get(store, reader, &key, &data, &size) < 0)
            break;
        at = (at / BLOCK_SIZE + 1) * BLOCK_SIZE;
    }
    return (at < end ? at : end) - start;
}

int64_t reader_next(struct store *store, struct reader *reader, const struct record *record, int64_t start)
{
    struct key key;
    MDB_cursor *cursor;
    MDB_val value;
    int64_t next = record->head.size;
    if (record->head.body_there || start >= next)
        return start < next ? start : next;
    if (!record->head.version || mdb_cursor_open(reader->txn, store->dbi, &cursor) != 0)
        return next;
    key_block(&key, record->head.version, (uint64_t)(start / BLOCK_SIZE));
    MDB_val name = {key.size, key.data};
    int rc = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE);
    if (rc == 0 && name.mv_size != key.size) /* the name of a segment's unit */
        rc = mdb_cursor_get(cursor, &name, &value, MDB_NEXT);
    if (rc == 0 && name.mv_size == key.size && memcmp(name.mv_data, key.data, KEY_PATH_AT) == 0)
        next = (int64_t)key_block_number(name.mv_data) * BLOCK_SIZE;
    mdb_cursor_close(cursor);
    return next < record->head.size ? next : record->head.size;
}

int64_t reader_amount(struct store *store, struct reader *reader, const struct record *record)
{
    int64_t size = record->head.size, amount = 0, at = 0;
    while (at < size) {
        int64_t there = reader_extent(store, reader, record, at, size - at);
        amount += there;
        at = there ? at + there : reader_next(store, reader, record, at + BLOCK_SIZE);
    }
    return amount;
}

int reader_has(struct store *store, struct reader *reader, const struct record *record, int64_t start,
               int64_t count)
{
    return reader_extent(store, reader, record, start, count) == count ? 0 : -ENOENT;
}

int reader_put(struct store *store, struct reader *reader, const struct record *record, int64_t start,
               int64_t count, struct sink *sink)
{
    int64_t size = record->head.size;
    assert(start >= 0 && count >= 0 && start + count <= size);
    if (record->head.body_there)
        return count ? put_body(reader, record, start, count, sink) : 0;
    while (count > 0) {
        struct key key;
        int64_t block = start / BLOCK_SIZE, at = block * BLOCK_SIZE, from = start - at;
        int64_t there = size - at < BLOCK_SIZE ? size - at : BLOCK_SIZE;
        int64_t piece = there - from < count ? there - from : count;
        key_block(&key, record->head.version, (uint64_t)block);
        shared_touch(store->shared, segment_id(record->head.version, (uint64_t)block / SEGMENT_BLOCKS));
        int rc = put_block(store, reader, &key, (size_t)there, (size_t)from, (size_t)piece, sink);
        if (rc == -EBADMSG)
            reader_found_damage(store, &key);
        if (rc < 0)
            return rc;
        start += piece;
        count -= piece;
    }
    return 0;
}
