/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cap.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/error.h"
#include "base/seams.h"
#include "cache/length.h"
#include "cache/shared.h"
#include "cache/unit.h"

#define FREE_MIN_MAX   (1ULL << 30) /* of the disk that is to stay free: a twentieth, up to this */
#define FREE_MIN_SHARE 20

/* ---- how much ---- */

static uint64_t tree_size(const MDB_stat *stat)
{
    return (uint64_t)(stat->ms_branch_pages + stat->ms_leaf_pages + stat->ms_overflow_pages) * stat->ms_psize;
}

static uint64_t used(struct batch *batch)
{
    MDB_stat stat;
    mdb_stat(batch->txn, batch->store->dbi, &stat);
    return tree_size(&stat);
}

#define PIECES_A_CAP 128

uint64_t cap_piece(uint64_t size_max)
{
    uint64_t piece = size_max / PIECES_A_CAP / (uint64_t)BLOCK_SIZE * (uint64_t)BLOCK_SIZE;
    return piece<(uint64_t)BLOCK_SIZE ? (uint64_t)BLOCK_SIZE : piece>(uint64_t) PUT_SIZE_MAX
               ? (uint64_t)PUT_SIZE_MAX
               : piece;
}

/* What the store may take of the disk: what it has, and what is free beyond what is to stay free; less what lies between
 * two transactions, in pages that are not free yet. */
static uint64_t disk_room(const struct store *store, uint64_t free_min)
{
    struct statvfs disk;
    struct stat file;
    int fd;
    if (mdb_env_get_fd(store->env, &fd) != 0 || fstatvfs(fd, &disk) < 0 || file_seam.fstat(fd, &file) < 0)
        return UINT64_MAX;
    uint64_t total = (uint64_t)disk.f_blocks * disk.f_frsize, free = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (free_min == FREE_MIN_DEFAULT)
        free_min = total / FREE_MIN_SHARE < FREE_MIN_MAX ? total / FREE_MIN_SHARE : FREE_MIN_MAX;
    uint64_t all = (uint64_t)file.st_blocks * 512 + free;
    uint64_t between = 3 * BATCH_PIECES * cap_piece(all);
    return all > free_min + between ? all - free_min - between : 0;
}

uint64_t cap_effective(const struct store *store, const struct limits *limits)
{
    MDB_envinfo info;
    mdb_env_info(store->env, &info);
    uint64_t size_max = limits->size_max, room = disk_room(store, limits->free_min);
    uint64_t map = info.me_mapsize / 4 * 3; /* it may be small */
    if (size_max > room)
        size_max = room;
    return size_max < map ? size_max : map;
}

int batch_read_limits(struct batch *batch)
{
    MDB_stat stat;
    int rc = mdb_stat(batch->txn, batch->store->dbi, &stat);
    if (rc != 0)
        return lmdb_status(rc);
    batch->page_size = stat.ms_psize;
    batch->limits = LIMITS_DEFAULT;
    batch_get_struct(batch, "limits", &batch->limits, sizeof batch->limits);
    batch->size_max = cap_effective(batch->store, &batch->limits);
    length_begin(batch);
    return 0;
}

int cap_read(struct store *store, struct cap *out)
{
    struct reader *reader = reader_begin(store);
    struct limits limits = LIMITS_DEFAULT;
    struct clock clock = {0};
    MDB_stat stat;
    if (!reader)
        return fail(-EAGAIN, "cache %s: it cannot be read now", store->dir);
    mdb_stat(reader->txn, store->dbi, &stat);
    reader_get_struct(store, reader, "limits", &limits, sizeof limits);
    reader_get_struct(store, reader, "clock", &clock, sizeof clock);
    reader_end(store, reader);
    *out = (struct cap){tree_size(&stat), clock.pinned, limits.size_max, limits.free_min};
    return 0;
}

bool cap_may_fit(const struct store *store, uint64_t more)
{
    struct cap cap = {.pinned = atomic_load_explicit(&store->pinned, memory_order_relaxed),
                      .size_max = atomic_load_explicit(&store->size_max, memory_order_relaxed)};
    return cap_fits(&cap, more);
}

/* ---- eviction ---- */

static uint64_t unit_id(const struct unit *unit, const struct record_head *head)
{
    return key_is_segment(&unit->of)
               ? segment_id(key_number(unit->of.data + 1), key_segment_number(&unit->of))
               : head->id;
}

/* The head of what a unit is of. False: it is of nothing. */
static bool read_unit_record(struct batch *batch, const struct unit *unit, struct record_head *out)
{
    MDB_val value;
    *out = (struct record_head){0};
    if (batch_get(batch, &unit->of, &value) != 0)
        return false;
    if (key_is_segment(&unit->of))
        return value_number(&value) == unit->number;
    if (value.mv_size < sizeof *out)
        return false;
    memcpy(out, value.mv_data, sizeof *out);
    return out->unit == unit->number;
}

