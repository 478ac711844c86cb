/* SPDX-License-Identifier: Apache-2.0 */
/* What a plan has done, on the disks of its places: before the journal relies on it, and before it is forgotten. */
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/layer.h"
#include "txn/steps.h"

typedef bool counts_fn(const struct plan_item *item);

/* One path of each directory is enough. */
static int CO_FN sync_member(struct plan *plan, const struct plan_member *member, counts_fn *counts)
{
    autofree const char **paths = mem_array(plan->item_count + 1, sizeof *paths);
    size_t count = 0, parent = 0;
    if (!paths)
        return fail_memory();
    for (size_t i = 0; i < plan->item_count; i++) {
        const struct plan_item *item = &plan->items[i];
        const char *path = item->change->path;
        if (item->member != member || item->change->kind == CHANGE_CHECK || (counts && !counts(item)))
            continue;
        size_t size = path_parent_size(path);
        if (count == 0 || size != parent || memcmp(path, paths[count - 1], size) != 0)
            paths[count++] = path;
        parent = size;
    }
    return count > 0 ? layer_sync(member->fs->instance, paths, count) : 0;
}

int CO_FN plan_sync(struct plan *plan, counts_fn *counts)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < plan->member_count; i++)
        if (plan->members[i].persistent)
            rc = sync_member(plan, &plan->members[i], counts);
    return rc;
}
