/* SPDX-License-Identifier: Apache-2.0 */
/* What is built in: the places and the views. */
#include "larder.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "backends/backends.h"
#include "base/error.h"
#include "cache/cache.h"
#include "fs/foreign.h"
#include "fs/fs.h"
#include "fs/option.h"
#include "txn/recover.h"

static const struct backend *const built_in[] = {&memory_backend, &local_backend, &http_backend,
                                                 &webdav_backend, &s3_backend,    &cache_backend};

static void register_all(void)
{
    for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++)
        backend_register(built_in[i]);
}

static void know_all(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_all);
}

int larder_open(struct larder_loop *loop, const char *url, const char *const options[], struct larder_fs **fs,
                char **path)
{
    know_all();
    error_clear();
    return error_finish(fs_open(loop, url, options, fs, path), "larder_open");
}

int larder_register(const struct larder_backend *backend)
{
    know_all();
    error_clear();
    return foreign_register(backend);
}

int larder_fs_current(const char *protocol, struct larder_fs **out)
{
    know_all();
    error_clear();
    return error_finish(fs_current(protocol, out), protocol);
}

int larder_fs_from_json(struct larder_loop *loop, const char *text, const char *const options[],
                        struct larder_fs **out)
{
    know_all();
    error_clear();
    return error_finish(fs_from_json(loop, text, options, out), "larder_fs_from_json");
}

int larder_txn_recover(const char *journal, const char *id, const struct larder_txn_recover_options *how)
{
    know_all();
    error_clear();
    return error_finish(txn_recover(journal, id, how), "larder_txn_recover");
}

static const struct option *nth_option(size_t index, const struct backend **backend)
{
    for (size_t i = 0; (*backend = backend_at(i)); i++)
        for (const struct option *option = (*backend)->options; option && option->name; option++)
            if (index-- == 0)
                return option;
    return NULL;
}

int larder_option_at(size_t index, struct larder_option *out)
{
    const struct backend *backend;
    know_all();
    error_clear();
    int rc = out ? tuning_check(out) : fail(-EINVAL, "larder_option_at: nowhere to put it");
    if (rc < 0)
        return rc;
    const struct option *option = nth_option(index, &backend);
    if (!option)
        return fail(-ENOENT, "there are no more than %zu options", index);
    struct larder_option known = {.layer = backend->name,
                                  .name = option->name,
                                  .fallback = option->fallback,
                                  .help = option->help,
                                  .secret = option->flags & OPTION_SECRET,
                                  .per_handle = option->flags & OPTION_PER_HANDLE,
                                  .origin = option_origin(backend, option)};
    tuning_give(out, &known, sizeof known);
    return 0;
}
