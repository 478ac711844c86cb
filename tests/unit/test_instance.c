/* SPDX-License-Identifier: Apache-2.0 */
/* What is opened alike is one instance, for as long as somebody has a handle on it. */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder.h"

#include "alloc_fault.h"
#include "base/error.h"
#include "fs/fs.h"
#include "tmpdir.h"

static struct larder_fs *open_on(struct larder_loop *loop, const char *url, const char *const options[])
{
    struct larder_fs *fs = NULL;
    assert_ok(larder_open(loop, url, options, &fs, NULL));
    return fs;
}

static struct larder_fs *open_with(const char *url, const char *option)
{
    const char *const options[] = {option, NULL};
    return open_on(NULL, url, options);
}

/* Both are freed. */
static bool same(struct larder_fs *one, struct larder_fs *other)
{
    bool is = larder_fs_is_same(one, other);
    larder_fs_free(one);
    larder_fs_free(other);
    return is;
}

static bool alike(const char *one, const char *one_option, const char *other, const char *other_option)
{
    return same(open_with(one, one_option), open_with(other, other_option));
}

/* ---- what is alike ---- */

static void one_place_is_one_instance_whatever_its_roots(void **state)
{
    assert_true(alike("memory://a", NULL, "memory://b/c", NULL));
    assert_true(alike("/tmp", NULL, "file:///", NULL));
    assert_true(alike("https://host/a", NULL, "dir::HTTPS://Host:443/b/c/", NULL));
    assert_true(alike("cache::https://host/a", NULL, "cache::https://host/b", NULL));
}

static void another_place_is_another_instance(void **state)
{
    assert_false(alike("http://host/", NULL, "https://host/", NULL));
    assert_false(alike("http://host/", NULL, "http://host:8080/", NULL));
    assert_false(alike("http://host/", NULL, "http://other/", NULL));
    assert_false(alike("http://host/", NULL, "http://host/?token=1", NULL));
    assert_false(alike("http://host/", NULL, "http://user@host/", NULL));
    assert_false(alike("memory://", NULL, "/", NULL));
    assert_false(alike("http://host/", NULL, "cache::http://host/", NULL));
}

static void every_option_counts_whoever_gives_it(void **state)
{
    assert_false(alike("http://host/", NULL, "http://host/", "timeout=5"));
    assert_false(alike("http://host/", "timeout=6", "http://host/", "timeout=5"));
    assert_true(alike("http://host/", "http.timeout=5", "http://host/", "timeout=5"));
    assert_true(alike("http://host/", "local.sync=true", "http://host/", NULL));
    assert_false(alike("cache::http://host/", "http.timeout=5", "cache::http://host/", NULL));
    assert_true(alike("http://u:p@host/", NULL, "http://u@host/", "password=p"));
    assert_true(alike("http://host/?a=b&c", NULL, "http://host/", "query=a=b&c"));
    struct larder_fs *without = open_with("http://host/", NULL);
    setenv("LARDER_HTTP_TIMEOUT", "5", 1);
    struct larder_fs *by_environment = open_with("http://host/", NULL);
    unsetenv("LARDER_HTTP_TIMEOUT");
    struct larder_fs *by_option = open_with("http://host/", "timeout=5");
    assert_false(larder_fs_is_same(without, by_environment));
    assert_true(larder_fs_is_same(by_option, by_environment));
    larder_fs_free(without);
    larder_fs_free(by_option);
    larder_fs_free(by_environment);
}

static void a_password_is_not_given_to_another_user(void **state)
{
    assert_true(alike("http://u:p@host/", "user=v", "http://host/", "user=v"));
    assert_false(alike("http://u:p@host/", NULL, "http://u@host/", NULL));
}

static void the_cache_directory_counts_though_nobody_names_it(void **state)
{
    char *one = tmpdir_make(), *two = tmpdir_make();
    setenv("LARDER_CACHE_DIR", one, 1);
    struct larder_fs *first = open_with("cache::memory://", NULL);
    setenv("LARDER_CACHE_DIR", two, 1);
    struct larder_fs *second = open_with("cache::memory://", NULL);
    assert_false(larder_fs_is_same(first, second));
    assert_true(first->instance->next->instance == second->instance->next->instance);
    setenv("LARDER_CACHE_DIR", one, 1);
    assert_true(same(open_with("cache::memory://x", NULL), first));
    larder_fs_free(second);
    tmpdir_remove(one);
    tmpdir_remove(two);
}

