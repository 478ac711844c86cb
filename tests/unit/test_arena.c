/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/list.h"

#include "alloc_fault.h"

/* Texts, numbers and a big piece now and then; every one must still be what it was at the end. */
static int fill(void *arg)
{
    enum { COUNT = 3000, BIG = 5000 };
    static char *texts[COUNT];
    static uint64_t *numbers[COUNT];
    struct arena arena = {0};
    int rc = 0;
    for (size_t i = 0; i < COUNT && rc == 0; i++) {
        char text[32];
        size_t count = i % 500 == 7 ? BIG : 1 + i % 3;
        snprintf(text, sizeof(text), "name %zu", i);
        texts[i] = arena_dup(&arena, text);
        numbers[i] = arena_alloc(&arena, count * sizeof(uint64_t));
        if (!texts[i] || !numbers[i])
            rc = -ENOMEM;
        else if ((uintptr_t)numbers[i] % sizeof(uint64_t) != 0)
            rc = -EFAULT;
        else
            for (size_t k = 0; k < count; k++)
                numbers[i][k] = i;
    }
    for (size_t i = 0; i < COUNT && rc == 0; i++) {
        char text[32];
        size_t count = i % 500 == 7 ? BIG : 1 + i % 3;
        snprintf(text, sizeof(text), "name %zu", i);
        if (strcmp(texts[i], text) != 0)
            rc = -EBADMSG;
        for (size_t k = 0; k < count; k++)
            if (numbers[i][k] != i)
                rc = -EBADMSG;
    }
    arena_free(&arena);
    return rc;
}

static void pieces_do_not_overlap_and_end_together(void **state)
{
    assert_true(alloc_fault_run(fill, NULL) < 30);
}

static void an_arena_takes_any_size(void **state)
{
    struct arena arena = {0};
    char *empty = arena_dup_n(&arena, "abc", 0);
    assert_string_equal(empty, "");
    assert_non_null(arena_alloc(&arena, 0));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX - 8));
    assert_null(arena_dup_n(&arena, "", SIZE_MAX));
    assert_string_equal(arena_dup_n(&arena, "abc", 2), "ab");
    for (size_t size = 4050; size < 4150; size++)
        memset(arena_alloc(&arena, size), 1, size);
    for (size_t size = 1000; size < 1050; size++)
        memset(arena_alloc(&arena, size), 1, size);
    assert_string_equal(empty, "");
    arena_free(&arena);
    arena_free(&arena);
    arena_free(NULL);
}

struct item {
    int number;
    struct list node;
};

static void a_list_keeps_its_order(void **state)
{
    struct item items[5];
    struct list list;
    list_init(&list);
    assert_null(list_pop(&list));
    for (int i = 0; i < 5; i++) {
        items[i].number = i;
        list_push(&list, &items[i].node);
    }
    list_remove(&items[2].node);
    list_remove(&items[2].node);
    int seen = 0;
    list_for_each (node, &list)
        seen = 10 * seen + container_of(node, struct item, node)->number;
    assert_int_equal(seen, 134);
    list_for_each_safe (node, &list)
        if (container_of(node, struct item, node)->number % 2 == 1)
            list_remove(node);
    assert_ptr_equal(list_pop(&list), &items[0].node);
    assert_ptr_equal(list_pop(&list), &items[4].node);
    assert_true(list_empty(&list));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_do_not_overlap_and_end_together),
        cmocka_unit_test(an_arena_takes_any_size),
        cmocka_unit_test(a_list_keeps_its_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
