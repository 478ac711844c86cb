/* SPDX-License-Identifier: Apache-2.0 */
/* Plans: made of a transaction, and written down. */
#include "txn/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "fs/layer.h"

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

/* ---- of a transaction ---- */

static size_t count_members(const struct larder_txn *txn, size_t *changes)
{
    size_t count = 0;
    *changes = 0;
    list_for_each (node, &txn->members) {
        *changes += container_of(node, struct member, node)->overlay.count;
        count++;
    }
    return count;
}

static void add_member(struct plan *plan, struct member *member)
{
    struct plan_member *out = &plan->members[plan->member_count++];
    struct change *change = NULL;
    out->fs = larder_fs_ref(member->fs);
    out->persistent = member->persistent;
    while ((change = overlay_next(&member->overlay, change ? change->path : "")))
        plan->items[plan->item_count++] = (struct plan_item){.member = out, .change = change_ref(change)};
}

/* With the lock. */
static int add_members(struct plan *plan, struct larder_txn *txn)
{
    size_t changes, members = count_members(txn, &changes);
    plan->members = mem_array(members + 1, sizeof *plan->members);
    plan->items = mem_array(changes + 1, sizeof *plan->items);
    if (!plan->members || !plan->items)
        return fail_memory();
    list_for_each (node, &txn->members)
        add_member(plan, container_of(node, struct member, node));
    return 0;
}

static int describe_member(struct plan_member *member)
{
    char *json = NULL, *url = NULL;
    if (!member->persistent)
        return 0;
    int rc = larder_fs_to_json(member->fs, false, &json);
    if (rc == 0)
        rc = chain_url(member->fs->instance, "", &url);
    member->json = json;
    member->url = url;
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
    for (size_t i = 0; rc == 0 && i < out->member_count; i++)
        rc = describe_member(&out->members[i]);
    if (rc < 0)
        plan_fini(out);
    return rc;
}

/* ---- records ---- */

/* Edits with the buffers that they point into. */
struct records {
    struct edit *edits;
    struct buffer *buffers;
    size_t count;
};

static int records_init(struct records *records, size_t capacity)
{
    *records = (struct records){.edits = mem_array(capacity, sizeof(struct edit)),
                                .buffers = mem_array(capacity, sizeof(struct buffer))};
    return records->edits && records->buffers ? 0 : fail_memory();
}

static void records_fini(struct records *records)
{
    for (size_t i = 0; records->buffers && i < records->count; i++)
        buffer_free(&records->buffers[i]);
    mem_free(records->edits);
    mem_free(records->buffers);
}

static struct buffer *next_buffer(struct records *records)
{
    struct buffer *buffer = &records->buffers[records->count++];
    *buffer = BUFFER(RECORD_SIZE_TOP);
    return buffer;
}

static struct edit put_edit(struct journal_key key, const struct buffer *buffer)
{
    return (struct edit){EDIT_PUT, key, buffer->data, buffer->size};
}

static int head_edit(uint64_t id, const struct head_record *head, struct buffer *buffer, struct edit *out)
{
    struct journal_key key = journal_key(id, RECORD_HEAD, 0);
    int rc = head_write(&key, head, buffer);
    *out = put_edit(key, buffer);
    return rc;
}

int txn_head_edit(struct larder_txn *txn, enum journal_state state, struct buffer *buffer, struct edit *out)
{
    size_t changes;
    pthread_mutex_lock(&txn->lock);
    size_t members = count_members(txn, &changes);
    pthread_mutex_unlock(&txn->lock);
    const struct head_record head = {.state = state,
                                     .began_ns = txn->began_ns,
                                     .changed_ns = wall_ns(),
                                     .members = members,
                                     .changes = changes,
                                     .note = txn->note ? txn->note : ""};
    return head_edit(txn->id, &head, buffer, out);
}

static int plan_head_edit(const struct plan *plan, enum journal_state state, struct buffer *buffer,
                          struct edit *out)
{
    struct head_record head = {.state = state,
                               .began_ns = plan->began_ns,
                               .changed_ns = wall_ns(),
                               .note = plan->note};
    for (size_t i = 0; i < plan->member_count; i++)
        head.members += plan->members[i].persistent;
    for (size_t i = 0; i < plan->item_count; i++) {
        head.changes += plan->items[i].member->persistent;
        head.bytes += (uint64_t)plan->items[i].change->payload.size;
    }
    return head_edit(plan->vault.txn, &head, buffer, out);
}

static int member_edit(const struct plan *plan, size_t index, struct buffer *buffer, struct edit *out)
{
    struct journal_key key = journal_key(plan->vault.txn, RECORD_MEMBER, index);
    const struct member_record record = {plan->members[index].json, plan->members[index].url};
    int rc = member_write(&key, &record, buffer);
    *out = put_edit(key, buffer);
    return rc;
}

