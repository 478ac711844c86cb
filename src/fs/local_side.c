/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/local_side.h"

#include <errno.h>

#include "base/error.h"
#include "base/seams.h"
#include "fs/chain.h"

int local_side_open(const char *typed, struct larder_fs **fs, char **path)
{
    struct chain chain = {.leaf = backend_find("file", 4), .url = typed};
    struct instance *instance = NULL;
    if (!typed || !*typed)
        return fail(-EINVAL, "no local path");
    if (!chain.leaf)
        return fail(-ENOTSUP, "there are no local files");
    int rc = chain_open(&chain, NULL, NULL, &instance);
    if (rc == 0)
        rc = fs_new(instance, "", fs);
    if (rc == 0)
        *path = take(chain.path);
    chain_fini(&chain);
    return rc;
}
