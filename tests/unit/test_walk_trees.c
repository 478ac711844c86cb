/* SPDX-License-Identifier: Apache-2.0 */
/* Walks of places that tell whole trees at once: what they find is what a walk from directory to directory finds. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "backends/backends.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/fs.h"
#include "fs/layer.h"
#include "telling_place.h"

static void assert_same_find(const char *path, bool dirs)
{
    struct larder_find_options options = {.size = sizeof options, .dirs = dirs};
    struct larder_entries here, there;
    assert_ok(larder_find(memory, path, &options, &here));
    assert_ok(larder_find(telling, path, &options, &there));
    assert_same(&here, &there);
    larder_entries_free(&here);
    larder_entries_free(&there);
}

static void assert_same_glob(const char *pattern)
{
    struct larder_entries here, there;
    assert_ok(larder_glob(memory, pattern, NULL, &here));
    assert_ok(larder_glob(telling, pattern, NULL, &there));
    assert_same(&here, &there);
    larder_entries_free(&here);
    larder_entries_free(&there);
}

/* ---- tests ---- */

static void a_find_is_the_same_however_trees_are_told(void **state)
{
    for (int way = IMPLIED; way <= UNEVEN; way++)
        for (size_t page_size = 0; page_size <= (way >= ONE_LEVEL ? 0 : 4); page_size++) {
            ask_for(way, page_size);
            assert_same_find("", true);
            assert_same_find("", false);
            assert_same_find("deep/2", true);
            assert_same_find("a", true); /* a file */
            assert_same_find("none", true);
            assert_int_equal(larder_du(telling, "", NULL), larder_du(memory, "", NULL));
        }
}

static void a_glob_is_the_same_however_trees_are_told(void **state)
{
    static const char *const patterns[] = {"**",     "**/x", "c/**",   "*/d/**",  "*/d",         "**/d/*",
                                           "c*/**/", "**/",  "g/**/k", "**/2/**", "deep/**/[34]"};
    for (int way = IMPLIED; way <= UNEVEN; way++)
        for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
            ask_for(way, way >= ONE_LEVEL ? 0 : 3);
            assert_same_glob(patterns[i]);
        }
}

static void a_whole_tree_is_asked_for_at_once(void **state)
{
    ask_for(LISTED, 0);
    assert_same_find("", true);
    assert_true(told.trees == 1 && told.lists == 0);
    ask_for(IMPLIED, 0);
    assert_same_glob("g/**/k");
    assert_true(told.trees == 1 && told.lists == 0);
    assert_string_equal(told.last, "w/g");
}

static void what_need_not_be_seen_is_not_asked_for(void **state)
{
    struct larder_find_options options = {.size = sizeof options, .maxdepth = 2};
    struct larder_entries entries;
    ask_for(LISTED, 0);
    assert_ok(larder_find(telling, "", &options, &entries));
    larder_entries_free(&entries);
    assert_int_equal(told.trees, 0);
    assert_same_glob("*/d/*");
    assert_int_equal(told.trees, 0);
    assert_same_glob("g*/**"); /* one level, and all that is below g */
    assert_true(told.trees == 1);
    assert_string_equal(told.last, "w/g");
}

/* Through a cache it is the cache that lists, and keeps what it was told. */
static void a_view_that_lists_is_not_passed_by(void **state)
{
    const struct backend listing_view = {.name = "view",
                                         .view = true,
                                         .kind = ASYNC,
                                         .list = telling->instance->backend->list};
    static const struct backend other_view = {.name = "other", .view = true, .kind = ASYNC};
    struct instance view = {.backend = &listing_view, .next = telling};
    assert_true(layer_has_trees(telling->instance));
    assert_false(layer_has_trees(memory->instance));
    assert_false(layer_has_trees(&view));
    view.backend = &other_view;
    assert_true(layer_has_trees(&view));
}

static unsigned count_pruned(struct larder_fs *fs)
{
    struct larder_find_options options = {.size = sizeof options, .dirs = true};
    const struct larder_info *entry;
    struct larder_walk *walk;
    unsigned shown = 0;
    const char *dir;
    int rc;
    assert_ok(larder_walk_open(fs, "", &options, &walk));
    while ((rc = larder_walk_next(walk, &dir, &entry)) > 0) {
        assert_false(path_within("c", dir) || path_within("deep/2", dir));
        if (strcmp(entry->name, "c") == 0 || strcmp(entry->name, "2") == 0)
            larder_walk_prune(walk);
        shown++;
    }
    assert_ok(rc);
    larder_walk_free(walk);
    return shown;
}

static void what_is_below_a_pruned_directory_is_passed_over(void **state)
{
    for (int way = IMPLIED; way <= UNEVEN; way++) {
        ask_for(way, way >= ONE_LEVEL ? 0 : 1);
        assert_int_equal(count_pruned(telling), count_pruned(memory));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_find_is_the_same_however_trees_are_told),
        cmocka_unit_test(a_glob_is_the_same_however_trees_are_told),
        cmocka_unit_test(a_whole_tree_is_asked_for_at_once),
        cmocka_unit_test(what_need_not_be_seen_is_not_asked_for),
        cmocka_unit_test(a_view_that_lists_is_not_passed_by),
        cmocka_unit_test(what_is_below_a_pruned_directory_is_passed_over),
    };
    return cmocka_run_group_tests(tests, telling_begin, telling_end);
}
