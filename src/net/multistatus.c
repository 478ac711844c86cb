/* SPDX-License-Identifier: Apache-2.0 */
#include "net/multistatus.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/parserInternals.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "base/text.h"
#include "net/uri.h"

#define TEXT_SIZE_MAX ((size_t)64 << 10) /* of an href, a date, … */
#define FEED_SIZE     ((size_t)256 << 10)

const char multistatus_propfind[] =
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
    "<D:propfind xmlns:D=\"DAV:\"><D:prop><D:resourcetype/><D:getcontentlength/><D:getlastmodified/>"
    "<D:creationdate/><D:getetag/></D:prop></D:propfind>\n";

/* Where the parser is, among the elements that matter. */
enum node {
    DOCUMENT,
    MULTISTATUS,
    RESPONSE,
    HREF,
    STATUS,
    PROPSTAT,
    PROPSTAT_STATUS,
    PROP,
    TYPE,
    COLLECTION,
    SIZE,
    MODIFIED,
    CREATED,
    ETAG,
};
static const struct node_of {
    const char *name;
    enum node parent;
    bool text; /* its text is kept */
} nodes[] = {
    [DOCUMENT] = {NULL, DOCUMENT, false},           [MULTISTATUS] = {"multistatus", DOCUMENT, false},
    [RESPONSE] = {"response", MULTISTATUS, false},  [HREF] = {"href", RESPONSE, true},
    [STATUS] = {"status", RESPONSE, true},          [PROPSTAT] = {"propstat", RESPONSE, false},
    [PROPSTAT_STATUS] = {"status", PROPSTAT, true}, [PROP] = {"prop", PROPSTAT, false},
    [TYPE] = {"resourcetype", PROP, false},         [COLLECTION] = {"collection", TYPE, false},
    [SIZE] = {"getcontentlength", PROP, true},      [MODIFIED] = {"getlastmodified", PROP, true},
    [CREATED] = {"creationdate", PROP, true},       [ETAG] = {"getetag", PROP, true},
};

struct multistatus {
    multistatus_fn *fn;
    void *arg;
    char *url;
    int status; /* of the first failure, inside libxml2's callbacks too */
    xmlParserCtxtPtr xml;

    enum node node;
    unsigned skipped; /* levels below `node` that do not matter */
    bool seen;        /* the document is a multistatus */
    struct buffer text;

    /* the response at hand, and the propstat in it, which counts once its status does */
    char *path; /* mem */
    char *etag; /* mem; the entry's */
    struct multistatus_entry entry, found;
    char *found_etag; /* mem */
    int found_status; /* 0: not said */
};

/* ---- what stands in the elements ---- */

/* "HTTP/1.1 404 Not Found" */
static int status_of(const char *text)
{
    const char *space = strchr(text, ' ');
    int status = 0;
    while (space && *space == ' ')
        space++;
    for (int i = 0; space && i < 3 && isdigit((unsigned char)space[i]); i++)
        status = status * 10 + space[i] - '0';
    return status;
}

static int64_t time_of(const char *text)
{
    int64_t time_ns;
    return parse_http_date(text, &time_ns) == 0 || parse_rfc3339(text, &time_ns) == 0 ? time_ns : 0;
}

static int64_t size_of(const char *text)
{
    int64_t size;
    return parse_i64(text, &size) == 0 && size >= 0 ? size : -1;
}

/* One without quotes is none that a request could name. */
static bool is_etag(const char *text)
{
    size_t size = strlen(text);
    const char *at = strncmp(text, "W/", 2) == 0 ? text + 2 : text;
    return *at == '"' && text + size > at + 1 && text[size - 1] == '"';
}

static bool is_encoded(struct slice path)
{
    for (size_t i = 0; i < path.size; i++)
        if (path.text[i] == '%' && (path.size - i < 3 || !isxdigit((unsigned char)path.text[i + 1]) ||
                                    !isxdigit((unsigned char)path.text[i + 2])))
            return false;
    return true;
}

static char *leave_out(const struct multistatus *parser, const char *href)
{
    log_at(LARDER_LOG_WARNING, "%s: \"%s\" cannot be named here", parser->url, href);
    return NULL;
}

