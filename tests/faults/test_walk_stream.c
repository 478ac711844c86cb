/* SPDX-License-Identifier: Apache-2.0 */
/* Walks, finds and globs show what they have before the rest comes; a glob asks for no more listings than its pattern
 * needs; and what fails does so aloud. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "larder.h"

#include "fault_server.h"

static struct fault_server *server;
static struct larder_fs *fs;

static int setup(void **state)
{
    static const char *const files[] = {"/a1/x", "/a1/y",    "/a2/x",      "/b/x",   "/b/c/x",
                                        "/f",    "/d/e/f/g", "/d/e/f/h/i", "/z/zz/x"};
    static const char *const options[] = {"http.stall_timeout=30", NULL};
    server = fault_server_start();
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        fault_file_text(server, files[i], "x");
    assert_ok(larder_open(NULL, fault_server_url(server), options, &fs, NULL));
    return 0;
}

static int teardown(void **state)
{
    larder_fs_free(fs);
    fault_server_stop(server);
    return 0;
}

static void only_directories_that_could_match_are_listed(void **state)
{
    static const struct {
        const char *pattern, *asked; /* paths, each with a blank behind */
        unsigned maxdepth;
        size_t found;
    } cases[] = {
        {"*", "/ ", 0, 6},
        {"a*/x", "/ /a1/ /a2/ ", 0, 2},
        {"a1/*", "/a1/ ", 0, 2},
        {"b/*/x", "/b/ /b/c/ ", 0, 1},
        {"*/c/*", "/ /a1/ /a2/ /b/ /b/c/ /d/ /z/ ", 0, 1},
        {"d/**", "/d/ /d/e/ /d/e/f/ /d/e/f/h/ ", 0, 6},
        {"d/**", "/d/ /d/e/ ", 2, 3},
        {"d/e/*/h/*", "/d/e/ /d/e/f/ /d/e/f/h/ ", 0, 1},
        {"none/*", "/none/ ", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct larder_glob_options options = {.size = sizeof options, .maxdepth = cases[i].maxdepth};
        struct larder_entries entries;
        size_t wanted = 0;
        fault_forget(server);
        assert_ok(larder_glob(fs, cases[i].pattern, &options, &entries));
        assert_int_equal(entries.count, cases[i].found);
        larder_entries_free(&entries);
        for (const char *at = cases[i].asked; *at; at = strchr(at, ' ') + 1) {
            char path[64];
            snprintf(path, sizeof path, "%.*s", (int)strcspn(at, " "), at);
            if (fault_count(server, "GET", path) == 0)
                fail_msg("%s: %s was not listed", cases[i].pattern, path);
            wanted++;
        }
        if (fault_count(server, "GET", NULL) > wanted)
            fail_msg("%s: %zu listings", cases[i].pattern, fault_count(server, "GET", NULL));
    }
}

/* The server withholds a second listing until the first one's entries are here: `first` of them, `rest` after. */
static void check_first_entries(struct larder_walk *walk, const char *const first[], int rest)
{
    const struct larder_info *entry;
    const char *dir;
    int rc;
    for (; *first; first++) {
        assert_int_equal(larder_walk_next(walk, &dir, &entry), 1);
        assert_string_equal(dir, "");
        assert_string_equal(entry->name, *first);
    }
    fault_clear(server);
    while ((rc = larder_walk_next(walk, &dir, &entry)) > 0)
        rest--;
    assert_ok(rc);
    assert_int_equal(rest, 0);
    larder_walk_free(walk);
}

static void withhold_the_second_listing(void)
{
    fault_on(server, (struct fault_match){.path = "/a1/"},
             (struct fault){.end = FAULT_STALL, .flags = FAULT_NO_ANSWER});
}

static void a_globs_first_entry_comes_before_the_second_listing(void **state)
{
    struct larder_walk *walk;
    withhold_the_second_listing();
    assert_ok(larder_glob_open(fs, "**/[afx]*", NULL, &walk));
    check_first_entries(walk, (const char *const[]){"a1", "a2", "f", NULL}, 6); /* f, and five x */
}

static void a_finds_first_entry_comes_before_the_second_listing(void **state)
{
    struct larder_walk *walk;
    withhold_the_second_listing();
    assert_ok(larder_walk_open(fs, "", NULL, &walk));
    check_first_entries(walk, (const char *const[]){"f", NULL}, 8);
}

static void a_walks_first_entry_comes_before_the_second_listing(void **state)
{
    struct larder_find_options options = {.size = sizeof options, .dirs = true};
    struct larder_walk *walk;
    withhold_the_second_listing();
    assert_ok(larder_walk_open(fs, "", &options, &walk));
    check_first_entries(walk, (const char *const[]){"a1", "a2", "b", "d", "f", "z", NULL}, 13);
}

static void a_listing_that_fails_is_a_failure(void **state)
{
    static const char *const patterns[] = {"a*/x", "a2/*", "a2/**"};
    struct larder_entries entries = {.count = 7};
    fault_on(server, (struct fault_match){.path = "/a2/"}, (struct fault){.status = 403});
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        assert_status(-EACCES, larder_glob(fs, patterns[i], NULL, &entries));
        assert_int_equal(entries.count, 7);
        assert_true(*larder_error());
    }
    /* A walk goes on: what failed is left out. */
    const struct larder_info *entry;
    struct larder_walk *walk;
    const char *dir;
    int failures = 0, found = 0, rc;
    assert_ok(larder_glob_open(fs, "a*/x", NULL, &walk));
    while ((rc = larder_walk_next(walk, &dir, &entry)) != 0) {
        failures += rc < 0;
        found += rc > 0;
    }
    larder_walk_free(walk);
    assert_int_equal(failures, 1);
    assert_int_equal(found, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_directories_that_could_match_are_listed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_globs_first_entry_comes_before_the_second_listing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_finds_first_entry_comes_before_the_second_listing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_walks_first_entry_comes_before_the_second_listing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_listing_that_fails_is_a_failure, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
