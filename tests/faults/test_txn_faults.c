/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions at a place that fails: what is decided is never lost, what is not leaves nothing, answers that were lost are
 * looked up, and somebody who writes in between is a conflict that waits for a word.
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "fault_server.h"
#include "tmpdir.h"
#include "tree.h"

static char *scratch, *journal;
static struct fault_server *server;
static struct larder_fs *fs, *view;
static struct larder_txn *txn;

static int begin_txn(void)
{
    char option[300];
    snprintf(option, sizeof option, "journal=%s", journal);
    const char *const journals[] = {option, NULL};
    return larder_txn_begin(journals, &txn) < 0 || larder_txn_fs(txn, fs, &view) < 0;
}

static int begin(void **state)
{
    const char *const options[] = {"http.write=true", NULL};
    scratch = tmpdir_make();
    journal = tmpdir_path(scratch, "journal");
    server = fault_server_start();
    fault_writable(server);
    fault_file_text(server, "/d/old", "old");
    char url[128];
    snprintf(url, sizeof url, "%s/d", fault_server_url(server));
    return larder_open(NULL, url, options, &fs, NULL) < 0 || begin_txn();
}

static int end(void **state)
{
    larder_fs_free(view);
    larder_txn_rollback(txn);
    larder_fs_free(fs);
    view = fs = NULL;
    txn = NULL;
    fault_server_stop(server);
    free(journal);
    tmpdir_remove(scratch);
    return 0;
}

static int commit(void)
{
    int rc = larder_txn_commit(txn, NULL);
    if (rc == 0 || rc == -EINPROGRESS)
        txn = NULL;
    return rc;
}

static void put(const char *path, const char *text, unsigned flags)
{
    assert_ok(larder_pipe_file(view, path, text, strlen(text), flags));
}

static void assert_text(const char *path, const char *expected)
{
    struct larder_bytes bytes = {0};
    int rc = larder_cat_file(fs, path, NULL, &bytes);
    if (!expected) {
        assert_status(-ENOENT, rc);
        return;
    }
    assert_ok(rc);
    assert_int_equal(bytes.size, strlen(expected));
    assert_memory_equal(bytes.data, expected, bytes.size);
    larder_bytes_free(&bytes);
}

struct listed {
    int count;
    char state[32], conflict[64];
};

static int note(void *arg, const struct larder_txn_info *info)
{
    struct listed *listed = arg;
    listed->count++;
    snprintf(listed->state, sizeof listed->state, "%s", info->state);
    if (info->conflict_count > 0)
        snprintf(listed->conflict, sizeof listed->conflict, "%s", info->conflicts[0].path);
    return 0;
}

static struct listed list(void)
{
    struct listed listed = {0};
    assert_ok(larder_txn_list(journal, note, &listed));
    return listed;
}

static int recover(enum larder_txn_way way)
{
    const char *const options[] = {"http.write=true", NULL};
    const struct larder_txn_recover_options how = {.size = sizeof how, .way = way, .options = options};
    return larder_txn_recover(journal, NULL, &how);
}

/* ---- publishing that fails ---- */

static void what_cannot_be_published_now_is_finished_by_a_recovery(void **state)
{
    put("a", "1", 0);
    put("b", "2", 0);
    assert_ok(larder_rm_file(view, "old"));
    fault_on(server, (struct fault_match){.method = "PUT", .path = "/d/b"}, (struct fault){.status = 507});
    assert_status(-EINPROGRESS, commit());
    assert_non_null(strstr(larder_error(), "/d/b"));
    assert_string_equal(list().state, "committed");
    assert_status(1, recover(LARDER_TXN_FINISH)); /* still full, and still there */
    assert_int_equal(list().count, 1);
    fault_clear(server);
    assert_status(0, recover(LARDER_TXN_FINISH));
    assert_text("a", "1");
    assert_text("b", "2");
    assert_text("old", NULL);
    assert_int_equal(list().count, 0);
}

/* The network goes once all is decided, and comes back. */
static void what_the_network_keeps_from_being_published_is_published_later(void **state)
{
    put("a", "1", LARDER_CREATE);
    put("b", "2", 0);
    fault_on(server, (struct fault_match){.path = "/d/b"},
             (struct fault){.end = FAULT_RESET, .flags = FAULT_NO_ANSWER});
    assert_status(-EINPROGRESS, commit());
    assert_non_null(strstr(larder_error(), "/d/b"));
    assert_string_equal(list().state, "committed");
    assert_text("a", "1");
    assert_status(1, recover(LARDER_TXN_FINISH));
    assert_string_equal(list().state, "committed");
    fault_clear(server);
    fault_file_text(server, "/d/b", "theirs"); /* meanwhile, which no condition forbids to replace */
    assert_status(0, recover(LARDER_TXN_FINISH));
    assert_text("b", "2");
    assert_int_equal(list().count, 0);
}

/* Out of the journal, with what is said of it beside its bytes. */
static void what_a_recovery_writes_has_its_type(void **state)
{
    static const char *const options[] = {"http.content_type=auto", NULL};
    struct larder_fs *said;
    assert_ok(larder_fs_at(view, NULL, options, &said));
    assert_ok(larder_pipe_file(said, "page.html", "<p>", 3, 0));
    larder_fs_free(said);
    assert_ok(larder_txn_barrier(txn));
    fault_on(server, (struct fault_match){.method = "PUT"}, (struct fault){.status = 507});
    assert_status(-EINPROGRESS, commit());
    fault_clear(server);
    fault_forget(server);
    assert_status(0, recover(LARDER_TXN_FINISH));
    const struct fault_request *request = NULL;
    for (size_t i = 0; (request = fault_request(server, i)) && strcmp(request->method, "PUT") != 0;)
        i++;
    assert_non_null(request);
    assert_string_equal(fault_request_header(request, "Content-Type"), "text/html");
    assert_text("page.html", "<p>");
}

