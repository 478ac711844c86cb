/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each status of an answer is as a failure, and how often it is asked again: the table of docs/http.md is the one
 * that is tried here, row by row, on reads, looks, listings and changes.
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "dav_said.h"
#include "fault_server.h"
#include "jump_clock.h"

#define TRIES 5

static struct fault_server *server;
static struct larder_fs *plain, *dav;
static char dav_url[128];

static int setup(void **state)
{
    server = fault_server_start();
    fault_writable(server);
    fault_file_text(server, "/d/f", "0123456789");
    fault_file_text(server, "/d/g", "0123456789");
    snprintf(dav_url, sizeof dav_url, "webdav%s", fault_server_url(server) + strlen("http"));
    assert_ok(larder_open(NULL, dav_url, NULL, &dav, NULL));
    assert_ok(
        larder_open(NULL, fault_server_url(server), (const char *[]){"http.write=true", NULL}, &plain, NULL));
    return 0;
}

static int teardown(void **state)
{
    larder_fs_free(plain);
    larder_fs_free(dav);
    fault_server_stop(server);
    return 0;
}

/* ---- what is asked ---- */

static int read_all(struct larder_fs *fs)
{
    struct larder_bytes bytes = {0};
    int rc = larder_cat_file(fs, "d/f", NULL, &bytes);
    larder_bytes_free(&bytes);
    return rc;
}

static int read_range(struct larder_fs *fs)
{
    struct larder_bytes bytes = {0};
    int rc = larder_cat_file(fs, "d/f", &(struct larder_range){2, 4}, &bytes);
    larder_bytes_free(&bytes);
    return rc;
}

static int look(struct larder_fs *fs)
{
    struct larder_info info = {0};
    int rc = larder_info(fs, "d/f", &info);
    larder_info_free(&info);
    return rc;
}

static int list(struct larder_fs *fs)
{
    struct larder_entries entries = {0};
    int rc = larder_ls(fs, "d", &entries);
    larder_entries_free(&entries);
    return rc;
}

static int write_file(struct larder_fs *fs)
{
    return larder_pipe_file(fs, "d/new", "bytes", 5, 0);
}

static int create_file(struct larder_fs *fs)
{
    return larder_pipe_file(fs, "d/new", "bytes", 5, LARDER_CREATE);
}

static int remove_file(struct larder_fs *fs)
{
    return larder_rm_file(fs, "d/f");
}

static int make_directory(struct larder_fs *fs)
{
    return larder_mkdir(fs, "d/new", false);
}

static int remove_directory(struct larder_fs *fs)
{
    return larder_rmdir(fs, "e");
}

/* Who knows no copying (405, 501) is not asked again. */
static int copy_file(struct larder_fs *fs)
{
    struct larder_fs *other;
    assert_ok(larder_open(NULL, dav_url, (const char *[]){"skip_instance_cache=true", NULL}, &other, NULL));
    int rc = larder_cp_file(other, "d/f", other, "d/new", 0, NULL, NULL);
    if (rc == 0)
        assert_ok(larder_cp_file(other, "d/f", other, "d/new", 0, NULL, NULL));
    larder_fs_free(other);
    return rc;
}

static int move_file(struct larder_fs *fs)
{
    return larder_mv(fs, (const char *[]){"d/f"}, 1, fs, "d/new", NULL);
}

enum kind { ASKS, CHANGES };
static const struct ask {
    const char *name, *method, *path; /* that is answered so; NULL: any */
    enum kind kind;
    bool plain, dav; /* where it is asked so */
    int (*call)(struct larder_fs *fs);
} asks[] = {
    {"read", "GET", "/d/f", ASKS, true, true, read_all},
    {"read of a range", "GET", "/d/f", ASKS, true, true, read_range},
    {"info", "HEAD", "/d/f", ASKS, true, false, look},
    {"info", "PROPFIND", "/d/f", ASKS, false, true, look},
    {"ls", "GET", "/d/", ASKS, true, false, list},
    {"ls", "PROPFIND", "/d/", ASKS, false, true, list},
    {"write", "PUT", "/d/new", CHANGES, true, true, write_file},
    {"create", "PUT", NULL, CHANGES, true, true, create_file},
    {"rm_file", "DELETE", "/d/f", CHANGES, true, true, remove_file},
    {"mkdir", "MKCOL", "/d/new/", CHANGES, false, true, make_directory},
    {"rmdir", "DELETE", "/e/", CHANGES, false, true, remove_directory},
    {"copy", "COPY", "/d/f", CHANGES, false, true, copy_file},
    {"move", "MOVE", "/d/f", CHANGES, false, true, move_file},
};
#define ASKS_COUNT (sizeof asks / sizeof *asks)

/* ---- the table ---- */

