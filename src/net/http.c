/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transfer:
 *
 *   http_open   waits for its turn at the site, then follow() makes one attempt() after the other along the redirects
 *   attempt     sets the easy handle up, starts it, waits for the headers
 *   on_header   collects the headers that somebody may ask for; on_body moves bytes
 *   http_read   lends its buffer to on_body
 *
 * Retries will go around attempt() and, in mid-body, around http_read.
 */
#include "net/http.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/seams.h"
#include "base/text.h"
#include "net/transfer.h"
#include "net/uri.h"

#define REDIRECTS_MAX       10
#define RECEIVE_SIZE        (64 << 10)
#define HELD_SIZE_MAX       (64 << 10) /* at least CURL_MAX_WRITE_SIZE: an empty one takes whatever curl offers */
#define DISCARD_SIZE_MAX    (64 << 10) /* cheaper to read than a new connection */
#define HEADER_TEXT_MAX     (64 << 10)
#define STREAMS_MAX         100 /* of one HTTP/2 connection: curl's own limit */
#define CONNECTIONS_DEFAULT 32

/* ---- sites ---- */

void http_site_free(struct http_site *site)
{
    if (!site)
        return;
    assert(site->live == 0);
    char *const texts[] = {site->user,    site->password,    site->bearer,
                           site->ca_file, site->client_cert, site->client_key,
                           site->proxy,   site->unix_socket, site->user_agent};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        mem_free(texts[i]);
    curl_slist_free_all(site->headers);
    mem_free(site);
}

static int list_add(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (!longer)
        return fail_memory();
    *list = longer;
    return 0;
}

static int add_site_headers(struct http_site *site, const char *lines)
{
    while (*lines) {
        size_t size = strcspn(lines, "\n");
        size_t used = size > 0 && lines[size - 1] == '\r' ? size - 1 : size;
        autofree char *line = mem_dup_n(lines, used);
        if (!line)
            return fail_memory();
        if (used > 0 && (!strchr(line, ':') || line[0] == ':'))
            return fail(-EINVAL, "option headers: a line is not of the form \"Name: value\"");
        int rc = used > 0 ? list_add(&site->headers, line) : 0;
        if (rc < 0)
            return rc;
        lines += size + (lines[size] == '\n');
    }
    return 0;
}

static bool copy_text(char **out, const char *text)
{
    *out = text ? mem_dup(text) : NULL;
    return !text || *out;
}

int http_site_new(struct larder_loop *loop, const struct http_config *config, struct http_site **out)
{
    static atomic_uint_fast64_t serials;
    struct http_site *site = mem_zero(sizeof *site);
    autofree char *agent = mem_format("larder/%s", larder_version());
    if (!site || !agent) {
        mem_free(site);
        return fail_memory();
    }
    site->loop = loop;
    site->serial = atomic_fetch_add(&serials, 1) + 1;
    site->connect_timeout_ms = config->connect_timeout_ms > 0 ? config->connect_timeout_ms : 30000;
    site->stall_timeout_ms = config->stall_timeout_ms > 0 ? config->stall_timeout_ms : 60000;
    site->connections_max = config->connections_max ? config->connections_max : CONNECTIONS_DEFAULT;
    site->http1 = config->http1;
    site->insecure = config->insecure;
    site->netrc = config->netrc;
    waiters_init(&site->turn);
    bool copied = copy_text(&site->user, config->user) && copy_text(&site->password, config->password) &&
                  copy_text(&site->bearer, config->bearer) && copy_text(&site->ca_file, config->ca_file) &&
                  copy_text(&site->client_cert, config->client_cert) &&
                  copy_text(&site->client_key, config->client_key) &&
                  copy_text(&site->proxy, config->proxy) &&
                  copy_text(&site->unix_socket, config->unix_socket) &&
                  copy_text(&site->user_agent, config->user_agent ? config->user_agent : agent);
    int rc = copied ? add_site_headers(site, config->headers ? config->headers : "") : fail_memory();
    if (rc < 0) {
        http_site_free(site);
        return rc;
    }
    *out = site;
    return 0;
}

