/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TXN_RECOVER_H
#define TXN_RECOVER_H
/* What dead owners left. */
#include "larder/txn.h"

#include "txn/plan.h"

/* In a task: a plan of this process's own transaction, to its end. *kept: nothing is decided, and the transaction is open
 * as before. */
int CO_FN plan_commit(struct plan *plan, struct larder_txn *txn, bool *kept);

/* larder_txn_recover, over the backends that are registered. */
int txn_recover(const char *dir, const char *id, const struct larder_txn_recover_options *how);
/* Those that have `fs` among their members, which is used for it. What fails is logged. */
void txn_recover_for(struct journal *journal, struct larder_fs *fs);

/* The transactions of a journal. */
struct id_list {
    struct journal *journal;
    uint64_t *ids; /* mem */
    size_t count, capacity;
};
int id_list_fill(struct id_list *list); /* may block on a disk */
int id_list_add(struct id_list *list, uint64_t id);

/* Run fn(arg), which goes through `plan`, in a task that reaches all its members; whoever is in its way (PLAN_BLOCKED) is
 * recovered, and fn run again. -EBUSY: he cannot be. Nothing is run for a plan without members. */
int plan_run(struct plan *plan, const char *what, larder_task_fn *fn, void *arg);

/* The filesystem whose loop a plan's members can all be reached from; NULL: it has none. -EXDEV with text. */
int plan_carrier(const struct plan *plan, struct larder_fs **out);

#endif
