/* SPDX-License-Identifier: Apache-2.0 */
#include "txn/overlay.h"

#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"

struct overlay_node {
    struct overlay_node *left, *right;
    struct change *change; /* a reference */
    uint64_t priority;     /* no child's is greater */
    size_t live;           /* how many in this subtree write or make something */
};

static bool is_live(const struct change *change)
{
    return change->kind == CHANGE_WRITE || change->kind == CHANGE_MKDIR;
}

static size_t live_of(const struct overlay_node *node)
{
    return node ? node->live : 0;
}

static void count_live(struct overlay_node *node)
{
    node->live = live_of(node->left) + live_of(node->right) + is_live(node->change);
}

/* ---- finding ---- */

static int rank(char c)
{
    return c == '/' ? 1 : c ? (unsigned char)c + 1 : 0;
}

/* path_compare of the first `size` bytes of `path`. */
static int compare(const char *path, size_t size, const char *other)
{
    for (size_t i = 0;; i++) {
        int one = i < size ? rank(path[i]) : 0, two = rank(other[i]);
        if (one != two || one == 0)
            return one - two;
    }
}

static struct change *find(const struct overlay *overlay, const char *path, size_t size)
{
    struct overlay_node *node = overlay->root;
    while (node) {
        int order = compare(path, size, node->change->path);
        if (order == 0)
            return node->change;
        node = order < 0 ? node->left : node->right;
    }
    return NULL;
}

/* Is `path` behind `place` in the order; and, with `outside`, not below it? */
static bool is_behind(const char *path, const char *place, bool outside)
{
    return path_compare(path, place) > 0 && !(outside && path_within(place, path));
}

/* The first that is; *live: how many before it write or make something. */
static struct change *first_behind(const struct overlay *overlay, const char *place, bool outside,
                                   size_t *live)
{
    struct change *found = NULL;
    *live = 0;
    for (struct overlay_node *node = overlay->root; node;) {
        if (is_behind(node->change->path, place, outside)) {
            found = node->change;
            node = node->left;
        } else {
            *live += live_of(node->left) + is_live(node->change);
            node = node->right;
        }
    }
    return found;
}

struct change *overlay_at(const struct overlay *overlay, const char *path)
{
    return find(overlay, path, strlen(path));
}

struct change *overlay_next(const struct overlay *overlay, const char *path)
{
    size_t live;
    return first_behind(overlay, path, false, &live);
}

struct change *overlay_next_outside(const struct overlay *overlay, const char *path)
{
    size_t live;
    return first_behind(overlay, path, true, &live);
}

struct change *overlay_first_below(const struct overlay *overlay, const char *path)
{
    struct change *next = overlay_next(overlay, path);
    return next && path_within(path, next->path) ? next : NULL;
}

bool overlay_lives_below(const struct overlay *overlay, const char *path)
{
    size_t before, until;
    const struct change *next = first_behind(overlay, path, false, &before);
    if (!next || !path_within(path, next->path))
        return false;
    first_behind(overlay, path, true, &until);
    return until > before;
}

/* ---- what became of a path ---- */

/* By the nearest change above that says it: where directories are only implied, a file that is made or removed above
 * says nothing of what is below its name. */
static bool is_gone_above(const struct overlay *overlay, const char *path)
{
    for (size_t size = strlen(path); size > 0; size--) {
        const struct change *above = path[size] == '/' ? find(overlay, path, size) : NULL;
        bool of_file = above && (above->kind == CHANGE_REMOVE || above->kind == CHANGE_WRITE);
        if (above && above->kind != CHANGE_TOUCH && (overlay->real_directories || !of_file))
            return true;
    }
    return false;
}

enum overlay_fate overlay_look(const struct overlay *overlay, const char *path, struct change **change)
{
    *change = overlay_at(overlay, path);
    bool live = overlay_lives_below(overlay, path);
    if (!*change || (*change)->kind == CHANGE_TOUCH)
        return live ? OVERLAY_IMPLIED : is_gone_above(overlay, path) ? OVERLAY_GONE : OVERLAY_UNTOUCHED;
    switch ((*change)->kind) {
    case CHANGE_WRITE:
        return OVERLAY_FILE;
    case CHANGE_MKDIR:
        return OVERLAY_DIRECTORY;
    case CHANGE_REMOVE:
        return live ? OVERLAY_DIRECTORY : overlay->real_directories ? OVERLAY_GONE : OVERLAY_REMOVED;
    case CHANGE_RMDIR:
    case CHANGE_TOUCH:
    case CHANGE_CHECK: /* is never here */
        break;
    }
    return live ? OVERLAY_DIRECTORY : OVERLAY_GONE;
}

/* ---- changing ---- */

static struct overlay_node *rotate_right(struct overlay_node *node)
{
    struct overlay_node *top = node->left;
    node->left = top->right;
    top->right = node;
    count_live(node);
    return top;
}

static struct overlay_node *rotate_left(struct overlay_node *node)
{
    struct overlay_node *top = node->right;
    node->right = top->left;
    top->left = node;
    count_live(node);
    return top;
}

static struct overlay_node *insert(struct overlay_node *node, struct overlay_node *made)
{
    if (!node)
        return made;
    if (path_compare(made->change->path, node->change->path) < 0) {
        node->left = insert(node->left, made);
        if (node->left->priority > node->priority)
            node = rotate_right(node);
    } else {
        node->right = insert(node->right, made);
        if (node->right->priority > node->priority)
            node = rotate_left(node);
    }
    count_live(node);
    return node;
}

/* All of `left` is before all of `right`. */
static struct overlay_node *join(struct overlay_node *left, struct overlay_node *right)
{
    if (!left || !right)
        return left ? left : right;
    if (left->priority > right->priority) {
        left->right = join(left->right, right);
        count_live(left);
        return left;
    }
    right->left = join(left, right->left);
    count_live(right);
    return right;
}

static struct overlay_node *take_out(struct overlay_node *node, const char *path, struct overlay_node **taken)
{
    if (!node)
        return NULL;
    int order = path_compare(path, node->change->path);
    if (order == 0) {
        *taken = node;
        return join(node->left, node->right);
    }
    if (order < 0)
        node->left = take_out(node->left, path, taken);
    else
        node->right = take_out(node->right, path, taken);
    count_live(node);
    return node;
}

struct change *overlay_take(struct overlay *overlay, const char *path)
{
    struct overlay_node *taken = NULL;
    overlay->root = take_out(overlay->root, path, &taken);
    if (!taken)
        return NULL;
    struct change *change = taken->change;
    mem_free(taken);
    overlay->count--;
    return change;
}

int overlay_put(struct overlay *overlay, struct change *change, struct change **replaced)
{
    struct overlay_node *made = mem_zero(sizeof *made);
    if (!made)
        return fail_memory();
    *replaced = overlay_take(overlay, change->path);
    made->change = change;
    made->priority = random_u64();
    made->live = is_live(change);
    overlay->root = insert(overlay->root, made);
    overlay->count++;
    return 0;
}

static void free_nodes(struct overlay_node *node)
{
    if (!node)
        return;
    free_nodes(node->left);
    free_nodes(node->right);
    change_unref(node->change);
    mem_free(node);
}

void overlay_fini(struct overlay *overlay)
{
    free_nodes(overlay->root);
    overlay->root = NULL;
    overlay->count = 0;
}
