/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/damage.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
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

bool damage_is_likely(struct store *store)
{
    uint64_t writer = atomic_load(&store->shared->writing);
    bool wrote = writer && !lock_owner_lives(store, writer);
    if (wrote)
        atomic_compare_exchange_strong(&store->shared->writing, &writer, 0);
    return reader_died(store->env) || wrote;
}