struct row {
    int status, rc[2]; /* ASKS, CHANGES */
    bool again;
};

static int errno_named(const char *name)
{
    for (int status = -1; status > -200; status--)
        if (strcmp(larder_status_name(status), name) == 0)
            return status;
    fail_msg("%s is no name of a status", name);
    return 0;
}

/* The rows of one line of the table; their count. */
static size_t parse_line(const char *line, struct row *rows)
{
    char statuses[128], names[2][32], again[8], *at = statuses;
    size_t count = 0;
    if (sscanf(line, "| %127[0-9, ] | -%31[A-Z] | -%31[A-Z] | %7[a-z] |", statuses, names[0], names[1],
               again) != 4)
        return 0;
    for (;; count++) {
        char *end;
        long status = strtol(at, &end, 10);
        if (end == at)
            return count;
        rows[count] = (struct row){(int)status,
                                   {errno_named(names[ASKS]), errno_named(names[CHANGES])},
                                   strcmp(again, "yes") == 0};
        at = end + strspn(end, ", ");
    }
}

static size_t read_table(struct row *rows, size_t rows_max)
{
    char path[4096], line[512];
    size_t count = 0;
    snprintf(path, sizeof path, "%s/docs/http.md", getenv("LARDER_SOURCE_ROOT"));
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        assert_true(count + 32 < rows_max);
        count += parse_line(line, rows + count);
    }
    fclose(file);
    return count;
}

/* ---- trying it ---- */

static void say(const char *path, const char *responses)
{
    dav_say(server, "PROPFIND", path, 0, responses);
}

/* What looks find, which explains no refusal. */
static void say_what_is_there(void)
{
    fault_file_set(server, "/d/f", &(struct fault_file){.data = "0123456789", .size = 10, .etag = "\"v\""});
    fault_file_remove(server, "/d/new");
    say("/d/f", SAID("/d/f", PROPS("<D:resourcetype/><D:getetag>\"v\"</D:getetag>", "200 OK")));
    say("/d", SELF);
    say("/d/", SELF);
    say("/e/", SAID("/e/", PROPS(DIRECTORY, "200 OK")));
    fault_on(server, (struct fault_match){.method = "PROPFIND"}, (struct fault){.status = 404});
}

static void answer(const struct ask *ask, struct fault fault)
{
    fault_clear(server);
    fault_forget(server);
    fault_on(server, (struct fault_match){.method = ask->method, .path = ask->path}, fault);
    if (strcmp(ask->method, "HEAD") == 0) /* which some servers do not know: GET has the last word */
        fault_on(server, (struct fault_match){.method = "GET", .path = ask->path}, fault);
    say_what_is_there();
}

/* What is not as its row says, and has a reason. */
static int expected_of(const struct ask *ask, bool is_dav, const struct row *row)
{
    bool goes_without = ask->call == copy_file || ask->call == move_file; /* by reading and writing */
    if (row->rc[CHANGES] == -ENOTSUP && goes_without)
        return 0;
    if (row->status == 412 && ask->call == create_file && !is_dav) /* there the MOVE has the condition */
        return -EEXIST;
    return row->rc[ask->kind];
}

static size_t tries_of(const struct ask *ask, const struct row *row)
{
    bool of_this_file = row->rc[CHANGES] == -ENOTSUP && row->status != 405 && row->status != 501;
    if (ask->call == copy_file && of_this_file)
        return 4; /* each of its two copies is asked for by itself, and before the bytes pass through here */
    return row->again ? TRIES : 1;
}

static int try_row(const struct ask *ask, bool is_dav, const struct row *row)
{
    int expected = expected_of(ask, is_dav, row);
    size_t tries = tries_of(ask, row);
    if (row->status == 416 && ask->call == read_range) /* an empty read, perhaps: test_answers.c */
        return 0;
    answer(ask, (struct fault){.status = row->status, .body = "why", .body_size = 3});
    int rc = ask->call(is_dav ? dav : plain);
    size_t asked = fault_count(server, ask->method, ask->path);
    if (rc == expected && asked == tries)
        return 0;
    print_message("%s %s of %d: %s (%s) in %zu requests, not %s in %zu\n", is_dav ? "webdav" : "http",
                  ask->name, row->status, larder_status_name(rc), larder_error(), asked,
                  larder_status_name(expected), tries);
    return 1;
}

static void each_status_is_what_the_documentation_says(void **state)
{
    static struct row rows[256];
    size_t count = read_table(rows, 256);
    int wrong = 0;
    assert_true(count > 50);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < ASKS_COUNT; j++) {
            if (asks[j].plain)
                wrong += try_row(&asks[j], false, &rows[i]);
            if (asks[j].dav)
                wrong += try_row(&asks[j], true, &rows[i]);
        }
    assert_int_equal(wrong, 0);
}

