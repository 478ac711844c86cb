/* SPDX-License-Identifier: Apache-2.0 */
/* Plans: made of a transaction, and written down. */
#include "txn/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "txn/records.h"
#include "txn/steps.h"

void plan_fini(struct plan *plan)
{
    for (size_t i = 0; i < plan->item_count; i++) {
        struct plan_item *item = &plan->items[i];
        answer_free(&item->answer);
        mem_free(item->token.text);
        mem_free(item->conflict);
        change_unref(item->change);
    }
    for (size_t i = 0; i < plan->member_count; i++) {
        larder_fs_free(plan->members[i].fs);
        mem_free(plan->members[i].json);
        mem_free(plan->members[i].url);
    }
    if (plan->locked)
        range_lock_close(&plan->conditions);
    mem_free(plan->held);
    mem_free(plan->items);
    mem_free(plan->members);
    mem_free(plan->note);
    *plan = (struct plan){0};
}

static int64_t count_bytes(const struct plan *plan)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < plan->item_count; i++)
        bytes += plan->items[i].change->payload.size;
    return bytes;
}

void plan_sent(struct plan *plan, int64_t bytes)
{
    plan->sent += bytes;
    if (plan->progress)
        progress_tell(plan->progress, plan->sent, plan->total);
}

/* ---- of a transaction ---- */

static size_t count_members(const struct larder_txn *txn, size_t *changes)
{
    size_t count = 0;
    *changes = 0;
    list_for_each (node, &txn->members) {
        const struct member *member = container_of(node, struct member, node);
        *changes += member->overlay.count + member->checks.count;
        count++;
    }
    return count;
}

/* With the lock, as is what follows. */
static int add_change(struct plan *plan, struct plan_member *member, struct change *change)
{
    const char *token = change->payload.token.text;
    struct plan_item *item = &plan->items[plan->item_count++];
    *item = (struct plan_item){.member = member, .change = change_ref(change)};
    if (token && !(item->token.text = mem_dup(token)))
        return fail_memory();
    return 0;
}

static int add_member(struct plan *plan, struct member *member)
{
    struct plan_member *out = &plan->members[plan->member_count++];
    struct change *change = NULL;
    int rc = 0;
    out->fs = larder_fs_ref(member->fs);
    out->persistent = member->persistent;
    out->json = member->json ? mem_dup(member->json) : NULL;
    out->url = member->url ? mem_dup(member->url) : NULL;
    if (out->persistent && (!out->json || !out->url))
        return fail_memory();
    while (rc == 0 && (change = overlay_next(&member->overlay, change ? change->path : "")))
        rc = add_change(plan, out, change);
    while (rc == 0 && (change = overlay_next(&member->checks, change ? change->path : "")))
        if (!overlay_at(&member->overlay, change->path)) /* which has the condition */
            rc = add_change(plan, out, change);
    return rc;
}

static int add_members(struct plan *plan, struct larder_txn *txn)
{
    size_t changes, members = count_members(txn, &changes);
    plan->members = mem_array(members + 1, sizeof *plan->members);
    plan->items = mem_array(changes + 1, sizeof *plan->items);
    if (!plan->members || !plan->items)
        return fail_memory();
    int rc = 0;
    list_for_each (node, &txn->members)
        rc = rc < 0 ? rc : add_member(plan, container_of(node, struct member, node));
    return rc;
}

int plan_make(struct larder_txn *txn, struct plan *out)
{
    *out = (struct plan){.vault = {txn->journal, txn->id}, .began_ns = txn->began_ns};
    out->state = txn->written ? JOURNAL_OPEN : 0;
    out->note = mem_dup(txn->note ? txn->note : "");
    if (!out->note)
        return fail_memory();
    pthread_mutex_lock(&txn->lock);
    int rc = add_members(out, txn);
    pthread_mutex_unlock(&txn->lock);
    out->total = count_bytes(out);
    if (rc < 0)
        plan_fini(out);
    return rc;
}

/* ---- records ---- */

int txn_add_head(struct larder_txn *txn, struct records *records)
{
    size_t changes;
    pthread_mutex_lock(&txn->lock);
    size_t members = count_members(txn, &changes);
    pthread_mutex_unlock(&txn->lock);
    const struct head_record head = {.state = JOURNAL_OPEN,
                                     .began_ns = txn->began_ns,
                                     .changed_ns = wall_ns(),
                                     .members = members,
                                     .changes = changes,
                                     .note = txn->note ? txn->note : ""};
    return records_add_head(records, EDIT_NEW, &head);
}

static int add_head(const struct plan *plan, enum journal_state state, struct records *records)
{
    struct head_record head = {.state = state,
                               .began_ns = plan->began_ns,
                               .changed_ns = wall_ns(),
                               .bytes = (uint64_t)plan->total,
                               .note = plan->note};
    for (size_t i = 0; i < plan->member_count; i++)
        head.members += plan->members[i].persistent;
    for (size_t i = 0; i < plan->item_count; i++)
        head.changes += plan->items[i].member->persistent;
    return records_add_head(records, EDIT_PUT, &head);
}

static int add_item(const struct plan *plan, const struct plan_item *item, struct records *records)
{
    return records_add_change(records, (size_t)(item->member - plan->members), item->change, item->token.text,
                              item->conflict);
}

