/* SPDX-License-Identifier: Apache-2.0 */
/* From the decision of a plan to its end. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/enter.h"
#include "fs/layer.h"
#include "txn/steps.h"

/* ---- publishing ---- */

/* Does a write or a mkdir of this plan take the place of what is at, or above, the item? */
static bool is_in_the_way(const struct plan *plan, const struct plan_item *item)
{
    for (size_t i = 0; i < plan->item_count; i++) {
        const struct plan_item *other = &plan->items[i];
        if (other->member == item->member && other->change->kind == CHANGE_WRITE &&
            other->change->before == BEFORE_DIRECTORY && other != item &&
            path_within(other->change->path, item->change->path))
            return true;
    }
    return false;
}

static int forgive(struct plan_item *item, int rc)
{
    if (rc == -ENOENT || rc == -ENOTDIR)
        rc = 0; /* gone already, or a file took its directory's place */
    if (rc < 0 && item_is_refused(item, rc))
        rc = 0;
    return rc;
}

static int CO_FN remove_item(struct plan *plan, struct plan_item *item)
{
    const char *path = item->change->path;
    int status = 0;
    int rc = layer_remove(item->member->fs->instance, &path, 1, &status);
    rc = forgive(item, rc < 0 ? rc : status);
    item->done = rc == 0;
    CRASH_POINT("txn.removed");
    return rc;
}

static int CO_FN rmdir_item(struct plan_item *item)
{
    int rc = forgive(item, layer_rmdir(item->member->fs->instance, item->change->path));
    item->done = rc == 0;
    return rc;
}

static bool is_left(const struct plan_item *item, enum change_kind kind)
{
    return item->change->kind == kind && !item->done && !item->conflict;
}

/* A directory where a file is to be; what was below it is gone. Where a crash left the file there already it stays. */
static int CO_FN clear_directory(struct plan_item *item)
{
    if (item->change->before != BEFORE_DIRECTORY)
        return 0;
    int rc = layer_rmdir(item->member->fs->instance, item->change->path);
    return forgive(item, rc);
}

static int CO_FN clear_file(struct plan_item *item)
{
    const char *path = item->change->path;
    int status = 0;
    if (item->change->before != BEFORE_FILE)
        return 0;
    int rc = layer_remove(item->member->fs->instance, &path, 1, &status);
    rc = rc < 0 ? rc : status;
    return rc == -EISDIR ? 0 : forgive(item, rc);
}

static bool any_clears(const struct plan *plan)
{
    for (size_t i = 0; i < plan->item_count; i++)
        if (plan->items[i].change->kind == CHANGE_WRITE && plan->items[i].change->before == BEFORE_DIRECTORY)
            return true;
    return false;
}

/* From the deepest up: files, their directories, then what takes the place of these. */
static int CO_FN clear_ways(struct plan *plan)
{
    int rc = 0;
    bool clears = any_clears(plan);
    for (size_t i = plan->item_count; clears && rc == 0 && i-- > 0;) {
        struct plan_item *item = &plan->items[i];
        if (is_left(item, CHANGE_REMOVE) && is_in_the_way(plan, item))
            rc = remove_item(plan, item);
        else if (is_left(item, CHANGE_RMDIR) && is_in_the_way(plan, item))
            rc = rmdir_item(item);
        else if (is_left(item, CHANGE_WRITE))
            rc = clear_directory(item);
    }
    return rc;
}

static int CO_FN make_directories(struct plan *plan)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < plan->item_count; i++) {
        struct plan_item *item = &plan->items[i];
        if (!is_left(item, CHANGE_MKDIR))
            continue;
        rc = clear_file(item);
        if (rc == 0 && !item->conflict)
            rc = dirs_make(item->member->fs->instance, item->change->path, 0);
        if (rc < 0 && item_is_refused(item, rc))
            rc = 0;
        item->done = rc == 0;
        CRASH_POINT("txn.directory_made");
    }
    return rc;
}

/* A repeated write would be right as well; but what is there already need not be sent, nor replace what came after. */
static int CO_FN write_item(struct plan *plan, struct plan_item *item)
{
    if (!is_left(item, CHANGE_WRITE))
        return 0;
    int there = plan->again && !item->token.text ? item_is_there(plan, item) : 0;
    int rc = there > 0 ? 0 : item_write(plan, item, 0, NULL);
    if (rc < 0 && item_is_refused(item, rc))
        rc = 0;
    item->done = rc == 0 && !item->conflict;
    return rc;
}

