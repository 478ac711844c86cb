/* SPDX-License-Identifier: Apache-2.0 */
#include "fault_answer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

_Noreturn void fault_give_up(const char *what)
{
    perror(what);
    abort();
}

void *fault_copy(const void *data, size_t size)
{
    char *copy = malloc(size + 1);
    if (!copy)
        fault_give_up("fault_copy");
    if (size)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

static char *copy_text(const char *text)
{
    return fault_copy(text, strlen(text));
}

/* ---- the tree ---- */

static struct fault_entry **find_place(struct fault_tree *tree, const char *path)
{
    struct fault_entry **place = &tree->entries;
    while (*place && strcmp((*place)->path, path) < 0)
        place = &(*place)->next;
    return place;
}

static const struct fault_entry *find_entry(const struct fault_tree *tree, const char *path)
{
    for (const struct fault_entry *entry = tree->entries; entry; entry = entry->next)
        if (strcmp(entry->path, path) == 0)
            return entry;
    return NULL;
}

/* FNV-1a: other bytes, another etag. */
static char *etag_of(const unsigned char *data, size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * UINT64_C(0x100000001b3);
    char text[64];
    snprintf(text, sizeof(text), "\"%zx-%" PRIx64 "\"", size, hash);
    return copy_text(text);
}

void fault_tree_remove(struct fault_tree *tree, const char *path)
{
    struct fault_entry **place = find_place(tree, path), *entry = *place;
    if (!entry || strcmp(entry->path, path) != 0)
        return;
    *place = entry->next;
    free(entry->path);
    free(entry->etag);
    free(entry->headers);
    free(entry->data);
    free(entry);
}

void fault_tree_set(struct fault_tree *tree, const char *path, const struct fault_file *file)
{
    assert(path[0] == '/');
    struct fault_entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        fault_give_up("fault_tree_set");
    entry->path = copy_text(path);
    entry->data = fault_copy(file->data, file->size);
    entry->size = file->size;
    entry->etag = file->etag ? copy_text(file->etag) : etag_of(entry->data, file->size);
    entry->headers = copy_text(file->headers ? file->headers : "");
    entry->mtime = file->mtime ? file->mtime : FAULT_MTIME;
    fault_tree_remove(tree, path);
    struct fault_entry **place = find_place(tree, path);
    entry->next = *place;
    *place = entry;
}

/* ---- headers ---- */

static void drop_header(struct fault_answer *answer, const char *name, size_t name_size)
{
    size_t kept = 0;
    for (size_t i = 0; i < answer->line_count; i++) {
        char *line = answer->lines[i];
        if (strncasecmp(line, name, name_size) == 0 && line[name_size] == ':')
            free(line);
        else
            answer->lines[kept++] = line;
    }
    answer->line_count = kept;
}

static const char *header_value(const struct fault_answer *answer, const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < answer->line_count; i++)
        if (strncasecmp(answer->lines[i], name, size) == 0 && answer->lines[i][size] == ':')
            return answer->lines[i] + size + 2;
    return NULL;
}

void fault_answer_header(struct fault_answer *answer, const char *name, const char *format, ...)
{
    char *value = NULL, *line = NULL;
    va_list args;
    va_start(args, format);
    int rc = vasprintf(&value, format, args);
    va_end(args);
    if (rc < 0 || asprintf(&line, "%s: %s", name, value) < 0)
        fault_give_up("fault_answer_header");
    drop_header(answer, name, strlen(name));
    assert(answer->line_count < ANSWER_LINES_MAX);
    if (value[0])
        answer->lines[answer->line_count++] = line;
    else
        free(line);
    free(value);
}

