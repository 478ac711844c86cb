/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BACKENDS_MEMORY_TREE_H
#define BACKENDS_MEMORY_TREE_H
/*
 * The one tree of memory://, for the whole process. All but tree_lock needs the lock, which is held for a copy and
 * never across a wait (the table is INSTANT). A fork takes it, so that the child begins with the whole tree as it was,
 * and from then on has its own.
 */
#include "fs/backend.h"

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

void tree_lock(void);
void tree_unlock(void);

/*
 * The directory that holds the last segment of `path` (not ""), and that segment's place in it. `make`: missing
 * directories on the way are made.
 */
int tree_place(const char *path, bool make, struct node **dir, size_t *index, bool *found);
int tree_find(const char *path, struct node **out);
int tree_missing(const char *path); /* -ENOENT, with text */

struct node *node_new(const char *name, size_t size, enum larder_type type);
void node_free(struct node *node);
/* The place of a name among the children: where it is, or where it would be. */
size_t child_index(const struct node *dir, const char *name, size_t size, bool *found);
int child_insert(struct node *dir, size_t index, struct node *child);
struct node *child_take(struct node *dir, size_t index);
void child_remove(struct node *dir, size_t index);

#define NODE_VERSION_SIZE 24
uint64_t node_version_new(void); /* no two contents ever share one */
void node_describe(const struct node *node, char version[NODE_VERSION_SIZE], struct answer *out);
/* 0, UNCHANGED or -ESTALE. */
int node_check(const struct answer *answer, const struct terms *terms, const char *path);

#endif
