/* SPDX-License-Identifier: Apache-2.0 */
/* From a URL to a handle: the backends that are known, the chain's layers from the innermost out, the handle. */
#include "fs/fs.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/option.h"
#include "task/loop.h"

/* ---- what is known ---- */

/* Filled before the first larder_open returns, const from then on. */
static const struct backend *known[32];
static size_t known_count;

int backend_register(const struct backend *backend)
{
    if (known_count == sizeof known / sizeof known[0])
        return fail(-ENOSPC, "%s: too many backends", backend->name);
    known[known_count++] = backend;
    return 0;
}

const struct backend *backend_at(size_t index)
{
    return index < known_count ? known[index] : NULL;
}

static bool is_word(const char *word, const char *text, size_t size)
{
    return strlen(word) == size && strncasecmp(word, text, size) == 0;
}

const struct backend *backend_by_name(const char *name, size_t size)
{
    for (size_t i = 0; i < known_count; i++)
        if (strlen(known[i]->name) == size && memcmp(known[i]->name, name, size) == 0)
            return known[i];
    return NULL;
}

const struct backend *backend_find(const char *protocol, size_t size)
{
    for (size_t i = 0; i < known_count; i++)
        for (const char *const *p = known[i]->protocols; *p; p++)
            if (is_word(*p, protocol, size))
                return known[i];
    return NULL;
}

/* ---- instances ---- */

struct instance *instance_ref(struct instance *instance)
{
    atomic_fetch_add_explicit(&instance->references, 1, memory_order_relaxed);
    return instance;
}

/* Frees what instance_open made, whether the backend's open succeeded or never ran. */
static void instance_free(struct instance *instance)
{
    options_free(instance->backend, instance->option_values);
    larder_fs_free(instance->next);
    loop_unref(instance->loop);
    mem_free(instance->identity);
    mem_free(instance);
}

void instance_unref(struct instance *instance)
{
    if (!instance || atomic_fetch_sub_explicit(&instance->references, 1, memory_order_acq_rel) > 1)
        return;
    if (instance->backend->close)
        instance->backend->close(instance);
    instance_free(instance);
}

int instance_open(const struct backend *backend, struct larder_loop *loop, const char *url,
                  const char *const options[], bool innermost, struct larder_fs *next, struct instance **out,
                  char **path)
{
    struct instance *instance = mem_zero(backend->size);
    if (!instance)
        return fail_memory();
    instance->backend = backend;
    atomic_init(&instance->references, 1);
    int rc = 0;
    if (next) {
        instance->next = larder_fs_ref(next);
        instance->can = next->instance->can;
        instance->identity = mem_dup(next->instance->identity);
        rc = instance->identity ? 0 : fail_memory();
    }
    instance->option_values = options_new(backend);
    if (!instance->option_values)
        rc = fail_memory();
    if (rc == 0)
        rc = options_take(backend, options, innermost, instance->option_values);
    if (rc == 0 && loop && backend->kind == ASYNC)
        rc = loop_choose(loop, &instance->loop);
    if (rc == 0)
        rc = backend->open(instance, url, path);
    if (rc < 0) {
        instance_free(instance);
        return rc;
    }
    *out = instance;
    return 0;
}

/* ---- handles ---- */

/*
 * Options "per handle" mean the same at every layer that declares them. But a ttl is a handle's own only where that was
 * given one: with what a cache was opened with it has to weigh its rules.
 */
static void apply_per_handle(struct larder_fs *fs, const struct backend *backend, char **values,
                             bool defaults)
{
    for (size_t i = 0; backend->options && backend->options[i].name; i++) {
        const struct option *option = &backend->options[i];
        const char *value = values[i] ? values[i] : defaults ? option->fallback : NULL;
        if (!(option->flags & OPTION_PER_HANDLE) || !value)
            continue;
        if (strcmp(option->name, "ttl") == 0 && !defaults)
            fs->terms.ttl_ms = option_value_number(option, value);
        else if (strcmp(option->name, "max_age") == 0)
            fs->terms.age_max_ms = option_value_number(option, value);
        else if (strcmp(option->name, "timeout") == 0)
            fs->timeout_ms = option_value_number(option, value);
    }
}

int fs_new(struct instance *instance, const char *root, struct larder_fs **out)
{
    struct larder_fs *fs = mem_zero(sizeof *fs);
    char *copy = mem_dup(root);
    if (!fs || !copy) {
        mem_free(copy);
        mem_free(fs);
        instance_unref(instance);
        return fail_memory();
    }
    fs->instance = instance;
    fs->root = copy;
    fs->terms = TERMS_NONE;
    atomic_init(&fs->references, 1);
    for (struct instance *layer = instance; layer; layer = layer->next ? layer->next->instance : NULL)
        apply_per_handle(fs, layer->backend, layer->option_values, true);
    *out = fs;
    return 0;
}

struct larder_fs *larder_fs_ref(struct larder_fs *fs)
{
    atomic_fetch_add_explicit(&fs->references, 1, memory_order_relaxed);
    return fs;
}

void larder_fs_free(struct larder_fs *fs)
{
    if (!fs || atomic_fetch_sub_explicit(&fs->references, 1, memory_order_acq_rel) > 1)
        return;
    instance_unref(fs->instance);
    mem_free(fs->root);
    mem_free(fs);
}

