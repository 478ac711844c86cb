/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NGINX_H
#define TESTS_NGINX_H
/*
 * A real nginx for a group of tests, on free ports of 127.0.0.1, in a temporary directory. What its locations do is
 * told in tests/servers/nginx-up.sh.
 */
#include <stddef.h>

struct nginx;

/* NULL, with a line on stderr: no nginx can be had. */
struct nginx *nginx_start(void);
/* Stop it and remove its directory. NULL is fine. */
void nginx_stop(struct nginx *nginx);

/* All borrowed. */
const char *nginx_url(const struct nginx *nginx);         /* "http://127.0.0.1:PORT" */
const char *nginx_tls_url(const struct nginx *nginx);     /* "https://127.0.0.1:PORT", with HTTP/2 */
const char *nginx_root(const struct nginx *nginx);        /* the directory of what it serves */
const char *nginx_certificate(const struct nginx *nginx); /* the PEM file to trust */

/* Forget the access log; then wait until `requests` are in it, and tell over how many connections they came. 0: so many
 * did not come. */
void nginx_log_clear(struct nginx *nginx);
size_t nginx_log_connections(struct nginx *nginx, size_t requests);

#endif
