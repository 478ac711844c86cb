/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "larder.h"
#include "net/http.h"
#include "task/task.h"

#include "fault_server.h"
#include "task_test.h"
#include "tree.h"

#define BIG   ((size_t)5 << 20)
#define SMALL ((size_t)600 << 10) /* below what asks first */

static struct fault_server *server;
static struct http_site *site;

static int setup(void **state)
{
    const struct http_config config = {.stall_timeout_ms = 5000};
    server = fault_server_start();
    fault_writable(server);
    return http_site_new(&config, &site);
}

static int teardown(void **state)
{
    http_site_free(site);
    fault_server_stop(server);
    return 0;
}

/* A body of BIG bytes that is read, in pieces of odd sizes, with other tasks in between. */
struct slow_body {
    struct http_body body;
    const char *data;
    size_t at, size, fail_at;
    unsigned rewinds;
};

static int64_t CO_EDGE slow_read(struct http_body *body, void *buffer, size_t size)
{
    struct slow_body *slow = (struct slow_body *)body;
    size_t left = slow->size - slow->at, count = left < size ? left : size;
    if (count > 100003)
        count = 100003;
    task_yield();
    if (slow->fail_at && slow->at >= slow->fail_at)
        return -EIO;
    memcpy(buffer, slow->data + slow->at, count);
    slow->at += count;
    return (int64_t)count;
}

static int slow_rewind(struct http_body *body)
{
    struct slow_body *slow = (struct slow_body *)body;
    slow->at = 0;
    slow->rewinds++;
    return 0;
}

/* ---- a request, in a task ---- */

struct ask {
    struct http_request request;
    const char *base, *path; /* of the URL; base NULL: the server's */
    int status;              /* of the answer */
    bool slash_added;
    char etag[64];
};

static int CO_FN do_ask(struct ask *ask)
{
    struct http_transfer *transfer;
    char url[128];
    snprintf(url, sizeof url, "%s%s", ask->base ? ask->base : fault_server_url(server), ask->path);
    ask->request.url = url;
    int rc = http_open(site, &ask->request, &transfer);
    if (rc < 0)
        return rc;
    const struct http_response *response = http_response(transfer);
    ask->status = response->status;
    ask->slash_added = response->slash_added;
    snprintf(ask->etag, sizeof ask->etag, "%s",
             response->header[HTTP_ETAG] ? response->header[HTTP_ETAG] : "");
    char rest[4096];
    int64_t count;
    while ((count = http_read(transfer, rest, sizeof rest)) > 0) /* so that the connection is kept */
        ;
    http_close(transfer);
    return (int)count;
}

static int CO_EDGE ask_task(void *arg)
{
    return do_ask(arg);
}

static int put(const char *path, struct http_body *body, struct ask *ask)
{
    ask->request.method = HTTP_PUT;
    ask->request.body = body;
    ask->path = path;
    return larder_sync(NULL, ask_task, ask, 0);
}

static const struct fault_request *last_request(void)
{
    return fault_request(server, fault_count(server, NULL, NULL) - 1);
}

static void assert_body(const void *data, size_t size)
{
    const struct fault_request *request = last_request();
    assert_int_equal(request->body_size, size);
    assert_memory_equal(request->body, data, size);
}

/* ---- bodies ---- */

static void a_body_in_memory_goes_with_its_length(void **state)
{
    struct http_body body = {.size = 5, .data = "hello"};
    struct ask ask = {0};
    assert_ok(put("/f", &body, &ask));
    assert_int_equal(ask.status, 201);
    assert_true(ask.etag[0] == '"');
    assert_body("hello", 5);
    assert_string_equal(fault_request_header(last_request(), "Content-Length"), "5");
    assert_null(fault_request_header(last_request(), "Expect"));
    assert_null(fault_request_header(last_request(), "Content-Type"));
    body = (struct http_body){.size = 0};
    assert_ok(put("/f", &body, &ask));
    assert_int_equal(ask.status, 204);
    assert_string_equal(fault_request_header(last_request(), "Content-Length"), "0");
}

static void a_large_body_asks_before_it_travels(void **state)
{
    char *data = content_make(BIG, 3);
    struct http_body body = {.size = BIG, .data = data};
    struct ask ask = {0};
    assert_ok(put("/f", &body, &ask));
    assert_body(data, BIG);
    assert_string_equal(fault_request_header(last_request(), "Expect"), "100-continue");
    fault_on(server, (struct fault_match){.method = "PUT", .count = 1},
             (struct fault){.status = 403, .flags = FAULT_UNREAD});
    assert_ok(put("/f", &body, &ask));
    assert_int_equal(ask.status, 403);
    free(data);
}

