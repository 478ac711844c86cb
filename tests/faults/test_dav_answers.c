/* SPDX-License-Identifier: Apache-2.0 */
/* What a server may answer to changes that is half an answer: nothing is lost by it, nor taken for what it is not. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dav_case.h"
#include "tmpdir.h"
#include "tree.h"

/* ---- rmdir ---- */

/* A DELETE would take it along, whatever a listing makes of it. */
static void a_directory_with_anything_in_it_is_not_empty(void **state)
{
    static const char *const children[] = {
        SAID("/d/secret/", STATUS("403 Forbidden")),
        SAID("/d/a/b", FILE_HERE),
        SAID("/d/a%2Fb", FILE_HERE),
        SAID("/d/a%00b", FILE_HERE),
        SAID("/d/.", FILE_HERE),
        SAID("/d//x", FILE_HERE),
        SAID("/d/file", FILE_HERE),
        SAID("/e", FILE_HERE),
    };
    for (size_t i = 0; i < sizeof children / sizeof *children; i++) {
        char responses[1024];
        begin();
        snprintf(responses, sizeof responses, "%s%s", SELF, children[i]);
        say("PROPFIND", "/d/", 0, responses);
        assert_status(-ENOTEMPTY, larder_rmdir(fs, "d"));
        assert_int_equal(fault_count(server, "DELETE", NULL), 0);
    }
}

static void temporary_names_go_with_their_directory(void **state)
{
    begin();
    say("PROPFIND", "/d/", 0, SELF SAID("/d/.larder-0123456789abcdef", FILE_HERE));
    fault_on(server, (struct fault_match){.method = "DELETE"}, (struct fault){.status = 204});
    assert_ok(larder_rmdir(fs, "d"));
    assert_int_equal(fault_count(server, "DELETE", "/d/"), 1);
}

/* ---- what an earlier try has done ---- */

#define STREAM_SIZE ((size_t)3 << 20) /* more than is read into memory first */

static void a_second_put_of_a_stream_begins_at_its_beginning(void **state)
{
    char *dir = tmpdir_make(), *local = tmpdir_path(dir, "local");
    struct larder_bytes bytes = {0};
    begin();
    tree_write_content(dir, "local", STREAM_SIZE, 1);
    answer("PUT", "/streamed", 1, 500);
    assert_ok(larder_put_file(local, plain, "streamed", 0, NULL, NULL));
    assert_int_equal(fault_count(server, "PUT", "/streamed"), 2);
    assert_ok(larder_cat_file(plain, "streamed", NULL, &bytes));
    assert_int_equal(bytes.size, STREAM_SIZE);
    assert_true(content_matches(bytes.data, STREAM_SIZE, 1, 0));
    larder_bytes_free(&bytes);
    free(local);
    tmpdir_remove(dir);
}

static void arrive_late(void *arg, const struct fault_request *request)
{
    fault_file_text(server, "/late", arg);
}

static void a_put_that_arrived_late_is_no_conflict_with_itself(void **state)
{
    static char ours[] = "ours", theirs[] = "theirs";
    char *const there[] = {ours, theirs};
    for (int i = 0; i < 2; i++) {
        begin();
        fault_file_remove(server, "/late");
        lose("PUT", "/late");
        fault_on(server, (struct fault_match){.method = "PUT", .count = 1},
                 (struct fault){.hook = arrive_late, .arg = there[i]});
        assert_status(i == 0 ? 0 : -EEXIST, larder_pipe_file(plain, "late", ours, 4, LARDER_CREATE));
        assert_int_equal(fault_count(server, "PUT", "/late"), 2);
    }
}

static void a_move_that_arrived_late_is_no_conflict_with_itself(void **state)
{
    static const int conflicts[] = {412, 404};
    for (int i = 0; i < 2; i++) {
        begin();
        answer("PROPFIND", "/b", 1, 404);
        say("PROPFIND", "/b", 0, SAID("/b", FILE_HERE));
        say("PROPFIND", NULL, 1, SAID("/temporary", FILE_HERE)); /* after the first */
        answer("PROPFIND", NULL, 0, 404);
        lose("MOVE", NULL);
        answer("MOVE", NULL, 0, conflicts[i]);
        assert_ok(larder_pipe_file(fs, "b", "bytes", 5, LARDER_CREATE));
        assert_int_equal(fault_count(server, "MOVE", NULL), 2);
    }
}

