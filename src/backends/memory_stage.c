/* SPDX-License-Identifier: Apache-2.0 */
/* Files of memory:// that are written in parts: a growing buffer for each. What is staged does not outlive the process,
 * so the caller's id names nothing, and there is nothing to sweep. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/memory_parts.h"
#include "base/error.h"
#include "base/list.h"
#include "base/path.h"
#include "base/seams.h"

int memory_target(const char *path, unsigned flags, const char *if_match, struct node **out)
{
    struct node *dir, *node;
    size_t index;
    bool found;
    int rc = *path ? tree_place(path, true, &dir, &index, &found) : fail(-EISDIR, "memory://: the root");
    if (rc < 0)
        return rc;
    if (found) {
        char version[NODE_VERSION_SIZE];
        struct answer answer;
        node = *out = dir->children[index];
        if (flags & LARDER_CREATE)
            return fail(-EEXIST, "memory://%s: it exists", path);
        if (node->type == LARDER_DIRECTORY)
            return fail(-EISDIR, "memory://%s: a directory", path);
        node_describe(node, version, &answer);
        return node_check(&answer, &(struct terms){.if_match = if_match}, path);
    }
    if (if_match)
        return fail(-ESTALE, "memory://%s: it is gone", path);
    const char *name = path_name(path);
    node = *out = node_new(name, strlen(name), LARDER_FILE);
    rc = node ? child_insert(dir, index, node) : fail_memory();
    if (rc < 0)
        node_free(node);
    return rc;
}

int memory_put(struct node *node, char *data, size_t size, struct answer *out)
{
    char version[NODE_VERSION_SIZE];
    struct answer answer;
    mem_free(node->data);
    node->data = data;
    node->size = size;
    node->version = node_version_new();
    node->mtime_ns = wall_ns();
    node_describe(node, version, &answer);
    answer.info.name = NULL;
    return out ? answer_copy(out, &answer) : 0;
}

struct staged {
    uint64_t id;
    char *data;
    size_t size, capacity;
    struct list node;
};
static struct list all_staged = {&all_staged, &all_staged};
static uint64_t staged_count;

static struct staged *staged_find(const struct token *token)
{
    list_for_each (node, &all_staged) {
        struct staged *staged = container_of(node, struct staged, node);
        if (staged->id == strtoull(token->text, NULL, 10))
            return staged;
    }
    return NULL;
}

static void staged_free(struct staged *staged)
{
    list_remove(&staged->node);
    mem_free(staged->data);
    mem_free(staged);
}

int memory_stage(struct instance *instance, const char *path, const struct labels *labels, uint64_t id,
                 struct token *out)
{
    struct staged *staged = mem_zero(sizeof *staged);
    if (!staged)
        return fail_memory();
    tree_lock();
    staged->id = ++staged_count;
    out->text = mem_format("%llu", (unsigned long long)staged->id);
    if (out->text)
        list_push(&all_staged, &staged->node);
    tree_unlock();
    if (out->text)
        return 0;
    mem_free(staged);
    return fail_memory();
}

static int put_part(const struct token *token, int64_t offset, const void *data, size_t size)
{
    struct staged *staged = staged_find(token);
    size_t end = (size_t)offset + size;
    if (!staged)
        return fail(-ESTALE, "memory://: what was staged is gone");
    if (end + 1 > staged->capacity) {
        size_t capacity = end + end / 2 + 1;
        char *larger = mem_resize(staged->data, capacity);
        if (!larger)
            return fail_memory();
        staged->data = larger;
        staged->capacity = capacity;
    }
    memcpy(staged->data + offset, data, size);
    if (end > staged->size)
        staged->size = end;
    return 0;
}

int memory_stage_part(struct instance *instance, const char *path, const struct token *token, uint32_t part,
                      int64_t offset, const void *data, size_t size)
{
    tree_lock();
    int rc = put_part(token, offset, data, size);
    tree_unlock();
    return rc;
}

static int publish_locked(const char *path, const struct token *token, int64_t size, unsigned flags,
                          const char *if_match, struct answer *out)
{
    struct staged *staged = staged_find(token);
    struct node *node;
    if (!staged)
        return fail(-ESTALE, "memory://%s: what was staged for it is gone", path);
    if ((size_t)size > staged->size)
        return fail(-EINVAL, "memory://%s: %lld bytes to publish, and %zu staged", path, (long long)size,
                    staged->size);
    if (!staged->data && !(staged->data = mem_alloc(1))) /* no part ever came */
        return fail_memory();
    int rc = memory_target(path, flags, if_match, &node);
    if (rc < 0)
        return rc;
    rc = memory_put(node, take(staged->data), (size_t)size, out);
    staged_free(staged);
    return rc;
}

int memory_publish(struct instance *instance, const char *path, const struct token *token, int64_t size,
                   unsigned flags, const char *if_match, struct answer *out)
{
    tree_lock();
    int rc = publish_locked(path, token, size, flags, if_match, out);
    tree_unlock();
    return rc;
}

int memory_discard(struct instance *instance, const char *path, const struct token *token)
{
    tree_lock();
    struct staged *staged = staged_find(token);
    if (staged)
        staged_free(staged);
    tree_unlock();
    return 0;
}

static int read_locked(const char *path, const struct token *token, const struct larder_range *range,
                       struct sink *sink, struct answer *out)
{
    const struct staged *staged = staged_find(token);
    struct answer answer = {.info = {.type = LARDER_FILE}, .fresh_ms = 0, .stale_if_error_ms = -1};
    int64_t start, count;
    if (!staged)
        return fail(-ENOENT, "memory://%s: what was staged for it is gone", path);
    answer.info.size = (int64_t)staged->size;
    range_resolve(range, answer.info.size, &start, &count);
    int rc = sink_begin_now(sink, &answer, count);
    if (rc == 0)
        rc = sink_put(sink, staged->data + start, (size_t)count);
    if (rc == 0 && out)
        *out = answer;
    return rc;
}

int memory_read_staged(struct instance *instance, const char *path, const struct token *token,
                       const struct larder_range *range, struct sink *sink, struct answer *out)
{
    tree_lock();
    int rc = read_locked(path, token, range, sink, out);
    tree_unlock();
    return rc;
}
