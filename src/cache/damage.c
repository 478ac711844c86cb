/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/damage.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/seams.h"
#include "cache/lock.h"
#include "cache/shared.h"
#include "cache/store.h"

/* ---- assertions ---- */

static _Thread_local sigjmp_buf *guarded; /* where this thread's guarded call began; NULL: it is in none */

/* LMDB calls this, and then abort. */
static void on_assertion(MDB_env *env, const char *text)
{
    if (guarded)
        siglongjmp(*guarded, 1);
}

void damage_arm(MDB_env *env)
{
    mdb_env_set_assert(env, on_assertion);
}

int damage_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *name, MDB_val *value)
{
    sigjmp_buf place, *before = guarded;
    if (sigsetjmp(place, 0) != 0) {
        guarded = before;
        return MDB_CORRUPTED;
    }
    guarded = &place;
    int rc = mdb_get(txn, dbi, name, value);
    guarded = before;
    return rc == 0 && value->mv_size > VALUE_SIZE_MAX ? MDB_CORRUPTED : rc;
}

int damage_guard(int (*work)(void *arg), void *arg)
{
    sigjmp_buf place, *before = guarded;
    if (sigsetjmp(place, 0) != 0) {
        guarded = before;
        return -EBADMSG;
    }
    guarded = &place;
    int rc = work(arg);
    guarded = before;
    return rc;
}

/* ---- what an assertion leaves ---- */

#define STACK_SIZE (1U << 20) /* below where one is, in which what was jumped out of had its variables */

static void *next_of(const MDB_cursor *cursor)
{
    void *next;
    memcpy(&next, cursor, sizeof next);
    return next;
}

/* The transaction's list of cursors, which mdb_txn_abort frees, may begin with one of LMDB's that was on the stack. A
 * cursor begins with what follows it there, if one that was opened later does with one that was opened before it. */
static void forget_lost_cursors(MDB_txn *txn, MDB_dbi dbi)
{
    static void *const nothing;
    MDB_cursor *first, *second;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if (mdb_cursor_open(txn, dbi, &first) != 0)
        return;
    if (mdb_cursor_open(txn, dbi, &second) == 0) {
        uintptr_t next = (uintptr_t)next_of(first);
        if (next_of(second) == first && next < here && here - next < STACK_SIZE)
            memcpy((void *)first, &nothing, sizeof nothing);
        mdb_cursor_close(second);
    }
    mdb_cursor_close(first);
}

void damage_abort(MDB_txn *txn, MDB_dbi dbi)
{
    forget_lost_cursors(txn, dbi);
    mdb_txn_abort(txn);
}

/* ---- before writing ---- */

bool damage_may_write(struct store *store)
{
    struct writer *writer = &store->writer;
    struct reader *reader = writer->looked ? NULL : reader_begin(store);
    if (!reader)
        return true;
    writer->looked = pages_free_list_is_sound(&store->pages);
    reader_end(store, reader);
    return writer->looked;
}

/* ---- who died ---- */

#define DYING_MAX 64

struct readers { /* the processes that are in the middle of a read, … */
    unsigned long pids[DYING_MAX];
    unsigned count;
    bool looking; /* … or, in the second round, which of them are still there */
};

/* A line of mdb_reader_list: pid, thread, the snapshot or "-". */
static int note_reader(const char *line, void *arg)
{
    struct readers *readers = arg;
    unsigned long pid;
    char snapshot[32];
    if (sscanf(line, "%lu %*s %31s", &pid, snapshot) != 2)
        return 0;
    for (unsigned i = 0; readers->looking && i < readers->count; i++)
        if (readers->pids[i] == pid)
            readers->pids[i] = 0;
    if (!readers->looking && strcmp(snapshot, "-") != 0 && readers->count < DYING_MAX)
        readers->pids[readers->count++] = pid;
    return 0;
}

static bool reader_died(MDB_env *env)
{
    struct readers readers = {0};
    int dead = 0;
    mdb_reader_list(env, note_reader, &readers);
    mdb_reader_check(env, &dead);
    if (dead == 0 || readers.count == 0)
        return false;
    readers.looking = true;
    mdb_reader_list(env, note_reader, &readers);
    for (unsigned i = 0; i < readers.count; i++)
        if (readers.pids[i] != 0)
            return true;
    return false;
}

/* Of LMDB's lock file: behind a head of two lines of the cache, a line a reader. */
#define LOCK_LINE 64
#define LOCK_HEAD 2

struct slot {
    uint64_t snapshot; /* of a read, in the middle of it */
    int32_t pid;
};

static bool is_in_use(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1}; /* of who has it open */
    return fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}

static bool forget_slots(char *lines, size_t size)
{
    bool reading = false;
    for (size_t at = LOCK_HEAD * LOCK_LINE; at + LOCK_LINE <= size; at += LOCK_LINE) {
        struct slot slot;
        memcpy(&slot, lines + at, sizeof slot);
        if (slot.pid == 0)
            continue;
        reading |= slot.snapshot != UINT64_MAX;
        memset(lines + at, 0, sizeof slot);
    }
    return reading;
}

bool damage_was_left(const char *lock_file)
{
    struct stat status;
    bool left = false;
    int fd = file_seam.open(lock_file, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    size_t size = file_seam.fstat(fd, &status) == 0 ? (size_t)status.st_size : 0;
    char *lines =
        size && !is_in_use(fd) ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (lines != MAP_FAILED) {
        left = forget_slots(lines, size);
        munmap(lines, size);
    }
    file_seam.close(fd);
    return left;
}

bool damage_is_likely(struct store *store)
{
    uint64_t writer = atomic_load(&store->shared->writing);
    bool wrote = writer && !lock_owner_lives(store, writer);
    if (wrote)
        atomic_compare_exchange_strong(&store->shared->writing, &writer, 0);
    return reader_died(store->env) || wrote || store->was_left;
}
