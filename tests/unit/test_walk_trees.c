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

/* ---- memory://, that tells its trees in one of these ways ---- */

enum telling {
    IMPLIED,   /* files alone, sorted by bytes, as S3 does */
    LISTED,    /* directories too, as WebDAV */
    ONE_LEVEL, /* as a WebDAV that goes no deeper */
    UNEVEN,    /* as one that looks not into all directories */
};
static struct {
    enum telling telling;
    size_t page_size; /* 0: all in one */
    unsigned lists, trees;
    char last[64]; /* the path of the last list_tree */
} told;

static int told_list(struct instance *instance, const char *path, const struct terms *terms,
                     struct cursor *cursor, struct larder_entries *page, struct answer *out)
{
    told.lists++;
    return memory_backend.list(instance, path, terms, cursor, page, out);
}

static int add_below(struct instance *instance, const char *top, const char *below,
                     struct entries_builder *builder)
{
    struct larder_entries page = {0};
    struct cursor cursor = {0};
    struct answer answer;
    char *full = path_join(top, below);
    int rc = memory_backend.list(instance, full, &TERMS_NONE, &cursor, &page, &answer);
    for (size_t i = 0; rc == 0 && i < page.count; i++) {
        bool directory = page.info[i].type == LARDER_DIRECTORY;
        char *path = path_join(below, page.info[i].name);
        bool enters =
            directory && told.telling != ONE_LEVEL && !(told.telling == UNEVEN && strchr(path, 'd'));
        if (!directory || told.telling != IMPLIED)
            rc = entries_add_below(builder, below, &page.info[i]);
        if (rc == 0 && enters)
            rc = add_below(instance, top, path, builder);
        mem_free(path);
    }
    larder_entries_free(&page);
    mem_free(full);
    return rc;
}

/* A page begins where `cursor` says. */
static void cut_page(struct larder_entries *all, struct cursor *cursor, struct entries_builder *page)
{
    size_t from = (size_t)cursor->state, end = told.page_size ? from + told.page_size : all->count;
    for (; from < end && from < all->count; from++)
        assert_ok(entries_add(page, &all->info[from]));
    cursor->state = (void *)from;
    cursor->end = from == all->count;
}

static int told_list_tree(struct instance *instance, const char *path, const struct terms *terms,
                          struct cursor *cursor, struct larder_entries *page, struct answer *out)
{
    struct entries_builder found = {0}, cut = {0};
    struct larder_entries all;
    told.trees += !cursor->state;
    snprintf(told.last, sizeof told.last, "%s", path);
    int rc = add_below(instance, path, "", &found);
    if (rc < 0) {
        entries_discard(&found);
        return rc;
    }
    entries_finish(&found, &all);
    if (told.telling == IMPLIED)
        entries_sort(&all);
    else
        entries_sort_by_path(&all);
    cut_page(&all, cursor, &cut);
    larder_entries_free(&all);
    entries_finish(&cut, page);
    *out = (struct answer){.info.type = LARDER_DIRECTORY, .fresh_ms = -1, .stale_if_error_ms = -1};
    if (told.telling >= ONE_LEVEL)
        out->flags = ANSWER_SHALLOW;
    return 0;
}

static int locate(const struct backend *backend, const char *url, char **values, char **place, char **path)
{
    return place_is_all(strstr(url, "://") + 3, place, path);
}

static struct backend telling_backend;
static struct larder_fs *memory, *telling;

static int setup(void **state)
{
    static const char *const protocols[] = {"telling", NULL};
    static const char *const files[] = {"a",      "a.b",      "c/d/x",      "c/d/y",     "c/e", "c-f/x",
                                        "deep/1", "deep/2/3", "deep/2/d/4", "g/h/i/j/k", "z"};
    telling_backend = memory_backend;
    telling_backend.name = "telling";
    telling_backend.protocols = protocols;
    telling_backend.locate = locate;
    telling_backend.list = told_list;
    telling_backend.list_tree = told_list_tree;
    backend_register(&memory_backend);
    backend_register(&telling_backend);
    assert_ok(fs_open(NULL, "dir::memory://w", NULL, &memory, NULL));
    assert_ok(fs_open(NULL, "dir::telling://w", NULL, &telling, NULL));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        assert_ok(larder_pipe_file(memory, files[i], files[i], strlen(files[i]), 0));
    return 0;
}

static int teardown(void **state)
{
    larder_rm(memory, "", true);
    larder_fs_free(memory);
    larder_fs_free(telling);
    return 0;
}

static void ask_for(enum telling way, size_t page_size)
{
    told.telling = way;
    told.page_size = page_size;
    told.lists = told.trees = 0;
}

static void assert_same(const struct larder_entries *a, const struct larder_entries *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        assert_string_equal(a->info[i].name, b->info[i].name);
        assert_int_equal(a->info[i].type, b->info[i].type);
        assert_int_equal(a->info[i].size, b->info[i].size);
    }
    assert_int_equal(a->count, b->count);
}

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
    static const struct backend listing_view = {.name = "view",
                                                .view = true,
                                                .kind = ASYNC,
                                                .list = told_list};
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
    return cmocka_run_group_tests(tests, setup, teardown);
}
