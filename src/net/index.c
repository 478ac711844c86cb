/* SPDX-License-Identifier: Apache-2.0 */
#include "net/index.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>
#include <libxml/HTMLparser.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "base/table.h"
#include "base/text.h"
#include "net/uri.h"

#define JSON_SIZE_MAX ((size_t)256 << 20)
#define TAIL_SIZE     256 /* of the text behind a link, where date and size are */
#define FEED_SIZE     ((size_t)256 << 10)
#define TAG_SIZE      16 /* more than "</script>" */

enum format { FORMAT_UNKNOWN, FORMAT_HTML, FORMAT_JSON };

struct index {
    index_entry_fn *fn;
    void *arg;
    enum format format;
    int status; /* of the first failure, inside libxml2's callbacks too */
    struct table seen;
    struct arena names;

    char *base;      /* what links are relative to: the page's URL, or what <base> says */
    bool base_moved; /* it is not the page's own */
    char *origin;    /* of the page */
    char *directory; /* of the page: its decoded path up to the last slash */
    char *query;     /* of the page, or NULL: links may repeat it */

    struct buffer json;

    htmlParserCtxtPtr html;
    struct buffer html_text;    /* what it was not given yet */
    struct index_entry pending; /* the link whose text is being collected; name NULL: none */
    char *pending_name;         /* mem */
    bool in_link, in_pre;
    bool tail_ended;
    char tail[TAIL_SIZE];
    size_t tail_size;
};

/* ---- entries ---- */

struct seen {
    struct table_entry entry;
    char name[];
};

static int add_entry(struct index *index, const struct index_entry *entry)
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

/* Does `link` name something right below the page? 1, 0 or a failure. */
static int own_name(struct index *index, const char *link, size_t size, char **name, bool *directory)
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
    autofree char *origin = uri_origin(&uri), *path = NULL;
    if (!origin)
        return fail_memory();
    if (strcmp(origin, index->origin) != 0)
        return 0;
    /* Cut the encoded name off first: what is decoded may hold any byte but a slash. */
    size_t end = uri.path.size, start;
    if (end > 0 && uri.path.text[end - 1] == '/')
        end--;
    for (start = end; start > 0 && uri.path.text[start - 1] != '/'; start--)
        ;
    int rc = url_decode_path(uri.path.text, start, &path);
    if (rc < 0)
        return rc == -ENOMEM ? rc : 0;
    if (strcmp(path, index->directory) != 0)
        return 0;
    return decode_name(uri.path.text + start, uri.path.size - start, name, directory);
}

/* ---- HTML ---- */

/* "22-Nov-2026 22:20   1234" and its like, in words. */
static void parse_tail(char *tail, struct index_entry *entry)
{
    char *words[16], *save = NULL;
    size_t count = 0, size_at = 0;
    for (char *word = strtok_r(tail, " \t\r\n\f", &save); word && count < 16;
         word = strtok_r(NULL, " \t\r\n\f", &save))
        words[count++] = word;
    for (size_t i = 0; i < count && size_at == 0; i++) {
        char date[64] = "";
        if (i + 1 < count && strlen(words[i]) + strlen(words[i + 1]) + 2 <= sizeof date) {
            strcpy(date, words[i]);
            strcat(strcat(date, " "), words[i + 1]);
        }
        if (parse_index_date(date, &entry->mtime_ns) == 0)
            size_at = i + 2;
        else if (parse_rfc3339(words[i], &entry->mtime_ns) == 0)
            size_at = i + 1;
    }
    if (entry->type != LARDER_FILE || size_at >= count)
        return;
    const char *unit = size_at + 1 < count ? words[size_at + 1] : "B";
    if (!isdigit((unsigned char)words[size_at][0]) ||
        (!text_equal(unit, "B") && !text_equal(unit, "bytes")) || parse_i64(words[size_at], &entry->size) < 0)
        entry->size = LARDER_SIZE_UNKNOWN;
}

static void end_entry(struct index *index)
{
    if (!index->pending_name)
        return;
    index->tail[index->tail_size] = 0;
    parse_tail(index->tail, &index->pending);
    index->pending.name = index->pending_name;
    if (index->status == 0)
        index->status = add_entry(index, &index->pending);
    mem_free(take(index->pending_name));
}

static void begin_entry(struct index *index, const char *link)
{
    autofree char *name = NULL;
    bool directory = false;
    link += strspn(link, " \t\r\n\f");
    size_t size = strlen(link);
    while (size > 0 && strchr(" \t\r\n\f", link[size - 1]))
        size--;
    int rc = own_name(index, link, size, &name, &directory);
    if (rc < 0 && index->status == 0)
        index->status = rc;
    /* An icon and its name are two links to the same, with what is behind the second. */
    if (rc > 0 && index->pending_name && strcmp(index->pending_name, name) == 0)
        return;
    end_entry(index);
    if (rc <= 0)
        return;
    index->pending_name = take(name);
    index->pending = (struct index_entry){
        .type = directory ? LARDER_DIRECTORY : LARDER_FILE,
        .size = directory ? 0 : LARDER_SIZE_UNKNOWN,
    };
    index->tail_size = 0;
    index->tail_ended = false;
}

