/* SPDX-License-Identifier: Apache-2.0 */
/* The public handle on a store: larder/cache.h, but for the mirror. */
#include "larder/cache.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "cache/cache.h"
#include "cache/handle.h"
#include "cache/verify.h"
#include "cache/view.h"
#include "fs/enter.h"
#include "fs/instance.h"
#include "fs/option.h"
#include "task/loop.h"

/* ---- work that blocks: on the calling thread, from a task on a worker ---- */

struct work_call {
    work_fn *fn;
    void *arg;
};

static int CO_EDGE in_a_task(struct work_call *call)
{
    return offload(call->fn, call->arg);
}

int cache_blocking(work_fn *fn, void *arg, const char *what)
{
    struct work_call call = {fn, arg};
    enum edge where = edge_where(NULL);
    error_clear();
    int rc = where == EDGE_CALLBACK ? edge_refuse(where, what)
             : where == EDGE_THREAD ? fn(arg)
                                    : in_a_task(&call);
    return error_finish(rc, what);
}

int cache_store(struct larder_cache *cache, bool write, struct store **out)
{
    struct store *store = hold_store(&cache->hold);
    if (!store)
        return fail(-EROFS, "cache %s: it cannot be used", cache->dir);
    if (write && store->read_only)
        return fail(-EROFS, "%s: it can only be read", cache->dir);
    *out = store;
    return 0;
}

int target_begin(struct target *target, struct larder_fs *fs, const char *path, const char *subject)
{
    *target = (struct target){0};
    if (!fs && path && *path)
        return fail(-EINVAL, "%s: a path, but no filesystem that it is of", path);
    int rc = path_resolve(fs ? fs->root : "", fs ? path : "", &target->path, NULL);
    if (rc < 0 || !fs)
        return rc;
    rc = enter_begin(fs, subject);
    if (rc < 0)
        return rc;
    target->fs = fs;
    target->where = place_of(fs->instance->identity);
    target->place = &target->where;
    return 0;
}

void target_end(struct target *target)
{
    if (target->fs)
        enter_end(target->fs);
    mem_free(target->path);
    *target = (struct target){0};
}

/* ---- opening ---- */

static void options_drop(char **options)
{
    for (size_t i = 0; options && options[i]; i++)
        mem_free(options[i]);
    mem_free(options);
}

static size_t options_count(const char *const options[])
{
    size_t count = 0;
    while (options && options[count])
        count++;
    return count;
}

/* Those given, under their layer's name, and where it is. */
static char **options_keep(const char *const options[], const char *dir)
{
    size_t count = options_count(options);
    char **kept = mem_array(count + 2, sizeof *kept);
    bool whole = kept;
    for (size_t i = 0; whole && i < count; i++) {
        bool layered = strncmp(options[i], "cache.", 6) == 0;
        kept[i] = layered ? mem_dup(options[i]) : mem_format("cache.%s", options[i]);
        whole = kept[i];
    }
    if (whole) {
        kept[count] = mem_format("cache.dir=%s", dir);
        whole = kept[count];
    }
    if (whole)
        return kept;
    options_drop(kept);
    return NULL;
}

#define OPEN_WAIT_MS 10000 /* another process may be stopped in the middle of a write transaction */

/* What is wrong with it is logged here, and now; and what it is told of its size holds. */
static int open_store(void *arg)
{
    struct hold *hold = arg;
    struct store *store = hold_store(hold);
    if (store && (hold->size_max >= 0 || hold->free_min >= 0))
        writer_flush(store, OPEN_WAIT_MS); /* one that cannot be written is used as it is */
    error_clear();
    return 0;
}

/* What the options say of the cache itself; they are checked on the way. */
static int take_options(struct larder_cache *cache, const char *const options[])
{
    struct view view = {.instance = {.backend = &cache_backend}};
    int rc = options_take(&cache_backend, options, true, &view.instance.option_values);
    if (rc < 0)
        return rc;
    rc = view_take_options(&view);
    cache->lifetimes = view.lifetimes;
    cache->packing = view.packing;
    cache->hold = view.hold;
    if (rc == 0)
        rc = cache_directory(option_text(&view.instance, "dir"), &cache->dir);
    cache->hold.dir = cache->dir;
    options_free(&cache_backend, view.instance.option_values);
    return rc;
}

int larder_cache_open(const char *const options[], struct larder_cache **out)
{
    struct larder_cache *cache = mem_zero(sizeof *cache);
    error_clear();
    if (!cache)
        return fail_memory();
    int rc = take_options(cache, options);
    if (rc == 0) {
        cache->options = options_keep(options, cache->dir);
        rc = cache->options ? cache_blocking(open_store, &cache->hold, cache->dir) : fail_memory();
    }
    if (rc < 0) {
        larder_cache_free(cache);
        return rc;
    }
    *out = cache;
    return 0;
}

