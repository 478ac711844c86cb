/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_DAMAGE_H
#define CACHE_DAMAGE_H
/*
 * Damaged pages. What lies in a value has a checksum (S5); LMDB's own pages have none: the tree, its list of free pages.
 * LMDB follows them as they are, and says MDB_CORRUPTED, asserts, reads past the end of its file, or goes on with nonsense.
 *
 *     LMDB says so                   the writer sets the store aside, and a new one is begun
 *     LMDB asserts                   in a guarded call: as if it had said so; its own cursors, on the stack that was
 *                                    jumped out of, are forgotten before the transaction is aborted
 *     a value of a size none has     the same
 *     before a page is written       it is looked at, with all on the way to it, and before something is removed with the
 *                                    pages beside those (pages.h): LMDB would move what a damaged one names, in memory
 *                                    that is others'
 *     before the first write         the list of free pages is: what it names wrongly would be written over
 *     behind the last page           there is something to be read by mistake: the file is longer than what is used, by
 *                                    as much as a value can be (length.h)
 *     a process died in a read or a  readers' slots and shared.h tell; the next one that opens the store looks at all its
 *     write, for whatever reason     pages before it goes on
 *
 * What remains: a damaged page that is only read can still end a process, once; so can a file that somebody cuts while it
 * is in use (SIGBUS). `cache verify` finds what nobody has met yet, in a process of its own.
 */
#include <stdbool.h>
#include <stddef.h>

#include <lmdb.h>

struct store;

#define VALUE_SIZE_MAX ((size_t)1 << 20) /* of whatever we put */

/* From now on assertions jump out of guarded calls. */
void damage_arm(MDB_env *env);
/* mdb_get, guarded. */
int damage_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *name, MDB_val *value);
/* The same of any work: its status; -EBADMSG: an assertion ended it, wherever it was. */
int damage_guard(int (*work)(void *arg), void *arg);
/* mdb_txn_abort of a transaction that writes, which an assertion may have left in the middle of something. */
void damage_abort(MDB_txn *txn, MDB_dbi dbi);

/* Before each transaction that writes: is the list of free pages sound? Once a store it is looked at. */
bool damage_may_write(struct store *store);

/* Before it is opened: are there slots of readers who never ended, though nobody has it open? LMDB forgets them when it is
 * opened by one alone; so does this. */
bool damage_was_left(const char *lock_file);
/* Did somebody die in the middle of a read or a write? Forgets it. With its lock file and shared memory open. */
bool damage_is_likely(struct store *store);

#endif
