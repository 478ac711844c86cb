/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TXN_PLAN_H
#define TXN_PLAN_H
/*
 * What is to be done for a transaction to be committed, or rolled back: its members and changes, made from the
 * transaction itself or, by whoever recovers it, from the journal. The steps are the same for both; who recovers (`again`)
 * finds that some were taken already.
 *
 *     plan_lock      wait for other transactions with conditions on the same paths                    J8
 *     plan_prepare   the conditions, asked of the places themselves
 *     plan_seal      all of it is in the journal                                                    J1 J3
 *     plan_stage     large writes go to their places                                                J1 J2
 *     plan_decide    conditional writes, one after the other; from the first that succeeds on there is no way back    J5
 *     plan_publish   everything else; what is in the way of a change is noted with it               J4
 *     plan_finish    on the places' disks; forgotten, or CONFLICTED                                  J6
 *     plan_undo      what was staged is discarded; forgotten
 *
 * All run in a task, which every member's place can be reached from.
 */
#include "fs/fs.h"
#include "fs/progress.h"
#include "txn/pending.h"
#include "txn/records.h"
#include "txn/vault.h"

struct plan_member {
    struct larder_fs *fs; /* a reference; its root is "". NULL: not opened yet */
    char *json, *url;     /* of a persistent one; mem */
    bool persistent;      /* else it is not in the journal, nor are its items */
};
/* By member; of each, its changes in the order of their paths, then conditions alone. */
struct plan_item {
    struct plan_member *member;
    struct change *change; /* a reference */
    struct token token;    /* when it is staged with its place; mem */
    char *conflict;        /* what was found in its way; mem */
    bool done;
    struct answer answer; /* of a write that was published */
};
struct plan {
    struct vault vault;
    enum journal_state state; /* as in the journal; 0: it is not there */
    int64_t began_ns, changed_ns;
    char *note; /* mem */
    struct plan_member *members;
    struct plan_item *items;
    size_t member_count, item_count;
    struct range_lock conditions;
    bool locked;
    uint64_t *held; /* the bytes of `conditions` that it holds while it is locked, sorted; mem */
    size_t held_count;
    uint64_t blocker;          /* the transaction that plan_lock met */
    struct progress *progress; /* NULL: nobody wants to know */
    int64_t sent, total;       /* of the writes' bytes: to their places, and all */
    bool again;
};
void plan_fini(struct plan *plan);

/* Of a transaction that is ENDING. */
int plan_make(struct larder_txn *txn, struct plan *out);
/* Of one in the journal, whose owner's byte the caller has taken; its members are not opened. -ENOENT: it is not there.
 * May block on a disk. */
int plan_load(struct journal *journal, uint64_t id, struct plan *out);

/* PLAN_BLOCKED: `blocker` is a transaction that died while it decided about one of the same paths. It is to be recovered
 * first; nothing is locked. */
#define PLAN_BLOCKED 1
int CO_FN plan_lock(struct plan *plan);
int CO_FN plan_prepare(struct plan *plan);
/* Does its condition hold at the place? 0; -EEXIST, -ESTALE: no, and the text says what was found; or a failure. */
int CO_FN change_check(const struct change *change, struct instance *instance);
/* `state` is SEALED or, when nothing is to be staged nor decided, DECIDED at once. `txn` has what is pending. */
int CO_FN plan_seal(struct plan *plan, struct larder_txn *txn);
/* Out of the journal again, but for the payloads: the transaction is open as before. */
int CO_FN plan_unseal(struct plan *plan);
int CO_FN plan_stage(struct plan *plan);
/* 0: it is decided. -EINPROGRESS: it is not known; recovery finds out. Else nothing is visible. */
int CO_FN plan_decide(struct plan *plan);
/* -EINPROGRESS with the reason: the rest is for a recovery. */
int CO_FN plan_publish(struct plan *plan);
int CO_FN plan_finish(struct plan *plan);
int CO_FN plan_undo(struct plan *plan);

/* What was staged while it was open, and neither published nor kept for a conflict, is discarded. */
int CO_FN plan_sweep(struct plan *plan);

/* So many bytes of a write are with its place. */
void plan_sent(struct plan *plan, int64_t bytes);

/* One synced write: its head says `state`. */
int CO_FN plan_set_state(struct plan *plan, enum journal_state state);
/* Its record, with token and conflict as they are. */
int CO_FN plan_note_item(struct plan *plan, const struct plan_item *item);
/* journal_write on a worker. */
int CO_FN plan_write(struct plan *plan, const struct edit edits[], size_t count);

/* Does the place take what it stages under an id, whole or in parts of any size? Then every write goes that way, so that
 * whoever recovers finds what a killed process left. */
bool item_is_named(const struct plan_item *item);
/* Is it to be with its place before anything is decided? */
bool item_is_staged(const struct plan_item *item);
bool item_is_conditional(const struct plan_item *item);
/* Is what is at its path what it was to become? -ENOENT …: it cannot be told. */
int CO_FN item_is_there(struct plan *plan, struct plan_item *item);
/* Put it to its place, unpublished. */
int CO_FN item_stage(struct plan *plan, struct plan_item *item);
/* Publish a write. */
int CO_FN item_write(struct plan *plan, struct plan_item *item, unsigned flags, const char *if_match);
/* Is this failure the fault of what is at the path, and not of the way there? Then it becomes the item's conflict. */
bool item_conflicts(struct plan_item *item, int status);
/* The same once all is decided: a refusal that waiting does not change, too. */
bool item_is_refused(struct plan_item *item, int status);
/* What is staged of it, or may be, is removed. */
int CO_FN item_discard(struct plan *plan, struct plan_item *item);

/* The head of a transaction that is open, for a journal that has none of it yet. */
int txn_add_head(struct larder_txn *txn, struct records *records);

#endif
