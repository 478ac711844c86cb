/* SPDX-License-Identifier: Apache-2.0 */
/* Which files a copy is of, and where each goes. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc_fault.h"
#include "backends/backends.h"
#include "base/seams.h"
#include "copy_rows.h"
#include "fs/copy_plan.h"
#include "fs/fs.h"
#include "tmpdir.h"
#include "tree.h"

static struct larder_fs *from, *to;
static char *scratch;

static int setup(void **state)
{
    backend_register(&memory_backend);
    backend_register(&local_backend);
    scratch = tmpdir_make();
    assert_ok(fs_open(NULL, "memory://plan/from", NULL, &from, NULL));
    assert_ok(fs_open(NULL, "memory://plan/to", NULL, &to, NULL));
    assert_ok(larder_makedirs(to, "t", true));
    return 0;
}

static int teardown(void **state)
{
    larder_fs_free(from);
    larder_fs_free(to);
    tmpdir_remove(scratch);
    return 0;
}

static int empty_source(void **state)
{
    int rc = larder_rm(from, "", true);
    return rc == 0 || rc == -ENOENT ? larder_makedirs(from, "", true) : rc;
}

static void put(const char *const paths[])
{
    for (size_t i = 0; paths[i]; i++)
        assert_ok(larder_pipe_file(from, paths[i], paths[i], strlen(paths[i]), LARDER_PARENTS));
}

/* ---- plans as text: "from>to from>to", sorted; directories with a slash, failures as "from!NAME" ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *join(char **texts, size_t count)
{
    char *all = calloc(1, 65536);
    qsort(texts, count, sizeof *texts, by_text);
    for (size_t i = 0; i < count; i++) {
        sprintf(all + strlen(all), "%s%s", i ? " " : "", texts[i]);
        free(texts[i]);
    }
    return all;
}

static char *spell(const struct copy_step *step, int rc)
{
    char *text;
    const char *slash = step->type == LARDER_DIRECTORY ? "/" : "";
    int size = rc < 0 ? asprintf(&text, "%s!%s", step->from ? step->from : "", larder_status_name(rc))
                      : asprintf(&text, "%s%s>%s%s", step->from, slash, step->to ? step->to : "-",
                                 step->to ? slash : "");
    assert_true(size > 0);
    return text;
}

static char *plan(struct larder_fs *a, const char *const sources[], size_t count, struct larder_fs *b,
                  const char *target, const struct larder_copy_options *options)
{
    struct copy_plan *made;
    struct copy_step step;
    char *texts[256];
    size_t steps = 0;
    int rc;
    assert_ok(copy_plan_open(a, sources, count, b, target, options, PLAN_COPY, &made));
    while ((rc = copy_plan_next(made, &step)) != 0 && steps < 256) {
        texts[steps++] = spell(&step, rc);
        if (rc < 0 && !step.from)
            break;
    }
    copy_plan_free(made);
    return join(texts, steps);
}

static void assert_plan(const char *expected, char *got)
{
    assert_string_equal(got, expected);
    free(got);
}

#define PLAN(target, options_, ...)                                                                       \
    plan(from, (const char *[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), to, \
         target, &(struct larder_copy_options)options_)
#define OPTIONS(...) {.size = sizeof(struct larder_copy_options), __VA_ARGS__}

/* ---- the rows ---- */

/* "found from" of each file, relative to the target's first segment. */
static char *found_by(const struct copy_row *row, size_t count, const char *target)
{
    struct larder_copy_options options = {.size = sizeof options,
                                          .glob = row->glob,
                                          .recursive = row->recursive,
                                          .maxdepth = row->maxdepth,
                                          .into = row->into};
    struct copy_plan *made;
    struct copy_step step;
    char *texts[64];
    size_t files = 0;
    int rc;
    assert_ok(copy_plan_open(from, row->sources, count, to, target, &options, PLAN_COPY, &made));
    while ((rc = copy_plan_next(made, &step)) > 0) {
        if (!step.to || step.type == LARDER_DIRECTORY || larder_isdir(from, step.from) == 1)
            continue;
        const char *below = strchr(step.to, '/');
        texts[files++] = strdup(below ? below + 1 : step.to);
        /* Its last segments are those of where it came from, or it was named. */
        size_t size = strlen(step.from), found = below ? strlen(below) : 0;
        bool tail = below && size >= found && strcmp(step.from + size - found, below) == 0;
        assert_true(tail || strcmp(step.from, row->sources[0]) == 0 ||
                    strcmp(strrchr(step.from, '/'), strrchr(step.to, '/')) == 0);
    }
    assert_int_equal(rc, 0);
    copy_plan_free(made);
    return join(texts, files);
}

