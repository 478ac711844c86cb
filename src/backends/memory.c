/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory://PATH: this process's memory, one tree for the whole process, as in fsspec. Writing makes the parents;
 * directories that were made stay until they are removed.
 *
 * One lock guards the tree. It is held for a copy and never across a wait (the table is INSTANT). A fork takes it, so
 * that the child begins with the whole tree as it was, and from then on has its own.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "backends/backends.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"

struct node {
    char *name;
    enum larder_type type;
    int64_t mtime_ns, created_ns;
    /* a directory's, sorted by name */
    struct node **children;
    size_t child_count, child_capacity;
    /* a file's */
    char *data;
    size_t size;
    uint64_t version;
};

static pthread_mutex_t tree_lock = PTHREAD_MUTEX_INITIALIZER;
static struct node root = {.type = LARDER_DIRECTORY};
static uint64_t versions; /* of all files ever: no two contents share one */

static void lock_tree(void)
{
    pthread_mutex_lock(&tree_lock);
}

static void unlock_tree(void)
{
    pthread_mutex_unlock(&tree_lock);
}

__attribute__((constructor)) static void share_with_forks(void)
{
    pthread_atfork(lock_tree, unlock_tree, unlock_tree);
}

/* ---- the tree; the lock is held ---- */

static void node_free(struct node *node)
{
    if (!node)
        return;
    for (size_t i = 0; i < node->child_count; i++)
        node_free(node->children[i]);
    mem_free(node->children);
    mem_free(node->name);
    mem_free(node->data);
    mem_free(node);
}

static struct node *node_new(const char *name, size_t size, enum larder_type type)
{
    struct node *node = mem_zero(sizeof *node);
    char *copy = mem_dup_n(name, size);
    if (!node || !copy) {
        mem_free(node);
        mem_free(copy);
        return NULL;
    }
    node->name = copy;
    node->type = type;
    node->mtime_ns = node->created_ns = wall_ns();
    return node;
}