static int override_layers(struct larder_fs *fs, const char *const options[])
{
    for (struct instance *layer = fs->instance; layer; layer = layer->next ? layer->next->instance : NULL) {
        char **values = options_new(layer->backend);
        if (!values)
            return fail_memory();
        int rc = options_override(layer->backend, options, !layer->next, true, values);
        if (rc == 0)
            apply_per_handle(fs, layer->backend, values, false);
        options_free(layer->backend, values);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int larder_fs_at(struct larder_fs *fs, const char *root, const char *const options[], struct larder_fs **out)
{
    autofree char *full = NULL;
    struct larder_fs *at = NULL;
    error_clear();
    int rc = path_resolve(fs->root, root ? root : "", &full, NULL);
    if (rc == 0)
        rc = options_check_layers(options);
    if (rc == 0)
        rc = fs_new(instance_ref(fs->instance), full, &at);
    if (rc < 0)
        return rc;
    at->terms = fs->terms;
    at->timeout_ms = fs->timeout_ms;
    rc = override_layers(at, options);
    if (rc < 0) {
        larder_fs_free(at);
        return rc;
    }
    *out = at;
    return 0;
}

bool larder_fs_is_async(const struct larder_fs *fs)
{
    return fs->instance->backend->kind == ASYNC;
}

const struct larder_capabilities *larder_fs_capabilities(const struct larder_fs *fs)
{
    return &fs->instance->can;
}

int larder_fs_url(const struct larder_fs *fs, const char *path, char **url)
{
    autofree char *full = NULL, *chain = mem_dup("");
    const struct instance *layer = fs->instance;
    int rc = path_resolve(fs->root, path, &full, NULL);
    if (rc < 0)
        return rc;
    for (; chain && layer->next; layer = layer->next->instance) {
        char *longer = mem_format("%s%s::", chain, layer->backend->name);
        mem_free(chain);
        chain = longer;
    }
    autofree char *leaf = layer->backend->url((struct instance *)layer, full);
    char *whole = chain && leaf ? mem_format("%s%s", chain, leaf) : NULL;
    if (!whole)
        return fail_memory();
    *url = whole;
    return 0;
}

/* ---- chains: no text says the URL, which may hold secrets ---- */

/* The size of the word in front of the first "::", or 0 where the text is not that of a chain. */
static size_t chain_word(const char *text)
{
    size_t size = 0;
    while (isalnum((unsigned char)text[size]) || text[size] == '-' || text[size] == '_')
        size++;
    return size > 0 && text[size] == ':' && text[size + 1] == ':' ? size : 0;
}

static int find_leaf(const char *url, const struct backend **out)
{
    size_t size = 0;
    while (isalnum((unsigned char)url[size]) || (url[size] && strchr("+-.", url[size])))
        size++;
    bool has_protocol = size > 0 && strncmp(url + size, "://", 3) == 0;
    *out = has_protocol ? backend_find(url, size) : backend_find("file", 4);
    if (!*out)
        return fail(-ENOTSUP, "\"%.*s\": no backend knows this protocol", (int)size, url);
    if ((*out)->view)
        return fail(-EINVAL, "\"%s\" is a view: write %s::URL", (*out)->name, (*out)->name);
    return 0;
}

#define CHAIN_MAX 8
struct chain {
    const struct backend *views[CHAIN_MAX]; /* outermost first */
    size_t view_count;
    bool dir; /* dir:: : the URL's path is the root */
    const char *leaf;
};

static int parse_chain(const char *url, struct chain *chain)
{
    size_t size;
    for (*chain = (struct chain){.leaf = url}; (size = chain_word(chain->leaf)) > 0;
         chain->leaf += size + 2) {
        if (is_word("dir", chain->leaf, size)) {
            chain->dir = true;
            continue;
        }
        const struct backend *view = backend_find(chain->leaf, size);
        if (!view || !view->view)
            return fail(-ENOTSUP, "no view is called \"%.*s\"", (int)size, chain->leaf);
        if (chain->view_count == CHAIN_MAX)
            return fail(-EINVAL, "more than %d layers in a chain", CHAIN_MAX);
        for (size_t i = 0; i < chain->view_count; i++)
            if (chain->views[i] == view)
                return fail(-EINVAL, "\"%s\" stands twice in the chain", view->name);
        chain->views[chain->view_count++] = view;
    }
    return *chain->leaf ? 0 : fail(-EINVAL, "\"%s\": the URL is missing", url);
}

int fs_open(struct larder_loop *loop, const char *url, const char *const options[], struct larder_fs **fs,
            char **path)
{
    struct chain chain = {0};
    const struct backend *leaf = NULL;
    struct instance *instance = NULL;
    struct larder_fs *at = NULL;
    autofree char *named = NULL;
    int rc = url ? parse_chain(url, &chain) : fail(-EINVAL, "no URL");
    loop = loop_meant(loop);
    if (rc == 0)
        rc = find_leaf(chain.leaf, &leaf);
    if (rc == 0)
        rc = options_check_layers(options);
    if (rc == 0)
        rc = instance_open(leaf, loop, chain.leaf, options, true, NULL, &instance, &named);
    for (size_t i = chain.view_count; rc == 0 && i > 0; i--) {
        rc = fs_new(take(instance), "", &at);
        if (rc == 0)
            rc = instance_open(chain.views[i - 1], loop, "", options, false, at, &instance, NULL);
        larder_fs_free(take(at));
    }
    if (rc < 0)
        return rc;
    bool rooted = chain.dir || !path;
    char *rest = path ? mem_dup(rooted ? "" : named) : NULL;
    if (path && !rest) {
        instance_unref(instance);
        return fail_memory();
    }
    rc = fs_new(instance, rooted ? named : "", fs);
    if (rc < 0) {
        mem_free(rest);
        return rc;
    }
    if (path)
        *path = rest;
    return 0;
}
