/* SPDX-License-Identifier: Apache-2.0 */
/* Options: declared in a backend's table, checked here, and read by name. */
#include "fs/option.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "base/text.h"
#include "fs/config.h"

static size_t option_count(const struct backend *backend)
{
    size_t count = 0;
    while (backend->options && backend->options[count].name)
        count++;
    return count;
}

static size_t option_index(const struct backend *backend, const char *name, size_t size)
{
    size_t count = option_count(backend), index = 0;
    while (index < count && (strncmp(backend->options[index].name, name, size) != 0 ||
                             backend->options[index].name[size] != 0))
        index++;
    return index;
}

/* ---- "layer.key=value" ---- */

struct parsed {
    const char *layer; /* NULL: bare */
    size_t layer_size;
    const char *key;
    size_t key_size;
    const char *value;
};

static int parse(const char *text, struct parsed *out)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return fail(-EINVAL, "option \"%s\": not of the form key=value", text);
    const char *dot = memchr(text, '.', (size_t)(equals - text));
    *out = (struct parsed){.key = text, .key_size = (size_t)(equals - text), .value = equals + 1};
    if (dot) {
        out->layer = text;
        out->layer_size = (size_t)(dot - text);
        out->key = dot + 1;
        out->key_size = (size_t)(equals - dot - 1);
    }
    return 0;
}

static int check_value(const struct option *option, const char *value)
{
    int64_t number;
    uint64_t size;
    bool truth;
    switch (option->type) {
    case OPTION_TEXT:
        return 0;
    case OPTION_BOOL:
        return parse_bool(value, &truth);
    case OPTION_COUNT:
        return parse_i64(value, &number) < 0 || number < 0 ? -EINVAL : 0;
    case OPTION_SIZE:
        return parse_size(value, &size);
    case OPTION_DURATION:
        return parse_duration(value, &number);
    case OPTION_LIFETIME:
        return parse_lifetime(value, &number);
    }
    return -EINVAL;
}

static const char *type_name(enum option_type type)
{
    static const char *const names[] = {
        [OPTION_TEXT] = "a text",
        [OPTION_BOOL] = "true or false",
        [OPTION_COUNT] = "a count",
        [OPTION_SIZE] = "a size, such as 512 or 64M",
        [OPTION_DURATION] = "a time, such as 5, 0.5 or 10m",
        [OPTION_LIFETIME] = "a time, such as 5, 0.5, 10m or forever",
    };
    return names[type];
}

static int refuse_value(const struct backend *backend, const struct option *option, const char *value)
{
    bool secret = option->flags & OPTION_SECRET;
    return fail(-EINVAL, "option %s.%s: \"%s\" is not %s", backend->name, option->name, secret ? "…" : value,
                type_name(option->type));
}

/* Does `backend` have it, with such a value? */
static int check_option(const struct backend *backend, const struct parsed *parsed, const struct option **out)
{
    size_t index = option_index(backend, parsed->key, parsed->key_size);
    if (index == option_count(backend))
        return fail(-EINVAL, "option %s.%.*s: no such option", backend->name, (int)parsed->key_size,
                    parsed->key);
    *out = &backend->options[index];
    return check_value(*out, parsed->value) < 0 ? refuse_value(backend, *out, parsed->value) : 0;
}

/* One option meant for `backend`. */
static int take_option(const struct backend *backend, const struct parsed *parsed, bool per_handle,
                       char **values)
{
    const struct option *option;
    int rc = check_option(backend, parsed, &option);
    if (rc < 0)
        return rc;
    if (per_handle && !(option->flags & OPTION_PER_HANDLE))
        return fail(-EINVAL, "option %s.%s belongs to the whole instance: give it to larder_open",
                    backend->name, option->name);
    size_t index = (size_t)(option - backend->options);
    char *value = mem_dup(parsed->value);
    if (!value)
        return fail_memory();
    mem_free(values[index]);
    values[index] = value;
    return 0;
}

/* ---- who gives one ---- */

struct taking {
    const struct backend *backend;
    char **values;
};

static int take_configured(void *arg, const char *key, const char *value)
{
    struct taking *taking = arg;
    struct parsed parsed = {.key = key, .key_size = strlen(key), .value = value};
    return take_option(taking->backend, &parsed, false, taking->values);
}

/* "LARDER_HTTP_TIMEOUT"; mem */
static char *environment_name(const char *layer, const char *name)
{
    char *variable = mem_format("LARDER_%s_%s", layer, name);
    for (char *p = variable; p && *p; p++)
        *p = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
    return variable;
}

static int take_environment(const struct backend *backend, const struct option *option, char **values)
{
    autofree char *name = environment_name(backend->name, option->name);
    if (!name)
        return fail_memory();
    struct parsed parsed = {.key = option->name, .key_size = strlen(option->name), .value = getenv(name)};
    int rc = parsed.value ? take_option(backend, &parsed, false, values) : 0;
    return rc < 0 ? fail_more(rc, "%s", name) : 0;
}

