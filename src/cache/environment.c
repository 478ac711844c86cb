/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "cache/cap.h"
#include "cache/lock.h"
#include "cache/shared.h"

#define LOCK_FILE  STORE_FILE "-lock"
#define ASIDE_FILE STORE_FILE ".damaged"

#define OPEN_WAIT_MS   2000 /* for another process that is opening the directory */
#define MAP_SIZE_MIN   ((size_t)16 << 20)
#define LOCK_FILE_SIZE ((READERS_MAX + 16) * 64) /* a slot is a cache line, and the head some of them */

/* Sparse, and never changed while it is open: a live map resize across processes corrupts. */
size_t store_map_size = sizeof(size_t) > 4 ? (size_t)(1ULL << 40) : (size_t)1 << 30;

/* ---- the directory ---- */

int environment_make_directory(char *dir)
{
    struct stat status;
    if (file_seam.stat(dir, &status) == 0)
        return S_ISDIR(status.st_mode) ? 0 : fail(-ENOTDIR, "%s: not a directory", dir);
    for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int rc = file_seam.mkdir(dir, 0700);
        int error = rc < 0 ? errno : 0;
        *slash = '/';
        if (rc < 0 && error != EEXIST)
            return fail_errno(error, "mkdir %s", dir);
    }
    if (file_seam.mkdir(dir, 0700) < 0 && errno != EEXIST)
        return fail_errno(errno, "mkdir %s", dir);
    return 0;
}

/* LMDB's maps and locks are coherent on one machine only. */
static int check_filesystem(const char *dir)
{
    static const struct {
        unsigned magic;
        const char *name;
    } remote[] = {{0x6969, "NFS"},      {0xff534d42, "CIFS"},   {0xfe534d42, "SMB"},   {0x517b, "SMB"},
                  {0x00c36400, "Ceph"}, {0x01021997, "9p"},     {0x5346414f, "AFS"},   {0x0bd00bd0, "Lustre"},
                  {0x47504653, "GPFS"}, {0x19830326, "BeeGFS"}, {0x7461636f, "OCFS2"}, {0x01161970, "GFS2"},
                  {0x73757245, "Coda"}, {0x65735546, "FUSE"},   {0x564c, "NCP"}};
    struct statfs status;
    if (file_seam.statfs(dir, &status) < 0)
        return fail_errno(errno, "statfs %s", dir);
    for (size_t i = 0; i < sizeof remote / sizeof remote[0]; i++)
        if ((unsigned)status.f_type == remote[i].magic)
            return fail(-ENOTSUP, "%s: a cache cannot be shared over %s", dir, remote[i].name);
    return 0;
}

