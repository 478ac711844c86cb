/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many changes of memory:// at one moment: under one hold of the tree's lock they are made one after the other, each with
 * a note of how it is undone; when one cannot be made, those before it are undone, the latest first. Undoing needs no
 * memory: a directory keeps the room that it had.
 */
#include <errno.h>
#include <string.h>

#include "backends/memory_parts.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"

struct step {
    struct node *dir;  /* where it is, or was */
    struct node *node; /* what was made, taken, or has new content */
    bool taken, touched;
    /* new content: what it was; NULL: it was made */
    char *data;
    size_t size;
    uint64_t version;
    int64_t mtime_ns;
};
struct steps {
    struct step *step; /* mem */
    size_t count, capacity;
};

/* Room for one more, before anything is done. */
static int reserve(struct steps *steps)
{
    if (steps->count < steps->capacity)
        return 0;
    size_t capacity = steps->capacity ? steps->capacity * 2 : 16;
    struct step *longer = mem_resize(steps->step, capacity * sizeof *longer);
    if (!longer)
        return fail_memory();
    steps->step = longer;
    steps->capacity = capacity;
    return 0;
}

static void note(struct steps *steps, struct step step)
{
    steps->step[steps->count++] = step;
}

static size_t index_of(const struct node *dir, const struct node *node)
{
    bool found;
    return child_index(dir, node->name, strlen(node->name), &found);
}

static void undo(struct steps *steps)
{
    while (steps->count > 0) {
        struct step *step = &steps->step[--steps->count];
        if (step->taken) {
            child_insert(step->dir, index_of(step->dir, step->node), step->node);
        } else if (step->touched) {
            step->node->mtime_ns = step->mtime_ns;
        } else if (step->data) {
            mem_free(step->node->data);
            step->node->data = step->data;
            step->node->size = step->size;
            step->node->version = step->version;
            step->node->mtime_ns = step->mtime_ns;
        } else {
            child_remove(step->dir, index_of(step->dir, step->node));
        }
    }
}

static void keep(struct steps *steps)
{
    for (size_t i = 0; i < steps->count; i++) {
        mem_free(steps->step[i].data);
        if (steps->step[i].taken)
            node_free(steps->step[i].node);
    }
}

/* ---- one change ---- */

static int make(const char *path, enum larder_type type, struct steps *steps, struct node **out)
{
    const char *name = path_name(path);
    struct node *dir;
    size_t index;
    bool found;
    int rc = tree_place(path, false, &dir, &index, &found);
    if (rc == 0)
        rc = reserve(steps);
    if (rc < 0)
        return rc;
    struct node *node = node_new(name, strlen(name), type);
    if (!node || child_insert(dir, index, node) < 0) {
        node_free(node);
        return fail_memory();
    }
    note(steps, (struct step){.dir = dir, .node = node});
    *out = node;
    return 0;
}

