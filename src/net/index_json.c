/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An array with an object for each entry, as nginx and Caddy write it:
 *
 *     [{"name":"sub", "type":"directory", "mtime":"Sun, 22 Nov 2026 22:20:30 GMT"}, …]
 *     [{"name":"sub/", "url":"./sub/", "is_dir":true, "size":4096, "mod_time":"2026-11-22T22:20:30.5Z"}, …]
 *
 * Read as it comes, since such an array is as long as its directory. Bytes of names are taken as they are: nginx writes
 * those that are no UTF-8 too, where a parser of JSON would refuse the whole page. Caddy writes U+FFFD for them, and the
 * truth into the URL. What lies deeper than a value of an entry is skipped.
 *
 *   BEGIN ──[──▶ ITEM ──{──▶ KEY ──string──▶ COLON ──:──▶ VALUE ──value──▶ AFTER_VALUE ──}──▶ AFTER_ITEM ──]──▶ END
 *                  ▲           ▲                                                │                 │
 *                  │           └────────────────────────── , ───────────────────┘                 │
 *                  └───────────────────────────────────────────────────────────── , ──────────────┘
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/seams.h"
#include "base/text.h"
#include "net/index_parts.h"

#define TOKEN_SIZE_MAX ((size_t)64 << 10)
#define DEPTH_MAX      1000

enum state { BEGIN, ITEM, KEY, COLON, VALUE, AFTER_VALUE, AFTER_ITEM, END };
enum token { NONE, STRING, WORD }; /* a word: a number, true, false, null */
enum field { NAME, URL, TYPE, IS_DIR, SIZE, MTIME, MOD_TIME, FIELDS, OTHER_FIELD = FIELDS };