/* One process at a time opens a store, looks whether it is one, and sets it aside if not. */
static int lock_directory(const char *dir, int *out)
{
    int fd = file_seam.open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return fail_errno(errno, "open %s", dir);
    for (int waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited_ms += 10) {
        int error = errno;
        if ((error != EWOULDBLOCK && error != EINTR) || waited_ms >= OPEN_WAIT_MS) {
            file_seam.close(fd);
            return fail_errno(error, "lock %s", dir);
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    *out = fd;
    return 0;
}

static void unlock_directory(int fd)
{
    flock(fd, LOCK_UN); /* a child forked meanwhile has a copy, whose lock this ends as well */
    file_seam.close(fd);
}

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

/*
 * LMDB maps its lock file, which may have no more than holes yet: who touches one on a full disk is killed. So all of it
 * is there before. (Closing it here drops no lock of ours: the process has no other environment in this file.)
 */
static int fill_lock_file(const struct store *store)
{
    autofree char *path = path_join(store->dir, LOCK_FILE);
    if (!path)
        return -ENOMEM;
    int fd = file_seam.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EACCES || errno == EROFS ? 0 : -errno;
    int rc = -posix_fallocate(fd, 0, LOCK_FILE_SIZE);
    file_seam.close(fd);
    return rc;
}

/* A smaller map when the address space is limited (EINVAL: by valgrind): then less can be stored, and that is
 * all. */
static int open_env(struct store *store, const char *file, unsigned flags)
{
    int rc;
    for (size_t size = store_map_size;; size /= 2) {
        rc = mdb_env_create(&store->env);
        if (rc != 0)
            return rc;
        mdb_env_set_maxreaders(store->env, READERS_MAX);
        mdb_env_set_mapsize(store->env, size);
        rc = mdb_env_open(store->env, file, MDB_NOSUBDIR | MDB_NOTLS | flags, 0600);
        if (rc == 0)
            return 0;
        mdb_env_close(take(store->env));
        if ((rc != ENOMEM && rc != EINVAL) || size / 2 < MAP_SIZE_MIN)
            return rc;
    }
}

/* A file that was cut would kill whoever touches the missing pages. */
static int check_length(struct store *store)
{
    MDB_envinfo info;
    MDB_stat stat;
    struct stat file;
    int fd;
    mdb_env_info(store->env, &info);
    mdb_env_stat(store->env, &stat);
    mdb_env_get_fd(store->env, &fd);
    if (file_seam.fstat(fd, &file) < 0)
        return -errno;
    store->device = file.st_dev;
    store->inode = file.st_ino;
    bool used = stat.ms_entries > 0;
    return used && (uint64_t)file.st_size < ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize ? -EBADMSG : 0;
}

static int put_format(struct store *store, MDB_val *key, MDB_val *value)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rc != 0)
        return rc;
    rc = mdb_put(txn, store->dbi, key, value, MDB_NOOVERWRITE);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

/* The dbi of the unnamed database, and whether what is there is ours. */
static int check_format(struct store *store)
{
    uint64_t mark = FORMAT_MARK;
    struct key key;
    MDB_txn *txn;
    MDB_stat stat;
    key_meta(&key, "format");
    MDB_val name = {key.size, key.data}, value, expected = {sizeof mark, &mark};
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return store_status(rc);
    rc = mdb_dbi_open(txn, NULL, 0, &store->dbi);
    if (rc == 0)
        rc = mdb_stat(txn, store->dbi, &stat);
    if (rc == 0)
        rc = mdb_get(txn, store->dbi, &name, &value);
    bool ours = rc == 0 && value.mv_size == sizeof mark && memcmp(value.mv_data, &mark, sizeof mark) == 0;
    bool empty = rc == MDB_NOTFOUND && stat.ms_entries == 0;
    mdb_txn_commit(txn); /* keeps the dbi */
    if (ours)
        return 0;
    if (!empty)
        return rc == 0 || rc == MDB_NOTFOUND ? -EBADMSG : store_status(rc);
    if (store->read_only)
        return 0;
    rc = put_format(store, &name, &expected);
    /* What is synced in it is not lost by name. */
    return rc != 0 ? store_status(rc) : file_sync_directory(store->dir);
}

/* -EBADMSG: this is no store of ours, or a damaged one. */
static int open_file(struct store *store, const char *file)
{
    int dead, rc = open_env(store, file, 0);
    if (rc == EACCES || rc == EROFS) {
        rc = open_env(store, file, MDB_RDONLY);
        store->read_only = true;
    }
    if (rc != 0)
        return store_status(rc);
    rc = check_length(store);
    if (rc == 0)
        rc = check_format(store);
    if (rc < 0) {
        mdb_env_close(take(store->env));
        return rc;
    }
    mdb_reader_check(store->env, &dead);
    return 0;
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

static int open_locked(struct store *store)
{
    int rc = fill_lock_file(store);
    if (rc == 0)
        rc = open_file(store, store->file);
    if (rc == -EBADMSG && !store->read_only) {
        rc = set_aside(store->dir, "the store is damaged, or of another program");
        if (rc < 0)
            return rc;
        rc = fill_lock_file(store);
        if (rc == 0)
            rc = open_file(store, store->file);
    }
    if (rc == 0 && !(store->shared = shared_open(store->dir)))
        rc = -ENOMEM;
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
    int fd, rc = check_filesystem(store->dir);
    if (rc == 0)
        rc = lock_directory(store->dir, &fd);
    if (rc < 0)
        return rc;
    rc = open_locked(store);
    unlock_directory(fd);
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
    int fd, rc = lock_directory(store->dir, &fd);
    if (rc < 0)
        return rc;
    if (store_is_in_place(store)) /* else another process was first */
        rc = set_aside(store->dir, why);
    if (rc == 0)
        atomic_store(&store->lost, true);
    unlock_directory(fd);
    return rc;
}