/* The path that an href names. NULL with status 0: none that can be said here. */
static char *path_of(struct multistatus *parser, const char *href)
{
    autofree char *url = NULL, *decoded = NULL;
    struct uri uri;
    bool is_path = href[0] == '/' && href[1] != '/';
    url = is_path ? mem_dup_n(href, strcspn(href, "?#")) : uri_resolve(parser->url, href);
    if (url && !is_path)
        uri_split(url, &uri);
    struct slice slice = !url ? (struct slice){0} : is_path ? (struct slice){url, strlen(url)} : uri.path;
    int rc = url ? url_decode_path(slice.text, slice.size, &decoded) : -ENOMEM;
    if (rc == -EINVAL && !is_encoded(slice)) { /* the server does not do so */
        decoded = slice_dup(slice);
        rc = decoded ? 0 : -ENOMEM;
    }
    if (rc == -ENOMEM)
        parser->status = fail_memory();
    if (rc < 0)
        return rc == -ENOMEM ? NULL : leave_out(parser, href);
    char *path = decoded, *end = path + strlen(path);
    path += *path == '/';
    if (end > path && end[-1] == '/')
        *--end = 0;
    if (!path_is_clean(path))
        return leave_out(parser, href);
    char *copy = mem_dup(path);
    if (!copy)
        parser->status = fail_memory();
    return copy;
}

static void keep_etag(struct multistatus *parser, const char *text)
{
    if (!is_etag(text))
        return;
    mem_free(parser->found_etag);
    parser->found_etag = mem_dup(text);
    if (!parser->found_etag)
        parser->status = fail_memory();
}

static void take_text(struct multistatus *parser, const char *text)
{
    switch (parser->node) {
    case HREF:
        if (!parser->path) /* a response may name several, of which all has been said that it says */
            parser->path = path_of(parser, text);
        break;
    case STATUS:
        parser->entry.status = status_of(text);
        break;
    case PROPSTAT_STATUS:
        parser->found_status = status_of(text);
        break;
    case SIZE:
        parser->found.size = size_of(text);
        break;
    case MODIFIED:
        parser->found.mtime_ns = time_of(text);
        break;
    case CREATED:
        parser->found.created_ns = time_of(text);
        break;
    case ETAG:
        keep_etag(parser, text);
        break;
    default:
        break;
    }
}

/* ---- responses ---- */

static void begin_response(struct multistatus *parser)
{
    mem_free(take(parser->path));
    mem_free(take(parser->etag));
    parser->entry = (struct multistatus_entry){.size = -1};
}

static void begin_propstat(struct multistatus *parser)
{
    mem_free(take(parser->found_etag));
    parser->found = (struct multistatus_entry){.size = -1};
    parser->found_status = 0;
}

/* Properties that a server has not got stand in a propstat of their own, with 404. */
static void end_propstat(struct multistatus *parser)
{
    struct multistatus_entry *entry = &parser->entry;
    const struct multistatus_entry *found = &parser->found;
    if (parser->found_status != 0 && (parser->found_status < 200 || parser->found_status > 299))
        return;
    entry->typed |= found->typed;
    entry->collection |= found->collection;
    entry->size = found->size >= 0 ? found->size : entry->size;
    entry->mtime_ns = found->mtime_ns ? found->mtime_ns : entry->mtime_ns;
    entry->created_ns = found->created_ns ? found->created_ns : entry->created_ns;
    if (parser->found_etag) {
        mem_free(parser->etag);
        parser->etag = take(parser->found_etag);
    }
}

static void end_response(struct multistatus *parser)
{
    struct multistatus_entry *entry = &parser->entry;
    if (parser->status < 0)
        return;
    entry->path = parser->path;
    entry->etag = parser->etag;
    parser->status = parser->fn(parser->arg, entry);
}

/* ---- libxml2's callbacks ---- */

static void stop(struct multistatus *parser)
{
    if (parser->status != 0)
        xmlStopParser(parser->xml);
}

static enum node child_of(enum node parent, const xmlChar *name)
{
    for (enum node i = MULTISTATUS; i <= ETAG; i++)
        if (nodes[i].parent == parent && strcmp((const char *)name, nodes[i].name) == 0)
            return i;
    return DOCUMENT;
}

static void on_start(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                     int namespace_count, const xmlChar **namespaces, int attribute_count, int default_count,
                     const xmlChar **attributes)
{
    struct multistatus *parser = arg;
    bool dav = uri && strcmp((const char *)uri, "DAV:") == 0;
    enum node child = parser->skipped == 0 && dav ? child_of(parser->node, name) : DOCUMENT;
    if (child == DOCUMENT) {
        parser->skipped++;
        return;
    }
    parser->node = child;
    parser->text.size = 0;
    parser->seen |= child == MULTISTATUS;
    if (child == RESPONSE)
        begin_response(parser);
    else if (child == PROPSTAT)
        begin_propstat(parser);
    else if (child == TYPE)
        parser->found.typed = true;
    else if (child == COLLECTION)
        parser->found.collection = true;
}