static void a_cache_handle_and_a_chain_make_the_same(void **state)
{
    char *dir = tmpdir_make(), option[256] = "cache.dir=";
    const char *const options[] = {option, NULL};
    struct larder_cache *cache = NULL;
    struct larder_fs *plain = open_with("memory://", NULL), *through = NULL;
    strncat(option, dir, sizeof option - 11);
    assert_ok(larder_cache_open(options, &cache));
    assert_ok(larder_cache_fs(cache, plain, NULL, &through));
    assert_true(same(open_on(NULL, "cache::memory://a", options), through));
    larder_fs_free(plain);
    larder_cache_free(cache);
    tmpdir_remove(dir);
}

static void a_loop_has_its_own_instances(void **state)
{
    struct larder_loop *loop = NULL;
    assert_ok(larder_loop_new(&loop));
    assert_false(same(open_on(loop, "http://host/", NULL), open_on(NULL, "http://host/", NULL)));
    assert_true(
        same(open_on(larder_loop_default(), "http://host/", NULL), open_on(NULL, "http://host/", NULL)));
    assert_true(same(open_on(loop, "memory://", NULL), open_on(NULL, "memory://", NULL)));
    larder_loop_use(loop);
    struct larder_fs *used = open_on(NULL, "cache::http://host/", NULL);
    larder_loop_use(NULL);
    assert_true(same(open_on(loop, "cache::http://host/x", NULL), used));
    assert_ok(larder_loop_close(loop, NULL, NULL));
}

/* ---- the registry ---- */

static void an_instance_ends_with_its_last_handle(void **state)
{
    struct larder_fs *fs = open_with("http://host/", NULL), *at = NULL, *found = NULL;
    assert_ok(larder_fs_at(fs, "below", NULL, &at));
    larder_fs_free(fs);
    assert_ok(larder_fs_current("https", &found));
    assert_true(same(found, at));
    assert_status(-ENOENT, larder_fs_current("https", &found));
    assert_status(-ENOTSUP, larder_fs_current("gopher", &found));
    assert_status(-ENOTSUP, larder_fs_current(NULL, &found));
}

static void the_current_one_was_asked_for_last(void **state)
{
    struct larder_fs *one = open_with("http://one/", NULL), *two = open_with("http://two/", NULL),
                     *found = NULL;
    char *url = NULL;
    assert_ok(larder_fs_current("http", &found));
    assert_true(larder_fs_is_same(found, two));
    larder_fs_free(found);
    larder_fs_free(open_with("http://one/x", NULL));
    assert_ok(larder_fs_current("http", &found));
    assert_true(larder_fs_is_same(found, one));
    assert_ok(larder_fs_url(found, "", &url));
    assert_string_equal(url, "http://one/");
    larder_free(url);
    larder_fs_free(found);
    larder_fs_free(one);
    larder_fs_free(two);
}

static void an_instance_may_be_kept_to_oneself(void **state)
{
    struct larder_fs *own = open_with("http://host/", "skip_instance_cache=true"), *at = NULL;
    assert_false(
        alike("http://host/", "skip_instance_cache=true", "http://host/", "fs.skip_instance_cache=1"));
    assert_status(-ENOENT, larder_fs_current("http", &at));
    assert_false(same(open_with("http://host/", NULL), larder_fs_ref(own)));
    const char *const wrong[] = {"skip_instance_cache=true", NULL};
    assert_status(-EINVAL, larder_fs_at(own, NULL, wrong, &at));
    larder_fs_free(own);
}

