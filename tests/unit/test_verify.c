/* SPDX-License-Identifier: Apache-2.0 */
/* Verification: each invariant is broken by hand, found by its name, and put right. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/cap.h"
#include "cache/pin.h"
#include "cache/unit.h"
#include "cache/verify.h"
#include "store_case.h"
#include "tmpdir.h"

/* ---- what is found ---- */

static struct verified verify(void)
{
    struct verified verified;
    assert_ok(verify_store(store, &verified));
    return verified;
}

/* So many of one kind, none of any other; and then none at all. */
static void finds(enum finding finding, unsigned count)
{
    struct verified verified = verify();
    assert_false(verified.broken);
    for (unsigned i = 0; i < FINDINGS; i++)
        if (verified.found[i] != (i == finding ? count : 0))
            fail_msg("%s: %llu times", finding_names[i], (unsigned long long)verified.found[i]);
    verified = verify();
    for (unsigned i = 0; i < FINDINGS; i++)
        if (verified.found[i])
            fail_msg("%s: still %llu times", finding_names[i], (unsigned long long)verified.found[i]);
}

static void is_sound(void)
{
    finds(FOUND_VALUE, 0);
}

/* Small and large files, old versions, changes, listings, pins, leftovers. */
static void fill_store(void)
{
    char path[32];
    assert_ok(pin_set(store, &place, "keep", true));
    for (unsigned i = 0; i < 40; i++) {
        snprintf(path, sizeof path, "%s/f%u", i % 4 ? "some" : "keep", i);
        put(path, "v1", i * i * 1000, i);
        if (i % 5 == 0)
            put(path, "v2", i * 9000, i);
        if (i % 7 == 0)
            store_changed(store, &place, path, false, false);
    }
    stage(77, 0, 70);
    flush();
}

/* ---- breaking things, behind the writer's back ---- */

static void edit_raw(const struct key *key, const void *data, size_t size)
{
    MDB_txn *txn;
    MDB_val name = {key->size, (void *)key->data}, value = {size, (void *)data};
    flush();
    assert_int_equal(mdb_txn_begin(store->env, NULL, 0, &txn), 0);
    assert_int_equal(data ? mdb_put(txn, store->dbi, &name, &value, 0)
                          : mdb_del(txn, store->dbi, &name, NULL),
                     0);
    assert_int_equal(mdb_txn_commit(txn), 0);
}

/* The first key of a kind, and size (0: any) … */
static struct key first_key(enum key_type type, size_t size)
{
    struct reader *reader = reader_begin(store);
    struct key key = {.size = 0};
    MDB_cursor *cursor;
    MDB_val name, value;
    assert_int_equal(mdb_cursor_open(reader->txn, store->dbi, &cursor), 0);
    while (mdb_cursor_get(cursor, &name, &value, MDB_NEXT) == 0 && key.size == 0) {
        if (*(unsigned char *)name.mv_data != type || (size && name.mv_size != size))
            continue;
        key.size = name.mv_size;
        memcpy(key.data, name.mv_data, name.mv_size);
    }
    mdb_cursor_close(cursor);
    reader_end(store, reader);
    assert_true(key.size > 0);
    return key;
}

/* … and a copy of what stands there; freed with free. */
static char *value_of(const struct key *key, size_t *size)
{
    struct reader *reader = reader_begin(store);
    const void *data;
    assert_ok(reader_get(store, reader, key, &data, size));
    char *copy = malloc(*size);
    memcpy(copy, data, *size);
    reader_end(store, reader);
    return copy;
}

/* ---- the tests ---- */

static void a_sound_store_is_found_sound(void **state)
{
    is_sound();
    fill_store();
    struct verified verified = verify();
    assert_int_equal(verified.records, count_keys(KEY_RECORD) + count_keys(KEY_LISTING));
    assert_int_equal(verified.blocks, count_keys(KEY_BLOCK));
    is_sound();
    assert_ok(cap_change(store, 4 << 20, 0)); /* evicts */
    flush();
    is_sound();
    assert_ok(pin_set(store, &place, "some", true));
    assert_ok(pin_set(store, &place, "keep", false));
    flush();
    is_sound();
    edit_drop(store, 77);
    store_changed(store, &place, "", true, false);
    flush();
    is_sound();
    assert_int_equal(count_keys(KEY_UNIT), 0);
}