/* A read that began before a change, when nothing was known of the path, must not find nothing again. */
static int evict_record(struct batch *batch, const struct unit *unit, const struct record_head *head)
{
    bool told = head->state != RECORD_CHANGED || wall_ns() - head->answered_ns > TOMBSTONE_NS;
    int rc = told ? 0 : batch_count_epoch(batch);
    return rc < 0 ? rc : batch_remove_record(batch, &unit->of, head);
}

static int evict_segment(struct batch *batch, const struct unit *unit)
{
    uint64_t version = key_number(unit->of.data + 1);
    struct key at = unit->of;
    MDB_val value;
    int rc;
    /* Of a file that is still on its way in: all of it goes, since it does not fit. */
    if (batch_is_staged(batch, version)) {
        batch->refused++;
        return batch_drop_version(batch, version);
    }
    while ((rc = batch_next(batch, &at, &unit->of, &value)) == 0) {
        rc = batch_remove(batch, &at);
        if (rc < 0)
            return rc;
        batch->removed++;
    }
    return rc == -ENOENT ? unit_remove(batch, unit->number) : rc;
}

/* The first unit goes, or moves to where it belongs. */
static int evict_first(struct batch *batch)
{
    struct unit unit;
    struct record_head head;
    int rc = unit_first(batch, &unit);
    if (rc < 0)
        return rc;
    batch->removed++;
    if (!read_unit_record(batch, &unit, &head))
        return unit_remove(batch, unit.number);
    uint32_t tick = shared_used(batch->store->shared, unit_id(&unit, &head));
    if (tick > unit.tick && tick <= batch->clock.tick)
        return unit_move(batch, &unit, tick);
    batch->evicted++;
    batch->evicted_bytes += unit.bytes;
    return key_is_segment(&unit.of) ? evict_segment(batch, &unit) : evict_record(batch, &unit, &head);
}

static int shrink(struct batch *batch, uint64_t size_max, uint64_t more)
{
    while (used(batch) + more > size_max) {
        if (batch->removed >= REMOVE_COUNT_MAX)
            return EDIT_AGAIN;
        int rc = evict_first(batch);
        if (rc < 0)
            return rc == -ENOENT ? EDIT_FULL : rc;
    }
    return 0;
}

int batch_make_room(struct batch *batch, uint64_t more)
{
    if (more && batch->clock.pinned + more > batch->size_max)
        return EDIT_FULL; /* without anything having gone for it */
    uint64_t spare = batch->store->writer.spare;
    int rc = shrink(batch, batch->size_max > spare ? batch->size_max - spare : 0, more);
    return rc == EDIT_FULL && used(batch) + more <= batch->size_max ? 0 : rc;
}

/* ---- changing it ---- */

struct cap_op {
    struct op op;
    int64_t size_max, free_min;
};

static int apply_change(struct op *op, struct batch *batch)
{
    const struct cap_op *change = container_of(op, struct cap_op, op);
    struct limits limits = batch->limits;
    struct key key;
    if (change->size_max >= 0)
        limits.size_max = (uint64_t)change->size_max;
    if (change->free_min >= 0)
        limits.free_min = (uint64_t)change->free_min;
    if (memcmp(&limits, &batch->limits, sizeof limits) == 0)
        return 0;
    key_meta(&key, "limits");
    int rc = batch_put(batch, &key, &limits, sizeof limits);
    return rc < 0 ? rc : batch_read_limits(batch);
}

static int apply_prune(struct op *op, struct batch *batch)
{
    int rc = shrink(batch, (uint64_t)container_of(op, struct cap_op, op)->size_max, 0);
    return rc == EDIT_FULL ? 0 : rc;
}

static void done(struct op *op, int status)
{
    mem_free(container_of(op, struct cap_op, op));
}

static int add(struct store *store, int64_t size_max, int64_t free_min,
               int (*apply)(struct op *op, struct batch *batch))
{
    struct cap_op *op = mem_zero(sizeof *op);
    if (!op)
        return fail_memory();
    op->op = (struct op){.apply = apply, .done = done};
    op->size_max = size_max;
    op->free_min = free_min;
    int rc = writer_add(store, &op->op);
    if (rc == 0)
        return 0;
    mem_free(op);
    return fail_errno(-rc, "cache %s: it cannot be written", store->dir);
}

int cap_change(struct store *store, int64_t size_max, int64_t free_min)
{
    struct cap now;
    int rc = cap_read(store, &now);
    if (rc < 0)
        return rc;
    bool same = (size_max < 0 || (uint64_t)size_max == now.size_max) &&
                (free_min < 0 || (uint64_t)free_min == now.free_min);
    return same ? 0 : add(store, size_max, free_min, apply_change);
}

int cap_prune(struct store *store, uint64_t size_max)
{
    return add(store, size_max > INT64_MAX ? INT64_MAX : (int64_t)size_max, -1, apply_prune);
}