static void what_was_cleared_is_found_no_more(void **state)
{
    struct larder_fs *before = open_with("http://host/", NULL), *found = NULL;
    larder_clear_instance_cache();
    assert_status(-ENOENT, larder_fs_current("http", &found));
    struct larder_fs *after = open_with("http://host/", NULL);
    assert_false(larder_fs_is_same(before, after));
    larder_fs_free(before); /* which does not take the new one with it */
    assert_true(same(open_with("http://host/", NULL), after));
}

static void *open_and_free(void *arg)
{
    static char failed[] = "could not be opened";
    const char *const urls[] = {"http://host/a", "cache::http://host/b", "http://host/c", "memory://d"};
    for (int i = 0; i < 500; i++) {
        struct larder_fs *fs = NULL, *current = NULL;
        if (larder_open(NULL, urls[i % 4], NULL, &fs, NULL) < 0)
            return failed;
        if (i % 50 == 0)
            larder_clear_instance_cache();
        if (larder_fs_current("http", &current) == 0)
            larder_fs_free(current);
        larder_fs_free(fs);
    }
    return NULL;
}

static void threads_that_open_and_free_never_meet_what_is_gone(void **state)
{
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_free, NULL), 0);
    for (int i = 0; i < 8; i++) {
        void *failure;
        pthread_join(threads[i], &failure);
        assert_null(failure);
    }
    struct larder_fs *fs;
    assert_status(-ENOENT, larder_fs_current("http", &fs));
}

static void a_forked_child_shares_none(void **state)
{
    struct larder_fs *parents = open_with("memory://", NULL);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct larder_fs *fs = NULL;
        int rc = larder_fs_current("memory", &fs) == -ENOENT ? 0 : 1;
        if (larder_open(NULL, "memory://", NULL, &fs, NULL) < 0 || larder_fs_is_same(fs, parents))
            rc = 2;
        larder_fs_free(parents);
        struct larder_fs *again = NULL;
        if (larder_open(NULL, "memory://", NULL, &again, NULL) < 0 || !larder_fs_is_same(fs, again))
            rc = 3;
        larder_fs_free(again);
        larder_fs_free(fs);
        _exit(rc);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(same(open_with("memory://", NULL), parents));
}

static int open_a_chain(void *arg)
{
    const char *const options[] = {"http.user=u", "cache.ttl=5", NULL};
    struct larder_fs *fs = NULL, *again = NULL, *current = NULL;
    int rc = larder_open(NULL, "cache::http://x:y@alloc/z?q", options, &fs, NULL);
    if (rc == 0)
        rc = larder_open(NULL, "cache::http://x:y@alloc/z?q", options, &again, NULL);
    if (rc == 0)
        rc = larder_fs_current("cache", &current);
    larder_fs_free(current);
    larder_fs_free(again);
    larder_fs_free(fs);
    return rc;
}

static void memory_that_runs_out_is_an_error_and_no_leak(void **state)
{
    assert_ok(open_a_chain(NULL)); /* what is made once a process */
    assert_true(alloc_fault_run(open_a_chain, NULL) > 10);
}

static int setup(void **state)
{
    char *dir = tmpdir_make();
    *state = dir;
    setenv("LARDER_CACHE_DIR", dir, 1);
    return 0;
}

static int teardown(void **state)
{
    tmpdir_remove(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forked_child_shares_none),
        cmocka_unit_test(one_place_is_one_instance_whatever_its_roots),
        cmocka_unit_test(another_place_is_another_instance),
        cmocka_unit_test(every_option_counts_whoever_gives_it),
        cmocka_unit_test(a_password_is_not_given_to_another_user),
        cmocka_unit_test(the_cache_directory_counts_though_nobody_names_it),
        cmocka_unit_test(a_cache_handle_and_a_chain_make_the_same),
        cmocka_unit_test(a_loop_has_its_own_instances),
        cmocka_unit_test(an_instance_ends_with_its_last_handle),
        cmocka_unit_test(the_current_one_was_asked_for_last),
        cmocka_unit_test(an_instance_may_be_kept_to_oneself),
        cmocka_unit_test(what_was_cleared_is_found_no_more),
        cmocka_unit_test(threads_that_open_and_free_never_meet_what_is_gone),
        cmocka_unit_test(memory_that_runs_out_is_an_error_and_no_leak),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
