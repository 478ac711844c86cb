/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transfer:
 *
 *   http_open   waits for its turn at the site, then asks until there is an answer that stands (retry.c)
 *   transfer_follow   makes one attempt() after the other along the redirects
 *   attempt     sets the easy handle up (request.c), starts it, waits for the headers
 *   http_read   lends its buffer to receive_body (receive.c)
 */
#include "net/http.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/seams.h"
#include "net/http_status.h"
#include "net/transfer.h"
#include "net/uri.h"

#define REDIRECTS_MAX    10
#define DISCARD_SIZE_MAX (64 << 10) /* cheaper to read than a new connection */
#define HEADER_TEXT_MAX  (64 << 10)

/* ---- one attempt ---- */

static void read_answer(struct http_transfer *transfer)
{
    struct http_response *response = &transfer->response;
    curl_off_t size = -1;
    curl_easy_getinfo(transfer->exchange.easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
    response->content_length = size;
    response->url = transfer->url;
    transfer->site->down = false;
    for (unsigned i = 0; i < HTTP_HEADERS; i++)
        response->header[i] = transfer->header[i] ? transfer->text.data + transfer->header[i] : NULL;
    response->lines = transfer->keep_lines ? transfer->lines.data : NULL;
    if (transfer->site->encoding_is_stored)
        response->header[HTTP_CONTENT_ENCODING] = NULL;
}

/* One request to transfer->url, until its headers are there. */
static int CO_FN attempt(struct http_transfer *transfer, const struct http_request *request)
{
    struct exchange *exchange = &transfer->exchange;
    int rc = request_set_up(transfer, request);
    if (rc < 0)
        return rc;
    transfer->headers_done = transfer->discard = transfer->paused = false;
    transfer->held.size = transfer->held_start = 0;
    transfer->received = 0;
    transfer->curl_text[0] = 0;
    transfer->response.asked_ns = now_ns();
    tries_begin_one(transfer->tries, transfer->response.asked_ns);
    receive_begin(transfer);
    rc = client_start(exchange);
    if (rc == 0)
        rc = send_until_answered(transfer);
    if (rc < 0)
        return rc;
    if (!transfer->headers_done) /* what becomes of the body, who reads it will see */
        return http_fail_transport(transfer);
    if (transfer->text.status == 0)
        transfer->text.status = transfer->lines.status;
    if (transfer->text.status < 0)
        return transfer->text.status == -ENOMEM ? fail_memory()
                                                : http_fail(transfer, -EPROTO, "too many headers");
    read_answer(transfer);
    return 0;
}

/*
 * Did a kept connection fail the request, and not the server? Two ways to know:
 *   the server hung up on it just then. curl sees that and asks again by itself, but in 7.88 only five times in the life
 *   of an easy handle, which is a long one here;
 *   an earlier answer was longer than announced, and the rest of it came in the place of ours.
 * Nothing of an answer was taken. What is safe to repeat is asked again at once, and no try is counted.
 */
static bool connection_was_stale(const struct http_transfer *transfer)
{
    const struct exchange *exchange = &transfer->exchange;
    long connections = 1;
    if (!exchange->done || transfer->response.status != 0 || transfer->once)
        return false;
    if (exchange->result == CURLE_SEND_FAIL_REWIND) /* curl tried again, but only we can rewind the body */
        return true;
    curl_easy_getinfo(exchange->easy, CURLINFO_NUM_CONNECTS, &connections);
    if (connections > 0)
        return false;
    switch (exchange->result) {
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        return true;
    default:
        return false;
    }
}

static void note_doubt(const struct http_transfer *transfer, const struct http_request *request, int rc)
{
    int answer = transfer->response.status;
    bool half = answer == 408 && !send_is_whole(transfer);
    bool doubtful = transfer->headers_done ? http_status(answer)->doubtful && !half : rc < 0;
    if (request->maybe_done && (transfer->sent > 1 || (transfer->sent > 0 && doubtful)))
        *request->maybe_done = true;
}

static int CO_FN attempt_on(struct http_transfer *transfer, const struct http_request *request, bool fresh)
{
    CURL *easy = transfer->exchange.easy;
    if (fresh)
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    int rc = attempt(transfer, request);
    if (fresh)
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 0L);
    note_doubt(transfer, request, rc);
    return rc;
}

/* Is it only the question that was refused? (RFC 9110 §10.1.1: then nothing was done.) */
static bool refused_expectation(const struct http_transfer *transfer)
{
    return transfer->response.status == 417 && transfer->expects && send_can_begin_again(transfer);
}

