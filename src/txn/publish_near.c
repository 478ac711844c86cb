/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files of a local disk. Each is a few system calls, which cost less than to bring them to a worker and back; and
 * those who make files in one directory wait for each other in the kernel, or spin. So the files of one directory are
 * written one after the other, many in one job, and those of several at once.
 */
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/layer.h"
#include "txn/steps.h"

#define RUNS_AT_ONCE 4
#define JOB_ITEMS    64

struct run {
    struct plan *plan;
    size_t first, end; /* of its items */
    int64_t sent;      /* bytes, by the last job */
};
struct runs {
    struct run *run; /* mem */
    size_t count;
};

static bool is_near(const struct plan *plan, const struct plan_item *item)
{
    struct instance *instance = item->member->fs->instance;
    const struct change *change = item->change;
    return change->kind == CHANGE_WRITE && change->payload.kept && !plan->again && !item->token.text &&
           !item->done && !item->conflict && instance->backend->kind == BLOCKING &&
           layer_names_writes(instance);
}

static bool is_beside(const struct plan_item *item, const struct plan_item *before)
{
    size_t size = path_parent_size(item->change->path);
    return item->member == before->member && size == path_parent_size(before->change->path) &&
           memcmp(item->change->path, before->change->path, size) == 0;
}

static void find_runs(struct plan *plan, struct runs *runs)
{
    for (size_t i = 0; i < plan->item_count; i++) {
        const struct plan_item *item = &plan->items[i];
        struct run *last = runs->count > 0 ? &runs->run[runs->count - 1] : NULL;
        if (!is_near(plan, item))
            continue;
        if (last && last->end == i && is_beside(item, item - 1))
            last->end++;
        else
            runs->run[runs->count++] = (struct run){.plan = plan, .first = i, .end = i + 1};
    }
}

/* What fails is left to who tries each by itself, and knows why it may. */
static void write_item(struct run *run, struct plan_item *item)
{
    const struct change *change = item->change;
    struct vault_source source;
    if (vault_source_lend(change, &source) < 0)
        return;
    source.source->id = change->id;
    struct layer_call call = {LAYER_WRITE, item->member->fs->instance, change->path, .source = source.source,
                              .out = &item->answer};
    if (layer_now(&call) < 0)
        return;
    item->done = true;
    run->sent += change->payload.size;
    CRASH_POINT("txn.written");
}

static int write_some(void *arg)
{
    struct run *run = arg;
    run->sent = 0;
    for (size_t i = 0; i < JOB_ITEMS && run->first < run->end; i++)
        write_item(run, &run->plan->items[run->first++]);
    error_clear();
    return 0;
}

static int CO_FN write_run(void *arg, size_t index)
{
    struct run *run = &((struct runs *)arg)->run[index];
    int rc = 0;
    while (rc == 0 && run->first < run->end) {
        rc = offload(write_some, run);
        plan_sent(run->plan, run->sent);
    }
    return rc;
}

int CO_FN plan_publish_near(struct plan *plan)
{
    struct runs runs = {mem_array(plan->item_count + 1, sizeof *runs.run), 0};
    if (!runs.run)
        return fail_memory();
    find_runs(plan, &runs);
    int rc = group_each(runs.count, RUNS_AT_ONCE, GROUP_FIRST, write_run, &runs);
    mem_free(runs.run);
    return rc;
}
