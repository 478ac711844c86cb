/* SPDX-License-Identifier: Apache-2.0 */
/* How a plan is decided, once its conditions hold. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "fs/layer.h"
#include "txn/steps.h"

#define JOBS 32

struct each {
    struct plan *plan;
    item_fn *fn;
};

static int CO_FN each_item(void *arg, size_t index)
{
    struct each *each = arg;
    return each->fn(each->plan, &each->plan->items[index]);
}

int CO_FN plan_each(struct plan *plan, item_fn *fn)
{
    struct each each = {plan, fn};
    return group_each(plan->item_count, JOBS, GROUP_FIRST, each_item, &each);
}

/* ---- places that change all at one moment ---- */

bool member_applies(const struct plan_member *member)
{
    return layer_has(member->fs->instance, LAYER_APPLY);
}

static void fill_apply(const struct plan_item *item, struct apply_item *out)
{
    const struct change *change = item->change;
    *out =
        (struct apply_item){.kind = change->kind,
                            .clears = (change->kind == CHANGE_WRITE && change->before == BEFORE_DIRECTORY) ||
                                      (change->kind == CHANGE_MKDIR && change->before == BEFORE_FILE),
                            .path = change->path,
                            .data = change->payload.bytes.data,
                            .size = change->payload.bytes.size,
                            .flags = change->create ? LARDER_CREATE : 0,
                            .if_match = change->if_match,
                            .mtime_ns = change->timed ? change->mtime_ns : 0};
}

/* Conditions alone come first, then removals, the deepest before what is above; then what is made, from above. */
static size_t order_items(struct plan *plan, const struct plan_member *member, struct plan_item **out)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->item_count; i++)
        if (plan->items[i].member == member && plan->items[i].change->kind == CHANGE_CHECK)
            out[count++] = &plan->items[i];
    for (size_t i = plan->item_count; i-- > 0;) {
        enum change_kind kind = plan->items[i].change->kind;
        if (plan->items[i].member == member && (kind == CHANGE_REMOVE || kind == CHANGE_RMDIR))
            out[count++] = &plan->items[i];
    }
    for (size_t i = 0; i < plan->item_count; i++) {
        enum change_kind kind = plan->items[i].change->kind;
        if (plan->items[i].member == member &&
            (kind == CHANGE_WRITE || kind == CHANGE_MKDIR || kind == CHANGE_TOUCH))
            out[count++] = &plan->items[i];
    }
    return count;
}

int CO_FN member_apply(struct plan *plan, const struct plan_member *member)
{
    autofree struct plan_item **order = mem_array(plan->item_count + 1, sizeof *order);
    autofree struct apply_item *items = mem_array(plan->item_count + 1, sizeof *items);
    size_t failed = 0;
    if (!order || !items)
        return fail_memory();
    size_t count = order_items(plan, member, order);
    for (size_t i = 0; i < count; i++)
        fill_apply(order[i], &items[i]);
    int rc = count > 0 ? layer_apply(member->fs->instance, items, count, &failed) : 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        order[i]->done = true;
        order[i]->answer = items[i].answer;
        plan_sent(plan, order[i]->change->payload.size);
    }
    return rc;
}

bool member_has_conditions(const struct plan *plan, const struct plan_member *member)
{
    for (size_t i = 0; i < plan->item_count; i++)
        if (plan->items[i].member == member && item_is_conditional(&plan->items[i]))
            return true;
    return false;
}

/* ---- deciding ---- */

/* One conditional write. 0: it is there; 1: the condition does not hold; else it is not known. */
static int CO_FN write_conditional(struct plan *plan, struct plan_item *item)
{
    const struct change *change = item->change;
    int rc = item_write(plan, item, change->create ? LARDER_CREATE : 0, change->if_match);
    if (rc < 0)
        return item_conflicts(item, rc) ? 1 : rc;
    item->done = true;
    CRASH_POINT("txn.condition_written");
    return 0;
}

/* Who has the conditional writes, but those of places that apply. */
static bool is_decisive(const struct plan_item *item)
{
    return item->change->kind == CHANGE_WRITE && item_is_conditional(item) && !member_applies(item->member) &&
           !item->done;
}