static void a_mkcol_that_arrived_late_is_no_conflict_with_itself(void **state)
{
    begin();
    answer("PROPFIND", "/d", 3, 404); /* at first, after the answer was lost, and before the next */
    say("PROPFIND", "/d", 0, SELF);
    lose("MKCOL", "/d/");
    answer("MKCOL", "/d/", 0, 405);
    assert_ok(larder_mkdir(fs, "d", false));
    assert_int_equal(fault_count(server, "MKCOL", NULL), 2);
}

static void a_removal_without_an_answer_is_not_sent_again_unseen(void **state)
{
    begin();
    say("PROPFIND", "/d/", 1, SELF);
    say("PROPFIND", "/d/", 0, SELF SAID("/d/new", FILE_HERE));
    lose("DELETE", "/d/");
    assert_status(-ENOTEMPTY, larder_rmdir(fs, "d"));
    assert_int_equal(fault_count(server, "DELETE", NULL), 1);
    begin();
    say("PROPFIND", "/d/", 1, SELF);
    answer("PROPFIND", NULL, 0, 404);
    lose("DELETE", "/d/");
    assert_ok(larder_rmdir(fs, "d"));
    assert_int_equal(fault_count(server, "DELETE", NULL), 1);
}

/* It would remove a tree. */
static void a_target_is_looked_at_before_every_move(void **state)
{
    struct larder_fs *moving = dav_open_with("webdav.replace=move");
    begin();
    answer("PROPFIND", "/b", 2, 404); /* before the PUT, and before the first MOVE */
    say("PROPFIND", "/b", 0, SAID("/b/", PROPS(DIRECTORY, "200 OK")));
    say("PROPFIND", NULL, 0, SAID("/temporary", FILE_HERE));
    lose("MOVE", NULL);
    assert_status(-EISDIR, larder_pipe_file(moving, "b", "bytes", 5, 0));
    assert_int_equal(fault_count(server, "MOVE", NULL), 1);
    larder_fs_free(moving);
}

/* "Not now" may be the answer to a request that was passed on and carried out, and says nothing of what is there when it is
 * sent again. */
static const int not_now[] = {408, 423, 425, 429, 503};
#define each_not_now(i) for (size_t i = 0; i < sizeof not_now / sizeof *not_now; i++)

static void what_was_put_off_is_looked_at_again(void **state)
{
    each_not_now(i)
    {
        begin(); /* a file, in whose place a directory comes */
        say("PROPFIND", "/f", 1, SAID("/f", FILE_HERE));
        say("PROPFIND", "/f", 0, SAID("/f/", PROPS(DIRECTORY, "200 OK")));
        answer("DELETE", NULL, 1, not_now[i]);
        assert_status(-EISDIR, larder_rm_file(fs, "f"));
        assert_int_equal(fault_count(server, "DELETE", NULL), 1);
        begin(); /* a directory that is filled */
        say("PROPFIND", "/d/", 1, SELF);
        say("PROPFIND", "/d/", 0, SELF SAID("/d/new", FILE_HERE));
        answer("DELETE", NULL, 1, not_now[i]);
        assert_status(-ENOTEMPTY, larder_rmdir(fs, "d"));
        assert_int_equal(fault_count(server, "DELETE", NULL), 1);
        begin(); /* one that another makes */
        answer("PROPFIND", "/d", 1, 404);
        say("PROPFIND", "/d", 0, SELF);
        answer("MKCOL", NULL, 1, not_now[i]);
        assert_status(not_now[i] == 503 || not_now[i] == 408 ? 0 : -EEXIST, larder_mkdir(fs, "d", false));
        assert_int_equal(fault_count(server, "MKCOL", NULL), 1);
        begin(); /* a tree at the target of a copy */
        say("PROPFIND", "/a", 0, SAID("/a", FILE_HERE));
        answer("PROPFIND", "/b", 1, 404);
        say("PROPFIND", "/b", 0, SAID("/b/", PROPS(DIRECTORY, "200 OK")));
        answer("COPY", NULL, 1, not_now[i]);
        assert_status(-EISDIR, larder_cp_file(fs, "a", fs, "b", 0, NULL, NULL));
        assert_int_equal(fault_count(server, "COPY", NULL), 1);
    }
}