static int make_parents(const char *path, struct steps *steps)
{
    autofree char *above = mem_dup(path);
    if (!above)
        return fail_memory();
    for (char *slash = strchr(above, '/'); slash; slash = strchr(slash + 1, '/')) {
        struct node *node;
        *slash = 0;
        int rc = tree_find(above, &node);
        if (rc == -ENOENT)
            rc = make(above, LARDER_DIRECTORY, steps, &node);
        *slash = '/';
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int check_there(const struct node *node, const struct apply_item *item)
{
    char version[NODE_VERSION_SIZE];
    struct answer answer;
    if (item->flags & LARDER_CREATE)
        return fail(-EEXIST, "memory://%s: it exists", item->path);
    if (node->type == LARDER_DIRECTORY)
        return fail(-EISDIR, "memory://%s: a directory", item->path);
    node_describe(node, version, &answer);
    return node_check(&answer, &(struct terms){.if_match = item->if_match}, item->path);
}

/* `*data` is taken over when it succeeds. */
static int write_item(struct apply_item *item, char **data, struct steps *steps)
{
    struct node *node;
    int rc = *item->path ? make_parents(item->path, steps) : fail(-EISDIR, "memory://: the root");
    if (rc == 0)
        rc = tree_find(item->path, &node);
    if (rc == -ENOENT)
        rc = item->if_match ? fail(-ESTALE, "memory://%s: it is gone", item->path)
                            : make(item->path, LARDER_FILE, steps, &node);
    else if (rc == 0 && (rc = check_there(node, item)) == 0 && (rc = reserve(steps)) == 0)
        note(steps, (struct step){.node = node,
                                  .data = take(node->data),
                                  .size = node->size,
                                  .version = node->version,
                                  .mtime_ns = node->mtime_ns});
    if (rc == 0)
        rc = memory_put(node, take(*data), item->size, &item->answer);
    if (rc == 0 && item->mtime_ns)
        item->answer.info.mtime_ns = node->mtime_ns = item->mtime_ns;
    return rc;
}

static int touch_item(const struct apply_item *item, struct steps *steps)
{
    struct node *node;
    int rc = tree_find(item->path, &node);
    if (rc == -ENOENT || rc == -ENOTDIR)
        return 0;
    if (rc == 0)
        rc = reserve(steps);
    if (rc < 0)
        return rc;
    note(steps, (struct step){.node = node, .mtime_ns = node->mtime_ns, .touched = true});
    node->mtime_ns = item->mtime_ns;
    return 0;
}

static int take_out(const char *path, struct steps *steps)
{
    struct node *dir;
    size_t index;
    bool found;
    int rc = tree_place(path, false, &dir, &index, &found);
    if (rc == 0)
        rc = reserve(steps);
    if (rc == 0)
        note(steps, (struct step){.dir = dir, .node = child_take(dir, index), .taken = true});
    return rc;
}

static int check_item(const struct apply_item *item)
{
    struct node *node;
    int rc = tree_find(item->path, &node);
    if (rc == -ENOENT || rc == -ENOTDIR)
        return item->if_match ? fail(-ESTALE, "memory://%s: it is gone", item->path) : 0;
    return rc == 0 ? check_there(node, item) : rc;
}

static int remove_item(const struct apply_item *item, struct steps *steps)
{
    struct node *node;
    int rc = tree_find(item->path, &node);
    if (rc == -ENOENT || rc == -ENOTDIR)
        return item->if_match ? fail(-ESTALE, "memory://%s: it is gone", item->path) : 0;
    if (rc == 0)
        rc = check_there(node, item);
    return rc < 0 ? rc : take_out(item->path, steps);
}

static int mkdir_item(const struct apply_item *item, struct steps *steps)
{
    struct node *node;
    int rc = make_parents(item->path, steps);
    if (rc == 0)
        rc = tree_find(item->path, &node);
    if (rc == -ENOENT)
        return make(item->path, LARDER_DIRECTORY, steps, &node);
    return rc == 0 && node->type != LARDER_DIRECTORY
               ? fail(-EEXIST, "memory://%s: a file is there", item->path)
               : rc;
}

static int rmdir_item(const struct apply_item *item, struct steps *steps)
{
    struct node *node;
    int rc = *item->path ? tree_find(item->path, &node) : fail(-EBUSY, "memory://: the root");
    if (rc == -ENOENT || rc == -ENOTDIR)
        return 0;
    if (rc == 0 && node->type != LARDER_DIRECTORY)
        rc = fail(-ENOTDIR, "memory://%s: a file", item->path);
    if (rc == 0 && node->child_count)
        rc = fail(-ENOTEMPTY, "memory://%s: not empty", item->path);
    return rc < 0 ? rc : take_out(item->path, steps);
}

/* What is of the other kind. */
static int clear(const struct apply_item *item, struct steps *steps)
{
    struct node *node;
    int rc = item->clears ? tree_find(item->path, &node) : -ENOENT;
    if (rc == -ENOENT || rc == -ENOTDIR) {
        error_clear();
        return 0;
    }
    if (rc == 0 && item->kind == CHANGE_WRITE && node->type == LARDER_DIRECTORY)
        return rmdir_item(item, steps);
    if (rc == 0 && item->kind == CHANGE_MKDIR && node->type != LARDER_DIRECTORY)
        return take_out(item->path, steps);
    return rc;
}

static int apply_item(struct apply_item *item, char **data, struct steps *steps)
{
    int rc = clear(item, steps);
    if (rc < 0)
        return rc;
    switch (item->kind) {
    case CHANGE_WRITE:
        return write_item(item, data, steps);
    case CHANGE_REMOVE:
        return remove_item(item, steps);
    case CHANGE_MKDIR:
        return mkdir_item(item, steps);
    case CHANGE_RMDIR:
        return rmdir_item(item, steps);
    case CHANGE_TOUCH:
        return touch_item(item, steps);
    case CHANGE_CHECK:
        return check_item(item);
    }
    return fail(-EINVAL, "memory://%s: change %d", item->path, item->kind);
}

/* ---- all of them ---- */

static int apply_locked(struct apply_item items[], size_t count, char *data[], size_t *failed)
{
    struct steps steps = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = apply_item(&items[i], &data[i], &steps);
        if (rc < 0)
            *failed = i;
    }
    if (rc < 0)
        undo(&steps);
    else
        keep(&steps);
    mem_free(steps.step);
    return rc;
}

static int copy_data(const struct apply_item items[], size_t count, char *data[])
{
    for (size_t i = 0; i < count; i++) {
        if (items[i].kind != CHANGE_WRITE)
            continue;
        data[i] = mem_alloc(items[i].size + 1);
        if (!data[i])
            return fail_memory();
        if (items[i].size)
            memcpy(data[i], items[i].data, items[i].size);
    }
    return 0;
}

int memory_apply(struct instance *instance, struct apply_item items[], size_t count, size_t *failed)
{
    char **data = mem_array(count ? count : 1, sizeof *data);
    int rc = data ? copy_data(items, count, data) : fail_memory();
    if (rc == 0) {
        tree_lock();
        rc = apply_locked(items, count, data, failed);
        tree_unlock();
    }
    for (size_t i = 0; i < count; i++) {
        if (data)
            mem_free(data[i]);
        if (rc < 0)
            answer_free(&items[i].answer);
    }
    mem_free(data);
    return rc;
}