/* The place that dead owners' work is of is opened again by the next transaction. */
static void the_next_transaction_finishes_what_is_left(void **state)
{
    put("a", "1", 0);
    fault_on(server, (struct fault_match){.method = "PUT", .path = "/d/a"}, (struct fault){.status = 507});
    assert_status(-EINPROGRESS, commit());
    fault_clear(server);
    larder_fs_free(view);
    assert_ok(begin_txn());
    assert_text("a", "1");
    assert_int_equal(list().count, 1); /* the next one itself */
    assert_string_equal(list().state, "open");
}

static void answers_that_were_lost_are_looked_up(void **state)
{
    put("a", "1", LARDER_CREATE);
    put("b", "2", 0);
    fault_on(server, (struct fault_match){.method = "PUT", .path = "/d/a", .count = 1},
             (struct fault){.end = FAULT_RESET, .flags = FAULT_UNANSWERED});
    fault_on(server, (struct fault_match){.method = "PUT", .path = "/d/b", .count = 1},
             (struct fault){.end = FAULT_RESET, .flags = FAULT_UNANSWERED});
    assert_ok(commit());
    assert_text("a", "1");
    assert_text("b", "2");
    assert_int_equal(fault_count(server, "PUT", "/d/a"), 1);
    assert_int_equal(list().count, 0);
}

/* ---- conflicts ---- */

/* Waiting changes nothing of a refusal: the rest is published, and no later transaction repeats it unasked. */
static void what_is_refused_waits_for_a_word(void **state)
{
    for (int ours = 0; ours < 2; ours++) {
        if (ours)
            assert_ok(begin_txn());
        put("a", "1", 0);
        put("b", "2", 0);
        fault_on(server, (struct fault_match){.method = "PUT", .path = "/d/a"},
                 (struct fault){.status = 403});
        assert_status(-EINPROGRESS, commit());
        assert_text("b", "2");
        assert_string_equal(list().state, "conflicted");
        fault_clear(server);
        assert_status(1, recover(LARDER_TXN_FINISH));
        assert_text("a", NULL);
        assert_status(0, recover(ours ? LARDER_TXN_OURS : LARDER_TXN_THEIRS));
        assert_text("a", ours ? "1" : NULL);
        assert_int_equal(list().count, 0);
        larder_fs_free(view);
        view = NULL;
    }
}

static void a_place_that_only_reads_is_in_no_transaction(void **state)
{
    struct larder_fs *reads, *out;
    assert_ok(larder_open(NULL, fault_server_url(server), NULL, &reads, NULL));
    assert_status(-ENOTSUP, larder_txn_fs(txn, reads, &out));
    larder_fs_free(reads);
}

static void write_elsewhere(void *arg, const struct fault_request *request)
{
    fault_file_text(server, arg, "theirs");
}

static void a_conflict_before_anything_is_there_publishes_nothing(void **state)
{
    static char path[] = "/d/a";
    put("a", "1", LARDER_CREATE);
    put("b", "2", 0);
    fault_on(server, (struct fault_match){.method = "PUT", .path = "/d/a", .count = 1},
             (struct fault){.hook = write_elsewhere, .arg = path});
    assert_status(-EEXIST, commit());
    assert_text("a", "theirs");
    assert_text("b", NULL);
    assert_text("old", "old");
    assert_ok(larder_txn_rollback(txn));
    txn = NULL;
    assert_int_equal(list().count, 0);
}

/* The first is there, so it is decided; the second was written by somebody else since it was asked for. */
static void conflict(void)
{
    static char path[] = "/d/b";
    put("a", "1", LARDER_CREATE);
    put("b", "ours", LARDER_CREATE);
    put("c", "3", 0);
    fault_on(server, (struct fault_match){.method = "PUT", .path = "/d/a", .count = 1},
             (struct fault){.hook = write_elsewhere, .arg = path});
    assert_status(-EINPROGRESS, commit());
    assert_non_null(strstr(larder_error(), "/d/b"));
    assert_string_equal(list().state, "conflicted");
    assert_string_equal(list().conflict, "d/b");
    assert_text("a", "1");
    assert_text("b", "theirs");
    assert_text("c", "3");
    assert_status(1, recover(LARDER_TXN_FINISH));
    assert_status(0, recover(LARDER_TXN_ROLLBACK)); /* it is committed, and left alone */
    assert_string_equal(list().state, "conflicted");
}

static void a_later_conflict_may_be_left_as_it_is(void **state)
{
    conflict();
    assert_status(0, recover(LARDER_TXN_THEIRS));
    assert_text("b", "theirs");
    assert_int_equal(list().count, 0);
}

static void a_later_conflict_may_be_written_over(void **state)
{
    conflict();
    assert_status(0, recover(LARDER_TXN_OURS));
    assert_text("b", "ours");
    assert_int_equal(list().count, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(what_cannot_be_published_now_is_finished_by_a_recovery),
        CASE(what_the_network_keeps_from_being_published_is_published_later),
        CASE(what_a_recovery_writes_has_its_type),
        CASE(the_next_transaction_finishes_what_is_left),
        CASE(what_is_refused_waits_for_a_word),
        CASE(a_place_that_only_reads_is_in_no_transaction),
        CASE(answers_that_were_lost_are_looked_up),
        CASE(a_conflict_before_anything_is_there_publishes_nothing),
        CASE(a_later_conflict_may_be_left_as_it_is),
        CASE(a_later_conflict_may_be_written_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
