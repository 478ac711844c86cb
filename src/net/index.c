/* SPDX-License-Identifier: Apache-2.0 */
#include "net/index.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "base/table.h"
#include "base/text.h"
#include "net/index_parts.h"
#include "net/uri.h"

struct index {
    index_entry_fn *fn;
    void *arg;
    const struct format *format; /* NULL: not known yet */
    void *reader;                /* the format's (mem) */
    struct markup *markup;       /* when the format is markup */
    bool fed;
    struct table seen;
    struct arena names;

    char *base;      /* what links are relative to: the page's URL, or what <base> says */
    bool base_moved; /* it is not the page's own */
    char *origin;    /* of the page */
    char *directory; /* of the page: its path up to the last slash, as url_normal_path writes it */
    char *query;     /* of the page, or NULL: links may repeat it */
};

/* ---- entries ---- */

struct seen {
    struct table_entry entry;
    char name[];
};

int index_add(struct index *index, const struct index_entry *entry)
{
    size_t size = strlen(entry->name);
    if (!path_is_segment(entry->name) || table_find(&index->seen, entry->name, size))
        return 0;
    struct seen *seen = arena_alloc(&index->names, sizeof *seen + size + 1);
    if (!seen)
        return fail_memory();
    memcpy(seen->name, entry->name, size + 1);
    if (table_add(&index->seen, &seen->entry, seen->name, size) < 0)
        return fail_memory();
    return index->fn(index->arg, entry);
}

int64_t index_size(const char *text)
{
    int64_t size;
    bool number = isdigit((unsigned char)text[0]) && parse_i64(text, &size) == 0;
    return number ? size : LARDER_SIZE_UNKNOWN;
}

/* ---- links ---- */

/* Decode a name; a trailing slash makes it a directory. 1; 0: no name; -ENOMEM. */
static int decode_name(const char *text, size_t size, char **name, bool *directory)
{
    *directory = size > 0 && text[size - 1] == '/';
    size -= *directory;
    int rc = size == 0 || memchr(text, '/', size) ? 0 : url_decode_path(text, size, name);
    if (rc < 0)
        return rc == -ENOMEM ? rc : 0;
    return size > 0 && *name != NULL;
}

/* A reference that needs no RFC 3986: "name", "./name", with or without a slash behind it. */
static bool is_plain(const char *link, size_t size)
{
    if (size == 0 || link[0] == '.' || strcspn(link, ":?#") < size)
        return false;
    const char *slash = memchr(link, '/', size);
    return !slash || slash == link + size - 1;
}

/* The path of a link that was resolved: 1, when it is right below the page's. */
static int own_path(const struct index *index, struct slice path, char **name, bool *directory)
{
    /* Cut the encoded name off first: what is decoded may hold any byte but a slash. */
    size_t end = path.size, start;
    if (end > 0 && path.text[end - 1] == '/')
        end--;
    for (start = end; start > 0 && path.text[start - 1] != '/'; start--)
        ;
    autofree char *above = url_normal_path(path.text, start);
    if (!above)
        return fail_memory();
    if (strcmp(above, index->directory) != 0)
        return 0;
    return decode_name(path.text + start, path.size - start, name, directory);
}

int index_link(struct index *index, const char *link, size_t size, char **name, bool *directory)
{
    size_t skip = size > 2 && link[0] == '.' && link[1] == '/' ? 2 : 0;
    if (!index->base_moved && is_plain(link + skip, size - skip))
        return decode_name(link + skip, size - skip, name, directory);
    autofree char *reference = mem_dup_n(link, size);
    autofree char *resolved = reference ? uri_resolve(index->base, reference) : NULL;
    if (!resolved)
        return fail_memory();
    struct uri uri;
    uri_split(resolved, &uri);
    if (!uri.host.text || (uri.query.text && !(index->query && slice_equal(uri.query, index->query, false))))
        return 0;
    autofree char *origin = uri_origin(&uri);
    if (!origin)
        return fail_memory();
    return strcmp(origin, index->origin) == 0 ? own_path(index, uri.path, name, directory) : 0;
}

