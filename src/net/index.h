/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_INDEX_H
#define NET_INDEX_H
/*
 * The page that a server makes of a directory: HTML (any that links to what is in it) or JSON (nginx's, caddy's).
 *
 * Of links only those count that name something right below the page's own URL. Parents, sort links, fragments, other
 * hosts and schemes, and what lies deeper, are no entries. A page of HTML without such a link is an empty directory.
 */
#include <stddef.h>

#include "larder/fs.h"

struct index_entry {
    const char *name; /* decoded, one segment; borrowed */
    enum larder_type type;
    int64_t size;     /* LARDER_SIZE_UNKNOWN: not printed, or rounded ("12K") */
    int64_t mtime_ns; /* 0: not printed. HTML pages print minutes, and no time zone: UTC is assumed */
};
/* Every name comes once. Non-zero stops, and is what the parser returns. */
typedef int index_entry_fn(void *arg, const struct index_entry *entry);

struct index;
/* `url` answered with the page, `content_type` may be NULL. -ENOTSUP: not the type of an index. */
int index_new(const char *url, const char *content_type, index_entry_fn *fn, void *arg, struct index **out);
/* The page, piece by piece, and its end. -EPROTO: broken; -ENOTSUP: well-formed, but no index. Any thread, one at a
 * time; the end of a big page of JSON takes long. */
int index_feed(struct index *index, const void *data, size_t size);
int index_finish(struct index *index);
void index_free(struct index *index); /* NULL is fine */

#endif