const char *option_origin(const struct backend *backend, const struct option *option)
{
    if (backend == &fs_layer)
        return NULL;
    autofree char *name = environment_name(backend->name, option->name);
    return name && getenv(name) ? "the environment" : config_says(backend->name, option->name);
}

int options_take(const struct backend *backend, const char *const options[], bool innermost, char ***values)
{
    char **taken = options_new(backend);
    struct taking taking = {backend, taken};
    int rc = taken ? config_each(backend->name, take_configured, &taking) : fail_memory();
    for (size_t i = 0; rc == 0 && i < option_count(backend); i++)
        rc = take_environment(backend, &backend->options[i], taken);
    if (rc == 0)
        rc = options_override(backend, options, innermost, false, taken);
    if (rc < 0) {
        options_free(backend, taken);
        return rc;
    }
    *values = taken;
    return 0;
}

/* A bare key is the handle's where that has such an option, else the innermost layer's. */
static bool is_for(const struct parsed *parsed, const struct backend *backend, bool innermost)
{
    if (parsed->layer)
        return strlen(backend->name) == parsed->layer_size &&
               memcmp(backend->name, parsed->layer, parsed->layer_size) == 0;
    bool is_fs = option_index(&fs_layer, parsed->key, parsed->key_size) < option_count(&fs_layer);
    return is_fs ? backend == &fs_layer : innermost;
}

int options_override(const struct backend *backend, const char *const options[], bool innermost,
                     bool per_handle, char **values)
{
    for (size_t i = 0; options && options[i]; i++) {
        struct parsed parsed;
        int rc = parse(options[i], &parsed);
        if (rc == 0 && is_for(&parsed, backend, innermost))
            rc = take_option(backend, &parsed, per_handle, values);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Of a layer that is known, an option that it has, with a value of its type: also where the chain lacks the layer. */
static int check_layered(const char *text, const struct parsed *parsed)
{
    const struct backend *backend = backend_by_name(parsed->layer, parsed->layer_size);
    const struct option *option;
    if (backend)
        return check_option(backend, parsed, &option);
    return fail(-EINVAL, "option \"%.*s\": no layer is called %.*s", (int)(parsed->value - text - 1), text,
                (int)parsed->layer_size, parsed->layer);
}

int options_check_layers(const char *const options[])
{
    for (size_t i = 0; options && options[i]; i++) {
        struct parsed parsed;
        int rc = parse(options[i], &parsed);
        if (rc == 0 && parsed.layer)
            rc = check_layered(options[i], &parsed);
        if (rc < 0)
            return rc;
    }
    return 0;
}

char **options_new(const struct backend *backend)
{
    return mem_array(option_count(backend) + 1, sizeof(char *));
}

void options_free(const struct backend *backend, char **values)
{
    size_t count = values ? option_count(backend) : 0;
    for (size_t i = 0; i < count; i++)
        mem_free(values[i]);
    mem_free(values);
}

bool option_is_known(const struct backend *backend, const char *name)
{
    return option_index(backend, name, strlen(name)) < option_count(backend);
}

char **option_slot(const struct backend *backend, char **values, const char *name)
{
    size_t index = option_index(backend, name, strlen(name));
    assert(index < option_count(backend));
    return &values[index];
}

/* ---- reading them ---- */

static const struct option *find_option(const struct instance *instance, const char *name, const char **value)
{
    size_t index = option_index(instance->backend, name, strlen(name));
    assert(index < option_count(instance->backend));
    const struct option *option = &instance->backend->options[index];
    *value = instance->option_values[index] ? instance->option_values[index] : option->fallback;
    return option;
}

const char *option_text(const struct instance *instance, const char *name)
{
    const char *value;
    find_option(instance, name, &value);
    return value;
}

bool option_value_bool(const char *value)
{
    bool truth = false;
    if (value)
        parse_bool(value, &truth);
    return truth;
}

bool option_bool(const struct instance *instance, const char *name)
{
    const char *value;
    find_option(instance, name, &value);
    return option_value_bool(value);
}

int64_t option_value_number(const struct option *option, const char *value)
{
    int64_t number = -1;
    uint64_t size;
    if (!value)
        return -1;
    if (option->type == OPTION_SIZE)
        return parse_size(value, &size) < 0 || size > INT64_MAX ? -1 : (int64_t)size;
    if (option->type == OPTION_DURATION)
        return parse_duration(value, &number) < 0 ? -1 : number;
    if (option->type == OPTION_LIFETIME)
        return parse_lifetime(value, &number) < 0 ? -1 : number;
    return parse_i64(value, &number) < 0 ? -1 : number;
}

int64_t option_number(const struct instance *instance, const char *name)
{
    const char *value;
    const struct option *option = find_option(instance, name, &value);
    return option_value_number(option, value);
}