/* Without the blanks around it, of which some servers have lines. */
static void end_text(struct multistatus *parser)
{
    char *text = parser->text.size > 0 ? parser->text.data : NULL,
         *end = text ? text + parser->text.size : NULL;
    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    if (text)
        *end = 0;
    while (text && isspace((unsigned char)*text))
        text++;
    take_text(parser, text ? text : "");
}

static void on_end(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    struct multistatus *parser = arg;
    if (parser->skipped > 0) {
        parser->skipped--;
        return;
    }
    if (nodes[parser->node].text)
        end_text(parser);
    else if (parser->node == PROPSTAT)
        end_propstat(parser);
    else if (parser->node == RESPONSE)
        end_response(parser);
    parser->node = nodes[parser->node].parent;
    stop(parser);
}

static void on_text(void *arg, const xmlChar *text, int size)
{
    struct multistatus *parser = arg;
    if (parser->skipped > 0 || !nodes[parser->node].text)
        return;
    int rc = buffer_add(&parser->text, text, (size_t)size);
    if (rc == -EFBIG)
        rc = fail(-EPROTO, "a multistatus with a text of more than %zu bytes", TEXT_SIZE_MAX);
    if (rc < 0)
        parser->status = rc;
    stop(parser);
}

static void on_doctype(void *arg, const xmlChar *name, const xmlChar *public_id, const xmlChar *system_id)
{
    struct multistatus *parser = arg;
    parser->status = fail(-EPROTO, "a multistatus with a document type");
    stop(parser);
}

static xmlEntityPtr on_entity(void *arg, const xmlChar *name)
{
    return xmlGetPredefinedEntity(name);
}

/* ---- the parser ---- */

int multistatus_new(const char *url, multistatus_fn *fn, void *arg, struct multistatus **out)
{
    xmlSAXHandler handler = {.initialized = XML_SAX2_MAGIC,
                             .startElementNs = on_start,
                             .endElementNs = on_end,
                             .characters = on_text,
                             .cdataBlock = on_text,
                             .internalSubset = on_doctype,
                             .getEntity = on_entity};
    struct multistatus *parser = mem_zero(sizeof *parser);
    if (!parser)
        return fail_memory();
    parser->fn = fn;
    parser->arg = arg;
    parser->text = BUFFER(TEXT_SIZE_MAX);
    parser->url = mem_dup(url);
    parser->xml = parser->url ? xmlCreatePushParserCtxt(&handler, parser, NULL, 0, NULL) : NULL;
    if (!parser->xml) {
        multistatus_free(parser);
        return fail_memory();
    }
    xmlCtxtUseOptions(parser->xml, XML_PARSE_NONET);
    *out = parser;
    return 0;
}

/* What is wrong with namespaces alone (a prefix that is not declared) is borne: such elements are none of ours. */
static void feed(struct multistatus *parser, const char *data, size_t size, bool last)
{
    xmlParseChunk(parser->xml, data, (int)size, last);
    const xmlError *error = xmlCtxtGetLastError(parser->xml);
    if (parser->status != 0 || parser->xml->wellFormed)
        return;
    if (error && error->code == XML_ERR_NO_MEMORY)
        parser->status = fail_memory();
    else if (error && error->message)
        parser->status = fail(-EPROTO, "a broken multistatus: line %d: %.*s", error->line,
                              (int)strcspn(error->message, "\n"), error->message);
    else
        parser->status = fail(-EPROTO, "a broken multistatus");
}

int multistatus_feed(struct multistatus *parser, const void *data, size_t size)
{
    for (const char *at = data; size > 0 && parser->status == 0;) {
        size_t piece = size < FEED_SIZE ? size : FEED_SIZE;
        feed(parser, at, piece, false);
        at += piece;
        size -= piece;
    }
    return parser->status;
}

int multistatus_finish(struct multistatus *parser)
{
    if (parser->status == 0)
        feed(parser, "", 0, true);
    if (parser->status == 0 && !parser->seen)
        parser->status = fail(-EPROTO, "the answer is no multistatus");
    return parser->status;
}

void multistatus_free(struct multistatus *parser)
{
    if (!parser)
        return;
    if (parser->xml)
        xmlFreeParserCtxt(parser->xml);
    buffer_free(&parser->text);
    mem_free(parser->url);
    mem_free(parser->path);
    mem_free(parser->etag);
    mem_free(parser->found_etag);
    mem_free(parser);
}
