/* SPDX-License-Identifier: Apache-2.0 */
/* A plan from its first step to its last: by the transaction's own process, or by who recovers it. */
#include <errno.h>

#include "base/error.h"
#include "base/seams.h"
#include "task/loop.h"
#include "txn/recover.h"
#include "txn/steps.h"

static bool is_async(const struct larder_fs *fs)
{
    return fs->instance->backend->kind == ASYNC;
}

int plan_carrier(const struct plan *plan, struct larder_fs **out)
{
    *out = plan->member_count > 0 ? plan->members[0].fs : NULL;
    for (size_t i = 0; i < plan->member_count; i++) {
        struct larder_fs *fs = plan->members[i].fs;
        if (!is_async(fs))
            continue;
        if (is_async(*out) && !loop_is_same((*out)->instance->loop, fs->instance->loop))
            return fail(-EXDEV, "a transaction's filesystems are bound to different loops");
        *out = fs;
    }
    return 0;
}

/* ---- by its own process ---- */

static int CO_FN decide(struct plan *plan, struct larder_txn *txn)
{
    int rc = plan_lock(plan);
    if (rc == 0)
        rc = plan_prepare(plan);
    if (rc == 0)
        rc = plan_seal(plan, txn);
    if (rc == 0 && plan->state != JOURNAL_DECIDED)
        rc = plan_stage(plan);
    return rc == 0 ? plan_decide(plan) : rc;
}

static int CO_FN discard_all(struct plan *plan)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < plan->item_count; i++)
        if (plan->items[i].change->payload.kind != PAYLOAD_STAGED)
            rc = item_discard(plan, &plan->items[i]);
    if (rc == 0)
        rc = plan_sync(plan, NULL);
    return rc == 0 ? plan_unseal(plan) : rc;
}

/* Back to where the commit began; what cannot be done now is left to a recovery, as with a process that died here. */
static bool CO_FN back_out(struct plan *plan, struct larder_txn *txn)
{
    struct error_slot words = *error_slot();
    struct deadline deadline;
    if (!plan->state || plan->state == JOURNAL_OPEN)
        return true;
    deadline_begin_shielded(&deadline, UNDO_MS);
    int rc = deadline_end(&deadline, discard_all(plan), "rolling back");
    if (rc < 0)
        log_at(LARDER_LOG_WARNING, "transaction %016llx: what was staged is still there: %s",
               (unsigned long long)plan->vault.txn, error_text());
    else
        pending_note_written(txn); /* its payloads stay there */
    *error_slot() = words;
    return rc == 0;
}

int CO_FN plan_commit(struct plan *plan, struct larder_txn *txn, bool *kept)
{
    int rc = decide(plan, txn);
    if (rc < 0 && rc != -EINPROGRESS)
        *kept = back_out(plan, txn);
    if (rc == 0)
        rc = plan_publish(plan);
    return rc == 0 ? plan_finish(plan) : rc;
}
