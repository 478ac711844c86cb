/* SPDX-License-Identifier: Apache-2.0 */
/* What dead owners left: found, taken over, and brought to an end. */
#include "txn/recover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "fs/enter.h"

/* ---- which there are ---- */

int id_list_add(struct id_list *list, uint64_t id)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 16;
        uint64_t *longer = mem_resize(list->ids, capacity * sizeof *longer);
        if (!longer)
            return fail_memory();
        list->ids = longer;
        list->capacity = capacity;
    }
    list->ids[list->count++] = id;
    return 0;
}

static int add_id(void *arg, const struct journal_key *key, const void *data, size_t size)
{
    return id_list_add(arg, journal_key_txn(key));
}

int id_list_fill(struct id_list *list)
{
    return journal_heads(list->journal, add_id, list);
}

static int find_ids(void *arg)
{
    return id_list_fill(arg);
}

/* ---- taking one over ---- */

struct recovery {
    struct journal *journal;
    uint64_t id;
    enum larder_txn_way way;
    const char *const *options;
    const struct plan_member *given; /* each is used for the member that is written down like it */
    size_t given_count;
    bool only_given; /* only what has one of them among its members */
    struct larder_loop *loop;
    struct range_lock owner;
    struct plan plan;
};

static int load(void *arg)
{
    struct recovery *recovery = arg;
    int rc = owner_take(recovery->journal, recovery->id, &recovery->owner);
    if (rc < 0)
        return rc == -EAGAIN ? -EBUSY : rc;
    rc = journal_catch_up(recovery->journal);
    if (rc == 0)
        rc = plan_load(recovery->journal, recovery->id, &recovery->plan);
    if (rc < 0)
        range_lock_close(&recovery->owner);
    return rc;
}

static struct larder_fs *find_given(const struct recovery *recovery, const struct plan_member *member)
{
    for (size_t i = 0; member->json && i < recovery->given_count; i++) {
        const struct plan_member *given = &recovery->given[i];
        if (given->json && strcmp(given->json, member->json) == 0)
            return given->fs;
    }
    return NULL;
}

static int open_member(const struct recovery *recovery, struct plan_member *member)
{
    struct larder_fs *given = find_given(recovery, member);
    if (!member->json)
        return fail(-EBADMSG, "a filesystem of the transaction is not written down");
    if (given)
        return fs_new(instance_ref(given->instance), "", &member->fs);
    int rc = fs_from_json(recovery->loop, member->json, recovery->options, &member->fs);
    return rc < 0 ? fail_more(rc, "%s", member->url) : 0;
}

static int open_members(struct recovery *recovery)
{
    struct plan *plan = &recovery->plan;
    bool concerns = !recovery->only_given;
    for (size_t i = 0; i < plan->member_count && !concerns; i++)
        concerns = find_given(recovery, &plan->members[i]);
    if (!concerns)
        return -ENOENT;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < plan->member_count; i++)
        rc = open_member(recovery, &plan->members[i]);
    return rc;
}

/* ---- to its end, in a task ---- */

static int CO_FN publish(struct plan *plan)
{
    int rc = plan_publish(plan);
    return rc == 0 ? plan_finish(plan) : rc;
}

static int CO_FN resume(struct plan *plan)
{
    int rc = plan_lock(plan);
    if (rc == 0)
        rc = plan_prepare(plan);
    if (rc == 0)
        rc = plan_stage(plan);
    if (rc == 0) {
        plan->again = false; /* nothing conditional was asked yet */
        rc = plan_decide(plan);
        plan->again = true;
    }
    return rc == 0 ? publish(plan) : rc;
}

static int CO_FN settle_decision(struct plan *plan)
{
    int rc = plan_lock(plan);
    if (rc == 0)
        rc = plan_decide(plan);
    if (rc == -ECANCELED && task_check() == 0)
        return plan_undo(plan);
    return rc == 0 ? publish(plan) : rc;
}

