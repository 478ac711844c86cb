/* SPDX-License-Identifier: Apache-2.0 */
#include "base/seams.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void crash_point(const char *name)
{
    static atomic_long passed; /* of the one place that the environment names */
    const char *where = getenv("LARDER_CRASH_AT");
    size_t size = strlen(name);
    if (!where || strncmp(where, name, size) != 0 || (where[size] && where[size] != ':'))
        return;
    long turn = where[size] ? strtol(where + size + 1, NULL, 10) : 1;
    if (atomic_fetch_add(&passed, 1) + 1 < turn)
        return;
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}
