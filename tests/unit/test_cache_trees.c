/* SPDX-License-Identifier: Apache-2.0 */
/* Trees that a place tells at once, through a cache: asked for once, and kept directory by directory. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "larder.h"

#include "fs/backend.h"
#include "fs/fs.h"
#include "telling_place.h"
#include "tmpdir.h"

static const char *const dirs[] = {"",         "c", "c/d", "c-f",   "deep",    "deep/2",
                                   "deep/2/d", "g", "g/h", "g/h/i", "g/h/i/j", "empty"};
#define DIRS  (sizeof dirs / sizeof dirs[0])
#define FILES 11

static char *dir;
static struct larder_cache *cache;
static struct larder_fs *cached, *offline;

static struct larder_fs *open_cached(const char *option)
{
    const char *options[] = {option, NULL};
    struct larder_fs *opened;
    assert_ok(larder_cache_fs(cache, telling, options, &opened));
    return opened;
}

static int setup(void **state)
{
    char option[256];
    const char *options[] = {option, NULL};
    telling_begin(state);
    assert_ok(larder_mkdir(memory, "empty", 0));
    dir = tmpdir_make();
    snprintf(option, sizeof option, "dir=%s/cache", dir);
    assert_ok(larder_cache_open(options, &cache));
    cached = open_cached("ttl=60");
    offline = open_cached("mode=offline");
    return 0;
}

static int teardown(void **state)
{
    larder_fs_free(cached);
    larder_fs_free(offline);
    larder_cache_free(cache);
    tmpdir_remove(dir);
    return telling_end(state);
}

static void forget(void)
{
    assert_ok(larder_cache_clear(cache, NULL, ""));
}

static unsigned count_files(struct larder_fs *fs)
{
    struct larder_entries entries;
    assert_ok(larder_find(fs, "", NULL, &entries));
    unsigned count = (unsigned)entries.count;
    larder_entries_free(&entries);
    return count;
}

static void assert_listings_are_there(void)
{
    assert_ok(larder_cache_flush(cache));
    for (size_t i = 0; i < DIRS; i++) {
        struct larder_entries here, there;
        assert_ok(larder_ls(memory, dirs[i], &here));
        assert_ok(larder_ls(offline, dirs[i], &there));
        assert_same(&here, &there);
        larder_entries_free(&here);
        larder_entries_free(&there);
    }
    assert_int_equal(count_files(offline), FILES);
}

static void a_find_leaves_the_listing_of_every_directory(void **state)
{
    for (size_t page_size = 0; page_size < 5; page_size++) {
        forget();
        ask_for(LISTED, page_size);
        assert_int_equal(count_files(cached), FILES);
        assert_true(told.trees == 1 && told.lists == 0);
        assert_listings_are_there();
        assert_int_equal(count_files(cached), FILES); /* fresh: nobody is asked */
        assert_true(told.trees == 1 && told.lists == 0);
    }
}

/* Of directories that only their content implies there is no other word; one that is empty is not told of. */
static void what_is_implied_is_listed_too(void **state)
{
    struct larder_entries entries;
    for (size_t page_size = 0; page_size < 5; page_size++) {
        forget();
        ask_for(IMPLIED, page_size);
        assert_ok(larder_rmdir(memory, "empty"));
        assert_int_equal(count_files(cached), FILES);
        assert_true(told.trees == 1 && told.lists == 0);
        assert_ok(larder_cache_flush(cache));
        assert_status(-ENOENT, larder_ls(offline, "empty", &entries));
        assert_ok(larder_mkdir(memory, "empty", 0));
        assert_ok(larder_ls(offline, "deep", &entries));
        assert_int_equal(entries.count, 2);
        assert_string_equal(entries.info[1].name, "2");
        assert_int_equal(entries.info[1].type, LARDER_DIRECTORY);
        larder_entries_free(&entries);
        assert_int_equal(count_files(offline), FILES);
    }
}

static void what_was_perhaps_not_looked_into_is_asked_for(void **state)
{
    ask_for(ONE_LEVEL, 0);
    assert_int_equal(count_files(cached), FILES);
    assert_int_equal(told.trees, DIRS);
    assert_listings_are_there();
    forget();
    ask_for(UNEVEN, 0);
    assert_int_equal(count_files(cached), FILES);
    assert_in_range(told.trees, 2, DIRS - 1);
    assert_listings_are_there();
}

