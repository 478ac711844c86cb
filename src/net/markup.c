/* SPDX-License-Identifier: Apache-2.0 */
#include "net/markup.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <libxml/HTMLparser.h>
#include <libxml/parser.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/seams.h"
#include "net/hidden.h"

#define ATTRIBUTES_MAX 32
#define DEPTH_MAX      2000              /* of HTML, where libxml2 looks through what is open at many a tag */
#define VALUES_MAX     ((size_t)1 << 20) /* of one tag: an icon may be in it, in base64 */
#define WAITING_MAX    (4 * VALUES_MAX)  /* that libxml2 keeps of what has no end yet */
#define UNIT_MIN       ((size_t)4 << 10) /* libxml2 is fed up to a ">" behind so many bytes, */
#define UNIT_MAX       ((size_t)16 << 10) /* or so many */

struct markup {
    const struct markup_handler *handler;
    void *arg;
    enum markup_language language;
    xmlParserCtxtPtr parser;
    int status;           /* of the first failure, or what the handler said */
    struct buffer unit;   /* to be parsed, hidden; where it ends depends on the page alone */
    size_t unit_size;     /* of the page */
    size_t tag_end;       /* behind the last ">" of the unit */
    bool behind_tag;      /* the last character was a ">" */
    struct buffer values; /* of one tag, or a text */
};

/* ---- what libxml2 finds ---- */

static void note(struct markup *markup, int rc)
{
    if (rc == 0 || markup->status != 0)
        return;
    markup->status = rc;
    xmlStopParser(markup->parser);
}

/* Behind what `values` has, with its bytes: the size, if there is room. */
static size_t keep(struct markup *markup, const xmlChar *text, size_t size)
{
    size_t at = markup->values.size;
    int rc = size > 0 ? buffer_add(&markup->values, text, size) : 0;
    if (rc == -EFBIG)
        rc = fail(-EPROTO, "a tag of more than %zu bytes", VALUES_MAX);
    note(markup, rc);
    if (rc < 0 || size == 0)
        return 0;
    size = hidden_restore(markup->values.data + at, size);
    markup->values.size = at + size;
    markup->values.data[at + size] = 0;
    return size;
}

static void on_text(void *arg, const xmlChar *text, int size)
{
    struct markup *markup = arg;
    markup->values.size = 0;
    size_t kept = keep(markup, text, (size_t)size);
    if (markup->status == 0)
        note(markup, markup->handler->text(markup->arg, markup->values.data, kept));
}

/* False: there is a NUL in it, which is no character of a name. */
static bool keep_value(struct markup *markup, const xmlChar *text, size_t size)
{
    size_t at = markup->values.size, kept = keep(markup, text, size);
    if (markup->status != 0)
        return false;
    bool fine = kept == 0 || !memchr(markup->values.data + at, 0, kept);
    note(markup, buffer_add(&markup->values, "", 1));
    return fine;
}

/* The names are set, the values are in a row. */
static void tell_start(struct markup *markup, const xmlChar *name, struct markup_attribute *attributes,
                       size_t count)
{
    const char *value = markup->values.data;
    for (size_t i = 0; i < count; i++) {
        attributes[i].value = value;
        value += strlen(value) + 1;
    }
    if (markup->status == 0)
        note(markup, markup->handler->start(markup->arg, (const char *)name, attributes, count));
}

static void on_html_start(void *arg, const xmlChar *name, const xmlChar **given)
{
    struct markup *markup = arg;
    struct markup_attribute attributes[ATTRIBUTES_MAX];
    size_t count = 0;
    bool fine = true;
    if (markup->parser->nameNr > DEPTH_MAX)
        note(markup, fail(-EPROTO, "a page of more than %d elements within each other", DEPTH_MAX));
    markup->values.size = 0;
    for (; given && given[0] && count < ATTRIBUTES_MAX; given += 2) {
        const xmlChar *value = given[1] ? given[1] : BAD_CAST "";
        attributes[count++].name = (const char *)given[0];
        fine = keep_value(markup, value, (size_t)xmlStrlen(value)) && fine;
    }
    if (fine)
        tell_start(markup, name, attributes, count);
}

static void on_xml_start(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                         int namespace_count, const xmlChar **namespaces, int attribute_count,
                         int default_count, const xmlChar **given)
{
    struct markup *markup = arg;
    struct markup_attribute attributes[ATTRIBUTES_MAX];
    size_t count = attribute_count < ATTRIBUTES_MAX ? (size_t)attribute_count : ATTRIBUTES_MAX;
    bool fine = true;
    markup->values.size = 0;
    for (size_t i = 0; i < count; i++, given += 5) {
        attributes[i].name = (const char *)given[0];
        fine = keep_value(markup, given[3], (size_t)(given[4] - given[3])) && fine;
    }
    if (fine)
        tell_start(markup, name, attributes, count);
}

static void on_html_end(void *arg, const xmlChar *name)
{
    struct markup *markup = arg;
    if (markup->status == 0)
        note(markup, markup->handler->end(markup->arg, (const char *)name));
}

static void on_xml_end(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    on_html_end(arg, name);
}

/* What it declares would be kept, and made into more. */
static void on_doctype(void *arg, const xmlChar *name, const xmlChar *public_id, const xmlChar *system_id)
{
    note(arg, fail(-EPROTO, "XML with a document type"));
}

