/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of a page: a link, and behind it date and size, in cells of a table or as words of a line:
 *
 *     <a href="f.txt">f.txt</a>    22-Nov-2026 22:20       6                                    nginx, Apache's <pre>
 *     <td><a href="f.txt">f.txt</a></td><td>2026-11-22 22:20  </td><td>  6 </td>                Apache, lighttpd
 *     <td data-order="6">6 B</td><td><time datetime="2026-11-22T22:20:30Z">…</time></td>        Caddy, rclone
 *
 * A size is believed when it is a number of bytes to the byte, alone in its place: of "4.8M", of "12 KiB", and of a
 * number with other words around it, the length is unknown.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "base/text.h"
#include "net/index_parts.h"

#define CELL_SIZE  256 /* of its text, with single spaces; a longer one says nothing */
#define ORDER_SIZE 24
#define DATE_SIZE  64
#define WORDS_MAX  8

struct reader {
    struct index *index;

    char *name; /* of the link whose row this is (mem); NULL: none */
    struct index_entry entry;
    bool size_seen;   /* the place where the size stands has been */
    bool in_link;     /* within <a> … */
    bool in_time;     /* … or <time datetime>: what is displayed there counts for nothing */
    bool in_td;       /* within a cell of a table … */
    bool in_own_cell; /* … which is the link's: what else stands there is about the name */
    bool in_pre;
    bool row_ended;

    char cell[CELL_SIZE];
    size_t cell_size;
    bool cell_overflowed;
    char order[ORDER_SIZE]; /* data-order of the cell, a number to sort it by */
};

/* ---- cells ---- */

static size_t split_words(char *text, char *words[WORDS_MAX])
{
    static const char spaces[] = " \t\r\n\f";
    char *save = NULL;
    size_t count = 0;
    for (char *at; (at = strstr(text, "\xc2\xa0"));) /* no-break spaces */
        at[0] = at[1] = ' ';
    for (char *word = strtok_r(text, spaces, &save); word; word = strtok_r(NULL, spaces, &save)) {
        if (count == WORDS_MAX)
            return 0;
        words[count++] = word;
    }
    return count;
}

/* How many words make a date: "2026-11-22T22:20:30Z"; "22-Nov-2026 22:20"; "2026-11-22 22:20:30 +0000". 0: none. */
static size_t take_date(char *const words[], size_t count, int64_t *mtime_ns)
{
    if (parse_rfc3339(words[0], mtime_ns) == 0)
        return 1;
    char text[DATE_SIZE];
    for (size_t size = count < 3 ? count : 3; size >= 2; size--) {
        int printed = snprintf(text, sizeof text, "%s %s%s%s", words[0], words[1], size == 3 ? " " : "",
                               size == 3 ? words[2] : "");
        if (printed < DATE_SIZE && parse_index_date(text, mtime_ns) == 0)
            return size;
    }
    return 0;
}

static bool is_unit_of_bytes(const char *word)
{
    return text_equal(word, "B") || text_equal(word, "bytes") || text_equal(word, "byte");
}

/* What `count` words that are no date say. A cell may be sorted by the exact number and show "4.8 MiB". */
static int64_t size_of_words(char *const words[], size_t count, const char *order)
{
    bool shows_number = words[0][strspn(words[0], "0123456789.")] == 0;
    if (order[0] && shows_number && (count == 1 || (count == 2 && strchr(words[1], 'B'))))
        return index_size(order);
    return count == 1 || (count == 2 && is_unit_of_bytes(words[1])) ? index_size(words[0])
                                                                    : LARDER_SIZE_UNKNOWN;
}

/* The cell is complete. */
static void end_cell(struct reader *reader)
{
    char *words[WORDS_MAX], *rest[WORDS_MAX];
    size_t rest_count = 0;
    reader->cell[reader->cell_size] = 0;
    size_t count = reader->cell_overflowed ? 0 : split_words(reader->cell, words);
    for (size_t i = 0; i < count;) {
        int64_t mtime_ns = 0;
        size_t taken = take_date(words + i, count - i, &mtime_ns);
        if (taken > 0 && reader->entry.mtime_ns == 0)
            reader->entry.mtime_ns = mtime_ns;
        if (taken == 0)
            rest[rest_count++] = words[i];
        i += taken > 0 ? taken : 1;
    }
    if (rest_count > 0 && !reader->size_seen) {
        if (reader->entry.type == LARDER_FILE)
            reader->entry.size = size_of_words(rest, rest_count, reader->order);
        reader->size_seen = true;
    }
    reader->cell_size = 0;
    reader->cell_overflowed = false;
    reader->order[0] = 0;
}

static void add_to_cell(struct reader *reader, const char *text, size_t size)
{
    for (size_t i = 0; i < size && reader->name && !reader->row_ended; i++) {
        bool space = (unsigned char)text[i] <= ' '; /* and control characters, which are no part of a word */
        if (reader->in_pre && text[i] == '\n')
            reader->row_ended = true;
        else if (space && (reader->cell_size == 0 || reader->cell[reader->cell_size - 1] == ' '))
            continue;
        else if (reader->cell_size == CELL_SIZE - 1)
            reader->cell_overflowed = true;
        else
            reader->cell[reader->cell_size++] = space ? ' ' : text[i];
    }
}

