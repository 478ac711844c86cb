/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transfer:
 *
 *   http_open   waits for its turn at the site, then asks until there is an answer that stands (retry.c)
 *   transfer_follow   makes one attempt() after the other along the redirects
 *   attempt     sets the easy handle up, starts it, waits for the headers
 *   http_read   lends its buffer to receive_body (receive.c)
 */
#include "net/http.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/seams.h"
#include "net/transfer.h"
#include "net/uri.h"

#define REDIRECTS_MAX    10
#define RECEIVE_SIZE     (256 << 10) /* of curl's buffer; 64 KiB: large bodies 13 to 17 % slower */
#define DISCARD_SIZE_MAX (64 << 10)  /* cheaper to read than a new connection */
#define HEADER_TEXT_MAX  (64 << 10)

/* ---- one attempt ---- */

/* What does not change from request to request. */
static void set_up_site(struct http_transfer *transfer)
{
    const struct http_site *site = transfer->site;
    CURL *easy = transfer->exchange.easy;
    if (transfer->serial == site->serial)
        return;
    client_reset(&transfer->exchange);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->curl_text);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, receive_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_SIZE);
    send_set_up(transfer);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)site->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, site->user_agent);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, site->insecure ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, site->insecure ? 0L : 2L);
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)(site->netrc ? CURL_NETRC_OPTIONAL : CURL_NETRC_IGNORED));
    if (site->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, site->ca_file);
    transfer->exchange.quiet_max_ms = (uint64_t)site->stall_timeout_ms;
    /* Without one, OpenSSL would ask on the terminal. */
    curl_easy_setopt(easy, CURLOPT_KEYPASSWD, site->client_key_password ? site->client_key_password : "");
    transfer->serial = site->serial;
}

/* A proxy that is named is not passed by because of the environment, nor is a socket because of its proxy. */
static void set_up_way(struct http_transfer *transfer)
{
    const struct http_site *site = transfer->site;
    CURL *easy = transfer->exchange.easy;
    const char *socket = transfer->foreign ? NULL : site->unix_socket;
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, socket);
    curl_easy_setopt(easy, CURLOPT_PROXY, socket ? "" : site->proxy);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, site->no_proxy ? site->no_proxy : site->proxy ? "" : NULL);
}

/* Credentials are for the origin that was asked first. */
static void set_up_credentials(struct http_transfer *transfer)
{
    const struct http_site *site = transfer->site;
    CURL *easy = transfer->exchange.easy;
    bool ours = !transfer->foreign;
    curl_easy_setopt(easy, CURLOPT_USERNAME, ours ? site->user : NULL);
    curl_easy_setopt(easy, CURLOPT_PASSWORD, ours ? site->password : NULL);
    curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, ours ? site->bearer : NULL);
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)(ours && site->bearer ? CURLAUTH_BEARER : CURLAUTH_BASIC));
    curl_easy_setopt(easy, CURLOPT_SSLCERT, ours ? site->client_cert : NULL);
    curl_easy_setopt(easy, CURLOPT_SSLKEY, ours ? site->client_key : NULL);
}

static int add_header(struct curl_slist **list, const char *name, const char *value)
{
    if (!value)
        return 0;
    autofree char *line = mem_format("%s: %s", name, value);
    return line ? header_list_add(list, line) : fail_memory();
}

static int copy_headers(struct curl_slist **list, const struct curl_slist *from)
{
    int rc = 0;
    for (; rc == 0 && from; from = from->next)
        rc = header_list_add(list, from->data);
    return rc;
}

/* The request's own headers, and behind them the site's. */
static int make_headers(struct http_transfer *transfer, const struct http_request *request)
{
    struct curl_slist **list = &transfer->headers;
    int rc = add_header(list, "If-Match", request->if_match);
    if (rc == 0)
        rc = add_header(list, "If-Range", request->if_range);
    if (rc == 0)
        rc = add_header(list, "If-None-Match", request->if_none_match);
    if (rc == 0)
        rc = add_header(list, "If-Modified-Since", request->if_modified_since);
    if (rc == 0)
        rc = add_header(list, "Accept", request->accept);
    if (rc == 0)
        rc = copy_headers(list, transfer->own);
    /* curl would ask before every PUT. */
    if (rc == 0 && request->body && !transfer->expects)
        rc = header_list_add(list, "Expect:");
    if (rc == 0 && *list && !transfer->foreign)
        rc = copy_headers(list, transfer->site->headers);
    return rc;
}

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
    CURL *easy = exchange->easy;
    curl_slist_free_all(take(transfer->headers));
    transfer->expects = send_expects(transfer, request->body);
    int rc = make_headers(transfer, request);
    if (rc < 0)
        return rc;
    set_up_site(transfer);
    set_up_way(transfer);
    set_up_credentials(transfer);
    rc = send_begin(transfer, request);
    if (rc < 0)
        return rc;
    /* Only over TLS is HTTP/2 agreed upon; and only there is it worth while to wait whether streams can be shared. */
    bool http2 = !transfer->site->http1 && strncasecmp(transfer->url, "https:", 6) == 0;
    struct curl_slist *headers = transfer->headers   ? transfer->headers
                                 : transfer->foreign ? NULL
                                                     : transfer->site->headers;
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     (long)(http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, http2 ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_RANGE, request->range);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    if (curl_easy_setopt(easy, CURLOPT_URL, transfer->url) != CURLE_OK)
        return fail_memory();
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
    bool doubtful = transfer->headers_done ? transfer->response.status >= 500 : rc < 0;
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
    return transfer->response.status == 417 && transfer->expects &&
           (!transfer->body_begun || transfer->body->rewind);
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
