/* SPDX-License-Identifier: Apache-2.0 */
/* An ordinary function enters by the public door. */
#include "task/task.h"

int join_it(struct larder_task *task);
int join_it(struct larder_task *task)
{
    return larder_join(task);
}
