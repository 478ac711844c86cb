/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SERVER_H
#define TESTS_SERVER_H
/*
 * A real server for a group of tests, on free ports of 127.0.0.1, in a temporary directory: "nginx", "apache",
 * "lighttpd", "caddy", "rclone-http", "rclone-webdav" or "python". What its locations do is told in
 * tests/servers/NAME-up.sh. It ends with the test, however that ends.
 *
 *     static struct server *nginx;                      in the group's setup: nginx = server_start("nginx", NULL)
 *     …
 *     if (!nginx)
 *         skip();                                       in each test
 */
#include <stddef.h>
#include <sys/types.h>

struct server;

/* It serves `root`, which must exist (NULL: a new, empty directory), at "/". NULL, with a line on stderr: it is not
 * installed, and that is forgiven (not where the environment has CI). One that does not start aborts the test. */
struct server *server_start(const char *name, const char *root);
/* Stop it and remove its directory, not a `root` that was given. NULL is fine. */
void server_stop(struct server *server);

/* All borrowed. */
const char *server_url(const struct server *server);      /* "http://127.0.0.1:PORT" */
const char *server_tls_url(const struct server *server);  /* "https://127.0.0.1:PORT": nginx, apache, caddy */
const char *server_dir(const struct server *server);      /* its directory, with all of this: */
const char *server_root(const struct server *server);     /* what is at "/" */
const char *server_dav_root(const struct server *server); /* what is at "/dav/" */
pid_t server_pid(const struct server *server);            /* of its script */
const char *server_certificate(const struct server *server); /* the PEM file to trust */

/*
 * The access log, of nginx, apache and lighttpd: a line a request, "CONNECTION METHOD URI PROTOCOL STATUS RANGE".
 *
 * Forget it. Then either wait until `requests` are in it, and tell over how many connections they came (0: not just so
 * many came); or take all of it, freed with free.
 */
void server_log_clear(struct server *server);
size_t server_log_connections(struct server *server, size_t requests);
char *server_log_text(struct server *server);

#endif