static int CO_FN attempt_cleanly(struct http_transfer *transfer, const struct http_request *request)
{
    int rc = attempt_on(transfer, request, transfer->tries->fresh);
    if (rc < 0 && connection_was_stale(transfer)) {
        client_stop(&transfer->exchange);
        rc = attempt_on(transfer, request, true);
    }
    if (rc < 0 || !refused_expectation(transfer))
        return rc;
    transfer->site->no_expect = true;
    client_stop(&transfer->exchange);
    return attempt_on(transfer, request, false);
}

/* ---- redirects ---- */

static bool is_redirect(const struct http_response *response)
{
    switch (response->status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return response->header[HTTP_LOCATION] != NULL;
    default:
        return false;
    }
}

/* What changes something goes elsewhere only where it is told to go unchanged. */
static bool is_followed(const struct http_request *request, const struct http_transfer *transfer)
{
    const struct http_response *response = &transfer->response;
    if (transfer->stay)
        return false;
    bool unchanged = response->status == 307 || response->status == 308;
    return send_only_asks(request->method) ||
           (unchanged && !response->slash_added && http_is_repeatable(request));
}

static bool is_slash_added(const char *from, const char *to)
{
    struct uri a, b;
    uri_split(from, &a);
    uri_split(to, &b);
    return b.path.size == a.path.size + 1 && b.path.text[a.path.size] == '/' &&
           strncasecmp(a.path.text, b.path.text, a.path.size) == 0;
}

static int is_other_origin(const char *from, const char *to, bool *out)
{
    struct uri a, b;
    uri_split(from, &a);
    uri_split(to, &b);
    autofree char *origin_a = uri_origin(&a), *origin_b = uri_origin(&b);
    if (!origin_a || !origin_b)
        return fail_memory();
    *out = strcmp(origin_a, origin_b) != 0;
    return 0;
}