/* All but the conflicts is published already. */
static int CO_FN resolve(struct plan *plan, enum larder_txn_way way)
{
    bool ours = way == LARDER_TXN_OURS;
    if (!ours && way != LARDER_TXN_THEIRS)
        return fail(-EINPROGRESS, "there is a conflict: recover it with theirs or ours");
    for (size_t i = 0; i < plan->item_count; i++) {
        struct plan_item *item = &plan->items[i];
        item->done = !item->conflict || !ours;
        if (item->conflict && ours) {
            item->change->create = false;
            mem_free(take(item->change->if_match));
        }
        mem_free(take(item->conflict));
    }
    return publish(plan);
}

static int CO_FN recover_plan(struct recovery *recovery)
{
    struct plan *plan = &recovery->plan;
    switch (plan->state) {
    case JOURNAL_OPEN:
    case JOURNAL_ENDING:
        return plan_undo(plan);
    case JOURNAL_SEALED:
        return recovery->way == LARDER_TXN_RESUME ? resume(plan) : plan_undo(plan);
    case JOURNAL_DECIDING:
        return settle_decision(plan);
    case JOURNAL_DECIDED: {
        int rc = plan_lock(plan);
        return rc == 0 ? publish(plan) : rc;
    }
    case JOURNAL_CONFLICTED:
        return resolve(plan, recovery->way);
    }
    return fail(-EBADMSG, "the transaction is in no state");
}

static int CO_FN recover_in_task(void *arg)
{
    return recover_plan(arg);
}

/* ---- one ---- */

static int check_way(const struct recovery *recovery)
{
    enum journal_state state = recovery->plan.state;
    bool committed = state == JOURNAL_DECIDED || state == JOURNAL_CONFLICTED;
    if (recovery->way == LARDER_TXN_ROLLBACK && committed)
        return fail(-EBUSY, "it is committed, and cannot be rolled back");
    if (recovery->way == LARDER_TXN_RESUME && (state == JOURNAL_OPEN || state == JOURNAL_ENDING))
        return fail(-EINVAL, "it was not to be committed: what it was to become is not known");
    return 0;
}

/* One that is OPEN and has staged nothing: its members are not even known. */
static int forget_open(void *arg)
{
    struct recovery *recovery = arg;
    struct edit edit = {EDIT_FORGET, journal_key(recovery->id, RECORD_HEAD, 0), NULL, 0};
    int rc = journal_write(recovery->journal, &edit, 1);
    if (rc == 0)
        journal_remove_payloads(recovery->journal, recovery->id);
    return rc;
}

static int finish(struct recovery *recovery)
{
    struct plan *plan = &recovery->plan;
    int rc = check_way(recovery);
    if (rc == 0 && plan->state == JOURNAL_OPEN && plan->member_count == 0)
        return recovery->only_given ? 0 : enter_work(forget_open, recovery);
    if (rc == 0)
        rc = open_members(recovery);
    if (rc < 0)
        return rc == -ENOENT && recovery->only_given ? 0 : rc;
    return plan_run(plan, "recovering a transaction", recover_in_task, recovery);
}

/* -EBUSY: its owner lives. -ENOENT: somebody else finished it. */
static int recover_one(struct recovery *recovery)
{
    int rc = enter_work(load, recovery);
    if (rc < 0)
        return rc;
    rc = finish(recovery);
    plan_fini(&recovery->plan);
    range_lock_close(&recovery->owner);
    return rc;
}

static void log_failure(const struct recovery *recovery)
{
    log_at(LARDER_LOG_WARNING, "transaction %016llx: %s", (unsigned long long)recovery->id, error_text());
}

/* ---- who is in the way of another ---- */

/* 0: somebody else may have finished it, or is at it. */
static int settle(const struct plan *plan, struct larder_loop *loop)
{
    struct recovery recovery = {.journal = plan->vault.journal,
                                .id = plan->blocker,
                                .given = plan->members,
                                .given_count = plan->member_count,
                                .loop = loop};
    int rc = recover_one(&recovery);
    if (rc == -EBUSY || rc == -ENOENT)
        return 0;
    if (rc < 0)
        log_failure(&recovery);
    return rc;
}

