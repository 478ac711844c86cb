/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A character moves the machine; a tag is collected up to its ">" and then taken apart as a whole:
 *
 *   TEXT ──&──▶ REFERENCE ──▶ TEXT
 *   TEXT ──<──▶ OPEN ──letter or /──▶ TAG ──=──▶ EQUALS ──▶ QUOTED, UNQUOTED ──▶ TAG ──>──▶ TEXT, RAW
 *               OPEN ──! or ?──▶ DECLARATION ──-- ▶ COMMENT          RAW ──</name──▶ TAG
 */
#include "net/markup.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <libxml/HTMLparser.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/seams.h"
#include "base/text.h"

#define TAG_SIZE_MAX       ((size_t)64 << 10) /* of what is kept of one: an icon may be in it, in base64 */
#define ATTRIBUTES_MAX     32
#define REFERENCE_SIZE_MAX 40
#define RAW_NAME_SIZE      16
#define NO_CHARACTER       0x110000

enum state { TEXT, REFERENCE, OPEN, TAG, EQUALS, QUOTED, UNQUOTED, DECLARATION, COMMENT, RAW };

struct markup {
    const struct markup_handler *handler;
    void *arg;
    enum state state;
    struct buffer tag; /* behind the "<"; of a long one, its beginning */
    char quote;
    unsigned dashes; /* of a declaration's beginning, or of what may be a comment's end */
    char reference[REFERENCE_SIZE_MAX + 1];
    size_t reference_size;
    char raw_name[RAW_NAME_SIZE]; /* the element that RAW is in … */
    size_t raw_matched;           /* … and how much of its "</name" was seen */
};

int markup_new(const struct markup_handler *handler, void *arg, struct markup **out)
{
    struct markup *markup = mem_zero(sizeof *markup);
    if (!markup)
        return fail_memory();
    markup->handler = handler;
    markup->arg = arg;
    markup->tag = BUFFER(TAG_SIZE_MAX);
    *out = markup;
    return 0;
}

void markup_free(struct markup *markup)
{
    if (!markup)
        return;
    buffer_free(&markup->tag);
    mem_free(markup);
}

