/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/seams.h"
#include "base/table.h"

#include "alloc_fault.h"

#define THING_COUNT 5000

struct thing {
    struct table_entry entry;
    char name[24];
    bool in;
    int met;
};

static void things_make(struct thing *things, int count)
{
    memset(things, 0, (size_t)count * sizeof(*things));
    for (int i = 0; i < count; i++)
        snprintf(things[i].name, sizeof(things[i].name), "thing/%d", i);
}

static void check_all(const struct table *table, struct thing *things, int count)
{
    size_t in = 0, met = 0;
    for (int i = 0; i < count; i++) {
        struct table_entry *found = table_find(table, things[i].name, strlen(things[i].name));
        assert_ptr_equal(found, things[i].in ? &things[i].entry : NULL);
        in += things[i].in;
        things[i].met = 0;
    }
    assert_int_equal(table->count, in);
    for (struct table_entry *entry = table_next(table, NULL); entry; entry = table_next(table, entry)) {
        struct thing *thing = container_of(entry, struct thing, entry);
        assert_true(thing->in);
        assert_int_equal(thing->met++, 0);
        met++;
    }
    assert_int_equal(met, in);
}

static void what_is_in_is_found_and_met_once(void **state)
{
    static struct thing things[THING_COUNT];
    struct table table = {0};
    things_make(things, THING_COUNT);
    check_all(&table, things, 10);
    for (int i = 0; i < THING_COUNT; i++) {
        assert_ok(table_add(&table, &things[i].entry, things[i].name, strlen(things[i].name)));
        things[i].in = true;
        if (i < 40)
            check_all(&table, things, 50);
    }
    check_all(&table, things, THING_COUNT);
    for (int i = 0; i < THING_COUNT; i += 3) {
        table_remove(&table, &things[i].entry);
        things[i].in = false;
    }
    check_all(&table, things, THING_COUNT);
    for (int i = 0; i < THING_COUNT; i += 3) {
        assert_ok(table_add(&table, &things[i].entry, things[i].name, strlen(things[i].name)));
        things[i].in = true;
    }
    check_all(&table, things, THING_COUNT);
    table_fini(&table);
    assert_null(table_next(&table, NULL));
}

static void keys_are_bytes_of_a_size(void **state)
{
    struct table table = {0};
    struct table_entry entries[4];
    assert_ok(table_add(&table, &entries[0], "a\0b", 3));
    assert_ok(table_add(&table, &entries[1], "a\0c", 3));
    assert_ok(table_add(&table, &entries[2], "a", 1));
    assert_ok(table_add(&table, &entries[3], "", 0));
    assert_ptr_equal(table_find(&table, "a\0b", 3), &entries[0]);
    assert_ptr_equal(table_find(&table, "a\0c", 3), &entries[1]);
    assert_ptr_equal(table_find(&table, "abc", 1), &entries[2]);
    assert_ptr_equal(table_find(&table, "x", 0), &entries[3]);
    assert_null(table_find(&table, "a\0", 2));
    table_fini(&table);
}

static int fill(void *arg)
{
    enum { COUNT = 25 }; /* more than the first slots */
    struct thing things[COUNT];
    struct table table = {0};
    things_make(things, COUNT);
    int rc = 0;
    for (int i = 0; i < COUNT && rc == 0; i++)
        rc = table_add(&table, &things[i].entry, things[i].name, strlen(things[i].name));
    for (int i = 0; i < COUNT && rc == 0; i++)
        if (table_find(&table, things[i].name, strlen(things[i].name)) != &things[i].entry)
            rc = -EBADMSG;
    table_fini(&table);
    return rc;
}

static void a_table_that_cannot_grow_still_holds_everything(void **state)
{
    assert_int_equal(alloc_fault_run(fill, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_is_found_and_met_once),
        cmocka_unit_test(keys_are_bytes_of_a_size),
        cmocka_unit_test(a_table_that_cannot_grow_still_holds_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
