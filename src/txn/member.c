/* SPDX-License-Identifier: Apache-2.0 */
#include "txn/member.h"

#include <errno.h>

#include "base/error.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "txn/journal.h"
#include "txn/view.h"

/* ---- a transaction ---- */

int txn_new(struct larder_txn **out)
{
    struct larder_txn *txn = mem_zero(sizeof *txn);
    if (!txn)
        return fail_memory();
    atomic_init(&txn->references, 1);
    while (txn->id == 0)
        txn->id =
            random_u64() & ~UINT64_C(1); /* so that its owner's byte, at half of it, tells which it is */
    txn->generation = process_generation();
    txn->began_ns = wall_ns();
    pthread_mutex_init(&txn->lock, NULL);
    list_init(&txn->members);
    list_init(&txn->pending);
    *out = txn;
    return 0;
}

struct larder_txn *txn_ref(struct larder_txn *txn)
{
    atomic_fetch_add_explicit(&txn->references, 1, memory_order_relaxed);
    return txn;
}

static void member_free(struct member *member)
{
    overlay_fini(&member->overlay);
    overlay_fini(&member->checks);
    larder_fs_free(member->fs);
    mem_free(member->json);
    mem_free(member->url);
    mem_free(member);
}

void txn_unref(struct larder_txn *txn)
{
    if (!txn || atomic_fetch_sub_explicit(&txn->references, 1, memory_order_acq_rel) > 1)
        return;
    for (struct list *node; (node = list_pop(&txn->members));)
        member_free(container_of(node, struct member, node));
    if (txn->generation ==
        process_generation()) /* else another thread may have held it when this process began */
        pthread_mutex_destroy(&txn->lock);
    journal_unref(txn->journal);
    mem_free(txn->dropped);
    mem_free(txn->journal_dir);
    mem_free(txn->note);
    mem_free(txn);
}

int txn_check_process(const struct larder_txn *txn)
{
    return txn->generation == process_generation()
               ? 0
               : fail(-ECHILD, "transaction %016llx is of the process that this one was forked from",
                      (unsigned long long)txn->id);
}

int txn_lock(struct larder_txn *txn, bool change)
{
    int rc = txn_check_process(txn);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&txn->lock);
    if (txn->state == TXN_OPEN || (txn->state == TXN_ENDING && !change))
        return 0;
    bool ended = txn->state == TXN_ENDED;
    pthread_mutex_unlock(&txn->lock);
    return ended ? fail(-EBADF, "transaction %016llx has ended", (unsigned long long)txn->id)
                 : fail(-EBUSY, "transaction %016llx is being committed", (unsigned long long)txn->id);
}

void txn_unlock(struct larder_txn *txn)
{
    pthread_mutex_unlock(&txn->lock);
}

/* Nobody adds a member any more, nor takes a view's reference but under the lock. */
void txn_end(struct larder_txn *txn)
{
    pthread_mutex_lock(&txn->lock);
    txn->state = TXN_ENDED;
    pthread_mutex_unlock(&txn->lock);
    list_for_each (node, &txn->members) {
        struct member *member = container_of(node, struct member, node);
        pthread_mutex_lock(&txn->lock);
        struct larder_fs *view = take(member->view);
        pthread_mutex_unlock(&txn->lock);
        larder_fs_free(view);
    }
}

/* ---- a member ---- */

/* With the lock. */
static struct member *find(const struct larder_txn *txn, const struct instance *instance)
{
    list_for_each (node, &txn->members) {
        struct member *member = container_of(node, struct member, node);
        if (member->fs->instance == instance)
            return member;
    }
    return NULL;
}

/* How the journal knows it. */
static int describe(struct member *member)
{
    int rc = larder_fs_to_json(member->fs, false, &member->json);
    return rc == 0 ? chain_url(member->fs->instance, "", &member->url) : rc;
}

static int member_new(struct larder_txn *txn, const struct larder_fs *fs, struct member **out)
{
    struct member *member = mem_zero(sizeof *member);
    if (!member)
        return fail_memory();
    member->txn = txn;
    member->persistent = fs->instance->can.persistent && txn->journal;
    member->overlay.real_directories = fs->instance->can.real_directories;
    int rc = fs_new(instance_ref(fs->instance), "", &member->fs);
    if (rc == 0 && member->persistent)
        rc = describe(member);
    if (rc == 0)
        rc = txn_view_open(member);
    if (rc < 0)
        member_free(member);
    else
        *out = member;
    return rc;
}

/* Of two threads that add one filesystem at once the second finds the first's. */
static int member_add(struct larder_txn *txn, const struct larder_fs *fs, struct member **out)
{
    struct member *member = NULL;
    int rc = member_new(txn, fs, &member);
    if (rc == 0 && (rc = txn_lock(txn, true)) < 0) {
        larder_fs_free(member->view);
        member_free(member);
    }
    if (rc < 0)
        return rc;
    *out = find(txn, fs->instance);
    if (!*out)
        list_push(&txn->members, &(*out = member)->node);
    txn_unlock(txn);
    if (*out != member) {
        larder_fs_free(member->view);
        member_free(member);
    }
    return 0;
}

size_t member_number(const struct member *member)
{
    struct larder_txn *txn = member->txn;
    size_t number = 0;
    pthread_mutex_lock(&txn->lock);
    list_for_each (node, &txn->members) {
        if (node == &member->node)
            break;
        number++;
    }
    pthread_mutex_unlock(&txn->lock);
    return number;
}

int txn_member(struct larder_txn *txn, const struct larder_fs *fs, struct member **out)
{
    if (txn_is_view(fs))
        return fail(-EINVAL, "it is a transaction's view already, and has no view of its own");
    int rc = txn_lock(txn, true);
    if (rc < 0)
        return rc;
    *out = find(txn, fs->instance);
    txn_unlock(txn);
    return *out ? 0 : member_add(txn, fs, out);
}
