/* SPDX-License-Identifier: Apache-2.0 */
/* What is in a journal; who lives, and who waits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "cache/lmdb_file.h"
#include "txn/journal_parts.h"

/* ---- reading ---- */

static int begin_reading(struct journal *journal, MDB_txn **out)
{
    if (journal->generation != process_generation())
        return fail(-ECHILD, "%s: it is open in the parent process", journal->file);
    int rc = lmdb_status(mdb_txn_begin(journal->env, NULL, MDB_RDONLY, out));
    return rc < 0 ? journal_fail(journal, rc) : 0;
}

int journal_catch_up(struct journal *journal)
{
    MDB_txn *txn;
    if (journal->generation != process_generation())
        return fail(-ECHILD, "%s: it is open in the parent process", journal->file);
    int rc = lmdb_status(mdb_txn_begin(journal->env, NULL, 0, &txn));
    if (rc < 0)
        return journal_fail(journal, rc);
    mdb_txn_abort(txn);
    return 0;
}

/* Empty: there is none. */
static int get_tail(const struct journal *journal, MDB_txn *txn, const struct journal_key *key,
                    const MDB_val *head, MDB_val *tail)
{
    struct journal_key tail_key = journal_tail_key(key);
    MDB_val name = {sizeof tail_key.data, tail_key.data};
    bool ends_page = (head->mv_size + JOURNAL_PAGE_HEADER) % JOURNAL_PAGE == 0;
    *tail = (MDB_val){0, (void *)""};
    if (journal_key_kind(key) != RECORD_PAYLOAD || !ends_page)
        return 0;
    int rc = lmdb_status(mdb_get(txn, journal->dbi, &name, tail));
    return rc == -ENOENT ? 0 : rc;
}

static int copy_both(const MDB_val *head, const MDB_val *tail, struct larder_bytes *out)
{
    char *copy = mem_alloc(head->mv_size + tail->mv_size + 1);
    if (!copy)
        return fail_memory();
    memcpy(copy, head->mv_data, head->mv_size);
    memcpy(copy + head->mv_size, tail->mv_data, tail->mv_size);
    copy[head->mv_size + tail->mv_size] = 0;
    *out = bytes_own(copy, head->mv_size + tail->mv_size);
    return 0;
}

int journal_get(struct journal *journal, const struct journal_key *key, struct larder_bytes *out)
{
    MDB_txn *txn;
    MDB_val name = {sizeof key->data, (void *)key->data}, value, tail;
    int rc = begin_reading(journal, &txn);
    if (rc < 0)
        return rc;
    rc = lmdb_status(mdb_get(txn, journal->dbi, &name, &value));
    if (rc == 0)
        rc = get_tail(journal, txn, key, &value, &tail);
    if (rc == 0)
        rc = copy_both(&value, &tail, out);
    mdb_txn_abort(txn);
    return rc == 0 || rc == -ENOENT || rc == -ENOMEM ? rc : journal_fail(journal, rc);
}

struct walk {
    journal_record_fn *fn;
    void *arg;
    struct journal_key key; /* of where it is */
    bool heads;
};

/* One record of a walk, and in walk->key where the next is to be looked for. 1: it ends here. */
static int visit(struct walk *walk, const MDB_val *name, const MDB_val *value)
{
    bool same = memcmp(name->mv_data, walk->key.data, 9) == 0; /* the transaction and the kind */
    if (!walk->heads && !same)
        return 1;
    memcpy(walk->key.data, name->mv_data, sizeof walk->key.data);
    uint64_t txn = journal_key_txn(&walk->key);
    enum record_kind kind = journal_key_kind(&walk->key);
    if (walk->heads && kind < RECORD_HEAD) {
        walk->key = journal_key(txn, RECORD_HEAD, 0);
        return 0;
    }
    int rc = !walk->heads || kind == RECORD_HEAD
                 ? walk->fn(walk->arg, &walk->key, value->mv_data, value->mv_size)
                 : 0;
    if (rc == 0 && walk->heads && txn == UINT64_MAX)
        return 1;
    walk->key =
        walk->heads ? journal_key(txn + 1, 0, 0) : journal_key(txn, kind, journal_key_number(&walk->key) + 1);
    return rc;
}

