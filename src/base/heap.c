/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include <assert.h>
#include <stddef.h>

/* Both are roots without siblings. `a` stays on top of an equal `b`. */
static struct heap_node *meld(struct heap_node *a, struct heap_node *b)
{
    if (!a || !b)
        return a ? a : b;
    if (b->at < a->at) {
        struct heap_node *swapped = a;
        a = b;
        b = swapped;
    }
    b->prev = a;
    b->next = a->child;
    if (b->next)
        b->next->prev = b;
    a->child = b;
    return a;
}

static struct heap_node *detach(struct heap_node *node)
{
    if (node)
        node->next = node->prev = NULL;
    return node;
}

/* One root of many siblings: first in pairs from the left, then the pairs from the right, which is what
 * bounds the depth. Loops, not recursion: a million timers may be siblings. */
static struct heap_node *meld_siblings(struct heap_node *node)
{
    struct heap_node *pairs = NULL;
    while (node) {
        struct heap_node *a = node, *b = a->next;
        node = b ? b->next : NULL;
        struct heap_node *pair = meld(detach(a), detach(b));
        pair->next = pairs;
        pairs = pair;
    }
    struct heap_node *root = NULL;
    while (pairs) {
        struct heap_node *pair = pairs;
        pairs = pair->next;
        root = meld(detach(pair), root);
    }
    return root;
}

void heap_add(struct heap *heap, struct heap_node *node, uint64_t at)
{
    assert(!node->in);
    *node = (struct heap_node){.at = at, .in = true};
    heap->first = meld(heap->first, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    if (!node->in)
        return;
    struct heap_node *below = meld_siblings(node->child);
    if (node == heap->first) {
        heap->first = below;
    } else {
        if (node->prev->child == node)
            node->prev->child = node->next;
        else
            node->prev->next = node->next;
        if (node->next)
            node->next->prev = node->prev;
        heap->first = meld(heap->first, below);
    }
    *node = (struct heap_node){.at = node->at};
}