void fault_answer_headers(struct fault_answer *answer, const char *lines)
{
    char *copy = copy_text(lines), *rest = NULL;
    for (char *line = strtok_r(copy, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
        char *colon = strchr(line, ':');
        assert(colon);
        *colon = '\0';
        fault_answer_header(answer, line, "%s", colon + 1 + strspn(colon + 1, " "));
    }
    free(copy);
}

static void date_header(struct fault_answer *answer, const char *name, time_t time)
{
    struct tm tm;
    char text[64];
    strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&time, &tm));
    fault_answer_header(answer, name, "%s", text);
}

void fault_answer_body(struct fault_answer *answer, const void *data, size_t size)
{
    char *body = fault_copy(data, size);
    free(answer->body);
    answer->body = body;
    answer->size = size;
}

void fault_answer_free(struct fault_answer *answer)
{
    for (size_t i = 0; i < answer->line_count; i++)
        free(answer->lines[i]);
    free(answer->body);
    *answer = (struct fault_answer){0};
}

static void plain_status(struct fault_answer *answer, int status)
{
    char text[64];
    int size = status == 201 ? 0 : snprintf(text, sizeof(text), "status %d\n", status);
    answer->status = status;
    if (status == 204)
        return;
    fault_answer_body(answer, text, (size_t)size);
    fault_answer_header(answer, "Content-Type", "text/plain");
    fault_answer_header(answer, "Content-Length", "%d", size);
}

/* ---- conditions and ranges: RFC 9110 §13 and §14 ---- */

/* Does a list of entity tags hold this one? Weak tags equal nothing in a strong comparison (§8.8.3.2). */
static bool etag_listed(const char *list, const char *etag, bool weak_too)
{
    bool etag_weak = strncmp(etag, "W/", 2) == 0;
    if (!etag[0] || (etag_weak && !weak_too))
        return false;
    const char *opaque = etag + (etag_weak ? 2 : 0);
    size_t size = strlen(opaque);
    for (const char *at = list; *at;) {
        at += strspn(at, ", \t");
        bool weak = strncmp(at, "W/", 2) == 0;
        at += weak ? 2 : 0;
        const char *end = *at == '"' ? strchr(at + 1, '"') : NULL;
        if (!end)
            return false;
        end++;
        if ((!weak || weak_too) && (size_t)(end - at) == size && memcmp(at, opaque, size) == 0)
            return true;
        at = end;
    }
    return false;
}

static int64_t parse_date(const char *text)
{
    struct tm tm = {0};
    const char *end = text ? strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) : NULL;
    return end && !*end ? (int64_t)timegm(&tm) : -1;
}

/* The status that the preconditions ask for; 0: go on. In the order of §13.2.2. */
static int check_conditions(const struct fault_request *request, const struct fault_entry *entry)
{
    const char *match = fault_request_header(request, "If-Match");
    if (match && strcmp(match, "*") != 0 && !etag_listed(match, entry->etag, false))
        return 412;
    int64_t unmodified_since = parse_date(fault_request_header(request, "If-Unmodified-Since"));
    if (!match && unmodified_since >= 0 && entry->mtime > unmodified_since)
        return 412;
    const char *none_match = fault_request_header(request, "If-None-Match");
    if (none_match)
        return strcmp(none_match, "*") == 0 || etag_listed(none_match, entry->etag, true) ? 304 : 0;
    int64_t modified_since = parse_date(fault_request_header(request, "If-Modified-Since"));
    return modified_since >= 0 && entry->mtime >= 0 && entry->mtime <= modified_since ? 304 : 0;
}

/* Is the Range to be answered as one? §13.1.5 */
static bool range_counts(const struct fault_request *request, const struct fault_entry *entry, unsigned flags)
{
    if (flags & FAULT_NO_RANGES || strcmp(request->method, "GET") != 0)
        return false;
    const char *if_range = fault_request_header(request, "If-Range");
    if (!if_range || flags & FAULT_NO_CONDITIONS)
        return true;
    int64_t date = parse_date(if_range);
    return date >= 0 ? date == entry->mtime : etag_listed(if_range, entry->etag, false);
}

