/* SPDX-License-Identifier: Apache-2.0 */
/* What a store holds, counted, and what it has done. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "cache/cap.h"
#include "cache/compact.h"
#include "cache/handle.h"
#include "fs/fs.h"

#define KEYS_MAX 8192 /* keys a transaction: one that is held for long makes the file grow */

struct counting {
    struct store *store;
    struct larder_cache_stats *stats;
    struct key from;
    bool end;
};

static void count_value(struct larder_cache_stats *stats, const MDB_val *name, const MDB_val *value)
{
    struct record_head head;
    switch (*(unsigned char *)name->mv_data) {
    case KEY_BLOCK:
        stats->blocks += name->mv_size == KEY_BLOCK_SIZE;
        return;
    case KEY_RECORD:
    case KEY_LISTING:
        if (value->mv_size < sizeof head)
            return;
        memcpy(&head, value->mv_data, sizeof head);
        if (head.state != RECORD_KNOWN)
            return;
        if (*(unsigned char *)name->mv_data == KEY_LISTING)
            stats->listings++;
        else if (head.type == LARDER_FILE)
            stats->files++;
        return;
    default:
        return;
    }
}

static int count_some(struct counting *counting)
{
    struct reader *reader = reader_begin(counting->store);
    MDB_cursor *cursor;
    if (!reader)
        return fail(-EAGAIN, "cache %s: it cannot be read now", counting->store->dir);
    int rc = mdb_cursor_open(reader->txn, counting->store->dbi, &cursor);
    if (rc == 0) {
        MDB_val name = {counting->from.size, counting->from.data}, value;
        rc = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE);
        for (int i = 0; rc == 0 && i < KEYS_MAX; i++) {
            count_value(counting->stats, &name, &value);
            rc = mdb_cursor_get(cursor, &name, &value, MDB_NEXT);
        }
        if (rc == 0) {
            counting->from.size = name.mv_size;
            memcpy(counting->from.data, name.mv_data, name.mv_size);
        }
        mdb_cursor_close(cursor);
    }
    reader_end(counting->store, reader);
    counting->end = rc == MDB_NOTFOUND;
    return rc == 0 || counting->end ? 0 : fail_errno(-lmdb_status(rc), "cache %s", counting->store->dir);
}

static int read_totals(struct store *store, struct larder_cache_stats *stats)
{
    struct cap cap;
    uint64_t sums[COUNTERS] = {0};
    int rc = cap_read(store, &cap);
    struct reader *reader = rc == 0 ? reader_begin(store) : NULL;
    if (!reader)
        return rc < 0 ? rc : fail(-EAGAIN, "cache %s: it cannot be read now", store->dir);
    reader_get_struct(store, reader, "counters", sums, sizeof sums);
    reader_end(store, reader);
    for (unsigned i = 0; i < COUNTERS; i++)
        sums[i] += store_counted(store, i) - atomic_load_explicit(&store->saved[i], memory_order_relaxed);
    stats->bytes = cap.used;
    stats->size_max = cap.size_max;
    stats->pinned_bytes = cap.pinned;
    stats->hits = sums[COUNT_HITS];
    stats->misses = sums[COUNT_MISSES];
    stats->hit_bytes = sums[COUNT_HIT_BYTES];
    stats->miss_bytes = sums[COUNT_MISS_BYTES];
    stats->evictions = sums[COUNT_EVICTED];
    stats->evicted_bytes = sums[COUNT_EVICTED_BYTES];
    stats->refused = sums[COUNT_REFUSED];
    stats->damaged = sums[COUNT_DAMAGED];
    stats->stale = sums[COUNT_STALE];
    stats->disk_bytes = store_disk_size(store);
    return 0;
}

static int count_all(void *arg)
{
    struct counting *counting = arg;
    int rc = read_totals(counting->store, counting->stats);
    while (rc == 0 && !counting->end)
        rc = count_some(counting);
    return rc;
}

int larder_cache_stats(struct larder_cache *cache, struct larder_cache_stats *out)
{
    struct larder_cache_stats stats = {.dir = cache->dir};
    struct counting counting = {.stats = &stats, .from = {.size = 1}};
    error_clear();
    int rc = out ? tuning_check(out) : fail(-EINVAL, "larder_cache_stats: nowhere to put them");
    if (rc == 0)
        rc = cache_store(cache, false, &counting.store);
    if (rc == 0)
        rc = cache_blocking(count_all, &counting, cache->dir);
    if (rc == 0)
        tuning_give(out, &stats, sizeof stats);
    return rc;
}
