/* SPDX-License-Identifier: Apache-2.0 */
/* Pins and pruning, from outside. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "base/seams.h"
#include "cache/cap.h"
#include "cache/compact.h"
#include "cache/handle.h"
#include "cache/pin.h"
#include "cache/scan.h"

struct tend {
    struct store *store;
    struct target target;
    struct list found; /* pins */
    uint64_t size_max;
};

struct found {
    struct list node;
    char path[];
};

/* What was queued is in the store when it returns. */
static int run(struct larder_cache *cache, struct larder_fs *fs, const char *path, work_fn *fn,
               struct tend *tend)
{
    struct list *node;
    list_init(&tend->found);
    int rc = cache_store(cache, true, &tend->store);
    if (rc == 0)
        rc = target_begin(&tend->target, fs, path, cache->dir);
    if (rc == 0)
        rc = cache_blocking(fn, tend, cache->dir);
    while ((node = list_pop(&tend->found)))
        mem_free(container_of(node, struct found, node));
    target_end(&tend->target);
    return error_finish(rc, cache->dir);
}

static int flush(struct tend *tend, int rc)
{
    return rc < 0 ? rc : writer_flush(tend->store, -1);
}

/* ---- pins ---- */

static int pin(void *arg)
{
    struct tend *tend = arg;
    return flush(tend, pin_set(tend->store, tend->target.place, tend->target.path, true));
}

/* A pin is of one place. */
static int run_at_place(struct larder_cache *cache, struct larder_fs *fs, const char *path, work_fn *fn)
{
    struct tend tend = {0};
    error_clear();
    return fs ? run(cache, fs, path, fn, &tend) : fail(-EINVAL, "%s: pins are of a filesystem", cache->dir);
}

int larder_cache_pin(struct larder_cache *cache, struct larder_fs *fs, const char *path)
{
    return run_at_place(cache, fs, path, pin);
}

static int note_pin(void *arg, const struct stored *stored)
{
    struct tend *tend = arg;
    size_t size = strlen(stored->path) + 1;
    struct found *found = mem_alloc(sizeof *found + size);
    if (!found)
        return fail_memory();
    memcpy(found->path, stored->path, size);
    list_push(&tend->found, &found->node);
    return 0;
}

static int unpin(void *arg)
{
    struct tend *tend = arg;
    struct store *store = tend->store;
    int count = 0;
    int rc = writer_flush(store, -1); /* pins that are on their way are found, too */
    if (rc == 0)
        rc = scan_records(store, KEY_PIN, tend->target.place, tend->target.path, note_pin, tend);
    list_for_each (node, &tend->found) {
        if (rc == 0)
            rc = pin_set(store, tend->target.place, container_of(node, struct found, node)->path, false);
        count += rc == 0;
    }
    rc = flush(tend, rc);
    return rc < 0 ? rc : count;
}

int larder_cache_unpin(struct larder_cache *cache, struct larder_fs *fs, const char *path)
{
    return run_at_place(cache, fs, path, unpin);
}

/* ---- pruning ---- */

static int prune(void *arg)
{
    struct tend *tend = arg;
    struct cap cap;
    int rc = cap_read(tend->store, &cap);
    if (rc == 0)
        rc = cap_prune(tend->store, tend->size_max < cap.size_max ? tend->size_max : cap.size_max);
    rc = flush(tend, rc);
    if (rc == 0)
        rc = store_compact(tend->store);
    if (rc == -ENOTSUP)
        log_at(LARDER_LOG_WARNING, "%s: what is free stays in the cache's file, for what comes",
               error_text());
    return rc == -ENOTSUP ? 0 : rc;
}

int larder_cache_prune(struct larder_cache *cache, uint64_t size_max)
{
    struct tend tend = {.size_max = size_max};
    error_clear();
    return run(cache, NULL, "", prune, &tend);
}