static void a_mirror_asks_for_a_tree_once(void **state)
{
    struct larder_mirror_stats stats = {.size = sizeof stats};
    for (int again = 1; again <= 2; again++) {
        ask_for(LISTED, again == 1 ? 0 : 3);
        assert_ok(larder_mirror(cached, "", NULL, &stats));
        assert_int_equal(stats.files, FILES);
        assert_true(told.trees == 1 && told.lists == 0);
        assert_listings_are_there();
    }
    ask_for(ONE_LEVEL, 0);
    assert_ok(larder_mirror(cached, "", NULL, &stats));
    assert_int_equal(told.trees + told.lists, DIRS);
    ask_for(LISTED, 0);
    assert_ok(larder_mirror(cached, "",
                            &(struct larder_mirror_options){.size = sizeof(struct larder_mirror_options),
                                                            .maxdepth = 1},
                            &stats));
    assert_true(told.trees == 0 && told.lists == 1);
}

static void a_mirror_follows_a_tree_that_is_told_at_once(void **state)
{
    struct larder_mirror_stats stats = {.size = sizeof stats};
    struct larder_entries entries;
    ask_for(LISTED, 0);
    assert_ok(larder_mirror(cached, "", NULL, &stats));
    assert_ok(larder_rm(memory, "deep/2", true));
    assert_ok(larder_pipe_file(memory, "c/new", "new", 3, 0));
    assert_ok(larder_mirror(cached, "", NULL, &stats));
    assert_int_equal(stats.vanished, 2);
    assert_true(told.trees == 2 && told.lists == 0);
    assert_status(-ENOENT, larder_ls(offline, "deep/2", &entries));
    assert_int_equal(larder_exists(offline, "c/new"), 1);
    assert_int_equal(count_files(offline), FILES - 2 + 1);
    ask_for(LISTED, 0);
    assert_ok(larder_rm(memory, "c/new", false));
    assert_ok(larder_pipe_file(memory, "deep/2/3", "deep/2/3", 8, 0));
    assert_ok(larder_pipe_file(memory, "deep/2/d/4", "deep/2/d/4", 10, 0));
}

/* Between two pages of the walk something is written through the cache: the listing that the walk began with is older. */
static void what_was_written_meanwhile_is_not_undone(void **state)
{
    const struct larder_info *entry;
    struct larder_entries entries;
    struct larder_walk *walk;
    const char *where;
    int rc;
    ask_for(LISTED, 1);
    assert_ok(larder_walk_open(cached, "", NULL, &walk));
    assert_int_equal(larder_walk_next(walk, &where, &entry), 1);
    assert_ok(larder_pipe_file(cached, "g/h/new", "new", 3, 0));
    assert_ok(larder_cache_flush(cache));
    while ((rc = larder_walk_next(walk, &where, &entry)) > 0)
        ;
    assert_ok(rc);
    larder_walk_free(walk);
    assert_ok(larder_cache_flush(cache));
    assert_status(-ENONET, larder_ls(offline, "g/h", &entries));
    assert_ok(larder_ls(offline, "g/h/i", &entries));
    larder_entries_free(&entries);
    assert_ok(larder_rm(memory, "g/h/new", false));
}

/* What was seen to its end is kept; the directories at hand are not. */
static void an_abandoned_walk_leaves_whole_listings_only(void **state)
{
    const struct larder_info *entry;
    struct larder_entries entries;
    struct larder_walk *walk;
    const char *where;
    ask_for(LISTED, 1);
    assert_ok(larder_walk_open(cached, "", NULL, &walk));
    do
        assert_int_equal(larder_walk_next(walk, &where, &entry), 1);
    while (strcmp(where, "deep/2/d") != 0);
    larder_walk_free(walk);
    assert_ok(larder_cache_flush(cache));
    assert_ok(larder_ls(offline, "c/d", &entries));
    assert_int_equal(entries.count, 2);
    larder_entries_free(&entries);
    assert_status(-ENONET, larder_ls(offline, "deep", &entries));
    assert_status(-ENONET, larder_ls(offline, "", &entries));
}

static void what_must_not_be_stored_is_not(void **state)
{
    struct larder_entries entries;
    ask_for(LISTED, 0);
    told.flags = ANSWER_NO_STORE;
    assert_int_equal(count_files(cached), FILES);
    assert_ok(larder_cache_flush(cache));
    assert_status(-ENONET, larder_ls(offline, "c", &entries));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_find_leaves_the_listing_of_every_directory),  TEST(what_is_implied_is_listed_too),
        TEST(what_was_perhaps_not_looked_into_is_asked_for), TEST(a_mirror_asks_for_a_tree_once),
        TEST(a_mirror_follows_a_tree_that_is_told_at_once),  TEST(what_was_written_meanwhile_is_not_undone),
        TEST(an_abandoned_walk_leaves_whole_listings_only),  TEST(what_must_not_be_stored_is_not),
    };
    return cmocka_run_group_tests_name("cache_trees", tests, NULL, NULL);
}
