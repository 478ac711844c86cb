/* SPDX-License-Identifier: Apache-2.0 */
/* A loop's callback must not suspend. */
#include "task/task.h"

void on_readable(void *arg);
void on_readable(void *arg)
{
    struct wait wait = WAIT_INIT;
    wait_on(&wait, NULL);
}
