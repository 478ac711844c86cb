/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TXN_JOURNAL_PARTS_H
#define TXN_JOURNAL_PARTS_H
/* What the files of the journal share: journal.c opens and writes, journal_read.c reads, and has the locks. */
#include <pthread.h>

#include <lmdb.h>

#include "txn/journal.h"

struct commit; /* of those who write at once */

struct journal {
    /* const after open */
    char *dir, *file, *owners, *conditions, *payload;
    MDB_env *env;
    MDB_dbi dbi;
    dev_t device;
    ino_t inode;
    uint32_t generation;

    struct list node; /* of the process's, under its lock, as are … */
    unsigned references;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under `lock` */
    struct commit *first, **last; /* who waits for the next one */
    bool leading;                 /* somebody writes */
};

/*
 * A large value fills pages of its own, with LMDB's 16 bytes in front: one of 4096 bytes takes two. So the last few of a
 * payload, which would begin a page, are a record of their own, beside others on one. Who reads a payload that ends just
 * with its page looks for them.
 */
#define JOURNAL_PAGE        4096
#define JOURNAL_PAGE_HEADER 16
#define JOURNAL_TAIL_MAX    256
struct journal_key journal_tail_key(const struct journal_key *key);

/* The words for a failure of the file. Returns `rc`. */
int journal_fail(const struct journal *journal, int rc);

#endif
