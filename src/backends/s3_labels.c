/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/s3_labels.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"

/* ---- headers ---- */

void s3_headers_fini(struct s3_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        mem_free((char *)headers->pair[i].name);
        mem_free((char *)headers->pair[i].value);
    }
    mem_free(headers->pair);
    *headers = (struct s3_headers){0};
}

/* Takes the texts over, which may be NULL: no memory. */
static int set(struct s3_headers *headers, char *name, char *value)
{
    size_t at = 0;
    while (name && at < headers->count && strcmp(headers->pair[at].name, name) != 0)
        at++;
    struct sigv4_pair *larger =
        name && value ? mem_resize(headers->pair, (headers->count + 2) * sizeof *larger) : NULL;
    if (!larger) {
        mem_free(name);
        mem_free(value);
        return fail_memory();
    }
    headers->pair = larger;
    if (at < headers->count) {
        mem_free((char *)larger[at].name);
        mem_free((char *)larger[at].value);
    } else {
        headers->count++;
    }
    larger[at] = (struct sigv4_pair){name, value};
    larger[headers->count] = (struct sigv4_pair){0};
    return 0;
}

int s3_headers_set(struct s3_headers *headers, const char *name, const char *value)
{
    return set(headers, mem_dup(name), mem_dup(value));
}

static char *lower(char *text)
{
    for (char *at = text; at && *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return text;
}

int s3_headers_say(struct s3_headers *headers, const struct labels *labels, const char *path)
{
    const char *type = labels_content_type(labels, path), *lines = labels ? labels->metadata : NULL;
    struct label_line line;
    int rc = type ? s3_headers_set(headers, "content-type", type) : 0;
    if (rc == 0 && labels && labels->cache_control)
        rc = s3_headers_set(headers, "cache-control", labels->cache_control);
    while (rc == 0 && lines && label_line_next(&lines, &line))
        rc = set(headers, lower(mem_format("x-amz-meta-%.*s", (int)line.name_size, line.name)),
                 mem_dup_n(line.value, line.value_size));
    return rc;
}

static int take_lines(const char *lines, struct s3_headers *out)
{
    struct label_line line;
    int rc = 0;
    while (rc == 0 && label_line_next(&lines, &line))
        if (http_property_name(&line) || http_property_is_meta(&line))
            rc =
                set(out, lower(mem_dup_n(line.name, line.name_size)), mem_dup_n(line.value, line.value_size));
    return rc;
}

static int CO_FN ask_head(struct s3_instance *s3, const char *path, struct asked *asked)
{
    const struct s3_request request = {.path = path, .http = {.method = HTTP_HEAD, .keep_lines = true}};
    return s3_ask(s3, &request, asked);
}

int CO_FN s3_headers_of(struct s3_instance *s3, const char *path, struct s3_headers *out)
{
    struct asked asked;
    int rc = ask_head(s3, path, &asked);
    if (rc < 0)
        return rc;
    rc = take_lines(asked.response->lines, out);
    http_close(asked.transfer);
    return rc;
}

/* ---- write ids ---- */

void s3_write_id_make(char out[S3_WRITE_ID_SIZE])
{
    snprintf(out, S3_WRITE_ID_SIZE, "%016llx%016llx", (unsigned long long)random_u64(),
             (unsigned long long)random_u64());
}

static bool has_write_id(const char *lines, const char *write_id)
{
    struct label_line line;
    while (label_line_next(&lines, &line))
        if (line.name_size == sizeof HTTP_WRITE_ID - 1 &&
            strncasecmp(line.name, HTTP_WRITE_ID, line.name_size) == 0)
            return line.value_size == strlen(write_id) && memcmp(line.value, write_id, line.value_size) == 0;
    return false;
}

static int CO_FN look(struct s3_instance *s3, const char *path, const char *write_id, struct answer *out)
{
    struct asked asked;
    int rc = ask_head(s3, path, &asked);
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    rc = has_write_id(asked.response->lines, write_id);
    if (rc && out) {
        struct answer answer = http_answer_of(&asked);
        answer.info.size = asked.response->content_length;
        int copied = answer_copy(out, &answer);
        rc = copied < 0 ? copied : rc;
    }
    http_close(asked.transfer);
    return rc;
}

int CO_FN s3_is_written(struct s3_instance *s3, const char *path, const char *write_id, struct answer *out)
{
    struct error_slot words = *error_slot();
    int rc = look(s3, path, write_id, out);
    *error_slot() = words;
    return rc;
}
