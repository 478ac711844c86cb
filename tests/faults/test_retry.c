/* SPDX-License-Identifier: Apache-2.0 */
/* What may pass is asked again, so often and so late as is said, and no more than that. */
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "larder.h"

#include "base/seams.h"
#include "fault_server.h"
#include "jump_clock.h"
#include "read_content.h"

#define SIZE 100000
#define SEED 1

static struct fault_server *server;
static struct larder_fs *fs;

static struct larder_fs *open_with(const char *option)
{
    struct larder_fs *opened;
    const char *options[] = {option, NULL};
    assert_ok(larder_open(NULL, fault_server_url(server), options, &opened, NULL));
    return opened;
}

static int setup(void **state)
{
    server = fault_server_start();
    fault_file_content(server, "/f", SIZE, SEED, "\"v1\"");
    fs = open_with(NULL);
    jump_clock_pause(false);
    jump_clock_forget();
    return 0;
}

static int teardown(void **state)
{
    larder_fs_free(fs);
    fault_server_stop(server);
    return 0;
}

/* 0: right. Negative: the read's failure. */
static int read_whole(struct larder_fs *from)
{
    return read_content(from, NULL, SEED, 0, SIZE);
}

static void fault_times(unsigned count, struct fault fault)
{
    fault_clear(server);
    fault_forget(server);
    jump_clock_forget();
    fault_on(server, (struct fault_match){.count = count}, fault);
}

static void assert_asked(size_t count)
{
    assert_int_equal(fault_count(server, NULL, NULL), count);
}

/* ---- how often, how late ---- */

static void what_does_not_pass_fails_after_five_tries_with_growing_waits(void **state)
{
    for (int round = 0; round < 20; round++) {
        fault_times(0, (struct fault){.status = 503});
        assert_status(-EBUSY, read_whole(fs));
        assert_text("/f: 503 Service Unavailable, 5 tries in ");
        assert_asked(5);
        assert_int_equal(jump_clock_count(), 4);
        for (unsigned i = 0; i < 4; i++)
            assert_in_range(jump_clock_sleep_ms(i), 50U << i, 100U << i);
    }
}

static void waits_differ_so_that_many_do_not_come_back_together(void **state)
{
    uint64_t least = UINT64_MAX, most = 0;
    for (int i = 0; i < 40; i++) {
        fault_times(1, (struct fault){.status = 503});
        assert_ok(read_whole(fs));
        uint64_t wait = jump_clock_sleep_ms(0);
        least = wait < least ? wait : least;
        most = wait > most ? wait : most;
    }
    assert_true(most > least);
}

static void what_passes_is_no_failure(void **state)
{
    static const int statuses[] = {408, 425, 429, 500, 502, 503, 504, 520};
    static const struct fault faults[] = {
        {.flags = FAULT_NO_ANSWER, .end = FAULT_CLOSE},
        {.flags = FAULT_NO_ANSWER, .end = FAULT_RESET},
        {.end = FAULT_CLOSE, .at = 0},
        {.end = FAULT_RESET, .at = SIZE - 1},
        {.headers = "Content-Length: 99999999\r\n", .end = FAULT_CLOSE, .at = SIZE},
        {.flags = FAULT_GZIP},
        {.status = 206, .body = "x", .body_size = 1},
        {.status = 304},
        {.status = 204},
    };
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        fault_times(1, (struct fault){.status = statuses[i], .body = "later", .body_size = 5});
        assert_ok(read_whole(fs));
        assert_asked(2);
        assert_string_equal(larder_error(), "");
    }
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        fault_times(1, faults[i]);
        int rc = read_whole(fs);
        if (rc < 0)
            fail_msg("fault %zu: %d %s", i, rc, larder_error());
        assert_true(fault_count(server, NULL, NULL) > 1);
    }
}

static void what_is_an_answer_is_asked_for_once(void **state)
{
    static const struct {
        int answer, status;
    } answers[] = {{400, -EINVAL}, {401, -EACCES}, {403, -EACCES}, {404, -ENOENT}, {405, -ENOTSUP},
                   {409, -EBUSY},  {410, -ENOENT}, {412, -ESTALE}, {418, -EIO},    {501, -ENOTSUP},
                   {507, -ENOSPC}, {300, -EPROTO}, {600, -EPROTO}};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        fault_times(0, (struct fault){.status = answers[i].answer});
        assert_status(answers[i].status, read_whole(fs));
        assert_asked(1);
        assert_null(strstr(larder_error(), "tries"));
    }
}