static void a_body_that_is_read_goes_piece_by_piece(void **state)
{
    char *data = content_make(BIG, 4);
    struct slow_body slow = {.body = {.size = BIG, .read = slow_read}, .data = data, .size = BIG};
    struct ask ask = {0};
    assert_ok(put("/known", &slow.body, &ask));
    assert_body(data, BIG);
    slow = (struct slow_body){.body = {.size = -1, .read = slow_read}, .data = data, .size = BIG};
    assert_ok(put("/unknown", &slow.body, &ask));
    assert_body(data, BIG);
    assert_null(fault_request_header(last_request(), "Content-Length"));
    slow = (struct slow_body){.body = {.size = -1, .read = slow_read}, .data = data, .size = 0};
    assert_ok(put("/empty", &slow.body, &ask));
    assert_int_equal(last_request()->body_size, 0);
    free(data);
}

static void a_source_that_fails_leaves_nothing(void **state)
{
    char *data = content_make(BIG, 5);
    struct ask ask = {0};
    struct slow_body slow = {.body = {.size = -1, .read = slow_read},
                             .data = data,
                             .size = BIG,
                             .fail_at = BIG / 2};
    assert_int_equal(put("/f", &slow.body, &ask), -EIO);
    slow = (struct slow_body){.body = {.size = BIG, .read = slow_read}, .data = data, .size = BIG / 2};
    assert_int_equal(put("/f", &slow.body, &ask), -EINVAL);
    assert_non_null(strstr(larder_error(), "missing"));
    ask.request.body = NULL;
    ask.request.method = HTTP_GET;
    assert_ok(larder_sync(NULL, ask_task, &ask, 0));
    assert_int_equal(ask.status, 404);
    free(data);
}

static void an_early_refusal_ends_the_sending(void **state)
{
    char *data = content_make(BIG, 6);
    struct slow_body slow = {.body = {.size = BIG, .read = slow_read}, .data = data, .size = BIG};
    struct ask ask = {0};
    fault_on(server, (struct fault_match){.method = "PUT"},
             (struct fault){.status = 507, .flags = FAULT_UNREAD});
    assert_ok(put("/f", &slow.body, &ask));
    assert_int_equal(ask.status, 507);
    assert_true(slow.at < BIG);
    free(data);
}

/* The server has read nothing, and the body is on its way: it waits for longer than curl does for "100 Continue". */
static void dawdle(void *arg, const struct fault_request *request)
{
    usleep(1200000);
}

static void a_refusal_of_a_body_that_nobody_reads_is_the_answer(void **state)
{
    static const int refusals[] = {401, 403, 413};
    char *data = content_make(BIG, 8);
    for (size_t i = 0; i < 3 * sizeof refusals / sizeof *refusals; i++) {
        struct slow_body slow = {.body = {.size = i % 2 ? -1 : (int64_t)BIG, .read = slow_read},
                                 .data = data,
                                 .size = BIG};
        struct http_body body = {.size = BIG, .data = data};
        struct ask ask = {0};
        fault_clear(server);
        fault_on(server, (struct fault_match){.method = "PUT"},
                 (struct fault){.status = refusals[i / 3],
                                .flags = FAULT_UNREAD,
                                .hook = i % 3 == 2 ? dawdle : NULL});
        size_t before = fault_count(server, "PUT", NULL);
        assert_ok(put("/f", i % 3 == 0 ? &body : &slow.body, &ask));
        assert_int_equal(ask.status, refusals[i / 3]);
        assert_int_equal(fault_count(server, "PUT", NULL), before + 1);
    }
    free(data);
}

/* RFC 9110 §10.1.1 lets a server refuse the question. It is no word about the body. Each on a loop, and so with curl's
 * handles, of its own: those that met a 417 ask no more. */
