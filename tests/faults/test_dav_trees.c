/* SPDX-License-Identifier: Apache-2.0 */
/* What a multistatus leaves out of a file, a directory or a tree is asked for, or is a failure: it is never made up. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dav_case.h"

/* ---- half a multistatus ---- */

static void what_is_not_told_to_be_a_directory_is_no_file(void **state)
{
    struct larder_info info;
    struct larder_entries entries;
    begin();
    say("PROPFIND", "/d", 0,
        SAID("/d/", PROPS("<D:getlastmodified>Wed, 25 Nov 2026 01:27:21 GMT</D:getlastmodified>", "200 OK")
                        PROPS("<D:resourcetype/>", "403 Forbidden")));
    assert_status(-EPROTO, larder_info(fs, "d", &info));
    say("PROPFIND", "/l/", 0,
        SAID("/l/", PROPS(DIRECTORY, "200 OK")) SAID("/l/x", PROPS("<D:resourcetype/>", "403 Forbidden")));
    say("PROPFIND", "/l", 0, SAID("/l/", PROPS(DIRECTORY, "200 OK")));
    assert_status(-EPROTO, larder_ls(fs, "l", &entries));
}

static void a_directory_that_is_forbidden_is_still_one(void **state)
{
    struct larder_entries entries;
    begin();
    say("PROPFIND", NULL, 0, SAID("/d/", STATUS("403 Forbidden")));
    assert_status(-EACCES, larder_ls(fs, "d", &entries));
}

static void a_failure_on_what_has_no_name_is_one(void **state)
{
    begin();
    answer("PROPFIND", NULL, 1, 404);
    say("MOVE", NULL, 0, SAID("/d/a%2Fb", STATUS("423 Locked")));
    assert_status(-EIO, larder_pipe_file(fs, "b", "bytes", 5, LARDER_CREATE));
}

/* ---- trees ---- */

static void assert_found(const char *const names[])
{
    struct larder_entries entries;
    size_t count = 0;
    assert_ok(larder_find(fs, "d", NULL, &entries));
    for (; names[count] && count < entries.count; count++)
        assert_string_equal(entries.info[count].name, names[count]);
    assert_true(!names[count] && count == entries.count);
    larder_entries_free(&entries);
}

/* RFC 4918 §9.1 knows 403 only. Some servers go one level deep and say nothing. */
static void a_directory_without_content_was_perhaps_not_looked_into(void **state)
{
    begin();
    say("PROPFIND", "/d/", 0,
        SELF SAID("/d/seen/in/x", FILE_HERE) SAID("/d/e/", PROPS(DIRECTORY, "200 OK"))
            SAID("/d/f", FILE_HERE));
    say("PROPFIND", "/d/e/", 0, SAID("/d/e/", PROPS(DIRECTORY, "200 OK")) SAID("/d/e/g", FILE_HERE));
    assert_found((const char *const[]){"e/g", "f", "seen/in/x", NULL});
    assert_int_equal(fault_count(server, "PROPFIND", NULL), 2);
}

static void a_depth_that_gets_no_good_answer_is_given_up(void **state)
{
    static const struct fault faults[] = {{.status = 403},
                                          {.status = 501},
                                          {.status = 504},
                                          {.status = 207, .body = "<D:multistatus", .body_size = 14},
                                          {.status = 200, .body = "index", .body_size = 5}};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        dav_reopen();
        begin();
        fault_on(server, (struct fault_match){.path = "/d/", .count = i == 2 || i == 3 ? 5 : 1}, faults[i]);
        say("PROPFIND", "/d/", 0, SELF SAID("/d/f", FILE_HERE));
        assert_found((const char *const[]){"f", NULL});
        fault_forget(server);
        assert_found((const char *const[]){"f", NULL});
        assert_int_equal(fault_count(server, "PROPFIND", NULL), 1);
        assert_string_equal(fault_request_header(fault_request(server, 0), "Depth"), "1");
    }
}

static void a_tree_too_large_to_hold_is_told_by_level(void **state)
{
    enum { MANY = 50001 };
    char *body = malloc((size_t)MANY * 128);
    size_t size = (size_t)sprintf(body, "<D:multistatus xmlns:D=\"DAV:\">%s", SELF);
    for (int i = 0; i < MANY; i++)
        size +=
            (size_t)sprintf(body + size,
                            SAID("/d/e/%d", "<D:propstat><D:prop><D:resourcetype/></D:prop></D:propstat>"),
                            i);
    size += (size_t)sprintf(body + size, "</D:multistatus>");
    dav_reopen();
    begin();
    fault_on(server, (struct fault_match){.path = "/d/", .count = 1},
             (struct fault){.status = 207, .body = body, .body_size = size});
    say("PROPFIND", "/d/", 0, SELF SAID("/d/e/", PROPS(DIRECTORY, "200 OK")));
    say("PROPFIND", "/d/e/", 0, SAID("/d/e/", PROPS(DIRECTORY, "200 OK")) SAID("/d/e/g", FILE_HERE));
    assert_found((const char *const[]){"e/g", NULL});
    assert_int_equal(fault_count(server, "PROPFIND", NULL), 3);
    assert_string_equal(fault_request_header(fault_request(server, 2), "Depth"), "infinity");
    free(body);
}