static void what_is_damaged_is_removed(void **state)
{
    static const struct {
        enum key_type type;
        size_t size;
    } kinds[] = {{KEY_RECORD, 0}, {KEY_BLOCK, KEY_BLOCK_SIZE}};
    for (unsigned i = 0; i < 2; i++) {
        put("large", "v1", 300000, 2);
        put("small", NULL, 3000, 2);
        flush();
        struct key key = first_key(kinds[i].type, kinds[i].size);
        size_t size;
        char *value = value_of(&key, &size);
        value[size / 2] ^= 1;
        edit_raw(&key, value, size);
        free(value);
        struct verified verified = verify();
        assert_int_equal(verified.found[FOUND_VALUE], 1);
        assert_int_equal(check("large", 300000, 2), -ENOENT);
        assert_ok(check("small", 3000, 2));
        verify(); /* what the record left behind */
        is_sound();
        store_changed(store, &place, "", true, false);
        flush();
        assert_int_equal(count_keys(KEY_UNIT), 0);
    }
}

/* Nothing would ever evict what stays in the order as pinned. */
static void a_damaged_record_that_is_pinned_leaves_nothing(void **state)
{
    for (int round = 0; round < 4; round++) {
        bool put_again = round % 2;
        size_t units = count_keys(KEY_UNIT); /* of what the change below leaves */
        assert_ok(pin_set(store, &place, "large", true));
        put("large", "v1", 300000, 2);
        flush();
        struct key key = first_key(KEY_RECORD, 0);
        size_t size;
        char *value = value_of(&key, &size);
        value[round < 2 ? size - 1 : offsetof(struct record_head, unit)] ^= 1;
        edit_raw(&key, value, size);
        free(value);
        if (put_again)
            put("large", "v2", 3000, 3);
        else
            check("large", 300000, 2); /* meets it */
        flush();
        is_sound();
        assert_int_equal(count_keys(KEY_UNIT), units + put_again);
        assert_int_equal(count_keys(KEY_BLOCK), 0);
        store_changed(store, &place, "large", true, false);
        flush();
    }
}

/* A value that is whole, under a key that is not its own. */
static void what_stands_elsewhere_is_damaged(void **state)
{
    size_t size;
    put("a", "v1", 3000, 1);
    flush();
    struct key key = first_key(KEY_RECORD, 0), other;
    char *value = value_of(&key, &size);
    key_path(&other, KEY_RECORD, &place, "b");
    edit_raw(&other, value, size);
    free(value);
    assert_int_equal(verify().found[FOUND_VALUE], 1);
    is_sound();
    assert_ok(check("a", 3000, 1));
    assert_int_equal(check("b", 3000, 1), -ENOENT);
}

static void blocks_without_a_record_go(void **state)
{
    struct key note;
    stage(5, 0, 70);
    key_staged(&note, 5);
    edit_raw(&note, NULL, 0);
    finds(FOUND_S3, 2); /* two segments */
    assert_int_equal(count_keys(KEY_BLOCK), 0);
}

static void a_unit_comes_back_into_the_order(void **state)
{
    put("f", "v1", 3000, 1);
    flush();
    struct key order = first_key(KEY_ORDER, 0);
    edit_raw(&order, NULL, 0);
    finds(FOUND_U1, 1);
    assert_ok(cap_prune(store, 0));
    flush();
    assert_int_equal(check("f", 3000, 1), -ENOENT);
}

static void a_unit_of_nothing_goes(void **state)
{
    put("f", "v1", 3000, 1);
    flush();
    struct key record = first_key(KEY_RECORD, 0);
    edit_raw(&record, NULL, 0);
    finds(FOUND_U1, 1);
    assert_int_equal(count_keys(KEY_UNIT) + count_keys(KEY_ORDER), 0);
}

static void what_has_no_unit_goes(void **state)
{
    put("f", "v1", 300000, 1);
    flush();
    struct key unit = first_key(KEY_UNIT, 0); /* the blocks': it was made first */
    edit_raw(&unit, NULL, 0);
    struct verified verified = verify();
    assert_int_equal(verified.found[FOUND_U1], 1); /* what stands in the order is of no unit */
    assert_int_equal(verified.found[FOUND_U2], 1);
    is_sound();
    assert_int_equal(count_keys(KEY_BLOCK), 0);
}

