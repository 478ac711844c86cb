/* SPDX-License-Identifier: Apache-2.0 */
/* The cap of the store: what goes, what stays, and that it holds. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cache/cap.h"
#include "cache/pin.h"
#include "cache/scan.h"
#include "store_case.h"

#define KIB 1024UL
#define MIB (1024 * KIB)

/* Bytes that take what they say: nothing is packed. */
static void put_raw(const char *path, size_t size, unsigned seed)
{
    struct put *op = make_put(path, "v1", size, seed);
    op->packing.level = 0;
    assert_ok(writer_add(store, &op->op));
}

static void put_numbered(unsigned from, unsigned to, size_t size)
{
    char path[32];
    for (unsigned i = from; i < to; i++) {
        snprintf(path, sizeof path, "f%03u", i);
        put_raw(path, size, i);
        flush(); /* a batch each: otherwise what is put together goes together */
    }
}

static int check_numbered(unsigned number, size_t size)
{
    char path[32];
    snprintf(path, sizeof path, "f%03u", number);
    return check(path, size, number);
}

static void cap_at(uint64_t size_max)
{
    assert_ok(cap_change(store, (int64_t)size_max, 0));
    flush();
}

static struct cap read_cap(void)
{
    struct cap cap;
    assert_ok(cap_read(store, &cap));
    return cap;
}

static uint64_t evicted(void)
{
    return store_counted(store, COUNT_EVICTED);
}

static void the_cap_is_the_stores(void **state)
{
    assert_int_equal(read_cap().size_max, CAP_SIZE_DEFAULT);
    cap_at(20 * MIB);
    assert_int_equal(read_cap().size_max, 20 * MIB);
    reopen();
    assert_int_equal(read_cap().size_max, 20 * MIB);
    assert_ok(cap_change(store, -1, 5000));
    flush();
    assert_int_equal(read_cap().size_max, 20 * MIB);
    assert_int_equal(read_cap().free_min, 5000);
}

/* Of files in records, of blocks, and of both. */
static void what_was_used_last_the_longest_ago_goes_first(void **state)
{
    static const size_t sizes[] = {20 * KIB, 500 * KIB};
    for (size_t s = 0; s < 2; s++) {
        unsigned some = (unsigned)(6 * MIB / sizes[s]), all = 4 * some, first = 4;
        cap_at(8 * MIB);
        put_numbered(0, some, sizes[s]);
        uint64_t before = evicted();
        for (unsigned i = some; i < all; i++) {
            assert_ok(check_numbered(3, sizes[s])); /* in use all the time */
            put_numbered(i, i + 1, sizes[s]);
        }
        assert_true(evicted() > before);
        assert_ok(check_numbered(3, sizes[s]));
        /* Beside it are there the last ones put, in a row. */
        while (check_numbered(first, sizes[s]) < 0)
            first++;
        assert_in_range(first, 2 * some, all - some);
        for (unsigned i = first; i < all; i++)
            assert_ok(check_numbered(i, sizes[s]));
        store_changed(store, &place, "", true, false);
        flush();
    }
}

static void the_cap_holds_after_every_batch_and_is_nearly_full(void **state)
{
    cap_at(10 * MIB);
    for (unsigned i = 0; i < 300; i++) {
        char path[32];
        size_t size = (size_t)((i * 7919) % 300) * KIB + 1;
        snprintf(path, sizeof path, "d%u/f%u", i % 7, i);
        put_raw(path, size, i);
        if (i % 5)
            continue;
        flush();
        struct cap cap = read_cap();
        assert_true(cap.used <= cap.size_max);
        if (i > 200)
            assert_true(cap.used > cap.size_max / 10 * 9);
    }
}

static void the_file_stays_near_the_cap(void **state)
{
    char *path = store_file();
    struct stat status;
    cap_at(64 * MIB);
    for (unsigned i = 0; i < 2000; i++) {
        char name[32];
        size_t size = (size_t)((i * 7919) % 500) * KIB + 1;
        snprintf(name, sizeof name, "f%u", i);
        if (i % 3)
            put(name, "v1", size, i); /* packed */
        else
            put_raw(name, size, i);
        if (i % 20 == 0)
            flush();
    }
    flush();
    assert_int_equal(stat(path, &status), 0);
    assert_true(read_cap().used > 64 * MIB / 10 * 9);
    assert_true((uint64_t)status.st_size < 64 * MIB / 5 * 6);
    free(path);
}

