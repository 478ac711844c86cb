/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_cost spawn|switch|edge COUNT: what tasks cost: one that does nothing from its start to its end; a suspend and a
 * resume; a call that blocks a thread and does nothing.
 */
#include "task/loop.h"

#include "bench.h"

#define SWITCHING 2 /* tasks that take turns */

struct job {
    size_t count;
    double seconds;
};

static int nothing(void *arg)
{
    return 0;
}

/* Each has ended before the next one starts, so that there is one stack. */
static int CO_FN spawn(void *arg)
{
    struct job *job = arg;
    int rc = 0;
    double start = bench_now();
    for (size_t i = 0; rc == 0 && i < job->count; i++) {
        struct group group;
        group_init(&group, GROUP_ALL, 0);
        group_add(&group, nothing, NULL);
        rc = group_join(&group);
    }
    job->seconds = bench_now() - start;
    return rc;
}

static int CO_FN take_turns(void *arg, size_t index)
{
    struct job *job = arg;
    for (size_t i = index; i < job->count; i += SWITCHING)
        task_yield();
    return 0;
}

static int CO_FN switch_tasks(void *arg)
{
    struct job *job = arg;
    double start = bench_now();
    int rc = group_each(SWITCHING, SWITCHING, GROUP_ALL, take_turns, job);
    job->seconds = bench_now() - start;
    return rc;
}

static int edge(struct larder_loop *loop, struct job *job)
{
    int rc = 0;
    double start = bench_now();
    for (size_t i = 0; rc == 0 && i < job->count; i++)
        rc = edge_run(loop, nothing, NULL);
    job->seconds = bench_now() - start;
    return rc;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        bench_die("usage: task_cost spawn|switch|edge COUNT");
    unsigned what = bench_word(argv[1], (const char *const[]){"spawn", "switch", "edge", NULL});
    struct job job = {.count = bench_count(argv[2])};
    struct larder_loop *loop = larder_loop_default();
    int rc = !loop       ? -1
             : what == 0 ? edge_run(loop, spawn, &job)
             : what == 1 ? edge_run(loop, switch_tasks, &job)
                         : edge(loop, &job);
    if (rc < 0)
        bench_die("%s", larder_error());
    bench_figure(job.seconds, job.count, 0);
    return 0;
}
