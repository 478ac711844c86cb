/* SPDX-License-Identifier: Apache-2.0 */
/* Stores: found or opened, shared in the process, and closed. */
#include "cache/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "cache/cap.h"
#include "cache/shared.h"
#include "task/process.h"

#define STORE_FILE   "cache-1.mdb"
#define LOCK_FILE    STORE_FILE "-lock"
#define ASIDE_FILE   STORE_FILE ".damaged"
#define FLIGHTS_FILE "cache-1.flights"

#define OPEN_WAIT_MS 2000  /* for another process that is opening the directory */
#define EXIT_WAIT_MS 10000 /* at exit(), for what is queued to be written */
#define MAP_SIZE_MIN ((size_t)16 << 20)

/* Sparse, and never changed while it is open: a live map resize across processes corrupts. */
size_t store_map_size = sizeof(size_t) > 4 ? (size_t)(1ULL << 40) : (size_t)1 << 30;

/* ---- the process's stores ---- */

struct context {
    uint32_t generation;
    pthread_mutex_t lock;
    struct list stores; /* under `lock` */
};
static struct context *_Atomic current;

static struct context *context_new(void)
{
    struct context *context = mem_zero(sizeof *context);
    if (!context)
        return NULL;
    context->generation = process_generation();
    list_init(&context->stores);
    pthread_mutex_init(&context->lock, NULL);
    return context;
}

/* This process's: a fork's parent's is left as it is, its lock perhaps taken for ever. NULL: no memory. */
static struct context *context_get(void)
{
    struct context *before = atomic_load_explicit(&current, memory_order_acquire);
    if (before && before->generation == process_generation())
        return before;
    struct context *context = context_new();
    if (!context || atomic_compare_exchange_strong(&current, &before, context))
        return context;
    mem_free(context);
    return before;
}

/* ---- texts ---- */

int store_status(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
        return -ENOENT;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return -ENOSPC;
    case MDB_READERS_FULL:
    case MDB_MAP_RESIZED:
        return -EAGAIN;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_PANIC:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        return -EBADMSG;
    default:
        return rc > 0 ? -rc : -EIO;
    }
}

void store_say(struct store *store, enum said what, const char *format, ...)
{
    char text[256];
    va_list arguments;
    if (atomic_fetch_or(&store->said, what) & what)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_at(LARDER_LOG_WARNING, "cache %s: %s", store->dir, text);
}

/* ---- the directory ---- */

static int make_directory(char *dir)
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
    } remote[] = {{0x6969, "NFS"},      {0xff534d42, "CIFS"}, {0xfe534d42, "SMB"}, {0x517b, "SMB"},
                  {0x00c36400, "Ceph"}, {0x01021997, "9p"},   {0x5346414f, "AFS"}, {0x0bd00bd0, "Lustre"}};
    struct statfs status;
    if (statfs(dir, &status) < 0)
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
    return store->read_only ? 0 : store_status(put_format(store, &name, &expected));
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

void store_note(struct store *store, const struct limits *limits, const struct clock *clock)
{
    atomic_uint_least32_t *tick = &store->shared->tick;
    uint_least32_t before = atomic_load_explicit(tick, memory_order_relaxed);
    while (before < clock->tick && !atomic_compare_exchange_weak(tick, &before, clock->tick))
        ;
    atomic_store_explicit(&store->size_max, limits->size_max, memory_order_relaxed);
    atomic_store_explicit(&store->pinned, clock->pinned, memory_order_relaxed);
}

static void note_at_open(struct store *store)
{
    struct limits limits = {.size_max = CAP_SIZE_DEFAULT};
    struct clock clock = {.tick = 1};
    struct reader *reader = reader_begin(store);
    if (reader) {
        reader_get_struct(store, reader, "limits", &limits, sizeof limits);
        reader_get_struct(store, reader, "clock", &clock, sizeof clock);
        reader_end(store, reader);
    }
    store_note(store, &limits, &clock);
}

