/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/user_dir.h"
#include "cache/cache.h"
#include "cache/cap.h"
#include "fs/chain.h"
#include "fs/option.h"

/* ---- where it is ---- */

int cache_directory(const char *given, char **out)
{
    if (!given || !*given)
        return user_dir("LARDER_CACHE_DIR", "XDG_CACHE_HOME", ".cache", "cache", out);
    *out = mem_dup(given);
    return *out ? 0 : fail_memory();
}

struct view *view_of(const struct larder_fs *fs)
{
    for (struct instance *layer = fs->instance; layer; layer = layer->next ? layer->next->instance : NULL)
        if (layer->backend == &cache_backend)
            return container_of(layer, struct view, instance);
    return NULL;
}

/* ---- opening ---- */

static int parse_mode(const char *text, enum mode *out)
{
    static const char *const names[] = {
        [MODE_ONLINE] = "online", [MODE_STALE_IF_ERROR] = "stale-if-error", [MODE_OFFLINE] = "offline"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum mode)i;
            return 0;
        }
    }
    return fail(-EINVAL, "option cache.mode: \"%s\" is not online, stale-if-error or offline", text);
}

int view_take_options(struct view *view)
{
    int64_t level = option_number(&view->instance, "compress");
    int64_t gain = option_number(&view->instance, "compress_gain");
    if (level > 19)
        return fail(-EINVAL, "option cache.compress: zstd's levels are 1 to 19");
    if (gain > 99)
        return fail(-EINVAL, "option cache.compress_gain: at most 99 in a hundred");
    view->packing = (struct packing){.level = (int)level, .gain_percent = (int)gain};
    view->hold.size_max = option_number(&view->instance, "max_size");
    view->hold.free_min = option_number(&view->instance, "min_free");
    if (view->hold.size_max >= 0 && view->hold.size_max < (int64_t)CAP_SIZE_MIN)
        return fail(-EINVAL, "option cache.max_size: at least 1M");
    int rc = parse_mode(option_text(&view->instance, "mode"), &view->mode);
    if (rc == 0)
        rc = lifetimes_init(&view->lifetimes, &view->instance);
    if (rc < 0)
        lifetimes_fini(&view->lifetimes);
    return rc;
}

/* Which directory it is depends on the environment: it is part of what makes the view. */
static int view_complete(char **values)
{
    char **dir = option_slot(&cache_backend, values, "dir");
    autofree char *given = take(*dir);
    return cache_directory(given, dir);
}

static int view_open(struct instance *instance)
{
    struct view *view = container_of(instance, struct view, instance);
    for (struct instance *below = view_next(view); below; below = below->next ? below->next->instance : NULL)
        if (below->backend == &cache_backend)
            return fail(-EINVAL, "a second cache in the chain");
    view->place = place_of(instance->identity);
    view->hold.dir = option_text(instance, "dir");
    int rc = view_take_options(view);
    if (rc == 0)
        view_store(view); /* what is wrong with it is logged here, and now */
    return rc;
}

static void view_close(struct instance *instance)
{
    struct view *view = container_of(instance, struct view, instance);
    hold_fini(&view->hold);
    lifetimes_fini(&view->lifetimes);
}

int view_offline(const struct view *view, const char *path, const char *why)
{
    return fail_at(view_next(view), path, -ENONET, "offline, and %s", why);
}

/* ---- looks ---- */

static int look_info(struct instance *instance, const char *path, const struct terms *terms,
                     struct answer *out)
{
    struct view *view = container_of(instance, struct view, instance);
    struct store *store = view_store(view);
    int rc = store ? hit_info(view, store, path, terms, out) : -EAGAIN;
    if (rc != -EAGAIN || view->mode != MODE_OFFLINE)
        return rc;
    return store ? offline_info(view, store, path, terms, out)
                 : view_offline(view, path, "there is no cache");
}

static int look_read(struct instance *instance, const char *path, const struct larder_range *range,
                     const struct terms *terms, struct sink *sink, struct answer *out)
{
    struct view *view = container_of(instance, struct view, instance);
    struct store *store = view_store(view);
    return store ? hit_read(view, store, path, range, terms, sink, out, INT64_MAX) : -EAGAIN;
}

/* ---- changes ---- */

static int may_change(struct instance *instance, const char *path)
{
    struct view *view = container_of(instance, struct view, instance);
    return view->mode == MODE_OFFLINE ? view_offline(view, path, "nothing is changed") : 0;
}

static void changed(struct instance *instance, const char *path, bool tree, const struct answer *now)
{
    struct view *view = container_of(instance, struct view, instance);
    struct store *store = view_store(view);
    /* What is there now is not taken from `now`: of two writes at once the later one may be told first. */
    if (store)
        store_changed(store, &view->place, path, tree, !instance->can.real_directories);
}

static const struct option options[] = {
    {"dir", OPTION_TEXT, NULL, 0, "the directory that holds the cache"},
    {"ttl", OPTION_LIFETIME, NULL, OPTION_PER_HANDLE,
     "how long an answer is fresh, whatever it says; 0: never"},
    {"ttl_rules", OPTION_TEXT, NULL, 0, "the same for files that match: *.json=60,chunks/**=forever"},
    {"listing_ttl", OPTION_LIFETIME, NULL, 0, "the same for listings"},
    {"absent_ttl", OPTION_LIFETIME, NULL, 0, "the same for what is missing"},
    {"max_age", OPTION_LIFETIME, NULL, OPTION_PER_HANDLE,
     "no answer older than this, in no mode; 0: the place is asked"},
    {"mode", OPTION_TEXT, "online", 0, "online, stale-if-error or offline"},
    {"max_size", OPTION_SIZE, NULL, 0,
     "how much it may hold, kept in it for all that use it; a new one's is 10G"},
    {"min_free", OPTION_SIZE, NULL, 0,
     "how much of the disk it leaves free, kept likewise; a twentieth, at most 1G"},
    {"compress", OPTION_COUNT, "3", 0, "the zstd level for blocks that shrink; 0: none"},
    {"compress_gain", OPTION_COUNT, "12", 0, "of a hundred bytes, how many a block must shrink by"},
    {0},
};
static const char *const protocols[] = {"cache", NULL};

const struct backend cache_backend = {
    .name = "cache",
    .protocols = protocols,
    .view = true,
    .kind = ASYNC,
    .size = sizeof(struct view),
    .options = options,
    .complete = view_complete,
    .open = view_open,
    .close = view_close,
    .look_info = look_info,
    .look_read = look_read,
    .info = fetch_info,
    .list = fetch_list,
    .list_tree = fetch_list_tree,
    .read = fetch_read,
    .properties = fetch_properties,
    .may_change = may_change,
    .changed = changed,
};