/* Of what was written and touched, or touched alone; what others removed meanwhile has none. It is another version then. */
static int CO_FN set_time(struct plan *plan, struct plan_item *item)
{
    struct instance *instance = item->member->fs->instance;
    const struct change *change = item->change;
    bool gone = change->kind == CHANGE_REMOVE || change->kind == CHANGE_RMDIR;
    if (!change->timed || gone || item->conflict || member_applies(item->member))
        return 0;
    int rc = forgive(item, layer_touch(instance, change->path, change->mtime_ns));
    if (rc == 0 && change->kind == CHANGE_WRITE) {
        answer_free(&item->answer);
        rc = layer_info(instance, change->path, &TERMS_NONE, &item->answer);
    }
    CRASH_POINT("txn.time_set");
    return rc == -ENOENT ? 0 : rc;
}

static int CO_FN remove_left(struct plan *plan, struct plan_item *item)
{
    return is_left(item, CHANGE_REMOVE) ? remove_item(plan, item) : 0;
}

static int CO_FN remove_directories(struct plan *plan)
{
    int rc = 0;
    for (size_t i = plan->item_count; rc == 0 && i-- > 0;)
        if (is_left(&plan->items[i], CHANGE_RMDIR))
            rc = rmdir_item(&plan->items[i]);
    return rc;
}

static int CO_FN apply_all(struct plan *plan)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < plan->member_count; i++)
        if (member_applies(&plan->members[i]) && !member_has_conditions(plan, &plan->members[i]))
            rc = member_apply(plan, &plan->members[i]);
    return rc;
}

int CO_FN plan_publish(struct plan *plan)
{
    int rc = apply_all(plan);
    if (rc == 0)
        rc = clear_ways(plan);
    if (rc == 0)
        rc = make_directories(plan);
    if (rc == 0)
        rc = plan_publish_near(plan);
    if (rc == 0)
        rc = plan_each(plan, write_item);
    CRASH_POINT("txn.all_written");
    if (rc == 0)
        rc = plan_each(plan, set_time);
    if (rc == 0)
        rc = plan_each(plan, remove_left);
    if (rc == 0)
        rc = remove_directories(plan);
    CRASH_POINT("txn.published");
    return rc < 0 ? fail_more(-EINPROGRESS, "committed, but not yet all published") : 0;
}

/* ---- the end ---- */

static int remove_payloads(void *arg)
{
    struct plan *plan = arg;
    journal_remove_payloads(plan->vault.journal, plan->vault.txn);
    return 0;
}

/* J6: the files go after the records. */
static int CO_FN forget(struct plan *plan)
{
    struct edit edit = {EDIT_FORGET, journal_key(plan->vault.txn, RECORD_HEAD, 0), NULL, 0};
    int rc = plan->state ? plan_write(plan, &edit, 1) : 0;
    CRASH_POINT("txn.forgotten");
    if (rc == 0 && plan->vault.journal)
        rc = offload(remove_payloads, plan);
    return rc;
}

static struct plan_item *first_conflict(struct plan *plan)
{
    for (size_t i = 0; i < plan->item_count; i++)
        if (plan->items[i].conflict)
            return &plan->items[i];
    return NULL;
}

static int CO_FN keep_conflicts(struct plan *plan)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < plan->item_count; i++)
        if (plan->items[i].conflict)
            rc = plan_note_item(plan, &plan->items[i]);
    if (rc == 0)
        rc = plan_set_state(plan, JOURNAL_CONFLICTED);
    if (rc == 0)
        rc = fail(-EINPROGRESS, "committed, with a conflict: %s", first_conflict(plan)->conflict);
    return rc;
}

/* What a killed process may have begun, and nobody went on with, since a write was found to be there. */
static int CO_FN sweep_item(struct plan *plan, struct plan_item *item)
{
    return item->conflict ? 0 : item_discard(plan, item);
}

int CO_FN plan_finish(struct plan *plan)
{
    int rc = plan->again ? plan_each(plan, sweep_item) : 0;
    if (rc == 0)
        rc = plan_sweep(plan);
    if (rc == 0)
        rc = plan_sync(plan, NULL);
    CRASH_POINT("txn.synced");
    if (rc == 0 && first_conflict(plan))
        return keep_conflicts(plan);
    if (rc == 0)
        rc = forget(plan);
    return rc < 0 ? fail_more(-EINPROGRESS, "published, but not forgotten") : 0;
}

int CO_FN plan_undo(struct plan *plan)
{
    bool staged = plan->state && plan->state != JOURNAL_OPEN;
    int rc = staged && plan->state != JOURNAL_ENDING ? plan_set_state(plan, JOURNAL_ENDING) : 0;
    CRASH_POINT("txn.ending");
    if (rc == 0 && staged)
        rc = plan_each(plan, item_discard);
    if (rc == 0 && staged)
        rc = plan_sync(plan, NULL);
    if (rc == 0)
        rc = plan_sweep(plan);
    CRASH_POINT("txn.discarded");
    return rc < 0 ? rc : forget(plan);
}
