/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_DROP_PROXY_H
#define TESTS_DROP_PROXY_H
/*
 * Stands before a real server and loses what it is told to: a request, before the server sees it; or an answer, after the
 * server did what it was asked. Every request has a connection of its own. Any thread.
 */
#include <stddef.h>

struct drop_proxy;
struct drop_proxy *drop_proxy_start(const char *url); /* of the server: "http://127.0.0.1:PORT" */
void drop_proxy_stop(struct drop_proxy *proxy);
const char *drop_proxy_url(const struct drop_proxy *proxy); /* borrowed */

enum drop { DROP_REQUEST, DROP_ANSWER };
/* Lose the next `count` requests of this method ("POST uploadId=": whose target has this in it), or their answers; `hook` (may be NULL) is called each time. */
void drop_proxy_lose(struct drop_proxy *proxy, const char *method, enum drop drop, unsigned count,
                     void (*hook)(void));
/* How many requests of a method came since the last drop_proxy_lose. */
unsigned drop_proxy_count(struct drop_proxy *proxy, const char *method);

#endif
