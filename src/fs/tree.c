/* SPDX-License-Identifier: Apache-2.0 */
/* Directories with their parents, and whole trees away. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/enter.h"
#include "fs/tree.h"

/* ---- making ---- */

/* mkdir said that something is at `path`: a directory is what was wanted. */
static int CO_FN must_be_directory(struct instance *instance, const char *path)
{
    struct answer answer = {0};
    struct terms terms = TERMS_NONE;
    int rc = layer_info(instance, path, &terms, &answer);
    if (rc == 0 && answer.info.type != LARDER_DIRECTORY)
        rc = fail(-ENOTDIR, "%s: a file is in the way", path);
    answer_free(&answer);
    return rc;
}

int CO_FN dirs_make(struct instance *instance, const char *path)
{
    if (!*path)
        return 0;
    int rc = layer_mkdir(instance, path);
    if (rc == -ENOENT) {
        rc = dirs_make_parents(instance, path);
        if (rc == 0)
            rc = layer_mkdir(instance, path);
    }
    return rc == -EEXIST ? must_be_directory(instance, path) : rc;
}

int CO_FN dirs_make_parents(struct instance *instance, const char *path)
{
    autofree char *parent = mem_dup_n(path, path_parent_size(path));
    return parent ? dirs_make(instance, parent) : fail_memory();
}

struct make_call {
    struct larder_fs *fs;
    const char *path;
    bool exist_ok;
};

static int CO_FN make(struct make_call *call)
{
    struct instance *instance = call->fs->instance;
    if (call->exist_ok || !*call->path)
        return dirs_make(instance, call->path);
    int rc = layer_mkdir(instance, call->path);
    if (rc == -ENOENT) {
        rc = dirs_make_parents(instance, call->path);
        if (rc == 0)
            rc = layer_mkdir(instance, call->path);
    }
    return rc;
}

static int CO_EDGE make_task(void *arg)
{
    return make(arg);
}

int larder_makedirs(struct larder_fs *fs, const char *path, bool exist_ok)
{
    autofree char *full = NULL;
    int rc = path_resolve(fs->root, path, &full, NULL);
    if (rc < 0)
        return rc;
    struct make_call call = {fs, full, exist_ok};
    return enter_task(fs, path, make_task, &call);
}

/* ---- removing ---- */

static int remove_files(struct larder_fs *fs, const char *path, const struct larder_entries *found)
{
    struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_OMIT};
    struct larder_item *items = mem_array(found->count ? found->count : 1, sizeof *items);
    size_t count = 0;
    int rc = items ? 0 : fail_memory();
    for (size_t i = 0; rc == 0 && i < found->count; i++) {
        if (found->info[i].type == LARDER_DIRECTORY)
            continue;
        items[count].path = path_join(path, found->info[i].name);
        rc = items[count].path ? 0 : fail_memory();
        count++;
    }
    if (rc == 0)
        rc = larder_rm_files(fs, items, count, &batch);
    for (size_t i = 0; items && i < count; i++)
        mem_free((char *)items[i].path);
    mem_free(items);
    return rc;
}

static int remove_directory(struct larder_fs *fs, const char *path)
{
    int rc = larder_rmdir(fs, path);
    if (rc == -ENOENT) { /* implied by what it held, or removed by another */
        error_clear();
        return 0;
    }
    return rc;
}

/* `found` is sorted, so that from the end children come before their parents. */
static int remove_directories(struct larder_fs *fs, const char *path, const struct larder_entries *found)
{
    for (size_t i = found->count; i > 0; i--) {
        if (found->info[i - 1].type != LARDER_DIRECTORY)
            continue;
        autofree char *dir = path_join(path, found->info[i - 1].name);
        int rc = dir ? remove_directory(fs, dir) : fail_memory();
        if (rc < 0)
            return rc;
    }
    return 0;
}

int tree_remove(struct larder_fs *fs, const char *path, const struct larder_entries *found)
{
    int rc = remove_files(fs, path, found);
    bool real = larder_fs_capabilities(fs)->real_directories; /* else they went with what they held */
    return rc < 0 || !real ? rc : remove_directories(fs, path, found);
}

int tree_is_link(struct larder_fs *fs, const char *path)
{
    struct terms terms = fs->terms;
    struct answer answer = {0};
    struct layer_call call = {LAYER_INFO, .terms = &terms, .out = &answer};
    if (!larder_fs_capabilities(fs)->links)
        return 0;
    terms.no_follow = true;
    int rc = enter_call(fs, path, &call);
    if (rc == 0)
        rc = answer.info.type != LARDER_DIRECTORY;
    answer_free(&answer);
    return rc;
}

/* 1: at `path` there is a directory indeed; 0: there was a link to one, and it is gone. */
static int remove_link(struct larder_fs *fs, const char *path)
{
    int rc = larder_rm_file(fs, path);
    if (rc == -EISDIR)
        return error_finish(1, NULL);
    return rc == -ENOENT ? error_finish(0, NULL) : rc;
}

static int take_entry(struct larder_fs *fs, const char *path, struct larder_walk *walk, const char *dir,
                      const struct larder_info *entry, struct entries_builder *builder)
{
    if (entry->type == LARDER_DIRECTORY && larder_fs_capabilities(fs)->links) {
        autofree char *parent = path_join(path, dir);
        autofree char *full = parent ? path_join(parent, entry->name) : NULL;
        int rc = full ? remove_link(fs, full) : fail_memory();
        if (rc == 0)
            larder_walk_prune(walk);
        if (rc <= 0)
            return rc;
    }
    return entries_add_below(builder, dir, entry);
}

/* All that is below `path`, sorted. Links to directories are removed when they are met: nobody goes into them. */
static int find_all(struct larder_fs *fs, const char *path, struct larder_entries *found)
{
    struct larder_find_options options = {.size = sizeof options, .dirs = true, .names_only = true};
    struct entries_builder builder = {0};
    const struct larder_info *entry;
    struct larder_walk *walk;
    const char *dir;
    int rc = larder_walk_open(fs, path, &options, &walk);
    if (rc < 0)
        return rc;
    while ((rc = larder_walk_next(walk, &dir, &entry)) > 0) {
        rc = take_entry(fs, path, walk, dir, entry, &builder);
        if (rc < 0)
            break;
    }
    larder_walk_free(walk);
    if (rc < 0) {
        entries_discard(&builder);
        return rc;
    }
    entries_finish(&builder, found);
    entries_sort(found);
    return 0;
}

int larder_rm(struct larder_fs *fs, const char *path, bool recursive)
{
    struct larder_entries found = {0};
    autofree char *clean = NULL;
    int rc = path_resolve("", path, &clean, NULL);
    if (rc < 0)
        return rc;
    rc = larder_isdir(fs, clean);
    if (rc == 0 || !recursive)
        return rc < 0 ? rc : larder_rm_file(fs, clean);
    if (rc > 0 && *clean && larder_fs_capabilities(fs)->links && (rc = remove_link(fs, clean)) == 0)
        return 0;
    if (rc > 0)
        rc = find_all(fs, clean, &found);
    if (rc == 0)
        rc = tree_remove(fs, clean, &found);
    if (rc == 0 && larder_fs_capabilities(fs)->real_directories && *clean)
        rc = remove_directory(fs, clean);
    larder_entries_free(&found);
    return rc;
}
