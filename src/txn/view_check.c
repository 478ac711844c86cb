/* SPDX-License-Identifier: Apache-2.0 */
/* larder_txn_if_match: a condition on what the place has, whatever the transaction does there. */
#include <errno.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/enter.h"
#include "larder/txn.h"
#include "txn/plan.h"
#include "txn/view_parts.h"

/* With the lock. What says the same of the path, and what is changed there already, has it too. */
static int note(struct member *member, struct change *check, struct change **replaced)
{
    struct change *change = overlay_at(&member->overlay, check->path);
    int rc = change ? change_take_conditions(change, check) : 0;
    if (rc == 0)
        rc = overlay_put(&member->checks, check, replaced);
    if (rc == 0)
        change_ref(check);
    return rc;
}

struct checking {
    struct txn_view *view;
    struct change *check;
};

static int CO_FN check(const struct checking *checking)
{
    struct txn_view *view = checking->view;
    struct change *replaced = NULL;
    int rc = change_check(checking->check, txn_view_next(view));
    if (rc == 0)
        rc = txn_lock(txn_of(view), true);
    if (rc < 0)
        return rc;
    rc = note(view->member, checking->check, &replaced);
    txn_unlock(txn_of(view));
    change_unref(replaced);
    return rc;
}

static int CO_EDGE check_task(void *arg)
{
    return check(arg);
}

static int make_check(const char *path, const char *version, struct change **out)
{
    int rc = change_new(CHANGE_CHECK, path, out);
    if (rc < 0)
        return rc;
    (*out)->create = !version;
    if (!version || ((*out)->if_match = mem_dup(version)))
        return 0;
    change_unref(*out);
    return fail_memory();
}

int larder_txn_if_match(struct larder_fs *view, const char *path, const char *version)
{
    autofree char *full = NULL;
    struct checking checking;
    error_clear();
    if (!txn_member_of(view))
        return fail(-EINVAL, "%s: it is said of a file of a transaction's view", path);
    int rc = path_resolve(view->root, path, &full, NULL);
    if (rc == 0)
        rc = make_check(full, version, &checking.check);
    if (rc < 0)
        return error_finish(rc, path);
    checking.view = txn_view_of(view->instance);
    rc = enter_task(view, full, check_task, &checking);
    change_unref(checking.check);
    return rc;
}
