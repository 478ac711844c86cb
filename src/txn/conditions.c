/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conditions of a plan: locked against other transactions of the journal, then asked of the places.
 *
 * Who writes under a condition holds its byte from before DECIDING until the transaction is forgotten (J8). So whoever
 * has just got a byte, and finds another transaction DECIDING that says it holds it, sees one whose owner died, and of
 * which nobody knows yet whether it was decided. It is settled first: else what is written now would hide that its
 * conditional write was there, and it would be rolled back.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "fs/layer.h"
#include "txn/recover.h"
#include "txn/steps.h"

#define LOCK_WAIT_MS 20

/* ---- locks ---- */

static uint64_t hash_of(const struct plan_item *item)
{
    const char *identity = item->member->fs->instance->identity, *path = item->change->path;
    return hash_bytes(identity ? identity : "", identity ? strlen(identity) : 0) ^
           hash_bytes(path, strlen(path)) * 31;
}

/* The bytes that the plan is to hold. */
static int collect_bytes(struct plan *plan)
{
    uint64_t *bytes = mem_array(plan->item_count + 1, sizeof *bytes);
    size_t count = 0;
    if (!bytes)
        return fail_memory();
    for (size_t i = 0; i < plan->item_count; i++)
        if (plan->items[i].member->persistent && item_is_conditional(&plan->items[i]))
            bytes[count++] = hash_of(&plan->items[i]);
    mem_free(plan->held);
    plan->held = bytes;
    plan->held_count = conditions_sort(bytes, count);
    return 0;
}

struct locking {
    struct plan *plan;
    size_t at;
};

static int try_lock(void *arg)
{
    struct locking *locking = arg;
    struct plan *plan = locking->plan;
    return conditions_take(&plan->conditions, plan->held, plan->held_count, &locking->at);
}

static int CO_FN take_locks(struct plan *plan)
{
    struct locking locking = {.plan = plan};
    int rc = conditions_open(plan->vault.journal, &plan->conditions);
    if (rc < 0)
        return rc;
    plan->locked = true;
    while ((rc = offload(try_lock, &locking)) == -EAGAIN) {
        rc = task_sleep(LOCK_WAIT_MS);
        if (rc < 0)
            return rc;
    }
    return rc;
}

/* ---- who died while he decided ---- */

static int note_deciding(void *arg, const struct journal_key *key, const void *data, size_t size)
{
    struct head_record head;
    autofree char *texts = NULL;
    int rc = head_read(key, data, size, &head, &texts);
    return rc == 0 && head.state == JOURNAL_DECIDING ? id_list_add(arg, journal_key_txn(key)) : rc;
}

static bool holds_any(const struct plan *plan, const uint64_t bytes[], size_t count)
{
    for (size_t i = 0, at = 0; i < count; i++) {
        while (at < plan->held_count && plan->held[at] < bytes[i])
            at++;
        if (at < plan->held_count && plan->held[at] == bytes[i])
            return true;
    }
    return false;
}

/* Does the transaction say that it holds what the plan does now? 1, 0, or a failure. */
static int is_in_doubt(const struct plan *plan, uint64_t txn)
{
    struct journal_key key = journal_key(txn, RECORD_LOCKS, 0);
    struct larder_bytes record = {0};
    autofree uint64_t *bytes = NULL;
    size_t count;
    if (txn == plan->vault.txn)
        return 0;
    int rc = journal_get(plan->vault.journal, &key, &record);
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc; /* it was settled meanwhile */
    rc = locks_read(&key, record.data, record.size, &bytes, &count);
    larder_bytes_free(&record);
    return rc < 0 ? rc : holds_any(plan, bytes, count);
}

static int find_blocker(void *arg)
{
    struct plan *plan = arg;
    struct id_list deciding = {0};
    plan->blocker = 0;
    int rc = journal_catch_up(plan->vault.journal);
    if (rc == 0)
        rc = journal_heads(plan->vault.journal, note_deciding, &deciding);
    for (size_t i = 0; rc == 0 && i < deciding.count; i++) {
        rc = is_in_doubt(plan, deciding.ids[i]);
        if (rc > 0)
            plan->blocker = deciding.ids[i];
    }
    mem_free(deciding.ids);
    return rc < 0 ? rc : 0;
}

struct asking {
    struct plan *plan;
    bool lives;
};

static int ask_blocker(void *arg)
{
    struct asking *asking = arg;
    asking->lives = owner_lives(asking->plan->vault.journal, asking->plan->blocker);
    return 0;
}

/* With the locks. PLAN_BLOCKED: without them; -EAGAIN: likewise, and somebody is settling it. */
static int CO_FN look_for_blocker(struct plan *plan)
{
    struct asking asking = {.plan = plan};
    int rc = offload(find_blocker, plan);
    if (rc < 0 || !plan->blocker)
        return rc;
    range_lock_close(&plan->conditions);
    plan->locked = false;
    rc = offload(ask_blocker, &asking);
    return rc < 0 ? rc : asking.lives ? -EAGAIN : PLAN_BLOCKED;
}

/* Who settles one needs the locks as well, and decides nothing anew. */
int CO_FN plan_lock(struct plan *plan)
{
    bool settles = plan->state >= JOURNAL_DECIDING;
    int rc = plan->locked ? 0 : collect_bytes(plan);
    if (rc < 0 || plan->locked || plan->held_count == 0)
        return rc;
    for (;;) {
        rc = take_locks(plan);
        if (rc < 0 || settles)
            return rc;
        rc = look_for_blocker(plan);
        if (rc != -EAGAIN)
            return rc;
        rc = task_sleep(LOCK_WAIT_MS);
        if (rc < 0)
            return rc;
    }
}

/* ---- asked of the places ---- */

static int judge(const struct instance *instance, const struct change *change, int rc,
                 const struct larder_info *found)
{
    const char *path = change->path, *version = rc == 0 && found->version ? found->version : "no version";
    if (rc < 0 && rc != -ENOENT && rc != -ENOTDIR)
        return rc;
    if (change->create && rc == 0)
        return fail_at(instance, path, -EEXIST, "it exists (%lld bytes, %s)", (long long)found->size,
                       version);
    if (change->if_match && rc < 0)
        return fail_at(instance, path, -ESTALE, "it is gone (it was %s)", change->if_match);
    if (change->if_match && (!found->version || strcmp(found->version, change->if_match) != 0))
        return fail_at(instance, path, -ESTALE, "it is another by now (%s, not %s)", version,
                       change->if_match);
    return 0;
}

/* The place itself is asked, and no cache. */
int CO_FN change_check(const struct change *change, struct instance *instance)
{
    struct terms terms = TERMS_NONE;
    struct answer answer = {0};
    terms.age_max_ms = 0;
    int rc = layer_info(instance, change->path, &terms, &answer);
    rc = judge(instance, change, rc, &answer.info);
    answer_free(&answer);
    return rc;
}

static int CO_FN check_item(struct plan *plan, struct plan_item *item)
{
    return item_is_conditional(item) ? change_check(item->change, item->member->fs->instance) : 0;
}

int CO_FN plan_prepare(struct plan *plan)
{
    return plan_each(plan, check_item);
}
