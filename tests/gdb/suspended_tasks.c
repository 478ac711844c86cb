/* SPDX-License-Identifier: Apache-2.0 */
/* A process with a suspended task, some frames deep, for the gdb script to find. */
#include "task/loop.h"
#include "task/task.h"

int deep_inner(void *arg);
int deep_outer(void *arg);
void all_are_suspended(void);

__attribute__((noinline)) CO_EDGE int deep_inner(void *arg)
{
    int rc = task_sleep(60000);
    __asm__ volatile("" ::: "memory"); /* no tail call */
    return rc;
}

__attribute__((noinline)) int deep_outer(void *arg)
{
    int rc = deep_inner(arg);
    __asm__ volatile("" ::: "memory");
    return rc;
}

static int nothing(void *arg)
{
    return 0;
}

__attribute__((noinline)) void all_are_suspended(void)
{
    __asm__ volatile("" ::: "memory");
}

int main(void)
{
    if (larder_spawn(NULL, deep_outer, NULL, NULL, NULL, NULL) < 0 || larder_sync(NULL, nothing, NULL, 0) < 0)
        return 1;
    all_are_suspended();
    return 0;
}