static void move_base(struct index *index, const char *link)
{
    char *base = uri_resolve(index->base, link);
    if (!base) {
        index->status = fail_memory();
        return;
    }
    mem_free(index->base);
    index->base = base;
    index->base_moved = true;
}

/* What stands behind these is not about the link before them. */
static bool ends_line(const char *element)
{
    static const char *const names[] = {"tr",  "li",    "br", "hr", "p",  "div", "address", "footer",
                                        "pre", "table", "ul", "ol", "dl", "dt",  "body",    "h1"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(element, names[i]) == 0)
            return true;
    return false;
}

static void add_tail(struct index *index, const char *text, size_t size)
{
    for (size_t i = 0; i < size && index->pending_name && !index->tail_ended; i++) {
        if (index->in_pre && text[i] == '\n')
            index->tail_ended = true;
        else if (index->tail_size < TAIL_SIZE - 1)
            index->tail[index->tail_size++] = text[i];
    }
}

static void on_start(void *arg, const xmlChar *name, const xmlChar **attributes)
{
    struct index *index = arg;
    const char *element = (const char *)name, *link = NULL;
    for (size_t i = 0; attributes && attributes[i]; i += 2)
        if (strcasecmp((const char *)attributes[i], "href") == 0)
            link = (const char *)attributes[i + 1];
    if (strcasecmp(element, "a") == 0 && link) {
        begin_entry(index, link);
        index->in_link = true;
    } else if (strcasecmp(element, "base") == 0 && link && !index->base_moved) {
        move_base(index, link);
    } else if (ends_line(element)) {
        end_entry(index);
    } else {
        add_tail(index, " ", 1);
    }
    index->in_pre |= strcasecmp(element, "pre") == 0;
}

static void on_end(void *arg, const xmlChar *name)
{
    struct index *index = arg;
    const char *element = (const char *)name;
    if (strcasecmp(element, "a") == 0)
        index->in_link = false;
    else if (ends_line(element))
        end_entry(index);
    else
        add_tail(index, " ", 1);
    if (strcasecmp(element, "pre") == 0)
        index->in_pre = false;
}

static void on_text(void *arg, const xmlChar *text, int size)
{
    struct index *index = arg;
    if (!index->in_link)
        add_tail(index, (const char *)text, (size_t)size);
}

/* Scripts and styles come by cdataBlock, comments by comment: neither is wanted. No entity is looked up, no document
 * is built, nothing is fetched. */
static const htmlSAXHandler html_handler = {
    .startElement = on_start,
    .endElement = on_end,
    .characters = on_text,
    .ignorableWhitespace = on_text,
};

static int parse_html(struct index *index, size_t size, bool end)
{
    htmlParseChunk(index->html, index->html_text.data, (int)size, end);
    index->html_text.size -= size;
    memmove(index->html_text.data, index->html_text.data + size, index->html_text.size);
    if (index->status == 0 && index->html->errNo == XML_ERR_NO_MEMORY)
        index->status = fail_memory();
    return index->status;
}

/*
 * libxml2 must be told to recover, else a script ends at the first "</" in it, and what follows is taken for links.
 * But then it overlooks a "</script>" that comes in two pieces. So a piece never ends within one.
 */
static int feed_html(struct index *index, const char *data, size_t size)
{
    if (!index->html) {
        htmlSAXHandler handler = html_handler;
        index->html = htmlCreatePushParserCtxt(&handler, index, NULL, 0, NULL, XML_CHAR_ENCODING_UTF8);
        if (!index->html)
            return fail_memory();
        htmlCtxtUseOptions(index->html,
                           HTML_PARSE_RECOVER | HTML_PARSE_NONET | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING);
    }
    while (size > 0) {
        size_t part = size < FEED_SIZE ? size : FEED_SIZE;
        int rc = buffer_add(&index->html_text, data, part);
        if (rc < 0)
            return rc;
        size_t whole = index->html_text.size, back = 1;
        while (back <= TAG_SIZE && back <= whole && index->html_text.data[whole - back] != '<')
            back++;
        if (back <= TAG_SIZE && back <= whole)
            whole -= back;
        rc = parse_html(index, whole, false);
        if (rc < 0)
            return rc;
        data += part;
        size -= part;
    }
    return 0;
}

static int finish_html(struct index *index)
{
    if (!index->html)
        return fail(-ENOTSUP, "the answer is empty, and no index of a directory");
    int rc = buffer_add(&index->html_text, "", 0);
    if (rc == 0)
        rc = parse_html(index, index->html_text.size, true);
    end_entry(index);
    return index->status < 0 ? index->status : rc;
}

/* ---- JSON ---- */

