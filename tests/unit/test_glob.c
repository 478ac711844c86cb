/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns: one by one, as fsspec has them, and over a tree against what fsspec found there. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "backends/backends.h"
#include "base/glob.h"
#include "base/pattern.h"
#include "fs/fs.h"

#include "alloc_fault.h"
#include "fsspec_tree.h"

#include "glob_fsspec.inc"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static bool matches_as(const char *pattern, const char *path, bool directory)
{
    struct glob *glob;
    char dir[256] = "";
    bool deeper;
    const char *slash = strrchr(path, '/');
    if (slash)
        snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
    assert_ok(glob_new(pattern, false, &glob));
    glob_enter(glob, dir);
    bool matches = glob_match_name(glob, slash ? slash + 1 : path, directory, &deeper);
    glob_free(glob);
    return matches;
}

static void a_component_matches_as_it_should(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        {"*", "a", true},
        {"*", ".hidden", true},
        {"a*", "a", true},
        {"a*", "A", false},
        {"*a*", "bab", true},
        {"a*b*c", "aXbXbXc", true},
        {"a*b*c", "aXcXb", false},
        {"?", "a", true},
        {"?", "\xc3\xa9", true},
        {"??", "\xc3\xa9", false},
        {"?", "\xff", true},
        {"?", "\xff\xfe", false},
        {"??", "\xc3\x28", true},
        {"?", "\xf0\x9f\x98\x80", true},
        {"?", "\xed\xa0\x80", false}, /* a surrogate: three bytes of no character */
        {"???", "\xc0\xaf\x80", true},
        {"*?b",
         "\xc3\xa9"
         "b",
         true},
        {"\xff*", "\xff\xfe", true},
        {"[\xc3\xa8-\xc3\xaa]", "\xc3\xa9", true},
        {"[\xff]", "\xff", true},
        {"[\xff]", "\xfe", false},
        {"[!a]", "\xff", true},
        {"[abc]", "b", true},
        {"[a-c]", "b", true},
        {"[a-c]", "-", false},
        {"[!a-c]", "b", false},
        {"[!a-c]", "d", true},
        {"[^a]", "^", true},
        {"[^a]", "b", false},
        {"[-a]", "-", true},
        {"[a-]", "-", true},
        {"[a-c-e]", "d", false},
        {"[a-c-e]", "-", true},
        {"[--a]", "A", true},
        {"[]a]", "]", true},
        {"[!]a]", "]", false},
        {"[!]a]", "b", true},
        {"[c-a]", "b", false},
        {"[!c-a]", "b", true},
        {"[!]", "!", false},
        {"[!]", "a", false},
        {"[]", "", false},
        {"[]", "a", false},
        {"a[", "a[", true},
        {"[ab", "[ab", true},
        {"a]", "a]", true},
        {"[*]", "*", true},
        {"[*]", "a", false},
        {"[[]", "[", true},
        {"\\*", "\\a", true},
        {"{a,b}", "{a,b}", true},
        {"{a,b}", "a", false},
        {"a.c", "abc", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (matches_as(cases[i].pattern, cases[i].name, false) != cases[i].matches)
            fail_msg("%s: %s", cases[i].pattern, cases[i].name);
}

static void stars_take_any_number_of_components(void **state)
{
    static const struct {
        const char *pattern, *path;
        bool file, directory; /* matches it */
    } cases[] = {
        {"**", "a", true, true},
        {"**", "a/b/c", true, true},
        {"a/**", "a", false, true},
        {"a/**", "a/b", true, true},
        {"a/**", "b", false, false},
        {"a/**/**", "a", false, true},
        {"**/b", "b", true, true},
        {"**/b", "a/a/b", true, true},
        {"**/b", "a/b/a", false, false},
        {"**/*", "a", true, true},
        {"**/*/**", "a", false, true},
        {"**/*/**", "a/b", true, true},
        {"a/**/b/**/c", "a/b/c", true, true},
        {"a/**/b/**/c", "a/x/b/y/y/c", true, true},
        {"a/**/b/**/c", "a/x/y/c", false, false},
        {"a/*/c", "a/b/b/c", false, false},
        {"a[!x]c", "a/c", false, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (matches_as(cases[i].pattern, cases[i].path, false) != cases[i].file ||
            matches_as(cases[i].pattern, cases[i].path, true) != cases[i].directory)
            fail_msg("%s: %s", cases[i].pattern, cases[i].path);
    }
}

static void stars_glued_to_text_are_refused(void **state)
{
    static const char *const wrong[] = {"a**", "**a", "***", "a/b**/c", "[**]"};
    struct glob *glob = NULL;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_status(-EINVAL, glob_new(wrong[i], false, &glob));
        assert_non_null(strstr(larder_error(), "**"));
        assert_null(glob);
    }
}

static void a_walk_goes_only_where_something_could_match(void **state)
{
    static const struct {
        const char *pattern, *dir, *name;
        bool deeper;
    } cases[] = {
        {"a/b*/c", "a", "b1", true},  {"a/b*/c", "a", "c", false}, {"a/b*/c", "a/b1", "c", false},
        {"*", "", "a", false},        {"**/x", "q", "r", true},    {"a/**/x", "", "b", false},
        {"a/**/x", "a/b", "x", true}, {"a/**", "a", "b", true},    {"x*/y", "", "x", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct glob *glob;
        bool deeper;
        assert_ok(glob_new(cases[i].pattern, false, &glob));
        glob_enter(glob, cases[i].dir);
        glob_match_name(glob, cases[i].name, true, &deeper);
        if (deeper != cases[i].deeper)
            fail_msg("%s: %s/%s", cases[i].pattern, cases[i].dir, cases[i].name);
        glob_match_name(glob, cases[i].name, false, &deeper);
        assert_false(deeper);
        glob_free(glob);
    }
}

static void stem_and_depth_bound_the_walk(void **state)
{
    static const struct {
        const char *pattern;
        unsigned maxdepth;
        size_t stem_size;
        unsigned depth;
        bool takes_stem;
    } cases[] = {
        {"*", 0, 0, 1, false},          {"a/b/*", 0, 3, 1, false},  {"a/b*/c/d", 0, 1, 3, false},
        {"*/x", 7, 0, 2, false},        {"**", 0, 0, 0, false},     {"**", 2, 0, 2, false},
        {"a/**", 0, 1, 0, true},        {"a/**/**", 1, 1, 1, true}, {"a/**/b", 1, 1, 1, false},
        {"a/*/c/**/d", 2, 1, 4, false}, {"a[/b", 0, 0, 2, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct glob *glob;
        assert_ok(glob_new(cases[i].pattern, false, &glob));
        assert_int_equal(glob_stem_size(glob), cases[i].stem_size);
        assert_int_equal(glob_depth(glob, cases[i].maxdepth), cases[i].depth);
        assert_int_equal(glob_takes_stem(glob), cases[i].takes_stem);
        glob_free(glob);
    }
}

/* Each would take longer than the universe has if stars, or "**", were tried in every combination. */
static void no_pattern_takes_for_ever(void **state)
{
    enum { SIZE = 20000, DEPTH = 60 };
    char *name = malloc(SIZE + 1), *pattern = malloc(2 * SIZE + 1), *dir = malloc(2 * DEPTH + 1);
    struct glob *glob;
    bool deeper;
    memset(name, 'a', SIZE);
    name[SIZE] = 0;
    for (int i = 0; i < 25; i++)
        memcpy(pattern + 2 * i, "a*", 2);
    strcpy(pattern + 50, "b");
    assert_ok(glob_new(pattern, false, &glob));
    glob_enter(glob, "");
    assert_false(glob_match_name(glob, name, false, &deeper));
    glob_free(glob);
    for (int i = 0; i < 40; i++)
        memcpy(pattern + 5 * i, "**/a/", 5);
    strcpy(pattern + 200, "b");
    for (int i = 0; i < DEPTH; i++)
        memcpy(dir + 2 * i, "a/", 2);
    dir[2 * DEPTH - 1] = 0;
    assert_ok(glob_new(pattern, false, &glob));
    glob_enter(glob, dir);
    assert_false(glob_match_name(glob, "a", false, &deeper));
    assert_true(glob_match_name(glob, "b", false, &deeper));
    glob_free(glob);
    memset(pattern, '[', SIZE); /* no set ends: to be compiled without looking for each end anew */
    pattern[SIZE] = 0;
    assert_ok(glob_new(pattern, false, &glob));
    glob_free(glob);
    free(name);
    free(pattern);
    free(dir);
}

static void an_escaped_name_matches_only_itself(void **state)
{
    static const char *const names[] = {"a", "a*", "**", "[a]", "[!]", "?", "]", "a\\b", "***[[??"};
    for (size_t i = 0; i < COUNT(names); i++) {
        char *pattern;
        assert_ok(larder_glob_escape(names[i], &pattern));
        for (size_t j = 0; j < COUNT(names); j++)
            assert_int_equal(matches_as(pattern, names[j], false), i == j);
        larder_free(pattern);
    }
    assert_true(glob_has_magic("a[") && glob_has_magic("?") && glob_has_magic("*"));
    assert_false(glob_has_magic("") || glob_has_magic("a]{}!"));
}

/* ---- a tree ---- */

static struct larder_fs *fs;

static int plant(void **state)
{
    backend_register(&memory_backend);
    assert_ok(fs_open(NULL, "memory://glob/tree", NULL, &fs, NULL));
    assert_ok(fsspec_tree_plant(fs, ""));
    return 0;
}

static int fell(void **state)
{
    larder_fs_free(fs);
    return 0;
}

static void what_fsspec_finds_is_found(void **state)
{
    int differ = 0;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct larder_glob_options options = {sizeof options, rows[i].maxdepth, rows[i].files_only, 0};
        struct larder_entries entries = {0};
        uint64_t found = 0;
        int rc = larder_glob(fs, rows[i].pattern, &options, &entries);
        assert_true(rc < 0 || fsspec_tree_bits(&entries, "", &found));
        if (rc != rows[i].status || found != rows[i].found) {
            print_error("%s, maxdepth %u%s: %d, not %d\n", rows[i].pattern, rows[i].maxdepth,
                        rows[i].files_only ? ", files" : "", rc, rows[i].status);
            fsspec_tree_tell(found, rows[i].found);
            differ++;
        }
        larder_entries_free(&entries);
    }
    assert_int_equal(differ, 0);
}

static void wrong_patterns_are_refused(void **state)
{
    static const char *const wrong[] = {"a//b*", "../*", "*/./a", "a**", "//**b"};
    struct larder_walk *walk = NULL;
    struct larder_entries entries = {.count = 7};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_status(-EINVAL, larder_glob(fs, wrong[i], NULL, &entries));
        assert_status(-EINVAL, larder_glob_open(fs, wrong[i], NULL, &walk));
        assert_true(*larder_error());
    }
    assert_true(entries.count == 7 && !walk);
}

static int glob_all(void *arg)
{
    static const char *const patterns[] = {"a/**/b", "a/**", "a/b"};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < COUNT(patterns); i++) {
        struct larder_entries entries = {0};
        rc = larder_glob(fs, patterns[i], NULL, &entries);
        larder_entries_free(&entries);
    }
    return rc;
}

