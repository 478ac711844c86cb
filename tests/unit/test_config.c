/* SPDX-License-Identifier: Apache-2.0 */
/* Defaults out of the user's configuration, and filesystems written down. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "larder.h"

#include "alloc_fault.h"
#include "fs/config.h"
#include "fs/fs.h"
#include "fs/option.h"
#include "tmpdir.h"
#include "tree.h"

static char *home;

static void configure(const char *text)
{
    tree_write(home, "larder/config.json", text, strlen(text));
    config_forget();
}

static struct larder_fs *open_with(const char *url, const char *option)
{
    const char *const options[] = {option, NULL};
    struct larder_fs *fs = NULL;
    assert_ok(larder_open(NULL, url, options, &fs, NULL));
    return fs;
}

static void assert_option(const char *url, const char *option, const char *name, const char *expected)
{
    struct larder_fs *fs = open_with(url, option);
    assert_string_equal(option_text(fs->instance, name), expected);
    larder_fs_free(fs);
}

/* ---- configuration ---- */

static void defaults_come_from_the_file_then_the_environment_then_options(void **state)
{
    configure(
        "{\"http\": {\"timeout\": \"5\", \"max_connections\": 7, \"http2\": false, \"stall_timeout\": 0.5},\n"
        " \"local\": {\"sync\": true}}");
    assert_option("http://host/", NULL, "timeout", "5");
    assert_option("http://host/", NULL, "max_connections", "7");
    assert_option("http://host/", NULL, "http2", "false");
    assert_option("http://host/", NULL, "stall_timeout", "0.5");
    assert_option("/tmp", NULL, "sync", "true");
    assert_option("http://host/", "timeout=6", "timeout", "6");
    setenv("LARDER_HTTP_TIMEOUT", "7", 1);
    assert_option("http://host/", NULL, "timeout", "7");
    assert_option("http://host/", "timeout=6", "timeout", "6");
    unsetenv("LARDER_HTTP_TIMEOUT");
    struct larder_fs *fs = open_with("http://host/", NULL);
    assert_int_equal(fs->timeout_ms, 5000);
    larder_fs_free(fs);
}

static void no_file_is_no_defaults(void **state)
{
    configure("{}");
    assert_option("http://host/", NULL, "max_connections", "32");
    char *file = tmpdir_path(home, "larder/config.json"), *dir = tmpdir_path(home, "larder");
    assert_int_equal(unlink(file), 0);
    config_forget();
    assert_option("http://host/", NULL, "max_connections", "32");
    assert_int_equal(rmdir(dir), 0);
    tree_write(home, "larder", "not a directory", 15);
    config_forget();
    assert_option("http://host/", NULL, "max_connections", "32");
    assert_int_equal(unlink(dir), 0);
    setenv("XDG_CONFIG_HOME", "relative", 1);
    unsetenv("HOME");
    config_forget();
    assert_option("http://host/", NULL, "max_connections", "32");
    setenv("XDG_CONFIG_HOME", home, 1);
    free(file);
    free(dir);
}

static void without_xdg_it_is_below_home(void **state)
{
    tree_write(home, ".config/larder/config.json", "{\"http\":{\"timeout\":\"9\"}}", 24);
    setenv("HOME", home, 1);
    unsetenv("XDG_CONFIG_HOME");
    config_forget();
    assert_option("http://host/", NULL, "timeout", "9");
    setenv("XDG_CONFIG_HOME", home, 1);
}