/* "bytes=A-B", "bytes=A-", "bytes=-N". 0: not one range that we know; 206, or 416. */
static int parse_range(const char *text, size_t size, size_t *start, size_t *end)
{
    if (!text || strncmp(text, "bytes=", 6) != 0 || strchr(text, ','))
        return 0;
    const char *first = text + 6, *dash = strchr(first, '-');
    if (!dash)
        return 0;
    if (dash == first) {
        size_t suffix = strtoull(dash + 1, NULL, 10);
        *start = suffix < size ? size - suffix : 0;
        *end = size;
        return suffix && size ? 206 : 416;
    }
    size_t last = dash[1] ? strtoull(dash + 1, NULL, 10) : SIZE_MAX - 1;
    *start = strtoull(first, NULL, 10);
    *end = last < size ? last + 1 : size;
    return *start < size ? 206 : 416;
}

static void answer_file(struct fault_answer *answer, const struct fault_entry *entry,
                        const struct fault_request *request, unsigned flags)
{
    fault_answer_header(answer, "Content-Type", "application/octet-stream");
    if (entry->etag[0])
        fault_answer_header(answer, "ETag", "%s", entry->etag);
    if (entry->mtime >= 0)
        date_header(answer, "Last-Modified", entry->mtime);
    if (!(flags & FAULT_NO_RANGES))
        fault_answer_header(answer, "Accept-Ranges", "bytes");
    fault_answer_headers(answer, entry->headers);

    int condition = flags & FAULT_NO_CONDITIONS ? 0 : check_conditions(request, entry);
    if (condition == 304) {
        answer->status = 304;
        return;
    }
    if (condition) {
        plain_status(answer, condition);
        return;
    }
    size_t start = 0, end = entry->size;
    const char *range = range_counts(request, entry, flags) ? fault_request_header(request, "Range") : NULL;
    int status = parse_range(range, entry->size, &start, &end);
    if (status == 416) {
        plain_status(answer, 416);
        fault_answer_header(answer, "Content-Range", "bytes */%zu", entry->size);
        return;
    }
    if (status == 206)
        fault_answer_header(answer, "Content-Range", "bytes %zu-%zu/%zu", start, end - 1, entry->size);
    answer->status = status ? status : 200;
    fault_answer_body(answer, (char *)entry->data + start, end - start);
    fault_answer_header(answer, "Content-Length", "%zu", end - start);
}

static void answer_index(struct fault_answer *answer, const struct fault_tree *tree, const char *dir)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        fault_give_up("open_memstream");
    bool json = tree->index == FAULT_INDEX_JSON;
    if (json)
        fputs("[", out);
    else
        fprintf(out,
                "<html>\r\n<head><title>Index of %s</title></head>\r\n<body>\r\n<h1>Index of %s</h1><hr><pre>"
                "<a href=\"../\">../</a>\r\n",
                dir, dir);
    bool exists = fault_index_print(out, tree, dir);
    fputs(json ? "\n]" : "</pre><hr></body>\r\n</html>\r\n", out);
    fclose(out);
    if (!exists) {
        plain_status(answer, 404);
    } else if (tree->index == FAULT_INDEX_NONE) {
        plain_status(answer, 403);
    } else {
        answer->status = 200;
        fault_answer_body(answer, text, size);
        fault_answer_header(answer, "Content-Type", json ? "application/json" : "text/html");
        fault_answer_header(answer, "Content-Length", "%zu", size);
    }
    free(text);
}

static bool is_directory(const struct fault_tree *tree, const char *path)
{
    size_t size = strlen(path);
    for (const struct fault_entry *entry = tree->entries; entry; entry = entry->next)
        if (strncmp(entry->path, path, size) == 0 && entry->path[size] == '/')
            return true;
    return false;
}

/* ---- changes ---- */