static void pins_and_units_agree(void **state)
{
    struct key pin;
    size_t size;
    put("f", "v1", 300000, 1);
    assert_ok(pin_set(store, &place, "f", true));
    flush();
    key_path(&pin, KEY_PIN, &place, "f");
    char *value = value_of(&pin, &size);
    edit_raw(&pin, NULL, 0);
    struct verified verified = verify();
    assert_true(verified.found[FOUND_U3] > 0);
    assert_int_equal(verified.found[FOUND_U4], 1); /* the count of pins */
    is_sound();
    free(value);
    struct cap cap;
    assert_ok(cap_read(store, &cap));
    assert_int_equal(cap.pinned, 0);
}

static void sums_are_made_anew(void **state)
{
    struct key key;
    size_t size;
    put("f", "v1", 300000, 1);
    assert_ok(pin_set(store, &place, "f", true));
    flush();
    key_meta(&key, "clock");
    char *value = value_of(&key, &size);
    uint64_t before = ((struct clock *)value)->pinned;
    ((struct clock *)value)->pinned += 5;
    edit_raw(&key, value, size);
    free(value);
    finds(FOUND_U4, 1);
    struct cap cap;
    assert_ok(cap_read(store, &cap));
    assert_int_equal(cap.pinned, before);
}

/* Every page of the tree's is damaged in turn: whatever becomes of the child, the store is found broken or is sound. */
static void damaged_pages_are_no_danger(void **state)
{
    char *path = store_file();
    struct stat status;
    unsigned broken = 0;
    fill_store();
    assert_int_equal(stat(path, &status), 0);
    for (long page = 2; page < status.st_size / 4096 && broken < 3; page++) {
        uint16_t head[8], garbage[2040];
        int fd = open(path, O_RDWR);
        assert_true(fd >= 0);
        assert_int_equal(pread(fd, head, sizeof head, page * 4096), sizeof head);
        if (head[5] == 1 || head[5] == 2) { /* LMDB's flags: a branch, a leaf */
            memset(garbage, 0xa5, sizeof garbage);
            assert_int_equal(pwrite(fd, garbage, sizeof garbage, page * 4096 + 16), sizeof garbage);
        }
        close(fd);
        if (head[5] != 1 && head[5] != 2)
            continue;
        struct verified verified = verify();
        if (!verified.broken)
            continue; /* a page that is free */
        broken++;
        assert_false(store_is_ours(store));
        assert_null(reader_begin(store));
        assert_ok(store_open(case_dir, &store));
        assert_int_equal(count_keys(KEY_RECORD), 0);
        fill_store();
        is_sound();
    }
    assert_int_equal(broken, 3);
    char *aside = tmpdir_path(case_dir, "cache-1.mdb.damaged");
    assert_int_equal(access(aside, F_OK), 0);
    free(aside);
    free(path);
}

static atomic_bool over;

static void *put_on(void *arg)
{
    char path[32];
    for (unsigned i = 0; !over; i++) {
        snprintf(path, sizeof path, "f%u", i % 50);
        put(path, i % 3 ? "v1" : "v2", i * 7919 % 300000, i);
        if (i % 10 == 0)
            store_changed(store, &place, path, i % 20 == 0, false);
        if (i % 5 == 0)
            flush();
    }
    return NULL;
}

static void a_store_in_use_is_found_sound(void **state)
{
    pthread_t thread;
    over = false;
    assert_ok(cap_change(store, 6 << 20, 0));
    assert_ok(pin_set(store, &place, "f7", true));
    assert_int_equal(pthread_create(&thread, NULL, put_on, NULL), 0);
    for (int i = 0; i < 10; i++) {
        struct verified verified = verify();
        for (unsigned k = 0; k < FINDINGS; k++)
            if (verified.found[k])
                fail_msg("%s: %llu times", finding_names[k], (unsigned long long)verified.found[k]);
        usleep(20000);
    }
    over = true;
    pthread_join(thread, NULL);
    flush();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_sound_store_is_found_sound),
        CASE(what_is_damaged_is_removed),
        CASE(a_damaged_record_that_is_pinned_leaves_nothing),
        CASE(what_stands_elsewhere_is_damaged),
        CASE(blocks_without_a_record_go),
        CASE(a_unit_comes_back_into_the_order),
        CASE(a_unit_of_nothing_goes),
        CASE(what_has_no_unit_goes),
        CASE(pins_and_units_agree),
        CASE(sums_are_made_anew),
        CASE(damaged_pages_are_no_danger),
        CASE(a_store_in_use_is_found_sound),
    };
    case_init();
    return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