static unsigned live_max(const struct http_site *site)
{
    return site->multiplexed ? site->connections_max * STREAMS_MAX : site->connections_max;
}

/* Rather than in curl's own queue: here it is known whose turn is next, and a cancel needs no curl. */
static int CO_FN enter(struct http_site *site)
{
    while (site->live >= live_max(site)) {
        int rc = waiters_wait(&site->turn);
        if (rc < 0) {
            waiters_wake_one(&site->turn); /* the turn may have been given to us */
            return rc;
        }
    }
    site->live++;
    return 0;
}

static void leave(struct http_site *site)
{
    site->live--;
    waiters_wake_one(&site->turn);
}

/* ---- what arrives: inside curl's callbacks ---- */

static const struct {
    const char *name;
    size_t size;
} header_names[HTTP_HEADERS] = {
#define NAME(name) {name, sizeof(name) - 1}
    [HTTP_AGE] = NAME("age"),
    [HTTP_CACHE_CONTROL] = NAME("cache-control"),
    [HTTP_CONTENT_ENCODING] = NAME("content-encoding"),
    [HTTP_CONTENT_RANGE] = NAME("content-range"),
    [HTTP_CONTENT_TYPE] = NAME("content-type"),
    [HTTP_DATE] = NAME("date"),
    [HTTP_ETAG] = NAME("etag"),
    [HTTP_EXPIRES] = NAME("expires"),
    [HTTP_LAST_MODIFIED] = NAME("last-modified"),
    [HTTP_LOCATION] = NAME("location"),
    [HTTP_RETRY_AFTER] = NAME("retry-after"),
    [HTTP_VARY] = NAME("vary"),
#undef NAME
};

static void keep_header(struct http_transfer *transfer, enum http_header header, const char *value,
                        size_t size)
{
    struct buffer *text = &transfer->text;
    size_t before = transfer->header[header], start = text->size;
    if (before) {
        size_t before_size = strlen(text->data + before);
        char *room = buffer_room(text, before_size + 2);
        if (!room)
            return;
        memcpy(room, text->data + before, before_size);
        memcpy(room + before_size, ", ", 2);
        buffer_grew(text, before_size + 2);
    }
    buffer_add(text, value, size);
    if (buffer_add(text, "", 1) == 0)
        transfer->header[header] = (uint32_t)start;
}

static void begin_answer(struct http_transfer *transfer)
{
    memset(transfer->header, 0, sizeof transfer->header);
    transfer->response.status = 0;
    transfer->text.size = 0;
    buffer_add(&transfer->text, "", 1); /* so that no offset is 0 */
}

