/* SPDX-License-Identifier: Apache-2.0 */
#include "base/user_dir.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/seams.h"

/* A relative path in an XDG variable is to be ignored (XDG Base Directory Specification). */
int user_dir(const char *ours, const char *xdg, const char *rest, const char *what, char **out)
{
    const char *larder = getenv(ours), *base = getenv(xdg), *home = getenv("HOME");
    char *dir = NULL;
    if (larder && *larder)
        dir = mem_dup(larder);
    else if (base && *base == '/')
        dir = mem_format("%s/larder", base);
    else if (home && *home)
        dir = mem_format("%s/%s/larder", home, rest);
    else
        return fail(-ENOENT, "no %s directory: neither %s nor %s nor HOME is set", what, ours, xdg);
    if (!dir)
        return fail_memory();
    *out = dir;
    return 0;
}
