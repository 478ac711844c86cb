/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_CLIENT_H
#define NET_CLIENT_H
/*
 * A curl multi handle on a loop's uv handles: one a loop, made on first use, so that connections and HTTP/2 streams are
 * shared by all that is asked on that loop; and one for each site that has connections of its own, since curl closes
 * those of one multi handle only together. Loop's thread only.
 *
 *     client_take            client_start                 curl is done
 *   ────────────▶ IDLE ───────────────────▶ RUNNING ───────────────────▶ DONE
 *                  ▲                           │ client_stop               │
 *                  └───────────────────────────┴───────────────────────────┘
 *
 * Invariants
 *   C1  curl's and uv's callbacks only move bytes and call client_wake, which queues the waiting task. No task runs
 *       inside one, so tasks may call curl as they like.
 *   C2  A socket that curl opened stays in epoll until curl closes it, also between requests: watching a socket for
 *       reading costs nothing, while taking it out and in again is two system calls a request. What it reports when
 *       nobody waits on it (the server hung up) ends the watching.
 */
#include <stdbool.h>

#include <curl/curl.h>

#include "task/loop.h"

struct client;

/* One request after the other on an easy handle. The first field of its owner's struct, which the client keeps between
 * requests and frees with `free_owner`. */
struct exchange {
    struct client *client;
    CURL *easy;
    struct exchange_wait *waiting; /* the task that waits; NULL: nobody */
    bool running, done;
    CURLcode result;         /* when done */
    struct list node;        /* of the client's idle ones, or of those that run */
    uint64_t quiet_max_ms;   /* a task that waits for so long while nothing moves: CURLE_OPERATION_TIMEDOUT */
    uint64_t quiet_since_ms; /* as far as the client has looked */
    bool moved;              /* bytes did, since then; set in curl's callbacks */
    bool stalled;            /* that is why it is done */
    void (*free_owner)(struct exchange *exchange);
};

/* `owner` NULL: the one that the loop's sites share; else that of its own connections. */
int client_get(struct larder_loop *loop, const void *owner, struct client **out);
/* Close an owner's client, if there is one, with its connections. None of its exchanges is in use. */
void client_end(struct larder_loop *loop, const void *owner);

/* An idle exchange, if possible one for which `like` (of the latest use) says yes; NULL: none. */
struct exchange *client_take(struct client *client,
                             bool (*like)(const struct exchange *exchange, const void *arg), const void *arg);
/* Make `exchange` one of this client's, with an easy handle. */
int client_adopt(struct client *client, struct exchange *exchange,
                 void (*free_owner)(struct exchange *exchange));
/* Give it back; it is stopped. */
void client_give(struct exchange *exchange);

/* Forget what the easy handle was set up for. */
void client_reset(struct exchange *exchange);
/* Send the request for which the easy handle is set up. */
int client_start(struct exchange *exchange);
/* Let curl do what it can do at once: after curl_easy_pause. */
void client_kick(struct client *client);
/* Until client_wake. -ECANCELED, -ETIMEDOUT: the exchange may still be running. */
int CO_FN client_wait(struct exchange *exchange);
/* Callbacks: the waiting task, if any, has something to look at. */
void client_wake(struct exchange *exchange);
/* Take it from curl. One that is still running is abandoned: its connection closes, its stream is reset. */
void client_stop(struct exchange *exchange);

#endif
