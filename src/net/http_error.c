/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a failure is called. Missing is never failed.
 *
 *   no answer    -EHOSTUNREACH  the name is unknown, no route      -ECONNREFUSED …  as connect(2) says
 *                -ETIMEDOUT     no connection, or no byte, in time -ECONNRESET      the connection was lost,
 *                                                                                or the body cut
 *                -EACCES        the certificate is not to be trusted
 *                -EPROTO        not HTTP, or no TLS that both can speak
 *                -ELOOP         too many redirects
 *   an answer    what its status is called (http_status.c)
 */
#include <errno.h>
#include <string.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/seams.h"
#include "net/http_status.h"
#include "net/transfer.h"
#include "net/uri.h"

/* ", 5 tries in 12.4 s" */
static void format_tries(const struct http_tries *tries, char *out, size_t size)
{
    double seconds = (double)(now_ns() - tries->begun_ns) / 1e9;
    out[0] = 0;
    if (tries->failed > 0 || tries->again)
        snprintf(out, size, ", %u %s in %.*f s", tries->failed + 1, tries->failed ? "tries" : "try",
                 seconds < 10 ? 2 : 1, seconds);
}

__attribute__((format(printf, 3, 0))) static int fail_with(const struct http_transfer *transfer, int status,
                                                           const char *format, va_list arguments)
{
    char why[512], tries[48];
    vsnprintf(why, sizeof why, format, arguments);
    format_tries(transfer->tries, tries, sizeof tries);
    autofree char *shown = uri_redact(transfer->url);
    if (!shown)
        return fail_memory();
    return fail(status, "%s %s%s%s: %s%s", http_method_name(transfer->method), shown,
                transfer->range ? " bytes " : "", transfer->range ? transfer->range : "", why, tries);
}

int http_fail(const struct http_transfer *transfer, int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int rc = fail_with(transfer, status, format, arguments);
    va_end(arguments);
    return rc;
}

int http_doubt(const struct http_transfer *transfer, int status, const char *format, ...)
{
    va_list arguments;
    tries_note_doubt(transfer);
    va_start(arguments, format);
    int rc = fail_with(transfer, status, format, arguments);
    va_end(arguments);
    return rc;
}

void http_log(const struct http_transfer *transfer, int status)
{
    if (!log_wanted(LARDER_LOG_INFO))
        return;
    autofree char *shown = uri_redact(transfer->url);
    if (status < 0)
        log_line(LARDER_LOG_INFO, "%s", error_text()); /* which names it */
    else if (shown)
        log_line(LARDER_LOG_INFO, "%s %s%s%s: %d", http_method_name(transfer->method), shown,
                 transfer->range ? " bytes " : "", transfer->range ? transfer->range : "",
                 transfer->response.status);
}

static int cut_body(const struct http_transfer *transfer)
{
    long long received = transfer->before + transfer->received;
    if (transfer->response.content_length < 0)
        return http_fail(transfer, -ECONNRESET, "the body was cut after %lld bytes", received);
    return http_fail(transfer, -ECONNRESET, "the body was cut after %lld of %lld bytes", received,
                     (long long)transfer->response.content_length);
}

/* connect(2)'s errors that say more than "unreachable". */
static int connect_status(const struct http_transfer *transfer)
{
    long error = 0;
    curl_easy_getinfo(transfer->exchange.easy, CURLINFO_OS_ERRNO, &error);
    switch (error) {
    case ECONNREFUSED:
    case ENETUNREACH:
    case ETIMEDOUT:
    case EMFILE:
    case ENFILE:
    case ENOENT: /* no such unix socket: not a missing file */
        return error == ENOENT ? -ECONNREFUSED : -(int)error;
    default:
        return -EHOSTUNREACH;
    }
}

static int transport_status(const struct http_transfer *transfer)
{
    switch (transfer->exchange.result) {
    case CURLE_OUT_OF_MEMORY:
    case CURLE_WRITE_ERROR: /* ours says so when memory is out */
        return -ENOMEM;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
        return -EHOSTUNREACH;
    case CURLE_COULDNT_CONNECT:
        return connect_status(transfer);
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_GOT_NOTHING:
    case CURLE_ABORTED_BY_CALLBACK: /* send.c: a second try that must not be */
    case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return -ECONNRESET;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_LOGIN_DENIED:
        return -EACCES;
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_URL_MALFORMAT:
        return -EINVAL;
    case CURLE_NOT_BUILT_IN:
        return -ENOTSUP;
    default: /* among them CURLE_UNSUPPORTED_PROTOCOL: HTTP/0.9, that is, rubbish */
        return -EPROTO;
    }
}

int http_tunnel_refusal(const struct http_transfer *transfer)
{
    long answer = 0;
    curl_easy_getinfo(transfer->exchange.easy, CURLINFO_HTTP_CONNECTCODE, &answer);
    return transfer->exchange.result == CURLE_OK || (answer >= 200 && answer <= 299) ? 0 : (int)answer;
}

/* Who is connected to: the origin, or a proxy. */
struct peer {
    const char *address; /* curl's */
    long port;
};

static struct peer peer_of(const struct http_transfer *transfer)
{
    struct peer peer = {NULL, 0};
    curl_easy_getinfo(transfer->exchange.easy, CURLINFO_PRIMARY_IP, &peer.address);
    curl_easy_getinfo(transfer->exchange.easy, CURLINFO_PRIMARY_PORT, &peer.port);
    if (!peer.address)
        peer.address = "";
    return peer;
}

/* Whatever else a proxy says of a tunnel, nothing was asked at the origin, and so nothing is missing there. */
static int tunnel_status(int answer)
{
    return answer == 401 || answer == 403 || answer == 407 ? -EACCES : -EHOSTUNREACH;
}

/* Does a text of curl's quote a URL with a user in it, such as a proxy's from the environment? */
static bool quotes_secret(const char *text)
{
    const char *url = strstr(text, "://");
    return url && strchr(url, '@');
}

int http_fail_transport(const struct http_transfer *transfer)
{
    CURLcode result = transfer->exchange.result;
    int refusal = http_tunnel_refusal(transfer);
    int status = refusal ? tunnel_status(refusal) : transport_status(transfer);
    if (status == -ENOMEM)
        return fail_memory();
    tries_note_transport(transfer, status);
    if (transfer->headers_done && status == -ECONNRESET)
        return cut_body(transfer);
    if (transfer->exchange.stalled)
        return http_fail(transfer, status, "no byte moved for %.3g s",
                         (double)transfer->site->stall_timeout_ms / 1000);
    if (refusal) {
        struct peer proxy = peer_of(transfer);
        return http_fail(transfer, status, "the proxy %s:%ld opens no tunnel: %d", proxy.address, proxy.port,
                         refusal);
    }
    const char *text = transfer->curl_text;
    return http_fail(transfer, status, "%s",
                     text[0] && !quotes_secret(text) ? text : curl_easy_strerror(result));
}

int http_fail_status(const struct http_transfer *transfer)
{
    int answer = transfer->response.status;
    const struct http_status *status = http_status(answer);
    if (answer < 300) /* success, but not what was asked for */
        return http_doubt(transfer, -EPROTO, "the answer is %d", answer);
    tries_note_answer(transfer);
    if (answer == 407) {
        struct peer proxy = peer_of(transfer);
        return http_fail(transfer, status->rc, "%d %s, says %s:%ld", answer, status->phrase, proxy.address,
                         proxy.port);
    }
    if (status->phrase)
        return http_fail(transfer, status->rc, "%d %s", answer, status->phrase);
    return http_fail(transfer, status->rc, "the answer is %d", answer);
}
