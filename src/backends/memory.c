/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory://PATH: this process's memory, one tree for the whole process, as in fsspec. Writing makes the parents;
 * directories that were made stay until they are removed.
 */
#include <errno.h>
#include <string.h>

#include "backends/backends.h"
#include "backends/memory_parts.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"

/* ---- operations ---- */

static int info_locked(const char *path, const struct terms *terms, struct answer *out)
{
    char version[NODE_VERSION_SIZE];
    struct answer answer;
    struct node *node = NULL;
    int rc = tree_find(path, &node);
    if (rc < 0)
        return rc;
    node_describe(node, version, &answer);
    answer.info.name = NULL;
    int told = node_check(&answer, terms, path);
    if (told < 0)
        return told;
    rc = answer_copy(out, &answer);
    return rc < 0 ? rc : told;
}

static int memory_info(struct instance *instance, const char *path, const struct terms *terms,
                       struct answer *out)
{
    tree_lock();
    int rc = info_locked(path, terms, out);
    tree_unlock();
    return rc;
}

static int read_locked(const char *path, const struct larder_range *range, const struct terms *terms,
                       struct sink *sink, struct answer *out)
{
    char version[NODE_VERSION_SIZE];
    struct answer answer;
    struct node *node = NULL;
    int64_t start, count;
    int rc = tree_find(path, &node);
    if (rc < 0)
        return rc;
    if (node->type == LARDER_DIRECTORY)
        return fail(-EISDIR, "memory://%s: a directory", path);
    node_describe(node, version, &answer);
    answer.info.name = NULL;
    int told = node_check(&answer, terms, path);
    range_resolve(range, (int64_t)node->size, &start, &count);
    rc = told;
    if (told == 0)
        rc = sink_begin_now(sink, &answer, count);
    if (told == 0 && rc == 0)
        rc = sink_put(sink, node->data + start, (size_t)count);
    if (rc >= 0 && out && answer_copy(out, &answer) < 0)
        return -ENOMEM;
    return rc < 0 ? rc : told;
}

static int memory_read(struct instance *instance, const char *path, const struct larder_range *range,
                       const struct terms *terms, struct sink *sink, struct answer *out)
{
    tree_lock();
    int rc = read_locked(path, range, terms, sink, out);
    tree_unlock();
    return rc;
}

static int list_locked(const char *path, struct larder_entries *page)
{
    struct entries_builder builder = {0};
    char version[NODE_VERSION_SIZE];
    struct answer answer;
    struct node *dir;
    int rc = tree_find(path, &dir);
    if (rc == 0 && dir->type != LARDER_DIRECTORY)
        rc = fail(-ENOTDIR, "memory://%s: a file", path);
    for (size_t i = 0; rc == 0 && i < dir->child_count; i++) {
        node_describe(dir->children[i], version, &answer);
        rc = entries_add(&builder, &answer.info);
    }
    if (rc < 0)
        entries_discard(&builder);
    else
        entries_finish(&builder, page);
    return rc;
}

/* In one page: between two of them the directory could change. */
static int memory_list(struct instance *instance, const char *path, const struct terms *terms,
                       struct cursor *cursor, struct larder_entries *page, struct answer *out)
{
    tree_lock();
    int rc = list_locked(path, page);
    tree_unlock();
    cursor->end = true;
    *out = (struct answer){.fresh_ms = 0, .stale_if_error_ms = -1};
    out->info.type = LARDER_DIRECTORY;
    return rc;
}

/* Takes over `data`. */
static int write_locked(const char *path, char *data, size_t size, unsigned flags, const char *if_match,
                        struct answer *out)
{
    struct node *node;
    int rc = memory_target(path, flags, if_match, &node);
    if (rc < 0) {
        mem_free(data);
        return rc;
    }
    return memory_put(node, data, size, out);
}

static int memory_write(struct instance *instance, const char *path, struct source *source, unsigned flags,
                        const char *if_match, struct answer *out)
{
    size_t size = (size_t)source->size;
    char *data = mem_alloc(size + 1);
    if (!data)
        return fail_memory();
    memcpy(data, source->data, size);
    tree_lock();
    int rc = write_locked(path, data, size, flags, if_match, out);
    tree_unlock();
    return rc;
}

/* ---- copy and move ---- */

static int copy_locked(const char *from, const char *to, unsigned flags)
{
    struct node *node;
    int rc = tree_find(from, &node);
    if (rc < 0)
        return rc;
    if (node->type == LARDER_DIRECTORY)
        return fail(-EISDIR, "memory://%s: a directory", from);
    if (strcmp(from, to) == 0 && !(flags & LARDER_CREATE))
        return 0;
    size_t size = node->size;
    char *data = mem_alloc(size + 1);
    if (!data)
        return fail_memory();
    memcpy(data, node->data, size);
    return write_locked(to, data, size, flags, NULL, NULL);
}

static int memory_copy(struct instance *instance, const char *from, const char *to, unsigned flags,
                       const struct labels *labels)
{
    tree_lock();
    int rc = copy_locked(from, to, flags);
    tree_unlock();
    return rc;
}

/* Is there anything that `node` must not take the place of? */
static int check_free(const struct node *node, const struct node *there, const char *to, unsigned flags)
{
    if ((flags & LARDER_CREATE) || node->type == LARDER_DIRECTORY)
        return fail(-EEXIST, "memory://%s: it exists", to);
    return there->type == LARDER_DIRECTORY ? fail(-EISDIR, "memory://%s: a directory", to) : 0;
}

