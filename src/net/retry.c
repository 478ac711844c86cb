/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When to ask again, and when to stop.
 *
 * The first wait is 50 to 100 ms, each further one twice as long, and none is shorter than what Retry-After says. After
 * tries_max failures in a row, or when the next try would begin later than retry_timeout_ms after the first of them, the
 * failure stands. Both count anew once a body has gone on for PROGRESS_SIZE: a long file may be cut many times.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "base/text.h"
#include "net/http_status.h"
#include "net/transfer.h"

#define WAIT_FIRST_MS 50
#define WAIT_MAX_MS   10000
#define PROGRESS_SIZE ((int64_t)1 << 20)

/* ---- what may pass ---- */

/* Did nothing of the request leave? (curl says of a kept connection that connecting took no time.) */
static bool never_connected(const struct http_transfer *transfer)
{
    if (http_tunnel_refusal(transfer))
        return true;
    switch (transfer->exchange.result) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
        return true;
    case CURLE_OPERATION_TIMEDOUT:
        return transfer->sent == 0;
    default:
        return false;
    }
}

void tries_note_transport(const struct http_transfer *transfer, int status)
{
    struct http_tries *tries = transfer->tries;
    bool ours = status == -EACCES || status == -EINVAL || status == -ENOTSUP; /* it will be so again */
    tries->nobody = never_connected(transfer);
    tries->again = !ours && (!transfer->once || tries->nobody);
    tries->fresh = true;
}

void tries_note_doubt(const struct http_transfer *transfer)
{
    transfer->tries->again = !transfer->once;
    transfer->tries->fresh = true;
}

/* Retry-After (RFC 9110 §10.2.3): seconds, or a date, by the clock of the server if it says what that shows. */
static int64_t retry_after_ms(const struct http_response *response)
{
    const char *text = response->header[HTTP_RETRY_AFTER], *date = response->header[HTTP_DATE];
    int64_t seconds, at_ns, now = wall_ns(), server_ns;
    if (!text)
        return 0;
    if (text[0] && text[strspn(text, "0123456789")] == 0)
        return parse_i64(text, &seconds) < 0 || seconds > INT64_MAX / 1000 ? INT64_MAX : seconds * 1000;
    if (parse_http_date(text, &at_ns) < 0)
        return 0;
    if (date && parse_http_date(date, &server_ns) == 0)
        now = server_ns;
    return at_ns > now ? (at_ns - now) / 1000000 : 0;
}

void tries_note_answer(const struct http_transfer *transfer)
{
    struct http_tries *tries = transfer->tries;
    int answer = transfer->response.status;
    const struct http_status *status = http_status(answer);
    bool undone = status->undone || (answer == 408 && !send_is_whole(transfer));
    bool stands = (answer == 500 && transfer->error_stands) || !send_can_begin_again(transfer);
    tries->again = status->passes && (!transfer->once || undone) && !stands;
    tries->fresh |= answer == 421; /* the connection is one to another server, for this name */
    tries->after_ms = tries->again ? retry_after_ms(&transfer->response) : 0;
}

/* ---- trying ---- */

void tries_begin_one(struct http_tries *tries, uint64_t now)
{
    if (!tries->begun_ns)
        tries->begun_ns = now;
    tries->again = tries->fresh = tries->nobody = false;
    tries->after_ms = 0;
}

void tries_note_progress(struct http_tries *tries, int64_t size)
{
    tries->progress = tries->failed > 0 ? tries->progress + size : size;
    if (tries->progress >= PROGRESS_SIZE)
        tries->failed = 0;
}

static int64_t next_wait_ms(const struct http_tries *tries)
{
    int64_t least = WAIT_FIRST_MS;
    for (unsigned i = 0; i < tries->failed && least < WAIT_MAX_MS; i++)
        least *= 2;
    int64_t wait = least + (int64_t)(random_u64() % (uint64_t)(least + 1));
    return tries->after_ms > INT64_MAX - wait ? INT64_MAX : tries->after_ms + wait;
}

int64_t tries_next_wait_ms(struct http_tries *tries)
{
    struct http_site *site = tries->site;
    if (!tries->again)
        return -1;
    uint64_t now = now_ns();
    int64_t wait = next_wait_ms(tries);
    if (tries->failed == 0)
        tries->failed_ns = now;
    /* Of a site where there was nobody, one try a call is enough to see whether somebody came back. */
    bool enough = tries->failed + 1 >= (site->down ? 1 : site->tries_max) ||
                  wait > site->retry_timeout_ms - (int64_t)((now - tries->failed_ns) / 1000000);
    if (enough && tries->nobody)
        site->down = true;
    return enough ? -1 : wait;
}

int CO_FN tries_wait(struct http_tries *tries, int64_t wait_ms)
{
    struct error_slot words = *error_slot();
    log_at(LARDER_LOG_INFO, "again in %lld ms", (long long)wait_ms);
    int rc = task_sleep((uint64_t)wait_ms);
    if (rc == -ETIMEDOUT) /* what was waited for says more than that there is no more time */
        *error_slot() = words;
    else
        tries->failed++;
    return rc;
}

bool CO_FN http_try_again(struct http_tries *tries, int *rc)
{
    int64_t wait = *rc < 0 ? tries_next_wait_ms(tries) : -1;
    int waited = wait < 0 ? 0 : tries_wait(tries, wait);
    if (waited < 0)
        *rc = waited;
    return wait >= 0 && waited == 0;
}
