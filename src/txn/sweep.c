/* SPDX-License-Identifier: Apache-2.0 */
/* What a transaction staged with places while it was open: by the journal's S records, whatever became of it (J1). */
#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/layer.h"
#include "txn/steps.h"

#define JOBS 8

struct stray {
    uint64_t id;
    uint32_t member;
    char *path; /* mem */
};
struct strays {
    struct plan *plan;
    struct stray *list; /* mem */
    size_t count, capacity;
    uint64_t *spared; /* ids, sorted; mem */
    size_t spared_count;
};

static int compare_ids(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
    return (one > other) - (one < other);
}

/* What is published needs no look, by who saw it happen; what is in conflict is kept. */
static int spare(struct strays *strays)
{
    const struct plan *plan = strays->plan;
    strays->spared = mem_array(plan->item_count + 1, sizeof *strays->spared);
    if (!strays->spared)
        return fail_memory();
    for (size_t i = 0; i < plan->item_count; i++)
        if (plan->items[i].conflict || (plan->items[i].done && !plan->again))
            strays->spared[strays->spared_count++] = plan->items[i].change->id;
    qsort(strays->spared, strays->spared_count, sizeof *strays->spared, compare_ids);
    return 0;
}

static int add_stray(void *arg, const struct journal_key *key, const void *data, size_t size)
{
    struct strays *strays = arg;
    struct stray_record record;
    autofree char *texts = NULL;
    uint64_t id = journal_key_number(key);
    int rc = stray_read(key, data, size, &record, &texts);
    if (rc < 0 || bsearch(&id, strays->spared, strays->spared_count, sizeof *strays->spared, compare_ids))
        return rc;
    if (record.member >= strays->plan->member_count || !path_is_clean(record.path))
        return fail(-EBADMSG, "a record of the journal says what cannot be");
    if (strays->count == strays->capacity) {
        size_t capacity = strays->capacity ? strays->capacity * 2 : 16;
        struct stray *longer = mem_resize(strays->list, capacity * sizeof *longer);
        if (!longer)
            return fail_memory();
        strays->list = longer;
        strays->capacity = capacity;
    }
    char *path = mem_dup(record.path);
    if (!path)
        return fail_memory();
    strays->list[strays->count++] = (struct stray){id, record.member, path};
    return 0;
}

static int collect(void *arg)
{
    struct strays *strays = arg;
    const struct vault *vault = &strays->plan->vault;
    int rc = spare(strays);
    return rc < 0 ? rc : journal_each(vault->journal, vault->txn, RECORD_STAGED, add_stray, strays);
}

static int CO_FN sweep_one(void *arg, size_t index)
{
    struct strays *strays = arg;
    const struct stray *stray = &strays->list[index];
    const struct plan_member *member = &strays->plan->members[stray->member];
    return layer_sweep(member->fs->instance, stray->path, stray->id, strays->plan->began_ns);
}

/* So that none comes back when the journal knows of it no more. */
static int CO_FN sync_strays(const struct strays *strays, uint32_t member)
{
    autofree const char **paths = mem_array(strays->count + 1, sizeof *paths);
    size_t count = 0;
    if (!paths)
        return fail_memory();
    for (size_t i = 0; i < strays->count; i++)
        if (strays->list[i].member == member)
            paths[count++] = strays->list[i].path;
    return count > 0 ? layer_sync(strays->plan->members[member].fs->instance, paths, count) : 0;
}

int CO_FN plan_sweep(struct plan *plan)
{
    struct strays strays = {.plan = plan};
    if (!plan->vault.journal || !plan->state) /* which has nothing of it */
        return 0;
    int rc = offload(collect, &strays);
    if (rc == 0)
        rc = group_each(strays.count, JOBS, GROUP_FIRST, sweep_one, &strays);
    for (size_t i = 0; rc == 0 && strays.count > 0 && i < plan->member_count; i++)
        rc = sync_strays(&strays, (uint32_t)i);
    for (size_t i = 0; i < strays.count; i++)
        mem_free(strays.list[i].path);
    mem_free(strays.list);
    mem_free(strays.spared);
    return rc;
}