static size_t on_header(char *data, size_t one, size_t size, void *arg)
{
    struct http_transfer *transfer = arg;
    const char *end = data + size, *space, *colon;
    if (transfer->headers_done) /* a trailer */
        return size;
    while (end > data && (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (end - data > 5 && memcmp(data, "HTTP/", 5) == 0) {
        begin_answer(transfer);
        space = memchr(data, ' ', (size_t)(end - data));
        for (const char *at = space ? space + 1 : end; at < end && isdigit((unsigned char)*at); at++)
            if (transfer->response.status < 1000)
                transfer->response.status = transfer->response.status * 10 + (*at - '0');
        transfer->site->multiplexed = data[5] == '2';
        return size;
    }
    if (end == data) {
        transfer->headers_done = transfer->response.status >= 200;
        if (transfer->headers_done)
            client_wake(&transfer->exchange);
        return size;
    }
    colon = memchr(data, ':', (size_t)(end - data));
    for (unsigned i = 0; colon && i < HTTP_HEADERS; i++) {
        if (header_names[i].size != (size_t)(colon - data) ||
            strncasecmp(data, header_names[i].name, header_names[i].size) != 0)
            continue;
        do
            colon++;
        while (colon < end && (*colon == ' ' || *colon == '\t'));
        keep_header(transfer, i, colon, (size_t)(end - colon));
        break;
    }
    return size;
}

static size_t on_body(char *data, size_t one, size_t size, void *arg)
{
    struct http_transfer *transfer = arg;
    if (transfer->discard)
        return size;
    size_t lent = transfer->lent_size - transfer->lent_used;
    size_t direct = size < lent ? size : lent;
    assert(direct == 0 || transfer->held.size == transfer->held_start);
    if (size - direct > HELD_SIZE_MAX - transfer->held.size) {
        transfer->paused = true; /* curl keeps these bytes and offers them again */
        return CURL_WRITEFUNC_PAUSE;
    }
    if (direct > 0) {
        memcpy(transfer->lent + transfer->lent_used, data, direct);
        transfer->lent_used += direct;
        if (transfer->lent_used == transfer->lent_size)
            client_wake(&transfer->exchange);
    }
    if (size > direct && buffer_add(&transfer->held, data + direct, size - direct) < 0)
        return 0;
    transfer->received += (int64_t)size;
    return size;
}

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
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_SIZE);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)site->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)((site->stall_timeout_ms + 999) / 1000));
    curl_easy_setopt(easy, CURLOPT_USERAGENT, site->user_agent);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, site->insecure ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, site->insecure ? 0L : 2L);
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)(site->netrc ? CURL_NETRC_OPTIONAL : CURL_NETRC_IGNORED));
    if (site->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, site->ca_file);
    if (site->proxy)
        curl_easy_setopt(easy, CURLOPT_PROXY, site->proxy);
    if (site->unix_socket)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, site->unix_socket);
    transfer->serial = site->serial;
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
    return line ? list_add(list, line) : fail_memory();
}

/* The request's own headers, and behind them the site's. */
static int make_headers(struct http_transfer *transfer, const struct http_request *request)
{
    struct curl_slist **list = &transfer->headers;
    int rc = add_header(list, "If-Match", request->if_match);
    if (rc == 0)
        rc = add_header(list, "If-None-Match", request->if_none_match);
    if (rc == 0)
        rc = add_header(list, "If-Modified-Since", request->if_modified_since);
    if (rc == 0)
        rc = add_header(list, "Accept", request->accept);
    if (rc == 0 && *list && !transfer->foreign)
        for (struct curl_slist *line = transfer->site->headers; rc == 0 && line; line = line->next)
            rc = list_add(list, line->data);
    return rc;
}

