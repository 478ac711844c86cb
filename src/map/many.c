/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of keys. The places below see on_error = LARDER_RETURN, and `completed` decides here: only a map
 * knows that a directory is a missing key. Items with wrong keys never reach them.
 */
#include "map/map.h"

#include <errno.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/fs.h"

struct many {
    const struct larder_fs *fs;
    struct larder_item *items;   /* the caller's, or a copy without those with wrong keys */
    struct larder_item **owners; /* of items[i], NULL once they have it back; NULL: the items are theirs */
    size_t count;
    const struct larder_batch *batch; /* the caller's */
    bool files;                       /* every key must be a file (not for set) */
    bool stopped;                     /* by the caller's `completed` */
    int status;                       /* of the item that stopped the batch */
    char *text;                       /* its words; mem */
};

typedef int many_fn(struct larder_fs *fs, struct larder_item *items, size_t count,
                    const struct larder_batch *batch);

static bool is_key(const char *key)
{
    return key && path_is_key(key);
}

static int set_items(struct larder_fs *fs, struct larder_item *items, size_t count,
                     const struct larder_batch *batch)
{
    return larder_pipe(fs, items, count, LARDER_PARENTS, batch);
}

/* The end of an item of the caller's: what `completed` returns. */
static int item_done(struct many *many, struct larder_item *item)
{
    enum larder_on_error on_error = many->batch->on_error;
    if (item->status < 0 && many->files)
        item->status = key_status(many->fs, item->status, item->path);
    bool passed_over = on_error == LARDER_RETURN || (on_error == LARDER_OMIT && item->status == -ENOENT);
    if (item->status < 0 && !passed_over && many->status == 0) {
        many->status = item->status;
        many->text = mem_dup(error_text());
    }
    int rc = many->batch->completed ? many->batch->completed(many->batch->arg, item) : 0;
    many->stopped = rc != 0;
    return rc != 0 ? rc : many->status;
}

/* The caller's item that has what `item` has; once for each. */
static struct larder_item *hand_back(struct many *many, struct larder_item *item)
{
    if (!many->owners)
        return item;
    struct larder_item *owner = take(many->owners[item - many->items]);
    owner->bytes = item->bytes;
    owner->status = item->status;
    item->bytes = (struct larder_bytes){0};
    return owner;
}

static int completed(void *arg, struct larder_item *item)
{
    struct many *many = arg;
    return item_done(many, hand_back(many, item));
}

static int run(struct larder_map *map, struct many *many, many_fn *fn)
{
    struct larder_batch below = *many->batch;
    below.on_error = LARDER_RETURN;
    below.completed = completed;
    below.arg = many;
    int rc = fn(map->fs, many->items, many->count, &below);
    /* Where the batch was stopped, some items came to an end that `completed` did not see. */
    for (size_t i = 0; i < many->count; i++) {
        struct larder_item *item = &many->items[i];
        if (many->files && key_is_missing(item->status))
            item->status = -ENOENT;
        if (many->owners && many->owners[i])
            hand_back(many, item);
    }
    bool counted = rc > 0 && !many->stopped;
    return counted && many->batch->on_error != LARDER_RETURN ? 0 : rc;
}

/* on_error is not LARDER_RETURN: the first wrong key ends the batch, before anything else is tried. */
static int stop_at_wrong_key(struct many *many)
{
    struct larder_item *wrong = NULL;
    for (size_t i = many->count; i > 0; i--) {
        many->items[i - 1].status = -ECANCELED;
        if (!is_key(many->items[i - 1].path))
            wrong = &many->items[i - 1];
    }
    wrong->status = key_check(wrong->path);
    return item_done(many, wrong);
}

/* Tell of the wrong keys. How many there are, or what `completed` returned. */
static int report_wrong_keys(struct many *many)
{
    int wrong = 0;
    for (size_t i = 0; i < many->count; i++) {
        struct larder_item *item = &many->items[i];
        if (is_key(item->path))
            continue;
        wrong++;
        item->status = key_check(item->path);
        int rc = item_done(many, item);
        if (rc != 0)
            return rc;
    }
    return error_finish(wrong, NULL);
}

/* on_error is LARDER_RETURN: all but the wrong keys, and then the report of those. */
static int run_around_wrong_keys(struct larder_map *map, struct many *all, many_fn *fn)
{
    struct many right = {.fs = all->fs, .batch = all->batch, .files = all->files};
    autofree struct larder_item *items = mem_array(all->count, sizeof(*items));
    autofree struct larder_item **owners = mem_array(all->count, sizeof(*owners));
    if (!items || !owners)
        return fail_memory();
    right.items = items;
    right.owners = owners;
    for (size_t i = 0; i < all->count; i++) {
        struct larder_item *item = &all->items[i];
        item->status = -EINVAL;
        if (!is_key(item->path))
            continue;
        item->status = -ECANCELED;
        items[right.count] = *item;
        owners[right.count++] = item;
    }
    int failed = right.count > 0 ? run(map, &right, fn) : 0;
    if (failed < 0 || right.stopped)
        return failed;
    int wrong = report_wrong_keys(all);
    return all->stopped ? wrong : failed + wrong;
}

static int run_many(struct larder_map *map, struct larder_item *items, size_t count,
                    const struct larder_batch *batch, bool files, many_fn *fn)
{
    struct larder_batch own = {0};
    int rc = tuning_take(&own, sizeof own, batch);
    if (rc < 0)
        return rc;
    own.size = sizeof own;
    struct many many = {.fs = map->fs, .items = items, .count = count, .batch = &own, .files = files};
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++)
        wrong += !is_key(items[i].path);
    if (wrong == 0)
        rc = run(map, &many, fn);
    else if (own.on_error == LARDER_RETURN)
        rc = run_around_wrong_keys(map, &many, fn);
    else
        rc = stop_at_wrong_key(&many);
    if (many.status != 0 && !many.stopped)
        error_set_text(many.text);
    mem_free(many.text);
    return error_finish(rc, NULL);
}

int larder_map_get_many(struct larder_map *map, struct larder_item *items, size_t count,
                        const struct larder_batch *batch)
{
    return run_many(map, items, count, batch, true, larder_cat);
}

int larder_map_set_many(struct larder_map *map, struct larder_item *items, size_t count,
                        const struct larder_batch *batch)
{
    return run_many(map, items, count, batch, false, set_items);
}

int larder_map_delete_many(struct larder_map *map, struct larder_item *items, size_t count,
                           const struct larder_batch *batch)
{
    return run_many(map, items, count, batch, true, larder_rm_files);
}