static void tries_and_time_can_be_set(void **state)
{
    struct larder_fs *once = open_with("http.max_tries=1"), *hasty = open_with("http.retry_timeout=0.2");
    fault_times(0, (struct fault){.status = 503});
    assert_status(-EBUSY, read_whole(once));
    assert_text("503 Service Unavailable, 1 try in ");
    assert_asked(1);
    fault_times(0, (struct fault){.status = 503});
    assert_status(-EBUSY, read_whole(hasty));
    assert_in_range(fault_count(server, NULL, NULL), 2, 3);
    assert_true(jump_clock_total_ms() <= 200);
    assert_status(-EINVAL,
                  larder_open(NULL, "http://h/", (const char *const[]){"max_tries=0", NULL}, &once, NULL));
    larder_fs_free(once);
    larder_fs_free(hasty);
}

/* ---- Retry-After ---- */

static void retry_after_is_waited_for(void **state)
{
    fault_times(2, (struct fault){.status = 429, .headers = "Retry-After: 3\r\n"});
    assert_ok(read_whole(fs));
    assert_asked(3);
    assert_in_range(jump_clock_sleep_ms(0), 3000, 3200);
    assert_in_range(jump_clock_sleep_ms(1), 3000, 3300);
}

/* By the server's clock, which may be wrong. */
static void retry_after_may_be_a_date(void **state)
{
    fault_times(1, (struct fault){.status = 503,
                                  .headers = "Date: Sun, 22 Nov 2020 22:20:30 GMT\r\n"
                                             "Retry-After: Sun, 22 Nov 2020 22:20:37 GMT\r\n"});
    assert_ok(read_whole(fs));
    assert_in_range(jump_clock_sleep_ms(0), 7000, 7200);
    char headers[128];
    time_t in_four = (time_t)(wall_ns() / 1000000000) + 4;
    strftime(headers, sizeof headers, "Retry-After: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime(&in_four));
    fault_times(1, (struct fault){.status = 503, .headers = headers});
    assert_ok(read_whole(fs));
    assert_in_range(jump_clock_sleep_ms(0), 2000, 4200);
}

static void a_date_that_has_passed_or_makes_no_sense_is_no_wait(void **state)
{
    static const char *const headers[] = {
        "Retry-After: Sun, 22 Nov 1998 22:20:37 GMT\r\n",
        "Retry-After: -5\r\n",
        "Retry-After: soon\r\n",
        "Retry-After: 1.5\r\n",
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        fault_times(1, (struct fault){.status = 503, .headers = headers[i]});
        assert_ok(read_whole(fs));
        assert_in_range(jump_clock_sleep_ms(0), 50, 100);
    }
}

static void who_is_told_to_wait_too_long_does_not(void **state)
{
    static const char *const headers[] = {"Retry-After: 60\r\n", "Retry-After: 99999999999999999999\r\n",
                                          "Retry-After: 9223372036854775\r\n"};
    for (size_t i = 0; i < 3; i++) {
        fault_times(0, (struct fault){.status = 503, .headers = headers[i]});
        assert_status(-EBUSY, read_whole(fs));
        assert_asked(1);
        assert_int_equal(jump_clock_count(), 0);
        assert_text("503 Service Unavailable, 1 try in ");
    }
}

/* ---- everything that asks ---- */

static void info_and_listings_are_tried_again_too(void **state)
{
    struct larder_info info;
    struct larder_entries entries;
    static const struct fault faults[] = {{.status = 502}, {.flags = FAULT_NO_ANSWER, .end = FAULT_CLOSE}};
    for (size_t i = 0; i < 2; i++) {
        fault_times(2, faults[i]);
        assert_ok(larder_info(fs, "f", &info));
        assert_int_equal(info.size, SIZE);
        larder_info_free(&info);
        assert_asked(3);
        fault_times(2, faults[i]);
        assert_ok(larder_ls(fs, "", &entries));
        assert_int_equal(entries.count, 1);
        larder_entries_free(&entries);
        assert_asked(3);
    }
    fault_times(2, (struct fault){.end = FAULT_CLOSE, .at = 100}); /* a page that was cut is read anew */
    assert_ok(larder_ls(fs, "", &entries));
    assert_int_equal(entries.count, 1);
    larder_entries_free(&entries);
    fault_times(0, (struct fault){.status = 500});
    assert_true(larder_exists(fs, "f") < 0);
    assert_text("HEAD ");
    assert_text("500 Internal Server Error, 5 tries in ");
}

/* ---- nobody there ---- */

static void a_host_where_nobody_is_costs_one_call_the_waits_and_no_other(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* bound, but nobody listens */
    char url[64];
    struct larder_fs *nowhere;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    assert_ok(larder_open(NULL, url, NULL, &nowhere, NULL));
    assert_status(-ECONNREFUSED, read_whole(nowhere));
    assert_text(", 5 tries in ");
    assert_int_equal(jump_clock_count(), 4);
    for (int i = 0; i < 10; i++) {
        assert_status(-ECONNREFUSED, read_whole(nowhere));
        assert_text(", 1 try in ");
    }
    assert_int_equal(jump_clock_count(), 4);
    larder_fs_free(nowhere);
    close(fd);
}

/* A listener whose queue is full: who connects hears nothing. */
static int open_deaf(char *url, size_t url_size, int callers[16])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    for (int i = 0; i < 16; i++) {
        callers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(callers[i], (struct sockaddr *)&address, size);
    }
    snprintf(url, url_size, "http://127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}

static int read_task(void *arg)
{
    return read_whole(arg);
}

static void a_connection_that_is_never_made_is_given_up(void **state)
{
    static const char *const options[] = {"connect_timeout=0.2", "max_tries=3", NULL};
    struct larder_fs *deaf;
    struct larder_task *task;
    char url[64];
    int callers[16], fd = open_deaf(url, sizeof url, callers);
    assert_ok(larder_open(NULL, url, options, &deaf, NULL));
    assert_status(-ETIMEDOUT, read_whole(deaf));
    assert_text(", 3 tries in ");
    larder_fs_free(deaf);
    /* curl closes what was still connecting in a way of its own: all the same nothing else is harmed. */
    assert_ok(larder_open(NULL, url, NULL, &deaf, NULL));
    for (int i = 0; i < 10; i++) {
        assert_ok(larder_spawn(NULL, read_task, deaf, NULL, NULL, &task));
        usleep(10000);
        larder_cancel(task);
        assert_status(-ECANCELED, larder_join(task));
        assert_ok(read_whole(fs));
    }
    larder_fs_free(deaf);
    for (int i = 0; i < 16; i++)
        close(callers[i]);
    close(fd);
}

/* curl says of a kept connection that no time went by until it was connected, as of one that was never made. */
static void a_stall_on_a_kept_connection_is_no_missing_host(void **state)
{
    static const char *const options[] = {"http.stall_timeout=0.3", "http.write=true", NULL};
    struct larder_fs *writer;
    fault_writable(server);
    assert_ok(larder_open(NULL, fault_server_url(server), options, &writer, NULL));
    assert_ok(read_whole(writer));
    fault_on(server, (struct fault_match){.method = "PUT", .count = 1},
             (struct fault){.end = FAULT_STALL, .flags = FAULT_UNANSWERED});
    assert_ok(larder_pipe_file(writer, "new", "x", 1, LARDER_CREATE));
    assert_int_equal(fault_count(server, "PUT", "/new"), 1); /* it was looked at instead */
    larder_fs_free(writer);
}

/* ---- ends ---- */

static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void a_cancel_ends_a_wait(void **state)
{
    struct larder_task *task;
    jump_clock_pause(true);
    fault_times(0, (struct fault){.status = 503, .headers = "Retry-After: 14\r\n"});
    double begun = now_s();
    assert_ok(larder_spawn(NULL, read_task, fs, NULL, NULL, &task));
    fault_wait_requests(server, 1);
    usleep(20000); /* it may have begun to wait */
    larder_cancel(task);
    assert_status(-ECANCELED, larder_join(task));
    assert_true(now_s() - begun < 13);
    assert_asked(1);
}

static void a_deadline_is_one_for_all_tries(void **state)
{
    struct larder_fs *short_of_time = open_with("http.timeout=0.3");
    jump_clock_pause(true);
    fault_times(0, (struct fault){.status = 503, .headers = "Retry-After: 14\r\n"});
    double begun = now_s();
    assert_status(-ETIMEDOUT, read_whole(short_of_time));
    assert_text("not done within 0.3 s: GET ");
    assert_text("503 Service Unavailable, 1 try in ");
    assert_true(now_s() - begun < 13);
    assert_asked(1);
    larder_fs_free(short_of_time);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(what_does_not_pass_fails_after_five_tries_with_growing_waits),
        TEST(waits_differ_so_that_many_do_not_come_back_together),
        TEST(what_passes_is_no_failure),
        TEST(what_is_an_answer_is_asked_for_once),
        TEST(tries_and_time_can_be_set),
        TEST(retry_after_is_waited_for),
        TEST(retry_after_may_be_a_date),
        TEST(a_date_that_has_passed_or_makes_no_sense_is_no_wait),
        TEST(who_is_told_to_wait_too_long_does_not),
        TEST(info_and_listings_are_tried_again_too),
        TEST(a_host_where_nobody_is_costs_one_call_the_waits_and_no_other),
        TEST(a_connection_that_is_never_made_is_given_up),
        TEST(a_stall_on_a_kept_connection_is_no_missing_host),
        TEST(a_cancel_ends_a_wait),
        TEST(a_deadline_is_one_for_all_tries),
    };
    jump_clock_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