/* ---- writing ---- */

struct write_step {
    struct journal *journal;
    const struct edit *edits;
    size_t count;
};

static int write_on_worker(void *arg)
{
    struct write_step *step = arg;
    return journal_write(step->journal, step->edits, step->count);
}

/* Whether it was written must be known: a cancel waits until it is. */
int CO_FN plan_write(struct plan *plan, const struct edit edits[], size_t count)
{
    struct write_step step = {plan->vault.journal, edits, count};
    struct deadline deadline;
    if (!plan->vault.journal || count == 0)
        return 0;
    deadline_begin_shielded(&deadline, 0);
    return deadline_end(&deadline, offload(write_on_worker, &step), "the journal");
}

int CO_FN plan_set_state(struct plan *plan, enum journal_state state)
{
    autorecords struct records records;
    int rc = records_init(&records, plan->vault.txn, 1);
    if (rc == 0)
        rc = add_head(plan, state, &records);
    if (rc == 0)
        rc = plan_write(plan, records.edits, records.count);
    if (rc == 0)
        plan->state = state;
    return rc;
}

int CO_FN plan_note_item(struct plan *plan, const struct plan_item *item)
{
    autorecords struct records records;
    int rc = records_init(&records, plan->vault.txn, 1);
    if (rc == 0 && item->member->persistent)
        rc = add_item(plan, item, &records);
    return rc == 0 ? plan_write(plan, records.edits, records.count) : rc;
}

static int collect_records(struct plan *plan, enum journal_state state, struct records *records)
{
    int rc = add_head(plan, state, records);
    for (size_t i = 0; rc == 0 && i < plan->member_count; i++)
        if (plan->members[i].persistent)
            rc = records_add_member(records, i, plan->members[i].json, plan->members[i].url);
    for (size_t i = 0; rc == 0 && i < plan->item_count; i++)
        if (plan->items[i].member->persistent)
            rc = add_item(plan, &plan->items[i], records);
    if (rc == 0 && plan->held_count > 0) /* J8 */
        rc = records_add_locks(records, plan->held, plan->held_count);
    return rc;
}

static enum journal_state first_state(const struct plan *plan)
{
    for (size_t i = 0; i < plan->item_count; i++) {
        const struct plan_item *item = &plan->items[i];
        bool decides = item->change->kind == CHANGE_WRITE || member_applies(item->member);
        if ((decides && item_is_conditional(item)) || item_is_staged(item))
            return JOURNAL_SEALED;
    }
    return JOURNAL_DECIDED;
}

/* The payloads that are still in memory go along: one synced write for all (J3). */
static int CO_FN seal_with(struct plan *plan, struct records *records, struct larder_txn *txn)
{
    struct pending_batch batch;
    enum journal_state state = first_state(plan);
    int rc = collect_records(plan, state, records);
    if (rc == 0)
        rc = pending_take(txn, &batch);
    if (rc < 0)
        return rc;
    struct edit *all = mem_array(records->count + batch.count, sizeof *all);
    rc = all ? 0 : fail_memory();
    if (rc == 0) {
        memcpy(all, records->edits, records->count * sizeof *all);
        memcpy(all + records->count, batch.edits, batch.count * sizeof *all);
        rc = plan_write(plan, all, records->count + batch.count);
    }
    mem_free(all);
    pending_settle(txn, &batch, rc, true); /* they are published next */
    if (rc == 0)
        plan->state = state;
    return rc;
}

static int sync_payloads(void *arg)
{
    struct plan *plan = arg;
    return journal_sync_payloads(plan->vault.journal);
}

static bool is_kept_there(const struct plan_item *item)
{
    return item->change->payload.kind == PAYLOAD_STAGED;
}

/* What the journal only names is on the disk before it does: large files at their places, and names beside it. */
static int CO_FN secure_payloads(struct plan *plan)
{
    bool files = false;
    int rc = 0;
    for (size_t i = 0; i < plan->item_count; i++)
        files |= plan->items[i].change->payload.kind == PAYLOAD_FILE;
    if (files)
        rc = offload(sync_payloads, plan);
    return rc == 0 ? plan_sync(plan, is_kept_there) : rc;
}

int CO_FN plan_seal(struct plan *plan, struct larder_txn *txn)
{
    autorecords struct records records = {0};
    if (!plan->vault.journal)
        return 0;
    int rc = secure_payloads(plan);
    CRASH_POINT("txn.before_seal");
    if (rc == 0)
        rc = records_init(&records, plan->vault.txn, plan->member_count + plan->item_count + 2);
    if (rc == 0)
        rc = seal_with(plan, &records, txn);
    CRASH_POINT("txn.sealed");
    return rc;
}

int CO_FN plan_unseal(struct plan *plan)
{
    autorecords struct records records;
    int rc = records_init(&records, plan->vault.txn, plan->item_count + 2);
    if (rc == 0)
        rc = add_head(plan, JOURNAL_OPEN, &records);
    if (rc < 0)
        return rc;
    records_add_delete(&records, RECORD_LOCKS, 0);
    for (size_t i = 0; i < plan->item_count; i++)
        if (plan->items[i].member->persistent)
            records_add_delete(&records, RECORD_CHANGE, plan->items[i].change->id);
    return plan_write(plan, records.edits, records.count);
}
