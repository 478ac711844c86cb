/* SPDX-License-Identifier: Apache-2.0 */
/* The public handle on a transaction: larder/txn.h, but for what is in a journal (list.c, recover.c). */
#include "larder/txn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "fs/enter.h"
#include "task/loop.h"
#include "txn/recover.h"
#include "txn/steps.h"
#include "txn/view.h"

/* ---- beginning ---- */

static int take_option(struct larder_txn *txn, const char *option)
{
    char **slot = strncmp(option, "journal=", 8) == 0 ? &txn->journal_dir
                  : strncmp(option, "note=", 5) == 0  ? &txn->note
                                                      : NULL;
    if (!slot)
        return fail(-EINVAL, "\"%s\" is no option of a transaction", option);
    mem_free(*slot);
    *slot = mem_dup(strchr(option, '=') + 1);
    return *slot ? 0 : fail_memory();
}

int larder_txn_begin(const char *const options[], struct larder_txn **out)
{
    struct larder_txn *txn;
    error_clear();
    int rc = txn_new(&txn);
    if (rc < 0)
        return rc;
    for (size_t i = 0; rc == 0 && options && options[i]; i++)
        rc = take_option(txn, options[i]);
    if (rc < 0)
        txn_unref(txn);
    else
        *out = txn;
    return rc;
}

void larder_txn_id(const struct larder_txn *txn, char out[LARDER_TXN_ID_SIZE])
{
    snprintf(out, LARDER_TXN_ID_SIZE, "%016llx", (unsigned long long)txn->id);
}

/* ---- members ---- */

static bool is_async(const struct larder_fs *fs)
{
    return fs->instance->backend->kind == ASYNC;
}

/* May `fs` be one of them, with a loop that fits the others'? */
static int check_member(struct larder_txn *txn, const struct larder_fs *fs)
{
    int rc = txn_is_view(fs) ? fail(-EINVAL, "a transaction's view cannot be in a transaction")
                             : txn_lock(txn, true);
    if (rc < 0)
        return rc;
    list_for_each (node, &txn->members) {
        const struct larder_fs *other = container_of(node, struct member, node)->fs;
        if (is_async(fs) && is_async(other) && !loop_is_same(fs->instance->loop, other->instance->loop))
            rc = fail(-EXDEV, "a transaction's filesystems must be of one loop");
    }
    txn_unlock(txn);
    return rc;
}

static bool is_member(struct larder_txn *txn, const struct larder_fs *fs)
{
    bool found = false;
    pthread_mutex_lock(&txn->lock);
    list_for_each (node, &txn->members)
        found |= container_of(node, struct member, node)->fs->instance == fs->instance;
    pthread_mutex_unlock(&txn->lock);
    return found;
}

struct journal_call {
    struct larder_txn *txn;
    struct journal *journal;
    struct range_lock owner;
};

static int open_journal(void *arg)
{
    struct journal_call *call = arg;
    int rc = journal_open(call->txn->journal_dir, &call->journal);
    if (rc < 0)
        return rc;
    rc = owner_take(call->journal, call->txn->id, &call->owner);
    if (rc < 0)
        journal_unref(call->journal);
    return rc;
}

/* Two threads may come here at once: the first that is done wins. */
static int need_journal(struct larder_txn *txn)
{
    struct journal_call call = {.txn = txn};
    pthread_mutex_lock(&txn->lock);
    bool have = txn->journal;
    pthread_mutex_unlock(&txn->lock);
    int rc = have ? 0 : enter_work(open_journal, &call);
    if (have || rc == -EAGAIN) /* another thread has the owner's byte: it is about to say so */
        return 0;
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&txn->lock);
    txn->journal = call.journal;
    range_lock_move(&txn->owner, &call.owner);
    pthread_mutex_unlock(&txn->lock);
    return 0;
}

/* What a persistent one needs before its first change. */
static int prepare_journal(struct larder_txn *txn, struct larder_fs *fs)
{
    int rc = need_journal(txn);
    if (rc == 0)
        txn_recover_for(txn->journal, fs);
    return rc;
}

static int join(struct larder_txn *txn, struct larder_fs *fs, struct larder_fs **out)
{
    struct member *member;
    int rc = check_member(txn, fs);
    if (rc == 0 && !larder_fs_capabilities(fs)->write)
        rc = fail(-ENOTSUP, "this place (%s) cannot be written", fs->instance->backend->name);
    if (rc == 0 && fs->instance->can.persistent && !is_member(txn, fs))
        rc = prepare_journal(txn, fs);
    if (rc == 0)
        rc = txn_member(txn, fs, &member);
    return rc == 0 ? txn_view_handle(member, fs, out) : rc;
}

int larder_txn_fs(struct larder_txn *txn, struct larder_fs *fs, struct larder_fs **out)
{
    error_clear();
    int rc = enter_begin(fs, "larder_txn_fs");
    if (rc < 0)
        return rc;
    rc = join(txn, fs, out);
    enter_end(fs);
    return error_finish(rc, "larder_txn_fs");
}

/* ---- what is kept so far ---- */

static int write_pending(void *arg)
{
    return pending_write(arg);
}

int larder_txn_barrier(struct larder_txn *txn)
{
    error_clear();
    int rc = txn_lock(txn, true);
    if (rc < 0)
        return rc;
    bool kept = txn->journal;
    txn_unlock(txn);
    return kept ? error_finish(enter_work(write_pending, txn), "larder_txn_barrier") : 0;
}

/* ---- the end ---- */

static int begin_ending(struct larder_txn *txn)
{
    int rc = txn_lock(txn, true);
    if (rc < 0)
        return rc;
    txn->state = TXN_ENDING;
    txn_unlock(txn);
    return 0;
}

