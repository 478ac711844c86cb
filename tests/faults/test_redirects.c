/* SPDX-License-Identifier: Apache-2.0 */
/* Redirects: how far they are followed, what goes along, and what one that adds a slash says. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "answer_case.h"
#include "jump_clock.h"
#include "path_ops.h"
#include "tmpdir.h"

static void redirects_without_an_end_are_told(void **state)
{
    fault_on(server, (struct fault_match){.path = "/f"},
             (struct fault){.status = 302, .headers = "Location: /g\r\n"});
    fault_on(server, (struct fault_match){.path = "/g"},
             (struct fault){.status = 307, .headers = "Location: /f\r\n"});
    assert_status(-ELOOP, read_whole(fs));
    assert_text("more than 10 redirects");
    assert_asked(11);
    fault_next(0, NULL, (struct fault){.status = 301, .headers = "Location: ftp://h/f\r\n"});
    assert_status(-EPROTO, read_whole(fs));
    assert_asked(1);
    fault_next(0, NULL, (struct fault){.status = 301});
    assert_true(read_whole(fs) < 0);
    assert_asked(1);
}

static void assert_has_secrets(struct fault_server *at, size_t index, bool has)
{
    const struct fault_request *request = fault_request(at, index);
    assert_non_null(request);
    assert_int_equal(fault_request_header(request, "Authorization") != NULL, has);
    assert_int_equal(fault_request_header(request, "X-Key") != NULL, has);
}

static void secrets_go_to_the_origin_that_they_are_for(void **state)
{
    static const char *const ways[][4] = {{"user=u", "password=p", "headers=X-Key: k", NULL},
                                          {"bearer=b", "headers=X-Key: k", NULL}};
    char there[64], back[64];
    snprintf(there, sizeof there, "Location: %s/f\r\n", fault_server_url(other));
    snprintf(back, sizeof back, "Location: %s/g\r\n", fault_server_url(server));
    fault_file_content(other, "/f", SIZE, SEED, "\"v1\"");
    fault_file_content(server, "/g", SIZE, SEED, "\"v1\"");
    for (size_t i = 0; i < 2; i++) {
        struct larder_fs *secret;
        assert_ok(larder_open(NULL, fault_server_url(server), ways[i], &secret, NULL));
        fault_forget(other);
        fault_next(1, NULL, (struct fault){.status = 302, .headers = there});
        /* The body is cut, so that its rest is asked for: by the whole way again, as secrets have to. */
        fault_clear(other);
        fault_on(other, (struct fault_match){.count = 1}, (struct fault){.end = FAULT_CLOSE, .at = 50000});
        fault_on(server, (struct fault_match){.path = "/f"}, (struct fault){.status = 302, .headers = there});
        assert_ok(read_whole(secret));
        assert_has_secrets(server, 0, true);
        assert_has_secrets(server, 1, true);
        assert_has_secrets(other, 0, false);
        assert_has_secrets(other, 1, false);
        fault_on(other, (struct fault_match){0}, (struct fault){.status = 302, .headers = back});
        assert_ok(read_whole(secret));
        assert_has_secrets(other, 2, false);
        assert_has_secrets(server, 3, true);
        fault_clear(other);
        larder_fs_free(secret);
    }
}

static void a_redirect_to_a_slash_is_a_directory_and_no_value(void **state)
{
    static const int statuses[] = {301, 302, 303, 307, 308};
    static const char page[] = "<html>the index of d</html>";
    struct larder_map *map;
    struct larder_bytes bytes = {0};
    assert_ok(larder_get_mapper(NULL, fault_server_url(server), NULL, 0, &map));
    fault_file_text(server, "/d/", page);
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        char absolute[64];
        snprintf(absolute, sizeof absolute, "Location: %s/d/\r\n", fault_server_url(server));
        const char *const locations[] = {"Location: /d/\r\n", "Location: d/\r\n", absolute};
        for (size_t l = 0; l < 3; l++) {
            fault_clear(server);
            fault_on(server, (struct fault_match){.path = "/d"},
                     (struct fault){.status = statuses[i], .headers = locations[l]});
            assert_status(-ENOENT, larder_map_get(map, "d", NULL, &bytes));
            assert_int_equal(larder_map_has(map, "d"), 0);
            assert_status(-EISDIR, larder_cat_file(fs, "d", NULL, &bytes));
            assert_status(-EISDIR, larder_cat_file(fs, "d", &(struct larder_range){2, 5}, &bytes));
            assert_int_equal(larder_isdir(fs, "d"), 1);
            assert_null(bytes.data);
        }
    }
    larder_map_free(map);
}

