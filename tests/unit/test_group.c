/* SPDX-License-Identifier: Apache-2.0 */
#include "task_test.h"

#include <string.h>

#define CAP 4096 /* live tasks of a loop, as task.h says */

struct child {
    int status;
    unsigned sleep_ms;
    unsigned *ran, *cancelled, *live, *live_most;
};

static CO_EDGE int child_runs(void *arg)
{
    struct child *child = arg;
    if (child->live != NULL && ++*child->live > *child->live_most)
        *child->live_most = *child->live;
    int rc = child->sleep_ms > 0 ? task_sleep(child->sleep_ms) : 0;
    if (child->live != NULL)
        --*child->live;
    if (rc == -ECANCELED && child->cancelled != NULL)
        ++*child->cancelled;
    if (rc < 0)
        return rc;
    if (child->ran != NULL)
        ++*child->ran;
    return child->status < 0 ? fail(child->status, "child %d", child->status) : 0;
}

/* ---- how they end ---- */

static CO_EDGE int first_failure(void *arg)
{
    unsigned ran = 0, cancelled = 0;
    struct child good = {.sleep_ms = 60000, .ran = &ran, .cancelled = &cancelled};
    struct child bad = {.status = -EIO, .sleep_ms = 1};
    struct group group;
    group_init(&group, GROUP_FIRST, 0);
    CHECK(group_add(&group, child_runs, &good) == 0);
    CHECK(group_add(&group, child_runs, &bad) == 0);
    CHECK(group_add(&group, child_runs, &good) == 0);
    CHECK(group_join(&group) == -EIO);
    CHECK(strcmp(larder_error(), "child -5") == 0);
    CHECK(cancelled == 2 && ran == 0);
    return 0;
}

static void the_first_failure_cancels_the_others_and_is_the_status(void **state)
{
    assert_task(first_failure, NULL);
}

static CO_EDGE int all_run(void *arg)
{
    unsigned ran = 0;
    struct child late = {.status = -EIO, .sleep_ms = 5, .ran = &ran},
                 early = {.status = -ENOENT, .ran = &ran};
    struct child good = {.sleep_ms = 10, .ran = &ran};
    struct group group;
    group_init(&group, GROUP_ALL, 0);
    CHECK(group_add(&group, child_runs, &late) == 0);
    CHECK(group_add(&group, child_runs, &early) == 0);
    task_yield();
    CHECK(group_add(&group, child_runs, &good) == 0); /* a child's failure is told by the join only */
    CHECK(group_join(&group) == -ENOENT);
    CHECK(strcmp(larder_error(), "child -2") == 0);
    CHECK(ran == 3);
    return 0;
}

static void all_are_run_and_the_first_failure_is_the_status(void **state)
{
    assert_task(all_run, NULL);
}

static CO_EDGE int empty(void *arg)
{
    struct group group;
    group_init(&group, GROUP_FIRST, 3);
    CHECK(group_join(&group) == 0);
    CHECK(group_join(&group) == 0);
    return 0;
}

static void an_empty_group_is_joined_at_once(void **state)
{
    assert_task(empty, NULL);
}

/* ---- bounds ---- */

static CO_EDGE int bounded(void *arg)
{
    unsigned live = 0, most = 0, ran = 0;
    struct child child = {.sleep_ms = 1, .ran = &ran, .live = &live, .live_most = &most};
    struct group group;
    group_init(&group, GROUP_ALL, 7);
    for (int i = 0; i < 50; i++)
        CHECK(group_add(&group, child_runs, &child) == 0);
    CHECK(group_join(&group) == 0);
    CHECK(ran == 50 && most == 7);
    return 0;
}

static void no_more_children_live_than_the_group_allows(void **state)
{
    assert_task(bounded, NULL);
}

static CO_EDGE int nest(void *arg)
{
    unsigned *depth_and_count = arg;
    depth_and_count[1]++;
    if (depth_and_count[0] == 0)
        return 0;
    unsigned below[2] = {depth_and_count[0] - 1, 0};
    struct group group;
    group_init(&group, GROUP_FIRST, 0);
    for (int i = 0; i < 20; i++) {
        int rc = group_add(&group, nest, below);
        if (rc < 0)
            break;
        if (i % 4 == 0)
            task_yield();
    }
    int rc = group_join(&group);
    depth_and_count[1] += below[1];
    return rc;
}

static void groups_nest_beyond_the_cap_without_deadlock(void **state)
{
    unsigned depth_and_count[2] = {UNDER_TSAN ? 2 : 4, 0};
    assert_task(nest, depth_and_count);
    assert_int_equal(depth_and_count[1], UNDER_TSAN ? 1 + 20 + 400 : 1 + 20 + 400 + 8000 + 160000);
}

struct crowd {
    struct waiters gate;
    bool open, partner_came;
    unsigned live, most, here;
    int partner_rc;
    struct larder_task *parent;
};

