/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes, as nginx 1.22 prints them. In here the name of a directory ends in "/". */
#include "fault_answer.h"

#include <string.h>
#include <time.h>

#define NAME_MAX_SHOWN 50 /* longer names are cut in the text of a link, never in the link */

static void print_encoded(FILE *out, const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c <= ' ' || c >= 0x7f || strchr("%?#&<>\"'\\", c))
            fprintf(out, "%%%02X", c);
        else
            fputc(c, out);
    }
}

static void print_html_text(FILE *out, const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (name[i] == '<')
            fputs("&lt;", out);
        else if (name[i] == '>')
            fputs("&gt;", out);
        else if (name[i] == '&')
            fputs("&amp;", out);
        else
            fputc(name[i], out);
    }
}

static void print_html_entry(FILE *out, const char *name, size_t size, const struct fault_entry *file)
{
    char date[32];
    struct tm tm;
    time_t mtime = file ? (time_t)file->mtime : FAULT_MTIME;
    strftime(date, sizeof(date), "%d-%b-%Y %H:%M", gmtime_r(&mtime, &tm));
    bool cut = size > NAME_MAX_SHOWN;
    fputs("<a href=\"", out);
    print_encoded(out, name, size);
    fputs("\">", out);
    print_html_text(out, name, cut ? NAME_MAX_SHOWN - 3 : size);
    fputs(cut ? "..&gt;</a>" : "</a>", out);
    fprintf(out, "%*s %s ", cut ? 0 : (int)(NAME_MAX_SHOWN - size), "", date);
    if (file)
        fprintf(out, "%19zu\r\n", file->size);
    else
        fprintf(out, "%19s\r\n", "-");
}

static void print_json_entry(FILE *out, const char *name, size_t size, const struct fault_entry *file,
                             bool first)
{
    char date[64];
    struct tm tm;
    time_t mtime = file ? (time_t)file->mtime : FAULT_MTIME;
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&mtime, &tm));
    fprintf(out, "%s\n{ \"name\":\"", first ? "" : ",");
    for (size_t i = 0; i < size - (file ? 0 : 1); i++) {
        if (name[i] == '"' || name[i] == '\\')
            fputc('\\', out);
        if ((unsigned char)name[i] < ' ')
            fprintf(out, "\\u%04x", (unsigned)name[i]);
        else
            fputc(name[i], out);
    }
    fprintf(out, "\", \"type\":\"%s\", \"mtime\":\"%s\"", file ? "file" : "directory", date);
    if (file)
        fprintf(out, ", \"size\":%zu", file->size);
    fputs(" }", out);
}

bool fault_index_print(FILE *out, const struct fault_tree *tree, const char *dir)
{
    size_t dir_size = strlen(dir), count = 0, last_size = 0;
    const char *last = "";
    bool exists = strcmp(dir, "/") == 0;
    for (const struct fault_entry *entry = tree->entries; entry; entry = entry->next) {
        if (strncmp(entry->path, dir, dir_size) != 0)
            continue;
        exists = true;
        const char *name = entry->path + dir_size, *slash = strchr(name, '/');
        size_t size = slash ? (size_t)(slash + 1 - name) : strlen(name);
        if (size == 0 || (slash && size == last_size && memcmp(name, last, size) == 0))
            continue;
        if (tree->index == FAULT_INDEX_JSON)
            print_json_entry(out, name, size, slash ? NULL : entry, count == 0);
        else
            print_html_entry(out, name, size, slash ? NULL : entry);
        last = name;
        last_size = size;
        count++;
    }
    return exists;
}
