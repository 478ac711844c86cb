/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A handle written down (fs.h has an example):
 *
 *     larder    1: the version of what follows
 *     url       the chain and its place, without a path and without secrets
 *     root      the handle's, percent-encoded
 *     directory the path behind which its URL had a slash, likewise; missing: none
 *     options   by layer: all that were given, whoever gave them
 *     handle    what holds for its calls, times in ms; what is missing is unset
 *     left_out  secrets that it has, and that this text does not tell
 *
 * Journals keep such texts: what is added must be optional, and what changes its meaning is another version.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "fs/fs.h"
#include "fs/gate.h"
#include "fs/json.h"
#include "fs/option.h"
#include "task/loop.h"

#define RECORD_VERSION  1
#define RECORD_SIZE_MAX ((size_t)64 << 20)

static const char what[] = "a filesystem's JSON";

static struct instance *instance_behind(const struct instance *instance)
{
    return instance->next ? instance->next->instance : NULL;
}

/* ---- what holds for every call ---- */

static struct {
    const char *key;
    size_t at;
    int64_t unset;
} const defaults[] = {
    {"max_age", offsetof(struct larder_fs, terms.age_max_ms), -1},
    {"timeout", offsetof(struct larder_fs, timeout_ms), 0},
    {"ttl", offsetof(struct larder_fs, terms.ttl_ms), -1},
};
#define DEFAULT_COUNT (sizeof defaults / sizeof defaults[0])

static int64_t *default_at(const struct larder_fs *fs, size_t index)
{
    return (int64_t *)((char *)fs + defaults[index].at);
}

static bool write_defaults(const struct larder_fs *fs, json_t *out)
{
    bool whole = true;
    for (size_t i = 0; i < DEFAULT_COUNT; i++) {
        int64_t value = *default_at(fs, i);
        if (value != defaults[i].unset)
            whole = whole && json_object_set_new(out, defaults[i].key, json_integer(value)) == 0;
    }
    for (size_t i = 0; i < LABEL_COUNT; i++) {
        const char *value = *label_slot(&fs->labels, i);
        if (value)
            whole = whole && json_object_set_new(out, label_names[i], json_from_text(value)) == 0;
    }
    return whole;
}

static int read_label(const json_t *value, const char *name, struct labels *labels)
{
    autofree char *text = NULL;
    int rc = value ? json_to_text(value, what, &text) : 0;
    if (rc == 0)
        rc = labels_take(labels, name, text ? text : "");
    return rc < 0 ? rc : 0;
}

static int read_defaults(json_t *record, struct larder_fs *fs)
{
    json_t *handle = NULL, *value = NULL;
    int rc = json_member(record, "handle", JSON_OBJECT, what, &handle);
    for (size_t i = 0; rc == 0 && i < DEFAULT_COUNT; i++) {
        rc = json_member(handle, defaults[i].key, JSON_INTEGER, what, &value);
        *default_at(fs, i) = value ? json_integer_value(value) : defaults[i].unset;
    }
    for (size_t i = 0; rc == 0 && i < LABEL_COUNT; i++)
        rc = read_label(json_object_get(handle, label_names[i]), label_names[i], &fs->labels);
    return rc;
}

/* ---- writing ---- */

static bool write_options(const struct instance *instance, bool secrets, json_t *out, json_t *left_out)
{
    const struct backend *backend = instance->backend;
    json_t *layer = json_object();
    bool whole = json_object_set_new(out, backend->name, layer) == 0;
    for (size_t i = 0; backend->options && backend->options[i].name && whole; i++) {
        const struct option *option = &backend->options[i];
        const char *value = instance->option_values[i];
        if (value && (option->flags & OPTION_SECRET) && !secrets)
            whole = json_array_append_new(left_out, json_sprintf("%s.%s", backend->name, option->name)) == 0;
        else if (value)
            whole = json_object_set_new(layer, option->name, json_from_text(value)) == 0;
    }
    return whole;
}