static void a_smaller_cap_is_kept_to_at_once(void **state)
{
    cap_at(20 * MIB);
    put_numbered(0, 60, 300 * KIB);
    assert_true(read_cap().used > 15 * MIB);
    cap_at(5 * MIB);
    assert_true(read_cap().used <= 5 * MIB);
    assert_ok(check_numbered(59, 300 * KIB));
    assert_ok(cap_prune(store, 2 * MIB));
    flush();
    assert_true(read_cap().used <= 2 * MIB);
    assert_int_equal(read_cap().size_max, 5 * MIB);
    assert_ok(check_numbered(59, 300 * KIB));
    assert_ok(cap_prune(store, 0));
    flush();
    assert_int_equal(check_numbered(59, 300 * KIB), -ENOENT);
    assert_int_equal(count_keys(KEY_UNIT), 0);
    assert_int_equal(count_keys(KEY_BLOCK), 0);
}

static void what_cannot_fit_is_not_kept_and_costs_nothing_else(void **state)
{
    cap_at(5 * MIB);
    put_numbered(0, 8, 500 * KIB);
    put_raw("huge", 6 * MIB, 1);
    flush();
    assert_int_equal(check("huge", 6 * MIB, 1), -ENOENT);
    for (unsigned i = 0; i < 8; i++)
        assert_ok(check_numbered(i, 500 * KIB));
    assert_int_equal(store_counted(store, COUNT_REFUSED), 1);
    assert_int_equal(evicted(), 0);
}

/* Block by block, as a file of unknown size comes in: it goes when all else has gone. */
static void what_grows_beyond_the_cap_is_dropped_whole(void **state)
{
    cap_at(4 * MIB);
    put_numbered(0, 4, 500 * KIB);
    for (int64_t start = 0; start < 100; start += 10)
        stage(7, start * BLOCK_SIZE, 10);
    flush();
    assert_int_equal(count_keys(KEY_BLOCK), 0);
    assert_int_equal(count_keys(KEY_STAGED), 0);
    struct put *last = make_put("f", "v1", 100 * (size_t)BLOCK_SIZE + 5, 1);
    last->start = 100 * BLOCK_SIZE;
    last->size = 5;
    last->staged = 7;
    assert_ok(writer_add(store, &last->op));
    flush();
    assert_int_equal(check("f", 100 * (size_t)BLOCK_SIZE + 5, 1), -ENOENT);
    assert_int_equal(count_keys(KEY_UNIT), 0);
}

static void a_large_file_goes_piece_by_piece(void **state)
{
    size_t size = 2 * SEGMENT_BLOCKS * (size_t)BLOCK_SIZE;
    cap_at(20 * MIB);
    put_raw("large", size, 1);
    flush();
    put_numbered(0, 24, 500 * KIB);
    assert_ok(check_range("large", size, 1, size - 10, 10));
    put_numbered(24, 36, 500 * KIB);
    assert_int_equal(check_range("large", size, 1, 0, 10), -ENOENT);
    assert_ok(check_range("large", size, 1, size - 10, 10));
}

/* ---- pins ---- */