static void what_was_put_off_is_done_later(void **state)
{
    each_not_now(i)
    {
        begin();
        say("PROPFIND", "/f", 0, SAID("/f", FILE_HERE));
        answer("DELETE", NULL, 2, not_now[i]);
        answer("DELETE", NULL, 0, 204);
        assert_ok(larder_rm_file(fs, "f"));
        assert_int_equal(fault_count(server, "DELETE", NULL), 3);
        begin();
        say("PROPFIND", "/a", 0, SAID("/a", FILE_HERE));
        answer("PROPFIND", "/b", 0, 404);
        answer("COPY", NULL, 2, not_now[i]);
        answer("COPY", NULL, 0, 201);
        assert_ok(larder_cp_file(fs, "a", fs, "b", 0, NULL, NULL));
        assert_int_equal(fault_count(server, "COPY", NULL), 3);
    }
}

/* Over plain HTTP the same: HEAD tells what it is. */
static void a_file_is_looked_at_before_every_delete(void **state)
{
    begin();
    fault_file_text(server, "/f", "x");
    fault_file_text(server, "/f/x", "x");
    fault_on(server, (struct fault_match){.method = "HEAD", .path = "/f", .skip = 1},
             (struct fault){.status = 301, .headers = "Location: /f/\r\n"});
    lose("DELETE", "/f");
    assert_status(-EISDIR, larder_rm_file(plain, "f"));
    assert_int_equal(fault_count(server, "DELETE", NULL), 1);
    fault_file_remove(server, "/f");
    fault_file_remove(server, "/f/x");
}

static void a_large_put_that_is_refused_unread_says_why(void **state)
{
    static const struct {
        int status, rc;
    } refusals[] = {{401, -EACCES}, {403, -EACCES}, {413, -EFBIG}};
    char *data = content_make(STREAM_SIZE, 1);
    for (size_t i = 0; i < 2 * sizeof refusals / sizeof *refusals; i++) {
        begin();
        fault_on(server, (struct fault_match){.method = "PUT"},
                 (struct fault){.status = refusals[i / 2].status, .flags = FAULT_UNREAD});
        assert_status(refusals[i / 2].rc,
                      larder_pipe_file(i % 2 ? fs : plain, "large", data, STREAM_SIZE, 0));
        assert_int_equal(fault_count(server, "PUT", NULL), 1);
    }
    free(data);
}

/* ---- what the server may check ---- */

static void assert_md5(const char *sum)
{
    size_t count = fault_count(server, NULL, NULL);
    const struct fault_request *request = NULL;
    for (size_t i = 0; i < count; i++)
        if (strcmp(fault_request(server, i)->method, "PUT") == 0)
            request = fault_request(server, i);
    assert_non_null(request);
    const char *sent = fault_request_header(request, "Content-MD5");
    assert_string_equal(sent ? sent : "none", sum);
}

/* Bytes that were told as moved. */
static void only_rises(void *arg, int64_t done, int64_t total)
{
    int64_t *before = arg;
    assert_true(done >= *before);
    *before = done;
}

/* The file is read twice, for its digest and to be sent, and counted once. */
static void a_large_put_is_told_once(void **state)
{
    const size_t size = (size_t)24 << 20;
    char *dir = tmpdir_make(), *local = tmpdir_path(dir, "local"), *data = calloc(1, size);
    int64_t told = 0;
    begin();
    assert_non_null(data);
    tree_write(dir, "local", data, size);
    assert_ok(larder_put_file(local, plain, "large", 0, only_rises, &told));
    assert_int_equal(told, size);
    const struct fault_request *put = fault_request(server, fault_count(server, NULL, NULL) - 1);
    assert_non_null(fault_request_header(put, "Content-MD5"));
    free(data);
    free(local);
    tmpdir_remove(dir);
}