static bool write_layers(const struct larder_fs *fs, bool secrets, json_t *record)
{
    json_t *options = json_object(), *left_out = json_array();
    bool whole = json_object_set_new(record, "options", options) == 0;
    for (const struct instance *layer = fs->instance; whole && layer; layer = instance_behind(layer))
        whole = write_options(layer, secrets, options, left_out);
    if (whole && fs->instance->gate)
        whole = json_object_set_new(options, "fs", json_pack("{s:s}", "asynchronous", "true")) == 0;
    if (whole && json_array_size(left_out) > 0)
        whole = json_object_set(record, "left_out", left_out) == 0;
    json_decref(left_out);
    return whole;
}

static bool write_record(const struct larder_fs *fs, bool secrets, const char *url, json_t *record)
{
    autofree char *root = url_encode_path(fs->root);
    autofree char *directory = fs->directory ? url_encode_path(fs->directory) : NULL;
    json_t *handle = root ? json_object() : NULL;
    bool whole = json_object_set_new(record, "handle", handle) == 0 && write_defaults(fs, handle);
    if (whole && fs->directory)
        whole = json_object_set_new(record, "directory", json_string(directory)) == 0;
    return whole && json_object_set_new(record, "larder", json_integer(RECORD_VERSION)) == 0 &&
           json_object_set_new(record, "root", json_string(root)) == 0 &&
           json_object_set_new(record, "url", json_from_text(url)) == 0 && write_layers(fs, secrets, record);
}

int larder_fs_to_json(const struct larder_fs *fs, bool secrets, char **text)
{
    struct buffer buffer = BUFFER(RECORD_SIZE_MAX);
    autofree char *url = NULL;
    error_clear();
    int rc = fs->instance->backend->opaque
                 ? fail(-ENOTSUP, "%s: it shows what no URL opens", fs->instance->backend->name)
                 : chain_url(fs->instance, "", &url);
    if (rc < 0)
        return rc;
    json_t *record = json_object();
    rc = record && write_record(fs, secrets, url, record) ? json_write(record, &buffer) : fail_memory();
    json_decref(record);
    char *whole = rc == 0 ? buffer_take_text(&buffer) : NULL;
    buffer_free(&buffer);
    if (!whole)
        return rc < 0 ? rc : fail_memory();
    *text = whole;
    return 0;
}

/* ---- reading ---- */

struct option_list {
    const char **options; /* NULL-ended; the first `own` are mem, the rest the caller's */
    size_t own, count;
};

static void option_list_free(struct option_list *list)
{
    for (size_t i = 0; i < list->own; i++)
        mem_free((char *)list->options[i]);
    mem_free(list->options);
}

static int add_option(struct option_list *list, const char *layer, const char *key, const json_t *value)
{
    autofree char *text = NULL;
    int rc = json_to_text(value, what, &text);
    char *option = rc == 0 ? mem_format("%s.%s=%s", layer, key, text) : NULL;
    if (!option)
        return rc < 0 ? rc : fail_memory();
    list->options[list->own++] = option;
    return 0;
}

/* What the text says, and behind it, since the last one counts, what the caller does. */
static int list_options(json_t *layers, const char *const given[], struct option_list *list)
{
    const char *layer, *key;
    json_t *options, *value;
    size_t given_count = 0, count = 1;
    while (given && given[given_count])
        given_count++;
    json_object_foreach(layers, layer, options) count += json_object_size(options);
    list->options = mem_array(count + given_count, sizeof *list->options);
    int rc = list->options ? 0 : fail_memory();
    json_object_foreach(layers, layer, options) json_object_foreach(options, key, value) if (rc == 0) rc =
        add_option(list, layer, key, value);
    list->count = list->own;
    for (size_t i = 0; rc == 0 && i < given_count; i++)
        list->options[list->count++] = given[i];
    return rc;
}