static int run_walk(struct journal *journal, struct walk *walk)
{
    MDB_cursor *cursor;
    MDB_txn *txn;
    MDB_val value;
    int rc = begin_reading(journal, &txn);
    if (rc < 0)
        return rc;
    rc = lmdb_status(mdb_cursor_open(txn, journal->dbi, &cursor));
    if (rc < 0) {
        mdb_txn_abort(txn);
        return journal_fail(journal, rc);
    }
    while (rc == 0) {
        MDB_val name = {sizeof walk->key.data, walk->key.data};
        rc = lmdb_status(mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE));
        if (rc < 0 && rc != -ENOENT)
            journal_fail(journal, rc);
        if (rc == 0)
            rc = visit(walk, &name, &value);
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return rc == -ENOENT || rc == 1 ? 0 : rc;
}

int journal_each(struct journal *journal, uint64_t txn, enum record_kind kind, journal_record_fn *fn,
                 void *arg)
{
    struct walk walk = {fn, arg, journal_key(txn, kind, 0), false};
    return run_walk(journal, &walk);
}

/* The first key of all is the format's mark, of the transaction 0, which is none. */
int journal_heads(struct journal *journal, journal_record_fn *fn, void *arg)
{
    struct walk walk = {fn, arg, journal_key(1, 0, 0), true};
    return run_walk(journal, &walk);
}

/* ---- who lives, and who waits ---- */

int owner_take(struct journal *journal, uint64_t txn, struct range_lock *lock)
{
    int rc = range_lock_open(lock, journal->owners);
    if (rc < 0)
        return fail_errno(-rc, "%s", journal->owners);
    rc = range_lock_add(lock, txn >> 1, 1);
    if (rc < 0)
        range_lock_close(lock);
    return rc < 0 && rc != -EAGAIN ? fail_errno(-rc, "%s", journal->owners) : rc;
}

bool owner_lives(struct journal *journal, uint64_t txn)
{
    return range_is_free(journal->owners, txn >> 1, 1) <= 0;
}

struct owners {
    owner_fn *fn;
    void *arg;
};

static int tell_owner(void *arg, uint64_t start)
{
    const struct owners *owners = arg;
    return owners->fn(owners->arg, start << 1);
}

int owners_each(struct journal *journal, owner_fn *fn, void *arg)
{
    struct owners owners = {fn, arg};
    int rc = range_each_held(journal->owners, 0, INT64_MAX, tell_owner, &owners);
    return rc < 0 && !*error_text() ? fail_errno(-rc, "%s", journal->owners) : rc;
}

int conditions_open(struct journal *journal, struct range_lock *lock)
{
    int rc = range_lock_open(lock, journal->conditions);
    return rc < 0 ? fail_errno(-rc, "%s", journal->conditions) : 0;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
    return (one > other) - (one < other);
}

size_t conditions_sort(uint64_t hashes[], size_t count)
{
    size_t different = 0;
    for (size_t i = 0; i < count; i++)
        hashes[i] %= CONDITION_BYTES;
    qsort(hashes, count, sizeof *hashes, compare_numbers);
    for (size_t i = 0; i < count; i++)
        if (different == 0 || hashes[different - 1] != hashes[i])
            hashes[different++] = hashes[i];
    return different;
}

int conditions_take(struct range_lock *lock, const uint64_t sorted[], size_t count, size_t *at)
{
    for (; *at < count; (*at)++) {
        int rc = range_lock_add(lock, sorted[*at], 1);
        if (rc < 0)
            return rc == -EAGAIN ? rc : fail_errno(-rc, "locking conditions");
    }
    return 0;
}
