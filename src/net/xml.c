/* SPDX-License-Identifier: Apache-2.0 */
/* libxml2's own tree; a node of ours is one of its. */
#include "net/xml.h"

#include <errno.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "base/error.h"
#include "base/seams.h"

static xmlDoc *document(const struct xml *xml)
{
    return (xmlDoc *)(void *)xml;
}

static xmlNode *element(const struct xml_node *node)
{
    return (xmlNode *)(void *)node;
}

static const struct xml_node *first_element(xmlNode *node, const char *name)
{
    for (; node; node = node->next)
        if (node->type == XML_ELEMENT_NODE && (!name || strcmp((const char *)node->name, name) == 0))
            break;
    return (const struct xml_node *)(void *)node;
}

int xml_parse(const void *data, size_t size, struct xml **out)
{
    if (size > XML_SIZE_MAX)
        return fail(-EPROTO, "an answer of %zu bytes of XML", size);
    int options = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA;
    xmlDoc *doc = xmlReadMemory(data, (int)size, NULL, NULL, options);
    if (!doc)
        return fail(-EPROTO, "the answer is not well-formed XML");
    if (!xmlDocGetRootElement(doc)) {
        xmlFreeDoc(doc);
        return fail(-EPROTO, "the answer is XML without an element");
    }
    *out = (struct xml *)(void *)doc;
    return 0;
}

void xml_free(struct xml *xml)
{
    xmlFreeDoc(document(xml));
}

const struct xml_node *xml_root(const struct xml *xml)
{
    return (const struct xml_node *)(void *)xmlDocGetRootElement(document(xml));
}

bool xml_is(const struct xml_node *node, const char *name)
{
    return node && strcmp((const char *)element(node)->name, name) == 0;
}

const struct xml_node *xml_child(const struct xml_node *node, const char *name)
{
    return node ? first_element(element(node)->children, name) : NULL;
}

const struct xml_node *xml_next(const struct xml_node *node, const char *name)
{
    return node ? first_element(element(node)->next, name) : NULL;
}

char *xml_text(const struct xml_node *node, bool *failed)
{
    if (!node)
        return NULL;
    xmlChar *content = xmlNodeGetContent(element(node));
    char *text = content ? mem_dup((const char *)content) : NULL;
    xmlFree(content);
    *failed |= !text;
    return text;
}

/* In document order, without recursion: the server says how deep it is. */
const struct xml_node *xml_find(const struct xml_node *node, const char *name)
{
    const xmlNode *top = element(node), *at = top;
    while (at) {
        if (at->type == XML_ELEMENT_NODE && strcmp((const char *)at->name, name) == 0)
            return (const struct xml_node *)(const void *)at;
        if (at->children && at->type == XML_ELEMENT_NODE) {
            at = at->children;
            continue;
        }
        while (at != top && !at->next)
            at = at->parent;
        at = at == top ? NULL : at->next;
    }
    return NULL;
}
