/* SPDX-License-Identifier: Apache-2.0 */
/* What is in a journal, for people. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "fs/enter.h"
#include "txn/recover.h"

struct listing {
    const char *dir;
    struct journal *journal;
    struct id_list ids;
};

static int add_owned(void *arg, uint64_t txn)
{
    struct id_list *ids = arg;
    for (size_t i = 0; i < ids->count; i++)
        if (ids->ids[i] == txn)
            return 0;
    return id_list_add(ids, txn);
}

/* Those that the journal has something of, and those of living owners. */
static int open_listing(void *arg)
{
    struct listing *listing = arg;
    int rc = journal_find(listing->dir, &listing->journal);
    listing->ids.journal = listing->journal;
    if (rc == 0)
        rc = id_list_fill(&listing->ids);
    return rc == 0 ? owners_each(listing->journal, add_owned, &listing->ids) : rc;
}

struct entry {
    struct journal *journal;
    uint64_t id;
    struct plan plan;
    bool alive;
};

static int load_entry(void *arg)
{
    struct entry *entry = arg;
    entry->alive = owner_lives(entry->journal, entry->id);
    int rc = plan_load(entry->journal, entry->id, &entry->plan);
    if (rc != -ENOENT || !entry->alive)
        return rc;
    entry->plan = (struct plan){.state = JOURNAL_OPEN}; /* all that there is of it is in its process */
    return 0;
}

/* What its head says is less: nothing of it may be sealed yet. */
static int tell(const struct entry *entry, larder_txn_list_fn *fn, void *arg)
{
    const struct plan *plan = &entry->plan;
    autofree const char **urls = mem_array(plan->member_count + 1, sizeof *urls);
    autofree struct larder_txn_conflict *conflicts = mem_array(plan->item_count + 1, sizeof *conflicts);
    char id[LARDER_TXN_ID_SIZE];
    if (!urls || !conflicts)
        return fail_memory();
    snprintf(id, sizeof id, "%016llx", (unsigned long long)entry->id);
    struct larder_txn_info info = {.size = sizeof info,
                                   .id = id,
                                   .state = journal_state_name(plan->state),
                                   .alive = entry->alive,
                                   .began_ns = plan->began_ns,
                                   .changed_ns = plan->changed_ns,
                                   .note = plan->note ? plan->note : "",
                                   .urls = urls,
                                   .conflicts = conflicts};
    for (size_t i = 0; i < plan->member_count; i++)
        if (plan->members[i].url)
            urls[info.url_count++] = plan->members[i].url;
    for (size_t i = 0; i < plan->item_count; i++) {
        const struct plan_item *item = &plan->items[i];
        info.changes += item->change->kind != CHANGE_CHECK;
        info.bytes += (uint64_t)item->change->payload.size;
        if (item->conflict)
            conflicts[info.conflict_count++] =
                (struct larder_txn_conflict){item->change->path, item->conflict, item->member->url};
    }
    return fn(arg, &info);
}

int larder_txn_list(const char *journal, larder_txn_list_fn *fn, void *arg)
{
    struct listing listing = {.dir = journal};
    error_clear();
    int rc = enter_work(open_listing, &listing);
    for (size_t i = 0; rc == 0 && i < listing.ids.count; i++) {
        struct entry entry = {.journal = listing.journal, .id = listing.ids.ids[i]};
        rc = enter_work(load_entry, &entry);
        if (rc == 0)
            rc = tell(&entry, fn, arg);
        else if (rc == -ENOENT)
            rc = 0; /* finished meanwhile */
        plan_fini(&entry.plan);
    }
    mem_free(listing.ids.ids);
    journal_unref(listing.journal);
    return error_finish(rc == -ENOENT && !listing.journal ? 0 : rc, "larder_txn_list");
}
