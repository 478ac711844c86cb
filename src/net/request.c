/* SPDX-License-Identifier: Apache-2.0 */
/* A request becomes what an easy handle is set to: for all requests to a site, and for this one. */
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/seams.h"
#include "net/transfer.h"

#define RECEIVE_SIZE (256 << 10) /* of curl's buffer; 64 KiB: large bodies 13 to 17 % slower */

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

int CO_FN request_set_up(struct http_transfer *transfer, const struct http_request *request)
{
    CURL *easy = transfer->exchange.easy;
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
    return curl_easy_setopt(easy, CURLOPT_URL, transfer->url) == CURLE_OK ? 0 : fail_memory();
}