/* As many tries as all else that may pass; 204, say, is no file, and no listing. */
static void a_success_that_is_none_is_asked_again(void **state)
{
    static const int statuses[] = {201, 202, 204, 205, 207, 208, 226};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        for (const struct ask *ask = asks; ask->kind == ASKS; ask++) {
            if (!ask->plain)
                continue;
            answer(ask, (struct fault){.status = statuses[i]});
            assert_status(-EPROTO, ask->call(plain));
            assert_int_equal(fault_count(server, ask->method, ask->path), TRIES);
        }
}

static void what_nobody_asked_about_is_not_unchanged(void **state)
{
    for (const struct ask *ask = asks; ask < asks + ASKS_COUNT; ask++) {
        if (!ask->plain)
            continue;
        answer(ask, (struct fault){.status = 304});
        assert_status(-EPROTO, ask->call(plain));
        assert_int_equal(fault_count(server, ask->method, ask->path), ask->kind == ASKS ? TRIES : 1);
    }
}

static void what_comes_before_an_answer_is_none(void **state)
{
    static const int statuses[] = {100, 102, 103, 199};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        for (const struct ask *ask = asks; ask < asks + ASKS_COUNT; ask++) {
            if (!ask->plain)
                continue;
            answer(ask, (struct fault){.interim = statuses[i]});
            assert_ok(ask->call(plain));
            assert_int_equal(fault_count(server, ask->method, ask->path), 1);
        }
}

static void a_misdirected_request_goes_by_another_connection(void **state)
{
    fault_on(server, (struct fault_match){.count = 1}, (struct fault){.status = 421});
    assert_ok(read_all(plain));
    assert_int_equal(fault_connections(server), 2);
    assert_int_equal(fault_request(server, 0)->connection, 1);
    assert_int_equal(fault_request(server, 1)->connection, 2);
}

static void arrive(void *arg, const struct fault_request *request)
{
    fault_file_text(server, "/d/new", arg);
}

/* What stands in front of a server may not have heard its answer. */
static void a_create_that_a_gateway_lost_sight_of_is_looked_for(void **state)
{
    static char ours[] = "bytes", theirs[] = "others";
    static const int statuses[] = {408, 502, 504, 520};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        for (int taken = 0; taken < 2; taken++) {
            const struct ask create = {.method = "PUT"};
            answer(&create,
                   (struct fault){.status = statuses[i], .hook = arrive, .arg = taken ? theirs : ours});
            assert_status(taken ? -EEXIST : 0, create_file(plain));
            assert_int_equal(fault_count(server, "PUT", NULL), 1);
        }
}

/* "Not now" to the end, from a gateway that had passed one of the tries on. */
static void what_was_put_off_to_the_end_is_looked_for(void **state)
{
    static char ours[] = "bytes";
    static const int last[] = {503, 429, 425, 423};
    const struct ask create = {.method = "PUT"};
    for (size_t i = 0; i < sizeof last / sizeof *last; i++) {
        answer(&create, (struct fault){.status = last[i]});
        assert_status(-EBUSY, create_file(plain)); /* it is not there */
        fault_clear(server);
        fault_on(server, (struct fault_match){.method = "PUT", .count = 1},
                 (struct fault){.status = 503, .hook = arrive, .arg = ours});
        fault_on(server, (struct fault_match){.method = "PUT"}, (struct fault){.status = last[i]});
        assert_ok(create_file(plain));
        fault_file_remove(server, "/d/new");
        fault_on(server, (struct fault_match){.method = "GET"}, (struct fault){.status = 503});
        assert_status(-EBUSY, create_file(plain));
        assert_true(last[i] != 503 || strstr(larder_error(), "it is not known whether it was written"));
    }
}

static void who_wants_to_know_a_proxys_user_is_named(void **state)
{
    char address[64];
    snprintf(address, sizeof address, "407 Proxy Authentication Required, says 127.0.0.1:%u",
             fault_server_port(server));
    answer(&asks[0], (struct fault){.status = 407});
    assert_status(-EACCES, read_all(plain));
    assert_non_null(strstr(larder_error(), address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(each_status_is_what_the_documentation_says),
        TEST(a_success_that_is_none_is_asked_again),
        TEST(what_nobody_asked_about_is_not_unchanged),
        TEST(what_comes_before_an_answer_is_none),
        TEST(a_misdirected_request_goes_by_another_connection),
        TEST(a_create_that_a_gateway_lost_sight_of_is_looked_for),
        TEST(what_was_put_off_to_the_end_is_looked_for),
        TEST(who_wants_to_know_a_proxys_user_is_named),
    };
    jump_clock_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
