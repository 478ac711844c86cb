/* SPDX-License-Identifier: Apache-2.0 */
/* Whole trees away, and what links lead to stays. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "larder.h"

#include "backends/backends.h"
#include "fs/fs.h"
#include "odd_place.h"
#include "tmpdir.h"
#include "tree.h"

static char *scratch;
static struct larder_fs *fs;

static void link_in(const char *target, const char *name)
{
    char *to = tmpdir_path(scratch, target), *at = tmpdir_path(scratch, name);
    assert_int_equal(symlink(to, at), 0);
    free(to);
    free(at);
}

static int setup(void **state)
{
    scratch = tmpdir_make();
    tree_write(scratch, "kept/file", "x", 1);
    tree_write(scratch, "kept/dir/file", "x", 1);
    tree_write(scratch, "d/e/file", "x", 1);
    link_in("kept", "d/link");
    link_in("kept/dir", "d/e/link");
    link_in("kept/file", "d/file");
    link_in("nowhere", "d/broken");
    link_in("kept", "top");
    return fs_open(NULL, scratch, NULL, &fs, NULL);
}

static int teardown(void **state)
{
    larder_fs_free(fs);
    tmpdir_remove(scratch);
    return 0;
}

static int remove_all(void *arg)
{
    int rc = larder_rm(fs, "d/e", true);
    if (rc == 0)
        rc = larder_rm(fs, "d/link", true);
    return rc == 0 ? larder_rm(fs, "top", true) : rc;
}

static void assert_links_went_alone(void)
{
    assert_int_equal(larder_exists(fs, "d/e"), 0);
    assert_int_equal(larder_exists(fs, "d/link"), 0);
    assert_int_equal(larder_exists(fs, "top"), 0);
    assert_int_equal(larder_isfile(fs, "kept/file"), 1);
    assert_int_equal(larder_isfile(fs, "kept/dir/file"), 1);
}

static void rm_takes_links_and_leaves_what_they_lead_to(void **state)
{
    assert_ok(remove_all(NULL));
    assert_links_went_alone();
}

static void so_it_does_in_a_task(void **state)
{
    assert_ok(larder_sync(NULL, remove_all, NULL, 0));
    assert_links_went_alone();
}

static void what_cannot_be_looked_into_is_said(void **state)
{
    assert_int_equal(larder_rm(fs, "none", true), -ENOENT);
    assert_int_equal(larder_rm(fs, "d", false), -EISDIR);
    assert_int_equal(larder_rm(fs, "..", true), -EINVAL);
    assert_int_equal(larder_isdir(fs, "d/e"), 1);
}

/* ---- several paths, and patterns ---- */

#define RM(...)    ((struct larder_rm_options){.size = sizeof(struct larder_rm_options), __VA_ARGS__})
#define PATHS(...) (const char *const[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)

static struct larder_fs *open_memory(void)
{
    static const char *const files[] = {"d/f", "d/e/g", "d/e/deep/h", "x1", "x2", "lit*", "lit1"};
    struct larder_fs *memory;
    assert_ok(fs_open(NULL, "memory://tree", NULL, &memory, NULL));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        assert_ok(larder_pipe_file(memory, files[i], "x", 1, LARDER_PARENTS));
    return memory;
}

static void assert_left(struct larder_fs *place, const char *expected)
{
    struct larder_find_options options = {.size = sizeof options, .dirs = true};
    struct larder_entries entries;
    char text[512] = "";
    assert_ok(larder_find(place, "", &options, &entries));
    for (size_t i = 0; i < entries.count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", *text ? " " : "",
                 entries.info[i].name);
    larder_entries_free(&entries);
    assert_string_equal(text, expected);
}

static void patterns_and_depths_are_fsspecs(void **state)
{
    static const struct {
        const char *path, *left;
        struct larder_rm_options options;
        int status;
    } cases[] = {
        {"x?", "d d/e d/e/deep d/e/deep/h d/e/g d/f lit* lit1", {.glob = true}, 0},
        {"*", "d d/e d/e/deep d/e/deep/h d/e/g d/f", {.glob = true}, 0},
        {"*", "", {.glob = true, .recursive = true}, 0},
        {"", "", {.recursive = true}, 0},
        {"d", "d d/e d/e/deep d/e/deep/h d/e/g lit* lit1 x1 x2", {.recursive = true, .maxdepth = 1}, 0},
        {"d", "d d/e d/e/deep d/e/deep/h lit* lit1 x1 x2", {.recursive = true, .maxdepth = 2}, 0},
        {"d*",
         "d d/e d/e/deep d/e/deep/h d/e/g lit* lit1 x1 x2",
         {.glob = true, .recursive = true, .maxdepth = 2},
         0},
        {"lit*", "d d/e d/e/deep d/e/deep/h d/e/g d/f lit1 x1 x2", {0}, 0},
        {"none*", NULL, {.glob = true}, -ENOENT},
        {"none", NULL, {.recursive = true}, -ENOENT},
        {"none", NULL, {0}, -ENOENT},
        {"none", NULL, {.on_error = LARDER_OMIT}, 0},
        {"none*", NULL, {.glob = true, .on_error = LARDER_RETURN}, 1},
        {"d", NULL, {0}, -EISDIR},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct larder_fs *memory = open_memory();
        struct larder_rm_options options = cases[i].options;
        options.size = sizeof options;
        assert_status(cases[i].status, larder_rm_paths(memory, &cases[i].path, 1, &options));
        assert_left(memory,
                    cases[i].left ? cases[i].left : "d d/e d/e/deep d/e/deep/h d/e/g d/f lit* lit1 x1 x2");
        assert_ok(larder_rm(memory, "", true));
        larder_fs_free(memory);
    }
}

