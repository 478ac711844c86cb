/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PROXY_H
#define TESTS_PROXY_H
/*
 * A forward proxy inside the test: it passes requests for http URLs on, opens tunnels for CONNECT, and remembers what
 * it was asked. Whatever name it is given, it connects to 127.0.0.1. Any thread; failures abort.
 */
#include <stddef.h>

struct proxy;

/* `credentials` is "user:password", or NULL: it asks for none. */
struct proxy *proxy_start(const char *credentials);
void proxy_stop(struct proxy *proxy); /* NULL is fine */
/* "127.0.0.1:PORT", borrowed. */
const char *proxy_address(const struct proxy *proxy);
/* The requests so far, line and headers as they came, one behind the other. Freed with free. */
char *proxy_requests(struct proxy *proxy);

#endif