static void a_row_goes_where_it_should(void **state)
{
    const struct copy_row *row = *state;
    size_t count = 0;
    empty_source(NULL);
    put(copy_row_tree(row));
    while (row->sources[count])
        count++;
    for (size_t i = 0; row->targets[i]; i++) {
        char *found = found_by(row, count, row->targets[i]);
        if (strcmp(found, row->found) != 0)
            fail_msg("%s to %s: \"%s\", not \"%s\"", row->name, row->targets[i], found, row->found);
        free(found);
    }
}

/* ---- what the rows do not say ---- */

static void directories_come_first_and_empty_ones_too(void **state)
{
    put((const char *[]){"s/a/f", "s/g", NULL});
    assert_ok(larder_makedirs(from, "s/empty", true));
    assert_plan("s/>new/ s/a/>new/a/ s/a/f>new/a/f s/empty/>new/empty/ s/g>new/g",
                PLAN("new", OPTIONS(.recursive = true), "s"));
    assert_plan("s/a/f>new/a/f s/g>new/g", PLAN("new", OPTIONS(.recursive = true, .maxdepth = 9), "s"));
    assert_plan("s/a/>t/a/ s/a/f>t/a/f s/empty/>t/empty/ s/g>t/g",
                PLAN("t", OPTIONS(.recursive = true, .glob = true), "s/*"));
    assert_plan("s/empty/>t/empty/", PLAN("t", OPTIONS(.recursive = true), "s/empty"));
    assert_plan("s/>-", PLAN("t", OPTIONS(.into = false), "s"));
}

static void the_root_gives_its_contents(void **state)
{
    put((const char *[]){"a/f", "g", NULL});
    assert_plan("/>t/ a/>t/a/ a/f>t/a/f g>t/g", PLAN("t", OPTIONS(.recursive = true), ""));
    assert_plan("/>t/ a/>t/a/ a/f>t/a/f g>t/g", PLAN("t", OPTIONS(.recursive = true, .into = true), "/"));
    assert_plan("a/>a/ a/f>a/f", PLAN("", OPTIONS(.recursive = true), "a"));
    assert_plan("g>g", PLAN("", OPTIONS(.glob = true), "g*"));
}

static void what_is_missing_is_a_failure_of_its_own(void **state)
{
    put((const char *[]){"f", "g", NULL});
    assert_plan("none!ENOENT", PLAN("t", OPTIONS(.into = false), "none"));
    assert_plan("f/below!ENOENT", PLAN("t", OPTIONS(.into = false), "f/below"));
    assert_plan("none!ENOENT", PLAN("t", OPTIONS(.recursive = true), "none"));
    assert_plan("none*!ENOENT", PLAN("t", OPTIONS(.glob = true), "none*"));
    assert_plan("../x!EINVAL f>t/f g>t/g none!ENOENT",
                PLAN("t", OPTIONS(.recursive = true), "f", "none", "../x", "g"));
    assert_plan("f>t/f none*!ENOENT none>t/none", PLAN("t", OPTIONS(.glob = true), "f", "none*", "none"));
    assert_plan("a**!EINVAL", PLAN("t", OPTIONS(.glob = true), "a**"));
}