/* The place of a name among the children: where it is, or where it would be. */
static size_t child_index(const struct node *dir, const char *name, size_t size, bool *found)
{
    size_t low = 0, high = dir->child_count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *at = dir->children[middle]->name;
        int order = strncmp(at, name, size);
        if (order == 0)
            order = at[size] != 0;
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int child_insert(struct node *dir, size_t index, struct node *child)
{
    if (dir->child_count == dir->child_capacity) {
        size_t capacity = dir->child_capacity ? dir->child_capacity * 2 : 8;
        struct node **children = mem_resize(dir->children, capacity * sizeof(*children));
        if (!children)
            return fail_memory();
        dir->children = children;
        dir->child_capacity = capacity;
    }
    memmove(dir->children + index + 1, dir->children + index,
            (dir->child_count - index) * sizeof(struct node *));
    dir->children[index] = child;
    dir->child_count++;
    dir->mtime_ns = wall_ns();
    return 0;
}

static void child_remove(struct node *dir, size_t index)
{
    node_free(dir->children[index]);
    dir->child_count--;
    memmove(dir->children + index, dir->children + index + 1,
            (dir->child_count - index) * sizeof(struct node *));
    dir->mtime_ns = wall_ns();
}

static int missing(const char *path)
{
    return fail(-ENOENT, "memory://%s: nothing is there", path);
}

static size_t segment_size(const char *path)
{
    return strcspn(path, "/");
}

/*
 * The directory that holds the last segment of `path` (not ""), and that segment's place in it. `make`: missing
 * directories on the way are made.
 */
static int find_place(const char *path, bool make, struct node **dir, size_t *index, bool *found)
{
    struct node *at = &root;
    const char *segment = path;
    for (;;) {
        size_t size = segment_size(segment);
        *index = child_index(at, segment, size, found);
        *dir = at;
        if (!segment[size])
            return 0;
        if (!*found && !make)
            return missing(path);
        if (!*found) {
            struct node *child = node_new(segment, size, LARDER_DIRECTORY);
            if (!child || child_insert(at, *index, child) < 0) {
                node_free(child);
                return fail_memory();
            }
        }
        at = at->children[*index];
        if (at->type != LARDER_DIRECTORY)
            return fail(-ENOTDIR, "memory://%s: \"%s\" is a file", path, at->name);
        segment += size + 1;
    }
}

static int find_node(const char *path, struct node **out)
{
    struct node *dir;
    size_t index;
    bool found;
    if (!*path) {
        *out = &root;
        return 0;
    }
    int rc = find_place(path, false, &dir, &index, &found);
    if (rc == 0 && !found)
        rc = missing(path);
    if (rc == 0)
        *out = dir->children[index];
    return rc;
}

#define VERSION_SIZE 24
static void describe(const struct node *node, char version[VERSION_SIZE], struct answer *out)
{
    *out = (struct answer){.fresh_ms = 0, .stale_if_error_ms = -1};
    out->info = (struct larder_info){.name = node->name,
                                     .type = node->type,
                                     .size = (int64_t)node->size,
                                     .mtime_ns = node->mtime_ns,
                                     .created_ns = node->created_ns};
    if (node->type != LARDER_FILE)
        return;
    snprintf(version, VERSION_SIZE, "m%llu", (unsigned long long)node->version);
    out->info.version = out->validator = version;
}

/* 0, UNCHANGED or -ESTALE. */
static int check_terms(const struct answer *answer, const struct terms *terms, const char *path)
{
    const char *version = answer->info.version ? answer->info.version : "";
    if (terms->if_match && strcmp(terms->if_match, version) != 0)
        return fail(-ESTALE, "memory://%s: it changed", path);
    return terms->if_none_match && strcmp(terms->if_none_match, version) == 0 ? UNCHANGED : 0;
}

/* ---- operations ---- */

static int info_locked(const char *path, const struct terms *terms, struct answer *out)
{
    char version[VERSION_SIZE];
    struct answer answer;
    struct node *node = NULL;
    int rc = find_node(path, &node);
    if (rc < 0)
        return rc;
    describe(node, version, &answer);
    answer.info.name = NULL;
    int told = check_terms(&answer, terms, path);
    if (told < 0)
        return told;
    rc = answer_copy(out, &answer);
    return rc < 0 ? rc : told;
}

static int memory_info(struct instance *instance, const char *path, const struct terms *terms,
                       struct answer *out)
{
    lock_tree();
    int rc = info_locked(path, terms, out);
    unlock_tree();
    return rc;
}

static int read_locked(const char *path, const struct larder_range *range, const struct terms *terms,
                       struct sink *sink, struct answer *out)
{
    char version[VERSION_SIZE];
    struct answer answer;
    struct node *node = NULL;
    int64_t start, count;
    int rc = find_node(path, &node);
    if (rc < 0)
        return rc;
    if (node->type == LARDER_DIRECTORY)
        return fail(-EISDIR, "memory://%s: a directory", path);
    describe(node, version, &answer);
    answer.info.name = NULL;
    int told = check_terms(&answer, terms, path);
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
    lock_tree();
    int rc = read_locked(path, range, terms, sink, out);
    unlock_tree();
    return rc;
}

static int list_locked(const char *path, struct larder_entries *page)
{
    struct entries_builder builder = {0};
    char version[VERSION_SIZE];
    struct answer answer;
    struct node *dir;
    int rc = find_node(path, &dir);
    if (rc == 0 && dir->type != LARDER_DIRECTORY)
        rc = fail(-ENOTDIR, "memory://%s: a file", path);
    for (size_t i = 0; rc == 0 && i < dir->child_count; i++) {
        describe(dir->children[i], version, &answer);
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
    lock_tree();
    int rc = list_locked(path, page);
    unlock_tree();
    cursor->end = true;
    *out = (struct answer){.fresh_ms = 0, .stale_if_error_ms = -1};
    out->info.type = LARDER_DIRECTORY;
    return rc;
}

/* Takes over `data`. */
static int write_locked(const char *path, char *data, size_t size, unsigned flags, struct answer *out)
{
    char version[VERSION_SIZE];
    struct answer answer;
    struct node *dir, *node = NULL;
    size_t index;
    bool found;
    int rc = *path ? find_place(path, true, &dir, &index, &found) : fail(-EISDIR, "memory://: the root");
    if (rc == 0 && found) {
        node = dir->children[index];
        if (flags & LARDER_CREATE)
            rc = fail(-EEXIST, "memory://%s: it exists", path);
        else if (node->type == LARDER_DIRECTORY)
            rc = fail(-EISDIR, "memory://%s: a directory", path);
    } else if (rc == 0) {
        const char *name = path_name(path);
        node = node_new(name, strlen(name), LARDER_FILE);
        rc = node ? child_insert(dir, index, node) : fail_memory();
        if (rc < 0)
            node_free(node);
    }
    if (rc < 0) {
        mem_free(data);
        return rc;
    }
    mem_free(node->data);
    node->data = data;
    node->size = size;
    node->version = ++versions;
    node->mtime_ns = wall_ns();
    describe(node, version, &answer);
    answer.info.name = NULL;
    return out ? answer_copy(out, &answer) : 0;
}

static int gather(struct source *source, char *data)
{
    size_t done = 0, size = (size_t)source->size;
    if (source->data) {
        memcpy(data, source->data, size);
        return 0;
    }
    while (done < size) {
        int64_t got = source->read(source, data + done, size - done);
        if (got < 0)
            return (int)got;
        if (got == 0)
            return fail(-EINVAL, "the source ended after %zu of %zu bytes", done, size);
        done += (size_t)got;
    }
    return 0;
}

static int memory_write(struct instance *instance, const char *path, struct source *source, unsigned flags,
                        struct answer *out)
{
    autofree char *data = mem_alloc((size_t)source->size + 1);
    int rc = data ? gather(source, data) : fail_memory();
    if (rc < 0)
        return rc;
    lock_tree();
    rc = write_locked(path, take(data), (size_t)source->size, flags, out);
    unlock_tree();
    return rc;
}

static int remove_locked(const char *path)
{
    struct node *dir;
    size_t index;
    bool found;
    int rc = *path ? find_place(path, false, &dir, &index, &found) : fail(-EISDIR, "memory://: the root");
    if (rc < 0)
        return rc;
    if (!found)
        return missing(path);
    if (dir->children[index]->type == LARDER_DIRECTORY)
        return fail(-EISDIR, "memory://%s: a directory", path);
    child_remove(dir, index);
    return 0;
}

static int memory_remove(struct instance *instance, const char *const paths[], size_t count, int status[])
{
    lock_tree();
    for (size_t i = 0; i < count; i++)
        status[i] = remove_locked(paths[i]);
    unlock_tree();
    return 0;
}

static int mkdir_locked(const char *path)
{
    struct node *dir, *node;
    size_t index;
    bool found;
    int rc = *path ? find_place(path, true, &dir, &index, &found) : fail(-EEXIST, "memory://: the root");
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

static int memory_mkdir(struct instance *instance, const char *path)
{
    lock_tree();
    int rc = mkdir_locked(path);
    unlock_tree();
    return rc;
}

static int rmdir_locked(const char *path)
{
    struct node *dir;
    size_t index;
    bool found;
    int rc = *path ? find_place(path, false, &dir, &index, &found) : fail(-EBUSY, "memory://: the root");
    if (rc < 0)
        return rc;
    if (!found)
        return missing(path);
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
    lock_tree();
    int rc = rmdir_locked(path);
    unlock_tree();
    return rc;
}

/* ---- the table ---- */

static int memory_open(struct instance *instance, const char *url, char **path)
{
    int rc = path_resolve("", url + strlen("memory://"), path, NULL);
    if (rc < 0)
        return rc;
    instance->can = (struct larder_capabilities){
        .list = true, .write = true, .create_only = true, .real_directories = true, .remove_count_max = 1000};
    /* One process's memory is not another's: a cache must not mix them up. */
    instance->identity = mem_format("memory:%016llx", (unsigned long long)random_u64());
    if (instance->identity)
        return 0;
    mem_free(take(*path));
    return fail_memory();
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
    .open = memory_open,
    .url = memory_url,
    .info = memory_info,
    .list = memory_list,
    .read = memory_read,
    .write = memory_write,
    .remove = memory_remove,
    .mkdir = memory_mkdir,
    .rmdir = memory_rmdir,
};
