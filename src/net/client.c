/* SPDX-License-Identifier: Apache-2.0 */
#include "net/client.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libxml/parser.h>
#include <uv.h>

#include "base/error.h"
#include "base/seams.h"
#include "task/process.h"

#define IDLE_EXCHANGES_MAX   256
#define IDLE_CONNECTIONS_MAX 256
#define WATCH_MS             250 /* between two looks at who stalls: that much later at most it is noticed */

struct client {
    struct loop_part part;
    struct larder_loop *loop;
    CURLM *multi;
    CURLSH *share;    /* TLS sessions, which curl else keeps for each easy handle */
    uv_timer_t timer; /* curl's */
    uv_timer_t watch; /* of what runs */
    unsigned open_timers;
    struct list running;
    struct socket **sockets; /* by descriptor */
    size_t socket_limit;
    struct list idle;
    size_t idle_count;
};

struct socket {
    uv_poll_t poll;
    struct client *client;
    struct larder_loop *loop; /* the client may be gone when the handle has closed */
    int fd;
    int wanted;  /* UV_READABLE | UV_WRITABLE: what curl waits for; 0: nothing */
    int watched; /* what epoll was told */
    bool opened; /* by us, so that we hear when it is closed (C2); else it is of curl's resolver */
};

struct exchange_wait {
    struct wait wait;
    struct exchange *exchange;
};

/* curl and libxml2 are initialised before the first thread, and before the exit handler that ends our threads. */
static void init_libraries(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    xmlInitParser();
}

__attribute__((constructor)) static void at_load(void)
{
    process_before_threads(init_libraries);
}

/* ---- sockets ---- */

static struct socket *socket_at(const struct client *client, curl_socket_t fd)
{
    return (size_t)fd < client->socket_limit ? client->sockets[fd] : NULL;
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct socket *socket = handle->data;
    struct larder_loop *loop = socket->loop;
    mem_free(socket);
    loop_drop(loop);
}

/* Takes it out of epoll at once; the descriptor may be closed right after. */
static void socket_forget(struct socket *socket)
{
    socket->client->sockets[socket->fd] = NULL;
    uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
}

static struct socket *socket_new(struct client *client, curl_socket_t fd, bool opened)
{
    if ((size_t)fd >= client->socket_limit) {
        size_t limit = ((size_t)fd + 64) * 2;
        struct socket **sockets = mem_resize(client->sockets, limit * sizeof *sockets);
        if (!sockets)
            return NULL;
        for (size_t i = client->socket_limit; i < limit; i++)
            sockets[i] = NULL;
        client->sockets = sockets;
        client->socket_limit = limit;
    }
    if (client->sockets[fd]) /* closed without a word (see on_socket), and now it is another */
        socket_forget(client->sockets[fd]);
    struct socket *socket = mem_zero(sizeof *socket);
    if (!socket || uv_poll_init_socket(loop_uv(client->loop), &socket->poll, fd) < 0) {
        mem_free(socket);
        return NULL;
    }
    /* Tasks keep an attached loop running; an idle connection must not. */
    uv_unref((uv_handle_t *)&socket->poll);
    loop_hold(client->loop);
    socket->poll.data = socket;
    socket->client = client;
    socket->loop = client->loop;
    socket->fd = fd;
    socket->opened = opened;
    client->sockets[fd] = socket;
    return socket;
}

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct client *client = arg;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    if (!socket_new(client, fd, true)) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    return fd;
}

static int on_close(void *arg, curl_socket_t fd)
{
    struct client *client = arg;
    struct socket *socket = socket_at(client, fd);
    if (socket)
        socket_forget(socket);
    return close(fd);
}

static void collect_done(struct client *client)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(client->multi, &left)) != NULL;) {
        struct exchange *exchange;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&exchange);
        exchange->done = true;
        exchange->result = message->data.result;
        client_wake(exchange);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct socket *socket = poll->data;
    struct client *client = socket->client;
    /* A socket in error is readable and writable, as for poll(2): curl is to find out by itself. Told of an error, it
     * would not send a request once more whose kept connection the server has just hung up on. */
    int flags = status < 0 ? CURL_CSELECT_IN | CURL_CSELECT_OUT : 0, running;
    flags |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    if (status < 0)
        socket->watched = 0; /* uv has stopped it */
    if (socket->wanted == 0) {
        uv_poll_stop(poll);
        socket->watched = 0;
        return;
    }
    curl_multi_socket_action(client->multi, socket->fd, flags, &running);
    collect_done(client);
}

