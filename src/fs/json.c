/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/json.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"

#define DEPTH_MAX 8 /* jansson parses by recursion, and a task's stack is small */

/* Counts brackets, wherever they close: of what is no JSON, jansson says what is wrong. */
static bool is_deep(const char *text, size_t size)
{
    bool string = false;
    size_t depth = 0;
    for (size_t i = 0; i < size; i++) {
        if (string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            string = !string;
        else if (!string && (text[i] == '{' || text[i] == '['))
            depth++;
        else if (!string && (text[i] == '}' || text[i] == ']') && depth > 0)
            depth--;
        if (depth > DEPTH_MAX)
            return true;
    }
    return false;
}

int json_parse(const char *text, size_t size, const char *what, json_t **out)
{
    json_error_t error;
    if (is_deep(text, size))
        return fail(-EINVAL, "%s: it nests deeper than %d", what, DEPTH_MAX);
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (!json && json_error_code(&error) == json_error_out_of_memory)
        return fail_memory();
    if (!json)
        return fail(-EINVAL, "%s, line %d: %s", what, error.line, error.text);
    if (!json_is_object(json)) {
        json_decref(json);
        return fail(-EINVAL, "%s: it is no object", what);
    }
    *out = json;
    return 0;
}

int json_member(json_t *object, const char *key, json_type type, const char *what, json_t **out)
{
    json_t *member = json_object_get(object, key);
    if (member && json_typeof(member) != type)
        return fail(-EINVAL, "%s: \"%s\" is of another type", what, key);
    *out = member;
    return 0;
}

static int write_some(const char *data, size_t size, void *arg)
{
    return buffer_add(arg, data, size);
}

int json_write(const json_t *json, struct buffer *out)
{
    if (json_dump_callback(json, write_some, out, JSON_COMPACT | JSON_SORT_KEYS) == 0)
        return 0;
    return out->status < 0 ? out->status : fail_memory();
}

json_t *json_from_text(const char *text)
{
    json_t *json = json_string(text);
    if (json)
        return json;
    autofree char *encoded = url_encode_path(text); /* or memory is out: then here, too */
    return encoded ? json_pack("{s:s}", "percent", encoded) : NULL;
}

int json_to_text(const json_t *json, const char *what, char **out)
{
    const char *text = json_string_value(json);
    const char *encoded = json_string_value(json_object_get(json, "percent"));
    if (encoded)
        return url_decode_path(encoded, strlen(encoded), out);
    if (!text)
        return fail(-EINVAL, "%s: a text is something else", what);
    char *copy = mem_dup(text);
    if (!copy)
        return fail_memory();
    *out = copy;
    return 0;
}