/* ---- directories that many need ---- */

static int write_below_m(void *arg)
{
    return larder_pipe_file(arg, "m/f", "x", 1, LARDER_PARENTS);
}

/* That one had no time left is no failure of another. */
static void a_directory_whose_maker_gives_up_is_made_by_who_waited(void **state)
{
    const char *const options[] = {"webdav.timeout=0.3", NULL};
    struct larder_task *task;
    struct larder_fs *hasty;
    begin();
    assert_ok(larder_fs_at(fs, NULL, options, &hasty));
    answer("PROPFIND", NULL, 0, 404);
    answer("PUT", "/m/f", 0, 409);
    answer("PUT", "/m/g", 1, 409);
    fault_on(server, (struct fault_match){.method = "MKCOL", .count = 1},
             (struct fault){.end = FAULT_STALL, .flags = FAULT_NO_ANSWER});
    answer("MKCOL", NULL, 0, 201);
    assert_ok(larder_spawn(NULL, write_below_m, hasty, NULL, NULL, &task));
    fault_wait_stalled(server, 1);
    assert_ok(larder_pipe_file(fs, "m/g", "x", 1, LARDER_PARENTS));
    assert_status(-ETIMEDOUT, larder_join(task));
    assert_int_equal(fault_count(server, "MKCOL", "/m/"), 2);
    larder_fs_free(hasty);
}

static int make_below_m(void *arg)
{
    return larder_makedirs(fs, arg, false);
}

static void take_time(void *arg, const struct fault_request *request)
{
    usleep(300000);
}

static void await_mkcol(const char *path)
{
    while (fault_count(server, "MKCOL", path) == 0)
        usleep(1000);
}

/* Nor that one was cancelled; and the others are in nobody's way. */
static void a_directory_whose_maker_is_cancelled_is_made_by_one_of_who_waited(void **state)
{
    static char paths[][4] = {"m/a", "m/b", "m/c"};
    struct larder_task *tasks[3];
    begin();
    answer("PROPFIND", NULL, 0, 404);
    answer("MKCOL", "/m/a/", 1, 409);
    answer("MKCOL", "/m/b/", 1, 409);
    answer("MKCOL", "/m/c/", 1, 409);
    fault_on(server, (struct fault_match){.method = "MKCOL", .path = "/m/", .count = 1},
             (struct fault){.end = FAULT_STALL, .flags = FAULT_NO_ANSWER});
    fault_on(server, (struct fault_match){.method = "MKCOL", .path = "/m/"},
             (struct fault){.status = 201, .hook = take_time});
    answer("MKCOL", NULL, 0, 201);
    assert_ok(larder_spawn(NULL, make_below_m, paths[0], NULL, NULL, &tasks[0]));
    await_mkcol("/m/");
    for (int i = 1; i < 3; i++)
        assert_ok(larder_spawn(NULL, make_below_m, paths[i], NULL, NULL, &tasks[i]));
    await_mkcol("/m/b/");
    await_mkcol("/m/c/");
    usleep(100000); /* they wait */
    larder_cancel(tasks[0]);
    assert_status(-ECANCELED, larder_join(tasks[0]));
    for (int i = 1; i < 3; i++)
        assert_ok(larder_join(tasks[i]));
    assert_int_equal(fault_count(server, "MKCOL", "/m/"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_told_to_be_a_directory_is_no_file),
        cmocka_unit_test(a_directory_that_is_forbidden_is_still_one),
        cmocka_unit_test(a_failure_on_what_has_no_name_is_one),
        cmocka_unit_test(a_directory_without_content_was_perhaps_not_looked_into),
        cmocka_unit_test(a_depth_that_gets_no_good_answer_is_given_up),
        cmocka_unit_test(a_tree_too_large_to_hold_is_told_by_level),
        cmocka_unit_test(a_directory_whose_maker_is_cancelled_is_made_by_one_of_who_waited),
        cmocka_unit_test(a_directory_whose_maker_gives_up_is_made_by_who_waited),
    };
    return cmocka_run_group_tests(tests, dav_case_setup, dav_case_teardown);
}