/* One that was settled may still have failed to be published, and is in nobody's way. */
int plan_run(struct plan *plan, const char *what, larder_task_fn *fn, void *arg)
{
    autofree char *words = NULL;
    struct larder_fs *carrier = NULL;
    uint64_t failed = 0;
    int rc = plan_carrier(plan, &carrier);
    if (rc < 0 || !carrier)
        return rc;
    while ((rc = enter_task_untimed(carrier, what, fn, arg)) == PLAN_BLOCKED) {
        if (plan->blocker == failed)
            return fail(-EBUSY, "transaction %016llx died while it decided, and cannot be recovered: %s",
                        (unsigned long long)failed, words ? words : "");
        if (settle(plan, carrier->instance->loop) < 0) {
            failed = plan->blocker;
            mem_free(words);
            words = mem_dup(error_text());
        }
    }
    return rc;
}

/* ---- all of them ---- */

/* What the last that failed met is the error text. */
static int recover_all(const struct recovery *common)
{
    autofree char *words = NULL;
    struct id_list list = {.journal = common->journal};
    int left = 0, rc = enter_work(find_ids, &list);
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        struct recovery recovery = *common;
        recovery.id = list.ids[i];
        int one = recover_one(&recovery);
        bool fine = one >= 0 || one == -ENOENT || one == -EBUSY;
        left += !fine;
        if (!fine) {
            log_failure(&recovery);
            mem_free(words);
            words = mem_dup(error_text());
        }
        if (one == -ECANCELED)
            rc = one;
    }
    mem_free(list.ids);
    if (rc == 0)
        error_set_text(words);
    return rc < 0 ? rc : left;
}

void txn_recover_for(struct journal *journal, struct larder_fs *fs)
{
    struct error_slot words = *error_slot();
    struct larder_fs *whole = NULL;
    char *json = NULL;
    if (fs_new(instance_ref(fs->instance), "", &whole) == 0 && larder_fs_to_json(whole, false, &json) == 0) {
        const struct plan_member given = {.fs = fs, .json = json};
        struct recovery common = {.journal = journal,
                                  .given = &given,
                                  .given_count = 1,
                                  .only_given = true,
                                  .loop = fs->instance->loop};
        recover_all(&common);
    }
    larder_free(json);
    larder_fs_free(whole);
    *error_slot() = words;
}

static int read_id(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 16);
    bool good = strlen(text) == 16 && !*end && errno == 0 && *out;
    return good ? 0 : fail(-EINVAL, "\"%s\" is no transaction's id", text);
}

static int recover_named(struct recovery *recovery, const char *id)
{
    int rc = read_id(id, &recovery->id);
    if (rc == 0)
        rc = recover_one(recovery);
    if (rc == -ENOENT)
        return fail(-ENOENT, "%s: there is no such transaction", id);
    return rc == -EBUSY && !*error_text() ? fail(-EBUSY, "%s: its process lives", id) : rc;
}

struct find_call {
    const char *dir;
    struct journal *journal;
};

static int find_journal(void *arg)
{
    struct find_call *call = arg;
    return journal_find(call->dir, &call->journal);
}

int txn_recover(const char *dir, const char *id, const struct larder_txn_recover_options *how)
{
    struct larder_txn_recover_options taken = {0};
    struct find_call call = {dir, NULL};
    int rc = tuning_take(&taken, sizeof taken, how);
    if (rc == 0)
        rc = enter_work(find_journal, &call);
    if (rc < 0)
        return rc == -ENOENT && !id ? 0 : rc;
    struct recovery recovery = {.journal = call.journal, .way = taken.way, .options = taken.options};
    error_clear();
    rc = id ? recover_named(&recovery, id) : recover_all(&recovery);
    journal_unref(call.journal);
    return rc;
}
