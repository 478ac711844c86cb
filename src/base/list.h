/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LIST_H
#define BASE_LIST_H
/* Doubly linked, circular, intrusive. A node that is in no list points to itself. */
#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};
#define container_of(pointer, type, member) ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

static inline void list_init(struct list *list)
{
    list->next = list->prev = list;
}
static inline bool list_empty(const struct list *list)
{
    return list->next == list;
}
static inline void list_push(struct list *list, struct list *node) /* at the end */
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}
static inline struct list *list_pop(struct list *list) /* the first, or NULL */
{
    struct list *node = list->next;
    if (node == list)
        return NULL;
    list_remove(node);
    return node;
}
#define list_for_each(node, head) for (struct list *node = (head)->next; node != (head); node = node->next)
/* The body may remove `node`. */
#define list_for_each_safe(node, head)                                                \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head); \
         node = node##_next, node##_next = node->next)

#endif
