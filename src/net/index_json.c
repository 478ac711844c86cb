/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An array with an object for each entry, as nginx and Caddy write it:
 *
 *     [{"name":"sub", "type":"directory", "mtime":"Sun, 22 Nov 2026 22:20:30 GMT"}, …]
 *     [{"name":"sub/", "url":"./sub/", "is_dir":true, "size":4096, "mod_time":"2026-11-22T22:20:30.5Z"}, …]
 *
 * Such an array is as long as its directory, and jansson reads whole values only (a million entries: 987 MB). So the
 * array is taken apart here, and each object read by jansson. Caddy writes U+FFFD for what is no UTF-8, and the truth into
 * the URL.
 *
 *   BEGIN ──[──▶ ITEM ──{──▶ OBJECT ──}──▶ AFTER_ITEM ──]──▶ END
 *                  ▲                            │
 *                  └─────────────,──────────────┘
 */
#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/seams.h"
#include "base/text.h"
#include "net/hidden.h"
#include "net/index_parts.h"

#define ITEM_SIZE_MAX ((size_t)256 << 10)
#define DEPTH_MAX     32 /* jansson reads by recursion, and a task's stack is small */
/* Caddy reads so many entries of a directory, does not say that there are more, and then leaves out those that it hides:
 * so many at most are thought of. */
#define CADDY_MAX    10000
#define CADDY_HIDDEN 100

enum state { BEGIN, ITEM, OBJECT, AFTER_ITEM, END };

struct reader {
    struct index *index;
    enum state state;
    bool more;      /* behind a comma: the array does not end here */
    unsigned depth; /* of what is open in the object, and it */
    bool in_string, escaped;
    int64_t offset;     /* bytes read so far, for texts */
    unsigned caddys;    /* entries as Caddy writes them */
    struct buffer item; /* hidden */
};

static int broken(const struct reader *reader, const char *why)
{
    return fail(-EPROTO, "broken JSON at byte %lld: %s", (long long)reader->offset, why);
}

static int no_index(void)
{
    return fail(-ENOTSUP, "JSON that is no index of a directory");
}

/* ---- entries ---- */

/* With its bytes, "" if there is NUL among them: mem; NULL: there is none, or, `*failed`, no memory. */
static char *string_of(json_t *object, const char *key, bool *failed)
{
    json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return NULL;
    size_t size = json_string_length(value);
    autofree char *text = mem_dup_n(json_string_value(value), size);
    *failed |= !text;
    if (!text)
        return NULL;
    size = hidden_restore(text, size);
    text[memchr(text, 0, size) ? 0 : size] = 0;
    return take(text);
}

/* As the URL has it where there is one: mem. A slash behind it makes a directory. */
static int name_of(struct reader *reader, json_t *object, char **out)
{
    bool failed = false, directory;
    autofree char *name = string_of(object, "name", &failed), *url = string_of(object, "url", &failed);
    if (failed)
        return fail_memory();
    if (!name)
        return no_index();
    int rc = url ? index_link(reader->index, url, strlen(url), out, &directory) : 0;
    if (rc != 0)
        return rc < 0 ? rc : 0;
    size_t size = strlen(name);
    if (size > 0 && name[size - 1] == '/')
        name[size - 1] = 0;
    *out = take(name);
    return 0;
}

static int64_t mtime_of(json_t *object)
{
    const char *http = json_string_value(json_object_get(object, "mtime")),
               *rfc3339 = json_string_value(json_object_get(object, "mod_time"));
    int64_t mtime_ns = 0;
    if (!(http && parse_http_date(http, &mtime_ns) == 0) && rfc3339)
        (void)parse_rfc3339(rfc3339, &mtime_ns);
    return mtime_ns;
}