static int add_json(struct index *index, const json_t *item)
{
    const char *name = json_string_value(json_object_get(item, "name"));
    const char *type = json_string_value(json_object_get(item, "type"));
    const json_t *size = json_object_get(item, "size");
    const char *mtime = json_string_value(json_object_get(item, "mtime"));
    const char *mod_time = json_string_value(json_object_get(item, "mod_time"));
    if (!name)
        return fail(-ENOTSUP, "JSON that is no index of a directory");
    bool directory =
        json_is_true(json_object_get(item, "is_dir")) || (type && strcmp(type, "directory") == 0);
    size_t name_size = strlen(name);
    if (directory && name_size > 0 && name[name_size - 1] == '/')
        name_size--;
    autofree char *clean = mem_dup_n(name, name_size);
    if (!clean)
        return fail_memory();
    struct index_entry entry = {
        .name = clean,
        .type = directory                            ? LARDER_DIRECTORY
                : type && strcmp(type, "other") == 0 ? LARDER_OTHER
                                                     : LARDER_FILE,
        .size = directory ? 0 : LARDER_SIZE_UNKNOWN,
    };
    if (entry.type == LARDER_FILE && json_is_integer(size) && json_integer_value(size) >= 0)
        entry.size = json_integer_value(size);
    if (!(mtime && parse_http_date(mtime, &entry.mtime_ns) == 0) && mod_time)
        parse_rfc3339(mod_time, &entry.mtime_ns);
    return add_entry(index, &entry);
}

static int finish_json(struct index *index)
{
    json_error_t error;
    size_t i;
    json_t *item;
    json_t *root = json_loadb(index->json.data ? index->json.data : "", index->json.size, 0, &error);
    if (!root)
        return json_error_code(&error) == json_error_out_of_memory
                   ? fail_memory()
                   : fail(-EPROTO, "broken JSON at byte %d: %s", error.position, error.text);
    int rc = json_is_array(root) ? 0 : fail(-ENOTSUP, "JSON that is no index of a directory");
    json_array_foreach(root, i, item) if (rc == 0) rc = add_json(index, item);
    json_decref(root);
    return rc;
}

/* ---- pages ---- */

static enum format format_of(const char *content_type)
{
    size_t size = strcspn(content_type, "; \t");
    if ((size == 9 && strncasecmp(content_type, "text/html", 9) == 0) ||
        (size == 21 && strncasecmp(content_type, "application/xhtml+xml", 21) == 0))
        return FORMAT_HTML;
    if ((size == 16 && strncasecmp(content_type, "application/json", 16) == 0) ||
        (size > 5 && strncasecmp(content_type + size - 5, "+json", 5) == 0))
        return FORMAT_JSON;
    return FORMAT_UNKNOWN;
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
    if (!index->base || !index->origin || (uri.query.text && !index->query))
        return fail_memory();
    return url_decode_path(end > 0 ? uri.path.text : "/", end > 0 ? end : 1, &index->directory);
}

int index_new(const char *url, const char *content_type, index_entry_fn *fn, void *arg, struct index **out)
{
    enum format format = content_type ? format_of(content_type) : FORMAT_UNKNOWN;
    if (content_type && format == FORMAT_UNKNOWN)
        return fail(-ENOTSUP, "the answer is %.80s, which is no index of a directory", content_type);
    struct index *index = mem_zero(sizeof *index);
    if (!index)
        return fail_memory();
    index->fn = fn;
    index->arg = arg;
    index->format = format;
    index->json = BUFFER(JSON_SIZE_MAX);
    index->html_text = BUFFER(FEED_SIZE + 2 * TAG_SIZE);
    int rc = set_page(index, url);
    if (rc < 0) {
        index_free(index);
        return rc;
    }
    *out = index;
    return 0;
}

int index_feed(struct index *index, const void *data, size_t size)
{
    const char *text = data;
    size_t i = 0;
    if (index->format == FORMAT_UNKNOWN) { /* no Content-Type: the first character tells */
        while (i < size && strchr(" \t\r\n", text[i]))
            i++;
        if (i == size)
            return 0;
        if (text[i] != '<' && text[i] != '[')
            return fail(-ENOTSUP, "the answer has no type, and is no index of a directory");
        index->format = text[i] == '<' ? FORMAT_HTML : FORMAT_JSON;
    }
    if (index->format == FORMAT_HTML)
        return feed_html(index, data, size);
    return buffer_add(&index->json, data, size);
}

int index_finish(struct index *index)
{
    return index->format == FORMAT_JSON ? finish_json(index) : finish_html(index);
}

void index_free(struct index *index)
{
    if (!index)
        return;
    if (index->html)
        htmlFreeParserCtxt(index->html);
    buffer_free(&index->json);
    buffer_free(&index->html_text);
    table_fini(&index->seen);
    arena_free(&index->names);
    mem_free(index->pending_name);
    mem_free(index->base);
    mem_free(index->origin);
    mem_free(index->directory);
    mem_free(index->query);
    mem_free(index);
}