struct reader {
    struct index *index;
    enum state state;
    bool more;             /* behind a comma: the array or object does not end here */
    unsigned depth;        /* of what is skipped */
    int64_t offset;        /* bytes read so far, for texts */
    enum token token;      /* that is being read, into … */
    struct buffer text;    /* … this */
    bool escaped;          /* a backslash came; */
    unsigned hex_left;     /* digits of \uXXXX that are still to come */
    uint32_t point, first; /* what they are so far; the first of a surrogate pair */
    enum field field;
    bool is_string[FIELDS];
    char *value[FIELDS]; /* mem; NULL: missing */
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

static void forget_item(struct reader *reader)
{
    for (size_t i = 0; i < FIELDS; i++)
        mem_free(take(reader->value[i]));
}

static const char *string_of(const struct reader *reader, enum field field)
{
    return reader->value[field] && reader->is_string[field] ? reader->value[field] : NULL;
}

static const char *word_of(const struct reader *reader, enum field field)
{
    return reader->value[field] && !reader->is_string[field] ? reader->value[field] : "";
}

/* The name, as the URL has it where there is one: mem. NULL: out of memory. */
static char *name_of(struct reader *reader)
{
    const char *name = string_of(reader, NAME), *url = string_of(reader, URL);
    char *decoded = NULL;
    bool directory;
    if (url && index_link(reader->index, url, strlen(url), &decoded, &directory) != 0)
        return decoded;
    size_t size = strlen(name);
    return mem_dup_n(name, size > 0 && name[size - 1] == '/' ? size - 1 : size);
}

static int end_item(struct reader *reader)
{
    const char *type = string_of(reader, TYPE), *mtime = string_of(reader, MTIME),
               *mod_time = string_of(reader, MOD_TIME);
    if (!string_of(reader, NAME))
        return no_index();
    bool directory = strcmp(word_of(reader, IS_DIR), "true") == 0 || (type && strcmp(type, "directory") == 0);
    bool other = type && strcmp(type, "other") == 0;
    autofree char *name = name_of(reader);
    if (!name)
        return fail_memory();
    struct index_entry entry = {
        .name = name,
        .type = directory ? LARDER_DIRECTORY
                : other   ? LARDER_OTHER
                          : LARDER_FILE,
        .size = directory ? 0
                : other   ? LARDER_SIZE_UNKNOWN
                          : index_size(word_of(reader, SIZE)),
    };
    if (!(mtime && parse_http_date(mtime, &entry.mtime_ns) == 0) && mod_time)
        (void)parse_rfc3339(mod_time, &entry.mtime_ns);
    forget_item(reader);
    return index_add(reader->index, &entry);
}

/* ---- tokens that are complete ---- */

static enum field field_of(const char *key)
{
    static const char *const keys[FIELDS] = {"name", "url", "type", "is_dir", "size", "mtime", "mod_time"};
    for (unsigned i = 0; i < FIELDS; i++)
        if (strcmp(key, keys[i]) == 0)
            return (enum field)i;
    return OTHER_FIELD;
}

/* true, false, null, or what may be a number. */
static bool is_word(const char *word)
{
    return strcmp(word, "true") == 0 || strcmp(word, "false") == 0 || strcmp(word, "null") == 0 ||
           ((word[0] == '-' || isdigit((unsigned char)word[0])) &&
            word[strspn(word, "0123456789+-.eE")] == 0);
}

static int end_token(struct reader *reader)
{
    enum token token = reader->token;
    const char *text = reader->text.data ? reader->text.data : "";
    reader->token = NONE;
    if (reader->depth > 0)
        return 0;
    if (token == WORD && reader->text.size > 0 && !is_word(text))
        return broken(reader, "no value");
    if (reader->state == KEY && token == STRING) {
        reader->field = field_of(text);
        reader->state = COLON;
        return 0;
    }
    if (reader->state != VALUE)
        return reader->state <= ITEM ? no_index() : broken(reader, "a value in the wrong place");
    reader->state = AFTER_VALUE;
    /* A name with NUL in it is none: as an empty one it is left out. */
    bool nul = reader->text.size > 0 && memchr(text, 0, reader->text.size);
    if (reader->field == OTHER_FIELD || reader->value[reader->field])
        return 0;
    reader->is_string[reader->field] = token == STRING;
    reader->value[reader->field] = mem_dup(nul ? "" : text);
    return reader->value[reader->field] ? 0 : fail_memory();
}

/* Of what nobody asks for nothing is kept. */
static int keep(struct reader *reader, const char *data, size_t size)
{
    bool skipped = reader->depth > 0 || (reader->state == VALUE && reader->field == OTHER_FIELD);
    return skipped ? 0 : buffer_add(&reader->text, data, size);
}

static int begin_token(struct reader *reader, enum token token)
{
    reader->token = token;
    reader->text.size = 0;
    reader->escaped = false;
    reader->hex_left = 0;
    reader->first = 0;
    return buffer_add(&reader->text, "", 0);
}

/* ---- characters of a string ---- */

static int add_point(struct reader *reader, uint32_t point)
{
    char utf8[4];
    return keep(reader, utf8, utf8_put(point, utf8));
}

/* The first half of a pair that lacks its second stands for no character. */
static int end_first(struct reader *reader)
{
    uint32_t first = reader->first;
    reader->first = 0;
    return first ? add_point(reader, first) : 0;
}

static int end_hex(struct reader *reader)
{
    uint32_t point = reader->point, first = reader->first;
    if (first && point >= 0xdc00 && point <= 0xdfff) {
        reader->first = 0;
        return add_point(reader, 0x10000 + ((first - 0xd800) << 10) + (point - 0xdc00));
    }
    int rc = end_first(reader);
    if (point >= 0xd800 && point <= 0xdbff)
        reader->first = point;
    else if (rc == 0)
        rc = add_point(reader, point);
    return rc;
}

static int in_string(struct reader *reader, char c)
{
    static const char escapes[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if (reader->hex_left > 0) {
        if (!isxdigit((unsigned char)c))
            return broken(reader, "a broken \\u");
        reader->point =
            reader->point << 4 | (uint32_t)(isdigit((unsigned char)c) ? c - '0' : (c | 32) - 'a' + 10);
        return --reader->hex_left == 0 ? end_hex(reader) : 0;
    }
    if (reader->escaped) {
        reader->escaped = false;
        const char *escape = c ? strchr(escapes, c) : NULL;
        if (c == 'u') {
            reader->hex_left = 4;
            reader->point = 0;
            return 0;
        }
        if (!escape)
            return broken(reader, "an unknown escape");
        int rc = end_first(reader);
        return rc == 0 ? keep(reader, &meant[escape - escapes], 1) : rc;
    }
    if (c == '\\') {
        reader->escaped = true;
        return 0;
    }
    int rc = end_first(reader);
    if (rc < 0)
        return rc;
    return c == '"' ? end_token(reader) : keep(reader, &c, 1);
}

/* ---- characters between tokens ---- */

/* Skip what is in an array or object that is a value. */
static int in_depth(struct reader *reader, char c)
{
    if (c == '[' || c == '{')
        return ++reader->depth > DEPTH_MAX ? broken(reader, "too deep") : 0;
    if ((c == ']' || c == '}') && --reader->depth == 0)
        reader->state = AFTER_VALUE;
    return 0;
}

static int move_to(struct reader *reader, enum state state, bool more)
{
    reader->state = state;
    reader->more = more;
    return 0;
}

static int between(struct reader *reader, char c)
{
    if (reader->depth > 0)
        return in_depth(reader, c);
    switch (reader->state) {
    case BEGIN:
        return c == '[' ? move_to(reader, ITEM, false) : no_index();
    case ITEM:
        if (c == '{')
            return move_to(reader, KEY, false);
        return c == ']' && !reader->more ? move_to(reader, END, false) : no_index();
    case KEY:
        if (c == '}' && !reader->more) {
            int rc = end_item(reader);
            return rc != 0 ? rc : move_to(reader, AFTER_ITEM, false);
        }
        break;
    case COLON:
        if (c == ':')
            return move_to(reader, VALUE, false);
        break;
    case VALUE:
        if (c == '[' || c == '{') {
            reader->depth = 1;
            return 0;
        }
        break;
    case AFTER_VALUE:
        if (c == ',')
            return move_to(reader, KEY, true);
        if (c == '}') {
            int rc = end_item(reader);
            return rc != 0 ? rc : move_to(reader, AFTER_ITEM, false);
        }
        break;
    case AFTER_ITEM:
        if (c == ',' || c == ']')
            return move_to(reader, c == ',' ? ITEM : END, true);
        break;
    case END:
        break;
    }
    return broken(reader, "an unexpected character");
}

static bool is_word_character(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '+' || c == '.';
}

static int step(struct reader *reader, char c)
{
    if (reader->token == STRING)
        return in_string(reader, c);
    if (reader->token == WORD) {
        if (is_word_character(c))
            return keep(reader, &c, 1);
        int rc = end_token(reader);
        if (rc != 0)
            return rc;
    }
    if (c == '"')
        return begin_token(reader, STRING);
    if (is_word_character(c)) {
        int rc = begin_token(reader, WORD);
        return rc == 0 ? keep(reader, &c, 1) : rc;
    }
    return c && strchr(" \t\r\n", c) ? 0 : between(reader, c);
}

/* ---- the format ---- */

static void json_init(void *arg, struct index *index)
{
    struct reader *reader = arg;
    reader->index = index;
    reader->text = BUFFER(TOKEN_SIZE_MAX);
}

static int json_feed(void *arg, const char *data, size_t size)
{
    struct reader *reader = arg;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < size; i++) {
        rc = step(reader, data[i]);
        reader->offset++;
    }
    return rc;
}

static int json_finish(void *arg)
{
    const struct reader *reader = arg;
    return reader->state == END && reader->token == NONE ? 0 : broken(reader, "it ends too soon");
}

static void json_fini(void *arg)
{
    struct reader *reader = arg;
    forget_item(reader);
    buffer_free(&reader->text);
}

const struct format index_json = {
    .reader_size = sizeof(struct reader),
    .init = json_init,
    .feed = json_feed,
    .finish = json_finish,
    .fini = json_fini,
};
