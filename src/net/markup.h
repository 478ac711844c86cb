/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_MARKUP_H
#define NET_MARKUP_H
/*
 * Tags and text out of HTML, as servers really write it, and out of plain XML. Bytes stay what they are: nothing is
 * converted, no document is built, nothing is fetched, and what comes does not depend on the pieces it was fed in.
 *
 * Read as the HTML standard's tokenizer does (§13.2.5), so that nothing is ever "broken": comments, doctypes and
 * processing instructions are skipped, and so is what is in elements whose content is no markup (script, style, title,
 * …). A tag at the end that is not closed is no tag.
 */
#include <stddef.h>

struct markup_attribute {     /* of several with one name, the first is the one that counts */
    const char *name, *value; /* the name in lower case; "" for no value; references are resolved */
};
/* Borrowed while the call runs. What is not 0 stops, and is what markup_feed returns. Names of elements are in lower
 * case, and text comes in pieces that end anywhere but within a reference. */
struct markup_handler {
    int (*start)(void *arg, const char *name, const struct markup_attribute *attributes, size_t count);
    int (*end)(void *arg, const char *name);
    int (*text)(void *arg, const char *text, size_t size);
};

struct markup;
int markup_new(const struct markup_handler *handler, void *arg,
               struct markup **out); /* `handler` is static */
int markup_feed(struct markup *markup, const char *data, size_t size);
void markup_free(struct markup *markup); /* NULL is fine */

#endif