static void two_of_one_name_do_not_go_to_one_place(void **state)
{
    put((const char *[]){"a/f", "b/f", "c/f", NULL});
    put((const char *[]){"a/g", "b/h", "a/d/x", "b/d/y", NULL});
    assert_plan("!EEXIST", PLAN("t", OPTIONS(.into = false), "a/f", "b/f", "a/f"));
    assert_plan("!EEXIST", PLAN("t", OPTIONS(.glob = true, .into = true), "*/f"));
    assert_plan("!EEXIST", PLAN("t", OPTIONS(.glob = true), "a/*", "b/*"));
    assert_plan("!EEXIST", PLAN("t", OPTIONS(.glob = true), "a/g", "none*", "a/f", "b/[fh]"));
    assert_plan("!EEXIST", PLAN("t", OPTIONS(.glob = true, .recursive = true), "a/[dg]", "b/[dh]"));
    assert_plan("a/g>t/g b/h>t/h", PLAN("t", OPTIONS(.glob = true), "a/[dg]", "b/[dh]"));
    assert_plan("a/f>t/f a/g>t/g", PLAN("t", OPTIONS(.glob = true), "a/f", "a/g", "a/[fg]"));
    assert_plan("a/f>t/f a/g>t/g b/h>t/h", PLAN("t", OPTIONS(.glob = true), "a/?", "a/f", "b/h"));
    assert_plan("a/f>t/a/f b/f>t/b/f c/f>t/c/f", PLAN("t", OPTIONS(.glob = true), "*/f"));
}

static void what_several_directories_have_in_common_goes_once(void **state)
{
    put((const char *[]){"a/f", "b/f", "a/d/x", "b/d/x", "b/d/y", "c", "e/c", NULL});
    assert_plan("a/>t/ a/d/>t/d/ a/d/x>t/d/x a/f>t/f b/>t/ b/d/>t/d/ b/d/x!EEXIST b/d/y>t/d/y b/f!EEXIST",
                PLAN("t", OPTIONS(.recursive = true), "a/", "b/"));
    assert_plan("c>t/c e/>t/ e/c!EEXIST", PLAN("t", OPTIONS(.recursive = true), "c", "e/"));
    assert_plan("a/>t/a/ a/d/>t/a/d/ a/d/x>t/a/d/x a/f>t/a/f b/>t/ b/d/>t/d/ b/d/x>t/d/x b/d/y>t/d/y b/f>t/f",
                PLAN("t", OPTIONS(.recursive = true), "a", "b/"));
    assert_plan("a/>t/ a/>t/ a/d/>t/d/ a/d/>t/d/ a/d/x>t/d/x a/d/x>t/d/x a/f>t/f a/f>t/f",
                PLAN("t", OPTIONS(.recursive = true), "a/", "a/"));
}

static void several_patterns_keep_the_trees_of_their_matches(void **state)
{
    put((const char *[]){"a/x/1", "a/y", "b/z/2/3", NULL});
    assert_plan("a/x/1>t/x/1 a/x/>t/x/ a/y>t/y b/z/2/3>t/3",
                PLAN("t", OPTIONS(.glob = true, .recursive = true), "a/*", "b/z/*/3"));
    assert_plan("a/y>t/y", PLAN("t", OPTIONS(.glob = true), "a/*", "b/*"));
}

/* A name with magic is a name, unless patterns were asked for. */
static void names_are_literal_unless_asked(void **state)
{
    put((const char *[]){"x[1]", "x1", "d*/f", NULL});
    assert_plan("x[1]>t/x[1]", PLAN("t", OPTIONS(.into = false), "x[1]"));
    assert_plan("x1>t/x1", PLAN("t", OPTIONS(.glob = true), "x[1]"));
    assert_plan("d*/>t/d*/ d*/f>t/d*/f", PLAN("t", OPTIONS(.recursive = true), "d*"));
}

