/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_MARKUP_H
#define NET_MARKUP_H
/*
 * Tags and text out of HTML, as servers really write it, and out of XML, by libxml2, piece by piece: no document is built,
 * nothing is fetched, and what comes does not depend on the pieces it was fed in.
 *
 * Bytes stay what they are (net/hidden.h), but for a carriage return right behind a tag of XML, which is a newline. HTML is never broken; a
 * tag at its end that is not closed is no tag, and what is in scripts and style sheets is left out.
 */
#include <stddef.h>

enum markup_language { MARKUP_HTML, MARKUP_XML };

struct markup_attribute {     /* of several with one name, the first is the one that counts */
    const char *name, *value; /* "" for no value; references are resolved */
};
/* Borrowed while the call runs. What is not 0 stops, and is what markup_feed returns. Names are in lower case in HTML, and
 * local ones in XML; an element of HTML that must end here, though nobody says so, does. */
struct markup_handler {
    int (*start)(void *arg, const char *name, const struct markup_attribute *attributes, size_t count);
    int (*end)(void *arg, const char *name);
    int (*text)(void *arg, const char *text, size_t size);
};

struct markup;
int markup_new(enum markup_language language, const struct markup_handler *handler, void *arg,
               struct markup **out); /* `handler` is static */
/* -EPROTO (with text): XML that is not well-formed, or has a document type; what has no end, or is too deep. */
int markup_feed(struct markup *markup, const char *data, size_t size);
int markup_finish(struct markup *markup);
void markup_free(struct markup *markup); /* NULL is fine */

#endif