static void a_site_that_refuses_an_expectation_is_asked_without(void **state)
{
    char *data = content_make(BIG, 9);
    struct http_body body = {.size = BIG, .data = data};
    struct slow_body slow = {.body = {.size = BIG, .read = slow_read}, .data = data, .size = BIG};
    const struct {
        struct http_body *body;
        const char *if_none_match;
        unsigned flags; /* 0: the body is read before, so that it must be had again */
    } cases[] = {{&body, NULL, FAULT_UNREAD},
                 {&slow.body, NULL, FAULT_UNREAD},
                 {&body, "*", FAULT_UNREAD},
                 {&body, NULL, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ask ask = {.request.if_none_match = cases[i].if_none_match};
        struct larder_loop *loop;
        teardown(state);
        assert_ok(setup(state));
        assert_ok(larder_loop_new(&loop));
        larder_loop_use(loop);
        fault_on(server, (struct fault_match){.method = "PUT", .header = "Expect"},
                 (struct fault){.status = 417, .flags = cases[i].flags});
        assert_ok(put("/f", cases[i].body, &ask));
        assert_int_equal(ask.status, 201);
        assert_body(data, BIG);
        assert_int_equal(fault_count(server, "PUT", NULL), 2);
        ask.request.if_none_match = NULL;
        assert_ok(put("/f", &body, &ask)); /* the site is known */
        assert_int_equal(ask.status, 204);
        assert_int_equal(fault_count(server, "PUT", NULL), 3);
        larder_loop_use(NULL);
        assert_ok(larder_loop_close(loop, NULL, NULL));
    }
    free(data);
}

/* ---- once, or more often ---- */

static void what_may_be_sent_twice(void **state)
{
    struct http_body memory = {.size = 1, .data = "x"}, stream = {.size = -1, .read = slow_read};
    struct http_body again = {.size = -1, .read = slow_read, .rewind = slow_rewind};
    struct http_request request = {.method = HTTP_PUT, .body = &memory};
    assert_true(http_is_repeatable(&request));
    request.body = &again;
    assert_true(http_is_repeatable(&request));
    request.body = &stream;
    assert_false(http_is_repeatable(&request));
    request = (struct http_request){.method = HTTP_PUT, .body = &memory, .if_none_match = "*"};
    assert_false(http_is_repeatable(&request));
    request = (struct http_request){.method = HTTP_PUT, .body = &memory, .if_match = "\"1\""};
    assert_false(http_is_repeatable(&request));
    for (enum http_method method = HTTP_GET; method < HTTP_METHODS; method++) {
        bool expected = method <= HTTP_DELETE && method != HTTP_POST;
        request = (struct http_request){.method = method};
        assert_int_equal(http_is_repeatable(&request), expected);
    }
}

/* The server took the request on a kept connection and went away: curl alone would send it again. */
static void what_must_not_be_done_twice_is_sent_once(void **state)
{
    static const enum http_method methods[] = {HTTP_MOVE, HTTP_COPY, HTTP_MKCOL};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        bool maybe_done = true;
        struct ask ask = {.path = "/f", .request = {.method = methods[i], .maybe_done = &maybe_done}};
        fault_clear(server);
        fault_on(server, (struct fault_match){.count = 1}, (struct fault){.status = 201});
        fault_on(server, (struct fault_match){0},
                 (struct fault){.end = FAULT_CLOSE, .flags = FAULT_NO_ANSWER});
        assert_ok(larder_sync(NULL, ask_task, &ask, 0));
        assert_false(maybe_done);
        size_t before = fault_count(server, NULL, NULL);
        assert_int_equal(larder_sync(NULL, ask_task, &ask, 0), -ECONNRESET);
        assert_int_equal(fault_count(server, NULL, NULL), before + 1);
        assert_true(maybe_done);
    }
}

static void a_put_whose_kept_connection_died_is_sent_again_from_its_start(void **state)
{
    char *data = content_make(SMALL, 7);
    struct slow_body slow = {.body = {.size = SMALL, .read = slow_read, .rewind = slow_rewind},
                             .data = data,
                             .size = SMALL};
    struct http_body body = {.size = SMALL, .data = data};
    bool maybe_done = false;
    struct ask ask = {.request.maybe_done = &maybe_done};
    for (int i = 0; i < 2; i++) {
        ask.request.method = HTTP_GET;
        ask.request.body = NULL;
        ask.path = "/none";
        assert_ok(larder_sync(NULL, ask_task, &ask, 0)); /* the connection is kept */
        assert_false(maybe_done);
        fault_clear(server);
        fault_on(server, (struct fault_match){.method = "PUT", .count = 1},
                 (struct fault){.end = FAULT_CLOSE, .flags = FAULT_UNANSWERED});
        size_t before = fault_count(server, "PUT", NULL);
        assert_ok(put("/f", i ? &slow.body : &body, &ask));
        assert_int_equal(fault_count(server, "PUT", NULL), before + 2);
        assert_body(data, SMALL);
        assert_true(maybe_done);
    }
    assert_int_equal(slow.rewinds, 1);
    free(data);
}

