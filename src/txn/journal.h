/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TXN_JOURNAL_H
#define TXN_JOURNAL_H
/*
 * The journal: an LMDB environment of its own, in which every write is on the disk when it returns. One handle on it in a
 * process, any number of processes; no network is ever touched here. What is in it: journal_format.h.
 *
 * Those who write at once share a commit: one of them writes what all of them have, the others wait for it. All of this
 * may block on a disk: from a task on a worker.
 */
#include "cache/range_lock.h"
#include "txn/journal_format.h"

struct journal;

/* `dir` NULL: $LARDER_STATE_DIR, else $XDG_STATE_HOME/larder, else ~/.local/state/larder. Made when it is missing. Payload
 * files that are nobody's (J6) are removed. -EBADMSG: what is there is no journal, or damaged, and is left as it is. */
int journal_open(const char *dir, struct journal **out);
/* The same where nothing is to be made: -ENOENT, there is none. */
int journal_find(const char *dir, struct journal **out);
struct journal *journal_ref(struct journal *journal);
void journal_unref(struct journal *journal); /* NULL is fine */
const char *journal_dir(const struct journal *journal);
/* Of a payload file; mem. */
char *journal_payload_path(const struct journal *journal, uint64_t txn, uint64_t change);

/* The names of those that there are, are on the disk when it returns. */
int journal_sync_payloads(struct journal *journal);
/* Those of a transaction, all of them. Failures are logged. */
void journal_remove_payloads(struct journal *journal, uint64_t txn);

/* ---- writing ---- */
enum edit_kind {
    EDIT_PUT,
    EDIT_NEW,    /* put, unless there is one */
    EDIT_DELETE, /* may be missing */
    EDIT_FORGET, /* every record of the key's transaction */
};
struct edit {
    enum edit_kind kind;
    struct journal_key key;
    const void *data; /* borrowed until the write is done */
    size_t size;
};
/* All of them or none, on the disk when it returns. -ENOSPC: no room. With text. */
int journal_write(struct journal *journal, const struct edit edits[], size_t count);

/* ---- reading ---- */
/* What a process committed and was killed over may be unseen yet: LMDB shows a commit to readers after it is on the disk,
 * and whoever writes next finds that it was not shown. Before what a dead one left is looked for. */
int journal_catch_up(struct journal *journal);
/* The value of a key, freed with larder_bytes_free. -ENOENT, without text. */
int journal_get(struct journal *journal, const struct journal_key *key, struct larder_bytes *out);
/* Called for each record; the value is lent. A failure ends the walk and is returned. It must not write, nor wait. */
typedef int journal_record_fn(void *arg, const struct journal_key *key, const void *data, size_t size);
/* The records of one kind of a transaction, in the order of their numbers. */
int journal_each(struct journal *journal, uint64_t txn, enum record_kind kind, journal_record_fn *fn,
                 void *arg);
/* The heads of all transactions. */
int journal_heads(struct journal *journal, journal_record_fn *fn, void *arg);

/* ---- who lives, and who waits ---- */
/* A transaction's owner holds its byte as long as he lives. -EAGAIN: another does; else a failure, with text. */
int owner_take(struct journal *journal, uint64_t txn, struct range_lock *lock);
bool owner_lives(struct journal *journal, uint64_t txn); /* when it cannot be told he does */
/* Called for each transaction whose owner lives. A failure ends it and is returned. */
typedef int owner_fn(void *arg, uint64_t txn);
int owners_each(struct journal *journal, owner_fn *fn, void *arg);

/*
 * From a prepare to the end of its transaction, one byte for each path under a condition: so, of two transactions of one
 * journal with conditions on one path, the second looks at it when the first is through. `hashes` are of the place and
 * the path; they are sorted here, which keeps two from waiting for each other, and fall into few bytes, since the kernel
 * walks along all locks of a file for each. -EAGAIN: another has the one at *at, from which on to try again; *at is 0
 * first.
 */
#define CONDITION_BYTES 4096
int conditions_open(struct journal *journal, struct range_lock *lock);
size_t conditions_sort(uint64_t hashes[],
                       size_t count); /* how many different bytes they are: the first so many */
int conditions_take(struct range_lock *lock, const uint64_t sorted[], size_t count, size_t *at);

#endif
