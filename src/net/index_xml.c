/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nginx's autoindex_format xml:
 *
 *     <list><directory mtime="2026-11-22T22:20:30Z">sub</directory><file mtime="…" size="6">name</file>…</list>
 *
 * Names are written as they are, also where XML has no such character: a parser of XML would refuse the whole page.
 */
#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/seams.h"
#include "base/text.h"
#include "net/index_parts.h"

#define NAME_SIZE_MAX ((size_t)64 << 10)

struct reader {
    struct index *index;
    bool begun, ended;        /* <list>, </list> */
    struct index_entry entry; /* its type 0: none is open */
    struct buffer name;
};

static int on_start(void *arg, const char *name, const struct markup_attribute *attributes, size_t count)
{
    static const struct {
        const char *name;
        enum larder_type type;
    } types[] = {{"file", LARDER_FILE}, {"directory", LARDER_DIRECTORY}, {"other", LARDER_OTHER}};
    struct reader *reader = arg;
    if (!reader->begun) {
        reader->begun = strcmp(name, "list") == 0;
        return reader->begun ? 0 : fail(-ENOTSUP, "XML that is no index of a directory");
    }
    reader->entry = (struct index_entry){.size = LARDER_SIZE_UNKNOWN};
    reader->name.size = 0;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(name, types[i].name) == 0)
            reader->entry.type = types[i].type;
    if (reader->entry.type == LARDER_DIRECTORY)
        reader->entry.size = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(attributes[i].name, "size") == 0 && reader->entry.type == LARDER_FILE)
            reader->entry.size = index_size(attributes[i].value);
        else if (strcmp(attributes[i].name, "mtime") == 0)
            (void)parse_rfc3339(attributes[i].value, &reader->entry.mtime_ns);
    }
    return 0;
}

static int on_text(void *arg, const char *text, size_t size)
{
    struct reader *reader = arg;
    return reader->entry.type != 0 ? buffer_add(&reader->name, text, size) : 0;
}

static int on_end(void *arg, const char *name)
{
    struct reader *reader = arg;
    bool complete =
        reader->entry.type != 0 && reader->name.size > 0 && !memchr(reader->name.data, 0, reader->name.size);
    reader->entry.name = reader->name.data;
    int rc = complete ? index_add(reader->index, &reader->entry) : 0;
    reader->entry.type = 0;
    reader->ended |= strcmp(name, "list") == 0;
    return rc;
}

static void xml_init(void *arg, struct index *index)
{
    struct reader *reader = arg;
    reader->index = index;
    reader->name = BUFFER(NAME_SIZE_MAX);
}

static int xml_finish(void *arg)
{
    const struct reader *reader = arg;
    if (!reader->begun)
        return fail(-ENOTSUP, "XML that is no index of a directory");
    return reader->ended ? 0 : fail(-EPROTO, "the XML ends before its list does");
}

static void xml_fini(void *arg)
{
    struct reader *reader = arg;
    buffer_free(&reader->name);
}

static const struct markup_handler handler = {on_start, on_end, on_text};
const struct format index_xml = {
    .reader_size = sizeof(struct reader),
    .init = xml_init,
    .markup = &handler,
    .language = MARKUP_XML,
    .finish = xml_finish,
    .fini = xml_fini,
};
