/* SPDX-License-Identifier: Apache-2.0 */
/* How large things are: one path, and all that is below one. */
#include <errno.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/enter.h"
#include "fs/walk.h"

int larder_size(struct larder_fs *fs, const char *path, int64_t *size)
{
    struct answer answer = {0};
    struct layer_call call = {LAYER_INFO, .out = &answer};
    int rc = enter_call(fs, path, &call);
    if (rc < 0)
        return rc;
    *size = answer.info.size;
    answer_free(&answer);
    return 0;
}

/* ---- du ---- */

/* Files whose listing did not tell their size, until they are so many that it is worth asking. */
#define UNKNOWN_MAX 1024

struct usage {
    struct larder_fs *fs;
    const char *path; /* clean, relative to the handle's root */
    struct larder_batch batch;
    int64_t total;
    struct larder_item items[UNKNOWN_MAX]; /* whose paths are ours; mem */
    int64_t sizes[UNKNOWN_MAX];
    size_t count;
};

static int add(struct usage *usage, const char *path, int64_t size)
{
    if (size == LARDER_SIZE_UNKNOWN)
        return fail(-ENODATA, "%s: nobody knows its size without reading it", path);
    if (__builtin_add_overflow(usage->total, size, &usage->total))
        return fail(-EOVERFLOW, "%s: more bytes than can be counted", usage->path);
    return 0;
}

static void forget_unknown(struct usage *usage)
{
    for (size_t i = 0; i < usage->count; i++)
        mem_free((char *)usage->items[i].path);
    usage->count = 0;
}

/* What is gone by now has no size. */
static int ask_unknown(struct usage *usage)
{
    int rc = larder_sizes(usage->fs, usage->items, usage->count, usage->sizes, &usage->batch);
    for (size_t i = 0; rc == 0 && i < usage->count; i++)
        if (usage->items[i].status == 0)
            rc = add(usage, usage->items[i].path, usage->sizes[i]);
    forget_unknown(usage);
    return rc;
}

static int add_entry(struct usage *usage, const char *dir, const struct larder_info *entry)
{
    if (entry->size != LARDER_SIZE_UNKNOWN)
        return add(usage, entry->name, entry->size);
    autofree char *parent = path_join(usage->path, dir);
    char *path = parent ? path_join(parent, entry->name) : NULL;
    if (!path)
        return fail_memory();
    usage->items[usage->count++] = (struct larder_item){.path = path};
    return usage->count == UNKNOWN_MAX ? ask_unknown(usage) : 0;
}

static int add_tree(struct usage *usage, const struct larder_find_options *options)
{
    const struct larder_info *entry;
    struct larder_walk *walk;
    const char *dir;
    int rc = walk_open(usage->fs, usage->path, options, &walk);
    if (rc < 0)
        return rc;
    while ((rc = larder_walk_next(walk, &dir, &entry)) != 0) {
        rc = rc < 0 ? walk_leave_out(walk, rc) : add_entry(usage, dir, entry);
        if (rc != 0)
            break;
    }
    larder_walk_free(walk);
    return rc;
}

int64_t larder_du(struct larder_fs *fs, const char *path, const struct larder_find_options *options)
{
    autofree char *clean = NULL;
    autofree struct usage *usage = NULL;
    error_clear();
    int rc = path_resolve("", path, &clean, NULL);
    if (rc < 0)
        return rc;
    usage = mem_zero(sizeof *usage);
    if (!usage)
        return fail_memory();
    usage->fs = fs;
    usage->path = clean;
    usage->batch = (struct larder_batch){.size = sizeof usage->batch, .on_error = LARDER_OMIT};
    rc = add_tree(usage, options);
    if (rc == 0 && usage->count > 0)
        rc = ask_unknown(usage);
    forget_unknown(usage);
    return rc != 0 ? error_finish(rc, path) : usage->total;
}
