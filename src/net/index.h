/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_INDEX_H
#define NET_INDEX_H
/*
 * The page that a server makes of a directory: HTML (any that links to what is in it), JSON (nginx's, Caddy's) or XML
 * (nginx's).
 *
 * Of links only those count that name something right below the page's own URL: parents, sort links, fragments, other
 * hosts and schemes, and what lies deeper, are no entries. So a page that is no index, an index.html, gives what it
 * links to in its own directory; one without such a link is an empty directory. Names are bytes, taken from the links
 * (what is displayed may be cut), and a link with an encoded slash or NUL in its name is none.
 *
 * A page is read as it comes: what is kept is the names, each once, to know them again (some 50 bytes and the name).
 */
#include <stddef.h>

#include "larder/fs.h"

struct index_entry {
    const char *name; /* decoded, one segment; borrowed */
    enum larder_type type;
    int64_t size; /* LARDER_SIZE_UNKNOWN: not printed, or not to the byte ("12K", "4.8 MiB") */
    int64_t
        mtime_ns; /* 0: not printed. Most HTML pages print no time zone, read as UTC, and many no seconds */
};
/* Every name comes once. Non-zero stops, and is what the parser returns. */
typedef int index_entry_fn(void *arg, const struct index_entry *entry);

struct index;
/* `url` answered with the page, `content_type` may be NULL. -ENOTSUP: not the type of an index. */
int index_new(const char *url, const char *content_type, index_entry_fn *fn, void *arg, struct index **out);
/* The page, piece by piece, and its end. -EPROTO: broken or cut; -ENOTSUP: well-formed, but no index. */
int index_feed(struct index *index, const void *data, size_t size);
int index_finish(struct index *index);
void index_free(struct index *index); /* NULL is fine */

#endif