static CO_EDGE int come(void *arg)
{
    struct crowd *crowd = arg;
    crowd->partner_came = task_current() != crowd->parent;
    return 0;
}

/* Each waits for the other, so neither can run in the other's place. */
static CO_FN int meet_partner(struct crowd *crowd)
{
    struct group group;
    group_init(&group, GROUP_FIRST, 0);
    int rc = group_add_partner(&group, come, crowd);
    while (rc == 0 && !crowd->partner_came)
        task_yield();
    int joined = group_join(&group);
    return rc < 0 ? rc : joined;
}

static CO_EDGE int wait_at_gate(void *arg)
{
    struct crowd *crowd = arg;
    if (task_current() == crowd->parent) {
        crowd->partner_rc = meet_partner(crowd);
        crowd->here++; /* in the calling task: let the others go */
        crowd->open = true;
        waiters_wake(&crowd->gate);
        return 0;
    }
    if (++crowd->live > crowd->most)
        crowd->most = crowd->live;
    while (!crowd->open)
        if (waiters_wait(&crowd->gate) < 0)
            break;
    crowd->live--;
    return 0;
}

static CO_EDGE int fill_the_loop(void *arg)
{
    struct crowd crowd = {.parent = task_current()};
    struct group group;
    waiters_init(&crowd.gate);
    group_init(&group, GROUP_ALL, 0);
    for (int i = 0; i < CAP; i++)
        CHECK(group_add(&group, wait_at_gate, &crowd) == 0);
    CHECK(group_join(&group) == 0);
    CHECK(crowd.here >= 1);
    CHECK(crowd.partner_came && crowd.partner_rc == 0);
    task_yield();
    return 0;
}

static void at_the_cap_a_child_runs_in_the_calling_task_and_a_partner_does_not(void **state)
{
    if (UNDER_TSAN)
        skip(); /* a fiber takes a thread's memory there */
    assert_task(fill_the_loop, NULL);
}

/* ---- cancel ---- */

struct parent {
    struct larder_task *task;
    struct child child;
    unsigned cancelled;
    int added, joined;
};

static CO_EDGE int join_until_cancelled(void *arg)
{
    struct parent *parent = arg;
    parent->task = task_current();
    parent->child = (struct child){.sleep_ms = 60000, .cancelled = &parent->cancelled};
    struct group group;
    group_init(&group, GROUP_ALL, 0);
    for (int i = 0; i < 3; i++)
        CHECK(group_add(&group, child_runs, &parent->child) == 0);
    parent->joined = group_join(&group);
    parent->added = group_add(&group, child_runs, &parent->child);
    group_join(&group);
    return 0;
}

static CO_EDGE int cancel_the_parent(void *arg)
{
    struct parent parent = {.joined = 1};
    struct group group;
    group_init(&group, GROUP_ALL, 0);
    CHECK(group_add(&group, join_until_cancelled, &parent) == 0);
    CHECK(task_sleep(2) == 0);
    larder_cancel(parent.task);
    CHECK(group_join(&group) == 0);
    CHECK(parent.joined == -ECANCELED && parent.added == -ECANCELED && parent.cancelled == 3);
    return 0;
}

static void a_cancelled_parent_cancels_and_joins_its_children(void **state)
{
    assert_task(cancel_the_parent, NULL);
}

static CO_EDGE int time_out(void *arg)
{
    unsigned cancelled = 0;
    struct child child = {.sleep_ms = 60000, .cancelled = &cancelled};
    struct group group;
    struct deadline deadline;
    group_init(&group, GROUP_ALL, 0);
    deadline_begin(&deadline, 3);
    CHECK(group_add(&group, child_runs, &child) == 0);
    int rc = deadline_end(&deadline, group_join(&group), "the batch");
    CHECK(rc == -ETIMEDOUT && cancelled == 1);
    CHECK(strstr(larder_error(), "the batch") != NULL);
    return 0;
}

static void a_deadline_of_the_joining_task_cancels_the_children(void **state)
{
    assert_task(time_out, NULL);
}

static CO_EDGE int cancel_group(void *arg)
{
    unsigned cancelled = 0, ran = 0;
    struct child child = {.sleep_ms = 60000, .ran = &ran, .cancelled = &cancelled};
    struct group group;
    group_init(&group, GROUP_ALL, 0);
    CHECK(group_add(&group, child_runs, &child) == 0);
    task_yield();
    group_cancel(&group);
    group_cancel(&group);
    CHECK(group_add(&group, child_runs, &child) == -ECANCELED);
    CHECK(group_join(&group) == -ECANCELED);
    CHECK(cancelled == 1 && ran == 0 && task_check() == 0);
    return 0;
}

static void a_cancelled_group_takes_no_more_children(void **state)
{
    assert_task(cancel_group, NULL);
}

