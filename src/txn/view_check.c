/* SPDX-License-Identifier: Apache-2.0 */
/* larder_txn_if_match, larder_txn_if_absent: a condition on what the place has, whatever the transaction does there. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/enter.h"
#include "larder/txn.h"
#include "txn/plan.h"
#include "txn/view_parts.h"

/* With the lock. What is changed there already has it too: both, or neither. */
static int note(struct member *member, struct change *check, struct change **replaced)
{
    struct change *change = overlay_at(&member->overlay, check->path);
    autofree char *if_match = change && check->if_match ? mem_dup(check->if_match) : NULL;
    if (change && check->if_match && !if_match)
        return fail_memory();
    int rc = overlay_put(&member->checks, check, replaced);
    if (rc < 0)
        return rc;
    change_ref(check);
    if (change)
        change_set_conditions(change, check->create, take(if_match));
    return 0;
}

/* A write's own word, which the place has just kept, against what was said before: then that does not hold any more. */
static int check_agrees(const struct txn_view *view, const struct change *write, const struct change *said)
{
    if (write->create && said->create)
        return 0;
    if (write->if_match && said->if_match && strcmp(write->if_match, said->if_match) == 0)
        return 0;
    if (said->create)
        return fail_at(&view->instance, write->path, -EEXIST,
                       "it exists (%s), and nothing was to be there, by what was said before",
                       write->if_match);
    return fail_at(&view->instance, write->path, -ESTALE, "%s %s (it was to be %s, by what was said before)",
                   write->create ? "it is" : "it is another by now,",
                   write->create ? "gone" : write->if_match, said->if_match);
}

int check_join(const struct txn_view *view, struct change *change, const struct change *earlier)
{
    const struct change *said = earlier ? earlier : overlay_at(&view->member->checks, change->path);
    bool of_place =
        !earlier || earlier->kind == CHANGE_TOUCH; /* else it was said of what the transaction has there */
    if (earlier)
        change->before = earlier->before;
    if (!said)
        return 0;
    if (!of_place || !change_is_conditional(change))
        return change_take_conditions(change, said);
    return change_is_conditional(said) ? check_agrees(view, change, said) : 0;
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
    (*out)->create = !version; /* nothing may be there */
    if (!version || ((*out)->if_match = mem_dup(version)))
        return 0;
    change_unref(*out);
    return fail_memory();
}

static int take_check(struct larder_fs *view, const char *path, const char *version)
{
    autofree char *full = NULL;
    struct checking checking;
    int rc = path_resolve(view->root, path, &full, NULL);
    if (rc == 0 && !txn_member_of(view))
        rc = fail(-EINVAL, "%s: it is said of a file of a transaction's view", path);
    if (rc == 0)
        rc = make_check(full, version, &checking.check);
    if (rc < 0)
        return error_finish(rc, path);
    checking.view = txn_view_of(view->instance);
    rc = enter_task(view, full, check_task, &checking);
    change_unref(checking.check);
    return rc;
}

int larder_txn_if_match(struct larder_fs *view, const char *path, const char *version)
{
    error_clear();
    return version || !path ? take_check(view, path, version)
                            : fail(-EINVAL, "%s: no version of it is known, that it could be held to", path);
}

int larder_txn_if_absent(struct larder_fs *view, const char *path)
{
    error_clear();
    return take_check(view, path, NULL);
}