/* What reads a file, from a thread and from a task. */
struct refusal {
    const struct path_op *op;
    struct larder_fs *fs;
    const char *path;
};

static int try_to_read(void *arg)
{
    const struct refusal *refusal = arg;
    return refusal->op->call(refusal->fs, refusal->path, scratch);
}

static void assert_no_file(struct larder_fs *in, const char *path)
{
    static const char *const names[] = {"cat_file",
                                        "cat_file of a range",
                                        "cat_into",
                                        "cat_to",
                                        "cat",
                                        "cat_ranges",
                                        "head",
                                        "tail",
                                        "read_block",
                                        "open r",
                                        "open r, unbuffered",
                                        "get_file",
                                        "cp_file from",
                                        "checksum"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct refusal refusal = {path_op_find(names[i]), in, path};
        assert_status(-EISDIR, try_to_read(&refusal));
        assert_status(-EISDIR, larder_sync(NULL, try_to_read, &refusal, 0));
    }
}

/* A directory with one file of one byte; without the slash there is nothing, or a file. */
static void check_directory(struct larder_fs *in, const char *path, int without)
{
    const struct larder_copy_options options = {.size = sizeof options, .recursive = true};
    struct larder_item item = {.path = path};
    int64_t size;
    char *target = tmpdir_path(scratch, "got"), *got = tmpdir_path(target, "x");
    assert_int_equal(larder_isdir(in, path), 1);
    assert_int_equal(larder_isfile(in, path), 0);
    assert_int_equal(larder_exists(in, path), 1);
    assert_int_equal(larder_du(in, path, NULL), 1);
    assert_ok(larder_sizes(in, &item, 1, &size, NULL));
    assert_int_equal(size, 0);
    assert_no_file(in, path);
    assert_ok(larder_get(in, &path, 1, target, &options));
    assert_int_equal(access(got, F_OK), 0);
    tmpdir_remove(target);
    free(got);
    assert_int_equal(larder_isfile(fs, without ? "slow" : "t"), !without);
}

static void a_slash_behind_a_path_means_the_directory(void **state)
{
    static const char *const paths[] = {"t/", "slow/"};
    struct larder_bytes bytes = {0};
    fault_clear(server);
    fault_file_text(server, "/t", "a page that is served without the slash, too");
    fault_file_text(server, "/t/x", "1");
    fault_file_text(server, "/slow/x", "1");
    fault_on(server, (struct fault_match){.path = "/slow"}, (struct fault){.status = 404});
    for (int i = 0; i < 2; i++) {
        struct larder_fs *rooted, *place, *at;
        char url[128], *path;
        check_directory(fs, paths[i], i);
        check_directory(cached, paths[i], i);
        snprintf(url, sizeof url, "%s/%s", fault_server_url(server), paths[i]);
        assert_ok(larder_open(NULL, url, NULL, &rooted, NULL));
        check_directory(rooted, "", i);
        assert_ok(larder_open(NULL, url, NULL, &place, &path));
        check_directory(place, path, i);
        assert_ok(larder_fs_at(fs, paths[i], NULL, &at));
        check_directory(at, "", i);
        larder_fs_free(rooted);
        larder_fs_free(place);
        larder_fs_free(at);
        larder_free(path);
    }
    assert_ok(larder_cat_file(fs, "t", NULL, &bytes));
    larder_bytes_free(&bytes);
    /* A file is one with a slash behind it as well, as everywhere. */
    assert_int_equal(larder_isfile(fs, "t/x/"), 1);
    assert_ok(larder_cat_file(fs, "t/x/", NULL, &bytes));
    larder_bytes_free(&bytes);
    assert_int_equal(larder_exists(fs, "none/"), 0);
    fault_on(server, (struct fault_match){.path = "/none/"}, (struct fault){.status = 403});
    assert_status(-EACCES, larder_exists(fs, "none/"));
    fault_clear(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, answer_case_setup, answer_case_teardown)
        TEST(redirects_without_an_end_are_told),
        TEST(secrets_go_to_the_origin_that_they_are_for),
        TEST(a_redirect_to_a_slash_is_a_directory_and_no_value),
        TEST(a_slash_behind_a_path_means_the_directory),
    };
    jump_clock_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