static void a_put_carries_the_digest_of_its_bytes(void **state)
{
    static const char sum_of_hello[] = "XUFAKrxLKna5cZ2REBfFkg==",
                      sum_of_nothing[] = "1B2M2Y8AsgTpgAmY7PhCfg==";
    char *dir = tmpdir_make(), *local = tmpdir_path(dir, "local");
    struct larder_fs *silent;
    begin();
    tree_write(dir, "local", "hello", 5);
    assert_ok(larder_pipe_file(plain, "sum", "hello", 5, 0));
    assert_md5(sum_of_hello);
    assert_ok(larder_pipe_file(fs, "sum", "", 0, 0));
    assert_md5(sum_of_nothing);
    assert_ok(larder_put_file(local, plain, "sum", 0, NULL, NULL));
    assert_md5(sum_of_hello);
    assert_ok(larder_open(NULL, fault_server_url(server),
                          (const char *[]){"http.write=true", "http.content_md5=false", NULL}, &silent,
                          NULL));
    assert_ok(larder_pipe_file(silent, "sum", "hello", 5, 0));
    assert_md5("none");
    larder_fs_free(silent);
    free(local);
    tmpdir_remove(dir);
}

/* A server that is asked for all properties may work out each, and take ten times as long. */
static void a_propfind_names_the_properties_that_it_wants(void **state)
{
    struct larder_entries entries;
    struct larder_info info;
    begin();
    say("PROPFIND", NULL, 0, SELF SAID("/d/f", FILE_HERE));
    assert_ok(larder_info(fs, "d", &info));
    larder_info_free(&info);
    assert_ok(larder_ls(fs, "d", &entries));
    larder_entries_free(&entries);
    assert_ok(larder_find(fs, "d", NULL, &entries));
    larder_entries_free(&entries);
    assert_int_equal(fault_count(server, NULL, NULL), 3);
    for (size_t i = 0; i < 3; i++) {
        const struct fault_request *request = fault_request(server, i);
        assert_non_null(memmem(request->body, request->body_size, ":getcontentlength/>", 19));
        assert_null(memmem(request->body, request->body_size, "allprop", 7));
    }
}

/* ---- refusals ---- */

/* That a server has no page for the parent says nothing of why: it may have none of any directory. */
static void a_refused_put_is_not_for_want_of_a_directory(void **state)
{
    static const struct {
        int status, rc;
    } refusals[] = {{403, -EACCES}, {400, -EINVAL}, {405, -ENOTSUP}, {404, -ENOENT}, {409, -ENOENT}};
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        begin();
        answer("PUT", NULL, 0, refusals[i].status);
        assert_status(refusals[i].rc, larder_pipe_file(plain, "nowhere/f", "x", 1, 0));
    }
    begin();
    answer("PUT", NULL, 1, 500);
    assert_ok(larder_pipe_file(plain, "nowhere/f", "x", 1, 0));
    assert_int_equal(fault_count(server, "PUT", NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_with_anything_in_it_is_not_empty),
        cmocka_unit_test(temporary_names_go_with_their_directory),
        cmocka_unit_test(a_second_put_of_a_stream_begins_at_its_beginning),
        cmocka_unit_test(a_put_that_arrived_late_is_no_conflict_with_itself),
        cmocka_unit_test(a_move_that_arrived_late_is_no_conflict_with_itself),
        cmocka_unit_test(a_mkcol_that_arrived_late_is_no_conflict_with_itself),
        cmocka_unit_test(a_removal_without_an_answer_is_not_sent_again_unseen),
        cmocka_unit_test(a_target_is_looked_at_before_every_move),
        cmocka_unit_test(what_was_put_off_is_looked_at_again),
        cmocka_unit_test(what_was_put_off_is_done_later),
        cmocka_unit_test(a_file_is_looked_at_before_every_delete),
        cmocka_unit_test(a_large_put_that_is_refused_unread_says_why),
        cmocka_unit_test(a_put_carries_the_digest_of_its_bytes),
        cmocka_unit_test(a_large_put_is_told_once),
        cmocka_unit_test(a_propfind_names_the_properties_that_it_wants),
        cmocka_unit_test(a_refused_put_is_not_for_want_of_a_directory),
    };
    return cmocka_run_group_tests(tests, dav_case_setup, dav_case_teardown);
}