static struct plan_item *first_decisive(struct plan *plan)
{
    for (size_t i = 0; i < plan->item_count; i++)
        if (is_decisive(&plan->items[i]))
            return &plan->items[i];
    return NULL;
}

/* 1: it is decided by a place that member_applies; it cannot be told from outside who wins there but by doing it. */
static int CO_FN apply_conditional(struct plan *plan)
{
    int decided = 0;
    for (size_t i = 0; i < plan->member_count; i++) {
        const struct plan_member *member = &plan->members[i];
        if (!member_applies(member) || !member_has_conditions(plan, member))
            continue;
        int rc = member_apply(plan, member);
        if (rc < 0)
            return decided ? fail_more(-EINPROGRESS, "committed, but not everywhere") : rc;
        decided = 1;
    }
    return decided;
}

/*
 * A small conditional write is with its place, and its bytes are on the disk, before its name is there: else a power cut
 * could leave the name with other bytes, and nobody could tell whose it is.
 */
static int CO_FN stage_decisive(struct plan *plan, struct plan_item *item)
{
    bool named = is_decisive(item) && item_is_named(item) && !item->token.text;
    return named && layer_has(item->member->fs->instance, LAYER_SYNC) ? item_stage(plan, item) : 0;
}

static int CO_FN stage_conditionals(struct plan *plan)
{
    int rc = plan_each(plan, stage_decisive);
    return rc == 0 ? plan_sync(plan, item_is_conditional) : rc;
}

/* J5: one of them there decides; so a recovery looks at all of them before any is written. What is there is ours if it has
 * our bytes. */
static int CO_FN look_for_decision(struct plan *plan, bool *decided)
{
    for (size_t i = 0; i < plan->item_count; i++) {
        struct plan_item *item = &plan->items[i];
        if (!is_decisive(item))
            continue;
        int there = item_is_there(plan, item);
        if (there < 0)
            return there;
        item->done = there;
        *decided |= there;
    }
    return 0;
}

static int CO_FN write_conditionals(struct plan *plan, bool decided)
{
    for (size_t i = 0; i < plan->item_count; i++) {
        struct plan_item *item = &plan->items[i];
        if (!is_decisive(item))
            continue;
        int rc = write_conditional(plan, item);
        if (rc == 1 && !decided)
            return fail(item->change->create ? -EEXIST : -ESTALE, "%s", item->conflict);
        if (rc < 0)
            return fail_more(-EINPROGRESS, "it is not known whether %s was written", item->change->path);
        decided |= rc == 0;
    }
    return 0;
}

/* So that in a DECIDED transaction every conditional write is there, or says why it is not. */
static int CO_FN note_conflicts(struct plan *plan)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < plan->item_count; i++)
        if (plan->items[i].conflict)
            rc = plan_note_item(plan, &plan->items[i]);
    return rc;
}

int CO_FN plan_decide(struct plan *plan)
{
    if (plan->state == JOURNAL_DECIDED || plan->state == JOURNAL_CONFLICTED)
        return 0;
    bool decisive = first_decisive(plan), decided = false;
    int rc = decisive && !plan->again ? stage_conditionals(plan) : 0;
    if (rc == 0 && decisive && plan->state != JOURNAL_DECIDING)
        rc = plan_set_state(plan, JOURNAL_DECIDING);
    CRASH_POINT("txn.deciding");
    if (rc == 0 && plan->again)
        rc = look_for_decision(plan, &decided);
    if (rc == 0 && plan->again && !decided && decisive)
        return fail(-ECANCELED, "it was not decided");
    if (rc == 0 && plan->again)
        rc = stage_conditionals(plan);
    if (rc == 0)
        rc = apply_conditional(plan);
    if (rc < 0)
        return rc;
    rc = write_conditionals(plan, decided || rc == 1);
    if (rc == 0)
        rc = note_conflicts(plan);
    if (rc == 0) /* J5: nobody looks for them again */
        rc = plan_sync(plan, item_is_conditional);
    if (rc == 0)
        rc = plan_set_state(plan, JOURNAL_DECIDED);
    CRASH_POINT("txn.decided");
    return rc;
}