/* What is wrong is said with the file, the line and the key. */
static void what_is_wrong_fails_every_open_and_says_where(void **state)
{
    static const struct {
        const char *text, *url, *said[3];
        int status;
    } cases[] = {
        {"{\"http\":\n {\"tiemout\": \"5\"}}",
         "http://h/",
         {"line 2", "http.tiemout", "no such option"},
         -EINVAL},
        {"{\"http\":\n {\"timeout\":\n\"soon\"}}", "http://h/", {"line 2", "http.timeout", "soon"}, -EINVAL},
        {"{\"a\":{\"timeout\":1},\n\"http\":{\n\"timeout\":[]}}",
         "http://h/",
         {"line 3", "http.timeout"},
         -EINVAL},
        {"{\"http\":\n5}", "http://h/", {"line 1", "\"http\"", "object"}, -EINVAL},
        {"{\"http\": {\n\n\"timeout\": \"5\",}}", "memory://", {"line 3"}, -EINVAL},
        {"[]", "memory://", {"object"}, -EINVAL},
        {"{\"http\":{\"user\":\"a\", \"user\":\"b\"}}", "memory://", {"line 1", "duplicate"}, -EINVAL},
        {"[[[[[[[[[[[[[[[[[[[[", "memory://", {"nests"}, -EINVAL},
        {"{\"fs\":{\"asynchronous\":true}}", "memory://", {"line 1", "fs.asynchronous"}, -EINVAL},
        {"{\"http\":{\"bearer\":\"ok\",\"headers\":\"no colon\"}}", "http://h/", {"headers"}, -EINVAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct larder_fs *fs = NULL;
        configure(cases[i].text);
        for (int again = 0; again < 2; again++) {
            assert_status(cases[i].status, larder_open(NULL, cases[i].url, NULL, &fs, NULL));
            if (i != 9)
                assert_non_null(strstr(larder_error(), "/larder/config.json"));
            for (int j = 0; j < 3 && cases[i].said[j]; j++)
                if (!strstr(larder_error(), cases[i].said[j]))
                    fail_msg("case %zu: \"%s\" is not in \"%s\"", i, cases[i].said[j], larder_error());
        }
    }
    configure("{\"unheard\": {\"of\": 1}}"); /* of a program that brings it */
    larder_fs_free(open_with("http://host/", NULL));
}

static void a_file_that_cannot_be_read_fails_every_open(void **state)
{
    struct larder_fs *fs = NULL;
    char *file = tmpdir_path(home, "larder/config.json");
    configure("{}");
    assert_int_equal(unlink(file), 0);
    assert_int_equal(mkdir(file, 0700), 0);
    config_forget();
    assert_status(-EISDIR, larder_open(NULL, "memory://", NULL, &fs, NULL));
    assert_non_null(strstr(larder_error(), file));
    assert_int_equal(rmdir(file), 0);
    config_forget();
    free(file);
}

static void an_option_tells_who_gives_it(void **state)
{
    struct larder_option option = {.size = sizeof option};
    bool seen = false;
    configure("{\"local\": {\"sync\": true}}");
    setenv("LARDER_HTTP_TIMEOUT", "7", 1);
    for (size_t i = 0; larder_option_at(i, &option) == 0; i++) {
        bool sync = strcmp(option.layer, "local") == 0 && strcmp(option.name, "sync") == 0;
        bool timeout = strcmp(option.layer, "http") == 0 && strcmp(option.name, "timeout") == 0;
        seen |= sync;
        if (sync)
            assert_non_null(strstr(option.origin, "/larder/config.json"));
        else if (timeout)
            assert_string_equal(option.origin, "the environment");
        else if (strcmp(option.layer, "cache") != 0) /* its directory is this test's */
            assert_null(option.origin);
    }
    assert_true(seen);
    unsetenv("LARDER_HTTP_TIMEOUT");
    configure("{}");
}

/* ---- filesystems written down ---- */

static void assert_json(struct larder_fs *fs, bool secrets, const char *expected)
{
    char *text = NULL;
    assert_ok(larder_fs_to_json(fs, secrets, &text));
    assert_string_equal(text, expected);
    larder_free(text);
}

static void a_text_is_the_same_for_the_same_handle(void **state)
{
    struct larder_fs *fs = open_with("memory://a/b c", NULL), *at = NULL;
    const char *const defaults[] = {"timeout=2.5", NULL};
    assert_json(fs, false,
                "{\"handle\":{},\"larder\":1,\"options\":{\"memory\":{}},\"root\":\"a/"
                "b%20c\",\"url\":\"memory://\"}");
    larder_fs_free(fs);
    fs = open_with("https://u:p@host/tree?sig=1", "max_connections=3");
    assert_json(
        fs, true,
        "{\"handle\":{},\"larder\":1,\"options\":{\"http\":{\"max_connections\":\"3\",\"password\":\"p\","
        "\"query\":\"sig=1\",\"user\":\"u\"}},\"root\":\"tree\",\"url\":\"https://host/\"}");
    assert_ok(larder_fs_at(fs, "x", defaults, &at));
    assert_json(at, false,
                "{\"handle\":{\"timeout\":2500},\"larder\":1,\"left_out\":[\"http.password\",\"http.query\"],"
                "\"options\":{\"http\":{\"max_connections\":\"3\",\"user\":\"u\"}},\"root\":\"tree/x\","
                "\"url\":\"https://host/\"}");
    larder_fs_free(at);
    larder_fs_free(fs);
}

/* With its secrets, and with them as options, a text gives the same instance, root and defaults. */
static void a_text_gives_the_same_again(void **state)
{
    static const char *const secrets[] = {"http.password=p", "http.query=q=1", NULL};
    static const char *const handle[] = {"http.timeout=2", "cache.ttl=7", NULL};
    static const char *const urls[] = {"memory://a/\xff%\"",           "/tmp/a b",
                                       "http://u:p@host:81/a%20b?q=1", "http://u:p@host:81/a%20b/?q=1",
                                       "cache::http://u:p@host/x?q=1", "dir::cache::memory://m"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        for (int with = 0; with < 2; with++) {
            struct larder_fs *opened = open_with(urls[i], "cache.compress=1"), *fs = NULL, *again = NULL;
            char *text = NULL, *other = NULL;
            assert_ok(larder_fs_at(opened, "deeper", handle, &fs));
            assert_ok(larder_fs_to_json(fs, with, &text));
            assert_ok(larder_fs_from_json(NULL, text, with ? NULL : secrets, &again));
            assert_true(larder_fs_is_same(fs, again));
            assert_string_equal(fs->root, again->root);
            assert_int_equal(!fs->directory, !again->directory);
            if (fs->directory)
                assert_string_equal(fs->directory, again->directory);
            assert_int_equal(fs->timeout_ms, again->timeout_ms);
            assert_int_equal(fs->terms.ttl_ms, again->terms.ttl_ms);
            assert_ok(larder_fs_to_json(again, with, &other));
            assert_string_equal(text, other);
            larder_free(text);
            larder_free(other);
            larder_fs_free(again);
            larder_fs_free(fs);
            larder_fs_free(opened);
        }
    }
}

static void what_a_handle_says_of_files_is_written_down(void **state)
{
    static const char *const handle[] = {"http.content_type=auto", NULL};
    struct larder_fs *opened = open_with("http://host/", "content_type=text/plain"), *fs = NULL,
                     *again = NULL;
    char *text = NULL;
    assert_string_equal(opened->labels.content_type, "text/plain");
    assert_ok(larder_fs_at(opened, "deeper", handle, &fs));
    assert_ok(larder_fs_to_json(fs, false, &text));
    assert_non_null(strstr(text, "\"handle\":{\"content_type\":\"auto\"}"));
    assert_ok(larder_fs_from_json(NULL, text, NULL, &again));
    assert_string_equal(again->labels.content_type, "auto");
    assert_null(again->labels.metadata);
    larder_free(text);
    larder_fs_free(again);
    larder_fs_free(fs);
    larder_fs_free(opened);
}

static void the_cache_directory_is_written_down(void **state)
{
    struct larder_fs *fs = open_with("cache::memory://", NULL), *again = NULL;
    char *text = NULL;
    assert_ok(larder_fs_to_json(fs, false, &text));
    assert_non_null(strstr(text, home));
    setenv("LARDER_CACHE_DIR", "/dev/null/none", 1);
    assert_ok(larder_fs_from_json(NULL, text, NULL, &again));
    setenv("LARDER_CACHE_DIR", home, 1);
    assert_true(larder_fs_is_same(fs, again));
    larder_free(text);
    larder_fs_free(fs);
    larder_fs_free(again);
}

static void bytes_that_are_no_text_survive(void **state)
{
    struct larder_fs *fs = open_with("http://host/", "user=\xfe\xff"), *again = NULL;
    char *text = NULL;
    assert_ok(larder_fs_to_json(fs, false, &text));
    assert_non_null(strstr(text, "{\"percent\":\"%FE%FF\"}"));
    assert_ok(larder_fs_from_json(NULL, text, NULL, &again));
    assert_true(larder_fs_is_same(fs, again));
    larder_free(text);
    larder_fs_free(fs);
    larder_fs_free(again);
}

static void one_that_is_connected_later_is_so_again(void **state)
{
    struct larder_fs *fs = open_with("memory://", "asynchronous=true"), *again = NULL;
    struct larder_info info;
    char *text = NULL;
    assert_ok(larder_fs_to_json(fs, false, &text));
    assert_ok(larder_fs_from_json(NULL, text, NULL, &again));
    assert_true(larder_fs_is_same(fs, again));
    assert_status(-ENOTCONN, larder_info(again, "", &info));
    larder_free(text);
    larder_fs_free(fs);
    larder_fs_free(again);
}

static void a_secret_that_is_missing_is_asked_for(void **state)
{
    struct larder_fs *fs = open_with("http://u:p@host/", NULL), *again = NULL;
    const char *const given[] = {"password=p", NULL};
    char *text = NULL;
    assert_ok(larder_fs_to_json(fs, false, &text));
    assert_null(strstr(text, "\"p\""));
    assert_status(-EACCES, larder_fs_from_json(NULL, text, NULL, &again));
    assert_non_null(strstr(larder_error(), "http.password"));
    assert_ok(larder_fs_from_json(NULL, text, given, &again));
    assert_true(larder_fs_is_same(fs, again));
    larder_fs_free(again);
    setenv("LARDER_HTTP_PASSWORD", "p", 1);
    assert_ok(larder_fs_from_json(NULL, text, NULL, &again));
    assert_true(larder_fs_is_same(fs, again));
    unsetenv("LARDER_HTTP_PASSWORD");
    larder_free(text);
    larder_fs_free(fs);
    larder_fs_free(again);
}

static void what_is_no_such_text_is_refused(void **state)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {NULL, -EINVAL},
        {"", -EINVAL},
        {"{}", -EINVAL},
        {"[1]", -EINVAL},
        {"{\"larder\":2,\"url\":\"memory://\"}", -ENOTSUP},
        {"{\"larder\":\"1\",\"url\":\"memory://\"}", -EINVAL},
        {"{\"larder\":1}", -EINVAL},
        {"{\"larder\":1,\"url\":5}", -EINVAL},
        {"{\"larder\":1,\"url\":\"gopher://x\"}", -ENOTSUP},
        {"{\"larder\":1,\"url\":\"memory://\",\"root\":\"../x\"}", -EINVAL},
        {"{\"larder\":1,\"url\":\"memory://\",\"root\":\"%zz\"}", -EINVAL},
        {"{\"larder\":1,\"url\":\"memory://\",\"root\":7}", -EINVAL},
        {"{\"larder\":1,\"url\":\"memory://\",\"directory\":\"../x\"}", -EINVAL},
        {"{\"larder\":1,\"url\":\"memory://\",\"directory\":7}", -EINVAL},
        {"{\"larder\":1,\"url\":\"memory://\",\"options\":[]}", -EINVAL},
        {"{\"larder\":1,\"url\":\"memory://\",\"options\":{\"local\":{\"sync\":5}}}", -EINVAL},
        {"{\"larder\":1,\"url\":\"memory://\",\"options\":{\"memory\":{\"no\":\"such\"}}}", -EINVAL},
        {"{\"larder\":1,\"url\":\"memory://\",\"options\":{\"nobody\":{\"a\":\"b\"}}}", -EINVAL},
        {"{\"larder\":1,\"url\":\"memory://\",\"left_out\":[\"a.b\"]}", -EINVAL},
        {"{\"larder\":1,\"url\":\"memory://\",\"left_out\":[\"http.nothing\"]}", -EINVAL},
        {"{\"larder\":1,\"url\":\"memory://\",\"left_out\":[7]}", -EINVAL},
        {"{\"larder\":1,\"url\":\"memory://\",\"handle\":{\"timeout\":\"5\"}}", -EINVAL},
        {"{\"larder\":1,\"url\":[[[[[[[[[[]]]]]]]]]]}", -EINVAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct larder_fs *fs = NULL;
        int rc = larder_fs_from_json(NULL, cases[i].text, NULL, &fs);
        if (rc != cases[i].status || fs || !*larder_error())
            fail_msg("case %zu: %s, \"%s\"", i, larder_status_name(rc), larder_error());
    }
    struct larder_fs *fs = NULL;
    assert_ok(larder_fs_from_json(NULL, "{\"larder\":1,\"url\":\"memory://a\",\"later\":true}", NULL, &fs));
    assert_string_equal(fs->root, "");
    larder_fs_free(fs);
}

