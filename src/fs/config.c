/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "fs/json.h"

#define FILE_SIZE_MAX ((size_t)1 << 20)

/* Const once it is there. */
struct config {
    int status; /* of reading it */
    char *failure;
    char *file; /* its name; NULL: none can be */
    char *text; /* NULL: there is none */
    json_t *json;
};
static struct config *_Atomic known;

static void config_free(struct config *config)
{
    if (!config)
        return;
    json_decref(config->json);
    mem_free(config->failure);
    mem_free(config->file);
    mem_free(config->text);
    mem_free(config);
}

/* ---- reading it ---- */

static char *file_name(void)
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (xdg && *xdg == '/')
        return mem_format("%s/larder/config.json", xdg);
    return home && *home ? mem_format("%s/.config/larder/config.json", home) : NULL;
}

static int read_open(int fd, struct config *config)
{
    config->text = mem_alloc(FILE_SIZE_MAX + 1);
    if (!config->text)
        return fail_memory();
    int64_t size = file_read(fd, config->text, FILE_SIZE_MAX + 1, 0);
    if (size < 0)
        return fail_errno((int)-size, "%s", config->file);
    if (size > (int64_t)FILE_SIZE_MAX)
        return fail(-EFBIG, "%s: it is larger than %zu bytes", config->file, FILE_SIZE_MAX);
    config->text[size] = 0;
    return json_parse(config->text, (size_t)size, config->file, &config->json);
}

static int read_file(struct config *config)
{
    config->file = file_name();
    int fd = config->file ? file_seam.open(config->file, O_RDONLY | O_CLOEXEC, 0) : -1;
    if (fd < 0)
        return !config->file || errno == ENOENT || errno == ENOTDIR ? 0
                                                                    : fail_errno(errno, "%s", config->file);
    int rc = read_open(fd, config);
    file_seam.close(fd);
    return rc;
}

/* Threads that come first together read it together; one of them is believed. */
static const struct config *config_get(void)
{
    struct config *config = atomic_load_explicit(&known, memory_order_acquire), *none = NULL;
    if (config)
        return config;
    config = mem_zero(sizeof *config);
    if (!config)
        return NULL;
    config->status = read_file(config);
    if (config->status < 0)
        config->failure = mem_dup(error_text());
    if (config->status == -ENOMEM || (config->status < 0 && !config->failure)) {
        config_free(config); /* another time it may be had */
        return NULL;
    }
    if (atomic_compare_exchange_strong(&known, &none, config))
        return config;
    config_free(config);
    return none;
}

void config_forget(void)
{
    config_free(atomic_exchange(&known, NULL));
}

/* ---- where something stands in it ---- */

/* Behind the string that begins at `at`. */
static const char *string_end(const char *at)
{
    for (at++; *at && *at != '"'; at++)
        if (*at == '\\' && at[1])
            at++;
    return *at ? at + 1 : at;
}

/* The line of a key of a layer; of the layer, without a key. The text is JSON, and no key is written with escapes. */
static int line_of(const char *text, const char *layer, const char *key)
{
    int line = 1, depth = 0, layer_line = 0;
    bool inside = false;
    for (const char *at = text; *at;) {
        const char *end = *at == '"' ? string_end(at) : at + 1;
        const char *wanted = depth == 1 ? layer : depth == 2 && inside ? key : NULL;
        bool is_key = *at == '"' && end[strspn(end, " \t\r\n")] == ':';
        bool found = is_key && wanted && (size_t)(end - at) == strlen(wanted) + 2 &&
                     memcmp(at + 1, wanted, strlen(wanted)) == 0;
        if (is_key && depth == 1)
            inside = found;
        if (found && depth == 1)
            layer_line = line;
        if (found && (depth == 2 || !key))
            return line;
        depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
        line += *at == '\n';
        at = end;
    }
    return layer_line;
}

static int fail_at(const struct config *config, int rc, const char *layer, const char *key)
{
    return fail_more(rc, "%s, line %d", config->file, line_of(config->text, layer, key));
}

/* ---- asking it ---- */

/* A number and a truth as -o would be given them. */
static int value_text(const json_t *value, char **out)
{
    char *text = NULL;
    if (json_is_string(value))
        text = mem_dup(json_string_value(value));
    else if (json_is_boolean(value))
        text = mem_dup(json_is_true(value) ? "true" : "false");
    else if (json_is_integer(value))
        text = mem_format("%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        text = mem_format("%.15g", json_real_value(value));
    else
        return fail(-EINVAL, "neither a text, a number, true nor false");
    if (!text)
        return fail_memory();
    *out = text;
    return 0;
}

int config_each(const char *layer, config_fn *fn, void *arg)
{
    const struct config *config = config_get();
    const char *key;
    json_t *value, *defaults;
    if (!config)
        return fail_memory();
    if (config->status < 0)
        return fail(config->status, "%s", config->failure);
    defaults = json_object_get(config->json, layer);
    if (defaults && !json_is_object(defaults))
        return fail_at(config, fail(-EINVAL, "\"%s\" is no object", layer), layer, NULL);
    json_object_foreach(defaults, key, value)
    {
        autofree char *text = NULL;
        int rc = value_text(value, &text);
        if (rc < 0)
            fail_more(rc, "option %s.%s", layer, key);
        else
            rc = fn(arg, key, text);
        if (rc < 0)
            return fail_at(config, rc, layer, key);
    }
    return 0;
}

const char *config_says(const char *layer, const char *key)
{
    const struct config *config = config_get();
    bool says = config && json_object_get(json_object_get(config->json, layer), key);
    return says ? config->file : NULL;
}
