/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/labels.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"

const char *const label_names[LABEL_COUNT] = {"content_type", "cache_control", "metadata"};

char **label_slot(const struct labels *labels, size_t index)
{
    const size_t at[LABEL_COUNT] = {offsetof(struct labels, content_type),
                                    offsetof(struct labels, cache_control),
                                    offsetof(struct labels, metadata)};
    return (char **)((char *)labels + at[index]);
}

/* ---- lines ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

bool label_line_next(const char **text, struct label_line *out)
{
    const char *line = *text + strspn(*text, "\r\n"), *end = line + strcspn(line, "\n");
    *text = end;
    if (!*line)
        return false;
    size_t name_size = strcspn(line, ":\n");
    const char *value = line + name_size + (line[name_size] == ':');
    while (value < end && is_blank(*value))
        value++;
    while (end > value && is_blank(end[-1]))
        end--;
    *out = (struct label_line){line, value, name_size, (size_t)(end - value)};
    return true;
}

/* RFC 9110 §5.6.2 */
static bool is_token(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!isalnum((unsigned char)text[i]) && !memchr("!#$%&'*+-.^_`|~", text[i], 15))
            return false;
    return size > 0;
}

static bool has_control(const char *text, const char *but)
{
    for (; *text; text++)
        if (((unsigned char)*text < ' ' && !strchr(but, *text)) || *text == 0x7f)
            return true;
    return false;
}

static int check_lines(const char *text)
{
    struct label_line line;
    if (has_control(text, "\t\r\n"))
        return fail(-EINVAL, "option metadata: a control character");
    while (label_line_next(&text, &line))
        if (!is_token(line.name, line.name_size) || line.name[line.name_size] != ':' ||
            memchr(line.value, '\r', line.value_size))
            return fail(-EINVAL, "option metadata: a line is not of the form \"name: value\"");
    return 0;
}

/* ---- one handle's ---- */

int labels_take(struct labels *labels, const char *option, const char *value)
{
    size_t index = 0;
    while (index < LABEL_COUNT && strcmp(label_names[index], option) != 0)
        index++;
    if (index == LABEL_COUNT)
        return 0;
    char **slot = label_slot(labels, index);
    int rc = 0;
    if (slot == &labels->metadata)
        rc = check_lines(value);
    else if (has_control(value, "\t"))
        rc = fail(-EINVAL, "option %s: a control character", option);
    char *copy = rc == 0 && *value ? mem_dup(value) : NULL;
    if (rc == 0 && *value && !copy)
        rc = fail_memory();
    if (rc < 0)
        return rc;
    mem_free(*slot);
    *slot = copy;
    return 1;
}

int labels_copy(struct labels *out, const struct labels *from)
{
    for (size_t i = 0; i < LABEL_COUNT; i++) {
        const char *value = *label_slot(from, i);
        int rc = value ? labels_take(out, label_names[i], value) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

void labels_fini(struct labels *labels)
{
    for (size_t i = 0; i < LABEL_COUNT; i++)
        mem_free(*label_slot(labels, i));
    *labels = (struct labels){0};
}

/* ---- types ---- */

/* What people put on servers. No file of the system's, so that the same name has one type everywhere. */
static const struct {
    const char *ending, *type;
} types[] = {
    {"avif", "image/avif"},
    {"bin", "application/octet-stream"},
    {"bmp", "image/bmp"},
    {"bz2", "application/x-bzip2"},
    {"css", "text/css"},
    {"csv", "text/csv"},
    {"flac", "audio/flac"},
    {"geojson", "application/geo+json"},
    {"gif", "image/gif"},
    {"gz", "application/gzip"},
    {"h5", "application/x-hdf5"},
    {"hdf5", "application/x-hdf5"},
    {"htm", "text/html"},
    {"html", "text/html"},
    {"ico", "image/vnd.microsoft.icon"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript"},
    {"json", "application/json"},
    {"jsonl", "application/jsonl"},
    {"md", "text/markdown"},
    {"mjs", "text/javascript"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"nc", "application/x-netcdf"},
    {"ogg", "audio/ogg"},
    {"parquet", "application/vnd.apache.parquet"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"rtf", "application/rtf"},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    {"toml", "application/toml"},
    {"txt", "text/plain"},
    {"wasm", "application/wasm"},
    {"wav", "audio/wav"},
    {"webm", "video/webm"},
    {"webp", "image/webp"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"xml", "application/xml"},
    {"xz", "application/x-xz"},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"zip", "application/zip"},
    {"zst", "application/zstd"},
};

static const char *type_by_name(const char *path)
{
    const char *name = path_name(path), *dot = strrchr(name, '.');
    for (size_t i = 0; dot && dot > name && i < sizeof types / sizeof types[0]; i++)
        if (strcasecmp(dot + 1, types[i].ending) == 0)
            return types[i].type;
    return "application/octet-stream";
}

const char *labels_content_type(const struct labels *labels, const char *path)
{
    const char *said = labels ? labels->content_type : NULL;
    return said && strcmp(said, "auto") == 0 ? type_by_name(path) : said;
}
