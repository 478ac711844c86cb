/* SPDX-License-Identifier: Apache-2.0 */
/* What is built in: the places and the views. */
#include "larder.h"

#include <pthread.h>

#include "backends/backends.h"
#include "base/error.h"
#include "cache/cache.h"
#include "fs/fs.h"

static const struct backend *const built_in[] = {&memory_backend, &local_backend, &http_backend,
                                                 &cache_backend};

static void register_all(void)
{
    for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++)
        backend_register(built_in[i]);
}

int larder_open(struct larder_loop *loop, const char *url, const char *const options[], struct larder_fs **fs,
                char **path)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_all);
    error_clear();
    return error_finish(fs_open(loop, url, options, fs, path), url);
}