static int open_locked(struct store *store)
{
    int rc = open_file(store, store->file);
    if (rc == -EBADMSG && !store->read_only) {
        rc = set_aside(store->dir, "the store is damaged, or of another program");
        if (rc == 0)
            rc = open_file(store, store->file);
        else
            return rc;
    }
    if (rc == 0 && !(store->shared = shared_open(store->dir)))
        rc = -ENOMEM;
    if (rc < 0)
        return fail_errno(-rc, "%s", store->file);
    note_at_open(store);
    return 0;
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

/* ---- life ---- */

static void store_free(struct store *store)
{
    if (!store)
        return;
    for (unsigned i = 0; store->env && i < READERS_POOLED; i++)
        reader_free(atomic_exchange(&store->pool[i], NULL));
    if (store->env)
        mdb_env_close(store->env);
    shared_close(store->shared);
    writer_fini(&store->writer);
    mem_free(store->lock_path);
    mem_free(store->file);
    mem_free(store->dir);
    mem_free(store);
}

static struct store *find(struct context *context, const char *dir)
{
    struct stat status;
    autofree char *file = path_join(dir, STORE_FILE);
    if (!file || file_seam.stat(file, &status) < 0)
        return NULL;
    list_for_each (node, &context->stores) {
        struct store *store = container_of(node, struct store, node);
        if (store->device == status.st_dev && store->inode == status.st_ino && store_is_ours(store))
            return store;
    }
    return NULL;
}

/* The program may change its directory. NULL: no memory. */
static char *absolute(const char *dir)
{
    autofree char *room = mem_alloc(PATH_MAX);
    char *real = room ? realpath(dir, room) : NULL;
    return room ? mem_dup(real ? real : dir) : NULL;
}

static int open_new(struct context *context, const char *dir, struct store **out)
{
    int fd = -1, rc = check_filesystem(dir);
    struct store *store = mem_zero(sizeof *store);
    if (rc < 0 || !store) {
        mem_free(store);
        return rc < 0 ? rc : fail_memory();
    }
    store->generation = context->generation;
    store->references = 1;
    rc = writer_init(&store->writer);
    store->dir = absolute(dir);
    store->file = store->dir ? path_join(store->dir, STORE_FILE) : NULL;
    store->lock_path = store->file ? path_join(store->dir, FLIGHTS_FILE) : NULL;
    if (rc == 0 && !store->lock_path)
        rc = fail_memory();
    if (rc == 0)
        rc = lock_directory(dir, &fd);
    if (rc == 0) {
        rc = open_locked(store);
        unlock_directory(fd);
    }
    if (rc < 0) {
        store_free(store);
        return rc;
    }
    list_push(&context->stores, &store->node);
    *out = store;
    return 0;
}

int store_open(const char *dir, struct store **out)
{
    autofree char *copy = mem_dup(dir);
    struct context *context = context_get();
    if (!copy || !context)
        return fail_memory();
    process_exit_arm(); /* so that our exit handler is there, behind that of the loops */
    pthread_mutex_lock(&context->lock);
    int rc = make_directory(copy);
    struct store *store = rc == 0 ? find(context, dir) : NULL;
    if (store) {
        store->references++;
        *out = store;
    } else if (rc == 0) {
        rc = open_new(context, dir, out);
    }
    pthread_mutex_unlock(&context->lock);
    return rc;
}

struct store *store_ref(struct store *store)
{
    struct context *context = context_get();
    assert(store_is_ours(store) && context);
    pthread_mutex_lock(&context->lock);
    store->references++;
    pthread_mutex_unlock(&context->lock);
    return store;
}

static void forget(struct store *store)
{
    list_remove(&store->node);
    store_free(store);
}

void store_unref(struct store *store)
{
    if (!store || !store_is_ours(store))
        return;
    struct context *context = context_get();
    pthread_mutex_lock(&context->lock);
    /* With something to write, the writer closes it; else nothing of it is in use any more. */
    if (--store->references == 0 && !writer_close(store))
        forget(store);
    pthread_mutex_unlock(&context->lock);
}

bool store_close_now(struct store *store)
{
    struct context *context = context_get();
    pthread_mutex_lock(&context->lock);
    bool unused = store->references == 0;
    if (unused)
        forget(store);
    else
        writer_stay(store);
    pthread_mutex_unlock(&context->lock);
    return unused;
}

/* ---- exit ---- */

/*
 * After the loops have ended. What is queued is written, as far as that goes within EXIT_WAIT_MS: another
 * process may be stopped in the middle of a write transaction. Nothing is freed, and the idle threads stay:
 * others may still read.
 */
static void end_stores(void)
{
    struct context *context = atomic_load(&current);
    if (!context || context->generation != process_generation())
        return;
    uint64_t until = now_ns() / 1000000 + EXIT_WAIT_MS;
    pthread_mutex_lock(&context->lock);
    list_for_each (node, &context->stores) {
        uint64_t now = now_ns() / 1000000;
        writer_flush(container_of(node, struct store, node), until > now ? (int64_t)(until - now) : 0);
    }
    pthread_mutex_unlock(&context->lock);
}

static void arm_exit(void)
{
    atexit(end_stores);
}

__attribute__((constructor)) static void before_threads(void)
{
    process_before_threads(arm_exit);
}