/* Let the rest of a page that nobody reads pass by, when it is small, so that the connection can be used again. */
static int CO_FN discard_page(struct http_transfer *transfer)
{
    int64_t size = transfer->response.content_length;
    transfer->discard = true;
    if (transfer->paused || size < 0 || size > DISCARD_SIZE_MAX)
        return 0;
    while (!transfer->exchange.done) {
        int rc = client_wait(&transfer->exchange);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* 1: to be asked again, at another URL. 0: this is the answer. */
static int CO_FN redirect(struct http_transfer *transfer, const struct http_request *request)
{
    const char *first_url = transfer->first_url ? transfer->first_url : transfer->url;
    struct uri parts;
    autofree char *url = uri_resolve(transfer->url, transfer->response.header[HTTP_LOCATION]);
    if (!url)
        return fail_memory();
    transfer->response.slash_added = is_slash_added(transfer->url, url);
    if (!is_followed(request, transfer))
        return 0;
    if (uri_split_http(url, &parts) < 0)
        return http_fail(transfer, -EPROTO, "a redirect to something that is no http or https URL");
    int rc = is_other_origin(first_url, url, &transfer->foreign);
    if (rc == 0)
        rc = discard_page(transfer);
    if (rc < 0)
        return rc;
    client_stop(&transfer->exchange);
    if (transfer->first_url)
        mem_free(transfer->url);
    else
        transfer->first_url = transfer->url;
    transfer->url = take(url);
    return 1;
}

static void begin_at_first_url(struct http_transfer *transfer)
{
    transfer->response.slash_added = transfer->foreign = false;
    if (!transfer->first_url)
        return;
    mem_free(transfer->url);
    transfer->url = take(transfer->first_url);
}

int CO_FN transfer_follow(struct http_transfer *transfer, const struct http_request *request)
{
    begin_at_first_url(transfer);
    for (unsigned hops = 0;; hops++) {
        int rc = attempt_cleanly(transfer, request);
        http_log(transfer, rc);
        if (rc < 0 || !is_redirect(&transfer->response))
            return rc;
        if (hops == REDIRECTS_MAX)
            return http_fail(transfer, -ELOOP, "more than %d redirects", REDIRECTS_MAX);
        rc = redirect(transfer, request);
        if (rc <= 0)
            return rc;
    }
}

/* Until there is an answer that stands. */
static int CO_FN ask(struct http_transfer *transfer, const struct http_request *request)
{
    for (;;) {
        int rc = transfer_follow(transfer, request);
        if (rc == 0)
            tries_note_answer(transfer);
        int64_t wait = request->one_try ? -1 : tries_next_wait_ms(transfer->tries);
        if (wait < 0)
            return rc;
        if (rc == 0) { /* its words, should there be no time to wait */
            http_fail_status(transfer);
            rc = discard_page(transfer);
        } else {
            rc = 0;
        }
        client_stop(&transfer->exchange);
        if (rc == 0)
            rc = tries_wait(transfer->tries, wait);
        if (rc < 0)
            return rc;
    }
}

/* ---- transfers ---- */

static void transfer_free(struct exchange *exchange)
{
    struct http_transfer *transfer = container_of(exchange, struct http_transfer, exchange);
    buffer_free(&transfer->text);
    buffer_free(&transfer->lines);
    buffer_free(&transfer->held);
    buffer_free(&transfer->spare);
    mem_free(transfer);
}

static bool is_set_up_for(const struct exchange *exchange, const void *site)
{
    const struct http_transfer *transfer = container_of(exchange, struct http_transfer, exchange);
    return transfer->serial == ((const struct http_site *)site)->serial;
}

static int transfer_new(struct http_site *site, struct http_transfer **out)
{
    struct client *client;
    int rc = site_client(site, &client);
    if (rc < 0)
        return rc;
    struct exchange *idle = client_take(client, is_set_up_for, site);
    struct http_transfer *transfer = idle ? container_of(idle, struct http_transfer, exchange) : NULL;
    if (!transfer) {
        transfer = mem_zero(sizeof *transfer);
        if (!transfer)
            return fail_memory();
        transfer->text = BUFFER(HEADER_TEXT_MAX);
        transfer->lines = BUFFER(HEADER_TEXT_MAX);
        transfer->held = BUFFER(HELD_SIZE_MAX);
        transfer->spare = BUFFER(HEADER_TEXT_MAX);
        rc = client_adopt(client, &transfer->exchange, transfer_free);
        if (rc < 0) {
            mem_free(transfer);
            return rc;
        }
    }
    transfer->site = site;
    *out = transfer;
    return 0;
}

static void renew(struct buffer *buffer, size_t size_max)
{
    if (buffer->status == 0)
        return;
    buffer_free(buffer);
    *buffer = BUFFER(size_max);
}

void http_close(struct http_transfer *transfer)
{
    if (!transfer)
        return;
    struct http_site *site = transfer->site;
    client_stop(&transfer->exchange);
    curl_slist_free_all(take(transfer->headers));
    curl_slist_free_all(take(transfer->own));
    mem_free(take(transfer->url));
    mem_free(take(transfer->first_url));
    mem_free(take(transfer->range));
    mem_free(take(transfer->piece));
    transfer->body = NULL;
    transfer->body_begun = false;
    renew(&transfer->text, HEADER_TEXT_MAX);
    renew(&transfer->lines, HEADER_TEXT_MAX);
    renew(&transfer->spare, HEADER_TEXT_MAX);
    renew(&transfer->held, HELD_SIZE_MAX);
    transfer->response = (struct http_response){0};
    client_give(&transfer->exchange);
    site_leave(site);
}

int CO_FN http_open(struct http_site *site, const struct http_request *request, struct http_transfer **out)
{
    struct http_transfer *transfer = NULL;
    if (request->maybe_done)
        *request->maybe_done = false;
    int rc = site_enter(site);
    if (rc < 0)
        return rc;
    rc = transfer_new(site, &transfer);
    if (rc < 0) {
        site_leave(site);
        return rc;
    }
    transfer->before = 0;
    transfer->own_tries = (struct http_tries){.site = site};
    transfer->tries = request->tries ? request->tries : &transfer->own_tries;
    transfer->method = request->method;
    transfer->url = mem_dup(request->url);
    transfer->range = request->range ? mem_dup(request->range) : NULL;
    transfer->stay = request->stay;
    transfer->keep_lines = request->keep_lines;
    for (const char *const *line = request->headers; rc == 0 && line && *line; line++)
        rc = header_list_add(&transfer->own, *line);
    bool copied = rc == 0 && transfer->url && (transfer->range || !request->range);
    rc = copied ? ask(transfer, request) : fail_memory();
    if (rc < 0) {
        http_close(transfer);
        return rc;
    }
    *out = transfer;
    return 0;
}

const struct http_response *http_response(const struct http_transfer *transfer)
{
    return &transfer->response;
}
