/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a read means in each mode, by what the cache has and whether the place answers: one table, a cell a time, with a
 * cache of its own for each.
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cached_place.h"

enum stored { FRESH, STALE, STALE_IF_ERROR, MUST_REVALIDATE, ABSENT, ABSENT_ONCE, NEVER_ASKED, STORED };
enum asked { NOBODY, PLACE };
struct cell {
    int status;
    enum asked asked;
};

#define REFUSED -ECONNREFUSED
static const char *const modes[] = {"mode=online", "mode=stale-if-error", "mode=offline"};
/* clang-format off */
static const struct {
    const char *name;
    struct cell up[3], down[3]; /* by mode */
} table[STORED] = {
    [FRESH] = {"fresh",
               {{0, NOBODY}, {0, NOBODY}, {0, NOBODY}},
               {{0, NOBODY}, {0, NOBODY}, {0, NOBODY}}},
    [STALE] = {"stale",
               {{0, PLACE}, {0, PLACE}, {0, NOBODY}},
               {{REFUSED, PLACE}, {0, PLACE}, {0, NOBODY}}},
    [STALE_IF_ERROR] = {"stale, with a stale-if-error of its own",
               {{0, PLACE}, {0, PLACE}, {0, NOBODY}},
               {{0, PLACE}, {0, PLACE}, {0, NOBODY}}},
    [MUST_REVALIDATE] = {"stale, which must be revalidated",
               {{0, PLACE}, {0, PLACE}, {0, NOBODY}},
               {{REFUSED, PLACE}, {REFUSED, PLACE}, {0, NOBODY}}},
    [ABSENT] = {"absent",
               {{-ENOENT, NOBODY}, {-ENOENT, NOBODY}, {-ENOENT, NOBODY}},
               {{-ENOENT, NOBODY}, {-ENOENT, NOBODY}, {-ENOENT, NOBODY}}},
    [ABSENT_ONCE] = {"absent, which was long ago",
               {{0, PLACE}, {0, PLACE}, {-ENOENT, NOBODY}},
               {{REFUSED, PLACE}, {REFUSED, PLACE}, {-ENOENT, NOBODY}}},
    [NEVER_ASKED] = {"never asked for",
               {{0, PLACE}, {0, PLACE}, {-ENONET, NOBODY}},
               {{REFUSED, PLACE}, {REFUSED, PLACE}, {-ENONET, NOBODY}}},
};
/* clang-format on */

/* ---- what is asked: a path of its own each, in the same state ---- */

#define SIZE 100000

static int whole(struct larder_fs *from, const char *path)
{
    return read_all(from, path, SIZE, 1);
}

static int part(struct larder_fs *from, const char *path)
{
    return read_part(from, path, 70000, 80000, SIZE, 1);
}

static int info(struct larder_fs *from, const char *path)
{
    struct larder_info found;
    int rc = larder_info(from, path, &found);
    if (rc == 0)
        larder_info_free(&found);
    return rc;
}

/* 0 or a failure, as the others: no is -ENOENT. */
static int exists(struct larder_fs *from, const char *path)
{
    int rc = larder_exists(from, path);
    return rc < 0 ? rc : rc == 1 ? 0 : -ENOENT;
}

static int list(struct larder_fs *from, const char *path)
{
    struct larder_entries entries;
    int rc = larder_ls(from, path, &entries);
    if (rc == 0)
        larder_entries_free(&entries);
    return rc;
}

static const struct {
    const char *name, *path;
    int (*ask)(struct larder_fs *from, const char *path);
} operations[] = {
    {"the whole", "f0", whole}, {"a part", "f1", part}, {"info", "f2", info},
    {"exists", "f3", exists},   {"ls", "d", list},
};
#define OPERATIONS (sizeof operations / sizeof operations[0])

/* ---- a cell ---- */

static void put_all(enum stored stored)
{
    for (size_t i = 0; i < OPERATIONS; i++) {
        char path[16];
        bool directory = operations[i].ask == list;
        snprintf(path, sizeof path, "%s%s", operations[i].path, directory ? "/f" : "");
        struct fake_file *file = fake_put(path, SIZE, 1);
        file->fresh_ms = 50000;
        if (stored == STALE_IF_ERROR)
            file->stale_if_error_ms = 100000;
        if (stored == MUST_REVALIDATE)
            file->flags = ANSWER_MUST_REVALIDATE;
    }
}

static void prepare(enum stored stored)
{
    struct larder_fs *before = open_with("absent_ttl=50");
    bool absent = stored == ABSENT || stored == ABSENT_ONCE;
    if (!absent)
        put_all(stored);
    for (size_t i = 0; stored != NEVER_ASKED && i < OPERATIONS; i++) {
        bool data = operations[i].ask == part;
        assert_status(absent ? -ENOENT : 0, (data ? whole : operations[i].ask)(before, operations[i].path));
    }
    if (absent)
        put_all(stored);
    flush_cache();
    clock_ahead_ms = stored == FRESH || stored == ABSENT ? 40000 : 60000;
    larder_fs_free(before);
}

static uint64_t stale_so_far(void)
{
    struct larder_cache_stats stats = {.size = sizeof stats};
    assert_ok(larder_cache_stats(cache, &stats));
    return stats.stale;
}

/* What the fake place says of a listing has no lifetime: the option gives it one. */
static void check(enum stored stored, bool down, unsigned mode)
{
    const char *options[] = {modes[mode], "absent_ttl=50", "listing_ttl=50", NULL};
    const struct cell *cell = down ? &table[stored].down[mode] : &table[stored].up[mode];
    prepare(stored);
    struct larder_fs *from = open_mode(options);
    fake.fail = down ? REFUSED : 0;
    uint64_t stale = 0;
    for (size_t i = 0; i < OPERATIONS; i++) {
        bool special = stored == STALE_IF_ERROR || stored == MUST_REVALIDATE;
        if (operations[i].ask == list && special)
            continue; /* of the fake's files only */
        unsigned before = fake_asked();
        int status = operations[i].ask(from, operations[i].path);
        enum asked asked = fake_asked() > before ? PLACE : NOBODY;
        stale += down && status == 0 && asked == PLACE;
        if (status != cell->status || asked != cell->asked)
            fail_msg("%s, of what is %s, the place %s, %s: %d (%s) and asked %s", operations[i].name,
                     table[stored].name, down ? "down" : "up", modes[mode], status, larder_error(),
                     asked == PLACE ? "the place" : "nobody");
    }
    assert_int_equal(stale_so_far(), stale);
    larder_fs_free(from);
}

static void each_cell_is_as_the_table_says(void **state)
{
    for (int stored = 0; stored < STORED; stored++)
        for (unsigned cell = 0; cell < 6; cell++) {
            cached_place_begin(state);
            check((enum stored)stored, cell / 3, cell % 3);
            cached_place_end(state);
        }
}

static void an_unknown_mode_is_refused(void **state)
{
    const char *options[] = {"mode=sometimes", NULL};
    struct larder_cache *opened;
    cached_place_begin(state);
    assert_status(-EINVAL, larder_cache_open(options, &opened));
    assert_non_null(strstr(larder_error(), "online, stale-if-error or offline"));
    cached_place_end(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cell_is_as_the_table_says),
        cmocka_unit_test(an_unknown_mode_is_refused),
    };
    cached_place_know();
    return cmocka_run_group_tests_name("cache_modes", tests, NULL, NULL);
}