int index_set_base(struct index *index, const char *link)
{
    if (index->base_moved)
        return 0;
    char *base = uri_resolve(index->base, link);
    if (!base)
        return fail_memory();
    mem_free(index->base);
    index->base = base;
    index->base_moved = true;
    return 0;
}

/* ---- pages ---- */

static const struct format *format_of(const char *content_type)
{
    static const struct {
        const char *type;
        const struct format *format;
    } types[] = {
        {"text/html", &index_html}, {"application/xhtml+xml", &index_html}, {"application/json", &index_json},
        {"text/xml", &index_xml},   {"application/xml", &index_xml},
    };
    size_t size = strcspn(content_type, "; \t");
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strlen(types[i].type) == size && strncasecmp(content_type, types[i].type, size) == 0)
            return types[i].format;
    return NULL;
}

static int set_page(struct index *index, const char *url)
{
    struct uri uri;
    uri_split(url, &uri);
    size_t end = uri.path.size;
    while (end > 0 && uri.path.text[end - 1] != '/')
        end--;
    index->base = mem_dup(url);
    index->origin = uri_origin(&uri);
    index->query = uri.query.text ? slice_dup(uri.query) : NULL;
    index->directory = end > 0 ? url_normal_path(uri.path.text, end) : mem_dup("/");
    bool made = index->base && index->origin && index->directory && (index->query || !uri.query.text);
    return made ? 0 : fail_memory();
}

/* In which format the page is, is known. */
static int open_format(struct index *index, const struct format *format)
{
    index->reader = mem_zero(format->reader_size);
    if (!index->reader)
        return fail_memory();
    format->init(index->reader, index);
    index->format = format;
    return format->markup ? markup_new(format->language, format->markup, index->reader, &index->markup) : 0;
}

int index_new(const char *url, const char *content_type, index_entry_fn *fn, void *arg, struct index **out)
{
    const struct format *format = content_type ? format_of(content_type) : NULL;
    if (content_type && !format)
        return fail(-ENOTSUP, "the answer is %.80s, which is no index of a directory", content_type);
    struct index *index = mem_zero(sizeof *index);
    if (!index)
        return fail_memory();
    index->fn = fn;
    index->arg = arg;
    int rc = set_page(index, url);
    if (rc == 0 && format)
        rc = open_format(index, format);
    if (rc < 0) {
        index_free(index);
        return rc;
    }
    *out = index;
    return 0;
}

/* No Content-Type: the first character tells. 0 as long as there is none. */
static int find_format(struct index *index, const char *text, size_t size)
{
    size_t i = 0;
    while (i < size && text[i] && strchr(" \t\r\n", text[i]))
        i++;
    if (i == size)
        return 0;
    if (text[i] != '<' && text[i] != '[')
        return fail(-ENOTSUP, "the answer has no type, and is no index of a directory");
    return open_format(index, text[i] == '<' ? &index_html : &index_json);
}

int index_feed(struct index *index, const void *data, size_t size)
{
    int rc = index->format ? 0 : find_format(index, data, size);
    index->fed |= index->format && size > 0;
    if (rc < 0 || !index->format)
        return rc;
    return index->markup ? markup_feed(index->markup, data, size)
                         : index->format->feed(index->reader, data, size);
}

int index_finish(struct index *index)
{
    if (!index->fed)
        return fail(-ENOTSUP, "the answer is empty, and no index of a directory");
    int rc = index->markup ? markup_finish(index->markup) : 0;
    return rc == 0 ? index->format->finish(index->reader) : rc;
}

void index_free(struct index *index)
{
    if (!index)
        return;
    if (index->format)
        index->format->fini(index->reader);
    mem_free(index->reader);
    markup_free(index->markup);
    table_fini(&index->seen);
    arena_free(&index->names);
    mem_free(index->base);
    mem_free(index->origin);
    mem_free(index->directory);
    mem_free(index->query);
    mem_free(index);
}