static void socket_watch(struct socket *socket, int events)
{
    if (events != socket->watched)
        uv_poll_start(&socket->poll, events, on_poll);
    socket->watched = events;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
    struct client *client = arg;
    struct socket *socket = socket_at(client, fd);
    if (what == CURL_POLL_REMOVE) {
        if (!socket)
            return 0;
        socket->wanted = 0;
        /* One that was still connecting has been closed by now: curl 7.88 does not call on_close then. uv would end the
         * process for a closed descriptor that is to be watched. */
        if (!socket->opened || socket->watched & UV_WRITABLE)
            socket_forget(socket);
        return 0;
    }
    if (!socket)
        socket = socket_new(client, fd, false);
    if (!socket) {
        /* Without memory or epoll's consent. An error told to curl would end the multi handle for good; unwatched, this
         * one transfer meets its timeout. */
        log_at(LARDER_LOG_WARNING, "a socket cannot be watched: out of memory or of epoll watches");
        return 0;
    }
    socket->wanted = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    socket_watch(socket, socket->wanted);
    return 0;
}

/* ---- time ---- */

static void on_timer(uv_timer_t *timer);

static int set_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct client *client = arg;
    if (timeout_ms < 0)
        uv_timer_stop(&client->timer);
    else
        uv_timer_start(&client->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct client *client = timer->data;
    client_kick(client);
    /* uv counts from the start of its turn, and so may be early. curl does not ask again for the same moment. */
    long timeout_ms = -1;
    if (!uv_is_active((uv_handle_t *)timer) && curl_multi_timeout(client->multi, &timeout_ms) == CURLM_OK &&
        timeout_ms >= 0)
        uv_timer_start(timer, on_timer, (uint64_t)timeout_ms + 1, 0);
}

void client_kick(struct client *client)
{
    int running;
    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect_done(client);
}

/* ---- stalls ---- */

/*
 * curl's own watch (CURLOPT_LOW_SPEED_TIME) goes by an average of five seconds, so that it is late after a fast start and
 * takes a byte every other second for none. Who has no waiting task is held up by us, not by the server; and before there
 * is a connection it is the time for connecting that counts.
 */
static void watch(struct exchange *exchange, uint64_t now_ms)
{
    curl_off_t sent_us = 0;
    if (exchange->moved || exchange->done || !exchange->waiting)
        exchange->quiet_since_ms = now_ms;
    exchange->moved = false;
    if (now_ms - exchange->quiet_since_ms < exchange->quiet_max_ms)
        return;
    curl_easy_getinfo(exchange->easy, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
    if (sent_us == 0) {
        exchange->quiet_since_ms = now_ms;
        return;
    }
    exchange->done = exchange->stalled = true;
    exchange->result = CURLE_OPERATION_TIMEDOUT;
    client_wake(exchange);
}

static void on_watch(uv_timer_t *timer)
{
    struct client *client = timer->data;
    uint64_t now_ms = uv_now(loop_uv(client->loop));
    if (list_empty(&client->running))
        uv_timer_stop(timer);
    list_for_each (node, &client->running)
        watch(container_of(node, struct exchange, node), now_ms);
}

static void watch_begin(struct exchange *exchange)
{
    struct client *client = exchange->client;
    list_push(&client->running, &exchange->node);
    exchange->moved = exchange->stalled = false;
    exchange->quiet_since_ms = uv_now(loop_uv(client->loop));
    if (!uv_is_active((uv_handle_t *)&client->watch))
        uv_timer_start(&client->watch, on_watch, WATCH_MS, WATCH_MS);
}

/* ---- the part of a loop ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    struct larder_loop *loop = client->loop;
    if (--client->open_timers > 0)
        return;
    mem_free(client->sockets);
    mem_free(client);
    loop_drop(loop);
}

static void exchange_free(struct exchange *exchange)
{
    curl_easy_cleanup(exchange->easy);
    exchange->free_owner(exchange);
}

/* No task is left, so every exchange is idle. curl_multi_cleanup closes the connections, and with them the sockets but
 * for those that it closed before without a word. */
static void client_close(struct loop_part *part)
{
    struct client *client = container_of(part, struct client, part);
    for (struct list *node; (node = list_pop(&client->idle)) != NULL;)
        exchange_free(container_of(node, struct exchange, node));
    curl_multi_cleanup(client->multi);
    curl_share_cleanup(client->share);
    for (size_t fd = 0; fd < client->socket_limit; fd++)
        if (client->sockets[fd])
            socket_forget(client->sockets[fd]);
    uv_close((uv_handle_t *)&client->timer, on_timer_closed);
    uv_close((uv_handle_t *)&client->watch, on_timer_closed);
}

static int client_kind;

static int client_new(struct larder_loop *loop, const void *kind, struct client **out)
{
    struct client *client = mem_zero(sizeof *client);
    CURLM *multi = curl_multi_init();
    CURLSH *share = curl_share_init();
    if (!client || !multi || !share) {
        curl_share_cleanup(share);
        curl_multi_cleanup(multi);
        mem_free(client);
        return fail_memory();
    }
    client->loop = loop;
    client->multi = multi;
    client->share = share;
    list_init(&client->idle);
    list_init(&client->running);
    uv_timer_init(loop_uv(loop), &client->timer);
    uv_timer_init(loop_uv(loop), &client->watch);
    uv_unref((uv_handle_t *)&client->timer);
    uv_unref((uv_handle_t *)&client->watch);
    client->timer.data = client->watch.data = client;
    client->open_timers = 2;
    loop_hold(loop);
    curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    /* Else curl keeps four times as many as there are requests at the moment. */
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS_MAX);
    loop_part_add(loop, &client->part, kind, client_close);
    *out = client;
    return 0;
}

