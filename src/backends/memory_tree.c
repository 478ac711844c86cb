/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/memory_tree.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct node root = {.type = LARDER_DIRECTORY};
static uint64_t versions;

uint64_t node_version_new(void)
{
    return ++versions;
}

void tree_lock(void)
{
    pthread_mutex_lock(&lock);
}

void tree_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void share_with_forks(void)
{
    pthread_atfork(tree_lock, tree_unlock, tree_unlock);
}

void node_free(struct node *node)
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

struct node *node_new(const char *name, size_t size, enum larder_type type)
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

size_t child_index(const struct node *dir, const char *name, size_t size, bool *found)
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

int child_insert(struct node *dir, size_t index, struct node *child)
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

struct node *child_take(struct node *dir, size_t index)
{
    struct node *child = dir->children[index];
    dir->child_count--;
    memmove(dir->children + index, dir->children + index + 1,
            (dir->child_count - index) * sizeof(struct node *));
    dir->mtime_ns = wall_ns();
    return child;
}

void child_remove(struct node *dir, size_t index)
{
    node_free(child_take(dir, index));
}

int tree_missing(const char *path)
{
    return fail(-ENOENT, "memory://%s: nothing is there", path);
}

static size_t segment_size(const char *path)
{
    return strcspn(path, "/");
}

int tree_place(const char *path, bool make, struct node **dir, size_t *index, bool *found)
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
            return tree_missing(path);
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

int tree_find(const char *path, struct node **out)
{
    struct node *dir;
    size_t index;
    bool found;
    if (!*path) {
        *out = &root;
        return 0;
    }
    int rc = tree_place(path, false, &dir, &index, &found);
    if (rc == 0 && !found)
        rc = tree_missing(path);
    if (rc == 0)
        *out = dir->children[index];
    return rc;
}

void node_describe(const struct node *node, char version[NODE_VERSION_SIZE], struct answer *out)
{
    *out = (struct answer){.fresh_ms = 0, .stale_if_error_ms = -1};
    out->info = (struct larder_info){.name = node->name,
                                     .type = node->type,
                                     .size = (int64_t)node->size,
                                     .mtime_ns = node->mtime_ns,
                                     .created_ns = node->created_ns};
    if (node->type != LARDER_FILE)
        return;
    snprintf(version, NODE_VERSION_SIZE, "m%llu", (unsigned long long)node->version);
    out->info.version = out->validator = version;
}

int node_check(const struct answer *answer, const struct terms *terms, const char *path)
{
    const char *version = answer->info.version ? answer->info.version : "";
    if (terms->if_match && strcmp(terms->if_match, version) != 0)
        return fail(-ESTALE, "memory://%s: it changed", path);
    return terms->if_none_match && strcmp(terms->if_none_match, version) == 0 ? UNCHANGED : 0;
}