static void memory_that_runs_out_leaks_nothing(void **state)
{
    assert_true(alloc_fault_run(glob_all, NULL) > 0);
}

/* ---- patterns that choose among paths ---- */

static void a_pattern_may_begin_anywhere(void **state)
{
    static const struct {
        const char *pattern, *path;
        bool file, directory, holds; /* holds the file of that path */
    } cases[] = {
        {"*.json", "a.json", true, true, true},
        {"*.json", "x/y/a.json", true, true, true},
        {"*.json", "a.json/x", false, false, true},
        {"c/?", "c/0", true, true, true},
        {"c/?", "x/c/0", true, true, true},
        {"c/?", "x/c/0/1", false, false, true},
        {"c/?", "xc/0", false, false, false},
        {"/c/?", "c/0", true, true, true},
        {"/c/?", "x/c/0", false, false, false},
        {"/c/**", "c/0/1/2", true, true, true},
        {"/c/**", "c", false, true, false},
        {"tmp/", "a/tmp", false, true, false},
        {"tmp/", "a/tmp/f", false, false, true},
        {"a/**/b", "x/a/b", true, true, true},
        {"a/**/b", "x/a/y/z/b", true, true, true},
        {"**", "a", true, true, true},
        {"?", "", false, false, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct glob *glob;
        const char *path = cases[i].path;
        assert_ok(pattern_new(cases[i].pattern, strlen(cases[i].pattern), &glob));
        if (pattern_matches(glob, path, false) != cases[i].file ||
            pattern_matches(glob, path, true) != cases[i].directory ||
            pattern_holds(glob, path, false) != cases[i].holds)
            fail_msg("%s, %s", cases[i].pattern, path);
        glob_free(glob);
    }
}

static void a_pattern_of_a_path_has_bounds(void **state)
{
    char text[256] = "a";
    struct glob *glob;
    for (int i = 1; i < GLOB_COMPONENTS_MAX - 1; i++)
        strcat(text, "/a");
    assert_ok(pattern_new(text, strlen(text), &glob));
    assert_true(pattern_matches(glob, text, false));
    glob_free(glob);
    strcat(text, "/a");
    assert_status(-EINVAL, pattern_new(text, strlen(text), &glob));
    static const char *const wrong[] = {"", "/", "//", "a//b", "a/../b", "./a", "a**"};
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_status(-EINVAL, pattern_new(wrong[i], strlen(wrong[i]), &glob));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_component_matches_as_it_should),
        cmocka_unit_test(stars_take_any_number_of_components),
        cmocka_unit_test(stars_glued_to_text_are_refused),
        cmocka_unit_test(a_walk_goes_only_where_something_could_match),
        cmocka_unit_test(stem_and_depth_bound_the_walk),
        cmocka_unit_test(no_pattern_takes_for_ever),
        cmocka_unit_test(an_escaped_name_matches_only_itself),
        cmocka_unit_test(what_fsspec_finds_is_found),
        cmocka_unit_test(wrong_patterns_are_refused),
        cmocka_unit_test(memory_that_runs_out_leaks_nothing),
        cmocka_unit_test(a_pattern_may_begin_anywhere),
        cmocka_unit_test(a_pattern_of_a_path_has_bounds),
    };
    return cmocka_run_group_tests(tests, plant, fell);
}
