/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_XML_H
#define NET_XML_H
/*
 * A small answer in XML, whole, as a tree: elements are found by their local names, whatever their namespace. Entities
 * of its own are not looked up, and nothing is fetched.
 */
#include <stdbool.h>
#include <stddef.h>

struct xml; /* a document */
struct xml_node;

#define XML_SIZE_MAX ((size_t)64 << 20)
/* -EPROTO (with text): not well-formed, or too large. May take long for large ones: on a worker then. */
int xml_parse(const void *data, size_t size, struct xml **out);
void xml_free(struct xml *xml); /* NULL is fine */

const struct xml_node *xml_root(const struct xml *xml);
bool xml_is(const struct xml_node *node, const char *name);
/* The first child element of this name (NULL: of any), and the next one beside it. NULL: none; of NULL: NULL. */
const struct xml_node *xml_child(const struct xml_node *node, const char *name);
const struct xml_node *xml_next(const struct xml_node *node, const char *name);
/* The text in `node`, or NULL when there is no such node; mem. Out of memory is NULL, too: *failed says which. */
char *xml_text(const struct xml_node *node, bool *failed);
/* The first element of this name anywhere below, `node` included. */
const struct xml_node *xml_find(const struct xml_node *node, const char *name);

#endif
