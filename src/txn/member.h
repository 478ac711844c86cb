/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TXN_MEMBER_H
#define TXN_MEMBER_H
/*
 * A transaction and its members: one for each instance that larder_txn_fs was given.
 *
 *            commit                          decided, or given up
 *   OPEN ─────────────▶ ENDING (staging stops) ─────────────────▶ ENDED
 *     ▲                    │ prepare failed                         ▲
 *     └────────────────────┘                        rollback        │
 *     └─────────────────────────────────────────────────────────────┘
 *
 * A view's instance holds a reference to its transaction; a member holds a handle on its view until the transaction has
 * ENDED, which breaks the circle. So everything may be freed in any order.
 */
#include <pthread.h>

#include "base/list.h"
#include "cache/range_lock.h"
#include "fs/fs.h"
#include "txn/overlay.h"

struct journal;

enum txn_state { TXN_OPEN, TXN_ENDING, TXN_ENDED };

struct larder_txn {
    atomic_uint references;
    /* const */
    uint64_t id;
    uint32_t generation; /* the process that it belongs to: in a fork's child all is -ECHILD */
    int64_t began_ns;
    char *journal_dir, *note; /* mem; NULL: the default one; none */
    pthread_mutex_t lock;     /* never held across a wait */
    /* set once, under `lock`, before there is a persistent member */
    struct journal *journal;
    struct range_lock owner; /* with it */
    /* under `lock` */
    enum txn_state state;
    struct list members;
    struct list pending; /* pending.c's, as is what follows */
    size_t pending_size;
    uint64_t *dropped; /* ids of payloads to be deleted; mem */
    size_t dropped_count, dropped_capacity;
    bool written; /* the journal has something of it */
};
int txn_new(struct larder_txn **out); /* with one reference */
struct larder_txn *txn_ref(struct larder_txn *txn);
void txn_unref(struct larder_txn *txn); /* NULL is fine */
/* 0, or -ECHILD, with text. */
int txn_check_process(const struct larder_txn *txn);
/* It has ENDED: every call on its views is -EBADF from now on. */
void txn_end(struct larder_txn *txn);

struct member {
    struct list node; /* of txn->members */
    struct larder_txn *txn;
    struct larder_fs *fs; /* what is changed: the instance of the user's handle, its root "" */
    bool persistent;      /* const: it outlives the process, and is in the journal, as … */
    char *json, *url;     /* … this; mem; of a persistent one */
    /* under the transaction's lock */
    struct larder_fs *view; /* a handle on its view, until the end */
    struct overlay overlay;
    struct overlay checks; /* CHANGE_CHECKs: what larder_txn_if_match said, of every path */
};

/* The member for the instance of `fs`, which is made if there is none yet. -EINVAL: `fs` is a view of a transaction. Takes
 * the lock. */
int txn_member(struct larder_txn *txn, const struct larder_fs *fs, struct member **out);

/* Of the members, from 0: they are only ever added. Takes the lock. */
size_t member_number(const struct member *member);

/*
 * Take the transaction's lock, to change something (`change`) or to look: 0, and it is held; else it is not, with text:
 * -EBADF: it has ended; -EBUSY: it is being committed, and nothing is changed any more; -ECHILD.
 */
int txn_lock(struct larder_txn *txn, bool change);
void txn_unlock(struct larder_txn *txn);

#endif
