/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_DAV_SAID_H
#define TESTS_DAV_SAID_H
/* What a server of WebDAV says, for the fault server to answer. */
#include "fault_server.h"

#define SAID(href, rest)     "<D:response><D:href>" href "</D:href>" rest "</D:response>"
#define STATUS(status)       "<D:status>HTTP/1.1 " status "</D:status>"
#define PROPS(props, status) "<D:propstat><D:prop>" props "</D:prop>" STATUS(status) "</D:propstat>"
#define DIRECTORY            "<D:resourcetype><D:collection/></D:resourcetype>"
#define SELF                 SAID("/d/", PROPS(DIRECTORY, "200 OK"))
#define FILE_HERE            PROPS("<D:resourcetype/>", "200 OK")

/* The answer 207 to `count` requests (0: all) of `method` and `path`. */
void dav_say(struct fault_server *server, const char *method, const char *path, unsigned count,
             const char *responses);

#endif
