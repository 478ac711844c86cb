/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_MULTISTATUS_H
#define NET_MULTISTATUS_H
/*
 * The answer 207 of WebDAV (RFC 4918 §13): what a PROPFIND found, or what of a tree a DELETE, COPY or MOVE failed on.
 * Elements are known by the namespace "DAV:", whatever its prefix; all that is not asked for is passed over. A document
 * type is refused, and with it every entity but XML's own five.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct multistatus_entry { /* borrowed */
    /* Decoded, without slashes at its ends: "" is the server's root. Of an href that is a URL only the path counts,
     * since servers behind a proxy often name themselves. NULL: a name that no path can say ("a%2Fb", ".."). */
    const char *path;
    int status; /* what is said of it as a whole; 0: nothing, as when there are properties */
    bool typed; /* a resourcetype is told; else nobody knows whether it is a collection */
    bool collection;
    int64_t size;                 /* -1: not told */
    int64_t mtime_ns, created_ns; /* 0: not told */
    const char *etag;             /* with its quotes, and perhaps W/; NULL: none */
};
/* Non-zero stops, and is what the parser returns. */
typedef int multistatus_fn(void *arg, const struct multistatus_entry *entry);

struct multistatus;
/* `url` answered it. */
int multistatus_new(const char *url, multistatus_fn *fn, void *arg, struct multistatus **out);
/* Piece by piece, and its end. -EPROTO: not a multistatus. Any thread, one at a time. */
int multistatus_feed(struct multistatus *parser, const void *data, size_t size);
int multistatus_finish(struct multistatus *parser);
void multistatus_free(struct multistatus *parser); /* NULL is fine */

/* What to ask a PROPFIND for: all that an entry tells. Without it some servers work out every property they know. */
extern const char multistatus_propfind[];

#endif
