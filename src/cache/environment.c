/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/environment.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "cache/cap.h"
#include "cache/damage.h"
#include "cache/lock.h"
#include "cache/shared.h"

#define LOCK_FILE  STORE_FILE "-lock"
#define ASIDE_FILE STORE_FILE ".damaged"

/* Kept for whoever wants to know, one of them. Processes that use it go on with the files that they have
 * open. */
static int set_aside(const char *dir, const char *why)
{
    autofree char *file = path_join(dir, STORE_FILE), *lock = path_join(dir, LOCK_FILE);
    autofree char *aside = path_join(dir, ASIDE_FILE);
    if (!file || !lock || !aside)
        return fail_memory();
    log_at(LARDER_LOG_WARNING, "cache %s: %s; it is set aside and begun anew", dir, why);
    if (file_seam.rename(file, aside) < 0 && errno != ENOENT)
        return fail_errno(errno, "rename %s", file);
    if (file_seam.unlink(lock) < 0 && errno != ENOENT)
        return fail_errno(errno, "unlink %s", lock);
    shared_remove(dir);
    return 0;
}

/* ---- the environment ---- */

static int check_format(struct store *store)
{
    uint64_t mark = FORMAT_MARK;
    struct key key;
    key_meta(&key, "format");
    MDB_val name = {key.size, key.data}, expected = {sizeof mark, &mark};
    return lmdb_check_mark(store->env, &name, &expected, store->read_only ? NULL : store->dir, &store->dbi);
}

static int check_pages(struct store *store)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return lmdb_status(rc);
    bool sound = pages_tree_is_sound(&store->pages) && pages_free_list_is_sound(&store->pages);
    mdb_txn_abort(txn);
    return sound ? 0 : -EBADMSG;
}

static int look_at_it(void *arg)
{
    struct store *store = arg;
    int rc = lmdb_check_length(store->env, &store->device, &store->inode);
    if (rc == 0 && damage_is_likely(store))
        rc = check_pages(store);
    return rc < 0 ? rc : check_format(store);
}

/* -EBADMSG: this is no store of ours, or a damaged one. */
static int open_file(struct store *store, const char *file)
{
    int rc = lmdb_open(file, READERS_MAX, 0, &store->env);
    if (rc == EACCES || rc == EROFS) {
        rc = lmdb_open(file, READERS_MAX, MDB_RDONLY, &store->env);
        store->read_only = true;
    }
    if (rc != 0)
        return lmdb_status(rc);
    damage_arm(store->env);
    pages_open(&store->pages, store->env);
    rc = damage_guard(look_at_it, store);
    if (rc == 0)
        return 0;
    pages_close(&store->pages);
    mdb_env_close(take(store->env));
    return rc;
}

void store_note(struct store *store, uint64_t size_max, const struct clock *clock)
{
    atomic_uint_least32_t *tick = &store->shared->tick;
    uint_least32_t before = atomic_load_explicit(tick, memory_order_relaxed);
    while (before < clock->tick && !atomic_compare_exchange_weak(tick, &before, clock->tick))
        ;
    uint64_t blocks = cap_piece(size_max) / (uint64_t)BLOCK_SIZE;
    atomic_store_explicit(&store->size_max, size_max, memory_order_relaxed);
    atomic_store_explicit(&store->piece_max, (uint_least32_t)blocks * BLOCK_SIZE, memory_order_relaxed);
    atomic_store_explicit(&store->pinned, clock->pinned, memory_order_relaxed);
}

static void note_at_open(struct store *store)
{
    struct limits limits = LIMITS_DEFAULT;
    struct clock clock = {.tick = 1};
    struct reader *reader = reader_begin(store);
    if (reader) {
        reader_get_struct(store, reader, "limits", &limits, sizeof limits);
        reader_get_struct(store, reader, "clock", &clock, sizeof clock);
        reader_end(store, reader);
    }
    store_note(store, cap_effective(store, &limits), &clock);
}

static int open_once(struct store *store)
{
    autofree char *lock_file = path_join(store->dir, LOCK_FILE);
    int rc = lock_file ? lmdb_fill_lock_file(store->file, READERS_MAX) : -ENOMEM;
    if (rc == 0)
        store->was_left = damage_was_left(lock_file);
    if (rc == 0 && !(store->shared = shared_open(store->dir)))
        rc = -ENOMEM;
    if (rc == 0)
        rc = open_file(store, store->file);
    if (rc < 0)
        shared_close(take(store->shared));
    return rc;
}

static int open_locked(struct store *store)
{
    int rc = open_once(store);
    if (rc == -EBADMSG && !store->read_only) {
        rc = set_aside(store->dir, "the store is damaged, or of another program");
        if (rc < 0)
            return rc;
        rc = open_once(store);
    }
    if (rc < 0)
        return fail_errno(-rc, "%s", store->file);
    note_at_open(store);
    if (!store->read_only)
        lock_own(store);
    else
        store_say(store, SAID_WRITING, "it can only be read: what is fetched is not stored");
    return 0;
}

int environment_open(struct store *store)
{
    int fd, rc = lmdb_check_directory(store->dir, "a cache");
    if (rc == 0)
        rc = lmdb_lock_directory(store->dir, &fd);
    if (rc < 0)
        return rc;
    rc = open_locked(store);
    lmdb_unlock_directory(fd);
    return rc;
}

/* ---- out of its place ---- */

bool store_is_in_place(struct store *store)
{
    struct stat status;
    if (atomic_load(&store->lost))
        return false;
    if (file_seam.stat(store->file, &status) == 0 && status.st_dev == store->device &&
        status.st_ino == store->inode)
        return true;
    store_say(store, SAID_LOST, "it is no more where it was: reads go on without it, and begin a new one");
    atomic_store(&store->lost, true);
    return false;
}

int store_set_aside(struct store *store, const char *why)
{
    int fd, rc = lmdb_lock_directory(store->dir, &fd);
    if (rc < 0)
        return rc;
    if (store_is_in_place(store)) /* else another process was first */
        rc = set_aside(store->dir, why);
    if (rc == 0)
        atomic_store(&store->lost, true);
    lmdb_unlock_directory(fd);
    return rc;
}