static void read_answer(struct http_transfer *transfer)
{
    struct http_response *response = &transfer->response;
    curl_off_t size = -1;
    curl_easy_getinfo(transfer->exchange.easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
    response->content_length = size;
    response->url = transfer->url;
    for (unsigned i = 0; i < HTTP_HEADERS; i++)
        response->header[i] = transfer->header[i] ? transfer->text.data + transfer->header[i] : NULL;
}

/* One request to transfer->url, until its headers are there. */
static int CO_FN attempt(struct http_transfer *transfer, const struct http_request *request)
{
    struct exchange *exchange = &transfer->exchange;
    CURL *easy = exchange->easy;
    curl_slist_free_all(take(transfer->headers));
    int rc = make_headers(transfer, request);
    if (rc < 0)
        return rc;
    set_up_site(transfer);
    set_up_credentials(transfer);
    /* Only over TLS is HTTP/2 agreed upon; and only there is it worth while to wait whether streams can be shared. */
    bool http2 = !transfer->site->http1 && strncasecmp(transfer->url, "https:", 6) == 0;
    struct curl_slist *headers = transfer->headers   ? transfer->headers
                                 : transfer->foreign ? NULL
                                                     : transfer->site->headers;
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     (long)(http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, http2 ? 1L : 0L);
    curl_easy_setopt(easy, request->method == HTTP_HEAD ? CURLOPT_NOBODY : CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(easy, CURLOPT_RANGE, request->range);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    if (curl_easy_setopt(easy, CURLOPT_URL, transfer->url) != CURLE_OK)
        return fail_memory();
    transfer->headers_done = transfer->discard = transfer->paused = false;
    transfer->held.size = transfer->held_start = 0;
    transfer->received = 0;
    transfer->curl_text[0] = 0;
    begin_answer(transfer);
    rc = client_start(exchange);
    if (rc == 0 && !transfer->headers_done && !exchange->done)
        rc = client_wait(exchange);
    if (rc < 0)
        return rc;
    if (!transfer->headers_done || (exchange->done && exchange->result != CURLE_OK))
        return http_fail_transport(transfer);
    if (transfer->text.status < 0)
        return transfer->text.status == -ENOMEM ? fail_memory()
                                                : http_fail(transfer, -EPROTO, "too many headers");
    read_answer(transfer);
    return 0;
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

/* Let the rest of a redirect's page pass by, when it is small, so that the connection can be used again. */
static int CO_FN discard_rest(struct http_transfer *transfer)
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

static int CO_FN redirect(struct http_transfer *transfer, const char *first_url)
{
    struct uri parts;
    autofree char *url = uri_resolve(transfer->url, transfer->response.header[HTTP_LOCATION]);
    if (!url)
        return fail_memory();
    if (uri_split_http(url, &parts) < 0)
        return http_fail(transfer, -EPROTO, "a redirect to something that is no http or https URL");
    int rc = is_other_origin(first_url, url, &transfer->foreign);
    if (rc == 0)
        rc = discard_rest(transfer);
    if (rc < 0)
        return rc;
    client_stop(&transfer->exchange);
    transfer->response.slash_added = is_slash_added(transfer->url, url);
    mem_free(transfer->url);
    transfer->url = take(url);
    return 0;
}

static int CO_FN follow(struct http_transfer *transfer, const struct http_request *request)
{
    for (unsigned hops = 0;; hops++) {
        int rc = attempt(transfer, request);
        http_log(transfer, rc);
        if (rc < 0 || !is_redirect(&transfer->response))
            return rc;
        if (hops == REDIRECTS_MAX)
            return http_fail(transfer, -ELOOP, "more than %d redirects", REDIRECTS_MAX);
        rc = redirect(transfer, request->url);
        if (rc < 0)
            return rc;
    }
}

/* ---- transfers ---- */

static void transfer_free(struct exchange *exchange)
{
    struct http_transfer *transfer = container_of(exchange, struct http_transfer, exchange);
    buffer_free(&transfer->text);
    buffer_free(&transfer->held);
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
    int rc = client_get(site->loop, &client);
    if (rc < 0)
        return rc;
    struct exchange *idle = client_take(client, is_set_up_for, site);
    struct http_transfer *transfer = idle ? container_of(idle, struct http_transfer, exchange) : NULL;
    if (!transfer) {
        transfer = mem_zero(sizeof *transfer);
        if (!transfer)
            return fail_memory();
        transfer->text = BUFFER(HEADER_TEXT_MAX);
        transfer->held = BUFFER(HELD_SIZE_MAX);
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

void http_close(struct http_transfer *transfer)
{
    if (!transfer)
        return;
    struct http_site *site = transfer->site;
    client_stop(&transfer->exchange);
    curl_slist_free_all(take(transfer->headers));
    mem_free(take(transfer->url));
    mem_free(take(transfer->range));
    if (transfer->text.status < 0 || transfer->held.status < 0) {
        buffer_free(&transfer->text);
        buffer_free(&transfer->held);
        transfer->text = BUFFER(HEADER_TEXT_MAX);
        transfer->held = BUFFER(HELD_SIZE_MAX);
    }
    transfer->response = (struct http_response){0};
    transfer->foreign = false;
    client_give(&transfer->exchange);
    leave(site);
}

int CO_FN http_open(struct http_site *site, const struct http_request *request, struct http_transfer **out)
{
    struct http_transfer *transfer = NULL;
    int rc = enter(site);
    if (rc < 0)
        return rc;
    rc = transfer_new(site, &transfer);
    if (rc < 0) {
        leave(site);
        return rc;
    }
    transfer->method = request->method;
    transfer->url = mem_dup(request->url);
    transfer->range = request->range ? mem_dup(request->range) : NULL;
    bool copied = transfer->url && (transfer->range || !request->range);
    rc = copied ? follow(transfer, request) : fail_memory();
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

/* ---- the body ---- */

static size_t take_held(struct http_transfer *transfer, char *buffer, size_t size)
{
    size_t held = transfer->held.size - transfer->held_start;
    size_t count = held < size ? held : size;
    if (count == 0)
        return 0;
    memcpy(buffer, transfer->held.data + transfer->held_start, count);
    transfer->held_start += count;
    if (transfer->held_start == transfer->held.size)
        transfer->held.size = transfer->held_start = 0;
    return count;
}

/* Let on_body fill the buffer until it is full or the body ends. */
static int CO_FN lend(struct http_transfer *transfer, char *buffer, size_t size, size_t *filled)
{
    int rc = 0;
    transfer->lent = buffer;
    transfer->lent_size = size;
    transfer->lent_used = 0;
    if (transfer->paused) {
        transfer->paused = false;
        if (curl_easy_pause(transfer->exchange.easy, CURLPAUSE_CONT) != CURLE_OK) /* calls on_body */
            rc = fail_memory();
        client_kick(transfer->exchange.client);
    }
    if (rc == 0 && transfer->lent_used < size && !transfer->exchange.done)
        rc = client_wait(&transfer->exchange);
    *filled = transfer->lent_used;
    transfer->lent = NULL;
    transfer->lent_size = transfer->lent_used = 0;
    return rc;
}

int64_t CO_FN http_read(struct http_transfer *transfer, void *buffer, size_t size)
{
    struct exchange *exchange = &transfer->exchange;
    size_t count = take_held(transfer, buffer, size);
    while (count < size && !exchange->done) {
        size_t filled;
        int rc = lend(transfer, (char *)buffer + count, size - count, &filled);
        if (rc < 0)
            return rc;
        count += filled;
    }
    if (exchange->done && exchange->result != CURLE_OK)
        return http_fail_transport(transfer);
    return (int64_t)count;
}

int content_range_parse(const char *text, struct content_range *out)
{
    struct content_range range = {-1, -1, -1};
    char numbers[3][24] = {"", "", ""};
    if (strncasecmp(text, "bytes", 5) != 0 || (text[5] != ' ' && text[5] != '='))
        return -EPROTO;
    const char *at = text + 6;
    if (*at == '*') {
        at++;
    } else {
        size_t first = strspn(at, "0123456789"),
               last = at[first] == '-' ? strspn(at + first + 1, "0123456789") : 0;
        if (first == 0 || first >= sizeof numbers[0] || last == 0 || last >= sizeof numbers[1])
            return -EPROTO;
        memcpy(numbers[0], at, first);
        memcpy(numbers[1], at + first + 1, last);
        at += first + 1 + last;
        if (parse_i64(numbers[0], &range.first) < 0 || parse_i64(numbers[1], &range.last) < 0)
            return -EPROTO;
    }
    if (*at++ != '/')
        return -EPROTO;
    if (strcmp(at, "*") != 0 && (!isdigit((unsigned char)*at) || parse_i64(at, &range.total) < 0))
        return -EPROTO;
    if (range.last < range.first || (range.total >= 0 && range.last >= range.total))
        return -EPROTO;
    *out = range;
    return 0;
}