static void reopen(struct larder_txn *txn)
{
    pthread_mutex_lock(&txn->lock);
    txn->state = TXN_OPEN;
    pthread_mutex_unlock(&txn->lock);
}

/* Once, by whoever ends it. The journal stays open for who still has a writer in the view. */
static void end(struct larder_txn *txn)
{
    pthread_mutex_lock(&txn->lock);
    bool first = txn->state != TXN_ENDED;
    pthread_mutex_unlock(&txn->lock);
    if (!first)
        return;
    txn_end(txn);
    pending_forget(txn);
    if (txn->journal)
        range_lock_close(&txn->owner);
}

struct ending {
    struct larder_txn *txn;
    struct plan plan;
    struct progress progress;
    bool kept;
};

static int CO_FN commit(void *arg)
{
    struct ending *ending = arg;
    return plan_commit(&ending->plan, ending->txn, &ending->kept);
}

static int CO_FN commit_in_task(void *arg)
{
    struct ending *ending = arg;
    ending->plan.progress = &ending->progress;
    ending->plan.sent = 0;
    return progress_run(&ending->progress, commit, ending);
}

/* Who is cancelled cleans up all the same. */
static int CO_FN undo_in_task(void *arg)
{
    struct ending *ending = arg;
    struct deadline deadline;
    int rc = plan_undo(&ending->plan);
    if (rc == 0 || task_check() == 0)
        return rc;
    deadline_begin_shielded(&deadline, UNDO_MS);
    return deadline_end(&deadline, plan_undo(&ending->plan), "rolling back");
}

static void tell_result(const struct plan_item *item, const struct larder_txn_commit_options *how)
{
    autofree char *url = NULL;
    if (item->change->kind != CHANGE_WRITE ||
        chain_url(item->member->fs->instance, item->change->path, &url) < 0)
        return;
    const struct larder_txn_result result = {.size = sizeof result,
                                             .url = url,
                                             .version = item->answer.info.version,
                                             .bytes = item->change->payload.size};
    how->published(how->arg, &result);
}

/* *refused: nothing was done, and it is not the caller's to end, now or here. */
static int commit_or_refuse(struct larder_txn *txn, const struct larder_txn_commit_options *how,
                            bool *refused)
{
    struct larder_txn_commit_options options = {0};
    struct ending ending = {.txn = txn, .kept = true};
    error_clear();
    int rc = tuning_take(&options, sizeof options, how);
    if (rc == 0)
        rc = begin_ending(txn);
    *refused = rc == -EBUSY || rc == -ECHILD;
    if (rc < 0)
        return rc;
    ending.progress = (struct progress){.fn = options.progress, .arg = options.arg};
    rc = plan_make(txn, &ending.plan);
    if (rc == 0)
        rc = plan_run(&ending.plan, "larder_txn_commit", commit_in_task, &ending);
    if (rc == 0 && options.progress)
        options.progress(options.arg, ending.plan.total, ending.plan.total);
    for (size_t i = 0; rc == 0 && options.published && i < ending.plan.item_count; i++)
        tell_result(&ending.plan.items[i], &options);
    plan_fini(&ending.plan);
    bool done = rc == 0 || rc == -EINPROGRESS;
    if (done || !ending.kept)
        end(txn);
    else
        reopen(txn);
    if (done)
        txn_unref(txn);
    *refused = rc == -EDEADLK;
    return error_finish(rc, "larder_txn_commit");
}

int larder_txn_commit(struct larder_txn *txn, const struct larder_txn_commit_options *how)
{
    bool refused;
    return commit_or_refuse(txn, how, &refused);
}

int larder_txn_rollback(struct larder_txn *txn)
{
    struct ending ending = {.txn = txn};
    error_clear();
    if (!txn)
        return 0;
    int rc = txn_check_process(txn);
    if (rc < 0)
        return rc;
    rc = begin_ending(txn);
    if (rc == -EBUSY) /* another thread ends it, and frees it */
        return rc;
    if (rc == 0) {
        rc = plan_make(txn, &ending.plan);
        if (rc == 0)
            rc = plan_run(&ending.plan, "larder_txn_rollback", undo_in_task, &ending);
        plan_fini(&ending.plan);
    } else if (rc == -EBADF) {
        rc = 0; /* it ended with a commit that failed half-way */
    }
    end(txn);
    txn_unref(txn);
    return error_finish(rc, "larder_txn_rollback");
}

/* ---- fsspec's words ---- */

int larder_start_transaction(struct larder_fs *fs, struct larder_txn **txn, struct larder_fs **view)
{
    struct larder_txn *begun;
    int rc = larder_txn_begin(NULL, &begun);
    if (rc < 0)
        return rc;
    rc = larder_txn_fs(begun, fs, view);
    if (rc < 0) {
        struct error_slot words = *error_slot();
        larder_txn_rollback(begun);
        *error_slot() = words;
        return rc;
    }
    *txn = begun;
    return 0;
}

int larder_end_transaction(struct larder_txn *txn, bool commit)
{
    bool refused = false;
    int rc = commit ? commit_or_refuse(txn, NULL, &refused) : larder_txn_rollback(txn);
    if (!commit || refused || rc == 0 || rc == -EINPROGRESS)
        return rc;
    struct error_slot words = *error_slot();
    int undone = larder_txn_rollback(txn);
    autofree char *more = undone < 0 ? mem_dup(error_text()) : NULL;
    *error_slot() = words;
    return undone < 0 ? fail(rc, "%s; and rolling back: %s", words.text, more ? more : "") : rc;
}