static bool is_space(char c)
{
    return c && strchr(" \t\n\f\r", c);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_alnum(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9');
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* ---- character references ---- */

/* All of `digits`, or false. What no character has is more than any. */
static bool parse_point(const char *digits, int base, uint32_t *point)
{
    *point = 0;
    for (const char *at = digits; *at; at++) {
        int digit = isdigit((unsigned char)*at) ? *at - '0' : is_letter(*at) ? lower(*at) - 'a' + 10 : base;
        if (digit >= base)
            return false;
        if (*point < 0x110000)
            *point = *point * (uint32_t)base + (uint32_t)digit;
    }
    return *digits;
}

/*
 * What "&amp;" and its like, without the "&", stand for. 0: nothing, they are text. Without the ";" only names of
 * Latin-1 count, and in an attribute not where more of a word or "=" follows: "?a=1&copy=2".
 */
static size_t resolve_reference(const char *name, size_t size, bool in_attribute, char next, char out[4])
{
    bool closed = size > 0 && name[size - 1] == ';';
    char text[REFERENCE_SIZE_MAX + 1];
    memcpy(text, name, size - closed);
    text[size - closed] = 0;
    uint32_t point;
    if (text[0] == '#') {
        bool hex = lower(text[1]) == 'x';
        return parse_point(text + (hex ? 2 : 1), hex ? 16 : 10, &point)
                   ? utf8_put(point ? point : NO_CHARACTER, out)
                   : 0;
    }
    const htmlEntityDesc *entity = htmlEntityLookup((const xmlChar *)text);
    point = entity ? entity->value : strcmp(text, "apos") == 0 ? '\'' : 0;
    if (point == 0 || (!closed && (point > 0xff || (in_attribute && (is_alnum(next) || next == '=')))))
        return 0;
    return utf8_put(point, out);
}

/* What of `text` may be the reference behind a "&", as far as it goes: "#x26;", "amp". */
static bool continues_reference(const char *reference, size_t size, char c)
{
    if (size > 0 && reference[size - 1] == ';')
        return false;
    return size < REFERENCE_SIZE_MAX && (is_alnum(c) || (c == '#' && size == 0) || (c == ';' && size > 0));
}

/* In place: what a reference stands for is never longer than it. */
static void resolve_value(char *value)
{
    char *out = value, utf8[4];
    for (char *at = value; *at;) {
        size_t size = 0, count = 0;
        if (*at == '&') {
            while (at[1 + size] && continues_reference(at + 1, size, at[1 + size]))
                size++;
            count = size > 0 ? resolve_reference(at + 1, size, true, at[1 + size], utf8) : 0;
        }
        if (count > 0) {
            memcpy(out, utf8, count);
            out += count;
            at += 1 + size;
        } else {
            *out++ = *at++;
        }
    }
    *out = 0;
}

static int emit_text(struct markup *markup, const char *text, size_t size)
{
    return size > 0 ? markup->handler->text(markup->arg, text, size) : 0;
}

static int end_reference(struct markup *markup, char next)
{
    char utf8[4];
    size_t size = markup->reference_size;
    size_t count = size > 0 ? resolve_reference(markup->reference, size, false, next, utf8) : 0;
    markup->state = TEXT;
    if (count > 0)
        return emit_text(markup, utf8, count);
    int rc = emit_text(markup, "&", 1);
    return rc == 0 ? emit_text(markup, markup->reference, size) : rc;
}

/* ---- tags ---- */

/* Elements whose content is text to their end tag, whatever it looks like; none of it matters to anybody here. */
static bool is_raw(const char *name)
{
    static const char *const names[] = {"iframe", "noembed",  "noframes", "script",
                                        "style",  "textarea", "title",    "xmp"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* Cut the next word off, in lower case. */
static const char *take_name(char **text)
{
    char *name = *text, *at = *text;
    if (*at == '=') /* the first of a name it may be */
        at++;
    for (; *at && !is_space(*at) && !strchr("/=", *at); at++)
        *at = lower(*at);
    *text = at;
    return name;
}

static char *skip_space(char *text)
{
    while (is_space(*text))
        text++;
    return text;
}

/* The value behind "=", cut off. NULL: it is cut itself. */
static char *take_value(char **text, bool whole)
{
    char *value = skip_space(*text), *end;
    char quote = *value == '"' || *value == '\'' ? *value : 0;
    if (quote)
        end = strchr(++value, quote);
    else
        for (end = value; *end && !is_space(*end); end++)
            ;
    if (!end || (!*end && !whole && !quote)) {
        *text = value + strlen(value);
        return NULL;
    }
    *text = end + (*end != 0);
    *end = 0;
    resolve_value(value);
    return value;
}

static size_t take_attributes(char *text, bool whole, struct markup_attribute attributes[ATTRIBUTES_MAX])
{
    size_t count = 0;
    while (count < ATTRIBUTES_MAX) {
        while (is_space(*text) || *text == '/')
            text++;
        if (!*text)
            break;
        const char *name = take_name(&text), *value = "";
        char *name_end = text;
        text = skip_space(text);
        if (*text == '=') {
            text++;
            value = take_value(&text, whole);
        } else if (text == name_end && *text) {
            text++;
        }
        *name_end = 0;
        if (value)
            attributes[count++] = (struct markup_attribute){name, value};
    }
    return count;
}

/* All of `tag` is there: "name attribute=value …" or "/name". */
static int end_tag(struct markup *markup)
{
    bool whole = markup->tag.size < TAG_SIZE_MAX - 1;
    char *text = markup->tag.data;
    bool closes = *text == '/';
    struct markup_attribute attributes[ATTRIBUTES_MAX];
    markup->state = TEXT;
    if (memchr(text, 0, markup->tag.size))
        return 0; /* NUL stands for no character of a name */
    text += closes;
    char *name = text, *rest;
    for (rest = text; *rest && !is_space(*rest) && *rest != '/'; rest++)
        *rest = lower(*rest);
    bool more = *rest;
    *rest = 0;
    if (closes)
        return markup->handler->end(markup->arg, name);
    if (is_raw(name)) {
        markup->state = RAW;
        strcpy(markup->raw_name, name);
        markup->raw_matched = 0;
    }
    size_t count = more ? take_attributes(rest + 1, whole, attributes) : 0;
    return markup->handler->start(markup->arg, name, attributes, count);
}

static int begin_tag(struct markup *markup, const char *text, size_t size)
{
    markup->state = TAG;
    markup->tag.size = 0;
    return buffer_add(&markup->tag, text, size);
}

static void move_in_tag(struct markup *markup, char c)
{
    if (markup->state == QUOTED) {
        if (c == markup->quote)
            markup->state = TAG;
    } else if (markup->state == EQUALS && (c == '"' || c == '\'')) {
        markup->state = QUOTED;
        markup->quote = c;
    } else if (is_space(c)) {
        if (markup->state == UNQUOTED)
            markup->state = TAG;
    } else if (markup->state == EQUALS) {
        markup->state = UNQUOTED;
    } else if (markup->state == TAG && c == '=') {
        markup->state = EQUALS;
    }
}

/* Characters of a tag, at least one: up to its end, if that is among them. Returns what `*used` of them led to. */
static int collect_tag(struct markup *markup, const char *data, size_t size, size_t *used)
{
    size_t count = 0, room = TAG_SIZE_MAX - 1 - markup->tag.size;
    bool ended = false;
    while (count < size && !ended) {
        ended = data[count] == '>' && markup->state != QUOTED;
        if (!ended)
            move_in_tag(markup, data[count++]);
    }
    *used = count + ended;
    int rc = buffer_add(&markup->tag, data, count < room ? count : room);
    return rc == 0 && ended ? end_tag(markup) : rc;
}

/* ---- the machine ---- */

static int in_raw(struct markup *markup, char c, bool *again)
{
    size_t at = markup->raw_matched, size = strlen(markup->raw_name) + 2;
    if (at == size && (is_space(c) || c == '/' || c == '>')) {
        int rc = begin_tag(markup, "/", 1);
        *again = true;
        return rc == 0 ? buffer_add_text(&markup->tag, markup->raw_name) : rc;
    }
    bool matches = at < size && lower(c) == (at == 0 ? '<' : at == 1 ? '/' : markup->raw_name[at - 2]);
    markup->raw_matched = matches ? at + 1 : c == '<';
    return 0;
}

/* One character where there is neither text nor a tag. *again: it is to be looked at again. */
static int step(struct markup *markup, char c, bool *again)
{
    switch (markup->state) {
    case OPEN:
        if (is_letter(c) || c == '/')
            return begin_tag(markup, &c, 1);
        if (c == '!' || c == '?') {
            markup->state = DECLARATION;
            markup->dashes = c == '!' ? 0 : 2; /* "<?--" begins no comment */
            return 0;
        }
        markup->state = TEXT;
        *again = true;
        return emit_text(markup, "<", 1);
    case DECLARATION:
        if (c == '>') {
            markup->state = TEXT;
        } else if (c == '-' && markup->dashes < 2) {
            if (++markup->dashes == 2)
                markup->state = COMMENT;
        } else {
            markup->dashes = 3; /* no comment any more */
        }
        return 0;
    case COMMENT: /* "<!-->" and "<!--->" are whole ones */
        if (c == '>' && markup->dashes >= 2)
            markup->state = TEXT;
        else if (!(c == '!' && markup->dashes >= 2))
            markup->dashes = c == '-' ? markup->dashes + 1 : 0;
        return 0;
    default:
        return in_raw(markup, c, again);
    }
}

/* Text, up to what is none. */
static int pass_text(struct markup *markup, const char *data, size_t size, size_t *used)
{
    size_t count = 0;
    while (count < size && data[count] != '<' && data[count] != '&')
        count++;
    *used = count;
    int rc = emit_text(markup, data, count);
    if (rc != 0 || count == size)
        return rc;
    markup->state = data[count] == '<' ? OPEN : REFERENCE;
    markup->reference_size = 0;
    ++*used;
    return 0;
}

static int collect_reference(struct markup *markup, char c, bool *again)
{
    *again = !continues_reference(markup->reference, markup->reference_size, c);
    if (*again)
        return end_reference(markup, c);
    markup->reference[markup->reference_size++] = c;
    return c == ';' ? end_reference(markup, 0) : 0;
}

int markup_feed(struct markup *markup, const char *data, size_t size)
{
    int rc = 0;
    size_t used;
    for (size_t i = 0; rc == 0 && i < size; i += used) {
        bool again = false;
        switch (markup->state) {
        case TEXT:
            rc = pass_text(markup, data + i, size - i, &used);
            break;
        case TAG:
        case EQUALS:
        case QUOTED:
        case UNQUOTED:
            rc = collect_tag(markup, data + i, size - i, &used);
            break;
        case REFERENCE:
            rc = collect_reference(markup, data[i], &again);
            used = !again;
            break;
        default:
            rc = step(markup, data[i], &again);
            used = !again;
        }
    }
    return rc;
}