/* "http.password": somebody must say it now. */
static int check_secret(const struct chain *chain, const char *name, const char *const options[])
{
    const char *dot = name ? strchr(name, '.') : NULL;
    const struct backend *backend = dot ? backend_by_name(name, (size_t)(dot - name)) : NULL;
    char **values = NULL, **slot = NULL;
    if (!backend || !option_is_known(backend, dot + 1))
        return fail(-EINVAL, "%s: it leaves out \"%s\", which nobody knows", what, name ? name : "");
    int rc = options_take(backend, options, backend == chain->leaf, &values);
    if (rc < 0)
        return rc;
    slot = option_slot(backend, values, dot + 1);
    if (!*slot)
        rc = fail(-EACCES, "%s leaves out the secret %s: give it as an option", what, name);
    options_free(backend, values);
    return rc;
}

static int check_left_out(json_t *record, const struct chain *chain, const char *const options[])
{
    json_t *left_out = NULL, *name;
    size_t index;
    int rc = json_member(record, "left_out", JSON_ARRAY, what, &left_out);
    json_array_foreach(left_out, index, name) if (rc == 0) rc =
        check_secret(chain, json_string_value(name), options);
    return rc;
}

static int check_version(json_t *record)
{
    json_t *version = NULL;
    int rc = json_member(record, "larder", JSON_INTEGER, what, &version);
    if (rc == 0 && !version)
        rc = fail(-EINVAL, "%s: it is not one", what);
    if (rc == 0 && json_integer_value(version) != RECORD_VERSION)
        rc = fail(-ENOTSUP, "%s: of version %lld, where this library knows %d", what,
                  (long long)json_integer_value(version), RECORD_VERSION);
    return rc;
}

/* A member that is a path; missing: NULL. */
static int read_path(json_t *record, const char *key, char **out)
{
    json_t *path = NULL;
    int rc = json_member(record, key, JSON_STRING, what, &path);
    const char *encoded = path ? json_string_value(path) : NULL;
    if (rc == 0 && encoded)
        rc = url_decode_path(encoded, strlen(encoded), out);
    if (rc == 0 && encoded && !path_is_clean(*out))
        rc = fail(-EINVAL, "%s: \"%s\" is no path of a %s", what, *out, key);
    return rc;
}

/* `url` is what `chain` points into. */
static int open_record(struct larder_loop *loop, json_t *record, const char *url, struct option_list *list,
                       struct larder_fs **out)
{
    autofree char *root = NULL, *directory = NULL;
    struct instance *instance = NULL;
    struct larder_fs *fs = NULL;
    struct chain chain;
    int rc = chain_parse(url, &chain);
    if (rc == 0)
        rc = check_left_out(record, &chain, list->options);
    if (rc == 0)
        rc = read_path(record, "root", &root);
    if (rc == 0)
        rc = read_path(record, "directory", &directory);
    if (rc == 0)
        rc = chain_open(&chain, loop_meant(loop), list->options, &instance);
    if (rc == 0)
        rc = fs_new(instance, root ? root : "", &fs);
    if (rc == 0)
        fs->directory = take(directory);
    if (rc == 0)
        rc = read_defaults(record, fs);
    chain_fini(&chain);
    if (rc < 0)
        larder_fs_free(fs);
    else
        *out = fs;
    return rc;
}

static int read_record(struct larder_loop *loop, json_t *record, const char *const options[],
                       struct larder_fs **out)
{
    struct option_list list = {0};
    autofree char *url = NULL;
    json_t *layers = NULL;
    int rc = check_version(record);
    if (rc == 0)
        rc = json_to_text(json_object_get(record, "url"), what, &url);
    if (rc == 0)
        rc = json_member(record, "options", JSON_OBJECT, what, &layers);
    if (rc == 0)
        rc = list_options(layers, options, &list);
    if (rc == 0)
        rc = open_record(loop, record, url, &list, out);
    option_list_free(&list);
    return rc;
}

int fs_from_json(struct larder_loop *loop, const char *text, const char *const options[],
                 struct larder_fs **out)
{
    json_t *record = NULL;
    int rc = text ? json_parse(text, strlen(text), what, &record) : fail(-EINVAL, "no text");
    if (rc == 0)
        rc = read_record(loop, record, options, out);
    json_decref(record);
    return rc;
}
