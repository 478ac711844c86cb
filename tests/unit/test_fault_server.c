/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fault_server.h"

#define BODY "0123456789"

static struct fault_server *server;

/* What came back on one connection, up to its end. */
struct reply {
    char text[1536];
    size_t size;
    int error; /* of recv: ECONNRESET, or 0 at a proper end */
};

static int dial(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons(fault_server_port(server)),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void say(int fd, const char *method, const char *target, const char *headers)
{
    char text[768];
    int size = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n", method, target, headers);
    assert_int_equal(send(fd, text, (size_t)size, MSG_NOSIGNAL), size);
}

static void hear(int fd, struct reply *reply)
{
    *reply = (struct reply){0};
    ssize_t n;
    while ((n = recv(fd, reply->text + reply->size, sizeof(reply->text) - 1 - reply->size, 0)) > 0)
        reply->size += (size_t)n;
    reply->error = n < 0 ? errno : 0;
    close(fd);
}

static const char *ask_with(const char *method, const char *target, const char *headers)
{
    static struct reply reply;
    char all[512];
    snprintf(all, sizeof(all), "Connection: close\r\n%s", headers);
    int fd = dial();
    say(fd, method, target, all);
    hear(fd, &reply);
    return reply.text;
}

static const char *ask(const char *target, const char *headers)
{
    return ask_with("GET", target, headers);
}

static int status_of(const char *reply)
{
    return strncmp(reply, "HTTP/1.", 7) == 0 ? atoi(reply + 9) : -1;
}

static const char *body_of(const char *reply)
{
    const char *end = strstr(reply, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

#define assert_holds(reply, text)     assert_non_null(strstr((reply), (text)))
#define assert_holds_not(reply, text) assert_null(strstr((reply), (text)))

static int start(void **state)
{
    server = fault_server_start();
    fault_file_set(server, "/a", &(struct fault_file){.data = BODY, .size = 10, .etag = "\"v1\""});
    return 0;
}

static int stop(void **state)
{
    fault_server_stop(server);
    return 0;
}

/* ---- the proper half ---- */

static void a_file_is_served_with_its_validators(void **state)
{
    const char *reply = ask("/a", "");
    assert_int_equal(status_of(reply), 200);
    assert_string_equal(body_of(reply), BODY);
    assert_holds(reply, "\r\nContent-Length: 10\r\n");
    assert_holds(reply, "\r\nETag: \"v1\"\r\n");
    assert_holds(reply, "\r\nLast-Modified: Sun, 22 Nov 2026 22:20:00 GMT\r\n");
    assert_int_equal(status_of(ask("/b", "")), 404);
    assert_int_equal(status_of(ask_with("PUT", "/a", "Content-Length: 0\r\n")), 405);
}

static void a_head_has_the_length_and_no_body(void **state)
{
    const char *reply = ask_with("HEAD", "/a", "");
    assert_int_equal(status_of(reply), 200);
    assert_holds(reply, "\r\nContent-Length: 10\r\n");
    assert_string_equal(body_of(reply), "");
}

static void ranges_are_cut_out_as_asked(void **state)
{
    static const struct {
        const char *range, *body, *content_range;
        int status;
    } cases[] = {
        {"bytes=0-0", "0", "bytes 0-0/10", 206},  {"bytes=2-4", "234", "bytes 2-4/10", 206},
        {"bytes=7-", "789", "bytes 7-9/10", 206}, {"bytes=-2", "89", "bytes 8-9/10", 206},
        {"bytes=-50", BODY, "bytes 0-9/10", 206}, {"bytes=8-50", "89", "bytes 8-9/10", 206},
        {"bytes=10-", NULL, "bytes */10", 416},   {"bytes=-0", NULL, "bytes */10", 416},
        {"bytes=0-1,3-4", BODY, "Accept", 200},   {"lines=1-2", BODY, "Accept", 200},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char header[64];
        snprintf(header, sizeof(header), "Range: %s\r\n", cases[i].range);
        const char *reply = ask("/a", header);
        assert_int_equal(status_of(reply), cases[i].status);
        assert_holds(reply, cases[i].content_range);
        if (cases[i].body)
            assert_string_equal(body_of(reply), cases[i].body);
    }
}

static void conditions_are_decided_by_strong_and_weak_comparison(void **state)
{
    fault_file_set(server, "/weak", &(struct fault_file){.data = "w", .size = 1, .etag = "W/\"w\""});
    static const struct {
        const char *path, *header;
        int status;
    } cases[] = {
        {"/a", "If-Match: \"v1\"\r\n", 200},
        {"/a", "If-Match: \"v0\", \"v1\"\r\n", 200},
        {"/a", "If-Match: *\r\n", 200},
        {"/a", "If-Match: \"v2\"\r\n", 412},
        {"/a", "If-Match: W/\"v1\"\r\n", 412},
        {"/weak", "If-Match: W/\"w\"\r\n", 412},
        {"/a", "If-None-Match: \"v1\"\r\n", 304},
        {"/a", "If-None-Match: \"v0\",W/\"v1\"\r\n", 304},
        {"/a", "If-None-Match: \"v\"\r\n", 200},
        {"/weak", "If-None-Match: \"w\"\r\n", 304},
        {"/a", "If-Modified-Since: Sun, 22 Nov 2026 22:20:00 GMT\r\n", 304},
        {"/a", "If-Modified-Since: Sun, 22 Nov 2026 22:19:59 GMT\r\n", 200},
        {"/a", "If-None-Match: \"x\"\r\nIf-Modified-Since: Sun, 22 Nov 2026 22:20:00 GMT\r\n", 200},
        {"/a", "If-Unmodified-Since: Sun, 22 Nov 2026 22:19:59 GMT\r\n", 412},
        {"/a", "Range: bytes=0-1\r\nIf-Range: \"v1\"\r\n", 206},
        {"/a", "Range: bytes=0-1\r\nIf-Range: \"v2\"\r\n", 200},
        {"/weak", "Range: bytes=0-0\r\nIf-Range: W/\"w\"\r\n", 200},
        {"/a", "Range: bytes=0-1\r\nIf-Range: Sun, 22 Nov 2026 22:20:00 GMT\r\n", 206},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(status_of(ask(cases[i].path, cases[i].header)), cases[i].status);
}

static void a_directory_is_listed_as_nginx_does(void **state)
{
    fault_file_text(server, "/d/a b", "1");
    fault_file_text(server, "/d/sub/x", "");
    fault_file_text(server, "/d/sub/y", "");
    const char *reply = ask("/d/", "");
    assert_int_equal(status_of(reply), 200);
    assert_holds(reply,
                 "<a href=\"../\">../</a>\r\n"
                 "<a href=\"a%20b\">a b</a>                                                22-Nov-2026 22:20"
                 "                   1\r\n"
                 "<a href=\"sub/\">sub/</a>                                               22-Nov-2026 22:20"
                 "                   -\r\n</pre>");
    assert_holds(ask("/d?q", ""), "\r\nLocation: /d?q/\r\n");
    assert_string_equal(body_of(ask("/d/a%20b", "")), "1");
    assert_int_equal(status_of(ask("/e/", "")), 404);

    fault_index_as(server, FAULT_INDEX_JSON);
    assert_string_equal(
        body_of(ask("/d/", "")),
        "[\n{ \"name\":\"a b\", \"type\":\"file\", \"mtime\":\"Sun, 22 Nov 2026 22:20:00 GMT\", \"size\":1 },"
        "\n{ \"name\":\"sub\", \"type\":\"directory\", \"mtime\":\"Sun, 22 Nov 2026 22:20:00 GMT\" }\n]");
    fault_index_as(server, FAULT_INDEX_NONE);
    assert_int_equal(status_of(ask("/d/", "")), 403);
    fault_file_text(server, "/d/", "own page");
    assert_string_equal(body_of(ask("/d/", "")), "own page");
}

static void a_connection_carries_many_requests(void **state)
{
    struct reply reply;
    int fd = dial();
    say(fd, "GET", "/a?1", "");
    fault_wait_requests(server, 1);
    say(fd, "POST", "/a?2", "Content-Length: 4\r\n\r\nbody");
    say(fd, "GET", "/a?3", "Connection: close\r\n");
    hear(fd, &reply);
    assert_string_equal(reply.text + reply.size - 10, BODY);
    assert_int_equal(fault_count(server, NULL, "/a"), 3);
    assert_int_equal(fault_count(server, "POST", NULL), 1);
    assert_string_equal(fault_request(server, 2)->target, "/a?3");
    assert_string_equal(fault_request_header(fault_request(server, 2), "connection"), "close");
    assert_int_equal(fault_connections(server), 1);
}

/* ---- faults ---- */

static void rules_of_one_request_each_are_a_script(void **state)
{
    struct fault_match once = {.path = "/a", .count = 1};
    fault_on(server, once, (struct fault){.status = 503, .headers = "Retry-After: 1\r\n"});
    fault_on(server, once, (struct fault){.status = 302, .headers = "Location: /b\r\n"});
    fault_on(server, (struct fault_match){.header = "Range", .skip = 1}, (struct fault){.status = 500});
    assert_holds(ask("/a", ""), "\r\nRetry-After: 1\r\n");
    assert_holds(ask("/a", ""), "\r\nLocation: /b\r\n");
    assert_int_equal(status_of(ask("/a", "")), 200);
    assert_int_equal(status_of(ask("/a", "Range: bytes=0-1\r\n")), 206);
    assert_int_equal(status_of(ask("/a", "Range: bytes=0-1\r\n")), 500);
    fault_clear(server);
    assert_int_equal(status_of(ask("/a", "Range: bytes=0-1\r\n")), 206);
}

static void an_answer_is_cut_where_it_was_told(void **state)
{
    fault_on(server, (struct fault_match){0}, (struct fault){.end = FAULT_CLOSE, .at = 4});
    const char *reply = ask("/a", "");
    assert_holds(reply, "\r\nContent-Length: 10\r\n");
    assert_string_equal(body_of(reply), "0123");
}

static void a_dropped_request_gets_no_byte(void **state)
{
    fault_on(server, (struct fault_match){0}, (struct fault){.end = FAULT_CLOSE, .flags = FAULT_NO_ANSWER});
    assert_string_equal(ask("/a", ""), "");
}

static void a_reset_is_a_reset(void **state)
{
    struct reply reply;
    fault_on(server, (struct fault_match){0}, (struct fault){.end = FAULT_RESET, .at = 4});
    int fd = dial();
    say(fd, "GET", "/a", "");
    hear(fd, &reply);
    assert_int_equal(reply.error, ECONNRESET);
}

static void a_stalled_answer_goes_on_when_released(void **state)
{
    struct reply reply;
    fault_on(server, (struct fault_match){.count = 1}, (struct fault){.end = FAULT_STALL, .at = 4});
    int fd = dial();
    say(fd, "GET", "/a", "Connection: close\r\n");
    fault_wait_stalled(server, 1);
    fault_file_text(server, "/a", "new bytes!");
    fault_release(server);
    hear(fd, &reply);
    assert_string_equal(body_of(reply.text), BODY); /* as it was when the answer began */
    assert_string_equal(body_of(ask("/a", "")), "new bytes!");
}

static void a_stalled_answer_ends_when_its_client_goes(void **state)
{
    fault_on(server, (struct fault_match){0}, (struct fault){.end = FAULT_STALL, .flags = FAULT_NO_ANSWER});
    int fd = dial();
    say(fd, "GET", "/a", "");
    fault_wait_stalled(server, 1);
    close(fd);
    fault_wait_stalled(server, 0);
}

static void headers_and_bodies_lie_as_told(void **state)
{
    fault_on(server, (struct fault_match){.count = 1, .method = "HEAD"},
             (struct fault){.headers = "Content-Length: 99\r\nETag:\r\nX-New: 1\r\n"});
    fault_on(server, (struct fault_match){.count = 1},
             (struct fault){.headers = "Content-Range: bytes 5-6/10\r\n",
                            .body = "too long",
                            .body_size = 8});
    const char *head = ask_with("HEAD", "/a", "");
    assert_holds(head, "\r\nContent-Length: 99\r\n");
    assert_holds(head, "\r\nX-New: 1\r\n");
    assert_holds_not(head, "ETag");
    const char *reply = ask("/a", "Range: bytes=0-1\r\n");
    assert_int_equal(status_of(reply), 206);
    assert_holds(reply, "\r\nContent-Range: bytes 5-6/10\r\n");
    assert_holds(reply, "\r\nContent-Length: 2\r\n");
    assert_string_equal(body_of(reply), "too long");
}

static void a_body_without_a_length_comes_in_chunks_or_to_the_end(void **state)
{
    struct fault_match once = {.count = 1};
    fault_on(server, once, (struct fault){.flags = FAULT_CHUNKED, .trickle_size = 4, .trickle_ms = 1});
    fault_on(server, once, (struct fault){.flags = FAULT_CHUNKED, .end = FAULT_CLOSE, .at = 3});
    fault_on(server, once, (struct fault){.flags = FAULT_UNTIL_CLOSE});
    fault_on(server, once, (struct fault){.flags = FAULT_HTTP_1_0});
    const char *reply = ask("/a", "");
    assert_holds_not(reply, "Content-Length");
    assert_string_equal(body_of(reply), "4\r\n0123\r\n4\r\n4567\r\n2\r\n89\r\n0\r\n\r\n");
    assert_string_equal(body_of(ask("/a", "")), "3\r\n012\r\n");
    reply = ask("/a", "");
    assert_holds_not(reply, "Content-Length");
    assert_string_equal(body_of(reply), BODY);
    assert_int_equal(strncmp(ask("/a", ""), "HTTP/1.0 200", 12), 0);
}

static void ranges_and_conditions_can_be_ignored(void **state)
{
    fault_on(server, (struct fault_match){0}, (struct fault){.flags = FAULT_NO_RANGES | FAULT_NO_CONDITIONS});
    const char *reply = ask("/a", "Range: bytes=2-3\r\nIf-None-Match: \"v1\"\r\n");
    assert_int_equal(status_of(reply), 200);
    assert_string_equal(body_of(reply), BODY);
    assert_holds_not(reply, "Accept-Ranges");
}

static void a_connection_may_end_after_its_answer_unsaid(void **state)
{
    struct reply reply;
    fault_on(server, (struct fault_match){0}, (struct fault){.flags = FAULT_CLOSE_AFTER});
    int fd = dial();
    say(fd, "GET", "/a", "");
    hear(fd, &reply);
    assert_string_equal(body_of(reply.text), BODY);
    assert_holds_not(reply.text, "Connection");
}

static void what_is_compressed_can_be_unpacked(void **state)
{
    fault_on(server, (struct fault_match){0}, (struct fault){.flags = FAULT_GZIP});
    char command[256], body[32] = "";
    snprintf(command, sizeof(command), "curl -sS --compressed -i %s/a", fault_server_url(server));
    FILE *out = popen(command, "r");
    assert_non_null(out);
    bool weak = false, gzip = false;
    for (char line[256]; fgets(line, sizeof(line), out);) {
        weak = weak || strcmp(line, "ETag: W/\"v1\"\r\n") == 0;
        gzip = gzip || strcmp(line, "Content-Encoding: gzip\r\n") == 0;
        snprintf(body, sizeof(body), "%.31s", line);
    }
    assert_int_equal(pclose(out), 0);
    assert_true(weak && gzip);
    assert_string_equal(body, BODY);
}

static void change_the_file(void *arg, const struct fault_request *request)
{
    fault_file_set(server, request->path, &(struct fault_file){.data = "v2", .size = 2, .etag = "\"v2\""});
}

static void a_hook_may_change_the_file_before_the_answer(void **state)
{
    fault_on(server, (struct fault_match){.header = "If-Match"}, (struct fault){.hook = change_the_file});
    assert_int_equal(status_of(ask("/a", "")), 200);
    assert_int_equal(status_of(ask("/a", "If-Match: \"v1\"\r\n")), 412);
}

static void *ask_often(void *arg)
{
    for (int i = 0; i < 50; i++) {
        struct reply reply;
        int fd = dial();
        say(fd, "GET", "/a", "Connection: close\r\n");
        hear(fd, &reply);
        if (strcmp(body_of(reply.text), BODY) != 0)
            return server;
    }
    return NULL;
}

static uint64_t failures_of_seed(uint64_t seed)
{
    uint64_t failed = 0;
    fault_clear(server);
    fault_seed(server, seed);
    fault_on(server, (struct fault_match){.per_mille = 300}, (struct fault){.status = 503});
    for (int i = 0; i < 64; i++)
        failed |= (uint64_t)(status_of(ask("/a", "")) == 503) << i;
    return failed;
}

static void chance_is_the_same_for_a_seed(void **state)
{
    uint64_t first = failures_of_seed(1), other = failures_of_seed(2);
    assert_true(first != 0 && first != UINT64_MAX && first != other);
    assert_true(failures_of_seed(1) == first);
}

static void connections_are_refused_as_told(void **state)
{
    struct reply reply;
    fault_refuse(server, 2, 0);
    for (int i = 0; i < 2; i++) {
        hear(dial(), &reply);
        assert_int_equal(reply.size, 0);
        assert_int_equal(reply.error, ECONNRESET);
    }
    assert_int_equal(status_of(ask("/a", "")), 200);
    fault_refuse(server, 0, 1000);
    hear(dial(), &reply);
    assert_int_equal(reply.error, ECONNRESET);
    assert_int_equal(fault_count(server, NULL, NULL), 1);
    assert_int_equal(fault_connections(server), 4);
}

static void more_may_come_than_there_should_be(void **state)
{
    fault_on(server, (struct fault_match){.count = 1}, (struct fault){.extra = 3});
    assert_string_equal(body_of(ask("/a", "")), BODY "###");
    fault_on(server, (struct fault_match){.count = 1}, (struct fault){.extra = 3, .flags = FAULT_CHUNKED});
    assert_string_equal(body_of(ask("/a", "")), "a\r\n" BODY "\r\n3\r\n###\r\n0\r\n\r\n");
}

static void many_clients_are_served_at_once(void **state)
{
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, NULL), 0);
    for (int i = 0; i < 8; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(fault_count(server, "GET", "/a"), 400);
}

static void a_stop_cuts_what_is_stalled_and_idle(void **state)
{
    fault_on(server, (struct fault_match){0}, (struct fault){.end = FAULT_STALL, .at = 1});
    int stalled = dial(), idle = dial();
    say(stalled, "GET", "/a", "");
    fault_wait_stalled(server, 1);
    fault_server_stop(server);
    server = NULL;
    struct reply reply;
    hear(stalled, &reply);
    assert_string_equal(body_of(reply.text), "0");
    hear(idle, &reply);
    assert_int_equal(reply.size, 0);
}

int main(void)
{
#define with_server(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        with_server(a_file_is_served_with_its_validators),
        with_server(a_head_has_the_length_and_no_body),
        with_server(ranges_are_cut_out_as_asked),
        with_server(conditions_are_decided_by_strong_and_weak_comparison),
        with_server(a_directory_is_listed_as_nginx_does),
        with_server(a_connection_carries_many_requests),
        with_server(rules_of_one_request_each_are_a_script),
        with_server(an_answer_is_cut_where_it_was_told),
        with_server(a_dropped_request_gets_no_byte),
        with_server(a_reset_is_a_reset),
        with_server(a_stalled_answer_goes_on_when_released),
        with_server(a_stalled_answer_ends_when_its_client_goes),
        with_server(headers_and_bodies_lie_as_told),
        with_server(a_body_without_a_length_comes_in_chunks_or_to_the_end),
        with_server(ranges_and_conditions_can_be_ignored),
        with_server(a_connection_may_end_after_its_answer_unsaid),
        with_server(what_is_compressed_can_be_unpacked),
        with_server(a_hook_may_change_the_file_before_the_answer),
        with_server(chance_is_the_same_for_a_seed),
        with_server(connections_are_refused_as_told),
        with_server(more_may_come_than_there_should_be),
        with_server(many_clients_are_served_at_once),
        with_server(a_stop_cuts_what_is_stalled_and_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
