/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LARDER_TXN_H
#define LARDER_TXN_H
/*
 * Transactions: writes, deletes and moves that become visible together, or not at all, whatever crashes.
 *
 *     larder_txn_begin(NULL, &txn);
 *     larder_txn_fs(txn, fs, &view);              a filesystem that shows what the transaction does, and `fs` does not
 *     larder_pipe_file(view, "a", …);             every call works in it: the map, put, open, cp, mv, rm
 *     larder_rm_file(view, "b");
 *     larder_txn_commit(txn, NULL);               from here on everybody sees it
 *     larder_fs_free(view);
 *
 * What is written is kept in a *journal*, a directory of this user on this machine, until it is published. Who is killed
 * before the commit was decided leaves nothing behind that larder_txn_recover does not remove; who is killed after it is
 * finished by it, by any process. Small writes are in the journal itself; large ones go to the place beforehand, as a
 * temporary file or an upload that is not complete. A transaction may have several filesystems, of one loop.
 *
 * What readers can see while it is published depends on the place: docs/transactions.md has a table. LARDER_CREATE and
 * larder_replace_file inside are conditions, as are larder_txn_if_match and larder_txn_if_absent: they are asked of the
 * place when it commits, and when one does not hold, nothing is published.
 */
#include "larder/fs.h"

