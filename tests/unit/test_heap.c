/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "base/heap.h"

/* The order holds, and every node is linked as its neighbours believe. Returns the number of nodes. */
static size_t check_below(const struct heap_node *node)
{
    size_t count = 1;
    const struct heap_node *before = node;
    for (const struct heap_node *child = node->child; child; child = child->next) {
        assert_ptr_equal(child->prev, before);
        assert_true(child->at >= node->at);
        assert_true(child->in);
        count += check_below(child);
        before = child;
    }
    return count;
}

static size_t check(const struct heap *heap)
{
    if (!heap->first)
        return 0;
    assert_null(heap->first->next);
    assert_null(heap->first->prev);
    return check_below(heap->first);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static void the_first_is_the_earliest_whatever_is_added_and_removed(void **state)
{
    enum { COUNT = 300, STEPS = 20000 };
    static struct heap_node nodes[COUNT];
    struct heap heap = {0};
    uint64_t seed = 42;
    size_t in = 0;
    for (int step = 0; step < STEPS; step++) {
        struct heap_node *node = &nodes[next_random(&seed) % COUNT];
        if (node->in) {
            heap_remove(&heap, node);
            in--;
        } else {
            heap_add(&heap, node, next_random(&seed) % 100);
            in++;
        }
        const struct heap_node *first = heap_first(&heap);
        assert_int_equal(first != NULL, in > 0);
        for (int i = 0; first && i < COUNT; i++)
            assert_true(!nodes[i].in || nodes[i].at >= first->at);
        if (step % 50 == 0)
            assert_int_equal(check(&heap), in);
    }
}

static void a_million_siblings_need_no_deep_stack(void **state)
{
    enum { COUNT = 1000000 };
    struct heap_node *nodes = calloc(COUNT, sizeof(*nodes));
    struct heap heap = {0};
    assert_non_null(nodes);
    for (size_t i = 0; i < COUNT; i++)
        heap_add(&heap, &nodes[i], i * 7919 % COUNT);
    for (uint64_t at = 0; at < COUNT; at++) {
        struct heap_node *first = heap_first(&heap);
        assert_true(first->at == at);
        heap_remove(&heap, first);
    }
    assert_null(heap_first(&heap));
    free(nodes);
}

static void removing_what_is_not_in_does_nothing(void **state)
{
    struct heap heap = {0};
    struct heap_node a = {0}, b = {0};
    heap_remove(&heap, &a);
    heap_add(&heap, &a, UINT64_MAX);
    heap_add(&heap, &b, 0);
    heap_remove(&heap, &b);
    heap_remove(&heap, &b);
    assert_ptr_equal(heap_first(&heap), &a);
    assert_false(b.in);
    heap_remove(&heap, &a);
    assert_null(heap_first(&heap));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_the_earliest_whatever_is_added_and_removed),
        cmocka_unit_test(a_million_siblings_need_no_deep_stack),
        cmocka_unit_test(removing_what_is_not_in_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