/* ---- rows ---- */

static int end_row(struct reader *reader)
{
    reader->in_link = reader->in_time = false;
    if (!reader->name)
        return 0;
    end_cell(reader);
    reader->entry.name = reader->name;
    int rc = index_add(reader->index, &reader->entry);
    mem_free(take(reader->name));
    return rc;
}

static int begin_row(struct reader *reader, const char *link)
{
    static const char spaces[] = " \t\r\n\f";
    autofree char *name = NULL;
    bool directory = false;
    link += strspn(link, spaces);
    size_t size = strlen(link);
    while (size > 0 && strchr(spaces, link[size - 1]))
        size--;
    int rc = index_link(reader->index, link, size, &name, &directory);
    if (rc < 0)
        return rc;
    /* An icon and its name are two links to the same, with what is behind the second. */
    bool again = rc > 0 && reader->name && strcmp(reader->name, name) == 0;
    int added = again ? 0 : end_row(reader);
    reader->cell_size = 0;
    reader->in_own_cell = reader->in_td;
    reader->in_link = true;
    if (added != 0 || again || rc == 0)
        return added;
    reader->name = take(name);
    reader->entry = (struct index_entry){
        .type = directory ? LARDER_DIRECTORY : LARDER_FILE,
        .size = directory ? 0 : LARDER_SIZE_UNKNOWN,
    };
    reader->size_seen = reader->row_ended = false;
    return 0;
}

/* What stands behind these is not about the link before them. */
static bool ends_row(const char *element)
{
    static const char *const names[] = {"tr",  "li",    "br", "hr", "p",  "div", "address", "footer",
                                        "pre", "table", "ul", "ol", "dl", "dt",  "body",    "h1"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(element, names[i]) == 0)
            return true;
    return false;
}

static bool is_cell(const char *element)
{
    return strcmp(element, "td") == 0 || strcmp(element, "th") == 0;
}

static void change_cell(struct reader *reader, bool in_td, const char *order)
{
    end_cell(reader);
    reader->in_td = in_td;
    reader->in_own_cell = reader->in_link = reader->in_time = false;
    if (order && strlen(order) < ORDER_SIZE)
        strcpy(reader->order, order);
}

/* ---- what the page is made of ---- */

static const char *value_of(const struct markup_attribute *attributes, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(attributes[i].name, name) == 0)
            return attributes[i].value;
    return NULL;
}

static int on_start(void *arg, const char *name, const struct markup_attribute *attributes, size_t count)
{
    struct reader *reader = arg;
    const char *link = value_of(attributes, count, "href"),
               *datetime = value_of(attributes, count, "datetime");
    if (strcmp(name, "a") == 0 && link)
        return begin_row(reader, link);
    if (strcmp(name, "base") == 0 && link)
        return index_set_base(reader->index, link);
    reader->in_pre |= strcmp(name, "pre") == 0;
    if (ends_row(name))
        return end_row(reader);
    if (is_cell(name)) {
        change_cell(reader, true, value_of(attributes, count, "data-order"));
        return 0;
    }
    add_to_cell(reader, " ", 1);
    if (strcmp(name, "time") == 0 && datetime) {
        add_to_cell(reader, datetime, strlen(datetime));
        add_to_cell(reader, " ", 1);
        reader->in_time = true;
    }
    return 0;
}

static int on_end(void *arg, const char *name)
{
    struct reader *reader = arg;
    if (strcmp(name, "pre") == 0)
        reader->in_pre = false;
    if (ends_row(name))
        return end_row(reader);
    if (strcmp(name, "a") == 0)
        reader->in_link = false;
    else if (strcmp(name, "time") == 0)
        reader->in_time = false;
    else if (is_cell(name))
        change_cell(reader, false, NULL);
    else
        add_to_cell(reader, " ", 1);
    return 0;
}

static int on_text(void *arg, const char *text, size_t size)
{
    struct reader *reader = arg;
    if (!reader->in_link && !reader->in_time && !reader->in_own_cell)
        add_to_cell(reader, text, size);
    return 0;
}

/* ---- the format ---- */

static void html_init(void *arg, struct index *index)
{
    struct reader *reader = arg;
    reader->index = index;
}

static int html_finish(void *arg)
{
    return end_row(arg);
}

static void html_fini(void *arg)
{
    const struct reader *reader = arg;
    mem_free(reader->name);
}

static const struct markup_handler handler = {on_start, on_end, on_text};
const struct format index_html = {
    .reader_size = sizeof(struct reader),
    .init = html_init,
    .markup = &handler,
    .language = MARKUP_HTML,
    .finish = html_finish,
    .fini = html_fini,
};
