/* SPDX-License-Identifier: Apache-2.0 */
/* The public handle on a store: larder/cache.h, but for the mirror. */
#include "larder/cache.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "cache/cache.h"
#include "cache/cap.h"
#include "cache/edit.h"
#include "cache/view.h"
#include "fs/enter.h"
#include "fs/instance.h"
#include "fs/option.h"
#include "task/loop.h"

struct larder_cache {
    char *dir;
    char **options;             /* "cache.key=value", NULL-ended: what every view of it is opened with */
    struct lifetimes lifetimes; /* out of them */
    int64_t size_max, free_min; /* likewise; -1: as the store has them */
    struct store *store;        /* NULL: it cannot be used, which was logged */
};

/* ---- work that blocks: on the calling thread, from a task on a worker ---- */

struct work_call {
    work_fn *fn;
    void *arg;
};

static int CO_EDGE in_a_task(struct work_call *call)
{
    return offload(call->fn, call->arg);
}

static int blocking(work_fn *fn, void *arg, const char *what)
{
    struct work_call call = {fn, arg};
    enum edge where = edge_where(NULL);
    error_clear();
    int rc = where == EDGE_CALLBACK ? edge_refuse(where, what)
             : where == EDGE_THREAD ? fn(arg)
                                    : in_a_task(&call);
    return error_finish(rc, what);
}

/* ---- opening ---- */

static void options_drop(char **options)
{
    for (size_t i = 0; options && options[i]; i++)
        mem_free(options[i]);
    mem_free(options);
}

static size_t options_count(const char *const options[])
{
    size_t count = 0;
    while (options && options[count])
        count++;
    return count;
}

/* Those given, under their layer's name, and where it is. */
static char **options_keep(const char *const options[], const char *dir)
{
    size_t count = options_count(options);
    char **kept = mem_array(count + 2, sizeof *kept);
    bool whole = kept;
    for (size_t i = 0; whole && i < count; i++) {
        bool layered = strncmp(options[i], "cache.", 6) == 0;
        kept[i] = layered ? mem_dup(options[i]) : mem_format("cache.%s", options[i]);
        whole = kept[i];
    }
    if (whole) {
        kept[count] = mem_format("cache.dir=%s", dir);
        whole = kept[count];
    }
    if (whole)
        return kept;
    options_drop(kept);
    return NULL;
}

static int open_store(void *arg)
{
    struct larder_cache *cache = arg;
    if (store_open(cache->dir, &cache->store) < 0)
        log_at(LARDER_LOG_WARNING, "the cache cannot be used: %s", error_text());
    else if (cache->size_max >= 0 || cache->free_min >= 0)
        cap_change(cache->store, cache->size_max, cache->free_min);
    return 0;
}

/* What the options say of the cache itself; they are checked on the way. */
static int take_options(struct larder_cache *cache, const char *const options[])
{
    struct view view = {.instance = {.backend = &cache_backend}};
    int rc = options_take(&cache_backend, options, true, &view.instance.option_values);
    if (rc < 0)
        return rc;
    rc = view_take_options(&view);
    cache->lifetimes = view.lifetimes;
    cache->size_max = view.size_max;
    cache->free_min = view.free_min;
    if (rc == 0)
        rc = cache_directory(option_text(&view.instance, "dir"), &cache->dir);
    options_free(&cache_backend, view.instance.option_values);
    return rc;
}

int larder_cache_open(const char *const options[], struct larder_cache **out)
{
    struct larder_cache *cache = mem_zero(sizeof *cache);
    error_clear();
    if (!cache)
        return fail_memory();
    int rc = take_options(cache, options);
    if (rc == 0) {
        cache->options = options_keep(options, cache->dir);
        rc = cache->options ? blocking(open_store, cache, cache->dir) : fail_memory();
    }
    if (rc < 0) {
        larder_cache_free(cache);
        return rc;
    }
    *out = cache;
    return 0;
}

void larder_cache_free(struct larder_cache *cache)
{
    if (!cache)
        return;
    store_unref(cache->store);
    options_drop(cache->options);
    lifetimes_fini(&cache->lifetimes);
    mem_free(cache->dir);
    mem_free(cache);
}

/* ---- a filesystem through it ---- */

static const char **options_join(char **first, const char *const second[])
{
    size_t count = options_count((const char *const *)first), more = options_count(second);
    const char **all = mem_array(count + more + 1, sizeof *all);
    if (!all)
        return NULL;
    for (size_t i = 0; i < count; i++)
        all[i] = first[i];
    for (size_t i = 0; i < more; i++)
        all[count + i] = second[i];
    return all;
}

