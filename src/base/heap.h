/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H
/* The earliest of many times: a pairing heap of intrusive nodes, so that adding one never needs memory. */
#include <stdbool.h>
#include <stdint.h>

struct heap_node {
    struct heap_node *child, *next, *prev; /* prev: the elder sibling, or the parent of a first child */
    uint64_t at;
    bool in;
};
struct heap {
    struct heap_node *first;
};

void heap_add(struct heap *heap, struct heap_node *node, uint64_t at);
void heap_remove(struct heap *heap, struct heap_node *node); /* not in: nothing */
static inline struct heap_node *heap_first(const struct heap *heap)
{
    return heap->first;
}

#endif