static void what_is_pinned_stays(void **state)
{
    cap_at(8 * MIB);
    put_raw("keep/a", 1 * MIB, 500);
    flush();
    assert_ok(pin_set(store, &place, "keep", true));
    put_raw("keep/b", 20 * KIB, 501);
    put_raw("keep/c", 2 * MIB, 502);
    flush();
    uint64_t pinned = read_cap().pinned;
    assert_in_range(pinned, 3 * MIB, 3 * MIB + 300 * KIB);
    put_numbered(0, 60, 300 * KIB);
    assert_ok(check("keep/a", 1 * MIB, 500));
    assert_ok(check("keep/b", 20 * KIB, 501));
    assert_ok(check("keep/c", 2 * MIB, 502));
    assert_int_equal(read_cap().pinned, pinned);
    assert_true(read_cap().used <= 8 * MIB);
    /* With another pin above it stays; with none it goes. */
    assert_ok(pin_set(store, &place, "keep/c", true));
    assert_ok(pin_set(store, &place, "keep", false));
    flush();
    assert_true(read_cap().pinned < pinned);
    put_numbered(100, 160, 300 * KIB);
    assert_ok(check("keep/c", 2 * MIB, 502));
    assert_int_equal(check("keep/a", 1 * MIB, 500), -ENOENT);
    assert_ok(pin_set(store, &place, "keep/c", false));
    flush();
    assert_int_equal(read_cap().pinned, 0);
}

static void pinned_bytes_count(void **state)
{
    cap_at(4 * MIB);
    assert_ok(pin_set(store, &place, "", true));
    for (unsigned i = 0; i < 10; i++)
        put_numbered(i, i + 1, 500 * KIB);
    struct cap cap = read_cap();
    assert_true(cap.used <= cap.size_max);
    assert_true(cap.pinned > 3 * MIB);
    assert_false(cap_fits(&cap, 1 * MIB));
    assert_ok(check_numbered(0, 500 * KIB));
    assert_int_equal(check_numbered(9, 500 * KIB), -ENOENT);
    assert_true(store_counted(store, COUNT_REFUSED) > 0);
    assert_int_equal(evicted(), 0);
    store_changed(store, &place, "", true, false);
    flush();
    assert_int_equal(read_cap().pinned, 0);
}

static void a_streamed_file_is_pinned_when_it_is_there(void **state)
{
    assert_ok(pin_set(store, &place, "keep", true));
    stage(7, 0, 100);
    flush();
    assert_int_equal(read_cap().pinned, 0);
    struct put *last = make_put("keep/f", "v1", 100 * (size_t)BLOCK_SIZE + 5, 1);
    char *tail = content(last->size, 1);
    memmove((char *)last->data, tail + 100 * (size_t)BLOCK_SIZE, 5);
    free(tail);
    last->start = 100 * BLOCK_SIZE;
    last->size = 5;
    last->staged = 7;
    assert_ok(writer_add(store, &last->op));
    flush();
    assert_ok(check("keep/f", 100 * (size_t)BLOCK_SIZE + 5, 1));
    assert_true(read_cap().pinned > 0);
    cap_prune(store, 0);
    flush();
    assert_ok(check("keep/f", 100 * (size_t)BLOCK_SIZE + 5, 1));
}

/* ---- what eviction must not break ---- */

static void a_read_begun_before_a_change_that_was_evicted_is_dropped(void **state)
{
    struct put *before = make_put("f", "v1", 100, 1);
    store_changed(store, &place, "f", false, false);
    flush();
    assert_ok(cap_prune(store, 0));
    flush();
    assert_int_equal(count_keys(KEY_RECORD), 0);
    assert_ok(writer_add(store, &before->op));
    flush();
    assert_int_equal(check("f", 100, 1), -ENOENT);
    put("f", "v2", 100, 2);
    flush();
    assert_ok(check("f", 100, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_cap_is_the_stores),
        CASE(what_was_used_last_the_longest_ago_goes_first),
        CASE(the_cap_holds_after_every_batch_and_is_nearly_full),
        CASE(the_file_stays_near_the_cap),
        CASE(a_smaller_cap_is_kept_to_at_once),
        CASE(what_cannot_fit_is_not_kept_and_costs_nothing_else),
        CASE(what_grows_beyond_the_cap_is_dropped_whole),
        CASE(a_large_file_goes_piece_by_piece),
        CASE(what_is_pinned_stays),
        CASE(pinned_bytes_count),
        CASE(a_streamed_file_is_pinned_when_it_is_there),
        CASE(a_read_begun_before_a_change_that_was_evicted_is_dropped),
    };
    case_init();
    return cmocka_run_group_tests_name("cap", tests, NULL, NULL);
}
