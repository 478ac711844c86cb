/* SPDX-License-Identifier: Apache-2.0 */
#include "yard_curl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench.h"

#define EVENTS_MAX 64

/* ---- requests ---- */

static size_t on_body(char *data, size_t one, size_t size, void *arg)
{
    struct yard_slot *slot = arg;
    if (slot->keep && !slot->data) {
        curl_off_t whole = -1;
        curl_easy_getinfo(slot->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &whole);
        if (whole < 0)
            bench_die("the server did not say how much it sends");
        slot->data = bench_alloc((size_t)whole + 1);
    }
    if (slot->keep)
        memcpy(slot->data + slot->size, data, size);
    slot->size += size;
    return size;
}

void yard_slot_init(struct yard_slot *slot, bool keep, const char *ca_file)
{
    CURL *easy = curl_easy_init();
    *slot = (struct yard_slot){.easy = easy, .keep = keep};
    if (!easy)
        bench_die("curl_easy_init failed");
    curl_easy_setopt(easy, CURLOPT_PRIVATE, slot);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, slot);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 262144L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 30000L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, 60L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "larder/bench");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     (long)(ca_file ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    if (ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
        curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
    }
}

void yard_slot_fini(struct yard_slot *slot)
{
    curl_easy_cleanup(slot->easy);
    free(slot->data);
}

void yard_slot_check(struct yard_slot *slot, CURLcode result)
{
    long status = 0;
    curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
    if (result != CURLE_OK || status != 200)
        bench_die("curl: %s, status %ld", curl_easy_strerror(result), status);
}

/* ---- the multi handle on epoll ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct yard *yard = arg;
    struct epoll_event event = {.data.fd = fd};
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(yard->epoll, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    if (epoll_ctl(yard->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0)
        bench_die("epoll_ctl: %s", strerror(errno));
    curl_multi_assign(yard->multi, fd, yard);
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct yard *yard = arg;
    /* curl cuts what is left to whole milliseconds, and does not ask again if it is called too early. */
    long late_ms = timeout_ms > 0 ? timeout_ms + 1 : timeout_ms;
    yard->timer = late_ms < 0 ? 0 : bench_now() + (double)late_ms / 1e3;
    return 0;
}

void yard_init(struct yard *yard)
{
    *yard = (struct yard){.multi = curl_multi_init(), .epoll = epoll_create1(EPOLL_CLOEXEC)};
    if (!yard->multi || yard->epoll < 0)
        bench_die("no multi handle, or no epoll");
    curl_multi_setopt(yard->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(yard->multi, CURLMOPT_SOCKETDATA, yard);
    curl_multi_setopt(yard->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(yard->multi, CURLMOPT_TIMERDATA, yard);
    curl_multi_setopt(yard->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    curl_multi_setopt(yard->multi, CURLMOPT_MAXCONNECTS, 256L);
}

void yard_fini(struct yard *yard)
{
    curl_multi_cleanup(yard->multi);
    close(yard->epoll);
}

void yard_start(struct yard *yard, struct yard_slot *slot, const char *url)
{
    slot->data = NULL;
    slot->size = 0;
    curl_easy_setopt(slot->easy, CURLOPT_URL, url);
    if (curl_multi_add_handle(yard->multi, slot->easy) != CURLM_OK)
        bench_die("curl_multi_add_handle failed");
    yard->running++;
}

static void collect(struct yard *yard)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(yard->multi, &left)) != NULL;) {
        struct yard_slot *slot;
        CURLcode result = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&slot);
        curl_multi_remove_handle(yard->multi, slot->easy);
        yard->running--;
        yard_slot_check(slot, result);
        slot->ended(slot, slot->arg);
    }
}

/* Milliseconds until curl wants to be called; -1: never. */
static int timer_left(const struct yard *yard)
{
    if (yard->timer == 0)
        return -1;
    double left = yard->timer - bench_now();
    return left <= 0 ? 0 : (int)(left * 1e3) + 1;
}

bool yard_turn(struct yard *yard, int other)
{
    struct epoll_event events[EVENTS_MAX];
    int running;
    /* First, so that a request that was just added leaves without a call of epoll; it may end right here. */
    if (timer_left(yard) == 0) {
        yard->timer = 0;
        curl_multi_socket_action(yard->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        collect(yard);
    }
    if (yard->running == 0 && other < 0)
        return false;
    bool rang = false;
    int count = epoll_wait(yard->epoll, events, EVENTS_MAX, timer_left(yard));
    for (int i = 0; i < count; i++) {
        int flags = (events[i].events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
                    (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                    (events[i].events & EPOLLERR ? CURL_CSELECT_ERR : 0);
        if (events[i].data.fd == other)
            rang = true;
        else
            curl_multi_socket_action(yard->multi, events[i].data.fd, flags, &running);
    }
    collect(yard);
    return rang;
}
