/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A body: lent buffers, what is held while none is lent, and the rest of what was cut.
 *
 * The rest of a body is asked for by its range, If-Range the version is the same: bytes of two versions never meet. A
 * server that does not look at If-Range is found out by the ETag of its 206. Where that cannot be (no strong ETag, no
 * ranges, another version by now) the failure is one to start over from; to do so is the reader's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "net/http_status.h"
#include "net/transfer.h"

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

/* Let receive_body fill the buffer until it is full or the body ends. */
static int CO_FN lend(struct http_transfer *transfer, char *buffer, size_t size, size_t *filled)
{
    int rc = 0;
    transfer->lent = buffer;
    transfer->lent_size = size;
    transfer->lent_used = 0;
    if (transfer->paused) {
        transfer->paused = false;
        if (curl_easy_pause(transfer->exchange.easy, CURLPAUSE_CONT) != CURLE_OK) /* calls receive_body */
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

/* ---- the rest of what was cut ---- */

struct rest { /* of the file, in bytes; -1: not known */
    int64_t first, last, total;
};

static int64_t body_position(const struct http_transfer *transfer)
{
    return transfer->before + transfer->received;
}

/* False: it cannot be asked for alone. */
static bool rest_of(const struct http_transfer *transfer, struct rest *out)
{
    const struct http_response *response = &transfer->response;
    const char *etag = response->header[HTTP_ETAG], *text = response->header[HTTP_CONTENT_RANGE];
    struct content_range range;
    if (transfer->method != HTTP_GET || !etag || !etag_is_strong(etag) || http_is_encoded(response))
        return false;
    if (response->status == 200)
        *out = (struct rest){0, response->content_length - 1, response->content_length};
    else if (response->status == 206 && text && content_range_parse(text, &range) == 0 && range.first >= 0)
        *out = (struct rest){range.first, range.last, range.total};
    else
        return false;
    if (out->total < 0 && response->status == 200)
        out->last = -1;
    out->first += body_position(transfer);
    return out->last < 0 || out->first <= out->last;
}

/* 206: is it that, of the same version? */
static int judge_rest(const struct http_transfer *transfer, const struct rest *rest)
{
    const struct http_response *response = &transfer->response;
    const char *text = response->header[HTTP_CONTENT_RANGE];
    struct content_range got;
    if (!text || content_range_parse(text, &got) < 0)
        return http_doubt(transfer, -EPROTO, "206 without a Content-Range: %.80s", text ? text : "none");
    bool right = got.first == rest->first && (rest->total < 0 || got.total == rest->total) &&
                 got.last == (rest->last < 0 ? got.total - 1 : rest->last);
    if (!right || http_is_encoded(response))
        return http_doubt(transfer, -EPROTO, "206 with other bytes: %.80s", text);
    if (response->content_length >= 0 && response->content_length != got.last - got.first + 1)
        return http_doubt(transfer, -EPROTO, "206 of %.80s with a body of %lld bytes", text,
                          (long long)response->content_length);
    return 0;
}

/* 0: the rest follows. `*over`: it does not, and asking again for it would not help. */
static int judge_answer(const struct http_transfer *transfer, const struct rest *rest, const char *version,
                        bool *over)
{
    const struct http_response *response = &transfer->response;
    const char *etag = response->header[HTTP_ETAG];
    bool same = etag && strcmp(etag, version) == 0;
    if (response->status == 206 && same && !response->slash_added)
        return judge_rest(transfer, rest);
    *over = true;
    if (response->status != 200 && response->status != 206 && response->status != 412 &&
        response->status != 416) {
        int rc = http_fail_status(transfer);
        /* A signature may have had its time: who asks anew makes another. */
        transfer->tries->again |= response->status == 401 || response->status == 403;
        return rc;
    }
    transfer->tries->again = true;
    if (response->status == 416 || same)
        return http_fail(transfer, -ECONNRESET,
                         "the body was cut after %lld bytes, and its rest is not to be had",
                         (long long)transfer->before);
    return http_fail(transfer, -ESTALE, "it changed while it was read");
}

/* The response that the reader knows stays, with the memory of its texts. */
static int CO_FN ask_rest(struct http_transfer *transfer, const struct rest *rest, bool *over)
{
    const struct http_response response = transfer->response;
    struct buffer text = transfer->text;
    char range[48];
    if (rest->last < 0)
        snprintf(range, sizeof range, "%lld-", (long long)rest->first);
    else
        snprintf(range, sizeof range, "%lld-%lld", (long long)rest->first, (long long)rest->last);
    const struct http_request request = {.method = HTTP_GET,
                                         .range = range,
                                         .if_range = response.header[HTTP_ETAG]};
    transfer->text = transfer->spare;
    int rc = transfer_follow(transfer, &request);
    if (rc == 0 && http_status(transfer->response.status)->passes)
        rc = http_fail_status(transfer);
    else if (rc == 0)
        rc = judge_answer(transfer, rest, request.if_range, over);
    transfer->spare = transfer->text;
    transfer->text = text;
    transfer->response = response;
    transfer->response.url = transfer->url;
    if (rc < 0) { /* nor is any of its bytes believed */
        client_stop(&transfer->exchange);
        transfer->received = 0;
        transfer->held.size = transfer->held_start = 0;
    }
    return rc;
}

/* After the failure `rc`: 0 when the body goes on. */
static int CO_FN resume(struct http_transfer *transfer, int rc)
{
    struct rest rest;
    bool over = !rest_of(transfer, &rest);
    client_stop(&transfer->exchange);
    tries_note_progress(transfer->tries, transfer->received);
    transfer->before = body_position(transfer);
    transfer->received = 0;
    while (!over && http_try_again(transfer->tries, &rc))
        rc = ask_rest(transfer, &rest, &over);
    return rc;
}

int64_t CO_FN http_read(struct http_transfer *transfer, void *buffer, size_t size)
{
    struct exchange *exchange = &transfer->exchange;
    size_t count = take_held(transfer, buffer, size);
    while (count < size) {
        size_t filled = 0;
        int rc = 0;
        if (!exchange->done)
            rc = lend(transfer, (char *)buffer + count, size - count, &filled);
        else if (exchange->result == CURLE_OK)
            break;
        else
            rc = resume(transfer, http_fail_transport(transfer));
        if (rc < 0)
            return rc;
        count += filled + take_held(transfer, (char *)buffer + count + filled, size - count - filled);
    }
    return (int64_t)count;
}
