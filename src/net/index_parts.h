/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_INDEX_PARTS_H
#define NET_INDEX_PARTS_H
/* The inside of an index: for index.c, and for index_html.c, index_json.c and index_xml.c, which read the formats. */
#include <stdbool.h>

#include "net/index.h"
#include "net/markup.h"

/* What the page lists, as its format says it. Failures are index_feed's. */
struct format {
    size_t reader_size;
    void (*init)(void *reader, struct index *index);          /* of zeroed memory */
    const struct markup_handler *markup;                      /* who reads what comes, */
    enum markup_language language;                            /* in this; NULL: it is not markup, */
    int (*feed)(void *reader, const char *data, size_t size); /* and comes here */
    int (*finish)(void *reader);
    void (*fini)(void *reader);
};
extern const struct format index_html, index_json, index_xml;

/* Hand an entry on, unless its name is no segment or was there before. */
int index_add(struct index *index, const struct index_entry *entry);

/*
 * Does `link`, `size` bytes, name something right below the page? 1, with the decoded name (mem) and whether a slash
 * makes it a directory; 0; or a failure.
 */
int index_link(struct index *index, const char *link, size_t size, char **name, bool *directory);
/* From now on links are relative to what `link` means: <base href>. The first counts. */
int index_set_base(struct index *index, const char *link);

/* A file's size as a decimal number of bytes, LARDER_SIZE_UNKNOWN for anything else. */
int64_t index_size(const char *text);

#endif