static CO_EDGE int wait_for_place(void *arg)
{
    unsigned cancelled = 0;
    struct child slow = {.sleep_ms = 60000, .cancelled = &cancelled};
    struct group group;
    struct deadline deadline;
    group_init(&group, GROUP_ALL, 1);
    deadline_begin(&deadline, 3);
    CHECK(group_add(&group, child_runs, &slow) == 0);
    CHECK(group_add(&group, child_runs, &slow) == -ETIMEDOUT);
    CHECK(deadline_end(&deadline, group_join(&group), "it") == -ETIMEDOUT);
    CHECK(cancelled == 1);
    return 0;
}

static void waiting_for_a_place_ends_with_the_deadline(void **state)
{
    assert_task(wait_for_place, NULL);
}

/* ---- each ---- */

struct each_seen {
    size_t order[64], count, fail_at;
    unsigned live, most;
    struct larder_task *caller;
    bool in_caller;
};

static CO_EDGE int see(void *arg, size_t index)
{
    struct each_seen *seen = arg;
    seen->order[seen->count++] = index;
    seen->in_caller |= task_current() == seen->caller;
    if (++seen->live > seen->most)
        seen->most = seen->live;
    int rc = task_sleep(1);
    seen->live--;
    if (rc == 0 && index + 1 == seen->fail_at)
        return fail(-EIO, "item %zu", index);
    return rc;
}

static CO_EDGE int each_in_order(void *arg)
{
    struct each_seen seen = {.caller = task_current()};
    CHECK(group_each(40, 8, GROUP_FIRST, see, &seen) == 0);
    CHECK(seen.count == 40 && seen.most == 8 && !seen.in_caller);
    for (size_t i = 0; i < 40; i++)
        CHECK(seen.order[i] == i);
    return 0;
}

static void each_begins_in_order_with_so_many_at_once(void **state)
{
    assert_task(each_in_order, NULL);
}

static CO_EDGE int each_stops(void *arg)
{
    for (unsigned jobs = 1; jobs <= 4; jobs += 3) {
        struct each_seen seen = {.fail_at = 10};
        CHECK(group_each(60, jobs, GROUP_FIRST, see, &seen) == -EIO);
        CHECK(strcmp(larder_error(), "item 9") == 0);
        CHECK(seen.count >= 10 && seen.count <= 10 + jobs && seen.live == 0);
        seen = (struct each_seen){.fail_at = 10};
        CHECK(group_each(60, jobs, GROUP_ALL, see, &seen) == -EIO);
        CHECK(strcmp(larder_error(), "item 9") == 0);
        CHECK(seen.count == 60);
    }
    return 0;
}

static void each_stops_at_the_first_failure_or_runs_all(void **state)
{
    assert_task(each_stops, NULL);
}

static CO_EDGE int each_of_one(void *arg)
{
    struct each_seen seen = {.caller = task_current()};
    CHECK(group_each(0, 8, GROUP_ALL, see, &seen) == 0 && seen.count == 0);
    CHECK(group_each(1, 8, GROUP_ALL, see, &seen) == 0 && seen.count == 1 && seen.in_caller);
    return 0;
}

static void each_of_one_item_takes_no_task(void **state)
{
    assert_task(each_of_one, NULL);
}

static CO_EDGE int each_cancelled(void *arg)
{
    struct each_seen seen = {.count = 0};
    struct deadline deadline;
    deadline_begin(&deadline, 5);
    int rc = group_each(60, 1, GROUP_ALL, see, &seen);
    CHECK(deadline_end(&deadline, rc, "each") == -ETIMEDOUT && seen.count < 60);
    seen.count = 0;
    larder_cancel(task_current());
    CHECK(group_each(60, 4, GROUP_ALL, see, &seen) == -ECANCELED && seen.count == 0);
    CHECK(group_each(60, 1, GROUP_ALL, see, &seen) == -ECANCELED && seen.count == 0);
    return 0;
}

static void an_interrupted_caller_begins_no_more_items(void **state)
{
    assert_task(each_cancelled, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_failure_cancels_the_others_and_is_the_status),
        cmocka_unit_test(all_are_run_and_the_first_failure_is_the_status),
        cmocka_unit_test(an_empty_group_is_joined_at_once),
        cmocka_unit_test(no_more_children_live_than_the_group_allows),
        cmocka_unit_test(groups_nest_beyond_the_cap_without_deadlock),
        cmocka_unit_test(at_the_cap_a_child_runs_in_the_calling_task_and_a_partner_does_not),
        cmocka_unit_test(a_cancelled_parent_cancels_and_joins_its_children),
        cmocka_unit_test(a_deadline_of_the_joining_task_cancels_the_children),
        cmocka_unit_test(a_cancelled_group_takes_no_more_children),
        cmocka_unit_test(waiting_for_a_place_ends_with_the_deadline),
        cmocka_unit_test(each_begins_in_order_with_so_many_at_once),
        cmocka_unit_test(each_stops_at_the_first_failure_or_runs_all),
        cmocka_unit_test(each_of_one_item_takes_no_task),
        cmocka_unit_test(an_interrupted_caller_begins_no_more_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