static int item_edit(const struct plan *plan, const struct plan_item *item, struct buffer *buffer,
                     struct edit *out)
{
    const struct change *change = item->change;
    struct journal_key key = journal_key(plan->vault.txn, RECORD_CHANGE, change->id);
    struct change_record record = {.member = (uint32_t)(item->member - plan->members),
                                   .kind = change->kind,
                                   .payload = change->payload.kind,
                                   .before = change->before,
                                   .create = change->create,
                                   .mtime_ns = change->mtime_ns,
                                   .size = change->payload.size,
                                   .path = change->path,
                                   .if_match = change->if_match,
                                   .token = item->token.text,
                                   .conflict = item->conflict,
                                   .content_type = change->labels.content_type,
                                   .cache_control = change->labels.cache_control,
                                   .metadata = change->labels.metadata};
    memcpy(record.digest, change->payload.digest, sizeof record.digest);
    int rc = change_write(&key, &record, buffer);
    *out = put_edit(key, buffer);
    return rc;
}

static int locks_edit(const struct plan *plan, struct buffer *buffer, struct edit *out)
{
    struct journal_key key = journal_key(plan->vault.txn, RECORD_LOCKS, 0);
    int rc = locks_write(&key, plan->held, plan->held_count, buffer);
    *out = put_edit(key, buffer);
    return rc;
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
    struct buffer buffer = BUFFER(RECORD_SIZE_TOP);
    struct edit edit;
    int rc = plan_head_edit(plan, state, &buffer, &edit);
    if (rc == 0)
        rc = plan_write(plan, &edit, 1);
    buffer_free(&buffer);
    if (rc == 0)
        plan->state = state;
    return rc;
}

int CO_FN plan_note_item(struct plan *plan, const struct plan_item *item)
{
    struct buffer buffer = BUFFER(RECORD_SIZE_TOP);
    struct edit edit;
    if (!item->member->persistent)
        return 0;
    int rc = item_edit(plan, item, &buffer, &edit);
    if (rc == 0)
        rc = plan_write(plan, &edit, 1);
    buffer_free(&buffer);
    return rc;
}

static int collect_records(struct plan *plan, enum journal_state state, struct records *records)
{
    struct buffer *buffer = next_buffer(records);
    int rc = plan_head_edit(plan, state, buffer, &records->edits[0]);
    for (size_t i = 0; rc == 0 && i < plan->member_count; i++)
        if (plan->members[i].persistent) {
            buffer = next_buffer(records);
            rc = member_edit(plan, i, buffer, &records->edits[records->count - 1]);
        }
    for (size_t i = 0; rc == 0 && i < plan->item_count; i++)
        if (plan->items[i].member->persistent) {
            buffer = next_buffer(records);
            rc = item_edit(plan, &plan->items[i], buffer, &records->edits[records->count - 1]);
        }
    if (rc == 0 && plan->held_count > 0) { /* J8 */
        buffer = next_buffer(records);
        rc = locks_edit(plan, buffer, &records->edits[records->count - 1]);
    }
    return rc;
}

static enum journal_state first_state(const struct plan *plan)
{
    for (size_t i = 0; i < plan->item_count; i++)
        if (item_is_conditional(&plan->items[i]) || item_is_staged(&plan->items[i]))
            return JOURNAL_SEALED;
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
    pending_settle(txn, &batch, rc);
    if (rc == 0)
        plan->state = state;
    return rc;
}

int CO_FN plan_seal(struct plan *plan, struct larder_txn *txn)
{
    struct records records;
    if (!plan->vault.journal)
        return 0;
    CRASH_POINT("txn.before_seal");
    int rc = records_init(&records, plan->member_count + plan->item_count + 2);
    if (rc == 0)
        rc = seal_with(plan, &records, txn);
    records_fini(&records);
    CRASH_POINT("txn.sealed");
    return rc;
}

int CO_FN plan_unseal(struct plan *plan)
{
    struct buffer buffer = BUFFER(RECORD_SIZE_TOP);
    size_t count = 0;
    struct edit *edits = mem_array(plan->item_count + 2, sizeof *edits);
    if (!edits)
        return fail_memory();
    int rc = plan_head_edit(plan, JOURNAL_OPEN, &buffer, &edits[count++]);
    edits[count++] = (struct edit){EDIT_DELETE, journal_key(plan->vault.txn, RECORD_LOCKS, 0), NULL, 0};
    for (size_t i = 0; i < plan->item_count; i++)
        if (plan->items[i].member->persistent)
            edits[count++] =
                (struct edit){EDIT_DELETE,
                              journal_key(plan->vault.txn, RECORD_CHANGE, plan->items[i].change->id), NULL,
                              0};
    if (rc == 0)
        rc = plan_write(plan, edits, count);
    buffer_free(&buffer);
    mem_free(edits);
    return rc;
}