static int write_and_read(void *arg)
{
    static const char *const options[] = {"http.user=\xff", "http.password=p", NULL};
    struct larder_fs *fs = NULL, *again = NULL;
    char *text = NULL;
    int rc = larder_open(NULL, "http://alloc/x?q", options, &fs, NULL);
    if (rc == 0)
        rc = larder_fs_to_json(fs, true, &text);
    if (rc == 0)
        rc = larder_fs_from_json(NULL, text, options, &again);
    larder_free(text);
    larder_fs_free(again);
    larder_fs_free(fs);
    return rc;
}

static void memory_that_runs_out_is_an_error_and_no_leak(void **state)
{
    configure("{\"http\":{\"timeout\":5}}");
    assert_true(alloc_fault_run(write_and_read, NULL) > 20);
    configure("{}");
}

static int setup(void **state)
{
    home = tmpdir_make();
    setenv("XDG_CONFIG_HOME", home, 1);
    setenv("LARDER_CACHE_DIR", home, 1);
    return 0;
}

static int teardown(void **state)
{
    config_forget();
    tmpdir_remove(home);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_come_from_the_file_then_the_environment_then_options),
        cmocka_unit_test(no_file_is_no_defaults),
        cmocka_unit_test(without_xdg_it_is_below_home),
        cmocka_unit_test(what_is_wrong_fails_every_open_and_says_where),
        cmocka_unit_test(a_file_that_cannot_be_read_fails_every_open),
        cmocka_unit_test(an_option_tells_who_gives_it),
        cmocka_unit_test(a_text_is_the_same_for_the_same_handle),
        cmocka_unit_test(a_text_gives_the_same_again),
        cmocka_unit_test(what_a_handle_says_of_files_is_written_down),
        cmocka_unit_test(the_cache_directory_is_written_down),
        cmocka_unit_test(bytes_that_are_no_text_survive),
        cmocka_unit_test(one_that_is_connected_later_is_so_again),
        cmocka_unit_test(a_secret_that_is_missing_is_asked_for),
        cmocka_unit_test(what_is_no_such_text_is_refused),
        cmocka_unit_test(memory_that_runs_out_is_an_error_and_no_leak),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