/* RFC 9110 §15.5.9: it did not come whole. But who was sent all of it may have passed it on. */
static void a_408_in_the_middle_of_a_body_did_nothing(void **state)
{
    char *data = content_make(BIG, 8);
    struct http_body body = {.size = BIG, .data = data}, small = {.size = 1, .data = "x"};
    bool maybe_done = true;
    struct ask ask = {.request = {.once = true, .maybe_done = &maybe_done}};
    fault_on(server, (struct fault_match){.count = 1}, (struct fault){.status = 408, .flags = FAULT_UNREAD});
    assert_ok(put("/f", &body, &ask));
    assert_int_equal(ask.status, 201);
    assert_false(maybe_done);
    size_t before = fault_count(server, "PUT", NULL);
    fault_on(server, (struct fault_match){.count = 1}, (struct fault){.status = 408});
    assert_ok(put("/g", &small, &ask));
    assert_int_equal(ask.status, 408);
    assert_true(maybe_done);
    assert_int_equal(fault_count(server, "PUT", NULL), before + 1);
    free(data);
}

/* That it cannot is no reason to hide what the server said. */
static void what_cannot_be_sent_again_has_its_answer(void **state)
{
    char *data = content_make(SMALL, 9);
    struct slow_body slow = {.body = {.size = SMALL, .read = slow_read}, .data = data, .size = SMALL};
    struct ask ask = {.status = 0};
    fault_on(server, (struct fault_match){0}, (struct fault){.status = 503});
    assert_ok(put("/f", &slow.body, &ask));
    assert_int_equal(ask.status, 503);
    free(data);
}

static void a_refused_connection_did_nothing(void **state)
{
    bool maybe_done = true;
    struct http_body body = {.size = 1, .data = "x"};
    struct fault_server *gone = fault_server_start();
    char *url = strdup(fault_server_url(gone));
    struct ask ask = {.base = url, .request.maybe_done = &maybe_done};
    fault_server_stop(gone);
    assert_int_equal(put("/f", &body, &ask), -ECONNREFUSED);
    assert_false(maybe_done);
    free(url);
}

/* ---- redirects ---- */

static void a_change_follows_only_what_keeps_it(void **state)
{
    struct http_body body = {.size = 5, .data = "hello"};
    struct ask ask = {0};
    fault_on(server, (struct fault_match){.path = "/moved"},
             (struct fault){.status = 307, .headers = "Location: /there\r\n"});
    fault_on(server, (struct fault_match){.path = "/found"},
             (struct fault){.status = 302, .headers = "Location: /there\r\n"});
    fault_on(server, (struct fault_match){.path = "/dir"},
             (struct fault){.status = 308, .headers = "Location: /dir/\r\n"});
    assert_ok(put("/moved", &body, &ask));
    assert_int_equal(ask.status, 201);
    assert_string_equal(last_request()->path, "/there");
    assert_body("hello", 5);
    assert_ok(put("/found", &body, &ask));
    assert_int_equal(ask.status, 302);
    assert_ok(put("/dir", &body, &ask));
    assert_int_equal(ask.status, 308);
    assert_true(ask.slash_added);
    ask.request.method = HTTP_DELETE;
    ask.request.body = NULL;
    assert_ok(larder_sync(NULL, ask_task, &ask, 0));
    assert_true(ask.slash_added);
    assert_int_equal(fault_count(server, NULL, "/dir/"), 0); /* a tree would be gone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(a_body_in_memory_goes_with_its_length),
        T(a_large_body_asks_before_it_travels),
        T(a_body_that_is_read_goes_piece_by_piece),
        T(a_source_that_fails_leaves_nothing),
        T(an_early_refusal_ends_the_sending),
        T(a_refusal_of_a_body_that_nobody_reads_is_the_answer),
        T(a_site_that_refuses_an_expectation_is_asked_without),
        T(what_may_be_sent_twice),
        T(what_must_not_be_done_twice_is_sent_once),
        T(a_put_whose_kept_connection_died_is_sent_again_from_its_start),
        T(a_408_in_the_middle_of_a_body_did_nothing),
        T(what_cannot_be_sent_again_has_its_answer),
        T(a_refused_connection_did_nothing),
        T(a_change_follows_only_what_keeps_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