int larder_cache_fs(struct larder_cache *cache, struct larder_fs *next, const char *const options[],
                    struct larder_fs **out)
{
    struct larder_fs *below = NULL, *fs = NULL;
    struct instance *instance = NULL;
    struct opening opening = {.backend = &cache_backend, .asynchronous = next->instance->gate};
    opening.loop = larder_fs_is_async(next) ? next->instance->loop : loop_meant(NULL);
    error_clear();
    autofree const char **all = options_join(cache->options, options);
    int rc = all ? options_check_layers(options) : fail_memory();
    if (rc == 0)
        rc = fs_new(instance_ref(next->instance), "", &below);
    if (rc == 0)
        rc = options_take(&cache_backend, all, true, &opening.values);
    opening.next = below;
    if (rc == 0)
        rc = instance_get(&opening, &instance);
    larder_fs_free(below);
    if (rc == 0)
        rc = fs_new(instance, next->root, &fs);
    if (rc < 0)
        return error_finish(rc, cache->dir);
    fs->timeout_ms = next->timeout_ms;
    *out = fs;
    return 0;
}

/* ---- flush, clear ---- */

static int CO_EDGE flush_in_task(struct store *store)
{
    return writer_flush_wait(store);
}

int larder_cache_flush(struct larder_cache *cache)
{
    enum edge where = edge_where(NULL);
    error_clear();
    if (where == EDGE_CALLBACK)
        return edge_refuse(where, "larder_cache_flush");
    if (!cache->store)
        return 0;
    if (!store_is_ours(cache->store))
        return fail(-ECHILD, "%s: the handle stayed with the parent of a fork", cache->dir);
    int rc = where == EDGE_THREAD ? writer_flush(cache->store, -1) : flush_in_task(cache->store);
    return error_finish(rc, cache->dir);
}

int larder_cache_clear(struct larder_cache *cache, struct larder_fs *fs, const char *path)
{
    autofree char *full = NULL;
    struct place place = {0};
    enum edge where = edge_where(NULL);
    error_clear();
    if (where == EDGE_CALLBACK)
        return edge_refuse(where, "larder_cache_clear");
    int rc = path_resolve(fs ? fs->root : "", path, &full, NULL);
    if (rc < 0 || !cache->store)
        return rc;
    if (cache->store->read_only)
        return fail(-EROFS, "%s: it can only be read", cache->dir);
    rc = fs ? enter_begin(fs, "larder_cache_clear") : 0;
    if (rc < 0)
        return rc;
    if (fs)
        place = place_of(fs->instance->identity);
    store_changed(cache->store, &place, full, true, false);
    if (fs)
        enter_end(fs);
    return larder_cache_flush(cache);
}

/* ---- statistics ---- */

#define SCAN_COUNT 8192 /* keys a transaction: one that is held for long makes the file grow */

struct scan {
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

static int scan_some(struct scan *scan)
{
    struct reader *reader = reader_begin(scan->store);
    MDB_cursor *cursor;
    if (!reader)
        return fail(-EAGAIN, "cache %s: it cannot be read now", scan->store->dir);
    int rc = mdb_cursor_open(reader->txn, scan->store->dbi, &cursor);
    if (rc == 0) {
        MDB_val name = {scan->from.size, scan->from.data}, value;
        rc = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE);
        for (int i = 0; rc == 0 && i < SCAN_COUNT; i++) {
            count_value(scan->stats, &name, &value);
            rc = mdb_cursor_get(cursor, &name, &value, MDB_NEXT);
        }
        if (rc == 0) {
            scan->from.size = name.mv_size;
            memcpy(scan->from.data, name.mv_data, name.mv_size);
        }
        mdb_cursor_close(cursor);
    }
    reader_end(scan->store, reader);
    scan->end = rc == MDB_NOTFOUND;
    return rc == 0 || scan->end ? 0 : fail_errno(-store_status(rc), "cache %s", scan->store->dir);
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
    stats->stale = sums[COUNT_STALE];
    stats->damaged = sums[COUNT_DAMAGED];
    return 0;
}

static int scan_all(void *arg)
{
    struct scan *scan = arg;
    int rc = read_totals(scan->store, scan->stats);
    while (rc == 0 && !scan->end)
        rc = scan_some(scan);
    return rc;
}

int larder_cache_stats(struct larder_cache *cache, struct larder_cache_stats *out)
{
    struct larder_cache_stats stats = {.size = out->size, .dir = cache->dir};
    struct scan scan = {.store = cache->store, .stats = &stats, .from = {.size = 1}};
    int rc = cache->store ? blocking(scan_all, &scan, cache->dir)
                          : fail(-EROFS, "cache %s: it cannot be used", cache->dir);
    if (rc == 0)
        memcpy(out, &stats, out->size < sizeof stats ? out->size : sizeof stats);
    return rc;
}