/* The status that a change's preconditions ask for; 0: go on. */
static int check_change(const struct fault_request *request, const struct fault_entry *entry)
{
    const char *match = fault_request_header(request, "If-Match");
    const char *none_match = fault_request_header(request, "If-None-Match");
    if (match && (!entry || (strcmp(match, "*") != 0 && !etag_listed(match, entry->etag, false))))
        return 412;
    if (none_match && entry && (strcmp(none_match, "*") == 0 || etag_listed(none_match, entry->etag, true)))
        return 412;
    return 0;
}

static void answer_change(struct fault_answer *answer, struct fault_tree *tree,
                          const struct fault_request *request, unsigned flags)
{
    const struct fault_entry *entry = find_entry(tree, request->path);
    int condition = flags & FAULT_NO_CONDITIONS ? 0 : check_change(request, entry);
    bool existed = entry;
    if (condition) {
        plain_status(answer, condition);
    } else if (strcmp(request->method, "PUT") == 0) {
        fault_tree_set(tree, request->path,
                       &(struct fault_file){.data = request->body, .size = request->body_size});
        plain_status(answer, existed ? 204 : 201);
        fault_answer_header(answer, "ETag", "%s", find_entry(tree, request->path)->etag);
    } else if (existed) {
        fault_tree_remove(tree, request->path);
        plain_status(answer, 204);
    } else {
        plain_status(answer, 404);
    }
}

void fault_answer_make(struct fault_answer *answer, struct fault_tree *tree,
                       const struct fault_request *request, unsigned flags)
{
    *answer = (struct fault_answer){0};
    date_header(answer, "Date", time(NULL));
    const char *path = request->path;
    const struct fault_entry *entry = find_entry(tree, path);
    bool change = strcmp(request->method, "PUT") == 0 || strcmp(request->method, "DELETE") == 0;
    if (change && tree->writable) {
        answer_change(answer, tree, request, flags);
    } else if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0) {
        plain_status(answer, 405);
        fault_answer_header(answer, "Allow", "GET, HEAD");
    } else if (entry) {
        answer_file(answer, entry, request, flags);
    } else if (path[strlen(path) - 1] == '/') {
        answer_index(answer, tree, path);
    } else if (is_directory(tree, path)) {
        plain_status(answer, 301);
        fault_answer_header(answer, "Location", "%s/", request->target);
    } else {
        plain_status(answer, 404);
    }
}

/* ---- gzip, in stored blocks (RFC 1951 §3.2.4, RFC 1952) ---- */

static uint32_t crc32_of(const unsigned char *data, size_t size)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static void put_little_endian(FILE *out, uint32_t value, int size)
{
    for (int i = 0; i < size; i++)
        fputc((int)(value >> (8 * i) & 0xff), out);
}

void fault_answer_gzip(struct fault_answer *answer)
{
    char *text = NULL;
    size_t size = 0, at = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        fault_give_up("open_memstream");
    fwrite("\x1f\x8b\x08\0\0\0\0\0\0\xff", 1, 10, out);
    do {
        size_t piece = answer->size - at < 0xffff ? answer->size - at : 0xffff;
        fputc(at + piece == answer->size, out);
        put_little_endian(out, (uint32_t)piece, 2);
        put_little_endian(out, ~(uint32_t)piece, 2);
        if (piece)
            fwrite(answer->body + at, 1, piece, out);
        at += piece;
    } while (at < answer->size);
    put_little_endian(out, crc32_of((unsigned char *)answer->body, answer->size), 4);
    put_little_endian(out, (uint32_t)answer->size, 4);
    fclose(out);
    fault_answer_body(answer, text, size);
    free(text);

    fault_answer_header(answer, "Content-Encoding", "gzip");
    fault_answer_header(answer, "Content-Length", "%zu", size);
    fault_answer_header(answer, "Accept-Ranges", "%s", "");
    const char *etag = header_value(answer, "ETag");
    if (etag && strncmp(etag, "W/", 2) != 0) {
        char *weak = copy_text(etag);
        fault_answer_header(answer, "ETag", "W/%s", weak);
        free(weak);
    }
}
