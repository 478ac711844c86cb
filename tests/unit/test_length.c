/* SPDX-License-Identifier: Apache-2.0 */
/* The store's file stays near the cap, whoever reads, dies in the middle of it, or leaves holes of what sizes. */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/cap.h"
#include "store_case.h"

#define KIB 1024UL
#define CAP (16 * 1024 * KIB)

static unsigned made; /* of the test */

static int begin(void **state)
{
    made = 0;
    case_begin(state);
    assert_ok(cap_change(store, (int64_t)CAP, 0));
    flush();
    return 0;
}
#define LENGTH_CASE(name) cmocka_unit_test_setup_teardown(name, begin, case_end)

static void name_of(unsigned i, char name[32])
{
    snprintf(name, 32, "f%u", i);
}

/* Of one page to many, and none is packed. */
static size_t size_of(unsigned i)
{
    return i % 3 ? (size_t)(i * 7919 % 60) * KIB + 1 : (size_t)(i * 7919 % 300) * KIB + 1;
}

static void put_next(void)
{
    char name[32];
    name_of(made, name);
    struct put *op = make_put(name, "v1", size_of(made), made);
    op->packing.level = 0;
    op->op.cost = op->size;
    assert_true(writer_reserve(store, op->size));
    assert_ok(writer_add(store, &op->op));
    made++;
}

static bool is_kept(unsigned i)
{
    char name[32];
    name_of(i, name);
    int rc = check(name, size_of(i), i);
    assert_true(rc == 0 || rc == -ENOENT);
    return rc == 0;
}

static void the_file_is_near_the_cap(void)
{
    char *path = store_file();
    struct stat file;
    struct cap cap;
    assert_int_equal(stat(path, &file), 0);
    assert_ok(cap_read(store, &cap));
    assert_true(cap.used <= CAP);
    assert_in_range(file.st_size, 0, CAP / 5 * 6);
    free(path);
}

/* Several times what there is room for. */
static void put_much(unsigned caps)
{
    for (size_t sum = 0; sum < caps * CAP; sum += size_of(made - 1)) {
        put_next();
        if (made % 8)
            continue;
        flush();
        the_file_is_near_the_cap();
    }
    flush();
}

static void is_nearly_full(void)
{
    struct cap cap;
    assert_ok(cap_read(store, &cap));
    assert_true(cap.used > CAP / 10 * 8);
}

static uint64_t refused(void)
{
    return store_counted(store, COUNT_REFUSED);
}

/* ---- what holds the pages that are freed ---- */

static void holes_of_any_size_are_used(void **state)
{
    put_much(4);
    is_nearly_full();
    assert_int_equal(refused(), 0);
    assert_true(is_kept(made - 1));
}

static void a_snapshot_that_is_held_does_not_lengthen_the_file(void **state)
{
    put_much(2);
    struct reader *reader = reader_begin(store);
    put_much(3);
    assert_true(refused() > 0);
    assert_false(is_kept(made - 1));
    assert_int_equal(atomic_load(&warnings), 0);
    reader_end(store, reader);
    uint64_t before = refused();
    put_much(2);
    is_nearly_full();
    assert_int_equal(refused(), before);
    assert_true(is_kept(made - 1));
}

static void what_lies_in_the_tree_does_not_lengthen_it_either(void **state)
{
    char name[32];
    put_much(1);
    struct reader *reader = reader_begin(store);
    for (unsigned i = 0; i < 12000; i++) {
        name_of(i * 7919 % 1000, name);
        struct put *op = make_put(name, "v2", i, 0);
        op->size = 0; /* what is known, without bytes */
        op->whole = false;
        assert_ok(writer_add(store, &op->op));
        if (i % 200)
            continue;
        flush();
        the_file_is_near_the_cap();
    }
    flush();
    reader_end(store, reader);
}

static void a_change_is_noted_all_the_same(void **state)
{
    put_much(1);
    struct reader *reader = reader_begin(store);
    put_much(1);
    unsigned last = made;
    while (!is_kept(--last))
        ;
    char name[32];
    name_of(last, name);
    store_changed(store, &place, name, false, false);
    flush();
    reader_end(store, reader);
    reopen();
    assert_false(check(name, size_of(last), last) == 0);
}

static pid_t read_for_ever(void)
{
    int fds[2];
    char begun;
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store *own;
        if (store_open(case_dir, &own) == 0 && reader_begin(own) && write(fds[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(fds[0], &begun, 1), 1);
    close(fds[0]);
    close(fds[1]);
    return child;
}

static void who_died_in_a_read_holds_nothing(void **state)
{
    put_much(2);
    pid_t child = read_for_ever();
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    put_much(2);
    is_nearly_full();
    assert_int_equal(refused(), 0);
    assert_true(is_kept(made - 1));
}

static void who_is_stopped_in_a_read_is_not_waited_for(void **state)
{
    put_much(2);
    pid_t child = read_for_ever();
    kill(child, SIGSTOP);
    put_much(2);
    assert_true(refused() > 0);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    put_much(1);
    assert_true(is_kept(made - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LENGTH_CASE(holes_of_any_size_are_used),
        LENGTH_CASE(a_snapshot_that_is_held_does_not_lengthen_the_file),
        LENGTH_CASE(what_lies_in_the_tree_does_not_lengthen_it_either),
        LENGTH_CASE(a_change_is_noted_all_the_same),
        LENGTH_CASE(who_died_in_a_read_holds_nothing),
        LENGTH_CASE(who_is_stopped_in_a_read_is_not_waited_for),
    };
    case_init();
    return cmocka_run_group_tests_name("length", tests, NULL, NULL);
}
