/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is sent: the method, and its body. curl takes the body out of `given`; when that is empty it pauses, and the task,
 * outside of curl's callbacks, reads the next piece and lets it go on.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "net/transfer.h"

#define SEND_PIECE_SIZE ((size_t)256 << 10)
#define EXPECT_SIZE_MIN (1 << 20) /* a round trip is small against what may travel in vain */

static const struct {
    const char *name;
    bool only_asks; /* RFC 9110 §9.2.1: safe */
} methods[HTTP_METHODS] = {
    [HTTP_GET] = {"GET", true},         [HTTP_HEAD] = {"HEAD", true},    [HTTP_PROPFIND] = {"PROPFIND", true},
    [HTTP_OPTIONS] = {"OPTIONS", true}, [HTTP_PUT] = {"PUT", false},     [HTTP_POST] = {"POST", false},
    [HTTP_DELETE] = {"DELETE", false},  [HTTP_MKCOL] = {"MKCOL", false}, [HTTP_COPY] = {"COPY", false},
    [HTTP_MOVE] = {"MOVE", false},
};

const char *http_method_name(enum http_method method)
{
    return methods[method].name;
}

bool send_expects(const struct http_transfer *transfer, const struct http_body *body)
{
    return body && (body->size < 0 || body->size > EXPECT_SIZE_MIN) && !transfer->site->no_expect;
}

bool send_only_asks(enum http_method method)
{
    return methods[method].only_asks;
}

bool send_is_whole(const struct http_transfer *transfer)
{
    return transfer->given_all && transfer->given_size == 0;
}

bool send_can_begin_again(const struct http_transfer *transfer)
{
    return !transfer->body_begun || transfer->body->rewind;
}

bool http_is_repeatable(const struct http_request *request)
{
    const struct http_body *body = request->body;
    if (request->once || (body && !body->data && body->size != 0 && !body->rewind))
        return false;
    return request->again || methods[request->method].only_asks || request->method == HTTP_DELETE ||
           (request->method == HTTP_PUT && !request->if_match && !request->if_none_match);
}

/* ---- curl's callbacks ---- */

static size_t give(char *out, size_t one, size_t size, void *arg)
{
    struct http_transfer *transfer = arg;
    size_t count = transfer->given_size < size ? transfer->given_size : size;
    if (count == 0 && !transfer->given_all) {
        transfer->wanted = true;
        client_wake(&transfer->exchange);
        return CURL_READFUNC_PAUSE;
    }
    memcpy(out, transfer->given, count);
    transfer->exchange.moved = true;
    transfer->given += count;
    transfer->given_size -= count;
    return count;
}

/* curl sends it once more, after a connection that was dead or a server that wants no Expect. */
static int start_over(void *arg, curl_off_t offset, int origin)
{
    struct http_transfer *transfer = arg;
    const struct http_body *body = transfer->body;
    if (!body || !body->data || offset != 0 || origin != SEEK_SET)
        return CURL_SEEKFUNC_FAIL;
    transfer->given = body->data;
    transfer->given_size = (size_t)body->size;
    return CURL_SEEKFUNC_OK;
}

/*
 * Right before the request is sent. curl sends it again by itself when a kept connection breaks without an answer: what
 * must not happen twice ends here instead.
 */
static int before_sending(void *arg, char *ip, char *local_ip, int port, int local_port)
{
    struct http_transfer *transfer = arg;
    return transfer->sent++ > 0 && transfer->once ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* ---- the task ---- */

/* From the body's start. */
static int CO_FN rewind_body(struct http_transfer *transfer, struct http_body *body)
{
    transfer->body = body;
    transfer->given = body ? body->data : NULL;
    transfer->given_size = transfer->given ? (size_t)body->size : 0;
    transfer->given_all = !body || body->data || body->size == 0;
    transfer->wanted = false;
    if (transfer->given_all)
        return 0;
    transfer->unread = body->size;
    if (!transfer->piece && !(transfer->piece = mem_alloc(SEND_PIECE_SIZE)))
        return fail_memory();
    if (!transfer->body_begun)
        return 0;
    transfer->body_begun = false;
    return body->rewind ? body->rewind(body) : fail(-ESPIPE, "the body to be sent cannot be had twice");
}

int CO_FN send_begin(struct http_transfer *transfer, const struct http_request *request)
{
    CURL *easy = transfer->exchange.easy;
    int rc = rewind_body(transfer, request->body);
    if (rc < 0)
        return rc;
    transfer->once = !http_is_repeatable(request);
    transfer->error_stands = request->error_stands;
    transfer->sent = 0;
    if (request->body) {
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body->size);
    } else {
        curl_easy_setopt(easy, request->method == HTTP_HEAD ? CURLOPT_NOBODY : CURLOPT_HTTPGET, 1L);
    }
    bool usual = request->method == HTTP_GET || request->method == HTTP_HEAD;
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, usual ? NULL : methods[request->method].name);
    return 0;
}

void send_set_up(struct http_transfer *transfer)
{
    CURL *easy = transfer->exchange.easy;
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, give);
    curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, start_over);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_sending);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)SEND_PIECE_SIZE);
}

/* The next piece of a body that is read. */
static int CO_FN read_piece(struct http_transfer *transfer)
{
    struct http_body *body = transfer->body;
    size_t want = SEND_PIECE_SIZE;
    if (transfer->unread >= 0 && (uint64_t)transfer->unread < want)
        want = (size_t)transfer->unread;
    transfer->body_begun = true;
    int64_t count = body->read(body, transfer->piece, want);
    if (count < 0)
        return (int)count;
    if (count == 0 && transfer->unread > 0)
        return http_fail(transfer, -EINVAL, "what was to be sent ended with %lld of %lld bytes missing",
                         (long long)transfer->unread, (long long)body->size);
    if (transfer->unread >= 0)
        transfer->unread -= count;
    transfer->given = transfer->piece;
    transfer->given_size = (size_t)count;
    transfer->given_all = count == 0 || transfer->unread == 0;
    return 0;
}

static int CO_FN give_more(struct http_transfer *transfer)
{
    int rc = read_piece(transfer);
    if (rc < 0)
        return rc;
    transfer->wanted = false;
    if (transfer->exchange.done)
        return 0;
    if (curl_easy_pause(transfer->exchange.easy, CURLPAUSE_CONT) != CURLE_OK)
        return fail_memory();
    client_kick(transfer->exchange.client);
    return 0;
}

/* An answer before all was sent is the last word when it is a refusal. */
static bool is_answered(const struct http_transfer *transfer)
{
    return transfer->headers_done && (send_is_whole(transfer) || transfer->response.status >= 300);
}

int CO_FN send_until_answered(struct http_transfer *transfer)
{
    int rc = 0;
    while (rc == 0 && !is_answered(transfer) && !transfer->exchange.done)
        rc = transfer->wanted ? give_more(transfer) : client_wait(&transfer->exchange);
    return rc;
}
