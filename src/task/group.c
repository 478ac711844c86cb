/* SPDX-License-Identifier: Apache-2.0 */
/* Groups: tasks that end before their frame does. */
#include <assert.h>
#include <errno.h>

#include "base/error.h"
#include "base/seams.h"
#include "task/internal.h"

void group_init(struct group *group, enum group_mode mode, unsigned live_max)
{
    *group = (struct group){.mode = mode, .live_max = live_max};
    list_init(&group->children);
    waiters_init(&group->changed);
}

/* The first failure is the group's. A text that no memory can be had for is left out. */
static void record(struct group *group, int status, const char *text)
{
    if (status >= 0 || group->status < 0)
        return;
    group->status = status;
    group->text = mem_dup(text);
    if (group->mode == GROUP_FIRST)
        group_cancel(group);
}

void group_cancel(struct group *group)
{
    if (group->cancelled)
        return;
    group->cancelled = true;
    record(group, -ECANCELED, ERROR_CANCELLED);
    list_for_each (node, &group->children)
        task_cancel(container_of(node, struct larder_task, sibling));
}

static int group_status(const struct group *group)
{
    if (group->status < 0)
        error_set_text(group->text);
    return group->status;
}

static void child_ended(struct larder_task *task)
{
    struct group *group = task->group;
    list_remove(&task->sibling);
    group->live--;
    record(group, task->status, task->slot->text);
    mem_free(task);
    if (group->live == 0 || group->live_max != 0)
        waiters_wake(&group->changed);
}

void group_wait(struct group *group)
{
    if (group->cancelled) {
        waiters_wait_deaf(&group->changed);
        return;
    }
    int rc = waiters_wait(&group->changed);
    if (rc < 0) {
        record(group, rc, error_text());
        group_cancel(group);
    }
}

/* At the cap, or without memory for a stack: the caller's will do. */
static CO_FN void run_here(struct group *group, larder_task_fn *fn, void *arg)
{
    group->live++;
    error_clear();
    int status = fn(arg);
    group->live--;
    record(group, status, error_text());
}

/* False: there is no memory for it. */
static bool start_child(struct group *group, larder_task_fn *fn, void *arg)
{
    struct larder_task *self = task_current();
    struct larder_task *child = task_new(self->loop, fn, arg, child_ended);
    if (child == NULL || task_start(child) < 0) {
        mem_free(child);
        return false;
    }
    child->group = group;
    child->epoch = self->epoch;
    group->live++;
    list_push(&group->children, &child->sibling);
    return true;
}

int group_add(struct group *group, larder_task_fn *fn, void *arg)
{
    struct larder_task *self = task_current();
    for (;;) {
        int rc = task_interrupted(self);
        if (rc < 0) {
            record(group, rc, error_text());
            group_cancel(group);
        }
        if (group->cancelled)
            return group_status(group);
        if (group->live_max == 0 || group->live < group->live_max)
            break;
        group_wait(group);
    }
    if (self->loop->live >= TASKS_MAX || !start_child(group, fn, arg))
        run_here(group, fn, arg);
    return 0;
}

int group_add_partner(struct group *group, larder_task_fn *fn, void *arg)
{
    int rc = task_interrupted(task_current());
    if (rc < 0)
        return rc;
    return start_child(group, fn, arg) ? 0 : fail_memory();
}

int group_join(struct group *group)
{
    struct larder_task *self = task_current();
    int rc = task_interrupted(self);
    if (rc < 0 && group->live > 0) {
        record(group, rc, error_text());
        group_cancel(group);
    }
    while (group->live > 0)
        group_wait(group);
    rc = group_status(group);
    mem_free(take(group->text));
    group->cancelled = true; /* over: a cancel that comes late, by a reply, finds nothing to do */
    int interrupted = self->cancelled ? task_interrupted(self) : 0;
    return interrupted < 0 ? interrupted : rc;
}

/* ---- many like things ---- */

struct each {
    struct group group;
    each_fn *fn;
    void *arg;
    size_t next, count;
};

/* Takes one after the other, until there is none or the group is cancelled. */
static int each_worker(void *arg)
{
    struct each *each = arg;
    while (each->next < each->count && !each->group.cancelled) {
        error_clear();
        int rc = each->fn(each->arg, each->next++);
        record(&each->group, rc, error_text());
    }
    return 0;
}

/* The same without a task. */
static CO_FN int each_here(size_t count, enum group_mode mode, each_fn *fn, void *arg)
{
    struct group group;
    group_init(&group, mode, 0);
    for (size_t i = 0; i < count && !group.cancelled; i++) {
        int rc = task_interrupted(task_current());
        if (rc < 0) {
            record(&group, rc, error_text());
            break;
        }
        error_clear();
        rc = fn(arg, i);
        record(&group, rc, error_text());
    }
    return group_join(&group);
}

int group_each(size_t count, unsigned jobs_max, enum group_mode mode, each_fn *fn, void *arg)
{
    if (count <= 1 || jobs_max == 1)
        return each_here(count, mode, fn, arg);
    struct each each = {.fn = fn, .arg = arg, .count = count};
    group_init(&each.group, mode, 0);
    size_t workers = jobs_max != 0 && jobs_max < count ? jobs_max : count;
    /* At the cap a worker runs here, and leaves nothing for those after it. */
    while (workers-- > 0 && each.next < count)
        if (group_add(&each.group, each_worker, &each) < 0)
            break;
    return group_join(&each.group);
}