void larder_cache_free(struct larder_cache *cache)
{
    if (!cache)
        return;
    hold_fini(&cache->hold);
    options_drop(cache->options);
    lifetimes_fini(&cache->lifetimes);
    mem_free(cache->dir);
    mem_free(cache);
}

/* ---- a filesystem through it ---- */

static const char **options_join(char **first, const char *const second[])
{
    size_t count = options_count((const char *const *)first), more = options_count(second);
    const char **all = mem_array(count + more + 1, sizeof *all);
    if (!all)
        return NULL;
    for (size_t i = 0; i < count; i++)
        all[i] = first[i];
    for (size_t i = 0; i < more; i++)
        all[count + i] = second[i];
    return all;
}

static bool is_same_directory(const char *a, const char *b)
{
    struct stat one, other;
    if (strcmp(a, b) == 0)
        return true;
    return file_seam.stat(a, &one) == 0 && file_seam.stat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/* What the options call the directory must be this cache's; it is called as the cache is, so that views are shared. */
static int settle_directory(const struct larder_cache *cache, char **dir)
{
    if (!is_same_directory(*dir, cache->dir))
        return fail(-EINVAL, "option cache.dir: this cache is in %s", cache->dir);
    mem_free(*dir);
    *dir = mem_dup(cache->dir);
    return *dir ? 0 : fail_memory();
}

int larder_cache_fs(struct larder_cache *cache, struct larder_fs *next, const char *const options[],
                    struct larder_fs **out)
{
    struct larder_fs *below = NULL, *fs = NULL;
    struct instance *instance = NULL;
    struct opening opening = {.backend = &cache_backend, .asynchronous = next->instance->gate};
    opening.loop = larder_fs_is_async(next) ? next->instance->loop : loop_meant(NULL);
    error_clear();
    autofree const char **all = options_join(cache->options, options);
    int rc = all ? options_check_layers(options) : fail_memory();
    if (rc == 0)
        rc = fs_new(instance_ref(next->instance), "", &below);
    if (rc == 0)
        rc = options_take(&cache_backend, all, true, &opening.values);
    if (rc == 0 && (rc = settle_directory(cache, option_slot(&cache_backend, opening.values, "dir"))) < 0)
        options_free(&cache_backend, opening.values);
    opening.next = below;
    if (rc == 0)
        rc = instance_get(&opening, &instance);
    larder_fs_free(below);
    if (rc == 0)
        rc = fs_new(instance, next->root, &fs);
    if (rc < 0)
        return error_finish(rc, cache->dir);
    fs->timeout_ms = next->timeout_ms;
    *out = fs;
    return 0;
}

/* ---- flush, clear ---- */

static int CO_EDGE flush_in_task(struct store *store)
{
    return writer_flush_wait(store);
}

int larder_cache_flush(struct larder_cache *cache)
{
    enum edge where = edge_where(NULL);
    error_clear();
    if (where == EDGE_CALLBACK)
        return edge_refuse(where, "larder_cache_flush");
    struct store *store;
    int rc = cache_store(cache, false, &store);
    if (rc == 0)
        rc = where == EDGE_THREAD ? writer_flush(store, -1) : flush_in_task(store);
    return error_finish(rc, cache->dir);
}

int larder_cache_clear(struct larder_cache *cache, struct larder_fs *fs, const char *path)
{
    struct target target = {0};
    struct place everywhere = {0};
    enum edge where = edge_where(NULL);
    error_clear();
    if (where == EDGE_CALLBACK)
        return edge_refuse(where, "larder_cache_clear");
    struct store *store;
    int rc = cache_store(cache, true, &store);
    if (rc == 0)
        rc = target_begin(&target, fs, path, "larder_cache_clear");
    if (rc == 0)
        store_changed(store, target.place ? target.place : &everywhere, target.path, true, false);
    target_end(&target);
    return rc < 0 ? error_finish(rc, cache->dir) : larder_cache_flush(cache);
}

/* ---- verification ---- */

struct verify {
    struct store *store;
    struct verified verified;
};

static int verify(void *arg)
{
    struct verify *verify = arg;
    return verify_store(verify->store, &verify->verified);
}

int larder_cache_verify(struct larder_cache *cache, struct larder_cache_verified *out)
{
    struct verify call = {0};
    const struct verified *verified = &call.verified;
    error_clear();
    int rc = tuning_check(out);
    if (rc == 0)
        rc = cache_store(cache, false, &call.store);
    if (rc == 0)
        rc = cache_blocking(verify, &call, cache->dir);
    if (rc < 0)
        return rc;
    struct larder_cache_verified told = {.records = verified->records,
                                         .blocks = verified->blocks,
                                         .damaged = verified->found[FOUND_VALUE],
                                         .set_aside = verified->broken};
    for (unsigned i = FOUND_VALUE + 1; i < FINDINGS; i++)
        told.repaired += verified->found[i];
    tuning_give(out, &told, sizeof told);
    return 0;
}