static int move_locked(const char *from, const char *to, unsigned flags)
{
    struct node *from_dir, *to_dir, *node;
    size_t at, index;
    bool found;
    if (!*from || !*to)
        return fail(-EBUSY, "memory://: the root");
    int rc = tree_find(from, &node);
    if (rc < 0)
        return rc;
    if (path_within(from, to))
        return strcmp(from, to) == 0 ? 0 : fail(-EINVAL, "memory://%s: it cannot move into itself", from);
    rc = tree_place(to, true, &to_dir, &index, &found);
    if (rc == 0 && found)
        rc = check_free(node, to_dir->children[index], to, flags);
    autofree char *name = rc == 0 ? mem_dup(path_name(to)) : NULL;
    if (rc < 0 || !name)
        return rc < 0 ? rc : fail_memory();
    if (found)
        child_remove(to_dir, index);
    tree_place(from, false, &from_dir, &at, &found);
    child_take(from_dir, at);
    index = child_index(to_dir, name, strlen(name), &found);
    rc = child_insert(to_dir, index, node);
    if (rc < 0) {
        child_insert(from_dir, at, node); /* there is room */
        return rc;
    }
    mem_free(node->name);
    node->name = take(name);
    return 0;
}

static int memory_move(struct instance *instance, const char *from, const char *to, unsigned flags)
{
    tree_lock();
    int rc = move_locked(from, to, flags);
    tree_unlock();
    return rc;
}

static int memory_touch(struct instance *instance, const char *path, int64_t mtime_ns)
{
    struct node *node;
    tree_lock();
    int rc = tree_find(path, &node);
    if (rc == 0)
        node->mtime_ns = mtime_ns ? mtime_ns : wall_ns();
    tree_unlock();
    return rc;
}

/* ---- removing, and directories ---- */

static int remove_locked(const char *path)
{
    struct node *dir;
    size_t index;
    bool found;
    int rc = *path ? tree_place(path, false, &dir, &index, &found) : fail(-EISDIR, "memory://: the root");
    if (rc < 0)
        return rc;
    if (!found)
        return tree_missing(path);
    if (dir->children[index]->type == LARDER_DIRECTORY)
        return fail(-EISDIR, "memory://%s: a directory", path);
    child_remove(dir, index);
    return 0;
}

static int memory_remove(struct instance *instance, const char *const paths[], size_t count, int status[])
{
    tree_lock();
    for (size_t i = 0; i < count; i++)
        status[i] = remove_locked(paths[i]);
    tree_unlock();
    return 0;
}

static int mkdir_locked(const char *path)
{
    struct node *dir, *node;
    size_t index;
    bool found;
    int rc = *path ? tree_place(path, true, &dir, &index, &found) : fail(-EEXIST, "memory://: the root");
    if (rc < 0)
        return rc;
    if (found)
        return fail(-EEXIST, "memory://%s: it exists", path);
    const char *name = path_name(path);
    node = node_new(name, strlen(name), LARDER_DIRECTORY);
    rc = node ? child_insert(dir, index, node) : fail_memory();
    if (rc < 0)
        node_free(node);
    return rc;
}

static int memory_mkdir(struct instance *instance, const char *path, unsigned flags)
{
    tree_lock();
    int rc = mkdir_locked(path);
    tree_unlock();
    return rc;
}

static int rmdir_locked(const char *path)
{
    struct node *dir;
    size_t index;
    bool found;
    int rc = *path ? tree_place(path, false, &dir, &index, &found) : fail(-EBUSY, "memory://: the root");
    if (rc < 0)
        return rc;
    if (!found)
        return tree_missing(path);
    const struct node *node = dir->children[index];
    if (node->type != LARDER_DIRECTORY)
        return fail(-ENOTDIR, "memory://%s: a file", path);
    if (node->child_count)
        return fail(-ENOTEMPTY, "memory://%s: not empty", path);
    child_remove(dir, index);
    return 0;
}

static int memory_rmdir(struct instance *instance, const char *path)
{
    tree_lock();
    int rc = rmdir_locked(path);
    tree_unlock();
    return rc;
}

/* ---- the table ---- */

static int memory_locate(const struct backend *backend, const char *url, char **values, char **place,
                         char **path)
{
    return place_is_all(url + strlen("memory://"), place, path);
}

/* One process's memory is not another's, nor a fork's: a cache must not mix them up. */
static char *identity_new(void)
{
    static uint64_t process;
    tree_lock();
    if (process == 0)
        process = random_u64();
    char *identity = mem_format("memory:%016llx-%x", (unsigned long long)process, process_generation());
    tree_unlock();
    return identity;
}

static int memory_open(struct instance *instance)
{
    instance->can = (struct larder_capabilities){.list = true,
                                                 .write = true,
                                                 .create_only = true,
                                                 .if_match = true,
                                                 .real_directories = true,
                                                 .remove_count_max = 1000,
                                                 .copy = true,
                                                 .touch = true,
                                                 .stage = true,
                                                 .part_size_min = 1,
                                                 .part_size_max = INT64_MAX};
    instance->identity = identity_new();
    return instance->identity ? 0 : fail_memory();
}

static char *memory_url(struct instance *instance, const char *path)
{
    return mem_format("memory://%s", path);
}

static const char *const protocols[] = {"memory", NULL};

const struct backend memory_backend = {
    .name = "memory",
    .protocols = protocols,
    .kind = INSTANT,
    .size = sizeof(struct instance),
    .locate = memory_locate,
    .open = memory_open,
    .url = memory_url,
    .info = memory_info,
    .list = memory_list,
    .read = memory_read,
    .write = memory_write,
    .remove = memory_remove,
    .mkdir = memory_mkdir,
    .rmdir = memory_rmdir,
    .touch = memory_touch,
    .copy = memory_copy,
    .move = memory_move,
    .stage = memory_stage,
    .stage_part = memory_stage_part,
    .publish = memory_publish,
    .discard = memory_discard,
    .read_staged = memory_read_staged,
    .apply = memory_apply,
};