#ifdef __cplusplus
extern "C" {
#endif

struct larder_txn;

/*
 * Options: "journal=DIR" (default $LARDER_STATE_DIR, else $XDG_STATE_HOME/larder, else ~/.local/state/larder), and
 * "note=TEXT", for whoever lists it. Any number of transactions, from any threads, and one from several at once, until one
 * of them ends it. In a fork's child a transaction is -ECHILD. -EINVAL: another option.
 */
LARDER_API int larder_txn_begin(const char *const options[], struct larder_txn **out);
/*
 * `fs` as this transaction sees it; with its root, timeout and the rest. Several handles of one filesystem are one view.
 * Freed with larder_fs_free, before or after the end of the transaction; after it every call on it is -EBADF. What dead
 * processes left of transactions with this filesystem is recovered first, as far as that can be.
 *   -EINVAL   `fs` is a view of a transaction already
 *   -EXDEV    it is bound to another loop than the others
 *   -EBADMSG  the journal is damaged, or of another version; it is left as it is
 */
LARDER_API LARDER_WAITS int larder_txn_fs(struct larder_txn *txn, struct larder_fs *fs,
                                          struct larder_fs **out);

/*
 * A condition on the file at `path` of a transaction's view, whatever the transaction does with it: writes it in any way,
 * removes it, moves it, or leaves it alone. When the transaction commits, the place must have
 *   if_match    this version of it, which is larder_info's of the place or of the view, before a change
 *   if_absent   nothing there
 * It is asked at once, and by the commit: together with the change where that is a write and the place can; else just
 * before (docs/transactions.md). Said again of the same path, the last one counts. A write that comes after it with a
 * condition of its own (LARDER_CREATE, larder_replace_file) must ask the same: else both cannot hold, and the write is
 * refused, -EEXIST or -ESTALE.
 *   -EEXIST, -ESTALE  it does not hold now, and is not taken; the text says what was found
 *   -EINVAL           `view` is no transaction's, or `version` is NULL: of this file the place tells none
 */
LARDER_API LARDER_WAITS int larder_txn_if_match(struct larder_fs *view, const char *path,
                                                const char *version);
LARDER_API LARDER_WAITS int larder_txn_if_absent(struct larder_fs *view, const char *path);

#define LARDER_TXN_ID_SIZE 17
/* By which the journal knows it: 16 hexadecimal digits. */
LARDER_API void larder_txn_id(const struct larder_txn *txn, char out[LARDER_TXN_ID_SIZE]);

/*
 * Keep what was written so far where it needs no memory of this process: in the journal, or with its place. Else that is
 * done as it comes to 8 MiB, and at the commit. A failure (-ENOSPC) would have been the commit's, and nothing is lost. It
 * does not make more of it survive the process: what is not to be committed yet is rolled back.
 */
LARDER_API LARDER_WAITS int larder_txn_barrier(struct larder_txn *txn);

/* What became of one write. */
struct larder_txn_result {
    size_t size;
    const char *url;     /* of the file */
    const char *version; /* as larder_info has it; NULL: not known */
    int64_t bytes;
};
struct larder_txn_commit_options {
    size_t size;
    /* Called for every file that was written, in the order of their paths, when all is published; may be NULL. */
    void (*published)(void *arg, const struct larder_txn_result *result);
    void *arg;
    /* How many of the bytes of all writes are with their places; may be NULL. With the same `arg`. */
    larder_progress_fn *progress;
};
/*
 * Publish all of it.
 *   0             it is visible, and on the places' disks. `txn` is freed
 *   -EINPROGRESS  it is committed, but not all of it is visible yet, and larder_error() says why: a place that cannot be
 *                 reached, or a conflict (someone else wrote what has a condition while it was published). Recovery
 *                 finishes it. `txn` is freed
 *   -EEXIST, -ESTALE  a condition does not hold; the text names the path, and what was found there
 *   -EBUSY        a process died while it published what has a condition on one of the same paths, and what it began can
 *                 neither be finished nor rolled back now; or another thread is ending the transaction, which frees it
 *   else          it could not be staged or written down
 * In the last three cases nothing is visible, and the transaction is as it was: change it and commit again, or roll back.
 */
LARDER_API LARDER_WAITS int larder_txn_commit(struct larder_txn *txn,
                                              const struct larder_txn_commit_options *how);
/*
 * Nothing of it is ever visible. `txn` is freed, also when it fails, which says what stays behind for a recovery; but not
 * with -EBUSY, another thread is ending it and frees it, nor -ECHILD. A task that was cancelled still rolls back, for at
 * most a minute. NULL is fine.
 */
LARDER_API LARDER_WAITS int larder_txn_rollback(struct larder_txn *txn);

/*
 * The same in fsspec's words, for one filesystem. What is begun belongs to `*txn`, never to `fs`, which others use
 * meanwhile. The end is one, and frees `txn`: with `commit` it returns what larder_txn_commit does, but where that leaves
 * the transaction as it was, this one is rolled back; the text says what of it stays behind. Only what was refused ends
 * nothing, and leaves `txn` as it is: with `commit`, -EDEADLK, where it may not be called; -EBUSY while another thread
 * is ending it, which frees it; -ECHILD in a fork's child. (fsspec: start_transaction, end_transaction)
 */
LARDER_API LARDER_WAITS int larder_start_transaction(struct larder_fs *fs, struct larder_txn **txn,
                                                     struct larder_fs **view);
LARDER_API LARDER_WAITS int larder_end_transaction(struct larder_txn *txn, bool commit);

/* ---- what is in a journal ---- */

struct larder_txn_conflict {
    const char *path;  /* in its filesystem, full */
    const char *found; /* what was in the way */
    const char *url;   /* of its filesystem */
};
struct larder_txn_info {
    size_t size;
    const char *id;
    const char *state; /* "open", "staging", "deciding", "committed", "conflicted", "rolling back" */
    bool alive;        /* its process lives, and is at it */
    int64_t began_ns, changed_ns; /* 0: of one that is open, and has nothing in the journal yet */
    uint64_t changes, bytes;
    const char *note;        /* "" for none */
    const char *const *urls; /* of its filesystems */
    size_t url_count;
    const struct larder_txn_conflict *conflicts;
    size_t conflict_count;
};
/* Called for each; all is borrowed. Non-zero ends the listing and is returned. */
typedef int larder_txn_list_fn(void *arg, const struct larder_txn_info *info);
/* What is in a journal (a directory; NULL: the default one) and not finished. No place is asked. */
LARDER_API LARDER_WAITS int larder_txn_list(const char *journal, larder_txn_list_fn *fn, void *arg);

enum larder_txn_way {
    LARDER_TXN_FINISH = 0, /* what is committed is published, what is not is rolled back; conflicts stay */
    LARDER_TXN_THEIRS,     /* the same; and where there is a conflict, what is there stays */
    LARDER_TXN_OURS,       /* the same; what the transaction wrote replaces it */
    LARDER_TXN_RESUME,     /* what was to be committed when its process died is staged on, and committed */
    LARDER_TXN_ROLLBACK,   /* only what is not committed, which is rolled back */
};
struct larder_txn_recover_options {
    size_t size;
    enum larder_txn_way way;
    const char *const *options; /* credentials, for larder_fs_from_json */
};
/*
 * Finish what dead processes left in a journal: one transaction, or with `id` NULL all. It may be repeated, and done by
 * several processes at once; transactions of living ones are left alone. Returns how many could not be finished, and why
 * is logged, and for the last of them larder_error()'s. With an `id`: 0, or the failure; -ENOENT: there is none, -EBUSY:
 * its process lives, or it is committed and cannot be rolled back; -EINVAL: it was not to be committed yet, and cannot be
 * resumed.
 */
LARDER_API LARDER_WAITS int larder_txn_recover(const char *journal, const char *id,
                                               const struct larder_txn_recover_options *how);

#ifdef __cplusplus
}
#endif
#endif