int client_get(struct larder_loop *loop, const void *owner, struct client **out)
{
    const void *kind = owner ? owner : &client_kind;
    struct loop_part *part = loop_part_find(loop, kind);
    if (!part)
        return client_new(loop, kind, out);
    *out = container_of(part, struct client, part);
    return 0;
}

void client_end(struct larder_loop *loop, const void *owner)
{
    struct loop_part *part = loop_part_find(loop, owner);
    if (!part)
        return;
    list_remove(&part->node);
    client_close(part);
}

/* ---- exchanges ---- */

struct exchange *client_take(struct client *client,
                             bool (*like)(const struct exchange *exchange, const void *arg), const void *arg)
{
    struct list *node = client->idle.prev;
    while (node != &client->idle && !like(container_of(node, struct exchange, node), arg))
        node = node->prev;
    if (node == &client->idle)
        node = client->idle.prev;
    if (node == &client->idle)
        return NULL;
    list_remove(node);
    client->idle_count--;
    return container_of(node, struct exchange, node);
}

int client_adopt(struct client *client, struct exchange *exchange,
                 void (*free_owner)(struct exchange *exchange))
{
    exchange->easy = curl_easy_init();
    if (!exchange->easy)
        return fail_memory();
    exchange->client = client;
    exchange->free_owner = free_owner;
    list_init(&exchange->node);
    return 0;
}

void client_give(struct exchange *exchange)
{
    struct client *client = exchange->client;
    assert(!exchange->running);
    if (client->idle_count == IDLE_EXCHANGES_MAX) {
        exchange_free(exchange);
        return;
    }
    list_push(&client->idle, &exchange->node);
    client->idle_count++;
}

void client_reset(struct exchange *exchange)
{
    struct client *client = exchange->client;
    CURL *easy = exchange->easy;
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange);
    curl_easy_setopt(easy, CURLOPT_SHARE, client->share);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, client);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, client);
}

int client_start(struct exchange *exchange)
{
    struct client *client = exchange->client;
    exchange->done = false;
    if (curl_multi_add_handle(client->multi, exchange->easy) != CURLM_OK)
        return fail_memory();
    exchange->running = true;
    watch_begin(exchange);
    /* On a live connection a single request leaves right here. Many leave together, by curl's timer of 0 ms, once the
     * last task that is ready now has added its own: +13 % requests a second over HTTP/2, +4.5 % over HTTP/1.1. */
    if (!loop_is_busy(client->loop))
        client_kick(client);
    return 0;
}

void client_wake(struct exchange *exchange)
{
    if (exchange->waiting)
        wait_done(&exchange->waiting->wait, 0);
    exchange->waiting = NULL;
}

static void stop_waiting(struct wait *wait)
{
    container_of(wait, struct exchange_wait, wait)->exchange->waiting = NULL;
    wait_done(wait, -ECANCELED);
}

int CO_FN client_wait(struct exchange *exchange)
{
    struct exchange_wait waiting = {.wait = WAIT_INIT, .exchange = exchange};
    assert(!exchange->waiting);
    exchange->waiting = &waiting;
    return wait_on(&waiting.wait, stop_waiting);
}

void client_stop(struct exchange *exchange)
{
    if (!exchange->running)
        return;
    /* Else curl waits here for a name look-up that is under way: 2.9 s were seen. */
    if (!exchange->done)
        curl_easy_setopt(exchange->easy, CURLOPT_QUICK_EXIT, 1L);
    curl_multi_remove_handle(exchange->client->multi, exchange->easy);
    if (!exchange->done)
        curl_easy_setopt(exchange->easy, CURLOPT_QUICK_EXIT, 0L);
    exchange->running = false;
    list_remove(&exchange->node);
}
