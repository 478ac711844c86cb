/* SPDX-License-Identifier: Apache-2.0 */
/* What a server keeps with a file: the headers of its HEAD that are about it. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "backends/http_parts.h"
#include "base/error.h"
#include "fs/chain.h"
#include "fs/labels.h"

#define META_PREFIX "x-amz-meta-"
#define META_SIZE   (sizeof META_PREFIX - 1)

static bool is_named(const struct label_line *line, const char *name)
{
    return strlen(name) == line->name_size && strncasecmp(line->name, name, line->name_size) == 0;
}

const char *http_property_name(const struct label_line *line)
{
    static const char *const names[] = {"cache-control",    "content-disposition", "content-encoding",
                                        "content-language", "content-type",        "expires"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (is_named(line, names[i]))
            return names[i];
    return NULL;
}

bool http_property_is_meta(const struct label_line *line)
{
    return line->name_size > META_SIZE && strncasecmp(line->name, META_PREFIX, META_SIZE) == 0 &&
           !is_named(line, HTTP_WRITE_ID);
}

static int add_meta(const struct label_line *line, struct larder_properties *out)
{
    char name[256];
    size_t size = line->name_size - META_SIZE;
    if (size > sizeof name - sizeof "metadata.")
        return 0; /* no server that speaks S3 takes one so long */
    memcpy(name, "metadata.", 9);
    for (size_t i = 0; i < size; i++)
        name[9 + i] = (char)tolower((unsigned char)line->name[META_SIZE + i]);
    return properties_add(out, name, 9 + size, line->value, line->value_size);
}

static int take_lines(const char *lines, struct larder_properties *out)
{
    struct label_line line;
    int rc = 0;
    while (rc == 0 && label_line_next(&lines, &line)) {
        const char *name = http_property_name(&line);
        if (name)
            rc = properties_add(out, name, strlen(name), line.value, line.value_size);
        else if (http_property_is_meta(&line))
            rc = add_meta(&line, out);
    }
    return rc;
}

int CO_FN http_properties(struct instance *instance, const char *path, struct larder_properties *out)
{
    struct http_instance *http = http_of(instance);
    struct http_request request = {.method = HTTP_HEAD, .keep_lines = true};
    struct asked asked;
    if (!*path)
        return fail_at(&http->instance, "", -EISDIR, "a directory");
    int rc = http_ask(http, path, false, &TERMS_NONE, &request, &asked);
    if (rc < 0)
        return rc;
    if (asked.response->slash_added)
        rc = http_fail(asked.transfer, -EISDIR, "a directory");
    else if (asked.response->status < 200 || asked.response->status > 299)
        rc = http_fail_status(asked.transfer);
    else
        rc = take_lines(asked.response->lines, out);
    http_close(asked.transfer);
    return rc;
}