static int add_item(struct reader *reader, json_t *object)
{
    autofree char *name = NULL;
    int rc = name_of(reader, object, &name);
    if (rc < 0)
        return rc;
    json_t *size = json_object_get(object, "size");
    const char *type = json_string_value(json_object_get(object, "type"));
    struct index_entry entry = {.name = name, .mtime_ns = mtime_of(object), .size = LARDER_SIZE_UNKNOWN};
    json_t *is_dir = json_object_get(object, "is_dir");
    reader->caddys += is_dir != NULL;
    if (json_is_true(is_dir) || (type && strcmp(type, "directory") == 0))
        entry.type = LARDER_DIRECTORY;
    else
        entry.type = type && strcmp(type, "other") == 0 ? LARDER_OTHER : LARDER_FILE;
    if (entry.type == LARDER_DIRECTORY)
        entry.size = 0;
    else if (entry.type == LARDER_FILE && json_is_integer(size) && json_integer_value(size) >= 0)
        entry.size = json_integer_value(size);
    return index_add(reader->index, &entry);
}

/* NUL in a name breaks no object. */
static int end_item(struct reader *reader)
{
    json_error_t error;
    json_t *object =
        json_loadb(reader->item.data, reader->item.size, JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    reader->item.size = 0;
    if (!object && json_error_code(&error) == json_error_out_of_memory)
        return fail_memory();
    if (!object)
        return broken(reader, error.text);
    int rc = add_item(reader, object);
    json_decref(object);
    return rc;
}

/* ---- taking the array apart ---- */

/* The bytes of an object, up to its end. */
static int in_object(struct reader *reader, const char *data, size_t size, size_t *used)
{
    size_t i = 0;
    while (i < size && reader->depth > 0) {
        char c = data[i++];
        if (reader->escaped)
            reader->escaped = false;
        else if (reader->in_string && c == '\\')
            reader->escaped = true;
        else if (c == '"')
            reader->in_string = !reader->in_string;
        else if (!reader->in_string && (c == '{' || c == '['))
            reader->depth++;
        else if (!reader->in_string && (c == '}' || c == ']'))
            reader->depth--;
        if (reader->depth > DEPTH_MAX)
            return broken(reader, "too deep");
    }
    *used = i;
    int rc = hidden_add(&reader->item, data, i, false);
    if (rc == -EFBIG)
        return broken(reader, "an entry without end");
    if (rc < 0 || reader->depth > 0)
        return rc;
    reader->state = AFTER_ITEM;
    return end_item(reader);
}

static int move_to(struct reader *reader, enum state state, bool more)
{
    reader->state = state;
    reader->more = more;
    return 0;
}

/* A character between objects. */
static int between(struct reader *reader, char c)
{
    if (c && strchr(" \t\r\n", c))
        return 0;
    switch (reader->state) {
    case BEGIN:
        return c == '[' ? move_to(reader, ITEM, false) : no_index();
    case ITEM:
        if (c == ']' && !reader->more)
            return move_to(reader, END, false);
        if (c != '{')
            return no_index();
        reader->depth = 1;
        reader->state = OBJECT;
        return hidden_add(&reader->item, &c, 1, false);
    case AFTER_ITEM:
        if (c == ',' || c == ']')
            return move_to(reader, c == ',' ? ITEM : END, true);
        break;
    default:
        break;
    }
    return broken(reader, "an unexpected character");
}

/* ---- the format ---- */

static void json_init(void *arg, struct index *index)
{
    struct reader *reader = arg;
    reader->index = index;
    reader->item = BUFFER(ITEM_SIZE_MAX);
}

static int json_feed(void *arg, const char *data, size_t size)
{
    struct reader *reader = arg;
    int rc = 0;
    for (size_t i = 0, used; rc == 0 && i < size; i += used, reader->offset += (int64_t)used) {
        used = 1;
        if (reader->state == OBJECT)
            rc = in_object(reader, data + i, size - i, &used);
        else
            rc = between(reader, data[i]);
    }
    return rc;
}

static int json_finish(void *arg)
{
    const struct reader *reader = arg;
    if (reader->state != END)
        return broken(reader, "it ends too soon");
    bool cut = reader->caddys >= CADDY_MAX - CADDY_HIDDEN && reader->caddys <= CADDY_MAX;
    return cut ? fail(-E2BIG,
                      "%u entries, and Caddy reads no more than %d of a directory: some may be missing",
                      reader->caddys, CADDY_MAX)
               : 0;
}

static void json_fini(void *arg)
{
    struct reader *reader = arg;
    buffer_free(&reader->item);
}

const struct format index_json = {
    .reader_size = sizeof(struct reader),
    .init = json_init,
    .feed = json_feed,
    .finish = json_finish,
    .fini = json_fini,
};
