/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "base/path.h"
#include "base/seams.h"

#include "alloc_fault.h"

static void only_clean_paths_are_clean(void **state)
{
    static const char *const clean[] = {"a",    "a/b",   "...", "a/..b", ".a",
                                        "a/b.", "..a/b", " ",   "a\\b",  "\xff"};
    static const char *const unclean[] = {"/",   "/a",   "a/",   "a//b",  ".",      "..", "./a",
                                          "a/.", "a/..", "../x", "a/./b", "a/../b", "//"};
    assert_true(path_is_clean(""));
    assert_false(path_is_key(""));
    for (size_t i = 0; i < sizeof(clean) / sizeof(clean[0]); i++)
        assert_true(path_is_clean(clean[i]) && path_is_key(clean[i]));
    for (size_t i = 0; i < sizeof(unclean) / sizeof(unclean[0]); i++)
        assert_false(path_is_clean(unclean[i]) || path_is_key(unclean[i]));
}

static void a_segment_is_one_name(void **state)
{
    static const char *const good[] = {"a", "...", ".a", "a b", "..."};
    static const char *const bad[] = {"", ".", "..", "a/b", "/", "/a", "a/"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(path_is_segment(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(path_is_segment(bad[i]));
}

static void a_path_resolves_below_its_root(void **state)
{
    static const struct {
        const char *root, *path, *result;
        bool directory;
    } cases[] = {
        {"", "", "", false},          {"", "/", "", true},          {"", "///", "", true},
        {"r", "", "r", false},        {"r", "/", "r", true},        {"r/s", "a", "r/s/a", false},
        {"r", "/a/", "r/a", true},    {"", "/a/", "a", true},       {"", "//a//", "a", true},
        {"r", "a/b/", "r/a/b", true}, {"r", "a/b", "r/a/b", false}, {"", "a/...", "a/...", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        autofree char *out = NULL;
        bool directory = !cases[i].directory;
        assert_ok(path_resolve(cases[i].root, cases[i].path, &out, &directory));
        assert_string_equal(out, cases[i].result);
        assert_int_equal(directory, cases[i].directory);
    }
    autofree char *out = NULL;
    assert_ok(path_resolve("r", "a/", &out, NULL));
    assert_string_equal(out, "r/a");
}

static void no_path_leaves_its_root(void **state)
{
    static const char *const paths[] = {"..",          "../x",   "a/..",  "a/../b", "/..",   "/../",
                                        "a/../../etc", ".",      "./a",   "a/.",    "a/./b", "a//b",
                                        "a/.//",       "/a//b/", "a/../", "/./"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        char *out = (char *)"untouched";
        bool directory = true;
        assert_status(-EINVAL, path_resolve("r", paths[i], &out, &directory));
        assert_non_null(strstr(larder_error(), paths[i]));
        assert_string_equal(out, "untouched");
        assert_true(directory);
    }
}

static void paths_are_joined_and_taken_apart(void **state)
{
    static const char *const joins[][3] = {{"", "", ""},
                                           {"a", "", "a"},
                                           {"", "b", "b"},
                                           {"a/b", "c/d", "a/b/c/d"}};
    for (size_t i = 0; i < sizeof(joins) / sizeof(joins[0]); i++) {
        autofree char *joined = path_join(joins[i][0], joins[i][1]);
        assert_string_equal(joined, joins[i][2]);
    }
    assert_string_equal(path_name(""), "");
    assert_string_equal(path_name("a"), "a");
    assert_string_equal(path_name("a/b/c"), "c");
    assert_int_equal(path_parent_size(""), 0);
    assert_int_equal(path_parent_size("a"), 0);
    assert_int_equal(path_parent_size("a/b/c"), 3);
}

static void a_neighbour_with_the_same_beginning_is_not_within(void **state)
{
    assert_true(path_within("", ""));
    assert_true(path_within("", "a/b"));
    assert_true(path_within("a", "a"));
    assert_true(path_within("a", "a/b"));
    assert_false(path_within("a", "ab"));
    assert_false(path_within("a", "ab/c"));
    assert_false(path_within("a/b", "a"));
    assert_false(path_within("a", ""));
    assert_string_equal(path_below("", "a/b"), "a/b");
    assert_string_equal(path_below("", ""), "");
    assert_string_equal(path_below("a", "a"), "");
    assert_string_equal(path_below("a/b", "a/b/c/d"), "c/d");
}

static void what_is_below_a_directory_comes_right_behind_it(void **state)
{
    static const char *const sorted[] = {"", "a", "a/\x01", "a/b", "a/b/c", "a\x01", "a-b", "a.b", "ab", "b"};
    for (int i = 0; i < 10; i++)
        for (int j = 0; j < 10; j++) {
            int order = path_compare(sorted[i], sorted[j]);
            assert_true(i < j ? order < 0 : i > j ? order > 0 : order == 0);
        }
}

static int build_paths(void *arg)
{
    autofree char *resolved = NULL;
    int rc = path_resolve("root", "/a/b/", &resolved, NULL);
    if (rc < 0)
        return rc;
    autofree char *joined = path_join(resolved, "c");
    autofree char *same = path_join("", resolved);
    return joined && same ? 0 : -ENOMEM;
}

static void a_lack_of_memory_is_told(void **state)
{
    assert_int_equal(alloc_fault_run(build_paths, NULL), 3);
}

static void the_text_of_a_url_given_as_a_path_keeps_its_secrets(void **state)
{
    char *path;
    assert_int_equal(path_resolve("", "https://user:sesame@host/x?t=sesame", &path, NULL), -EINVAL);
    assert_null(strstr(larder_error(), "sesame"));
    assert_non_null(strstr(larder_error(), "URL"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_clean_paths_are_clean),
        cmocka_unit_test(a_segment_is_one_name),
        cmocka_unit_test(a_path_resolves_below_its_root),
        cmocka_unit_test(no_path_leaves_its_root),
        cmocka_unit_test(the_text_of_a_url_given_as_a_path_keeps_its_secrets),
        cmocka_unit_test(paths_are_joined_and_taken_apart),
        cmocka_unit_test(a_neighbour_with_the_same_beginning_is_not_within),
        cmocka_unit_test(what_is_below_a_directory_comes_right_behind_it),
        cmocka_unit_test(a_lack_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
