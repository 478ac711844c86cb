/* SPDX-License-Identifier: Apache-2.0 */
/* What may suspend is called by what may suspend; a place that knows that it runs in a task is exempt. */
#include "task/task.h"

int CO_FN sleep_twice(void);
int CO_FN sleep_twice(void)
{
    int rc = task_sleep(1);
    return rc < 0 ? rc : task_sleep(1);
}

int a_task(void *arg);
CO_EDGE int a_task(void *arg)
{
    return sleep_twice();
}