static void nothing_goes_before_all_is_found_and_each_once(void **state)
{
    struct larder_fs *memory = open_memory();
    struct larder_rm_options options = RM(.recursive = true, .glob = true);
    assert_status(-ENOENT, larder_rm_paths(memory, PATHS("x1", "none*"), &options));
    assert_status(1, larder_isfile(memory, "x1"));
    options.on_error = LARDER_RETURN;
    assert_status(2, larder_rm_paths(memory, PATHS("x1", "none*", "none", "d", "d/e", "d*"), &options));
    assert_left(memory, "lit* lit1 x2");
    assert_ok(larder_rm(memory, "", true));
    larder_fs_free(memory);
}

static int reset_odd(void **state)
{
    odd_reset();
    return 0;
}

static void a_place_that_removes_many_is_asked_once_for_them(void **state)
{
    struct larder_fs *counted;
    struct larder_rm_options options = RM(.recursive = true);
    char path[32];
    assert_ok(fs_open(NULL, "counted://tree", NULL, &counted, NULL));
    for (int i = 0; i < 2500; i++) {
        snprintf(path, sizeof path, "s/d%d/f%d", i % 7, i);
        assert_ok(larder_pipe_file(counted, path, "x", 1, LARDER_PARENTS));
    }
    assert_ok(larder_rm_paths(counted, PATHS("s"), &options));
    assert_int_equal(odd.removes, 3);
    assert_left(counted, "");
    larder_fs_free(counted);
}

static int tell_status(void *arg, struct larder_item *item)
{
    int *wrong = arg;
    *wrong += (strcmp(item->path, "none") == 0) != (item->status == -ENOENT) ||
              (item->status < 0 && !strstr(larder_error(), item->path) && item->status != -EINVAL);
    return 0;
}

static void what_many_removals_failed_on_is_named(void **state)
{
    struct larder_fs *memory = open_memory();
    struct larder_item item = {.path = "none/there"};
    assert_status(-ENOENT, larder_rm_files(memory, &item, 1, NULL));
    assert_non_null(strstr(larder_error(), "none/there"));
    assert_status(-ENOENT, larder_rm(memory, "none/tree", true));
    assert_non_null(strstr(larder_error(), "none/tree"));
    larder_fs_free(memory);
}

static void each_of_many_has_its_own_status(void **state)
{
    struct larder_fs *memory = open_memory();
    struct larder_item items[] = {{.path = "x1"}, {.path = "none"}, {.path = "x2"}};
    int wrong = 0;
    struct larder_batch batch = {.size = sizeof batch,
                                 .on_error = LARDER_RETURN,
                                 .completed = tell_status,
                                 .arg = &wrong};
    assert_status(1, larder_rm_files(memory, items, 3, &batch));
    assert_true(items[0].status == 0 && items[1].status == -ENOENT && items[2].status == 0 && wrong == 0);
    struct larder_item bad[] = {{.path = "../x"}, {.path = "lit1"}};
    batch.completed = NULL;
    assert_status(1, larder_rm_files(memory, bad, 2, &batch));
    assert_true(bad[0].status == -EINVAL && bad[1].status == 0);
    assert_ok(larder_rm(memory, "", true));
    larder_fs_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rm_takes_links_and_leaves_what_they_lead_to, setup, teardown),
        cmocka_unit_test_setup_teardown(so_it_does_in_a_task, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_looked_into_is_said, setup, teardown),
        cmocka_unit_test(patterns_and_depths_are_fsspecs),
        cmocka_unit_test(what_many_removals_failed_on_is_named),
        cmocka_unit_test(nothing_goes_before_all_is_found_and_each_once),
        cmocka_unit_test_setup(a_place_that_removes_many_is_asked_once_for_them, reset_odd),
        cmocka_unit_test(each_of_many_has_its_own_status),
    };
    backend_register(&local_backend);
    backend_register(&memory_backend);
    odd_register();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