static void a_tree_does_not_go_into_itself(void **state)
{
    static const struct larder_copy_options below = OPTIONS(.recursive = true);
    put((const char *[]){"a/f", "a/b/g", "ab/h", NULL});
    assert_plan("a!EINVAL", plan(from, (const char *[]){"a"}, 1, from, "a/b", &below));
    assert_plan("a!EINVAL", plan(from, (const char *[]){"a"}, 1, from, "a/new", &below));
    assert_plan("!EINVAL", plan(from, (const char *[]){""}, 1, from, "a", &below));
    assert_plan("", plan(from, (const char *[]){"a/"}, 1, from, "a", &below));  /* onto itself */
    assert_plan("", plan(from, (const char *[]){"a/b"}, 1, from, "a", &below)); /* the same, by its name */
    assert_plan("a/>abc/ a/b/>abc/b/ a/b/g>abc/b/g a/f>abc/f",
                plan(from, (const char *[]){"a"}, 1, from, "abc", &below));
    assert_plan("a/b/>a/ a/b/g>a/g", plan(from, (const char *[]){"a/b/"}, 1, from, "a", &below));
}

/* Links lead from the source into the target: what the copy makes is not met by the walk. */
static void a_tree_of_one_disk_is_listed_before_it_is_copied(void **state)
{
    static const struct larder_copy_options below = OPTIONS(.recursive = true);
    static const char *const sources[] = {"a"};
    struct larder_fs *local;
    struct copy_plan *made;
    struct copy_step step;
    char *link = tmpdir_path(scratch, "a/link"), *target = tmpdir_path(scratch, "t");
    int steps = 0;
    tree_write(scratch, "a/f", "x", 1);
    tree_write(scratch, "t/old", "x", 1);
    assert_int_equal(symlink(target, link), 0);
    assert_ok(fs_open(NULL, scratch, NULL, &local, NULL));
    assert_ok(copy_plan_open(local, sources, 1, local, "t", &below, PLAN_COPY, &made));
    for (; copy_plan_next(made, &step) > 0; steps++) {
        char path[64];
        snprintf(path, sizeof path, "t/made%d/x", steps);
        tree_write(scratch, path, "x", 1);
    }
    copy_plan_free(made);
    assert_int_equal(steps, 4); /* a, a/f, a/link, a/link/old */
    larder_fs_free(local);
    free(link);
    free(target);
}

static int plan_all(void *arg)
{
    struct larder_copy_options options = OPTIONS(.recursive = true, .glob = arg != NULL);
    const char *sources[] = {"a", arg ? "b*" : "b"};
    struct copy_plan *made;
    struct copy_step step;
    int rc = copy_plan_open(from, sources, 2, to, "t", &options, PLAN_COPY, &made);
    if (rc < 0)
        return rc;
    while ((rc = copy_plan_next(made, &step)) > 0)
        ;
    copy_plan_free(made);
    return rc;
}

static void a_plan_without_memory_fails_cleanly(void **state)
{
    put((const char *[]){"a/x/1", "a/y", "b/z/2/3", NULL});
    alloc_fault_run(plan_all, NULL);
    alloc_fault_run(plan_all, scratch);
}

#define ROWS_MAX 128
int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, empty_source)
    const struct CMUnitTest others[] = {
        TEST(directories_come_first_and_empty_ones_too),
        TEST(the_root_gives_its_contents),
        TEST(what_is_missing_is_a_failure_of_its_own),
        TEST(two_of_one_name_do_not_go_to_one_place),
        TEST(what_several_directories_have_in_common_goes_once),
        TEST(several_patterns_keep_the_trees_of_their_matches),
        TEST(names_are_literal_unless_asked),
        TEST(a_tree_does_not_go_into_itself),
        TEST(a_tree_of_one_disk_is_listed_before_it_is_copied),
        TEST(a_plan_without_memory_fails_cleanly),
    };
    const size_t other_count = sizeof others / sizeof others[0];
    struct CMUnitTest tests[ROWS_MAX] = {0};
    size_t count = 0;
    for (; copy_rows[count].name; count++)
        tests[count] = (struct CMUnitTest){.name = copy_rows[count].name,
                                           .test_func = a_row_goes_where_it_should,
                                           .initial_state = (void *)&copy_rows[count]};
    memcpy(tests + count, others, sizeof others);
    return _cmocka_run_group_tests("plans", tests, count + other_count, setup, teardown);
}
