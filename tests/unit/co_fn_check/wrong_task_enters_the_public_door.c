/* SPDX-License-Identifier: Apache-2.0 */
/* The library's own tasks must not call what decides where it runs. */
#include "task/task.h"

int CO_FN in_task(struct larder_task *task);
int CO_FN in_task(struct larder_task *task)
{
    return larder_join(task);
}