/* A script, or a style sheet. */
static void on_script(void *arg, const xmlChar *text, int size)
{
}

/* ---- feeding it ---- */

static xmlParserCtxtPtr html_parser(struct markup *markup)
{
    xmlSAXHandler sax = {.startElement = on_html_start,
                         .endElement = on_html_end,
                         .characters = on_text,
                         .ignorableWhitespace = on_text,
                         .cdataBlock = on_script};
    xmlParserCtxtPtr parser = htmlCreatePushParserCtxt(&sax, markup, NULL, 0, NULL, XML_CHAR_ENCODING_UTF8);
    if (parser)
        htmlCtxtUseOptions(parser, HTML_PARSE_RECOVER | HTML_PARSE_NONET | HTML_PARSE_IGNORE_ENC |
                                       HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING);
    return parser;
}

static xmlParserCtxtPtr xml_parser(struct markup *markup)
{
    xmlSAXHandler sax = {.initialized = XML_SAX2_MAGIC,
                         .startElementNs = on_xml_start,
                         .endElementNs = on_xml_end,
                         .characters = on_text,
                         .cdataBlock = on_text,
                         .internalSubset = on_doctype};
    xmlParserCtxtPtr parser = xmlCreatePushParserCtxt(&sax, markup, NULL, 0, NULL);
    if (parser)
        xmlCtxtUseOptions(parser, XML_PARSE_NONET | XML_PARSE_IGNORE_ENC);
    return parser;
}

int markup_new(enum markup_language language, const struct markup_handler *handler, void *arg,
               struct markup **out)
{
    struct markup *markup = mem_zero(sizeof *markup);
    if (!markup)
        return fail_memory();
    markup->handler = handler;
    markup->arg = arg;
    markup->language = language;
    markup->unit = BUFFER(4 * UNIT_MAX);
    markup->values = BUFFER(VALUES_MAX);
    markup->parser = language == MARKUP_HTML ? html_parser(markup) : xml_parser(markup);
    if (!markup->parser) {
        markup_free(markup);
        return fail_memory();
    }
    *out = markup;
    return 0;
}

void markup_free(struct markup *markup)
{
    if (!markup)
        return;
    if (markup->parser)
        xmlFreeParserCtxt(markup->parser);
    buffer_free(&markup->unit);
    buffer_free(&markup->values);
    mem_free(markup);
}

static void check_xml(struct markup *markup)
{
    const xmlError *error = xmlCtxtGetLastError(markup->parser);
    if (markup->status != 0 || markup->parser->wellFormed)
        return;
    const char *why = error && error->message ? error->message : "";
    markup->status = error && error->code == XML_ERR_NO_MEMORY
                         ? fail_memory()
                         : fail(-EPROTO, "broken XML: line %d: %.*s", error ? error->line : 0,
                                (int)strcspn(why, "\n"), why);
}

static void parse(struct markup *markup, bool last)
{
    int size = (int)markup->unit.size;
    if (markup->language == MARKUP_HTML) {
        int code = htmlParseChunk(markup->parser, markup->unit.data, size, last);
        if (markup->status == 0 && code == XML_ERR_NO_MEMORY)
            markup->status = fail_memory();
    } else {
        xmlParseChunk(markup->parser, markup->unit.data, size, last);
        check_xml(markup);
    }
    markup->unit.size = markup->unit_size = markup->tag_end = 0;
    const xmlParserInput *input = markup->parser->input;
    if (markup->status == 0 && input && input->end - input->cur > (ptrdiff_t)WAITING_MAX)
        markup->status = fail(-EPROTO, "a tag or a comment of more than %zu bytes", WAITING_MAX);
}

int markup_feed(struct markup *markup, const char *data, size_t size)
{
    for (size_t i = 0, count; i < size && markup->status == 0; i += count) {
        count = size - i < UNIT_MAX - markup->unit_size ? size - i : UNIT_MAX - markup->unit_size;
        const char *end = memchr(data + i, '>', count);
        if (end)
            count = (size_t)(end + 1 - (data + i));
        /* In XML one behind a tag is an end of a line, and any other is of a name. */
        bool line = data[i] == '\r' && markup->behind_tag;
        if (line)
            count = 1;
        markup->status = hidden_add(&markup->unit, data + i, count, markup->language == MARKUP_XML && !line);
        markup->unit_size += count;
        markup->behind_tag = end && !line;
        if (markup->behind_tag)
            markup->tag_end = markup->unit.size;
        bool full = markup->unit_size == UNIT_MAX || (markup->behind_tag && markup->unit_size >= UNIT_MIN);
        if (markup->status == 0 && full)
            parse(markup, false);
    }
    return markup->status;
}

int markup_finish(struct markup *markup)
{
    size_t rest = markup->unit.size - markup->tag_end;
    const char *cut = rest > 0 ? memchr(markup->unit.data + markup->tag_end, '<', rest) : NULL;
    if (cut && markup->language == MARKUP_HTML) /* no tag, and nothing in it a name */
        markup->unit.size = (size_t)(cut - markup->unit.data);
    if (markup->status == 0)
        parse(markup, true);
    return markup->status;
}
