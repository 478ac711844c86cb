/* SPDX-License-Identifier: Apache-2.0 */
/* Nor may it suspend on leaving a scope; clang sees that from 19 on. */
#include "task/task.h"

static CO_FN void join_at(struct group *group)
{
    group_join(group);
}

void on_readable(void *arg);
void on_readable(void *arg)
{
    __attribute__((cleanup(join_at))) struct group group;
    group_init(&group, GROUP_ALL, 0);
}
