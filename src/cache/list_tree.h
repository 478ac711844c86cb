/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_LIST_TREE_H
#define CACHE_LIST_TREE_H
/*
 * The listings of all directories of a tree, taken out of one answer that tells all of it (list_tree), and kept: each as
 * it would have been listed by itself. A directory that may not have been looked into (ANSWER_SHALLOW) is not among
 * them.
 */
#include "cache/list_keep.h"

struct listed_tree;
/*
 * Before the place is asked: what is in the store now is what its answer may replace (S4). `wait`: for room in the
 * writer's queue; else what finds none is not kept. When this fails nothing can be kept.
 */
int CO_FN listed_tree_new(struct view *view, struct store *store, const char *path, bool wait,
                          struct listed_tree **out);
/* The next page. What is known whole by now is kept: at the `end` all of it, the top with its `lock`. */
void CO_FN listed_tree_add(struct listed_tree *tree, const struct larder_entries *page,
                           const struct answer *answer, bool end, struct lock *lock);
void listed_tree_free(struct listed_tree *tree); /* NULL is fine */

#endif
