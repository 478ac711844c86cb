/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_DAV_SERVERS_H
#define TESTS_DAV_SERVERS_H
/* The real servers of WebDAV for a group of tests, and what all such tests ask of them. */
#include "larder.h"

#include "server.h"

enum { DAV_NGINX, DAV_APACHE, DAV_LIGHTTPD, DAV_RCLONE, DAV_SERVERS };
extern const char *const dav_names[DAV_SERVERS];
extern struct server *dav_servers[DAV_SERVERS];   /* NULL: it is not installed */
extern struct larder_fs *dav_places[DAV_SERVERS]; /* "webdav", at "dav" */
/* The group's setup and teardown. */
int dav_servers_start(void **state);
int dav_servers_stop(void **state);

#define each_place(i)                        \
    for (size_t i = 0; i < DAV_SERVERS; i++) \
        if (dav_places[i])

/* A directory of a server at `base`, its URL, by another scheme, with an option or NULL. */
struct larder_fs *dav_open(const char *scheme, const char *base, const char *dir, const char *option);
void assert_file(struct larder_fs *fs, const char *path, const char *text);

/* Requests of a method in a server's log. */
size_t dav_log_count(const char *log, const char *method);
/* So many requests were made, one of each of the methods, which are NULL-ended. Forgets the log. */
void assert_requests(struct server *server, size_t requests, const char *const methods[]);

#endif
